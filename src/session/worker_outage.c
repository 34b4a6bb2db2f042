/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sessions of a worker that have no broker: they wait until it is back,
 * then for what they stored, then for one of a few places, so that neither the
 * broker's backlog nor this loop is overrun. Some per turn, always.
 */
#include "base/log.h"
#include "session/session.h"

#define SESSIONS_PER_TURN 64
#define RESTORES_MAX 8 /* what mosquitto's backlog takes on a unix socket */

/*
 * Now in front and now behind, so that they come back in another order than
 * they went: no device is always the last.
 */
void
worker_outage_wait(struct worker *w, struct list *node)
{
	w->dice = w->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	list_append(w->dice >> 63 ? &w->held : w->held.next, node);
}

void
worker_outage_run(struct worker *w)
{
	if (!w->stopping) {
		loop_defer(w->loop, &w->outage);
	}
}

/* The broker accepts connections and says nothing: those that are open are lost. */
static bool
tell_frozen(struct worker *w)
{
	for (unsigned i = 0; i < SESSIONS_PER_TURN && w->frozen_at != NULL; i++) {
		struct session *s;

		if (w->frozen_at == &w->sessions) {
			w->frozen_at = NULL;
			return false;
		}
		s = session_of(w->frozen_at);
		w->frozen_at = w->frozen_at->next;
		session_broker_frozen(s);
	}
	return w->frozen_at != NULL;
}

static void
tell_restored(struct worker *w)
{
	if (w->restored > 0 && w->restores == 0 && list_empty(&w->held) && list_empty(&w->draining) &&
	    list_empty(&w->ready)) {
		log_notice(LOG_SESSION, "held devices have the broker again",
		           log_int("count", w->restored), log_int("worker", w->index));
		w->restored = 0;
	}
}

/* Gone before it was their turn. */
static bool
tell_away(struct worker *w)
{
	struct list *const lists[] = { &w->draining, &w->ready };

	for (unsigned i = 0, n = 0; i < 2 && !w->broker_up; i++) {
		while (!list_empty(lists[i]) && n++ < SESSIONS_PER_TURN) {
			session_away_again(session_of_outage(lists[i]->next));
		}
	}
	return !w->broker_up && (!list_empty(lists[0]) || !list_empty(lists[1]));
}

static void
run(void *owner)
{
	struct worker *w = owner;
	bool more = tell_frozen(w);

	more = tell_away(w) || more;
	for (unsigned i = 0; i < SESSIONS_PER_TURN && w->broker_up && !list_empty(&w->held); i++) {
		session_begin_drain(session_of_outage(w->held.next));
	}
	while (w->broker_up && w->restores < RESTORES_MAX && !list_empty(&w->ready)) {
		session_begin_restore(session_of_outage(w->ready.next));
	}
	tell_restored(w);
	if (more || (w->broker_up && !list_empty(&w->held))) {
		worker_outage_run(w);
	}
}

static void
changed(void *owner, enum broker_state state)
{
	struct worker *w = owner;
	struct broker_info info;

	w->broker_up = state == BROKER_UP;
	broker_read(w->shared->broker, &info);
	if (info.state == BROKER_AWAY && info.frozen) {
		w->frozen_at = w->sessions.next;
	}
	worker_outage_run(w);
}

void
worker_outage_init(struct worker *w)
{
	list_init(&w->held);
	list_init(&w->draining);
	list_init(&w->ready);
	w->dice = (uintptr_t)w;
	w->outage = (struct loop_deferred){ .run = run, .owner = w };
	list_init(&w->outage.node);
}

void
worker_outage_start(struct worker *w)
{
	struct broker_info info;

	upstream_watch(w->upstream, changed, w);
	/* What became known before this worker watched. */
	broker_read(w->shared->broker, &info);
	w->broker_up = info.state == BROKER_UP;
}
