/* SPDX-License-Identifier: BSD-2-Clause */
/* Making certificates, and the requests that boards and people send. */
#include "unit/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "pki/pki.h"
#include "pki/pki_int.h"

#define NOW 1800000000
#define DAY 86400

/* What ECCX08CSR printed on a real board. */
#define REAL_1 "MIHKMHICAQAwEDEOMAwGA1UEAxMFbXlta3IwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARo6lo/"
#define REAL_2 "SW6XJ3vWTptpq+xRfiGtVXlfx0H7PRfZqrQCEA6NCkD+DZUQA5hNekMPzveohJscta5PYqAwCQet"
#define REAL_3 "TxxhoAAwCgYIKoZIzj0EAwIDSAAwRQIgQbwP9SF10O1dVyXsrNhr/HIEP/o2YzRyN7aqeSYaSvQC"
#define REAL_4 "IQCaH6+svv9/oV9bfqePi67PrcDLX+PGkAXlTlZlwJD5ZA=="
#define BEGIN "-----BEGIN CERTIFICATE REQUEST-----"
#define END "-----END CERTIFICATE REQUEST-----"
#define REAL BEGIN "\n" REAL_1 "\n" REAL_2 "\n" REAL_3 "\n" REAL_4 "\n" END "\n"

static char folder[64];
static char why[PKI_WHY_SIZE];

static const char *
in_folder(const char *file)
{
	static char path[4][128];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, 128, "%s/%s", folder, file);
	return p;
}

static int
set_up(void **state)
{
	(void)state;
	clock_fake(0, NOW);
	snprintf(folder, sizeof folder, "pki-test-XXXXXX");
	return mkdtemp(folder) == NULL ? -1 : pki_make_ca(folder, "Test CA", 0, why);
}

static int
tear_down(void **state)
{
	static const char *const files[] = { "ca.key",      "ca.crt",  "gateway.key",
					     "gateway.crt", "dev.key", "file", "other" };

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		unlink(in_folder(files[i]));
	}
	clock_real();
	/* Fails when a temporary file was left behind. */
	return rmdir(folder);
}

static unsigned
mode_of(const char *file)
{
	struct stat st;

	return stat(in_folder(file), &st) == 0 ? st.st_mode & 07777 : 0;
}

static X509 *
load(const char *file)
{
	X509 *x509 = NULL;

	assert_int_equal(pki_x509_read(in_folder(file), &x509, why), 0);
	return x509;
}

/* ---- the profile, field by field ------------------------------------------------------ */

static void
assert_dates(const X509 *x509, int64_t not_before, int64_t not_after)
{
	struct pki_cert *cert;

	assert_int_equal(pki_cert_of(x509, NULL, &cert), 0);
	assert_int_equal(cert->not_before, not_before);
	assert_int_equal(cert->not_after, not_after);
	pki_cert_free(cert);
}

/* Only these extensions, and those critical ones of them. */
static void
assert_extensions(const X509 *x509, const int *nids, size_t count)
{
	assert_int_equal(X509_get_ext_count(x509), count);
	for (size_t i = 0; i < count; i++) {
		int at = X509_get_ext_by_NID(x509, nids[i], -1);
		bool critical = nids[i] == NID_basic_constraints || nids[i] == NID_key_usage;

		assert_true(at >= 0);
		assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(x509, at)), critical);
	}
}

static void
assert_signed(X509 *x509, X509 *ca)
{
	const ASN1_BIT_STRING *sig;
	const X509_ALGOR *algorithm;

	assert_int_equal(X509_verify(x509, X509_get0_pubkey(ca)), 1);
	X509_get0_signature(&sig, &algorithm, x509);
	assert_int_equal(OBJ_obj2nid(algorithm->algorithm), NID_ecdsa_with_SHA256);
	assert_false(pki_signature_short(span_of(sig->data, (size_t)sig->length)));
	assert_int_equal(X509_get_version(x509), 2);
	assert_true(ASN1_STRING_length(X509_get0_serialNumber(x509)) == 16);
	assert_int_equal(X509_NAME_cmp(X509_get_issuer_name(x509), X509_get_subject_name(ca)), 0);
}

