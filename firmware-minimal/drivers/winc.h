/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ATWINC1500: bring-up, WiFi as a station, DNS, TCP and UDP clients
 * (fact sheet winc1500). A superloop driver: nothing waits longer than its
 * deadline, winc_poll() serves the module, states are asked for. One module,
 * static state, no heap. Uses hal/spi.h and hal/time.h only.
 */
#ifndef DRIVERS_WINC_H
#define DRIVERS_WINC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum winc_status {
	WINC_OK,
	WINC_AGAIN,     /* not yet: poll and ask again */
	WINC_BUS,       /* SPI protocol failed beyond retries */
	WINC_CHIP,      /* not the chip we know, or it did not boot */
	WINC_FIRMWARE,  /* firmware silent or too old */
	WINC_NO_AP,     /* SSID not found */
	WINC_AUTH,      /* wrong passphrase */
	WINC_JOIN,      /* association failed otherwise, or no event at all */
	WINC_DHCP,
	WINC_LINK_LOST,
	WINC_DNS,
	WINC_REFUSED,   /* TCP connect refused or unreachable */
	WINC_CLOSED,    /* peer closed; all data was read */
	WINC_RESET,     /* peer reset, or the module reported an error */
	WINC_TIMEOUT,
	WINC_PARAMETER,
};
const char *winc_status_text(enum winc_status status);

struct winc_version {
	uint8_t major, minor, patch;
};

/*
 * Reset ladder 0 (SPI reset), 1 (RESET_N), 2 (CHIP_EN); the caller climbs after failures.
 * Takes up to some seconds, feeding the watchdog. After it, whatever its result, every
 * socket is dead (and must still be closed) and the link must be joined again. When any
 * other function returns WINC_BUS, WINC_CHIP or WINC_FIRMWARE, so will all until this is called.
 */
enum winc_status winc_start(unsigned ladder);
void winc_stop(void);
void winc_version(struct winc_version *out);
void winc_mac(uint8_t out[6]);
/* Serve interrupts and deadlines; cheap when there is nothing. */
enum winc_status winc_poll(void);

/*
 * Join; passphrase "" is an open network, 64 hexadecimal digits are a key. State by
 * winc_link(). May take a second when an association must be left first. The module never
 * joins again by itself: that is the caller's, with a growing pause.
 */
enum winc_status winc_join(const char *ssid, const char *passphrase);
void winc_leave(void);
/* WINC_OK: joined and has an address. WINC_AGAIN: under way. Else why not. */
enum winc_status winc_link(void);
/* Network byte order in memory: ip[0] is the first octet. */
void winc_address(uint8_t ip[4]);
int8_t winc_rssi(void); /* last known, 0 unknown */
/* Unix time if the module has it (its own SNTP), else 0. */
uint32_t winc_time(void);

/* One name at a time. WINC_AGAIN until it is there; a literal IPv4 is answered at once. */
enum winc_status winc_resolve(const char *name, uint8_t ip[4]);

/* Sockets: a small fixed number. */
enum winc_status winc_connect(const uint8_t ip[4], uint16_t port, int *socket);
/* WINC_AGAIN under way, WINC_OK connected, else over. */
enum winc_status winc_socket(int socket);
/*
 * Bytes taken (0: none now, poll). Partial is usual. Negative: -enum
 * winc_status, the connection is over.
 */
int winc_send(int socket, const void *data, size_t n);
/*
 * Bytes read, possibly fewer than there are; 0: none now; negative as above.
 * The first call asks the peer's data in. It is read straight from the
 * module's memory, and until the last byte of a segment was read the module
 * does nothing else: no sends, no events. So ask only when the answer can be
 * taken, and call until 0; unread for ten seconds, the connection is dropped.
 */
int winc_recv(int socket, void *data, size_t n);
void winc_close(int socket);

#endif
