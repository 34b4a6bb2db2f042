/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of this folder share. All on the control thread but the
 * fields of struct presence that its lock guards.
 *
 *   uplink.c    life: new, configure, farewell, close; the gateway's own status
 *   settings.c  a copy of the settings, and what a change is about
 *   trouble.c   why the session is away, said once
 *   session.c   one connection: libmosquitto under the external loop
 *   guard.c     what the broker says, before the library believes it
 *   sent.c      publishes that the broker owes an acknowledgement for
 *   life.c      signs of life: is the broker frozen?
 *   presence.c  who is here
 *   sweep.c     retained "online" of devices that are not here
 *   drain.c     the spool's messages on their way out
 *   refusal.c   those that the broker does not take, told once
 *   watch.c     subscriptions, and who gets what comes
 *   sys.c       the broker's own figures
 */
#ifndef GATEWAY_UPLINK_UPLINK_INT_H
#define GATEWAY_UPLINK_UPLINK_INT_H

#include <mosquitto.h>
#include <pthread.h>

#include "base/list.h"
#include "uplink/uplink.h"

#define KEEPALIVE 60         /* seconds; the library's own, after which it gives a connection up */
#define PRESENCE_BUCKETS 4096
#define SWEEP_MOST 1000      /* strangers corrected in one round */
#define GUARD_WINDOW 65536   /* bytes of the socket's queue that are looked at */
#define WATCH_PAYLOAD 4096   /* bytes of a payload that watchers get */

/* Options of a subscription (MQTT 5 3.8.3.1). */
#define SUB_RETAIN_AS_PUBLISHED 0x08
#define SUB_RETAIN_NEVER 0x20

/* ---- one connection (session.c) ------------------------------------------------ */

/*
 * A libmosquitto instance lives as long as its connection: what is left
 * unacknowledged inside it goes with it, so that the library never resends
 * what the spool offers again.
 */
struct session_link {
	struct uplink *uplink;
	struct mosquitto *mosq;
	struct loop_poll poll;
	int fd;              /* the polled one; -1 none */
	bool polled;         /* `poll` is open */
	bool connected;      /* CONNACK 0 */
	bool over;           /* ended: to be torn down after the library has returned */
	int reason;          /* reason code of CONNACK or DISCONNECT, 0 none */
	int error;           /* of libmosquitto, MOSQ_ERR_SUCCESS none */
	int system;          /* errno with MOSQ_ERR_ERRNO, 0 unknown */
	uint16_t receive_maximum;
	bool waiting;        /* for the rest of a packet: not reading */
	bool inside;         /* a long PUBLISH: the library has begun to read it */
	uint64_t begun;      /* loop_now() of the dial */
};

/* ---- what was sent and not acknowledged (sent.c) ------------------------------- */

enum sent_kind { SENT_STATUS, SENT_PRESENCE, SENT_SPOOL };

struct sent {
	struct list node; /* in uplink.sent, in the order of sending */
	int mid;
	enum sent_kind kind;
	uint64_t sequence;          /* of the spool */
	struct presence_entry *who; /* of presence */
	bool online;
	char text[]; /* of the spool: identity, NUL, topic, NUL */
};

/* ---- what the broker refused (refusal.c) --------------------------------------- */

#define REFUSALS 64

struct refusal {
	uint64_t key;        /* device and reason; a stranger with the same shares the episode */
	uint64_t count;      /* 0: the place is free */
	uint64_t last, said; /* loop_now() */
};

struct refusals {
	struct refusal slot[REFUSALS];
	uint64_t minute;     /* when the one under way began */
	unsigned lines;      /* asked for in it */
	uint64_t unsaid;     /* refusals since the last line */
};

/* ---- presence ------------------------------------------------------------------ */

enum told { TOLD_UNKNOWN, TOLD_OFFLINE, TOLD_ONLINE };

struct presence_entry {
	struct list bucket;
	struct list due;  /* in presence.due when something is to be said */
	bool present;
	bool inflight;    /* said, not acknowledged; then it stays allocated */
	enum told told;   /* what the broker has, as far as we know */
	char identity[];
};

struct presence {
	pthread_mutex_t lock; /* of all but what only the control thread uses, below */
	struct list bucket[PRESENCE_BUCKETS];
	struct list due;
	size_t count;
	bool closed;          /* what comes is not for us any more */
	bool posted;          /* wake is on its way */
	struct loop_message wake;
	uint64_t seed;
	/* the control thread's */
	bool denied;          /* the broker refused one; logged once per connection */
	unsigned inflight;
};

/* ---- the gateway's status ------------------------------------------------------ */

struct status {
	bool due, online, inflight;
};

