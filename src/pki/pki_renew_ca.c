/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * More years for the CA. Only the dates are new: with the key, the subject and
 * the serial number that it had, every certificate that it has signed stays
 * good, and so does what boards trust, which is name and key without a date.
 */
#include "pki/pki_build.h"

#include <errno.h>
#include <limits.h>

#include <openssl/err.h>

#include "base/clock.h"

static int
check_own(const char *file, X509 *x509, EVP_PKEY *key, char *why)
{
	if (X509_check_private_key(x509, key) != 1) {
		return pki_fail(why, ERR_CRYPTO, "ca.key is not the key of %s.", file);
	}
	if (X509_NAME_cmp(X509_get_subject_name(x509), X509_get_issuer_name(x509)) != 0) {
		return pki_fail(why, ERR_DENIED,
				"%s was signed by another CA: only that one can renew it.", file);
	}
	return 0;
}

/* A copy that ends later, signed anew. */
static int
extend(const X509 *old, EVP_PKEY *key, int64_t end, struct buf *pem)
{
	X509 *x509 = X509_dup((X509 *)old);
	int rc = -ENOMEM;

	if (x509 != NULL) {
		rc = ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)end) != NULL ? 0 : ERR_CRYPTO;
	}
	if (rc == 0) {
		rc = pki_build_sign(x509, x509, key);
	}
	if (rc == 0) {
		rc = pki_build_pem(x509, pem);
	}
	X509_free(x509);
	return rc;
}

static int
check_later(const X509 *x509, const char *file, int64_t end, char *why)
{
	char text[CLOCK_TEXT_SIZE];
	int64_t now_ends;
	int rc = pki_x509_end(x509, file, &now_ends, why);

	if (rc != 0) {
		return rc;
	}
	if (end <= now_ends) {
		return pki_fail(why, ERR_EXISTS,
				"%s is valid until %s already: nothing was changed.", file,
				clock_text(now_ends, text));
	}
	return 0;
}

int
pki_renew_ca(const char *folder, unsigned days, char *why)
{
	char key_file[PATH_MAX], cert_file[PATH_MAX];
	int64_t end = pki_end(days, PKI_LATEST);
	struct buf pem = { 0 };
	EVP_PKEY *key = NULL;
	X509 *x509 = NULL;
	int rc = pki_path(key_file, folder, "ca.key", why);

	if (rc != 0 || (rc = pki_path(cert_file, folder, "ca.crt", why)) != 0) {
		return rc;
	}
	rc = pki_x509_read(cert_file, &x509, why);
	if (rc == 0) {
		rc = pki_key_read(key_file, &key, why);
	}
	if (rc == 0) {
		rc = check_own(cert_file, x509, key, why);
	}
	if (rc == 0) {
		rc = check_later(x509, cert_file, end, why);
	}
	if (rc == 0 && (rc = extend(x509, key, end, &pem)) != 0) {
		(void)pki_fail(why, rc, "Cannot make the certificate: %s.", err_text(rc));
	}
	if (rc == 0) {
		rc = pki_write_file(cert_file, 0644, buf_span(&pem), why);
	}
	buf_release(&pem);
	X509_free(x509);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return rc;
}
