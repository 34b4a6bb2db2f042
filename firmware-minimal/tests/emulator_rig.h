/* SPDX-License-Identifier: BSD-2-Clause */
/* A world for the tests of the emulator: remembers the first violation. */
#ifndef TESTS_EMULATOR_RIG_H
#define TESTS_EMULATOR_RIG_H

#include "emulator/model.h"
#include "emulator/soc.h"

struct rig {
	struct world world;
	unsigned violations;
	char first[512];        /* the first violation's sentence */
	uint8_t flash[SOC_FLASH_SIZE];
	struct soc *soc;
	char serial[256];       /* what the console said */
	unsigned serial_used;
	bool led;
};
void rig_init(struct rig *rig);
/* The chip with nothing around it but what config names; world, flash and owner are the rig's. */
void rig_soc(struct rig *rig, struct soc_config config);
void rig_free(struct rig *rig);
/* Time passes; also counts cycles at 1 MHz. */
void rig_wait(struct rig *rig, uint64_t ns);
/* Fails the test unless the first violation holds that text; forgets it then. */
void rig_expect(struct rig *rig, const char *text);
/* Fails the test when there was one. */
void rig_clean(struct rig *rig);

#endif
