/* SPDX-License-Identifier: BSD-2-Clause */
/* Power manager, oscillators and generic clocks (samd21 section 2). */
#include <string.h>

#include "emulator/soc_int.h"

#define HZ_OSC8M 8000000u
#define HZ_DFLL 48000000u
#define HZ_32K 32768u

enum { GEN_OSCULP32K = 3, GEN_XOSC32K = 5, GEN_OSC8M = 6, GEN_DFLL = 7 };
enum { DFLL_ENABLE = 0x02, DFLL_CLOSED = 0x04, DFLL_ONDEMAND = 0x80 };
enum { XOSC_ENABLE = 0x02, XOSC_XTALEN = 0x04, XOSC_EN32K = 0x08 };

const struct bus_register pm_registers[] = {
	{ 0x00, BUS_8, BUS_RW, 0x00, "CTRL" },
	{ 0x01, BUS_8, BUS_RW, 0x03, "SLEEP" },
	{ 0x08, BUS_8, BUS_RW, 0x07, "CPUSEL" },
	{ 0x09, BUS_8, BUS_RW, 0x07, "APBASEL", 3, 1 },
	{ 0x14, BUS_32, BUS_RW, 0x7F, "AHBMASK" },
	{ 0x18, BUS_32, BUS_RW, 0x7F, "APBAMASK" },
	{ 0x1C, BUS_32, BUS_RW, 0x7F, "APBBMASK" },
	{ 0x20, BUS_32, BUS_RW, 0x1FFFFF, "APBCMASK" },
	{ 0x34, BUS_8, BUS_RW, 0x01, "INTENCLR" },
	{ 0x35, BUS_8, BUS_RW, 0x01, "INTENSET" },
	{ 0x36, BUS_8, BUS_RW, 0x01, "INTFLAG" },
	{ 0x38, BUS_8, BUS_R, 0, "RCAUSE" },
	BUS_END,
};
const struct bus_register sysctrl_registers[] = {
	{ 0x00, BUS_32, BUS_RW, 0x3CFFF, "INTENCLR" },
	{ 0x04, BUS_32, BUS_RW, 0x3CFFF, "INTENSET" },
	{ 0x08, BUS_32, BUS_RW, 0x3CFFF, "INTFLAG" },
	{ 0x0C, BUS_32, BUS_R, 0, "PCLKSR" },
	{ 0x14, BUS_16, BUS_RW, 0x17FE, "XOSC32K" },
	{ 0x20, BUS_32, BUS_RW, 0xFFFF03C2, "OSC8M" },
	{ 0x24, BUS_16, BUS_RW, 0x0FFE, "DFLLCTRL" },
	{ 0x28, BUS_32, BUS_RW, 0xFFFFFFFF, "DFLLVAL" },
	{ 0x2C, BUS_32, BUS_RW, 0xFFFFFFFF, "DFLLMUL" },
	{ 0x30, BUS_8, BUS_W, 0x80, "DFLLSYNC" },
	{ 0x34, BUS_32, BUS_RW, 0x3FF35E, "BOD33" },
	{ 0x40, BUS_32, BUS_RW, 0x07FF0006, "VREF" },
	BUS_END,
};
const struct bus_register gclk_registers[] = {
	{ 0x00, BUS_8, BUS_RW, 0x01, "CTRL" },
	{ 0x01, BUS_8, BUS_R, 0, "STATUS" },
	{ 0x02, BUS_8 | BUS_16, BUS_RW, 0xCF3F, "CLKCTRL" },
	{ 0x04, BUS_8 | BUS_32, BUS_RW, 0x003F1F0F, "GENCTRL" },
	{ 0x08, BUS_8 | BUS_32, BUS_RW, 0x00FFFF0F, "GENDIV" },
	BUS_END,
};

