/* SPDX-License-Identifier: BSD-2-Clause */
/* PUBLISH (3.3): its head only, the payload streams past the codec. */
#include "mqtt/mqtt_int.h"

/* Bytes between topic and properties. */
static size_t
packet_id_size(uint8_t flags)
{
	return MQTT_FLAG_QOS(flags) > 0 ? 2 : 0;
}

int64_t
mqtt_publish_head(struct span body, const struct mqtt_fixed *fixed, enum mqtt_version version)
{
	const size_t props_least = version == MQTT_5 ? 1 : 0;
	size_t head = 2 + packet_id_size(fixed->flags);
	uint32_t props;
	int size;

	body = span_head(body, fixed->remaining);
	if (body.len >= 2) {
		struct reader r = reader_of(body);

		head += read_u16(&r);
	}
	/* Known to be too short, whatever may still arrive. */
	if (head + props_least > fixed->remaining) {
		return ERR_MALFORMED;
	}
	if (body.len < 2) {
		return ERR_MORE;
	}
	if (version != MQTT_5) {
		return (int64_t)head;
	}
	size = mqtt_peek_varint(span_skip(body, head), &props);
	if (size == ERR_MORE && body.len == fixed->remaining) {
		return ERR_MALFORMED; /* the packet ends inside the length */
	}
	if (size < 0) {
		return size;
	}
	head += (size_t)size + props;
	return head <= fixed->remaining ? (int64_t)head : ERR_MALFORMED;
}

/* The topic name, or by alias only [MQTT-3.3.2-1]. */
static int
check_topic(const struct mqtt_publish *p, enum mqtt_sender sender, enum mqtt_version version,
            enum mqtt_reason *reason)
{
	if (p->topic.len == 0 && version == MQTT_5) {
		return mqtt_props_has(&p->props, MQTT_PROP_TOPIC_ALIAS) ? 0 : mqtt_protocol(reason);
	}
	return mqtt_name_valid(p->topic, sender) ? 0 : mqtt_malformed(reason);
}

int
mqtt_decode_publish(struct span head, const struct mqtt_fixed *fixed, enum mqtt_sender sender,
                    enum mqtt_version version, struct mqtt_publish *out, enum mqtt_reason *reason)
{
	struct reader r = reader_of(head);
	struct mqtt_publish p = { .flags = fixed->flags };
	int rc;

	if (head.len > fixed->remaining) {
		return mqtt_malformed(reason);
	}
	p.payload = fixed->remaining - (uint32_t)head.len;
	p.topic = read_block(&r);
	if (packet_id_size(p.flags) > 0) {
		p.packet_id = read_u16(&r);
	}
	if (version == MQTT_5) {
		rc = mqtt_read_props(&r, MQTT_PUBLISH, sender, &p.props, reason);
		if (rc != 0) {
			return rc;
		}
	}
	if (r.bad || reader_left(&r) > 0) {
		return mqtt_malformed(reason);
	}
	rc = check_topic(&p, sender, version, reason);
	if (rc != 0) {
		return rc;
	}
	if (packet_id_size(p.flags) > 0 && p.packet_id == 0) {
		return mqtt_protocol(reason); /* [MQTT-2.2.1-3] */
	}
	*out = p;
	return 0;
}

static size_t
remaining_of(const struct mqtt_publish *p, enum mqtt_version version,
             const struct mqtt_edit *edits, size_t count)
{
	size_t n = 2 + p->topic.len + packet_id_size(p->flags) + p->payload;

	return n + (version == MQTT_5 ? mqtt_props_edited_size(&p->props, edits, count) : 0);
}

size_t
mqtt_publish_size(const struct mqtt_publish *p, enum mqtt_version version,
                  const struct mqtt_edit *edits, size_t count)
{
	size_t n = remaining_of(p, version, edits, count);

	return 1 + varint_size((uint32_t)n) + n;
}

void
mqtt_write_publish(struct writer *w, const struct mqtt_publish *p, enum mqtt_version version,
                   const struct mqtt_edit *edits, size_t count)
{
	mqtt_write_fixed(w, MQTT_PUBLISH, p->flags, remaining_of(p, version, edits, count));
	write_block(w, p->topic);
	if (packet_id_size(p->flags) > 0) {
		write_u16(w, p->packet_id);
	}
	if (version == MQTT_5) {
		mqtt_props_write(w, &p->props, edits, count);
	}
}
