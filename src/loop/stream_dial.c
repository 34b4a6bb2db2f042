/* SPDX-License-Identifier: BSD-2-Clause */
#include "loop/stream_int.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A connect() to a unix socket succeeds or fails at once. */
static int
connect_unix(const char *path, int *out)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd;

	if (len >= sizeof address.sun_path) {
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return -errno;
	}
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

int
stream_dial_unix(struct stream *s, const char *path,
                 void (*connected)(void *dialer, int status), void *dialer)
{
	int fd = -1;
	int rc;

	assert(loop_mine(s->loop));
	if (s->open || s->closing) {
		return -EISCONN;
	}
	rc = connect_unix(path, &fd);
	if (rc < 0) {
		return rc;
	}
	rc = uv_pipe_init(&s->loop->uv, &s->uv.pipe, 0);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	s->open = true;
	s->local = true;
	s->uv.handle.data = s;
	rc = uv_pipe_open(&s->uv.pipe, fd);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	s->connected = connected;
	s->dialer = dialer;
	loop_soon(s->loop, &s->soon);
	return 0;
}

static void
tcp_connected(uv_connect_t *request, int status)
{
	struct stream *s = request->handle->data;
	void (*connected)(void *, int) = s->connected;

	if (s->closing || connected == NULL) {
		return;
	}
	s->connected = NULL;
	s->linked = status == 0;
	connected(s->dialer, status);
}

int
stream_dial_tcp(struct stream *s, const char *address, uint16_t port,
                void (*connected)(void *dialer, int status), void *dialer)
{
	struct sockaddr_storage to = { 0 };
	int rc;

	assert(loop_mine(s->loop));
	if (s->open || s->closing) {
		return -EISCONN;
	}
	rc = uv_ip4_addr(address, port, (struct sockaddr_in *)&to);
	if (rc < 0) {
		rc = uv_ip6_addr(address, port, (struct sockaddr_in6 *)&to);
	}
	if (rc < 0) {
		return rc;
	}
	rc = uv_tcp_init(&s->loop->uv, &s->uv.tcp);
	if (rc < 0) {
		return rc;
	}
	s->open = true;
	s->uv.handle.data = s;
	(void)uv_tcp_nodelay(&s->uv.tcp, 1);
	stream_set_peer(s, (struct sockaddr *)&to);
	s->connected = connected;
	s->dialer = dialer;
	rc = uv_tcp_connect(&s->request.connect, &s->uv.tcp, (struct sockaddr *)&to, tcp_connected);
	if (rc < 0) {
		s->connected = NULL;
	}
	return rc;
}

void
stream_dial_forget(struct stream *s)
{
	s->connected = NULL;
	if (!s->closing) {
		loop_soon_cancel(&s->soon);
	}
}
