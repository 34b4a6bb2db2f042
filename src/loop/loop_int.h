/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder and its tests know of a loop. */
#ifndef GATEWAY_LOOP_LOOP_INT_H
#define GATEWAY_LOOP_LOOP_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "loop/loop.h"

#define LOOP_NAME_SIZE 16 /* with the NUL; the kernel's limit for threads */

struct loop {
	uv_loop_t uv;
	uv_async_t wake;  /* mail has come, or loop_stop() */
	uv_check_t check; /* after the sockets: work put off */
	uv_idle_t idle;   /* active while such work waits: do not sleep */
	char name[LOOP_NAME_SIZE];
	pthread_t thread;
	_Atomic bool running;

	pthread_mutex_t lock; /* for the next three */
	struct loop_message *first;
	struct loop_message **last;
	bool stopping;

	struct list soon; /* of struct loop_deferred: all run in the next check */
	struct list deferred;
	size_t deferred_count;
	unsigned budget;

	uint8_t read_buffer[LOOP_READ_SIZE];
};

/* In defer.c: set up and close the two handles. */
void loop_turns_init(struct loop *loop);
void loop_turns_close(struct loop *loop);

/* May the caller use the loop's objects? For assertions. */
static inline bool
loop_mine(const struct loop *loop)
{
	return !atomic_load_explicit(&loop->running, memory_order_relaxed) || loop_here(loop);
}

#endif