void
clocks_reset(struct soc *soc, enum soc_reset cause)
{
	struct sysctrl old = soc->sysctrl;
	struct gclk gclk = soc->gclk;
	bool power = cause == SOC_POWER_ON;

	soc->pm = (struct pm){ .ahb = 0x7F, .apba = 0x7F, .apbb = 0x7F, .apbc = 0x10000,
		               .rcause = (uint8_t)cause };
	soc->sysctrl = (struct sysctrl){ .osc8m = 0x87070382, .xosc32k = 0x80, .dfllctrl = 0x80,
		                         .dfllval = 0, .bod33 = 0x70002 | 1 << 3,
		                         .xosc32k_ready = SOC_NEVER, .dfll_locked = SOC_NEVER };
	memset(&soc->gclk, 0, sizeof soc->gclk);
	soc->gclk.genctrl[0] = 0x00010600;
	soc->gclk.genctrl[2] = 0x00010302;
	for (unsigned i = 0; i < 9; i++) {
		soc->gclk.genctrl[i] |= i;
		soc->gclk.gendiv[i] = i;
	}
	if (!power) {
		soc->sysctrl.xosc32k = old.xosc32k;
		soc->sysctrl.xosc32k_ready = old.xosc32k_ready;
		if (gclk.clkctrl[4] & 0x4000) {
			unsigned g = gclk.clkctrl[4] >> 8 & 15;

			soc->gclk.clkctrl[4] = gclk.clkctrl[4];
			if (g > 0 && g < 9) {
				soc->gclk.genctrl[g] = gclk.genctrl[g];
				soc->gclk.gendiv[g] = gclk.gendiv[g];
			}
		}
	}
}

/* ---- PM ---- */

uint32_t
pm_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes)
{
	const struct pm *pm = &soc->pm;

	(void)instance;
	(void)bytes;
	switch (offset) {
	case 0x01: return pm->sleep;
	case 0x08: return pm->cpusel;
	case 0x09: case 0x0A: case 0x0B: return pm->bussel[offset - 9];
	case 0x14: return pm->ahb;
	case 0x18: return pm->apba;
	case 0x1C: return pm->apbb;
	case 0x20: return pm->apbc;
	case 0x34: case 0x35: return pm->inten;
	case 0x36: return 1;
	case 0x38: return pm->rcause;
	default: return 0;
	}
}

void
pm_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes, uint32_t value)
{
	struct pm *pm = &soc->pm;

	(void)instance;
	(void)bytes;
	switch (offset) {
	case 0x01: pm->sleep = (uint8_t)value; break;
	case 0x08: pm->cpusel = (uint8_t)value; break;
	case 0x09: case 0x0A: case 0x0B: pm->bussel[offset - 9] = (uint8_t)value; break;
	case 0x14: pm->ahb = value; break;
	case 0x18: pm->apba = value; break;
	case 0x1C: pm->apbb = value; break;
	case 0x20: pm->apbc = value; break;
	case 0x34: pm->inten &= (uint8_t)~value; break;
	case 0x35: pm->inten |= (uint8_t)value; break;
	default: break;
	}
}

/* ---- SYSCTRL ---- */

/* A dead crystal: the firmware has to fall back (samd21 2.3). */
static bool
crystal_dead(struct soc *soc)
{
	return fault_hits(soc->config.faults, "board.crystal-dead");
}

static uint32_t
pclksr(struct soc *soc)
{
	struct sysctrl *s = &soc->sysctrl;
	uint64_t now = soc->world->now_ns;
	uint32_t value = 0x08 | 1 << 11;

	if (now >= s->xosc32k_ready) {
		value |= 0x02;
	}
	if (now >= s->dfll_busy && (s->dfllctrl & DFLL_ONDEMAND) == 0) {
		value |= 0x10;
	}
	if (now >= s->dfll_locked) {
		value |= 0xC0;
	}
	if (s->bod33 & 0x02) {
		value |= 1 << 9;
	}
	return value;
}

uint32_t
sysctrl_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes)
{
	const struct sysctrl *s = &soc->sysctrl;

	(void)instance;
	(void)bytes;
	switch (offset) {
	case 0x00: case 0x04: return s->inten;
	case 0x08: return s->intflag | pclksr(soc);
	case 0x0C: return pclksr(soc);
	case 0x14: return s->xosc32k;
	case 0x20: return s->osc8m;
	case 0x24: return s->dfllctrl;
	case 0x28:
		/* Without READREQ the register shows what was last synchronised: written values. */
		return s->dfllval;
	case 0x2C: return s->dfllmul;
	case 0x34: return s->bod33;
	case 0x40: return s->vref;
	default: return 0;
	}
}

