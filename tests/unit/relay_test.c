/* SPDX-License-Identifier: BSD-2-Clause */
/* CONNECT, CONNACK, what simply passes, and how sessions end. */
#include "unit/cmocka_all.h"

#include "unit/relay_talk.h"

static void
connect_carries_the_identity(void **state)
{
	const struct scene scenes[] = {
		{ .name = "3.1.1", .talk = TALK(LIVE_3) },
		{ .name = "5.0", .talk = TALK(LIVE_5) },
		{ .name = "3.1", .talk = TALK(
		  { DEVICE, "10{<'MQIsdp'>03 02 003c<'c1'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQIsdp'>03 82 003c<'dev'><'dev'>}", NULL }, CONNACK_3) },
		{ .name = "the device's name and password go", .password = "pw", .talk = TALK(
		  { DEVICE, "10{<'MQTT'>04 C2 003c<'c1'><'root'><'secret'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>04 C2 003c<'dev'><'dev'><'pw'>}", NULL }, CONNACK_3) },
		{ .name = "template with client id", .client_id = "${identity}/${client_id}",
		  .talk = TALK(CONNECT_3,
		  { OPEN, NULL, "10{<'MQTT'>04 82 003c<'dev/c1'><'dev'>}", NULL }, CONNACK_3) },
		{ .name = "empty id, 3.1.1 clean", .client_id = "${identity}/${client_id}",
		  .talk = TALK({ DEVICE, "10{<'MQTT'>04 02 003c<>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>04 82 003c<'dev/dev'><'dev'>}", NULL }, CONNACK_3) },
		{ .name = "empty id, 5.0: assigned", .talk = TALK(
		  { DEVICE, "10{<'MQTT'>05 02 003c{}<>}", NULL, NULL }, OPEN_5,
		  { BROKER, "20{00 00{21 0014}}", NULL, "20{00 00{21 0014 12<'dev'>}}" }) },
		{ .name = "will", .talk = TALK(
		  { DEVICE, "10{<'MQTT'>04 2E 003c<'c1'><'Home'><'off'>}", NULL, NULL },
		  { OPEN, NULL,
		    "10{<'MQTT'>04 AE 003c<'dev'><'home/dev/telemetry'><'off'><'dev'>}", NULL }) },
		{ .name = "will, retain cleared", .talk = TALK(
		  { DEVICE, "10{<'MQTT'>04 26 003c<'c1'><'plain'><'off'>}", NULL, NULL },
		  { OPEN, NULL,
		    "10{<'MQTT'>04 86 003c<'dev'><'plain/dev'><'off'><'dev'>}", NULL }) },
		{ .name = "will with response topic", .talk = TALK(
		  { DEVICE, "10{<'MQTT'>05 06 003c{}<'c1'>{08<'reply/1'>}<'Home'><'off'>}", NULL,
		    NULL },
		  { OPEN, NULL,
		    "10{<'MQTT'>05 86 003c{}<'dev'>{08<'reply/dev/1'>}<'home/dev/telemetry'>"
		    "<'off'><'dev'>}", NULL }) },
	};

	(void)state;
	talk_play_all(scenes, COUNT_OF(scenes));
}

