/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices that wait at the door: devices --pending, and approve. */
#include "run.h"

#include <errno.h>

#include "effect.h"
#include "print.h"
#include "topic/topic.h"

#define PREFIX_DIGITS 16 /* of a fingerprint in a table: enough to tell 1,000 apart */

/* ---- the list ----------------------------------------------------------- */

static int
add_stranger(void *owner, const struct reg_stranger *s)
{
	struct doc *list = owner, *doc = doc_map();

	doc_set_string(doc, "short", span_head(span_str(s->fingerprint), PREFIX_DIGITS));
	doc_set_text(doc, "fingerprint", s->fingerprint);
	doc_set_text(doc, "identity", s->name);
	doc_set_text(doc, "kind", s->self_signed ? "self-signed" : "issued");
	doc_set_text(doc, "address", s->address);
	doc_set_int(doc, "first_at", s->first_at);
	doc_set_int(doc, "last_at", s->last_at);
	doc_set_int(doc, "count", (int64_t)s->count);
	doc_set_int(doc, "not_after", s->not_after);
	doc_set_text(doc, "subject", s->subject);
	doc_set_text(doc, "issuer", s->issuer);
	doc_add(list, doc);
	return doc != NULL ? 0 : -ENOMEM;
}

static void
print_pending(FILE *out, const struct doc *doc)
{
	static const struct column strangers[] = {
		{ "short", "FINGERPRINT" },
		{ "identity", "NAME" },
		{ "kind", "CERTIFICATE" },
		{ "address", "ADDRESS" },
		{ "first_at", "FIRST", PRINT_AGO },
		{ "last_at", "LAST", PRINT_AGO },
		{ "count", "COUNT", PRINT_NUMBER },
		{ "subject", "SUBJECT" },
		{ NULL },
	};

	print_table(out, doc_get(doc, "strangers"), strangers);
	if (doc_count(doc_get(doc, "strangers")) > 0) {
		fputs("\nTo let one in: gatewayctl approve FINGERPRINT\n", out);
	}
}

int
strangers_run(struct cli *cli)
{
	struct doc *doc = doc_map(), *strangers = doc_list();
	struct reg *reg;
	int r = cli_register(cli, REG_READ, &reg);

	doc_set(doc, "strangers", strangers);
	if (r != 0 || strangers == NULL) {
		doc_free(doc);
		return r != 0 ? r : cli_fail_memory(cli);
	}
	r = reg_stranger_each(reg, add_stranger, strangers);
	if (r < 0) {
		r = cli_fail_register(cli, reg, r, "the list");
		doc_free(doc);
	} else {
		r = cli_result(cli, doc, print_pending);
	}
	reg_close(reg);
	return r;
}

/* ---- approve ------------------------------------------------------------ */

static int
fail_approve(struct cli *cli, struct reg *reg, int code, const char *fingerprint)
{
	switch (code) {
	case ERR_NOT_FOUND:
		return cli_fail(cli, code, "no device waits with a key %s; see "
		                           "`gatewayctl devices --pending`", fingerprint);
	case ERR_AMBIGUOUS:
		return cli_fail(cli, code, "several devices wait with a key that starts with %s: "
		                           "give more digits", fingerprint);
	case ERR_EXISTS:
		return cli_fail(cli, code, "that name belongs to a device with another key, that "
		                           "key to another device, or the device is revoked: see "
		                           "`gatewayctl devices`, or choose --name");
	case ERR_UNSAFE:
		return cli_fail(cli, code, "its certificate gives no name that can stand in a topic; "
		                           "choose one with --name");
	default:
		return cli_fail_register(cli, reg, code, fingerprint);
	}
}

/* All in one transaction: a device must not be in before its group is set. */
static int
approve(struct cli *cli, struct reg *reg, struct reg_device *device)
{
	const char *group = cli_option(cli, "group", 0), *text;
	int r = reg_approve(reg, cli->word[0], cli_option(cli, "name", 0), device);

	if (r == 0 && group != NULL) {
		r = reg_set_group(reg, span_str(device->name), group);
	}
	for (unsigned i = 0; r == 0 && (text = cli_option(cli, "label", i)) != NULL; i++) {
		r = label_set(reg, device->name, text);
	}
	return r;
}

static int
approve_all(struct cli *cli, struct reg *reg, struct reg_device *device)
{
	int r = reg_begin(reg);

	if (r < 0) {
		return r;
	}
	r = approve(cli, reg, device);
	if (r == 0) {
		return reg_commit(reg);
	}
	reg_rollback(reg);
	return r;
}

static void
print_approved(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "identity", "device" },
		{ "fingerprint", "key fingerprint" },
		{ "group", "group" },
		{ "gateway", "now" },
		{ NULL },
	};

	print_record(out, doc, columns, 0);
}

static int
check_options(struct cli *cli)
{
	const char *name = cli_option(cli, "name", 0), *digits = cli->word[0];

	if (strlen(digits) < 8 || strlen(digits) > 64 ||
	    digits[strspn(digits, "0123456789abcdefABCDEF")] != '\0') {
		cli_note(cli, "%s is no fingerprint: 8 to 64 hexadecimal digits, as "
		              "`gatewayctl devices --pending` shows them", digits);
		return CLI_USAGE;
	}
	if (name != NULL && !topic_value_safe(span_str(name))) {
		cli_note(cli, "the name %s cannot stand in a topic: no + # / $, no control "
		              "characters, at most 512 bytes", name);
		return CLI_USAGE;
	}
	return group_and_labels_check(cli);
}

int
approve_run(struct cli *cli)
{
	struct reg_device device;
	struct doc *doc;
	struct reg *reg;
	int code, proved, r = check_options(cli);

	r = r == CLI_DONE ? cli_register(cli, REG_WRITE, &reg) : r;
	if (r != CLI_DONE) {
		return r;
	}
	code = approve_all(cli, reg, &device);
	if (code == 0) {
		code = reg_find(reg, span_str(device.name), &device);
	}
	if (code < 0) {
		r = fail_approve(cli, reg, code, cli->word[0]);
		reg_close(reg);
		return r;
	}
	reg_close(reg);
	doc = doc_map();
	doc_set_text(doc, "identity", device.name);
	doc_set_text(doc, "fingerprint", device.fingerprint);
	doc_set_text(doc, "group", device.group);
	proved = effect_prove(cli, device.name, true, 0, doc);
	r = cli_result(cli, doc, print_approved);
	return r == CLI_DONE ? proved : r;
}
