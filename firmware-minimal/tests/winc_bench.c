/* SPDX-License-Identifier: BSD-2-Clause */
#include "winc_bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hal/time.h"

#include "unit/cmocka_all.h"

#include "emulator/winc_int.h"

struct bench_peer bench_peer;
struct fault_set *bench_faults;
const uint8_t bench_ip[4] = { 192, 0, 2, 77 };

enum { LIMIT_MS = 120000, PATIENCE_MS = 60000 };

static int
peer_open(void *owner, bool stream)
{
	(void)owner;
	(void)stream;
	bench_peer.in = 0;
	bench_peer.out = 0;
	return bench_peer.opened++;
}

static int
peer_connect(void *owner, int handle, const uint8_t ip[4], uint16_t port)
{
	(void)owner;
	(void)handle;
	memcpy(bench_peer.ip, ip, 4);
	bench_peer.port = port;
	return bench_peer.connect_rc;
}

static int
peer_connected(void *owner, int handle)
{
	(void)owner;
	(void)handle;
	return bench_peer.connected_rc;
}

static long
peer_send(void *owner, int handle, const void *data, size_t n)
{
	(void)owner;
	(void)handle;
	if (bench_peer.reset) {
		return -ECONNRESET;
	}
	if (bench_peer.in == bench_peer.out) {
		bench_peer.in = 0;
		bench_peer.out = 0;
	}
	n = bench_peer.piece > 0 && n > bench_peer.piece ? bench_peer.piece : n;
	if (n > BENCH_BUFFER - bench_peer.in) {
		return -EAGAIN;
	}
	memcpy(bench_peer.data + bench_peer.in, data, n);
	bench_peer.in += n;
	return (long)n;
}

static long
peer_recv(void *owner, int handle, void *data, size_t n)
{
	size_t left = bench_peer.in - bench_peer.out;

	(void)owner;
	(void)handle;
	if (bench_peer.reset) {
		return -ECONNRESET;
	}
	if (left == 0 || bench_peer.mute) {
		return bench_peer.eof ? 0 : -EAGAIN;
	}
	n = n < left ? n : left;
	memcpy(data, bench_peer.data + bench_peer.out, n);
	bench_peer.out += n;
	return (long)n;
}

static long
peer_send_to(void *owner, int handle, const uint8_t ip[4], uint16_t port, const void *data,
             size_t n)
{
	(void)ip;
	(void)port;
	return peer_send(owner, handle, data, n);
}

static long
peer_recv_from(void *owner, int handle, uint8_t ip[4], uint16_t *port, void *data, size_t n)
{
	memcpy(ip, bench_ip, 4);
	*port = BENCH_PORT;
	return peer_recv(owner, handle, data, n);
}

static void
peer_close(void *owner, int handle)
{
	(void)owner;
	(void)handle;
	bench_peer.closed++;
}

static int
peer_resolve(void *owner, const char *name, uint8_t ip[4])
{
	(void)owner;
	if (strcmp(name, "gateway.example") != 0) {
		return -ENOENT;
	}
	memcpy(ip, bench_ip, 4);
	return 0;
}

static const struct winc_net net = {
	.open = peer_open,
	.connect = peer_connect,
	.connected = peer_connected,
	.send = peer_send,
	.recv = peer_recv,
	.send_to = peer_send_to,
	.recv_from = peer_recv_from,
	.close = peer_close,
	.resolve = peer_resolve,
};

void
bench_add_fault(const char *word)
{
	static const struct fault *const known[] = { winc_faults, NULL };
	char why[128];

	if (fault_set_add(bench_faults, word, known, why, sizeof why) != 0) {
		fail_msg("%s", why);
	}
}

void
bench_open(const char *firmware, const char *fault)
{
	struct winc_config config = {
		.firmware = firmware,
		.ssid = "workshop",
		.passphrase = "correct horse",
		.mac = { 0xF8, 0xF0, 0x05, 0x01, 0x02, 0x03 },
		.ip = { 192, 0, 2, 10 },
		.time = 1772000000,
	};

	memset(&bench_peer, 0, sizeof bench_peer);
	fake_hal_reset(20260301);
	bench_faults = fault_set_new(&fake_hal.world);
	assert_non_null(bench_faults);
	if (fault != NULL) {
		bench_add_fault(fault);
	}
	fake_hal.winc = winc_model_new(&fake_hal.world, bench_faults, &config, &net);
	assert_non_null(fake_hal.winc);
}

