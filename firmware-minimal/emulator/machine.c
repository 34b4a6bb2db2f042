/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>
#include <unicorn/unicorn.h>

#include "emulator/machine.h"
#include "emulator/thumb.h"

#define NS_PER_S UINT64_C(1000000000)
#define PACE_NS 1000000
#define LOADER_WAIT_NS 500000000 /* of every reset but power-on (samd21 1.4) */
#define LOADER_MAGIC 0x07738135u
#define FLASH_END SOC_FLASH_SIZE
#define CACHE_LINES 8
#define NESTING 8

/* The peripherals' pages; reads are answered through them. */
static const struct {
	uint32_t base, size;
} windows[] = {
	{ 0x00800000, 0x10000 }, { 0x40000000, 0x2000 }, { 0x41000000, 0x8000 },
	{ 0x42000000, 0x6000 }, { 0x60000000, 0x1000 }, { 0xE000E000, 0x1000 },
};
#define WINDOWS (sizeof windows / sizeof windows[0])

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
	enum machine_end end;
	struct machine_figures figures;
};

/* ---- registers ---- */

static const int register_ids[16] = {
	UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3, UC_ARM_REG_R4, UC_ARM_REG_R5,
	UC_ARM_REG_R6, UC_ARM_REG_R7, UC_ARM_REG_R8, UC_ARM_REG_R9, UC_ARM_REG_R10,
	UC_ARM_REG_R11, UC_ARM_REG_R12, UC_ARM_REG_SP, UC_ARM_REG_LR, UC_ARM_REG_PC,
};

static uint32_t
get(struct machine *m, unsigned n)
{
	uint32_t value = 0;

	uc_reg_read(m->uc, register_ids[n], &value);
	return value;
}

static void
set(struct machine *m, unsigned n, uint32_t value)
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
	return n == 15 ? m->pc : get(m, n);
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

const struct machine_figures *
machine_figures(struct machine *m)
{
	struct machine_phase *p = &m->figures.phases[m->figures.phase];

	/* The running phase has not been closed: bring it up to now. */
	p->cycles += *m->cycles - m->figures.cycles;
	m->figures.cycles = *m->cycles;
	p->ns += m->world->now_ns - p->entered;
	p->entered = m->world->now_ns;
	return &m->figures;
}

/* ---- memory ---- */

