/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gatewayctl enroll --csr-dir: many requests. Each device is finished before
 * the next is begun, so it can be stopped at any time and started again.
 */
#include "enroll.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "csr_plan.h"
#include "print.h"
#include "text.h"

#define BAR 30

static volatile sig_atomic_t interrupted;

struct many {
	struct enrolment e;
	const char *folder, *out; /* options */
	struct csr_plan plan;
	struct doc *results;
	int64_t made, renewed, skipped, failed;
	bool bar; /* the diagnostics go to a terminal */
};

static void
on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

/* ---- what is there already ---------------------------------------------- */

/* In the register with this key, and its newest certificate in the folder. */
static bool
is_done(void *owner, const char *name, const char *fingerprint)
{
	struct many *m = owner;
	struct reg_device row;
	struct pki_cert *cert;
	char *file = NULL, why[PKI_WHY_SIZE];
	bool done = false;

	if (reg_find_fingerprint(m->e.reg, fingerprint, &row) != 0 || row.state != REG_ENROLLED ||
	    (strcmp(row.name, name) != 0 && !m->e.cli->conf->identity.issuer) ||
	    asprintf(&file, "%s/%s/device.crt", m->out, row.name) < 0) {
		return false;
	}
	if (pki_cert_read_file(file, &cert, why) == 0) {
		done = strcmp(cert->certificate_hash, row.certificate_hash) == 0;
		pki_cert_free(cert);
	}
	free(file);
	return done;
}

/* ---- progress ----------------------------------------------------------- */

static void
show_progress(const struct many *m, size_t at, const char *name, const char *done)
{
	size_t filled = m->plan.count > 0 ? BAR * at / m->plan.count : BAR;
	char *safe = text_escape(name, 0);

	if (m->bar) {
		fprintf(m->e.cli->err, "\r\x1b[K[%.*s%*s] %zu/%zu %.40s", (int)filled,
		        "##############################", (int)(BAR - filled), "", at, m->plan.count,
		        safe != NULL ? safe : "");
	} else {
		fprintf(m->e.cli->err, "%zu/%zu %s: %s\n", at, m->plan.count,
		        safe != NULL ? safe : "", done);
	}
	fflush(m->e.cli->err);
	free(safe);
}

static void
note_result(struct many *m, const struct csr_item *item, size_t at, const char *done,
            const char *why)
{
	struct doc *one = doc_map();

	doc_set_text(one, "file", item->file);
	doc_set_text(one, "identity", m->e.identity[0] != '\0' ? m->e.identity : item->name);
	doc_set_text(one, "done", done);
	doc_set_text(one, "reason", why);
	doc_add(m->results, one);
	show_progress(m, at, item->file, why[0] != '\0' ? why : done);
}

/* ---- the work ----------------------------------------------------------- */

static int
enroll_one(struct many *m, const struct csr_item *item)
{
	struct buf request = { 0 };
	int r = enroll_read(item->file, &request);

	m->e.name = item->name;
	if (r < 0) {
		snprintf(m->e.why, sizeof m->e.why, "cannot read it: %s", err_text(r));
	}
	r = r == 0 ? enroll_sign(&m->e, buf_span(&request)) : r;
	r = r == 0 ? enroll_find_identity(&m->e) : r;
	r = r == 0 ? enroll_make_folder(&m->e, m->out, NULL) : r;
	r = r == 0 ? enroll_register(&m->e) : r;
	r = r == 0 ? enroll_write_files(&m->e) : r;
	buf_release(&request);
	return r;
}

static void
do_item(struct many *m, const struct csr_item *item, size_t at)
{
	m->e.identity[0] = '\0';
	if (item->step == CSR_SKIP) {
		m->skipped++;
		note_result(m, item, at, "skipped", "");
	} else if (item->step == CSR_FAIL) {
		m->failed++;
		note_result(m, item, at, "failed", item->why);
	} else if (enroll_one(m, item) < 0) {
		m->failed++;
		note_result(m, item, at, "failed", m->e.why);
	} else {
		m->renewed += m->e.renewed;
		m->made += !m->e.renewed;
		note_result(m, item, at, m->e.renewed ? "renewed" : "made", "");
	}
	enroll_reset(&m->e);
}

