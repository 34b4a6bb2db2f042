/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The broker is back: the CONNECT of a held device goes up again, and its
 * subscriptions. What the device was told must still be true, else it is
 * closed: no session there, no smaller limits, every subscription granted as
 * before. Then the SUBSCRIBE and UNSUBSCRIBE packets that waited.
 */
#include "relay/relay_int.h"

#include <errno.h>

#define RETAIN_NEVER 0x20u /* retain handling 2: the device has seen them (3.8.3.1) */

/* ---- terms ------------------------------------------------------------------------------- */

void
terms_take(struct terms_told *t, const struct mqtt_props *props)
{
	*t = (struct terms_told){
		.packet = mqtt_props_number(props, MQTT_PROP_MAXIMUM_PACKET_SIZE, VARINT_MAX + 5),
		.receive = (uint16_t)mqtt_props_number(props, MQTT_PROP_RECEIVE_MAXIMUM, 65535),
		.aliases = (uint16_t)mqtt_props_number(props, MQTT_PROP_TOPIC_ALIAS_MAXIMUM, 0),
		.qos = (uint8_t)mqtt_props_number(props, MQTT_PROP_MAXIMUM_QOS, 2),
		.retain = mqtt_props_number(props, MQTT_PROP_RETAIN_AVAILABLE, 1) != 0,
		.wildcard = mqtt_props_number(props, MQTT_PROP_WILDCARD_SUBSCRIPTION_AVAILABLE,
		                              1) != 0,
		.ids = mqtt_props_number(props, MQTT_PROP_SUBSCRIPTION_IDENTIFIER_AVAILABLE, 1) !=
		       0,
		.shared = mqtt_props_number(props, MQTT_PROP_SHARED_SUBSCRIPTION_AVAILABLE, 1) != 0,
	};
}

/* Is all that was told still true? */
static bool
terms_hold(const struct relay *r, const struct mqtt_props *props)
{
	const struct terms_told *old = &r->told;
	uint32_t keep_alive = mqtt_props_number(props, MQTT_PROP_SERVER_KEEP_ALIVE, UINT32_MAX);
	uint32_t expiry = mqtt_props_number(props, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 0);
	struct terms_told now;

	terms_take(&now, props);
	/* Keep Alive 0 is the longest of all, on both sides. */
	return now.packet >= old->packet && now.receive >= old->receive && now.qos >= old->qos &&
	       now.aliases >= r->alias_up.max && now.retain >= old->retain &&
	       now.wildcard >= old->wildcard && now.ids >= old->ids && now.shared >= old->shared &&
	       expiry == 0 &&
	       (keep_alive == UINT32_MAX || keep_alive == 0 ||
	        (r->keep_alive != 0 && keep_alive >= r->keep_alive));
}

/* ---- CONNECT ------------------------------------------------------------------------------ */

int
restore_open(struct relay *r)
{
	int rc;

	if (r->limited) {
		return end_session(r, RELAY_SIDE_GATEWAY, MQTT_SERVER_SHUTTING_DOWN,
		                   "was let in to publish only, and the broker is back");
	}
	if (r->stuck) {
		return end_session(r, RELAY_SIDE_GATEWAY, MQTT_QUOTA_EXCEEDED,
		                   "has publishes that the store could not keep");
	}
	if (!relay_settled(r)) {
		return end_session(r, RELAY_SIDE_GATEWAY, MQTT_SERVER_SHUTTING_DOWN,
		                   "has not acknowledged what the lost connection brought");
	}
	rc = batch_copy(r->out->broker, buf_span(&r->connect));
	if (rc == 0) {
		r->phase = RELAY_REOPENING;
		r->restore_at = 0;
		r->restores = 0;
	}
	return rc;
}

