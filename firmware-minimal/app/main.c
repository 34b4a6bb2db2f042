/* SPDX-License-Identifier: BSD-2-Clause */
/* Start of the program: hardware first, then what the last reset left behind. */
#include <string.h>

#include "app/app.h"
#include "app/der.h"
#include "app/log.h"
#include "board/board.h"
#include "board/samd21.h"
#include "hal/hal_int.h"
#include "hal/i2c.h"
#include "hal/nvm.h"
#include "hal/sensor.h"
#include "hal/spi.h"
#include "hal/time.h"
#include "hal/uart.h"
#include "provision/page.h"

/* One round of the longest code: a crash that comes again at once is seen, and not a storm. */
#define SHOW_CRASH_MS 10000

int main(void);

static void
hardware_start(void)
{
	time_init();
	cpu_interrupts_on();
	sensor_init();
	uart_init();
	watchdog_start();
	spi_init();
	i2c_init();
}

static const char *
reset_text(uint8_t cause)
{
	if ((cause & PM_RCAUSE_WDT) != 0) {
		return "watchdog";
	}
	if ((cause & PM_RCAUSE_SYST) != 0) {
		return "restart";
	}
	if ((cause & PM_RCAUSE_EXT) != 0) {
		return "button";
	}
	return (cause & PM_RCAUSE_POR) != 0 ? "power" : "brown-out";
}

/* A crash is told before anything else can go wrong. */
static void
tell_last_reset(void)
{
	struct fault_record fault;

	if (board_take_fault(&fault)) {
		log_line("crashed at %08lx, called from %08lx, stack %08lx, phase %lu",
		         (unsigned long)fault.pc, (unsigned long)fault.lr, (unsigned long)fault.sp,
		         (unsigned long)fault.phase);
		status_report(REPORT_HARD_FAULT, NULL);
		upkeep_for(SHOW_CRASH_MS);
	} else if ((board_reset_cause() & PM_RCAUSE_WDT) != 0) {
		log_line("the watchdog struck in phase %lu", (unsigned long)board_last_phase());
		status_report(REPORT_WATCHDOG, NULL);
		upkeep_for(SHOW_CRASH_MS);
	}
}

/* Settings that fit the chip; does not return without them. */
static void
become_provisioned(struct settings *settings)
{
	const char *why;
	uint8_t key[64];
	enum settings_state state = settings_read(nvm_at(PAGE_SETTINGS_ADDRESS), settings, &why);

	if (state == SETTINGS_DAMAGED) {
		status_report(REPORT_SETTINGS_DAMAGED, why);
	}
	chip_start(settings->consent, state == SETTINGS_COMPLETE);
	if (state != SETTINGS_COMPLETE) {
		chip_request();
	}
	if (!certificate_public_key(settings->certificate, settings->certificate_size, key) ||
	    memcmp(key, chip_public_key(), sizeof key) != 0) {
		status_report(REPORT_KEY_MISMATCH, NULL);
		chip_request();
	}
}

int
main(void)
{
	static struct settings settings;

	hardware_start();
	log_line("firmware-minimal %s, started by %s, clock from the %s", FIRMWARE_VERSION,
	         reset_text(board_reset_cause()), board_has_crystal() ? "crystal" : "open loop");
	status_start();
	tell_last_reset();
	become_provisioned(&settings);
	link_start(&settings);
	for (;;) {
		link_step();
		upkeep();
	}
}
