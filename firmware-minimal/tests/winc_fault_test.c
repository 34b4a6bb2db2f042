/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The WINC1500 driver when something is broken: one row for each fault of
 * the model at least. Either the work goes on as if nothing had happened, or
 * the named status comes within a bounded time; never a hang. When the fault
 * is gone the reset ladder brings everything back.
 */
#include <stdio.h>
#include <string.h>

#include "winc_bench.h"

#include "emulator/winc_int.h"

#include "unit/cmocka_all.h"

enum stage { START, JOIN, NAME, CONNECT, ECHO, IDLE };
enum { ANY = -1 }; /* what comes depends on which transfer it hits */

struct row {
	const char *fault;
	enum stage stage; /* before which it begins */
	int status;       /* of the first step that fails, or WINC_OK */
	unsigned limit_s; /* from the begin of the fault to that status */
	const char *firmware;
};

static const struct row rows[] = {
	/* Bus */
	{ "winc.miso-zero", START, WINC_BUS, 3 },
	{ "winc.miso-zero", ECHO, WINC_BUS, 1 },
	{ "winc.miso-ones", START, WINC_BUS, 3 },
	{ "winc.miso-ones", ECHO, WINC_BUS, 1 },
	{ "winc.chip-id=0", START, WINC_CHIP, 3 },
	{ "winc.chip-id=1234", START, WINC_CHIP, 3 },
	{ "winc.no-echo:1", ECHO, WINC_OK, 5 },
	{ "winc.no-echo:4", START, WINC_OK, 5 },
	{ "winc.no-echo", ECHO, WINC_BUS, 1 },
	{ "winc.echo-lost:1", ECHO, WINC_OK, 5 },
	{ "winc.echo-lost", ECHO, WINC_BUS, 1 },
	{ "winc.idle=9", START, WINC_OK, 10 },
	{ "winc.idle=11", START, WINC_BUS, 3 },
	{ "winc.idle=11", ECHO, WINC_BUS, 1 },
	{ "winc.idle-token=9", START, WINC_OK, 10 },
	{ "winc.idle-token=11", ECHO, WINC_BUS, 1 },
	{ "winc.state=3:1", ECHO, WINC_OK, 5 },
	{ "winc.state=5:1", ECHO, WINC_OK, 5 },
	{ "winc.state=3", ECHO, WINC_CHIP, 1 },
	{ "winc.state=5", ECHO, WINC_BUS, 1 },
	{ "winc.no-token:1", ECHO, WINC_OK, 5 },
	{ "winc.no-token", ECHO, WINC_BUS, 1 },
	{ "winc.data-response:1", ECHO, WINC_OK, 5 },
	{ "winc.data-response", ECHO, WINC_BUS, 1 },
	{ "winc.bit-flip:1", ECHO, ANY, 60 },
	{ "winc.bit-flip:3", JOIN, ANY, 120 },
	{ "winc.silent-reset:1", ECHO, WINC_CHIP, 1 },
	{ "winc.silent-reset:1", IDLE, WINC_CHIP, 2 },
	{ "winc.crc-off", START, WINC_OK, 10 },
	{ "winc.early-c3", START, WINC_OK, 10 },
	/* Boot */
	{ "winc.efuse-never", START, WINC_CHIP, 3 },
	{ "winc.bootrom-never", START, WINC_CHIP, 3 },
	{ "winc.bootrom-skip", START, WINC_OK, 10 },
	{ "winc.gp1-once:1", START, WINC_OK, 10 },
	{ "winc.firmware-never", START, WINC_FIRMWARE, 6 },
	{ "winc.firmware-slow=3500", START, WINC_OK, 15 },
	{ "winc.version-zero", START, WINC_FIRMWARE, 3 },
	{ "winc.gp2-zero", START, WINC_OK, 10 },
	/* HIF */
	{ "winc.grant-slow=600", JOIN, WINC_OK, 20 },
	{ "winc.grant-never", JOIN, WINC_FIRMWARE, 5 },
	{ "winc.grant-never", ECHO, WINC_FIRMWARE, 5 },
	{ "winc.no-buffer:5", JOIN, WINC_OK, 10 },
	{ "winc.no-buffer", JOIN, WINC_FIRMWARE, 5 },
	{ "winc.no-buffer", ECHO, WINC_FIRMWARE, 15 },
	{ "winc.no-data-buffer:20", ECHO, WINC_OK, 5 },
	{ "winc.no-data-buffer", ECHO, WINC_FIRMWARE, 15 },
	{ "winc.spurious-irq", START, WINC_OK, 10 },
	{ "winc.lost-irq", START, WINC_OK, 20 },
	{ "winc.size-zero", START, WINC_OK, 10 },
	{ "winc.size-mismatch", START, WINC_OK, 10 },
	{ "winc.unknown-group", START, WINC_OK, 10 },
	{ "winc.unknown-opcode", START, WINC_OK, 10 },
	{ "winc.big-packets", START, WINC_OK, 10 },
	{ "winc.back-to-back", START, WINC_OK, 10 },
	{ "winc.hang:1", JOIN, WINC_FIRMWARE, 5 },
	{ "winc.hang:1", ECHO, WINC_FIRMWARE, 25 },
	{ "winc.hang:1", IDLE, WINC_FIRMWARE, 45 },
	{ "winc.hang-hard:1", ECHO, WINC_FIRMWARE, 25 },
	{ "winc.hang-hard:1", IDLE, WINC_FIRMWARE, 45 },
	/* WiFi */
	{ "winc.no-ap", JOIN, WINC_NO_AP, 5 },
	{ "winc.auth-fail", JOIN, WINC_AUTH, 5 },
	{ "winc.assoc-fail", JOIN, WINC_JOIN, 5 },
	{ "winc.join-silent", JOIN, WINC_JOIN, 35 },
	{ "winc.double-link", JOIN, WINC_OK, 10 },
	{ "winc.double-link", IDLE, WINC_OK, 250 },
	{ "winc.drop:1", NAME, WINC_LINK_LOST, 2 },
	{ "winc.drop:1", ECHO, WINC_LINK_LOST, 2 },
	{ "winc.drop:1", IDLE, WINC_LINK_LOST, 2 },
	{ "winc.drop-before-dhcp", JOIN, WINC_LINK_LOST, 5 },
	{ "winc.drop-in-dns", NAME, WINC_LINK_LOST, 2 },
	{ "winc.drop-in-connect", CONNECT, WINC_LINK_LOST, 2 },
	{ "winc.drop-in-send", ECHO, WINC_LINK_LOST, 2 },
	{ "winc.drop-in-recv", CONNECT, WINC_LINK_LOST, 2 },
	{ "winc.dhcp-fail", JOIN, WINC_DHCP, 5, "19.6.1" },
	{ "winc.dhcp-fail", JOIN, WINC_DHCP, 35, "19.4.4" },
	{ "winc.dhcp-silent", JOIN, WINC_DHCP, 35 },
	{ "winc.dhcp-24", JOIN, WINC_OK, 10, "19.6.1" },
	{ "winc.dhcp-renew", ECHO, WINC_OK, 5 },
	{ "winc.ip-conflict:1", IDLE, WINC_DHCP, 2 },
	{ "winc.ip-conflict:1", ECHO, WINC_LINK_LOST, 2 },
	{ "winc.rssi-zero", IDLE, WINC_LINK_LOST, 130 },
	/* Sockets */
	{ "winc.dns-fail", NAME, WINC_DNS, 2 },
	{ "winc.dns-silent", NAME, WINC_DNS, 20 },
	{ "winc.dns-other", NAME, WINC_OK, 5 },
	{ "winc.connect-refused", CONNECT, WINC_REFUSED, 2 },
	{ "winc.connect-silent", CONNECT, WINC_TIMEOUT, 40 },
	{ "winc.connect-late:1", CONNECT, WINC_TIMEOUT, 40 },
	{ "winc.reset-before", CONNECT, WINC_RESET, 2 },
	{ "winc.reset-in", ECHO, WINC_RESET, 2 },
	{ "winc.reset-after:1", ECHO, WINC_RESET, 2 },
	{ "winc.fin-data:1", ECHO, WINC_CLOSED, 2 },
	{ "winc.recv-size=1", ECHO, WINC_OK, 10 },
	{ "winc.recv-timeout:3", CONNECT, WINC_OK, 5 },
	{ "winc.stale-reply", CONNECT, WINC_OK, 5 },
	{ "winc.send-error", ECHO, WINC_RESET, 2 },
	{ "winc.send-short", ECHO, WINC_RESET, 2 },
	{ "winc.send-lost", ECHO, WINC_TIMEOUT, 25 },
	{ "winc.send-lost", ECHO, WINC_TIMEOUT, 25, "19.4.4" },
	{ "winc.peer-stalls", ECHO, WINC_TIMEOUT, 25 },
	/* Time: it must not harm anything else; what is told is tested below. */
	{ "winc.time-late=15000", JOIN, WINC_OK, 10 },
	{ "winc.time-never", JOIN, WINC_OK, 10 },
	{ "winc.time-zero-year", JOIN, WINC_OK, 10 },
	{ "winc.time-day-off", JOIN, WINC_OK, 10 },
	{ "winc.time-back", JOIN, WINC_OK, 10 },
	{ "winc.time-1900", JOIN, WINC_OK, 10 },
	{ "winc.time-2036", JOIN, WINC_OK, 10 },
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static enum winc_status
idle(int socket)
{
	for (int second = 0; second < 200; second++) {
		bench_poll(1000 + 1);
		if (winc_link() != WINC_OK) {
			return winc_link();
		}
	}
	return winc_socket(socket);
}

static enum winc_status
step(enum stage stage, unsigned ladder, int *socket)
{
	uint8_t ip[4];

	switch (stage) {
	case START:
		return winc_start(ladder);
	case JOIN:
		return bench_join("workshop", "correct horse");
	case NAME:
		return bench_resolve("gateway.example", ip);
	case CONNECT:
		return bench_connect(socket);
	case ECHO:
		return bench_echo(*socket, 5000, 5000, 5000);
	default:
		return idle(*socket);
	}
}

/* The whole way; the row's fault begins at its stage. */
static enum winc_status
work(const struct row *row, unsigned ladder, uint64_t *begun_ns)
{
	enum stage last = row != NULL && row->stage == IDLE ? IDLE : ECHO;
	enum winc_status status = WINC_OK;
	int socket = -1;

	for (enum stage s = START; status == WINC_OK && s <= last; s++) {
		if (row != NULL && row->stage == s) {
			bench_add_fault(row->fault);
			*begun_ns = fake_hal.world.now_ns;
		}
		status = step(s, ladder, &socket);
	}
	if (socket >= 0) {
		winc_close(socket);
	}
	return status;
}

static void
run_row(const struct row *row)
{
	uint64_t begun_ns = 0;
	enum winc_status status;
	unsigned ladder = 0;

	bench_open(row->firmware != NULL ? row->firmware : "19.5.2", NULL);
	status = work(row, 1, &begun_ns);
	if ((row->status != ANY && (int)status != row->status) ||
	    fake_hal.world.now_ns - begun_ns > WINC_MS(row->limit_s * 1000)) {
		fail_msg("%s: %s after %llu ms", row->fault, winc_status_text(status),
		         (unsigned long long)((fake_hal.world.now_ns - begun_ns) / 1000000));
	}
	bench_heal();
	while (work(NULL, ladder, NULL) != WINC_OK) {
		if (++ladder > 2) {
			fail_msg("%s: the reset ladder did not help", row->fault);
		}
	}
	bench_close();
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		run_row(&rows[i]);
	}
}

