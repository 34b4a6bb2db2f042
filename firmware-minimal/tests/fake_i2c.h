/* SPDX-License-Identifier: BSD-2-Clause */
/* hal/i2c.h with the model of the ATECC on the bus, at 100 kHz of virtual time. */
#ifndef TESTS_FAKE_I2C_H
#define TESTS_FAKE_I2C_H

#include "emulator/model.h"

struct fake_i2c {
	struct atecc_model *chip; /* NULL: nobody there */
	/* Power fails when so many transfers have been made; 0 never. */
	unsigned cut_after;
	unsigned transfers;
	unsigned recoveries;
	/* Every command that was sent, as opcode, param1, param2; for the order of things. */
	struct {
		uint8_t opcode, param1;
		uint16_t param2;
	} sent[512];
	unsigned sent_count;
};
extern struct fake_i2c fake_i2c;

void fake_i2c_reset(struct atecc_model *chip);

#endif
