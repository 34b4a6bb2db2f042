/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl config: check a file, show the values in force. */
#include "run.h"

#include "print.h"

static void
print_valid(FILE *out, const struct doc *doc)
{
	fprintf(out, "%s is valid\n", doc_get_text(doc, "file", ""));
}

/* Without the files that it names: they may be readable for the daemon only. */
int
config_check_run(struct cli *cli)
{
	struct doc *doc;

	if (cli->words == 1) {
		cli->file = cli->word[0];
	} else if (cli->file == NULL) {
		cli->file = CONF_DEFAULT_FILE; /* not the defaults when it is missing */
	}
	if (cli_conf(cli) < 0) {
		return CLI_FAILED;
	}
	doc = doc_map();
	doc_set_text(doc, "file", cli->file);
	doc_set_bool(doc, "valid", true);
	return cli_result(cli, doc, print_valid);
}

static void
take_key(void *owner, const char *key, const char *value, bool is_default)
{
	struct doc *row = doc_map();

	doc_set_text(row, "key", key);
	doc_set_text(row, "value", value);
	doc_set_bool(row, "default", is_default);
	doc_add(owner, row);
}

static void
print_keys(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "key", "KEY" },
		{ "value", "VALUE" },
		{ "default", "DEFAULT", PRINT_YES_NO },
		{ NULL },
	};

	print_table(out, doc_get(doc, "keys"), columns);
}

int
config_show_run(struct cli *cli)
{
	struct doc *doc, *keys;

	if (cli_conf(cli) < 0) {
		return CLI_FAILED;
	}
	doc = doc_map();
	keys = doc_list();
	doc_set_text(doc, "file", cli->conf->file != NULL ? cli->conf->file : "");
	conf_each(cli->conf, take_key, keys);
	doc_set(doc, "keys", keys);
	return cli_result(cli, doc, print_keys);
}
