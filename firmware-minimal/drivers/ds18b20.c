/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/ds18b20.h"

#include "hal/sensor.h"

#define SKIP_ROM 0xCC
#define CONVERT 0x44
#define READ_SCRATCHPAD 0xBE
#define SCRATCHPAD 9
#define POWER_ON_VALUE 0x0550 /* 85 degrees in sixteenths */

enum ds18b20_status
ds18b20_start(void)
{
	if (!onewire_reset()) {
		return DS18B20_ABSENT;
	}
	onewire_write(SKIP_ROM);
	onewire_write(CONVERT);
	return DS18B20_OK;
}

/* It answers zeros while it converts, then ones. */
bool
ds18b20_done(void)
{
	return onewire_read() == 0xFF;
}

/* Polynomial x8 + x5 + x4 + 1, lowest bit first. */
static uint8_t
crc8(const uint8_t *data, unsigned n)
{
	uint8_t crc = 0;

	for (; n > 0; n--, data++) {
		crc ^= *data;
		for (unsigned bit = 0; bit < 8; bit++) {
			crc = (uint8_t)(crc & 1 ? crc >> 1 ^ 0x8C : crc >> 1);
		}
	}
	return crc;
}

/* Below 12 bits the lowest ones are undefined. */
static int32_t
sixteenths(const uint8_t *pad)
{
	unsigned undefined = 3u - (pad[4] >> 5 & 3u);
	uint16_t raw = (uint16_t)(pad[0] | pad[1] << 8);

	return (int16_t)(raw & ~((1u << undefined) - 1));
}

enum ds18b20_status
ds18b20_read(int16_t *centi)
{
	uint8_t pad[SCRATCHPAD];
	int32_t value;

	if (!onewire_reset()) {
		return DS18B20_ABSENT;
	}
	onewire_write(SKIP_ROM);
	onewire_write(READ_SCRATCHPAD);
	for (unsigned i = 0; i < SCRATCHPAD; i++) {
		pad[i] = onewire_read();
	}
	/* Zeros throughout have a good checksum; the fixed bits of byte 4 tell them apart. */
	if (crc8(pad, SCRATCHPAD - 1) != pad[SCRATCHPAD - 1] || (pad[4] & 0x9F) != 0x1F) {
		return DS18B20_DAMAGED;
	}
	value = sixteenths(pad);
	if (value == POWER_ON_VALUE) {
		return DS18B20_POWER_ON;
	}
	if (value < -55 * 16 || value > 125 * 16) {
		return DS18B20_DAMAGED;
	}
	*centi = (int16_t)(value * 25 / 4);
	return DS18B20_OK;
}
