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

#define NO_LOCAL 0x04u
#define RETAIN_AS_PUBLISHED 0x08u

/* FNV-1a, 64 bits. */
static uint64_t
hash(struct span s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < s.len; i++) {
		h = (h ^ s.ptr[i]) * 0x100000001b3u;
	}
	return h;
}

struct subscription *
subscription_find(const struct relay *r, struct span filter)
{
	const struct subscriptions *t = &r->subscriptions;

	for (size_t i = 0; i < t->count; i++) {
		if (span_eq(subscription_filter(t->entry[i]), filter)) {
			return t->entry[i];
		}
	}
	return NULL;
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
static void
wish_add(struct wish *wish, const struct subscription *s)
{
	uint8_t qos = wish->options & 3, local = wish->options & NO_LOCAL;
	uint8_t retain = wish->options & RETAIN_AS_PUBLISHED;

	if (wish->owners++ == 0) {
		wish->options = s->options & (3 | NO_LOCAL | RETAIN_AS_PUBLISHED);
		wish->id = s->id;
		return;
	}
	qos = (s->options & 3) > qos ? s->options & 3 : qos;
	wish->options = (uint8_t)(qos | (local & s->options) |
	                          ((retain | s->options) & RETAIN_AS_PUBLISHED));
	wish->id = s->id != 0 ? s->id : wish->id;
}

static struct wish
wish_of(const struct relay *r, uint64_t part, bool doomed_too)
{
	const struct subscriptions *t = &r->subscriptions;
	struct wish wish = { 0 };

	for (size_t i = 0; i < t->count; i++) {
		if ((doomed_too || !t->entry[i]->doomed) && owns(t->entry[i], part)) {
			wish_add(&wish, t->entry[i]);
		}
	}
	return wish;
}

struct wish
subscription_wish(const struct relay *r, struct span broker_filter, bool doomed_too)
{
	return wish_of(r, hash(broker_filter), doomed_too);
}

/* Do owners of one broker filter have different identifiers? Never undone. */
static void
note_mixed(struct relay *r, const struct subscription *s)
{
	struct subscriptions *t = &r->subscriptions;

	for (size_t i = 0; !t->mixed && i < t->count; i++) {
		for (unsigned k = 0; k < s->parts && t->entry[i]->id != s->id; k++) {
			if (owns(t->entry[i], s->part[k])) {
				t->mixed = true;
				break;
			}
		}
	}
}

struct gather {
	uint64_t *part;
	uint16_t count, size;
};

static int
gather_part(void *owner, struct span broker_filter, const struct topic_rule *rule)
{
	struct gather *g = owner;

	(void)rule;
	if (g->count == UINT16_MAX) {
		return ERR_LIMIT;
	}
	if (g->count < g->size) {
		g->part[g->count] = hash(broker_filter);
	}
	g->count++;
	return 0;
}

/* A new entry, not yet in the table. */
static int
make(const struct relay *r, struct span filter, struct subscription **out)
{
	uint8_t scratch[TOPIC_MAX];
	struct gather g = { 0 };
	struct subscription *s;
	int rc = topic_map_subscribe(r->map, filter, scratch, gather_part, &g);

	if (rc < 0) {
		return rc;
	}
	s = calloc(1, subscription_size(filter, g.count));
	if (s == NULL) {
		return -ENOMEM;
	}
	g = (struct gather){ .part = s->part, .size = g.count };
	rc = topic_map_subscribe(r->map, filter, scratch, gather_part, &g);
	if (rc < 0) {
		free(s);
		return rc;
	}
	s->parts = g.count;
	s->len = (uint16_t)filter.len;
	memcpy(s->part + s->parts, filter.ptr, filter.len);
	*out = s;
	return 0;
}

static int
insert(struct subscriptions *t, struct subscription *s)
{
	if (t->count == t->size) {
		size_t size = t->size > 0 ? t->size * 2 : 4;
		struct subscription **grown = realloc(t->entry, size * sizeof *grown);

		if (grown == NULL) {
			return -ENOMEM;
		}
		t->entry = grown;
		t->size = size;
	}
	t->entry[t->count++] = s;
	t->bytes += subscription_size(subscription_filter(s), s->parts);
	return 0;
}

int
subscription_put(struct relay *r, struct span filter, uint8_t options, uint32_t id,
                 uint32_t serial, struct subscription **out)
{
	struct subscription *s = subscription_find(r, filter);
	int rc;

	if (s == NULL) {
		rc = make(r, filter, &s);
		if (rc < 0) {
			return rc;
		}
		rc = insert(&r->subscriptions, s);
		if (rc < 0) {
			free(s);
			return rc;
		}
		s->born = serial;
	}
	s->stored = s->stored && s->options == options && s->id == id;
	s->options = options;
	s->id = id;
	s->last = serial;
	note_mixed(r, s);
	*out = s;
	return 0;
}

void
subscription_drop(struct relay *r, struct subscription *s)
{
	struct subscriptions *t = &r->subscriptions;
	size_t i = 0;

	while (t->entry[i] != s) {
		i++;
	}
	t->entry[i] = t->entry[--t->count];
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
	t->entry = NULL;
	t->count = t->size = t->bytes = 0;
}

/* ---- kept ones ----------------------------------------------------------------- */

bool
subscription_kept(const struct relay *r)
{
	return r->session_expiry > 0;
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
	rc = store->put(store->owner, relay_client_id(r), subscription_filter(s), s->options,
	                s->id);
	s->stored = rc == 0;
	return rc;
}

int
subscription_store_remove(struct relay *r, struct span filter)
{
	const struct relay_store *store = &r->settings.store;

	if (store->remove == NULL || !subscription_kept(r)) {
		return 0;
	}
	return store->remove(store->owner, relay_client_id(r), filter);
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
	               store->load(store->owner, relay_client_id(r), load_one, r);
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
