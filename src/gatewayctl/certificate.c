/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gatewayctl certificate: that of the gateway. The key stays, so a renewal is
 * a reload for the daemon, and sessions go on.
 */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "names.h"
#include "pki/pki.h"
#include "print.h"

#define GATEWAY_DAYS 3650
#define DAYS_MAX 8400 /* as init has it */

struct work {
	struct cli *cli;
	char *pki, *list; /* STATE/pki, its gateway.names */
	struct pki_gateway_info *info;
	struct names names;
	unsigned days;
};

static void
print_certificate(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "certificate", "certificate" },
		{ "subject", "subject", PRINT_TEXT, true },
		{ "issuer", "issuer", PRINT_TEXT, true },
		{ "key_type", "key", PRINT_TEXT, true },
		{ "fingerprint", "key fingerprint", PRINT_TEXT, true },
		{ "not_before", "valid from", PRINT_DAY },
		{ "not_after", "valid until", PRINT_WHEN },
		{ "gateway", "now", PRINT_TEXT, true },
		{ NULL },
	};
	const struct doc *names = doc_get(doc, "names");

	print_record(out, doc, columns, 0);
	for (size_t i = 0; i < doc_count(names); i++) {
		char *name = print_cell(doc_at(names, i), PRINT_TEXT);

		fprintf(out, "%-15s  %s\n", i == 0 ? "names" : "", name != NULL ? name : "");
		free(name);
	}
}

/* ---- opening ------------------------------------------------------------ */

static int
open_work(struct cli *cli, struct work *w)
{
	*w = (struct work){ .cli = cli, .days = GATEWAY_DAYS };
	if (cli_option_number(cli, "days", DAYS_MAX, &w->days) < 0) {
		cli_note(cli, "--days is a number from 1 to %d", DAYS_MAX);
		return CLI_USAGE;
	}
	if (cli_conf(cli) < 0) {
		return CLI_FAILED;
	}
	w->pki = cli_state_path(cli, "pki");
	w->list = cli_state_path(cli, "pki/gateway.names");
	return w->pki != NULL && w->list != NULL ? CLI_DONE : cli_fail_memory(cli);
}

static void
close_work(struct work *w)
{
	free(w->pki);
	free(w->list);
	pki_gateway_info_free(w->info);
	names_clear(&w->names);
}

/* The certificate and its names, for a change. */
static int
read_present(struct work *w)
{
	char why[PKI_WHY_SIZE];
	char *key = cli_state_path(w->cli, "pki/ca.key");
	bool refused = key != NULL && access(key, R_OK) < 0 && errno == EACCES;
	int r;

	free(key);
	if (refused) {
		return cli_fail(w->cli, -EACCES, "the key of the CA may be read by root only: try "
		                                 "`sudo gatewayctl %s`", w->cli->command->name);
	}
	r = pki_gateway_read(w->pki, &w->info, why);
	if (r < 0) {
		return cli_fail(w->cli, r, "%s", why);
	}
	for (size_t i = 0; i < w->info->names.dns_count; i++) {
		r = names_add(&w->names, w->info->names.dns[i]);
		if (r < 0) {
			return cli_fail(w->cli, r, "the name %s of the certificate: %s",
			                w->info->names.dns[i], err_text(r));
		}
	}
	return CLI_DONE;
}

/* ---- showing ------------------------------------------------------------ */

static struct doc *
name_list(const struct pki_names *names)
{
	struct doc *list = doc_list();

	for (size_t i = 0; i < names->dns_count; i++) {
		doc_add(list, doc_string(span_str(names->dns[i])));
	}
	return list;
}

static int
describe(struct work *w, const char *gateway)
{
	const char *file = w->cli->conf->tls.certificate;
	struct pki_cert *cert;
	char why[PKI_WHY_SIZE];
	struct doc *doc;
	int r = pki_cert_read_file(file, &cert, why);

	if (r < 0) {
		return cli_fail(w->cli, r, "%s", why);
	}
	doc = doc_map();
	doc_set_text(doc, "certificate", file);
	doc_set_string(doc, "subject", cert->subject);
	doc_set_string(doc, "issuer", cert->issuer);
	doc_set_string(doc, "serial", cert->serial);
	doc_set_string(doc, "key_type", cert->key_type);
	doc_set_text(doc, "fingerprint", cert->fingerprint);
	doc_set_int(doc, "not_before", cert->not_before);
	doc_set_int(doc, "not_after", cert->not_after);
	if (gateway != NULL) {
		doc_set_text(doc, "gateway", gateway);
	}
	pki_gateway_info_free(w->info);
	w->info = NULL;
	if (pki_gateway_read(w->pki, &w->info, why) == 0) {
		doc_set(doc, "names", name_list(&w->info->names));
	}
	pki_cert_free(cert);
	return cli_result(w->cli, doc, print_certificate);
}

