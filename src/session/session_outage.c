/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session without a broker: how it is held, and how it gets its upstream
 * back. In turn: HELD until the broker is back, DRAINING until
 * what it stored has gone, a place among the few that are restored at once,
 * RESTORING: the device is read no more, the last of what it stored goes, then
 * the dial, CONNECT, the subscriptions, and LIVE. Lost again at any point it is
 * HELD again.
 */
#include "base/log.h"
#include "session/session_int.h"

#define ATTEMPTS_MAX 10
#define BRIEF_MS  10000 /* an upstream that lasted so long was none that is pushed out */
#define BRIEF_MAX 3
#define SETTLE_MS 100 /* between two looks whether the device has acknowledged */

struct session *
session_of_outage(struct list *node)
{
	return list_entry(node, struct session, outage);
}

static uint64_t
now_of(const struct session *s)
{
	return loop_now(s->worker->loop);
}

/* ---- held ------------------------------------------------------------------------------------ */

void
session_drop_upstream(struct session *s)
{
	if (s->dialling) {
		s->dialling = false;
		upstream_cancel(&s->dial);
	}
	if (s->up_used) {
		s->up_used = s->up_open = false;
		s->up_closing = true;
		stream_close(&s->up);
	}
}

static void
give_slot(struct session *s)
{
	if (s->slot) {
		s->slot = false;
		s->worker->restores--;
		worker_outage_run(s->worker);
	}
}

/* The first try comes soon, later ones at the pace of upstream.retry_max. */
static uint64_t
backoff(const struct session *s)
{
	const struct conf *conf = s->device->conf;
	uint64_t most = (uint64_t)conf->upstream.retry_min << s->attempts;

	return 1 + loop_jitter(most < conf->upstream.retry_max ? most : conf->upstream.retry_max);
}

static void
hold(struct session *s)
{
	struct worker *w = s->worker;

	if (!s->held_counted) {
		s->held_counted = true;
		metric_add(&w->metrics, METRIC_SESSIONS_HELD, 1);
	}
	list_remove(&s->outage);
	s->owing = false;
	s->retry_at = s->settle_by = 0;
	relay_pause(s->relay, false);
	session_state_set(s, SESSION_HELD);
	give_slot(s);
	if (w->broker_up) {
		s->retry_at = now_of(s) + backoff(s);
		session_due_by(s, s->retry_at);
	} else {
		worker_outage_wait(w, &s->outage);
	}
}

/*
 * The broker is there, and has ended this one again soon after it was restored:
 * another client there has its client identifier, or it is not wanted. To take
 * the identifier back each time would go on for ever, and nobody would see it.
 */
static bool
is_pushed_out(struct session *s)
{
	struct broker_info broker;

	broker_read(s->worker->shared->broker, &broker);
	if (s->brief > 0 && (broker.epoch != s->lost_epoch || now_of(s) - s->lost_at > BRIEF_MS)) {
		s->brief = 0;
	}
	s->brief++;
	s->lost_epoch = broker.epoch;
	s->lost_at = now_of(s);
	return s->brief >= BRIEF_MAX;
}

void
session_lost(struct session *s)
{
	struct relay_out out = session_out(s);
	struct metrics *m = &s->worker->metrics;
	enum relay_phase phase;

	if (session_taken_over(s)) {
		return;
	}
	session_drop_upstream(s);
	if (s->state == SESSION_LIVE && is_pushed_out(s)) {
		relay_upstream_ended(s->relay, false, &out);
	}
	phase = relay_upstream_lost(s->relay, &out);
	session_flush(s);
	if (s->state == SESSION_CLOSING) {
		return;
	}
	if (phase != RELAY_HELD) {
		metric_add(m, METRIC_OUTAGE_CLOSED, 1);
		session_finish(s, NULL);
		return;
	}
	if (s->state == SESSION_RESTORING) {
		s->attempts += s->attempts < ATTEMPTS_MAX;
	} else {
		metric_add(m, METRIC_OUTAGE_HELD, 1);
	}
	log_debug(LOG_SESSION, "device held", log_str("device", s->identity),
	          log_str("address", s->address));
	hold(s);
	session_pump(s, span_of(NULL, 0));
}

static bool
admit(struct session *s)
{
	struct relay_out out = session_out(s);
	enum relay_phase phase = relay_admit(s->relay, &out);

	session_flush(s);
	if (phase != RELAY_HELD || s->state == SESSION_CLOSING) {
		return false;
	}
	metric_add(&s->worker->metrics, METRIC_OUTAGE_ADMITTED, 1);
	session_enter_newest(s);
	hold(s);
	session_went_live(s);
	return true;
}

/*
 * One that waited for the store in vain, while the broker is there, is let in
 * only with a session that is nobody's business but its own.
 */
static bool
is_let_in(const struct session *s)
{
	struct relay_info info;

	relay_info(s->relay, &info);
	return relay_admissible(s->relay) && !(s->waiting && info.persistent);
}

