/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The conversation: who owes whom an answer, what is kept for the next
 * connection, when to ping. Sessions are clean: the gateway forgets the
 * subscription with the connection, we remember what it did not acknowledge.
 */
#include <string.h>

#include "mqtt/mqtt_client_int.h"

/*
 * Waits
 */

static void
wait_start(struct mqtt_wait *w)
{
	*w = (struct mqtt_wait){ .on = true };
}

static bool
wait_is_over(struct mqtt_wait *w, uint32_t now, uint32_t span)
{
	if (w->on && !w->started) {
		w->started = true;
		w->since = now;
	}
	return w->on && now - w->since >= span;
}

/*
 * Output
 */

static uint8_t *
out_end(struct mqtt_client *c)
{
	return c->out + c->out_size;
}

/* Room for our own packets; the reserve is for answers. */
static size_t
out_room(const struct mqtt_client *c)
{
	return c->out_size < MQTT_PACKET_MAX ? MQTT_PACKET_MAX - c->out_size : 0;
}

static size_t
out_room_with_reserve(const struct mqtt_client *c)
{
	return MQTT_OUTPUT_MAX - c->out_size;
}

/* Kept publishes go out in their order, as far as there is room. */
static void
send_kept(struct mqtt_client *c)
{
	for (unsigned i = 0; i < c->kept_count; i++) {
		struct mqtt_kept *k = &c->kept[i];

		if (k->sent) {
			continue;
		}
		if (k->size > out_room(c)) {
			return;
		}
		memcpy(out_end(c), k->packet, k->size);
		c->out_size += k->size;
		k->sent = true;
		wait_start(&k->answer);
	}
}

static void
fill_output(struct mqtt_client *c)
{
	size_t size;

	if (c->stage != MQTT_READY) {
		return;
	}
	if (c->ping_owed) {
		size = mqtt_encode_empty(out_end(c), out_room_with_reserve(c), MQTT_PINGREQ);
		c->out_size += size;
		c->ping_owed = size == 0;
	}
	send_kept(c);
}

const uint8_t *
mqtt_output(const struct mqtt_client *c, size_t *size)
{
	*size = c->out_size;
	return c->out;
}

void
mqtt_sent(struct mqtt_client *c, size_t size)
{
	if (size > c->out_size) {
		size = c->out_size;
	}
	if (size == 0) {
		return;
	}
	c->out_size -= size;
	memmove(c->out, c->out + size, c->out_size);
	c->last_sent = c->now;
	fill_output(c);
}

/*
 * Life
 */

void
mqtt_init(struct mqtt_client *c, const struct mqtt_settings *settings)
{
	memset(c, 0, sizeof *c);
	c->settings = *settings;
	c->stage = MQTT_OVER;
}

static enum mqtt_event
over(struct mqtt_client *c, enum mqtt_event event)
{
	c->stage = MQTT_OVER;
	c->out_size = 0;
	c->connack.on = c->suback.on = c->pingresp.on = false;
	c->ping_owed = c->unsendable = false;
	return event;
}

/* What was not acknowledged on the old connection is sent again, and says so: 3.3.1.1. */
static void
keep_for_resending(struct mqtt_client *c)
{
	for (unsigned i = 0; i < c->kept_count; i++) {
		struct mqtt_kept *k = &c->kept[i];

		if (k->sent) {
			k->packet[0] |= MQTT_DUP;
		}
		k->sent = false;
		k->answer.on = false;
	}
}

void
mqtt_open(struct mqtt_client *c, uint32_t now_ms)
{
	over(c, MQTT_NOTHING);
	mqtt_decoder_reset(&c->in);
	keep_for_resending(c);
	c->refusal = 0;
	c->now = c->last_sent = c->last_heard = now_ms;
	c->out_size = mqtt_encode_connect(c->out, sizeof c->out, &c->settings);
	c->unsendable = c->out_size == 0;
	c->stage = MQTT_GREETED;
	wait_start(&c->connack);
}

void
mqtt_disconnect(struct mqtt_client *c)
{
	size_t size = 0;

	if (c->stage == MQTT_READY) {
		size = c->out_size;
		size += mqtt_encode_empty(out_end(c), out_room_with_reserve(c), MQTT_DISCONNECT);
	}
	over(c, MQTT_NOTHING);
	c->out_size = size;
}

/*
 * Requests
 */

