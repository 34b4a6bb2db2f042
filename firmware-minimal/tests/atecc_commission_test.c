/* SPDX-License-Identifier: BSD-2-Clause */
/* Locking for ever: in what order, only what was read back, and through a power loss anywhere. */
#include <string.h>

#include "atecc_bench.h"
#include "drivers/atecc.h"
#include "fake_i2c.h"
#include "fake_time.h"
#include "unit/cmocka_all.h"

enum { READ = 0x02, WRITE = 0x12, LOCK = 0x17, GENKEY = 0x40 };

static void
power_on(const struct atecc_eeprom *eeprom, bool is_608)
{
	bench_power_on(false, is_608);
	if (eeprom != NULL) {
		chip->eeprom = *eeprom;
	}
	fake_i2c_reset(chip);
}

static int
setup(void **state)
{
	(void)state;
	bench_open(3);
	power_on(NULL, false);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	bench_close();
	return 0;
}

static void
assert_commissioned(void)
{
	struct atecc_eeprom want;
	uint8_t digest[32] = { 1 };
	uint8_t signature[64];
	uint8_t key[64];

	memcpy(&want, &chip->eeprom, sizeof want);
	want.config[86] = want.config[87] = 0x55;
	atecc_preset(&want);
	assert_memory_equal(chip->eeprom.config, want.config, ATECC_CONFIG_BYTES);
	fake_i2c.cut_after = 0;
	assert_int_equal(atecc_public_key(0, key), ATECC_OK);
	assert_int_equal(atecc_sign(0, digest, signature), ATECC_OK);
	assert_int_equal(atecc_verify(digest, signature, key), ATECC_OK);
}

static unsigned
count_of(uint8_t opcode)
{
	unsigned n = 0;

	for (unsigned i = 0; i < fake_i2c.sent_count; i++) {
		n += fake_i2c.sent[i].opcode == opcode;
	}
	return n;
}

/* The last four commands before the first Lock read the whole configuration. */
static void
read_back_before_the_lock(void **state)
{
	unsigned at = 0;

	(void)state;
	assert_int_equal(atecc_commission(), ATECC_OK);
	/* Seven bytes of a fresh chip differ, in four words. */
	assert_int_equal(count_of(WRITE), 4);
	assert_int_equal(count_of(LOCK), 2);
	assert_int_equal(count_of(GENKEY), 1);
	while (fake_i2c.sent[at].opcode != LOCK) {
		at++;
	}
	assert_int_equal(fake_i2c.sent[at].param1, 0x00); /* with the CRC of what was read */
	assert_int_equal(fake_i2c.sent[at].param2, 0x7F43);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(fake_i2c.sent[at - 4 + i].opcode, READ);
		assert_int_equal(fake_i2c.sent[at - 4 + i].param1, 0x80);
		assert_int_equal(fake_i2c.sent[at - 4 + i].param2, 8 * i);
	}
	assert_commissioned();
}

static void
what_is_done_is_not_done_again(void **state)
{
	uint8_t scalar[32];

	(void)state;
	assert_int_equal(atecc_commission(), ATECC_OK);
	memcpy(scalar, chip->eeprom.scalars[0], 32);
	fake_i2c_reset(chip);
	assert_int_equal(atecc_commission(), ATECC_OK);
	assert_int_equal(count_of(WRITE) + count_of(LOCK), 0);
	assert_memory_equal(chip->eeprom.scalars[0], scalar, 32);
}

static void
power_may_fail_anywhere(void **state)
{
	struct atecc_eeprom eeprom;
	unsigned cuts = 0;

	(void)state;
	for (;;) {
		power_on(NULL, false);
		fake_i2c.cut_after = ++cuts;
		if (atecc_commission() == ATECC_OK && fake_i2c.transfers < cuts) {
			break;
		}
		eeprom = chip->eeprom;
		power_on(&eeprom, false);
		assert_int_equal(atecc_commission(), ATECC_OK);
		assert_commissioned();
	}
	assert_true(cuts > 100);
	assert_commissioned();
}

/* The same, and every second attempt is cut again a little later. */
static void
power_may_fail_again_and_again(void **state)
{
	struct atecc_eeprom eeprom;

	(void)state;
	for (unsigned step = 13; step < 60; step++) {
		unsigned at = 0;

		power_on(NULL, false);
		do {
			at += step;
			eeprom = chip->eeprom;
			power_on(&eeprom, false);
			fake_i2c.cut_after = at;
		} while (atecc_commission() != ATECC_OK);
		assert_commissioned();
	}
}

