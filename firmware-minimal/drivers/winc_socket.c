/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP clients and names (section 6). Socket numbers are the chip's own. They
 * rotate, because the reply to a connect carries no session: a late one must
 * not meet a new socket of the same number.
 */
#include "drivers/winc_int.h"

#include <string.h>

enum {
	OP_CONNECT = 0x44,
	OP_SEND = 0x45,
	OP_RECV = 0x46,
	OP_CLOSE = 0x49,
	OP_RESOLVE = 0x4A,

	SOCKETS = 7,         /* TCP: 0 to 6 */
	FAMILY = 2,
	SEND_OFFSET = 80,    /* of the data in a TCP send */
	SEND_MAX = 1400,
	RECV_REPLY = 16,     /* fixed part */
	NAME_MAX = 63,
	OUTSTANDING = 2,     /* sends without a reply yet; 1 before 19.5 (Q1) */
	ERROR_TIMEOUT = -13,

	CONNECT_MS = 35000,
	SEND_REPLY_MS = 20000,
	RESOLVE_MS = 15000,
	HOLD_MS = 10000,     /* unread data stops all else: no longer than this */
	LINGER_MS = 40000,   /* a connect given up may still be answered */
	BACK_OFF_MS = 5,
};

enum state {
	STATE_FREE,
	STATE_DUE,        /* connect not sent yet */
	STATE_CONNECTING,
	STATE_OPEN,
	STATE_DEAD,       /* the owner must close it */
};

static struct slot {
	uint8_t state, why; /* why: enum winc_status of STATE_DEAD */
	bool recv_wanted, recv_posted;
	bool close_due;     /* the chip must hear of it */
	bool linger;        /* no connect reply came: do not use the number again soon */
	uint8_t sends;
	uint16_t sizes[OUTSTANDING];
	uint16_t session;   /* 0: every reply is stale */
	uint16_t port;
	uint8_t ip[4];
	uint32_t since_ms;  /* connect sent, oldest send, or close, by state */
} slots[SOCKETS];

static struct {
	uint16_t session;
	uint8_t last; /* number given out last */
	bool refused; /* no buffer at refused_ms */
	uint32_t refused_ms;
	/* The packet that the HIF holds for us. */
	uint8_t held_socket;
	uint16_t held_left;
	uint32_t held_address, held_ms;
} tcp;

static struct {
	enum { DNS_IDLE, DNS_DUE, DNS_ASKED, DNS_DONE } state;
	enum winc_status result;
	uint32_t since_ms;
	uint8_t ip[4];
	char name[NAME_MAX + 1];
} dns;

static void
kill_slot(struct slot *s, enum winc_status why)
{
	if (s->state == STATE_FREE || s->state == STATE_DEAD) {
		return;
	}
	s->linger = s->state == STATE_CONNECTING;
	s->close_due = s->state != STATE_DUE;
	s->state = STATE_DEAD;
	s->why = (uint8_t)why;
	s->recv_wanted = false;
	s->sends = 0;
	if (winc_hif_held() && &slots[tcp.held_socket] == s) {
		(void)winc_hif_release();
	}
}

void
winc_socket_reset(enum winc_status why)
{
	for (int i = 0; i < SOCKETS; i++) {
		if (slots[i].state != STATE_FREE && slots[i].state != STATE_DEAD) {
			slots[i].state = STATE_DEAD;
			slots[i].why = (uint8_t)why;
		}
		slots[i].close_due = false;
		slots[i].linger = false;
		slots[i].session = 0;
	}
	tcp.refused = false;
	dns.state = DNS_IDLE;
}

void
winc_socket_link_lost(void)
{
	for (int i = 0; i < SOCKETS; i++) {
		kill_slot(&slots[i], WINC_LINK_LOST);
	}
	if (dns.state == DNS_DUE || dns.state == DNS_ASKED) {
		dns.state = DNS_DONE;
		dns.result = WINC_LINK_LOST;
	}
}

static struct slot *
slot_of(int socket)
{
	if (socket < 0 || socket >= SOCKETS || slots[socket].state == STATE_FREE) {
		return NULL;
	}
	return &slots[socket];
}

/* What stops this socket, or WINC_OK. */
static enum winc_status
trouble(const struct slot *s)
{
	if (winc_health() != WINC_OK) {
		return winc_health();
	}
	return s->state == STATE_DEAD ? (enum winc_status)s->why : WINC_OK;
}

