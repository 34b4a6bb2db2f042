/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other end for tests of tls/: an OpenSSL server over memory, certificates
 * made on the spot, a line between the two that can be cut, chopped and
 * damaged, and a clock that stands still unless it is told.
 */
#ifndef TESTS_TLS_PEER_H
#define TESTS_TLS_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/tls.h"

struct authority {
	EVP_PKEY *key;
	X509 *certificate;
	uint8_t *dn;
	int dn_size;
	uint8_t point[65];
};
struct authority authority_new(const char *name);
void authority_free(struct authority *a);
/* names: subjectAltName in OpenSSL's notation, or NULL. Days count from now. */
X509 *certificate_new(const struct authority *issuer, EVP_PKEY *key, const char *name,
                      const char *names, long from_days, long to_days);

#define LINE_SIZE (64 * 1024)
struct way {
	uint8_t bytes[LINE_SIZE];
	size_t written, read;
};
struct line {
	struct way up, down;   /* to and from the server */
	size_t chop;           /* at most so many bytes at once; 0 any */
	size_t down_limit;     /* the server's bytes end here */
	bool down_ends;        /* behind the limit: true closed, false silence */
	size_t damage_at;      /* byte of the server that is damaged, from 1; 0 none */
	size_t up_damage_at;   /* the same of the client */
	uint8_t damage;        /* with what (xor) */
	bool up_fails;         /* sending fails */
	bool closed;           /* by the server */
};

struct peer {
	SSL_CTX *context;
	SSL *ssl;              /* NULL: nobody answers */
	struct line line;
	unsigned largest_record; /* payload of a record in either direction */
};

/* A server that demands a certificate of ca. */
void peer_init(struct peer *p, const struct authority *ca, X509 *certificate, EVP_PKEY *key);
void peer_free(struct peer *p);
/* A new connection; what happened to the line before is forgotten. */
void peer_connect(struct peer *p);
/* Bytes from the line to the server and back, as far as they go. */
void peer_work(struct peer *p);
struct tls_transport peer_transport(struct peer *p);

/* hal/time.h's clock. */
extern uint32_t peer_clock;

#endif
