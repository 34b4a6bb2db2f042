/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session and the spool: what it stores, and waiting until that has gone.
 * The spool answers on this worker's loop, perhaps after the session.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "session/session_int.h"

/* ---- storing -------------------------------------------------------------------------- */

struct store_request {
	struct spool_put put;
	struct session *session; /* NULL: gone meanwhile */
	struct worker *worker;
	struct list node; /* in session->stores */
	uint32_t tag;
	size_t size;
};

static void
store_answered(struct session *s, uint32_t tag, size_t size, int status)
{
	struct relay_out out = session_out(s);
	bool alive = relay_stored(s->relay, tag, size, status, &out);

	session_flush(s);
	if (s->state == SESSION_CLOSING) {
		return;
	}
	if (!alive) {
		session_finish(s, NULL);
		return;
	}
	session_pump(s, span_of(NULL, 0));
}

static void
stored(struct spool_put *put, int status)
{
	struct store_request *q = (void *)((char *)put - offsetof(struct store_request, put));
	struct worker *w = q->worker;
	struct session *s = q->session;

	list_remove(&q->node);
	if (s != NULL) {
		store_answered(s, q->tag, q->size, status);
	} else if (status < 0) {
		/* A will, or the last words of QoS 0: nobody else counts it. */
		metric_add(&w->metrics, METRIC_STORE_REFUSED, 1);
	}
	free(q);
	w->stores--;
	worker_store_gone(w);
}

static int
put(void *owner, const struct relay_message *m)
{
	struct session *s = owner;
	const struct conf_outage *bounds = &s->device->map->outage;
	struct store_request *q = calloc(1, sizeof *q);
	int rc;

	if (q == NULL) {
		return -ENOMEM;
	}
	q->session = s;
	q->worker = s->worker;
	q->tag = m->tag;
	q->size = m->size;
	q->put = (struct spool_put){
		.message = { .identity = span_str(s->identity), .topic = m->topic,
			.payload = m->payload, .properties = m->properties,
			.received = clock_wall() * 1000, .expiry = m->expiry, .qos = m->qos,
			.retain = m->retain },
		.bounds = { .bytes = bounds->store_bytes, .messages = bounds->store_messages,
			.age = bounds->store_age },
		.done = stored,
		.back = s->worker->loop,
	};
	rc = spool_put(s->worker->shared->spool, &q->put);
	if (rc != 0) {
		free(q);
		return rc;
	}
	list_append(&s->stores, &q->node);
	s->worker->stores++;
	return 0;
}

void
session_forget_stores(struct session *s)
{
	struct list *node;

	while ((node = list_take(&s->stores)) != NULL) {
		list_entry(node, struct store_request, node)->session = NULL;
	}
}

struct relay_spool
session_spool(struct session *s)
{
	return (struct relay_spool){ .put = s->worker->shared->spool != NULL ? put : NULL,
		.owner = s };
}

bool
session_has_stored(const struct session *s)
{
	struct spool *spool = s->worker->shared->spool;

	return spool != NULL && spool_holds(spool, span_str(s->identity));
}

/* ---- waiting until it has gone ------------------------------------------------------------ */

static void
wait_done(struct spool_wait *wait)
{
	struct session *s = (void *)((char *)wait - offsetof(struct session, wait));

	s->waiting = false;
	switch (s->state) {
	case SESSION_CLOSING:
		session_handle_closed(s);
		return;
	case SESSION_DIAL:
		if (!s->stale || !session_recheck(s)) {
			session_dial_upstream(s);
		}
		break;
	case SESSION_DRAINING:
		session_drained(s);
		break;
	case SESSION_RESTORING:
		session_restore_next(s);
		break;
	default:
		break; /* held again meanwhile */
	}
	session_handle_closed(s);
}

bool
session_wait_for_store(struct session *s)
{
	if (s->waiting) {
		return true;
	}
	s->wait = (struct spool_wait){ .done = wait_done, .back = s->worker->loop };
	if (spool_wait(s->worker->shared->spool, span_str(s->identity), &s->wait) != 0) {
		return false;
	}
	s->waiting = true;
	s->handles++;
	return true;
}

void
session_wait_cancel(struct session *s)
{
	if (s->waiting && spool_wait_cancel(s->worker->shared->spool, &s->wait)) {
		s->waiting = false;
		s->handles--; /* streams and timer are still there: never the last */
	}
}
