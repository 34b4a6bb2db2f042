/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection of a device, from accept to close: it joins the TLS engine,
 * the relay, and the two streams, and keeps the deadlines.
 *
 *   HANDSHAKE  TLS, put off behind connected devices' traffic
 *   CONNECT    TLS is up, waiting for a whole CONNECT
 *   DIAL       what the device stored earlier goes first; then the upstream
 *              is being dialled, or owes its CONNACK
 *   LIVE       relaying
 *   HELD       connected, without a broker: publishes are stored
 *   DRAINING   the same, and the broker is back: what is stored goes first
 *   RESTORING  its upstream is made again
 *   CLOSING    the last bytes go out; both streams are on their way down
 */
#ifndef GATEWAY_SESSION_SESSION_H
#define GATEWAY_SESSION_SESSION_H

#include "session/worker_int.h"

struct session;

/* Take the connection that waits at the listener, or refuse it. */
void session_accept(struct worker *worker, struct listener *listener,
                    const struct sockaddr *peer);
struct session *session_of(struct list *node);
/* NULL before the certificate is known. */
const char *session_identity(const struct session *session);
/* On its way out: nothing of the device is relayed any more. */
bool session_ending(const struct session *session);
/* Through the handshake, not ending, and from that address. */
bool session_open_from(const struct session *session, const char *address);
void session_view(const struct session *session, struct session_view *view);
/* End it from our side with that reason; text is static. False: it was ending already. */
bool session_end(struct session *session, enum mqtt_reason reason, const char *text);
/*
 * The broker is back, or its place in the queue has come; the broker is
 * frozen. See worker_outage.c.
 */
void session_begin_drain(struct session *session);
void session_away_again(struct session *session); /* before that */
/* The same for one that has its place, and perhaps waits for the store. */
void session_store_stuck(struct session *session);
void session_begin_restore(struct session *session);
void session_broker_frozen(struct session *session);
struct session *session_of_outage(struct list *node);
/* The worker's configuration or the register changed. True when it was ended. */
bool session_recheck(struct session *session);

#endif
