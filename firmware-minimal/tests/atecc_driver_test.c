/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver on the model: what it computes is checked with OpenSSL, then fault by fault. */
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <string.h>

#include "atecc_bench.h"
#include "atecc_example.h"
#include "drivers/atecc.h"
#include "fake_i2c.h"
#include "fake_time.h"
#include "hal/time.h"
#include "unit/cmocka_all.h"

static void
power_on(bool locked, bool is_608)
{
	bench_power_on(locked, is_608);
	/* A second key, in a slot that may do ECDH. */
	memcpy(chip->eeprom.scalars[2], chip->eeprom.scalars[0], 32);
	chip->eeprom.has_key[2] = chip->eeprom.has_key[0];
	fake_i2c_reset(chip);
}

static int
setup(void **state)
{
	(void)state;
	bench_open(7);
	power_on(true, false);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	/* No operation kept the board's watchdog hungry (it bites after 16 s). */
	assert_true(fake_hungry_ns < 1000000000);
	bench_close();
	return 0;
}

/* ---- OpenSSL's side ---- */

static EVP_PKEY *
key_of_point(const uint8_t point[64])
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;
	uint8_t bytes[65] = { 0x04 };
	char group[] = "P-256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, bytes, sizeof bytes),
		OSSL_PARAM_construct_end(),
	};

	memcpy(bytes + 1, point, 64);
	assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
	assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
	EVP_PKEY_CTX_free(context);
	return key;
}

static void
point_of_key(EVP_PKEY *key, uint8_t point[64])
{
	uint8_t bytes[65];
	size_t n;

	assert_int_equal(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, bytes,
	                                                 sizeof bytes, &n), 1);
	assert_int_equal(n, 65);
	memcpy(point, bytes + 1, 64);
}

static bool
openssl_accepts(const uint8_t point[64], const uint8_t digest[32], const uint8_t signature[64])
{
	EVP_PKEY *key = key_of_point(point);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	ECDSA_SIG *sig = ECDSA_SIG_new();
	uint8_t *der = NULL;
	int n;
	int result;

	ECDSA_SIG_set0(sig, BN_bin2bn(signature, 32, NULL), BN_bin2bn(signature + 32, 32, NULL));
	n = i2d_ECDSA_SIG(sig, &der);
	assert_true(n > 0);
	assert_int_equal(EVP_PKEY_verify_init(context), 1);
	result = EVP_PKEY_verify(context, der, (size_t)n, digest, 32);
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(key);
	return result == 1;
}

static void
openssl_sign(EVP_PKEY *key, const uint8_t digest[32], uint8_t signature[64])
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	uint8_t der[80];
	const uint8_t *at = der;
	size_t n = sizeof der;
	ECDSA_SIG *sig;

	assert_int_equal(EVP_PKEY_sign_init(context), 1);
	assert_int_equal(EVP_PKEY_sign(context, der, &n, digest, 32), 1);
	sig = d2i_ECDSA_SIG(NULL, &at, (long)n);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, 32), 32);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + 32, 32), 32);
	ECDSA_SIG_free(sig);
	EVP_PKEY_CTX_free(context);
}

/* ---- what it computes ---- */

static void
it_knows_its_chip(void **state)
{
	struct atecc_info info;

	(void)state;
	assert_int_equal(atecc_start(&info), ATECC_OK);
	assert_memory_equal(info.serial, bench_serial, 9);
	assert_true(info.config_locked && info.data_locked && !info.is_608);
	power_on(false, true);
	assert_int_equal(atecc_start(&info), ATECC_OK);
	assert_memory_equal(info.revision, "\x00\x00\x60\x02", 4);
	assert_true(!info.config_locked && !info.data_locked && info.is_608);
	chip->eeprom.config[87] = 0;
	assert_int_equal(atecc_start(&info), ATECC_OK);
	assert_true(info.config_locked && !info.data_locked);
	fake_i2c_reset(NULL);
	assert_int_equal(atecc_start(&info), ATECC_ABSENT);
}

static void
random_is_random_or_refused(void **state)
{
	uint8_t a[32];
	uint8_t b[32];
	static const uint8_t zero[32];

	(void)state;
	assert_int_equal(atecc_random(a), ATECC_OK);
	assert_int_equal(atecc_random(b), ATECC_OK);
	assert_memory_not_equal(a, b, 32);
	power_on(false, false);
	assert_int_equal(atecc_random(a), ATECC_UNLOCKED);
	assert_memory_equal(a, zero, 32);
}

