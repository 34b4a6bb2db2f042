/* SPDX-License-Identifier: BSD-2-Clause */
/* The flash, the RAM and the windows of the peripherals, and the checks of each access to them. */
#include <stdlib.h>
#include <string.h>

#include "emulator/machine_int.h"
#include "emulator/thumb.h"

/* The peripherals' pages; reads are answered through them. */
static const struct {
	uint32_t base, size;
} windows[WINDOWS] = {
	{ 0x00800000, 0x10000 }, { 0x40000000, 0x2000 }, { 0x41000000, 0x8000 },
	{ 0x42000000, 0x6000 }, { 0x60000000, 0x1000 }, { 0xE000E000, 0x1000 },
};

uint32_t
machine_load_word(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t
machine_ram(const struct machine *m, uint32_t address)
{
	return machine_load_word(m->ram + (address - SOC_RAM_BASE) % SOC_RAM_SIZE);
}

void
machine_ram_store(struct machine *m, uint32_t address, uint32_t value)
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

static void
peripheral(struct machine *m, bool write, uint32_t address, unsigned bytes, uint32_t value)
{
	unsigned w = 0;

	while (w < WINDOWS && address - windows[w].base >= windows[w].size) {
		w++;
	}
	if (w == WINDOWS) {
		machine_fault(m, m->pc, "%s at 0x%08X, where there is nothing",
		              write ? "write" : "read", address);
		return;
	}
	machine_clock(m);
	if (write) {
		soc_write(m->soc, address, bytes, value);
		machine_stall(m, soc_take_stall(m->soc));
		if (soc_hertz(m->soc) != m->hertz) {
			machine_rebase(m);
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
ram_access(struct machine *m, bool write, uint32_t address, unsigned bytes, uint32_t value)
{
	if (address >= SOC_DOUBLE_TAP && !(write && bytes == 4 && value == LOADER_MAGIC)) {
		world_violation(m->world, "%s of 0x20007FFC, the loader's cell",
		                write ? "write" : "read");
	}
	if (write && address == m->config.phase_address && address != 0) {
		machine_change_phase(m, value);
	}
	(void)bytes;
}

/* Unicorn carries the store out all the same: the handler must find what was there. */
static void
remember_store(struct machine *m, uint32_t address)
{
	if (m->trap.pending && address - SOC_RAM_BASE < SOC_RAM_SIZE - 3) {
		m->trap.stored = true;
		m->trap.stored_at = address;
		m->trap.stored_over = machine_ram(m, address);
	}
}

static void
access_memory(struct machine *m, bool write, uint32_t address, unsigned bytes, uint32_t value)
{
	if ((address & (bytes - 1)) != 0) {
		machine_fault(m, m->pc, "unaligned %s of %u bits at 0x%08X",
		              write ? "store" : "load", bytes * 8, address);
		if (write) {
			remember_store(m, address);
		}
	} else if (address - SOC_RAM_BASE < SOC_RAM_SIZE) {
		ram_access(m, write, address, bytes, value);
	} else if (address >= FLASH_END) {
		peripheral(m, write, address, bytes, value);
	} else if (address < SOC_IMAGE_BASE) {
		world_violation(m->world, "%s at 0x%08X: a null pointer, or the boot loader",
		                write ? "write" : "read", address);
	} else if (write) {
		machine_clock(m);
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
	if (m->end != MACHINE_RUNNING || m->trap.pending) {
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
		if (address - SOC_RAM_BASE < SOC_RAM_SIZE) {
			/* The processor could, the firmware must not. */
			world_violation(m->world, "jump into the RAM, to 0x%08X", (uint32_t)address);
		} else if (type == UC_MEM_FETCH_UNMAPPED || type == UC_MEM_FETCH_PROT) {
			machine_fault(m, (uint32_t)address, "jump to 0x%08X, outside the image",
			              (uint32_t)address);
		} else {
			machine_fault(m, m->pc, "%s of %d bits at 0x%08X, where there is nothing",
			              type == UC_MEM_READ_UNMAPPED ? "read" : "write", size * 8,
			              (uint32_t)address);
		}
		m->in_hook = false;
	}
	return false;
}

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

static void
fill_ram(struct machine *m)
{
	for (uint32_t at = 0; at < SOC_RAM_SIZE; at += 4) {
		machine_ram_store(m, SOC_RAM_BASE + at,
		                  0xDEADBEEF ^ (uint32_t)(world_random(m->world) & 0x01010101));
	}
}

static bool
add_hooks(struct machine *m)
{
	uc_hook h;
	uc_err e = uc_hook_add(m->uc, &h, UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, (void *)on_access,
	                       m, 1, 0);

	e = e ? e : uc_hook_add(m->uc, &h, UC_HOOK_MEM_INVALID, (void *)on_unmapped, m, 1, 0);
	return e == UC_ERR_OK;
}

bool
machine_memory_new(struct machine *m)
{
	m->flash = aligned_alloc(4096, SOC_FLASH_SIZE);
	m->ram = aligned_alloc(4096, SOC_RAM_SIZE);
	m->decoded = calloc(SOC_FLASH_SIZE / 2 + 2, sizeof m->decoded[0]);
	return m->flash != NULL && m->ram != NULL && m->decoded != NULL;
}

bool
machine_memory_attach(struct machine *m)
{
	memcpy(m->flash, m->config.flash, SOC_FLASH_SIZE);
	if (!map_memory(m) || !add_hooks(m)) {
		return false;
	}
	fill_ram(m);
	return true;
}

void
machine_memory_free(struct machine *m)
{
	for (unsigned w = 0; w < WINDOWS; w++) {
		free(m->window[w]);
	}
	free(m->flash);
	free(m->ram);
	free(m->decoded);
}
