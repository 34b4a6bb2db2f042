/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl audit: who changed what in the register. */
#include "run.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "duration.h"
#include "print.h"

/* The daemon notes numbers only; the name is asked for here. */
static const char *
user_of(const struct reg_audit *entry)
{
	char number[16];
	const struct passwd *user;

	snprintf(number, sizeof number, "%u", entry->uid);
	if (strcmp(entry->user, number) != 0) {
		return entry->user;
	}
	user = getpwuid(entry->uid);
	return user != NULL ? user->pw_name : entry->user;
}

static int
add_entry(void *owner, const struct reg_audit *entry)
{
	struct doc *list = owner, *doc = doc_map();

	doc_set_int(doc, "id", entry->id);
	doc_set_int(doc, "at", entry->at);
	doc_set_int(doc, "uid", entry->uid);
	doc_set_text(doc, "user", user_of(entry));
	doc_set_text(doc, "action", entry->action);
	doc_set_text(doc, "identity", entry->device);
	doc_set_text(doc, "detail", entry->detail);
	doc_add(list, doc);
	return doc != NULL ? 0 : -ENOMEM;
}

static void
print_audit(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "at", "WHEN", PRINT_WHEN },
		{ "user", "WHO" },
		{ "action", "WHAT" },
		{ "identity", "DEVICE" },
		{ "detail", "DETAIL" },
		{ NULL },
	};

	print_table(out, doc_get(doc, "audit"), columns);
}

int
audit_run(struct cli *cli)
{
	const char *text = cli_option(cli, "since", 0);
	const char *device = cli->words > 0 ? cli->word[0] : NULL;
	struct doc *doc, *list;
	struct reg *reg;
	int64_t since = 0, age;
	int r;

	if (text != NULL) {
		if (duration_parse(text, &age) < 0) {
			cli_note(cli, "--since is a length of time: 12h, 7d, 4w, 1y");
			return CLI_USAGE;
		}
		since = clock_wall() > age ? clock_wall() - age : 0;
	}
	r = cli_register(cli, REG_READ, &reg);
	if (r != 0) {
		return r;
	}
	doc = doc_map();
	list = doc_list();
	doc_set(doc, "audit", list);
	r = list != NULL ? reg_audit_each(reg, device, since, add_entry, list) : -ENOMEM;
	if (r < 0) {
		r = cli_fail_register(cli, reg, r, "the audit trail");
		doc_free(doc);
	} else {
		r = cli_result(cli, doc, print_audit);
	}
	reg_close(reg);
	return r;
}
