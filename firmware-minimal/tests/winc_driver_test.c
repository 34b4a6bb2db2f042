/* SPDX-License-Identifier: BSD-2-Clause */
/* The WINC1500 driver against the model, when nothing is broken. */
#include "winc_bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hal/time.h"

#include "drivers/winc_int.h"
#include "emulator/winc_int.h"

#include "unit/cmocka_all.h"

static const char *const firmwares[] = { "19.4.4", "19.5.2", "19.5.4", "19.6.1" };
enum { FIRMWARES = sizeof firmwares / sizeof firmwares[0] };

static int
tear_down(void **state)
{
	(void)state;
	bench_close();
	return 0;
}

static void
test_bring_up(void **state)
{
	struct winc_version version;
	uint8_t mac[6];
	char text[16];

	(void)state;
	for (int i = 0; i < FIRMWARES; i++) {
		bench_open(firmwares[i], NULL);
		assert_int_equal(winc_start(i % 3), WINC_OK);
		winc_version(&version);
		snprintf(text, sizeof text, "%u.%u.%u", version.major, version.minor,
			 version.patch);
		assert_string_equal(text, firmwares[i]);
		winc_mac(mac);
		assert_memory_equal(mac, "\xF8\xF0\x05\x01\x02\x03", 6);
		assert_int_equal(winc_registers_driver_version(fake_hal.winc), 0x13521352);
		assert_int_equal(winc_link(), WINC_LINK_LOST);
		bench_close();
	}
	bench_open("19.6.1", NULL);
}

static void
test_whole_way(void **state)
{
	static const uint8_t address[4] = { 192, 0, 2, 10 };
	uint8_t ip[4];
	int s;

	(void)state;
	for (int i = 0; i < FIRMWARES; i++) {
		bench_up(firmwares[i]);
		winc_address(ip);
		assert_memory_equal(ip, address, 4);
		assert_int_equal(bench_resolve("gateway.example", ip), WINC_OK);
		assert_memory_equal(ip, bench_ip, 4);
		assert_int_equal(bench_connect(&s), WINC_OK);
		assert_memory_equal(bench_peer.ip, bench_ip, 4);
		assert_int_equal(bench_peer.port, BENCH_PORT);
		assert_int_equal(bench_echo(s, 5000, 5000, 700), WINC_OK);
		winc_close(s);
		bench_poll(10);
		assert_int_equal(bench_peer.closed, bench_peer.opened);
		bench_close();
	}
	bench_open("19.6.1", NULL);
}

static void
test_join_results(void **state)
{
	static const struct {
		const char *ssid, *passphrase;
		enum winc_status status;
	} rows[] = {
		{ "workshop", "correct horse", WINC_OK },
		{ "workshop", "wrong horse", WINC_AUTH },
		{ "workshop", "", WINC_AUTH },
		{ "elsewhere", "correct horse", WINC_NO_AP },
		{ "", "correct horse", WINC_PARAMETER },
		{ "workshop", "short", WINC_PARAMETER },
		{ "a name of more than thirty-two bytes", "correct horse", WINC_PARAMETER },
		{ "workshop", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeX",
		  WINC_PARAMETER },
		{ "workshop", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		  WINC_AUTH },
		{ "workshop", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
		  WINC_PARAMETER },
	};

	(void)state;
	bench_open("19.6.1", NULL);
	assert_int_equal(winc_start(1), WINC_OK);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(bench_join(rows[i].ssid, rows[i].passphrase), rows[i].status);
	}
	/* And again from each state. */
	assert_int_equal(bench_join("workshop", "correct horse"), WINC_OK);
	assert_int_equal(bench_join("workshop", "correct horse"), WINC_OK);
	winc_leave();
	assert_int_equal(winc_link(), WINC_LINK_LOST);
	bench_poll(50);
	assert_int_equal(bench_join("workshop", "correct horse"), WINC_OK);
}

static void
test_names(void **state)
{
	uint8_t ip[4];

	(void)state;
	bench_up("19.5.2");
	assert_int_equal(winc_resolve("10.20.30.255", ip), WINC_OK);
	assert_memory_equal(ip, "\x0A\x14\x1E\xFF", 4);
	assert_int_equal(bench_resolve("nobody.example", ip), WINC_DNS);
	assert_int_equal(bench_resolve("10.20.30.256", ip), WINC_DNS);
	assert_int_equal(bench_resolve("10.20.30", ip), WINC_DNS);
	assert_int_equal(winc_resolve("", ip), WINC_PARAMETER);
	assert_int_equal(winc_resolve("0123456789012345678901234567890123456789"
	                              "012345678901234567890123",
	                              ip),
	                 WINC_PARAMETER);
	/* One that was given up does not answer for the next. */
	assert_int_equal(winc_resolve("nobody.example", ip), WINC_AGAIN);
	(void)winc_poll();
	assert_int_equal(bench_resolve("gateway.example", ip), WINC_OK);
	assert_memory_equal(ip, bench_ip, 4);
}

