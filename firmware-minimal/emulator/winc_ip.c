/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Group 2 of the WINC1500 model: names, UDP, and what all sockets share
 * (sections 6, 8.5). TCP is in winc_tcp.c.
 */
#include "emulator/winc_int.h"

#include <errno.h>
#include <string.h>

enum {
	GROUP = 2,
	OP_BIND = 0x41,
	OP_CONNECT = 0x44,
	OP_SEND = 0x45,
	OP_RECV = 0x46,
	OP_SEND_TO = 0x47,
	OP_RECV_FROM = 0x48,
	OP_CLOSE = 0x49,
	OP_RESOLVE = 0x4A,
	OP_OPTION = 0x4F,
	UDP_OFFSET = 68,
	DATAGRAM_MAX = 1472,
	ERROR_TIMEOUT = -13,
	REPLY_FIXED = 16,
};

static void
forget_socket(struct winc_model *m, unsigned number)
{
	struct winc_socket_model *s = &m->ip.sockets[number];

	if (s->handle >= 0 && s->state != IP_NONE) {
		m->net->close(m->net->owner, s->handle);
	}
	for (unsigned i = 0; i < s->sends_n; i++) {
		winc_host_free_buffer(m, s->sends[i].buffer);
	}
	*s = (struct winc_socket_model){ .state = IP_NONE, .handle = -1 };
}

/* No event tells the host that its sockets are gone. */
void
winc_ip_reset(struct winc_model *m)
{
	for (unsigned i = 0; i < SOCKETS; i++) {
		forget_socket(m, i);
	}
	m->ip.dns_asked = false;
}

static void
push_resolved(struct winc_model *m, const char *name, const uint8_t ip[4])
{
	uint8_t p[68];

	memset(p, WINC_JUNK, sizeof p);
	memcpy(p, name, strlen(name) + 1);
	memcpy(p + 64, ip, 4);
	winc_host_push(m, GROUP, OP_RESOLVE, p, sizeof p, WINC_MS(5));
}

static void
request_name(struct winc_model *m, const uint8_t *c, size_t n)
{
	static const uint8_t other[4] = { 198, 51, 100, 66 };

	if (n < 2 || n > 64 || memchr(c, 0, n) != c + n - 1) {
		world_violation(m->world, "winc: name of %zu bytes to resolve is malformed", n);
		return;
	}
	if (fault_hits(m->faults, "winc.drop-in-dns")) {
		winc_radio_drop(m, WINC_MS(50));
		return;
	}
	if (fault_hits(m->faults, "winc.dns-silent")) {
		return;
	}
	if (fault_hits(m->faults, "winc.dns-other")) {
		push_resolved(m, "other.example", other);
	}
	memcpy(m->ip.dns_name, c, n);
	m->ip.dns_asked = true;
	world_note(m->world, "winc: resolve %s", m->ip.dns_name);
}

static void
poll_name(struct winc_model *m)
{
	uint8_t ip[4] = { 0 };
	int rc;

	if (!m->ip.dns_asked) {
		return;
	}
	rc = m->radio.state != RADIO_UP ? -ENOENT
	                                : m->net->resolve(m->net->owner, m->ip.dns_name, ip);
	if (rc == -EINPROGRESS) {
		return;
	}
	if (rc != 0 || fault_hits(m->faults, "winc.dns-fail")) {
		memset(ip, 0, sizeof ip);
	}
	m->ip.dns_asked = false;
	push_resolved(m, m->ip.dns_name, ip);
}

/* The socket of a request if it is open under that session. */
static struct winc_socket_model *
owned(struct winc_model *m, unsigned number, uint16_t session, uint8_t opcode)
{
	struct winc_socket_model *s;

	if (number >= SOCKETS) {
		world_violation(m->world, "winc: request 0x%02X for socket %u", opcode, number);
		return NULL;
	}
	s = &m->ip.sockets[number];
	if (s->state == IP_NONE) {
		return NULL; /* it died with the link, and the host was not told so yet */
	}
	if (s->session != session) {
		world_violation(m->world,
				"winc: request 0x%02X for socket %u with session %u, not %u",
				opcode, number, session, s->session);
		return NULL;
	}
	return s;
}

