/* SPDX-License-Identifier: BSD-2-Clause */
/* The CA as a board stores it. */
#include "pki/pki_int.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

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
	if (anchor.curve == 0) {
		X509_free(x509);
		return pki_fail(why, ERR_DENIED,
				"%s: a board cannot use this CA, its key is not on P-256.", file);
	}
	rc = read_point(key, &anchor);
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
