/* SPDX-License-Identifier: BSD-2-Clause */
/* SPI engine of the WINC1500 model: bytes to commands and back (sections 2, 8.2). */
#include "emulator/winc_int.h"

#include <string.h>

enum {
	STATE_UNSUPPORTED = 1,
	STATE_UNEXPECTED = 2,
	STATE_COMMAND_CRC = 3,
	STATE_DATA_CRC = 4,
	STATE_INTERNAL = 5,
	CFG_CRC7 = 0x04,
	CFG_CRC16 = 0x08,
	TOKEN = 0xF3,
	CLOCKLESS = 0x80,
};

uint8_t
winc_engine_crc7(const uint8_t *p, size_t n)
{
	unsigned crc = 0x7F;

	for (size_t i = 0; i < n; i++) {
		for (int bit = 7; bit >= 0; bit--) {
			unsigned in = (p[i] >> bit & 1) ^ (crc >> 6 & 1);

			crc = (crc << 1 & 0x7F) ^ (in != 0 ? 0x09 : 0);
		}
	}
	return (uint8_t)(crc << 1);
}

uint16_t
winc_engine_crc16(const uint8_t *p, size_t n)
{
	unsigned crc = 0xFFFF;

	for (size_t i = 0; i < n; i++) {
		for (int bit = 7; bit >= 0; bit--) {
			unsigned in = (p[i] >> bit & 1) ^ (crc >> 15 & 1);

			crc = (crc << 1 & 0xFFFF) ^ (in != 0 ? 0x1021 : 0);
		}
	}
	return (uint16_t)crc;
}

void
winc_engine_reset(struct winc_model *m)
{
	memset(&m->engine, 0, sizeof m->engine);
}

/* Length without CRC; 0: not the first byte of a command. */
static size_t
command_size(uint8_t first)
{
	switch (first) {
	case 0xC1:
	case 0xC2:
		return 6;
	case 0xC3:
	case 0xC7:
	case 0xC8:
		return 7;
	case 0xC9:
		return 8;
	case 0xC4:
	case 0xC5:
	case 0xC6:
	case 0xCA:
	case 0xCF:
		return 4;
	default:
		return (first & 0xF0) == 0xC0 ? 1 : 0;
	}
}

static void
put(struct winc_engine *e, uint8_t byte)
{
	if (e->out_n < sizeof e->out) {
		e->out[e->out_n++] = byte;
	}
}

static void
put_idle(struct winc_engine *e, long n)
{
	for (; n > 0; n--) {
		put(e, 0);
	}
}

static void
begin_answer(struct winc_engine *e)
{
	e->state = SPI_ANSWER;
	e->out_at = 0;
	e->out_n = 0;
	e->data_follows = false;
}

/* Echo and state, with idle bytes before the echo now and then. */
static void
answer(struct winc_model *m, uint8_t state)
{
	struct winc_engine *e = &m->engine;
	uint8_t code = e->command[0];

	begin_answer(e);
	if (code == 0xC5 || code == 0xC6 || code == 0xCF) {
		put(e, WINC_JUNK);
	} else {
		put_idle(e, fault_value(m->faults, "winc.idle",
		                        (long)(world_random(m->world) % 4)));
	}
	put(e, code);
	put(e, state);
}

static void
put_data(struct winc_model *m, const uint8_t *data, size_t n, bool with_crc)
{
	struct winc_engine *e = &m->engine;
	uint16_t crc = winc_engine_crc16(data, n);

	if (fault_hits(m->faults, "winc.no-token")) {
		return;
	}
	put_idle(e, fault_value(m->faults, "winc.idle-token", (long)(world_random(m->world) % 4)));
	put(e, TOKEN);
	for (size_t i = 0; i < n; i++) {
		put(e, data[i]);
	}
	if (with_crc) {
		put(e, (uint8_t)(crc >> 8));
		put(e, (uint8_t)crc);
	}
}

static uint32_t
big_endian(const uint8_t *p, size_t n)
{
	uint32_t v = 0;

	for (size_t i = 0; i < n; i++) {
		v = v << 8 | p[i];
	}
	return v;
}

static void
read_register(struct winc_model *m, uint32_t address, bool with_crc)
{
	uint8_t data[4];

	winc_put32(data, winc_registers_read(m, address));
	answer(m, 0);
	put_data(m, data, sizeof data, with_crc);
}

