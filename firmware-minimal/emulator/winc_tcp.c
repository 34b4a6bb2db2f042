/* SPDX-License-Identifier: BSD-2-Clause */
/* TCP sockets of the WINC1500 model, mapped to those of its outside world (6.3 to 6.7, 8.5). */
#include "emulator/winc_int.h"

#include <errno.h>
#include <string.h>

enum {
	GROUP = 2,
	OP_CONNECT = 0x44,
	OP_SEND = 0x45,
	OP_RECV = 0x46,
	DATA_OFFSET = 80,
	SEND_MAX = 1400,
	RECV_SIZE = 1446,
	RECV_MAX = 1472,
	PACKET_OFFSET = 88, /* told in the connect reply */
	ERROR_INVALID = -9,
	ERROR_ABORTED = -12,
	ERROR_TIMEOUT = -13,
	LATE_MS = 1000,
};

static void
push_connected(struct winc_model *m, unsigned number, int error, uint64_t delay_ns)
{
	uint8_t p[4] = { (uint8_t)number, (uint8_t)error };

	winc_put16(p + 2, PACKET_OFFSET);
	winc_host_push(m, GROUP, OP_CONNECT, p, sizeof p, delay_ns);
}

static void
push_sent(struct winc_model *m, unsigned number, uint16_t session, int sent)
{
	uint8_t p[8] = { (uint8_t)number, WINC_JUNK };

	winc_put16(p + 2, (unsigned)sent & 0xFFFF);
	winc_put16(p + 4, session);
	winc_put16(p + 6, 0xA5A5);
	winc_host_push(m, GROUP, OP_SEND, p, sizeof p, WINC_MS(3));
}

static void
open_connection(struct winc_model *m, unsigned number, const uint8_t *address)
{
	struct winc_socket_model *s = &m->ip.sockets[number];
	uint16_t port = (uint16_t)(address[2] << 8 | address[3]);
	int rc;

	if (fault_hits(m->faults, "winc.connect-refused") || m->radio.state != RADIO_UP) {
		rc = -ECONNREFUSED;
	} else if (fault_hits(m->faults, "winc.connect-silent")) {
		s->silent = true;
		return;
	} else if (fault_hits(m->faults, "winc.connect-late")) {
		s->silent = true;
		s->answer_late = true;
		return;
	} else {
		s->handle = m->net->open(m->net->owner, true);
		rc = s->handle < 0 ? s->handle
		                   : m->net->connect(m->net->owner, s->handle, address + 4, port);
	}
	if (rc != 0 && rc != -EINPROGRESS) {
		s->state = IP_FAILED;
		push_connected(m, number, ERROR_ABORTED, WINC_MS(20));
	}
}

void
winc_tcp_connect(struct winc_model *m, const uint8_t *c, size_t n)
{
	struct winc_socket_model *s;

	/* Byte 9 is for TLS sockets; in a plain connect it may hold anything. */
	if (n != 12 || winc_get16(c) != 2 || c[8] >= TCP_SOCKETS || winc_get16(c + 10) == 0) {
		world_violation(m->world, "winc: malformed connect request");
		return;
	}
	s = &m->ip.sockets[c[8]];
	if (s->state != IP_NONE) {
		world_violation(m->world, "winc: connect on socket %u, which is not closed", c[8]);
		return;
	}
	*s = (struct winc_socket_model){
		.state = IP_CONNECTING,
		.handle = -1,
		.session = winc_get16(c + 10),
		.recv_limit_ns = WINC_NEVER,
	};
	world_note(m->world, "winc: socket %u connects to %u.%u.%u.%u:%u", c[8], c[4], c[5], c[6],
	           c[7], c[2] << 8 | c[3]);
	if (fault_hits(m->faults, "winc.drop-in-connect")) {
		winc_radio_drop(m, WINC_MS(10));
		s->silent = true;
		return;
	}
	open_connection(m, c[8], c);
}

/* The host gave up; the answer to its connect may still be on its way. */
void
winc_tcp_close(struct winc_model *m, unsigned number)
{
	if (m->ip.sockets[number].answer_late) {
		push_connected(m, number, 0, WINC_MS(LATE_MS));
	}
}

static struct winc_socket_model *
sender(struct winc_model *m, const uint8_t *c, size_t n)
{
	size_t length = n >= 16 ? winc_get16(c + 2) : 0;
	struct winc_socket_model *s;

	if (n < 16 || length == 0 || length > SEND_MAX || n != DATA_OFFSET + length) {
		world_violation(m->world, "winc: send of %zu bytes in a request of %zu", length, n);
		return NULL;
	}
	if (c[0] >= TCP_SOCKETS) {
		world_violation(m->world, "winc: send on socket %u", c[0]);
		return NULL;
	}
	s = &m->ip.sockets[c[0]];
	if (s->state == IP_NONE) {
		return NULL;
	}
	if (s->session != winc_get16(c + 12) || s->state == IP_CONNECTING) {
		world_violation(m->world, "winc: send on socket %u: not connected in session %u",
				c[0], winc_get16(c + 12));
		return NULL;
	}
	return s;
}