static void
test_sizes(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 4, 5, 511, 512, 513, 1399, 1400, 1401, 1446, 1460,
		                        1472, 4096, 20000 };
	static const char *const pieces[] = { "winc.recv-size=1", "winc.recv-size=2",
		                              "winc.recv-size=1400", "winc.recv-size=1446",
		                              "winc.recv-size=1460", "winc.recv-size=1472" };
	int s;

	(void)state;
	for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
		bench_up("19.6.1");
		bench_add_fault(pieces[p]);
		assert_int_equal(bench_connect(&s), WINC_OK);
		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
			if (p < 2 && sizes[i] > 1500) {
				continue;
			}
			assert_int_equal(bench_echo(s, sizes[i], sizes[i], sizes[i]), WINC_OK);
			assert_int_equal(bench_echo(s, sizes[i], 100, 37), WINC_OK);
		}
		assert_int_equal(bench_echo(s, 600, 1, 1), WINC_OK);
		bench_close();
	}
	bench_open("19.6.1", NULL);
}

static void
test_close_and_reset_by_peer(void **state)
{
	uint8_t data[16];
	int s;

	(void)state;
	bench_up("19.6.1");
	assert_int_equal(bench_connect(&s), WINC_OK);
	/* Data, then the end: the data comes first. */
	assert_int_equal(winc_send(s, "last words", 10), 10);
	bench_peer.eof = true;
	for (int n = 0; n == 0;) {
		(void)winc_poll();
		n = winc_recv(s, data, sizeof data);
		assert_true(n == 0 || n == 10);
	}
	for (int n = 0; n == 0;) {
		(void)winc_poll();
		time_wait_us(50);
		n = winc_recv(s, data, sizeof data);
		assert_true(n == 0 || n == -WINC_CLOSED);
	}
	assert_int_equal(winc_send(s, "x", 1), -WINC_CLOSED);
	winc_close(s);
	bench_peer.eof = false;
	assert_int_equal(bench_connect(&s), WINC_OK);
	bench_peer.reset = true;
	assert_int_equal(bench_echo(s, 100, 100, 100), WINC_RESET);
	winc_close(s);
	bench_peer.reset = false;
	bench_peer.connected_rc = -ECONNREFUSED;
	assert_int_equal(bench_connect(&s), WINC_REFUSED);
	winc_close(s);
	bench_peer.connected_rc = 0;
	assert_int_equal(bench_connect(&s), WINC_OK);
	assert_int_equal(bench_echo(s, 100, 100, 100), WINC_OK);
}

/* Sockets that are given up in every state are closed in the chip too. */
static void
test_close_races(void **state)
{
	uint8_t byte;
	int s, other;

	(void)state;
	bench_up("19.6.1");
	for (int round = 0; round < 40; round++) {
		assert_int_equal(winc_connect(bench_ip, BENCH_PORT, &s), WINC_OK);
		for (int i = 0; i < round; i++) {
			(void)winc_poll();
			time_wait_us(500);
			(void)winc_send(s, "abcdefgh", 8);
			(void)winc_recv(s, &byte, 1);
		}
		winc_close(s);
		assert_int_equal(bench_connect(&other), WINC_OK);
		assert_int_equal(bench_echo(other, 300, 300, 300), WINC_OK);
		winc_close(other);
		bench_poll(round == 20 ? 60000 : 5);
	}
	assert_int_equal(bench_peer.closed, bench_peer.opened);
}

static void
test_all_sockets(void **state)
{
	int s[8];

	(void)state;
	bench_up("19.6.1");
	for (int i = 0; i < 7; i++) {
		assert_int_equal(bench_connect(&s[i]), WINC_OK);
	}
	assert_int_equal(winc_connect(bench_ip, BENCH_PORT, &s[7]), WINC_AGAIN);
	winc_close(s[3]);
	bench_poll(10);
	assert_int_equal(bench_connect(&s[7]), WINC_OK);
	assert_int_equal(bench_echo(s[7], 100, 100, 100), WINC_OK);
}

