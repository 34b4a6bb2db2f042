/* SPDX-License-Identifier: BSD-2-Clause */
/* SUBSCRIBE and UNSUBSCRIBE: folding, shared broker filters, kept sessions. */
#include "unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "relay/relay_int.h"
#include "unit/relay_talk.h"

static void
subscriptions_are_folded(void **state)
{
	const struct scene scenes[] = {
		{ .name = "several rules, a refusal", .talk = TALK(LIVE_3,
		  { DEVICE, "82{0001<'inTopic'>01<'no'>02<'#'>02}",
		    "82{0001<'home/dev/command'>01<'home/dev/command'>02<'broadcast/#'>01"
		    "<'reply/dev/+'>02}", NULL },
		  { BROKER, "90{0001 01 02 01 80}", NULL, "90{0001 01 80 02}" },
		  { DEVICE, "A2{0002<'#'>}", "A2{0002<'broadcast/#'><'reply/dev/+'>}"
		    "82{FFFF<'home/dev/command'>01}", NULL },
		  { BROKER, "B0 02 0002 90{FFFF 01}", NULL, "B0 02 0002" },
		  { DEVICE, "A2{0003<'inTopic'>}", "A2{0003<'home/dev/command'>}", NULL },
		  { BROKER, "B0 02 0003", NULL, "B0 02 0003" }) },
		{ .name = "nothing to send", .talk = TALK(LIVE_3,
		  { DEVICE, "82{0001<'no'>01}", NULL, "90{0001 80}" },
		  { DEVICE, "A2{0002<'no'>}", NULL, "B0 02 0002" }) },
		{ .name = "nothing to send, 5.0", .talk = TALK(LIVE_5,
		  { DEVICE, "82{0001{}<'no'>01}", NULL, "90{0001{}87}" },
		  { DEVICE, "A2{0002{}<'no'>}", NULL, "B0{0002{}87}" }) },
		{ .name = "shared", .talk = TALK(LIVE_5,
		  { DEVICE, "82{0001{}<'$share/g/all/x'>01}",
		    "82{0001{}<'$share/g/broadcast/x'>01}", NULL },
		  { BROKER, "90{0001{1F<'ok'>}01}", NULL, "90{0001{1F<'ok'>}01}" }) },
		{ .name = "options and identifier", .talk = TALK(LIVE_5,
		  { DEVICE, "82{0001{0B 05 26<'a'><'b'>}<'inTopic'>2E}",
		    "82{0001{0B 05 26<'a'><'b'>}<'home/dev/command'>2E}", NULL },
		  { BROKER, "90{0001{}02}", NULL, "90{0001{}02}" },
		  { BROKER, "30{<'home/dev/command'>{0B 05}}", NULL, "30{<'inTopic'>{0B 05}}" }) },
		{ .name = "all parts refused", .talk = TALK(LIVE_5,
		  { DEVICE, "82{0001{}<'#'>01}",
		    "82{0001{}<'home/dev/command'>01<'broadcast/#'>01<'reply/dev/+'>01}", NULL },
		  { BROKER, "90{0001{}87 80 80}", NULL, "90{0001{}87}" },
		  { DEVICE, "A2{0002{}<'#'>}",
		    "A2{0002{}<'home/dev/command'><'broadcast/#'><'reply/dev/+'>}", NULL },
		  { BROKER, "B0{0002{}11 11 11}", NULL, "B0{0002{}11}" }) },
		{ .name = "over the limit", .limits = { .subscriptions = 1 }, .talk = TALK(LIVE_5,
		  { DEVICE, "82{0001{}<'all/1'>00<'all/2'>00}", "82{0001{}<'broadcast/1'>00}", NULL },
		  { BROKER, "90{0001{}00}", NULL, "90{0001{}00 97}" },
		  { DEVICE, "82{0002{}<'all/1'>01}", "82{0002{}<'broadcast/1'>01}", NULL }) },
		{ .name = "over the broker's size", .talk = TALK(CONNECT_5, OPEN_5,
		  { BROKER, "20{00 00{27 00000017}}", NULL, "20{00 00{27 00000040}}" },
		  { DEVICE, "82{0001{}<'inTopic'>00}", NULL, "90{0001{}97}" }) },
		{ .name = "wrong count", .talk = TALK(LIVE_3,
		  { DEVICE, "82{0001<'all/1'>00}", "82{0001<'broadcast/1'>00}", NULL },
		  { BROKER, "90{0001 00 00}", NULL, NULL }),
		  .ending = ENDS(BROKER, PROTOCOL_ERROR,
		                 "answered with another number of codes than filters") },
		{ .name = "not asked for", .talk = TALK(LIVE_3, { BROKER, "90{0001 00}", NULL, NULL }),
		  .ending = ENDS(BROKER, PROTOCOL_ERROR,
		                 "answered a subscription that nobody asked for") },
	};

	(void)state;
	talk_play_all(scenes, COUNT_OF(scenes));
}

