/* SPDX-License-Identifier: BSD-2-Clause */
/* The handshake of a session, and the question whether its device may enter. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "session/session_int.h"

static void
note_stranger(struct session *s, const struct pki_cert *cert, enum tls_trust trust)
{
	struct worker *w = s->worker;
	struct reg_stranger visit;

	device_stranger(w->conf, cert, trust, &visit);
	snprintf(visit.address, sizeof visit.address, "%s", s->address);
	visit.last_at = clock_wall();
	if (!strangers_note(w->shared->strangers, &s->budget, &visit)) {
		metric_add(&w->metrics, METRIC_STRANGERS_DROPPED, 1);
	}
}

/* Good but not known: what an operator may want to let in, or lock out. */
static bool
is_stranger(enum tls_admit verdict, const struct device *device, const struct pki_cert *cert)
{
	return cert->not_after >= clock_wall() &&
	       (verdict == TLS_ADMIT_UNKNOWN || (device != NULL && !device->known));
}

/*
 * Called by TLS inside the handshake, perhaps twice (a resumption that is
 * then not taken): the last answer counts.
 */
static enum tls_admit
admit(void *owner, const struct pki_cert *cert, enum tls_trust trust, bool resumed)
{
	struct session *s = owner;
	char identity[REG_NAME_MAX + 1];
	struct device *device = NULL;
	enum tls_admit verdict;

	/* Resumed or not, the question is the same: that is the point. */
	verdict = device_admit(s->worker->conf, s->worker->reg, cert, trust, &device, identity,
	                       s->attempt->why);
	s->attempt->asked = true;
	if (!resumed && is_stranger(verdict, device, cert)) {
		note_stranger(s, cert, trust);
	}
	device_free(s->device);
	s->device = device;
	free(s->identity);
	s->identity = identity[0] != '\0' ? strdup(identity) : NULL;
	s->grace = verdict == TLS_ADMIT_GRACE;
	if (device != NULL && s->identity == NULL) {
		return TLS_ADMIT_ERROR;
	}
	if (device != NULL && session_random_fails(s)) {
		return TLS_ADMIT_BAD;
	}
	return verdict;
}

const struct tls_calls session_tls_calls = { .admit = admit };

static void
refused(struct session *s)
{
	const struct tls_failure *failure = tls_failure(s->tls);
	struct worker *w = s->worker;
	bool by_register = failure->admit != TLS_ADMIT_YES && s->attempt->why[0] != '\0';

	metric_add(&w->metrics, METRIC_HANDSHAKES_FAILED, 1);
	if (by_register) {
		metric_add(&w->metrics, METRIC_ADMISSION_REFUSED, 1);
	}
	session_finish(s, NULL);
}

static void
start_relay(struct session *s)
{
	struct worker *w = s->worker;
	const struct conf *conf = s->device->conf;
	struct relay_settings settings = {
		.rules = &s->device->map->rules,
		.client_id = conf->upstream.client_id,
		.own_client_id = conf->uplink.client_id,
		.username = span_str(s->identity),
		.password = conf->upstream.password,
		.limits = { .packet_size = conf->limits.packet_size,
			.packet_memory = conf->limits.packet_memory,
			.keepalive_max = (uint16_t)conf->limits.keepalive_max,
			.denied_inflight = conf->limits.denied_inflight,
			.subscriptions = conf->limits.subscriptions,
			.topic_aliases = conf->limits.topic_aliases,
			.hold_memory = conf->limits.hold_memory },
		.store = w->store,
		.spool = session_spool(s),
		.hold = s->device->map->outage.hold,
		.publish_only = s->device->map->outage.publish_only,
		.metrics = &w->metrics,
	};
	device_vars(s->device, tls_peer(s->tls), &settings.vars);
	if (relay_new(&settings, &s->relay) != 0) {
		session_finish(s, "no memory");
		return;
	}
	session_state_set(s, SESSION_CONNECT);
	session_deadline(s, conf->limits.connect_timeout);
	session_pump(s, span_of(NULL, 0));
}

static void
completed(struct session *s)
{
	struct worker *w = s->worker;

	s->attempt->handshake_ms = (uint32_t)(loop_now(w->loop) - s->attempt->accepted);
	metric_add(&w->metrics, METRIC_HANDSHAKES, 1);
	if (tls_resumed(s->tls)) {
		metric_add(&w->metrics, METRIC_HANDSHAKES_RESUMED, 1);
	}
	if (s->device == NULL || tls_peer(s->tls) == NULL) {
		/* Cannot be: TLS asks before it completes. Never let it pass. */
		session_finish(s, "the certificate was not checked");
		return;
	}
	if (s->grace) {
		metric_add(&w->metrics, METRIC_GRACE, 1);
		log_warning(LOG_SESSION, "certificate expired, let in by grace",
		            log_str("device", s->identity), log_str("address", s->address),
		            log_str("map", s->device->map->name));
	}
	sightings_note(w->shared->sightings, s->identity, s->address, NULL);
	start_relay(s);
}

void
session_handshake_bytes(struct session *s, struct span bytes)
{
	if (buf_len(&s->cipher) + bytes.len > HANDSHAKE_BYTES ||
	    buf_append(&s->cipher, bytes) != 0) {
		session_finish(s, NULL);
		return;
	}
	if (loop_deferred_count(s->worker->loop) > 0) {
		metric_add(&s->worker->metrics, METRIC_HANDSHAKES_DEFERRED, 1);
	}
	loop_defer(s->worker->loop, &s->handshake);
}

void
session_handshake_run(void *owner)
{
	struct session *s = owner;
	struct span in = buf_span(&s->cipher);
	int rc;

	tls_lend(s->tls, in);
	if (s->eof) {
		tls_lend_eof(s->tls);
	}
	rc = tls_handshake(s->tls, &s->worker->cipher);
	buf_consume(&s->cipher, in.len - tls_unread(s->tls).len);
	session_send_cipher(s);
	if (rc == ERR_MORE && !s->eof) {
		return;
	}
	if (rc == 0) {
		completed(s);
	} else {
		refused(s);
	}
}
