/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The spool with a disk that fails, is full, or loses its power, and with a
 * process that is killed: what was answered with 0 and not done is there
 * afterwards, in order.
 */
#include "unit/spool_help.h"
#include "unit/spool_vfs.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/log.h"

#define DEVICES 3
#define NUMBERS 4000

static struct bench b;

/* What is known of each message. */
struct known {
	uint8_t state[DEVICES][NUMBERS];
};
enum { UNKNOWN, ASKED, KEPT, DONE };

/* The faults are told, and are meant. */
static void
say_nothing(void *owner, enum log_level level, enum log_area area, const char *message,
            const struct log_field *fields)
{
	(void)owner;
	(void)level;
	(void)area;
	(void)message;
	(void)fields;
}

static int
set_up(void **state)
{
	(void)state;
	alarm(HELP_LIMIT);
	log_setup(LOG_LEVEL_ERROR, say_nothing, NULL);
	bench_make(&b);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	bench_remove(&b);
	return 0;
}

static const char *const names[DEVICES] = { "a", "b", "c" };

/* Everything that is kept must be there, in order; nothing that was never asked. */
static void
compare(struct bench *with, struct known *known)
{
	struct got *got = calloc(1, sizeof *got);
	unsigned last[DEVICES] = { 0 };

	do {
		take(with, 100, got);
		assert_int_equal(got->status, 0);
		for (size_t i = 0; i < got->count; i++) {
			unsigned who = (unsigned)(got->message[i].identity[0] - 'a');
			unsigned n = (unsigned)strtoul(got->message[i].payload, NULL, 10);

			assert_true(who < DEVICES && n < NUMBERS);
			assert_true(n > last[who]);
			last[who] = n;
			assert_true(known->state[who][n] != UNKNOWN);
			known->state[who][n] = DONE;
			spool_done(with->spool, got->message[i].sequence);
		}
	} while (got->count > 0);
	free(got);
	for (unsigned who = 0; who < DEVICES; who++) {
		for (unsigned n = 0; n < NUMBERS; n++) {
			if (known->state[who][n] == KEPT) {
				fail_msg("message %u of %s was answered with 0 and is lost", n,
				         names[who]);
			}
		}
	}
}

/* ---- power cuts and failures, at every operation ------------------------------------------ */

static void
put_number(struct known *known, unsigned who, unsigned n)
{
	char text[16];

	snprintf(text, sizeof text, "%u", n);
	known->state[who][n] = ASKED;
	if (put(&b, names[who], text) == 0) {
		known->state[who][n] = KEPT;
	}
}

/* Two take turns, one done: then there are removals in the same transactions. */
static void
finish_some(struct known *known)
{
	struct got *got = calloc(1, sizeof *got);

	take(&b, 2, got);
	for (size_t i = 0; i < got->count; i++) {
		unsigned n = (unsigned)strtoul(got->message[i].payload, NULL, 10);

		known->state[got->message[i].identity[0] - 'a'][n] = DONE;
		spool_done(b.spool, got->message[i].sequence);
	}
	free(got);
}

/* False: it could not be opened. */
static bool
scenario(struct known *known)
{
	char why[512];

	if (bench_try_open(&b, why, sizeof why) != 0) {
		return false;
	}
	assert_int_equal(loop_new("answers", &b.loop), 0);
	assert_int_equal(loop_start(b.loop), 0);
	for (unsigned n = 1; n <= 4; n++) {
		for (unsigned who = 0; who < DEVICES; who++) {
			put_number(known, who, n);
		}
		finish_some(known);
	}
	(void)purge(&b, "nobody");
	bench_close(&b);
	return true;
}

static void
start_afresh(void)
{
	char path[80];

	unlink(b.file);
	snprintf(path, sizeof path, "%s-wal", b.file);
	unlink(path);
}

static unsigned
count_operations(void)
{
	struct known *known = calloc(1, sizeof *known);
	unsigned n;

	vfs_install();
	(void)vfs_operations();
	assert_true(scenario(known));
	n = vfs_operations();
	vfs_remove();
	start_afresh();
	free(known);
	assert_true(n > 40);
	return n;
}

