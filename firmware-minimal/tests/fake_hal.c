/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake_hal.h"

#include <stdio.h>
#include <string.h>

#include "hal/spi.h"
#include "hal/time.h"

#include "unit/cmocka_all.h"

enum {
	SPI_BYTE_NS = 667, /* 12 MHz */
	LOOK_NS = 1000,    /* a look at the clock costs something too */
};

struct fake_hal fake_hal;

static void
on_violation(void *owner, const char *format, va_list args)
{
	char text[256];

	(void)owner;
	vsnprintf(text, sizeof text, format, args);
	fail_msg("violation at %llu us: %s", (unsigned long long)(fake_hal.world.now_ns / 1000),
	         text);
}

void
fake_hal_reset(uint64_t seed)
{
	memset(&fake_hal, 0, sizeof fake_hal);
	fake_hal.world.violation = on_violation;
	fake_hal.world.seed = seed;
	fake_hal.cs_n = true;
}

static void
pass(uint64_t ns)
{
	fake_hal.world.now_ns += ns;
	if (fake_hal.winc != NULL) {
		winc_model_advance(fake_hal.winc);
	}
}

uint32_t
time_ms(void)
{
	fake_hal.world.now_ns += LOOK_NS;
	return (uint32_t)(fake_hal.world.now_ns / 1000000);
}

void
time_wait_us(uint32_t us)
{
	pass((uint64_t)us * 1000);
}

void
time_wait_ms(uint32_t ms)
{
	for (; ms > 0; ms--) {
		pass(1000000);
		watchdog_feed();
	}
}

void
watchdog_start(void)
{
}

void
watchdog_feed(void)
{
	uint64_t gap = fake_hal.world.now_ns - fake_hal.fed_ns;

	fake_hal.feeds++;
	fake_hal.fed_ns = fake_hal.world.now_ns;
	fake_hal.unfed_ns = gap > fake_hal.unfed_ns ? gap : fake_hal.unfed_ns;
}

static void
update_pins(void)
{
	if (fake_hal.winc != NULL) {
		winc_model_pins(fake_hal.winc, fake_hal.reset_n, fake_hal.chip_en, fake_hal.cs_n);
	}
}

void
spi_init(void)
{
	fake_hal.cs_n = true;
	update_pins();
}

void
spi_select(bool selected)
{
	fake_hal.cs_n = !selected;
	update_pins();
}

bool
spi_exchange(const uint8_t *out, uint8_t *in, size_t n)
{
	if (fake_hal.spi_broken) {
		pass(1000000);
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		uint8_t mosi = out != NULL ? out[i] : 0;
		uint8_t miso = 0xFF;

		fake_hal.world.now_ns += SPI_BYTE_NS;
		if (fake_hal.winc != NULL) {
			miso = winc_model_exchange(fake_hal.winc, mosi);
		}
		if (fake_hal.tap != NULL) {
			fake_hal.tap(mosi, miso);
		}
		if (in != NULL) {
			in[i] = miso;
		}
	}
	fake_hal.spi_bytes += n;
	return true;
}

void
winc_pin_reset(bool level)
{
	fake_hal.reset_n = level;
	update_pins();
}

void
winc_pin_enable(bool level)
{
	fake_hal.chip_en = level;
	update_pins();
}

bool
winc_pin_irq(void)
{
	return fake_hal.winc != NULL && !winc_model_irq_n(fake_hal.winc);
}
