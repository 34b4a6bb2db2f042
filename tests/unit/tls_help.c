/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/tls_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/batch.h"

struct world world;

/* ---- certificates ---------------------------------------------------------------------- */

static void
add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static EVP_PKEY *
make_key(const char *curve)
{
	if (curve != NULL && strcmp(curve, "RSA") == 0) {
		return EVP_RSA_gen(2048);
	}
	if (curve != NULL && strcmp(curve, "RSA1024") == 0) {
		return EVP_RSA_gen(1024);
	}
	return EVP_EC_gen(curve != NULL ? curve : "P-256");
}

struct identity
make_identity(const struct recipe *recipe)
{
	static long serial = 1;
	struct identity made = { .key = recipe->key, .cert = X509_new() };
	bool dated = recipe->from != 0 || recipe->to != 0;
	X509_NAME *name = X509_get_subject_name(made.cert);

	if (made.key != NULL) {
		EVP_PKEY_up_ref(made.key);
	} else {
		made.key = make_key(recipe->curve);
	}
	assert_non_null(made.key);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
	                           (const uint8_t *)recipe->name, -1, -1, 0);
	X509_set_issuer_name(made.cert, recipe->issuer != NULL ?
	                                        X509_get_subject_name(recipe->issuer->cert) :
	                                        name);
	ASN1_INTEGER_set(X509_get_serialNumber(made.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(made.cert), dated ? recipe->from : -HOUR);
	X509_gmtime_adj(X509_getm_notAfter(made.cert), dated ? recipe->to : DAY);
	X509_set_pubkey(made.cert, made.key);
	if (!recipe->v1) {
		X509_set_version(made.cert, X509_VERSION_3);
		add_extension(made.cert, NID_basic_constraints,
		              recipe->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
		add_extension(made.cert, NID_key_usage,
		              recipe->ca ? "critical,keyCertSign,cRLSign" :
		                           "critical,digitalSignature");
	}
	if (recipe->usage != NULL) {
		add_extension(made.cert, NID_ext_key_usage, recipe->usage);
	}
	assert_true(X509_sign(made.cert, recipe->issuer != NULL ? recipe->issuer->key : made.key,
	                      EVP_sha256()) > 0);
	return made;
}

void
free_identity(struct identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->cert);
	*identity = (struct identity){ 0 };
}

const char *
world_file(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", world.folder, name);
	return path;
}

void
write_cert(const char *file, X509 *cert, bool append)
{
	FILE *stream = fopen(file, append ? "a" : "w");

	assert_non_null(stream);
	assert_int_equal(PEM_write_X509(stream, cert), 1);
	fclose(stream);
}

