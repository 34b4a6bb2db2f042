/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/newest.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#define BUCKETS 4096 /* chains stay short up to tens of thousands of sessions */

struct newest {
	pthread_mutex_t mutex;
	uint64_t serial;
	uint64_t seed;
	struct list bucket[BUCKETS]; /* newest last within one client identifier */
};

int
newest_new(struct newest **out)
{
	struct newest *n = calloc(1, sizeof *n);

	if (n == NULL) {
		return -ENOMEM;
	}
	if (getrandom(&n->seed, sizeof n->seed, 0) != sizeof n->seed) {
		free(n);
		return -EIO;
	}
	pthread_mutex_init(&n->mutex, NULL);
	for (size_t i = 0; i < BUCKETS; i++) {
		list_init(&n->bucket[i]);
	}
	*out = n;
	return 0;
}

void
newest_free(struct newest *n)
{
	if (n != NULL) {
		pthread_mutex_destroy(&n->mutex);
		free(n);
	}
}

static struct list *
bucket_of(struct newest *n, struct span client_id)
{
	uint64_t h = n->seed;

	for (size_t i = 0; i < client_id.len; i++) {
		h = (h ^ client_id.ptr[i]) * 0x100000001b3ULL;
	}
	return &n->bucket[(h ^ h >> 29) % BUCKETS];
}

void
newest_enter(struct newest *n, struct newest_entry *entry, struct span client_id)
{
	struct list *bucket = bucket_of(n, client_id), *at, *after;

	pthread_mutex_lock(&n->mutex);
	list_each(at, after, bucket) {
		struct newest_entry *older = list_entry(at, struct newest_entry, node);

		if (older->loop != NULL && !older->told && span_eq(older->client_id, client_id)) {
			older->told = true;
			loop_post(older->loop, &older->message);
		}
	}
	entry->client_id = client_id;
	entry->serial = ++n->serial;
	list_append(bucket, &entry->node);
	pthread_mutex_unlock(&n->mutex);
}

void
newest_heard(struct newest *n, struct newest_entry *entry)
{
	pthread_mutex_lock(&n->mutex);
	entry->told = false;
	pthread_mutex_unlock(&n->mutex);
}

bool
newest_hush(struct newest *n, struct newest_entry *entry)
{
	bool told;

	pthread_mutex_lock(&n->mutex);
	entry->loop = NULL;
	told = entry->told;
	pthread_mutex_unlock(&n->mutex);
	return told;
}

bool
newest_superseded(struct newest *n, struct newest_entry *entry)
{
	struct list *head, *at, *after;
	bool newer = false;

	pthread_mutex_lock(&n->mutex);
	if (!list_empty(&entry->node)) {
		head = bucket_of(n, entry->client_id);
		list_each(at, after, head) {
			struct newest_entry *other = list_entry(at, struct newest_entry, node);

			newer = newer || (other->serial > entry->serial &&
			                  span_eq(other->client_id, entry->client_id));
		}
	}
	pthread_mutex_unlock(&n->mutex);
	return newer;
}

void
newest_leave(struct newest *n, struct newest_entry *entry)
{
	pthread_mutex_lock(&n->mutex);
	list_remove(&entry->node);
	pthread_mutex_unlock(&n->mutex);
}
