/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulator/net_host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HANDLES 16
#define ENTRIES 16
#define NS_PER_S UINT64_C(1000000000)
#define ANSWER_NS (2 * NS_PER_S)     /* a peer that has not answered by then may be silent */
#define MORE_NS (20 * NS_PER_S / 1000) /* the rest of what has begun to come */

struct place {
	uint8_t ip[4];
	uint16_t port; /* 0: every port */
};
struct name {
	char text[256];
	uint8_t ip[4];
};
struct map {
	struct place from, to;
};

struct net_host {
	struct world *world;
	struct winc_net seam;
	int fds[HANDLES];
	unsigned connecting;          /* a bit per handle */
	uint64_t expects_until;       /* on the wall clock */
	struct name names[ENTRIES];
	unsigned name_count;
	struct map maps[ENTRIES];
	unsigned map_count;
};

/* ---- set-up ---- */

/* "IP" or "IP:PORT" up to the end of the text. */
static bool
parse_place(const char *text, size_t length, struct place *out)
{
	char copy[64];
	char *colon;
	char *end;
	unsigned long port = 0;

	if (length >= sizeof copy) {
		return false;
	}
	memcpy(copy, text, length);
	copy[length] = '\0';
	colon = strchr(copy, ':');
	if (colon != NULL) {
		*colon = '\0';
		port = strtoul(colon + 1, &end, 10);
		if (end == colon + 1 || *end != '\0' || port == 0 || port > 65535) {
			return false;
		}
	}
	out->port = (uint16_t)port;
	return inet_pton(AF_INET, copy, out->ip) == 1;
}

static int
add_map(struct net_host *net, const struct place *from, const struct place *to)
{
	if (net->map_count == ENTRIES) {
		return -ENOSPC;
	}
	if (to->ip[0] != 127) {
		return -EPERM;
	}
	net->maps[net->map_count++] = (struct map){ *from, *to };
	return 0;
}

int
net_host_add_map(struct net_host *net, const char *text)
{
	const char *equals = strchr(text, '=');
	struct place from, to;

	if (equals == NULL || !parse_place(text, (size_t)(equals - text), &from) ||
	    !parse_place(equals + 1, strlen(equals + 1), &to) || from.port == 0 || to.port == 0) {
		return -EINVAL;
	}
	return add_map(net, &from, &to);
}

int
net_host_add_name(struct net_host *net, const char *text)
{
	const char *equals = strchr(text, '=');
	struct name *n = &net->names[net->name_count];
	struct place place;
	struct place to = { { 127, 0, 0, 1 }, 0 };
	size_t length = equals == NULL ? 0 : (size_t)(equals - text);

	if (length == 0 || length >= sizeof n->text || net->name_count == ENTRIES ||
	    !parse_place(equals + 1, strlen(equals + 1), &place)) {
		return -EINVAL;
	}
	memcpy(n->text, text, length);
	n->text[length] = '\0';
	memcpy(n->ip, place.ip, 4);
	net->name_count++;
	if (place.port == 0) {
		return 0;
	}
	to.port = place.port;
	if (place.ip[0] == 127) {
		memcpy(to.ip, place.ip, 4);
	}
	place.port = 0;
	return add_map(net, &place, &to);
}

/* ---- where to ---- */

static int
destination(const struct net_host *net, const uint8_t ip[4], uint16_t port, struct sockaddr_in *out)
{
	struct place to = { { 0 }, port };

	memcpy(to.ip, ip, 4);
	for (unsigned i = 0; i < net->map_count; i++) {
		const struct map *m = &net->maps[i];

		if (memcmp(m->from.ip, ip, 4) == 0 && (m->from.port == 0 || m->from.port == port)) {
			to = m->to;
			break;
		}
	}
	if (to.ip[0] != 127) {
		world_note(net->world, "net: %u.%u.%u.%u:%u is not loopback and not mapped", ip[0], ip[1],
		           ip[2], ip[3], port);
		return -EHOSTUNREACH;
	}
	memset(out, 0, sizeof *out);
	out->sin_family = AF_INET;
	out->sin_port = htons(to.port);
	memcpy(&out->sin_addr, to.ip, 4);
	return 0;
}

/* ---- waiting for the peer ---- */

static uint64_t
wall_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void
expect(struct net_host *net, uint64_t ns)
{
	net->expects_until = wall_now() + ns;
}

bool
net_host_expects(const struct net_host *net)
{
	return net->connecting != 0 || wall_now() < net->expects_until;
}

/* ---- struct winc_net ---- */

static int
fd_of(struct net_host *net, int handle)
{
	return handle < 0 || handle >= HANDLES ? -1 : net->fds[handle];
}

