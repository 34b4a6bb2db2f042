/* SPDX-License-Identifier: BSD-2-Clause */
/* For this folder only: what its files know of each other. */
#ifndef GATEWAY_TLS_TLS_INT_H
#define GATEWAY_TLS_TLS_INT_H

#include <stdatomic.h>

#include <openssl/ssl.h>

#include "tls/tls.h"

/* ---- shared.c -------------------------------------------------------------------------- */

/*
 * Travels inside every session and ticket. It is made and read by the same
 * process (ticket keys do not outlive it), so it is copied as it lies.
 */
struct tls_stamp {
	uint64_t sequence;   /* of the store, before the certificate was verified */
	uint64_t born;       /* clock_ms() of the full handshake, kept on renewal */
	int64_t valid_until; /* first end date in the verified chain */
	uint64_t trust;      /* enum tls_trust; wide, so that there is no padding */
};

/* Larger sessions are not kept; the peer meets a full handshake then. */
#define TLS_SESSION_MAX 4096

#define TLS_TICKET_NAME 16

struct tls_ticket_key {
	uint8_t name[TLS_TICKET_NAME];
	uint8_t cipher[32];
	uint8_t mac[32];
	uint64_t born; /* clock_ms(); 0: empty */
};

void tls_shared_ref(struct tls_shared *shared);
unsigned tls_shared_lifetime(const struct tls_shared *shared);
/* For the stamp: take it before the certificate is looked at. */
uint64_t tls_shared_sequence(struct tls_shared *shared);
/* Neither too old nor forgotten. */
bool tls_shared_valid(struct tls_shared *shared, const char *fingerprint,
                      const struct tls_stamp *stamp);
/*
 * What is kept of a session. The peer's certificate lies beside it, with what
 * was read from it: OpenSSL would decode one in it each time that it resumes,
 * which costs more than all the rest, and hold it as long as the connection.
 */
struct tls_kept {
	struct span session;   /* serialised, without the certificate */
	struct span der;       /* the certificate */
	struct pki_cert *cert; /* what it says */
};
/* Keep a copy. Failing to is no error: it will not resume. */
void tls_shared_put(struct tls_shared *shared, struct span id, const struct tls_kept *kept,
                    const struct tls_stamp *stamp);
/*
 * A copy, the spans in memory[TLS_SESSION_MAX] and the certificate to be freed
 * by the caller. False when it is not there.
 */
bool tls_shared_get(struct tls_shared *shared, struct span id, uint8_t *memory,
                    struct tls_kept *out);
void tls_shared_drop(struct tls_shared *shared, struct span id);
/* The key for new tickets; rotates. The caller wipes its copy. */
int tls_shared_ticket_key(struct tls_shared *shared, struct tls_ticket_key *out) MUST_CHECK;
/* The key of a ticket; *newest tells whether new tickets get it too. */
int tls_shared_ticket_find(struct tls_shared *shared, const uint8_t *name,
                           struct tls_ticket_key *out, bool *newest) MUST_CHECK;

/* ---- context.c ------------------------------------------------------------------------- */

#define TLS_RECORD_MAX 16384 /* plaintext bytes of one record */

struct tls_context {
	atomic_uint refs;
	OSSL_LIB_CTX *libctx;
	OSSL_PROVIDER *provider;
	SSL_CTX *ssl;
	BIO_METHOD *method;
	EVP_CIPHER *ticket_cipher;
	struct tls_shared *shared; /* NULL: nothing resumes */
	struct tls_calls calls;
	STACK_OF(X509_CRL) *lists;
	bool crl_stale;
	struct tls_presented presented;
	uint8_t session_context[32]; /* hash of the CA file and the CRL */
	uint8_t scratch[TLS_RECORD_MAX]; /* a record in the making, or a session */
};

/* ---- connection.c ---------------------------------------------------------------------- */

struct tls {
	struct tls_context *context;
	void *owner;
	SSL *ssl;
	enum tls_state state;
	int ended; /* what every call returns once the connection has ended */
	bool eof, no_memory, flooded;
	struct span lent;
	struct buf *out;   /* of the call in progress, else NULL */
	struct tls_evidence *evidence; /* not NULL during the handshake */
	char *server_name;
	struct pki_cert *peer;
	struct pki_cert *offered; /* of a session that may resume, not yet the peer */
	struct buf der; /* the certificate, of a session from the store */
	struct tls_stamp stamp; /* of the peer, or of the session that may resume */
	struct tls_failure failure;
};

/* The connection behind an SSL. */
static inline struct tls *
tls_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

BIO_METHOD *tls_bio_method(void);

/* ---- evidence.c ------------------------------------------------------------------------ */

/* Bytes that OpenSSL takes, or never will. */
void tls_note_start(struct tls *tls, struct span taken);
/* For SSL_CTX_set_msg_callback(). */
void tls_note_message(int sent, int version, int type, const void *data, size_t len, SSL *ssl,
                      void *arg);
void tls_note_error(struct tls *tls, unsigned long code);
/* The peer's certificate, whether or not it will do. */
void tls_note_certificate(struct tls *tls, X509 *cert, const STACK_OF(X509) *chain);
struct span tls_start(const struct tls *tls);
void tls_free_evidence(struct tls *tls);

/* ---- presented.c ----------------------------------------------------------------------- */

/* Fill context->presented in, from its certificate and whom it trusts. */
int tls_present(struct tls_context *context) MUST_CHECK;

/* ---- verify.c, resume.c, failure.c ----------------------------------------------------- */

/* For SSL_CTX_set_cert_verify_callback(): X.509, then the register. */
int tls_verify(X509_STORE_CTX *store, void *arg);
int64_t tls_asn1_time(const ASN1_TIME *time);
/* Session identifiers and tickets of a context that has a shared store. */
int tls_resume_init(struct tls_context *context) MUST_CHECK;
/* Choose the kind of resumption; for the client hello callback. */
void tls_resume_hello(SSL *ssl);
/* Note alerts as they pass. */
void tls_info(const SSL *ssl, int where, int value);
/* The connection failed in an OpenSSL call: collect the facts, end it. */
int tls_fail(struct tls *tls);

#endif
