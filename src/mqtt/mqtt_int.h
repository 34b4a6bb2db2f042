/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the codec share among themselves. */
#ifndef GATEWAY_MQTT_MQTT_INT_H
#define GATEWAY_MQTT_MQTT_INT_H

#include "base/utf8.h"
#include "mqtt/mqtt.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* Refuse a packet: what a decoder returns when it cannot go on. */
static inline int
mqtt_malformed(enum mqtt_reason *reason)
{
	*reason = MQTT_MALFORMED_PACKET;
	return ERR_MALFORMED;
}

static inline int
mqtt_protocol(enum mqtt_reason *reason)
{
	*reason = MQTT_PROTOCOL_ERROR;
	return ERR_PROTOCOL;
}

/*
 * Text of that sender. 1.5.4 lets a receiver refuse control characters and
 * non-characters, and mosquitto does: it closes the connection, which from here
 * looks as if it had gone away. So a device may not send them. What the broker
 * sends has passed its own rules.
 */
static inline bool
mqtt_text_valid(struct span s, enum mqtt_sender sender)
{
	return sender == MQTT_FROM_CLIENT ? utf8_valid_strict(s) : utf8_valid_mqtt(s);
}

/* A topic name of that sender (4.7). */
bool mqtt_name_valid(struct span name, enum mqtt_sender sender);

/* A UTF-8 string that stays here (1.5.4); what is not well formed sets `bad`. */
static inline struct span
mqtt_read_string(struct reader *r)
{
	struct span s = read_block(r);

	if (!utf8_valid_mqtt(s)) {
		r->bad = true;
	}
	return s;
}

/*
 * The variable byte integer at the start of `in`, of which more may still
 * arrive: its size, ERR_MORE or ERR_MALFORMED.
 */
int mqtt_peek_varint(struct span in, uint32_t *value) MUST_CHECK;

/* Where properties stand: a packet type, or the will inside CONNECT. */
enum { MQTT_IN_WILL = 0 };

/*
 * Read a property list with its length, and check it. `where` is an enum
 * mqtt_type or MQTT_IN_WILL. A bad reader is malformed.
 */
int mqtt_read_props(struct reader *r, unsigned where, enum mqtt_sender sender,
                    struct mqtt_props *out, enum mqtt_reason *reason) MUST_CHECK;

/* Is the code one of the list? */
static inline bool
mqtt_code_in(uint8_t code, const uint8_t *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i] == code) {
			return true;
		}
	}
	return false;
}

enum mqtt_prop_type {
	MQTT_PROP_NONE, /* no such property */
	MQTT_PROP_BYTE,
	MQTT_PROP_TWO,
	MQTT_PROP_FOUR,
	MQTT_PROP_VARINT,
	MQTT_PROP_STRING,
	MQTT_PROP_BINARY,
	MQTT_PROP_PAIR,
};

/* The type of a property; MQTT_PROP_NONE for what is no identifier. */
enum mqtt_prop_type mqtt_prop_type(uint32_t id);

#endif
