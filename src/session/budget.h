/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The budget of connections, in total and per address, asked before a single
 * byte is read or any cryptography is done. One for the process, any thread.
 * An IPv6 host owns a whole /64, so that is what counts as an address there;
 * an IPv4 address in IPv6 form counts as IPv4.
 */
#ifndef GATEWAY_SESSION_BUDGET_H
#define GATEWAY_SESSION_BUDGET_H

#include <netinet/in.h>

#include "base/err.h"

struct budget;

/* The address part that is counted, opaque to callers. */
struct budget_key {
	uint64_t high, low;
};

enum budget_verdict {
	BUDGET_OK,
	BUDGET_TOTAL,
	BUDGET_ADDRESS,
	BUDGET_MEMORY,
};

int budget_new(struct budget **out) MUST_CHECK;
void budget_free(struct budget *budget);
/* New limits; connections that are over them now are left alone. */
void budget_configure(struct budget *budget, unsigned total, unsigned per_address);
/* Take one; *key is for budget_give(). */
enum budget_verdict budget_take(struct budget *budget, const struct sockaddr *peer,
                                struct budget_key *key) MUST_CHECK;
void budget_give(struct budget *budget, const struct budget_key *key);
/* Connections held now. */
unsigned budget_used(struct budget *budget);

#endif