/* ---- sweep --------------------------------------------------------------------- */

struct sweep {
	enum { SWEEP_IDLE, SWEEP_DUE, SWEEP_ASKED, SWEEP_LISTENING, SWEEP_OVER } phase;
	int mid;            /* of the SUBSCRIBE */
	unsigned seen;      /* retained messages of this round */
	unsigned at_ask;    /* `seen` when the last sign of life was asked for */
	unsigned strangers; /* corrected in this round */
};

/* ---- drain --------------------------------------------------------------------- */

struct drain {
	struct spool_take take;
	bool taking, untake; /* untake: as soon as `take` is answered */
	uint64_t news, seen; /* calls of ready(); seen when `take` began */
	bool more;
	bool paused;         /* the broker said "later" */
	struct loop_timer pause;
	unsigned waiting;    /* sent and not acknowledged */
	bool later;          /* an answer "later" came: wait for the others, then pause */
	unsigned pauses;     /* in a row */
	/* One that the broker may be ending the connection for. */
	uint64_t suspect;    /* sequence, 0 none: sent alone */
	unsigned ends;       /* connections that it ended */
	unsigned others;     /* acknowledged since */
	uint64_t sent_at;    /* loop_now(), of the last message */
	/* One that was answered "later". */
	uint64_t delayed;
	unsigned delays;
};

/* ---- subscriptions ------------------------------------------------------------- */

struct subscription {
	struct list node;
	char *filter;
	unsigned users;
	uint32_t id;
	bool asked; /* on this connection */
};

struct uplink_watch {
	struct list node;
	struct uplink *uplink;
	void (*message)(void *owner, struct span topic, struct span payload, size_t length,
	                uint8_t qos, bool retain);
	void *owner;
	bool dead; /* removed while messages were handed out */
	size_t count;
	struct subscription *sub[];
};

/* ---- signs of life ------------------------------------------------------------- */

struct life {
	struct loop_timer timer;
	uint64_t heard;  /* loop_now() of the last packet from the broker */
	uint64_t asked;  /* uv_hrtime() of the question */
	int mid;         /* of the question; 0: none is open */
	bool suspect;    /* silent too long: one more look at the socket */
	bool frozen;     /* the broker was told so */
};

#define TROUBLES 8

struct trouble {
	const char *text, *remedy;
};

enum uplink_state {
	UPLINK_IDLE,    /* not started, or closed */
	UPLINK_WAITING, /* for the next try */
	UPLINK_TRYING,  /* connection begun, no CONNACK */
	UPLINK_UP,
	UPLINK_LEAVING, /* saying goodbye */
};

struct uplink {
	struct loop *loop;
	struct broker *broker;
	struct spool *spool;
	struct uplink_settings settings; /* strings are ours */
	struct uplink_settings next;     /* after the goodbye, when have_next */
	bool have_next;
	enum uplink_state state;
	struct session_link *link;
	unsigned attempts; /* in a row */
	struct loop_timer retry;
	struct loop_timer second; /* the library's clock */
	struct loop_timer farewell;
	struct list sent;
	unsigned outstanding;
	struct status status;
	struct presence presence;
	struct sweep sweep;
	struct drain drain;
	struct refusals refusals;
	struct list subscriptions, watches;
	uint32_t last_id;
	bool sys_asked;
	bool read_denied; /* a subscription was; logged once per connection */
	bool handing; /* watchers are being called */
	struct life life;
	struct loop_timer unread; /* to look again for the rest of a packet */
	struct uplink_info info;
	struct trouble said[TROUBLES]; /* that were logged since it was last steady */
	unsigned troubles;
	bool up_said;            /* the last line says that it is up */
	bool missed;             /* the broker was not there at the last try, or since */
	bool closing;
	unsigned handles;        /* that must be gone before done() */
	void (*done)(void *owner);
	void *owner;
	uint8_t window[GUARD_WINDOW]; /* guard.c's */
};

/* guard.c */
enum guard {
	GUARD_NONE, /* nothing is there */
	GUARD_WAIT, /* not all of it is */
	GUARD_GOOD, /* the library may read one packet */
	GUARD_BAD,  /* end the connection */
};
enum guard guard_next(struct session_link *link);
/* At the end of a callback: the library is to read no further. */
void guard_stop(void);

/* session.c */
int session_dial(struct uplink *uplink) MUST_CHECK;
/* After each call of the library from outside its callbacks, with what it returned. */
void session_settle(struct uplink *uplink, int rc);
void session_second(void *owner);
void session_unread(void *owner);
void session_disconnect(struct uplink *uplink);
/* Tear it down without a word: the will is for the broker to publish. */
void session_cut(struct uplink *uplink);
static inline bool
session_up(const struct uplink *uplink)
{
	return uplink->link != NULL && uplink->link->connected && !uplink->link->over;
}

