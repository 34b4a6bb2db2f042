/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PUBLISH of the broker: the topic is mapped back. A message that no rule
 * covers, or that is too large for the device, is dropped and acknowledged,
 * so that the broker does not wait for it. A response topic that the device
 * could not publish to is removed: the message is still good without it.
 */
#include "relay/relay_int.h"

#include <errno.h>
#include <stdlib.h>

struct delivery {
	struct mqtt_publish p;
	struct span topic;  /* of the device, also when the packet has only an alias */
	uint16_t alias;
	bool defines;        /* the broker's packet has topic and alias */
	struct alias *known; /* the packet has only the alias */
	bool unmapped;
	struct mqtt_edit edit;
	size_t edits;
	uint8_t *ids; /* properties with the identifiers of all owners, or NULL */
	uint8_t *at, *topic_at, *response_at;
	size_t size, topic_size, response_size;
};

static int
reserve(const struct relay *r, const struct unit *u, struct delivery *d)
{
	bool response = mqtt_props_has(&d->p.props, MQTT_PROP_RESPONSE_TOPIC);
	size_t topic = d->p.topic.len + topic_map_growth_down(r->map);
	size_t ids = r->subscriptions.mixed ? r->subscriptions.count * 5 : 0;
	int rc;

	d->topic_size = topic < TOPIC_MAX ? topic : TOPIC_MAX;
	d->response_size = response ? TOPIC_MAX : 0;
	d->size = u->bytes.len + TOPIC_MAX * (d->p.topic.len == 0) + d->topic_size +
	          d->response_size + ids + 16;
	rc = out_room(r, &r->down, d->size + d->topic_size + d->response_size);
	if (rc < 0) {
		return rc;
	}
	d->at = batch_reserve(out_batch(r, &r->down),
	                      d->size + d->topic_size + d->response_size);
	d->topic_at = d->at + d->size;
	d->response_at = d->topic_at + d->topic_size;
	return 0;
}

/* By alias only. When the device does not know the alias, it gets the topic with it. */
static int
map_alias(struct relay *r, struct delivery *d)
{
	struct alias *known = alias_get(&r->alias_down, d->alias);

	if (known == NULL && r->alias_down.unsure) {
		d->unmapped = true;
		return 0;
	}
	if (known == NULL) {
		return end_forbidden(r, &r->down, MQTT_PROTOCOL_ERROR,
		                     "used a topic alias that it never defined");
	}
	d->known = known;
	d->topic = span_of(known->topic, known->len);
	d->unmapped = known->len == 0;
	if (known->terms.denied) {
		d->p.topic = d->topic;
	}
	return 0;
}

static int
map_topic(struct relay *r, struct delivery *d)
{
	const struct topic_rule *rule;
	int n;

	d->alias = (uint16_t)mqtt_props_number(&d->p.props, MQTT_PROP_TOPIC_ALIAS, 0);
	if (d->alias > r->alias_down.max) {
		return end_forbidden(r, &r->down, MQTT_TOPIC_ALIAS_INVALID,
		                     "used a topic alias over the maximum");
	}
	if (d->p.topic.len == 0) {
		return map_alias(r, d);
	}
	d->defines = d->alias != 0;
	n = topic_map_deliver(r->map, d->p.topic, d->topic_at, d->topic_size, &rule);
	d->unmapped = n < 0;
	d->topic = span_of(d->topic_at, n < 0 ? 0 : (size_t)n);
	d->p.topic = d->topic;
	return 0;
}

static void
map_response(struct relay *r, struct delivery *d)
{
	struct span topic = mqtt_props_string(&d->p.props, MQTT_PROP_RESPONSE_TOPIC);
	int n;

	if (!mqtt_props_has(&d->p.props, MQTT_PROP_RESPONSE_TOPIC)) {
		return;
	}
	n = topic_map_response_down(r->map, topic, d->response_at, d->response_size);
	d->edit.id = MQTT_PROP_RESPONSE_TOPIC;
	d->edit.what = n < 0 ? MQTT_EDIT_REMOVE : MQTT_EDIT_STRING;
	d->edit.text = span_of(d->response_at, n < 0 ? 0 : (size_t)n);
	d->edits = 1;
}

static int
identify(const struct relay *r, struct delivery *d)
{
	if (!r->subscriptions.mixed || d->unmapped) {
		return 0;
	}
	d->ids = subscription_identify(r, d->topic, &d->p.props);
	return d->ids == NULL ? -ENOMEM : 0;
}

