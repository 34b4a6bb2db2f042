/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UNSUBSCRIBE: a broker filter goes only when no other filter of the device
 * needs it. When those that remain want less than before, the broker is told
 * with a SUBSCRIBE of our own, whose answer the device never sees.
 */
#include "relay/relay_int.h"

#include <errno.h>

#define RETAIN_NEVER 0x20u

struct plan {
	struct relay *r;
	struct fold *f;
	struct mqtt_filters filters;
	struct writer *w;     /* NULL: only measure */
	bool again;           /* this walk is for what remains */
	size_t size;          /* bytes of the filters that go */
	size_t again_size;    /* bytes of the packets for those that change */
	unsigned again_count; /* and how many */
	unsigned parts;       /* of the filter at hand */
	uint8_t scratch[TOPIC_MAX];
};

/* A SUBSCRIBE for what the remaining owners want. 0 or -ENOMEM. */
static int
resubscribe(struct plan *plan, struct span broker_filter, struct wish left, uint8_t max_qos)
{
	struct relay *r = plan->r;
	bool five = relay_is_5(r);
	uint32_t id = five ? subscription_left_id(r, broker_filter) : 0;
	size_t props = five ? 1 + (id != 0 ? 1 + varint_size(id) : 0) : 0;
	size_t remaining = 2 + props + 2 + broker_filter.len + 1;
	uint8_t qos = (left.options & 3) < max_qos ? left.options & 3 : max_qos;
	struct mqtt_filters none = { .packet_id = 0 };
	struct fold *f;

	if (plan->w == NULL) {
		plan->again_count++;
		plan->again_size += mqtt_packet_size((uint32_t)remaining);
		return 0;
	}
	none.packet_id = fold_next_id(r);
	f = fold_new(&none, MQTT_SUBACK);
	if (f == NULL) {
		return -ENOMEM;
	}
	f->ours = true;
	f->parts = 1;
	fold_add(r, f);
	write_u8(plan->w, MQTT_SUBSCRIBE << 4 | 2);
	write_varint(plan->w, (uint32_t)remaining);
	write_u16(plan->w, none.packet_id);
	if (five) {
		write_u8(plan->w, (uint8_t)(props - 1));
	}
	if (id != 0) {
		write_u8(plan->w, MQTT_PROP_SUBSCRIPTION_IDENTIFIER);
		write_varint(plan->w, id);
	}
	write_block(plan->w, broker_filter);
	write_u8(plan->w, (uint8_t)((left.options & ~3u) | qos | (five ? RETAIN_NEVER : 0)));
	return 0;
}

static int
each_part(void *owner, struct span broker_filter, const struct topic_rule *rule)
{
	struct plan *plan = owner;
	struct wish left = subscription_wish(plan->r, broker_filter, false);
	struct wish all = subscription_wish(plan->r, broker_filter, true);

	if (left.owners > 0) {
		return plan->again && left.options != all.options ?
		               resubscribe(plan, broker_filter, left, rule->max_qos) :
		               0;
	}
	if (plan->again) {
		return 0;
	}
	plan->parts++;
	if (plan->w == NULL) {
		plan->size += 2 + broker_filter.len;
	} else {
		write_block(plan->w, broker_filter);
	}
	return 0;
}

/* One walk over all filters: measure or write, what goes or what changes. */
static int
walk(struct plan *plan, struct writer *w, bool again)
{
	struct mqtt_filters list = plan->filters;
	struct mqtt_filter filter;
	int rc = 0;

	plan->w = w;
	plan->again = again;
	for (uint32_t i = 0; mqtt_filter_next(&list, MQTT_UNSUBSCRIBE, &filter); i++) {
		plan->parts = 0;
		rc = topic_map_subscribe(plan->r->map, filter.filter, plan->scratch, each_part,
		                         plan);
		if (rc == -ENOMEM) {
			return rc;
		}
		if (!again && w == NULL) {
			plan->f->part[i] = rc < 0 ? 0 : (uint16_t)plan->parts;
			plan->f->parts += plan->f->part[i];
			plan->f->code[i] = rc < 0 ? MQTT_NOT_AUTHORIZED : plan->f->code[i];
		}
	}
	return 0;
}

/*
 * The entries that go, and the code of a filter that sends nothing. One that
 * stands twice in the packet was not there any more the second time.
 */