static void
connect_is_refused(void **state)
{
	const struct scene scenes[] = {
		{ .name = "empty id, 3.1", .talk = TALK({ DEVICE,
		  "10{<'MQIsdp'>03 02 003c<>}", NULL, "20 02 00 02" }),
		  .ending = ENDS(DEVICE, CLIENT_IDENTIFIER_NOT_VALID,
		                 "sent an empty client identifier") },
		{ .name = "empty id, not clean", .talk = TALK({ DEVICE,
		  "10{<'MQTT'>04 00 003c<>}", NULL, "20 02 00 02" }),
		  .ending = ENDS(DEVICE, CLIENT_IDENTIFIER_NOT_VALID,
		                 "sent an empty client identifier") },
		{ .name = "id with a wildcard", .client_id = "${identity}/${client_id}",
		  .talk = TALK({ DEVICE, "10{<'MQTT'>04 02 003c<'a/#'>}", NULL, "20 02 00 02" }),
		  .ending = ENDS(DEVICE, CLIENT_IDENTIFIER_NOT_VALID,
		                 "sent a client identifier that cannot be used upstream") },
		{ .name = "the gateway's own", .client_id = "${client_id}-${identity}",
		  .talk = TALK({ DEVICE, "10{<'MQTT'>04 02 003c<'gateway'>}", NULL, "20 02 00 02" }),
		  .ending = ENDS(DEVICE, CLIENT_IDENTIFIER_NOT_VALID,
		                 "sent a client identifier that makes that of the gateway itself") },
		{ .name = "the gateway's own, 5.0", .client_id = "${client_id}-${identity}",
		  .talk = TALK({ DEVICE, "10{<'MQTT'>05 02 003c{}<'gateway'>}", NULL,
		  "20{00 85{1F<'sent a client identifier that makes that of the gateway itself'>}}" }),
		  .ending = ENDS(DEVICE, CLIENT_IDENTIFIER_NOT_VALID,
		                 "sent a client identifier that makes that of the gateway itself") },
		{ .name = "bridge bit", .talk = TALK({ DEVICE,
		  "10{<'MQTT'>84 02 003c<'c1'>}", NULL, "20 02 00 01" }),
		  .ending = ENDS(DEVICE, UNSUPPORTED_PROTOCOL_VERSION,
		                 "speaks a version of MQTT that is not supported") },
		{ .name = "malformed 3.1.1", .talk = TALK({ DEVICE,
		  "10{<'MQTT'>04 03 003c<'c1'>}", NULL, NULL }),
		  .ending = ENDS(DEVICE, MALFORMED_PACKET, "sent a malformed CONNECT") },
		{ .name = "malformed 5.0", .talk = TALK({ DEVICE,
		  "10{<'MQTT'>05 03 003c{}<'c1'>}", NULL,
		  "20{00 81{1F<'sent a malformed CONNECT'>}}" }),
		  .ending = ENDS(DEVICE, MALFORMED_PACKET, "sent a malformed CONNECT") },
		/* However it is cut, an MQTT 5 is told, and nothing else. */
		{ .name = "oversize 5.0", .limits = { .packet_size = 50 }, .talk = TALK({ DEVICE,
		  "10 40 <'MQTT'>05 02 003c 00 <'c1'>", NULL,
		  "20{00 95{1F<'sent a CONNECT over the size limit'>}}" }),
		  .ending = ENDS(DEVICE, PACKET_TOO_LARGE, "sent a CONNECT over the size limit") },
		{ .name = "oversize 3.1.1", .limits = { .packet_size = 50 }, .talk = TALK({ DEVICE,
		  "10 40 <'MQTT'>04 02 003c <'c1'>", NULL, NULL }),
		  .ending = ENDS(DEVICE, PACKET_TOO_LARGE, "sent a CONNECT over the size limit") },
		{ .name = "not CONNECT", .talk = TALK({ DEVICE, "C0 00", NULL, NULL }),
		  .ending = ENDS(DEVICE, PROTOCOL_ERROR, "sent something else before CONNECT") },
		{ .name = "will denied", .talk = TALK({ DEVICE,
		  "10{<'MQTT'>04 06 003c<'c1'><'no'><'off'>}", NULL, "20 02 00 05" }),
		  .ending = ENDS(DEVICE, NOT_AUTHORIZED, "has a will whose topic is denied") },
		{ .name = "will denied, 5.0", .talk = TALK({ DEVICE,
		  "10{<'MQTT'>05 06 003c{}<'c1'>{}<'no'><'off'>}", NULL,
		  "20{00 87{1F<'has a will whose topic is denied'>}}" }),
		  .ending = ENDS(DEVICE, NOT_AUTHORIZED, "has a will whose topic is denied") },
		{ .name = "no words wanted", .talk = TALK({ DEVICE,
		  "10{<'MQTT'>05 06 003c{17 00}<'c1'>{}<'no'><'off'>}", NULL, "20{00 87{}}" }),
		  .ending = ENDS(DEVICE, NOT_AUTHORIZED, "has a will whose topic is denied") },
		{ .name = "will over QoS", .talk = TALK({ DEVICE,
		  "10{<'MQTT'>04 0E 003c<'c1'><'q0'><'off'>}", NULL, "20 02 00 05" }),
		  .ending = ENDS(DEVICE, NOT_AUTHORIZED, "has a will over the QoS of its rule") },
		{ .name = "will over size", .talk = TALK({ DEVICE,
		  "10{<'MQTT'>04 06 003c<'c1'><'tiny'><'12345'>}", NULL, "20 02 00 03" }),
		  .ending = ENDS(DEVICE, QUOTA_EXCEEDED, "has a will over the size of its rule") },
		{ .name = "will response denied", .talk = TALK({ DEVICE,
		  "10{<'MQTT'>05 06 003c{17 00}<'c1'>{08<'x'>}<'Home'><'off'>}", NULL,
		  "20{00 87{}}" }),
		  .ending = ENDS(DEVICE, NOT_AUTHORIZED,
		                 "has a will whose response topic is denied") },
		{ .name = "keepalive 3.1.1", .limits = { .keepalive_max = 30 }, .talk = TALK(
		  { DEVICE, "10{<'MQTT'>04 02 003c<'c1'>}", NULL, "20 02 00 02" }),
		  .ending = ENDS(DEVICE, CLIENT_IDENTIFIER_NOT_VALID,
		                 "asked for a longer keepalive than the limit") },
		{ .name = "no broker", .talk = TALK(CONNECT_3, { FAIL, NULL, NULL, "20 02 00 03" }),
		  .ending = ENDS(BROKER, SERVER_UNAVAILABLE, "is away") },
		{ .name = "no broker, 5.0", .talk = TALK(CONNECT_5,
		  { FAIL, NULL, NULL, "20{00 88{}}" }),
		  .ending = ENDS(BROKER, SERVER_UNAVAILABLE, "is away") },
	};

	(void)state;
	talk_play_all(scenes, COUNT_OF(scenes));
}

