/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hal of a driver's unit test: virtual time, and SPI to the model of the
 * WINC1500. Time moves when the driver waits, transfers or looks at the clock,
 * so that no loop of the driver is endless.
 */
#ifndef TESTS_FAKE_HAL_H
#define TESTS_FAKE_HAL_H

#include "emulator/model.h"

struct fake_hal {
	struct world world;        /* violations fail the test */
	struct winc_model *winc;   /* the test's; NULL: nothing answers */
	bool reset_n, chip_en, cs_n;
	unsigned feeds;            /* of the watchdog */
	uint64_t fed_ns, unfed_ns; /* last time, and the longest without */
	uint64_t spi_bytes;
	bool spi_broken;           /* spi_exchange() fails */
	/* Sees every byte, for transcripts; may be NULL. */
	void (*tap)(uint8_t mosi, uint8_t miso);
};
extern struct fake_hal fake_hal;

/* Power-on: time 0, all pins as after a reset. */
void fake_hal_reset(uint64_t seed);

#endif
