/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One-wire on D2. Interrupts are off while a slot's times matter, some 15 us;
 * reset pulse and recovery may be longer than asked for.
 */
#include "hal/hal_int.h"
#include "hal/sensor.h"
#include "hal/time.h"

#define PIN (1u << 10)

static void
wire_low(void)
{
	PORT_A->OUTCLR = PIN;
	PORT_A->DIRSET = PIN;
}

/* The pull-up inside helps the one outside, and makes an empty pin read high. */
static void
wire_release(void)
{
	PORT_A->DIRCLR = PIN;
	PORT_A->OUTSET = PIN;
}

static bool
wire_level(void)
{
	return (PORT_A->IN & PIN) != 0;
}

bool
onewire_reset(void)
{
	bool present;

	wire_release();
	time_wait_us(5);
	if (!wire_level()) {
		return false; /* short circuit */
	}
	wire_low();
	time_wait_us(490);
	cpu_interrupts_off();
	wire_release();
	time_wait_us(70);
	present = !wire_level();
	cpu_interrupts_on();
	time_wait_us(420);
	return present;
}

static void
write_bit(bool one)
{
	cpu_interrupts_off();
	wire_low();
	time_wait_us(one ? 5 : 65);
	wire_release();
	cpu_interrupts_on();
	time_wait_us(one ? 65 : 6);
}

static bool
read_bit(void)
{
	bool one;

	cpu_interrupts_off();
	wire_low();
	time_wait_us(2);
	wire_release();
	time_wait_us(8);
	one = wire_level();
	cpu_interrupts_on();
	time_wait_us(60);
	return one;
}

void
onewire_write(uint8_t byte)
{
	for (unsigned bit = 0; bit < 8; bit++) {
		write_bit((byte >> bit & 1) != 0);
	}
}

uint8_t
onewire_read(void)
{
	uint8_t byte = 0;

	for (unsigned bit = 0; bit < 8; bit++) {
		byte |= (uint8_t)(read_bit() << bit);
	}
	return byte;
}
