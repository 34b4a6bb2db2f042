/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The WINC1500 model against independent knowledge: the byte-exact packets
 * of the fact sheet (2.2, 2.3, 2.9, 4.5), driven without our driver. The
 * driver's CRC is held against the same vectors.
 */
#include <stdio.h>
#include <string.h>

#include "winc_bench.h"

#include "drivers/winc_int.h"
#include "emulator/winc_int.h"

#include "unit/cmocka_all.h"

static size_t
from_hex(const char *text, uint8_t *out)
{
	size_t n = 0;
	unsigned byte;
	int used;

	while (sscanf(text, " %2x%n", &byte, &used) == 1) {
		out[n++] = (uint8_t)byte;
		text += used;
	}
	return n;
}

static void
test_crc7(void **state)
{
	static const char *const frames[] = {
		"CA 00 10 00 CA", "CF FF FF FF AA", "CA 00 E8 24 BC", "C5 00 00 00 9A",
		"C9 00 E8 24 00 00 00 52 5C", "C6 00 00 00 90", "CA 00 13 F4 A4", "C4 80 01 00 00",
		"CA 00 10 14 B0", "C4 80 0B 00 9C", "CA 00 10 70 54", "C4 80 0F 00 C4",
		"CA 02 07 BC 6A", "C4 80 10 00 64", "CA 0C 00 0C DE", "C3 80 0B 00 00 00 01 9A",
		"CA 02 07 AC 58", "C3 80 01 00 00 00 03 30", "CA 00 10 8C 90",
		"C8 03 7A 00 00 00 08 CC", "C9 0C 00 0C EF 52 2F 61 D8", "C7 03 7A 00 00 00 08 16",
		"C9 00 14 A0 00 00 01 02 24", "C9 00 10 78 00 00 00 02 A4",
	};
	uint8_t b[16];

	(void)state;
	for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
		size_t n = from_hex(frames[i], b) - 1;

		assert_int_equal(winc_crc7(b, n), b[n]);
		assert_int_equal(winc_engine_crc7(b, n), b[n]);
	}
}

static void
test_crc16(void **state)
{
	static const char *const data[] = {
		"31 32 33 34 35 36 37 38 39 29 B1",
		"A0 03 10 00 34 95",
		"01 28 70 00 00 00 00 00 CE 2A",
	};
	uint8_t b[16];

	(void)state;
	for (size_t i = 0; i < sizeof data / sizeof data[0]; i++) {
		size_t n = from_hex(data[i], b) - 2;
		unsigned crc = (unsigned)(b[n] << 8 | b[n + 1]);

		assert_int_equal(winc_crc16(0xFFFF, b, n), crc);
		assert_int_equal(winc_engine_crc16(b, n), crc);
	}
}

/* The fact sheet's examples show no idle bytes: none before echo and token. */
static void
power_on(void)
{
	bench_open("19.6.1", NULL);
	bench_add_fault("winc.idle=0");
	bench_add_fault("winc.idle-token=0");
	winc_model_pins(fake_hal.winc, false, true, false);
	winc_model_pins(fake_hal.winc, true, true, false);
	fake_hal.world.now_ns += WINC_MS(30);
}

/* "> bytes < bytes": what is sent, then what comes under zeros; ".." comes but is of no matter. */
static void
talk(const char *sent, const char *expected)
{
	uint8_t out[64];
	size_t n = from_hex(sent, out);
	unsigned wanted;

	for (size_t i = 0; i < n; i++) {
		(void)winc_model_exchange(fake_hal.winc, out[i]);
	}
	for (; *expected != '\0'; expected += expected[2] == ' ' ? 3 : 2) {
		uint8_t got = winc_model_exchange(fake_hal.winc, 0);

		if (expected[0] != '.') {
			assert_int_equal(sscanf(expected, "%2x", &wanted), 1);
			assert_int_equal(got, wanted);
		}
	}
}

