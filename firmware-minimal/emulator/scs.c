/* SPDX-License-Identifier: BSD-2-Clause */
/* System control space: SysTick, NVIC, SCB (samd21 3.8, 6.1). */
#include <string.h>

#include "emulator/soc_int.h"

enum { CSR_ENABLE = 1, CSR_TICKINT = 2, CSR_CPU = 4, CSR_COUNTFLAG = 1 << 16 };
#define LINES ((UINT32_C(1) << IRQ_COUNT) - 1)

const struct bus_register scs_registers[] = {
	{ 0x010, BUS_32, BUS_RW, 0x00010007, "SYST_CSR" },
	{ 0x014, BUS_32, BUS_RW, 0x00FFFFFF, "SYST_RVR" },
	{ 0x018, BUS_32, BUS_RW, 0xFFFFFFFF, "SYST_CVR" },
	{ 0x01C, BUS_32, BUS_R, 0, "SYST_CALIB" },
	{ 0x100, BUS_32, BUS_RW, 0x0FFFFFFF, "NVIC_ISER" },
	{ 0x180, BUS_32, BUS_RW, 0xFFFFFFFF, "NVIC_ICER" },
	{ 0x200, BUS_32, BUS_RW, 0x0FFFFFFF, "NVIC_ISPR" },
	{ 0x280, BUS_32, BUS_RW, 0xFFFFFFFF, "NVIC_ICPR" },
	{ 0x400, BUS_32, BUS_RW, 0xFFFFFFFF, "NVIC_IPR", 7, 4 },
	{ 0xD00, BUS_32, BUS_R, 0, "CPUID" },
	{ 0xD04, BUS_32, BUS_RW, 0x9E000000, "ICSR" },
	{ 0xD08, BUS_32, BUS_RW, 0xFFFFFF00, "VTOR" },
	{ 0xD0C, BUS_32, BUS_RW, 0xFFFF0006, "AIRCR" },
	{ 0xD10, BUS_32, BUS_RW, 0x00000016, "SCR" },
	{ 0xD14, BUS_32, BUS_R, 0, "CCR" },
	{ 0xD1C, BUS_32, BUS_RW, 0xC0000000, "SHPR2" },
	{ 0xD20, BUS_32, BUS_RW, 0xC0C00000, "SHPR3" },
	BUS_END,
};

void
scs_reset(struct soc *soc)
{
	memset(&soc->scs, 0, sizeof soc->scs);
	soc->scs.vtor = SOC_IMAGE_BASE; /* the loader sets it before it jumps (1.3) */
}

/* ---- SysTick ---- */

static bool
systick_runs(const struct scs *s)
{
	return (s->csr & CSR_ENABLE) != 0 && s->rvr != 0;
}

void
scs_advance(struct soc *soc)
{
	struct scs *s = &soc->scs;
	uint64_t period = (uint64_t)s->rvr + 1;

	if (!systick_runs(s) || soc->cycles < s->zero_at) {
		return;
	}
	s->countflag = true;
	s->zero_at += ((soc->cycles - s->zero_at) / period + 1) * period;
	if (s->csr & CSR_TICKINT) {
		s->systick_pending = true;
	}
}

static uint32_t
systick_value(struct soc *soc)
{
	struct scs *s = &soc->scs;
	uint32_t left;

	scs_advance(soc);
	if (!systick_runs(s)) {
		return s->cvr;
	}
	left = (uint32_t)(s->zero_at - soc->cycles) & 0xFFFFFF;
	return left == s->rvr + 1 ? 0 : left; /* a whole period: it is at zero just now */
}

static void
systick_control(struct soc *soc, uint32_t value)
{
	struct scs *s = &soc->scs;

	s->cvr = systick_value(soc);
	if ((value & CSR_ENABLE) != 0 && (value & CSR_CPU) == 0) {
		world_violation(soc->world, "SysTick without CLKSOURCE: the chip has no other clock for it");
	}
	s->csr = value & 7;
	s->zero_at = soc->cycles + (s->cvr != 0 ? s->cvr : s->rvr + 1);
}

