/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulator_rig.h"

#include <stdio.h>
#include <string.h>

#include "unit/cmocka_all.h"

static void
on_violation(void *owner, const char *format, va_list args)
{
	struct rig *rig = owner;

	if (rig->violations++ == 0) {
		vsnprintf(rig->first, sizeof rig->first, format, args);
	}
}

static void
on_serial(void *owner, uint8_t byte)
{
	struct rig *rig = owner;

	if (rig->serial_used < sizeof rig->serial - 1) {
		rig->serial[rig->serial_used++] = (char)byte;
	}
}

static void
on_led(void *owner, bool on)
{
	((struct rig *)owner)->led = on;
}

void
rig_init(struct rig *rig)
{
	memset(rig, 0, sizeof *rig);
	memset(rig->flash, 0xFF, sizeof rig->flash);
	rig->world.violation = on_violation;
	rig->world.owner = rig;
	rig->world.seed = 1;
}

void
rig_soc(struct rig *rig, struct soc_config config)
{
	config.world = &rig->world;
	config.flash = rig->flash;
	config.serial = on_serial;
	config.led = on_led;
	config.owner = config.owner == NULL ? rig : config.owner;
	rig->soc = soc_new(&config);
	assert_non_null(rig->soc);
}

void
rig_free(struct rig *rig)
{
	soc_free(rig->soc);
	rig->soc = NULL;
}

void
rig_wait(struct rig *rig, uint64_t ns)
{
	rig->world.now_ns += ns;
	*soc_cycles(rig->soc) += ns / 1000;
	soc_advance(rig->soc);
}

void
rig_expect(struct rig *rig, const char *text)
{
	if (rig->violations == 0) {
		fail_msg("no violation; expected \"%s\"", text);
	}
	if (strstr(rig->first, text) == NULL) {
		fail_msg("violation \"%s\"; expected \"%s\"", rig->first, text);
	}
	rig->violations = 0;
}

void
rig_clean(struct rig *rig)
{
	if (rig->violations != 0) {
		fail_msg("violation \"%s\"", rig->first);
	}
}
