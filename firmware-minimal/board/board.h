/* SPDX-License-Identifier: BSD-2-Clause */
/* Start-up: what main() finds out about the reset that brought it here. */
#ifndef BOARD_BOARD_H
#define BOARD_BOARD_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What a HardFault leaves behind, in RAM that neither the start-up code nor
 * the bootloader writes. Valid when magic and check fit.
 */
struct fault_record {
	uint32_t magic, pc, lr, psr, sp, phase, check;
};

/* The record of the reset before this one; used up by the call. */
bool board_take_fault(struct fault_record *out);
/* PM.RCAUSE as it was at the start (samd21 3.15). */
uint8_t board_reset_cause(void);
/* The processor runs from the crystal; false: open loop, about 2 % off. */
bool board_has_crystal(void);
/*
 * A number that outlives a reset which the firmware brought upon itself: by a
 * fault, the watchdog or board_reset(). False after any other reset.
 */
void board_remember(uint32_t value);
bool board_recall(uint32_t *value);
void board_reset(void) __attribute__((noreturn));

/* The word below the stack is as it was left; false: it overflowed. */
bool board_stack_intact(void);

/* Sets processor and peripherals to 48 MHz; used by the reset handler. */
bool clock_start(void);
/* Connect generic clock 0 to a peripheral and open its bus clock. */
void clock_peripheral(uint32_t apbc_mask, unsigned gclk_id);

/*
 * Where the firmware is: 0 boot, 1 radio, 2 join, 3 resolve, 4 TCP, 5 TLS
 * handshake, 6 MQTT, 7 idle. Read by the emulator for its figures, and kept
 * over a reset to say where a watchdog struck.
 */
extern volatile uint32_t emulator_phase;
/* The phase at the reset before this one; 8 when unknown. */
uint32_t board_last_phase(void);

#endif
