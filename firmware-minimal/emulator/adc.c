/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ADC, only for the internal temperature sensor. The fact sheet says
 * nothing about it: registers and the layout of the temperature log row are
 * from general knowledge of the part and not verified. What is modelled:
 * single conversions of MUXPOS 0x18 against the 1 V reference, 12 bits, with
 * a straight line through the two points of the log row.
 */
#include <string.h>

#include "emulator/soc_int.h"

#define GCLK_ADC 0x1E
#define MUX_TEMPERATURE 0x18
/* The line: 0.667 V at 25 C and 2.4 mV per degree, as 12 bits of 1 V. */
#define CODE_25C 2732
#define CODE_85C 3322

const struct bus_register adc_registers[] = {
	{ 0x00, BUS_8, BUS_RW, 0x07, "CTRLA" },
	{ 0x01, BUS_8, BUS_RW, 0x8F, "REFCTRL" },
	{ 0x02, BUS_8, BUS_RW, 0x7F, "AVGCTRL" },
	{ 0x03, BUS_8, BUS_RW, 0x3F, "SAMPCTRL" },
	{ 0x04, BUS_16, BUS_RW, 0x073F, "CTRLB" },
	{ 0x08, BUS_8, BUS_RW, 0x07, "WINCTRL" },
	{ 0x0C, BUS_8, BUS_RW, 0x03, "SWTRIG" },
	{ 0x10, BUS_32, BUS_RW, 0x0FFF1F1F, "INPUTCTRL" },
	{ 0x14, BUS_8, BUS_RW, 0x33, "EVCTRL" },
	{ 0x16, BUS_8, BUS_RW, 0x0F, "INTENCLR" },
	{ 0x17, BUS_8, BUS_RW, 0x0F, "INTENSET" },
	{ 0x18, BUS_8, BUS_RW, 0x0F, "INTFLAG" },
	{ 0x19, BUS_8, BUS_R, 0, "STATUS" },
	{ 0x1A, BUS_16, BUS_R, 0, "RESULT" },
	{ 0x1C, BUS_16, BUS_RW, 0xFFFF, "WINLT" },
	{ 0x20, BUS_16, BUS_RW, 0xFFFF, "WINUT" },
	{ 0x24, BUS_16, BUS_RW, 0x0FFF, "GAINCORR" },
	{ 0x26, BUS_16, BUS_RW, 0x0FFF, "OFFSETCORR" },
	{ 0x28, BUS_16, BUS_RW, 0x07FF, "CALIB" },
	{ 0x2A, BUS_8, BUS_RW, 0x01, "DBGCTRL" },
	BUS_END,
};

void
adc_reset(struct soc *soc)
{
	memset(&soc->adc, 0, sizeof soc->adc);
}

/* 25.0 and 85.0 degrees, reference 1.000 V at both, and their codes. */
void
adc_log_row(uint32_t out[2])
{
	out[0] = 25u | 85u << 12;
	out[1] = (uint32_t)CODE_25C << 8 | (uint32_t)CODE_85C << 20;
}

static uint16_t
convert(struct soc *soc)
{
	struct adc *a = &soc->adc;
	long code;

	if ((a->inputctrl & 0x1F) != MUX_TEMPERATURE) {
		world_violation(soc->world, "ADC conversion of input 0x%02X: only the temperature sensor is "
		                            "modelled", a->inputctrl & 0x1F);
		return 0;
	}
	if ((soc->sysctrl.vref & 2) == 0) {
		world_violation(soc->world, "ADC conversion of the temperature sensor, which is off "
		                            "(SYSCTRL.VREF.TSEN)");
	}
	code = CODE_25C + (long)(CODE_85C - CODE_25C) * (soc->config.die_centi - 2500) / 6000;
	return (uint16_t)(code < 0 ? 0 : code > 4095 ? 4095 : code);
}

void
adc_advance(struct soc *soc)
{
	struct adc *a = &soc->adc;

	if (a->converting && soc->world->now_ns >= a->done) {
		a->converting = false;
		a->result = convert(soc);
		a->flag |= 1;
	}
}

uint64_t
adc_next(const struct soc *soc)
{
	return soc->adc.converting && soc->adc.inten != 0 ? soc->adc.done : SOC_NEVER;
}

uint32_t
adc_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes)
{
	struct adc *a = &soc->adc;

	(void)instance;
	(void)bytes;
	adc_advance(soc);
	switch (offset) {
	case 0x00: return a->ctrla;
	case 0x01: return a->refctrl;
	case 0x02: return a->avgctrl;
	case 0x03: return a->sampctrl;
	case 0x04: return a->ctrlb;
	case 0x08: return a->winctrl;
	case 0x10: return a->inputctrl;
	case 0x14: return a->evctrl;
	case 0x16: case 0x17: return a->inten;
	case 0x18: return a->flag;
	case 0x19: return soc->world->now_ns < a->busy ? 0x80 : 0;
	case 0x1A:
		a->flag &= (uint8_t)~1;
		return a->result;
	case 0x24: return a->gaincorr;
	case 0x26: return a->offsetcorr;
	case 0x28: return a->calib;
	default: return 0;
	}
}

static void
write_control(struct soc *soc, uint32_t value)
{
	if (value & 1) {
		adc_reset(soc);
	} else {
		soc->adc.ctrla = (uint8_t)value;
	}
}

static void
trigger(struct soc *soc, uint32_t value)
{
	struct adc *a = &soc->adc;

	if ((value & 2) == 0) {
		return;
	}
	if ((a->ctrla & 2) == 0) {
		world_violation(soc->world, "ADC triggered while not enabled");
		return;
	}
	a->converting = true;
	a->flag &= (uint8_t)~1;
	a->done = soc->world->now_ns + 100000;
}

void
adc_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes, uint32_t value)
{
	struct adc *a = &soc->adc;

	(void)instance;
	(void)bytes;
	if (!clocks_need(soc, "ADC", (soc->pm.apbc >> 16 & 1) != 0, GCLK_ADC)) {
		return;
	}
	if (soc->world->now_ns < a->busy && offset != 0x18) {
		world_violation(soc->world, "ADC register 0x%02X written while STATUS.SYNCBUSY", offset);
	}
	switch (offset) {
	case 0x00: write_control(soc, value); break;
	case 0x01: a->refctrl = (uint8_t)value; return;
	case 0x02: a->avgctrl = (uint8_t)value; return;
	case 0x03: a->sampctrl = (uint8_t)value; return;
	case 0x04: a->ctrlb = (uint16_t)value; break;
	case 0x08: a->winctrl = (uint8_t)value; break;
	case 0x0C: trigger(soc, value); break;
	case 0x10: a->inputctrl = value; break;
	case 0x14: a->evctrl = (uint8_t)value; return;
	case 0x16: a->inten &= (uint8_t)~value; return;
	case 0x17: a->inten |= (uint8_t)value; return;
	case 0x18: a->flag &= (uint8_t)~value; return;
	case 0x24: a->gaincorr = (uint16_t)value; return;
	case 0x26: a->offsetcorr = (uint16_t)value; return;
	case 0x28: a->calib = (uint16_t)value; return;
	default: return;
	}
	a->busy = soc->world->now_ns + SYNC_NS;
}
