/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake_i2c.h"

#include <string.h>

#include "fake_time.h"
#include "hal/i2c.h"

#define BYTE_NS 90000ull /* eight bits and the acknowledge */
#define STUCK_NS 20000000ull

struct fake_i2c fake_i2c;

void
fake_i2c_reset(struct atecc_model *chip)
{
	memset(&fake_i2c, 0, sizeof fake_i2c);
	fake_i2c.chip = chip;
}

/* False when the power is off: everything is silent then. */
static bool
powered(void)
{
	return fake_i2c.chip != NULL &&
	       (fake_i2c.cut_after == 0 || fake_i2c.transfers < fake_i2c.cut_after);
}

static enum i2c_status
start(uint8_t address_byte)
{
	fake_time_pass_ns(BYTE_NS);
	if (!powered()) {
		return I2C_NACK_ADDRESS;
	}
	if (atecc_model_sda_stuck(fake_i2c.chip)) {
		fake_time_pass_ns(STUCK_NS);
		return I2C_BUS;
	}
	return atecc_model_start(fake_i2c.chip, address_byte) ? I2C_OK : I2C_NACK_ADDRESS;
}

static void
stop(void)
{
	if (powered()) {
		atecc_model_stop(fake_i2c.chip);
		fake_i2c.transfers++;
	}
}

static void
remember(const uint8_t *data, size_t n)
{
	unsigned i = fake_i2c.sent_count;

	if (n > 6 && data[0] == 0x03 && i < sizeof fake_i2c.sent / sizeof *fake_i2c.sent) {
		fake_i2c.sent[i].opcode = data[2];
		fake_i2c.sent[i].param1 = data[3];
		fake_i2c.sent[i].param2 = (uint16_t)(data[4] | data[5] << 8);
		fake_i2c.sent_count++;
	}
}

void
i2c_init(void)
{
}

enum i2c_status
i2c_write(uint8_t address, const uint8_t *data, size_t n)
{
	enum i2c_status status = start((uint8_t)(address << 1));

	if (status == I2C_OK) {
		remember(data, n);
	}
	for (size_t i = 0; i < n && status == I2C_OK; i++) {
		fake_time_pass_ns(BYTE_NS);
		if (!atecc_model_write(fake_i2c.chip, data[i])) {
			status = I2C_NACK_DATA;
		}
	}
	stop();
	return status;
}

enum i2c_status
i2c_read(uint8_t address, uint8_t *data, size_t n)
{
	enum i2c_status status = start((uint8_t)(address << 1 | 1));

	for (size_t i = 0; i < n && status == I2C_OK; i++) {
		fake_time_pass_ns(BYTE_NS);
		data[i] = atecc_model_read(fake_i2c.chip, i + 1 < n);
	}
	stop();
	return status;
}

void
i2c_wake_pulse(uint32_t us)
{
	fake_time_pass_ns((uint64_t)us * 1000);
	if (powered()) {
		atecc_model_sda_low(fake_i2c.chip, (uint64_t)us * 1000);
	}
}

enum i2c_status
i2c_recover(void)
{
	fake_i2c.recoveries++;
	fake_time_pass_ns(10 * BYTE_NS);
	return I2C_OK;
}
