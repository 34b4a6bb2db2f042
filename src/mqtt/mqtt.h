/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MQTT codec: 3.1 (protocol level 3), 3.1.1 (4) and 5.0 (5). Pure
 * functions over byte spans: no sockets, no clock, no memory, any thread.
 *
 * Decoding is strict. Whatever the specification calls malformed or a
 * protocol error within one packet is refused here, with the reason code that
 * MQTT 5 wants; nothing is repaired. What needs more than one packet to judge
 * (a second CONNECT, an alias never defined) is the relay's.
 *
 * Decoded structs hold spans into the bytes given: valid as long as those.
 *
 * Clause numbers are those of MQTT 5.0 (OASIS, 7 March 2019) unless "3.1.1"
 * or "3.1" is said.
 */
#ifndef GATEWAY_MQTT_MQTT_H
#define GATEWAY_MQTT_MQTT_H

#include "base/cursor.h"
#include "base/err.h"

enum mqtt_version {
	MQTT_3_1 = 3,
	MQTT_3_1_1 = 4,
	MQTT_5 = 5,
};

/* Control packet types (2.1.2), the high nibble of the first byte. */
enum mqtt_type {
	MQTT_CONNECT = 1,
	MQTT_CONNACK = 2,
	MQTT_PUBLISH = 3,
	MQTT_PUBACK = 4,
	MQTT_PUBREC = 5,
	MQTT_PUBREL = 6,
	MQTT_PUBCOMP = 7,
	MQTT_SUBSCRIBE = 8,
	MQTT_SUBACK = 9,
	MQTT_UNSUBSCRIBE = 10,
	MQTT_UNSUBACK = 11,
	MQTT_PINGREQ = 12,
	MQTT_PINGRESP = 13,
	MQTT_DISCONNECT = 14,
	MQTT_AUTH = 15,
};

/* Who sent the packet: some packets, flags and properties go one way only. */
enum mqtt_sender { MQTT_FROM_CLIENT, MQTT_FROM_SERVER };

/* Reason codes (2.4). */
#define MQTT_REASON_LIST(X)                                        \
	X(SUCCESS, 0x00, "success")                                \
	X(GRANTED_QOS_1, 0x01, "granted QoS 1")                    \
	X(GRANTED_QOS_2, 0x02, "granted QoS 2")                    \
	X(DISCONNECT_WITH_WILL, 0x04, "disconnect with will message") \
	X(NO_MATCHING_SUBSCRIBERS, 0x10, "no matching subscribers") \
	X(NO_SUBSCRIPTION_EXISTED, 0x11, "no subscription existed") \
	X(CONTINUE_AUTHENTICATION, 0x18, "continue authentication") \
	X(REAUTHENTICATE, 0x19, "re-authenticate")                 \
	X(UNSPECIFIED_ERROR, 0x80, "unspecified error")            \
	X(MALFORMED_PACKET, 0x81, "malformed packet")              \
	X(PROTOCOL_ERROR, 0x82, "protocol error")                  \
	X(IMPLEMENTATION_SPECIFIC, 0x83, "implementation specific error") \
	X(UNSUPPORTED_PROTOCOL_VERSION, 0x84, "unsupported protocol version") \
	X(CLIENT_IDENTIFIER_NOT_VALID, 0x85, "client identifier not valid") \
	X(BAD_USER_NAME_OR_PASSWORD, 0x86, "bad user name or password") \
	X(NOT_AUTHORIZED, 0x87, "not authorized")                  \
	X(SERVER_UNAVAILABLE, 0x88, "server unavailable")          \
	X(SERVER_BUSY, 0x89, "server busy")                        \
	X(BANNED, 0x8a, "banned")                                  \
	X(SERVER_SHUTTING_DOWN, 0x8b, "server shutting down")      \
	X(BAD_AUTHENTICATION_METHOD, 0x8c, "bad authentication method") \
	X(KEEP_ALIVE_TIMEOUT, 0x8d, "keep alive timeout")          \
	X(SESSION_TAKEN_OVER, 0x8e, "session taken over")          \
	X(TOPIC_FILTER_INVALID, 0x8f, "topic filter invalid")      \
	X(TOPIC_NAME_INVALID, 0x90, "topic name invalid")          \
	X(PACKET_IDENTIFIER_IN_USE, 0x91, "packet identifier in use") \
	X(PACKET_IDENTIFIER_NOT_FOUND, 0x92, "packet identifier not found") \
	X(RECEIVE_MAXIMUM_EXCEEDED, 0x93, "receive maximum exceeded") \
	X(TOPIC_ALIAS_INVALID, 0x94, "topic alias invalid")        \
	X(PACKET_TOO_LARGE, 0x95, "packet too large")              \
	X(MESSAGE_RATE_TOO_HIGH, 0x96, "message rate too high")    \
	X(QUOTA_EXCEEDED, 0x97, "quota exceeded")                  \
	X(ADMINISTRATIVE_ACTION, 0x98, "administrative action")    \
	X(PAYLOAD_FORMAT_INVALID, 0x99, "payload format invalid")  \
	X(RETAIN_NOT_SUPPORTED, 0x9a, "retain not supported")      \
	X(QOS_NOT_SUPPORTED, 0x9b, "QoS not supported")            \
	X(USE_ANOTHER_SERVER, 0x9c, "use another server")          \
	X(SERVER_MOVED, 0x9d, "server moved")                      \
	X(SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, 0x9e, "shared subscriptions not supported") \
	X(CONNECTION_RATE_EXCEEDED, 0x9f, "connection rate exceeded") \
	X(MAXIMUM_CONNECT_TIME, 0xa0, "maximum connect time")      \
	X(SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED, 0xa1, "subscription identifiers not supported") \
	X(WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED, 0xa2, "wildcard subscriptions not supported")