static void
ca_has_its_profile(void **state)
{
	static const int nids[] = { NID_basic_constraints, NID_key_usage,
				    NID_subject_key_identifier };
	X509 *ca = load("ca.crt");
	struct pki_cert *cert;

	(void)state;
	assert_int_equal(mode_of("ca.key"), 0600);
	assert_int_equal(mode_of("ca.crt"), 0644);
	assert_extensions(ca, nids, 3);
	assert_signed(ca, ca);
	assert_int_equal(X509_check_ca(ca), 1);
	assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	assert_dates(ca, NOW - DAY, 2524607999);
	assert_int_equal(pki_cert_read_file(in_folder("ca.crt"), &cert, why), 0);
	assert_string_equal((const char *)cert->subject.ptr, "CN=Test CA");
	assert_string_equal((const char *)cert->key_type.ptr, "EC P-256");
	assert_true(cert->is_ca && cert->self_signed);
	pki_cert_free(cert);
	X509_free(ca);
	assert_int_equal(pki_check_pair(in_folder("ca.crt"), in_folder("ca.key"), why), 0);
}

static void
anchor_is_subject_and_point(void **state)
{
	static const uint8_t subject[] = { 0x30, 0x12, 0x31, 0x10, 0x30, 0x0e, 0x06,
					   0x03, 0x55, 0x04, 0x03, 0x0c, 0x07, 'T',
					   'e',  's',  't',  ' ',  'C',  'A' };
	struct pki_anchor anchor;
	X509 *ca = load("ca.crt");
	const ASN1_BIT_STRING *point = X509_get0_pubkey_bitstr(ca);

	(void)state;
	assert_int_equal(pki_anchor_read_file(in_folder("ca.crt"), &anchor, why), 0);
	assert_int_equal(anchor.curve, 23);
	assert_int_equal(anchor.point_len, 65);
	assert_memory_equal(anchor.point, point->data, 65);
	assert_int_equal(anchor.subject_len, sizeof subject);
	assert_memory_equal(anchor.subject, subject, sizeof subject);
	X509_free(ca);
	assert_int_equal(pki_anchor_read_file(in_folder("ca.key"), &anchor, why), ERR_MALFORMED);
}

static void
ca_is_never_overwritten(void **state)
{
	struct buf before = { 0 }, after = { 0 };

	(void)state;
	assert_int_equal(pki_file_read(in_folder("ca.key"), &before, why), 0);
	assert_int_equal(pki_make_ca(folder, "Other", 10, why), ERR_EXISTS);
	assert_non_null(strstr(why, "ca.key exists already"));
	assert_int_equal(pki_file_read(in_folder("ca.key"), &after, why), 0);
	assert_true(span_eq(buf_span(&before), buf_span(&after)));
	unlink(in_folder("ca.key"));
	assert_int_equal(pki_make_ca(folder, "Other", 10, why), ERR_EXISTS);
	assert_int_equal(mode_of("ca.key"), 0);
	unlink(in_folder("ca.crt"));
	assert_int_equal(pki_make_ca(folder, "", 10, why), ERR_UNSAFE);
	assert_int_equal(pki_make_ca("nowhere", "Other", 10, why), -ENOENT);
	assert_int_equal(pki_make_ca(folder, "Other", 10, why), 0);
	buf_release(&before);
	buf_release(&after);
}

static const char *const dns[] = { "gateway.local", "192.168.1.10", "*.example.org" };
static const char *const ip[] = { "192.168.1.10", "fd00::1" };
static const struct pki_names names = { dns, 3, ip, 2 };

static void
assert_alternatives(const X509 *x509)
{
	static const char *const expected[] = { "gateway.local", "192.168.1.10", "*.example.org",
						"fd00::1" };
	GENERAL_NAMES *list = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);

	assert_int_equal(sk_GENERAL_NAME_num(list), 6);
	for (int i = 0; i < 6; i++) {
		int type;
		const ASN1_STRING *s =
			GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(list, i), &type);

		assert_int_equal(type, i < 4 ? GEN_DNS : GEN_IPADD);
		if (i < 4) {
			assert_int_equal(s->length, strlen(expected[i]));
			assert_memory_equal(s->data, expected[i], s->length);
		} else {
			assert_int_equal(s->length, i == 4 ? 4 : 16);
		}
	}
	GENERAL_NAMES_free(list);
}

