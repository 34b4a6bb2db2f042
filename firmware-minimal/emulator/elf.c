/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulator/elf.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (64u << 20)

struct elf {
	uint8_t *file;
	size_t size;
	const Elf32_Sym *symbols;
	size_t count;
	const char *strings;
	size_t strings_size;
};

static uint8_t *
read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	long end;

	if (f == NULL) {
		return NULL;
	}
	if (fseek(f, 0, SEEK_END) == 0 && (end = ftell(f)) > 0 && (size_t)end <= FILE_MAX &&
	    fseek(f, 0, SEEK_SET) == 0 && (data = malloc((size_t)end)) != NULL) {
		*size = fread(data, 1, (size_t)end, f);
		if (*size != (size_t)end) {
			free(data);
			data = NULL;
		}
	}
	fclose(f);
	return data;
}

static bool
inside(const struct elf *elf, const Elf32_Shdr *s)
{
	return s->sh_offset <= elf->size && s->sh_size <= elf->size - s->sh_offset &&
	       s->sh_offset % 4 == 0;
}

static bool
find_tables(struct elf *elf)
{
	const void *base = elf->file;
	const Elf32_Ehdr *h = base;
	const Elf32_Shdr *s;

	if (elf->size < sizeof *h || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 ||
	    h->e_ident[EI_CLASS] != ELFCLASS32 || h->e_machine != EM_ARM || h->e_shoff % 4 != 0 ||
	    h->e_shoff > elf->size || (elf->size - h->e_shoff) / sizeof *s < h->e_shnum) {
		return false;
	}
	base = elf->file + h->e_shoff;
	s = base;
	for (unsigned i = 0; i < h->e_shnum; i++) {
		if (s[i].sh_type != SHT_SYMTAB || s[i].sh_link >= h->e_shnum || !inside(elf, &s[i])) {
			continue;
		}
		base = elf->file + s[i].sh_offset;
		elf->symbols = base;
		elf->count = s[i].sh_size / sizeof(Elf32_Sym);
		if (s[s[i].sh_link].sh_offset > elf->size ||
		    s[s[i].sh_link].sh_size > elf->size - s[s[i].sh_link].sh_offset) {
			return false;
		}
		elf->strings = (const char *)elf->file + s[s[i].sh_link].sh_offset;
		elf->strings_size = s[s[i].sh_link].sh_size;
		return elf->strings_size > 0 && elf->strings[elf->strings_size - 1] == '\0';
	}
	return false;
}

struct elf *
elf_open(const char *path, char *why, size_t size)
{
	struct elf *elf = calloc(1, sizeof *elf);

	if (elf == NULL || (elf->file = read_file(path, &elf->size)) == NULL) {
		snprintf(why, size, "%s: %s", path, strerror(errno));
		elf_free(elf);
		return NULL;
	}
	if (!find_tables(elf)) {
		snprintf(why, size, "%s: not an ARM ELF file with symbols", path);
		elf_free(elf);
		return NULL;
	}
	return elf;
}

void
elf_free(struct elf *elf)
{
	if (elf != NULL) {
		free(elf->file);
		free(elf);
	}
}

static const char *
name_of(const struct elf *elf, const Elf32_Sym *s)
{
	return s->st_name < elf->strings_size ? elf->strings + s->st_name : "";
}

bool
elf_name(const struct elf *elf, uint32_t address, char *out, size_t size)
{
	const Elf32_Sym *best = NULL;

	snprintf(out, size, "0x%08X", address);
	for (size_t i = 0; elf != NULL && i < elf->count; i++) {
		const Elf32_Sym *s = &elf->symbols[i];
		uint32_t start = s->st_value & ~1u;

		if (ELF32_ST_TYPE(s->st_info) == STT_FUNC && address >= start &&
		    (address - start < s->st_size || (s->st_size == 0 && address == start)) &&
		    (best == NULL || s->st_value > best->st_value)) {
			best = s;
		}
	}
	if (best == NULL) {
		return false;
	}
	snprintf(out, size, "%s+0x%X", name_of(elf, best), address - (best->st_value & ~1u));
	return true;
}

bool
elf_find(const struct elf *elf, const char *name, uint32_t *value)
{
	for (size_t i = 0; elf != NULL && i < elf->count; i++) {
		if (strcmp(name_of(elf, &elf->symbols[i]), name) == 0 &&
		    elf->symbols[i].st_shndx != SHN_UNDEF) {
			*value = elf->symbols[i].st_value;
			return true;
		}
	}
	return false;
}
