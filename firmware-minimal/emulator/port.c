/* SPDX-License-Identifier: BSD-2-Clause */
/* PORT A and B, and the board's wires behind the pins (samd21 3.1, 3.2). */
#include <string.h>

#include "emulator/soc_int.h"

enum { CFG_PMUXEN = 1, CFG_INEN = 2, CFG_PULLEN = 4 };
enum { PIN_SDA = 8, PIN_SCL = 9, PIN_WIRE = 10, PIN_CS = 14, PIN_LED = 20, PIN_RESET = 27,
       PIN_ENABLE = 28, PINB_IRQ = 9, PINB_RX = 23 };

const struct bus_register port_registers[] = {
	{ 0x00, BUS_32, BUS_RW, 0xFFFFFFFF, "A.DIR" },
	{ 0x04, BUS_32, BUS_RW, 0xFFFFFFFF, "A.DIRCLR" },
	{ 0x08, BUS_32, BUS_RW, 0xFFFFFFFF, "A.DIRSET" },
	{ 0x0C, BUS_32, BUS_RW, 0xFFFFFFFF, "A.DIRTGL" },
	{ 0x10, BUS_32, BUS_RW, 0xFFFFFFFF, "A.OUT" },
	{ 0x14, BUS_32, BUS_RW, 0xFFFFFFFF, "A.OUTCLR" },
	{ 0x18, BUS_32, BUS_RW, 0xFFFFFFFF, "A.OUTSET" },
	{ 0x1C, BUS_32, BUS_RW, 0xFFFFFFFF, "A.OUTTGL" },
	{ 0x20, BUS_32, BUS_R, 0, "A.IN" },
	{ 0x24, BUS_32, BUS_RW, 0xFFFFFFFF, "A.CTRL" },
	{ 0x28, BUS_32, BUS_W, 0xDF47FFFF, "A.WRCONFIG" },
	{ 0x30, BUS_8, BUS_RW, 0x77, "A.PMUX", 16, 1 },
	{ 0x40, BUS_8, BUS_RW, 0x47, "A.PINCFG", 32, 1 },
	{ 0x80, BUS_32, BUS_RW, 0xFFFFFFFF, "B.DIR" },
	{ 0x84, BUS_32, BUS_RW, 0xFFFFFFFF, "B.DIRCLR" },
	{ 0x88, BUS_32, BUS_RW, 0xFFFFFFFF, "B.DIRSET" },
	{ 0x8C, BUS_32, BUS_RW, 0xFFFFFFFF, "B.DIRTGL" },
	{ 0x90, BUS_32, BUS_RW, 0xFFFFFFFF, "B.OUT" },
	{ 0x94, BUS_32, BUS_RW, 0xFFFFFFFF, "B.OUTCLR" },
	{ 0x98, BUS_32, BUS_RW, 0xFFFFFFFF, "B.OUTSET" },
	{ 0x9C, BUS_32, BUS_RW, 0xFFFFFFFF, "B.OUTTGL" },
	{ 0xA0, BUS_32, BUS_R, 0, "B.IN" },
	{ 0xA4, BUS_32, BUS_RW, 0xFFFFFFFF, "B.CTRL" },
	{ 0xA8, BUS_32, BUS_W, 0xDF47FFFF, "B.WRCONFIG" },
	{ 0xB0, BUS_8, BUS_RW, 0x77, "B.PMUX", 16, 1 },
	{ 0xC0, BUS_8, BUS_RW, 0x47, "B.PINCFG", 32, 1 },
	BUS_END,
};

/* What the pin's driver says: 0 low, 1 high, -1 nothing drives it but a pull or the board. */
static int
driven(const struct soc *soc, unsigned group, unsigned pin)
{
	const struct port_group *g = &soc->port.group[group];

	if ((g->pincfg[pin] & CFG_PMUXEN) != 0 || (g->dir >> pin & 1) == 0) {
		return -1;
	}
	return g->out >> pin & 1;
}

static int
pulled(const struct soc *soc, unsigned group, unsigned pin)
{
	const struct port_group *g = &soc->port.group[group];

	if ((g->pincfg[pin] & CFG_PULLEN) == 0 || (g->dir >> pin & 1) != 0) {
		return -1;
	}
	return g->out >> pin & 1;
}

/* Level of a line that only the microcontroller drives. */
static bool
output(const struct soc *soc, unsigned group, unsigned pin, bool otherwise)
{
	int level = driven(soc, group, pin);

	if (level < 0) {
		level = pulled(soc, group, pin);
	}
	return level < 0 ? otherwise : level != 0;
}

static bool
level_a(struct soc *soc, unsigned pin)
{
	const struct soc_config *c = &soc->config;

	switch (pin) {
	case PIN_SDA:
		return driven(soc, 0, pin) != 0 &&
		       !(c->atecc != NULL && atecc_model_sda_stuck(c->atecc));
	case PIN_SCL:
		return driven(soc, 0, pin) != 0 && !fault_hits(c->faults, "i2c.scl-stuck");
	case PIN_WIRE:
		return driven(soc, 0, pin) != 0 &&
		       (c->sensor == NULL || ds18b20_model_level(c->sensor));
	default:
		return output(soc, 0, pin, false);
	}
}

bool
port_level(struct soc *soc, unsigned group, unsigned pin)
{
	if (group == 0) {
		return level_a(soc, pin);
	}
	if (pin == PINB_IRQ) {
		return soc->config.winc == NULL || winc_model_irq_n(soc->config.winc);
	}
	return output(soc, 1, pin, pin == PINB_RX);
}