/* Two device filters that need the same broker filter. */
static void
broker_filters_have_owners(void **state)
{
	const struct scene scenes[] = {
		{ .name = "the other still needs it", .talk = TALK(LIVE_5,
		  { DEVICE, "82{0001{}<'all/#'>00}", "82{0001{}<'broadcast/#'>00}", NULL },
		  { BROKER, "90{0001{}00}", NULL, "90{0001{}00}" },
		  { DEVICE, "82{0002{}<'#'>01}",
		    "82{0002{}<'home/dev/command'>01<'broadcast/#'>01<'reply/dev/+'>01}", NULL },
		  { BROKER, "90{0002{}01 01 01}", NULL, "90{0002{}01}" },
		  /* QoS back to 0 for the one that remains; no retained messages again */
		  { DEVICE, "A2{0003{}<'#'>}",
		    "A2{0003{}<'home/dev/command'><'reply/dev/+'>} 82{FFFF{}<'broadcast/#'>20}",
		    NULL },
		  { BROKER, "B0{0003{}00 00} 90{FFFF{}00}", NULL, "B0{0003{}00}" },
		  { DEVICE, "A2{0004{}<'all/#'>}", "A2{0004{}<'broadcast/#'>}", NULL },
		  { BROKER, "B0{0004{}00}", NULL, "B0{0004{}00}" },
		  { DEVICE, "A2{0005{}<'all/#'>}", "A2{0005{}<'broadcast/#'>}", NULL },
		  { BROKER, "B0{0005{}11}", NULL, "B0{0005{}11}" }) },
		{ .name = "twice in one packet", .talk = TALK(LIVE_5,
		  { DEVICE, "82{0001{}<'inTopic'>01}", "82{0001{}<'home/dev/command'>01}", NULL },
		  { BROKER, "90{0001{}01}", NULL, "90{0001{}01}" },
		  { DEVICE, "A2{0002{}<'inTopic'><'inTopic'>}",
		    "A2{0002{}<'home/dev/command'><'home/dev/command'>}", NULL },
		  { BROKER, "B0{0002{}00 11}", NULL, "B0{0002{}00 11}" }) },
		{ .name = "nothing goes, nothing changes", .talk = TALK(LIVE_5,
		  { DEVICE, "82{0001{}<'all/#'>01<'all/+/#'>01<'all/x'>01}",
		    "82{0001{}<'broadcast/#'>01<'broadcast/+/#'>01<'broadcast/x'>01}", NULL },
		  { BROKER, "90{0001{}01 01 01}", NULL, "90{0001{}01 01 01}" },
		  { DEVICE, "82{0002{}<'+/x'>01}", "82{0002{}<'broadcast/x'>01<'reply/dev/x'>01}",
		    NULL },
		  { BROKER, "90{0002{}01 01}", NULL, "90{0002{}01}" },
		  { DEVICE, "A2{0003{}<'all/x'>}", NULL, "B0{0003{}00}" }) },
		{ .name = "both in one packet", .talk = TALK(LIVE_3,
		  { DEVICE, "82{0001<'all/x'>01<'+/x'>00}",
		    "82{0001<'broadcast/x'>01<'broadcast/x'>01<'reply/dev/x'>00}", NULL },
		  { BROKER, "90{0001 01 01 00}", NULL, "90{0001 01 00}" },
		  { DEVICE, "A2{0002<'all/x'><'+/x'>}",
		    "A2{0002<'broadcast/x'><'broadcast/x'><'reply/dev/x'>}", NULL },
		  { BROKER, "B0 02 0002", NULL, "B0 02 0002" }) },
		{ .name = "retained messages for the newcomer", .talk = TALK(LIVE_5,
		  { DEVICE, "82{0001{}<'all/x'>10}", "82{0001{}<'broadcast/x'>10}", NULL },
		  { BROKER, "90{0001{}00}", NULL, "90{0001{}00}" },
		  { DEVICE, "82{0002{}<'+/x'>10}", "82{0002{}<'broadcast/x'>00<'reply/dev/x'>10}",
		    NULL }) },
		{ .name = "unsubscribed before the answer", .talk = TALK(LIVE_3,
		  { DEVICE, "82{0001<'all/x'>00} A2{0002<'all/x'>} 82{0003<'+/x'>01}",
		    "82{0001<'broadcast/x'>00} A2{0002<'broadcast/x'>}"
		    "82{0003<'broadcast/x'>01<'reply/dev/x'>01}", NULL },
		  { BROKER, "90{0001 00} B0 02 0002 90{0003 01 01}", NULL,
		    "90{0001 00} B0 02 0002 90{0003 01}" },
		  { DEVICE, "A2{0004<'+/x'>}", "A2{0004<'broadcast/x'><'reply/dev/x'>}", NULL }) },
		{ .name = "identifiers of all owners", .talk = TALK(LIVE_5,
		  { DEVICE, "82{0001{0B 01}<'all/x'>00} 82{0002{0B 02}<'+/x'>00}",
		    "82{0001{0B 01}<'broadcast/x'>00}"
		    "82{0002{0B 02}<'broadcast/x'>00<'reply/dev/x'>00}", NULL },
		  { BROKER, "90{0001{}00} 90{0002{}00 00}", NULL, "90{0001{}00} 90{0002{}00}" },
		  { BROKER, "30{<'broadcast/x'>{0B 02 01 01}'m'} 30{<'reply/dev/x'>{0B 02}}", NULL,
		    "30{<'all/x'>{01 01 0B 01 0B 02}'m'} 30{<'reply/x'>{0B 02}}" }) },
	};

	(void)state;
	talk_play_all(scenes, COUNT_OF(scenes));
}

