/* SPDX-License-Identifier: BSD-2-Clause */
/* The model against the packets that the fact sheet works out, byte by byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "atecc_bench.h"
#include "atecc_example.h"
#include "fake_time.h"
#include "unit/cmocka_all.h"

#define MS 1000000ull

static void
power_on(bool locked)
{
	bench_power_on(locked, false);
}

static int
setup(void **state)
{
	(void)state;
	bench_open(1);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	bench_close();
	return 0;
}

static size_t
take(uint8_t *out, size_t n)
{
	if (!atecc_model_start(chip, 0xC1)) {
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		out[i] = atecc_model_read(chip, i + 1 < n);
	}
	atecc_model_stop(chip);
	return n;
}

static bool
give(const uint8_t *data, size_t n)
{
	if (!atecc_model_start(chip, 0xC0)) {
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		assert_true(atecc_model_write(chip, data[i]));
	}
	atecc_model_stop(chip);
	return true;
}

static void
rest(uint8_t word)
{
	(void)give(&word, 1);
	fake_time_pass_ns(2 * MS);
}

static void
wake(void)
{
	uint8_t answer[4];

	atecc_model_sda_low(chip, 80000);
	fake_time_pass_ns(1500000);
	assert_int_equal(take(answer, 4), 4);
	assert_memory_equal(answer, "\x04\x11\x33\x43", 4);
}

/* Sends it, waits until it is done, and wants that answer (both hex). */
static void
check(const char *packet, const char *answer)
{
	uint8_t bytes[200];
	uint8_t want[80];
	uint8_t got[80];
	size_t n = from_hex(answer, want);

	assert_true(give(bytes, from_hex(packet, bytes)));
	fake_time_pass_ns(150 * MS);
	assert_int_equal(take(got, n), n);
	assert_memory_equal(got, want, n);
}

/* As check(), each in a wake of its own. */
static void
check_fresh(const char *packet, const char *answer)
{
	wake();
	check(packet, answer);
	rest(0x01);
}

#define GOOD "04 00 03 40"
#define PARSE "04 03 83 42"
#define REFUSED "04 0F 23 42"

static void
crc_of_the_sheet(void **state)
{
	static const struct {
		const char *bytes;
		uint16_t crc;
	} rows[] = {
		{ "010203", 0x0885 },
		{ "0411", 0x4333 },
		{ "0400", 0x4003 },
		{ "0730000000", 0x5D03 },
		{ "313233343536373839", 0xBCDD },
	};
	uint8_t bytes[16];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(atecc_model_crc(bytes, from_hex(rows[i].bytes, bytes)),
		                 rows[i].crc);
	}
}

static void
wakes_only_by_a_pulse(void **state)
{
	uint8_t answer[4];

	(void)state;
	power_on(true);
	assert_int_equal(take(answer, 4), 0);
	assert_false(atecc_model_start(chip, 0xC0));
	atecc_model_sda_low(chip, 10000); /* a STOP made by hand, not a pulse */
	fake_time_pass_ns(2 * MS);
	assert_int_equal(take(answer, 4), 0);
	atecc_model_sda_low(chip, 80000);
	fake_time_pass_ns(1 * MS);
	assert_int_equal(take(answer, 4), 0); /* too early */
	fake_time_pass_ns(MS / 2);
	assert_int_equal(take(answer, 4), 4);
	assert_memory_equal(answer, "\x04\x11\x33\x43", 4);
	rest(0x01);
	assert_int_equal(take(answer, 4), 0);
	/* The other way: a write to address 0. */
	assert_false(atecc_model_start(chip, 0x00));
	atecc_model_stop(chip);
	fake_time_pass_ns(3 * MS / 2);
	assert_int_equal(take(answer, 4), 4);
	/* At once from idle, not so soon from sleep. */
	for (uint8_t word = 2; word > 0; word--) {
		assert_true(give(&word, 1));
		fake_time_pass_ns(MS / 10);
		atecc_model_sda_low(chip, 80000);
		fake_time_pass_ns(3 * MS / 2);
		assert_int_equal(take(answer, 4), word == 2 ? 4 : 0);
	}
}

