/* SPDX-License-Identifier: BSD-2-Clause */
/* Revocation lists: ours, those of others, and the file that holds them. */
#include "unit/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "pki/pki_crl.h"

#define NOW 1800000000
#define DAY 86400

static char folder[64], other[64]; /* two CAs */
static char why[PKI_WHY_SIZE];

static const char *
in(const char *where, const char *file)
{
	static char path[8][160];
	static unsigned next;
	char *p = path[next++ % 8];

	snprintf(p, 160, "%s/%s", where, file);
	return p;
}

static int
set_up(void **state)
{
	(void)state;
	clock_fake(0, NOW);
	snprintf(folder, sizeof folder, "crl-test-XXXXXX");
	snprintf(other, sizeof other, "crl-other-XXXXXX");
	if (mkdtemp(folder) == NULL || mkdtemp(other) == NULL ||
	    pki_make_ca(folder, "One", 0, why) != 0) {
		return -1;
	}
	return pki_make_ca(other, "Two", 0, why);
}

static int
tear_down(void **state)
{
	static const char *const files[] = { "ca.key",   "ca.crt",  "ca.crlnumber",
					     "one.crl",  "two.crl", "both.crl",
					     "crls.pem", "cas.pem", "file" };

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		unlink(in(folder, files[i]));
		unlink(in(other, files[i]));
	}
	clock_real();
	/* Fails when a temporary file was left behind. */
	return rmdir(folder) | rmdir(other);
}

static const struct pki_crl_entry entries[] = {
	{ "40AB", NOW - 10, 1 },
	{ "40AA", NOW - 20, 0 },
	{ "0040ab", NOW - 30, 4 }, /* the first once more, and earlier */
};

static X509_CRL *
load_one(const char *file)
{
	STACK_OF(X509_CRL) * lists;
	X509_CRL *crl;

	assert_int_equal(pki_crl_read(file, &lists, why), 0);
	assert_int_equal(sk_X509_CRL_num(lists), 1);
	crl = sk_X509_CRL_shift(lists);
	sk_X509_CRL_free(lists);
	return crl;
}

static void
make(const char *where, const char *file)
{
	assert_int_equal(pki_crl_make(where, entries, 3, 30, file, why), 0);
}

static void
take_info(void *arg, const struct pki_crl_info *info)
{
	*(struct pki_crl_info *)arg = *info;
}

/* Leaves in info what is said of the last list. */
static int
check_list(const char *file, const char *ca_file, struct pki_crl_info *info)
{
	return pki_crl_check_bundle(file, ca_file, take_info, info, why);
}

/* Files one behind the other. */
static void
join(const char *a, const char *b, const char *to)
{
	struct buf text = { 0 }, more = { 0 };

	assert_int_equal(pki_file_read(a, &text, why), 0);
	assert_int_equal(pki_file_read(b, &more, why), 0);
	assert_int_equal(buf_append(&text, buf_span(&more)), 0);
	assert_int_equal(pki_write_file(to, 0644, buf_span(&text), why), 0);
	buf_release(&text);
	buf_release(&more);
}

static int
reason_of(X509_CRL *crl, int i)
{
	X509_REVOKED *revoked = sk_X509_REVOKED_value(X509_CRL_get_REVOKED(crl), i);
	ASN1_ENUMERATED *value = X509_REVOKED_get_ext_d2i(revoked, NID_crl_reason, NULL, NULL);
	int reason = value != NULL ? (int)ASN1_ENUMERATED_get(value) : -1;

	ASN1_ENUMERATED_free(value);
	return reason;
}

static int64_t
date_of(X509_CRL *crl, int i)
{
	X509_REVOKED *revoked = sk_X509_REVOKED_value(X509_CRL_get_REVOKED(crl), i);
	int64_t date;

	assert_int_equal(pki_date(X509_REVOKED_get0_revocationDate(revoked), &date), 0);
	return date;
}

