/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small MQTT 3.1.1 client, pure: bytes in, bytes out, time as a parameter.
 * QoS 0 and 1 out, QoS 0 and 1 in (a QoS 2 message cannot come: it subscribes
 * with 1). Static buffers; every length is checked; what is malformed ends
 * the connection with MQTT_PROTOCOL.
 */
#ifndef MQTT_MQTT_CLIENT_H
#define MQTT_MQTT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MQTT_PACKET_MAX 256 /* largest packet in or out; a longer PUBLISH in is skipped, counted and acknowledged */
#define MQTT_WINDOW 4       /* QoS 1 publishes kept until acknowledged, over reconnects too */

enum mqtt_event {
	MQTT_NOTHING,
	MQTT_CONNECTED,   /* CONNACK 0 */
	MQTT_REFUSED,     /* CONNACK 1..5: mqtt_refusal() */
	MQTT_SUBSCRIBED,
	MQTT_SUBSCRIPTION_REFUSED,
	MQTT_MESSAGE,     /* mqtt_message() until the next call */
	MQTT_PUBLISHED,   /* a QoS 1 publish was acknowledged */
	MQTT_PROTOCOL,    /* the peer broke the rules: close */
	MQTT_SILENT,      /* a deadline passed: close */
};

struct mqtt_settings {
	const char *client_id;
	uint16_t keep_alive;      /* seconds */
	const char *will_topic;   /* NULL: none */
	const char *will_message; /* not NULL with a topic; QoS 1 */
	bool will_retain;
	uint32_t answer_ms;       /* CONNACK, SUBACK, PUBACK, PINGRESP within */
};

struct mqtt_message {
	const char *topic;  /* not terminated */
	size_t topic_size;
	const uint8_t *payload;
	size_t payload_size;
	bool retain;
};

struct mqtt_client; /* defined in mqtt_client_int.h for static allocation */

void mqtt_init(struct mqtt_client *c, const struct mqtt_settings *settings);
/*
 * A new connection of the transport: CONNECT is queued. Unacknowledged publishes
 * follow, with DUP, from the first mqtt_tick() after MQTT_CONNECTED on: before
 * that there is room for a subscription.
 */
void mqtt_open(struct mqtt_client *c, uint32_t now_ms);
/* One at a time, while connected, QoS 0 or 1. */
bool mqtt_subscribe(struct mqtt_client *c, const char *filter, uint8_t qos);
/*
 * False: no room (window or buffer) or not a valid topic; nothing was changed.
 * QoS 1 is taken at any time, also without a connection; QoS 0 only while
 * connected.
 */
bool mqtt_publish(struct mqtt_client *c, const char *topic, const void *payload, size_t size,
                  uint8_t qos, bool retain);
void mqtt_disconnect(struct mqtt_client *c);
/* What is to be sent: pointer and length; mqtt_sent() says how much went. */
const uint8_t *mqtt_output(const struct mqtt_client *c, size_t *size);
void mqtt_sent(struct mqtt_client *c, size_t size);
/*
 * Take bytes until an event or until they are used up; *used tells how many
 * were. It takes none while the output has no room for an acknowledgement:
 * send first. After an event that says "close" it ignores everything.
 */
enum mqtt_event mqtt_input(struct mqtt_client *c, const uint8_t *data, size_t size, size_t *used,
                           uint32_t now_ms);
/* Deadlines, ping. */
enum mqtt_event mqtt_tick(struct mqtt_client *c, uint32_t now_ms);
const struct mqtt_message *mqtt_message(const struct mqtt_client *c);
uint8_t mqtt_refusal(const struct mqtt_client *c);
/* QoS 1 publishes that are not acknowledged yet; messages that were too long. */
unsigned mqtt_pending(const struct mqtt_client *c);
uint32_t mqtt_skipped(const struct mqtt_client *c);

#endif