static void
packets_of_a_fresh_chip(void **state)
{
	static const char *const rows[][2] = {
		{ "03 07 30 00 00 00 03 5D", "07 00 00 50 00 03 91" },
		{ "03 07 1B 00 00 00 24 CD",
		  "23 FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000 41 1A" },
		{ "03 07 02 00 15 00 17 5D", "07 00 00 55 55 F5 52" },
		{ "03 07 02 82 40 00 09 A4", REFUSED },
		{ "03 07 02 81 00 00 0A 27", REFUSED },
		{ "03 07 40 04 00 00 83 87", REFUSED },
		{ "03 07 41 80 00 00 28 05", REFUSED },
		{ "03 07 17 81 00 00 3A 07", REFUSED }, /* data before configuration */
		{ "03 07 17 00 43 7F 25 03", REFUSED }, /* CRC of another configuration */
		{ "03 07 30 00 00 00 03 5E", "04 FF 01 42" },
		{ "03 0A 47 02 03 00 61 62 63 70 53", REFUSED }, /* end without start */
		{ "03 07 24 00 00 00 0C FD", "07 00 00 00 00 03 AD" },
		{ "03 07 24 01 00 00 0F 77", REFUSED },
	};

	(void)state;
	power_on(false);
	assert_int_equal(atecc_model_crc(chip->eeprom.config, 128), 0x1220);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		check_fresh(rows[i][0], rows[i][1]);
	}
}

static void
random_nonce_of_a_fresh_chip(void **state)
{
	uint8_t want[32];

	(void)state;
	power_on(false);
	wake();
	check("03 1B 16 00 00 00 000102030405060708090A0B0C0D0E0F10111213 53 B5",
	      "23 FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000FFFF0000 41 1A");
	from_hex("36b6375496e0435b53cdd6514a65154ef7c28e9629f96698e90d1abc4db1a97d", want);
	assert_memory_equal(chip->tempkey, want, 32);
	assert_true(chip->tempkey_valid && !chip->tempkey_input);
}

static void
a_chip_is_configured_and_locked(void **state)
{
	static const char *const writes[] = {
		"03 0B 12 00 04 00 C0 00 55 00 8C 8F", "03 0B 12 00 05 00 83 20 87 20 6B 9D",
		"03 0B 12 00 06 00 87 20 87 2F 8B 1F", "03 0B 12 00 07 00 87 2F 8F 8F DD 73",
		"03 0B 12 00 08 00 9F 8F AF 8F 60 8B", "03 0B 12 00 09 00 00 00 00 00 3E CF",
		"03 0B 12 00 0A 00 00 00 00 00 F2 CF", "03 0B 12 00 0B 00 00 00 00 00 79 4F",
		"03 0B 12 00 0C 00 00 00 AF 8F BE F3", "03 0B 12 00 0D 00 FF FF FF FF 36 CF",
		"03 0B 12 00 0E 00 00 00 00 00 D3 4F", "03 0B 12 00 0F 00 FF FF FF FF 71 4F",
		"03 0B 12 00 10 00 00 00 00 00 AE 8F", "03 0B 12 00 11 00 FF FF FF FF 0C 8F",
		"03 0B 12 00 12 00 FF FF FF FF C0 8F", "03 0B 12 00 13 00 FF FF FF FF 4B 0F",
		"03 0B 12 00 14 00 FF FF FF FF A6 8F", "03 0B 12 00 16 00 FF FF 00 00 EC 8F",
		"03 0B 12 00 17 00 00 00 00 00 43 0F", "03 0B 12 00 18 00 33 00 33 00 91 D7",
		"03 0B 12 00 19 00 33 00 33 00 1A 57", "03 0B 12 00 1A 00 33 00 1C 00 DA 6F",
		"03 0B 12 00 1B 00 1C 00 1C 00 7A FF", "03 0B 12 00 1C 00 3C 00 3C 00 97 37",
		"03 0B 12 00 1D 00 3C 00 3C 00 1C B7", "03 0B 12 00 1E 00 3C 00 3C 00 D0 B7",
		"03 0B 12 00 1F 00 3C 00 1C 00 58 AF",
	};
	struct atecc_eeprom made;

	(void)state;
	power_on(false);
	for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
		check_fresh(writes[i], GOOD);
	}
	assert_int_equal(atecc_model_crc(chip->eeprom.config, 128), 0x7F43);
	check_fresh("03 07 17 00 43 7F 25 03", GOOD);
	check_fresh("03 07 02 00 15 00 17 5D", "07 00 00 55 00 09 51");
	check_fresh(writes[0], REFUSED);
	check_fresh("03 07 40 00 00 00 00 05", REFUSED); /* no key yet */
	check_fresh("03 07 40 04 00 00 83 87", "43");
	check_fresh("03 07 40 00 00 00 00 05", "43");
	check_fresh("03 0B 12 02 40 02 DE AD BE EF 03 3C", REFUSED); /* whole blocks only */
	check_fresh("03 07 17 81 00 00 3A 07", GOOD);
	check_fresh("03 07 02 00 15 00 17 5D", "07 00 00 00 00 03 AD");
	atecc_factory(&made, bench_serial, false);
	atecc_preset(&made);
	assert_memory_equal(made.config, chip->eeprom.config, 128);
}