static void
post_receive(struct winc_model *m, uint8_t opcode, const uint8_t *c, size_t n)
{
	struct winc_socket_model *s;
	uint32_t limit = winc_get32(c);

	if (n != 8) {
		world_violation(m->world, "winc: receive request of %zu bytes", n);
		return;
	}
	s = owned(m, c[4], winc_get16(c + 6), opcode);
	if (s == NULL) {
		return;
	}
	if (s->recv_posted) {
		world_violation(m->world, "winc: second receive posted on socket %u", c[4]);
		return;
	}
	s->recv_posted = true;
	s->recv_limit_ns = limit == 0 || limit == 0xFFFFFFFF
	                           ? WINC_NEVER
	                           : m->world->now_ns + WINC_MS(limit);
	if (fault_hits(m->faults, "winc.recv-timeout")) {
		s->recv_limit_ns = m->world->now_ns;
	}
	if (fault_hits(m->faults, "winc.drop-in-recv")) {
		winc_radio_drop(m, WINC_MS(1));
	}
}

static void
push_received(struct winc_model *m, unsigned number, uint8_t opcode, int status, uint16_t session,
              const uint8_t address[8], const void *data, unsigned offset)
{
	uint8_t p[1600];
	size_t n = status > 0 ? (size_t)status : 0;

	memset(p, WINC_JUNK, sizeof p);
	if (address != NULL) {
		memcpy(p, address, 8);
	}
	winc_put16(p + 8, (unsigned)status & 0xFFFF);
	/* In error replies these fields may hold anything (6.5). */
	winc_put16(p + 10, status > 0 ? offset : 0xA5A5);
	p[12] = (uint8_t)number;
	winc_put16(p + 14, session);
	if (n > 0 && data != NULL) {
		memcpy(p + offset, data, n);
	}
	winc_host_push(m, GROUP, opcode, p, n > 0 ? offset + n : REPLY_FIXED, 0);
}

void
winc_ip_push_received(struct winc_model *m, unsigned number, uint8_t opcode, int status,
                      const uint8_t address[8], const void *data)
{
	struct winc_socket_model *s = &m->ip.sockets[number];
	unsigned offset = 40 + 4 * (unsigned)(world_random(m->world) % 12) +
	                  (unsigned)(world_random(m->world) % 4);

	if (fault_hits(m->faults, "winc.stale-reply")) {
		push_received(m, number, opcode, 12, (uint16_t)(s->session - 1), NULL, NULL, 16);
	}
	s->recv_posted = false;
	push_received(m, number, opcode, status, s->session, address, data, offset);
}

static void
bind_socket(struct winc_model *m, const uint8_t *c, size_t n)
{
	struct winc_socket_model *s;
	uint8_t p[4];

	if (n != 12 || c[8] < TCP_SOCKETS || c[8] >= SOCKETS) {
		world_violation(m->world, "winc: bind of %zu bytes for socket %u", n, c[8]);
		return;
	}
	s = &m->ip.sockets[c[8]];
	if (s->state != IP_NONE) {
		world_violation(m->world, "winc: bind of socket %u, which is not closed", c[8]);
		return;
	}
	s->handle = m->net->open(m->net->owner, false);
	s->session = winc_get16(c + 10);
	s->state = s->handle >= 0 ? IP_BOUND : IP_NONE;
	p[0] = c[8];
	p[1] = (uint8_t)(s->handle >= 0 ? 0 : -4);
	winc_put16(p + 2, s->session);
	winc_host_push(m, GROUP, OP_BIND, p, sizeof p, WINC_MS(1));
}

static void
send_to(struct winc_model *m, const uint8_t *c, size_t n)
{
	struct winc_socket_model *s;
	size_t length = n >= 16 ? winc_get16(c + 2) : 0;

	if (n < 16 || length == 0 || length > 1400 || n != UDP_OFFSET + length) {
		world_violation(m->world, "winc: datagram of %zu bytes in %zu", length, n);
		return;
	}
	s = owned(m, c[0], winc_get16(c + 12), OP_SEND_TO);
	if (s == NULL || s->state != IP_BOUND) {
		return;
	}
	(void)m->net->send_to(m->net->owner, s->handle, c + 8, (uint16_t)(c[6] << 8 | c[7]),
	                      c + UDP_OFFSET, length);
}

