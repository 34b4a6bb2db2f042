/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulator/emulator.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/elf.h"
#include "emulator/flash_file.h"
#include "emulator/machine.h"
#include "emulator/net_host.h"
#include "emulator/pace.h"
#include "emulator/profile.h"

struct emulator {
	const struct options *options;
	unsigned number;
	char label[80];         /* "name-2: ", or "" for a single board */
	char flash_path[PATH_MAX], chip_path[PATH_MAX];
	struct world world;
	struct fault_set *faults;
	struct net_host *net;
	struct winc_model *winc;
	struct atecc_model *atecc;
	struct ds18b20_model *sensor;
	uint8_t *flash;
	struct elf *elf;
	struct soc *soc;
	struct machine *machine;
	struct pace pace;
	struct profile *profile;
	struct machine_phase phases_told[MACHINE_PHASES]; /* by --phase-log */
	char line[512];
	size_t line_used;
	uint32_t set_address;   /* 0: nothing to set, or done */
	bool until_seen, violated;
};

static volatile sig_atomic_t ended_by_signal;

static const char *const phase_names[MACHINE_PHASES] = {
	"boot", "radio", "join", "resolve", "tcp", "tls", "mqtt", "idle",
	"8", "9", "10", "11", "12", "13", "14", "15",
};
static const struct fault board_faults[] = {
	{ "board.crystal-dead", "the 32 kHz crystal never starts" },
	{ "flash.erase-fails", "a row erase ends with NVME and changes nothing" },
	{ "flash.write-fails", "a page write ends with NVME and changes nothing" },
	{ "i2c.stuck", "SDA is low when a transfer wants to begin" },
	{ "i2c.scl-stuck", "SCL is held low: no transfer gets anywhere" },
	{ "i2c.arbitration", "arbitration is lost on the address" },
	{ "i2c.no-flag", "neither MB nor SB ever comes" },
	{ NULL, NULL },
};
static const struct fault *const known_faults[] = {
	board_faults, machine_faults, winc_faults, atecc_faults, ds18b20_faults, NULL,
};

void
emulator_list_faults(void)
{
	for (const struct fault *const *t = known_faults; *t != NULL; t++) {
		for (const struct fault *f = *t; f->name != NULL; f++) {
			printf("  %-28s %s\n", f->name, f->text);
		}
	}
}

/* ---- what it says ---- */

static void
say(const struct emulator *e, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fprintf(stderr, "%s[%10.6f] %s\n", e->label, (double)e->world.now_ns / 1e9, text);
}

static void
on_note(void *owner, const char *format, va_list args)
{
	const struct emulator *e = owner;
	char text[1024];

	if (e->options->trace) {
		vsnprintf(text, sizeof text, format, args);
		say(e, "%s", text);
	}
}

static void
dump(struct emulator *e)
{
	uint32_t branches[16];
	unsigned n;
	char where[128];

	elf_name(e->elf, machine_pc(e->machine), where, sizeof where);
	say(e, "  pc  %08X  %s", machine_pc(e->machine), where);
	for (unsigned i = 0; i < 12; i += 4) {
		say(e, "  r%-2u %08X  r%-2u %08X  r%-2u %08X  r%-2u %08X", i,
		    machine_register(e->machine, i), i + 1, machine_register(e->machine, i + 1),
		    i + 2, machine_register(e->machine, i + 2), i + 3,
		    machine_register(e->machine, i + 3));
	}
	elf_name(e->elf, machine_register(e->machine, 14) & ~1u, where, sizeof where);
	say(e, "  r12 %08X  sp  %08X  lr  %08X  %s", machine_register(e->machine, 12),
	    machine_register(e->machine, 13), machine_register(e->machine, 14), where);
	n = machine_branches(e->machine, branches);
	say(e, "  the last %u branch targets, newest first:", n);
	while (n-- > 0) {
		elf_name(e->elf, branches[n], where, sizeof where);
		say(e, "    %08X  %s", branches[n], where);
	}
}

static void
on_violation(void *owner, const char *format, va_list args)
{
	struct emulator *e = owner;
	char text[1024];

	if (e->violated) {
		return; /* the first one is the cause */
	}
	e->violated = true;
	vsnprintf(text, sizeof text, format, args);
	say(e, "VIOLATION: %s", text);
	if (e->machine != NULL) {
		dump(e);
		machine_stop(e->machine, MACHINE_VIOLATION);
	}
}