void
write_key(const char *file, EVP_PKEY *key)
{
	FILE *stream = fopen(file, "w");

	assert_non_null(stream);
	assert_int_equal(PEM_write_PrivateKey(stream, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(stream);
}

int
world_make(void **state)
{
	(void)state;
	snprintf(world.folder, sizeof world.folder, "/tmp/gateway-tls-XXXXXX");
	assert_non_null(mkdtemp(world.folder));
	snprintf(world.ca_file, sizeof world.ca_file, "%s/ca.crt", world.folder);
	snprintf(world.cert_file, sizeof world.cert_file, "%s/gateway.crt", world.folder);
	snprintf(world.key_file, sizeof world.key_file, "%s/gateway.key", world.folder);
	world.ca = make_identity(&(struct recipe){ .name = "test CA", .ca = true });
	world.foreign = make_identity(&(struct recipe){ .name = "foreign CA", .ca = true });
	world.gateway = make_identity(&(struct recipe){
	        .name = "gateway.local", .issuer = &world.ca, .usage = "serverAuth" });
	world.device = make_identity(&(struct recipe){
	        .name = "012322619525B27AAF", .issuer = &world.ca, .usage = "clientAuth" });
	write_cert(world.ca_file, world.ca.cert, false);
	write_cert(world.cert_file, world.gateway.cert, false);
	write_key(world.key_file, world.gateway.key);
	return 0;
}

int
world_remove(void **state)
{
	static const char *const files[] = { "ca.crt", "gateway.crt", "gateway.key", "crl.pem",
		                             "other.crt", "other.key" };

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		unlink(world_file(files[i]));
	}
	rmdir(world.folder);
	free_identity(&world.ca);
	free_identity(&world.foreign);
	free_identity(&world.gateway);
	free_identity(&world.device);
	return 0;
}

/* ---- server ---------------------------------------------------------------------------- */

static enum tls_admit
admit(void *owner, const struct pki_cert *cert, enum tls_trust trust, bool resumed)
{
	struct server *s = owner;

	s->asked++;
	s->asked_resumed += resumed;
	s->trust = trust;
	memcpy(s->asked_for, cert->fingerprint, sizeof s->asked_for);
	return s->answer;
}

const struct tls_calls server_calls = { .admit = admit };

struct tls_settings
world_settings(void)
{
	return (struct tls_settings){ .certificate = world.cert_file,
		                      .key = world.key_file,
		                      .ca = world.ca_file,
		                      .min_version = 12 };
}

void
server_start(struct server *s, const struct tls_settings *settings, struct tls_shared *shared)
{
	struct tls_settings usual = world_settings();
	char why[PKI_WHY_SIZE];

	*s = (struct server){ .shared = shared };
	if (tls_context_new(settings != NULL ? settings : &usual, shared, &server_calls,
	                    &s->context, why) != 0) {
		fail_msg("%s", why);
	}
}

void
server_accept(struct server *s)
{
	tls_free(s->tls);
	buf_release(&s->pending);
	buf_release(&s->out);
	s->asked = s->asked_resumed = 0;
	assert_int_equal(tls_new(s->context, s, &s->tls), 0);
	s->rc = ERR_MORE;
}

void
server_stop(struct server *s)
{
	tls_free(s->tls);
	tls_context_unref(s->context);
	buf_release(&s->out);
	buf_release(&s->pending);
}

void
send_text(struct server *s, const char *text)
{
	struct batch batch = { 0 };

	assert_int_equal(batch_ref(&batch, span_str(text)), 0);
	assert_int_equal(tls_write(s->tls, &batch, &s->out), 0);
}

/* What is taken at once is copied to memory of its own size, so that a
 * sanitizer sees every byte read too far. */
static size_t
lend_some(struct server *s, uint8_t **copy)
{
	size_t n = buf_len(&s->pending);

	n = s->chunk > 0 && s->chunk < n ? s->chunk : n;
	*copy = malloc(n > 0 ? n : 1);
	assert_non_null(*copy);
	if (n > 0) {
		memcpy(*copy, buf_span(&s->pending).ptr, n);
	}
	tls_lend(s->tls, span_of(*copy, n));
	return n;
}

int64_t
server_read(struct server *s, void *plain, size_t size)
{
	uint8_t *copy;
	size_t n = lend_some(s, &copy);
	int64_t got = tls_read(s->tls, plain, size, &s->out);

	buf_consume(&s->pending, n - tls_unread(s->tls).len);
	free(copy);
	return got;
}

/* ---- client ---------------------------------------------------------------------------- */

static void
client_info(const SSL *ssl, int where, int value)
{
	struct client *c = SSL_get_app_data(ssl);

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT) {
		c->alert = value & 0xff;
	} else if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT) {
		c->alert_sent = value & 0xff;
	}
}

static int
client_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->session);
	c->session = session;
	return 1;
}

