/* SPDX-License-Identifier: BSD-2-Clause */
#include "mqtt_fixture.h"

struct mqtt_client client;
uint32_t now;

const struct mqtt_settings SETTINGS = {
	.client_id = "dev",
	.keep_alive = 60,
	.answer_ms = 10000,
};

void
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

void
expect_silence(void)
{
	size_t there;

	mqtt_output(&client, &there);
	assert_int_equal(there, 0);
}

enum mqtt_event
feed(const uint8_t *bytes, size_t size)
{
	size_t used;
	enum mqtt_event event = mqtt_input(&client, bytes, size, &used, now);

	assert_int_equal(used, size);
	return event;
}

void
connect_with(const struct mqtt_settings *settings)
{
	mqtt_init(&client, settings);
	mqtt_open(&client, now);
	mqtt_sent(&client, SIZE_MAX);
	assert_int_equal(feed(BYTES(CONNACK)), MQTT_CONNECTED);
}

int
setup(void **state)
{
	(void)state;
	now = 1000;
	connect_with(&SETTINGS);
	return 0;
}

void
reconnect(void)
{
	mqtt_open(&client, now);
	expect_output(BYTES(CONNECT));
	assert_int_equal(feed(BYTES(CONNACK)), MQTT_CONNECTED);
}

void
drain(struct record *r)
{
	size_t size;
	const uint8_t *out = mqtt_output(&client, &size);

	assert_true(size <= sizeof r->out - r->out_size);
	memcpy(r->out + r->out_size, out, size);
	r->out_size += size;
	mqtt_sent(&client, size);
}

void
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

size_t
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
