/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/episodes.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/list.h"

#define EPISODE_MS 3600000 /* a longer silence begins a new one */
#define RETURN_MS 1000     /* back after this long: not one burst */

/* Up to 2 KiB each, taken as they come. */
enum tier { FRESH, RETURNING, KNOWN, TIERS };
static const size_t tier_limit[TIERS] = { [FRESH] = 128, [RETURNING] = 256, [KNOWN] = 256 };

static const struct history_limits history_limits = {
	.known = 4096, .returning = 1024, .fresh = 1024, .episodes = 8
};

struct kept {
	struct list node; /* of its tier, last changed at the end */
	enum tier tier;
	uint64_t first_ms, last_ms;
	struct episode e;
};

struct episodes {
	pthread_mutex_t mutex;
	struct history *history;
	struct list order[TIERS];
	size_t count[TIERS];
	uint64_t serial;
	_Atomic uint64_t causes[CAUSE_COUNT];
};

int
episodes_new(struct episodes **out)
{
	struct episodes *all = calloc(1, sizeof *all);
	uint64_t seed;
	int rc;

	if (all == NULL) {
		return -ENOMEM;
	}
	rc = getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed ? 0 : -EAGAIN;
	if (rc == 0) {
		rc = history_new(&history_limits, seed, &all->history);
	}
	if (rc != 0) {
		free(all);
		return rc;
	}
	pthread_mutex_init(&all->mutex, NULL);
	for (unsigned tier = 0; tier < TIERS; tier++) {
		list_init(&all->order[tier]);
	}
	*out = all;
	return 0;
}

static struct kept *
kept_of(struct list *node)
{
	return list_entry(node, struct kept, node);
}

static void
drop(struct episodes *all, struct kept *k)
{
	list_remove(&k->node);
	all->count[k->tier]--;
	free(k);
}

void
episodes_free(struct episodes *all)
{
	if (all == NULL) {
		return;
	}
	for (unsigned tier = 0; tier < TIERS; tier++) {
		while (!list_empty(&all->order[tier])) {
			drop(all, kept_of(all->order[tier].next));
		}
	}
	history_free(all->history);
	pthread_mutex_destroy(&all->mutex);
	free(all);
}

static struct history_time
time_now(void)
{
	return (struct history_time){ .ms = clock_ms(), .wall = clock_wall() };
}

/* ---- the list ---------------------------------------------------------------------------- */

static bool
same_subject(const struct episode *e, const char *address, const char *identity)
{
	return identity[0] != '\0' ? strcmp(e->identity, identity) == 0 :
	                             e->identity[0] == '\0' && strcmp(e->address, address) == 0;
}

/* What is judged: the evidence, and who it is for sure. */
struct subject {
	struct diagnose_evidence *evidence;
	const char *identity;
};

static struct kept *
find(struct episodes *all, const struct subject *s, enum diagnose_cause cause,
     struct history_time now)
{
	struct list *at, *after;

	for (unsigned tier = 0; tier < TIERS; tier++) {
		list_each(at, after, &all->order[tier]) {
			struct kept *k = kept_of(at);

			if (k->e.verdict.cause == cause && now.ms - k->last_ms <= EPISODE_MS &&
			    strcmp(k->e.name, s->evidence->certificate.identity) == 0 &&
			    same_subject(&k->e, s->evidence->address, s->identity)) {
				return k;
			}
		}
	}
	return NULL;
}

/* As the last changed of that tier; who changed longest ago makes room. */
static void
place(struct episodes *all, struct kept *k, enum tier tier)
{
	k->tier = tier;
	list_append(&all->order[tier], &k->node);
	all->count[tier]++;
	if (all->count[tier] > tier_limit[tier]) {
		drop(all, kept_of(all->order[tier].next));
	}
}

/* Nobody gets an identity without a certificate of ours: that is no passer-by. */
static enum tier
tier_of(const struct kept *k, const struct subject *s)
{
	if (s->evidence->before.last_success != 0) {
		return KNOWN;
	}
	return s->identity[0] != '\0' || k->last_ms - k->first_ms >= RETURN_MS ? RETURNING : FRESH;
}

static void
say_reasons(const struct diagnose_evidence *evidence, uint32_t by, char *text)
{
	size_t len = 0;

	text[0] = '\0';
	for (unsigned bit = 0; bit < BY_COUNT; bit++) {
		char one[128];
		int n;

		if ((by & 1u << bit) == 0) {
			continue;
		}
		diagnose_by_text(evidence, (enum diagnose_by)(1u << bit), one, sizeof one);
		n = snprintf(text + len, EPISODE_REASONS - len, "%s%s", len > 0 ? "\n" : "", one);
		if (n < 0 || (size_t)n >= EPISODE_REASONS - len) {
			text[len] = '\0'; /* no half lines */
			return;
		}
		len += (size_t)n;
	}
}

static struct kept *
take(struct episodes *all, const struct subject *s, enum diagnose_cause cause,
     struct history_time now)
{
	struct kept *k = find(all, s, cause, now);
	uint64_t gap;

