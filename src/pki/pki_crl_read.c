/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of outside CAs: a file that somebody fetched, and the PEM file of
 * all of them that the daemon reads.
 */
#include "pki/pki_crl.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"

#define NUMBER_BITS_MAX 159 /* 20 bytes, positive (RFC 5280 5.2.3) */
#define CLOCK_SLACK 300     /* seconds that two clocks may differ */

/* ---- reading ------------------------------------------------------------------------ */

static int
next_list(BIO *bio, void *lists)
{
	X509_CRL *crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);

	if (crl == NULL) {
		return ERR_NOT_FOUND;
	}
	if (sk_X509_CRL_push(lists, crl) <= 0) {
		X509_CRL_free(crl);
		return -ENOMEM;
	}
	return 0;
}

static int
read_der(struct span der, STACK_OF(X509_CRL) * lists)
{
	const unsigned char *at = der.ptr;
	X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)der.len);
	int rc = crl != NULL && at == der.ptr + der.len ? 0 : ERR_MALFORMED;

	if (rc == 0 && sk_X509_CRL_push(lists, crl) <= 0) {
		rc = -ENOMEM;
	}
	if (rc != 0) {
		X509_CRL_free(crl);
	}
	return rc;
}

int
pki_crl_read(const char *file, STACK_OF(X509_CRL) * *out, char *why)
{
	struct buf text = { 0 };
	STACK_OF(X509_CRL) * lists;
	int rc = pki_file_read_max(file, PKI_CRL_MAX, &text, why);
	struct span s = buf_span(&text);

	if (rc != 0) {
		return rc;
	}
	lists = sk_X509_CRL_new_null();
	if (lists == NULL) {
		rc = -ENOMEM;
	} else {
		rc = s.len > 1 && s.ptr[0] == 0x30 && s.ptr[1] >= 0x80 ? read_der(s, lists)
								       : pki_pem_each(s, next_list, lists);
	}
	buf_release(&text);
	if (rc != 0) {
		rc = pki_fail(why, rc, "%s: the revocation list is damaged (%s).", file,
			      err_text(rc));
	} else if (sk_X509_CRL_num(lists) == 0) {
		rc = pki_fail(why, ERR_MALFORMED,
			      "%s holds no revocation list: neither DER nor a line "
			      "-----BEGIN X509 CRL-----.",
			      file);
	}
	if (rc != 0) {
		sk_X509_CRL_pop_free(lists, X509_CRL_free);
		return rc;
	}
	*out = lists;
	return 0;
}

int
pki_crl_number(const X509_CRL *crl, BIGNUM **out)
{
	int critical = -1;
	ASN1_INTEGER *value = X509_CRL_get_ext_d2i(crl, NID_crl_number, &critical, NULL);
	BIGNUM *number;

	if (value == NULL) {
		*out = NULL;
		return critical == -1 ? 0 : ERR_MALFORMED;
	}
	number = ASN1_INTEGER_to_BN(value, NULL);
	ASN1_INTEGER_free(value);
	if (number == NULL || BN_is_negative(number) || BN_num_bits(number) > NUMBER_BITS_MAX) {
		BN_free(number);
		return ERR_MALFORMED;
	}
	*out = number;
	return 0;
}

/* ---- checking ------------------------------------------------------------------------ */

static int
print_name(const X509_NAME *name, char *text, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *printed;
	long len = 0;

	if (bio == NULL) {
		return -ENOMEM;
	}
	if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
		len = BIO_get_mem_data(bio, &printed);
		snprintf(text, size, "%.*s", (int)len, len > 0 ? printed : "");
	}
	BIO_free(bio);
	return len >= 0 ? 0 : ERR_MALFORMED;
}

static int
fill_number(const X509_CRL *crl, struct pki_crl_info *info)
{
	BIGNUM *number;
	char *text;
	int rc = pki_crl_number(crl, &number);

	if (rc != 0 || number == NULL) {
		return rc;
	}
	text = BN_bn2dec(number);
	BN_free(number);
	if (text == NULL) {
		return -ENOMEM;
	}
	snprintf(info->number, sizeof info->number, "%s", text);
	OPENSSL_free(text);
	return 0;
}

