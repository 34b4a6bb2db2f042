/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the running application share: on the target only. */
#ifndef APP_APP_H
#define APP_APP_H

#include <stdbool.h>
#include <stdint.h>

#include "app/report.h"
#include "app/settings.h"
#include "drivers/atecc.h"

/* ---- status.c: log, LED, report page ---- */

void status_start(void);
/* Log it, blink it, and put it into the report page. */
void status_report(enum report code, const char *detail);
enum report status_current(void);
/* What the LED shows when nothing is wrong. */
void status_led(bool on);
/* Drives the LED; often. */
void status_show(void);
/* The facts for the report page; status_save() writes what changed. */
struct report_facts *status_facts(void);
void status_save(void);

/* ---- upkeep.c: what every pass of every loop does ---- */

/* Watchdog, LED, stack guard, and sleep until the next interrupt. */
void upkeep(void);
/* upkeep() for that long. */
void upkeep_for(uint32_t ms);

/* ---- chip.c: the ATECC at the start ---- */

/*
 * Until the chip answers, is locked and has a key, and the report page has a
 * request for it; commissions it with the owner's consent. Does not return
 * while the chip is not usable.
 */
void chip_start(bool consent, bool provisioned);
/* Say that settings are missing, print the certificate request, and wait. */
void chip_request(void) __attribute__((noreturn));
const uint8_t *chip_public_key(void);
/* 18 hex digits. */
const char *chip_serial(void);
/* Of the chip, kept in stock; weak but different on each board when it fails. */
uint32_t chip_random(void);

/* ---- reading.c ---- */

/* Starts and finishes conversions; true when a new reading is there. */
bool reading_step(uint32_t interval_ms);
/* False: no sensor gave a value. */
bool reading_value(int16_t *centi);

/* ---- link.c, link_*.c: WiFi, TLS and MQTT, for ever ---- */

void link_start(const struct settings *settings);
void link_step(void);
/* Nothing is to be done soon, unless the WiFi module says so. */
bool link_quiet(void);

#endif
