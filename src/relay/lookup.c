/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the table of subscriptions is searched: by device filter, and by broker
 * filter, of which it is counted what its owners want. Both with open
 * addressing and a seed of the relay's own, at most three quarters full, and
 * without memory while the table is empty.
 */
#include "relay/relay_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define SLOTS_MIN 16u

/* FNV-1a, 64 bits, with a seed, and mixed: the low bits choose the slot. */
static uint64_t
hash(const struct subscriptions *t, struct span s)
{
	uint64_t h = 0xcbf29ce484222325u ^ t->seed;

	for (size_t i = 0; i < s.len; i++) {
		h = (h ^ s.ptr[i]) * 0x100000001b3u;
	}
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
	return h ^ h >> 33;
}

/* Before the first hash. Without entropy they can be foretold: slower, never wrong. */
static void
sow(struct subscriptions *t)
{
	if (t->seed == 0 && getrandom(&t->seed, sizeof t->seed, GRND_NONBLOCK) < 0) {
		t->seed = (uintptr_t)t;
	}
}

uint64_t
lookup_hash(struct subscriptions *t, struct span filter)
{
	sow(t);
	return hash(t, filter);
}

/* Is `at` free to be filled from `from`, whose own place is `home`? (cyclic home <= at < from) */
static bool
may_move(size_t home, size_t at, size_t from, size_t mask)
{
	return ((from - home) & mask) >= ((from - at) & mask);
}

/* The size that holds `count`, or 0: the one there is will do. */
static size_t
grown(size_t size, size_t count)
{
	size_t wanted = size > 0 ? size : SLOTS_MIN;

	while (count > wanted / 4 * 3) {
		wanted *= 2;
	}
	return wanted == size ? 0 : wanted;
}

/* ---- by device filter ------------------------------------------------------------- */

struct subscription *
lookup_filter(const struct subscriptions *t, struct span filter)
{
	size_t mask = t->slots - 1;

	if (t->slots == 0) {
		return NULL;
	}
	for (size_t i = hash(t, filter) & mask; t->slot[i] != NULL; i = (i + 1) & mask) {
		if (span_eq(subscription_filter(t->slot[i]), filter)) {
			return t->slot[i];
		}
	}
	return NULL;
}

static void
filter_add(const struct subscriptions *t, struct subscription *s)
{
	size_t mask = t->slots - 1, i = hash(t, subscription_filter(s)) & mask;

	while (t->slot[i] != NULL) {
		i = (i + 1) & mask;
	}
	t->slot[i] = s;
}

static void
filter_remove(const struct subscriptions *t, const struct subscription *s)
{
	size_t mask = t->slots - 1, at = hash(t, subscription_filter(s)) & mask;

	while (t->slot[at] != s) {
		at = (at + 1) & mask;
	}
	t->slot[at] = NULL;
	for (size_t i = (at + 1) & mask; t->slot[i] != NULL; i = (i + 1) & mask) {
		if (may_move(hash(t, subscription_filter(t->slot[i])) & mask, at, i, mask)) {
			t->slot[at] = t->slot[i];
			t->slot[i] = NULL;
			at = i;
		}
	}
}

static int
filters_grow(struct subscriptions *t, size_t count)
{
	size_t size = grown(t->slots, count);
	struct subscription **slot;

	if (size == 0) {
		return 0;
	}
	slot = calloc(size, sizeof *slot);
	if (slot == NULL) {
		return -ENOMEM;
	}
	free(t->slot);
	t->slot = slot;
	t->slots = size;
	for (size_t i = 0; i < t->count; i++) {
		filter_add(t, t->entry[i]);
	}
	return 0;
}

/* ---- by broker filter --------------------------------------------------------------- */

/* Its place, or the free one where it would be. There is always a free one. */
static struct owned *
owned_place(const struct subscriptions *t, uint64_t part)
{
	size_t mask = t->owned_size - 1, i = part & mask;

	while (t->owned[i].all.owners > 0 && t->owned[i].part != part) {
		i = (i + 1) & mask;
	}
	return &t->owned[i];
}

