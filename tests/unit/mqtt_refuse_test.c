/* SPDX-License-Identifier: BSD-2-Clause */
/* What must be refused, packet by packet, with the error and reason it gets. */
#include "unit/cmocka_all.h"

#include "unit/mqtt_walk.h"

enum { C = MQTT_FROM_CLIENT, S = MQTT_FROM_SERVER };

#define BAD ERR_MALFORMED, MQTT_MALFORMED_PACKET
#define FORBIDDEN ERR_PROTOCOL, MQTT_PROTOCOL_ERROR
#define UNKNOWN ERR_VERSION, MQTT_UNSUPPORTED_PROTOCOL_VERSION
#define ALIAS ERR_PROTOCOL, MQTT_TOPIC_ALIAS_INVALID

struct row {
	const char *why;
	int sender, version;
	const char *text;
	int rc;
	enum mqtt_reason reason;
};

static void
check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		uint8_t bytes[512];
		size_t len = mqtt_bytes(row->text, bytes, sizeof bytes);
		struct mqtt_walked k = mqtt_walk(span_of(bytes, len),
		                                 (enum mqtt_sender)row->sender, row->version);

		if (k.rc != row->rc || k.reason != row->reason || k.fault != NULL) {
			fail_msg("%s (%s): %s, reason 0x%02x, %s", row->why, row->text,
			         err_text(k.rc), (unsigned)k.reason,
			         k.fault != NULL ? k.fault : "no fault");
		}
	}
}

#define CHECK(rows) check(rows, sizeof(rows) / sizeof(rows)[0])

static void
headers(void **state)
{
	static const struct row rows[] = {
		{ "type 0", C, 5, "00{}", BAD },
		{ "type 0 first", C, 0, "00{}", BAD },
		{ "not CONNECT first", C, 0, "c0{}", FORBIDDEN },
		{ "AUTH first", C, 0, "f0{}", FORBIDDEN },
		{ "AUTH in 3.1.1", C, 4, "f0{}", BAD },
		{ "AUTH in 3.1", S, 3, "f0{}", BAD },
		{ "CONNECT from the server", S, 5, "10{}", FORBIDDEN },
		{ "SUBSCRIBE from the server", S, 4, "82{}", FORBIDDEN },
		{ "UNSUBSCRIBE from the server", S, 4, "a2{}", FORBIDDEN },
		{ "PINGREQ from the server", S, 4, "c0{}", FORBIDDEN },
		{ "DISCONNECT from a 3.1.1 server", S, 4, "e0{}", FORBIDDEN },
		{ "CONNACK from a client", C, 5, "20{}", FORBIDDEN },
		{ "SUBACK from a client", C, 5, "90{}", FORBIDDEN },
		{ "UNSUBACK from a client", C, 5, "b0{}", FORBIDDEN },
		{ "PINGRESP from a client", C, 5, "d0{}", FORBIDDEN },
		{ "flags of CONNECT", C, 0, "11{}", BAD },
		{ "flags of PUBACK", C, 4, "42{0001}", BAD },
		{ "flags of PUBREL", C, 4, "60{0001}", BAD },
		{ "DUP in PUBREL of 3.1.1", C, 4, "6a{0001}", BAD },
		{ "flags of SUBSCRIBE", C, 5, "80{0001{}<'a'>00}", BAD },
		{ "flags of UNSUBSCRIBE", C, 5, "a3{0001{}<'a'>}", BAD },
		{ "flags of PINGREQ", C, 3, "c8{}", BAD },
		{ "flags of DISCONNECT", C, 5, "e1{}", BAD },
		{ "flags of AUTH", C, 5, "f2{}", BAD },
		{ "QoS 3", C, 5, "36{<'a'>0001{}}", BAD },
		{ "DUP with QoS 0", C, 4, "38{<'a'>}", BAD },
		{ "length of five bytes", C, 4, "30 ffffffff01", BAD },
		{ "length of four unfinished bytes", C, 4, "30 80808080", BAD },
		{ "length longer than needed", C, 4, "c0 8000", BAD },
		{ "PINGREQ with a body", C, 4, "c0{00}", BAD },
		{ "PINGRESP with a body", S, 5, "d0{00}", BAD },
	};

	(void)state;
	CHECK(rows);
}

