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
#define PORT 0x41004400u
#define READ 0x100 /* beside the width: not written but read */

struct access {
	uint32_t address;
	unsigned bits;
	uint32_t value;
	uint32_t wait_us; /* behind it */
};

/* Each module as the firmware sets it up: pins, mode, enabled. */
static const struct access key_store[] = {
	{ PORT + 0x34, 8, 0x33, 0 }, { PORT + 0x48, 8, 1, 0 }, { PORT + 0x49, 8, 1, 0 },
	{ SERCOM2 + 0x0C, 32, 16, 0 }, { SERCOM2, 32, 0x16, 1000 }, { SERCOM2 + 0x1A, 16, 0x10, 1000 },
	{ 0, 0, 0, 0 },
};
static const struct access radio[] = {
	{ PORT + 0x36, 8, 0x33, 0 }, { PORT + 0x37, 8, 0x30, 0 }, { PORT + 0x4C, 8, 1, 0 },
	{ PORT + 0x4D, 8, 1, 0 }, { PORT + 0x4F, 8, 1, 0 }, { SERCOM4, 32, 0x0030000E, 1000 },
	{ 0, 0, 0, 0 },
};
static const struct access console[] = {
	{ PORT + 0xBB, 8, 0x33, 0 }, { PORT + 0xD6, 8, 1, 0 }, { PORT + 0xD7, 8, 1, 0 },
	{ SERCOM5, 32, 0x40312006, 1000 }, { 0, 0, 0, 0 },
};
static const struct access fast[] = {
	{ NVM + 4, 32, 0x82, 0 }, { SYSCTRL + 0x24, 16, 2, 2 }, { SYSCTRL + 0x28, 32, 0x81FF, 2 },
	{ SYSCTRL + 0x24, 16, 2, 2 }, { GCLK + 8, 32, 0, 2 }, { GCLK + 4, 32, 0x00030700, 2 },
	{ 0, 0, 0, 0 },
};

/*
 * apbc, clkctrl: clocks to switch on before, 0 none; before: NULL, or accesses
 * before. The last access is the one that breaks it.
 */
static const struct rule {
	const char *sentence;
	uint32_t apbc, clkctrl;
	struct access accesses[4];
	const struct access *before;
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
	{ "watchdog cleared inside its closed window", 0, 0x4003,
	  { { WDT, 8, 6, 10000 }, { WDT + 8, 8, 0xA5, 0 } } },
	{ "RTC.COUNT read before its read request was synchronised", 0, 0x4004,
	  { { RTC, 16, 2, 10000 }, { RTC + 2, 16, 0x8010, 0 }, { RTC + 0x10, 32 | READ, 0, 0 } } },
	{ "no flash wait state at 48000000 Hz", 0, 0, { { NVM + 4, 32, 0x80, 0 } }, fast },
	{ "SERCOM2.ADDR written while a transfer is under way", 1 << 4, 0x4016,
	  { { SERCOM2 + 0x24, 32, 0xC0, 2 }, { SERCOM2 + 0x24, 32, 0xC0, 0 } }, key_store },
	{ "SERCOM2.DATA written in a read transfer", 1 << 4, 0x4016,
	  { { SERCOM2 + 0x24, 32, 0xC1, 1000 }, { SERCOM2 + 0x28, 8, 1, 0 } }, key_store },
	{ "DATA read while the master does not hold the bus with SB set", 1 << 4, 0x4016,
	  { { SERCOM2 + 0x24, 32, 0xC1, 1000 }, { SERCOM2 + 0x28, 8 | READ, 0, 0 } }, key_store },
	{ "CTRLB.CMD while the master does not hold the bus with MB or SB set", 1 << 4, 0x4016,
	  { { SERCOM2 + 4, 32, 0x30000, 0 } }, key_store },
	{ "SERCOM2.CTRLB is enable-protected", 1 << 4, 0x4016, { { SERCOM2 + 4, 32, 0x100, 0 } },
	  key_store },
	{ "CMD 2 in a write transfer", 1 << 4, 0x4016,
	  { { SERCOM2 + 0x24, 32, 0xC0, 1000 }, { SERCOM2 + 4, 32, 0x20000, 0 } }, key_store },
	{ "CMD 2 after a refusal (ACKACT 1)", 1 << 4, 0x4016,
	  { { SERCOM2 + 0x24, 32, 0xC1, 1000 }, { SERCOM2 + 4, 32, 0x60000, 0 } }, key_store },
	{ "CMD 1; a repeated start is a write to ADDR", 1 << 4, 0x4016,
	  { { SERCOM2 + 0x24, 32, 0xC0, 1000 }, { SERCOM2 + 4, 32, 0x10000, 0 } }, key_store },
	{ "SERCOM5.CTRLA is enable-protected", 1 << 7, 0x4019, { { SERCOM5, 32, 0x40310006, 0 } },
	  console },
	{ "SERCOM5.CTRLB is enable-protected", 1 << 7, 0x4019, { { SERCOM5 + 4, 32, 0x30001, 0 } },
	  console },
	{ "transfer without the receiver (CTRLB.RXEN)", 1 << 6, 0x4018,
	  { { SERCOM4 + 0x28, 32, 1, 0 } }, radio },
};

static void
do_access(struct rig *rig, const struct access *a)
{
	unsigned bytes = (a->bits & ~(unsigned)READ) / 8;

	rig_clean(rig);
	if ((a->bits & READ) != 0) {
		soc_read(rig->soc, a->address, bytes);
	} else {
		soc_write(rig->soc, a->address, bytes, a->value);
	}
	rig_wait(rig, a->wait_us * UINT64_C(1000));
}

static void
break_it(struct rig *rig, const struct rule *rule)
{
	if (rule->clkctrl != 0) {
		uint32_t mask = soc_read(rig->soc, PM + 0x20, 4);

		soc_write(rig->soc, PM + 0x20, 4, mask | rule->apbc);
		soc_write(rig->soc, GCLK + 2, 2, rule->clkctrl);
		rig_wait(rig, 2000);
	}
	for (const struct access *a = rule->before; a != NULL && a->bits != 0; a++) {
		do_access(rig, a);
	}
	for (unsigned i = 0; i < 4 && rule->accesses[i].bits != 0; i++) {
		do_access(rig, &rule->accesses[i]);
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

/* A chip that answers goes on driving SDA when its last byte is not refused. */
static void
a_read_ends_with_a_refusal(void **state)
{
	static const struct rule rule = {
		"STOP after a read without refusing the last byte", 1 << 4, 0x4016,
		{ { SERCOM2 + 0x24, 32, 0xC1, 1000 }, { SERCOM2 + 0x18, 8 | READ, 0, 1000 },
		  { SERCOM2 + 0x28, 8 | READ, 0, 0 }, { SERCOM2 + 4, 32, 0x30000, 0 } }, key_store,
	};
	struct rig *rig = malloc(sizeof *rig);
	struct atecc_model *chip;

	(void)state;
	assert_non_null(rig);
	rig_init(rig);
	chip = atecc_model_new(&rig->world, NULL, &(struct atecc_config){ .locked = true });
	assert_non_null(chip);
	rig_soc(rig, (struct soc_config){ .atecc = chip });
	atecc_model_sda_low(chip, 80000);
	break_it(rig, &rule);
	rig_expect(rig, rule.sentence);
	rig_free(rig);
	atecc_model_free(chip);
	free(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_broken_rule_is_named),
		cmocka_unit_test(a_read_ends_with_a_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
