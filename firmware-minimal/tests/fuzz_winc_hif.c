/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a WINC1500 that lies can tell its driver: the input is a row of
 * packets, each a length byte (times eight), a delay byte, and the packet with
 * its header; registers and sizes follow from it or are as the input says.
 * Stands in for winc_spi.c, so all above the SPI frames is the real driver.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/winc_int.h"
#include "hal/spi.h"

enum {
	REG_RX_CTRL = 0x1070,
	REG_TX_REQ = 0x1078,
	REG_RX_ADDR = 0x1084,
	PACKET_AT = 0x3B000,
	BUFFER_AT = 0x37AC0,
	MEMORY = 2048,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	const uint8_t *data; /* of the input, what is left */
	size_t size;
	uint8_t memory[MEMORY]; /* of the chip, at PACKET_AT */
	uint32_t now_ms, control;
	bool pending;
	int opened[2]; /* the sockets, last first: number, session << 8 */
} fuzz;

static void
expect(bool condition)
{
	if (!condition) {
		abort();
	}
}

/*
 * Numbers and sessions go on from input to input; in a reply that names
 * socket 0 or 1 with session 1 they become those of the two that are open.
 */
static void
name_socket(size_t number_at, size_t session_at)
{
	uint8_t *p = fuzz.memory + 8;

	if (p[number_at] < 2 && get_le16(p + session_at) == 1) {
		int opened = fuzz.opened[p[number_at]];

		p[number_at] = (uint8_t)opened;
		put_le16(p + session_at, (uint16_t)(opened >> 8));
	}
}

/* The next packet of the input becomes pending; false when there is none. */
static bool
next_packet(void)
{
	size_t n;
	uint32_t size;

	if (fuzz.size < 2) {
		return false;
	}
	n = (size_t)fuzz.data[0] * 8;
	fuzz.now_ms += fuzz.data[1] * 4u;
	fuzz.data += 2;
	fuzz.size -= 2;
	n = n < fuzz.size ? n : fuzz.size;
	memset(fuzz.memory, 0xA5, sizeof fuzz.memory);
	memcpy(fuzz.memory, fuzz.data, n < MEMORY ? n : MEMORY);
	fuzz.data += n;
	fuzz.size -= n;
	if (fuzz.memory[0] == 2 && fuzz.memory[1] == 0x46) {
		name_socket(12, 14);
	} else if (fuzz.memory[0] == 2 && fuzz.memory[1] == 0x45) {
		name_socket(0, 4);
	}
	/* Mostly the size that fits the header, so that the layers above are reached. */
	size = n >= 4 ? get_le16(fuzz.memory + 2) : 0;
	size = n % 16 != 8 ? (size + 3) & 0xFFC : (uint32_t)n;
	fuzz.control = size << 2 | 1;
	fuzz.pending = true;
	return true;
}

enum winc_status
winc_read_register(uint32_t address, uint32_t *value)
{
	*value = 0;
	if (address == REG_RX_CTRL) {
		*value = fuzz.control;
	} else if (address == REG_RX_ADDR) {
		*value = PACKET_AT;
	} else if (address == 0x150400) {
		*value = BUFFER_AT;
	} else if (address == 0x207AC) {
		*value = 0x13301361;
	}
	return WINC_OK;
}

enum winc_status
winc_write_register(uint32_t address, uint32_t value)
{
	if (address == REG_RX_CTRL) {
		fuzz.control = value;
	}
	return WINC_OK;
}

enum winc_status
winc_ring(uint32_t address, uint32_t value)
{
	if (address == REG_RX_CTRL) {
		expect((value & 2) != 0 && fuzz.pending);
		fuzz.control = 0;
		fuzz.pending = false;
	}
	return WINC_OK;
}

/* Never outside the packet as the register told its size. */
enum winc_status
winc_read_block(uint32_t address, void *data, size_t n)
{
	size_t size = fuzz.control >> 2;

	if (n == 0) {
		return WINC_OK;
	}
	expect(fuzz.pending && address >= PACKET_AT && n <= size &&
	       address - PACKET_AT <= size - n);
	for (size_t i = 0; i < n; i++) {
		size_t at = address - PACKET_AT + i;

		((uint8_t *)data)[i] = at < MEMORY ? fuzz.memory[at] : 0;
	}
	return WINC_OK;
}