static void
print_summary(FILE *out, const struct doc *doc)
{
	const struct doc *list = doc_get(doc, "requests");

	for (size_t i = 0; i < doc_count(list); i++) {
		const struct doc *one = doc_at(list, i);

		if (strcmp(doc_get_text(one, "done", ""), "failed") == 0) {
			char *file = print_cell(doc_get(one, "file"), PRINT_TEXT);
			char *why = print_cell(doc_get(one, "reason"), PRINT_TEXT);

			fprintf(out, "%s: %s\n", file != NULL ? file : "", why != NULL ? why : "");
			free(file);
			free(why);
		}
	}
	fprintf(out, "%" PRId64 " made, %" PRId64 " renewed, %" PRId64 " skipped, %" PRId64
	             " failed, %" PRId64 " left\n",
	        doc_get_int(doc, "made", 0), doc_get_int(doc, "renewed", 0),
	        doc_get_int(doc, "skipped", 0), doc_get_int(doc, "failed", 0),
	        doc_get_int(doc, "left", 0));
}

static int
report(struct many *m)
{
	struct doc *doc = doc_map();
	int64_t left = (int64_t)(m->plan.count - doc_count(m->results));
	int r;

	doc_set_int(doc, "made", m->made);
	doc_set_int(doc, "renewed", m->renewed);
	doc_set_int(doc, "skipped", m->skipped);
	doc_set_int(doc, "failed", m->failed);
	doc_set_int(doc, "left", left);
	doc_set_text(doc, "out", m->out);
	doc_set(doc, "requests", m->results);
	if (m->bar) {
		fputs("\r\x1b[K", m->e.cli->err);
	}
	r = cli_result(m->e.cli, doc, print_summary);
	if (left > 0) {
		cli_note(m->e.cli, "interrupted; the same command again goes on where it was");
	}
	return r == CLI_DONE && (left > 0 || m->failed > 0) ? CLI_FAILED : r;
}

static int
work(struct many *m, bool by_file)
{
	/* The device under work is finished, so calls go on after the signal. */
	const struct sigaction catch = { .sa_handler = on_interrupt, .sa_flags = SA_RESTART };
	struct sigaction before, before_term;
	int r = csr_plan_make(m->folder, by_file, is_done, m, &m->plan);

	if (r < 0) {
		return cli_fail(m->e.cli, r, "cannot read the folder %s: %s", m->folder, err_text(r));
	}
	interrupted = 0;
	sigaction(SIGINT, &catch, &before);
	sigaction(SIGTERM, &catch, &before_term);
	m->results = doc_list();
	for (size_t i = 0; i < m->plan.count && !interrupted; i++) {
		do_item(m, &m->plan.item[i], i + 1);
	}
	sigaction(SIGINT, &before, NULL);
	sigaction(SIGTERM, &before_term, NULL);
	return report(m);
}

int
enroll_directory_run(struct cli *cli)
{
	static const char *const alone[] = { "csr", "key-out", "name", "slot" };
	struct many m = { .e.sketch = true, .folder = cli_option(cli, "csr-dir", 0),
		.out = cli_option(cli, "out", 0) };
	const char *from = cli_option(cli, "name-from", 0);
	int r;

	for (size_t i = 0; i < sizeof alone / sizeof alone[0]; i++) {
		if (cli_option(cli, alone[i], 0) != NULL) {
			cli_note(cli, "--%s is for one device and does not go with --csr-dir", alone[i]);
			return CLI_USAGE;
		}
	}
	if (from != NULL && strcmp(from, "file") != 0 && strcmp(from, "cn") != 0) {
		cli_note(cli, "--name-from is file (the name of the file) or cn (the common name)");
		return CLI_USAGE;
	}
	m.out = m.out != NULL ? m.out : ".";
	r = enroll_open(cli, &m.e);
	if (r != CLI_DONE) {
		return r;
	}
	m.bar = isatty(fileno(cli->err)) == 1;
	r = work(&m, from != NULL && strcmp(from, "file") == 0);
	csr_plan_clear(&m.plan);
	enroll_close(&m.e);
	return r;
}
