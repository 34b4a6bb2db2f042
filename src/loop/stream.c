/* SPDX-License-Identifier: BSD-2-Clause */
/* Life of a stream: reading, the end, the ways to close. */
#include "loop/stream_int.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include <linux/sockios.h>

struct stream_linger {
	struct loop_timer timer;
	struct stream *s;
};

/* What may not run inside the call that caused it; one cause at a time. */
static void
run_soon(void *arg)
{
	struct stream *s = arg;

	if (s->closing) {
		/* Never opened: there is no handle whose closing would tell. */
		s->calls->closed(s->owner);
	} else if (s->connected != NULL) {
		void (*connected)(void *, int) = s->connected;

		s->connected = NULL;
		s->linked = true;
		connected(s->dialer, 0);
	} else if (s->error != 0 && s->linger != NULL) {
		stream_close(s);
	} else if (s->error != 0) {
		stream_report(s, s->error);
	}
}

void
stream_init(struct stream *s, struct loop *loop, const struct stream_calls *calls, void *owner,
            uint32_t high, uint32_t low)
{
	memset(s, 0, sizeof *s);
	s->loop = loop;
	s->calls = calls;
	s->owner = owner;
	s->high = high;
	s->low = low;
	s->soon.run = run_soon;
	s->soon.owner = s;
	list_init(&s->soon.node);
}

/* ---- reading ---------------------------------------------------------------------- */

/*
 * libuv goes on reading while the buffer comes back full. One connection must
 * not have more than its share: the second time it gets no buffer, and the
 * loop comes back to it after the others.
 */
static void
lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct stream *s = handle->data;

	(void)suggested;
	buf->base = (char *)s->loop->read_buffer;
	buf->len = s->fed ? 0 : sizeof s->loop->read_buffer;
	s->fed = false;
}

static void
read_ended(struct stream *s, int error)
{
	s->reading = false;
	s->fin_in = true;
	if (s->linger == NULL) {
		stream_report(s, error);
	} else if (error != 0) {
		stream_close(s);
	} else {
		stream_gentle_step(s);
	}
}

static void
read_done(uv_stream_t *handle, ssize_t got, const uv_buf_t *buf)
{
	struct stream *s = handle->data;

	if (got == 0 || got == UV_ENOBUFS) {
		return;
	}
	if (got < 0) {
		read_ended(s, got == UV_EOF ? 0 : (int)got);
		return;
	}
	s->fed = (size_t)got == sizeof s->loop->read_buffer;
	if (s->linger == NULL) {
		s->calls->received(s->owner, span_of(buf->base, (size_t)got));
	}
}

int
stream_read(struct stream *s, bool on)
{
	int rc = 0;

	assert(loop_mine(s->loop));
	if (!s->linked) {
		return -ENOTCONN;
	}
	if (s->closing || s->ended || s->fin_in || s->reading == on) {
		return 0;
	}
	if (on) {
		rc = uv_read_start(&s->uv.stream, lend_buffer, read_done);
	} else {
		uv_read_stop(&s->uv.stream);
	}
	if (rc == 0) {
		s->reading = on;
	}
	return rc;
}

uint32_t
stream_unacknowledged(const struct stream *s)
{
	uv_os_fd_t fd;
	int count = 0;

	if (!s->open || s->closing || s->local || uv_fileno(&s->uv.handle, &fd) != 0 ||
	    ioctl(fd, SIOCOUTQ, &count) != 0 || count < 0) {
		return 0;
	}
	return (uint32_t)count;
}

/* ---- the end ---------------------------------------------------------------------- */

void
stream_report(struct stream *s, int error)
{
	if (s->ended || s->closing) {
		return;
	}
	if (s->reading) {
		uv_read_stop(&s->uv.stream);
		s->reading = false;
	}
	s->ended = true;
	if (s->error == 0) {
		s->error = error;
	}
	loop_soon_cancel(&s->soon);
	s->calls->ended(s->owner, error);
}

void
stream_fail(struct stream *s, int error)
{
	s->error = error;
	if (!s->ended || s->linger != NULL) {
		loop_soon(s->loop, &s->soon);
	}
}

/* ---- closing ---------------------------------------------------------------------- */

static void
handle_closed(uv_handle_t *handle)
{
	struct stream *s = handle->data;

	chain_release(&s->queue);
	s->calls->closed(s->owner);
}

