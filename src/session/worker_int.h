/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of a worker, for session/ and its tests only. */
#ifndef GATEWAY_SESSION_WORKER_INT_H
#define GATEWAY_SESSION_WORKER_INT_H

#include "base/metric.h"
#include "loop/stream.h"
#include "relay/relay.h"
#include "session/worker.h"

/* One wake-up decrypts at most this much before it is relayed. */
#define WORKER_PLAIN_SIZE 65536

struct worker {
	unsigned index;
	const struct worker_shared *shared;
	struct conf *conf;
	struct loop *loop;
	struct tls_context *tls;
	struct upstream *upstream;
	struct reg *reg;
	struct relay_store store; /* on reg */
	struct metrics metrics;
	struct listener **listener;
	size_t listener_count;
	struct list sessions;
	size_t session_count;
	/* Scratch of the wake-up under way; empty between wake-ups. */
	struct batch to_device, to_broker;
	struct buf cipher;
	uint8_t plain[WORKER_PLAIN_SIZE];
	/* Recheck after a register change: where the walk stands. */
	struct loop_deferred recheck;
	struct list *recheck_at;
	/* Sessions without a broker; see worker_outage.c. */
	struct list held;  /* until the broker is back */
	struct list draining; /* for what they stored */
	struct list ready; /* for one of the places */
	struct loop_deferred outage;
	struct list *frozen_at; /* the next session to be told that the broker is frozen, or NULL */
	unsigned restores;      /* places taken */
	unsigned restored;      /* sessions, since it was last said */
	unsigned stores;        /* requests of the spool that are not answered */
	uint64_t dice;
	bool broker_up;
	/* Refusals are logged at a bounded rate. */
	uint64_t refusal_window;
	unsigned refusals_logged, refusals_hidden;
	struct loop_message stop;
	bool stopping, upstream_closed;
};

extern const struct tls_calls session_tls_calls;

/* A failure, in one line with who, why, what to do. Bounded in rate. */
struct worker_refusal {
	const char *what;   /* "device refused" */
	const char *device; /* its identity; NULL: not known */
	const char *address, *cause, *reason, *remedy;
	const char *detail; /* what TLS, the register or a deadline said of it; NULL: nothing */
	unsigned count;     /* attempts so far, 0 not counted */
	bool quiet;         /* of a stranger, or a repeat: no warning */
};
void worker_log_refusal(struct worker *worker, const struct worker_refusal *refusal);
/* worker_outage.c */
void worker_outage_init(struct worker *worker);
void worker_outage_start(struct worker *worker); /* there is an upstream */
/* A session waits for the broker's return. */
void worker_outage_wait(struct worker *worker, struct list *node);
/* There may be something to do, on a later turn. */
void worker_outage_run(struct worker *worker);
/* The spool answered one request; the worker may end when it was the last one. */
void worker_store_gone(struct worker *worker);
/* A session is gone; the worker may end when it was the last one. */
void worker_session_gone(struct worker *worker, struct list *node);

#endif