static void
flush_line(struct emulator *e)
{
	e->line[e->line_used] = '\0';
	printf("%s%s\n", e->label, e->line);
	fflush(stdout);
	if (e->options->until != NULL && strstr(e->line, e->options->until) != NULL) {
		e->until_seen = true;
		machine_stop(e->machine, MACHINE_ASKED);
	}
	e->line_used = 0;
}

static void
on_serial(void *owner, uint8_t byte)
{
	struct emulator *e = owner;

	if (byte == '\n') {
		flush_line(e);
	} else if (byte != '\r') {
		e->line[e->line_used++] = byte >= 0x20 && byte < 0x7F ? (char)byte : '.';
		if (e->line_used == sizeof e->line - 1) {
			flush_line(e);
		}
	}
}

static void
on_led(void *owner, bool on)
{
	struct emulator *e = owner;

	if (e->options->led_log) {
		printf("%s[%10.6f] LED %s\n", e->label, (double)e->world.now_ns / 1e9, on ? "on" : "off");
		fflush(stdout);
	}
}

static void
on_flash(void *owner, uint32_t address, uint32_t size)
{
	struct emulator *e = owner;

	machine_flash_changed(e->machine, address, size);
}

static void
on_pace(void *owner, uint64_t now_ns, bool waits_for_network)
{
	struct emulator *e = owner;

	if (ended_by_signal != 0) {
		machine_stop(e->machine, MACHINE_ASKED);
		return;
	}
	if (e->set_address != 0 && now_ns / 1000000 >= e->options->set_at_ms) {
		machine_ram_store(e->machine, e->set_address, e->options->set_value);
		e->set_address = 0;
	}
	pace_keep(&e->pace, now_ns, waits_for_network && net_host_expects(e->net));
}

static void
on_fault(void *owner, uint32_t pc, const char *why)
{
	const struct emulator *e = owner;
	char where[128];

	elf_name(e->elf, pc, where, sizeof where);
	say(e, "HardFault, left to the firmware: %s; pc %08X  %s", why, pc, where);
}

static void
say_phase(const struct emulator *e, unsigned phase, const struct machine_phase *p)
{
	say(e, "phase %u %-8s %12" PRIu64 " cycles, %12" PRIu64 " of them asleep %10.1f ms", phase,
	    phase_names[phase], p->cycles, p->slept, (double)p->ns / 1e6);
}

static void
on_phase(void *owner, unsigned from, unsigned to)
{
	struct emulator *e = owner;

	struct machine_phase now = machine_figures(e->machine)->phases[from];
	struct machine_phase *told = &e->phases_told[from];
	struct machine_phase visit = { .cycles = now.cycles - told->cycles,
		                       .slept = now.slept - told->slept, .ns = now.ns - told->ns };

	(void)to;
	if (e->options->trace || e->options->phase_log) {
		*told = now;
		say_phase(e, from, &visit);
	}
}

static void
on_step(void *owner, uint32_t pc)
{
	struct emulator *e = owner;
	const struct machine_figures *f = machine_figures(e->machine);

	profile_step(e->profile, &(struct profile_point){
		.pc = pc, .sp = machine_register(e->machine, 13), .lr = machine_register(e->machine, 14),
		.phase = f->phase, .cycles = f->cycles, .slept = f->slept });
}

/* ---- its parts ---- */

/* Identities stay the same from run to run: from the name and number, not from the seed. */
static uint64_t
identity(const struct emulator *e, unsigned salt)
{
	uint64_t hash = UINT64_C(0xCBF29CE484222325);
	struct world w = { 0 };

	for (const char *p = e->options->name; *p != '\0'; p++) {
		hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001B3);
	}
	w.seed = hash + e->number * UINT64_C(1000003) + salt;
	return world_random(&w);
}

static bool
name_files(struct emulator *e)
{
	const struct options *o = e->options;
	int a, b;

	if (o->instances == 1) {
		a = snprintf(e->flash_path, sizeof e->flash_path, "%s", o->flash == NULL ? "" : o->flash);
		b = snprintf(e->chip_path, sizeof e->chip_path, "%s", o->chip == NULL ? "" : o->chip);
	} else {
		snprintf(e->label, sizeof e->label, "%.60s-%u: ", o->name, e->number);
		a = snprintf(e->flash_path, sizeof e->flash_path, "%s/%s-%u.flash", o->dir, o->name,
		             e->number);
		b = snprintf(e->chip_path, sizeof e->chip_path, "%s/%s-%u.atecc", o->dir, o->name,
		             e->number);
	}
	return a >= 0 && (size_t)a < sizeof e->flash_path && b >= 0 && (size_t)b < sizeof e->chip_path;
}

