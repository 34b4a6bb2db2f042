/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of what our CA has revoked, for others to read. */
#include "pki/pki_crl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/file.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "pki/pki_build.h"

#define SERIAL_MAX 40 /* hex digits: 20 bytes (RFC 5280 4.1.2.2) */
#define REASONS 11
#define REASON_UNSPECIFIED 0

/* removeFromCRL (8) is for delta lists, and 7 is not used. */
static const char *const reasons[REASONS] = {
	"unspecified", "keyCompromise",        "cACompromise",    "affiliationChanged",
	"superseded",  "cessationOfOperation", "certificateHold", NULL,
	NULL,          "privilegeWithdrawn",   "aACompromise",
};

/* "key-compromise" is "keyCompromise". */
static bool
same_reason(const char *said, const char *name)
{
	while (*said != '\0' && *name != '\0') {
		if (*said == '-' || *said == '_') {
			said++;
			continue;
		}
		if (strncasecmp(said, name, 1) != 0) {
			return false;
		}
		said++;
		name++;
	}
	return *said == '\0' && *name == '\0';
}

int
pki_crl_reason(const char *name)
{
	for (int i = 0; i < REASONS; i++) {
		if (reasons[i] != NULL && same_reason(name, reasons[i])) {
			return i;
		}
	}
	return ERR_NOT_FOUND;
}

const char *
pki_crl_reason_name(int reason)
{
	return reason >= 0 && reason < REASONS ? reasons[reason] : NULL;
}

/* ---- entries ------------------------------------------------------------------------ */

static const char *
significant(const char *serial)
{
	while (serial[0] == '0' && serial[1] != '\0') {
		serial++;
	}
	return serial;
}

static int
compare(const void *a, const void *b)
{
	const struct pki_crl_entry *x = *(const struct pki_crl_entry *const *)a;
	const struct pki_crl_entry *y = *(const struct pki_crl_entry *const *)b;
	const char *s = significant(x->serial), *t = significant(y->serial);
	size_t n = strlen(s), m = strlen(t);
	int order = n != m ? (n < m ? -1 : 1) : strcasecmp(s, t);

	return order != 0 ? order : (x->revoked > y->revoked) - (x->revoked < y->revoked);
}

static int
check_entry(const struct pki_crl_entry *entry, char *why)
{
	size_t len = strlen(entry->serial);

	if (len == 0 || len > SERIAL_MAX ||
	    strspn(entry->serial, "0123456789abcdefABCDEF") != len) {
		return pki_fail(why, ERR_MALFORMED, "\"%.50s\" is no serial number.",
				entry->serial);
	}
	if (pki_crl_reason_name(entry->reason) == NULL) {
		return pki_fail(why, ERR_MALFORMED, "%d is no reason to revoke a certificate.",
				entry->reason);
	}
	return 0;
}

/* The entries by serial number, the earliest of equal ones first. */
static int
sort_entries(const struct pki_crl_entry *entries, size_t count, const struct pki_crl_entry ***out,
	     char *why)
{
	const struct pki_crl_entry **sorted = calloc(count + 1, sizeof *sorted);
	int rc = 0;

	if (sorted == NULL) {
		return pki_fail(why, -ENOMEM, "Cannot make the list: %s.", err_text(-ENOMEM));
	}
	for (size_t i = 0; i < count && rc == 0; i++) {
		sorted[i] = &entries[i];
		rc = check_entry(&entries[i], why);
	}
	if (rc != 0) {
		free(sorted);
		return rc;
	}
	qsort(sorted, count, sizeof *sorted, compare);
	*out = sorted;
	return 0;
}

static int
set_reason(X509_REVOKED *revoked, int reason)
{
	ASN1_ENUMERATED *value;
	int rc = ERR_CRYPTO;

	if (reason == REASON_UNSPECIFIED) {
		return 0; /* is to be left out (RFC 5280 5.3.1) */
	}
	value = ASN1_ENUMERATED_new();
	if (value != NULL && ASN1_ENUMERATED_set(value, reason) == 1 &&
	    X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, value, 0, X509V3_ADD_DEFAULT) == 1) {
		rc = 0;
	}
	ASN1_ENUMERATED_free(value);
	return rc;
}

static int
fill_entry(X509_REVOKED *revoked, const struct pki_crl_entry *entry)
{
	BIGNUM *number = NULL;
	ASN1_INTEGER *serial = NULL;
	ASN1_TIME *date = ASN1_TIME_set(NULL, (time_t)entry->revoked);
	int rc = ERR_CRYPTO;

	if (BN_hex2bn(&number, entry->serial) > 0) {
		serial = BN_to_ASN1_INTEGER(number, NULL);
	}
	if (serial != NULL && date != NULL && X509_REVOKED_set_serialNumber(revoked, serial) == 1 &&
	    X509_REVOKED_set_revocationDate(revoked, date) == 1) {
		rc = set_reason(revoked, entry->reason);
	}
	ASN1_INTEGER_free(serial);
	ASN1_TIME_free(date);
	BN_free(number);
	return rc;
}