static void
signatures_hold(void **state)
{
	static const struct {
		const char *fault;
		unsigned rounds;
		uint8_t mask_r, r, mask_s, s; /* of their first bytes */
	} rows[] = {
		{ NULL, 20, 0, 0, 0, 0 },
		{ "atecc.signature=1:1", 1, 0xFF, 0x00, 0, 0 },
		{ "atecc.signature=2:1", 1, 0x80, 0x80, 0x80, 0x80 },
		{ "atecc.signature=3:1", 1, 0, 0, 0xFF, 0x00 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].fault != NULL) {
			bench_add_fault(rows[i].fault);
		}
		for (unsigned round = 0; round < rows[i].rounds; round++) {
			uint8_t digest[32];
			uint8_t point[64];
			uint8_t again[64];
			uint8_t signature[64];

			assert_int_equal(RAND_bytes(digest, 32), 1);
			assert_int_equal(atecc_generate_key(round % 5, point), ATECC_OK);
			assert_int_equal(atecc_public_key(round % 5, again), ATECC_OK);
			assert_memory_equal(point, again, 64);
			assert_int_equal(atecc_sign(round % 5, digest, signature), ATECC_OK);
			assert_int_equal(signature[0] & rows[i].mask_r, rows[i].r);
			assert_int_equal(signature[32] & rows[i].mask_s, rows[i].s);
			assert_true(openssl_accepts(point, digest, signature));
			assert_int_equal(atecc_verify(digest, signature, point), ATECC_OK);
			digest[31] ^= 1;
			assert_false(openssl_accepts(point, digest, signature));
			assert_int_equal(atecc_verify(digest, signature, point), ATECC_MISCOMPARE);
		}
	}
}

static void
openssl_signatures_verify(void **state)
{
	unsigned high = 0;
	unsigned low = 0;

	(void)state;
	/* Until s was seen in both halves and a number with a leading zero came by. */
	for (unsigned round = 0; round < 2000 && (round < 30 || high == 0 || low == 0); round++) {
		EVP_PKEY *key = EVP_EC_gen("P-256");
		uint8_t digest[32];
		uint8_t signature[64];
		uint8_t point[64];
		bool odd;

		assert_int_equal(RAND_bytes(digest, 32), 1);
		openssl_sign(key, digest, signature);
		point_of_key(key, point);
		EVP_PKEY_free(key);
		odd = signature[0] == 0 || signature[32] == 0 || point[0] == 0 || point[32] == 0;
		high += (signature[32] & 0x80) != 0;
		low += odd;
		if (round < 30 || odd) {
			assert_int_equal(atecc_verify(digest, signature, point), ATECC_OK);
			signature[round % 64] ^= (uint8_t)(1u << round % 8);
			assert_int_equal(atecc_verify(digest, signature, point),
			                 ATECC_MISCOMPARE);
		}
	}
}

static void
bad_signatures_and_keys(void **state)
{
	uint8_t digest[32];
	uint8_t signature[64];
	uint8_t zero[64] = { 0 };
	uint8_t ones[64];
	uint8_t point[64];

	(void)state;
	memset(ones, 0xFF, sizeof ones);
	from_hex(EXAMPLE_DIGEST, digest);
	from_hex(EXAMPLE_R EXAMPLE_S, signature);
	from_hex(EXAMPLE_X EXAMPLE_Y, point);
	assert_int_equal(atecc_verify(digest, signature, point), ATECC_OK);
	assert_int_equal(atecc_verify(digest, zero, point), ATECC_MISCOMPARE);
	assert_int_equal(atecc_verify(digest, ones, point), ATECC_MISCOMPARE);
	/* Not on the curve: no answer is not an answer. */
	assert_int_not_equal(atecc_verify(digest, signature, zero), ATECC_OK);
	point[63] ^= 1;
	assert_int_not_equal(atecc_verify(digest, signature, point), ATECC_OK);
	assert_int_not_equal(atecc_verify(digest, signature, point), ATECC_MISCOMPARE);
}

