/* SPDX-License-Identifier: BSD-2-Clause */
#include "provision/page.h"

#include <string.h>

#define MAGIC_SIZE 8u
#define AT_VERSION 8u
#define AT_LENGTH 10u
#define AT_GENERATION 12u
#define HEADER_SIZE 16u
#define CRC_SIZE 4u
#define RECORD_HEADER_SIZE 4u

static const char magic[2][MAGIC_SIZE + 1] = {
	[PAGE_SETTINGS] = "MKRGWSET",
	[PAGE_REPORT] = "MKRGWREP",
};

/* CRC-32 of IEEE 802.3, four bits at a time: the table is small enough for the board. */
static uint32_t
crc32_of(const uint8_t *data, size_t n)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
		0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
		0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
	};
	uint32_t crc = 0xFFFFFFFF;

	for (size_t i = 0; i < n; i++) {
		crc ^= data[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

static unsigned
get16(const uint8_t *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

static uint32_t
get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static void
put16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

static void
put32(uint8_t *p, uint32_t value)
{
	put16(p, value & 0xFFFF);
	put16(p + 2, value >> 16);
}

/* ---- reading ---- */

/* The record at that place, and the place behind it; false at the end or when it does not fit. */
static bool
take_record(const uint8_t *records, size_t size, size_t *at, uint8_t *type, const uint8_t **value,
            size_t *length)
{
	const uint8_t *record = records + *at;

	if (size - *at < RECORD_HEADER_SIZE) {
		return false;
	}
	*length = get16(record + 2);
	if (record[1] != 0 || size - *at - RECORD_HEADER_SIZE < *length) {
		return false;
	}
	*type = record[0];
	*value = record + RECORD_HEADER_SIZE;
	*at += RECORD_HEADER_SIZE + *length;
	return true;
}

static bool
records_are_whole(const uint8_t *records, size_t size)
{
	const uint8_t *value;
	size_t length;
	size_t at = 0;
	uint8_t type;

	while (at < size) {
		if (!take_record(records, size, &at, &type, &value, &length)) {
			return false;
		}
	}
	return true;
}

enum page_fault
page_open(enum page_kind kind, const uint8_t *memory, size_t size, struct page *out)
{
	size_t length;
	unsigned version;

	/* Erased flash, a sketch of somebody else: no page of ours either way. */
	if (size < MAGIC_SIZE || memcmp(memory, magic[kind], MAGIC_SIZE) != 0) {
		return PAGE_EMPTY;
	}
	if (size > PAGE_SIZE_MAX) {
		size = PAGE_SIZE_MAX;
	}
	if (size < HEADER_SIZE + CRC_SIZE) {
		return PAGE_DAMAGED;
	}
	length = get16(memory + AT_LENGTH);
	if (length > size - HEADER_SIZE - CRC_SIZE ||
	    crc32_of(memory, HEADER_SIZE + length) != get32(memory + HEADER_SIZE + length)) {
		return PAGE_DAMAGED;
	}
	/* Header and checksum are the same in every version; records may not be. */
	version = get16(memory + AT_VERSION);
	if (version > PAGE_VERSION) {
		return PAGE_NEWER;
	}
	if (version != PAGE_VERSION || !records_are_whole(memory + HEADER_SIZE, length)) {
		return PAGE_DAMAGED;
	}
	out->records = memory + HEADER_SIZE;
	out->size = length;
	out->generation = get32(memory + AT_GENERATION);
	return PAGE_GOOD;
}

bool
page_find(const struct page *page, enum page_record type, const uint8_t **value, size_t *size)
{
	const uint8_t *found;
	size_t length;
	size_t at = 0;
	uint8_t has;

	while (at < page->size &&
	       take_record(page->records, page->size, &at, &has, &found, &length)) {
		if (has == (uint8_t)type) {
			*value = found;
			*size = length;
			return true;
		}
	}
	return false;
}

/* ---- writing ---- */

void
page_begin(struct page_writer *w, enum page_kind kind, uint32_t generation, uint8_t *memory,
           size_t room)
{
	*w = (struct page_writer){ memory, room < PAGE_SIZE_MAX ? room : PAGE_SIZE_MAX, 0, false };
	if (w->room < HEADER_SIZE + CRC_SIZE) {
		w->full = true;
		return;
	}
	memcpy(memory, magic[kind], MAGIC_SIZE);
	put16(memory + AT_VERSION, PAGE_VERSION);
	put32(memory + AT_GENERATION, generation);
	w->used = HEADER_SIZE;
}

void
page_add(struct page_writer *w, enum page_record type, const void *value, size_t size)
{
	uint8_t *record;

	if (w->full || w->room - CRC_SIZE - w->used < RECORD_HEADER_SIZE ||
	    w->room - CRC_SIZE - w->used - RECORD_HEADER_SIZE < size) {
		w->full = true;
		return;
	}
	record = w->memory + w->used;
	record[0] = (uint8_t)type;
	record[1] = 0;
	put16(record + 2, (unsigned)size);
	if (size > 0) {
		memcpy(record + RECORD_HEADER_SIZE, value, size);
	}
	w->used += RECORD_HEADER_SIZE + size;
}

size_t
page_end(struct page_writer *w)
{
	if (w->full) {
		return 0;
	}
	put16(w->memory + AT_LENGTH, (unsigned)(w->used - HEADER_SIZE));
	put32(w->memory + w->used, crc32_of(w->memory, w->used));
	return w->used + CRC_SIZE;
}
