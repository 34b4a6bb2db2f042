/* SPDX-License-Identifier: BSD-2-Clause */
#include "enroll.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arduino.h"
#include "identity/identity.h"
#include "run.h"

static int __attribute__((format(printf, 3, 4)))
fail(struct enrolment *e, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(e->why, sizeof e->why, format, args);
	va_end(args);
	return code;
}

static int
fail_register(struct enrolment *e, int code)
{
	return fail(e, code, "cannot write the register: %s",
	            code == ERR_DATABASE ? reg_error(e->reg) : err_text(code));
}

/* ---- before and after --------------------------------------------------- */

static int
check_options(struct cli *cli, struct enrolment *e)
{
	const char *slot = cli_option(cli, "slot", 0);

	e->days = ENROLL_DAYS;
	if (cli_option_number(cli, "days", ENROLL_DAYS_MAX, &e->days) < 0) {
		cli_note(cli, "--days is a number from 1 to %d", ENROLL_DAYS_MAX);
		return CLI_USAGE;
	}
	if (slot != NULL && (slot[0] < '0' || slot[0] > '4' || slot[1] != '\0')) {
		cli_note(cli, "--slot is the slot of the key in the crypto chip, 0 to 4");
		return CLI_USAGE;
	}
	e->slot = slot != NULL ? (unsigned)(slot[0] - '0') : 0;
	return group_and_labels_check(cli);
}

/* Without the CA's key nothing can be issued: say so before anything else. */
static int
check_key(struct enrolment *e)
{
	char *key = cli_state_path(e->cli, "pki/ca.key");
	int r = CLI_DONE;

	if (key == NULL) {
		return cli_fail_memory(e->cli);
	}
	if (access(key, R_OK) < 0 && errno == EACCES) {
		r = cli_fail(e->cli, -EACCES, "%s may be read by root only: try `sudo gatewayctl %s`",
		             key, e->cli->command->name);
	}
	free(key);
	return r;
}

int
enroll_open(struct cli *cli, struct enrolment *e)
{
	int r = check_options(cli, e);

	e->cli = cli;
	if (r == CLI_DONE) {
		r = cli_conf(cli) < 0 ? CLI_FAILED : check_key(e);
	}
	r = r == CLI_DONE ? cli_register(cli, REG_WRITE, &e->reg) : r;
	if (r != CLI_DONE) {
		return r;
	}
	e->pki = cli_state_path(cli, "pki");
	if (e->pki == NULL) {
		reg_close(e->reg);
		return cli_fail_memory(cli);
	}
	return CLI_DONE;
}

void
enroll_reset(struct enrolment *e)
{
	pki_issued_free(&e->issued);
	free(e->folder);
	free(e->certificate);
	free(e->ca);
	e->folder = e->certificate = e->ca = NULL;
	e->renewed = e->sketch_written = false;
	e->why[0] = '\0';
}

void
enroll_close(struct enrolment *e)
{
	enroll_reset(e);
	reg_close(e->reg);
	free(e->pki);
}

/* ---- the certificate ---------------------------------------------------- */

int
enroll_read(const char *file, struct buf *out)
{
	bool in = strcmp(file, "-") == 0;
	FILE *from = in ? stdin : fopen(file, "re");
	uint8_t *to;
	size_t n = 0;
	int r;

	if (from == NULL) {
		return -errno;
	}
	r = buf_reserve(out, ENROLL_REQUEST_MAX + 1, &to);
	if (r == 0) {
		n = fread(to, 1, ENROLL_REQUEST_MAX + 1, from);
		r = ferror(from) ? -EIO : n > ENROLL_REQUEST_MAX ? ERR_LIMIT : 0;
		buf_commit(out, n);
	}
	if (!in) {
		fclose(from);
	}
	return r;
}

int
enroll_sign(struct enrolment *e, struct span request)
{
	char why[PKI_WHY_SIZE];
	int r = pki_sign_request(e->pki, request, e->name, e->days, &e->issued, why);

	return r < 0 ? fail(e, r, "%s", why) : 0;
}

