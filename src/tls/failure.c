/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What OpenSSL knows of a failure, as numbers, and one sentence for the log.
 * The sentence says only what is certain from this one connection; guesses
 * from history are the diagnosis's business.
 */
#include "tls/tls_int.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

#include "base/clock.h"

#define ALERT_RECEIVED(alert) (SSL_AD_REASON_OFFSET + (alert))

static const struct {
	int reason;
	const char *text;
} sentences[] = {
	{ SSL_R_HTTP_REQUEST,
	  "a web client opened the MQTT port" },
	{ SSL_R_HTTPS_PROXY_REQUEST,
	  "someone uses the gateway as a web proxy" },
	{ SSL_R_PACKET_LENGTH_TOO_LONG,
	  "broken or hostile client: a record is too long" },
	{ SSL_R_UNEXPECTED_MESSAGE,
	  "the client sent a message that does not belong here; restart it" },
	{ SSL_R_UNSUPPORTED_PROTOCOL,
	  "the device knows only older TLS than this gateway allows" },
	{ SSL_R_VERSION_TOO_LOW,
	  "the client speaks SSL 3, which is not supported; update it" },
	{ SSL_R_UNKNOWN_PROTOCOL,
	  "the client speaks SSL 2, which is not supported; update it" },
	{ SSL_R_NO_SHARED_CIPHER,
	  "no common cipher suite: a client that knows RSA only (WiFiSSLClient), or the "
	  "gateway's key does not suit the client" },
	{ SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
	  "no common signature algorithm: the client is limited to old TLS" },
	{ SSL_R_SSL3_EXT_INVALID_MAX_FRAGMENT_LENGTH,
	  "broken client: it asks for a fragment length that does not exist" },
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE,
	  "the device presented no certificate: call setEccSlot(0, certificate) before "
	  "connecting, and check the BEGIN and END lines" },
	{ ERR_R_ASN1_LIB,
	  "what the device sent is not a certificate (a request, or PEM as bytes?)" },
	{ SSL_R_BAD_SIGNATURE,
	  "the device's certificate and the key in its chip do not match: wrong slot, or a "
	  "new key was made after enrolment" },
	{ SSL_R_WRONG_CURVE,
	  "the device's key is on a curve that this gateway does not offer; use P-256" },
	{ SSL_R_EXCESSIVE_MESSAGE_SIZE,
	  "the client sent a handshake message that is too long" },
	{ SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC,
	  "a record arrived damaged or forged" },
	{ ALERT_RECEIVED(SSL_AD_UNKNOWN_CA),
	  "the client does not trust our CA: give it the CA's file" },
	{ ALERT_RECEIVED(SSL_AD_BAD_CERTIFICATE),
	  "the client refused our certificate: its name or its start date" },
	{ ALERT_RECEIVED(SSL_AD_CERTIFICATE_EXPIRED),
	  "our certificate has expired by the client's clock" },
	{ ALERT_RECEIVED(SSL_AD_CERTIFICATE_UNKNOWN),
	  "the client refused our certificate for a reason it does not give" },
	{ ALERT_RECEIVED(SSL_AD_INTERNAL_ERROR),
	  "the client gave up: with mosquitto clients, the host name is not in our "
	  "certificate" },
	{ ALERT_RECEIVED(SSL_AD_DECRYPT_ERROR),
	  "the client cannot verify our signature: the gateway's certificate and key may "
	  "not match" },
};

void
tls_info(const SSL *ssl, int where, int value)
{
	struct tls *tls = tls_of(ssl);

	if ((where & SSL_CB_ALERT) == 0 || tls == NULL) {
		return;
	}
	if ((where & SSL_CB_READ) != 0) {
		tls->failure.alert_received = value & 0xff;
	} else {
		tls->failure.alert_sent = value & 0xff;
	}
}

/* ---- sentences ------------------------------------------------------------------------- */

#define NAME_SIZE 65

/* What stands in a certificate is the peer's choice: keep the log readable. */
static const char *
clean(struct span s, char name[NAME_SIZE])
{
	size_t n = s.len < NAME_SIZE - 1 ? s.len : NAME_SIZE - 1;

	for (size_t i = 0; i < n; i++) {
		name[i] = s.ptr[i] >= 0x20 && s.ptr[i] < 0x7f ? (char)s.ptr[i] : '?';
	}
	name[n] = '\0';
	return n > 0 ? name : "none";
}

