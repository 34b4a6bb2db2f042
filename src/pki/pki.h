/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates, requests and keys: reading them, and making them by the
 * profile that the Arduino stack needs. OpenSSL types stay inside pki/ and
 * tls/ (see pki_int.h). Functions that fail for a reason a person can mend
 * fill `why` with a sentence. Any thread.
 */
#ifndef GATEWAY_PKI_PKI_H
#define GATEWAY_PKI_PKI_H

#include "base/err.h"
#include "base/span.h"

#define PKI_FINGERPRINT_SIZE 65 /* SHA-256 in lower case hex, and a NUL */
#define PKI_WHY_SIZE 256

/* ---- reading ------------------------------------------------------------------ */

/*
 * What we know of a certificate. One allocation, immutable, all text
 * NUL-terminated behind its span. Names are as they stand in the certificate
 * (converted to UTF-8 where the type says another encoding): not yet safe for
 * templates, see topic_value_safe(). At most 4,096 bytes of each are kept;
 * longer ones make reading fail.
 */
struct pki_cert {
	struct span subject;   /* RFC 2253 text */
	struct span issuer;
	struct span cn;        /* last common name; empty: none */
	struct span san_dns;   /* first dNSName */
	struct span san_uri;   /* first uniformResourceIdentifier */
	struct span issuer_cn;
	struct span serial;    /* upper case hex */
	struct span key_type;  /* "EC P-256", "RSA 2048", ... */
	char fingerprint[PKI_FINGERPRINT_SIZE];      /* SHA-256 of the SubjectPublicKeyInfo */
	char certificate_hash[PKI_FINGERPRINT_SIZE]; /* SHA-256 of the whole certificate */
	int64_t not_before, not_after; /* seconds since 1970 */
	int version;                   /* 1 or 3 */
	bool self_signed, is_ca;
};

/* From DER. 0, ERR_MALFORMED, ERR_LIMIT, -ENOMEM. Free with pki_cert_free(). */
int pki_cert_read(struct span der, struct pki_cert **out) MUST_CHECK;
/* The first certificate of a PEM (or the one of a DER) file. */
int pki_cert_read_file(const char *file, struct pki_cert **out, char *why) MUST_CHECK;
void pki_cert_free(struct pki_cert *cert);

/*
 * Before a daemon uses them: does the key belong to the certificate
 * (ERR_CRYPTO), and has it not expired (ERR_DENIED)? ERR_MALFORMED or a
 * negative errno when a file cannot be read. A start in the future is no
 * fault: a host without a battery clock starts in the past.
 */
int pki_check_pair(const char *cert_file, const char *key_file, char *why) MUST_CHECK;

/*
 * What a BearSSL client needs to know of a CA: its subject as DER, byte for
 * byte, and its key. Only CAs with an EC key on P-256, P-384 or P-521 have
 * one here (ERR_DENIED else): the crypto chip verifies nothing but P-256.
 */
struct pki_anchor {
	uint8_t subject[1024];
	size_t subject_len;
	uint8_t point[133]; /* uncompressed: 04 X Y */
	size_t point_len;   /* 65 for P-256, 97, 133 */
	unsigned curve;     /* BearSSL's (TLS's) number: 23, 24, 25 */
};
int pki_anchor_read_file(const char *file, struct pki_anchor *out, char *why) MUST_CHECK;

/* ---- making: used by gatewayctl only --------------------------------------------- */

struct pki_names {
	const char *const *dns; /* host names and IP literals, as texts */
	size_t dns_count;
	const char *const *ip;  /* IP literals, for iPAddress entries */
	size_t ip_count;
};

/*
 * A new CA: P-256, self-signed, basicConstraints critical CA, keyUsage
 * keyCertSign and cRLSign, short plain subject. Writes ca.key (0600) and
 * ca.crt (0644) into the folder. ERR_EXISTS when either is there.
 */
int pki_make_ca(const char *folder, const char *common_name, unsigned days, char *why) MUST_CHECK;
/*
 * The gateway's key (0640) and certificate (0644) by the profile of the
 * gateway: CN = first name, every name and IP literal as dNSName, iPAddress
 * too, EKU serverAuth not critical, notBefore as given (0: 1970-01-01),
 * signed again while r and s are both below 2^248. Replaces the certificate
 * atomically; keeps an existing key when keep_key.
 */
int pki_make_gateway(const char *folder, const struct pki_names *names, int64_t not_before,
                     unsigned days, bool keep_key, char *why) MUST_CHECK;

/* A certificate for a device, and what it says. */
struct pki_issued {
	char *pem;             /* NUL-terminated */
	uint8_t *der;
	size_t der_len;
	struct pki_cert *cert;
};
void pki_issued_free(struct pki_issued *issued);

/*
 * Sign a request (PEM or DER): the request's own signature is checked, weak
 * keys are refused (RSA below 2048, curves other than P-256, P-384, Ed25519),
 * no extension is copied. `name` NULL: the request's common name. The
 * certificate has CN = name, the device profile (clientAuth, critical
 * digitalSignature and CA false), starts a day in the past, and at least 480
 * bytes of DER. ERR_MALFORMED, ERR_CRYPTO (signature of the request),
 * ERR_DENIED (weak key), ERR_UNSAFE (name) each with a sentence.
 */
int pki_sign_request(const char *folder, struct span request, const char *name, unsigned days,
                     struct pki_issued *out, char *why) MUST_CHECK;
/* A new P-256 key, written to key_file (0600, must not exist), and its certificate. */
int pki_make_device(const char *folder, const char *name, const char *key_file, unsigned days,
                    struct pki_issued *out, char *why) MUST_CHECK;
/* Write text to a file atomically with that mode: temporary, sync, rename. */
int pki_write_file(const char *file, unsigned mode, struct span content, char *why) MUST_CHECK;

#endif
