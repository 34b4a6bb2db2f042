/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a certificate file says that decides whether boards and other clients
 * can use it: plain facts, no verdict. For gatewayctl, which has none of
 * OpenSSL's types. Any thread; blocks on the disk.
 */
#ifndef GATEWAY_PKI_PKI_INSPECT_H
#define GATEWAY_PKI_PKI_INSPECT_H

#include "pki/pki.h"

/* Texts of subjectAltName; what is no text in printable ASCII is left out. */
struct pki_texts {
	char **list;
	size_t count;
};

struct pki_profile {
	struct pki_cert *cert; /* subject, dates, version, key type, ... */
	bool key_p256;         /* EC P-256, named */
	bool key_rsa;
	char signature[48]; /* "ecdsa-with-SHA256" */
	bool signature_rsa;
	unsigned signature_bits; /* of the hash: 160, 256, ...; 0: unknown */
	bool signature_short;    /* r and s both short, see pki_signature_short() */
	bool has_basic, ca;      /* basicConstraints, and its flag */
	bool has_key_usage, digital_signature, cert_sign;
	bool has_extended_usage, extended_critical, server_auth;
	bool has_names; /* subjectAltName */
	struct pki_texts dns, ip;
	char critical[64]; /* an extension, marked critical, that boards do not know; "" none */
};

/*
 * Every certificate of a PEM file (or the one of a DER file), at least one.
 * ERR_MALFORMED, a negative errno, ... with a sentence.
 */
int pki_profiles_read(const char *file, struct pki_profile **list, size_t *count,
		      char *why) MUST_CHECK;
void pki_profiles_free(struct pki_profile *list, size_t count);

/*
 * Which certificate of ca_file has signed the first one of cert_file? 0 and
 * its place. ERR_NOT_FOUND: none has the name of the issuer; ERR_CRYPTO: one
 * has, but its key has not signed this.
 */
int pki_find_issuer(const char *cert_file, const char *ca_file, size_t *place,
		    char *why) MUST_CHECK;

#endif
