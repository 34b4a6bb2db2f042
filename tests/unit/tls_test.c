/* SPDX-License-Identifier: BSD-2-Clause */
/* Handshakes: who gets in, who does not, and what each side learns. */
#include "unit/tls_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/clock.h"

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void
good_device_gets_in(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct server s;
		struct client c;

		server_start(&s, NULL, NULL);
		client_start(&c, &world.device, versions[i]);
		server_accept(&s);
		client_connect(&c, NULL);
		SSL_set_tlsext_host_name(c.ssl, "gateway.local");
		shake(&c, &s);
		assert_int_equal(s.rc, 0);
		assert_true(c.done);
		assert_int_equal(tls_state(s.tls), TLS_OPEN);
		assert_int_equal(s.asked, 1);
		assert_false(tls_resumed(s.tls));
		assert_true(span_eq_str(tls_peer(s.tls)->cn, "012322619525B27AAF"));
		assert_string_equal(tls_peer(s.tls)->fingerprint, s.asked_for);
		assert_string_equal(tls_server_name(s.tls), "gateway.local");
		assert_string_equal(tls_version_text(s.tls), i == 0 ? "TLSv1.2" : "TLSv1.3");
		assert_string_equal(tls_cipher_text(s.tls), SSL_get_cipher_name(c.ssl));
		assert_string_equal(tls_failure(s.tls)->text, "");
		client_stop(&c);
		server_stop(&s);
	}
}

static void
bytes_one_at_a_time(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct server s;
		struct client c;

		server_start(&s, NULL, NULL);
		s.chunk = 1;
		client_start(&c, &world.device, versions[i]);
		assert_true(meet(&c, &s, NULL));
		client_stop(&c);
		server_stop(&s);
	}
}

/* ---- refusals -------------------------------------------------------------------------- */

struct refusal {
	struct recipe recipe;
	const char *words; /* in the sentence */
	int alert, alert_13; /* 13: when it differs */
	int verify_error;
	bool none;
	unsigned asked;        /* does it depend on the register? */
	enum tls_admit answer;
};

static void
refuse(const struct refusal *row, int version)
{
	struct identity device = make_identity(&row->recipe);
	struct server s;
	struct client c;

	server_start(&s, NULL, NULL);
	s.answer = row->answer;
	client_start(&c, row->none ? NULL : &device, version);
	assert_false(meet(&c, &s, NULL));
	assert_int_equal(s.rc, ERR_CRYPTO);
	assert_int_equal(tls_state(s.tls), TLS_ENDED);
	assert_int_equal(c.alert, version == TLS1_3_VERSION && row->alert_13 != 0 ? row->alert_13 :
	                                                                            row->alert);
	assert_int_equal(tls_failure(s.tls)->alert_sent, c.alert);
	assert_int_equal(tls_failure(s.tls)->alert_received, -1);
	assert_int_equal(tls_failure(s.tls)->verify_error, row->verify_error);
	assert_int_equal(tls_failure(s.tls)->reason, row->none ? 199 : 134);
	assert_int_equal(s.asked, row->asked);
	assert_int_equal(tls_peer(s.tls) != NULL, !row->none);
	if (strstr(tls_failure(s.tls)->text, row->words) == NULL) {
		fail_msg("no \"%s\" in \"%s\"", row->words, tls_failure(s.tls)->text);
	}
	/* It stays so, whatever is called. */
	assert_int_equal(tls_handshake(s.tls, &s.out), ERR_CRYPTO);
	assert_int_equal(server_read(&s, (uint8_t[8]){ 0 }, 8), ERR_CRYPTO);
	client_stop(&c);
	server_stop(&s);
	free_identity(&device);
}

