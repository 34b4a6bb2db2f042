/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/presence.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/list.h"

#define BUCKETS 4096 /* chains stay short up to tens of thousands of devices */

struct entry {
	struct list node;
	unsigned count;
	char identity[];
};

struct presence_count {
	pthread_mutex_t mutex;
	uint64_t seed;
	void (*changed)(void *owner, const char *identity, bool online);
	void *owner;
	struct list bucket[BUCKETS];
};

int
presence_count_new(void (*changed)(void *owner, const char *identity, bool online), void *owner,
                   struct presence_count **out)
{
	struct presence_count *p = calloc(1, sizeof *p);

	if (p == NULL) {
		return -ENOMEM;
	}
	if (getrandom(&p->seed, sizeof p->seed, 0) != sizeof p->seed) {
		free(p);
		return -EIO;
	}
	pthread_mutex_init(&p->mutex, NULL);
	p->changed = changed;
	p->owner = owner;
	for (size_t i = 0; i < BUCKETS; i++) {
		list_init(&p->bucket[i]);
	}
	*out = p;
	return 0;
}

void
presence_count_free(struct presence_count *p)
{
	if (p != NULL) {
		for (size_t i = 0; i < BUCKETS; i++) {
			struct list *node;

			while ((node = list_take(&p->bucket[i])) != NULL) {
				free(list_entry(node, struct entry, node));
			}
		}
		pthread_mutex_destroy(&p->mutex);
		free(p);
	}
}

static struct list *
bucket_of(struct presence_count *p, const char *identity)
{
	uint64_t h = p->seed;

	for (; *identity != '\0'; identity++) {
		h = (h ^ (uint8_t)*identity) * 0x100000001b3ULL;
	}
	return &p->bucket[(h ^ h >> 29) % BUCKETS];
}

static struct entry *
find(struct list *bucket, const char *identity)
{
	struct list *at, *after;

	list_each(at, after, bucket) {
		struct entry *e = list_entry(at, struct entry, node);

		if (strcmp(e->identity, identity) == 0) {
			return e;
		}
	}
	return NULL;
}

int
presence_count_enter(struct presence_count *p, const char *identity)
{
	struct list *bucket = bucket_of(p, identity);
	struct entry *e;
	int rc = 0;

	pthread_mutex_lock(&p->mutex);
	e = find(bucket, identity);
	if (e != NULL) {
		e->count++;
	} else if ((e = calloc(1, sizeof *e + strlen(identity) + 1)) != NULL) {
		e->count = 1;
		strcpy(e->identity, identity);
		list_append(bucket, &e->node);
		p->changed(p->owner, identity, true);
	} else {
		rc = -ENOMEM;
	}
	pthread_mutex_unlock(&p->mutex);
	return rc;
}

bool
presence_count_join(struct presence_count *p, const char *identity)
{
	struct entry *e;

	pthread_mutex_lock(&p->mutex);
	e = find(bucket_of(p, identity), identity);
	if (e != NULL) {
		e->count++;
	}
	pthread_mutex_unlock(&p->mutex);
	return e != NULL;
}

void
presence_count_leave(struct presence_count *p, const char *identity)
{
	struct entry *e;

	pthread_mutex_lock(&p->mutex);
	e = find(bucket_of(p, identity), identity);
	if (e != NULL && --e->count == 0) {
		list_remove(&e->node);
		free(e);
		p->changed(p->owner, identity, false);
	}
	pthread_mutex_unlock(&p->mutex);
}
