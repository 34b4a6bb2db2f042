/* SPDX-License-Identifier: BSD-2-Clause */
/* The fixed header (2.1) of every packet type. */
#include "mqtt/mqtt_int.h"

enum { CLIENT = 1 << MQTT_FROM_CLIENT, SERVER = 1 << MQTT_FROM_SERVER };

static const struct {
	uint8_t flags; /* Table 2-2; PUBLISH has rules of its own */
	uint8_t senders;
} types[16] = {
	[MQTT_CONNECT] = { 0, CLIENT },
	[MQTT_CONNACK] = { 0, SERVER },
	[MQTT_PUBLISH] = { 0, CLIENT | SERVER },
	[MQTT_PUBACK] = { 0, CLIENT | SERVER },
	[MQTT_PUBREC] = { 0, CLIENT | SERVER },
	[MQTT_PUBREL] = { 2, CLIENT | SERVER },
	[MQTT_PUBCOMP] = { 0, CLIENT | SERVER },
	[MQTT_SUBSCRIBE] = { 2, CLIENT },
	[MQTT_SUBACK] = { 0, SERVER },
	[MQTT_UNSUBSCRIBE] = { 2, CLIENT },
	[MQTT_UNSUBACK] = { 0, SERVER },
	[MQTT_PINGREQ] = { 0, CLIENT },
	[MQTT_PINGRESP] = { 0, SERVER },
	[MQTT_DISCONNECT] = { 0, CLIENT | SERVER },
	[MQTT_AUTH] = { 0, CLIENT | SERVER },
};

int
mqtt_peek_varint(struct span in, uint32_t *value)
{
	size_t size = 0;
	struct reader r;

	while (size < 4 && size < in.len && (in.ptr[size] & 0x80) != 0) {
		size++;
	}
	if (size == in.len && size < 4) {
		return ERR_MORE;
	}
	r = reader_of(span_head(in, size + 1));
	*value = read_varint(&r);
	return r.bad ? ERR_MALFORMED : (int)(size + 1);
}

static int
check_sender(uint8_t type, enum mqtt_sender sender, int version, enum mqtt_reason *reason)
{
	if (type == 0) {
		return mqtt_malformed(reason);
	}
	if ((types[type].senders & 1u << sender) == 0 || (version == 0 && type != MQTT_CONNECT)) {
		return mqtt_protocol(reason);
	}
	if (type == MQTT_AUTH && version != MQTT_5) {
		return mqtt_malformed(reason); /* 3.1.1 2.2.1: reserved */
	}
	if (type == MQTT_DISCONNECT && sender == MQTT_FROM_SERVER && version != MQTT_5) {
		return mqtt_protocol(reason);
	}
	return 0;
}

static bool
flags_allowed(uint8_t type, uint8_t flags, int version)
{
	if (type == MQTT_PUBLISH) {
		return MQTT_FLAG_QOS(flags) < 3 &&
		       (MQTT_FLAG_QOS(flags) > 0 || (flags & MQTT_FLAG_DUP) == 0);
	}
	/* 3.1 sends PUBREL, SUBSCRIBE and UNSUBSCRIBE again with DUP set. */
	if (version == MQTT_3_1 && types[type].flags != 0) {
		flags &= (uint8_t)~MQTT_FLAG_DUP;
	}
	return flags == types[type].flags;
}

int
mqtt_decode_fixed(struct span in, enum mqtt_sender sender, int version, struct mqtt_fixed *out,
                  enum mqtt_reason *reason)
{
	uint8_t type, flags;
	uint32_t remaining;
	int rc;

	if (in.len == 0) {
		return ERR_MORE;
	}
	type = in.ptr[0] >> 4;
	flags = in.ptr[0] & 0x0f;
	rc = check_sender(type, sender, version, reason);
	if (rc != 0) {
		return rc;
	}
	if (!flags_allowed(type, flags, version)) {
		return mqtt_malformed(reason);
	}
	rc = mqtt_peek_varint(span_skip(in, 1), &remaining);
	if (rc == ERR_MORE) {
		return rc;
	}
	if (rc < 0 || (remaining > 0 && (type == MQTT_PINGREQ || type == MQTT_PINGRESP))) {
		return mqtt_malformed(reason);
	}
	*out = (struct mqtt_fixed){
		.type = type,
		.flags = flags,
		.size = (uint8_t)(1 + rc),
		.remaining = remaining,
	};
	return 0;
}

void
mqtt_write_fixed(struct writer *w, enum mqtt_type type, uint8_t flags, size_t remaining)
{
	if (remaining > VARINT_MAX) {
		w->bad = true;
		return;
	}
	write_u8(w, (uint8_t)(type << 4 | flags));
	write_varint(w, (uint32_t)remaining);
}
