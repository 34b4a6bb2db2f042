/* SPDX-License-Identifier: BSD-2-Clause */
/* mkr1000-emulator: one board, or several in a process each. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulator/emulator.h"

static pid_t children[64];
static volatile sig_atomic_t child_count;

static void
pass_on(int number)
{
	for (int i = 0; i < child_count; i++) {
		kill(children[i], number == SIGINT ? SIGTERM : number);
	}
}

/* A child stays in the list when it has ended: its number is not given again before it is waited for. */
static int
wait_for_all(int count)
{
	int worst = EXIT_DONE;

	for (int i = 0; i < count; i++) {
		int status = 0;

		while (waitpid(children[i], &status, 0) < 0 && errno == EINTR) {
		}
		status = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SYSTEM;
		worst = status > worst ? status : worst;
	}
	return worst;
}

/* A board does not outlive the emulator, however that ends. */
static void
end_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent) {
		_exit(EXIT_SYSTEM);
	}
}

int
emulator_run_all(const struct options *options)
{
	struct sigaction action = { .sa_handler = pass_on };
	sigset_t ending;
	pid_t self = getpid();
	int worst = EXIT_DONE;
	int status;

	/* Held back until each board has its own handlers, and the list is complete. */
	sigemptyset(&ending);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGTERM);
	sigprocmask(SIG_BLOCK, &ending, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	for (unsigned i = 0; i < options->instances; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			end_with(self);
			exit(emulator_run(options, i + 1));
		}
		if (pid < 0) {
			perror("mkr1000-emulator: fork");
			worst = EXIT_SYSTEM;
			break;
		}
		children[child_count] = pid;
		child_count = child_count + 1;
	}
	sigprocmask(SIG_UNBLOCK, &ending, NULL);
	if (worst != EXIT_DONE) {
		pass_on(SIGTERM);
	}
	status = wait_for_all(child_count);
	return status > worst ? status : worst;
}

int
main(int argc, char **argv)
{
	struct options options;
	int status = options_parse(&options, argc, argv);

	if (status >= 0) {
		return status;
	}
	return options.instances == 1 ? emulator_run(&options, 1) : emulator_run_all(&options);
}
