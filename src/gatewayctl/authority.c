/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl ca: the CA that devices trust, and that signs their certificates. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "pki/pki.h"
#include "print.h"

static void
print_ca(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "file", "CA certificate" },
		{ "subject", "subject" },
		{ "issuer", "issuer" },
		{ "version", "version", PRINT_TEXT },
		{ "key_type", "key" },
		{ "fingerprint", "key fingerprint" },
		{ "serial", "serial" },
		{ "not_before", "valid from", PRINT_DATE },
		{ "not_after", "valid until", PRINT_WHEN },
		{ "signs", "can sign here" },
		{ NULL },
	};

	print_record(out, doc, columns, 0);
}

static const char *
can_sign(const char *key)
{
	if (access(key, R_OK) == 0) {
		return "yes";
	}
	return errno == EACCES ? "yes, for root" : "no, its key is not here";
}

static int
describe(struct cli *cli)
{
	char *file = cli_state_path(cli, "pki/ca.crt"), *key = cli_state_path(cli, "pki/ca.key");
	struct pki_cert *cert;
	char why[PKI_WHY_SIZE];
	struct doc *doc = NULL;
	int r = file != NULL && key != NULL ? pki_cert_read_file(file, &cert, why) : -ENOMEM;

	if (r == 0) {
		doc = doc_map();
		doc_set_text(doc, "file", file);
		doc_set_string(doc, "subject", cert->subject);
		doc_set_string(doc, "issuer", cert->issuer);
		doc_set_int(doc, "version", cert->version);
		doc_set_string(doc, "key_type", cert->key_type);
		doc_set_text(doc, "fingerprint", cert->fingerprint);
		doc_set_string(doc, "serial", cert->serial);
		doc_set_int(doc, "not_before", cert->not_before);
		doc_set_int(doc, "not_after", cert->not_after);
		doc_set_text(doc, "signs", can_sign(key));
		pki_cert_free(cert);
	}
	free(file);
	free(key);
	if (r == -ENOMEM) {
		return cli_fail_memory(cli);
	}
	return r < 0 ? cli_fail(cli, r, "%s; `gatewayctl init` makes a CA, `gatewayctl ca import` "
	                                "takes one over", why) :
	               cli_result(cli, doc, print_ca);
}

int
ca_show_run(struct cli *cli)
{
	return cli_conf(cli) < 0 ? CLI_FAILED : describe(cli);
}

static void
warn(void *arg, const char *sentence)
{
	cli_note(arg, "warning: %s", sentence);
}

/* In the audit trail, when there is a register already. */
static void
note_import(struct cli *cli, const char *file)
{
	char *path = cli_state_path(cli, "register.db");
	struct reg *reg;

	if (path != NULL && access(path, F_OK) == 0 && cli_register(cli, REG_WRITE, &reg) == 0) {
		if (reg_audit_note(reg, "ca-import", NULL, file) < 0) {
			cli_note(cli, "the import could not be noted in the audit trail");
		}
		reg_close(reg);
	}
	free(path);
}

int
ca_import_run(struct cli *cli)
{
	const char *cert = cli_option(cli, "cert", 0), *key = cli_option(cli, "key", 0);
	char why[PKI_WHY_SIZE];
	char *pki;
	int r;

	if (cert == NULL) {
		cli_note(cli, "--cert FILE is needed: the certificate of the CA");
		return CLI_USAGE;
	}
	if (cli_conf(cli) < 0) {
		return CLI_FAILED;
	}
	pki = cli_state_path(cli, "pki");
	if (pki == NULL) {
		return cli_fail_memory(cli);
	}
	r = cli_make_folder(cli, pki, 0750);
	if (r == CLI_DONE) {
		int code = pki_ca_import(pki, cert, key, warn, cli, why);

		r = code < 0 ? cli_fail(cli, code, "%s", why) : CLI_DONE;
	}
	free(pki);
	if (r != CLI_DONE) {
		return r;
	}
	note_import(cli, cert);
	cli_note(cli, "the CA is taken over; `gatewayctl init` makes what is still missing");
	return describe(cli);
}