static void
test_every_fault_has_a_row(void **state)
{
	(void)state;
	for (const struct fault *f = winc_faults; f->name != NULL; f++) {
		size_t length = strlen(f->name);
		bool found = false;

		for (size_t i = 0; i < ROWS; i++) {
			found = found || (strncmp(rows[i].fault, f->name, length) == 0 &&
			                  strchr("=:", rows[i].fault[length]) != NULL);
		}
		if (!found || f->text[0] == '\0') {
			fail_msg("%s has no row", f->name);
		}
	}
}

/*
 * A single disturbance of the bus at each transfer of a connection in turn,
 * doorbells among them. Where it is not known whether one was heard the driver
 * gives up rather than ring twice; the ladder's first step must mend that.
 */
static void
test_one_disturbance_anywhere(void **state)
{
	static const char *const faults[] = {
		"winc.no-echo:1",  "winc.echo-lost:1",     "winc.state=3:1",      "winc.state=5:1",
		"winc.no-token:1", "winc.data-response:1", "winc.silent-reset:1",
	};
	char word[64];

	(void)state;
	for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++) {
		for (unsigned us = 0; us < 12000; us += 709) {
			enum winc_status status;
			unsigned ladder = 0;
			int s;

			bench_up("19.5.2");
			assert_int_equal(bench_connect(&s), WINC_OK);
			/* Faults begin at full milliseconds; move the work instead. */
			snprintf(word, sizeof word, "%s@%llu", faults[f],
			         (unsigned long long)(fake_hal.world.now_ns / 1000000 + 14));
			bench_add_fault(word);
			fake_hal.world.now_ns += WINC_US(us);
			status = bench_echo(s, 6000, 6000, 6000);
			winc_close(s);
			if (status != WINC_OK && status != WINC_BUS && status != WINC_CHIP) {
				fail_msg("%s: %s", word, winc_status_text(status));
			}
			while (status != WINC_OK && work(NULL, ladder, NULL) != WINC_OK) {
				assert_in_range(++ladder, 0, 2);
			}
			bench_close();
		}
	}
}

