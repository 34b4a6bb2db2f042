/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A context: the gateway's certificate and key, whom it trusts, and what it
 * offers. Everything is set explicitly, since the system's openssl.cnf may
 * say something else.
 */
#include "tls/tls_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>

#include "base/cursor.h"

/*
 * AES-GCM first, as the host has instructions for it; a client that puts
 * ChaCha20 first has none and gets that (SSL_OP_PRIORITIZE_CHACHA). RSA is
 * for gateway certificates that exist already.
 */
#define SUITES_12                                                          \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"     \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256:"       \
	"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305"
#define SUITES_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
/* X25519 halves the handshake of an Arduino sketch. */
#define GROUPS "X25519:P-256:P-384"
/* What an unknown peer may make us collect as its chain. */
#define CHAIN_MAX 16384

__attribute__((format(printf, 2, 3))) static int
say(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, PKI_WHY_SIZE, format, args);
	va_end(args);
	return ERR_CONF;
}

static const char *
openssl_reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());

	return text != NULL ? text : "no reason given";
}

static int
open_file(const char *file, BIO **out, char *why)
{
	FILE *stream = fopen(file, "re");

	if (stream == NULL) {
		return say(why, "%s: %s", file, err_text(-errno));
	}
	*out = BIO_new_fp(stream, BIO_CLOSE);
	if (*out == NULL) {
		fclose(stream);
		return -ENOMEM;
	}
	return 0;
}

/* ---- our own certificate --------------------------------------------------------------- */

static int
refuse_pass_phrase(char *memory, int size, int writing, void *asked)
{
	(void)memory;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

/*
 * Send what the device needs and no more: a root that stands behind the leaf
 * costs an M0+ milliseconds, and it has its own copy.
 */
static int
drop_roots(SSL_CTX *ssl)
{
	STACK_OF(X509) *chain, *kept = sk_X509_new_null();
	int rc = kept != NULL && SSL_CTX_get0_chain_certs(ssl, &chain) == 1 ? 0 : -ENOMEM;

	for (int i = 0; rc == 0 && i < sk_X509_num(chain); i++) {
		X509 *x509 = sk_X509_value(chain, i);

		if ((X509_get_extension_flags(x509) & EXFLAG_SS) == 0 &&
		    sk_X509_push(kept, x509) <= 0) {
			rc = -ENOMEM;
		}
	}
	if (rc == 0 && SSL_CTX_set1_chain(ssl, kept) != 1) {
		rc = -ENOMEM;
	}
	sk_X509_free(kept);
	return rc;
}

static int
load_identity(SSL_CTX *ssl, const struct tls_settings *settings, char *why)
{
	bool asked = false;
	BIO *probe;
	int rc;

	if ((rc = open_file(settings->certificate, &probe, why)) != 0) {
		return rc;
	}
	BIO_free(probe);
	if (SSL_CTX_use_certificate_chain_file(ssl, settings->certificate) != 1) {
		return say(why, "%s: cannot be used as the gateway's certificate (%s)",
		           settings->certificate, openssl_reason());
	}
	if ((rc = open_file(settings->key, &probe, why)) != 0) {
		return rc;
	}
	BIO_free(probe);
	SSL_CTX_set_default_passwd_cb(ssl, refuse_pass_phrase);
	SSL_CTX_set_default_passwd_cb_userdata(ssl, &asked);
	rc = SSL_CTX_use_PrivateKey_file(ssl, settings->key, SSL_FILETYPE_PEM);
	SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
	if (asked) {
		return say(why, "%s: the key has a pass phrase; write it without one "
		                "(openssl pkey -in FILE -out NEW)",
		           settings->key);
	}
	if (rc != 1 && ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH) {
		return say(why, "%s: the key does not belong to the certificate %s", settings->key,
		           settings->certificate);
	}
	if (rc != 1 || SSL_CTX_check_private_key(ssl) != 1) {
		return say(why, "%s: cannot be used as the gateway's key (%s)", settings->key,
		           openssl_reason());
	}
	return drop_roots(ssl);
}

/* ---- whom we trust --------------------------------------------------------------------- */

static int
trust(struct tls_context *context, X509 *x509, EVP_MD_CTX *hash)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len;

	if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context->ssl), x509) != 1 ||
	    SSL_CTX_add_client_CA(context->ssl, x509) != 1 ||
	    X509_digest(x509, EVP_sha256(), digest, &len) != 1 ||
	    EVP_DigestUpdate(hash, digest, len) != 1) {
		return ERR_CRYPTO;
	}
	return 0;
}

