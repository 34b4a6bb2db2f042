/* SPDX-License-Identifier: BSD-2-Clause */
#include "atecc_bench.h"

#include <string.h>

#include "fake_time.h"
#include "unit/cmocka_all.h"

struct fault_set *bench_faults;
struct atecc_model *chip;
const uint8_t bench_serial[9] = { 0x01, 0x23, 0xF5, 0x2E, 0x01, 0xF0, 0xC2, 0x01, 0xEE };

void
bench_open(uint64_t seed)
{
	fake_time_reset(seed);
	bench_heal();
}

void
bench_close(void)
{
	atecc_model_free(chip);
	chip = NULL;
	fault_set_free(bench_faults);
	bench_faults = NULL;
}

void
bench_power_on(bool locked, bool is_608)
{
	struct atecc_config config = { .locked = locked, .is_608 = is_608 };

	memcpy(config.serial, bench_serial, sizeof bench_serial);
	atecc_model_free(chip);
	chip = atecc_model_new(&fake_world, bench_faults, &config);
	assert_non_null(chip);
}

void
bench_add_fault(const char *word)
{
	const struct fault *const known[] = { atecc_faults, NULL };
	char why[128];

	if (fault_set_add(bench_faults, word, known, why, sizeof why) != 0) {
		fail_msg("%s", why);
	}
}

void
bench_heal(void)
{
	fault_set_free(bench_faults);
	bench_faults = fault_set_new(&fake_world);
	assert_non_null(bench_faults);
	if (chip != NULL) {
		chip->faults = bench_faults;
	}
}
