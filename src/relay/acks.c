/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Acknowledgements. Those that pass only pass. Those of publishes that the
 * relay dropped are made here: towards the device behind the ones that the
 * broker still owes, since MQTT wants them in the order of the publishes
 * (4.6); towards the broker at once.
 */
#include "relay/relay_int.h"

#include <errno.h>
#include <stdlib.h>

static unsigned
inflight_limit(const struct relay *r)
{
	return r->settings.limits.denied_inflight > 0 ? r->settings.limits.denied_inflight : 1;
}

/* What goes to the store must not pile up in front of it. */
static bool
store_room(const struct relay *r)
{
	return r->storing < STORES_HIGH &&
	       r->storing_bytes <= r->settings.limits.packet_memory &&
	       r->acks.count < OWED_MAX / 2;
}

bool
relay_wants_device(const struct relay *r)
{
	bool quiet = r->acks.denials < inflight_limit(r) && store_room(r) &&
	             buf_len(&r->down.later) < LATER_HIGH;

	switch (r->phase) {
	case RELAY_WAIT_CONNECT:
		return true;
	case RELAY_WAIT_CONNACK:
		return r->auth_turn;
	case RELAY_LIVE:
		return quiet && r->fold_count < FOLDS_HIGH &&
		       r->fold_bytes <= r->settings.limits.packet_memory;
	case RELAY_HELD:
		/* What has begun is taken to its end. */
		return quiet && (!r->paused || r->up.left > 0);
	case RELAY_DIAL:
	case RELAY_REOPENING:
	case RELAY_RESTORING:
	case RELAY_OVER:
		break;
	}
	return false;
}

/* ---- those that wait for their turn --------------------------------------------------- */

static struct local_ack *
queue_at(const struct acks *a, unsigned i)
{
	return &a->queue[(a->first + i) % a->size];
}

static int
queue_grow(struct acks *a)
{
	unsigned size = a->size > 0 ? a->size * 2 : 4;
	struct local_ack *larger = calloc(size, sizeof *larger);

	if (larger == NULL) {
		return -ENOMEM;
	}
	for (unsigned i = 0; i < a->count; i++) {
		larger[i] = *queue_at(a, i);
	}
	free(a->queue);
	a->queue = larger;
	a->size = size;
	a->first = 0;
	return 0;
}

static int
queue_insert(struct relay *r, unsigned at, struct local_ack ack)
{
	struct acks *a = &r->acks;
	int rc = 0;

	/* wants_device keeps it from that, unless somebody does not play by the rules. */
	if (ack.denied && a->denials >= inflight_limit(r)) {
		return end_session(r, RELAY_SIDE_DEVICE, MQTT_RECEIVE_MAXIMUM_EXCEEDED,
		                   "has too many denied publishes unfinished");
	}
	if (a->count == OWED_MAX) {
		return end_session(r, RELAY_SIDE_DEVICE, MQTT_RECEIVE_MAXIMUM_EXCEEDED,
		                   "has too many publishes unfinished");
	}
	if (a->count == a->size) {
		rc = queue_grow(a);
	}
	if (rc < 0) {
		return rc;
	}
	a->count++;
	for (unsigned i = a->count - 1; i > at; i--) {
		*queue_at(a, i) = *queue_at(a, i - 1);
	}
	*queue_at(a, at) = ack;
	a->denials += ack.denied;
	a->stores += ack.tag != 0;
	return 0;
}

static int
queue_push(struct relay *r, struct answer answer)
{
	struct local_ack ack = { .due = r->acks.forwarded, .answer = answer, .denied = true };

	return queue_insert(r, r->acks.count, ack);
}

static bool
ready(const struct local_ack *ack, uint32_t answered)
{
	return (int32_t)(answered - ack->due) >= 0 && ack->tag == 0 && !ack->refused;
}

/* How many at the head of the queue may go when the broker has sent `answered`. */
static unsigned
queue_due(const struct acks *a, uint32_t answered)
{
	unsigned n = 0;

	while (n < a->count && ready(queue_at(a, n), answered)) {
		n++;
	}
	return n;
}

int
acks_settle(struct relay *r)
{
	struct acks *a = &r->acks;
	unsigned due = queue_due(a, a->answered);
	int rc = 0;

	while (due-- > 0 && rc == 0) {
		struct local_ack ack = a->queue[a->first];

		a->first = (a->first + 1) % a->size;
		a->count--;
		a->denials -= ack.denied;
		rc = out_ack(r, &r->down, ack.answer.type, ack.answer.packet_id,
		             ack.answer.reason);
	}
	if (a->count == 0) {
		free(a->queue);
		a->queue = NULL;
		a->first = a->size = 0;
	}
	return rc;
}

/* ---- those of the store ----------------------------------------------------------------- */