static void
secrets_are_shared_with_openssl(void **state)
{
	uint8_t mine[64];
	uint8_t secret[32];
	uint8_t expected[32];

	(void)state;
	assert_int_equal(atecc_generate_key(1, mine), ATECC_OK);
	for (unsigned round = 0; round < 10; round++) {
		EVP_PKEY *key = EVP_EC_gen("P-256");
		EVP_PKEY *peer = key_of_point(mine);
		EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
		uint8_t point[64];
		size_t n = sizeof expected;

		point_of_key(key, point);
		assert_int_equal(EVP_PKEY_derive_init(context), 1);
		assert_int_equal(EVP_PKEY_derive_set_peer(context, peer), 1);
		assert_int_equal(EVP_PKEY_derive(context, expected, &n), 1);
		assert_int_equal(atecc_ecdh(1, point, secret), ATECC_OK);
		assert_memory_equal(secret, expected, 32);
		assert_int_equal(atecc_ecdh(0, point, secret), ATECC_EXECUTION);
		assert_int_equal(atecc_ecdh(16, point, secret), ATECC_PARAMETER);
		EVP_PKEY_CTX_free(context);
		EVP_PKEY_free(peer);
		EVP_PKEY_free(key);
	}
}

static void
digests_of_every_length(void **state)
{
	static uint8_t data[20000];
	uint8_t digest[32];
	uint8_t expected[32];

	(void)state;
	for (size_t i = 0; i < sizeof data; i++) {
		data[i] = (uint8_t)(i * 7);
	}
	for (size_t n = 0; n <= 200; n++) {
		SHA256(data, n, expected);
		assert_int_equal(atecc_sha256(data, n, digest), ATECC_OK);
		assert_memory_equal(digest, expected, 32);
	}
	/* Longer than the chip stays awake. */
	SHA256(data, sizeof data, expected);
	assert_int_equal(atecc_sha256(data, sizeof data, digest), ATECC_OK);
	assert_memory_equal(digest, expected, 32);
	power_on(true, true);
	assert_int_equal(atecc_sha256(data, sizeof data, digest), ATECC_OK);
	assert_memory_equal(digest, expected, 32);
}

/* ---- faults ---- */

enum operation { START, RANDOM, PUBLIC, GENERATE, SIGN, VERIFY, ECDH, SHA };

static enum atecc_status
run(enum operation operation)
{
	uint8_t digest[32];
	uint8_t signature[64];
	uint8_t point[64];
	uint8_t example[64];
	uint8_t public_key[64];
	uint8_t out[32];
	struct atecc_info info;
	enum atecc_status status;

	from_hex(EXAMPLE_DIGEST, digest);
	from_hex(EXAMPLE_R EXAMPLE_S, signature);
	from_hex(EXAMPLE_X EXAMPLE_Y, example);
	switch (operation) {
	case START:
		return atecc_start(&info);
	case RANDOM:
		return atecc_random(out);
	case PUBLIC:
		status = atecc_public_key(0, point);
		if (status == ATECC_OK) {
			assert_true(atecc_public(chip->eeprom.scalars[0], public_key));
			assert_memory_equal(point, public_key, 64);
		}
		return status;
	case GENERATE:
		return atecc_generate_key(0, point);
	case SIGN:
		status = atecc_sign(0, digest, signature);
		if (status == ATECC_OK) {
			assert_true(atecc_public(chip->eeprom.scalars[0], public_key));
			assert_true(openssl_accepts(public_key, digest, signature));
		}
		return status;
	case VERIFY:
		return atecc_verify(digest, signature, example);
	case ECDH:
		return atecc_ecdh(2, example, out);
	case SHA:
		status = atecc_sha256("abc", 3, out);
		if (status == ATECC_OK) {
			SHA256((const uint8_t *)"abc", 3, digest);
			assert_memory_equal(out, digest, 32);
		}
		return status;
	}
	return ATECC_PARAMETER;
}

