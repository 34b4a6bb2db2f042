/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the relay share. Words used here:
 *
 * stream   one direction: `up` from device to broker, `down` the other way.
 * unit     what is decoded at once: a whole packet, or the head of a PUBLISH.
 * made     a packet of our own, as opposed to one that passes.
 * fold     one SUBSCRIBE or UNSUBSCRIBE of the device whose answer is awaited.
 *
 * Handlers of units are all or nothing: ERR_FULL means that nothing happened
 * and the same unit is offered again. So each one first asks for all the room
 * that it needs, and only then changes state and writes. Before every step
 * both batches have SMALL_ROOM, so that a packet of ours without properties
 * and the words of an ending always fit.
 *
 * Handlers return 0 (the unit is taken), ERR_FULL, ERR_CLOSED (the session is
 * over) or -ENOMEM.
 */
#ifndef GATEWAY_RELAY_RELAY_INT_H
#define GATEWAY_RELAY_RELAY_INT_H

#include "base/buf.h"
#include "base/list.h"
#include "relay/relay.h"

#define SMALL_ROOM 1024u
#define SMALL_PIECES 4u
#define LATER_HIGH 4096u     /* bytes of made packets that wait for the end of a payload */
#define LATER_MAX 65536u     /* the same towards the broker, which cannot be paused */
#define SUBSCRIPTION_BYTES 256u /* memory of one, on average over those allowed */
#define FOLDS_HIGH 16u       /* SUBSCRIBE and UNSUBSCRIBE packets that await their answer */
#define RESUBSCRIBES_MAX 1024u /* packets of our own that one UNSUBSCRIBE may cause */
#define FILTERS_SPARE 64u    /* filters of one packet over the limit of subscriptions */
#define CLIENT_ID_MAX 4096u  /* bytes of an upstream client identifier */
#define LAST_DENIED_MAX 128u
#define ALIAS_WHOLE 1024u    /* bytes of a topic that an alias is restored with */
#define STORES_HIGH 32u      /* publishes on their way to the store */
#define OWED_MAX 4096u       /* acknowledgements that wait behind one of the store */
#define CIRCLES_MAX 3u       /* times that the broker may go over the same packet */
#define WAITING_MAX 16u      /* SUBSCRIBE and UNSUBSCRIBE that wait for the broker */
/* What a device that is let in without a broker is told (mosquitto's own default is 20). */
#define ADMIT_RECEIVE_MAXIMUM 10u
/* What the head of a PUBLISH may take at least, whatever packet_memory says. */
#define HEAD_MIN 65552u

/* An answer that follows when the payload of a dropped PUBLISH is through. */
struct answer {
	uint16_t packet_id;
	uint8_t type; /* MQTT_PUBACK, MQTT_PUBREC or 0: none */
	uint8_t reason;
};

/*
 * A PUBLISH held whole: on its way to the store, or kept while the broker owes
 * its acknowledgement. bytes: topic (of the broker), properties, payload.
 */
struct message {
	struct list node;
	uint32_t number; /* which forwarded one it is */
	uint32_t tag;    /* of the acknowledgement that waits for the store; 0 none */
	uint32_t expiry;
	uint32_t topic, properties, payload; /* lengths */
	uint32_t filled; /* of the payload */
	uint16_t packet_id;
	uint8_t qos;
	bool retain;
	bool kept;       /* in relay.kept: forwarded as well */
	uint8_t bytes[];
};

struct stream {
	struct buf held;  /* the start of a unit that the end of the input cut */
	struct buf later; /* made packets that must not fall into a payload */
	uint32_t left;    /* bytes of payload still to come */
	bool discard;     /* they are dropped */
	struct message *into; /* they are collected, whether dropped or not */
	struct answer answer;
};

struct unit {
	struct mqtt_fixed fixed;
	struct span bytes; /* with fixed header */
	struct span body;  /* without */
	uint32_t payload;  /* bytes that follow, of a PUBLISH */
	bool held;         /* not in the caller's input: to be copied */
	bool oversize;     /* a PUBLISH of the broker: its head is cut after the identifier */
};

