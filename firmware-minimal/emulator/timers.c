/* SPDX-License-Identifier: BSD-2-Clause */
/* Watchdog and real-time counter (samd21 3.11, 3.12). */
#include <string.h>

#include "emulator/soc_int.h"

#define GCLK_WDT 3
#define GCLK_RTC 4
#define NS 1000000000u

enum { WDT_ENABLE = 2, WDT_WEN = 4, WDT_ALWAYSON = 0x80 };
enum { RTC_ENABLE = 2, RTC_MATCHCLR = 0x80 };

const struct bus_register wdt_registers[] = {
	{ 0x00, BUS_8, BUS_RW, 0x86, "CTRL" },
	{ 0x01, BUS_8, BUS_RW, 0xFF, "CONFIG" },
	{ 0x02, BUS_8, BUS_RW, 0x0F, "EWCTRL" },
	{ 0x04, BUS_8, BUS_RW, 0x01, "INTENCLR" },
	{ 0x05, BUS_8, BUS_RW, 0x01, "INTENSET" },
	{ 0x06, BUS_8, BUS_RW, 0x01, "INTFLAG" },
	{ 0x07, BUS_8, BUS_R, 0, "STATUS" },
	{ 0x08, BUS_8, BUS_W, 0xFF, "CLEAR" },
	BUS_END,
};
const struct bus_register rtc_registers[] = {
	{ 0x00, BUS_16, BUS_RW, 0x0F8F, "CTRL" },
	{ 0x02, BUS_16, BUS_RW, 0xC03F, "READREQ" },
	{ 0x04, BUS_16, BUS_RW, 0x81FF, "EVCTRL" },
	{ 0x06, BUS_8, BUS_RW, 0xC1, "INTENCLR" },
	{ 0x07, BUS_8, BUS_RW, 0xC1, "INTENSET" },
	{ 0x08, BUS_8, BUS_RW, 0xC1, "INTFLAG" },
	{ 0x0A, BUS_8, BUS_RW, 0x80, "STATUS" },
	{ 0x10, BUS_32, BUS_RW, 0xFFFFFFFF, "COUNT" },
	{ 0x18, BUS_32, BUS_RW, 0xFFFFFFFF, "COMP0" },
	BUS_END,
};

void
timers_reset(struct soc *soc, enum soc_reset cause)
{
	memset(&soc->wdt, 0, sizeof soc->wdt);
	soc->wdt.config = 0xBB;
	soc->wdt.ewctrl = 0x0B;
	if (cause == SOC_POWER_ON) {
		memset(&soc->rtc, 0, sizeof soc->rtc);
	}
}

/* ---- WDT ---- */

static uint64_t
wdt_span(const struct soc *soc, unsigned code)
{
	uint32_t hz = gclk_hertz(soc, GCLK_WDT);

	return hz == 0 ? SOC_NEVER : (UINT64_C(8) << code) * NS / hz;
}

static bool
wdt_running(const struct soc *soc)
{
	return (soc->wdt.ctrl & (WDT_ENABLE | WDT_ALWAYSON)) != 0;
}

static uint64_t
wdt_due(const struct soc *soc)
{
	uint64_t span = wdt_span(soc, soc->wdt.config & 15);

	return !wdt_running(soc) || span == SOC_NEVER ? SOC_NEVER : soc->wdt.started + span;
}

uint32_t
wdt_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes)
{
	const struct wdt *w = &soc->wdt;

	(void)instance;
	(void)bytes;
	switch (offset) {
	case 0x00: return w->ctrl;
	case 0x01: return w->config;
	case 0x02: return w->ewctrl;
	case 0x04: case 0x05: return w->inten;
	case 0x06: return w->flag;
	case 0x07: return soc->world->now_ns < w->busy ? 0x80 : 0;
	default: return 0;
	}
}

static void
wdt_clear(struct soc *soc, uint32_t value)
{
	struct wdt *w = &soc->wdt;

	if (value != 0xA5) {
		world_note(soc->world, "wdt: CLEAR written with 0x%02X: immediate reset", value);
		soc->wanted = SOC_WATCHDOG;
		return;
	}
	if ((w->ctrl & WDT_WEN) != 0 &&
	    soc->world->now_ns - w->started < wdt_span(soc, w->config >> 4)) {
		world_violation(soc->world, "watchdog cleared inside its closed window");
	}
	w->started = soc->world->now_ns;
}

void
wdt_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes, uint32_t value)
{
	struct wdt *w = &soc->wdt;

	(void)instance;
	(void)bytes;
	if (offset == 0x04) {
		w->inten &= (uint8_t)~value;
		return;
	}
	if (offset == 0x05 || offset == 0x06) {
		w->inten |= offset == 0x05 ? (uint8_t)value : 0;
		w->flag &= offset == 0x06 ? (uint8_t)~value : 0xFF;
		return;
	}
	if (!clocks_need(soc, "WDT", (soc->pm.apba & 1 << 4) != 0, GCLK_WDT)) {
		return;
	}
	if (soc->world->now_ns < w->busy) {
		world_violation(soc->world, "WDT register 0x%02X written while STATUS.SYNCBUSY", offset);
	}
	switch (offset) {
	case 0x00:
		if (w->ctrl & WDT_ALWAYSON) {
			return;
		}
		w->ctrl = (uint8_t)value;
		w->started = soc->world->now_ns;
		break;
	case 0x01: case 0x02:
		if (wdt_running(soc)) {
			world_violation(soc->world, "WDT configured while it runs");
		}
		*(offset == 1 ? &w->config : &w->ewctrl) = (uint8_t)value;
		return; /* not synchronised */
	case 0x08: wdt_clear(soc, value); break;
	default: break;
	}
	w->busy = soc->world->now_ns + SLOW_SYNC_NS;
}

