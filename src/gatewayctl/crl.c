/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl crl: lists of revoked certificates, ours and those of other CAs. */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "pki/pki.h"
#include "print.h"

#define CRL_DAYS 30
#define CRL_DAYS_MAX 3650

/* ---- export ------------------------------------------------------------- */

struct revoked {
	struct pki_crl_entry *entry;
	size_t count, size;
};

static int
add_revoked(void *owner, const struct reg_certificate *certificate)
{
	struct revoked *list = owner;
	struct pki_crl_entry *one;

	if (certificate->revoked_at == 0 || certificate->serial[0] == '\0') {
		return 0;
	}
	if (list->count == list->size) {
		size_t size = list->size > 0 ? 2 * list->size : 64;
		struct pki_crl_entry *entry = reallocarray(list->entry, size, sizeof *entry);

		if (entry == NULL) {
			return -ENOMEM;
		}
		list->entry = entry;
		list->size = size;
	}
	one = &list->entry[list->count];
	one->serial = strdup(certificate->serial);
	one->revoked = certificate->revoked_at;
	one->reason = pki_crl_reason(certificate->revoked_reason);
	if (one->reason < 0) {
		one->reason = 0; /* one that a complete list has not */
	}
	list->count += one->serial != NULL;
	return one->serial != NULL ? 0 : -ENOMEM;
}

static void
clear_revoked(struct revoked *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free((char *)(uintptr_t)list->entry[i].serial);
	}
	free(list->entry);
}

static void
print_exported(FILE *out, const struct doc *doc)
{
	fprintf(out, "%" PRId64 " revoked certificates in %s, good for %" PRId64 " days\n",
	        doc_get_int(doc, "revoked", 0), doc_get_text(doc, "file", ""),
	        doc_get_int(doc, "days", 0));
}

static int
write_list(struct cli *cli, const struct revoked *list, unsigned days)
{
	char *pki = cli_state_path(cli, "pki");
	char *file = cli->words > 0 ? strdup(cli->word[0]) : cli_state_path(cli, "pki/ca.crl");
	char why[PKI_WHY_SIZE];
	struct doc *doc = NULL;
	int r = pki != NULL && file != NULL ?
	                pki_crl_make(pki, list->entry, list->count, days, file, why) :
	                -ENOMEM;

	if (r == 0) {
		doc = doc_map();
		doc_set_text(doc, "file", file);
		doc_set_int(doc, "revoked", (int64_t)list->count);
		doc_set_int(doc, "days", days);
	}
	free(pki);
	free(file);
	if (r == -ENOMEM) {
		return cli_fail_memory(cli);
	}
	return r < 0 ? cli_fail(cli, r, "%s%s", why,
	                        r == -EACCES ? " Only root may sign: try `sudo gatewayctl "
	                                       "crl export`." : "") :
	               cli_result(cli, doc, print_exported);
}

int
crl_export_run(struct cli *cli)
{
	struct revoked list = { .count = 0 };
	unsigned days = CRL_DAYS;
	struct reg *reg;
	int r;

	if (cli_option_number(cli, "days", CRL_DAYS_MAX, &days) < 0) {
		cli_note(cli, "--days is a number from 1 to %d", CRL_DAYS_MAX);
		return CLI_USAGE;
	}
	r = cli_register(cli, REG_READ, &reg);
	if (r != 0) {
		return r;
	}
	r = reg_certificate_each(reg, span_of(NULL, 0), add_revoked, &list);
	r = r < 0 ? cli_fail_register(cli, reg, r, "the certificates") :
	            write_list(cli, &list, days);
	clear_revoked(&list);
	reg_close(reg);
	return r;
}

/* ---- show --------------------------------------------------------------- */

static void
add_info(void *arg, const struct pki_crl_info *info)
{
	struct doc *doc = doc_map();

	doc_set_text(doc, "issuer", info->issuer);
	doc_set_text(doc, "number", info->number);
	doc_set_int(doc, "this_update", info->this_update);
	doc_set_int(doc, "next_update", info->next_update);
	doc_set_int(doc, "revoked", (int64_t)info->count);
	doc_set_bool(doc, "stale", info->stale);
	doc_add(arg, doc);
}

static void
print_lists(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "issuer", "ISSUER" },
		{ "number", "NUMBER" },
		{ "revoked", "REVOKED", PRINT_NUMBER },
		{ "this_update", "FROM", PRINT_DATE },
		{ "next_update", "UNTIL", PRINT_WHEN },
		{ "stale", "STALE", PRINT_YES_NO },
		{ NULL },
	};

	print_table(out, doc_get(doc, "lists"), columns);
}

static int
show(struct cli *cli, const char *file)
{
	struct doc *doc = doc_map(), *list = doc_list();
	char why[PKI_WHY_SIZE];
	int r = list != NULL ? pki_crl_check_bundle(file, cli->conf->tls.ca, add_info, list, why) : 0;

	doc_set_text(doc, "file", file);
	doc_set(doc, "lists", list);
	if (r < 0) {
		doc_free(doc);
		return cli_fail(cli, r, "%s", why);
	}
	return cli_result(cli, doc, print_lists);
}

int
crl_show_run(struct cli *cli)
{
	if (cli_conf(cli) < 0) {
		return CLI_FAILED;
	}
	if (cli->words > 0) {
		return show(cli, cli->word[0]);
	}
	if (cli->conf->tls.crl == NULL) {
		return cli_fail(cli, ERR_NOT_FOUND, "the configuration has no tls.crl: gatewayd reads no "
		                                    "list (devices of our CA need none, see revoke)");
	}
	return show(cli, cli->conf->tls.crl);
}

/* ---- import ------------------------------------------------------------- */

int
crl_import_run(struct cli *cli)
{
	char why[PKI_WHY_SIZE], asked[CLI_WHY_SIZE];
	const char *target;
	struct doc *doc;
	int r;

	if (cli_conf(cli) < 0) {
		return CLI_FAILED;
	}
	target = cli->conf->tls.crl;
	if (target == NULL) {
		return cli_fail(cli, ERR_CONF, "tls.crl of the configuration must name the file that "
		                               "gatewayd reads; set it and try again");
	}
	r = pki_crl_install(target, cli->word[0], cli->conf->tls.ca, why);
	if (r < 0) {
		return cli_fail(cli, r, "%s", why);
	}
	r = cli_ask(cli, "reload", NULL, &doc, asked, NULL);
	if (r == 0) {
		doc_free(doc);
		cli_note(cli, "gatewayd uses it now");
	} else if (r == ERR_UNAVAILABLE) {
		cli_note(cli, "gatewayd is not running: the list takes effect at its start");
	} else {
		return cli_fail(cli, r, "the list is installed, but gatewayd did not take it up: %s",
		                asked);
	}
	return show(cli, target);
}
