/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fill a register with devices, and time the look-ups of a handshake.
 *
 *     bench/register STATE-FOLDER COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "register/reg.h"

#define BATCH 5000
#define LOOKUPS 100000

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
fail(const char *what, int code, const struct reg *reg)
{
	fprintf(stderr, "register: %s: %s\n", what,
	        code == ERR_DATABASE && reg != NULL ? reg_error(reg) : err_text(code));
	return 1;
}

static int
add(struct reg *reg, unsigned i)
{
	struct reg_device device = { .state = REG_ENROLLED, .not_before = 1700000000,
		.not_after = 2300000000 };
	bool renewed;
	int r;

	snprintf(device.name, sizeof device.name, "device%06u", i);
	snprintf(device.fingerprint, sizeof device.fingerprint, "%056x%08x", 0, i);
	snprintf(device.certificate_hash, sizeof device.certificate_hash, "%056x%08x", 1, i);
	snprintf(device.serial, sizeof device.serial, "%032X", i);
	snprintf(device.group, sizeof device.group, "group%u", i % 10);
	r = reg_enrol(reg, &device, false, &renewed);
	return r == 0 ? reg_set_label(reg, span_str(device.name), "floor", "2") : r;
}

static int
fill(struct reg *reg, unsigned count)
{
	int r = 0;

	for (unsigned i = 0; i < count && r == 0; i += BATCH) {
		r = reg_begin(reg);
		for (unsigned j = i; j < i + BATCH && j < count && r == 0; j++) {
			r = add(reg, j);
		}
		r = r == 0 ? reg_commit(reg) : r;
	}
	return r;
}

static int
look_up(struct reg *reg, unsigned count, bool by_key)
{
	struct reg_device device;
	char text[128];
	unsigned x = 1;
	int r = 0;

	for (unsigned i = 0; i < LOOKUPS && r == 0; i++) {
		x = x * 1664525u + 1013904223u;
		if (by_key) {
			snprintf(text, sizeof text, "%056x%08x", 0, (x >> 8) % count);
			r = reg_find_fingerprint(reg, text, &device);
		} else {
			snprintf(text, sizeof text, "device%06u", (x >> 8) % count);
			r = reg_find(reg, span_str(text), &device);
		}
	}
	return r;
}

int
main(int argc, char **argv)
{
	unsigned count = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	char why[REG_WHY_SIZE], file[4096];
	struct reg *reg;
	double start;
	int r;

	if (count == 0) {
		fputs("usage: register STATE-FOLDER COUNT\n", stderr);
		return 2;
	}
	snprintf(file, sizeof file, "%s/register.db", argv[1]);
	r = reg_open(file, REG_CREATE, &reg, why);
	if (r < 0) {
		fprintf(stderr, "register: %s\n", why);
		return 1;
	}
	start = now();
	r = reg_actor(reg, 0, "bench");
	r = r == 0 ? fill(reg, count) : r;
	printf("enrol         %8.1f us each\n", (now() - start) * 1e6 / count);
	for (int by_key = 0; by_key < 2 && r == 0; by_key++) {
		start = now();
		r = look_up(reg, count, by_key);
		printf("%s %8.1f us each\n", by_key ? "find by key  " : "find by name ",
		       (now() - start) * 1e6 / LOOKUPS);
	}
	if (r < 0) {
		return fail("failed", r, reg);
	}
	reg_close(reg);
	return 0;
}
