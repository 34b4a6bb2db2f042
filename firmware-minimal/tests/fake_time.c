/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake_time.h"

#include <stdio.h>

#include "hal/time.h"
#include "unit/cmocka_all.h"

static void
violated(void *owner, const char *format, va_list args)
{
	char text[256];

	(void)owner;
	vsnprintf(text, sizeof text, format, args);
	fail_msg("%s", text);
}

struct world fake_world = { .violation = violated };
uint64_t fake_hungry_ns;
static uint64_t fed_ns;

void
fake_time_reset(uint64_t seed)
{
	fake_world = (struct world){ .violation = violated, .seed = seed };
	fake_hungry_ns = fed_ns = 0;
}

void
fake_time_pass_ns(uint64_t ns)
{
	fake_world.now_ns += ns;
	if (fake_world.now_ns - fed_ns > fake_hungry_ns) {
		fake_hungry_ns = fake_world.now_ns - fed_ns;
	}
}

uint32_t
time_ms(void)
{
	return (uint32_t)(fake_world.now_ns / 1000000);
}

void
time_wait_us(uint32_t us)
{
	fake_time_pass_ns((uint64_t)us * 1000);
}

void
time_wait_ms(uint32_t ms)
{
	fake_time_pass_ns((uint64_t)ms * 1000000);
	watchdog_feed();
}

void
watchdog_start(void)
{
	watchdog_feed();
}

void
watchdog_feed(void)
{
	fed_ns = fake_world.now_ns;
}