int
enroll_make_key(struct enrolment *e, const char *key_file)
{
	struct reg_device known;
	char why[PKI_WHY_SIZE];
	int r = reg_find(e->reg, span_str(e->name), &known);

	/* Say no before there is a key that nobody can use. */
	if (r == 0 && cli_option(e->cli, "replace", 0) == NULL) {
		return fail(e, ERR_EXISTS, "%s is enrolled already; --replace gives it a new key and "
		                           "locks the old one out", e->name);
	}
	if (r < 0 && r != ERR_NOT_FOUND) {
		return fail(e, r, "cannot read the register: %s", reg_error(e->reg));
	}
	r = pki_make_device(e->pki, e->name, key_file, e->days, &e->issued, why);
	return r < 0 ? fail(e, r, "%s", why) : 0;
}

int
enroll_find_identity(struct enrolment *e)
{
	const char *why;

	if (identity_of(e->cli->conf, e->issued.cert, e->identity, &why) != 0) {
		return fail(e, ERR_UNSAFE, "%s; choose a name with --name", why);
	}
	return 0;
}

/* ---- the register ------------------------------------------------------- */

char *
enroll_kept(const struct cli *cli, const char *serial)
{
	char *path = NULL;

	return asprintf(&path, "%s/pki/issued/%s.crt", cli->conf->gateway.state_directory,
	                serial) >= 0 ? path : NULL;
}

/*
 * A copy of what was issued: the register has hashes only, and a renewal
 * needs the key and the name.
 */
static int
keep_certificate(struct enrolment *e)
{
	char serial[65], why[PKI_WHY_SIZE];
	char *folder = cli_state_path(e->cli, "pki/issued"), *file;
	int r;

	snprintf(serial, sizeof serial, "%.*s", SPAN_ARG(e->issued.cert->serial));
	file = enroll_kept(e->cli, serial);
	if (folder == NULL || file == NULL) {
		r = fail(e, -ENOMEM, "out of memory");
	} else if (mkdir(folder, 0755) < 0 && errno != EEXIST) {
		r = -errno;
		r = fail(e, r, "cannot make the folder %s: %s", folder, err_text(r));
	} else {
		r = pki_write_file(file, 0644, span_str(e->issued.pem), why);
		r = r < 0 ? fail(e, r, "%s", why) : 0;
	}
	free(folder);
	free(file);
	return r;
}

/* A revoked device must not come back by the back door of a renewal. */
static int
check_revoked(struct enrolment *e)
{
	struct reg_device known;

	if (reg_find(e->reg, span_str(e->identity), &known) == 0 && known.state == REG_REVOKED &&
	    cli_option(e->cli, "replace", 0) == NULL) {
		return fail(e, ERR_DENIED, "%s is revoked; `gatewayctl reinstate` lets it in again, "
		                           "or enroll it with --replace", e->identity);
	}
	return 0;
}

/*
 * One key is one device: under a second name it would have the rights of both,
 * and a key that is locked out would be back.
 */
static int
check_key_is_free(struct enrolment *e)
{
	struct reg_device known;
	int r = reg_find_fingerprint(e->reg, e->issued.cert->fingerprint, &known);

	if (r == 0 && strcmp(known.name, e->identity) != 0) {
		return fail(e, ERR_EXISTS, "this key belongs to the device %.200s, which is %s; enroll "
		                           "it with that name, or remove that device first",
		            known.name, reg_state_text(known.state));
	}
	return r == ERR_NOT_FOUND ? 0 : r < 0 ? fail_register(e, r) : 0;
}

static int
enter(struct enrolment *e)
{
	const struct pki_cert *cert = e->issued.cert;
	const char *group = cli_option(e->cli, "group", 0), *label;
	struct reg_device device = { .state = REG_ENROLLED, .not_before = cert->not_before,
		.not_after = cert->not_after };
	int r;

	snprintf(device.name, sizeof device.name, "%s", e->identity);
	snprintf(device.fingerprint, sizeof device.fingerprint, "%s", cert->fingerprint);
	snprintf(device.certificate_hash, sizeof device.certificate_hash, "%s",
	         cert->certificate_hash);
	snprintf(device.serial, sizeof device.serial, "%.*s", SPAN_ARG(cert->serial));
	snprintf(device.group, sizeof device.group, "%s", group != NULL ? group : "");
	r = reg_enrol(e->reg, &device, cli_option(e->cli, "replace", 0) != NULL, &e->renewed);
	for (unsigned i = 0; r == 0 && (label = cli_option(e->cli, "label", i)) != NULL; i++) {
		r = label_set(e->reg, e->identity, label);
	}
	return r;
}

