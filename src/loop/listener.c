/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening sockets. libuv would accept before it tells us and would not say
 * from whom; so the socket is only watched, and accept4() gives descriptor and
 * peer in one call, a bounded number of times per wake-up.
 */
#include "loop/stream_int.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define ACCEPTS_PER_WAKE 16
#define BACK_OFF 100 /* ms, when descriptors or memory ran out */
#define WHY_SIZE 256

struct listener {
	uv_poll_t poll;
	struct loop_timer back_off;
	const struct listener_calls *calls;
	void *owner;
	struct loop *loop;
	int fd;
	int waiting; /* accepted, not yet taken; else -1 */
	struct sockaddr_storage peer;
	unsigned handles; /* not yet closed */
	bool short_of;    /* descriptors or memory; logged */
	bool closing;
};

/* ---- accepting -------------------------------------------------------------------- */

static void poll_ready(uv_poll_t *poll, int status, int events);

static void
back_off_over(void *arg)
{
	struct listener *l = arg;

	if (uv_poll_start(&l->poll, UV_READABLE, poll_ready) < 0) {
		loop_timer_start(&l->back_off, BACK_OFF);
	}
}

/* The socket stays readable: stop looking for a while instead of spinning. */
static void
back_off(struct listener *l, int error)
{
	if (!l->short_of) {
		log_error(LOG_LOOP, "connections cannot be accepted for now",
		          log_str("loop", l->loop->name), log_str("error", err_text(error)));
		l->short_of = true;
	}
	uv_poll_stop(&l->poll);
	loop_timer_start(&l->back_off, BACK_OFF);
}

/* Offer one connection to the owner. */
static void
offer(struct listener *l, int fd)
{
	l->short_of = false;
	l->waiting = fd;
	stream_unmap(&l->peer);
	l->calls->incoming(l->owner, l, (const struct sockaddr *)&l->peer);
	if (l->waiting >= 0) {
		close(l->waiting);
		l->waiting = -1;
	}
}

/* Errors of that one connection, which is gone (accept(2), "Error handling"). */
static bool
of_connection(int error)
{
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case EPERM:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
		return true;
	default:
		return false;
	}
}

static void
poll_ready(uv_poll_t *poll, int status, int events)
{
	struct listener *l = poll->data;

	(void)status; /* an error shows in accept4() too */
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_WAKE && !l->closing; i++) {
		socklen_t len = sizeof l->peer;
		int fd = accept4(l->fd, (struct sockaddr *)&l->peer, &len,
		                 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			offer(l, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if (!of_connection(errno)) {
			back_off(l, -errno);
			return;
		}
	}
}

int
stream_accept(struct listener *l, struct stream *s)
{
	int rc;

	assert(loop_mine(l->loop));
	if (l->waiting < 0 || s->open || s->closing) {
		return -EINVAL;
	}
	rc = uv_tcp_init(&s->loop->uv, &s->uv.tcp);
	if (rc < 0) {
		return rc;
	}
	s->open = true;
	s->uv.handle.data = s;
	rc = uv_tcp_open(&s->uv.tcp, l->waiting);
	if (rc < 0) {
		return rc;
	}
	l->waiting = -1;
	s->linked = true;
	stream_set_peer(s, (const struct sockaddr *)&l->peer);
	(void)uv_tcp_nodelay(&s->uv.tcp, 1);
	return 0;
}

/* ---- opening and closing ---------------------------------------------------------- */

static int
parse_address(const char *address, uint16_t port, struct sockaddr_storage *out, socklen_t *len)
{
	memset(out, 0, sizeof *out);
	if (uv_ip4_addr(address, port, (struct sockaddr_in *)out) == 0) {
		*len = sizeof(struct sockaddr_in);
		return 0;
	}
	*len = sizeof(struct sockaddr_in6);
	return uv_ip6_addr(address, port, (struct sockaddr_in6 *)out);
}

static int
bind_to(int fd, const struct sockaddr_storage *at, socklen_t len, bool shared)
{
	static const int on = 1;
	static const int off = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0)) {
		return -errno;
	}
	if (at->ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0) {
		return -errno;
	}
	return bind(fd, (const struct sockaddr *)at, len) < 0 ? -errno : 0;
}

static int
bound_port(int fd, uint16_t *port)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof at;

	if (getsockname(fd, (struct sockaddr *)&at, &len) < 0) {
		return -errno;
	}
	/* The port has the same place in both families. */
	*port = ntohs(((struct sockaddr_in *)&at)->sin_port);
	return 0;
}

