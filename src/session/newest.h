/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which session is the newest of each upstream client identifier. When the
 * broker closes an upstream connection, this tells a takeover (a newer
 * session exists) from an outage. One for the process, any thread.
 */
#ifndef GATEWAY_SESSION_NEWEST_H
#define GATEWAY_SESSION_NEWEST_H

#include "base/err.h"
#include "base/list.h"
#include "base/span.h"

struct newest;

/* Embedded in the session; list_init() the node before the first use. */
struct newest_entry {
	struct list node;
	struct span client_id; /* stays valid while entered */
	uint64_t serial;       /* grows with every entry */
};

int newest_new(struct newest **out) MUST_CHECK;
void newest_free(struct newest *newest);
/* From now on the entry is the newest of its client identifier. */
void newest_enter(struct newest *newest, struct newest_entry *entry, struct span client_id);
/* Does a newer one exist? False for an entry that was never entered. */
bool newest_superseded(struct newest *newest, struct newest_entry *entry);
/* Before the entry's memory goes; does nothing when it is not entered. */
void newest_leave(struct newest *newest, struct newest_entry *entry);

#endif
