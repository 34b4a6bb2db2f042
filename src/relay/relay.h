/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The relay: the protocol state of one device session, without sockets, clock
 * or threads. Bytes of the device go in, bytes for the broker and for the
 * device come out, and the other way round. It decodes strictly, rewrites
 * what carries topics or identity, and passes everything else unchanged, with
 * packet identifiers unchanged: QoS, retained messages, wills, sessions and
 * flow control are the broker's own, and exact.
 *
 * Output goes into two batches, which may reference the input bytes: the
 * caller flushes both before it lets go of the input. Payloads are never
 * collected: only heads and small packets are held, in memory bounded by the
 * limits.
 *
 * Life: relay_new -> relay_from_device until relay_phase is RELAY_DIAL ->
 * (the session dials) -> relay_upstream_open or relay_upstream_failed ->
 * relay_from_device / relay_from_broker -> RELAY_OVER -> relay_free.
 * When the broker goes: relay_upstream_lost -> RELAY_HELD -> (the session
 * waits until what was stored has gone, and dials) -> relay_upstream_open ->
 * RELAY_REOPENING -> RELAY_RESTORING -> RELAY_LIVE.
 * A relay belongs to one worker thread.
 */
#ifndef GATEWAY_RELAY_RELAY_H
#define GATEWAY_RELAY_RELAY_H

#include "base/batch.h"
#include "base/metric.h"
#include "mqtt/mqtt.h"
#include "topic/topic.h"

struct relay;

enum relay_phase {
	RELAY_WAIT_CONNECT, /* the device has not sent a whole CONNECT */
	RELAY_DIAL,         /* a valid CONNECT is held: the upstream is wanted */
	RELAY_WAIT_CONNACK, /* CONNECT went up */
	RELAY_LIVE,
	RELAY_HELD,         /* no broker: what the device publishes is stored */
	RELAY_REOPENING,    /* CONNECT went up again, for a device that is connected */
	RELAY_RESTORING,    /* its subscriptions are made again */
	RELAY_OVER,         /* see relay_ending() */
};

/* A PUBLISH for the store; see spool_message, which has the same fields. */
struct relay_message {
	struct span topic, payload, properties;
	uint32_t expiry; /* seconds from now; UINT32_MAX: none */
	uint8_t qos;     /* 0 or 1 */
	bool retain;
	uint32_t tag;    /* for relay_stored(); 0: nobody waits */
	size_t size;     /* the same */
};

/*
 * Where publishes are kept while the broker is away. put() copies the message;
 * 0 - relay_stored() is called later, never inside; negative - it will not be.
 */
struct relay_spool {
	int (*put)(void *owner, const struct relay_message *message);
	void *owner;
};

/*
 * Where the subscriptions of persistent sessions are kept. identity: of the
 * device, so that what one device may have kept can be bounded.
 */
struct relay_store {
	/* Call each() for every one kept; negative on failure. */
	int (*load)(void *owner, struct span identity, struct span client_id,
	            int (*each)(void *each_owner, struct span filter, uint8_t options, uint32_t id),
	            void *each_owner);
	int (*put)(void *owner, struct span identity, struct span client_id, struct span filter,
	           uint8_t options, uint32_t id);
	int (*remove)(void *owner, struct span client_id, struct span filter);
	int (*clear)(void *owner, struct span client_id); /* cheap when there are none */
	/*
	 * Around the puts and removes of one packet, so that they are one
	 * change of the store: all or none. Not called for a packet that
	 * changes nothing. end: rc is what happened in between, negative
	 * drops it all; returns rc, or the failure to keep it. Both NULL:
	 * each change stands alone. A failure ends the session, before the
	 * device is told that its packet was done: it asks again.
	 */
	int (*begin)(void *owner);
	int (*end)(void *owner, int rc);
	void *owner;
};

struct relay_limits {
	uint32_t packet_size;     /* largest packet from the device, bytes */
	uint32_t packet_memory;   /* largest packet held whole, largest PUBLISH head */
	uint16_t keepalive_max;   /* seconds, 0: no limit */
	unsigned denied_inflight; /* see conf.h */
	unsigned subscriptions;
	unsigned topic_aliases;
	uint32_t hold_memory; /* bytes of forwarded QoS 1 publishes kept until acknowledged */
};

/* Copied; what it points to must stay valid as long as the relay. */
struct relay_settings {
	const struct topic_rules *rules; /* of the device's map */
	struct topic_vars vars;          /* without client_id: that comes with CONNECT */
	const char *client_id;           /* template of the upstream client identifier */
	const char *own_client_id;       /* the same of the gateway's own session: for no device */
	struct span username;            /* the identity */
	const char *password;            /* of the upstream, NULL none */
	struct relay_limits limits;
	struct relay_store store;        /* all NULL: nothing is kept */
	struct relay_spool spool;        /* put NULL: nothing is stored, nobody is held */
	bool hold;         /* this device may be held while the broker is away */
	bool publish_only; /* and, with a persistent session, let in to publish only */
	struct metrics *metrics;         /* of the worker */
};

/* Both batches of the caller; flushed by the caller after every call. */
struct relay_out {
	struct batch *device;
	struct batch *broker;
};

/* The arena that each batch needs, in bytes, for these limits. */
size_t relay_arena_size(const struct relay_limits *limits);

int relay_new(const struct relay_settings *settings, struct relay **out) MUST_CHECK;
void relay_free(struct relay *relay); /* NULL is fine */

enum relay_phase relay_phase(const struct relay *relay);
/*
 * Would bytes of the device be taken now? False in RELAY_DIAL, in
 * RELAY_WAIT_CONNACK (but for its turn in an AUTH exchange), in RELAY_OVER,
 * from relay_pause() to RELAY_LIVE, while as many denied publishes as the
 * limits allow wait for their turn, while many answers to SUBSCRIBE and
 * UNSUBSCRIBE or of the store are awaited, and while much of our own waits for
 * the end of a payload towards the device. (The caller then stops reading, and
 * asks again after each relay_from_broker() and relay_stored().)
 */
