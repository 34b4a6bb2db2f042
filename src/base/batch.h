/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A batch gathers what one wake-up wants to send in one direction, so that it
 * leaves with one system call. Bytes that pass unchanged are referenced where
 * they lie (the caller keeps them valid until the batch is flushed); bytes
 * that we make go into the batch's own arena. Neighbouring pieces are joined,
 * so a run of unchanged packets costs one entry. Each worker owns one batch
 * per direction and uses it for all its connections, one after the other.
 */
#ifndef GATEWAY_BASE_BATCH_H
#define GATEWAY_BASE_BATCH_H

#include <sys/uio.h>

#include "base/err.h"
#include "base/span.h"

#define BATCH_PIECES 256

struct batch {
	struct iovec piece[BATCH_PIECES];
	unsigned count;
	size_t bytes; /* sum over the pieces */
	uint8_t *arena;
	size_t arena_size;
	size_t arena_used;
};

/* Allocate the arena (bytes). 0 or -ENOMEM. batch_deinit() frees it. */
int batch_init(struct batch *b, size_t arena_size) MUST_CHECK;
void batch_deinit(struct batch *b);

/* Forget the content after it was sent or copied. */
static inline void
batch_reset(struct batch *b)
{
	b->count = 0;
	b->bytes = 0;
	b->arena_used = 0;
}

/* True when `pieces` more pieces with `made` made bytes in all will fit. */
static inline bool
batch_room(const struct batch *b, unsigned pieces, size_t made)
{
	return BATCH_PIECES - b->count >= pieces &&
	       b->arena_size - b->arena_used >= made;
}

/* Reference bytes that stay valid until the flush. 0 or ERR_FULL. */
int batch_ref(struct batch *b, struct span s) MUST_CHECK;
/* Append a copy from the arena. 0 or ERR_FULL. */
int batch_copy(struct batch *b, struct span s) MUST_CHECK;
/* At least n bytes of arena to write into, or NULL. Not yet part of it. */
uint8_t *batch_reserve(struct batch *b, size_t n);
/* n bytes written at the last batch_reserve() become part. 0 or ERR_FULL. */
int batch_commit(struct batch *b, size_t n) MUST_CHECK;

#endif