/* A set of packet identifiers, sorted. Zero-initialise. */
struct idset {
	uint16_t *id;
	uint32_t count, size;
};

bool idset_has(const struct idset *set, uint16_t id);
int idset_add(struct idset *set, uint16_t id) MUST_CHECK; /* 0 or -ENOMEM */
bool idset_remove(struct idset *set, uint16_t id); /* was it there? */
void idset_clear(struct idset *set);

/* What a rule says of a publish, and so of every later one by alias. */
struct terms {
	bool denied; /* the other side does not know this definition */
	uint8_t max_qos;
	bool clear_retain;
	bool store; /* always by way of the store */
	bool stale; /* the other side does not know it any more: to be defined again */
	bool cut;   /* the topic in the table is not whole */
	uint32_t max_payload;
};

/* What an alias stands for. */
struct alias {
	struct terms terms;
	uint16_t len;
	uint8_t topic[];
};

struct aliases {
	uint16_t max; /* highest alias allowed; 0 forbids */
	bool unsure;  /* a definition may have been missed: an unknown alias is no fault */
	struct alias **at;
};

struct alias *alias_get(const struct aliases *a, uint16_t number); /* NULL: undefined */
/* Define with a copy of the topic. 0 or -ENOMEM. */
int alias_set(struct aliases *a, uint16_t number, struct terms terms,
              struct span topic) MUST_CHECK;
void alias_clear(struct aliases *a);

/*
 * An acknowledgement that waits for its turn: of a denied publish behind those
 * that the broker owes, of a stored one for the store, one of the broker
 * behind one of the store.
 */
struct local_ack {
	uint32_t due; /* when the broker has sent that many */
	uint32_t tag; /* of the store; 0: not waited for */
	struct answer answer;
	bool denied;  /* counts towards limits.denied_inflight */
	bool refused; /* by the store: it is never sent, nor any behind it */
};

struct acks {
	uint32_t forwarded; /* PUBLISH packets with QoS > 0 that went up */
	uint32_t answered;  /* PUBACK and PUBREC that came down */
	struct local_ack *queue; /* ring of `size` */
	unsigned first, count, size;
	unsigned denials; /* of those in the queue */
	unsigned stores;  /* the same, waiting for the store */
	struct idset denied;  /* QoS 2 of the device: its PUBREL is answered here */
	struct idset dropped; /* QoS 2 of the broker: its PUBREL is answered here */
};

struct subscription;
struct fold;

/* How many owners of one broker filter want what. */
struct tally {
	uint16_t owners, qos_1, qos_2, no_local, as_published;
};

struct owned {
	uint64_t part; /* hash of the broker filter */
	uint32_t id;   /* of an owner; unless the table is mixed, of all */
	struct tally all, doomed; /* owners 0: this place is free */
};

struct subscriptions {
	struct subscription **entry;
	size_t count, size;
	size_t bytes; /* of the entries: see subscription_room() */
	struct subscription **slot; /* by device filter: see lookup.c */
	size_t slots;
	struct owned *owned; /* by broker filter */
	size_t owned_count, owned_size;
	uint64_t seed; /* of the hashes; 0: none yet */
	bool mixed; /* some broker filter has, or had, owners with different identifiers */
};

/* What the device may rely on, from the CONNACK that it got (5.0). */
struct terms_told {
	uint32_t packet;     /* largest that the broker takes */
	uint16_t receive, aliases;
	uint8_t qos;
	bool retain, wildcard, ids, shared;
};

struct relay {
	struct relay_settings settings;
	struct relay_out *out; /* of the call that runs */
	struct topic_map *map;
	struct stream up, down;
	struct buf connect; /* the CONNECT for the broker, in RELAY_DIAL */
	struct acks acks;
	struct aliases alias_up, alias_down;
	struct subscriptions subscriptions;
	struct list folds;
	size_t fold_bytes;
	unsigned fold_count;
	uint32_t fold_serial;
	uint16_t own_id; /* of the last SUBSCRIBE of our own; 0: none yet */