static void
connects(void **state)
{
	static const struct row rows[] = {
		{ "nothing", C, 0, "10{}", BAD },
		{ "name cut", C, 0, "10{0004'MQ'}", BAD },
		{ "other name", C, 0, "10{<'HTTP'>04 02 0000<'c'>}", UNKNOWN },
		{ "name in small letters", C, 0, "10{<'mqtt'>04 02 0000<'c'>}", UNKNOWN },
		{ "name too long", C, 0, "10{<'MQTTT'>04 02 0000<'c'>}", UNKNOWN },
		{ "3.1 name with level 4", C, 0, "10{<'MQIsdp'>04 02 0000<'c'>}", UNKNOWN },
		{ "level 3 with the new name", C, 0, "10{<'MQTT'>03 02 0000<'c'>}", UNKNOWN },
		{ "level 6", C, 0, "10{<'MQTT'>06 02 0000{}<'c'>}", UNKNOWN },
		{ "level 0", C, 0, "10{<'MQTT'>00 02 0000<'c'>}", UNKNOWN },
		{ "bridge bit", C, 0, "10{<'MQTT'>84 02 0000<'c'>}", UNKNOWN },
		{ "bridge bit in 3.1", C, 0, "10{<'MQIsdp'>83 02 0000<'c'>}", UNKNOWN },
		{ "reserved flag", C, 0, "10{<'MQTT'>04 03 0000<'c'>}", BAD },
		{ "reserved flag in 5", C, 0, "10{<'MQTT'>05 03 0000{}<'c'>}", BAD },
		{ "reserved flag in 3.1", C, 0, "10{<'MQIsdp'>03 03 0000<'c'>}", BAD },
		{ "will QoS 3", C, 0, "10{<'MQTT'>04 1e 0000<'c'><'w'><'m'>}", BAD },
		{ "will QoS without will", C, 0, "10{<'MQTT'>04 0a 0000<'c'>}", BAD },
		{ "will retain without will", C, 0, "10{<'MQTT'>05 22 0000{}<'c'>}", BAD },
		{ "password alone in 3.1.1", C, 0, "10{<'MQTT'>04 42 0000<'c'><'p'>}", BAD },
		{ "password alone in 3.1", C, 0, "10{<'MQIsdp'>03 42 0000<'c'><'p'>}", BAD },
		{ "user name missing in 3.1", C, 0, "10{<'MQIsdp'>03 82 0000<'c'>}", BAD },
		{ "password missing in 3.1", C, 0, "10{<'MQIsdp'>03 c2 0000<'c'><'u'>}", BAD },
		{ "user name cut", C, 0, "10{<'MQTT'>04 82 0000<'c'>0002'u'}", BAD },
		{ "client identifier missing", C, 0, "10{<'MQTT'>04 02 0000}", BAD },
		{ "NUL in the client identifier", C, 0, "10{<'MQTT'>04 02 0000<00>}", BAD },
		{ "client identifier not UTF-8", C, 0, "10{<'MQTT'>04 02 0000<c080>}", BAD },
		{ "surrogate in the user name", C, 0, "10{<'MQTT'>04 82 0000<'c'><eda080>}", BAD },
		{ "NUL in the user name in 3.1", C, 0, "10{<'MQIsdp'>03 82 0000<'c'><'u'00>}", BAD },
		{ "empty will topic", C, 0, "10{<'MQTT'>04 06 0000<'c'><><'m'>}", BAD },
		{ "wildcard will topic", C, 0, "10{<'MQTT'>04 06 0000<'c'><'a/+'><'m'>}", BAD },
		{ "wildcard will topic in 3.1", C, 0, "10{<'MQIsdp'>03 06 0000<'c'><'#'><'m'>}", BAD },
		{ "will payload missing", C, 0, "10{<'MQTT'>04 06 0000<'c'><'w'>}", BAD },
		{ "trailing byte", C, 0, "10{<'MQTT'>04 02 0000<'c'>00}", BAD },
		{ "user name without flag", C, 0, "10{<'MQTT'>05 02 0000{}<'c'><'u'>}", BAD },
		{ "properties missing", C, 0, "10{<'MQTT'>05 02 0000}", BAD },
		{ "properties run over", C, 0, "10{<'MQTT'>05 02 0000 09 11 00000000 <'c'>}", BAD },
		{ "properties length not minimal", C, 0, "10{<'MQTT'>05 02 0000 8000<'c'>}", BAD },
		{ "data without method", C, 0, "10{<'MQTT'>05 02 0000{16<'d'>}<'c'>}", FORBIDDEN },
		{ "will property in CONNECT", C, 0, "10{<'MQTT'>05 02 0000{18 00000001}<'c'>}", BAD },
		{ "CONNECT property in will", C, 0,
		  "10{<'MQTT'>05 06 0000{}<'c'>{11 00000001}<'w'><'m'>}", BAD },
		{ "will delay twice", C, 0,
		  "10{<'MQTT'>05 06 0000{}<'c'>{18 00000001 18 00000001}<'w'><'m'>}", FORBIDDEN },
		{ "alias in will", C, 0, "10{<'MQTT'>05 06 0000{}<'c'>{23 0001}<'w'><'m'>}", BAD },
		{ "will response topic", C, 0,
		  "10{<'MQTT'>05 06 0000{}<'c'>{08<'r/#'>}<'w'><'m'>}", FORBIDDEN },
		{ "CONNACK property", C, 0, "10{<'MQTT'>05 02 0000{24 01}<'c'>}", BAD },
	};

	(void)state;
	CHECK(rows);
}