static void
test_worked_frames(void **state)
{
	(void)state;
	power_on();
	talk("CA 00 10 00 CA", "CA 00 F3 A0 03 10 00 34 95");
	talk("CA 00 E8 24 BC", "CA 00 F3 2E 00 00 00 11 D4");
	talk("CA 00 10 00 CC", "CA 03");
	talk("C9 00 E8 24 00 00 00 52 5C", "C9 00");
	talk("CA 00 10 00", "CA 00 F3 A0 03 10 00");
	talk("C4 80 0F 00", "C4 00 F3 04 00 00 00");
	talk("C3 80 0B 00 00 00 01", "C3 00");
	talk("CF FF FF FF", ".. CF 00");
	talk("C5 00 00 00", ".. C5 00");
	talk("CB", "CB 01");
}

/* From power to a running firmware, as the sheet tells it (3.3), without CRC. */
static void
boot_by_hand(void)
{
	power_on();
	talk("C9 00 E8 24 00 00 00 52 5C", "C9 00");
	talk("CA 00 10 14", "CA 00 F3 00 00 00 80");
	talk("CA 02 07 BC", "CA 00 F3 00 00 00 00");
	talk("CA 0C 00 0C", "CA 00 F3 9E D0 AD 10");
	talk("C9 00 10 8C 13 52 13 52", "C9 00");
	talk("C9 00 14 A0 00 00 01 02", "C9 00");
	talk("C9 0C 00 0C EF 52 2F 61", "C9 00");
	talk("CA 00 10 8C", "CA 00 F3 52 13 52 13");
	fake_hal.world.now_ns += WINC_MS(101);
	talk("CA 00 10 8C", "CA 00 F3 36 26 53 02");
	talk("C9 00 10 8C 00 00 00 00", "C9 00");
	talk("C9 00 14 08 00 00 01 40", "C9 00");
	talk("C9 00 1A 00 00 01 00 01", "C9 00");
	talk("CA 02 07 AC", "CA 00 F3 61 13 30 13");
	talk("CA 0C 00 08", "CA 00 F3 40 04 00 00");
	talk("C8 03 04 40 00 00 08", "C8 00 F3 66 04 00 00 80 04 00 00");
	talk("C8 03 04 66 00 00 06", "C8 00 F3 F8 F0 05 01 02 03");
}

static void
test_boot(void **state)
{
	(void)state;
	boot_by_hand();
	assert_int_equal(winc_registers_driver_version(fake_hal.winc), 0x13521352);
}

/* Buffer, header, control; up to the doorbell. The address may vary. */
static void
request(const char *info, const char *header_and_control)
{
	char line[200];
	uint8_t b[64];
	size_t n = from_hex(header_and_control, b) - 8;

	snprintf(line, sizeof line, "C9 00 10 8C %s", info);
	talk(line, "C9 00");
	talk("C9 00 10 78 00 00 00 02", "C9 00");
	fake_hal.world.now_ns += WINC_MS(1);
	talk("CA 00 10 78", "CA 00 F3 00 00 00 00");
	talk("CA 15 04 00", "CA 00 F3 C0 7A 03 00");
	talk("C7 03 7A C0 00 00 08", "C7 00");
	snprintf(line, sizeof line, "F3 %.23s", header_and_control);
	talk(line, ".. C3 00");
	if (n > 0) {
		snprintf(line, sizeof line, "C7 03 7A C8 00 00 %02zX", n);
		talk(line, "C7 00");
		snprintf(line, sizeof line, "F3 %s", header_and_control + 24);
		talk(line, ".. C3 00");
	}
	talk("C9 00 10 6C 00 0D EB 02", "C9 00");
}