static void
gateway_has_its_profile(void **state)
{
	static const int nids[] = { NID_basic_constraints, NID_key_usage, NID_ext_key_usage,
				    NID_subject_alt_name, NID_authority_key_identifier };
	X509 *ca = load("ca.crt"), *x509;

	(void)state;
	assert_int_equal(pki_make_gateway(folder, &names, 0, 365, false, why), 0);
	assert_int_equal(mode_of("gateway.key"), 0640);
	assert_int_equal(mode_of("gateway.crt"), 0644);
	x509 = load("gateway.crt");
	assert_extensions(x509, nids, 5);
	assert_signed(x509, ca);
	assert_alternatives(x509);
	assert_int_equal(X509_check_ca(x509), 0);
	assert_int_equal(X509_get_key_usage(x509), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extended_key_usage(x509), XKU_SSL_SERVER);
	assert_dates(x509, 0, NOW + 365 * (int64_t)DAY);
	assert_int_equal(X509_check_host(x509, "gateway.local", 0, 0, NULL), 1);
	assert_int_equal(X509_check_ip_asc(x509, "192.168.1.10", 0), 1);
	assert_int_equal(X509_check_issued(ca, x509), X509_V_OK);
	X509_free(x509);
	X509_free(ca);
}

static void
gateway_key_stays_when_asked(void **state)
{
	struct pki_cert *a, *b, *c;

	(void)state;
	assert_int_equal(pki_make_gateway(folder, &names, NOW, 0, true, why), 0);
	assert_int_equal(pki_cert_read_file(in_folder("gateway.crt"), &a, why), 0);
	assert_int_equal(pki_make_gateway(folder, &names, NOW, 0, true, why), 0);
	assert_int_equal(pki_cert_read_file(in_folder("gateway.crt"), &b, why), 0);
	assert_int_equal(pki_make_gateway(folder, &names, NOW, 0, false, why), 0);
	assert_int_equal(pki_cert_read_file(in_folder("gateway.crt"), &c, why), 0);
	assert_string_equal(a->fingerprint, b->fingerprint);
	assert_string_not_equal(a->certificate_hash, b->certificate_hash);
	assert_string_not_equal(a->fingerprint, c->fingerprint);
	assert_int_equal(c->not_after, NOW + 3650 * (int64_t)DAY);
	pki_cert_free(a);
	pki_cert_free(b);
	pki_cert_free(c);
}

static void
gateway_names_are_checked(void **state)
{
	static const char *const bad[] = { "a b",
					   "",
					   "x,DNS:evil",
					   ".a",
					   "a..b",
					   "*.",
					   "a/b",
					   "0123456789012345678901234567890123456789"
					   "0123456789012345678901234" };
	static const char *const no_ip[] = { "gateway" };
	struct pki_names none = { 0 }, wrong = { .ip = no_ip, .ip_count = 1 };

	(void)state;
	assert_int_equal(pki_make_gateway(folder, &none, 0, 1, false, why), ERR_UNSAFE);
	assert_int_equal(pki_make_gateway(folder, &wrong, 0, 1, false, why), ERR_UNSAFE);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct pki_names one = { .dns = &bad[i], .dns_count = 1 };

		assert_int_equal(pki_make_gateway(folder, &one, 0, 1, false, why), ERR_UNSAFE);
	}
	assert_int_equal(mode_of("gateway.key"), 0);
}

