/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl ca: the CA that devices trust, and that signs their certificates. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pki/pki.h"
#include "print.h"

#define CA_DAYS 7300
#define CA_DAYS_MAX 8400 /* as init has it; nothing ends after 2049 */

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
note(struct cli *cli, const char *what, const char *file)
{
	char *path = cli_state_path(cli, "register.db");
	struct reg *reg;

	if (path != NULL && access(path, F_OK) == 0 && cli_register(cli, REG_WRITE, &reg) == 0) {
		if (reg_audit_note(reg, what, NULL, file) < 0) {
			cli_note(cli, "%s could not be noted in the audit trail", what);
		}
		reg_close(reg);
	}
	free(path);
}

/* The daemon takes it up at once; nothing is lost when it is down. */
static int
tell_daemon(struct cli *cli)
{
	char why[CLI_WHY_SIZE];
	struct doc *doc;
	int r = cli_ask(cli, "reload", NULL, &doc, why, NULL);

	if (r == 0) {
		doc_free(doc);
		cli_note(cli, "gatewayd uses it; sessions stay");
	} else if (r == ERR_UNAVAILABLE) {
		cli_note(cli, "gatewayd is not running: it takes effect at its start");
	} else {
		return cli_fail(cli, r, "gatewayd did not take it up: %s", why);
	}
	return CLI_DONE;
}

/* Its key is root's; say so before anything else is complained about. */
static bool
key_is_closed(const char *pki)
{
	char *key = NULL;
	bool closed = asprintf(&key, "%s/ca.key", pki) >= 0 && access(key, R_OK) < 0 &&
	              errno == EACCES;

	free(key);
	return closed;
}

static int
renew(struct cli *cli, const char *pki, unsigned days)
{
	char why[PKI_WHY_SIZE];
	char *file = NULL;
	int r;

	if (key_is_closed(pki)) {
		return cli_fail(cli, -EACCES, "the key of the CA may be read by root only: try "
		                              "`sudo gatewayctl ca renew`");
	}
	r = pki_renew_ca(pki, days, why);
	if (r < 0) {
		return cli_fail(cli, r, "%s", why);
	}
	if (asprintf(&file, "%s/ca.crt", pki) < 0) {
		return cli_fail_memory(cli);
	}
	note(cli, "ca-renew", file);
	if (strcmp(file, cli->conf->tls.ca) != 0) {
		cli_note(cli, "put %s in the place of the old one in %s (tls.ca), then `gatewayctl "
		              "reload`", file, cli->conf->tls.ca);
		free(file);
		return describe(cli);
	}
	free(file);
	r = tell_daemon(cli);
	return r == CLI_DONE ? describe(cli) : r;
}

int
ca_renew_run(struct cli *cli)
{
	unsigned days = CA_DAYS;
	char *pki;
	int r;

	if (cli_option_number(cli, "days", CA_DAYS_MAX, &days) < 0) {
		cli_note(cli, "--days is a number from 1 to %d", CA_DAYS_MAX);
		return CLI_USAGE;
	}
	if (cli_conf(cli) < 0) {
		return CLI_FAILED;
	}
	pki = cli_state_path(cli, "pki");
	r = pki != NULL ? renew(cli, pki, days) : cli_fail_memory(cli);
	free(pki);
	return r;
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
	note(cli, "ca-import", cert);
	cli_note(cli, "the CA is taken over; `gatewayctl init` makes what is still missing");
	return describe(cli);
}
