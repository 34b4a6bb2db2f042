/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A growable byte queue: append at the end, consume at the front. Memory is
 * taken when the first byte arrives and given back by buf_release(), so an
 * idle connection holds none. Zero-initialise before the first use. One
 * thread at a time.
 */
#ifndef GATEWAY_BASE_BUF_H
#define GATEWAY_BASE_BUF_H

#include "base/err.h"
#include "base/span.h"

struct buf {
	uint8_t *memory;
	size_t size;  /* bytes allocated */
	size_t start; /* first byte not yet consumed */
	size_t end;   /* one past the last byte */
};

static inline size_t
buf_len(const struct buf *b)
{
	return b->end - b->start;
}

/* Valid until the next call that changes the buffer. */
static inline struct span
buf_span(const struct buf *b)
{
	/* An empty buffer has no memory, and NULL + 0 is undefined in C. */
	return b->memory == NULL ? span_of(NULL, 0) : span_of(b->memory + b->start, buf_len(b));
}

/* Room for n more bytes at the end; *at is where they go. 0 or -ENOMEM. */
int buf_reserve(struct buf *b, size_t n, uint8_t **at) MUST_CHECK;
/* n bytes were written where buf_reserve() said; n as reserved or fewer. */
void buf_commit(struct buf *b, size_t n);
/* Append a copy. 0 or -ENOMEM. */
int buf_append(struct buf *b, struct span s) MUST_CHECK;
/* Drop the first n bytes (n at most buf_len()). */
void buf_consume(struct buf *b, size_t n);
/* Give back the memory beyond the content, which is to be kept for long. */
void buf_fit(struct buf *b);
/* Forget the content and free the memory. */
void buf_release(struct buf *b);

#endif