static void
terms_are_corrected(void **state)
{
	const struct scene scenes[] = {
		/* growth: Home -> home/dev/telemetry is 14, inTopic -> home/dev/command 9 */
		{ .name = "packet size", .talk = TALK(
		  { DEVICE, "10{<'MQTT'>05 02 003c{27 00000064}<'c1'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>05 82 003c{27 00000086}<'dev'><'dev'>}", NULL },
		  { BROKER, "20{00 00{27 00000200}}", NULL, "20{00 00{27 000001DE}}" }) },
		{ .name = "packet size saturates", .talk = TALK(
		  { DEVICE, "10{<'MQTT'>05 02 003c{27 FFFFFFF0}<'c1'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>05 82 003c{27 FFFFFFFF}<'dev'><'dev'>}", NULL },
		  { BROKER, "20{00 00{27 00000010}}", NULL, "20{00 00{27 00000040}}" }) },
		{ .name = "our packet size", .limits = { .packet_size = 1000 }, .talk = TALK(
		  CONNECT_5, OPEN_5,
		  { BROKER, "20{00 00{}}", NULL, "20{00 00{27 000003E8}}" }) },
		{ .name = "aliases", .talk = TALK(
		  { DEVICE, "10{<'MQTT'>05 02 003c{22 0009}<'c1'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>05 82 003c{22 0003}<'dev'><'dev'>}", NULL },
		  { BROKER, "20{00 00{22 000A}}", NULL, "20{00 00{22 0003}}" }) },
		{ .name = "references and names of the broker", .talk = TALK(CONNECT_5, OPEN_5,
		  { BROKER, "20{00 00{1C<'other'> 12<'x'> 21 0014 1A<'reply/dev/7'>}}", NULL,
		    "20{00 00{21 0014 1A<'reply/7'>}}" }) },
		{ .name = "response information that means nothing", .talk = TALK(CONNECT_5, OPEN_5,
		  { BROKER, "20{00 00{1A<'elsewhere'>}}", NULL, "20{00 00{}}" }) },
		{ .name = "keepalive cut", .limits = { .keepalive_max = 30 }, .talk = TALK(CONNECT_5,
		  { OPEN, NULL, "10{<'MQTT'>05 82 001e{}<'dev'><'dev'>}", NULL },
		  { BROKER, "20{00 00{}}", NULL, "20{00 00{13 001e}}" }) },
		{ .name = "keepalive cut further", .limits = { .keepalive_max = 30 }, .talk = TALK(
		  { DEVICE, "10{<'MQTT'>05 02 0000{}<'c1'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>05 82 001e{}<'dev'><'dev'>}", NULL },
		  { BROKER, "20{00 00{13 000a}}", NULL, "20{00 00{13 000a}}" }) },
		{ .name = "broker refuses", .talk = TALK(CONNECT_3, OPEN_3,
		  { BROKER, "20 02 00 05", NULL, "20 02 00 05" }),
		  .ending = ENDS(BROKER, NOT_AUTHORIZED, "not authorized") },
		{ .name = "broker refuses, 5.0", .talk = TALK(CONNECT_5, OPEN_5,
		  { BROKER, "20{00 8c{1C<'other'>}}", NULL, "20{00 8c{}}" }),
		  .ending = ENDS(BROKER, BAD_AUTHENTICATION_METHOD, "bad authentication method") },
	};

	(void)state;
	talk_play_all(scenes, COUNT_OF(scenes));
}

