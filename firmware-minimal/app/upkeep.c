/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/app.h"

#include "app/log.h"
#include "board/board.h"
#include "board/samd21.h"
#include "hal/time.h"

void
upkeep(void)
{
	watchdog_feed();
	status_show();
	if (!board_stack_intact()) {
		log_line("the stack overflowed");
		__builtin_trap(); /* recorded as a crash, here */
	}
	cpu_sleep();
}

void
upkeep_for(uint32_t ms)
{
	struct deadline d = deadline_in(ms);

	while (!deadline_over(&d)) {
		upkeep();
	}
}
