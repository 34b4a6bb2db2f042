/* SPDX-License-Identifier: BSD-2-Clause */
/* Before each instruction: its cycles, what is due, and what Unicorn does not do as an M0+. */
#include "emulator/machine_int.h"
#include "emulator/thumb.h"

static void
move_to_special(struct machine *m, uint16_t first, uint16_t second)
{
	unsigned special = second & 0xFF;

	if (special == 16) {
		m->primask = (machine_get(m, first & 15) & 1) != 0;
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
	machine_set(m, rd, (special <= 3 ? apsr & 0xF0000000 : 0) |
	                   ((special & 1) != 0 && m->depth > 0 ? m->active[m->depth - 1] : 0));
	machine_jump(m, pc + 4);
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
			machine_exception_return(m, first);
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
			machine_wait(m, pc);
		}
		break;
	case THUMB_FAULT:
		if (first >> 8 == 0xDF) {
			world_violation(m->world, "SVC (0x%04X), which nobody handles", first);
		} else {
			machine_fault(m, pc, "%s (0x%04X)",
			              first >> 8 == 0xBE ? "BKPT" : "undefined instruction", first);
		}
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
	if (m->config.step != NULL) {
		m->config.step(m->config.owner, pc);
	}
	if (pc != m->next) {
		machine_branched(m, pc);
		*m->cycles += m->next >= 2 && m->decoded[m->next / 2 - 1].kind == THUMB_BRANCH;
	}
	if (m->check_sp) {
		m->check_sp = false;
		if (!machine_stack_ok(m, machine_get(m, 13))) {
			return;
		}
	}
	if (m->flash_dirty) {
		m->flash_dirty = false;
		machine_flash_changed(m, m->dirty_at & ~3u, 4);
	}
	m->next = pc; /* when the processor goes elsewhere, it comes back here */
	if (*m->cycles >= m->event && machine_service(m, pc)) {
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
	if ((m->jumping && pc != m->jump_to) || m->end != MACHINE_RUNNING || m->trap.pending) {
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

/* Unicorn could not go on by itself: everything expected was caught before. */
static void
on_interrupt(uc_engine *uc, uint32_t number, void *user)
{
	struct machine *m = user;

	(void)uc;
	m->in_hook = true;
	machine_fault(m, m->pc, "exception %u of the emulated core", number);
	m->in_hook = false;
}

bool
machine_code_attach(struct machine *m)
{
	uc_hook h;

	return uc_hook_add(m->uc, &h, UC_HOOK_CODE, (void *)on_code, m, 1, 0) == UC_ERR_OK &&
	       uc_hook_add(m->uc, &h, UC_HOOK_INTR, (void *)on_interrupt, m, 1, 0) == UC_ERR_OK;
}
