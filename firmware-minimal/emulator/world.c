/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulator/model.h"

void
world_violation(struct world *world, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	world->violation(world->owner, format, args);
	va_end(args);
}

void
world_note(struct world *world, const char *format, ...)
{
	va_list args;

	if (world->note == NULL) {
		return;
	}
	va_start(args, format);
	world->note(world->owner, format, args);
	va_end(args);
}

/* SplitMix64: every run with the same seed is the same run. */
uint64_t
world_random(struct world *world)
{
	uint64_t z = world->seed += 0x9E3779B97F4A7C15u;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return z ^ z >> 31;
}
