/* SPDX-License-Identifier: BSD-2-Clause */
/* ClientHellos of real clients: whole, cut at every byte, in other records. */
#include "unit/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "diagnose/first_bytes.h"
#include "diagnose/hello.h"
#include "unit/diagnose_hellos.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct hello
hello_of(const uint8_t *bytes, size_t len)
{
	struct hello hello;

	assert_int_equal(hello_read(span_of(bytes, len), &hello), 0);
	return hello;
}

#define READ(name) hello_of(hello_##name, sizeof hello_##name)

static void
test_clients(void **state)
{
	static const enum hello_client client[COUNT(hellos)] = {
		HELLO_MODERN, HELLO_UNKNOWN, HELLO_OLD_TLS, HELLO_UNKNOWN, HELLO_WIFI_MODULE,
		HELLO_MODERN, HELLO_ARDUINO_NEW, HELLO_ARDUINO_NEW, HELLO_ARDUINO_OLD,
		HELLO_FIRMWARE,
	};

	(void)state;
	for (size_t i = 0; i < COUNT(hellos); i++) {
		struct hello hello = hello_of(hellos[i].bytes, hellos[i].len);

		assert_int_equal(hello_client(&hello), client[i]);
		assert_int_equal(hello_is_bearssl(&hello), i >= 6);
		assert_int_equal(first_bytes_kind(span_of(hellos[i].bytes, 16)), FIRST_TLS);
	}
}

/* What a gateway by our profile can talk to. */
static void
test_fit(void **state)
{
	static const bool fits[COUNT(hellos)] = {
		true, true, false, true, false, true, true, true, true, true
	};

	(void)state;
	for (size_t i = 0; i < COUNT(hellos); i++) {
		struct hello hello = hello_of(hellos[i].bytes, hellos[i].len);

		assert_int_equal(hello_fits_p256(&hello), fits[i]);
	}
}

/* One suite after the other, as scanners do: no WiFi module has fewer than its five. */
static void
test_scan_is_no_module(void **state)
{
	struct hello hello = READ(rsa_only);

	(void)state;
	assert_int_equal(hello.suites.count, 6);
	hello.suites.item[2] = hello.suites.item[1];
	assert_int_equal(hello_client(&hello), HELLO_UNKNOWN);
	hello = READ(rsa_only);
	hello.suites.item[1] = 0x00ff;
	hello.suites.count = 2;
	assert_int_equal(hello_client(&hello), HELLO_UNKNOWN);
}

static void
test_arduino_fields(void **state)
{
	static const uint16_t extensions[] = { 65281, 0, 1, 13, 10, 11 };
	static const uint16_t groups[] = { 23, 24, 25, 29 };
	struct hello hello = READ(arduino_new);

	(void)state;
	assert_int_equal(hello.version, 0x0303);
	assert_memory_equal(hello.random, "\0\0\0\0", 4);
	assert_int_equal(hello.session_id_len, 0);
	assert_string_equal(hello.sni, "gateway.local");
	assert_int_equal(hello.suites.count, 45);
	assert_int_equal(hello.suites.item[0], 0xcca9);
	assert_int_equal(hello.fragment_code, 1);
	assert_int_equal(hello.extensions.count, COUNT(extensions));
	assert_memory_equal(hello.extensions.item, extensions, sizeof extensions);
	assert_int_equal(hello.groups.count, COUNT(groups));
	assert_memory_equal(hello.groups.item, groups, sizeof groups);
	assert_int_equal(hello.signatures.count, 10);
	hello = READ(arduino_nosni);
	assert_false(hello.has_sni);
	assert_int_equal(hello.extensions.count, COUNT(extensions) - 1);
	hello = READ(arduino_old);
	assert_int_equal(hello.fragment_code, 4);
}

static void
test_other_fields(void **state)
{
	struct hello hello = READ(openssl);

	(void)state;
	assert_true(hello.has_ticket && hello.has_master_secret && hello.has_key_share);
	assert_int_equal(hello.session_id_len, 32);
	assert_int_equal(hello_newest(&hello), 0x0304);
	assert_true(hello_list_has(&hello.versions, 0x0303));
	assert_string_equal(hello.sni, "gateway.local");
	hello = READ(openssl11);
	assert_int_equal(hello_newest(&hello), 0x0302);
	hello = READ(firmware);
	assert_int_equal(hello.suites.count, 2);
	assert_int_equal(hello.signatures.count, 1);
}

/* In memory of exactly its size, so that an over-read is seen. */
static int
read_exact(const uint8_t *bytes, size_t len, struct hello *out)
{
	uint8_t *memory = malloc(len > 0 ? len : 1);
	int rc;

	assert_non_null(memory);
	if (len > 0) {
		memcpy(memory, bytes, len);
	}
	rc = hello_read(span_of(memory, len), out);
	free(memory);
	return rc;
}

static void
test_cut_everywhere(void **state)
{
	struct hello hello;

	(void)state;
	for (size_t i = 0; i < COUNT(hellos); i++) {
		for (size_t len = 0; len < hellos[i].len; len++) {
			assert_int_equal(read_exact(hellos[i].bytes, len, &hello), ERR_MORE);
		}
		assert_int_equal(read_exact(hellos[i].bytes, hellos[i].len, &hello), 0);
	}
}

