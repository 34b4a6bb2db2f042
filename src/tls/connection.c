/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection: OpenSSL reads from the span that the caller lent and writes
 * into the buffer of the call in progress. Neither way copies into a memory
 * BIO, and an idle connection holds no record buffers.
 */
#include "tls/tls_int.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "base/clock.h"

/* A real handshake takes 1 to 4 KiB, a long chain up to 16 KiB more. */
#define HANDSHAKE_MAX 49152

/* ---- the BIO --------------------------------------------------------------------------- */

static int
bio_read(BIO *bio, char *data, int size)
{
	struct tls *tls = BIO_get_data(bio);
	size_t n = size < 0 ? 0 : (size_t)size;

	BIO_clear_retry_flags(bio);
	n = n < tls->lent.len ? n : tls->lent.len;
	if (n == 0) {
		if (tls->eof) {
			return 0;
		}
		BIO_set_retry_read(bio);
		return -1;
	}
	if (tls->state == TLS_HANDSHAKE) {
		tls_note_start(tls, span_head(tls->lent, n));
		tls->evidence->taken += n;
		if (tls->evidence->taken > HANDSHAKE_MAX) {
			tls->flooded = true;
			return -1;
		}
	}
	memcpy(data, tls->lent.ptr, n);
	tls->lent = span_skip(tls->lent, n);
	return (int)n;
}

static int
bio_write(BIO *bio, const char *data, int size)
{
	struct tls *tls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (size <= 0 || tls->out == NULL) {
		return 0;
	}
	if (buf_append(tls->out, span_of(data, (size_t)size)) != 0) {
		tls->no_memory = true;
		return -1;
	}
	return size;
}

static long
bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	struct tls *tls = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	switch (command) {
	case BIO_CTRL_EOF:
		return tls->eof && tls->lent.len == 0;
	case BIO_CTRL_FLUSH:
		return 1;
	default:
		return 0;
	}
}

BIO_METHOD *
tls_bio_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "span");

	if (method != NULL &&
	    (BIO_meth_set_read(method, bio_read) != 1 ||
	     BIO_meth_set_write(method, bio_write) != 1 ||
	     BIO_meth_set_ctrl(method, bio_ctrl) != 1)) {
		BIO_meth_free(method);
		method = NULL;
	}
	return method;
}

/* ---- life ------------------------------------------------------------------------------ */

int
tls_new(struct tls_context *context, void *owner, struct tls **out)
{
	struct tls *tls = calloc(1, sizeof *tls);
	BIO *bio;

	if (tls == NULL) {
		return -ENOMEM;
	}
	ERR_clear_error();
	tls->evidence = calloc(1, sizeof *tls->evidence);
	if (tls->evidence == NULL) {
		free(tls);
		return -ENOMEM;
	}
	tls->evidence->begun = clock_ms();
	tls->context = context;
	tls->owner = owner;
	tls->failure.alert_sent = tls->failure.alert_received = -1;
	tls->ssl = SSL_new(context->ssl);
	bio = BIO_new_ex(context->libctx, context->method);
	if (tls->ssl == NULL || bio == NULL) {
		SSL_free(tls->ssl);
		BIO_free(bio);
		free(tls->evidence);
		free(tls);
		return -ENOMEM;
	}
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio);
	SSL_set_app_data(tls->ssl, tls);
	SSL_set_accept_state(tls->ssl);
	atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
	*out = tls;
	return 0;
}

void
tls_free(struct tls *tls)
{
	if (tls == NULL) {
		return;
	}
	SSL_free(tls->ssl);
	tls_context_unref(tls->context);
	pki_cert_free(tls->peer);
	pki_cert_free(tls->offered);
	free(tls->server_name);
	tls_free_evidence(tls);
	free(tls);
}

/* ---- in -------------------------------------------------------------------------------- */

void
tls_lend(struct tls *tls, struct span cipher)
{
	tls->lent = cipher;
}

struct span
tls_unread(struct tls *tls)
{
	struct span left = tls->lent;

	tls->lent = span_of(NULL, 0);
	return left;
}

void
tls_lend_eof(struct tls *tls)
{
	tls->eof = true;
}

/*
 * SSL_get_error() looks at the queue, so it has to be empty before each
 * operation. It nearly always is, and to see that takes a tenth of emptying it.
 */
static void
forget_errors(void)
{
	if (ERR_peek_error() != 0) {
		ERR_clear_error();
	}
}

static void
enter(struct tls *tls, struct buf *out)
{
	forget_errors();
	tls->out = out;
}

static void
opened(struct tls *tls)
{
	tls->state = TLS_OPEN;
	if (SSL_session_reused(tls->ssl)) {
		pki_cert_free(tls->peer);
		tls->peer = tls->offered;
	} else {
		pki_cert_free(tls->offered);
	}
	tls->offered = NULL;
	if (tls->evidence->cert_length == 0) {
		/* Of a session that resumed: its certificate came earlier. */
		tls_note_certificate(tls, SSL_get0_peer_certificate(tls->ssl), NULL);
	}
}

int
tls_handshake(struct tls *tls, struct buf *out)
{
	int rc, error;

	if (tls->state != TLS_HANDSHAKE) {
		return tls->state == TLS_OPEN ? 0 : tls->ended;
	}
	enter(tls, out);
	rc = SSL_do_handshake(tls->ssl);
	error = SSL_get_error(tls->ssl, rc);
	if (rc == 1) {
		opened(tls);
		rc = 0;
	} else if (error == SSL_ERROR_WANT_READ) {
		rc = ERR_MORE;
	} else {
		rc = tls_fail(tls);
	}
	tls->out = NULL;
	return rc;
}

