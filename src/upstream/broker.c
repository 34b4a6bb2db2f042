/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all workers share about the broker: whether it is there, and how many
 * dials may be under way. A lock guards it; it is taken a few times per dial
 * and never while anything waits. Permits go round the workers that want one.
 */
#include "upstream/upstream_int.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

struct broker {
	pthread_mutex_t lock;
	struct broker_info info;
	struct list members;
	struct list waiting; /* members without a permit; none while one is free */
	struct broker_member *prober;
	bool doubted; /* by broker_gone(); the first worker that is woken asks */
};

int
broker_new(struct broker **out)
{
	struct broker *b = calloc(1, sizeof *b);

	if (b == NULL) {
		return -ENOMEM;
	}
	pthread_mutex_init(&b->lock, NULL);
	list_init(&b->members);
	list_init(&b->waiting);
	b->info.since = clock_wall();
	*out = b;
	return 0;
}

void
broker_free(struct broker *b)
{
	if (b != NULL) {
		assert(list_empty(&b->members));
		pthread_mutex_destroy(&b->lock);
		free(b);
	}
}

void
broker_read(struct broker *b, struct broker_info *out)
{
	pthread_mutex_lock(&b->lock);
	*out = b->info;
	pthread_mutex_unlock(&b->lock);
}

/* ---- under the lock --------------------------------------------------------------- */

static void
wake(struct broker_member *m)
{
	if (!m->posted) {
		m->posted = true;
		loop_post(m->loop, &m->wake);
	}
}

static void
wake_all(struct broker *b)
{
	struct list *node;
	struct list *after;

	list_each(node, after, &b->members) {
		wake(list_entry(node, struct broker_member, all));
	}
}

/* Free permits go to those who wait, the longest first. */
static void
grant(struct broker *b)
{
	while (!list_empty(&b->waiting)) {
		struct broker_member *m =
		        list_entry(b->waiting.next, struct broker_member, waiting);

		if (b->info.pending >= m->limit) {
			return;
		}
		list_remove(&m->waiting);
		b->info.pending++;
		m->granted++;
		wake(m);
	}
}

static void
give_back(struct broker *b, struct broker_member *m)
{
	list_remove(&m->waiting);
	b->info.pending -= m->granted;
	m->granted = 0;
	grant(b);
}

static void
change(struct broker *b, enum broker_state state)
{
	b->info.state = state;
	b->doubted = false;
	b->info.since = clock_wall();
	b->info.epoch++;
	wake_all(b);
}

/* ---- members ---------------------------------------------------------------------- */

void
broker_join(struct broker *b, struct broker_member *m, struct loop *loop,
            void (*woken)(struct loop_message *message), unsigned limit)
{
	*m = (struct broker_member){ .loop = loop, .wake.run = woken, .limit = limit };
	list_init(&m->waiting);
	pthread_mutex_lock(&b->lock);
	list_append(&b->members, &m->all);
	pthread_mutex_unlock(&b->lock);
}

bool
broker_leave(struct broker *b, struct broker_member *m)
{
	bool posted;

	pthread_mutex_lock(&b->lock);
	list_remove(&m->all);
	give_back(b, m);
	if (b->prober == m) {
		/* Somebody else claims it when woken. */
		b->prober = NULL;
		wake_all(b);
	}
	posted = m->posted;
	pthread_mutex_unlock(&b->lock);
	return !posted;
}

void
broker_limit(struct broker *b, struct broker_member *m, unsigned limit)
{
	pthread_mutex_lock(&b->lock);
	m->limit = limit;
	grant(b);
	pthread_mutex_unlock(&b->lock);
}

enum broker_state
broker_woken(struct broker *b, struct broker_member *m)
{
	enum broker_state state;

	pthread_mutex_lock(&b->lock);
	m->posted = false;
	state = b->info.state;
	pthread_mutex_unlock(&b->lock);
	return state;
}

/* ---- permits ---------------------------------------------------------------------- */

bool
broker_take(struct broker *b, struct broker_member *m)
{
	bool have = true;

	pthread_mutex_lock(&b->lock);
	if (m->granted > 0) {
		m->granted--;
	} else if (list_empty(&b->waiting) && b->info.pending < m->limit) {
		b->info.pending++;
	} else {
		have = false;
		if (list_empty(&m->waiting)) {
			list_append(&b->waiting, &m->waiting);
		}
	}
	pthread_mutex_unlock(&b->lock);
	return have;
}

void
broker_give(struct broker *b)
{
	pthread_mutex_lock(&b->lock);
	b->info.pending--;
	grant(b);
	pthread_mutex_unlock(&b->lock);
}

void
broker_idle(struct broker *b, struct broker_member *m)
{
	pthread_mutex_lock(&b->lock);
	give_back(b, m);
	pthread_mutex_unlock(&b->lock);
}

/* ---- state ------------------------------------------------------------------------ */

enum broker_state
broker_state(struct broker *b, unsigned *epoch)
{
	enum broker_state state;

	pthread_mutex_lock(&b->lock);
	state = b->info.state;
	*epoch = b->info.epoch;
	pthread_mutex_unlock(&b->lock);
	return state;
}

