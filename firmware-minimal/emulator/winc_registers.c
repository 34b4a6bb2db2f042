/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers and boot of the WINC1500 model (sections 3, 8.3). */
#include "emulator/winc_int.h"

#include <string.h>

enum {
	CHIP_ID = 0x001003A0,
	SPI_CFG_RESET = 0x2E, /* CRC on */
	SPI_CFG_CRC_OFF = 0x52,
	BOOTROM_READY = 0x10ADD09E, /* of the boot ROM: waiting */
	FIRMWARE_READY = 0x02532636,
	PIN_MUX_RESET = 0x40,
	INTR_ENABLE_RESET = 0x01,
	IRQ_PIN = 0x100,
	IRQ_ENABLE = 0x10000,
	GP_1_ALWAYS = 0x100,
	FIRMWARE_MS = 100,
};
#define BOOTROM_START 0xEF522F61u

static void
fill_info(struct winc_model *m)
{
	uint8_t *w = m->window;

	memset(w + INFO_TABLE, WINC_JUNK, INFO_END - INFO_TABLE);
	winc_put16(w + INFO_TABLE, INFO_MAC);
	winc_put16(w + INFO_TABLE + 2, 0);
	winc_put16(w + INFO_TABLE + 4, INFO_FIRMWARE);
	winc_put16(w + INFO_TABLE + 6, 0);
	memcpy(w + INFO_MAC, m->config.mac, 6);
	winc_put32(w + INFO_FIRMWARE, CHIP_ID);
	w[INFO_FIRMWARE + 4] = (uint8_t)(m->profile->version >> 8 & 0xFF);
	w[INFO_FIRMWARE + 5] = (uint8_t)(m->profile->version >> 4 & 0xF);
	w[INFO_FIRMWARE + 6] = (uint8_t)(m->profile->version & 0xF);
}

void
winc_registers_reset(struct winc_model *m)
{
	m->registers = (struct winc_registers){
		.up_ns = m->world->now_ns,
		.started_ns = WINC_NEVER,
		.spi_cfg = fault_hits(m->faults, "winc.crc-off") ? SPI_CFG_CRC_OFF : SPI_CFG_RESET,
		.pin_mux = PIN_MUX_RESET,
		.intr_enable = INTR_ENABLE_RESET,
		.global_reset = 0x400,
	};
	m->registers.clockless[0x0F] = 4;
	memset(m->window, WINC_JUNK, sizeof m->window);
}

static bool
passed(const struct winc_model *m, uint64_t ms)
{
	return m->world->now_ns - m->registers.up_ns >= WINC_MS(ms);
}

bool
winc_registers_alive(const struct winc_model *m)
{
	return m->powered && passed(m, 2);
}

static bool
bootrom_ready(struct winc_model *m)
{
	return passed(m, 20) && !fault_hits(m->faults, "winc.bootrom-never");
}

/* Does the firmware say that it is up? */
static bool
firmware_ready(struct winc_model *m)
{
	struct winc_registers *r = &m->registers;
	uint64_t after;

	if (r->ready || r->started_ns == WINC_NEVER) {
		return r->ready;
	}
	after = WINC_MS(fault_value(m->faults, "winc.firmware-slow", FIRMWARE_MS));
	if (m->world->now_ns - r->started_ns < after ||
	    fault_hits(m->faults, "winc.firmware-never")) {
		return false;
	}
	fill_info(m);
	r->state = FIRMWARE_READY;
	r->ready = true;
	return true;
}

static uint32_t
read_gp_1(struct winc_model *m)
{
	return fault_hits(m->faults, "winc.gp1-once") ? 0 : m->registers.gp_1;
}

static uint32_t
read_boot(struct winc_model *m, uint32_t address)
{
	struct winc_registers *r = &m->registers;

	switch (address) {
	case 0x1014:
		return passed(m, 10) && !fault_hits(m->faults, "winc.efuse-never") ? 0x80000000u
										   : 0;
	case 0x207BC:
		r->skips = fault_hits(m->faults, "winc.bootrom-skip");
		return r->skips ? 1 : 0;
	case 0xC000C:
		return r->started_ns != WINC_NEVER ? r->bootrom
		       : bootrom_ready(m)          ? (uint32_t)BOOTROM_READY
		                                   : 0;
	case 0x207AC:
		return firmware_ready(m) && !fault_hits(m->faults, "winc.version-zero")
		               ? m->profile->version
		               : 0;
	default: /* 0xC0008 */
		return firmware_ready(m) && !fault_hits(m->faults, "winc.gp2-zero")
		               ? (uint32_t)INFO_TABLE
		               : 0;
	}
}