static bool
block_size_good(struct winc_model *m, size_t n)
{
	size_t packet = (size_t)256 << (m->registers.spi_cfg >> 4 & 7);

	if (n == 1) {
		world_violation(m->world, "winc: block of one byte, a fault of the hardware (2.7)");
		return false;
	}
	if (n == 0 || n > packet || n > 8192) {
		world_violation(m->world, "winc: block of %zu bytes, packets are of %zu", n,
				packet);
		return false;
	}
	return true;
}

static void
read_block(struct winc_model *m, uint32_t address, size_t n)
{
	struct winc_engine *e = &m->engine;
	static const uint8_t nothing[4];

	if (!block_size_good(m, n) || !winc_host_may_read(m, address, n)) {
		answer(m, STATE_INTERNAL);
		return;
	}
	answer(m, 0);
	if (n > sizeof e->data) {
		put_data(m, nothing, sizeof nothing, false);
		return;
	}
	memcpy(e->data, m->window + (address - WINDOW_BASE), n);
	if (fault_hits(m->faults, "winc.bit-flip")) {
		uint64_t at = world_random(m->world);

		e->data[at % n] ^= (uint8_t)(1u << (at >> 32) % 8);
		e->flipped = true;
	}
	put_data(m, e->data, n, e->crc16);
}

static void
write_block(struct winc_model *m, uint32_t address, size_t n)
{
	struct winc_engine *e = &m->engine;

	if (!block_size_good(m, n) || !winc_host_may_write(m, address, n)) {
		answer(m, STATE_INTERNAL);
		return;
	}
	answer(m, 0);
	e->address = address;
	e->size = n;
	e->got = 0;
	e->data_follows = true;
}

static void
run_internal(struct winc_model *m, const uint8_t *c)
{
	if ((c[1] & CLOCKLESS) == 0) {
		world_violation(m->world, "winc: internal command %02X without the clockless bit",
		                c[0]);
	}
	if (c[0] == 0xC4) {
		read_register(m, big_endian(c + 1, 2) & 0x7FFF, false);
		return;
	}
	winc_registers_write(m, big_endian(c + 1, 2) & 0x7FFF, big_endian(c + 3, 4));
	answer(m, 0);
}

static void
run(struct winc_model *m)
{
	struct winc_engine *e = &m->engine;
	const uint8_t *c = e->command;
	uint32_t address = big_endian(c + 1, 3);

	switch (c[0]) {
	case 0xC1:
		write_block(m, address, big_endian(c + 4, 2));
		break;
	case 0xC2:
		read_block(m, address, big_endian(c + 4, 2));
		break;
	case 0xC3:
	case 0xC4:
		run_internal(m, c);
		break;
	case 0xC7:
		write_block(m, address, big_endian(c + 4, 3));
		break;
	case 0xC8:
		read_block(m, address, big_endian(c + 4, 3));
		break;
	case 0xC9:
		winc_registers_write(m, address, big_endian(c + 4, 4));
		answer(m, 0);
		break;
	case 0xCA:
		read_register(m, address, e->crc16);
		break;
	case 0xC5:
	case 0xC6:
		answer(m, 0);
		break;
	case 0xCF:
		m->host.disturbed = true;
		answer(m, 0);
		break;
	default:
		answer(m, STATE_UNSUPPORTED);
		break;
	}
}

static void
command_complete(struct winc_model *m)
{
	struct winc_engine *e = &m->engine;
	size_t n = command_size(e->command[0]);
	long state;

	winc_model_advance(m);
	if (fault_hits(m->faults, "winc.silent-reset")) {
		winc_model_reset(m);
		return;
	}
	if (e->crc7 && (winc_engine_crc7(e->command, n) ^ e->command[n]) >> 1 != 0) {
		answer(m, STATE_COMMAND_CRC);
		return;
	}
	if (fault_hits(m->faults, "winc.no-echo")) {
		e->state = SPI_IDLE;
		return;
	}
	state = e->command[0] == 0xCF ? 0 : fault_value(m->faults, "winc.state", 0);
	if (state != 0) {
		answer(m, (uint8_t)state);
		return;
	}
	run(m);
	if (e->state == SPI_ANSWER && fault_hits(m->faults, "winc.echo-lost")) {
		e->state = SPI_IDLE;
	}
}

