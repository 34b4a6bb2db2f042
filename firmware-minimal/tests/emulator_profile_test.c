/* SPDX-License-Identifier: BSD-2-Clause */
/* Cycles by function: calls, tail calls, interrupts, helpers that return elsewhere. */
#include <elf.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emulator/profile.h"
#include "unit/cmocka_all.h"

#define STACK 0x20007000u
#define MAIN 0x2000u
#define INNER 0x2100u
#define LEAF 0x2200u
#define HELPER 0x2300u

static const char strings[] = "\0main\0inner\0leaf\0helper";

/* A file with nothing but the symbols of four functions, of 0x100 bytes each. */
struct file {
	Elf32_Ehdr header;
	Elf32_Shdr sections[3];
	Elf32_Sym symbols[4];
	char strings[sizeof strings];
};

struct bed {
	char elf_name[40], out_name[40];
	struct elf *elf;
	struct profile *profile;
	uint64_t cycles;
};

static void
write_elf(const char *name)
{
	static const uint8_t names[] = { 1, 6, 12, 17 };
	struct file f = { .header = { .e_ident = ELFMAG, .e_machine = EM_ARM,
		                      .e_shoff = offsetof(struct file, sections), .e_shnum = 3 } };
	FILE *out = fopen(name, "wb");

	f.header.e_ident[EI_CLASS] = ELFCLASS32;
	f.sections[1] = (Elf32_Shdr){ .sh_type = SHT_SYMTAB, .sh_link = 2,
		                      .sh_offset = offsetof(struct file, symbols),
		                      .sh_size = sizeof f.symbols };
	f.sections[2] = (Elf32_Shdr){ .sh_type = SHT_STRTAB,
		                      .sh_offset = offsetof(struct file, strings),
		                      .sh_size = sizeof strings };
	for (unsigned i = 0; i < 4; i++) {
		f.symbols[i] = (Elf32_Sym){ .st_name = names[i], .st_value = (MAIN + 0x100 * i) | 1,
			                    .st_size = 0x100, .st_shndx = 1,
			                    .st_info = ELF32_ST_INFO(STB_GLOBAL, STT_FUNC) };
	}
	memcpy(f.strings, strings, sizeof strings);
	assert_non_null(out);
	assert_int_equal(fwrite(&f, 1, sizeof f, out), sizeof f);
	assert_int_equal(fclose(out), 0);
}

static void
bed_init(struct bed *b)
{
	char why[200];
	int file;

	*b = (struct bed){ .elf_name = "profile-elf-XXXXXX", .out_name = "profile-out-XXXXXX" };
	file = mkstemp(b->elf_name);
	assert_true(file >= 0 && close(file) == 0);
	file = mkstemp(b->out_name);
	assert_true(file >= 0 && close(file) == 0);
	write_elf(b->elf_name);
	b->elf = elf_open(b->elf_name, why, sizeof why);
	assert_non_null(b->elf);
	b->profile = profile_new(b->elf);
	assert_non_null(b->profile);
}

static void
bed_free(struct bed *b)
{
	profile_free(b->profile);
	elf_free(b->elf);
	unlink(b->elf_name);
	unlink(b->out_name);
}

/* The processor arrives at pc; what is there takes so many cycles. */
static void
step(struct bed *b, uint32_t pc, uint32_t sp, uint32_t lr, unsigned cycles)
{
	profile_step(b->profile, &(struct profile_point){ .pc = pc, .sp = sp, .lr = lr, .phase = 5,
		                                          .cycles = b->cycles,
		                                          .slept = b->cycles / 2 });
	b->cycles += cycles;
}

