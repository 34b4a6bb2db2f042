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

#include "base/utf8.h"
#include "print.h"

struct watching {
	struct cli *cli;
	void (*line)(FILE *out, const struct doc *event);
	int error; /* of printing */
};

static void
print_time(FILE *out, int64_t when)
{
	time_t at = (time_t)when;
	char text[16] = "-";
	struct tm tm;

	if (localtime_r(&at, &tm) != NULL) {
		strftime(text, sizeof text, "%H:%M:%S", &tm);
	}
	fputs(text, out);
}

/* "12:03:55  192.0.2.7  pump1  device-lacks-ca  sentence", escaped. */
static void
print_failure(FILE *out, const struct doc *failure)
{
	static const char *const cells[] = { "address", "device", "cause", "sentence" };
	struct doc *row = doc_map();
	int64_t count = doc_get_int(failure, "count", 1);

	print_time(out, doc_get_int(failure, "last_at", 0));
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

/* What is shown of a payload on one line, in bytes of its text or hex digits. */
#define PREVIEW 120

static void
print_payload(FILE *out, const struct doc *message)
{
	const char *payload = doc_get_text(message, "payload", "");
	bool hex = strcmp(doc_get_text(message, "encoding", "text"), "hex") == 0;
	struct span text = utf8_head(span_str(payload), PREVIEW);
	struct doc *head = doc_string(text);
	char *cell = print_cell(head, PRINT_TEXT);

	fprintf(out, "  %s%s%s", hex ? "hex " : "", cell != NULL ? cell : "",
	        payload[text.len] != '\0' || doc_get_bool(message, "cut", false) ? "..." : "");
	free(cell);
	doc_free(head);
}

/* "12:03:55  up  Home = home/pump1/telemetry  qos 1 retain  17 B  text", escaped. */
static void
print_message(FILE *out, const struct doc *message)
{
	char *device = print_cell(doc_get(message, "device_topic"), PRINT_TEXT);
	char *broker = print_cell(doc_get(message, "broker_topic"), PRINT_TEXT);

	print_time(out, doc_get_int(message, "at", 0));
	fprintf(out, "  %-4s  %s = %s  qos %" PRId64 "%s  %" PRId64 " B",
	        doc_get_text(message, "direction", ""), device != NULL ? device : "",
	        broker != NULL ? broker : "", doc_get_int(message, "qos", 0),
	        doc_get_bool(message, "retain", false) ? " retain" : "",
	        doc_get_int(message, "size", 0));
	print_payload(out, message);
	fputc('\n', out);
	free(device);
	free(broker);
}

static int
print_event(const struct watching *w, const struct doc *event)
{
	struct cli *cli = w->cli;
	struct buf text = { 0 };
	struct span s;
	int r = 0;

	if (cli->format == CLI_TABLE) {
		w->line(cli->out, event);
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

	w->error = print_event(w, event);
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
watch(struct cli *cli, const struct doc *args, void (*line)(FILE *out, const struct doc *event))
{
	struct watching w = { .cli = cli, .line = line };
	struct ctl_watch events = { .event = take_event, .owner = &w, .stop = open_signals() };
	char why[CLI_WHY_SIZE];
	int r;

	if (events.stop < 0) {
		return cli_fail(cli, -errno, "cannot wait for signals: %s", err_text(-errno));
	}
	r = cli_watch(cli, "watch", args, &events, why);
	close(events.stop);
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
	bool failures = cli_option(cli, "failures", 0) != NULL;
	struct doc *args;
	int r;

	if (failures == (cli->words > 0)) {
		cli_note(cli, "say what to watch: gatewayctl watch ID, or gatewayctl watch "
		              "--failures");
		return CLI_USAGE;
	}
	args = doc_map();
	doc_set_text(args, "what", failures ? "failures" : "device");
	if (!failures) {
		doc_set_text(args, "identity", cli->word[0]);
	}
	r = doc_failed(args) ? cli_fail_memory(cli) :
	                       watch(cli, args, failures ? print_failure : print_message);
	doc_free(args);
	return r;
}
