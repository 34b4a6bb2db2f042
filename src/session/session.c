/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a session: accept, deadlines, ending, and how it looks from outside. */
#include "session/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "session/session_int.h"

static const char *const state_text[] = {
#define X(name, text) text,
	SESSION_STATE_LIST(X)
#undef X
};

void
session_state_set(struct session *s, enum session_state state)
{
	log_debug(LOG_SESSION, "state", log_str("address", s->address), log_int("port", s->port),
	          log_str("before", state_text[s->state]), log_str("after", state_text[state]));
	s->state = state;
}

void
session_deadline(struct session *s, uint64_t ms)
{
	s->due = loop_now(s->worker->loop) + ms;
	loop_timer_start(&s->timer, ms);
}

void
session_due_by(struct session *s, uint64_t when)
{
	uint64_t now = loop_now(s->worker->loop);

	if (when < s->due) {
		session_deadline(s, when > now ? when - now : 0);
	}
}

struct session *
session_of(struct list *node)
{
	return list_entry(node, struct session, node);
}

const char *
session_identity(const struct session *s)
{
	return s->identity;
}

bool
session_ending(const struct session *s)
{
	return s->state == SESSION_CLOSING;
}

bool
session_open_from(const struct session *s, const char *address)
{
	return s->state != SESSION_HANDSHAKE && s->state != SESSION_CLOSING &&
	       strcmp(s->address, address) == 0;
}

/* ---- presence -------------------------------------------------------------------- */

void
session_present(struct session *s)
{
	struct presence_count *presence = s->worker->shared->presence;

	if (presence != NULL && !s->present) {
		s->present = presence_count_enter(presence, s->identity) == 0;
	}
}

void
session_arriving(struct session *s)
{
	struct presence_count *presence = s->worker->shared->presence;

	if (presence != NULL && !s->present) {
		s->present = presence_count_join(presence, s->identity);
	}
}

static void
session_absent(struct session *s)
{
	if (s->present) {
		s->present = false;
		presence_count_leave(s->worker->shared->presence, s->identity);
	}
}

/* ---- ending ---------------------------------------------------------------------- */

static void
free_session(struct session *s)
{
	struct worker *w = s->worker;

	newest_leave(w->shared->newest, &s->newest);
	budget_give(w->shared->budget, &s->budget);
	relay_free(s->relay);
	tls_free(s->tls);
	device_free(s->device);
	buf_release(&s->cipher);
	buf_release(&s->plain);
	free(s->identity);
	free(s->attempt);
	metric_add(&w->metrics, METRIC_CONNECTIONS, -1);
	worker_session_gone(w, &s->node);
	free(s);
}

void
session_handle_closed(void *owner)
{
	struct session *s = owner;

	if (--s->handles == 0) {
		free_session(s);
	}
}

/*
 * A newer session of its client identifier begins. One that is live is the
 * broker's to close, when it has taken the newer one.
 */
static void
newer(struct loop_message *message)
{
	struct newest_entry *entry = list_entry(message, struct newest_entry, message);
	struct session *s = list_entry(entry, struct session, newest);

	if (s->state == SESSION_CLOSING) {
		session_handle_closed(s);
		return;
	}
	newest_heard(s->worker->shared->newest, entry);
	if (s->state == SESSION_HELD || s->state == SESSION_DRAINING ||
	    s->state == SESSION_RESTORING) {
		(void)session_taken_over(s);
	}
}

static void
log_end(const struct session *s, const char *why)
{
	static const char *const side[] = { "device", "broker", "gateway" };
	struct relay_ending ending = relay_ending(s->relay);
	struct relay_info info;

	relay_info(s->relay, &info);
	log_info(LOG_SESSION, "device disconnected", log_str("device", s->identity),
	         log_span("client_id", info.client_id), log_str("address", s->address),
	         log_int("port", s->port),
	         log_str("reason", why != NULL ? why : ending.text != NULL ? ending.text : "-"),
	         log_str("side", why != NULL && ending.text == NULL ? "-" : side[ending.side]),
	         log_int("code", ending.reason),
	         log_int("seconds", clock_wall() - s->since),
	         log_int("publish_up", (int64_t)info.publish_up),
	         log_int("publish_down", (int64_t)info.publish_down),
	         log_int("denied", (int64_t)info.denied));
}

void
session_finish(struct session *s, const char *why)
{
	if (s->state == SESSION_CLOSING) {
		return;
	}
	if (s->relay != NULL) {
		log_end(s, why);
	}
	session_diagnose(s, why);
	session_absent(s);
	session_outage_end(s);
	if (newest_hush(s->worker->shared->newest, &s->newest)) {
		s->handles++; /* for what is on its way */
	}
	if (s->live_counted) {
		metric_add(&s->worker->metrics, METRIC_SESSIONS, -1);
		s->live_counted = false;
	}
	session_state_set(s, SESSION_CLOSING);
	loop_defer_cancel(&s->handshake);
	if (s->dialling) {
		s->dialling = false;
		upstream_cancel(&s->dial);
	}
	tls_shutdown(s->tls, &s->worker->cipher);
	session_send_cipher(s);
	stream_close_gently(&s->down, CLOSE_GRACE_MS);
	if (s->up_open) {
		/* What the device sent before it went is still to arrive. */
		stream_close_gently(&s->up, CLOSE_GRACE_MS);
	} else if (s->up_used) {
		stream_close(&s->up);
	}
	loop_timer_close(&s->timer, session_handle_closed);
}