static void
connacks(void **state)
{
	static const struct row rows[] = {
		{ "empty", S, 4, "20{}", BAD },
		{ "one byte", S, 4, "20{00}", BAD },
		{ "three bytes in 3.1.1", S, 4, "20{0000 00}", BAD },
		{ "reserved flag", S, 4, "20{0200}", BAD },
		{ "session present in 3.1", S, 3, "20{0100}", BAD },
		{ "unknown return code", S, 4, "20{0006}", FORBIDDEN },
		{ "reason code in 3.1.1", S, 4, "20{0087}", FORBIDDEN },
		{ "session present and refused", S, 4, "20{0105}", FORBIDDEN },
		{ "session present and refused in 5", S, 5, "20{0187{}}", FORBIDDEN },
		{ "return code in 5", S, 5, "20{0005{}}", FORBIDDEN },
		{ "DISCONNECT code", S, 5, "20{008e{}}", FORBIDDEN },
		{ "properties missing", S, 5, "20{0000}", BAD },
		{ "trailing byte", S, 5, "20{0000{}00}", BAD },
		{ "data without method", S, 5, "20{0000{16<>}}", FORBIDDEN },
		{ "maximum QoS 2", S, 5, "20{0000{24 02}}", FORBIDDEN },
		{ "retain available 2", S, 5, "20{0000{25 02}}", FORBIDDEN },
	};

	(void)state;
	CHECK(rows);
}

