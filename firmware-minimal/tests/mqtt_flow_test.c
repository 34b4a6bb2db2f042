/* SPDX-License-Identifier: BSD-2-Clause */
/* The MQTT client in time, and however the transport cuts what comes. */
#include "mqtt_fixture.h"

/*
 * Time
 */

static void
ping(void **state)
{
	(void)state;
	now += 44999;
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
	expect_silence();
	now += 1;
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
	expect_output(BYTES(PINGREQ));
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
	expect_silence();
	now += 9999;
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
	assert_int_equal(feed(BYTES(PINGRESP)), MQTT_NOTHING);
	now += 10000;
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
	expect_silence();
	/* What we send counts, and so does what we hear: both must be there. */
	for (unsigned i = 0; i < 3; i++) {
		now += 11000;
		assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
		assert_true(mqtt_publish(&client, "t", "x", 1, 0, false));
		mqtt_sent(&client, SIZE_MAX);
		expect_silence();
	}
	now += 2000;
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
	expect_output(BYTES(PINGREQ));
	now += 10000;
	assert_int_equal(mqtt_tick(&client, now), MQTT_SILENT);
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
	expect_silence();
}

static void
no_ping_without_keep_alive(void **state)
{
	struct mqtt_settings s = SETTINGS;

	(void)state;
	s.keep_alive = 0;
	connect_with(&s);
	now += 100000000;
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
	expect_silence();
}

static void
ping_goes_into_the_reserve(void **state)
{
	static uint8_t payload[250];
	size_t size;

	(void)state;
	assert_true(mqtt_publish(&client, "t", payload, sizeof payload, 0, false));
	now += 45000;
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
	assert_memory_equal(mqtt_output(&client, &size) + 256, PINGREQ, 2);
	assert_int_equal(size, 258);
	now += 10000;
	assert_int_equal(mqtt_tick(&client, now), MQTT_SILENT);
}

/* The deadline begins with the first call that brings the time after the request. */
static void
deadlines(void **state)
{
	static const unsigned requests = 3;

	(void)state;
	for (unsigned i = 0; i < requests; i++) {
		setup(state);
		now = UINT32_MAX - 3000; /* and the clock wraps */
		mqtt_tick(&client, now);
		mqtt_sent(&client, SIZE_MAX);
		feed(BYTES(PINGRESP));
		if (i == 0) {
			assert_true(mqtt_publish(&client, "t", "x", 1, 1, false));
		} else if (i == 1) {
			assert_true(mqtt_subscribe(&client, "t", 1));
		} else {
			mqtt_open(&client, now);
		}
		mqtt_sent(&client, SIZE_MAX);
		now += 500;
		assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
		now += 9999;
		assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
		now += 1;
		assert_int_equal(mqtt_tick(&client, now), MQTT_SILENT);
	}
	/* An unacknowledged publish is kept all the same. */
	setup(state);
	assert_true(mqtt_publish(&client, "t", "x", 1, 1, false));
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
	now += 10000;
	assert_int_equal(mqtt_tick(&client, now), MQTT_SILENT);
	reconnect();
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
	expect_output(BYTES("\x3a\x06\0\1t\0\1x"));
	now += 9999;
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
}

/*
 * After an outage a full window waits. Readings of 61 bytes, as from the ten
 * thousandth on with a name of 18 characters, leave no room for a SUBSCRIBE.
 */
static void
subscribes_before_what_was_kept(void **state)
{
	static const uint8_t payload[51] = { '{' };
	size_t size;

	(void)state;
	for (unsigned i = 0; i < MQTT_WINDOW; i++) {
		assert_true(mqtt_publish(&client, "Home", payload, sizeof payload, 1, false));
	}
	mqtt_sent(&client, SIZE_MAX);
	reconnect();
	assert_true(mqtt_subscribe(&client, "inTopic", 1));
	assert_memory_equal(mqtt_output(&client, &size), "\x82\x0c\0\5\0\7inTopic\1", 14);
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
	assert_memory_equal(mqtt_output(&client, &size) + 14, "\x3a\x3b\0\4Home\0\1{", 11);
	assert_int_equal(size, 14 + 3 * 61); /* the fourth when there is room */
	mqtt_sent(&client, SIZE_MAX);
	assert_memory_equal(mqtt_output(&client, &size), "\x3a\x3b\0\4Home\0\4{", 11);
	assert_int_equal(size, 61);
}

