/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MQTT client, byte for byte. Section numbers are those of MQTT 3.1.1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mqtt/mqtt_client_int.h"
#include "unit/cmocka_all.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
/* Bytes of a string literal without its terminator. */
#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

#define CONNECT "\x10\x0f\0\4MQTT\4\x02\0\x3c\0\3dev"
#define CONNACK "\x20\x02\0\0"
#define PINGREQ "\xc0\0"
#define PINGRESP "\xd0\0"

static struct mqtt_client client;
static uint32_t now;

static const struct mqtt_settings SETTINGS = {
	.client_id = "dev",
	.keep_alive = 60,
	.answer_ms = 10000,
};

/*
 * Driving it
 */

static void
expect_output(const uint8_t *bytes, size_t size)
{
	size_t there;
	const uint8_t *out = mqtt_output(&client, &there);

	if (there != size || memcmp(out, bytes, size) != 0) {
		for (size_t i = 0; i < there; i++) {
			fprintf(stderr, "%02x ", out[i]);
		}
		fail_msg("%zu bytes where %zu other ones were expected", there, size);
	}
	mqtt_sent(&client, size);
}

static void
expect_silence(void)
{
	size_t there;

	mqtt_output(&client, &there);
	assert_int_equal(there, 0);
}

static enum mqtt_event
feed(const uint8_t *bytes, size_t size)
{
	size_t used;
	enum mqtt_event event = mqtt_input(&client, bytes, size, &used, now);

	assert_int_equal(used, size);
	return event;
}

static void
connect_with(const struct mqtt_settings *settings)
{
	mqtt_init(&client, settings);
	mqtt_open(&client, now);
	mqtt_sent(&client, SIZE_MAX);
	assert_int_equal(feed(BYTES(CONNACK)), MQTT_CONNECTED);
}

static int
setup(void **state)
{
	(void)state;
	now = 1000;
	connect_with(&SETTINGS);
	return 0;
}

static void
reconnect(void)
{
	mqtt_open(&client, now);
	expect_output(BYTES(CONNECT));
	assert_int_equal(feed(BYTES(CONNACK)), MQTT_CONNECTED);
}

/* As a program does it: all events, in letters; what is to be sent, collected. */
struct record {
	char events[4096];
	size_t count;
	uint8_t out[16384];
	size_t out_size;
};

static void
drain(struct record *r)
{
	size_t size;
	const uint8_t *out = mqtt_output(&client, &size);

	assert_true(size <= sizeof r->out - r->out_size);
	memcpy(r->out + r->out_size, out, size);
	r->out_size += size;
	mqtt_sent(&client, size);
}

static void
take(struct record *r, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		size_t used;
		enum mqtt_event event = mqtt_input(&client, bytes, size, &used, now);

		if (event != MQTT_NOTHING) {
			assert_true(r->count + 1 < sizeof r->events);
			r->events[r->count++] = (char)('a' + event);
		}
		drain(r);
		assert_true(used > 0);
		bytes += used;
		size -= used;
	}
}

/*
 * 3.1, 3.2
 */

static void
connect_bytes(void **state)
{
	struct mqtt_settings s = SETTINGS;

	(void)state;
	mqtt_init(&client, &s);
	mqtt_open(&client, now);
	expect_output(BYTES(CONNECT));

	s.will_topic = "gone";
	s.will_message = "dev";
	mqtt_init(&client, &s);
	mqtt_open(&client, now);
	expect_output(BYTES("\x10\x1a\0\4MQTT\4\x0e\0\x3c\0\3dev\0\4gone\0\3dev"));

	s.will_retain = true;
	s.will_message = "";
	s.client_id = "";
	s.keep_alive = 0x1234;
	mqtt_init(&client, &s);
	mqtt_open(&client, now);
	expect_output(BYTES("\x10\x14\0\4MQTT\4\x2e\x12\x34\0\0\0\4gone\0\0"));
}

static void
connect_that_does_not_fit(void **state)
{
	static char id[300];
	struct mqtt_settings s = SETTINGS;

	(void)state;
	memset(id, 'i', sizeof id - 1);
	s.client_id = id;
	mqtt_init(&client, &s);
	mqtt_open(&client, now);
	expect_silence();
	assert_int_equal(mqtt_tick(&client, now), MQTT_PROTOCOL);
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
	/* 256 bytes do: 1 + 2 of header, 10 + 2, the rest. */
	id[256 - 15] = '\0';
	mqtt_init(&client, &s);
	mqtt_open(&client, now);
	mqtt_sent(&client, 256);
	expect_silence();
}

