/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of the ATECC's bus, each broken once: the model has to say so, and which. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emulator/atecc_int.h"
#include "emulator_rig.h"
#include "unit/cmocka_all.h"

#define MS UINT64_C(1000000)

struct bench {
	struct rig rig;
	struct atecc_model *chip;
};

static struct bench *
awake_chip(const char *file)
{
	struct bench *b = malloc(sizeof *b);

	assert_non_null(b);
	rig_init(&b->rig);
	b->rig.world.now_ns = MS;
	b->chip = atecc_model_new(&b->rig.world, NULL,
	                          &(struct atecc_config){ .file = file, .locked = true });
	assert_non_null(b->chip);
	atecc_model_sda_low(b->chip, 80000);
	b->rig.world.now_ns += 2 * MS;
	return b;
}

static void
bench_free(struct bench *b)
{
	atecc_model_free(b->chip);
	free(b);
}

/* One write transfer: word address, then the bytes of a command with its checksum. */
static void
give(struct bench *b, uint8_t word, uint8_t *group, size_t n)
{
	if (n > 2) {
		uint16_t crc = atecc_model_crc(group, n - 2);

		group[n - 2] = (uint8_t)crc;
		group[n - 1] = (uint8_t)(crc >> 8);
	}
	assert_true(atecc_model_start(b->chip, 0xC0));
	atecc_model_write(b->chip, word);
	for (size_t i = 0; i < n; i++) {
		atecc_model_write(b->chip, group[i]);
	}
	atecc_model_stop(b->chip);
}

static void
each_broken_rule_is_named(void **state)
{
	static const struct {
		const char *sentence;
		size_t n;
		uint8_t word, group[8];
	} rules[] = {
		{ "command 0x51 exists but is not modelled", 7, 3, { 7, 0x51 } },
		{ "command 0x01 exists but is not modelled", 7, 3, { 7, 0x01 } },
		{ "STOP after 5 bytes of a command of 7", 5, 3, { 7, 0x30 } },
		{ "STOP after 0 bytes of a command of 0", 0, 3, { 0 } },
		{ "a command of 8 bytes says that it has 7", 8, 3, { 7, 0x30 } },
		{ "a command of 5 bytes says that it has 5", 5, 3, { 5, 0x30 } },
		{ "word address 0x04 is reserved", 0, 4, { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		struct bench *b = awake_chip(NULL);
		uint8_t group[8];

		memcpy(group, rules[i].group, sizeof group);
		give(b, rules[i].word, group, rules[i].n);
		rig_expect(&b->rig, rules[i].sentence);
		bench_free(b);
	}
}

static void
a_group_has_an_end(void **state)
{
	struct bench *b = awake_chip(NULL);
	uint8_t group[sizeof b->chip->in] = { 7, 0x30 };

	(void)state;
	give(b, 3, group, sizeof group);
	rig_expect(&b->rig, "a group of more than");
	bench_free(b);
}

static void
a_short_pulse_is_none(void **state)
{
	struct bench *b = awake_chip(NULL);

	(void)state;
	atecc_model_sda_low(b->chip, 29000); /* an ordinary byte */
	rig_clean(&b->rig);
	atecc_model_sda_low(b->chip, 45000);
	rig_expect(&b->rig, "SDA low for 45000 ns: a wake pulse needs 60000");
	bench_free(b);
}

/* Its folder is gone when a Write comes. */
static void
what_cannot_be_kept_is_told(void **state)
{
	char folder[] = "atecc-rules-XXXXXX", file[64];
	uint8_t group[7 + 4] = { 7 + 4, 0x12, 2, 0x40, 2 };
	struct bench *b;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/chip", folder);
	b = awake_chip(file);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(folder), 0);
	give(b, 3, group, sizeof group);
	rig_expect(&b->rig, "/chip cannot be written");
	bench_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_broken_rule_is_named),
		cmocka_unit_test(a_group_has_an_end),
		cmocka_unit_test(a_short_pulse_is_none),
		cmocka_unit_test(what_cannot_be_kept_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