static int
fill_info(X509_CRL *crl, struct pki_crl_info *info)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
	STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(crl);
	int rc = print_name(X509_CRL_get_issuer(crl), info->issuer, sizeof info->issuer);

	if (rc == 0) {
		rc = fill_number(crl, info);
	}
	if (rc == 0) {
		rc = pki_date(X509_CRL_get0_lastUpdate(crl), &info->this_update);
	}
	if (rc == 0 && next != NULL) {
		rc = pki_date(next, &info->next_update);
	}
	info->count = revoked != NULL ? (size_t)sk_X509_REVOKED_num(revoked) : 0;
	info->stale = next != NULL && info->next_update < clock_wall();
	return rc;
}

/* A list of a part of what is revoked would let the rest in. */
static bool
is_complete(const X509_CRL *crl)
{
	int critical = -1;
	ISSUING_DIST_POINT *point =
		X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, &critical, NULL);
	bool whole = critical == -1;

	if (point != NULL) {
		/* Devices are no CAs: a list of user certificates is all we need. */
		whole = point->distpoint == NULL && point->onlyCA <= 0 && point->onlyattr <= 0 &&
			point->indirectCRL <= 0 && point->onlysomereasons == NULL;
		ISSUING_DIST_POINT_free(point);
	}
	for (int i = 0; i < X509_CRL_get_ext_count(crl) && whole; i++) {
		X509_EXTENSION *ext = X509_CRL_get_ext(crl, i);
		int nid = OBJ_obj2nid(X509_EXTENSION_get_object(ext));

		whole = nid != NID_delta_crl &&
			(nid == NID_issuing_distribution_point || nid == NID_crl_number ||
			 nid == NID_authority_key_identifier || !X509_EXTENSION_get_critical(ext));
	}
	return whole;
}

/*
 * OpenSSL refuses every certificate of a CA whose list has an entry that it
 * does not understand: better refuse the list.
 */
static bool
has_plain_entries(X509_CRL *crl)
{
	STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(crl);

	for (int i = 0; i < sk_X509_REVOKED_num(revoked); i++) {
		X509_REVOKED *entry = sk_X509_REVOKED_value(revoked, i);

		if (X509_REVOKED_get_ext_by_critical(entry, 1, -1) >= 0) {
			return false;
		}
	}
	return true;
}

/* OpenSSL looks for the CA by this identifier, not by trying keys. */
static bool
names_key_of(const X509_CRL *crl, X509 *ca)
{
	int critical = -1;
	AUTHORITY_KEYID *id =
		X509_CRL_get_ext_d2i(crl, NID_authority_key_identifier, &critical, NULL);
	bool same = id != NULL ? X509_check_akid(ca, id) == X509_V_OK : critical == -1;

	AUTHORITY_KEYID_free(id);
	return same;
}

/* What is wrong between the list and all CAs of its issuer's name. */
static int
find_signer(X509_CRL *crl, STACK_OF(X509) * cas, X509 **signer)
{
	int rc = ERR_NOT_FOUND;

	for (int i = 0; i < sk_X509_num(cas); i++) {
		X509 *ca = sk_X509_value(cas, i);

		if (X509_NAME_cmp(X509_get_subject_name(ca), X509_CRL_get_issuer(crl)) != 0) {
			continue;
		}
		if (X509_CRL_verify(crl, X509_get0_pubkey(ca)) != 1) {
			rc = rc == ERR_NOT_FOUND ? ERR_CRYPTO : rc;
		} else if ((X509_get_key_usage(ca) & KU_CRL_SIGN) == 0) {
			rc = ERR_DENIED;
		} else {
			*signer = ca;
			rc = 0;
			break;
		}
	}
	ERR_clear_error();
	return rc;
}

static int
fail_signer(int rc, const char *file, const char *ca_file, const char *issuer, char *why)
{
	switch (rc) {
	case ERR_NOT_FOUND:
		return pki_fail(why, rc,
				"%s is a list of \"%.80s\", which is not among the CAs of %s.",
				file, issuer, ca_file);
	case ERR_CRYPTO:
		return pki_fail(why, rc,
				"%s: the signature is not that of \"%.80s\" in %s. Fetch the list "
				"again.",
				file, issuer, ca_file);
	default:
		return pki_fail(why, rc,
				"%s: \"%.80s\" may not sign revocation lists (keyUsage without "
				"cRLSign).",
				file, issuer);
	}
}

static int
check(X509_CRL *crl, STACK_OF(X509) * cas, const char *file, const char *ca_file,
      struct pki_crl_info *out, char *why)
{
	struct pki_crl_info info = { 0 };
	char text[CLOCK_TEXT_SIZE];
	X509 *signer;
	int rc = fill_info(crl, &info);

