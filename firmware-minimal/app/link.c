/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From nothing to readings that arrive, and back to that after every failure:
 * a state machine with one function per state. Each looks once and returns
 * the state that is next. The module's own deadlines are inside its driver;
 * what is below bounds the states as a whole.
 */
#include "app/app.h"

#include <string.h>

#include "app/backoff.h"
#include "app/log.h"
#include "app/message.h"
#include "app/wall.h"
#include "board/board.h"
#include "drivers/winc.h"
#include "hal/time.h"
#include "mqtt/mqtt_client_int.h"
#include "tls/tls.h"

enum state {
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
#define HANDSHAKE_MS 30000
#define FAREWELL_MS 300
#define STEADY_MS 60000    /* a connection that lives so long has forgiven all failures */
#define TIME_ASK_MS 60000
#define KEY_SLOT 0
#define ECDH_SLOT 1        /* slots 1 to 4 may do ECDH in the Arduino configuration */
#define SOCKET_NONE (-1)
#define INPUTS_PER_STEP 8
#define READING_MAX 224

static struct {
	const struct settings *settings;
	enum state state;
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
	struct mqtt_client mqtt;
} net;

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

static enum state
failed(enum report code, const char *detail, bool of_radio)
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

static enum state
failed_winc(enum winc_status status)
{
	return failed(report_of(status), winc_status_text(status), is_of_radio(status));
}

static enum state
failed_tls(void)
{
	unsigned error = tls_error();

	if (error == 0) {
		return failed(REPORT_LINK_LOST, "the gateway closed the connection", false);
	}
	log_line("TLS error %u", error);
	/* Before the handshake is done, silence is an answer; afterwards it is just an end. */
	if (net.state > STATE_HANDSHAKE &&
	    tls_error_report(error) == REPORT_TLS + TLS_REPORT_CLOSED) {
		return failed(REPORT_LINK_LOST, "the gateway vanished", false);
	}
	return failed((enum report)tls_error_report(error), tls_error_text(error), false);
}

/*
 * Radio and network
 */

static enum state
radio(void)
{
	enum winc_status status;
	struct winc_version version;
	struct report_facts *facts = status_facts();

	net.radio_on = false;
	net.restart_radio = false;
	status = winc_start(net.ladder);
	if (status != WINC_OK) {
		return failed(REPORT_RADIO, winc_status_text(status), true);
	}
	net.radio_on = true;
	winc_version(&version);
	facts->wifi_firmware[0] = version.major;
	facts->wifi_firmware[1] = version.minor;
	facts->wifi_firmware[2] = version.patch;
	facts->has_wifi = true;
	log_line("WiFi module started, its firmware is %u.%u.%u", version.major, version.minor,
	         version.patch);
	return STATE_JOIN;
}

static enum state
join_start(void)
{
	enum winc_status status = winc_link();

	if (status == WINC_OK) {
		return STATE_JOIN; /* it lives on */
	}
	log_line("joining \"%s\"", net.settings->ssid);
	status = winc_join(net.settings->ssid, net.settings->passphrase);
	return status == WINC_OK || status == WINC_AGAIN ? STATE_JOIN : failed_winc(status);
}

static enum state
join(void)
{
	enum winc_status status = winc_link();
	uint8_t ip[4];

	if (status == WINC_AGAIN) {
		return STATE_JOIN;
	}
	if (status != WINC_OK) {
		return failed_winc(status);
	}
	winc_address(ip);
	log_line("address %u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
	return STATE_TIME;
}

/* Only at the first connection, and only when the settings want it or know no date. */
static enum state
network_time(void)
{
	bool wanted = net.settings->wait_for_time || net.settings->clock == 0;

	wall_network(&net.wall, winc_time());
	if (!wanted || net.wall.from_network) {
		return STATE_RESOLVE;
	}
	if (deadline_over(&net.limit)) {
		log_line("no network time");
		return STATE_RESOLVE;
	}
	return STATE_TIME;
}

static enum state
resolve(void)
{
	enum winc_status status = winc_resolve(net.settings->host, net.address);

	if (status == WINC_AGAIN) {
		return STATE_RESOLVE;
	}
	return status == WINC_OK ? STATE_CONNECT : failed_winc(status);
}

static enum state
connect_start(void)
{
	enum winc_status status;

	log_line("connecting to %u.%u.%u.%u port %u", net.address[0], net.address[1],
	         net.address[2], net.address[3], net.settings->port);
	status = winc_connect(net.address, net.settings->port, &net.socket);
	if (status != WINC_OK && status != WINC_AGAIN) {
		net.socket = SOCKET_NONE;
		return failed_winc(status);
	}
	return STATE_CONNECT;
}

static enum state
connecting(void)
{
	enum winc_status status = winc_socket(net.socket);

	if (status == WINC_AGAIN) {
		return STATE_CONNECT;
	}
	return status == WINC_OK ? STATE_HANDSHAKE : failed_winc(status);
}

/*
 * TLS
 */

static int
transport_send(void *owner, const void *data, size_t n)
{
	return winc_send(*(const int *)owner, data, n);
}

static int
transport_recv(void *owner, void *data, size_t n)
{
	return winc_recv(*(const int *)owner, data, n);
}

static enum state
handshake_start(void)
{
	const struct settings *s = net.settings;
	const struct tls_settings settings = {
		.server_name = s->host,
		.anchor_dn = s->anchor_dn,
		.anchor_dn_size = s->anchor_dn_size,
		.anchor_key = s->anchor_key,
		.certificate = s->certificate,
		.certificate_size = s->certificate_size,
		.key_slot = KEY_SLOT,
		.ecdh_slot = ECDH_SLOT,
		.ecdh = s->ecdh_in_chip ? TLS_ECDH_CHIP : TLS_ECDH_SOFTWARE,
		.handshake_ms = HANDSHAKE_MS,
	};
	const struct tls_transport transport = { transport_send, transport_recv, &net.socket };

	return tls_open(&settings, &transport, net.wall.now) ? STATE_HANDSHAKE : failed_tls();
}

static enum state
handshake(void)
{
	struct tls_figures figures;
	enum tls_state state = tls_step();

	if (state == TLS_HANDSHAKE) {
		return STATE_HANDSHAKE;
	}
	if (state == TLS_CLOSED) {
		return failed_tls();
	}
	tls_figures(&figures);
	log_line("TLS open after %lu ms, %s, %lu bytes up, %lu down",
	         (unsigned long)figures.handshake_ms, figures.resumed ? "resumed" : "full",
	         (unsigned long)figures.bytes_up, (unsigned long)figures.bytes_down);
	return STATE_GREETING;
}

/*
 * MQTT
 */

static enum state
greeting_start(void)
{
	mqtt_open(&net.mqtt, time_ms());
	return STATE_GREETING;
}

static void
take_message(void)
{
	const struct mqtt_message *m = mqtt_message(&net.mqtt);
	bool on = message_led(m->payload, m->payload_size);

	log_line("command: LED %s", on ? "on" : "off");
	status_led(on);
}

static enum state
subscribed(bool refused)
{
	if (refused) {
		log_line("the gateway refuses the subscription to \"%s\"",
		         net.settings->subscribe_topic);
	}
	if (net.state != STATE_GREETING) {
		return net.state;
	}
	status_report(REPORT_NONE, "connected to the gateway");
	return STATE_RUN;
}

static enum state
on_event(enum mqtt_event event)
{
	switch (event) {
	case MQTT_CONNECTED:
		mqtt_subscribe(&net.mqtt, net.settings->subscribe_topic, 1);
		return net.state;
	case MQTT_REFUSED:
		return failed((enum report)(REPORT_MQTT + mqtt_refusal(&net.mqtt) % 6), NULL, false);
	case MQTT_SUBSCRIBED:
	case MQTT_SUBSCRIPTION_REFUSED:
		return subscribed(event == MQTT_SUBSCRIPTION_REFUSED);
	case MQTT_MESSAGE:
		take_message();
		return net.state;
	case MQTT_PROTOCOL:
		return failed(REPORT_MQTT_PROTOCOL, NULL, false);
	case MQTT_SILENT:
		return failed(REPORT_MQTT_SILENT, NULL, false);
	default:
		return net.state;
	}
}

static void
move_output(void)
{
	size_t size;
	const uint8_t *data;

	while ((data = mqtt_output(&net.mqtt, &size)) != NULL && size > 0) {
		size_t taken = tls_write(data, size);

		if (taken == 0) {
			break;
		}
		mqtt_sent(&net.mqtt, taken);
	}
	tls_flush();
}

static enum state
move_input(void)
{
	for (unsigned i = 0; i < INPUTS_PER_STEP; i++) {
		size_t size, used;
		const uint8_t *data = tls_peek(&size);
		enum mqtt_event event;
		enum state next;

		if (data == NULL) {
			break;
		}
		event = mqtt_input(&net.mqtt, data, size, &used, time_ms());
		next = on_event(event); /* the message points into what is consumed below */
		if (next != net.state) {
			if (next != STATE_PAUSE) {
				tls_consume(used);
			}
			return next;
		}
		tls_consume(used);
		if (used == 0 && event == MQTT_NOTHING) {
			break; /* it has to send first */
		}
	}
	return net.state;
}

static enum state
converse(void)
{
	enum state next;

	move_output();
	if (tls_step() == TLS_CLOSED) {
		return failed_tls();
	}
	next = move_input();
	if (next != net.state) {
		return next;
	}
	return on_event(mqtt_tick(&net.mqtt, time_ms()));
}

static void
publish_reading(void)
{
	char text[READING_MAX];
	int16_t centi;
	bool known = reading_value(&centi);
	const char *name = net.mqtt.settings.client_id;
	size_t n = message_reading(text, sizeof text, name, ++net.readings, known, centi);

	if (n == 0 || !mqtt_publish(&net.mqtt, net.settings->publish_topic, text, n,
	                            net.settings->qos, false)) {
		net.dropped++;
		log_line("reading %lu dropped, %lu so far", (unsigned long)net.readings,
		         (unsigned long)net.dropped);
		return;
	}
	log_line("%s %s", net.settings->publish_topic, text);
}

static enum state
run(void)
{
	if (!net.steady && time_ms() - net.since >= STEADY_MS) {
		net.steady = true;
		net.failures = net.radio_failures = net.network_failures = 0;
	}
	if (reading_step(net.settings->interval * 1000u)) {
		publish_reading();
	}
	return converse();
}

static enum state
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

/*
 * The machine
 */

/* What a state does once, when it is entered; it may fail at that already. */
static enum state
entered(enum state state)
{
	switch (state) {
	case STATE_JOIN:
		return join_start();
	case STATE_CONNECT:
		return connect_start();
	case STATE_HANDSHAKE:
		return handshake_start();
	case STATE_GREETING:
		return greeting_start();
	default:
		return state;
	}
}

static void
change(enum state next)
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
static enum state
watch(void)
{
	enum winc_status status = winc_poll();

	if (status != WINC_OK && status != WINC_AGAIN) {
		return failed_winc(status);
	}
	if (net.state > STATE_JOIN) {
		status = winc_link();
		if (status != WINC_OK) {
			return failed(REPORT_LINK_LOST, winc_status_text(status), is_of_radio(status));
		}
	}
	if (net.state != STATE_TIME && states[net.state].limit_ms != 0 && deadline_over(&net.limit)) {
		return failed(net.state == STATE_JOIN ? REPORT_NO_NETWORK
		              : net.state == STATE_RESOLVE ? REPORT_NAME_UNKNOWN
		                                           : REPORT_GATEWAY_SILENT,
		              "no answer in time", false);
	}
	return net.state;
}

static enum state
act(void)
{
	switch (net.state) {
	case STATE_RADIO:
		return radio();
	case STATE_JOIN:
		return join();
	case STATE_TIME:
		return network_time();
	case STATE_RESOLVE:
		return resolve();
	case STATE_CONNECT:
		return connecting();
	case STATE_HANDSHAKE:
		return handshake();
	case STATE_GREETING:
		return converse();
	case STATE_RUN:
		return run();
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
	enum state next = net.state;

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

void
link_start(const struct settings *settings)
{
	const struct mqtt_settings mqtt = {
		.client_id = settings->name[0] != '\0' ? settings->name : chip_serial(),
		.keep_alive = KEEP_ALIVE_S,
		.answer_ms = ANSWER_MS,
	};

	memset(&net, 0, sizeof net);
	net.settings = settings;
	net.state = STATE_RADIO;
	net.ladder = 2; /* whatever the module did before: from the beginning */
	net.socket = SOCKET_NONE;
	emulator_phase = states[STATE_RADIO].phase;
	wall_start(&net.wall, settings->clock, time_ms());
	mqtt_init(&net.mqtt, &mqtt);
}
