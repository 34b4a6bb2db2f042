/* SPDX-License-Identifier: BSD-2-Clause */
/* The devices that have something here, by identity. */
#include <stdlib.h>
#include <string.h>

#include "spool/spool_int.h"

/* FNV-1a. Identities come from certificates that we trust, not from strangers. */
static uint64_t
hash_of(struct span text)
{
	uint64_t hash = 14695981039346656037u;

	for (size_t i = 0; i < text.len; i++) {
		hash = (hash ^ text.ptr[i]) * 1099511628211u;
	}
	return hash;
}

struct device *
index_find(struct spool *spool, struct span identity)
{
	uint64_t hash = hash_of(identity);
	struct device *device = NULL;

	if (spool->buckets > 0) {
		device = spool->bucket[hash & (spool->buckets - 1)];
	}
	while (device != NULL &&
	       (device->hash != hash ||
	        !span_eq(span_of((const uint8_t *)device->identity, device->length), identity))) {
		device = device->chain;
	}
	return device;
}

/* More buckets; with too few it is only slower. */
static bool
grow(struct spool *spool)
{
	size_t count = spool->buckets > 0 ? spool->buckets * 2 : 64;
	struct device **bucket = calloc(count, sizeof(struct device *));
	struct list *node, *after;

	if (bucket == NULL) {
		return spool->buckets > 0;
	}
	list_each(node, after, &spool->all) {
		struct device *device = list_entry(node, struct device, all);
		struct device **head = &bucket[device->hash & (count - 1)];

		device->chain = *head;
		*head = device;
	}
	free(spool->bucket);
	spool->bucket = bucket;
	spool->buckets = count;
	return true;
}

struct device *
index_make(struct spool *spool, struct span identity)
{
	struct device *device = index_find(spool, identity), **head;

	if (device != NULL) {
		return device;
	}
	if (spool->devices >= spool->buckets && !grow(spool)) {
		return NULL;
	}
	device = calloc(1, sizeof *device + identity.len + 1);
	if (device == NULL) {
		return NULL;
	}
	device->hash = hash_of(identity);
	device->length = identity.len;
	if (identity.len > 0) {
		memcpy(device->identity, identity.ptr, identity.len);
	}
	list_init(&device->all);
	list_init(&device->waits);
	list_init(&device->active);
	head = &spool->bucket[device->hash & (spool->buckets - 1)];
	device->chain = *head;
	*head = device;
	list_append(&spool->all, &device->all);
	spool->devices++;
	return device;
}

static void
forget(struct spool *spool, struct device *device)
{
	struct device **at = &spool->bucket[device->hash & (spool->buckets - 1)];

	while (*at != device) {
		at = &(*at)->chain;
	}
	*at = device->chain;
	list_remove(&device->all);
	list_remove(&device->active);
	spool->devices--;
	free(device);
}

void
index_touch(struct spool *spool, struct device *device)
{
	if (!device->touched) {
		device->touched = true;
		device->before = device->now;
		device->touched_next = spool->touched;
		spool->touched = device;
	}
}

void
index_activate(struct spool *spool, struct device *device)
{
	if (device->now.messages <= device->now.taken) {
		list_remove(&device->active);
	} else if (list_empty(&device->active)) {
		list_append(&spool->active, &device->active);
	}
}

static void
answer_waits(struct device *device)
{
	struct list *node, *after;

	list_each(node, after, &device->waits) {
		struct spool_wait *wait = list_entry(node, struct spool_wait, node);

		if (device->settled >= wait->until &&
		    (device->shown.first == 0 || device->shown.first > wait->until)) {
			list_remove(node);
			free(wait->identity);
			wait->identity = NULL;
			wait->phase++;
			loop_post(wait->back, &wait->posted);
		}
	}
}

/* Kept while it has a number that somebody may ask for. */
static bool
of_no_use(const struct device *device)
{
	return device->now.messages == 0 && device->now.dropped == 0 &&
	       device->asked == device->settled && list_empty(&device->waits);
}

void
index_settle(struct spool *spool)
{
	struct device *device = spool->touched, *next;

	spool->touched = NULL;
	for (; device != NULL; device = next) {
		next = device->touched_next;
		device->touched = false;
		device->shown = device->now;
		index_activate(spool, device);
		answer_waits(device);
		if (of_no_use(device)) {
			forget(spool, device);
		}
	}
	spool->shown_messages = spool->messages;
	spool->shown_bytes = spool->bytes;
}

void
index_revert(struct spool *spool)
{
	for (struct device *device = spool->touched; device != NULL;
	     device = device->touched_next) {
		device->now = device->before;
	}
	spool->messages = spool->messages_before;
	spool->bytes = spool->bytes_before;
}

void
index_free(struct spool *spool)
{
	struct list *node;

	while ((node = list_take(&spool->all)) != NULL) {
		struct device *device = list_entry(node, struct device, all);
		struct list *wait;

		while ((wait = list_take(&device->waits)) != NULL) {
			free(list_entry(wait, struct spool_wait, node)->identity);
		}
		list_remove(&device->active);
		free(device);
	}
	free(spool->bucket);
	spool->bucket = NULL;
}
