/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions: priority, the frame on the stack, entry and return; HardFaults. */
#include <stdarg.h>

#include "emulator/machine_int.h"

#define NMI 2
#define HARD_FAULT 3
#define NOWHERE 0x70000000u /* no address of anything */

const struct fault machine_faults[] = {
	{ "cpu.undefined", "the next instruction is no instruction: a HardFault" },
	{ "cpu.jump", "the processor jumps to where there is nothing: a HardFault" },
	{ "cpu.nmi", "an exception that nobody expects" },
	{ NULL, NULL },
};

int
machine_priority(const struct machine *m)
{
	int best = SOC_PRIORITY_THREAD;

	for (unsigned i = 0; i < m->depth; i++) {
		int p = soc_priority(m->soc, m->active[i]);

		best = p < best ? p : best;
	}
	return best;
}

bool
machine_stack_ok(struct machine *m, uint32_t sp)
{
	if (sp < m->figures.lowest_sp) {
		m->figures.lowest_sp = sp;
	}
	if (sp % 4 != 0) {
		world_violation(m->world, "SP 0x%08X is not word aligned", sp);
	} else if (sp - SOC_RAM_BASE > SOC_RAM_SIZE - 4) {
		world_violation(m->world, "SP 0x%08X is outside the RAM", sp);
	} else if (sp < m->config.stack_limit) {
		world_violation(m->world, "stack overflow: SP 0x%08X is below the limit 0x%08X", sp,
		                m->config.stack_limit);
	} else {
		return true;
	}
	return false;
}

static uint32_t
flash_word(const struct machine *m, uint32_t address)
{
	return machine_load_word(m->flash + (address & (SOC_FLASH_SIZE - 4)));
}

void
machine_enter(struct machine *m, unsigned number, uint32_t return_to)
{
	uint32_t sp = machine_get(m, 13);
	uint32_t apsr = 0;
	uint32_t frame = (sp - 32) & ~UINT32_C(7);
	uint32_t vector = flash_word(m, soc_vector_table(m->soc) + 4 * number);

	uc_reg_read(m->uc, UC_ARM_REG_APSR, &apsr);
	if (m->depth == NESTING || !machine_stack_ok(m, frame)) {
		return;
	}
	if ((vector & 1) == 0 || vector >= FLASH_END || vector < SOC_IMAGE_BASE) {
		world_violation(m->world, "exception %u has no handler: its vector is 0x%08X", number,
		                vector);
		return;
	}
	for (unsigned i = 0; i < 4; i++) {
		machine_ram_store(m, frame + 4 * i, machine_get(m, i));
	}
	machine_ram_store(m, frame + 16, machine_get(m, 12));
	machine_ram_store(m, frame + 20, machine_get(m, 14));
	machine_ram_store(m, frame + 24, return_to);
	machine_ram_store(m, frame + 28, (apsr & 0xF0000000) | UINT32_C(1) << 24 |
	                                 (sp % 8 != 0 ? 1u << 9 : 0) |
	                                 (m->depth > 0 ? m->active[m->depth - 1] : 0));
	machine_set(m, 13, frame);
	machine_set(m, 14, m->depth > 0 ? 0xFFFFFFF1 : 0xFFFFFFF9);
	m->active[m->depth++] = number;
	soc_exception_entered(m->soc, number);
	*m->cycles += 15;
	machine_branched(m, vector & ~1u);
	machine_jump(m, vector & ~1u);
}

void
machine_fault(struct machine *m, uint32_t pc, const char *format, ...)
{
	struct trap *t = &m->trap;
	va_list args;

	if (t->pending || m->end != MACHINE_RUNNING) {
		return; /* follows from the first one */
	}
	va_start(args, format);
	vsnprintf(t->why, sizeof t->why, format, args);
	va_end(args);
	if (!m->config.fault_allowed) {
		world_violation(m->world, "HardFault: %s", t->why);
		return;
	}
	if (machine_priority(m) < 0) {
		world_violation(m->world, "lock-up, a HardFault in the handler of one: %s", t->why);
		return;
	}
	t->pending = true;
	t->pc = pc;
	uc_reg_read(m->uc, UC_ARM_REG_APSR, &t->apsr);
	for (unsigned i = 0; i < 15; i++) {
		t->registers[i] = machine_get(m, i);
	}
	uc_emu_stop(m->uc);
}

