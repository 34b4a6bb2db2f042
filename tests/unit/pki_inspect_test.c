/* SPDX-License-Identifier: BSD-2-Clause */
/* What pki_profiles_read() tells of certificates, good and odd. */
#include "unit/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/x509v3.h>

#include "pki/pki_build.h"
#include "pki/pki_inspect.h"

static char folder[64];
static char why[PKI_WHY_SIZE];

static const char *
in(const char *file)
{
	static char path[4][160];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, 160, "%s/%s", folder, file);
	return p;
}

static int
set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "inspect-test-XXXXXX");
	return mkdtemp(folder) == NULL || pki_make_ca(folder, "Test CA", 100, why) != 0 ? -1 : 0;
}

static int
tear_down(void **state)
{
	static const char *const files[] = { "ca.key", "ca.crt", "gateway.key", "gateway.crt",
					     "odd.crt" };

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		unlink(in(files[i]));
	}
	return rmdir(folder);
}

static void
own_profile_is_read(void **state)
{
	static const char *const names[] = { "gateway.local", "192.0.2.7" };
	static const char *const ip[] = { "192.0.2.7" };
	const struct pki_names all = { names, 2, ip, 1 };
	struct pki_profile *list;
	size_t count, place = 7;

	(void)state;
	assert_int_equal(pki_make_gateway(folder, &all, 0, 50, false, why), 0);
	assert_int_equal(pki_profiles_read(in("gateway.crt"), &list, &count, why), 0);
	assert_int_equal(count, 1);
	assert_true(list->key_p256 && list->digital_signature && list->has_extended_usage);
	assert_true(list->server_auth && list->has_names && list->has_basic);
	assert_false(list->ca || list->extended_critical || list->signature_short);
	assert_false(list->signature_rsa || list->key_rsa || list->cert_sign);
	assert_int_equal(list->signature_bits, 256);
	assert_string_equal(list->signature, "ecdsa-with-SHA256");
	assert_string_equal(list->critical, "");
	assert_int_equal(list->dns.count, 2);
	assert_string_equal(list->dns.list[1], "192.0.2.7");
	assert_int_equal(list->ip.count, 1);
	assert_string_equal(list->ip.list[0], "192.0.2.7");
	pki_profiles_free(list, count);
	assert_int_equal(pki_find_issuer(in("gateway.crt"), in("ca.crt"), &place, why), 0);
	assert_int_equal(place, 0);
	assert_int_equal(pki_find_issuer(in("ca.crt"), in("gateway.crt"), &place, why),
			 ERR_NOT_FOUND);
	assert_non_null(strstr(why, "was not issued by"));
}

/* Self-signed, with one extension; written to odd.crt. */
static void
make_odd(const ASN1_OCTET_STRING *value, int nid)
{
	EVP_PKEY *key = pki_key_new();
	struct buf pem = { 0 };
	X509_EXTENSION *ext;
	X509 *x509;

	assert_int_equal(pki_build_new(key, 0, 2000000000, &x509), 0);
	assert_int_equal(pki_build_subject(x509, NID_commonName, span_str("odd")), 0);
	assert_int_equal(X509_set_issuer_name(x509, X509_get_subject_name(x509)), 1);
	ext = X509_EXTENSION_create_by_NID(NULL, nid, 1, (ASN1_OCTET_STRING *)(uintptr_t)value);
	assert_non_null(ext);
	assert_int_equal(X509_add_ext(x509, ext, -1), 1);
	X509_EXTENSION_free(ext);
	assert_true(X509_sign(x509, key, EVP_sha512()) > 0);
	assert_int_equal(pki_build_pem(x509, &pem), 0);
	assert_int_equal(pki_write_file(in("odd.crt"), 0644, buf_span(&pem), why), 0);
	buf_release(&pem);
	X509_free(x509);
	EVP_PKEY_free(key);
}

static void
odd_ones_do_no_harm(void **state)
{
	static const struct {
		int nid;
		const char *der;
		size_t len, dns, ip;
		const char *critical;
	} rows[] = {
		/* an address of 3 bytes, a name with a blank, a good name */
		{ NID_subject_alt_name,
		  "\x30\x0d\x87\x03\x01\x02\x03\x82\x03\x61\x20\x62\x82\x01"
		  "c",
		  15, 1, 0, "" },
		{ NID_subject_alt_name, "\x30\x06\x87\x04\x01\x02\x03\x04", 8, 0, 1, "" },
		{ NID_name_constraints, "\x30\x00", 2, 0, 0, "X509v3 Name Constraints" },
		{ NID_certificate_policies, "\x30\x05\x30\x03\x06\x01\x2a", 7, 0, 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
		struct pki_profile *list;
		size_t count;

		assert_int_equal(ASN1_OCTET_STRING_set(value, (const unsigned char *)rows[i].der,
						       (int)rows[i].len),
				 1);
		make_odd(value, rows[i].nid);
		ASN1_OCTET_STRING_free(value);
		assert_int_equal(pki_profiles_read(in("odd.crt"), &list, &count, why), 0);
		assert_int_equal(list->dns.count, rows[i].dns);
		assert_int_equal(list->ip.count, rows[i].ip);
		assert_string_equal(list->critical, rows[i].critical);
		assert_int_equal(list->signature_bits, 512);
		assert_true(list->digital_signature); /* not restricted */
		pki_profiles_free(list, count);
	}
}

static void
what_is_no_certificate_is_told(void **state)
{
	struct pki_profile *list;
	size_t count, place;

	(void)state;
	assert_int_equal(pki_profiles_read(in("odd.crt"), &list, &count, why), -ENOENT);
	assert_non_null(strstr(why, "odd.crt"));
	assert_true(pki_profiles_read(in("ca.key"), &list, &count, why) < 0);
	assert_true(pki_find_issuer(in("ca.key"), in("ca.crt"), &place, why) < 0);
	assert_true(pki_find_issuer(in("ca.crt"), in("ca.key"), &place, why) < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(own_profile_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(odd_ones_do_no_harm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_certificate_is_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
