/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of a session, for the files of this folder only. */
#ifndef GATEWAY_SESSION_SESSION_INT_H
#define GATEWAY_SESSION_SESSION_INT_H

#include "session/device.h"
#include "session/session.h"
#include "spool/spool.h"

/* A last alert or CONNACK gets this long to arrive before the socket goes. */
#define CLOSE_GRACE_MS 2000
/* A handshake is a few kilobytes; more than this unread is no handshake. */
#define HANDSHAKE_BYTES 65536

#define SESSION_STATE_LIST(X)     \
	X(HANDSHAKE, "handshake") \
	X(CONNECT, "connect")     \
	X(DIAL, "dial")           \
	X(LIVE, "live")           \
	X(HELD, "held")           \
	X(DRAINING, "draining")   \
	X(RESTORING, "restoring") \
	X(CLOSING, "closing")

enum session_state {
#define X(name, text) SESSION_##name,
	SESSION_STATE_LIST(X)
#undef X
};

/* What is needed only until the device is connected. */
struct attempt {
	uint64_t accepted;     /* loop_now() */
	uint32_t handshake_ms; /* from there to its end */
	bool asked;            /* admit() was, so its answer counts */
	bool random_asked, random_repeated, random_refused;
	char why[DEVICE_WHY_SIZE]; /* of the last refusal by device_admit() */
};

struct session {
	struct worker *worker;
	struct list node; /* in worker->sessions */
	enum session_state state;
	struct stream down; /* the device */
	struct stream up;   /* the broker; in use from DIAL on */
	struct upstream_dial dial;
	struct loop_timer timer; /* the one deadline of the state */
	struct loop_deferred handshake;
	struct tls *tls;
	struct device *device; /* what the certificate was last admitted as */
	char *identity;        /* copy: outlives a device replaced by a resumption */
	struct relay *relay;   /* from CONNECT on */
	struct newest_entry newest;
	struct budget_key budget;
	struct buf cipher; /* arrived, not yet taken by TLS */
	struct buf plain;  /* decrypted, not yet taken by the relay */
	uint64_t active;   /* loop_now() of the last bytes from the device */
	int64_t since;
	unsigned handles;  /* streams and timer not yet closed */
	uint16_t keep_alive;
	uint16_t port;
	bool stale; /* something changed since its admission: to be looked at before the dial */
	bool up_used, up_open, dialling, eof, live_counted;
	/* Without a broker; see session_outage.c. */
	struct list outage;     /* in one of the worker's lists, while it waits */
	struct list stores;     /* requests of the spool that are not answered */
	struct spool_wait wait; /* while `waiting` */
	uint64_t owed_at;       /* since when the broker owes something, while `owing` */
	uint64_t due;           /* when the timer fires; UINT64_MAX: it does not run */
	uint64_t retry_at;      /* HELD: when to try again; 0: when the broker is back */
	uint64_t restore_by;    /* RESTORING: the deadline */
	uint64_t give_up_at;    /* HELD, DRAINING: when one that is stuck is ended; 0: it is not */
	uint64_t settle_by;     /* for the acknowledgement of what the lost connection brought */
	uint8_t attempts;       /* to restore it, in vain */
	uint8_t brief;          /* times in a row that the broker ended it soon and stayed itself */
	unsigned lost_epoch;    /* of the broker, when it last ended it */
	uint64_t lost_at;
	bool waiting, owing, up_closing, held_counted, slot, last_wait, entered;
	bool present; /* counted in worker_shared.presence */
	bool grace; /* its certificate has expired, its map lets it in still */
	char address[STREAM_ADDRESS_SIZE];
	enum diagnose_end end; /* of the device's side, END_OPEN while it is there */
	uint16_t cert_length;  /* bytes of DER */
	uint8_t first_byte;    /* decrypted; 0 none yet */
	bool took_plain;       /* anything was decrypted */
	bool lost;             /* the kernel gave up: nobody confirms */
	bool proved;           /* the device spoke after CONNACK: it works */
	bool denial_told, denied_filter;
	struct attempt *attempt; /* NULL once the device is connected */
};

