/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the state machine of the connection. Its parts: the machine itself,
 * its pauses and what follows a failure (link.c); the states up to a TCP
 * connection (link_network.c); those of TLS and MQTT (link_session.c).
 */
#ifndef APP_LINK_INT_H
#define APP_LINK_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "app/report.h"
#include "app/settings.h"
#include "app/wall.h"
#include "app/wear.h"
#include "drivers/winc.h"
#include "hal/time.h"
#include "mqtt/mqtt_client_int.h"

#define SOCKET_NONE (-1)

enum link_state {
	STATE_RADIO,
	STATE_JOIN,
	STATE_TIME,
	STATE_RESOLVE,
	STATE_CONNECT,
	STATE_HANDSHAKE,
	STATE_GREETING, /* CONNECT and SUBSCRIBE */
	STATE_RUN,
	STATE_PAUSE,
};

struct link {
	const struct settings *settings;
	enum link_state state;
	struct deadline limit, pause;
	uint32_t since, asked_time;
	unsigned failures;         /* in a row */
	unsigned radio_failures, network_failures;
	unsigned ladder;
	bool radio_on, restart_radio, steady;
	int socket;
	uint8_t address[4];
	uint32_t readings, dropped;
	struct wall wall;
	struct wear wear;
	struct mqtt_client mqtt;
};
extern struct link net;

/*
 * One function per state: it looks once and returns the state that is next.
 * link_..._start() is what a state does once, when it is entered.
 */

/* ---- link.c ---- */

/* Hang up, say why, and pause; of_radio: the module itself is to blame. */
enum link_state link_failed(enum report code, const char *detail, bool of_radio);
enum link_state link_failed_winc(enum winc_status status);

/* ---- link_network.c ---- */

enum link_state link_radio(void);
enum link_state link_join_start(void);
enum link_state link_join(void);
enum link_state link_time(void);
enum link_state link_resolve(void);
enum link_state link_connect_start(void);
enum link_state link_connecting(void);

/* ---- link_session.c ---- */

enum link_state link_handshake_start(void);
enum link_state link_handshake(void);
enum link_state link_greeting_start(void);
/* The state of CONNECT and SUBSCRIBE; also what goes on in link_run(). */
enum link_state link_converse(void);
enum link_state link_run(void);

#endif
