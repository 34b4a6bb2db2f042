/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of the uplink: when it tries, what is sent next, how it says goodbye. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "uplink/uplink_int.h"

#include "base/clock.h"

#define FAREWELL_MS 2000
#define STEADY_MS 10000 /* a connection that lasted so long was no failure */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

/* Never undone: its clean-up takes down OpenSSL's modules of the whole process. */
static void
library_init(void)
{
	mosquitto_lib_init();
}

void
uplink_note(struct uplink *u)
{
	bool connected = session_up(u) && u->state != UPLINK_TRYING && !u->life.frozen;

	if (connected != u->info.connected) {
		u->info.connected = connected;
		u->info.since = clock_wall();
	}
}

/* Was it the broker that ended it, or is nobody at that place? */
static bool
by_broker(const struct session_link *l)
{
	return l->error == MOSQ_ERR_CONN_LOST || l->error == MOSQ_ERR_CONN_REFUSED ||
	       l->error == MOSQ_ERR_PROTOCOL ||
	       (l->error == MOSQ_ERR_ERRNO && l->system != EAGAIN);
}

/* ---- trying -------------------------------------------------------------------- */

static bool
is_away(const struct uplink *u)
{
	struct broker_info info;

	broker_read(u->broker, &info);
	return info.state != BROKER_UP;
}

static void
try_later(struct uplink *u)
{
	unsigned shift = u->attempts < 16 ? u->attempts : 16;
	uint64_t most = (uint64_t)u->settings.retry_min << shift;

	if (most > u->settings.retry_max) {
		most = u->settings.retry_max;
	}
	u->attempts++;
	u->state = UPLINK_WAITING;
	u->missed = is_away(u);
	/* Between half of it and all of it, and never a busy loop. */
	loop_timer_start(&u->retry, 1 + most / 2 + loop_jitter(most / 2));
}

static void
try_now(void *owner)
{
	struct uplink *u = owner;
	int rc;

	u->state = UPLINK_TRYING;
	rc = session_dial(u);
	if (rc < 0) {
		trouble_note(u, err_text(rc));
		try_later(u);
	}
}

static void
try_at_once(struct uplink *u)
{
	u->attempts = 0;
	u->state = UPLINK_WAITING;
	loop_timer_start(&u->retry, 0);
}

/*
 * Held devices wait for what we drain, so it is not left to the backoff when
 * those who ask for the workers have found the broker.
 */
static void
hurry(struct uplink *u)
{
	bool away = is_away(u);

	if (u->missed && !away) {
		loop_timer_start(&u->retry, 0);
	}
	u->missed = away;
}

static bool
has_lasted(const struct uplink *u, const struct session_link *link)
{
	return link->connected && loop_now(u->loop) - link->begun >= STEADY_MS;
}

static void
steady(struct uplink *u)
{
	u->info.brief = 0;
	u->troubles = 0;
	if (!u->up_said) {
		trouble_tell_up(u);
	}
}

void
uplink_second(struct uplink *u)
{
	if (u->state == UPLINK_WAITING) {
		hurry(u);
	} else if (u->state == UPLINK_UP && session_up(u) && !u->life.frozen &&
	           has_lasted(u, u->link)) {
		steady(u);
	}
}

void
uplink_connected(struct uplink *u)
{
	u->state = UPLINK_UP;
	u->info.last_error = "";
	u->info.connects++;
	/* It may have been called away for another reason: CONNACK is proof. */
	broker_alive(u->broker);
	uplink_note(u);
	if (u->info.brief == 0) {
		trouble_tell_up(u); /* else when it has lasted */
	}
	u->status = (struct status){ .due = true, .online = true };
	u->sys_asked = false;
	u->read_denied = false;
	presence_connected(u);
	sweep_connected(u);
	drain_connected(u);
}

/* ---- what is due --------------------------------------------------------------- */

static void
status_pump(struct uplink *u)
{
	const char *word = u->status.online ? "online" : "offline";
	struct sent *sent;
	int rc;

	if (!u->status.due || u->status.inflight || sent_room(u) == 0) {
		return;
	}
	if (u->settings.status_topic == NULL) {
		u->status.due = false;
		return;
	}
	sent = calloc(1, sizeof *sent);
	if (sent == NULL) {
		return; /* the next wake-up tries again */
	}
	sent->kind = SENT_STATUS;
	rc = sent_publish(u, sent, u->settings.status_topic, span_str(word), true, NULL);
	if (rc != MOSQ_ERR_SUCCESS) {
		free(sent);
	} else {
		u->status.due = false;
		u->status.inflight = true;
	}
	session_settle(u, rc);
}

static void
farewell_pump(struct uplink *u)
{
	presence_pump(u);
	if (session_up(u) && presence_quiet(u)) {
		status_pump(u);
		if (session_up(u) && !u->status.due && !u->status.inflight) {
			session_disconnect(u);
		}
	}
}

void
uplink_pump(struct uplink *u)
{
	if (!session_up(u) || u->life.frozen) {
		return;
	}
	if (u->state == UPLINK_LEAVING) {
		farewell_pump(u);
	} else if (u->state == UPLINK_UP) {
		status_pump(u);
		watch_pump(u);
		sys_pump(u);
		sweep_pump(u);
		presence_pump(u);
		drain_pump(u);
	}
}

/* ---- goodbye ------------------------------------------------------------------- */

static void
cut(void *owner)
{
	session_cut(owner);
}

/* Say "offline" of all and of us; uplink_ended() goes on from there. */
static void
begin_farewell(struct uplink *u)
{
	u->state = UPLINK_LEAVING;
	u->status.due = true;
	u->status.online = false;
	presence_farewell(u);
	loop_timer_start(&u->farewell, FAREWELL_MS);
	uplink_pump(u);
}