bool
session_end(struct session *s, enum mqtt_reason reason, const char *text)
{
	struct relay_out out = session_out(s);

	if (s->state == SESSION_CLOSING) {
		return false;
	}
	if (s->relay == NULL) {
		session_finish(s, text);
		return true;
	}
	relay_end(s->relay, reason, text, &out);
	session_flush(s);
	session_finish(s, NULL);
	return true;
}

/* ---- deadlines ------------------------------------------------------------------- */

/*
 * Silence of a live device. While we do not read it (the broker is slow), its
 * silence is our doing.
 */
static void
check_silence(struct session *s)
{
	uint64_t limit = s->keep_alive > 0 ? s->keep_alive * 1500ULL :
	                                     s->device->conf->limits.idle_timeout;
	uint64_t now = loop_now(s->worker->loop), silent = now - s->active;

	if (limit == 0) {
		return; /* neither a keepalive nor an idle limit */
	}
	if (!s->down.reading) {
		session_due_by(s, now + limit);
	} else if (silent < limit) {
		session_due_by(s, now + limit - silent);
	} else {
		metric_add(&s->worker->metrics, METRIC_KEEPALIVE_TIMED_OUT, 1);
		session_end(s, MQTT_KEEP_ALIVE_TIMEOUT,
		            s->keep_alive > 0 ? "silent for 1.5 times its keepalive" :
		                                "silent for limits.idle_timeout");
	}
}

static void
deadline_passed(void *owner)
{
	struct session *s = owner;

	s->due = UINT64_MAX;
	s->end = session_is_connected(s) ? s->end : END_TIMEOUT;
	switch (s->state) {
	case SESSION_HANDSHAKE:
		metric_add(&s->worker->metrics, METRIC_HANDSHAKES_TIMED_OUT, 1);
		session_finish(s, "the TLS handshake was not finished within limits.handshake_timeout");
		break;
	case SESSION_CONNECT:
		metric_add(&s->worker->metrics, METRIC_CONNECT_TIMED_OUT, 1);
		session_end(s, MQTT_UNSPECIFIED_ERROR, "sent no CONNECT within limits.connect_timeout");
		break;
	case SESSION_DIAL:
		session_no_broker(s, s->waiting ?
		                  "what it stored did not reach the broker within upstream.connect_timeout" :
		                  "the broker sent no CONNACK within upstream.connect_timeout",
		                  true);
		break;
	case SESSION_LIVE:
	case SESSION_HELD:
	case SESSION_DRAINING:
	case SESSION_RESTORING:
		check_silence(s);
		if (s->state != SESSION_CLOSING) {
			session_outage_tick(s);
		}
		break;
	case SESSION_CLOSING:
		break;
	}
}

/* ---- beginning ------------------------------------------------------------------- */

static bool
within_budget(struct worker *w, const struct sockaddr *peer, struct budget_key *key)
{
	switch (budget_take(w->shared->budget, peer, key)) {
	case BUDGET_OK:
		return true;
	case BUDGET_ADDRESS:
		metric_add(&w->metrics, METRIC_REFUSED_ADDRESS, 1);
		session_over_limit(w, peer, "limits.connections_per_address");
		return false;
	case BUDGET_TOTAL:
	case BUDGET_MEMORY:
		metric_add(&w->metrics, METRIC_REFUSED_TOTAL, 1);
		session_over_limit(w, peer, "limits.connections");
		return false;
	}
	return false;
}

void
session_accept(struct worker *w, struct listener *listener, const struct sockaddr *peer)
{
	struct budget_key key;
	struct session *s;

	if (w->stopping || !within_budget(w, peer, &key)) {
		return; /* the listener closes what nobody took */
	}
	s = calloc(1, sizeof *s);
	if (s == NULL || tls_new(w->tls, s, &s->tls) != 0) {
		goto fail;
	}
	s->attempt = calloc(1, sizeof *s->attempt);
	if (s->attempt == NULL) {
		goto fail;
	}
	s->attempt->accepted = loop_now(w->loop);
	stream_init(&s->down, w->loop, &session_device_calls, s, w->conf->limits.high_water,
	            w->conf->limits.low_water);
	if (loop_timer_init(w->loop, &s->timer, deadline_passed, s) != 0) {
		goto fail;
	}
	s->worker = w;
	s->budget = key;
	s->since = clock_wall();
	s->active = loop_now(w->loop);
	s->handles = 2;
	s->handshake = (struct loop_deferred){ .run = session_handshake_run, .owner = s };
	list_init(&s->handshake.node);
	list_init(&s->newest.node);
	s->newest.loop = w->loop;
	s->newest.message.run = newer;
	list_init(&s->outage);
	list_init(&s->stores);
	s->due = UINT64_MAX;
	list_append(&w->sessions, &s->node);
	w->session_count++;
	metric_add(&w->metrics, METRIC_ACCEPTED, 1);
	metric_add(&w->metrics, METRIC_CONNECTIONS, 1);
	if (stream_accept(listener, &s->down) != 0 || stream_read(&s->down, true) != 0) {
		session_finish(s, "the connection failed at once");
		return;
	}
	stream_peer(&s->down, s->address, &s->port);
	session_deadline(s, w->conf->limits.handshake_timeout);
	return;

fail:
	if (s != NULL) {
		tls_free(s->tls);
		free(s->attempt);
		free(s);
	}
	budget_give(w->shared->budget, &key);
	metric_add(&w->metrics, METRIC_REFUSED_TOTAL, 1);
}