/* The pending packet is of that group, opcode and length; given back after it. */
static void
expect_packet(uint8_t group, uint8_t opcode, unsigned length)
{
	struct winc_host *h = &fake_hal.winc->host;
	const uint8_t *p;

	fake_hal.world.now_ns += WINC_MS(10);
	winc_model_advance(fake_hal.winc);
	assert_false(winc_model_irq_n(fake_hal.winc));
	assert_int_equal(winc_registers_read(fake_hal.winc, 0x1070), ((length + 3) & ~3u) << 2 | 1);
	winc_registers_write(fake_hal.winc, 0x1070, ((length + 3) & ~3u) << 2);
	assert_true(winc_model_irq_n(fake_hal.winc));
	p = fake_hal.winc->window + (h->rx_address - WINDOW_BASE);
	assert_int_equal(p[0], group);
	assert_int_equal(p[1], opcode);
	assert_int_equal(winc_get16(p + 2), length);
	assert_int_equal(p[4], WINC_JUNK);
	winc_registers_write(fake_hal.winc, 0x1070, ((length + 3) & ~3u) << 2 | 2);
	assert_int_equal(winc_registers_read(fake_hal.winc, 0x1070), 0);
}

static void
join_by_hand(void)
{
	static const uint8_t c[108] = "correct horse";
	uint8_t legacy[108];

	memcpy(legacy, c, sizeof c);
	legacy[65] = 2;
	legacy[68] = 255;
	memcpy(legacy + 70, "workshop", 9);
	legacy[103] = 1;
	winc_radio_request(fake_hal.winc, 40, legacy, sizeof legacy);
	fake_hal.world.now_ns += WINC_MS(1600);
	expect_packet(1, 44, 12);
	fake_hal.world.now_ns += WINC_MS(600);
	expect_packet(1, 50, 28);
}

/* Section 4.5: socket 0, session 1, to 93.184.216.34:443. */
static void
test_worked_connect(void **state)
{
	static const uint8_t peer[4] = { 93, 184, 216, 34 };

	(void)state;
	boot_by_hand();
	join_by_hand();
	request("00 14 44 02",
	        "02 44 14 00 00 00 00 00 02 00 01 BB 5D B8 D8 22 00 00 01 00");
	fake_hal.world.now_ns += WINC_MS(20);
	winc_model_advance(fake_hal.winc);
	assert_memory_equal(bench_peer.ip, peer, 4);
	assert_int_equal(bench_peer.port, 443);
	expect_packet(2, 0x44, 12);
}

/* Violations are counted here instead of failing the test. */
static unsigned complaints;

static void
count_violation(void *owner, const char *format, va_list args)
{
	(void)owner;
	(void)format;
	(void)args;
	complaints++;
}

/*
 * What the Arduino library's driver does and real modules take: it leaves the
 * TLS flags of a plain connect as they were on its stack, and reads a last
 * byte of a packet together with the one behind.
 */
static void
test_tolerated(void **state)
{
	uint32_t end;
	char line[32];

	(void)state;
	boot_by_hand();
	join_by_hand();
	request("00 14 44 02",
	        "02 44 14 00 A5 A5 A5 A5 02 00 01 BB 5D B8 D8 22 00 7F 01 00");
	fake_hal.world.now_ns += WINC_MS(20);
	winc_model_advance(fake_hal.winc);
	assert_int_equal(bench_peer.port, 443);
	fake_hal.world.now_ns += WINC_MS(11);
	winc_model_advance(fake_hal.winc);
	winc_registers_write(fake_hal.winc, 0x1070, 12 << 2);
	end = fake_hal.winc->host.rx_address + 12;
	snprintf(line, sizeof line, "C8 03 %02X %02X 00 00 02", (end - 1) >> 8 & 0xFF,
	         (end - 1) & 0xFF);
	talk(line, "C8 00 F3 00 ..");
	fake_hal.world.violation = count_violation;
	complaints = 0;
	snprintf(line, sizeof line, "C8 03 %02X %02X 00 00 02", end >> 8 & 0xFF, end & 0xFF);
	talk(line, "C8 05"); /* all of it behind the packet */
	assert_int_equal(complaints, 1);
}

