/* SPDX-License-Identifier: BSD-2-Clause */
/* External interrupts; of the board's lines only EXTINT9 (the radio's IRQ_N) is wired (samd21 3.7). */
#include <string.h>

#include "emulator/soc_int.h"

#define GCLK_EIC 5
#define LINE_WINC 9

const struct bus_register eic_registers[] = {
	{ 0x00, BUS_8, BUS_RW, 0x03, "CTRL" },
	{ 0x01, BUS_8, BUS_R, 0, "STATUS" },
	{ 0x02, BUS_8, BUS_RW, 0x0F, "NMICTRL" },
	{ 0x03, BUS_8, BUS_RW, 0x01, "NMIFLAG" },
	{ 0x04, BUS_32, BUS_RW, 0xFFFF, "EVCTRL" },
	{ 0x08, BUS_32, BUS_RW, 0xFFFF, "INTENCLR" },
	{ 0x0C, BUS_32, BUS_RW, 0xFFFF, "INTENSET" },
	{ 0x10, BUS_32, BUS_RW, 0xFFFF, "INTFLAG" },
	{ 0x14, BUS_32, BUS_RW, 0xFFFF, "WAKEUP" },
	{ 0x18, BUS_32, BUS_RW, 0xFFFFFFFF, "CONFIG", 2, 4 },
	BUS_END,
};

void
eic_reset(struct soc *soc)
{
	memset(&soc->eic, 0, sizeof soc->eic);
	soc->eic.levels = 1u << LINE_WINC;
}

void
eic_sample(struct soc *soc)
{
	struct eic *e = &soc->eic;
	bool was = (e->levels >> LINE_WINC & 1) != 0;
	bool level = !port_function(soc, 1, 9, 0) || port_level(soc, 1, 9);
	unsigned sense = e->config[1] >> (LINE_WINC - 8) * 4 & 7;
	bool hit = false;

	e->levels = (e->levels & ~(1u << LINE_WINC)) | (uint32_t)level << LINE_WINC;
	if ((e->ctrl & 2) == 0) {
		return;
	}
	switch (sense) {
	case 1: hit = level && !was; break;
	case 2: hit = !level && was; break;
	case 3: hit = level != was; break;
	case 4: hit = level; break;
	case 5: hit = !level; break;
	default: break;
	}
	/* Edges and the filter want the generic clock (3.7). */
	if (hit && sense <= 3 && gclk_hertz(soc, GCLK_EIC) == 0) {
		return;
	}
	if (hit) {
		e->flags |= 1u << LINE_WINC;
	}
}

uint32_t
eic_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes)
{
	const struct eic *e = &soc->eic;

	(void)instance;
	(void)bytes;
	switch (offset) {
	case 0x00: return e->ctrl;
	case 0x01: return soc->world->now_ns < e->busy ? 0x80 : 0;
	case 0x02: return e->nmictrl;
	case 0x04: return e->evctrl;
	case 0x08: case 0x0C: return e->inten;
	case 0x10: return e->flags;
	case 0x14: return e->wakeup;
	case 0x18: case 0x1C: return e->config[(offset - 0x18) / 4];
	default: return 0;
	}
}

static void
write_ctrl(struct soc *soc, uint32_t value)
{
	struct eic *e = &soc->eic;

	if (soc->world->now_ns < e->busy) {
		world_violation(soc->world, "EIC.CTRL written while STATUS.SYNCBUSY");
	}
	if (value & 1) {
		eic_reset(soc);
	} else {
		e->ctrl = (uint8_t)value;
		if (value & 2) {
			/* The edge detector starts from anything: a spurious flag to be dropped (3.7). */
			e->flags |= (e->config[1] >> 4 & 7) != 0 ? 1u << LINE_WINC : 0;
		}
	}
	e->busy = soc->world->now_ns + SYNC_NS;
}

void
eic_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes, uint32_t value)
{
	struct eic *e = &soc->eic;

	(void)instance;
	(void)bytes;
	if ((soc->pm.apba & 1 << 6) == 0) {
		clocks_need(soc, "EIC", false, -1);
		return;
	}
	switch (offset) {
	case 0x00: write_ctrl(soc, value); break;
	case 0x02: e->nmictrl = (uint8_t)value; break;
	case 0x04: e->evctrl = value; break;
	case 0x08: e->inten &= ~value; break;
	case 0x0C: e->inten |= value; break;
	case 0x10: e->flags &= ~value; break;
	case 0x14: e->wakeup = value; break;
	case 0x18: case 0x1C:
		if (e->ctrl & 2) {
			world_violation(soc->world, "EIC.CONFIG written while the EIC is enabled");
		}
		e->config[(offset - 0x18) / 4] = value;
		break;
	default: break;
	}
	eic_sample(soc);
}