int
acks_wait(struct relay *r, uint16_t packet_id, uint32_t tag)
{
	struct local_ack ack = { .due = r->acks.forwarded, .tag = tag,
		.answer = { .packet_id = packet_id, .type = MQTT_PUBACK } };

	return queue_insert(r, r->acks.count, ack);
}

/*
 * Refused: it is not acknowledged, so the device keeps it. A reason code in
 * PUBACK (5.0: 0x97) would make it throw the message away. Nor is anything
 * behind it acknowledged, else it would come in the wrong order when the
 * device sends it again; which it does when it connects again. So a live
 * session ends here. A held one would only come back to the same full store:
 * it ends when the broker is back, or after a while.
 */
static int
refused(struct relay *r)
{
	if (r->phase == RELAY_HELD) {
		r->stuck = true;
		return 0;
	}
	return end_session(r, RELAY_SIDE_GATEWAY, MQTT_QUOTA_EXCEEDED,
	                   "published what the store could not keep");
}

int
acks_stored(struct relay *r, uint32_t tag, bool is_refused)
{
	struct acks *a = &r->acks;

	for (unsigned i = 0; i < a->count; i++) {
		struct local_ack *ack = queue_at(a, i);

		if (ack->tag == tag) {
			ack->tag = 0;
			ack->refused = is_refused;
			a->stores--;
			break;
		}
	}
	return is_refused ? refused(r) : acks_settle(r);
}

/* Of the kept ones, those that were forwarded before an acknowledgement with that due. */
static int
convert_some(struct relay *r, struct list **at, bool all, uint32_t due)
{
	int rc = 0;

	while (rc == 0 && *at != &r->kept) {
		struct message *m = list_entry(*at, struct message, node);

		if (!all && (int32_t)(due - m->number) < 0) {
			return 0;
		}
		m->tag = r->store_tag = r->store_tag < UINT32_MAX ? r->store_tag + 1 : 1;
		rc = acks_wait(r, m->packet_id, m->tag);
		*at = (*at)->next;
	}
	return rc;
}

int
acks_convert(struct relay *r)
{
	struct acks *a = &r->acks, old = *a;
	struct list *at = r->kept.next;
	int rc = 0;

	a->queue = NULL;
	a->forwarded = a->answered = 0;
	a->first = a->count = a->size = a->denials = a->stores = 0;
	for (unsigned i = 0; rc == 0 && i < old.count; i++) {
		struct local_ack ack = *queue_at(&old, i);

		rc = convert_some(r, &at, false, ack.due);
		ack.due = 0;
		rc = rc < 0 ? rc : queue_insert(r, a->count, ack);
	}
	free(old.queue);
	return rc < 0 ? rc : convert_some(r, &at, true, 0);
}

/* ---- denied and dropped ------------------------------------------------------------------ */

/* A denied QoS 2 publish goes on with PUBREL, unless the answer was an error of MQTT 5. */
static int
denied_done(struct relay *r, struct answer answer)
{
	struct idset *set = &r->acks.denied;
	int rc;

	if (r->stuck) {
		return 0; /* nor may it overtake what is never acknowledged */
	}
	if (answer.type == MQTT_PUBREC && answer.reason < 0x80) {
		if (set->count >= inflight_limit(r) && !idset_has(set, answer.packet_id)) {
			return end_session(r, RELAY_SIDE_DEVICE, MQTT_RECEIVE_MAXIMUM_EXCEEDED,
			                   "has too many denied publishes unfinished");
		}
		rc = idset_add(set, answer.packet_id);
		if (rc < 0) {
			return rc;
		}
	}
	rc = queue_push(r, answer);
	return rc < 0 ? rc : acks_settle(r);
}

static int
dropped_done(struct relay *r, struct answer answer)
{
	if (answer.type == MQTT_PUBREC) {
		int rc = idset_add(&r->acks.dropped, answer.packet_id);

		if (rc < 0) {
			return rc;
		}
	}
	return out_ack(r, &r->up, answer.type, answer.packet_id, answer.reason);
}

int
acks_dropped(struct relay *r, struct stream *s)
{
	struct answer answer = s->answer;

	s->discard = false;
	s->answer = (struct answer){ 0 };
	if (answer.type == 0) {
		return 0;
	}
	return s == &r->up ? denied_done(r, answer) : dropped_done(r, answer);
}

int
acks_drop(struct relay *r, struct stream *s, const struct unit *u, struct answer a)
{
	s->left = u->payload;
	s->discard = true;
	s->answer = a;
	return s->left > 0 ? 0 : acks_dropped(r, s);
}

/* ---- those that pass ----------------------------------------------------------------------- */

/* Is a QoS 2 exchange over with that? PUBREC is an end only when it is an error. */
static bool
ends_2(const struct unit *u, const struct mqtt_ack *ack)
{
	return u->fixed.type == MQTT_PUBCOMP ||
	       (u->fixed.type == MQTT_PUBREC && ack->reason >= 0x80);
}

