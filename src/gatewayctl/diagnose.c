/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl diagnose: the story of one device, and what is wrong with it now. */
#include "run.h"

#include <stdlib.h>

#include "print.h"
#include "wrap.h"

#define INDENT 2

/* The text of a key as a paragraph under its title; none when it is empty. */
static void
print_paragraph(FILE *out, const struct doc *map, const char *key, const char *title)
{
	const char *text = doc_get_text(map, key, "");

	if (text[0] != '\0') {
		fprintf(out, "\n%s\n%*s", title, INDENT, "");
		wrap_text(out, text, INDENT, wrap_columns(out));
	}
}

/* What happened; an event without a sentence speaks for itself. */
static void
print_story(FILE *out, const struct doc *story)
{
	static const struct column columns[] = {
		{ "at", "WHEN", PRINT_AGO },
		{ "event", "EVENT" },
		{ "cause", "CAUSE" },
		{ "sentence", "SENTENCE" },
		{ NULL },
	};
	struct table *table;

	if (doc_count(story) == 0) {
		fputs("\nnothing has happened that is remembered\n", out);
		return;
	}
	table = table_new(columns);
	for (size_t i = 0; table != NULL && i < doc_count(story); i++) {
		table_add(table, doc_at(story, i));
	}
	if (table != NULL) {
		table_wrap(table, wrap_columns(out));
	}
	fputc('\n', out);
	if (table == NULL || table_print(table, out) < 0) {
		fputs("(no memory for the table)\n", out);
	}
}

static void
print_evidence(FILE *out, const struct doc *texts)
{
	if (doc_count(texts) > 0) {
		fputs("\ndecided by\n", out);
	}
	for (size_t i = 0; i < doc_count(texts); i++) {
		fprintf(out, "%*s", INDENT, "");
		wrap_text(out, doc_text(doc_at(texts, i)), INDENT, wrap_columns(out));
	}
}

static void
print_verdict(FILE *out, const struct doc *verdict)
{
	char *cause = print_cell(doc_get(verdict, "cause"), PRINT_TEXT);
	char *confidence = print_cell(doc_get(verdict, "confidence"), PRINT_TEXT);
	char title[160];

	snprintf(title, sizeof title, "now: %s (confidence %s)", cause != NULL ? cause : "",
	         confidence != NULL ? confidence : "");
	print_paragraph(out, verdict, "sentence", title);
	print_paragraph(out, verdict, "remedy", "what to do");
	print_paragraph(out, verdict, "codes", "what the sketch prints in this case");
	print_evidence(out, doc_get(verdict, "decided_by"));
	free(cause);
	free(confidence);
}

static void
print_diagnosis(FILE *out, const struct doc *doc)
{
	char *subject = print_cell(doc_get(doc, "subject"), PRINT_TEXT);

	fprintf(out, "%s, %s\n", subject != NULL ? subject : "",
	        doc_get_bool(doc, "connected", false) ? "connected now" : "not connected now");
	free(subject);
	print_story(out, doc_get(doc, "story"));
	print_verdict(out, doc_get(doc, "verdict"));
}

int
diagnose_run(struct cli *cli)
{
	struct doc *args = doc_map(), *doc;
	char why[CLI_WHY_SIZE];
	int r;

	failures_subject(args, cli->word[0]);
	r = cli_ask(cli, "diagnose", args, &doc, why, NULL);
	doc_free(args);
	return r < 0 ? cli_fail(cli, r, "%s", why) : cli_result(cli, doc, print_diagnosis);
}
