/* SPDX-License-Identifier: BSD-2-Clause */
/* An open connection: records, backpressure, ends, abuse. */
#include "unit/tls_help.h"

#include <stdlib.h>

#include <openssl/err.h>

#include "base/batch.h"

#define BIG 1048576

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void
open_pair(struct server *s, struct client *c, int version)
{
	server_start(s, NULL, NULL);
	client_start(c, &world.device, version);
	assert_true(meet(c, s, NULL));
}

static void
close_pair(struct server *s, struct client *c)
{
	client_stop(c);
	server_stop(s);
}

static uint8_t *
pattern(size_t n)
{
	uint8_t *bytes = malloc(n);

	assert_non_null(bytes);
	for (size_t i = 0; i < n; i++) {
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	}
	return bytes;
}

/* All that the client can read now. */
static size_t
client_read(struct client *c, uint8_t *plain, size_t size)
{
	size_t got = 0;
	int n;

	while (got < size && (n = SSL_read(c->ssl, plain + got, (int)(size - got))) > 0) {
		got += (size_t)n;
	}
	return got;
}

static unsigned
records_in(struct span cipher)
{
	unsigned count = 0;

	while (cipher.len >= 5) {
		cipher = span_skip(cipher, 5 + (size_t)(cipher.ptr[3] << 8 | cipher.ptr[4]));
		count++;
	}
	return count;
}

static void
pieces_are_joined_into_records(void **state)
{
	uint8_t *sent = pattern(BIG), *got = malloc(BIG);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct batch batch = { 0 };
		struct server s;
		struct client c;
		size_t at = 0;

		open_pair(&s, &c, versions[i]);
		/* Many small ones leave as one record. */
		for (unsigned n = 0; n < BATCH_PIECES; n++) {
			assert_int_equal(batch_ref(&batch, span_of(sent + (size_t)n * 8, 4)), 0);
		}
		assert_int_equal(tls_write(s.tls, &batch, &s.out), 0);
		assert_int_equal(records_in(buf_span(&s.out)), 1);
		carry_down(&s, &c);
		assert_int_equal(client_read(&c, got, BIG), BATCH_PIECES * 4);
		assert_memory_equal(got + 4, sent + 8, 4);
		/* Mixed sizes: full records but for the last, in order. */
		batch_reset(&batch);
		for (size_t size = 10; at + size < BIG / 2; size *= 3) {
			assert_int_equal(batch_ref(&batch, span_of(sent + at, size)), 0);
			at += size;
			assert_int_equal(batch_ref(&batch, span_of(sent + BIG - 1, 1)), 0);
		}
		assert_int_equal(tls_write(s.tls, &batch, &s.out), 0);
		assert_int_equal(records_in(buf_span(&s.out)), (batch.bytes + 16383) / 16384);
		carry_down(&s, &c);
		assert_int_equal(client_read(&c, got, BIG), batch.bytes);
		at = 0;
		for (unsigned n = 0; n < batch.count; n++) {
			assert_memory_equal(got + at, batch.piece[n].iov_base,
			                    batch.piece[n].iov_len);
			at += batch.piece[n].iov_len;
		}
		close_pair(&s, &c);
	}
	free(sent);
	free(got);
}

static void
a_large_write_passes(void **state)
{
	uint8_t *sent = pattern(BIG), *got = malloc(BIG);
	struct batch batch = { 0 };
	struct server s;
	struct client c;

	(void)state;
	open_pair(&s, &c, TLS1_2_VERSION);
	assert_int_equal(batch_ref(&batch, span_of(sent, BIG)), 0);
	assert_int_equal(tls_write(s.tls, &batch, &s.out), 0);
	assert_int_equal(records_in(buf_span(&s.out)), BIG / 16384);
	carry_down(&s, &c);
	assert_int_equal(client_read(&c, got, BIG), BIG);
	assert_memory_equal(sent, got, BIG);
	/* Nothing to say gives no record. */
	batch_reset(&batch);
	assert_int_equal(tls_write(s.tls, &batch, &s.out), 0);
	assert_int_equal(buf_len(&s.out), 0);
	close_pair(&s, &c);
	free(sent);
	free(got);
}

static void
fragment_length_is_honoured(void **state)
{
	uint8_t *sent = pattern(5000), *got = malloc(5000);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct batch batch = { 0 };
		struct server s;
		struct client c;

		server_start(&s, NULL, NULL);
		client_start(&c, &world.device, versions[i]);
		SSL_CTX_set_tlsext_max_fragment_length(c.context, TLSEXT_max_fragment_length_512);
		assert_true(meet(&c, &s, NULL));
		assert_true(c.largest_record <= 512 + 40);
		assert_int_equal(batch_ref(&batch, span_of(sent, 3000)), 0);
		assert_int_equal(batch_ref(&batch, span_of(sent + 3100, 1900)), 0);
		assert_int_equal(tls_write(s.tls, &batch, &s.out), 0);
		assert_int_equal(records_in(buf_span(&s.out)), (4900 + 511) / 512);
		c.largest_record = 0;
		carry_down(&s, &c);
		assert_true(c.largest_record <= 512 + 40);
		assert_int_equal(client_read(&c, got, 5000), 4900);
		assert_memory_equal(got + 3000, sent + 3100, 1900);
		close_pair(&s, &c);
	}
	free(sent);
	free(got);
}