static void
assert_device(const struct pki_issued *issued, const char *name)
{
	static const int nids[] = { NID_basic_constraints, NID_key_usage, NID_ext_key_usage,
				    NID_subject_key_identifier, NID_authority_key_identifier };
	const unsigned char *at = issued->der;
	X509 *ca = load("ca.crt"), *x509 = d2i_X509(NULL, &at, (long)issued->der_len);

	assert_non_null(x509);
	assert_true(issued->der_len >= 480);
	assert_extensions(x509, nids, 5);
	assert_signed(x509, ca);
	assert_int_equal(X509_get_key_usage(x509), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extended_key_usage(x509), XKU_SSL_CLIENT);
	assert_int_equal(X509_check_ca(x509), 0);
	assert_string_equal((const char *)issued->cert->cn.ptr, name);
	assert_non_null(strstr(issued->pem, "-----END CERTIFICATE-----\n"));
	X509_free(x509);
	X509_free(ca);
}

/* Long enough to fill a board's first record, and short enough to fit into it. */
static void
length_is_between_the_limits(void **state)
{
	char name[65];
	struct pki_issued issued;

	(void)state;
	for (size_t n = 1; n < sizeof name; n++) {
		memset(name, 'n', n);
		name[n] = '\0';
		assert_int_equal(pki_sign_request(folder, span_str(REAL), name, 0, &issued, why), 0);
		assert_in_range(issued.der_len, 480, 502);
		pki_issued_free(&issued);
	}
}

static void
real_request_is_signed(void **state)
{
	static const uint8_t x[] = { 0x04, 0x68, 0xea, 0x5a, 0x3f };
	struct pki_issued issued;

	(void)state;
	assert_int_equal(pki_sign_request(folder, span_str(REAL), NULL, 0, &issued, why), 0);
	assert_device(&issued, "mymkr");
	assert_int_equal(issued.cert->not_before, NOW - DAY);
	assert_int_equal(issued.cert->not_after, NOW + 3650 * (int64_t)DAY);
	assert_non_null(memmem(issued.der, issued.der_len, x, sizeof x));
	pki_issued_free(&issued);
	pki_issued_free(&issued); /* harmless */
	assert_int_equal(pki_sign_request(folder, span_str(REAL), "a", 0, &issued, why), 0);
	assert_device(&issued, "a");
	pki_issued_free(&issued);
}

static void
size_holds_for_the_shortest_names(void **state)
{
	struct pki_issued issued;

	(void)state;
	unlink(in_folder("ca.key"));
	unlink(in_folder("ca.crt"));
	assert_int_equal(pki_make_ca(folder, "C", 0, why), 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(pki_sign_request(folder, span_str(REAL), "d", 1, &issued, why), 0);
		assert_device(&issued, "d");
		pki_issued_free(&issued);
	}
}

static void
dates_end_with_the_ca_and_before_2050(void **state)
{
	struct pki_issued issued;

	(void)state;
	assert_int_equal(pki_sign_request(folder, span_str(REAL), NULL, 4000000000u, &issued, why),
			 0);
	assert_int_equal(issued.cert->not_after, 2524607999);
	pki_issued_free(&issued);
	unlink(in_folder("ca.key"));
	unlink(in_folder("ca.crt"));
	assert_int_equal(pki_make_ca(folder, "Short", 10, why), 0);
	assert_int_equal(pki_sign_request(folder, span_str(REAL), NULL, 0, &issued, why), 0);
	assert_int_equal(issued.cert->not_after, NOW + 10 * DAY);
	pki_issued_free(&issued);
	clock_fake(0, NOW + 11 * DAY);
	assert_int_equal(pki_sign_request(folder, span_str(REAL), NULL, 0, &issued, why),
			 ERR_DENIED);
	assert_non_null(strstr(why, "expired"));
	assert_int_equal(pki_check_pair(in_folder("ca.crt"), in_folder("ca.key"), why), ERR_DENIED);
}

