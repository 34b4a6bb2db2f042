/* SPDX-License-Identifier: BSD-2-Clause */
/* The symbols of the firmware's ELF file, to show addresses as function+offset. */
#ifndef EMULATOR_ELF_H
#define EMULATOR_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf;
struct elf *elf_open(const char *path, char *why, size_t size);
void elf_free(struct elf *elf);
/* elf NULL, or nothing known there: false, and out has the bare number. */
bool elf_name(const struct elf *elf, uint32_t address, char *out, size_t size);
/* The value of a symbol. */
bool elf_find(const struct elf *elf, const char *name, uint32_t *value);

#endif