static void
connack(void **state)
{
	static const struct {
		const uint8_t *bytes;
		size_t size;
		enum mqtt_event event;
		uint8_t refusal;
	} cases[] = {
		{ BYTES("\x20\x02\0\0"), MQTT_CONNECTED, 0 },
		{ BYTES("\x20\x02\0\1"), MQTT_REFUSED, 1 },
		{ BYTES("\x20\x02\0\5"), MQTT_REFUSED, 5 },
		{ BYTES("\x20\x02\0\6"), MQTT_PROTOCOL, 0 },
		/* Session present after a clean session: 3.2.2-1; with a refusal: 3.2.2-4. */
		{ BYTES("\x20\x02\1\0"), MQTT_PROTOCOL, 0 },
		{ BYTES("\x20\x02\1\5"), MQTT_PROTOCOL, 0 },
		{ BYTES("\x20\x02\2\0"), MQTT_PROTOCOL, 0 },
		{ BYTES("\x21"), MQTT_PROTOCOL, 0 },
		{ BYTES("\x20\x03"), MQTT_PROTOCOL, 0 },
		/* Something else first: 3.2.0-1. */
		{ BYTES("\xd0\0"), MQTT_PROTOCOL, 0 },
		{ BYTES("\x30\x03\0\1t"), MQTT_PROTOCOL, 0 },
		{ BYTES("\x40\x02\0\1"), MQTT_PROTOCOL, 0 },
		{ BYTES("\x90\x03\0\1\0"), MQTT_PROTOCOL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		mqtt_init(&client, &SETTINGS);
		mqtt_open(&client, now);
		assert_false(mqtt_publish(&client, "t", "x", 1, 0, false));
		assert_false(mqtt_subscribe(&client, "t", 0));
		expect_output(BYTES(CONNECT));
		assert_int_equal(feed(cases[i].bytes, cases[i].size), cases[i].event);
		assert_int_equal(mqtt_refusal(&client), cases[i].refusal);
	}
}

static void
second_connack(void **state)
{
	(void)state;
	assert_int_equal(feed(BYTES(CONNACK)), MQTT_PROTOCOL);
	assert_int_equal(feed(BYTES("anything")), MQTT_NOTHING);
	expect_silence();
}

/*
 * 3.3 out, 3.4
 */

static void
publish_bytes(void **state)
{
	(void)state;
	assert_true(mqtt_publish(&client, "Home", "{}", 2, 0, false));
	expect_output(BYTES("\x30\x08\0\4Home{}"));
	assert_true(mqtt_publish(&client, "Home", NULL, 0, 0, true));
	expect_output(BYTES("\x31\x06\0\4Home"));
	assert_true(mqtt_publish(&client, "Home", "{}", 2, 1, false));
	expect_output(BYTES("\x32\x0a\0\4Home\0\1{}"));
	assert_true(mqtt_publish(&client, "Home", "{}", 2, 1, true));
	expect_output(BYTES("\x33\x0a\0\4Home\0\2{}"));
	assert_int_equal(mqtt_pending(&client), 2);
	assert_int_equal(feed(BYTES("\x40\x02\0\2")), MQTT_PUBLISHED);
	assert_int_equal(feed(BYTES("\x40\x02\0\2")), MQTT_NOTHING); /* once more: no harm */
	assert_int_equal(feed(BYTES("\x40\x02\0\1")), MQTT_PUBLISHED);
	assert_int_equal(mqtt_pending(&client), 0);
	assert_int_equal(feed(BYTES("\x40\x02\0\0")), MQTT_PROTOCOL);
}

static void
publish_that_is_not_taken(void **state)
{
	static uint8_t payload[300];
	size_t size;

	(void)state;
	assert_false(mqtt_publish(&client, "", "x", 1, 0, false));
	assert_false(mqtt_publish(&client, "a/+", "x", 1, 0, false));
	assert_false(mqtt_publish(&client, "a/#", "x", 1, 1, false));
	assert_false(mqtt_publish(&client, "t", "x", 1, 2, false));
	assert_false(mqtt_publish(&client, "t", payload, 256 - 3 - 3 + 1, 0, false));
	assert_false(mqtt_publish(&client, "t", payload, 256 - 3 - 5 + 1, 1, false));
	assert_false(mqtt_publish(&client, "t", payload, sizeof payload, 1, false));
	expect_silence();
	assert_int_equal(mqtt_pending(&client), 0);
	/* The largest. */
	assert_true(mqtt_publish(&client, "t", payload, 256 - 3 - 3, 0, false));
	mqtt_output(&client, &size);
	assert_int_equal(size, 256);
	/* No room for a second one; the first is intact. */
	assert_false(mqtt_publish(&client, "t", "x", 1, 0, false));
	assert_false(mqtt_subscribe(&client, "t", 0));
	assert_memory_equal(mqtt_output(&client, &size), "\x30\xfd\x01\0\1t", 6);
	assert_int_equal(size, 256);
	/* QoS 1 waits for room. */
	assert_true(mqtt_publish(&client, "t", "y", 1, 1, false));
	mqtt_output(&client, &size);
	assert_int_equal(size, 256);
	mqtt_sent(&client, 255);
	mqtt_sent(&client, 1);
	expect_output(BYTES("\x32\x06\0\1t\0\1y"));
}

static void
window(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MQTT_WINDOW; i++) {
		assert_true(mqtt_publish(&client, "t", "x", 1, 1, false));
	}
	assert_false(mqtt_publish(&client, "t", "x", 1, 1, false));
	mqtt_sent(&client, SIZE_MAX);
	assert_int_equal(feed(BYTES("\x40\x02\0\3")), MQTT_PUBLISHED);
	assert_true(mqtt_publish(&client, "t", "x", 1, 1, false));
	expect_output(BYTES("\x32\x06\0\1t\0\5x"));
	assert_false(mqtt_publish(&client, "t", "x", 1, 1, false));
}

