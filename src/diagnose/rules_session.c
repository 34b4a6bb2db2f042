/* SPDX-License-Identifier: BSD-2-Clause */
/* After the handshake: TLS, MQTT, and the broker behind us. */
#include "diagnose/diagnose_int.h"
#include "mqtt/mqtt.h"

#define AT_ONCE_MS 2000
/* PubSubClient waits 15 s for an answer, ArduinoMqttClient 30 s; and the sketch's own delay. */
#define WAITING_MIN_MS 13000
#define WAITING_MAX_MS 37000
#define LOOP_TAKEOVERS 3 /* in a minute: no board that is well loses its network so often */

static bool
ended_by(const struct diagnose_evidence *e, enum diagnose_side side)
{
	return e->mqtt.ended && e->mqtt.side == side;
}

static bool
device_reason(const struct diagnose_evidence *e, enum mqtt_reason reason)
{
	return ended_by(e, SIDE_DEVICE) && e->mqtt.reason == reason;
}

static bool
before_connect(const struct diagnose_evidence *e)
{
	return e->mqtt.phase <= PHASE_WAIT_CONNECT;
}

/* ---- takeovers and topics ---------------------------------------------------------- */

static bool
comes_back(const struct diagnose_evidence *e)
{
	return e->mqtt.takeovers >= LOOP_TAKEOVERS;
}

/* One board alone stays at its address. */
static bool
takeover_loop(const struct diagnose_evidence *e)
{
	return comes_back(e) && e->mqtt.takeover_addresses > 1;
}

static bool
taken_over(const struct diagnose_evidence *e)
{
	return e->mqtt.ended && e->mqtt.reason == MQTT_SESSION_TAKEN_OVER;
}

/* Denied, and not ended for another reason later. */
static bool
denied(const struct diagnose_evidence *e)
{
	return e->mqtt.topic[0] != '\0' &&
	       (!e->mqtt.ended || e->mqtt.reason == MQTT_SUCCESS ||
	        device_reason(e, MQTT_NOT_AUTHORIZED) ||
	        device_reason(e, MQTT_QUOTA_EXCEEDED) ||
	        device_reason(e, MQTT_QOS_NOT_SUPPORTED));
}

static bool
will_denied(const struct diagnose_evidence *e)
{
	return denied(e) && e->mqtt.denied == DENIED_WILL;
}

static bool
publish_denied(const struct diagnose_evidence *e)
{
	return denied(e) && e->mqtt.denied == DENIED_PUBLISH;
}

static bool
subscribe_denied(const struct diagnose_evidence *e)
{
	return denied(e) && e->mqtt.denied == DENIED_SUBSCRIBE;
}

/* ---- the broker -------------------------------------------------------------------- */

static bool
broke_rules(enum mqtt_reason reason)
{
	return reason == MQTT_MALFORMED_PACKET || reason == MQTT_PROTOCOL_ERROR ||
	       reason == MQTT_TOPIC_ALIAS_INVALID || reason == MQTT_RECEIVE_MAXIMUM_EXCEEDED ||
	       reason == MQTT_PACKET_TOO_LARGE;
}

/* Its state is known only when it is away; a CONNACK 3 of a live one is a refusal. */
static bool
broker_away(const struct diagnose_evidence *e)
{
	return ended_by(e, SIDE_BROKER) && e->mqtt.reason == MQTT_SERVER_UNAVAILABLE &&
	       e->end != END_TIMEOUT &&
	       (e->mqtt.phase == PHASE_DIAL || e->mqtt.broker[0] != '\0');
}

static bool
broker_silent(const struct diagnose_evidence *e)
{
	return e->end == END_TIMEOUT &&
	       (e->mqtt.phase == PHASE_DIAL || e->mqtt.phase == PHASE_WAIT_CONNACK);
}

static bool
broker_malformed(const struct diagnose_evidence *e)
{
	return ended_by(e, SIDE_BROKER) && broke_rules(e->mqtt.reason);
}

