/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificate requests against OpenSSL, and the look into certificates. */
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "app/der.h"
#include "unit/cmocka_all.h"
#include "unit/users_certificate.h"

static const uint8_t serial[9] = { 0x01, 0x23, 0x22, 0x61, 0x95, 0x25, 0xB2, 0x7A, 0xAF };

static EVP_PKEY *
new_key(uint8_t public_key[64])
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	uint8_t point[65];
	size_t size;

	assert_non_null(key);
	assert_int_equal(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point,
	                                                 sizeof point, &size), 1);
	assert_int_equal(size, 65);
	memcpy(public_key, point + 1, 64);
	return key;
}

/* As the chip does: r and s with 32 bytes each. */
static void
sign(EVP_PKEY *key, const uint8_t *data, size_t n, uint8_t signature[64])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t der[80];
	const uint8_t *at = der;
	size_t size = sizeof der;
	ECDSA_SIG *pair;

	assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(context, der, &size, data, n), 1);
	pair = d2i_ECDSA_SIG(NULL, &at, (long)size);
	assert_non_null(pair);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, 32), 32);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + 32, 32), 32);
	ECDSA_SIG_free(pair);
	EVP_MD_CTX_free(context);
}

static void
check_request(const uint8_t *csr, size_t size)
{
	const uint8_t *at = csr;
	X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)size);
	char name[64];

	assert_non_null(request);
	assert_ptr_equal(at, csr + size);
	assert_int_equal(X509_REQ_verify(request, X509_REQ_get0_pubkey(request)), 1);
	assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(request)), 1);
	assert_int_equal(X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(request),
	                                           NID_commonName, name, sizeof name), 18);
	assert_string_equal(name, "012322619525B27AAF");
	X509_REQ_free(request);
}

/* Enough of them for each length that r and s can usually have. */
static void
requests_verify(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		uint8_t public_key[64], info[160], signature[64], csr[256];
		EVP_PKEY *key = new_key(public_key);
		size_t n = csr_info(serial, public_key, info, sizeof info);
		size_t size;

		assert_int_equal(n, 129); /* 127 and its head: one more than ArduinoECCX08 can sign */
		sign(key, info, n, signature);
		size = csr_finish(info, n, signature, csr, sizeof csr);
		assert_true(size > 0);
		check_request(csr, size);
		assert_int_equal(csr_finish(info, n, signature, csr, size - 1), 0);
		EVP_PKEY_free(key);
	}
}

/* r and s with leading zeros, and with the sign's bit set: DER wants the shortest. */
static void
integers_are_shortest(void **state)
{
	uint8_t public_key[64] = { 1 }, info[160], csr[256];
	uint8_t signature[64] = { 0 };
	static const uint8_t tail[] = { 0x03, 0x0A, 0x00, 0x30, 0x07, 0x02, 0x02,
		                        0x00, 0x80, 0x02, 0x01, 0x7F };
	size_t n, size;

	(void)state;
	signature[31] = 0x80;
	signature[63] = 0x7F;
	n = csr_info(serial, public_key, info, sizeof info);
	size = csr_finish(info, n, signature, csr, sizeof csr);
	assert_true(size > sizeof tail);
	assert_memory_equal(csr + size - sizeof tail, tail, sizeof tail);
	assert_int_equal(csr_info(serial, public_key, info, 128), 0);
}

static size_t
decode(const char *pem, uint8_t **der)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	int size;

	assert_non_null(certificate);
	*der = NULL;
	size = i2d_X509(certificate, der);
	assert_true(size > 0);
	X509_free(certificate);
	BIO_free(bio);
	return (size_t)size;
}

static void
finds_the_key(void **state)
{
	static const uint8_t begins[] = { 0x30, 0xE8, 0x11, 0xD1, 0x56, 0x31 };
	uint8_t *der, key[64];
	size_t size = decode(users_certificate, &der);

	(void)state;
	assert_true(der_is_sequence(der, size));
	assert_true(certificate_public_key(der, size, key));
	assert_memory_equal(key, begins, sizeof begins);
	assert_int_equal(key[63], 0x6C);
	OPENSSL_free(der);
}

/* Cut anywhere, or a byte too long: refused, and never read beyond. */
static void
refuses_what_is_cut(void **state)
{
	uint8_t *der, key[64];
	size_t size = decode(users_certificate, &der);

	(void)state;
	for (size_t n = 0; n < size; n++) {
		uint8_t *exact = malloc(n != 0 ? n : 1);

		assert_non_null(exact);
		memcpy(exact, der, n);
		assert_false(certificate_public_key(exact, n, key));
		assert_false(der_is_sequence(exact, n));
		free(exact);
	}
	OPENSSL_free(der);
}

/* Each byte of the part before the key takes each value: no crash, no reading beyond. */
static void
survives_any_byte(void **state)
{
	uint8_t *der, key[64];
	size_t size = decode(users_certificate, &der);
	uint8_t *exact = malloc(size);

	(void)state;
	assert_non_null(exact);
	for (size_t at = 0; at < 300; at++) {
		for (unsigned value = 0; value < 256; value++) {
			memcpy(exact, der, size);
			exact[at] = (uint8_t)value;
			certificate_public_key(exact, size, key);
		}
	}
	free(exact);
	OPENSSL_free(der);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_verify),
		cmocka_unit_test(integers_are_shortest),
		cmocka_unit_test(finds_the_key),
		cmocka_unit_test(refuses_what_is_cut),
		cmocka_unit_test(survives_any_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
