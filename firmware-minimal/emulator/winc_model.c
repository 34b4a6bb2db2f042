/* SPDX-License-Identifier: BSD-2-Clause */
/* The WINC1500 at its pins: power, reset, chip select, interrupt; and its clock. */
#include "emulator/winc_int.h"

#include <stdlib.h>
#include <string.h>

static const struct winc_profile profiles[] = {
	{ "19.4.4", 0x13301344, 16, false, true },
	{ "19.5.2", 0x13301352, 20, false, true },
	{ "19.5.4", 0x13301354, 20, false, false },
	{ "19.6.1", 0x13301361, 20, true, false },
};

struct winc_model *
winc_model_new(struct world *world, struct fault_set *faults, const struct winc_config *config,
               const struct winc_net *net)
{
	struct winc_model *m = calloc(1, sizeof *m);

	if (m == NULL) {
		return NULL;
	}
	m->world = world;
	m->faults = faults;
	m->config = *config;
	m->net = net;
	m->profile = &profiles[sizeof profiles / sizeof profiles[0] - 1];
	for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
		if (config->firmware != NULL && strcmp(config->firmware, profiles[i].name) == 0) {
			m->profile = &profiles[i];
		}
	}
	m->cs_n = true;
	winc_model_reset(m);
	return m;
}

void
winc_model_free(struct winc_model *m)
{
	if (m != NULL) {
		winc_ip_reset(m);
		free(m);
	}
}

void
winc_model_reset(struct winc_model *m)
{
	winc_ip_reset(m);
	winc_engine_reset(m);
	winc_registers_reset(m);
	winc_host_reset(m);
	winc_radio_reset(m);
}

void
winc_model_pins(struct winc_model *m, bool reset_n, bool chip_en, bool cs_n)
{
	bool powered = reset_n && chip_en;
	bool changed = powered != m->powered || chip_en != m->chip_en;

	m->reset_n = reset_n;
	m->chip_en = chip_en;
	m->cs_n = cs_n;
	m->powered = powered;
	if (changed) {
		winc_model_reset(m);
		world_note(m->world, "winc: %s", powered ? "out of reset" : "in reset");
	}
}

uint8_t
winc_model_exchange(struct winc_model *m, uint8_t mosi)
{
	uint8_t miso;

	if (m->cs_n || !m->powered) {
		return 0xFF; /* nobody drives the line */
	}
	miso = winc_registers_alive(m) ? winc_engine_exchange(m, mosi) : 0;
	if (fault_hits(m->faults, "winc.miso-zero")) {
		miso = 0;
	} else if (fault_hits(m->faults, "winc.miso-ones")) {
		miso = 0xFF;
	}
	return miso;
}

bool
winc_model_irq_n(struct winc_model *m)
{
	bool enabled = (m->registers.pin_mux & 0x100) != 0 &&
	               (m->registers.intr_enable & 0x10000) != 0;
	bool wants = (m->host.rx == RX_PENDING && !m->host.irq_lost) || m->host.irq_spurious;

	return !(m->powered && enabled && wants);
}

void
winc_model_advance(struct winc_model *m)
{
	if (!m->powered) {
		return;
	}
	winc_radio_advance(m);
	winc_ip_advance(m);
	winc_host_advance(m);
}

uint64_t
winc_model_next(const struct winc_model *m, bool *waits_for_network)
{
	uint64_t next = WINC_NEVER, other;

	*waits_for_network = false;
	if (!m->powered || !m->registers.running || m->host.hang != HANG_NO) {
		return WINC_NEVER;
	}
	*waits_for_network = winc_ip_waits(m);
	next = winc_host_next(m);
	other = winc_radio_next(m);
	next = other < next ? other : next;
	other = winc_ip_next(m);
	return other < next ? other : next;
}
