/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PUBLISH of the device: the topic is mapped and every right checked on what
 * comes out. A denied one is dropped and answered as if the broker had done
 * it, or ends the session, as the map says.
 *
 * What counts as denied: no rule, a QoS above the rule's, a payload above the
 * rule's, a response topic that no subscribe rule covers, an alias whose
 * definition was denied, and what goes to the store but is over
 * limits.packet_memory.
 *
 * What is not denied goes to the broker, or, while there is none and for rules
 * that say so, to the store.
 */
#include "relay/relay_int.h"

#include <errno.h>
#include <stdlib.h>

/* One publish while it is judged. */
struct judged {
	struct mqtt_publish p;
	struct terms terms; /* of the rule, or of the alias */
	struct span device_topic;
	struct span full; /* topic of the broker, empty when only the alias was looked at */
	uint16_t alias;
	bool defines; /* it carries topic and alias */
	bool unstorable; /* it would have to be held whole, and is too large */
	bool restates; /* it had only the alias, and goes up with the topic */
	enum mqtt_reason denied; /* SUCCESS: it is not */
	struct mqtt_edit edit;
	size_t edits;
	/* Room in the arena: the packet, then both mapped topics. */
	uint8_t *at, *topic_at, *response_at;
	size_t size, topic_size, response_size;
};

static size_t
topic_bound(size_t len, size_t growth)
{
	return len + growth < TOPIC_MAX ? len + growth : TOPIC_MAX;
}

/* The mapped topics are made behind the place of the packet, in the same arena. */
static int
reserve(const struct relay *r, const struct unit *u, struct judged *j)
{
	bool response = mqtt_props_has(&j->p.props, MQTT_PROP_RESPONSE_TOPIC);
	size_t len = j->p.topic.len;
	const struct alias *known;
	int rc;

	j->alias = (uint16_t)mqtt_props_number(&j->p.props, MQTT_PROP_TOPIC_ALIAS, 0);
	known = len == 0 ? alias_get(&r->alias_up, j->alias) : NULL;
	j->topic_size = topic_bound(known != NULL ? known->len : len,
	                            topic_map_growth_up(r->map));
	j->response_size = response ? TOPIC_MAX : 0;
	j->size = u->bytes.len + j->topic_size + j->response_size + 16;
	rc = out_room(r, &r->up, j->size + j->topic_size + j->response_size);
	if (rc < 0) {
		return rc;
	}
	j->at = batch_reserve(out_batch(r, &r->up), j->size + j->topic_size + j->response_size);
	j->topic_at = j->at + j->size;
	j->response_at = j->topic_at + j->topic_size;
	return 0;
}

/* A topic of its own: the rules tell. */
static void
judge_topic(struct relay *r, struct judged *j)
{
	const struct topic_rule *rule = NULL;
	int n = topic_map_publish(r->map, j->p.topic, j->topic_at, j->topic_size, &rule);

	if (n < 0) {
		j->denied = n == ERR_LIMIT ? MQTT_TOPIC_NAME_INVALID : MQTT_NOT_AUTHORIZED;
		return;
	}
	j->full = j->p.topic = span_of(j->topic_at, (size_t)n);
	j->terms.max_qos = rule->max_qos;
	j->terms.clear_retain = rule->retain == TOPIC_RETAIN_CLEAR;
	j->terms.max_payload = rule->max_payload;
	j->terms.store = rule->delivery == TOPIC_DELIVERY_STORE && r->settings.spool.put != NULL;
}

static bool
to_store(const struct relay *r, const struct judged *j)
{
	return r->phase == RELAY_HELD || j->terms.store;
}

static bool
to_keep(const struct relay *r, const struct judged *j)
{
	return r->holdable && MQTT_FLAG_QOS(j->p.flags) == 1;
}

/* The topic behind an alias, where it is needed. 0 or ERR_CLOSED. */
static int
look_up(struct relay *r, struct judged *j)
{
	const struct topic_rule *rule;
	int n;

	if (!j->terms.stale && !to_store(r, j) && !to_keep(r, j)) {
		return 0;
	}
	n = j->terms.cut ? ERR_LIMIT :
	                   topic_map_publish(r->map, j->device_topic, j->topic_at, j->topic_size,
	                                     &rule);
	if (n >= 0) {
		j->full = span_of(j->topic_at, (size_t)n);
		j->restates = j->terms.stale && !to_store(r, j);
		j->p.topic = j->restates ? j->full : j->p.topic;
		return 0;
	}
	/* One that is only to be kept can still be forwarded. */
	return !j->terms.stale && !to_store(r, j) ?
	               0 :
	               end_session(r, RELAY_SIDE_GATEWAY, MQTT_QUOTA_EXCEEDED,
	                           "uses an alias for a topic that is too long to be kept");
}

