/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The application's state machine between a radio, a TLS connection and a
 * gateway that do what the test says. MQTT is the real one; the gateway's
 * answers are made of bytes.
 */
#include <stdbool.h>
#include <string.h>

#include "app/app.h"
#include "app/backoff.h"
#include "app/log.h"
#include "board/board.h"
#include "drivers/winc.h"
#include "hal/time.h"
#include "tls/tls.h"
#include "unit/cmocka_all.h"

volatile uint32_t emulator_phase;

static struct {
	uint32_t now;
	/* the radio */
	enum winc_status start, poll, link, join, resolve, connect, socket;
	unsigned starts, joins, connects, closes, last_ladder;
	uint32_t network_time;
	/* TLS */
	enum tls_state tls;
	bool session; /* between tls_open() and tls_close() */
	unsigned error;
	uint32_t opened_with;
	uint8_t to_board[64];
	size_t to_board_size;
	uint8_t last_type;
	unsigned publishes;
	bool mute, refuse;
	/* what came of it */
	enum report code;
	unsigned reports;
	bool led;
} fake;

uint32_t
time_ms(void)
{
	return fake.now;
}

void
upkeep(void)
{
	fake.now++;
}

void
log_line(const char *format, ...)
{
	(void)format;
}

void
status_report(enum report code, const char *detail)
{
	(void)detail;
	fake.code = code;
	fake.reports++;
}

void
status_led(bool on)
{
	fake.led = on;
}

struct report_facts *
status_facts(void)
{
	static struct report_facts facts;

	return &facts;
}

const char *
chip_serial(void)
{
	return "012322619525B27AAF";
}

uint32_t
chip_random(void)
{
	return 0; /* the shortest wait */
}

bool
reading_step(uint32_t interval_ms)
{
	static uint32_t last;

	if (fake.now - last < interval_ms) {
		return false;
	}
	last = fake.now;
	return true;
}

bool
reading_value(int16_t *centi)
{
	*centi = 2150;
	return true;
}

enum winc_status
winc_start(unsigned ladder)
{
	fake.starts++;
	fake.last_ladder = ladder;
	return fake.start;
}

enum winc_status
winc_poll(void)
{
	return fake.poll;
}

void
winc_version(struct winc_version *out)
{
	*out = (struct winc_version){ 19, 6, 1 };
}

enum winc_status
winc_join(const char *ssid, const char *passphrase)
{
	assert_string_equal(ssid, "home");
	assert_string_equal(passphrase, "12345678");
	fake.joins++;
	fake.link = fake.join;
	return WINC_OK;
}

enum winc_status
winc_link(void)
{
	return fake.link;
}

void
winc_address(uint8_t ip[4])
{
	memset(ip, 7, 4);
}

uint32_t
winc_time(void)
{
	return fake.network_time;
}

enum winc_status
winc_resolve(const char *name, uint8_t ip[4])
{
	assert_string_equal(name, "gateway");
	memset(ip, 9, 4);
	return fake.resolve;
}

enum winc_status
winc_connect(const uint8_t ip[4], uint16_t port, int *socket)
{
	assert_int_equal(ip[0], 9);
	assert_int_equal(port, 8883);
	fake.connects++;
	*socket = 3;
	return fake.connect;
}

enum winc_status
winc_socket(int socket)
{
	assert_int_equal(socket, 3);
	return fake.socket;
}

int
winc_send(int socket, const void *data, size_t n)
{
	(void)socket;
	(void)data;
	return (int)n;
}

int
winc_recv(int socket, void *data, size_t n)
{
	(void)socket;
	(void)data;
	(void)n;
	return 0;
}

void
winc_close(int socket)
{
	assert_int_equal(socket, 3);
	fake.closes++;
}

const char *
winc_status_text(enum winc_status status)
{
	(void)status;
	return "status";
}

bool
tls_open(const struct tls_settings *settings, const struct tls_transport *transport,
         uint32_t unix_time)
{
	assert_string_equal(settings->server_name, "gateway");
	assert_non_null(transport->send);
	fake.opened_with = unix_time;
	fake.to_board_size = 0;
	fake.session = true;
	return fake.tls != TLS_CLOSED;
}

enum tls_state
tls_step(void)
{
	return fake.session ? fake.tls : TLS_CLOSED;
}

static void
answer(const void *bytes, size_t n)
{
	assert_true(fake.to_board_size + n <= sizeof fake.to_board);
	memcpy(fake.to_board + fake.to_board_size, bytes, n);
	fake.to_board_size += n;
}

