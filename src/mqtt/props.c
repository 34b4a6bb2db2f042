/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Properties (2.2.2): one table says what each may be, and one pass over a
 * list checks everything that can be said about it without its packet.
 */
#include "mqtt/mqtt_int.h"

enum check {
	ANY,
	BOOLEAN,  /* 0 or 1 */
	NOT_ZERO,
	ALIAS,    /* not 0, with a reason code of its own */
	TOPIC,    /* a topic name */
};

#define IN(name) (1u << MQTT_##name)
#define MESSAGE (IN(PUBLISH) | IN(IN_WILL))
#define ACKS (IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP))
#define BY_CLIENT (IN(CONNECT) | IN(SUBSCRIBE) | IN(UNSUBSCRIBE) | IN(IN_WILL))
#define BY_SERVER (IN(CONNACK) | IN(SUBACK) | IN(UNSUBACK))
#define BY_BOTH (IN(PUBLISH) | ACKS | IN(DISCONNECT) | IN(AUTH))

struct rule {
	uint8_t type;            /* enum mqtt_prop_type */
	uint8_t check;           /* enum check */
	uint16_t client, server; /* in which packets of whom, IN() */
	uint16_t repeat;         /* where more than one may stand */
};

/* Table 2-4, and the value rules of section 3. */
static const struct rule rules[] = {
	[MQTT_PROP_PAYLOAD_FORMAT_INDICATOR] = { MQTT_PROP_BYTE, BOOLEAN, MESSAGE, IN(PUBLISH),
	                                         0 },
	[MQTT_PROP_MESSAGE_EXPIRY_INTERVAL] = { MQTT_PROP_FOUR, ANY, MESSAGE, IN(PUBLISH), 0 },
	[MQTT_PROP_CONTENT_TYPE] = { MQTT_PROP_STRING, ANY, MESSAGE, IN(PUBLISH), 0 },
	[MQTT_PROP_RESPONSE_TOPIC] = { MQTT_PROP_STRING, TOPIC, MESSAGE, IN(PUBLISH), 0 },
	[MQTT_PROP_CORRELATION_DATA] = { MQTT_PROP_BINARY, ANY, MESSAGE, IN(PUBLISH), 0 },
	[MQTT_PROP_SUBSCRIPTION_IDENTIFIER] = { MQTT_PROP_VARINT, NOT_ZERO, IN(SUBSCRIBE),
	                                        IN(PUBLISH), IN(PUBLISH) },
	[MQTT_PROP_SESSION_EXPIRY_INTERVAL] = { MQTT_PROP_FOUR, ANY, IN(CONNECT) | IN(DISCONNECT),
	                                        IN(CONNACK), 0 },
	[MQTT_PROP_ASSIGNED_CLIENT_IDENTIFIER] = { MQTT_PROP_STRING, ANY, 0, IN(CONNACK), 0 },
	[MQTT_PROP_SERVER_KEEP_ALIVE] = { MQTT_PROP_TWO, ANY, 0, IN(CONNACK), 0 },
	[MQTT_PROP_AUTHENTICATION_METHOD] = { MQTT_PROP_STRING, ANY, IN(CONNECT) | IN(AUTH),
	                                      IN(CONNACK) | IN(AUTH), 0 },
	[MQTT_PROP_AUTHENTICATION_DATA] = { MQTT_PROP_BINARY, ANY, IN(CONNECT) | IN(AUTH),
	                                    IN(CONNACK) | IN(AUTH), 0 },
	[MQTT_PROP_REQUEST_PROBLEM_INFORMATION] = { MQTT_PROP_BYTE, BOOLEAN, IN(CONNECT), 0, 0 },
	[MQTT_PROP_WILL_DELAY_INTERVAL] = { MQTT_PROP_FOUR, ANY, IN(IN_WILL), 0, 0 },
	[MQTT_PROP_REQUEST_RESPONSE_INFORMATION] = { MQTT_PROP_BYTE, BOOLEAN, IN(CONNECT), 0, 0 },
	[MQTT_PROP_RESPONSE_INFORMATION] = { MQTT_PROP_STRING, ANY, 0, IN(CONNACK), 0 },
	[MQTT_PROP_SERVER_REFERENCE] = { MQTT_PROP_STRING, ANY, 0,
	                                 IN(CONNACK) | IN(DISCONNECT), 0 },
	[MQTT_PROP_REASON_STRING] = { MQTT_PROP_STRING, ANY, ACKS | IN(DISCONNECT) | IN(AUTH),
	                              BY_SERVER | ACKS | IN(DISCONNECT) | IN(AUTH), 0 },
	[MQTT_PROP_RECEIVE_MAXIMUM] = { MQTT_PROP_TWO, NOT_ZERO, IN(CONNECT), IN(CONNACK), 0 },
	[MQTT_PROP_TOPIC_ALIAS_MAXIMUM] = { MQTT_PROP_TWO, ANY, IN(CONNECT), IN(CONNACK), 0 },
	[MQTT_PROP_TOPIC_ALIAS] = { MQTT_PROP_TWO, ALIAS, IN(PUBLISH), IN(PUBLISH), 0 },
	[MQTT_PROP_MAXIMUM_QOS] = { MQTT_PROP_BYTE, BOOLEAN, 0, IN(CONNACK), 0 },
	[MQTT_PROP_RETAIN_AVAILABLE] = { MQTT_PROP_BYTE, BOOLEAN, 0, IN(CONNACK), 0 },
	[MQTT_PROP_USER_PROPERTY] = { MQTT_PROP_PAIR, ANY, BY_CLIENT | BY_BOTH,
	                              BY_SERVER | BY_BOTH,
	                              BY_CLIENT | BY_SERVER | BY_BOTH },
	[MQTT_PROP_MAXIMUM_PACKET_SIZE] = { MQTT_PROP_FOUR, NOT_ZERO, IN(CONNECT), IN(CONNACK), 0 },
	[MQTT_PROP_WILDCARD_SUBSCRIPTION_AVAILABLE] = { MQTT_PROP_BYTE, BOOLEAN,
	                                                0, IN(CONNACK), 0 },
	[MQTT_PROP_SUBSCRIPTION_IDENTIFIER_AVAILABLE] = { MQTT_PROP_BYTE, BOOLEAN, 0, IN(CONNACK),
	                                                  0 },
	[MQTT_PROP_SHARED_SUBSCRIPTION_AVAILABLE] = { MQTT_PROP_BYTE, BOOLEAN, 0, IN(CONNACK), 0 },
};