static void
the_rest_passes(void **state)
{
	const struct scene scenes[] = {
		{ .name = "ping and acks, 3.1.1", .talk = TALK(LIVE_3,
		  { DEVICE, "C0 00 C0 00", "C0 00 C0 00", NULL },
		  { BROKER, "D0 00 D0 00", NULL, "D0 00 D0 00" },
		  { DEVICE, "40 02 0001 50 02 0002 62 02 0003 70 02 0004",
		    "40 02 0001 50 02 0002 62 02 0003 70 02 0004", NULL },
		  { BROKER, "40 02 0001 50 02 0002 62 02 0003 70 02 0004", NULL,
		    "40 02 0001 50 02 0002 62 02 0003 70 02 0004" },
		  { DEVICE, "E0 00", "E0 00", NULL }),
		  .ending = ENDS(DEVICE, SUCCESS, "disconnected") },
		{ .name = "ack with words, 5.0", .talk = TALK(LIVE_5,
		  { BROKER, "40{0001 87{1F<'no'>}}", NULL, "40{0001 87{1F<'no'>}}" },
		  { DEVICE, "E0{04{}}", "E0{04{}}", NULL }),
		  .ending = ENDS(DEVICE, SUCCESS, "disconnected") },
		{ .name = "authentication", .talk = TALK(
		  { DEVICE, "10{<'MQTT'>05 02 003c{15<'M'>}<'c1'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>05 82 003c{15<'M'>}<'dev'><'dev'>}", NULL },
		  { BROKER, "F0{18{15<'M'>}}", NULL, "F0{18{15<'M'>}}" },
		  { DEVICE, "F0{18{15<'M'>}}", "F0{18{15<'M'>}}", NULL },
		  { BROKER, "20{00 00{15<'M'>}}", NULL, "20{00 00{15<'M'>}}" },
		  { DEVICE, "F0{19{15<'M'>}}", "F0{19{15<'M'>}}", NULL },
		  { BROKER, "F0{00{15<'M'>}}", NULL, "F0{00{15<'M'>}}" }) },
		{ .name = "broker disconnects", .talk = TALK(LIVE_5,
		  { BROKER, "E0{8e{1C<'other'>}}", NULL, "E0{8e}" }),
		  .ending = ENDS(BROKER, SESSION_TAKEN_OVER, "session taken over") },
	};

	(void)state;
	talk_play_all(scenes, COUNT_OF(scenes));
}

