/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "unit/cmocka_all.h"

#include "identity/identity.h"

static struct conf *conf;

static int
set_up(void **state)
{
	(void)state;
	return conf_default(&conf);
}

static int
tear_down(void **state)
{
	(void)state;
	conf_unref(&conf);
	return 0;
}

static void
takes_the_first_source(void **state)
{
	static const struct {
		const char *uri, *dns, *cn, *identity;
	} rows[] = {
		{ "urn:dev:1", "one.example", "One", "urn:dev:1" },
		{ "", "one.example", "One", "one.example" },
		{ "", "", "One", "One" },
		{ "", "", "", NULL },
		/* The first that is there counts, also when it cannot be used. */
		{ "coap://host/1", "one.example", "One", NULL },
	};
	char identity[IDENTITY_MAX + 1];
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct pki_cert cert = { .san_uri = span_str(rows[i].uri),
			.san_dns = span_str(rows[i].dns), .cn = span_str(rows[i].cn) };
		int rc = identity_of(conf, &cert, identity, &why);

		assert_int_equal(rc, rows[i].identity != NULL ? 0 : ERR_UNSAFE);
		assert_string_equal(identity, rows[i].identity != NULL ? rows[i].identity : "");
		assert_true(rc == 0 || why != NULL);
	}
}

static void
refuses_what_is_not_safe(void **state)
{
	static char longest[IDENTITY_MAX + 2];
	const struct span names[] = {
		span_str("a+b"), span_str("#"), span_str("a/b"), span_str("$SYS"),
		span_of("a\0b", 3), span_str("a\nb"), span_str("\xc3"), span_of(longest, IDENTITY_MAX + 1),
	};
	char identity[IDENTITY_MAX + 1];
	const char *why;

	(void)state;
	memset(longest, 'x', sizeof longest);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct pki_cert cert = { .cn = names[i] };

		assert_int_equal(identity_of(conf, &cert, identity, &why), ERR_UNSAFE);
		assert_string_equal(identity, "");
	}
}

/* CA "A" with device "B:x" must not be CA "A:B" with device "x". */
static void
parts_issuer_and_name(void **state)
{
	struct pki_cert cert = { .cn = span_str("B:x"), .issuer_cn = span_str("A") };
	char identity[IDENTITY_MAX + 1];
	const char *why;

	(void)state;
	conf->identity.issuer = true;
	assert_int_equal(identity_of(conf, &cert, identity, &why), 0);
	assert_string_equal(identity, "A:B:x");
	cert = (struct pki_cert){ .cn = span_str("x"), .issuer_cn = span_str("A:B") };
	assert_int_equal(identity_of(conf, &cert, identity, &why), ERR_UNSAFE);
	assert_non_null(strstr(why, "colon"));
}

static void
refuses_the_gateways_own_names(void **state)
{
	char identity[IDENTITY_MAX + 1], client[IDENTITY_MAX + 1];
	struct pki_cert cert = { .cn = span_str(conf->uplink.username) };
	const char *why;

	(void)state;
	conf->identity.issuer = false;
	assert_int_equal(identity_of(conf, &cert, identity, &why), ERR_UNSAFE);
	assert_string_equal(identity, "");
	assert_non_null(strstr(why, "uplink.username"));
	snprintf(client, sizeof client, "gateway-%s", conf->gateway.name);
	cert.cn = span_str(client);
	assert_int_equal(identity_of(conf, &cert, identity, &why), ERR_UNSAFE);
	assert_string_equal(identity, "");
	assert_non_null(strstr(why, "uplink.client_id"));
	cert.cn = span_str("gateway-");
	assert_int_equal(identity_of(conf, &cert, identity, &why), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_first_source),
		cmocka_unit_test(refuses_what_is_not_safe),
		cmocka_unit_test(parts_issuer_and_name),
		cmocka_unit_test(refuses_the_gateways_own_names),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
