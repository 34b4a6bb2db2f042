/* SPDX-License-Identifier: BSD-2-Clause */
/* From a certificate to a device, and how strangers are noted. */
#include "unit/reg_help.h"

#include "base/clock.h"
#include "base/log.h"
#include "session/device.h"
#include "session/strangers.h"

#define KEY_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define NOW 1700000000
#define DAY 86400

struct fixture {
	struct reg_fixture store;
	struct conf *conf;
	/* of the last answer */
	char identity[REG_NAME_MAX + 1], why[DEVICE_WHY_SIZE], group[64];
	bool known;
};

static int
set_up(void **state)
{
	struct fixture *f = *state = calloc(1, sizeof *f);

	clock_fake(1, NOW);
	return reg_fixture_open(&f->store) != 0 ? -1 : conf_default(&f->conf);
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	clock_real();
	reg_fixture_close(&f->store);
	conf_unref(&f->conf);
	free(f);
	return 0;
}

static struct pki_cert
cert(const char *cn, const char *key)
{
	struct pki_cert c = { .cn = span_str(cn), .subject = span_str(cn),
		.issuer = span_str("CN=CA"), .issuer_cn = span_str("CA"),
		.not_before = NOW - DAY, .not_after = NOW + DAY };

	memcpy(c.fingerprint, key, sizeof c.fingerprint);
	return c;
}

static void
enrol(struct fixture *f, const char *name, const char *key)
{
	struct reg_device d = { .enrolled_at = NOW };
	bool renewed;

	snprintf(d.name, sizeof d.name, "%s", name);
	snprintf(d.fingerprint, sizeof d.fingerprint, "%s", key);
	snprintf(d.group, sizeof d.group, "of-%s", name);
	assert_int_equal(reg_enrol(f->store.reg, &d, false, &renewed), 0);
}

static void
approve(struct fixture *f, const struct pki_cert *c, enum tls_trust trust, const char *name)
{
	struct reg_stranger s;
	struct reg_device d;

	device_stranger(f->conf, c, trust, &s);
	s.last_at = NOW;
	assert_int_equal(reg_note_strangers(f->store.reg, &s, 1), 0);
	assert_int_equal(reg_approve(f->store.reg, c->fingerprint, name, &d), 0);
}

static enum tls_admit
admit(struct fixture *f, const struct pki_cert *c, enum tls_trust trust)
{
	struct device *d = NULL;
	enum tls_admit verdict;

	f->why[0] = '\0';
	verdict = device_admit(f->conf, f->store.reg, c, trust, &d, f->identity, f->why);
	assert_int_equal(d != NULL, verdict == TLS_ADMIT_YES || verdict == TLS_ADMIT_GRACE);
	assert_int_equal(d == NULL, f->why[0] != '\0');
	if (d != NULL) {
		assert_true(span_eq_str(d->identity, f->identity));
		snprintf(f->group, sizeof f->group, "%.*s", SPAN_ARG(d->group));
		f->known = d->known;
	}
	device_free(d);
	return verdict;
}

