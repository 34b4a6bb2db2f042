/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of a session: from the device through TLS and the relay to the
 * broker, and back. Whoever cannot take more makes the other side wait; what
 * was read and cannot go on is held, and is at most one read's worth.
 */
#include <errno.h>

#include "base/log.h"
#include "session/session_int.h"

struct relay_out
session_out(struct session *s)
{
	return (struct relay_out){ .device = &s->worker->to_device, .broker = &s->worker->to_broker };
}

void
session_send_cipher(struct session *s)
{
	struct buf *cipher = &s->worker->cipher;

	if (buf_len(cipher) > 0) {
		/* A failure comes back as `ended`; nothing more to do with it here. */
		if (stream_send_span(&s->down, buf_span(cipher)) != 0) {
			log_debug(LOG_SESSION, "send to the device failed", log_str("address", s->address));
		}
		buf_consume(cipher, buf_len(cipher));
	}
}

void
session_flush(struct session *s)
{
	struct worker *w = s->worker;

	if (w->to_broker.bytes > 0 && s->up_open && stream_send(&s->up, &w->to_broker) != 0) {
		log_debug(LOG_SESSION, "send to the broker failed", log_str("address", s->address));
	}
	batch_reset(&w->to_broker);
	if (w->to_device.bytes > 0 && s->state != SESSION_CLOSING &&
	    tls_write(s->tls, &w->to_device, &w->cipher) != 0) {
		/* Bytes are missing now: what follows would make no sense to the device. */
		batch_reset(&w->to_device);
		session_finish(s, "what was for the device could not be encrypted");
		return;
	}
	batch_reset(&w->to_device);
	session_send_cipher(s);
}

/*
 * May more of the device's bytes be taken? Local answers (to denied
 * publishes) go towards the device even while it does not read: twice the
 * high mark bounds them, relayed data stops at once the mark.
 */
static bool
may_take(struct session *s)
{
	return (s->state == SESSION_CONNECT || session_is_connected(s)) &&
	       relay_wants_device(s->relay) && !(s->up_open && stream_above(&s->up)) &&
	       stream_queued(&s->down) <= 2 * (size_t)s->down.high;
}

/* ---- upstream ------------------------------------------------------------------- */

/* A session that is restored stays where it is among those of its client identifier. */
void
session_enter_newest(struct session *s)
{
	struct relay_info info;

	if (!s->entered) {
		s->entered = true;
		relay_info(s->relay, &info);
		newest_enter(s->worker->shared->newest, &s->newest, info.client_id);
	}
}

static void
failed(struct session *s, const char *why)
{
	if (s->state == SESSION_RESTORING) {
		session_unrestore(s);
	} else {
		session_no_broker(s, why, true);
	}
}

static void
dialled(void *owner, int status)
{
	struct session *s = owner;
	struct relay_out out = session_out(s);
	uint64_t patience = s->device->conf->upstream.connect_timeout;

	s->dialling = false;
	if (status != 0) {
		failed(s, "the broker is not available");
		return;
	}
	if (s->state == SESSION_RESTORING && session_taken_over(s)) {
		return; /* its CONNECT would in turn take over the newer one */
	}
	s->up_open = true;
	metric_add(&s->worker->metrics, METRIC_UPSTREAM_CONNECTS, 1);
	session_enter_newest(s);
	session_arriving(s);
	if (relay_upstream_open(s->relay, &out) != 0) {
		/* In RESTORING the device has been told why. */
		session_flush(s);
		session_finish(s, s->state == SESSION_DIAL ? "no memory" : NULL);
		return;
	}
	session_flush(s);
	if (s->state == SESSION_RESTORING) {
		s->restore_by = loop_now(s->worker->loop) + patience;
		session_due_by(s, s->restore_by);
	} else {
		session_deadline(s, patience);
	}
	if (stream_read(&s->up, true) != 0) {
		failed(s, "the broker is not available");
	}
}