/* ---- RTC ---- */

static uint64_t
rtc_hertz(const struct soc *soc)
{
	return gclk_hertz(soc, GCLK_RTC);
}

static uint32_t
rtc_count(const struct soc *soc)
{
	const struct rtc *r = &soc->rtc;
	unsigned prescaler = r->ctrl >> 8 & 15;
	uint64_t ns = soc->world->now_ns - r->since;
	uint64_t hz = rtc_hertz(soc);

	if ((r->ctrl & RTC_ENABLE) == 0) {
		return r->count;
	}
	return r->count + (uint32_t)((ns / NS * hz + ns % NS * hz / NS) >> prescaler);
}

static void
rtc_hold(struct soc *soc)
{
	soc->rtc.count = rtc_count(soc);
	soc->rtc.since = soc->world->now_ns;
}

uint32_t
rtc_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes)
{
	const struct rtc *r = &soc->rtc;

	(void)instance;
	(void)bytes;
	switch (offset) {
	case 0x00: return r->ctrl;
	case 0x02: return r->readreq;
	case 0x04: return r->evctrl;
	case 0x06: case 0x07: return r->inten;
	case 0x08: return r->flag;
	case 0x0A: return soc->world->now_ns < r->busy ? 0x80 : 0;
	case 0x10:
		if (soc->world->now_ns < r->busy) {
			world_violation(soc->world, "RTC.COUNT read before its read request was synchronised");
		}
		return r->readreq & 0x4000 ? rtc_count(soc) : r->shown;
	case 0x18: return r->compare;
	default: return 0;
	}
}

static void
rtc_ctrl(struct soc *soc, uint32_t value)
{
	struct rtc *r = &soc->rtc;

	rtc_hold(soc);
	if (value & 1) {
		memset(r, 0, sizeof *r);
	} else {
		if ((value >> 2 & 3) != 0) {
			world_violation(soc->world, "RTC mode %u: the sheet of this project has mode 0",
			                value >> 2 & 3);
		}
		if ((r->ctrl & RTC_ENABLE) != 0 && (value & RTC_ENABLE) != 0 && value != r->ctrl) {
			world_violation(soc->world, "RTC.CTRL changed while the RTC is enabled");
		}
		r->ctrl = (uint16_t)value;
	}
	r->since = soc->world->now_ns;
}

void
rtc_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes, uint32_t value)
{
	struct rtc *r = &soc->rtc;

	(void)instance;
	(void)bytes;
	switch (offset) {
	case 0x04: r->evctrl = (uint16_t)value; return;
	case 0x06: r->inten &= (uint8_t)~value; return;
	case 0x07: r->inten |= (uint8_t)value; return;
	case 0x08: r->flag &= (uint8_t)~value; return;
	case 0x0A: return;
	default: break;
	}
	if (!clocks_need(soc, "RTC", (soc->pm.apba & 1 << 5) != 0, GCLK_RTC)) {
		return;
	}
	if (soc->world->now_ns < r->busy) {
		world_violation(soc->world, "RTC register 0x%02X written while STATUS.SYNCBUSY", offset);
	}
	switch (offset) {
	case 0x00: rtc_ctrl(soc, value); break;
	case 0x02:
		r->readreq = (uint16_t)value;
		r->shown = rtc_count(soc);
		break;
	case 0x10:
		r->count = value;
		r->since = soc->world->now_ns;
		break;
	case 0x18: r->compare = value; break;
	default: break;
	}
	r->busy = soc->world->now_ns + 6 * (uint64_t)NS / rtc_hertz(soc);
}

/* ---- time ---- */

static uint64_t
warning_due(const struct soc *soc)
{
	uint64_t span = wdt_span(soc, soc->wdt.ewctrl);

	return !wdt_running(soc) || (soc->wdt.flag & 1) != 0 || span == SOC_NEVER
	        ? SOC_NEVER : soc->wdt.started + span;
}

static uint64_t
rtc_due(const struct soc *soc)
{
	const struct rtc *r = &soc->rtc;
	uint64_t hz = rtc_hertz(soc);

	uint64_t ticks = (uint32_t)(r->compare - r->count);

	if ((r->ctrl & RTC_ENABLE) == 0 || (r->flag & 1) != 0 || hz == 0) {
		return SOC_NEVER;
	}
	if (ticks == 0) {
		ticks = UINT64_C(1) << 32; /* just matched: the next time round */
	}
	ticks <<= r->ctrl >> 8 & 15;
	return r->since + ticks / hz * NS + (ticks % hz * NS + hz - 1) / hz;
}

void
timers_advance(struct soc *soc)
{
	if (soc->world->now_ns >= wdt_due(soc)) {
		soc->wanted = SOC_WATCHDOG;
	}
	if (soc->world->now_ns >= warning_due(soc)) {
		soc->wdt.flag |= 1;
	}
	if (soc->world->now_ns >= rtc_due(soc)) {
		soc->rtc.flag |= 1;
		rtc_hold(soc);
		if (soc->rtc.ctrl & RTC_MATCHCLR) {
			soc->rtc.count = 0;
		}
	}
}

uint64_t
timers_next(const struct soc *soc)
{
	uint64_t a = wdt_due(soc);
	uint64_t b = rtc_due(soc);
	uint64_t c = warning_due(soc);

	a = a < b ? a : b;
	return a < c ? a : c;
}