#define ADMITS(verdict, cn, key, trust, name)                           \
	do {                                                            \
		struct pki_cert c_ = cert(cn, key);                     \
		assert_int_equal(admit(f, &c_, TLS_TRUST_##trust), TLS_ADMIT_##verdict); \
		assert_string_equal(f->identity, name);                 \
	} while (0)

static void
the_key_decides_before_the_name(void **state)
{
	struct fixture *f = *state;
	struct pki_cert c = cert("factory name", KEY_B);

	enrol(f, "a", KEY_A);
	ADMITS(YES, "a", KEY_A, CA, "a");
	/* A certificate that says otherwise, by the same CA. */
	ADMITS(YES, "b", KEY_A, CA, "a");
	assert_string_equal(f->group, "of-a");
	ADMITS(UNKNOWN, "a", KEY_B, CA, "a");
	assert_non_null(strstr(f->why, "another key"));
	ADMITS(UNKNOWN, "b", KEY_B, CA, "b");
	/* Approved under a name of the operator's choice. */
	approve(f, &c, TLS_TRUST_CA, "cellar");
	ADMITS(YES, "factory name", KEY_B, CA, "cellar");
	/* One key under two names: the certificate says which. */
	enrol(f, "a2", KEY_A);
	ADMITS(YES, "a", KEY_A, CA, "a");
	ADMITS(YES, "a2", KEY_A, CA, "a2");
	/* Nobody's name, but a known key; and nobody's at all. */
	ADMITS(YES, "not/safe", KEY_B, CA, "cellar");
	ADMITS(BAD, "not/safe", KEY_C, CA, "");
	ADMITS(BAD, "", KEY_C, CA, "");
}

static void
the_self_signed_have_no_name(void **state)
{
	struct fixture *f = *state;
	struct pki_cert c = cert("a", KEY_B);

	enrol(f, "a", KEY_A);
	/* It calls itself like an enrolled one. */
	ADMITS(UNKNOWN, "a", KEY_B, SELF_SIGNED, "");
	f->conf->admission = CONF_ADMIT_CA;
	ADMITS(UNKNOWN, "a", KEY_B, SELF_SIGNED, "");
	f->conf->admission = CONF_ADMIT_ENROLLED;
	/* An enrolled key, but nobody said that this will do. */
	ADMITS(UNKNOWN, "a", KEY_A, SELF_SIGNED, "a");
	assert_non_null(strstr(f->why, "approve"));
	approve(f, &c, TLS_TRUST_SELF_SIGNED, "cellar");
	ADMITS(YES, "a", KEY_B, SELF_SIGNED, "cellar");
	ADMITS(YES, "not/safe", KEY_B, SELF_SIGNED, "cellar");
	assert_int_equal(reg_revoke(f->store.reg, span_str("cellar"), "unspecified"), 0);
	ADMITS(REVOKED, "a", KEY_B, SELF_SIGNED, "cellar");
	f->conf->admission = CONF_ADMIT_CA;
	ADMITS(REVOKED, "a", KEY_B, SELF_SIGNED, "cellar");
	assert_int_equal(reg_reinstate(f->store.reg, span_str("cellar")), 0);
	ADMITS(YES, "a", KEY_B, SELF_SIGNED, "cellar");
	/* What a CA vouched for is approved as that, not as self-signed. */
	c = cert("x", KEY_C);
	approve(f, &c, TLS_TRUST_CA, NULL);
	ADMITS(YES, "x", KEY_C, CA, "x");
	ADMITS(UNKNOWN, "x", KEY_C, SELF_SIGNED, "x");
}

/* Neither a certificate nor the register can make a device of the gateway itself. */
static void
nobody_has_the_gateways_names(void **state)
{
	struct fixture *f = *state;
	char client[REG_NAME_MAX + 1];

	enrol(f, f->conf->uplink.username, KEY_A);
	ADMITS(BAD, "any name", KEY_A, CA, f->conf->uplink.username);
	assert_non_null(strstr(f->why, "uplink.username"));
	snprintf(client, sizeof client, "gateway-%s", f->conf->gateway.name);
	enrol(f, client, KEY_B);
	ADMITS(BAD, "any name", KEY_B, CA, client);
	assert_non_null(strstr(f->why, "uplink.client_id"));
	f->conf->admission = CONF_ADMIT_CA;
	ADMITS(BAD, f->conf->uplink.username, KEY_C, CA, "");
}

static void
revoked_by_key_and_by_name(void **state)
{
	struct fixture *f = *state;

	enrol(f, "a", KEY_A);
	assert_int_equal(reg_revoke(f->store.reg, span_str("a"), "keyCompromise"), 0);
	for (int i = 0; i < 2; i++) {
		f->conf->admission = i == 0 ? CONF_ADMIT_ENROLLED : CONF_ADMIT_CA;
		ADMITS(REVOKED, "a", KEY_A, CA, "a");
		ADMITS(REVOKED, "a", KEY_B, CA, "a");
		/* The same key under another name. */
		ADMITS(REVOKED, "b", KEY_A, CA, "a");
	}
	ADMITS(YES, "b", KEY_B, CA, "b");
	assert_false(f->known);
}

static void
grace_is_the_maps(void **state)
{
	struct fixture *f = *state;
	struct pki_cert c = cert("a", KEY_A);
	struct conf_map *map = &f->conf->map[0];
	unsigned before = map->grace_days;

	enrol(f, "a", KEY_A);
	c.not_after = NOW;
	assert_int_equal(admit(f, &c, TLS_TRUST_CA), TLS_ADMIT_YES);
	c.not_after = NOW - 1;
	assert_int_equal(admit(f, &c, TLS_TRUST_CA), TLS_ADMIT_EXPIRED);
	map->grace_days = 2;
	assert_int_equal(admit(f, &c, TLS_TRUST_CA), TLS_ADMIT_GRACE);
	c.not_after = NOW - 2 * DAY + 1;
	assert_int_equal(admit(f, &c, TLS_TRUST_CA), TLS_ADMIT_GRACE);
	c.not_after--;
	assert_int_equal(admit(f, &c, TLS_TRUST_CA), TLS_ADMIT_EXPIRED);
	assert_non_null(strstr(f->why, "expired"));
	c.not_after = INT64_MIN / 2;
	assert_int_equal(admit(f, &c, TLS_TRUST_CA), TLS_ADMIT_EXPIRED);
	c.not_after = NOW - 1;
	assert_int_equal(reg_revoke(f->store.reg, span_str("a"), "unspecified"), 0);
	assert_int_equal(admit(f, &c, TLS_TRUST_CA), TLS_ADMIT_REVOKED);
	map->grace_days = before;
}

static void
strangers_are_described_safely(void **state)
{
	struct fixture *f = *state;
	struct pki_cert c = cert("a\nb", KEY_A);
	char longer[2000];
	struct reg_stranger s;

	memset(longer, '\xc3', sizeof longer);
	memset(longer, 'x', 500);
	c.issuer = span_of(longer, sizeof longer);
	device_stranger(f->conf, &c, TLS_TRUST_SELF_SIGNED, &s);
	assert_string_equal(s.name, "");
	assert_string_equal(s.subject, "a?b");
	assert_int_equal(strlen(s.issuer), 500); /* no half characters */
	assert_true(s.self_signed);
	assert_string_equal(s.fingerprint, KEY_A);
	assert_int_equal(s.not_after, NOW + DAY);
}

/* ---- on their way to the register ---------------------------------------------------------- */

static int
count_stranger(void *owner, const struct reg_stranger *s)
{
	*(uint64_t *)owner += s->count;
	return 0;
}

static void
a_million_strangers_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct strangers *s;
	struct reg_stranger visit = { .self_signed = true, .last_at = NOW };
	struct budget_key from = { .high = 0 };
	uint64_t noted = 0, ms = 1000;

	assert_int_equal(strangers_new(&s), 0);
	log_setup(LOG_LEVEL_ERROR, NULL, NULL);
	for (unsigned i = 0; i < 1000000; i++) {
		snprintf(visit.fingerprint, sizeof visit.fingerprint, "%064x", i);
		from.low = i / 1000; /* a thousand from each address */
		noted += strangers_note(s, &from, &visit);
		if (i % 20000 == 19999) {
			clock_fake(ms += 500, NOW);
			assert_int_equal(strangers_write(s, f->store.reg), 0);
		}
	}
	/* 50 writes of at most 64 in 25 seconds. */
	assert_true(noted > 0 && noted <= 50 * STRANGERS_HELD);
	assert_int_equal(reg_stranger_count(f->store.reg), REG_STRANGERS_MAX);
	strangers_free(s);
	log_setup(LOG_LEVEL_INFO, NULL, NULL);
}

static void
one_address_brings_few(void **state)
{
	struct fixture *f = *state;
	struct strangers *s;
	struct reg_stranger visit = { .last_at = NOW };
	struct budget_key from = { .high = 1, .low = 2 }, other = { .high = 1, .low = 3 };
	uint64_t count = 0;
	unsigned noted = 0;

	assert_int_equal(strangers_new(&s), 0);
	clock_fake(1000, NOW);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(visit.fingerprint, sizeof visit.fingerprint, "%064x", i);
		noted += strangers_note(s, &from, &visit);
	}
	assert_int_equal(noted, STRANGERS_PER_ADDRESS);
	snprintf(visit.fingerprint, sizeof visit.fingerprint, "%064x", 99);
	assert_true(strangers_note(s, &other, &visit));
	/* The same again only counts. */
	snprintf(visit.fingerprint, sizeof visit.fingerprint, "%064x", 0);
	assert_true(strangers_note(s, &from, &visit));
	assert_int_equal(strangers_write(s, f->store.reg), 0);
	assert_int_equal(reg_stranger_each(f->store.reg, count_stranger, &count), 0);
	assert_int_equal(count, STRANGERS_PER_ADDRESS + 2);
	assert_int_equal(strangers_write(s, f->store.reg), 0);
	snprintf(visit.fingerprint, sizeof visit.fingerprint, "%064x", 77);
	assert_false(strangers_note(s, &from, &visit));
	clock_fake(1000 + 60000, NOW);
	assert_true(strangers_note(s, &from, &visit));
	strangers_free(s);
}