static const struct {
	const char *fault;
	enum operation operation;
	enum atecc_status status;
	unsigned most_ms; /* 0: not looked at */
} fault_rows[] = {
	/* 1, 2: wake */
	{ "atecc.wake-nack:10", SIGN, ATECC_OK, 500 },
	{ "atecc.wake-nack", SIGN, ATECC_ABSENT, 500 },
	{ "atecc.wake-late:1", SIGN, ATECC_OK, 500 },
	{ "atecc.wake-late=30000:2", SIGN, ATECC_OK, 500 },
	{ "atecc.wake-late", PUBLIC, ATECC_OK, 500 },
	{ "atecc.wake-status:1", SIGN, ATECC_OK, 500 },
	{ "atecc.wake-status", SIGN, ATECC_SELF_TEST, 1000 },
	{ "atecc.wake-status=0", SIGN, ATECC_CRC, 1000 },
	/* 3, 4: time */
	{ "atecc.busy=2400:1", SIGN, ATECC_OK, 0 },
	{ "atecc.busy=2400:1", VERIFY, ATECC_OK, 0 },
	{ "atecc.busy=60000", SIGN, ATECC_TIMEOUT, 9000 },
	{ "atecc.slow", SIGN, ATECC_OK, 0 },
	{ "atecc.slow", VERIFY, ATECC_OK, 0 },
	{ "atecc.slow=1500", VERIFY, ATECC_OK, 0 },
	{ "atecc.slow=600", GENERATE, ATECC_OK, 0 },
	/* 5: CRC */
	{ "atecc.crc:1", PUBLIC, ATECC_OK, 500 },
	{ "atecc.crc", SIGN, ATECC_OK, 0 },
	{ "atecc.crc-command:1", SIGN, ATECC_OK, 0 },
	{ "atecc.crc-command", SIGN, ATECC_CRC, 0 },
	/* 6, 7, 10: forgetful */
	{ "atecc.restart:1", SIGN, ATECC_OK, 0 },
	{ "atecc.restart:2", VERIFY, ATECC_OK, 0 },
	{ "atecc.restart", SIGN, ATECC_RESTARTED, 0 },
	{ "atecc.watchdog:1", SIGN, ATECC_OK, 6000 },
	{ "atecc.watchdog:1", VERIFY, ATECC_OK, 6000 },
	{ "atecc.tempkey-lost:1", SIGN, ATECC_OK, 0 },
	{ "atecc.tempkey-lost:2", VERIFY, ATECC_OK, 0 },
	{ "atecc.tempkey-lost", SIGN, ATECC_EXECUTION, 0 },
	{ "atecc.tempkey-kept", SIGN, ATECC_OK, 0 },
	/* 8: answers */
	{ "atecc.near-watchdog:1", SIGN, ATECC_OK, 0 },
	{ "atecc.near-watchdog:3", SHA, ATECC_OK, 0 },
	{ "atecc.near-watchdog", SIGN, ATECC_RESTARTED, 0 },
	{ "atecc.execution:3", SIGN, ATECC_OK, 0 },
	{ "atecc.execution", SIGN, ATECC_EXECUTION, 0 },
	{ "atecc.ecc-fault:2", ECDH, ATECC_OK, 0 },
	{ "atecc.ecc-fault", GENERATE, ATECC_ECC_FAULT, 0 },
	{ "atecc.status=7", SIGN, ATECC_SELF_TEST, 0 },
	{ "atecc.status=8", RANDOM, ATECC_SELF_TEST, 0 },
	{ "atecc.status=3", SIGN, ATECC_PARSE, 500 },
	{ "atecc.status=0:1", SIGN, ATECC_OK, 0 },
	{ "atecc.status=0", RANDOM, ATECC_CRC, 0 },
	{ "atecc.status=1:1", VERIFY, ATECC_OK, 0 }, /* of Nonce */
	/* 9: unlocked */
	{ "atecc.unlocked", RANDOM, ATECC_UNLOCKED, 500 },
	{ "atecc.unlocked", SIGN, ATECC_UNLOCKED, 0 },
	{ "atecc.unlocked", PUBLIC, ATECC_UNLOCKED, 0 },
	{ "atecc.unlocked", VERIFY, ATECC_OK, 0 }, /* it needs no lock */
	/* 11 */
	{ "atecc.608", SIGN, ATECC_OK, 0 },
	{ "atecc.608", SHA, ATECC_OK, 0 },
	/* 12: lines */
	{ "atecc.sda-stuck:1", SIGN, ATECC_OK, 0 },
	{ "atecc.sda-stuck:3", START, ATECC_OK, 0 },
	{ "atecc.sda-stuck", SIGN, ATECC_BUS, 3000 },
	/* 13: the count lies */
	{ "atecc.short:1", PUBLIC, ATECC_OK, 0 },
	{ "atecc.short=255:1", PUBLIC, ATECC_OK, 0 },
	{ "atecc.short=0", PUBLIC, ATECC_CRC, 0 },
	{ "atecc.short=255", SIGN, ATECC_CRC, 0 },
	{ "atecc.short=4", PUBLIC, ATECC_CRC, 0 },
	{ "atecc.short=35", SIGN, ATECC_CRC, 0 },
	{ "atecc.tail=0:1", SIGN, ATECC_OK, 0 },
	{ "atecc.tail=40:1", PUBLIC, ATECC_OK, 0 },
	{ "atecc.tail=1", RANDOM, ATECC_CRC, 0 },
	/* 14: power states that are not what was asked for */
	{ "atecc.spurious-wake", SIGN, ATECC_OK, 0 },
	{ "atecc.spurious-wake", SHA, ATECC_OK, 0 },
	{ "atecc.sleep-ignored:1", SIGN, ATECC_OK, 0 },
	/* 15: power */
	{ "atecc.power-loss:1", GENERATE, ATECC_OK, 6000 },
	/* 17 */
	{ "atecc.miscompare", VERIFY, ATECC_MISCOMPARE, 500 },
	/* 18 is in signatures_hold() */
};

