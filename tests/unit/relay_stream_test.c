/* SPDX-License-Identifier: BSD-2-Clause */
/* Payloads stream: nothing of them is held, and what is held is bounded. */
#include "unit/cmocka_all.h"

#include <stdlib.h>

#include "relay/relay_int.h"
#include "unit/relay_talk.h"

#define PIECE 16384u
#define LARGE (64u << 20)

static const struct scene plain = { .name = "stream", .talk = NULL };

static void
go_live(struct talker *t)
{
	talk_start(t, &plain);
	talk_feed(t, DEVICE, span_of("\x10\x0e\0\4MQTT\4\2\0\x3c\0\2c1", 16));
	talk_do(t, OPEN);
	talk_feed(t, BROKER, span_of("\x20\2\0\0", 4));
	assert_int_equal(relay_phase(t->relay), RELAY_LIVE);
	talk_forget(t);
}

/* Bytes that the relay itself keeps of a stream. */
static size_t
held(const struct talker *t)
{
	return t->relay->up.held.size + t->relay->up.later.size + t->relay->down.held.size +
	       t->relay->down.later.size;
}

static size_t
head(uint8_t *at, const char *topic, uint32_t payload)
{
	struct writer w = writer_of(at, 64);

	write_u8(&w, MQTT_PUBLISH << 4);
	write_varint(&w, (uint32_t)(2 + strlen(topic)) + payload);
	write_block(&w, span_str(topic));
	return writer_len(&w);
}

/* 64 MiB in pieces; the bytes that come out on the other side. */
static uint64_t
stream(struct talker *t, enum talk_kind from, const char *topic)
{
	static uint8_t bytes[PIECE];
	uint64_t passed = 0;
	struct talk_sink *sink = from == DEVICE ? &t->to_broker : &t->to_device;

	assert_true(talk_feed(t, from, span_of(bytes, head(bytes, topic, LARGE))));
	passed += sink->len;
	for (uint32_t left = LARGE; left > 0; left -= PIECE) {
		talk_forget(t);
		assert_true(talk_feed(t, from, span_of(bytes, PIECE)));
		passed += sink->len;
		assert_int_equal(held(t), 0);
	}
	talk_forget(t);
	return passed;
}

static void
large_payloads_pass(void **state)
{
	struct talker t;

	(void)state;
	go_live(&t);
	assert_int_equal(stream(&t, DEVICE, "Home"), LARGE + 5 + 2 + strlen("home/dev/telemetry"));
	assert_int_equal(stream(&t, BROKER, "home/dev/command"), LARGE + 5 + 2 + strlen("inTopic"));
	assert_int_equal(stream(&t, DEVICE, "no"), 0);
	assert_int_equal(stream(&t, BROKER, "nowhere"), 0);
	assert_true(talk_feed(&t, DEVICE, span_of("\xc0\0", 2)));
	assert_int_equal(t.to_broker.len, 2);
	talk_stop(&t);
}

/* What passes unchanged is referenced: nothing is made, nothing allocated. */
static void
unchanged_packets_are_not_copied(void **state)
{
	static const uint8_t packets[] = "\x30\x07\0\4samex\xc0\0\x40\2\0\1";
	struct span in = span_of(packets, sizeof packets - 1);
	struct talker t;
	struct relay_out out = { &t.device, &t.broker };
	size_t used;

	(void)state;
	go_live(&t);
	assert_int_equal(relay_from_device(t.relay, in, &used, &out), 0);
	assert_int_equal(used, in.len);
	assert_int_equal(t.broker.count, 1);
	assert_ptr_equal(t.broker.piece[0].iov_base, packets);
	assert_int_equal(t.broker.bytes, in.len);
	assert_int_equal(t.broker.arena_used, 0);
	assert_int_equal(held(&t), 0);
	talk_stop(&t);
}

