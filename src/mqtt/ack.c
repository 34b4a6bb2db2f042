/* SPDX-License-Identifier: BSD-2-Clause */
/* PUBACK, PUBREC, PUBREL and PUBCOMP (3.4 to 3.7). */
#include "mqtt/mqtt_int.h"

/* PUBACK and PUBREC (Tables 3-4, 3-5). */
static const uint8_t first_codes[] = {
	MQTT_SUCCESS,
	MQTT_NO_MATCHING_SUBSCRIBERS,
	MQTT_UNSPECIFIED_ERROR,
	MQTT_IMPLEMENTATION_SPECIFIC,
	MQTT_NOT_AUTHORIZED,
	MQTT_TOPIC_NAME_INVALID,
	MQTT_PACKET_IDENTIFIER_IN_USE,
	MQTT_QUOTA_EXCEEDED,
	MQTT_PAYLOAD_FORMAT_INVALID,
};

static bool
code_valid(enum mqtt_type type, enum mqtt_sender sender, uint8_t code)
{
	if (type == MQTT_PUBACK || type == MQTT_PUBREC) {
		/* In neither table, but mosquitto's word for a payload over its limit. */
		return mqtt_code_in(code, first_codes, COUNT_OF(first_codes)) ||
		       (sender == MQTT_FROM_SERVER && code == MQTT_PACKET_TOO_LARGE);
	}
	return code == MQTT_SUCCESS || code == MQTT_PACKET_IDENTIFIER_NOT_FOUND;
}

int
mqtt_decode_ack(enum mqtt_type type, struct span body, enum mqtt_sender sender,
                enum mqtt_version version, struct mqtt_ack *out, enum mqtt_reason *reason)
{
	struct reader r = reader_of(body);
	struct mqtt_ack a = { .packet_id = read_u16(&r) };

	/* Reason code and properties may be left out from the end (3.4.2.1). */
	if (version == MQTT_5 && reader_left(&r) > 0) {
		a.reason = read_u8(&r);
	}
	if (version == MQTT_5 && reader_left(&r) > 0) {
		int rc = mqtt_read_props(&r, type, sender, &a.props, reason);

		if (rc != 0) {
			return rc;
		}
	}
	if (r.bad || reader_left(&r) > 0) {
		return mqtt_malformed(reason);
	}
	if (a.packet_id == 0 || !code_valid(type, sender, a.reason)) {
		return mqtt_protocol(reason);
	}
	*out = a;
	return 0;
}

void
mqtt_write_ack(struct writer *w, enum mqtt_type type, enum mqtt_version version,
               uint16_t packet_id, uint8_t reason)
{
	bool with_reason = version == MQTT_5 && reason != MQTT_SUCCESS;

	mqtt_write_fixed(w, type, type == MQTT_PUBREL ? 2 : 0, with_reason ? 3 : 2);
	write_u16(w, packet_id);
	if (with_reason) {
		write_u8(w, reason);
	}
}