void
broker_count_dial(struct broker *b)
{
	pthread_mutex_lock(&b->lock);
	b->info.dials++;
	pthread_mutex_unlock(&b->lock);
}

void
broker_answered(struct broker *b, const char *where)
{
	enum broker_state before;
	bool frozen;

	pthread_mutex_lock(&b->lock);
	before = b->info.state;
	frozen = b->info.frozen;
	if (before != BROKER_UP && !frozen) {
		change(b, BROKER_UP);
	}
	pthread_mutex_unlock(&b->lock);
	if (frozen) {
		/* The kernel took the connection, not the broker. */
		return;
	}
	if (before == BROKER_AWAY) {
		log_notice(LOG_UPSTREAM, "broker is back", log_str("broker", where));
	} else if (before == BROKER_UNKNOWN) {
		log_notice(LOG_UPSTREAM, "broker is there", log_str("broker", where));
	}
}

/* Errors that are ours or passing: they say nothing about the broker. */
static bool
says_away(int error)
{
	switch (error) {
	case -EAGAIN:
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -ENOBUFS:
	case -EADDRNOTAVAIL:
	case -ECANCELED:
	case -EINTR:
	case -EISCONN:
	case ERR_TIMEOUT:
		return false;
	default:
		return true;
	}
}

static void
log_away(int error, const char *where)
{
	if (error == -EACCES) {
		/* The one cause that does not pass by itself. */
		log_error(LOG_UPSTREAM, "broker's socket is closed to us",
		          log_str("broker", where), log_str("error", err_text(error)),
		          log_str("remedy", "add the user of gatewayd to the group of the socket "
		                            "and of its folder, then restart gatewayd"));
	} else {
		log_notice(LOG_UPSTREAM, "broker is away", log_str("broker", where),
		           log_str("error", err_text(error)));
	}
}

void
broker_failed(struct broker *b, unsigned epoch, int error, const char *where)
{
	bool news = false;

	pthread_mutex_lock(&b->lock);
	b->info.failures++;
	/* An attempt older than the last change has nothing to say about now. */
	if (says_away(error) && epoch == b->info.epoch && !b->info.frozen) {
		news = b->info.state != BROKER_AWAY ||
		       (error == -EACCES && b->info.last_error != error);
		if (b->info.state != BROKER_AWAY) {
			change(b, BROKER_AWAY);
		}
	}
	b->info.last_error = error;
	pthread_mutex_unlock(&b->lock);
	if (news) {
		log_away(error, where);
	}
}

bool
broker_probe_claim(struct broker *b, struct broker_member *m)
{
	bool mine;

	pthread_mutex_lock(&b->lock);
	mine = b->prober == NULL && b->info.state != BROKER_UP && !b->info.frozen;
	if (mine) {
		b->prober = m;
	}
	pthread_mutex_unlock(&b->lock);
	return mine;
}

bool
broker_doubt(struct broker *b, struct broker_member *m)
{
	bool mine;

	pthread_mutex_lock(&b->lock);
	mine = b->prober == NULL && b->info.state == BROKER_UP;
	if (mine) {
		b->prober = m;
	}
	pthread_mutex_unlock(&b->lock);
	return mine;
}

bool
broker_probe_over(struct broker *b, struct broker_member *m)
{
	bool over;

	pthread_mutex_lock(&b->lock);
	over = b->info.state == BROKER_UP || b->info.frozen;
	if (over && b->prober == m) {
		b->prober = NULL;
	}
	pthread_mutex_unlock(&b->lock);
	return over;
}

/* ---- signs of life ---------------------------------------------------------------- */

void
broker_frozen(struct broker *b)
{
	bool news;

	pthread_mutex_lock(&b->lock);
	news = !b->info.frozen;
	if (news) {
		b->info.frozen = true;
		b->info.last_error = -ETIMEDOUT;
		/* Dials under way are of before: whatever they say does not count. */
		change(b, BROKER_AWAY);
	}
	pthread_mutex_unlock(&b->lock);
	if (news) {
		log_warning(LOG_UPSTREAM, "broker is frozen: it takes connections and answers "
		                          "nothing");
	}
}

void
broker_alive(struct broker *b)
{
	bool news;

	pthread_mutex_lock(&b->lock);
	news = b->info.state != BROKER_UP;
	b->info.frozen = false;
	if (news) {
		change(b, BROKER_UP);
	}
	pthread_mutex_unlock(&b->lock);
	if (news) {
		log_notice(LOG_UPSTREAM, "broker answers");
	}
}

void
broker_gone(struct broker *b)
{
	pthread_mutex_lock(&b->lock);
	if (b->info.frozen) {
		b->info.frozen = false;
		/* Somebody claims the probe when woken. */
		change(b, BROKER_AWAY);
	} else if (b->info.state == BROKER_UP) {
		b->doubted = true;
		wake_all(b);
	}
	pthread_mutex_unlock(&b->lock);
}

bool
broker_doubted(struct broker *b)
{
	bool doubted;

	pthread_mutex_lock(&b->lock);
	doubted = b->doubted;
	b->doubted = false;
	pthread_mutex_unlock(&b->lock);
	return doubted;
}
