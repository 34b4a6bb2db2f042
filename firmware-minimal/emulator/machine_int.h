/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the processor. Its parts: life, registers, reset and the run
 * (machine.c); the time, what is due and sleep (machine_time.c); exceptions
 * and the stack (machine_exception.c); what is done before each instruction
 * (machine_code.c); accesses to memory (machine_memory.c).
 */
#ifndef EMULATOR_MACHINE_INT_H
#define EMULATOR_MACHINE_INT_H

#include <unicorn/unicorn.h>

#include "emulator/machine.h"

#define LOADER_MAGIC 0x07738135u /* in the loader's cell: stay there */
#define FLASH_END SOC_FLASH_SIZE
#define CACHE_LINES 8
#define NESTING 8
#define WINDOWS 6 /* of the peripherals */

/*
 * A HardFault on its way to the firmware's handler: the processor as it was
 * before the instruction, and the word that the instruction has stored since.
 */
struct trap {
	bool pending, stored;
	uint32_t pc, apsr, registers[15];
	uint32_t stored_at, stored_over;
	char why[160];
};

struct machine {
	struct machine_config config;
	struct world *world;
	struct soc *soc;
	uc_engine *uc;
	uint8_t *flash, *ram, *window[WINDOWS];
	struct thumb *decoded; /* per halfword of flash */
	uint64_t *cycles;
	uint64_t base_ns, base_cycles, event, next_pace;
	uint32_t hertz;
	uint32_t pc, next;
	uint32_t branches[16];
	unsigned branch_count;
	uint32_t lines[CACHE_LINES];
	bool check_sp, primask, jumping, flash_dirty, in_hook;
	uint32_t jump_to, dirty_at;
	unsigned active[NESTING], depth;
	struct trap trap;
	enum machine_end end;
	uint64_t slept_seen; /* figures.slept when the phases were last brought up to now */
	struct machine_figures figures;
};

/* ---- machine.c ---- */

/* Registers 0 to 15 of Unicorn. */
uint32_t machine_get(struct machine *m, unsigned n);
void machine_set(struct machine *m, unsigned n, uint32_t value);
/* Go on somewhere else than at the next instruction; this one is not executed. */
void machine_jump(struct machine *m, uint32_t to);
/* The firmware says what it is doing now. */
void machine_change_phase(struct machine *m, uint32_t to);
/* Remember the target of a branch. */
void machine_branched(struct machine *m, uint32_t to);
void machine_reset(struct machine *m, enum soc_reset cause);

/* ---- machine_time.c ---- */

/* Bring the world's clock up to the cycles. */
void machine_clock(struct machine *m);
/* The same, and go on with the frequency that the clocks have now. */
void machine_rebase(struct machine *m);
/* Stand still: bus wait or flash command. */
void machine_stall(struct machine *m, uint64_t ns);
/* Runs what is due before the instruction at pc; true when the processor went elsewhere. */
bool machine_service(struct machine *m, uint32_t pc);
/* WFI: the time jumps from event to event until something would wake the processor. */
void machine_wait(struct machine *m, uint32_t pc);

/* ---- machine_exception.c ---- */

/* Of what runs now. */
int machine_priority(const struct machine *m);
/* May SP be that? A violation when not. */
bool machine_stack_ok(struct machine *m, uint32_t sp);
/* return_to: the instruction that runs after the handler (samd21 6.1). */
void machine_enter(struct machine *m, unsigned number, uint32_t return_to);
/*
 * HardFault of the instruction at pc (samd21 6.1). It ends the run, or it is
 * kept until Unicorn has stopped: then machine_take_trap().
 */
void machine_fault(struct machine *m, uint32_t pc, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
void machine_take_trap(struct machine *m);
/* What --fault wants of the processor now; true when it went elsewhere. */
bool machine_inject(struct machine *m, uint32_t pc);
/* BX Rm or POP {..., PC} inside a handler: is it the return from the exception? */
bool machine_exception_return(struct machine *m, uint16_t word);

/* ---- machine_code.c ---- */

/* Have each instruction seen before it runs. */
bool machine_code_attach(struct machine *m);

/* ---- machine_memory.c ---- */

bool machine_memory_new(struct machine *m);
/* Fill it, give it to Unicorn, and have each access to it seen. */
bool machine_memory_attach(struct machine *m);
void machine_memory_free(struct machine *m); /* after uc_close() */
uint32_t machine_load_word(const uint8_t *p);

#endif
