/* SPDX-License-Identifier: BSD-2-Clause */
/* What the three serial interfaces have in common (samd21 3.2, 3.3). */
#include "hal/hal_int.h"

#define PASSES 20000u

void
pin_function_d(struct port_group *group, unsigned pin, uint8_t pincfg)
{
	unsigned shift = pin % 2 * 4;
	uint8_t others = (uint8_t)(group->PMUX[pin / 2] & ~(0xFu << shift));

	group->PMUX[pin / 2] = (uint8_t)(others | PORT_FUNCTION_D << shift);
	group->PINCFG[pin] = (uint8_t)(PORT_PINCFG_PMUXEN | pincfg);
}

bool
sercom_wait_sync(const struct sercom *s, uint32_t bits)
{
	for (uint32_t n = PASSES; n > 0; n--) {
		if ((s->SYNCBUSY & bits) == 0) {
			return true;
		}
	}
	return false;
}

bool
sercom_reset(struct sercom *s)
{
	s->CTRLA = SERCOM_CTRLA_SWRST;
	for (uint32_t n = PASSES; n > 0; n--) {
		if ((s->CTRLA & SERCOM_CTRLA_SWRST) == 0 &&
		    (s->SYNCBUSY & SERCOM_SYNCBUSY_SWRST) == 0) {
			return true;
		}
	}
	return false;
}