int
certificate_show_run(struct cli *cli)
{
	struct work w;
	int r = open_work(cli, &w);

	r = r == CLI_DONE ? describe(&w, NULL) : r;
	close_work(&w);
	return r;
}

/* ---- changing ----------------------------------------------------------- */

static int
write_certificate(struct work *w)
{
	struct pki_names names = { .dns = (const char *const *)w->names.list,
		.dns_count = w->names.count };
	const char *ip[NAMES_MAX];
	char why[PKI_WHY_SIZE];
	int r;

	for (unsigned i = 0; i < w->names.count; i++) {
		if (names_is_address(w->names.list[i])) {
			ip[names.ip_count++] = w->names.list[i];
		}
	}
	names.ip = ip;
	r = pki_make_gateway(w->pki, &names, w->info->not_before, w->days, true, why);
	r = r == 0 ? names_write(&w->names, w->list, why) : r;
	return r < 0 ? cli_fail(w->cli, r, "%s", why) : CLI_DONE;
}

/* The daemon takes it up at once; nothing is lost when it is down. */
static int
write_and_reload(struct work *w)
{
	char why[CLI_WHY_SIZE], said[CLI_WHY_SIZE + 64];
	struct doc *doc;
	int r = write_certificate(w);

	if (r != CLI_DONE) {
		return r;
	}
	r = cli_ask(w->cli, "reload", NULL, &doc, why, NULL);
	if (r == 0) {
		doc_free(doc);
		snprintf(said, sizeof said, "gatewayd uses it for new connections; sessions stay");
	} else if (r == ERR_UNAVAILABLE) {
		snprintf(said, sizeof said, "gatewayd is not running: it takes effect at its start");
	} else {
		snprintf(said, sizeof said, "gatewayd did not take it up: %s", why);
		(void)describe(w, said);
		return cli_fail(w->cli, r, "%s", said);
	}
	return describe(w, said);
}

int
certificate_renew_run(struct cli *cli)
{
	struct work w;
	int r = open_work(cli, &w);

	r = r == CLI_DONE ? read_present(&w) : r;
	r = r == CLI_DONE ? write_and_reload(&w) : r;
	close_work(&w);
	return r;
}

static void
print_names(FILE *out, const struct doc *doc)
{
	const struct doc *names = doc_get(doc, "names");

	for (size_t i = 0; i < doc_count(names); i++) {
		char *name = print_cell(doc_at(names, i), PRINT_TEXT);

		fprintf(out, "%s\n", name != NULL ? name : "");
		free(name);
	}
}

int
certificate_names_run(struct cli *cli)
{
	struct work w;
	char why[PKI_WHY_SIZE];
	int code, r = open_work(cli, &w);

	if (r == CLI_DONE) {
		code = pki_gateway_read(w.pki, &w.info, why);
		if (code < 0) {
			r = cli_fail(cli, code, "%s", why);
		} else {
			struct doc *doc = doc_map();

			doc_set(doc, "names", name_list(&w.info->names));
			r = cli_result(cli, doc, print_names);
		}
	}
	close_work(&w);
	return r;
}

int
certificate_names_add_run(struct cli *cli)
{
	struct work w;
	int r = open_work(cli, &w);

	r = r == CLI_DONE ? read_present(&w) : r;
	for (unsigned i = 0; i < cli->words && r == CLI_DONE; i++) {
		int code = names_add(&w.names, cli->word[i]);

		if (code < 0) {
			r = cli_fail(cli, code, code == ERR_MALFORMED ?
			                                "%s is neither a host name nor an IP address" :
			                                "%s is one name too many", cli->word[i]);
		}
	}
	r = r == CLI_DONE ? write_and_reload(&w) : r;
	close_work(&w);
	return r;
}

/* Without it; false: it is not among them. */
static bool
take_out(struct names *names, const char *name)
{
	struct names one = { .count = 0 };
	bool found = false;

	for (unsigned i = 0; i < names->count && !found; i++) {
		one.list[0] = names->list[i];
		one.count = 1;
		if (names_contain(&one, name)) {
			free(names->list[i]);
			memmove(&names->list[i], &names->list[i + 1],
			        (names->count - i - 1) * sizeof names->list[0]);
			names->count--;
			found = true;
		}
	}
	return found;
}

int
certificate_names_remove_run(struct cli *cli)
{
	struct work w;
	int r = open_work(cli, &w);

	r = r == CLI_DONE ? read_present(&w) : r;
	for (unsigned i = 0; i < cli->words && r == CLI_DONE; i++) {
		if (!take_out(&w.names, cli->word[i])) {
			r = cli_fail(cli, ERR_NOT_FOUND, "%s is not in the certificate", cli->word[i]);
		}
	}
	if (r == CLI_DONE && w.names.count == 0) {
		r = cli_fail(cli, ERR_DENIED, "a certificate without any name is of use to nobody");
	}
	r = r == CLI_DONE ? write_and_reload(&w) : r;
	close_work(&w);
	return r;
}