static const char *
hint(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "another program listens there";
	case -EADDRNOTAVAIL:
		return "no interface of this host has that address";
	case -EACCES:
		return "ports below 1024 need the capability CAP_NET_BIND_SERVICE";
	case -EAFNOSUPPORT:
		return "IPv6 is switched off on this host; use 0.0.0.0";
	case -EINVAL:
		return "the address must be a literal, for instance 192.0.2.1 or ::";
	default:
		return "the system refused";
	}
}

/* shared: with SO_REUSEPORT. */
static int
bound_socket(const char *address, uint16_t port, bool shared, int *out)
{
	struct sockaddr_storage at;
	socklen_t len;
	int fd;
	int rc = parse_address(address, port, &at, &len);

	if (rc < 0) {
		return rc;
	}
	fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return -errno;
	}
	rc = bind_to(fd, &at, len, shared);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

static int
open_socket(const char *address, uint16_t port, unsigned backlog, int *out, uint16_t *bound)
{
	int fd;
	int rc = bound_socket(address, port, true, &fd);

	if (rc < 0) {
		return rc;
	}
	rc = listen(fd, (int)backlog) < 0 ? -errno : bound_port(fd, bound);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

static int
say_why(char *why, const char *address, uint16_t port, int rc)
{
	snprintf(why, WHY_SIZE, "cannot listen on %s port %u: %s (%s)", address, (unsigned)port,
	         err_text(rc), hint(rc));
	return rc;
}

static void
handle_gone(struct listener *l)
{
	if (--l->handles == 0) {
		if (l->calls->closed != NULL) {
			l->calls->closed(l->owner);
		}
		free(l);
	}
}

static void
poll_closed(uv_handle_t *handle)
{
	handle_gone(handle->data);
}

static void
timer_closed(void *arg)
{
	handle_gone(arg);
}

/* Opening failed half-way: nobody is to be told. */
static void
give_up(struct listener *l)
{
	static const struct listener_calls silent = { 0 };

	l->calls = &silent;
	l->closing = true;
	uv_close((uv_handle_t *)&l->poll, poll_closed);
	if (l->handles == 2) {
		loop_timer_close(&l->back_off, timer_closed);
	}
}

/* Watch the socket; on failure nothing is left behind but the socket. */
static int
watch(struct loop *loop, int fd, const struct listener_calls *calls, void *owner,
      struct listener **out)
{
	struct listener *l = calloc(1, sizeof *l);
	int rc;

	if (l == NULL) {
		return -ENOMEM;
	}
	*l = (struct listener){ .calls = calls, .owner = owner, .loop = loop, .fd = fd,
		.waiting = -1 };
	rc = uv_poll_init(&loop->uv, &l->poll, fd);
	if (rc < 0) {
		free(l);
		return rc;
	}
	l->poll.data = l;
	l->handles = 1;
	rc = loop_timer_init(loop, &l->back_off, back_off_over, l);
	if (rc == 0) {
		l->handles = 2;
		rc = uv_poll_start(&l->poll, UV_READABLE, poll_ready);
	}
	if (rc < 0) {
		give_up(l);
		return rc;
	}
	*out = l;
	return 0;
}

int
listener_open(struct loop *loop, const char *address, uint16_t port, unsigned backlog,
              const struct listener_calls *calls, void *owner, struct listener **out,
              uint16_t *bound, char *why)
{
	uint16_t at = 0;
	int fd = -1;
	int rc = open_socket(address, port, backlog, &fd, &at);

	assert(loop_mine(loop));
	if (rc == 0) {
		rc = watch(loop, fd, calls, owner, out);
		if (rc < 0) {
			close(fd);
		}
	}
	if (rc < 0) {
		return say_why(why, address, port, rc);
	}
	*bound = at;
	return 0;
}

int
listener_probe(const char *address, uint16_t port, char *why)
{
	int fd;
	int rc = bound_socket(address, port, false, &fd);

	if (rc < 0) {
		return say_why(why, address, port, rc);
	}
	close(fd);
	return 0;
}

void
listener_close(struct listener *l)
{
	assert(loop_mine(l->loop));
	if (l->closing) {
		return;
	}
	l->closing = true;
	uv_close((uv_handle_t *)&l->poll, poll_closed);
	loop_timer_close(&l->back_off, timer_closed);
	/* libuv has let go of it; now the kernel refuses instead of queueing. */
	close(l->fd);
}
