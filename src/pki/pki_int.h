/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share, with OpenSSL's types. */
#ifndef GATEWAY_PKI_PKI_INT_H
#define GATEWAY_PKI_PKI_INT_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "pki/pki_x509.h"

#define PKI_FIELD_MAX 4096        /* bytes of one name that are kept */
#define PKI_INPUT_MAX (64 * 1024) /* bytes of a certificate, request or key file */
#define PKI_BUNDLE_MAX (1024 * 1024) /* bytes of a file of many certificates */
#define PKI_NAME_MAX 64           /* ub-common-name (RFC 5280 appendix A.1) */

/* Fill why (may be NULL, PKI_WHY_SIZE bytes) and return code; empties OpenSSL's error queue. */
int pki_fail(char *why, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * The text of an ASN.1 string as UTF-8, appended with a NUL that the length
 * does not count. ERR_MALFORMED (not a text, not what its type says, a NUL
 * inside), ERR_LIMIT (over PKI_FIELD_MAX), -ENOMEM.
 */
int pki_text_append(struct buf *text, const ASN1_STRING *string, size_t *len) MUST_CHECK;
/* The last common name of a name, NULL when there is none. */
const ASN1_STRING *pki_last_cn(const X509_NAME *name);
/* Seconds since 1970. ERR_MALFORMED. */
int pki_date(const ASN1_TIME *date, int64_t *out) MUST_CHECK;
/* "EC P-256", "RSA 2048" into text[size]. */
void pki_key_type(EVP_PKEY *key, char *text, size_t size);
/* The named curve is P-256, and the key says so by name. */
bool pki_key_is_p256(EVP_PKEY *key);

/*
 * Is the text an IPv4 or IPv6 literal? Its bytes and how many (4 or 16);
 * 0: it is not.
 */
size_t pki_ip_parse(const char *text, uint8_t bytes[16]);

/*
 * The DER inside of a text that a person copied: the first PEM block of that
 * kind ("CERTIFICATE REQUEST"), with anything before it, CRLF, blanks around
 * lines, and the time stamps of the Arduino serial monitor. Without a BEGIN
 * line the text is taken for DER. `what` names the thing in the sentence.
 */
int pki_unwrap(struct span text, const char *kind, const char *what, struct buf *der,
               char *why) MUST_CHECK;

/* The whole file, at most PKI_INPUT_MAX bytes. Wipe it when it held a key. */
int pki_file_read(const char *file, struct buf *content, char *why) MUST_CHECK;
/* The same with another bound. */
int pki_file_read_max(const char *file, size_t max, struct buf *content, char *why) MUST_CHECK;
/* As pki_write_file(), but ERR_EXISTS when the file is there. */
int pki_file_create(const char *file, unsigned mode, struct span content, char *why) MUST_CHECK;
int pki_key_read(const char *file, EVP_PKEY **key, char *why) MUST_CHECK;
int pki_x509_read(const char *file, X509 **x509, char *why) MUST_CHECK;
/* Until when it is valid, seconds since 1970; `file` is named when it cannot be read. */
int pki_x509_end(const X509 *x509, const char *file, int64_t *end, char *why) MUST_CHECK;
/* Every certificate of a PEM file (or the one of a DER file), at least one. */
int pki_x509_read_all(const char *file, STACK_OF(X509) **list, char *why) MUST_CHECK;
void pki_wipe(struct buf *b);

/*
 * Call next() for each object of a PEM text: it reads one off bio and returns
 * ERR_NOT_FOUND when OpenSSL gave it none. 0 at the end of the text,
 * ERR_MALFORMED when an object is damaged, else next()'s code.
 */
int pki_pem_each(struct span text, int (*next)(BIO *bio, void *owner), void *owner) MUST_CHECK;

/* A certificate request whose key is strong enough and whose signature is right. */
struct pki_request {
	X509_REQ *req;
	EVP_PKEY *key; /* belongs to req */
};
int pki_request_read(struct span text, struct pki_request *out, char *why) MUST_CHECK;
void pki_request_free(struct pki_request *request);
/* May the text be the common name of a device? ERR_UNSAFE with a sentence. */
int pki_name_check(struct span name, char *why) MUST_CHECK;

/*
 * BearSSL's hardware verifier (ArduinoBearSSL with the crypto chip) copies r
 * and s by the length of the longer one and fails when both are short.
 */
bool pki_signature_short(struct span ecdsa);

#endif
