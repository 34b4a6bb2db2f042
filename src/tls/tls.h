/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLS as an engine between byte spans: fed with what the network brought,
 * asked for plaintext, drained of what must be sent. No sockets, no loop, no
 * clock of its own beyond certificate dates. Only this folder and pki/ know
 * OpenSSL.
 *
 * struct tls_shared: one per process and configuration: the session store and
 *     the rotating ticket keys that let a session resume on any worker.
 * struct tls_context: one per worker (an OSSL_LIB_CTX of its own: no locks are
 *     shared, measured 25 % less CPU per handshake).
 * struct tls: one per connection, belongs to its worker.
 */
#ifndef GATEWAY_TLS_TLS_H
#define GATEWAY_TLS_TLS_H

#include "base/batch.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "pki/pki.h"

/* ---- shared ---------------------------------------------------------------------------- */

struct tls_shared;

/*
 * sessions: most that the store keeps (least recently used go first, at most
 * four per key); lifetime in seconds, counted from the full handshake, 0:
 * nothing resumes. Contexts hold a reference, so it may be freed before them.
 */
int tls_shared_new(unsigned sessions, unsigned lifetime, struct tls_shared **out) MUST_CHECK;
void tls_shared_free(struct tls_shared *shared);
/* Any thread: nothing issued before now resumes any more (CA or CRL changed). */
void tls_shared_forget_all(struct tls_shared *shared);
/* Any thread: sessions and tickets of this key fingerprint resume no more. */
void tls_shared_forget(struct tls_shared *shared, const char *fingerprint);
/* Sessions kept now. */
size_t tls_shared_count(struct tls_shared *shared);

/* ---- context --------------------------------------------------------------------------- */

/*
 * What the register says of a device whose certificate is valid otherwise.
 * Each verdict ends the handshake with the alert named.
 */
enum tls_admit {
	TLS_ADMIT_YES,
	TLS_ADMIT_UNKNOWN, /* certificate_unknown(46) */
	TLS_ADMIT_REVOKED, /* certificate_revoked(44) */
	TLS_ADMIT_EXPIRED, /* certificate_expired(45) */
	TLS_ADMIT_BAD,     /* bad_certificate(42): no usable identity, no map */
	TLS_ADMIT_ERROR,   /* internal_error(80): the register cannot be read */
	TLS_ADMIT_GRACE,   /* yes, even though the certificate has expired */
};

/* Who vouches for a certificate. */
enum tls_trust {
	TLS_TRUST_CA,          /* a CA of ours issued it */
	TLS_TRUST_SELF_SIGNED, /* nobody: only its key can be known */
};

struct tls_calls {
	/*
	 * Decide on a certificate that passed X.509 checks: on full handshakes
	 * inside the certificate verification, on resumptions before the session
	 * is accepted (a refusal then falls back to a full handshake, which
	 * meets the same question and sends the alert). `owner` is the
	 * connection's (tls_new()). May be called twice for one connection. That
	 * the peer holds the key is proved only after it.
	 *
	 * Two faults of a certificate wait for this answer. One that is
	 * self-signed gets unknown_ca(48) unless the answer is yes or names a
	 * reason of its own (revoked, expired, error). One that has expired is
	 * let in by TLS_ADMIT_GRACE only, and meets the question again, and no
	 * resumption, each time; it gets certificate_expired(45) else, or
	 * certificate_revoked.
	 */
	enum tls_admit (*admit)(void *owner, const struct pki_cert *cert, enum tls_trust trust,
	                        bool resumed);
};

struct tls_settings {
	const char *certificate, *key, *ca; /* PEM files */
	const char *crl;                    /* PEM file or NULL */
	bool crl_stale;                     /* a list whose nextUpdate has passed still counts */
	unsigned min_version;               /* 12 or 13 */
};

struct tls_context;

/*
 * Any thread may make a context, one thread uses it. shared NULL: nothing
 * resumes. A session resumes only under the same CA file and revocation list.
 * why: PKI_WHY_SIZE bytes, a sentence with the file's name on failure.
 * ERR_CONF for what is wrong with a file, ERR_CRYPTO, -ENOMEM.
 */
int tls_context_new(const struct tls_settings *settings, struct tls_shared *shared,
                    const struct tls_calls *calls, struct tls_context **out, char *why) MUST_CHECK;
/*
 * Counted: connections hold a reference, so a reload swaps contexts freely.
 * The last one goes on the thread that used it, or after that has ended:
 * OpenSSL keeps random generators per thread.
 */
void tls_context_unref(struct tls_context *context);

/* What we present to devices, gathered once per context. */
#define TLS_NAMES 8
#define TLS_NAME_SIZE 128
struct tls_presented {
	char names[TLS_NAMES][TLS_NAME_SIZE]; /* dNSNames; the common name if there are none */
	unsigned name_count;                  /* of the certificate; perhaps more than are kept */
	char subject[TLS_NAME_SIZE], ca_subject[TLS_NAME_SIZE]; /* RFC 2253 text, cut */
	char ca_fingerprint[PKI_FINGERPRINT_SIZE]; /* SHA-256 of its issuer's certificate */
	int64_t not_before, not_after;
	char key[32];        /* "EC P-256" */
	char fault[TLS_NAME_SIZE]; /* that boards do not forgive; "" none */
	bool short_signature; /* r and s both short: the crypto chip cannot check it */
};
const struct tls_presented *tls_context_presented(const struct tls_context *context);
struct tls;
/* Of the connection's context. */
const struct tls_presented *tls_presented(const struct tls *tls);