/* uplink.c */
void uplink_connected(struct uplink *uplink);
void uplink_second(struct uplink *uplink); /* is over */
/* Is there a session that answers? Notes when that changes. */
void uplink_note(struct uplink *uplink);
void uplink_ended(struct uplink *uplink, const struct session_link *link);
/* Send what is due and has room. Not from a callback of the library. */
void uplink_pump(struct uplink *uplink);
void uplink_handle_gone(void *owner);

/* settings.c */
/* -EINVAL: no client identifier, or no address that needs no look-up. */
int settings_copy(struct uplink_settings *to, const struct uplink_settings *from) MUST_CHECK;
void settings_free(struct uplink_settings *settings); /* what it points to; empty afterwards */
/* The same broker? */
bool settings_same_place(const struct uplink_settings *a, const struct uplink_settings *b);
/* Has nothing changed that the session with the broker was made with? */
bool settings_same_session(const struct uplink_settings *a, const struct uplink_settings *b);

/* trouble.c */
/* text is static, or lives as long as the process. */
void trouble_note(struct uplink *uplink, const char *text);
/* The session is there, or has lasted. */
void trouble_tell_up(struct uplink *uplink);
/* Of a connection that has ended. */
void trouble_end(struct uplink *uplink, const struct session_link *link);

/* sent.c */
unsigned sent_room(const struct uplink *uplink);
int sent_publish(struct uplink *uplink, struct sent *sent, const char *topic, struct span payload,
                 bool retain, const mosquitto_property *properties) MUST_CHECK;
void sent_acked(struct uplink *uplink, int mid, int reason);
void sent_forget(struct uplink *uplink);

/* life.c */
int life_init(struct uplink *uplink) MUST_CHECK;
void life_begin(struct uplink *uplink);  /* a dial */
void life_heard(struct uplink *uplink);  /* any packet */
void life_answer(struct uplink *uplink, int mid);
/* The broker itself ended it or refused the dial. */
void life_gone(struct uplink *uplink);
void life_end(struct uplink *uplink);    /* no connection */

/* presence.c */
int presence_init(struct uplink *uplink) MUST_CHECK;
void presence_free(struct uplink *uplink);
void presence_connected(struct uplink *uplink);
void presence_lost(struct uplink *uplink);
void presence_pump(struct uplink *uplink);
void presence_acked(struct uplink *uplink, struct sent *sent, int reason);
void presence_farewell(struct uplink *uplink);
bool presence_quiet(struct uplink *uplink);
/* A retained "online" was found. True: nobody of that name is here. */
bool presence_stranger(struct uplink *uplink, struct span identity);
/* Parts of the template around ${identity}; false when there is none. */
bool presence_parts(const struct uplink *uplink, struct span *before, struct span *after);

/* sweep.c */
void sweep_connected(struct uplink *uplink);
void sweep_pump(struct uplink *uplink);
void sweep_granted(struct uplink *uplink, int mid);
void sweep_message(struct uplink *uplink, struct span topic, struct span payload, bool retain);
void sweep_alive(struct uplink *uplink);

/* drain.c */
int drain_init(struct uplink *uplink) MUST_CHECK;
void drain_connected(struct uplink *uplink);
void drain_pump(struct uplink *uplink);
void drain_acked(struct uplink *uplink, const struct sent *sent, int reason);
/* The connection has ended; the list of what was sent is still there. */
void drain_lost(struct uplink *uplink, const struct session_link *link);
void drain_close(struct uplink *uplink);

/* refusal.c */
void refusal_note(struct uplink *uplink, const char *identity, const char *topic, int reason,
                  const char *text);

/* watch.c */
#define SYS_ID 1u
#define SWEEP_ID 2u
#define WATCH_ID 3u
int watch_subscribe(struct uplink *uplink, const char *filter, int qos, int options, uint32_t id,
                    int *mid) MUST_CHECK;
void watch_pump(struct uplink *uplink);
void watch_lost(struct uplink *uplink);
/* Somebody has ended the subscription to that filter: who watches it asks again. */
void watch_again(struct uplink *uplink, const char *filter);
void watch_message(struct uplink *uplink, const struct mosquitto_message *message,
                   const mosquitto_property *properties);
void watch_free(struct uplink *uplink);

/* sys.c */
void sys_pump(struct uplink *uplink);
bool sys_is_figure(const char *filter);
void sys_message(struct uplink *uplink, struct span topic, struct span payload);

#endif