static void
list_has_its_profile(void **state)
{
	X509_CRL *crl;
	struct pki_crl_info info;
	struct stat st;

	(void)state;
	make(folder, in(folder, "one.crl"));
	crl = load_one(in(folder, "one.crl"));
	assert_int_equal(X509_CRL_get_version(crl), X509_CRL_VERSION_2);
	assert_int_equal(X509_CRL_get_signature_nid(crl), NID_ecdsa_with_SHA256);
	assert_true(X509_CRL_get_ext_by_NID(crl, NID_authority_key_identifier, -1) >= 0);
	assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)), 2);
	assert_int_equal(reason_of(crl, 0), -1); /* unspecified is left out */
	assert_int_equal(date_of(crl, 0), NOW - 20);
	assert_int_equal(reason_of(crl, 1), 4);
	assert_int_equal(date_of(crl, 1), NOW - 30);
	X509_CRL_free(crl);
	assert_int_equal(stat(in(folder, "one.crl"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);

	assert_int_equal(check_list(in(folder, "one.crl"), in(folder, "ca.crt"), &info), 0);
	assert_string_equal(info.issuer, "CN=One");
	assert_string_equal(info.number, "1");
	assert_int_equal(info.this_update, NOW);
	assert_int_equal(info.next_update, NOW + 30 * DAY);
	assert_int_equal(info.count, 2);
	assert_false(info.stale);
}

static void
list_may_be_empty(void **state)
{
	struct pki_crl_info info;

	(void)state;
	assert_int_equal(pki_crl_make(folder, NULL, 0, 1, in(folder, "one.crl"), why), 0);
	assert_int_equal(check_list(in(folder, "one.crl"), in(folder, "ca.crt"), &info), 0);
	assert_int_equal(info.count, 0);
	clock_fake(0, NOW + DAY + 1);
	assert_int_equal(check_list(in(folder, "one.crl"), in(folder, "ca.crt"), &info), 0);
	assert_true(info.stale);
}

static void
assert_number(const char *file, const char *number)
{
	struct pki_crl_info info;

	assert_int_equal(check_list(file, in(folder, "ca.crt"), &info), 0);
	assert_string_equal(info.number, number);
}

static void
number_grows(void **state)
{
	(void)state;
	make(folder, in(folder, "one.crl"));
	make(folder, in(folder, "two.crl"));
	assert_number(in(folder, "two.crl"), "2");
	/* The number file is lost: the list in its place still tells. */
	unlink(in(folder, "ca.crlnumber"));
	make(folder, in(folder, "two.crl"));
	assert_number(in(folder, "two.crl"), "3");
	/* Past 64 bits; RFC 5280 wants up to 20 bytes. */
	assert_int_equal(pki_write_file(in(folder, "ca.crlnumber"), 0644,
					span_str("18446744073709551615\n"), why),
			 0);
	make(folder, in(folder, "two.crl"));
	assert_number(in(folder, "two.crl"), "18446744073709551616");
}

static void
damaged_number_is_an_error(void **state)
{
	static const char *const bad[] = { "", "x", "-1", "1 2",
					   "9999999999999999999999999999999999999999999999999" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(
			pki_write_file(in(folder, "ca.crlnumber"), 0644, span_str(bad[i]), why), 0);
		assert_true(pki_crl_make(folder, NULL, 0, 1, in(folder, "one.crl"), why) < 0);
		assert_non_null(strstr(why, "ca.crlnumber"));
		assert_int_not_equal(access(in(folder, "one.crl"), F_OK), 0);
	}
}

static void
bad_entries_are_refused(void **state)
{
	static const struct pki_crl_entry bad[] = {
		{ "", NOW, 0 },    { "12G4", NOW, 0 },
		{ "-12", NOW, 0 }, { "00112233445566778899001122334455667788990", NOW, 0 },
		{ "12", NOW, 7 },  { "12", NOW, 8 },
		{ "12", NOW, 11 }, { "12", NOW, -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(pki_crl_make(folder, &bad[i], 1, 1, in(folder, "one.crl"), why),
				 ERR_MALFORMED);
	}
	assert_int_equal(pki_crl_make("nowhere", NULL, 0, 1, in(folder, "one.crl"), why), -ENOENT);
}

static void
reasons_have_names(void **state)
{
	(void)state;
	assert_int_equal(pki_crl_reason("keyCompromise"), 1);
	assert_int_equal(pki_crl_reason("key-compromise"), 1);
	assert_int_equal(pki_crl_reason("CESSATION_OF_OPERATION"), 5);
	assert_int_equal(pki_crl_reason("unspecified"), 0);
	assert_int_equal(pki_crl_reason("keyComp"), ERR_NOT_FOUND);
	assert_int_equal(pki_crl_reason(""), ERR_NOT_FOUND);
	assert_int_equal(pki_crl_reason("removeFromCRL"), ERR_NOT_FOUND);
	assert_string_equal(pki_crl_reason_name(9), "privilegeWithdrawn");
	assert_null(pki_crl_reason_name(7));
	assert_null(pki_crl_reason_name(11));
}

/* What OpenSSL, as in the daemon, says of a certificate once the list is there. */
static int
verify(X509 *ca, X509 *x509, X509_CRL *crl)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int error;

	assert_int_equal(X509_STORE_add_cert(store, ca), 1);
	assert_int_equal(X509_STORE_add_crl(store, crl), 1);
	assert_int_equal(X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK), 1);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, x509, NULL), 1);
	X509_STORE_CTX_set_time(ctx, 0, NOW);
	error = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return error;
}

