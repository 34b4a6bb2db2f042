/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests to the firmware in the chip, and packets from it (section 4). One
 * packet is outstanding in each direction; until a received one is given back
 * the chip sends nothing.
 */
#include "drivers/winc_int.h"

#include <string.h>

#include "hal/spi.h"

enum {
	REG_TX_DONE = 0x106C,
	REG_RX_CTRL = 0x1070,
	REG_TX_REQ = 0x1078,
	REG_RX_ADDR = 0x1084,
	REG_TX_INFO = 0x108C,
	REG_TX_ADDR = 0x150400,

	RX_PENDING = 1,
	RX_DONE = 2,
	TX_REQUEST = 2,
	TX_DONE = 2,

	GRANT_POLLS = 500,     /* back to back, */
	GRANT_PAUSED = 500,    /* then a millisecond apart */
	NO_GRANTS = 3,         /* in a row: the firmware hangs */
	SEND_WAIT_MS = 2000,   /* for a buffer of the chip */
	SEND_PAUSE_MS = 10,
	PACKETS_PER_POLL = 4,
	LOOK_MS = 200,         /* look without an interrupt, in case its edge was missed */
	BAD_PACKETS = 8,       /* in a row: the bus or the chip is not sane */
	STARVED_MS = 10000,    /* of refusals only: the chip leaked its buffers (Q1) */
	STARVED_COUNT = 20,
};

static struct {
	uint32_t looked_ms, heard_ms;
	bool held;
	bool owes; /* a packet was taken and not given back, as far as we know */
	uint8_t bad, no_grants;
	struct starving {
		uint8_t count; /* of refusals in a row; of the pools for requests and for data */
		uint32_t since_ms;
	} starving[2];
} hif;

enum winc_status
winc_hif_reset(bool lives_on)
{
	uint32_t value;
	enum winc_status status = WINC_OK;
	bool owes = hif.owes && lives_on;

	memset(&hif, 0, sizeof hif);
	hif.heard_ms = time_ms();
	hif.looked_ms = hif.heard_ms - LOOK_MS;
	if (owes) {
		status = winc_read_register(REG_RX_CTRL, &value);
		/* Pending, done or gone: it was given back after all, and must not be twice. */
		if (status == WINC_OK && (value & (RX_PENDING | RX_DONE)) == 0 && value != 0) {
			status = winc_hif_release();
		}
	}
	return status;
}

uint32_t
winc_hif_heard_ms(void)
{
	return hif.heard_ms;
}

/* The answer to a buffer request: its address, or WINC_AGAIN when there is none. */
static enum winc_status
wait_grant(uint32_t *address)
{
	uint32_t value = TX_REQUEST;

	for (unsigned n = 0; (value & TX_REQUEST) != 0; n++) {
		enum winc_status status = winc_read_register(REG_TX_REQ, &value);

		if (status != WINC_OK) {
			return status;
		}
		if (n == GRANT_POLLS + GRANT_PAUSED) {
			/* No answer in half a second, again and again: not a lack of buffers. */
			hif.no_grants++;
			return hif.no_grants < NO_GRANTS ? WINC_AGAIN : WINC_FIRMWARE;
		}
		if (n >= GRANT_POLLS) {
			time_wait_ms(1);
		}
	}
	hif.no_grants = 0;
	return winc_read_register(REG_TX_ADDR, address);
}

static enum winc_status
request_buffer(uint32_t info, uint32_t *address)
{
	enum winc_status status = winc_write_register(REG_TX_INFO, info);
	uint32_t value;

	if (status != WINC_OK) {
		return status;
	}
	status = winc_ring(REG_TX_REQ, TX_REQUEST);
	if (status == WINC_AGAIN) {
		/* Still set: it arrived. Clear: never arrived or already answered, nobody knows. */
		status = winc_read_register(REG_TX_REQ, &value);
		if (status == WINC_OK && (value & TX_REQUEST) == 0) {
			return WINC_BUS;
		}
	}
	if (status == WINC_OK) {
		status = wait_grant(address);
	}
	return status == WINC_OK && (*address & 0xFFFFFF) == 0 ? WINC_AGAIN : status;
}

