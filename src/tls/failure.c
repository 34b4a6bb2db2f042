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
	{ SSL_R_HTTP_REQUEST, "a web client opened the MQTT port" },
	{ SSL_R_HTTPS_PROXY_REQUEST, "someone uses the gateway as a web proxy" },
	{ SSL_R_PACKET_LENGTH_TOO_LONG, "broken or hostile client: a record is too long" },
	{ SSL_R_UNEXPECTED_MESSAGE, "the client sent a message that does not belong here; restart it" },
	{ SSL_R_UNSUPPORTED_PROTOCOL, "the device knows only older TLS than this gateway allows" },
	{ SSL_R_VERSION_TOO_LOW, "the client speaks SSL 3, which is not supported; update it" },
	{ SSL_R_UNKNOWN_PROTOCOL, "the client speaks SSL 2, which is not supported; update it" },
	{ SSL_R_NO_SHARED_CIPHER,
	  "no common cipher suite: a client that knows RSA only (WiFiSSLClient), or the gateway's key "
	  "does not suit the client" },
	{ SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
	  "no common signature algorithm: the client is limited to old TLS" },
	{ SSL_R_SSL3_EXT_INVALID_MAX_FRAGMENT_LENGTH,
	  "broken client: it asks for a fragment length that does not exist" },
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE,
	  "the device presented no certificate: call setEccSlot(0, certificate) before connecting, "
	  "and check the BEGIN and END lines" },
	{ ERR_R_ASN1_LIB, "what the device sent is not a certificate (a request, or PEM as bytes?)" },
	{ SSL_R_BAD_SIGNATURE,
	  "the device's certificate and the key in its chip do not match: wrong slot, or a new key was "
	  "made after enrolment" },
	{ SSL_R_WRONG_CURVE, "the device's key is on a curve that this gateway does not offer; use P-256" },
	{ SSL_R_EXCESSIVE_MESSAGE_SIZE, "the client sent a handshake message that is too long" },
	{ SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "a record arrived damaged or forged" },
	{ ALERT_RECEIVED(SSL_AD_UNKNOWN_CA), "the client does not trust our CA: give it the CA's file" },
	{ ALERT_RECEIVED(SSL_AD_BAD_CERTIFICATE),
	  "the client refused our certificate: its name or its start date" },
	{ ALERT_RECEIVED(SSL_AD_CERTIFICATE_EXPIRED),
	  "our certificate has expired by the client's clock" },
	{ ALERT_RECEIVED(SSL_AD_CERTIFICATE_UNKNOWN),
	  "the client refused our certificate for a reason it does not give" },
	{ ALERT_RECEIVED(SSL_AD_INTERNAL_ERROR),
	  "the client gave up: with mosquitto clients, the host name is not in our certificate" },
	{ ALERT_RECEIVED(SSL_AD_DECRYPT_ERROR),
	  "the client cannot verify our signature: the gateway's certificate and key may not match" },
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

/* ---- sentences -------------------------------------------------------------------------- */

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

/* Names and dates of the certificate in question, if we could read it. */
struct about {
	char cn[NAME_SIZE], issuer[NAME_SIZE];
	char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE], now[CLOCK_TEXT_SIZE];
};

static void
about_peer(const struct pki_cert *cert, struct about *about)
{
	snprintf(about->cn, sizeof about->cn, "?");
	snprintf(about->issuer, sizeof about->issuer, "?");
	snprintf(about->from, sizeof about->from, "?");
	snprintf(about->to, sizeof about->to, "?");
	clock_text(clock_wall(), about->now);
	if (cert != NULL) {
		clean(cert->cn, about->cn);
		clean(cert->issuer_cn, about->issuer);
		clock_text(cert->not_before, about->from);
		clock_text(cert->not_after, about->to);
	}
}

static void
say_admit(struct tls_failure *f, const struct about *a)
{
	switch (f->admit) {
	case TLS_ADMIT_UNKNOWN:
		snprintf(f->text, sizeof f->text, "the device %s is not in the register; enrol it", a->cn);
		break;
	case TLS_ADMIT_REVOKED:
		snprintf(f->text, sizeof f->text, "the device %s is revoked", a->cn);
		break;
	case TLS_ADMIT_EXPIRED:
		snprintf(f->text, sizeof f->text, "the enrolment of the device %s has ended", a->cn);
		break;
	case TLS_ADMIT_BAD:
		snprintf(f->text, sizeof f->text,
		         "the certificate of %s gives no usable identity, or no map fits it", a->cn);
		break;
	default:
		snprintf(f->text, sizeof f->text, "the register cannot be read");
		break;
	}
}