/* Whether a loop over a PEM file stopped because there was no more. */
static bool
pem_ended(void)
{
	unsigned long code = ERR_peek_last_error();
	bool ended = ERR_GET_LIB(code) == ERR_LIB_PEM &&
	             ERR_GET_REASON(code) == PEM_R_NO_START_LINE;

	if (ended) {
		ERR_clear_error();
	}
	return ended;
}

static int
load_ca(struct tls_context *context, const char *file, EVP_MD_CTX *hash, char *why)
{
	unsigned count = 0;
	BIO *bio;
	int rc = open_file(file, &bio, why);

	if (rc != 0) {
		return rc;
	}
	while (rc == 0) {
		X509 *x509 = X509_new_ex(context->libctx, NULL);

		if (x509 == NULL) {
			rc = -ENOMEM;
		} else if (PEM_read_bio_X509_AUX(bio, &x509, NULL, NULL) == NULL) {
			rc = ERR_NOT_FOUND;
		} else {
			rc = trust(context, x509, hash);
			count++;
		}
		X509_free(x509);
	}
	BIO_free(bio);
	if (rc == ERR_NOT_FOUND && pem_ended()) {
		return count > 0 ? 0 : say(why, "%s: holds no CA certificate in PEM form", file);
	}
	return rc == -ENOMEM ? rc :
	                       say(why, "%s: CA certificate %u cannot be read (%s)", file,
	                           count + (rc == ERR_NOT_FOUND), openssl_reason());
}

static int
add_crl(struct tls_context *context, X509_CRL *crl, EVP_MD_CTX *hash)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len;

	if (sk_X509_CRL_push(context->lists, crl) <= 0) {
		return -ENOMEM;
	}
	X509_CRL_up_ref(crl);
	if (X509_STORE_add_crl(SSL_CTX_get_cert_store(context->ssl), crl) != 1 ||
	    X509_CRL_digest(crl, EVP_sha256(), digest, &len) != 1 ||
	    EVP_DigestUpdate(hash, digest, len) != 1) {
		return ERR_CRYPTO;
	}
	return 0;
}

static int
load_crl(struct tls_context *context, const char *file, EVP_MD_CTX *hash, char *why)
{
	unsigned count = 0;
	BIO *bio;
	int rc = open_file(file, &bio, why);

	if (rc != 0) {
		return rc;
	}
	while (rc == 0) {
		X509_CRL *crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);

		rc = crl == NULL ? ERR_NOT_FOUND : add_crl(context, crl, hash);
		count += crl != NULL;
		X509_CRL_free(crl);
	}
	BIO_free(bio);
	if (rc == ERR_NOT_FOUND && pem_ended() && count > 0) {
		X509_STORE_set_flags(SSL_CTX_get_cert_store(context->ssl), X509_V_FLAG_CRL_CHECK);
		return 0;
	}
	return say(why, "%s: holds no revocation list in PEM form, or a damaged one (%s)", file,
	           openssl_reason());
}

/*
 * The session id context is a hash of what we trust: a session made under
 * another CA file or revocation list resumes nowhere.
 */
static int
load_trust(struct tls_context *context, const struct tls_settings *settings, char *why)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	int rc = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;

	if (rc == 0) {
		rc = load_ca(context, settings->ca, hash, why);
	}
	if (rc == 0 && settings->crl != NULL) {
		rc = load_crl(context, settings->crl, hash, why);
	}
	if (rc == 0 &&
	    (EVP_DigestFinal_ex(hash, context->session_context, NULL) != 1 ||
	     SSL_CTX_set_session_id_context(context->ssl, context->session_context,
	                                    sizeof context->session_context) != 1)) {
		rc = ERR_CRYPTO;
	}
	EVP_MD_CTX_free(hash);
	return rc;
}

/* ---- what we offer --------------------------------------------------------------------- */

static bool
is_dns_character(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '-' || c == '_' || c == ':';
}

/* RFC 6066 3: a list with one host name. Kept for the diagnosis only; what is
 * malformed OpenSSL refuses a moment later. */
static int
client_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls *tls = tls_of(ssl);
	const uint8_t *data;
	size_t len;

	(void)alert;
	(void)arg;
	if (tls->server_name == NULL &&
	    SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &len) == 1) {
		struct reader r = reader_of(span_of(data, len));
		struct reader list = reader_of(read_block(&r));
		bool host = read_u8(&list) == TLSEXT_NAMETYPE_host_name;
		struct span name = read_block(&list);

		if (!r.bad && !list.bad && host && name.len <= TLSEXT_MAXLEN_host_name) {
			tls->server_name = strndup((const char *)name.ptr, name.len);
		}
	}
	for (char *p = tls->server_name; p != NULL && *p != '\0'; p++) {
		*p = is_dns_character((uint8_t)*p) ? *p : '?';
	}
	tls_resume_hello(ssl);
	return SSL_CLIENT_HELLO_SUCCESS;
}