static void
disconnect(void **state)
{
	(void)state;
	assert_true(mqtt_publish(&client, "t", "x", 1, 0, false));
	mqtt_disconnect(&client);
	expect_output(BYTES("\x30\x04\0\1tx\xe0\0"));
	expect_silence();
	assert_int_equal(feed(BYTES(PINGRESP)), MQTT_NOTHING);
	mqtt_open(&client, now);
	mqtt_disconnect(&client); /* nothing to take leave of: no bytes at all */
	expect_silence();
}

/*
 * However the transport cuts it
 */

#define TRANSCRIPT \
	CONNACK "\x90\x03\0\2\1" "\x30\x0b\0\7inTopicon" "\x32\x06\0\1t\0\7x" PINGRESP \
	"\x40\x02\0\1" "\x33\x0d\0\7inTopic\xff\xff" "of"

/* Starts a client that waits for everything in the transcript. */
static void
expectant_client(void)
{
	mqtt_init(&client, &SETTINGS);
	assert_true(mqtt_publish(&client, "t", "x", 1, 1, false));
	mqtt_open(&client, now);
	mqtt_sent(&client, SIZE_MAX);
}

static void
take_subscribing(struct record *r, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		take(r, bytes, 1);
		bytes++, size--;
		if (r->count == 1 && client.stage == MQTT_READY && client.last_id == 1) {
			assert_true(mqtt_subscribe(&client, "inTopic", 1));
			drain(r);
		}
	}
}

static void
chopped_at_every_byte(void **state)
{
	static const uint8_t transcript[] = TRANSCRIPT;
	static const char events[] = { 'a' + MQTT_CONNECTED, 'a' + MQTT_SUBSCRIBED,
		                       'a' + MQTT_MESSAGE,   'a' + MQTT_MESSAGE,
		                       'a' + MQTT_PUBLISHED, 'a' + MQTT_MESSAGE, '\0' };
	static const uint8_t answers[] = "\x82\x0c\0\2\0\7inTopic\1" "\x32\x06\0\1t\0\1x"
	                                 "\x40\x02\0\7" "\x40\x02\xff\xff";
	static struct record r;
	size_t size = sizeof transcript - 1, head = sizeof CONNACK - 1;

	(void)state;
	for (size_t cut = head; cut <= size; cut++) {
		memset(&r, 0, sizeof r);
		expectant_client();
		take_subscribing(&r, transcript, head);
		take(&r, transcript + head, cut - head);
		take(&r, transcript + cut, size - cut);
		assert_string_equal(r.events, events);
		assert_int_equal(r.out_size, sizeof answers - 1);
		assert_memory_equal(r.out, answers, r.out_size);
	}
	memset(&r, 0, sizeof r);
	expectant_client();
	take_subscribing(&r, transcript, size);
	assert_string_equal(r.events, events);
	assert_int_equal(r.out_size, sizeof answers - 1);
	assert_memory_equal(r.out, answers, r.out_size);
}

static uint32_t seed;

static uint32_t
random_below(uint32_t limit)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % limit;
}

/* Messages that fit and that do not, QoS 0 and 1, answers to nothing. */
static size_t
random_stream(uint8_t *to, unsigned packets)
{
	size_t n = 0;

	while (packets-- > 0) {
		switch (random_below(4)) {
		case 0:
			memcpy(to + n, PINGRESP, 2);
			n += 2;
			break;
		case 1:
			memcpy(to + n, "\x40\x02\x77\x01", 4);
			n += 4;
			break;
		default:
			n += large_publish(to + n, random_below(2) == 0 ? 0x30 : 0x32,
			                   1 + random_below(40), random_below(400));
		}
	}
	return n;
}

static void
chopped_at_random(void **state)
{
	static uint8_t stream[16384];
	static struct record whole, pieces;

	for (seed = 1; seed < 300; seed += 2) {
		uint32_t start = seed;
		size_t size = random_stream(stream, 25), at = 0;

		setup(state);
		memset(&whole, 0, sizeof whole);
		take(&whole, stream, size);
		setup(state);
		memset(&pieces, 0, sizeof pieces);
		while (at < size) {
			size_t n = 1 + random_below(60);

			n = n < size - at ? n : size - at;
			take(&pieces, stream + at, n);
			at += n;
		}
		assert_string_equal(whole.events, pieces.events);
		assert_int_equal(whole.out_size, pieces.out_size);
		assert_memory_equal(whole.out, pieces.out, whole.out_size);
		assert_int_equal(client.stage, MQTT_READY);
		seed = start;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ping),
		TEST(no_ping_without_keep_alive),
		TEST(ping_goes_into_the_reserve),
		TEST(deadlines),
		TEST(subscribes_before_what_was_kept),
		TEST(disconnect),
		TEST(chopped_at_every_byte),
		TEST(chopped_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
