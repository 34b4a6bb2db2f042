/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SAMD21G18A of the board without its processor core: peripherals, clocks,
 * flash, and the wires to the chips around it. Plain C without Unicorn, so
 * that unit tests drive registers directly. Time moves only when the owner
 * moves world->now_ns and soc_cycles() and then calls soc_advance().
 */
#ifndef EMULATOR_SOC_H
#define EMULATOR_SOC_H

#include <stdbool.h>
#include <stdint.h>

#include "emulator/model.h"

#define SOC_FLASH_SIZE 0x40000u
#define SOC_IMAGE_BASE 0x2000u
#define SOC_RAM_BASE 0x20000000u
#define SOC_RAM_SIZE 0x8000u
#define SOC_DOUBLE_TAP 0x20007FFCu
#define SOC_NEVER UINT64_MAX

/* Values of PM.RCAUSE. */
enum soc_reset {
	SOC_RUNNING = 0,
	SOC_POWER_ON = 0x01,
	SOC_PIN = 0x10,
	SOC_WATCHDOG = 0x20,
	SOC_SYSTEM = 0x40,
};

struct soc_config {
	struct world *world;
	struct fault_set *faults;
	uint8_t *flash;               /* SOC_FLASH_SIZE bytes, of the caller */
	/* A row or page of the flash has changed (for the processor's copy). May be NULL. */
	void (*flash_changed)(void *owner, uint32_t address, uint32_t size);
	struct winc_model *winc;      /* NULL: not fitted */
	struct atecc_model *atecc;
	struct ds18b20_model *sensor;
	void (*serial)(void *owner, uint8_t byte); /* what the console's TX line says */
	void (*led)(void *owner, bool on);
	void *owner;
	int16_t die_centi;            /* temperature of the chip */
	uint32_t serial_number[4];
};

struct soc *soc_new(const struct soc_config *config);
void soc_free(struct soc *soc);
/* Everything but what survives that kind of reset (samd21 2.1, 3.12). */
void soc_reset(struct soc *soc, enum soc_reset cause);

/* bytes: 1, 2 or 4, naturally aligned. Flash and RAM are not here: only what soc_has() says. */
bool soc_has(uint32_t address);
uint32_t soc_read(struct soc *soc, uint32_t address, unsigned bytes);
void soc_write(struct soc *soc, uint32_t address, unsigned bytes, uint32_t value);
/* A store of the processor to the flash: fills the page buffer. */
void soc_store_flash(struct soc *soc, uint32_t address, unsigned bytes, uint32_t value);

/* Of the processor since power-on; the owner counts them up. */
uint64_t *soc_cycles(struct soc *soc);
uint32_t soc_hertz(const struct soc *soc);
/* Time has passed: run everything that was due. */
void soc_advance(struct soc *soc);
/* When something is due next, as world time and as processor cycle. */
uint64_t soc_next_ns(const struct soc *soc, bool *waits_for_network);
uint64_t soc_next_cycle(const struct soc *soc);
/* The processor stands still for so long (flash command, bus wait); cleared by asking. */
uint64_t soc_take_stall(struct soc *soc);
/* What to reset for, once; SOC_RUNNING: nothing. */
enum soc_reset soc_take_reset(struct soc *soc);

/* ---- exceptions ---- */

#define SOC_PRIORITY_THREAD 256
/*
 * The number of the exception to take now, 0 none: pending, enabled, and of a
 * lower priority value than current. masked: PRIMASK.
 */
unsigned soc_exception(const struct soc *soc, int current, bool masked);
int soc_priority(const struct soc *soc, unsigned exception);
void soc_exception_entered(struct soc *soc, unsigned exception);
void soc_exception_left(struct soc *soc, unsigned exception);
/* Would WFI go on? */
bool soc_wakes(const struct soc *soc);
bool soc_sleep_deep(const struct soc *soc);
uint32_t soc_vector_table(const struct soc *soc);

/* A byte arrives on the console's RX line. */
void soc_serial_input(struct soc *soc, uint8_t byte);

#endif
