/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Resumption from the shared store, by session identifier (TLS 1.2) or what
 * TLS 1.3 calls a stateful ticket, and by sealed ticket (TLS 1.2). The peer
 * shows no certificate then and OpenSSL checks nothing again, so each way
 * passes may_resume() first. Whoever fails there meets a full handshake with
 * the same questions, and gets the alert.
 */
#include "tls/tls_int.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "pki/pki_x509.h"

/* ---- the check ------------------------------------------------------------------------- */

static bool
read_stamp(SSL_SESSION *session, struct tls_stamp *stamp)
{
	void *data;
	size_t len;

	if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 || len != sizeof *stamp) {
		return false;
	}
	memcpy(stamp, data, len);
	return true;
}

static bool
same_listener(const struct tls_context *context, const SSL_SESSION *session)
{
	unsigned len;
	const uint8_t *id = SSL_SESSION_get0_id_context(session, &len);

	return span_eq(span_of(id, len),
	               span_of(context->session_context, sizeof context->session_context));
}

static bool
still_good(struct tls *tls, const struct pki_cert *cert, const struct tls_stamp *stamp)
{
	int64_t now = clock_wall();

	if (now < cert->not_before || now > cert->not_after || now > stamp->valid_until ||
	    !tls_shared_valid(tls->context->shared, cert->fingerprint, stamp)) {
		return false;
	}
	tls->failure.admit = tls->context->calls.admit(
	        tls->owner, cert, (enum tls_trust)stamp->trust, true);
	return tls->failure.admit == TLS_ADMIT_YES;
}

/*
 * The certificate is the peer's, with which the session was made: what it says
 * (taken over), and itself, unless OpenSSL has it in the session.
 */
static bool
may_resume(struct tls *tls, SSL_SESSION *session, struct pki_cert *cert, struct span der)
{
	struct tls_stamp stamp;

	buf_release(&tls->der);
	if (!read_stamp(session, &stamp) || !same_listener(tls->context, session) ||
	    !still_good(tls, cert, &stamp) || buf_append(&tls->der, der) != 0) {
		pki_cert_free(cert);
		return false;
	}
	buf_fit(&tls->der); /* for as long as the connection */
	pki_cert_free(tls->offered);
	tls->offered = cert;
	tls->stamp = stamp;
	return true;
}

/* ---- a session and its certificate ----------------------------------------------------- */

#define DER_SEQUENCE 0x30
#define DER_PEER 0xa3 /* [3] in OpenSSL's form of a session: the peer's certificate */

/* The next element: all of it, and what is in it. Its tag; 0: there is none. */
static uint8_t
read_element(struct reader *r, struct span *whole, struct span *content)
{
	const uint8_t *start = r->at;
	uint8_t tag = read_u8(r);
	size_t len = read_u8(r);

	if (len > 0x82) {
		r->bad = true; /* longer than any that is kept */
	} else if (len >= 0x80) {
		len = len == 0x82 ? read_u16(r) : read_u8(r);
	}
	*content = read_bytes(r, len);
	*whole = span_of(start, r->bad ? 0 : (size_t)(r->at - start));
	return r->bad ? 0 : tag;
}

static void
write_head(struct writer *w, uint8_t tag, size_t len)
{
	write_u8(w, tag);
	if (len >= 0x100) {
		write_u8(w, 0x82);
		write_u16(w, (uint16_t)len);
	} else {
		if (len >= 0x80) {
			write_u8(w, 0x81);
		}
		write_u8(w, (uint8_t)len);
	}
}

/* Write a serialised session without its certificate; *cert: that. */
static bool
take_out(struct span der, struct writer *w, struct span *cert)
{
	struct reader outer = reader_of(der), inner;
	struct span whole, content, before, after;
	uint8_t tag = read_element(&outer, &whole, &content);

	if (tag != DER_SEQUENCE) {
		return false;
	}
	inner = reader_of(content);
	do {
		tag = read_element(&inner, &whole, cert);
	} while (tag != DER_PEER && tag != 0);
	if (tag == 0) {
		return false;
	}
	before = span_of(content.ptr, (size_t)(whole.ptr - content.ptr));
	after = read_rest(&inner);
	write_head(w, DER_SEQUENCE, before.len + after.len);
	write_bytes(w, before);
	write_bytes(w, after);
	return !w->bad;
}

