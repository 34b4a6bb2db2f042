/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A load generator: many MQTT 3.1.1 clients over mutual TLS in one thread, to
 * compare servers on one machine. It measures, it does not test: the server's
 * certificate is not checked, and any surprise ends the program with a
 * sentence.
 */
#ifndef GATEWAY_BENCH_LOAD_H
#define GATEWAY_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/ssl.h>

#define MQTT_PINGREQ 0xc0
#define MQTT_PINGRESP 0xd0
#define MQTT_PUBLISH 0x30
#define MQTT_PUBACK 0x40
#define MQTT_SUBACK 0x90

/* ---- measure.c ---------------------------------------------------------------------- */

/* Say why, and end the program with status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
uint64_t now_ns(void);

/* Times in nanoseconds, to be sorted. */
struct sample {
	uint64_t *time;
	size_t count, room;
};

void sample_add(struct sample *sample, uint64_t ns);
/* The value that `share` (0..1) of the sorted times do not exceed, in ms. */
double sample_ms(struct sample *sample, double share);
void sample_free(struct sample *sample);

#define SERVERS_MAX 4

/* A process whose CPU time and memory are looked at. */
struct server {
	const char *name;
	pid_t pid;
	double cpu;      /* seconds, at the last look */
	uint64_t memory; /* resident bytes, at the last look */
};

/* Read CPU time and memory of all servers into their fields. */
void servers_look(struct server *server, unsigned count);

/* ---- client.c ----------------------------------------------------------------------- */

enum client_state {
	CLIENT_OFF,
	CLIENT_TCP,
	CLIENT_TLS,
	CLIENT_CONNACK,
	CLIENT_LIVE,
};

struct client;

struct client_calls {
	void (*live)(struct client *client);
	/* One packet: the first byte of its header, and what follows the length. */
	void (*packet)(struct client *client, uint8_t first, const uint8_t *body, size_t len);
	/* What was queued is gone: more may be sent. */
	void (*writable)(struct client *client);
};

struct client {
	const struct client_calls *calls;
	struct fleet *fleet;
	SSL *ssl;
	SSL_SESSION *session; /* for the next connect */
	enum client_state state;
	int fd;
	unsigned index;
	bool resumed, wants_write;
	uint64_t began, took; /* connect() to CONNACK, ns */
	const uint8_t *out;   /* not yet taken by TLS */
	size_t out_len;
	uint8_t out_own[1024];
	uint8_t in[1024];
	size_t in_len;
	/* For the modes. */
	unsigned sent, done, limit;
	uint64_t due;
};

/* All clients of one server. */
struct fleet {
	const char *host;
	uint16_t port;
	SSL_CTX **context; /* one per certificate */
	unsigned contexts;
	int poll;
	struct client *client;
	unsigned count;
	unsigned live, resumed;
	uint64_t deadline; /* now_ns() when patience ends */
};

struct options;

void fleet_init(struct fleet *fleet, const struct options *o, unsigned count);
void fleet_free(struct fleet *fleet);
/* Wait up to `ms` and serve what is ready. Dies when the deadline is over. */
void fleet_turn(struct fleet *fleet, int ms);

void client_start(struct client *client, const struct client_calls *calls);
/* DISCONNECT and close; keeps the session for the next client_start(). */
void client_stop(struct client *client);
/* Queue bytes (at most sizeof out_own). False: not now, wait for writable(). */
bool client_send(struct client *client, const uint8_t *bytes, size_t len);
/* The same for any length, not copied: must stay valid until writable(). */
void client_send_large(struct client *client, const uint8_t *bytes, size_t len);
/* A PUBLISH with the client's own topic; size bytes, made at `to`. */
size_t client_publish(const struct client *client, uint8_t *to, unsigned qos, unsigned id,
                      size_t payload);
/* Head of a PUBLISH only: the payload is the caller's to add. */
size_t client_publish_head(const struct client *client, uint8_t *to, unsigned qos, unsigned id,
                           size_t payload);
size_t client_subscribe(const struct client *client, uint8_t *to);

/* ---- modes.c ------------------------------------------------------------------------ */

struct options {
	const char *mode, *host, *certificates;
	uint16_t port;
	bool tls12, no_tickets;
	unsigned count, flight, messages, payload, window, seconds, quiet;
	struct server server[SERVERS_MAX];
	unsigned servers;
};

struct mode {
	const char *name, *help;
	void (*run)(struct options *options);
};

extern const struct mode modes[];

#endif
