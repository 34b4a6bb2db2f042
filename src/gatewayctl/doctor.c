/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl doctor: the table of checks, running them, and the report. */
#include "doctor_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "print.h"
#include "run.h"
#include "text.h"

#define ASK_MS 5000

static const char *const status_word[DOCTOR_STATUSES] = { "ok", "skipped", "warning", "fault" };

static const struct doctor_check checks[] = {
	{ "configuration", "configuration", 0, doctor_configuration },
	{ "certificate.file", "gateway certificate", DOCTOR_CONF, doctor_certificate_file },
	{ "certificate.key", "gateway key", DOCTOR_CONF, doctor_certificate_key },
	{ "certificate.dates", "validity", DOCTOR_CERTIFICATE, doctor_certificate_dates },
	{ "certificate.type", "version and key", DOCTOR_CERTIFICATE, doctor_certificate_type },
	{ "certificate.signature", "signature", DOCTOR_CERTIFICATE, doctor_certificate_signature },
	{ "certificate.usage", "usage", DOCTOR_CERTIFICATE, doctor_certificate_usage },
	{ "certificate.extensions", "extensions", DOCTOR_CERTIFICATE,
	  doctor_certificate_extensions },
	{ "certificate.names", "names", DOCTOR_CERTIFICATE, doctor_certificate_names },
	{ "certificate.addresses", "addresses", DOCTOR_CERTIFICATE, doctor_certificate_addresses },
	{ "certificate.issuer", "issuer", DOCTOR_CERTIFICATE | DOCTOR_CA,
	  doctor_certificate_issuer },
	{ "ca.file", "CA certificate", DOCTOR_CONF, doctor_ca_file },
	{ "ca.dates", "CA validity", DOCTOR_CA, doctor_ca_dates },
	{ "ca.type", "CA version and key", DOCTOR_CA, doctor_ca_type },
	{ "ca.key", "CA key", DOCTOR_CONF, doctor_ca_key },
	{ "ca.crl", "revocation lists", DOCTOR_CA, doctor_ca_crl },
	{ "clock.time", "clock", 0, doctor_clock_time },
	{ "clock.sync", "time server", 0, doctor_clock_sync },
	{ "files.state", "state directory", DOCTOR_CONF, doctor_files_state },
	{ "files.pki", "pki folder", DOCTOR_CONF, doctor_files_pki },
	{ "files.register", "register", DOCTOR_CONF, doctor_files_register },
	{ "files.spool", "spool", DOCTOR_CONF, doctor_files_spool },
	{ "spool.space", "room for the spool", DOCTOR_CONF, doctor_spool_space },
	{ "spool.damaged", "damaged spools", DOCTOR_CONF, doctor_spool_damaged },
	{ "spool.depth", "stored messages", DOCTOR_DAEMON, doctor_spool_depth },
	{ "daemon.running", "gatewayd", 0, doctor_daemon_running },
	{ "daemon.configuration", "its configuration", DOCTOR_DAEMON, doctor_daemon_configuration },
	{ "daemon.socket", "control socket", DOCTOR_CONF, doctor_daemon_socket },
	{ "daemon.limits", "open files", DOCTOR_CONF | DOCTOR_DAEMON, doctor_daemon_limits },
	{ "network.ports", "listeners", DOCTOR_CONF, doctor_network_ports },
	{ "network.reuseport", "port sharing", 0, doctor_network_reuseport },
	{ "network.firewall", "firewall", DOCTOR_CONF, doctor_network_firewall },
	{ "broker.connection", "broker", DOCTOR_CONF, doctor_broker_connection },
	{ "broker.session", "own session", DOCTOR_DAEMON, doctor_broker_session },
	{ "broker.version", "broker version", DOCTOR_CONF, doctor_broker_version },
	{ "broker.settings", "broker settings", DOCTOR_CONF, doctor_broker_settings },
	{ "devices.admission", "devices", DOCTOR_CONF | DOCTOR_REGISTER, doctor_devices_admission },
	{ "devices.dates", "their certificates", DOCTOR_REGISTER, doctor_devices_dates },
};
#define CHECKS (sizeof checks / sizeof checks[0])

