/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The dials of one worker. A dial waits in `queue` for a permit, is in
 * `active` while it holds one, and ends in `over`, from where its owner is
 * told on a turn of its own. One timer serves whatever is next.
 */
#include "upstream/upstream_int.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { PHASE_NONE, PHASE_QUEUED, PHASE_DIALLING, PHASE_FULL, PHASE_OVER };

#define FULL_WAIT 2    /* ms, at least, before a full backlog is tried again */
#define FULL_JITTER 8  /* ms more, at most */
#define WHERE_SIZE 128 /* of "address:port"; a path may be cut */

struct upstream {
	struct loop *loop;
	struct broker *broker;
	struct broker_member member;
	enum broker_state seen; /* the state that the watcher was told */
	void (*changed)(void *owner, enum broker_state state);
	void *watcher;

	struct upstream_settings settings; /* strings are ours */
	char where[WHERE_SIZE];
	struct list queue;
	struct list active;
	struct list over;
	struct loop_timer tick;

	struct loop_timer probe_timer;
	struct upstream_dial probe;
	struct stream probe_stream;
	bool probing;      /* probe_stream is in use */
	bool doubt;        /* the next probe asks a broker that is said to be up */
	unsigned attempts; /* probes that failed in a row */

	unsigned handles; /* what must be gone before the memory may go */
	void (*done)(void *owner);
	void *owner;
	bool closing;
};

static void
arm_at(struct upstream *up, uint64_t when)
{
	uint64_t now = loop_now(up->loop);

	loop_timer_start(&up->tick, when > now ? when - now : 0);
}

static struct upstream_dial *
dial_of(struct list *node)
{
	return list_entry(node, struct upstream_dial, node);
}

/* Set the timer to what is due next. */
static void
arm(struct upstream *up)
{
	uint64_t next = UINT64_MAX;
	struct list *node;
	struct list *after;

	if (up->closing) {
		return;
	}
	if (!list_empty(&up->queue)) {
		next = dial_of(up->queue.next)->deadline;
	}
	/* No longer than the permits. */
	list_each(node, after, &up->active) {
		struct upstream_dial *d = dial_of(node);
		uint64_t due = d->deadline;

		if (d->phase == PHASE_FULL && d->when < due) {
			due = d->when;
		}
		next = due < next ? due : next;
	}
	if (!list_empty(&up->over)) {
		next = 0;
	}
	if (next == UINT64_MAX) {
		loop_timer_stop(&up->tick);
	} else {
		arm_at(up, next);
	}
}

/* ---- one dial --------------------------------------------------------------------- */

/* From any list to `over`; a permit goes back. */
static void
finish(struct upstream_dial *d, int status)
{
	struct upstream *up = d->up;
	bool permit = d->phase == PHASE_DIALLING || d->phase == PHASE_FULL;

	list_remove(&d->node);
	d->phase = PHASE_OVER;
	d->status = status;
	list_append(&up->over, &d->node);
	if (permit) {
		broker_give(up->broker);
	}
}

static void
connected(void *arg, int status)
{
	struct upstream_dial *d = arg;
	struct upstream *up = d->up;

	if (status == 0) {
		broker_answered(up->broker, up->where);
	} else {
		broker_failed(up->broker, d->epoch, status, up->where);
	}
	finish(d, status);
	arm(up);
}

/* With a permit: dial now. */
static void
attempt(struct upstream_dial *d)
{
	struct upstream *up = d->up;
	const struct upstream_settings *to = &up->settings;
	int rc;

	d->phase = PHASE_DIALLING;
	d->when = loop_now(up->loop);
	(void)broker_state(up->broker, &d->epoch);
	if (to->path != NULL) {
		rc = stream_dial_unix(d->stream, to->path, connected, d);
	} else {
		rc = stream_dial_tcp(d->stream, to->address, to->port, connected, d);
	}
	if (rc == -EAGAIN && to->path != NULL) {
		/* The broker is there and busy. The permit is kept: no rush. */
		d->phase = PHASE_FULL;
		d->when += FULL_WAIT + loop_jitter(FULL_JITTER);
	} else if (rc < 0) {
		broker_failed(up->broker, d->epoch, rc, up->where);
		finish(d, rc);
	}
}

