/* SPDX-License-Identifier: BSD-2-Clause */
/* CAs that people made by hand, and the names in the gateway's certificate. */
#include "unit/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "pki/pki_build.h"

#define NOW 1800000000
#define DAY 86400
#define YEARS (20 * 365 * (int64_t)DAY)

static char folder[64];
static char why[PKI_WHY_SIZE];
static char said[4096]; /* the warnings, one a line */

static const char *
in(const char *file)
{
	static char path[8][160];
	static unsigned next;
	char *p = path[next++ % 8];

	snprintf(p, 160, "%s/%s", folder, file);
	return p;
}

static int
set_up(void **state)
{
	(void)state;
	clock_fake(0, NOW);
	said[0] = '\0';
	snprintf(folder, sizeof folder, "import-test-XXXXXX");
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	static const char *const files[] = { "ca.key",      "ca.crt",      "old.key",
					     "old.crt",     "gateway.key", "gateway.crt",
					     "locked.key",  "other.key",   "file",
					     "ca.crlnumber" };

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		unlink(in(files[i]));
	}
	clock_real();
	return rmdir(folder);
}

static void
warn(void *arg, const char *sentence)
{
	size_t len = strlen(said);

	assert_ptr_equal(arg, said);
	snprintf(said + len, sizeof said - len, "%s\n", sentence);
}

/* How a CA is made by hand; what is not said is as it should be. */
struct ca {
	const char *cn;
	int bits;                  /* RSA; 0: curve */
	const char *curve;         /* or ED25519 */
	int version;               /* 1 or 3 */
	const char *basic, *usage; /* "": none */
	const EVP_MD *(*md)(void);
	int64_t end;
	size_t filler; /* bytes of organisation */
};

static bool
is_ed25519(const struct ca *ca)
{
	return ca->curve != NULL && strcmp(ca->curve, "ED25519") == 0;
}

static EVP_PKEY *
make_key(const struct ca *ca)
{
	/* Keys of this size take long; one is enough for all tests. */
	static EVP_PKEY *rsa2048;

	if (ca->bits == 2048) {
		if (rsa2048 == NULL) {
			rsa2048 = EVP_RSA_gen(2048);
		}
		EVP_PKEY_up_ref(rsa2048);
		return rsa2048;
	}
	if (ca->bits > 0) {
		return EVP_RSA_gen((unsigned)ca->bits);
	}
	return is_ed25519(ca) ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
			      : EVP_EC_gen(ca->curve != NULL ? ca->curve : "P-256");
}

static void
add(X509 *x509, int nid, const char *value, const char *usual)
{
	X509_EXTENSION *ext;

	value = value != NULL ? value : usual;
	if (value[0] != '\0') {
		ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
		assert_non_null(ext);
		assert_int_equal(X509_add_ext(x509, ext, -1), 1);
		X509_EXTENSION_free(ext);
	}
}

static void
fill_subject(X509 *x509, const struct ca *ca)
{
	char part[65];

	for (size_t left = ca->filler; left > 0; left -= left < 64 ? left : 64) {
		memset(part, 'x', sizeof part);
		part[left < 64 ? left : 64] = '\0';
		assert_int_equal(pki_build_subject(x509, NID_organizationName, span_str(part)), 0);
	}
	assert_int_equal(pki_build_subject(x509, NID_commonName,
					   span_str(ca->cn != NULL ? ca->cn : "Old CA")),
			 0);
}

static void
save(X509 *x509, EVP_PKEY *key)
{
	struct buf cert = { 0 }, text = { 0 };

	assert_int_equal(pki_build_pem(x509, &cert), 0);
	assert_int_equal(pki_build_key_pem(key, &text), 0);
	assert_int_equal(pki_write_file(in("old.crt"), 0644, buf_span(&cert), why), 0);
	assert_int_equal(pki_write_file(in("old.key"), 0600, buf_span(&text), why), 0);
	buf_release(&cert);
	buf_release(&text);
}

