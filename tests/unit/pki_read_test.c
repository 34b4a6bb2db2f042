/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading certificates, real ones and hostile ones. */
#include "unit/cmocka_all.h"
#include "unit/users_certificate.h"

#include <stdlib.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "pki/pki.h"
#include "pki/pki_int.h"

static char why[PKI_WHY_SIZE];

static void
assert_text(struct span text, const char *expected)
{
	assert_int_equal(text.ptr[text.len], '\0');
	assert_string_equal((const char *)text.ptr, expected);
	assert_int_equal(text.len, strlen(expected));
}

static void
real_certificate_is_read(void **state)
{
	struct buf der = { 0 };
	struct pki_cert *cert = NULL;

	(void)state;
	assert_int_equal(pki_unwrap(span_str(users_certificate), "CERTIFICATE", "it", &der, why), 0);
	assert_int_equal(pki_cert_read(buf_span(&der), &cert), 0);
	assert_int_equal(cert->version, 1);
	assert_false(cert->self_signed);
	assert_false(cert->is_ca);
	assert_text(cert->cn, "ec2-3-14-3-112.us-east-2.compute.amazonaws.com");
	assert_text(cert->subject, "CN=ec2-3-14-3-112.us-east-2.compute.amazonaws.com");
	assert_text(cert->issuer, "CN=Ip-172-31-34-43.us-east-2.compute.internal,OU=CA,O=iot,"
				  "L=ohio,ST=Ohio,C=US");
	assert_text(cert->issuer_cn, "Ip-172-31-34-43.us-east-2.compute.internal");
	assert_text(cert->serial, "CF19787F1AE664E7");
	assert_text(cert->key_type, "EC P-256");
	assert_text(cert->san_dns, "");
	assert_text(cert->san_uri, "");
	assert_int_equal(cert->not_before, 1578245348);
	assert_int_equal(cert->not_after, 1893605348);
	/* By "openssl x509 -pubkey | openssl pkey -outform DER | sha256sum" and over the DER. */
	assert_string_equal(cert->fingerprint,
			    "7b6c8553bc57531ad7128c2296754d4155997871f58c8bb6ca2d235164d0608c");
	assert_string_equal(cert->certificate_hash,
			    "d6a6325efddfae3b8cb58f761235996573bbf09e8b8f17a4b696701dda28a59e");
	pki_cert_free(cert);
	buf_release(&der);
}

static void
every_cut_and_every_addition_is_refused(void **state)
{
	struct buf der = { 0 };
	struct pki_cert *cert = NULL;
	uint8_t *exact;

	(void)state;
	assert_int_equal(pki_unwrap(span_str(users_certificate), "CERTIFICATE", "it", &der, why), 0);
	for (size_t n = 0; n < buf_len(&der); n++) {
		/* Exactly as large, so that a sanitizer sees a read past the end. */
		exact = malloc(n + 1);
		memcpy(exact, buf_span(&der).ptr, n);
		assert_int_equal(pki_cert_read(span_of(exact, n), &cert), ERR_MALFORMED);
		free(exact);
	}
	assert_int_equal(buf_append(&der, span_of("", 1)), 0);
	assert_int_equal(pki_cert_read(buf_span(&der), &cert), ERR_MALFORMED);
	exact = calloc(1, PKI_INPUT_MAX + 1);
	assert_int_equal(pki_cert_read(span_of(exact, PKI_INPUT_MAX + 1), &cert), ERR_LIMIT);
	free(exact);
	assert_null(cert);
	buf_release(&der);
}

static void
every_changed_byte_is_survived(void **state)
{
	struct buf der = { 0 };

	(void)state;
	assert_int_equal(pki_unwrap(span_str(users_certificate), "CERTIFICATE", "it", &der, why), 0);
	for (size_t i = 0; i < buf_len(&der); i++) {
		static const uint8_t flips[] = { 0x01, 0x80, 0xff };

		for (size_t k = 0; k < sizeof flips; k++) {
			struct pki_cert *cert = NULL;

			der.memory[i] ^= flips[k];
			if (pki_cert_read(buf_span(&der), &cert) == 0) {
				pki_cert_free(cert);
			}
			der.memory[i] ^= flips[k];
		}
	}
	buf_release(&der);
}

/* ---- certificates that nobody sound would make ----------------------------------------- */