/* What one write holds is one packet or several; the first is enough here. */
static void
gateway_takes(const uint8_t *packet)
{
	fake.last_type = packet[0];
	if (packet[0] >> 4 == 3) {
		fake.publishes++;
	}
	if (fake.mute) {
		return;
	}
	if (packet[0] == 0x10) {
		answer(fake.refuse ? "\x20\x02\x00\x05" : "\x20\x02\x00\x00", 4);
	} else if (packet[0] == 0x82) {
		uint8_t suback[] = { 0x90, 0x03, packet[2], packet[3], 0x01 };

		answer(suback, sizeof suback);
	} else if (packet[0] == 0xC0) {
		answer("\xD0\x00", 2);
	}
}

size_t
tls_write(const void *data, size_t n)
{
	if (tls_step() != TLS_OPEN) {
		return 0;
	}
	gateway_takes(data);
	return n;
}

void
tls_flush(void)
{
}

const uint8_t *
tls_peek(size_t *n)
{
	*n = fake.to_board_size;
	return fake.to_board_size != 0 ? fake.to_board : NULL;
}

void
tls_consume(size_t n)
{
	assert_true(n <= fake.to_board_size);
	memmove(fake.to_board, fake.to_board + n, fake.to_board_size - n);
	fake.to_board_size -= n;
}

void
tls_close(uint32_t ms)
{
	(void)ms;
	fake.session = false;
}

unsigned
tls_error(void)
{
	return fake.error;
}

const char *
tls_error_text(unsigned error)
{
	(void)error;
	return "error";
}

unsigned
tls_error_report(unsigned error)
{
	return REPORT_TLS + (error == 31 ? TLS_REPORT_CLOSED : error == 62 ? TLS_REPORT_CA : 0);
}

void
tls_figures(struct tls_figures *out)
{
	memset(out, 0, sizeof *out);
}

static struct settings settings = {
	.ssid = "home", .passphrase = "12345678", .host = "gateway", .port = 8883,
	.publish_topic = "Home", .subscribe_topic = "inTopic", .interval = 5,
	.clock = 1800000000, .qos = 0,
};

static int
all_is_well(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof fake);
	fake.tls = TLS_OPEN;
	fake.code = REPORT_CHIP_FAULT; /* something that the machine never says */
	settings.clock = 1800000000;
	settings.wait_for_time = false;
	emulator_phase = 0;
	link_start(&settings);
	return 0;
}

static void
run_for(uint32_t ms)
{
	for (uint32_t end = fake.now + ms; fake.now < end; fake.now++) {
		link_step();
	}
}

static void
run_to_readings(void)
{
	run_for(20000);
	assert_int_equal(fake.code, REPORT_NONE);
	assert_int_equal(emulator_phase, 7);
}

static void
connects_and_publishes(void **state)
{
	(void)state;
	run_to_readings();
	assert_int_equal(fake.starts, 1);
	assert_int_equal(fake.joins, 0); /* the fake's link is up from the start */
	assert_int_equal(fake.connects, 1);
	assert_in_range(fake.opened_with, settings.clock, settings.clock + 20);
	assert_in_range(fake.publishes, 3, 4);
}

static void
obeys(void **state)
{
	(void)state;
	run_to_readings();
	answer("\x30\x0A\x00\x07inTopic1", 12);
	run_for(5);
	assert_true(fake.led);
	answer("\x30\x0A\x00\x07inTopic0", 12);
	run_for(5);
	assert_false(fake.led);
}

static void
reports_what_fails(void **state)
{
	static const struct {
		enum winc_status *what, how;
		enum report code;
	} failures[] = {
		{ &fake.start, WINC_FIRMWARE, REPORT_RADIO },
		{ &fake.poll, WINC_BUS, REPORT_RADIO },
		{ &fake.join, WINC_NO_AP, REPORT_NO_NETWORK },
		{ &fake.join, WINC_AUTH, REPORT_WRONG_PASSPHRASE },
		{ &fake.join, WINC_DHCP, REPORT_NO_ADDRESS },
		{ &fake.join, WINC_AGAIN, REPORT_NO_NETWORK }, /* for ever */
		{ &fake.resolve, WINC_DNS, REPORT_NAME_UNKNOWN },
		{ &fake.resolve, WINC_AGAIN, REPORT_NAME_UNKNOWN },
		{ &fake.connect, WINC_REFUSED, REPORT_GATEWAY_REFUSED },
		{ &fake.socket, WINC_REFUSED, REPORT_GATEWAY_REFUSED },
		{ &fake.socket, WINC_TIMEOUT, REPORT_GATEWAY_SILENT },
		{ &fake.socket, WINC_AGAIN, REPORT_GATEWAY_SILENT },
	};

	for (unsigned i = 0; i < sizeof failures / sizeof failures[0]; i++) {
		all_is_well(state);
		fake.link = WINC_LINK_LOST;
		*failures[i].what = failures[i].how;
		run_for(70000);
		assert_int_equal(fake.code, failures[i].code);
		*failures[i].what = WINC_OK;
		run_for(400000); /* and it finds back, whatever it was */
		assert_int_equal(fake.code, REPORT_NONE);
	}
}

