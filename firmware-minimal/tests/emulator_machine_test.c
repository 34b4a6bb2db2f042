/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine: programs of a few instructions that really run. */
#include <stdlib.h>
#include <string.h>

#include "emulator/machine.h"
#include "emulator/thumb.h"
#include "emulator_programs.h"
#include "emulator_rig.h"
#include "unit/cmocka_all.h"

#define PROGRAM 0x2100u
#define HANDLER 0x2800u
#define FAULT_HANDLER 0x2A00u
#define RAM 0x20000000u
#define MS UINT64_C(1000000)

struct bench {
	struct rig rig;
	struct machine *machine;
	struct machine_config config;
	enum machine_end end;
	unsigned phases_seen;
};

static void
on_violation(void *owner, const char *format, va_list args)
{
	struct bench *b = owner;

	if (b->rig.violations++ == 0) {
		vsnprintf(b->rig.first, sizeof b->rig.first, format, args);
	}
	machine_stop(b->machine, MACHINE_VIOLATION);
}

static void
on_flash(void *owner, uint32_t address, uint32_t size)
{
	machine_flash_changed(((struct bench *)owner)->machine, address, size);
}

static void
on_phase(void *owner, unsigned from, unsigned to)
{
	(void)from;
	((struct bench *)owner)->phases_seen |= 1u << to;
}

static void
put_word(uint8_t *flash, uint32_t at, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++) {
		flash[at + i] = (uint8_t)(value >> 8 * i);
	}
}

static void
put_program(uint8_t *flash, uint32_t at, const uint16_t *words, size_t bytes)
{
	for (size_t i = 0; i < bytes / 2; i++) {
		flash[at + 2 * i] = (uint8_t)words[i];
		flash[at + 2 * i + 1] = (uint8_t)(words[i] >> 8);
	}
}

static struct bench *
bench_new(const uint16_t *words, size_t bytes, uint64_t until_ns)
{
	struct bench *b = calloc(1, sizeof *b);

	assert_non_null(b);
	rig_init(&b->rig);
	b->rig.world.violation = on_violation;
	b->rig.world.owner = b;
	for (unsigned i = 1; i < 44; i++) {
		put_word(b->rig.flash, 0x2000 + 4 * i, 0);
	}
	put_word(b->rig.flash, 0x2000, 0x20007FF0);
	put_word(b->rig.flash, 0x2004, PROGRAM | 1);
	put_word(b->rig.flash, 0x2000 + 4 * 15, HANDLER | 1);
	put_program(b->rig.flash, PROGRAM, words, bytes);
	put_program(b->rig.flash, HANDLER, p_handler, sizeof p_handler);
	rig_soc(&b->rig, (struct soc_config){ .owner = b, .flash_changed = on_flash });
	b->config = (struct machine_config){ .world = &b->rig.world, .soc = b->rig.soc,
		                             .flash = b->rig.flash, .until_ns = until_ns,
		                             .owner = b, .phase_changed = on_phase };
	return b;
}

static void
bench_run(struct bench *b)
{
	b->machine = machine_new(&b->config);
	assert_non_null(b->machine);
	b->end = machine_run(b->machine);
}

static void
bench_free(struct bench *b)
{
	machine_free(b->machine);
	rig_free(&b->rig);
	free(b);
}

static uint32_t
ram(const struct bench *b, uint32_t offset)
{
	return machine_ram(b->machine, RAM + offset);
}

#define BENCH(program, ms) bench_new(program, sizeof program, (ms) * MS)

static void
ends_when_the_time_is_over(void **state)
{
	struct bench *b = BENCH(p_endless, 5);

	(void)state;
	bench_run(b);
	rig_clean(&b->rig);
	assert_int_equal(b->end, MACHINE_TIME);
	assert_true(b->rig.world.now_ns >= 5 * MS && b->rig.world.now_ns < 6 * MS);
	/* b . is 2 cycles at 1 MHz */
	assert_true(machine_figures(b->machine)->cycles >= 5000);
	assert_true(machine_figures(b->machine)->cycles < 5010);
	bench_free(b);
}

static void
interrupts_end_a_wait(void **state)
{
	struct bench *b = BENCH(p_ticks, 8);
	const struct machine_figures *f;

	(void)state;
	bench_run(b);
	rig_clean(&b->rig);
	f = machine_figures(b->machine);
	assert_int_equal(ram(b, 0x10), 0);
	/* eight ticks in 8 ms, from a pattern that is not known */
	assert_int_equal(ram(b, 4), 15);
	assert_true(f->slept > 4000 && f->slept < 5000);
	assert_int_equal(f->lowest_sp, 0x20007FF0 - 32 - 8);
	bench_free(b);
}