static void
device_key_is_written_once(void **state)
{
	struct pki_issued issued;
	EVP_PKEY *key;

	(void)state;
	assert_int_equal(pki_make_device(folder, "pc", in_folder("dev.key"), 30, &issued, why), 0);
	assert_device(&issued, "pc");
	assert_int_equal(mode_of("dev.key"), 0600);
	assert_int_equal(pki_write_file(in_folder("file"), 0644, span_str(issued.pem), why), 0);
	assert_int_equal(pki_check_pair(in_folder("file"), in_folder("dev.key"), why), 0);
	assert_int_equal(pki_check_pair(in_folder("file"), in_folder("ca.key"), why), ERR_CRYPTO);
	assert_int_equal(pki_key_read(in_folder("dev.key"), &key, why), 0);
	assert_true(pki_key_is_p256(key));
	EVP_PKEY_free(key);
	pki_issued_free(&issued);
	assert_int_equal(pki_make_device(folder, "pc", in_folder("dev.key"), 30, &issued, why),
			 ERR_EXISTS);
	assert_int_equal(pki_make_device(folder, "a/b", in_folder("file2"), 30, &issued, why),
			 ERR_UNSAFE);
}

/* ---- requests ------------------------------------------------------------------------------ */

struct plan {
	EVP_PKEY *key, *signer;
	const char *cn, *o;
	bool ask_ca;
};