static void
kept_sessions_remember(void **state)
{
	static const char *const kept[] = { "all/x", NULL };
	const struct scene scenes[] = {
		{ .name = "written down", .store = "clear dev 0;begin  0;put all/x 1;end  0;"
		  "begin  0;remove all/x 0;end  0;",
		  .talk = TALK({ DEVICE, "10{<'MQTT'>04 00 003c<'c1'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>04 80 003c<'dev'><'dev'>}", NULL }, CONNACK_3,
		  { DEVICE, "82{0001<'all/x'>01<'all/y'>01}",
		    "82{0001<'broadcast/x'>01<'broadcast/y'>01}", NULL },
		  { BROKER, "90{0001 01 80}", NULL, "90{0001 01 80}" },
		  { DEVICE, "A2{0002<'all/x'>}", "A2{0002<'broadcast/x'>}", NULL }) },
		{ .name = "not for clean ones", .store = "clear dev 0;", .talk = TALK(LIVE_3,
		  { DEVICE, "82{0001<'all/x'>01}", "82{0001<'broadcast/x'>01}", NULL },
		  { BROKER, "90{0001 01}", NULL, "90{0001 01}" }) },
		{ .name = "resumed", .kept = kept, .store = "load dev 0;begin  0;put +/x 0;end  0;"
		  "begin  0;remove +/x 0;end  0;",
		  .talk = TALK({ DEVICE, "10{<'MQTT'>04 00 003c<'c1'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>04 80 003c<'dev'><'dev'>}", NULL },
		  { BROKER, "20 02 01 00", NULL, "20 02 01 00" },
		  { DEVICE, "82{0001<'+/x'>00}", "82{0001<'broadcast/x'>01<'reply/dev/x'>00}", NULL },
		  { BROKER, "90{0001 01 00}", NULL, "90{0001 00}" },
		  { DEVICE, "A2{0002<'+/x'>}", "A2{0002<'reply/dev/x'>}", NULL }) },
		{ .name = "written when it changes", .kept = kept, .store = 
		  "load dev 0;begin  0;put all/x 2;end  0;",
		  .talk = TALK({ DEVICE, "10{<'MQTT'>04 00 003c<'c1'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>04 80 003c<'dev'><'dev'>}", NULL },
		  { BROKER, "20 02 01 00", NULL, "20 02 01 00" },
		  { DEVICE, "82{0001<'all/x'>01}", "82{0001<'broadcast/x'>01}", NULL },
		  { BROKER, "90{0001 01}", NULL, "90{0001 01}" },
		  { DEVICE, "82{0002<'all/x'>02}", "82{0002<'broadcast/x'>01}", NULL },
		  { BROKER, "90{0002 01}", NULL, "90{0002 01}" },
		  { DEVICE, "82{0003<'all/x'>02}", "82{0003<'broadcast/x'>01}", NULL },
		  { BROKER, "90{0003 01}", NULL, "90{0003 01}" }) },
		{ .name = "one change per packet", .store = "clear dev 0;begin  0;put all/x 1;"
		  "put all/y 1;end  0;begin  0;remove all/x 0;remove all/y 0;end  0;",
		  .talk = TALK({ DEVICE, "10{<'MQTT'>04 00 003c<'c1'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>04 80 003c<'dev'><'dev'>}", NULL }, CONNACK_3,
		  { DEVICE, "82{0001<'all/x'>01<'all/y'>01}",
		    "82{0001<'broadcast/x'>01<'broadcast/y'>01}", NULL },
		  { BROKER, "90{0001 01 01}", NULL, "90{0001 01 01}" },
		  { DEVICE, "A2{0002<'all/x'><'all/y'>}", "A2{0002<'broadcast/x'><'broadcast/y'>}",
		    NULL }) },
		{ .name = "what cannot be kept is not promised", .store_fails = true,
		  .store = "clear dev 0;begin  0;put all/x 1;end  0;",
		  .talk = TALK({ DEVICE, "10{<'MQTT'>05 00 003c{11 0000003C 17 00}<'c1'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>05 80 003c{11 0000003C 17 00}<'dev'><'dev'>}", NULL },
		  CONNACK_5,
		  { DEVICE, "82{0001{}<'all/x'>01}", "82{0001{}<'broadcast/x'>01}", NULL },
		  { BROKER, "90{0001{}01}", NULL, "E0{83}" }),
		  .ending = ENDS(GATEWAY, IMPLEMENTATION_SPECIFIC,
		                 "could not keep the subscriptions") },
		{ .name = "5.0, until DISCONNECT", .kept = kept, .store = "load dev 0;clear dev 0;",
		  .talk = TALK({ DEVICE, "10{<'MQTT'>05 00 003c{11 0000003C}<'c1'>}", NULL, NULL },
		  { OPEN, NULL, "10{<'MQTT'>05 80 003c{11 0000003C}<'dev'><'dev'>}", NULL },
		  { BROKER, "20{01 00{}}", NULL, "20{01 00{}}" },
		  { DEVICE, "E0{00{11 00000000}}", "E0{00{11 00000000}}", NULL }),
		  .ending = ENDS(DEVICE, SUCCESS, "disconnected") },
	};

	(void)state;
	talk_play_all(scenes, COUNT_OF(scenes));
}

