/* SPDX-License-Identifier: BSD-2-Clause */
/* What broker.c (all threads) and upstream.c (one worker) share. */
#ifndef GATEWAY_UPSTREAM_UPSTREAM_INT_H
#define GATEWAY_UPSTREAM_UPSTREAM_INT_H

#include "upstream/upstream.h"

/* The part of a worker's upstream that the broker's lock guards. */
struct broker_member {
	struct list all;     /* in broker.members */
	struct list waiting; /* in broker.waiting, when it wants a permit */
	struct loop *loop;
	struct loop_message wake; /* something of this part changed */
	bool posted;              /* wake is on its way */
	unsigned limit;           /* permits out, at most, when it takes one */
	unsigned granted;         /* permits given to it and not yet used */
};

void broker_join(struct broker *broker, struct broker_member *m, struct loop *loop,
                 void (*woken)(struct loop_message *message), unsigned limit);
/* Give back what was granted and leave. False: wake is still to run. */
bool broker_leave(struct broker *broker, struct broker_member *m);
void broker_limit(struct broker *broker, struct broker_member *m, unsigned limit);
/* Call first in wake's run: from now on it may be posted again. */
enum broker_state broker_woken(struct broker *broker, struct broker_member *m);

/* A permit to dial; if there is none, m is woken when its turn has come. */
bool broker_take(struct broker *broker, struct broker_member *m);
void broker_give(struct broker *broker);
/* No dial waits: give back what was granted, want nothing. */
void broker_idle(struct broker *broker, struct broker_member *m);

enum broker_state broker_state(struct broker *broker, unsigned *epoch);
void broker_count_dial(struct broker *broker);
/* Results. `epoch` as it was when the attempt began; `where` for the log. */
void broker_answered(struct broker *broker, const char *where);
void broker_failed(struct broker *broker, unsigned epoch, int error, const char *where);

/* One at a time probes, unless the broker is up or frozen. True: m does. */
bool broker_probe_claim(struct broker *broker, struct broker_member *m);
/* A broker that is said to be up may be gone. True: m is to ask it. */
bool broker_doubt(struct broker *broker, struct broker_member *m);
/* Did broker_gone() want the broker asked? Once. */
bool broker_doubted(struct broker *broker);
/* True when m need not go on: the broker is up, or frozen and no dial can tell. */
bool broker_probe_over(struct broker *broker, struct broker_member *m);

#endif
