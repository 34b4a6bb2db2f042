/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every command of gatewayctl works with: the parsed command line, the
 * configuration, register and daemon (each opened when first asked for), and
 * the way out: results on stdout in the chosen format, diagnostics on stderr.
 */
#ifndef GATEWAYCTL_CLI_H
#define GATEWAYCTL_CLI_H

#include <stdio.h>

#include "conf/conf.h"
#include "ctl/client.h"
#include "ctl/doc.h"
#include "register/reg.h"

#define CLI_WHY_SIZE 256

/* Exit codes, as the manual lists them. */
enum cli_exit {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_NOT_RUNNING = 3,
	CLI_NOT_ALLOWED = 4,
};

enum cli_format { CLI_TABLE, CLI_YAML, CLI_JSON };

struct cli;

struct option_spec {
	const char *name;  /* long name; NULL ends the list */
	char letter;       /* 0: none */
	const char *value; /* "FILE"; NULL: a flag */
	const char *help;
};

struct command {
	const char *name;      /* one or two words; NULL ends the table */
	const char *arguments; /* as shown by help */
	unsigned least, most;  /* how many arguments */
	const char *summary;   /* one line */
	const char *text;      /* more, NULL: none */
	const char *examples;  /* command lines, each with a line feed */
	const struct option_spec *options; /* NULL: none */
	int (*run)(struct cli *cli);       /* returns enum cli_exit */
};

struct cli {
	const struct command *command;
	const char *file;   /* -c, NULL: the default one */
	const char *socket; /* -s, NULL: what the configuration says */
	enum cli_format format;
	FILE *out, *err;
	const char **word; /* arguments */
	unsigned words;
	struct cli_option {
		const struct option_spec *spec;
		const char *value; /* "" for a flag */
	} *option;
	unsigned options;
	struct conf *conf;
};

extern const struct command commands[];
extern const struct option_spec global_options[];

/* args.c: fills cli; CLI_DONE, or CLI_USAGE after a sentence on stderr. */
int cli_parse(struct cli *cli, int argc, char **argv) MUST_CHECK;
/* Value of an option, the index-th time it was given; NULL: it was not. */
const char *cli_option(const struct cli *cli, const char *name, unsigned index);
/* A positive number; *out keeps its value when the option was not given. */
int cli_option_number(const struct cli *cli, const char *name, unsigned most,
                      unsigned *out) MUST_CHECK;
/* The command of that name (words joined by a blank), or NULL. */
const struct command *cli_find_command(const char *name);

/* help.c */
void help_overview(FILE *out);
void help_command(const struct command *command, FILE *out);
int help_run(struct cli *cli);

/* cli.c: "gatewayctl: sentence" on stderr, safe for terminals. */
void cli_note(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, and the exit code that belongs to an error code. */
int cli_fail(struct cli *cli, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
int cli_fail_memory(struct cli *cli);
/*
 * The configuration; without -c and without the default file, all defaults.
 * Faults are printed. 0 or ERR_CONF, -ENOMEM.
 */
int cli_conf(struct cli *cli) MUST_CHECK;
/* STATE/name, malloc'd; needs cli_conf(). NULL: out of memory. */
char *cli_state_path(const struct cli *cli, const char *name);
/*
 * The register of the configuration; when it may be written, the user is
 * named for the audit trail. 0, or an exit code after a sentence.
 */
int cli_register(struct cli *cli, enum reg_mode mode, struct reg **out) MUST_CHECK;
/* The sentence for a failed call of the register about that device. */
int cli_fail_register(struct cli *cli, struct reg *reg, int code, const char *name);
/*
 * Ask the daemon. 0 and the result, or the error code; why has the sentence.
 * refusal (may be NULL): its whole text, malloc'd.
 */
int cli_ask(struct cli *cli, const char *command, const struct doc *args, struct doc **out,
            char *why, char **refusal) MUST_CHECK;
/* The same for a command that goes on: ctl_watch(). */
int cli_watch(struct cli *cli, const char *command, const struct doc *args,
              const struct ctl_watch *watch, char *why) MUST_CHECK;
/* Make a folder, and those above it. An exit code, after a sentence if it is not CLI_DONE. */
int cli_make_folder(struct cli *cli, const char *path, unsigned mode) MUST_CHECK;

/*
 * Print a result and free it. table(): how it looks for people. Returns
 * CLI_DONE or CLI_FAILED (memory, a full disk).
 */
int cli_result(struct cli *cli, struct doc *doc,
               void (*table)(FILE *out, const struct doc *doc));

#endif