/* code: what fails from operation n on, or only it. */
static void
fail_everywhere(int code, bool ever, bool cut, unsigned seed)
{
	unsigned most = count_operations();

	for (unsigned n = 0; n < most; n++) {
		struct known *known = calloc(1, sizeof *known);

		vfs_install();
		vfs_fail(n, code, ever);
		(void)scenario(known);
		if (cut) {
			vfs_power_cut(seed == 0 ? 0 : seed + n);
		} else {
			vfs_heal();
		}
		bench_open(&b);
		compare(&b, known);
		assert_int_equal(put(&b, "a", "3999"), 0);
		bench_close(&b);
		vfs_remove();
		start_afresh();
		free(known);
	}
}

static void
a_power_cut_at_any_operation_loses_nothing(void **state)
{
	(void)state;
	fail_everywhere(SQLITE_IOERR_WRITE, true, true, 0);
}

/* Some of what was not synced has reached the disk all the same. */
static void
a_power_cut_with_half_the_writes_loses_nothing(void **state)
{
	(void)state;
	fail_everywhere(SQLITE_IOERR_WRITE, true, true, 77);
}

static void
a_failure_at_any_operation_loses_nothing(void **state)
{
	(void)state;
	fail_everywhere(SQLITE_IOERR_WRITE, false, false, 0);
}

static void
a_failure_and_a_power_cut_lose_nothing(void **state)
{
	(void)state;
	fail_everywhere(SQLITE_FULL, false, true, 5);
}

/* ---- the full disk ---------------------------------------------------------------------------- */

static void
a_full_disk_lets_messages_go(void **state)
{
	char payload[2000];
	unsigned kept = 0, again = 0;
	int rc;

	(void)state;
	memset(payload, 'x', sizeof payload - 1);
	payload[sizeof payload - 1] = '\0';
	vfs_install();
	bench_open(&b);
	assert_int_equal(put(&b, "a", payload), 0);
	vfs_limit(vfs_size() + 2000000);
	while ((rc = put(&b, "a", payload)) == 0) {
		kept++;
		assert_true(kept < 1000);
	}
	assert_int_equal(rc, -ENOSPC);
	assert_true(kept > 20);
	assert_int_equal(totals(&b).messages, kept + 1);
	assert_int_equal(totals(&b).last_error, -ENOSPC);
	vfs_limit(vfs_size()); /* not a byte more */
	assert_int_equal(put(&b, "b", payload), -ENOSPC);
	while (drain(&b, 5) > 0) {
	}
	wait_messages(&b, 0);
	/* What was freed is used again, on the disk that is still full. */
	while (again < kept / 2) {
		assert_int_equal(put(&b, "b", payload), 0);
		again++;
	}
	assert_int_equal(totals(&b).last_error, 0);
	vfs_heal();
	bench_close(&b);
	bench_open(&b);
	assert_int_equal(totals(&b).messages, again);
	bench_close(&b);
	vfs_remove();
}

static void
a_disk_that_works_again_is_used_again(void **state)
{
	(void)state;
	vfs_install();
	bench_open(&b);
	assert_int_equal(put(&b, "a", "1"), 0);
	vfs_fail(0, SQLITE_IOERR_WRITE, true);
	assert_int_equal(put(&b, "a", "2"), -EIO);
	assert_int_equal(put(&b, "a", "3"), -EIO);
	done_expect(&b, 10, "1"); /* its removal must wait */
	assert_int_equal(put(&b, "a", "4"), -EIO);
	assert_int_equal(totals(&b).messages, 1);
	spool_untake(b.spool);
	take_expect(&b, 10, ""); /* the broker has it */
	vfs_heal();
	wait_messages(&b, 0);
	assert_int_equal(put(&b, "a", "5"), 0);
	take_expect(&b, 10, "5");
	bench_close(&b);
	vfs_remove();
}

/* ---- kill -9 ------------------------------------------------------------------------------------ */

struct told {
	uint8_t who, what;
	uint16_t n;
};

struct child_put {
	struct spool_put put;
	char text[8];
	struct told told;
	int pipe;
	sem_t *room;
};

static void
tell(int pipe, struct told told)
{
	if (write(pipe, &told, sizeof told) != sizeof told) {
		_exit(1);
	}
}

static void
child_put_done(struct spool_put *p, int status)
{
	struct child_put *c = (struct child_put *)(void *)p;

	if (status == 0) {
		c->told.what = KEPT;
		tell(c->pipe, c->told);
	}
	sem_post(c->room);
	free(c);
}

