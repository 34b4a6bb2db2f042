/* SPDX-License-Identifier: BSD-2-Clause */
/* CONNACK (3.2). */
#include "mqtt/mqtt_int.h"

#define FLAG_SESSION_PRESENT 0x01

/* Table 3-1. */
static const uint8_t codes[] = {
	MQTT_SUCCESS,
	MQTT_UNSPECIFIED_ERROR,
	MQTT_MALFORMED_PACKET,
	MQTT_PROTOCOL_ERROR,
	MQTT_IMPLEMENTATION_SPECIFIC,
	MQTT_UNSUPPORTED_PROTOCOL_VERSION,
	MQTT_CLIENT_IDENTIFIER_NOT_VALID,
	MQTT_BAD_USER_NAME_OR_PASSWORD,
	MQTT_NOT_AUTHORIZED,
	MQTT_SERVER_UNAVAILABLE,
	MQTT_SERVER_BUSY,
	MQTT_BANNED,
	MQTT_BAD_AUTHENTICATION_METHOD,
	MQTT_TOPIC_NAME_INVALID,
	MQTT_PACKET_TOO_LARGE,
	MQTT_QUOTA_EXCEEDED,
	MQTT_PAYLOAD_FORMAT_INVALID,
	MQTT_RETAIN_NOT_SUPPORTED,
	MQTT_QOS_NOT_SUPPORTED,
	MQTT_USE_ANOTHER_SERVER,
	MQTT_SERVER_MOVED,
	MQTT_CONNECTION_RATE_EXCEEDED,
};

static bool
code_valid(uint8_t code, enum mqtt_version version)
{
	return version == MQTT_5 ? mqtt_code_in(code, codes, COUNT_OF(codes)) :
	                           code <= MQTT_RETURN_NOT_AUTHORIZED;
}

int
mqtt_decode_connack(struct span body, enum mqtt_version version, struct mqtt_connack *out,
                    enum mqtt_reason *reason)
{
	struct reader r = reader_of(body);
	struct mqtt_connack a = { 0 };
	uint8_t flags = read_u8(&r);
	int rc;

	a.session_present = (flags & FLAG_SESSION_PRESENT) != 0;
	a.code = read_u8(&r);
	if (version == MQTT_5) {
		rc = mqtt_read_props(&r, MQTT_CONNACK, MQTT_FROM_SERVER, &a.props, reason);
		if (rc != 0) {
			return rc;
		}
	}
	/* 3.1 knows no session present: the whole byte is reserved. */
	if (r.bad || reader_left(&r) > 0 || (flags & ~FLAG_SESSION_PRESENT) != 0 ||
	    (version == MQTT_3_1 && flags != 0)) {
		return mqtt_malformed(reason);
	}
	if (!code_valid(a.code, version) || (a.session_present && a.code != 0) ||
	    (mqtt_props_has(&a.props, MQTT_PROP_AUTHENTICATION_DATA) &&
	     !mqtt_props_has(&a.props, MQTT_PROP_AUTHENTICATION_METHOD))) {
		return mqtt_protocol(reason);
	}
	*out = a;
	return 0;
}

void
mqtt_write_connack(struct writer *w, enum mqtt_version version, const struct mqtt_connack *a,
                   const struct mqtt_edit *edits, size_t count)
{
	bool present = a->session_present && version != MQTT_3_1;
	size_t props = version == MQTT_5 ? mqtt_props_edited_size(&a->props, edits, count) : 0;

	mqtt_write_fixed(w, MQTT_CONNACK, 0, 2 + props);
	write_u8(w, present ? FLAG_SESSION_PRESENT : 0);
	write_u8(w, a->code);
	if (version == MQTT_5) {
		mqtt_props_write(w, &a->props, edits, count);
	}
}