/* 2.3.1: after 65535 comes 1, and what is in use is left out. */
static void
packet_identifiers(void **state)
{
	(void)state;
	assert_true(mqtt_publish(&client, "t", "x", 1, 1, false)); /* 1 */
	assert_true(mqtt_subscribe(&client, "f", 0));              /* 2 */
	client.last_id = 65534;
	assert_true(mqtt_publish(&client, "t", "x", 1, 1, false)); /* 65535 */
	mqtt_sent(&client, SIZE_MAX);
	assert_true(mqtt_publish(&client, "t", "x", 1, 1, false));
	expect_output(BYTES("\x32\x06\0\1t\0\3x"));
	assert_int_equal(feed(BYTES("\x40\x02\xff\xff")), MQTT_PUBLISHED);
}

static void
resends_in_order_after_reconnect(void **state)
{
	(void)state;
	assert_true(mqtt_publish(&client, "t", "1", 1, 1, false));
	assert_true(mqtt_publish(&client, "t", "2", 1, 1, true));
	assert_true(mqtt_publish(&client, "t", "3", 1, 1, false));
	mqtt_sent(&client, SIZE_MAX);
	assert_int_equal(feed(BYTES("\x40\x02\0\2")), MQTT_PUBLISHED);
	/* Taken while there is no connection: not sent before, so no DUP. */
	mqtt_disconnect(&client);
	mqtt_sent(&client, SIZE_MAX);
	assert_true(mqtt_publish(&client, "t", "4", 1, 1, false));
	mqtt_open(&client, now);
	expect_output(BYTES(CONNECT));
	assert_true(mqtt_publish(&client, "t", "5", 1, 1, false));
	expect_silence();
	assert_int_equal(feed(BYTES(CONNACK)), MQTT_CONNECTED);
	expect_output(BYTES("\x3a\x06\0\1t\0\1" "1\x3a\x06\0\1t\0\3" "3\x32\x06\0\1t\0\4" "4"
	                    "\x32\x06\0\1t\0\5" "5"));
	reconnect();
	expect_output(BYTES("\x3a\x06\0\1t\0\1" "1\x3a\x06\0\1t\0\3" "3\x3a\x06\0\1t\0\4" "4"
	                    "\x3a\x06\0\1t\0\5" "5"));
	for (uint8_t id = 1; id <= 5; id++) {
		const uint8_t puback[] = { 0x40, 2, 0, id };

		assert_int_equal(feed(puback, 4), id == 2 ? MQTT_NOTHING : MQTT_PUBLISHED);
	}
	reconnect();
	expect_silence();
}

