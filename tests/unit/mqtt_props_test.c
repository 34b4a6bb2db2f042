/* SPDX-License-Identifier: BSD-2-Clause */
/* Properties: where each may stand, which values it may have, and edits. */
#include "unit/cmocka_all.h"

#include <stdio.h>

#include "mqtt/mqtt_int.h"
#include "unit/mqtt_walk.h"

enum { C = MQTT_FROM_CLIENT, S = MQTT_FROM_SERVER };

static int
read_text(const char *text, unsigned where, int sender, struct mqtt_props *out,
          enum mqtt_reason *reason, uint8_t *memory, size_t size)
{
	struct reader r = reader_of(span_of(memory, mqtt_bytes(text, memory, size)));

	*reason = MQTT_SUCCESS;
	return mqtt_read_props(&r, where, (enum mqtt_sender)sender, out, reason);
}

#define W (1u << MQTT_IN_WILL)
#define P(type) (1u << MQTT_##type)

/* Table 2-4 once more, written down from the specification independently. */
static const struct place {
	uint8_t id;
	const char *value, *bad_value; /* bad: well formed but out of range */
	unsigned client, server;
} places[] = {
	{ 1, "01", "02", P(PUBLISH) | W, P(PUBLISH) },
	{ 2, "00000000", NULL, P(PUBLISH) | W, P(PUBLISH) },
	{ 3, "<>", NULL, P(PUBLISH) | W, P(PUBLISH) },
	{ 8, "<'r'>", "<>", P(PUBLISH) | W, P(PUBLISH) },
	{ 9, "<ff>", NULL, P(PUBLISH) | W, P(PUBLISH) },
	{ 11, "ffffff7f", "00", P(SUBSCRIBE), P(PUBLISH) },
	{ 17, "00000000", NULL, P(CONNECT) | P(DISCONNECT), P(CONNACK) },
	{ 18, "<'c'>", NULL, 0, P(CONNACK) },
	{ 19, "0000", NULL, 0, P(CONNACK) },
	{ 21, "<'m'>", NULL, P(CONNECT) | P(AUTH), P(CONNACK) | P(AUTH) },
	{ 22, "<ff>", NULL, P(CONNECT) | P(AUTH), P(CONNACK) | P(AUTH) },
	{ 23, "00", "02", P(CONNECT), 0 },
	{ 24, "00000000", NULL, W, 0 },
	{ 25, "01", "ff", P(CONNECT), 0 },
	{ 26, "<'i'>", NULL, 0, P(CONNACK) },
	{ 28, "<'s'>", NULL, 0, P(CONNACK) | P(DISCONNECT) },
	{ 31, "<'r'>", NULL, P(PUBACK) | P(PUBREC) | P(PUBREL) | P(PUBCOMP) | P(DISCONNECT) | P(AUTH),
	  P(CONNACK) | P(PUBACK) | P(PUBREC) | P(PUBREL) | P(PUBCOMP) | P(SUBACK) | P(UNSUBACK) |
	          P(DISCONNECT) | P(AUTH) },
	{ 33, "0001", "0000", P(CONNECT), P(CONNACK) },
	{ 34, "0000", NULL, P(CONNECT), P(CONNACK) },
	{ 35, "0001", "0000", P(PUBLISH), P(PUBLISH) },
	{ 36, "01", "02", 0, P(CONNACK) },
	{ 37, "00", "02", 0, P(CONNACK) },
	{ 38, "<'k'><'v'>", NULL,
	  P(CONNECT) | W | P(PUBLISH) | P(PUBACK) | P(PUBREC) | P(PUBREL) | P(PUBCOMP) | P(SUBSCRIBE) |
	          P(UNSUBSCRIBE) | P(DISCONNECT) | P(AUTH),
	  P(CONNACK) | P(PUBLISH) | P(PUBACK) | P(PUBREC) | P(PUBREL) | P(PUBCOMP) | P(SUBACK) |
	          P(UNSUBACK) | P(DISCONNECT) | P(AUTH) },
	{ 39, "00000001", "00000000", P(CONNECT), P(CONNACK) },
	{ 40, "00", "02", 0, P(CONNACK) },
	{ 41, "00", "02", 0, P(CONNACK) },
	{ 42, "01", "80", 0, P(CONNACK) },
};