enum mqtt_prop_type
mqtt_prop_type(uint32_t id)
{
	return id < COUNT_OF(rules) ? (enum mqtt_prop_type)rules[id].type : MQTT_PROP_NONE;
}

/* Take one property apart; text is not looked at. Sets `bad` for an unknown one. */
static void
read_property(struct reader *r, struct mqtt_prop *out)
{
	const uint8_t *start = r->at;
	uint32_t id = read_varint(r);

	*out = (struct mqtt_prop){ .id = (enum mqtt_property)id };
	switch (mqtt_prop_type(id)) {
	case MQTT_PROP_BYTE:
		out->number = read_u8(r);
		break;
	case MQTT_PROP_TWO:
		out->number = read_u16(r);
		break;
	case MQTT_PROP_FOUR:
		out->number = read_u32(r);
		break;
	case MQTT_PROP_VARINT:
		out->number = read_varint(r);
		break;
	case MQTT_PROP_PAIR:
		out->text = read_block(r);
		out->value = read_block(r);
		break;
	case MQTT_PROP_STRING:
	case MQTT_PROP_BINARY:
		out->text = read_block(r);
		break;
	case MQTT_PROP_NONE:
		r->bad = true;
		break;
	}
	out->raw = span_of(start, (size_t)(r->at - start));
}

static int
check_value(const struct rule *rule, const struct mqtt_prop *p, enum mqtt_sender sender,
            enum mqtt_reason *reason)
{
	bool fine = true;

	if ((rule->type == MQTT_PROP_STRING || rule->type == MQTT_PROP_PAIR) &&
	    (!mqtt_text_valid(p->text, sender) || !mqtt_text_valid(p->value, sender))) {
		return mqtt_malformed(reason);
	}
	switch ((enum check)rule->check) {
	case ANY:
		break;
	case BOOLEAN:
		fine = p->number <= 1;
		break;
	case NOT_ZERO:
		fine = p->number > 0;
		break;
	case ALIAS:
		if (p->number == 0) { /* [MQTT-3.3.2-8] */
			*reason = MQTT_TOPIC_ALIAS_INVALID;
			return ERR_PROTOCOL;
		}
		break;
	case TOPIC:
		fine = mqtt_topic_name_valid(p->text);
		break;
	}
	return fine ? 0 : mqtt_protocol(reason);
}

static int
check_place(const struct rule *rule, unsigned where, enum mqtt_sender sender,
            bool again, enum mqtt_reason *reason)
{
	unsigned here = 1u << where;
	unsigned allowed = sender == MQTT_FROM_CLIENT ? rule->client : rule->server;

	if (((rule->client | rule->server) & here) == 0) {
		return mqtt_malformed(reason); /* 2.2.2.2: not valid for its packet type */
	}
	if ((allowed & here) == 0 || (again && (rule->repeat & here) == 0)) {
		return mqtt_protocol(reason);
	}
	return 0;
}

int
mqtt_read_props(struct reader *r, unsigned where, enum mqtt_sender sender,
                struct mqtt_props *out, enum mqtt_reason *reason)
{
	struct span raw = read_bytes(r, read_varint(r));
	struct reader at = reader_of(raw);
	uint64_t present = 0;

	if (r->bad) {
		return mqtt_malformed(reason);
	}
	while (reader_left(&at) > 0) {
		struct mqtt_prop p;
		int rc;

		read_property(&at, &p);
		if (at.bad) {
			return mqtt_malformed(reason);
		}
		rc = check_place(&rules[p.id], where, sender, (present >> p.id & 1) != 0, reason);
		if (rc == 0) {
			rc = check_value(&rules[p.id], &p, sender, reason);
		}
		if (rc != 0) {
			return rc;
		}
		present |= UINT64_C(1) << p.id;
	}
	*out = (struct mqtt_props){ .raw = raw, .present = present };
	return 0;
}

bool
mqtt_props_next(struct reader *at, struct mqtt_prop *out)
{
	if (at->bad || reader_left(at) == 0) {
		return false;
	}
	read_property(at, out);
	return !at->bad;
}

static bool
find(const struct mqtt_props *props, enum mqtt_property id, struct mqtt_prop *out)
{
	struct reader at = reader_of(props->raw);

	if (!mqtt_props_has(props, id)) {
		return false; /* the ordinary case costs no walk */
	}
	while (mqtt_props_next(&at, out)) {
		if (out->id == id) {
			return true;
		}
	}
	return false;
}

uint32_t
mqtt_props_number(const struct mqtt_props *props, enum mqtt_property id, uint32_t otherwise)
{
	struct mqtt_prop p;

	return find(props, id, &p) ? p.number : otherwise;
}

struct span
mqtt_props_string(const struct mqtt_props *props, enum mqtt_property id)
{
	struct mqtt_prop p;

	return find(props, id, &p) ? p.text : span_of(NULL, 0);
}
