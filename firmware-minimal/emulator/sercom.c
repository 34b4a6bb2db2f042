/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the serial modules have in common (samd21 3.3): registers, clocks,
 * synchronisation, enable protection. The board fixes each one's mode:
 * SERCOM2 is I2C, SERCOM4 SPI, SERCOM5 USART.
 */
#include <string.h>

#include "emulator/soc_int.h"

#define GCLK_SERCOM0 0x14
enum { CTRLA_SWRST = 1, CTRLA_ENABLE = 2 };
enum { MODE_USART = 1, MODE_SPI = 3, MODE_I2C = 5 };
enum { FLAG_DRE = 1, FLAG_TXC = 2, FLAG_RXC = 4, FLAG_ERROR = 0x80 };

const struct bus_register sercom_spi_registers[] = {
	{ 0x00, BUS_32, BUS_RW, 0x7F33019F, "CTRLA" },
	{ 0x04, BUS_32, BUS_RW, 0x0002E247, "CTRLB" },
	{ 0x0C, BUS_8, BUS_RW, 0xFF, "BAUD" },
	{ 0x14, BUS_8, BUS_RW, 0x8F, "INTENCLR" },
	{ 0x16, BUS_8, BUS_RW, 0x8F, "INTENSET" },
	{ 0x18, BUS_8, BUS_RW, 0x8F, "INTFLAG" },
	{ 0x1A, BUS_16, BUS_RW, 0x04, "STATUS" },
	{ 0x1C, BUS_32, BUS_R, 0, "SYNCBUSY" },
	{ 0x28, BUS_ANY, BUS_RW, 0x1FF, "DATA" },
	{ 0x30, BUS_8, BUS_RW, 0x01, "DBGCTRL" },
	BUS_END,
};
const struct bus_register sercom_usart_registers[] = {
	{ 0x00, BUS_32, BUS_RW, 0x7FF3E19F, "CTRLA" },
	{ 0x04, BUS_32, BUS_RW, 0x00032747, "CTRLB" },
	{ 0x0C, BUS_16, BUS_RW, 0xFFFF, "BAUD" },
	{ 0x14, BUS_8, BUS_RW, 0xBF, "INTENCLR" },
	{ 0x16, BUS_8, BUS_RW, 0xBF, "INTENSET" },
	{ 0x18, BUS_8, BUS_RW, 0xBF, "INTFLAG" },
	{ 0x1A, BUS_16, BUS_RW, 0x37, "STATUS" },
	{ 0x1C, BUS_32, BUS_R, 0, "SYNCBUSY" },
	{ 0x28, BUS_8 | BUS_16, BUS_RW, 0x1FF, "DATA" },
	{ 0x30, BUS_8, BUS_RW, 0x01, "DBGCTRL" },
	BUS_END,
};
const struct bus_register sercom_i2c_registers[] = {
	{ 0x00, BUS_32, BUS_RW, 0x7BF1009F, "CTRLA" },
	{ 0x04, BUS_32, BUS_RW, 0x00070300, "CTRLB" },
	{ 0x0C, BUS_32, BUS_RW, 0xFFFF, "BAUD" },
	{ 0x14, BUS_8, BUS_RW, 0x83, "INTENCLR" },
	{ 0x16, BUS_8, BUS_RW, 0x83, "INTENSET" },
	{ 0x18, BUS_8, BUS_RW, 0x83, "INTFLAG" },
	{ 0x1A, BUS_16, BUS_RW, 0x07F7, "STATUS" },
	{ 0x1C, BUS_32, BUS_R, 0, "SYNCBUSY" },
	{ 0x24, BUS_32, BUS_RW, 0x00FFE7FF, "ADDR" },
	{ 0x28, BUS_8, BUS_RW, 0xFF, "DATA" },
	{ 0x30, BUS_8, BUS_RW, 0x01, "DBGCTRL" },
	BUS_END,
};

static const char *const names[6] = { "SERCOM0", "SERCOM1", "SERCOM2", "SERCOM3", "SERCOM4",
	                              "SERCOM5" };

static unsigned
mode_of_board(unsigned n)
{
	return n == 2 ? MODE_I2C : n == 4 ? MODE_SPI : MODE_USART;
}

void
sercom_reset(struct soc *soc, unsigned n)
{
	memset(&soc->sercom[n], 0, sizeof soc->sercom[n]);
}

uint32_t
sercom_hertz(const struct soc *soc, unsigned n)
{
	return gclk_hertz(soc, GCLK_SERCOM0 + n);
}

static uint32_t
sync_bits(const struct soc *soc, unsigned n)
{
	const struct sercom *s = &soc->sercom[n];

	/*
	 * Without its generic clock it never leaves SYNCBUSY (2.7), but for a reset: Arduino's
	 * core waits for the end of that before it gives the module its clock.
	 */
	if (soc->world->now_ns < s->sync_until ||
	    (s->sync != CTRLA_SWRST && sercom_hertz(soc, n) == 0)) {
		return s->sync;
	}
	return 0;
}

