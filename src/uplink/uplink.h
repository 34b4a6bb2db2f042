/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway's own MQTT 5 session with the broker, by libmosquitto: it tells
 * who is there (presence, status with a will), drains the spool, reads $SYS,
 * asks the broker for a sign of life so that a frozen one is found, and feeds
 * `gatewayctl watch ID`. Driven by the control thread's loop (session.c tells
 * by which rules); only this folder knows libmosquitto. Never blocks. All
 * functions: control thread, unless they say otherwise.
 */
#ifndef GATEWAY_UPLINK_UPLINK_H
#define GATEWAY_UPLINK_UPLINK_H

#include "loop/loop.h"
#include "spool/spool.h"
#include "upstream/upstream.h"

struct uplink;

/* Copied by uplink_new() and uplink_configure(). */
struct uplink_settings {
	const char *path, *address; /* as upstream_settings */
	uint16_t port;
	const char *client_id;      /* expanded */
	const char *username, *password; /* NULL: none */
	unsigned retry_min, retry_max;   /* ms */
	unsigned response_timeout;       /* ms: a broker that answers nothing for so long is frozen */
	const char *status_topic;   /* expanded; NULL: none. "online" / "offline", retained, also the will */
	const char *presence_topic; /* template with ${identity} still in it; NULL: none */
	unsigned inflight;          /* messages of the spool unacknowledged at once; at most 20 by default */
};

/*
 * spool may be NULL (nothing is drained). broker is told by broker_frozen(),
 * broker_alive() and broker_gone() what this session finds out. -EINVAL: no
 * client_id, or an address that is a name; -ENOMEM.
 */
int uplink_new(struct loop *loop, struct broker *broker, struct spool *spool,
               const struct uplink_settings *settings, struct uplink **out) MUST_CHECK;
/* Starts connecting; for ever, with backoff and jitter. */
void uplink_start(struct uplink *uplink);
/*
 * Later: the session goes on when nothing of it has changed, else it says
 * goodbye and begins anew. Errors as uplink_new(); then all stays as it is.
 */
int uplink_configure(struct uplink *uplink, const struct uplink_settings *settings) MUST_CHECK;
/*
 * Status "offline", presence of all "offline", DISCONNECT, close: bounded in
 * time (2 s). done(owner) when the loop has nothing of it any more. Watches
 * must have been removed, or end here without a word.
 */
void uplink_close(struct uplink *uplink, void (*done)(void *owner), void *owner);
/*
 * The memory: when the loop has ended, and nobody calls uplink_presence() any
 * more. NULL is fine.
 */
void uplink_free(struct uplink *uplink);

/*
 * A device came (true: its first connection) or went (false: its last one).
 * Any thread; coalesced per identity, so that a flapping device costs one
 * publish per wake-up. After each connect of the uplink the whole truth is
 * published again, and retained "online" of devices that are not here is
 * corrected.
 */
void uplink_presence(struct uplink *uplink, const char *identity, bool online);

/* ---- watching -------------------------------------------------------------------------- */

/*
 * Messages of the broker on these topic filters (the mapped side), as they
 * pass. message() gets broker topic, payload cut to 4 KiB, whole length, QoS,
 * retain. QoS 2 shows as 1. Subscriptions are shared by watchers with the same
 * filter and end with the last one. The filters are copied. message() may
 * remove its own watch.
 */
struct uplink_watch;
int uplink_watch_add(struct uplink *uplink, const char *const *filter, size_t count,
                     void (*message)(void *owner, struct span topic, struct span payload,
                                     size_t length, uint8_t qos, bool retain),
                     void *owner, struct uplink_watch **out) MUST_CHECK;
void uplink_watch_remove(struct uplink_watch *watch);

/* ---- facts -------------------------------------------------------------------------------- */

struct uplink_info {
	bool connected;
	int64_t since;         /* wall clock of the last change */
	const char *last_error; /* static; "" none */
	unsigned inflight;      /* drained messages the broker owes an acknowledgement for */
	uint64_t drained, published, connects;
	unsigned brief;         /* connections in a row that ended within seconds of CONNACK */
	unsigned round_trip;    /* of the last sign of life, microseconds; 0 unknown */
	/* of $SYS, text as the broker gave it; "" unknown */
	char version[64], uptime[32], clients_connected[24], clients_total[24];
	char messages_dropped[24], messages_stored[24], heap[24], received_1min[24];
};
void uplink_info(const struct uplink *uplink, struct uplink_info *out);

#endif