uint64_t
soc_next_cycle(const struct soc *soc)
{
	return systick_runs(&soc->scs) ? soc->scs.zero_at : SOC_NEVER;
}

/* ---- lines ---- */

void
scs_lines(struct soc *soc)
{
	uint32_t lines = 0;

	if ((soc->wdt.flag & soc->wdt.inten) != 0) {
		lines |= 1u << IRQ_WDT;
	}
	if ((soc->rtc.flag & soc->rtc.inten) != 0) {
		lines |= 1u << IRQ_RTC;
	}
	if ((soc->eic.flags & soc->eic.inten) != 0) {
		lines |= 1u << IRQ_EIC;
	}
	if ((soc->nvm.inten & (1 | (soc->nvm.error ? 2 : 0))) != 0) {
		lines |= 1u << IRQ_NVM;
	}
	for (unsigned n = 2; n < 6; n++) {
		const struct sercom *s = &soc->sercom[n];
		uint8_t flags = s->intflag;

		if (n != 2 && (s->ctrla & 2) != 0) {
			flags |= (s->tx_full ? 0 : 1) | (s->rx_count > 0 ? 4 : 0);
		}
		if ((flags & s->inten) != 0) {
			lines |= 1u << (IRQ_SERCOM0 + n);
		}
	}
	if ((soc->adc.flag & soc->adc.inten) != 0) {
		lines |= 1u << IRQ_ADC;
	}
	soc->scs.pending |= lines & ~soc->scs.active;
}

/* ---- exceptions ---- */

int
soc_priority(const struct soc *soc, unsigned exception)
{
	const struct scs *s = &soc->scs;

	switch (exception) {
	case 0: return SOC_PRIORITY_THREAD;
	case 2: return -2;
	case 3: return -1;
	case EXCEPTION_SVC: return s->shpr2 >> 30;
	case EXCEPTION_PENDSV: return s->shpr3 >> 22 & 3;
	case EXCEPTION_SYSTICK: return s->shpr3 >> 30;
	default: return s->priority[(exception - EXCEPTION_IRQ) & 31] >> 6;
	}
}

unsigned
soc_exception(const struct soc *soc, int current, bool masked)
{
	const struct scs *s = &soc->scs;
	uint32_t lines = s->pending & s->enabled;
	unsigned best = 0;
	int priority = masked ? 0 : current;

	if (s->pendsv_pending && soc_priority(soc, EXCEPTION_PENDSV) < priority) {
		best = EXCEPTION_PENDSV;
		priority = soc_priority(soc, best);
	}
	if (s->systick_pending && soc_priority(soc, EXCEPTION_SYSTICK) < priority) {
		best = EXCEPTION_SYSTICK;
		priority = soc_priority(soc, best);
	}
	for (unsigned n = 0; lines != 0; n++, lines >>= 1) {
		if ((lines & 1) != 0 && s->priority[n] >> 6 < priority) {
			best = EXCEPTION_IRQ + n;
			priority = s->priority[n] >> 6;
		}
	}
	return best;
}

bool
soc_wakes(const struct soc *soc)
{
	return soc_exception(soc, SOC_PRIORITY_THREAD, false) != 0;
}

bool
soc_sleep_deep(const struct soc *soc)
{
	return (soc->scs.scr & 4) != 0;
}

uint32_t
soc_vector_table(const struct soc *soc)
{
	return soc->scs.vtor;
}

void
soc_exception_entered(struct soc *soc, unsigned exception)
{
	struct scs *s = &soc->scs;

	s->current = exception;
	if (exception == EXCEPTION_PENDSV) {
		s->pendsv_pending = false;
	} else if (exception == EXCEPTION_SYSTICK) {
		s->systick_pending = false;
	} else if (exception >= EXCEPTION_IRQ) {
		s->pending &= ~(1u << (exception - EXCEPTION_IRQ));
		s->active |= 1u << (exception - EXCEPTION_IRQ);
	}
}

