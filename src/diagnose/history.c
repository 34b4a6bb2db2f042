/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnose/history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "diagnose/out.h"

enum {
	KEY_MAX = DIAGNOSE_NAME,
	FRESH_EPISODES = 4, /* a board that fails in several ways within one moment */
	RANDOMS = 8,
	TAKEOVERS = 8,
	RETURN_MS = 1000,     /* back after this long: not one burst */
	EPISODE_MS = 3600000, /* a longer silence begins a new episode */
	MINUTE_MS = 60000,
};

/* The quotas. */
enum tier { FRESH, RETURNING, KNOWN, TIERS };

struct entry {
	struct list chain; /* of its hash bucket */
	struct list used;  /* of its tier, last used at the end */
	enum tier tier;
	enum history_kind kind;
	uint64_t born; /* ms */
	int64_t last_success, last_failure;
	char ca_fingerprint[65];
	unsigned length, failures;
	struct history_episode *episodes; /* in order of their last event */
	unsigned episode_count;
	uint8_t (*randoms)[HELLO_RANDOM]; /* a ring of RANDOMS, NULL none */
	unsigned random_count;
	struct takeover {
		uint64_t ms;
		uint64_t address; /* its hash */
	} takeovers[TAKEOVERS];
	unsigned takeover_count;
	char key[KEY_MAX];
};

struct history {
	struct history_limits limits;
	uint64_t seed;
	struct list *buckets;
	size_t bucket_mask;
	struct list order[TIERS];
	size_t count[TIERS];
};

/* ---- entries ----------------------------------------------------------------------- */

