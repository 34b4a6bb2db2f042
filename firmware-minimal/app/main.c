/* SPDX-License-Identifier: BSD-2-Clause */
/* Start of the program: hardware first, then what the last reset left behind. */
#include "app/log.h"
#include "board/board.h"
#include "board/samd21.h"
#include "hal/hal_int.h"
#include "hal/i2c.h"
#include "hal/sensor.h"
#include "hal/spi.h"
#include "hal/time.h"
#include "hal/uart.h"

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

int
main(void)
{
	hardware_start();
	log_line("firmware-minimal %s, started by %s, clock from the %s", FIRMWARE_VERSION,
	         reset_text(board_reset_cause()), board_has_crystal() ? "crystal" : "open loop");
	for (;;) {
		watchdog_feed();
		cpu_sleep();
	}
}