/* The reader is slow: it takes one part, and what is left is lent again. */
static void
unread_bytes_wait_for_the_reader(void **state)
{
	uint8_t *sent = pattern(65536), *got = malloc(65536);
	struct server s;
	struct client c;
	size_t at = 0;
	int64_t n;

	(void)state;
	open_pair(&s, &c, TLS1_2_VERSION);
	assert_int_equal(SSL_write(c.ssl, sent, 65536), 65536);
	carry_up(&c, &s);
	assert_true(buf_len(&s.pending) > 65536);
	n = server_read(&s, got, 1000);
	assert_int_equal(n, 1000);
	assert_true(tls_pending(s.tls)); /* the rest of the first record */
	assert_true(buf_len(&s.pending) > 3 * 16384);
	assert_true(buf_len(&s.pending) < 3 * 16384 + 200);
	at = (size_t)n;
	/* Without lending: only what is decrypted already. */
	n = tls_read(s.tls, got + at, 65536 - at, &s.out);
	assert_int_equal(n, 16384 - 1000);
	assert_false(tls_pending(s.tls));
	at += (size_t)n;
	while ((n = server_read(&s, got + at, 3000)) > 0) {
		at += (size_t)n;
	}
	assert_int_equal(n, ERR_MORE);
	assert_int_equal(at, 65536);
	assert_memory_equal(sent, got, at);
	assert_int_equal(buf_len(&s.pending), 0);
	close_pair(&s, &c);
	free(sent);
	free(got);
}

static void
small_records_are_read_together(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct server s;
		struct client c;
		char text[64] = "";

		(void)state;
		open_pair(&s, &c, versions[i]);
		SSL_write(c.ssl, "one,", 4);
		SSL_write(c.ssl, "two,", 4);
		SSL_write(c.ssl, "three", 5);
		carry_up(&c, &s);
		assert_int_equal(server_read(&s, text, sizeof text), 13);
		assert_string_equal(text, "one,two,three");
		assert_int_equal(server_read(&s, text, sizeof text), ERR_MORE);
		/* Byte by byte nothing comes before a record is whole. */
		SSL_write(c.ssl, "slow", 4);
		carry_up(&c, &s);
		s.chunk = 1;
		while (buf_len(&s.pending) > 1) {
			assert_int_equal(server_read(&s, text, sizeof text), ERR_MORE);
		}
		assert_int_equal(server_read(&s, text, sizeof text), 4);
		close_pair(&s, &c);
	}
}

static void
the_client_closes(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct server s;
		struct client c;
		char text[8];

		(void)state;
		open_pair(&s, &c, versions[i]);
		SSL_write(c.ssl, "bye", 3);
		SSL_shutdown(c.ssl);
		carry_up(&c, &s);
		assert_int_equal(server_read(&s, text, sizeof text), 3);
		assert_int_equal(server_read(&s, text, sizeof text), ERR_CLOSED);
		assert_int_equal(server_read(&s, text, sizeof text), ERR_CLOSED);
		assert_int_equal(tls_state(s.tls), TLS_ENDED);
		assert_int_equal(tls_failure(s.tls)->alert_received, 0);
		assert_string_equal(tls_failure(s.tls)->text, "");
		/* Ours follows, once. */
		tls_shutdown(s.tls, &s.out);
		assert_true(buf_len(&s.out) > 0);
		carry_down(&s, &c);
		assert_int_equal(SSL_shutdown(c.ssl), 1);
		close_pair(&s, &c);
	}
}

static void
we_close(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct batch batch = { 0 };
		struct server s;
		struct client c;
		char text[8];

		(void)state;
		open_pair(&s, &c, versions[i]);
		send_text(&s, "bye");
		tls_shutdown(s.tls, &s.out);
		assert_int_equal(batch_ref(&batch, span_str("late")), 0);
		assert_int_equal(tls_write(s.tls, &batch, &s.out), ERR_CRYPTO);
		carry_down(&s, &c);
		assert_int_equal(SSL_read(c.ssl, text, sizeof text), 3);
		assert_int_equal(SSL_read(c.ssl, text, sizeof text), 0);
		assert_int_equal(SSL_get_error(c.ssl, 0), SSL_ERROR_ZERO_RETURN);
		close_pair(&s, &c);
	}
}

