/* SPDX-License-Identifier: BSD-2-Clause */
/* The writer's thread, and the queue of what is asked of it. */
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "spool/spool_int.h"

#define BATCH_PUTS 4096
#define BATCH_BYTES (4u << 20)
#define TICK_MS 1000 /* for what expires, and what failed */

/* ---- the queue ---------------------------------------------------------------------- */

void
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

void
queue_move(struct list *to, struct list *from)
{
	struct list *node;

	while ((node = list_take(from)) != NULL) {
		list_append(to, node);
	}
}

size_t
queue_weight(const struct spool_put *put)
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
		bytes += queue_weight(*at);
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

/* Expiry is to be exact to the second; the clock seam has no more. */
static int64_t
wall_ms(void)
{
	return clock_wall() * 1000;
}

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
	queue_move(&spool->removing, &queue->finished);
	queue_move(&work->given_back, &queue->given_back);
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
	struct spool *spool = container_of(message, struct spool, ready_message);
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

int
writer_start(struct spool *spool)
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
	return -rc;
}
