/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A SUBSCRIBE or UNSUBSCRIBE whose answer is awaited, and the answer: the
 * broker's codes, one per filter that it saw, are folded to one per filter
 * that the device asked for.
 */
#include "relay/relay_int.h"

#include <errno.h>
#include <stdlib.h>

/* One allocation: the struct, counts per filter, codes, the copy of the list. */
struct fold *
fold_new(const struct mqtt_filters *filters, enum mqtt_type answer)
{
	size_t counts = filters->count * sizeof(uint16_t);
	size_t list = reader_left(&filters->list);
	size_t size = sizeof(struct fold) + counts + filters->count + list;
	struct fold *f = calloc(1, size);
	uint8_t *copy;

	if (f == NULL) {
		return NULL;
	}
	list_init(&f->node);
	f->answer = (uint8_t)answer;
	f->packet_id = filters->packet_id;
	f->count = filters->count;
	f->size = size;
	f->code = (uint8_t *)f->part + counts;
	copy = f->code + filters->count;
	if (list > 0) {
		memcpy(copy, filters->list.at, list);
	}
	f->list = span_of(copy, list);
	return f;
}

bool
fold_excessive(const struct relay *r, const struct mqtt_filters *filters)
{
	return filters->count > (size_t)r->settings.limits.subscriptions + FILTERS_SPARE;
}

struct mqtt_filters
fold_filters(const struct fold *f)
{
	return (struct mqtt_filters){
		.packet_id = f->packet_id, .list = reader_of(f->list), .count = f->count
	};
}

void
fold_add(struct relay *r, struct fold *f)
{
	list_append(&r->folds, &f->node);
	r->fold_count++;
	r->fold_bytes += f->size;
}

void
fold_free(struct fold *f)
{
	free(f);
}

void
fold_remove(struct relay *r, struct fold *f)
{
	list_remove(&f->node);
	r->fold_count--;
	r->fold_bytes -= f->size;
	fold_free(f);
}

void
fold_free_all(struct relay *r)
{
	while (!list_empty(&r->folds)) {
		fold_remove(r, list_entry(r->folds.next, struct fold, node));
	}
}

/* The oldest one with that identifier: brokers answer in order. */
static struct fold *
fold_find(const struct relay *r, enum mqtt_type answer, uint16_t packet_id)
{
	struct list *node, *after;

	list_each (node, after, &r->folds) {
		struct fold *f = list_entry(node, struct fold, node);

		if (f->packet_id == packet_id && f->answer == answer) {
			return f;
		}
	}
	return NULL;
}

uint16_t
fold_next_id(struct relay *r)
{
	/* There are far fewer folds than identifiers: see RESUBSCRIBES_MAX. */
	do {
		r->own_id = r->own_id > 1 ? r->own_id - 1 : UINT16_MAX;
	} while (fold_find(r, MQTT_SUBACK, r->own_id) != NULL ||
	         fold_find(r, MQTT_UNSUBACK, r->own_id) != NULL);
	return r->own_id;
}

/* The answer as the device gets it. */
static struct mqtt_codes
fold_codes(const struct relay *r, const struct fold *f, const struct mqtt_props *props)
{
	bool none = f->answer == MQTT_UNSUBACK && !relay_is_5(r);

	return (struct mqtt_codes){
		.packet_id = f->packet_id,
		.props = *props,
		.codes = span_of(f->code, none ? 0 : f->count),
	};
}

int
fold_local(struct relay *r, struct fold *f)
{
	struct mqtt_props none = { .present = 0 };
	struct mqtt_codes codes = fold_codes(r, f, &none);
	size_t size = mqtt_codes_size(&codes, r->version);
	uint8_t *made;
	struct writer w;
	int rc = out_made_room(r, &r->down, size);

	if (rc < 0) {
		return rc;
	}
	made = malloc(size);
	if (made == NULL) {
		fold_free(f);
		return -ENOMEM;
	}
	w = writer_of(made, size);
	mqtt_write_codes(&w, f->answer, r->version, &codes);
	rc = out_made(r, &r->down, writer_span(&w));
	free(made);
	fold_free(f);
	return rc;
}

/* The best of what was granted, else the first refusal (a refused part is a smaller world). */
static uint8_t
suback_code(struct span parts, uint8_t requested)
{
	uint8_t failed = 0, best = 0;
	bool granted = false;

	for (size_t i = 0; i < parts.len; i++) {
		uint8_t code = parts.ptr[i];

		if (code >= 0x80) {
			failed = failed == 0 ? code : failed;
		} else {
			best = code > best ? code : best;
			granted = true;
		}
	}
	if (!granted) {
		return failed;
	}
	/* Another owner may have asked the broker for more. */
	return best < requested ? best : requested;
}