static void
pump(struct upstream *up)
{
	while (!list_empty(&up->queue) && broker_take(up->broker, &up->member)) {
		struct list *node = list_take(&up->queue);

		list_append(&up->active, node);
		attempt(dial_of(node));
	}
	if (list_empty(&up->queue)) {
		broker_idle(up->broker, &up->member);
	}
	arm(up);
}

static void
begin(struct upstream *up, struct upstream_dial *d, struct stream *stream,
      void (*done)(void *owner, int status), void *owner, bool probe)
{
	unsigned epoch;

	*d = (struct upstream_dial){ .up = up, .stream = stream, .done = done, .owner = owner,
		.deadline = loop_now(up->loop) + up->settings.connect_timeout,
		.phase = PHASE_QUEUED, .probe = probe };
	broker_count_dial(up->broker);
	list_append(&up->queue, &d->node);
	if (!probe && broker_state(up->broker, &epoch) == BROKER_AWAY) {
		finish(d, ERR_UNAVAILABLE);
	}
	pump(up);
}

void
upstream_dial(struct upstream *up, struct upstream_dial *d, struct stream *stream,
              void (*done)(void *owner, int status), void *owner)
{
	assert(!up->closing);
	begin(up, d, stream, done, owner, false);
}

void
upstream_cancel(struct upstream_dial *d)
{
	struct upstream *up = d->up;
	int phase = d->phase;

	if (phase == PHASE_NONE) {
		return;
	}
	list_remove(&d->node);
	d->phase = PHASE_NONE;
	if (phase == PHASE_DIALLING) {
		stream_dial_forget(d->stream);
	}
	if (phase == PHASE_DIALLING || phase == PHASE_FULL) {
		broker_give(up->broker);
	}
	if (!up->closing) {
		/* The next one may have the permit; an empty queue wants none. */
		pump(up);
	}
}

/* ---- what is due ------------------------------------------------------------------ */

static void
time_out(struct upstream_dial *d)
{
	struct upstream *up = d->up;
	int error = ERR_TIMEOUT;

	if (d->phase == PHASE_DIALLING) {
		stream_dial_forget(d->stream);
		/* Silence counts, if it was not short because of a long queue. */
		if (loop_now(up->loop) - d->when >= up->settings.connect_timeout / 2) {
			error = -ETIMEDOUT;
		}
	}
	broker_failed(up->broker, d->epoch, error, up->where);
	finish(d, ERR_TIMEOUT);
}

static void
expire(struct upstream *up)
{
	uint64_t now = loop_now(up->loop);
	struct list *node;
	struct list *after;

	/* In the queue deadlines are in order. */
	while (!list_empty(&up->queue) && dial_of(up->queue.next)->deadline <= now) {
		finish(dial_of(up->queue.next), ERR_TIMEOUT);
	}
	list_each(node, after, &up->active) {
		struct upstream_dial *d = dial_of(node);

		if (d->deadline <= now) {
			time_out(d);
		} else if (d->phase == PHASE_FULL && d->when <= now) {
			attempt(d);
		}
	}
}

/* Tell the owners, who may do anything, also dial again. */
static void
tell(struct upstream *up)
{
	struct list now;
	struct list *node;

	list_init(&now);
	while ((node = list_take(&up->over)) != NULL) {
		list_append(&now, node);
	}
	while ((node = list_take(&now)) != NULL) {
		struct upstream_dial *d = dial_of(node);

		d->phase = PHASE_NONE;
		d->done(d->owner, d->status);
	}
}

static void
ticked(void *arg)
{
	struct upstream *up = arg;

	expire(up);
	tell(up);
	if (!up->closing) {
		pump(up);
	}
}

