/* SPDX-License-Identifier: BSD-2-Clause */
/* How sessions end, and what the device is told. */
#include "relay/relay_int.h"

#include "base/log.h"

#define TEXT_MAX 256u

/* Words for a fault of each packet type, by number. */
static const char *const malformed_text[16] = {
	"sent a malformed packet",
	"sent a malformed CONNECT",
	"sent a malformed CONNACK",
	"sent a malformed PUBLISH",
	"sent a malformed PUBACK",
	"sent a malformed PUBREC",
	"sent a malformed PUBREL",
	"sent a malformed PUBCOMP",
	"sent a malformed SUBSCRIBE",
	"sent a malformed SUBACK",
	"sent a malformed UNSUBSCRIBE",
	"sent a malformed UNSUBACK",
	"sent a malformed PINGREQ",
	"sent a malformed PINGRESP",
	"sent a malformed DISCONNECT",
	"sent a malformed AUTH",
};

int
end_silent(struct relay *r, enum relay_side side, enum mqtt_reason reason, const char *text)
{
	if (r->phase != RELAY_OVER) {
		r->phase = RELAY_OVER;
		r->ending = (struct relay_ending){ .side = side, .reason = reason, .text = text };
	}
	return ERR_CLOSED;
}

/* The last words to the device: cut off rather than split by a payload under way. */
static void
last_words(struct relay *r, struct span packet)
{
	if (out_busy(&r->down) || packet.len > r->device_max ||
	    batch_copy(r->out->device, packet) < 0) {
		log_debug(LOG_RELAY, "no room for the last words to a device");
	}
}

/* A reason string, unless the device wants none or has no room for it (3.2.2.3.9). */
static size_t
say_edit(const struct relay *r, const char *say, struct mqtt_edit *edit)
{
	struct span text = span_head(span_str(say), TEXT_MAX);

	if (text.len == 0 || r->quiet || r->device_max < text.len + 32) {
		return 0;
	}
	*edit = (struct mqtt_edit){
		.id = MQTT_PROP_REASON_STRING, .what = MQTT_EDIT_STRING, .text = text
	};
	return 1;
}

/*
 * Each packet has its own list of reason codes (3.2.2.2, 3.14.2.1): say the
 * nearest one that it has.
 */
static enum mqtt_reason
connack_reason(enum mqtt_reason reason)
{
	switch (reason) {
	case MQTT_SERVER_SHUTTING_DOWN:
	case MQTT_KEEP_ALIVE_TIMEOUT:
	case MQTT_SESSION_TAKEN_OVER:
	case MQTT_MAXIMUM_CONNECT_TIME:
		return MQTT_SERVER_UNAVAILABLE;
	case MQTT_ADMINISTRATIVE_ACTION:
		return MQTT_NOT_AUTHORIZED;
	case MQTT_RECEIVE_MAXIMUM_EXCEEDED:
	case MQTT_MESSAGE_RATE_TOO_HIGH:
		return MQTT_QUOTA_EXCEEDED;
	default:
		return reason;
	}
}

static enum mqtt_reason
disconnect_reason(enum mqtt_reason reason)
{
	switch (reason) {
	case MQTT_SERVER_UNAVAILABLE:
		return MQTT_SERVER_SHUTTING_DOWN;
	case MQTT_BANNED:
		return MQTT_ADMINISTRATIVE_ACTION;
	case MQTT_CLIENT_IDENTIFIER_NOT_VALID:
	case MQTT_BAD_USER_NAME_OR_PASSWORD:
	case MQTT_BAD_AUTHENTICATION_METHOD:
		return MQTT_NOT_AUTHORIZED;
	default:
		return reason;
	}
}

static void
say_connack(struct relay *r, enum mqtt_reason reason, const char *say)
{
	uint8_t made[TEXT_MAX + 64];
	struct writer w = writer_of(made, sizeof made);
	struct mqtt_connack a = { .code = connack_reason(reason) };
	struct mqtt_edit edit;
	size_t count = 0;

	if (relay_is_5(r)) {
		count = say_edit(r, say, &edit);
	} else {
		a.code = mqtt_return_of(reason);
	}
	mqtt_write_connack(&w, r->version, &a, &edit, count);
	if (!w.bad) {
		last_words(r, writer_span(&w));
	}
}

static void
say_disconnect(struct relay *r, enum mqtt_reason reason, const char *say)
{
	uint8_t made[TEXT_MAX + 64];
	struct writer w = writer_of(made, sizeof made);
	struct mqtt_edit edit = { .text = span_of(NULL, 0) };

	(void)say_edit(r, say, &edit);
	mqtt_write_disconnect(&w, disconnect_reason(reason), edit.text);
	if (!w.bad) {
		last_words(r, writer_span(&w));
	}
}

/* The CONNACK or DISCONNECT that fits, if any. */
static void
say_ending(struct relay *r, enum mqtt_reason reason, const char *say)
{
	if (r->phase == RELAY_DIAL || r->phase == RELAY_WAIT_CONNACK) {
		say_connack(r, reason, say);
	} else if (relay_connected(r) && relay_is_5(r)) {
		say_disconnect(r, reason, say);
	}
}

int
end_session(struct relay *r, enum relay_side side, enum mqtt_reason reason, const char *text)
{
	/* What the broker did would read as an accusation of the device. */
	say_ending(r, reason, side == RELAY_SIDE_BROKER ? NULL : text);
	return end_silent(r, side, reason, text);
}

int
end_refused(struct relay *r, enum mqtt_reason reason, const char *text, const char *say)
{
	relay_count(r, METRIC_CONNECT_REFUSED);
	say_connack(r, reason, say != NULL ? say : text);
	return end_silent(r, RELAY_SIDE_DEVICE, reason, text);
}

int
end_forbidden(struct relay *r, const struct stream *s, enum mqtt_reason reason, const char *text)
{
	if (s == &r->up) {
		relay_count(r, METRIC_MALFORMED_DEVICE);
		return end_session(r, RELAY_SIDE_DEVICE, reason, text);
	}
	/* The device is not at fault, and the true reason would say that it is. */
	relay_count(r, METRIC_MALFORMED_BROKER);
	say_ending(r, relay_connected(r) ? MQTT_UNSPECIFIED_ERROR : MQTT_SERVER_UNAVAILABLE,
	           NULL);
	return end_silent(r, RELAY_SIDE_BROKER, reason, text);
}

int
end_malformed(struct relay *r, const struct stream *s, uint8_t type, enum mqtt_reason reason)
{
	return end_forbidden(r, s, reason, malformed_text[type & 15]);
}
