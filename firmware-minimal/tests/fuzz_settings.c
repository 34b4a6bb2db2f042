/* SPDX-License-Identifier: BSD-2-Clause */
/* Any records in a page with a good checksum, and any page at all: no harm. */
#include <stdlib.h>
#include <string.h>

#include "app/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const uint8_t *memory)
{
	struct settings s;
	const char *why;
	enum settings_state state = settings_read(memory, &s, &why);

	if ((state == SETTINGS_DAMAGED) != (why != NULL)) {
		abort();
	}
	if (state == SETTINGS_COMPLETE &&
	    (s.ssid[0] == '\0' || s.host[0] == '\0' || s.port == 0 || s.interval == 0 ||
	     s.certificate < memory || s.certificate + s.certificate_size > memory + PAGE_SIZE_MAX ||
	     s.anchor_key < memory || s.anchor_key + 65 > memory + PAGE_SIZE_MAX)) {
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t memory[PAGE_SIZE_MAX];
	struct page_writer w;

	if (size > sizeof memory - 20) {
		size = sizeof memory - 20;
	}
	memset(memory, 0xFF, sizeof memory);
	memcpy(memory, data, size);
	check(memory);
	page_begin(&w, PAGE_SETTINGS, 1, memory, sizeof memory);
	memcpy(memory + w.used, data, size);
	w.used += size;
	if (page_end(&w) != 0) {
		check(memory);
	}
	return 0;
}
