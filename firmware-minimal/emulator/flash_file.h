/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The board's flash in a file of 256 KiB, mapped shared: whatever ends the
 * process, the file holds what a power cut at that moment would leave.
 */
#ifndef EMULATOR_FLASH_FILE_H
#define EMULATOR_FLASH_FILE_H

#include <stddef.h>
#include <stdint.h>

/* From here on a new image leaves the flash alone, as bossac does without -e. */
#define FLASH_SETTINGS 0x3E000u

/*
 * path NULL: only in memory. The file is made when it does not exist. image
 * NULL: the application stays as it is. NULL on failure, with a sentence.
 */
uint8_t *flash_file_open(const char *path, const char *image, char *why, size_t size);
void flash_file_close(uint8_t *flash);

#endif