static void
bad_certificates_get_their_alert(void **state)
{
	const struct refusal rows[] = {
		{ { .name = "x" }, "no certificate", 40, 116, 0, true, 0, 0 },
		{ { .name = "x", .issuer = &world.foreign },
		  "not issued by our CA (issuer CN=foreign CA)",
		  48, 0, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, false, 0, 0 },
		{ { .name = "x" }, "self-signed", 48, 0,
		  X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, false, 1, TLS_ADMIT_UNKNOWN },
		{ { .name = "x" }, "self-signed", 48, 0,
		  X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, false, 1, TLS_ADMIT_BAD },
		{ { .name = "x" }, "is revoked", 44, 0,
		  X509_V_ERR_CERT_REVOKED, false, 1, TLS_ADMIT_REVOKED },
		{ { .name = "x", .from = -DAY, .to = -HOUR }, "has expired (valid", 45, 0,
		  X509_V_ERR_CERT_HAS_EXPIRED, false, 1, TLS_ADMIT_YES },
		{ { .name = "x", .from = HOUR, .to = DAY }, "not valid yet", 42, 0,
		  X509_V_ERR_CERT_NOT_YET_VALID, false, 0, 0 },
		{ { .name = "x", .usage = "serverAuth" }, "not one for a client", 43, 0,
		  X509_V_ERR_INVALID_PURPOSE, false, 0, 0 },
		{ { .name = "x", .curve = "RSA1024" }, "too weak", 42, 0,
		  X509_V_ERR_EE_KEY_TOO_SMALL, false, 0, 0 },
		{ { .name = "x", .issuer = &world.ca, .from = -DAY, .to = -HOUR },
		  "has expired (valid", 45, 0, X509_V_ERR_CERT_HAS_EXPIRED, false, 1,
		  TLS_ADMIT_YES },
		{ { .name = "x", .issuer = &world.ca, .from = -DAY, .to = -HOUR },
		  "has expired (valid", 45, 0, X509_V_ERR_CERT_HAS_EXPIRED, false, 1,
		  TLS_ADMIT_UNKNOWN },
		{ { .name = "x", .issuer = &world.ca, .from = -DAY, .to = -HOUR },
		  "is revoked", 44, 0, X509_V_ERR_CERT_REVOKED, false, 1, TLS_ADMIT_REVOKED },
		{ { .name = "x", .issuer = &world.ca, .from = HOUR, .to = DAY },
		  "not valid yet", 42, 0, X509_V_ERR_CERT_NOT_YET_VALID, false, 0, 0 },
		{ { .name = "x", .issuer = &world.ca, .usage = "serverAuth" },
		  "not one for a client", 43, 0, X509_V_ERR_INVALID_PURPOSE, false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		refuse(&rows[i], TLS1_2_VERSION);
		refuse(&rows[i], TLS1_3_VERSION);
	}
}

static void
register_chooses_the_alert(void **state)
{
	static const struct {
		enum tls_admit answer;
		int alert;
		const char *words;
	} rows[] = {
		{ TLS_ADMIT_UNKNOWN, 46, "not in the register" },
		{ TLS_ADMIT_REVOKED, 44, "is revoked" },
		{ TLS_ADMIT_EXPIRED, 45, "has ended" },
		{ TLS_ADMIT_BAD, 42, "no usable identity" },
		{ TLS_ADMIT_ERROR, 80, "register cannot be read" },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
		struct server s;
		struct client c;

		server_start(&s, NULL, NULL);
		s.answer = rows[i / 2].answer;
		client_start(&c, &world.device, versions[i % 2]);
		assert_false(meet(&c, &s, NULL));
		assert_int_equal(c.alert, rows[i / 2].alert);
		assert_int_equal(tls_failure(s.tls)->admit, rows[i / 2].answer);
		assert_non_null(strstr(tls_failure(s.tls)->text, rows[i / 2].words));
		assert_non_null(tls_peer(s.tls));
		client_stop(&c);
		server_stop(&s);
	}
}

/* until: nextUpdate, from now. */
static void
write_crl(const struct identity *issuer, X509 *revoked, long until)
{
	X509_CRL *crl = X509_CRL_new();
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_TIME *now = X509_gmtime_adj(NULL, -DAY), *next = X509_gmtime_adj(NULL, until);
	FILE *stream = fopen(world_file("crl.pem"), "w");

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->cert));
	X509_CRL_set1_lastUpdate(crl, now);
	X509_CRL_set1_nextUpdate(crl, next);
	X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked));
	X509_REVOKED_set_revocationDate(entry, now);
	X509_CRL_add0_revoked(crl, entry);
	assert_true(X509_CRL_sign(crl, issuer->key, EVP_sha256()) > 0);
	PEM_write_X509_CRL(stream, crl);
	fclose(stream);
	ASN1_TIME_free(now);
	ASN1_TIME_free(next);
	X509_CRL_free(crl);
}

static void
revocation_list_is_obeyed(void **state)
{
	struct identity bad = make_identity(
	        &(struct recipe){ .name = "lost", .issuer = &world.ca });
	struct tls_settings settings = world_settings();
	struct server s;
	struct client c;
	char crl[128];

	(void)state;
	write_crl(&world.ca, bad.cert, DAY);
	snprintf(crl, sizeof crl, "%s", world_file("crl.pem"));
	settings.crl = crl;
	server_start(&s, &settings, NULL);
	client_start(&c, &bad, TLS1_2_VERSION);
	assert_false(meet(&c, &s, NULL));
	assert_int_equal(c.alert, 44);
	assert_int_equal(tls_failure(s.tls)->verify_error, X509_V_ERR_CERT_REVOKED);
	assert_non_null(strstr(tls_failure(s.tls)->text, "revocation list"));
	client_stop(&c);
	client_start(&c, &world.device, TLS1_2_VERSION);
	assert_true(meet(&c, &s, NULL));
	client_stop(&c);
	server_stop(&s);
	free_identity(&bad);
}

