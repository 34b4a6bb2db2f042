/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls_fixture.h"

#include <openssl/rand.h>
#include <string.h>
#include <time.h>

#include "app/report.h"
#include "fake_atecc.h"

struct authority ca;
EVP_PKEY *gateway_key;
static EVP_PKEY *device_key;
static X509 *gateway_certificate;
uint8_t *device_der;
struct peer peer;
struct tls_settings settings;
uint32_t now_unix;

X509 *
gateway_certificate_for(const struct authority *issuer, const char *names)
{
	return certificate_new(issuer, gateway_key, NAME, names, -1, 3000);
}

int
group_setup(void **state)
{
	X509 *device;
	int size;

	(void)state;
	now_unix = (uint32_t)time(NULL);
	ca = authority_new("Test CA");
	gateway_key = EVP_EC_gen("P-256");
	device_key = EVP_EC_gen("P-256");
	gateway_certificate = gateway_certificate_for(&ca, "DNS:" NAME ",DNS:192.0.2.1,IP:192.0.2.1");
	device = certificate_new(&ca, device_key, "0123456789ABCDEF01", NULL, -1, 3000);
	size = i2d_X509(device, &device_der);
	X509_free(device);
	settings = (struct tls_settings){
		.server_name = NAME,
		.anchor_dn = ca.dn,
		.anchor_dn_size = (size_t)ca.dn_size,
		.anchor_key = ca.point,
		.certificate = device_der,
		.certificate_size = (size_t)size,
		.key_slot = FIXTURE_KEY_SLOT,
		.ecdh_slot = FIXTURE_ECDH_SLOT,
		.ecdh = TLS_ECDH_CHIP,
		.handshake_ms = 20000,
		.idle_ms = 60000,
	};
	return size > 0 ? 0 : -1;
}

int
group_teardown(void **state)
{
	(void)state;
	authority_free(&ca);
	EVP_PKEY_free(gateway_key);
	EVP_PKEY_free(device_key);
	X509_free(gateway_certificate);
	OPENSSL_free(device_der);
	fake_atecc_free();
	return 0;
}

int
setup(void **state)
{
	(void)state;
	peer_init(&peer, &ca, gateway_certificate, gateway_key);
	fake_atecc_reset();
	fake_atecc_set_key(FIXTURE_KEY_SLOT, device_key);
	tls_forget_session();
	return 0;
}

int
teardown(void **state)
{
	(void)state;
	tls_close(0);
	peer_clock += 1;
	assert_int_equal(tls_step(), TLS_CLOSED);
	peer_free(&peer);
	return 0;
}

size_t
line_position(void)
{
	return peer.line.up.written + peer.line.down.read;
}

enum tls_state
shake_hands(void)
{
	enum tls_state state;

	do {
		size_t before = line_position();

		state = tls_step();
		peer_work(&peer);
		if (line_position() == before) {
			peer_clock += 250;
		}
	} while (state == TLS_HANDSHAKE);
	return state;
}

bool
open_with(const struct tls_settings *s, uint32_t unix_time)
{
	struct tls_transport transport = peer_transport(&peer);

	return tls_open(s, &transport, unix_time);
}

enum tls_state
connect_with(const struct tls_settings *s, uint32_t unix_time)
{
	peer_connect(&peer);
	assert_true(open_with(s, unix_time));
	return shake_hands();
}

void
assert_open(void)
{
	assert_int_equal(connect_with(&settings, now_unix), TLS_OPEN);
	assert_int_equal(tls_error(), 0);
	/* The server's last flight is behind it only when it has worked once more. */
	peer_work(&peer);
	assert_true(SSL_is_init_finished(peer.ssl));
}

void
assert_failed(unsigned error, unsigned report)
{
	size_t size;

	assert_int_equal(tls_error(), error);
	assert_int_equal(tls_error_report(tls_error()), REPORT_TLS + report);
	assert_non_null(tls_error_text(tls_error()));
	assert_int_equal(tls_step(), TLS_CLOSED);
	assert_null(tls_peek(&size));
	assert_int_equal(tls_write("x", 1), 0);
}

void
assert_refused(const struct tls_settings *s, uint32_t unix_time, unsigned error, unsigned report)
{
	assert_int_equal(connect_with(s, unix_time), TLS_CLOSED);
	assert_failed(error, report);
}

void
use_certificate(X509 *certificate)
{
	assert_int_equal(SSL_CTX_use_certificate(peer.context, certificate), 1);
	X509_free(certificate);
}

static uint8_t sent[5000], came[5000];

/* Everything up to the server, which sends it back. */
void
echo(size_t size)
{
	size_t up = 0, served = 0, down = 0, back = 0, n;
	const uint8_t *data;
	int got;

	assert_int_equal(RAND_bytes(sent, (int)sizeof sent), 1);
	for (unsigned i = 0; back < size; i++) {
		assert_true(i < 100000);
		n = up < size ? tls_write(sent + up, size - up) : 0;
		up += n;
		tls_flush();
		assert_int_equal(tls_step(), TLS_OPEN);
		peer_work(&peer);
		while ((got = SSL_read(peer.ssl, came + served, (int)(sizeof came - served))) > 0) {
			served += (size_t)got;
		}
		if (served > down) {
			got = SSL_write(peer.ssl, came + down, (int)(served - down));
			assert_int_equal(got, served - down);
			down = served;
		}
		peer_work(&peer);
		while ((data = tls_peek(&n)) != NULL) {
			assert_true(n > 0 && n <= 512 && back + n <= size);
			n = n > 7 && i % 2 == 0 ? n - 3 : n; /* what is left comes again */
			assert_memory_equal(data, sent + back, n);
			tls_consume(n);
			back += n;
		}
	}
}

void
send_down(const void *data, int size)
{
	assert_int_equal(SSL_write(peer.ssl, data, size), size);
	peer_work(&peer);
}
