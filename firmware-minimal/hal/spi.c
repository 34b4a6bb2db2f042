/* SPDX-License-Identifier: BSD-2-Clause */
#include "hal/spi.h"

#include "board/board.h"
#include "hal/hal_int.h"

#define PIN_MOSI 12
#define PIN_SCK 13
#define PIN_CS 14
#define PIN_MISO 15
#define PIN_RESET_N 27
#define PIN_CHIP_EN 28
#define PIN_IRQ_N 9 /* of group B */
#define CTRLA_SETTINGS 0x0030000Cu /* master, mode 0, DO pad 0, SCK pad 1, DI pad 3 */
#define CTRLB_RXEN 0x00020000u
#define BAUD_12_MHZ 1
#define PASSES 20000u /* a byte takes 0.7 us */

static void
peripheral_start(void)
{
	sercom_reset(SERCOM4);
	SERCOM4->CTRLA = CTRLA_SETTINGS;
	SERCOM4->CTRLB = CTRLB_RXEN;
	sercom_wait_sync(SERCOM4, SERCOM_SYNCBUSY_CTRLB);
	SERCOM4->SPI_BAUD = BAUD_12_MHZ;
	SERCOM4->CTRLA = CTRLA_SETTINGS | SERCOM_CTRLA_ENABLE;
	sercom_wait_sync(SERCOM4, SERCOM_SYNCBUSY_ENABLE);
}

/*
 * After a reset of the processor RESET_N and CHIP_EN go low: the module stays
 * off until its driver starts it. Called again, it leaves both as they are.
 */
void
spi_init(void)
{
	const uint32_t outputs = 1u << PIN_CS | 1u << PIN_RESET_N | 1u << PIN_CHIP_EN;

	PORT_A->OUTSET = 1u << PIN_CS;
	PORT_A->DIRSET = outputs;
	PORT_B->OUTSET = 1u << PIN_IRQ_N;
	PORT_B->PINCFG[PIN_IRQ_N] = PORT_PINCFG_INEN | PORT_PINCFG_PULLEN;
	pin_function_d(PORT_A, PIN_MOSI, 0);
	pin_function_d(PORT_A, PIN_SCK, 0);
	pin_function_d(PORT_A, PIN_MISO, 0);
	clock_peripheral(PM_APBCMASK_SERCOM4, GCLK_ID_SERCOM4);
	peripheral_start();
}

void
spi_select(bool selected)
{
	if (selected) {
		PORT_A->OUTCLR = 1u << PIN_CS;
	} else {
		PORT_A->OUTSET = 1u << PIN_CS;
	}
}

static void
drop_stale(void)
{
	for (unsigned n = 0; n < 4 && (SERCOM4->INTFLAG & SERCOM_INTFLAG_RXC) != 0; n++) {
		(void)SERCOM4->SPI_DATA;
	}
}

/* Two bytes under way at most: the receiver holds no more. */
bool
spi_exchange(const uint8_t *out, uint8_t *in, size_t n)
{
	size_t sent = 0;
	size_t got = 0;
	uint32_t passes = PASSES;

	drop_stale();
	while (got < n) {
		uint8_t flags = SERCOM4->INTFLAG;

		if ((flags & SERCOM_INTFLAG_RXC) != 0) {
			uint8_t byte = (uint8_t)SERCOM4->SPI_DATA;

			if (in != NULL) {
				in[got] = byte;
			}
			got++;
			passes = PASSES;
		}
		if ((flags & SERCOM_INTFLAG_DRE) != 0 && sent < n && sent - got < 2) {
			SERCOM4->SPI_DATA = out != NULL ? out[sent] : 0;
			sent++;
		}
		if (--passes == 0) {
			peripheral_start();
			return false;
		}
	}
	return true;
}

static void
pin_set(unsigned pin, bool level)
{
	if (level) {
		PORT_A->OUTSET = 1u << pin;
	} else {
		PORT_A->OUTCLR = 1u << pin;
	}
}

void
winc_pin_reset(bool level)
{
	pin_set(PIN_RESET_N, level);
}

void
winc_pin_enable(bool level)
{
	pin_set(PIN_CHIP_EN, level);
}

bool
winc_pin_irq(void)
{
	return (PORT_B->IN & 1u << PIN_IRQ_N) == 0;
}