/*
 * Is it an answer that the message under that identifier cannot have? The
 * broker would close without a word, as if it had gone away.
 */
static bool
mistaken(const struct relay *r, const struct unit *u, const struct mqtt_ack *ack)
{
	switch (u->fixed.type) {
	case MQTT_PUBACK:
		return idset_has(&r->down_2, ack->packet_id);
	case MQTT_PUBREC:
	case MQTT_PUBCOMP:
		return idset_has(&r->down_1, ack->packet_id);
	default:
		return false;
	}
}

int
acks_up(struct relay *r, const struct unit *u)
{
	struct mqtt_ack ack;
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	int rc = mqtt_decode_ack(u->fixed.type, u->body, MQTT_FROM_CLIENT, r->version, &ack,
	                         &reason);

	if (rc < 0) {
		return end_malformed(r, &r->up, u->fixed.type, reason);
	}
	if (u->fixed.type == MQTT_PUBREL && idset_remove(&r->acks.denied, ack.packet_id)) {
		return out_ack(r, &r->down, MQTT_PUBCOMP, ack.packet_id, 0);
	}
	if (mistaken(r, u, &ack)) {
		return end_forbidden(r, &r->up, MQTT_PROTOCOL_ERROR,
		                     "acknowledged a message as if it had another QoS");
	}
	rc = out_unit(r, &r->up, u);
	if (rc == 0 && u->fixed.type == MQTT_PUBACK) {
		(void)idset_remove(&r->down_1, ack.packet_id);
	} else if (rc == 0 && ends_2(u, &ack)) {
		(void)idset_remove(&r->down_2, ack.packet_id);
	}
	return rc;
}

/*
 * One of the store is not yet known, and this one belongs behind it. What it
 * says beside the reason is lost; mosquitto says no more.
 */
static int
defer(struct relay *r, const struct unit *u, const struct mqtt_ack *ack)
{
	struct acks *a = &r->acks;
	unsigned at = 0;
	int rc;

	while (at < a->count && (int32_t)(a->answered - queue_at(a, at)->due) >= 0) {
		at++;
	}
	rc = queue_insert(r, at, (struct local_ack){ .due = a->answered,
	                  .answer = { .packet_id = ack->packet_id, .type = u->fixed.type,
	                              .reason = ack->reason } });
	if (rc == 0) {
		a->answered++;
	}
	return rc;
}

/*
 * A code that PUBACK and PUBREC do not have (Tables 3-4, 3-5): the device gets
 * the one that it has of us for a payload over a limit.
 */
static bool
set_right(struct mqtt_ack *ack)
{
	if (ack->reason != MQTT_PACKET_TOO_LARGE) {
		return false;
	}
	ack->reason = MQTT_QUOTA_EXCEEDED;
	return true;
}

/* The broker answered a publish: ours that waited behind it follow. */
static int
acks_owed(struct relay *r, const struct unit *u, struct mqtt_ack *ack)
{
	struct acks *a = &r->acks;
	bool made = set_right(ack);
	bool owed = a->answered != a->forwarded;
	uint32_t answered = a->answered + (owed ? 1u : 0u);
	int rc;

	if (owed && a->count > 0 && (int32_t)(a->answered - queue_at(a, 0)->due) >= 0) {
		return defer(r, u, ack);
	}
	rc = out_room(r, &r->down, u->bytes.len + (size_t)queue_due(a, answered) * MQTT_ACK_MAX);
	if (rc == 0) {
		rc = made ? out_ack(r, &r->down, u->fixed.type, ack->packet_id, ack->reason) :
		            out_unit(r, &r->down, u);
	}
	if (rc == 0) {
		a->answered = answered;
		rc = acks_settle(r);
	}
	return rc;
}

int
acks_down(struct relay *r, const struct unit *u)
{
	struct mqtt_ack ack;
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	int rc = mqtt_decode_ack(u->fixed.type, u->body, MQTT_FROM_SERVER, r->version, &ack,
	                         &reason);

	if (rc < 0) {
		return end_malformed(r, &r->down, u->fixed.type, reason);
	}
	if (u->fixed.type == MQTT_PUBREL && idset_remove(&r->acks.dropped, ack.packet_id)) {
		return out_ack(r, &r->up, MQTT_PUBCOMP, ack.packet_id, 0);
	}
	if (u->fixed.type == MQTT_PUBACK || u->fixed.type == MQTT_PUBREC) {
		rc = acks_owed(r, u, &ack);
	} else {
		rc = out_unit(r, &r->down, u);
	}
	if (rc == 0 && u->fixed.type == MQTT_PUBACK) {
		message_acknowledged(r, ack.packet_id);
	} else if (rc == 0 && ends_2(u, &ack)) {
		(void)idset_remove(&r->up_2, ack.packet_id);
	}
	return rc;
}

void
acks_free(struct acks *a)
{
	free(a->queue);
	idset_clear(&a->denied);
	idset_clear(&a->dropped);
}
