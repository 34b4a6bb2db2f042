/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gatewayctl enroll: a certificate for a device, its entry in the register,
 * the files for its owner. The register is asked before anything is made and
 * written before anything is handed out.
 */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "device.h"
#include "pki/pki.h"
#include "print.h"

#define DEVICE_DAYS 7300
#define DAYS_MAX 36500
#define REQUEST_MAX 65536 /* bytes of a request: real ones have a few hundred */

struct enroll {
	struct cli *cli;
	const char *csr, *key, *name; /* options */
	unsigned days;
	struct reg *reg;
	char *pki; /* STATE/pki */
	struct pki_issued issued;
	char identity[REG_NAME_MAX + 1];
	bool renewed, key_made;
	char *folder, *certificate, *ca; /* written for the owner */
};

/* ---- the request -------------------------------------------------------- */

static int
read_request(struct enroll *e, struct buf *out)
{
	bool in = strcmp(e->csr, "-") == 0;
	FILE *file = in ? stdin : fopen(e->csr, "re");
	uint8_t *at;
	size_t n = 0;
	int r;

	if (file == NULL) {
		int error = errno;

		return cli_fail(e->cli, -error, "cannot read %s: %s", e->csr, err_text(-error));
	}
	r = buf_reserve(out, REQUEST_MAX + 1, &at);
	if (r == 0) {
		n = fread(at, 1, REQUEST_MAX + 1, file);
		r = ferror(file) ? -EIO : 0;
		buf_commit(out, n);
	}
	if (!in) {
		fclose(file);
	}
	if (r == 0 && n > REQUEST_MAX) {
		r = ERR_LIMIT;
	}
	return r < 0 ? cli_fail(e->cli, r, "cannot read %s: %s", e->csr,
	                        r == ERR_LIMIT ? "too large for a request" : err_text(r)) :
	               CLI_DONE;
}

static int
sign(struct enroll *e)
{
	struct buf request = { 0 };
	char why[PKI_WHY_SIZE];
	int r = read_request(e, &request);

	if (r == CLI_DONE) {
		int code = pki_sign_request(e->pki, buf_span(&request), e->name, e->days, &e->issued,
		                            why);

		r = code < 0 ? cli_fail(e->cli, code, "%s", why) : CLI_DONE;
	}
	buf_release(&request);
	return r;
}

/* Say no before there is a key that nobody can use. */
static int
make_with_key(struct enroll *e)
{
	struct reg_device known;
	char why[PKI_WHY_SIZE];
	int r = reg_find(e->reg, span_str(e->name), &known);

	if (r == 0 && cli_option(e->cli, "replace", 0) == NULL) {
		return cli_fail(e->cli, ERR_EXISTS, "%s is enrolled already; --replace gives it a new "
		                                    "key and locks the old one out", e->name);
	}
	if (r < 0 && r != ERR_NOT_FOUND) {
		return cli_fail(e->cli, r, "cannot read the register: %s", reg_error(e->reg));
	}
	r = pki_make_device(e->pki, e->name, e->key, e->days, &e->issued, why);
	if (r < 0) {
		return cli_fail(e->cli, r, "%s", why);
	}
	e->key_made = true;
	return CLI_DONE;
}

/* ---- the identity, as gatewayd will find it ----------------------------- */

static struct span
identity_of(const struct conf *conf, const struct pki_cert *cert)
{
	for (unsigned i = 0; i < conf->identity.source_count; i++) {
		struct span s = span_of(NULL, 0);

		switch (conf->identity.source[i]) {
		case CONF_SOURCE_SAN_URI:
			s = cert->san_uri;
			break;
		case CONF_SOURCE_SAN_DNS:
			s = cert->san_dns;
			break;
		case CONF_SOURCE_CN:
			s = cert->cn;
			break;
		case CONF_SOURCE_SERIAL:
			s = cert->serial;
			break;
		case CONF_SOURCE_FINGERPRINT:
			s = span_str(cert->fingerprint);
			break;
		}
		if (s.len > 0) {
			return s;
		}
	}
	return span_of(NULL, 0);
}