static const struct place *
place_of(unsigned id)
{
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		if (places[i].id == id) {
			return &places[i];
		}
	}
	return NULL;
}

static bool
may_repeat(unsigned id, unsigned where)
{
	return id == MQTT_PROP_USER_PROPERTY ||
	       (id == MQTT_PROP_SUBSCRIPTION_IDENTIFIER && where == MQTT_PUBLISH);
}

/* One property alone, twice, and with a bad value, in one packet of one sender. */
static void
check_place(const struct place *p, unsigned where, int sender)
{
	unsigned here = 1u << where;
	bool allowed = ((sender == C ? p->client : p->server) & here) != 0;
	int other = ((p->client | p->server) & here) != 0 ? ERR_PROTOCOL : ERR_MALFORMED;
	struct mqtt_props props;
	enum mqtt_reason reason;
	uint8_t memory[128];
	char text[128];

	snprintf(text, sizeof text, "{%02x %s}", p->id, p->value);
	assert_int_equal(read_text(text, where, sender, &props, &reason, memory, sizeof memory),
	                 allowed ? 0 : other);
	if (!allowed) {
		assert_int_equal(reason, other == ERR_PROTOCOL ? 0x82 : 0x81);
		return;
	}
	assert_int_equal(props.present, UINT64_C(1) << p->id);
	snprintf(text, sizeof text, "{%02x %s %02x %s}", p->id, p->value, p->id, p->value);
	assert_int_equal(read_text(text, where, sender, &props, &reason, memory, sizeof memory),
	                 may_repeat(p->id, where) ? 0 : ERR_PROTOCOL);
	if (p->bad_value != NULL) {
		snprintf(text, sizeof text, "{%02x %s}", p->id, p->bad_value);
		assert_int_equal(read_text(text, where, sender, &props, &reason, memory,
		                           sizeof memory), ERR_PROTOCOL);
		assert_int_equal(reason, p->id == MQTT_PROP_TOPIC_ALIAS ? 0x94 : 0x82);
	}
}

static void
every_property_has_its_places(void **state)
{
	(void)state;
	for (unsigned id = 0; id < 128; id++) {
		const struct place *p = place_of(id);
		const struct place unknown = { .id = (uint8_t)id, .value = "0000" };

		for (unsigned where = 0; where <= MQTT_AUTH; where++) {
			check_place(p != NULL ? p : &unknown, where, C);
			check_place(p != NULL ? p : &unknown, where, S);
		}
	}
}

static void
values_end_with_the_list(void **state)
{
	struct mqtt_props props;
	enum mqtt_reason reason;
	uint8_t memory[128];

	(void)state;
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		unsigned where = 0;
		int sender = places[i].client != 0 ? C : S;
		unsigned mask = sender == C ? places[i].client : places[i].server;
		uint8_t bytes[64];
		size_t len = mqtt_bytes(places[i].value, bytes, sizeof bytes);

		while ((mask >> where & 1) == 0) {
			where++;
		}
		/* What follows the list would complete the value: it must not. */
		for (size_t cut = 0; cut < len; cut++) {
			struct writer w = writer_of(memory, sizeof memory);
			struct reader r;

			write_varint(&w, (uint32_t)(1 + cut));
			write_u8(&w, places[i].id);
			write_bytes(&w, span_of(bytes, len));
			r = reader_of(writer_span(&w));
			assert_int_equal(mqtt_read_props(&r, where, (enum mqtt_sender)sender,
			                                 &props, &reason), ERR_MALFORMED);
			assert_int_equal(reason, MQTT_MALFORMED_PACKET);
		}
	}
}

