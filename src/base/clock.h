/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one place where time is read, so that tests can drive it. Any thread.
 */
#ifndef GATEWAY_BASE_CLOCK_H
#define GATEWAY_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds of a clock that never goes back; its zero means nothing. */
uint64_t clock_ms(void);
/* Seconds since 1970-01-01 UTC. */
int64_t clock_wall(void);
/* For tests: fixed readings until clock_real(). Not thread safe. */
void clock_fake(uint64_t ms, int64_t wall);
void clock_real(void);

#define CLOCK_TEXT_SIZE 21
/* "2026-01-31T23:59:59Z" into text[CLOCK_TEXT_SIZE]; returns text. */
char *clock_text(int64_t wall, char *text);

#endif