static int
add_faults(struct emulator *e)
{
	char why[200];

	e->faults = fault_set_new(&e->world);
	for (unsigned i = 0; i < e->options->fault_count; i++) {
		if (e->faults == NULL || fault_set_add(e->faults, e->options->faults[i], known_faults, why,
		                                       sizeof why) != 0) {
			fprintf(stderr, "mkr1000-emulator: --fault: %s\n", why);
			return EXIT_USAGE;
		}
	}
	return e->faults == NULL ? EXIT_SYSTEM : -1;
}

static int
add_network(struct emulator *e)
{
	const struct options *o = e->options;

	e->net = net_host_new(&e->world);
	if (e->net == NULL) {
		return EXIT_SYSTEM;
	}
	for (unsigned i = 0; i < o->resolve_count; i++) {
		if (net_host_add_name(e->net, o->resolves[i]) != 0) {
			fprintf(stderr, "mkr1000-emulator: --resolve: \"%s\" is not NAME=IP[:PORT]\n",
			        o->resolves[i]);
			return EXIT_USAGE;
		}
	}
	for (unsigned i = 0; i < o->map_count; i++) {
		if (net_host_add_map(e->net, o->maps[i]) != 0) {
			fprintf(stderr, "mkr1000-emulator: --map: \"%s\" is not IP:PORT=127.x.x.x:PORT\n",
			        o->maps[i]);
			return EXIT_USAGE;
		}
	}
	return -1;
}

