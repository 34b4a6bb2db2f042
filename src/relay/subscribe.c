/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SUBSCRIBE: each filter becomes the broker filters of its rules, all in one
 * packet with the same identifier. Two passes: the first finds out what will
 * be sent and how long it is, the second changes the table and writes.
 */
#include "relay/relay_int.h"

#include <errno.h>

#define RETAIN_HANDLING 0x30u
#define RETAIN_IF_NEW 0x10u

struct plan {
	struct relay *r;
	struct fold *f;
	struct mqtt_filters filters;
	size_t size; /* bytes of broker filters */
	/* of the filter at hand */
	struct writer *w;
	uint8_t options;
	bool fresh; /* not yet in the table */
	uint8_t scratch[TOPIC_MAX];
};

static int
measure_part(void *owner, struct span broker_filter, const struct topic_rule *rule)
{
	struct plan *plan = owner;

	(void)rule;
	plan->size += 2 + broker_filter.len + 1;
	return 0;
}

static uint8_t
refusal(const struct relay *r, int rc)
{
	if (!relay_is_5(r)) {
		return 0x80;
	}
	return rc == ERR_DENIED ? MQTT_NOT_AUTHORIZED :
	       rc == ERR_FULL   ? MQTT_QUOTA_EXCEEDED :
	                          MQTT_TOPIC_FILTER_INVALID;
}

/* What the filters that are not in the table will add to it. */
struct fresh {
	size_t count, bytes;
};

/* Pass one, one filter: parts and size, or the code of its refusal. */
static void
measure(struct plan *plan, uint32_t i, struct span filter, struct fresh *fresh)
{
	struct relay *r = plan->r;
	size_t before = plan->size, bytes = 0;
	bool known = subscription_find(r, filter) != NULL;
	int rc = topic_map_subscribe(r->map, filter, plan->scratch, measure_part, plan);

	if (rc >= 0 && !known) {
		bytes = fresh->bytes + subscription_size(filter, (size_t)rc);
		rc = subscription_room(r, fresh->count + 1, bytes) ? rc : ERR_FULL;
	}
	if (rc <= 0 || rc > UINT16_MAX) {
		plan->size = before;
		plan->f->code[i] = refusal(r, rc == 0 ? ERR_DENIED : rc);
		relay_remember_denied(r, filter);
		return;
	}
	if (!known) {
		fresh->count++;
		fresh->bytes = bytes;
	}
	plan->f->part[i] = (uint16_t)rc;
	plan->f->parts += (size_t)rc;
}

static void
refuse_all(struct plan *plan)
{
	for (uint32_t i = 0; i < plan->f->count; i++) {
		plan->f->part[i] = 0;
		plan->f->code[i] = refusal(plan->r, ERR_FULL);
	}
	plan->f->parts = 0;
}

static size_t
properties_size(const struct plan *plan)
{
	return relay_is_5(plan->r) ? mqtt_props_edited_size(&plan->filters.props, NULL, 0) : 0;
}

/* Bytes of the packet for the broker; 0 when there is none. */
static size_t
measure_all(struct plan *plan)
{
	struct mqtt_filters list = plan->filters;
	struct mqtt_filter filter;
	struct fresh fresh = { 0 };
	size_t remaining;

	if (fold_excessive(plan->r, &plan->filters)) {
		refuse_all(plan);
		return 0;
	}
	for (uint32_t i = 0; mqtt_filter_next(&list, MQTT_SUBSCRIBE, &filter); i++) {
		measure(plan, i, filter.filter, &fresh);
	}
	remaining = 2 + properties_size(plan) + plan->size;
	/* What the broker would not take, and what would not fit into a batch. */
	if (remaining > VARINT_MAX ||
	    mqtt_packet_size((uint32_t)remaining) > plan->r->broker_max ||
	    mqtt_packet_size((uint32_t)remaining) + SMALL_ROOM >
	            plan->r->out->broker->arena_size) {
		refuse_all(plan);
	}
	return plan->f->parts == 0 ? 0 : mqtt_packet_size((uint32_t)remaining);
}

/*
 * The broker sees all owners as one subscription. Retained messages for a new
 * one must come even if the broker knew the filter from another owner.
 */