void
session_went_live(struct session *s)
{
	struct worker *w = s->worker;
	struct relay_info info;

	relay_info(s->relay, &info);
	s->keep_alive = info.keep_alive;
	s->live_counted = true;
	metric_add(&w->metrics, METRIC_SESSIONS, 1);
	session_present(s);
	session_deadline(s, 0);
	session_connected(s);
	log_info(LOG_SESSION, "device connected", log_str("device", s->identity),
	         log_span("client_id", info.client_id), log_str("address", s->address),
	         log_int("port", s->port), log_int("protocol", info.version),
	         log_str("tls", tls_version_text(s->tls)), log_str("cipher", tls_cipher_text(s->tls)),
	         log_int("resumed", tls_resumed(s->tls)), log_int("keep_alive", info.keep_alive),
	         log_str("map", s->device->map->name));
}

/* Give the relay bytes of the broker until they are used up. False: over. */
static bool
relay_broker_bytes(struct session *s, struct span in)
{
	struct relay_out out = session_out(s);

	int rc = 0;

	while (in.len > 0 || rc == ERR_FULL) {
		size_t used = 0;

		rc = relay_from_broker(s->relay, in, &used, &out);
		in = span_skip(in, used);
		session_flush(s);
		if (s->state == SESSION_CLOSING) {
			return false;
		}
		if (rc != 0 && rc != ERR_FULL) {
			session_finish(s, NULL);
			return false;
		}
	}
	return true;
}

static void
upstream_received(void *owner, struct span bytes)
{
	struct session *s = owner;

	if (s->state == SESSION_CLOSING || !relay_broker_bytes(s, bytes)) {
		return;
	}
	if (s->state == SESSION_DIAL && relay_phase(s->relay) == RELAY_LIVE) {
		session_state_set(s, SESSION_LIVE);
		session_went_live(s);
	} else if (s->state == SESSION_RESTORING && relay_phase(s->relay) == RELAY_LIVE) {
		session_restored(s);
	}
	session_owing(s, true);
	if (stream_above(&s->down)) {
		metric_add(&s->worker->metrics, METRIC_PAUSED, 1);
		if (stream_read(&s->up, false) != 0) {
			session_finish(s, "the broker's connection failed");
			return;
		}
	}
	session_pump(s, span_of(NULL, 0));
}

/*
 * The broker's keepalive clock may be first, since it counts whole seconds.
 * Then the device is told the reason that is its own, not that the broker
 * went; but one that is only a little late is to be held when it did.
 */
static bool
beyond_keepalive(const struct session *s)
{
	uint64_t least = s->keep_alive * 1000ULL, nearly = least + least / 2;

	nearly = nearly > 2000 ? nearly - 2000 : 0;
	return s->keep_alive > 0 && s->down.reading &&
	       loop_now(s->worker->loop) - s->active > (nearly > least ? nearly : least);
}

static void
upstream_ended(void *owner, int error)
{
	struct session *s = owner;

	(void)error;
	if (s->state == SESSION_CLOSING) {
		return;
	}
	if (s->state == SESSION_DIAL) {
		upstream_lost(s->worker->upstream);
		/* One that is there means this device. */
		session_no_broker(s, "the broker closed the connection before CONNACK",
		                  !s->worker->broker_up);
		return;
	}
	if (session_taken_over(s)) {
		return;
	}
	if (beyond_keepalive(s)) {
		metric_add(&s->worker->metrics, METRIC_KEEPALIVE_TIMED_OUT, 1);
		session_end(s, MQTT_KEEP_ALIVE_TIMEOUT, "silent for longer than its keepalive");
	} else {
		upstream_lost(s->worker->upstream);
		session_lost(s);
	}
}

static void
upstream_drained(void *owner)
{
	struct session *s = owner;

	if (s->state != SESSION_CLOSING) {
		session_pump(s, span_of(NULL, 0));
	}
}

