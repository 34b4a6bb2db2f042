/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client against a real OpenSSL server over memory, with a chip of
 * OpenSSL keys: who is trusted and why not. What must fail has to fail with
 * its own number and LED group.
 */
#include <bearssl.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <string.h>
#include <time.h>

#include "app/report.h"
#include "fake_atecc.h"
#include "tls/tls_chip.h"
#include "tls_fixture.h"

/*
 * Randomness: the first test, since the generator is seeded once
 */

static void
refuses_to_start_without_randomness(void **state)
{
	static const struct {
		enum atecc_status status;
		unsigned error;
	} cases[] = {
		{ ATECC_ABSENT, TLS_ERROR_CHIP + ATECC_ABSENT },
		{ ATECC_TIMEOUT, TLS_ERROR_CHIP + ATECC_TIMEOUT },
		{ ATECC_UNLOCKED, TLS_ERROR_NO_ENTROPY },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		fake_atecc_reset();
		fake_atecc.fail_at = 1;
		fake_atecc.fail_with = cases[i].status;
		peer_connect(&peer);
		assert_false(open_with(&settings, now_unix));
		assert_failed(cases[i].error, TLS_REPORT_CHIP);
		assert_int_equal(line_position(), 0);
	}
}

/*
 * Handshakes
 */

static void
full_handshake_with_ecdh_in_the_chip(void **state)
{
	struct tls_figures before, f;

	(void)state;
	tls_figures(&before);
	assert_open();
	tls_figures(&f);
	assert_false(f.resumed);
	assert_int_equal(f.bytes_up, peer.line.up.written);
	assert_int_equal(f.bytes_down, peer.line.down.read);
	assert_int_equal(f.chip_keys_made, before.chip_keys_made + 1);
	assert_int_equal(fake_atecc.keys_made, 1);
	assert_int_equal(fake_atecc.ecdhs, 1);
	assert_int_equal(fake_atecc.signatures, 1);
	assert_int_equal(fake_atecc.verifies, 2);
	assert_string_equal(SSL_get_cipher(peer.ssl), "ECDHE-ECDSA-CHACHA20-POLY1305");
	assert_string_equal(SSL_get_servername(peer.ssl, TLSEXT_NAMETYPE_host_name), NAME);
}

static void
full_handshake_with_ecdh_in_software(void **state)
{
	struct tls_settings s = settings;

	(void)state;
	s.ecdh = TLS_ECDH_SOFTWARE;
	assert_int_equal(connect_with(&s, now_unix), TLS_OPEN);
	assert_int_equal(fake_atecc.keys_made, 0);
	assert_int_equal(fake_atecc.ecdhs, 0);
	assert_int_equal(fake_atecc.signatures, 1);
	assert_int_equal(fake_atecc.verifies, 2);
}

static void
resumed_handshake_leaves_the_chip_alone(void **state)
{
	struct tls_figures f;
	uint32_t full;

	(void)state;
	assert_open();
	tls_figures(&f);
	full = f.bytes_down;
	for (unsigned i = 0; i < 3; i++) {
		fake_atecc_reset();
		assert_open();
		tls_figures(&f);
		assert_true(f.resumed);
		assert_true(SSL_session_reused(peer.ssl));
		assert_int_equal(fake_atecc.operations, 0);
		assert_true(f.bytes_down < full / 2);
	}
	tls_forget_session();
	assert_open();
	tls_figures(&f);
	assert_false(f.resumed);
}

static void
full_handshake_when_the_session_is_unknown(void **state)
{
	struct tls_figures f;

	(void)state;
	assert_open();
	SSL_CTX_flush_sessions(peer.context, (long)time(NULL) + 100000);
	assert_open();
	tls_figures(&f);
	assert_false(f.resumed);
	assert_int_equal(fake_atecc.verifies, 4);
}

static void
server_without_sessions_gets_full_handshakes(void **state)
{
	struct tls_figures f;

	(void)state;
	SSL_CTX_set_session_cache_mode(peer.context, SSL_SESS_CACHE_OFF);
	for (unsigned i = 0; i < 2; i++) {
		assert_open();
		tls_figures(&f);
		assert_false(f.resumed);
	}
}

