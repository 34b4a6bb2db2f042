/* SPDX-License-Identifier: BSD-2-Clause */
/* Whatever lies in flash is read without harm; a good page says the same when written again. */
#include <stdlib.h>
#include <string.h>

#include "provision/page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
find_all(const struct page *page, const uint8_t *data, size_t size)
{
	for (unsigned type = 0; type < 256; type++) {
		const uint8_t *value;
		size_t n;

		if (page_find(page, (enum page_record)type, &value, &n) &&
		    (value < data || n > size || value + n > data + size)) {
			abort();
		}
	}
}

/* The input as records of a page whose frame is good: the checksum stops most mutations else. */
static void
in_a_good_frame(const uint8_t *data, size_t size)
{
	static uint8_t memory[PAGE_SIZE_MAX];
	struct page_writer w;
	struct page page;
	size_t n;

	page_begin(&w, PAGE_REPORT, 7, memory, sizeof memory);
	if (size > sizeof memory - 20) {
		size = sizeof memory - 20;
	}
	memcpy(memory + w.used, data, size);
	w.used += size;
	n = page_end(&w);
	if (n == 0) {
		abort();
	}
	switch (page_open(PAGE_REPORT, memory, n, &page)) {
	case PAGE_GOOD:
		find_all(&page, memory, n);
		break;
	case PAGE_DAMAGED:
		break;
	default:
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct page page;

	for (int kind = PAGE_SETTINGS; kind <= PAGE_REPORT; kind++) {
		if (page_open((enum page_kind)kind, data, size, &page) == PAGE_GOOD) {
			find_all(&page, data, size);
		}
	}
	in_a_good_frame(data, size);
	return 0;
}