static int
add_entry(X509_CRL *crl, const struct pki_crl_entry *entry)
{
	X509_REVOKED *revoked = X509_REVOKED_new();
	int rc = revoked != NULL ? fill_entry(revoked, entry) : -ENOMEM;

	if (rc == 0 && X509_CRL_add0_revoked(crl, revoked) == 1) {
		return 0;
	}
	X509_REVOKED_free(revoked);
	return rc != 0 ? rc : ERR_CRYPTO;
}

static int
add_entries(X509_CRL *crl, const struct pki_crl_entry **sorted, size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		if (i == 0 || strcasecmp(significant(sorted[i]->serial),
					 significant(sorted[i - 1]->serial)) != 0) {
			rc = add_entry(crl, sorted[i]);
		}
	}
	return rc;
}

/* ---- the list ------------------------------------------------------------------------ */

static int
add_extension(X509_CRL *crl, int nid, void *value)
{
	return X509_CRL_add1_ext_i2d(crl, nid, value, 0, X509V3_ADD_DEFAULT) == 1 ? 0 : ERR_CRYPTO;
}

static int
add_number(X509_CRL *crl, const BIGNUM *number)
{
	ASN1_INTEGER *value = BN_to_ASN1_INTEGER(number, NULL);
	int rc = value != NULL ? add_extension(crl, NID_crl_number, value) : -ENOMEM;

	ASN1_INTEGER_free(value);
	return rc;
}

static int
add_authority(X509_CRL *crl, const struct pki_ca *ca)
{
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(ca->x509);
	AUTHORITY_KEYID *authority;
	int rc = -ENOMEM;

	if (id == NULL) {
		return 0;
	}
	authority = AUTHORITY_KEYID_new();
	if (authority != NULL && (authority->keyid = ASN1_OCTET_STRING_dup(id)) != NULL) {
		rc = add_extension(crl, NID_authority_key_identifier, authority);
	}
	AUTHORITY_KEYID_free(authority);
	return rc;
}

static int
set_head(X509_CRL *crl, const struct pki_ca *ca, unsigned days)
{
	ASN1_TIME *last = ASN1_TIME_set(NULL, (time_t)clock_wall());
	ASN1_TIME *next = ASN1_TIME_set(NULL, (time_t)(clock_wall() + (int64_t)days * PKI_DAY));
	int rc = ERR_CRYPTO;

	if (last != NULL && next != NULL && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
	    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->x509)) == 1 &&
	    X509_CRL_set1_lastUpdate(crl, last) == 1 && X509_CRL_set1_nextUpdate(crl, next) == 1) {
		rc = 0;
	}
	ASN1_TIME_free(last);
	ASN1_TIME_free(next);
	return rc;
}

/* What follows is signed last, so that nothing is missing from what is signed. */
static int
build(const struct pki_ca *ca, const BIGNUM *number, const struct pki_crl_entry **sorted,
      size_t count, unsigned days, struct buf *pem)
{
	const EVP_MD *md = EVP_PKEY_is_a(ca->key, "ED25519") ? NULL : EVP_sha256();
	X509_CRL *crl = X509_CRL_new();
	int rc = crl != NULL ? set_head(crl, ca, days) : -ENOMEM;

	if (rc == 0) {
		rc = add_authority(crl, ca);
	}
	if (rc == 0) {
		rc = add_number(crl, number);
	}
	if (rc == 0) {
		rc = add_entries(crl, sorted, count);
	}
	if (rc == 0) {
		rc = X509_CRL_sign(crl, ca->key, md) > 0 ? pki_crl_pem(crl, pem) : ERR_CRYPTO;
	}
	X509_CRL_free(crl);
	return rc;
}

int
pki_crl_pem(const X509_CRL *crl, struct buf *pem)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;
	int rc = ERR_CRYPTO;

	if (bio == NULL) {
		return -ENOMEM;
	}
	if (PEM_write_bio_X509_CRL(bio, (X509_CRL *)crl) == 1) {
		len = BIO_get_mem_data(bio, &text);
		rc = buf_append(pem, span_of(text, (size_t)len));
	}
	BIO_free(bio);
	return rc;
}

/* ---- its number ------------------------------------------------------------------------ */

int
pki_folder_lock(const char *folder, char *why)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX) == 0) {
		return fd;
	}
	int error = errno;

	if (fd >= 0) {
		close(fd);
	}
	return pki_fail(why, -error, "Cannot use the folder %s: %s.", folder, err_text(-error));
}