/* old.crt and old.key */
static void
make(const struct ca *ca)
{
	EVP_PKEY *key = make_key(ca);
	X509 *x509;

	assert_non_null(key);
	assert_int_equal(pki_build_new(key, NOW - DAY, ca->end != 0 ? ca->end : NOW + YEARS, &x509),
			 0);
	assert_int_equal(X509_set_version(x509, ca->version == 1 ? 0 : 2), 1);
	fill_subject(x509, ca);
	assert_int_equal(X509_set_issuer_name(x509, X509_get_subject_name(x509)), 1);
	if (ca->version != 1) {
		add(x509, NID_basic_constraints, ca->basic, "critical,CA:TRUE");
		add(x509, NID_key_usage, ca->usage, "critical,keyCertSign,cRLSign");
	}
	assert_true(X509_sign(x509, key,
			      is_ed25519(ca)   ? NULL
			      : ca->md != NULL ? ca->md()
					       : EVP_sha256()) > 0);
	save(x509, key);
	X509_free(x509);
	EVP_PKEY_free(key);
}

static int
import(bool with_key)
{
	said[0] = '\0';
	return pki_ca_import(folder, in("old.crt"), with_key ? in("old.key") : NULL, warn, said,
			     why);
}

static unsigned
mode_of(const char *file)
{
	struct stat st;

	return stat(in(file), &st) == 0 ? st.st_mode & 07777 : 0;
}

/* ---- import ---------------------------------------------------------------------------- */

static void
good_ca_goes_without_a_word(void **state)
{
	static const char *const names[] = { "gateway.local" };

	(void)state;
	make(&(struct ca){ 0 });
	assert_int_equal(import(true), 0);
	assert_string_equal(said, "");
	assert_int_equal(mode_of("ca.key"), 0600);
	assert_int_equal(mode_of("ca.crt"), 0644);
	assert_int_equal(pki_make_gateway(folder, &(struct pki_names){ names, 1, NULL, 0 }, 0, 0,
					  false, why),
			 0);
	assert_int_equal(import(true), ERR_EXISTS);
	assert_non_null(strstr(why, "move ca.key and ca.crt away first"));
}

/* What the person of the original question has: RSA, version 1, an address as name. */
static void
ca_of_the_story_works(void **state)
{
	static const char *const names[] = { "gateway.local", "172.31.34.43" };
	static const char *const address[] = { "172.31.34.43" };
	struct pki_issued issued;
	struct pki_anchor anchor;
	X509 *ca, *gateway;

	(void)state;
	make(&(struct ca){ .cn = "172.31.34.43", .bits = 2048, .version = 1 });
	assert_int_equal(import(true), 0);
	assert_non_null(strstr(said, "This is a version 1 certificate"));
	assert_non_null(strstr(said, "The CA has an RSA key"));
	assert_non_null(strstr(said, "0.3 s"));
	assert_non_null(strstr(said, "named after an IP address (172.31.34.43)"));
	assert_null(strstr(said, "basicConstraints"));

	assert_int_equal(pki_make_gateway(folder, &(struct pki_names){ names, 2, NULL, 0 }, 0, 0,
					  false, why),
			 0);
	assert_int_equal(pki_x509_read(in("ca.crt"), &ca, why), 0);
	assert_int_equal(pki_x509_read(in("gateway.crt"), &gateway, why), 0);
	assert_int_equal(X509_verify(gateway, X509_get0_pubkey(ca)), 1);
	X509_free(ca);
	X509_free(gateway);
	assert_int_equal(pki_make_device(folder, "mymkr", in("other.key"), 100, &issued, why), 0);
	pki_issued_free(&issued);
	assert_int_equal(pki_anchor_read_file(in("ca.crt"), &anchor, why), 0);
	assert_int_equal(anchor.curve, 0);
	assert_int_equal(anchor.point_len, 0);
	assert_int_equal(anchor.modulus_len, 256);
	assert_int_equal(anchor.exponent_len, 3);
	assert_memory_equal(anchor.exponent, "\x01\x00\x01", 3);

	/* A gateway of just that name would look self-signed. */
	assert_int_equal(pki_make_gateway(folder, &(struct pki_names){ NULL, 0, address, 1 }, 0, 0,
					  true, why),
			 ERR_UNSAFE);
	assert_non_null(strstr(why, "looks self-signed"));
	assert_int_equal(pki_crl_make(folder, NULL, 0, 10, in("file"), why), 0);
}

