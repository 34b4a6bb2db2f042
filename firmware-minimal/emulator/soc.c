/* SPDX-License-Identifier: BSD-2-Clause */
/* The map of the microcontroller (samd21 1.1, 1.2), its reset and its time. */
#include <stdlib.h>
#include <string.h>

#include "emulator/soc_int.h"

#define WINC_POLL_NS 1000000

static const struct bus_device devices[] = {
	{ "PM", 0x40000400, 0x400, pm_registers, 0, pm_read, pm_write },
	{ "SYSCTRL", 0x40000800, 0x400, sysctrl_registers, 0, sysctrl_read, sysctrl_write },
	{ "GCLK", 0x40000C00, 0x400, gclk_registers, 0, gclk_read, gclk_write },
	{ "WDT", 0x40001000, 0x400, wdt_registers, 0, wdt_read, wdt_write },
	{ "RTC", 0x40001400, 0x400, rtc_registers, 0, rtc_read, rtc_write },
	{ "EIC", 0x40001800, 0x400, eic_registers, 0, eic_read, eic_write },
	{ "DSU", 0x41002000, 0x1000, dsu_registers, 0, dsu_read, NULL },
	{ "NVMCTRL", 0x41004000, 0x400, nvm_registers, 0, nvm_read, nvm_write },
	{ "PORT", 0x41004400, 0x400, port_registers, 0, port_read, port_write },
	{ "PORT(IOBUS)", 0x60000000, 0x400, port_registers, 1, port_read, port_write },
	{ "SERCOM2(I2C)", 0x42001000, 0x400, sercom_i2c_registers, 2, sercom_read, sercom_write },
	{ "SERCOM4(SPI)", 0x42001800, 0x400, sercom_spi_registers, 4, sercom_read, sercom_write },
	{ "SERCOM5(USART)", 0x42001C00, 0x400, sercom_usart_registers, 5, sercom_read,
	  sercom_write },
	{ "ADC", 0x42004000, 0x400, adc_registers, 0, adc_read, adc_write },
	{ "system control", 0xE000E000, 0x1000, scs_registers, 0, scs_read, scs_write },
	{ "user row", 0x00804000, 8, user_row_registers, 0, user_row_read, NULL },
	{ "calibration row", 0x00806020, 0x18, calibration_registers, 0, calibration_read, NULL },
	{ "serial number", 0x0080A00C, 0x40, serial_registers, 0, serial_read, NULL },
	{ .name = NULL },
};

struct soc *
soc_new(const struct soc_config *config)
{
	struct soc *soc = calloc(1, sizeof *soc);

	if (soc == NULL) {
		return NULL;
	}
	soc->config = *config;
	soc->world = config->world;
	if (!nvm_new(soc)) {
		free(soc);
		return NULL;
	}
	soc_reset(soc, SOC_POWER_ON);
	return soc;
}

void
soc_free(struct soc *soc)
{
	if (soc != NULL) {
		free(soc->nvm.written);
		free(soc);
	}
}

void
soc_reset(struct soc *soc, enum soc_reset cause)
{
	soc->wanted = SOC_RUNNING;
	soc->stall_ns = 0;
	clocks_reset(soc, cause);
	nvm_reset(soc);
	port_reset(soc);
	for (unsigned n = 0; n < 6; n++) {
		sercom_reset(soc, n);
	}
	eic_reset(soc);
	timers_reset(soc, cause);
	scs_reset(soc);
	adc_reset(soc);
	scs_lines(soc);
}

bool
soc_has(uint32_t address)
{
	return !(address < SOC_FLASH_SIZE || address - SOC_RAM_BASE < SOC_RAM_SIZE);
}

uint32_t
soc_read(struct soc *soc, uint32_t address, unsigned bytes)
{
	const struct bus_device *device;
	uint32_t value;

	if (bus_find(soc->world, devices, &device, address, bytes, false, 0) == NULL) {
		return 0;
	}
	value = device->read(soc, device->instance, address - device->base, bytes);
	scs_lines(soc);
	return value;
}

void
soc_write(struct soc *soc, uint32_t address, unsigned bytes, uint32_t value)
{
	const struct bus_device *device;

	if (bus_find(soc->world, devices, &device, address, bytes, true, value) == NULL) {
		return;
	}
	device->write(soc, device->instance, address - device->base, bytes, value);
	scs_lines(soc);
}

uint64_t *
soc_cycles(struct soc *soc)
{
	return &soc->cycles;
}

/* Its polls of real sockets cost system calls: when it asked for it, or each millisecond. */
static void
advance_winc(struct soc *soc)
{
	uint64_t now = soc->world->now_ns;
	bool waits;

	if (soc->config.winc != NULL && (now - soc->winc_polled >= WINC_POLL_NS ||
	                                 now >= winc_model_next(soc->config.winc, &waits))) {
		soc->winc_polled = now;
		winc_model_advance(soc->config.winc);
	}
}

void
soc_advance(struct soc *soc)
{
	advance_winc(soc);
	sercom_advance(soc);
	eic_sample(soc);
	timers_advance(soc);
	adc_advance(soc);
	scs_advance(soc);
	scs_lines(soc);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t
soc_next_ns(const struct soc *soc, bool *waits_for_network)
{
	uint64_t next = earlier(sercom_next(soc), timers_next(soc));

	*waits_for_network = false;
	next = earlier(next, adc_next(soc));
	if (soc->config.winc != NULL) {
		next = earlier(next, winc_model_next(soc->config.winc, waits_for_network));
	}
	return next;
}

uint64_t
soc_take_stall(struct soc *soc)
{
	uint64_t stall = soc->stall_ns;

	soc->stall_ns = 0;
	return stall;
}

enum soc_reset
soc_take_reset(struct soc *soc)
{
	enum soc_reset wanted = soc->wanted;

	soc->wanted = SOC_RUNNING;
	return wanted;
}
