/* SPDX-License-Identifier: BSD-2-Clause */
/* A spool in a folder of its own, a loop for its answers, and calls that wait for them. */
#ifndef TESTS_UNIT_SPOOL_HELP_H
#define TESTS_UNIT_SPOOL_HELP_H

#include "unit/cmocka_all.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "spool/spool.h"

#define HELP_LIMIT 120 /* seconds until a test that hangs is killed */

struct bench {
	char folder[40];
	char file[64];
	uint64_t limit;
	struct spool *spool;
	struct loop *loop; /* runs on a thread of its own */
};

void bench_make(struct bench *b); /* the folder, no spool yet */
void bench_open(struct bench *b);
int bench_try_open(struct bench *b, char *why, size_t size);
void bench_close(struct bench *b); /* the spool and the loop; may be opened again */
void bench_remove(struct bench *b);
/* The database and its WAL into another folder, as they are now. */
void bench_copy(const struct bench *from, struct bench *to);

/* What most tests put: QoS 1, no bounds, received now. */
struct spool_put message_of(const char *identity, const char *payload);
int put_and_wait(struct bench *b, struct spool_put put);
int put(struct bench *b, const char *identity, const char *payload);

/* What a take gave, copied. */
struct got {
	size_t count;
	int status;
	struct got_message {
		uint64_t sequence;
		char identity[64], topic[64], payload[256];
		size_t length; /* of the payload */
		int64_t received;
		uint32_t expiry;
		uint8_t qos;
		bool retain;
		size_t properties;
	} message[256];
};
void take(struct bench *b, unsigned room, struct got *got);
/* "a1 b1 a2": the payloads of one take. */
void take_expect(struct bench *b, unsigned room, const char *payloads);
void done_expect(struct bench *b, unsigned room, const char *payloads);
/* A take, all of it done. Returns how many. */
size_t drain(struct bench *b, unsigned room);
int64_t purge(struct bench *b, const char *identity);
/* Until that many messages are left; fails after a while. */
void wait_messages(struct bench *b, uint64_t count);
struct spool_totals totals(struct bench *b);

#endif