/* With a parent: as a device does that has setEccCertParent(). */
static bool
chain_meets(const struct tls_settings *settings, const struct identity *device, X509 *parent,
            struct tls_failure *why)
{
	struct server s;
	struct client c;
	bool in;

	server_start(&s, settings, NULL);
	client_start(&c, device, TLS1_2_VERSION);
	if (parent != NULL) {
		assert_int_equal(SSL_CTX_add1_chain_cert(c.context, parent), 1);
	}
	in = meet(&c, &s, NULL);
	*why = *tls_failure(s.tls);
	client_stop(&c);
	server_stop(&s);
	return in;
}

static bool
meets(const struct tls_settings *settings, const struct identity *device, struct tls_failure *why)
{
	return chain_meets(settings, device, NULL, why);
}

static void
stale_list_is_a_matter_of_policy(void **state)
{
	struct identity bad = make_identity(
	        &(struct recipe){ .name = "lost", .issuer = &world.ca });
	struct tls_settings settings = world_settings();
	struct tls_failure why;
	char crl[128];

	(void)state;
	write_crl(&world.ca, bad.cert, -HOUR);
	snprintf(crl, sizeof crl, "%s", world_file("crl.pem"));
	settings.crl = crl;
	assert_false(meets(&settings, &world.device, &why));
	assert_int_equal(why.verify_error, X509_V_ERR_CRL_HAS_EXPIRED);
	assert_non_null(strstr(why.text, "revocation list of its issuer has expired"));
	settings.crl_stale = true;
	assert_true(meets(&settings, &world.device, &why));
	/* What it says holds all the same. */
	assert_false(meets(&settings, &bad, &why));
	assert_int_equal(why.verify_error, X509_V_ERR_CERT_REVOKED);
	free_identity(&bad);
}

/* One CA publishes lists, the other one and the self-signed have none. */
static void
lists_concern_their_issuer_only(void **state)
{
	struct identity lost = make_identity(
	        &(struct recipe){ .name = "lost", .issuer = &world.foreign });
	struct identity alone = make_identity(&(struct recipe){ .name = "alone" });
	struct tls_settings settings = world_settings();
	struct tls_failure why;
	char crl[128], ca[128];

	(void)state;
	snprintf(ca, sizeof ca, "%s", world_file("other.crt"));
	write_cert(ca, world.ca.cert, false);
	write_cert(ca, world.foreign.cert, true);
	write_crl(&world.foreign, lost.cert, DAY);
	snprintf(crl, sizeof crl, "%s", world_file("crl.pem"));
	settings.ca = ca;
	settings.crl = crl;
	assert_true(meets(&settings, &world.device, &why));
	assert_true(meets(&settings, &alone, &why)); /* admit() said yes */
	assert_false(meets(&settings, &lost, &why));
	assert_int_equal(why.verify_error, X509_V_ERR_CERT_REVOKED);
	free_identity(&lost);
	free_identity(&alone);
}

static void
revoked_authority_takes_its_devices_along(void **state)
{
	struct identity middle = make_identity(
	        &(struct recipe){ .name = "middle", .issuer = &world.ca, .ca = true });
	struct identity below = make_identity(
	        &(struct recipe){ .name = "below", .issuer = &middle });
	struct identity twin = make_identity(&(struct recipe){ .name = "test CA", .ca = true });
	struct tls_settings settings = world_settings();
	struct tls_failure why;
	char crl[128], ca[128];

	(void)state;
	snprintf(crl, sizeof crl, "%s", world_file("crl.pem"));
	snprintf(ca, sizeof ca, "%s", world_file("other.crt"));
	settings.crl = crl;
	write_crl(&world.ca, below.cert, DAY); /* another authority's number */
	assert_true(chain_meets(&settings, &below, middle.cert, &why));
	write_crl(&world.ca, middle.cert, DAY);
	assert_false(chain_meets(&settings, &below, middle.cert, &why));
	assert_int_equal(why.verify_error, X509_V_ERR_CERT_REVOKED);
	assert_int_equal(why.verify_depth, 1);
	assert_int_equal(why.alert_sent, 44);
	assert_non_null(strstr(why.text, "issuer that is on the revocation list"));
	assert_true(meets(&settings, &world.device, &why));

	/* The same when the file of CAs has both, and the device sends one. */
	write_cert(ca, world.ca.cert, false);
	write_cert(ca, middle.cert, true);
	settings.ca = ca;
	assert_false(meets(&settings, &below, &why));
	assert_int_equal(why.verify_error, X509_V_ERR_CERT_REVOKED);
	/* An authority that we trust without its own. */
	write_cert(ca, middle.cert, false);
	assert_false(meets(&settings, &below, &why));
	/* A list of another CA with the name of ours counts for nothing. */
	write_cert(ca, world.ca.cert, true);
	write_crl(&twin, middle.cert, DAY);
	assert_true(meets(&settings, &below, &why));
	free_identity(&middle);
	free_identity(&below);
	free_identity(&twin);
}