/* In the context's scratch, which the caller wipes. False: it cannot be kept. */
static bool
serialise(const struct tls *tls, SSL_SESSION *session, struct tls_kept *kept)
{
	uint8_t *scratch = tls->context->scratch, *at = scratch;
	struct writer w = writer_of(scratch + TLS_SESSION_MAX, TLS_SESSION_MAX);
	int len = i2d_SSL_SESSION(session, NULL);

	_Static_assert(2 * TLS_SESSION_MAX <= TLS_RECORD_MAX, "both fit into the scratch");
	if (len <= 0 || len > TLS_SESSION_MAX || i2d_SSL_SESSION(session, &at) != len) {
		return false;
	}
	kept->session = span_of(scratch, (size_t)len);
	kept->der = buf_span(&tls->der);
	if (SSL_SESSION_get0_peer(session) == NULL) {
		return kept->der.len > 0; /* it came out of the store */
	}
	if (!take_out(kept->session, &w, &kept->der)) {
		return false;
	}
	kept->session = writer_span(&w);
	return true;
}

/* ---- from the store -------------------------------------------------------------------- */

/*
 * OpenSSL 3.0 parses the peer's certificate once more for every ticket that
 * it seals, which costs as much as a signature. So TLS 1.3 gets none: its
 * tickets are names of sessions in the store. Called before any is read.
 */
void
tls_resume_hello(SSL *ssl)
{
	const uint8_t *data;
	size_t len;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &data, &len) == 1) {
		struct reader r = reader_of(span_of(data, len));

		(void)read_u8(&r); /* length of the list; OpenSSL checks it */
		while (reader_left(&r) >= 2) {
			if (read_u16(&r) == TLS1_3_VERSION) {
				SSL_set_options(ssl, SSL_OP_NO_TICKET);
			}
		}
	}
}

static int
session_made(SSL *ssl, SSL_SESSION *session)
{
	struct tls *tls = tls_of(ssl);
	/* TLS 1.3 names a new session before a resumption is complete. */
	struct tls_kept kept = { .cert = SSL_session_reused(ssl) ? tls->offered : tls->peer };
	unsigned id_len;
	const uint8_t *id = SSL_SESSION_get_id(session, &id_len);

	if (kept.cert == NULL ||
	    SSL_SESSION_set1_ticket_appdata(session, &tls->stamp, sizeof tls->stamp) != 1) {
		return 0;
	}
	if (serialise(tls, session, &kept)) {
		tls_shared_put(tls->context->shared, span_of(id, id_len), &kept, &tls->stamp);
	}
	OPENSSL_cleanse(tls->context->scratch, (size_t)2 * TLS_SESSION_MAX);
	return 0; /* no reference is kept */
}

/* Out of the store. NULL: it may not resume. Takes the certificate. */
static SSL_SESSION *
revive(struct tls *tls, const struct tls_kept *kept)
{
	const uint8_t *at = kept->session.ptr;
	SSL_SESSION *session = d2i_SSL_SESSION(NULL, &at, (long)kept->session.len);

	if (session == NULL) {
		pki_cert_free(kept->cert);
	} else if (!may_resume(tls, session, kept->cert, kept->der)) {
		SSL_SESSION_free(session);
		session = NULL;
	}
	return session;
}

static SSL_SESSION *
session_wanted(SSL *ssl, const uint8_t *id, int id_len, int *copy)
{
	struct tls *tls = tls_of(ssl);
	uint8_t bytes[TLS_SESSION_MAX];
	struct tls_kept kept;
	SSL_SESSION *session = NULL;

	*copy = 0; /* the reference goes to OpenSSL */
	if (tls_shared_get(tls->context->shared, span_of(id, (size_t)id_len), bytes, &kept)) {
		session = revive(tls, &kept);
		OPENSSL_cleanse(bytes, kept.session.len);
	}
	if (session != NULL && SSL_version(ssl) >= TLS1_3_VERSION) {
		/* To be used once (RFC 8446 C.4): another one follows. */
		tls_shared_drop(tls->context->shared, span_of(id, (size_t)id_len));
	}
	return session;
}

