/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said over the connection: the TLS handshake, then MQTT. */
#include "app/link_int.h"

#include "app/app.h"
#include "app/log.h"
#include "app/message.h"
#include "tls/tls.h"

#define HANDSHAKE_MS 30000
#define STEADY_MS 60000    /* a connection that lives so long has forgiven all failures */
#define KEY_SLOT 0
#define ECDH_SLOT 1        /* slots 1 to 4 may do ECDH in the Arduino configuration */
#define INPUTS_PER_STEP 8
#define READING_MAX 224

/*
 * TLS
 */

static enum link_state
failed_tls(void)
{
	unsigned error = tls_error();

	if (error == 0) {
		return link_failed(REPORT_LINK_LOST, "the gateway closed the connection", false);
	}
	log_line("TLS error %u", error);
	/* Before the handshake is done, silence is an answer; afterwards it is just an end. */
	if (net.state > STATE_HANDSHAKE &&
	    tls_error_report(error) == REPORT_TLS + TLS_REPORT_CLOSED) {
		return link_failed(REPORT_LINK_LOST, "the gateway vanished", false);
	}
	return link_failed((enum report)tls_error_report(error), tls_error_text(error), false);
}

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

static enum tls_ecdh
place_of_ecdh(void)
{
	struct tls_figures figures;

	if (!net.settings->ecdh_in_chip) {
		return TLS_ECDH_SOFTWARE;
	}
	tls_figures(&figures);
	if (!wear_allows(&net.wear, figures.chip_keys_made, time_ms())) {
		log_line("ECDH in software this time, to spare the ATECC");
		return TLS_ECDH_SOFTWARE;
	}
	return TLS_ECDH_CHIP;
}

enum link_state
link_handshake_start(void)
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
		.ecdh = place_of_ecdh(),
		.handshake_ms = HANDSHAKE_MS,
	};
	const struct tls_transport transport = { transport_send, transport_recv, &net.socket };

	return tls_open(&settings, &transport, net.wall.now) ? STATE_HANDSHAKE : failed_tls();
}

enum link_state
link_handshake(void)
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

enum link_state
link_greeting_start(void)
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

static enum link_state
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

static enum link_state
on_event(enum mqtt_event event)
{
	switch (event) {
	case MQTT_CONNECTED:
		/* There is room, unless the gateway has answered before it was asked. */
		return mqtt_subscribe(&net.mqtt, net.settings->subscribe_topic, 1)
		               ? net.state
		               : link_failed(REPORT_MQTT_PROTOCOL, NULL, false);
	case MQTT_REFUSED:
		return link_failed((enum report)(REPORT_MQTT + mqtt_refusal(&net.mqtt) % 6), NULL,
		                   false);
	case MQTT_SUBSCRIBED:
	case MQTT_SUBSCRIPTION_REFUSED:
		return subscribed(event == MQTT_SUBSCRIPTION_REFUSED);
	case MQTT_MESSAGE:
		take_message();
		return net.state;
	case MQTT_PROTOCOL:
		return link_failed(REPORT_MQTT_PROTOCOL, NULL, false);
	case MQTT_SILENT:
		return link_failed(REPORT_MQTT_SILENT, NULL, false);
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

static enum link_state
move_input(void)
{
	for (unsigned i = 0; i < INPUTS_PER_STEP; i++) {
		size_t size, used;
		const uint8_t *data = tls_peek(&size);
		enum mqtt_event event;
		enum link_state next;

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

enum link_state
link_converse(void)
{
	enum link_state next;

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

enum link_state
link_run(void)
{
	if (!net.steady && time_ms() - net.since >= STEADY_MS) {
		net.steady = true;
		net.failures = net.radio_failures = net.network_failures = 0;
	}
	if (reading_step(net.settings->interval * 1000u)) {
		publish_reading();
	}
	return link_converse();
}