static void
write_xosc32k(struct soc *soc, uint32_t value)
{
	static const uint32_t startup_us[8] = { 122, 1060, 62600, 125000, 500000, 1000000, 2000000,
		                                4000000 };
	struct sysctrl *s = &soc->sysctrl;
	bool was = (s->xosc32k & XOSC_ENABLE) != 0;

	s->xosc32k = (uint16_t)value;
	if ((value & XOSC_ENABLE) == 0) {
		s->xosc32k_ready = SOC_NEVER;
	} else if (!was) {
		if ((value & (XOSC_XTALEN | XOSC_EN32K)) != (XOSC_XTALEN | XOSC_EN32K)) {
			world_violation(soc->world, "XOSC32K enabled without XTALEN and EN32K: "
			                            "the board has a crystal, and its output is needed");
		}
		s->xosc32k_ready = crystal_dead(soc) ? SOC_NEVER
		        : soc->world->now_ns + startup_us[value >> 8 & 7] * UINT64_C(1000);
	}
}

static void
dfll_written(struct soc *soc, unsigned offset, uint32_t value)
{
	struct sysctrl *s = &soc->sysctrl;
	uint64_t now = soc->world->now_ns;

	if (now < s->dfll_busy) {
		world_violation(soc->world, "DFLL register 0x%02X written before PCLKSR.DFLLRDY", offset);
	}
	if (offset == 0x24) {
		if ((s->dfllctrl & DFLL_ONDEMAND) != 0 && (value & DFLL_ONDEMAND) != 0) {
			world_violation(soc->world, "DFLLCTRL written with ONDEMAND still set");
		}
		s->dfllctrl = (uint16_t)value;
		s->dfll_locked = SOC_NEVER;
		if ((value & (DFLL_ENABLE | DFLL_CLOSED)) == (DFLL_ENABLE | DFLL_CLOSED) &&
		    gclk_hertz(soc, 0) != 0) {
			s->dfll_locked = now + 2000000;
		}
	} else {
		if ((s->dfllctrl & DFLL_ONDEMAND) != 0) {
			world_violation(soc->world, "DFLL register 0x%02X written with DFLLCTRL.ONDEMAND set: "
			                            "the chip may hang (erratum 9905)", offset);
		}
		*(offset == 0x28 ? &s->dfllval : &s->dfllmul) = value;
	}
	s->dfll_busy = now + SYNC_NS;
}

void
sysctrl_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes, uint32_t value)
{
	struct sysctrl *s = &soc->sysctrl;

	(void)instance;
	(void)bytes;
	switch (offset) {
	case 0x00: s->inten &= ~value; break;
	case 0x04: s->inten |= value; break;
	case 0x08: s->intflag &= ~value; break;
	case 0x14: write_xosc32k(soc, value); break;
	case 0x20:
		if ((value & ~0x3C2u) != (s->osc8m & ~0x3C2u)) {
			world_violation(soc->world, "OSC8M written with another calibration than the factory's");
		}
		s->osc8m = value;
		break;
	case 0x24: case 0x28: case 0x2C: dfll_written(soc, offset, value); break;
	case 0x34: s->bod33 = value; break;
	case 0x40: s->vref = value; break;
	default: break;
	}
}

/* ---- GCLK ---- */

static uint32_t
generator_hertz(const struct soc *soc, unsigned g)
{
	const struct gclk *k = &soc->gclk;
	const struct sysctrl *s = &soc->sysctrl;
	uint32_t ctrl = k->genctrl[g];
	uint32_t div = k->gendiv[g] >> 8 & 0xFFFF;
	uint32_t hz = 0;

	if ((ctrl & 0x10000) == 0) {
		return 0;
	}
	switch (ctrl >> 8 & 31) {
	case GEN_OSCULP32K: hz = HZ_32K; break;
	case GEN_XOSC32K: hz = soc->world->now_ns >= s->xosc32k_ready ? HZ_32K : 0; break;
	case GEN_OSC8M: hz = HZ_OSC8M >> (s->osc8m >> 8 & 3); break;
	case GEN_DFLL: hz = s->dfllctrl & DFLL_ENABLE ? HZ_DFLL : 0; break;
	default: return 0;
	}
	div &= g == 1 ? 0xFFFF : g == 2 ? 0x1F : 0xFF;
	if (ctrl & 0x100000) {
		return hz >> (div + 1 > 31 ? 31 : div + 1);
	}
	return div > 1 ? hz / div : hz;
}