	/* For the time without a broker; of sessions that cannot be held: empty. */
	struct list kept;    /* struct message, forwarded and not acknowledged */
	size_t kept_bytes;
	uint32_t unkept;     /* the last one forwarded that was not kept; see unkept_any */
	struct idset up_2;   /* QoS 2 under way from the device */
	struct idset down_1; /* QoS 1 that the device owes an acknowledgement for */
	struct idset down_2; /* QoS 2 under way to the device */
	struct buf waiting;  /* SUBSCRIBE and UNSUBSCRIBE, for the broker's return */
	unsigned waiting_count;
	unsigned circles;    /* times in a row that the broker did not answer what waited */
	uint32_t store_tag;
	unsigned storing;    /* puts that are not answered */
	size_t storing_bytes;
	struct terms_told told;
	size_t restore_at;   /* next subscription to be made again, of restore_count */
	size_t restore_count;
	unsigned restores;   /* whose answer is awaited */
	unsigned pings;      /* PINGREQ that the broker has not answered */
	bool holdable;       /* nothing of this session forbids it for good, but a will */
	bool unkept_any;
	bool has_will;
	bool will_2;         /* 5.0: of QoS 2, which only a broker can grant */
	bool will_owed;      /* no broker knows of it */
	bool admitted;       /* CONNACK was made here */
	bool limited;        /* and said publish only */
	bool paused;
	bool stuck;          /* the store refused a QoS 1: none after it is taken */

	struct relay_ending ending;
	enum relay_phase phase;
	uint32_t device_max; /* largest packet that the device takes */
	uint32_t broker_max;
	uint32_t session_expiry; /* 5.0; before: UINT32_MAX when the session is kept */
	uint16_t keep_alive;
	uint8_t version;     /* 0 before CONNECT */
	uint8_t level;       /* of the protocol, as the device said it */
	bool clean_start, session_present;
	bool quiet;          /* 5.0: Request Problem Information is 0 */
	bool assigned;       /* 5.0: the client identifier came empty */
	bool keep_alive_cut; /* 5.0: Server Keep Alive goes into CONNACK */
	bool authenticates;  /* 5.0: CONNECT named a method, so AUTH may follow */
	bool auth_turn;      /* the device may answer AUTH before CONNACK */
	bool store_begun;    /* the store's end() is owed */

	uint8_t *ids; /* device's client identifier, then the upstream one */
	uint16_t device_id_len, client_id_len;
	uint8_t *last_denied;
	uint8_t last_denied_len;
	uint64_t publish_up, publish_down, denied, unmapped, stored, bytes_up, bytes_down;
};

/* For gatewayctl; without memory it stays as it was. */
void relay_remember_denied(struct relay *r, struct span topic);

static inline bool
relay_is_5(const struct relay *r)
{
	return r->version == MQTT_5;
}

static inline struct span
relay_device_id(const struct relay *r)
{
	return span_of(r->ids, r->device_id_len);
}

static inline struct span
relay_client_id(const struct relay *r)
{
	return r->ids == NULL ? span_of(NULL, 0) :
	                        span_of(r->ids + r->device_id_len, r->client_id_len);
}

/* ${client_id}: what the device sent, or the identity when that was empty. */
struct topic_vars relay_vars(const struct relay *r, const struct topic_vars *base);

static inline void
relay_count(struct relay *r, enum metric which)
{
	metric_add(r->settings.metrics, which, 1);
}

/* ---- framer.c -------------------------------------------------------------- */

/* Take bytes of one direction. As relay_from_device(). */
int framer_run(struct relay *r, struct stream *s, struct span in, size_t *used) MUST_CHECK;
/* The dispatchers of relay.c, one per direction. */
int relay_unit_up(struct relay *r, const struct unit *u) MUST_CHECK;
int relay_unit_down(struct relay *r, const struct unit *u) MUST_CHECK;

/* ---- output.c -------------------------------------------------------------- */

/* The batch that a stream ends in. */
struct batch *out_batch(const struct relay *r, const struct stream *s);
/* Is a payload half way through it? Then nothing else may go. */
static inline bool
out_busy(const struct stream *s)
{
	return s->left > 0 && !s->discard;
}

