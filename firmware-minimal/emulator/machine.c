/* SPDX-License-Identifier: BSD-2-Clause */
/* Life of the processor: its registers, its resets, the run and the figures of it. */
#include <stdlib.h>
#include <string.h>

#include "emulator/machine_int.h"

#define LOADER_WAIT_NS 500000000 /* of every reset but power-on (samd21 1.4) */

/* ---- registers ---- */

static const int register_ids[16] = {
	UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3, UC_ARM_REG_R4, UC_ARM_REG_R5,
	UC_ARM_REG_R6, UC_ARM_REG_R7, UC_ARM_REG_R8, UC_ARM_REG_R9, UC_ARM_REG_R10,
	UC_ARM_REG_R11, UC_ARM_REG_R12, UC_ARM_REG_SP, UC_ARM_REG_LR, UC_ARM_REG_PC,
};

uint32_t
machine_get(struct machine *m, unsigned n)
{
	uint32_t value = 0;

	uc_reg_read(m->uc, register_ids[n], &value);
	return value;
}

void
machine_set(struct machine *m, unsigned n, uint32_t value)
{
	uc_reg_write(m->uc, register_ids[n], &value);
}

uint32_t
machine_pc(const struct machine *m)
{
	return m->pc;
}

uint32_t
machine_register(struct machine *m, unsigned n)
{
	return n == 15 ? m->pc : machine_get(m, n);
}

unsigned
machine_branches(const struct machine *m, uint32_t out[16])
{
	unsigned n = m->branch_count < 16 ? m->branch_count : 16;

	for (unsigned i = 0; i < n; i++) {
		out[i] = m->branches[(m->branch_count - n + i) % 16];
	}
	return n;
}

/* ---- figures ---- */

const struct machine_figures *
machine_figures(struct machine *m)
{
	struct machine_phase *p = &m->figures.phases[m->figures.phase];

	/* The running phase has not been closed: bring it up to now. */
	p->cycles += *m->cycles - m->figures.cycles;
	p->slept += m->figures.slept - m->slept_seen;
	m->slept_seen = m->figures.slept;
	m->figures.cycles = *m->cycles;
	p->ns += m->world->now_ns - p->entered;
	p->entered = m->world->now_ns;
	return &m->figures;
}

void
machine_change_phase(struct machine *m, uint32_t to)
{
	unsigned from = m->figures.phase;

	machine_clock(m);
	machine_figures(m);
	if (to >= MACHINE_PHASES) {
		world_violation(m->world, "emulator_phase %u: there are %d", to, MACHINE_PHASES);
		return;
	}
	m->figures.phase = to;
	m->figures.phases[to].entered = m->world->now_ns;
	if (from != to && m->config.phase_changed != NULL) {
		m->config.phase_changed(m->config.owner, from, to);
	}
}

/* ---- stopping and jumping ---- */

void
machine_stop(struct machine *m, enum machine_end why)
{
	if (m->end == MACHINE_RUNNING) {
		m->end = why;
	}
	if (m->in_hook) {
		uc_emu_stop(m->uc);
	}
}

/*
 * Writing the PC inside a hook is enough for Unicorn 2, and much cheaper than
 * a stop; on_code() of machine_code.c sees to it when it was not.
 */
void
machine_jump(struct machine *m, uint32_t to)
{
	m->jumping = true;
	m->jump_to = to;
	m->next = to;
	machine_set(m, 15, to | 1);
}

void
machine_branched(struct machine *m, uint32_t to)
{
	m->branches[m->branch_count++ % 16] = to;
}

/* ---- reset ---- */

static void
fill_registers(struct machine *m)
{
	for (unsigned i = 0; i < 13; i++) {
		machine_set(m, i, 0xA5A5A500 | i);
	}
	machine_set(m, 14, 0xFFFFFFFF);
}