	if (k == NULL) {
		k = calloc(1, sizeof *k);
		if (k != NULL) {
			k->first_ms = now.ms;
			k->e.first = now.wall;
		}
		return k;
	}
	list_remove(&k->node);
	all->count[k->tier]--;
	gap = now.ms - k->last_ms;
	k->e.retry_ms = k->e.retry_ms == 0 ? (uint32_t)gap :
	                                     (uint32_t)((k->e.retry_ms * 3ull + gap) / 4);
	return k;
}

static void
keep(struct episodes *all, const struct subject *s, struct history_time now,
     struct episode_news *news)
{
	const struct diagnose_evidence *evidence = s->evidence;
	struct kept *k = take(all, s, news->verdict.cause, now);

	if (k == NULL) {
		news->tell = true; /* no memory to collapse it with others */
		return;
	}
	k->last_ms = now.ms;
	k->e.last = now.wall;
	k->e.count += k->e.count < UINT32_MAX;
	k->e.open = true;
	k->e.serial = ++all->serial;
	k->e.verdict = news->verdict;
	snprintf(k->e.address, sizeof k->e.address, "%s", evidence->address);
	snprintf(k->e.identity, sizeof k->e.identity, "%s", s->identity);
	snprintf(k->e.name, sizeof k->e.name, "%s", evidence->certificate.identity);
	say_reasons(evidence, news->verdict.decided_by, k->e.reasons);
	news->count = k->e.count;
	news->tell = (k->e.count & (k->e.count - 1)) == 0;
	place(all, k, tier_of(k, s));
}

/* ---- judging ------------------------------------------------------------------------------- */

static void
look_back(struct episodes *all, const struct subject *s)
{
	struct diagnose_evidence *evidence = s->evidence;
	bool repeated = evidence->before.random_repeated;

	if (s->identity[0] != '\0') {
		history_before(all->history, HISTORY_DEVICE, s->identity, &evidence->before);
	} else {
		history_before(all->history, HISTORY_ADDRESS, evidence->address,
		               &evidence->before);
	}
	evidence->before.random_repeated = repeated;
}

/* What the register says is more exact than the sentence for its kind. */
static void
say_admission(const struct diagnose_evidence *evidence, struct diagnose_verdict *verdict)
{
	bool theirs = (verdict->decided_by & BY_ADMISSION) != 0 ||
	              verdict->cause == CAUSE_SELF_SIGNED;

	if (theirs && evidence->admit_why[0] != '\0') {
		diagnose_refused(evidence, verdict);
	}
}

static void
remember(struct episodes *all, const struct subject *s, struct history_time now,
         struct episode_news *news)
{
	const struct diagnose_verdict *v = &news->verdict;
	enum diagnose_class class = diagnose_entry(v->cause)->class;

	atomic_fetch_add_explicit(&all->causes[v->cause], 1, memory_order_relaxed);
	if (v->cause == CAUSE_NOTHING) {
		return;
	}
	/* Without memory for it the story has a gap; nothing else to be done. */
	(void)!history_failure(all->history, HISTORY_ADDRESS, s->evidence->address, now, v);
	if (s->identity[0] != '\0') {
		(void)!history_failure(all->history, HISTORY_DEVICE, s->identity, now, v);
	}
	if (class == CLASS_FAILURE || class == CLASS_WARNING) {
		keep(all, s, now, news);
	}
}

void
episodes_note(struct episodes *all, const char *identity, struct diagnose_evidence *evidence,
              struct episode_news *news)
{
	struct subject s = { evidence, identity };
	struct history_time now = time_now();

	news->count = 0;
	news->tell = false;
	evidence->now = now.wall;
	pthread_mutex_lock(&all->mutex);
	look_back(all, &s);
	diagnose(evidence, &news->verdict);
	say_admission(evidence, &news->verdict);
	remember(all, &s, now, news);
	pthread_mutex_unlock(&all->mutex);
}

bool
episodes_warn(struct episodes *all, const char *identity, struct diagnose_evidence *evidence,
              struct episode_news *news)
{
	struct subject s = { evidence, identity };
	struct history_time now = time_now();
	bool found;

	news->count = 0;
	news->tell = false;
	evidence->now = now.wall;
	found = diagnose_warning(evidence, &news->verdict);
	if (found) {
		pthread_mutex_lock(&all->mutex);
		look_back(all, &s);
		remember(all, &s, now, news);
		pthread_mutex_unlock(&all->mutex);
	}
	return found;
}

/* ---- what goes well --------------------------------------------------------------------------- */

static void
close_failures(struct episodes *all, const char *address, const char *identity)
{
	struct list *at, *after;

	for (unsigned tier = 0; tier < TIERS; tier++) {
		list_each(at, after, &all->order[tier]) {
			struct episode *e = &kept_of(at)->e;

			if (e->open && diagnose_is_failure(e->verdict.cause) &&
			    (same_subject(e, address, identity) || same_subject(e, address, ""))) {
				e->open = false;
				e->serial = ++all->serial;
			}
		}
	}
}

