/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings pages, good and bad. */
#include <stdbool.h>
#include <string.h>

#include "app/settings.h"
#include "unit/cmocka_all.h"

/* The outline of a certificate around that key head; only the key is looked for. */
static const uint8_t certificate[] = {
	0x30, 0x68, 0x30, 0x66, 0x02, 0x01, 0x05, 0x30, 0x00, 0x30, 0x00, 0x30, 0x00, 0x30, 0x00,
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08,
	0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
	1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6,
	7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4,
	5, 6, 7, 8,
};
static const uint8_t anchor_dn[] = { 0x30, 0x02, 0x31, 0x00 };
static const uint8_t anchor_key[65] = { 4, 9 };

struct record {
	enum page_record type;
	const void *value;
	size_t size;
};
#define TEXT(type, text) { type, text, sizeof(text) - 1 }
#define BYTES(type, bytes) { type, bytes, sizeof(bytes) }

static const struct record good[] = {
	TEXT(PAGE_WIFI_SSID, "home"),
	TEXT(PAGE_WIFI_PASSPHRASE, "12345678"),
	TEXT(PAGE_GATEWAY_HOST, "192.0.2.1"),
	BYTES(PAGE_ANCHOR_DN, anchor_dn),
	BYTES(PAGE_ANCHOR_KEY, anchor_key),
	BYTES(PAGE_CERTIFICATE, certificate),
};
#define GOOD (sizeof good / sizeof good[0])

static uint8_t memory[PAGE_SIZE_MAX];

/* The good records, with one in place of the one of its type, or added. */
static void
write_page(const struct record *changed, int left_out)
{
	struct page_writer w;
	bool added = changed == NULL;

	memset(memory, 0xFF, sizeof memory);
	page_begin(&w, PAGE_SETTINGS, 3, memory, sizeof memory);
	for (unsigned i = 0; i < GOOD; i++) {
		const struct record *r = &good[i];

		if ((int)i == left_out) {
			continue;
		}
		if (!added && changed->type == r->type) {
			r = changed;
			added = true;
		}
		page_add(&w, r->type, r->value, r->size);
	}
	if (!added) {
		page_add(&w, changed->type, changed->value, changed->size);
	}
	assert_true(page_end(&w) > 0);
}

static enum settings_state
read_page(struct settings *s)
{
	const char *why;
	enum settings_state state = settings_read(memory, s, &why);

	assert_int_equal(state == SETTINGS_DAMAGED, why != NULL);
	return state;
}

static void
fills_in_what_is_not_said(void **state)
{
	struct settings s;

	(void)state;
	write_page(NULL, -1);
	assert_int_equal(read_page(&s), SETTINGS_COMPLETE);
	assert_string_equal(s.ssid, "home");
	assert_string_equal(s.passphrase, "12345678");
	assert_string_equal(s.host, "192.0.2.1");
	assert_int_equal(s.port, 8883);
	assert_string_equal(s.name, "");
	assert_string_equal(s.publish_topic, "Home");
	assert_string_equal(s.subscribe_topic, "inTopic");
	assert_int_equal(s.interval, 5);
	assert_int_equal(s.qos, 1);
	assert_int_equal(s.clock, 0);
	assert_false(s.consent || s.ecdh_in_chip || s.wait_for_time);
	assert_memory_equal(s.certificate, certificate, sizeof certificate);
	assert_int_equal(s.certificate_size, sizeof certificate);
	assert_int_equal(s.anchor_dn_size, sizeof anchor_dn);
	assert_int_equal(s.anchor_key[1], 9);
}

