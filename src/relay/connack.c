/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CONNACK: the broker's terms, corrected for what mapping adds and for our
 * own limits, and remembered where the relay has to keep to them.
 */
#include "relay/relay_int.h"

#define DEVICE_MAX_MIN 64u /* no device can work with less, whatever the arithmetic says */

struct reply {
	struct mqtt_connack a;
	struct mqtt_edit edit[8];
	size_t edits;
};

static void
edit(struct reply *t, enum mqtt_property id, int what, uint32_t number, struct span text)
{
	t->edit[t->edits].id = id;
	t->edit[t->edits].what = what;
	t->edit[t->edits].number = number;
	t->edit[t->edits].text = text;
	t->edits++;
}

static void
edit_number(struct reply *t, enum mqtt_property id, uint32_t number)
{
	edit(t, id, MQTT_EDIT_NUMBER, number, span_of(NULL, 0));
}

static void
edit_remove(struct reply *t, enum mqtt_property id)
{
	edit(t, id, MQTT_EDIT_REMOVE, 0, span_of(NULL, 0));
}

/*
 * The device may send what still fits when it has grown, and what we take.
 * The true size is checked again on the way.
 */
static void
edit_packet_size(const struct relay *r, struct reply *t, uint32_t broker_max)
{
	size_t growth = topic_map_growth_up(r->map) + topic_map_shrink_down(r->map) + 6;
	uint32_t max = UINT32_MAX;

	if (mqtt_props_has(&t->a.props, MQTT_PROP_MAXIMUM_PACKET_SIZE)) {
		max = broker_max > growth + DEVICE_MAX_MIN ? (uint32_t)(broker_max - growth) :
		                                             DEVICE_MAX_MIN;
	}
	if (max > r->settings.limits.packet_size) {
		max = r->settings.limits.packet_size;
	}
	if (max <= VARINT_MAX) {
		edit_number(t, MQTT_PROP_MAXIMUM_PACKET_SIZE, max);
	}
}

/*
 * An identifier that, sent with the next CONNECT, gives the same upstream
 * identifier again: the identity, which is what an empty one stands for.
 */
static void
edit_client_id(const struct relay *r, struct reply *t)
{
	if (r->assigned) {
		edit(t, MQTT_PROP_ASSIGNED_CLIENT_IDENTIFIER, MQTT_EDIT_STRING, 0,
		     r->settings.vars.identity);
	} else {
		edit_remove(t, MQTT_PROP_ASSIGNED_CLIENT_IDENTIFIER);
	}
}

/* The root of response topics: the device will subscribe under it. */
static void
edit_response(const struct relay *r, struct reply *t, uint8_t *at)
{
	struct span text = mqtt_props_string(&t->a.props, MQTT_PROP_RESPONSE_INFORMATION);
	const struct topic_rule *rule;
	int n;

	if (!mqtt_props_has(&t->a.props, MQTT_PROP_RESPONSE_INFORMATION)) {
		return;
	}
	n = mqtt_topic_name_valid(text) ? topic_map_deliver(r->map, text, at, TOPIC_MAX, &rule) :
	                                  ERR_DENIED;
	if (n > 0) {
		edit(t, MQTT_PROP_RESPONSE_INFORMATION, MQTT_EDIT_STRING, 0,
		     span_of(at, (size_t)n));
	} else {
		edit_remove(t, MQTT_PROP_RESPONSE_INFORMATION);
	}
}

static void
edit_aliases(struct relay *r, struct reply *t)
{
	uint32_t max = mqtt_props_number(&t->a.props, MQTT_PROP_TOPIC_ALIAS_MAXIMUM, 0);
	unsigned limit = r->settings.limits.topic_aliases;

	r->alias_up.max = (uint16_t)(max < limit ? max : limit);
	if (max > limit) {
		edit_number(t, MQTT_PROP_TOPIC_ALIAS_MAXIMUM, limit);
	}
}

