/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl failures: who failed, how often, and why. */
#include "run.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>

#include "print.h"
#include "text.h"
#include "wrap.h"

#define LIMIT_MAX 100000

void
failures_subject(struct doc *args, const char *word)
{
	struct in6_addr address;
	bool is_address = inet_pton(AF_INET, word, &address) == 1 ||
	                  inet_pton(AF_INET6, word, &address) == 1;

	doc_set_text(args, is_address ? "address" : "identity", word);
}

/* "5.2 s", "3 min": the time between two attempts. */
static void
put_every(struct doc *row, int64_t ms)
{
	char text[TEXT_SIZE];

	if (ms <= 0) {
		return;
	}
	if (ms < 120 * 1000) {
		snprintf(text, sizeof text, "%" PRId64 ".%" PRId64 " s", ms / 1000, ms % 1000 / 100);
	} else if (ms < 7200 * 1000) {
		snprintf(text, sizeof text, "%" PRId64 " min", ms / 60000);
	} else {
		snprintf(text, sizeof text, "%" PRId64 " h", ms / 3600000);
	}
	doc_set_text(row, "every", text);
}

void
failures_put_device(struct doc *row, const struct doc *failure)
{
	const char *identity = doc_get_text(failure, "identity", "");
	const char *name = doc_get_text(failure, "name", "");
	char *claimed = NULL;

	if (identity[0] != '\0' || name[0] == '\0') {
		doc_set_text(row, "device", identity);
	} else if (asprintf(&claimed, "(%s)", name) >= 0) {
		doc_set_text(row, "device", claimed);
		free(claimed);
	}
}

static struct doc *
make_row(const struct doc *failure)
{
	static const char *const texts[] = { "address", "cause", "sentence" };
	struct doc *row = doc_map();

	doc_set_int(row, "last_at", doc_get_int(failure, "last_at", 0));
	doc_set_int(row, "count", doc_get_int(failure, "count", 1));
	put_every(row, doc_get_int(failure, "retry_ms", 0));
	failures_put_device(row, failure);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		doc_set_text(row, texts[i], doc_get_text(failure, texts[i], ""));
	}
	return row;
}

static void
print_failures(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "last_at", "LAST", PRINT_AGO },
		{ "count", "COUNT", PRINT_NUMBER },
		{ "every", "EVERY" },
		{ "address", "ADDRESS" },
		{ "device", "DEVICE" },
		{ "cause", "CAUSE" },
		{ "sentence", "SENTENCE" },
		{ NULL },
	};
	const struct doc *failures = doc_get(doc, "failures");
	struct table *table = table_new(columns);

	for (size_t i = 0; table != NULL && i < doc_count(failures); i++) {
		struct doc *row = make_row(doc_at(failures, i));

		table_add(table, row);
		doc_free(row);
	}
	if (table != NULL) {
		table_wrap(table, wrap_columns(out));
	}
	if (table == NULL || table_print(table, out) < 0) {
		fputs("(no memory for the table)\n", out);
	} else if (doc_count(failures) > 0) {
		fputs("\nWhat to do about one: gatewayctl diagnose ID or ADDRESS\n", out);
	}
}

int
failures_run(struct cli *cli)
{
	unsigned limit = 0;
	struct doc *args, *doc;
	char why[CLI_WHY_SIZE];
	int r;

	if (cli_option_number(cli, "limit", LIMIT_MAX, &limit) < 0) {
		cli_note(cli, "--limit is a number from 1 to %d", LIMIT_MAX);
		return CLI_USAGE;
	}
	args = doc_map();
	if (limit > 0) {
		doc_set_int(args, "limit", limit);
	}
	if (cli->words > 0) {
		failures_subject(args, cli->word[0]);
	}
	r = cli_ask(cli, "failures", args, &doc, why, NULL);
	doc_free(args);
	return r < 0 ? cli_fail(cli, r, "%s", why) : cli_result(cli, doc, print_failures);
}
