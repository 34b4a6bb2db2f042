/* SPDX-License-Identifier: BSD-2-Clause */
/* The CA and the gateway's own key and certificate. */
#include "pki/pki_build.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/utf8.h"

#define GATEWAY_DAYS 3650
/* Bits of keyUsage (RFC 5280 4.2.1.3). */
#define DIGITAL_SIGNATURE_BIT 0
#define KEY_CERT_SIGN_BIT 5
#define CRL_SIGN_BIT 6
#define HOST_MAX 253

int
pki_path(char *path, const char *folder, const char *file, char *why)
{
	if ((size_t)snprintf(path, PATH_MAX, "%s/%s", folder, file) >= PATH_MAX) {
		return pki_fail(why, -ENAMETOOLONG, "The name of the folder is too long.");
	}
	return 0;
}

bool
pki_exists(const char *file)
{
	return faccessat(AT_FDCWD, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- the CA ------------------------------------------------------------------------ */

static int
build_ca(EVP_PKEY *key, const char *common_name, unsigned days, X509 **out)
{
	int64_t end = days > 0 ? pki_end(days, PKI_LATEST) : PKI_LATEST;
	X509 *x509;
	int rc = pki_build_new(key, clock_wall() - PKI_DAY, end, &x509);

	if (rc != 0) {
		return rc;
	}
	rc = pki_build_subject(x509, NID_commonName, span_str(common_name));
	if (rc == 0) {
		rc = pki_build_basic(x509, true);
	}
	if (rc == 0) {
		rc = pki_build_key_usage(x509, KEY_CERT_SIGN_BIT, CRL_SIGN_BIT);
	}
	if (rc == 0) {
		rc = pki_build_subject_key_id(x509);
	}
	if (rc == 0) {
		rc = pki_build_sign(x509, x509, key);
	}
	if (rc != 0) {
		X509_free(x509);
		return rc;
	}
	*out = x509;
	return 0;
}

static int
write_ca(const char *key_file, const char *cert_file, struct span key, struct span cert, char *why)
{
	int rc = pki_file_create(key_file, 0600, key, why);

	if (rc != 0) {
		return rc;
	}
	rc = pki_file_create(cert_file, 0644, cert, why);
	if (rc != 0) {
		unlink(key_file); /* ours, made just now, and worth nothing alone */
	}
	return rc;
}

static int
check_ca_name(const char *name, char *why)
{
	struct span s = span_str(name);

	if (s.len == 0 || s.len > PKI_NAME_MAX || !utf8_valid_strict(s)) {
		return pki_fail(why, ERR_UNSAFE,
				"The name of the CA must be 1 to %d bytes of UTF-8 without control "
				"characters.",
				PKI_NAME_MAX);
	}
	return 0;
}

int
pki_make_ca(const char *folder, const char *common_name, unsigned days, char *why)
{
	char key_file[PATH_MAX], cert_file[PATH_MAX];
	struct buf key_pem = { 0 }, cert_pem = { 0 };
	EVP_PKEY *key = NULL;
	X509 *x509 = NULL;
	int rc = check_ca_name(common_name, why);

	if (rc != 0 || (rc = pki_path(key_file, folder, "ca.key", why)) != 0 ||
	    (rc = pki_path(cert_file, folder, "ca.crt", why)) != 0) {
		return rc;
	}
	if (pki_exists(key_file) || pki_exists(cert_file)) {
		/* Every device in the field trusts the old one. */
		return pki_fail(why, ERR_EXISTS, "%s exists already; a CA is never replaced.",
				pki_exists(key_file) ? key_file : cert_file);
	}
	key = pki_key_new();
	rc = key != NULL ? build_ca(key, common_name, days, &x509) : ERR_CRYPTO;
	if (rc == 0 && (rc = pki_build_key_pem(key, &key_pem)) == 0) {
		rc = pki_build_pem(x509, &cert_pem);
	}
	if (rc != 0) {
		(void)pki_fail(why, rc, "Cannot make the CA: %s.", err_text(rc));
	} else {
		rc = write_ca(key_file, cert_file, buf_span(&key_pem), buf_span(&cert_pem), why);
	}
	pki_wipe(&key_pem);
	buf_release(&cert_pem);
	X509_free(x509);
	EVP_PKEY_free(key);
	return rc;
}

int
pki_x509_end(const X509 *x509, const char *file, int64_t *end, char *why)
{
	struct pki_cert *cert;
	int rc = pki_cert_of(x509, NULL, &cert);

	if (rc != 0) {
		return pki_fail(why, rc, "%s cannot be used (%s).", file, err_text(rc));
	}
	*end = cert->not_after;
	pki_cert_free(cert);
	return 0;
}

/* The dates and the right to sign; the pair is checked by the caller. */
static int
check_ca(const char *file, struct pki_ca *ca, char *why)
{
	int rc;

	if (X509_check_ca(ca->x509) == 0) {
		return pki_fail(why, ERR_DENIED,
				"%s is not the certificate of a CA (basicConstraints or keyUsage).",
				file);
	}
	rc = pki_x509_end(ca->x509, file, &ca->not_after, why);
	if (rc != 0) {
		return rc;
	}
	if (ca->not_after <= clock_wall()) {
		char text[CLOCK_TEXT_SIZE];

		return pki_fail(why, ERR_DENIED, "The CA expired at %s: %s.",
				clock_text(ca->not_after, text), file);
	}
	return 0;
}

int
pki_ca_load(const char *folder, struct pki_ca *out, char *why)
{
	char key_file[PATH_MAX], cert_file[PATH_MAX];
	struct pki_ca ca = { 0 };
	int rc = pki_path(key_file, folder, "ca.key", why);

	if (rc != 0 || (rc = pki_path(cert_file, folder, "ca.crt", why)) != 0) {
		return rc;
	}
	rc = pki_x509_read(cert_file, &ca.x509, why);
	if (rc == 0 && !pki_exists(key_file)) {
		/* Taken over without its key, see pki_ca_import(). */
		rc = pki_fail(why, -ENOENT,
			      "The key of the CA is not here (%s): sign where it is kept.",
			      key_file);
	} else if (rc == 0) {
		rc = pki_key_read(key_file, &ca.key, why);
	}
	if (rc == 0 && X509_check_private_key(ca.x509, ca.key) != 1) {
		rc = pki_fail(why, ERR_CRYPTO, "%s is not the key of %s.", key_file, cert_file);
	}
	if (rc == 0) {
		rc = check_ca(cert_file, &ca, why);
	}
	if (rc != 0) {
		pki_ca_free(&ca);
		return rc;
	}
	*out = ca;
	return 0;
}

void
pki_ca_free(struct pki_ca *ca)
{
	X509_free(ca->x509);
	EVP_PKEY_free(ca->key);
	*ca = (struct pki_ca){ 0 };
}

/* ---- the gateway ---------------------------------------------------------------------- */

bool
pki_is_host_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	size_t len = strlen(name);
	const char *first = strncmp(name, "*.", 2) == 0 ? name + 2 : name;

	return len > 0 && len <= HOST_MAX && first[0] != '\0' && first[0] != '.' &&
	       strspn(first, allowed) == strlen(first) && strstr(first, "..") == NULL;
}

static int
check_names(const struct pki_names *names, const char **first, char *why)
{
	uint8_t bytes[16];

	if (names->dns_count + names->ip_count == 0) {
		return pki_fail(why, ERR_UNSAFE, "The gateway needs at least one name.");
	}
	for (size_t i = 0; i < names->dns_count; i++) {
		if (!pki_is_host_name(names->dns[i]) && pki_ip_parse(names->dns[i], bytes) == 0) {
			return pki_fail(why, ERR_UNSAFE, "\"%.64s\" is no host name.",
					names->dns[i]);
		}
	}
	for (size_t i = 0; i < names->ip_count; i++) {
		if (pki_ip_parse(names->ip[i], bytes) == 0) {
			return pki_fail(why, ERR_UNSAFE, "\"%.64s\" is no IP address.",
					names->ip[i]);
		}
	}
	*first = names->dns_count > 0 ? names->dns[0] : names->ip[0];
	if (strlen(*first) > PKI_NAME_MAX) {
		return pki_fail(
			why, ERR_UNSAFE,
			"The first name is longer than %d characters; name a shorter one first.",
			PKI_NAME_MAX);
	}
	return 0;
}

/*
 * A certificate whose issuer has its own name looks self-signed to every
 * reader. It happens: hand-made CAs are often named like the machine.
 */
static int
check_not_ca(const struct pki_ca *ca, const char *first, char *why)
{
	X509_NAME *name = X509_NAME_new();
	int rc = ERR_CRYPTO;

	if (name != NULL &&
	    X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
				       (const unsigned char *)first, -1, -1, 0) == 1) {
		rc = X509_NAME_cmp(name, X509_get_subject_name(ca->x509)) == 0 ? ERR_UNSAFE : 0;
	}
	X509_NAME_free(name);
	return rc == 0 ? 0
		       : pki_fail(why, rc,
				  "The CA itself is called \"%.80s\", so a gateway of that name "
				  "looks self-signed to its devices; put another name first.",
				  first);
}