static void
openssl_follows_our_list(void **state)
{
	X509 *ca;
	int number[2] = { X509_V_OK, X509_V_ERR_CERT_REVOKED };

	(void)state;
	assert_int_equal(pki_x509_read(in(folder, "ca.crt"), &ca, why), 0);
	for (int revoked = 0; revoked <= 1; revoked++) {
		struct pki_issued issued;
		const unsigned char *at;
		struct pki_crl_entry entry = { .revoked = NOW - 1, .reason = 1 };
		X509_CRL *crl;
		X509 *x509;

		assert_int_equal(
			pki_make_device(folder, "mymkr", in(folder, "file"), 10, &issued, why), 0);
		entry.serial = (const char *)issued.cert->serial.ptr;
		assert_int_equal(pki_crl_make(folder, &entry, (size_t)revoked, 10,
					      in(folder, "one.crl"), why),
				 0);
		at = issued.der;
		x509 = d2i_X509(NULL, &at, (long)issued.der_len);
		crl = load_one(in(folder, "one.crl"));
		assert_int_equal(verify(ca, x509, crl), number[revoked]);
		X509_CRL_free(crl);
		X509_free(x509);
		pki_issued_free(&issued);
		unlink(in(folder, "file"));
	}
	X509_free(ca);
}

/* ---- checking -------------------------------------------------------------------------- */

static void
der_and_bundles_of_cas(void **state)
{
	struct pki_crl_info info;
	struct buf der = { 0 };
	unsigned char *bytes = NULL;
	X509_CRL *crl;
	int len;

	(void)state;
	make(other, in(folder, "two.crl"));
	join(in(folder, "ca.crt"), in(other, "ca.crt"), in(folder, "cas.pem"));
	assert_int_equal(check_list(in(folder, "two.crl"), in(folder, "cas.pem"), &info), 0);
	assert_string_equal(info.issuer, "CN=Two");
	crl = load_one(in(folder, "two.crl"));
	len = i2d_X509_CRL(crl, &bytes);
	assert_true(len > 0);
	assert_int_equal(pki_write_file(in(folder, "file"), 0644, span_of(bytes, (size_t)len), why),
			 0);
	assert_int_equal(check_list(in(folder, "file"), in(folder, "cas.pem"), &info), 0);
	/* One byte less, one byte more. */
	for (int i = -1; i <= 1; i += 2) {
		buf_consume(&der, buf_len(&der));
		assert_int_equal(buf_append(&der, span_of(bytes, (size_t)len)), 0);
		assert_int_equal(buf_append(&der, span_of("", 1)), 0);
		assert_int_equal(pki_write_file(in(folder, "file"), 0644,
						span_head(buf_span(&der), (size_t)(len + i)), why),
				 0);
		assert_int_equal(
			check_list(in(folder, "file"), in(folder, "cas.pem"), &info),
			ERR_MALFORMED);
	}
	buf_release(&der);
	OPENSSL_free(bytes);
	X509_CRL_free(crl);
}