static void
edit_keep_alive(struct relay *r, struct reply *t)
{
	uint32_t server = mqtt_props_number(&t->a.props, MQTT_PROP_SERVER_KEEP_ALIVE, UINT32_MAX);

	if (server != UINT32_MAX &&
	    (!r->keep_alive_cut || (server > 0 && server < r->keep_alive))) {
		r->keep_alive = (uint16_t)server;
	} else if (r->keep_alive_cut) {
		edit_number(t, MQTT_PROP_SERVER_KEEP_ALIVE, r->keep_alive);
	}
}

static void
accept_terms(struct relay *r, struct reply *t, uint8_t *at)
{
	const struct mqtt_props *props = &t->a.props;

	r->session_present = t->a.session_present;
	r->broker_max = mqtt_props_number(props, MQTT_PROP_MAXIMUM_PACKET_SIZE,
	                                  VARINT_MAX + 5);
	r->session_expiry = mqtt_props_number(props, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
	                                      r->session_expiry);
	if (relay_is_5(r)) {
		edit_packet_size(r, t, r->broker_max);
		edit_client_id(r, t);
		edit_response(r, t, at);
		edit_aliases(r, t);
		edit_keep_alive(r, t);
	}
}

/* MQTT 3.1 does not say whether there was a session: keep what we know. */
static int
recall(struct relay *r)
{
	bool present = r->version == MQTT_3_1 ? !r->clean_start : r->session_present;

	return present ? subscription_load(r) : subscription_store_clear(r);
}

static int
refused(struct relay *r, const struct reply *t)
{
	static const enum mqtt_reason reason[] = {
		[MQTT_RETURN_VERSION] = MQTT_UNSUPPORTED_PROTOCOL_VERSION,
		[MQTT_RETURN_IDENTIFIER] = MQTT_CLIENT_IDENTIFIER_NOT_VALID,
		[MQTT_RETURN_UNAVAILABLE] = MQTT_SERVER_UNAVAILABLE,
		[MQTT_RETURN_CREDENTIALS] = MQTT_BAD_USER_NAME_OR_PASSWORD,
		[MQTT_RETURN_NOT_AUTHORIZED] = MQTT_NOT_AUTHORIZED,
	};
	uint8_t code = t->a.code;

	if (!relay_is_5(r)) {
		code = code < sizeof reason / sizeof reason[0] ? reason[code] :
		                                                 MQTT_UNSPECIFIED_ERROR;
	}
	relay_count(r, METRIC_CONNECT_REFUSED);
	return end_silent(r, RELAY_SIDE_BROKER, code, mqtt_reason_text(code));
}

int
connack_take(struct relay *r, const struct unit *u)
{
	struct reply t = { .edits = 0 };
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	size_t size = u->bytes.len + SMALL_ROOM + r->settings.vars.identity.len + TOPIC_MAX;
	uint8_t *at;
	struct writer w;
	int rc = mqtt_decode_connack(u->body, r->version, &t.a, &reason);

	if (rc < 0) {
		return end_malformed(r, &r->down, MQTT_CONNACK, reason);
	}
	rc = out_room(r, &r->down, size + TOPIC_MAX);
	if (rc < 0) {
		return rc;
	}
	/* The mapped response information lies behind the packet, not yet part of the batch. */
	at = batch_reserve(out_batch(r, &r->down), size + TOPIC_MAX);
	if (relay_is_5(r)) {
		edit_remove(&t, MQTT_PROP_SERVER_REFERENCE);
	}
	if (t.a.code == 0) {
		accept_terms(r, &t, at + size);
		rc = recall(r);
		if (rc < 0) {
			return end_session(r, RELAY_SIDE_GATEWAY, MQTT_IMPLEMENTATION_SPECIFIC,
			                   "could not read or write the kept subscriptions");
		}
	}
	w = writer_of(at, size);
	mqtt_write_connack(&w, r->version, &t.a, t.edit, t.edits);
	rc = w.bad ? ERR_LIMIT : batch_commit(out_batch(r, &r->down), writer_len(&w));
	if (rc < 0) {
		return rc;
	}
	if (t.a.code != 0) {
		return refused(r, &t);
	}
	terms_take(&r->told, &t.a.props);
	hold_judge(r);
	r->phase = RELAY_LIVE;
	return 0;
}