/* A caller that asks for data and never takes it does not stop the module for ever. */
static void
test_unread_data(void **state)
{
	uint8_t data[8];
	int s;

	(void)state;
	bench_up("19.6.1");
	assert_int_equal(bench_connect(&s), WINC_OK);
	assert_int_equal(winc_send(s, "0123456789", 10), 10);
	for (int n = 0; n == 0;) {
		(void)winc_poll();
		n = winc_recv(s, data, 4);
	}
	assert_int_equal(winc_send(s, "more", 4), 0);
	bench_poll(11000);
	assert_int_equal(winc_recv(s, data, 8), -WINC_TIMEOUT);
	winc_close(s);
	assert_int_equal(bench_connect(&s), WINC_OK);
	assert_int_equal(bench_echo(s, 100, 100, 100), WINC_OK);
}

static void
test_slow_peer(void **state)
{
	int s;

	(void)state;
	bench_up("19.4.4");
	bench_peer.piece = 7;
	assert_int_equal(bench_connect(&s), WINC_OK);
	assert_int_equal(bench_echo(s, 3000, 3000, 3000), WINC_OK);
}

static void
test_time_and_signal(void **state)
{
	(void)state;
	for (int i = 0; i < FIRMWARES; i++) {
		bench_up(firmwares[i]);
		assert_int_equal(winc_time(), 0);
		bench_poll(10000);
		assert_in_range(winc_time(), 1772000000 + fake_hal.world.now_ns / 1000000000 - 1,
		                1772000000 + fake_hal.world.now_ns / 1000000000 + 1);
		bench_poll(40000);
		assert_int_equal(winc_rssi(), -52);
		assert_int_equal(winc_link(), WINC_OK);
		bench_close();
	}
	bench_open("19.6.1", NULL);
}

/* Nothing to do costs next to nothing: no transfer but the rare look without an interrupt. */
static void
test_idle_is_cheap(void **state)
{
	uint64_t before;

	(void)state;
	bench_up("19.6.1");
	bench_poll(20000);
	before = fake_hal.spi_bytes;
	bench_poll(5000);
	assert_in_range(fake_hal.spi_bytes - before, 0, 1000);
}

/* SPI reset: the running firmware is kept, association and sockets are made anew. */
static void
test_ladder_0_keeps_the_firmware(void **state)
{
	uint64_t before;
	int s;

	(void)state;
	bench_up("19.6.1");
	assert_int_equal(bench_connect(&s), WINC_OK);
	before = fake_hal.winc->registers.started_ns;
	assert_int_equal(winc_start(0), WINC_OK);
	assert_int_equal(fake_hal.winc->registers.started_ns, before);
	assert_int_equal(winc_socket(s), WINC_RESET);
	winc_close(s);
	assert_int_equal(bench_join("workshop", "correct horse"), WINC_OK);
	assert_int_equal(bench_connect(&s), WINC_OK);
	assert_int_equal(bench_echo(s, 1000, 1000, 1000), WINC_OK);
}

static void
test_not_started(void **state)
{
	uint8_t ip[4];
	int s = -1;

	(void)state;
	bench_open("19.6.1", NULL);
	assert_int_equal(winc_poll(), WINC_CHIP);
	assert_int_equal(winc_join("workshop", "correct horse"), WINC_CHIP);
	assert_int_equal(winc_connect(bench_ip, 1, &s), WINC_CHIP);
	assert_int_equal(winc_resolve("gateway.example", ip), WINC_CHIP);
	assert_int_equal(winc_socket(-1), WINC_PARAMETER);
	assert_int_equal(winc_socket(7), WINC_PARAMETER);
	assert_int_equal(winc_send(0, "x", 1), -WINC_PARAMETER);
	assert_int_equal(winc_recv(99, ip, 1), -WINC_PARAMETER);
	winc_close(-5);
	fake_hal.spi_broken = true;
	assert_int_equal(winc_start(2), WINC_BUS);
	fake_hal.spi_broken = false;
	assert_int_equal(winc_start(0), WINC_OK);
	assert_int_equal(winc_connect(bench_ip, 1, &s), WINC_LINK_LOST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_bring_up, tear_down),
		cmocka_unit_test_teardown(test_whole_way, tear_down),
		cmocka_unit_test_teardown(test_join_results, tear_down),
		cmocka_unit_test_teardown(test_names, tear_down),
		cmocka_unit_test_teardown(test_sizes, tear_down),
		cmocka_unit_test_teardown(test_close_and_reset_by_peer, tear_down),
		cmocka_unit_test_teardown(test_close_races, tear_down),
		cmocka_unit_test_teardown(test_all_sockets, tear_down),
		cmocka_unit_test_teardown(test_unread_data, tear_down),
		cmocka_unit_test_teardown(test_slow_peer, tear_down),
		cmocka_unit_test_teardown(test_time_and_signal, tear_down),
		cmocka_unit_test_teardown(test_idle_is_cheap, tear_down),
		cmocka_unit_test_teardown(test_ladder_0_keeps_the_firmware, tear_down),
		cmocka_unit_test_teardown(test_not_started, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