/* Room for a passing packet: 0, ERR_FULL, ERR_LIMIT (never), nothing is taken. */
int out_room(const struct relay *r, const struct stream *s, size_t made) MUST_CHECK;
/* The same for a made packet, which may have to wait for the end of a payload. */
int out_made_room(const struct relay *r, const struct stream *s, size_t made) MUST_CHECK;
/* Pass a unit as it stands. */
int out_unit(struct relay *r, const struct stream *s, const struct unit *u) MUST_CHECK;
/* A made packet, after out_made_room() or within SMALL_ROOM. 0 or -ENOMEM. */
int out_made(struct relay *r, struct stream *s, struct span packet) MUST_CHECK;
/* An acknowledgement. */
int out_ack(struct relay *r, struct stream *s, enum mqtt_type type, uint16_t packet_id,
            uint8_t reason) MUST_CHECK;
/* What was held back while a payload ran. */
int out_later(struct relay *r, struct stream *s) MUST_CHECK;

/* ---- ending.c --------------------------------------------------------------- */

/* The session is over, without a word. Returns ERR_CLOSED. */
int end_silent(struct relay *r, enum relay_side side, enum mqtt_reason reason, const char *text);
/* The same with the CONNACK or DISCONNECT that fits. Returns ERR_CLOSED. */
int end_session(struct relay *r, enum relay_side side, enum mqtt_reason reason, const char *text);
/* Refuse a CONNECT; say: more words for MQTT 5, or NULL. Returns ERR_CLOSED. */
int end_refused(struct relay *r, enum mqtt_reason reason, const char *text, const char *say);
/* A packet that the specification forbids. Returns ERR_CLOSED. */
int end_malformed(struct relay *r, const struct stream *s, uint8_t type, enum mqtt_reason reason);
int end_forbidden(struct relay *r, const struct stream *s, enum mqtt_reason reason,
                  const char *text);
/* From outside of a call with bytes. */
void end_outside(struct relay *r, enum relay_side side, enum mqtt_reason reason, const char *text,
                 struct relay_out *out);

/* ---- one packet each ---------------------------------------------------------- */

/* Protocol name and level of MQTT 3.1.1 and 5: from here on the version is known. */
#define CONNECT_VERSION_BYTES 7

int connect_take(struct relay *r, const struct unit *u) MUST_CHECK;
/* One that is not held whole; body: what came of it, enough to see an MQTT 5 or not. */
int connect_too_large(struct relay *r, struct span body, enum mqtt_reason reason,
                      const char *text) MUST_CHECK;
int connack_take(struct relay *r, const struct unit *u) MUST_CHECK;
int publish_up(struct relay *r, const struct unit *u) MUST_CHECK;
int publish_down(struct relay *r, const struct unit *u) MUST_CHECK;
int acks_up(struct relay *r, const struct unit *u) MUST_CHECK;
int acks_down(struct relay *r, const struct unit *u) MUST_CHECK;
int subscribe_take(struct relay *r, const struct unit *u) MUST_CHECK;
int unsubscribe_take(struct relay *r, const struct unit *u) MUST_CHECK;
int fold_answer(struct relay *r, const struct unit *u) MUST_CHECK; /* SUBACK, UNSUBACK */

/* The payload of a dropped PUBLISH is through: give its answer. 0, ERR_CLOSED, -ENOMEM. */
int acks_dropped(struct relay *r, struct stream *s) MUST_CHECK;
/* From now on the payload of this unit is dropped, then answer a is given. */
int acks_drop(struct relay *r, struct stream *s, const struct unit *u, struct answer a) MUST_CHECK;
void acks_free(struct acks *a);
/* The publish of that tag waits for the store. 0 or -ENOMEM, ERR_CLOSED. */
int acks_wait(struct relay *r, uint16_t packet_id, uint32_t tag) MUST_CHECK;
/* The store answered. 0, ERR_CLOSED or -ENOMEM. */
int acks_stored(struct relay *r, uint32_t tag, bool refused) MUST_CHECK;
/*
 * The broker is gone: the kept publishes become ones of the store, in the
 * place of the acknowledgement that it owed. 0 or -ENOMEM.
 */
