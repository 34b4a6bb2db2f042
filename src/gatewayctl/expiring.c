/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl devices --expiring: whose certificate ends soon, or has ended. */
#include "run.h"

#include <errno.h>

#include "base/clock.h"
#include "duration.h"
#include "print.h"

static int
add_device(void *owner, const char *name, int64_t not_after)
{
	struct doc *list = owner, *doc = doc_map();

	doc_set_text(doc, "identity", name);
	doc_set_int(doc, "not_after", not_after);
	doc_set_bool(doc, "ended", not_after < clock_wall());
	doc_add(list, doc);
	return doc != NULL ? 0 : -ENOMEM;
}

static void
print_expiring(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "identity", "DEVICE" },
		{ "not_after", "EXPIRES", PRINT_WHEN },
		{ "ended", "ENDED", PRINT_YES_NO },
		{ NULL },
	};

	print_table(out, doc_get(doc, "devices"), columns);
}

int
expiring_run(struct cli *cli)
{
	struct doc *doc, *list;
	struct reg *reg;
	int64_t age;
	int r;

	if (duration_parse(cli_option(cli, "expiring", 0), &age) < 0) {
		cli_note(cli, "--expiring is a length of time: 30d, 8w, 1y");
		return CLI_USAGE;
	}
	r = cli_register(cli, REG_READ, &reg);
	if (r != 0) {
		return r;
	}
	doc = doc_map();
	list = doc_list();
	doc_set(doc, "devices", list);
	r = list != NULL ? reg_expiring_each(reg, 1, clock_wall() + age, add_device, list) : -ENOMEM;
	if (r < 0) {
		r = cli_fail_register(cli, reg, r, "the devices");
		doc_free(doc);
	} else {
		r = cli_result(cli, doc, print_expiring);
	}
	reg_close(reg);
	return r;
}
