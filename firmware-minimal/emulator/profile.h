/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cycles by function of the firmware and by phase: those spent in a function
 * itself, and those until it returned, with all that it called. Written as a
 * table, the most expensive first.
 */
#ifndef EMULATOR_PROFILE_H
#define EMULATOR_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "emulator/elf.h"

struct profile;
/* NULL: no memory, or an ELF file without functions. Keeps the pointer to elf. */
struct profile *profile_new(const struct elf *elf);
void profile_free(struct profile *profile);

/* The processor at the start of an instruction. */
struct profile_point {
	uint32_t pc, sp, lr;
	unsigned phase;
	uint64_t cycles, slept; /* since power-on; slept: of the cycles, in WFI */
};
void profile_step(struct profile *profile, const struct profile_point *point);
/*
 * One line for each function and phase: phase, name, calls, cycles in itself,
 * cycles with what it called, and how many of these were slept. Separated by
 * tabs; false: the file could not be written.
 */
bool profile_write(const struct profile *profile, const char *path);

#endif
