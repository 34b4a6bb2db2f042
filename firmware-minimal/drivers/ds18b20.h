/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DS18B20 alone on the wire of hal/sensor.h, with its own supply. Nothing
 * here waits: start, ask now and then whether it is done (750 ms at most at
 * 12 bits), read.
 */
#ifndef DRIVERS_DS18B20_H
#define DRIVERS_DS18B20_H

#include <stdbool.h>
#include <stdint.h>

#define DS18B20_CONVERSION_MS 750

enum ds18b20_status {
	DS18B20_OK,
	DS18B20_ABSENT,   /* nobody answers the reset pulse */
	DS18B20_DAMAGED,  /* checksum, or values that the sensor cannot have */
	DS18B20_POWER_ON, /* 85 degrees: what it says when it did not convert */
};

enum ds18b20_status ds18b20_start(void);
bool ds18b20_done(void);
/* Hundredths of a degree Celsius. */
enum ds18b20_status ds18b20_read(int16_t *centi);

#endif
