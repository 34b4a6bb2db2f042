/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a handshake looked like, kept in one block that is given back once the
 * device is connected: boards that refuse us never say why, so each of these
 * facts may be the one that tells.
 */
#include "tls/tls_int.h"

#include <stdlib.h>

#include <openssl/err.h>

#include "base/clock.h"

#define START_MAX 8192 /* no ClientHello that is read is longer */
#define HELLO_TYPE SSL3_MT_CLIENT_HELLO

const struct tls_evidence *
tls_evidence(const struct tls *tls)
{
	return tls->evidence;
}

void
tls_free_evidence(struct tls *tls)
{
	if (tls->evidence != NULL) {
		buf_release(&tls->evidence->start);
		free(tls->evidence);
		tls->evidence = NULL;
	}
}

void
tls_forget_evidence(struct tls *tls)
{
	/* During the handshake the collectors write to it. */
	if (tls->state != TLS_HANDSHAKE) {
		SSL_set_msg_callback(tls->ssl, NULL);
		tls_free_evidence(tls);
	}
}

struct span
tls_start(const struct tls *tls)
{
	return tls->evidence != NULL ? buf_span(&tls->evidence->start) : span_of(NULL, 0);
}

void
tls_note_start(struct tls *tls, struct span taken)
{
	struct tls_evidence *e = tls->evidence;

	if (e == NULL || (e->received & 1u << HELLO_TYPE) != 0) {
		return; /* the hello is whole */
	}
	/* Short of memory, the diagnosis knows less: no reason to fail. */
	(void)!buf_append(&e->start, span_head(taken, START_MAX - buf_len(&e->start)));
}

void
tls_note_message(int sent, int version, int type, const void *data, size_t len, SSL *ssl,
                 void *arg)
{
	struct tls *tls = tls_of(ssl);
	struct tls_evidence *e = tls != NULL ? tls->evidence : NULL;
	uint8_t message;

	(void)version;
	(void)arg;
	if (e == NULL || type != SSL3_RT_HANDSHAKE || len == 0) {
		return;
	}
	message = *(const uint8_t *)data;
	if (message < 32) {
		*(sent ? &e->sent : &e->received) |= 1u << message;
	}
	if (e->message_count < TLS_MESSAGES) {
		e->message[e->message_count++] = (struct tls_message){
			.type = message, .sent = sent != 0, .ms = (uint32_t)(clock_ms() - e->begun)
		};
	}
}

void
tls_note_error(struct tls *tls, unsigned long code)
{
	struct tls_evidence *e = tls->evidence;

	if (e != NULL && e->error_count < TLS_ERRORS) {
		e->error[e->error_count].library = ERR_GET_LIB(code);
		e->error[e->error_count++].reason = ERR_GET_REASON(code);
	}
}

/* Did one of the authorities between ours and our leaf issue it? */
static bool
by_intermediate(const struct tls_context *context, X509 *cert)
{
	STACK_OF(X509) *chain = NULL;

	SSL_CTX_get0_chain_certs(context->ssl, &chain);
	for (int i = 0; i < sk_X509_num(chain); i++) {
		if (X509_NAME_cmp(X509_get_subject_name(sk_X509_value(chain, i)),
		                  X509_get_issuer_name(cert)) == 0) {
			return true;
		}
	}
	return false;
}

void
tls_note_certificate(struct tls *tls, X509 *cert, const STACK_OF(X509) *chain)
{
	struct tls_evidence *e = tls->evidence;
	int length = e != NULL && cert != NULL ? i2d_X509(cert, NULL) : 0;

	if (length > 0) {
		e->cert_length = (unsigned)length;
		e->chain_length = chain != NULL ? (unsigned)sk_X509_num(chain) : 0;
		e->by_intermediate = by_intermediate(tls->context, cert);
	}
}