enum mqtt_reason {
#define X(name, code, text) MQTT_##name = (code),
	MQTT_REASON_LIST(X)
#undef X
};

/* The words of a reason code, "reason 0xNN unknown" for others; static. */
const char *mqtt_reason_text(uint8_t code);

/* CONNACK return codes of 3.1.1 (3.1.1 3.2.2.3). */
enum mqtt_return {
	MQTT_RETURN_ACCEPTED = 0,
	MQTT_RETURN_VERSION = 1,
	MQTT_RETURN_IDENTIFIER = 2,
	MQTT_RETURN_UNAVAILABLE = 3,
	MQTT_RETURN_CREDENTIALS = 4,
	MQTT_RETURN_NOT_AUTHORIZED = 5,
};

/* ---- fixed header (2.1) ------------------------------------------------- */

struct mqtt_fixed {
	uint8_t type;      /* enum mqtt_type */
	uint8_t flags;     /* low nibble of the first byte */
	uint8_t size;      /* bytes of this header, 2 to 5 */
	uint32_t remaining; /* bytes that follow it */
};

/*
 * Decode the fixed header at the start of `in`. Checks the type against the
 * sender and version, the reserved flags [MQTT-2.1.3-1], QoS 3, DUP with
 * QoS 0, and that the length has at most four bytes. version is 0 before
 * CONNECT: then only CONNECT is allowed, and AUTH needs MQTT_5. PINGREQ and
 * PINGRESP have no decoder of their own: that they are empty is checked here.
 * The first byte is judged as soon as it is there.
 * 0, ERR_MORE (fewer bytes than the header has), ERR_MALFORMED or
 * ERR_PROTOCOL; *reason is set with the last two.
 */
int mqtt_decode_fixed(struct span in, enum mqtt_sender sender, int version,
                      struct mqtt_fixed *out, enum mqtt_reason *reason) MUST_CHECK;
/* Type, flags and length; a length over VARINT_MAX sets `bad`. */
void mqtt_write_fixed(struct writer *w, enum mqtt_type type, uint8_t flags, size_t remaining);

/* Bytes of a whole packet with that many remaining: header included. */
static inline size_t
mqtt_packet_size(uint32_t remaining)
{
	return 1 + varint_size(remaining) + remaining;
}

/* Flags of the PUBLISH fixed header (3.3.1). */
#define MQTT_FLAG_RETAIN 0x01u
#define MQTT_FLAG_QOS(flags) ((unsigned)(flags) >> 1 & 3u)
#define MQTT_FLAG_DUP 0x08u