void
stream_close(struct stream *s)
{
	assert(loop_mine(s->loop));
	if (s->closing) {
		return;
	}
	s->closing = true;
	s->connected = NULL;
	loop_soon_cancel(&s->soon);
	if (s->linger != NULL) {
		loop_timer_close(&s->linger->timer, free);
		s->linger = NULL;
	}
	if (s->open) {
		uv_close(&s->uv.handle, handle_closed);
	} else {
		loop_soon(s->loop, &s->soon);
	}
}

static void
linger_over(void *arg)
{
	struct stream_linger *linger = arg;

	stream_close(linger->s);
}

static int
linger_start(struct stream *s, unsigned ms)
{
	struct stream_linger *linger = malloc(sizeof *linger);
	int rc;

	if (linger == NULL) {
		return -ENOMEM;
	}
	rc = loop_timer_init(s->loop, &linger->timer, linger_over, linger);
	if (rc < 0) {
		free(linger);
		return rc;
	}
	linger->s = s;
	s->linger = linger;
	loop_timer_start(&linger->timer, ms);
	return 0;
}

static void
shutdown_done(uv_shutdown_t *request, int status)
{
	struct stream *s = request->handle->data;

	if (s->closing) {
		return;
	}
	if (status < 0) {
		stream_close(s);
		return;
	}
	s->fin_out = true;
	stream_gentle_step(s);
}

void
stream_gentle_step(struct stream *s)
{
	if (!s->fin_asked && !s->writing) {
		s->fin_asked = true;
		if (uv_shutdown(&s->request.shutdown, &s->uv.stream, shutdown_done) < 0) {
			stream_close(s);
			return;
		}
	}
	if (s->fin_in && s->fin_out) {
		stream_close(s);
	}
}

void
stream_close_gently(struct stream *s, unsigned ms)
{
	assert(loop_mine(s->loop));
	if (s->closing || s->linger != NULL) {
		return;
	}
	if (!s->linked || s->error != 0 || linger_start(s, ms) < 0) {
		stream_close(s);
		return;
	}
	/* Read even while sending: the peer may do nothing before it is read. */
	if (!s->fin_in && !s->reading) {
		if (uv_read_start(&s->uv.stream, lend_buffer, read_done) < 0) {
			stream_close(s);
			return;
		}
		s->reading = true;
	}
	stream_gentle_step(s);
}

void
stream_abort(struct stream *s)
{
	static const struct linger reset = { .l_onoff = 1 };
	uv_os_fd_t fd;

	if (!s->closing && s->open && !s->local && uv_fileno(&s->uv.handle, &fd) == 0) {
		/* If it fails the peer gets a FIN instead: no harm. */
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	}
	stream_close(s);
}

/* ---- addresses -------------------------------------------------------------------- */

void
stream_unmap(struct sockaddr_storage *address)
{
	struct sockaddr_in6 six;
	struct sockaddr_in four = { .sin_family = AF_INET };

	if (address->ss_family != AF_INET6) {
		return;
	}
	memcpy(&six, address, sizeof six);
	if (!IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)) {
		return;
	}
	four.sin_port = six.sin6_port;
	memcpy(&four.sin_addr, &six.sin6_addr.s6_addr[12], sizeof four.sin_addr);
	memset(address, 0, sizeof *address);
	memcpy(address, &four, sizeof four);
}

void
stream_set_peer(struct stream *s, const struct sockaddr *address)
{
	memset(&s->peer, 0, sizeof s->peer);
	s->peer_port = 0;
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 six;

		memcpy(&six, address, sizeof six);
		s->peer = six.sin6_addr;
		s->peer_port = ntohs(six.sin6_port);
	} else if (address->sa_family == AF_INET) {
		struct sockaddr_in four;

		memcpy(&four, address, sizeof four);
		memset(&s->peer.s6_addr[10], 0xff, 2);
		memcpy(&s->peer.s6_addr[12], &four.sin_addr, sizeof four.sin_addr);
		s->peer_port = ntohs(four.sin_port);
	}
}

void
stream_peer(const struct stream *s, char *address, uint16_t *port)
{
	bool mapped = IN6_IS_ADDR_V4MAPPED(&s->peer);

	*port = s->peer_port;
	if (s->local) {
		snprintf(address, STREAM_ADDRESS_SIZE, "local");
	} else if (inet_ntop(mapped ? AF_INET : AF_INET6, &s->peer.s6_addr[mapped ? 12 : 0],
	                     address, STREAM_ADDRESS_SIZE) == NULL) {
		address[0] = '\0';
	}
}
