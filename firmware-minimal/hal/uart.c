/* SPDX-License-Identifier: BSD-2-Clause */
#include "hal/uart.h"

#include "board/board.h"
#include "hal/hal_int.h"

#define PIN_TX 22
#define PIN_RX 23
#define CTRLA_SETTINGS 0x40312004u /* own clock, 16 times fractional, TX pad 2, RX pad 3 */
#define CTRLB_SETTINGS 0x00030000u
#define BAUD_115200 0x001Au
#define PASSES 10000u /* a byte takes 87 us */

void
uart_init(void)
{
	clock_peripheral(PM_APBCMASK_SERCOM5, GCLK_ID_SERCOM5);
	pin_function_d(PORT_B, PIN_TX, 0);
	pin_function_d(PORT_B, PIN_RX, 0);
	sercom_reset(SERCOM5);
	SERCOM5->CTRLA = CTRLA_SETTINGS;
	SERCOM5->CTRLB = CTRLB_SETTINGS;
	sercom_wait_sync(SERCOM5, SERCOM_SYNCBUSY_CTRLB);
	SERCOM5->USART_BAUD = BAUD_115200;
	SERCOM5->CTRLA = CTRLA_SETTINGS | SERCOM_CTRLA_ENABLE;
	sercom_wait_sync(SERCOM5, SERCOM_SYNCBUSY_ENABLE);
}

void
uart_write(const char *text, size_t n)
{
	for (; n > 0; n--, text++) {
		uint32_t passes = PASSES;

		while ((SERCOM5->INTFLAG & SERCOM_INTFLAG_DRE) == 0) {
			if (--passes == 0) {
				return;
			}
		}
		SERCOM5->DATA = (uint8_t)*text;
	}
}
