/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gatewayctl init: folders, CA, gateway certificate, register; again and again
 * without harm.
 */
#include "run.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "names.h"
#include "owner.h"
#include "print.h"

#define CA_DAYS 7300
#define GATEWAY_DAYS 3650
#define DAYS_MAX 8400 /* Arduino's stack wants an end before 2050 */
#define RENEW_BEFORE (30 * 86400)

struct init {
	struct cli *cli;
	char *state, *pki, *ca, *ca_key, *certificate, *key, *list, *reg;
	struct names names;
	bool ca_made, gateway_made, names_added, register_made;
	unsigned days;
	int64_t ends; /* of the gateway certificate */
};

/* ---- places and owners -------------------------------------------------- */

static int
set_paths(struct init *init)
{
	const struct cli *cli = init->cli;

	init->state = strdup(cli->conf->gateway.state_directory);
	init->pki = cli_state_path(cli, "pki");
	init->ca = cli_state_path(cli, "pki/ca.crt");
	init->ca_key = cli_state_path(cli, "pki/ca.key");
	init->certificate = cli_state_path(cli, "pki/gateway.crt");
	init->key = cli_state_path(cli, "pki/gateway.key");
	init->list = cli_state_path(cli, "pki/gateway.names");
	init->reg = cli_state_path(cli, "register.db");
	return init->state != NULL && init->pki != NULL && init->ca != NULL &&
	                       init->ca_key != NULL && init->certificate != NULL &&
	                       init->key != NULL && init->list != NULL && init->reg != NULL ?
	               CLI_DONE :
	               cli_fail_memory(init->cli);
}

static void
free_paths(struct init *init)
{
	free(init->state);
	free(init->pki);
	free(init->ca);
	free(init->ca_key);
	free(init->certificate);
	free(init->key);
	free(init->list);
	free(init->reg);
	names_clear(&init->names);
}

static int
own(struct init *init, const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	int r = owner_set(path, uid, gid, mode);

	if (r == -ELOOP) {
		/* The state folder is the daemon's: a link in it may be anybody's idea. */
		cli_note(init->cli, "%s is a symbolic link: owner and mode of what it points at stay "
		                    "as they are", path);
		return CLI_DONE;
	}
	return r == 0 || r == -ENOENT ? CLI_DONE :
	                                cli_fail(init->cli, r, "cannot set the owner of %s: %s", path,
	                                         err_text(r));
}

/*
 * Root hands over to the user of the daemon what the daemon needs, and no
 * more: it must not read the CA's key, nor replace any certificate.
 */
static int
set_owners(struct init *init)
{
	const struct passwd *user = getpwnam("gateway");
	const struct group *group = getgrnam("gateway");
	uid_t uid;
	gid_t gid;
	int r;

	if (geteuid() != 0) {
		return CLI_DONE;
	}
	if (user == NULL || group == NULL) {
		cli_note(init->cli, "there is no user and group gateway: the files stay with root");
		return CLI_DONE;
	}
	uid = user->pw_uid;
	gid = group->gr_gid;
	r = own(init, init->state, uid, gid, 0750);
	r = r == CLI_DONE ? own(init, init->pki, 0, gid, 0750) : r;
	r = r == CLI_DONE ? own(init, init->ca_key, 0, 0, 0600) : r;
	r = r == CLI_DONE ? own(init, init->ca, 0, gid, 0644) : r;
	r = r == CLI_DONE ? own(init, init->key, 0, gid, 0640) : r;
	r = r == CLI_DONE ? own(init, init->certificate, 0, gid, 0644) : r;
	r = r == CLI_DONE ? own(init, init->list, 0, gid, 0644) : r;
	return r == CLI_DONE ? own(init, init->reg, uid, gid, 0660) : r;
}

/* ---- names -------------------------------------------------------------- */

static int
fail_name(struct init *init, int code, const char *name)
{
	if (code == ERR_MALFORMED) {
		return cli_fail(init->cli, code, "%s is neither a host name nor an IP address", name);
	}
	if (code == ERR_LIMIT) {
		return cli_fail(init->cli, code, "more than %d names: use --force-names and name "
		                                 "those that devices use", NAMES_MAX);
	}
	return cli_fail(init->cli, code, "cannot find the names of this host: %s", err_text(code));
}

/*
 * The names for the certificate: given, found, and those it had. Sets
 * names_added when the present certificate lacks one, or has one too many.
 */
static int
collect_names(struct init *init)
{
	bool only = cli_option(init->cli, "force-names", 0) != NULL;
	struct names before = { .count = 0 };
	const char *name = NULL;
	int r = names_read(&before, init->list);

	if (r < 0) {
		names_clear(&before);
		return cli_fail(init->cli, r, "cannot read %s: %s", init->list, err_text(r));
	}
	/* The first name becomes the certificate's common name: keep it. */
	for (unsigned i = 0; i < before.count && !only && r >= 0; i++) {
		r = names_add(&init->names, before.list[i]);
	}
	for (unsigned i = 0; r >= 0 && (name = cli_option(init->cli, "name", i)) != NULL; i++) {
		r = names_add(&init->names, name);
	}
	if (r >= 0 && !only) {
		r = names_discover(&init->names);
	}
	init->names_added = init->names.count != before.count;
	for (unsigned i = 0; i < init->names.count; i++) {
		init->names_added = init->names_added ||
		                    !names_contain(&before, init->names.list[i]);
	}
	names_clear(&before);
	if (r >= 0 && init->names.count == 0) {
		cli_note(init->cli, "--force-names needs at least one --name");
		return CLI_USAGE;
	}
	return r < 0 ? fail_name(init, r, name != NULL ? name : "") : CLI_DONE;
}

/* ---- certificates ------------------------------------------------------- */