void
machine_take_trap(struct machine *m)
{
	struct trap *t = &m->trap;

	if (!t->pending || m->end != MACHINE_RUNNING) {
		return;
	}
	t->pending = false;
	for (unsigned i = 0; i < 15; i++) {
		machine_set(m, i, t->registers[i]);
	}
	uc_reg_write(m->uc, UC_ARM_REG_APSR, &t->apsr);
	if (t->stored) {
		t->stored = false;
		machine_ram_store(m, t->stored_at, t->stored_over);
	}
	m->check_sp = false;
	m->figures.faults++;
	if (m->config.faulted != NULL) {
		m->config.faulted(m->config.owner, t->pc, t->why);
	}
	machine_enter(m, HARD_FAULT, t->pc);
}

bool
machine_inject(struct machine *m, uint32_t pc)
{
	if (fault_hits(m->config.faults, "cpu.undefined")) {
		machine_fault(m, pc, "undefined instruction, by --fault");
		return true;
	}
	if (fault_hits(m->config.faults, "cpu.jump")) {
		machine_jump(m, NOWHERE);
		return true;
	}
	if (fault_hits(m->config.faults, "cpu.nmi")) {
		machine_enter(m, NMI, pc);
		return true;
	}
	return false;
}

static void
leave(struct machine *m, uint32_t exc_return)
{
	uint32_t frame = machine_get(m, 13);
	uint32_t xpsr, apsr, to;

	if (exc_return != (m->depth > 1 ? 0xFFFFFFF1 : 0xFFFFFFF9)) {
		machine_fault(m, exc_return, "exception return with 0x%08X", exc_return);
		return;
	}
	if (!machine_stack_ok(m, frame) || !machine_stack_ok(m, frame + 28)) {
		return;
	}
	for (unsigned i = 0; i < 4; i++) {
		machine_set(m, i, machine_ram(m, frame + 4 * i));
	}
	machine_set(m, 12, machine_ram(m, frame + 16));
	machine_set(m, 14, machine_ram(m, frame + 20));
	to = machine_ram(m, frame + 24);
	xpsr = machine_ram(m, frame + 28);
	apsr = xpsr & 0xF0000000;
	uc_reg_write(m->uc, UC_ARM_REG_APSR, &apsr);
	machine_set(m, 13, frame + 32 + (xpsr >> 9 & 1) * 4);
	soc_exception_left(m->soc, m->active[--m->depth]);
	*m->cycles += 12;
	m->event = 0;
	machine_branched(m, to & ~1u);
	machine_jump(m, to & ~1u);
}

bool
machine_exception_return(struct machine *m, uint16_t word)
{
	uint32_t value, sp;
	unsigned count = 0;

	if (word >> 8 == 0x47) {
		value = machine_get(m, word >> 3 & 15);
		if (value >> 28 != 15) {
			return false;
		}
		leave(m, value);
		return true;
	}
	sp = machine_get(m, 13);
	for (unsigned i = 0; i < 8; i++) {
		count += word >> i & 1;
	}
	if (!machine_stack_ok(m, sp + 4 * count)) {
		return true;
	}
	value = machine_ram(m, sp + 4 * count);
	if (value >> 28 != 15) {
		return false;
	}
	for (unsigned i = 0; i < 8; i++) {
		if (word >> i & 1) {
			machine_set(m, i, machine_ram(m, sp));
			sp += 4;
		}
	}
	machine_set(m, 13, sp + 4);
	leave(m, value);
	return true;
}
