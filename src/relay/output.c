/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Towards one side: packets that pass, and packets of our own, which wait
 * while the payload of a PUBLISH is on its way.
 */
#include "relay/relay_int.h"

struct batch *
out_batch(const struct relay *r, const struct stream *s)
{
	return s == &r->up ? r->out->broker : r->out->device;
}

int
out_room(const struct relay *r, const struct stream *s, size_t made)
{
	const struct batch *b = out_batch(r, s);

	if (made > b->arena_size) {
		return ERR_LIMIT;
	}
	return batch_room(b, SMALL_PIECES, made) ? 0 : ERR_FULL;
}

int
out_made_room(const struct relay *r, const struct stream *s, size_t made)
{
	return out_busy(s) ? 0 : out_room(r, s, made);
}

int
out_unit(struct relay *r, const struct stream *s, const struct unit *u)
{
	struct batch *b = out_batch(r, s);

	return u->held ? batch_copy(b, u->bytes) : batch_ref(b, u->bytes);
}

int
out_made(struct relay *r, struct stream *s, struct span packet)
{
	if (!out_busy(s)) {
		return batch_copy(out_batch(r, s), packet);
	}
	if (s == &r->up && buf_len(&s->later) + packet.len > LATER_MAX) {
		return end_forbidden(r, &r->down, MQTT_RECEIVE_MAXIMUM_EXCEEDED,
		                     "sent more than can be answered while a payload is under way");
	}
	return buf_append(&s->later, packet);
}

int
out_ack(struct relay *r, struct stream *s, enum mqtt_type type, uint16_t packet_id, uint8_t reason)
{
	uint8_t made[MQTT_ACK_MAX];
	struct writer w = writer_of(made, sizeof made);

	mqtt_write_ack(&w, type, r->version, packet_id, reason);
	return out_made(r, s, writer_span(&w));
}

int
out_later(struct relay *r, struct stream *s)
{
	int rc = batch_copy(out_batch(r, s), buf_span(&s->later));

	if (rc == 0) {
		buf_release(&s->later);
	}
	return rc;
}