static void
publishes(void **state)
{
	static const struct row rows[] = {
		{ "empty", C, 4, "30{}", BAD },
		{ "topic cut", C, 4, "30{0003'ab'}", BAD },
		{ "empty topic in 3.1.1", C, 4, "30{<>'x'}", BAD },
		{ "empty topic in 3.1", C, 3, "30{<>'x'}", BAD },
		{ "empty topic without alias", C, 5, "30{<>{}'x'}", FORBIDDEN },
		{ "empty topic, other properties", C, 5, "30{<>{01 00}'x'}", FORBIDDEN },
		{ "wildcard", C, 4, "30{<'a/+'>}", BAD },
		{ "wildcard in 5", C, 5, "30{<'a/#'>{}}", BAD },
		{ "wildcard in 3.1 from the server", S, 3, "30{<'#'>}", BAD },
		{ "NUL", C, 4, "30{<'a'00>}", BAD },
		{ "not UTF-8", S, 5, "30{<ff>{}}", BAD },
		{ "packet identifier missing", C, 4, "32{<'a'>}", BAD },
		{ "packet identifier cut", C, 4, "32{<'a'>00}", BAD },
		{ "packet identifier 0", C, 4, "32{<'a'>0000}", FORBIDDEN },
		{ "packet identifier 0 in 5", S, 5, "34{<'a'>0000{}}", FORBIDDEN },
		{ "properties missing", C, 5, "30{<'a'>}", BAD },
		{ "properties run over", C, 5, "30{<'a'>03 01 00}", BAD },
		{ "properties length cut", C, 5, "30{<'a'>80}", BAD },
		{ "properties length of five bytes", C, 5, "30{<'a'>ffffffffff}", BAD },
		{ "properties length not minimal", C, 5, "30{<'a'>8200 0100}", BAD },
		{ "alias 0", C, 5, "30{<'a'>{23 0000}}", ALIAS },
		{ "alias 0 without topic", S, 5, "30{<>{23 0000}}", ALIAS },
		{ "alias twice", C, 5, "30{<'a'>{23 0001 23 0001}}", FORBIDDEN },
		{ "identifier from a client", C, 5, "30{<'a'>{0b 01}}", FORBIDDEN },
		{ "subscription identifier 0", S, 5, "30{<'a'>{0b 00}}", FORBIDDEN },
		{ "subscription identifier not minimal", S, 5, "30{<'a'>{0b 8100}}", BAD },
		{ "response topic with wildcard", C, 5, "30{<'a'>{08<'r/+'>}}", FORBIDDEN },
		{ "response topic empty", C, 5, "30{<'a'>{08<>}}", FORBIDDEN },
		{ "response topic not UTF-8", C, 5, "30{<'a'>{08<80>}}", BAD },
		/* What mosquitto would answer by going away. */
		{ "control character", C, 4, "30{<'a'01>}", BAD },
		{ "DEL in 3.1", C, 3, "32{<'a'7f>0001}", BAD },
		{ "U+0080 in 5", C, 5, "30{<'a'c280>{}}", BAD },
		{ "U+FDD0", C, 4, "30{<efb790>}", BAD },
		{ "U+FFFF", C, 4, "30{<'a'efbfbf>}", BAD },
		{ "control character in a response topic", C, 5, "30{<'a'>{08<'r'0a>}}", BAD },
		{ "control character in a user property", C, 5, "30{<'a'>{26<'k'><1f>}}", BAD },
		{ "payload format 2", C, 5, "30{<'a'>{01 02}}", FORBIDDEN },
		{ "will delay", C, 5, "30{<'a'>{18 00000001}}", BAD },
		{ "reason string", S, 5, "30{<'a'>{1f<'x'>}}", BAD },
		{ "string reaches into the payload", C, 5, "30{<'a'> 04 03 0003'a' 'bc'}", BAD },
	};

	(void)state;
	CHECK(rows);
}