/* ---- findings ------------------------------------------------------------------- */

static void
set_format(struct doc *map, const char *key, const char *format, va_list args)
{
	char *text = NULL;

	doc_set(map, key, vasprintf(&text, format, args) >= 0 ? doc_string(span_str(text)) : NULL);
	free(text);
}

void
doctor_say(struct doctor *d, enum doctor_status status, const char *format, ...)
{
	va_list args;

	d->last = doc_map();
	doc_set_text(d->last, "id", d->check->id);
	doc_set_text(d->last, "title", d->check->title);
	doc_set_text(d->last, "status", status_word[status]);
	va_start(args, format);
	set_format(d->last, "sentence", format, args);
	va_end(args);
	doc_add(d->list, d->last);
	d->count[status]++;
	d->said = true;
}

void
doctor_remedy(struct doctor *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_format(d->last, "remedy", format, args);
	va_end(args);
}

/* ---- what the checks work with ---------------------------------------------------- */

/* Where the daemon listens; with a faulty configuration, the usual place. */
static void
ask_daemon(struct doctor *d)
{
	const char *path = d->cli->socket != NULL ? d->cli->socket
			   : d->conf != NULL      ? d->conf->gateway.control_socket
						  : GATEWAY_RUNDIR "/control.sock";
	struct ctl_client *client;
	int r = ctl_connect(path, &client, d->daemon_why);

	if (r == 0) {
		r = ctl_call(client, "status", NULL, ASK_MS, &d->status, d->daemon_why);
		ctl_disconnect(client);
	}
	d->daemon_code = r;
}

static void
open_register(struct doctor *d)
{
	char path[4096];

	doctor_state_path(d, "register.db", path, sizeof path);
	d->reg_code = reg_open(path, REG_READ, &d->reg, d->reg_why);
	if (d->reg_code != 0) {
		d->reg = NULL;
	}
}

static void
gather(struct doctor *d)
{
	ask_daemon(d);
	doctor_find_user(d);
	if (d->conf == NULL) {
		return;
	}
	/* Both lists stay NULL on failure. */
	d->gateway_code = pki_profiles_read(d->conf->tls.certificate, &d->gateway,
					    &d->gateway_count, d->gateway_why);
	d->ca_code = pki_profiles_read(d->conf->tls.ca, &d->ca, &d->ca_count, d->ca_why);
	open_register(d);
}

static void
release(struct doctor *d)
{
	doc_free(d->status);
	pki_profiles_free(d->gateway, d->gateway_count);
	pki_profiles_free(d->ca, d->ca_count);
	if (d->reg != NULL) {
		reg_close(d->reg);
	}
}

/* ---- running -------------------------------------------------------------------- */

/* Why the check cannot be made; NULL: it can. */
static const char *
missing(const struct doctor *d, unsigned needs)
{
	if (needs != 0 && needs != DOCTOR_DAEMON && d->conf == NULL) {
		return "Not checked: the configuration has faults.";
	}
	if ((needs & DOCTOR_CERTIFICATE) != 0 && d->gateway == NULL) {
		return "Not checked: the gateway's certificate cannot be read.";
	}
	if ((needs & DOCTOR_CA) != 0 && d->ca == NULL) {
		return "Not checked: the CA's certificate cannot be read.";
	}
	if ((needs & DOCTOR_REGISTER) != 0 && d->reg == NULL) {
		return "Not checked: the register cannot be opened.";
	}
	if ((needs & DOCTOR_DAEMON) != 0 && d->status == NULL) {
		return "Not checked: gatewayd does not answer.";
	}
	return NULL;
}

