/* SPDX-License-Identifier: BSD-2-Clause */
/* DISCONNECT and AUTH (3.14, 3.15). */
#include "mqtt/mqtt_int.h"

enum { CLIENT = 1 << MQTT_FROM_CLIENT, SERVER = 1 << MQTT_FROM_SERVER };

struct code {
	uint8_t reason;
	uint8_t senders;
};

/* Table 3-10, with 0x8c which 2.4 lists for DISCONNECT. */
static const struct code disconnect_codes[] = {
	{ MQTT_SUCCESS, CLIENT },
	{ MQTT_DISCONNECT_WITH_WILL, CLIENT },
	{ MQTT_UNSPECIFIED_ERROR, CLIENT | SERVER },
	{ MQTT_MALFORMED_PACKET, CLIENT | SERVER },
	{ MQTT_PROTOCOL_ERROR, CLIENT | SERVER },
	{ MQTT_IMPLEMENTATION_SPECIFIC, CLIENT | SERVER },
	{ MQTT_NOT_AUTHORIZED, SERVER },
	{ MQTT_SERVER_BUSY, SERVER },
	{ MQTT_SERVER_SHUTTING_DOWN, SERVER },
	{ MQTT_BAD_AUTHENTICATION_METHOD, SERVER },
	{ MQTT_KEEP_ALIVE_TIMEOUT, SERVER },
	{ MQTT_SESSION_TAKEN_OVER, SERVER },
	{ MQTT_TOPIC_FILTER_INVALID, SERVER },
	{ MQTT_TOPIC_NAME_INVALID, CLIENT | SERVER },
	{ MQTT_RECEIVE_MAXIMUM_EXCEEDED, CLIENT | SERVER },
	{ MQTT_TOPIC_ALIAS_INVALID, CLIENT | SERVER },
	{ MQTT_PACKET_TOO_LARGE, CLIENT | SERVER },
	{ MQTT_MESSAGE_RATE_TOO_HIGH, CLIENT | SERVER },
	{ MQTT_QUOTA_EXCEEDED, CLIENT | SERVER },
	{ MQTT_ADMINISTRATIVE_ACTION, CLIENT | SERVER },
	{ MQTT_PAYLOAD_FORMAT_INVALID, CLIENT | SERVER },
	{ MQTT_RETAIN_NOT_SUPPORTED, SERVER },
	{ MQTT_QOS_NOT_SUPPORTED, SERVER },
	{ MQTT_USE_ANOTHER_SERVER, SERVER },
	{ MQTT_SERVER_MOVED, SERVER },
	{ MQTT_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, SERVER },
	{ MQTT_CONNECTION_RATE_EXCEEDED, SERVER },
	{ MQTT_MAXIMUM_CONNECT_TIME, SERVER },
	{ MQTT_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED, SERVER },
	{ MQTT_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED, SERVER },
};

/* Table 3-11. */
static const struct code auth_codes[] = {
	{ MQTT_SUCCESS, SERVER },
	{ MQTT_CONTINUE_AUTHENTICATION, CLIENT | SERVER },
	{ MQTT_REAUTHENTICATE, CLIENT },
};

static bool
code_valid(enum mqtt_type type, uint8_t reason, enum mqtt_sender sender)
{
	const struct code *code = type == MQTT_AUTH ? auth_codes : disconnect_codes;
	size_t count = type == MQTT_AUTH ? COUNT_OF(auth_codes) : COUNT_OF(disconnect_codes);

	for (size_t i = 0; i < count; i++) {
		if (code[i].reason == reason) {
			return (code[i].senders & 1u << sender) != 0;
		}
	}
	return false;
}

/*
 * Both may be empty, meaning success without properties (3.14.2.1, 3.15.2.1).
 * Only DISCONNECT may stop behind the reason code (3.14.2.2.1): an AUTH that
 * says anything must name its method.
 */
static int
decode_fields(enum mqtt_type type, struct reader *r, enum mqtt_sender sender,
              struct mqtt_disconnect *d, enum mqtt_reason *reason)
{
	int rc;

	if (reader_left(r) == 0) {
		return 0;
	}
	d->reason = read_u8(r);
	if (type == MQTT_DISCONNECT && reader_left(r) == 0) {
		return 0;
	}
	rc = mqtt_read_props(r, type, sender, &d->props, reason);
	if (rc == 0 && reader_left(r) > 0) {
		rc = mqtt_malformed(reason);
	}
	if (rc == 0 && type == MQTT_AUTH &&
	    !mqtt_props_has(&d->props, MQTT_PROP_AUTHENTICATION_METHOD)) {
		rc = mqtt_protocol(reason); /* 3.15.2.2.2 */
	}
	return rc;
}

int
mqtt_decode_disconnect(enum mqtt_type type, struct span body, enum mqtt_sender sender,
                       enum mqtt_version version, struct mqtt_disconnect *out,
                       enum mqtt_reason *reason)
{
	struct reader r = reader_of(body);
	struct mqtt_disconnect d = { 0 };
	int rc;

	if (version != MQTT_5) {
		if (type == MQTT_AUTH || sender == MQTT_FROM_SERVER) {
			return mqtt_protocol(reason);
		}
		if (body.len > 0) {
			return mqtt_malformed(reason);
		}
	}
	rc = decode_fields(type, &r, sender, &d, reason);
	if (rc != 0) {
		return rc;
	}
	if (!code_valid(type, d.reason, sender)) {
		return mqtt_protocol(reason);
	}
	*out = d;
	return 0;
}

void
mqtt_write_disconnect(struct writer *w, uint8_t reason, struct span text)
{
	const struct mqtt_disconnect d = { .reason = reason };
	const struct mqtt_edit add = {
		.id = MQTT_PROP_REASON_STRING,
		.what = MQTT_EDIT_STRING,
		.text = text,
	};

	mqtt_write_disconnect_edited(w, MQTT_DISCONNECT, &d, &add, text.len > 0 ? 1 : 0);
}

/* The shortest form that says it. */
static size_t
remaining_of(enum mqtt_type type, const struct mqtt_disconnect *d, size_t props)
{
	if (props > 1) {
		return 1 + props;
	}
	if (d->reason == MQTT_SUCCESS) {
		return 0;
	}
	return type == MQTT_DISCONNECT ? 1 : 2;
}

void
mqtt_write_disconnect_edited(struct writer *w, enum mqtt_type type,
                             const struct mqtt_disconnect *d, const struct mqtt_edit *edits,
                             size_t count)
{
	size_t n = remaining_of(type, d, mqtt_props_edited_size(&d->props, edits, count));

	mqtt_write_fixed(w, type, 0, n);
	if (n > 0) {
		write_u8(w, d->reason);
	}
	if (n > 1) {
		mqtt_props_write(w, &d->props, edits, count);
	}
}
