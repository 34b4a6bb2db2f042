/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection of libmosquitto under our loop. Callbacks of the library
 * only note what came: nothing is sent, no descriptor opened and no instance
 * freed inside one. session_settle() follows each call of the library, since
 * any of them may have closed the socket, and a number that is polled must
 * not come up again on this loop.
 *
 * CONNECT carries no properties of ours: with Clean Start and without a
 * Session Expiry Interval the session ends with the connection (MQTT 5
 * 3.1.2.11.2), which is what we want, and only the blocking connect of 2.0
 * could set any. mosquitto_connect_async() does not block on a unix path or a
 * numeric address, and settings hold nothing else.
 */
#include <errno.h>
#include <stdlib.h>

#include "uplink/uplink_int.h"

#include "base/log.h"
#include "mqtt/mqtt.h"

#define PROTOCOL_5 5
#define PACKETS 32 /* read per wake-up */
#define REST_MS 10 /* until the rest of a packet is looked for */

/* ---- callbacks ----------------------------------------------------------------- */

static void
on_connect(struct mosquitto *mosq, void *arg, int rc, int flags, const mosquitto_property *p)
{
	struct session_link *l = arg;

	(void)mosq;
	(void)flags;
	life_heard(l->uplink);
	if (rc != 0) {
		l->reason = rc;
		return;
	}
	l->connected = true;
	(void)mosquitto_property_read_int16(p, MQTT_PROP_RECEIVE_MAXIMUM, &l->receive_maximum,
	                                    false);
	guard_stop();
}

/* May run twice for one end (2.0.11), the second time without a reason. */
static void
on_disconnect(struct mosquitto *mosq, void *arg, int rc, const mosquitto_property *p)
{
	struct session_link *l = arg;

	(void)mosq;
	(void)p;
	l->over = true;
	if (rc >= 0x80) {
		life_heard(l->uplink);
		l->reason = rc;
	} else if (rc != 0) {
		l->error = rc;
	}
}

static void
on_publish(struct mosquitto *mosq, void *arg, int mid, int reason, const mosquitto_property *p)
{
	struct session_link *l = arg;

	(void)mosq;
	(void)p;
	life_heard(l->uplink);
	sent_acked(l->uplink, mid, reason);
	guard_stop();
}

static void
on_message(struct mosquitto *mosq, void *arg, const struct mosquitto_message *message,
           const mosquitto_property *p)
{
	struct session_link *l = arg;

	(void)mosq;
	life_heard(l->uplink);
	l->inside = false;
	watch_message(l->uplink, message, p);
	guard_stop();
}

static void
on_subscribe(struct mosquitto *mosq, void *arg, int mid, int count, const int *granted,
             const mosquitto_property *p)
{
	struct session_link *l = arg;

	(void)mosq;
	(void)p;
	life_heard(l->uplink);
	if (count == 1 && granted[0] >= 0x80 && !l->uplink->read_denied) {
		l->uplink->read_denied = true;
		log_warning(LOG_UPSTREAM, "the broker refused a subscription of the gateway",
		            log_str("reason", mqtt_reason_text((uint8_t)granted[0])),
		            log_str("remedy", "let the user of uplink.username read all topics"));
	}
	sweep_granted(l->uplink, mid);
	guard_stop();
}

static void
on_unsubscribe(struct mosquitto *mosq, void *arg, int mid, const mosquitto_property *p)
{
	struct session_link *l = arg;

	(void)mosq;
	(void)p;
	life_heard(l->uplink);
	life_answer(l->uplink, mid);
	guard_stop();
}

/* ---- making one ---------------------------------------------------------------- */

static int
prepare(struct mosquitto *mosq, const struct uplink_settings *s)
{
	int rc = mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION, PROTOCOL_5);

	if (rc == MOSQ_ERR_SUCCESS) {
		rc = mosquitto_int_option(mosq, MOSQ_OPT_SEND_MAXIMUM, (int)s->inflight);
	}
	if (rc == MOSQ_ERR_SUCCESS && s->path == NULL) {
		rc = mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
	}
	if (rc == MOSQ_ERR_SUCCESS && (s->username != NULL || s->password != NULL)) {
		rc = mosquitto_username_pw_set(mosq, s->username, s->password);
	}
	if (rc == MOSQ_ERR_SUCCESS && s->status_topic != NULL) {
		rc = mosquitto_will_set(mosq, s->status_topic, 7, "offline", 1, true);
	}
	mosquitto_connect_v5_callback_set(mosq, on_connect);
	mosquitto_disconnect_v5_callback_set(mosq, on_disconnect);
	mosquitto_publish_v5_callback_set(mosq, on_publish);
	mosquitto_message_v5_callback_set(mosq, on_message);
	mosquitto_subscribe_v5_callback_set(mosq, on_subscribe);
	mosquitto_unsubscribe_v5_callback_set(mosq, on_unsubscribe);
	return rc;
}

static void
link_closed(void *owner)
{
	struct session_link *l = owner;
	struct uplink *u = l->uplink;

	free(l);
	uplink_handle_gone(u);
}

