/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The transmit side that SPI and USART share: one byte in the buffer, one in
 * the shift register, each leaving after its time on the line (samd21 3.4, 3.5).
 */
#include "emulator/soc_int.h"

enum { CTRLB_TXEN = 0x10000, CTRLB_RXEN = 0x20000 };
enum { FLAG_TXC = 2 };

static uint64_t
byte_ns(const struct soc *soc, unsigned n)
{
	const struct sercom *s = &soc->sercom[n];
	uint64_t hz = sercom_hertz(soc, n);
	uint64_t bits;

	if (hz == 0) {
		return 1000000;
	}
	if (n == 4) {
		return 8 * 2 * ((uint64_t)s->baud + 1) * UINT64_C(1000000000) / hz;
	}
	bits = 10;
	if ((s->ctrla >> 13 & 7) == 1) { /* fractional, 16 samples: baud = hz / (16 (BAUD + FP/8)) */
		uint64_t eighths = (uint64_t)(s->baud & 0x1FFF) * 8 + (s->baud >> 13);

		return bits * 2 * eighths * UINT64_C(1000000000) / hz;
	}
	/* arithmetic: baud = hz/16 * (1 - BAUD/65536) */
	return bits * 16 * UINT64_C(65536) * 1000000000 / (hz * (65536 - s->baud));
}

static void
start(struct soc *soc, unsigned n, uint16_t value, uint64_t at)
{
	struct sercom *s = &soc->sercom[n];

	s->shifting = true;
	s->shift = value;
	s->shift_until = at + byte_ns(soc, n);
}

static void
out_of_line(struct soc *soc, unsigned n)
{
	struct sercom *s = &soc->sercom[n];

	if (n == 4) {
		uint8_t in = soc->config.winc == NULL ? 0xFF
		        : winc_model_exchange(soc->config.winc, (uint8_t)s->shift);

		if (s->ctrlb & CTRLB_RXEN) {
			sercom_receive(soc, n, in);
		}
		eic_sample(soc);
	} else if (soc->config.serial != NULL) {
		soc->config.serial(soc->config.owner, (uint8_t)s->shift);
	}
}

void
shifter_advance(struct soc *soc, unsigned n)
{
	struct sercom *s = &soc->sercom[n];

	while (s->shifting && soc->world->now_ns >= s->shift_until) {
		uint64_t at = s->shift_until;

		s->shifting = false;
		out_of_line(soc, n);
		if (s->tx_full) {
			s->tx_full = false;
			start(soc, n, s->tx_next, at);
		} else {
			s->intflag |= FLAG_TXC;
		}
	}
}

static void
transmit(struct soc *soc, unsigned n, uint16_t value, const char *name)
{
	struct sercom *s = &soc->sercom[n];

	s->intflag &= (uint8_t)~FLAG_TXC;
	if (!s->shifting) {
		start(soc, n, value, soc->world->now_ns);
	} else if (!s->tx_full) {
		s->tx_full = true;
		s->tx_next = value;
	} else {
		world_violation(soc->world, "%s.DATA written while the buffer is full (DRE is 0)", name);
	}
}

void
spi_data(struct soc *soc, unsigned n, uint32_t value)
{
	if ((soc->sercom[n].ctrlb & CTRLB_RXEN) == 0) {
		world_violation(soc->world, "SERCOM4: transfer without the receiver (CTRLB.RXEN)");
	}
	if (!soc->port.reset_n || !soc->port.chip_en) {
		world_violation(soc->world, "SPI transfer while the radio is %s",
		                soc->port.reset_n ? "off (CHIP_EN low)" : "in reset (RESET_N low)");
		return;
	}
	transmit(soc, n, (uint16_t)(value & 0xFF), "SERCOM4");
}

void
usart_data(struct soc *soc, unsigned n, uint32_t value)
{
	if ((soc->sercom[n].ctrlb & CTRLB_TXEN) == 0) {
		world_violation(soc->world, "SERCOM5: transmission without CTRLB.TXEN");
	}
	transmit(soc, n, (uint16_t)(value & 0x1FF), "SERCOM5");
}