bool
port_function(const struct soc *soc, unsigned group, unsigned pin, unsigned f)
{
	const struct port_group *g = &soc->port.group[group];

	return (g->pincfg[pin] & CFG_PMUXEN) != 0 && (g->pmux[pin / 2] >> pin % 2 * 4 & 15) == f;
}

/* ---- the board's wires ---- */

static void
wires_to_winc(struct soc *soc)
{
	struct port *p = &soc->port;
	bool reset_n = output(soc, 0, PIN_RESET, false);
	bool chip_en = output(soc, 0, PIN_ENABLE, false);
	bool cs_n = output(soc, 0, PIN_CS, true);

	if (reset_n == p->reset_n && chip_en == p->chip_en && cs_n == p->cs_n) {
		return;
	}
	p->reset_n = reset_n;
	p->chip_en = chip_en;
	p->cs_n = cs_n;
	if (soc->config.winc != NULL) {
		winc_model_pins(soc->config.winc, reset_n, chip_en, cs_n);
	}
}

static void
wire_sda(struct soc *soc)
{
	struct port *p = &soc->port;
	bool low = driven(soc, 0, PIN_SDA) == 0;

	if (low == p->sda_low) {
		return;
	}
	p->sda_low = low;
	if (low) {
		p->sda_since = soc->world->now_ns;
	} else if (soc->config.atecc != NULL) {
		atecc_model_sda_low(soc->config.atecc, soc->world->now_ns - p->sda_since);
	}
}

static void
wire_one(struct soc *soc)
{
	bool low = driven(soc, 0, PIN_WIRE) == 0;

	if (driven(soc, 0, PIN_WIRE) == 1) {
		world_violation(soc->world, "pin D2 drives the one-wire bus high: it may only pull it low");
	}
	if (low != soc->port.wire_low) {
		soc->port.wire_low = low;
		if (soc->config.sensor != NULL) {
			ds18b20_model_drive(soc->config.sensor, low);
		}
	}
}

static void
wires(struct soc *soc)
{
	bool led = driven(soc, 0, PIN_LED) == 1;

	wires_to_winc(soc);
	wire_sda(soc);
	wire_one(soc);
	if (led != soc->port.led) {
		soc->port.led = led;
		if (soc->config.led != NULL) {
			soc->config.led(soc->config.owner, led);
		}
	}
	eic_sample(soc);
}

void
port_reset(struct soc *soc)
{
	memset(&soc->port.group, 0, sizeof soc->port.group);
	wires(soc);
}

/* ---- registers ---- */

static uint32_t
read_in(struct soc *soc, unsigned group, bool iobus)
{
	const struct port_group *g = &soc->port.group[group];
	uint32_t value = 0;

	if (iobus && g->ctrl == 0) {
		world_violation(soc->world, "PORT.IN read through the IOBUS without continuous sampling "
		                            "(PORT.CTRL)");
	}
	for (unsigned pin = 0; pin < 32; pin++) {
		if ((g->pincfg[pin] & CFG_INEN) != 0 && port_level(soc, group, pin)) {
			value |= UINT32_C(1) << pin;
		}
	}
	return value;
}

uint32_t
port_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes)
{
	const struct port_group *g = &soc->port.group[offset >> 7 & 1];
	unsigned o = offset & 0x7F;

	(void)bytes;
	if (o >= 0x40) {
		return g->pincfg[o - 0x40];
	}
	if (o >= 0x30) {
		return g->pmux[o - 0x30];
	}
	switch (o) {
	case 0x20: return read_in(soc, offset >> 7 & 1, instance == 1);
	case 0x24: return g->ctrl;
	case 0x10: case 0x14: case 0x18: case 0x1C: return g->out;
	default: return g->dir;
	}
}

static void
write_wrconfig(struct port_group *g, uint32_t value)
{
	unsigned base = value >> 31 ? 16 : 0;

	for (unsigned i = 0; i < 16; i++) {
		unsigned pin = base + i;

		if ((value >> i & 1) == 0) {
			continue;
		}
		if (value >> 28 & 1) {
			unsigned shift = pin % 2 * 4;

			g->pmux[pin / 2] = (uint8_t)((g->pmux[pin / 2] & ~(15u << shift)) |
			                             (value >> 24 & 15) << shift);
		}
		if (value >> 30 & 1) {
			g->pincfg[pin] = (uint8_t)(value >> 16 & 0x47);
		}
	}
}

void
port_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes, uint32_t value)
{
	struct port_group *g = &soc->port.group[offset >> 7 & 1];
	unsigned o = offset & 0x7F;

	(void)instance;
	(void)bytes;
	if (o >= 0x40) {
		g->pincfg[o - 0x40] = (uint8_t)value;
	} else if (o >= 0x30) {
		g->pmux[o - 0x30] = (uint8_t)value;
	} else {
		switch (o) {
		case 0x00: g->dir = value; break;
		case 0x04: g->dir &= ~value; break;
		case 0x08: g->dir |= value; break;
		case 0x0C: g->dir ^= value; break;
		case 0x10: g->out = value; break;
		case 0x14: g->out &= ~value; break;
		case 0x18: g->out |= value; break;
		case 0x1C: g->out ^= value; break;
		case 0x24: g->ctrl = value; break;
		case 0x28: write_wrconfig(g, value); break;
		default: break;
		}
	}
	wires(soc);
}
