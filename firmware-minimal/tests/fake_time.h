/* SPDX-License-Identifier: BSD-2-Clause */
/* hal/time.h on a clock that only the tests and the waits move. */
#ifndef TESTS_FAKE_TIME_H
#define TESTS_FAKE_TIME_H

#include "emulator/model.h"

/* One world for drivers and models; a violation fails the test. */
extern struct world fake_world;
/* The longest time without watchdog_feed() so far. */
extern uint64_t fake_hungry_ns;

void fake_time_reset(uint64_t seed);
void fake_time_pass_ns(uint64_t ns);

#endif
