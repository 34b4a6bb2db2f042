/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conversations for the tests of the relay: what the device or the broker
 * sends, and byte for byte what each side must get for it. Every one is
 * played whole, split at every byte, byte by byte, and into batches that are
 * nearly full; the outcome must be the same.
 */
#ifndef TESTS_UNIT_RELAY_TALK_H
#define TESTS_UNIT_RELAY_TALK_H

#include "relay/relay.h"

enum talk_kind {
	TALK_STOP, /* end of the list */
	DEVICE,    /* the device sends */
	BROKER,    /* the broker sends */
	OPEN,      /* the upstream is connected */
	FAIL,      /* there is no broker */
	GONE,      /* the broker closed */
	TAKEN,     /* and a newer connection exists */
	END,       /* the gateway ends it: server shutting down */
	LOST,      /* the broker closed, and the device may be held */
	ADMIT,     /* there is no broker, and the device may be let in */
	STORED,    /* the store keeps the oldest that it was given */
	REFUSED,   /* or does not */
	CLOSING,   /* the connection of the device ends */
};

struct talk {
	enum talk_kind kind;
	const char *bytes;  /* packets as text, see unit/mqtt_walk.h */
	const char *broker; /* what the broker must get; NULL: nothing */
	const char *device; /* what the device must get; NULL: nothing */
};

struct scene {
	const char *name;
	const struct talk *talk;
	/*
	 * NULL: Home, log/+, q0 (QoS 0), plain (retain cleared), tiny (4 bytes), kept, same;
	 * inTopic, all/#, reply/+.
	 */
	const struct topic_rules *rules;
	const char *client_id;           /* NULL: "${identity}" */
	const char *password;
	struct relay_limits limits;      /* zero fields: generous */
	const char *const *kept;         /* device filters in the store (QoS 1), NULL-terminated */
	const char *store;               /* what the store must have seen */
	bool store_fails;                /* it keeps no change */
	bool hold, publish_only;
	const char *spooled; /* what the spool must have been given: "QoS topic payload;..." */
	/* How it must end; text NULL: not at all. */
	struct relay_ending ending;
};

/* Play each in all ways; fails the test. */
void talk_play_all(const struct scene *scenes, size_t count);

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* A clean 3.1.1 session, up to CONNACK. */
#define CONNECT_3 { DEVICE, "10{<'MQTT'>04 02 003c<'c1'>}", NULL, NULL }
#define OPEN_3 { OPEN, NULL, "10{<'MQTT'>04 82 003c<'dev'><'dev'>}", NULL }
#define CONNACK_3 { BROKER, "20 02 00 00", NULL, "20 02 00 00" }
#define LIVE_3 CONNECT_3, OPEN_3, CONNACK_3
/* The same in 5.0. */
#define CONNECT_5 { DEVICE, "10{<'MQTT'>05 02 003c{}<'c1'>}", NULL, NULL }
#define OPEN_5 { OPEN, NULL, "10{<'MQTT'>05 82 003c{}<'dev'><'dev'>}", NULL }
#define CONNACK_5 { BROKER, "20{00 00{}}", NULL, "20{00 00{}}" }
#define LIVE_5 CONNECT_5, OPEN_5, CONNACK_5

#define TALK(...) (const struct talk[]){ __VA_ARGS__, { TALK_STOP } }
#define ENDS(by, why, words) { RELAY_SIDE_##by, MQTT_##why, words }

/* ---- by hand -------------------------------------------------------------------- */

struct talk_sink {
	uint8_t *bytes;
	size_t len, size;
};

struct talker {
	struct relay *relay;
	struct relay_settings settings;
	struct metrics metrics;
	struct batch device, broker;
	struct talk_sink to_device, to_broker;
	char store[1024];
	const char *const *kept;
	bool store_fails;
	char spooled[1024];
	struct { uint32_t tag; size_t size; } given[16]; /* to the spool, not answered */
	unsigned givens;
	unsigned pieces_left; /* of a batch before each step; 0: all */
	size_t arena_left;
	unsigned refused; /* calls that returned ERR_FULL */
};

void talk_start(struct talker *t, const struct scene *scene);
void talk_stop(struct talker *t);
/* Offer all the bytes, in one piece; false when the relay is over or wants no more. */
bool talk_feed(struct talker *t, enum talk_kind from, struct span bytes);
void talk_do(struct talker *t, enum talk_kind what);
void talk_forget(struct talker *t); /* what came out so far */

#endif