static void
faults_end_the_session(void **state)
{
	const struct scene scenes[] = {
		{ .name = "second CONNECT", .talk = TALK(LIVE_3,
		  { DEVICE, "10{<'MQTT'>04 02 003c<'c1'>}", NULL, NULL }),
		  .ending = ENDS(DEVICE, PROTOCOL_ERROR, "sent a second CONNECT") },
		{ .name = "second CONNECT, 5.0", .talk = TALK(LIVE_5,
		  { DEVICE, "10{<'MQTT'>05 02 003c{}<'c1'>}", NULL,
		    "E0{82{1F<'sent a second CONNECT'>}}" }),
		  .ending = ENDS(DEVICE, PROTOCOL_ERROR, "sent a second CONNECT") },
		{ .name = "AUTH out of nothing", .talk = TALK(LIVE_5,
		  { DEVICE, "F0{19{15<'M'>}}", NULL,
		    "E0{82{1F<'sent AUTH though CONNECT named no method'>}}" }),
		  .ending = ENDS(DEVICE, PROTOCOL_ERROR,
		                 "sent AUTH though CONNECT named no method") },
		{ .name = "wildcard in a topic", .talk = TALK(LIVE_5,
		  { DEVICE, "30{<'log/+'>{}}", NULL, "E0{81{1F<'sent a malformed PUBLISH'>}}" }),
		  .ending = ENDS(DEVICE, MALFORMED_PACKET, "sent a malformed PUBLISH") },
		{ .name = "ping with a body", .talk = TALK(LIVE_3, { DEVICE, "C0 01 00", NULL, NULL }),
		  .ending = ENDS(DEVICE, MALFORMED_PACKET, "sent a malformed PINGREQ") },
		{ .name = "too large", .limits = { .packet_size = 50 }, .talk = TALK(CONNECT_5, OPEN_5,
		  { BROKER, "20{00 00{}}", NULL, "20{00 00{27 00000032}}" },
		  { DEVICE, "30 40 00", NULL, "E0{95{1F<'sent a packet over the size limit'>}}" }),
		  .ending = ENDS(DEVICE, PACKET_TOO_LARGE, "sent a packet over the size limit") },
		{ .name = "keeping what was to end", .talk = TALK(LIVE_5,
		  { DEVICE, "E0{00{11 00000001}}", NULL,
		    "E0{82{1F<'wanted to keep a session that was to end'>}}" }),
		  .ending = ENDS(DEVICE, PROTOCOL_ERROR,
		                 "wanted to keep a session that was to end") },
		{ .name = "PUBREC for QoS 1", .hold = true, .talk = TALK(LIVE_5,
		  { BROKER, "32{<'home/dev/command'>0001{}}", NULL, "32{<'inTopic'>0001{}}" },
		  { DEVICE, "50 02 0001", NULL,
		    "E0{82{1F<'acknowledged a message as if it had another QoS'>}}" }),
		  .ending = ENDS(DEVICE, PROTOCOL_ERROR,
		                 "acknowledged a message as if it had another QoS") },
		{ .name = "PUBCOMP for QoS 1", .hold = true, .talk = TALK(LIVE_3,
		  { BROKER, "32{<'home/dev/command'>0001}", NULL, "32{<'inTopic'>0001}" },
		  { DEVICE, "70 02 0001", NULL, NULL }),
		  .ending = ENDS(DEVICE, PROTOCOL_ERROR,
		                 "acknowledged a message as if it had another QoS") },
		{ .name = "PUBACK for QoS 2", .hold = true, .talk = TALK(LIVE_3,
		  { BROKER, "34{<'home/dev/command'>0001}", NULL, "34{<'inTopic'>0001}" },
		  { DEVICE, "40 02 0001", NULL, NULL }),
		  .ending = ENDS(DEVICE, PROTOCOL_ERROR,
		                 "acknowledged a message as if it had another QoS") },
		{ .name = "what the broker says against the device", .talk = TALK(LIVE_5,
		  { BROKER, "E0{81}", NULL, "E0{81}" }),
		  .ending = ENDS(DEVICE, MALFORMED_PACKET,
		                 "sent what the broker calls a malformed packet") },
		{ .name = "broker malformed", .talk = TALK(LIVE_5,
		  { BROKER, "40 01 00", NULL, "E0{80}" }),
		  .ending = ENDS(BROKER, MALFORMED_PACKET, "sent a malformed PUBACK") },
		{ .name = "broker early", .talk = TALK(CONNECT_3, OPEN_3,
		  { BROKER, "D0 00", NULL, "20 02 00 03" }),
		  .ending = ENDS(BROKER, PROTOCOL_ERROR, "sent something else before CONNACK") },
		{ .name = "broker gone", .talk = TALK(LIVE_3, { GONE, NULL, NULL, NULL }),
		  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "closed the connection") },
		{ .name = "broker gone, 5.0", .talk = TALK(LIVE_5, { GONE, NULL, NULL, "E0{8b}" }),
		  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "closed the connection") },
		{ .name = "taken over", .talk = TALK(LIVE_5,
		  { TAKEN, NULL, NULL, "E0{8e{1F<'connected again elsewhere'>}}" }),
		  .ending = ENDS(DEVICE, SESSION_TAKEN_OVER, "connected again elsewhere") },
		{ .name = "stopped before CONNACK", .talk = TALK(CONNECT_3,
		  { END, NULL, NULL, "20 02 00 03" }),
		  .ending = ENDS(GATEWAY, SERVER_SHUTTING_DOWN, "is stopped") },
		/* 0x8B is no reason of CONNACK */
		{ .name = "stopped before CONNACK, 5.0", .talk = TALK(CONNECT_5,
		  { END, NULL, NULL, "20{00 88{1F<'is stopped'>}}" }),
		  .ending = ENDS(GATEWAY, SERVER_SHUTTING_DOWN, "is stopped") },
		{ .name = "stopped", .talk = TALK(LIVE_5,
		  { END, NULL, NULL, "E0{8b{1F<'is stopped'>}}" }),
		  .ending = ENDS(GATEWAY, SERVER_SHUTTING_DOWN, "is stopped") },
		{ .name = "no words into a payload", .talk = TALK(LIVE_5,
		  { BROKER, "30 40<'home/dev/command'>{} 'ab'", NULL, "30 37<'inTopic'>{} 'ab'" },
		  { GONE, NULL, NULL, NULL }),
		  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "closed the connection") },
	};

	(void)state;
	talk_play_all(scenes, COUNT_OF(scenes));
}

