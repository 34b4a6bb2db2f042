/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl doctor: one row per fault, made in a folder that is otherwise healthy. */
#include "unit/cmocka_all.h"
#include "unit/folder_help.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "gatewayctl/doctor.h"
#include "pki/pki_build.h"

#define DAY 86400

static char folder[96], conf_file[160];
static char why[PKI_WHY_SIZE];
static FILE *null;

/* ---- a healthy gateway ---------------------------------------------------------- */

/*
 * In place of the C library's: a host that runs the gateway has its user, and
 * would judge the files of the tests otherwise.
 */
struct passwd *
getpwnam(const char *name)
{
	(void)name;
	return NULL;
}

static const char *
in(const char *file)
{
	static char path[8][200];
	static unsigned next;
	char *p = path[next++ % 8];

	snprintf(p, 200, "%s/%s", folder, file);
	return p;
}

static void
write_text(const char *file, const char *text)
{
	FILE *out = fopen(in(file), "w");

	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

static void
write_conf(const char *more)
{
	char text[2048];

	snprintf(text, sizeof text,
		 "gateway = { state_directory = \"%s/state\"; control_socket = \"%s/c.sock\"; };\n"
		 "upstream = { path = \"%s/broker.sock\"; };\n%s\n",
		 folder, folder, folder, more);
	write_text("gateway.conf", text);
}

static int
set_up(void **state)
{
	static const char *const names[] = { "gateway.local", "192.0.2.7" }, *const ip[] = {
		"192.0.2.7"
	};
	const struct pki_names all = { names, 2, ip, 1 };
	struct reg *reg;

	(void)state;
	snprintf(folder, sizeof folder, "/tmp/doctor-test-XXXXXX");
	if (mkdtemp(folder) == NULL || mkdir(in("state"), 0750) < 0 ||
	    mkdir(in("state/pki"), 0750) < 0) {
		return -1;
	}
	snprintf(conf_file, sizeof conf_file, "%s/gateway.conf", folder);
	write_conf("listeners = ( { address = \"127.0.0.1\"; port = 0; } );");
	null = fopen("/dev/null", "w");
	if (pki_make_ca(in("state/pki"), "Test CA", 7300, why) != 0 ||
	    pki_make_gateway(in("state/pki"), &all, 0, 3650, false, why) != 0 ||
	    reg_open(in("state/register.db"), REG_CREATE, &reg, why) != 0) {
		return -1;
	}
	reg_close(reg);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	clock_real();
	fclose(null);
	return folder_remove(folder);
}

static struct doc *
examine(const char *only)
{
	struct cli cli = { .file = conf_file, .out = null, .err = null };
	struct doc *doc;

	assert_int_equal(doctor_examine(&cli, only, folder, &doc), 0);
	conf_unref(&cli.conf);
	return doc;
}

static void
show(const struct doc *doc)
{
	struct buf text = { 0 };

	if (doc_write_yaml(doc, &text) == 0) {
		print_message("%.*s", SPAN_ARG(buf_span(&text)));
	}
	buf_release(&text);
}

/* That finding is there, with those words in its sentence; and no fault of another check. */
static void
expect(const char *only, const char *id, const char *status, const char *words)
{
	struct doc *doc = examine(only);
	const struct doc *list = doc_get(doc, "checks");
	bool found = false, other = false;

	for (size_t i = 0; i < doc_count(list); i++) {
		const struct doc *row = doc_at(list, i);
		bool its = strcmp(doc_get_text(row, "id", ""), id) == 0;

		found = found || (its && strcmp(doc_get_text(row, "status", ""), status) == 0 &&
				  strstr(doc_get_text(row, "sentence", ""), words) != NULL);
		other = other || (!its && strcmp(doc_get_text(row, "status", ""), "fault") == 0);
	}
	if (!found || other) {
		show(doc);
		fail_msg("%s %s \"%s\": %s", id, status, words,
			 found ? "another fault" : "not found");
	}
	doc_free(doc);
}

static void
healthy_has_no_fault(void **state)
{
	static const char *const areas[] = { "configuration", "certificate", "ca",     "clock",
					     "files",         "network",     "devices" };

	(void)state;
	for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++) {
		struct doc *doc = examine(areas[i]);

		if (doc_get_int(doc_get(doc, "counts"), "fault", 0) != 0) {
			show(doc);
			fail();
		}
		assert_true(doc_count(doc_get(doc, "checks")) > 0);
		doc_free(doc);
	}
	expect("certificate", "certificate.dates", "ok", "from 1970 on");
	expect("certificate", "certificate.issuer", "ok", "CN=Test CA");
}

