/* SPDX-License-Identifier: BSD-2-Clause */
/* What others call, and the life of the spool. */
#include "spool/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool/spool_int.h"

/* ---- opening and closing --------------------------------------------------------------- */

/* All but the memory itself. */
static void
release(struct spool *spool)
{
	if (spool->db != NULL) {
		schema_close(spool);
	}
	take_free(&spool->taken);
	take_free(&spool->removing);
	take_free(&spool->queue.finished);
	take_free(&spool->queue.given_back);
	index_free(spool);
}

int
spool_open(const struct spool_settings *settings, struct spool **out, char *why, size_t size)
{
	struct spool *spool = calloc(1, sizeof *spool);
	int rc;

	if (spool == NULL) {
		snprintf(why, size, "%s: out of memory.", settings->file);
		return -ENOMEM;
	}
	pthread_mutex_init(&spool->lock, NULL);
	queue_init(&spool->queue);
	list_init(&spool->taken);
	list_init(&spool->all);
	list_init(&spool->active);
	list_init(&spool->removing);
	spool->purge_end = &spool->purge;
	spool->limit = settings->bytes;
	rc = schema_open(spool, settings->file, why, size);
	if (rc == 0) {
		rc = schema_load(spool, settings->file, why, size);
	}
	if (rc == 0) {
		rc = writer_start(spool);
		if (rc != 0) {
			snprintf(why, size, "%s: no thread can be started: %s.", settings->file,
			         err_text(rc));
		}
	}
	if (rc != 0) {
		release(spool);
		free(spool);
		return rc;
	}
	*out = spool;
	return 0;
}

void
spool_let_go(struct spool *spool)
{
	bool gone;

	pthread_mutex_lock(&spool->lock);
	spool->posted--;
	gone = spool->closed && spool->posted == 0;
	pthread_mutex_unlock(&spool->lock);
	if (gone) {
		pthread_mutex_destroy(&spool->lock);
		free(spool);
	}
}

void
spool_close(struct spool *spool)
{
	if (spool == NULL) {
		return;
	}
	pthread_mutex_lock(&spool->lock);
	spool->stop = true;
	pthread_cond_signal(&spool->wake);
	pthread_mutex_unlock(&spool->lock);
	pthread_join(spool->thread, NULL);
	pthread_cond_destroy(&spool->wake);
	release(spool);
	pthread_mutex_lock(&spool->lock);
	spool->closed = true;
	spool->posted++;
	pthread_mutex_unlock(&spool->lock);
	spool_let_go(spool); /* or the last answer that is on its way */
}

void
spool_configure(struct spool *spool, uint64_t bytes)
{
	pthread_mutex_lock(&spool->lock);
	spool->limit = bytes;
	pthread_mutex_unlock(&spool->lock);
}

/* ---- keeping ------------------------------------------------------------------------------ */

static struct span
keep(uint8_t **at, struct span bytes)
{
	struct span kept = span_of(*at, bytes.len);

	if (bytes.len > 0) {
		memcpy(*at, bytes.ptr, bytes.len);
		*at += bytes.len;
	}
	return kept;
}