/* ---- probing ---------------------------------------------------------------------- */

static void handle_gone(void *arg);

static void
probe_later(struct upstream *up)
{
	unsigned shift = up->attempts < 16 ? up->attempts : 16;
	uint64_t most = (uint64_t)up->settings.retry_min << shift;

	if (most > up->settings.retry_max) {
		most = up->settings.retry_max;
	}
	up->attempts++;
	/* At least a millisecond: never a busy loop, whatever is configured. */
	loop_timer_start(&up->probe_timer, 1 + loop_jitter(most));
}

static void
probe_closed(void *arg)
{
	struct upstream *up = arg;

	up->probing = false;
	if (up->closing) {
		handle_gone(up);
	} else if (!broker_probe_over(up->broker, &up->member)) {
		probe_later(up);
	}
}

static void
probe_received(void *arg, struct span bytes)
{
	(void)arg;
	(void)bytes;
}

static void
probe_ended(void *arg, int error)
{
	(void)arg;
	(void)error;
}

static void
probe_done(void *arg, int status)
{
	struct upstream *up = arg;

	(void)status; /* the broker's state has it already */
	stream_close(&up->probe_stream);
}

static void
probe_now(void *arg)
{
	static const struct stream_calls calls = {
		.received = probe_received,
		.ended = probe_ended,
		.closed = probe_closed,
	};
	struct upstream *up = arg;

	if (up->probing || (!up->doubt && broker_probe_over(up->broker, &up->member))) {
		return;
	}
	up->doubt = false;
	up->probing = true;
	stream_init(&up->probe_stream, up->loop, &calls, up, UINT32_MAX, 0);
	begin(up, &up->probe, &up->probe_stream, probe_done, up, true);
}

/* The broker is not up and nobody asks: do it. */
static void
probe_claim(struct upstream *up)
{
	if (broker_probe_claim(up->broker, &up->member)) {
		up->attempts = 0;
		probe_later(up);
	}
}

void
upstream_lost(struct upstream *up)
{
	/* A little later: a broker that stops closes its listener about now. */
	if (!up->closing && broker_doubt(up->broker, &up->member)) {
		up->doubt = true;
		up->attempts = 0;
		probe_later(up);
	}
}

/* ---- news from the broker --------------------------------------------------------- */

static void
refuse_queued(struct upstream *up)
{
	struct list *node;
	struct list *after;

	list_each(node, after, &up->queue) {
		if (!dial_of(node)->probe) {
			finish(dial_of(node), ERR_UNAVAILABLE);
		}
	}
}

static void
woken(struct loop_message *message)
{
	struct broker_member *member = list_entry(message, struct broker_member, wake);
	struct upstream *up = list_entry(member, struct upstream, member);
	enum broker_state state = broker_woken(up->broker, member);

	if (up->closing) {
		handle_gone(up);
		return;
	}
	if (state == BROKER_AWAY) {
		refuse_queued(up);
	}
	if (state == BROKER_UP) {
		if (!up->probing && !up->doubt) {
			loop_timer_stop(&up->probe_timer);
			(void)broker_probe_over(up->broker, member);
		}
		if (broker_doubted(up->broker)) {
			upstream_lost(up);
		}
	} else {
		probe_claim(up);
	}
	pump(up);
	if (state != up->seen) {
		up->seen = state;
		if (up->changed != NULL) {
			up->changed(up->watcher, state);
		}
	}
}

void
upstream_watch(struct upstream *up, void (*changed)(void *owner, enum broker_state state),
               void *owner)
{
	up->changed = changed;
	up->watcher = owner;
}

/* ---- life ------------------------------------------------------------------------- */

static void
settings_free(struct upstream_settings *s)
{
	free((char *)(uintptr_t)s->path);
	free((char *)(uintptr_t)s->address);
}

