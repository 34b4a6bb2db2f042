/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/cmocka_all.h"

#include "base/batch.h"
#include "base/buf.h"
#include "base/chain.h"
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

/* What is kept for long takes no more than it is, and is a queue still. */
static void
buf_fits(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf_fit(&b);
	assert_null(b.memory);
	assert_int_equal(buf_append(&b, span_str("xkept")), 0);
	buf_consume(&b, 1);
	buf_fit(&b);
	assert_int_equal(b.size, 4);
	assert_true(span_eq(buf_span(&b), span_str("kept")));
	assert_int_equal(buf_append(&b, span_str(", and more")), 0);
	assert_true(span_eq(buf_span(&b), span_str("kept, and more")));
	buf_consume(&b, buf_len(&b));
	buf_fit(&b);
	assert_null(b.memory);
}

/* Read all of a chain where it lies; every piece but the last two is whole. */
static void
assert_chain_holds(const struct chain *c, uint8_t next)
{
	struct iovec piece[8];
	size_t bytes, sum = 0;
	unsigned count = chain_pieces(c, piece, 8, &bytes);

	assert_in_range(count, 0, 7); /* so that nothing is left out */
	for (unsigned i = 0; i < count; i++) {
		const uint8_t *at = piece[i].iov_base;

		assert_int_not_equal(piece[i].iov_len, 0);
		for (size_t k = 0; k < piece[i].iov_len; k++) {
			assert_int_equal(at[k], next++);
		}
		sum += piece[i].iov_len;
	}
	assert_int_equal(sum, c->bytes);
	assert_int_equal(bytes, c->bytes);
}

static void
chain_is_a_queue(void **state)
{
	static uint8_t chunk[50000];
	struct chain c = { 0 };
	uint8_t next_in = 0, next_out = 0;
	uint32_t random = 1;

	(void)state;
	for (unsigned round = 0; round < 600; round++) {
		size_t n;

		random = random * 1103515245 + 12345;
		n = c.bytes > 40000 ? 0 : (random >> 8) % (round % 3 == 0 ? sizeof chunk : 100);
		for (size_t i = 0; i < n; i++) {
			chunk[i] = next_in++;
		}
		assert_int_equal(chain_append(&c, span_of(chunk, n)), 0);
		assert_chain_holds(&c, next_out);
		n = round % 7 == 0 ? c.bytes : (random >> 4) % (c.bytes + 1);
		chain_consume(&c, n);
		next_out = (uint8_t)(next_out + n);
		assert_chain_holds(&c, next_out);
		assert_true((c.bytes == 0) == (c.first == NULL));
	}
	chain_release(&c);
	assert_null(c.first);
}

/* Bytes that are with the kernel may not move. */
static void
chain_appends_without_moving(void **state)
{
	static const uint8_t more[40000];
	struct chain c = { 0 };
	struct iovec before, after;
	size_t bytes;

	(void)state;
	assert_int_equal(chain_append(&c, span_of("abc", 3)), 0);
	assert_int_equal(chain_pieces(&c, &before, 1, &bytes), 1);
	assert_int_equal(bytes, 3);
	assert_int_equal(chain_append(&c, span_of(more, sizeof more)), 0);
	assert_int_equal(chain_pieces(&c, &after, 1, &bytes), 1);
	assert_ptr_equal(before.iov_base, after.iov_base);
	assert_in_range(bytes, 4, c.bytes - 1); /* no more pieces than asked for */
	chain_consume(&c, 3);
	assert_int_equal(chain_pieces(&c, &after, 1, &bytes), 1);
	assert_ptr_equal((uint8_t *)before.iov_base + 3, after.iov_base);
	chain_release(&c);
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
	assert_int_equal(utf8_head(span_str("a\xe2\x82\xac"), 9).len, 4);
	assert_int_equal(utf8_head(span_str("a\xe2\x82\xac"), 4).len, 4);
	assert_int_equal(utf8_head(span_str("a\xe2\x82\xac"), 3).len, 1);
	assert_int_equal(utf8_head(span_str("a\xe2\x82\xac"), 2).len, 1);
	assert_int_equal(utf8_head(span_str("a\xe2\x82\xac"), 1).len, 1);
	assert_int_equal(utf8_head(span_str("a\xe2\x82\xac"), 0).len, 0);
	assert_int_equal(utf8_head(span_str("a\xf0\x9f\x98"), 9).len, 1); /* cut already */
	assert_int_equal(utf8_head(span_str("\x80\x80\x80\x80"), 9).len, 4); /* not for it to judge */
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
	/* A control of two bytes; its neighbours are letters. */
	fields[0] = log_str("device", "\xc2\x9b" "2J");
	fields[1] = log_str("raw", "\xc2\xa0\xc3\x9f");
	log_format(line, sizeof line, LOG_LEVEL_INFO, LOG_SESSION, "hello", fields);
	assert_string_equal(line, "info session: hello device=\"\\xc2\\x9b2J\" raw=\xc2\xa0\xc3\x9f "
	                          "n=-5");
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
		cmocka_unit_test(buf_fits),
		cmocka_unit_test(chain_is_a_queue),
		cmocka_unit_test(chain_appends_without_moving),
		cmocka_unit_test(batch_joins_neighbours),
		cmocka_unit_test(list_survives_removal),
		cmocka_unit_test(utf8_is_strict),
		cmocka_unit_test(log_lines_cannot_be_forged),
		cmocka_unit_test(clock_text_is_utc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
