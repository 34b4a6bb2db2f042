/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A byte queue in pieces of one size: append at the end, consume at the front.
 * It grows without moving what it holds, so bytes may be with the kernel while
 * more are appended, and it takes no more memory than its bytes need, rounded
 * up to a piece. An empty chain holds none. Zero-initialise before the first
 * use. One thread at a time.
 */
#ifndef GATEWAY_BASE_CHAIN_H
#define GATEWAY_BASE_CHAIN_H

#include <sys/uio.h>

#include "base/err.h"
#include "base/span.h"

struct chain_link;

struct chain {
	struct chain_link *first, *last;
	size_t start; /* first byte not yet consumed, in `first` */
	size_t end;   /* one past the last byte, in `last` */
	size_t bytes; /* in all */
};

/* Append a copy. 0, or -ENOMEM: then nothing was appended. */
int chain_append(struct chain *c, struct span s) MUST_CHECK;
/*
 * Where the first bytes lie: fills at most `max` pieces, returns how many and
 * in *bytes how much they are. They stay valid and in place until consumed.
 */
unsigned chain_pieces(const struct chain *c, struct iovec *piece, unsigned max, size_t *bytes);
/* Drop the first n bytes (n at most c->bytes). */
void chain_consume(struct chain *c, size_t n);
/* Forget the content and free the memory. */
void chain_release(struct chain *c);

#endif
