/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gatewayctl provision: from a flashed board to one that connects. Every step
 * reads where the board stands from its flash, so a run that was broken off
 * anywhere is completed by the next one.
 */
#include "provision.h"

#include <stdlib.h>
#include <time.h>

#include "enroll.h"
#include "print.h"
#include "run.h"

struct provision {
	struct enrolment e;
	struct board board;
	struct board_settings settings;
	struct board_report report;
	uint8_t report_block[PAGE_SIZE_MAX], block[PAGE_SIZE_MAX];
	uint32_t generation; /* of the page to write */
	bool dry_run;
};

/* ---- what is said at the end ---- */

static void
print_consent(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "chip", "crypto chip" },
		{ "firmware", "firmware" },
		{ "done", "board" },
		{ NULL },
	};

	print_record(out, doc, columns, 0);
	if (!doc_get_bool(doc, "dry_run", false)) {
		fputs("\nNext:\n"
		      "  1. Let the board run for ten seconds: it locks its chip for ever, then\n"
		      "     makes its key and its certificate request.\n"
		      "  2. Double-tap its reset button and run the same command again.\n",
		      out);
	}
}

static void
print_provisioned(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "identity", "device" },
		{ "done", "board" },
		{ "chip", "crypto chip" },
		{ "firmware", "firmware" },
		{ "state", "it said" },
		{ "network", "WiFi network" },
		{ "gateway", "gateway" },
		{ "group", "group" },
		{ "fingerprint", "key fingerprint" },
		{ "serial", "serial", PRINT_TEXT, true },
		{ "not_after", "valid until", PRINT_DATE, true },
		{ NULL },
	};
	char *host = print_cell(doc_get(doc, "gateway"), PRINT_TEXT);

	print_record(out, doc, columns, 0);
	if (!doc_get_bool(doc, "dry_run", false)) {
		fprintf(out,
		        "\nNext:\n"
		        "  1. The board starts, joins the network and connects to %s.\n"
		        "  2. See it arrive: `gatewayctl devices --live`.\n"
		        "  3. If it has not after a minute: `gatewayctl failures`, and its LED\n"
		        "     blinks the number of what went wrong.\n",
		        host != NULL ? host : "the gateway");
	}
	free(host);
}

static struct doc *
report_doc(const struct provision *p, const char *done)
{
	struct doc *doc = doc_map();

	doc_set_text(doc, "done", done);
	doc_set_bool(doc, "dry_run", p->dry_run);
	doc_set_text(doc, "chip", p->report.serial);
	doc_set_text(doc, "firmware", p->report.firmware);
	return doc;
}

static int
say_provisioned(struct provision *p)
{
	const struct pki_cert *cert = p->e.issued.cert;
	const char *group = cli_option(p->e.cli, "group", 0);
	struct reg_device known = { .group = "" };
	struct doc *doc = report_doc(p, p->dry_run      ? "would be provisioned" :
	                                p->e.renewed    ? "provisioned, certificate renewed" :
	                                                  "provisioned");
	char gateway[300];

	if (group == NULL && reg_find(p->e.reg, span_str(p->e.identity), &known) == 0) {
		group = known.group;
	}
	snprintf(gateway, sizeof gateway, "%s:%u", p->settings.host, p->settings.port);
	doc_set_text(doc, "identity", p->e.identity);
	doc_set_text(doc, "state", board_state_text(p->report.state));
	doc_set_text(doc, "network", p->settings.ssid);
	doc_set_text(doc, "gateway", gateway);
	doc_set_text(doc, "group", group != NULL ? group : "");
	doc_set_text(doc, "fingerprint", cert->fingerprint);
	doc_set_bool(doc, "renewed", p->e.renewed);
	if (!p->dry_run) { /* that certificate is thrown away */
		doc_set_string(doc, "serial", cert->serial);
		doc_set_int(doc, "not_after", cert->not_after);
	}
	return cli_result(p->e.cli, doc, print_provisioned);
}

/* ---- the steps ---- */

static int
check_options(struct cli *cli, struct provision *p)
{
	p->board.port = cli_option(cli, "port", 0);
	p->board.image = cli_option(cli, "image", 0);
	p->e.name = cli_option(cli, "name", 0);
	p->dry_run = cli_option(cli, "dry-run", 0) != NULL;
	if ((p->board.port != NULL) == (p->board.image != NULL)) {
		cli_note(cli, "either --port PORT, the board in its bootloader, or --image FILE, "
		              "its flash");
		return CLI_USAGE;
	}
	if (p->e.name != NULL && !topic_value_safe(span_str(p->e.name))) {
		cli_note(cli, "the name %s cannot stand in a topic: no + # / $, no control "
		              "characters",
		         p->e.name);
		return CLI_USAGE;
	}
	return board_settings_options(cli, &p->settings);
}

/*
 * What the board says of itself, and which page comes next. Reading is first
 * for a second reason: a bossac before 1.9 counts offsets in another way, finds
 * no report page, and never gets to write.
 */
