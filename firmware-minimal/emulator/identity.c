/* SPDX-License-Identifier: BSD-2-Clause */
/* What tells one chip from another: DSU, user row, calibration rows, serial number. */
#include "emulator/soc_int.h"

const struct bus_register dsu_registers[] = {
	{ 0x18, BUS_32, BUS_R, 0, "DID" },
	BUS_END,
};
const struct bus_register user_row_registers[] = {
	{ 0x00, BUS_ANY, BUS_R, 0, "word 0" },
	{ 0x04, BUS_ANY, BUS_R, 0, "word 1" },
	BUS_END,
};
const struct bus_register calibration_registers[] = {
	{ 0x00, BUS_32, BUS_R, 0, "software calibration", 4, 4 },
	{ 0x10, BUS_32, BUS_R, 0, "temperature log", 2, 4 },
	BUS_END,
};
const struct bus_register serial_registers[] = {
	{ 0x00, BUS_32, BUS_R, 0, "word 0" },
	{ 0x34, BUS_32, BUS_R, 0, "word 1" },
	{ 0x38, BUS_32, BUS_R, 0, "word 2" },
	{ 0x3C, BUS_32, BUS_R, 0, "word 3" },
	BUS_END,
};

static uint32_t
cut(uint32_t word, unsigned bytes)
{
	return bytes == 1 ? word & 0xFF : bytes == 2 ? word & 0xFFFF : word;
}

uint32_t
dsu_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes)
{
	(void)soc;
	(void)instance;
	(void)offset;
	(void)bytes;
	return 0x10010305;
}

uint32_t
user_row_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes)
{
	(void)soc;
	(void)instance;
	return cut(offset == 0 ? 0xD8E0C7FF : 0xFFFFFC5D, bytes);
}

uint32_t
calibration_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes)
{
	uint32_t log[2];

	(void)soc;
	(void)instance;
	(void)bytes;
	if (offset >= 0x10) {
		adc_log_row(log);
		return log[offset >> 2 & 1];
	}
	return offset == 4 ? 0x81F4B01D : 0xFFFFFFFF;
}

uint32_t
serial_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes)
{
	(void)instance;
	(void)bytes;
	return soc->config.serial_number[offset == 0 ? 0 : (offset - 0x30) / 4];
}