static const struct {
	struct record record;
	bool good;
} changes[] = {
	{ TEXT(PAGE_WIFI_SSID, ""), false },
	{ TEXT(PAGE_WIFI_SSID, "12345678901234567890123456789012"), true },
	{ TEXT(PAGE_WIFI_SSID, "123456789012345678901234567890123"), false },
	{ TEXT(PAGE_WIFI_SSID, "a\nb"), false },
	{ TEXT(PAGE_WIFI_SSID, "a\0b"), false },
	{ TEXT(PAGE_WIFI_PASSPHRASE, ""), true },
	{ TEXT(PAGE_WIFI_PASSPHRASE, "1234567"), false },
	{ TEXT(PAGE_WIFI_PASSPHRASE,
	       "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdefABCD"), true },
	{ TEXT(PAGE_WIFI_PASSPHRASE,
	       "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdefABCx"), false },
	{ TEXT(PAGE_WIFI_PASSPHRASE,
	       "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdefABCDE"), false },
	{ TEXT(PAGE_GATEWAY_HOST, ""), false },
	{ TEXT(PAGE_GATEWAY_HOST, "a b"), false },
	{ TEXT(PAGE_GATEWAY_HOST,
	       "the-longest-name-that-the-wifi-module-asks-for-has-63-bytes.lan"), true },
	{ TEXT(PAGE_GATEWAY_HOST,
	       "a-longer-name-than-the-wifi-module-asks-for-has-64-bytes-or-more"), false },
	{ TEXT(PAGE_GATEWAY_PORT, "\xB3\x22"), true },
	{ TEXT(PAGE_GATEWAY_PORT, "\0\0"), false },
	{ TEXT(PAGE_GATEWAY_PORT, "\x22"), false },
	{ TEXT(PAGE_GATEWAY_PORT, "\xB3\x22\0"), false },
	{ TEXT(PAGE_ANCHOR_DN, "\x30\x03\x31\0"), false },
	{ TEXT(PAGE_ANCHOR_KEY, "\x04"), false },
	{ { PAGE_ANCHOR_KEY, certificate, 65 }, false },
	{ { PAGE_CERTIFICATE, certificate, sizeof certificate - 1 }, false },
	{ { PAGE_CERTIFICATE, certificate, 0 }, false },
	{ TEXT(PAGE_CLOCK, "\0\0\x53\x6B"), true },
	{ TEXT(PAGE_CLOCK, "\0\0\0\0"), false },
	{ TEXT(PAGE_DEVICE_NAME, "desk"), true },
	{ TEXT(PAGE_DEVICE_NAME, ""), false },
	{ TEXT(PAGE_DEVICE_NAME,
	       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0"), false },
	{ TEXT(PAGE_PUBLISH_TOPIC, "a/b"), true },
	{ TEXT(PAGE_PUBLISH_TOPIC, "a/+"), false },
	{ TEXT(PAGE_PUBLISH_TOPIC, "#"), false },
	{ TEXT(PAGE_SUBSCRIBE_TOPIC, "a/+"), true },
	{ TEXT(PAGE_SUBSCRIBE_TOPIC, ""), false },
	{ TEXT(PAGE_INTERVAL, "\x3C\0"), true },
	{ TEXT(PAGE_INTERVAL, "\0\0"), false },
	{ TEXT(PAGE_ECDH, "\1"), true },
	{ TEXT(PAGE_ECDH, "\2"), false },
	{ TEXT(PAGE_SNTP, "\1"), true },
	{ TEXT(PAGE_SNTP, ""), false },
	{ TEXT(PAGE_QOS, "\0"), true },
	{ TEXT(PAGE_QOS, "\2"), false },
	{ TEXT(PAGE_CONSENT_LOCK, "\1"), true },
	{ TEXT(PAGE_CONSENT_LOCK, "\xFF"), false },
	{ TEXT((enum page_record)200, "something that we do not know"), true },
};

static void
checks_every_record(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		struct settings s;

		write_page(&changes[i].record, -1);
		assert_int_equal(read_page(&s),
		                 changes[i].good ? SETTINGS_COMPLETE : SETTINGS_DAMAGED);
	}
}

static void
wants_all_or_nothing(void **state)
{
	struct settings s;
	struct page_writer w;

	(void)state;
	for (unsigned i = 0; i < GOOD; i++) {
		bool optional = good[i].type == PAGE_WIFI_PASSPHRASE;

		write_page(NULL, (int)i);
		assert_int_equal(read_page(&s), optional ? SETTINGS_COMPLETE : SETTINGS_DAMAGED);
	}
	memset(memory, 0xFF, sizeof memory);
	assert_int_equal(read_page(&s), SETTINGS_NONE);
	page_begin(&w, PAGE_SETTINGS, 1, memory, sizeof memory);
	page_add(&w, PAGE_CONSENT_LOCK, "\1", 1);
	assert_true(page_end(&w) > 0);
	assert_int_equal(read_page(&s), SETTINGS_NONE);
	assert_true(s.consent);
}

static void
refuses_a_damaged_page(void **state)
{
	struct settings s;

	(void)state;
	for (unsigned at = 8; at < 60; at++) {
		write_page(NULL, -1);
		memory[at] ^= 0x40;
		assert_int_equal(read_page(&s), SETTINGS_DAMAGED);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_in_what_is_not_said),
		cmocka_unit_test(checks_every_record),
		cmocka_unit_test(wants_all_or_nothing),
		cmocka_unit_test(refuses_a_damaged_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
