/* SPDX-License-Identifier: BSD-2-Clause */
/* What only the start of the program and hal/ itself call. */
#ifndef HAL_HAL_INT_H
#define HAL_HAL_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "board/samd21.h"

/* Before everything else of hal/. */
void time_init(void);
void sensor_init(void);

/* A pin of that group to function D. */
void pin_function_d(struct port_group *group, unsigned pin, uint8_t pincfg);
/* Until those bits are clear; bounded. */
bool sercom_wait_sync(const struct sercom *s, uint32_t bits);
/* All registers to their reset state. */
bool sercom_reset(struct sercom *s);

#endif
