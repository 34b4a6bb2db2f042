/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TLS 1.2 client: BearSSL 0.6 as in the fact sheet bearssl, sections 2 to
 * 9, with the ATECC for every operation that it can do. One connection, static
 * memory. Never waits for the peer; the handshake's operations of the chip (and
 * ECDH in software, 0.8 s) run inside tls_step().
 *
 * One suite, ECDHE-ECDSA-ChaCha20-Poly1305-SHA256: the least flash, the
 * fastest here, no tables. AES-GCM would take 4 KB of flash for the sake of
 * servers that this firmware does not talk to (bearssl 1 and 4).
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How bytes reach the peer; as winc_send() and winc_recv(): 0 none now, negative over. */
struct tls_transport {
	int (*send)(void *owner, const void *data, size_t n);
	int (*recv)(void *owner, void *data, size_t n);
	void *owner;
};

enum tls_ecdh { TLS_ECDH_SOFTWARE, TLS_ECDH_CHIP };

struct tls_settings {
	const char *server_name;        /* SNI and name check; an IP literal too; never NULL */
	const uint8_t *anchor_dn;       /* DER of the CA's subject */
	size_t anchor_dn_size;
	const uint8_t *anchor_key;      /* 65 bytes, uncompressed P-256 */
	const uint8_t *certificate;     /* own, DER */
	size_t certificate_size;
	unsigned key_slot, ecdh_slot;
	enum tls_ecdh ecdh;
	uint32_t handshake_ms, idle_ms; /* deadlines; idle 0: none */
};

enum tls_state { TLS_HANDSHAKE, TLS_OPEN, TLS_CLOSED };

/*
 * unix_time: of the settings or of SNTP; resumes the last session if there is
 * one. What the settings point at stays until the connection is closed. A
 * connection that is still there is dropped. False: see tls_error().
 */
bool tls_open(const struct tls_settings *settings, const struct tls_transport *transport,
              uint32_t unix_time);
/* Move bytes both ways as far as they go now. */
enum tls_state tls_step(void);
/* Bytes taken; 0: none now. tls_flush() ends the record. */
size_t tls_write(const void *data, size_t n);
void tls_flush(void);
/* Points at received plain bytes until tls_consume(); NULL none. */
const uint8_t *tls_peek(size_t *n);
void tls_consume(size_t n);
/*
 * close_notify, then drain within ms: call tls_step() until TLS_CLOSED, which
 * comes with tls_error() 0 whether the peer answered or not.
 */
void tls_close(uint32_t ms);
/* The next handshake is a full one (after a certificate or trust change). */
void tls_forget_session(void);

/* 0: none. BearSSL's number (bearssl 11), or one of ours below. */
unsigned tls_error(void);
enum {
	TLS_ERROR_CHIP = 1000,      /* + enum atecc_status: an operation of the chip failed */
	TLS_ERROR_DEADLINE = 1100,
	TLS_ERROR_NO_ENTROPY = 1101, /* the chip is not locked: its random numbers are a constant */
	TLS_ERROR_CLOCK = 1102,     /* BearSSL's 54, but with a clock that was never set */
};
/* Earlier than this firmware: such a clock was not set. */
#define TLS_CLOCK_PLAUSIBLE 1704067200u /* 2024-01-01 */

/*
 * The groups that the LED can show, as REPORT_TLS + n of app/report.h; in
 * brackets the numbers that belong to them. Never renumber.
 */
enum tls_report {
	TLS_REPORT_OTHER = 0,
	TLS_REPORT_CA = 1,          /* we do not trust the gateway's CA [52 55 58 59 62] */
	TLS_REPORT_NAME = 2,        /* our name for the gateway is not in its certificate [56] */
	TLS_REPORT_CLOCK = 3,       /* our clock is not set [53 1102] */
	TLS_REPORT_EXPIRED = 4,     /* the gateway's certificate is not valid today [54] */
	TLS_REPORT_REVOKED = 5,     /* our certificate is revoked [300] */
	TLS_REPORT_REFUSED = 6,     /* the gateway refused our certificate [298 299 301 302 304 305 372] */
	TLS_REPORT_SIGNATURE = 7,   /* our signature is wrong: certificate of another key [307] */
	TLS_REPORT_NO_SUITE = 8,    /* no common suite or version, or no certificate from us [16 296 297 326 327] */
	TLS_REPORT_NOT_TLS = 9,     /* the peer does not speak TLS [3 9] */
	TLS_REPORT_CLOSED = 10,     /* the connection was closed without a word [31] */
	TLS_REPORT_CHIP = 11,       /* the ATECC did not do its part [8 26 1000.. 1101] */
	TLS_REPORT_DEADLINE = 12,   /* the gateway fell silent [1100] */
	TLS_REPORT_DAMAGED = 13,    /* records or messages damaged [4-7 10 12-15 17-22 24 25 27 266 276-278 303 306] */
	TLS_REPORT_CERTIFICATE = 14, /* the gateway's certificate is unusable [28 33-51 57 60] */
};
/* A sentence for the log; and what app/report.h calls it. */
const char *tls_error_text(unsigned error);
unsigned tls_error_report(unsigned error);

struct tls_figures {
	bool resumed;
	uint32_t handshake_ms, bytes_up, bytes_down;
	uint32_t chip_keys_made; /* wear: GenKey since reset */
};
void tls_figures(struct tls_figures *out);

#endif