static void
doom(struct plan *plan, bool doomed)
{
	struct mqtt_filters list = plan->filters;
	struct mqtt_filter filter;

	for (uint32_t i = 0; mqtt_filter_next(&list, MQTT_UNSUBSCRIBE, &filter); i++) {
		struct subscription *s = subscription_find(plan->r, filter.filter);

		plan->f->code[i] = s != NULL && !s->doomed ? MQTT_SUCCESS :
		                                             MQTT_NO_SUBSCRIPTION_EXISTED;
		if (s != NULL) {
			subscription_doom(plan->r, s, doomed);
		}
	}
}

static size_t
remaining(const struct plan *plan)
{
	size_t props = relay_is_5(plan->r) ?
	                       mqtt_props_edited_size(&plan->filters.props, NULL, 0) :
	                       0;

	return 2 + props + plan->size;
}

static size_t
packet_size(const struct plan *plan)
{
	size_t size = remaining(plan);

	if (plan->f->parts == 0) {
		return 0;
	}
	return size > VARINT_MAX ? SIZE_MAX / 2 : mqtt_packet_size((uint32_t)size);
}

static int
write_all(struct plan *plan, size_t size)
{
	struct batch *b = out_batch(plan->r, &plan->r->up);
	struct writer w = writer_of(batch_reserve(b, size), size);
	int rc = 0;

	if (plan->f->parts > 0) {
		write_u8(&w, MQTT_UNSUBSCRIBE << 4 | 2);
		write_varint(&w, (uint32_t)remaining(plan));
		write_u16(&w, plan->filters.packet_id);
		if (relay_is_5(plan->r)) {
			mqtt_props_write(&w, &plan->filters.props, NULL, 0);
		}
		rc = walk(plan, &w, false);
	}
	if (rc == 0 && plan->again_size > 0) {
		rc = walk(plan, &w, true);
	}
	if (rc < 0 || w.bad) {
		return rc < 0 ? rc : ERR_LIMIT;
	}
	return batch_commit(b, writer_len(&w));
}

/* Gone from the table as soon as it is sent. */
static int
forget(struct plan *plan)
{
	struct mqtt_filters list = plan->filters;
	struct mqtt_filter filter;
	int rc = 0;

	while (rc >= 0 && mqtt_filter_next(&list, MQTT_UNSUBSCRIBE, &filter)) {
		struct subscription *s = subscription_find(plan->r, filter.filter);

		if (s != NULL) {
			rc = subscription_store_remove(plan->r, filter.filter);
			subscription_drop(plan->r, s);
		}
	}
	rc = subscription_store_end(plan->r, rc);
	if (rc < 0) {
		return end_session(plan->r, RELAY_SIDE_GATEWAY, MQTT_IMPLEMENTATION_SPECIFIC,
		                   "could not keep the subscriptions");
	}
	return 0;
}

static int
submit(struct plan *plan, size_t size)
{
	struct relay *r = plan->r;
	struct fold *f = plan->f;
	/* Ours come behind the device's: its answer is found first. */
	bool local = f->parts == 0;
	int rc;

	if (!local) {
		fold_add(r, f);
	}
	rc = write_all(plan, size);
	if (rc == 0) {
		rc = forget(plan);
	}
	if (local) {
		return rc == 0 ? fold_local(r, f) : (fold_free(f), rc);
	}
	return rc;
}

int
unsubscribe_take(struct relay *r, const struct unit *u)
{
	struct plan plan = { .r = r, .size = 0 };
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	size_t size;
	int rc = mqtt_decode_filters(MQTT_UNSUBSCRIBE, u->body, r->version, &plan.filters,
	                             &reason);

	if (rc < 0) {
		return end_malformed(r, &r->up, MQTT_UNSUBSCRIBE, reason);
	}
	if (fold_excessive(r, &plan.filters)) {
		return end_session(r, RELAY_SIDE_DEVICE, MQTT_QUOTA_EXCEEDED,
		                   "unsubscribed from more than it can have");
	}
	plan.f = fold_new(&plan.filters, MQTT_UNSUBACK);
	if (plan.f == NULL) {
		return -ENOMEM;
	}
	doom(&plan, true);
	rc = walk(&plan, NULL, false);
	rc = rc < 0 ? rc : walk(&plan, NULL, true);
	size = packet_size(&plan);
	if (rc == 0 && (size > r->broker_max || plan.again_count > RESUBSCRIBES_MAX)) {
		rc = ERR_LIMIT;
	}
	rc = rc < 0 ? rc : out_room(r, &r->up, size + plan.again_size);
	rc = rc < 0 ? rc : out_made_room(r, &r->down, plan.f->count + SMALL_ROOM);
	if (rc < 0) {
		doom(&plan, false);
		fold_free(plan.f);
		return rc;
	}
	return submit(&plan, size + plan.again_size);
}