static void
foreign_lists_are_refused(void **state)
{
	struct pki_crl_info info = { .count = 77 };

	(void)state;
	make(other, in(folder, "two.crl"));
	assert_int_equal(
		check_list(in(folder, "two.crl"), in(folder, "ca.crt"), &info),
		ERR_NOT_FOUND);
	assert_non_null(strstr(why, "list of \"CN=Two\", which is not among the CAs"));
	assert_int_equal(info.count, 77);
	/* The same name, another key. */
	unlink(in(other, "ca.key"));
	unlink(in(other, "ca.crt"));
	assert_int_equal(pki_make_ca(other, "Two", 0, why), 0);
	assert_int_equal(check_list(in(folder, "two.crl"), in(other, "ca.crt"), &info), ERR_CRYPTO);
	assert_int_equal(check_list(in(folder, "ca.crt"), in(other, "ca.crt"), &info),
			 ERR_MALFORMED);
	assert_non_null(strstr(why, "holds no revocation list"));
	assert_int_equal(check_list(in(folder, "none"), in(other, "ca.crt"), &info), -ENOENT);
	/* Two in one file. */
	make(other, in(folder, "one.crl"));
	make(other, in(folder, "two.crl"));
	join(in(folder, "one.crl"), in(folder, "two.crl"), in(folder, "both.crl"));
	assert_int_equal(pki_crl_install(in(folder, "crls.pem"), in(folder, "both.crl"),
					 in(other, "ca.crt"), why),
			 ERR_VERSION);
}

static void
future_lists_are_refused(void **state)
{
	struct pki_crl_info info;

	(void)state;
	make(folder, in(folder, "one.crl"));
	clock_fake(0, NOW - 299);
	assert_int_equal(check_list(in(folder, "one.crl"), in(folder, "ca.crt"), &info), 0);
	clock_fake(0, NOW - 400);
	assert_int_equal(
		check_list(in(folder, "one.crl"), in(folder, "ca.crt"), &info),
		ERR_DENIED);
	assert_non_null(strstr(why, "Check the clock"));
}

static X509_EXTENSION *
extension(int nid, const char *value)
{
	X509_EXTENSION *ext;
	ASN1_INTEGER *number;

	if (nid == NID_authority_key_identifier) {
		/* Of a key that the CA does not have. */
		AUTHORITY_KEYID *id = AUTHORITY_KEYID_new();

		assert_non_null(id);
		id->keyid = ASN1_OCTET_STRING_new();
		assert_int_equal(ASN1_OCTET_STRING_set(id->keyid, (const uint8_t *)"x", 1), 1);
		ext = X509V3_EXT_i2d(nid, 0, id);
		AUTHORITY_KEYID_free(id);
		return ext;
	}
	if (nid != NID_crl_number && nid != NID_delta_crl) {
		return X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	}
	number = s2i_ASN1_INTEGER(NULL, value);
	ext = X509V3_EXT_i2d(nid, 0, number);
	ASN1_INTEGER_free(number);
	return ext;
}

