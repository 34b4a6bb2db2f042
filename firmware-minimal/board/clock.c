/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 48 MHz from the DFLL (samd21 2.2, 2.3): closed loop on the crystal, or, when
 * that does not come, open loop with the factory's calibration. Waits are
 * counted, for nothing keeps time yet: a pass is at least eight cycles.
 */
#include "board/board.h"
#include "board/samd21.h"

#define GENERATOR_0_DFLL 0x00030700u
#define GENERATOR_1_XOSC32K 0x00010501u
#define XOSC32K_SETTINGS 0x040Cu /* start-up 500 ms, crystal, 32 kHz output */
#define XOSC32K_ENABLE 0x0002u
#define DFLL_ENABLE 0x0002u
#define DFLL_CLOSED_LOOP 0x0A06u /* and QLDIS, WAITLOCK */
#define DFLL_MULTIPLY 0x7DFF05B9u /* 1465 times 32768 Hz */
#define DFLL_FINE_MIDDLE 0x1FFu

#define PASSES_CRYSTAL 2500000u /* at 8 MHz: two seconds and more */
#define PASSES_SHORT 100000u

static bool
wait_pclksr(uint32_t bits, uint32_t passes)
{
	while ((SYSCTRL_PCLKSR & bits) != bits) {
		if (--passes == 0) {
			return false;
		}
	}
	return true;
}

static void
wait_gclk(void)
{
	for (uint32_t n = PASSES_SHORT; n > 0 && (GCLK_STATUS & GCLK_STATUS_SYNCBUSY) != 0; n--) {
	}
}

static bool
crystal_start(void)
{
	SYSCTRL_XOSC32K = XOSC32K_SETTINGS;
	SYSCTRL_XOSC32K = XOSC32K_SETTINGS | XOSC32K_ENABLE;
	if (!wait_pclksr(SYSCTRL_PCLKSR_XOSC32KRDY, PASSES_CRYSTAL)) {
		return false;
	}
	GCLK_GENDIV = 0x00000001;
	GCLK_GENCTRL = GENERATOR_1_XOSC32K;
	wait_gclk();
	GCLK_CLKCTRL = GCLK_CLKCTRL_CLKEN | GCLK_CLKCTRL_GEN(1) | GCLK_ID_DFLL;
	wait_gclk();
	return true;
}

/* The module must not be on demand when it is first written (2.4). */
static void
dfll_wake(void)
{
	SYSCTRL_DFLLCTRL = DFLL_ENABLE;
	wait_pclksr(SYSCTRL_PCLKSR_DFLLRDY, PASSES_SHORT);
}

static bool
dfll_closed_loop(void)
{
	dfll_wake();
	SYSCTRL_DFLLMUL = DFLL_MULTIPLY;
	wait_pclksr(SYSCTRL_PCLKSR_DFLLRDY, PASSES_SHORT);
	SYSCTRL_DFLLCTRL = DFLL_CLOSED_LOOP;
	return wait_pclksr(SYSCTRL_PCLKSR_DFLLLCKC | SYSCTRL_PCLKSR_DFLLLCKF, PASSES_SHORT) &&
	       wait_pclksr(SYSCTRL_PCLKSR_DFLLRDY, PASSES_SHORT);
}

static void
dfll_open_loop(void)
{
	uint32_t coarse = NVM_CALIBRATION_DFLL >> 26;

	if (coarse == 0x3F) {
		coarse = 0x1F;
	}
	dfll_wake();
	SYSCTRL_DFLLVAL = coarse << 10 | DFLL_FINE_MIDDLE;
	wait_pclksr(SYSCTRL_PCLKSR_DFLLRDY, PASSES_SHORT);
	SYSCTRL_DFLLCTRL = DFLL_ENABLE;
	wait_pclksr(SYSCTRL_PCLKSR_DFLLRDY, PASSES_SHORT);
}

bool
clock_start(void)
{
	bool crystal;

	NVMCTRL_CTRLB = NVMCTRL_CTRLB_AT_48_MHZ;
	SYSCTRL_OSC8M &= ~SYSCTRL_OSC8M_PRESC; /* 8 MHz while we wait */
	crystal = crystal_start() && dfll_closed_loop();
	if (!crystal) {
		dfll_open_loop();
	}
	GCLK_GENDIV = 0x00000000;
	wait_gclk();
	GCLK_GENCTRL = GENERATOR_0_DFLL;
	wait_gclk();
	return crystal;
}

void
clock_peripheral(uint32_t apbc_mask, unsigned gclk_id)
{
	PM_APBCMASK |= apbc_mask;
	GCLK_CLKCTRL = (uint16_t)(GCLK_CLKCTRL_CLKEN | GCLK_CLKCTRL_GEN(0) | gclk_id);
	wait_gclk();
}