static int
net_open(void *owner, bool stream)
{
	struct net_host *net = owner;
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1;

	for (int h = 0; h < HANDLES; h++) {
		int fd;

		if (net->fds[h] >= 0) {
			continue;
		}
		fd = socket(AF_INET, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd < 0) {
			return -errno;
		}
		if (stream) {
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		} else if (bind(fd, (struct sockaddr *)&local, sizeof local) != 0) {
			int e = errno;

			close(fd);
			return -e;
		}
		net->fds[h] = fd;
		return h;
	}
	return -EMFILE;
}

static int
net_connect(void *owner, int handle, const uint8_t ip[4], uint16_t port)
{
	struct net_host *net = owner;
	struct sockaddr_in to;
	int r = destination(net, ip, port, &to);

	if (r != 0) {
		return r;
	}
	if (connect(fd_of(net, handle), (struct sockaddr *)&to, sizeof to) == 0) {
		return 0;
	}
	if (errno == EINPROGRESS) {
		net->connecting |= 1u << handle;
	}
	return -errno;
}

static int
net_connected(void *owner, int handle)
{
	struct net_host *net = owner;
	struct pollfd p = { fd_of(net, handle), POLLOUT, 0 };
	int error = 0;
	socklen_t size = sizeof error;

	if (p.fd < 0) {
		return -EBADF;
	}
	if (poll(&p, 1, 0) <= 0) {
		return -EINPROGRESS;
	}
	net->connecting &= ~(1u << handle);
	if (getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
		return -errno;
	}
	return -error;
}

static long
net_send(void *owner, int handle, const void *data, size_t n)
{
	ssize_t r = send(fd_of(owner, handle), data, n, MSG_NOSIGNAL);

	expect(owner, ANSWER_NS);
	return r < 0 ? -errno : (long)r;
}

static long
net_recv(void *owner, int handle, void *data, size_t n)
{
	ssize_t r = recv(fd_of(owner, handle), data, n, 0);

	if (r >= 0) {
		expect(owner, MORE_NS);
	}
	return r < 0 ? -errno : (long)r;
}

static long
net_send_to(void *owner, int handle, const uint8_t ip[4], uint16_t port, const void *data, size_t n)
{
	struct net_host *net = owner;
	struct sockaddr_in to;
	int e = destination(net, ip, port, &to);
	ssize_t r;

	if (e != 0) {
		return e;
	}
	expect(net, ANSWER_NS);
	r = sendto(fd_of(net, handle), data, n, MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to);
	return r < 0 ? -errno : (long)r;
}

/* An answer from a mapped place comes from where it was sent to. */
static long
net_recv_from(void *owner, int handle, uint8_t ip[4], uint16_t *port, void *data, size_t n)
{
	struct net_host *net = owner;
	struct sockaddr_in from;
	socklen_t size = sizeof from;
	ssize_t r = recvfrom(fd_of(net, handle), data, n, 0, (struct sockaddr *)&from, &size);

	if (r < 0) {
		return -errno;
	}
	expect(net, MORE_NS);
	memcpy(ip, &from.sin_addr, 4);
	*port = ntohs(from.sin_port);
	for (unsigned i = 0; i < net->map_count; i++) {
		const struct map *m = &net->maps[i];

		if (memcmp(m->to.ip, ip, 4) == 0 && m->to.port == *port && m->from.port != 0) {
			memcpy(ip, m->from.ip, 4);
			*port = m->from.port;
			break;
		}
	}
	return (long)r;
}

static void
net_close(void *owner, int handle)
{
	struct net_host *net = owner;

	if (fd_of(net, handle) >= 0) {
		close(net->fds[handle]);
		net->fds[handle] = -1;
		net->connecting &= ~(1u << handle);
	}
}

static int
net_resolve(void *owner, const char *name, uint8_t ip[4])
{
	const struct net_host *net = owner;

	for (unsigned i = 0; i < net->name_count; i++) {
		if (strcasecmp(net->names[i].text, name) == 0) {
			memcpy(ip, net->names[i].ip, 4);
			return 0;
		}
	}
	if (strcasecmp(name, "localhost") == 0) {
		memcpy(ip, (uint8_t[]){ 127, 0, 0, 1 }, 4);
		return 0;
	}
	return inet_pton(AF_INET, name, ip) == 1 ? 0 : -ENOENT;
}

struct net_host *
net_host_new(struct world *world)
{
	struct net_host *net = calloc(1, sizeof *net);

	if (net == NULL) {
		return NULL;
	}
	net->world = world;
	for (int h = 0; h < HANDLES; h++) {
		net->fds[h] = -1;
	}
	net->seam = (struct winc_net){ net_open, net_connect, net_connected, net_send, net_recv,
		                       net_send_to, net_recv_from, net_close, net_resolve, net };
	return net;
}

void
net_host_free(struct net_host *net)
{
	for (int h = 0; net != NULL && h < HANDLES; h++) {
		net_close(net, h);
	}
	free(net);
}

const struct winc_net *
net_host_seam(struct net_host *net)
{
	return &net->seam;
}