/* A refusal is usual under load, an endless row of them is not. */
static enum winc_status
note_grant(bool data, enum winc_status status)
{
	struct starving *s = &hif.starving[data];

	if (status != WINC_AGAIN) {
		s->count = 0;
		return status;
	}
	if (s->count == 0) {
		s->since_ms = time_ms();
	}
	s->count += s->count < STARVED_COUNT;
	return s->count == STARVED_COUNT && time_ms() - s->since_ms >= STARVED_MS ? WINC_FIRMWARE
	                                                                         : WINC_AGAIN;
}

static enum winc_status
fill_buffer(uint32_t address, const uint8_t header[HIF_HEADER], const void *control, size_t size,
            const void *data, size_t n, size_t offset)
{
	enum winc_status status = winc_write_block(address, header, HIF_HEADER);

	if (status == WINC_OK) {
		status = winc_write_block(address + HIF_HEADER, control, size);
	}
	if (status == WINC_OK && n > 0) {
		status = winc_write_block(address + HIF_HEADER + offset, data, n);
	}
	return status;
}

enum winc_status
winc_hif_send(enum winc_group group, uint8_t opcode, const void *control, size_t size,
              const void *data, size_t n, size_t offset)
{
	size_t length = HIF_HEADER + (n > 0 ? offset + n : size);
	uint8_t header[HIF_HEADER] = { (uint8_t)group, opcode & 0x7F };
	uint32_t address = 0;
	enum winc_status status;

	if (n > HIF_MAX || length > HIF_MAX || (n > 0 && size > offset)) {
		return WINC_PARAMETER;
	}
	if (winc_health() != WINC_OK || hif.held) {
		return hif.held ? WINC_AGAIN : winc_health();
	}
	put_le16(header + 2, (uint16_t)length);
	status = request_buffer((uint32_t)group | (uint32_t)opcode << 8 | (uint32_t)length << 16,
	                        &address);
	status = note_grant((opcode & HIF_DATA) != 0, status);
	if (status == WINC_OK) {
		address &= 0xFFFFFF;
		status = fill_buffer(address, header, control, size, data, n, offset);
	}
	if (status == WINC_OK) {
		status = winc_ring(REG_TX_DONE, address << 2 | TX_DONE);
		/* In doubt whether the request was submitted, only a new start helps (2.10). */
		status = status == WINC_AGAIN ? WINC_BUS : status;
	}
	return status == WINC_OK || status == WINC_AGAIN ? status : winc_fail(status);
}

enum winc_status
winc_hif_send_wait(enum winc_group group, uint8_t opcode, const void *control, size_t size)
{
	struct deadline limit = deadline_in(SEND_WAIT_MS);

	for (;;) {
		bool last = deadline_over(&limit);
		enum winc_status status = winc_hif_send(group, opcode, control, size, NULL, 0, 0);

		if (status != WINC_AGAIN) {
			return status;
		}
		if (last) {
			return winc_fail(WINC_FIRMWARE);
		}
		time_wait_ms(SEND_PAUSE_MS);
		/* The chip frees buffers as its packets are taken. */
		(void)winc_hif_poll();
	}
}

void
winc_hif_hold(void)
{
	hif.held = true;
}

bool
winc_hif_held(void)
{
	return hif.held;
}

/* RX done: the next packet may come. */
enum winc_status
winc_hif_release(void)
{
	uint32_t value;
	enum winc_status status = winc_read_register(REG_RX_CTRL, &value);

	hif.held = false;
	if (status == WINC_OK) {
		status = winc_ring(REG_RX_CTRL, value | RX_DONE);
	}
	if (status == WINC_AGAIN) {
		/*
		 * The next packet is there already, or the size is gone: it arrived. Else it
		 * did not, or the chip keeps the old size: a second one might hit the next packet.
		 */
		status = winc_read_register(REG_RX_CTRL, &value);
		if (status == WINC_OK && (value & RX_PENDING) == 0 && value != 0) {
			status = WINC_BUS;
		}
	}
	hif.owes = status != WINC_OK;
	return status == WINC_OK ? WINC_OK : winc_fail(status);
}

