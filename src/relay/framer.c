/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a stream of bytes to units, the same way in both directions. A unit
 * that lies whole in the input is handled where it lies. One that the end of
 * the input cuts is held until the rest comes. Payloads are never held, but
 * for those that go to the store or may have to (message.c).
 */
#include "relay/relay_int.h"

static struct stream *
stream_other(struct relay *r, const struct stream *s)
{
	return s == &r->up ? &r->down : &r->up;
}

/* Bytes of a PUBLISH that are needed before the length of its head can be told. */
static size_t
publish_want(const struct relay *r, struct span bytes, const struct mqtt_fixed *fixed)
{
	size_t want = fixed->size + 2u;

	if (bytes.len >= want) {
		struct reader at = reader_of(span_skip(bytes, fixed->size));

		want += read_u16(&at) + (MQTT_FLAG_QOS(fixed->flags) > 0 ? 2u : 0u) +
		        (relay_is_5(r) ? 1u : 0u);
	}
	return want > bytes.len ? want : bytes.len + 1;
}

/*
 * A head of the broker over the memory we give it: only its identifier is
 * wanted, so that the message can be dropped and acknowledged.
 */
static size_t
oversize_head(struct span bytes, struct unit *u)
{
	struct reader at = reader_of(span_skip(bytes, u->fixed.size));

	u->oversize = true;
	return 2u + read_u16(&at) + (MQTT_FLAG_QOS(u->fixed.flags) > 0 ? 2u : 0u);
}

static size_t
head_memory(const struct relay *r)
{
	uint32_t memory = r->settings.limits.packet_memory;

	return memory > HEAD_MIN ? memory : HEAD_MIN;
}

static int
look_publish(const struct relay *r, const struct stream *s, struct span bytes, struct unit *u,
             size_t *want, enum mqtt_reason *reason)
{
	int64_t head = mqtt_publish_head(span_skip(bytes, u->fixed.size), &u->fixed, r->version);

	if (head == ERR_MORE) {
		*want = publish_want(r, bytes, &u->fixed);
		return ERR_MORE;
	}
	if (head < 0) {
		*reason = MQTT_MALFORMED_PACKET;
		return (int)head;
	}
	if ((uint64_t)head > head_memory(r)) {
		if (s == &r->up) {
			*reason = MQTT_PACKET_TOO_LARGE;
			return ERR_LIMIT;
		}
		head = (int64_t)oversize_head(bytes, u);
	}
	*want = u->fixed.size + (size_t)head;
	u->payload = u->fixed.remaining - (uint32_t)head;
	return 0;
}

static bool
over_limits(const struct relay *r, const struct stream *s, const struct mqtt_fixed *fixed)
{
	size_t size = mqtt_packet_size(fixed->remaining);

	return (s == &r->up && size > r->settings.limits.packet_size) ||
	       (fixed->type != MQTT_PUBLISH && size > r->settings.limits.packet_memory);
}

/*
 * Is there a unit at the start of `bytes`? 0, ERR_MORE (*want tells how many
 * bytes are needed to get further), or why not, with *reason.
 */
static int
look(const struct relay *r, const struct stream *s, struct span bytes, struct unit *u,
     size_t *want, enum mqtt_reason *reason)
{
	int rc = mqtt_decode_fixed(bytes, s == &r->up ? MQTT_FROM_CLIENT : MQTT_FROM_SERVER,
	                           r->version, &u->fixed, reason);

	*want = bytes.len + 1;
	u->payload = 0;
	u->oversize = false;
	if (rc < 0) {
		return rc;
	}
	if (over_limits(r, s, &u->fixed)) {
		/* MQTT 5 is told why; whether it is 5 stands in the first bytes. */
		*want = u->fixed.size + (size_t)CONNECT_VERSION_BYTES;
		if (r->version == 0 && s == &r->up && u->fixed.remaining >= CONNECT_VERSION_BYTES &&
		    bytes.len < *want) {
			return ERR_MORE;
		}
		*reason = MQTT_PACKET_TOO_LARGE;
		return ERR_LIMIT;
	}
	*want = u->fixed.size + (size_t)u->fixed.remaining;
	if (u->fixed.type == MQTT_PUBLISH) {
		rc = look_publish(r, s, bytes, u, want, reason);
	}
	if (rc == 0 && bytes.len < *want) {
		rc = ERR_MORE;
	}
	if (rc == 0) {
		u->bytes = span_head(bytes, *want);
		u->body = span_skip(u->bytes, u->fixed.size);
	}
	return rc;
}

static int
refuse(struct relay *r, const struct stream *s, int rc, struct span bytes,
       const struct mqtt_fixed *fixed, enum mqtt_reason reason)
{
	uint8_t type = bytes.len > 0 ? bytes.ptr[0] >> 4 : 0;

	if (rc == ERR_LIMIT && r->version == 0) {
		return connect_too_large(r, span_skip(bytes, fixed->size), reason,
		                         "sent a CONNECT over the size limit");
	}
	if (rc == ERR_LIMIT) {
		return end_forbidden(r, s, reason, "sent a packet over the size limit");
	}
	if (r->version == 0 && type != MQTT_CONNECT) {
		return end_forbidden(r, s, reason, "sent something else before CONNECT");
	}
	return end_malformed(r, s, type, reason);
}

