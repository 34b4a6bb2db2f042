/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client on a bad line: silence, cuts and damage at every byte, and all
 * the ways in which a connection ends.
 */
#include <bearssl.h>
#include <string.h>

#include "app/report.h"
#include "fake_atecc.h"
#include "tls_fixture.h"

/*
 * Silence, cuts, damage
 */

static void
silent_peer(void **state)
{
	uint32_t start = peer_clock;

	(void)state;
	peer_connect(&peer);
	peer.line.down_limit = 0;
	assert_true(open_with(&settings, now_unix));
	assert_int_equal(shake_hands(), TLS_CLOSED);
	assert_failed(TLS_ERROR_DEADLINE, TLS_REPORT_DEADLINE);
	assert_in_range(peer_clock - start, settings.handshake_ms, settings.handshake_ms + 1000);
}

static void
clock_that_wraps(void **state)
{
	(void)state;
	peer_clock = UINT32_MAX - 100;
	silent_peer(state);
	peer_clock = UINT32_MAX - 100;
	assert_open();
	peer_clock += 1000;
	echo(10);
}

static size_t
size_of_the_servers_bytes(void)
{
	tls_forget_session();
	assert_open();
	return peer.line.down.written;
}

/* Signatures vary by some bytes: stay below the shortest. */
#define SIGNATURE_VARIATION 8

static void
server_stops_at_every_byte(void **state)
{
	size_t total = size_of_the_servers_bytes() - SIGNATURE_VARIATION;

	(void)state;
	for (size_t n = 0; n < total; n++) {
		bool ends = n % 2 == 0;

		tls_forget_session();
		peer_connect(&peer);
		peer.line.down_limit = n;
		peer.line.down_ends = ends;
		assert_true(open_with(&settings, now_unix));
		assert_int_equal(shake_hands(), TLS_CLOSED);
		assert_failed(ends ? BR_ERR_IO : (unsigned)TLS_ERROR_DEADLINE,
		              ends ? TLS_REPORT_CLOSED : TLS_REPORT_DEADLINE);
	}
}

static void
damage_at_every_byte_of_the_handshake(void **state)
{
	size_t total = size_of_the_servers_bytes() - SIGNATURE_VARIATION;

	(void)state;
	for (size_t n = 1; n <= total; n++) {
		tls_forget_session();
		peer_connect(&peer);
		peer.line.damage_at = n;
		peer.line.damage = (uint8_t)(1u << n % 8);
		assert_true(open_with(&settings, now_unix));
		assert_int_equal(shake_hands(), TLS_CLOSED);
		assert_int_not_equal(tls_error(), 0);
		assert_in_range(tls_error_report(tls_error()), REPORT_TLS, REPORT_TLS + 19);
	}
	assert_open();
}

/*
 * What the gateway gets is damaged: it says so or falls silent. Alone the
 * version of the first record means nothing to anybody (RFC 5246, E.1).
 */
static void
damage_at_every_byte_to_the_gateway(void **state)
{
	size_t total;

	(void)state;
	tls_forget_session();
	assert_open();
	total = peer.line.up.written - SIGNATURE_VARIATION;
	for (size_t n = 1; n <= total; n++) {
		if (n == 2 || n == 3) {
			continue;
		}
		tls_forget_session();
		peer_connect(&peer);
		peer.line.up_damage_at = n;
		peer.line.damage = (uint8_t)(1u << n % 8);
		assert_true(open_with(&settings, now_unix));
		assert_int_equal(shake_hands(), TLS_CLOSED);
		assert_int_not_equal(tls_error(), 0);
	}
	assert_open();
}

static void
damage_at_every_byte_of_data(void **state)
{
	size_t size;

	(void)state;
	for (size_t n = 1; n <= 5 + 20 + 16; n++) {
		assert_open();
		assert_int_equal(tls_step(), TLS_OPEN);
		peer.line.damage_at = peer.line.down.written + n;
		peer.line.damage = 0x10;
		send_down("twenty bytes of data", 20);
		for (unsigned i = 0; i < 10 && tls_step() == TLS_OPEN; i++) {
			assert_null(tls_peek(&size));
			peer_clock += settings.idle_ms / 2;
		}
		assert_int_equal(tls_step(), TLS_CLOSED);
		switch (tls_error()) {
		case BR_ERR_BAD_MAC:
		case BR_ERR_BAD_LENGTH:
		case BR_ERR_TOO_LARGE:
		case BR_ERR_BAD_VERSION:
		case BR_ERR_UNEXPECTED:
		case BR_ERR_UNSUPPORTED_VERSION:
		case BR_ERR_UNKNOWN_TYPE:
		case TLS_ERROR_DEADLINE: /* a length that grew */
			break;
		default:
			fail_msg("byte %zu: error %u", n, tls_error());
		}
	}
}

/*
 * Ends
 */

/* Steps until closed, the clock moving on; how long it took. */
static uint32_t
steps_to_close(void)
{
	uint32_t start = peer_clock;

	while (tls_step() != TLS_CLOSED) {
		peer_work(&peer);
		peer_clock += 10;
	}
	return peer_clock - start;
}