#define BLOCK "404142434445464748494A4B4C4D4E4F505152535455565758595A5B5C5D5E5F"

static void
packets_of_a_locked_chip(void **state)
{
	static const char *const rows[][2] = {
		{ "03 07 02 00 15 00 17 5D", "07 00 00 00 00 03 AD" },
		{ "03 07 02 00 00 00 1E 2D", "07 01 23 F5 2E" },
		{ "03 07 02 00 02 00 18 AD", "07 01 F0 C2 01" },
		{ "03 07 02 00 03 00 11 2D", "07 EE C0 55 00" },
		{ "03 07 02 80 00 00 09 AD", "23 01 23 F5 2E 00 00 50 00 01 F0 C2 01 EE" },
		{ "03 0B 12 02 40 02 DE AD BE EF 03 3C", GOOD },
		{ "03 07 02 02 40 02 9D A5", "07 DE AD BE EF" },
		{ "03 27 12 82 40 00 "
		  "0000000000000000000000000000000000000000000000000000000000000000 41 D5", GOOD },
		{ "03 07 02 82 40 00 09 A4",
		  "23 0000000000000000000000000000000000000000000000000000000000000000" },
		{ "03 07 02 02 51 02 97 95", "07 FF FF FF FF" },
		{ "03 07 17 80 00 00 39 8D", REFUSED },
		{ "03 07 17 81 00 00 3A 07", REFUSED },
		{ "03 07 24 00 00 00 0C FD", "07 00 00 00 00 03 AD" },
		{ "03 07 24 01 00 00 0F 77", "07 01 00 00 00 3C 2D" },
		{ "03 07 24 00 01 00 05 7D", "07 00 00 00 00 03 AD" },
		{ "03 07 24 01 01 00 06 F7", "07 01 00 00 00 3C 2D" },
		{ "03 07 40 00 00 00 00 05", "43" },
		{ "03 07 40 04 01 00 8A 07", "43" },
		{ "03 07 41 80 00 00 28 05", REFUSED }, /* no digest */
		{ "03 07 17 02 00 00 2D 88", GOOD },    /* lock slot 0 */
		{ "03 07 40 04 00 00 83 87", REFUSED },
		{ "03 07 40 00 00 00 00 05", "43" },
		{ "03 07 17 22 00 00 7E 08", GOOD },    /* lock slot 8 */
		{ "03 0B 12 02 40 02 DE AD BE EF 03 3C", REFUSED },
		/* The last block of slot 10 has eight bytes; it is read and written as a whole. */
		{ "03 0B 12 02 51 02 DE AD BE EF 81 FC", GOOD },
		{ "03 07 02 82 50 02 89 95", "23 FF FF FF FF DE AD BE EF A5" },
		{ "03 27 12 82 51 02 " BLOCK "7A BF", GOOD }, /* from its second word on */
		{ "03 07 02 82 50 02 89 95", "23 FF FF FF FF 40 41 42 43 A5" },
		{ "03 27 12 82 51 00 " BLOCK "79 24", PARSE },
		{ "03 07 02 82 51 02 80 15", PARSE },
		{ "03 07 02 82 50 03 8A 16", PARSE },
	};

	(void)state;
	power_on(true);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		check_fresh(rows[i][0], rows[i][1]);
	}
}

static void
sha_in_one_and_in_two(void **state)
{
	(void)state;
	power_on(true);
	wake();
	check("03 07 47 00 00 00 2E 85", GOOD);
	check("03 0A 47 02 03 00 61 62 63 70 53",
	      "23 BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD B3 FF");
	rest(0x01);
	wake();
	check("03 07 47 00 00 00 2E 85", GOOD);
	rest(0x02); /* the context survives idle */
	wake();
	check("03 47 47 01 40 00"
	      "30720201003010310e300c060355040313056d796d6b72"
	      "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
	      "68ea5a3f496e97277bd64e9b69ab cb0a", GOOD);
	check("03 3B 47 02 34 00"
	      "ec517e21ad55795fc741fb3d17d9aab40210" EXAMPLE_Y "a000 fcb6",
	      "23" EXAMPLE_DIGEST "CE C9");
}

