/* SPDX-License-Identifier: BSD-2-Clause */
#include <locale.h>
#include <stdlib.h>

#include "cli.h"

static int
run(struct cli *cli)
{
	if (cli_option(cli, "version", 0) != NULL) {
		fputs("gatewayctl " PACKAGE_VERSION "\n", cli->out);
		return CLI_DONE;
	}
	if (cli_option(cli, "help", 0) != NULL) {
		if (cli->command != NULL) {
			help_command(cli->command, cli->out);
		} else {
			help_overview(cli->out);
		}
		return CLI_DONE;
	}
	if (cli->command == NULL) {
		help_overview(cli->err);
		return CLI_USAGE;
	}
	return cli->command->run(cli);
}

int
main(int argc, char **argv)
{
	struct cli cli = { .out = stdout, .err = stderr };
	int r;

	/* Only for the width of characters: our text is UTF-8 whatever LANG says. */
	setlocale(LC_CTYPE, "C.UTF-8");
	r = cli_parse(&cli, argc, argv);
	if (r == CLI_DONE) {
		r = run(&cli);
	}
	if (fflush(stdout) != 0 && r == CLI_DONE) {
		r = cli_fail(&cli, ERR_FULL, "cannot write the result");
	}
	conf_unref(&cli.conf);
	free(cli.option);
	free(cli.word);
	return r;
}