uint32_t
gclk_hertz(const struct soc *soc, unsigned id)
{
	uint16_t ctrl = soc->gclk.clkctrl[id & 63];
	unsigned g = ctrl >> 8 & 15;

	return (ctrl & 0x4000) == 0 || g > 8 ? 0 : generator_hertz(soc, g);
}

uint32_t
soc_hertz(const struct soc *soc)
{
	uint32_t hz = generator_hertz(soc, 0) >> soc->pm.cpusel;

	return hz == 0 ? 1000000 : hz;
}

bool
clocks_need(struct soc *soc, const char *name, bool bus_clock, int gclk_id)
{
	if (!bus_clock) {
		world_violation(soc->world, "%s used while its bus clock is masked in the PM", name);
		return false;
	}
	if (gclk_id >= 0 && gclk_hertz(soc, (unsigned)gclk_id) == 0) {
		world_violation(soc->world, "%s used without its generic clock 0x%02X", name, gclk_id);
		return false;
	}
	return true;
}

uint32_t
gclk_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes)
{
	const struct gclk *k = &soc->gclk;
	uint32_t mask = bytes == 1 ? 0xFF : bytes == 2 ? 0xFFFF : 0xFFFFFFFF;

	(void)instance;
	switch (offset) {
	case 0x01: return soc->world->now_ns < k->busy ? 0x80 : 0;
	case 0x02: return (k->clkctrl[k->clk_selected] | k->clk_selected) & mask;
	case 0x04: return k->genctrl[k->gen_selected] & mask;
	case 0x08: return k->gendiv[k->div_selected] & mask;
	default: return 0;
	}
}

static void
write_genctrl(struct soc *soc, unsigned id, uint32_t value)
{
	struct gclk *k = &soc->gclk;
	unsigned source = value >> 8 & 31;

	if (id == 0) {
		if (source == GEN_DFLL && (soc->nvm.ctrlb >> 1 & 15) < 1) {
			world_violation(soc->world, "the processor goes to 48 MHz with no flash wait state "
			                            "(NVMCTRL.CTRLB.RWS)");
		}
		if ((value & 0x10000) == 0) {
			world_violation(soc->world, "generator 0, the processor's clock, is switched off");
		}
	}
	if (source == GEN_DFLL && (soc->sysctrl.dfllctrl & DFLL_ENABLE) == 0) {
		world_violation(soc->world, "generator %u uses the DFLL, which is not enabled", id);
	}
	k->genctrl[id] = value;
}

void
gclk_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes, uint32_t value)
{
	struct gclk *k = &soc->gclk;
	unsigned id = value & (offset == 0x02 ? 63 : 15);

	(void)instance;
	if (offset != 0x02 && offset != 0x00 && id > 8) {
		world_violation(soc->world, "there is no generic clock generator %u", id);
		return;
	}
	if (bytes == 1 && offset != 0x00) { /* selects what is read */
		*(offset == 0x02 ? &k->clk_selected : offset == 0x04 ? &k->gen_selected
		                                                     : &k->div_selected) = (uint8_t)id;
		return;
	}
	if (soc->world->now_ns < k->busy) {
		world_violation(soc->world, "GCLK register 0x%02X written while STATUS.SYNCBUSY", offset);
	}
	switch (offset) {
	case 0x00:
		if (value & 1) {
			memset(k->clkctrl, 0, sizeof k->clkctrl);
		}
		break;
	case 0x02:
		k->clkctrl[id] = (uint16_t)(value & ~63u);
		k->clk_selected = (uint8_t)id;
		break;
	case 0x04:
		write_genctrl(soc, id, value);
		k->gen_selected = (uint8_t)id;
		break;
	case 0x08:
		k->gendiv[id] = value;
		k->div_selected = (uint8_t)id;
		if ((k->genctrl[id] & 0x10000) == 0) {
			return; /* of a generator that stands still: nothing to synchronise (2.3 B) */
		}
		break;
	default:
		break;
	}
	k->busy = soc->world->now_ns + SYNC_NS;
}
