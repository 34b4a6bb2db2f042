/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>

#define BUF_FIRST 512

int
buf_reserve(struct buf *b, size_t n, uint8_t **at)
{
	size_t len = buf_len(b);
	size_t size = b->size > 0 ? b->size : BUF_FIRST;
	uint8_t *memory;

	if (b->size - b->end >= n && b->memory != NULL) {
		*at = b->memory + b->end;
		return 0;
	}
	if (n > SIZE_MAX / 4 - len) {
		return -ENOMEM;
	}
	/* Slide down instead of growing while that frees at least half. */
	if (b->memory != NULL && len + n <= b->size && b->start >= b->size / 2) {
		memmove(b->memory, b->memory + b->start, len);
		b->start = 0;
		b->end = len;
		*at = b->memory + b->end;
		return 0;
	}
	while (size < len + n) {
		size *= 2;
	}
	memory = malloc(size);
	if (memory == NULL) {
		return -ENOMEM;
	}
	if (len > 0) {
		memcpy(memory, b->memory + b->start, len);
	}
	free(b->memory);
	*b = (struct buf){ .memory = memory, .size = size, .end = len };
	*at = memory + len;
	return 0;
}

void
buf_commit(struct buf *b, size_t n)
{
	b->end += n;
}

int
buf_append(struct buf *b, struct span s)
{
	uint8_t *at;
	int rc = buf_reserve(b, s.len, &at);

	if (rc == 0 && s.len > 0) {
		memcpy(at, s.ptr, s.len);
		buf_commit(b, s.len);
	}
	return rc;
}

void
buf_consume(struct buf *b, size_t n)
{
	b->start += n;
	if (b->start == b->end) {
		b->start = b->end = 0;
	}
}

void
buf_fit(struct buf *b)
{
	size_t len = buf_len(b);
	uint8_t *memory = len > 0 ? malloc(len) : NULL;

	if (len == 0) {
		buf_release(b);
	} else if (memory != NULL) { /* else it stays as it is */
		memcpy(memory, b->memory + b->start, len);
		free(b->memory);
		*b = (struct buf){ .memory = memory, .size = len, .end = len };
	}
}

void
buf_release(struct buf *b)
{
	free(b->memory);
	*b = (struct buf){ 0 };
}