static int
make_ca(struct init *init)
{
	char why[PKI_WHY_SIZE], name[64];
	bool have_key = access(init->ca_key, F_OK) == 0;
	int r;

	if (access(init->ca, F_OK) == 0) {
		if (!have_key) {
			cli_note(init->cli, "%s is not here: certificates can be made only where the "
			                    "CA's key is", init->ca_key);
		}
		return CLI_DONE;
	}
	snprintf(name, sizeof name, "%.40s CA", init->cli->conf->gateway.name);
	r = pki_make_ca(init->pki, name, CA_DAYS, why);
	if (r < 0) {
		return cli_fail(init->cli, r, "%s", why);
	}
	init->ca_made = true;
	return CLI_DONE;
}

/* When the gateway certificate ends; 0: there is none that can be read. */
static void
read_end(struct init *init)
{
	struct pki_cert *cert;
	char why[PKI_WHY_SIZE];

	init->ends = 0;
	if (pki_cert_read_file(init->certificate, &cert, why) == 0) {
		init->ends = cert->not_after;
		pki_cert_free(cert);
	}
}

static bool
gateway_due(struct init *init)
{
	read_end(init);
	return init->ca_made || init->names_added || init->ends < clock_wall() + RENEW_BEFORE;
}

static int
write_gateway(struct init *init)
{
	struct pki_names names = { .dns = (const char *const *)init->names.list,
		.dns_count = init->names.count };
	const char *ip[NAMES_MAX];
	char why[PKI_WHY_SIZE];
	int r;

	for (unsigned i = 0; i < init->names.count; i++) {
		if (names_is_address(init->names.list[i])) {
			ip[names.ip_count++] = init->names.list[i];
		}
	}
	names.ip = ip;
	/* From 1970: boards without a clock must be able to connect. */
	r = pki_make_gateway(init->pki, &names, 0, init->days, true, why);
	if (r == 0) {
		r = names_write(&init->names, init->list, why);
	}
	if (r < 0) {
		return cli_fail(init->cli, r, "%s", why);
	}
	init->gateway_made = true;
	read_end(init);
	return CLI_DONE;
}

static int
make_register(struct init *init)
{
	struct reg *reg;
	char why[REG_WHY_SIZE];
	bool there = access(init->reg, F_OK) == 0;
	int r = reg_open(init->reg, REG_CREATE, &reg, why);

	if (r < 0) {
		return cli_fail(init->cli, r, "%s", why);
	}
	reg_close(reg);
	init->register_made = !there;
	return CLI_DONE;
}

/* ---- the report --------------------------------------------------------- */

static void
print_table_of(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "ca", "CA" },
		{ "ca_certificate", "CA certificate" },
		{ "gateway", "gateway certificate" },
		{ "gateway_certificate", "in" },
		{ "ends", "valid until", PRINT_DATE },
		{ "register", "register" },
		{ "register_file", "in" },
		{ NULL },
	};
	const struct doc *names = doc_get(doc, "names");

	print_record(out, doc, columns, 0);
	fputs("names                ", out);
	for (size_t i = 0; i < doc_count(names); i++) {
		fprintf(out, "%s%s", i > 0 ? ", " : "", doc_text(doc_at(names, i)));
	}
	fprintf(out, "\n\nNext:\n"
	             "  gatewayctl enroll --csr FILE                     a board with its own key\n"
	             "  gatewayctl enroll --name NAME --key-out FILE     any other client\n"
	             "  systemctl enable --now gatewayd                  start the gateway\n"
	             "Devices must trust %s and connect to one of the names.\n",
	        doc_get_text(doc, "ca_certificate", ""));
}

static struct doc *
describe(const struct init *init)
{
	struct doc *doc = doc_map();
	struct doc *names = doc_list();

	doc_set_text(doc, "ca", init->ca_made ? "made" : "there already");
	doc_set_text(doc, "ca_certificate", init->ca);
	doc_set_text(doc, "gateway",
	             !init->gateway_made ? "there already" :
	             init->ca_made       ? "made" :
	             init->names_added   ? "made for the names below" :
	                                   "renewed");
	doc_set_text(doc, "gateway_certificate", init->certificate);
	doc_set_int(doc, "ends", init->ends);
	doc_set_text(doc, "register", init->register_made ? "made" : "there already");
	doc_set_text(doc, "register_file", init->reg);
	for (unsigned i = 0; i < init->names.count; i++) {
		doc_add(names, doc_string(span_str(init->names.list[i])));
	}
	doc_set(doc, "names", names);
	return doc;
}

static int
run(struct init *init)
{
	int r = set_paths(init);

	r = r == CLI_DONE ? cli_make_folder(init->cli, init->state, 0750) : r;
	r = r == CLI_DONE ? cli_make_folder(init->cli, init->pki, 0750) : r;
	r = r == CLI_DONE ? collect_names(init) : r;
	r = r == CLI_DONE ? make_ca(init) : r;
	if (r == CLI_DONE && gateway_due(init)) {
		r = write_gateway(init);
	}
	r = r == CLI_DONE ? make_register(init) : r;
	r = r == CLI_DONE ? set_owners(init) : r;
	return r == CLI_DONE ? cli_result(init->cli, describe(init), print_table_of) : r;
}

int
init_run(struct cli *cli)
{
	struct init init = { .cli = cli, .days = GATEWAY_DAYS };
	int r;

	if (cli_option_number(cli, "days", DAYS_MAX, &init.days) < 0) {
		cli_note(cli, "--days is a number from 1 to %d", DAYS_MAX);
		return CLI_USAGE;
	}
	if (cli_conf(cli) < 0) {
		return CLI_FAILED;
	}
	r = run(&init);
	free_paths(&init);
	return r;
}
