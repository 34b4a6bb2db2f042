/* SPDX-License-Identifier: BSD-2-Clause */
/* Resumption on another worker, and everything that must prevent it. */
#include "unit/tls_help.h"

#include <stdio.h>

#include "base/clock.h"

#define LIFETIME 7200

enum way { BY_ID, BY_TICKET_12, BY_NAME_13, WAYS };

/* Two workers that share sessions, and a client that has been to the first. */
struct pair {
	struct tls_shared *shared;
	struct server one, two;
	struct client c;
};

static void
client_for(struct client *c, const struct identity *identity, enum way way)
{
	client_start(c, identity, way == BY_NAME_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	if (way == BY_ID) {
		SSL_CTX_set_options(c->context, SSL_OP_NO_TICKET);
	}
}

static void
pair_start(struct pair *p, enum way way)
{
	assert_int_equal(tls_shared_new(100, LIFETIME, &p->shared), 0);
	server_start(&p->one, NULL, p->shared);
	server_start(&p->two, NULL, p->shared);
	client_for(&p->c, &world.device, way);
	assert_true(meet(&p->c, &p->one, NULL));
	assert_false(tls_resumed(p->one.tls));
	assert_non_null(p->c.session);
	assert_int_equal(tls_shared_count(p->shared), way == BY_TICKET_12 ? 0 : 1);
}

static void
pair_stop(struct pair *p)
{
	clock_real();
	client_stop(&p->c);
	server_stop(&p->one);
	server_stop(&p->two);
	tls_shared_free(p->shared);
}

static bool
resumes(struct pair *p)
{
	SSL_SESSION *session = p->c.session;
	bool open, resumed;

	SSL_SESSION_up_ref(session);
	open = meet(&p->c, &p->two, session);
	SSL_SESSION_free(session);
	resumed = open && tls_resumed(p->two.tls);
	if (open) {
		assert_int_equal(SSL_session_reused(p->c.ssl), resumed);
	}
	return resumed;
}

/* What is known of a peer that resumes is what its certificate said. */
static void
assert_same_peer(const struct tls *resumed, const struct tls *full)
{
	const struct pki_cert *a = tls_peer(resumed), *b = tls_peer(full);

	assert_true(span_eq(a->subject, b->subject) && span_eq(a->issuer, b->issuer));
	assert_true(span_eq(a->cn, b->cn) && span_eq(a->issuer_cn, b->issuer_cn));
	assert_true(span_eq(a->san_dns, b->san_dns) && span_eq(a->san_uri, b->san_uri));
	assert_true(span_eq(a->serial, b->serial) && span_eq(a->key_type, b->key_type));
	assert_string_equal(a->fingerprint, b->fingerprint);
	assert_string_equal(a->certificate_hash, b->certificate_hash);
	assert_int_equal(a->not_before, b->not_before);
	assert_int_equal(a->not_after, b->not_after);
	assert_int_equal(tls_evidence(resumed)->cert_length, tls_evidence(full)->cert_length);
}

static void
sessions_resume_on_any_worker(void **state)
{
	(void)state;
	for (enum way way = 0; way < WAYS; way++) {
		struct pair p;

		pair_start(&p, way);
		for (unsigned again = 0; again < 3; again++) {
			assert_true(resumes(&p));
			assert_int_equal(p.two.asked, 1);
			assert_int_equal(p.two.asked_resumed, 1);
			assert_true(span_eq_str(tls_peer(p.two.tls)->cn, "012322619525B27AAF"));
			assert_string_equal(tls_peer(p.two.tls)->fingerprint, p.two.asked_for);
			assert_same_peer(p.two.tls, p.one.tls);
		}
		pair_stop(&p);
	}
}

static void
resumed_connections_meet_the_new_files(void **state)
{
	struct tls_settings settings = world_settings();
	char ca[128];

	(void)state;
	snprintf(ca, sizeof ca, "%s", world_file("now.crt"));
	settings.ca = ca;
	for (enum way way = 0; way < WAYS; way++) {
		struct pair p;

		pair_start(&p, way);
		for (unsigned again = 0; again < 2; again++) {
			assert_true(resumes(&p));
			write_cert(ca, world.foreign.cert, false);
			assert_false(still_trusted(p.two.tls, &settings));
			write_cert(ca, world.ca.cert, true);
			assert_true(still_trusted(p.two.tls, &settings));
		}
		pair_stop(&p);
	}
}

/* Refused at resumption, and again with its alert in the full handshake. */
static void
register_is_asked_again(void **state)
{
	(void)state;
	for (enum way way = 0; way < WAYS; way++) {
		struct pair p;

		pair_start(&p, way);
		p.two.answer = TLS_ADMIT_REVOKED;
		assert_false(resumes(&p));
		assert_int_equal(p.two.rc, ERR_CRYPTO);
		assert_int_equal(p.two.asked, 2);
		assert_int_equal(p.two.asked_resumed, 1);
		assert_int_equal(p.c.alert, 44);
		assert_int_equal(tls_state(p.two.tls), TLS_ENDED);
		pair_stop(&p);
	}
}

static void
expired_certificate_resumes_not(void **state)
{
	(void)state;
	for (enum way way = 0; way < WAYS; way++) {
		uint64_t ms = clock_ms();
		int64_t wall = clock_wall();
		struct pair p;

		pair_start(&p, way);
		clock_fake(ms + 1000, wall + DAY + HOUR);
		assert_false(resumes(&p));
		assert_int_equal(p.c.alert, 45);
		assert_int_equal(p.two.asked_resumed, 0);
		assert_int_equal(tls_failure(p.two.tls)->verify_error, X509_V_ERR_CERT_HAS_EXPIRED);
		pair_stop(&p);
	}
}

/* The CA ends before the certificate it issued: so does the session. */
static void
expired_issuer_resumes_not(void **state)
{
	struct identity ca = make_identity(
	        &(struct recipe){ .name = "short CA", .ca = true, .from = -HOUR, .to = HOUR });
	struct identity device = make_identity(&(struct recipe){ .name = "x", .issuer = &ca });
	struct tls_settings settings = world_settings();
	char file[128];

	(void)state;
	snprintf(file, sizeof file, "%s", world_file("other.crt"));
	write_cert(file, ca.cert, false);
	settings.ca = file;
	for (enum way way = 0; way < WAYS; way++) {
		uint64_t ms = clock_ms();
		int64_t wall = clock_wall();
		struct tls_shared *shared;
		struct server s;
		struct client c;
		SSL_SESSION *session;

		assert_int_equal(tls_shared_new(100, LIFETIME, &shared), 0);
		server_start(&s, &settings, shared);
		client_for(&c, &device, way);
		assert_true(meet(&c, &s, NULL));
		session = c.session;
		SSL_SESSION_up_ref(session);
		clock_fake(ms + 1000, wall + HOUR + 60);
		assert_false(meet(&c, &s, session));
		assert_int_equal(s.asked, 0);
		assert_int_equal(c.alert, 45);
		clock_real();
		SSL_SESSION_free(session);
		client_stop(&c);
		server_stop(&s);
		tls_shared_free(shared);
	}
	free_identity(&ca);
	free_identity(&device);
}

/* A session of one trust is asked about as what it is, and opens no other. */
static void
self_signed_stays_self_signed(void **state)
{
	struct identity own = make_identity(&(struct recipe){ .name = "own" });

	(void)state;
	for (enum way way = 0; way < WAYS; way++) {
		struct tls_shared *shared;
		struct server s;
		struct client c;

		assert_int_equal(tls_shared_new(100, LIFETIME, &shared), 0);
		server_start(&s, NULL, shared);
		client_for(&c, &own, way);
		assert_true(meet(&c, &s, NULL));
		for (unsigned again = 0; again < 2; again++) {
			SSL_SESSION *session = c.session;

			SSL_SESSION_up_ref(session);
			s.trust = TLS_TRUST_CA;
			assert_true(meet(&c, &s, session));
			assert_true(tls_resumed(s.tls));
			assert_int_equal(s.asked_resumed, 1);
			assert_int_equal(s.trust, TLS_TRUST_SELF_SIGNED);
			assert_int_equal(tls_trust(s.tls), TLS_TRUST_SELF_SIGNED);
			SSL_SESSION_free(session);
		}
		s.answer = TLS_ADMIT_UNKNOWN;
		assert_false(meet(&c, &s, c.session));
		assert_int_equal(s.asked_resumed, 1);
		assert_int_equal(s.asked, 2);
		assert_int_equal(c.alert, 48);
		client_stop(&c);
		server_stop(&s);
		tls_shared_free(shared);
	}
	free_identity(&own);
}

static void
forgotten_sessions_resume_not(void **state)
{
	(void)state;
	for (enum way way = 0; way < WAYS; way++) {
		for (unsigned all = 0; all < 2; all++) {
			struct pair p;

			pair_start(&p, way);
			tls_shared_forget(p.shared, "somebody else");
			assert_true(resumes(&p));
			if (all) {
				tls_shared_forget_all(p.shared);
			} else {
				tls_shared_forget(p.shared, tls_peer(p.one.tls)->fingerprint);
			}
			assert_int_equal(tls_shared_count(p.shared), 0);
			assert_false(resumes(&p));
			/* It gets in by a full handshake, and resumes after that. */
			assert_int_equal(p.two.rc, 0);
			assert_int_equal(p.two.asked, 1);
			assert_int_equal(p.two.asked_resumed, 0);
			assert_true(resumes(&p));
			pair_stop(&p);
		}
	}
}

/* More forgotten keys than can be noted: nobody resumes, nobody slips by. */
static void
many_forgotten_keys_forget_all(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, BY_NAME_13);
	for (unsigned i = 0; i < 1024; i++) {
		char fingerprint[PKI_FINGERPRINT_SIZE];

		snprintf(fingerprint, sizeof fingerprint, "%064x", i);
		tls_shared_forget(p.shared, fingerprint);
	}
	assert_true(resumes(&p));
	tls_shared_forget(p.shared, "one more");
	assert_false(resumes(&p));
	assert_true(resumes(&p));
	pair_stop(&p);
}