static void
a_masked_interrupt_wakes_but_waits(void **state)
{
	struct bench *b = BENCH(p_masked, 20);

	(void)state;
	bench_run(b);
	rig_clean(&b->rig);
	assert_int_equal(ram(b, 8), 0);
	assert_int_equal(ram(b, 16), 1);
	assert_int_equal(ram(b, 12), 1);
	bench_free(b);
}

static void
an_interrupted_loop_does_not_notice(void **state)
{
	struct bench *b = BENCH(p_keeps, 400);

	(void)state;
	bench_run(b);
	rig_clean(&b->rig);
	assert_int_equal(ram(b, 8), 20000);
	assert_int_equal(ram(b, 12), 60000);
	/* 5 cycles per pass, and about 45 of each 100 go to the handler */
	assert_in_range(ram(b, 0), 1000, 3000);
	bench_free(b);
}

static void
counts_cycles(void **state)
{
	struct bench *b = BENCH(p_cycles, 10);

	(void)state;
	b->config.phase_address = RAM;
	bench_run(b);
	rig_clean(&b->rig);
	assert_int_equal(b->phases_seen, 1u << 1);
	/* LDR 2, 1000 passes of 1 + 2 without the last branch's extra, LDR, MOVS, STR 5 */
	assert_int_equal(machine_figures(b->machine)->phases[0].cycles, 2 + 3000 - 1 + 5);
	bench_free(b);
}

static void
counts_phases(void **state)
{
	struct bench *b = BENCH(p_phase, 10);
	const struct machine_figures *f;

	(void)state;
	b->config.phase_address = RAM + 0x40;
	bench_run(b);
	rig_clean(&b->rig);
	f = machine_figures(b->machine);
	assert_int_equal(f->phase, 7);
	assert_int_equal(f->phases[5].cycles, 2 + 3000 - 1 + 1 + 2);
	assert_int_equal(f->phases[0].cycles + f->phases[5].cycles + f->phases[7].cycles, f->cycles);
	bench_free(b);
}

static void
a_system_reset_keeps_ram_and_waits_in_the_loader(void **state)
{
	struct bench *b = BENCH(p_reset, 600);

	(void)state;
	bench_run(b);
	rig_clean(&b->rig);
	assert_int_equal(b->end, MACHINE_TIME);
	assert_int_equal(machine_figures(b->machine)->resets, 1);
	assert_int_equal(ram(b, 0x20), 0x12345678);
	assert_int_equal(ram(b, 0x24), 0x40);
	assert_int_equal(machine_ram(b->machine, SOC_DOUBLE_TAP), 0);
	bench_free(b);

	b = BENCH(p_reset, 400); /* still in the loader's half second */
	bench_run(b);
	rig_clean(&b->rig);
	assert_int_not_equal(ram(b, 0x24), 0x40);
	bench_free(b);
}

static void
a_double_tap_stays_in_the_loader(void **state)
{
	struct bench *b = BENCH(p_double_tap, 600);

	(void)state;
	bench_run(b);
	rig_clean(&b->rig);
	assert_int_equal(b->end, MACHINE_LOADER);
	bench_free(b);
}

static void
a_blank_flash_stays_in_the_loader(void **state)
{
	struct bench *b = BENCH(p_endless, 600);

	(void)state;
	memset(b->rig.flash, 0xFF, sizeof b->rig.flash);
	bench_run(b);
	assert_int_equal(b->end, MACHINE_LOADER);
	bench_free(b);
}

static void
the_flash_is_written(void **state)
{
	struct bench *b = BENCH(p_flash, 100);

	(void)state;
	memset(b->rig.flash + 0x3F000, 0x11, 256);
	bench_run(b);
	rig_clean(&b->rig);
	assert_int_equal(ram(b, 0), 0xCAFEF00D);
	assert_int_equal(b->rig.flash[0x3F000], 0x0D);
	assert_int_equal(b->rig.flash[0x3F03F], 0xCA);
	assert_int_equal(b->rig.flash[0x3F040], 0xFF);
	bench_free(b);
}

static void
a_watchdog_reset_may_be_allowed(void **state)
{
	struct bench *b = BENCH(p_watchdog, 600);

	(void)state;
	b->config.watchdog_allowed = true;
	bench_run(b);
	rig_clean(&b->rig);
	assert_int_equal(b->end, MACHINE_TIME);
	assert_int_equal(machine_figures(b->machine)->watchdogs, 2);
	bench_free(b);
}

