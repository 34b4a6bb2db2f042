/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli.h"

#include "wrap.h"

#define COLUMNS 80 /* also where the output is no terminal */

static void
print_options(const struct option_spec *list, FILE *out)
{
	for (; list != NULL && list->name != NULL; list++) {
		char text[64];
		int at;

		snprintf(text, sizeof text, "--%s%s%s", list->name, list->value != NULL ? " " : "",
		         list->value != NULL ? list->value : "");
		at = fprintf(out, "  %c%c%c %-20s  ", list->letter != 0 ? '-' : ' ',
		        list->letter != 0 ? list->letter : ' ', list->letter != 0 ? ',' : ' ', text);
		wrap_text(out, list->help, at > 0 ? (size_t)at : 0, COLUMNS);
	}
}

/* Each example line, indented. */
static void
print_examples(const char *lines, FILE *out)
{
	while (*lines != '\0') {
		size_t n = strcspn(lines, "\n");

		fprintf(out, "  %.*s\n", (int)n, lines);
		lines += n + 1;
	}
}

void
help_overview(FILE *out)
{
	fputs("Usage: gatewayctl [OPTION...] COMMAND [ARGUMENT...]\n\n"
	      "Sets up and looks after gatewayd, the MQTT gateway for devices with\n"
	      "certificates.\n\n"
	      "Commands:\n",
	      out);
	for (const struct command *c = commands; c->name != NULL; c++) {
		char text[64];

		snprintf(text, sizeof text, "%s %s", c->name, c->arguments);
		fprintf(out, "  %-32s  ", text);
		wrap_text(out, c->summary, 36, COLUMNS);
	}
	fputs("\nOptions:\n", out);
	print_options(global_options, out);
	fputs("\nExamples:\n"
	      "  gatewayctl init\n"
	      "  gatewayctl enroll --csr board.csr\n"
	      "  gatewayctl devices\n"
	      "  gatewayctl help enroll\n\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage, 3 gatewayd is not running,\n"
	      "4 not allowed.\n",
	      out);
}

void
help_command(const struct command *command, FILE *out)
{
	fprintf(out, "Usage: gatewayctl %s%s%s%s\n\n", command->name,
	        command->options != NULL ? " [OPTION...]" : "",
	        command->arguments[0] != '\0' ? " " : "", command->arguments);
	fprintf(out, "%s\n", command->summary);
	if (command->text != NULL) {
		fprintf(out, "\n%s", command->text);
	}
	if (command->options != NULL) {
		fputs("\nOptions:\n", out);
		print_options(command->options, out);
	}
	fputs("\nExamples:\n", out);
	print_examples(command->examples, out);
}

int
help_run(struct cli *cli)
{
	char name[64];
	const struct command *command;

	if (cli->words == 0) {
		help_overview(cli->out);
		return CLI_DONE;
	}
	snprintf(name, sizeof name, "%s%s%s%s%s", cli->word[0], cli->words > 1 ? " " : "",
	         cli->words > 1 ? cli->word[1] : "", cli->words > 2 ? " " : "",
	         cli->words > 2 ? cli->word[2] : "");
	command = cli_find_command(name);
	if (command == NULL) {
		cli_note(cli, "there is no command %s; see gatewayctl --help", name);
		return CLI_USAGE;
	}
	help_command(command, cli->out);
	return CLI_DONE;
}