static int
read_number(const char *file, BIGNUM **number, char *why)
{
	struct buf text = { 0 };
	char digits[PKI_CRL_NUMBER_SIZE] = "0";
	int rc = pki_file_read(file, &text, why);
	size_t len = buf_len(&text);

	if (rc != 0 && rc != -ENOENT) {
		return rc;
	}
	if (rc == 0) {
		struct span s = buf_span(&text);

		while (len > 0 && (s.ptr[len - 1] == '\n' || s.ptr[len - 1] == '\r')) {
			len--;
		}
		if (len > 0 && len < sizeof digits) {
			memcpy(digits, s.ptr, len);
			digits[len] = '\0';
		} else {
			digits[0] = '\0';
		}
	}
	buf_release(&text);
	if (digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits) ||
	    BN_dec2bn(number, digits) == 0) {
		return pki_fail(why, ERR_MALFORMED,
				"%s must hold the number of the last list: write it into it.",
				file);
	}
	return 0;
}

/* The number file may be lost; then the last list in its place still tells. */
static void
raise_to_last(const char *out_file, const struct pki_ca *ca, BIGNUM **number)
{
	STACK_OF(X509_CRL) *lists = NULL;

	if (pki_crl_read(out_file, &lists, NULL) != 0) {
		return;
	}
	for (int i = 0; i < sk_X509_CRL_num(lists); i++) {
		X509_CRL *crl = sk_X509_CRL_value(lists, i);
		BIGNUM *last = NULL;

		if (X509_CRL_verify(crl, X509_get0_pubkey(ca->x509)) == 1 &&
		    pki_crl_number(crl, &last) == 0 && last != NULL && BN_cmp(last, *number) > 0) {
			BN_free(*number);
			*number = last;
		} else {
			BN_free(last);
		}
	}
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	ERR_clear_error();
}

/* Taken for good before the list is made: a number is never used twice. */
static int
next_number(const char *folder, const struct pki_ca *ca, const char *out_file, BIGNUM **out,
	    char *why)
{
	char file[PATH_MAX], *text = NULL;
	struct buf line = { 0 };
	BIGNUM *number = NULL;
	int rc;

	rc = pki_path(file, folder, "ca.crlnumber", why);
	if (rc != 0) {
		return rc;
	}
	rc = read_number(file, &number, why);
	if (rc != 0) {
		return rc;
	}
	raise_to_last(out_file, ca, &number);
	if (BN_add_word(number, 1) != 1 || BN_num_bits(number) > 159 ||
	    (text = BN_bn2dec(number)) == NULL || buf_append(&line, span_str(text)) != 0 ||
	    buf_append(&line, span_of("\n", 1)) != 0) {
		rc = pki_fail(why, ERR_LIMIT, "%s: there is no next number.", file);
	} else {
		rc = pki_write_file(file, 0644, buf_span(&line), why);
	}
	buf_release(&line);
	OPENSSL_free(text);
	if (rc != 0) {
		BN_free(number);
		return rc;
	}
	*out = number;
	return 0;
}

/* ---- all together ------------------------------------------------------------------------ */

static int
make_locked(const char *folder, const struct pki_ca *ca, const struct pki_crl_entry **sorted,
	    size_t count, unsigned days, const char *out_file, char *why)
{
	struct buf pem = { 0 };
	BIGNUM *number = NULL;
	int rc = next_number(folder, ca, out_file, &number, why);

	if (rc == 0) {
		rc = build(ca, number, sorted, count, days, &pem);
		if (rc != 0) {
			(void)pki_fail(why, rc, "Cannot make the list: %s.", err_text(rc));
		} else {
			rc = pki_write_file(out_file, 0644, buf_span(&pem), why);
		}
	}
	buf_release(&pem);
	BN_free(number);
	return rc;
}

static int
make_with(const char *folder, const struct pki_ca *ca, const struct pki_crl_entry **sorted,
	  size_t count, unsigned days, const char *out_file, char *why)
{
	int rc, lock;

	/* A CA without keyUsage may do everything. */
	if ((X509_get_key_usage(ca->x509) & KU_CRL_SIGN) == 0) {
		return pki_fail(why, ERR_DENIED,
				"%s/ca.crt may not sign revocation lists (keyUsage without "
				"cRLSign): nobody would accept one. Its owner must issue them.",
				folder);
	}
	lock = pki_folder_lock(folder, why);
	if (lock < 0) {
		return lock;
	}
	rc = make_locked(folder, ca, sorted, count, days, out_file, why);
	close(lock);
	return rc;
}

int
pki_crl_make(const char *folder, const struct pki_crl_entry *entries, size_t count, unsigned days,
	     const char *out_file, char *why)
{
	const struct pki_crl_entry **sorted = NULL;
	struct pki_ca ca;
	int rc = sort_entries(entries, count, &sorted, why);

	if (rc != 0) {
		return rc;
	}
	rc = pki_ca_load(folder, &ca, why);
	if (rc == 0) {
		rc = make_with(folder, &ca, sorted, count, days, out_file, why);
		pki_ca_free(&ca);
	}
	free(sorted);
	ERR_clear_error();
	return rc;
}
