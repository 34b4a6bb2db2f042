/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes from the server to packets, one byte at a time, so that it does not
 * matter how the transport cuts them. Each packet is checked as soon as its
 * first byte and its length are there: nothing is collected that cannot be
 * right. What depends on the conversation is checked in mqtt_client.c.
 */
#include <string.h>

#include "mqtt/mqtt_client_int.h"

static uint16_t
number_at(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static unsigned
qos_of(uint8_t type)
{
	return (type >> 1) & 3;
}

static bool
is_publish(uint8_t type)
{
	return (type & 0xf0) == MQTT_PUBLISH;
}

void
mqtt_decoder_reset(struct mqtt_decoder *d)
{
	d->part = MQTT_PART_TYPE;
	d->type = 0;
	d->length_bytes = 0;
	d->remaining = 0;
	d->have = 0;
	d->topic_size = 0;
	d->id = 0;
}

/* Section 2.2.2: reserved flags; 3.3.1: no DUP with QoS 0, and no QoS 2 for a client like this. */
static bool
type_is_allowed(uint8_t type)
{
	if (is_publish(type)) {
		return qos_of(type) == 1 || (qos_of(type) == 0 && (type & MQTT_DUP) == 0);
	}
	return type == MQTT_CONNACK || type == MQTT_PUBACK || type == MQTT_SUBACK ||
	       type == MQTT_PINGRESP;
}

static bool
length_is_possible(uint8_t type, uint32_t remaining)
{
	switch (type) {
	case MQTT_CONNACK:
	case MQTT_PUBACK:
		return remaining == 2;
	case MQTT_SUBACK:
		return remaining == 3; /* we subscribe to one filter at a time */
	case MQTT_PINGRESP:
		return remaining == 0;
	default: /* PUBLISH: a topic of one character, and the identifier */
		return remaining >= (qos_of(type) == 0 ? 3u : 5u);
	}
}

static enum mqtt_decoded
take_type(struct mqtt_decoder *d, uint8_t byte)
{
	mqtt_decoder_reset(d);
	d->type = byte;
	d->part = MQTT_PART_LENGTH;
	return type_is_allowed(byte) ? MQTT_MORE : MQTT_MALFORMED;
}

/* Section 2.2.3. */
static enum mqtt_decoded
take_length(struct mqtt_decoder *d, uint8_t byte)
{
	d->remaining |= (uint32_t)(byte & 0x7f) << (7 * d->length_bytes);
	d->length_bytes++;
	if ((byte & 0x80) != 0) {
		return d->length_bytes < 4 ? MQTT_MORE : MQTT_MALFORMED;
	}
	if (!length_is_possible(d->type, d->remaining)) {
		return MQTT_MALFORMED;
	}
	if (d->remaining == 0) {
		d->part = MQTT_PART_TYPE;
		return MQTT_PACKET;
	}
	d->part = 1 + d->length_bytes + d->remaining > MQTT_PACKET_MAX ? MQTT_PART_SKIP
	                                                              : MQTT_PART_BODY;
	return MQTT_MORE;
}

static enum mqtt_decoded
take_body(struct mqtt_decoder *d, uint8_t byte)
{
	d->body[d->have++] = byte;
	if (d->have < d->remaining) {
		return MQTT_MORE;
	}
	d->part = MQTT_PART_TYPE;
	return MQTT_PACKET;
}

/* Bytes of a message before its payload. */
static uint32_t
head_size(const struct mqtt_decoder *d)
{
	return 2u + d->topic_size + (qos_of(d->type) != 0 ? 2u : 0u);
}

/*
 * A message that has no place here: only its identifier is of interest, behind
 * the topic. The topic's text is not looked at beyond what needs no memory.
 */
static enum mqtt_decoded
take_skipped(struct mqtt_decoder *d, uint8_t byte)
{
	uint32_t at = d->have++;

	if (at < 2) {
		d->topic_size = (uint16_t)(d->topic_size << 8 | byte);
		if (at == 1 && (d->topic_size == 0 || head_size(d) > d->remaining)) {
			return MQTT_MALFORMED;
		}
	} else if (at < 2u + d->topic_size) {
		if (byte == 0 || byte == '+' || byte == '#') {
			return MQTT_MALFORMED;
		}
	} else if (at < head_size(d)) {
		d->id = (uint16_t)(d->id << 8 | byte);
		if (at + 1 == head_size(d) && d->id == 0) {
			return MQTT_MALFORMED;
		}
	}
	if (d->have < d->remaining) {
		return MQTT_MORE;
	}
	d->part = MQTT_PART_TYPE;
	return MQTT_TOO_LONG;
}

enum mqtt_decoded
mqtt_decode_byte(struct mqtt_decoder *d, uint8_t byte)
{
	switch (d->part) {
	case MQTT_PART_TYPE:
		return take_type(d, byte);
	case MQTT_PART_LENGTH:
		return take_length(d, byte);
	case MQTT_PART_BODY:
		return take_body(d, byte);
	case MQTT_PART_SKIP:
		return take_skipped(d, byte);
	}
	return MQTT_MALFORMED;
}

/* Bytes that follow a first byte of UTF-8, and the least value that needs so many. */
static bool
utf8_lead(uint8_t byte, unsigned *more, uint32_t *value, uint32_t *least)
{
	if (byte < 0x80) {
		*more = 0, *value = byte, *least = 1; /* U+0000 is forbidden: 1.5.3 */
	} else if ((byte & 0xe0) == 0xc0) {
		*more = 1, *value = byte & 0x1f, *least = 0x80;
	} else if ((byte & 0xf0) == 0xe0) {
		*more = 2, *value = byte & 0x0f, *least = 0x800;
	} else if ((byte & 0xf8) == 0xf0) {
		*more = 3, *value = byte & 0x07, *least = 0x10000;
	} else {
		return false;
	}
	return true;
}

static bool
utf8_is_valid(const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size;) {
		unsigned more;
		uint32_t value, least;

		if (!utf8_lead(p[i++], &more, &value, &least) || more > size - i) {
			return false;
		}
		while (more-- > 0) {
			if ((p[i] & 0xc0) != 0x80) {
				return false;
			}
			value = value << 6 | (p[i++] & 0x3f);
		}
		if (value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
			return false;
		}
	}
	return true;
}

bool
mqtt_decode_publish(const struct mqtt_decoder *d, struct mqtt_message *out, uint16_t *id)
{
	size_t topic_size = number_at(d->body), head;

	head = 2 + topic_size + (qos_of(d->type) != 0 ? 2 : 0);
	if (topic_size == 0 || head > d->remaining) {
		return false;
	}
	*out = (struct mqtt_message){
		.topic = (const char *)d->body + 2,
		.topic_size = topic_size,
		.payload = d->body + head,
		.payload_size = d->remaining - head,
		.retain = (d->type & MQTT_RETAIN) != 0,
	};
	*id = qos_of(d->type) != 0 ? number_at(d->body + head - 2) : 0;
	return (qos_of(d->type) == 0 || *id != 0) && utf8_is_valid(d->body + 2, topic_size) &&
	       memchr(out->topic, '+', topic_size) == NULL &&
	       memchr(out->topic, '#', topic_size) == NULL;
}