/* ---- what waits for the register's answer ------------------------------------------------- */

static void
grace_lets_the_expired_in(void **state)
{
	struct identity late = make_identity(
	        &(struct recipe){ .name = "late", .issuer = &world.ca, .from = -DAY, .to = -HOUR });

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct tls_shared *shared;
		struct server s;
		struct client c;

		assert_int_equal(tls_shared_new(10, 7200, &shared), 0);
		server_start(&s, NULL, shared);
		s.answer = TLS_ADMIT_GRACE;
		client_start(&c, &late, versions[i]);
		assert_true(meet(&c, &s, NULL));
		assert_int_equal(s.trust, TLS_TRUST_CA);
		/* No resumption: it is asked for its certificate each time. */
		assert_true(meet(&c, &s, c.session));
		assert_false(tls_resumed(s.tls));
		assert_int_equal(s.asked_resumed, 0);
		s.answer = TLS_ADMIT_YES;
		assert_false(meet(&c, &s, NULL));
		assert_int_equal(c.alert, 45);
		client_stop(&c);
		server_stop(&s);
		tls_shared_free(shared);
	}
	free_identity(&late);
}

static void
self_signed_comes_in_by_its_key_alone(void **state)
{
	struct identity own = make_identity(&(struct recipe){ .name = "own" });
	struct identity forged = make_identity(&(struct recipe){ .name = "own" });

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct server s;
		struct client c;

		server_start(&s, NULL, NULL);
		client_start(&c, &own, versions[i]);
		assert_true(meet(&c, &s, NULL));
		assert_int_equal(s.trust, TLS_TRUST_SELF_SIGNED);
		assert_int_equal(tls_trust(s.tls), TLS_TRUST_SELF_SIGNED);
		client_stop(&c);
		server_stop(&s);
	}
	/* Another key under the same name, signed by somebody else's: no self-signature. */
	X509_set_pubkey(forged.cert, world.device.key);
	assert_true(X509_sign(forged.cert, own.key, EVP_sha256()) > 0);
	EVP_PKEY_free(forged.key);
	forged.key = world.device.key;
	EVP_PKEY_up_ref(forged.key);
	for (size_t i = 0; i < 2; i++) {
		struct server s;
		struct client c;

		server_start(&s, NULL, NULL);
		client_start(&c, &forged, versions[i]);
		assert_false(meet(&c, &s, NULL));
		assert_int_equal(s.asked, 0);
		assert_int_equal(c.alert, 48);
		client_stop(&c);
		server_stop(&s);
	}
	free_identity(&own);
	free_identity(&forged);
}

/* ---- after a reload ----------------------------------------------------------------------- */

static void
open_connections_meet_the_new_files(void **state)
{
	struct identity other = make_identity(
	        &(struct recipe){ .name = "other", .issuer = &world.ca });
	char crl[128], ca[128];

	(void)state;
	snprintf(ca, sizeof ca, "%s", world_file("other.crt"));
	snprintf(crl, sizeof crl, "%s", world_file("crl.pem"));
	for (size_t i = 0; i < 2; i++) {
		struct tls_settings settings = world_settings();
		struct server s;
		struct client c;

		server_start(&s, NULL, NULL);
		client_start(&c, &world.device, versions[i]);
		assert_true(meet(&c, &s, NULL));
		assert_true(still_trusted(s.tls, NULL));
		settings.crl = crl;
		write_crl(&world.ca, other.cert, DAY);
		assert_true(still_trusted(s.tls, &settings));
		write_crl(&world.ca, other.cert, -HOUR); /* ends nobody who is in */
		assert_true(still_trusted(s.tls, &settings));
		write_crl(&world.ca, world.device.cert, DAY);
		assert_false(still_trusted(s.tls, &settings));
		settings.crl = NULL;
		settings.ca = ca;
		write_cert(ca, world.foreign.cert, false);
		assert_false(still_trusted(s.tls, &settings));
		write_cert(ca, world.ca.cert, true);
		assert_true(still_trusted(s.tls, &settings));
		client_stop(&c);
		server_stop(&s);
	}
	free_identity(&other);
}