static void
unknown_check_is_told(void **state)
{
	struct cli cli = { .file = conf_file, .out = null, .err = null };
	struct doc *doc;

	(void)state;
	assert_int_equal(doctor_examine(&cli, "cert", folder, &doc), ERR_NOT_FOUND);
	conf_unref(&cli.conf);
}

/* ---- gateway certificates ----------------------------------------------------------- */

struct leaf {
	const char *cn, *curve;                       /* NULL: gateway.local, P-256 */
	int bits;                                     /* RSA */
	int version;                                  /* 0: 3 */
	const char *names, *usage, *extended, *basic; /* NULL: as it should be, "": none */
	const char *extra;                            /* a critical netscape comment */
	const EVP_MD *(*md)(void);
	int64_t from, until; /* from now; until 0: ten years */
	bool own;            /* self-signed */
	bool foreign;        /* by another CA of the same name */
	bool is_short;       /* r and s */
};

static void
add(X509 *x509, int nid, const char *value, const char *usual)
{
	X509_EXTENSION *ext;

	value = value != NULL ? value : usual;
	if (value[0] == '\0') {
		return;
	}
	ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	assert_non_null(ext);
	assert_int_equal(X509_add_ext(x509, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static void
shorten(X509 *x509)
{
	static const unsigned char both_one[] = { 0x30, 6, 2, 1, 1, 2, 1, 1 };
	const ASN1_BIT_STRING *signature;

	X509_get0_signature(&signature, NULL, x509);
	assert_int_equal(
		ASN1_STRING_set((ASN1_STRING *)(uintptr_t)signature, both_one, sizeof both_one), 1);
}

/* Again when chance makes the shape that is a fault. */
static void
sign(X509 *x509, EVP_PKEY *key, const EVP_MD *md)
{
	const ASN1_BIT_STRING *signature;

	do {
		assert_true(X509_sign(x509, key, md) > 0);
		X509_get0_signature(&signature, NULL, x509);
	} while (pki_signature_short(span_of(signature->data, (size_t)signature->length)));
}

static void
save(const char *name, X509 *x509, EVP_PKEY *key)
{
	struct buf cert = { 0 }, text = { 0 };
	char file[64];

	assert_int_equal(pki_build_pem(x509, &cert), 0);
	assert_int_equal(pki_build_key_pem(key, &text), 0);
	snprintf(file, sizeof file, "state/pki/%s.crt", name);
	assert_int_equal(pki_write_file(in(file), 0644, buf_span(&cert), why), 0);
	snprintf(file, sizeof file, "state/pki/%s.key", name);
	assert_int_equal(pki_write_file(in(file), 0600, buf_span(&text), why), 0);
	buf_release(&cert);
	buf_release(&text);
}

static EVP_PKEY *
new_key(const char *curve, int bits)
{
	return bits > 0 ? EVP_RSA_gen((unsigned)bits) : EVP_EC_gen(curve != NULL ? curve : "P-256");
}

static void
make_leaf(const struct leaf *leaf)
{
	EVP_PKEY *key = new_key(leaf->curve, leaf->bits), *other = new_key(NULL, 0), *signer;
	const char *cn = leaf->cn != NULL ? leaf->cn : "gateway.local";
	int64_t now = clock_wall();
	struct pki_ca ca;
	X509 *x509;

	assert_int_equal(pki_ca_load(in("state/pki"), &ca, why), 0);
	assert_int_equal(pki_build_new(key, leaf->from != 0 ? now + leaf->from : 0,
				       now + (leaf->until != 0 ? leaf->until : 3650 * DAY), &x509),
			 0);
	assert_int_equal(X509_set_version(x509, leaf->version == 1 ? 0 : 2), 1);
	assert_int_equal(pki_build_subject(x509, NID_commonName, span_str(cn)), 0);
	if (leaf->version != 1) {
		add(x509, NID_basic_constraints, leaf->basic, "critical,CA:FALSE");
		add(x509, NID_key_usage, leaf->usage, "critical,digitalSignature");
		add(x509, NID_ext_key_usage, leaf->extended, "serverAuth");
		add(x509, NID_subject_alt_name, leaf->names, "DNS:gateway.local");
		add(x509, NID_netscape_comment, leaf->extra, "");
	}
	signer = leaf->own ? key : leaf->foreign ? other : ca.key;
	assert_int_equal(
		X509_set_issuer_name(x509, X509_get_subject_name(leaf->own ? x509 : ca.x509)), 1);
	sign(x509, signer, leaf->md != NULL ? leaf->md() : EVP_sha256());
	if (leaf->is_short) {
		shorten(x509);
	}
	save("gateway", x509, key);
	X509_free(x509);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	pki_ca_free(&ca);
}

static void
gateway_certificates_are_judged(void **state)
{
	static const struct {
		struct leaf leaf;
		const char *id, *status, *words, *only;
	} rows[] = {
		{ { 0 }, "certificate.signature", "ok", "ecdsa-with-SHA256", "certificate" },
		{ { .until = -DAY }, "certificate.dates", "fault", "expired on", "certificate" },
		{ { .from = DAY },
		  "certificate.dates",
		  "fault",
		  "not valid before",
		  "certificate" },
		{ { .until = 10 * DAY + 60 },
		  "certificate.dates",
		  "warning",
		  "in 10 days",
		  "certificate" },
		{ { .from = -DAY }, "certificate.dates", "warning", "1970", "certificate" },
		{ { .version = 1 }, "certificate.type", "warning", "version 1", "certificate" },
		{ { .version = 1 },
		  "certificate.names",
		  "warning",
		  "only the common name gateway.local",
		  "certificate" },
		{ { .basic = "critical,CA:TRUE", .usage = "digitalSignature,keyCertSign" },
		  "certificate.type",
		  "warning",
		  "marked as a CA",
		  "certificate" },
		{ { .curve = "P-384" }, "certificate.type", "fault", "EC P-384", "certificate" },
		{ { .bits = 2048 }, "certificate.type", "warning", "RSA 2048", "certificate" },
		{ { .md = EVP_sha1 }, "certificate.signature", "fault", "too weak", "certificate" },
		{ { .md = EVP_sha384 },
		  "certificate.signature",
		  "fault",
		  "SHA-256 only",
		  "certificate" },
		{ { .is_short = true },
		  "certificate.signature",
		  "fault",
		  "short",
		  "certificate.signature" },
		{ { .extended = "critical,serverAuth" },
		  "certificate.extensions",
		  "fault",
		  "marked critical",
		  "certificate" },
		{ { .extra = "critical,hello" },
		  "certificate.extensions",
		  "fault",
		  "Netscape Comment",
		  "certificate" },
		{ { .extended = "clientAuth" },
		  "certificate.usage",
		  "fault",
		  "lacks serverAuth",
		  "certificate" },
		{ { .usage = "critical,keyAgreement" },
		  "certificate.usage",
		  "fault",
		  "lacks digitalSignature",
		  "certificate" },
		{ { .usage = "", .extended = "" }, "certificate.usage", "ok", "", "certificate" },
		{ { .names = "" },
		  "certificate.names",
		  "warning",
		  "subjectAltName",
		  "certificate" },
		{ { .names = "DNS:a,IP:192.0.2.7" },
		  "certificate.addresses",
		  "fault",
		  "192.0.2.7 stands in the certificate as iPAddress only",
		  "certificate" },
		{ { .names = "DNS:a,DNS:192.0.2.7" },
		  "certificate.addresses",
		  "warning",
		  "as dNSName only",
		  "certificate" },
		{ { .names = "IP:2001:db8::1,DNS:2001:DB8:0::1" },
		  "certificate.addresses",
		  "ok",
		  "both forms",
		  "certificate" },
		{ { .names = "DNS:nowhere.example" },
		  "certificate.names",
		  "warning",
		  "which its certificate does not say",
		  "certificate" },
		{ { .cn = "Test CA" },
		  "certificate.issuer",
		  "fault",
		  "same subject",
		  "certificate" },
		{ { .own = true }, "certificate.issuer", "fault", "self-signed", "certificate" },
		{ { .foreign = true }, "certificate.issuer", "fault", "made anew", "certificate" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		make_leaf(&rows[i].leaf);
		expect(rows[i].only, rows[i].id, rows[i].status, rows[i].words);
	}
}

/* ---- CAs -------------------------------------------------------------------------- */

struct ca {
	const char *curve, *basic, *usage;
	int bits, version;
	int64_t from, until;
};

static void
make_ca(const struct ca *ca)
{
	EVP_PKEY *key = new_key(ca->curve, ca->bits);
	int64_t now = clock_wall();
	X509 *x509;

	assert_int_equal(pki_build_new(key, now + (ca->from != 0 ? ca->from : -DAY),
				       now + (ca->until != 0 ? ca->until : 3650 * DAY), &x509),
			 0);
	assert_int_equal(X509_set_version(x509, ca->version == 1 ? 0 : 2), 1);
	assert_int_equal(pki_build_subject(x509, NID_commonName, span_str("Test CA")), 0);
	assert_int_equal(X509_set_issuer_name(x509, X509_get_subject_name(x509)), 1);
	if (ca->version != 1) {
		add(x509, NID_basic_constraints, ca->basic, "critical,CA:TRUE");
		add(x509, NID_key_usage, ca->usage, "critical,keyCertSign,cRLSign");
	}
	assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
	save("ca", x509, key);
	X509_free(x509);
	EVP_PKEY_free(key);
}

static void
authorities_are_judged(void **state)
{
	static const struct {
		struct ca ca;
		const char *id, *status, *words;
	} rows[] = {
		{ { 0 }, "ca.type", "ok", "EC P-256" },
		{ { .version = 1 }, "ca.type", "fault", "version 1" },
		{ { .basic = "CA:FALSE" }, "ca.type", "fault", "not that of a CA" },
		{ { .basic = "" }, "ca.type", "fault", "not that of a CA" },
		{ { .usage = "digitalSignature" }, "ca.type", "fault", "keyCertSign" },
		{ { .bits = 2048 }, "ca.type", "warning", "RSA key" },
		{ { .curve = "P-384" }, "ca.type", "fault", "P-384" },
		{ { .until = -DAY / 2 }, "ca.dates", "fault", "expired on" },
		{ { .until = 5 * DAY }, "ca.dates", "warning", "expires on" },
		{ { .from = DAY }, "ca.dates", "fault", "not valid before" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		make_ca(&rows[i].ca);
		expect("ca", rows[i].id, rows[i].status, rows[i].words);
	}
}

/* ---- everything else ---------------------------------------------------------------- */

static struct pki_crl_entry no_entries[1];
static int listening = -1;

static void
no_conf(void)
{
	assert_int_equal(unlink(conf_file), 0);
}

static void
bad_conf(void)
{
	write_conf("limits = { connections = 0; packet_sice = 5; };");
}

static void
no_certificate(void)
{
	assert_int_equal(unlink(in("state/pki/gateway.crt")), 0);
}

static void
no_key(void)
{
	assert_int_equal(unlink(in("state/pki/gateway.key")), 0);
}

static void
other_key(void)
{
	EVP_PKEY *key = new_key(NULL, 0);
	struct buf text = { 0 };

	assert_int_equal(pki_build_key_pem(key, &text), 0);
	assert_int_equal(pki_write_file(in("state/pki/gateway.key"), 0640, buf_span(&text), why),
			 0);
	buf_release(&text);
	EVP_PKEY_free(key);
}

static void
locked_key(void)
{
	write_text("state/pki/gateway.key",
		   "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
		   "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n"
		   "-----END RSA PRIVATE KEY-----\n");
	assert_int_equal(chmod(in("state/pki/gateway.key"), 0600), 0);
}

static void
open_key(void)
{
	assert_int_equal(chmod(in("state/pki/gateway.key"), 0644), 0);
}

static void
shared_key(void)
{
	assert_int_equal(chmod(in("state/pki/gateway.key"), 0660), 0);
}

static void
open_ca_key(void)
{
	assert_int_equal(chmod(in("state/pki/ca.key"), 0640), 0);
}

static void
no_ca_key(void)
{
	assert_int_equal(unlink(in("state/pki/ca.key")), 0);
}

static void
no_ca(void)
{
	assert_int_equal(unlink(in("state/pki/ca.crt")), 0);
}

static void
set_crl(void)
{
	char more[300];

	snprintf(more, sizeof more, "tls = { crl = \"%s/crl.pem\"; };", folder);
	write_conf(more);
}

static void
good_list(void)
{
	set_crl();
	assert_int_equal(pki_crl_make(in("state/pki"), no_entries, 0, 30, in("crl.pem"), why), 0);
}

static void
list_ends_soon(void)
{
	set_crl();
	assert_int_equal(pki_crl_make(in("state/pki"), no_entries, 0, 1, in("crl.pem"), why), 0);
}

static void
stale_list(void)
{
	int64_t now = clock_wall();

	set_crl();
	clock_fake(0, now - 10 * DAY);
	assert_int_equal(pki_crl_make(in("state/pki"), no_entries, 0, 5, in("crl.pem"), why), 0);
	clock_real();
}

/* One that the only list is not of. */
static void
second_ca(void)
{
	char text[8192] = "";
	size_t n = 0;
	FILE *file;

	good_list();
	assert_int_equal(mkdir(in("state/other"), 0750), 0);
	assert_int_equal(pki_make_ca(in("state/other"), "Other CA", 30 * 100, why), 0);
	file = fopen(in("state/other/ca.crt"), "r");
	n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = '\0';
	file = fopen(in("state/pki/ca.crt"), "a");
	fputs(text, file);
	fclose(file);
}

static void
foreign_list(void)
{
	set_crl();
	assert_int_equal(mkdir(in("state/other"), 0750), 0);
	assert_int_equal(pki_make_ca(in("state/other"), "Other CA", 3000, why), 0);
	assert_int_equal(pki_crl_make(in("state/other"), no_entries, 0, 30, in("crl.pem"), why), 0);
}

static void
open_state(void)
{
	assert_int_equal(chmod(in("state"), 0777), 0);
}

static void
open_pki(void)
{
	assert_int_equal(chmod(in("state/pki"), 0775), 0);
}

static void
open_register(void)
{
	assert_int_equal(chmod(in("state/register.db"), 0666), 0);
}

static void
no_register(void)
{
	assert_int_equal(unlink(in("state/register.db")), 0);
}

static void
broken_register(void)
{
	write_text("state/register.db", "this is not a database, but long enough to be looked at");
}

static void
old_clock(void)
{
	clock_fake(0, 86400);
}

static void
enrol(int64_t enrolled_at, int64_t not_after)
{
	struct reg_device device = { .name = "pump1",
				     .state = REG_ENROLLED,
				     .not_after = not_after,
				     .enrolled_at = enrolled_at };
	bool renewed;
	struct reg *reg;

	memset(device.fingerprint, 'a', 64);
	assert_int_equal(reg_open(in("state/register.db"), REG_WRITE, &reg, why), 0);
	assert_int_equal(reg_actor(reg, 0, "test"), 0);
	clock_fake(0, enrolled_at);
	assert_int_equal(reg_enrol(reg, &device, false, &renewed), 0);
	clock_real();
	reg_close(reg);
}

static void
enrolled_tomorrow(void)
{
	enrol(clock_wall() + DAY, clock_wall() + 3650 * DAY);
}

static void
device_ends_soon(void)
{
	enrol(clock_wall(), clock_wall() + DAY);
}

static void
device_has_ended(void)
{
	enrol(clock_wall(), clock_wall() - DAY);
}

static void
nothing(void)
{
}

/* A port that we hold ourselves, closed by the test. */
static void
port_taken(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof at;
	char more[128];

	listening = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listening, (const struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &len), 0);
	snprintf(more, sizeof more, "listeners = ( { address = \"127.0.0.1\"; port = %u; } );",
		 ntohs(at.sin_port));
	write_conf(more);
}

static void
no_such_address(void)
{
	write_conf("listeners = ( { address = \"192.0.2.77\"; port = 8883; } );");
}

static void
ufw_without_rule(void)
{
	assert_int_equal(mkdir(in("etc"), 0755), 0);
	assert_int_equal(mkdir(in("etc/ufw"), 0755), 0);
	write_text("etc/ufw/ufw.conf", "ENABLED=yes\n");
}

static void
ufw_with_rule(void)
{
	ufw_without_rule();
	write_text("etc/ufw/user.rules", "-A ufw-user-input -p tcp --dport 8883 -j ACCEPT\n");
}

static void
firewalld(void)
{
	assert_int_equal(mkdir(in("run"), 0755), 0);
	assert_int_equal(mkdir(in("run/firewalld"), 0755), 0);
}

static void
socket_is_a_file(void)
{
	write_text("c.sock", "");
}

static void
mosquitto_conf(const char *text)
{
	char all[512];

	assert_int_equal(mkdir(in("etc"), 0755), 0);
	assert_int_equal(mkdir(in("etc/mosquitto"), 0755), 0);
	assert_int_equal(mkdir(in("etc/mosquitto/conf.d"), 0755), 0);
	snprintf(all, sizeof all, "listener 0 %s/broker.sock\n%s", folder, text);
	write_text("etc/mosquitto/mosquitto.conf", "# nothing\n");
	write_text("etc/mosquitto/conf.d/gateway.conf", all);
}

static void
no_persistence(void)
{
	mosquitto_conf("#persistence true\n");
}

static void
with_persistence(void)
{
	mosquitto_conf("  persistence true\r\n");
}

static void
dead_socket(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(at.sun_path, sizeof at.sun_path, "%s/broker.sock", folder);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
	close(fd);
}

static void
open_spool(void)
{
	write_text("state/spool.db", "");
	assert_int_equal(chmod(in("state/spool.db"), 0640), 0);
}

static void
own_spool(void)
{
	write_text("state/spool.db", "");
	assert_int_equal(chmod(in("state/spool.db"), 0600), 0);
}

static void
spool_is_a_link(void)
{
	assert_int_equal(symlink("elsewhere", in("state/spool.db")), 0);
}

static void
large_spool(void)
{
	write_conf("spool = { size = \"1024GiB\"; };");
}

static void
small_spool(void)
{
	write_conf("spool = { size = \"1MiB\"; };");
}

static void
damaged_spool(void)
{
	write_text("state/spool.db.damaged-1", "");
	write_text("state/spool.db.damaged-1-wal", "");
}

static const struct row {
	void (*make)(void);
	const char *only, *id, *status, *words;
} rows[] = {
	{ no_conf, "configuration", "configuration", "fault", "gateway.conf" },
	{ bad_conf, "configuration", "configuration", "fault", "limits.connections" },
	{ bad_conf, "configuration", "configuration", "fault", "packet_sice" },
	{ bad_conf, "certificate", "certificate.file", "skipped", "the configuration has faults" },
	{ no_certificate, "certificate", "certificate.file", "fault", "gateway.crt" },
	{ no_certificate, "certificate.dates", "certificate.dates", "skipped", "cannot be read" },
	{ no_key, "certificate", "certificate.key", "fault", "gateway.key" },
	{ other_key, "certificate", "certificate.key", "fault", "gateway.key" },
	{ locked_key, "certificate", "certificate.key", "fault", "pass phrase" },
	{ open_key, "certificate", "certificate.key", "fault", "Everybody" },
	{ shared_key, "certificate", "certificate.key", "warning", "whole group" },
	{ no_ca, "ca", "ca.file", "fault", "ca.crt" },
	{ no_ca, "certificate", "certificate.issuer", "skipped", "CA's certificate" },
	{ open_ca_key, "ca", "ca.key", "fault", "0640" },
	{ no_ca_key, "ca", "ca.key", "ok", "enrolled elsewhere" },
	{ good_list, "ca", "ca.crl", "ok", "is current" },
	{ list_ends_soon, "ca", "ca.crl", "warning", "is good until" },
	{ stale_list, "ca", "ca.crl", "fault", "was to be replaced" },
	{ second_ca, "ca", "ca.crl", "fault", "CN=Other CA" },
	{ foreign_list, "ca", "ca.crl", "fault", "Other CA" },
	{ open_state, "files", "files.state", "fault", "0777" },
	{ open_pki, "files", "files.pki", "fault", "0775" },
	{ open_register, "files", "files.register", "fault", "0666" },
	{ no_register, "files", "files.register", "fault", "register.db" },
	{ no_register, "devices", "devices.admission", "skipped", "cannot be opened" },
	{ broken_register, "files", "files.register", "fault", "register.db" },
	{ nothing, "files", "files.spool", "skipped", "appears when gatewayd starts" },
	{ own_spool, "files", "files.spool", "ok", "0600" },
	{ open_spool, "files", "files.spool", "fault", "Others can read" },
	{ spool_is_a_link, "files", "files.spool", "fault", "no plain file" },
	{ small_spool, "spool", "spool.space", "ok", "for at most 1.0 MiB" },
	{ large_spool, "spool", "spool.space", "warning", "spool.size" },
	{ nothing, "spool", "spool.damaged", "ok", "None" },
	{ damaged_spool, "spool", "spool.damaged", "warning", "in it: spool.db.damaged-1 in" },
	{ nothing, "spool", "spool.depth", "skipped", "does not answer" },
	{ nothing, "broker.session", "broker.session", "skipped", "does not answer" },
	{ old_clock, "clock", "clock.time", "fault", "cannot be" },
	{ enrolled_tomorrow, "clock", "clock.time", "fault", "pump1 was enrolled" },
	{ nothing, "devices", "devices.admission", "warning", "No device is enrolled" },
	{ device_ends_soon, "devices", "devices.dates", "warning", "within 30 days: pump1" },
	{ device_has_ended, "devices", "devices.dates", "warning", "expired: pump1" },
	{ device_ends_soon, "devices", "devices.admission", "ok", "1 enrolled" },
	{ port_taken, "network", "network.ports", "fault", "is taken by" },
	{ no_such_address, "network", "network.ports", "fault", "no address 192.0.2.77" },
	{ ufw_without_rule, "network", "network.firewall", "warning", "ufw" },
	{ ufw_with_rule, "network", "network.firewall", "ok", "8883" },
	{ firewalld, "network", "network.firewall", "warning", "firewalld" },
	{ nothing, "daemon", "daemon.running", "warning", "not running" },
	{ nothing, "daemon", "daemon.limits", "skipped", "does not answer" },
	{ socket_is_a_file, "daemon", "daemon.socket", "fault", "in the way" },
	{ nothing, "broker", "broker.connection", "fault", "no socket" },
	{ dead_socket, "broker", "broker.connection", "fault", "Nobody listens" },
	{ nothing, "broker.version", "broker.version", "skipped", "does not tell" },
	{ nothing, "broker.settings", "broker.settings", "skipped", "/etc/mosquitto" },
	{ no_persistence, "broker.settings", "broker.settings", "warning", "persistence true" },
	{ with_persistence, "broker.settings", "broker.settings", "ok", "persistence is on" },
};

static void
each_fault_is_told(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(set_up(state), 0);
		rows[i].make();
		expect(rows[i].only, rows[i].id, rows[i].status, rows[i].words);
		if (listening >= 0) {
			close(listening);
			listening = -1;
		}
		assert_int_equal(tear_down(state), 0);
	}
}

/*
 * Followed to the letter, it opens no other listener of the broker: without
 * per_listener_settings, allow_anonymous would be for all of them.
 */
static void
remedy_opens_one_listener_only(void **state)
{
	struct doc *doc;
	const struct doc *list;
	const char *remedy = "";

	(void)state;
	doc = examine("broker.connection");
	list = doc_get(doc, "checks");
	for (size_t i = 0; i < doc_count(list); i++) {
		if (strcmp(doc_get_text(doc_at(list, i), "id", ""), "broker.connection") == 0) {
			remedy = doc_get_text(doc_at(list, i), "remedy", "");
		}
	}
	assert_non_null(strstr(remedy, "per_listener_settings true"));
	assert_non_null(strstr(remedy, in("broker.sock")));
	doc_free(doc);
}

/* The daemon's user is not root, and some files are. */
static void
files_of_others_are_found(void **state)
{
	static const struct {
		const char *file;
		uid_t uid;
		mode_t mode;
		const char *only, *id, *status, *words;
	} files[] = {
		{ "state/pki/gateway.key", 0, 0600, "certificate", "certificate.key", "fault",
		  "cannot read the key" },
		{ "state/pki/ca.key", 65534, 0600, "ca", "ca.key", "warning",
		  "can read the CA's key" },
		{ "state/pki/ca.key", 0, 0600, "ca", "ca.key", "ok", "0600 root" },
		{ "state/pki", 0, 0700, "files", "files.pki", "fault", "cannot look into" },
		{ "state/register.db", 0, 0640, "files", "files.register", "fault",
		  "cannot write" },
		{ "state/spool.db", 0, 0600, "files", "files.spool", "fault", "cannot write" },
		{ "state", 65534, 0550, "files", "files.state", "fault", "cannot write into" },
	};

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		assert_int_equal(set_up(state), 0);
		assert_int_equal(chown(in("state"), 65534, 65534), 0);
		assert_int_equal(chown(in("state/register.db"), 65534, 65534), 0);
		own_spool();
		assert_int_equal(chown(in("state/spool.db"), 65534, 65534), 0);
		assert_int_equal(chown(in("state/pki"), 0, 65534), 0);
		assert_int_equal(chown(in("state/pki/gateway.key"), 0, 65534), 0);
		expect(files[i].only, files[i].id, "ok", "");
		assert_int_equal(chown(in(files[i].file), files[i].uid, 0), 0);
		assert_int_equal(chmod(in(files[i].file), files[i].mode), 0);
		expect(files[i].only, files[i].id, files[i].status, files[i].words);
		assert_int_equal(tear_down(state), 0);
	}
}

/* ---- brokers of all kinds ------------------------------------------------------------ */

/* Answers one connection: the first bytes after CONNECT, more after SUBSCRIBE. */
static pid_t
start_broker(struct span first, const char *version)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	uint8_t in_bytes[512], out[256];
	struct writer w = writer_of(out, sizeof out);
	pid_t child;

	snprintf(at.sun_path, sizeof at.sun_path, "%s/broker.sock", folder);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, 4), 0);
	child = fork();
	if (child == 0) {
		int peer = accept(fd, NULL, NULL);
		bool fine = read(peer, in_bytes, sizeof in_bytes) > 0 &&
			    write(peer, first.ptr, first.len) == (ssize_t)first.len;

		if (fine && version != NULL && read(peer, in_bytes, sizeof in_bytes) > 0) {
			write_bytes(&w, span_of("\x90\3\0\1\0", 5)); /* SUBACK */
			write_u8(&w, 0x31);
			write_varint(&w, (uint32_t)(2 + 19 + strlen(version)));
			write_block(&w, span_str("$SYS/broker/version"));
			write_bytes(&w, span_str(version));
			fine = write(peer, out, writer_len(&w)) > 0 &&
			       read(peer, in_bytes, sizeof in_bytes) == 2; /* DISCONNECT */
		}
		_exit(fine ? 0 : 1);
	}
	close(fd);
	return child;
}