enum winc_status
winc_write_block(uint32_t address, const void *data, size_t n)
{
	static uint8_t sink[1600];

	if (n == 0) {
		return WINC_OK;
	}
	expect(address >= BUFFER_AT && n <= sizeof sink &&
	       address - BUFFER_AT <= sizeof sink - n);
	memcpy(sink + (address - BUFFER_AT), data, n);
	/* A connect: its number and session. */
	if (address == BUFFER_AT + 8 && sink[0] == 2 && sink[1] == 0x44 && n == 12) {
		fuzz.opened[1] = fuzz.opened[0];
		fuzz.opened[0] = sink[8 + 8] | get_le16(sink + 8 + 10) << 8;
	}
	return WINC_OK;
}

/* The chip is there and runs. */
enum winc_status
winc_chip_start(unsigned ladder, bool *lives_on)
{
	(void)ladder;
	*lives_on = false;
	return WINC_OK;
}

void
winc_chip_stop(void)
{
}

bool
winc_firmware_at_least(uint8_t major, uint8_t minor, uint8_t patch)
{
	(void)major;
	(void)minor;
	(void)patch;
	return true;
}

void
spi_init(void)
{
}

bool
winc_pin_irq(void)
{
	return fuzz.pending;
}

uint32_t
time_ms(void)
{
	return fuzz.now_ms;
}

void
time_wait_ms(uint32_t ms)
{
	fuzz.now_ms += ms;
}

/* One packet told by the fuzz target itself, so that there are sockets to lie about. */
static void
tell(uint8_t group, uint8_t opcode, const uint8_t *payload, size_t n)
{
	memset(fuzz.memory, 0xA5, sizeof fuzz.memory);
	fuzz.memory[0] = group;
	fuzz.memory[1] = opcode;
	put_le16(fuzz.memory + 2, (uint16_t)(8 + n));
	memcpy(fuzz.memory + 8, payload, n);
	fuzz.control = ((uint32_t)(8 + n + 3) & ~(uint32_t)3) << 2 | 1;
	fuzz.pending = true;
	(void)winc_poll();
	expect(!fuzz.pending);
}

static void
open_sockets(int sockets[2])
{
	static const uint8_t joined[4] = { 1 };
	static const uint8_t address[20] = { 192, 0, 2, 10 };
	static const uint8_t peer[4] = { 192, 0, 2, 1 };
	uint8_t connected[4] = { 0 };

	expect(winc_start(1) == WINC_OK);
	expect(winc_join("workshop", "correct horse") == WINC_OK);
	tell(1, 44, joined, sizeof joined);
	tell(1, 50, address, sizeof address);
	expect(winc_link() == WINC_OK);
	for (int i = 0; i < 2; i++) {
		expect(winc_connect(peer, 8883, &sockets[i]) == WINC_OK);
		(void)winc_poll();
		connected[0] = (uint8_t)sockets[i];
		tell(2, 0x44, connected, sizeof connected);
		expect(winc_socket(sockets[i]) == WINC_OK);
	}
}

/* What a user does between the packets. */
static void
use(int sockets[2])
{
	uint8_t ip[4];
	uint8_t *data = malloc(16);

	expect(data != NULL);
	for (int i = 0; i < 2; i++) {
		int n = winc_recv(sockets[i], data, 1 + fuzz.now_ms % 16);

		expect(n <= 16 && n > -WINC_PARAMETER);
		n = winc_send(sockets[i], "telemetry", 9);
		expect((n == 0 || n == 9 || n < 0) && n > -WINC_PARAMETER);
		expect(winc_status_text(winc_socket(sockets[i]))[0] != '\0');
	}
	(void)winc_resolve("gateway.example", ip);
	(void)winc_time();
	(void)winc_link();
	free(data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int sockets[2];

	memset(&fuzz, 0, sizeof fuzz);
	open_sockets(sockets);
	use(sockets);
	(void)winc_poll();
	fuzz.data = data;
	fuzz.size = size;
	while (winc_poll() == WINC_OK && (fuzz.pending || next_packet())) {
		use(sockets);
	}
	for (int i = 0; i < 7; i++) {
		winc_close(i);
	}
	winc_stop();
	return 0;
}