	if (rc != 0) {
		return pki_fail(why, rc, "%s: the revocation list is damaged (%s).", file,
				err_text(rc));
	}
	rc = find_signer(crl, cas, &signer);
	if (rc != 0) {
		return fail_signer(rc, file, ca_file, info.issuer, why);
	}
	if (!names_key_of(crl, signer) || !has_plain_entries(crl)) {
		return pki_fail(why, ERR_VERSION,
				"%s cannot be used: it has critical entries, or the identifier of "
				"another key. Ask \"%.80s\" for a plain list.",
				file, info.issuer);
	}
	if (!is_complete(crl)) {
		return pki_fail(why, ERR_VERSION,
				"%s is not a complete list (delta, partial or indirect). Ask "
				"\"%.80s\" for the complete one.",
				file, info.issuer);
	}
	if (info.this_update > clock_wall() + CLOCK_SLACK) {
		return pki_fail(why, ERR_DENIED,
				"%s starts at %s, in the future. Check the clock of this machine.",
				file, clock_text(info.this_update, text));
	}
	*out = info;
	return 0;
}

int
pki_crl_check_bundle(const char *file, const char *ca_file,
		     void (*each)(void *arg, const struct pki_crl_info *info), void *arg, char *why)
{
	STACK_OF(X509_CRL) *lists = NULL;
	STACK_OF(X509) *cas = NULL;
	struct pki_crl_info info;
	int rc = pki_crl_read(file, &lists, why);

	if (rc == 0) {
		rc = pki_x509_read_all(ca_file, &cas, why);
	}
	for (int i = 0; rc == 0 && i < sk_X509_CRL_num(lists); i++) {
		rc = check(sk_X509_CRL_value(lists, i), cas, file, ca_file, &info, why);
		if (rc == 0) {
			each(arg, &info);
		}
	}
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	sk_X509_pop_free(cas, X509_free);
	return rc;
}

/* The one list of a file. */
static int
read_one(const char *file, STACK_OF(X509) * cas, const char *ca_file, X509_CRL **crl,
	 struct pki_crl_info *info, char *why)
{
	STACK_OF(X509_CRL) * lists;
	int rc = pki_crl_read(file, &lists, why);

	if (rc != 0) {
		return rc;
	}
	if (sk_X509_CRL_num(lists) > 1) {
		rc = pki_fail(why, ERR_VERSION,
			      "%s holds %d revocation lists where one is needed. Put each into a "
			      "file of its own.",
			      file, sk_X509_CRL_num(lists));
	} else {
		rc = check(sk_X509_CRL_value(lists, 0), cas, file, ca_file, info, why);
	}
	if (rc == 0) {
		*crl = sk_X509_CRL_shift(lists);
	}
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	return rc;
}

/* ---- installing ------------------------------------------------------------------------ */

/* By number when both have one, else by date. */
static int
compare_age(const X509_CRL *a, const X509_CRL *b)
{
	BIGNUM *x = NULL, *y = NULL;
	int64_t s = 0, t = 0;
	int order = 0;

	if (pki_crl_number(a, &x) == 0 && pki_crl_number(b, &y) == 0 && x != NULL && y != NULL) {
		order = BN_cmp(x, y);
	}
	BN_free(x);
	BN_free(y);
	if (order == 0 && pki_date(X509_CRL_get0_lastUpdate(a), &s) == 0 &&
	    pki_date(X509_CRL_get0_lastUpdate(b), &t) == 0) {
		order = (s > t) - (s < t);
	}
	return order;
}

/*
 * Is `old` the predecessor of a list signed by this CA? A CA of the same name
 * with another key, still trusted, keeps its own list.
 */
static bool
replaces(X509_CRL *old, X509 *signer, STACK_OF(X509) * cas)
{
	X509 *other = NULL;

	return X509_NAME_cmp(X509_CRL_get_issuer(old), X509_get_subject_name(signer)) == 0 &&
	       (find_signer(old, cas, &other) != 0 ||
		X509_CRL_verify(old, X509_get0_pubkey(signer)) == 1);
}

/* An old list that its CA has not signed says nothing about age. */
static int
check_newer(X509_CRL *old, X509_CRL *crl, X509 *signer, const struct pki_crl_info *info,
	    const char *target, char *why)
{
	struct pki_crl_info have = { 0 };

	if (X509_CRL_verify(old, X509_get0_pubkey(signer)) != 1 || compare_age(old, crl) <= 0) {
		ERR_clear_error();
		return 0;
	}
	if (fill_info(old, &have) != 0) {
		return 0;
	}
	return pki_fail(why, ERR_EXISTS,
			"%s has a newer list of \"%.60s\" already (number %s; this one has %s).",
			target, info->issuer, have.number[0] != '\0' ? have.number : "none",
			info->number[0] != '\0' ? info->number : "none");
}

