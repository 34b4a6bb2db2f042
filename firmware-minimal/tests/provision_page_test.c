/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "provision/page.h"
#include "unit/cmocka_all.h"

static uint8_t memory[PAGE_SIZE_MAX];

static size_t
make(enum page_kind kind)
{
	struct page_writer w;

	memset(memory, 0xFF, sizeof memory);
	page_begin(&w, kind, 0x01020304, memory, sizeof memory);
	page_add(&w, PAGE_WIFI_SSID, "net", 3);
	page_add(&w, PAGE_WIFI_PASSPHRASE, NULL, 0);
	page_add(&w, PAGE_GATEWAY_PORT, "\xB3\x22", 2);
	return page_end(&w);
}

/* So that the format cannot change by accident: both sides are built from one file. */
static void
it_is_laid_out_as_written_down(void **state)
{
	static const uint8_t want[] = {
		'M', 'K', 'R', 'G', 'W', 'S', 'E', 'T', 1, 0, 17, 0, 4, 3, 2, 1,
		2, 0, 3, 0, 'n', 'e', 't', 3, 0, 0, 0, 5, 0, 2, 0, 0xB3, 0x22,
		0x49, 0xC1, 0xC1, 0x66,
	};

	(void)state;
	assert_int_equal(make(PAGE_SETTINGS), sizeof want);
	assert_memory_equal(memory, want, sizeof want);
}

static void
what_was_added_is_found(void **state)
{
	struct page page;
	const uint8_t *value;
	size_t size;

	(void)state;
	make(PAGE_REPORT);
	assert_int_equal(page_open(PAGE_REPORT, memory, sizeof memory, &page), PAGE_GOOD);
	assert_int_equal(page.generation, 0x01020304);
	assert_true(page_find(&page, PAGE_WIFI_SSID, &value, &size));
	assert_int_equal(size, 3);
	assert_memory_equal(value, "net", 3);
	assert_true(page_find(&page, PAGE_WIFI_PASSPHRASE, &value, &size));
	assert_int_equal(size, 0);
	assert_true(page_find(&page, PAGE_GATEWAY_PORT, &value, &size));
	assert_memory_equal(value, "\xB3\x22", 2);
	assert_false(page_find(&page, PAGE_CSR, &value, &size));
}

static void
other_flash_is_no_page(void **state)
{
	struct page page;

	(void)state;
	memset(memory, 0xFF, sizeof memory);
	assert_int_equal(page_open(PAGE_SETTINGS, memory, sizeof memory, &page), PAGE_EMPTY);
	memset(memory, 0, sizeof memory);
	assert_int_equal(page_open(PAGE_SETTINGS, memory, sizeof memory, &page), PAGE_EMPTY);
	assert_int_equal(page_open(PAGE_SETTINGS, memory, 0, &page), PAGE_EMPTY);
	make(PAGE_REPORT);
	assert_int_equal(page_open(PAGE_SETTINGS, memory, sizeof memory, &page), PAGE_EMPTY);
}