/* By alias only. 0 or ERR_CLOSED. */
static int
judge_alias(struct relay *r, struct judged *j)
{
	const struct alias *known = alias_get(&r->alias_up, j->alias);

	if (known == NULL) {
		return end_forbidden(r, &r->up, MQTT_PROTOCOL_ERROR,
		                     "used a topic alias that it never defined");
	}
	j->terms = known->terms;
	j->device_topic = span_of(known->topic, known->len);
	if (known->terms.denied) {
		j->denied = MQTT_NOT_AUTHORIZED;
		return 0;
	}
	return look_up(r, j);
}

static void
judge_response(struct relay *r, struct judged *j)
{
	struct span topic = mqtt_props_string(&j->p.props, MQTT_PROP_RESPONSE_TOPIC);
	int n;

	if (!mqtt_props_has(&j->p.props, MQTT_PROP_RESPONSE_TOPIC)) {
		return;
	}
	n = topic_map_response_up(r->map, topic, j->response_at, j->response_size);
	if (n < 0) {
		j->denied = MQTT_NOT_AUTHORIZED;
		return;
	}
	j->edit = (struct mqtt_edit){
		.id = MQTT_PROP_RESPONSE_TOPIC,
		.what = MQTT_EDIT_STRING,
		.text = span_of(j->response_at, (size_t)n),
	};
	j->edits = span_eq(j->edit.text, topic) ? 0 : 1;
}

static void
judge_rule(const struct relay *r, const struct unit *u, struct judged *j)
{
	uint8_t max_qos = j->terms.store && j->terms.max_qos > 1 ? 1 : j->terms.max_qos;
	uint64_t memory = r->settings.limits.packet_memory;

	j->unstorable = to_store(r, j) && (uint64_t)u->bytes.len + j->p.payload > memory;
	if (MQTT_FLAG_QOS(j->p.flags) > max_qos) {
		j->denied = MQTT_NOT_AUTHORIZED;
	} else if (j->p.payload > j->terms.max_payload || j->unstorable) {
		j->denied = MQTT_QUOTA_EXCEEDED;
	} else if (j->terms.clear_retain) {
		j->p.flags &= (uint8_t)~MQTT_FLAG_RETAIN;
	}
}

/* 0 (j->denied tells), ERR_CLOSED. Changes nothing else. */
static int
judge(struct relay *r, const struct unit *u, struct judged *j)
{
	if (j->alias > r->alias_up.max) {
		return end_forbidden(r, &r->up, MQTT_TOPIC_ALIAS_INVALID,
		                     "used a topic alias over the maximum");
	}
	j->device_topic = j->p.topic;
	if (j->p.topic.len == 0) {
		int rc = judge_alias(r, j);

		if (rc < 0) {
			return rc;
		}
	} else {
		j->defines = j->alias != 0;
		judge_topic(r, j);
	}
	if (j->denied == MQTT_SUCCESS) {
		judge_rule(r, u, j);
	}
	if (j->denied == MQTT_SUCCESS) {
		judge_response(r, j);
	}
	return 0;
}

static int
deny(struct relay *r, const struct unit *u, const struct judged *j)
{
	unsigned qos = MQTT_FLAG_QOS(j->p.flags);
	struct answer answer = {
		.packet_id = j->p.packet_id,
		.type = qos == 0 ? 0 : qos == 1 ? MQTT_PUBACK : MQTT_PUBREC,
		.reason = relay_is_5(r) ? (uint8_t)j->denied : 0,
	};

	relay_count(r, METRIC_PUBLISH_DENIED);
	r->denied++;
	relay_remember_denied(r, j->device_topic);
	if (r->settings.rules->on_denial == TOPIC_DENIAL_CLOSE) {
		return end_session(r, RELAY_SIDE_DEVICE, j->denied,
		                   "published to a topic that it may not");
	}
	if (j->unstorable && !relay_is_5(r) && qos > 0) {
		/* 3.x has no way to refuse it, and what is not kept is not acknowledged. */
		return end_session(r, RELAY_SIDE_DEVICE, MQTT_PACKET_TOO_LARGE,
		                   "published more than can be stored at once");
	}
	return acks_drop(r, &r->up, u, answer);
}

/* The table follows what the broker will know. */
static int
define_alias(struct relay *r, struct judged *j)
{
	size_t most = r->holdable || to_store(r, j) ? ALIAS_WHOLE : LAST_DENIED_MAX;

	if (!j->defines) {
		return 0;
	}
	j->terms.denied = j->denied != MQTT_SUCCESS;
	j->terms.stale = to_store(r, j);
	j->terms.cut = j->device_topic.len > most;
	return alias_set(&r->alias_up, j->alias, j->terms, span_head(j->device_topic, most));
}