/* ---- properties (2.2.2) --------------------------------------------------- */

enum mqtt_property {
	MQTT_PROP_PAYLOAD_FORMAT_INDICATOR = 1,
	MQTT_PROP_MESSAGE_EXPIRY_INTERVAL = 2,
	MQTT_PROP_CONTENT_TYPE = 3,
	MQTT_PROP_RESPONSE_TOPIC = 8,
	MQTT_PROP_CORRELATION_DATA = 9,
	MQTT_PROP_SUBSCRIPTION_IDENTIFIER = 11,
	MQTT_PROP_SESSION_EXPIRY_INTERVAL = 17,
	MQTT_PROP_ASSIGNED_CLIENT_IDENTIFIER = 18,
	MQTT_PROP_SERVER_KEEP_ALIVE = 19,
	MQTT_PROP_AUTHENTICATION_METHOD = 21,
	MQTT_PROP_AUTHENTICATION_DATA = 22,
	MQTT_PROP_REQUEST_PROBLEM_INFORMATION = 23,
	MQTT_PROP_WILL_DELAY_INTERVAL = 24,
	MQTT_PROP_REQUEST_RESPONSE_INFORMATION = 25,
	MQTT_PROP_RESPONSE_INFORMATION = 26,
	MQTT_PROP_SERVER_REFERENCE = 28,
	MQTT_PROP_REASON_STRING = 31,
	MQTT_PROP_RECEIVE_MAXIMUM = 33,
	MQTT_PROP_TOPIC_ALIAS_MAXIMUM = 34,
	MQTT_PROP_TOPIC_ALIAS = 35,
	MQTT_PROP_MAXIMUM_QOS = 36,
	MQTT_PROP_RETAIN_AVAILABLE = 37,
	MQTT_PROP_USER_PROPERTY = 38,
	MQTT_PROP_MAXIMUM_PACKET_SIZE = 39,
	MQTT_PROP_WILDCARD_SUBSCRIPTION_AVAILABLE = 40,
	MQTT_PROP_SUBSCRIPTION_IDENTIFIER_AVAILABLE = 41,
	MQTT_PROP_SHARED_SUBSCRIPTION_AVAILABLE = 42,
};

/*
 * A property list that has been checked: every identifier known and allowed
 * in that packet from that sender, none twice that may come once, every value
 * complete and in range, strings in UTF-8. `raw` is the list without its
 * length. Versions before 5 have an empty one.
 */
struct mqtt_props {
	struct span raw;
	uint64_t present; /* bit per identifier */
};

static inline bool
mqtt_props_has(const struct mqtt_props *props, enum mqtt_property id)
{
	return (props->present >> id & 1) != 0;
}

/* A property of number type (byte, two, four, variable); otherwise if absent. */
uint32_t mqtt_props_number(const struct mqtt_props *props, enum mqtt_property id,
                           uint32_t otherwise);
/* A property of string or binary type; empty if absent. */
struct span mqtt_props_string(const struct mqtt_props *props, enum mqtt_property id);

/* One step through a checked list. */
struct mqtt_prop {
	enum mqtt_property id;
	uint32_t number;  /* when of number type */
	struct span text; /* when string or binary; the name of a user property */
	struct span value; /* of a user property */
	struct span raw;  /* identifier and value as they stand in the packet */
};

/* True and the next property, false at the end. Start with reader_of(raw). */
bool mqtt_props_next(struct reader *at, struct mqtt_prop *out);

/*
 * One change to a list on its way through: replace or add (text or number) or
 * remove. Everything else is copied byte for byte, order kept; a replaced
 * property keeps its place, an added one goes last. Of two edits of one
 * property the first counts; user properties can only be removed, all of
 * them. An edit whose value does not fit the type sets `bad` in the writer.
 */
struct mqtt_edit {
	enum mqtt_property id;
	enum { MQTT_EDIT_REMOVE, MQTT_EDIT_NUMBER, MQTT_EDIT_STRING } what;
	uint32_t number;
	struct span text;
};

/* Bytes of the list (with its length field) after the edits. */
size_t mqtt_props_edited_size(const struct mqtt_props *props, const struct mqtt_edit *edits,
                              size_t count);