/* preset: 0 when the device had that subscription, else 0x11. */
static uint8_t
unsuback_code(struct span parts, uint8_t preset)
{
	for (size_t i = 0; i < parts.len; i++) {
		if (parts.ptr[i] >= 0x80) {
			return parts.ptr[i];
		}
		if (parts.ptr[i] == MQTT_SUCCESS) {
			preset = MQTT_SUCCESS;
		}
	}
	return preset;
}

static void
fold_codes_in(struct fold *f, struct span codes)
{
	struct mqtt_filters list = fold_filters(f);
	struct mqtt_filter filter;
	enum mqtt_type type = f->answer == MQTT_SUBACK ? MQTT_SUBSCRIBE : MQTT_UNSUBSCRIBE;

	for (uint32_t i = 0; i < f->count && mqtt_filter_next(&list, type, &filter); i++) {
		struct span parts = span_head(codes, f->part[i]);

		codes = span_skip(codes, f->part[i]);
		if (f->part[i] == 0) {
			continue;
		}
		f->code[i] = f->answer == MQTT_SUBACK ? suback_code(parts, filter.options & 3) :
		                                        unsuback_code(parts, f->code[i]);
	}
}

/* What was granted is now the session's; what was refused is not. */
static int
settle(struct relay *r, const struct fold *f, const struct mqtt_filter *filter, uint8_t code)
{
	struct subscription *s = subscription_find(r, filter->filter);

	if (s == NULL || (int32_t)(s->born - f->serial) > 0) {
		return 0; /* unsubscribed meanwhile */
	}
	if (code < 0x80) {
		s->granted = true;
		s->told = code;
		return subscription_store_put(r, s);
	}
	if (!s->granted && s->last == f->serial) {
		subscription_drop(r, s);
	}
	return 0;
}

static int
settle_all(struct relay *r, const struct fold *f)
{
	struct mqtt_filters list = fold_filters(f);
	struct mqtt_filter filter;
	int rc = 0;

	if (f->answer != MQTT_SUBACK) {
		return 0;
	}
	for (uint32_t i = 0; rc == 0 && i < f->count; i++) {
		if (mqtt_filter_next(&list, MQTT_SUBSCRIBE, &filter) && f->part[i] > 0) {
			rc = settle(r, f, &filter, f->code[i]);
		}
	}
	return subscription_store_end(r, rc);
}

static int
answer(struct relay *r, struct fold *f, const struct mqtt_codes *in)
{
	struct mqtt_codes out = fold_codes(r, f, &in->props);
	size_t size = mqtt_codes_size(&out, r->version);
	struct writer w;
	int rc = out_room(r, &r->down, size);

	if (rc < 0) {
		return rc;
	}
	if (f->answer == MQTT_SUBACK || relay_is_5(r)) {
		fold_codes_in(f, in->codes);
	}
	/* Written down first: the device may rely on what it was told. */
	rc = settle_all(r, f);
	if (rc < 0) {
		return end_session(r, RELAY_SIDE_GATEWAY, MQTT_IMPLEMENTATION_SPECIFIC,
		                   "could not keep the subscriptions");
	}
	w = writer_of(batch_reserve(out_batch(r, &r->down), size), size);
	mqtt_write_codes(&w, f->answer, r->version, &out);
	rc = w.bad ? ERR_LIMIT : batch_commit(out_batch(r, &r->down), writer_len(&w));
	if (rc == 0) {
		fold_remove(r, f);
	}
	return rc;
}

int
fold_answer(struct relay *r, const struct unit *u)
{
	struct mqtt_codes in;
	struct fold *f;
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	int rc = mqtt_decode_codes(u->fixed.type, u->body, r->version, &in, &reason);

	if (rc < 0) {
		return end_malformed(r, &r->down, u->fixed.type, reason);
	}
	f = fold_find(r, u->fixed.type, in.packet_id);
	if (f == NULL) {
		return end_forbidden(r, &r->down, MQTT_PROTOCOL_ERROR,
		                     "answered a subscription that nobody asked for");
	}
	if ((f->answer == MQTT_SUBACK || relay_is_5(r)) && in.codes.len != f->parts) {
		return end_forbidden(r, &r->down, MQTT_PROTOCOL_ERROR,
		                     "answered with another number of codes than filters");
	}
	if (f->again) {
		r->circles = 0;
	}
	if (f->restores) {
		rc = restore_answer(r, f, in.codes);
	}
	if (f->ours) {
		fold_remove(r, f);
		return rc;
	}
	return answer(r, f, &in);
}
