/* SPDX-License-Identifier: BSD-2-Clause */
#include "hal/time.h"

#include "board/samd21.h"
#include "hal/hal_int.h"

#define CYCLES_PER_US (CPU_HZ / 1000000u)
#define TICK_CYCLES (CPU_HZ / 1000u)

static volatile uint32_t milliseconds;
static bool watched;

void systick_handler(void);

void
systick_handler(void)
{
	milliseconds++;
}

void
time_init(void)
{
	SYSTICK_RVR = TICK_CYCLES - 1;
	SYSTICK_CVR = 0;
	SYSTICK_CSR = 7; /* on, interrupt, processor clock */
}

uint32_t
time_ms(void)
{
	return milliseconds;
}

/* Cycles between two values of the down-counter, less than one tick apart. */
static uint32_t
cycles_between(uint32_t before, uint32_t after)
{
	return before >= after ? before - after : before + TICK_CYCLES - after;
}

void
time_wait_us(uint32_t us)
{
	uint32_t last = SYSTICK_CVR;

	while (us > 0) {
		uint32_t step = us < 1000 ? us : 1000;
		uint32_t left = step * CYCLES_PER_US;

		us -= step;
		for (;;) {
			uint32_t now = SYSTICK_CVR;
			uint32_t gone = cycles_between(last, now);

			last = now;
			if (gone >= left) {
				break;
			}
			left -= gone;
		}
	}
}

void
time_wait_ms(uint32_t ms)
{
	struct deadline d = deadline_in(ms + 1); /* the tick under way is not a whole one */

	while (!deadline_over(&d)) {
		watchdog_feed();
		cpu_sleep();
	}
}

static void
gclk_wait(void)
{
	for (uint32_t n = 100000; n > 0 && (GCLK_STATUS & GCLK_STATUS_SYNCBUSY) != 0; n--) {
	}
}

void
watchdog_start(void)
{
	GCLK_GENDIV = 0x00000402; /* generator 2: OSCULP32K / 32 = 1024 Hz */
	gclk_wait();
	GCLK_GENCTRL = 0x00110302;
	gclk_wait();
	GCLK_CLKCTRL = GCLK_CLKCTRL_CLKEN | GCLK_CLKCTRL_GEN(2) | GCLK_ID_WDT;
	gclk_wait();
	WDT_CONFIG = WDT_PER_16S;
	WDT_CTRL = WDT_CTRL_ENABLE;
	watched = true;
}

/* The key takes some milliseconds to arrive; one on its way is enough. */
void
watchdog_feed(void)
{
	if (watched && (WDT_STATUS & WDT_STATUS_SYNCBUSY) == 0) {
		WDT_CLEAR = WDT_CLEAR_KEY;
	}
}
