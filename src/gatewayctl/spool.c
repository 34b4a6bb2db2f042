/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl spool: what is stored for the broker, and its removal. */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "print.h"

/* ---- spool ------------------------------------------------------------------ */

static void
print_spool(FILE *out, const struct doc *doc)
{
	static const struct column totals[] = {
		{ "messages", "messages", PRINT_NUMBER },
		{ "bytes", "size", PRINT_BYTES },
		{ "limit", "limit", PRINT_BYTES },
		{ "oldest", "oldest", PRINT_WHEN },
		{ "stored", "stored", PRINT_NUMBER },
		{ "delivered", "delivered", PRINT_NUMBER },
		{ "expired", "expired", PRINT_NUMBER },
		{ "dropped", "dropped", PRINT_NUMBER },
		{ "refused_full", "refused, full", PRINT_NUMBER },
		{ "refused_broker", "refused by broker", PRINT_NUMBER },
		{ "purged", "purged", PRINT_NUMBER },
		{ "last_error", "last error", PRINT_TEXT, true },
		{ NULL },
	};
	static const struct column devices[] = {
		{ "identity", "DEVICE" },
		{ "messages", "MESSAGES", PRINT_NUMBER },
		{ "bytes", "SIZE", PRINT_BYTES },
		{ "oldest", "OLDEST", PRINT_AGO },
		{ "dropped", "DROPPED", PRINT_NUMBER },
		{ NULL },
	};
	const struct doc *list = doc_get(doc, "devices");

	print_record(out, doc, totals, 0);
	if (doc_count(list) > 0) {
		fputc('\n', out);
		print_table(out, list, devices);
	}
}

int
spool_run(struct cli *cli)
{
	struct doc *args = doc_map(), *doc;
	char why[CLI_WHY_SIZE];
	int r;

	if (cli->words > 0) {
		doc_set_text(args, "identity", cli->word[0]);
	}
	r = cli_ask(cli, "spool", args, &doc, why, NULL);
	doc_free(args);
	return r < 0 ? cli_fail(cli, r, "%s", why) : cli_result(cli, doc, print_spool);
}

/* ---- spool purge -------------------------------------------------------------- */

static void
print_purged(FILE *out, const struct doc *doc)
{
	int64_t n = doc_get_int(doc, "purged", 0);

	fprintf(out, "%" PRId64 " message%s removed\n", n, n == 1 ? "" : "s");
}

/*
 * What was acknowledged to a device is lost with it, so a person is asked; a
 * script says --yes.
 */
static int
confirm(struct cli *cli, const char *identity)
{
	char answer[16] = "";

	if (cli_option(cli, "yes", 0) != NULL) {
		return CLI_DONE;
	}
	if (!isatty(STDIN_FILENO)) {
		cli_note(cli, "what is removed is lost; add --yes to do it without being asked");
		return CLI_USAGE;
	}
	if (identity != NULL) {
		cli_note(cli, "remove all messages stored for %s? They are lost then. [y/N]", identity);
	} else {
		cli_note(cli, "remove all messages stored for ALL devices? They are lost then. [y/N]");
	}
	if (fgets(answer, sizeof answer, stdin) != NULL &&
	    (strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0)) {
		return CLI_DONE;
	}
	return cli_fail(cli, -ECANCELED, "nothing was removed");
}

int
spool_purge_run(struct cli *cli)
{
	const char *identity = cli->words > 0 ? cli->word[0] : NULL;
	struct doc *args, *doc;
	char why[CLI_WHY_SIZE];
	int r;

	if ((identity != NULL) == (cli_option(cli, "all", 0) != NULL)) {
		cli_note(cli, "name a device, or give --all");
		return CLI_USAGE;
	}
	r = confirm(cli, identity);
	if (r != CLI_DONE) {
		return r;
	}
	args = doc_map();
	if (identity != NULL) {
		doc_set_text(args, "identity", identity);
	} else {
		doc_set_bool(args, "all", true);
	}
	r = cli_ask(cli, "spool-purge", args, &doc, why, NULL);
	doc_free(args);
	return r < 0 ? cli_fail(cli, r, "%s", why) : cli_result(cli, doc, print_purged);
}