/* The request for the time: 0x108C = 0x00081A01 (5.6). */
static void
test_worked_time(void **state)
{
	(void)state;
	boot_by_hand();
	request("00 08 1A 01", "01 1A 08 00 00 00 00 00");
	expect_packet(1, 27, 16);
}

static void
expect_complaint(const char *sent, const char *expected)
{
	fake_hal.world.violation = count_violation;
	complaints = 0;
	talk(sent, expected);
	assert_int_not_equal(complaints, 0);
}

static void
test_strict(void **state)
{
	(void)state;
	boot_by_hand();
	expect_complaint("CA 00 12 34", "CA 00 F3 00 00 00 00"); /* no such register */
	expect_complaint("C9 00 10 00 00 00 00 00", "C9 00");    /* read only */
	expect_complaint("C7 03 7A C0 00 00 08", "C7 05");       /* nothing granted */
	expect_complaint("C8 03 04 40 00 00 01", "C8 05");       /* one byte */
	expect_complaint("C8 03 B0 00 00 00 08", "C8 05");       /* no packet there */
	expect_complaint("C9 00 10 70 00 00 00 02", "C9 00");    /* RX done of nothing */
	expect_complaint("C9 00 10 6C 00 0D EB 02", "C9 00");    /* submitted, never granted */
	expect_complaint("C9 00 14 08 00 00 01 00", "C9 00");    /* somebody else's bit cleared */
	expect_complaint("CA 00 10 00 CA 77", "F3 A0 03 10 00"); /* a byte under the answer */
	/* A socket before there is an address. */
	talk("C9 00 10 8C 00 0C 49 02", "C9 00");
	complaints = 0;
	request("00 0C 49 02", "02 49 0C 00 00 00 00 00 00 00 01 00");
	assert_int_not_equal(complaints, 0);
	/* Header and register disagree. */
	complaints = 0;
	request("00 09 1A 01", "01 1A 08 00 00 00 00 00");
	assert_int_not_equal(complaints, 0);
}

static void
test_strict_boot(void **state)
{
	(void)state;
	power_on();
	talk("C9 00 E8 24 00 00 00 52 5C", "C9 00");
	expect_complaint("C9 00 10 78 00 00 00 02", "C9 00");
	expect_complaint("C9 0C 00 0C EF 52 2F 61", "C9 00"); /* without GP_REG_1 */
}

static void
test_pins(void **state)
{
	(void)state;
	power_on();
	winc_model_pins(fake_hal.winc, true, true, true);
	assert_int_equal(winc_model_exchange(fake_hal.winc, 0xCA), 0xFF);
	winc_model_pins(fake_hal.winc, false, true, false);
	assert_int_equal(winc_model_exchange(fake_hal.winc, 0xCA), 0xFF);
	winc_model_pins(fake_hal.winc, true, true, false);
	/* Two milliseconds of silence. */
	talk("CA 00 10 00 CA", "00 00 00");
	fake_hal.world.now_ns += WINC_MS(3);
	talk("CA 00 10 00 CA", "CA 00 F3 A0 03 10 00 34 95");
	assert_true(winc_model_irq_n(fake_hal.winc));
}

static int
tear_down(void **state)
{
	(void)state;
	bench_close();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc7),
		cmocka_unit_test(test_crc16),
		cmocka_unit_test_teardown(test_worked_frames, tear_down),
		cmocka_unit_test_teardown(test_boot, tear_down),
		cmocka_unit_test_teardown(test_worked_connect, tear_down),
		cmocka_unit_test_teardown(test_tolerated, tear_down),
		cmocka_unit_test_teardown(test_worked_time, tear_down),
		cmocka_unit_test_teardown(test_strict, tear_down),
		cmocka_unit_test_teardown(test_strict_boot, tear_down),
		cmocka_unit_test_teardown(test_pins, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