/* ---- whom the CA file may name --------------------------------------------------------- */

static bool
trusted(X509 *anchor, const struct identity *device, int version)
{
	struct tls_settings settings = world_settings();
	char file[128];
	struct server s;
	struct client c;
	bool in;

	snprintf(file, sizeof file, "%s", world_file("other.crt"));
	write_cert(file, world.foreign.cert, false);
	write_cert(file, anchor, true);
	settings.ca = file;
	server_start(&s, &settings, NULL);
	client_start(&c, device, version);
	in = meet(&c, &s, NULL);
	client_stop(&c);
	server_stop(&s);
	return in;
}

static void
ca_file_may_hold_odd_anchors(void **state)
{
	struct identity old = make_identity(
	        &(struct recipe){ .name = "v1", .curve = "RSA", .v1 = true });
	struct identity old_device = make_identity(
	        &(struct recipe){ .name = "mymkr", .issuer = &old, .v1 = true });
	struct identity middle = make_identity(
	        &(struct recipe){ .name = "middle", .issuer = &world.ca, .ca = true });
	struct identity below = make_identity(
	        &(struct recipe){ .name = "below", .issuer = &middle });
	struct identity lone = make_identity(&(struct recipe){ .name = "lone" });

	(void)state;
	assert_true(trusted(old.cert, &old_device, TLS1_2_VERSION));
	assert_true(trusted(old.cert, &old_device, TLS1_3_VERSION));
	assert_true(trusted(middle.cert, &below, TLS1_2_VERSION));
	assert_true(trusted(lone.cert, &lone, TLS1_2_VERSION));
	assert_false(trusted(lone.cert, &world.device, TLS1_2_VERSION));
	free_identity(&old);
	free_identity(&old_device);
	free_identity(&middle);
	free_identity(&below);
	free_identity(&lone);
}

/* A name that copies the CA's does not help without its key. */
static void
stolen_name_is_no_ca(void **state)
{
	struct identity fake = make_identity(&(struct recipe){ .name = "test CA", .ca = true });
	struct refusal row = { { .name = "x", .issuer = &fake }, "comes from another CA", 51,
		               0, X509_V_ERR_CERT_SIGNATURE_FAILURE, false };

	(void)state;
	refuse(&row, TLS1_2_VERSION);
	free_identity(&fake);
}

/* ---- choices --------------------------------------------------------------------------- */

static void
fast_group_and_fitting_cipher(void **state)
{
	static const struct {
		const char *offer, *chosen;
	} rows[] = {
		{ "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
		  "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-CCM:"
		  "ECDHE-ECDSA-AES256-GCM-SHA384",
		  "ECDHE-ECDSA-CHACHA20-POLY1305" },
		{ "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
		  "ECDHE-ECDSA-AES128-GCM-SHA256",
		  "ECDHE-ECDSA-AES128-GCM-SHA256" },
	};
	struct server s;

	(void)state;
	server_start(&s, NULL, NULL);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct client c;
		EVP_PKEY *group = NULL;

		client_start(&c, &world.device, TLS1_2_VERSION);
		SSL_CTX_set_cipher_list(c.context, rows[i].offer);
		SSL_CTX_set1_groups_list(c.context, "P-256:P-384:P-521:X25519");
		assert_true(meet(&c, &s, NULL));
		assert_string_equal(SSL_get_cipher_name(c.ssl), rows[i].chosen);
		assert_int_equal(SSL_get_peer_tmp_key(c.ssl, &group), 1);
		assert_int_equal(EVP_PKEY_get_id(group), EVP_PKEY_X25519);
		EVP_PKEY_free(group);
		SSL_CTX_set1_groups_list(c.context, "P-256");
		assert_true(meet(&c, &s, NULL));
		assert_int_equal(SSL_get_peer_tmp_key(c.ssl, &group), 1);
		assert_int_equal(EVP_PKEY_get_id(group), EVP_PKEY_EC);
		EVP_PKEY_free(group);
		client_stop(&c);
	}
	server_stop(&s);
}

static void
only_the_leaf_is_sent(void **state)
{
	struct tls_settings settings = world_settings();
	char file[128];
	struct server s;
	struct client c;

	(void)state;
	snprintf(file, sizeof file, "%s", world_file("other.crt"));
	write_cert(file, world.gateway.cert, false);
	write_cert(file, world.ca.cert, true); /* as many operators do */
	settings.certificate = file;
	server_start(&s, &settings, NULL);
	client_start(&c, &world.device, TLS1_2_VERSION);
	assert_true(meet(&c, &s, NULL));
	assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(c.ssl)), 1);
	assert_int_equal(sk_X509_NAME_num(SSL_get_client_CA_list(c.ssl)), 1);
	client_stop(&c);
	server_stop(&s);
}

