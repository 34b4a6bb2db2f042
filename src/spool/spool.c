/* SPDX-License-Identifier: BSD-2-Clause */
/* What others call, the queue, and the writer's thread. */
#include "spool/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "spool/spool_int.h"

#define BATCH_PUTS 4096
#define BATCH_BYTES (4u << 20)
#define TICK_MS 1000 /* for what expires, and what failed */

/* Expiry is to be exact to the second; the clock seam has no more. */
static int64_t
wall_ms(void)
{
	return clock_wall() * 1000;
}

/* ---- the queue ---------------------------------------------------------------------- */

static void
queue_init(struct queue *queue)
{
	memset(queue, 0, sizeof *queue);
	queue->put_end = &queue->put;
	queue->take_end = &queue->take;
	queue->purge_end = &queue->purge;
	list_init(&queue->finished);
	list_init(&queue->given_back);
}

static bool
queue_empty(const struct queue *queue)
{
	return queue->put == NULL && queue->take == NULL && queue->purge == NULL &&
	       list_empty(&queue->finished) && list_empty(&queue->given_back) && !queue->watch;
}

static void
move_all(struct list *to, struct list *from)
{
	struct list *node;

	while ((node = list_take(from)) != NULL) {
		list_append(to, node);
	}
}

/* What a put keeps in memory while it waits. */
static size_t
weight(const struct spool_put *put)
{
	const struct spool_message *m = &put->message;

	return m->identity.len + m->topic.len + m->payload.len + m->properties.len +
	       SPOOL_OVERHEAD;
}

/* As many puts as one transaction shall have. */
static struct spool_put *
grab_puts(struct queue *queue)
{
	struct spool_put *first = queue->put, **at = &queue->put;
	size_t bytes = 0;

	for (unsigned n = 0; *at != NULL && n < BATCH_PUTS && bytes < BATCH_BYTES; n++) {
		bytes += weight(*at);
		at = &(*at)->next;
	}
	queue->bytes -= bytes;
	if (first == NULL) {
		return NULL;
	}
	queue->put = *at;
	*at = NULL;
	if (queue->put == NULL) {
		queue->put_end = &queue->put;
	}
	return first;
}

/* ---- the writer ----------------------------------------------------------------------- */

struct batch_of_work {
	struct spool_put *put;
	struct spool_take *take;
	struct list given_back;
	uint64_t limit;
	bool tell; /* the watcher, if there is anything */
	bool busy, quiet, last;
};

/* Something to do although nobody asks? */
static bool
has_more(const struct spool *spool)
{
	return spool->purge != NULL || spool->sweep_again || spool->vacuum_now;
}

/* Under the lock: until something is asked, or a second is over (true). */
static bool
sleep_well(struct spool *spool)
{
	bool ticking = !list_empty(&spool->active) || !list_empty(&spool->removing) ||
	               spool->take_failed || spool->vacuum_later;
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += TICK_MS / 1000;
	while (queue_empty(&spool->queue) && !spool->stop) {
		if (!ticking) {
			pthread_cond_wait(&spool->wake, &spool->lock);
		} else if (pthread_cond_timedwait(&spool->wake, &spool->lock, &until) != 0) {
			return true;
		}
	}
	return false;
}

static void
grab(struct spool *spool, struct batch_of_work *work)
{
	struct queue *queue = &spool->queue;

	list_init(&work->given_back);
	pthread_mutex_lock(&spool->lock);
	work->quiet = queue_empty(queue) && !spool->stop && !has_more(spool) && sleep_well(spool);
	work->busy = !queue_empty(queue) || spool->purge != NULL;
	work->put = grab_puts(queue);
	work->take = queue->take;
	queue->take = NULL;
	queue->take_end = &queue->take;
	if (queue->purge != NULL) {
		*spool->purge_end = queue->purge;
		spool->purge_end = queue->purge_end;
		queue->purge = NULL;
		queue->purge_end = &queue->purge;
	}
	move_all(&spool->removing, &queue->finished);
	move_all(&work->given_back, &queue->given_back);
	work->limit = spool->limit;
	work->tell = work->put != NULL || !list_empty(&work->given_back) || queue->watch ||
	             spool->take_failed;
	queue->watch = false;
	work->last = spool->stop && queue_empty(queue) && spool->purge == NULL;
	pthread_mutex_unlock(&spool->lock);
}

static void
tell_ready(struct loop_message *message)
{
	struct spool *spool = (struct spool *)(void *)((char *)message -
	                                               offsetof(struct spool, ready_message));
	void (*ready)(void *owner);
	void *owner;

	pthread_mutex_lock(&spool->lock);
	spool->ready_posted = false;
	ready = spool->closed ? NULL : spool->ready;
	owner = spool->ready_owner;
	pthread_mutex_unlock(&spool->lock);
	spool_let_go(spool);
	if (ready != NULL) {
		ready(owner);
	}
}

static void
wake_watcher(struct spool *spool)
{
	spool->take_failed = false;
	if (list_empty(&spool->active)) {
		return;
	}
	pthread_mutex_lock(&spool->lock);
	if (spool->ready != NULL && !spool->ready_posted) {
		spool->ready_posted = true;
		spool->posted++;
		spool->ready_message.run = tell_ready;
		loop_post(spool->watch_loop, &spool->ready_message);
	}
	pthread_mutex_unlock(&spool->lock);
}

static void *
writer(void *owner)
{
	struct spool *spool = owner;
	struct batch_of_work work;

	do {
		int64_t now;

		grab(spool, &work);
		now = wall_ms();
		if (!list_empty(&work.given_back)) {
			take_back(spool, &work.given_back);
		}
		write_batch(spool, work.put, work.limit, now);
		while (work.take != NULL) {
			struct spool_take *take = work.take;

			work.take = take->next;
			take_answer(spool, take, now);
		}
		if (work.tell) {
			wake_watcher(spool);
		}
		disk_maintain(spool, work.busy, work.quiet);
	} while (!work.last);
	return NULL;
}

/* ---- opening and closing --------------------------------------------------------------- */

static int
start(struct spool *spool)
{
	pthread_condattr_t attr;
	sigset_t all, before;
	int rc;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	rc = pthread_cond_init(&spool->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (rc == 0) {
		/* Signals are the control thread's. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		rc = pthread_create(&spool->thread, NULL, writer, spool);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	spool->started = rc == 0;
	return -rc;
}

static void
free_list(struct list *list)
{
	struct list *node;

	while ((node = list_take(list)) != NULL) {
		free(list_entry(node, struct taken, node));
	}
}

/* All but the memory itself. */
static void
release(struct spool *spool)
{
	if (spool->db != NULL) {
		schema_close(spool);
	}
	free_list(&spool->taken);
	free_list(&spool->removing);
	free_list(&spool->queue.finished);
	free_list(&spool->queue.given_back);
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
		rc = start(spool);
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
		spool->queue.bytes += weight(put);
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
	struct spool_wait *wait = (struct spool_wait *)(void *)((char *)message -
	                                                        offsetof(struct spool_wait, posted));

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
	move_all(&spool->queue.given_back, &spool->taken);
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
