/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processor: Unicorn for the instructions, and around it what it does not
 * give for a Cortex-M0+: time, exceptions, sleep, reset, and the checks that
 * end a run. Each instruction is seen before it runs, so the program counter
 * and the time are exact everywhere.
 */
#ifndef EMULATOR_MACHINE_H
#define EMULATOR_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "emulator/soc.h"

#define MACHINE_PHASES 16

enum machine_end {
	MACHINE_RUNNING,
	MACHINE_ASKED,     /* machine_stop() */
	MACHINE_TIME,      /* the time given is over */
	MACHINE_VIOLATION,
	MACHINE_LOADER,    /* stays in the boot loader: no image, or a double tap */
};

struct machine_config {
	struct world *world;
	struct soc *soc;
	const uint8_t *flash;
	uint64_t until_ns;      /* SOC_NEVER: no end */
	uint32_t stack_limit;   /* lowest address that SP may have; 0: not checked */
	uint32_t phase_address; /* of the firmware's emulator_phase; 0: none */
	bool watchdog_allowed;  /* a watchdog reset is counted, but does not end the run */
	/* A HardFault is taken, by the firmware's own handler, instead of ending the run. */
	bool fault_allowed;
	struct fault_set *faults; /* of machine_faults; may be NULL */
	/*
	 * Called at least once per emulated millisecond: the place to wait for the
	 * wall clock, look at signals and call machine_stop().
	 */
	void (*pace)(void *owner, uint64_t now_ns, bool waits_for_network);
	void (*phase_changed)(void *owner, unsigned from, unsigned to);
	/* NULL, or called when a HardFault is taken; pc: what the handler will find as its place. */
	void (*faulted)(void *owner, uint32_t pc, const char *why);
	/* NULL, or called before each instruction. */
	void (*step)(void *owner, uint32_t pc);
	void *owner;
};

struct machine_phase {
	uint64_t cycles, slept, ns, entered; /* slept: of the cycles, in WFI */
};

struct machine_figures {
	uint64_t cycles, slept;     /* slept: of them in WFI */
	uint32_t lowest_sp, resets, watchdogs, faults; /* faults: HardFaults taken */
	unsigned phase;
	struct machine_phase phases[MACHINE_PHASES];
};

struct machine;
struct machine *machine_new(const struct machine_config *config);
void machine_free(struct machine *m);
/* Power on and run until something ends it. */
enum machine_end machine_run(struct machine *m);
/* From inside a callback: end the run after this instruction. */
void machine_stop(struct machine *m, enum machine_end why);
/* The flash has changed under the processor (soc's flash_changed). */
void machine_flash_changed(struct machine *m, uint32_t address, uint32_t size);
const struct machine_figures *machine_figures(struct machine *m);
uint32_t machine_pc(const struct machine *m);
/* Register 0..15 as it is now. */
uint32_t machine_register(struct machine *m, unsigned n);
/* The last branch targets, oldest first; returns how many (at most 16). */
unsigned machine_branches(const struct machine *m, uint32_t out[16]);
/* A word of the emulated RAM: read, and put there behind the firmware's back. */
uint32_t machine_ram(const struct machine *m, uint32_t address);
void machine_ram_store(struct machine *m, uint32_t address, uint32_t value);
extern const struct fault machine_faults[];

#endif