/* It may have been closed for another to follow. */
static void
upstream_closed(void *owner)
{
	struct session *s = owner;

	s->up_closing = false;
	if (s->state == SESSION_RESTORING && !s->up_used) {
		session_restore_next(s);
	}
	session_handle_closed(s);
}

static const struct stream_calls upstream_calls = {
	.received = upstream_received,
	.ended = upstream_ended,
	.drained = upstream_drained,
	.closed = upstream_closed,
};

void
session_dial_upstream(struct session *s)
{
	struct worker *w = s->worker;

	stream_init(&s->up, w->loop, &upstream_calls, s, w->conf->limits.high_water,
	            w->conf->limits.low_water);
	s->up_used = true;
	s->handles++;
	/* The dial has its own deadline; this one only guards against a bug in it. */
	if (s->state == SESSION_DIAL) {
		session_deadline(s, 4 * (uint64_t)s->device->conf->upstream.connect_timeout + 1000);
	}
	s->dialling = true;
	upstream_dial(w->upstream, &s->dial, &s->up, dialled, s);
}

/* The relay needs the broker. */
static void
dial(struct session *s)
{
	if (s->stale && session_recheck(s)) {
		return;
	}
	session_state_set(s, SESSION_DIAL);
	if (!session_waits_for_store(s)) {
		session_dial_upstream(s);
	}
}

/* ---- device --------------------------------------------------------------------- */

/* What the diagnosis wants to know of plaintext. */
static void
note_plain(struct session *s, struct span in)
{
	if (in.len == 0) {
		return;
	}
	if (!s->took_plain) {
		s->took_plain = true;
		s->first_byte = in.ptr[0];
	}
	if (!s->proved && session_is_connected(s)) {
		session_prove(s);
	}
}

/* The worker's counts of what was denied. */
struct denials {
	int64_t topics, filters;
};

static struct denials
denials_of(const struct session *s)
{
	const struct metrics *m = &s->worker->metrics;

	return (struct denials){ metric_read(m, METRIC_PUBLISH_DENIED),
		metric_read(m, METRIC_SUBSCRIBE_DENIED) };
}

/* Also of a device that says goodbye right behind it. */
static void
tell_denial(struct session *s, struct denials before)
{
	struct denials now = denials_of(s);

	if (!s->denial_told && (now.filters > before.filters || now.topics != before.topics)) {
		session_denied(s, now.filters > before.filters);
	}
}

/*
 * Give the relay plaintext; what it does not take yet is held. False when the
 * session is over.
 */
static bool
relay_device_bytes(struct session *s, struct span in)
{
	struct denials before = denials_of(s);
	struct relay_out out = session_out(s);

	note_plain(s, in);
	while (in.len > 0 && may_take(s)) {
		size_t used = 0;
		int rc = relay_from_device(s->relay, in, &used, &out);

		in = span_skip(in, used);
		session_flush(s);
		if (rc != 0 && rc != ERR_FULL) {
			if (session_is_connected(s)) {
				tell_denial(s, before);
			}
			session_finish(s, NULL);
			return false;
		}
		if (relay_phase(s->relay) == RELAY_DIAL && s->state == SESSION_CONNECT) {
			dial(s);
			if (s->state == SESSION_CLOSING) {
				return false;
			}
		}
	}
	tell_denial(s, before);
	if (in.len > 0 && buf_append(&s->plain, in) != 0) {
		session_finish(s, "no memory");
		return false;
	}
	return true;
}

/* What was decrypted earlier goes first. False when the session is over. */
static bool
relay_held(struct session *s)
{
	struct buf held = s->plain;
	bool alive;

	if (buf_len(&held) == 0 || !may_take(s)) {
		return true;
	}
	s->plain = (struct buf){ 0 };
	alive = relay_device_bytes(s, buf_span(&held));
	buf_release(&held);
	return alive;
}

/*
 * Decrypt and relay until the lent bytes are used up or somebody is slow.
 * Returns ERR_MORE, 0 (paused), or a failure that ended the session.
 */