/* A gateway that dies is no reason for a full handshake; one that always dies on a session is. */
static void
session_is_doubted_after_failures(void **state)
{
	struct tls_figures f;

	(void)state;
	assert_open();
	for (unsigned i = 0; i < 2; i++) {
		peer_connect(&peer);
		peer.line.down_limit = 0;
		peer.line.down_ends = true;
		assert_true(open_with(&settings, now_unix));
		assert_int_equal(shake_hands(), TLS_CLOSED);
		assert_failed(BR_ERR_IO, TLS_REPORT_CLOSED);
	}
	assert_open();
	tls_figures(&f);
	assert_true(f.resumed);
	for (unsigned i = 0; i < 3; i++) {
		peer_connect(&peer);
		peer.line.down_limit = 0;
		assert_true(open_with(&settings, now_unix));
		assert_int_equal(shake_hands(), TLS_CLOSED);
		assert_failed(TLS_ERROR_DEADLINE, TLS_REPORT_DEADLINE);
	}
	assert_open();
	tls_figures(&f);
	assert_false(f.resumed);
}

/* Signatures of both sides come out short now and then; force ours, repeat theirs. */
static void
signatures_with_leading_zeros(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		tls_forget_session();
		fake_atecc_reset();
		fake_atecc.short_r = i % 20 == 1;
		fake_atecc.short_s = i % 20 == 2;
		assert_open();
	}
}

static const uint8_t SHORT_KEY[65] = {
	0x04, 0x29, 0x21, 0x64, 0xce, 0x89, 0xe7, 0x94, 0x88, 0xb5, 0xed, 0x70, 0x23, 0xb0, 0x8a, 0x10,
	0x41, 0xd7, 0xe9, 0x3a, 0x55, 0x45, 0xd8, 0x02, 0x2f, 0x56, 0x19, 0xe7, 0xe3, 0x91, 0xe0, 0x38,
	0x7e, 0x88, 0x30, 0x0c, 0x88, 0x85, 0x43, 0x6e, 0xed, 0x2f, 0x03, 0x99, 0x36, 0x00, 0x9b, 0xdb,
	0xd2, 0xf0, 0xc6, 0x47, 0xd5, 0x15, 0x79, 0x67, 0x07, 0xde, 0x01, 0xd9, 0xda, 0xf1, 0xe3, 0x84,
	0x6a,
};
/* Both numbers have 31 bytes: one signature in 65,536. */
static const uint8_t SHORT_SIGNATURE[68] = {
	0x30, 0x42, 0x02, 0x1f, 0x6b, 0x04, 0xed, 0x55, 0x75, 0xd5, 0x7a, 0xc4, 0x90, 0x1c, 0xc5, 0x4b,
	0x65, 0x03, 0x8f, 0x48, 0xc1, 0x2a, 0x7c, 0xf6, 0xf1, 0xf5, 0x4b, 0xa6, 0x97, 0x15, 0x47, 0x66,
	0x20, 0x79, 0x7a, 0x02, 0x1f, 0x08, 0xf2, 0x23, 0x13, 0xfb, 0x13, 0xf2, 0x5f, 0x81, 0x56, 0x90,
	0xa3, 0xf6, 0x0b, 0xa9, 0x39, 0x15, 0x23, 0xc8, 0x50, 0x7b, 0x9c, 0xe2, 0xa5, 0xc2, 0xf6, 0x85,
	0xed, 0x3d, 0x4e, 0xc8,
};

static void
verifies_when_both_numbers_are_short(void **state)
{
	uint8_t digest[32], signature[sizeof SHORT_SIGNATURE + 8] = { 0 }, point[65];
	br_ec_public_key key = { BR_EC_secp256r1, point, sizeof point };

	(void)state;
	memcpy(point, SHORT_KEY, sizeof point);
	SHA256((const uint8_t *)"both short", 10, digest);
	memcpy(signature, SHORT_SIGNATURE, sizeof SHORT_SIGNATURE);
	tls_chip_reset(FIXTURE_KEY_SLOT, FIXTURE_ECDH_SLOT);
	assert_int_equal(tls_chip_verify(NULL, digest, 32, &key, signature, 68), 1);
	assert_int_equal(tls_chip_verified(), 1);
	signature[67] ^= 1;
	assert_int_equal(tls_chip_verify(NULL, digest, 32, &key, signature, 68), 0);
	signature[67] ^= 1;
	/* Not asked at all: other digest, other curve, other form of key, not DER. */
	fake_atecc_reset();
	assert_int_equal(tls_chip_verify(NULL, digest, 20, &key, signature, 68), 0);
	assert_int_equal(tls_chip_verify(NULL, digest, 32, &key, signature, 67), 0);
	assert_int_equal(tls_chip_verify(NULL, digest, 32, &key, signature, 73), 0);
	assert_int_equal(tls_chip_verify(NULL, digest, 32, &key, signature, 0), 0);
	point[0] = 2;
	assert_int_equal(tls_chip_verify(NULL, digest, 32, &key, signature, 68), 0);
	point[0] = 4;
	key.curve = BR_EC_secp384r1;
	assert_int_equal(tls_chip_verify(NULL, digest, 32, &key, signature, 68), 0);
	assert_int_equal(fake_atecc.verifies, 0);
	assert_int_equal(tls_chip_verified(), 1);
}