static int
find_identity(struct enroll *e)
{
	const struct conf *conf = e->cli->conf;
	const struct pki_cert *cert = e->issued.cert;
	struct span s = identity_of(conf, cert);
	struct span issuer = conf->identity.issuer ? cert->issuer_cn : span_of(NULL, 0);
	int n = snprintf(e->identity, sizeof e->identity, "%.*s%s%.*s", SPAN_ARG(issuer),
	                 issuer.len > 0 ? ":" : "", SPAN_ARG(s));

	if (n < 0 || (size_t)n >= sizeof e->identity || !topic_value_safe(span_str(e->identity))) {
		return cli_fail(e->cli, ERR_UNSAFE, "the certificate gives no identity that can stand "
		                                    "in a topic; choose one with --name");
	}
	return CLI_DONE;
}

/* ---- the register ------------------------------------------------------- */

static int
set_labels(struct enroll *e)
{
	const char *text;

	for (unsigned i = 0; (text = cli_option(e->cli, "label", i)) != NULL; i++) {
		const char *equals = strchr(text, '=');
		char *label = strndup(text, (size_t)(equals - text));
		int r = label != NULL ? reg_set_label(e->reg, span_str(e->identity), label, equals + 1) :
		                        -ENOMEM;

		free(label);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

/* A revoked device must not come back by the back door of a renewal. */
static int
check_revoked(struct enroll *e)
{
	struct reg_device known;

	if (reg_find(e->reg, span_str(e->identity), &known) == 0 && known.state == REG_REVOKED &&
	    cli_option(e->cli, "replace", 0) == NULL) {
		return cli_fail(e->cli, ERR_DENIED, "%s is revoked; `gatewayctl reinstate` lets it in "
		                                    "again, or enroll it with --replace", e->identity);
	}
	return CLI_DONE;
}

static int
enter(struct enroll *e)
{
	const struct pki_cert *cert = e->issued.cert;
	const char *group = cli_option(e->cli, "group", 0);
	struct reg_device device = { .state = REG_ENROLLED, .not_before = cert->not_before,
		.not_after = cert->not_after };
	int r = check_revoked(e);

	if (r != CLI_DONE) {
		return r;
	}
	snprintf(device.name, sizeof device.name, "%s", e->identity);
	snprintf(device.fingerprint, sizeof device.fingerprint, "%s", cert->fingerprint);
	snprintf(device.certificate_hash, sizeof device.certificate_hash, "%s",
	         cert->certificate_hash);
	snprintf(device.serial, sizeof device.serial, "%.*s", SPAN_ARG(cert->serial));
	snprintf(device.group, sizeof device.group, "%s", group != NULL ? group : "");
	r = reg_enrol(e->reg, &device, cli_option(e->cli, "replace", 0) != NULL, &e->renewed);
	if (r == 0) {
		r = set_labels(e);
	}
	if (r == ERR_EXISTS) {
		return cli_fail(e->cli, r, "%s is enrolled with another key; --replace accepts the new "
		                           "key and locks the old one out", e->identity);
	}
	return r < 0 ? cli_fail(e->cli, r, "cannot write the register: %s",
	                        r == ERR_DATABASE ? reg_error(e->reg) : err_text(r)) :
	               CLI_DONE;
}

/* ---- the files ---------------------------------------------------------- */

static int
make_folder(struct enroll *e, const char *name)
{
	const char *folder = cli_option(e->cli, "out", 0);

	if (folder == NULL && (name[0] == '.' || strchr(name, '/') != NULL)) {
		return cli_fail(e->cli, ERR_UNSAFE, "%s makes no good folder name; say --out DIR", name);
	}
	if (asprintf(&e->folder, "%s%s", folder != NULL ? "" : "./",
	             folder != NULL ? folder : name) < 0 ||
	    asprintf(&e->certificate, "%s/device.crt", e->folder) < 0 ||
	    asprintf(&e->ca, "%s/ca.crt", e->folder) < 0) {
		return cli_fail_memory(e->cli);
	}
	return cli_make_folder(e->cli, e->folder, 0755);
}

/* The CA's certificate beside it: the file of pki/, as it is. */
static int
copy_ca(struct enroll *e, char *why)
{
	char *source = cli_state_path(e->cli, "pki/ca.crt");
	FILE *in = source != NULL ? fopen(source, "re") : NULL;
	char text[16384];
	size_t n = in != NULL ? fread(text, 1, sizeof text, in) : 0;
	int r = n == 0 || n == sizeof text ? -EIO : 0;

	if (r == 0) {
		r = pki_write_file(e->ca, 0644, span_of(text, n), why);
	} else {
		snprintf(why, PKI_WHY_SIZE, "cannot read %.200s", source != NULL ? source : "ca.crt");
	}
	if (in != NULL) {
		fclose(in);
	}
	free(source);
	return r;
}

static int
write_files(struct enroll *e)
{
	char why[PKI_WHY_SIZE];
	int r = pki_write_file(e->certificate, 0644, span_str(e->issued.pem), why);

	if (r == 0) {
		r = copy_ca(e, why);
	}
	return r < 0 ? cli_fail(e->cli, r, "%s (the device is in the register; enroll it again "
	                                   "for the files)", why) :
	               CLI_DONE;
}

/* ---- the report --------------------------------------------------------- */

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
		fputs("  Put device.crt and ca.crt on the device; its key stays where it is.\n", out);
	} else {
		fputs("  Give the client the three files; keep the key to yourself.\n", out);
	}
	fprintf(out, "  Try it: %s\n", try != NULL ? try : "");
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
first_topic(struct enroll *e)
{
	struct device device;
	struct topic_vars vars;
	struct topic_map *compiled = NULL;
	struct span topic, broker;
	const struct topic_rule *rule;
	const struct conf_map *map;
	char why[256];
	char *found = NULL;

	if (device_load(e->cli, e->reg, e->identity, &device) < 0) {
		return strdup("Home");
	}
	map = device_map(e->cli, &device);
	device_vars(e->cli, &device, NULL, &vars);
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
		cli_note(e->cli, "no map of the configuration is for %s: it would be refused; see "
		                 "`gatewayctl group` and the maps", e->identity);
	}
	topic_map_free(compiled);
	device_clear(&device);
	return found != NULL ? found : strdup("Home");
}