static void
test_time_faults(void **state)
{
	static const struct {
		const char *fault;
		uint32_t at_30_s; /* 0 none, 1 right, else that */
		int32_t off;
	} times[] = {
		{ "winc.time-late=15000", 1, 0 },  { "winc.time-late=60000", 0, 0 },
		{ "winc.time-never", 0, 0 },       { "winc.time-zero-year", 0, 0 },
		{ "winc.time-1900", 0, 0 },        { "winc.time-day-off", 1, 86400 },
		{ "winc.time-2036", 2085978496, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		uint32_t right;

		bench_up("19.4.4");
		bench_add_fault(times[i].fault);
		fake_hal.winc->radio.sync_ns = WINC_NEVER;
		assert_int_equal(bench_join("workshop", "correct horse"), WINC_OK);
		bench_poll(30000);
		right = 1772000000 + (uint32_t)(fake_hal.world.now_ns / 1000000000);
		if (times[i].at_30_s == 0) {
			assert_int_equal(winc_time(), 0);
		} else if (times[i].at_30_s == 1) {
			assert_in_range(winc_time() - (uint32_t)times[i].off, right - 1, right + 1);
		} else {
			assert_in_range(winc_time(), times[i].at_30_s, times[i].at_30_s + 30);
		}
		assert_int_equal(winc_link(), WINC_OK);
		bench_close();
	}
}

/* One fault after the other at random moments, with a caller that climbs the ladder. */
static void
test_long_run(void **state)
{
	static const char *const words[] = {
		"no-echo",      "echo-lost",    "state=5",      "no-token",     "data-response",
		"bit-flip",     "silent-reset", "no-buffer",    "lost-irq",     "size-zero",
		"hang",         "hang-hard",    "drop",         "ip-conflict",  "size-mismatch",
		"reset-in",     "fin-data",     "send-short",   "stale-reply",  "recv-timeout",
		"dhcp-renew",   "connect-late", "send-lost",    "dns-other",
	};
	enum { WORDS = sizeof words / sizeof words[0], ROUNDS = 100 };
	unsigned good = 0, ladder = 0;
	char word[64];

	(void)state;
	bench_open("19.6.1", NULL);
	for (unsigned i = 0; i < ROUNDS; i++) {
		fault_set_free(bench_faults);
		bench_faults = fault_set_new(&fake_hal.world);
		fake_hal.winc->faults = bench_faults;
		snprintf(word, sizeof word, "winc.%s:1@%llu",
		         words[world_random(&fake_hal.world) % WORDS],
		         (unsigned long long)(fake_hal.world.now_ns / 1000000 +
		                              world_random(&fake_hal.world) % 3000));
		bench_add_fault(word);
		if (work(NULL, ladder, NULL) == WINC_OK) {
			good++;
			ladder = 0;
		} else {
			ladder = ladder < 2 ? ladder + 1 : 2;
		}
	}
	/* At least every second attempt: a single fault spoils no more than its own. */
	assert_in_range(good, ROUNDS / 2, ROUNDS);
	bench_heal();
	assert_int_equal(work(NULL, 2, NULL), WINC_OK);
	bench_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_every_fault_has_a_row),
		cmocka_unit_test(test_one_disturbance_anywhere),
		cmocka_unit_test(test_time_faults),
		cmocka_unit_test(test_long_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
