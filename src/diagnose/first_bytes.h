/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What protocol do the first bytes of a connection belong to? A TLS library
 * only says "wrong version number" for most of them. Pure, any thread.
 */
#ifndef GATEWAY_DIAGNOSE_FIRST_BYTES_H
#define GATEWAY_DIAGNOSE_FIRST_BYTES_H

#include "base/span.h"

#define FIRST_BYTES_MAX 16 /* as many as ever matter */

/* Names for people: "speaks ..." */
#define FIRST_BYTES_LIST(X)                                   \
	X(NOTHING, "nothing")                                 \
	X(TLS, "TLS")                                         \
	X(TLS_TOO_LONG, "TLS with a record that is too long") \
	X(TLS_ALERT, "a TLS alert")                           \
	X(TLS_DATA, "TLS application data")                   \
	X(TLS_CIPHER, "a TLS change of cipher")               \
	X(SSL2, "SSL 2")                                      \
	X(MQTT, "plain MQTT")                                 \
	X(HTTP, "HTTP")                                       \
	X(PROXY, "HTTP for a proxy")                          \
	X(SSH, "SSH")                                         \
	X(OTHER, "an unknown protocol")

enum first_bytes {
#define X(name, text) FIRST_##name,
	FIRST_BYTES_LIST(X)
#undef X
};

/*
 * `start`: what arrived first, FIRST_BYTES_MAX bytes or all there was. Fewer
 * bytes than a protocol needs to be known by count as OTHER, but for the
 * start of a TLS record.
 */
enum first_bytes first_bytes_kind(struct span start);
/* Static storage. */
const char *first_bytes_text(enum first_bytes kind);

#endif
