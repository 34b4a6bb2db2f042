/* SPDX-License-Identifier: BSD-2-Clause */
/* Vector table, reset handler, and what happens when the processor faults. */
#include "board/board.h"
#include "board/samd21.h"

#define FAULT_MAGIC 0x46415554u /* "FAUT" */
#define PHASE_MAGIC 0x50484153u
#define OWN_RESET_MAGIC 0x4F574E52u
#define STACK_GUARD 0x6B7A9D31u

extern uint32_t stack_top[], stack_limit[];
extern uint32_t data_start[], data_end[], bss_start[], bss_end[];
extern const uint32_t data_load[];

int main(void);
void reset_handler(void) __attribute__((noreturn));
void fault_handler(void);
void fault_store(const uint32_t *frame) __attribute__((noreturn, used));
void systick_handler(void); /* hal/time.c */

/* Survive every reset but that of the power. */
static struct fault_record kept_fault __attribute__((section(".kept")));
static uint32_t kept_phase_magic __attribute__((section(".kept")));
static uint32_t kept_own_reset __attribute__((section(".kept")));
static uint32_t kept_note[2] __attribute__((section(".kept")));
static uint32_t kept_guard __attribute__((section(".kept.last")));
volatile uint32_t emulator_phase __attribute__((section(".kept")));

static uint8_t reset_cause;
static bool crystal, own_reset;
static uint32_t last_phase;

struct vectors {
	uint32_t *stack;
	void (*handler[43])(void);
};
static const struct vectors vectors __attribute__((section(".vectors"), used)) = {
	.stack = stack_top,
	.handler = {
		[0] = reset_handler,
		/* What nobody expects is a crash like any other: it is recorded, and told. */
		[1] = fault_handler, /* NMI */
		[2] = fault_handler,
		[10] = fault_handler,
		[13] = fault_handler,
		[14] = systick_handler,
		[15] = fault_handler, fault_handler, fault_handler,
		fault_handler, fault_handler, fault_handler, fault_handler,
		fault_handler, fault_handler, fault_handler, fault_handler,
		fault_handler, fault_handler, fault_handler, fault_handler,
		fault_handler, fault_handler, fault_handler, fault_handler,
		fault_handler, fault_handler, fault_handler, fault_handler,
		fault_handler, fault_handler, fault_handler, fault_handler,
		fault_handler,
	},
};

static void
memory_start(void)
{
	const uint32_t *from = data_load;

	for (uint32_t *to = data_start; to < data_end; to++) {
		*to = *from++;
	}
	for (uint32_t *to = bss_start; to < bss_end; to++) {
		*to = 0;
	}
	kept_guard = STACK_GUARD;
}

static void
phase_start(void)
{
	last_phase = kept_phase_magic == PHASE_MAGIC && emulator_phase < 8 ? emulator_phase : 8;
	kept_phase_magic = PHASE_MAGIC;
	emulator_phase = 0;
}

void
reset_handler(void)
{
	SCB_VTOR = (uint32_t)&vectors;
	memory_start();
	reset_cause = PM_RCAUSE;
	own_reset = (reset_cause & PM_RCAUSE_WDT) != 0 ||
	            ((reset_cause & PM_RCAUSE_SYST) != 0 && kept_own_reset == OWN_RESET_MAGIC);
	kept_own_reset = 0;
	phase_start();
	crystal = clock_start();
	main();
	board_reset();
}

static uint32_t
fault_check(const struct fault_record *r)
{
	return ~(r->magic + r->pc + r->lr + r->psr + r->sp + r->phase);
}

/*
 * The frame that the processor pushed lies at the stack pointer; when the
 * stack itself is at fault there is none to read.
 */
void
fault_store(const uint32_t *frame)
{
	struct fault_record *r = &kept_fault;
	bool readable = frame >= stack_limit && frame + 8 <= stack_top;

	r->magic = FAULT_MAGIC;
	r->pc = readable ? frame[6] : 0;
	r->lr = readable ? frame[5] : 0;
	r->psr = readable ? frame[7] : 0;
	r->sp = (uint32_t)frame;
	r->phase = emulator_phase;
	r->check = fault_check(r);
	board_reset();
}

__attribute__((naked)) void
fault_handler(void)
{
	__asm__ volatile("mov r0, sp\n\t"
	                 "ldr r1, =stack_top\n\t"
	                 "mov sp, r1\n\t"
	                 "ldr r1, =fault_store\n\t"
	                 "bx r1\n\t"
	                 ".ltorg");
}

bool
board_take_fault(struct fault_record *out)
{
	bool valid = kept_fault.magic == FAULT_MAGIC && kept_fault.check == fault_check(&kept_fault);

	*out = kept_fault;
	kept_fault.magic = 0;
	return valid;
}

uint8_t
board_reset_cause(void)
{
	return reset_cause;
}

void
board_remember(uint32_t value)
{
	kept_note[0] = value;
	kept_note[1] = ~value;
}

bool
board_recall(uint32_t *value)
{
	*value = kept_note[0];
	return own_reset && kept_note[1] == ~kept_note[0];
}

bool
board_has_crystal(void)
{
	return crystal;
}

uint32_t
board_last_phase(void)
{
	return last_phase;
}

void
board_reset(void)
{
	cpu_interrupts_off();
	kept_own_reset = OWN_RESET_MAGIC;
	__asm__ volatile("dsb" ::: "memory");
	SCB_AIRCR = SCB_AIRCR_RESET;
	__asm__ volatile("dsb" ::: "memory");
	for (;;) {
	}
}

bool
board_stack_intact(void)
{
	return kept_guard == STACK_GUARD;
}
