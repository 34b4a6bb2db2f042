/* SPDX-License-Identifier: BSD-2-Clause */
/* The flash and its controller (samd21 3.10). */
#include <stdlib.h>
#include <string.h>

#include "emulator/soc_int.h"

#define PAGE 64u
#define ROW 256u
#define ERASE_NS 6000000
#define WRITE_NS 2500000
#define WRITES_PER_ROW 8

enum { ST_LOAD = 2, ST_PROGE = 4, ST_LOCKE = 8, ST_NVME = 16 };
enum { FLAG_READY = 1, FLAG_ERROR = 2 };
enum { CTRLB_MANW = 0x80 };

const struct bus_register nvm_registers[] = {
	{ 0x00, BUS_16, BUS_RW, 0xFF7F, "CTRLA" },
	{ 0x04, BUS_32, BUS_RW, 0x0007039E, "CTRLB" },
	{ 0x08, BUS_32, BUS_R, 0, "PARAM" },
	{ 0x0C, BUS_8, BUS_RW, 0x03, "INTENCLR" },
	{ 0x10, BUS_8, BUS_RW, 0x03, "INTENSET" },
	{ 0x14, BUS_8, BUS_RW, 0x03, "INTFLAG" },
	{ 0x18, BUS_16, BUS_RW, 0x1E, "STATUS" },
	{ 0x1C, BUS_32, BUS_RW, 0x003FFFFF, "ADDR" },
	{ 0x20, BUS_16, BUS_R, 0, "LOCK" },
	BUS_END,
};

bool
nvm_new(struct soc *soc)
{
	soc->nvm.written = calloc(SOC_FLASH_SIZE / PAGE, 1);
	return soc->nvm.written != NULL;
}

static void
clear_buffer(struct nvm *n)
{
	memset(n->page, 0xFF, sizeof n->page);
	n->loaded = false;
	n->status &= (uint16_t)~ST_LOAD;
}

void
nvm_reset(struct soc *soc)
{
	uint8_t *written = soc->nvm.written;

	soc->nvm = (struct nvm){ .lock = 0xFFFF, .written = written };
	clear_buffer(&soc->nvm);
}

uint32_t
nvm_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes)
{
	const struct nvm *n = &soc->nvm;

	(void)instance;
	(void)bytes;
	switch (offset) {
	case 0x04: return n->ctrlb;
	case 0x08: return 0x00031000;
	case 0x0C: case 0x10: return n->inten;
	case 0x14: return FLAG_READY | (n->error ? FLAG_ERROR : 0);
	case 0x18: return n->status;
	case 0x1C: return n->address;
	case 0x20: return n->lock;
	default: return 0;
	}
}

/* The processor fetches from flash, so it stands still until the command is done. */
static void
busy(struct soc *soc, uint64_t ns)
{
	soc->stall_ns += ns;
}

static void
failed(struct soc *soc, uint16_t bit)
{
	soc->nvm.status |= bit;
	soc->nvm.error = true;
}

/* What this firmware must never touch: the loader (samd21 1.7). */
static bool
protected(struct soc *soc, uint32_t address, const char *what)
{
	if (address >= SOC_IMAGE_BASE && address < SOC_FLASH_SIZE) {
		return false;
	}
	failed(soc, ST_LOCKE);
	world_violation(soc->world, "%s at 0x%05X: %s", what, address,
	                address < SOC_IMAGE_BASE ? "the boot loader is there"
	                                         : "outside the flash");
	return true;
}

static void
changed(struct soc *soc, uint32_t at, uint32_t size)
{
	if (soc->config.flash_changed != NULL) {
		soc->config.flash_changed(soc->config.owner, at, size);
	}
}

static void
erase_row(struct soc *soc)
{
	uint32_t at = soc->nvm.address * 2 & ~(ROW - 1);

	if (protected(soc, at, "row erase")) {
		return;
	}
	busy(soc, ERASE_NS);
	if (fault_hits(soc->config.faults, "flash.erase-fails")) {
		failed(soc, ST_NVME);
		return;
	}
	world_note(soc->world, "flash: erase row 0x%05X", at);
	memset(soc->config.flash + at, 0xFF, ROW);
	memset(soc->nvm.written + at / PAGE, 0, ROW / PAGE);
	changed(soc, at, ROW);
}