static bool
broker_refused(const struct diagnose_evidence *e)
{
	return ended_by(e, SIDE_BROKER) && e->mqtt.phase != PHASE_LIVE;
}

static bool
broker_closed(const struct diagnose_evidence *e)
{
	return ended_by(e, SIDE_BROKER);
}

/* ---- CONNECT ----------------------------------------------------------------------- */

/*
 * A handshake and no MQTT. A board does that when its CONNECT does not fit;
 * from other clients it is more likely a test of TLS.
 */
static bool
left_before_connect(const struct diagnose_evidence *e)
{
	return before_connect(e) && e->app_in == 0 && e->hello_state == HELLO_READ &&
	       !hello_is_bearssl(&e->hello) &&
	       (peer_left(e) || (e->alert_in.seen && e->alert_in.number == 0));
}

static bool
connect_too_long(const struct diagnose_evidence *e)
{
	return e->app_in == 0 && e->alert_in.seen && e->alert_in.number == 0 &&
	       e->open_ms < AT_ONCE_MS;
}

static bool
connect_missing(const struct diagnose_evidence *e)
{
	return before_connect(e) && e->app_in == 0 &&
	       (e->end == END_TIMEOUT || (e->alert_in.seen && e->alert_in.number == 0));
}

static bool
connect_not_first(const struct diagnose_evidence *e)
{
	return before_connect(e) && e->mqtt.ended && e->mqtt.first_byte != 0 &&
	       e->mqtt.first_byte != (MQTT_CONNECT << 4);
}

static bool
protocol_level(const struct diagnose_evidence *e)
{
	return device_reason(e, MQTT_UNSUPPORTED_PROTOCOL_VERSION);
}

/* 3.1.1 has no word for a keepalive that is refused, so the relay's own words tell. */
static bool
keepalive_long(const struct diagnose_evidence *e)
{
	return device_reason(e, MQTT_CLIENT_IDENTIFIER_NOT_VALID) &&
	       strstr(e->mqtt.why, "keepalive") != NULL;
}

static bool
client_id(const struct diagnose_evidence *e)
{
	return device_reason(e, MQTT_CLIENT_IDENTIFIER_NOT_VALID);
}

static bool
no_rules(const struct diagnose_evidence *e)
{
	return before_connect(e) && device_reason(e, MQTT_NOT_AUTHORIZED);
}

static bool
connect_malformed(const struct diagnose_evidence *e)
{
	return before_connect(e) && (device_reason(e, MQTT_MALFORMED_PACKET) ||
	                             device_reason(e, MQTT_PROTOCOL_ERROR));
}

/* Part of a CONNECT, and no more within the time. */
static bool
connect_unfinished(const struct diagnose_evidence *e)
{
	return before_connect(e) && e->end == END_TIMEOUT;
}

/* ---- the session ------------------------------------------------------------------- */

static bool
limit_hit(const struct diagnose_evidence *e)
{
	return e->mqtt.limit[0] != '\0';
}

static bool
too_large(const struct diagnose_evidence *e)
{
	return (ended_by(e, SIDE_DEVICE) || ended_by(e, SIDE_GATEWAY)) &&
	       e->mqtt.reason == MQTT_PACKET_TOO_LARGE;
}

static bool
keepalive_timeout(const struct diagnose_evidence *e)
{
	return e->mqtt.ended && e->mqtt.reason == MQTT_KEEP_ALIVE_TIMEOUT;
}

static bool
ended_here(const struct diagnose_evidence *e)
{
	return ended_by(e, SIDE_GATEWAY) && (e->mqtt.reason == MQTT_ADMINISTRATIVE_ACTION ||
	                                     e->mqtt.reason == MQTT_SERVER_SHUTTING_DOWN);
}

static bool
gateway_fault(const struct diagnose_evidence *e)
{
	return ended_by(e, SIDE_GATEWAY);
}

static bool
malformed(const struct diagnose_evidence *e)
{
	return ended_by(e, SIDE_DEVICE) && e->mqtt.reason != MQTT_SUCCESS;
}

static bool
damaged(const struct diagnose_evidence *e)
{
	return has_reason(e, N_SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC);
}