/* The record that is half in when we close has lost its buffer. */
static void
nothing_is_read_after_our_close(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct server s;
		struct client c;
		char text[8];
		size_t sent;

		(void)state;
		open_pair(&s, &c, versions[i]);
		SSL_write(c.ssl, "late", 4);
		carry_up(&c, &s);
		s.chunk = 9; /* the header, and a little */
		assert_int_equal(server_read(&s, text, sizeof text), ERR_MORE);
		tls_shutdown(s.tls, &s.out);
		sent = buf_len(&s.out);
		assert_true(sent > 0);
		s.chunk = 0;
		assert_int_equal(server_read(&s, text, sizeof text), ERR_CLOSED);
		tls_shutdown(s.tls, &s.out);
		assert_int_equal(buf_len(&s.out), sent);
		close_pair(&s, &c);
	}
}

static void
a_cut_connection_is_no_close(void **state)
{
	struct server s;
	struct client c;
	char text[32];

	(void)state;
	open_pair(&s, &c, TLS1_2_VERSION);
	SSL_write(c.ssl, "truncated", 9);
	carry_up(&c, &s);
	tls_lend(s.tls, span_head(buf_span(&s.pending), buf_len(&s.pending) - 1));
	tls_lend_eof(s.tls);
	assert_int_equal(tls_read(s.tls, (uint8_t *)text, sizeof text, &s.out), ERR_CRYPTO);
	assert_int_equal(tls_failure(s.tls)->reason, 294);
	assert_non_null(strstr(tls_failure(s.tls)->text, "broke off"));
	tls_shutdown(s.tls, &s.out); /* harmless */
	close_pair(&s, &c);
}

static void
renegotiation_is_refused(void **state)
{
	struct server s;
	struct client c;
	char text[8];

	(void)state;
	open_pair(&s, &c, TLS1_2_VERSION);
	assert_int_equal(SSL_renegotiate(c.ssl), 1);
	SSL_do_handshake(c.ssl);
	carry_up(&c, &s);
	assert_int_equal(server_read(&s, text, sizeof text), ERR_MORE);
	assert_int_equal(tls_failure(s.tls)->alert_sent, SSL_AD_NO_RENEGOTIATION);
	assert_int_equal(s.asked, 1);
	assert_int_equal(tls_state(s.tls), TLS_OPEN);
	close_pair(&s, &c);
}

static void
forged_record_ends_the_connection(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct server s;
		struct client c;
		char text[16];

		(void)state;
		open_pair(&s, &c, versions[i]);
		SSL_write(c.ssl, "good", 4);
		SSL_write(c.ssl, "bad", 3);
		carry_up(&c, &s);
		s.pending.memory[s.pending.end - 1] ^= 1;
		assert_int_equal(server_read(&s, text, sizeof text), 4);
		assert_int_equal(server_read(&s, text, sizeof text), ERR_CRYPTO);
		assert_non_null(strstr(tls_failure(s.tls)->text, "damaged or forged"));
		carry_down(&s, &c);
		assert_true(SSL_read(c.ssl, text, sizeof text) <= 0);
		assert_int_equal(c.alert, SSL_AD_BAD_RECORD_MAC);
		close_pair(&s, &c);
	}
}

static void
key_updates_pass(void **state)
{
	struct server s;
	struct client c;
	char text[16] = "";

	(void)state;
	open_pair(&s, &c, TLS1_3_VERSION);
	assert_int_equal(SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	SSL_write(c.ssl, "new", 3);
	carry_up(&c, &s);
	assert_int_equal(server_read(&s, text, sizeof text), 3);
	send_text(&s, "keys");
	carry_down(&s, &c);
	assert_int_equal(SSL_read(c.ssl, text, sizeof text), 4);
	assert_memory_equal(text, "keys", 4);
	close_pair(&s, &c);
}

static void
nothing_passes_before_the_handshake(void **state)
{
	struct batch batch = { 0 };
	struct server s;
	uint8_t plain[8];

	(void)state;
	server_start(&s, NULL, NULL);
	server_accept(&s);
	assert_int_equal(batch_ref(&batch, span_str("early")), 0);
	assert_int_equal(tls_write(s.tls, &batch, &s.out), ERR_CRYPTO);
	assert_int_equal(tls_read(s.tls, plain, sizeof plain, &s.out), ERR_MORE);
	tls_shutdown(s.tls, &s.out);
	assert_int_equal(buf_len(&s.out), 0);
	assert_int_equal(tls_state(s.tls), TLS_HANDSHAKE);
	server_stop(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_joined_into_records),
		cmocka_unit_test(a_large_write_passes),
		cmocka_unit_test(fragment_length_is_honoured),
		cmocka_unit_test(unread_bytes_wait_for_the_reader),
		cmocka_unit_test(small_records_are_read_together),
		cmocka_unit_test(the_client_closes),
		cmocka_unit_test(we_close),
		cmocka_unit_test(nothing_is_read_after_our_close),
		cmocka_unit_test(a_cut_connection_is_no_close),
		cmocka_unit_test(renegotiation_is_refused),
		cmocka_unit_test(forged_record_ends_the_connection),
		cmocka_unit_test(key_updates_pass),
		cmocka_unit_test(nothing_passes_before_the_handshake),
	};

	return cmocka_run_group_tests(tests, world_make, world_remove);
}
