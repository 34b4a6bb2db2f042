/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl fleet: the register as a file, and a file as the register. */
#include "fleet.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "pki/pki.h"
#include "print.h"
#include "run.h"
#include "text.h"

#define FILE_MAX (64 << 20)
#define FAULTS_SHOWN 50

/* ---- export ------------------------------------------------------------- */

struct exporting {
	struct cli *cli;
	struct reg *reg;
	struct doc *list;
};

static int
export_label(void *owner, struct span name, struct span value)
{
	char key[REG_NAME_MAX + 1];

	snprintf(key, sizeof key, "%.*s", SPAN_ARG(name));
	doc_set_string(owner, key, value);
	return 0;
}

static int
export_device(void *owner, const struct reg_device *row)
{
	struct exporting *x = owner;
	struct doc *doc = doc_map(), *labels = doc_map();

	doc_set_text(doc, "name", row->name);
	doc_set_text(doc, "group", row->group);
	doc_set(doc, "labels", labels);
	doc_set_text(doc, "state", reg_state_text(row->state));
	doc_set_text(doc, "fingerprint", row->fingerprint);
	doc_add(x->list, doc);
	if (doc == NULL || labels == NULL) {
		return -ENOMEM;
	}
	return reg_label_each(x->reg, span_str(row->name), export_label, labels);
}

static struct doc *
make_export(struct cli *cli, struct reg *reg, int *r)
{
	struct doc *doc = doc_map();
	struct exporting x = { .cli = cli, .reg = reg, .list = doc_list() };

	doc_set_int(doc, "version", 1);
	doc_set(doc, "devices", x.list);
	*r = doc != NULL && x.list != NULL ? reg_each(reg, export_device, &x) : -ENOMEM;
	*r = *r == 0 && doc_failed(doc) ? -ENOMEM : *r;
	return doc;
}

static void
print_yaml(FILE *out, const struct doc *doc)
{
	struct buf text = { 0 };

	/* What could not be printed shows as an error of the stream. */
	if (doc_write_yaml(doc, &text) == 0) {
		fwrite(buf_span(&text).ptr, 1, buf_len(&text), out);
	}
	buf_release(&text);
}

static void
print_exported(FILE *out, const struct doc *doc)
{
	fprintf(out, "%" PRId64 " devices written to %s\n", doc_get_int(doc, "devices", 0),
	        doc_get_text(doc, "file", ""));
}

static int
write_export(struct cli *cli, struct doc *doc, const char *file)
{
	struct doc *result = doc_map();
	struct buf text = { 0 };
	char why[PKI_WHY_SIZE] = "out of memory";
	int r = doc_write_yaml(doc, &text);

	if (r == 0) {
		r = pki_write_file(file, 0644, buf_span(&text), why);
	}
	buf_release(&text);
	doc_set_int(result, "devices", (int64_t)doc_count(doc_get(doc, "devices")));
	doc_set_text(result, "file", file);
	doc_free(doc);
	if (r < 0) {
		doc_free(result);
		return cli_fail(cli, r, "%s", why);
	}
	return cli_result(cli, result, print_exported);
}

int
fleet_export_run(struct cli *cli)
{
	struct reg *reg;
	struct doc *doc;
	int r = cli_register(cli, REG_READ, &reg);

	if (r != 0) {
		return r;
	}
	doc = make_export(cli, reg, &r);
	if (r < 0) {
		r = cli_fail_register(cli, reg, r, "the devices");
		doc_free(doc);
	} else if (cli->words > 0 && strcmp(cli->word[0], "-") != 0) {
		r = write_export(cli, doc, cli->word[0]);
	} else {
		r = cli_result(cli, doc, print_yaml);
	}
	reg_close(reg);
	return r;
}

/* ---- apply: finding out ------------------------------------------------- */

struct applying {
	struct cli *cli;
	const char *file;
	struct reg *reg;
	struct fleet fleet;
	struct fleet_changes changes;
	unsigned faults;
	bool dry;
};

