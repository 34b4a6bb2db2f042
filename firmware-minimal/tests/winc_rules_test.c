/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of the WINC1500, each broken once: the model has to say so, and which. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/winc_int.h"
#include "emulator_rig.h"
#include "unit/cmocka_all.h"

static int
net_open(void *owner, bool stream)
{
	(void)owner;
	(void)stream;
	return 1;
}

static int
net_connect(void *owner, int handle, const uint8_t ip[4], uint16_t port)
{
	(void)owner;
	(void)handle;
	(void)ip;
	(void)port;
	return -EINPROGRESS;
}

static void
net_close(void *owner, int handle)
{
	(void)owner;
	(void)handle;
}

static const struct winc_net net = { .open = net_open, .connect = net_connect, .close = net_close };

struct bench {
	struct rig rig;
	struct winc_model *winc;
};

/* How far the module has come: alive, its firmware runs, it had an address once. */
enum stage { FRESH, RUNNING, UP };

static void
pass(struct bench *b, uint64_t ms)
{
	b->rig.world.now_ns += WINC_MS(ms);
}

static void
set_register(struct bench *b, uint32_t address, uint32_t value)
{
	winc_registers_write(b->winc, address, value);
}

static void
start_firmware(struct bench *b)
{
	pass(b, 30);
	set_register(b, 0x108C, 0x13521352);
	set_register(b, 0x14A0, 0x102);
	set_register(b, 0xC000C, 0xEF522F61);
	pass(b, 200);
	assert_int_equal(winc_registers_read(b->winc, 0x108C), 0x02532636);
	set_register(b, 0x108C, 0);
}

static struct bench *
bench_new(enum stage stage)
{
	static const struct winc_config config = {
		.firmware = "19.6.1", .ssid = "workshop", .passphrase = "", .ip = { 192, 0, 2, 10 },
	};
	struct bench *b = malloc(sizeof *b);

	assert_non_null(b);
	rig_init(&b->rig);
	b->winc = winc_model_new(&b->rig.world, NULL, &config, &net);
	assert_non_null(b->winc);
	winc_model_pins(b->winc, true, true, false);
	pass(b, 3);
	if (stage >= RUNNING) {
		start_firmware(b);
	}
	b->winc->radio.ever_up = stage == UP;
	rig_clean(&b->rig);
	return b;
}

static void
bench_free(struct bench *b)
{
	winc_model_free(b->winc);
	free(b);
}

/* ---- requests ---- */