static void
warnings_say_what_will_not_work(void **state)
{
	static const struct {
		struct ca ca;
		const char *sentence;
	} rows[] = {
		{ { .usage = "critical,keyCertSign" }, "keyUsage without cRLSign" },
		{ { .curve = "P-384" }, "The key of the CA is EC P-384" },
		{ { .end = NOW + 100 * DAY }, "The CA ends at 2027-04-25" },
		{ { .md = EVP_sha1 }, "The CA was signed with SHA1" },
		{ { .filler = 300 }, "bytes long: every board stores it" },
		{ { .filler = 1100 }, "trust anchors for boards cannot be written" },
		{ { .basic = "" }, "no basicConstraints" },
		{ { .cn = "fd00::1" }, "named after an IP address (fd00::1)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		make(&rows[i].ca);
		assert_int_equal(import(true), 0);
		assert_non_null(strstr(said, rows[i].sentence));
		/* One sentence, and no more. */
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
		unlink(in("ca.key"));
		unlink(in("ca.crt"));
	}
}

static void
useless_cas_are_refused(void **state)
{
	static const struct {
		struct ca ca;
		const char *sentence;
	} rows[] = {
		{ { .usage = "critical,digitalSignature" }, "keyUsage without keyCertSign" },
		{ { .basic = "critical,CA:FALSE" }, "not the certificate of a CA" },
		{ { .basic = "", .usage = "" }, "not the certificate of a CA" },
		{ { .end = NOW }, "expired at 2027-01-15" },
		{ { .curve = "ED25519" }, "(Ed25519)" },
		{ { .bits = 1024 }, "(RSA 1024)" },
		{ { .curve = "secp256k1" }, "secp256k1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		make(&rows[i].ca);
		assert_int_equal(import(true), ERR_DENIED);
		assert_non_null(strstr(why, rows[i].sentence));
		assert_string_equal(said, "");
		assert_int_equal(mode_of("ca.crt"), 0);
		assert_int_equal(mode_of("ca.key"), 0);
	}
}

static void
without_key_nothing_can_be_issued(void **state)
{
	static const char *const names[] = { "gateway.local" };

	(void)state;
	make(&(struct ca){ 0 });
	assert_int_equal(import(false), 0);
	assert_non_null(strstr(said, "Without its key no certificate can be issued here"));
	assert_int_equal(mode_of("ca.key"), 0);
	assert_int_equal(pki_make_gateway(folder, &(struct pki_names){ names, 1, NULL, 0 }, 0, 0,
					  false, why),
			 -ENOENT);
	assert_non_null(strstr(why, "The key of the CA is not here"));
	/* Not even with the right key: what is there is never replaced. */
	assert_int_equal(import(true), ERR_EXISTS);
}

static void
first_of_many_is_taken(void **state)
{
	struct buf text = { 0 }, twice = { 0 };

	(void)state;
	make(&(struct ca){ 0 });
	assert_int_equal(pki_file_read(in("old.crt"), &text, why), 0);
	assert_int_equal(buf_append(&twice, buf_span(&text)), 0);
	assert_int_equal(buf_append(&twice, buf_span(&text)), 0);
	assert_int_equal(pki_write_file(in("old.crt"), 0644, buf_span(&twice), why), 0);
	assert_int_equal(import(true), 0);
	assert_non_null(strstr(said, "holds 2 certificates: only the first one is imported"));
	buf_release(&text);
	buf_release(&twice);
}

static void
keys_are_checked(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct buf pem = { 0 };
	FILE *out;

	(void)state;
	make(&(struct ca){ 0 });
	assert_int_equal(pki_build_key_pem(key, &pem), 0);
	assert_int_equal(pki_write_file(in("other.key"), 0600, buf_span(&pem), why), 0);
	assert_int_equal(pki_ca_import(folder, in("old.crt"), in("other.key"), warn, said, why),
			 ERR_CRYPTO);
	assert_non_null(strstr(why, "is not the key of"));
	out = fopen(in("locked.key"), "w");
	assert_non_null(out);
	assert_int_equal(
		PEM_write_PKCS8PrivateKey(out, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL), 1);
	fclose(out);
	assert_int_equal(pki_ca_import(folder, in("old.crt"), in("locked.key"), warn, said, why),
			 ERR_MALFORMED);
	assert_non_null(strstr(why, "openssl pkey -in"));
	assert_non_null(strstr(why, "locked.key -out"));
	assert_int_equal(pki_ca_import(folder, in("old.key"), in("old.crt"), warn, said, why),
			 ERR_MALFORMED);
	assert_int_equal(pki_ca_import(folder, in("none"), NULL, warn, said, why), -ENOENT);
	assert_int_equal(mode_of("ca.crt"), 0);
	buf_release(&pem);
	EVP_PKEY_free(key);
}

static void
gateway_that_is_there_is_compared(void **state)
{
	static const char *const names[] = { "gateway.local" };

	(void)state;
	assert_int_equal(pki_make_ca(folder, "First", 0, why), 0);
	assert_int_equal(pki_make_gateway(folder, &(struct pki_names){ names, 1, NULL, 0 }, 0, 0,
					  false, why),
			 0);
	unlink(in("ca.key"));
	unlink(in("ca.crt"));
	make(&(struct ca){ 0 });
	assert_int_equal(import(true), 0);
	assert_non_null(strstr(said, "was not issued by this CA"));
	unlink(in("ca.key"));
	unlink(in("ca.crt"));
	make(&(struct ca){ .cn = "gateway.local" });
	assert_int_equal(import(true), 0);
	assert_non_null(strstr(said, "has the same subject as the CA"));
}

/* ---- names ------------------------------------------------------------------------------ */

static void
assert_names(const char *dns, const char *ip)
{
	struct pki_gateway_info *info;
	char text[2][256] = { "", "" };

	assert_int_equal(pki_gateway_read(folder, &info, why), 0);
	for (size_t i = 0; i < info->names.dns_count; i++) {
		size_t len = strlen(text[0]);

		snprintf(text[0] + len, 256 - len, "%s;", info->names.dns[i]);
	}
	for (size_t i = 0; i < info->names.ip_count; i++) {
		size_t len = strlen(text[1]);

		snprintf(text[1] + len, 256 - len, "%s;", info->names.ip[i]);
	}
	pki_gateway_info_free(info);
	assert_string_equal(text[0], dns);
	assert_string_equal(text[1], ip);
}

static void
renewal_keeps_names_and_key(void **state)
{
	static const char *const dns[] = { "gateway.local", "*.example.org" };
	static const char *const ip[] = { "192.168.1.10", "fd00::1" };
	struct pki_gateway_info *info;
	struct buf before = { 0 }, after = { 0 };

	(void)state;
	assert_int_equal(pki_make_ca(folder, "First", 0, why), 0);
	assert_int_equal(
		pki_make_gateway(folder, &(struct pki_names){ dns, 2, ip, 2 }, 0, 100, false, why),
		0);
	assert_int_equal(pki_file_read(in("gateway.key"), &before, why), 0);
	assert_names("gateway.local;*.example.org;192.168.1.10;fd00::1;", "192.168.1.10;fd00::1;");
	clock_fake(0, NOW + 50 * DAY);
	assert_int_equal(pki_gateway_read(folder, &info, why), 0);
	assert_int_equal(
		pki_make_gateway(folder, &info->names, info->not_before, 100, true, why), 0);
	pki_gateway_info_free(info);
	assert_names("gateway.local;*.example.org;192.168.1.10;fd00::1;", "192.168.1.10;fd00::1;");
	assert_int_equal(pki_gateway_read(folder, &info, why), 0);
	assert_int_equal(info->not_before, 0);
	assert_int_equal(info->not_after, NOW + 150 * DAY);
	pki_gateway_info_free(info);
	assert_int_equal(pki_file_read(in("gateway.key"), &after, why), 0);
	assert_true(span_eq(buf_span(&before), buf_span(&after)));
	buf_release(&before);
	buf_release(&after);
}

/* What boards and issued certificates go by: all but the dates. */
static void
assert_ca_ends(int64_t end, char *fingerprint, char *serial)
{
	struct pki_cert *cert;

	assert_int_equal(pki_cert_read_file(in("ca.crt"), &cert, why), 0);
	assert_int_equal(cert->not_after, end);
	assert_true(cert->self_signed);
	if (fingerprint[0] == '\0') {
		snprintf(fingerprint, PKI_FINGERPRINT_SIZE, "%s", cert->fingerprint);
		snprintf(serial, PKI_FINGERPRINT_SIZE, "%.*s", SPAN_ARG(cert->serial));
	}
	assert_string_equal(cert->fingerprint, fingerprint);
	assert_true(span_eq(cert->serial, span_str(serial)));
	pki_cert_free(cert);
}

static void
renewed_ca_differs_in_its_end_only(void **state)
{
	static const char *const dns[] = { "gateway.local" };
	const struct pki_names names = { dns, 1, NULL, 0 };
	char fingerprint[PKI_FINGERPRINT_SIZE] = "", serial[PKI_FINGERPRINT_SIZE] = "";

	(void)state;
	assert_int_equal(pki_renew_ca(folder, 100, why), -ENOENT);
	assert_int_equal(pki_make_ca(folder, "First", 100, why), 0);
	assert_ca_ends(NOW + 100 * DAY, fingerprint, serial);
	assert_int_equal(pki_renew_ca(folder, 100, why), ERR_EXISTS);
	assert_non_null(strstr(why, "is valid until"));
	/* Nothing can be signed by it any more, until it is renewed. */
	clock_fake(0, NOW + 200 * DAY);
	assert_int_equal(pki_make_gateway(folder, &names, 0, 10, false, why), ERR_DENIED);
	assert_int_equal(pki_renew_ca(folder, 300, why), 0);
	assert_ca_ends(NOW + 500 * DAY, fingerprint, serial);
	assert_int_equal(mode_of("ca.crt"), 0644);
	assert_int_equal(pki_make_gateway(folder, &names, 0, 10, false, why), 0);
	assert_int_equal(pki_check_pair(in("ca.crt"), in("ca.key"), why), 0);
}

/* A CA of somebody else's making keeps its form. */
static void
renewed_ca_keeps_its_version(void **state)
{
	static const int versions[] = { 1, 3 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char fingerprint[PKI_FINGERPRINT_SIZE] = "", serial[PKI_FINGERPRINT_SIZE] = "";
		struct pki_cert *cert;

		make(&(struct ca){ .bits = 2048, .version = versions[i], .end = NOW + 50 * DAY });
		unlink(in("ca.crt"));
		unlink(in("ca.key"));
		assert_int_equal(import(true), 0);
		assert_ca_ends(NOW + 50 * DAY, fingerprint, serial);
		assert_int_equal(pki_renew_ca(folder, 60, why), 0);
		assert_ca_ends(NOW + 60 * DAY, fingerprint, serial);
		assert_int_equal(pki_cert_read_file(in("ca.crt"), &cert, why), 0);
		assert_int_equal(cert->version, versions[i]);
		pki_cert_free(cert);
	}
}

static void
names_of_hand_made_certificates(void **state)
{
	struct pki_gateway_info *info;

	(void)state;
	assert_int_equal(pki_gateway_read(folder, &info, why), -ENOENT);
	make(&(struct ca){ .cn = "plain.local" });
	assert_int_equal(rename(in("old.crt"), in("gateway.crt")), 0);
	assert_names("plain.local;", "");
	make(&(struct ca){ .cn = "not a name\"" });
	assert_int_equal(rename(in("old.crt"), in("gateway.crt")), 0);
	assert_int_equal(pki_gateway_read(folder, &info, why), ERR_UNSAFE);
	assert_non_null(strstr(why, "gateway.crt"));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(good_ca_goes_without_a_word),
		T(ca_of_the_story_works),
		T(warnings_say_what_will_not_work),
		T(useless_cas_are_refused),
		T(without_key_nothing_can_be_issued),
		T(first_of_many_is_taken),
		T(keys_are_checked),
		T(gateway_that_is_there_is_compared),
		T(renewal_keeps_names_and_key),
		T(renewed_ca_differs_in_its_end_only),
		T(renewed_ca_keeps_its_version),
		T(names_of_hand_made_certificates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
