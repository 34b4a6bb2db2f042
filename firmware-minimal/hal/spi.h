/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SERCOM4 as SPI master, mode 0, and the control pins of the WINC1500
 * (winc1500 1.1, samd21 3.4).
 */
#ifndef HAL_SPI_H
#define HAL_SPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void spi_init(void);
/* Chip select of the module: true drives it low. */
void spi_select(bool selected);
/*
 * Exchange n bytes; out NULL sends zeros, in NULL drops what comes. Bounded:
 * false when the peripheral did not answer in time (it was set up again).
 */
bool spi_exchange(const uint8_t *out, uint8_t *in, size_t n);

/* RESET_N and CHIP_EN of the module; level as on the pin. */
void winc_pin_reset(bool level);
void winc_pin_enable(bool level);
/* IRQN is low: the module wants to be served. */
bool winc_pin_irq(void);

#endif