void
client_start(struct client *c, const struct identity *identity, int version)
{
	*c = (struct client){ .alert = -1, .alert_sent = -1 };
	c->context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_security_level(c->context, 0); /* it may show anything */
	SSL_CTX_set_min_proto_version(c->context, version);
	SSL_CTX_set_max_proto_version(c->context, version);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(c->context), world.ca.cert);
	SSL_CTX_set_verify(c->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(c->context,
	                               SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->context, client_session);
	SSL_CTX_set_info_callback(c->context, client_info);
	if (identity != NULL) {
		assert_int_equal(SSL_CTX_use_certificate(c->context, identity->cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(c->context, identity->key), 1);
	}
}

static void
client_disconnect(struct client *c)
{
	if (c->ssl != NULL) {
		SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_free(c->ssl);
	}
	c->ssl = NULL;
}

void
client_connect(struct client *c, SSL_SESSION *session)
{
	client_disconnect(c);
	c->alert = c->alert_sent = -1;
	c->done = false;
	c->error = 0;
	c->largest_record = 0;
	c->ssl = SSL_new(c->context);
	c->in = BIO_new(BIO_s_mem());
	c->out = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(c->in, -1);
	SSL_set_bio(c->ssl, c->in, c->out);
	SSL_set_app_data(c->ssl, c);
	SSL_set_connect_state(c->ssl);
	if (session != NULL) {
		assert_int_equal(SSL_set_session(c->ssl, session), 1);
	}
}

void
client_stop(struct client *c)
{
	client_disconnect(c);
	SSL_SESSION_free(c->session);
	SSL_CTX_free(c->context);
	*c = (struct client){ 0 };
}

/* ---- both ------------------------------------------------------------------------------ */

void
carry_up(struct client *c, struct server *s)
{
	uint8_t bytes[4096];
	int n;

	while ((n = BIO_read(c->out, bytes, sizeof bytes)) > 0) {
		assert_int_equal(buf_append(&s->pending, span_of(bytes, (size_t)n)), 0);
	}
}

void
carry_down(struct server *s, struct client *c)
{
	struct span out = buf_span(&s->out);
	struct span rest = out;

	while (rest.len >= 5) {
		size_t record = (size_t)(rest.ptr[3] << 8 | rest.ptr[4]);

		c->largest_record = record > c->largest_record ? record : c->largest_record;
		rest = span_skip(rest, 5 + record);
	}
	if (out.len > 0) {
		assert_int_equal(BIO_write(c->in, out.ptr, (int)out.len), (int)out.len);
		buf_consume(&s->out, out.len);
	}
}

static void
client_step(struct client *c)
{
	uint8_t byte;
	int rc;

	ERR_clear_error();
	rc = c->done ? SSL_peek(c->ssl, &byte, 1) : SSL_do_handshake(c->ssl);
	if (!c->done && rc == 1) {
		c->done = true;
	} else if (rc <= 0) {
		c->error = SSL_get_error(c->ssl, rc);
	}
}

static void
server_step(struct server *s)
{
	uint8_t *copy;
	size_t n, left;

	do {
		n = lend_some(s, &copy);
		s->rc = tls_handshake(s->tls, &s->out);
		left = tls_unread(s->tls).len;
		buf_consume(&s->pending, n - left);
		free(copy);
	} while (s->rc == ERR_MORE && buf_len(&s->pending) > 0 && left < n);
}

void
shake(struct client *c, struct server *s)
{
	for (unsigned i = 0; i < 10; i++) {
		client_step(c);
		carry_up(c, s);
		if (s->rc == ERR_MORE) {
			server_step(s);
		}
		carry_down(s, c);
	}
}

bool
meet(struct client *c, struct server *s, SSL_SESSION *session)
{
	server_accept(s);
	client_connect(c, session);
	shake(c, s);
	return s->rc == 0 && c->done && c->alert <= 0;
}

bool
still_trusted(const struct tls *tls, const struct tls_settings *settings)
{
	struct server other;
	bool good;

	server_start(&other, settings, NULL);
	good = tls_still_trusted(tls, other.context);
	server_stop(&other);
	return good;
}
