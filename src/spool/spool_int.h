/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of this folder share.
 *
 * One thread, the writer, has the database. What is asked of it is queued
 * under `lock`, which is held for a few instructions and never over the disk.
 * The writer takes all that waits at once: what changes the file becomes one
 * transaction, so that one sync pays for all of it.
 *
 * Of each device that has something here there is a struct device. The
 * writer counts in `now`; after a commit it is copied to `shown`, which
 * others read under the lock. When a transaction fails, `before` comes back.
 */
#ifndef GATEWAY_SPOOL_SPOOL_INT_H
#define GATEWAY_SPOOL_SPOOL_INT_H

#include <pthread.h>
#include <sqlite3.h>

#include "spool/spool.h"

#define SPOOL_APPLICATION_ID 0x6d6b7370 /* "mksp" */
#define SPOOL_NEVER INT64_MAX           /* a message that does not expire */

struct tally {
	uint64_t messages, bytes;
	uint64_t taken;                     /* of them: sent, or its removal waits */
	uint64_t light_messages, light_bytes; /* QoS 0 and not taken: may be dropped */
	uint64_t dropped;
	uint64_t first; /* sequence of the oldest; 0: empty */
	int64_t oldest; /* when that was received, ms */
	int64_t soonest; /* no message that is not taken expires before, ms */
	int64_t id;      /* in table device; 0: has no row */
};

struct device {
	struct device *chain; /* of the hash table */
	struct list all;
	uint64_t hash;

	/* under the lock */
	uint64_t asked, settled; /* sequence of the last put: asked for, decided */
	struct tally shown;
	struct list waits; /* struct spool_wait */

	/* the writer's */
	struct tally now, before;
	struct device *touched_next;
	bool touched;
	struct list active; /* in spool->active while something can be taken */
	uint64_t cursor;    /* up to here taken */

	size_t length;
	char identity[]; /* NUL-terminated */
};

/* What spool_put() keeps behind put->copy. */
struct copy {
	struct device *device;
	uint8_t bytes[];
};

enum removal { REMOVE_DELIVERED, REMOVE_REFUSED, REMOVE_EXPIRED };

/* A message that the uplink has. */
struct taken {
	struct list node; /* of spool->taken, then of spool->removing */
	struct device *device;
	uint64_t sequence, size;
	bool light; /* QoS 0 */
	enum removal why;
};

struct counts {
	uint64_t stored, delivered, expired, dropped, refused_full, refused_broker, purged;
};

#define STATEMENTS(X)                                                                              \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                \
	X(COMMIT, "COMMIT")                                                                        \
	X(INSERT, "INSERT INTO message (sequence, device, until, qos, size, received, expiry,"     \
	          " retain, topic, properties, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)") \
	X(DELETE, "DELETE FROM message WHERE sequence = ?")                                        \
	X(DEVICE, "INSERT INTO device (identity) VALUES (?1) ON CONFLICT DO UPDATE"                \
	          " SET identity = ?1 RETURNING id")                                               \
	X(FIRST, "SELECT sequence, received FROM message WHERE device = ? ORDER BY sequence LIMIT 1") \
	X(NEXT, "SELECT sequence, until, qos, size, received, expiry, retain, topic, properties,"  \
	        " payload FROM message WHERE device = ? AND sequence > ?"                          \
	        " ORDER BY sequence LIMIT 1")                                                      \
	X(LIGHT, "SELECT sequence, size FROM message WHERE device = ? AND qos = 0"                 \
	         " AND sequence > ? ORDER BY sequence LIMIT 1")                                    \
	X(EXPIRED, "SELECT sequence, size, qos FROM message WHERE device = ? AND sequence > ?"     \
	           " AND until <= ? LIMIT ?")                                                      \
	X(SOONEST, "SELECT min(until) FROM message WHERE device = ? AND sequence > ?")             \
	X(PURGE, "SELECT sequence, size, qos FROM message WHERE device = ? AND sequence > ?"       \
	         " AND sequence <= ? LIMIT ?")                                                     \
	X(PAGES, "PRAGMA page_count")                                                              \
	X(FREE, "PRAGMA freelist_count")

enum statement {
#define X(name, text) SQL_##name,
	STATEMENTS(X)
#undef X
	SQL_COUNT
};

struct queue {
	struct spool_put *put, **put_end;
	size_t bytes; /* of the puts */
	struct spool_take *take, **take_end;
	struct spool_purge *purge, **purge_end;
	struct list finished;   /* struct taken that the broker answered */
	struct list given_back; /* struct taken, by spool_untake() */
	bool watch;             /* there is a new watcher */
};

struct spool {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;