static int
decrypt(struct session *s)
{
	struct worker *w = s->worker;
	int64_t rc = 0;

	while (rc >= 0 && may_take(s)) {
		size_t n = 0;

		while (n + 16384 <= sizeof w->plain &&
		       (rc = tls_read(s->tls, w->plain + n, sizeof w->plain - n, &w->cipher)) > 0) {
			n += (size_t)rc;
		}
		if (n > 0 && !relay_device_bytes(s, span_of(w->plain, n))) {
			return ERR_CLOSED;
		}
	}
	session_send_cipher(s);
	if (rc == ERR_CLOSED) {
		session_finish(s, "the device closed TLS without DISCONNECT");
	} else if (rc < 0 && rc != ERR_MORE) {
		session_finish(s, "TLS failed");
	}
	return rc < 0 ? (int)rc : 0;
}

/* Lend TLS what is held and fresh; hold what it did not take. */
static bool
take_cipher(struct session *s, struct span fresh)
{
	bool held = buf_len(&s->cipher) > 0;
	struct span in = fresh, left;
	int rc;

	if (held) {
		if (buf_append(&s->cipher, fresh) != 0) {
			session_finish(s, "no memory");
			return false;
		}
		in = buf_span(&s->cipher);
	}
	tls_lend(s->tls, in);
	rc = decrypt(s);
	if (rc != 0 && rc != ERR_MORE) {
		return false;
	}
	left = tls_unread(s->tls);
	if (held) {
		buf_consume(&s->cipher, in.len - left.len);
	} else if (left.len > 0 && buf_append(&s->cipher, left) != 0) {
		session_finish(s, "no memory");
		return false;
	}
	if (buf_len(&s->cipher) == 0) {
		buf_release(&s->cipher);
	}
	return true;
}

void
session_pump(struct session *s, struct span fresh)
{
	bool on;

	if (!relay_held(s) || !take_cipher(s, fresh)) {
		return;
	}
	session_owing(s, false);
	on = may_take(s);
	if (!on && s->down.reading && s->state == SESSION_LIVE) {
		metric_add(&s->worker->metrics, METRIC_PAUSED, 1);
	}
	if (on && !s->down.reading) {
		s->active = loop_now(s->worker->loop); /* until now its silence was our doing */
	}
	if (on != s->down.reading && stream_read(&s->down, on) != 0) {
		session_finish(s, "the device's connection failed");
	} else if (s->state == SESSION_RESTORING) {
		session_restore_next(s); /* perhaps that was the last it waited for */
	}
}

static void
device_received(void *owner, struct span bytes)
{
	struct session *s = owner;

	s->active = loop_now(s->worker->loop);
	if (s->state == SESSION_HANDSHAKE) {
		session_handshake_bytes(s, bytes);
	} else if (s->state != SESSION_CLOSING) {
		session_pump(s, bytes);
	}
}

static void
device_ended(void *owner, int error)
{
	struct session *s = owner;

	s->eof = true;
	s->end = error == 0 ? END_FIN : END_RESET;
	s->lost = error == -ETIMEDOUT;
	if (s->state == SESSION_HANDSHAKE) {
		/* What came before the end may hold an alert that says why. */
		loop_defer_cancel(&s->handshake);
		session_handshake_run(s);
	} else if (s->state != SESSION_CLOSING) {
		session_finish(s, error == 0 ? "the device closed the connection without DISCONNECT" :
		                               "the connection to the device was lost");
	}
}

static void
device_drained(void *owner)
{
	struct session *s = owner;

	if (s->state == SESSION_CLOSING) {
		return;
	}
	if (s->up_open && !s->up.reading && stream_read(&s->up, true) != 0) {
		session_finish(s, "the broker's connection failed");
		return;
	}
	if (s->relay != NULL) {
		session_pump(s, span_of(NULL, 0));
	}
}

const struct stream_calls session_device_calls = {
	.received = device_received,
	.ended = device_ended,
	.drained = device_drained,
	.closed = session_handle_closed,
};