static int
look(struct provision *p)
{
	struct cli *cli = p->e.cli;
	struct page page;
	char why[PROVISION_WHY_SIZE];
	int r = board_check(&p->board, why);

	r = r == 0 ? board_read(&p->board, PAGE_REPORT_ADDRESS, p->report_block, why) : r;
	r = r == 0 ? board_report_read(p->report_block, &p->report, why) : r;
	r = r == 0 ? board_read(&p->board, PAGE_SETTINGS_ADDRESS, p->block, why) : r;
	if (r < 0) {
		return cli_fail(cli, r, "%s", why);
	}
	p->generation = 1;
	if (page_open(PAGE_SETTINGS, p->block, sizeof p->block, &page) == PAGE_GOOD) {
		p->generation = page.generation + 1;
	}
	if (!p->report.has_chip) {
		return cli_fail(cli, ERR_NOT_FOUND, "the board found no crypto chip: without it "
		                                    "there is no key and no certificate");
	}
	return CLI_DONE;
}

static int
write_page(struct provision *p)
{
	char why[PROVISION_WHY_SIZE];
	int r = board_write(&p->board, PAGE_SETTINGS_ADDRESS, p->block, why);

	r = r == 0 ? board_reset(&p->board, why) : r;
	return r < 0 ? cli_fail(p->e.cli, r, "%s", why) : CLI_DONE;
}

/* The chip is not locked: nothing goes on without the owner's word. */
static int
consent(struct provision *p)
{
	struct cli *cli = p->e.cli;
	int r = CLI_DONE;

	if (cli_option(cli, "lock-chip", 0) == NULL) {
		return cli_fail(cli, ERR_DENIED,
		                "the crypto chip of the board is not locked, and until it is it "
		                "has no key. Locking fixes its configuration for ever: it cannot "
		                "be undone, and sketches that expect another configuration will "
		                "not work with this chip again. If that is what you want, give the "
		                "command again with --lock-chip");
	}
	if (!p->dry_run) {
		board_consent_page(p->generation, p->block);
		r = write_page(p);
	}
	return r != CLI_DONE ? r :
	       cli_result(cli, report_doc(p, p->dry_run ? "would lock its chip for ever" :
	                                                  "told to lock its chip for ever"),
	                  print_consent);
}

static int
check_request(struct provision *p)
{
	struct cli *cli = p->e.cli;
	const char *state = board_state_text(p->report.state);
	struct pki_request_info info;
	char why[PKI_WHY_SIZE];
	int r;

	if (p->report.csr.len == 0) {
		return cli_fail(cli, ERR_NOT_FOUND, "the board has no certificate request for "
		                                    "us%s%s; reset it, let it run for ten seconds, "
		                                    "double-tap its reset button and run this "
		                                    "command again",
		                state[0] != '\0' ? ": " : "", state);
	}
	r = pki_request_about(p->report.csr, &info, why);
	return r < 0 ? cli_fail(cli, r, "the board's certificate request: %s", why) : CLI_DONE;
}

/* Certificate and page, in memory only. */
static int
prepare(struct provision *p)
{
	struct enrolment *e = &p->e;
	char why[PROVISION_WHY_SIZE];
	int r = enroll_sign(e, p->report.csr);

	r = r == 0 ? enroll_find_identity(e) : r;
	if (r < 0) {
		return cli_fail(e->cli, r, "%s", e->why);
	}
	r = board_settings_page(&p->settings, e->identity,
	                        span_of(e->issued.der, e->issued.der_len), time(NULL),
	                        p->generation, p->block, why);
	return r < 0 ? cli_fail(e->cli, r, "%s", why) : CLI_DONE;
}

/* Would the register take it? Only asked when it is not written. */
static int
ask_register(struct provision *p)
{
	struct enrolment *e = &p->e;
	struct reg_device known;

	if (cli_option(e->cli, "replace", 0) == NULL &&
	    reg_find(e->reg, span_str(e->identity), &known) == 0 &&
	    (known.state == REG_REVOKED || (known.fingerprint[0] != '\0' &&
	                                    strcmp(known.fingerprint,
	                                           e->issued.cert->fingerprint) != 0))) {
		return cli_fail(e->cli, ERR_EXISTS, "%s is revoked or enrolled with another key; "
		                                    "--replace would be needed", e->identity);
	}
	return CLI_DONE;
}

/* As `enroll --csr` does, then the page: what the board gets, the register has. */
static int
enrol(struct provision *p)
{
	int r;

	if (p->dry_run) {
		return ask_register(p);
	}
	r = enroll_register(&p->e);
	return r < 0 ? cli_fail(p->e.cli, r, "%s", p->e.why) : write_page(p);
}

static int
provision(struct provision *p)
{
	int r = board_settings_trust(p->e.cli, p->e.pki, &p->settings);

	r = r == CLI_DONE ? look(p) : r;
	if (r != CLI_DONE) {
		return r;
	}
	if (!p->report.locked) {
		return consent(p);
	}
	r = check_request(p);
	r = r == CLI_DONE ? prepare(p) : r;
	r = r == CLI_DONE ? enrol(p) : r;
	return r == CLI_DONE ? say_provisioned(p) : r;
}

int
provision_run(struct cli *cli)
{
	struct provision *p = calloc(1, sizeof *p);
	int r;

	if (p == NULL) {
		return cli_fail_memory(cli);
	}
	r = check_options(cli, p);
	if (r == CLI_DONE) {
		r = enroll_open(cli, &p->e);
	}
	if (r == CLI_DONE) {
		r = provision(p);
		enroll_close(&p->e);
	}
	board_settings_clear(&p->settings);
	explicit_bzero(p, sizeof *p);
	free(p);
	return r;
}
