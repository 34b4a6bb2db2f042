/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which session is the newest of each upstream client identifier. When the
 * broker closes an upstream connection, this tells a takeover (a newer
 * session exists) from an outage. Where there is no broker to close it, the
 * older session is told here. One for the process, any thread.
 */
#ifndef GATEWAY_SESSION_NEWEST_H
#define GATEWAY_SESSION_NEWEST_H

#include "base/err.h"
#include "base/list.h"
#include "base/span.h"
#include "loop/loop.h"

struct newest;

/* Embedded in the session; list_init() the node before the first use. */
struct newest_entry {
	struct list node;
	struct span client_id; /* stays valid while entered */
	uint64_t serial;       /* grows with every entry */
	struct loop *loop;     /* message is run there when a newer one is entered; NULL: nobody asks */
	struct loop_message message;
	bool told;             /* it is on its way */
};

int newest_new(struct newest **out) MUST_CHECK;
void newest_free(struct newest *newest);
/* From now on the entry is the newest of its client identifier; the older ones are told. */
void newest_enter(struct newest *newest, struct newest_entry *entry, struct span client_id);
/* First thing in message.run(): the next newer one is told again. */
void newest_heard(struct newest *newest, struct newest_entry *entry);
/* Tell it no more. True: the message is on its way already, and still runs. */
bool newest_hush(struct newest *newest, struct newest_entry *entry) MUST_CHECK;
/* Does a newer one exist? False for an entry that was never entered. */
bool newest_superseded(struct newest *newest, struct newest_entry *entry);
/* Before the entry's memory goes; does nothing when it is not entered. */
void newest_leave(struct newest *newest, struct newest_entry *entry);

#endif