static void
lists_are_bounded(void **state)
{
	static const char *const bad[] = {
		"",                   /* no length */
		"80",                 /* length cut */
		"8000",               /* length not minimal */
		"8080808001",         /* length of five bytes */
		"01",                 /* longer than what is there */
		"{a600 <'k'><'v'>}",  /* identifier not minimal */
		"{26 <00><'v'>}",     /* NUL in a name */
		"{26 <'k'><'v'00>}",  /* NUL in a value */
		"{26 <'k'><ff>}",     /* not UTF-8 */
		"{26 <'k'>}",         /* value missing */
		"{1f <c0af>}",        /* overlong */
	};
	struct mqtt_props props;
	enum mqtt_reason reason;
	uint8_t memory[64];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(read_text(bad[i], MQTT_DISCONNECT, C, &props, &reason, memory,
		                           sizeof memory), ERR_MALFORMED);
		assert_int_equal(reason, MQTT_MALFORMED_PACKET);
	}
}

static void
values_are_found(void **state)
{
	struct mqtt_props props;
	enum mqtt_reason reason;
	uint8_t memory[128];
	struct reader at;
	struct mqtt_prop p;

	(void)state;
	assert_int_equal(read_text("{01 01 02 01020304 0b 8001 0b 05 23 0102 03<'text'>"
	                           " 26<'k'><'v'> 26<'k'><'w'>}", MQTT_PUBLISH, S, &props,
	                           &reason, memory, sizeof memory), 0);
	assert_int_equal(mqtt_props_number(&props, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, 9), 1);
	assert_int_equal(mqtt_props_number(&props, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, 9), 0x01020304);
	assert_int_equal(mqtt_props_number(&props, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, 9), 128);
	assert_int_equal(mqtt_props_number(&props, MQTT_PROP_TOPIC_ALIAS, 9), 0x0102);
	assert_int_equal(mqtt_props_number(&props, MQTT_PROP_RECEIVE_MAXIMUM, 9), 9);
	assert_true(span_eq_str(mqtt_props_string(&props, MQTT_PROP_CONTENT_TYPE), "text"));
	assert_int_equal(mqtt_props_string(&props, MQTT_PROP_RESPONSE_TOPIC).len, 0);
	at = reader_of(props.raw);
	for (int i = 0; i < 8; i++) {
		assert_true(mqtt_props_next(&at, &p));
	}
	assert_int_equal(p.id, MQTT_PROP_USER_PROPERTY);
	assert_true(span_eq_str(p.text, "k"));
	assert_true(span_eq_str(p.value, "w"));
	assert_int_equal(p.raw.len, 7);
	assert_false(mqtt_props_next(&at, &p));
	assert_false(mqtt_props_next(&at, &p));
}

#define NUMBER(i, n) { .id = (i), .what = MQTT_EDIT_NUMBER, .number = (n) }
#define STRING(i, t) { .id = (i), .what = MQTT_EDIT_STRING, .text = { (const uint8_t *)(t), sizeof(t) - 1 } }
#define REMOVE(i) { .id = (i), .what = MQTT_EDIT_REMOVE }

