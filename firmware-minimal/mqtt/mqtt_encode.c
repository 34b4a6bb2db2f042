/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets that this client sends, MQTT 3.1.1 section 3. */
#include <string.h>

#include "mqtt/mqtt_client_int.h"

#define KEEP_WILL_QOS_1 0x08
#define KEEP_WILL_RETAIN 0x20
#define KEEP_WILL 0x04
#define CLEAN_SESSION 0x02

/* Writes as long as there is room; one that overflowed stays so. */
struct writer {
	uint8_t *to;
	size_t room, size;
	bool overflow;
};

static void
put(struct writer *w, const void *data, size_t n)
{
	if (w->overflow || n > w->room - w->size) {
		w->overflow = true;
		return;
	}
	if (n != 0) {
		memcpy(w->to + w->size, data, n);
	}
	w->size += n;
}

static void
put_byte(struct writer *w, uint8_t byte)
{
	put(w, &byte, 1);
}

static void
put_number(struct writer *w, uint16_t number)
{
	put_byte(w, (uint8_t)(number >> 8));
	put_byte(w, (uint8_t)number);
}

static void
put_string(struct writer *w, const char *s)
{
	size_t n = strlen(s);

	if (n > MQTT_PACKET_MAX) {
		w->overflow = true;
		return;
	}
	put_number(w, (uint16_t)n);
	put(w, s, n);
}

/* Fixed header; a packet of at most MQTT_PACKET_MAX has one or two bytes of length. */
static struct writer
begin(uint8_t *to, size_t room, unsigned type, size_t remaining)
{
	struct writer w = { .to = to, .room = room < MQTT_PACKET_MAX ? room : MQTT_PACKET_MAX };

	if (remaining > MQTT_PACKET_MAX) {
		w.overflow = true;
		return w;
	}
	put_byte(&w, (uint8_t)type);
	if (remaining >= 0x80) {
		put_byte(&w, (uint8_t)(remaining | 0x80));
		remaining >>= 7;
	}
	put_byte(&w, (uint8_t)remaining);
	return w;
}

static size_t
end(const struct writer *w)
{
	return w->overflow ? 0 : w->size;
}

static size_t
string_size(const char *s)
{
	return 2 + strlen(s);
}

size_t
mqtt_encode_connect(uint8_t *to, size_t room, const struct mqtt_settings *settings)
{
	size_t remaining = 10 + string_size(settings->client_id);
	uint8_t flags = CLEAN_SESSION;
	struct writer w;

	if (settings->will_topic != NULL) {
		remaining += string_size(settings->will_topic) + string_size(settings->will_message);
		flags |= KEEP_WILL | KEEP_WILL_QOS_1;
		if (settings->will_retain) {
			flags |= KEEP_WILL_RETAIN;
		}
	}
	w = begin(to, room, MQTT_CONNECT, remaining);
	put_string(&w, "MQTT");
	put_byte(&w, 4); /* the level of 3.1.1 */
	put_byte(&w, flags);
	put_number(&w, settings->keep_alive);
	put_string(&w, settings->client_id);
	if (settings->will_topic != NULL) {
		put_string(&w, settings->will_topic);
		put_string(&w, settings->will_message);
	}
	return end(&w);
}

size_t
mqtt_encode_publish(uint8_t *to, size_t room, const char *topic, const void *payload, size_t size,
                    uint16_t id, bool retain)
{
	unsigned type = MQTT_PUBLISH | (id != 0 ? 0x02 : 0) | (retain ? MQTT_RETAIN : 0);
	struct writer w;

	/* Section 3.3.2.1: at least one character, no wildcards. */
	if (topic[0] == '\0' || strpbrk(topic, "+#") != NULL || size > MQTT_PACKET_MAX) {
		return 0;
	}
	w = begin(to, room, type, string_size(topic) + (id != 0 ? 2 : 0) + size);
	put_string(&w, topic);
	if (id != 0) {
		put_number(&w, id);
	}
	put(&w, payload, size);
	return end(&w);
}

size_t
mqtt_encode_subscribe(uint8_t *to, size_t room, const char *filter, uint8_t qos, uint16_t id)
{
	struct writer w;

	if (filter[0] == '\0') {
		return 0;
	}
	w = begin(to, room, MQTT_SUBSCRIBE, 2 + string_size(filter) + 1);
	put_number(&w, id);
	put_string(&w, filter);
	put_byte(&w, qos);
	return end(&w);
}

size_t
mqtt_encode_puback(uint8_t *to, size_t room, uint16_t id)
{
	struct writer w = begin(to, room, MQTT_PUBACK, 2);

	put_number(&w, id);
	return end(&w);
}

size_t
mqtt_encode_empty(uint8_t *to, size_t room, enum mqtt_type type)
{
	struct writer w = begin(to, room, type, 0);

	return end(&w);
}
