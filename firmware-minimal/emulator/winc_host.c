/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host interface of the WINC1500 model: buffers for requests, the queue of
 * packets to the host, and what the host may touch when (sections 4, 8.4).
 */
#include "emulator/winc_int.h"

#include <string.h>

enum {
	HEADER = 8,
	REQUEST = 2,
	PENDING = 1,
	DONE = 2,
	DATA_POOL = 0x8000, /* in 0x108C: bit 7 of the opcode */
};

void
winc_host_reset(struct winc_model *m)
{
	uint64_t order = m->host.order;
	bool power = m->host.hang == HANG_POWER && m->chip_en;

	memset(&m->host, 0, sizeof m->host);
	m->host.order = order;
	m->host.hang = power ? HANG_POWER : HANG_NO;
}

static uint32_t
buffer_address(unsigned buffer)
{
	return TX_BASE + buffer * TX_SIZE;
}

void
winc_host_free_buffer(struct winc_model *m, unsigned buffer)
{
	m->host.tx_busy[buffer] = false;
}

/* 0x1078. */
static void
request_buffer(struct winc_model *m, uint32_t value)
{
	struct winc_host *h = &m->host;

	if (!m->registers.running) {
		world_violation(m->world,
				"winc: request before the start of the firmware is finished");
		return;
	}
	if (value != REQUEST) {
		world_violation(m->world, "winc: 0x1078 = 0x%X", value);
	}
	if (h->rx == RX_TAKEN) {
		world_violation(m->world,
				"winc: request while a received packet is not given back");
	}
	if (h->granted != 0 && h->grant_read && !h->disturbed) {
		world_violation(m->world, "winc: request, but buffer 0x%X was never submitted",
		                h->granted);
	}
	h->granted = 0;
	h->grant_read = false;
	h->disturbed = false;
	h->requested = true;
	h->polls = 0;
	h->polls_needed = (unsigned)fault_value(m->faults, "winc.grant-slow", 0);
	h->grant_ns = m->world->now_ns + world_random(m->world) % WINC_US(400);
}

/* The buffer, or 0. */
static uint32_t
grant(struct winc_model *m)
{
	struct winc_host *h = &m->host;
	bool data = (h->info & DATA_POOL) != 0;

	if (fault_hits(m->faults, "winc.no-buffer") ||
	    (data && fault_hits(m->faults, "winc.no-data-buffer"))) {
		return 0;
	}
	for (unsigned i = data ? TX_POOL : 0; i < (data ? 2 * TX_POOL : TX_POOL); i++) {
		if (!h->tx_busy[i]) {
			h->tx_busy[i] = true;
			memset(m->window + (buffer_address(i) - WINDOW_BASE), WINC_JUNK, TX_SIZE);
			return buffer_address(i);
		}
	}
	return 0;
}

static uint32_t
poll_request(struct winc_model *m)
{
	struct winc_host *h = &m->host;

	h->polls++;
	if (h->requested && h->hang == HANG_NO && h->polls > h->polls_needed &&
	    m->world->now_ns >= h->grant_ns && !fault_hits(m->faults, "winc.grant-never")) {
		h->granted = grant(m);
		h->requested = false;
	}
	return h->requested ? REQUEST : 0;
}

static void
run_request(struct winc_model *m, unsigned buffer)
{
	const uint8_t *p = m->window + (buffer_address(buffer) - WINDOW_BASE);
	uint32_t info = m->host.info;
	size_t length = winc_get16(p + 2);
	bool kept = false;

	if (p[0] != (info & 0xFF) || p[1] != (info >> 8 & 0x7F) || length != info >> 16) {
		world_violation(m->world,
		                "winc: header %u/0x%02X of %zu does not agree with 0x108C = 0x%08X",
		                p[0], p[1], length, info);
	} else if (length < HEADER || length > PACKET_MAX) {
		world_violation(m->world, "winc: request of %zu bytes", length);
	} else if (p[0] == 1) {
		winc_radio_request(m, p[1], p + HEADER, length - HEADER);
	} else if (p[0] == 2) {
		kept = winc_ip_request(m, p[1], p + HEADER, length - HEADER, buffer);
	}
	if (!kept) {
		winc_host_free_buffer(m, buffer);
	}
}

/* 0x106C. */
static void
submit(struct winc_model *m, uint32_t value)
{
	struct winc_host *h = &m->host;
	uint32_t address = value >> 2;

	if ((value & DONE) == 0 || address != h->granted || h->granted == 0) {
		world_violation(m->world, "winc: 0x106C = 0x%X, granted is 0x%X", value,
				h->granted);
		return;
	}
	h->granted = 0;
	h->grant_read = false;
	if (h->hang == HANG_NO) {
		run_request(m, (address - TX_BASE) / TX_SIZE);
	}
}