/* Renewed tickets do not live for ever: a certificate must be shown again. */
static void
lifetime_counts_from_the_full_handshake(void **state)
{
	(void)state;
	for (enum way way = 0; way < WAYS; way++) {
		uint64_t ms = clock_ms();
		int64_t wall = clock_wall();
		struct pair p;

		clock_fake(ms, wall);
		pair_start(&p, way);
		/* Over two rotations of the ticket keys. */
		for (unsigned i = 1; i < 4; i++) {
			clock_fake(ms + i * (LIFETIME / 4 + 60) * 1000, wall);
			assert_true(resumes(&p));
		}
		clock_fake(ms + LIFETIME * 1000, wall);
		assert_false(resumes(&p));
		assert_int_equal(p.two.rc, 0);
		pair_stop(&p);
	}
}

/* A session made where another CA was trusted gives no access here, though
 * the store and the ticket keys are the same (the kind of CVE-2025-23419). */
static void
session_of_another_trust_resumes_not(void **state)
{
	struct identity device = make_identity(
	        &(struct recipe){ .name = "012322619525B27AAF", .issuer = &world.foreign });
	struct tls_settings settings = world_settings();
	char file[128];

	(void)state;
	snprintf(file, sizeof file, "%s", world_file("other.crt"));
	write_cert(file, world.foreign.cert, false);
	settings.ca = file;
	for (enum way way = 0; way < WAYS; way++) {
		struct tls_shared *shared;
		struct server there, here;
		struct client c;
		SSL_SESSION *session;

		assert_int_equal(tls_shared_new(100, LIFETIME, &shared), 0);
		server_start(&there, &settings, shared);
		server_start(&here, NULL, shared);
		client_for(&c, &device, way);
		assert_true(meet(&c, &there, NULL));
		session = c.session;
		SSL_SESSION_up_ref(session);
		assert_false(meet(&c, &here, session));
		assert_int_equal(here.asked, 0);
		assert_int_equal(c.alert, 48);
		SSL_SESSION_free(session);
		client_stop(&c);
		server_stop(&there);
		server_stop(&here);
		tls_shared_free(shared);
	}
	free_identity(&device);
}

