/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers as the data sheet lists them: where, how wide, and which bits may
 * be set. The bus refuses everything else with a sentence, so that a model
 * only ever sees accesses that the sheet allows.
 */
#ifndef EMULATOR_BUS_H
#define EMULATOR_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "emulator/model.h"

struct soc;

enum { BUS_8 = 1, BUS_16 = 2, BUS_32 = 4, BUS_ANY = 7 };
enum { BUS_R = 1, BUS_W = 2, BUS_RW = 3 };

struct bus_register {
	uint16_t offset;
	uint8_t widths;   /* BUS_8 and so on: the widths that are allowed */
	uint8_t access;   /* BUS_R, BUS_W */
	uint32_t allowed; /* bits that may be written as 1; the others are reserved */
	const char *name;
	uint8_t count, stride; /* of an array of registers; 0: one */
};
#define BUS_END { .name = NULL }

struct bus_device {
	const char *name;
	uint32_t base, size;
	const struct bus_register *registers; /* BUS_END closes */
	unsigned instance;                    /* handed to the functions below */
	uint32_t (*read)(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);
	void (*write)(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes,
	              uint32_t value);
};

/*
 * The register at that address, or NULL after a violation that names what is
 * wrong with the access. devices: closed by one without a name.
 */
const struct bus_register *bus_find(struct world *world, const struct bus_device *devices,
                                    const struct bus_device **device, uint32_t address,
                                    unsigned bytes, bool write, uint32_t value);

#endif