static void
each_fault_passes_or_has_its_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof fault_rows / sizeof *fault_rows; i++) {
		uint32_t began;
		enum atecc_status status;

		bench_heal();
		power_on(true, false);
		bench_add_fault(fault_rows[i].fault);
		began = (uint32_t)(fake_world.now_ns / 1000000);
		/* Twice: the first leaves the chip as the second must find it. */
		status = run(fault_rows[i].operation);
		if (status != fault_rows[i].status) {
			fail_msg("%s: \"%s\" instead of \"%s\"", fault_rows[i].fault,
			         atecc_status_text(status), atecc_status_text(fault_rows[i].status));
		}
		if (fault_rows[i].most_ms != 0 &&
		    fake_world.now_ns / 1000000 - began > fault_rows[i].most_ms) {
			fail_msg("%s took %u ms", fault_rows[i].fault,
			         (unsigned)(fake_world.now_ns / 1000000 - began));
		}
		if (status == ATECC_OK) {
			status = run(fault_rows[i].operation);
			assert_int_equal(status, fault_rows[i].status);
		}
		bench_heal();
		for (unsigned wait = 0; wait < 120; wait++) {
			time_wait_ms(500); /* even the longest command ends */
		}
		assert_int_equal(run(SIGN), ATECC_OK);
		assert_int_equal(run(VERIFY), ATECC_OK);
	}
}

static void
the_chip_sleeps_when_nobody_needs_it(void **state)
{
	(void)state;
	for (int is_608 = 0; is_608 <= 1; is_608++) {
		power_on(true, is_608 != 0);
		for (int i = START; i <= SHA; i++) {
			assert_int_equal(run((enum operation)i), ATECC_OK);
			assert_int_equal(chip->power, ATECC_ASLEEP);
			assert_false(chip->tempkey_valid);
		}
	}
}

/* Power fails after any transfer of an operation: an error in bounded time, never a result. */
static void
power_may_fail_in_any_operation(void **state)
{
	(void)state;
	for (int i = START; i <= SHA; i++) {
		for (unsigned cut = 1;; cut++) {
			uint64_t began = fake_world.now_ns;
			enum atecc_status status;

			power_on(true, false);
			fake_i2c.cut_after = cut;
			status = run((enum operation)i);
			assert_true(fake_world.now_ns - began < 9000000000);
			if (status == ATECC_OK) {
				break;
			}
			assert_int_not_equal(status, ATECC_MISCOMPARE);
		}
	}
}

/* For the ration of app/wear.h: each write of the EEPROM, not each answer. */
static void
lost_answers_wear_too(void **state)
{
	uint32_t before = atecc_keys_made();

	(void)state;
	assert_int_equal(run(GENERATE), ATECC_OK);
	assert_int_equal(atecc_keys_made(), before + 1);
	assert_int_equal(run(PUBLIC), ATECC_OK);
	bench_add_fault("atecc.tail=40");
	assert_int_equal(run(GENERATE), ATECC_CRC);
	assert_int_equal(atecc_keys_made(), before + 5);
}

static void
every_status_has_words(void **state)
{
	(void)state;
	for (int i = ATECC_OK; i <= ATECC_FOREIGN; i++) {
		assert_non_null(atecc_status_text((enum atecc_status)i));
		assert_string_not_equal(atecc_status_text((enum atecc_status)i), "unknown");
	}
	assert_string_equal(atecc_status_text((enum atecc_status)99), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(it_knows_its_chip),
		T(random_is_random_or_refused),
		T(signatures_hold),
		T(openssl_signatures_verify),
		T(bad_signatures_and_keys),
		T(secrets_are_shared_with_openssl),
		T(digests_of_every_length),
		T(each_fault_passes_or_has_its_name),
		T(the_chip_sleeps_when_nobody_needs_it),
		T(power_may_fail_in_any_operation),
		T(lost_answers_wear_too),
		T(every_status_has_words),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