/* 0x1070. */
static void
write_rx_control(struct winc_model *m, uint32_t value)
{
	struct winc_host *h = &m->host;
	uint32_t size = h->rx == RX_IDLE ? 0 : h->rx_size << 2;

	if ((value & ~(uint32_t)3) != size) {
		world_violation(m->world, "winc: 0x1070 = 0x%X changes the size, it is 0x%X", value,
		                size);
	}
	if ((value & DONE) != 0) {
		if (h->rx != RX_TAKEN) {
			world_violation(m->world,
					h->rx == RX_PENDING
						? "winc: RX done of a packet not taken yet"
						: "winc: RX done without a packet");
			return;
		}
		h->rx = RX_IDLE;
		h->rx_next_ns = m->world->now_ns;
		if (!fault_hits(m->faults, "winc.back-to-back")) {
			h->rx_next_ns += WINC_US(20 + world_random(m->world) % 100);
		}
	} else if ((value & PENDING) == 0 && h->rx == RX_PENDING) {
		h->rx = RX_TAKEN;
	}
}

uint32_t
winc_host_read(struct winc_model *m, uint32_t address)
{
	struct winc_host *h = &m->host;

	switch (address) {
	case 0x1070:
		h->irq_spurious = false;
		return h->rx == RX_IDLE ? 0 : h->rx_size << 2 | (h->rx == RX_PENDING ? PENDING : 0);
	case 0x1078:
		return poll_request(m);
	case 0x1084:
		return h->rx_address;
	case 0x150400:
		if (h->requested) {
			world_violation(m->world, "winc: granted address read before the grant");
		}
		h->grant_read = true;
		return h->granted;
	default:
		return 0;
	}
}

void
winc_host_write(struct winc_model *m, uint32_t address, uint32_t value)
{
	switch (address) {
	case 0x108C:
		m->host.info = value;
		break;
	case 0x1078:
		request_buffer(m, value);
		break;
	case 0x106C:
		submit(m, value);
		break;
	default:
		write_rx_control(m, value);
		break;
	}
}

static bool
inside(uint32_t address, size_t n, uint32_t base, size_t size)
{
	return address >= base && n <= size && address - base <= size - n;
}

bool
winc_host_may_read(struct winc_model *m, uint32_t address, size_t n)
{
	struct winc_host *h = &m->host;
	/*
	 * One byte cannot be read alone (2.7). The usual drivers read the one behind it too, which
	 * may be the first behind the packet: that is memory like any other.
	 */
	size_t wanted = n == 2 ? 1 : n;

	if (h->rx == RX_TAKEN && inside(address, wanted, h->rx_address, h->rx_size)) {
		return true;
	}
	if (m->registers.ready &&
	    inside(address, n, WINDOW_BASE + INFO_TABLE, INFO_END - INFO_TABLE)) {
		return true;
	}
	if (m->engine.flipped) {
		world_note(m->world, "winc: read of %zu bytes at 0x%X, perhaps from damaged data", n,
		           address);
		return false;
	}
	world_violation(m->world, "winc: read of %zu bytes at 0x%X, packet is %u bytes at 0x%X", n,
	                address, h->rx == RX_TAKEN ? h->rx_size : 0, h->rx_address);
	return false;
}

bool
winc_host_may_write(struct winc_model *m, uint32_t address, size_t n)
{
	struct winc_host *h = &m->host;

	if (h->granted != 0 && h->grant_read && inside(address, n, h->granted, TX_SIZE)) {
		return true;
	}
	world_violation(m->world, "winc: write of %zu bytes at 0x%X, granted buffer is 0x%X", n,
	                address, h->granted);
	return false;
}

void
winc_host_push(struct winc_model *m, uint8_t group, uint8_t opcode, const void *payload, size_t n,
               uint64_t delay_ns)
{
	for (int i = 0; i < QUEUE_SIZE; i++) {
		struct winc_packet *p = &m->host.queue[i];

		if (p->used || n > sizeof p->bytes - HEADER) {
			continue;
		}
		memset(p->bytes, WINC_JUNK, sizeof p->bytes);
		p->used = true;
		p->ready_ns = m->world->now_ns + delay_ns;
		p->order = m->host.order++;
		p->length = HEADER + n;
		p->bytes[0] = group;
		p->bytes[1] = opcode;
		winc_put16(p->bytes + 2, (unsigned)p->length);
		if (n > 0) {
			memcpy(p->bytes + HEADER, payload, n);
		}
		return;
	}
	world_note(m->world, "winc: the queue to the host is full, packet %u/0x%02X lost", group,
	           opcode);
}