static X509 *
new_x509(EVP_PKEY *key)
{
	X509 *x509 = X509_new();

	X509_set_version(x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
	ASN1_TIME_set(X509_getm_notBefore(x509), 0);
	ASN1_TIME_set(X509_getm_notAfter(x509), 2000000000);
	X509_set_pubkey(x509, key);
	return x509;
}

static void
add_cn(X509 *x509, const char *text)
{
	X509_NAME_add_entry_by_NID(X509_get_subject_name(x509), NID_commonName, V_ASN1_UTF8STRING,
				   (const unsigned char *)text, -1, -1, 0);
}

static void
add_alternative(X509 *x509, int type, const char *text, size_t len)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *value = ASN1_IA5STRING_new();

	ASN1_STRING_set(value, text, (int)len);
	GENERAL_NAME_set0_value(name, type, value);
	sk_GENERAL_NAME_push(names, name);
	X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND);
	GENERAL_NAMES_free(names);
}

static int
sign_and_read(X509 *x509, EVP_PKEY *key, struct pki_cert **cert)
{
	unsigned char *der = NULL;
	int len, rc;

	assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
	len = i2d_X509(x509, &der);
	rc = pki_cert_read(span_of(der, (size_t)len), cert);
	OPENSSL_free(der);
	X509_free(x509);
	return rc;
}

/*
 * OpenSSL refuses to write what these tests need, so a place holder of the
 * same length is overwritten in the DER; the signature does not matter.
 */
static int
read_patched(EVP_PKEY *key, int type, const char *text, size_t len, struct pki_cert **cert)
{
	char holder[PKI_NAME_MAX] = "";
	X509 *x509 = new_x509(key);
	unsigned char *der = NULL;
	uint8_t *at;
	int n, rc;

	memset(holder, 'Q', len);
	add_cn(x509, "first");
	add_cn(x509, holder);
	assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
	n = i2d_X509(x509, &der);
	at = memmem(der, (size_t)n, holder, len);
	assert_non_null(at);
	at[-2] = (uint8_t)type;
	memcpy(at, text, len);
	rc = pki_cert_read(span_of(der, (size_t)n), cert);
	OPENSSL_free(der);
	X509_free(x509);
	return rc;
}

static void
common_names_have_one_reading(void **state)
{
	static const struct {
		int type;
		const char *text;
		size_t len;
		int rc;
		const char *cn;
	} rows[] = {
		{ V_ASN1_UTF8STRING,
		  "K\xc3\xbc"
		  "che",
		  6, 0,
		  "K\xc3\xbc"
		  "che" },
		{ V_ASN1_PRINTABLESTRING, "a_b@c", 5, 0, "a_b@c" },
		{ V_ASN1_PRINTABLESTRING,
		  "K\xc3\xbc"
		  "che",
		  6, 0,
		  "K\xc3\xbc"
		  "che" },
		{ V_ASN1_PRINTABLESTRING,
		  "K\xfc"
		  "che",
		  5, ERR_MALFORMED, NULL },
		{ V_ASN1_T61STRING,
		  "K\xfc"
		  "che",
		  5, 0,
		  "K\xc3\xbc"
		  "che" },
		{ V_ASN1_BMPSTRING, "\0K\0\xfc", 4, 0, "K\xc3\xbc" },
		{ V_ASN1_BMPSTRING, "\0K\0\0", 4, ERR_MALFORMED, NULL },
		{ V_ASN1_BMPSTRING, "\0K\0", 3, ERR_MALFORMED, NULL },
		{ V_ASN1_BMPSTRING, "\xd8\0", 2, ERR_MALFORMED, NULL }, /* half a pair */
		{ V_ASN1_UNIVERSALSTRING, "\0\0\0K", 4, 0, "K" },
		{ V_ASN1_UTF8STRING, "good\0.evil", 10, ERR_MALFORMED, NULL },
		{ V_ASN1_UTF8STRING, "good\0", 5, ERR_MALFORMED, NULL },
		{ V_ASN1_PRINTABLESTRING, "good\0.evil", 10, ERR_MALFORMED, NULL },
		{ V_ASN1_IA5STRING, "good\0.evil", 10, ERR_MALFORMED, NULL },
		{ V_ASN1_T61STRING, "good\0.evil", 10, ERR_MALFORMED, NULL },
		{ V_ASN1_UTF8STRING, "\xc0\xaf", 2, ERR_MALFORMED, NULL },
		{ V_ASN1_OCTET_STRING, "abc", 3, ERR_MALFORMED, NULL },
		{ V_ASN1_UTF8STRING, "a/b+#$", 6, 0, "a/b+#$" }, /* as it stands */
	};
	EVP_PKEY *key = EVP_EC_gen("P-256");

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct pki_cert *cert = NULL;
		int rc = read_patched(key, rows[i].type, rows[i].text, rows[i].len, &cert);

		if (rc != rows[i].rc) {
			fail_msg("row %zu: %d", i, rc);
		}
		if (rc == 0) {
			assert_text(cert->cn, rows[i].cn);
			assert_true(cert->subject.len > 0);
			pki_cert_free(cert);
		}
	}
	EVP_PKEY_free(key);
}