static void
rsa_gateway_works(void **state)
{
	struct identity gateway = make_identity(
	        &(struct recipe){ .name = "192.168.1.10", .issuer = &world.ca, .curve = "RSA" });
	struct tls_settings settings = world_settings();
	char cert[128], key[128];
	struct server s;
	struct client c;

	(void)state;
	snprintf(cert, sizeof cert, "%s", world_file("other.crt"));
	snprintf(key, sizeof key, "%s", world_file("other.key"));
	write_cert(cert, gateway.cert, false);
	write_key(key, gateway.key);
	settings.certificate = cert;
	settings.key = key;
	server_start(&s, &settings, NULL);
	client_start(&c, &world.device, TLS1_2_VERSION);
	assert_true(meet(&c, &s, NULL));
	client_stop(&c);
	server_stop(&s);
	free_identity(&gateway);
}

static void
older_tls_is_refused(void **state)
{
	struct tls_settings settings = world_settings();
	struct server s;
	struct client c;

	(void)state;
	settings.min_version = 13;
	server_start(&s, &settings, NULL);
	client_start(&c, &world.device, TLS1_2_VERSION);
	assert_false(meet(&c, &s, NULL));
	assert_int_equal(c.alert, 70);
	assert_int_equal(tls_failure(s.tls)->reason, 258);
	client_stop(&c);
	server_stop(&s);
}

static void
client_tells_why_it_refused_us(void **state)
{
	struct server s;
	struct client c;

	(void)state;
	server_start(&s, NULL, NULL);
	client_start(&c, &world.device, TLS1_2_VERSION);
	SSL_CTX_set_cert_store(c.context, X509_STORE_new());
	assert_false(meet(&c, &s, NULL));
	assert_int_equal(tls_failure(s.tls)->alert_received, 48);
	assert_int_equal(tls_failure(s.tls)->reason, 1048);
	assert_non_null(strstr(tls_failure(s.tls)->text, "does not trust our CA"));
	assert_null(tls_peer(s.tls));
	client_stop(&c);
	server_stop(&s);
}

/* ---- what is not TLS ------------------------------------------------------------------- */

static void
other_protocols_are_named(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int reason;
		const char *words;
		bool eof;
	} rows[] = {
		{ "\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05"
		  "abcde",
		  19, 267, "plain MQTT", false },
		{ "\x10\x13\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x05"
		  "abcde",
		  21, 267, "plain MQTT", false },
		{ "GET / HTTP/1.1\r\n\r\n", 18, 156, "web client", false },
		{ "CONNECT x:1 HTTP/1.1\r\n", 22, 155, "web proxy", false },
		{ "SSH-2.0-x\r\n", 11, 267, "SSH", false },
		{ "\xde\xad\xbe\xef\x00\x01\x02\x03", 8, 267, "not TLS", false },
		{ "\x15\x03\x03\x00\x02\x01\x00", 7, 244, "does not belong here", false },
		{ "\x16\x03\x01\xff\xff\x01\x00\x00", 8, 198, "too long", false },
		{ "\x16\x03\x01\x00\x40\x01\x00\x00", 8, 294, "middle of the handshake", true },
		{ "", 0, 294, "without a word", true },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
		size_t row = i / 2;
		struct server s;
		struct client c;

		server_start(&s, NULL, NULL);
		s.chunk = i % 2; /* also byte by byte */
		client_start(&c, NULL, TLS1_2_VERSION);
		server_accept(&s);
		client_connect(&c, NULL);
		BIO_reset(c.out);
		BIO_write(c.out, rows[row].bytes, (int)rows[row].len);
		if (rows[row].len > 0) {
			carry_up(&c, &s);
		}
		for (size_t n = 0; s.rc == ERR_MORE && n <= rows[row].len; n++) {
			size_t take = s.chunk == 1 ? 1 : rows[row].len;
			struct span left = span_head(span_skip(buf_span(&s.pending), n), take);

			tls_lend(s.tls, left);
			if (n == rows[row].len && rows[row].eof) {
				tls_lend_eof(s.tls);
			}
			s.rc = tls_handshake(s.tls, &s.out);
			tls_unread(s.tls);
			n += take > 1 && n == 0 ? take - 1 : 0;
		}
		assert_int_equal(s.rc, ERR_CRYPTO);
		assert_int_equal(tls_failure(s.tls)->reason, rows[row].reason);
		if (s.chunk == 0 && strstr(tls_failure(s.tls)->text, rows[row].words) == NULL) {
			fail_msg("row %zu: %s", row, tls_failure(s.tls)->text);
		}
		client_stop(&c);
		server_stop(&s);
	}
}

