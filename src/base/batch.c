/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/batch.h"

#include <errno.h>
#include <stdlib.h>

int
batch_init(struct batch *b, size_t arena_size)
{
	uint8_t *arena = malloc(arena_size);

	if (arena == NULL) {
		return -ENOMEM;
	}
	b->arena = arena;
	b->arena_size = arena_size;
	batch_reset(b);
	return 0;
}

void
batch_deinit(struct batch *b)
{
	free(b->arena);
	b->arena = NULL;
	b->arena_size = 0;
	batch_reset(b);
}

int
batch_ref(struct batch *b, struct span s)
{
	struct iovec *last = b->count > 0 ? &b->piece[b->count - 1] : NULL;

	if (s.len == 0) {
		return 0;
	}
	if (last != NULL && (const uint8_t *)last->iov_base + last->iov_len == s.ptr) {
		last->iov_len += s.len;
	} else if (b->count == BATCH_PIECES) {
		return ERR_FULL;
	} else {
		b->piece[b->count++] = (struct iovec){
			.iov_base = (void *)(uintptr_t)s.ptr,
			.iov_len = s.len,
		};
	}
	b->bytes += s.len;
	return 0;
}

uint8_t *
batch_reserve(struct batch *b, size_t n)
{
	return b->arena_size - b->arena_used < n ? NULL : b->arena + b->arena_used;
}

int
batch_commit(struct batch *b, size_t n)
{
	int rc = batch_ref(b, span_of(b->arena + b->arena_used, n));

	if (rc == 0) {
		b->arena_used += n;
	}
	return rc;
}

int
batch_copy(struct batch *b, struct span s)
{
	uint8_t *at = batch_reserve(b, s.len);

	if (at == NULL) {
		return ERR_FULL;
	}
	if (s.len > 0) {
		memcpy(at, s.ptr, s.len);
	}
	return batch_commit(b, s.len);
}
