/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl watch: a line for each event until the person has seen enough. */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "print.h"

struct watching {
	struct cli *cli;
	int error; /* of printing */
};

/* "12:03:55  192.0.2.7  pump1  device-lacks-ca  sentence", escaped. */
static void
print_line(FILE *out, const struct doc *failure)
{
	static const char *const cells[] = { "address", "device", "cause", "sentence" };
	struct doc *row = doc_map();
	time_t at = (time_t)doc_get_int(failure, "last_at", 0);
	int64_t count = doc_get_int(failure, "count", 1);
	char text[16] = "-";
	struct tm tm;

	if (localtime_r(&at, &tm) != NULL) {
		strftime(text, sizeof text, "%H:%M:%S", &tm);
	}
	fputs(text, out);
	failures_put_device(row, failure);
	for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
		char *cell = print_cell(doc_get(i == 1 ? row : failure, cells[i]), PRINT_TEXT);

		fprintf(out, "  %s", cell != NULL ? cell : "");
		free(cell);
	}
	if (count > 1) {
		fprintf(out, " (%" PRId64 " times)", count);
	}
	doc_free(row);
	fputc('\n', out);
}

static int
print_event(struct cli *cli, const struct doc *event)
{
	struct buf text = { 0 };
	struct span s;
	int r = 0;

	if (cli->format == CLI_TABLE) {
		print_line(cli->out, event);
	} else {
		r = cli->format == CLI_JSON ? doc_write_json_line(event, &text) :
		                              buf_append(&text, span_str("---\n"));
		if (r == 0 && cli->format == CLI_YAML) {
			r = doc_write_yaml(event, &text);
		}
		s = buf_span(&text);
		if (r == 0 && fwrite(s.ptr, 1, s.len, cli->out) != s.len) {
			r = -errno;
		}
	}
	buf_release(&text);
	/* At once: the reader may be a person, or a program in a pipe. */
	if (r == 0 && (fflush(cli->out) != 0 || ferror(cli->out))) {
		r = -errno;
	}
	return r;
}

static bool
take_event(void *owner, const struct doc *event)
{
	struct watching *w = owner;

	w->error = print_event(w->cli, event);
	return w->error == 0;
}

/* Ctrl-C and TERM as something to wait for beside the socket. */
static int
open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) {
		return -1;
	}
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int
watch_failures(struct cli *cli, const struct doc *args)
{
	struct watching w = { .cli = cli };
	struct ctl_watch watch = { .event = take_event, .owner = &w, .stop = open_signals() };
	char why[CLI_WHY_SIZE];
	int r;

	if (watch.stop < 0) {
		return cli_fail(cli, -errno, "cannot wait for signals: %s", err_text(-errno));
	}
	r = cli_watch(cli, "watch", args, &watch, why);
	close(watch.stop);
	if (r == ERR_CLOSED) {
		return cli_fail(cli, ERR_UNAVAILABLE, "gatewayd has ended");
	}
	if (r < 0) {
		return cli_fail(cli, r, "%s", why);
	}
	if (w.error < 0) {
		return cli_fail(cli, w.error, "cannot print: %s", err_text(w.error));
	}
	return CLI_DONE;
}

int
watch_run(struct cli *cli)
{
	struct doc *args;
	int r;

	if (cli_option(cli, "failures", 0) == NULL) {
		cli_note(cli, "say what to watch: gatewayctl watch --failures");
		return CLI_USAGE;
	}
	args = doc_map();
	doc_set_text(args, "what", "failures");
	r = doc_failed(args) ? cli_fail_memory(cli) : watch_failures(cli, args);
	doc_free(args);
	return r;
}
