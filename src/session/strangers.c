/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/strangers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"

#define SLOTS 1024 /* a power of two */
#define WINDOW_MS 60000

/* What an address brought in its window; addresses of one slot share it. */
struct slot {
	uint64_t since; /* clock_ms() */
	unsigned count;
};

struct strangers {
	pthread_mutex_t mutex;
	struct slot slot[SLOTS];
	uint64_t seed; /* so that nobody can aim at the slot of somebody else */
	struct reg_stranger list[STRANGERS_HELD];
	size_t count;
	uint64_t lost, lost_told; /* lost_told: clock_ms() of the last word about it */
};

int
strangers_new(struct strangers **out)
{
	struct strangers *s = calloc(1, sizeof *s);

	if (s == NULL) {
		return -ENOMEM;
	}
	if (getrandom(&s->seed, sizeof s->seed, 0) != (ssize_t)sizeof s->seed) {
		free(s);
		return -EAGAIN;
	}
	pthread_mutex_init(&s->mutex, NULL);
	*out = s;
	return 0;
}

void
strangers_free(struct strangers *s)
{
	if (s != NULL) {
		pthread_mutex_destroy(&s->mutex);
		free(s);
	}
}

static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* May that address bring one more? */
static bool
within_rate(struct strangers *s, const struct budget_key *from)
{
	uint64_t hash = mix(mix(from->high ^ s->seed) + from->low);
	struct slot *slot = &s->slot[hash & (SLOTS - 1)];
	uint64_t now = clock_ms();

	if (slot->count == 0 || now - slot->since >= WINDOW_MS) {
		*slot = (struct slot){ .since = now };
	}
	if (slot->count == STRANGERS_PER_ADDRESS) {
		return false;
	}
	slot->count++;
	return true;
}

static struct reg_stranger *
held(struct strangers *s, const char *fingerprint)
{
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->list[i].fingerprint, fingerprint) == 0) {
			return &s->list[i];
		}
	}
	return NULL;
}

bool
strangers_note(struct strangers *s, const struct budget_key *from, const struct reg_stranger *visit)
{
	struct reg_stranger *known;
	bool noted = false;

	pthread_mutex_lock(&s->mutex);
	known = held(s, visit->fingerprint);
	if (known != NULL) {
		uint64_t count = known->count + 1;

		/* As the register has it: what a CA says of a key counts for more. */
		if (known->self_signed && !visit->self_signed) {
			*known = *visit;
		}
		known->count = count;
		known->last_at = visit->last_at;
		noted = true;
	} else if (s->count < STRANGERS_HELD && within_rate(s, from)) {
		s->list[s->count] = *visit;
		s->list[s->count++].count = 1;
		noted = true;
	} else {
		s->lost++;
	}
	pthread_mutex_unlock(&s->mutex);
	return noted;
}

/* At most once a minute: a peer alone must not fill the log. */
static void
tell_lost(struct strangers *s)
{
	uint64_t now = clock_ms();

	if (s->lost > 0 && (s->lost_told == 0 || now - s->lost_told >= WINDOW_MS)) {
		log_warning(LOG_REGISTER, "visits of unknown devices were not noted",
		            log_int("count", (int64_t)s->lost));
		s->lost = 0;
		s->lost_told = now;
	}
}

int
strangers_write(struct strangers *s, struct reg *reg)
{
	struct reg_stranger list[STRANGERS_HELD]; /* 110 KiB */
	size_t count;

	pthread_mutex_lock(&s->mutex);
	count = s->count;
	memcpy(list, s->list, count * sizeof *list);
	s->count = 0;
	tell_lost(s);
	pthread_mutex_unlock(&s->mutex);
	return reg_note_strangers(reg, list, count);
}
