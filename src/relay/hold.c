/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The broker is lost: who stays, and what a device gets while it is held.
 *
 * Held are clean sessions without a will and without a QoS 2 exchange under
 * way: of these a new connection to the broker can be made that is the same in
 * every way. Nor is anybody held who would notice: in the middle of a message
 * from the broker, in an exchange of AUTH, with a publish under way that is not
 * kept. What the lost connection brought and the device has not acknowledged
 * it may still acknowledge: that is swallowed.
 */
#include "relay/relay_int.h"

#include <errno.h>
#include <stdlib.h>

void
hold_judge(struct relay *r)
{
	r->holdable = r->settings.hold && r->settings.spool.put != NULL && r->clean_start &&
	              !r->session_present && r->session_expiry == 0 && !r->has_will &&
	              !r->authenticates;
	if (r->holdable) {
		buf_fit(&r->connect); /* for as long as the session lasts */
	} else {
		buf_release(&r->connect);
	}
}

static bool
aliases_whole(const struct aliases *a)
{
	for (unsigned i = 0; a->at != NULL && i < a->max; i++) {
		if (a->at[i] != NULL && a->at[i]->terms.cut && !a->at[i]->terms.denied) {
			return false;
		}
	}
	return true;
}

/* Is every publish that the broker owes an acknowledgement for kept here? */
static bool
all_kept(const struct relay *r)
{
	return !r->unkept_any || (int32_t)(r->acks.answered - r->unkept) >= 0;
}

static bool
can_hold(const struct relay *r)
{
	return relay_connected(r) && r->holdable && !r->has_will && !r->stuck &&
	       !out_busy(&r->down) && r->up_2.count == 0 && r->down_2.count == 0 &&
	       all_kept(r) && aliases_whole(&r->alias_up);
}

/* ---- what was under way ---------------------------------------------------------------- */

static void
drop_streams(struct relay *r)
{
	struct stream *down = &r->down, *up = &r->up;

	buf_release(&down->held);
	down->left = 0;
	down->discard = false;
	down->answer = (struct answer){ .type = 0 };
	buf_release(&up->later);
	if (up->left > 0 && !up->discard) {
		/* Half of it went: QoS 0 is lost, of QoS 1 the copy is completed. */
		up->discard = true;
		up->answer = (struct answer){ .type = 0 };
	}
}

static int
answer_pings(struct relay *r)
{
	int rc = 0;

	for (; rc == 0 && r->pings > 0; r->pings--) {
		rc = out_made(r, &r->down, span_of("\xd0\0", 2));
	}
	return rc;
}

/* What was never granted will be asked for again. */
static void
forget_new(struct relay *r, const struct fold *f)
{
	struct mqtt_filters list = fold_filters(f);
	struct mqtt_filter filter;

	while (f->answer == MQTT_SUBACK && mqtt_filter_next(&list, MQTT_SUBSCRIBE, &filter)) {
		struct subscription *s = subscription_find(r, filter.filter);

		if (s != NULL && !s->granted) {
			subscription_drop(r, s);
		}
	}
}

/* The device's packet, made again of what is remembered of it. */
static int
write_fold(const struct relay *r, const struct fold *f, struct buf *to)
{
	enum mqtt_type type = f->answer == MQTT_SUBACK ? MQTT_SUBSCRIBE : MQTT_UNSUBSCRIBE;
	size_t id = f->id != 0 ? 1 + varint_size(f->id) : 0;
	size_t remaining = 2 + (relay_is_5(r) ? 1 + id : 0) + f->list.len;
	struct writer w;
	uint8_t *at;
	int rc = buf_reserve(to, remaining + 5, &at);

	if (rc < 0) {
		return rc;
	}
	w = writer_of(at, remaining + 5);
	mqtt_write_fixed(&w, type, 2, remaining);
	write_u16(&w, f->packet_id);
	if (relay_is_5(r)) {
		write_u8(&w, (uint8_t)id);
	}
	if (id > 0) {
		write_u8(&w, MQTT_PROP_SUBSCRIPTION_IDENTIFIER);
		write_varint(&w, f->id);
	}
	write_bytes(&w, f->list);
	buf_commit(to, writer_len(&w));
	return w.bad ? ERR_LIMIT : 0;
}