int
restore_connack(struct relay *r, const struct unit *u)
{
	struct mqtt_connack a;
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	int rc = mqtt_decode_connack(u->body, (enum mqtt_version)r->version, &a, &reason);

	if (rc < 0) {
		return end_malformed(r, &r->down, MQTT_CONNACK, reason);
	}
	if (a.code != 0) {
		relay_count(r, METRIC_OUTAGE_REFUSED);
		return end_session(r, RELAY_SIDE_BROKER, MQTT_SERVER_SHUTTING_DOWN,
		                   "refused the device when it was back");
	}
	r->will_owed = false; /* the broker knows of it now */
	if (a.session_present || (relay_is_5(r) && !terms_hold(r, &a.props))) {
		relay_count(r, METRIC_OUTAGE_TERMS);
		return end_session(r, RELAY_SIDE_BROKER, MQTT_SERVER_SHUTTING_DOWN,
		                   a.session_present ? "had a session where there was none" :
		                                       "came back with other limits");
	}
	r->broker_max = mqtt_props_number(&a.props, MQTT_PROP_MAXIMUM_PACKET_SIZE, VARINT_MAX + 5);
	r->restore_count = r->subscriptions.count; /* what waited may add to it later */
	r->phase = RELAY_RESTORING;
	return 0;
}

/* ---- subscriptions ------------------------------------------------------------------------ */

/* One SUBSCRIBE for one device filter, measured and then written. */
struct again {
	struct relay *r;
	const struct subscription *s;
	struct writer *w; /* NULL: only measure */
	struct fold *f;
	size_t size, parts;
};

static bool
owns(const struct subscription *s, uint64_t part)
{
	for (unsigned i = 0; i < s->parts; i++) {
		if (s->part[i] == part) {
			return true;
		}
	}
	return false;
}

/* Does an earlier entry need the same broker filter? Then it is made again already. */
static bool
made_already(const struct again *a, struct span broker_filter)
{
	struct subscriptions *t = &a->r->subscriptions;
	uint64_t part = lookup_hash(t, broker_filter);
	const struct owned *o = lookup_owned(t, part);

	if (o == NULL || o->all.owners < 2) {
		return false;
	}
	for (size_t i = 0; i < a->s->at; i++) {
		if (owns(t->entry[i], part)) {
			return true;
		}
	}
	return false;
}

static int
each_part(void *owner, struct span broker_filter, const struct topic_rule *rule)
{
	struct again *a = owner;
	struct wish wish;
	uint8_t qos;

	if (made_already(a, broker_filter)) {
		return 0;
	}
	if (a->w == NULL) {
		a->size += 2 + broker_filter.len + 1;
		a->parts++;
		return 0;
	}
	wish = subscription_wish(a->r, broker_filter, true);
	qos = wish.options & 3;
	qos = qos < rule->max_qos ? qos : rule->max_qos;
	write_block(a->w, broker_filter);
	write_u8(a->w, (uint8_t)((wish.options & ~3u) | qos |
	                         (relay_is_5(a->r) ? RETAIN_NEVER : 0)));
	/* The least that will do: what the device was told, as far as this part gives it. */
	a->f->code[a->parts++] = qos < a->s->told ? qos : a->s->told;
	return 0;
}

static int
walk(struct again *a, struct writer *w)
{
	uint8_t scratch[TOPIC_MAX];
	int rc;

	a->w = w;
	a->parts = 0;
	rc = topic_map_subscribe(a->r->map, subscription_filter(a->s), scratch, each_part, a);
	return rc < 0 ? rc : 0;
}

static int
write_again(struct again *a, size_t remaining, size_t props)
{
	struct relay *r = a->r;
	struct batch *b = out_batch(r, &r->up);
	size_t size = mqtt_packet_size((uint32_t)remaining);
	struct writer w = writer_of(batch_reserve(b, size), size);
	int rc;

	mqtt_write_fixed(&w, MQTT_SUBSCRIBE, 2, remaining);
	write_u16(&w, a->f->packet_id);
	if (props > 0) {
		write_u8(&w, (uint8_t)(props - 1));
	}
	if (props > 1) {
		write_u8(&w, MQTT_PROP_SUBSCRIPTION_IDENTIFIER);
		write_varint(&w, a->s->id);
	}
	rc = walk(a, &w);
	rc = rc < 0 ? rc : w.bad ? ERR_LIMIT : batch_commit(b, writer_len(&w));
	return rc;
}