bool
sercom_synced(struct soc *soc, unsigned n, const char *what)
{
	uint32_t bits = sync_bits(soc, n);

	if (bits != 0) {
		world_violation(soc->world, "%s.%s written while SYNCBUSY is 0x%X: the write before was "
		                            "not waited for", names[n], what, bits);
	}
	return bits == 0;
}

void
sercom_sync(struct soc *soc, unsigned n, uint32_t bits)
{
	soc->sercom[n].sync = bits;
	soc->sercom[n].sync_until = soc->world->now_ns + SYNC_NS;
}

/* ---- pins ---- */

static void
check_pins(struct soc *soc, unsigned n)
{
	static const struct {
		uint8_t sercom, group, pin;
		const char *what;
	} pins[] = {
		{ 2, 0, 8, "SDA (PA08)" }, { 2, 0, 9, "SCL (PA09)" }, { 4, 0, 12, "MOSI (PA12)" },
		{ 4, 0, 13, "SCK (PA13)" }, { 4, 0, 15, "MISO (PA15)" }, { 5, 1, 22, "TX (PB22)" },
	};

	for (unsigned i = 0; i < sizeof pins / sizeof pins[0]; i++) {
		if (pins[i].sercom == n && !port_function(soc, pins[i].group, pins[i].pin, 3)) {
			world_violation(soc->world, "%s used, but pin %s is not given to it (function D)",
			                names[n], pins[i].what);
		}
	}
}

static void
check_pads(struct soc *soc, unsigned n, uint32_t ctrla)
{
	if (n == 4 && ((ctrla >> 16 & 3) != 0 || (ctrla >> 20 & 3) != 3)) {
		world_violation(soc->world, "SERCOM4.CTRLA: the radio is on DOPO 0 and DIPO 3");
	}
	if (n == 4 && (ctrla & (UINT32_C(7) << 28)) != 0) {
		world_violation(soc->world, "SERCOM4.CTRLA: the radio wants SPI mode 0, MSB first");
	}
	if (n == 5 && ((ctrla >> 16 & 3) != 1 || (ctrla >> 20 & 3) != 3)) {
		world_violation(soc->world, "SERCOM5.CTRLA: the console is on TXPO 1 and RXPO 3");
	}
	if (n == 5 && (ctrla & UINT32_C(1) << 30) == 0) {
		world_violation(soc->world, "SERCOM5.CTRLA: DORD 0 sends the MSB first");
	}
}

/* ---- registers ---- */

static bool
usable(struct soc *soc, unsigned n)
{
	return clocks_need(soc, names[n], (soc->pm.apbc >> (2 + n) & 1) != 0, -1);
}

static uint8_t
flags(const struct soc *soc, unsigned n)
{
	const struct sercom *s = &soc->sercom[n];
	uint8_t value = s->intflag;

	if (n != 2 && (s->ctrla & CTRLA_ENABLE) != 0) {
		value |= s->tx_full ? 0 : FLAG_DRE;
		value |= s->rx_count > 0 ? FLAG_RXC : 0;
	}
	return value;
}

static uint32_t
read_data(struct soc *soc, unsigned n)
{
	struct sercom *s = &soc->sercom[n];
	uint16_t value;

	if (n == 2) {
		return i2c_read_data(soc, n);
	}
	if (s->rx_count == 0) {
		if (n == 4) {
			world_violation(soc->world, "SERCOM4.DATA read, but nothing was received (RXC is 0)");
		}
		return 0;
	}
	value = s->rx[0];
	s->rx_count--;
	memmove(s->rx, s->rx + 1, sizeof s->rx - sizeof s->rx[0]);
	return value;
}

uint32_t
sercom_read(struct soc *soc, unsigned n, unsigned offset, unsigned bytes)
{
	const struct sercom *s = &soc->sercom[n];

	(void)bytes;
	if (!usable(soc, n)) {
		return 0;
	}
	sercom_advance(soc);
	switch (offset) {
	case 0x00: return s->ctrla;
	case 0x04: return s->ctrlb;
	case 0x0C: return s->baud;
	case 0x14: case 0x16: return s->inten;
	case 0x18: return flags(soc, n);
	case 0x1A: return n == 2 ? i2c_status(soc, n) : s->status;
	case 0x1C: return sync_bits(soc, n);
	case 0x24: return s->address;
	case 0x28: return read_data(soc, n);
	case 0x30: return s->debug;
	default: return 0;
	}
}

