/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of one device in the register; gatewayd notices within a second. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>

#include "effect.h"
#include "topic/topic.h"

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

/* ---- in and out --------------------------------------------------------- */

static void
print_proved(FILE *out, const struct doc *doc)
{
	fprintf(out, "%s; %s\n", doc_get_text(doc, "changed", ""),
	        doc_get_text(doc, "gateway", ""));
}

static int
prove(struct cli *cli, bool admitted, int64_t sessions)
{
	struct doc *doc = doc_map();
	char text[REG_NAME_MAX + 32];
	int proved, r;

	snprintf(text, sizeof text, "%s is %s", cli->word[0],
	         admitted ? "reinstated" : "revoked");
	doc_set_text(doc, "identity", cli->word[0]);
	doc_set_text(doc, "changed", text);
	proved = effect_prove(cli, cli->word[0], admitted, sessions, doc);
	r = cli_result(cli, doc, print_proved);
	return r == CLI_DONE ? proved : r;
}

static int
change_state(struct cli *cli, bool admitted, const char *reason)
{
	const char *name = cli->word[0];
	int64_t sessions;
	struct reg *reg;
	int r = cli_register(cli, REG_WRITE, &reg);
	int code;

	if (r != 0) {
		return r;
	}
	sessions = effect_sessions(cli, name);
	code = admitted ? reg_reinstate(reg, span_str(name)) :
	                  reg_revoke(reg, span_str(name), reason);
	if (code == ERR_MALFORMED) {
		cli_note(cli, "%s is no reason: unspecified, keyCompromise, affiliationChanged, "
		              "superseded, cessationOfOperation or privilegeWithdrawn", reason);
		r = CLI_USAGE;
	} else if (code < 0) {
		r = cli_fail_register(cli, reg, code, name);
	}
	reg_close(reg);
	return r == 0 ? prove(cli, admitted, sessions) : r;
}

int
revoke_run(struct cli *cli)
{
	const char *reason = cli_option(cli, "reason", 0);

	return change_state(cli, false, reason != NULL ? reason : "unspecified");
}

int
reinstate_run(struct cli *cli)
{
	return change_state(cli, true, NULL);
}

/* ---- what is known of it ------------------------------------------------ */

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
	r = code < 0 ? cli_fail_register(cli, reg, code, name) : done(cli, "is removed", name, "");
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
	r = code < 0 ? cli_fail_register(cli, reg, code, name) :
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

int
label_set(struct reg *reg, const char *name, const char *text)
{
	const char *equals = strchr(text, '=');
	char *label = strndup(text, (size_t)(equals - text));
	int r = label != NULL ? reg_set_label(reg, span_str(name), label, equals + 1) : -ENOMEM;

	free(label);
	return r;
}

int
group_and_labels_check(struct cli *cli)
{
	const char *text = cli_option(cli, "group", 0);

	if (text != NULL && text[0] != '\0' && !topic_value_safe(span_str(text))) {
		cli_note(cli, "the group %s cannot stand in a topic", text);
		return CLI_USAGE;
	}
	for (unsigned i = 0; (text = cli_option(cli, "label", i)) != NULL; i++) {
		if (!label_valid(text)) {
			cli_note(cli, "%s is no label: KEY=VALUE", text);
			return CLI_USAGE;
		}
	}
	return CLI_DONE;
}

/* All labels or none. */
static int
set_labels(struct cli *cli, struct reg *reg)
{
	int r = reg_begin(reg);

	if (r < 0) {
		return r;
	}
	for (unsigned i = 1; i < cli->words && r == 0; i++) {
		r = label_set(reg, cli->word[0], cli->word[i]);
	}
	if (r == 0) {
		return reg_commit(reg);
	}
	reg_rollback(reg);
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
	r = code < 0 ? cli_fail_register(cli, reg, code, cli->word[0]) :
	               done(cli, "has new labels", cli->word[0], "");
	reg_close(reg);
	return r;
}