/* "file:line: sentence", as editors jump to it. */
static void
print_fault(void *owner, unsigned line, const char *sentence)
{
	struct applying *a = owner;
	char *safe;

	if (a->faults++ == FAULTS_SHOWN) {
		fputs("(more faults are not shown)\n", a->cli->err);
	}
	if (a->faults > FAULTS_SHOWN) {
		return;
	}
	safe = text_escape(sentence, 0);
	fprintf(a->cli->err, "%s:%u: %s\n", a->file, line, safe != NULL ? safe : "out of memory");
	free(safe);
}

static int
read_file(struct applying *a, struct buf *text)
{
	bool in = strcmp(a->file, "-") == 0;
	FILE *file = in ? stdin : fopen(a->file, "re");
	int r = file != NULL ? 0 : -errno;

	while (r == 0 && !feof(file)) {
		uint8_t *to;

		r = buf_reserve(text, 65536, &to);
		if (r == 0) {
			buf_commit(text, fread(to, 1, 65536, file));
			r = ferror(file) ? -errno : buf_len(text) > FILE_MAX ? ERR_LIMIT : 0;
		}
	}
	if (file != NULL && !in) {
		fclose(file);
	}
	return r < 0 ? cli_fail(a->cli, r, "cannot read %s: %s", a->file, err_text(r)) : CLI_DONE;
}

static int
read_fleet(struct applying *a)
{
	struct buf text = { 0 };
	int r = read_file(a, &text);

	if (r == CLI_DONE && fleet_read(buf_span(&text), print_fault, a, &a->fleet) == -ENOMEM) {
		r = cli_fail_memory(a->cli);
	}
	buf_release(&text);
	return r;
}

static int
compare_device(struct applying *a, const struct fleet_device *want)
{
	struct device have;
	char sentence[REG_NAME_MAX + 200];
	int r = device_load_row(a->reg, want->name, &have);

	if (r == ERR_NOT_FOUND) {
		snprintf(sentence, sizeof sentence, "there is no device %s in the register; enroll "
		                                    "it first", want->name);
		print_fault(a, want->line, sentence);
		return 0;
	}
	if (r < 0) {
		return r;
	}
	if (want->fingerprint != NULL && strcmp(want->fingerprint, have.row.fingerprint) != 0) {
		snprintf(sentence, sizeof sentence, "%s has another key, with the fingerprint %s",
		         want->name, have.row.fingerprint);
		print_fault(a, want->line, sentence);
	}
	r = fleet_diff(want, &have, &a->changes);
	device_clear(&have);
	return r;
}

static int
find_name(const void *name, const void *device)
{
	return strcmp(name, ((const struct fleet_device *)device)->name);
}

static int
prune_device(void *owner, const struct reg_device *row)
{
	struct applying *a = owner;

	if (a->fleet.devices > 0 &&
	    bsearch(row->name, a->fleet.device, a->fleet.devices, sizeof *a->fleet.device,
	            find_name) != NULL) {
		return 0;
	}
	return fleet_add_change(&a->changes, FLEET_REMOVE, row->name, "",
	                        reg_state_text(row->state), "");
}

static int
compare(struct applying *a)
{
	int r = 0;

	for (size_t i = 0; i < a->fleet.devices && r == 0; i++) {
		r = compare_device(a, &a->fleet.device[i]);
	}
	if (r == 0 && cli_option(a->cli, "prune", 0) != NULL) {
		r = reg_each(a->reg, prune_device, a);
	}
	return r;
}

/* ---- apply: doing ------------------------------------------------------- */

static int
apply_change(struct reg *reg, const struct fleet_change *change)
{
	struct span name = span_str(change->device);

	switch (change->what) {
	case FLEET_GROUP:
		return reg_set_group(reg, name, change->after);
	case FLEET_STATE:
		return reg_state_parse(change->after) == REG_REVOKED ?
		               reg_revoke(reg, name, "unspecified") :
		               reg_reinstate(reg, name);
	case FLEET_LABEL:
		return reg_set_label(reg, name, change->label, change->after);
	case FLEET_REMOVE:
		return reg_remove(reg, name);
	}
	return ERR_PROTOCOL;
}

