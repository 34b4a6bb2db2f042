/* SPDX-License-Identifier: BSD-2-Clause */
/* The radio that is not fitted: linked only where the model is not built in. */

#include "emulator/model.h"

const struct fault winc_faults[] = { { NULL, NULL } };

struct winc_model *
winc_model_new(struct world *world, struct fault_set *faults, const struct winc_config *config,
               const struct winc_net *net)
{
	(void)world;
	(void)faults;
	(void)config;
	(void)net;
	return NULL;
}

void
winc_model_free(struct winc_model *m)
{
	(void)m;
}

void
winc_model_pins(struct winc_model *m, bool reset_n, bool chip_en, bool cs_n)
{
	(void)m;
	(void)reset_n;
	(void)chip_en;
	(void)cs_n;
}

uint8_t
winc_model_exchange(struct winc_model *m, uint8_t mosi)
{
	(void)m;
	(void)mosi;
	return 0xFF;
}

bool
winc_model_irq_n(struct winc_model *m)
{
	(void)m;
	return true;
}

void
winc_model_advance(struct winc_model *m)
{
	(void)m;
}

uint64_t
winc_model_next(const struct winc_model *m, bool *waits_for_network)
{
	(void)m;
	*waits_for_network = false;
	return UINT64_MAX;
}