static int
settings_copy(struct upstream_settings *to, const struct upstream_settings *from)
{
	struct upstream_settings copy = *from;

	if (from->path == NULL && from->address == NULL) {
		return -EINVAL;
	}
	copy.path = from->path != NULL ? strdup(from->path) : NULL;
	copy.address = from->address != NULL ? strdup(from->address) : NULL;
	if ((from->path != NULL && copy.path == NULL) ||
	    (from->address != NULL && copy.address == NULL)) {
		settings_free(&copy);
		return -ENOMEM;
	}
	if (copy.pending == 0) {
		copy.pending = 1;
	}
	*to = copy;
	return 0;
}

static void
use(struct upstream *up, const struct upstream_settings *settings)
{
	up->settings = *settings;
	if (settings->path != NULL) {
		snprintf(up->where, sizeof up->where, "%s", settings->path);
	} else {
		snprintf(up->where, sizeof up->where, "%s:%u", settings->address,
		         (unsigned)settings->port);
	}
}

int
upstream_new(struct loop *loop, struct broker *broker, const struct upstream_settings *settings,
             struct upstream **out)
{
	struct upstream *up = calloc(1, sizeof *up);
	struct upstream_settings copy;
	int rc;

	if (up == NULL) {
		return -ENOMEM;
	}
	rc = settings_copy(&copy, settings);
	if (rc < 0) {
		free(up);
		return rc;
	}
	use(up, &copy);
	up->loop = loop;
	up->broker = broker;
	list_init(&up->queue);
	list_init(&up->active);
	list_init(&up->over);
	/* libuv has no way to fail here; if it had, nothing would be linked yet. */
	if (loop_timer_init(loop, &up->tick, ticked, up) < 0 ||
	    loop_timer_init(loop, &up->probe_timer, probe_now, up) < 0) {
		settings_free(&up->settings);
		free(up);
		return -ENOMEM;
	}
	up->handles = 2;
	broker_join(broker, &up->member, loop, woken, up->settings.pending);
	/* Ask once at the start, so that the state is soon known. */
	if (broker_probe_claim(broker, &up->member)) {
		loop_timer_start(&up->probe_timer, 0);
	}
	*out = up;
	return 0;
}

int
upstream_configure(struct upstream *up, const struct upstream_settings *settings)
{
	struct upstream_settings copy;
	struct list *node;
	struct list *after;
	uint64_t latest;
	int rc = settings_copy(&copy, settings);

	if (rc < 0) {
		return rc;
	}
	settings_free(&up->settings);
	use(up, &copy);
	broker_limit(up->broker, &up->member, copy.pending);
	/* Keep the queue's deadlines in order when the limit became shorter. */
	latest = loop_now(up->loop) + copy.connect_timeout;
	list_each(node, after, &up->queue) {
		if (dial_of(node)->deadline > latest) {
			dial_of(node)->deadline = latest;
		}
	}
	/* It may be at a new place: do not wait out the old backoff. */
	if (loop_timer_active(&up->probe_timer)) {
		up->attempts = 0;
		probe_later(up);
	}
	pump(up);
	return 0;
}

static void
handle_gone(void *arg)
{
	struct upstream *up = arg;
	void (*done)(void *) = up->done;
	void *owner = up->owner;

	if (--up->handles > 0) {
		return;
	}
	settings_free(&up->settings);
	free(up);
	if (done != NULL) {
		done(owner);
	}
}

void
upstream_close(struct upstream *up, void (*done)(void *owner), void *owner)
{
	assert(loop_here(up->loop) && !up->closing);
	up->closing = true;
	up->done = done;
	up->owner = owner;
	upstream_cancel(&up->probe);
	assert(list_empty(&up->queue) && list_empty(&up->active) && list_empty(&up->over));
	if (up->probing) {
		up->handles++;
		stream_close(&up->probe_stream);
	}
	if (!broker_leave(up->broker, &up->member)) {
		up->handles++;
	}
	loop_timer_close(&up->tick, handle_gone);
	loop_timer_close(&up->probe_timer, handle_gone);
}
