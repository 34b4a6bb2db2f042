/* SPDX-License-Identifier: BSD-2-Clause */
/* SERCOM2 as I2C master at 100 kHz (samd21 3.6). Every wait is bounded. */
#ifndef HAL_I2C_H
#define HAL_I2C_H

#include <stddef.h>
#include <stdint.h>

enum i2c_status {
	I2C_OK,
	I2C_NACK_ADDRESS, /* nobody there, asleep, or busy */
	I2C_NACK_DATA,
	I2C_BUS,          /* arbitration lost, bus error, line stuck: i2c_recover() */
	I2C_TIMEOUT,
};

void i2c_init(void);
/* START, address + W, n bytes, STOP. n 0 is an address probe. address: 7 bits. */
enum i2c_status i2c_write(uint8_t address, const uint8_t *data, size_t n);
/* START, address + R, n bytes (n >= 1), NACK, STOP. */
enum i2c_status i2c_read(uint8_t address, uint8_t *data, size_t n);
/* SDA low for at least us microseconds, then high: the wake pulse of the ATECC (1.2). */
void i2c_wake_pulse(uint32_t us);
/* Nine clocks with SDA released, STOP, peripheral set up again. */
enum i2c_status i2c_recover(void);

#endif