static int
set_policy(SSL_CTX *ssl, unsigned min_version)
{
	X509_VERIFY_PARAM *verify = SSL_CTX_get0_param(ssl);

	SSL_CTX_clear_options(ssl, SSL_CTX_get_options(ssl));
	SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
	                                 SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	                                 SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
	SSL_CTX_clear_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE);
	/* The pieces of a batch are gathered at another place each time. */
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN |
	                              SSL_MODE_AUTO_RETRY | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_security_level(ssl, 2);
	SSL_CTX_set_max_cert_list(ssl, CHAIN_MAX);
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ssl, tls_verify, NULL);
	SSL_CTX_set_info_callback(ssl, tls_info);
	SSL_CTX_set_msg_callback(ssl, tls_note_message);
	SSL_CTX_set_client_hello_cb(ssl, client_hello, NULL);
	if (SSL_CTX_set_min_proto_version(ssl, min_version == 13 ? TLS1_3_VERSION :
	                                                           TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ssl, SUITES_12) != 1 ||
	    SSL_CTX_set_ciphersuites(ssl, SUITES_13) != 1 ||
	    SSL_CTX_set1_groups_list(ssl, GROUPS) != 1 ||
	    /* What the operator put into the CA file is trusted as it is: an
	     * intermediate without its root, too. */
	    X509_VERIFY_PARAM_set_flags(verify, X509_V_FLAG_PARTIAL_CHAIN) != 1) {
		return ERR_CRYPTO;
	}
	return 0;
}

/* ---- life ------------------------------------------------------------------------------ */

static void
context_free(struct tls_context *context)
{
	EVP_CIPHER_free(context->ticket_cipher);
	sk_X509_CRL_pop_free(context->lists, X509_CRL_free);
	SSL_CTX_free(context->ssl);
	BIO_meth_free(context->method);
	if (context->provider != NULL) {
		OSSL_PROVIDER_unload(context->provider);
	}
	OSSL_LIB_CTX_free(context->libctx);
	tls_shared_free(context->shared);
	OPENSSL_cleanse(context->scratch, sizeof context->scratch);
	free(context);
}

void
tls_context_unref(struct tls_context *context)
{
	if (context != NULL &&
	    atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) == 1) {
		context_free(context);
	}
}

static int
context_init(struct tls_context *context, const struct tls_settings *settings, char *why)
{
	int rc;

	context->libctx = OSSL_LIB_CTX_new();
	context->method = tls_bio_method();
	context->lists = sk_X509_CRL_new_null();
	context->crl_stale = settings->crl_stale;
	if (context->libctx == NULL || context->method == NULL || context->lists == NULL) {
		return -ENOMEM;
	}
	context->provider = OSSL_PROVIDER_load(context->libctx, "default");
	context->ssl = SSL_CTX_new_ex(context->libctx, NULL, TLS_server_method());
	if (context->provider == NULL || context->ssl == NULL) {
		return ERR_CRYPTO;
	}
	if ((rc = set_policy(context->ssl, settings->min_version)) != 0 ||
	    (rc = load_identity(context->ssl, settings, why)) != 0 ||
	    (rc = load_trust(context, settings, why)) != 0 || (rc = tls_present(context)) != 0) {
		return rc;
	}
	return tls_resume_init(context);
}

int
tls_context_new(const struct tls_settings *settings, struct tls_shared *shared,
                const struct tls_calls *calls, struct tls_context **out, char *why)
{
	struct tls_context *context = calloc(1, sizeof *context);
	int rc;

	why[0] = '\0';
	if (context == NULL) {
		say(why, "out of memory");
		return -ENOMEM;
	}
	atomic_init(&context->refs, 1);
	context->calls = *calls;
	context->shared = shared;
	if (shared != NULL) {
		tls_shared_ref(shared);
	}
	ERR_clear_error();
	rc = context_init(context, settings, why);
	if (rc != 0) {
		if (why[0] == '\0') {
			say(why, "TLS cannot be set up: %s (%s)", err_text(rc), openssl_reason());
		}
		ERR_clear_error();
		context_free(context);
		return rc;
	}
	/* Give back this thread's random generators of the new library context:
	 * the worker that gets it makes its own, and could not free these. */
	OPENSSL_thread_stop_ex(context->libctx);
	*out = context;
	return 0;
}
