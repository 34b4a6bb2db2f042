/* SPDX-License-Identifier: BSD-2-Clause */
/* How long to wait after the n-th failure in a row. */
#ifndef APP_BACKOFF_H
#define APP_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST_MS 2000u
#define BACKOFF_MOST_MS 300000u

/* failures: 1 for the first. Between half and all of 2 s, 4 s, ... 5 min. */
uint32_t backoff_ms(unsigned failures, uint32_t random);

#endif