/* Let it in or end it. True: it is held now, and may have more to say. */
static bool
go_without(struct session *s, const char *why, bool may_admit)
{
	struct relay_out out = session_out(s);
	bool in = may_admit && is_let_in(s);

	session_wait_cancel(s);
	session_drop_upstream(s);
	if (in) {
		if (admit(s)) {
			return true;
		}
	} else {
		relay_upstream_failed(s->relay, &out);
		session_flush(s);
	}
	session_finish(s, why);
	return false;
}

void
session_no_broker(struct session *s, const char *why, bool may_admit)
{
	if (go_without(s, why, may_admit)) {
		session_pump(s, span_of(NULL, 0));
	}
}

bool
session_waits_for_store(struct session *s)
{
	struct broker_info broker;

	if (!session_has_stored(s)) {
		return false;
	}
	/*
	 * Not what this worker knows: behind a start, or a return that it has not
	 * heard of yet, a dial would succeed and overtake what is stored. Nor is
	 * it left to the dial to fail: the broker may be back by then.
	 */
	broker_read(s->worker->shared->broker, &broker);
	if (broker.state == BROKER_AWAY) {
		(void)go_without(s, "the broker is not available", true);
		return true;
	}
	/*
	 * It gets the CONNACK of the broker, with all that this grants. Most are
	 * through at once: of a rule that stores always, something is nearly
	 * always on its way.
	 */
	session_deadline(s, s->device->conf->upstream.connect_timeout);
	if (!session_wait_for_store(s)) {
		session_finish(s, "no memory");
	}
	return true;
}

void
session_broker_frozen(struct session *s)
{
	if (s->state == SESSION_LIVE || s->state == SESSION_RESTORING) {
		session_lost(s);
	} else if (s->state == SESSION_DIAL && s->up_open) {
		session_no_broker(s, "the broker does not answer", true);
	}
}

void
session_away_again(struct session *s)
{
	hold(s);
}

void
session_store_stuck(struct session *s)
{
	if (s->waiting) { /* else its upstream tells */
		session_unrestore(s);
	}
}

/* ---- back --------------------------------------------------------------------------------------- */

/* What is stored has gone, or nearly: wait for a place. */
void
session_drained(struct session *s)
{
	struct worker *w = s->worker;
	uint64_t now = now_of(s), patience = s->device->conf->upstream.response_timeout;

	if (!w->broker_up) {
		hold(s);
		return;
	}
	if (relay_halfway(s->relay)) {
		/* A slow device must not take a place from the others. */
		s->retry_at = now + SETTLE_MS;
		session_due_by(s, s->retry_at);
		return;
	}
	if (!relay_settled(s->relay)) {
		s->settle_by = s->settle_by > 0 ? s->settle_by : now + patience;
		if (now >= s->settle_by) {
			session_end(s, MQTT_SERVER_SHUTTING_DOWN,
			            "has not acknowledged what the lost connection brought");
			return;
		}
		s->retry_at = now + SETTLE_MS;
		session_due_by(s, s->retry_at);
		return;
	}
	s->settle_by = 0;
	list_remove(&s->outage);
	list_append(&w->ready, &s->outage);
	worker_outage_run(w);
}

void
session_begin_drain(struct session *s)
{
	list_remove(&s->outage);
	list_append(&s->worker->draining, &s->outage);
	s->retry_at = 0;
	session_state_set(s, SESSION_DRAINING);
	if (!session_has_stored(s)) {
		session_drained(s);
	} else if (!session_wait_for_store(s)) {
		hold(s);
	}
}

void
session_begin_restore(struct session *s)
{
	list_remove(&s->outage);
	if (relay_halfway(s->relay) || !relay_settled(s->relay)) {
		session_begin_drain(s);
		return;
	}
	list_append(&s->worker->restoring, &s->outage);
	s->slot = true;
	s->last_wait = false;
	s->worker->restores++;
	session_state_set(s, SESSION_RESTORING);
	relay_pause(s->relay, true);
	/* The dial and CONNACK have deadlines of their own, shorter ones. */
	s->restore_by = now_of(s) + 4 * (uint64_t)s->device->conf->upstream.connect_timeout + 1000;
	session_due_by(s, s->restore_by);
	session_restore_next(s);
}

bool
session_taken_over(struct session *s)
{
	struct relay_out out = session_out(s);

	if (!newest_superseded(s->worker->shared->newest, &s->newest)) {
		return false;
	}
	metric_add(&s->worker->metrics, METRIC_TAKEN_OVER, 1);
	relay_upstream_ended(s->relay, true, &out);
	session_flush(s);
	session_finish(s, NULL);
	return true;
}

static bool
ends_instead(struct session *s)
{
	struct relay_info info;

	if (session_taken_over(s)) {
		return true;
	}
	relay_info(s->relay, &info);
	if (info.publish_only) {
		session_end(s, MQTT_SERVER_SHUTTING_DOWN,
		            "was let in to publish only, and the broker is back");
		return true;
	}
	return s->stale && session_recheck(s);
}