int
spool_put(struct spool *spool, struct spool_put *put)
{
	struct spool_message *m = &put->message;
	struct copy *copy = malloc(sizeof *copy + m->identity.len + m->topic.len +
	                           m->payload.len + m->properties.len);
	struct device *device;
	uint8_t *at;

	if (copy == NULL) {
		return -ENOMEM;
	}
	at = copy->bytes;
	m->identity = keep(&at, m->identity);
	m->topic = keep(&at, m->topic);
	m->payload = keep(&at, m->payload);
	m->properties = keep(&at, m->properties);
	put->copy = copy;
	put->next = NULL;
	pthread_mutex_lock(&spool->lock);
	device = spool->queue.bytes < SPOOL_QUEUE_BYTES ? index_make(spool, m->identity) : NULL;
	copy->device = device;
	if (device != NULL) {
		spool->queue.bytes += queue_weight(put);
		m->sequence = device->asked = ++spool->sequence;
		*spool->queue.put_end = put;
		spool->queue.put_end = &put->next;
		pthread_cond_signal(&spool->wake);
	}
	pthread_mutex_unlock(&spool->lock);
	if (device == NULL) { /* else the writer has it, and it may be gone */
		free(copy);
		put->copy = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* ---- waiting ------------------------------------------------------------------------------- */

enum { WAIT_CANCELLED, WAIT_WAITING, WAIT_POSTED };

static void
wait_done(struct loop_message *message)
{
	struct spool_wait *wait = container_of(message, struct spool_wait, posted);

	wait->done(wait);
}

static bool
holds(const struct device *device)
{
	return device != NULL &&
	       (device->shown.messages > 0 || device->asked != device->settled);
}

int
spool_wait(struct spool *spool, struct span identity, struct spool_wait *wait)
{
	char *copy = malloc(identity.len + 1);
	struct device *device;

	if (copy == NULL) {
		return -ENOMEM;
	}
	if (identity.len > 0) {
		memcpy(copy, identity.ptr, identity.len);
	}
	copy[identity.len] = '\0';
	wait->identity = NULL;
	wait->posted.run = wait_done;
	list_init(&wait->node);
	pthread_mutex_lock(&spool->lock);
	device = index_find(spool, identity);
	if (holds(device)) {
		wait->identity = copy;
		copy = NULL;
		wait->until = device->asked;
		wait->phase = WAIT_WAITING;
		list_append(&device->waits, &wait->node);
	} else {
		wait->phase = WAIT_POSTED;
		loop_post(wait->back, &wait->posted);
	}
	pthread_mutex_unlock(&spool->lock);
	free(copy);
	return 0;
}

bool
spool_wait_cancel(struct spool *spool, struct spool_wait *wait)
{
	bool waiting;

	pthread_mutex_lock(&spool->lock);
	waiting = wait->phase == WAIT_WAITING;
	if (waiting) {
		list_remove(&wait->node);
		free(wait->identity);
		wait->identity = NULL;
		wait->phase = WAIT_CANCELLED;
	}
	pthread_mutex_unlock(&spool->lock);
	return waiting;
}

bool
spool_holds(struct spool *spool, struct span identity)
{
	bool found;

	pthread_mutex_lock(&spool->lock);
	found = holds(index_find(spool, identity));
	pthread_mutex_unlock(&spool->lock);
	return found;
}

/* ---- draining -------------------------------------------------------------------------------- */

void
spool_take(struct spool *spool, struct spool_take *take)
{
	take->next = NULL;
	take->spool = spool;
	pthread_mutex_lock(&spool->lock);
	take->epoch = spool->epoch;
	spool->posted++;
	*spool->queue.take_end = take;
	spool->queue.take_end = &take->next;
	pthread_cond_signal(&spool->wake);
	pthread_mutex_unlock(&spool->lock);
}

/* They are few, and come back in about the order in which they went. */
static bool
finish(struct spool *spool, uint64_t sequence, enum removal why)
{
	struct list *node, *after;

	list_each(node, after, &spool->taken) {
		struct taken *t = list_entry(node, struct taken, node);

		if (t->sequence == sequence) {
			t->why = why;
			list_remove(node);
			list_append(&spool->queue.finished, node);
			pthread_cond_signal(&spool->wake);
			return true;
		}
	}
	return false;
}

void
spool_done(struct spool *spool, uint64_t sequence)
{
	pthread_mutex_lock(&spool->lock);
	(void)finish(spool, sequence, REMOVE_DELIVERED); /* or it was given back meanwhile */
	pthread_mutex_unlock(&spool->lock);
}

void
spool_refused(struct spool *spool, uint64_t sequence, uint8_t reason)
{
	pthread_mutex_lock(&spool->lock);
	if (finish(spool, sequence, REMOVE_REFUSED)) {
		spool->refused[reason]++;
	}
	pthread_mutex_unlock(&spool->lock);
}

void
spool_untake(struct spool *spool)
{
	pthread_mutex_lock(&spool->lock);
	spool->epoch++;
	queue_move(&spool->queue.given_back, &spool->taken);
	pthread_cond_signal(&spool->wake);
	pthread_mutex_unlock(&spool->lock);
}

void
spool_watch(struct spool *spool, struct loop *back, void (*ready)(void *owner), void *owner)
{
	pthread_mutex_lock(&spool->lock);
	spool->watch_loop = back;
	spool->ready = ready;
	spool->ready_owner = owner;
	spool->queue.watch = true;
	pthread_cond_signal(&spool->wake);
	pthread_mutex_unlock(&spool->lock);
}

/* ---- purge ---------------------------------------------------------------------------------- */

int
spool_purge(struct spool *spool, const char *identity, struct spool_purge *purge)
{
	char *copy = identity != NULL ? strdup(identity) : NULL;

	if (identity != NULL && copy == NULL) {
		return -ENOMEM;
	}
	purge->identity = copy;
	purge->next = NULL;
	purge->count = 0;
	pthread_mutex_lock(&spool->lock);
	purge->until = spool->sequence;
	*spool->queue.purge_end = purge;
	spool->queue.purge_end = &purge->next;
	pthread_cond_signal(&spool->wake);
	pthread_mutex_unlock(&spool->lock);
	return 0;
}
