/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TLS 1.2 client: BearSSL 0.6 as in the fact sheet bearssl, sections 2 to
 * 9, with the ATECC for every operation that it can do. One connection, static
 * memory; the X.509 context and the handshake's scratch share memory with what
 * is only used after it. Never blocks longer than one operation of the chip.
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

/* unix_time: of the settings or of SNTP; resumes the last session if there is one. False: see tls_error(). */
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
/* close_notify, then drain within ms. */
void tls_close(uint32_t ms);
/* The next handshake is a full one (after a certificate or trust change). */
void tls_forget_session(void);

/* 0: none. BearSSL's number (bearssl 11), or one of ours below. */
unsigned tls_error(void);
enum {
	TLS_ERROR_CHIP = 1000,      /* + enum atecc_status: an operation of the chip failed */
	TLS_ERROR_DEADLINE = 1100,
	TLS_ERROR_NO_ENTROPY = 1101,
};
/* A sentence for the log; and what app/report.h calls it (REPORT_TLS + 0..19). */
const char *tls_error_text(unsigned error);
unsigned tls_error_report(unsigned error);

struct tls_figures {
	bool resumed;
	uint32_t handshake_ms, bytes_up, bytes_down;
	uint32_t chip_keys_made; /* wear: GenKey since reset */
};
void tls_figures(struct tls_figures *out);

#endif