static void
check_erased(struct soc *soc, uint32_t at)
{
	const uint8_t *flash = soc->config.flash + at;
	unsigned writes = 0;

	for (unsigned i = 0; i < PAGE; i++) {
		if ((flash[i] & soc->nvm.page[i]) != soc->nvm.page[i]) {
			world_violation(soc->world, "page write at 0x%05X: byte %u holds 0x%02X and cannot "
			                            "become 0x%02X without an erase",
			                at, i, flash[i], soc->nvm.page[i]);
			return;
		}
	}
	for (unsigned i = 0; i < ROW / PAGE; i++) {
		writes += soc->nvm.written[(at & ~(ROW - 1)) / PAGE + i];
	}
	if (writes >= WRITES_PER_ROW) {
		world_violation(soc->world, "more than %d page writes in the row of 0x%05X since its erase",
		                WRITES_PER_ROW, at);
	}
}

static void
write_page(struct soc *soc)
{
	struct nvm *n = &soc->nvm;
	uint32_t at = n->address * 2 & ~(PAGE - 1);

	if (protected(soc, at, "page write")) {
		return;
	}
	if (!n->loaded || n->page_at != at) {
		failed(soc, ST_PROGE);
		world_violation(soc->world, "page write at 0x%05X, but the page buffer was %s", at,
		                n->loaded ? "filled for another page" : "not filled");
		return;
	}
	check_erased(soc, at);
	busy(soc, WRITE_NS);
	if (fault_hits(soc->config.faults, "flash.write-fails")) {
		failed(soc, ST_NVME);
		clear_buffer(n);
		return;
	}
	world_note(soc->world, "flash: write page 0x%05X", at);
	for (unsigned i = 0; i < PAGE; i++) {
		soc->config.flash[at + i] &= n->page[i];
	}
	n->written[at / PAGE]++;
	clear_buffer(n);
	changed(soc, at, PAGE);
}

static void
command(struct soc *soc, uint32_t value)
{
	if (value >> 8 != 0xA5) {
		failed(soc, ST_PROGE);
		world_violation(soc->world, "NVMCTRL.CTRLA written without its key 0xA5");
		return;
	}
	switch (value & 0x7F) {
	case 0x02: erase_row(soc); break;
	case 0x04: write_page(soc); break;
	case 0x44: clear_buffer(&soc->nvm); break;
	case 0x42: case 0x43: case 0x46: break;
	case 0x05: case 0x06:
		world_violation(soc->world, "the user row is erased or written");
		break;
	case 0x45:
		world_violation(soc->world, "the security bit is set: the board could not be updated again");
		break;
	default:
		failed(soc, ST_PROGE);
		world_violation(soc->world, "NVMCTRL command 0x%02X is not for this firmware",
		                value & 0x7F);
		break;
	}
}

void
nvm_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes, uint32_t value)
{
	struct nvm *n = &soc->nvm;

	(void)instance;
	(void)bytes;
	switch (offset) {
	case 0x00: command(soc, value); break;
	case 0x04:
		if ((value >> 1 & 15) < 1 && soc_hertz(soc) > 24000000) {
			world_violation(soc->world, "no flash wait state at %u Hz", soc_hertz(soc));
		}
		n->ctrlb = value;
		break;
	case 0x0C: n->inten &= (uint8_t)~value; break;
	case 0x10: n->inten |= (uint8_t)value; break;
	case 0x14: n->error &= (value & FLAG_ERROR) == 0; break;
	case 0x18: n->status &= (uint16_t)~(value & (ST_LOAD | ST_PROGE | ST_LOCKE | ST_NVME)); break;
	case 0x1C: n->address = value; break;
	default: break;
	}
}

void
soc_store_flash(struct soc *soc, uint32_t address, unsigned bytes, uint32_t value)
{
	struct nvm *n = &soc->nvm;
	uint32_t page = address & ~(PAGE - 1);

	if (bytes == 1) {
		world_violation(soc->world, "8-bit store to the flash at 0x%05X", address);
		return;
	}
	if ((n->ctrlb & CTRLB_MANW) == 0) {
		world_violation(soc->world, "store to the flash at 0x%05X with CTRLB.MANW clear: the page "
		                            "would write itself", address);
		return;
	}
	if (protected(soc, address, "store to the flash")) {
		return;
	}
	if (n->loaded && n->page_at != page) {
		world_violation(soc->world, "store to page 0x%05X while the page buffer holds 0x%05X",
		                page, n->page_at);
	}
	n->page_at = page;
	n->loaded = true;
	n->status |= ST_LOAD;
	n->address = address / 2;
	for (unsigned i = 0; i < bytes; i++) {
		n->page[(address + i) % PAGE] &= (uint8_t)(value >> 8 * i);
	}
}