static void
endless_hello_is_cut(void **state)
{
	/* One ClientHello of 128 KiB announced, sent in full records. */
	static uint8_t record[5 + 16384] = { 0x16, 3, 1, 0x40, 0, 1, 1, 0xff, 0xff };
	struct server s;
	unsigned sent = 0;

	(void)state;
	server_start(&s, NULL, NULL);
	server_accept(&s);
	while (s.rc == ERR_MORE && sent < 9) {
		tls_lend(s.tls, span_of(record, sizeof record));
		s.rc = tls_handshake(s.tls, &s.out);
		tls_unread(s.tls);
		sent++;
	}
	assert_int_equal(s.rc, ERR_CRYPTO);
	assert_true(sent <= 3);
	assert_non_null(strstr(tls_failure(s.tls)->text, "too much"));
	server_stop(&s);
}

/* ---- settings that cannot work --------------------------------------------------------- */

static void
bad_files_give_a_sentence(void **state)
{
	static const struct {
		int which; /* 0 certificate, 1 key, 2 CA, 3 revocation list */
		const char *content, *words;
	} rows[] = {
		{ 0, NULL, "No such file" },       { 1, NULL, "No such file" },
		{ 2, NULL, "No such file" },       { 3, NULL, "No such file" },
		{ 0, "nonsense", "gateway's certificate" }, { 1, "nonsense", "gateway's key" },
		{ 2, "nonsense", "no CA certificate" },     { 3, "nonsense", "no revocation list" },
		{ 2, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		  "cannot be read" },
		{ 1, "foreign", "does not belong" }, { 1, "locked", "pass phrase" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct tls_settings settings = world_settings();
		struct tls_context *context;
		char file[128], why[PKI_WHY_SIZE];
		const char **which[] = { &settings.certificate, &settings.key, &settings.ca,
			                 &settings.crl };
		const char *content = rows[i].content;

		snprintf(file, sizeof file, "%s", world_file("other.key"));
		unlink(file);
		if (content != NULL && strcmp(content, "foreign") == 0) {
			write_key(file, world.foreign.key);
		} else if (content != NULL) {
			FILE *stream = fopen(file, "w");

			if (strcmp(content, "locked") == 0) {
				PEM_write_PKCS8PrivateKey(stream, world.gateway.key,
				                          EVP_aes_128_cbc(), "secret", 6,
				                          NULL, NULL);
			} else {
				fputs(content, stream);
			}
			fclose(stream);
		}
		*which[rows[i].which] = file;
		assert_int_equal(tls_context_new(&settings, NULL, &server_calls, &context, why),
		                 ERR_CONF);
		if (strstr(why, rows[i].words) == NULL || strstr(why, file) == NULL) {
			fail_msg("row %zu: %s", i, why);
		}
	}
}

/* A reload: connections keep what they were made with. */
static void
contexts_are_swapped_under_connections(void **state)
{
	struct server s, fresh;
	struct client c;
	char text[8] = "";

	(void)state;
	server_start(&s, NULL, NULL);
	client_start(&c, &world.device, TLS1_3_VERSION);
	assert_true(meet(&c, &s, NULL));
	server_start(&fresh, NULL, NULL);
	tls_context_unref(s.context);
	s.context = NULL;
	SSL_write(c.ssl, "still", 5);
	carry_up(&c, &s);
	assert_int_equal(server_read(&s, text, sizeof text), 5);
	assert_string_equal(text, "still");
	server_stop(&s);
	server_stop(&fresh);
	client_stop(&c);
}

/* ---- evidence -------------------------------------------------------------------------- */

#define HAS(set, type) (((set) & 1u << (type)) != 0)

static void
a_refusal_leaves_evidence(void **state)
{
	struct identity device = make_identity(&(struct recipe){ .name = "x", .issuer = &world.foreign });
	const struct tls_evidence *e;
	bool found = false;
	struct server s;
	struct client c;

	(void)state;
	server_start(&s, NULL, NULL);
	s.chunk = 7;
	client_start(&c, &device, TLS1_2_VERSION);
	assert_false(meet(&c, &s, NULL));
	e = tls_evidence(s.tls);
	assert_non_null(e);
	assert_int_equal(buf_span(&e->start).ptr[0], SSL3_RT_HANDSHAKE);
	assert_true(buf_len(&e->start) > 100 && buf_len(&e->start) < 1000);
	assert_true(HAS(e->received, SSL3_MT_CLIENT_HELLO) && HAS(e->received, SSL3_MT_CERTIFICATE));
	assert_false(HAS(e->received, SSL3_MT_CERTIFICATE_VERIFY));
	assert_true(HAS(e->sent, SSL3_MT_SERVER_HELLO) && HAS(e->sent, SSL3_MT_SERVER_DONE));
	assert_false(HAS(e->sent, SSL3_MT_FINISHED));
	assert_int_equal(e->message[0].type, SSL3_MT_CLIENT_HELLO);
	assert_false(e->message[0].sent);
	assert_true(e->message[1].sent);
	for (unsigned i = 0; i < e->error_count; i++) {
		found = found || (e->error[i].library == ERR_LIB_SSL && e->error[i].reason == 134);
	}
	assert_true(found);
	assert_int_equal(e->cert_length, i2d_X509(device.cert, NULL));
	assert_int_equal(e->chain_length, 1);
	assert_false(e->by_intermediate);
	client_stop(&c);
	server_stop(&s);
	free_identity(&device);
}

static void
evidence_is_given_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t text[16];
		struct server s;
		struct client c;

		server_start(&s, NULL, NULL);
		server_accept(&s);
		tls_forget_evidence(s.tls);
		assert_non_null(tls_evidence(s.tls)); /* not before its end */
		client_start(&c, &world.device, versions[i]);
		assert_true(meet(&c, &s, NULL));
		assert_true(HAS(tls_evidence(s.tls)->received, SSL3_MT_FINISHED));
		tls_forget_evidence(s.tls);
		assert_null(tls_evidence(s.tls));
		assert_int_equal(SSL_write(c.ssl, "hello", 5), 5);
		carry_up(&c, &s);
		assert_int_equal(server_read(&s, text, sizeof text), 5);
		client_stop(&c);
		server_stop(&s);
	}
}