static void
brokers_are_judged(void **state)
{
	static const struct {
		const char *first;
		size_t len;
		const char *version, *settings;
		const char *id, *status, *words;
	} brokers[] = {
		{ "\x20\2\0\0", 4, "mosquitto version 2.0.22", "", "broker.connection", "ok",
		  "accepts" },
		{ "\x20\2\0\0", 4, "mosquitto version 2.0.22", "", "broker.version", "ok",
		  "2.0.22" },
		{ "\x20\2\0\0", 4, "mosquitto version 2.1.2", "", "broker.version", "ok", "2.1.2" },
		{ "\x20\2\0\0", 4, "mosquitto version 2.0.11", "", "broker.version", "warning",
		  "2.0.16" },
		{ "\x20\2\0\0", 4, "mosquitto version 1.6.9", "", "broker.version", "warning",
		  "2.0" },
		{ "\x20\2\0\0", 4, "HiveMQ 4", "", "broker.version", "ok", "HiveMQ 4" },
		{ "\x20\2\0\0", 4, "mosquitto version 2.0.18",
		  "topic sensors/# in 1 local/ remote/\n", "broker.version", "warning",
		  "CVE-2024-3935" },
		{ "\x20\2\0\0", 4, "mosquitto version 2.0.18", "topic sensors/# out 1 l/ r/\n",
		  "broker.version", "ok", "2.0.18" },
		{ "\x20\2\0\0", 4, "mosquitto version 2.0.18", "topic sensors/# in 1\n",
		  "broker.version", "ok", "2.0.18" },
		{ "\x20\2\0\5", 4, NULL, "", "broker.connection", "fault",
		  "not authorized (CONNACK 5)" },
		{ "\x20\2\0\4", 4, NULL, "", "broker.connection", "fault", "(CONNACK 4)" },
		{ "\x20\2\0\3", 4, NULL, "", "broker.connection", "fault", "not available" },
		{ "", 0, NULL, "", "broker.connection", "fault", "without an answer" },
		{ "\x20\2", 2, NULL, "", "broker.connection", "fault", "without an answer" },
		{ "HTTP/1.1 400 Bad Request\r\n\r\n", 28, NULL, "", "broker.connection", "fault",
		  "does not speak MQTT" },
		{ "\x30\xff\xff\xff\x7f", 5, NULL, "", "broker.connection", "fault",
		  "does not speak MQTT" },
	};

	for (size_t i = 0; i < sizeof brokers / sizeof brokers[0]; i++) {
		int status = -1;
		pid_t child;

		assert_int_equal(set_up(state), 0);
		mosquitto_conf(brokers[i].settings);
		child = start_broker(span_of(brokers[i].first, brokers[i].len), brokers[i].version);
		expect("broker", brokers[i].id, brokers[i].status, brokers[i].words);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0); /* it got a clean goodbye */
		assert_int_equal(tear_down(state), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(healthy_has_no_fault, set_up, tear_down),
		cmocka_unit_test_setup_teardown(unknown_check_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(gateway_certificates_are_judged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(authorities_are_judged, set_up, tear_down),
		cmocka_unit_test(each_fault_is_told),
		cmocka_unit_test_setup_teardown(remedy_opens_one_listener_only, set_up, tear_down),
		cmocka_unit_test(brokers_are_judged),
	};
	static const struct CMUnitTest as_root[] = {
		cmocka_unit_test(files_of_others_are_found),
	};
	int failed = cmocka_run_group_tests_name("doctor", tests, NULL, NULL);

	/* Not a skip, which ./check takes for a failure: nobody else can run it. */
	if (geteuid() == 0 && getpwuid(65534) != NULL) {
		failed += cmocka_run_group_tests_name("doctor as root", as_root, NULL, NULL);
	} else {
		print_message("not run: files of others, which needs root\n");
	}
	return failed;
}