static void
count_forwarded(struct relay *r, const struct unit *u, const struct mqtt_publish *p)
{
	if (MQTT_FLAG_QOS(p->flags) > 0) {
		r->acks.forwarded++;
		/* The identifier now belongs to a message of the broker. */
		(void)idset_remove(&r->acks.denied, p->packet_id);
	}
	r->up.into = NULL;
	relay_count(r, METRIC_PUBLISH_UP);
	r->publish_up++;
	r->up.left = u->payload;
	r->up.discard = false;
}

/* There is room for all of it. */
static int
forward(struct relay *r, const struct unit *u, const struct judged *j)
{
	bool same = j->edits == 0 && j->p.flags == u->fixed.flags && !j->restates &&
	            (j->p.topic.len == 0 || span_eq(j->p.topic, j->device_topic));
	struct writer w;
	int rc;

	if (mqtt_publish_size(&j->p, r->version, &j->edit, j->edits) > r->broker_max) {
		relay_count(r, METRIC_PUBLISH_TOO_LARGE);
		return end_session(r, RELAY_SIDE_DEVICE, MQTT_PACKET_TOO_LARGE,
		                   "published more than the broker takes in one packet");
	}
	if (same) {
		rc = out_unit(r, &r->up, u);
	} else {
		w = writer_of(j->at, j->size);
		mqtt_write_publish(&w, &j->p, r->version, &j->edit, j->edits);
		rc = w.bad ? ERR_LIMIT : batch_commit(out_batch(r, &r->up), writer_len(&w));
	}
	if (rc == 0) {
		count_forwarded(r, u, &j->p);
	}
	if (rc == 0 && j->restates) {
		alias_get(&r->alias_up, j->alias)->terms.stale = false;
	}
	if (rc == 0 && to_keep(r, j)) {
		message_keep(r, &j->p, j->full, &j->edit, j->edits);
	}
	return rc;
}

/* QoS 2 needs a broker to the end of its exchange. 0, ERR_CLOSED or -ENOMEM. */
static int
may_2(struct relay *r, const struct judged *j)
{
	if (r->admitted && relay_is_5(r)) {
		return end_forbidden(r, &r->up, MQTT_QOS_NOT_SUPPORTED,
		                     "published with QoS 2 though CONNACK said 1");
	}
	if (r->phase == RELAY_HELD) {
		return end_session(r, RELAY_SIDE_GATEWAY, MQTT_SERVER_SHUTTING_DOWN,
		                   "published with QoS 2 while the broker is away");
	}
	return r->holdable ? idset_add(&r->up_2, j->p.packet_id) : 0;
}

static int
store(struct relay *r, const struct unit *u, const struct judged *j)
{
	unsigned qos = MQTT_FLAG_QOS(j->p.flags);
	struct message *m;

	/* Not acknowledged, like the one before it: the device sends both again. */
	if (r->stuck && qos == 1) {
		relay_count(r, METRIC_STORE_REFUSED);
		return acks_drop(r, &r->up, u, (struct answer){ .type = 0 });
	}
	m = message_new(&j->p, (enum mqtt_version)r->version, j->full, &j->edit, j->edits);
	if (m == NULL) {
		return -ENOMEM;
	}
	r->up.left = u->payload;
	r->up.discard = u->payload > 0;
	r->up.answer = (struct answer){ .type = 0 };
	r->up.into = m;
	return u->payload > 0 ? 0 : message_complete(r, &r->up);
}

int
publish_up(struct relay *r, const struct unit *u)
{
	struct judged j = { .edits = 0 };
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	int rc = mqtt_decode_publish(u->body, &u->fixed, MQTT_FROM_CLIENT, r->version, &j.p,
	                             &reason);

	if (rc < 0) {
		return end_malformed(r, &r->up, MQTT_PUBLISH, reason);
	}
	rc = reserve(r, u, &j);
	rc = rc < 0 ? rc : judge(r, u, &j);
	if (rc == 0 && j.denied == MQTT_SUCCESS && MQTT_FLAG_QOS(j.p.flags) == 2) {
		rc = may_2(r, &j);
	}
	rc = rc < 0 ? rc : define_alias(r, &j);
	if (rc < 0) {
		return rc;
	}
	if (j.denied != MQTT_SUCCESS) {
		return deny(r, u, &j);
	}
	return to_store(r, &j) ? store(r, u, &j) : forward(r, u, &j);
}