static bool
id_is_used(const struct mqtt_client *c, uint16_t id)
{
	for (unsigned i = 0; i < c->kept_count; i++) {
		if (c->kept[i].id == id) {
			return true;
		}
	}
	return c->suback.on && c->subscribe_id == id;
}

/* Section 2.3.1: not 0, and not one that still waits for its acknowledgement. */
static uint16_t
free_id(const struct mqtt_client *c)
{
	uint16_t id = c->last_id;

	do {
		id++;
	} while (id == 0 || id_is_used(c, id));
	return id;
}

bool
mqtt_subscribe(struct mqtt_client *c, const char *filter, uint8_t qos)
{
	uint16_t id = free_id(c);
	size_t size;

	if (c->stage != MQTT_READY || c->suback.on || qos > 1) {
		return false;
	}
	size = mqtt_encode_subscribe(out_end(c), out_room(c), filter, qos, id);
	if (size == 0) {
		return false;
	}
	c->out_size += size;
	c->last_id = c->subscribe_id = id;
	c->subscribe_qos = qos;
	wait_start(&c->suback);
	return true;
}

static bool
publish_and_keep(struct mqtt_client *c, const char *topic, const void *payload, size_t size,
                 bool retain)
{
	uint16_t id = free_id(c);
	struct mqtt_kept *k;
	size_t packet_size;

	if (c->kept_count == MQTT_WINDOW) {
		return false;
	}
	k = &c->kept[c->kept_count];
	packet_size =
		mqtt_encode_publish(k->packet, sizeof k->packet, topic, payload, size, id, retain);
	if (packet_size == 0) {
		return false;
	}
	c->last_id = k->id = id;
	k->size = (uint16_t)packet_size;
	k->sent = false;
	k->answer.on = false;
	c->kept_count++;
	fill_output(c);
	return true;
}

bool
mqtt_publish(struct mqtt_client *c, const char *topic, const void *payload, size_t size,
             uint8_t qos, bool retain)
{
	size_t packet_size;

	if (qos == 1) {
		return publish_and_keep(c, topic, payload, size, retain);
	}
	if (qos != 0 || c->stage != MQTT_READY) {
		return false;
	}
	packet_size =
		mqtt_encode_publish(out_end(c), out_room(c), topic, payload, size, 0, retain);
	c->out_size += packet_size;
	return packet_size != 0;
}

/*
 * Answers
 */

/* Section 3.2. With a clean session there is none present: 3.2.2.2. */
static enum mqtt_event
take_connack(struct mqtt_client *c)
{
	uint8_t flags = c->in.body[0], code = c->in.body[1];

	if (c->stage != MQTT_GREETED || flags != 0 || code > 5) {
		return over(c, MQTT_PROTOCOL);
	}
	if (code != 0) {
		c->refusal = code;
		return over(c, MQTT_REFUSED);
	}
	c->connack.on = false;
	c->stage = MQTT_READY;
	return MQTT_CONNECTED; /* what was kept waits for mqtt_tick(): a SUBSCRIBE needs its room */
}

/* One for something that is not waiting for it (any more) does no harm. */
static enum mqtt_event
take_puback(struct mqtt_client *c)
{
	uint16_t id = (uint16_t)(c->in.body[0] << 8 | c->in.body[1]);

	if (id == 0) {
		return over(c, MQTT_PROTOCOL);
	}
	for (unsigned i = 0; i < c->kept_count; i++) {
		if (c->kept[i].id == id && c->kept[i].sent) {
			c->kept_count--;
			memmove(&c->kept[i], &c->kept[i + 1],
			        (c->kept_count - i) * sizeof c->kept[0]);
			fill_output(c);
			return MQTT_PUBLISHED;
		}
	}
	return MQTT_NOTHING;
}

static enum mqtt_event
take_suback(struct mqtt_client *c)
{
	uint16_t id = (uint16_t)(c->in.body[0] << 8 | c->in.body[1]);
	uint8_t code = c->in.body[2];

	if (!c->suback.on || id != c->subscribe_id || (code > c->subscribe_qos && code != 0x80)) {
		return over(c, MQTT_PROTOCOL);
	}
	c->suback.on = false;
	return code == 0x80 ? MQTT_SUBSCRIPTION_REFUSED : MQTT_SUBSCRIBED;
}

/* mqtt_input() has seen to it that there is room. */
static void
acknowledge(struct mqtt_client *c, uint16_t id)
{
	if (id != 0) {
		c->out_size += mqtt_encode_puback(out_end(c), out_room_with_reserve(c), id);
	}
}