static bool
bootable(struct machine *m, uint32_t sp, uint32_t entry)
{
	if (sp > SOC_DOUBLE_TAP - 4 || sp < SOC_RAM_BASE + 64 || sp % 8 != 0) {
		world_violation(m->world, "initial SP 0x%08X: it has to be a multiple of 8 in RAM and at "
		                          "most 0x20007FF8 (the loader's cell is above)", sp);
		return false;
	}
	if ((entry & 1) == 0 || entry < SOC_IMAGE_BASE || entry >= FLASH_END) {
		world_violation(m->world, "reset vector 0x%08X is no Thumb address in the image", entry);
		return false;
	}
	return true;
}

/* The loader of samd21 1.4, without running it. */
static void
boot(struct machine *m, enum soc_reset cause)
{
	uint32_t sp = machine_load_word(m->config.flash + SOC_IMAGE_BASE);
	uint32_t entry = machine_load_word(m->config.flash + SOC_IMAGE_BASE + 4);
	uint32_t cell = machine_ram(m, SOC_DOUBLE_TAP);

	soc_reset(m->soc, cause);
	machine_rebase(m);
	m->depth = 0;
	m->primask = false;
	m->event = 0;
	memset(m->lines, 0xFF, sizeof m->lines);
	machine_ram_store(m, SOC_DOUBLE_TAP, 0);
	if (sp == 0xFFFFFFFF || (cause != SOC_POWER_ON && cell == LOADER_MAGIC)) {
		machine_stop(m, MACHINE_LOADER);
		return;
	}
	if (cause != SOC_POWER_ON) {
		machine_stall(m, LOADER_WAIT_NS);
		machine_clock(m);
	}
	if (!bootable(m, sp, entry)) {
		return;
	}
	fill_registers(m);
	machine_set(m, 13, sp);
	m->figures.lowest_sp = sp < m->figures.lowest_sp ? sp : m->figures.lowest_sp;
	m->pc = entry & ~1u;
	machine_jump(m, m->pc);
}

void
machine_reset(struct machine *m, enum soc_reset cause)
{
	m->figures.resets++;
	if (cause == SOC_WATCHDOG) {
		m->figures.watchdogs++;
		if (!m->config.watchdog_allowed) {
			world_violation(m->world, "the watchdog has reset the chip");
			return;
		}
	}
	world_note(m->world, "reset: cause 0x%02X", cause);
	boot(m, cause);
}

/* ---- life ---- */

struct machine *
machine_new(const struct machine_config *config)
{
	struct machine *m = calloc(1, sizeof *m);

	if (m == NULL) {
		return NULL;
	}
	m->config = *config;
	m->world = config->world;
	m->soc = config->soc;
	m->cycles = soc_cycles(config->soc);
	m->hertz = soc_hertz(config->soc);
	m->figures.lowest_sp = UINT32_MAX;
	if (!machine_memory_new(m) ||
	    uc_open(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS, &m->uc) != UC_ERR_OK) {
		machine_free(m);
		return NULL;
	}
#ifdef uc_ctl_set_cpu_model
	uc_ctl_set_cpu_model(m->uc, UC_CPU_ARM_CORTEX_M0);
#endif
	if (!machine_memory_attach(m) || !machine_code_attach(m)) {
		machine_free(m);
		return NULL;
	}
	return m;
}

void
machine_free(struct machine *m)
{
	if (m == NULL) {
		return;
	}
	if (m->uc != NULL) {
		uc_close(m->uc);
	}
	machine_memory_free(m);
	free(m);
}

enum machine_end
machine_run(struct machine *m)
{
	boot(m, SOC_POWER_ON);
	while (m->end == MACHINE_RUNNING) {
		uc_err e;

		m->pc = m->jumping ? m->jump_to : m->next;
		m->jumping = false;
		e = uc_emu_start(m->uc, m->pc | 1, 0xFFFFFFFE, 0, 0);
		if (e != UC_ERR_OK && !m->jumping) {
			machine_fault(m, m->pc, "%s", uc_strerror(e)); /* nobody has seen why */
		}
		machine_take_trap(m);
	}
	machine_figures(m);
	return m->end;
}