/* ---- from outside ---------------------------------------------------------------- */

static void
copy_text(char *to, size_t size, struct span text)
{
	size_t n = text.len < size - 1 ? text.len : size - 1;

	if (n > 0) {
		memcpy(to, text.ptr, n);
	}
	to[n] = '\0';
}

static void
view_relay(const struct session *s, struct session_view *v)
{
	struct relay_info info;

	relay_info(s->relay, &info);
	copy_text(v->client_id, sizeof v->client_id, info.client_id);
	copy_text(v->device_client_id, sizeof v->device_client_id, info.device_client_id);
	copy_text(v->last_denied, sizeof v->last_denied, info.last_denied);
	v->version = info.version;
	v->keep_alive = info.keep_alive;
	v->clean_start = info.clean_start;
	v->publish_up = info.publish_up;
	v->publish_down = info.publish_down;
	v->bytes_up = info.bytes_up;
	v->bytes_down = info.bytes_down;
	v->denied = info.denied;
	v->unmapped = info.unmapped;
	v->subscriptions = info.subscriptions;
	v->stored = info.stored;
}

void
session_view(const struct session *s, struct session_view *v)
{
	*v = (struct session_view){ .port = s->port, .state = state_text[s->state], .tls = "",
		.cipher = "", .worker = s->worker->index, .since = s->since };
	copy_text(v->address, sizeof v->address, span_str(s->address));
	copy_text(v->identity, sizeof v->identity, span_str(s->identity));
	if (s->relay == NULL) {
		return; /* until the handshake is complete nothing else is certain */
	}
	v->tls = tls_version_text(s->tls);
	v->cipher = tls_cipher_text(s->tls);
	v->resumed = tls_resumed(s->tls);
	v->grace = s->grace;
	copy_text(v->fingerprint, sizeof v->fingerprint, span_str(tls_peer(s->tls)->fingerprint));
	v->not_after = tls_peer(s->tls)->not_after;
	copy_text(v->server_name, sizeof v->server_name, span_str(tls_server_name(s->tls)));
	copy_text(v->map, sizeof v->map, span_str(s->device->map->name));
	copy_text(v->group, sizeof v->group, s->device->group);
	view_relay(s, v);
}

/*
 * Sessions stay unless their own rights changed. One that stays keeps its
 * device and, through it, a reference to the configuration it began with.
 */
bool
session_recheck(struct session *s)
{
	char identity[REG_NAME_MAX + 1], why[DEVICE_WHY_SIZE];
	struct device *device = NULL;
	struct topic_vars vars;
	enum tls_admit verdict;
	bool changed;

	if (s->state == SESSION_CLOSING) {
		return false; /* on its way out */
	}
	/* Before CONNECT nothing is granted, and what will be cannot be told: dial() looks again. */
	s->stale = s->relay == NULL || relay_phase(s->relay) == RELAY_WAIT_CONNECT;
	if (s->device == NULL || tls_peer(s->tls) == NULL) {
		return false; /* its certificate was not seen yet */
	}
	if (!tls_still_trusted(s->tls, s->worker->tls)) {
		session_end(s, MQTT_ADMINISTRATIVE_ACTION,
		            "its certificate is not trusted any more, or on a revocation list");
		return true;
	}
	verdict = device_admit(s->worker->conf, s->worker->reg, tls_peer(s->tls),
	                       tls_trust(s->tls), &device, identity, why);
	if (verdict == TLS_ADMIT_ERROR) {
		return false; /* a register that cannot be read now ends nobody */
	}
	if (verdict != TLS_ADMIT_YES && verdict != TLS_ADMIT_GRACE) {
		session_end(s, MQTT_ADMINISTRATIVE_ACTION,
		            verdict == TLS_ADMIT_REVOKED ? "it was revoked" :
		            verdict == TLS_ADMIT_EXPIRED ? "its certificate has expired" :
		                                           "no longer admitted");
		return true;
	}
	s->grace = verdict == TLS_ADMIT_GRACE;
	if (s->relay == NULL) {
		device_free(device);
		return false; /* in the middle of its handshake, and still welcome */
	}
	device_vars(device, tls_peer(s->tls), &vars);
	changed = strcmp(identity, s->identity) != 0 ||
	          relay_rights_differ(s->relay, &device->map->rules, &vars);
	device_free(device);
	if (changed) {
		session_end(s, MQTT_ADMINISTRATIVE_ACTION, "its rights changed");
	}
	return changed;
}
