/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For the TLS tests: certificates made on the spot, and an OpenSSL client
 * that talks to our engine in memory.
 */
#ifndef TESTS_UNIT_TLS_HELP_H
#define TESTS_UNIT_TLS_HELP_H

#include "unit/cmocka_all.h"

#include <openssl/ssl.h>

#include "tls/tls.h"

#define HOUR 3600
#define DAY 86400

/* ---- certificates ---------------------------------------------------------------------- */

struct identity {
	EVP_PKEY *key;
	X509 *cert;
};

struct recipe {
	const char *name;
	const struct identity *issuer; /* NULL: self-signed */
	long from, to;                 /* seconds from now; both 0: an hour ago to a day from now */
	const char *usage;             /* extended key usage, NULL: none */
	const char *curve;             /* NULL: P-256; "RSA": 2048 bits */
	bool ca, v1;
	EVP_PKEY *key;                 /* NULL: a new one */
};

struct identity make_identity(const struct recipe *recipe);
void free_identity(struct identity *identity);

/* Made once per program: our CA, the gateway, a good device, a foreign CA. */
struct world {
	char folder[64];
	char ca_file[96], cert_file[96], key_file[96];
	struct identity ca, gateway, device, foreign;
};
extern struct world world;
int world_make(void **state);
int world_remove(void **state);
/* Path of a file in the folder, in static memory. */
const char *world_file(const char *name);
void write_cert(const char *file, X509 *cert, bool append);
void write_key(const char *file, EVP_PKEY *key);

/* ---- the two ends ---------------------------------------------------------------------- */

struct server {
	struct tls_shared *shared;
	struct tls_context *context;
	struct tls *tls;
	struct buf out;     /* as the worker's */
	struct buf pending; /* from the client, not yet taken */
	size_t chunk;       /* lend at most so much at once; 0: all */
	int rc;             /* of the last handshake call */
	enum tls_admit answer; /* of admit() */
	unsigned asked, asked_resumed;
	enum tls_trust trust; /* told to admit() */
	char asked_for[PKI_FINGERPRINT_SIZE];
};

struct client {
	SSL_CTX *context;
	SSL *ssl;
	BIO *in, *out;
	SSL_SESSION *session; /* newest */
	int alert, alert_sent; /* -1 none */
	size_t largest_record; /* from the server */
	bool done;
	int error;
};

extern const struct tls_calls server_calls;

/* Settings of the world; change before server_start(). */
struct tls_settings world_settings(void);
void server_start(struct server *s, const struct tls_settings *settings, struct tls_shared *shared);
void server_accept(struct server *s);
void server_stop(struct server *s);

/* identity NULL: no certificate. version TLS1_2_VERSION or TLS1_3_VERSION. */
void client_start(struct client *c, const struct identity *identity, int version);
/* A new connection of the same client; offers `session` when not NULL. */
void client_connect(struct client *c, SSL_SESSION *session);
void client_stop(struct client *c);

/* Bytes of the client towards the server's queue; of the server to the client. */
void carry_up(struct client *c, struct server *s);
void carry_down(struct server *s, struct client *c);
/* Both handshakes as far as they go. */
void shake(struct client *c, struct server *s);
/* accept, connect, shake. True when both ends are open. */
bool meet(struct client *c, struct server *s, SSL_SESSION *session);
void send_text(struct server *s, const char *text);
/* Give what is pending to tls_read(), once. */
int64_t server_read(struct server *s, void *plain, size_t size);
/* tls_still_trusted() under a context of these settings, NULL: the world's. */
bool still_trusted(const struct tls *tls, const struct tls_settings *settings);

#endif