static void
add_chips(struct emulator *e)
{
	const struct options *o = e->options;
	uint64_t id = identity(e, 1);
	struct winc_config winc = {
		.firmware = o->wifi_firmware, .ssid = o->ssid, .passphrase = o->passphrase,
		.mac = { 0xF8, 0xF0, 0x05, (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id },
		.ip = { 192, 168, 77, (uint8_t)(10 + e->number % 200) }, .time = o->time,
	};
	struct atecc_config atecc = {
		.file = e->chip_path[0] == '\0' ? NULL : e->chip_path, .locked = o->chip_locked,
		.is_608 = o->chip_608, .serial = { 0x01, 0x23, [8] = 0xEE },
	};

	id = identity(e, 2);
	for (unsigned i = 2; i < 8; i++) {
		atecc.serial[i] = (uint8_t)(id >> 8 * i);
	}
	e->winc = winc_model_new(&e->world, e->faults, &winc, net_host_seam(e->net));
	e->atecc = atecc_model_new(&e->world, e->faults, &atecc);
	if (o->sensor) {
		e->sensor = ds18b20_model_new(&e->world, e->faults, o->centi);
	}
}

static bool
add_soc(struct emulator *e)
{
	struct soc_config config = {
		.world = &e->world, .faults = e->faults, .flash = e->flash, .flash_changed = on_flash,
		.winc = e->winc, .atecc = e->atecc, .sensor = e->sensor, .serial = on_serial,
		.led = on_led, .owner = e, .die_centi = 2900,
	};

	for (unsigned i = 0; i < 4; i++) {
		config.serial_number[i] = (uint32_t)identity(e, 3 + i);
	}
	e->soc = soc_new(&config);
	return e->soc != NULL;
}

static bool
add_machine(struct emulator *e)
{
	struct machine_config config = {
		.world = &e->world, .soc = e->soc, .flash = e->flash, .until_ns = SOC_NEVER,
		.stack_limit = e->options->stack_limit, .watchdog_allowed = e->options->watchdog_allowed,
		.fault_allowed = e->options->fault_allowed, .faults = e->faults,
		.pace = on_pace, .phase_changed = on_phase, .faulted = on_fault, .owner = e,
	};

	if (e->options->seconds > 0) {
		config.until_ns = (uint64_t)(e->options->seconds * 1e9);
	}
	if (config.stack_limit == 0) {
		elf_find(e->elf, "stack_limit", &config.stack_limit);
	}
	if (e->options->profile != NULL) {
		e->profile = profile_new(e->elf);
		if (e->profile == NULL) {
			return false;
		}
		config.step = on_step;
	}
	elf_find(e->elf, "emulator_phase", &config.phase_address);
	e->machine = machine_new(&config);
	return e->machine != NULL;
}

static int
assemble(struct emulator *e)
{
	const struct options *o = e->options;
	char why[5000];
	int status = add_faults(e);

	status = status < 0 ? add_network(e) : status;
	if (status >= 0) {
		return status;
	}
	if (o->elf != NULL && (e->elf = elf_open(o->elf, why, sizeof why)) == NULL) {
		fprintf(stderr, "mkr1000-emulator: %s\n", why);
		return EXIT_USAGE;
	}
	if (o->set_name[0] != '\0' && (!elf_find(e->elf, o->set_name, &e->set_address) ||
	                               e->set_address - SOC_RAM_BASE > SOC_RAM_SIZE - 4)) {
		fprintf(stderr, "mkr1000-emulator: --set: the RAM has no \"%s\"\n", o->set_name);
		return EXIT_USAGE;
	}
	e->flash = flash_file_open(e->flash_path[0] == '\0' ? NULL : e->flash_path, o->image, why,
	                           sizeof why);
	if (e->flash == NULL) {
		fprintf(stderr, "mkr1000-emulator: %s\n", why);
		return EXIT_USAGE;
	}
	add_chips(e);
	if (!add_soc(e) || !add_machine(e)) {
		fprintf(stderr, "mkr1000-emulator: out of memory, or Unicorn does not start\n");
		return EXIT_SYSTEM;
	}
	return -1;
}

static void
dismantle(struct emulator *e)
{
	winc_model_free(e->winc);
	atecc_model_free(e->atecc);
	ds18b20_model_free(e->sensor);
	machine_free(e->machine);
	soc_free(e->soc);
	net_host_free(e->net);
	fault_set_free(e->faults);
	flash_file_close(e->flash);
	profile_free(e->profile);
	elf_free(e->elf);
}

/* ---- the run ---- */

static void
report(struct emulator *e)
{
	const struct machine_figures *f = machine_figures(e->machine);

	say(e, "%" PRIu64 " cycles, %" PRIu64 " of them asleep; lowest SP 0x%08X; %u resets, %u by the "
	       "watchdog; %u HardFaults", f->cycles, f->slept, f->lowest_sp, f->resets, f->watchdogs,
	    f->faults);
	for (unsigned i = 0; i < MACHINE_PHASES; i++) {
		if (f->phases[i].cycles != 0) {
			say_phase(e, i, &f->phases[i]);
		}
	}
}

static int
status_of(const struct emulator *e, enum machine_end end)
{
	if (e->violated || end == MACHINE_VIOLATION) {
		return EXIT_VIOLATION;
	}
	if (end == MACHINE_LOADER) {
		say(e, "the board stays in its boot loader: no image, or a double tap");
		return EXIT_LOADER;
	}
	return e->options->until != NULL && !e->until_seen ? EXIT_UNTIL : EXIT_DONE;
}

static void
on_signal(int number)
{
	ended_by_signal = number;
}

static void
catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t ending;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigemptyset(&ending);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGTERM);
	sigprocmask(SIG_UNBLOCK, &ending, NULL); /* the parent of several boards held them back */
}

int
emulator_run(const struct options *options, unsigned number)
{
	struct emulator e = { .options = options, .number = number, .pace.speed = options->speed };
	int status;

	/* Boards of other names are others in all that is random, so in their keys. */
	e.world = (struct world){ 0, on_violation, on_note, &e, options->seed + identity(&e, 0) };
	if (!name_files(&e)) {
		fprintf(stderr, "mkr1000-emulator: the name of a file is too long\n");
		return EXIT_USAGE;
	}
	catch_signals();
	status = assemble(&e);
	if (status < 0) {
		status = status_of(&e, machine_run(e.machine));
		if (e.line_used > 0) {
			flush_line(&e);
		}
		report(&e);
		if (e.profile != NULL && !profile_write(e.profile, options->profile)) {
			fprintf(stderr, "mkr1000-emulator: %s cannot be written\n", options->profile);
			status = EXIT_SYSTEM;
		}
	}
	dismantle(&e);
	return status;
}
