/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates, requests and keys: reading them, and making them by the
 * profile that the Arduino stack needs. OpenSSL types stay inside pki/ and
 * tls/ (see pki_x509.h). Functions that fail for a reason a person can mend
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
/* One of the above, again. NULL: no memory. */
struct pki_cert *pki_cert_copy(const struct pki_cert *cert);
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
 * byte, and its key. Either an EC key on P-256, P-384 or P-521 (the crypto
 * chip verifies P-256 only), or RSA of 1,024 to 4,096 bits (software only):
 * then curve is 0. Other keys: ERR_DENIED.
 */
struct pki_anchor {
	uint8_t subject[1024];
	size_t subject_len;
	uint8_t point[133]; /* uncompressed: 04 X Y */
	size_t point_len;   /* 65 for P-256, 97, 133; RSA: 0 */
	unsigned curve;     /* BearSSL's (TLS's) number: 23, 24, 25; RSA: 0 */
	uint8_t modulus[512]; /* big-endian, no leading zero */
	size_t modulus_len;   /* EC: 0 */
	uint8_t exponent[8];
	size_t exponent_len;
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
 * ca.crt with a later end and all else as it was, so that what it has signed
 * and what trusts it stays good; it may have expired. ERR_EXISTS when it would
 * not end later, ERR_DENIED when another CA has signed it.
 */
int pki_renew_ca(const char *folder, unsigned days, char *why) MUST_CHECK;
/*
 * The gateway's key (0640) and certificate (0644) by the profile of the
 * gateway: CN = first name, every name and IP literal as dNSName, iPAddress
 * too, EKU serverAuth not critical, notBefore as given (0: 1970-01-01),
 * signed again while r and s are both below 2^248. Replaces the certificate
 * atomically; keeps an existing key when keep_key. ERR_UNSAFE: a bad name, or
 * the first one is the name of the CA itself.
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
/* What a request says, checked as pki_sign_request() does; nothing is signed. */
struct pki_request_info {
	char fingerprint[PKI_FINGERPRINT_SIZE];
	char name[257]; /* its common name; "" none that a device may have */
};
int pki_request_about(struct span request, struct pki_request_info *out, char *why) MUST_CHECK;
/*
 * A new certificate for the key of a certificate (PEM or DER): the way to
 * renew when nobody has the request any more. `name` NULL: the same name.
 */
int pki_renew_device(const char *folder, const char *cert_file, const char *name, unsigned days,
                     struct pki_issued *out, char *why) MUST_CHECK;
/* A new P-256 key, written to key_file (0600, must not exist), and its certificate. */
int pki_make_device(const char *folder, const char *name, const char *key_file, unsigned days,
                    struct pki_issued *out, char *why) MUST_CHECK;
/* Write text to a file atomically with that mode: temporary, sync, rename. */
int pki_write_file(const char *file, unsigned mode, struct span content, char *why) MUST_CHECK;

/* ---- revocation lists ---------------------------------------------------------------- */

/* One revoked certificate. */
struct pki_crl_entry {
	const char *serial; /* hex, as in struct pki_cert */
	int64_t revoked;    /* seconds since 1970 */
	int reason;         /* CRLReason (RFC 5280 5.3.1), see pki_crl_reason() */
};

#define PKI_CRL_NUMBER_SIZE 52 /* 20 bytes in decimal, and a NUL */

struct pki_crl_info {
	char issuer[256];                 /* RFC 2253 text, cut when longer */
	char number[PKI_CRL_NUMBER_SIZE]; /* decimal; empty: it has none */
	int64_t this_update, next_update; /* next_update 0: it does not say */
	size_t count;                     /* of revoked certificates */
	bool stale;                       /* next_update has passed */
};

/*
 * The number of a reason ("keyCompromise", "key-compromise"; case does not
 * matter) and its name. ERR_NOT_FOUND or NULL for those that do not fit a
 * complete list.
 */
int pki_crl_reason(const char *name) MUST_CHECK;
const char *pki_crl_reason_name(int reason);

/*
 * A complete v2 list of our CA, signed, into out_file (PEM, 0644, replaced
 * atomically). Its number grows with each; the last one is kept in
 * FOLDER/ca.crlnumber. A serial that occurs twice is listed once, with its
 * earliest date. days: until nextUpdate. ERR_MALFORMED (a serial number, a
 * reason), ERR_DENIED (the CA may not sign lists), ...
 */
int pki_crl_make(const char *folder, const struct pki_crl_entry *entries, size_t count,
                 unsigned days, const char *out_file, char *why) MUST_CHECK;

/*
 * Is every list in the file (PEM, or one in DER) a complete one that a CA of
 * ca_file has signed? each() is told of one after the other, until the first
 * fault. A stale list passes: what to do with it is a matter of policy.
 * ERR_MALFORMED, ERR_NOT_FOUND (no such CA), ERR_CRYPTO (signature),
 * ERR_DENIED (starts in the future; CA without the right), ERR_VERSION (a
 * partial, delta or indirect list, or one that OpenSSL would stumble over).
 */
int pki_crl_check_bundle(const char *file, const char *ca_file,
                         void (*each)(void *arg, const struct pki_crl_info *info), void *arg,
                         char *why) MUST_CHECK;
/*
 * Check the list and put it into the PEM file of lists that the daemon reads,
 * in the place of the older one of the same CA. ERR_EXISTS: the one that is
 * there is newer. ERR_DENIED also when the list is stale already, ERR_VERSION
 * also when the file holds several. The same list once more is no fault.
 */
int pki_crl_install(const char *target_file, const char *crl_file, const char *ca_file,
                    char *why) MUST_CHECK;

/* ---- a CA from elsewhere ---------------------------------------------------------------- */

/*
 * Take over an existing CA: FOLDER/ca.crt, and FOLDER/ca.key when key_file is
 * not NULL. Without the key its devices are accepted, but certificates cannot
 * be issued here. `warn` is called with a sentence for each thing that will
 * work less well, before anything is written. ERR_EXISTS: there is a CA.
 * ERR_DENIED: not a CA, expired, or a key nobody accepts. ERR_CRYPTO: the key
 * belongs to another certificate. ERR_MALFORMED: also a pass phrase.
 */
int pki_ca_import(const char *folder, const char *cert_file, const char *key_file,
                  void (*warn)(void *arg, const char *sentence), void *arg,
                  char *why) MUST_CHECK;

/* ---- upkeep of the gateway's certificate ------------------------------------------------- */

/* What FOLDER/gateway.crt says; one allocation. */
struct pki_gateway_info {
	struct pki_names names; /* dns: the common name first */
	int64_t not_before, not_after;
};

/* ERR_UNSAFE: a name in it is none that this program would write. */
int pki_gateway_read(const char *folder, struct pki_gateway_info **out, char *why) MUST_CHECK;
void pki_gateway_info_free(struct pki_gateway_info *info);

#endif