/* By group; c: the first bytes of what is behind the header, zeros follow. */
static const struct request {
	const char *sentence;
	uint8_t group, opcode;
	size_t n;
	uint8_t c[16];
} requests[] = {
	{ "connect request of 103 bytes", 1, 40, 103, { 0 } },
	{ "connect without a terminated SSID or passphrase", 1, 40, 108, { 0 } },
	{ "request 1/3 with 1 bytes instead of 0", 1, 3, 1, { 0 } },
	{ "request 1/7 with 47 bytes instead of 48", 1, 7, 47, { 0 } },
	{ "request 1/16 with 5 bytes instead of 4", 1, 16, 5, { 0 } },
	{ "request 1/18 with 0 bytes instead of 4", 1, 18, 0, { 0 } },
	{ "request 1/26 with 8 bytes instead of 0", 1, 26, 8, { 0 } },
	{ "request 1/43 with 4 bytes instead of 0", 1, 43, 4, { 0 } },
	{ "request 1/45 with 3 bytes instead of 4", 1, 45, 3, { 0 } },
	{ "power save mode 1 is not modelled", 1, 45, 4, { 1 } },
	{ "1580 random bytes asked for", 1, 31, 8, { [4] = 0x2C, 6 } },
	{ "0 random bytes asked for", 1, 31, 7, { [4] = 16 } },
	{ "new connect request of 47 bytes is malformed", 1, 59, 47, { [4] = 4 } },
	{ "new connect request of 48 bytes is malformed", 1, 59, 48, { [4] = 33 } },
	{ "name of 1 bytes to resolve is malformed", 2, 0x4A, 1, { 0 } },
	{ "name of 65 bytes to resolve is malformed", 2, 0x4A, 65, { 'a' } },
	{ "name of 4 bytes to resolve is malformed", 2, 0x4A, 4, "abcd" },
	{ "request 0x46 for socket 11", 2, 0x46, 8, { [4] = 11 } },
	{ "request 0x46 for socket 0 with session 2, not 1", 2, 0x46, 8, { [6] = 2 } },
	{ "receive request of 7 bytes", 2, 0x46, 7, { 0 } },
	{ "bind of 11 bytes for socket 7", 2, 0x41, 11, { [8] = 7 } },
	{ "bind of 12 bytes for socket 6", 2, 0x41, 12, { [8] = 6 } },
	{ "datagram of 0 bytes in 16", 2, 0x47, 16, { 7 } },
	{ "datagram of 10 bytes in 90", 2, 0x47, 90, { [2] = 10 } },
	{ "close request of 3 bytes", 2, 0x49, 3, { 0 } },
	{ "request 0x49 for socket 0 with session 9, not 1", 2, 0x49, 4, { [2] = 9 } },
	{ "socket option of 7 bytes", 2, 0x4F, 7, { 0 } },
	{ "socket request 0x52 is not modelled", 2, 0x52, 12, { 0 } },
	{ "malformed connect request", 2, 0x44, 11, { 2, [10] = 1 } },
	{ "malformed connect request", 2, 0x44, 12, { 2, [8] = 7, [10] = 1 } },
	{ "malformed connect request", 2, 0x44, 12, { 2, [8] = 1 } },
	{ "connect on socket 0, which is not closed", 2, 0x44, 12, { 2, [10] = 2 } },
	{ "send of 0 bytes in a request of 80", 2, 0x45, 80, { 0 } },
	{ "send of 1401 bytes in a request of 1481", 2, 0x45, 1481, { [2] = 0x79, 5 } },
	{ "send of 4 bytes in a request of 85", 2, 0x45, 85, { [2] = 4, [12] = 1 } },
	{ "send on socket 7", 2, 0x45, 84, { 7, [2] = 4, [12] = 1 } },
	{ "send on socket 0: not connected in session 1", 2, 0x45, 84, { [2] = 4, [12] = 1 } },
};

static void
send_request(struct bench *b, const struct request *r)
{
	uint8_t bytes[1600];

	memset(bytes, 0, sizeof bytes);
	memcpy(bytes, r->c, sizeof r->c);
	if (r->opcode == 40) {
		memset(bytes, 'x', 65);
	} else if (r->n == 65) {
		memset(bytes, 'a', 65);
	}
	if (r->group == 1) {
		winc_radio_request(b->winc, r->opcode, bytes, r->n);
	} else {
		winc_ip_request(b->winc, r->opcode, bytes, r->n, TX_POOL);
	}
}

