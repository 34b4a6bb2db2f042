/* SPDX-License-Identifier: BSD-2-Clause */
/* PUBLISH both ways: mapping, denial, order of acknowledgements, aliases. */
#include "unit/cmocka_all.h"

#include "unit/relay_talk.h"

/* A 5.0 session in which both sides take three aliases. */
#define LIVE_ALIAS                                                                         \
	{ DEVICE, "10{<'MQTT'>05 02 003c{22 0003}<'c1'>}", NULL, NULL },                   \
	{ OPEN, NULL, "10{<'MQTT'>05 82 003c{22 0003}<'dev'><'dev'>}", NULL },             \
	{ BROKER, "20{00 00{22 0003}}", NULL, "20{00 00{22 0003}}" }

static const struct topic_rule close_publish[] = {
	{ .device = (char[]){ "Home" }, .broker = (char[]){ "home/${identity}" }, .max_qos = 2,
	  .max_payload = UINT32_MAX },
};
static const struct topic_rules close_rules = {
	.publish = (struct topic_rule *)(uintptr_t)close_publish,
	.publish_count = 1,
	.on_denial = TOPIC_DENIAL_CLOSE,
};

static void
topics_are_mapped_up(void **state)
{
	const struct scene scenes[] = {
		{ .name = "QoS 0, 1 and 2", .talk = TALK(LIVE_3,
		  { DEVICE, "30{<'Home'>'21.5'} 33{<'log/x'>0007'a'} 3D{<'Home'>0008}",
		    "30{<'home/dev/telemetry'>'21.5'} 33{<'log/dev/x'>0007'a'}"
		    "3D{<'home/dev/telemetry'>0008}", NULL },
		  { BROKER, "40 02 0007 50 02 0008", NULL, "40 02 0007 50 02 0008" },
		  { DEVICE, "62 02 0008", "62 02 0008", NULL },
		  { BROKER, "70 02 0008", NULL, "70 02 0008" }) },
		{ .name = "unchanged", .talk = TALK(LIVE_3,
		  { DEVICE, "31{<'same'>'x'} 30{<'same'>}", "31{<'same'>'x'} 30{<'same'>}", NULL }) },
		{ .name = "retain cleared", .talk = TALK(LIVE_3,
		  { DEVICE, "31{<'plain'>'x'}", "30{<'plain/dev'>'x'}", NULL }) },
		{ .name = "properties pass", .talk = TALK(LIVE_5,
		  { DEVICE, "30{<'Home'>{01 01 26<'a'><'b'>}'x'}",
		    "30{<'home/dev/telemetry'>{01 01 26<'a'><'b'>}'x'}", NULL }) },
		{ .name = "response topic", .talk = TALK(LIVE_5,
		  { DEVICE, "30{<'Home'>{01 01 08<'reply/7'> 26<'a'><'b'>}'x'}",
		    "30{<'home/dev/telemetry'>{01 01 08<'reply/dev/7'> 26<'a'><'b'>}'x'}",
		    NULL }) },
	};

	(void)state;
	talk_play_all(scenes, COUNT_OF(scenes));
}