/* Power fails after any byte of the write: the rest is erased, or the old page. */
static void
half_a_page_is_none(void **state)
{
	struct page page;
	uint8_t whole[PAGE_SIZE_MAX];
	size_t n = make(PAGE_SETTINGS);

	(void)state;
	memcpy(whole, memory, sizeof whole);
	for (size_t cut = 0; cut < n; cut++) {
		memset(memory, 0xFF, sizeof memory);
		memcpy(memory, whole, cut);
		assert_int_equal(page_open(PAGE_SETTINGS, memory, sizeof memory, &page),
		                 cut < 8 ? PAGE_EMPTY : PAGE_DAMAGED);
		/* Exactly so much memory, to see an over-read. */
		if (cut > 0) {
			uint8_t *exact = malloc(cut);

			assert_non_null(exact);
			memcpy(exact, whole, cut);
			assert_int_not_equal(page_open(PAGE_SETTINGS, exact, cut, &page),
			                     PAGE_GOOD);
			free(exact);
		}
	}
	assert_int_equal(page_open(PAGE_SETTINGS, whole, n, &page), PAGE_GOOD);
	for (size_t bit = 0; bit < 8 * n; bit++) {
		whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(page_open(PAGE_SETTINGS, whole, n, &page), PAGE_GOOD);
		whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* The checksum as others compute it, to make pages that the writer would not. */
static void
seal(size_t records)
{
	uint32_t crc = 0xFFFFFFFF;

	memory[10] = (uint8_t)records;
	memory[11] = (uint8_t)(records >> 8);
	for (size_t i = 0; i < 16 + records; i++) {
		crc ^= memory[i];
		for (unsigned bit = 0; bit < 8; bit++) {
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320 : 0);
		}
	}
	for (unsigned i = 0; i < 4; i++) {
		memory[16 + records + i] = (uint8_t)(~crc >> 8 * i);
	}
}

static void
records_must_fit(void **state)
{
	static const struct {
		uint8_t records[12];
		size_t size;
		enum page_fault fault;
	} rows[] = {
		{ { 0 }, 0, PAGE_GOOD },
		{ { 2, 0, 1, 0, 'x' }, 5, PAGE_GOOD },
		{ { 200, 0, 0, 0, 2, 0, 1, 0, 'x' }, 9, PAGE_GOOD }, /* unknown: passed over */
		{ { 2, 0, 2, 0, 'x' }, 5, PAGE_DAMAGED },
		{ { 2, 0, 0xFF, 0xFF, 'x' }, 5, PAGE_DAMAGED },
		{ { 2, 1, 1, 0, 'x' }, 5, PAGE_DAMAGED },
		{ { 2, 0, 1 }, 3, PAGE_DAMAGED },
		{ { 2, 0, 0, 0, 9 }, 5, PAGE_DAMAGED },
	};
	struct page page;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		make(PAGE_SETTINGS);
		memcpy(memory + 16, rows[i].records, rows[i].size);
		seal(rows[i].size);
		assert_int_equal(page_open(PAGE_SETTINGS, memory, sizeof memory, &page),
		                 rows[i].fault);
	}
	/* The largest length that there is, and one more. */
	memset(memory + 16, 0, sizeof memory - 16);
	seal(PAGE_SIZE_MAX - 20);
	assert_int_equal(page_open(PAGE_SETTINGS, memory, sizeof memory, &page), PAGE_GOOD);
	memory[10]++;
	assert_int_equal(page_open(PAGE_SETTINGS, memory, sizeof memory, &page), PAGE_DAMAGED);
}

static void
newer_and_older_versions(void **state)
{
	struct page page;

	(void)state;
	make(PAGE_SETTINGS);
	memory[8] = 2;
	assert_int_equal(page_open(PAGE_SETTINGS, memory, sizeof memory, &page), PAGE_DAMAGED);
	seal(17);
	assert_int_equal(page_open(PAGE_SETTINGS, memory, sizeof memory, &page), PAGE_NEWER);
	memory[8] = 0;
	seal(17);
	assert_int_equal(page_open(PAGE_SETTINGS, memory, sizeof memory, &page), PAGE_DAMAGED);
}

static void
what_does_not_fit_is_said(void **state)
{
	static const uint8_t value[PAGE_SIZE_MAX];
	struct page_writer w;
	struct page page;

	(void)state;
	page_begin(&w, PAGE_SETTINGS, 1, memory, sizeof memory);
	page_add(&w, PAGE_CERTIFICATE, value, PAGE_SIZE_MAX - 24);
	assert_int_equal(page_end(&w), PAGE_SIZE_MAX);
	assert_int_equal(page_open(PAGE_SETTINGS, memory, sizeof memory, &page), PAGE_GOOD);
	page_begin(&w, PAGE_SETTINGS, 1, memory, sizeof memory);
	page_add(&w, PAGE_CERTIFICATE, value, PAGE_SIZE_MAX - 23);
	page_add(&w, PAGE_QOS, value, 1); /* would fit, but the page is not whole */
	assert_int_equal(page_end(&w), 0);
	for (size_t room = 0; room < 40; room++) {
		uint8_t *exact = malloc(room + 1);

		assert_non_null(exact);
		page_begin(&w, PAGE_SETTINGS, 1, exact, room);
		page_add(&w, PAGE_GATEWAY_PORT, value, 2);
		page_add(&w, PAGE_WIFI_PASSPHRASE, value, 0);
		assert_int_equal(page_end(&w), room < 30 ? 0 : 30);
		free(exact);
	}
	/* More than a page is never used. */
	page_begin(&w, PAGE_SETTINGS, 1, memory, SIZE_MAX);
	assert_int_equal(w.room, PAGE_SIZE_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_laid_out_as_written_down),
		cmocka_unit_test(what_was_added_is_found),
		cmocka_unit_test(other_flash_is_no_page),
		cmocka_unit_test(half_a_page_is_none),
		cmocka_unit_test(records_must_fit),
		cmocka_unit_test(newer_and_older_versions),
		cmocka_unit_test(what_does_not_fit_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
