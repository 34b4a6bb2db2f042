/* SPDX-License-Identifier: BSD-2-Clause */
/* Exact bytes in, exact fields out; exact fields in, exact bytes out. */
#include "unit/cmocka_all.h"

#include "unit/mqtt_walk.h"

static uint8_t memory[512];
static enum mqtt_reason reason;

static struct span
bytes(const char *text)
{
	return span_of(memory, mqtt_bytes(text, memory, sizeof memory));
}

static void
assert_bytes(struct writer *w, const char *text)
{
	uint8_t expected[512];
	size_t len = mqtt_bytes(text, expected, sizeof expected);

	assert_false(w->bad);
	assert_int_equal(writer_len(w), len);
	assert_memory_equal(w->start, expected, len);
}

#define assert_span(s, text) assert_true(span_eq_str((s), (text)))

static void
connect_of_3_1(void **state)
{
	struct mqtt_connect c;

	(void)state;
	assert_int_equal(mqtt_decode_connect(bytes("<'MQIsdp'>03 cc 000a <'id'><'w'><'m'><'u'><'p'>"),
	                                     &c, &reason), 0);
	assert_int_equal(c.version, MQTT_3_1);
	assert_false(c.clean_start);
	assert_true(c.has_will && c.has_username && c.has_password && !c.will_retain);
	assert_int_equal(c.will_qos, 1);
	assert_int_equal(c.keep_alive, 10);
	assert_span(c.client_id, "id");
	assert_span(c.will_topic, "w");
	assert_span(c.will_payload, "m");
	assert_span(c.username, "u");
	assert_span(c.password, "p");
	assert_int_equal(c.props.present | c.will_props.present, 0);
}

static void
connect_of_3_1_1(void **state)
{
	struct mqtt_connect c;

	(void)state;
	assert_int_equal(mqtt_decode_connect(bytes("<'MQTT'>04 36 ffff <> <'a/b'><>"), &c, &reason), 0);
	assert_int_equal(c.version, MQTT_3_1_1);
	assert_true(c.clean_start && c.has_will && c.will_retain);
	assert_false(c.has_username || c.has_password);
	assert_int_equal(c.will_qos, 2);
	assert_int_equal(c.keep_alive, 65535);
	assert_int_equal(c.client_id.len, 0);
	assert_span(c.will_topic, "a/b");
	assert_int_equal(c.will_payload.len, 0);
}

static void
connect_of_5(void **state)
{
	struct mqtt_connect c;

	(void)state;
	assert_int_equal(mqtt_decode_connect(bytes("<'MQTT'>05 c4 0001 {11 00000e10 27 00010000}"
	                                           "<'id'>{18 00000005 08<'r'>}<'w'><'m'>"
	                                           "<'u'><00ff>"), &c, &reason), 0);
	assert_int_equal(c.version, MQTT_5);
	assert_int_equal(mqtt_props_number(&c.props, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 0), 3600);
	assert_int_equal(mqtt_props_number(&c.props, MQTT_PROP_MAXIMUM_PACKET_SIZE, 0), 65536);
	assert_int_equal(mqtt_props_number(&c.will_props, MQTT_PROP_WILL_DELAY_INTERVAL, 0), 5);
	assert_span(mqtt_props_string(&c.will_props, MQTT_PROP_RESPONSE_TOPIC), "r");
	assert_span(c.client_id, "id");
	assert_span(c.will_topic, "w");
	assert_true(span_eq(c.password, span_of("\0\xff", 2)));
}