/* ---- by ticket ------------------------------------------------------------------------- */

static int
key_mac(EVP_MAC_CTX *mac, struct tls_ticket_key *key)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params);
}

static int
seal(struct tls_context *context, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
     EVP_MAC_CTX *mac)
{
	struct tls_ticket_key key;
	int rc = -1;

	if (tls_shared_ticket_key(context->shared, &key) != 0) {
		return -1;
	}
	memcpy(name, key.name, sizeof key.name);
	if (RAND_bytes_ex(context->libctx, iv, EVP_MAX_IV_LENGTH, 0) == 1 &&
	    EVP_EncryptInit_ex2(cipher, context->ticket_cipher, key.cipher, iv, NULL) == 1 &&
	    key_mac(mac, &key) == 1) {
		rc = 1;
	}
	OPENSSL_cleanse(&key, sizeof key);
	return rc;
}

static int
unseal(struct tls_context *context, const uint8_t *name, const uint8_t *iv, EVP_CIPHER_CTX *cipher,
       EVP_MAC_CTX *mac)
{
	struct tls_ticket_key key;
	bool newest;
	int rc = -1;

	if (tls_shared_ticket_find(context->shared, name, &key, &newest) != 0) {
		return 0; /* not ours, or too old: a full handshake */
	}
	if (EVP_DecryptInit_ex2(cipher, context->ticket_cipher, key.cipher, iv, NULL) == 1 &&
	    key_mac(mac, &key) == 1) {
		rc = newest ? 1 : 2;
	}
	OPENSSL_cleanse(&key, sizeof key);
	return rc;
}

static int
ticket_key(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
           int sealing)
{
	struct tls_context *context = tls_of(ssl)->context;

	return sealing ? seal(context, name, iv, cipher, mac) :
	                 unseal(context, name, iv, cipher, mac);
}

static int
ticket_made(SSL *ssl, void *arg)
{
	struct tls *tls = tls_of(ssl);

	(void)arg;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &tls->stamp,
	                                       sizeof tls->stamp);
}

/* OpenSSL made the ticket and reads it: the certificate is in it. */
static bool
ticket_good(struct tls *tls, SSL_SESSION *session)
{
	X509 *x509 = SSL_SESSION_get0_peer(session);
	struct pki_cert *cert;

	return x509 != NULL && pki_cert_of(x509, tls->context->libctx, &cert) == 0 &&
	       may_resume(tls, session, cert, span_of(NULL, 0));
}

static SSL_TICKET_RETURN
ticket_opened(SSL *ssl, SSL_SESSION *session, const uint8_t *name, size_t name_len,
              SSL_TICKET_STATUS status, void *arg)
{
	(void)name;
	(void)name_len;
	(void)arg;
	if ((status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) ||
	    !ticket_good(tls_of(ssl), session)) {
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	}
	return status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW :
	                                            SSL_TICKET_RETURN_USE;
}

/* ---- set up ---------------------------------------------------------------------------- */

int
tls_resume_init(struct tls_context *context)
{
	SSL_CTX *ssl = context->ssl;

	if (context->shared == NULL || tls_shared_lifetime(context->shared) == 0) {
		SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
		SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
		return SSL_CTX_set_num_tickets(ssl, 0) == 1 ? 0 : ERR_CRYPTO;
	}
	context->ticket_cipher = EVP_CIPHER_fetch(context->libctx, "AES-256-CBC", NULL);
	if (context->ticket_cipher == NULL ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, ticket_key) != 1 ||
	    SSL_CTX_set_session_ticket_cb(ssl, ticket_made, ticket_opened, NULL) != 1 ||
	    SSL_CTX_set_num_tickets(ssl, 1) != 1) {
		return ERR_CRYPTO;
	}
	SSL_CTX_set_timeout(ssl, (long)tls_shared_lifetime(context->shared));
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ssl, session_made);
	SSL_CTX_sess_set_get_cb(ssl, session_wanted);
	return 0;
}
