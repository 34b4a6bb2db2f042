/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/cmocka_all.h"

#include "base/batch.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/cursor.h"
#include "base/list.h"
#include "base/log.h"
#include "base/utf8.h"

static void
reader_never_runs_over(void **state)
{
	static const uint8_t bytes[] = { 0x00, 0x03, 'a', 'b' };
	struct reader r = reader_of(span_of(bytes, sizeof bytes));
	struct span s = read_block(&r);

	(void)state;
	assert_true(r.bad);
	assert_int_equal(s.len, 0);
	assert_int_equal(read_u8(&r), 0); /* sticky */
}

static void
varint_has_one_form(void **state)
{
	static const struct {
		uint8_t bytes[5];
		uint8_t len;
		uint32_t value;
		bool bad;
	} rows[] = {
		{ { 0x00 }, 1, 0, false },
		{ { 0x7f }, 1, 127, false },
		{ { 0x80, 0x01 }, 2, 128, false },
		{ { 0xff, 0xff, 0xff, 0x7f }, 4, VARINT_MAX, false },
		{ { 0x80, 0x00 }, 2, 0, true },                   /* longer than needed */
		{ { 0xff, 0xff, 0xff, 0xff, 0x01 }, 5, 0, true }, /* five bytes */
		{ { 0x80 }, 1, 0, true },                         /* cut */
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct reader r = reader_of(span_of(rows[i].bytes, rows[i].len));
		uint32_t value = read_varint(&r);

		assert_int_equal(r.bad, rows[i].bad);
		assert_int_equal(value, rows[i].value);
		if (!rows[i].bad) {
			uint8_t made[4];
			struct writer w = writer_of(made, sizeof made);

			write_varint(&w, value);
			assert_int_equal(writer_len(&w), varint_size(value));
			assert_memory_equal(made, rows[i].bytes, writer_len(&w));
		}
	}
}

static void
writer_stops_at_its_end(void **state)
{
	uint8_t memory[4] = { 9, 9, 9, 9 };
	struct writer w = writer_of(memory, 3);

	(void)state;
	write_u16(&w, 1);
	write_u16(&w, 2);
	assert_true(w.bad);
	assert_int_equal(memory[3], 9);
	assert_int_equal(writer_len(&w), 2);
}

static void
buf_is_a_queue(void **state)
{
	struct buf b = { 0 };
	uint8_t next_in = 0, next_out = 0;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		uint8_t chunk[97];
		size_t n = round % sizeof chunk;

		for (size_t i = 0; i < n; i++) {
			chunk[i] = next_in++;
		}
		assert_int_equal(buf_append(&b, span_of(chunk, n)), 0);
		n = (round * 7) % (buf_len(&b) + 1);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(buf_span(&b).ptr[i], next_out++);
		}
		buf_consume(&b, n);
	}
	buf_release(&b);
	assert_null(b.memory);
}

static void
batch_joins_neighbours(void **state)
{
	static const uint8_t bytes[] = "abcdef";
	struct batch b;

	(void)state;
	assert_int_equal(batch_init(&b, 8), 0);
	assert_int_equal(batch_ref(&b, span_of(bytes, 2)), 0);
	assert_int_equal(batch_ref(&b, span_of(bytes + 2, 2)), 0);
	assert_int_equal(b.count, 1);
	assert_int_equal(batch_copy(&b, span_of("xy", 2)), 0);
	assert_int_equal(batch_copy(&b, span_of("z", 1)), 0);
	assert_int_equal(b.count, 2);
	assert_int_equal(b.bytes, 7);
	assert_memory_equal(b.piece[1].iov_base, "xyz", 3);
	assert_int_equal(batch_copy(&b, span_of(bytes, 6)), ERR_FULL);
	assert_int_equal(b.bytes, 7);
	batch_deinit(&b);
}

static void
list_survives_removal(void **state)
{
	struct list head, node[3], *at, *after;
	int seen = 0;

	(void)state;
	list_init(&head);
	for (int i = 0; i < 3; i++) {
		list_append(&head, &node[i]);
	}
	list_each(at, after, &head) {
		list_remove(at);
		list_remove(at);
		seen++;
	}
	assert_int_equal(seen, 3);
	assert_true(list_empty(&head));
	assert_null(list_take(&head));
}

static void
utf8_is_strict(void **state)
{
	(void)state;
	assert_true(utf8_valid(span_str("Gr\xc3\xb6\xc3\x9f" "e \xf0\x9f\x98\x80")));
	assert_false(utf8_valid(span_str("\xc0\x80")));         /* overlong */
	assert_false(utf8_valid(span_str("\xed\xa0\x80")));     /* surrogate */
	assert_false(utf8_valid(span_str("\xf4\x90\x80\x80"))); /* beyond 10FFFF */
	assert_false(utf8_valid(span_str("a\xe2\x82")));        /* cut */
	assert_true(utf8_valid(span_of("a\0b", 3)));
	assert_false(utf8_valid_mqtt(span_of("a\0b", 3)));
	assert_true(utf8_valid_mqtt(span_str("a\x01" "b")));
	assert_false(utf8_valid_strict(span_str("a\x01" "b")));
	assert_false(utf8_valid_strict(span_str("a\xc2\x85")));     /* C1 */
	assert_false(utf8_valid_strict(span_str("\xef\xbf\xbf"))); /* FFFF */
}

static void
log_lines_cannot_be_forged(void **state)
{
	char line[128];
	struct log_field fields[] = {
		log_str("device", "a b\n\"x\" level=error"),
		log_span("raw", span_of("\xff\x00", 2)),
		log_int("n", -5),
		{ 0 },
	};

	(void)state;
	log_format(line, sizeof line, LOG_LEVEL_INFO, LOG_SESSION, "hello", fields);
	assert_string_equal(line, "info session: hello device=\"a b\\x0a\\x22x\\x22 "
	                          "level=error\" raw=\"\\xff\\x00\" n=-5");
	assert_int_equal(log_format(line, 8, LOG_LEVEL_INFO, LOG_SESSION, "hello", fields), 7);
}

static void
clock_text_is_utc(void **state)
{
	char text[CLOCK_TEXT_SIZE];

	(void)state;
	assert_string_equal(clock_text(0, text), "1970-01-01T00:00:00Z");
	assert_string_equal(clock_text(1798761599, text), "2026-12-31T23:59:59Z");
	clock_fake(5, 7);
	assert_int_equal(clock_ms(), 5);
	assert_int_equal(clock_wall(), 7);
	clock_real();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reader_never_runs_over),
		cmocka_unit_test(varint_has_one_form),
		cmocka_unit_test(writer_stops_at_its_end),
		cmocka_unit_test(buf_is_a_queue),
		cmocka_unit_test(batch_joins_neighbours),
		cmocka_unit_test(list_survives_removal),
		cmocka_unit_test(utf8_is_strict),
		cmocka_unit_test(log_lines_cannot_be_forged),
		cmocka_unit_test(clock_text_is_utc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
