/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time since reset, waiting, and the watchdog. SysTick counts milliseconds;
 * nothing here needs an interrupt for correctness but the millisecond count.
 */
#ifndef HAL_TIME_H
#define HAL_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds since reset; wraps after 49 days, so compare differences only. */
uint32_t time_ms(void);
/* Busy wait, at least so long. Feeds nothing: keep below the watchdog's period. */
void time_wait_us(uint32_t us);
/* As time_wait_us(), sleeping between ticks and feeding the watchdog. */
void time_wait_ms(uint32_t ms);

/* A wait that ends: every loop of this firmware that waits has one. */
struct deadline {
	uint32_t start, span;
};
static inline struct deadline
deadline_in(uint32_t ms)
{
	return (struct deadline){ time_ms(), ms };
}
static inline bool
deadline_over(const struct deadline *d)
{
	return time_ms() - d->start >= d->span;
}

/* About 16 s (samd21 3.11); once started it cannot be stopped. */
void watchdog_start(void);
void watchdog_feed(void);

#endif