enum fact { NO_FACT, ISSUER, DATES };

/* What of the certificate helps to understand the sentence. */
static void
add_fact(struct tls_failure *f, const struct pki_cert *cert, enum fact fact)
{
	size_t len = strlen(f->text);
	char name[NAME_SIZE], from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE], now[CLOCK_TEXT_SIZE];

	if (cert == NULL || fact == NO_FACT) {
		return;
	}
	if (fact == ISSUER) {
		snprintf(f->text + len, sizeof f->text - len, " (issuer CN=%s)",
		         clean(cert->issuer_cn, name));
	} else {
		snprintf(f->text + len, sizeof f->text - len,
		         " (valid %s to %s, our clock says %s)",
		         clock_text(cert->not_before, from), clock_text(cert->not_after, to),
		         clock_text(clock_wall(), now));
	}
}

static void
say_of(struct tls_failure *f, const char *what, const struct pki_cert *cert, const char *text)
{
	char name[NAME_SIZE];

	snprintf(f->text, sizeof f->text, "%s %s %s", what,
	         cert != NULL ? clean(cert->cn, name) : "?", text);
}

static void
say_admit(struct tls_failure *f, const struct pki_cert *cert)
{
	switch (f->admit) {
	case TLS_ADMIT_UNKNOWN:
		say_of(f, "the device", cert, "is not in the register; enrol it");
		break;
	case TLS_ADMIT_REVOKED:
		say_of(f, "the device", cert, "is revoked");
		break;
	case TLS_ADMIT_EXPIRED:
		say_of(f, "the enrolment of the device", cert, "has ended");
		break;
	case TLS_ADMIT_BAD:
		say_of(f, "the certificate of", cert,
		       "gives no usable identity, or no map fits it");
		break;
	default:
		snprintf(f->text, sizeof f->text, "the register cannot be read");
		break;
	}
}

#define NOT_OURS "was not issued by our CA"
#define TOO_WEAK "is too weak: its key or its signature"

static const struct {
	int error;
	const char *text; /* after "the certificate of NAME" */
	enum fact fact;
} verdicts[] = {
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, NOT_OURS, ISSUER },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, NOT_OURS, ISSUER },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, NOT_OURS, ISSUER },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "is self-signed; enrol the device, or approve its key", NO_FACT },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "came with a chain to a foreign root", ISSUER },
	{ X509_V_ERR_CERT_HAS_EXPIRED, "has expired", DATES },
	{ X509_V_ERR_CERT_NOT_YET_VALID, "is not valid yet: check this gateway's clock", DATES },
	{ X509_V_ERR_CERT_REVOKED, "is on the revocation list", ISSUER },
	{ X509_V_ERR_INVALID_PURPOSE,
	  "is not one for a client: it is a CA's, a server's, or lacks digitalSignature", NO_FACT },
	{ X509_V_ERR_CERT_SIGNATURE_FAILURE,
	  "is damaged, or comes from another CA with the name of ours", ISSUER },
	{ X509_V_ERR_CA_MD_TOO_WEAK, TOO_WEAK, NO_FACT },
	{ X509_V_ERR_EE_KEY_TOO_SMALL, TOO_WEAK, NO_FACT },
	{ X509_V_ERR_CA_KEY_TOO_SMALL, "was issued with a CA key that is too weak", ISSUER },
	{ X509_V_ERR_UNABLE_TO_GET_CRL,
	  "cannot be checked: the revocation file has no list of its issuer", ISSUER },
	{ X509_V_ERR_CRL_HAS_EXPIRED,
	  "cannot be checked: our revocation list of its issuer has expired", ISSUER },
};

static void
say_verify(struct tls_failure *f, const struct pki_cert *cert)
{
	if (f->verify_error == X509_V_ERR_CERT_HAS_EXPIRED && f->verify_depth > 0) {
		say_of(f, "the certificate of", cert, "has an issuer that has expired");
		add_fact(f, cert, ISSUER);
		return;
	}
	if (f->verify_error == X509_V_ERR_CERT_REVOKED && f->verify_depth > 0) {
		say_of(f, "the certificate of", cert, "has an issuer that is on the revocation list");
		add_fact(f, cert, ISSUER);
		return;
	}
	for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
		if (verdicts[i].error == f->verify_error) {
			say_of(f, "the certificate of", cert, verdicts[i].text);
			add_fact(f, cert, verdicts[i].fact);
			return;
		}
	}
	say_of(f, "the certificate of", cert, X509_verify_cert_error_string(f->verify_error));
}