static void
begin_command(struct winc_model *m, uint8_t first)
{
	struct winc_engine *e = &m->engine;

	e->crc7 = (m->registers.spi_cfg & CFG_CRC7) != 0;
	e->crc16 = (m->registers.spi_cfg & CFG_CRC16) != 0;
	e->command[0] = first;
	e->have = 1;
	e->need = command_size(first) + (e->crc7 ? 1 : 0);
	e->state = SPI_COMMAND;
	if (e->have == e->need) {
		command_complete(m);
	}
}

/* What the host sends under an answer must be zero. */
static void
check_idle_mosi(struct winc_model *m, uint8_t mosi)
{
	struct winc_engine *e = &m->engine;
	size_t n = command_size(e->command[0]);

	/* The CRC of a host that believes CRC to be on: it finds out this way (8.2). */
	if (mosi == 0 ||
	    (e->out_at == 0 && !e->crc7 && mosi == winc_engine_crc7(e->command, n))) {
		return;
	}
	/* And of one that does not know of a reset: it leaves the CRC of the data unread. */
	if (e->crc16 && e->out_at + 2 >= e->out_n) {
		return;
	}
	world_violation(m->world,
	                "winc: %02X sent while the answer to command %02X is not read (byte %zu of "
	                "%zu)",
	                mosi, e->command[0], e->out_at, e->out_n);
}

static uint8_t
exchange_answer(struct winc_model *m, uint8_t mosi)
{
	struct winc_engine *e = &m->engine;
	uint8_t miso;

	if (mosi == 0xCF) {
		begin_command(m, mosi);
		return 0;
	}
	check_idle_mosi(m, mosi);
	miso = e->out[e->out_at++];
	if (e->out_at == e->out_n) {
		e->state = e->data_follows ? SPI_TOKEN : SPI_IDLE;
	}
	return miso;
}

static void
exchange_token(struct winc_model *m, uint8_t mosi)
{
	struct winc_engine *e = &m->engine;

	if (mosi == 0xF3) {
		e->state = SPI_DATA;
	} else if (mosi == 0xCF) {
		begin_command(m, mosi);
	} else if (mosi == 0xF1 || mosi == 0xF2) {
		world_violation(m->world, "winc: a block in several packets (token %02X)", mosi);
	} else if (mosi != 0) {
		world_violation(m->world, "winc: %02X instead of a data token", mosi);
		answer(m, STATE_UNEXPECTED);
	}
}

/* All bytes are there: keep them, and say so; returns what goes out under the last byte. */
static uint8_t
data_complete(struct winc_model *m)
{
	struct winc_engine *e = &m->engine;
	uint16_t wire = (uint16_t)(e->data[e->size] << 8 | e->data[e->size + 1]);
	bool good = !e->crc16 || wire == winc_engine_crc16(e->data, e->size);
	bool early = fault_hits(m->faults, "winc.early-c3");

	if (fault_hits(m->faults, "winc.data-response")) {
		good = false;
	}
	begin_answer(e);
	if (!e->crc16 && !early) {
		put(e, WINC_JUNK & 0x0F);
	}
	if (!early) {
		put(e, 0xC3);
	}
	put(e, good ? 0 : STATE_DATA_CRC);
	if (good) {
		memcpy(m->window + (e->address - WINDOW_BASE), e->data, e->size);
	}
	return early ? 0xC3 : 0;
}

static uint8_t
exchange_data(struct winc_model *m, uint8_t mosi)
{
	struct winc_engine *e = &m->engine;

	e->data[e->got++] = mosi;
	return e->got == e->size + (e->crc16 ? 2 : 0) ? data_complete(m) : 0;
}

uint8_t
winc_engine_exchange(struct winc_model *m, uint8_t mosi)
{
	struct winc_engine *e = &m->engine;

	switch (e->state) {
	case SPI_IDLE:
		if (command_size(mosi) > 0) {
			begin_command(m, mosi);
		}
		return 0;
	case SPI_COMMAND:
		e->command[e->have++] = mosi;
		if (e->have == e->need) {
			command_complete(m);
		}
		return 0;
	case SPI_ANSWER:
		return exchange_answer(m, mosi);
	case SPI_TOKEN:
		exchange_token(m, mosi);
		return 0;
	default:
		return exchange_data(m, mosi);
	}
}
