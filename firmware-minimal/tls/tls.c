/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a connection and the pump between the transport and BearSSL's
 * engine (bearssl 6). BearSSL's own pump is not used: it waits for ever when
 * the transport has nothing.
 */
#include "tls/tls.h"

#include <bearssl.h>
#include <string.h>

#include "hal/time.h"
#include "tls/tls_chip.h"

/* The smallest that BearSSL takes: fragments of 512 bytes (bearssl 12). */
#define INPUT_SIZE 837
#define OUTPUT_SIZE 597
/* Records that one tls_step() moves at most, so that a fast peer cannot keep us in it. */
#define STEP_MOVES 16
/* After a failed send: how long an alert may still arrive. */
#define LAST_WORDS_MS 1000
/* Failures on the way after which the saved session is no longer offered. */
#define OFFERS_MAX 3

#define DAY 86400u
#define DAYS_TO_1970 719528u /* BearSSL counts from year 0 */

static const uint16_t SUITES[] = { BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 };

static struct {
	struct tls_settings settings;
	struct tls_transport transport;
	unsigned error;
	uint32_t unix_time;
	bool seeded;            /* the generator lives in client and survives connections */
	bool closing;           /* tls_close() was called */
	bool send_over, recv_over;
	bool offered;           /* a session was, in this handshake */
	bool moved;             /* bytes came in during this step */
	unsigned failed_offers; /* in a row, without a word from the gateway about it */
	bool session_valid;
	br_ssl_session_parameters session;
	struct deadline limit;  /* of the handshake, of silence, of the close */
	struct deadline last_words;
	uint32_t opened_at;
	struct tls_figures figures;
	br_x509_trust_anchor anchor;
	br_x509_certificate chain;
	br_ec_private_key key;
	br_ssl_client_context client;
	uint8_t input[INPUT_SIZE], output[OUTPUT_SIZE];
	br_x509_minimal_context x509;
} tls;

/* On its own, so that the rest needs no initial values: they would be in flash. */
static enum tls_state state = TLS_CLOSED;

/*
 * Sessions
 */

static void
drop_session(void)
{
	tls.session_valid = false;
	tls.failed_offers = 0;
	memset(&tls.session, 0, sizeof tls.session);
}

void
tls_forget_session(void)
{
	drop_session();
}

static void
save_session(void)
{
	drop_session();
	br_ssl_engine_get_session_parameters(&tls.client.eng, &tls.session);
	tls.session_valid = tls.session.session_id_len != 0;
}

/*
 * A handshake that offered a session has failed. A gateway that vanished says
 * nothing about the session, and a full handshake costs a write of the chip;
 * but a session that it cannot stand must not lock us out for ever.
 */
static void
doubt_session(unsigned error)
{
	bool said_nothing = error == BR_ERR_IO || error == TLS_ERROR_DEADLINE;

	if (!said_nothing || ++tls.failed_offers >= OFFERS_MAX) {
		drop_session();
	}
}

/*
 * Life
 */

static void
finish(unsigned error)
{
	if (state == TLS_HANDSHAKE && tls.offered) {
		doubt_session(error);
	}
	tls.error = error;
	state = TLS_CLOSED;
}

/* BearSSL's number, made precise by what it cannot know. */
static unsigned
engine_error(void)
{
	unsigned error = (unsigned)br_ssl_engine_last_error(&tls.client.eng);

	if (error != BR_ERR_OK && tls_chip_status() != ATECC_OK) {
		return TLS_ERROR_CHIP + (unsigned)tls_chip_status();
	}
	if (error == BR_ERR_X509_EXPIRED && tls.unix_time < TLS_CLOCK_PLAUSIBLE) {
		return TLS_ERROR_CLOCK;
	}
	if (error == BR_ERR_OK && state == TLS_HANDSHAKE) {
		return BR_ERR_IO; /* close_notify instead of an answer */
	}
	return error;
}

static bool
settings_are_usable(const struct tls_settings *s)
{
	/* An empty name would switch BearSSL's name check off. */
	return s->server_name != NULL && s->server_name[0] != '\0' &&
	       strlen(s->server_name) <= 255 && s->anchor_dn != NULL && s->anchor_dn_size != 0 &&
	       s->anchor_key != NULL && s->anchor_key[0] == 4 && s->certificate != NULL &&
	       s->certificate_size != 0;
}

static bool
seed(void)
{
	uint8_t random[32];
	enum atecc_status status;

	if (tls.seeded) {
		return true;
	}
	status = atecc_random(random);
	if (status != ATECC_OK) {
		finish(status == ATECC_UNLOCKED ? TLS_ERROR_NO_ENTROPY
		                                : TLS_ERROR_CHIP + (unsigned)status);
		return false;
	}
	br_ssl_engine_inject_entropy(&tls.client.eng, random, sizeof random);
	memset(random, 0, sizeof random);
	tls.seeded = true;
	return true;
}