/* Write the list, length field first, with the edits applied. */
void mqtt_props_write(struct writer *w, const struct mqtt_props *props,
                      const struct mqtt_edit *edits, size_t count);

/* ---- packets ------------------------------------------------------------- */
/*
 * `body` is the packet after its fixed header, complete unless said
 * otherwise. Bytes left over after the last field are malformed. All return
 * 0, ERR_MALFORMED or ERR_PROTOCOL, with *reason set on failure: 0x81 for what
 * cannot be parsed (including a property that the packet type does not have),
 * 0x82 for values, duplicates and directions that are not allowed, 0x94 for
 * topic alias 0.
 */

struct mqtt_connect {
	enum mqtt_version version;
	bool clean_start;
	bool has_will, will_retain;
	uint8_t will_qos;
	bool has_username, has_password;
	uint16_t keep_alive; /* seconds, 0: none */
	struct mqtt_props props;
	struct span client_id;
	struct mqtt_props will_props;
	struct span will_topic, will_payload;
	struct span username, password;
};

/*
 * ERR_VERSION with reason 0x84 for an unknown name or level. Level bit 7 (the
 * bridge bit of mosquitto) counts as unknown. out->version is then the
 * nearest known one, so that the caller can choose the shape of the CONNACK;
 * it is set with every other error too (3.1.1 when nothing could be read),
 * and the rest of *out is zero.
 * An empty client identifier is decoded; whether it may be used is the
 * relay's question. Password without user name: malformed before 5.
 * The will topic is checked as a topic name.
 */
int mqtt_decode_connect(struct span body, struct mqtt_connect *out,
                        enum mqtt_reason *reason) MUST_CHECK;
/* Size of, and the whole packet with fixed header. */
size_t mqtt_connect_size(const struct mqtt_connect *c, const struct mqtt_edit *edits, size_t count,
                         const struct mqtt_edit *will_edits, size_t will_count);
void mqtt_write_connect(struct writer *w, const struct mqtt_connect *c,
                        const struct mqtt_edit *edits, size_t count,
                        const struct mqtt_edit *will_edits, size_t will_count);

struct mqtt_connack {
	bool session_present;
	uint8_t code; /* return code or reason code, by version */
	struct mqtt_props props;
};

int mqtt_decode_connack(struct span body, enum mqtt_version version, struct mqtt_connack *out,
                        enum mqtt_reason *reason) MUST_CHECK;
/* 3.1 has no session present: it is not written there. */
void mqtt_write_connack(struct writer *w, enum mqtt_version version, const struct mqtt_connack *a,
                        const struct mqtt_edit *edits, size_t count);

struct mqtt_publish {
	uint8_t flags;      /* as in the fixed header */
	struct span topic;  /* empty: by alias (5.0 only) */
	uint16_t packet_id; /* 0 with QoS 0 */
	struct mqtt_props props;
	uint32_t payload;   /* bytes of payload that follow the head */
};

/*
 * Bytes of the variable header (topic, packet identifier, properties) of a
 * PUBLISH, looking only at what is there: > 0, ERR_MORE when its length
 * cannot be told yet, ERR_MALFORMED when it is over `remaining`.
 */
int64_t mqtt_publish_head(struct span body, const struct mqtt_fixed *fixed,
                          enum mqtt_version version) MUST_CHECK;
/*
 * Decode that head (exactly the bytes mqtt_publish_head() told). Topic: UTF-8,
 * no NUL, no wildcard, not empty unless an alias is there; packet identifier
 * not 0; alias not 0; a client sends no subscription identifier; response
 * topic: a topic name, not empty.
 */
int mqtt_decode_publish(struct span head, const struct mqtt_fixed *fixed,
                        enum mqtt_sender sender, enum mqtt_version version,
                        struct mqtt_publish *out, enum mqtt_reason *reason) MUST_CHECK;
/* Fixed and variable header; the payload is the caller's. */
size_t mqtt_publish_size(const struct mqtt_publish *p, enum mqtt_version version,
                         const struct mqtt_edit *edits, size_t count); /* with payload */
void mqtt_write_publish(struct writer *w, const struct mqtt_publish *p, enum mqtt_version version,
                        const struct mqtt_edit *edits, size_t count);

