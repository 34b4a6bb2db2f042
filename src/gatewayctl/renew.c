/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl renew: a new certificate for a key that we know already. */
#include "enroll.h"

#include <stdlib.h>
#include <unistd.h>

#include "print.h"
#include "run.h"

static void
print_renewed(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "identity", "device" },
		{ "serial", "serial" },
		{ "not_after", "valid until", PRINT_DATE },
		{ "certificate", "certificate in" },
		{ NULL },
	};

	print_record(out, doc, columns, 0);
	fputs("\nNext: put it on the device. The old one is good until it ends.\n", out);
}

static int
report(struct enrolment *e)
{
	const struct pki_cert *cert = e->issued.cert;
	struct doc *doc = doc_map();

	doc_set_text(doc, "identity", e->identity);
	doc_set_text(doc, "fingerprint", cert->fingerprint);
	doc_set_string(doc, "serial", cert->serial);
	doc_set_int(doc, "not_before", cert->not_before);
	doc_set_int(doc, "not_after", cert->not_after);
	doc_set_text(doc, "certificate", e->certificate);
	doc_set_text(doc, "ca_certificate", e->ca);
	doc_set_bool(doc, "sketch", e->sketch_written);
	return cli_result(e->cli, doc, print_renewed);
}

/* The new certificate in e->issued, by the copy of the newest one. */
static int
issue(struct enrolment *e, const struct reg_device *row)
{
	char why[PKI_WHY_SIZE];
	char *kept = enroll_kept(e->cli, row->serial);
	int r;

	if (kept == NULL) {
		return cli_fail_memory(e->cli);
	}
	if (row->serial[0] == '\0' || access(kept, F_OK) < 0) {
		r = cli_fail(e->cli, ERR_NOT_FOUND, "there is no copy of the certificate of %s here (it "
		                                    "was not issued here, or by an early release); "
		                                    "enroll it again with its request", row->name);
	} else {
		r = pki_renew_device(e->pki, kept, NULL, e->days, &e->issued, why);
		r = r < 0 ? cli_fail(e->cli, r, "%s", why) : CLI_DONE;
	}
	free(kept);
	return r;
}

static int
renew(struct enrolment *e, const char *name)
{
	struct reg_device row;
	int r = reg_find(e->reg, span_str(name), &row);

	if (r < 0) {
		return cli_fail_register(e->cli, e->reg, r, name);
	}
	r = issue(e, &row);
	if (r != CLI_DONE) {
		return r;
	}
	r = enroll_find_identity(e);
	if (r == 0 && strcmp(e->identity, row.name) != 0) {
		return cli_fail(e->cli, ERR_CONF, "the certificate would name the device %s: "
		                                  "identity.source was changed since %s was enrolled",
		                e->identity, row.name);
	}
	r = r == 0 ? enroll_make_folder(e, ".", cli_option(e->cli, "out", 0)) : r;
	r = r == 0 ? enroll_register(e) : r;
	r = r == 0 ? enroll_write_files(e) : r;
	return r < 0 ? cli_fail(e->cli, r, "%s", e->why) : report(e);
}

/* A folder with the files of a sketch gets them renewed. */
static bool
has_sketch(struct cli *cli, const char *name)
{
	const char *folder = cli_option(cli, "out", 0);
	char *file = NULL;
	bool has;

	if (asprintf(&file, "%s/arduino_secrets.h", folder != NULL ? folder : name) < 0) {
		return false;
	}
	has = access(file, F_OK) == 0;
	free(file);
	return has;
}

int
renew_run(struct cli *cli)
{
	struct enrolment e = { .sketch = has_sketch(cli, cli->word[0]) };
	int r = enroll_open(cli, &e);

	if (r != CLI_DONE) {
		return r;
	}
	r = renew(&e, cli->word[0]);
	enroll_close(&e);
	return r;
}