static void
each_wrong_request_is_named(void **state)
{
	/* Socket 0 is being connected, in session 1. */
	static const struct request first = { NULL, 2, 0x44, 12, { 2, [10] = 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		struct bench *b = bench_new(UP);

		b->winc->radio.state = RADIO_UP;
		send_request(b, &first);
		rig_clean(&b->rig);
		send_request(b, &requests[i]);
		rig_expect(&b->rig, requests[i].sentence);
		bench_free(b);
	}
}

static void
a_request_may_not_come_twice(void **state)
{
	static const struct request bind = { NULL, 2, 0x41, 12, { [8] = 7, [10] = 5 } };
	static const struct request receive = { NULL, 2, 0x48, 8, { [4] = 7, [6] = 5 } };
	struct bench *b = bench_new(UP);

	(void)state;
	send_request(b, &bind);
	send_request(b, &receive);
	rig_clean(&b->rig);
	send_request(b, &bind);
	rig_expect(&b->rig, "bind of socket 7, which is not closed");
	send_request(b, &receive);
	rig_expect(&b->rig, "second receive posted on socket 7");
	bench_free(b);
	b = bench_new(RUNNING);
	send_request(b, &bind);
	rig_expect(&b->rig, "socket request 0x41 before there was an address");
	bench_free(b);
}

static void
a_join_is_whole(void **state)
{
	uint8_t join[108] = { 0 };
	struct bench *b = bench_new(RUNNING);

	(void)state;
	memcpy(join + 70, "workshop", 8);
	join[65] = 5;
	join[68] = 255;
	winc_radio_request(b->winc, 40, join, sizeof join);
	rig_expect(&b->rig, "connect with security 5");
	join[65] = 1;
	join[68] = 6;
	winc_radio_request(b->winc, 40, join, sizeof join);
	rig_expect(&b->rig, "connect on channel 6");
	bench_free(b);
}

/* ---- registers ---- */

static void
each_wrong_register_access_is_named(void **state)
{
	static const struct {
		const char *sentence;
		enum stage stage;
		uint32_t address, value;
	} writes[] = {
		{ "0x1 written to the boot ROM's register", FRESH, 0xC000C, 1 },
		{ "firmware started before the boot ROM was ready", FRESH, 0xC000C, 0xEF522F61 },
		{ "0x0 written over 0x40, only 0x100 is the host's", FRESH, 0x1408, 0 },
		{ "0x10000 written over 0x1, only 0x10000 is the host's", FRESH, 0x1A00, 0x10000 },
		{ "0x53 written over 0x2E, only 0x7C is the host's", FRESH, 0xE824, 0x53 },
		{ "write of 0x0 to register 0x1000", FRESH, 0x1000, 0 },
		{ "request before the start of the firmware is finished", FRESH, 0x1078, 2 },
		{ "winc: 0x1078 = 0x3", RUNNING, 0x1078, 3 },
		{ "0x106C = 0xDEB02, granted is 0x0", RUNNING, 0x106C, 0xDEB02 },
		{ "0x1070 = 0x70 changes the size, it is 0x0", RUNNING, 0x1070, 0x70 },
		{ "RX done without a packet", RUNNING, 0x1070, 2 },
	};
	struct bench *b;

	(void)state;
	for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
		b = bench_new(writes[i].stage);
		set_register(b, writes[i].address, writes[i].value);
		rig_expect(&b->rig, writes[i].sentence);
		bench_free(b);
	}
	b = bench_new(FRESH);
	winc_registers_read(b->winc, 0x1234);
	rig_expect(&b->rig, "read of undocumented register 0x1234");
	pass(b, 30);
	set_register(b, 0xC000C, 0xEF522F61);
	rig_expect(&b->rig, "firmware started without bit 8 of GP_REG_1");
	set_register(b, 0x108C, 0x13521352);
	rig_expect(&b->rig, "0x108C = 0x13521352 while the firmware starts");
	bench_free(b);
}

/* ---- buffers and packets ---- */

static uint32_t
granted(struct bench *b, uint32_t info)
{
	set_register(b, 0x108C, info);
	set_register(b, 0x1078, 2);
	pass(b, 1);
	assert_int_equal(winc_registers_read(b->winc, 0x1078), 0);
	return winc_registers_read(b->winc, 0x150400);
}

static void
buffers_have_their_order(void **state)
{
	struct bench *b = bench_new(RUNNING);
	uint32_t at;

	(void)state;
	set_register(b, 0x1078, 2);
	winc_registers_read(b->winc, 0x150400);
	rig_expect(&b->rig, "granted address read before the grant");
	at = granted(b, 0x00081A01);
	rig_clean(&b->rig);
	assert_false(winc_host_may_write(b->winc, at + TX_SIZE - 4, 8));
	rig_expect(&b->rig, "write of 8 bytes at");
	set_register(b, 0x1078, 2);
	rig_expect(&b->rig, "was never submitted");
	/* Four bytes: less than the header itself. */
	at = granted(b, 0x00041A01);
	b->rig.violations = 0;
	memcpy(b->winc->window + (at - WINDOW_BASE), "\x01\x1A\x04", 4);
	set_register(b, 0x106C, at << 2 | 2);
	rig_expect(&b->rig, "request of 4 bytes");
	at = granted(b, 0x00081A01);
	rig_clean(&b->rig);
	memcpy(b->winc->window + (at - WINDOW_BASE), "\x01\x1B\x08", 4);
	set_register(b, 0x106C, at << 2 | 2);
	rig_expect(&b->rig, "header 1/0x1B of 8 does not agree with 0x108C = 0x00081A01");
	bench_free(b);
}