/* Requests: all return WINC_AGAIN when the chip has no buffer, and are tried again. */

static enum winc_status
send_connect(struct slot *s, uint8_t number)
{
	uint8_t c[12] = { FAMILY, 0, (uint8_t)(s->port >> 8), (uint8_t)s->port };
	enum winc_status status;

	memcpy(c + 4, s->ip, 4);
	c[8] = number;
	put_le16(c + 10, s->session);
	status = winc_hif_send(GROUP_IP, OP_CONNECT, c, sizeof c, NULL, 0, 0);
	if (status == WINC_OK) {
		s->state = STATE_CONNECTING;
	}
	return status;
}

static enum winc_status
post_recv(struct slot *s, uint8_t number)
{
	uint8_t c[8] = { 0xFF, 0xFF, 0xFF, 0xFF, number };
	enum winc_status status;

	put_le16(c + 6, s->session);
	status = winc_hif_send(GROUP_IP, OP_RECV, c, sizeof c, NULL, 0, 0);
	if (status == WINC_OK) {
		s->recv_wanted = false;
		s->recv_posted = true;
	}
	return status;
}

static enum winc_status
send_close(struct slot *s, uint8_t number)
{
	uint8_t c[4] = { number };
	enum winc_status status;

	put_le16(c + 2, s->session);
	status = winc_hif_send(GROUP_IP, OP_CLOSE, c, sizeof c, NULL, 0, 0);
	if (status != WINC_AGAIN) {
		s->close_due = false;
		s->session = 0;
		s->since_ms = time_ms();
	}
	return status;
}

static enum winc_status
send_resolve(void)
{
	enum winc_status status = winc_hif_send(GROUP_IP, OP_RESOLVE, dns.name,
	                                        strlen(dns.name) + 1, NULL, 0, 0);

	if (status == WINC_OK) {
		dns.state = DNS_ASKED;
	}
	return status;
}

static enum winc_status
serve(struct slot *s, uint8_t number)
{
	if (s->close_due) {
		return send_close(s, number);
	}
	if (s->state == STATE_DUE) {
		return send_connect(s, number);
	}
	if (s->state == STATE_OPEN && s->recv_wanted && !s->recv_posted) {
		return post_recv(s, number);
	}
	return WINC_OK;
}

static void
check_deadlines(struct slot *s)
{
	uint32_t age = time_ms() - s->since_ms;

	if ((s->state == STATE_DUE || s->state == STATE_CONNECTING) && age >= CONNECT_MS) {
		kill_slot(s, WINC_TIMEOUT);
	} else if (s->state == STATE_OPEN && s->sends > 0 && age >= SEND_REPLY_MS) {
		kill_slot(s, WINC_TIMEOUT);
	} else if (s->linger && s->session == 0 && age >= LINGER_MS) {
		s->linger = false;
	}
}

enum winc_status
winc_socket_poll(void)
{
	enum winc_status status = WINC_OK;

	for (int i = 0; i < SOCKETS; i++) {
		check_deadlines(&slots[i]);
	}
	if (dns.state == DNS_DUE || dns.state == DNS_ASKED) {
		if (time_ms() - dns.since_ms >= RESOLVE_MS) {
			dns.state = DNS_DONE;
			dns.result = WINC_DNS;
		}
	}
	if (winc_hif_held() && time_ms() - tcp.held_ms >= HOLD_MS) {
		kill_slot(&slots[tcp.held_socket], WINC_TIMEOUT);
	}
	if (winc_hif_held() || (tcp.refused && time_ms() - tcp.refused_ms < BACK_OFF_MS)) {
		return winc_health();
	}
	for (uint8_t i = 0; i < SOCKETS && status == WINC_OK; i++) {
		status = serve(&slots[i], i);
	}
	if (status == WINC_OK && dns.state == DNS_DUE) {
		status = send_resolve();
	}
	tcp.refused = status == WINC_AGAIN;
	tcp.refused_ms = time_ms();
	return tcp.refused ? WINC_OK : status;
}

/* Packets. Nothing in them is trusted: number, session, sizes. */

static struct slot *
slot_of_reply(uint8_t number, uint16_t session)
{
	if (number >= SOCKETS || slots[number].state != STATE_OPEN || session == 0 ||
	    slots[number].session != session) {
		return NULL;
	}
	return &slots[number];
}