static void
set_algorithms(br_ssl_engine_context *e, const br_ec_impl *ec)
{
	br_ssl_engine_set_versions(e, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(e, SUITES, sizeof SUITES / sizeof SUITES[0]);
	/* SHA-256 only: each configured hash would run over every handshake byte (bearssl 6). */
	br_ssl_engine_set_hash(e, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_prf_sha256(e, &br_tls12_sha256_prf);
	br_ssl_engine_set_ec(e, ec);
	br_ssl_engine_set_ecdsa(e, tls_chip_verify);
	br_ssl_engine_set_chapol(e, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
	br_ssl_engine_set_chacha20(e, br_chacha20_ct_run);
	br_ssl_engine_set_poly1305(e, br_poly1305_ctmul32_run);
	br_ssl_engine_add_flags(e, BR_OPT_NO_RENEGOTIATION);
}

static void
set_trust(const br_ec_impl *ec)
{
	br_x509_minimal_context *x = &tls.x509;

	/* BearSSL's structures are for all keys and not const; it only reads through them. */
	tls.anchor = (br_x509_trust_anchor){
		.dn = { (unsigned char *)tls.settings.anchor_dn, tls.settings.anchor_dn_size },
		.flags = BR_X509_TA_CA,
		.pkey = { .key_type = BR_KEYTYPE_EC,
		          .key.ec = { BR_EC_secp256r1, (unsigned char *)tls.settings.anchor_key, 65 } },
	};
	br_x509_minimal_init(x, &br_sha256_vtable, &tls.anchor, 1);
	br_x509_minimal_set_hash(x, br_sha256_ID, &br_sha256_vtable);
	br_x509_minimal_set_ecdsa(x, ec, tls_chip_verify);
	br_x509_minimal_set_time(x, tls.unix_time / DAY + DAYS_TO_1970, tls.unix_time % DAY);
	br_ssl_engine_set_x509(&tls.client.eng, &x->vtable);
}

static void
set_identity(const br_ec_impl *ec)
{
	tls.chain = (br_x509_certificate){ (unsigned char *)tls.settings.certificate,
		                           tls.settings.certificate_size };
	tls.key = (br_ec_private_key){ .curve = BR_EC_secp256r1 }; /* it is in the chip */
	br_ssl_client_set_single_ec(&tls.client, &tls.chain, 1, &tls.key, BR_KEYTYPE_SIGN,
	                            BR_KEYTYPE_EC, ec, tls_chip_sign);
}

/* All of it each time: the settings may have changed since the last connection. */
static bool
configure(void)
{
	const br_ec_impl *ec =
		tls.settings.ecdh == TLS_ECDH_CHIP ? &tls_chip_ec : &br_ec_p256_m15;
	br_ssl_engine_context *e = &tls.client.eng;

	if (!tls.seeded) {
		br_ssl_client_zero(&tls.client);
	}
	set_algorithms(e, ec);
	set_trust(ec);
	set_identity(ec);
	br_ssl_engine_set_buffers_bidi(e, tls.input, sizeof tls.input, tls.output,
	                               sizeof tls.output);
	if (br_ssl_engine_last_error(e) != BR_ERR_OK) {
		finish((unsigned)br_ssl_engine_last_error(e)); /* reset would wipe it (bearssl 12) */
		return false;
	}
	return true;
}

bool
tls_open(const struct tls_settings *settings, const struct tls_transport *transport,
         uint32_t unix_time)
{
	state = TLS_CLOSED;
	tls.settings = *settings;
	tls.transport = *transport;
	tls.unix_time = unix_time;
	tls.closing = tls.send_over = tls.recv_over = tls.offered = false;
	tls.error = 0;
	memset(&tls.figures, 0, sizeof tls.figures);
	tls_chip_reset(settings->key_slot, settings->ecdh_slot);
	if (!settings_are_usable(settings)) {
		tls.error = BR_ERR_BAD_PARAM;
		return false;
	}
	if (!configure() || !seed()) {
		return false;
	}
	if (tls.session_valid) {
		br_ssl_engine_set_session_parameters(&tls.client.eng, &tls.session);
	}
	tls.opened_at = time_ms();
	tls.limit = deadline_in(settings->handshake_ms);
	if (!br_ssl_client_reset(&tls.client, settings->server_name, tls.session_valid)) {
		finish(engine_error());
		return false;
	}
	tls.offered = tls.session_valid;
	state = TLS_HANDSHAKE;
	return true;
}

static void
opened(void)
{
	tls.figures.handshake_ms = time_ms() - tls.opened_at;
	tls.figures.resumed = tls_chip_verified() == 0;
	/* The certificate and the key exchange, or the secret of a session that had both. */
	if (tls.figures.resumed ? !tls.offered : tls_chip_verified() < 2) {
		finish(BR_ERR_BAD_SIGNATURE);
		return;
	}
	save_session();
	state = TLS_OPEN;
	tls.limit = deadline_in(tls.settings.idle_ms);
}

/*
 * The pump
 */

static bool
send_some(void)
{
	size_t size;
	uint8_t *record = br_ssl_engine_sendrec_buf(&tls.client.eng, &size);
	int n;

	if (record == NULL || tls.send_over) {
		return false;
	}
	n = tls.transport.send(tls.transport.owner, record, size);
	if (n < 0) {
		tls.send_over = true;
		tls.last_words = deadline_in(LAST_WORDS_MS);
	}
	if (n <= 0) {
		return false;
	}
	tls.figures.bytes_up += (uint32_t)n;
	br_ssl_engine_sendrec_ack(&tls.client.eng, (size_t)n);
	return true;
}

static bool
receive_some(void)
{
	size_t size;
	uint8_t *record = br_ssl_engine_recvrec_buf(&tls.client.eng, &size);
	int n;

	if (record == NULL || tls.recv_over) {
		return false;
	}
	n = tls.transport.recv(tls.transport.owner, record, size);
	if (n < 0) {
		tls.recv_over = true;
	}
	if (n <= 0) {
		return false;
	}
	tls.figures.bytes_down += (uint32_t)n;
	tls.moved = true;
	br_ssl_engine_recvrec_ack(&tls.client.eng, (size_t)n);
	return true;
}

static bool
move_some(void)
{
	bool sent = send_some(), received = receive_some();

	return sent || received;
}

/* The transport has ended and nothing that it brought is left to be looked at. */
static bool
transport_is_over(unsigned engine)
{
	if (tls.recv_over && (engine & BR_SSL_RECVREC) != 0) {
		return true;
	}
	/* An alert may be on its way still: a failed send alone is not the end. */
	return tls.send_over && deadline_over(&tls.last_words);
}

static bool
is_late(void)
{
	if (state == TLS_OPEN && !tls.closing) {
		if (tls.settings.idle_ms == 0) {
			return false;
		}
		if (tls.moved) {
			tls.limit = deadline_in(tls.settings.idle_ms);
		}
	}
	return deadline_over(&tls.limit);
}

/* What the state of the engine and of the transport means for the connection. */
static void
settle(void)
{
	unsigned engine = br_ssl_engine_current_state(&tls.client.eng);

	if (engine == BR_SSL_CLOSED) {
		finish(tls.closing ? 0 : engine_error());
	} else if (state == TLS_HANDSHAKE && (engine & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)) != 0) {
		opened();
	} else if (transport_is_over(engine)) {
		finish(tls.closing ? 0 : BR_ERR_IO);
	} else if (is_late()) {
		finish(tls.closing ? 0 : TLS_ERROR_DEADLINE);
	}
}

enum tls_state
tls_step(void)
{
	if (state == TLS_CLOSED) {
		return state;
	}
	tls.moved = false;
	for (unsigned i = 0; i < STEP_MOVES && move_some(); i++) {
	}
	settle();
	return state;
}

/*
 * The application's side
 */

static bool
is_open(void)
{
	return state == TLS_OPEN && !tls.closing;
}

size_t
tls_write(const void *data, size_t n)
{
	size_t room;
	uint8_t *to = is_open() ? br_ssl_engine_sendapp_buf(&tls.client.eng, &room) : NULL;

	if (to == NULL || n == 0) {
		return 0;
	}
	if (n > room) {
		n = room;
	}
	memcpy(to, data, n);
	br_ssl_engine_sendapp_ack(&tls.client.eng, n);
	return n;
}

void
tls_flush(void)
{
	if (is_open()) {
		br_ssl_engine_flush(&tls.client.eng, 0);
	}
}

const uint8_t *
tls_peek(size_t *n)
{
	return is_open() ? br_ssl_engine_recvapp_buf(&tls.client.eng, n) : NULL;
}

void
tls_consume(size_t n)
{
	size_t there;

	if (tls_peek(&there) != NULL && n != 0) {
		br_ssl_engine_recvapp_ack(&tls.client.eng, n < there ? n : there);
	}
}

void
tls_close(uint32_t ms)
{
	size_t unread;

	if (state == TLS_HANDSHAKE) {
		tls.offered = false; /* our own decision: no word about the session */
		finish(0);
		return;
	}
	if (!is_open()) {
		return;
	}
	/* BearSSL would neither hand it out any more nor look behind it for the peer's close_notify. */
	if (tls_peek(&unread) != NULL) {
		br_ssl_engine_recvapp_ack(&tls.client.eng, unread);
	}
	br_ssl_engine_flush(&tls.client.eng, 0);
	br_ssl_engine_close(&tls.client.eng);
	tls.closing = true;
	tls.limit = deadline_in(ms);
}

unsigned
tls_error(void)
{
	return tls.error;
}

void
tls_figures(struct tls_figures *out)
{
	*out = tls.figures;
	out->chip_keys_made = atecc_keys_made();
}
