/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The subscriptions of the session, as the device sees them, each with hashes
 * of the broker filters that it maps to. Several of them may need the same
 * broker filter: they own it together. Two broker filters with one hash would
 * be treated as one; a device that contrives that harms only itself.
 */
#include "relay/relay_int.h"

#include <errno.h>
#include <stdlib.h>

struct subscription *
subscription_find(const struct relay *r, struct span filter)
{
	return lookup_filter(&r->subscriptions, filter);
}

size_t
subscription_size(struct span filter, size_t parts)
{
	return sizeof(struct subscription) + parts * sizeof(uint64_t) + filter.len;
}

bool
subscription_room(const struct relay *r, size_t count, size_t bytes)
{
	size_t most = r->settings.limits.subscriptions;
	size_t memory = most * SUBSCRIPTION_BYTES;

	memory = memory > TOPIC_MAX ? memory : TOPIC_MAX;
	return r->subscriptions.count + count <= most &&
	       r->subscriptions.bytes + bytes <= memory + sizeof(struct subscription);
}

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

/* No Local only if all want it; Retain As Published if any does; the greatest QoS. */
struct wish
subscription_wish(struct relay *r, struct span broker_filter, bool doomed_too)
{
	struct subscriptions *t = &r->subscriptions;
	const struct owned *o = lookup_owned(t, lookup_hash(t, broker_filter));
	struct tally all = { 0 }, out = { 0 };
	struct wish wish = { 0 };

	if (o != NULL) {
		all = o->all;
		out = doomed_too ? out : o->doomed;
	}
	wish.owners = all.owners - out.owners;
	if (wish.owners > 0) {
		unsigned qos = all.qos_2 > out.qos_2 ? 2 : all.qos_1 > out.qos_1;
		bool local = (unsigned)(all.no_local - out.no_local) == wish.owners;
		bool retain = all.as_published > out.as_published;

		wish.options = (uint8_t)(qos | (local ? NO_LOCAL : 0) |
		                         (retain ? RETAIN_AS_PUBLISHED : 0));
	}
	return wish;
}

uint32_t
subscription_left_id(struct relay *r, struct span broker_filter)
{
	struct subscriptions *t = &r->subscriptions;
	uint64_t part = lookup_hash(t, broker_filter);
	const struct owned *o = lookup_owned(t, part);
	uint32_t id = 0;

	if (!t->mixed) {
		return o != NULL ? o->id : 0;
	}
	/* Rare, and once for each of few packets: see RESUBSCRIBES_MAX. */
	for (size_t i = 0; id == 0 && i < t->count; i++) {
		if (t->entry[i]->id != 0 && !t->entry[i]->doomed && owns(t->entry[i], part)) {
			id = t->entry[i]->id;
		}
	}
	return id;
}

/* The parts of an entry, each once: several rules may have the same broker filter. */
struct gather {
	struct subscriptions *table;
	struct subscription *s; /* NULL: only count */
	uint16_t count;
};

static int
gather_part(void *owner, struct span broker_filter, const struct topic_rule *rule)
{
	struct gather *g = owner;

	(void)rule;
	if (g->count == UINT16_MAX) {
		return ERR_LIMIT;
	}
	g->count++;
	if (g->s != NULL) {
		g->s->part[g->s->parts] = lookup_hash(g->table, broker_filter);
		g->s->parts += !owns(g->s, g->s->part[g->s->parts]);
	}
	return 0;
}

/* A new entry, not yet in the table. */
static int
make(struct relay *r, struct span filter, struct subscription **out)
{
	uint8_t scratch[TOPIC_MAX];
	struct gather g = { .table = &r->subscriptions };
	struct subscription *s;
	int rc = topic_map_subscribe(r->map, filter, scratch, gather_part, &g);

	if (rc < 0) {
		return rc;
	}
	s = calloc(1, subscription_size(filter, g.count));
	if (s == NULL) {
		return -ENOMEM;
	}
	g = (struct gather){ .table = &r->subscriptions, .s = s };
	rc = topic_map_subscribe(r->map, filter, scratch, gather_part, &g);
	if (rc < 0) {
		free(s);
		return rc;
	}
	s->len = (uint16_t)filter.len;
	memcpy(s->part + s->parts, filter.ptr, filter.len);
	*out = s;
	return 0;
}

static int
insert(struct subscriptions *t, struct subscription *s)
{
	if (t->count == UINT16_MAX) { /* a tally holds no more; the configuration allows fewer */
		return ERR_FULL;
	}
	if (t->count == t->size) {
		size_t size = t->size > 0 ? t->size * 2 : 4;
		struct subscription **grown = realloc(t->entry, size * sizeof *grown);

		if (grown == NULL) {
			return -ENOMEM;
		}
		t->entry = grown;
		t->size = size;
	}
	if (lookup_reserve(t, s) < 0) {
		return -ENOMEM;
	}
	s->at = (uint32_t)t->count;
	t->entry[t->count++] = s;
	lookup_add(t, s);
	t->bytes += subscription_size(subscription_filter(s), s->parts);
	return 0;
}

int
subscription_put(struct relay *r, struct span filter, uint8_t options, uint32_t id,
                 uint32_t serial, struct subscription **out)
{
	struct subscription *s = subscription_find(r, filter);
	int rc;

	if (s != NULL) {
		s->stored = s->stored && s->options == options && s->id == id;
		lookup_discount(&r->subscriptions, s);
		s->options = options;
		s->id = id;
		lookup_count(&r->subscriptions, s);
	} else {
		rc = make(r, filter, &s);
		if (rc < 0) {
			return rc;
		}
		s->options = options;
		s->id = id;
		s->born = serial;
		rc = insert(&r->subscriptions, s);
		if (rc < 0) {
			free(s);
			return rc;
		}
	}
	s->last = serial;
	*out = s;
	return 0;
}

