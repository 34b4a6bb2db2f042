/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that ask gatewayd: status, disconnect, reload. */
#include "run.h"

#include <inttypes.h>
#include <stdlib.h>

#include "print.h"

/* ---- status ------------------------------------------------------------- */

static void
print_listeners(FILE *out, const struct doc *listeners)
{
	for (size_t i = 0; i < doc_count(listeners); i++) {
		const struct doc *one = doc_at(listeners, i);
		char *address = print_cell(doc_get(one, "address"), PRINT_TEXT);
		bool six = address != NULL && strchr(address, ':') != NULL;

		fprintf(out, "%-15s %s%s%s:%" PRId64 "\n", i == 0 ? "listens at" : "",
		        six ? "[" : "", address != NULL ? address : "", six ? "]" : "",
		        doc_get_int(one, "port", 0));
		free(address);
	}
}

static void
print_metrics(FILE *out, const struct doc *metrics)
{
	size_t width = 0;

	fputs("counters\n", out);
	for (size_t i = 0; i < doc_count(metrics); i++) {
		size_t own = strlen(doc_key_at(metrics, i));

		width = own > width ? own : width;
	}
	for (size_t i = 0; i < doc_count(metrics); i++) {
		char *cell = print_cell(doc_at(metrics, i), PRINT_NUMBER);

		fprintf(out, "  %-*s  %12s\n", (int)width, doc_key_at(metrics, i),
		        cell != NULL ? cell : "");
		free(cell);
	}
}

/* The gateway's own session with the broker, and what the broker says of itself. */
static void
print_broker_session(FILE *out, const struct doc *broker)
{
	static const struct column session[] = {
		{ "connected", "own session   ", PRINT_YES_NO },
		{ "since", "since", PRINT_WHEN },
		{ "last_error", "last error    ", PRINT_TEXT, true },
		{ "round_trip_us", "round trip us ", PRINT_NUMBER },
		{ "inflight", "being drained ", PRINT_NUMBER },
		{ "drained", "drained", PRINT_NUMBER },
		{ NULL },
	};
	static const struct column figures[] = {
		{ "version", "broker says   ", PRINT_TEXT, true },
		{ "uptime", "  uptime", PRINT_TEXT, true },
		{ "clients_connected", "  clients", PRINT_TEXT, true },
		{ "clients_total", "  sessions", PRINT_TEXT, true },
		{ "messages_dropped", "  dropped", PRINT_TEXT, true },
		{ "messages_stored", "  stored", PRINT_TEXT, true },
		{ "heap", "  heap bytes", PRINT_TEXT, true },
		{ "received_1min", "  messages/min", PRINT_TEXT, true },
		{ NULL },
	};

	print_record(out, doc_get(broker, "session"), session, 0);
	print_record(out, doc_get(broker, "figures"), figures, 0);
}

static void
print_status(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "gateway", "gateway" },
		{ "version", "version" },
		{ "pid", "process", PRINT_NUMBER },
		{ "started", "started", PRINT_WHEN },
		{ "configuration", "configuration" },
		{ "register", "register" },
		{ "admission", "admission" },
		{ "workers", "workers       ", PRINT_NUMBER },
		{ NULL },
	};
	static const struct column broker[] = {
		{ "address", "broker" },
		{ "state", "broker is" },
		{ "frozen", "frozen", PRINT_YES_NO, true },
		{ "since", "since", PRINT_WHEN },
		{ "last_error", "last error    ", PRINT_TEXT, true },
		{ NULL },
	};

	print_record(out, doc, columns, 0);
	print_listeners(out, doc_get(doc, "listeners"));
	print_record(out, doc_get(doc, "broker"), broker, 0);
	print_broker_session(out, doc_get(doc, "broker"));
	print_metrics(out, doc_get(doc, "metrics"));
}

int
status_run(struct cli *cli)
{
	struct doc *doc;
	char why[CLI_WHY_SIZE];
	int r = cli_ask(cli, "status", NULL, &doc, why, NULL);

	return r < 0 ? cli_fail(cli, r, "%s", why) : cli_result(cli, doc, print_status);
}

/* ---- disconnect --------------------------------------------------------- */

static void
print_disconnected(FILE *out, const struct doc *doc)
{
	int64_t n = doc_get_int(doc, "disconnected", 0);

	fprintf(out, "%" PRId64 " session%s closed\n", n, n == 1 ? "" : "s");
}

int
disconnect_run(struct cli *cli)
{
	struct doc *args = doc_map(), *doc;
	char why[CLI_WHY_SIZE];
	int r;

	doc_set_text(args, "identity", cli->word[0]);
	r = cli_ask(cli, "disconnect", args, &doc, why, NULL);
	doc_free(args);
	if (r < 0) {
		return cli_fail(cli, r, "%s", why);
	}
	if (doc_get_int(doc, "disconnected", 0) == 0) {
		doc_free(doc);
		return cli_fail(cli, ERR_NOT_FOUND, "%s is not connected", cli->word[0]);
	}
	return cli_result(cli, doc, print_disconnected);
}

/* ---- reload ------------------------------------------------------------- */

static void
print_reload(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "key", "KEY" },
		{ "before", "BEFORE" },
		{ "after", "AFTER" },
		{ "needs_restart", "NEEDS RESTART", PRINT_YES_NO },
		{ NULL },
	};
	const struct doc *changed = doc_get(doc, "changed");
	int64_t closed = doc_get_int(doc, "sessions_closed", 0);

	if (doc_count(changed) == 0) {
		fputs("nothing in the configuration has changed\n", out);
	} else {
		print_table(out, changed, columns);
	}
	if (closed > 0) {
		fprintf(out, "%" PRId64 " session%s closed, because its rights have changed\n", closed,
		        closed == 1 ? "" : "s");
	}
}

int
reload_run(struct cli *cli)
{
	char why[CLI_WHY_SIZE];
	char *refusal = NULL;
	struct doc *doc;
	int r;

	/* With a faulty file we cannot know the socket, but we know the answer. */
	if (cli->socket == NULL && cli_conf(cli) < 0) {
		return cli_fail(cli, ERR_CONF, "the configuration has faults, nothing was changed");
	}
	r = cli_ask(cli, "reload", NULL, &doc, why, &refusal);
	if (r == ERR_CONF) {
		/* Lines of "file:line: key: sentence": as they are, for editors. */
		cli_note(cli, "the configuration has faults, nothing was changed:\n%s",
		         refusal != NULL ? refusal : why);
		free(refusal);
		return CLI_FAILED;
	}
	free(refusal);
	return r < 0 ? cli_fail(cli, r, "%s", why) : cli_result(cli, doc, print_reload);
}