static void
write_ctrla(struct soc *soc, unsigned n, uint32_t value)
{
	struct sercom *s = &soc->sercom[n];
	bool enabled = (s->ctrla & CTRLA_ENABLE) != 0;

	sercom_synced(soc, n, "CTRLA");
	if (value & CTRLA_SWRST) {
		sercom_reset(soc, n);
		sercom_sync(soc, n, 1);
		return;
	}
	if (enabled && (value & CTRLA_ENABLE) != 0 && value != s->ctrla) {
		world_violation(soc->world, "%s.CTRLA is enable-protected, but was changed while enabled",
		                names[n]);
		return;
	}
	if (!enabled && (value & CTRLA_ENABLE) != 0) {
		if ((value >> 2 & 7) != mode_of_board(n)) {
			world_violation(soc->world, "%s enabled in mode %u, the board has it in mode %u",
			                names[n], value >> 2 & 7, mode_of_board(n));
		}
		clocks_need(soc, names[n], true, (int)(GCLK_SERCOM0 + n));
		check_pads(soc, n, value);
		check_pins(soc, n);
	}
	if (enabled != ((value & CTRLA_ENABLE) != 0)) {
		sercom_sync(soc, n, 2);
		s->bus = I2C_UNKNOWN;
		s->doing = I2C_NONE;
		s->rx_count = 0;
	}
	s->ctrla = value;
}

static void
write_ctrlb(struct soc *soc, unsigned n, uint32_t value)
{
	struct sercom *s = &soc->sercom[n];

	if (n == 2) {
		i2c_write_ctrlb(soc, n, value);
		return;
	}
	sercom_synced(soc, n, "CTRLB");
	if ((s->ctrla & CTRLA_ENABLE) != 0 && ((value ^ s->ctrlb) & ~0x00030000u) != 0) {
		world_violation(soc->world, "%s.CTRLB is enable-protected, but was changed while enabled",
		                names[n]);
	}
	s->ctrlb = value;
	if ((s->ctrla & CTRLA_ENABLE) != 0) {
		sercom_sync(soc, n, 4); /* there is nothing to wait for before it runs */
	}
}

static void
write_baud(struct soc *soc, unsigned n, uint32_t value)
{
	if (soc->sercom[n].ctrla & CTRLA_ENABLE) {
		world_violation(soc->world, "%s.BAUD is enable-protected, but was written while enabled",
		                names[n]);
	}
	soc->sercom[n].baud = (uint16_t)value;
}

static void
write_data(struct soc *soc, unsigned n, uint32_t value)
{
	if ((soc->sercom[n].ctrla & CTRLA_ENABLE) == 0) {
		world_violation(soc->world, "%s.DATA written while the module is not enabled", names[n]);
		return;
	}
	sercom_synced(soc, n, "DATA");
	if (n == 2) {
		i2c_write_data(soc, n, value);
	} else if (n == 4) {
		spi_data(soc, n, value);
	} else {
		usart_data(soc, n, value);
	}
}

void
sercom_write(struct soc *soc, unsigned n, unsigned offset, unsigned bytes, uint32_t value)
{
	struct sercom *s = &soc->sercom[n];

	(void)bytes;
	if (!usable(soc, n)) {
		return;
	}
	sercom_advance(soc);
	switch (offset) {
	case 0x00: write_ctrla(soc, n, value); break;
	case 0x04: write_ctrlb(soc, n, value); break;
	case 0x0C: write_baud(soc, n, value); break;
	case 0x14: s->inten &= (uint8_t)~value; break;
	case 0x16: s->inten |= (uint8_t)value; break;
	case 0x18: s->intflag &= (uint8_t)~value; break;
	case 0x1A:
		if (n == 2) {
			i2c_write_status(soc, n, value);
		} else {
			s->status &= (uint16_t)~value;
		}
		break;
	case 0x24: i2c_write_address(soc, n, value); break;
	case 0x28: write_data(soc, n, value); break;
	case 0x30: s->debug = (uint8_t)value; break;
	default: break;
	}
}

void
sercom_receive(struct soc *soc, unsigned n, uint16_t value)
{
	struct sercom *s = &soc->sercom[n];

	if (s->rx_count == 2) {
		s->status |= 4; /* BUFOVF */
		s->intflag |= FLAG_ERROR;
		if (n == 4) {
			world_violation(soc->world, "SERCOM4: a third byte came in while two were unread");
		}
		return;
	}
	s->rx[s->rx_count++] = value;
}

void
soc_serial_input(struct soc *soc, uint8_t byte)
{
	if ((soc->sercom[5].ctrla & CTRLA_ENABLE) != 0 && (soc->sercom[5].ctrlb >> 17 & 1) != 0) {
		sercom_receive(soc, 5, byte);
		scs_lines(soc);
	}
}

void
sercom_advance(struct soc *soc)
{
	shifter_advance(soc, 4);
	shifter_advance(soc, 5);
	i2c_advance(soc, 2);
}

uint64_t
sercom_next(const struct soc *soc)
{
	uint64_t next = SOC_NEVER;

	for (unsigned n = 4; n < 6; n++) {
		if (soc->sercom[n].shifting && soc->sercom[n].inten != 0 &&
		    soc->sercom[n].shift_until < next) {
			next = soc->sercom[n].shift_until;
		}
	}
	/* Nobody asks for the end of a STOP, but the chip on the bus starts its work then. */
	if ((soc->sercom[2].doing == I2C_STOP ||
	     (soc->sercom[2].doing != I2C_NONE && soc->sercom[2].inten != 0)) &&
	    soc->sercom[2].due < next) {
		next = soc->sercom[2].due;
	}
	return next;
}