/* More than the output holds at once: the rest follows as it drains. */
static void
resends_large_ones_as_there_is_room(void **state)
{
	static uint8_t payload[200];
	size_t size;

	(void)state;
	for (uint8_t i = 0; i < MQTT_WINDOW; i++) {
		memset(payload, i + 1, sizeof payload);
		assert_true(mqtt_publish(&client, "t", payload, sizeof payload, 1, false));
	}
	reconnect();
	for (uint8_t i = 0; i < MQTT_WINDOW; i++) {
		const uint8_t *out = mqtt_output(&client, &size);

		assert_int_equal(size, 208);
		assert_int_equal(out[0], i == 0 ? 0x3a : 0x32); /* only the first had gone out */
		assert_int_equal(out[7], i + 1);
		assert_int_equal(out[8], i + 1);
		mqtt_sent(&client, size);
	}
	expect_silence();
}

/* A PUBACK for what this connection has not sent yet is not its acknowledgement. */
static void
puback_before_the_publish(void **state)
{
	static uint8_t payload[200];

	(void)state;
	assert_true(mqtt_publish(&client, "t", payload, sizeof payload, 1, false));
	assert_true(mqtt_publish(&client, "t", payload, sizeof payload, 1, false));
	assert_int_equal(feed(BYTES("\x40\x02\0\2")), MQTT_NOTHING);
	assert_int_equal(mqtt_pending(&client), 2);
}

/*
 * 3.8, 3.9
 */

static void
subscribe(void **state)
{
	(void)state;
	assert_false(mqtt_subscribe(&client, "inTopic", 2));
	assert_false(mqtt_subscribe(&client, "", 0));
	assert_true(mqtt_subscribe(&client, "inTopic", 1));
	assert_false(mqtt_subscribe(&client, "other", 1)); /* one at a time */
	expect_output(BYTES("\x82\x0c\0\1\0\7inTopic\1"));
	assert_int_equal(feed(BYTES("\x90\x03\0\1\0")), MQTT_SUBSCRIBED);
	assert_true(mqtt_subscribe(&client, "a/#", 0));
	expect_output(BYTES("\x82\x08\0\2\0\3a/#\0"));
	assert_int_equal(feed(BYTES("\x90\x03\0\2\x80")), MQTT_SUBSCRIPTION_REFUSED);
}

static void
suback_that_is_wrong(void **state)
{
	static const struct {
		const uint8_t *bytes;
		size_t size;
	} cases[] = {
		{ BYTES("\x90\x03\0\2\0") },        /* another identifier */
		{ BYTES("\x90\x03\0\1\2") },        /* more than was asked for */
		{ BYTES("\x90\x03\0\1\3") },
		{ BYTES("\x90\x03\0\1\x81") },
		{ BYTES("\x90\x02") },
		{ BYTES("\x90\x04") },              /* two answers to one filter */
		{ BYTES("\x92") },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		setup(state);
		assert_true(mqtt_subscribe(&client, "f", 1));
		assert_int_equal(feed(cases[i].bytes, cases[i].size), MQTT_PROTOCOL);
	}
	setup(state);
	assert_int_equal(feed(BYTES("\x90\x03\0\1\0")), MQTT_PROTOCOL); /* nobody asked */
}

/*
 * 3.3 in
 */

