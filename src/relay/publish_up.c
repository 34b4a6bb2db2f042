/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PUBLISH of the device: the topic is mapped and every right checked on what
 * comes out. A denied one is dropped and answered as if the broker had done
 * it, or ends the session, as the map says.
 *
 * What counts as denied: no rule, a QoS above the rule's, a payload above the
 * rule's, a response topic that no subscribe rule covers, an alias whose
 * definition was denied.
 */
#include "relay/relay_int.h"

#include <stdlib.h>

/* One publish while it is judged. */
struct judged {
	struct mqtt_publish p;
	struct terms terms; /* of the rule, or of the alias */
	struct span device_topic;
	uint16_t alias;
	bool defines; /* it carries topic and alias */
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
	int rc;

	j->topic_size = topic_bound(j->p.topic.len, topic_map_growth_up(r->map));
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
	j->p.topic = span_of(j->topic_at, (size_t)n);
	j->terms.max_qos = rule->max_qos;
	j->terms.clear_retain = rule->retain == TOPIC_RETAIN_CLEAR;
	j->terms.max_payload = rule->max_payload;
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
	}
	return 0;
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
judge_rule(struct judged *j)
{
	if (MQTT_FLAG_QOS(j->p.flags) > j->terms.max_qos) {
		j->denied = MQTT_NOT_AUTHORIZED;
	} else if (j->p.payload > j->terms.max_payload) {
		j->denied = MQTT_QUOTA_EXCEEDED;
	} else if (j->terms.clear_retain) {
		j->p.flags &= (uint8_t)~MQTT_FLAG_RETAIN;
	}
}

/* 0 (j->denied tells), ERR_CLOSED. Changes nothing else. */
static int
judge(struct relay *r, struct judged *j)
{
	j->alias = (uint16_t)mqtt_props_number(&j->p.props, MQTT_PROP_TOPIC_ALIAS, 0);
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
		judge_rule(j);
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
	return acks_drop(r, &r->up, u, answer);
}

/* The table follows what the broker will know. */
static int
define_alias(struct relay *r, struct judged *j)
{
	if (!j->defines) {
		return 0;
	}
	j->terms.denied = j->denied != MQTT_SUCCESS;
	return alias_set(&r->alias_up, j->alias, j->terms,
	                 span_head(j->device_topic, LAST_DENIED_MAX));
}

static void
count_forwarded(struct relay *r, const struct unit *u, const struct mqtt_publish *p)
{
	if (MQTT_FLAG_QOS(p->flags) > 0) {
		r->acks.forwarded++;
		/* The identifier now belongs to a message of the broker. */
		(void)idset_remove(&r->acks.denied, p->packet_id);
	}
	relay_count(r, METRIC_PUBLISH_UP);
	r->publish_up++;
	r->up.left = u->payload;
	r->up.discard = false;
}

/* There is room for all of it. */
static int
forward(struct relay *r, const struct unit *u, const struct judged *j)
{
	bool same = j->edits == 0 && j->p.flags == u->fixed.flags &&
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
	return rc;
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
	rc = rc < 0 ? rc : judge(r, &j);
	rc = rc < 0 ? rc : define_alias(r, &j);
	if (rc < 0) {
		return rc;
	}
	return j.denied != MQTT_SUCCESS ? deny(r, u, &j) : forward(r, u, &j);
}