/* FNV-1a over seed, kind and key, and a last mixing. */
static uint64_t
hash_of(const struct history *h, enum history_kind kind, const char *key)
{
	uint64_t hash = 0xcbf29ce484222325u ^ h->seed ^ (uint64_t)kind << 56;

	for (; *key != '\0'; key++) {
		hash = (hash ^ (uint8_t)*key) * 0x100000001b3u;
	}
	hash = (hash ^ hash >> 32 ^ h->seed) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

static size_t
limit_of(const struct history *h, enum tier tier)
{
	return tier == KNOWN     ? h->limits.known :
	       tier == RETURNING ? h->limits.returning :
	                           h->limits.fresh;
}

static struct list *
bucket_of(const struct history *h, enum history_kind kind, const char *key)
{
	return &h->buckets[hash_of(h, kind, key) & h->bucket_mask];
}

static struct entry *
find(const struct history *h, enum history_kind kind, const char *key)
{
	struct list *head = bucket_of(h, kind, key), *at, *after;

	list_each (at, after, head) {
		struct entry *e = list_entry(at, struct entry, chain);

		/* Keys are cut alike. */
		if (e->kind == kind && strncmp(e->key, key, KEY_MAX - 1) == 0) {
			return e;
		}
	}
	return NULL;
}

static void
drop(struct history *h, struct entry *e)
{
	list_remove(&e->chain);
	list_remove(&e->used);
	h->count[e->tier]--;
	free(e->episodes);
	free(e->randoms);
	free(e);
}

/* Into that tier, as the last used; who was used longest ago makes room. */
static void
place(struct history *h, struct entry *e, enum tier tier)
{
	e->tier = tier;
	list_append(&h->order[tier], &e->used);
	h->count[tier]++;
	if (h->count[tier] > limit_of(h, tier)) {
		drop(h, list_entry(h->order[tier].next, struct entry, used));
	}
}

static void
use(struct history *h, struct entry *e, enum tier tier)
{
	list_remove(&e->used);
	h->count[e->tier]--;
	place(h, e, tier);
}

static struct entry *
take(struct history *h, enum history_kind kind, const char *key, struct history_time now)
{
	char cut[KEY_MAX];
	struct entry *e;

	snprintf(cut, sizeof cut, "%s", key);
	e = find(h, kind, cut);
	if (e != NULL) {
		bool returns = e->tier == FRESH && now.ms - e->born >= RETURN_MS;

		use(h, e, returns ? RETURNING : e->tier);
		return e;
	}
	e = calloc(1, sizeof *e);
	if (e == NULL) {
		return NULL;
	}
	e->kind = kind;
	e->born = now.ms;
	memcpy(e->key, cut, sizeof cut);
	list_append(bucket_of(h, kind, cut), &e->chain);
	place(h, e, FRESH);
	return e;
}

/* ---- life -------------------------------------------------------------------------- */

int
history_new(const struct history_limits *limits, uint64_t seed, struct history **out)
{
	struct history *h = calloc(1, sizeof *h);
	size_t buckets = 16, most = limits->known + limits->returning + limits->fresh;

	while (buckets < most) {
		buckets *= 2;
	}
	if (h == NULL || (h->buckets = calloc(buckets, sizeof *h->buckets)) == NULL) {
		free(h);
		return -ENOMEM;
	}
	h->limits = *limits;
	/* With none of a kind, an entry would be dropped while it is made. */
	h->limits.known += limits->known == 0;
	h->limits.returning += limits->returning == 0;
	h->limits.fresh += limits->fresh == 0;
	h->limits.episodes += limits->episodes == 0;
	h->seed = seed;
	h->bucket_mask = buckets - 1;
	for (size_t i = 0; i < buckets; i++) {
		list_init(&h->buckets[i]);
	}
	for (unsigned tier = 0; tier < TIERS; tier++) {
		list_init(&h->order[tier]);
	}
	*out = h;
	return 0;
}

void
history_free(struct history *h)
{
	if (h == NULL) {
		return;
	}
	for (unsigned tier = 0; tier < TIERS; tier++) {
		while (!list_empty(&h->order[tier])) {
			drop(h, list_entry(h->order[tier].next, struct entry, used));
		}
	}
	free(h->buckets);
	free(h);
}

size_t
history_count(const struct history *h)
{
	return h->count[FRESH] + h->count[RETURNING] + h->count[KNOWN];
}

/* ---- episodes ---------------------------------------------------------------------- */

/* The gaps' moving average: a board's delay is steady, its WiFi is not. */
static void
repeat(struct history_episode *p, struct history_time now)
{
	uint64_t gap = now.ms - p->last_ms;

	if (gap <= EPISODE_MS) {
		p->retry_ms = p->retry_ms == 0 ? (uint32_t)gap :
		                                 (uint32_t)((p->retry_ms * 3ull + gap) / 4);
	}
	p->count++;
}

static int
find_episode(const struct entry *e, enum diagnose_cause cause, struct history_time now)
{
	for (unsigned i = e->episode_count; i > 0; i--) {
		const struct history_episode *p = &e->episodes[i - 1];

		if (p->cause == cause && now.ms - p->last_ms <= EPISODE_MS) {
			return (int)i - 1;
		}
	}
	return -1;
}

/* Memory for one more at the end; the oldest goes when the cap is reached. */
static struct history_episode *
new_episode(const struct history *h, struct entry *e)
{
	unsigned most = h->limits.episodes;
	unsigned cap = e->tier == FRESH && most > FRESH_EPISODES ? FRESH_EPISODES : most;
	struct history_episode *list;

	if (e->episode_count >= cap) {
		e->episode_count--;
		memmove(e->episodes, e->episodes + 1, e->episode_count * sizeof *e->episodes);
		return &e->episodes[e->episode_count++];
	}
	list = realloc(e->episodes, (e->episode_count + 1) * sizeof *list);
	if (list == NULL) {
		return NULL;
	}
	e->episodes = list;
	return &e->episodes[e->episode_count++];
}

static int
note(const struct history *h, struct entry *e, enum diagnose_cause cause, const char *sentence,
     struct history_time now)
{
	int at = find_episode(e, cause, now);
	struct history_episode *p, kept;
	struct out text;

	if (at >= 0) {
		/* Its last event is the newest of all: to the end. */
		kept = e->episodes[at];
		memmove(&e->episodes[at], &e->episodes[at + 1],
		        (e->episode_count - (unsigned)at - 1) * sizeof kept);
		p = &e->episodes[e->episode_count - 1];
		*p = kept;
		repeat(p, now);
	} else {
		p = new_episode(h, e);
		if (p == NULL) {
			return -ENOMEM;
		}
		*p = (struct history_episode){ .cause = cause, .first = now.wall, .count = 1 };
	}
	p->last = now.wall;
	p->last_ms = now.ms;
	text = out_of(p->sentence, sizeof p->sentence);
	out_text(&text, sentence);
	return 0;
}

int
history_success(struct history *h, enum history_kind kind, const char *key,
                struct history_time now, const char *ca_fingerprint, unsigned length)
{
	struct entry *e = take(h, kind, key, now);

	if (e == NULL) {
		return -ENOMEM;
	}
	use(h, e, KNOWN);
	e->last_success = now.wall;
	e->failures = 0;
	e->length = length;
	snprintf(e->ca_fingerprint, sizeof e->ca_fingerprint, "%s", ca_fingerprint);
	return note(h, e, CAUSE_NOTHING, "Connected.", now);
}

int
history_failure(struct history *h, enum history_kind kind, const char *key,
                struct history_time now, const struct diagnose_verdict *verdict)
{
	struct entry *e = take(h, kind, key, now);

	if (e == NULL) {
		return -ENOMEM;
	}
	if (diagnose_is_failure(verdict->cause)) {
		e->last_failure = now.wall;
		e->failures += e->failures < UINT32_MAX;
	}
	return note(h, e, verdict->cause, verdict->sentence, now);
}

/* ---- randoms and takeovers --------------------------------------------------------- */

int
history_random(struct history *h, const char *address, struct history_time now,
               const uint8_t *random)
{
	struct entry *e = take(h, HISTORY_ADDRESS, address, now);

	if (e == NULL) {
		return -ENOMEM;
	}
	if (e->randoms == NULL && (e->randoms = calloc(RANDOMS, HELLO_RANDOM)) == NULL) {
		return -ENOMEM;
	}
	for (unsigned i = 0; i < e->random_count && i < RANDOMS; i++) {
		if (memcmp(e->randoms[i], random, HELLO_RANDOM) == 0) {
			return 1;
		}
	}
	/* The first are kept: after a reset a broken board begins with them again. */
	if (e->random_count < RANDOMS / 2) {
		memcpy(e->randoms[e->random_count], random, HELLO_RANDOM);
		e->random_count++;
	} else {
		unsigned at = RANDOMS / 2 + (e->random_count - RANDOMS / 2) % (RANDOMS / 2);

		memcpy(e->randoms[at], random, HELLO_RANDOM);
		/* Stays bounded, and the position in the ring is kept. */
		e->random_count = e->random_count < 2 * RANDOMS ? e->random_count + 1 :
		                                                  e->random_count + 1 - RANDOMS / 2;
	}
	return 0;
}

/* Is the address of this one not among those before it that count? */
static bool
is_new_address(const struct entry *e, unsigned at, struct history_time now)
{
	for (unsigned i = 0; i < at; i++) {
		if (now.ms - e->takeovers[i].ms < MINUTE_MS &&
		    e->takeovers[i].address == e->takeovers[at].address) {
			return false;
		}
	}
	return true;
}

int
history_takeover(struct history *h, const char *device, const char *address,
                 struct history_time now, unsigned *addresses)
{
	struct entry *e = take(h, HISTORY_DEVICE, device, now);
	int count = 0;

	*addresses = 0;
	if (e == NULL) {
		return -ENOMEM;
	}
	e->takeovers[e->takeover_count % TAKEOVERS] = (struct takeover){
		.ms = now.ms, .address = hash_of(h, HISTORY_ADDRESS, address) };
	e->takeover_count++;
	for (unsigned i = 0; i < e->takeover_count && i < TAKEOVERS; i++) {
		if (now.ms - e->takeovers[i].ms < MINUTE_MS) {
			count++;
			*addresses += is_new_address(e, i, now);
		}
	}
	return count;
}

/* ---- reading ----------------------------------------------------------------------- */

static struct entry *
find_cut(struct history *h, enum history_kind kind, const char *key)
{
	char cut[KEY_MAX];

	snprintf(cut, sizeof cut, "%s", key);
	return find(h, kind, cut);
}

/* The gap between its attempts, whatever they ended in. */
static uint32_t
retry_of(const struct entry *e)
{
	for (unsigned i = e->episode_count; i > 0; i--) {
		if (e->episodes[i - 1].cause != CAUSE_NOTHING) {
			return e->episodes[i - 1].retry_ms;
		}
	}
	return 0;
}

void
history_before(struct history *h, enum history_kind kind, const char *key,
               struct diagnose_before *out)
{
	const struct entry *e = find_cut(h, kind, key);

	*out = (struct diagnose_before){ .last_success = 0 };
	if (e != NULL) {
		out->last_success = e->last_success;
		out->last_failure = e->last_failure;
		out->failures = e->failures;
		out->known_length = e->length;
		out->retry_ms = retry_of(e);
		memcpy(out->ca_fingerprint, e->ca_fingerprint, sizeof out->ca_fingerprint);
	}
}

static void
tell(const struct entry *e, history_each *each, void *owner)
{
	for (unsigned i = 0; i < e->episode_count; i++) {
		each(owner, e->kind, e->key, &e->episodes[i]);
	}
}

bool
history_story(struct history *h, enum history_kind kind, const char *key, history_each *each,
              void *owner)
{
	const struct entry *e = find_cut(h, kind, key);

	if (e != NULL) {
		tell(e, each, owner);
	}
	return e != NULL;
}