bool
winc_tcp_send(struct winc_model *m, const uint8_t *c, size_t n, unsigned buffer)
{
	struct winc_socket_model *s = sender(m, c, n);

	if (s == NULL) {
		return false;
	}
	if (fault_hits(m->faults, "winc.drop-in-send")) {
		winc_radio_drop(m, WINC_MS(1));
	}
	if (fault_hits(m->faults, "winc.dhcp-renew")) {
		winc_radio_push_address(m);
	}
	if (fault_hits(m->faults, "winc.reset-in")) {
		s->state = IP_RESET;
	}
	if (s->state != IP_OPEN || s->sends_n == TX_POOL) {
		push_sent(m, c[0], s->session, s->state == IP_OPEN ? ERROR_INVALID : ERROR_ABORTED);
		return false;
	}
	s->sends[s->sends_n].buffer = buffer;
	s->sends[s->sends_n].length = winc_get16(c + 2);
	s->sends[s->sends_n].done = 0;
	s->sends_n++;
	return true;
}

static void
poll_connecting(struct winc_model *m, unsigned number)
{
	struct winc_socket_model *s = &m->ip.sockets[number];
	int rc = s->silent ? -EINPROGRESS : m->net->connected(m->net->owner, s->handle);

	if (rc == -EINPROGRESS) {
		return;
	}
	s->state = rc == 0 ? IP_OPEN : IP_FAILED;
	push_connected(m, number, rc == 0 ? 0 : ERROR_ABORTED, WINC_MS(10));
	if (rc == 0 && fault_hits(m->faults, "winc.reset-before")) {
		s->state = IP_RESET;
	}
}

static void
reply_to_send(struct winc_model *m, unsigned number, uint16_t length)
{
	struct winc_socket_model *s = &m->ip.sockets[number];

	if (fault_hits(m->faults, "winc.send-lost")) {
		return;
	}
	if (fault_hits(m->faults, "winc.send-error")) {
		push_sent(m, number, s->session, ERROR_ABORTED);
	} else if (fault_hits(m->faults, "winc.send-short")) {
		push_sent(m, number, s->session, length - 1);
	} else {
		push_sent(m, number, s->session, length);
	}
	if (fault_hits(m->faults, "winc.reset-after")) {
		s->reset_after = true;
	}
}

/* The oldest send; its buffer is the chip's until the peer has the data. */
static void
poll_sends(struct winc_model *m, unsigned number)
{
	struct winc_socket_model *s = &m->ip.sockets[number];

	while (s->sends_n > 0) {
		uint16_t length = s->sends[0].length;
		const uint8_t *data = m->window + (TX_BASE - WINDOW_BASE) +
		                      s->sends[0].buffer * TX_SIZE + 8 + DATA_OFFSET;
		long n = s->state == IP_OPEN
		                 ? m->net->send(m->net->owner, s->handle, data + s->sends[0].done,
		                                (size_t)(length - s->sends[0].done))
		                 : -ECONNRESET;

		if (n == -EAGAIN || n == 0) {
			return;
		}
		if (n > 0) {
			s->sends[0].done = (uint16_t)(s->sends[0].done + n);
			if (s->sends[0].done < length) {
				return;
			}
			reply_to_send(m, number, length);
		} else {
			s->state = IP_RESET;
			push_sent(m, number, s->session, ERROR_ABORTED);
		}
		winc_host_free_buffer(m, s->sends[0].buffer);
		s->sends_n--;
		memmove(s->sends, s->sends + 1, s->sends_n * sizeof s->sends[0]);
	}
}

static void
poll_receive(struct winc_model *m, unsigned number)
{
	struct winc_socket_model *s = &m->ip.sockets[number];
	static const uint8_t address[8] = { 2, 0, 0x22, 0xB3, 192, 0, 2, 1 };
	uint8_t data[RECV_MAX];
	long size = fault_value(m->faults, "winc.recv-size", RECV_SIZE);
	long n;

	if (!s->recv_posted) {
		return;
	}
	size = size < 1 || size > RECV_MAX ? RECV_SIZE : size;
	if (s->state == IP_RESET || s->reset_after) {
		n = -ECONNRESET;
	} else if (s->state == IP_EOF || s->eof_next) {
		n = 0;
	} else if (m->world->now_ns >= s->recv_limit_ns) {
		winc_ip_push_received(m, number, OP_RECV, ERROR_TIMEOUT, NULL, NULL);
		return;
	} else {
		n = m->net->recv(m->net->owner, s->handle, data, (size_t)size);
	}
	if (n == -EAGAIN) {
		return;
	}
	if (n > 0) {
		s->eof_next = fault_hits(m->faults, "winc.fin-data");
		winc_ip_push_received(m, number, OP_RECV, (int)n, address, data);
		return;
	}
	s->state = n == 0 ? IP_EOF : IP_RESET;
	winc_ip_push_received(m, number, OP_RECV, n == 0 ? 0 : ERROR_ABORTED, NULL, NULL);
}

void
winc_tcp_advance(struct winc_model *m, unsigned number)
{
	struct winc_socket_model *s = &m->ip.sockets[number];

	if (s->state == IP_NONE || s->state == IP_FAILED) {
		return;
	}
	if (s->state == IP_CONNECTING) {
		poll_connecting(m, number);
		return;
	}
	if (fault_hits(m->faults, "winc.peer-stalls")) {
		return;
	}
	poll_sends(m, number);
	poll_receive(m, number);
}
