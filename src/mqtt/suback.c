/* SPDX-License-Identifier: BSD-2-Clause */
/* SUBACK and UNSUBACK (3.9, 3.11). */
#include "mqtt/mqtt_int.h"

static const uint8_t suback_codes[] = {
	MQTT_SUCCESS,
	MQTT_GRANTED_QOS_1,
	MQTT_GRANTED_QOS_2,
	MQTT_UNSPECIFIED_ERROR,
	MQTT_IMPLEMENTATION_SPECIFIC,
	MQTT_NOT_AUTHORIZED,
	MQTT_TOPIC_FILTER_INVALID,
	MQTT_PACKET_IDENTIFIER_IN_USE,
	MQTT_QUOTA_EXCEEDED,
	MQTT_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
	MQTT_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
	MQTT_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
};

static const uint8_t unsuback_codes[] = {
	MQTT_SUCCESS,
	MQTT_NO_SUBSCRIPTION_EXISTED,
	MQTT_UNSPECIFIED_ERROR,
	MQTT_IMPLEMENTATION_SPECIFIC,
	MQTT_NOT_AUTHORIZED,
	MQTT_TOPIC_FILTER_INVALID,
	MQTT_PACKET_IDENTIFIER_IN_USE,
};

static bool
code_valid(enum mqtt_type type, uint8_t code, enum mqtt_version version)
{
	if (version != MQTT_5) {
		/* 3.1 has no code for a refusal; a broker that sends one means this. */
		return code <= 2 || code == MQTT_UNSPECIFIED_ERROR;
	}
	return type == MQTT_SUBACK ?
	               mqtt_code_in(code, suback_codes, COUNT_OF(suback_codes)) :
	               mqtt_code_in(code, unsuback_codes, COUNT_OF(unsuback_codes));
}

static int
check_codes(enum mqtt_type type, struct span codes, enum mqtt_version version,
            enum mqtt_reason *reason)
{
	if (type == MQTT_UNSUBACK && version != MQTT_5) {
		return codes.len == 0 ? 0 : mqtt_malformed(reason);
	}
	if (codes.len == 0) {
		return mqtt_protocol(reason);
	}
	for (size_t i = 0; i < codes.len; i++) {
		if (!code_valid(type, codes.ptr[i], version)) {
			return mqtt_protocol(reason);
		}
	}
	return 0;
}

int
mqtt_decode_codes(enum mqtt_type type, struct span body, enum mqtt_version version,
                  struct mqtt_codes *out, enum mqtt_reason *reason)
{
	struct reader r = reader_of(body);
	struct mqtt_codes c = { .packet_id = read_u16(&r) };
	int rc = 0;

	if (version == MQTT_5) {
		rc = mqtt_read_props(&r, type, MQTT_FROM_SERVER, &c.props, reason);
	}
	if (rc == 0 && r.bad) {
		rc = mqtt_malformed(reason);
	}
	if (rc != 0) {
		return rc;
	}
	c.codes = read_rest(&r);
	rc = check_codes(type, c.codes, version, reason);
	if (rc != 0) {
		return rc;
	}
	if (c.packet_id == 0) {
		return mqtt_protocol(reason);
	}
	*out = c;
	return 0;
}

static size_t
remaining_of(const struct mqtt_codes *c, enum mqtt_version version)
{
	return 2 + (version == MQTT_5 ? mqtt_props_edited_size(&c->props, NULL, 0) : 0) +
	       c->codes.len;
}

size_t
mqtt_codes_size(const struct mqtt_codes *c, enum mqtt_version version)
{
	size_t n = remaining_of(c, version);

	return 1 + varint_size((uint32_t)n) + n;
}

void
mqtt_write_codes(struct writer *w, enum mqtt_type type, enum mqtt_version version,
                 const struct mqtt_codes *c)
{
	mqtt_write_fixed(w, type, 0, remaining_of(c, version));
	write_u16(w, c->packet_id);
	if (version == MQTT_5) {
		mqtt_props_write(w, &c->props, NULL, 0);
	}
	write_bytes(w, c->codes);
}
