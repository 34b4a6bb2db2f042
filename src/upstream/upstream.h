/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections to the local broker: dialled at a pace its backlog can take
 * (mosquitto: 10 pending on a unix socket, 100 on TCP), with one shared
 * opinion on whether the broker is there. While it is away dials are refused
 * at once and one probe at a time asks again, with backoff and jitter.
 *
 * One `struct broker` for the process; one `struct upstream` per worker.
 */
#ifndef GATEWAY_UPSTREAM_UPSTREAM_H
#define GATEWAY_UPSTREAM_UPSTREAM_H

#include "loop/stream.h"

/* ---- the broker as the whole process sees it: any thread ---------------------------- */

struct broker;

enum broker_state { BROKER_UNKNOWN, BROKER_UP, BROKER_AWAY };

struct broker_info {
	enum broker_state state;
	unsigned epoch;   /* counts the changes of state */
	int64_t since;    /* wall clock of the last change */
	bool frozen;      /* away because of broker_frozen() */
	int last_error;   /* of the last failed dial, negative errno */
	unsigned pending; /* dials under way */
	uint64_t dials, failures;
};

int broker_new(struct broker **out) MUST_CHECK; /* 0 or -ENOMEM */
void broker_free(struct broker *broker);
void broker_read(struct broker *broker, struct broker_info *out);

/*
 * Somebody who asks the broker for signs of life (the uplink) found it silent
 * for longer than it may be: it is away for everybody although it accepts
 * connections, and only an answer (broker_alive()) ends that, no dial.
 */
void broker_frozen(struct broker *broker);
void broker_alive(struct broker *broker);
/*
 * The broker has ended the connection of who asks it, or takes none: if it was
 * frozen it is merely away now, and dials decide again; if it was up some
 * worker asks it, as after upstream_lost().
 */
void broker_gone(struct broker *broker);

/* Where and how to dial; copied by upstream_configure(). */
struct upstream_settings {
	const char *path;    /* unix socket, or NULL */
	const char *address; /* literal IP when path is NULL */
	uint16_t port;
	unsigned connect_timeout;      /* ms */
	unsigned retry_min, retry_max; /* ms */
	unsigned pending;              /* in all workers together */
};

/* ---- per worker ------------------------------------------------------------------------ */

struct upstream;

int upstream_new(struct loop *loop, struct broker *broker,
                 const struct upstream_settings *settings, struct upstream **out) MUST_CHECK;
/* Later dials use the new settings; those under way are left alone. */
int upstream_configure(struct upstream *up, const struct upstream_settings *settings) MUST_CHECK;
/*
 * changed(owner, state) runs on this worker after the state changed; quick
 * changes may come as one. One watcher; NULL ends it.
 */
void upstream_watch(struct upstream *up, void (*changed)(void *owner, enum broker_state state),
                    void *owner);
/* Every dial must be over or cancelled. done(owner) runs when it is gone. */
void upstream_close(struct upstream *up, void (*done)(void *owner), void *owner);

/* Zero-initialise it; then all fields are the upstream's. */
struct upstream_dial {
	struct list node;
	struct upstream *up;
	struct stream *stream;
	void (*done)(void *owner, int status);
	void *owner;
	uint64_t deadline;
	uint64_t when;  /* dialling: begun; full backlog: to be tried again */
	unsigned epoch; /* of the broker's state, when this attempt began */
	int phase;
	int status;
	bool probe;
};

/*
 * Dial into `stream` (made by stream_init() on this worker's loop). done()
 * runs later, exactly once unless cancelled: 0 and the stream is open with
 * reading off; ERR_UNAVAILABLE (the broker is away), ERR_TIMEOUT, or a
 * negative errno. A full backlog (-EAGAIN) is waited out until the deadline.
 * After a failure the stream must still be closed by the owner.
 */
void upstream_dial(struct upstream *up, struct upstream_dial *dial, struct stream *stream,
                   void (*done)(void *owner, int status), void *owner);
/*
 * The broker closed a connection that was open: perhaps it is gone. Asks it,
 * so that the state is right before the next device comes. Cheap to call for
 * each of many connections that go together.
 */
void upstream_lost(struct upstream *up);
/* done() will not run any more. The stream is the caller's to close. Any phase. */
void upstream_cancel(struct upstream_dial *dial);

#endif
