/* SPDX-License-Identifier: BSD-2-Clause */
/* The small pure parts: text, messages, date, backoff, report page, LED. */
#include <stdbool.h>
#include <string.h>

#include "app/backoff.h"
#include "app/message.h"
#include "app/report.h"
#include "app/text.h"
#include "app/wall.h"
#include "provision/page.h"
#include "unit/cmocka_all.h"

static void
formats_text(void **state)
{
	char out[32];

	(void)state;
	assert_int_equal(text_format(out, sizeof out, "%s %u %d %lu %lx %02u%c%%", "ab", 7u, -12,
	                             4294967295ul, 0xBEEFul, 5u, 'x'), 29);
	assert_string_equal(out, "ab 7 -12 4294967295 beef 05x%");
	assert_int_equal(text_format(out, 5, "%s", "longer"), 4);
	assert_string_equal(out, "long");
	text_format(out, sizeof out, "%d", -2147483647 - 1);
	assert_string_equal(out, "-2147483648");
	text_hex(out, (const uint8_t *)"\x01\xAF", 2);
	assert_string_equal(out, "01AF");
	text_base64(out, (const uint8_t *)"\xFB\xEF\xFF\x00", 4);
	assert_string_equal(out, "++//AA==");
	text_base64(out, (const uint8_t *)"Man 9", 5);
	assert_string_equal(out, "TWFuIDk=");
}

static void
writes_readings(void **state)
{
	char out[96];
	size_t n;

	(void)state;
	n = message_reading(out, sizeof out, "desk", 7, true, 2150);
	assert_string_equal(out, "{\"ID\":\"desk\",\"RN\":7,\"Temp\":21.50}");
	assert_int_equal(n, strlen(out));
	message_reading(out, sizeof out, "a\"b\\c", 4294967295u, true, -5);
	assert_string_equal(out, "{\"ID\":\"a\\\"b\\\\c\",\"RN\":4294967295,\"Temp\":-0.05}");
	message_reading(out, sizeof out, "x", 1, false, 2150);
	assert_string_equal(out, "{\"ID\":\"x\",\"RN\":1,\"Temp\":null}");
	for (size_t room = 8; room <= n; room++) {
		assert_int_equal(message_reading(out, room, "desk", 7, true, 2150), 0);
	}
	message_reading(out, sizeof out, "x", 1, true, -32768);
	assert_string_equal(out, "{\"ID\":\"x\",\"RN\":1,\"Temp\":-327.68}");
}

static void
obeys_commands(void **state)
{
	static const struct {
		const char *text;
		bool on;
	} commands[] = { { "1", true }, { "1 please", true }, { "ON", true }, { "on", true },
		         { "0", false }, { "OFF", false }, { "", false }, { "one", false },
		         { "O", false } };

	(void)state;
	for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		assert_int_equal(message_led((const uint8_t *)commands[i].text,
		                             strlen(commands[i].text)), commands[i].on);
	}
}

static void
keeps_the_date(void **state)
{
	const uint32_t floor = 1800000000;
	struct wall w;

	(void)state;
	wall_start(&w, floor, 0xFFFFFF00);
	wall_tick(&w, 0xFFFFFF00 + 1500); /* over the wrap */
	wall_tick(&w, 0xFFFFFF00 + 2000);
	assert_int_equal(w.now, floor + 2);
	wall_network(&w, 0);
	wall_network(&w, floor - 1);
	assert_false(w.from_network);
	wall_network(&w, floor + 1);
	assert_true(w.from_network);
	assert_int_equal(w.now, floor + 2); /* never backwards */
	wall_network(&w, floor + 86400);
	assert_int_equal(w.now, floor + 86400);
	wall_network(&w, floor + 21u * 365 * 86400);
	assert_int_equal(w.now, floor + 86400);
	wall_start(&w, 0, 0);
	wall_tick(&w, 5000);
	assert_int_equal(w.now, 0); /* not known stays not known */
	wall_network(&w, 1000000000);
	assert_int_equal(w.now, 0);
	wall_network(&w, floor);
	assert_int_equal(w.now, floor);
}

static void
backs_off(void **state)
{
	(void)state;
	assert_int_equal(backoff_ms(0, 0), 1000);
	assert_int_equal(backoff_ms(1, 0), 1000);
	assert_int_equal(backoff_ms(1, 1000), 2000);
	assert_int_equal(backoff_ms(3, 0), 4000);
	for (unsigned n = 1; n < 100; n++) {
		for (uint32_t random = 0; random < 5; random++) {
			uint32_t wait = backoff_ms(n, random * 0x3FFFFFFF);

			assert_in_range(wait, 1000, BACKOFF_MOST_MS);
		}
	}
	assert_in_range(backoff_ms(4000000000u, 77), BACKOFF_MOST_MS / 2, BACKOFF_MOST_MS);
}