void session_state_set(struct session *s, enum session_state state);
/* Close both sides after what is queued; why: for the log, static or in s. */
void session_finish(struct session *s, const char *why);
/* The deadline of the state, from now. */
void session_deadline(struct session *s, uint64_t ms);
/* The same, unless it fires earlier anyway. */
void session_due_by(struct session *s, uint64_t when);

/*
 * The device is here: its CONNECT was accepted, by the broker or (held) by
 * us. Once is enough, more does nothing; session_finish() takes it back.
 */
void session_present(struct session *s);
/* Its CONNECT is about to reach the broker: perhaps it takes over an older one. */
void session_arriving(struct session *s);

/* The last of a session's handles frees it. */
void session_handle_closed(void *owner);

/* session_tls.c */
void session_handshake_bytes(struct session *s, struct span bytes);
void session_handshake_run(void *owner);

/* session_diagnose.c */
/* It is about to end: find out why, remember, and say so. why: as session_finish()'s. */
void session_diagnose(struct session *s, const char *why);
/* A topic was denied for the first time (filter: a subscription). */
void session_denied(struct session *s, bool filter);
/* CONNACK went out: give back what only the diagnosis needed. */
void session_connected(struct session *s);
/* The device spoke after CONNACK. */
void session_prove(struct session *s);
/* Does its random number repeat, and is that a reason to refuse it? */
bool session_random_fails(struct session *s);
/* A connection that was not accepted. */
void session_over_limit(struct worker *w, const struct sockaddr *peer, const char *limit);

/* session_spool.c */
struct relay_spool session_spool(struct session *s);
/* Is anything of the device in the spool? */
bool session_has_stored(const struct session *s);
/*
 * Wait until what is there now has gone; then, depending on the state, the
 * dial, session_drained() or session_restore_next(). False: no memory.
 */
bool session_wait_for_store(struct session *s);
void session_wait_cancel(struct session *s);
/* Requests under way are answered to nobody. */
void session_forget_stores(struct session *s);

/* session_outage.c */
/* CONNACK was sent: with an upstream or without. */
static inline bool
session_is_connected(const struct session *s)
{
	return s->state == SESSION_LIVE || s->state == SESSION_HELD ||
	       s->state == SESSION_DRAINING || s->state == SESSION_RESTORING;
}
/* The upstream is gone: hold the device, or end it. */
void session_lost(struct session *s);
/* Ended, if the device has a newer connection. */
bool session_taken_over(struct session *s);
/* In DIAL there is no broker: let the device in without one, or refuse it. */
void session_no_broker(struct session *s, const char *why, bool may_admit);
/* In DIAL: no dial now: it waits for what it stored, was let in, or has ended. */
bool session_waits_for_store(struct session *s);
/* In DRAINING: what was stored has gone, or nearly. */
void session_drained(struct session *s);
/* Towards RESTORING's end. Does nothing while something is still to happen first. */
void session_restore_next(struct session *s);
/* It failed: held again. */
void session_unrestore(struct session *s);
void session_restored(struct session *s);
/* After what may have made it stuck. */
void session_look_stuck(struct session *s);
/* The timer of a connected session: what is due for the broker's sake. */
void session_outage_tick(struct session *s);
/* Bytes went up, or came down. */
void session_owing(struct session *s, bool heard);
/* On its way out. */
void session_outage_end(struct session *s);
/* Close the upstream at once; it may be dialled again when it is gone. */
void session_drop_upstream(struct session *s);

/* session_flow.c */
void session_dial_upstream(struct session *s);
void session_enter_newest(struct session *s);
/* CONNACK was sent. */
void session_went_live(struct session *s);
extern const struct stream_calls session_device_calls;
/* Take what is held and what is fresh as far as relay and upstream allow. */
void session_pump(struct session *s, struct span fresh);
/* Send what the batches and the cipher buffer hold; leaves them empty. */
void session_flush(struct session *s);
void session_send_cipher(struct session *s);
struct relay_out session_out(struct session *s);

#endif
