/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was seen before, by address and by device: bounded memory that a crowd
 * of strangers cannot wash a real board's story out of.
 *
 * Three quotas, each with its own order of use. An address or device that
 * ever succeeded is KNOWN, and only others of that kind can displace it;
 * success needs a certificate of ours, so strangers never get there. One that
 * came back after some seconds is RETURNING; the rest, seen for one moment,
 * are NEW and displace only each other. Each holds a few episodes: repeats of
 * one cause collapse into one, with count, first and last time.
 *
 * Pure: time is passed in, no locks (the caller's business), memory is taken
 * as entries come and given back as they go.
 */
#ifndef GATEWAY_DIAGNOSE_HISTORY_H
#define GATEWAY_DIAGNOSE_HISTORY_H

#include "diagnose/diagnose.h"

struct history;

enum history_kind {
	HISTORY_ADDRESS,
	/* Only where the certificate was proved to be ours: a name alone anybody can claim. */
	HISTORY_DEVICE,
};

struct history_limits {
	size_t known, returning, fresh; /* entries; at least 1 each */
	unsigned episodes;              /* of one entry, at least 1 */
};

/* seed: of the hash; unpredictable, so that nobody can choose collisions. */
int history_new(const struct history_limits *limits, uint64_t seed,
                struct history **out) MUST_CHECK;
void history_free(struct history *history); /* NULL is fine */

struct history_time {
	uint64_t ms;  /* steady clock */
	int64_t wall; /* seconds since 1970 */
};

/*
 * It got in. ca_fingerprint: of our CA now; length: of its certificate, bytes.
 * 0 or -ENOMEM, which loses only this memory.
 */
int history_success(struct history *history, enum history_kind kind, const char *key,
                    struct history_time now, const char *ca_fingerprint,
                    unsigned length) MUST_CHECK;
/* It failed, as the verdict says. */
int history_failure(struct history *history, enum history_kind kind, const char *key,
                    struct history_time now, const struct diagnose_verdict *verdict) MUST_CHECK;
/*
 * A client random came from that address: 1 it came before, 0 not, -ENOMEM.
 * HELLO_RANDOM bytes.
 */
int history_random(struct history *history, const char *address, struct history_time now,
                   const uint8_t *random) MUST_CHECK;
/*
 * A session of the device, from that address, was taken over: how often that
 * happened within the last minute, and in *addresses from how many addresses
 * those sessions came (both at most 8).
 */
int history_takeover(struct history *history, const char *device, const char *address,
                     struct history_time now, unsigned *addresses) MUST_CHECK;

/* For the evidence; zeroed when nothing is known. random_repeated is not set. */
void history_before(struct history *history, enum history_kind kind, const char *key,
                    struct diagnose_before *out);

struct history_episode {
	enum diagnose_cause cause; /* CAUSE_NOTHING: it got in */
	int64_t first, last;       /* wall times */
	uint64_t last_ms;
	unsigned count;
	uint32_t retry_ms;         /* estimate, 0 unknown */
	char sentence[384];        /* of the last time, cut */
};

typedef void history_each(void *owner, enum history_kind kind, const char *key,
                          const struct history_episode *episode);

/* The story of one, in order of time of their last event. False: unknown. */
bool history_story(struct history *history, enum history_kind kind, const char *key,
                   history_each *each, void *owner);
/* Entries now. */
size_t history_count(const struct history *history);

#endif
