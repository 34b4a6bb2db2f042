/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulator/pace.h"

#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
/* Further behind than this, the emulator is too slow: it does not race to make up for it. */
#define BEHIND_NS 100000000

static uint64_t
wall_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void
pace_keep(struct pace *pace, uint64_t now_ns, bool waits_for_network)
{
	double speed = pace->speed;
	uint64_t wall, due;

	if (speed == 0) {
		if (!waits_for_network) {
			pace->anchored = false;
			return;
		}
		speed = 1;
	}
	wall = wall_now();
	if (!pace->anchored) {
		pace->anchored = true;
		pace->world = now_ns;
		pace->wall = wall;
	}
	due = pace->wall + (uint64_t)((double)(now_ns - pace->world) / speed);
	if (due > wall) {
		struct timespec t = { (time_t)((due - wall) / NS_PER_S), (long)((due - wall) % NS_PER_S) };

		nanosleep(&t, NULL);
	} else if (wall - due > BEHIND_NS) {
		pace->world = now_ns;
		pace->wall = wall;
	}
}