static enum mqtt_event
take_publish(struct mqtt_client *c)
{
	uint16_t id;

	if (!mqtt_decode_publish(&c->in, &c->message, &id)) {
		return over(c, MQTT_PROTOCOL);
	}
	acknowledge(c, id);
	return MQTT_MESSAGE;
}

static enum mqtt_event
take_packet(struct mqtt_client *c)
{
	/* Section 3.2: the first packet is the CONNACK. */
	if (c->stage == MQTT_GREETED && c->in.type != MQTT_CONNACK) {
		return over(c, MQTT_PROTOCOL);
	}
	switch (c->in.type) {
	case MQTT_CONNACK:
		return take_connack(c);
	case MQTT_PUBACK:
		return take_puback(c);
	case MQTT_SUBACK:
		return take_suback(c);
	case MQTT_PINGRESP:
		c->pingresp.on = false;
		return MQTT_NOTHING;
	default:
		return take_publish(c);
	}
}

static enum mqtt_event
take_byte(struct mqtt_client *c, uint8_t byte)
{
	switch (mqtt_decode_byte(&c->in, byte)) {
	case MQTT_MORE:
		return MQTT_NOTHING;
	case MQTT_PACKET:
		return take_packet(c);
	case MQTT_TOO_LONG:
		if (c->stage != MQTT_READY) {
			return over(c, MQTT_PROTOCOL);
		}
		c->skipped++;
		acknowledge(c, c->in.id);
		return MQTT_NOTHING;
	case MQTT_MALFORMED:
		break;
	}
	return over(c, MQTT_PROTOCOL);
}

/* An acknowledgement and a ping. */
static bool
can_answer(const struct mqtt_client *c)
{
	return out_room_with_reserve(c) >= 4 + 2;
}

enum mqtt_event
mqtt_input(struct mqtt_client *c, const uint8_t *data, size_t size, size_t *used, uint32_t now_ms)
{
	enum mqtt_event event = MQTT_NOTHING;
	size_t n = 0;

	c->now = now_ms;
	if (size != 0) {
		c->last_heard = now_ms;
	}
	while (n < size && event == MQTT_NOTHING && c->stage != MQTT_OVER && can_answer(c)) {
		event = take_byte(c, data[n++]);
	}
	*used = c->stage == MQTT_OVER ? size : n;
	return event;
}

static bool
is_silent(struct mqtt_client *c)
{
	uint32_t span = c->settings.answer_ms;
	bool silent;

	silent = wait_is_over(&c->connack, c->now, span);
	silent |= wait_is_over(&c->suback, c->now, span);
	silent |= wait_is_over(&c->pingresp, c->now, span);
	for (unsigned i = 0; i < c->kept_count; i++) {
		silent |= wait_is_over(&c->kept[i].answer, c->now, span);
	}
	return silent;
}

/*
 * Not only when we have sent nothing: a device that publishes all the time with
 * QoS 0 would else never learn that nobody is there.
 */
static bool
is_ping_due(const struct mqtt_client *c)
{
	uint32_t span = c->settings.keep_alive * 1000u;

	span -= span / 4; /* the gateway's patience begins where ours ends: 3.1.2.10 */
	return c->stage == MQTT_READY && span != 0 && !c->pingresp.on &&
	       (c->now - c->last_sent >= span || c->now - c->last_heard >= span);
}

enum mqtt_event
mqtt_tick(struct mqtt_client *c, uint32_t now_ms)
{
	c->now = now_ms;
	if (c->stage == MQTT_OVER) {
		return MQTT_NOTHING;
	}
	if (c->unsendable) {
		return over(c, MQTT_PROTOCOL);
	}
	if (is_silent(c)) {
		return over(c, MQTT_SILENT);
	}
	if (is_ping_due(c)) {
		c->ping_owed = true;
		wait_start(&c->pingresp);
		wait_is_over(&c->pingresp, now_ms, 1);
	}
	fill_output(c);
	return MQTT_NOTHING;
}

const struct mqtt_message *
mqtt_message(const struct mqtt_client *c)
{
	return &c->message;
}

uint8_t
mqtt_refusal(const struct mqtt_client *c)
{
	return c->refusal;
}

unsigned
mqtt_pending(const struct mqtt_client *c)
{
	return c->kept_count;
}

uint32_t
mqtt_skipped(const struct mqtt_client *c)
{
	return c->skipped;
}