const struct owned *
lookup_owned(const struct subscriptions *t, uint64_t part)
{
	const struct owned *o = t->owned_size > 0 ? owned_place(t, part) : NULL;

	return o != NULL && o->all.owners > 0 ? o : NULL;
}

static void
owned_remove(struct subscriptions *t, const struct owned *o)
{
	size_t mask = t->owned_size - 1, at = (size_t)(o - t->owned);

	t->owned[at] = (struct owned){ .part = 0 };
	t->owned_count--;
	for (size_t i = (at + 1) & mask; t->owned[i].all.owners > 0; i = (i + 1) & mask) {
		if (may_move(t->owned[i].part & mask, at, i, mask)) {
			t->owned[at] = t->owned[i];
			t->owned[i] = (struct owned){ .part = 0 };
			at = i;
		}
	}
}

static int
owned_grow(struct subscriptions *t, size_t count)
{
	size_t size = grown(t->owned_size, count), before = t->owned_size;
	struct owned *old = t->owned, *larger;

	if (size == 0) {
		return 0;
	}
	larger = calloc(size, sizeof *larger);
	if (larger == NULL) {
		return -ENOMEM;
	}
	t->owned = larger;
	t->owned_size = size;
	for (size_t i = 0; i < before; i++) {
		if (old[i].all.owners > 0) {
			*owned_place(t, old[i].part) = old[i];
		}
	}
	free(old);
	return 0;
}

static void
tally(struct tally *t, const struct subscription *s, int by)
{
	uint8_t qos = s->options & 3;

	t->owners = (uint16_t)(t->owners + by);
	t->qos_1 = (uint16_t)(t->qos_1 + (qos == 1 ? by : 0));
	t->qos_2 = (uint16_t)(t->qos_2 + (qos >= 2 ? by : 0));
	t->no_local = (uint16_t)(t->no_local + (s->options & NO_LOCAL ? by : 0));
	t->as_published = (uint16_t)(t->as_published +
	                             (s->options & RETAIN_AS_PUBLISHED ? by : 0));
}

void
lookup_count(struct subscriptions *t, const struct subscription *s)
{
	for (unsigned i = 0; i < s->parts; i++) {
		struct owned *o = owned_place(t, s->part[i]);

		if (o->all.owners == 0) {
			o->part = s->part[i];
			t->owned_count++;
		} else {
			t->mixed = t->mixed || o->id != s->id;
		}
		o->id = s->id;
		tally(&o->all, s, 1);
	}
}

void
lookup_discount(struct subscriptions *t, const struct subscription *s)
{
	for (unsigned i = 0; i < s->parts; i++) {
		struct owned *o = owned_place(t, s->part[i]);

		tally(&o->all, s, -1);
		if (s->doomed) {
			tally(&o->doomed, s, -1);
		}
		if (o->all.owners == 0) {
			owned_remove(t, o);
		}
	}
}

void
lookup_doom(struct subscriptions *t, const struct subscription *s, bool doomed)
{
	for (unsigned i = 0; i < s->parts; i++) {
		tally(&owned_place(t, s->part[i])->doomed, s, doomed ? 1 : -1);
	}
}

/* ---- both ------------------------------------------------------------------------------ */

int
lookup_reserve(struct subscriptions *t, const struct subscription *s)
{
	int rc;

	sow(t);
	rc = filters_grow(t, t->count + 1);
	return rc < 0 ? rc : owned_grow(t, t->owned_count + s->parts);
}

void
lookup_add(struct subscriptions *t, struct subscription *s)
{
	filter_add(t, s);
	lookup_count(t, s);
}

void
lookup_remove(struct subscriptions *t, const struct subscription *s)
{
	filter_remove(t, s);
	lookup_discount(t, s);
}

void
lookup_free(struct subscriptions *t)
{
	free(t->slot);
	free(t->owned);
	t->slot = NULL;
	t->owned = NULL;
	t->slots = t->owned_size = t->owned_count = 0;
}