static uint32_t
load_word(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t
flash_word(const struct machine *m, uint32_t address)
{
	return load_word(m->flash + (address & (SOC_FLASH_SIZE - 4)));
}

uint32_t
machine_ram(const struct machine *m, uint32_t address)
{
	return load_word(m->ram + (address - SOC_RAM_BASE) % SOC_RAM_SIZE);
}

static void
ram_store(struct machine *m, uint32_t address, uint32_t value)
{
	uint8_t *p = m->ram + (address - SOC_RAM_BASE) % SOC_RAM_SIZE;

	for (unsigned i = 0; i < 4; i++) {
		p[i] = (uint8_t)(value >> 8 * i);
	}
}

void
machine_flash_changed(struct machine *m, uint32_t address, uint32_t size)
{
	uc_mem_write(m->uc, address, m->config.flash + address, size);
	memset(m->decoded + address / 2, 0, size / 2 * sizeof m->decoded[0]);
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
 * Go on somewhere else than at the next instruction; this one is not executed.
 * Writing the PC inside a hook is enough for Unicorn 2, and much cheaper than
 * a stop; on_code() sees to it when it was not.
 */
static void
jump(struct machine *m, uint32_t to)
{
	m->jumping = true;
	m->jump_to = to;
	m->next = to;
	set(m, 15, to | 1);
}

static void
branched(struct machine *m, uint32_t to)
{
	m->branches[m->branch_count++ % 16] = to;
}

/* ---- time ---- */

static void
clock_now(struct machine *m)
{
	uint64_t cycles = *m->cycles - m->base_cycles;

	m->world->now_ns = m->base_ns + cycles * NS_PER_S / m->hertz;
}

static void
rebase(struct machine *m)
{
	clock_now(m);
	m->base_ns = m->world->now_ns;
	m->base_cycles = *m->cycles;
	m->hertz = soc_hertz(m->soc);
}

static uint64_t
cycle_of(const struct machine *m, uint64_t ns)
{
	uint64_t span;

	if (ns <= m->base_ns) {
		return *m->cycles;
	}
	span = ns - m->base_ns;
	if (span > 100 * NS_PER_S) {
		span = 100 * NS_PER_S; /* look again then */
	}
	return m->base_cycles + (span * m->hertz + NS_PER_S - 1) / NS_PER_S;
}

/* Stand still: bus wait or flash command. */
static void
stall(struct machine *m, uint64_t ns)
{
	*m->cycles += ns * m->hertz / NS_PER_S;
}

static uint64_t
smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Cycle of the next thing that the machine has to look at. */
static uint64_t
next_event(struct machine *m, bool *waits_for_network)
{
	uint64_t ns = soc_next_ns(m->soc, waits_for_network);

	ns = smaller(ns, m->next_pace);
	ns = smaller(ns, m->config.until_ns);
	return smaller(cycle_of(m, ns), soc_next_cycle(m->soc));
}

/* ---- exceptions ---- */

static int
current_priority(const struct machine *m)
{
	int best = SOC_PRIORITY_THREAD;

	for (unsigned i = 0; i < m->depth; i++) {
		int p = soc_priority(m->soc, m->active[i]);

		best = p < best ? p : best;
	}
	return best;
}

static bool
stack_ok(struct machine *m, uint32_t sp)
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

/* return_to: the instruction that runs after the handler (samd21 6.1). */
static void
enter(struct machine *m, unsigned number, uint32_t return_to)
{
	uint32_t sp = get(m, 13);
	uint32_t apsr = 0;
	uint32_t frame = (sp - 32) & ~UINT32_C(7);
	uint32_t vector = flash_word(m, soc_vector_table(m->soc) + 4 * number);

	uc_reg_read(m->uc, UC_ARM_REG_APSR, &apsr);
	if (m->depth == NESTING || !stack_ok(m, frame)) {
		return;
	}
	if ((vector & 1) == 0 || vector >= FLASH_END || vector < SOC_IMAGE_BASE) {
		world_violation(m->world, "exception %u has no handler: its vector is 0x%08X", number,
		                vector);
		return;
	}
	for (unsigned i = 0; i < 4; i++) {
		ram_store(m, frame + 4 * i, get(m, i));
	}
	ram_store(m, frame + 16, get(m, 12));
	ram_store(m, frame + 20, get(m, 14));
	ram_store(m, frame + 24, return_to);
	ram_store(m, frame + 28, (apsr & 0xF0000000) | UINT32_C(1) << 24 |
	                         (sp % 8 != 0 ? 1u << 9 : 0) |
	                         (m->depth > 0 ? m->active[m->depth - 1] : 0));
	set(m, 13, frame);
	set(m, 14, m->depth > 0 ? 0xFFFFFFF1 : 0xFFFFFFF9);
	m->active[m->depth++] = number;
	soc_exception_entered(m->soc, number);
	*m->cycles += 15;
	branched(m, vector & ~1u);
	jump(m, vector & ~1u);
}

static void
leave(struct machine *m, uint32_t exc_return)
{
	uint32_t frame = get(m, 13);
	uint32_t xpsr, apsr, to;

	if (exc_return != (m->depth > 1 ? 0xFFFFFFF1 : 0xFFFFFFF9)) {
		world_violation(m->world, "HardFault: exception return with 0x%08X", exc_return);
		return;
	}
	if (!stack_ok(m, frame) || !stack_ok(m, frame + 28)) {
		return;
	}
	for (unsigned i = 0; i < 4; i++) {
		set(m, i, machine_ram(m, frame + 4 * i));
	}
	set(m, 12, machine_ram(m, frame + 16));
	set(m, 14, machine_ram(m, frame + 20));
	to = machine_ram(m, frame + 24);
	xpsr = machine_ram(m, frame + 28);
	apsr = xpsr & 0xF0000000;
	uc_reg_write(m->uc, UC_ARM_REG_APSR, &apsr);
	set(m, 13, frame + 32 + (xpsr >> 9 & 1) * 4);
	soc_exception_left(m->soc, m->active[--m->depth]);
	*m->cycles += 12;
	m->event = 0;
	branched(m, to & ~1u);
	jump(m, to & ~1u);
}

/* ---- reset ---- */

static void
fill_registers(struct machine *m)
{
	for (unsigned i = 0; i < 13; i++) {
		set(m, i, 0xA5A5A500 | i);
	}
	set(m, 14, 0xFFFFFFFF);
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
	uint32_t sp = load_word(m->config.flash + SOC_IMAGE_BASE);
	uint32_t entry = load_word(m->config.flash + SOC_IMAGE_BASE + 4);
	uint32_t cell = machine_ram(m, SOC_DOUBLE_TAP);

	soc_reset(m->soc, cause);
	rebase(m);
	m->depth = 0;
	m->primask = false;
	m->event = 0;
	memset(m->lines, 0xFF, sizeof m->lines);
	ram_store(m, SOC_DOUBLE_TAP, 0);
	if (sp == 0xFFFFFFFF || (cause != SOC_POWER_ON && cell == LOADER_MAGIC)) {
		machine_stop(m, MACHINE_LOADER);
		return;
	}
	if (cause != SOC_POWER_ON) {
		stall(m, LOADER_WAIT_NS);
		clock_now(m);
	}
	if (!bootable(m, sp, entry)) {
		return;
	}
	fill_registers(m);
	set(m, 13, sp);
	m->figures.lowest_sp = sp < m->figures.lowest_sp ? sp : m->figures.lowest_sp;
	m->pc = entry & ~1u;
	jump(m, m->pc);
}

static void
reset(struct machine *m, enum soc_reset cause)
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

/* ---- what is due ---- */

/* Runs what is due before the instruction at pc; true when the processor went elsewhere. */
static bool
service(struct machine *m, uint32_t pc)
{
	enum soc_reset cause;
	unsigned number;
	bool waits;

	rebase(m);
	soc_advance(m->soc);
	stall(m, soc_take_stall(m->soc));
	cause = soc_take_reset(m->soc);
	if (cause != SOC_RUNNING) {
		reset(m, cause);
		return true;
	}
	if (m->world->now_ns >= m->config.until_ns) {
		machine_stop(m, MACHINE_TIME);
		return true;
	}
	m->event = next_event(m, &waits);
	if (m->world->now_ns >= m->next_pace) {
		m->next_pace = m->world->now_ns + PACE_NS;
		if (m->config.pace != NULL) {
			m->config.pace(m->config.owner, m->world->now_ns, waits);
		}
		m->event = next_event(m, &waits);
	}
	number = soc_exception(m->soc, current_priority(m), m->primask);
	if (number != 0) {
		enter(m, number, pc);
		return true;
	}
	return m->end != MACHINE_RUNNING;
}

/* WFI: the time jumps from event to event until something would wake the processor. */
static void
wait_for_interrupt(struct machine *m, uint32_t pc)
{
	uint64_t began = *m->cycles;
	unsigned number;

	if (soc_sleep_deep(m->soc)) {
		world_violation(m->world, "WFI with SCR.SLEEPDEEP: standby is not for a network client");
		return;
	}
	while (m->end == MACHINE_RUNNING && !soc_wakes(m->soc)) {
		bool waits;
		uint64_t event = next_event(m, &waits);
		enum soc_reset cause;

		if (event > *m->cycles) {
			*m->cycles = event;
		}
		rebase(m);
		soc_advance(m->soc);
		cause = soc_take_reset(m->soc);
		if (cause != SOC_RUNNING) {
			reset(m, cause);
			return;
		}
		if (m->world->now_ns >= m->config.until_ns) {
			machine_stop(m, MACHINE_TIME);
		} else if (m->world->now_ns >= m->next_pace) {
			m->next_pace = m->world->now_ns + PACE_NS;
			if (m->config.pace != NULL) {
				m->config.pace(m->config.owner, m->world->now_ns, waits);
			}
		}
	}
	m->figures.slept += *m->cycles - began;
	m->event = 0;
	number = soc_exception(m->soc, current_priority(m), m->primask);
	if (number != 0 && m->end == MACHINE_RUNNING) {
		enter(m, number, pc + 2);
	} else {
		jump(m, pc + 2);
	}
}

/* ---- instructions ---- */

/* BX Rm or POP {..., PC} inside a handler: is it the return from the exception? */
static bool
exception_return(struct machine *m, uint16_t word)
{
	uint32_t value, sp;
	unsigned count = 0;

	if (word >> 8 == 0x47) {
		value = get(m, word >> 3 & 15);
		if (value >> 28 != 15) {
			return false;
		}
		leave(m, value);
		return true;
	}
	sp = get(m, 13);
	for (unsigned i = 0; i < 8; i++) {
		count += word >> i & 1;
	}
	if (!stack_ok(m, sp + 4 * count)) {
		return true;
	}
	value = machine_ram(m, sp + 4 * count);
	if (value >> 28 != 15) {
		return false;
	}
	for (unsigned i = 0; i < 8; i++) {
		if (word >> i & 1) {
			set(m, i, machine_ram(m, sp));
			sp += 4;
		}
	}
	set(m, 13, sp + 4);
	leave(m, value);
	return true;
}

static void
move_to_special(struct machine *m, uint16_t first, uint16_t second)
{
	unsigned special = second & 0xFF;

	if (special == 16) {
		m->primask = (get(m, first & 15) & 1) != 0;
		m->event = 0;
	} else if (special == 8) {
		m->check_sp = true;
	} else if (special > 3) {
		world_violation(m->world, "MSR to special register %u: the process stack is not for this "
		                          "firmware", special);
	}
}

static void
move_from_special(struct machine *m, uint32_t pc, uint16_t second)
{
	unsigned special = second & 0xFF;
	unsigned rd = second >> 8 & 15;
	uint32_t apsr = 0;

	if (special < 1 || special > 7) {
		return; /* Unicorn's are right */
	}
	uc_reg_read(m->uc, UC_ARM_REG_APSR, &apsr);
	set(m, rd, (special <= 3 ? apsr & 0xF0000000 : 0) |
	           ((special & 1) != 0 && m->depth > 0 ? m->active[m->depth - 1] : 0));
	jump(m, pc + 4);
}

static void
special(struct machine *m, uint32_t pc, const struct thumb *t)
{
	uint16_t first = (uint16_t)(m->flash[pc] | m->flash[pc + 1] << 8);
	uint16_t second = (uint16_t)(m->flash[pc + 2] | m->flash[pc + 3] << 8);

	switch (t->kind) {
	case THUMB_STACK:
		m->check_sp = true;
		break;
	case THUMB_RETURN:
		m->check_sp = true;
		if (m->depth > 0) {
			exception_return(m, first);
		}
		break;
	case THUMB_CPS:
		m->primask = (first & 0x10) != 0;
		m->event = 0;
		break;
	case THUMB_MSR: move_to_special(m, first, second); break;
	case THUMB_MRS: move_from_special(m, pc, second); break;
	case THUMB_WAIT:
		if (first == 0xBF30) {
			wait_for_interrupt(m, pc);
		}
		break;
	case THUMB_FAULT:
		world_violation(m->world, "HardFault: %s (0x%04X)",
		                first >> 8 == 0xBE ? "BKPT" : first >> 8 == 0xDF ? "SVC, which nobody handles"
		                : "undefined instruction", first);
		break;
	default:
		break;
	}
}

/*
 * The read cache of the flash, 8 lines of 8 bytes (samd21 6.2), as if each
 * line had one place: a miss costs the wait state.
 */
static void
fetch(struct machine *m, uint32_t address)
{
	uint32_t line = address >> 3;

	if (m->lines[line % CACHE_LINES] != line) {
		m->lines[line % CACHE_LINES] = line;
		*m->cycles += m->hertz > 24000000 ? 1 : 0;
	}
}

static void
instruction(struct machine *m, uint32_t pc)
{
	struct thumb *t = &m->decoded[pc / 2];

	if (t->kind == THUMB_UNKNOWN) {
		*t = thumb_decode((uint16_t)(m->flash[pc] | m->flash[pc + 1] << 8),
		                  (uint16_t)(m->flash[pc + 2] | m->flash[pc + 3] << 8));
	}
	if (pc != m->next) {
		branched(m, pc);
		*m->cycles += m->next >= 2 && m->decoded[m->next / 2 - 1].kind == THUMB_BRANCH;
	}
	if (m->check_sp) {
		m->check_sp = false;
		if (!stack_ok(m, get(m, 13))) {
			return;
		}
	}
	if (m->flash_dirty) {
		m->flash_dirty = false;
		machine_flash_changed(m, m->dirty_at & ~3u, 4);
	}
	m->next = pc; /* when the processor goes elsewhere, it comes back here */
	if (*m->cycles >= m->event && service(m, pc)) {
		return;
	}
	m->next = pc + t->size;
	fetch(m, pc);
	*m->cycles += t->cycles;
	if (t->kind > THUMB_PLAIN && t->kind != THUMB_BRANCH) {
		special(m, pc, t);
	}
}

static void
on_code(uc_engine *uc, uint64_t address, uint32_t size, void *user)
{
	struct machine *m = user;
	uint32_t pc = (uint32_t)address;

	(void)uc;
	(void)size;
	if ((m->jumping && pc != m->jump_to) || m->end != MACHINE_RUNNING) {
		uc_emu_stop(m->uc);
		return;
	}
	m->jumping = false;
	m->in_hook = true;
	m->pc = pc;
	if (pc < SOC_IMAGE_BASE || pc >= FLASH_END) {
		world_violation(m->world, "execution at 0x%08X, outside the image", pc);
	} else {
		instruction(m, pc);
	}
	m->in_hook = false;
}

/* ---- memory accesses ---- */

static void
peripheral(struct machine *m, bool write, uint32_t address, unsigned bytes, uint32_t value)
{
	unsigned w = 0;

	while (w < WINDOWS && address - windows[w].base >= windows[w].size) {
		w++;
	}
	if (w == WINDOWS) {
		world_violation(m->world, "HardFault: %s at 0x%08X, where there is nothing",
		                write ? "write" : "read", address);
		return;
	}
	clock_now(m);
	if (write) {
		soc_write(m->soc, address, bytes, value);
		stall(m, soc_take_stall(m->soc));
		if (soc_hertz(m->soc) != m->hertz) {
			rebase(m);
		}
	} else {
		value = soc_read(m->soc, address, bytes);
		for (unsigned i = 0; i < bytes; i++) {
			m->window[w][address - windows[w].base + i] = (uint8_t)(value >> 8 * i);
		}
		return;
	}
	m->event = 0; /* it may have started, ended or pended something */
}

static void
change_phase(struct machine *m, uint32_t to)
{
	unsigned from = m->figures.phase;

	clock_now(m);
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

static void
ram_access(struct machine *m, bool write, uint32_t address, unsigned bytes, uint32_t value)
{
	if (address >= SOC_DOUBLE_TAP && !(write && bytes == 4 && value == LOADER_MAGIC)) {
		world_violation(m->world, "%s of 0x20007FFC, the loader's cell",
		                write ? "write" : "read");
	}
	if (write && address == m->config.phase_address && address != 0) {
		change_phase(m, value);
	}
	(void)bytes;
}

static void
access_memory(struct machine *m, bool write, uint32_t address, unsigned bytes, uint32_t value)
{
	if ((address & (bytes - 1)) != 0) {
		world_violation(m->world, "HardFault: unaligned %s of %u bits at 0x%08X",
		                write ? "store" : "load", bytes * 8, address);
	} else if (address - SOC_RAM_BASE < SOC_RAM_SIZE) {
		ram_access(m, write, address, bytes, value);
	} else if (address >= FLASH_END) {
		peripheral(m, write, address, bytes, value);
	} else if (address < SOC_IMAGE_BASE) {
		world_violation(m->world, "%s at 0x%08X: a null pointer, or the boot loader",
		                write ? "write" : "read", address);
	} else if (write) {
		clock_now(m);
		soc_store_flash(m->soc, address, bytes, value);
		m->flash_dirty = true; /* Unicorn's copy is put right before the next instruction */
		m->dirty_at = address;
	}
}

static void
on_access(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value, void *user)
{
	struct machine *m = user;
	unsigned bytes = (unsigned)size;

	(void)uc;
	if (m->end != MACHINE_RUNNING) {
		return;
	}
	m->in_hook = true;
	access_memory(m, type == UC_MEM_WRITE, (uint32_t)address, bytes,
	              (uint32_t)value & (bytes == 1 ? 0xFF : bytes == 2 ? 0xFFFF : 0xFFFFFFFF));
	m->in_hook = false;
}

static bool
on_unmapped(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value, void *user)
{
	struct machine *m = user;

	(void)uc;
	(void)value;
	if (m->end == MACHINE_RUNNING) {
		m->in_hook = true;
		if (type == UC_MEM_FETCH_UNMAPPED || type == UC_MEM_FETCH_PROT) {
			world_violation(m->world, "HardFault: jump to 0x%08X, outside the image",
			                (uint32_t)address);
		} else {
			world_violation(m->world, "HardFault: %s of %d bits at 0x%08X, where there is nothing",
			                type == UC_MEM_READ_UNMAPPED ? "read" : "write", size * 8,
			                (uint32_t)address);
		}
		m->in_hook = false;
	}
	return false;
}

/* Unicorn could not go on by itself: everything expected was caught before. */
static void
on_interrupt(uc_engine *uc, uint32_t number, void *user)
{
	struct machine *m = user;

	(void)uc;
	m->in_hook = true;
	world_violation(m->world, "HardFault: exception %u of the emulated core", number);
	m->in_hook = false;
}

/* ---- life ---- */

static bool
map_memory(struct machine *m)
{
	bool ok = uc_mem_map_ptr(m->uc, 0, SOC_FLASH_SIZE, UC_PROT_ALL, m->flash) == UC_ERR_OK &&
	          uc_mem_map_ptr(m->uc, SOC_RAM_BASE, SOC_RAM_SIZE, UC_PROT_READ | UC_PROT_WRITE,
	                         m->ram) == UC_ERR_OK;

	for (unsigned w = 0; w < WINDOWS; w++) {
		m->window[w] = aligned_alloc(4096, windows[w].size);
		ok = ok && m->window[w] != NULL &&
		     uc_mem_map_ptr(m->uc, windows[w].base, windows[w].size,
		                    UC_PROT_READ | UC_PROT_WRITE, m->window[w]) == UC_ERR_OK;
	}
	return ok;
}

static bool
add_hooks(struct machine *m)
{
	uc_hook h;
	uc_err e = uc_hook_add(m->uc, &h, UC_HOOK_CODE, (void *)on_code, m, 1, 0);

	e = e ? e : uc_hook_add(m->uc, &h, UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, (void *)on_access,
	                        m, 1, 0);
	e = e ? e : uc_hook_add(m->uc, &h, UC_HOOK_MEM_INVALID, (void *)on_unmapped, m, 1, 0);
	e = e ? e : uc_hook_add(m->uc, &h, UC_HOOK_INTR, (void *)on_interrupt, m, 1, 0);
	return e == UC_ERR_OK;
}

static void
fill_ram(struct machine *m)
{
	for (uint32_t at = 0; at < SOC_RAM_SIZE; at += 4) {
		ram_store(m, SOC_RAM_BASE + at, 0xDEADBEEF ^ (uint32_t)(world_random(m->world) & 0x01010101));
	}
}

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
	m->flash = aligned_alloc(4096, SOC_FLASH_SIZE);
	m->ram = aligned_alloc(4096, SOC_RAM_SIZE);
	m->decoded = calloc(SOC_FLASH_SIZE / 2 + 2, sizeof m->decoded[0]);
	if (m->flash == NULL || m->ram == NULL || m->decoded == NULL ||
	    uc_open(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS, &m->uc) != UC_ERR_OK) {
		machine_free(m);
		return NULL;
	}
#ifdef uc_ctl_set_cpu_model
	uc_ctl_set_cpu_model(m->uc, UC_CPU_ARM_CORTEX_M0);
#endif
	memcpy(m->flash, config->flash, SOC_FLASH_SIZE);
	if (!map_memory(m) || !add_hooks(m)) {
		machine_free(m);
		return NULL;
	}
	fill_ram(m);
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
	for (unsigned w = 0; w < WINDOWS; w++) {
		free(m->window[w]);
	}
	free(m->flash);
	free(m->ram);
	free(m->decoded);
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
		if (e != UC_ERR_OK && m->end == MACHINE_RUNNING && !m->jumping) {
			world_violation(m->world, "HardFault: %s", uc_strerror(e));
		}
	}
	machine_figures(m);
	return m->end;
}