static void
on_connect(const struct hif_packet *p)
{
	uint8_t number = p->control[0];

	if (p->size < 2 || number >= SOCKETS) {
		return;
	}
	slots[number].linger = false;
	if (slots[number].state != STATE_CONNECTING) {
		return;
	}
	if (p->control[1] != 0) {
		kill_slot(&slots[number], WINC_REFUSED);
		slots[number].linger = false;
	} else {
		slots[number].state = STATE_OPEN;
	}
}

static void
on_send(const struct hif_packet *p)
{
	struct slot *s = p->size < 6 ? NULL
	                             : slot_of_reply(p->control[0], get_le16(p->control + 4));

	if (s == NULL || s->sends == 0) {
		return;
	}
	/* Less than asked for is not resent: the chip does not say which part (6.4). */
	if (get_le16(p->control + 2) != s->sizes[0]) {
		kill_slot(s, WINC_RESET);
		return;
	}
	s->sends--;
	memmove(s->sizes, s->sizes + 1, sizeof s->sizes - sizeof s->sizes[0]);
	s->since_ms = time_ms();
}

static void
on_recv(const struct hif_packet *p)
{
	struct slot *s = p->size < RECV_REPLY
	                         ? NULL
	                         : slot_of_reply(p->control[12], get_le16(p->control + 14));
	int16_t status = (int16_t)get_le16(p->control + 8);
	uint16_t offset = get_le16(p->control + 10);

	if (s == NULL || !s->recv_posted) {
		return;
	}
	s->recv_posted = false;
	if (status == ERROR_TIMEOUT) {
		s->recv_wanted = true;
	} else if (status <= 0) {
		kill_slot(s, status == 0 ? WINC_CLOSED : WINC_RESET);
	} else if (offset < RECV_REPLY || offset > p->size || status > p->size - offset) {
		kill_slot(s, WINC_RESET);
	} else {
		tcp.held_socket = p->control[12];
		tcp.held_left = (uint16_t)status;
		tcp.held_address = p->address + offset;
		tcp.held_ms = time_ms();
		winc_hif_hold();
	}
}

static void
on_resolve(const struct hif_packet *p)
{
	static const uint8_t none[4];

	if (p->size < 68 || dns.state != DNS_ASKED ||
	    strncmp((const char *)p->control, dns.name, sizeof dns.name) != 0) {
		return;
	}
	dns.state = DNS_DONE;
	dns.result = memcmp(p->control + 64, none, 4) != 0 ? WINC_OK : WINC_DNS;
	memcpy(dns.ip, p->control + 64, 4);
}

void
winc_socket_packet(const struct hif_packet *p)
{
	switch (p->opcode) {
	case OP_CONNECT:
		on_connect(p);
		break;
	case OP_SEND:
		on_send(p);
		break;
	case OP_RECV:
		on_recv(p);
		break;
	case OP_RESOLVE:
		on_resolve(p);
		break;
	default:
		break; /* of no interest */
	}
}

/* "192.0.2.1" and nothing else. */
static bool
parse_literal(const char *s, uint8_t ip[4])
{
	for (int i = 0; i < 4; i++) {
		unsigned value = 0, digits = 0;

		for (; *s >= '0' && *s <= '9' && digits < 4; s++, digits++) {
			value = value * 10 + (unsigned)(*s - '0');
		}
		if (digits == 0 || digits > 3 || value > 255 || *s != (i < 3 ? '.' : '\0')) {
			return false;
		}
		ip[i] = (uint8_t)value;
		s++;
	}
	return true;
}

enum winc_status
winc_resolve(const char *name, uint8_t ip[4])
{
	size_t n = 0;
	uint8_t literal[4];

	if (parse_literal(name, literal)) {
		memcpy(ip, literal, 4);
		return WINC_OK;
	}
	while (n <= NAME_MAX && name[n] != '\0') {
		n++;
	}
	if (n == 0 || n > NAME_MAX) {
		return WINC_PARAMETER;
	}
	if (winc_health() != WINC_OK) {
		return winc_health();
	}
	if (dns.state == DNS_IDLE || strcmp(dns.name, name) != 0) {
		if (!winc_wifi_up()) {
			return WINC_LINK_LOST;
		}
		/* A reply to another name that was asked for before is dropped when it comes. */
		memcpy(dns.name, name, n + 1);
		dns.since_ms = time_ms();
		dns.state = DNS_DUE;
	}
	if (dns.state != DNS_DONE) {
		return WINC_AGAIN;
	}
	dns.state = DNS_IDLE;
	if (dns.result == WINC_OK) {
		memcpy(ip, dns.ip, 4);
	}
	return dns.result;
}

