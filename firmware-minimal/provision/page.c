/* SPDX-License-Identifier: BSD-2-Clause */
#include "provision/page.h"

#include <string.h>

#define HEADER 16
#define RECORD_HEADER 4
#define CHECK 4

static const char *
magic_of(enum page_kind kind)
{
	return kind == PAGE_SETTINGS ? "MKRGWSET" : "MKRGWREP";
}

static uint32_t
get(const uint8_t *from, size_t bytes)
{
	uint32_t value = 0;

	while (bytes > 0) {
		value = value << 8 | from[--bytes];
	}
	return value;
}

static void
put(uint8_t *to, uint32_t value, size_t bytes)
{
	for (; bytes > 0; bytes--, value >>= 8) {
		*to++ = (uint8_t)value;
	}
}

static uint32_t
crc32(const uint8_t *data, size_t n)
{
	uint32_t crc = 0xFFFFFFFF;

	for (; n > 0; n--, data++) {
		crc ^= *data;
		for (unsigned bit = 0; bit < 8; bit++) {
			crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
		}
	}
	return ~crc;
}

/* Every record lies wholly inside. */
static bool
records_fit(const uint8_t *records, size_t size)
{
	while (size > 0) {
		size_t length;

		if (size < RECORD_HEADER || records[1] != 0) {
			return false;
		}
		length = RECORD_HEADER + get(records + 2, 2);
		if (length > size) {
			return false;
		}
		records += length;
		size -= length;
	}
	return true;
}

static bool
is_erased(const uint8_t *memory, size_t size)
{
	for (; size > 0; size--, memory++) {
		if (*memory != 0xFF) {
			return false;
		}
	}
	return true;
}

enum page_fault
page_open(enum page_kind kind, const uint8_t *memory, size_t size, struct page *out)
{
	size_t records;

	if (size < HEADER + CHECK) {
		return PAGE_DAMAGED;
	}
	if (is_erased(memory, HEADER)) {
		return PAGE_EMPTY;
	}
	records = get(memory + 10, 2);
	if (memcmp(memory, magic_of(kind), 8) != 0 || records > size - HEADER - CHECK ||
	    crc32(memory, HEADER + records) != get(memory + HEADER + records, 4)) {
		return PAGE_DAMAGED;
	}
	if (get(memory + 8, 2) != PAGE_VERSION) {
		return PAGE_NEWER;
	}
	if (!records_fit(memory + HEADER, records)) {
		return PAGE_DAMAGED;
	}
	*out = (struct page){ memory + HEADER, records, get(memory + 12, 4) };
	return PAGE_GOOD;
}

bool
page_find(const struct page *page, enum page_record type, const uint8_t **value, size_t *size)
{
	const uint8_t *at = page->records;
	size_t left = page->size;

	while (left > 0) {
		size_t length = get(at + 2, 2);

		if (at[0] == (uint8_t)type) {
			*value = at + RECORD_HEADER;
			*size = length;
			return true;
		}
		at += RECORD_HEADER + length;
		left -= RECORD_HEADER + length;
	}
	return false;
}

void
page_begin(struct page_writer *w, enum page_kind kind, uint32_t generation, uint8_t *memory,
           size_t room)
{
	*w = (struct page_writer){ memory, room < PAGE_SIZE_MAX ? room : PAGE_SIZE_MAX, HEADER,
		                   room < HEADER + CHECK };
	if (w->full) {
		return;
	}
	memcpy(memory, magic_of(kind), 8);
	put(memory + 8, PAGE_VERSION, 2);
	put(memory + 12, generation, 4);
}

void
page_add(struct page_writer *w, enum page_record type, const void *value, size_t size)
{
	uint8_t *at = w->memory + w->used;

	if (w->full || size > w->room || w->room - w->used < RECORD_HEADER + size + CHECK) {
		w->full = true;
		return;
	}
	at[0] = (uint8_t)type;
	at[1] = 0;
	put(at + 2, (uint32_t)size, 2);
	memcpy(at + RECORD_HEADER, value, size);
	w->used += RECORD_HEADER + size;
}

size_t
page_end(struct page_writer *w)
{
	if (w->full) {
		return 0;
	}
	put(w->memory + 10, (uint32_t)(w->used - HEADER), 2);
	put(w->memory + w->used, crc32(w->memory, w->used), 4);
	return w->used + CHECK;
}