static void
orderly_close(void **state)
{
	char rest[8];

	(void)state;
	assert_open();
	assert_int_equal(tls_write("bye", 3), 3);
	send_down("unread", 6);
	assert_int_equal(tls_step(), TLS_OPEN);
	tls_close(1000);
	assert_int_equal(tls_write("more", 4), 0);
	assert_int_equal(tls_step(), TLS_OPEN);
	peer_work(&peer);
	assert_int_equal(SSL_read(peer.ssl, rest, sizeof rest), 3); /* what was written was sent */
	assert_int_equal(SSL_read(peer.ssl, rest, sizeof rest), 0);
	assert_int_equal(SSL_get_shutdown(peer.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
	SSL_shutdown(peer.ssl);
	assert_true(steps_to_close() < 100);
	assert_int_equal(tls_error(), 0);
}

static void
close_that_is_not_answered(void **state)
{
	uint32_t took;

	(void)state;
	assert_open();
	tls_close(1000);
	took = steps_to_close();
	assert_in_range(took, 1000, 1100);
	assert_int_equal(tls_error(), 0);

	assert_open();
	peer.line.closed = true;
	tls_close(1000);
	assert_true(steps_to_close() < 100);
	assert_int_equal(tls_error(), 0);

	peer_connect(&peer);
	assert_true(open_with(&settings, now_unix));
	tls_close(1000); /* in the handshake */
	assert_int_equal(tls_step(), TLS_CLOSED);
	assert_int_equal(tls_error(), 0);
}

static void
close_by_the_server(void **state)
{
	const uint8_t *data;
	size_t n;

	(void)state;
	assert_open();
	send_down("last words", 10);
	SSL_shutdown(peer.ssl);
	peer_work(&peer);
	peer.line.closed = true;
	assert_int_equal(tls_step(), TLS_OPEN);
	data = tls_peek(&n);
	assert_non_null(data);
	assert_memory_equal(data, "last words", 10);
	tls_consume(n);
	assert_true(steps_to_close() < 100);
	assert_int_equal(tls_error(), 0);
}

static void
truncated_close(void **state)
{
	size_t n;

	(void)state;
	assert_open();
	send_down("last words", 10);
	peer.line.closed = true;
	assert_int_equal(tls_step(), TLS_OPEN);
	assert_non_null(tls_peek(&n));
	tls_consume(n);
	assert_int_equal(tls_step(), TLS_CLOSED);
	assert_failed(BR_ERR_IO, TLS_REPORT_CLOSED);
}

static void
close_notify_instead_of_an_answer(void **state)
{
	static const uint8_t close_notify[] = { 21, 3, 3, 0, 2, 1, 0 };

	(void)state;
	peer_connect(&peer);
	SSL_free(peer.ssl);
	peer.ssl = NULL;
	memcpy(peer.line.down.bytes, close_notify, sizeof close_notify);
	peer.line.down.written = sizeof close_notify;
	assert_true(open_with(&settings, now_unix));
	assert_int_equal(shake_hands(), TLS_CLOSED);
	assert_failed(BR_ERR_IO, TLS_REPORT_CLOSED);
}

static void
idle_peer(void **state)
{
	struct tls_settings s = settings;
	size_t n;

	(void)state;
	assert_open();
	for (unsigned i = 0; i < 5; i++) {
		peer_clock += settings.idle_ms - 1000;
		send_down("x", 1);
		assert_int_equal(tls_step(), TLS_OPEN);
		tls_peek(&n);
		tls_consume(n);
	}
	peer_clock += settings.idle_ms;
	assert_int_equal(tls_step(), TLS_CLOSED);
	assert_failed(TLS_ERROR_DEADLINE, TLS_REPORT_DEADLINE);

	s.idle_ms = 0;
	assert_int_equal(connect_with(&s, now_unix), TLS_OPEN);
	peer_clock += 1000000000;
	assert_int_equal(tls_step(), TLS_OPEN);
}

static void
renegotiation_is_refused(void **state)
{
	(void)state;
	assert_open();
	assert_int_equal(SSL_renegotiate(peer.ssl), 1);
	SSL_do_handshake(peer.ssl);
	peer_work(&peer);
	assert_int_equal(tls_step(), TLS_OPEN);
	peer_work(&peer);
	peer_work(&peer);
	/* Our warning ends it on the server's side; nothing was negotiated. */
	while (tls_step() == TLS_OPEN && peer_clock < UINT32_MAX / 2) {
		peer_work(&peer);
		peer_clock += 1000;
	}
	assert_int_equal(fake_atecc.signatures, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(silent_peer),
		TEST(clock_that_wraps),
		TEST(server_stops_at_every_byte),
		TEST(damage_at_every_byte_of_the_handshake),
		TEST(damage_at_every_byte_to_the_gateway),
		TEST(damage_at_every_byte_of_data),
		TEST(orderly_close),
		TEST(close_that_is_not_answered),
		TEST(close_by_the_server),
		TEST(truncated_close),
		TEST(close_notify_instead_of_an_answer),
		TEST(idle_peer),
		TEST(renegotiation_is_refused),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