/* A certificate that the register refuses must not lie about: nothing could revoke it. */
static void
discard_certificate(struct enrolment *e)
{
	char serial[65];
	char *file;

	snprintf(serial, sizeof serial, "%.*s", SPAN_ARG(e->issued.cert->serial));
	file = enroll_kept(e->cli, serial);
	if (file != NULL) {
		unlink(file);
	}
	free(file);
}

static int
enter_all(struct enrolment *e)
{
	int r = reg_begin(e->reg);

	if (r < 0) {
		return r;
	}
	r = enter(e);
	if (r == 0) {
		return reg_commit(e->reg);
	}
	reg_rollback(e->reg);
	return r;
}

int
enroll_register(struct enrolment *e)
{
	int r = check_revoked(e);

	r = r == 0 ? check_key_is_free(e) : r;
	r = r == 0 ? keep_certificate(e) : r;
	if (r < 0) {
		return r;
	}
	r = enter_all(e);
	if (r < 0) {
		discard_certificate(e);
	}
	if (r == ERR_EXISTS) {
		return fail(e, r, "%.200s is enrolled with another key; --replace accepts the new key "
		                  "and locks the old one out", e->identity);
	}
	return r < 0 ? fail_register(e, r) : 0;
}

/* ---- the files ---------------------------------------------------------- */

int
enroll_make_folder(struct enrolment *e, const char *parent, const char *folder)
{
	const char *name = e->identity[0] != '\0' ? e->identity : e->name;

	if (folder == NULL && (name[0] == '.' || strchr(name, '/') != NULL)) {
		return fail(e, ERR_UNSAFE, "%s makes no good folder name; say --out DIR", name);
	}
	if (asprintf(&e->folder, "%s%s%s", folder != NULL ? "" : parent, folder != NULL ? "" : "/",
	             folder != NULL ? folder : name) < 0 ||
	    asprintf(&e->certificate, "%s/device.crt", e->folder) < 0 ||
	    asprintf(&e->ca, "%s/ca.crt", e->folder) < 0) {
		return fail(e, -ENOMEM, "out of memory");
	}
	return cli_make_folder(e->cli, e->folder, 0755) == CLI_DONE ?
	               0 :
	               fail(e, -EIO, "there is no folder for its files");
}

/* The CA's certificate beside it: the file of pki/, as it is. */
static int
copy_ca(struct enrolment *e, char *why)
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

static void
warn(void *arg, const char *sentence)
{
	cli_note(arg, "%s", sentence);
}

/* The certificate works without them, so what goes wrong here is a warning. */
static void
write_sketch(struct enrolment *e)
{
	const struct conf *conf = e->cli->conf;
	struct pki_gateway_info *gateway = NULL;
	struct arduino_input in = { .device = e->identity, .issued = &e->issued, .ca_file = e->ca,
		.broker = cli_option(e->cli, "broker", 0), .slot = e->slot,
		.port = conf->listener_count > 0 ? conf->listener[0].port : 0,
		.warn = warn, .arg = e->cli };
	char why[PKI_WHY_SIZE];
	int r = pki_gateway_read(e->pki, &gateway, why);

	if (r == 0) {
		in.names = &gateway->names;
		r = arduino_write(e->folder, &in, why);
	}
	pki_gateway_info_free(gateway);
	e->sketch_written = r == 0;
	if (r < 0) {
		cli_note(e->cli, "the files for a sketch were not written: %s", why);
	}
}

int
enroll_write_files(struct enrolment *e)
{
	char why[PKI_WHY_SIZE];
	int r = copy_ca(e, why);

	if (r == 0 && e->sketch) {
		write_sketch(e);
	}
	/* Last: where it is, all the others are. */
	if (r == 0) {
		r = pki_write_file(e->certificate, 0644, span_str(e->issued.pem), why);
	}
	return r < 0 ? fail(e, r, "%s (the device is in the register; enroll it again for the "
	                          "files)", why) : 0;
}