/* The same message in two records, split at every byte, gives the same facts. */
static void
test_two_records(void **state)
{
	struct hello whole = READ(arduino_new), parts;
	const uint8_t *message = hello_arduino_new + 5;
	size_t len = sizeof hello_arduino_new - 5;
	uint8_t bytes[sizeof hello_arduino_new + 5];

	(void)state;
	for (size_t at = 1; at < len; at++) {
		memcpy(bytes, "\x16\3\1\0", 4);
		bytes[4] = (uint8_t)at;
		memcpy(bytes + 5, message, at);
		memcpy(bytes + 5 + at, "\x16\3\1\0", 4);
		bytes[9 + at] = (uint8_t)(len - at);
		memcpy(bytes + 10 + at, message + at, len - at);
		assert_int_equal(read_exact(bytes, len + 10, &parts), 0);
		assert_memory_equal(&parts, &whole, sizeof whole);
		assert_int_equal(read_exact(bytes, at + 7, &parts), ERR_MORE);
	}
}

/* Each length field one too large or too small: refused, or at least not over-read. */
static void
test_wrong_bytes(void **state)
{
	struct hello hello;

	(void)state;
	for (size_t i = 0; i < COUNT(hellos); i++) {
		uint8_t bytes[512];

		for (size_t at = 0; at < hellos[i].len; at++) {
			static const int change[] = { -1, 1, 0x80, 0xff };

			for (size_t c = 0; c < COUNT(change); c++) {
				memcpy(bytes, hellos[i].bytes, hellos[i].len);
				bytes[at] = (uint8_t)(bytes[at] + change[c]);
				(void)!read_exact(bytes, hellos[i].len, &hello);
			}
		}
	}
}

static void
test_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int rc;
	} cases[] = {
		{ "\x15\3\3\0\2\2\x28", 7, ERR_MALFORMED },
		{ "\x16\3\3\0\0", 5, ERR_MALFORMED },
		{ "\x16\2\3\0\4", 5, ERR_MALFORMED },
		{ "\x16\3\3\xff\xff\1", 6, ERR_MALFORMED },
		{ "\x16\3\3\0\4\2\0\0\0", 9, ERR_MALFORMED }, /* a ServerHello */
		{ "\x16\3\3\0\4\1\0\0\0", 9, ERR_MALFORMED }, /* empty */
		{ "\x16\3\3\0\4\1\1\0\0", 9, ERR_LIMIT },
		{ "\x16\3\3\x10\0\1\0\x1f\xfc", 9, ERR_MORE },
	};
	struct hello hello;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(read_exact((const uint8_t *)cases[i].bytes, cases[i].len, &hello),
		                 cases[i].rc);
	}
}

/* The same extension twice, and a server name that would spoil a log. */
static void
test_hostile(void **state)
{
	uint8_t bytes[sizeof hello_firmware];
	struct hello hello;

	(void)state;
	memcpy(bytes, hello_firmware, sizeof bytes);
	/* Extension 11 at the end becomes another 10. */
	assert_int_equal(bytes[sizeof bytes - 5], 11);
	bytes[sizeof bytes - 5] = 10;
	assert_int_equal(read_exact(bytes, sizeof bytes, &hello), ERR_MALFORMED);
	memcpy(bytes, hello_firmware, sizeof bytes);
	for (size_t i = 0; i + 7 < sizeof bytes; i++) {
		if (memcmp(bytes + i, "gateway", 7) == 0) {
			memcpy(bytes + i, "g\n\0\x1b\xff y", 7);
		}
	}
	assert_int_equal(read_exact(bytes, sizeof bytes, &hello), 0);
	assert_string_equal(hello.sni, "g?????y.local");
}

#define FIRST(text, kind) { text, sizeof(text) - 1, FIRST_##kind }

static void
test_first_bytes(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum first_bytes kind;
	} cases[] = {
		FIRST("", NOTHING),
		FIRST("\x10\x1a\0\4MQTT\4", MQTT),
		FIRST("\x10\xac\1\0\6MQIsdp\3", MQTT),
		FIRST("\x10\x80\x80\x80\1\0\4MQTT", MQTT),
		FIRST("\x10\x80\x80\x80\x80\0\4MQTT", OTHER),
		FIRST("\x10\x1a\0\4MQT", OTHER),
		FIRST("\x30\x1a\0\4MQTT", OTHER),
		FIRST("GET / HTTP/1.1\r\n", HTTP),
		FIRST("POST /x", HTTP),
		FIRST("HEAD /", HTTP),
		FIRST("PUT /", HTTP),
		FIRST("GETTING", OTHER),
		FIRST("CONNECT a:443", PROXY),
		FIRST("SSH-2.0-x", SSH),
		FIRST("\x80\x2e\1\0\2\0\x15", SSL2),
		FIRST("\x80\x2e\1\3\1\0\x15", SSL2),
		FIRST("\x80\x2e\4\0\2", OTHER),
		FIRST("\x16", TLS),
		FIRST("\x16\3\1\0\xd5\1", TLS),
		FIRST("\x16\3\1\x48\0\1", TLS),
		FIRST("\x16\3\1\x48\1\1", TLS_TOO_LONG),
		FIRST("\x16\4\1\0\5\1", OTHER),
		FIRST("\x15\3\3\0\2\2\x28", TLS_ALERT),
		FIRST("\x17\3\3\0\2", TLS_DATA),
		FIRST("\x14\3\3\0\1\1", TLS_CIPHER),
		FIRST("\x18\3\3\0\1\1", OTHER),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(first_bytes_kind(span_of(cases[i].bytes, cases[i].len)),
		                 cases[i].kind);
		assert_non_null(first_bytes_text(cases[i].kind));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_scan_is_no_module),
		cmocka_unit_test(test_arduino_fields),
		cmocka_unit_test(test_other_fields),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_two_records),
		cmocka_unit_test(test_wrong_bytes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_first_bytes),
	};

	return cmocka_run_group_tests_name("hello", tests, NULL, NULL);
}
