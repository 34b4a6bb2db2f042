/* SPDX-License-Identifier: BSD-2-Clause */
/* Pin D2 as a one-wire bus, the internal temperature sensor, the LED, the chip's serial number. */
#ifndef HAL_SENSOR_H
#define HAL_SENSOR_H

#include <stdbool.h>
#include <stdint.h>

/* Reset pulse; true when somebody answered with presence. */
bool onewire_reset(void);
void onewire_write(uint8_t byte);
uint8_t onewire_read(void);

/* The stand-in when no DS18B20 is there: of the SAMD21, hundredths of a degree Celsius. */
bool temperature_internal(int16_t *centi);

void led_set(bool on);
/* The 128-bit serial number, in the order of samd21 3.13. */
void board_serial(uint8_t out[16]);

#endif