/* Numbers longer than the curve, or nothing but zeros, must not reach the chip. */
static void
refuses_signatures_that_do_not_fit(void **state)
{
	uint8_t long_r[2 + 2 + 40 + 3] = { 0x30, 45, 0x02, 40, 0x01 }, digest[32] = { 0 }, point[65];
	uint8_t zeros[] = { 0x30, 6, 0x02, 1, 0, 0x02, 1, 0 };
	br_ec_public_key key = { BR_EC_secp256r1, point, sizeof point };

	(void)state;
	memcpy(point, SHORT_KEY, sizeof point);
	long_r[44] = 0x02;
	long_r[45] = 1;
	long_r[46] = 1;
	tls_chip_reset(FIXTURE_KEY_SLOT, FIXTURE_ECDH_SLOT);
	assert_int_equal(tls_chip_verify(NULL, digest, 32, &key, long_r, sizeof long_r), 0);
	assert_int_equal(tls_chip_verify(NULL, digest, 32, &key, zeros, sizeof zeros), 0);
	assert_int_equal(fake_atecc.verifies, 0);
	assert_int_equal(tls_chip_status(), ATECC_OK);
}

/*
 * Data
 */

static void
echoes_data_of_many_sizes(void **state)
{
	static const size_t sizes[] = { 1, 2, 100, 511, 512, 513, 1023, 1024, 1025, 2048, 5000 };

	(void)state;
	for (size_t chop = 0; chop < 3; chop++) {
		tls_forget_session();
		assert_open();
		peer.line.chop = chop;
		for (size_t i = 0; i < COUNT(sizes); i++) {
			echo(sizes[i]);
			peer.line.up.read = peer.line.up.written = 0;
			peer.line.down.read = peer.line.down.written = 0;
		}
	}
	/* Every record on the wire, of both sides: the server was asked for 512 (MFLN). */
	assert_in_range(peer.largest_record, 400, 512);
}

/*
 * Certificates and the clock
 */

static void
wrong_authority(void **state)
{
	struct authority stranger = authority_new("Another CA"), double_ = authority_new("Test CA");
	X509 *certificate;

	(void)state;
	use_certificate(gateway_certificate_for(&stranger, "DNS:" NAME));
	assert_refused(&settings, now_unix, BR_ERR_X509_NOT_TRUSTED, TLS_REPORT_CA);
	/* Same name, other key. */
	use_certificate(gateway_certificate_for(&double_, "DNS:" NAME));
	assert_refused(&settings, now_unix, BR_ERR_X509_NOT_TRUSTED, TLS_REPORT_CA);
	/* The server also sends its CA: the chain is followed. */
	certificate = double_.certificate;
	assert_int_equal(SSL_CTX_add1_chain_cert(peer.context, certificate), 1);
	assert_int_equal(connect_with(&settings, now_unix), TLS_CLOSED);
	assert_int_equal(tls_error_report(tls_error()), REPORT_TLS + TLS_REPORT_CA);
	authority_free(&stranger);
	authority_free(&double_);
}

static void
names_and_addresses(void **state)
{
	static const struct {
		const char *wanted, *names;
		unsigned error;
	} cases[] = {
		{ NAME, "DNS:" NAME, 0 },
		{ "GATEWAY.test", "DNS:" NAME, 0 },
		{ "a.gateway.test", "DNS:*.gateway.test", 0 },
		{ "a.b.gateway.test", "DNS:*.gateway.test", BR_ERR_X509_BAD_SERVER_NAME },
		{ "other.test", "DNS:" NAME, BR_ERR_X509_BAD_SERVER_NAME },
		{ "192.0.2.1", "DNS:" NAME ",DNS:192.0.2.1", 0 },
		{ "192.0.2.1", "DNS:" NAME ",IP:192.0.2.1", BR_ERR_X509_BAD_SERVER_NAME },
		{ "192.0.2.2", "DNS:192.0.2.1", BR_ERR_X509_BAD_SERVER_NAME },
		{ NAME, NULL, 0 }, /* no extension: the common name */
	};
	struct tls_settings s = settings;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		tls_forget_session();
		use_certificate(gateway_certificate_for(&ca, cases[i].names));
		s.server_name = cases[i].wanted;
		if (cases[i].error != 0) {
			assert_refused(&s, now_unix, cases[i].error, TLS_REPORT_NAME);
		} else {
			assert_int_equal(connect_with(&s, now_unix), TLS_OPEN);
		}
	}
}

