/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of one device in the register; gatewayd notices within a second. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>

#include "topic/topic.h"

static int
fail(struct cli *cli, struct reg *reg, int code, const char *name)
{
	switch (code) {
	case ERR_NOT_FOUND:
		return cli_fail(cli, code, "there is no device %s in the register", name);
	case ERR_DATABASE:
		return cli_fail(cli, code, "cannot change the register: %s", reg_error(reg));
	default:
		return cli_fail(cli, code, "cannot change the register: %s", err_text(code));
	}
}

static void
print_change(FILE *out, const struct doc *doc)
{
	fprintf(out, "%s\n", doc_get_text(doc, "changed", ""));
}

/* After a change: what was done, as a sentence and as data. */
static int
done(struct cli *cli, const char *format, const char *name, const char *more)
{
	struct doc *doc = doc_map();
	char *text = NULL;

	if (asprintf(&text, "%s %s%s", name, format, more) < 0) {
		doc_free(doc);
		return cli_fail_memory(cli);
	}
	doc_set_text(doc, "identity", name);
	doc_set_text(doc, "changed", text);
	free(text);
	return cli_result(cli, doc, print_change);
}

static int
change_state(struct cli *cli, enum reg_state state)
{
	const char *name = cli->word[0];
	struct reg *reg;
	int r = cli_register(cli, REG_WRITE, &reg);
	int code;

	if (r != 0) {
		return r;
	}
	code = reg_set_state(reg, span_str(name), state);
	r = code < 0 ? fail(cli, reg, code, name) :
	               done(cli, "is now ", name, reg_state_text(state));
	reg_close(reg);
	return r;
}

int
revoke_run(struct cli *cli)
{
	return change_state(cli, REG_REVOKED);
}

int
reinstate_run(struct cli *cli)
{
	return change_state(cli, REG_ENROLLED);
}

int
devices_remove_run(struct cli *cli)
{
	const char *name = cli->word[0];
	struct reg *reg;
	int r = cli_register(cli, REG_WRITE, &reg);
	int code;

	if (r != 0) {
		return r;
	}
	code = reg_remove(reg, span_str(name));
	r = code < 0 ? fail(cli, reg, code, name) : done(cli, "is removed", name, "");
	reg_close(reg);
	return r;
}

int
group_run(struct cli *cli)
{
	const char *name = cli->word[0], *group = cli->word[1];
	struct reg *reg;
	int code, r;

	if (group[0] != '\0' && !topic_value_safe(span_str(group))) {
		return cli_fail(cli, ERR_UNSAFE, "the group %s cannot stand in a topic: no + # / $, "
		                                 "no control characters, at most 512 bytes", group);
	}
	r = cli_register(cli, REG_WRITE, &reg);
	if (r != 0) {
		return r;
	}
	code = reg_set_group(reg, span_str(name), group);
	r = code < 0 ? fail(cli, reg, code, name) :
	               done(cli, group[0] != '\0' ? "is now in the group " : "is in no group", name,
	                    group);
	reg_close(reg);
	return r;
}

bool
label_valid(const char *text)
{
	const char *equals = strchr(text, '=');

	return equals != NULL && equals > text &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                    "0123456789_-") == (size_t)(equals - text) &&
	       (equals[1] == '\0' || topic_value_safe(span_str(equals + 1)));
}

static int
set_labels(struct cli *cli, struct reg *reg)
{
	int r = 0;

	for (unsigned i = 1; i < cli->words && r == 0; i++) {
		const char *equals = strchr(cli->word[i], '=');
		char *label = strndup(cli->word[i], (size_t)(equals - cli->word[i]));

		r = label != NULL ? reg_set_label(reg, span_str(cli->word[0]), label, equals + 1) :
		                    -ENOMEM;
		free(label);
	}
	return r;
}

int
label_run(struct cli *cli)
{
	struct reg *reg;
	int code, r;

	for (unsigned i = 1; i < cli->words; i++) {
		if (!label_valid(cli->word[i])) {
			cli_note(cli, "%s is no label: KEY=VALUE, the key of letters, digits, _ and -, "
			              "the value without + # / $", cli->word[i]);
			return CLI_USAGE;
		}
	}
	r = cli_register(cli, REG_WRITE, &reg);
	if (r != 0) {
		return r;
	}
	code = set_labels(cli, reg);
	r = code < 0 ? fail(cli, reg, code, cli->word[0]) :
	               done(cli, "has new labels", cli->word[0], "");
	reg_close(reg);
	return r;
}