void
subscription_doom(struct relay *r, struct subscription *s, bool doomed)
{
	if (s->doomed != doomed) {
		s->doomed = doomed;
		lookup_doom(&r->subscriptions, s, doomed);
	}
}

void
subscription_drop(struct relay *r, struct subscription *s)
{
	struct subscriptions *t = &r->subscriptions;

	lookup_remove(t, s);
	t->entry[s->at] = t->entry[--t->count];
	t->entry[s->at]->at = s->at;
	t->bytes -= subscription_size(subscription_filter(s), s->parts);
	free(s);
	if (t->count == 0) {
		subscription_free_all(r);
	}
}

void
subscription_free_all(struct relay *r)
{
	struct subscriptions *t = &r->subscriptions;

	for (size_t i = 0; i < t->count; i++) {
		free(t->entry[i]);
	}
	free(t->entry);
	lookup_free(t);
	t->entry = NULL;
	t->count = t->size = t->bytes = 0;
}

/* ---- kept ones ----------------------------------------------------------------- */

bool
subscription_kept(const struct relay *r)
{
	return r->session_expiry > 0;
}

/* The first change of a packet opens it. */
static int
store_begin(struct relay *r)
{
	const struct relay_store *store = &r->settings.store;
	int rc = store->begin == NULL || r->store_begun ? 0 : store->begin(store->owner);

	r->store_begun = rc == 0 && store->begin != NULL;
	return rc;
}

int
subscription_store_end(struct relay *r, int rc)
{
	const struct relay_store *store = &r->settings.store;

	if (!r->store_begun) {
		return rc;
	}
	r->store_begun = false;
	return store->end(store->owner, rc);
}

int
subscription_store_put(struct relay *r, struct subscription *s)
{
	const struct relay_store *store = &r->settings.store;
	int rc;

	/* Devices subscribe again each time they connect: that is no news. */
	if (store->put == NULL || !subscription_kept(r) || s->stored) {
		return 0;
	}
	rc = store_begin(r);
	if (rc < 0) {
		return rc;
	}
	rc = store->put(store->owner, r->settings.username, relay_client_id(r),
	                subscription_filter(s), s->options, s->id);
	s->stored = rc == 0;
	return rc;
}

int
subscription_store_remove(struct relay *r, struct span filter)
{
	const struct relay_store *store = &r->settings.store;
	int rc;

	if (store->remove == NULL || !subscription_kept(r)) {
		return 0;
	}
	rc = store_begin(r);
	return rc < 0 ? rc : store->remove(store->owner, relay_client_id(r), filter);
}

int
subscription_store_clear(struct relay *r)
{
	const struct relay_store *store = &r->settings.store;

	return store->clear == NULL ? 0 : store->clear(store->owner, relay_client_id(r));
}

/* What the rules no longer cover delivers nothing: not loaded. */
static int
load_one(void *owner, struct span filter, uint8_t options, uint32_t id)
{
	struct relay *r = owner;
	struct subscription *s;
	int rc = subscription_put(r, filter, options, id, 0, &s);

	if (rc == 0) {
		s->granted = true;
		s->stored = true;
	}
	return rc == -ENOMEM ? rc : 0;
}

int
subscription_load(struct relay *r)
{
	const struct relay_store *store = &r->settings.store;

	return store->load == NULL ?
	               0 :
	               store->load(store->owner, r->settings.username, relay_client_id(r),
	                           load_one, r);
}

/* ---- identifiers in deliveries -------------------------------------------------- */

static bool
shared(const struct subscription *s)
{
	return span_eq_str(span_head(subscription_filter(s), 7), "$share/");
}

/* A shared subscription cannot be told from the topic: the broker's word stands. */
static bool
of_shared(const struct relay *r, uint32_t id)
{
	const struct subscriptions *t = &r->subscriptions;

	for (size_t i = 0; i < t->count; i++) {
		if (shared(t->entry[i]) && t->entry[i]->id == id) {
			return true;
		}
	}
	return false;
}

static void
write_id(struct writer *w, uint32_t id)
{
	write_u8(w, MQTT_PROP_SUBSCRIPTION_IDENTIFIER);
	write_varint(w, id);
}

/*
 * Several device filters share a broker filter, but the broker knows one
 * identifier for it: name those of all the device's filters that match
 * (3.3.2.3.8). The list replaces props->raw and is the caller's to free.
 */
uint8_t *
subscription_identify(const struct relay *r, struct span topic, struct mqtt_props *props)
{
	const struct subscriptions *t = &r->subscriptions;
	size_t size = props->raw.len + 5 * t->count + 1;
	uint8_t *made = malloc(size);
	struct writer w = writer_of(made, made != NULL ? size : 0);
	struct reader at = reader_of(props->raw);
	struct mqtt_prop prop;

	if (made == NULL) {
		return NULL;
	}
	while (mqtt_props_next(&at, &prop)) {
		if (prop.id != MQTT_PROP_SUBSCRIPTION_IDENTIFIER || of_shared(r, prop.number)) {
			write_bytes(&w, prop.raw);
		}
	}
	for (size_t i = 0; i < t->count; i++) {
		const struct subscription *s = t->entry[i];

		if (s->id != 0 && !shared(s) && topic_matches(subscription_filter(s), topic)) {
			write_id(&w, s->id);
		}
	}
	props->raw = writer_span(&w);
	props->present |= UINT64_C(1) << MQTT_PROP_SUBSCRIPTION_IDENTIFIER;
	return made;
}