static void
refused_connect_tells_the_version(void **state)
{
	static const struct {
		const char *text;
		int version;
	} rows[] = {
		{ "", MQTT_3_1_1 },
		{ "<'HTTP'>01", MQTT_3_1_1 },
		{ "<'MQIsdp'>04", MQTT_3_1 },
		{ "<'MQTT'>03", MQTT_3_1_1 },
		{ "<'MQTT'>84", MQTT_3_1_1 },
		{ "<'MQTT'>85", MQTT_5 },
		{ "<'MQTT'>06", MQTT_5 },
		{ "<'MQTT'>05 01", MQTT_5 },
		{ "<'MQTT'>05 02 0000 {01 00}", MQTT_5 },
		{ "<'MQTT'>04 02 0000 <'c'>00", MQTT_3_1_1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct mqtt_connect c;

		assert_true(mqtt_decode_connect(bytes(rows[i].text), &c, &reason) < 0);
		assert_int_equal(c.version, rows[i].version);
		assert_int_equal(c.client_id.len, 0);
	}
}

/* As the relay does it: other identity, no password, mapped will, larger limit. */
static void
connect_is_written_with_changes(void **state)
{
	static const struct mqtt_edit edits[] = {
		{ .id = MQTT_PROP_MAXIMUM_PACKET_SIZE, .what = MQTT_EDIT_NUMBER, .number = 0x1100 },
	};
	static const struct mqtt_edit will_edits[] = {
		{ .id = MQTT_PROP_RESPONSE_TOPIC, .what = MQTT_EDIT_STRING,
		  .text = { (const uint8_t *)"x/r", 3 } },
	};
	uint8_t made[512];
	struct writer w = writer_of(made, sizeof made);
	struct mqtt_connect c;

	(void)state;
	assert_int_equal(mqtt_decode_connect(bytes("<'MQTT'>05 c6 0001 {27 00001000 21 0001}<'id'>"
	                                           "{26<'a'><'b'>08<'r'>}<'w'><'m'><'u'><'p'>"),
	                                     &c, &reason), 0);
	c.client_id = span_str("dev.id");
	c.username = span_str("dev");
	c.has_password = false;
	c.will_topic = span_str("x/w");
	mqtt_write_connect(&w, &c, edits, 1, will_edits, 1);
	assert_bytes(&w, "10{<'MQTT'>05 86 0001 {27 00001100 21 0001}<'dev.id'>"
	                 "{26<'a'><'b'>08<'x/r'>}<'x/w'><'m'><'dev'>}");
	assert_int_equal(mqtt_connect_size(&c, edits, 1, will_edits, 1), writer_len(&w));
	for (size_t size = 0, full = writer_len(&w); size < full; size++) {
		w = writer_of(made, size);
		mqtt_write_connect(&w, &c, edits, 1, will_edits, 1);
		assert_true(w.bad);
	}
}

static void
connack_fields(void **state)
{
	static const struct mqtt_edit drop = { .id = MQTT_PROP_SERVER_REFERENCE };
	struct mqtt_connack a;
	uint8_t made[64];
	struct writer w = writer_of(made, sizeof made);

	(void)state;
	assert_int_equal(mqtt_decode_connack(bytes("01 00"), MQTT_3_1_1, &a, &reason), 0);
	assert_true(a.session_present);
	mqtt_write_connack(&w, MQTT_3_1, &a, NULL, 0);
	assert_bytes(&w, "20{00 00}");
	assert_int_equal(mqtt_decode_connack(bytes("00 05"), MQTT_3_1, &a, &reason), 0);
	assert_int_equal(a.code, MQTT_RETURN_NOT_AUTHORIZED);
	assert_int_equal(mqtt_decode_connack(bytes("00 9d {1c<'b'>21 0014}"), MQTT_5, &a, &reason), 0);
	assert_false(a.session_present);
	assert_int_equal(a.code, MQTT_SERVER_MOVED);
	assert_int_equal(mqtt_props_number(&a.props, MQTT_PROP_RECEIVE_MAXIMUM, 0), 20);
	w = writer_of(made, sizeof made);
	mqtt_write_connack(&w, MQTT_5, &a, &drop, 1);
	assert_bytes(&w, "20{00 9d {21 0014}}");
}

static void
publish_head_is_told_early(void **state)
{
	struct mqtt_fixed f = { .type = MQTT_PUBLISH, .flags = 2, .remaining = 1000 };

	(void)state;
	assert_int_equal(mqtt_publish_head(bytes(""), &f, MQTT_3_1_1), ERR_MORE);
	assert_int_equal(mqtt_publish_head(bytes("00"), &f, MQTT_3_1_1), ERR_MORE);
	assert_int_equal(mqtt_publish_head(bytes("0010"), &f, MQTT_3_1_1), 20);
	assert_int_equal(mqtt_publish_head(bytes("0010"), &f, MQTT_5), ERR_MORE);
	assert_int_equal(mqtt_publish_head(bytes("0001 'a' 0001"), &f, MQTT_5), ERR_MORE);
	assert_int_equal(mqtt_publish_head(bytes("0001 'a' 0001 80"), &f, MQTT_5), ERR_MORE);
	assert_int_equal(mqtt_publish_head(bytes("0001 'a' 0001 8001"), &f, MQTT_5), 5 + 2 + 128);
	assert_int_equal(mqtt_publish_head(bytes("03e5"), &f, MQTT_3_1_1), ERR_MALFORMED);
	assert_int_equal(mqtt_publish_head(bytes("03e4"), &f, MQTT_3_1_1), 1000);
	assert_int_equal(mqtt_publish_head(bytes("03e4"), &f, MQTT_5), ERR_MALFORMED);
	assert_int_equal(mqtt_publish_head(bytes("0001 'a' 0001 ff7f"), &f, MQTT_5), ERR_MALFORMED);
	f.remaining = 3; /* shorter than any PUBLISH with QoS 1 */
	assert_int_equal(mqtt_publish_head(bytes(""), &f, MQTT_3_1_1), ERR_MALFORMED);
}

static void
publish_fields(void **state)
{
	static const struct mqtt_edit edit = { .id = MQTT_PROP_RESPONSE_TOPIC,
		.what = MQTT_EDIT_STRING, .text = { (const uint8_t *)"d/r", 3 } };
	struct mqtt_fixed f = { .type = MQTT_PUBLISH, .flags = 0x0d, .remaining = 100 };
	struct mqtt_publish p;
	uint8_t made[64];
	struct writer w = writer_of(made, sizeof made);

	(void)state;
	assert_int_equal(mqtt_decode_publish(bytes("<'a/b'>1234"), &f, MQTT_FROM_CLIENT, MQTT_3_1,
	                                     &p, &reason), 0);
	assert_int_equal(p.flags, 0x0d);
	assert_int_equal(p.packet_id, 0x1234);
	assert_int_equal(p.payload, 100 - 7);
	assert_span(p.topic, "a/b");
	f = (struct mqtt_fixed){ .type = MQTT_PUBLISH, .flags = 1, .remaining = 70000 };
	assert_int_equal(mqtt_decode_publish(bytes("<'a'>{23 0007 08<'r'>}"), &f, MQTT_FROM_CLIENT,
	                                     MQTT_5, &p, &reason), 0);
	assert_int_equal(p.packet_id, 0);
	assert_int_equal(p.payload, 70000 - 11);
	assert_int_equal(mqtt_props_number(&p.props, MQTT_PROP_TOPIC_ALIAS, 0), 7);
	p.topic = span_str("d/a");
	mqtt_write_publish(&w, &p, MQTT_5, &edit, 1);
	assert_bytes(&w, "31 f4a204 <'d/a'>{23 0007 08<'d/r'>}");
	assert_int_equal(mqtt_publish_size(&p, MQTT_5, &edit, 1), 4 + 70004);
}

static void
publish_longer_than_any_packet(void **state)
{
	struct mqtt_publish p = { .topic = { (const uint8_t *)"a", 1 }, .payload = VARINT_MAX };
	uint8_t made[64];
	struct writer w = writer_of(made, sizeof made);

	(void)state;
	mqtt_write_publish(&w, &p, MQTT_3_1_1, NULL, 0);
	assert_true(w.bad);
	p.payload -= 3;
	w = writer_of(made, sizeof made);
	mqtt_write_publish(&w, &p, MQTT_3_1_1, NULL, 0);
	assert_bytes(&w, "30 ffffff7f <'a'>");
}

static void
ack_fields(void **state)
{
	struct mqtt_ack a;
	uint8_t made[MQTT_ACK_MAX];
	struct writer w = writer_of(made, sizeof made);

	(void)state;
	assert_int_equal(mqtt_decode_ack(MQTT_PUBACK, bytes("0102"), MQTT_FROM_CLIENT, MQTT_3_1,
	                                 &a, &reason), 0);
	assert_int_equal(a.packet_id, 0x0102);
	assert_int_equal(a.reason, 0);
	assert_int_equal(mqtt_decode_ack(MQTT_PUBREC, bytes("0102 97"), MQTT_FROM_SERVER, MQTT_5,
	                                 &a, &reason), 0);
	assert_int_equal(a.reason, MQTT_QUOTA_EXCEEDED);
	assert_int_equal(a.props.raw.len, 0);
	assert_int_equal(mqtt_decode_ack(MQTT_PUBCOMP, bytes("0102 92{1f<'x'>}"), MQTT_FROM_CLIENT,
	                                 MQTT_5, &a, &reason), 0);
	assert_span(mqtt_props_string(&a.props, MQTT_PROP_REASON_STRING), "x");
	mqtt_write_ack(&w, MQTT_PUBREL, MQTT_5, 7, MQTT_PACKET_IDENTIFIER_NOT_FOUND);
	assert_bytes(&w, "62{0007 92}");
	w = writer_of(made, sizeof made);
	mqtt_write_ack(&w, MQTT_PUBACK, MQTT_5, 7, MQTT_SUCCESS);
	assert_bytes(&w, "40{0007}");
	w = writer_of(made, sizeof made);
	mqtt_write_ack(&w, MQTT_PUBREC, MQTT_3_1_1, 7, MQTT_NOT_AUTHORIZED);
	assert_bytes(&w, "50{0007}");
}

static void
filter_fields(void **state)
{
	struct mqtt_filters list;
	struct mqtt_filter f;

	(void)state;
	assert_int_equal(mqtt_decode_filters(MQTT_SUBSCRIBE, bytes("0102{0b 07}<'a/+'>2d<'#'>00"),
	                                     MQTT_5, &list, &reason), 0);
	assert_int_equal(list.packet_id, 0x0102);
	assert_int_equal(list.count, 2);
	assert_int_equal(mqtt_props_number(&list.props, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, 0), 7);
	assert_true(mqtt_filter_next(&list, MQTT_SUBSCRIBE, &f));
	assert_span(f.filter, "a/+");
	assert_int_equal(f.options, 0x2d);
	assert_true(mqtt_filter_next(&list, MQTT_SUBSCRIBE, &f));
	assert_span(f.filter, "#");
	assert_int_equal(f.options, 0);
	assert_false(mqtt_filter_next(&list, MQTT_SUBSCRIBE, &f));
	assert_int_equal(mqtt_decode_filters(MQTT_UNSUBSCRIBE, bytes("0102<'a'>"), MQTT_3_1, &list,
	                                     &reason), 0);
	assert_int_equal(list.count, 1);
	assert_true(mqtt_filter_next(&list, MQTT_UNSUBSCRIBE, &f));
	assert_span(f.filter, "a");
	assert_false(mqtt_filter_next(&list, MQTT_UNSUBSCRIBE, &f));
}

static void
code_fields(void **state)
{
	struct mqtt_codes c;
	uint8_t made[64];
	struct writer w = writer_of(made, sizeof made);

	(void)state;
	assert_int_equal(mqtt_decode_codes(MQTT_SUBACK, bytes("0102 000180"), MQTT_3_1_1, &c,
	                                   &reason), 0);
	assert_int_equal(c.packet_id, 0x0102);
	assert_true(span_eq(c.codes, span_of("\0\1\x80", 3)));
	c.codes = span_of("\x80\2", 2);
	mqtt_write_codes(&w, MQTT_SUBACK, MQTT_5, &c);
	assert_bytes(&w, "90{0102{}8002}");
	assert_int_equal(mqtt_codes_size(&c, MQTT_5), writer_len(&w));
	assert_int_equal(mqtt_decode_codes(MQTT_UNSUBACK, bytes("0102{1f<'x'>}1100"), MQTT_5, &c,
	                                   &reason), 0);
	assert_true(span_eq(c.codes, span_of("\x11\0", 2)));
	assert_span(mqtt_props_string(&c.props, MQTT_PROP_REASON_STRING), "x");
	assert_int_equal(mqtt_decode_codes(MQTT_UNSUBACK, bytes("0102"), MQTT_3_1, &c, &reason), 0);
	assert_int_equal(c.codes.len, 0);
}

static void
disconnect_fields(void **state)
{
	static const struct mqtt_edit drop = { .id = MQTT_PROP_SERVER_REFERENCE };
	struct mqtt_disconnect d;
	uint8_t made[64];
	struct writer w = writer_of(made, sizeof made);

	(void)state;
	assert_int_equal(mqtt_decode_disconnect(MQTT_DISCONNECT, bytes("04{11 0000000a}"),
	                                        MQTT_FROM_CLIENT, MQTT_5, &d, &reason), 0);
	assert_int_equal(d.reason, MQTT_DISCONNECT_WITH_WILL);
	assert_int_equal(mqtt_props_number(&d.props, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 0), 10);
	assert_int_equal(mqtt_decode_disconnect(MQTT_DISCONNECT, bytes("9c{1c<'b'>}"),
	                                        MQTT_FROM_SERVER, MQTT_5, &d, &reason), 0);
	mqtt_write_disconnect_edited(&w, MQTT_DISCONNECT, &d, &drop, 1);
	assert_bytes(&w, "e0{9c}");
	w = writer_of(made, sizeof made);
	mqtt_write_disconnect(&w, MQTT_SERVER_SHUTTING_DOWN, span_str("bye"));
	assert_bytes(&w, "e0{8b{1f<'bye'>}}");
	w = writer_of(made, sizeof made);
	mqtt_write_disconnect(&w, MQTT_PROTOCOL_ERROR, span_of(NULL, 0));
	assert_bytes(&w, "e0{82}");
	w = writer_of(made, sizeof made);
	mqtt_write_disconnect(&w, MQTT_SUCCESS, span_of(NULL, 0));
	assert_bytes(&w, "e0{}");
	assert_int_equal(mqtt_decode_disconnect(MQTT_AUTH, bytes("18{15<'m'>16<00>}"),
	                                        MQTT_FROM_SERVER, MQTT_5, &d, &reason), 0);
	w = writer_of(made, sizeof made);
	mqtt_write_disconnect_edited(&w, MQTT_AUTH, &d, NULL, 0);
	assert_bytes(&w, "f0{18{15<'m'>16<00>}}");
}

/* What the fixed header keeps away, or a careless caller brings. */
static void
decoders_do_not_trust_their_caller(void **state)
{
	struct mqtt_fixed f = { .type = MQTT_PUBLISH, .remaining = 2 };
	struct mqtt_disconnect d;
	struct mqtt_publish p;
	uint8_t made[8];
	struct writer w = writer_of(made, sizeof made);
	const struct mqtt_props huge = { .raw = { made, (size_t)VARINT_MAX + 1 } };

	(void)state;
	assert_int_equal(mqtt_decode_publish(bytes("<'a'>"), &f, MQTT_FROM_CLIENT, MQTT_3_1_1, &p,
	                                     &reason), ERR_MALFORMED);
	f.remaining = 100;
	assert_int_equal(mqtt_decode_publish(bytes("<'a'>00"), &f, MQTT_FROM_CLIENT, MQTT_3_1_1,
	                                     &p, &reason), ERR_MALFORMED);
	assert_int_equal(mqtt_decode_disconnect(MQTT_AUTH, bytes(""), MQTT_FROM_CLIENT, MQTT_3_1_1,
	                                        &d, &reason), ERR_PROTOCOL);
	assert_int_equal(mqtt_decode_disconnect(MQTT_DISCONNECT, bytes(""), MQTT_FROM_SERVER,
	                                        MQTT_3_1_1, &d, &reason), ERR_PROTOCOL);
	mqtt_props_write(&w, &huge, NULL, 0);
	assert_true(w.bad);
	assert_int_equal(writer_len(&w), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connect_of_3_1),
		cmocka_unit_test(connect_of_3_1_1),
		cmocka_unit_test(connect_of_5),
		cmocka_unit_test(refused_connect_tells_the_version),
		cmocka_unit_test(connect_is_written_with_changes),
		cmocka_unit_test(connack_fields),
		cmocka_unit_test(publish_head_is_told_early),
		cmocka_unit_test(publish_fields),
		cmocka_unit_test(publish_longer_than_any_packet),
		cmocka_unit_test(ack_fields),
		cmocka_unit_test(filter_fields),
		cmocka_unit_test(code_fields),
		cmocka_unit_test(disconnect_fields),
		cmocka_unit_test(decoders_do_not_trust_their_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
