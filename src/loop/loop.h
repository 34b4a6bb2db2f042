/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event loops: one libuv loop per thread, a mailbox between threads, timers
 * and signals. Only this folder deals with the life cycle of libuv handles;
 * everything above uses loops, timers and streams (stream.h).
 *
 * A loop is made by any thread and then runs on one: on its own thread after
 * loop_start(), or on the caller's in loop_run(). Everything but
 * loop_post() and loop_stop() must be called on that thread once it runs.
 * Callbacks never run inside the call that causes them.
 */
#ifndef GATEWAY_LOOP_LOOP_H
#define GATEWAY_LOOP_LOOP_H

#include <uv.h>

#include "base/batch.h"
#include "base/err.h"
#include "base/list.h"

#define LOOP_READ_SIZE 65536 /* bytes read by one system call at most */

struct loop;

/*
 * name: of the thread, at most 15 characters, copied. The process ignores
 * SIGPIPE from then on: libuv cannot write without.
 */
int loop_new(const char *name, struct loop **out) MUST_CHECK;
/*
 * After the loop ended: closes what is left of its own handles and frees it.
 * 0, or -EBUSY when somebody left a handle open (logged, with its type; memory
 * is then leaked on purpose rather than used after free).
 */
int loop_free(struct loop *loop);
/* Run on a new thread until loop_stop(); then loop_join(). */
int loop_start(struct loop *loop) MUST_CHECK;
void loop_join(struct loop *loop);
/* Run on this thread until loop_stop(). */
int loop_run(struct loop *loop);
/*
 * Any thread: end the loop once no handle but the loop's own has anything to
 * do. Owners of streams and timers close them first (post a message that does).
 * A loop runs once: it is not to be run again.
 */
void loop_stop(struct loop *loop);
/* The thread that runs it is the caller's. For assertions. */
bool loop_here(const struct loop *loop);
/* libuv's loop, for the other files of this folder and for control servers. */
uv_loop_t *loop_uv(struct loop *loop);
/* Milliseconds, cached once per iteration. */
uint64_t loop_now(struct loop *loop);

/* ---- mailbox -------------------------------------------------------------------- */

/* Embed it in what is sent; it must not be sent again before it was run. */
struct loop_message {
	void (*run)(struct loop_message *message);
	struct loop_message *next;
};

/*
 * Any thread: run message->run on the loop's thread, messages of one sender
 * in order. No memory is taken. Messages posted before loop_stop() are run.
 */
void loop_post(struct loop *loop, struct loop_message *message);

/* ---- timers ---------------------------------------------------------------------- */

struct loop_timer {
	uv_timer_t handle; /* embedded: free the owner only in `closed` */
	void (*fired)(void *owner);
	void (*closed)(void *owner);
	void *owner;
};

/*
 * At most `most` (less than 2^32) milliseconds, evenly spread, for waits of
 * many that must not come together. Any thread. Without entropy it is not
 * spread, which is no error.
 */
uint64_t loop_jitter(uint64_t most);

int loop_timer_init(struct loop *loop, struct loop_timer *timer, void (*fired)(void *owner),
                    void *owner) MUST_CHECK;
/* One shot, from now (re)started; ms >= 0. */
void loop_timer_start(struct loop_timer *timer, uint64_t ms);
void loop_timer_stop(struct loop_timer *timer);
/* Started and not yet fired. */
bool loop_timer_active(const struct loop_timer *timer);
/* closed(owner) (may be NULL) runs later on the loop; then memory may go. */
void loop_timer_close(struct loop_timer *timer, void (*closed)(void *owner));

/* ---- sockets of libraries --------------------------------------------------------------- */

/*
 * A file descriptor that a library reads and writes itself, watched level
 * triggered: for reading at first, then for what is wanted. Close it before the
 * descriptor's number can come up again on this loop.
 */
struct loop_poll {
	uv_poll_t handle; /* embedded: free the owner only in `closed` */
	void (*ready)(void *owner, bool readable, bool writable);
	void (*closed)(void *owner);
	void *owner;
	int events; /* asked for last */
};

/* The descriptor becomes non-blocking. When it fails there is nothing to close. */
int loop_poll_open(struct loop *loop, struct loop_poll *poll, int fd,
                   void (*ready)(void *owner, bool readable, bool writable),
                   void *owner) MUST_CHECK;
/* Tell about bytes to read, about room for writing, both, or neither. */
void loop_poll_want(struct loop_poll *poll, bool read, bool write);
/* ready() will not run any more; closed(owner) (may be NULL) runs later. */
void loop_poll_close(struct loop_poll *poll, void (*closed)(void *owner));

/* ---- work put off ------------------------------------------------------------------ */

/*
 * Run on a later turn of the loop, after the sockets that are ready were
 * served: for work that may wait (handshakes) behind work that may not.
 * `budget` is how many items run per turn; the others wait for the next.
 */
struct loop_deferred {
	struct list node; /* list_init() it; queued when not empty */
	void (*run)(void *owner);
	void *owner;
	struct loop *loop; /* set by loop_defer() */
};

void loop_defer_budget(struct loop *loop, unsigned per_turn);
/*
 * Queue at the end; does nothing when it is queued already. When it runs it
 * is off the queue, so it may queue itself again or free its memory.
 */
void loop_defer(struct loop *loop, struct loop_deferred *work);
void loop_defer_cancel(struct loop_deferred *work);
/*
 * The same apart from that queue and its budget: on every turn, before it. For
 * work that bounds itself and may not stand behind a thousand handshakes.
 */
void loop_soon(struct loop *loop, struct loop_deferred *work);

static inline void
loop_soon_cancel(struct loop_deferred *work)
{
	list_remove(&work->node);
}

/* How many wait now. */
size_t loop_deferred_count(const struct loop *loop);

/* ---- signals (control loop only) ----------------------------------------------------- */

struct loop_signal {
	uv_signal_t handle;
	void (*caught)(void *owner, int signum);
	void *owner;
};
int loop_signal_start(struct loop *loop, struct loop_signal *s, int signum,
                      void (*caught)(void *owner, int signum), void *owner) MUST_CHECK;
/* Its memory must stay until the loop was freed. */
void loop_signal_close(struct loop_signal *s);

#endif
