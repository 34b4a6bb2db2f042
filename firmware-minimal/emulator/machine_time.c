/* SPDX-License-Identifier: BSD-2-Clause */
/* The time: cycles and nanoseconds, what is due at an instruction, and sleep. */
#include "emulator/machine_int.h"

#define NS_PER_S UINT64_C(1000000000)
#define PACE_NS 1000000

void
machine_clock(struct machine *m)
{
	uint64_t cycles = *m->cycles - m->base_cycles;

	m->world->now_ns = m->base_ns + cycles * NS_PER_S / m->hertz;
}

void
machine_rebase(struct machine *m)
{
	machine_clock(m);
	m->base_ns = m->world->now_ns;
	m->base_cycles = *m->cycles;
	m->hertz = soc_hertz(m->soc);
}

static uint64_t
cycle_of(const struct machine *m, uint64_t ns)
{
	uint64_t span;

	if (ns <= m->base_ns) {
		return *m->cycles;
	}
	span = ns - m->base_ns;
	if (span > 100 * NS_PER_S) {
		span = 100 * NS_PER_S; /* look again then */
	}
	return m->base_cycles + (span * m->hertz + NS_PER_S - 1) / NS_PER_S;
}

void
machine_stall(struct machine *m, uint64_t ns)
{
	*m->cycles += ns * m->hertz / NS_PER_S;
}

static uint64_t
smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Cycle of the next thing that the machine has to look at. */
static uint64_t
next_event(struct machine *m, bool *waits_for_network)
{
	uint64_t ns = soc_next_ns(m->soc, waits_for_network);

	ns = smaller(ns, m->next_pace);
	ns = smaller(ns, m->config.until_ns);
	return smaller(cycle_of(m, ns), soc_next_cycle(m->soc));
}

bool
machine_service(struct machine *m, uint32_t pc)
{
	enum soc_reset cause;
	unsigned number;
	bool waits;

	machine_rebase(m);
	soc_advance(m->soc);
	machine_stall(m, soc_take_stall(m->soc));
	cause = soc_take_reset(m->soc);
	if (cause != SOC_RUNNING) {
		machine_reset(m, cause);
		return true;
	}
	if (m->world->now_ns >= m->config.until_ns) {
		machine_stop(m, MACHINE_TIME);
		return true;
	}
	m->event = next_event(m, &waits);
	if (m->world->now_ns >= m->next_pace) {
		m->next_pace = m->world->now_ns + PACE_NS;
		if (m->config.pace != NULL) {
			m->config.pace(m->config.owner, m->world->now_ns, waits);
		}
		m->event = next_event(m, &waits);
	}
	if (machine_inject(m, pc)) {
		return true;
	}
	number = soc_exception(m->soc, machine_priority(m), m->primask);
	if (number != 0) {
		machine_enter(m, number, pc);
		return true;
	}
	return m->end != MACHINE_RUNNING;
}

void
machine_wait(struct machine *m, uint32_t pc)
{
	uint64_t began = *m->cycles;
	unsigned number;

	if (soc_sleep_deep(m->soc)) {
		world_violation(m->world, "WFI with SCR.SLEEPDEEP: standby is not for a network client");
		return;
	}
	while (m->end == MACHINE_RUNNING && !soc_wakes(m->soc)) {
		bool waits;
		uint64_t event = next_event(m, &waits);
		enum soc_reset cause;

		if (event > *m->cycles) {
			*m->cycles = event;
		}
		machine_rebase(m);
		soc_advance(m->soc);
		cause = soc_take_reset(m->soc);
		if (cause != SOC_RUNNING) {
			machine_reset(m, cause);
			return;
		}
		if (m->world->now_ns >= m->config.until_ns) {
			machine_stop(m, MACHINE_TIME);
		} else if (m->world->now_ns >= m->next_pace) {
			m->next_pace = m->world->now_ns + PACE_NS;
			if (m->config.pace != NULL) {
				m->config.pace(m->config.owner, m->world->now_ns, waits);
			}
		}
	}
	m->figures.slept += *m->cycles - began;
	m->event = 0;
	number = soc_exception(m->soc, machine_priority(m), m->primask);
	if (number != 0 && m->end == MACHINE_RUNNING) {
		machine_enter(m, number, pc + 2);
	} else {
		machine_jump(m, pc + 2);
	}
}
