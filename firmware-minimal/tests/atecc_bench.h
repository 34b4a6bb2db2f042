/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the ATECC share: one chip, its faults, a world of its own. */
#ifndef TESTS_ATECC_BENCH_H
#define TESTS_ATECC_BENCH_H

#include "emulator/atecc_int.h"

extern struct fault_set *bench_faults;
extern struct atecc_model *chip; /* NULL until bench_power_on() */
extern const uint8_t bench_serial[9];

/* A world at its beginning, no faults and no chip. */
void bench_open(uint64_t seed);
void bench_close(void);
/* Another chip in place of the one that was there. */
void bench_power_on(bool locked, bool is_608);
void bench_add_fault(const char *word);
/* The hardware is well again (what it did to the chip's state stays). */
void bench_heal(void);

#endif
