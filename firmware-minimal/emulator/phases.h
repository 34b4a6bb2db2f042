/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firmware tells the emulator what it is doing, for the cycles per phase:
 *
 *	volatile uint32_t emulator_phase; (a global of the firmware)
 *	emulator_phase = PHASE_TLS;
 *
 * On the board this is one harmless store to RAM. The emulator finds the
 * symbol in the file given with --elf, and needs nothing else of it.
 */
#ifndef EMULATOR_PHASES_H
#define EMULATOR_PHASES_H

enum phase {
	PHASE_BOOT = 0,
	PHASE_RADIO = 1,
	PHASE_JOIN = 2,
	PHASE_RESOLVE = 3,
	PHASE_TCP = 4,
	PHASE_TLS = 5,
	PHASE_MQTT = 6,
	PHASE_IDLE = 7,
};

#endif