static void
dates_and_the_clock(void **state)
{
	uint32_t years = 365 * 86400;

	(void)state;
	assert_refused(&settings, 0, TLS_ERROR_CLOCK, TLS_REPORT_CLOCK);
	assert_refused(&settings, TLS_CLOCK_PLAUSIBLE - 1, TLS_ERROR_CLOCK, TLS_REPORT_CLOCK);
	assert_refused(&settings, now_unix + 12 * years, BR_ERR_X509_EXPIRED, TLS_REPORT_EXPIRED);
	use_certificate(certificate_new(&ca, gateway_key, NAME, NULL, -10, -1));
	assert_refused(&settings, now_unix, BR_ERR_X509_EXPIRED, TLS_REPORT_EXPIRED);
	use_certificate(certificate_new(&ca, gateway_key, NAME, NULL, 1, 10));
	assert_refused(&settings, now_unix, BR_ERR_X509_EXPIRED, TLS_REPORT_EXPIRED);
	/* Valid since 1970: made for devices without a clock. */
	use_certificate(certificate_new(&ca, gateway_key, NAME, NULL,
	                                -(long)(now_unix / 86400) - 1, 10));
	assert_int_equal(connect_with(&settings, 0), TLS_OPEN);
}

static void
unusable_settings(void **state)
{
	static char long_name[300];
	struct tls_settings s[6];

	(void)state;
	for (size_t i = 0; i < COUNT(s); i++) {
		s[i] = settings;
	}
	memset(long_name, 'a', sizeof long_name - 1);
	s[0].server_name = "";
	s[1].server_name = long_name;
	s[2].server_name = NULL;
	s[3].anchor_dn_size = 0;
	s[4].anchor_key = device_der;
	s[5].certificate_size = 0;
	for (size_t i = 0; i < COUNT(s); i++) {
		peer_connect(&peer);
		assert_false(open_with(&s[i], now_unix));
		assert_failed(BR_ERR_BAD_PARAM, TLS_REPORT_OTHER);
	}
}

/*
 * What the gateway says
 */

static int verdict;

static int
refuse_certificate(X509_STORE_CTX *c, void *arg)
{
	(void)arg;
	X509_STORE_CTX_set_error(c, verdict);
	return 0;
}

static void
alerts_about_our_certificate(void **state)
{
	static const struct {
		int verdict;
		unsigned error, report;
	} cases[] = {
		{ X509_V_ERR_CERT_REVOKED, 300, TLS_REPORT_REVOKED },
		{ X509_V_ERR_CERT_HAS_EXPIRED, 301, TLS_REPORT_REFUSED },
		{ X509_V_ERR_INVALID_PURPOSE, 299, TLS_REPORT_REFUSED },
		{ X509_V_ERR_CERT_REJECTED, 298, TLS_REPORT_REFUSED },
		{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 304, TLS_REPORT_REFUSED },
		{ X509_V_ERR_CERT_SIGNATURE_FAILURE, 307, TLS_REPORT_SIGNATURE },
		{ X509_V_ERR_UNSPECIFIED, 336, TLS_REPORT_OTHER },
	};

	(void)state;
	SSL_CTX_set_cert_verify_callback(peer.context, refuse_certificate, NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		verdict = cases[i].verdict;
		assert_refused(&settings, now_unix, cases[i].error, cases[i].report);
	}
}

/* The alert is there although our own bytes no longer get through. */
static void
alert_is_read_behind_a_failed_send(void **state)
{
	(void)state;
	SSL_CTX_set_cipher_list(peer.context, "ECDHE-ECDSA-AES128-GCM-SHA256");
	peer_connect(&peer);
	assert_true(open_with(&settings, now_unix));
	tls_step();
	peer.line.up_fails = true;
	assert_int_equal(shake_hands(), TLS_CLOSED);
	assert_failed(296, TLS_REPORT_NO_SUITE);

	peer_connect(&peer);
	peer.line.up_fails = true;
	assert_true(open_with(&settings, now_unix));
	assert_int_equal(shake_hands(), TLS_CLOSED);
	assert_failed(BR_ERR_IO, TLS_REPORT_CLOSED);
}

static void
certificate_of_another_key(void **state)
{
	(void)state;
	fake_atecc_set_key(FIXTURE_KEY_SLOT, gateway_key);
	assert_refused(&settings, now_unix, 307, TLS_REPORT_SIGNATURE);
}