static void
child_drains(int pipe)
{
	struct got *got = calloc(1, sizeof *got);

	take(&b, 7, got);
	for (size_t i = 0; i < got->count; i++) {
		tell(pipe, (struct told){ (uint8_t)(got->message[i].identity[0] - 'a'), DONE,
		                          (uint16_t)strtoul(got->message[i].payload, NULL, 10) });
		spool_done(b.spool, got->message[i].sequence);
	}
	free(got);
}

static void
child(int pipe)
{
	sem_t room;

	sem_init(&room, 0, 50);
	bench_open(&b);
	for (unsigned i = DEVICES; i < DEVICES * NUMBERS; i++) {
		struct child_put *c = calloc(1, sizeof *c);

		sem_wait(&room);
		c->told = (struct told){ (uint8_t)(i % DEVICES), ASKED, (uint16_t)(i / DEVICES) };
		snprintf(c->text, sizeof c->text, "%u", i / DEVICES);
		c->put = message_of(names[i % DEVICES], c->text);
		c->put.done = child_put_done;
		c->put.back = b.loop;
		c->pipe = pipe;
		c->room = &room;
		tell(pipe, c->told);
		if (spool_put(b.spool, &c->put) != 0) {
			_exit(1);
		}
		if (i % 10 == 0) {
			child_drains(pipe);
		}
	}
	for (;;) {
		pause();
	}
}

static void
note(struct known *known, struct told told)
{
	uint8_t *state = &known->state[told.who][told.n];

	/* DONE may be told before KEPT: another thread tells it. */
	*state = told.what > *state ? told.what : *state;
}

static pid_t
start_child(int *pipe_out)
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	/* Small, so that the child is never far ahead of what was heard. */
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		child(ends[1]);
	}
	close(ends[1]);
	*pipe_out = ends[0];
	return pid;
}

static bool
hear(int pipe, struct known *known)
{
	struct told told;

	if (read(pipe, &told, sizeof told) != sizeof told) {
		return false;
	}
	note(known, told);
	return true;
}

static void
a_killed_process_loses_nothing(void **state)
{
	unsigned x = 12345;

	(void)state;
	for (unsigned round = 0; round < 12; round++) {
		struct known *known = calloc(1, sizeof *known);
		int pipe, status;
		pid_t pid = start_child(&pipe);

		x = x * 1664525u + 1013904223u;
		for (unsigned i = (x >> 8) % 3000; i > 0; i--) {
			assert_true(hear(pipe, known));
		}
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		while (hear(pipe, known)) {
		}
		close(pipe);
		bench_open(&b);
		compare(&b, known);
		bench_close(&b);
		start_afresh();
		free(known);
	}
}

static void
hear_all(int pipe, struct known *known)
{
	struct pollfd ready = { .fd = pipe, .events = POLLIN };

	while (poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN) != 0 && hear(pipe, known)) {
	}
}

/* The files as they are at some instant: the process stands still while they are copied. */
static void
a_copy_of_any_instant_has_it_all(void **state)
{
	struct known *heard = calloc(1, sizeof *heard), *then = calloc(1, sizeof *then);
	int pipe, status;
	pid_t pid = start_child(&pipe);

	(void)state;
	for (unsigned round = 0; round < 6; round++) {
		struct bench copy;

		for (unsigned i = 0; i < 1500 + round * 77; i++) {
			assert_true(hear(pipe, heard));
		}
		bench_make(&copy);
		kill(pid, SIGSTOP);
		assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
		bench_copy(&b, &copy);
		hear_all(pipe, heard);
		*then = *heard;
		bench_open(&copy);
		compare(&copy, then);
		bench_close(&copy);
		bench_remove(&copy);
		kill(pid, SIGCONT);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(pipe);
	free(heard);
	free(then);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_power_cut_at_any_operation_loses_nothing),
		TEST(a_power_cut_with_half_the_writes_loses_nothing),
		TEST(a_failure_at_any_operation_loses_nothing),
		TEST(a_failure_and_a_power_cut_lose_nothing),
		TEST(a_full_disk_lets_messages_go),
		TEST(a_disk_that_works_again_is_used_again),
		TEST(a_killed_process_loses_nothing),
		TEST(a_copy_of_any_instant_has_it_all),
	};

	return cmocka_run_group_tests_name("spool faults", tests, NULL, NULL);
}
