/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of mkr1000-emulator. */
#ifndef EMULATOR_OPTIONS_H
#define EMULATOR_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_LIST 256

/* Exit statuses; with several boards the highest one counts. */
enum {
	EXIT_DONE = 0,
	EXIT_USAGE = 2,
	EXIT_VIOLATION = 3, /* the firmware did what the data sheet forbids */
	EXIT_LOADER = 4,    /* the board stays in its boot loader */
	EXIT_UNTIL = 5,     /* ended before the log said what --until waits for */
	EXIT_SYSTEM = 6,    /* the host failed: memory, files */
};

struct options {
	const char *image, *flash, *elf, *chip, *dir, *name;
	unsigned instances;
	const char *faults[OPTIONS_LIST], *resolves[OPTIONS_LIST], *maps[OPTIONS_LIST];
	unsigned fault_count, resolve_count, map_count;
	double seconds;       /* of emulated time; 0: no end */
	double speed;         /* 0: as fast as it can */
	const char *until, *profile;
	uint64_t seed;
	const char *ssid, *passphrase, *wifi_firmware;
	uint32_t time;        /* 0: never told */
	bool sensor;
	int16_t centi;
	bool trace, led_log, phase_log, chip_locked, chip_608, watchdog_allowed, fault_allowed;
	uint32_t stack_limit;
	char set_name[64];    /* a symbol of --elf; "": none */
	uint32_t set_value, set_at_ms;
};

/* -1: go on; else the exit status. */
int options_parse(struct options *out, int argc, char **argv);

#endif
