/* SPDX-License-Identifier: BSD-2-Clause */
#include "provision.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUN_MS 120000 /* a page takes seconds; then the board or the cable is gone */
#define OUTPUT_MAX 8192

struct run {
	pid_t child;
	int output, failed; /* pipes: what it says; errno when it could not be started */
	char text[OUTPUT_MAX + 1];
	size_t used;
	bool late;
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void __attribute__((noreturn))
become(const char *const *argv, const int output[2], const int failed[2], pid_t parent)
{
	int nothing = open("/dev/null", O_RDONLY);
	int error;

	/* Killed with us: nobody else would look after it. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() == parent && nothing >= 0 && dup2(nothing, 0) >= 0 &&
	    dup2(output[1], 1) >= 0 && dup2(output[1], 2) >= 0) {
		execvp(argv[0], (char *const *)argv);
	}
	error = errno;
	(void)!write(failed[1], &error, sizeof error);
	_exit(127);
}

static int
start(const char *const *argv, struct run *run)
{
	int output[2], failed[2];
	pid_t parent = getpid();

	if (pipe2(output, O_CLOEXEC) < 0) {
		return -errno;
	}
	if (pipe2(failed, O_CLOEXEC) < 0) {
		close(output[0]);
		close(output[1]);
		return -ENFILE;
	}
	run->child = fork();
	if (run->child == 0) {
		become(argv, output, failed, parent);
	}
	close(output[1]);
	close(failed[1]);
	run->output = output[0];
	run->failed = failed[0];
	return run->child < 0 ? -EAGAIN : 0;
}

/* Everything it says until it ends; the end of a long text is what counts. */
static void
listen_to(struct run *run)
{
	int64_t end = now_ms() + RUN_MS;

	for (;;) {
		struct pollfd p = { .fd = run->output, .events = POLLIN };
		int64_t left = end - now_ms();
		ssize_t n;

		if (left <= 0 || (poll(&p, 1, (int)left) == 0)) {
			run->late = true;
			kill(run->child, SIGKILL);
			return;
		}
		if (run->used == OUTPUT_MAX) {
			memmove(run->text, run->text + OUTPUT_MAX / 2, OUTPUT_MAX / 2);
			run->used = OUTPUT_MAX / 2;
		}
		n = read(run->output, run->text + run->used, OUTPUT_MAX - run->used);
		if (n == 0 || (n < 0 && errno != EINTR)) {
			return;
		}
		run->used += n > 0 ? (size_t)n : 0;
	}
}

/* The last line that says something; its progress bar does not. */
static const char *
last_line(struct run *run)
{
	char *save = NULL;
	const char *last = "it gives no reason";

	for (char *line = strtok_r(run->text, "\r\n", &save); line != NULL;
	     line = strtok_r(NULL, "\r\n", &save)) {
		if (line[strspn(line, " ")] != '\0' && line[0] != '[') {
			last = line;
		}
	}
	return last;
}

static int
explain(struct run *run, const char *program, int status, char *why)
{
	int error = 0;

	if (read(run->failed, &error, sizeof error) == (ssize_t)sizeof error) {
		snprintf(why, PROVISION_WHY_SIZE, error == ENOENT ?
		         "the program %s is missing: `sudo apt install bossa-cli`" :
		         "the program %s cannot be started", program);
		return -error;
	}
	if (run->late) {
		snprintf(why, PROVISION_WHY_SIZE, "%s does not come to an end; double-tap the "
		                                  "reset button of the board and try "
		                                  "again", program);
		return -ETIMEDOUT;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		return 0;
	}
	run->text[run->used] = '\0';
	if (WIFSIGNALED(status)) {
		snprintf(why, PROVISION_WHY_SIZE, "%s was killed (signal %d); run this command "
		                                  "again",
		         program, WTERMSIG(status));
	} else if (strstr(run->text, "No device found") != NULL) {
		snprintf(why, PROVISION_WHY_SIZE, "the board is not in its bootloader: double-tap "
		                                  "its reset button (the LED fades in and out), "
		                                  "then run this command again");
	} else {
		snprintf(why, PROVISION_WHY_SIZE, "%s failed: %.200s; double-tap the reset button "
		                                  "of the board and run this command again",
		         program, last_line(run));
	}
	return -EIO;
}

int
bossac_run(const char *const *argv, char *why)
{
	struct run run = { .used = 0 };
	int status = 0;
	int r = start(argv, &run);

	if (r < 0) {
		snprintf(why, PROVISION_WHY_SIZE, "cannot start %s: %s", argv[0], err_text(r));
		return r;
	}
	listen_to(&run);
	while (waitpid(run.child, &status, 0) < 0 && errno == EINTR) {
	}
	r = explain(&run, argv[0], status, why);
	close(run.output);
	close(run.failed);
	return r;
}