static void
denied_publishes_are_answered(void **state)
{
	const struct scene scenes[] = {
		{ .name = "3.1.1", .talk = TALK(LIVE_3,
		  { DEVICE, "30{<'no'>'payload'}", NULL, NULL },
		  { DEVICE, "32{<'no'>0001'payload'}", NULL, "40 02 0001" },
		  { DEVICE, "34{<'no'>0002'payload'}", NULL, "50 02 0002" },
		  { DEVICE, "3C{<'no'>0002'payload'}", NULL, "50 02 0002" },
		  { DEVICE, "62 02 0002", NULL, "70 02 0002" },
		  { DEVICE, "62 02 0002", "62 02 0002", NULL }) },
		{ .name = "5.0", .talk = TALK(LIVE_5,
		  { DEVICE, "32{<'no'>0001{}'payload'}", NULL, "40{0001 87}" },
		  { DEVICE, "34{<'no'>0002{}'payload'}", NULL, "50{0002 87}" }) },
		{ .name = "QoS over the rule", .talk = TALK(LIVE_5,
		  { DEVICE, "32{<'q0'>0001{}'x'}", NULL, "40{0001 87}" },
		  { DEVICE, "30{<'q0'>{}'x'}", "30{<'q0/dev'>{}'x'}", NULL }) },
		{ .name = "payload over the rule", .talk = TALK(LIVE_5,
		  { DEVICE, "32{<'tiny'>0001{}'12345'}", NULL, "40{0001 97}" },
		  { DEVICE, "32{<'tiny'>0001{}'1234'}", "32{<'tiny/dev'>0001{}'1234'}", NULL }) },
		{ .name = "response topic", .talk = TALK(LIVE_5,
		  { DEVICE, "32{<'Home'>0001{08<'x'>}'1'}", NULL, "40{0001 87}" }) },
		{ .name = "a topic of the broker", .talk = TALK(LIVE_3,
		  { DEVICE, "30{<'home/other/telemetry'>'1'} 30{<'$SYS/x'>'1'}", NULL, NULL }) },
		{ .name = "rule says close", .rules = &close_rules, .talk = TALK(LIVE_5,
		  { DEVICE, "30{<'Home'>{}'1'}", "30{<'home/dev'>{}'1'}", NULL },
		  { DEVICE, "30{<'no'>{}'1'}", NULL,
		    "E0{87{1F<'published to a topic that it may not'>}}" }),
		  .ending = ENDS(DEVICE, NOT_AUTHORIZED, "published to a topic that it may not") },
		{ .name = "over the broker's size", .talk = TALK(CONNECT_5, OPEN_5,
		  { BROKER, "20{00 00{27 00000064}}", NULL, "20{00 00{27 00000042}}" },
		  { DEVICE, "30 60<'Home'>{}", NULL,
		    "E0{95{1F<'published more than the broker takes in one packet'>}}" }),
		  .ending = ENDS(DEVICE, PACKET_TOO_LARGE,
		                 "published more than the broker takes in one packet") },
	};

	(void)state;
	talk_play_all(scenes, COUNT_OF(scenes));
}

/* A local acknowledgement waits behind those that the broker owes. */
static void
acknowledgements_keep_their_order(void **state)
{
	const struct scene scenes[] = {
		{ .name = "one behind one", .talk = TALK(LIVE_3,
		  { DEVICE, "32{<'Home'>0001'a'} 32{<'no'>0002'b'} 32{<'Home'>0003'c'}",
		    "32{<'home/dev/telemetry'>0001'a'} 32{<'home/dev/telemetry'>0003'c'}", NULL },
		  { BROKER, "40 02 0001", NULL, "40 02 0001 40 02 0002" },
		  { BROKER, "40 02 0003", NULL, "40 02 0003" }) },
		{ .name = "QoS 2 among them", .talk = TALK(LIVE_5,
		  { DEVICE, "34{<'Home'>0001{}} 34{<'no'>0002{}} 32{<'no'>0003{}}",
		    "34{<'home/dev/telemetry'>0001{}}", NULL },
		  { BROKER, "50{0001 10}", NULL, "50{0001 10} 50{0002 87} 40{0003 87}" },
		  { DEVICE, "32{<'no'>0004{}}", NULL, "40{0004 87}" }) },
		/* PUBACK and PUBREC do not have 0x95: the device gets what they have. */
		{ .name = "too large for the broker", .talk = TALK(LIVE_5,
		  { DEVICE, "32{<'Home'>0001{}'a'} 34{<'Home'>0002{}'b'} 32{<'no'>0003{}}",
		    "32{<'home/dev/telemetry'>0001{}'a'} 34{<'home/dev/telemetry'>0002{}'b'}", NULL },
		  { BROKER, "40{0001 95}", NULL, "40{0001 97}" },
		  { BROKER, "50{0002 95{1F<'no'>}}", NULL, "50{0002 97} 40{0003 87}" }) },
		{ .name = "as many as may wait", .limits = { .denied_inflight = 2 },
		  .talk = TALK(LIVE_3,
		  { DEVICE, "32{<'Home'>0001} 32{<'no'>0002} 32{<'no'>0003}",
		    "32{<'home/dev/telemetry'>0001}", NULL },
		  { BROKER, "40 02 0001", NULL, "40 02 0001 40 02 0002 40 02 0003" },
		  { DEVICE, "C0 00", "C0 00", NULL }) },
		{ .name = "too many QoS 2 unfinished", .limits = { .denied_inflight = 2 },
		  .talk = TALK(LIVE_3,
		  { DEVICE, "34{<'no'>0001} 34{<'no'>0002}", NULL, "50 02 0001 50 02 0002" },
		  { DEVICE, "34{<'no'>0003}", NULL, NULL }),
		  .ending = ENDS(DEVICE, RECEIVE_MAXIMUM_EXCEEDED,
		                 "has too many denied publishes unfinished") },
	};

	(void)state;
	talk_play_all(scenes, COUNT_OF(scenes));
}

