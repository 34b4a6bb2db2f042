/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps emulated time in step with the wall clock. */
#ifndef EMULATOR_PACE_H
#define EMULATOR_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
	double speed;         /* 0: as fast as it can */
	bool anchored;
	uint64_t world, wall; /* both at the same moment */
};
/*
 * Sleeps until the wall clock has caught up with now_ns. With speed 0 only
 * while an answer of the real network is outstanding, so that the firmware's
 * time-outs stay true to its peer.
 */
void pace_keep(struct pace *pace, uint64_t now_ns, bool waits_for_network);

#endif