/* One SSL_read(): bytes, 0 nothing yet, or how the connection ended. */
static int64_t
read_once(struct tls *tls, uint8_t *plain, size_t size)
{
	size_t before, got = 0;
	int rc, error;

	do {
		before = tls->lent.len;
		forget_errors();
		rc = SSL_read_ex(tls->ssl, plain, size, &got);
		if (rc == 1) {
			return (int64_t)got;
		}
		error = SSL_get_error(tls->ssl, rc);
		/* A message of the protocol may return without data; go on
		 * while that takes bytes. */
	} while (error == SSL_ERROR_WANT_READ && tls->lent.len > 0 && tls->lent.len < before);
	if (error == SSL_ERROR_WANT_READ) {
		return 0;
	}
	if (error == SSL_ERROR_ZERO_RETURN) {
		tls->state = TLS_ENDED;
		tls->ended = ERR_CLOSED;
		return ERR_CLOSED;
	}
	return tls_fail(tls);
}

/*
 * Several records per call, so that the relay sees many small packets at
 * once. An end that shows behind some data is reported by the next call.
 */
int64_t
tls_read(struct tls *tls, uint8_t *plain, size_t size, struct buf *out)
{
	size_t got = 0;

	if (tls->state != TLS_OPEN) {
		return tls->state == TLS_ENDED ? tls->ended : ERR_MORE;
	}
	if (tls->lent.len == 0 && !tls->eof && SSL_pending(tls->ssl) == 0) {
		return ERR_MORE; /* OpenSSL would take a record buffer to find out */
	}
	enter(tls, out);
	while (got < size && (got == 0 || tls->lent.len > 0 || SSL_pending(tls->ssl) > 0)) {
		int64_t n = read_once(tls, plain + got, size - got);

		if (n <= 0) {
			tls->out = NULL;
			return got > 0 ? (int64_t)got : n < 0 ? n : ERR_MORE;
		}
		got += (size_t)n;
	}
	tls->out = NULL;
	return got > 0 ? (int64_t)got : ERR_MORE;
}

bool
tls_pending(const struct tls *tls)
{
	return tls->state == TLS_OPEN && SSL_pending(tls->ssl) > 0;
}

/* ---- out ------------------------------------------------------------------------------- */

static int
encrypt(struct tls *tls, struct span plain)
{
	size_t done;
	int rc;

	if (plain.len == 0) {
		return 0;
	}
	rc = SSL_write_ex(tls->ssl, plain.ptr, plain.len, &done);
	if (rc != 1) {
		return tls_fail(tls);
	}
	return 0;
}

/* Gather pieces into records; what fills records by itself is not copied. */
static int
encrypt_pieces(struct tls *tls, const struct batch *plain)
{
	uint8_t *scratch = tls->context->scratch;
	size_t held = 0;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < plain->count; i++) {
		struct span piece = span_of(plain->piece[i].iov_base, plain->piece[i].iov_len);

		while (rc == 0 && piece.len > 0) {
			size_t n = TLS_RECORD_MAX - held;

			if (held == 0 && piece.len >= TLS_RECORD_MAX) {
				n = piece.len - piece.len % TLS_RECORD_MAX;
				rc = encrypt(tls, span_head(piece, n));
			} else {
				n = n < piece.len ? n : piece.len;
				memcpy(scratch + held, piece.ptr, n);
				held += n;
			}
			piece = span_skip(piece, n);
			if (rc == 0 && held == TLS_RECORD_MAX) {
				rc = encrypt(tls, span_of(scratch, held));
				held = 0;
			}
		}
	}
	return rc != 0 ? rc : encrypt(tls, span_of(scratch, held));
}

int
tls_write(struct tls *tls, const struct batch *plain, struct buf *out)
{
	int rc;

	/* After the peer's close_notify we may still answer; not after ours or
	 * after a failure. */
	if (tls->state == TLS_HANDSHAKE || (tls->state == TLS_ENDED && tls->ended != ERR_CLOSED) ||
	    (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN) != 0) {
		return ERR_CRYPTO;
	}
	enter(tls, out);
	if (plain->count == 1) {
		rc = encrypt(tls, span_of(plain->piece[0].iov_base, plain->piece[0].iov_len));
	} else {
		rc = encrypt_pieces(tls, plain);
	}
	tls->out = NULL;
	return rc;
}

void
tls_shutdown(struct tls *tls, struct buf *out)
{
	if (tls->state == TLS_OPEN || (tls->state == TLS_ENDED && tls->ended == ERR_CLOSED)) {
		enter(tls, out);
		(void)SSL_shutdown(tls->ssl);
		/* Alerts leave record buffers behind, 33 KiB while the socket lingers. */
		(void)SSL_free_buffers(tls->ssl);
		ERR_clear_error();
		tls->out = NULL;
	}
}

/* ---- facts ----------------------------------------------------------------------------- */

enum tls_state
tls_state(const struct tls *tls)
{
	return tls->state;
}

const struct pki_cert *
tls_peer(const struct tls *tls)
{
	return tls->peer;
}

bool
tls_resumed(const struct tls *tls)
{
	return tls->state != TLS_HANDSHAKE && SSL_session_reused(tls->ssl) == 1;
}

enum tls_trust
tls_trust(const struct tls *tls)
{
	return (enum tls_trust)tls->stamp.trust;
}

const char *
tls_version_text(const struct tls *tls)
{
	return SSL_get_version(tls->ssl);
}

const char *
tls_cipher_text(const struct tls *tls)
{
	return SSL_get_cipher_name(tls->ssl);
}

const char *
tls_server_name(const struct tls *tls)
{
	return tls->server_name != NULL ? tls->server_name : "";
}

const struct tls_failure *
tls_failure(const struct tls *tls)
{
	return &tls->failure;
}
