/* SPDX-License-Identifier: BSD-2-Clause */
#include "hal/nvm.h"

#include <string.h>

#include "board/samd21.h"

#define FLASH_END 0x00040000u
#define APPLICATION 0x00002000u
#define PASSES 1000000u /* an erase takes 6 ms, in which the processor mostly stands still */

extern const uint8_t image_end[];

const void *
nvm_at(uint32_t address)
{
	return (const void *)address;
}

static bool
wait_ready(void)
{
	for (uint32_t n = PASSES; n > 0; n--) {
		if ((NVMCTRL_INTFLAG & NVMCTRL_INTFLAG_READY) != 0) {
			return true;
		}
	}
	return false;
}

static bool
command(uint16_t word)
{
	NVMCTRL_CTRLA = word;
	return wait_ready() && (NVMCTRL_STATUS & NVMCTRL_STATUS_ERRORS) == 0;
}

static bool
range_allowed(uint32_t address, size_t n)
{
	return address % NVM_ROW == 0 && address >= APPLICATION && address < FLASH_END &&
	       n <= FLASH_END - address && address >= (uint32_t)image_end;
}

static bool
erase_row(uint32_t address)
{
	if (!range_allowed(address, NVM_ROW) || !wait_ready()) {
		return false;
	}
	NVMCTRL_STATUS = NVMCTRL_STATUS_ERRORS;
	NVMCTRL_ADDR = address >> 1;
	return command(NVMCTRL_CMD_ERASE_ROW);
}

/* Words only: the page buffer takes no bytes. What is beyond the data stays erased. */
static bool
page_write(uint32_t address, const uint8_t *data, size_t n)
{
	volatile uint32_t *to = (volatile uint32_t *)address;

	if (!wait_ready() || !command(NVMCTRL_CMD_CLEAR_PAGE_BUFFER)) {
		return false;
	}
	for (size_t i = 0; i < NVM_PAGE; i += 4) {
		uint32_t word = 0xFFFFFFFF;

		if (i < n) {
			memcpy(&word, data + i, n - i < 4 ? n - i : 4);
		}
		*to++ = word;
	}
	NVMCTRL_ADDR = address >> 1;
	return command(NVMCTRL_CMD_WRITE_PAGE);
}

bool
nvm_write(uint32_t address, const void *data, size_t n)
{
	const uint8_t *from = data;

	if (!range_allowed(address, n)) {
		return false;
	}
	for (size_t row = 0; row < n; row += NVM_ROW) {
		if (!erase_row(address + row)) {
			return false;
		}
	}
	for (size_t at = 0; at < n; at += NVM_PAGE) {
		if (!page_write(address + at, from + at, n - at < NVM_PAGE ? n - at : NVM_PAGE)) {
			return false;
		}
	}
	return command(NVMCTRL_CMD_INVALIDATE) && memcmp(nvm_at(address), data, n) == 0;
}