void
session_restore_next(struct session *s)
{
	if (s->state != SESSION_RESTORING || s->dialling || s->up_used || s->waiting ||
	    !relay_idle(s->relay) || ends_instead(s)) {
		return;
	}
	if (!s->last_wait && session_has_stored(s)) {
		s->last_wait = session_wait_for_store(s);
		if (!s->last_wait) {
			session_unrestore(s);
		}
		return;
	}
	if (!s->up_closing) {
		session_dial_upstream(s);
	}
}

void
session_unrestore(struct session *s)
{
	if (relay_phase(s->relay) != RELAY_HELD) {
		session_lost(s);
		return;
	}
	session_drop_upstream(s);
	s->attempts += s->attempts < ATTEMPTS_MAX;
	hold(s);
	session_pump(s, span_of(NULL, 0));
}

static void
no_longer_held(struct session *s)
{
	if (s->held_counted) {
		s->held_counted = false;
		metric_add(&s->worker->metrics, METRIC_SESSIONS_HELD, -1);
	}
}

void
session_restored(struct session *s)
{
	list_remove(&s->outage);
	session_state_set(s, SESSION_LIVE);
	s->attempts = 0;
	no_longer_held(s);
	metric_add(&s->worker->metrics, METRIC_OUTAGE_RESTORED, 1);
	s->worker->restored++;
	give_slot(s);
}

/* ---- what is due ----------------------------------------------------------------------------------- */

void
session_owing(struct session *s, bool heard)
{
	uint64_t patience = s->device->conf->upstream.response_timeout;

	if (s->state != SESSION_LIVE) {
		return;
	}
	if (heard || !s->owing) {
		s->owed_at = now_of(s);
	}
	s->owing = relay_owed(s->relay);
	if (s->owing && patience > 0) {
		session_due_by(s, s->owed_at + patience);
	}
}

/*
 * The broker owes an answer, and nothing came for too long. While we do not
 * read (the device is slow) its silence is our doing.
 */
static void
check_broker(struct session *s)
{
	uint64_t now = now_of(s), patience = s->device->conf->upstream.response_timeout;

	if (!s->owing || patience == 0) {
		return;
	}
	s->owed_at = s->up.reading ? s->owed_at : now;
	if (now - s->owed_at < patience) {
		session_due_by(s, s->owed_at + patience);
		return;
	}
	log_debug(LOG_SESSION, "broker does not answer", log_str("device", s->identity),
	          log_int("milliseconds", (int64_t)patience));
	upstream_lost(s->worker->upstream);
	session_lost(s);
}

static void
check_retry(struct session *s)
{
	if (s->retry_at == 0) {
		return;
	}
	if (now_of(s) < s->retry_at) {
		session_due_by(s, s->retry_at);
		return;
	}
	s->retry_at = 0;
	if (s->state == SESSION_DRAINING) {
		session_drained(s);
	} else if (s->worker->broker_up) {
		session_begin_drain(s);
	} else {
		worker_outage_wait(s->worker, &s->outage);
	}
}

/*
 * The store may have room again, by an operator or since something expired,
 * long before the broker is back; and a disk may fail once only. The device
 * alone has what was refused: it has to connect to send it again.
 */
void
session_look_stuck(struct session *s)
{
	uint64_t pause = s->device->conf->upstream.retry_max;

	if ((s->state == SESSION_HELD || s->state == SESSION_DRAINING) && s->give_up_at == 0 &&
	    relay_stuck(s->relay)) {
		s->give_up_at = now_of(s) + pause + loop_jitter(pause);
		session_due_by(s, s->give_up_at);
	}
}

/* True: it was ended. */
static bool
gives_up(struct session *s)
{
	if (s->give_up_at == 0) {
		return false;
	}
	if (now_of(s) < s->give_up_at) {
		session_due_by(s, s->give_up_at);
		return false;
	}
	session_end(s, MQTT_QUOTA_EXCEEDED, "has publishes that the store could not keep");
	return true;
}

void
session_outage_tick(struct session *s)
{
	switch (s->state) {
	case SESSION_LIVE:
		check_broker(s);
		break;
	case SESSION_HELD:
	case SESSION_DRAINING:
		if (!gives_up(s)) {
			check_retry(s);
		}
		break;
	case SESSION_RESTORING:
		if (now_of(s) >= s->restore_by) {
			session_unrestore(s);
		} else {
			session_due_by(s, s->restore_by);
		}
		break;
	default:
		break;
	}
}

/*
 * The device may be here again on a newer connection, as one that lost power
 * is long before the old one is found dead. A broker would have published the
 * will before the newer one spoke; it must not come behind that.
 */
static void
keep_will(struct session *s)
{
	if (s->relay != NULL && !newest_superseded(s->worker->shared->newest, &s->newest)) {
		relay_closing(s->relay);
	}
}

void
session_outage_end(struct session *s)
{
	list_remove(&s->outage);
	if (s->held_counted) {
		metric_add(&s->worker->metrics, METRIC_OUTAGE_ENDED, 1);
	}
	no_longer_held(s);
	session_wait_cancel(s);
	keep_will(s);
	give_slot(s);
	session_forget_stores(s);
}
