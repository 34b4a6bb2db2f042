/* SPDX-License-Identifier: BSD-2-Clause */
/* The key store that is not fitted: linked only where the model is not built in. */
#include "emulator/model.h"

const struct fault atecc_faults[] = { { NULL, NULL } };

struct atecc_model *
atecc_model_new(struct world *world, struct fault_set *faults, const struct atecc_config *config)
{
	(void)world;
	(void)faults;
	(void)config;
	return NULL;
}

void
atecc_model_free(struct atecc_model *m)
{
	(void)m;
}

bool
atecc_model_start(struct atecc_model *m, uint8_t address_byte)
{
	(void)m;
	(void)address_byte;
	return false;
}

bool
atecc_model_write(struct atecc_model *m, uint8_t byte)
{
	(void)m;
	(void)byte;
	return false;
}

uint8_t
atecc_model_read(struct atecc_model *m, bool ack)
{
	(void)m;
	(void)ack;
	return 0xFF;
}

void
atecc_model_stop(struct atecc_model *m)
{
	(void)m;
}

void
atecc_model_sda_low(struct atecc_model *m, uint64_t ns)
{
	(void)m;
	(void)ns;
}

bool
atecc_model_sda_stuck(const struct atecc_model *m)
{
	(void)m;
	return false;
}
