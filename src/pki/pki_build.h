/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates by our profile, in memory: what pki_make.c writes to files.
 * Functions return 0 or a negative code; a caller adds the sentence.
 */
#ifndef GATEWAY_PKI_PKI_BUILD_H
#define GATEWAY_PKI_PKI_BUILD_H

#include "pki/pki_int.h"

/* The last second that every UTCTime reader puts into this century. */
#define PKI_LATEST 2524607999 /* 2049-12-31T23:59:59Z */
#define PKI_DAY 86400

/* A CA in memory. */
struct pki_ca {
	X509 *x509;
	EVP_PKEY *key;
	int64_t not_after;
};

/* From ca.crt and ca.key in the folder, checked: a pair, a CA, not expired. */
int pki_ca_load(const char *folder, struct pki_ca *out, char *why) MUST_CHECK;
void pki_ca_free(struct pki_ca *ca);

/* "FOLDER/FILE" into path[PATH_MAX]. */
int pki_path(char *path, const char *folder, const char *file, char *why) MUST_CHECK;
/* Anything of that name, also a link that leads nowhere. */
bool pki_exists(const char *file);
/* May it stand in a certificate of the gateway? "*." may come first. */
bool pki_is_host_name(const char *name);

EVP_PKEY *pki_key_new(void);

/* When a certificate of that many days ends: before 2050, not after the CA. */
int64_t pki_end(unsigned days, int64_t latest);

/* Version 3, a random serial number, the key, the dates. */
int pki_build_new(EVP_PKEY *key, int64_t not_before, int64_t not_after, X509 **out) MUST_CHECK;
/* One more part of the subject, UTF-8. */
int pki_build_subject(X509 *x509, int nid, struct span text) MUST_CHECK;
int pki_build_basic(X509 *x509, bool is_ca) MUST_CHECK;
/* Bits are numbered as in RFC 5280 4.2.1.3; at most bit 7. */
int pki_build_key_usage(X509 *x509, unsigned first_bit, unsigned last_bit) MUST_CHECK;
int pki_build_extended_usage(X509 *x509, int nid) MUST_CHECK;
int pki_build_subject_key_id(X509 *x509) MUST_CHECK;
/* The CA's key identifier, when it has one. */
int pki_build_authority_key_id(X509 *x509, const X509 *ca) MUST_CHECK;
/*
 * subjectAltName: every name and every address as dNSName, since BearSSL
 * compares an address as a name and looks at nothing else; the addresses as
 * iPAddress as well, for the others.
 */
int pki_build_names(X509 *x509, const struct pki_names *names) MUST_CHECK;

/* Issuer and signature; signed again while both halves are short. */
int pki_build_sign(X509 *x509, const X509 *ca, EVP_PKEY *ca_key) MUST_CHECK;

int pki_build_pem(const X509 *x509, struct buf *pem) MUST_CHECK;
int pki_build_key_pem(const EVP_PKEY *key, struct buf *pem) MUST_CHECK;

#endif
