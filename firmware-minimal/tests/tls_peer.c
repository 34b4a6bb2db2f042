/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls_peer.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "fake_atecc.h"
#include "hal/time.h"

uint32_t peer_clock;

uint32_t
time_ms(void)
{
	return peer_clock;
}

static void
must(bool ok)
{
	if (!ok) {
		ERR_print_errors_fp(stderr);
		abort();
	}
}

/*
 * Certificates
 */

static void
add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	must(e != NULL && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static X509 *
certificate_begin(EVP_PKEY *key, const char *name, long from_days, long to_days)
{
	static long serial = 1;
	X509 *x = X509_new();

	must(x != NULL && X509_set_version(x, 2) == 1);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
	must(X509_gmtime_adj(X509_getm_notBefore(x), from_days * 86400L) != NULL);
	must(X509_gmtime_adj(X509_getm_notAfter(x), to_days * 86400L) != NULL);
	must(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
	                                (const unsigned char *)name, -1, -1, 0) == 1);
	must(X509_set_pubkey(x, key) == 1);
	return x;
}

struct authority
authority_new(const char *name)
{
	struct authority a = { .key = EVP_EC_gen("P-256") };

	must(a.key != NULL);
	a.certificate = certificate_begin(a.key, name, -2, 3650);
	X509_set_issuer_name(a.certificate, X509_get_subject_name(a.certificate));
	add_extension(a.certificate, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(a.certificate, NID_key_usage, "critical,keyCertSign");
	must(X509_sign(a.certificate, a.key, EVP_sha256()) > 0);
	a.dn_size = i2d_X509_NAME(X509_get_subject_name(a.certificate), &a.dn);
	must(a.dn_size > 0);
	a.point[0] = 4;
	fake_atecc_point(a.key, a.point + 1);
	return a;
}

void
authority_free(struct authority *a)
{
	EVP_PKEY_free(a->key);
	X509_free(a->certificate);
	OPENSSL_free(a->dn);
}

X509 *
certificate_new(const struct authority *issuer, EVP_PKEY *key, const char *name, const char *names,
                long from_days, long to_days)
{
	X509 *x = certificate_begin(key, name, from_days, to_days);

	X509_set_issuer_name(x, X509_get_subject_name(issuer->certificate));
	add_extension(x, NID_key_usage, "critical,digitalSignature");
	if (names != NULL) {
		add_extension(x, NID_subject_alt_name, names);
	}
	must(X509_sign(x, issuer->key, EVP_sha256()) > 0);
	return x;
}

/*
 * The line
 */

static void
way_put(struct way *w, const void *data, size_t n)
{
	must(n <= sizeof w->bytes - w->written);
	memcpy(w->bytes + w->written, data, n);
	w->written += n;
}

static int
line_send(void *owner, const void *data, size_t n)
{
	struct peer *p = owner;
	size_t at;

	if (p->line.up_fails) {
		return -1;
	}
	if (p->line.chop != 0 && n > p->line.chop) {
		n = p->line.chop;
	}
	way_put(&p->line.up, data, n);
	at = p->line.up_damage_at;
	if (at > p->line.up.written - n && at <= p->line.up.written) {
		p->line.up.bytes[at - 1] ^= p->line.damage;
	}
	return (int)n;
}

static int
line_recv(void *owner, void *data, size_t n)
{
	struct peer *p = owner;
	struct way *w = &p->line.down;
	size_t end = w->written < p->line.down_limit ? w->written : p->line.down_limit;
	size_t there = end - w->read;

	if (there == 0) {
		if (w->read == p->line.down_limit) {
			return p->line.down_ends ? -1 : 0;
		}
		return p->line.closed ? -1 : 0;
	}
	if (p->line.chop != 0 && n > p->line.chop) {
		n = p->line.chop;
	}
	n = n < there ? n : there;
	memcpy(data, w->bytes + w->read, n);
	if (p->line.damage_at > w->read && p->line.damage_at <= w->read + n) {
		((uint8_t *)data)[p->line.damage_at - 1 - w->read] ^= p->line.damage;
	}
	w->read += n;
	return (int)n;
}

struct tls_transport
peer_transport(struct peer *p)
{
	return (struct tls_transport){ line_send, line_recv, p };
}

/*
 * The server
 */

/* Payload sizes as they are on the wire: what is encrypted has 16 bytes more. */
static void
note_record(int write_p, int version, int type, const void *data, size_t n, SSL *ssl, void *owner)
{
	struct peer *p = owner;
	const uint8_t *header = data;
	unsigned size;

	(void)version;
	(void)write_p;
	if (type != SSL3_RT_HEADER || n < 5) {
		return;
	}
	size = (unsigned)(header[3] << 8 | header[4]);
	if (SSL_is_init_finished(ssl)) {
		size -= 16;
	}
	p->largest_record = size > p->largest_record ? size : p->largest_record;
}

void
peer_init(struct peer *p, const struct authority *ca, X509 *certificate, EVP_PKEY *key)
{
	memset(p, 0, sizeof *p);
	p->context = SSL_CTX_new(TLS_server_method());
	must(p->context != NULL);
	must(SSL_CTX_use_certificate(p->context, certificate) == 1);
	must(SSL_CTX_use_PrivateKey(p->context, key) == 1);
	must(X509_STORE_add_cert(SSL_CTX_get_cert_store(p->context), ca->certificate) == 1);
	SSL_CTX_set_verify(p->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_mode(p->context, SSL_MODE_NO_AUTO_CHAIN);
	must(SSL_CTX_set_session_id_context(p->context, (const unsigned char *)"test", 4) == 1);
	SSL_CTX_set_msg_callback(p->context, note_record);
	SSL_CTX_set_msg_callback_arg(p->context, p);
}

/* OpenSSL forgets the session of a connection that was not closed in order; a gateway would not. */
static void
drop_connection(struct peer *p)
{
	if (p->ssl != NULL && SSL_is_init_finished(p->ssl)) {
		SSL_set_shutdown(p->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	}
	SSL_free(p->ssl);
	p->ssl = NULL;
}

void
peer_free(struct peer *p)
{
	drop_connection(p);
	SSL_CTX_free(p->context);
}

void
peer_connect(struct peer *p)
{
	drop_connection(p);
	p->ssl = SSL_new(p->context);
	must(p->ssl != NULL);
	SSL_set_bio(p->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_accept_state(p->ssl);
	p->line.up.written = p->line.up.read = 0;
	p->line.down.written = p->line.down.read = 0;
	p->line.chop = 0;
	p->line.down_limit = SIZE_MAX;
	p->line.down_ends = false;
	p->line.damage_at = 0;
	p->line.up_damage_at = 0;
	p->line.damage = 0;
	p->line.up_fails = false;
	p->line.closed = false;
}

void
peer_work(struct peer *p)
{
	struct way *up = &p->line.up;
	uint8_t out[4096];
	int n;

	if (p->ssl == NULL) {
		return;
	}
	if (up->written > up->read) {
		must(BIO_write(SSL_get_rbio(p->ssl), up->bytes + up->read,
		               (int)(up->written - up->read)) > 0);
		up->read = up->written;
	}
	if (!SSL_is_init_finished(p->ssl)) {
		ERR_clear_error();
		n = SSL_do_handshake(p->ssl);
		if (n != 1 && SSL_get_error(p->ssl, n) != SSL_ERROR_WANT_READ) {
			p->line.closed = true; /* behind its alert */
		}
	}
	while ((n = BIO_read(SSL_get_wbio(p->ssl), out, sizeof out)) > 0) {
		way_put(&p->line.down, out, (size_t)n);
	}
}