static void
aliases_follow_what_was_forwarded(void **state)
{
	const struct scene scenes[] = {
		{ .name = "up", .talk = TALK(LIVE_ALIAS,
		  { DEVICE, "30{<'Home'>{23 0001}'a'} 30{<>{23 0001}'b'}",
		    "30{<'home/dev/telemetry'>{23 0001}'a'} 30{<>{23 0001}'b'}", NULL },
		  { DEVICE, "32{<'no'>0001{23 0001}'c'} 32{<>0002{23 0001}'d'}", NULL,
		    "40{0001 87} 40{0002 87}" },
		  { DEVICE, "30{<'log/x'>{23 0001}'e'} 30{<>{23 0001}'f'}",
		    "30{<'log/dev/x'>{23 0001}'e'} 30{<>{23 0001}'f'}", NULL }) },
		{ .name = "the alias keeps its rule", .talk = TALK(LIVE_ALIAS,
		  { DEVICE, "31{<'plain'>{23 0002}'a'} 31{<>{23 0002}'b'}",
		    "30{<'plain/dev'>{23 0002}'a'} 30{<>{23 0002}'b'}", NULL },
		  { DEVICE, "30{<'tiny'>{23 0001}'a'} 32{<>0001{23 0001}'12345'}",
		    "30{<'tiny/dev'>{23 0001}'a'}", "40{0001 97}" }) },
		{ .name = "undefined", .talk = TALK(LIVE_ALIAS, { DEVICE, "30{<>{23 0001}'a'}", NULL,
		  "E0{82{1F<'used a topic alias that it never defined'>}}" }),
		  .ending = ENDS(DEVICE, PROTOCOL_ERROR, "used a topic alias that it never defined") },
		{ .name = "over the maximum", .talk = TALK(LIVE_ALIAS, { DEVICE,
		  "30{<'Home'>{23 0004}'a'}", NULL,
		  "E0{94{1F<'used a topic alias over the maximum'>}}" }),
		  .ending = ENDS(DEVICE, TOPIC_ALIAS_INVALID, "used a topic alias over the maximum") },
		{ .name = "down", .talk = TALK(LIVE_ALIAS,
		  { BROKER, "30{<'home/dev/command'>{23 0001}'a'} 30{<>{23 0001}'b'}", NULL,
		    "30{<'inTopic'>{23 0001}'a'} 30{<>{23 0001}'b'}" },
		  { BROKER, "30{<'nowhere'>{23 0001}'a'} 32{<>0001{23 0001}'b'}", "40 02 0001",
		    NULL }) },
		{ .name = "down, defined by one too large", .talk = TALK(
		  { DEVICE, "10{<'MQTT'>05 02 003c{22 0003 27 00000014}<'c1'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>05 82 003c{22 0003 27 00000036}<'dev'><'dev'>}", NULL },
		  { BROKER, "20{00 00{}}", NULL, "20{00 00{}}" },
		  { BROKER, "30{<'home/dev/command'>{23 0001}'0123456789'} 30{<>{23 0001}'b'}"
		    "30{<>{23 0001}'c'}", NULL,
		    "30{<'inTopic'>{23 0001}'b'} 30{<>{23 0001}'c'}" }) },
	};

	(void)state;
	talk_play_all(scenes, COUNT_OF(scenes));
}

