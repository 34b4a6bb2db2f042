/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One reading per interval: of the DS18B20 when there is one, else of the
 * processor. Nothing waits: a conversion is started, and asked after later.
 */
#include "app/app.h"

#include "app/log.h"
#include "drivers/ds18b20.h"
#include "hal/sensor.h"
#include "hal/time.h"

#define ASK_MS 20

static bool converting, started, known, was_present = true;
static uint32_t begun, asked;
static int16_t value;

static void
begin(void)
{
	begun = asked = time_ms();
	converting = ds18b20_start() == DS18B20_OK;
	if (converting != was_present) {
		was_present = converting;
		log_line(converting ? "the DS18B20 answers"
		                    : "no DS18B20: the processor's own temperature is sent");
	}
	started = true;
}

static bool
conversion_over(void)
{
	if (!converting || time_ms() - begun > 2 * DS18B20_CONVERSION_MS) {
		return true;
	}
	if (time_ms() - asked < ASK_MS) {
		return false;
	}
	asked = time_ms();
	return ds18b20_done();
}

static void
finish(void)
{
	known = converting && ds18b20_read(&value) == DS18B20_OK;
	if (!known) {
		known = temperature_internal(&value);
	}
	started = converting = false;
}

bool
reading_step(uint32_t interval_ms)
{
	static bool first = true;

	if (started) {
		if (!conversion_over()) {
			return false;
		}
		finish();
		return true;
	}
	if (first || time_ms() - begun >= interval_ms) {
		first = false;
		begin();
	}
	return false;
}

bool
reading_value(int16_t *centi)
{
	*centi = value;
	return known;
}