void
soc_exception_left(struct soc *soc, unsigned exception)
{
	if (exception >= EXCEPTION_IRQ) {
		soc->scs.active &= ~(1u << (exception - EXCEPTION_IRQ));
		scs_lines(soc); /* a level that still stands comes again */
	}
	soc->scs.current = 0;
}

/* ---- registers ---- */

static uint32_t
read_icsr(struct soc *soc)
{
	const struct scs *s = &soc->scs;
	unsigned next;

	scs_advance(soc);
	next = soc_exception(soc, SOC_PRIORITY_THREAD, false);
	return (uint32_t)s->pendsv_pending << 28 | (uint32_t)s->systick_pending << 26 |
	       ((s->pending & LINES) != 0 ? 1u << 22 : 0) | next << 12 | s->current;
}

static uint32_t
read_csr(struct soc *soc)
{
	struct scs *s = &soc->scs;
	uint32_t value;

	scs_advance(soc);
	value = s->csr | (s->countflag ? CSR_COUNTFLAG : 0);
	s->countflag = false;
	return value;
}

uint32_t
scs_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes)
{
	const struct scs *s = &soc->scs;

	(void)instance;
	(void)bytes;
	if (offset >= 0x400 && offset < 0x41C) {
		const uint8_t *p = s->priority + (offset - 0x400);

		return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
	}
	switch (offset) {
	case 0x010: return read_csr(soc);
	case 0x014: return s->rvr;
	case 0x018: return systick_value(soc);
	case 0x01C: return 0x40000000;
	case 0x100: case 0x180: return s->enabled;
	case 0x200: case 0x280: return s->pending;
	case 0xD00: return 0x410CC601;
	case 0xD04: return read_icsr(soc);
	case 0xD08: return s->vtor;
	case 0xD0C: return 0xFA050000;
	case 0xD10: return s->scr;
	case 0xD14: return 0x208;
	case 0xD1C: return s->shpr2;
	case 0xD20: return s->shpr3;
	default: return 0;
	}
}

static void
write_aircr(struct soc *soc, uint32_t value)
{
	if (value >> 16 != 0x05FA) {
		world_violation(soc->world, "AIRCR written without its key 0x05FA");
	} else if (value & 4) {
		soc->wanted = SOC_SYSTEM;
	}
}

static void
write_icsr(struct soc *soc, uint32_t value)
{
	struct scs *s = &soc->scs;

	if (value >> 31) {
		world_violation(soc->world, "NMI pended by software: no handler is expected");
	}
	s->pendsv_pending = (s->pendsv_pending && (value >> 27 & 1) == 0) || (value >> 28 & 1) != 0;
	s->systick_pending = (s->systick_pending && (value >> 25 & 1) == 0) || (value >> 26 & 1) != 0;
}

void
scs_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes, uint32_t value)
{
	struct scs *s = &soc->scs;

	(void)instance;
	(void)bytes;
	if (offset >= 0x400 && offset < 0x41C) {
		for (unsigned i = 0; i < 4; i++) {
			s->priority[offset - 0x400 + i] = (uint8_t)(value >> 8 * i & 0xC0);
		}
		return;
	}
	switch (offset) {
	case 0x010: systick_control(soc, value); break;
	case 0x014: s->rvr = value; break;
	case 0x018:
		s->cvr = 0;
		s->countflag = false;
		s->zero_at = soc->cycles + s->rvr + 1;
		break;
	case 0x100: s->enabled |= value; break;
	case 0x180: s->enabled &= ~value; break;
	case 0x200: s->pending |= value; break;
	case 0x280: s->pending &= ~value; break;
	case 0xD04: write_icsr(soc, value); break;
	case 0xD08:
		if (value >= SOC_FLASH_SIZE) {
			world_violation(soc->world, "VTOR 0x%08X is outside the flash", value);
		}
		s->vtor = value;
		break;
	case 0xD0C: write_aircr(soc, value); break;
	case 0xD10: s->scr = value; break;
	case 0xD1C: s->shpr2 = value; break;
	case 0xD20: s->shpr3 = value; break;
	default: break;
	}
}
