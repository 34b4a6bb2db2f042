/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MQTT client's packets, byte for byte. Section numbers are those of
 * MQTT 3.1.1.
 */
#include "mqtt_fixture.h"

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
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
	expect_output(BYTES("\x3a\x06\0\1t\0\1" "1\x3a\x06\0\1t\0\3" "3\x32\x06\0\1t\0\4" "4"
	                    "\x32\x06\0\1t\0\5" "5"));
	reconnect();
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
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
	assert_int_equal(mqtt_tick(&client, now), MQTT_NOTHING);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
