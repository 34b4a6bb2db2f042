/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of the chip, each broken once: the emulator has to say so, and which. */
#include <stdlib.h>

#include "emulator_rig.h"
#include "unit/cmocka_all.h"

#define SYSCTRL 0x40000800u
#define GCLK 0x40000C00u
#define PM 0x40000400u
#define WDT 0x40001000u
#define RTC 0x40001400u
#define EIC 0x40001800u
#define NVM 0x41004000u
#define SERCOM2 0x42001000u
#define SERCOM4 0x42001800u
#define SERCOM5 0x42001C00u
#define ADC 0x42004000u

struct access {
	uint32_t address;
	unsigned bits; /* 0: only wait */
	uint32_t value;
	uint32_t wait_us; /* behind it */
};

/* apbc, clkctrl: clocks to switch on before, 0 none. The last access is the one that breaks it. */
static const struct rule {
	const char *sentence;
	uint32_t apbc, clkctrl;
	struct access accesses[4];
} rules[] = {
	{ "ADC triggered while not enabled", 1 << 16, 0x401E, { { ADC + 0x0C, 8, 2, 0 } } },
	{ "ADC register 0x10 written while STATUS.SYNCBUSY", 1 << 16, 0x401E,
	  { { ADC, 8, 2, 0 }, { ADC + 0x10, 32, 0, 0 } } },
	{ "ADC conversion of input 0x00", 1 << 16, 0x401E,
	  { { ADC, 8, 2, 1000 }, { ADC + 0x0C, 8, 2, 1000 } } },
	{ "which is off", 1 << 16, 0x401E,
	  { { ADC, 8, 2, 1000 }, { ADC + 0x10, 32, 0x1818, 1000 }, { ADC + 0x0C, 8, 2, 1000 } } },
	{ "without XTALEN and EN32K", 0, 0, { { SYSCTRL + 0x14, 16, 2, 0 } } },
	{ "ONDEMAND still set", 0, 0, { { SYSCTRL + 0x24, 16, 0x82, 0 } } },
	{ "is switched off", 0, 0, { { GCLK + 4, 32, 0x00000600, 0 } } },
	{ "uses the DFLL, which is not enabled", 0, 0, { { GCLK + 4, 32, 0x00010703, 0 } } },
	{ "no generic clock generator 9", 0, 0, { { GCLK + 8, 32, 9, 0 } } },
	{ "EIC.CTRL written while STATUS.SYNCBUSY", 0, 0, { { EIC, 8, 2, 0 }, { EIC, 8, 2, 0 } } },
	{ "EIC.CONFIG written while the EIC is enabled", 0, 0,
	  { { EIC, 8, 2, 1000 }, { EIC + 0x1C, 32, 0, 0 } } },
	{ "BUSSTATE written while not enabled", 1 << 4, 0x4016, { { SERCOM2 + 0x1A, 16, 0x10, 0 } } },
	{ "ADDR written while not enabled", 1 << 4, 0x4016, { { SERCOM2 + 0x24, 32, 0xC0, 0 } } },
	{ "the radio is on DOPO 0 and DIPO 3", 1 << 6, 0x4018, { { SERCOM4, 32, 0x0E, 0 } } },
	{ "the radio wants SPI mode 0", 1 << 6, 0x4018, { { SERCOM4, 32, 0x1030000E, 0 } } },
	{ "the console is on TXPO 1 and RXPO 3", 1 << 7, 0x4019, { { SERCOM5, 32, 0x40000006, 0 } } },
	{ "DORD 0 sends the MSB first", 1 << 7, 0x4019, { { SERCOM5, 32, 0x00310006, 0 } } },
	{ "SERCOM5 enabled in mode 3", 1 << 7, 0x4019, { { SERCOM5, 32, 0x4031000E, 0 } } },
	{ "SERCOM5.DATA written while the module is not enabled", 1 << 7, 0x4019,
	  { { SERCOM5 + 0x28, 16, 1, 0 } } },
	{ "SysTick without CLKSOURCE", 0, 0, { { 0xE000E010, 32, 1, 0 } } },
	{ "NMI pended by software", 0, 0, { { 0xE000ED04, 32, 0x80000000, 0 } } },
	{ "is outside the flash", 0, 0, { { 0xE000ED08, 32, 0x20000000, 0 } } },
	{ "NVMCTRL command 0x7F is not for this firmware", 0, 0, { { NVM, 16, 0xA57F, 0 } } },
	{ "RTC mode 1", 0, 0x4004, { { RTC, 16, 4, 0 } } },
	{ "RTC.CTRL changed while the RTC is enabled", 0, 0x4004,
	  { { RTC, 16, 2, 10000 }, { RTC, 16, 0x0102, 0 } } },
	{ "written while STATUS.SYNCBUSY", 0, 0x4004, { { RTC, 16, 2, 0 }, { RTC + 0x18, 32, 1, 0 } } },
	{ "WDT configured while it runs", 0, 0x4003,
	  { { WDT, 8, 2, 10000 }, { WDT + 1, 8, 3, 0 } } },
};

static void
break_it(struct rig *rig, const struct rule *rule)
{
	if (rule->clkctrl != 0) {
		uint32_t mask = soc_read(rig->soc, PM + 0x20, 4);

		soc_write(rig->soc, PM + 0x20, 4, mask | rule->apbc);
		soc_write(rig->soc, GCLK + 2, 2, rule->clkctrl);
		rig_wait(rig, 2000);
	}
	for (unsigned i = 0; i < 4 && rule->accesses[i].bits != 0; i++) {
		const struct access *a = &rule->accesses[i];

		rig_clean(rig);
		soc_write(rig->soc, a->address, a->bits / 8, a->value);
		rig_wait(rig, a->wait_us * UINT64_C(1000));
	}
}

static void
each_broken_rule_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		struct rig *rig = malloc(sizeof *rig);

		assert_non_null(rig);
		rig_init(rig);
		rig_soc(rig, (struct soc_config){ .die_centi = 3000 });
		break_it(rig, &rules[i]);
		rig_expect(rig, rules[i].sentence);
		rig_free(rig);
		free(rig);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_broken_rule_is_named) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