static void
say_verify(struct tls_failure *f, const struct about *a)
{
	char *text = f->text;
	const size_t size = sizeof f->text;

	switch (f->verify_error) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
		snprintf(text, size, "the certificate of %s was not issued by our CA (issuer CN=%s)",
		         a->cn, a->issuer);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		snprintf(text, size, "the device uses its self-signed certificate (CN=%s); enrol it", a->cn);
		break;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		snprintf(text, size, "the device sent a chain that ends at a foreign root (issuer CN=%s)",
		         a->issuer);
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		snprintf(text, size, f->verify_depth == 0 ?
		                 "the certificate of %s expired on %s" :
		                 "a CA certificate above that of %s has expired (its own ends on %s)",
		         a->cn, a->to);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		snprintf(text, size, "the certificate of %s begins on %s; this gateway's clock says %s",
		         a->cn, a->from, a->now);
		break;
	case X509_V_ERR_CERT_REVOKED:
		snprintf(text, size, "the certificate of %s is on the revocation list", a->cn);
		break;
	case X509_V_ERR_INVALID_PURPOSE:
		snprintf(text, size, "the certificate of %s is not one for a client: it is a CA's, a "
		                     "server's, or lacks digitalSignature",
		         a->cn);
		break;
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		snprintf(text, size, "the certificate of %s is damaged, or comes from another CA with the "
		                     "name %s",
		         a->cn, a->issuer);
		break;
	case X509_V_ERR_CA_MD_TOO_WEAK:
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
		snprintf(text, size, "the key or the signature of the certificate of %s is too weak", a->cn);
		break;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		snprintf(text, size, "the revocation file has no list of the CA %s", a->issuer);
		break;
	case X509_V_ERR_CRL_HAS_EXPIRED:
		snprintf(text, size, "our revocation list of the CA %s has expired", a->issuer);
		break;
	default:
		snprintf(text, size, "the certificate of %s was refused: %s", a->cn,
		         X509_verify_cert_error_string(f->verify_error));
		break;
	}
}

static bool
starts(const struct tls *tls, const char *text, size_t len)
{
	return tls->head_len >= len && memcmp(tls->head, text, len) == 0;
}

/* The record header could not be one. */
static const char *
not_tls(struct tls *tls)
{
	struct span rest = tls->lent;

	while (tls->head_len < TLS_HEAD && rest.len > 0) {
		tls->head[tls->head_len++] = rest.ptr[0];
		rest = span_skip(rest, 1);
	}
	if (tls->head_len >= 5 && tls->head[0] == 0x10 && tls->head[2] == 0 &&
	    (tls->head[3] == 4 || tls->head[3] == 6) && tls->head[4] == 'M') {
		return "the device speaks plain MQTT to the encrypted port: put a BearSSLClient around "
		       "the WiFiClient, or use the plain port";
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
	if (tls->head_len == 0) {
		return "connection opened and closed without a word";
	}
	return "the connection broke off in the middle of the handshake";
}

static const char *
sentence_of(struct tls *tls, int reason)
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

/* ---- facts ------------------------------------------------------------------------------- */

/* The first reason of the TLS library, and the first entry of all. */
static unsigned long
take_errors(struct tls_failure *failure)
{
	unsigned long first = 0, code;

	while ((code = ERR_get_error_all(NULL, NULL, NULL, NULL, NULL)) != 0) {
		if (first == 0) {
			first = code;
		}
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
	struct about about;

	about_peer(tls->peer, &about);
	if (tls->no_memory) {
		snprintf(f->text, sizeof f->text, "out of memory");
	} else if (tls->flooded) {
		snprintf(f->text, sizeof f->text, "the client sent too much without ending the handshake");
	} else if (f->reason == SSL_R_CERTIFICATE_VERIFY_FAILED && f->admit != TLS_ADMIT_YES) {
		say_admit(f, &about);
	} else if (f->reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		say_verify(f, &about);
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
	unsigned long first = take_errors(&tls->failure);

	say_failure(tls, first);
	drop_session(tls);
	tls->state = TLS_ENDED;
	tls->ended = tls->no_memory ? -ENOMEM : ERR_CRYPTO;
	return tls->ended;
}