static int
build_gateway(const struct pki_ca *ca, EVP_PKEY *key, const char *first,
	      const struct pki_names *names, int64_t not_before, unsigned days, X509 **out)
{
	int64_t end = pki_end(days > 0 ? days : GATEWAY_DAYS, ca->not_after);
	X509 *x509;
	int rc = pki_build_new(key, not_before, end, &x509);

	if (rc != 0) {
		return rc;
	}
	rc = pki_build_subject(x509, NID_commonName, span_str(first));
	if (rc == 0) {
		rc = pki_build_basic(x509, false);
	}
	if (rc == 0) {
		rc = pki_build_key_usage(x509, DIGITAL_SIGNATURE_BIT, DIGITAL_SIGNATURE_BIT);
	}
	if (rc == 0) {
		rc = pki_build_extended_usage(x509, NID_server_auth);
	}
	if (rc == 0) {
		rc = pki_build_names(x509, names);
	}
	if (rc == 0) {
		rc = pki_build_authority_key_id(x509, ca->x509);
	}
	if (rc == 0) {
		rc = pki_build_sign(x509, ca->x509, ca->key);
	}
	if (rc != 0) {
		X509_free(x509);
		return rc;
	}
	*out = x509;
	return 0;
}

/* The key that is there and shall stay, or a new one. */
static int
gateway_key(const char *file, bool keep, EVP_PKEY **key, bool *is_new, char *why)
{
	int rc;

	*is_new = !keep || !pki_exists(file);
	if (*is_new) {
		*key = pki_key_new();
		return *key != NULL ? 0 : pki_fail(why, ERR_CRYPTO, "Cannot make a key.");
	}
	rc = pki_key_read(file, key, why);
	if (rc == 0 && !pki_key_is_p256(*key)) {
		EVP_PKEY_free(*key);
		*key = NULL;
		rc = pki_fail(why, ERR_DENIED,
			      "%s is not a P-256 key, and boards can verify no other.", file);
	}
	return rc;
}

