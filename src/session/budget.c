/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/budget.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/*
 * Open addressing with linear probing; a slot with count 0 is empty. The
 * table is seeded, so that nobody can choose addresses that collide.
 */
struct slot {
	struct budget_key key;
	unsigned count;
};

struct budget {
	pthread_mutex_t mutex;
	struct slot *slot;
	size_t size; /* a power of two */
	size_t used; /* slots in use */
	uint64_t seed[2];
	unsigned held, total, per_address;
};

#define FIRST_SIZE 256

int
budget_new(struct budget **out)
{
	struct budget *b = calloc(1, sizeof *b);

	if (b == NULL) {
		return -ENOMEM;
	}
	b->size = FIRST_SIZE;
	b->slot = calloc(b->size, sizeof *b->slot);
	if (b->slot == NULL || getrandom(b->seed, sizeof b->seed, 0) != sizeof b->seed) {
		free(b->slot);
		free(b);
		return -ENOMEM;
	}
	pthread_mutex_init(&b->mutex, NULL);
	*out = b;
	return 0;
}

void
budget_free(struct budget *b)
{
	if (b != NULL) {
		pthread_mutex_destroy(&b->mutex);
		free(b->slot);
		free(b);
	}
}

void
budget_configure(struct budget *b, unsigned total, unsigned per_address)
{
	pthread_mutex_lock(&b->mutex);
	b->total = total;
	b->per_address = per_address;
	pthread_mutex_unlock(&b->mutex);
}

static uint64_t
load64(const uint8_t *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof value);
	return value;
}

static struct budget_key
key_of(const struct sockaddr *peer)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct budget_key key = { 0 };

	if (peer->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)peer;

		key.low = (uint64_t)in->sin_addr.s_addr | 1ULL << 32;
	} else if (peer->sa_family == AF_INET6) {
		const uint8_t *a = ((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr.s6_addr;

		if (memcmp(a, mapped, sizeof mapped) == 0) {
			uint32_t v4;

			memcpy(&v4, a + 12, sizeof v4);
			key.low = (uint64_t)v4 | 1ULL << 32;
		} else {
			key.high = load64(a);
		}
	}
	return key;
}

/* A keyed mix; what matters is that outsiders cannot predict it. */
static size_t
hash(const struct budget *b, const struct budget_key *key)
{
	uint64_t h = (key->high ^ b->seed[0]) * 0x9e3779b97f4a7c15ULL;

	h ^= h >> 32;
	h = (h ^ key->low ^ b->seed[1]) * 0xbf58476d1ce4e5b9ULL;
	h ^= h >> 29;
	h *= 0x94d049bb133111ebULL;
	return (size_t)(h ^ h >> 32) & (b->size - 1);
}

static bool
same(const struct budget_key *a, const struct budget_key *b)
{
	return a->high == b->high && a->low == b->low;
}

/* The slot of that key, or the empty one where it belongs. */
static size_t
find(const struct budget *b, const struct budget_key *key)
{
	size_t i = hash(b, key);

	while (b->slot[i].count > 0 && !same(&b->slot[i].key, key)) {
		i = (i + 1) & (b->size - 1);
	}
	return i;
}

static int
grow(struct budget *b)
{
	struct slot *old = b->slot;
	size_t old_size = b->size;

	if (b->used < b->size / 2) {
		return 0;
	}
	b->slot = calloc(old_size * 2, sizeof *b->slot);
	if (b->slot == NULL) {
		b->slot = old;
		return -ENOMEM;
	}
	b->size = old_size * 2;
	for (size_t i = 0; i < old_size; i++) {
		if (old[i].count > 0) {
			b->slot[find(b, &old[i].key)] = old[i];
		}
	}
	free(old);
	return 0;
}

/* Empty a slot and move up what was pushed past it. */
static void
vacate(struct budget *b, size_t hole)
{
	size_t at = hole, mask = b->size - 1;

	b->used--;
	for (;;) {
		size_t home;

		b->slot[hole].count = 0;
		do {
			at = (at + 1) & mask;
			if (b->slot[at].count == 0) {
				return;
			}
			home = hash(b, &b->slot[at].key);
		} while (((at - home) & mask) < ((at - hole) & mask));
		b->slot[hole] = b->slot[at];
		hole = at;
	}
}

static enum budget_verdict
take(struct budget *b, const struct budget_key *key)
{
	size_t i;

	if (b->held >= b->total) {
		return BUDGET_TOTAL;
	}
	if (grow(b) != 0) {
		return BUDGET_MEMORY;
	}
	i = find(b, key);
	if (b->slot[i].count >= b->per_address) {
		return BUDGET_ADDRESS;
	}
	if (b->slot[i].count++ == 0) {
		b->slot[i].key = *key;
		b->used++;
	}
	b->held++;
	return BUDGET_OK;
}

enum budget_verdict
budget_take(struct budget *b, const struct sockaddr *peer, struct budget_key *key)
{
	enum budget_verdict verdict;

	*key = key_of(peer);
	pthread_mutex_lock(&b->mutex);
	verdict = take(b, key);
	pthread_mutex_unlock(&b->mutex);
	return verdict;
}

void
budget_give(struct budget *b, const struct budget_key *key)
{
	size_t i;

	pthread_mutex_lock(&b->mutex);
	i = find(b, key);
	if (b->slot[i].count > 0) {
		b->held--;
		if (--b->slot[i].count == 0) {
			vacate(b, i);
		}
	}
	pthread_mutex_unlock(&b->mutex);
}

unsigned
budget_used(struct budget *b)
{
	unsigned held;

	pthread_mutex_lock(&b->mutex);
	held = b->held;
	pthread_mutex_unlock(&b->mutex);
	return held;
}