static int
copy_stranger(void *owner, const struct reg_stranger *s)
{
	*(struct reg_stranger *)owner = *s;
	return 0;
}

/* Both kinds between two writes. */
static void
issued_counts_for_more(void **state)
{
	struct fixture *f = *state;
	struct reg_stranger visit = { .self_signed = true, .last_at = NOW, .name = "own" }, kept;
	struct budget_key from = { .high = 1 };
	struct strangers *s;

	assert_int_equal(strangers_new(&s), 0);
	clock_fake(1000, NOW);
	snprintf(visit.fingerprint, sizeof visit.fingerprint, "%064x", 5);
	for (unsigned i = 0; i < 3; i++) {
		visit.self_signed = i != 1;
		strcpy(visit.name, i != 1 ? "own" : "issued");
		assert_true(strangers_note(s, &from, &visit));
	}
	assert_int_equal(strangers_write(s, f->store.reg), 0);
	assert_int_equal(reg_stranger_each(f->store.reg, copy_stranger, &kept), 0);
	assert_string_equal(kept.name, "issued");
	assert_false(kept.self_signed);
	assert_int_equal(kept.count, 3);
	strangers_free(s);
}

#define WITH_FIXTURE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(the_key_decides_before_the_name),
		WITH_FIXTURE(the_self_signed_have_no_name),
		WITH_FIXTURE(nobody_has_the_gateways_names),
		WITH_FIXTURE(revoked_by_key_and_by_name),
		WITH_FIXTURE(grace_is_the_maps),
		WITH_FIXTURE(strangers_are_described_safely),
		WITH_FIXTURE(a_million_strangers_are_bounded),
		WITH_FIXTURE(one_address_brings_few),
		WITH_FIXTURE(issued_counts_for_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