static void
incoming_messages(void **state)
{
	const struct mqtt_message *m;

	(void)state;
	assert_int_equal(feed(BYTES("\x30\x0b\0\7inTopicon")), MQTT_MESSAGE);
	m = mqtt_message(&client);
	assert_int_equal(m->topic_size, 7);
	assert_memory_equal(m->topic, "inTopic", 7);
	assert_int_equal(m->payload_size, 2);
	assert_memory_equal(m->payload, "on", 2);
	assert_false(m->retain);
	expect_silence();
	assert_int_equal(feed(BYTES("\x33\x05\0\1t\x12\x34")), MQTT_MESSAGE);
	m = mqtt_message(&client);
	assert_int_equal(m->payload_size, 0);
	assert_true(m->retain);
	expect_output(BYTES("\x40\x02\x12\x34"));
	assert_int_equal(feed(BYTES("\x3a\x06\0\1t\x12\x34x")), MQTT_MESSAGE); /* DUP */
	expect_output(BYTES("\x40\x02\x12\x34"));
	/* UTF-8 of two, three and four bytes; the byte order mark is a character: 1.5.3-3. */
	assert_int_equal(feed(BYTES("\x30\x0e\0\x0c\xc3\xa4\xef\xbb\xbf\xf0\x9f\x8c\xa1" "C/x")),
	                 MQTT_MESSAGE);
}

static void
malformed_packets(void **state)
{
	static const struct {
		const uint8_t *bytes;
		size_t size;
	} cases[] = {
		{ BYTES("\x00") }, { BYTES("\xf0") },                 /* 2.2.1: reserved types */
		{ BYTES("\x10") }, { BYTES("\x82") }, { BYTES("\xa2") }, /* for servers only */
		{ BYTES("\xc0") }, { BYTES("\xe0") }, { BYTES("\xb0") },
		{ BYTES("\x50") }, { BYTES("\x62") }, { BYTES("\x70") }, /* QoS 2 */
		{ BYTES("\x34") }, { BYTES("\x36") }, { BYTES("\x3f") },
		{ BYTES("\x38") },                                    /* 3.3.1-2: DUP with QoS 0 */
		{ BYTES("\x41") }, { BYTES("\xd1") },                 /* 2.2.2-2: flags */
		{ BYTES("\x40\x03") }, { BYTES("\x40\x01") }, { BYTES("\xd0\x01") },
		{ BYTES("\x30\x80\x80\x80\x80") },                    /* 2.2.3: length of five bytes */
		{ BYTES("\x30\xff\xff\xff\xff") },
		{ BYTES("\x30\x02") }, { BYTES("\x32\x04") },         /* too short for a topic */
		{ BYTES("\x30\x03\0\0x") },                           /* 4.7.3-1: empty topic */
		{ BYTES("\x30\x03\0\2t") },                           /* topic beyond the end */
		{ BYTES("\x30\x03\xff\xfft") },
		{ BYTES("\x32\x05\0\2tt\1") },                        /* no room for the identifier */
		{ BYTES("\x32\x05\0\1t\0\0") },                       /* 2.3.1-1: identifier 0 */
		{ BYTES("\x30\x04\0\2t+") }, { BYTES("\x30\x04\0\2#t") }, /* 3.3.2-2 */
		{ BYTES("\x30\x04\0\2t\0") },                         /* 1.5.3-2 */
		{ BYTES("\x30\x04\0\2t\xff") }, { BYTES("\x30\x04\0\2t\x80") }, /* 1.5.3-1 */
		{ BYTES("\x30\x04\0\2t\xc3") }, { BYTES("\x30\x04\0\2\xc0\xaf") },
		{ BYTES("\x30\x05\0\3\xed\xa0\x80") },                /* surrogate */
		{ BYTES("\x30\x05\0\3\xe0\x80\x80") },                /* overlong */
		{ BYTES("\x30\x06\0\4\xf4\x90\x80\x80") },            /* beyond U+10FFFF */
		{ BYTES("\x30\x80\x02\0\0") },                        /* the same in one that is skipped */
		{ BYTES("\x30\x80\x02\0\xff") },
		{ BYTES("\x32\x80\x02\0\1t\0\0") },
		{ BYTES("\x30\x80\x02\0\2t#") },
		{ BYTES("\x40\x80\x02") },
	};
	static struct record r;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		memset(&r, 0, sizeof r);
		/* Whole, and byte by byte. */
		setup(state);
		assert_int_equal(feed(cases[i].bytes, cases[i].size), MQTT_PROTOCOL);
		expect_silence();
		assert_int_equal(feed(BYTES(PINGRESP)), MQTT_NOTHING);
		assert_false(mqtt_publish(&client, "t", "x", 1, 0, false));
		setup(state);
		for (size_t n = 0; n < cases[i].size; n++) {
			take(&r, cases[i].bytes + n, 1);
		}
		assert_int_equal(r.count, 1);
		assert_int_equal(r.events[0], 'a' + MQTT_PROTOCOL);
	}
}