static bool
no_connack(const struct diagnose_evidence *e)
{
	return e->mqtt.connack_sent && !e->mqtt.after_connect && !e->mqtt.goodbye &&
	       peer_left(e) && e->before.failures > 0 &&
	       e->before.retry_ms >= WAITING_MIN_MS && e->before.retry_ms <= WAITING_MAX_MS;
}

static bool
lost(const struct diagnose_evidence *e)
{
	return peer_left(e) && !e->mqtt.goodbye;
}

static bool
renegotiation(const struct diagnose_evidence *e)
{
	return e->renegotiation || (e->alert_out.seen && e->alert_out.number == 100);
}

static bool
nothing(const struct diagnose_evidence *e)
{
	return e->end == END_OPEN || e->mqtt.goodbye;
}

static const struct rule list[] = {
	{ CAUSE_RENEGOTIATION, renegotiation, BY_MESSAGES },
	{ CAUSE_RECORD_DAMAGED, damaged, BY_REASON },
	{ CAUSE_TAKEOVER_LOOP, takeover_loop, BY_MQTT | BY_HISTORY },
	{ CAUSE_RECONNECT_LOOP, comes_back, BY_MQTT | BY_HISTORY },
	{ CAUSE_TAKEN_OVER, taken_over, BY_MQTT },
	{ CAUSE_LIMIT_HIT, limit_hit, BY_MQTT },
	{ CAUSE_WILL_DENIED, will_denied, BY_MQTT },
	{ CAUSE_PUBLISH_DENIED, publish_denied, BY_MQTT },
	{ CAUSE_SUBSCRIBE_DENIED, subscribe_denied, BY_MQTT },
	{ CAUSE_KEEPALIVE_TIMEOUT, keepalive_timeout, BY_MQTT },
	{ CAUSE_BROKER_AWAY, broker_away, BY_BROKER },
	{ CAUSE_BROKER_SILENT, broker_silent, BY_BROKER | BY_END },
	{ CAUSE_BROKER_MALFORMED, broker_malformed, BY_BROKER | BY_MQTT },
	{ CAUSE_BROKER_REFUSED, broker_refused, BY_BROKER | BY_MQTT },
	{ CAUSE_BROKER_CLOSED, broker_closed, BY_BROKER | BY_MQTT },
	{ CAUSE_CONNECT_NOT_FIRST, connect_not_first, BY_MQTT },
	{ CAUSE_PROTOCOL_LEVEL, protocol_level, BY_MQTT },
	{ CAUSE_KEEPALIVE_LONG, keepalive_long, BY_MQTT },
	{ CAUSE_CLIENT_ID, client_id, BY_MQTT },
	{ CAUSE_NO_RULES, no_rules, BY_MQTT },
	{ CAUSE_PACKET_TOO_LARGE, too_large, BY_MQTT },
	{ CAUSE_CONNECT_MALFORMED, connect_malformed, BY_MQTT },
	{ CAUSE_PACKET_MALFORMED, malformed, BY_MQTT },
	{ CAUSE_LEFT_BEFORE_CONNECT, left_before_connect, BY_HELLO | BY_APPLICATION | BY_END },
	{ CAUSE_CONNECT_TOO_LONG, connect_too_long, BY_APPLICATION | BY_ALERT_IN | BY_END },
	{ CAUSE_CONNECT_MISSING, connect_missing, BY_APPLICATION | BY_END },
	{ CAUSE_CONNECT_MISSING, connect_unfinished, BY_APPLICATION | BY_END },
	{ CAUSE_ENDED_HERE, ended_here, BY_MQTT },
	{ CAUSE_GATEWAY_FAULT, gateway_fault, BY_MQTT },
	{ CAUSE_NO_CONNACK, no_connack, BY_MQTT | BY_END | BY_HISTORY },
	{ CAUSE_LOST_IN_SESSION, lost, BY_END },
	{ CAUSE_NOTHING, nothing, BY_END },
};

const struct rules rules_session = { list, sizeof list / sizeof list[0] };
