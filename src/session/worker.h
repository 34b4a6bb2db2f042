/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker: one thread with its loop, its listening sockets, its TLS context,
 * its register handle, its scratch memory, and the sessions that live on it.
 * Functions are called from the control thread unless they say otherwise.
 */
#ifndef GATEWAY_SESSION_WORKER_H
#define GATEWAY_SESSION_WORKER_H

#include "conf/conf.h"
#include "loop/loop.h"
#include "session/budget.h"
#include "session/episodes.h"
#include "session/newest.h"
#include "session/presence.h"
#include "session/sightings.h"
#include "session/strangers.h"
#include "spool/spool.h"
#include "tls/tls.h"
#include "upstream/upstream.h"

/* What all workers share; outlives them. */
struct worker_shared {
	struct broker *broker;
	struct budget *budget;
	struct newest *newest;
	struct presence_count *presence; /* NULL: nobody wants to know */
	struct sightings *sightings;
	struct strangers *strangers;
	struct episodes *episodes;
	struct tls_shared *tls;
	struct spool *spool; /* NULL: nothing is stored */
};

struct worker;

/*
 * Everything that can fail fails here: TLS files, register, listening. The
 * ports bound for a configured port 0 are written to port[] (one per
 * listener) by the first worker and read by the others, so that all listen on
 * the same. why: PKI_WHY_SIZE bytes.
 */
int worker_new(unsigned index, const struct worker_shared *shared, struct conf *conf,
               uint16_t *port, struct worker **out, char *why) MUST_CHECK;
int worker_start(struct worker *worker) MUST_CHECK;
/* Stop listening, end every session (5.0: server shutting down), let it run dry. */
void worker_stop(struct worker *worker);
void worker_join(struct worker *worker);
void worker_free(struct worker *worker);
/* Any thread. */
const struct metrics *worker_metrics(const struct worker *worker);

/* What the configuration says of TLS. */
struct tls_settings worker_tls_settings(const struct conf *conf);
/* A TLS context for that worker, for worker_reconfigure(). Any thread. */
int worker_tls_context(struct worker *worker, const struct tls_settings *settings,
                       struct tls_context **out, char *why) MUST_CHECK;

/* ---- asking a worker ------------------------------------------------------------------ */

/*
 * run() is called on the worker's thread, then done() on the loop given. The
 * call must stay valid until done(). A worker that is stopping answers too.
 */
struct worker_call {
	void (*run)(struct worker *worker, struct worker_call *call);
	void (*done)(struct worker_call *call);
	struct loop *back;
	struct worker *worker;
	struct loop_message message; /* used by worker_ask() */
};
void worker_ask(struct worker *worker, struct worker_call *call);

/* The rest of this header is for run(): on the worker's thread. */

/* What `gatewayctl devices` shows of one connection; texts are copies. */
struct session_view {
	char identity[REG_NAME_MAX + 1];
	char client_id[256], device_client_id[128]; /* cut when longer */
	char map[64], group[64], last_denied[129], server_name[64];
	char fingerprint[PKI_FINGERPRINT_SIZE]; /* of the key */
	char address[STREAM_ADDRESS_SIZE];
	uint16_t port, keep_alive;
	const char *state, *tls, *cipher; /* static; cipher "" before the handshake's end */
	int version;                      /* enum mqtt_version, 0 before CONNECT */
	bool resumed, clean_start, grace;
	unsigned worker;
	int64_t since, not_after;
	uint64_t publish_up, publish_down, bytes_up, bytes_down, denied, unmapped;
	size_t subscriptions;
	uint64_t stored; /* publishes of this connection that went to the spool */
};
struct session_list {
	struct session_view *view;
	size_t count, room;
};

/* Append a view of every session (of that identity, when not NULL). */
int worker_view(struct worker *worker, const char *identity, struct session_list *list) MUST_CHECK;
/* How many sessions of that identity there are, without those that are ending. */
unsigned worker_sessions(struct worker *worker, const char *identity);
/* How many connections from that address got through the handshake. */
unsigned worker_sessions_from(struct worker *worker, const char *address);
/*
 * Would the device of that name be let in if it came now with the key that
 * the register knows? A sentence in words (WORKER_STANDING_SIZE bytes).
 */
#define WORKER_STANDING_SIZE 384
bool worker_standing(struct worker *worker, const char *identity, char *words) MUST_CHECK;
/* End the sessions of an identity; returns how many. */
unsigned worker_disconnect(struct worker *worker, const char *identity);
/*
 * Use a new configuration (a reference is taken) and TLS context (taken over,
 * may be NULL: keep the old one). Sessions whose rights changed are ended;
 * returns how many.
 */
unsigned worker_reconfigure(struct worker *worker, struct conf *conf, struct tls_context *tls);
/*
 * The register changed: every session is looked at again, some per turn of
 * the loop, and ended if it is revoked, removed or has other rights now.
 */
void worker_recheck(struct worker *worker);

#endif
