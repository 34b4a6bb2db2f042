/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From nothing to readings that arrive, and back to that after every failure:
 * a state machine with one function per state. Each looks once and returns
 * the state that is next. The module's own deadlines are inside its driver;
 * what is below bounds the states as a whole.
 */
#include "app/link_int.h"

#include <string.h>

#include "app/app.h"
#include "app/backoff.h"
#include "app/log.h"
#include "board/board.h"
#include "tls/tls.h"

/* The figure that the emulator goes by, and how long the state may take; 0: for ever. */
static const struct {
	uint8_t phase;
	uint32_t limit_ms;
} states[] = {
	[STATE_RADIO] = { 1, 0 },
	[STATE_JOIN] = { 2, 60000 },
	[STATE_TIME] = { 3, 10000 },
	[STATE_RESOLVE] = { 3, 20000 },
	[STATE_CONNECT] = { 4, 30000 },
	[STATE_HANDSHAKE] = { 5, 60000 },
	[STATE_GREETING] = { 6, 30000 },
	[STATE_RUN] = { 7, 0 },
	[STATE_PAUSE] = { 7, 0 },
};

#define KEEP_ALIVE_S 30
#define ANSWER_MS 10000
#define FAREWELL_MS 300
#define TIME_ASK_MS 60000

struct link net;

/*
 * Failure
 */

static enum report
report_of(enum winc_status status)
{
	switch (status) {
	case WINC_NO_AP:
	case WINC_JOIN:
		return REPORT_NO_NETWORK;
	case WINC_AUTH:
		return REPORT_WRONG_PASSPHRASE;
	case WINC_DHCP:
		return REPORT_NO_ADDRESS;
	case WINC_DNS:
		return REPORT_NAME_UNKNOWN;
	case WINC_REFUSED:
		return REPORT_GATEWAY_REFUSED;
	case WINC_TIMEOUT:
		return REPORT_GATEWAY_SILENT;
	case WINC_LINK_LOST:
	case WINC_CLOSED:
	case WINC_RESET:
		return REPORT_LINK_LOST;
	default:
		return REPORT_RADIO;
	}
}

static bool
is_of_radio(enum winc_status status)
{
	return status == WINC_BUS || status == WINC_CHIP || status == WINC_FIRMWARE;
}

/* Tell the peer, if there still is a way to it, and let go of the socket. */
static void
hang_up(void)
{
	struct deadline d = deadline_in(2 * FAREWELL_MS);

	tls_close(FAREWELL_MS);
	while (tls_step() != TLS_CLOSED && !deadline_over(&d)) {
		winc_poll();
		upkeep();
	}
	if (net.socket != SOCKET_NONE) {
		winc_close(net.socket);
		net.socket = SOCKET_NONE;
	}
}

/*
 * The module is started again at once when it broke, one rung higher each
 * time; and after some failures of the network, for it may be the module that
 * is deaf while it says that all is well.
 */
static void
climb(bool of_radio, enum report code)
{
	if (of_radio) {
		net.ladder = net.radio_failures < 2 ? net.radio_failures : 2;
		net.radio_failures++;
		net.restart_radio = true;
	} else if (code >= REPORT_NO_NETWORK && code <= REPORT_LINK_LOST &&
	           ++net.network_failures % 3 == 0) {
		net.ladder = net.network_failures % 6 == 0 ? 2 : 1;
		net.restart_radio = true;
	}
}

enum link_state
link_failed(enum report code, const char *detail, bool of_radio)
{
	uint32_t wait;

	hang_up();
	status_report(code, detail);
	climb(of_radio, code);
	wait = backoff_ms(++net.failures, chip_random());
	log_line("again in %lu ms", (unsigned long)wait);
	net.pause = deadline_in(wait);
	return STATE_PAUSE;
}

enum link_state
link_failed_winc(enum winc_status status)
{
	return link_failed(report_of(status), winc_status_text(status), is_of_radio(status));
}

/*
 * The machine
 */