static bool
starts(const struct tls *tls, const char *text, size_t len)
{
	struct span start = tls_start(tls);

	return start.len >= len && memcmp(start.ptr, text, len) == 0;
}

/* The record header could not be one. */
static const char *
not_tls(const struct tls *tls)
{
	struct span start = tls_start(tls);

	if (start.len >= 5 && start.ptr[0] == 0x10 && start.ptr[2] == 0 &&
	    (start.ptr[3] == 4 || start.ptr[3] == 6) && start.ptr[4] == 'M') {
		return "the device speaks plain MQTT to the encrypted port: put a BearSSLClient "
		       "around the WiFiClient, or use the plain port";
	}
	if (starts(tls, "SSH-", 4)) {
		return "an SSH client opened the MQTT port";
	}
	return "what arrived is not TLS";
}

static const char *
ended_early(const struct tls *tls)
{
	if (tls->state != TLS_HANDSHAKE) {
		return "the connection broke off without a TLS close";
	}
	if (tls_start(tls).len == 0) {
		return "connection opened and closed without a word";
	}
	return "the connection broke off in the middle of the handshake";
}

static const char *
sentence_of(const struct tls *tls, int reason)
{
	if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		return ended_early(tls);
	}
	if (reason == SSL_R_WRONG_VERSION_NUMBER && tls->state == TLS_HANDSHAKE) {
		return not_tls(tls);
	}
	for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
		if (sentences[i].reason == reason) {
			return sentences[i].text;
		}
	}
	return NULL;
}

/* ---- facts ----------------------------------------------------------------------------- */

/* The first reason of the TLS library, and the first entry of all. */
static unsigned long
take_errors(struct tls *tls)
{
	struct tls_failure *failure = &tls->failure;
	unsigned long first = 0, code;

	while ((code = ERR_get_error_all(NULL, NULL, NULL, NULL, NULL)) != 0) {
		if (first == 0) {
			first = code;
		}
		tls_note_error(tls, code);
		if (ERR_GET_LIB(code) == ERR_LIB_SSL && failure->reason == 0) {
			failure->reason = ERR_GET_REASON(code);
		}
	}
	return first;
}

static void
say_failure(struct tls *tls, unsigned long first)
{
	struct tls_failure *f = &tls->failure;
	const char *text = sentence_of(tls, f->reason);

	if (tls->no_memory) {
		snprintf(f->text, sizeof f->text, "out of memory");
	} else if (tls->flooded) {
		f->flooded = true;
		snprintf(f->text, sizeof f->text,
		         "the client sent too much without ending the handshake");
	} else if (f->reason == SSL_R_CERTIFICATE_VERIFY_FAILED && f->admit != TLS_ADMIT_YES &&
	           f->verify_error != X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT) {
		say_admit(f, tls->peer);
	} else if (f->reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		say_verify(f, tls->peer);
	} else if (text != NULL) {
		snprintf(f->text, sizeof f->text, "%s", text);
	} else {
		const char *reason = ERR_reason_error_string(first);

		snprintf(f->text, sizeof f->text, "TLS failed: %s",
		         reason != NULL ? reason : "no reason given");
	}
}

/* A session whose connection broke a rule is not taken up again; one that was
 * merely cut off is (RFC 5246 7.2.1): boards lose power and WiFi. */
static void
drop_session(struct tls *tls)
{
	const SSL_SESSION *session = SSL_get_session(tls->ssl);
	unsigned len;

	if (session != NULL && tls->context->shared != NULL && tls->state == TLS_OPEN &&
	    tls->failure.reason != SSL_R_UNEXPECTED_EOF_WHILE_READING && !tls->no_memory) {
		const uint8_t *id = SSL_SESSION_get_id(session, &len);

		tls_shared_drop(tls->context->shared, span_of(id, len));
	}
}

int
tls_fail(struct tls *tls)
{
	unsigned long first;

	if (tls->state == TLS_HANDSHAKE) {
		tls_note_start(tls, tls->lent); /* OpenSSL stopped before the rest */
	}
	first = take_errors(tls);
	say_failure(tls, first);
	drop_session(tls);
	tls->state = TLS_ENDED;
	tls->ended = tls->no_memory ? -ENOMEM : ERR_CRYPTO;
	return tls->ended;
}