static struct buf
make_request(const struct plan *plan)
{
	X509_REQ *req = X509_REQ_new();
	X509_NAME *name = X509_REQ_get_subject_name(req);
	struct buf der = { 0 };
	unsigned char *bytes = NULL;
	int len;

	X509_REQ_set_version(req, 0);
	X509_REQ_set_pubkey(req, plan->key);
	if (plan->o != NULL) {
		X509_NAME_add_entry_by_NID(name, NID_organizationName, V_ASN1_PRINTABLESTRING,
					   (const unsigned char *)plan->o, -1, -1, 0);
	}
	if (plan->cn != NULL) {
		X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_PRINTABLESTRING,
					   (const unsigned char *)plan->cn, -1, -1, 0);
	}
	if (plan->ask_ca) {
		STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();

		sk_X509_EXTENSION_push(
			extensions,
			X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE"));
		sk_X509_EXTENSION_push(
			extensions,
			X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:gateway.local"));
		X509_REQ_add_extensions(req, extensions);
		sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	}
	assert_true(X509_REQ_sign(req, plan->signer,
				  EVP_PKEY_is_a(plan->signer, "ED25519") ? NULL : EVP_sha256()) >
		    0);
	len = i2d_X509_REQ(req, &bytes);
	assert_int_equal(buf_append(&der, span_of(bytes, (size_t)len)), 0);
	OPENSSL_free(bytes);
	X509_REQ_free(req);
	return der;
}

static int
sign_plan(const struct plan *plan, const char *name, struct pki_issued *issued)
{
	struct buf der = make_request(plan);
	int rc = pki_sign_request(folder, buf_span(&der), name, 0, issued, why);

	buf_release(&der);
	return rc;
}

static void
pasted_forms_are_understood(void **state)
{
	static const char *const texts[] = {
		BEGIN "\r\n" REAL_1 "\r\n" REAL_2 "\r\n" REAL_3 "\r\n" REAL_4 "\r\n" END "\r\n",
		"Would you like to generate? (Y/n): \n\nHere's your CSR, enjoy!\n\n" REAL
		"\nThanks\n",
		"  " BEGIN "\n\t" REAL_1 " \n\n   " REAL_2 "\n " REAL_3 "\n " REAL_4 "\n   " END,
		"012322619525B27AAF\n" REAL, /* begins with 0x30, as DER does */
		"12:00:01.000 -> " BEGIN "\n12:00:01.000 -> " REAL_1 "\n12:00:01.100 -> " REAL_2
		"\n12:00:01.200 -> " REAL_3 "\n12:00:01.300 -> " REAL_4 "\n12:00:01.400 -> " END
		"\n",
		"-----BEGIN NEW CERTIFICATE REQUEST-----\n" REAL_1 REAL_2 REAL_3 REAL_4
		"\n-----END NEW CERTIFICATE REQUEST-----",
		REAL REAL,
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct pki_issued issued;

		assert_int_equal(
			pki_sign_request(folder, span_str(texts[i]), NULL, 0, &issued, why), 0);
		assert_device(&issued, "mymkr");
		pki_issued_free(&issued);
	}
}

static void
what_is_no_request_gets_a_sentence(void **state)
{
	static const struct {
		const char *text, *sentence;
	} rows[] = {
		{ "", "The request is empty." },
		{ "hello", "The request holds no certificate request: the line -----BEGIN" },
		{ "0 is a digit", "holds no certificate request" },
		{ BEGIN "\n" REAL_1 "\n" REAL_2 "\n", "is cut off: the line -----END" },
		{ BEGIN "\n" REAL_1 "\n" END "\n", "is damaged or cut off" },
		{ BEGIN "\n" REAL_1 "*\n" END "\n", "is not base64" },
		{ BEGIN "\n" REAL_1 "\n" REAL_2 "\n" REAL_3 "\n" REAL_4 "AAAA\n" END,
		  "not base64" },
		{ BEGIN "\n====\n" END, "damaged" },
		{ BEGIN "\n" END, "not base64" },
		{ "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		  "holds a certificate where a certificate request is needed" },
		{ "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		  "holds a key or something else" },
	};
	struct pki_issued issued;
	char *large = malloc(PKI_INPUT_MAX + 2);

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(
			pki_sign_request(folder, span_str(rows[i].text), NULL, 0, &issued, why),
			ERR_MALFORMED);
		if (strstr(why, rows[i].sentence) == NULL) {
			fail_msg("row %zu: %s", i, why);
		}
	}
	memset(large, '\n', PKI_INPUT_MAX + 1);
	assert_int_equal(
		pki_sign_request(folder, span_of(large, PKI_INPUT_MAX + 1), NULL, 0, &issued, why),
		ERR_LIMIT);
	free(large);
}

static void
cuts_and_additions_are_refused(void **state)
{
	struct buf der = { 0 };
	struct pki_issued issued;

	(void)state;
	assert_int_equal(pki_unwrap(span_str(REAL), "CERTIFICATE REQUEST", "it", &der, why), 0);
	assert_int_equal(buf_len(&der), 205);
	for (size_t n = 0; n < buf_len(&der); n++) {
		uint8_t *exact = malloc(n + 1);

		memcpy(exact, buf_span(&der).ptr, n);
		assert_int_equal(pki_sign_request(folder, span_of(exact, n), NULL, 0, &issued, why),
				 ERR_MALFORMED);
		free(exact);
	}
	/* No changed byte may pass: all of them are signed, or are the signature. */
	for (size_t i = 0; i < buf_len(&der); i++) {
		der.memory[i] ^= 0x01;
		assert_true(pki_sign_request(folder, buf_span(&der), "x", 0, &issued, why) < 0);
		der.memory[i] ^= 0x01;
	}
	assert_int_equal(buf_append(&der, span_of("", 1)), 0);
	assert_int_equal(pki_sign_request(folder, buf_span(&der), NULL, 0, &issued, why),
			 ERR_MALFORMED);
	assert_non_null(strstr(why, "after its end"));
	buf_release(&der);
}

static void
known_library_fault_is_named(void **state)
{
	static const char filler[] =
		"ooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooo";
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	int found = 0;

	(void)state;
	for (size_t o = 0; o < sizeof filler; o++) {
		struct plan plan = { key, other, "seventeen-letters", o > 0 ? &filler[o - 1] : NULL,
				     false };
		struct pki_issued issued;
		struct buf der = make_request(&plan);
		const uint8_t *p = buf_span(&der).ptr;
		/* Outer header of 3 or 4 bytes; the inner one of 2, 3 or 4. */
		const uint8_t *in = p + (p[1] == 0x81 ? 3 : 4);
		size_t len = in[1] < 0x80    ? in[1] + 2u
			     : in[1] == 0x81 ? in[2] + 3u
					     : (in[2] << 8 | in[3]) + 4u;
		bool named;

		assert_int_equal(pki_sign_request(folder, buf_span(&der), NULL, 0, &issued, why),
				 ERR_CRYPTO);
		named = strcmp(why,
			       "The board's request is damaged by a known library fault; make the "
			       "common name one character longer.") == 0;
		assert_int_equal(named, len % 64 == 0);
		found += named;
		if (o == 0) {
			assert_int_equal(len, 128); /* the fact sheet's 17 characters */
		}
		buf_release(&der);
	}
	assert_int_equal(found, 2); /* 128 and 192 */
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

static void
weak_keys_are_refused(void **state)
{
	struct {
		EVP_PKEY *key;
		int rc;
	} rows[] = {
		{ EVP_RSA_gen(1024), ERR_DENIED },
		{ EVP_EC_gen("P-224"), ERR_DENIED },
		{ EVP_EC_gen("secp256k1"), ERR_DENIED },
		{ EVP_EC_gen("P-521"), ERR_DENIED },
		{ EVP_RSA_gen(2048), 0 },
		{ EVP_EC_gen("P-384"), 0 },
		{ EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), 0 },
		{ EVP_EC_gen("P-256"), 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct plan plan = { rows[i].key, rows[i].key, "dev", NULL, false };
		struct pki_issued issued = { 0 };

		assert_int_equal(sign_plan(&plan, NULL, &issued), rows[i].rc);
		if (rows[i].rc == 0) {
			assert_device(&issued, "dev");
		}
		pki_issued_free(&issued);
		EVP_PKEY_free(rows[i].key);
	}
}

static void
nothing_but_the_key_is_taken_over(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct plan plan = { key, key, "dev", "Evil Corp", true };
	struct pki_issued issued;

	(void)state;
	assert_int_equal(sign_plan(&plan, NULL, &issued), 0);
	assert_device(&issued, "dev"); /* extensions are exactly those of the profile */
	assert_null(strstr((const char *)issued.cert->subject.ptr, "Evil"));
	pki_issued_free(&issued);
	EVP_PKEY_free(key);
}

static void
names_are_checked(void **state)
{
	static const struct {
		const char *cn, *name;
		int rc;
	} rows[] = {
		{ NULL, NULL, ERR_UNSAFE },
		{ NULL, "board", 0 },
		{ "a/b", NULL, ERR_UNSAFE },
		{ "a/b", "ab", 0 },
		{ "ok", "", ERR_UNSAFE },
		{ "ok", "a+b", ERR_UNSAFE },
		{ "ok", "#", ERR_UNSAFE },
		{ "ok", "$SYS", ERR_UNSAFE },
		{ "ok", "a\nb", ERR_UNSAFE },
		{ "ok", "a\x7f", ERR_UNSAFE },
		{ "ok", "\xff", ERR_UNSAFE },
		{ "192.168.1.10", NULL, ERR_UNSAFE },
		{ "ok", "fd00::1", ERR_UNSAFE },
		{ "ok",
		  "K\xc3\xbc"
		  "che 7",
		  0 },
		{ "ok", "0123456789012345678901234567890123456789012345678901234567890123", 0 },
		{ "ok", "01234567890123456789012345678901234567890123456789012345678901234",
		  ERR_UNSAFE },
	};
	EVP_PKEY *key = EVP_EC_gen("P-256");

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct plan plan = { key, key, rows[i].cn, NULL, false };
		struct pki_issued issued = { 0 };

		why[0] = '\0';
		assert_int_equal(sign_plan(&plan, rows[i].name, &issued), rows[i].rc);
		if (rows[i].rc == 0) {
			assert_device(&issued, rows[i].name);
		} else {
			assert_int_equal(why[strlen(why) - 1], '.');
		}
		pki_issued_free(&issued);
	}
	EVP_PKEY_free(key);
}

/* ---- files and signatures ---------------------------------------------------------------------
 */

static void
key_with_a_pass_phrase_gets_a_sentence(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	FILE *f = fopen(in_folder("file"), "w");
	struct pki_issued issued;

	(void)state;
	assert_int_equal(
		PEM_write_PKCS8PrivateKey(f, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL), 1);
	fclose(f);
	EVP_PKEY_free(key);
	assert_int_equal(rename(in_folder("file"), in_folder("ca.key")), 0);
	assert_int_equal(pki_sign_request(folder, span_str(REAL), NULL, 0, &issued, why),
			 ERR_MALFORMED);
	assert_non_null(strstr(why, "pass phrase, which is not supported"));
}

static void
written_file_has_mode_and_content(void **state)
{
	mode_t old = umask(0077);
	struct buf content = { 0 };
	const char *file = in_folder("file");

	(void)state;
	assert_int_equal(pki_write_file(file, 0644, span_str("one"), why), 0);
	assert_int_equal(mode_of("file"), 0644);
	assert_int_equal(pki_write_file(file, 0600, span_str("two"), why), 0);
	assert_int_equal(mode_of("file"), 0600);
	assert_int_equal(pki_file_create(file, 0600, span_str("three"), why), ERR_EXISTS);
	assert_int_equal(pki_file_read(file, &content, why), 0);
	assert_true(span_eq_str(buf_span(&content), "two"));
	umask(old);
	assert_int_equal(pki_write_file("nowhere/x", 0600, span_str("x"), why), -ENOENT);
	assert_string_equal(why, "Cannot write nowhere/x: No such file or directory.");
	assert_int_equal(pki_file_read(folder, &content, why), ERR_MALFORMED);
	buf_release(&content);
}

static void
written_file_takes_no_owner_from_a_link(void **state)
{
	const char *file = in_folder("file"), *other = in_folder("other");
	struct stat st;

	(void)state;
	if (geteuid() != 0) {
		skip(); /* nobody else can give a file away */
	}
	assert_int_equal(pki_write_file(other, 0600, span_str("x"), why), 0);
	assert_int_equal(chown(other, 4242, 4242), 0);
	assert_int_equal(symlink("other", file), 0);
	assert_int_equal(pki_write_file(file, 0640, span_str("y"), why), 0);
	assert_int_equal(lstat(file, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_uid, 0);
	assert_int_not_equal(st.st_gid, 4242);
	/* A file does keep its owner. */
	assert_int_equal(pki_write_file(other, 0600, span_str("z"), why), 0);
	assert_int_equal(lstat(other, &st), 0);
	assert_int_equal(st.st_uid, 4242);
}

static void
short_signatures_are_recognised(void **state)
{
	static const struct {
		int r_bits, s_bits;
		bool is_short;
	} rows[] = {
		{ 256, 256, false }, { 248, 249, false }, { 249, 248, false }, { 256, 8, false },
		{ 248, 248, true },  { 8, 8, true },      { 240, 248, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ECDSA_SIG *sig = ECDSA_SIG_new();
		BIGNUM *r = BN_new(), *s = BN_new();
		unsigned char *der = NULL;
		int len;

		BN_set_bit(r, rows[i].r_bits - 1);
		BN_set_bit(s, rows[i].s_bits - 1);
		ECDSA_SIG_set0(sig, r, s);
		len = i2d_ECDSA_SIG(sig, &der);
		assert_int_equal(pki_signature_short(span_of(der, (size_t)len)), rows[i].is_short);
		OPENSSL_free(der);
		ECDSA_SIG_free(sig);
	}
	assert_false(pki_signature_short(span_of("x", 1)));
}

#define WITH_CA(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_CA(ca_has_its_profile),
		WITH_CA(anchor_is_subject_and_point),
		WITH_CA(ca_is_never_overwritten),
		WITH_CA(gateway_has_its_profile),
		WITH_CA(gateway_key_stays_when_asked),
		WITH_CA(gateway_names_are_checked),
		WITH_CA(length_is_between_the_limits),
		WITH_CA(real_request_is_signed),
		WITH_CA(size_holds_for_the_shortest_names),
		WITH_CA(dates_end_with_the_ca_and_before_2050),
		WITH_CA(device_key_is_written_once),
		WITH_CA(pasted_forms_are_understood),
		WITH_CA(what_is_no_request_gets_a_sentence),
		WITH_CA(cuts_and_additions_are_refused),
		WITH_CA(known_library_fault_is_named),
		WITH_CA(weak_keys_are_refused),
		WITH_CA(nothing_but_the_key_is_taken_over),
		WITH_CA(names_are_checked),
		WITH_CA(key_with_a_pass_phrase_gets_a_sentence),
		WITH_CA(written_file_has_mode_and_content),
		WITH_CA(written_file_takes_no_owner_from_a_link),
		cmocka_unit_test(short_signatures_are_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