static int
write_part(void *owner, struct span broker_filter, const struct topic_rule *rule)
{
	struct plan *plan = owner;
	struct wish wish = subscription_wish(plan->r, broker_filter, true);
	uint8_t retain = plan->options & RETAIN_HANDLING;
	uint8_t qos = wish.options & 3;

	if (retain == RETAIN_IF_NEW && plan->fresh && wish.owners > 1) {
		retain = 0;
	}
	qos = qos < rule->max_qos ? qos : rule->max_qos;
	write_block(plan->w, broker_filter);
	write_u8(plan->w, (uint8_t)((wish.options & ~3u) | qos | retain));
	return 0;
}

/* Pass two, one filter. */
static int
enter(struct plan *plan, const struct mqtt_filter *filter)
{
	struct relay *r = plan->r;
	struct subscription *s;
	int rc;

	plan->fresh = subscription_find(r, filter->filter) == NULL;
	plan->options = filter->options;
	rc = subscription_put(r, filter->filter, filter->options, plan->f->id, plan->f->serial,
	                      &s);
	if (rc < 0) {
		return rc;
	}
	rc = topic_map_subscribe(r->map, filter->filter, plan->scratch, write_part, plan);
	return rc < 0 ? rc : 0;
}

static int
write_all(struct plan *plan, size_t size)
{
	struct batch *b = out_batch(plan->r, &plan->r->up);
	struct writer w = writer_of(batch_reserve(b, size), size);
	struct mqtt_filters list = plan->filters;
	struct mqtt_filter filter;
	int rc = 0;

	plan->w = &w;
	write_u8(&w, MQTT_SUBSCRIBE << 4 | 2);
	write_varint(&w, (uint32_t)(2 + properties_size(plan) + plan->size));
	write_u16(&w, plan->filters.packet_id);
	if (relay_is_5(plan->r)) {
		mqtt_props_write(&w, &plan->filters.props, NULL, 0);
	}
	for (uint32_t i = 0; rc == 0 && mqtt_filter_next(&list, MQTT_SUBSCRIBE, &filter); i++) {
		if (plan->f->part[i] > 0) {
			rc = enter(plan, &filter);
		}
	}
	if (rc < 0 || w.bad) {
		return rc < 0 ? rc : ERR_LIMIT;
	}
	return batch_commit(b, writer_len(&w));
}

static void
count_denied(struct relay *r, const struct fold *f)
{
	for (uint32_t i = 0; i < f->count; i++) {
		if (f->part[i] == 0) {
			relay_count(r, METRIC_SUBSCRIBE_DENIED);
		}
	}
}

static int
submit(struct plan *plan, size_t size)
{
	struct relay *r = plan->r;
	struct fold *f = plan->f;
	int rc = out_room(r, &r->up, size);

	if (rc < 0) {
		fold_free(f);
		return rc;
	}
	count_denied(r, f);
	f->serial = ++r->fold_serial;
	rc = write_all(plan, size);
	if (rc < 0) {
		fold_free(f);
		return rc == ERR_FULL ? ERR_LIMIT : rc;
	}
	fold_add(r, f);
	return 0;
}

static int
refuse(struct relay *r, struct fold *f)
{
	int rc = out_made_room(r, &r->down, f->count + SMALL_ROOM);

	if (rc < 0) {
		fold_free(f);
		return rc;
	}
	count_denied(r, f);
	return fold_local(r, f);
}

int
subscribe_take(struct relay *r, const struct unit *u)
{
	struct plan plan = { .r = r, .size = 0 };
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	size_t size;
	int rc = mqtt_decode_filters(MQTT_SUBSCRIBE, u->body, r->version, &plan.filters, &reason);

	if (rc < 0) {
		return end_malformed(r, &r->up, MQTT_SUBSCRIBE, reason);
	}
	plan.f = fold_new(&plan.filters, MQTT_SUBACK);
	if (plan.f == NULL) {
		return -ENOMEM;
	}
	plan.f->id = mqtt_props_number(&plan.filters.props, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, 0);
	size = measure_all(&plan);
	return size > 0 ? submit(&plan, size) : refuse(r, plan.f);
}
