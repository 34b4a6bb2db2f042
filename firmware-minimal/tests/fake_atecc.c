/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake_atecc.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

struct fake_atecc fake_atecc;

static EVP_PKEY *slots[FAKE_SLOTS];

/* The fake itself must not fail: that is a broken test. */
static void
must(bool ok)
{
	if (!ok) {
		abort();
	}
}

void
fake_atecc_reset(void)
{
	memset(&fake_atecc, 0, sizeof fake_atecc);
}

void
fake_atecc_set_key(unsigned slot, EVP_PKEY *key)
{
	must(slot < FAKE_SLOTS);
	must(key == NULL || EVP_PKEY_up_ref(key) == 1);
	EVP_PKEY_free(slots[slot]);
	slots[slot] = key;
}

void
fake_atecc_free(void)
{
	for (unsigned i = 0; i < FAKE_SLOTS; i++) {
		fake_atecc_set_key(i, NULL);
	}
}

void
fake_atecc_point(EVP_PKEY *key, uint8_t point[64])
{
	uint8_t encoded[65];
	size_t size = 0;

	must(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, encoded, sizeof encoded,
	                                     &size) == 1);
	must(size == 65 && encoded[0] == 4);
	memcpy(point, encoded + 1, 64);
}

static EVP_PKEY *
key_of_point(const uint8_t point[64])
{
	uint8_t encoded[65] = { 4 };
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char[]){ "P-256" }, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, encoded, sizeof encoded),
		OSSL_PARAM_construct_end(),
	};

	memcpy(encoded + 1, point, 64);
	must(EVP_PKEY_fromdata_init(c) == 1);
	if (EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
		key = NULL; /* not a point of the curve */
	}
	EVP_PKEY_CTX_free(c);
	return key;
}

static enum atecc_status
count(unsigned *what)
{
	(*what)++;
	fake_atecc.operations++;
	return fake_atecc.fail_at == fake_atecc.operations ? fake_atecc.fail_with : ATECC_OK;
}

enum atecc_status
atecc_random(uint8_t out[32])
{
	enum atecc_status status = count(&fake_atecc.randoms);

	if (status == ATECC_OK) {
		must(RAND_bytes(out, 32) == 1);
	}
	return status;
}

uint32_t
atecc_keys_made(void)
{
	return fake_atecc.keys_made;
}

enum atecc_status
atecc_generate_key(unsigned slot, uint8_t public_key[64])
{
	enum atecc_status status = count(&fake_atecc.keys_made);
	EVP_PKEY *key;

	if (status != ATECC_OK) {
		return status;
	}
	key = EVP_EC_gen("P-256");
	must(key != NULL);
	fake_atecc_set_key(slot, key);
	fake_atecc_point(key, public_key);
	EVP_PKEY_free(key);
	return ATECC_OK;
}

static void
sign_once(EVP_PKEY *key, const uint8_t digest[32], uint8_t raw[64])
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	uint8_t der[80];
	const uint8_t *p = der;
	size_t size = sizeof der;
	ECDSA_SIG *s;

	must(c != NULL && EVP_PKEY_sign_init(c) == 1);
	must(EVP_PKEY_sign(c, der, &size, digest, 32) == 1);
	s = d2i_ECDSA_SIG(NULL, &p, (long)size);
	must(s != NULL);
	must(BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, 32) == 32);
	must(BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + 32, 32) == 32);
	ECDSA_SIG_free(s);
	EVP_PKEY_CTX_free(c);
}

enum atecc_status
atecc_sign(unsigned slot, const uint8_t digest[32], uint8_t signature[64])
{
	enum atecc_status status = count(&fake_atecc.signatures);

	if (status != ATECC_OK) {
		return status;
	}
	if (slot >= FAKE_SLOTS || slots[slot] == NULL) {
		return ATECC_EXECUTION;
	}
	do {
		sign_once(slots[slot], digest, signature);
	} while ((fake_atecc.short_r && signature[0] != 0) ||
	         (fake_atecc.short_s && signature[32] != 0));
	return ATECC_OK;
}

enum atecc_status
atecc_verify(const uint8_t digest[32], const uint8_t signature[64], const uint8_t public_key[64])
{
	enum atecc_status status = count(&fake_atecc.verifies);
	EVP_PKEY *key;
	EVP_PKEY_CTX *c;
	ECDSA_SIG *s;
	uint8_t *der = NULL;
	int size;

	if (status != ATECC_OK) {
		return status;
	}
	key = key_of_point(public_key);
	if (key == NULL) {
		return ATECC_PARSE;
	}
	s = ECDSA_SIG_new();
	must(ECDSA_SIG_set0(s, BN_bin2bn(signature, 32, NULL), BN_bin2bn(signature + 32, 32, NULL)));
	size = i2d_ECDSA_SIG(s, &der);
	c = EVP_PKEY_CTX_new(key, NULL);
	must(size > 0 && EVP_PKEY_verify_init(c) == 1);
	status = EVP_PKEY_verify(c, der, (size_t)size, digest, 32) == 1 ? ATECC_OK : ATECC_MISCOMPARE;
	EVP_PKEY_CTX_free(c);
	OPENSSL_free(der);
	ECDSA_SIG_free(s);
	EVP_PKEY_free(key);
	return status;
}

enum atecc_status
atecc_ecdh(unsigned slot, const uint8_t peer[64], uint8_t secret[32])
{
	enum atecc_status status = count(&fake_atecc.ecdhs);
	size_t size = 32;
	EVP_PKEY *other;
	EVP_PKEY_CTX *c;

	if (status != ATECC_OK) {
		return status;
	}
	other = key_of_point(peer);
	if (other == NULL) {
		return ATECC_PARSE;
	}
	must(slot < FAKE_SLOTS && slots[slot] != NULL);
	c = EVP_PKEY_CTX_new(slots[slot], NULL);
	must(c != NULL && EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_derive_set_peer(c, other) == 1);
	must(EVP_PKEY_derive(c, secret, &size) == 1 && size == 32);
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(other);
	return ATECC_OK;
}