static void
long_fields_are_refused(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	char text[PKI_FIELD_MAX + 2];
	struct pki_cert *cert = NULL;

	(void)state;
	memset(text, 'n', sizeof text);
	for (size_t len = PKI_FIELD_MAX; len <= PKI_FIELD_MAX + 1; len++) {
		X509 *x509 = new_x509(key);
		int rc;

		add_alternative(x509, GEN_URI, text, len);
		rc = sign_and_read(x509, key, &cert);
		assert_int_equal(rc, len == PKI_FIELD_MAX ? 0 : ERR_LIMIT);
	}
	assert_int_equal(cert->san_uri.len, PKI_FIELD_MAX);
	pki_cert_free(cert);
	EVP_PKEY_free(key);
}

static void
a_copy_stands_by_itself(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct pki_cert *cert = NULL, *copy;
	X509 *x509 = new_x509(key);

	(void)state;
	add_alternative(x509, GEN_DNS, "gw.example", 10);
	assert_int_equal(sign_and_read(x509, key, &cert), 0);
	copy = pki_cert_copy(cert);
	assert_non_null(copy);
	assert_true(span_eq(copy->subject, cert->subject) && span_eq(copy->serial, cert->serial));
	assert_string_equal(copy->fingerprint, cert->fingerprint);
	assert_int_equal(copy->not_after, cert->not_after);
	pki_cert_free(cert);
	assert_text(copy->san_dns, "gw.example");
	assert_text(copy->san_uri, "");
	assert_text(copy->cn, "");
	assert_text(copy->key_type, "EC P-256");
	pki_cert_free(copy);
	EVP_PKEY_free(key);
}

static void
alternative_names_have_one_reading(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct pki_cert *cert = NULL;
	X509 *x509 = new_x509(key);
	static const int types[] = { GEN_DNS, GEN_URI, GEN_EMAIL };

	(void)state;
	add_alternative(x509, GEN_DNS, "gw.example", 10);
	assert_int_equal(sign_and_read(x509, key, &cert), 0);
	assert_text(cert->san_dns, "gw.example");
	assert_text(cert->san_uri, "");
	assert_text(cert->cn, "");
	pki_cert_free(cert);
	x509 = new_x509(key);
	add_alternative(x509, GEN_URI, "urn:dev:1", 9);
	assert_int_equal(sign_and_read(x509, key, &cert), 0);
	assert_text(cert->san_uri, "urn:dev:1");
	pki_cert_free(cert);
	for (size_t i = 0; i < 3; i++) {
		x509 = new_x509(key);
		add_alternative(x509, types[i], "good\0.evil", 10);
		assert_int_equal(sign_and_read(x509, key, &cert), ERR_MALFORMED);
	}
	x509 = new_x509(key); /* two extensions of one kind */
	add_alternative(x509, GEN_DNS, "a", 1);
	add_alternative(x509, GEN_DNS, "b", 1);
	assert_int_equal(sign_and_read(x509, key, &cert), ERR_MALFORMED);
	EVP_PKEY_free(key);
}

static void
self_signed_means_by_its_own_key(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-384");
	struct pki_cert *cert;
	X509 *x509;

	(void)state;
	for (int i = 0; i < 2; i++) {
		x509 = new_x509(key);
		add_cn(x509, "same");
		X509_set_issuer_name(x509, X509_get_subject_name(x509));
		assert_int_equal(sign_and_read(x509, i == 0 ? key : other, &cert), 0);
		assert_int_equal(cert->self_signed, i == 0);
		pki_cert_free(cert);
	}
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

static void
key_types_are_named(void **state)
{
	EVP_PKEY *keys[] = { EVP_EC_gen("P-256"), EVP_EC_gen("P-384"), EVP_EC_gen("secp256k1"),
			     EVP_RSA_gen(2048), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") };
	const char *texts[] = { "EC P-256", "EC P-384", "EC secp256k1", "RSA 2048", "Ed25519" };
	char text[80];

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		pki_key_type(keys[i], text, sizeof text);
		assert_string_equal(text, texts[i]);
		EVP_PKEY_free(keys[i]);
	}
	pki_key_type(NULL, text, sizeof text);
	assert_string_equal(text, "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_certificate_is_read),
		cmocka_unit_test(every_cut_and_every_addition_is_refused),
		cmocka_unit_test(every_changed_byte_is_survived),
		cmocka_unit_test(common_names_have_one_reading),
		cmocka_unit_test(long_fields_are_refused),
		cmocka_unit_test(a_copy_stands_by_itself),
		cmocka_unit_test(alternative_names_have_one_reading),
		cmocka_unit_test(self_signed_means_by_its_own_key),
		cmocka_unit_test(key_types_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