static int
drop(struct relay *r, const struct unit *u, uint16_t packet_id)
{
	unsigned qos = MQTT_FLAG_QOS(u->fixed.flags);
	struct answer answer = {
		.packet_id = packet_id,
		.type = qos == 0 ? 0 : qos == 1 ? MQTT_PUBACK : MQTT_PUBREC,
	};

	return acks_drop(r, &r->down, u, answer);
}

/* An empty topic in the table: dropped for want of a rule. */
static int
define_alias(struct relay *r, const struct delivery *d, bool dropped)
{
	struct terms terms = { .denied = dropped };

	if (d->known != NULL && !dropped) {
		d->known->terms.denied = false;
	}
	return d->defines ? alias_set(&r->alias_down, d->alias, terms, d->topic) : 0;
}

/*
 * What the device will answer: should the broker go, the answer means nothing
 * to its successor.
 */
static int
note_owed(struct relay *r, const struct mqtt_publish *p)
{
	switch (MQTT_FLAG_QOS(p->flags)) {
	case 1:
		return idset_add(&r->down_1, p->packet_id);
	case 2:
		return idset_add(&r->down_2, p->packet_id);
	default:
		return 0;
	}
}

static int
deliver(struct relay *r, const struct unit *u, const struct delivery *d)
{
	struct writer w = writer_of(d->at, d->size);
	int rc;

	mqtt_write_publish(&w, &d->p, r->version, &d->edit, d->edits);
	if (w.bad) {
		return ERR_LIMIT;
	}
	rc = r->holdable ? note_owed(r, &d->p) : 0;
	rc = rc < 0 ? rc : batch_commit(out_batch(r, &r->down), writer_len(&w));
	if (rc < 0) {
		return rc;
	}
	if (MQTT_FLAG_QOS(d->p.flags) == 2) {
		(void)idset_remove(&r->acks.dropped, d->p.packet_id);
	}
	relay_count(r, METRIC_PUBLISH_DOWN);
	r->publish_down++;
	r->down.left = u->payload;
	r->down.discard = false;
	return 0;
}

static int
decide(struct relay *r, const struct unit *u, const struct delivery *d)
{
	size_t size = mqtt_publish_size(&d->p, r->version, &d->edit, d->edits);
	bool large = !d->unmapped && (size > r->device_max || size > VARINT_MAX + 5u);
	int rc = define_alias(r, d, d->unmapped || large);

	if (rc < 0) {
		return rc;
	}
	if (d->unmapped) {
		relay_count(r, METRIC_PUBLISH_UNMAPPED);
		r->unmapped++;
		return drop(r, u, d->p.packet_id);
	}
	if (large) {
		relay_count(r, METRIC_PUBLISH_TOO_LARGE);
		return drop(r, u, d->p.packet_id);
	}
	return deliver(r, u, d);
}

/*
 * The head is larger than we hold: nobody looks at more than the identifier.
 * It may have defined an alias, so none is trusted until it is defined again.
 */
static int
drop_oversize(struct relay *r, const struct unit *u)
{
	struct reader at = reader_of(u->body);
	uint16_t packet_id = 0;

	(void)read_block(&at);
	if (MQTT_FLAG_QOS(u->fixed.flags) > 0) {
		packet_id = read_u16(&at);
	}
	if (at.bad || (packet_id == 0 && MQTT_FLAG_QOS(u->fixed.flags) > 0)) {
		return end_malformed(r, &r->down, MQTT_PUBLISH, MQTT_MALFORMED_PACKET);
	}
	alias_clear(&r->alias_down);
	r->alias_down.unsure = true;
	relay_count(r, METRIC_PUBLISH_TOO_LARGE);
	return drop(r, u, packet_id);
}

int
publish_down(struct relay *r, const struct unit *u)
{
	struct delivery d = { .edits = 0 };
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	int rc;

	if (u->oversize) {
		return drop_oversize(r, u);
	}
	rc = mqtt_decode_publish(u->body, &u->fixed, MQTT_FROM_SERVER, r->version, &d.p, &reason);
	if (rc < 0) {
		return end_malformed(r, &r->down, MQTT_PUBLISH, reason);
	}
	rc = reserve(r, u, &d);
	rc = rc < 0 ? rc : map_topic(r, &d);
	if (rc == 0) {
		map_response(r, &d);
		rc = identify(r, &d);
	}
	rc = rc < 0 ? rc : decide(r, u, &d);
	free(d.ids);
	return rc;
}