/* Before the number of its descriptor can be another's. */
static void
close_poll(struct session_link *l)
{
	if (l->fd >= 0) {
		l->fd = -1;
		loop_poll_close(&l->poll, link_closed);
	}
}

static void
tear_down(struct uplink *u)
{
	struct session_link *l = u->link;
	bool polled = l->polled;

	close_poll(l);
	u->link = NULL;
	mosquitto_destroy(l->mosq);
	l->mosq = NULL;
	uplink_ended(u, l);
	if (!polled) {
		link_closed(l);
	}
}

/* Some packets; what is left wakes us again. */
static void
read_packets(struct session_link *l)
{
	struct uplink *u = l->uplink;

	for (unsigned i = 0; i < PACKETS && u->link == l; i++) {
		switch (guard_next(l)) {
		case GUARD_NONE:
			return;
		case GUARD_WAIT:
			/* The rest is on its way; until then the socket would wake us for ever. */
			l->waiting = true;
			loop_timer_start(&u->unread, REST_MS);
			session_settle(u, 0);
			return;
		case GUARD_BAD:
			if (l->error == MOSQ_ERR_SUCCESS) {
				l->error = MOSQ_ERR_PROTOCOL;
			}
			session_cut(u);
			return;
		case GUARD_GOOD:
			session_settle(u, mosquitto_loop_read(l->mosq, 1));
			if (u->link == l && l->inside) {
				return;
			}
			break;
		}
	}
}

void
session_unread(void *owner)
{
	struct uplink *u = owner;

	if (u->link != NULL && u->link->waiting) {
		u->link->waiting = false;
		session_settle(u, 0);
	}
}

static void
ready(void *owner, bool readable, bool writable)
{
	struct session_link *l = owner;
	struct uplink *u = l->uplink;

	if (readable) {
		read_packets(l);
	}
	if (writable && u->link == l) {
		session_settle(u, mosquitto_loop_write(l->mosq, 1));
	}
	if (u->link == l) {
		uplink_pump(u);
	}
}

static int
open_poll(struct session_link *l, int fd)
{
	int rc = loop_poll_open(l->uplink->loop, &l->poll, fd, ready, l);

	if (rc == 0) {
		l->fd = fd;
		l->polled = true;
	}
	return rc;
}

void
session_settle(struct uplink *u, int rc)
{
	struct session_link *l = u->link;
	int fd;

	if (l == NULL) {
		return;
	}
	if (rc > 0 && !l->over) {
		/* A failed write closes nothing by itself; it is as good as the end. */
		l->over = true;
		l->error = rc;
	}
	fd = mosquitto_socket(l->mosq);
	if (fd != l->fd && l->polled) {
		close_poll(l);
		l->over = true;
	}
	if (fd >= 0 && !l->over && !l->polled && open_poll(l, fd) < 0) {
		l->over = true;
		l->error = MOSQ_ERR_NOMEM;
	}
	if (l->over || fd < 0) {
		tear_down(u);
		return;
	}
	if (l->connected && u->state == UPLINK_TRYING) {
		uplink_connected(u);
	}
	loop_poll_want(&l->poll, !l->waiting, mosquitto_want_write(l->mosq));
}

int
session_dial(struct uplink *u)
{
	const struct uplink_settings *s = &u->settings;
	struct session_link *l = calloc(1, sizeof *l);
	int rc;

	if (l == NULL) {
		return -ENOMEM;
	}
	l->uplink = u;
	l->fd = -1;
	l->begun = loop_now(u->loop);
	l->receive_maximum = UINT16_MAX;
	l->mosq = mosquitto_new(s->client_id, true, l);
	rc = l->mosq != NULL ? prepare(l->mosq, s) : MOSQ_ERR_NOMEM;
	if (rc != MOSQ_ERR_SUCCESS) {
		mosquitto_destroy(l->mosq);
		free(l);
		return rc == MOSQ_ERR_NOMEM ? -ENOMEM : -EINVAL;
	}
	u->link = l;
	u->handles++;
	life_begin(u);
	errno = 0;
	rc = mosquitto_connect_async(l->mosq, s->path != NULL ? s->path : s->address,
	                             s->path != NULL ? 0 : s->port, KEEPALIVE);
	l->system = rc == MOSQ_ERR_ERRNO ? errno : 0;
	session_settle(u, rc);
	return 0;
}

/* ---- the rest of its life ------------------------------------------------------ */

void
session_second(void *owner)
{
	struct uplink *u = owner;

	loop_timer_start(&u->second, 1000);
	if (u->link != NULL) {
		session_settle(u, mosquitto_loop_misc(u->link->mosq));
		uplink_pump(u);
	}
	uplink_second(u);
}

void
session_disconnect(struct uplink *u)
{
	struct session_link *l = u->link;

	if (l != NULL) {
		if (l->connected) {
			/* 2.0 closes in it, 2.1 waits for the broker to. */
			(void)mosquitto_disconnect_v5(l->mosq, 0, NULL);
		}
		l->over = true;
		session_settle(u, 0);
	}
}

void
session_cut(struct uplink *u)
{
	if (u->link != NULL) {
		u->link->over = true;
		session_settle(u, 0);
	}
}