void
bench_heal(void)
{
	fake_hal.winc->faults = NULL;
}

void
bench_close(void)
{
	for (int i = 0; i < 7; i++) {
		winc_close(i);
	}
	winc_stop();
	winc_model_free(fake_hal.winc);
	fault_set_free(bench_faults);
	fake_hal.winc = NULL;
	bench_faults = NULL;
}

static void
poll_once(void)
{
	uint64_t before = fake_hal.world.now_ns;

	(void)winc_poll();
	/* Less than a watchdog period, by far. */
	assert_in_range(fake_hal.world.now_ns - before, 0, WINC_MS(2000));
}

void
bench_poll(uint32_t ms)
{
	struct deadline limit = deadline_in(ms);

	while (!deadline_over(&limit)) {
		poll_once();
		time_wait_us(ms > 1000 ? 5000 : 100);
	}
}

enum winc_status
bench_join(const char *ssid, const char *passphrase)
{
	struct deadline limit = deadline_in(LIMIT_MS);
	enum winc_status status = winc_join(ssid, passphrase);

	if (status != WINC_OK) {
		return status;
	}
	while ((status = winc_link()) == WINC_AGAIN) {
		assert_false(deadline_over(&limit));
		poll_once();
		time_wait_us(1000);
	}
	return status;
}

enum winc_status
bench_resolve(const char *name, uint8_t ip[4])
{
	struct deadline limit = deadline_in(LIMIT_MS);
	enum winc_status status;

	while ((status = winc_resolve(name, ip)) == WINC_AGAIN) {
		assert_false(deadline_over(&limit));
		poll_once();
		time_wait_us(1000);
	}
	return status;
}

enum winc_status
bench_connect(int *socket)
{
	struct deadline limit = deadline_in(LIMIT_MS);
	enum winc_status status = winc_connect(bench_ip, BENCH_PORT, socket);

	if (status != WINC_OK) {
		return status;
	}
	while ((status = winc_socket(*socket)) == WINC_AGAIN) {
		assert_false(deadline_over(&limit));
		poll_once();
		time_wait_us(1000);
	}
	return status;
}

static uint8_t
pattern(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8));
}

/* As much as the driver takes now; WINC_OK or what is over. */
static enum winc_status
send_some(int socket, size_t *sent, size_t n, size_t piece)
{
	uint8_t data[2000]; /* more than the driver takes at once */
	size_t left = n - *sent < piece ? n - *sent : piece;
	int rc;

	left = left < sizeof data ? left : sizeof data;
	for (size_t i = 0; i < left; i++) {
		data[i] = pattern(*sent + i);
	}
	rc = winc_send(socket, data, left);
	if (rc < 0) {
		return (enum winc_status)-rc;
	}
	*sent += (size_t)rc;
	return WINC_OK;
}

static enum winc_status
recv_some(int socket, size_t *got, size_t n, size_t piece)
{
	/* Of the exact size, so that a byte too many is seen. */
	size_t size = n - *got < piece ? n - *got : piece;
	uint8_t *data = malloc(size);
	int rc;

	assert_non_null(data);
	rc = winc_recv(socket, data, size);
	for (int i = 0; i < rc; i++) {
		if (data[i] != pattern(*got + (size_t)i)) {
			free(data);
			return WINC_BUS; /* only a fault of the bus may do that */
		}
	}
	free(data);
	if (rc < 0) {
		return (enum winc_status)-rc;
	}
	*got += (size_t)rc;
	return WINC_OK;
}

enum winc_status
bench_echo(int socket, size_t n, size_t send_piece, size_t recv_piece)
{
	struct deadline limit = deadline_in(PATIENCE_MS);
	size_t sent = 0, got = 0;
	enum winc_status status;

	while (got < n) {
		/* As a user of the connection would: a module that lies is not found out below. */
		if (deadline_over(&limit)) {
			return WINC_TIMEOUT;
		}
		poll_once();
		status = sent < n ? send_some(socket, &sent, n, send_piece) : WINC_OK;
		if (status == WINC_OK) {
			status = recv_some(socket, &got, n, recv_piece);
		}
		if (status != WINC_OK) {
			return status;
		}
		time_wait_us(50);
	}
	return WINC_OK;
}

void
bench_up(const char *firmware)
{
	bench_open(firmware, NULL);
	assert_int_equal(winc_start(1), WINC_OK);
	assert_int_equal(bench_join("workshop", "correct horse"), WINC_OK);
}
