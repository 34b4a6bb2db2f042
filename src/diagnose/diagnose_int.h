/* SPDX-License-Identifier: BSD-2-Clause */
/* For this folder and its tests. */
#ifndef GATEWAY_DIAGNOSE_DIAGNOSE_INT_H
#define GATEWAY_DIAGNOSE_DIAGNOSE_INT_H

#include "diagnose/diagnose.h"

/* The first rule that fits decides: the order of a list is its precedence. */
struct rule {
	enum diagnose_cause cause;
	bool (*fits)(const struct diagnose_evidence *e);
	uint32_t by; /* set of enum diagnose_by */
};

struct rules {
	const struct rule *list;
	size_t count;
};

extern const struct rules rules_start;       /* bytes and hello */
extern const struct rules rules_certificate; /* what the device showed */
extern const struct rules rules_silence;     /* hung up without a word */
extern const struct rules rules_session;     /* TLS after the handshake, MQTT, broker */

/* Fill a template in: {words} from the evidence, others stay. Always NUL-terminated. */
void words_fill(const char *template, const struct diagnose_evidence *e, char *text, size_t size);
/* Is this the name of a word? For the test of the table. */
bool words_known(struct span name);

/* ---- shared by the rules ----------------------------------------------------------- */

/*
 * Numbers of OpenSSL 3 (reasons of library 20, and checks of certificates),
 * here by value: this folder does not know OpenSSL. A test compares them.
 */
#define OPENSSL_NUMBER_LIST(X)                       \
	X(SSL_R_BAD_SIGNATURE, 123)                  \
	X(SSL_R_EXCESSIVE_MESSAGE_SIZE, 152)         \
	X(SSL_R_HTTPS_PROXY_REQUEST, 155)            \
	X(SSL_R_HTTP_REQUEST, 156)                   \
	X(SSL_R_NO_SUITABLE_KEY_SHARE, 101)          \
	X(SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, 118) \
	X(SSL_R_NO_SHARED_CIPHER, 193)               \
	X(SSL_R_PACKET_LENGTH_TOO_LONG, 198)         \
	X(SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, 199) \
	X(SSL_R_SSL3_EXT_INVALID_MAX_FRAGMENT_LENGTH, 232) \
	X(SSL_R_UNEXPECTED_MESSAGE, 244)             \
	X(SSL_R_UNKNOWN_PROTOCOL, 252)               \
	X(SSL_R_UNSUPPORTED_PROTOCOL, 258)           \
	X(SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, 281) \
	X(SSL_R_WRONG_CURVE, 378)                    \
	X(SSL_R_VERSION_TOO_LOW, 396)                \
	X(ERR_R_ASN1_LIB, 524301)                    \
	X(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, 2)   \
	X(X509_V_ERR_UNABLE_TO_GET_CRL, 3)           \
	X(X509_V_ERR_CERT_SIGNATURE_FAILURE, 7)      \
	X(X509_V_ERR_CERT_NOT_YET_VALID, 9)          \
	X(X509_V_ERR_CERT_HAS_EXPIRED, 10)           \
	X(X509_V_ERR_CRL_HAS_EXPIRED, 12)            \
	X(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, 18) \
	X(X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, 19)  \
	X(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 20) \
	X(X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, 21) \
	X(X509_V_ERR_CERT_REVOKED, 23)               \
	X(X509_V_ERR_INVALID_PURPOSE, 26)            \
	X(X509_V_ERR_EE_KEY_TOO_SMALL, 66)           \
	X(X509_V_ERR_CA_KEY_TOO_SMALL, 67)           \
	X(X509_V_ERR_CA_MD_TOO_WEAK, 68)

enum {
#define X(name, number) N_##name = (number),
	OPENSSL_NUMBER_LIST(X)
#undef X
};

enum {
	MESSAGE_CLIENT_HELLO = 1,
	MESSAGE_SERVER_HELLO = 2,
	MESSAGE_CERTIFICATE = 11,
	MESSAGE_HELLO_DONE = 14,
	MESSAGE_CERTIFICATE_VERIFY = 15,
	MESSAGE_FINISHED = 20,
};

static inline bool
received(const struct diagnose_evidence *e, unsigned type)
{
	return (e->received & HANDSHAKE(type)) != 0;
}

/* Does OpenSSL's queue hold this reason of the TLS library? */
static inline bool
has_reason(const struct diagnose_evidence *e, int reason)
{
	for (unsigned i = 0; i < e->error_count && i < DIAGNOSE_ERRORS; i++) {
		if (e->errors[i].library == 20 && e->errors[i].reason == reason) {
			return true;
		}
	}
	return false;
}

static inline enum first_bytes
first_kind(const struct diagnose_evidence *e)
{
	return first_bytes_kind(span_head(span_of(e->first, e->first_len), FIRST_BYTES_MAX));
}

static inline bool
peer_left(const struct diagnose_evidence *e)
{
	return e->end == END_FIN || e->end == END_RESET;
}

#endif
