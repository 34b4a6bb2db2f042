/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gatewayctl enroll: a certificate for a device, its entry in the register,
 * the files for its owner. The register is asked before anything is made and
 * written before anything is handed out.
 */
#include "enroll.h"

#include <stdlib.h>
#include <unistd.h>

#include "device.h"
#include "print.h"
#include "run.h"

struct single {
	struct enrolment e;
	const char *csr, *key; /* options */
};

/* ---- the report --------------------------------------------------------- */

static void
print_board(FILE *out, const struct doc *doc)
{
	if (!doc_get_bool(doc, "sketch", false)) {
		fputs("  Put device.crt and ca.crt on the device; its key stays where it is.\n", out);
		return;
	}
	fputs("  1. Copy arduino_secrets.h, gateway_trust_anchors.h and connection_report.h beside\n"
	      "     the sketch (or BearSSLTrustAnchors.h over the library's), and enter the name\n"
	      "     and password of the network in arduino_secrets.h.\n"
	      "  2. Follow README.txt there: a few lines of the sketch change.\n"
	      "  3. Upload it, and watch `gatewayctl devices`.\n",
	      out);
}

static void
print_enrolled(FILE *out, const struct doc *doc)
{
	static const struct column columns[] = {
		{ "identity", "device" },
		{ "done", "certificate" },
		{ "group", "group" },
		{ "fingerprint", "key fingerprint" },
		{ "serial", "serial" },
		{ "not_after", "valid until", PRINT_DATE },
		{ "certificate", "certificate in" },
		{ "ca_certificate", "CA certificate in" },
		{ "key", "key in", PRINT_TEXT, true },
		{ NULL },
	};
	char *try = print_cell(doc_get(doc, "try"), PRINT_TEXT);

	print_record(out, doc, columns, 0);
	fputs("\nNext:\n", out);
	if (doc_get(doc, "key") == NULL) {
		print_board(out, doc);
	} else {
		fprintf(out, "  Give the client the three files; keep the key to yourself.\n"
		             "  Try it: %s\n", try != NULL ? try : "");
	}
	free(try);
}

/* A text for the shell: in single quotes unless it is plain. */
static char *
quote(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                            "0123456789_-./:@";
	size_t size;
	char *made = NULL;
	FILE *out;

	if (text[0] != '\0' && text[strspn(text, plain)] == '\0') {
		return strdup(text);
	}
	out = open_memstream(&made, &size);
	if (out == NULL) {
		return NULL;
	}
	fputc('\'', out);
	for (; *text != '\0'; text++) {
		fputs(*text == '\'' ? "'\\''" : (char[]){ *text, '\0' }, out);
	}
	fputc('\'', out);
	if (fclose(out) != 0) {
		free(made);
		return NULL;
	}
	return made;
}

/* A topic that the device may publish to: the first rule without wildcards. */
static char *
first_topic(struct single *s)
{
	struct device device;
	struct topic_vars vars;
	struct topic_map *compiled = NULL;
	struct span topic, broker;
	const struct topic_rule *rule;
	const struct conf_map *map;
	char why[256];
	char *found = NULL;

	if (device_load(s->e.cli, s->e.reg, s->e.identity, &device) < 0) {
		return strdup("Home");
	}
	map = device_map(s->e.cli, &device);
	device_vars(s->e.cli, &device, NULL, &vars);
	if (map != NULL && topic_map_compile(&map->rules, &vars, &compiled, why, sizeof why) == 0) {
		for (size_t i = 0; found == NULL &&
		                   topic_map_rule(compiled, true, i, &topic, &broker, &rule);
		     i++) {
			if (memchr(topic.ptr, '+', topic.len) == NULL &&
			    memchr(topic.ptr, '#', topic.len) == NULL) {
				found = strndup((const char *)topic.ptr, topic.len);
			}
		}
	}
	if (map == NULL) {
		cli_note(s->e.cli, "no map of the configuration is for %s: it would be refused; see "
		                 "`gatewayctl group` and the maps", s->e.identity);
	}
	topic_map_free(compiled);
	device_clear(&device);
	return found != NULL ? found : strdup("Home");
}

/* The name of the gateway that its certificate puts first. */
static char *
host_name(struct single *s)
{
	char *file = cli_state_path(s->e.cli, "pki/gateway.crt");
	struct pki_cert *cert = NULL;
	char why[PKI_WHY_SIZE];
	char *host = NULL;

	if (file != NULL && pki_cert_read_file(file, &cert, why) == 0 && cert->cn.len > 0) {
		host = strndup((const char *)cert->cn.ptr, cert->cn.len);
	}
	pki_cert_free(cert);
	free(file);
	return host != NULL ? host : strdup(s->e.cli->conf->gateway.name);
}

