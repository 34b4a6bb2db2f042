/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulator/profile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "emulator/machine.h"

#define DEPTH 128
#define NOWHERE 0u /* function 0: what no symbol covers */

struct count {
	uint64_t calls, own, all, slept;
};

struct function {
	const char *name;
	uint32_t start;
	unsigned active; /* how often it is on the stack */
	struct count counts[MACHINE_PHASES];
};

/* A call that has not returned. */
struct frame {
	unsigned function;
	uint32_t sp, lr;
	uint64_t cycles, slept;
};

struct profile {
	struct function *functions;
	unsigned count;
	uint16_t *at; /* function of each halfword of the flash */
	struct frame frames[DEPTH];
	unsigned depth;
	struct profile_point last;
	bool begun;
};

static bool
add_functions(struct profile *p, const struct elf *elf)
{
	const char *name;
	uint32_t start, size;
	size_t all = 0;

	while (elf_function(elf, all, &name, &start, &size)) {
		all++;
	}
	p->functions = calloc(all + 1, sizeof p->functions[0]);
	p->at = calloc(SOC_FLASH_SIZE / 2, sizeof p->at[0]);
	if (p->functions == NULL || p->at == NULL || all == 0 || all >= UINT16_MAX) {
		return false;
	}
	p->functions[NOWHERE].name = "?";
	p->functions[NOWHERE].start = UINT32_MAX;
	for (p->count = 1; p->count <= all; p->count++) {
		struct function *f = &p->functions[p->count];

		elf_function(elf, p->count - 1, &f->name, &f->start, &size);
		for (uint32_t i = f->start; i < SOC_FLASH_SIZE && i - f->start < size; i += 2) {
			p->at[i / 2] = (uint16_t)p->count;
		}
	}
	return true;
}

struct profile *
profile_new(const struct elf *elf)
{
	struct profile *p = calloc(1, sizeof *p);

	if (p != NULL && !add_functions(p, elf)) {
		profile_free(p);
		return NULL;
	}
	return p;
}

void
profile_free(struct profile *p)
{
	if (p != NULL) {
		free(p->functions);
		free(p->at);
		free(p);
	}
}

/* Only the outermost of a function's calls counts with what it called. */
static void
pop(struct profile *p, const struct profile_point *now)
{
	const struct frame *f = &p->frames[--p->depth];
	struct function *function = &p->functions[f->function];

	if (--function->active == 0) {
		function->counts[p->last.phase].all += now->cycles - f->cycles;
		function->counts[p->last.phase].slept += now->slept - f->slept;
	}
}

/*
 * A return is seen by its place and stack pointer. What was left in another
 * way (an exception's return, a reset) has a stack pointer below ours.
 */
static void
returns(struct profile *p, const struct profile_point *now)
{
	while (p->depth > 0) {
		const struct frame *f = &p->frames[p->depth - 1];

		if (now->sp < f->sp || (now->sp == f->sp && now->pc != (f->lr & ~1u))) {
			return;
		}
		pop(p, now);
	}
}

static void
enters(struct profile *p, unsigned function, const struct profile_point *now)
{
	const struct frame *top = p->depth > 0 ? &p->frames[p->depth - 1] : NULL;

	p->functions[function].counts[now->phase].calls++;
	/* A helper that returns elsewhere than to lr, as the compiler's switches do, has ended. */
	if (top != NULL && top->sp == now->sp && (top->lr != now->lr || top->function == function)) {
		pop(p, now);
	}
	if (p->depth < DEPTH) {
		p->functions[function].active++;
		p->frames[p->depth++] = (struct frame){ function, now->sp, now->lr, now->cycles,
			                                now->slept };
	}
}

void
profile_step(struct profile *p, const struct profile_point *now)
{
	unsigned function = now->pc < SOC_FLASH_SIZE ? p->at[now->pc / 2] : NOWHERE;

	if (p->begun) {
		unsigned before = p->at[p->last.pc % SOC_FLASH_SIZE / 2];

		p->functions[before].counts[p->last.phase].own += now->cycles - p->last.cycles;
	}
	returns(p, now);
	if (now->pc == p->functions[function].start) {
		enters(p, function, now);
	}
	p->last = *now;
	p->begun = true;
}

struct line {
	const struct function *function;
	unsigned phase;
};

static int
by_cycles(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	uint64_t cx = x->function->counts[x->phase].own, cy = y->function->counts[y->phase].own;

	return cx < cy ? 1 : cx > cy ? -1 : 0;
}

static size_t
collect(const struct profile *p, struct line *out)
{
	size_t n = 0;

	for (unsigned i = 0; i < p->count; i++) {
		for (unsigned phase = 0; phase < MACHINE_PHASES; phase++) {
			const struct count *c = &p->functions[i].counts[phase];

			if (c->own != 0 || c->all != 0) {
				out[n++] = (struct line){ &p->functions[i], phase };
			}
		}
	}
	qsort(out, n, sizeof out[0], by_cycles);
	return n;
}

bool
profile_write(const struct profile *p, const char *path)
{
	struct line *lines = calloc((size_t)p->count * MACHINE_PHASES, sizeof lines[0]);
	FILE *f = lines != NULL ? fopen(path, "w") : NULL;
	size_t n;
	bool good;

	if (f == NULL) {
		free(lines);
		return false;
	}
	n = collect(p, lines);
	fprintf(f, "phase\tfunction\tcalls\town\twith-called\tslept\n");
	for (size_t i = 0; i < n; i++) {
		const struct count *c = &lines[i].function->counts[lines[i].phase];

		fprintf(f, "%u\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n",
		        lines[i].phase, lines[i].function->name, c->calls, c->own, c->all, c->slept);
	}
	good = ferror(f) == 0;
	free(lines);
	return fclose(f) == 0 && good;
}
