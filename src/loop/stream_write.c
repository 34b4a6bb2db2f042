/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending. The kernel gets the owner's bytes where they lie; what it does not
 * take is copied to `queue`, whose first `flying` bytes libuv is writing while
 * new ones are appended behind them.
 */
#include "loop/stream_int.h"

#include <assert.h>
#include <errno.h>

/* A batch's pieces go to libuv as they are. */
_Static_assert(sizeof(uv_buf_t) == sizeof(struct iovec), "uv_buf_t is an iovec");
_Static_assert(offsetof(uv_buf_t, base) == offsetof(struct iovec, iov_base), "same order");
_Static_assert(offsetof(uv_buf_t, len) == offsetof(struct iovec, iov_len), "same order");

#define WRITE_PIECES 16 /* of the queue with one system call */

static void written(uv_write_t *request, int status);

static int
write_start(struct stream *s)
{
	struct iovec piece[WRITE_PIECES];
	unsigned count = chain_pieces(&s->queue, piece, WRITE_PIECES, &s->flying);
	int rc = uv_write(&s->request.write, &s->uv.stream, (const uv_buf_t *)(const void *)piece,
	                  count, written);

	s->writing = rc == 0;
	return rc;
}

/* The kernel has all that flew: go on with what is behind it. */
static int
write_next(struct stream *s)
{
	chain_consume(&s->queue, s->flying);
	s->flying = 0;
	return s->queue.bytes > 0 ? write_start(s) : 0;
}

static void
written(uv_write_t *request, int status)
{
	struct stream *s = request->handle->data;

	if (s->closing) {
		return; /* cancelled; the memory goes in the close callback */
	}
	s->writing = false;
	if (status == 0) {
		status = write_next(s);
	}
	if (status < 0) {
		stream_fail(s, status);
		return;
	}
	if (s->linger != NULL) {
		stream_gentle_step(s);
		return;
	}
	if (s->above && stream_queued(s) <= s->low) {
		s->above = false;
		if (s->calls->drained != NULL && !s->ended) {
			s->calls->drained(s->owner);
		}
	}
}

/* Copy what is left of the pieces after `skip` bytes. */
static int
keep_rest(struct chain *to, const struct iovec *piece, unsigned count, size_t skip)
{
	for (unsigned i = 0; i < count; i++) {
		struct span rest = span_of(piece[i].iov_base, piece[i].iov_len);
		size_t n = skip < rest.len ? skip : rest.len;
		int rc;

		skip -= n;
		rest = span_skip(rest, n);
		if (rest.len == 0) {
			continue;
		}
		rc = chain_append(to, rest);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

static int
send_pieces(struct stream *s, const struct iovec *piece, unsigned count, size_t bytes)
{
	size_t sent = 0;
	int rc;

	if (!s->writing) {
		rc = uv_try_write(&s->uv.stream, (const uv_buf_t *)(const void *)piece, count);
		if (rc < 0 && rc != UV_EAGAIN) {
			return rc;
		}
		sent = rc > 0 ? (size_t)rc : 0;
	}
	if (sent == bytes) {
		return 0;
	}
	rc = keep_rest(&s->queue, piece, count, sent);
	if (rc == 0 && !s->writing) {
		rc = write_start(s);
	}
	if (rc == 0 && stream_queued(s) > s->high) {
		s->above = true;
	}
	return rc;
}

static int
send_checked(struct stream *s, const struct iovec *piece, unsigned count, size_t bytes)
{
	int rc;

	assert(loop_mine(s->loop));
	if (!s->linked || s->closing || s->linger != NULL) {
		return -ENOTCONN;
	}
	if (s->error != 0) {
		return s->error;
	}
	if (bytes == 0) {
		return 0;
	}
	rc = send_pieces(s, piece, count, bytes);
	if (rc < 0) {
		stream_fail(s, rc);
	}
	return rc;
}

int
stream_send(struct stream *s, const struct batch *b)
{
	return send_checked(s, b->piece, b->count, b->bytes);
}

int
stream_send_span(struct stream *s, struct span bytes)
{
	struct iovec piece = { .iov_base = (void *)(uintptr_t)bytes.ptr, .iov_len = bytes.len };

	return send_checked(s, &piece, 1, bytes.len);
}

size_t
stream_queued(const struct stream *s)
{
	return s->writing ? uv_stream_get_write_queue_size(&s->uv.stream) +
	                            (s->queue.bytes - s->flying) :
	                    0;
}

bool
stream_above(const struct stream *s)
{
	return s->above;
}