#define NONCE_EXAMPLE "03 27 16 03 00 00" EXAMPLE_DIGEST "BA DD"
#define VERIFY_EXAMPLE "03 87 45 02 04 00" EXAMPLE_R EXAMPLE_S EXAMPLE_X EXAMPLE_Y "CE 7F"

static void
verifies_the_example(void **state)
{
	(void)state;
	power_on(true);
	wake();
	check(VERIFY_EXAMPLE, REFUSED); /* no digest yet */
	check(NONCE_EXAMPLE, GOOD);
	rest(0x02); /* TempKey survives idle */
	wake();
	check(VERIFY_EXAMPLE, GOOD);
	check(VERIFY_EXAMPLE, REFUSED); /* used up */
	check(NONCE_EXAMPLE, GOOD);
	rest(0x01); /* but not sleep */
	wake();
	check(VERIFY_EXAMPLE, REFUSED);
	check("03 27 16 03 00 00 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F "
	      "04 EE",
	      GOOD);
	check(VERIFY_EXAMPLE, "04 01 00 C3");
}

/* No key of the chip is in use, so no lock is needed. */
static void
an_open_chip_verifies_too(void **state)
{
	(void)state;
	power_on(false);
	wake();
	check(NONCE_EXAMPLE, GOOD);
	check(VERIFY_EXAMPLE, GOOD);
}

static void
ecdh_of_the_sheet(void **state)
{
	uint8_t scalar[32];
	uint8_t packet[80] = { 0x03, 0x47, 0x43, 0x00, 0x02, 0x00 };
	uint8_t want[32];
	uint8_t got[35];
	uint16_t crc;

	(void)state;
	power_on(true);
	from_hex(ECDH_PRIVATE, scalar);
	memcpy(chip->eeprom.scalars[2], scalar, 32);
	chip->eeprom.has_key[2] = 1;
	from_hex(ECDH_PEER, packet + 6);
	from_hex(ECDH_SECRET, want);
	crc = atecc_model_crc(packet + 1, 69);
	packet[70] = (uint8_t)crc;
	packet[71] = (uint8_t)(crc >> 8);
	wake();
	assert_true(give(packet, 72));
	fake_time_pass_ns(100 * MS);
	assert_int_equal(take(got, 35), 35);
	assert_int_equal(got[0], 35);
	assert_memory_equal(got + 1, want, 32);
	rest(0x01);
	/* Slot 0 of this configuration may not. */
	packet[4] = 0;
	crc = atecc_model_crc(packet + 1, 69);
	packet[70] = (uint8_t)crc;
	packet[71] = (uint8_t)(crc >> 8);
	wake();
	assert_true(give(packet, 72));
	fake_time_pass_ns(100 * MS);
	assert_int_equal(take(got, 4), 4);
	assert_int_equal(got[1], 0x0F);
}

static void
counters_count_in_their_code(void **state)
{
	static const uint8_t at_32[8] = { 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00 };

	(void)state;
	power_on(true);
	for (unsigned n = 1; n <= 100; n++) {
		uint8_t got[7];
		uint8_t packet[8] = { 0x03, 0x07, 0x24, 0x01, 0x00, 0x00, 0x0F, 0x77 };

		wake();
		assert_true(give(packet, 8));
		fake_time_pass_ns(30 * MS);
		assert_int_equal(take(got, 7), 7);
		assert_int_equal(got[1], n);
		if (n == 32) {
			assert_memory_equal(chip->eeprom.config + 52, at_32, 8);
		}
		rest(0x01);
	}
}

static void
answers_are_read_in_pieces_and_again(void **state)
{
	uint8_t packet[8] = { 0x03, 0x07, 0x30, 0x00, 0x00, 0x00, 0x03, 0x5D };
	uint8_t got[8];
	uint8_t reset = 0;

	(void)state;
	power_on(true);
	wake();
	assert_true(give(packet, 8));
	assert_int_equal(take(got, 1), 0); /* busy */
	fake_time_pass_ns(3 * MS);
	assert_int_equal(take(got, 1), 1);
	assert_int_equal(got[0], 7);
	assert_int_equal(take(got, 7), 7);
	assert_memory_equal(got, "\x00\x00\x50\x00\x03\x91\xFF", 7);
	assert_true(give(&reset, 1));
	assert_int_equal(take(got, 7), 7);
	assert_memory_equal(got, "\x07\x00\x00\x50\x00\x03\x91", 7);
}

