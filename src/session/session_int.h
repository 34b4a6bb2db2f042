/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of a session, for the files of this folder only. */
#ifndef GATEWAY_SESSION_SESSION_INT_H
#define GATEWAY_SESSION_SESSION_INT_H

#include "session/device.h"
#include "session/session.h"

/* A last alert or CONNACK gets this long to arrive before the socket goes. */
#define CLOSE_GRACE_MS 2000
/* A handshake is a few kilobytes; more than this unread is no handshake. */
#define HANDSHAKE_BYTES 65536

#define SESSION_STATE_LIST(X)     \
	X(HANDSHAKE, "handshake") \
	X(CONNECT, "connect")     \
	X(DIAL, "dial")           \
	X(LIVE, "live")           \
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
	struct relay_settings settings;
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

/* session_flow.c */
extern const struct stream_calls session_device_calls;
/* Take what is held and what is fresh as far as relay and upstream allow. */
void session_pump(struct session *s, struct span fresh);
/* Send what the batches and the cipher buffer hold; leaves them empty. */
void session_flush(struct session *s);
void session_send_cipher(struct session *s);
struct relay_out session_out(struct session *s);

#endif
