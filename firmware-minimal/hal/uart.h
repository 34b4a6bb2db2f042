/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: SERCOM5 on pins D13 (RX) and D14 (TX), 115200 8N1. Blocking, bounded. */
#ifndef HAL_UART_H
#define HAL_UART_H

#include <stddef.h>

void uart_init(void);
void uart_write(const char *text, size_t n);

#endif
