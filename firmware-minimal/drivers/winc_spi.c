/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SPI frames of the WINC1500: commands, responses, data tokens, CRC, and the
 * way back when chip and host disagree where a frame starts (section 2).
 */
#include "drivers/winc_int.h"

#include "hal/spi.h"

enum {
	CMD_INTERNAL_WRITE = 0xC3,
	CMD_INTERNAL_READ = 0xC4,
	CMD_BLOCK_WRITE = 0xC7,
	CMD_BLOCK_READ = 0xC8,
	CMD_WRITE = 0xC9,
	CMD_READ = 0xCA,
	CMD_RESET = 0xCF,

	CLOCKLESS = 0x80,      /* in the high address byte of the internal commands */
	CLOCKLESS_READ = 0xFF, /* last address that is read so (2.1) */
	CLOCKLESS_WRITE = 0x30,

	TOKEN_ONLY = 0xF3,     /* first and last packet of a block */
	DATA_ACCEPTED = 0xC3,

	ECHO_BYTES = 11,       /* reads before we stop waiting for it (2.4) */
	TOKEN_BYTES = 10,
	ANSWER_BYTES = 10,
	TRIES = 10,
	CRC_REFUSALS = 3,      /* in a row: not noise, the chip was reset */

	REG_SPI_CFG = 0xE824,
	SPI_CFG_CRC = 0x0C,    /* command and data CRC enable */
	SPI_CFG_CLEAR = 0x7C,  /* and the packet size field */
	SPI_CFG_8192 = 0x50,
	BLOCK_MAX = 8192,
};

/* How one attempt ended. */
enum outcome {
	DONE,
	SILENT,  /* no answer where one is due: executed or not, nobody knows */
	REFUSED, /* the chip said that it did not execute it */
	BAD_CRC, /* the same, because of the command's CRC */
};

static bool crc_on; /* what we believe of the chip */

uint8_t
winc_crc7(const uint8_t *data, size_t n)
{
	uint8_t crc = 0x7F << 1;

	for (; n > 0; n--) {
		crc ^= *data++;
		for (int bit = 0; bit < 8; bit++) {
			crc = (uint8_t)((crc & 0x80) != 0 ? (crc << 1) ^ (0x09 << 1) : crc << 1);
		}
	}
	return crc;
}