static int
subscribe_again(struct relay *r, const struct subscription *s)
{
	bool id = relay_is_5(r) && s->id != 0;
	size_t props = relay_is_5(r) ? 1 + (id ? 1 + varint_size(s->id) : 0) : 0, remaining;
	struct again a = { .r = r, .s = s };
	struct mqtt_filters list = { .packet_id = 0 };
	int rc = walk(&a, NULL);

	remaining = 2 + props + a.size;
	if (rc < 0 || a.parts == 0) {
		return rc;
	}
	if (remaining > VARINT_MAX || mqtt_packet_size((uint32_t)remaining) > r->broker_max) {
		return ERR_LIMIT;
	}
	rc = out_room(r, &r->up, mqtt_packet_size((uint32_t)remaining));
	if (rc < 0) {
		return rc;
	}
	list.packet_id = fold_next_id(r);
	list.count = (uint32_t)a.parts;
	a.f = fold_new(&list, MQTT_SUBACK);
	if (a.f == NULL) {
		return -ENOMEM;
	}
	a.f->ours = a.f->restores = true;
	a.f->parts = a.parts;
	rc = write_again(&a, remaining, props);
	if (rc < 0) {
		fold_free(a.f);
		return rc;
	}
	fold_add(r, a.f);
	r->restores++;
	return 0;
}

int
restore_answer(struct relay *r, const struct fold *f, struct span codes)
{
	r->restores -= r->restores > 0;
	for (size_t i = 0; i < codes.len && i < f->parts; i++) {
		if (codes.ptr[i] >= 0x80 || codes.ptr[i] < f->code[i]) {
			relay_count(r, METRIC_OUTAGE_SUBSCRIPTIONS);
			return end_session(r, RELAY_SIDE_BROKER, MQTT_SERVER_SHUTTING_DOWN,
			                   "does not grant a subscription again");
		}
	}
	return 0;
}

/* ---- what waited ---------------------------------------------------------------------------- */

/* What is awaited now is of packets that waited: nothing else is sent before them. */
static void
mark_again(struct relay *r)
{
	struct list *node, *after;

	list_each (node, after, &r->folds) {
		struct fold *f = list_entry(node, struct fold, node);

		f->again = !f->ours;
	}
}

static int
replay_one(struct relay *r)
{
	struct span in = buf_span(&r->waiting);
	struct unit u = { .held = true };
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	int rc = mqtt_decode_fixed(in, MQTT_FROM_CLIENT, r->version, &u.fixed, &reason);

	if (rc < 0) {
		return rc;
	}
	u.bytes = span_head(in, u.fixed.size + (size_t)u.fixed.remaining);
	u.body = span_skip(u.bytes, u.fixed.size);
	rc = u.fixed.type == MQTT_SUBSCRIBE ? subscribe_take(r, &u) : unsubscribe_take(r, &u);
	if (rc == 0) {
		mark_again(r);
		buf_consume(&r->waiting, u.bytes.len);
		r->waiting_count--;
	}
	return rc;
}

int
restore_pump(struct relay *r)
{
	const struct subscriptions *t = &r->subscriptions;
	int rc = 0;

	while (rc == 0 && r->restore_at < r->restore_count) {
		rc = subscribe_again(r, t->entry[r->restore_at]);
		r->restore_at += rc == 0;
	}
	if (rc < 0 || r->restores > 0) {
		return rc;
	}
	while (rc == 0 && buf_len(&r->waiting) > 0) {
		rc = replay_one(r);
	}
	if (rc == 0) {
		buf_release(&r->waiting);
		r->waiting_count = 0;
		r->paused = false;
		hold_judge(r);
		r->phase = RELAY_LIVE;
	}
	return rc;
}