static enum link_state
rest(void)
{
	if (!deadline_over(&net.pause)) {
		return STATE_PAUSE;
	}
	if (net.restart_radio || !net.radio_on) {
		return STATE_RADIO;
	}
	return winc_link() == WINC_OK ? STATE_RESOLVE : STATE_JOIN;
}

/* What a state does once, when it is entered; it may fail at that already. */
static enum link_state
entered(enum link_state state)
{
	switch (state) {
	case STATE_JOIN:
		return link_join_start();
	case STATE_CONNECT:
		return link_connect_start();
	case STATE_HANDSHAKE:
		return link_handshake_start();
	case STATE_GREETING:
		return link_greeting_start();
	default:
		return state;
	}
}

static void
change(enum link_state next)
{
	while (next != net.state) {
		net.state = next;
		net.since = time_ms();
		net.limit = deadline_in(states[next].limit_ms);
		net.steady = false;
		emulator_phase = states[next].phase;
		next = entered(next);
	}
}

/* What has to hold in all states from STATE_JOIN to STATE_RUN. */
static enum link_state
watch(void)
{
	enum winc_status status = winc_poll();

	if (status != WINC_OK && status != WINC_AGAIN) {
		return link_failed_winc(status);
	}
	if (net.state > STATE_JOIN) {
		status = winc_link();
		if (status != WINC_OK) {
			return link_failed(REPORT_LINK_LOST, winc_status_text(status),
			                   is_of_radio(status));
		}
	}
	if (net.state != STATE_TIME && states[net.state].limit_ms != 0 && deadline_over(&net.limit)) {
		return link_failed(net.state == STATE_JOIN ? REPORT_NO_NETWORK
		                   : net.state == STATE_RESOLVE ? REPORT_NAME_UNKNOWN
		                                                : REPORT_GATEWAY_SILENT,
		                   "no answer in time", false);
	}
	return net.state;
}

static enum link_state
act(void)
{
	switch (net.state) {
	case STATE_RADIO:
		return link_radio();
	case STATE_JOIN:
		return link_join();
	case STATE_TIME:
		return link_time();
	case STATE_RESOLVE:
		return link_resolve();
	case STATE_CONNECT:
		return link_connecting();
	case STATE_HANDSHAKE:
		return link_handshake();
	case STATE_GREETING:
		return link_converse();
	case STATE_RUN:
		return link_run();
	default:
		return rest();
	}
}

static void
keep_time(void)
{
	uint32_t now = time_ms();

	wall_tick(&net.wall, now);
	if (net.radio_on && now - net.asked_time >= TIME_ASK_MS) {
		net.asked_time = now;
		wall_network(&net.wall, winc_time());
	}
}

void
link_step(void)
{
	enum link_state next = net.state;

	keep_time();
	if (net.state != STATE_RADIO && net.state != STATE_PAUSE) {
		next = watch();
	} else if (net.state == STATE_PAUSE && net.radio_on && !net.restart_radio) {
		net.restart_radio = is_of_radio(winc_poll());
	}
	if (next == net.state) {
		next = act();
	}
	change(next);
}

bool
link_quiet(void)
{
	return net.state == STATE_RUN || net.state == STATE_PAUSE || net.state == STATE_JOIN;
}

void
link_start(const struct settings *settings)
{
	const struct mqtt_settings mqtt = {
		.client_id = settings->name[0] != '\0' ? settings->name : chip_serial(),
		.keep_alive = KEEP_ALIVE_S,
		.answer_ms = ANSWER_MS,
	};

	uint32_t unused;

	memset(&net, 0, sizeof net);
	net.settings = settings;
	net.state = STATE_RADIO;
	net.ladder = 2; /* whatever the module did before: from the beginning */
	net.socket = SOCKET_NONE;
	emulator_phase = states[STATE_RADIO].phase;
	wear_start(&net.wear, board_recall(&unused), time_ms());
	wall_start(&net.wall, settings->clock, time_ms());
	mqtt_init(&net.mqtt, &mqtt);
}