static void
store_is_bounded(void **state)
{
	struct tls_shared *shared;
	struct identity many[6];
	struct server s;
	struct client c;

	(void)state;
	assert_int_equal(tls_shared_new(5, LIFETIME, &shared), 0);
	server_start(&s, NULL, shared);
	for (unsigned i = 0; i < 6; i++) {
		many[i] = make_identity(&(struct recipe){ .name = "x", .issuer = &world.ca });
		client_for(&c, &many[i], BY_ID);
		assert_true(meet(&c, &s, NULL));
		client_stop(&c);
		assert_int_equal(tls_shared_count(shared), i < 5 ? i + 1 : 5);
	}
	tls_shared_forget_all(shared);
	/* A device that never resumes does not push out the others. */
	for (unsigned i = 0; i < 10; i++) {
		client_for(&c, &many[0], BY_ID);
		assert_true(meet(&c, &s, NULL));
		client_stop(&c);
	}
	assert_int_equal(tls_shared_count(shared), 4);
	for (unsigned i = 0; i < 6; i++) {
		free_identity(&many[i]);
	}
	server_stop(&s);
	tls_shared_free(shared);
}

static void
damaged_ticket_is_a_full_handshake(void **state)
{
	struct pair p, other;

	(void)state;
	for (enum way way = BY_TICKET_12; way < WAYS; way++) {
		pair_start(&p, way);
		pair_start(&other, way);
		/* Sealed with the keys of another gateway. */
		SSL_SESSION_free(p.c.session);
		p.c.session = other.c.session;
		other.c.session = NULL;
		assert_false(resumes(&p));
		assert_int_equal(p.two.rc, 0);
		assert_int_equal(p.two.asked_resumed, 0);
		pair_stop(&p);
		pair_stop(&other);
	}
}