/*
 * One that the broker has not answered. UNSUBSCRIBE is done: the new
 * connection does not know the filter; unless it has to wait behind a SUBSCRIBE.
 */
static int
keep_fold(struct relay *r, struct fold *f, struct buf *to, unsigned *count)
{
	int rc;

	if (f->ours) {
		fold_remove(r, f);
		return 0;
	}
	if (f->answer == MQTT_UNSUBACK && *count == 0) {
		list_remove(&f->node);
		r->fold_count--;
		r->fold_bytes -= f->size;
		rc = fold_local(r, f);
		if (rc == ERR_FULL) {
			fold_free(f);
		}
		return rc;
	}
	forget_new(r, f);
	rc = write_fold(r, f, to);
	++*count;
	fold_remove(r, f);
	return rc;
}

static int
keep_folds(struct relay *r)
{
	struct buf all = { 0 };
	struct list *node, *after;
	unsigned count = 0;
	int rc = 0;

	list_each (node, after, &r->folds) {
		if (rc == 0) {
			rc = keep_fold(r, list_entry(node, struct fold, node), &all, &count);
		}
	}
	rc = rc < 0 ? rc : buf_append(&all, buf_span(&r->waiting));
	buf_release(&r->waiting);
	r->waiting = all;
	r->waiting_count += count;
	r->restores = 0;
	return rc;
}

static void
forget_aliases(struct relay *r)
{
	struct aliases *up = &r->alias_up;

	for (unsigned i = 0; up->at != NULL && i < up->max; i++) {
		if (up->at[i] != NULL) {
			up->at[i]->terms.stale = true;
		}
	}
	alias_clear(&r->alias_down);
	r->alias_down.unsure = false;
}

/* Every acknowledgement that the broker owed is now to come from the store. */
static int
store_kept(struct relay *r)
{
	struct list *node, *after;
	int rc = acks_convert(r);

	list_each (node, after, &r->kept) {
		struct message *m = list_entry(node, struct message, node);

		if (rc < 0) {
			return rc;
		}
		message_drop(r, m);
		if (m != r->up.into) {
			rc = message_store(r, m);
		}
	}
	return rc < 0 ? rc : acks_settle(r);
}

static int
begin(struct relay *r)
{
	int rc;

	r->phase = RELAY_HELD;
	r->paused = false;
	r->unkept_any = false;
	idset_clear(&r->acks.dropped);
	drop_streams(r);
	forget_aliases(r);
	rc = answer_pings(r);
	rc = rc < 0 ? rc : keep_folds(r);
	return rc < 0 ? rc : store_kept(r);
}

enum relay_phase
relay_upstream_lost(struct relay *r, struct relay_out *out)
{
	size_t before = out->device->bytes;
	int rc;

	if (r->phase == RELAY_OVER || r->phase == RELAY_HELD) {
		return r->phase;
	}
	if (!can_hold(r)) {
		relay_upstream_ended(r, false, out);
		return r->phase;
	}
	r->out = out;
	relay_count(r, METRIC_UPSTREAM_LOST);
	rc = begin(r);
	if (rc < 0) {
		(void)end_session(r, RELAY_SIDE_GATEWAY, MQTT_SERVER_SHUTTING_DOWN,
		                  "ran out of memory when the broker was lost");
	}
	r->bytes_down += out->device->bytes - before;
	metric_add(r->settings.metrics, METRIC_BYTES_DOWN,
	           (int64_t)(out->device->bytes - before));
	return r->phase;
}

/* ---- packets of a held device --------------------------------------------------------------- */

static int
take_ack(struct relay *r, const struct unit *u)
{
	struct mqtt_ack ack;
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	bool known;
	int rc = mqtt_decode_ack(u->fixed.type, u->body, MQTT_FROM_CLIENT, r->version, &ack,
	                         &reason);

	if (rc < 0) {
		return end_malformed(r, &r->up, u->fixed.type, reason);
	}
	switch (u->fixed.type) {
	case MQTT_PUBACK:
		(void)idset_remove(&r->down_1, ack.packet_id);
		return 0;
	case MQTT_PUBREL:
		known = idset_remove(&r->acks.denied, ack.packet_id);
		return out_ack(r, &r->down, MQTT_PUBCOMP, ack.packet_id,
		               known || !relay_is_5(r) ? 0 : MQTT_PACKET_IDENTIFIER_NOT_FOUND);
	default:
		return 0; /* of no exchange that there is: 4.3.3 says nothing, nor does a broker */
	}
}