/* The ready line: every part quoted for a shell. */
static char *
try_line(struct single *s)
{
	const struct conf *conf = s->e.cli->conf;
	char *host = host_name(s), *topic = first_topic(s);
	char *part[] = { host != NULL ? quote(host) : NULL, quote(s->e.ca), quote(s->e.certificate),
		quote(s->key != NULL ? s->key : "device.key"), topic != NULL ? quote(topic) : NULL };
	char *line = NULL;

	if (part[0] == NULL || part[1] == NULL || part[2] == NULL || part[3] == NULL ||
	    part[4] == NULL ||
	    asprintf(&line,
	             "mosquitto_pub -h %s -p %u --cafile %s --cert %s --key %s -q 1 -t %s -m hello",
	             part[0], conf->listener_count > 0 ? conf->listener[0].port : 8883u, part[1],
	             part[2], part[3], part[4]) < 0) {
		line = NULL;
	}
	for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
		free(part[i]);
	}
	free(host);
	free(topic);
	return line;
}

static int
report(struct single *s)
{
	const struct pki_cert *cert = s->e.issued.cert;
	char *line = try_line(s);
	struct reg_device device = { .group = "" };
	struct doc *doc = doc_map();
	int r = reg_find(s->e.reg, span_str(s->e.identity), &device);

	doc_set_text(doc, "identity", s->e.identity);
	doc_set_text(doc, "done", s->e.renewed ? "renewed, the key is the same" : "made");
	doc_set_bool(doc, "renewed", s->e.renewed);
	doc_set_text(doc, "group", r == 0 ? device.group : "");
	doc_set_text(doc, "fingerprint", cert->fingerprint);
	doc_set_string(doc, "serial", cert->serial);
	doc_set_int(doc, "not_before", cert->not_before);
	doc_set_int(doc, "not_after", cert->not_after);
	doc_set_text(doc, "certificate", s->e.certificate);
	doc_set_text(doc, "ca_certificate", s->e.ca);
	if (s->key != NULL) {
		doc_set_text(doc, "key", s->key);
	}
	doc_set_bool(doc, "sketch", s->e.sketch_written);
	doc_set_text(doc, "try", line != NULL ? line : "");
	free(line);
	return cli_result(s->e.cli, doc, print_enrolled);
}

/* ---- the steps ---------------------------------------------------------- */

static int
check_options(struct cli *cli, struct single *s)
{
	s->csr = cli_option(cli, "csr", 0);
	s->key = cli_option(cli, "key-out", 0);
	s->e.name = cli_option(cli, "name", 0);
	s->e.sketch = s->csr != NULL;
	if ((s->csr == NULL) == (s->key == NULL) || (s->key != NULL && s->e.name == NULL)) {
		cli_note(cli, "either --csr FILE, or --csr-dir DIR, or --name NAME with --key-out FILE");
		return CLI_USAGE;
	}
	if (cli_option(cli, "name-from", 0) != NULL) {
		cli_note(cli, "--name-from goes with --csr-dir");
		return CLI_USAGE;
	}
	if (s->e.name != NULL && !topic_value_safe(span_str(s->e.name))) {
		cli_note(cli, "the name %s cannot stand in a topic: no + # / $, no control "
		              "characters, at most 512 bytes", s->e.name);
		return CLI_USAGE;
	}
	return CLI_DONE;
}

static int
sign(struct single *s)
{
	struct buf request = { 0 };
	int r = enroll_read(s->csr, &request);

	if (r < 0) {
		snprintf(s->e.why, sizeof s->e.why, "cannot read %.300s: %s", s->csr,
		         r == ERR_LIMIT ? "too large for a request" : err_text(r));
	} else {
		r = enroll_sign(&s->e, buf_span(&request));
	}
	buf_release(&request);
	return r;
}

static int
make(struct single *s)
{
	const char *folder = cli_option(s->e.cli, "out", 0);
	bool key_made = false;
	int r;

	if (s->key != NULL) {
		/* The key may be meant to lie in the folder: that comes first. */
		r = enroll_make_folder(&s->e, ".", folder);
		r = r == 0 ? enroll_make_key(&s->e, s->key) : r;
		key_made = r == 0;
	} else {
		r = sign(s);
	}
	r = r == 0 ? enroll_find_identity(&s->e) : r;
	if (r == 0 && s->e.folder == NULL) {
		r = enroll_make_folder(&s->e, ".", folder);
	}
	r = r == 0 ? enroll_register(&s->e) : r;
	if (r != 0 && key_made) {
		unlink(s->key); /* of no use: nothing knows it */
	}
	return r == 0 ? enroll_write_files(&s->e) : r;
}

int
enroll_run(struct cli *cli)
{
	struct single s = { .csr = NULL };
	int r;

	if (cli_option(cli, "csr-dir", 0) != NULL) {
		return enroll_directory_run(cli);
	}
	r = check_options(cli, &s);
	r = r == CLI_DONE ? enroll_open(cli, &s.e) : r;
	if (r != CLI_DONE) {
		return r;
	}
	r = make(&s);
	r = r < 0 ? cli_fail(cli, r, "%s", s.e.why) : report(&s);
	enroll_close(&s.e);
	return r;
}
