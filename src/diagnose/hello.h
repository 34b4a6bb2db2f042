/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a TLS ClientHello says, read from the raw bytes of a connection, and
 * which program it comes from. BearSSL sends no alerts, so its hello is the
 * only thing by which a failing board speaks about itself. Pure, any thread;
 * every byte is a stranger's.
 */
#ifndef GATEWAY_DIAGNOSE_HELLO_H
#define GATEWAY_DIAGNOSE_HELLO_H

#include "base/err.h"
#include "base/span.h"

#define HELLO_MAX 8192 /* longest ClientHello that is read, bytes */
#define HELLO_RANDOM 32
#define HELLO_SNI_MAX 255
#define HELLO_LIST_MAX 64 /* items kept of each list */

/* A list of 16-bit numbers in the client's order. */
struct hello_list {
	uint16_t count; /* as many as were sent */
	uint16_t item[HELLO_LIST_MAX]; /* the first of them */
};

struct hello {
	uint16_t version;       /* legacy version: 0x0303 for TLS 1.2 and later */
	uint8_t random[HELLO_RANDOM];
	uint8_t session_id_len; /* 0: nothing to resume */
	uint8_t fragment_code;  /* max fragment length, RFC 6066 4; 0: not sent */
	bool has_sni, has_ticket, has_master_secret, has_key_share;
	char sni[HELLO_SNI_MAX + 1]; /* control characters become '?' */
	struct hello_list suites, extensions, groups, signatures, versions;
};

/*
 * `bytes`: all that the client has sent so far, TLS records included, however
 * it is cut. 0; ERR_MORE; ERR_MALFORMED (not a ClientHello, or its lengths do
 * not fit); ERR_LIMIT (longer than HELLO_MAX). *out is set with 0 only.
 */
int hello_read(struct span bytes, struct hello *out) MUST_CHECK;

/* Text: after "The client is". */
#define HELLO_CLIENT_LIST(X)                                              \
	X(UNKNOWN, "a TLS client of an unknown kind")                     \
	X(BEARSSL, "a BearSSL client")                                    \
	X(ARDUINO_NEW, "a sketch with ArduinoBearSSL 1.5.0 or later")     \
	X(ARDUINO_OLD, "a sketch with ArduinoBearSSL 1.4.0 or earlier")   \
	X(FIRMWARE, "a board with this project's firmware")               \
	X(WIFI_MODULE, "a sketch with WiFiSSLClient (TLS in the WiFi module)") \
	X(MODERN, "a client with OpenSSL or another TLS 1.3 library")     \
	X(OLD_TLS, "a client that knows only TLS 1.1 or older")

enum hello_client {
#define X(name, text) HELLO_##name,
	HELLO_CLIENT_LIST(X)
#undef X
};

enum hello_client hello_client(const struct hello *hello);
/* Static storage. */
const char *hello_client_text(enum hello_client client);
/* Any of the BearSSL kinds: they never say why they hang up. */
bool hello_is_bearssl(const struct hello *hello);
/* Could it talk to a gateway with a key on P-256, as ours has by its profile? */
bool hello_fits_p256(const struct hello *hello);
/* Is the number among those kept? */
bool hello_list_has(const struct hello_list *list, uint16_t number);
/* The newest version offered: 0x0304 is TLS 1.3. */
uint16_t hello_newest(const struct hello *hello);

#endif