int acks_convert(struct relay *r) MUST_CHECK;
/* Send what is due. 0, ERR_CLOSED or -ENOMEM. */
int acks_settle(struct relay *r) MUST_CHECK;

/* ---- message.c: publishes held whole ---------------------------------------------- */

/* NULL: no memory. topic: of the broker. */
struct message *message_new(const struct mqtt_publish *p, enum mqtt_version version,
                            struct span topic, const struct mqtt_edit *edit, size_t edits);
size_t message_size(const struct mqtt_publish *p, struct span topic,
                    const struct mqtt_edit *edit, size_t edits);
/* More of its payload. */
void message_fill(struct message *m, struct span bytes);
static inline bool
message_whole(const struct message *m)
{
	return m->filled == m->payload;
}
/* To the store, and free it. As acks_settle(). */
int message_store(struct relay *r, struct message *m) MUST_CHECK;
/* The same for one that nobody is told about. */
void message_store_unasked(struct relay *r, struct message *m);
/* All of a stream's payload came that goes into a message. As acks_settle(). */
int message_complete(struct relay *r, struct stream *s) MUST_CHECK;
/* Forwarded: keep a copy until it is acknowledged, if there is room. */
void message_keep(struct relay *r, const struct mqtt_publish *p, struct span topic,
                  const struct mqtt_edit *edit, size_t edits);
/* The broker has it. */
void message_acknowledged(struct relay *r, uint16_t packet_id);
void message_drop(struct relay *r, struct message *m);
void message_free_all(struct relay *r);

/* ---- hold.c, admit.c, restore.c: no broker ------------------------------------------- */

/* CONNACK was sent: what is known since then decides whether it may be held. */
void hold_judge(struct relay *r);
/* Is the device connected? */
static inline bool
relay_connected(const struct relay *r)
{
	return r->phase == RELAY_LIVE || r->phase == RELAY_HELD ||
	       r->phase == RELAY_REOPENING || r->phase == RELAY_RESTORING;
}
/* A packet of the device in RELAY_HELD. */
int hold_unit_up(struct relay *r, const struct unit *u) MUST_CHECK;
/* In RELAY_HELD: CONNECT goes up again. As relay_upstream_open(). */
int restore_open(struct relay *r) MUST_CHECK;
/* The CONNACK of the return. */
int restore_connack(struct relay *r, const struct unit *u) MUST_CHECK;
/* Send more of what restores. 0: all that may go now is sent; ERR_FULL; ... */
int restore_pump(struct relay *r) MUST_CHECK;
/* The answer to a SUBSCRIBE that restores. */
int restore_answer(struct relay *r, const struct fold *f, struct span codes) MUST_CHECK;
void terms_take(struct terms_told *t, const struct mqtt_props *props);

/* ---- fold.c: answers awaited --------------------------------------------------- */

struct fold {
	struct list node;
	uint8_t answer; /* MQTT_SUBACK or MQTT_UNSUBACK */
	bool ours;      /* made by the gateway: the answer is swallowed */
	bool restores;  /* ours, after an outage: code[] is the least that will do */
	bool again;     /* of the device, and waited for the broker's return */
	uint16_t packet_id;
	uint32_t serial;
	uint32_t id;    /* subscription identifier, 0: none */
	uint32_t count; /* filters asked for */
	size_t parts;   /* filters sent to the broker */
	size_t size;    /* of this allocation */
	struct span list; /* the filters, a copy */
	uint8_t *code;    /* per filter, what the device gets */
	uint16_t part[];  /* per filter, how many broker filters; 0: code is final */
};

struct fold *fold_new(const struct mqtt_filters *filters, enum mqtt_type answer);
void fold_add(struct relay *r, struct fold *f);
void fold_free(struct fold *f);
void fold_free_all(struct relay *r);
/*
 * More filters in one packet than the session may have: each is mapped by
 * all rules, so such a packet is not looked at.
 */
bool fold_excessive(const struct relay *r, const struct mqtt_filters *filters);
/* The filters again, from the copy. */
struct mqtt_filters fold_filters(const struct fold *f);
/* Answer without the broker; takes f over but with ERR_FULL. */
int fold_local(struct relay *r, struct fold *f) MUST_CHECK;
/* Forget one that is not to be answered. */
void fold_remove(struct relay *r, struct fold *f);
/*
 * A packet identifier that no fold has, below the last one: to begin at the
 * top each time would cost the square of how many are awaited.
 */