/* Heads of MQTT 5 may be huge; those of others must not end the device's session. */
static void
oversized_heads_are_dropped(void **state)
{
	static uint8_t packet[100000];
	struct writer w = writer_of(packet, sizeof packet);
	const uint32_t props = 90000;
	struct talker t;

	(void)state;
	talk_start(&t, &plain);
	talk_feed(&t, DEVICE, span_of("\x10\x0f\0\4MQTT\5\2\0\x3c\0\0\2c1", 17));
	talk_do(&t, OPEN);
	talk_feed(&t, BROKER, span_of("\x20\3\0\0\0", 5));
	talk_forget(&t);
	write_u8(&w, 0x32);
	write_varint(&w, 2 + 9 + 2 + 3 + props);
	write_block(&w, span_str("broadcast"));
	write_u16(&w, 7);
	write_varint(&w, props);
	for (uint32_t left = props; left > 0; left -= 10) {
		write_bytes(&w, span_of("\x26\0\3abc\0\2de", 10));
	}
	assert_false(w.bad);
	for (size_t at = 0; at < writer_len(&w); at += 1000) {
		assert_true(talk_feed(&t, BROKER,
		                      span_head(span_skip(writer_span(&w), at), 1000)));
	}
	assert_int_equal(t.to_device.len, 0);
	assert_int_equal(t.to_broker.len, 4);
	assert_memory_equal(t.to_broker.bytes, "\x40\2\0\7", 4);
	assert_int_equal(metric_read(&t.metrics, METRIC_PUBLISH_TOO_LARGE), 1);
	talk_stop(&t);
}

/* SUBSCRIBE packets whose answers are awaited hold the device back. */
static void
pending_answers_are_bounded(void **state)
{
	static const uint8_t packet[] = "\x82\x0a\0\1\0\5all/x\0";
	struct talker t;
	unsigned taken = 0;

	(void)state;
	go_live(&t);
	while (relay_wants_device(t.relay) && taken < 1000) {
		talk_feed(&t, DEVICE, span_of(packet, sizeof packet - 1));
		taken++;
	}
	assert_int_equal(taken, FOLDS_HIGH);
	talk_feed(&t, BROKER, span_of("\x90\3\0\1\0", 5));
	assert_true(relay_wants_device(t.relay));
	talk_stop(&t);
}

/* Each filter costs a walk over the table: not without end. */
static void
excessive_packets_are_refused(void **state)
{
	static uint8_t packet[1024];
	struct writer w = writer_of(packet, sizeof packet);
	const unsigned count = 8 + FILTERS_SPARE + 1;
	struct talker t;

	(void)state;
	go_live(&t);
	write_u8(&w, 0x82);
	write_varint(&w, 2 + count * 4);
	write_u16(&w, 1);
	for (unsigned i = 0; i < count; i++) {
		write_bytes(&w, span_of("\0\1#\0", 4));
	}
	assert_true(talk_feed(&t, DEVICE, writer_span(&w)));
	assert_int_equal(t.to_broker.len, 0);
	assert_int_equal(t.to_device.len, 2 + 2 + count);
	assert_int_equal(t.to_device.bytes[4], 0x80);
	w = writer_of(packet, sizeof packet);
	write_u8(&w, 0xa2);
	write_varint(&w, 2 + count * 3);
	write_u16(&w, 1);
	for (unsigned i = 0; i < count; i++) {
		write_bytes(&w, span_of("\0\1#", 3));
	}
	assert_false(talk_feed(&t, DEVICE, writer_span(&w)));
	assert_string_equal(relay_ending(t.relay).text, "unsubscribed from more than it can have");
	talk_stop(&t);
}

static void
identifier_sets(void **state)
{
	struct idset set = { 0 };

	(void)state;
	for (uint32_t id = 65535; id > 0; id -= 3) {
		assert_int_equal(idset_add(&set, (uint16_t)id), 0);
		assert_int_equal(idset_add(&set, (uint16_t)id), 0);
	}
	for (uint32_t id = 1; id <= 65535; id++) {
		assert_int_equal(idset_has(&set, (uint16_t)id), id % 3 == 0);
		assert_int_equal(idset_remove(&set, (uint16_t)id), id % 3 == 0);
	}
	assert_int_equal(set.count, 0);
	assert_null(set.id);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(large_payloads_pass),
		cmocka_unit_test(unchanged_packets_are_not_copied),
		cmocka_unit_test(oversized_heads_are_dropped),
		cmocka_unit_test(pending_answers_are_bounded),
		cmocka_unit_test(excessive_packets_are_refused),
		cmocka_unit_test(identifier_sets),
	};

	return cmocka_run_group_tests_name("relay stream", tests, NULL, NULL);
}
