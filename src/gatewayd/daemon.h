/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon: the control thread with its loop, what the workers share, and
 * the workers. Everything here runs on the control thread.
 */
#ifndef GATEWAY_GATEWAYD_DAEMON_H
#define GATEWAY_GATEWAYD_DAEMON_H

#include <stdatomic.h>

#include "ctl/server.h"
#include "gatewayd/broker.h"
#include "gatewayd/metrics_http.h"
#include "register/reg.h"
#include "session/worker.h"

struct daemon {
	const char *file; /* of the configuration */
	struct conf *conf;
	struct loop *loop;
	struct worker_shared shared;
	struct worker **worker;
	unsigned worker_count;
	struct conf *boot; /* the one we started with: its listeners are the open ones */
	uint16_t *port;    /* bound, one per listener of it */
	struct reg *reg;
	uint64_t generation; /* of the register, at the last look */
	uint64_t hourly_at, daily_at; /* clock_ms() of the next ones */
	_Atomic int64_t expiring;        /* devices, within UPKEEP_EXPIRING_DAYS */
	_Atomic int64_t crl_next_update; /* the first of all lists; 0: none */
	struct ctl_server *ctl;
	struct uplink *uplink;
	bool uplink_closed;
	struct broker_facts broker_facts;
	struct metrics_http *metrics;
	struct loop_timer tick;
	struct loop_signal hangup, terminate, interrupt;
	struct heartbeat *heartbeat; /* one per worker */
	unsigned heartbeats;         /* not yet answered */
	unsigned asking;             /* questions to workers and the spool under way */
	struct list watchers; /* of failures.c */
	int64_t started, reloaded; /* when the configuration in force was read: the later */
	bool stopping;
};

/* Make everything and run until a signal ends it. The exit status. */
int daemon_run(struct daemon *d, const char *file);

/* ---- asking all workers at once (commands.c, reload.c) ------------------------------- */

struct gather;
struct gather_call {
	struct worker_call call; /* first: run() gets a pointer to it */
	struct gather *gather;
	/* Answers of one worker; what is used depends on the question. */
	struct session_list list;
	unsigned count;
	bool admitted;
	char words[WORKER_STANDING_SIZE];
	struct tls_context *tls;
	int rc;
};
struct gather {
	struct daemon *daemon;
	struct ctl_request *request; /* NULL: nobody waits for the answer */
	void (*finish)(struct gather *gather); /* then the gather is freed */
	char identity[REG_NAME_MAX + 1]; /* or address */
	bool by_address;
	struct conf *conf; /* a reference, released with the gather */
	int64_t read_at;   /* of that */
	struct doc *doc;   /* the finish() function's */
	unsigned waiting;
	unsigned calls;
	struct gather_call call[]; /* one per worker */
};

/* NULL when memory is short. */
struct gather *gather_new(struct daemon *d, struct ctl_request *request);
/* Ask; finish() runs when every worker has answered. */
void gather_start(struct gather *g, void (*run)(struct worker *worker, struct worker_call *call),
                  void (*finish)(struct gather *gather));
/* For one that is not to be started. */
void gather_free(struct gather *g);
/* An answer that `asking` counted has come: the daemon may end. */
void daemon_answered(struct daemon *d);

/* ---- upkeep (upkeep.c) ---------------------------------------------------------------- */

#define UPKEEP_EXPIRING_DAYS 30
#define UPKEEP_CRL_DAYS 7

/* Every half second: what workers collected, and what others changed. */
void upkeep_tick(struct daemon *d);
/* At the start and after a reload: permissions of files, dates that end soon. */
void upkeep_begin(struct daemon *d);

/* ---- commands ------------------------------------------------------------------------- */

extern const struct ctl_command daemon_commands[];
/* Write into the register's audit who asked for what; device NULL: none. */
void daemon_audit(struct daemon *d, struct ctl_request *request, const char *action,
                  const char *device, const char *detail);
/* Read the file again; request is NULL for SIGHUP. */
void daemon_reload(struct daemon *d, struct ctl_request *request);

#endif
