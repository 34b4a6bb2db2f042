/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an MQTT client consists of, for those who own the memory of one. Only
 * mqtt/ looks inside.
 */
#ifndef MQTT_MQTT_CLIENT_INT_H
#define MQTT_MQTT_CLIENT_INT_H

#include "mqtt/mqtt_client.h"

/* Kept free of our own packets, for acknowledgements and pings. */
#define MQTT_OUTPUT_RESERVE 64
#define MQTT_OUTPUT_MAX (MQTT_PACKET_MAX + MQTT_OUTPUT_RESERVE)

/* First bytes of packets, section 2.2. */
enum mqtt_type {
	MQTT_CONNECT = 0x10,
	MQTT_CONNACK = 0x20,
	MQTT_PUBLISH = 0x30,
	MQTT_PUBACK = 0x40,
	MQTT_SUBSCRIBE = 0x82,
	MQTT_SUBACK = 0x90,
	MQTT_PINGREQ = 0xc0,
	MQTT_PINGRESP = 0xd0,
	MQTT_DISCONNECT = 0xe0,
};
#define MQTT_DUP 0x08
#define MQTT_RETAIN 0x01

/* An answer that is owed to us. The clock starts at the first call that brings the time. */
struct mqtt_wait {
	bool on, started;
	uint32_t since;
};

/* A QoS 1 publish, encoded, until its PUBACK. */
struct mqtt_kept {
	uint16_t id;
	uint16_t size;
	bool sent; /* on this connection */
	struct mqtt_wait answer;
	uint8_t packet[MQTT_PACKET_MAX];
};

enum mqtt_stage {
	MQTT_OVER,    /* no connection, or none that is worth anything */
	MQTT_GREETED, /* CONNECT is out */
	MQTT_READY,
};

/* Where the decoder stands in the packet. */
enum mqtt_part { MQTT_PART_TYPE, MQTT_PART_LENGTH, MQTT_PART_BODY, MQTT_PART_SKIP };

struct mqtt_decoder {
	enum mqtt_part part;
	uint8_t type;         /* with its flags */
	uint8_t length_bytes; /* of the remaining length, so far */
	uint32_t remaining;   /* size of the body */
	uint32_t have;        /* of it */
	uint16_t topic_size, id; /* of a message that is skipped */
	uint8_t body[MQTT_PACKET_MAX];
};

/* What the decoder made of a byte. */
enum mqtt_decoded { MQTT_MORE, MQTT_PACKET, MQTT_TOO_LONG, MQTT_MALFORMED };

struct mqtt_client {
	struct mqtt_settings settings;
	enum mqtt_stage stage;
	uint32_t now;                   /* as last told */
	uint32_t last_sent, last_heard; /* for the ping */
	struct mqtt_wait connack, suback, pingresp;
	bool ping_owed;                 /* there was no room for it yet */
	bool unsendable;                /* CONNECT does not fit: the settings are wrong */
	uint16_t last_id;
	uint16_t subscribe_id;
	uint8_t subscribe_qos;
	uint8_t refusal;
	uint32_t skipped;
	unsigned kept_count;            /* kept[0] is the oldest */
	struct mqtt_kept kept[MQTT_WINDOW];
	struct mqtt_message message;
	struct mqtt_decoder in;
	size_t out_size;
	uint8_t out[MQTT_OUTPUT_MAX];
};

/* mqtt_encode.c: the size of the packet, 0 when it does not fit into room or is not valid. */
size_t mqtt_encode_connect(uint8_t *to, size_t room, const struct mqtt_settings *settings);
size_t mqtt_encode_publish(uint8_t *to, size_t room, const char *topic, const void *payload,
                           size_t size, uint16_t id, bool retain); /* id 0: QoS 0 */
size_t mqtt_encode_subscribe(uint8_t *to, size_t room, const char *filter, uint8_t qos,
                             uint16_t id);
size_t mqtt_encode_puback(uint8_t *to, size_t room, uint16_t id);
size_t mqtt_encode_empty(uint8_t *to, size_t room, enum mqtt_type type);

/* mqtt_decode.c: bytes to packets that a server may send to this client. */
void mqtt_decoder_reset(struct mqtt_decoder *d);
/* Takes one byte; a packet is in body until the next one. */
enum mqtt_decoded mqtt_decode_byte(struct mqtt_decoder *d, uint8_t byte);
/* A whole PUBLISH; *id 0: QoS 0. */
bool mqtt_decode_publish(const struct mqtt_decoder *d, struct mqtt_message *out, uint16_t *id);

#endif
