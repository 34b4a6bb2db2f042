/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/mqtt_walk.h"

#include <ctype.h>
#include <stdlib.h>

#define NO_REASON ((enum mqtt_reason)0)

/* ---- bytes from text ---------------------------------------------------- */

static const char *parse(const char *text, struct writer *w, char end);

static const char *
parse_nested(const char *text, struct writer *w, char end)
{
	size_t size = (size_t)(w->end - w->at);
	uint8_t *memory = malloc(size + 1);
	struct writer inner = writer_of(memory, size);

	text = parse(text, &inner, end);
	if (end == '>') {
		write_block(w, writer_span(&inner));
	} else {
		write_varint(w, (uint32_t)writer_len(&inner));
		write_bytes(w, writer_span(&inner));
	}
	w->bad |= inner.bad;
	free(memory);
	return text;
}

static uint8_t
digit(char c)
{
	if (!isxdigit((unsigned char)c)) {
		abort();
	}
	return (uint8_t)(isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
}

static const char *
parse(const char *text, struct writer *w, char end)
{
	while (*text != end) {
		switch (*text) {
		case ' ':
			text++;
			break;
		case '\'':
			for (text++; *text != '\''; text++) {
				write_u8(w, (uint8_t)*text);
			}
			text++;
			break;
		case '<':
			text = parse_nested(text + 1, w, '>');
			break;
		case '{':
			text = parse_nested(text + 1, w, '}');
			break;
		default:
			write_u8(w, (uint8_t)(digit(text[0]) << 4 | digit(text[1])));
			text += 2;
		}
	}
	return end == '\0' ? text : text + 1;
}

size_t
mqtt_bytes(const char *text, uint8_t *out, size_t size)
{
	struct writer w = writer_of(out, size);

	parse(text, &w, '\0');
	if (w.bad) {
		abort();
	}
	return writer_len(&w);
}

/* ---- the walk ------------------------------------------------------------- */

struct walk {
	struct mqtt_walked out;
	enum mqtt_sender sender;
	enum mqtt_version version;
	struct mqtt_fixed fixed;
	struct span packet; /* header and body as given */
	struct span body;   /* an exact copy */
};

static void
expect(struct walk *k, bool fine, const char *fault)
{
	if (!fine && k->out.fault == NULL) {
		k->out.fault = fault;
	}
}

static struct span
exact_copy(struct span s)
{
	uint8_t *memory = malloc(s.len > 0 ? s.len : 1);

	if (memory == NULL) {
		abort();
	}
	if (s.len > 0) {
		memcpy(memory, s.ptr, s.len);
	}
	return span_of(memory, s.len);
}

static void
release(struct span s)
{
	free((void *)(uintptr_t)s.ptr);
}

static void
walk_props(struct walk *k, const struct mqtt_props *props)
{
	struct reader at = reader_of(props->raw);
	uint64_t seen = 0;
	size_t size = 0;
	struct mqtt_prop p;

	while (mqtt_props_next(&at, &p)) {
		if ((seen >> p.id & 1) == 0) {
			expect(k, mqtt_props_number(props, p.id, ~p.number) == p.number, "number");
			expect(k, span_eq(mqtt_props_string(props, p.id), p.text), "string");
		}
		seen |= UINT64_C(1) << p.id;
		size += p.raw.len;
	}
	expect(k, seen == props->present && size == props->raw.len && !at.bad, "props walk");
	expect(k, mqtt_props_edited_size(props, NULL, 0) == varint_size((uint32_t)size) + size,
	       "props size");
}

/* What the writer made must be the packet, byte for byte. */
static void
same_bytes(struct walk *k, const struct writer *w, size_t size)
{
	expect(k, !w->bad, "writer ran out");
	expect(k, writer_len(w) == size, "size foretold wrongly");
	expect(k, span_eq(writer_span(w), k->packet), "written otherwise");
}

static void
walk_connect(struct walk *k, struct writer *w)
{
	struct mqtt_connect c;

	k->out.rc = mqtt_decode_connect(k->body, &c, &k->out.reason);
	if (k->out.rc == 0) {
		walk_props(k, &c.props);
		walk_props(k, &c.will_props);
		mqtt_write_connect(w, &c, NULL, 0, NULL, 0);
		same_bytes(k, w, mqtt_connect_size(&c, NULL, 0, NULL, 0));
	} else {
		expect(k, c.version >= MQTT_3_1 && c.version <= MQTT_5, "no version");
	}
}

static void
walk_connack(struct walk *k, struct writer *w)
{
	struct mqtt_connack a;

	k->out.rc = mqtt_decode_connack(k->body, k->version, &a, &k->out.reason);
	if (k->out.rc == 0) {
		walk_props(k, &a.props);
		mqtt_write_connack(w, k->version, &a, NULL, 0);
		same_bytes(k, w, writer_len(w));
	}
}

/* The head as it is told with only so much of the body. */
static int64_t
head_with(struct walk *k, size_t len)
{
	struct span part = exact_copy(span_head(k->body, len));
	int64_t head = mqtt_publish_head(part, &k->fixed, k->version);

	release(part);
	return head;
}

static void
walk_publish(struct walk *k, struct writer *w)
{
	int64_t head = head_with(k, k->body.len);
	struct mqtt_publish p;
	struct span copy;

	/* Early knowledge may come, but never change. */
	for (size_t len = 0, last = k->body.len < 300 ? k->body.len : 300; len < last; len++) {
		int64_t early = head_with(k, len);

		expect(k, early == head || early == ERR_MORE, "head changed its mind");
		expect(k, head < 0 || early == head || (int64_t)len < head, "head known too late");
	}
	expect(k, head != ERR_MORE, "head of a whole packet unknown");
	if (head < 0) {
		k->out.rc = (int)head;
		k->out.reason = MQTT_MALFORMED_PACKET;
		return;
	}
	copy = exact_copy(span_head(k->body, (size_t)head));
	k->out.rc = mqtt_decode_publish(copy, &k->fixed, k->sender, k->version, &p,
	                                &k->out.reason);
	if (k->out.rc == 0) {
		walk_props(k, &p.props);
		mqtt_write_publish(w, &p, k->version, NULL, 0);
		write_bytes(w, span_skip(k->body, (size_t)head));
		same_bytes(k, w, mqtt_publish_size(&p, k->version, NULL, 0));
	}
	release(copy);
}

static void
walk_ack(struct walk *k, struct writer *w)
{
	enum mqtt_type type = (enum mqtt_type)k->fixed.type;
	enum mqtt_reason unused = NO_REASON;
	struct mqtt_ack a, again;

	k->out.rc = mqtt_decode_ack(type, k->body, k->sender, k->version, &a, &k->out.reason);
	if (k->out.rc != 0) {
		return;
	}
	walk_props(k, &a.props);
	mqtt_write_ack(w, type, k->version, a.packet_id, a.reason);
	expect(k, !w->bad && writer_len(w) <= MQTT_ACK_MAX, "ack too long");
	expect(k, mqtt_decode_ack(type, span_skip(writer_span(w), 2), k->sender, k->version,
	                          &again, &unused) == 0 &&
	          again.packet_id == a.packet_id && again.reason == a.reason, "ack changed");
}

static void
walk_filters(struct walk *k, struct writer *w)
{
	enum mqtt_type type = (enum mqtt_type)k->fixed.type;
	struct mqtt_filters list;
	struct mqtt_filter f;
	uint32_t count = 0;

	k->out.rc = mqtt_decode_filters(type, k->body, k->version, &list, &k->out.reason);
	if (k->out.rc != 0) {
		return;
	}
	walk_props(k, &list.props);
	mqtt_write_fixed(w, type, k->fixed.flags, k->fixed.remaining);
	write_u16(w, list.packet_id);
	if (k->version == MQTT_5) {
		mqtt_props_write(w, &list.props, NULL, 0);
	}
	while (mqtt_filter_next(&list, type, &f)) {
		struct span group, rest;
		int shared = mqtt_split_shared(f.filter, &group, &rest);

		expect(k, mqtt_topic_filter_valid(f.filter) && shared >= 0, "bad filter let in");
		write_block(w, f.filter);
		if (type == MQTT_SUBSCRIBE) {
			write_u8(w, f.options);
		}
		count++;
	}
	expect(k, count == list.count && count > 0, "filters counted wrongly");
	same_bytes(k, w, k->packet.len);
}

static void
walk_codes(struct walk *k, struct writer *w)
{
	enum mqtt_type type = (enum mqtt_type)k->fixed.type;
	struct mqtt_codes c;

	k->out.rc = mqtt_decode_codes(type, k->body, k->version, &c, &k->out.reason);
	if (k->out.rc == 0) {
		walk_props(k, &c.props);
		mqtt_write_codes(w, type, k->version, &c);
		same_bytes(k, w, mqtt_codes_size(&c, k->version));
	}
}

static void
walk_disconnect(struct walk *k, struct writer *w)
{
	enum mqtt_type type = (enum mqtt_type)k->fixed.type;
	enum mqtt_reason unused = NO_REASON;
	struct mqtt_disconnect d, again;
	size_t header;
	int rc;

	k->out.rc = mqtt_decode_disconnect(type, k->body, k->sender, k->version, &d,
	                                   &k->out.reason);
	if (k->out.rc != 0) {
		return;
	}
	walk_props(k, &d.props);
	mqtt_write_disconnect_edited(w, type, &d, NULL, 0);
	expect(k, !w->bad, "no room for a disconnect");
	header = writer_len(w) < 130 ? 2 : 1 + varint_size(k->fixed.remaining);
	rc = mqtt_decode_disconnect(type, span_skip(writer_span(w), header), k->sender,
	                            k->version, &again, &unused);
	expect(k, rc == 0 && again.reason == d.reason && span_eq(again.props.raw, d.props.raw),
	       "disconnect changed");
}

static void
walk_body(struct walk *k, struct writer *w)
{
	switch ((enum mqtt_type)k->fixed.type) {
	case MQTT_CONNECT:
		walk_connect(k, w);
		break;
	case MQTT_CONNACK:
		walk_connack(k, w);
		break;
	case MQTT_PUBLISH:
		walk_publish(k, w);
		break;
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		walk_ack(k, w);
		break;
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		walk_filters(k, w);
		break;
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		walk_codes(k, w);
		break;
	case MQTT_DISCONNECT:
	case MQTT_AUTH:
		walk_disconnect(k, w);
		break;
	case MQTT_PINGREQ:
	case MQTT_PINGRESP:
		break;
	}
}

struct mqtt_walked
mqtt_walk(struct span in, enum mqtt_sender sender, int version)
{
	struct walk k = { .sender = sender, .version = (enum mqtt_version)version };
	struct span header = exact_copy(span_head(in, 5));
	size_t size;

	k.out.rc = mqtt_decode_fixed(header, sender, version, &k.fixed, &k.out.reason);
	release(header);
	if (k.out.rc == 0) {
		size = mqtt_packet_size(k.fixed.remaining);
		expect(&k, size == (size_t)k.fixed.size + k.fixed.remaining, "packet size");
		if (in.len < size) {
			k.out.rc = ERR_MORE;
		}
	}
	if (k.out.rc == 0) {
		uint8_t *memory = malloc(size + MQTT_ACK_MAX);
		struct writer w = writer_of(memory, size + MQTT_ACK_MAX);

		k.packet = span_head(in, size);
		k.body = exact_copy(span_skip(k.packet, k.fixed.size));
		walk_body(&k, &w);
		release(k.body);
		free(memory);
		k.out.size = size;
	}
	expect(&k, (k.out.rc == 0 || k.out.rc == ERR_MORE) == (k.out.reason == NO_REASON),
	       "reason and error disagree");
	return k.out;
}