static void
packets_have_their_order(void **state)
{
	struct bench *b = bench_new(RUNNING);
	uint32_t size;

	(void)state;
	winc_host_push(b->winc, 1, 4, "abcd", 4, 0);
	pass(b, 1);
	winc_model_advance(b->winc);
	size = winc_registers_read(b->winc, 0x1070);
	assert_int_equal(size, 12 << 2 | 1);
	set_register(b, 0x1070, 12 << 2 | 3);
	rig_expect(&b->rig, "RX done of a packet not taken yet");
	assert_false(winc_host_may_read(b->winc, b->winc->host.rx_address, 8));
	rig_expect(&b->rig, "read of 8 bytes at");
	set_register(b, 0x1070, 12 << 2);
	assert_true(winc_host_may_read(b->winc, b->winc->host.rx_address, 12));
	rig_clean(&b->rig);
	assert_false(winc_host_may_read(b->winc, b->winc->host.rx_address + 8, 8));
	rig_expect(&b->rig, "packet is 12 bytes at");
	set_register(b, 0x1078, 2);
	rig_expect(&b->rig, "request while a received packet is not given back");
	bench_free(b);
}

/* ---- the wire ---- */

static void
each_wrong_frame_is_named(void **state)
{
	static const struct {
		const char *sentence;
		size_t n;
		uint8_t frame[12];
	} frames[] = {
		{ "block of one byte", 7, { 0xC8, 3, 4, 0x40, 0, 0, 1 } },
		{ "block of 0 bytes, packets are of 8192", 7, { 0xC8, 3, 4, 0x40, 0, 0, 0 } },
		{ "block of 8193 bytes, packets are of 8192", 7, { 0xC7, 3, 4, 0x40, 0, 0x20, 1 } },
		{ "internal command C4 without the clockless bit", 4, { 0xC4, 0, 0x0F, 0 } },
		{ "internal command C3 without the clockless bit", 7, { 0xC3, 0, 0x0B, 0, 0, 0, 1 } },
		{ "77 sent while the answer to command CA is not read (byte 0 of", 5,
		  { 0xCA, 0, 0x10, 0, 0x77 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
		struct bench *b = bench_new(RUNNING);

		set_register(b, 0xE824, 0x52);
		rig_clean(&b->rig);
		for (size_t k = 0; k < frames[i].n; k++) {
			winc_model_exchange(b->winc, frames[i].frame[k]);
		}
		rig_expect(&b->rig, frames[i].sentence);
		bench_free(b);
	}
}

/* Behind the answer to a block write. */
static void
data_begins_with_its_token(void **state)
{
	static const struct {
		const char *sentence;
		uint8_t token;
	} tokens[] = {
		{ "a block in several packets (token F1)", 0xF1 },
		{ "a block in several packets (token F2)", 0xF2 },
		{ "55 instead of a data token", 0x55 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
		struct bench *b = bench_new(RUNNING);
		uint32_t at = granted(b, 0x00081A01);
		const uint8_t frame[7] = { 0xC7, (uint8_t)(at >> 16), (uint8_t)(at >> 8),
			                   (uint8_t)at, 0, 0, 8 };

		set_register(b, 0xE824, 0x52);
		for (size_t k = 0; k < sizeof frame; k++) {
			winc_model_exchange(b->winc, frame[k]);
		}
		for (unsigned k = 0; k < 16 && b->winc->engine.state == SPI_ANSWER; k++) {
			winc_model_exchange(b->winc, 0);
		}
		rig_clean(&b->rig);
		winc_model_exchange(b->winc, tokens[i].token);
		rig_expect(&b->rig, tokens[i].sentence);
		bench_free(b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_wrong_request_is_named),
		cmocka_unit_test(a_request_may_not_come_twice),
		cmocka_unit_test(a_join_is_whole),
		cmocka_unit_test(each_wrong_register_access_is_named),
		cmocka_unit_test(buffers_have_their_order),
		cmocka_unit_test(packets_have_their_order),
		cmocka_unit_test(each_wrong_frame_is_named),
		cmocka_unit_test(data_begins_with_its_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