uint32_t
winc_registers_read(struct winc_model *m, uint32_t address)
{
	struct winc_registers *r = &m->registers;

	switch (address) {
	case 0x01:
	case 0x0B:
	case 0x0F:
	case 0x10:
		return r->clockless[address];
	case 0x1000:
		return (uint32_t)fault_value(m->faults, "winc.chip-id", CHIP_ID);
	case 0x1014:
	case 0x207BC:
	case 0xC000C:
	case 0x207AC:
	case 0xC0008:
		return read_boot(m, address);
	case 0x108C:
		(void)firmware_ready(m);
		return r->state;
	case 0x14A0:
		return read_gp_1(m);
	case 0x1400:
		return r->global_reset;
	case 0x1408:
		return r->pin_mux;
	case 0x1A00:
		return r->intr_enable;
	case 0xE824:
		return r->spi_cfg;
	case 0x13F4:
	case 0x149C:
		return 0;
	case 0x106C:
	case 0x1070:
	case 0x1078:
	case 0x1084:
	case 0x150400:
		return winc_host_read(m, address);
	default:
		world_violation(m->world, "winc: read of undocumented register 0x%X", address);
		return 0;
	}
}

static void
start_firmware(struct winc_model *m, uint32_t value)
{
	struct winc_registers *r = &m->registers;

	if (value != BOOTROM_START) {
		world_violation(m->world, "winc: 0x%X written to the boot ROM's register", value);
		return;
	}
	if (!passed(m, 20) && !r->skips) {
		world_violation(m->world, "winc: firmware started before the boot ROM was ready");
	}
	if ((r->gp_1 & GP_1_ALWAYS) == 0) {
		world_violation(m->world, "winc: firmware started without bit 8 of GP_REG_1");
	}
	r->driver_version = r->state;
	r->bootrom = 0;
	r->started_ns = m->world->now_ns;
	world_note(m->world, "winc: firmware %s started, driver 0x%08X", m->profile->name,
	           r->driver_version);
}

/* 0x108C: driver version, then 0 to finish the start, then the requests' word. */
static void
write_state(struct winc_model *m, uint32_t value)
{
	struct winc_registers *r = &m->registers;

	if (r->running) {
		winc_host_write(m, 0x108C, value);
		return;
	}
	if (r->ready && value == 0) {
		r->running = true;
	} else if (r->started_ns != WINC_NEVER) {
		world_violation(m->world, "winc: 0x108C = 0x%X while the firmware starts", value);
	}
	r->state = value;
}

/* Registers of which the host may only set a bit. */
static void
write_with(struct winc_model *m, uint32_t *reg, uint32_t value, uint32_t bit)
{
	if ((value & ~bit) != (*reg & ~bit)) {
		world_violation(m->world, "winc: 0x%X written over 0x%X, only 0x%X is the host's",
		                value, *reg, bit);
	}
	*reg = value;
}

void
winc_registers_write(struct winc_model *m, uint32_t address, uint32_t value)
{
	struct winc_registers *r = &m->registers;

	switch (address) {
	case 0x01:
	case 0x0B:
		r->clockless[address] = value;
		break;
	case 0x108C:
		write_state(m, value);
		break;
	case 0x14A0:
		r->gp_1 = value;
		break;
	case 0x1400:
		write_with(m, &r->global_reset, value, 0x400);
		break;
	case 0x1408:
		write_with(m, &r->pin_mux, value, IRQ_PIN);
		break;
	case 0x1A00:
		write_with(m, &r->intr_enable, value, IRQ_ENABLE);
		break;
	case 0xC000C:
		start_firmware(m, value);
		break;
	case 0xE824:
		write_with(m, &r->spi_cfg, value, 0x7C);
		break;
	case 0x1074:
		break; /* sleep words of older drivers */
	case 0x106C:
	case 0x1070:
	case 0x1078:
		winc_host_write(m, address, value);
		break;
	default:
		world_violation(m->world, "winc: write of 0x%X to register 0x%X", value, address);
	}
}

uint32_t
winc_registers_driver_version(const struct winc_model *m)
{
	return m->registers.driver_version;
}
