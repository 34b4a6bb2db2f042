/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The spool: PUBLISH packets that the gateway has taken charge of and that the
 * broker has not acknowledged yet. SQLite in WAL mode with full
 * synchronisation, one thread of its own that writes for all, many requests
 * in one transaction (group commit). Only this folder and register/ know
 * SQLite.
 *
 * Order: each message gets a sequence number when it is put, rising over the
 * life of the file; per device the order of spool_put() calls is the order of
 * the numbers. What was answered 0 survives kill -9 and power loss.
 *
 * Every request is answered exactly once, later, on the loop that it names; a
 * request and all that it points to belong to the spool until then.
 */
#ifndef GATEWAY_SPOOL_SPOOL_H
#define GATEWAY_SPOOL_SPOOL_H

#include "base/err.h"
#include "base/list.h"
#include "base/span.h"
#include "loop/loop.h"

struct spool;

/* One PUBLISH as it is to reach the broker. */
struct spool_message {
	uint64_t sequence;      /* given by the spool */
	struct span identity;   /* whose it is; the key of order and of bounds */
	struct span topic;      /* of the broker, mapped and checked */
	struct span payload;
	/*
	 * The MQTT 5 properties of the PUBLISH as on the wire (3.3.2.3, mapped),
	 * without their length, and without Topic Alias and Message Expiry
	 * Interval. Empty for 3.1 and 3.1.1.
	 */
	struct span properties;
	int64_t received;       /* wall clock, milliseconds */
	uint32_t expiry;        /* seconds from `received`, Message Expiry Interval; UINT32_MAX: none */
	uint8_t qos;            /* 0 or 1, of the device's PUBLISH */
	bool retain;
};

/* What one device may keep here: of its map. 0: no bound of that kind. */
struct spool_bounds {
	uint64_t bytes;    /* topic + payload + properties + SPOOL_OVERHEAD each */
	uint32_t messages;
	uint32_t age;      /* seconds; older ones are dropped, and counted */
};
#define SPOOL_OVERHEAD 64

struct spool_settings {
	const char *file;   /* STATE/spool.db; made with mode 0600 */
	uint64_t bytes;     /* bound of all devices together */
};

/*
 * Open, migrate, read the index (identity: count, bytes, oldest), start the
 * thread. why (size bytes) gets a sentence naming file and remedy: not
 * writable, another program's, newer schema; ERR_MALFORMED: damaged, or no
 * database at all. The file stays as it is.
 */
int spool_open(const struct spool_settings *settings, struct spool **out, char *why,
               size_t size) MUST_CHECK;
/*
 * Rename a damaged file, with what belongs to it, to FILE.damaged-TIME, which
 * `to` gets: nothing of it is removed, since it may hold what was acknowledged.
 */
int spool_set_aside(const char *file, char *to, size_t size) MUST_CHECK;
/*
 * Answers all that was asked, then closes. Call from the control thread. Only
 * waits are not answered, since their messages are still here: cancel them
 * before. The loops that answers go to must still run.
 */
void spool_close(struct spool *spool);
/* Reload: the bound of the whole. Any thread. */
void spool_configure(struct spool *spool, uint64_t bytes);

/* ---- keeping: any thread -------------------------------------------------------------- */

struct spool_put {
	struct spool_message message; /* copied by spool_put(): spans may go at once */
	struct spool_bounds bounds;
	/*
	 * 0: durable. ERR_FULL: a bound; a QoS 0 message is only refused when no
	 * older QoS 0 of that device can make room (they are dropped oldest
	 * first, counted). -ENOSPC, -EIO: the disk; -ENOMEM; nothing was kept.
	 */
	void (*done)(struct spool_put *put, int status);
	struct loop *back;
	/* the spool's */
	struct loop_message posted;
	struct spool_put *next;
	int status;
	void *copy;
};
/*
 * -ENOMEM: done() will not run. Also when SPOOL_QUEUE_BYTES wait already to be
 * written, which a slow disk and devices that do not wait for their
 * acknowledgements (QoS 0) could bring about.
 */
#define SPOOL_QUEUE_BYTES (64 << 20)
int spool_put(struct spool *spool, struct spool_put *put) MUST_CHECK;

/* ---- waiting for a device's messages to have gone: any thread --------------------------- */