static void
resign(X509_CRL *crl, const char *file)
{
	struct buf pem = { 0 };
	EVP_PKEY *key;

	assert_int_equal(pki_key_read(in(folder, "ca.key"), &key, why), 0);
	assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
	assert_int_equal(pki_crl_pem(crl, &pem), 0);
	assert_int_equal(pki_write_file(file, 0644, buf_span(&pem), why), 0);
	buf_release(&pem);
	EVP_PKEY_free(key);
}

/* The list with one extension in the place of another. */
static void
extend(const char *file, int nid, const char *value, bool critical)
{
	X509_CRL *crl = load_one(file);
	X509_EXTENSION *ext = extension(nid, value);
	int old = X509_CRL_get_ext_by_NID(crl, nid, -1);

	assert_non_null(ext);
	X509_EXTENSION_free(old >= 0 ? X509_CRL_delete_ext(crl, old) : NULL);
	assert_int_equal(X509_EXTENSION_set_critical(ext, critical), 1);
	assert_int_equal(X509_CRL_add_ext(crl, ext, -1), 1);
	X509_EXTENSION_free(ext);
	resign(crl, file);
	X509_CRL_free(crl);
}

static void
partial_lists_are_refused(void **state)
{
	static const struct {
		int nid;
		const char *value;
		bool critical;
		int rc;
	} rows[] = {
		{ NID_delta_crl, "1", true, ERR_VERSION },
		{ NID_issuing_distribution_point, "onlyuser:TRUE", true, 0 },
		{ NID_issuing_distribution_point, "onlyCA:TRUE", true, ERR_VERSION },
		{ NID_issuing_distribution_point, "indirectCRL:TRUE", true, ERR_VERSION },
		{ NID_issuing_distribution_point, "onlysomereasons:keyCompromise", true,
		  ERR_VERSION },
		{ NID_issuing_distribution_point, "fullname:URI:http://x/", true, ERR_VERSION },
		{ NID_info_access, "caIssuers;URI:http://x/", false, 0 },
		{ NID_info_access, "caIssuers;URI:http://x/", true, ERR_VERSION },
		{ NID_crl_number, "-5", false, ERR_MALFORMED },
		{ NID_authority_key_identifier, NULL, false, ERR_VERSION },
	};
	struct pki_crl_info info;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		make(folder, in(folder, "one.crl"));
		extend(in(folder, "one.crl"), rows[i].nid, rows[i].value, rows[i].critical);
		assert_int_equal(
			check_list(in(folder, "one.crl"), in(folder, "ca.crt"), &info),
			rows[i].rc);
		unlink(in(folder, "one.crl"));
	}
}

static void
critical_entries_are_refused(void **state)
{
	struct pki_crl_info info;
	X509_CRL *crl;
	X509_REVOKED *entry;
	X509_EXTENSION *ext;

	(void)state;
	make(folder, in(folder, "one.crl"));
	crl = load_one(in(folder, "one.crl"));
	entry = sk_X509_REVOKED_value(X509_CRL_get_REVOKED(crl), 1);
	ext = X509_REVOKED_get_ext(entry, 0);
	assert_int_equal(X509_EXTENSION_set_critical(ext, 1), 1);
	resign(crl, in(folder, "one.crl"));
	X509_CRL_free(crl);
	assert_int_equal(
		check_list(in(folder, "one.crl"), in(folder, "ca.crt"), &info),
		ERR_VERSION);
	assert_non_null(strstr(why, "critical entries"));
}

/* ---- installing ------------------------------------------------------------------------ */

struct seen {
	char text[256];
};

static void
note(void *arg, const struct pki_crl_info *info)
{
	struct seen *seen = arg;
	size_t len = strlen(seen->text);

	snprintf(seen->text + len, sizeof seen->text - len, "%s %s;", info->issuer, info->number);
}