static void
first_bytes_are_kept(void **state)
{
	static const char connect[] = "\x10\x12\x00\x04MQTT\x04\x02\x00\x3c\x00\x06" "device";
	struct server s;

	(void)state;
	server_start(&s, NULL, NULL);
	server_accept(&s);
	tls_lend(s.tls, span_of(connect, sizeof connect - 1));
	assert_int_equal(tls_handshake(s.tls, &s.out), ERR_CRYPTO);
	assert_true(span_eq(buf_span(&tls_evidence(s.tls)->start),
	                    span_of(connect, sizeof connect - 1)));
	server_stop(&s);
}

static void
we_know_what_we_present(void **state)
{
	const struct tls_presented *p;
	struct server s;

	(void)state;
	server_start(&s, NULL, NULL);
	p = tls_context_presented(s.context);
	assert_int_equal(p->name_count, 1);
	assert_true(p->names[0][0] != '\0');
	assert_string_equal(p->key, "EC P-256");
	assert_int_equal(strlen(p->ca_fingerprint), 64);
	assert_true(p->not_before < clock_wall() && p->not_after > clock_wall());
	assert_string_equal(p->fault, "");
	server_stop(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_device_gets_in),
		cmocka_unit_test(bytes_one_at_a_time),
		cmocka_unit_test(bad_certificates_get_their_alert),
		cmocka_unit_test(register_chooses_the_alert),
		cmocka_unit_test(revocation_list_is_obeyed),
		cmocka_unit_test(stale_list_is_a_matter_of_policy),
		cmocka_unit_test(lists_concern_their_issuer_only),
		cmocka_unit_test(revoked_authority_takes_its_devices_along),
		cmocka_unit_test(grace_lets_the_expired_in),
		cmocka_unit_test(self_signed_comes_in_by_its_key_alone),
		cmocka_unit_test(open_connections_meet_the_new_files),
		cmocka_unit_test(ca_file_may_hold_odd_anchors),
		cmocka_unit_test(stolen_name_is_no_ca),
		cmocka_unit_test(fast_group_and_fitting_cipher),
		cmocka_unit_test(only_the_leaf_is_sent),
		cmocka_unit_test(rsa_gateway_works),
		cmocka_unit_test(older_tls_is_refused),
		cmocka_unit_test(client_tells_why_it_refused_us),
		cmocka_unit_test(other_protocols_are_named),
		cmocka_unit_test(endless_hello_is_cut),
		cmocka_unit_test(bad_files_give_a_sentence),
		cmocka_unit_test(contexts_are_swapped_under_connections),
		cmocka_unit_test(a_refusal_leaves_evidence),
		cmocka_unit_test(evidence_is_given_back),
		cmocka_unit_test(first_bytes_are_kept),
		cmocka_unit_test(we_know_what_we_present),
	};

	return cmocka_run_group_tests(tests, world_make, world_remove);
}