/* The header at address, checked against the size that the register told. */
static enum winc_status
read_packet(uint32_t address, uint16_t size, struct hif_packet *p, bool *good)
{
	uint8_t header[HIF_HEADER];
	uint16_t length;
	enum winc_status status;
	size_t n;

	*good = false;
	if (size < HIF_HEADER || address == 0) {
		return WINC_OK;
	}
	status = winc_read_block(address, header, sizeof header);
	if (status != WINC_OK) {
		return status;
	}
	length = get_le16(header + 2);
	if (length < HIF_HEADER || length > size || size - length > 4 || length > HIF_MAX + 4) {
		return WINC_OK;
	}
	*p = (struct hif_packet){ .group = header[0], .opcode = header[1] & 0x7F,
		                  .size = length - HIF_HEADER, .address = address + HIF_HEADER };
	n = p->size < HIF_CONTROL_MAX ? p->size : HIF_CONTROL_MAX;
	if (p->group != GROUP_WIFI && p->group != GROUP_IP) {
		n = 0;
	}
	*good = true;
	return winc_read_block(p->address, p->control, n);
}

static void
dispatch(const struct hif_packet *p)
{
	if (p->group == GROUP_WIFI) {
		winc_wifi_packet(p);
	} else if (p->group == GROUP_IP) {
		winc_socket_packet(p);
	}
}

/*
 * Data of a socket is read by its owner before the packet is given back; all
 * else is given back before anyone acts on it, so that the act may send.
 */
static bool
is_data(const struct hif_packet *p)
{
	return p->group == GROUP_IP && (p->opcode == 0x46 || p->opcode == 0x48);
}

static enum winc_status
handle(const struct hif_packet *p, bool good)
{
	enum winc_status status;

	if (good && is_data(p)) {
		hif.bad = 0;
		dispatch(p);
		return hif.held ? WINC_OK : winc_hif_release();
	}
	status = winc_hif_release();
	if (status == WINC_OK && good) {
		hif.bad = 0;
		dispatch(p);
	} else if (status == WINC_OK) {
		hif.bad++;
		status = hif.bad < BAD_PACKETS ? WINC_OK : WINC_BUS;
	}
	return status;
}

/* One packet, if one is pending. */
static enum winc_status
take(bool *taken)
{
	struct hif_packet p;
	uint32_t value, address;
	bool good;
	enum winc_status status = winc_read_register(REG_RX_CTRL, &value);

	*taken = status == WINC_OK && (value & RX_PENDING) != 0;
	if (!*taken) {
		return status;
	}
	status = winc_write_register(REG_RX_CTRL, value & ~(uint32_t)RX_PENDING);
	hif.owes = true;
	if (status == WINC_OK) {
		status = winc_read_register(REG_RX_ADDR, &address);
	}
	if (status == WINC_OK) {
		status = read_packet(address & 0xFFFFFF, value >> 2 & 0xFFF, &p, &good);
	}
	if (status != WINC_OK) {
		return status;
	}
	hif.heard_ms = time_ms();
	return handle(&p, good);
}

enum winc_status
winc_hif_poll(void)
{
	enum winc_status status = winc_health();
	bool taken = true;

	for (int left = PACKETS_PER_POLL; status == WINC_OK && !hif.held && taken && left > 0;
	     left--) {
		if (!winc_pin_irq() && time_ms() - hif.looked_ms < LOOK_MS) {
			break;
		}
		hif.looked_ms = time_ms();
		status = take(&taken);
	}
	return status == WINC_OK ? WINC_OK : winc_fail(status);
}
