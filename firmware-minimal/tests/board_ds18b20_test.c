/* SPDX-License-Identifier: BSD-2-Clause */
/* The sensor's driver on a wire whose bytes are scripted. */
#include <stdbool.h>
#include <string.h>

#include "drivers/ds18b20.h"
#include "hal/sensor.h"
#include "unit/cmocka_all.h"

static struct {
	bool present;
	uint8_t answer[9];
	unsigned answered;
	uint8_t written[8];
	unsigned count;
} wire;

bool
onewire_reset(void)
{
	wire.answered = 0;
	return wire.present;
}

void
onewire_write(uint8_t byte)
{
	assert_true(wire.count < sizeof wire.written);
	wire.written[wire.count++] = byte;
}

uint8_t
onewire_read(void)
{
	return wire.answered < 9 ? wire.answer[wire.answered++] : 0xFF;
}

static void
put_on_wire(const uint8_t answer[9])
{
	memset(&wire, 0, sizeof wire);
	wire.present = true;
	memcpy(wire.answer, answer, 9);
}

/* Bit by bit as the data sheet draws it, apart from the driver's way. */
static uint8_t
crc_of(const uint8_t *data, unsigned n)
{
	unsigned shift = 0;

	for (unsigned i = 0; i < n * 8; i++) {
		unsigned in = (data[i / 8] >> i % 8 & 1) ^ (shift & 1);

		shift >>= 1;
		if (in != 0) {
			shift ^= 0x8C;
		}
	}
	return (uint8_t)shift;
}

static const struct reading {
	uint8_t low, high, config;
	enum ds18b20_status status;
	int16_t centi;
} readings[] = {
	/* the table of the data sheet */
	{ 0xD0, 0x07, 0x7F, DS18B20_OK, 12500 },
	{ 0x91, 0x01, 0x7F, DS18B20_OK, 2506 },
	{ 0xA2, 0x00, 0x7F, DS18B20_OK, 1012 },
	{ 0x08, 0x00, 0x7F, DS18B20_OK, 50 },
	{ 0x00, 0x00, 0x7F, DS18B20_OK, 0 },
	{ 0xF8, 0xFF, 0x7F, DS18B20_OK, -50 },
	{ 0x5E, 0xFF, 0x7F, DS18B20_OK, -1012 },
	{ 0x6F, 0xFE, 0x7F, DS18B20_OK, -2506 },
	{ 0x90, 0xFC, 0x7F, DS18B20_OK, -5500 },
	/* nine bits: three undefined ones */
	{ 0x97, 0x01, 0x1F, DS18B20_OK, 2500 },
	{ 0x50, 0x05, 0x7F, DS18B20_POWER_ON, 0 },
	{ 0x51, 0x05, 0x7F, DS18B20_OK, 8506 },
	{ 0xE0, 0x07, 0x7F, DS18B20_DAMAGED, 0 },
	{ 0x80, 0xFC, 0x7F, DS18B20_DAMAGED, 0 },
	{ 0x91, 0x01, 0x00, DS18B20_DAMAGED, 0 },
	{ 0x91, 0x01, 0xFF, DS18B20_DAMAGED, 0 },
};

static void
reads_what_the_sensor_says(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof readings / sizeof readings[0]; i++) {
		const struct reading *r = &readings[i];
		uint8_t pad[9] = { r->low, r->high, 0x4B, 0x46, r->config, 0xFF, 0x0C, 0x10, 0 };
		int16_t centi = 7777;

		pad[8] = crc_of(pad, 8);
		put_on_wire(pad);
		assert_int_equal(ds18b20_read(&centi), r->status);
		assert_int_equal(centi, r->status == DS18B20_OK ? r->centi : 7777);
		assert_int_equal(wire.count, 2);
		assert_int_equal(wire.written[0], 0xCC);
		assert_int_equal(wire.written[1], 0xBE);
	}
}

/* A scratchpad of a real sensor, with its checksum. */
static void
knows_the_checksum(void **state)
{
	static const uint8_t pad[9] = { 0x50, 0x05, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10, 0x1C };
	uint8_t damaged[9];
	int16_t centi;

	(void)state;
	put_on_wire(pad);
	assert_int_equal(ds18b20_read(&centi), DS18B20_POWER_ON);
	for (unsigned bit = 0; bit < 72; bit++) {
		memcpy(damaged, pad, 9);
		damaged[bit / 8] ^= (uint8_t)(1 << bit % 8);
		put_on_wire(damaged);
		assert_int_equal(ds18b20_read(&centi), DS18B20_DAMAGED);
	}
}

static void
refuses_an_empty_or_shorted_wire(void **state)
{
	static const uint8_t ones[9] = { 255, 255, 255, 255, 255, 255, 255, 255, 255 };
	static const uint8_t zeros[9] = { 0 };
	int16_t centi;

	(void)state;
	put_on_wire(ones);
	assert_int_equal(ds18b20_read(&centi), DS18B20_DAMAGED);
	put_on_wire(zeros);
	assert_int_equal(ds18b20_read(&centi), DS18B20_DAMAGED);
	wire.present = false;
	assert_int_equal(ds18b20_read(&centi), DS18B20_ABSENT);
	assert_int_equal(ds18b20_start(), DS18B20_ABSENT);
}

static void
converts_and_asks(void **state)
{
	static const uint8_t answer[9] = { 0x00, 0x0F, 0xFF };

	(void)state;
	put_on_wire(answer);
	assert_int_equal(ds18b20_start(), DS18B20_OK);
	assert_int_equal(wire.written[0], 0xCC);
	assert_int_equal(wire.written[1], 0x44);
	assert_false(ds18b20_done());
	assert_false(ds18b20_done()); /* it ended within this byte: the next one tells */
	assert_true(ds18b20_done());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_the_sensor_says),
		cmocka_unit_test(knows_the_checksum),
		cmocka_unit_test(refuses_an_empty_or_shorted_wire),
		cmocka_unit_test(converts_and_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