static void
acks(void **state)
{
	static const struct row rows[] = {
		{ "empty", C, 4, "40{}", BAD },
		{ "one byte", C, 5, "40{00}", BAD },
		{ "reason in 3.1.1", C, 4, "40{0001 00}", BAD },
		{ "trailing in 3.1", C, 3, "70{0001 00}", BAD },
		{ "packet identifier 0", C, 4, "40{0000}", FORBIDDEN },
		{ "packet identifier 0 in 5", S, 5, "62{0000}", FORBIDDEN },
		{ "unknown reason", C, 5, "40{0001 01}", FORBIDDEN },
		{ "PUBREL's reason in PUBACK", C, 5, "40{0001 92}", FORBIDDEN },
		{ "SUBACK's reason in PUBREC", S, 5, "50{0001 8f}", FORBIDDEN },
		{ "PUBACK's reason in PUBREL", C, 5, "62{0001 10}", FORBIDDEN },
		{ "packet too large in PUBACK", C, 5, "40{0001 95}", FORBIDDEN },
		{ "packet too large in PUBCOMP", S, 5, "70{0001 95}", FORBIDDEN },
		{ "PUBREC's reason in PUBCOMP", C, 5, "70{0001 87}", FORBIDDEN },
		{ "properties run over", C, 5, "40{0001 00 01}", BAD },
		{ "trailing byte", C, 5, "40{0001 00{}00}", BAD },
		{ "property of others", C, 5, "40{0001 00{23 0001}}", BAD },
		{ "reason string twice", C, 5, "50{0001 00{1f<>1f<>}}", FORBIDDEN },
	};

	(void)state;
	CHECK(rows);
}

static void
subscribes(void **state)
{
	static const struct row rows[] = {
		{ "empty", C, 4, "82{}", BAD },
		{ "no filter", C, 4, "82{0001}", FORBIDDEN },
		{ "no filter in 5", C, 5, "82{0001{}}", FORBIDDEN },
		{ "properties missing", C, 5, "82{0001}", BAD },
		{ "packet identifier 0", C, 4, "82{0000<'a'>00}", FORBIDDEN },
		{ "options missing", C, 4, "82{0001<'a'>}", BAD },
		{ "second one cut", C, 4, "82{0001<'a'>00 0002'a'}", BAD },
		{ "empty filter", C, 4, "82{0001<>00}", BAD },
		{ "QoS 3 in 3.1.1", C, 4, "82{0001<'a'>03}", BAD },
		{ "reserved bits in 3.1.1", C, 4, "82{0001<'a'>04}", BAD },
		{ "reserved bits in 3.1", C, 3, "82{0001<'a'>80}", BAD },
		{ "reserved bits in 5", C, 5, "82{0001{}<'a'>40}", BAD },
		{ "QoS 3 in 5", C, 5, "82{0001{}<'a'>03}", FORBIDDEN },
		{ "retain handling 3", C, 5, "82{0001{}<'a'>30}", FORBIDDEN },
		{ "no local on shared", C, 5, "82{0001{}<'$share/g/a'>04}", FORBIDDEN },
		{ "share without group", C, 5, "82{0001{}<'$share//a'>00}", BAD },
		{ "share without filter", C, 5, "82{0001{}<'$share/g'>00}", BAD },
		{ "share with empty filter", C, 5, "82{0001{}<'$share/g/'>00}", BAD },
		{ "wildcard in the group", C, 5, "82{0001{}<'$share/+/a'>00}", BAD },
		{ "share without filter in 3.1.1", C, 4, "82{0001<'$share/g'>00}", BAD },
		{ "half a wildcard", C, 4, "82{0001<'a+'>00}", BAD },
		{ "# in the middle", C, 4, "82{0001<'#/a'>00}", BAD },
		{ "NUL", C, 4, "82{0001<'a'00>00}", BAD },
		{ "not UTF-8", C, 3, "82{0001<f8>00}", BAD },
		{ "control character", C, 4, "82{0001<'a'1b>00}", BAD },
		{ "control character in UNSUBSCRIBE", C, 4, "a2{0001<'a'1b>}", BAD },
		{ "control character in the group", C, 5, "82{0001{}<'$share/g'09'/a'>00}", BAD },
		{ "identifier 0", C, 5, "82{0001{0b 00}<'a'>00}", FORBIDDEN },
		{ "two identifiers", C, 5, "82{0001{0b 01 0b 02}<'a'>00}", FORBIDDEN },
		{ "reason string", C, 5, "82{0001{1f<>}<'a'>00}", BAD },
		{ "unsubscribe nothing", C, 4, "a2{0001}", FORBIDDEN },
		{ "unsubscribe packet identifier 0", C, 5, "a2{0000{}<'a'>}", FORBIDDEN },
		{ "unsubscribe with options", C, 5, "a2{0001{}<'a'>00}", BAD },
		{ "unsubscribe bad share", C, 5, "a2{0001{}<'$share/g/#/a'>}", BAD },
		{ "unsubscribe with identifier", C, 5, "a2{0001{0b 01}<'a'>}", BAD },
	};

	(void)state;
	CHECK(rows);
}