static int
handle(struct relay *r, struct stream *s, const struct unit *u)
{
	int rc = s == &r->up ? relay_unit_up(r, u) : relay_unit_down(r, u);

	/* No output can be that large when the arena is as the header says. */
	return rc != ERR_LIMIT ? rc :
	                         end_session(r, RELAY_SIDE_GATEWAY, MQTT_PACKET_TOO_LARGE,
	                                     "a packet does not fit into the output");
}

static int
step_direct(struct relay *r, struct stream *s, struct span *in)
{
	struct unit u = { .held = false };
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	size_t want;
	int rc = look(r, s, *in, &u, &want, &reason);

	if (rc == ERR_MORE) {
		rc = buf_append(&s->held, *in);
		if (rc == 0) {
			*in = span_of(NULL, 0);
		}
		return rc;
	}
	if (rc < 0) {
		return refuse(r, s, rc, *in, &u.fixed, reason);
	}
	rc = handle(r, s, &u);
	if (rc == 0) {
		*in = span_skip(*in, u.bytes.len);
	}
	return rc;
}

/*
 * Complete what is held. When there is no room for what comes out, the bytes
 * that completed it are given back, so that the caller has something to offer
 * again.
 */
static int
step_held(struct relay *r, struct stream *s, struct span *in)
{
	struct unit u = { .held = true };
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	struct span before = *in;
	size_t want, n = 0;
	int rc;

	while ((rc = look(r, s, buf_span(&s->held), &u, &want, &reason)) == ERR_MORE &&
	       in->len > 0) {
		n = want - buf_len(&s->held);
		n = n < in->len ? n : in->len;
		before = *in;
		rc = buf_append(&s->held, span_head(*in, n));
		if (rc < 0) {
			return rc;
		}
		*in = span_skip(*in, n);
	}
	if (rc == ERR_MORE) {
		return 0;
	}
	if (rc < 0) {
		return refuse(r, s, rc, buf_span(&s->held), &u.fixed, reason);
	}
	rc = handle(r, s, &u);
	if (rc == ERR_FULL) {
		s->held.end -= n;
		*in = before;
	} else {
		buf_release(&s->held);
	}
	return rc;
}

static int
step_payload(struct relay *r, struct stream *s, struct span *in)
{
	size_t n = s->left < in->len ? s->left : in->len;
	bool last = n == s->left;
	int rc = 0;

	if (!s->discard) {
		struct batch *b = out_batch(r, s);

		if (last && !batch_room(b, SMALL_PIECES, buf_len(&s->later))) {
			return ERR_FULL;
		}
		rc = batch_ref(b, span_head(*in, n));
		if (rc < 0) {
			return rc;
		}
	}
	if (s->into != NULL) {
		message_fill(s->into, span_head(*in, n));
	}
	s->left -= (uint32_t)n;
	*in = span_skip(*in, n);
	if (!last) {
		return 0;
	}
	if (s->into != NULL) {
		rc = message_complete(r, s);
	}
	if (rc < 0) {
		return rc;
	}
	if (s->discard) {
		return acks_dropped(r, s);
	}
	return buf_len(&s->later) > 0 ? out_later(r, s) : 0;
}

static bool
wants(struct relay *r, const struct stream *s)
{
	if (s == &r->up) {
		return relay_wants_device(r);
	}
	return r->phase == RELAY_WAIT_CONNACK || r->phase == RELAY_LIVE ||
	       r->phase == RELAY_REOPENING || r->phase == RELAY_RESTORING;
}

/* The room that every step may count on; a busy stream takes no made packet. */
static bool
small_room(struct relay *r, struct stream *s)
{
	struct stream *other = stream_other(r, s);

	return batch_room(out_batch(r, s), SMALL_PIECES, SMALL_ROOM) &&
	       batch_room(out_batch(r, other), SMALL_PIECES, SMALL_ROOM);
}

int
framer_run(struct relay *r, struct stream *s, struct span in, size_t *used)
{
	size_t offered = in.len;
	int rc = 0;

	while (rc == 0 && in.len > 0 && wants(r, s)) {
		if (!small_room(r, s)) {
			rc = ERR_FULL;
		} else if (s->left > 0) {
			rc = step_payload(r, s, &in);
		} else if (buf_len(&s->held) > 0) {
			rc = step_held(r, s, &in);
		} else {
			rc = step_direct(r, s, &in);
		}
	}
	*used = offered - in.len;
	if (rc < 0 && rc != ERR_FULL && rc != ERR_CLOSED) {
		(void)end_silent(r, RELAY_SIDE_GATEWAY, MQTT_UNSPECIFIED_ERROR,
		                 "ran out of memory");
	}
	return r->phase == RELAY_OVER && rc == 0 ? ERR_CLOSED : rc;
}