static void
reports_what_tls_and_mqtt_say(void **state)
{
	(void)state;
	fake.tls = TLS_CLOSED;
	fake.error = 62;
	run_for(100);
	assert_int_equal(fake.code, REPORT_TLS + TLS_REPORT_CA);
	all_is_well(NULL);
	fake.refuse = true;
	run_for(100);
	assert_int_equal(fake.code, REPORT_MQTT + 5);
	all_is_well(NULL);
	fake.mute = true;
	run_for(11000);
	assert_int_equal(fake.code, REPORT_MQTT_SILENT);
	all_is_well(NULL);
	fake.tls = TLS_HANDSHAKE;
	run_for(61000);
	assert_int_equal(fake.code, REPORT_GATEWAY_SILENT);
	all_is_well(NULL);
	run_to_readings();
	answer("\xF0\x00", 2);
	run_for(10);
	assert_int_equal(fake.code, REPORT_MQTT_PROTOCOL);
	assert_int_equal(fake.closes, 1);
}

/* Silence is a refusal in the handshake and a lost connection after it. */
static void
tells_an_end_from_a_refusal(void **state)
{
	(void)state;
	fake.tls = TLS_CLOSED;
	fake.error = 31;
	run_for(100);
	assert_int_equal(fake.code, REPORT_TLS + TLS_REPORT_CLOSED);
	all_is_well(NULL);
	run_to_readings();
	fake.tls = TLS_CLOSED;
	fake.error = 31;
	run_for(10);
	assert_int_equal(fake.code, REPORT_LINK_LOST);
}

static void
climbs_the_ladder(void **state)
{
	(void)state;
	fake.start = WINC_CHIP;
	run_for(10);
	assert_int_equal(fake.last_ladder, 2); /* after power-on */
	run_for(1500);
	assert_int_equal(fake.last_ladder, 0);
	run_for(2000);
	assert_int_equal(fake.last_ladder, 1);
	run_for(4000);
	assert_int_equal(fake.last_ladder, 2);
	assert_int_equal(fake.starts, 4);
	/* The network's failures: each third one restarts the module. */
	all_is_well(NULL);
	fake.connect = WINC_REFUSED;
	run_for(1000 + 2000 + 500);
	assert_int_equal(fake.connects, 3);
	assert_int_equal(fake.starts, 1);
	run_for(5000);
	assert_int_equal(fake.starts, 2);
	assert_int_equal(fake.last_ladder, 1);
}

/* A gateway that takes and drops is not hammered; one that kept us a minute is asked at once. */
static void
forgives_after_a_minute(void **state)
{
	unsigned before;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		run_for(400);
		fake.tls = TLS_CLOSED;
		run_for(10);
		fake.tls = TLS_OPEN;
		run_for(BACKOFF_FIRST_MS / 2 << i);
	}
	before = fake.connects;
	assert_in_range(before, 6, 7);
	run_for(62000);
	assert_int_equal(fake.code, REPORT_NONE);
	fake.tls = TLS_CLOSED;
	run_for(10);
	fake.tls = TLS_OPEN;
	before = fake.connects;
	run_for(BACKOFF_FIRST_MS);
	assert_int_equal(fake.connects, before + 1);
}

static void
waits_for_time_when_told(void **state)
{
	(void)state;
	settings.clock = 0;
	run_for(9000);
	assert_int_equal(fake.connects, 0);
	fake.network_time = 1900000000;
	run_for(100);
	assert_int_equal(fake.connects, 1);
	assert_int_equal(fake.opened_with, 1900000000);
	all_is_well(NULL);
	settings.wait_for_time = true;
	run_for(11000); /* never comes: the date of provisioning will do */
	assert_int_equal(fake.connects, 1);
	assert_in_range(fake.opened_with, settings.clock, settings.clock + 11);
}

static void
notices_a_lost_network(void **state)
{
	(void)state;
	run_to_readings();
	fake.link = WINC_LINK_LOST;
	run_for(10);
	assert_int_equal(fake.code, REPORT_LINK_LOST);
	run_for(2000);
	assert_int_equal(fake.joins, 1);
	assert_int_equal(fake.code, REPORT_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(connects_and_publishes, all_is_well),
		cmocka_unit_test_setup(obeys, all_is_well),
		cmocka_unit_test_setup(reports_what_fails, all_is_well),
		cmocka_unit_test_setup(reports_what_tls_and_mqtt_say, all_is_well),
		cmocka_unit_test_setup(tells_an_end_from_a_refusal, all_is_well),
		cmocka_unit_test_setup(climbs_the_ladder, all_is_well),
		cmocka_unit_test_setup(forgives_after_a_minute, all_is_well),
		cmocka_unit_test_setup(waits_for_time_when_told, all_is_well),
		cmocka_unit_test_setup(notices_a_lost_network, all_is_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