bool relay_wants_device(const struct relay *relay);

/*
 * Take bytes. *used tells how many were; the rest must be offered again,
 * after: 0 - relay_wants_device() is true again (or nothing is left);
 * ERR_FULL - the batches were flushed; ERR_CLOSED - never: the phase is
 * RELAY_OVER, what is in the batches is still to be sent and then both sides
 * are closed gently. -ENOMEM ends the session like ERR_CLOSED.
 */
int relay_from_device(struct relay *relay, struct span in, size_t *used,
                      struct relay_out *out) MUST_CHECK;
/*
 * In RELAY_RESTORING ERR_FULL may come although all was used: there is more
 * to be sent, so it is to be called again, with nothing.
 */
int relay_from_broker(struct relay *relay, struct span in, size_t *used,
                      struct relay_out *out) MUST_CHECK;

/*
 * In RELAY_DIAL: connected, send CONNECT. In RELAY_HELD: the same again; nothing
 * of the device may wait in the store any more, and relay_idle() must be true.
 * ERR_CLOSED: this session cannot go on, as its device has been told.
 */
int relay_upstream_open(struct relay *relay, struct relay_out *out) MUST_CHECK;
/* In RELAY_DIAL or RELAY_WAIT_CONNACK: no broker. CONNACK 3 / 0x88 goes out. */
void relay_upstream_failed(struct relay *relay, struct relay_out *out);
/*
 * The broker closed. taken_over: a newer connection of the same upstream
 * client identifier exists (5.0: DISCONNECT 0x8E, else 0x8B).
 */
void relay_upstream_ended(struct relay *relay, bool taken_over, struct relay_out *out);

/* ---- the broker is away ------------------------------------------------------------- */

/*
 * The upstream is gone, and not because of a takeover. RELAY_HELD: the device
 * stays. RELAY_OVER: it could not be held truthfully, and was told (5.0: 0x8B).
 */
enum relay_phase relay_upstream_lost(struct relay *relay, struct relay_out *out);
/*
 * In RELAY_DIAL or RELAY_WAIT_CONNACK, instead of relay_upstream_failed(): let
 * the device in without a broker. RELAY_HELD, or RELAY_OVER with CONNACK 3 or
 * 0x88 when it cannot be let in.
 */
enum relay_phase relay_admit(struct relay *relay, struct relay_out *out);
/* Would relay_admit() let it in? */
bool relay_admissible(const struct relay *relay);
/*
 * The answer to a put(): tag and size of its message, status 0 or why it was
 * not kept. False when that ended the session.
 */
bool relay_stored(struct relay *relay, uint32_t tag, size_t size, int status,
                  struct relay_out *out);
/* In RELAY_HELD: take no more of the device's bytes, the return has begun. */
void relay_pause(struct relay *relay, bool on);
/* Nothing is on its way to the store. */
bool relay_idle(const struct relay *relay);
/* The device is in the middle of a PUBLISH for the store, and may take its time. */
bool relay_halfway(const struct relay *relay);
/* The device acknowledged all that the lost connection had brought. */
bool relay_settled(const struct relay *relay);
/* The store refused what has to be acknowledged: no more of that is taken. */
bool relay_stuck(const struct relay *relay);
/* Does the broker owe an answer? */
bool relay_owed(const struct relay *relay);
/*
 * Nobody will speak to this device any more. A will that no broker knows of
 * goes to the store now, unless the device said DISCONNECT. Once, at the end.
 */
void relay_closing(struct relay *relay);

/*
 * End it from our side: before CONNACK with a CONNACK, in 5.0 with DISCONNECT
 * reason, else silently. The upstream is closed without DISCONNECT, so the
 * broker publishes the will, which is true. text: static, for relay_ending().
 */
void relay_end(struct relay *relay, enum mqtt_reason reason, const char *text,
               struct relay_out *out);

/* ---- facts ------------------------------------------------------------------------- */

enum relay_side { RELAY_SIDE_DEVICE, RELAY_SIDE_BROKER, RELAY_SIDE_GATEWAY };

struct relay_ending {
	enum relay_side side;    /* who caused it */
	enum mqtt_reason reason; /* SUCCESS: the device's own DISCONNECT */
	const char *text;        /* a sentence fragment, static: "sent a second CONNECT" */
};
/* Why it is over; text NULL while it is not. */
struct relay_ending relay_ending(const struct relay *relay);

struct relay_info {
	enum mqtt_version version;   /* 0 before CONNECT */
	uint8_t level;               /* as CONNECT said it, known or not; 0 before */
	struct span device_client_id; /* as the device sent it */
	struct span client_id;        /* upstream; valid from RELAY_DIAL on */
	bool clean_start, session_present;
	uint16_t keep_alive; /* in force, seconds */
	uint64_t publish_up, publish_down, denied, unmapped, bytes_up, bytes_down;
	struct span last_denied; /* topic, cut to 128 bytes */
	size_t subscriptions;
	uint64_t stored;      /* publishes that went to the store */
	bool publish_only;    /* let in so: to be closed when the broker is back */
	bool persistent;      /* its session is to outlive the connection */
};
void relay_info(const struct relay *relay, struct relay_info *out);
/* The compiled map; NULL before CONNECT. */
const struct topic_map *relay_map(const struct relay *relay);
/* Would these rules and variables give this session other rights? (reload) */
bool relay_rights_differ(const struct relay *relay, const struct topic_rules *rules,
                         const struct topic_vars *vars);

#endif