/* A publish-only session has no subscriptions. */
static int
answer_limited(struct relay *r, const struct mqtt_filters *filters, enum mqtt_type answer)
{
	int rc = out_made_room(r, &r->down, filters->count + SMALL_ROOM);
	struct fold *f;
	uint8_t code = answer == MQTT_UNSUBACK ? MQTT_NO_SUBSCRIPTION_EXISTED :
	               relay_is_5(r)           ? MQTT_IMPLEMENTATION_SPECIFIC :
	                                         0x80;

	if (rc < 0) {
		return rc;
	}
	f = fold_new(filters, answer);
	if (f == NULL) {
		return -ENOMEM;
	}
	memset(f->code, code, f->count);
	return fold_local(r, f);
}

static int
take_filters(struct relay *r, const struct unit *u)
{
	bool subscribe = u->fixed.type == MQTT_SUBSCRIBE;
	struct mqtt_filters filters;
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	int rc = mqtt_decode_filters(u->fixed.type, u->body, r->version, &filters, &reason);

	if (rc < 0) {
		return end_malformed(r, &r->up, u->fixed.type, reason);
	}
	if (r->limited) {
		return answer_limited(r, &filters, subscribe ? MQTT_SUBACK : MQTT_UNSUBACK);
	}
	if (r->waiting_count >= WAITING_MAX ||
	    buf_len(&r->waiting) + u->bytes.len > r->settings.limits.packet_memory) {
		return end_session(r, RELAY_SIDE_GATEWAY, MQTT_QUOTA_EXCEEDED,
		                   "subscribed more often than can wait for the broker");
	}
	rc = buf_append(&r->waiting, u->bytes);
	r->waiting_count += rc == 0;
	return rc;
}

/* 3.14.2.1: with 0x04 the will is wanted all the same. */
static int
take_disconnect(struct relay *r, const struct unit *u)
{
	struct mqtt_disconnect d;
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	int rc = mqtt_decode_disconnect(MQTT_DISCONNECT, u->body, MQTT_FROM_CLIENT, r->version, &d,
	                                &reason);

	if (rc < 0) {
		return end_malformed(r, &r->up, MQTT_DISCONNECT, reason);
	}
	if (r->session_expiry == 0 &&
	    mqtt_props_number(&d.props, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 0) != 0) {
		return end_forbidden(r, &r->up, MQTT_PROTOCOL_ERROR,
		                     "wanted to keep a session that was to end");
	}
	r->will_owed = r->will_owed && d.reason == MQTT_DISCONNECT_WITH_WILL;
	return end_silent(r, RELAY_SIDE_DEVICE, MQTT_SUCCESS, "disconnected");
}

int
hold_unit_up(struct relay *r, const struct unit *u)
{
	switch (u->fixed.type) {
	case MQTT_PUBLISH:
		return publish_up(r, u);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return take_ack(r, u);
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		return take_filters(r, u);
	case MQTT_PINGREQ:
		return u->fixed.remaining == 0 ?
		               out_made(r, &r->down, span_of("\xd0\0", 2)) :
		               end_malformed(r, &r->up, MQTT_PINGREQ, MQTT_MALFORMED_PACKET);
	case MQTT_DISCONNECT:
		return take_disconnect(r, u);
	case MQTT_CONNECT:
		return end_forbidden(r, &r->up, MQTT_PROTOCOL_ERROR, "sent a second CONNECT");
	case MQTT_AUTH: /* only a CONNECT with a method allows it, and such are not held */
		return end_forbidden(r, &r->up, MQTT_PROTOCOL_ERROR,
		                     "sent AUTH though CONNECT named no method");
	default:
		return end_forbidden(r, &r->up, MQTT_PROTOCOL_ERROR,
		                     "sent a packet that only servers send");
	}
}

/* ---- facts ---------------------------------------------------------------------------------- */

void
relay_pause(struct relay *r, bool on)
{
	r->paused = on;
}

bool
relay_idle(const struct relay *r)
{
	return r->storing == 0 && r->up.into == NULL;
}

bool
relay_halfway(const struct relay *r)
{
	return r->up.into != NULL;
}

bool
relay_settled(const struct relay *r)
{
	return r->down_1.count == 0;
}