static void
topics_are_mapped_down(void **state)
{
	const struct scene scenes[] = {
		{ .name = "each QoS", .talk = TALK(LIVE_3,
		  { BROKER, "31{<'home/dev/command'>'on'} 32{<'broadcast/a/b'>0001'x'}"
		    "34{<'broadcast/c'>0002}", NULL,
		    "31{<'inTopic'>'on'} 32{<'all/a/b'>0001'x'} 34{<'all/c'>0002}" },
		  { DEVICE, "40 02 0001 50 02 0002", "40 02 0001 50 02 0002", NULL },
		  { BROKER, "62 02 0002", NULL, "62 02 0002" },
		  { DEVICE, "70 02 0002", "70 02 0002", NULL }) },
		{ .name = "no rule", .talk = TALK(LIVE_3,
		  { BROKER, "30{<'nowhere'>'x'} 32{<'nowhere'>0001'x'} 34{<'nowhere'>0002'x'}",
		    "40 02 0001 50 02 0002", NULL },
		  { BROKER, "62 02 0002", "70 02 0002", NULL },
		  { BROKER, "62 02 0002", NULL, "62 02 0002" }) },
		{ .name = "response topics", .talk = TALK(LIVE_5,
		  { BROKER, "30{<'home/dev/command'>{01 00 08<'log/dev/9'> 09<'c'>}'x'}", NULL,
		    "30{<'inTopic'>{01 00 08<'log/9'> 09<'c'>}'x'}" },
		  { BROKER, "30{<'home/dev/command'>{01 00 08<'elsewhere'> 09<'c'>}'x'}", NULL,
		    "30{<'inTopic'>{01 00 09<'c'>}'x'}" }) },
		{ .name = "too large for the device", .talk = TALK(
		  { DEVICE, "10{<'MQTT'>05 02 003c{27 00000014}<'c1'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>05 82 003c{27 00000036}<'dev'><'dev'>}", NULL },
		  { BROKER, "20{00 00{}}", NULL, "20{00 00{}}" },
		  { BROKER, "32{<'home/dev/command'>0001{}'012345'}", NULL,
		    "32{<'inTopic'>0001{}'012345'}" },
		  { BROKER, "32{<'home/dev/command'>0002{}'0123456'}", "40 02 0002", NULL }) },
	};

	(void)state;
	talk_play_all(scenes, COUNT_OF(scenes));
}

/* Packets of our own never fall into a payload that is under way. */
static void
payloads_are_not_torn(void **state)
{
	const struct scene scenes[] = {
		{ .name = "towards the broker", .talk = TALK(LIVE_3,
		  { DEVICE, "30 0A<'Home'>'ab'", "30 18<'home/dev/telemetry'>'ab'", NULL },
		  { BROKER, "32{<'nowhere'>0001'x'}", NULL, NULL },
		  { DEVICE, "'c'", "'c'", NULL },
		  { DEVICE, "'d' C0 00", "'d' 40 02 0001 C0 00", NULL }) },
		{ .name = "towards the device", .talk = TALK(LIVE_3,
		  { BROKER, "30 15<'home/dev/command'>'ab'", NULL, "30 0C<'inTopic'>'ab'" },
		  { DEVICE, "32{<'no'>0001'x'} 82{0002<'no'>00}", NULL, NULL },
		  { BROKER, "'c' D0 00", NULL, "'c' 40 02 0001 90{0002 80} D0 00" }) },
		{ .name = "a discarded one is no hindrance", .talk = TALK(LIVE_3,
		  { BROKER, "30 0C<'nowhere'>'a'", NULL, NULL },
		  { DEVICE, "32{<'no'>0001'x'}", NULL, "40 02 0001" },
		  { BROKER, "'cd' D0 00", NULL, "D0 00" }) },
	};

	(void)state;
	talk_play_all(scenes, COUNT_OF(scenes));
}

static void
denials_are_counted(void **state)
{
	const struct scene scene = { .name = "counted", .talk = NULL };
	struct talker t;
	struct relay_info info;

	(void)state;
	talk_start(&t, &scene);
	talk_feed(&t, DEVICE, span_of("\x10\x0e\0\4MQTT\4\2\0\x3c\0\2c1", 16));
	talk_do(&t, OPEN);
	talk_feed(&t, BROKER, span_of("\x20\2\0\0", 4));
	talk_feed(&t, DEVICE, span_of("\x30\5\0\2nox\x30\7\0\4Homex", 16));
	talk_feed(&t, BROKER, span_of("\x30\5\0\2nox", 7));
	relay_info(t.relay, &info);
	assert_int_equal(info.denied, 1);
	assert_int_equal(info.unmapped, 1);
	assert_int_equal(info.publish_up, 1);
	assert_int_equal(info.publish_down, 0);
	assert_true(span_eq_str(info.last_denied, "no"));
	assert_int_equal(metric_read(&t.metrics, METRIC_PUBLISH_DENIED), 1);
	assert_int_equal(metric_read(&t.metrics, METRIC_PUBLISH_UNMAPPED), 1);
	talk_stop(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(topics_are_mapped_up),
		cmocka_unit_test(denied_publishes_are_answered),
		cmocka_unit_test(acknowledgements_keep_their_order),
		cmocka_unit_test(aliases_follow_what_was_forwarded),
		cmocka_unit_test(topics_are_mapped_down),
		cmocka_unit_test(payloads_are_not_torn),
		cmocka_unit_test(denials_are_counted),
	};

	return cmocka_run_group_tests_name("relay publish", tests, NULL, NULL);
}
