/* SPDX-License-Identifier: BSD-2-Clause */
/* Flash of the SAMD21 (samd21 3.10): read as memory, erased by rows, written by pages. */
#ifndef HAL_NVM_H
#define HAL_NVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NVM_PAGE 64
#define NVM_ROW 256

/* What is at that address; on the target the address itself, on a host the test's array. */
const void *nvm_at(uint32_t address);
/*
 * Erase the rows touched and write n bytes; address on a row boundary, 0x2000
 * or above and not inside the image. Reads back.
 */
bool nvm_write(uint32_t address, const void *data, size_t n);

#endif