static void
what_is_forbidden_ends_the_run(void **state)
{
	static const struct {
		const uint16_t *program;
		size_t size;
		uint32_t pc; /* offset of the instruction that did it; UINT32_MAX: anywhere */
		const char *sentence;
	} table[] = {
		{ p_unaligned, sizeof p_unaligned, 2, "unaligned load of 32 bits at 0x20000001" },
		{ p_null, sizeof p_null, 2, "a null pointer" },
		{ p_hole, sizeof p_hole, 2, "where there is nothing" },
		{ p_no_register, sizeof p_no_register, 2, "where there is nothing" },
		{ p_width, sizeof p_width, 4, "NVMCTRL.CTRLB with 8 bits" },
		{ p_udf, sizeof p_udf, 0, "undefined instruction" },
		{ p_svc, sizeof p_svc, 0, "SVC" },
		{ p_bkpt, sizeof p_bkpt, 0, "BKPT" },
		{ p_jump, sizeof p_jump, UINT32_MAX, "jump into the RAM, to 0x20000100" },
		{ p_far, sizeof p_far, UINT32_MAX, "jump to 0x70000000, outside the image" },
		{ p_loader, sizeof p_loader, UINT32_MAX, "execution at 0x00001000, outside the image" },
		{ p_cell, sizeof p_cell, 2, "the loader's cell" },
		{ p_watchdog, sizeof p_watchdog, UINT32_MAX, "the watchdog has reset the chip" },
		{ p_fast_flash, sizeof p_fast_flash, UINT32_MAX, "no flash wait state" },
		{ p_flash_store, sizeof p_flash_store, 4, "MANW" },
		{ p_bad_return, sizeof p_bad_return, UINT32_MAX, "HardFault" },
		{ p_odd_stack, sizeof p_odd_stack, 6, "is not word aligned" },
		{ p_far_stack, sizeof p_far_stack, 4, "is outside the RAM" },
		{ p_standby, sizeof p_standby, 6, "standby is not for a network client" },
		{ p_process_stack, sizeof p_process_stack, 2, "MSR to special register 9" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct bench *b = bench_new(table[i].program, table[i].size, 2000 * MS);

		bench_run(b);
		if (b->end != MACHINE_VIOLATION) {
			fail_msg("program %zu (%s) ended with %d", i, table[i].sentence, b->end);
		}
		rig_expect(&b->rig, table[i].sentence);
		if (table[i].pc != UINT32_MAX) {
			assert_int_equal(machine_pc(b->machine), PROGRAM + table[i].pc);
		}
		bench_free(b);
	}
}

static void
a_stack_overflow_ends_the_run(void **state)
{
	struct bench *b = BENCH(p_recursion, 100);

	(void)state;
	b->config.stack_limit = 0x20007000;
	bench_run(b);
	rig_expect(&b->rig, "stack overflow: SP 0x20006FF0 is below the limit 0x20007000");
	bench_free(b);

	b = BENCH(p_recursion, 100); /* without a limit, where the RAM ends */
	bench_run(b);
	rig_expect(&b->rig, "HardFault");
	bench_free(b);
}

static void
a_bad_vector_table_ends_the_run(void **state)
{
	static const struct {
		uint32_t sp, entry;
		const char *sentence;
	} table[] = {
		{ 0x20008000, PROGRAM | 1, "initial SP 0x20008000" },
		{ 0x20007FFC, PROGRAM | 1, "initial SP" },
		{ 0x20007FF0, PROGRAM, "reset vector" },
		{ 0x20007FF0, 0x1001, "reset vector" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct bench *b = BENCH(p_endless, 5);

		put_word(b->rig.flash, 0x2000, table[i].sp);
		put_word(b->rig.flash, 0x2004, table[i].entry);
		bench_run(b);
		assert_int_equal(b->end, MACHINE_VIOLATION);
		rig_expect(&b->rig, table[i].sentence);
		bench_free(b);
	}
}

static void
an_exception_without_handler_ends_the_run(void **state)
{
	struct bench *b = BENCH(p_ticks, 8);

	(void)state;
	put_word(b->rig.flash, 0x2000 + 4 * 15, 0);
	bench_run(b);
	rig_expect(&b->rig, "exception 15 has no handler");
	bench_free(b);
}

static void
a_wrong_exception_return_ends_the_run(void **state)
{
	struct bench *b = BENCH(p_ticks, 8);

	(void)state;
	put_program(b->rig.flash, HANDLER, p_handler_returns_badly, sizeof p_handler_returns_badly);
	bench_run(b);
	rig_expect(&b->rig, "HardFault: exception return with 0xFFFFFFFD");
	bench_free(b);
}

static void
a_phase_too_many_ends_the_run(void **state)
{
	struct bench *b = BENCH(p_phase_too_many, 8);

	(void)state;
	b->config.phase_address = RAM + 0x40;
	bench_run(b);
	rig_expect(&b->rig, "emulator_phase 16: there are 16");
	bench_free(b);
}

/* ---- HardFaults that are left to the firmware ---- */

static struct bench *
faulty_bench(const uint16_t *words, size_t bytes)
{
	struct bench *b = bench_new(words, bytes, 20 * MS);

	put_word(b->rig.flash, 0x2000 + 4 * 3, FAULT_HANDLER | 1);
	put_program(b->rig.flash, FAULT_HANDLER, p_fault_handler, sizeof p_fault_handler);
	b->config.fault_allowed = true;
	return b;
}

static void
a_fault_is_taken_by_the_firmware(void **state)
{
	static const struct {
		const uint16_t *program;
		size_t size;
		uint32_t r0, pc;
	} table[] = {
		{ p_unaligned, sizeof p_unaligned, 0x20000001, PROGRAM + 2 },
		{ p_unaligned_self, sizeof p_unaligned_self, 0x20000001, PROGRAM + 2 },
		{ p_hole, sizeof p_hole, 0x50000000, PROGRAM + 2 },
		{ p_udf, sizeof p_udf, 0xA5A5A500, PROGRAM },
		{ p_bkpt, sizeof p_bkpt, 0xA5A5A500, PROGRAM },
		{ p_far, sizeof p_far, 0x70000001, 0x70000000 },
		{ p_unaligned_store, sizeof p_unaligned_store, 0x20000102, PROGRAM + 10 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct bench *b = faulty_bench(table[i].program, table[i].size);

		bench_run(b);
		rig_clean(&b->rig);
		assert_int_equal(b->end, MACHINE_TIME);
		assert_int_equal(machine_figures(b->machine)->faults, 1);
		assert_int_equal(ram(b, 0x40), 0x20007FF0 - 32);
		assert_int_equal(ram(b, 0x44), table[i].r0);
		assert_int_equal(ram(b, 0x48), 0xFFFFFFFF);
		assert_int_equal(ram(b, 0x4C), table[i].pc);
		assert_int_equal(ram(b, 0x50) & 0x010001FF, 0x01000000); /* from thread mode */
		assert_int_equal(ram(b, 0x54), 3);
		assert_int_equal(ram(b, 0x58), 0xFFFFFFF9);
		if (table[i].program == p_unaligned_store) {
			assert_int_equal(ram(b, 0x100), 0x11223344);
		}
		bench_free(b);
	}
}

static void
a_fault_interrupts_an_interrupt(void **state)
{
	struct bench *b = faulty_bench(p_ticks, sizeof p_ticks);

	(void)state;
	put_program(b->rig.flash, HANDLER, p_udf, sizeof p_udf);
	bench_run(b);
	rig_clean(&b->rig);
	assert_int_equal(machine_figures(b->machine)->faults, 1);
	assert_int_equal(ram(b, 0x40), 0x20007FF0 - 64);
	assert_int_equal(ram(b, 0x48), 0xFFFFFFF9);
	assert_int_equal(ram(b, 0x4C), HANDLER);
	assert_int_equal(ram(b, 0x50) & 0x1FF, 15);
	assert_int_equal(ram(b, 0x58), 0xFFFFFFF1);
	bench_free(b);
}

static void
a_fault_in_the_handler_of_one_ends_the_run(void **state)
{
	struct bench *b = faulty_bench(p_udf, sizeof p_udf);

	(void)state;
	put_program(b->rig.flash, FAULT_HANDLER, p_fault_in_fault, sizeof p_fault_in_fault);
	bench_run(b);
	rig_expect(&b->rig, "lock-up, a HardFault in the handler of one: undefined instruction");
	bench_free(b);
}

/* By the words of --fault, once and at a time. */
static void
a_fault_can_be_asked_for(void **state)
{
	static const struct fault *const known[] = { machine_faults, NULL };
	static const char *const words[] = { "cpu.undefined:1@5", "cpu.jump:1@5" };

	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		struct bench *b = faulty_bench(p_endless, sizeof p_endless);
		struct fault_set *set = fault_set_new(&b->rig.world);
		char why[100];

		assert_int_equal(fault_set_add(set, words[i], known, why, sizeof why), 0);
		b->config.faults = set;
		bench_run(b);
		rig_clean(&b->rig);
		assert_int_equal(machine_figures(b->machine)->faults, 1);
		assert_int_equal(ram(b, 0x4C), i == 0 ? PROGRAM : 0x70000000);
		bench_free(b);
		fault_set_free(set);
	}
}

static void
decodes_costs(void **state)
{
	static const struct {
		uint16_t first, second;
		uint8_t kind, cycles, size;
	} table[] = {
		{ 0x2001, 0, THUMB_PLAIN, 1, 2 },      /* movs r0, #1 */
		{ 0x6801, 0, THUMB_PLAIN, 2, 2 },      /* ldr r1, [r0] */
		{ 0x4801, 0, THUMB_PLAIN, 2, 2 },      /* ldr r0, [pc, #4] */
		{ 0xB5F0, 0, THUMB_STACK, 6, 2 },      /* push {r4-r7, lr} */
		{ 0xBDF0, 0, THUMB_RETURN, 8, 2 },     /* pop {r4-r7, pc} */
		{ 0xBC03, 0, THUMB_PLAIN, 3, 2 },      /* pop {r0, r1} */
		{ 0xC807, 0, THUMB_PLAIN, 4, 2 },      /* ldm r0, {r0-r2} */
		{ 0xD1FE, 0, THUMB_BRANCH, 1, 2 },     /* bne . */
		{ 0xE7FE, 0, THUMB_PLAIN, 2, 2 },      /* b . */
		{ 0xF000, 0xF800, THUMB_PLAIN, 3, 4 }, /* bl */
		{ 0x4770, 0, THUMB_RETURN, 2, 2 },     /* bx lr */
		{ 0x4780, 0, THUMB_PLAIN, 2, 2 },      /* blx r0 */
		{ 0xB082, 0, THUMB_STACK, 1, 2 },      /* sub sp, #8 */
		{ 0x4685, 0, THUMB_STACK, 1, 2 },      /* mov sp, r0 */
		{ 0xB672, 0, THUMB_CPS, 1, 2 },        /* cpsid i */
		{ 0xF3EF, 0x8010, THUMB_MRS, 3, 4 },   /* mrs r0, primask */
		{ 0xF380, 0x8810, THUMB_MSR, 3, 4 },   /* msr primask, r0 */
		{ 0xF3BF, 0x8F4F, THUMB_PLAIN, 3, 4 }, /* dsb */
		{ 0xBF30, 0, THUMB_WAIT, 2, 2 },       /* wfi */
		{ 0xDE00, 0, THUMB_FAULT, 1, 2 },      /* udf */
		{ 0xBE00, 0, THUMB_FAULT, 1, 2 },      /* bkpt */
		{ 0xB103, 0, THUMB_FAULT, 1, 2 },      /* cbz: ARMv7-M */
		{ 0xFBB0, 0xF1F1, THUMB_FAULT, 1, 4 }, /* udiv: ARMv7-M */
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct thumb t = thumb_decode(table[i].first, table[i].second);

		if (t.kind != table[i].kind || t.cycles != table[i].cycles || t.size != table[i].size) {
			fail_msg("%04X: kind %u, %u cycles, %u bytes", table[i].first, t.kind, t.cycles,
			         t.size);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_when_the_time_is_over),
		cmocka_unit_test(interrupts_end_a_wait),
		cmocka_unit_test(a_masked_interrupt_wakes_but_waits),
		cmocka_unit_test(an_interrupted_loop_does_not_notice),
		cmocka_unit_test(counts_cycles),
		cmocka_unit_test(counts_phases),
		cmocka_unit_test(a_system_reset_keeps_ram_and_waits_in_the_loader),
		cmocka_unit_test(a_double_tap_stays_in_the_loader),
		cmocka_unit_test(a_blank_flash_stays_in_the_loader),
		cmocka_unit_test(the_flash_is_written),
		cmocka_unit_test(a_watchdog_reset_may_be_allowed),
		cmocka_unit_test(what_is_forbidden_ends_the_run),
		cmocka_unit_test(a_stack_overflow_ends_the_run),
		cmocka_unit_test(a_bad_vector_table_ends_the_run),
		cmocka_unit_test(an_exception_without_handler_ends_the_run),
		cmocka_unit_test(a_wrong_exception_return_ends_the_run),
		cmocka_unit_test(a_phase_too_many_ends_the_run),
		cmocka_unit_test(a_fault_is_taken_by_the_firmware),
		cmocka_unit_test(a_fault_interrupts_an_interrupt),
		cmocka_unit_test(a_fault_in_the_handler_of_one_ends_the_run),
		cmocka_unit_test(a_fault_can_be_asked_for),
		cmocka_unit_test(decodes_costs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