static void
its_watchdog_puts_it_to_sleep(void **state)
{
	uint8_t packet[8] = { 0x03, 0x07, 0x30, 0x00, 0x00, 0x00, 0x03, 0x5D };
	uint8_t got[4];

	(void)state;
	power_on(true);
	wake();
	check(NONCE_EXAMPLE, GOOD);
	fake_time_pass_ns(1100 * MS);
	assert_true(give(packet, sizeof packet));
	assert_int_equal(take(got, 4), 4);
	assert_memory_equal(got, "\x04\xEE\x31\x41", 4);
	fake_time_pass_ns(100 * MS);
	assert_int_equal(take(got, 4), 0);
	assert_false(chip->tempkey_valid);
}

static void
its_memory_outlives_it(void **state)
{
	char folder[] = "/tmp/atecc-XXXXXX";
	char file[64];
	uint8_t key[32];
	struct atecc_config config = { .locked = true, .serial = { 1, 0x23 } };
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/chip", folder);
	config.file = file;
	chip = atecc_model_new(&fake_world, bench_faults, &config);
	assert_non_null(chip);
	memcpy(key, chip->eeprom.scalars[0], 32);
	check_fresh("03 0B 12 02 40 02 DE AD BE EF 03 3C", GOOD);
	atecc_model_free(chip);
	config.locked = false; /* of no meaning for one that exists */
	chip = atecc_model_new(&fake_world, bench_faults, &config);
	assert_non_null(chip);
	assert_memory_equal(chip->eeprom.scalars[0], key, 32);
	check_fresh("03 07 02 02 40 02 9D A5", "07 DE AD BE EF");
	assert_int_equal(chip->eeprom.writes[0], 1);
	atecc_model_free(chip);
	/* A damaged file is no chip. */
	f = fopen(file, "r+b");
	assert_non_null(f);
	assert_int_equal(fseek(f, 100, SEEK_SET), 0);
	fputc(0x5A, f);
	fputc(0xA5, f);
	assert_int_equal(fclose(f), 0);
	chip = atecc_model_new(&fake_world, bench_faults, &config);
	assert_null(chip);
	unlink(file);
	rmdir(folder);
}

static unsigned violations;

static void
count_violation(void *owner, const char *format, va_list args)
{
	(void)owner;
	(void)format;
	(void)args;
	violations++;
}

static void
what_no_driver_may_do(void **state)
{
	static const struct {
		uint8_t bytes[10];
		size_t size;
	} rows[] = {
		{ { 0x04 }, 1 },                                           /* reserved */
		{ { 0x03, 0x07, 0x30, 0x00 }, 4 },                         /* cut short */
		{ { 0x03 }, 1 },
		{ { 0x03, 0x07, 0x30, 0x00, 0x00, 0x00, 0x03, 0x5D, 0 }, 9 }, /* too long */
		{ { 0x03, 0x04, 0x30, 0x00, 0x00 }, 5 },
	};

	(void)state;
	power_on(true);
	fake_world.violation = count_violation;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		wake();
		violations = 0;
		assert_true(give(rows[i].bytes, rows[i].size));
		assert_int_equal(violations, 1);
		rest(0x01);
	}
	violations = 0;
	atecc_model_sda_low(chip, 50000);
	assert_int_equal(violations, 1);
}

static void
faults_have_names_and_texts(void **state)
{
	(void)state;
	for (const struct fault *f = atecc_faults; f->name != NULL; f++) {
		assert_int_equal(strncmp(f->name, "atecc.", 6), 0);
		assert_true(strlen(f->text) > 10);
	}
	bench_add_fault("atecc.608");
	power_on(true);
	check_fresh("03 07 30 00 00 00 03 5D", "07 00 00 60 02 80 38");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(crc_of_the_sheet),
		T(wakes_only_by_a_pulse),
		T(packets_of_a_fresh_chip),
		T(random_nonce_of_a_fresh_chip),
		T(a_chip_is_configured_and_locked),
		T(packets_of_a_locked_chip),
		T(sha_in_one_and_in_two),
		T(verifies_the_example),
		T(an_open_chip_verifies_too),
		T(ecdh_of_the_sheet),
		T(counters_count_in_their_code),
		T(answers_are_read_in_pieces_and_again),
		T(its_watchdog_puts_it_to_sleep),
		T(its_memory_outlives_it),
		T(what_no_driver_may_do),
		T(faults_have_names_and_texts),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