/* ---- connection ------------------------------------------------------------------------ */

enum tls_state {
	TLS_HANDSHAKE, /* needs more from the peer */
	TLS_OPEN,
	TLS_ENDED,     /* close_notify received, or failed */
};

/*
 * Ciphertext to send is appended to `out`, which the caller empties; it may be
 * shared by all connections of a worker as long as it is emptied after each
 * call below.
 */
int tls_new(struct tls_context *context, void *owner, struct tls **out) MUST_CHECK;
void tls_free(struct tls *tls);

/*
 * Lend the bytes that arrived. They must stay valid during the following
 * tls_handshake() and tls_read() calls, until tls_unread() was asked; what
 * tls_unread() returns was not taken and must be lent again later (first).
 */
void tls_lend(struct tls *tls, struct span cipher);
struct span tls_unread(struct tls *tls);
/* The peer sent FIN. */
void tls_lend_eof(struct tls *tls);

/*
 * Go on with the handshake as far as the lent bytes allow. ERR_MORE, 0 when
 * it is complete (once), or a failure after which tls_failure() tells more and
 * `out` holds the alert to send.
 */
int tls_handshake(struct tls *tls, struct buf *out) MUST_CHECK;
/*
 * Decrypt into memory, as many records as fit: bytes > 0; ERR_MORE; ERR_CLOSED
 * after close_notify; ERR_CRYPTO. Call until ERR_MORE, or keep what
 * tls_unread() says. `out` may get bytes (key update, alerts). An end behind
 * data is reported by the next call.
 */
int64_t tls_read(struct tls *tls, uint8_t *plain, size_t size, struct buf *out) MUST_CHECK;
/* True when tls_read() would return bytes without anything lent. */
bool tls_pending(const struct tls *tls);
/*
 * Encrypt the pieces of a batch, joined into full records. 0 or ERR_CRYPTO,
 * -ENOMEM.
 */
int tls_write(struct tls *tls, const struct batch *plain, struct buf *out) MUST_CHECK;
/*
 * Would the peer's certificate pass under another context (the configuration
 * was read again)? Always true when that trusts the same CAs and lists. Its
 * dates and the register are not looked at.
 */
bool tls_still_trusted(const struct tls *tls, const struct tls_context *now);
/* close_notify: the end of this connection, in both directions; nothing is read any more. */
void tls_shutdown(struct tls *tls, struct buf *out);

/* ---- facts ----------------------------------------------------------------------------- */

enum tls_state tls_state(const struct tls *tls);
/* After the handshake: the peer's certificate, owned by tls. Also when the
 * verification failed, if the peer showed one; else NULL. */
const struct pki_cert *tls_peer(const struct tls *tls);
bool tls_resumed(const struct tls *tls);
/* Who vouches for the peer, for what tls_peer() says. */
enum tls_trust tls_trust(const struct tls *tls);
const char *tls_version_text(const struct tls *tls); /* "TLSv1.2" */
const char *tls_cipher_text(const struct tls *tls);
/* Server name the client asked for, "" none. */
const char *tls_server_name(const struct tls *tls);

struct tls_failure {
	int reason;        /* reason number of OpenSSL's library 20, 0 none */
	int verify_error;  /* X509_V_ERR_*, 0 none */
	int verify_depth;
	int alert_sent, alert_received; /* -1 none */
	enum tls_admit admit; /* of the last admit() */
	bool flooded;         /* more bytes came than a handshake may have */
	char text[256];    /* a sentence for the log */
};
const struct tls_failure *tls_failure(const struct tls *tls);

/* ---- evidence -------------------------------------------------------------------------- */

#define TLS_MESSAGES 32
#define TLS_ERRORS 8

/* A handshake message that passed. */
struct tls_message {
	uint8_t type;
	bool sent;   /* by us */
	uint32_t ms; /* since tls_new() */
};

/* What happened in a handshake, for the diagnosis. */
struct tls_evidence {
	struct buf start;      /* the first raw bytes, until the hello was read */
	uint32_t received, sent; /* sets of message types, bit n for type n */
	struct tls_message message[TLS_MESSAGES]; /* the first of them */
	unsigned message_count;
	struct {
		int library, reason;
	} error[TLS_ERRORS];   /* OpenSSL's queue, oldest first */
	unsigned error_count;
	unsigned cert_length;  /* bytes of DER of the peer's certificate, 0 none */
	unsigned chain_length; /* certificates that it sent */
	bool by_intermediate;  /* its issuer stands in our own chain, and is no root */
	size_t taken;          /* bytes that the handshake read */
	uint64_t begun;        /* clock_ms() */
};
/* NULL after tls_forget_evidence(). */
const struct tls_evidence *tls_evidence(const struct tls *tls);
/* Past what can be diagnosed from it: give the memory back. Not during the handshake. */
void tls_forget_evidence(struct tls *tls);

#endif