uint16_t
winc_crc16(uint16_t crc, const uint8_t *data, size_t n)
{
	for (; n > 0; n--) {
		crc = (uint16_t)(crc ^ *data++ << 8);
		for (int bit = 0; bit < 8; bit++) {
			crc = (uint16_t)((crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1);
		}
	}
	return crc;
}

static bool
read_byte(uint8_t *byte)
{
	return spi_exchange(NULL, byte, 1);
}

/* The byte under which the answer starts: skip idle bytes up to the echo, then the state. */
static enum outcome
read_response(uint8_t command)
{
	uint8_t byte;

	for (int left = ECHO_BYTES;; left--) {
		if (left == 0 || !read_byte(&byte)) {
			return SILENT;
		}
		if (byte == command) {
			break;
		}
	}
	if (!read_byte(&byte)) {
		return SILENT;
	}
	if (byte == 0) {
		return DONE;
	}
	/* All ones is a floating line, not a refusal. */
	if (byte == 0xFF) {
		return SILENT;
	}
	return (byte & 0x0F) == 3 ? BAD_CRC : REFUSED;
}

/* frame has room for the CRC. */
static enum outcome
command(uint8_t *frame, size_t n)
{
	if (crc_on) {
		frame[n] = winc_crc7(frame, n);
		n++;
	}
	if (!spi_exchange(frame, NULL, n)) {
		return SILENT;
	}
	if (frame[0] == CMD_RESET) {
		uint8_t skipped;

		if (!read_byte(&skipped)) {
			return SILENT;
		}
	}
	return read_response(frame[0]);
}

/* Data behind its token; with CRC if the chip adds one. */
static enum outcome
read_data(uint8_t *data, size_t n, bool with_crc)
{
	uint8_t byte = 0;
	uint8_t crc[2];

	for (int left = TOKEN_BYTES; (byte & 0xF0) != 0xF0; left--) {
		if (left == 0 || !read_byte(&byte)) {
			return SILENT;
		}
	}
	if (byte == 0xFF || !spi_exchange(NULL, data, n)) {
		return SILENT;
	}
	if (!with_crc) {
		return DONE;
	}
	if (!spi_exchange(NULL, crc, sizeof crc)) {
		return SILENT;
	}
	return winc_crc16(0xFFFF, data, n) == (crc[0] << 8 | crc[1]) ? DONE : SILENT;
}

static enum outcome
register_read_once(uint32_t address, uint32_t *value)
{
	bool clockless = address <= CLOCKLESS_READ;
	uint8_t frame[5] = { clockless ? CMD_INTERNAL_READ : CMD_READ };
	uint8_t data[4];
	enum outcome o;

	if (clockless) {
		frame[1] = CLOCKLESS;
		frame[2] = (uint8_t)address;
	} else {
		frame[1] = (uint8_t)(address >> 16);
		frame[2] = (uint8_t)(address >> 8);
		frame[3] = (uint8_t)address;
	}
	o = command(frame, 4);
	if (o == DONE) {
		o = read_data(data, sizeof data, crc_on && !clockless);
	}
	if (o == DONE) {
		*value = get_le32(data);
	}
	return o;
}

static enum outcome
register_write_once(uint32_t address, uint32_t value)
{
	bool clockless = address <= CLOCKLESS_WRITE;
	uint8_t frame[9];
	size_t n = 0;

	if (clockless) {
		frame[n++] = CMD_INTERNAL_WRITE;
		frame[n++] = CLOCKLESS;
	} else {
		frame[n++] = CMD_WRITE;
		frame[n++] = (uint8_t)(address >> 16);
		frame[n++] = (uint8_t)(address >> 8);
	}
	frame[n++] = (uint8_t)address;
	for (int shift = 24; shift >= 0; shift -= 8) {
		frame[n++] = (uint8_t)(value >> shift);
	}
	return command(frame, n);
}

static enum outcome
block_command(uint8_t code, uint32_t address, size_t n)
{
	uint8_t frame[8] = {
		code,
		(uint8_t)(address >> 16), (uint8_t)(address >> 8), (uint8_t)address,
		(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n,
	};

	return command(frame, 7);
}

static enum outcome
block_read_once(uint32_t address, uint8_t *data, size_t n)
{
	enum outcome o = block_command(CMD_BLOCK_READ, address, n);

	return o == DONE ? read_data(data, n, crc_on) : o;
}

/*
 * The answer behind written data: C3 00. It may start while the last data
 * byte is still on its way (2.6), so that byte's answer counts.
 */
static enum outcome
write_data(const uint8_t *data, size_t n)
{
	static const uint8_t token = TOKEN_ONLY;
	uint8_t byte;

	if (!spi_exchange(&token, NULL, 1) || !spi_exchange(data, NULL, n - 1) ||
	    !spi_exchange(data + n - 1, &byte, 1)) {
		return SILENT;
	}
	if (crc_on) {
		uint16_t crc = winc_crc16(0xFFFF, data, n);
		const uint8_t wire[2] = { (uint8_t)(crc >> 8), (uint8_t)crc };

		if (!spi_exchange(wire, NULL, sizeof wire)) {
			return SILENT;
		}
		byte = 0;
	}
	for (int left = ANSWER_BYTES; byte != DATA_ACCEPTED; left--) {
		if (left == 0 || !read_byte(&byte)) {
			return SILENT;
		}
	}
	if (!read_byte(&byte)) {
		return SILENT;
	}
	return byte == 0 ? DONE : REFUSED;
}

static enum outcome
block_write_once(uint32_t address, const uint8_t *data, size_t n)
{
	enum outcome o = block_command(CMD_BLOCK_WRITE, address, n);

	return o == DONE ? write_data(data, n) : o;
}

/* The protocol reset: back to the start of a frame, nothing else changes (2.10). */
static void
resynchronise(void)
{
	uint8_t frame[5] = { CMD_RESET, 0xFF, 0xFF, 0xFF };

	time_wait_ms(1);
	spi_select(true);
	(void)command(frame, 4);
	spi_select(false);
	time_wait_ms(1);
}

enum kind {
	READ_REGISTER,
	WRITE_REGISTER,
	READ_BLOCK,
	WRITE_BLOCK,
};
struct operation {
	enum kind kind;
	uint32_t address, value;
	uint8_t *in;
	const uint8_t *out;
	size_t n;
};

static enum outcome
attempt(struct operation *op)
{
	enum outcome o;

	spi_select(true);
	switch (op->kind) {
	case READ_REGISTER:
		o = register_read_once(op->address, &op->value);
		break;
	case WRITE_REGISTER:
		o = register_write_once(op->address, op->value);
		break;
	case READ_BLOCK:
		o = block_read_once(op->address, op->in, op->n);
		break;
	default:
		o = block_write_once(op->address, op->out, op->n);
		break;
	}
	spi_select(false);
	return o;
}

static enum winc_status
repeat(struct operation *op, int tries)
{
	int refusals = 0;

	for (; tries > 0; tries--) {
		enum outcome o = attempt(op);

		if (o == DONE) {
			return WINC_OK;
		}
		refusals = o == BAD_CRC ? refusals + 1 : 0;
		if (refusals == CRC_REFUSALS) {
			return WINC_CHIP;
		}
		resynchronise();
	}
	return WINC_BUS;
}

enum winc_status
winc_read_register(uint32_t address, uint32_t *value)
{
	struct operation op = { .kind = READ_REGISTER, .address = address };
	enum winc_status status = repeat(&op, TRIES);

	if (status == WINC_OK) {
		*value = op.value;
	}
	return status;
}

enum winc_status
winc_write_register(uint32_t address, uint32_t value)
{
	struct operation op = { .kind = WRITE_REGISTER, .address = address, .value = value };

	return repeat(&op, TRIES);
}

enum winc_status
winc_read_block(uint32_t address, void *data, size_t n)
{
	struct operation op = { .kind = READ_BLOCK, .address = address, .in = data, .n = n };
	uint8_t pair[2];
	enum winc_status status;

	if (n == 0 || n > BLOCK_MAX) {
		return n == 0 ? WINC_OK : WINC_PARAMETER;
	}
	/*
	 * A block of one byte is a fault of the chip's hardware (2.7). Take the byte before it
	 * too: the one behind it may lie outside the packet.
	 */
	if (n == 1) {
		op.address--;
		op.in = pair;
		op.n = sizeof pair;
	}
	status = repeat(&op, TRIES);
	if (n == 1 && status == WINC_OK) {
		*(uint8_t *)data = pair[1];
	}
	return status;
}

enum winc_status
winc_write_block(uint32_t address, const void *data, size_t n)
{
	struct operation op = { .kind = WRITE_BLOCK, .address = address, .out = data, .n = n };
	uint8_t pair[2] = { 0 };

	if (n == 0 || n > BLOCK_MAX) {
		return n == 0 ? WINC_OK : WINC_PARAMETER;
	}
	if (n == 1) {
		pair[0] = *(const uint8_t *)data;
		op.out = pair;
		op.n = sizeof pair;
	}
	return repeat(&op, TRIES);
}

enum winc_status
winc_ring(uint32_t address, uint32_t value)
{
	struct operation op = { .kind = WRITE_REGISTER, .address = address, .value = value };
	int bad_crc = 0;

	for (int left = TRIES; left > 0; left--) {
		enum outcome o = attempt(&op);

		if (o == DONE) {
			return WINC_OK;
		}
		resynchronise();
		if (o == SILENT) {
			return WINC_AGAIN;
		}
		bad_crc = o == BAD_CRC ? bad_crc + 1 : 0;
		if (bad_crc == CRC_REFUSALS) {
			return WINC_CHIP;
		}
	}
	return WINC_BUS;
}

/* Is there a chip that answers when CRC is as we say? */
static bool
answers(bool crc, uint32_t *configuration)
{
	struct operation op = { .kind = READ_REGISTER, .address = REG_SPI_CFG };

	crc_on = crc;
	resynchronise();
	if (repeat(&op, 2) != WINC_OK || op.value == 0 || op.value == 0xFFFFFFFF) {
		return false;
	}
	*configuration = op.value;
	return true;
}

enum winc_status
winc_spi_sync(bool *was_reset)
{
	uint32_t configuration;

	if (answers(true, &configuration)) {
		*was_reset = *was_reset || (configuration & SPI_CFG_CRC) != 0;
	} else if (!answers(false, &configuration)) {
		return WINC_BUS;
	}
	configuration = (configuration & ~(uint32_t)SPI_CFG_CLEAR) | SPI_CFG_8192;
	/* This write still carries its CRC; the next command does not (2.8). */
	if (winc_write_register(REG_SPI_CFG, configuration) != WINC_OK) {
		return WINC_BUS;
	}
	crc_on = false;
	return WINC_OK;
}