/*
 * Each filter of this UNSUBSCRIBE makes the relay subscribe again for what is
 * left, and each of those takes an identifier and waits for an answer.
 */
static void
one_unsubscribe_has_bounded_effects(void **state)
{
	enum { COPIES = 1100, BODY = 2 + 3 * COPIES };
	const struct scene scene = {
		.name = "bounded", .limits = { .subscriptions = 2000, .packet_memory = 65536 }
	};
	uint8_t packet[3 + BODY];
	struct writer w = writer_of(packet, sizeof packet);
	struct talker t;

	(void)state;
	write_u8(&w, MQTT_UNSUBSCRIBE << 4 | 2);
	write_varint(&w, BODY);
	write_u16(&w, 2);
	for (unsigned i = 0; i < COPIES; i++) {
		write_block(&w, span_str("#"));
	}
	assert_false(w.bad);
	talk_start(&t, &scene);
	talk_feed(&t, DEVICE, span_of("\x10\x0e\0\4MQTT\4\2\0\x3c\0\2c1", 16));
	talk_do(&t, OPEN);
	talk_feed(&t, BROKER, span_of("\x20\2\0\0", 4));
	talk_feed(&t, DEVICE, span_of("\x82\x0e\0\1\0\5all/#\0\0\1#\1", 16));
	talk_feed(&t, BROKER, span_of("\x90\6\0\1\0\1\1\1", 8));
	assert_int_equal(relay_phase(t.relay), RELAY_LIVE);
	talk_feed(&t, DEVICE, writer_span(&w));
	assert_int_equal(relay_phase(t.relay), RELAY_OVER);
	assert_int_equal(relay_ending(t.relay).reason, MQTT_PACKET_TOO_LARGE);
	talk_stop(&t);
}