/* In order of arrival among those that are ready. */
static struct winc_packet *
next_packet(struct winc_model *m)
{
	struct winc_packet *best = NULL;

	for (int i = 0; i < QUEUE_SIZE; i++) {
		struct winc_packet *p = &m->host.queue[i];

		if (p->used && p->ready_ns <= m->world->now_ns &&
		    (best == NULL || p->order < best->order)) {
			best = p;
		}
	}
	return best;
}

/* Put into a place that is never the same twice, an odd multiple of four at times. */
static void
present(struct winc_model *m, const uint8_t *bytes, size_t length)
{
	struct winc_host *h = &m->host;

	h->rx_place = (h->rx_place + 1) % RX_PLACES;
	h->rx_address = RX_BASE + h->rx_place * RX_STEP + (h->rx_place % 3 == 0 ? 4 : 0);
	h->rx_size = (uint32_t)((length + 3) & ~(size_t)3);
	memset(m->window + (h->rx_address - WINDOW_BASE), WINC_JUNK, RX_STEP - 4);
	memcpy(m->window + (h->rx_address - WINDOW_BASE), bytes, length);
	h->rx = RX_PENDING;
	h->irq_lost = fault_hits(m->faults, "winc.lost-irq");
}

/* A packet that only a fault sends, before the real one. */
static bool
inject(struct winc_model *m)
{
	uint8_t bytes[1600];

	memset(bytes, WINC_JUNK, sizeof bytes);
	bytes[0] = 1;
	bytes[1] = 0x7E;
	if (fault_hits(m->faults, "winc.size-zero")) {
		winc_put16(bytes + 2, HEADER);
		present(m, bytes, HEADER);
		m->host.rx_size = 0;
	} else if (fault_hits(m->faults, "winc.size-mismatch")) {
		winc_put16(bytes + 2, 40 - 5);
		present(m, bytes, 40);
	} else if (fault_hits(m->faults, "winc.unknown-group")) {
		bytes[0] = 7;
		winc_put16(bytes + 2, 24);
		present(m, bytes, 24);
	} else if (fault_hits(m->faults, "winc.unknown-opcode")) {
		winc_put16(bytes + 2, 21);
		present(m, bytes, 21);
	} else if (fault_hits(m->faults, "winc.big-packets")) {
		bytes[0] = 2;
		winc_put16(bytes + 2, PACKET_MAX);
		present(m, bytes, PACKET_MAX);
	} else {
		return false;
	}
	return true;
}

static void
check_hang(struct winc_model *m)
{
	if (m->host.hang != HANG_NO) {
		return;
	}
	if (fault_hits(m->faults, "winc.hang")) {
		m->host.hang = HANG_RESET;
	} else if (fault_hits(m->faults, "winc.hang-hard")) {
		m->host.hang = HANG_POWER;
	}
}

void
winc_host_advance(struct winc_model *m)
{
	struct winc_host *h = &m->host;
	struct winc_packet *p;

	if (!m->registers.running) {
		return;
	}
	check_hang(m);
	if (h->hang != HANG_NO || h->rx != RX_IDLE || m->world->now_ns < h->rx_next_ns) {
		return;
	}
	p = next_packet(m);
	if (p == NULL) {
		h->irq_spurious = h->irq_spurious || fault_hits(m->faults, "winc.spurious-irq");
		return;
	}
	if (!h->injected && inject(m)) {
		h->injected = true;
		return;
	}
	h->injected = false;
	p->used = false;
	present(m, p->bytes, p->length);
	world_note(m->world, "winc: packet %u/0x%02X of %zu bytes to the host", p->bytes[0],
	           p->bytes[1], p->length);
}

uint64_t
winc_host_next(const struct winc_model *m)
{
	uint64_t next = WINC_NEVER;

	if (!m->registers.running || m->host.hang != HANG_NO || m->host.rx != RX_IDLE) {
		return WINC_NEVER;
	}
	for (int i = 0; i < QUEUE_SIZE; i++) {
		const struct winc_packet *p = &m->host.queue[i];

		if (p->used) {
			uint64_t at = p->ready_ns > m->host.rx_next_ns ? p->ready_ns
			                                               : m->host.rx_next_ns;

			next = at < next ? at : next;
		}
	}
	return next;
}
