/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whatever a server sends, cut by the first byte: no access out of bounds, no
 * standstill, no more output than there is room for, and messages that lie in
 * the packet.
 */
#include <stdint.h>
#include <stdlib.h>

#include "mqtt/mqtt_client_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mqtt_client client;

static void
require(bool ok)
{
	if (!ok) {
		abort();
	}
}

static void
check_message(void)
{
	const struct mqtt_message *m = mqtt_message(&client);
	const uint8_t *topic = (const uint8_t *)m->topic, *body = client.in.body;

	require(m->topic_size > 0 && topic == body + 2);
	require(m->payload >= topic + m->topic_size);
	require(m->payload + m->payload_size <= body + sizeof client.in.body);
}

/* The application's side: publishes and subscribes as it is told to. */
static void
act(enum mqtt_event event, uint32_t now)
{
	switch (event) {
	case MQTT_CONNECTED:
		mqtt_subscribe(&client, "inTopic", 1);
		break;
	case MQTT_MESSAGE:
		check_message();
		mqtt_publish(&client, "Home", "{}", 2, 1, false);
		break;
	case MQTT_PROTOCOL:
	case MQTT_REFUSED:
		mqtt_open(&client, now);
		break;
	default:
		break;
	}
}

static void
send_some(size_t most)
{
	size_t size;

	mqtt_output(&client, &size);
	require(size <= MQTT_OUTPUT_MAX);
	mqtt_sent(&client, size < most ? size : most);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mqtt_settings settings = { .client_id = "d", .keep_alive = 10,
		                                       .answer_ms = 1000 };
	size_t piece, at = 1, used;
	uint32_t now = 0;

	if (size == 0) {
		return 0;
	}
	piece = (size_t)data[0] % 64 + 1;
	mqtt_init(&client, &settings);
	mqtt_publish(&client, "Home", "{}", 2, 1, false);
	mqtt_open(&client, now);
	while (at < size) {
		size_t n = piece < size - at ? piece : size - at;

		act(mqtt_input(&client, data + at, n, &used, now), now);
		require(used <= n);
		at += used;
		/* Slow senders are slower than what comes in; but something goes. */
		send_some(used == 0 ? MQTT_OUTPUT_MAX : piece);
		now += data[0];
		act(mqtt_tick(&client, now), now);
		require(client.kept_count <= MQTT_WINDOW);
	}
	return 0;
}
