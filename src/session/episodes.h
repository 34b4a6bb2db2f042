/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why devices fail, for the whole process: each failed connection is judged
 * with what was seen before of its address and device, and repeats of one
 * cause become one episode. Any thread; asked once per connection that fails
 * or gets in, so one mutex will do.
 *
 * Bounded like the history below it: episodes of those who got in before, of
 * those who came back, and of passers-by each have places of their own, so
 * that a crowd of strangers cannot push a board's story out.
 */
#ifndef GATEWAY_SESSION_EPISODES_H
#define GATEWAY_SESSION_EPISODES_H

#include "base/err.h"
#include "diagnose/diagnose.h"
#include "diagnose/history.h"

struct episodes;

#define EPISODE_ADDRESS 64
#define EPISODE_REASONS 384

struct episode {
	uint64_t serial;      /* grows with every change of any episode */
	int64_t first, last;  /* wall times */
	unsigned count;
	uint32_t retry_ms;    /* estimate of the gap between attempts, 0 unknown */
	bool open;            /* neither has it got in since nor did it end otherwise */
	char address[EPISODE_ADDRESS];  /* of the last time */
	char identity[DIAGNOSE_NAME];   /* "" nobody that our CA vouches for */
	char name[DIAGNOSE_NAME];       /* that its certificate claims, or the identity */
	struct diagnose_verdict verdict; /* of the last time */
	char reasons[EPISODE_REASONS];  /* what decided it, a line each */
};

int episodes_new(struct episodes **out) MUST_CHECK;
void episodes_free(struct episodes *episodes); /* NULL is fine */

struct episode_news {
	struct diagnose_verdict verdict;
	unsigned count; /* of its episode, 0: none is kept (strangers, notices) */
	bool tell;      /* worth a line in the log: the 1st, 2nd, 4th, 8th ... time */
};

/*
 * It ended as the evidence says; `before` in it is filled in here. identity:
 * "" unless our CA vouches for it.
 */
void episodes_note(struct episodes *episodes, const char *identity,
                   struct diagnose_evidence *evidence, struct episode_news *news);
/* It works, but something should not stay so. False: nothing. */
bool episodes_warn(struct episodes *episodes, const char *identity,
                   struct diagnose_evidence *evidence, struct episode_news *news);
/* It got in: its failures are over. length: of its certificate, bytes of DER. */
void episodes_success(struct episodes *episodes, const char *address, const char *identity,
                      const char *ca_fingerprint, unsigned length);
/* The client random of a board: did that address send the same before? */
bool episodes_random(struct episodes *episodes, const char *address, const uint8_t *random);
/*
 * A session of that device, from that address, was taken over: how often
 * within the last minute; *addresses: from how many addresses.
 */
unsigned episodes_takeover(struct episodes *episodes, const char *identity, const char *address,
                           unsigned *addresses);

/* ---- reading ------------------------------------------------------------------------- */

struct episode_filter {
	const char *address;
	const char *identity; /* proved, or claimed by one who proves none; NULL: any */
	uint64_t after; /* only those whose serial is greater */
	size_t most;
};

/* Copies, newest first; free(*out). 0 or -ENOMEM. */
int episodes_list(struct episodes *episodes, const struct episode_filter *filter,
                  struct episode **out, size_t *count) MUST_CHECK;
/* Of the last change. */
uint64_t episodes_serial(struct episodes *episodes);
/* Copies of a story, in order of time; free(*out). 0, ERR_NOT_FOUND or -ENOMEM. */
int episodes_story(struct episodes *episodes, enum history_kind kind, const char *key,
                   struct history_episode **out, size_t *count) MUST_CHECK;
/* How many connections ended for that cause since the start. */
uint64_t episodes_count(const struct episodes *episodes, enum diagnose_cause cause);
/* Episodes that go on. */
size_t episodes_open(struct episodes *episodes);

#endif