/* Few filters, but of the greatest length. */
static void
filters_have_bounded_memory(void **state)
{
	enum { LONG = 40000, BODY = 2 + 2 + LONG + 1 };
	const struct scene scene = {
		.name = "bounded", .limits = { .subscriptions = 8, .packet_memory = 65536 }
	};
	static uint8_t packet[4 + BODY];
	struct talker t;

	(void)state;
	talk_start(&t, &scene);
	talk_feed(&t, DEVICE, span_of("\x10\x0e\0\4MQTT\4\2\0\x3c\0\2c1", 16));
	talk_do(&t, OPEN);
	talk_feed(&t, BROKER, span_of("\x20\2\0\0", 4));
	for (unsigned i = 0; i < 2; i++) {
		struct writer w = writer_of(packet, sizeof packet);
		static uint8_t filter[LONG] = "all/";

		memset(filter + 4, 'a' + (int)i, sizeof filter - 4);
		write_u8(&w, MQTT_SUBSCRIBE << 4 | 2);
		write_varint(&w, BODY);
		write_u16(&w, (uint16_t)(i + 1));
		write_block(&w, span_of(filter, sizeof filter));
		write_u8(&w, 0);
		talk_forget(&t);
		talk_feed(&t, DEVICE, writer_span(&w));
		assert_int_equal(t.to_broker.len > LONG, i == 0);
	}
	assert_int_equal(t.to_device.len, 5);
	assert_memory_equal(t.to_device.bytes, "\x90\3\0\2\x80", 5);
	talk_stop(&t);
}

/* ---- the table ------------------------------------------------------------------- */

#define ENTRIES 300u
#define BROKER_FILTERS 40u

static void
assert_counted(const struct subscriptions *t, uint64_t part)
{
	const struct owned *o = lookup_owned(t, part);
	struct tally all = { 0 }, none = { 0 };
	unsigned doomed = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct subscription *s = t->entry[i];

		for (unsigned k = 0; k < s->parts; k++) {
			if (s->part[k] == part) {
				all.owners++;
				all.qos_1 += (s->options & 3) == 1;
				all.qos_2 += (s->options & 3) == 2;
				all.no_local += (s->options & NO_LOCAL) != 0;
				all.as_published += (s->options & RETAIN_AS_PUBLISHED) != 0;
				doomed += s->doomed;
			}
		}
	}
	assert_memory_equal(o != NULL ? &o->all : &none, &all, sizeof all);
	assert_int_equal(o != NULL ? o->doomed.owners : 0, doomed);
}

static struct subscription *
entry(struct subscriptions *t, unsigned number)
{
	unsigned parts = 1 + number % 3;
	char text[16];
	int len = snprintf(text, sizeof text, "f/%u", number);
	struct subscription *s = calloc(1, sizeof *s + parts * sizeof s->part[0] + (size_t)len);

	assert_non_null(s);
	s->parts = (uint16_t)parts;
	s->len = (uint16_t)len;
	s->id = 1;
	s->options = (uint8_t)(number % 3 | (number & 4) | (number & 8));
	memcpy(s->part + parts, text, (size_t)len);
	for (unsigned k = 0; k < parts; k++) { /* many have the same, and neighbours collide */
		s->part[k] = (number * 7 + k) % BROKER_FILTERS * 8;
	}
	assert_int_equal(lookup_reserve(t, s), 0);
	return s;
}

/* Against a count by hand, while entries come, change and go in another order. */
static void
the_table_is_searched_like_a_list(void **state)
{
	struct subscription *list[ENTRIES];
	struct subscriptions t = { .entry = list };

	(void)state;
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct subscription *s = entry(&t, i);

		list[t.count++] = s;
		lookup_add(&t, s);
		lookup_discount(&t, s);
		s->options ^= NO_LOCAL;
		lookup_count(&t, s);
		if (i % 5 == 0) {
			s->doomed = true;
			lookup_doom(&t, s, true);
		}
	}
	for (unsigned i = 0; i < BROKER_FILTERS; i++) {
		assert_counted(&t, i * 8);
	}
	assert_false(t.mixed);
	for (unsigned at = 0; t.count > 0; at += 89) {
		struct subscription *s;

		at %= (unsigned)t.count;
		s = list[at];
		lookup_remove(&t, s);
		list[at] = list[--t.count];
		assert_null(lookup_filter(&t, subscription_filter(s)));
		for (size_t i = 0; i < t.count; i++) {
			assert_ptr_equal(lookup_filter(&t, subscription_filter(list[i])), list[i]);
		}
		for (unsigned i = 0; i < BROKER_FILTERS; i++) {
			assert_counted(&t, i * 8);
		}
		free(s);
	}
	assert_int_equal(t.owned_count, 0);
	lookup_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subscriptions_are_folded),
		cmocka_unit_test(broker_filters_have_owners),
		cmocka_unit_test(kept_sessions_remember),
		cmocka_unit_test(the_table_is_searched_like_a_list),
		cmocka_unit_test(one_unsubscribe_has_bounded_effects),
		cmocka_unit_test(filters_have_bounded_memory),
	};

	return cmocka_run_group_tests_name("relay subscribe", tests, NULL, NULL);
}
