/* SPDX-License-Identifier: BSD-2-Clause */
/* The CA as a board stores it. */
#include "pki/pki_int.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

#define RSA_BITS_MIN 1024
#define RSA_BITS_MAX 4096

static unsigned
curve_number(EVP_PKEY *key)
{
	static const struct {
		const char *type;
		unsigned number;
	} rows[] = { { "EC P-256", 23 }, { "EC P-384", 24 }, { "EC P-521", 25 } };
	char type[80];

	pki_key_type(key, type, sizeof type);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (strcmp(rows[i].type, type) == 0) {
			return rows[i].number;
		}
	}
	return 0;
}

/* X and Y in full length, whatever form the certificate has the point in. */
static int
read_point(EVP_PKEY *key, struct pki_anchor *out)
{
	size_t half = out->curve == 23 ? 32 : out->curve == 24 ? 48 : 66;
	BIGNUM *x = NULL, *y = NULL;
	int rc = ERR_CRYPTO;

	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 &&
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1 &&
	    BN_bn2binpad(x, out->point + 1, (int)half) == (int)half &&
	    BN_bn2binpad(y, out->point + 1 + half, (int)half) == (int)half) {
		out->point[0] = 0x04;
		out->point_len = 1 + 2 * half;
		rc = 0;
	}
	BN_free(x);
	BN_free(y);
	return rc;
}

static int
read_number(EVP_PKEY *key, const char *name, uint8_t *out, size_t size, size_t *len)
{
	BIGNUM *number = NULL;
	int rc = ERR_CRYPTO;

	if (EVP_PKEY_get_bn_param(key, name, &number) == 1) {
		size_t n = (size_t)BN_num_bytes(number);

		rc = n > 0 && n <= size ? 0 : ERR_LIMIT;
		if (rc == 0) {
			*len = (size_t)BN_bn2bin(number, out);
		}
	}
	BN_free(number);
	return rc;
}

static int
read_rsa(EVP_PKEY *key, struct pki_anchor *out)
{
	int rc = read_number(key, OSSL_PKEY_PARAM_RSA_N, out->modulus, sizeof out->modulus,
			     &out->modulus_len);

	return rc != 0 ? rc
		       : read_number(key, OSSL_PKEY_PARAM_RSA_E, out->exponent,
				     sizeof out->exponent, &out->exponent_len);
}

/* What BearSSL's limits allow. */
static bool
is_usable_rsa(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	return EVP_PKEY_is_a(key, "RSA") && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
}

static int
read_subject(const X509 *x509, struct pki_anchor *out)
{
	const unsigned char *der;
	size_t len;

	/* The bytes as they stand: the issuer field is compared byte by byte. */
	if (X509_NAME_get0_der(X509_get_subject_name(x509), &der, &len) != 1) {
		return ERR_MALFORMED;
	}
	if (len > sizeof out->subject) {
		return ERR_LIMIT;
	}
	memcpy(out->subject, der, len);
	out->subject_len = len;
	return 0;
}

int
pki_anchor_read_file(const char *file, struct pki_anchor *out, char *why)
{
	struct pki_anchor anchor = { 0 };
	EVP_PKEY *key;
	X509 *x509;
	int rc = pki_x509_read(file, &x509, why);

	if (rc != 0) {
		return rc;
	}
	key = X509_get0_pubkey(x509);
	anchor.curve = key != NULL ? curve_number(key) : 0;
	if (key == NULL || (anchor.curve == 0 && !is_usable_rsa(key))) {
		X509_free(x509);
		return pki_fail(why, ERR_DENIED,
				"%s: a board cannot use this CA, its key is neither on P-256 nor "
				"RSA of 1024 to 4096 bits.",
				file);
	}
	rc = anchor.curve != 0 ? read_point(key, &anchor) : read_rsa(key, &anchor);
	if (rc == 0) {
		rc = read_subject(x509, &anchor);
	}
	X509_free(x509);
	ERR_clear_error();
	if (rc != 0) {
		return pki_fail(why, rc, "%s cannot be used (%s).", file, err_text(rc));
	}
	*out = anchor;
	return 0;
}