void
episodes_success(struct episodes *all, const char *address, const char *identity,
                 const char *ca_fingerprint, unsigned length)
{
	struct history_time now = time_now();

	pthread_mutex_lock(&all->mutex);
	(void)!history_success(all->history, HISTORY_ADDRESS, address, now, ca_fingerprint, length);
	(void)!history_success(all->history, HISTORY_DEVICE, identity, now, ca_fingerprint, length);
	close_failures(all, address, identity);
	pthread_mutex_unlock(&all->mutex);
}

bool
episodes_random(struct episodes *all, const char *address, const uint8_t *random)
{
	int rc;

	pthread_mutex_lock(&all->mutex);
	rc = history_random(all->history, address, time_now(), random);
	pthread_mutex_unlock(&all->mutex);
	return rc == 1;
}

unsigned
episodes_takeover(struct episodes *all, const char *identity, const char *address,
                  unsigned *addresses)
{
	int rc;

	pthread_mutex_lock(&all->mutex);
	rc = history_takeover(all->history, identity, address, time_now(), addresses);
	pthread_mutex_unlock(&all->mutex);
	return rc > 0 ? (unsigned)rc : 0;
}

/* ---- reading ------------------------------------------------------------------------------------ */

static bool
wanted(const struct episode *e, const struct episode_filter *f)
{
	return e->serial > f->after && (f->address == NULL || strcmp(e->address, f->address) == 0) &&
	       (f->identity == NULL || strcmp(e->identity, f->identity) == 0 ||
	        (e->identity[0] == '\0' && strcmp(e->name, f->identity) == 0));
}

static int
newest_first(const void *a, const void *b)
{
	const struct episode *const *x = a, *const *y = b;

	return (*x)->serial < (*y)->serial ? 1 : (*x)->serial > (*y)->serial ? -1 : 0;
}

static int
copy(struct episodes *all, const struct episode_filter *filter, struct episode **out,
     size_t *count)
{
	size_t most = all->count[FRESH] + all->count[RETURNING] + all->count[KNOWN], n = 0;
	const struct episode **found = calloc(most + 1, sizeof *found);
	struct list *at, *after;

	for (unsigned tier = 0; found != NULL && tier < TIERS; tier++) {
		list_each(at, after, &all->order[tier]) {
			const struct episode *e = &kept_of(at)->e;

			if (wanted(e, filter)) {
				found[n++] = e;
			}
		}
	}
	if (n > 1) {
		qsort(found, n, sizeof *found, newest_first);
	}
	n = n < filter->most ? n : filter->most;
	*out = found != NULL ? calloc(n + 1, sizeof **out) : NULL;
	for (size_t i = 0; *out != NULL && i < n; i++) {
		(*out)[i] = *found[i];
	}
	free(found);
	*count = n;
	return *out != NULL ? 0 : -ENOMEM;
}

int
episodes_list(struct episodes *all, const struct episode_filter *filter, struct episode **out,
              size_t *count)
{
	int rc;

	pthread_mutex_lock(&all->mutex);
	rc = copy(all, filter, out, count);
	pthread_mutex_unlock(&all->mutex);
	return rc;
}

uint64_t
episodes_serial(struct episodes *all)
{
	uint64_t serial;

	pthread_mutex_lock(&all->mutex);
	serial = all->serial;
	pthread_mutex_unlock(&all->mutex);
	return serial;
}

struct story {
	struct history_episode *list;
	size_t count;
};

static void
collect(void *owner, enum history_kind kind, const char *key,
        const struct history_episode *episode)
{
	struct story *s = owner;

	(void)kind;
	(void)key;
	if (s->list != NULL && s->count < history_limits.episodes) {
		s->list[s->count++] = *episode;
	}
}

int
episodes_story(struct episodes *all, enum history_kind kind, const char *key,
               struct history_episode **out, size_t *count)
{
	struct story s = { .list = calloc(history_limits.episodes, sizeof *s.list) };
	bool known;

	if (s.list == NULL) {
		return -ENOMEM;
	}
	pthread_mutex_lock(&all->mutex);
	known = history_story(all->history, kind, key, collect, &s);
	pthread_mutex_unlock(&all->mutex);
	if (!known) {
		free(s.list);
		return ERR_NOT_FOUND;
	}
	*out = s.list;
	*count = s.count;
	return 0;
}

uint64_t
episodes_count(const struct episodes *all, enum diagnose_cause cause)
{
	return atomic_load_explicit(&all->causes[cause], memory_order_relaxed);
}

size_t
episodes_open(struct episodes *all)
{
	struct list *at, *after;
	size_t count = 0;

	pthread_mutex_lock(&all->mutex);
	for (unsigned tier = 0; tier < TIERS; tier++) {
		list_each(at, after, &all->order[tier]) {
			const struct episode *e = &kept_of(at)->e;

			count += e->open && diagnose_is_failure(e->verdict.cause);
		}
	}
	pthread_mutex_unlock(&all->mutex);
	return count;
}