/* The next number in turn that is at rest, or -1. */
static int
free_slot(void)
{
	for (int i = 1; i <= SOCKETS; i++) {
		int number = (tcp.last + i) % SOCKETS;
		const struct slot *s = &slots[number];

		if (s->state == STATE_FREE && !s->close_due && !s->linger) {
			return number;
		}
	}
	return -1;
}

enum winc_status
winc_connect(const uint8_t ip[4], uint16_t port, int *socket)
{
	int number = free_slot();

	if (port == 0) {
		return WINC_PARAMETER;
	}
	if (winc_health() != WINC_OK || !winc_wifi_up()) {
		return winc_health() != WINC_OK ? winc_health() : WINC_LINK_LOST;
	}
	if (number < 0) {
		return WINC_AGAIN;
	}
	tcp.last = (uint8_t)number;
	tcp.session++;
	tcp.session += tcp.session == 0;
	slots[number] = (struct slot){ .state = STATE_DUE, .session = tcp.session, .port = port,
		                       .since_ms = time_ms() };
	memcpy(slots[number].ip, ip, 4);
	*socket = number;
	return WINC_OK;
}

enum winc_status
winc_socket(int socket)
{
	const struct slot *s = slot_of(socket);

	if (s == NULL) {
		return WINC_PARAMETER;
	}
	return s->state == STATE_DUE || s->state == STATE_CONNECTING
	               ? winc_health() != WINC_OK ? winc_health() : WINC_AGAIN
	               : trouble(s);
}

int
winc_send(int socket, const void *data, size_t n)
{
	struct slot *s = slot_of(socket);
	uint8_t c[16] = { (uint8_t)socket };
	enum winc_status status = s == NULL ? WINC_PARAMETER : trouble(s);
	unsigned most = winc_firmware_at_least(19, 5, 0) ? OUTSTANDING : 1;

	if (status != WINC_OK) {
		return -(int)status;
	}
	if (n == 0 || s->state != STATE_OPEN || s->sends >= most || winc_hif_held() ||
	    (tcp.refused && time_ms() - tcp.refused_ms < BACK_OFF_MS)) {
		return 0;
	}
	n = n < SEND_MAX ? n : SEND_MAX;
	put_le16(c + 2, (uint16_t)n);
	put_le16(c + 12, s->session);
	status = winc_hif_send(GROUP_IP, OP_SEND | HIF_DATA, c, sizeof c, data, n, SEND_OFFSET);
	tcp.refused = status == WINC_AGAIN;
	tcp.refused_ms = time_ms();
	if (status != WINC_OK) {
		return tcp.refused ? 0 : -(int)status;
	}
	if (s->sends == 0) {
		s->since_ms = time_ms();
	}
	s->sizes[s->sends++] = (uint16_t)n;
	return (int)n;
}

/* Straight from the chip's memory into the caller's. */
static int
read_held(void *data, size_t n)
{
	enum winc_status status;

	n = n < tcp.held_left ? n : tcp.held_left;
	status = winc_read_block(tcp.held_address, data, n);
	if (status != WINC_OK) {
		return -(int)winc_fail(status);
	}
	tcp.held_address += (uint32_t)n;
	tcp.held_left = (uint16_t)(tcp.held_left - n);
	tcp.held_ms = time_ms();
	if (tcp.held_left == 0) {
		/* A failure shows at the next call; these bytes are good. */
		(void)winc_hif_release();
	}
	return (int)n;
}

int
winc_recv(int socket, void *data, size_t n)
{
	struct slot *s = slot_of(socket);
	enum winc_status status = s == NULL ? WINC_PARAMETER : trouble(s);

	if (status != WINC_OK) {
		return -(int)status;
	}
	if (n == 0 || s->state != STATE_OPEN) {
		return 0;
	}
	if (winc_hif_held() && tcp.held_socket == socket) {
		return read_held(data, n);
	}
	/* Only who asks gets data; for all others the peer's window closes (4.4). */
	s->recv_wanted = true;
	return 0;
}

void
winc_close(int socket)
{
	struct slot *s = slot_of(socket);

	if (s == NULL) {
		return;
	}
	kill_slot(s, WINC_CLOSED);
	s->state = STATE_FREE;
	/* The rest, telling the chip, is done by winc_socket_poll(). */
}
