/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulator/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "emulator/emulator.h"

enum option_id {
	O_IMAGE = 256, O_FLASH, O_ELF, O_CHIP, O_CHIP_UNLOCKED, O_CHIP_608, O_INSTANCES, O_DIR, O_NAME,
	O_SPEED, O_FOR, O_UNTIL, O_SEED, O_SSID, O_PASS, O_WIFI_FIRMWARE, O_TIME, O_TEMPERATURE,
	O_RESOLVE, O_MAP, O_FAULT, O_TRACE, O_LED_LOG, O_PHASE_LOG, O_PROFILE,
	O_STACK_LIMIT, O_WATCHDOG, O_HARD_FAULT, O_SET, O_HELP,
};

static const struct option table[] = {
	{ "image", required_argument, NULL, O_IMAGE },
	{ "flash", required_argument, NULL, O_FLASH },
	{ "elf", required_argument, NULL, O_ELF },
	{ "chip", required_argument, NULL, O_CHIP },
	{ "chip-unlocked", no_argument, NULL, O_CHIP_UNLOCKED },
	{ "chip-608", no_argument, NULL, O_CHIP_608 },
	{ "instances", required_argument, NULL, O_INSTANCES },
	{ "dir", required_argument, NULL, O_DIR },
	{ "name", required_argument, NULL, O_NAME },
	{ "speed", required_argument, NULL, O_SPEED },
	{ "for", required_argument, NULL, O_FOR },
	{ "until", required_argument, NULL, O_UNTIL },
	{ "seed", required_argument, NULL, O_SEED },
	{ "wifi-ssid", required_argument, NULL, O_SSID },
	{ "wifi-pass", required_argument, NULL, O_PASS },
	{ "wifi-firmware", required_argument, NULL, O_WIFI_FIRMWARE },
	{ "time", required_argument, NULL, O_TIME },
	{ "temperature", required_argument, NULL, O_TEMPERATURE },
	{ "resolve", required_argument, NULL, O_RESOLVE },
	{ "map", required_argument, NULL, O_MAP },
	{ "fault", required_argument, NULL, O_FAULT },
	{ "trace", no_argument, NULL, O_TRACE },
	{ "led-log", no_argument, NULL, O_LED_LOG },
	{ "phase-log", no_argument, NULL, O_PHASE_LOG },
	{ "profile", required_argument, NULL, O_PROFILE },
	{ "stack-limit", required_argument, NULL, O_STACK_LIMIT },
	{ "allow-watchdog", no_argument, NULL, O_WATCHDOG },
	{ "allow-fault", no_argument, NULL, O_HARD_FAULT },
	{ "set", required_argument, NULL, O_SET },
	{ "help", no_argument, NULL, O_HELP },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
"usage: mkr1000-emulator --image FIRMWARE.bin [options]\n"
"\n"
"Runs the unmodified image of an Arduino MKR1000 board, strictly.\n"
"\n"
"  --image FILE          the application (0x2000); rows from 0x3E000 on stay\n"
"  --flash FILE          the whole flash, kept over runs; made when missing\n"
"  --elf FILE            shows addresses as function+offset, finds emulator_phase\n"
"  --chip FILE           the ATECC's memory, kept over runs\n"
"  --chip-unlocked       a new chip is as from the factory (default: TLS preset)\n"
"  --chip-608            an ATECC608 instead of a 508A\n"
"  --instances N         N boards; files in --dir DIR as NAME-1.flash, NAME-1.atecc ...\n"
"  --dir DIR, --name NAME  (defaults: the current folder, mkr1000)\n"
"  --speed real|fast|N   fast: waits only for the real network; N times real\n"
"  --for SECONDS         ends after so much emulated time\n"
"  --until TEXT          ends with status 0 when a line of the log holds TEXT\n"
"  --seed N              of everything random\n"
"  --wifi-ssid NAME, --wifi-pass TEXT   the one access point (default mkr, open)\n"
"  --wifi-firmware V     19.4.4, 19.5.2, 19.5.4 or 19.6.1 (default)\n"
"  --time host|none|UNIX what the radio's SNTP says\n"
"  --temperature C|none  of the DS18B20; none: not fitted (default 21.5)\n"
"  --resolve NAME=IP[:PORT]        answers DNS; PORT: where on loopback it goes\n"
"  --map IP:PORT=127.0.0.1:PORT    other destinations than loopback are refused\n"
"  --fault WORD          NAME[=VALUE][:COUNT][@FROM_MS]; --fault help lists them\n"
"  --trace               what the models see, on standard error\n"
"  --led-log             each change of the LED\n"
"  --phase-log           what each phase took, when it ends\n"
"  --profile FILE        cycles by function and phase; needs --elf, and time\n"
"  --stack-limit ADDRESS lowest stack pointer (default: stack_limit of --elf)\n"
"  --allow-watchdog      a watchdog reset is counted, but does not end the run\n"
"  --allow-fault         a HardFault is left to the firmware's handler, and counted\n"
"  --set NAME=VALUE@MS   a word of the RAM, by its name in --elf, changes then\n"
"\n"
"Exit status: 0 done, 2 usage, 3 the firmware broke a rule, 4 the board stays\n"
"in its boot loader, 5 ended before --until, 6 the host failed.\n"
"\n"
"  mkr1000-emulator --image fw.bin --elf fw.elf --flash board.flash \\\n"
"      --chip board.atecc --resolve gateway.lan=127.0.0.1:8883 --speed fast\n"
"  mkr1000-emulator --image fw.bin --instances 5 --dir boards --fault winc.recv-size=1\n";

static int
wrong(const char *option, const char *value)
{
	fprintf(stderr, "mkr1000-emulator: --%s: \"%s\" is not valid; see --help\n", option, value);
	return EXIT_USAGE;
}

static bool
number(const char *text, double low, double high, double *out)
{
	char *end;

	errno = 0;
	*out = strtod(text, &end);
	return end != text && *end == '\0' && errno == 0 && *out >= low && *out <= high;
}

static bool
whole(const char *text, uint64_t high, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	return end != text && *end == '\0' && errno == 0 && *out <= high && text[0] != '-';
}

static bool
append(const char **list, unsigned *count, const char *text)
{
	if (*count == OPTIONS_LIST) {
		return false;
	}
	list[(*count)++] = text;
	return true;
}

static bool
set_time(struct options *o, const char *text)
{
	uint64_t value;

	if (strcmp(text, "none") == 0) {
		o->time = 0;
	} else if (strcmp(text, "host") == 0) {
		o->time = (uint32_t)time(NULL);
	} else if (whole(text, UINT32_MAX, &value)) {
		o->time = (uint32_t)value;
	} else {
		return false;
	}
	return true;
}

/* NAME=VALUE@MS */
static bool
set_word(struct options *o, const char *text)
{
	const char *value = strchr(text, '=');
	const char *at = strrchr(text, '@');
	char copy[32] = "";
	uint64_t number, ms;

	if (value == NULL || at == NULL || value == text || at < value ||
	    (size_t)(value - text) >= sizeof o->set_name || (size_t)(at - value) > sizeof copy) {
		return false;
	}
	memcpy(copy, value + 1, (size_t)(at - value - 1));
	if (!whole(copy, UINT32_MAX, &number) || !whole(at + 1, UINT32_MAX, &ms)) {
		return false;
	}
	memcpy(o->set_name, text, (size_t)(value - text));
	o->set_value = (uint32_t)number;
	o->set_at_ms = (uint32_t)ms;
	return true;
}

static bool
set_temperature(struct options *o, const char *text)
{
	double value;

	o->sensor = strcmp(text, "none") != 0;
	if (o->sensor) {
		if (!number(text, -55, 125, &value)) {
			return false;
		}
		o->centi = (int16_t)lround(value * 100);
	}
	return true;
}

static bool
set_speed(struct options *o, const char *text)
{
	if (strcmp(text, "real") == 0) {
		o->speed = 1;
	} else if (strcmp(text, "fast") == 0) {
		o->speed = 0;
	} else {
		return number(text, 0.001, 1e6, &o->speed);
	}
	return true;
}

static bool
set_number(struct options *o, int option, const char *text)
{
	uint64_t value;

	switch (option) {
	case O_INSTANCES:
		if (!whole(text, 64, &value) || value == 0) {
			return false;
		}
		o->instances = (unsigned)value;
		return true;
	case O_SEED: return whole(text, UINT64_MAX, &o->seed);
	case O_STACK_LIMIT:
		if (!whole(text, UINT32_MAX, &value)) {
			return false;
		}
		o->stack_limit = (uint32_t)value;
		return true;
	default: return number(text, 0.001, 1e9, &o->seconds);
	}
}

static bool
set(struct options *o, int option, const char *text)
{
	switch (option) {
	case O_IMAGE: o->image = text; return true;
	case O_FLASH: o->flash = text; return true;
	case O_ELF: o->elf = text; return true;
	case O_CHIP: o->chip = text; return true;
	case O_CHIP_UNLOCKED: o->chip_locked = false; return true;
	case O_CHIP_608: o->chip_608 = true; return true;
	case O_DIR: o->dir = text; return true;
	case O_NAME: o->name = text; return true;
	case O_UNTIL: o->until = text; return true;
	case O_SSID: o->ssid = text; return true;
	case O_PASS: o->passphrase = text; return true;
	case O_WIFI_FIRMWARE: o->wifi_firmware = text; return true;
	case O_TRACE: o->trace = true; return true;
	case O_LED_LOG: o->led_log = true; return true;
	case O_PHASE_LOG: o->phase_log = true; return true;
	case O_PROFILE: o->profile = text; return true;
	case O_WATCHDOG: o->watchdog_allowed = true; return true;
	case O_HARD_FAULT: o->fault_allowed = true; return true;
	case O_SPEED: return set_speed(o, text);
	case O_TIME: return set_time(o, text);
	case O_SET: return set_word(o, text);
	case O_TEMPERATURE: return set_temperature(o, text);
	case O_RESOLVE: return append(o->resolves, &o->resolve_count, text);
	case O_MAP: return append(o->maps, &o->map_count, text);
	case O_FAULT: return append(o->faults, &o->fault_count, text);
	default: return set_number(o, option, text);
	}
}

static int
check(const struct options *o)
{
	if (o->image == NULL && o->flash == NULL) {
		fprintf(stderr, "mkr1000-emulator: --image or --flash is needed; see --help\n");
		return EXIT_USAGE;
	}
	if (o->instances > 1 && (o->flash != NULL || o->chip != NULL)) {
		fprintf(stderr, "mkr1000-emulator: several boards have their files in --dir, "
		                "not --flash and --chip\n");
		return EXIT_USAGE;
	}
	if (o->set_name[0] != '\0' && o->elf == NULL) {
		fprintf(stderr, "mkr1000-emulator: --set needs --elf\n");
		return EXIT_USAGE;
	}
	if (o->profile != NULL && (o->elf == NULL || o->instances > 1)) {
		fprintf(stderr, "mkr1000-emulator: --profile needs --elf, and is for one board\n");
		return EXIT_USAGE;
	}
	return -1;
}

int
options_parse(struct options *out, int argc, char **argv)
{
	int option;
	int index = 0;

	*out = (struct options){ .instances = 1, .speed = 1, .seed = 1, .ssid = "mkr",
		                 .passphrase = "", .wifi_firmware = "19.6.1", .sensor = true,
		                 .centi = 2150, .chip_locked = true, .name = "mkr1000", .dir = "." };
	out->time = (uint32_t)time(NULL);
	opterr = 1;
	while ((option = getopt_long(argc, argv, "", table, &index)) != -1) {
		if (option == O_HELP) {
			fputs(help, stdout);
			return EXIT_DONE;
		}
		if (option == '?') {
			return EXIT_USAGE;
		}
		if (option == O_FAULT && strcmp(optarg, "help") == 0) {
			emulator_list_faults();
			return EXIT_DONE;
		}
		if (!set(out, option, optarg)) {
			return wrong(table[index].name, optarg);
		}
	}
	if (optind != argc) {
		return wrong("help", argv[optind]);
	}
	return check(out);
}