static void
adopt(struct uplink *u, struct uplink_settings *settings)
{
	bool moved = !settings_same_place(&u->settings, settings);

	settings_free(&u->settings);
	u->settings = *settings;
	*settings = (struct uplink_settings){ .path = NULL };
	if (moved) {
		/* What was found out is of another broker. */
		u->troubles = 0;
		life_gone(u);
	}
}

static void
finish_close(struct uplink *u)
{
	u->state = UPLINK_IDLE;
	life_end(u);
	drain_close(u);
	loop_timer_close(&u->retry, uplink_handle_gone);
	loop_timer_close(&u->second, uplink_handle_gone);
	loop_timer_close(&u->farewell, uplink_handle_gone);
	loop_timer_close(&u->life.timer, uplink_handle_gone);
	loop_timer_close(&u->unread, uplink_handle_gone);
	loop_timer_close(&u->drain.pause, uplink_handle_gone);
	uplink_handle_gone(u);
}

/* The connection is torn down; link is as good as gone. */
void
uplink_ended(struct uplink *u, const struct session_link *link)
{
	drain_lost(u, link);
	sent_forget(u);
	presence_lost(u);
	watch_lost(u);
	u->status = (struct status){ .due = false };
	u->sweep = (struct sweep){ .phase = SWEEP_IDLE };
	life_end(u);
	loop_timer_stop(&u->farewell);
	if (by_broker(link)) {
		life_gone(u);
	}
	uplink_note(u);
	if (u->closing) {
		finish_close(u);
		return;
	}
	if (u->have_next) {
		u->have_next = false;
		adopt(u, &u->next);
		try_at_once(u);
		return;
	}
	if (has_lasted(u, link)) {
		u->attempts = 0;
		u->info.brief = 0;
		u->troubles = 0;
	} else if (link->connected) {
		u->info.brief++;
	}
	trouble_end(u, link);
	try_later(u);
}

/* ---- life ---------------------------------------------------------------------- */

int
uplink_new(struct loop *loop, struct broker *broker, struct spool *spool,
           const struct uplink_settings *settings, struct uplink **out)
{
	struct uplink *u = calloc(1, sizeof *u);
	int rc;

	pthread_once(&library_once, library_init);
	if (u == NULL) {
		return -ENOMEM;
	}
	u->loop = loop;
	u->broker = broker;
	u->spool = spool;
	u->info.last_error = "";
	u->info.since = clock_wall();
	u->last_id = WATCH_ID;
	list_init(&u->sent);
	list_init(&u->subscriptions);
	list_init(&u->watches);
	rc = settings_copy(&u->settings, settings);
	if (rc == 0) {
		rc = presence_init(u);
	}
	if (rc < 0) {
		settings_free(&u->settings);
		free(u);
		return rc;
	}
	/* libuv has no way to fail here. */
	if (loop_timer_init(loop, &u->retry, try_now, u) < 0 ||
	    loop_timer_init(loop, &u->second, session_second, u) < 0 ||
	    loop_timer_init(loop, &u->unread, session_unread, u) < 0 ||
	    loop_timer_init(loop, &u->farewell, cut, u) < 0 || life_init(u) < 0 ||
	    drain_init(u) < 0) {
		uplink_free(u);
		return -ENOMEM;
	}
	u->handles = 7; /* the timers, and one that finish_close() gives back */
	*out = u;
	return 0;
}

void
uplink_start(struct uplink *u)
{
	loop_timer_start(&u->second, 1000);
	try_at_once(u);
}

int
uplink_configure(struct uplink *u, const struct uplink_settings *settings)
{
	struct uplink_settings copy;
	int rc = settings_copy(&copy, settings);

	if (rc < 0) {
		return rc;
	}
	if (u->closing) {
		settings_free(&copy);
		return 0;
	}
	if (u->have_next) {
		settings_free(&u->next);
		u->next = copy;
		return 0;
	}
	if (settings_same_session(&u->settings, &copy)) {
		adopt(u, &copy);
		return 0;
	}
	if (u->link == NULL) {
		adopt(u, &copy);
		try_at_once(u);
		return 0;
	}
	u->next = copy;
	u->have_next = true;
	if (u->state == UPLINK_UP && !u->life.frozen) {
		begin_farewell(u);
	} else {
		session_cut(u);
	}
	return 0;
}

void
uplink_handle_gone(void *owner)
{
	struct uplink *u = owner;

	if (--u->handles == 0 && u->done != NULL) {
		u->done(u->owner);
	}
}

void
uplink_close(struct uplink *u, void (*done)(void *owner), void *owner)
{
	assert(!u->closing);
	u->closing = true;
	u->done = done;
	u->owner = owner;
	pthread_mutex_lock(&u->presence.lock);
	u->presence.closed = true;
	pthread_mutex_unlock(&u->presence.lock);
	if (u->link == NULL) {
		finish_close(u);
	} else if (u->state == UPLINK_UP && !u->life.frozen) {
		begin_farewell(u);
	} else if (u->state != UPLINK_LEAVING) {
		session_cut(u);
	}
}

void
uplink_free(struct uplink *u)
{
	if (u != NULL) {
		assert(u->link == NULL);
		watch_free(u);
		presence_free(u);
		sent_forget(u);
		settings_free(&u->settings);
		settings_free(&u->next);
		free(u);
	}
}

void
uplink_info(const struct uplink *u, struct uplink_info *out)
{
	*out = u->info;
	out->inflight = u->drain.waiting;
	if (session_up(u) && loop_now(u->loop) - u->link->begun >= STEADY_MS) {
		out->brief = 0;
	}
}