/*
 * done() runs on `back` when nothing of that device with a sequence number up
 * to the last one put before this call is left (acknowledged by the broker,
 * expired, purged): at once (still later, never inside) when there is none.
 */
struct spool_wait {
	char *identity; /* the spool's copy */
	void (*done)(struct spool_wait *wait);
	struct loop *back;
	struct list node; /* the spool's from here on */
	uint64_t until;
	struct loop_message posted;
	int phase;
};
/* 0, or -ENOMEM: done() will not run. */
int spool_wait(struct spool *spool, struct span identity, struct spool_wait *wait) MUST_CHECK;
/*
 * From the thread of `back` only. True: done() will not run any more. False:
 * it is on its way already (and still runs).
 */
bool spool_wait_cancel(struct spool *spool, struct spool_wait *wait);
/* Does the device have anything here? A look at the index, cheap. Any thread. */
bool spool_holds(struct spool *spool, struct span identity);

/* ---- draining: the control thread ------------------------------------------------------- */

/*
 * Take the next messages to send: at most `room`, round robin over the
 * devices so that one that stored much does not delay the others, in order
 * for each device, and none that was taken and not given back. Expired ones
 * are skipped and removed. done() on the control loop with an array that
 * lives until it returns; count 0: nothing to take now.
 */
struct spool_take {
	unsigned room;
	void (*done)(struct spool_take *take, const struct spool_message *message, size_t count,
	             int status);
	struct loop *back;
	struct loop_message posted; /* the spool's from here on */
	struct spool_take *next;
	struct spool_message *message;
	size_t count;
	int status;
	void *memory;
	struct spool *spool;
	uint64_t epoch;
};
/*
 * One take returns at most SPOOL_TAKE_BYTES, unless a single message is
 * larger; so fewer than `room` does not mean that there are no more. A take
 * that spool_untake() overtook is answered with count 0, also when its answer
 * is on its way already: what it held is offered again.
 */
#define SPOOL_TAKE_BYTES (1 << 20)
void spool_take(struct spool *spool, struct spool_take *take);
/* The broker has it: remove (group commit; the caller needs no answer). */
void spool_done(struct spool *spool, uint64_t sequence);
/*
 * The broker refused it for good (PUBACK 0x87, 0x90, 0x99 ...): removed, and
 * counted with the reason code.
 */
void spool_refused(struct spool *spool, uint64_t sequence, uint8_t reason);
/* Connection lost: everything taken and not done is offered again, in order. */
void spool_untake(struct spool *spool);
/*
 * ready(owner) runs on the control loop when there is something to take after
 * a take came back empty, or after a put. Coalesced. One watcher.
 */
void spool_watch(struct spool *spool, struct loop *back, void (*ready)(void *owner), void *owner);

/* How many the broker refused for that reason code, since start. Any thread. */
uint64_t spool_refused_by(struct spool *spool, uint8_t reason);

/* ---- facts -------------------------------------------------------------------------------- */

struct spool_totals {
	uint64_t messages, bytes, limit_bytes;
	int64_t oldest;              /* wall clock, ms; 0: empty */
	uint64_t devices;
	uint64_t stored, delivered;  /* since start */
	uint64_t expired, dropped, refused_full, refused_broker, purged;
	int last_error;              /* of the disk, negative errno; 0: none since the last success */
};
void spool_totals(struct spool *spool, struct spool_totals *out); /* any thread */

struct spool_device {
	const char *identity;
	uint64_t messages, bytes, dropped;
	int64_t oldest; /* ms */
};
/* From the index, under its lock: each() must be quick. Any thread. */
void spool_each(struct spool *spool, void (*each)(void *owner, const struct spool_device *device),
                void *owner);
/*
 * Remove what was kept of that device (NULL: of all) before this call. Not
 * what is in flight to the broker. done() on `back` with how many, or with
 * the negative code of the disk.
 */
struct spool_purge {
	char *identity; /* copied; NULL all */
	void (*done)(struct spool_purge *purge, int64_t count);
	struct loop *back;
	struct loop_message posted; /* the spool's from here on */
	struct spool_purge *next;
	uint64_t until;
	int64_t count;
};
/* 0, or -ENOMEM: done() will not run. Any thread. */
int spool_purge(struct spool *spool, const char *identity, struct spool_purge *purge) MUST_CHECK;

#endif
