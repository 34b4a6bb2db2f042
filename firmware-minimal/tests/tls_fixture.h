/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of tls/ share: a CA, a gateway, a device that it likes, and
 * steps that check themselves.
 */
#ifndef TESTS_TLS_FIXTURE_H
#define TESTS_TLS_FIXTURE_H

#include "tls_peer.h"
#include "unit/cmocka_all.h"

#define NAME "gateway.test"
#define FIXTURE_KEY_SLOT 0
#define FIXTURE_ECDH_SLOT 2
#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

extern struct authority ca;
extern EVP_PKEY *gateway_key;
extern uint8_t *device_der;
extern struct peer peer;
extern struct tls_settings settings; /* ECDH in the chip */
extern uint32_t now_unix;

int group_setup(void **state);
int group_teardown(void **state);
int setup(void **state);
int teardown(void **state);

X509 *gateway_certificate_for(const struct authority *issuer, const char *names);
/* The server's from now on; takes it over. */
void use_certificate(X509 *certificate);

/* Bytes that were moved so far, both ways. */
size_t line_position(void);
bool open_with(const struct tls_settings *s, uint32_t unix_time);
/* Until the handshake is over. While nothing moves, the clock does. */
enum tls_state shake_hands(void);
enum tls_state connect_with(const struct tls_settings *s, uint32_t unix_time);
/* With the fixture's settings and the right time. */
void assert_open(void);
/* Closed with this error and LED group (without REPORT_TLS). */
void assert_failed(unsigned error, unsigned report);
void assert_refused(const struct tls_settings *s, uint32_t unix_time, unsigned error,
                    unsigned report);

/* So many bytes up to the server, which sends them back. */
void echo(size_t size);
void send_down(const void *data, int size);

#endif