static void
edits_are_exact(void **state)
{
	static const struct {
		const char *before;
		struct mqtt_edit edits[3];
		size_t count;
		const char *after;
	} rows[] = {
		{ "{}", { { 0 } }, 0, "{}" },
		{ "{26<'k'><'v'>01 00}", { { 0 } }, 0, "{26<'k'><'v'>01 00}" },
		{ "{}", { REMOVE(8) }, 1, "{}" },
		{ "{}", { STRING(8, "r/t") }, 1, "{08<'r/t'>}" },
		{ "{26<'a'><'b'>08<'x'>26<'c'><'d'>}", { STRING(8, "longer") }, 1,
		  "{26<'a'><'b'>08<'longer'>26<'c'><'d'>}" },
		{ "{26<'a'><'b'>08<'x'>26<'c'><'d'>}", { STRING(8, "") }, 1,
		  "{26<'a'><'b'>08<>26<'c'><'d'>}" },
		{ "{26<'a'><'b'>08<'x'>01 01}", { REMOVE(8) }, 1, "{26<'a'><'b'>01 01}" },
		{ "{26<'a'><'b'>01 01 26<'c'><'d'>}", { REMOVE(38) }, 1, "{01 01}" },
		{ "{01 01}", { NUMBER(1, 0), NUMBER(2, 5), NUMBER(35, 258) }, 3,
		  "{01 00 02 00000005 23 0102}" },
		{ "{0b 01 02 00000001}", { NUMBER(11, 16384), REMOVE(2) }, 2, "{0b 808001}" },
		{ "{01 01}", { STRING(9, "\1\2"), STRING(9, "unused") }, 2, "{01 01 09<0102>}" },
		{ "{23 0001}", { REMOVE(35), NUMBER(35, 7) }, 2, "{}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t memory[128], expected[128], made[128];
		size_t len = mqtt_bytes(rows[i].after, expected, sizeof expected);
		struct writer w = writer_of(made, sizeof made);
		struct mqtt_props props;
		enum mqtt_reason reason;

		assert_int_equal(read_text(rows[i].before, MQTT_PUBLISH, S, &props, &reason,
		                           memory, sizeof memory), 0);
		mqtt_props_write(&w, &props, rows[i].edits, rows[i].count);
		assert_false(w.bad);
		assert_int_equal(writer_len(&w), len);
		assert_memory_equal(made, expected, len);
		assert_int_equal(mqtt_props_edited_size(&props, rows[i].edits, rows[i].count), len);
	}
}

static void
impossible_edits_are_noticed(void **state)
{
	static const struct mqtt_edit rows[] = {
		STRING(MQTT_PROP_RECEIVE_MAXIMUM, "a number"),
		NUMBER(MQTT_PROP_RESPONSE_TOPIC, 1),
		NUMBER(MQTT_PROP_TOPIC_ALIAS, 65536),
		NUMBER(MQTT_PROP_MAXIMUM_QOS, 256),
		NUMBER(MQTT_PROP_SUBSCRIPTION_IDENTIFIER, VARINT_MAX + 1),
		STRING(MQTT_PROP_USER_PROPERTY, "name"),
		STRING(4, "no such property"),
	};
	const struct mqtt_props none = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t made[64];
		struct writer w = writer_of(made, sizeof made);

		mqtt_props_write(&w, &none, &rows[i], 1);
		assert_true(w.bad);
	}
}

/* The length field of the list itself grows from one byte to two and back. */
static void
edits_move_the_length(void **state)
{
	static uint8_t text[200];
	struct mqtt_edit edit = { .id = MQTT_PROP_CONTENT_TYPE, .what = MQTT_EDIT_STRING };
	const struct mqtt_props none = { 0 };

	(void)state;
	memset(text, 'x', sizeof text);
	for (size_t len = 120; len < 130; len++) {
		uint8_t made[256];
		struct writer w = writer_of(made, sizeof made);
		struct mqtt_props again;
		enum mqtt_reason reason;
		struct reader r;

		edit.text = span_of(text, len);
		mqtt_props_write(&w, &none, &edit, 1);
		assert_int_equal(writer_len(&w), (len + 3 < 128 ? 1 : 2) + 3 + len);
		assert_int_equal(mqtt_props_edited_size(&none, &edit, 1), writer_len(&w));
		r = reader_of(writer_span(&w));
		assert_int_equal(mqtt_read_props(&r, MQTT_PUBLISH, MQTT_FROM_SERVER, &again,
		                                 &reason), 0);
		assert_int_equal(mqtt_props_string(&again, MQTT_PROP_CONTENT_TYPE).len, len);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_property_has_its_places),
		cmocka_unit_test(values_end_with_the_list),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(values_are_found),
		cmocka_unit_test(edits_are_exact),
		cmocka_unit_test(impossible_edits_are_noticed),
		cmocka_unit_test(edits_move_the_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