/* The name of the gateway that its certificate puts first. */
static char *
host_name(struct enroll *e)
{
	char *file = cli_state_path(e->cli, "pki/gateway.crt");
	struct pki_cert *cert = NULL;
	char why[PKI_WHY_SIZE];
	char *host = NULL;

	if (file != NULL && pki_cert_read_file(file, &cert, why) == 0 && cert->cn.len > 0) {
		host = strndup((const char *)cert->cn.ptr, cert->cn.len);
	}
	pki_cert_free(cert);
	free(file);
	return host != NULL ? host : strdup(e->cli->conf->gateway.name);
}

/* The ready line: every part quoted for a shell. */
static char *
try_line(struct enroll *e)
{
	const struct conf *conf = e->cli->conf;
	char *host = host_name(e), *topic = first_topic(e);
	char *part[] = { host != NULL ? quote(host) : NULL, quote(e->ca), quote(e->certificate),
		quote(e->key != NULL ? e->key : "device.key"), topic != NULL ? quote(topic) : NULL };
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
report(struct enroll *e)
{
	const struct pki_cert *cert = e->issued.cert;
	char *line = try_line(e);
	struct reg_device device = { .group = "" };
	struct doc *doc = doc_map();
	int r = reg_find(e->reg, span_str(e->identity), &device);

	doc_set_text(doc, "identity", e->identity);
	doc_set_text(doc, "done", e->renewed ? "renewed, the key is the same" : "made");
	doc_set_bool(doc, "renewed", e->renewed);
	doc_set_text(doc, "group", r == 0 ? device.group : "");
	doc_set_text(doc, "fingerprint", cert->fingerprint);
	doc_set_string(doc, "serial", cert->serial);
	doc_set_int(doc, "not_before", cert->not_before);
	doc_set_int(doc, "not_after", cert->not_after);
	doc_set_text(doc, "certificate", e->certificate);
	doc_set_text(doc, "ca_certificate", e->ca);
	if (e->key != NULL) {
		doc_set_text(doc, "key", e->key);
	}
	doc_set_text(doc, "try", line != NULL ? line : "");
	free(line);
	return cli_result(e->cli, doc, print_enrolled);
}

/* ---- the steps ---------------------------------------------------------- */

static int
check_options(struct enroll *e)
{
	struct cli *cli = e->cli;
	const char *text;

	e->csr = cli_option(cli, "csr", 0);
	e->key = cli_option(cli, "key-out", 0);
	e->name = cli_option(cli, "name", 0);
	if ((e->csr == NULL) == (e->key == NULL) || (e->key != NULL && e->name == NULL)) {
		cli_note(cli, "either --csr FILE, or --name NAME with --key-out FILE");
		return CLI_USAGE;
	}
	if (e->name != NULL && !topic_value_safe(span_str(e->name))) {
		cli_note(cli, "the name %s cannot stand in a topic: no + # / $, no control "
		              "characters, at most 512 bytes", e->name);
		return CLI_USAGE;
	}
	if (cli_option_number(cli, "days", DAYS_MAX, &e->days) < 0) {
		cli_note(cli, "--days is a number from 1 to %d", DAYS_MAX);
		return CLI_USAGE;
	}
	text = cli_option(cli, "group", 0);
	if (text != NULL && text[0] != '\0' && !topic_value_safe(span_str(text))) {
		cli_note(cli, "the group %s cannot stand in a topic", text);
		return CLI_USAGE;
	}
	for (unsigned i = 0; (text = cli_option(cli, "label", i)) != NULL; i++) {
		if (!label_valid(text)) {
			cli_note(cli, "%s is no label: KEY=VALUE", text);
			return CLI_USAGE;
		}
	}
	return CLI_DONE;
}

static int
run(struct enroll *e)
{
	int r = CLI_DONE;

	e->pki = cli_state_path(e->cli, "pki");
	if (e->pki == NULL) {
		return cli_fail_memory(e->cli);
	}
	if (e->key != NULL) {
		/* The key may be meant to lie in the folder: that comes first. */
		r = make_folder(e, e->name);
		r = r == CLI_DONE ? make_with_key(e) : r;
	} else {
		r = sign(e);
	}
	r = r == CLI_DONE ? find_identity(e) : r;
	if (r == CLI_DONE && e->folder == NULL) {
		r = make_folder(e, e->identity);
	}
	r = r == CLI_DONE ? enter(e) : r;
	if (r != CLI_DONE && e->key_made) {
		unlink(e->key); /* of no use: nothing knows it */
	}
	r = r == CLI_DONE ? write_files(e) : r;
	return r == CLI_DONE ? report(e) : r;
}

int
enroll_run(struct cli *cli)
{
	struct enroll e = { .cli = cli, .days = DEVICE_DAYS };
	int r = check_options(&e);

	if (r == CLI_DONE) {
		r = cli_register(cli, REG_WRITE, &e.reg);
	}
	if (r != CLI_DONE) {
		return r;
	}
	r = run(&e);
	reg_close(e.reg);
	pki_issued_free(&e.issued);
	free(e.pki);
	free(e.folder);
	free(e.certificate);
	free(e.ca);
	return r;
}