/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
struct mqtt_ack {
	uint16_t packet_id;
	uint8_t reason; /* 0 before 5.0; of a server also 0x95 in PUBACK and PUBREC */
	struct mqtt_props props;
};

int mqtt_decode_ack(enum mqtt_type type, struct span body, enum mqtt_sender sender,
                    enum mqtt_version version, struct mqtt_ack *out,
                    enum mqtt_reason *reason) MUST_CHECK;
#define MQTT_ACK_MAX 6
/* An ack without properties; reason only in 5.0 and only when not 0. */
void mqtt_write_ack(struct writer *w, enum mqtt_type type, enum mqtt_version version,
                    uint16_t packet_id, uint8_t reason);

/* SUBSCRIBE and UNSUBSCRIBE: header fields, then the filters one by one. */
struct mqtt_filters {
	uint16_t packet_id;
	struct mqtt_props props;
	struct reader list; /* checked: walk it with mqtt_filter_next() */
	uint32_t count;     /* at least 1 */
};

struct mqtt_filter {
	struct span filter; /* not empty, valid as a filter, $share checked */
	uint8_t options;    /* of SUBSCRIBE (3.8.3.1), reserved bits 0; QoS only before 5 */
};

/*
 * Every filter is checked (4.7, and 4.8.2 for $share: group not empty and
 * without wildcards, No Local not set) before the first is handed out.
 */
int mqtt_decode_filters(enum mqtt_type type, struct span body, enum mqtt_version version,
                        struct mqtt_filters *out, enum mqtt_reason *reason) MUST_CHECK;
bool mqtt_filter_next(struct mqtt_filters *list, enum mqtt_type type, struct mqtt_filter *out);

/* SUBACK and UNSUBACK: codes is empty for UNSUBACK before 5. */
struct mqtt_codes {
	uint16_t packet_id;
	struct mqtt_props props;
	struct span codes;
};

int mqtt_decode_codes(enum mqtt_type type, struct span body, enum mqtt_version version,
                      struct mqtt_codes *out, enum mqtt_reason *reason) MUST_CHECK;
size_t mqtt_codes_size(const struct mqtt_codes *c, enum mqtt_version version);
void mqtt_write_codes(struct writer *w, enum mqtt_type type, enum mqtt_version version,
                      const struct mqtt_codes *c);

/* DISCONNECT and AUTH. Before 5 DISCONNECT is empty and from the client only. */
struct mqtt_disconnect {
	uint8_t reason;
	struct mqtt_props props;
};

int mqtt_decode_disconnect(enum mqtt_type type, struct span body, enum mqtt_sender sender,
                           enum mqtt_version version, struct mqtt_disconnect *out,
                           enum mqtt_reason *reason) MUST_CHECK;
/* DISCONNECT; text (may be empty) becomes the reason string. 5.0 only. */
void mqtt_write_disconnect(struct writer *w, uint8_t reason, struct span text);
/*
 * DISCONNECT or AUTH with its properties edited, in the shortest form that
 * says it. 5.0 only.
 */
void mqtt_write_disconnect_edited(struct writer *w, enum mqtt_type type,
                                  const struct mqtt_disconnect *d,
                                  const struct mqtt_edit *edits, size_t count);

/* The return code of 3.1.1 that says most nearly what the reason code says. */
uint8_t mqtt_return_of(uint8_t reason);

/* ---- topics (4.7), shared with topic/ ------------------------------------- */

/*
 * UTF-8 without NUL, 1 to 65,535 bytes, no wildcard. One that a device sends
 * also has no control characters and no non-characters.
 */
bool mqtt_topic_name_valid(struct span name);
/* As a device may send it, wildcards only where 4.7.1 allows them. Not for $share. */
bool mqtt_topic_filter_valid(struct span filter);
/*
 * Split "$share/GROUP/FILTER" (4.8.2). 1 and both outputs when it is one, 0
 * when the filter is not shared, ERR_MALFORMED when it begins with "$share/"
 * but is none.
 */
int mqtt_split_shared(struct span filter, struct span *group, struct span *rest) MUST_CHECK;

#endif