static void
poll_datagram(struct winc_model *m, unsigned number)
{
	struct winc_socket_model *s = &m->ip.sockets[number];
	uint8_t data[DATAGRAM_MAX], address[8] = { 2 };
	uint16_t port = 0;
	long n;

	if (s->state != IP_BOUND || !s->recv_posted) {
		return;
	}
	n = m->net->recv_from(m->net->owner, s->handle, address + 4, &port, data, sizeof data);
	if (n == 0 && m->profile->empty_datagram_kills) {
		world_note(m->world, "winc: empty datagram, this firmware dies of it");
		m->host.hang = HANG_RESET;
	} else if (n > 0) {
		address[2] = (uint8_t)(port >> 8);
		address[3] = (uint8_t)port;
		winc_ip_push_received(m, number, OP_RECV_FROM, (int)n, address, data);
	} else if (m->world->now_ns >= s->recv_limit_ns) {
		winc_ip_push_received(m, number, OP_RECV_FROM, ERROR_TIMEOUT, NULL, NULL);
	}
}

static void
close_socket(struct winc_model *m, const uint8_t *c, size_t n)
{
	if (n != 4) {
		world_violation(m->world, "winc: close request of %zu bytes", n);
	} else if (owned(m, c[0], winc_get16(c + 2), OP_CLOSE) != NULL) {
		winc_tcp_close(m, c[0]);
		forget_socket(m, c[0]);
	}
}

bool
winc_ip_request(struct winc_model *m, uint8_t opcode, const uint8_t *c, size_t n, unsigned buffer)
{
	if (!m->radio.ever_up) {
		world_violation(m->world, "winc: socket request 0x%02X before there was an address",
		                opcode);
		return false;
	}
	switch (opcode) {
	case OP_BIND:
		bind_socket(m, c, n);
		break;
	case OP_CONNECT:
		winc_tcp_connect(m, c, n);
		break;
	case OP_SEND:
		return winc_tcp_send(m, c, n, buffer);
	case OP_RECV:
	case OP_RECV_FROM:
		post_receive(m, opcode, c, n);
		break;
	case OP_SEND_TO:
		send_to(m, c, n);
		break;
	case OP_CLOSE:
		close_socket(m, c, n);
		break;
	case OP_RESOLVE:
		request_name(m, c, n);
		break;
	case OP_OPTION:
		if (n != 8) {
			world_violation(m->world, "winc: socket option of %zu bytes", n);
		}
		break;
	default:
		world_violation(m->world, "winc: socket request 0x%02X is not modelled", opcode);
	}
	return false;
}

void
winc_ip_advance(struct winc_model *m)
{
	if (!m->registers.running || m->host.hang != HANG_NO) {
		return;
	}
	poll_name(m);
	for (unsigned i = 0; i < TCP_SOCKETS; i++) {
		winc_tcp_advance(m, i);
	}
	for (unsigned i = TCP_SOCKETS; i < SOCKETS; i++) {
		poll_datagram(m, i);
	}
}

bool
winc_ip_waits(const struct winc_model *m)
{
	bool waits = m->ip.dns_asked;

	for (unsigned i = 0; i < SOCKETS; i++) {
		const struct winc_socket_model *s = &m->ip.sockets[i];

		waits = waits || s->state == IP_CONNECTING || s->sends_n > 0 || s->recv_posted;
	}
	return waits;
}

uint64_t
winc_ip_next(const struct winc_model *m)
{
	uint64_t next = WINC_NEVER;

	for (unsigned i = 0; i < SOCKETS; i++) {
		const struct winc_socket_model *s = &m->ip.sockets[i];

		if (s->state != IP_NONE && s->recv_posted && s->recv_limit_ns < next) {
			next = s->recv_limit_ns;
		}
	}
	return next;
}