static void
expect(struct bed *b, const char *line)
{
	char text[1000] = "";
	FILE *f;

	assert_true(profile_write(b->profile, b->out_name));
	f = fopen(b->out_name, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	if (strstr(text, line) == NULL) {
		fail_msg("no line %s in\n%s", line, text);
	}
}

static void
counts_a_call_with_what_it_calls(void **state)
{
	struct bed b;

	(void)state;
	bed_init(&b);
	step(&b, MAIN + 2, STACK, 0, 10);
	step(&b, INNER, STACK, MAIN + 5, 20);          /* main calls inner */
	step(&b, LEAF, STACK - 8, INNER + 7, 100);     /* which calls leaf */
	step(&b, INNER + 6, STACK - 8, INNER + 7, 30);
	step(&b, MAIN + 4, STACK, MAIN + 5, 0);
	expect(&b, "phase\tfunction\tcalls\town\twith-called\tslept\n5\tleaf\t1\t100\t100\t50\n");
	expect(&b, "5\tinner\t1\t50\t150\t75\n");
	expect(&b, "5\tmain\t0\t10\t0\t0\n");
	bed_free(&b);
}

static void
a_tail_call_ends_both(void **state)
{
	struct bed b;

	(void)state;
	bed_init(&b);
	step(&b, INNER, STACK, MAIN + 5, 10);
	step(&b, LEAF, STACK, MAIN + 5, 10);
	step(&b, MAIN + 4, STACK, MAIN + 5, 0);
	expect(&b, "5\tinner\t1\t10\t20\t10\n");
	expect(&b, "5\tleaf\t1\t10\t10\t5\n");
	bed_free(&b);
}

static void
recursion_counts_once(void **state)
{
	struct bed b;

	(void)state;
	bed_init(&b);
	step(&b, INNER, STACK, MAIN + 5, 10);
	step(&b, INNER, STACK - 8, INNER + 7, 10);
	step(&b, INNER + 6, STACK - 8, INNER + 7, 10);
	step(&b, MAIN + 4, STACK, MAIN + 5, 0);
	expect(&b, "5\tinner\t2\t30\t30\t15\n");
	bed_free(&b);
}

/* In the middle of a function, and before its first instruction, which is then seen twice. */
static void
an_interrupt_returns_to_where_it_was(void **state)
{
	struct bed b;

	(void)state;
	bed_init(&b);
	step(&b, INNER, STACK, MAIN + 5, 0);
	step(&b, LEAF, STACK - 32, 0xFFFFFFF9, 10);
	step(&b, INNER, STACK, MAIN + 5, 10);
	step(&b, LEAF, STACK - 40, 0xFFFFFFF9, 10);
	step(&b, INNER + 2, STACK - 8, MAIN + 5, 10);
	step(&b, MAIN + 4, STACK, MAIN + 5, 0);
	expect(&b, "5\tleaf\t2\t20\t20\t10\n");
	expect(&b, "5\tinner\t2\t20\t40\t20\n");
	bed_free(&b);
}

/* A switch's helper returns behind its table: far more often than there is room for calls. */
static void
a_helper_that_returns_elsewhere_is_no_leak(void **state)
{
	struct bed b;

	(void)state;
	bed_init(&b);
	step(&b, INNER, STACK, MAIN + 5, 10);
	for (unsigned i = 0; i < 1000; i++) {
		step(&b, HELPER, STACK - 8, INNER + 7, 1);
		step(&b, INNER + 0x20, STACK - 8, INNER + 7, 1);
	}
	step(&b, LEAF, STACK - 8, INNER + 9, 500);
	step(&b, INNER + 8, STACK - 8, INNER + 9, 10);
	step(&b, MAIN + 4, STACK, MAIN + 5, 0);
	expect(&b, "5\tleaf\t1\t500\t500\t250\n");
	expect(&b, "5\tinner\t1\t1020\t2520\t1260\n");
	bed_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_a_call_with_what_it_calls),
		cmocka_unit_test(a_tail_call_ends_both),
		cmocka_unit_test(recursion_counts_once),
		cmocka_unit_test(an_interrupt_returns_to_where_it_was),
		cmocka_unit_test(a_helper_that_returns_elsewhere_is_no_leak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