/* The lists with the new one in its place; takes crl over. */
static int
merge(STACK_OF(X509_CRL) * lists, X509_CRL *crl, STACK_OF(X509) * cas,
      const struct pki_crl_info *info, const char *target, char *why)
{
	X509 *signer = NULL;
	int rc = find_signer(crl, cas, &signer);
	int at = sk_X509_CRL_num(lists);

	for (int i = sk_X509_CRL_num(lists) - 1; i >= 0 && rc == 0; i--) {
		X509_CRL *old = sk_X509_CRL_value(lists, i);

		if (replaces(old, signer, cas)) {
			rc = check_newer(old, crl, signer, info, target, why);
			if (rc == 0) {
				X509_CRL_free(sk_X509_CRL_delete(lists, i));
				at = i;
			}
		}
	}
	if (rc == 0 && sk_X509_CRL_insert(lists, crl, at) <= 0) {
		rc = pki_fail(why, -ENOMEM, "Cannot write %s: %s.", target, err_text(-ENOMEM));
	}
	if (rc != 0) {
		X509_CRL_free(crl);
	}
	return rc;
}

static int
write_lists(const char *target, STACK_OF(X509_CRL) * lists, char *why)
{
	struct buf pem = { 0 };
	int rc = 0;

	for (int i = 0; i < sk_X509_CRL_num(lists) && rc == 0; i++) {
		rc = pki_crl_pem(sk_X509_CRL_value(lists, i), &pem);
	}
	rc = rc == 0 ? pki_write_file(target, 0644, buf_span(&pem), why)
		     : pki_fail(why, rc, "Cannot write %s: %s.", target, err_text(rc));
	buf_release(&pem);
	return rc;
}

static int
install_locked(const char *target, X509_CRL *crl, STACK_OF(X509) * cas,
	       const struct pki_crl_info *info, char *why)
{
	STACK_OF(X509_CRL) *lists = NULL;
	int rc = access(target, F_OK) == 0 ? pki_crl_read(target, &lists, why) : 0;

	if (rc == 0 && lists == NULL && (lists = sk_X509_CRL_new_null()) == NULL) {
		rc = pki_fail(why, -ENOMEM, "Cannot write %s: %s.", target, err_text(-ENOMEM));
	}
	if (rc != 0) {
		X509_CRL_free(crl);
		return rc;
	}
	rc = merge(lists, crl, cas, info, target, why);
	if (rc == 0) {
		rc = write_lists(target, lists, why);
	}
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	return rc;
}

/* Takes crl over. */
static int
install(const char *target, X509_CRL *crl, STACK_OF(X509) * cas, const struct pki_crl_info *info,
	char *why)
{
	char copy[PATH_MAX];
	int rc, lock;

	if ((size_t)snprintf(copy, sizeof copy, "%s", target) >= sizeof copy) {
		X509_CRL_free(crl);
		return pki_fail(why, -ENAMETOOLONG, "The name of the file is too long.");
	}
	lock = pki_folder_lock(dirname(copy), why);
	if (lock < 0) {
		X509_CRL_free(crl);
		return lock;
	}
	rc = install_locked(target, crl, cas, info, why);
	close(lock);
	return rc;
}

int
pki_crl_install(const char *target_file, const char *crl_file, const char *ca_file, char *why)
{
	struct pki_crl_info info;
	STACK_OF(X509) *cas = NULL;
	X509_CRL *crl = NULL;
	char text[CLOCK_TEXT_SIZE];
	int rc = pki_x509_read_all(ca_file, &cas, why);

	if (rc == 0) {
		rc = read_one(crl_file, cas, ca_file, &crl, &info, why);
	}
	if (rc == 0 && info.stale) {
		X509_CRL_free(crl);
		rc = pki_fail(why, ERR_DENIED,
			      "%s is stale: its next one was due at %s. Fetch the current list "
			      "of \"%.80s\".",
			      crl_file, clock_text(info.next_update, text), info.issuer);
	} else if (rc == 0) {
		rc = install(target_file, crl, cas, &info, why);
	}
	sk_X509_pop_free(cas, X509_free);
	ERR_clear_error();
	return rc;
}