uint16_t fold_next_id(struct relay *r);

/* ---- subscriptions.c: the table of the session ---------------------------------- */

struct subscription {
	uint32_t id;     /* subscription identifier, 0: none */
	uint32_t born;   /* serial of the SUBSCRIBE that made it */
	uint32_t last;   /* and of the last one */
	uint32_t at;     /* its place in the table */
	uint16_t parts, len;
	uint8_t options;
	uint8_t told;    /* the code that the device got, when granted */
	bool granted;
	bool doomed;     /* by the UNSUBSCRIBE that is being handled */
	bool stored;     /* the store has it as it is here */
	uint64_t part[]; /* hashes of the broker filters, then the device filter */
};

static inline struct span
subscription_filter(const struct subscription *s)
{
	return span_of(s->part + s->parts, s->len);
}

/* What the owners of one broker filter want together. */
struct wish {
	unsigned owners;
	uint8_t options;
};

struct subscription *subscription_find(const struct relay *r, struct span filter);
/* What an entry takes; parts: broker filters. */
size_t subscription_size(struct span filter, size_t parts);
/* Is there room for `count` more of `bytes` together? A filter may have 64 KiB. */
bool subscription_room(const struct relay *r, size_t count, size_t bytes);
/* Add or change. 0, -ENOMEM, or what mapping says. */
int subscription_put(struct relay *r, struct span filter, uint8_t options, uint32_t id,
                     uint32_t serial, struct subscription **out) MUST_CHECK;
/* It is about to go, or stays after all. */
void subscription_doom(struct relay *r, struct subscription *s, bool doomed);
void subscription_drop(struct relay *r, struct subscription *s);
void subscription_free_all(struct relay *r);
/* Over all owners, or over those that are not doomed. */
struct wish subscription_wish(struct relay *r, struct span broker_filter, bool doomed_too);
/* An identifier of those that are not doomed, 0: none has one. */
uint32_t subscription_left_id(struct relay *r, struct span broker_filter);
/* Fill the table from the store after CONNACK with session present. */
int subscription_load(struct relay *r) MUST_CHECK;
/* The list of properties with the identifiers of all owners; NULL: no memory. */
uint8_t *subscription_identify(const struct relay *r, struct span device_topic,
                               struct mqtt_props *props);
bool subscription_kept(const struct relay *r);
/* Is a change of the table to be written down? 0 or negative. */
int subscription_store_put(struct relay *r, struct subscription *s) MUST_CHECK;
int subscription_store_remove(struct relay *r, struct span filter) MUST_CHECK;
/* After the last change of a packet; rc: what came of them. Returns that, or the failure. */
int subscription_store_end(struct relay *r, int rc) MUST_CHECK;
int subscription_store_clear(struct relay *r) MUST_CHECK;

/* ---- lookup.c: how that table is searched ------------------------------------------ */

#define NO_LOCAL 0x04u
#define RETAIN_AS_PUBLISHED 0x08u

/* As the parts of an entry are kept. */
uint64_t lookup_hash(struct subscriptions *t, struct span filter);
struct subscription *lookup_filter(const struct subscriptions *t, struct span filter);
const struct owned *lookup_owned(const struct subscriptions *t, uint64_t part); /* NULL: nobody */
/* Room for one more entry; call before lookup_add(). 0 or -ENOMEM. */
int lookup_reserve(struct subscriptions *t, const struct subscription *s) MUST_CHECK;
void lookup_add(struct subscriptions *t, struct subscription *s);
void lookup_remove(struct subscriptions *t, const struct subscription *s);
/* Around a change of options or identifier of one that is there. */
void lookup_discount(struct subscriptions *t, const struct subscription *s);
void lookup_count(struct subscriptions *t, const struct subscription *s);
void lookup_doom(struct subscriptions *t, const struct subscription *s, bool doomed);
void lookup_free(struct subscriptions *t);

#endif