/* Blinks of a code within one round, by their length. */
static void
count_blinks(enum report code, unsigned *longs, unsigned *shorts)
{
	unsigned on = 0;

	*longs = *shorts = 0;
	for (uint32_t ms = 0; ms < 40000; ms += 10) {
		if (report_blink(code, ms)) {
			on += 10;
			continue;
		}
		*longs += on == 1000;
		*shorts += on == 200;
		assert_true(on == 0 || on == 1000 || on == 200);
		on = 0;
		/* two seconds of dark: the round is over */
		bool dark = true;
		for (uint32_t ahead = 0; ahead < 1900 && dark; ahead += 10) {
			dark = !report_blink(code, ms + ahead);
		}
		if (dark) {
			return;
		}
	}
}

static void
blinks_codes(void **state)
{
	(void)state;
	for (unsigned code = 1; code < 60; code++) {
		unsigned longs, shorts;

		count_blinks((enum report)code, &longs, &shorts);
		assert_int_equal(longs, code / 10);
		assert_int_equal(shorts, code % 10);
	}
	assert_false(report_blink(REPORT_NONE, 0));
}

static void
has_a_sentence_for_every_code(void **state)
{
	static const int codes[] = { 0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17,
		                     40, 41, 42, 43, 44, 45, 46, 47, 50, 51 };

	(void)state;
	for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		assert_string_not_equal(report_text((enum report)codes[i]), "TLS failed");
	}
	assert_string_equal(report_text((enum report)25), "TLS failed");
}

static void
writes_the_report_page_once(void **state)
{
	static uint8_t present[PAGE_SIZE_MAX], next[REPORT_PAGE_MAX];
	struct report_facts facts = { .state = REPORT_NOT_PROVISIONED, .has_serial = true,
		                      .has_key = true, .has_wifi = true, .chip = 3,
		                      .csr = { 0x30, 1, 2, 3 }, .csr_size = 220 };
	struct report_facts known;
	struct page page;
	const uint8_t *value;
	size_t size;

	(void)state;
	facts.public_key[5] = 9;
	memset(present, 0xFF, sizeof present);
	report_recall(&known, present);
	assert_false(known.has_serial || known.has_key || known.has_wifi || known.csr_size != 0);
	size = report_page(&facts, present, next, sizeof next);
	assert_in_range(size, 300, REPORT_PAGE_MAX);
	memcpy(present, next, size);
	assert_int_equal(report_page(&facts, present, next, sizeof next), 0); /* nothing new */
	report_recall(&known, present);
	assert_int_equal(known.state, REPORT_NONE);
	known.state = facts.state;
	assert_int_equal(report_page(&known, present, next, sizeof next), 0); /* all recalled */
	facts.state = REPORT_LINK_LOST;
	size = report_page(&facts, present, next, sizeof next);
	assert_true(size > 0);
	assert_int_equal(page_open(PAGE_REPORT, next, sizeof next, &page), PAGE_GOOD);
	assert_int_equal(page.generation, 2);
	assert_true(page_find(&page, PAGE_STATE, &value, &size));
	assert_int_equal(size, 1);
	assert_int_equal(value[0], REPORT_LINK_LOST);
	present[20] ^= 1; /* torn: written anew */
	assert_true(report_page(&facts, present, next, sizeof next) > 0);
	assert_int_equal(report_page(&facts, present, next, 100), 0);
}

static void
spares_the_flash(void **state)
{
	struct report_budget b;
	unsigned written = 0;
	const uint32_t month_ms = 30u * 86400 * 1000;

	(void)state;
	report_budget_start(&b, 5);
	for (uint32_t ms = 5; ms < month_ms; ms += 10000) {
		written += report_budget_take(&b, ms);
	}
	assert_in_range(written, 100, REPORT_WRITES + 30 * 4);
	report_budget_start(&b, 0xFFFFFFFF);
	for (unsigned i = 0; i < REPORT_WRITES; i++) {
		assert_true(report_budget_take(&b, 100));
	}
	assert_false(report_budget_take(&b, 100));
	assert_true(report_budget_take(&b, REPORT_REFILL_MS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_text),
		cmocka_unit_test(writes_readings),
		cmocka_unit_test(obeys_commands),
		cmocka_unit_test(keeps_the_date),
		cmocka_unit_test(backs_off),
		cmocka_unit_test(blinks_codes),
		cmocka_unit_test(has_a_sentence_for_every_code),
		cmocka_unit_test(writes_the_report_page_once),
		cmocka_unit_test(spares_the_flash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