static bool
is_chosen(const char *id, const char *only)
{
	size_t n = only != NULL ? strlen(only) : 0;

	return only == NULL || (strncmp(id, only, n) == 0 && (id[n] == '\0' || id[n] == '.'));
}

static void
run_check(struct doctor *d, const struct doctor_check *check)
{
	const char *why = missing(d, check->needs);

	d->check = check;
	d->said = false;
	if (why != NULL) {
		doctor_skip(d, "%s", why);
	} else {
		check->run(d);
	}
}

static struct doc *
result(struct doctor *d)
{
	struct doc *doc = doc_map(), *counts = doc_map();
	int worst = DOCTOR_OK;

	for (int s = 0; s < DOCTOR_STATUSES; s++) {
		doc_set_int(counts, status_word[s], d->count[s]);
		worst = d->count[s] > 0 && s != DOCTOR_SKIPPED ? s : worst;
	}
	doc_set_text(doc, "status", status_word[worst]);
	doc_set(doc, "counts", counts);
	doc_set(doc, "checks", d->list);
	return doc;
}

int
doctor_examine(struct cli *cli, const char *only, const char *root, struct doc **out)
{
	struct doctor d = { .cli = cli, .root = root, .list = doc_list() };
	size_t ran = 0;

	/* Reads the configuration into the others' hands, so it always runs. */
	run_check(&d, &checks[0]);
	d.conf = cli->conf;
	if (!is_chosen(checks[0].id, only)) {
		doc_free(d.list);
		d.list = doc_list();
		memset(d.count, 0, sizeof d.count);
	} else {
		ran++;
	}
	gather(&d);
	for (size_t i = 1; i < CHECKS; i++) {
		if (is_chosen(checks[i].id, only)) {
			run_check(&d, &checks[i]);
			ran++;
		}
	}
	release(&d);
	*out = result(&d);
	if (ran == 0 || doc_failed(*out)) {
		doc_free(*out);
		return ran == 0 ? ERR_NOT_FOUND : -ENOMEM;
	}
	return 0;
}

/* ---- the report ----------------------------------------------------------------- */

static void
print_row(FILE *out, const struct doc *row)
{
	char *sentence = text_escape(doc_get_text(row, "sentence", ""), 0);
	char *remedy = text_escape(doc_get_text(row, "remedy", ""), 0);

	fprintf(out, "%-8s  %-19s  %s\n", doc_get_text(row, "status", ""),
		doc_get_text(row, "title", ""), sentence != NULL ? sentence : "");
	if (remedy != NULL && remedy[0] != '\0') {
		fprintf(out, "%31s-> %s\n", "", remedy);
	}
	free(sentence);
	free(remedy);
}

static void
print_report(FILE *out, const struct doc *doc)
{
	const struct doc *list = doc_get(doc, "checks"), *counts = doc_get(doc, "counts");

	for (size_t i = 0; i < doc_count(list); i++) {
		print_row(out, doc_at(list, i));
	}
	fprintf(out, "\nok %d, warnings %d, faults %d, not checked %d\n",
		(int)doc_get_int(counts, "ok", 0), (int)doc_get_int(counts, "warning", 0),
		(int)doc_get_int(counts, "fault", 0), (int)doc_get_int(counts, "skipped", 0));
}

int
doctor_run(struct cli *cli)
{
	struct doc *doc;
	bool faulty;
	int r = doctor_examine(cli, cli->words > 0 ? cli->word[0] : NULL, "", &doc);

	if (r == ERR_NOT_FOUND) {
		return cli_fail(cli, r, "there is no check %s", cli->word[0]);
	}
	if (r < 0) {
		return cli_fail_memory(cli);
	}
	faulty = doc_get_int(doc_get(doc, "counts"), "fault", 0) > 0;
	r = cli_result(cli, doc, print_report);
	return r == CLI_DONE && faulty ? CLI_FAILED : r;
}