static void
faults_do_not_lock_the_wrong_thing(void **state)
{
	static const char *const rows[] = {
		"atecc.crc:1",       "atecc.crc-command:3", "atecc.restart:2",
		"atecc.execution:2", "atecc.power-loss:1",  "atecc.power-loss:2",
		"atecc.wake-nack:9", "atecc.sda-stuck:2",   "atecc.spurious-wake",
		"atecc.slow=300",    "atecc.short:2",       "atecc.near-watchdog:2",
		"atecc.key-failure:2",
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bench_heal();
		power_on(NULL, false);
		bench_add_fault(rows[i]);
		/* A chip that loses its power alone takes up all the time of one call. */
		if (atecc_commission() != ATECC_OK) {
			assert_int_equal(atecc_commission(), ATECC_OK);
		}
		assert_commissioned();
	}
}

/* A write that is answered well and does nothing: never locked. */
static void
a_write_without_effect_is_noticed(void **state)
{
	(void)state;
	bench_add_fault("atecc.write-ignored:3");
	assert_int_equal(atecc_commission(), ATECC_OK);
	assert_commissioned();
	power_on(NULL, false);
	bench_add_fault("atecc.write-ignored");
	assert_int_equal(atecc_commission(), ATECC_EXECUTION);
	assert_int_equal(chip->eeprom.config[87], 0x55);
	assert_int_equal(count_of(LOCK), 0);
}

static void
keys_that_fail_leave_the_data_zone_open(void **state)
{
	(void)state;
	bench_add_fault("atecc.key-failure");
	assert_int_equal(atecc_commission(), ATECC_DATA_UNLOCKED);
	assert_int_equal(chip->eeprom.config[87], 0x00);
	assert_int_equal(chip->eeprom.config[86], 0x55);
}

static void
a_foreign_configuration_is_not_locked(void **state)
{
	struct atecc_eeprom eeprom;

	(void)state;
	/* Its configuration is locked as it came from the factory. */
	eeprom = chip->eeprom;
	eeprom.config[87] = 0;
	power_on(&eeprom, false);
	assert_int_equal(atecc_commission(), ATECC_FOREIGN);
	assert_memory_equal(chip->eeprom.config, eeprom.config, ATECC_CONFIG_BYTES);
	assert_int_equal(chip->eeprom.has_key[0], 0);
	/* Both locked, no key: nothing is made either. */
	eeprom.config[86] = 0;
	power_on(&eeprom, false);
	assert_int_not_equal(atecc_commission(), ATECC_OK);
	assert_int_equal(chip->eeprom.has_key[0], 0);
}

/* Somebody else's key in a half locked chip does not become the board's. */
static void
a_key_from_before_is_replaced(void **state)
{
	struct atecc_eeprom eeprom;

	(void)state;
	eeprom = chip->eeprom;
	atecc_preset(&eeprom);
	eeprom.config[86] = 0x55;
	memset(eeprom.scalars[0], 0x11, 32);
	eeprom.has_key[0] = 1;
	power_on(&eeprom, false);
	assert_int_equal(atecc_commission(), ATECC_OK);
	assert_memory_not_equal(chip->eeprom.scalars[0], eeprom.scalars[0], 32);
	assert_commissioned();
}

static void
locked_without_a_key_gets_one(void **state)
{
	struct atecc_eeprom eeprom;

	(void)state;
	eeprom = chip->eeprom;
	atecc_preset(&eeprom);
	power_on(&eeprom, false);
	assert_int_equal(atecc_commission(), ATECC_OK);
	assert_commissioned();
}

/* Bytes with another meaning stay 0 on a 608. */
static void
a_608_keeps_its_own_bytes(void **state)
{
	static const uint8_t zero[16];

	(void)state;
	power_on(NULL, true);
	assert_int_equal(atecc_commission(), ATECC_OK);
	assert_memory_equal(chip->eeprom.config + 68, zero, 16);
	assert_int_equal(chip->eeprom.config[18], 0);
	assert_int_equal(chip->eeprom.config[19], 0);
	assert_int_equal(chip->eeprom.config[85], 0);
	assert_commissioned();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(read_back_before_the_lock),
		T(what_is_done_is_not_done_again),
		T(power_may_fail_anywhere),
		T(power_may_fail_again_and_again),
		T(faults_do_not_lock_the_wrong_thing),
		T(a_write_without_effect_is_noticed),
		T(keys_that_fail_leave_the_data_zone_open),
		T(a_foreign_configuration_is_not_locked),
		T(a_key_from_before_is_replaced),
		T(locked_without_a_key_gets_one),
		T(a_608_keeps_its_own_bytes),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