static void
info_tells_the_session(void **state)
{
	const struct scene scene = { .name = "info", .client_id = "${identity}/${client_id}" };
	struct talker t;
	struct relay_info info;

	(void)state;
	talk_start(&t, &scene);
	assert_true(relay_wants_device(t.relay));
	assert_false(talk_feed(&t, DEVICE, span_of("\x10\x0e\0\4MQTT\4\2\0\x3c\0\2c1", 16)) &&
	             relay_wants_device(t.relay));
	assert_int_equal(relay_phase(t.relay), RELAY_DIAL);
	relay_info(t.relay, &info);
	assert_int_equal(info.version, MQTT_3_1_1);
	assert_true(span_eq_str(info.device_client_id, "c1"));
	assert_true(span_eq_str(info.client_id, "dev/c1"));
	assert_int_equal(info.keep_alive, 60);
	assert_int_equal(info.bytes_up, 16);
	assert_non_null(relay_map(t.relay));
	assert_false(relay_rights_differ(t.relay, t.settings.rules, &t.settings.vars));
	t.settings.vars.identity = span_str("other");
	assert_true(relay_rights_differ(t.relay, t.settings.rules, &t.settings.vars));
	talk_stop(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connect_carries_the_identity),
		cmocka_unit_test(connect_is_refused),
		cmocka_unit_test(terms_are_corrected),
		cmocka_unit_test(the_rest_passes),
		cmocka_unit_test(faults_end_the_session),
		cmocka_unit_test(info_tells_the_session),
	};

	return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