/* The register stays as it was compared: nobody else writes in between. */
static int
work(struct applying *a)
{
	int r = reg_begin(a->reg);

	if (r < 0) {
		return cli_fail_register(a->cli, a->reg, r, a->file);
	}
	r = compare(a);
	for (size_t i = 0; i < a->changes.count && r == 0 && a->faults == 0 && !a->dry; i++) {
		r = apply_change(a->reg, &a->changes.list[i]);
	}
	if (r == 0 && a->faults == 0 && !a->dry) {
		r = reg_commit(a->reg);
	} else {
		reg_rollback(a->reg);
	}
	if (r < 0) {
		return cli_fail_register(a->cli, a->reg, r, a->file);
	}
	return CLI_DONE;
}

/* ---- apply: the report -------------------------------------------------- */

static const char *const what_text[] = { "group", "state", "label", "remove" };

static struct doc *
describe(const struct applying *a)
{
	struct doc *doc = doc_map(), *list = doc_list();

	for (size_t i = 0; i < a->changes.count; i++) {
		const struct fleet_change *change = &a->changes.list[i];
		struct doc *one = doc_map();

		doc_set_text(one, "identity", change->device);
		doc_set_text(one, "change", what_text[change->what]);
		if (change->what == FLEET_LABEL) {
			doc_set_text(one, "label", change->label);
		}
		doc_set_text(one, "before", change->before);
		doc_set_text(one, "after", change->after);
		doc_add(list, one);
	}
	doc_set(doc, "changes", list);
	doc_set_int(doc, "devices", (int64_t)a->fleet.devices);
	doc_set_bool(doc, "applied", !a->dry);
	return doc;
}

static void
print_side(FILE *out, char sign, const struct doc *change, const char *side)
{
	char *value = print_cell(doc_get(change, side), PRINT_TEXT);
	char *label = print_cell(doc_get(change, "label"), PRINT_TEXT);
	bool has_label = doc_get(change, "label") != NULL;

	if (doc_get_text(change, side, "")[0] != '\0') {
		fprintf(out, "%c   %s%s%s: %s\n", sign, doc_get_text(change, "change", ""),
		        has_label ? " " : "", has_label && label != NULL ? label : "",
		        value != NULL ? value : "");
	}
	free(label);
	free(value);
}

static void
print_changes(FILE *out, const struct doc *doc)
{
	const struct doc *list = doc_get(doc, "changes");
	const char *last = "";

	for (size_t i = 0; i < doc_count(list); i++) {
		const struct doc *one = doc_at(list, i);
		const char *name = doc_get_text(one, "identity", "");
		bool gone = strcmp(doc_get_text(one, "change", ""), "remove") == 0;
		char *safe = text_escape(name, 0);

		if (strcmp(name, last) != 0 || i == 0) {
			fprintf(out, "%c %s\n", gone ? '-' : '~', safe != NULL ? safe : "");
		}
		if (!gone) {
			print_side(out, '-', one, "before");
			print_side(out, '+', one, "after");
		}
		free(safe);
		last = name;
	}
	fprintf(out, "%zu change%s%s\n", doc_count(list), doc_count(list) == 1 ? "" : "s",
	        doc_get_bool(doc, "applied", false) ? "" : "; nothing was written (--dry-run)");
}

int
fleet_apply_run(struct cli *cli)
{
	struct applying a = { .cli = cli, .file = cli->word[0],
		.dry = cli_option(cli, "dry-run", 0) != NULL };
	int r = cli_register(cli, REG_WRITE, &a.reg);

	if (r != 0) {
		return r;
	}
	r = read_fleet(&a);
	if (r == CLI_DONE && a.faults == 0) {
		r = work(&a);
	}
	if (r == CLI_DONE && a.faults > 0) {
		r = cli_fail(cli, ERR_MALFORMED, "%s has %u fault%s; nothing was changed", a.file,
		             a.faults, a.faults == 1 ? "" : "s");
	}
	if (r == CLI_DONE) {
		r = cli_result(cli, describe(&a), print_changes);
	}
	fleet_changes_clear(&a.changes);
	fleet_clear(&a.fleet);
	reg_close(a.reg);
	return r;
}