static size_t
large_publish(uint8_t *to, uint8_t type, size_t topic, size_t payload)
{
	size_t remaining = 2 + topic + ((type & 6) != 0 ? 2 : 0) + payload, n = 0;

	to[n++] = type;
	to[n++] = (uint8_t)(remaining & 0x7f) | 0x80;
	to[n++] = (uint8_t)(remaining >> 7 & 0x7f) | 0x80;
	to[n++] = (uint8_t)(remaining >> 14);
	to[n++] = (uint8_t)(topic >> 8);
	to[n++] = (uint8_t)topic;
	memset(to + n, 't', topic);
	n += topic;
	if ((type & 6) != 0) {
		to[n++] = 0xab;
		to[n++] = 0xcd;
	}
	memset(to + n, 0, payload);
	return n + payload;
}

static void
messages_that_are_too_long(void **state)
{
	static uint8_t packet[70000];
	static const size_t topics[] = { 1, 7, 300, 65535 };
	size_t size;

	(void)state;
	for (size_t i = 0; i < COUNT(topics); i++) {
		for (uint8_t type = 0x30; type <= 0x32; type += 2) {
			uint32_t before = mqtt_skipped(&client);

			size = large_publish(packet, type, topics[i], 256);
			assert_int_equal(feed(packet, size), MQTT_NOTHING);
			assert_int_equal(mqtt_skipped(&client), before + 1);
			if (type == 0x32) {
				expect_output(BYTES("\x40\x02\xab\xcd"));
			}
			expect_silence();
		}
	}
}

static void
largest_message(void **state)
{
	uint8_t packet[256] = { 0x30, 0xfd, 0x01, 0, 1, 't' };

	(void)state;
	assert_int_equal(feed(packet, sizeof packet), MQTT_MESSAGE);
	assert_int_equal(mqtt_message(&client)->payload_size, 250);
	assert_int_equal(mqtt_skipped(&client), 0);
	packet[1] = 0xfe;
	assert_int_equal(feed(packet, sizeof packet), MQTT_NOTHING);
	assert_int_equal(feed(BYTES("x")), MQTT_NOTHING);
	assert_int_equal(mqtt_skipped(&client), 1);
}

/* Acknowledgements that nobody takes away stop the input, they do not pile up. */
static void
input_waits_for_the_output(void **state)
{
	size_t used, size, total = 0;

	(void)state;
	for (;;) {
		enum mqtt_event event =
			mqtt_input(&client, BYTES("\x32\x05\0\1t\0\7"), &used, now);

		if (event == MQTT_NOTHING) {
			break;
		}
		assert_int_equal(event, MQTT_MESSAGE);
		total++;
		assert_true(total < 1000);
	}
	assert_int_equal(used, 0);
	mqtt_output(&client, &size);
	assert_int_equal(size, total * 4);
	mqtt_sent(&client, 4);
	assert_int_equal(feed(BYTES("\x32\x05\0\1t\0\7")), MQTT_MESSAGE);
}

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
	expect_output(BYTES("\x3a\x06\0\1t\0\1x"));
	now += 9999;
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
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
	static const uint8_t answers[] = "\x32\x06\0\1t\0\1x" "\x82\x0c\0\2\0\7inTopic\1"
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

#define TEST(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(connect_bytes),
		TEST(connect_that_does_not_fit),
		TEST(connack),
		TEST(second_connack),
		TEST(publish_bytes),
		TEST(publish_that_is_not_taken),
		TEST(window),
		TEST(packet_identifiers),
		TEST(resends_in_order_after_reconnect),
		TEST(resends_large_ones_as_there_is_room),
		TEST(puback_before_the_publish),
		TEST(subscribe),
		TEST(suback_that_is_wrong),
		TEST(incoming_messages),
		TEST(malformed_packets),
		TEST(messages_that_are_too_long),
		TEST(largest_message),
		TEST(input_waits_for_the_output),
		TEST(ping),
		TEST(no_ping_without_keep_alive),
		TEST(ping_goes_into_the_reserve),
		TEST(deadlines),
		TEST(disconnect),
		TEST(chopped_at_every_byte),
		TEST(chopped_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
