/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the WINC1500 driver share: a module, an access point, an echoing peer. */
#ifndef TESTS_WINC_BENCH_H
#define TESTS_WINC_BENCH_H

#include "drivers/winc.h"
#include "fake_hal.h"

enum { BENCH_PORT = 8883, BENCH_BUFFER = 65536 };

/* The peer behind the module's sockets: returns what it is sent. */
struct bench_peer {
	int opened, closed;
	int connect_rc, connected_rc; /* 0, or what the network says */
	bool eof, reset, mute;        /* mute: takes data, sends none back */
	size_t piece;                 /* takes at most so many bytes at once; 0 all */
	uint8_t data[BENCH_BUFFER];
	size_t in, out;
	uint8_t ip[4];
	uint16_t port;
};
extern struct bench_peer bench_peer;
extern struct fault_set *bench_faults;
extern const uint8_t bench_ip[4];

/* A powered-off module with that firmware; faults NULL or one word. */
void bench_open(const char *firmware, const char *fault);
void bench_add_fault(const char *word);
/* The hardware is well again (what it did to the chip's state stays). */
void bench_heal(void);
void bench_close(void);

/* winc_poll() for so long; no single one may take long. */
void bench_poll(uint32_t ms);
/* Each until it no longer says WINC_AGAIN. */
enum winc_status bench_join(const char *ssid, const char *passphrase);
enum winc_status bench_resolve(const char *name, uint8_t ip[4]);
enum winc_status bench_connect(int *socket);
/* n bytes there and back, sent and read in pieces of at most so many bytes. */
enum winc_status bench_echo(int socket, size_t n, size_t send_piece, size_t recv_piece);
/* Started and joined. */
void bench_up(const char *firmware);

#endif
