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

bool
relay_wants_device(const struct relay *r)
{
	switch (r->phase) {
	case RELAY_WAIT_CONNECT:
		return true;
	case RELAY_WAIT_CONNACK:
		return r->auth_turn;
	case RELAY_LIVE:
		return r->acks.count < inflight_limit(r) && r->fold_count < FOLDS_HIGH &&
		       r->fold_bytes <= r->settings.limits.packet_memory &&
		       buf_len(&r->down.later) < LATER_HIGH;
	case RELAY_DIAL:
	case RELAY_OVER:
		break;
	}
	return false;
}

static struct local_ack *
queue_at(const struct acks *a, unsigned i)
{
	return &a->queue[(a->first + i) % a->size];
}

/* The ring has the size of the limit, and wants_device keeps it from overflowing. */
static int
queue_push(struct relay *r, struct answer answer)
{
	struct acks *a = &r->acks;

	if (a->queue == NULL) {
		a->queue = calloc(inflight_limit(r), sizeof *a->queue);
		if (a->queue == NULL) {
			return -ENOMEM;
		}
		a->size = inflight_limit(r);
	}
	if (a->count == a->size) {
		return end_session(r, RELAY_SIDE_DEVICE, MQTT_RECEIVE_MAXIMUM_EXCEEDED,
		                   "has too many denied publishes unfinished");
	}
	a->count++;
	*queue_at(a, a->count - 1) = (struct local_ack){ .due = a->forwarded, .answer = answer };
	return 0;
}

/* How many at the head of the queue may go when the broker has sent `answered`. */
static unsigned
queue_due(const struct acks *a, uint32_t answered)
{
	unsigned n = 0;

	while (n < a->count && (int32_t)(answered - queue_at(a, n)->due) >= 0) {
		n++;
	}
	return n;
}

static int
queue_settle(struct relay *r)
{
	struct acks *a = &r->acks;
	unsigned due = queue_due(a, a->answered);
	int rc = 0;

	while (due-- > 0 && rc == 0) {
		struct answer answer = a->queue[a->first].answer;

		a->first = (a->first + 1) % a->size;
		a->count--;
		rc = out_ack(r, &r->down, answer.type, answer.packet_id, answer.reason);
	}
	if (a->count == 0) {
		free(a->queue);
		a->queue = NULL;
		a->first = a->size = 0;
	}
	return rc;
}

/* A denied QoS 2 publish goes on with PUBREL, unless the answer was an error of MQTT 5. */
static int
denied_done(struct relay *r, struct answer answer)
{
	struct idset *set = &r->acks.denied;
	int rc;

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
	return rc < 0 ? rc : queue_settle(r);
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
	return out_unit(r, &r->up, u);
}

/* The broker answered a publish: ours that waited behind it follow. */
static int
acks_owed(struct relay *r, const struct unit *u)
{
	struct acks *a = &r->acks;
	uint32_t answered = a->answered + (a->answered != a->forwarded ? 1u : 0u);
	int rc = out_room(r, &r->down,
	                  u->bytes.len + (size_t)queue_due(a, answered) * MQTT_ACK_MAX);

	rc = rc < 0 ? rc : out_unit(r, &r->down, u);
	if (rc == 0) {
		a->answered = answered;
		rc = queue_settle(r);
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
		return acks_owed(r, u);
	}
	return out_unit(r, &r->down, u);
}

void
acks_free(struct acks *a)
{
	free(a->queue);
	idset_clear(&a->denied);
	idset_clear(&a->dropped);
}
