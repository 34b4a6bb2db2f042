/* SPDX-License-Identifier: BSD-2-Clause */
/* CONNECT (3.1). */
#include "mqtt/mqtt_int.h"

enum {
	FLAG_RESERVED = 0x01,
	FLAG_CLEAN_START = 0x02,
	FLAG_WILL = 0x04,
	FLAG_WILL_RETAIN = 0x20,
	FLAG_PASSWORD = 0x40,
	FLAG_USERNAME = 0x80,
	WILL_QOS_SHIFT = 3,
};

#define LEVEL_BRIDGE 0x80 /* mosquitto's mark of a bridge, in no specification */

static const char *
name_of(enum mqtt_version version)
{
	return version == MQTT_3_1 ? "MQIsdp" : "MQTT";
}

/* Name and level (3.1.2.1, 3.1.2.2). *version is set in any case. */
static int
decode_version(struct reader *r, enum mqtt_version *version, enum mqtt_reason *reason)
{
	struct span name = read_block(r);
	uint8_t level = read_u8(r);
	uint8_t plain = level & (uint8_t)~LEVEL_BRIDGE;

	*version = MQTT_3_1_1;
	if (r->bad) {
		return mqtt_malformed(reason);
	}
	if (span_eq_str(name, name_of(MQTT_3_1))) {
		*version = MQTT_3_1;
	} else if (span_eq_str(name, name_of(MQTT_5)) && plain >= MQTT_5) {
		*version = MQTT_5;
	}
	if (level != *version || !span_eq_str(name, name_of(*version))) {
		*reason = MQTT_UNSUPPORTED_PROTOCOL_VERSION;
		return ERR_VERSION;
	}
	return 0;
}

static int
decode_flags(struct reader *r, struct mqtt_connect *c, enum mqtt_reason *reason)
{
	uint8_t flags = read_u8(r);

	c->clean_start = (flags & FLAG_CLEAN_START) != 0;
	c->has_will = (flags & FLAG_WILL) != 0;
	c->will_qos = flags >> WILL_QOS_SHIFT & 3;
	c->will_retain = (flags & FLAG_WILL_RETAIN) != 0;
	c->has_password = (flags & FLAG_PASSWORD) != 0;
	c->has_username = (flags & FLAG_USERNAME) != 0;
	if (r->bad || (flags & FLAG_RESERVED) != 0 || c->will_qos == 3 ||
	    (!c->has_will && (c->will_qos != 0 || c->will_retain)) ||
	    (c->version != MQTT_5 && c->has_password && !c->has_username)) {
		return mqtt_malformed(reason);
	}
	return 0;
}

static int
decode_will(struct reader *r, struct mqtt_connect *c, enum mqtt_reason *reason)
{
	int rc = 0;

	if (c->version == MQTT_5) {
		rc = mqtt_read_props(r, MQTT_IN_WILL, MQTT_FROM_CLIENT, &c->will_props, reason);
	}
	if (rc != 0) {
		return rc;
	}
	c->will_topic = read_block(r);
	c->will_payload = read_block(r);
	if (r->bad || !mqtt_name_valid(c->will_topic, MQTT_FROM_CLIENT)) {
		return mqtt_malformed(reason);
	}
	return 0;
}

/* Everything behind the level. */
static int
decode_rest(struct reader *r, struct mqtt_connect *c, enum mqtt_reason *reason)
{
	int rc = decode_flags(r, c, reason);

	c->keep_alive = read_u16(r);
	if (rc == 0 && c->version == MQTT_5) {
		rc = mqtt_read_props(r, MQTT_CONNECT, MQTT_FROM_CLIENT, &c->props, reason);
	}
	c->client_id = mqtt_read_string(r);
	if (rc == 0 && c->has_will) {
		rc = decode_will(r, c, reason);
	}
	if (rc != 0) {
		return rc;
	}
	if (c->has_username) {
		c->username = mqtt_read_string(r);
	}
	if (c->has_password) {
		c->password = read_block(r);
	}
	if (r->bad || reader_left(r) > 0) {
		return mqtt_malformed(reason);
	}
	if (mqtt_props_has(&c->props, MQTT_PROP_AUTHENTICATION_DATA) &&
	    !mqtt_props_has(&c->props, MQTT_PROP_AUTHENTICATION_METHOD)) {
		return mqtt_protocol(reason); /* 3.1.2.11.10 */
	}
	return 0;
}

int
mqtt_decode_connect(struct span body, struct mqtt_connect *out, enum mqtt_reason *reason)
{
	struct reader r = reader_of(body);
	struct mqtt_connect c = { 0 };
	int rc = decode_version(&r, &c.version, reason);

	if (rc == 0) {
		rc = decode_rest(&r, &c, reason);
	}
	if (rc != 0) {
		c = (struct mqtt_connect){ .version = c.version };
	}
	*out = c;
	return rc;
}

static size_t
remaining_of(const struct mqtt_connect *c, const struct mqtt_edit *edits, size_t count,
             const struct mqtt_edit *will_edits, size_t will_count)
{
	size_t n = 2 + strlen(name_of(c->version)) + 1 + 1 + 2 + 2 + c->client_id.len;

	if (c->version == MQTT_5) {
		n += mqtt_props_edited_size(&c->props, edits, count);
	}
	if (c->has_will) {
		n += 2 + c->will_topic.len + 2 + c->will_payload.len;
		if (c->version == MQTT_5) {
			n += mqtt_props_edited_size(&c->will_props, will_edits, will_count);
		}
	}
	if (c->has_username) {
		n += 2 + c->username.len;
	}
	if (c->has_password) {
		n += 2 + c->password.len;
	}
	return n;
}

size_t
mqtt_connect_size(const struct mqtt_connect *c, const struct mqtt_edit *edits, size_t count,
                  const struct mqtt_edit *will_edits, size_t will_count)
{
	size_t n = remaining_of(c, edits, count, will_edits, will_count);

	return 1 + varint_size((uint32_t)n) + n;
}

static uint8_t
flags_of(const struct mqtt_connect *c)
{
	unsigned flags = (c->clean_start ? FLAG_CLEAN_START : 0u) |
	                 (c->has_username ? FLAG_USERNAME : 0u) |
	                 (c->has_password ? FLAG_PASSWORD : 0u);

	if (c->has_will) {
		flags |= FLAG_WILL | (unsigned)c->will_qos << WILL_QOS_SHIFT |
		         (c->will_retain ? FLAG_WILL_RETAIN : 0u);
	}
	return (uint8_t)flags;
}

void
mqtt_write_connect(struct writer *w, const struct mqtt_connect *c, const struct mqtt_edit *edits,
                   size_t count, const struct mqtt_edit *will_edits, size_t will_count)
{
	mqtt_write_fixed(w, MQTT_CONNECT, 0,
	                 remaining_of(c, edits, count, will_edits, will_count));
	write_block(w, span_str(name_of(c->version)));
	write_u8(w, (uint8_t)c->version);
	write_u8(w, flags_of(c));
	write_u16(w, c->keep_alive);
	if (c->version == MQTT_5) {
		mqtt_props_write(w, &c->props, edits, count);
	}
	write_block(w, c->client_id);
	if (c->has_will) {
		if (c->version == MQTT_5) {
			mqtt_props_write(w, &c->will_props, will_edits, will_count);
		}
		write_block(w, c->will_topic);
		write_block(w, c->will_payload);
	}
	if (c->has_username) {
		write_block(w, c->username);
	}
	if (c->has_password) {
		write_block(w, c->password);
	}
}
