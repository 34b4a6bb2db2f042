/* SPDX-License-Identifier: BSD-2-Clause */
/* The program mkr1000-emulator: its options, files and exit statuses. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulator/options.h"
#include "emulator_programs.h"
#include "unit/cmocka_all.h"

#define PROGRAM 0x2100u

struct place {
	char folder[64], image[96], flash[96];
};

static void
write_image(const char *name, const uint16_t *words, size_t bytes)
{
	uint8_t image[0x100 + 256] = { 0xF0, 0x7F, 0x00, 0x20, (PROGRAM | 1) & 0xFF, PROGRAM >> 8 };
	FILE *f = fopen(name, "wb");

	assert_non_null(f);
	for (size_t i = 0; i < bytes / 2; i++) {
		image[0x100 + 2 * i] = (uint8_t)words[i];
		image[0x101 + 2 * i] = (uint8_t)(words[i] >> 8);
	}
	assert_int_equal(fwrite(image, 1, 0x100 + bytes, f), 0x100 + bytes);
	assert_int_equal(fclose(f), 0);
}

static void
place_init(struct place *p)
{
	snprintf(p->folder, sizeof p->folder, "emulator-program-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->image, sizeof p->image, "%s/image.bin", p->folder);
	snprintf(p->flash, sizeof p->flash, "%s/board.flash", p->folder);
	write_image(p->image, p_speaks, sizeof p_speaks);
}

static void
place_remove(struct place *p)
{
	static const char *const names[] = {
		"image.bin", "board.flash", "out", "mkr1000-1.flash", "mkr1000-2.flash",
		"mkr1000-1.atecc", "mkr1000-2.atecc",
	};
	char name[128];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(name, sizeof name, "%s/%s", p->folder, names[i]);
		unlink(name);
	}
	assert_int_equal(rmdir(p->folder), 0);
}

/* In a folder made for this run. Standard output and error go to the folder's file "out". */
static pid_t
begin(const struct place *p, char *const *arguments)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		char name[128];

		snprintf(name, sizeof name, "%s/out", p->folder);
		if (freopen(name, "w", stdout) != NULL && dup2(1, 2) == 2) {
			execv("./mkr1000-emulator", arguments);
		}
		_exit(99);
	}
	return pid;
}

static int
end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool
said(const struct place *p, const char *text)
{
	char name[128];
	char buffer[65536];
	size_t n;
	FILE *f;

	snprintf(name, sizeof name, "%s/out", p->folder);
	f = fopen(name, "r");
	if (f == NULL) {
		return false;
	}
	n = fread(buffer, 1, sizeof buffer - 1, f);
	fclose(f);
	buffer[n] = '\0';
	return strstr(buffer, text) != NULL;
}

#define RUN(p, ...) \
	end(begin(p, (char *const[]){ (char *)(uintptr_t)"mkr1000-emulator", __VA_ARGS__, NULL }))
#define ARG(text) ((char *)(uintptr_t)(text))

static void
runs_until_the_log_says_so(void **state)
{
	struct place p;
	struct stat st;

	(void)state;
	place_init(&p);
	assert_int_equal(RUN(&p, ARG("--image"), p.image, ARG("--flash"), p.flash, ARG("--until"),
	                     ARG("ok"), ARG("--speed"), ARG("fast")), EXIT_DONE);
	assert_true(said(&p, "ok\n"));
	assert_true(said(&p, "cycles"));
	assert_int_equal(stat(p.flash, &st), 0);
	assert_int_equal(st.st_size, 262144);
	/* the flash file alone is enough for the next run */
	assert_int_equal(RUN(&p, ARG("--flash"), p.flash, ARG("--for"), ARG("0.1"), ARG("--speed"),
	                     ARG("fast")), EXIT_DONE);
	assert_true(said(&p, "ok\nok\n"));
	assert_int_equal(RUN(&p, ARG("--flash"), p.flash, ARG("--for"), ARG("0.1"), ARG("--until"),
	                     ARG("never"), ARG("--speed"), ARG("fast")), EXIT_UNTIL);
	place_remove(&p);
}

static void
tells_what_went_wrong(void **state)
{
	struct place p;

	(void)state;
	place_init(&p);
	write_image(p.image, p_unaligned, sizeof p_unaligned);
	assert_int_equal(RUN(&p, ARG("--image"), p.image), EXIT_VIOLATION);
	assert_true(said(&p, "VIOLATION: HardFault: unaligned load of 32 bits at 0x20000001"));
	assert_true(said(&p, "pc  00002102"));
	assert_int_equal(RUN(&p, ARG("--flash"), p.flash), EXIT_LOADER);
	assert_true(said(&p, "boot loader"));
	place_remove(&p);
}

static void
wrong_options_are_refused(void **state)
{
	static const char *const table[][2] = {
		{ "--image", "no-such-image" }, { "--speed", "never" }, { "--for", "-1" },
		{ "--instances", "0" }, { "--seed", "x" }, { "--time", "noon" },
		{ "--temperature", "300" }, { "--fault", "no.such" }, { "--resolve", "x" },
		{ "--map", "10.0.0.1:1=10.0.0.2:1" }, { "--profile", "no-elf" }, { "--no-such-option", "" },
		{ "word", "" }, { "--set", "milliseconds=1@1" }, { "--set", "milliseconds=1" },
		{ "--set", "=1@1" }, { "--set", "milliseconds=x@1" }, { "--set", "milliseconds=1@" },
	};
	struct place p;

	(void)state;
	place_init(&p);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		int status = RUN(&p, ARG("--image"), p.image, ARG(table[i][0]), ARG(table[i][1]));

		if (status != EXIT_USAGE) {
			fail_msg("%s %s: %d", table[i][0], table[i][1], status);
		}
	}
	assert_int_equal(RUN(&p, ARG("--help")), EXIT_DONE);
	assert_int_equal(RUN(&p, ARG("--fault"), ARG("help")), EXIT_DONE);
	assert_true(said(&p, "ds18b20.absent"));
	place_remove(&p);
}

static void
several_boards_run_at_once(void **state)
{
	struct place p;

	(void)state;
	place_init(&p);
	assert_int_equal(RUN(&p, ARG("--image"), p.image, ARG("--instances"), ARG("2"), ARG("--dir"),
	                     p.folder, ARG("--until"), ARG("ok"), ARG("--speed"), ARG("fast")),
	                 EXIT_DONE);
	assert_true(said(&p, "mkr1000-1: ok\n"));
	assert_true(said(&p, "mkr1000-2: ok\n"));
	place_remove(&p);
}

static void
a_signal_ends_it_cleanly(void **state)
{
	static const char *const counts[] = { "1", "2" };
	struct place p;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		char *arguments[] = { ARG("mkr1000-emulator"), ARG("--image"), p.image, ARG("--dir"),
			              p.folder, ARG("--instances"), ARG(counts[i]), NULL };
		pid_t pid;

		place_init(&p);
		pid = begin(&p, arguments);
		for (unsigned tries = 0; !said(&p, "ok\n"); tries++) {
			assert_true(tries < 60000 && waitpid(pid, NULL, WNOHANG) == 0);
			usleep(1000);
		}
		assert_int_equal(kill(pid, SIGTERM), 0);
		assert_int_equal(end(pid), EXIT_DONE);
		assert_true(said(&p, "lowest SP"));
		place_remove(&p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_until_the_log_says_so),
		cmocka_unit_test(tells_what_went_wrong),
		cmocka_unit_test(wrong_options_are_refused),
		cmocka_unit_test(several_boards_run_at_once),
		cmocka_unit_test(a_signal_ends_it_cleanly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