	/* under the lock */
	struct queue queue;
	struct list taken; /* in order */
	uint64_t sequence; /* the last one given */
	uint64_t epoch;    /* how many untakes there were */
	uint64_t limit;
	struct device **bucket;
	size_t buckets, devices;
	struct list all;
	struct counts counts;
	uint64_t shown_messages, shown_bytes;
	uint64_t refused[256];
	int last_error;
	struct loop *watch_loop;
	void (*ready)(void *owner);
	void *ready_owner;
	bool ready_posted;
	struct loop_message ready_message;
	bool stop, closed;
	unsigned posted; /* messages on their way that lead here: the memory must stay */

	/* the writer's */
	sqlite3 *db;
	sqlite3_stmt *statement[SQL_COUNT];
	int error;        /* of the transaction that is open */
	struct counts delta;
	uint64_t bytes, messages;
	uint64_t bytes_before, messages_before;
	struct device *touched;
	struct list active;
	struct list removing; /* struct taken: to be removed, or once more after a failure */
	struct spool_purge *purge, **purge_end;
	int64_t pages_reserved;
	int frames;   /* in the WAL */
	bool durable; /* what SQLite was told last */
	bool failing; /* the last transaction failed: said once */
	bool sweep_again;
	bool vacuum_later; /* there may be pages to give back, when it is quiet */
	bool vacuum_now;
	bool take_failed; /* the watcher is told again at the next tick */
};

/* ---- spool.c ---- */
/* A message that led here has run. */
void spool_let_go(struct spool *spool);

/* ---- spool_writer.c ---- */
void queue_init(struct queue *queue);
void queue_move(struct list *to, struct list *from); /* all of it, in order */
size_t queue_weight(const struct spool_put *put);    /* bytes of memory while it waits */
int writer_start(struct spool *spool) MUST_CHECK;

/* ---- spool_index.c ---- */
struct device *index_find(struct spool *spool, struct span identity); /* under the lock */
struct device *index_make(struct spool *spool, struct span identity); /* or NULL: no memory */
/* The tallies of what was touched become visible; answers waits; frees what is empty. */
void index_settle(struct spool *spool);
/* The tallies of what was touched go back. */
void index_revert(struct spool *spool);
void index_touch(struct spool *spool, struct device *device);
void index_activate(struct spool *spool, struct device *device);
void index_free(struct spool *spool);

/* ---- spool_schema.c ---- */
int schema_open(struct spool *spool, const char *file, char *why, size_t size);
int schema_load(struct spool *spool, const char *file, char *why, size_t size);
void schema_close(struct spool *spool);

/* ---- spool_disk.c ---- */
/* Prepared when first used; NULL sets spool->error. */
sqlite3_stmt *disk_statement(struct spool *spool, enum statement which);
/* Step: SQLITE_ROW or SQLITE_DONE; else spool->error is set and the statement reset. */
int disk_step(struct spool *spool, sqlite3_stmt *statement);
void disk_reset(sqlite3_stmt *statement);
/* durable: the commit is on the disk before it returns. */
bool disk_begin(struct spool *spool, bool durable);
/* 0 or the error of the transaction, which is rolled back then. */
int disk_end(struct spool *spool);
/* Room in the file for what the open transaction has added, so that it can be moved there. */
void disk_reserve(struct spool *spool);
/* After a failure: the WAL begins anew, in blocks that it has already. */
void disk_make_room(struct spool *spool);
/* busy: something was asked; quiet: a whole tick long nothing was. */
void disk_maintain(struct spool *spool, bool busy, bool quiet);
void disk_note(struct spool *spool, int error);

/* ---- spool_write.c ---- */
/* One transaction of all that waits; answers the puts. */
void write_batch(struct spool *spool, struct spool_put *put, uint64_t limit, int64_t now);

/* ---- spool_store.c: within a transaction; a failure is in spool->error ---- */
/* Sets put->status: 0, or ERR_FULL when its bounds or limit (bytes of all) are met. */
void store_message(struct spool *spool, struct spool_put *put, uint64_t limit);

/* ---- spool_remove.c: within a transaction; a failure is in spool->error ---- */
/* What was taken and is done with: it stays in spool->removing until that is committed. */
void remove_finished(struct spool *spool);
/* The oldest QoS 0 of that device that is not on its way. False: there is none. */
bool remove_light(struct spool *spool, struct device *device);
/* Looks at the disk only where the memory says that something has expired, as remove_due(). */
void remove_expired(struct spool *spool, int64_t now);
bool remove_due(const struct spool *spool, int64_t now);
/* A part of the first purge that waits; true when it is through. */
bool remove_purged(struct spool *spool, int64_t *removed);
/* After the commit, or the failure: answers that purge when it is over. */
void remove_purge_settle(struct spool *spool, int error, int64_t removed, bool through);

/* ---- spool_take.c ---- */
void take_answer(struct spool *spool, struct spool_take *take, int64_t now);
void take_back(struct spool *spool, struct list *taken);
void take_free(struct list *taken);

#endif