/* Both texts are complete before the first file is touched. */
static int
write_gateway(const char *folder, EVP_PKEY *new_key, const X509 *x509, char *why)
{
	char key_file[PATH_MAX], cert_file[PATH_MAX];
	struct buf key_pem = { 0 }, cert_pem = { 0 };
	int rc = pki_path(key_file, folder, "gateway.key", why);

	if (rc != 0 || (rc = pki_path(cert_file, folder, "gateway.crt", why)) != 0) {
		return rc;
	}
	rc = pki_build_pem(x509, &cert_pem);
	if (rc == 0 && new_key != NULL) {
		rc = pki_build_key_pem(new_key, &key_pem);
	}
	if (rc != 0) {
		(void)pki_fail(why, rc, "Cannot write the certificate: %s.", err_text(rc));
	} else if (new_key != NULL) {
		rc = pki_write_file(key_file, 0640, buf_span(&key_pem), why);
	}
	if (rc == 0) {
		rc = pki_write_file(cert_file, 0644, buf_span(&cert_pem), why);
	}
	pki_wipe(&key_pem);
	buf_release(&cert_pem);
	return rc;
}

int
pki_make_gateway(const char *folder, const struct pki_names *names, int64_t not_before,
		 unsigned days, bool keep_key, char *why)
{
	char key_file[PATH_MAX];
	const char *first = NULL;
	struct pki_ca ca = { 0 };
	EVP_PKEY *key = NULL;
	X509 *x509 = NULL;
	bool is_new = false;
	int rc = check_names(names, &first, why);

	if (rc != 0 || (rc = pki_path(key_file, folder, "gateway.key", why)) != 0) {
		return rc;
	}
	rc = pki_ca_load(folder, &ca, why);
	if (rc == 0) {
		rc = check_not_ca(&ca, first, why);
	}
	if (rc == 0) {
		rc = gateway_key(key_file, keep_key, &key, &is_new, why);
	}
	if (rc == 0) {
		rc = build_gateway(&ca, key, first, names, not_before, days, &x509);
		if (rc != 0) {
			(void)pki_fail(why, rc, "Cannot make the certificate: %s.", err_text(rc));
		}
	}
	if (rc == 0) {
		rc = write_gateway(folder, is_new ? key : NULL, x509, why);
	}
	X509_free(x509);
	EVP_PKEY_free(key);
	pki_ca_free(&ca);
	ERR_clear_error();
	return rc;
}

/* ---- the check at start ------------------------------------------------------------------ */

static int
check_dates(const char *file, const X509 *x509, char *why)
{
	char text[CLOCK_TEXT_SIZE];
	int64_t end;
	int rc = pki_x509_end(x509, file, &end, why);

	if (rc != 0) {
		return rc;
	}
	if (end < clock_wall()) {
		return pki_fail(why, ERR_DENIED, "%s expired at %s; make a new one.", file,
				clock_text(end, text));
	}
	return 0;
}

int
pki_check_pair(const char *cert_file, const char *key_file, char *why)
{
	X509 *x509 = NULL;
	EVP_PKEY *key = NULL;
	int rc = pki_x509_read(cert_file, &x509, why);

	if (rc == 0) {
		rc = pki_key_read(key_file, &key, why);
	}
	if (rc == 0 && X509_check_private_key(x509, key) != 1) {
		rc = pki_fail(why, ERR_CRYPTO, "%s is not the key of %s.", key_file, cert_file);
	}
	if (rc == 0) {
		rc = check_dates(cert_file, x509, why);
	}
	X509_free(x509);
	EVP_PKEY_free(key);
	return rc;
}