static void
subacks(void **state)
{
	static const struct row rows[] = {
		{ "empty", S, 4, "90{}", BAD },
		{ "no code", S, 4, "90{0001}", FORBIDDEN },
		{ "no code in 5", S, 5, "90{0001{}}", FORBIDDEN },
		{ "packet identifier 0", S, 4, "90{0000 00}", FORBIDDEN },
		{ "code 3", S, 4, "90{0001 00 03}", FORBIDDEN },
		{ "reason in 3.1.1", S, 4, "90{0001 87}", FORBIDDEN },
		{ "UNSUBACK's code", S, 5, "90{0001{}11}", FORBIDDEN },
		{ "SUBACK's code", S, 5, "b0{0001{}01}", FORBIDDEN },
		{ "code in 3.1.1", S, 4, "b0{0001 00}", BAD },
		{ "UNSUBACK without code in 5", S, 5, "b0{0001{}}", FORBIDDEN },
		{ "UNSUBACK of 3.1.1 in 5", S, 5, "b0{0001}", BAD },
		{ "UNSUBACK packet identifier 0", S, 3, "b0{0000}", FORBIDDEN },
		{ "property of others", S, 5, "90{0001{0b 01}00}", BAD },
	};

	(void)state;
	CHECK(rows);
}

static void
disconnects(void **state)
{
	static const struct row rows[] = {
		{ "body in 3.1.1", C, 4, "e0{00}", BAD },
		{ "unknown reason", C, 5, "e0{01}", FORBIDDEN },
		{ "with will from the server", S, 5, "e0{04}", FORBIDDEN },
		{ "normal from the server", S, 5, "e0{}", FORBIDDEN },
		{ "takeover from a client", C, 5, "e0{8e}", FORBIDDEN },
		{ "shutdown from a client", C, 5, "e0{8b{}}", FORBIDDEN },
		{ "CONNACK's reason", S, 5, "e0{88}", FORBIDDEN },
		{ "expiry from the server", S, 5, "e0{80{11 00000001}}", FORBIDDEN },
		{ "reference from a client", C, 5, "e0{00{1c<'x'>}}", FORBIDDEN },
		{ "properties run over", C, 5, "e0{00 01}", BAD },
		{ "trailing byte", C, 5, "e0{00{}00}", BAD },
		{ "other property", C, 5, "e0{00{21 0001}}", BAD },
		{ "AUTH without method", C, 5, "f0{18{}}", FORBIDDEN },
		{ "AUTH with data only", C, 5, "f0{18{16<'d'>}}", FORBIDDEN },
		{ "AUTH reason alone", C, 5, "f0{18}", BAD },
		{ "AUTH success from a client", C, 5, "f0{}", FORBIDDEN },
		{ "AUTH again from the server", S, 5, "f0{19{15<'m'>}}", FORBIDDEN },
		{ "AUTH refused", S, 5, "f0{87{15<'m'>}}", FORBIDDEN },
		{ "AUTH method twice", C, 5, "f0{18{15<'m'>15<'m'>}}", FORBIDDEN },
		{ "AUTH trailing byte", C, 5, "f0{18{15<'m'>}00}", BAD },
	};

	(void)state;
	CHECK(rows);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers),
		cmocka_unit_test(connects),
		cmocka_unit_test(connacks),
		cmocka_unit_test(publishes),
		cmocka_unit_test(acks),
		cmocka_unit_test(subscribes),
		cmocka_unit_test(subacks),
		cmocka_unit_test(disconnects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