static void
assert_bundle(const char *expected)
{
	struct seen seen = { "" };

	assert_int_equal(pki_crl_check_bundle(in(folder, "crls.pem"), in(folder, "cas.pem"), note,
					      &seen, why),
			 0);
	assert_string_equal(seen.text, expected);
}

static int
install(const char *file)
{
	return pki_crl_install(in(folder, "crls.pem"), in(folder, file), in(folder, "cas.pem"),
			       why);
}

static void
newer_replaces_older(void **state)
{
	(void)state;
	join(in(folder, "ca.crt"), in(other, "ca.crt"), in(folder, "cas.pem"));
	make(folder, in(folder, "one.crl"));
	make(other, in(folder, "two.crl"));
	assert_int_equal(install("one.crl"), 0);
	assert_int_equal(install("two.crl"), 0);
	assert_bundle("CN=One 1;CN=Two 1;");
	assert_int_equal(install("one.crl"), 0); /* the same once more */
	make(folder, in(folder, "both.crl"));
	assert_int_equal(install("both.crl"), 0);
	assert_bundle("CN=One 2;CN=Two 1;");
	assert_int_equal(install("one.crl"), ERR_EXISTS);
	assert_non_null(strstr(why, "newer list of \"CN=One\" already (number 2; this one has 1)"));
	assert_bundle("CN=One 2;CN=Two 1;");
	clock_fake(0, NOW + 31 * DAY);
	assert_int_equal(install("both.crl"), ERR_DENIED);
	assert_non_null(strstr(why, "is stale"));
	assert_int_equal(pki_crl_install("nowhere/crls.pem", in(folder, "both.crl"),
					 in(folder, "cas.pem"), why),
			 ERR_DENIED);
	clock_fake(0, NOW);
	assert_int_equal(pki_crl_install("nowhere/crls.pem", in(folder, "both.crl"),
					 in(folder, "cas.pem"), why),
			 -ENOENT);
}

static void
new_key_of_a_ca_keeps_both(void **state)
{
	(void)state;
	/* Two CAs of one name, both trusted while the old one runs out. */
	unlink(in(other, "ca.key"));
	unlink(in(other, "ca.crt"));
	assert_int_equal(pki_make_ca(other, "One", 0, why), 0);
	join(in(folder, "ca.crt"), in(other, "ca.crt"), in(folder, "cas.pem"));
	make(folder, in(folder, "one.crl"));
	make(other, in(folder, "two.crl"));
	assert_int_equal(install("one.crl"), 0);
	assert_int_equal(install("two.crl"), 0);
	assert_bundle("CN=One 1;CN=One 1;");
	/* The old one is trusted no more: its list goes when the next one comes. */
	unlink(in(folder, "cas.pem"));
	assert_int_equal(link(in(other, "ca.crt"), in(folder, "cas.pem")), 0);
	make(other, in(folder, "two.crl"));
	assert_int_equal(install("two.crl"), 0);
	assert_bundle("CN=One 2;");
}

static void
damaged_target_is_left_alone(void **state)
{
	(void)state;
	join(in(folder, "ca.crt"), in(other, "ca.crt"), in(folder, "cas.pem"));
	make(folder, in(folder, "one.crl"));
	assert_int_equal(pki_write_file(in(folder, "crls.pem"), 0644, span_str("junk\n"), why), 0);
	assert_int_equal(install("one.crl"), ERR_MALFORMED);
	assert_non_null(strstr(why, "crls.pem"));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(list_has_its_profile),
		T(list_may_be_empty),
		T(openssl_follows_our_list),
		T(number_grows),
		T(damaged_number_is_an_error),
		T(bad_entries_are_refused),
		T(reasons_have_names),
		T(der_and_bundles_of_cas),
		T(foreign_lists_are_refused),
		T(future_lists_are_refused),
		T(partial_lists_are_refused),
		T(critical_entries_are_refused),
		T(newer_replaces_older),
		T(new_key_of_a_ca_keeps_both),
		T(damaged_target_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