static void
no_common_ground(void **state)
{
	(void)state;
	SSL_CTX_set_cipher_list(peer.context, "ECDHE-ECDSA-AES128-GCM-SHA256");
	assert_refused(&settings, now_unix, 296, TLS_REPORT_NO_SUITE);
	SSL_CTX_set_min_proto_version(peer.context, TLS1_3_VERSION);
	assert_refused(&settings, now_unix, 326, TLS_REPORT_NO_SUITE);
}

static void
peer_that_does_not_speak_tls(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2p1\r\n",
		"\x20\x02\x00\x05\x20\x02", /* an MQTT port */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(answers); i++) {
		peer_connect(&peer);
		SSL_free(peer.ssl);
		peer.ssl = NULL;
		peer.line.down.written = i == 2 ? 6 : strlen(answers[i]);
		memcpy(peer.line.down.bytes, answers[i], peer.line.down.written);
		peer.line.closed = true;
		assert_true(open_with(&settings, now_unix));
		assert_int_equal(shake_hands(), TLS_CLOSED);
		assert_failed(BR_ERR_UNSUPPORTED_VERSION, TLS_REPORT_NOT_TLS);
	}
}

/*
 * The chip
 */

static void
chip_fails_at_each_operation(void **state)
{
	static const enum atecc_status statuses[] = {
		ATECC_ABSENT, ATECC_BUS, ATECC_CRC, ATECC_TIMEOUT, ATECC_SELF_TEST, ATECC_PARSE,
		ATECC_EXECUTION, ATECC_ECC_FAULT, ATECC_UNLOCKED,
	};
	unsigned operations;

	(void)state;
	assert_open();
	operations = fake_atecc.operations;
	assert_int_equal(operations, 5);
	for (unsigned n = 1; n <= operations; n++) {
		for (size_t i = 0; i < COUNT(statuses); i++) {
			tls_forget_session();
			fake_atecc_reset();
			fake_atecc.fail_at = n;
			fake_atecc.fail_with = statuses[i];
			assert_refused(&settings, now_unix, TLS_ERROR_CHIP + statuses[i],
			               TLS_REPORT_CHIP);
		}
	}
}

/* The chip's "no" to a signature is not a failure of the chip. */
static void
chip_says_no(void **state)
{
	(void)state;
	fake_atecc.fail_at = 1;
	fake_atecc.fail_with = ATECC_MISCOMPARE;
	assert_refused(&settings, now_unix, BR_ERR_X509_NOT_TRUSTED, TLS_REPORT_CA);
	fake_atecc_reset();
	fake_atecc.fail_at = 2;
	fake_atecc.fail_with = ATECC_MISCOMPARE;
	assert_refused(&settings, now_unix, BR_ERR_BAD_SIGNATURE, TLS_REPORT_DAMAGED);
}

/*
 * Words
 */

static void
every_error_has_words_and_a_group(void **state)
{
	static const unsigned documented[] = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
		26, 27, 28, 29, 31, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50,
		51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 62, 266, 276, 296, 298, 299, 300, 301, 302, 304,
		305, 306, 307, 326, 336, 256 + 90, 1000, 1012, 1100, 1101, 1102,
	};
	size_t total = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(documented); i++) {
		assert_string_not_equal(tls_error_text(documented[i]), "unknown TLS error");
		total += strlen(tls_error_text(documented[i]));
	}
	assert_true(total > 0);
	assert_string_equal(tls_error_text(777), "unknown TLS error");
	for (unsigned error = 0; error < 2000; error++) {
		assert_in_range(tls_error_report(error), REPORT_TLS, REPORT_TLS + 19);
		assert_true(strlen(tls_error_text(error)) <= 100);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(refuses_to_start_without_randomness),
		TEST(full_handshake_with_ecdh_in_the_chip),
		TEST(full_handshake_with_ecdh_in_software),
		TEST(resumed_handshake_leaves_the_chip_alone),
		TEST(full_handshake_when_the_session_is_unknown),
		TEST(server_without_sessions_gets_full_handshakes),
		TEST(session_is_doubted_after_failures),
		TEST(signatures_with_leading_zeros),
		TEST(verifies_when_both_numbers_are_short),
		TEST(refuses_signatures_that_do_not_fit),
		TEST(echoes_data_of_many_sizes),
		TEST(wrong_authority),
		TEST(names_and_addresses),
		TEST(dates_and_the_clock),
		TEST(unusable_settings),
		TEST(alerts_about_our_certificate),
		TEST(alert_is_read_behind_a_failed_send),
		TEST(certificate_of_another_key),
		TEST(no_common_ground),
		TEST(peer_that_does_not_speak_tls),
		TEST(chip_fails_at_each_operation),
		TEST(chip_says_no),
		TEST(every_error_has_words_and_a_group),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
