/* SPDX-License-Identifier: BSD-2-Clause */
/* Fixed header, names and words, topics. */
#include "unit/cmocka_all.h"

#include <stdio.h>

#include "mqtt/mqtt.h"

static void
header_is_judged_byte_by_byte(void **state)
{
	static const struct {
		uint8_t bytes[6], len;
		int rc;
		uint8_t size;
		uint32_t remaining;
	} rows[] = {
		{ { 0 }, 0, ERR_MORE, 0, 0 },
		{ { 0x00 }, 1, ERR_MALFORMED, 0, 0 }, /* before any length */
		{ { 0x36 }, 1, ERR_MALFORMED, 0, 0 },
		{ { 0x20 }, 1, ERR_PROTOCOL, 0, 0 },
		{ { 0x30 }, 1, ERR_MORE, 0, 0 },
		{ { 0x30, 0x7f }, 2, 0, 2, 127 },
		{ { 0x30, 0x80 }, 2, ERR_MORE, 0, 0 },
		{ { 0x30, 0x80, 0x01 }, 3, 0, 3, 128 },
		{ { 0x30, 0xff, 0x7f, 9 }, 4, 0, 3, 16383 },
		{ { 0x30, 0xff, 0xff, 0xff }, 4, ERR_MORE, 0, 0 },
		{ { 0x30, 0x80, 0x80, 0x80, 0x01 }, 5, 0, 5, 2097152 },
		{ { 0x30, 0xff, 0xff, 0xff, 0x7f, 9 }, 6, 0, 5, VARINT_MAX },
		{ { 0x30, 0xff, 0xff, 0xff, 0xff }, 5, ERR_MALFORMED, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct mqtt_fixed f = { 0 };
		enum mqtt_reason reason = MQTT_SUCCESS;
		int rc = mqtt_decode_fixed(span_of(rows[i].bytes, rows[i].len), MQTT_FROM_CLIENT,
		                           MQTT_3_1_1, &f, &reason);

		assert_int_equal(rc, rows[i].rc);
		assert_int_equal(f.size, rows[i].size);
		assert_int_equal(f.remaining, rows[i].remaining);
		assert_int_equal(f.type, rc == 0 ? MQTT_PUBLISH : 0);
	}
}

static void
header_length_has_a_limit(void **state)
{
	uint8_t memory[8];
	struct writer w = writer_of(memory, sizeof memory);

	(void)state;
	mqtt_write_fixed(&w, MQTT_SUBSCRIBE, 2, VARINT_MAX);
	assert_false(w.bad);
	assert_memory_equal(memory, "\x82\xff\xff\xff\x7f", 5);
	mqtt_write_fixed(&w, MQTT_SUBSCRIBE, 2, (size_t)VARINT_MAX + 1);
	assert_true(w.bad);
}

static void
reasons_have_words(void **state)
{
	(void)state;
	assert_string_equal(mqtt_reason_text(MQTT_PACKET_TOO_LARGE), "packet too large");
	assert_string_equal(mqtt_reason_text(0x03), "reason 0x03 unknown");
	for (unsigned code = 0xa3; code < 256; code++) {
		char text[32];

		snprintf(text, sizeof text, "reason 0x%02x unknown", code);
		assert_string_equal(mqtt_reason_text((uint8_t)code), text);
	}
}

static void
reasons_have_return_codes(void **state)
{
	(void)state;
	assert_int_equal(mqtt_return_of(MQTT_SUCCESS), MQTT_RETURN_ACCEPTED);
	assert_int_equal(mqtt_return_of(MQTT_UNSUPPORTED_PROTOCOL_VERSION), MQTT_RETURN_VERSION);
	assert_int_equal(mqtt_return_of(MQTT_CLIENT_IDENTIFIER_NOT_VALID), MQTT_RETURN_IDENTIFIER);
	assert_int_equal(mqtt_return_of(MQTT_SERVER_UNAVAILABLE), MQTT_RETURN_UNAVAILABLE);
	assert_int_equal(mqtt_return_of(MQTT_QUOTA_EXCEEDED), MQTT_RETURN_UNAVAILABLE);
	assert_int_equal(mqtt_return_of(MQTT_BAD_USER_NAME_OR_PASSWORD), MQTT_RETURN_CREDENTIALS);
	assert_int_equal(mqtt_return_of(MQTT_NOT_AUTHORIZED), MQTT_RETURN_NOT_AUTHORIZED);
	for (unsigned code = 1; code < 256; code++) {
		assert_in_range(mqtt_return_of((uint8_t)code), 1, 5);
	}
}

static void
topics_follow_the_rules(void **state)
{
	static const struct {
		const char *text;
		bool name, filter;
	} rows[] = {
		{ "", false, false },
		{ "a", true, true },
		{ "/", true, true },
		{ "a//b/", true, true },
		{ " ", true, true },
		{ "$SYS/x", true, true },
		{ "+", false, true },
		{ "#", false, true },
		{ "/#", false, true },
		{ "+/+/#", false, true },
		{ "a/+/b", false, true },
		{ "a+", false, false },
		{ "+a", false, false },
		{ "a/b+/c", false, false },
		{ "a#", false, false },
		{ "a/#/b", false, false },
		{ "##", false, false },
		{ "#/", false, false },
		{ "\xc3\xa4/\xf0\x9f\x98\x80", true, true },
		{ "\xc3", false, false },
		{ "\xed\xa0\x80", false, false },
	};
	static uint8_t longest[65536];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(mqtt_topic_name_valid(span_str(rows[i].text)), rows[i].name);
		assert_int_equal(mqtt_topic_filter_valid(span_str(rows[i].text)), rows[i].filter);
	}
	memset(longest, 'a', sizeof longest);
	assert_true(mqtt_topic_name_valid(span_of(longest, 65535)));
	assert_false(mqtt_topic_name_valid(span_of(longest, 65536)));
	assert_true(mqtt_topic_filter_valid(span_of(longest, 65535)));
	assert_false(mqtt_topic_filter_valid(span_of(longest, 65536)));
	assert_false(mqtt_topic_name_valid(span_of("a\0b", 3)));
	assert_false(mqtt_topic_filter_valid(span_of("a\0b", 3)));
}

static void
shared_filters_are_split(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *group, *rest;
	} rows[] = {
		{ "a/b", 0, "", "" },
		{ "$share", 0, "", "" },
		{ "$shared/g/a", 0, "", "" },
		{ "$share/g/a", 1, "g", "a" },
		{ "$share/g//", 1, "g", "/" },
		{ "$share/my group/+/#", 1, "my group", "+/#" },
		{ "$share/", ERR_MALFORMED, "", "" },
		{ "$share/g", ERR_MALFORMED, "", "" },
		{ "$share/g/", ERR_MALFORMED, "", "" },
		{ "$share//a", ERR_MALFORMED, "", "" },
		{ "$share/g+/a", ERR_MALFORMED, "", "" },
		{ "$share/#/a", ERR_MALFORMED, "", "" },
		{ "$share/g/a#", ERR_MALFORMED, "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct span group = { 0 }, rest = { 0 };

		assert_int_equal(mqtt_split_shared(span_str(rows[i].text), &group, &rest),
		                 rows[i].rc);
		assert_true(span_eq_str(group, rows[i].group));
		assert_true(span_eq_str(rest, rows[i].rest));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_is_judged_byte_by_byte),
		cmocka_unit_test(header_length_has_a_limit),
		cmocka_unit_test(reasons_have_words),
		cmocka_unit_test(reasons_have_return_codes),
		cmocka_unit_test(topics_follow_the_rules),
		cmocka_unit_test(shared_filters_are_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
