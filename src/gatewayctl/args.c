/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line: options of gatewayctl anywhere, the command (one or two
 * words), its options and arguments in any order, "--" ends the options.
 */
#include "cli.h"

#include <stdlib.h>

const struct command *
cli_find_command(const char *name)
{
	for (const struct command *c = commands; c->name != NULL; c++) {
		if (strcmp(c->name, name) == 0) {
			return c;
		}
	}
	return NULL;
}

const char *
cli_option(const struct cli *cli, const char *name, unsigned index)
{
	for (unsigned i = 0; i < cli->options; i++) {
		if (strcmp(cli->option[i].spec->name, name) == 0 && index-- == 0) {
			return cli->option[i].value;
		}
	}
	return NULL;
}

int
cli_option_number(const struct cli *cli, const char *name, unsigned most, unsigned *out)
{
	const char *text = cli_option(cli, name, 0);
	char *end;
	unsigned long number;

	if (text == NULL) {
		return 0;
	}
	if (text[0] < '0' || text[0] > '9') {
		return ERR_MALFORMED;
	}
	number = strtoul(text, &end, 10);
	if (*end != '\0' || number == 0 || number > most) {
		return ERR_MALFORMED;
	}
	*out = (unsigned)number;
	return 0;
}

/* Matches "--name", "--name=..." and "-x"; *value behind '=' or NULL. */
static bool
matches(const struct option_spec *spec, const char *arg, const char **value)
{
	size_t n = strlen(spec->name);

	*value = NULL;
	if (arg[1] != '-') {
		*value = arg[1] != '\0' && arg[2] != '\0' ? arg + 2 : NULL;
		return spec->letter != 0 && arg[1] == spec->letter &&
		       (*value == NULL || spec->value != NULL);
	}
	if (strncmp(arg + 2, spec->name, n) != 0 || (arg[2 + n] != '\0' && arg[2 + n] != '=')) {
		return false;
	}
	*value = arg[2 + n] == '=' ? arg + 3 + n : NULL;
	return *value == NULL || spec->value != NULL;
}

static const struct option_spec *
find_option(const struct option_spec *list, const char *arg, const char **value)
{
	for (; list != NULL && list->name != NULL; list++) {
		if (matches(list, arg, value)) {
			return list;
		}
	}
	return NULL;
}

/* One option at argv[*at]; *at moves to its last word. */
static int
take_option(struct cli *cli, char **argv, int argc, int *at)
{
	const char *arg = argv[*at];
	const char *value;
	const struct option_spec *spec = find_option(global_options, arg, &value);

	if (spec == NULL && cli->command != NULL) {
		spec = find_option(cli->command->options, arg, &value);
	}
	if (spec == NULL) {
		cli_note(cli, "unknown option %s%s%s", arg,
		         cli->command != NULL ? "; see gatewayctl help " : "; see gatewayctl --help",
		         cli->command != NULL ? cli->command->name : "");
		return CLI_USAGE;
	}
	if (spec->value != NULL && value == NULL) {
		if (*at + 1 == argc) {
			cli_note(cli, "option %s needs a value: %s", arg, spec->value);
			return CLI_USAGE;
		}
		value = argv[++*at];
	}
	cli->option[cli->options++] =
	        (struct cli_option){ .spec = spec, .value = value != NULL ? value : "" };
	return CLI_DONE;
}

/* The command at argv[at]: as many words as make one. Words taken. */
static int
take_command(struct cli *cli, char **argv, int argc, int at)
{
	char name[3][64];
	int words = 0;

	for (; words < 3 && at + words < argc && (words == 0 || argv[at + words][0] != '-');
	     words++) {
		snprintf(name[words], sizeof name[words], "%s%s%s", words > 0 ? name[words - 1] : "",
		         words > 0 ? " " : "", argv[at + words]);
	}
	for (; words > 0; words--) {
		cli->command = cli_find_command(name[words - 1]);
		if (cli->command != NULL) {
			return words;
		}
	}
	cli_note(cli, "unknown command %s; see gatewayctl --help", argv[at]);
	return -1;
}

/* Given twice, the last one counts, so that an alias can be overruled. */
static const char *
last_option(const struct cli *cli, const char *name)
{
	const char *value = NULL, *next;

	for (unsigned i = 0; (next = cli_option(cli, name, i)) != NULL; i++) {
		value = next;
	}
	return value;
}

static int
take_globals(struct cli *cli)
{
	static const char *const names[] = { "table", "yaml", "json" };
	const char *format = last_option(cli, "output");

	cli->file = last_option(cli, "config");
	cli->socket = last_option(cli, "socket");
	for (unsigned i = 0; format != NULL && i < 3; i++) {
		if (strcmp(format, names[i]) == 0) {
			cli->format = (enum cli_format)i;
			return CLI_DONE;
		}
	}
	if (format != NULL) {
		cli_note(cli, "there is no output format %s: table, yaml or json", format);
		return CLI_USAGE;
	}
	return CLI_DONE;
}

static int
check_words(struct cli *cli)
{
	const struct command *command = cli->command;

	if (command == NULL || cli_option(cli, "help", 0) != NULL ||
	    (cli->words >= command->least && cli->words <= command->most)) {
		return CLI_DONE;
	}
	if (command->most == 0) {
		cli_note(cli, "%s takes no argument %s; see gatewayctl help %s", command->name,
		         cli->word[0], command->name);
		return CLI_USAGE;
	}
	cli_note(cli, "usage: gatewayctl %s%s%s", command->name,
	         command->arguments[0] != '\0' ? " " : "", command->arguments);
	return CLI_USAGE;
}

int
cli_parse(struct cli *cli, int argc, char **argv)
{
	bool options = true;
	int r = CLI_DONE;

	cli->option = calloc((size_t)argc + 1, sizeof *cli->option);
	cli->word = calloc((size_t)argc + 1, sizeof *cli->word);
	if (cli->option == NULL || cli->word == NULL) {
		return cli_fail_memory(cli);
	}
	for (int i = 1; i < argc && r == CLI_DONE; i++) {
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
		} else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
			r = take_option(cli, argv, argc, &i);
		} else if (cli->command == NULL) {
			int taken = take_command(cli, argv, argc, i);

			r = taken < 0 ? CLI_USAGE : CLI_DONE;
			i += taken - 1;
		} else {
			cli->word[cli->words++] = argv[i];
		}
	}
	if (r == CLI_DONE) {
		r = take_globals(cli);
	}
	return r == CLI_DONE ? check_words(cli) : r;
}