static void
broken_session_is_dropped_and_lost_one_kept(void **state)
{
	struct pair p;
	uint8_t plain[64];

	(void)state;
	pair_start(&p, BY_ID);
	/* The board loses its power: no close_notify. */
	tls_lend_eof(p.one.tls);
	assert_int_equal(tls_read(p.one.tls, plain, sizeof plain, &p.one.out), ERR_CRYPTO);
	assert_int_equal(tls_shared_count(p.shared), 1);
	assert_true(resumes(&p));
	/* A forged record. */
	tls_lend(p.two.tls, span_of("\x17\x03\x03\x00\x20"
	                            "0123456789abcdef0123456789abcdef",
	                            37));
	assert_int_equal(tls_read(p.two.tls, plain, sizeof plain, &p.two.out), ERR_CRYPTO);
	assert_int_equal(tls_shared_count(p.shared), 0);
	assert_false(resumes(&p));
	pair_stop(&p);
}

static void
without_store_nothing_resumes(void **state)
{
	(void)state;
	for (enum way way = 0; way < WAYS; way++) {
		struct server s;
		struct client c;

		server_start(&s, NULL, NULL);
		client_for(&c, &world.device, way);
		assert_true(meet(&c, &s, NULL));
		assert_true(c.session == NULL || !SSL_SESSION_has_ticket(c.session));
		if (c.session != NULL) {
			SSL_SESSION *session = c.session;

			SSL_SESSION_up_ref(session);
			assert_true(meet(&c, &s, session));
			assert_false(tls_resumed(s.tls));
			SSL_SESSION_free(session);
		}
		client_stop(&c);
		server_stop(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sessions_resume_on_any_worker),
		cmocka_unit_test(resumed_connections_meet_the_new_files),
		cmocka_unit_test(register_is_asked_again),
		cmocka_unit_test(expired_certificate_resumes_not),
		cmocka_unit_test(expired_issuer_resumes_not),
		cmocka_unit_test(self_signed_stays_self_signed),
		cmocka_unit_test(forgotten_sessions_resume_not),
		cmocka_unit_test(many_forgotten_keys_forget_all),
		cmocka_unit_test(lifetime_counts_from_the_full_handshake),
		cmocka_unit_test(session_of_another_trust_resumes_not),
		cmocka_unit_test(store_is_bounded),
		cmocka_unit_test(damaged_ticket_is_a_full_handshake),
		cmocka_unit_test(broken_session_is_dropped_and_lost_one_kept),
		cmocka_unit_test(without_store_nothing_resumes),
	};

	return cmocka_run_group_tests(tests, world_make, world_remove);
}
