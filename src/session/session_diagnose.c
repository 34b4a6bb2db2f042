/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a session knows of its own failure, put together for the diagnosis,
 * and what is then said of it: one line per episode, not per attempt.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "session/session_int.h"

/* A copy of what was cut to the field's size. */
#define COPY(field, text) copy_text((field), sizeof(field), (text))

static void
copy_text(char *to, size_t size, struct span text)
{
	size_t n = text.len < size - 1 ? text.len : size - 1;

	if (n > 0) {
		memcpy(to, text.ptr, n);
	}
	to[n] = '\0';
}

/* A name that anybody may have written: what is not plain text becomes '?'. */
static void
copy_claim(char *to, size_t size, struct span text)
{
	bool plain;

	copy_text(to, size, text);
	plain = utf8_valid_strict(span_str(to)) && strlen(to) == text.len;
	for (unsigned char *p = (unsigned char *)to; *p != '\0'; p++) {
		/* U+0080 to U+009F are controls, too: C2 and then less than A0. */
		if (*p < 0x20 || *p == 0x7f || (!plain && *p >= 0x80)) {
			*p = '?';
		} else if (*p == 0xc2 && p[1] < 0xa0) {
			p[0] = p[1] = '?';
		}
	}
}

/* ---- TLS ------------------------------------------------------------------------------ */

static void
take_handshake(const struct tls_evidence *from, struct diagnose_evidence *e)
{
	diagnose_take_start(e, buf_span(&from->start));
	e->received = from->received;
	e->sent = from->sent;
	for (unsigned i = 0; i < from->error_count && i < DIAGNOSE_ERRORS; i++) {
		e->errors[i] = (struct diagnose_error){ from->error[i].library,
			from->error[i].reason };
		e->error_count = i + 1;
	}
	e->certificate.length = from->cert_length;
	e->certificate.chain_length = from->chain_length;
	e->certificate.by_intermediate = from->by_intermediate;
}

static void
take_alert(int number, struct diagnose_alert *alert)
{
	*alert = (struct diagnose_alert){ .seen = number >= 0,
		.number = number >= 0 ? (uint8_t)number : 0 };
}

static enum diagnose_admit
admit_of(const struct session *s, const struct tls_failure *failure)
{
	static const enum diagnose_admit of[] = {
		[TLS_ADMIT_YES] = ADMIT_YES, [TLS_ADMIT_UNKNOWN] = ADMIT_UNKNOWN,
		[TLS_ADMIT_REVOKED] = ADMIT_REVOKED, [TLS_ADMIT_EXPIRED] = ADMIT_EXPIRED,
		[TLS_ADMIT_BAD] = ADMIT_BAD, [TLS_ADMIT_ERROR] = ADMIT_ERROR,
		[TLS_ADMIT_GRACE] = ADMIT_YES,
	};
	bool weak = failure->admit == TLS_ADMIT_UNKNOWN || failure->admit == TLS_ADMIT_BAD;

	if (s->attempt == NULL) {
		return ADMIT_YES;
	}
	if (s->attempt->random_refused) {
		return ADMIT_RANDOM;
	}
	if (!s->attempt->asked || (weak && tls_trust(s->tls) == TLS_TRUST_SELF_SIGNED)) {
		return ADMIT_NOT_ASKED; /* that nobody issued it says more */
	}
	return of[failure->admit];
}

static void
take_tls(const struct session *s, struct diagnose_evidence *e)
{
	const struct tls_failure *failure = tls_failure(s->tls);
	const struct tls_evidence *from = tls_evidence(s->tls);

	if (from != NULL) {
		take_handshake(from, e);
	} else if (failure->reason != 0) {
		e->errors[0] = (struct diagnose_error){ 20, failure->reason };
		e->error_count = 1;
	}
	e->handshake_done = s->state != SESSION_HANDSHAKE;
	e->flooded = failure->flooded;
	take_alert(failure->alert_received, &e->alert_in);
	take_alert(failure->alert_sent, &e->alert_out);
	e->verify_error = failure->verify_error;
	e->verify_depth = failure->verify_depth;
	e->admit = admit_of(s, failure);
	if (s->attempt != NULL) {
		COPY(e->admit_why, span_str(s->attempt->why));
		e->before.random_repeated = s->attempt->random_repeated;
	}
}

static void
take_certificate(const struct session *s, struct diagnose_certificate *c)
{
	const struct pki_cert *cert = tls_peer(s->tls);

	if (s->identity != NULL) {
		COPY(c->identity, span_str(s->identity));
	}
	if (cert == NULL) {
		return;
	}
	c->present = true;
	if (s->identity == NULL) {
		copy_claim(c->identity, sizeof c->identity, cert->cn);
	}
	COPY(c->subject, cert->subject);
	COPY(c->issuer, cert->issuer);
	COPY(c->key, cert->key_type);
	c->not_before = cert->not_before;
	c->not_after = cert->not_after;
	c->version = (unsigned)cert->version;
}

static void
take_presented(const struct tls_presented *from, struct diagnose_presented *p)
{
	for (unsigned i = 0; i < from->name_count && i < DIAGNOSE_NAMES && i < TLS_NAMES; i++) {
		COPY(p->names[i], span_str(from->names[i]));
	}
	p->name_count = from->name_count;
	COPY(p->subject, span_str(from->subject));
	COPY(p->ca_subject, span_str(from->ca_subject));
	COPY(p->ca_fingerprint, span_str(from->ca_fingerprint));
	COPY(p->key, span_str(from->key));
	COPY(p->fault, span_str(from->fault));
	p->not_before = from->not_before;
	p->not_after = from->not_after;
	p->short_signature = from->short_signature;
}

/* ---- MQTT ----------------------------------------------------------------------------- */

static enum diagnose_phase
phase_of(const struct session *s)
{
	switch (s->state) {
	case SESSION_CONNECT:
		return PHASE_WAIT_CONNECT;
	case SESSION_DIAL:
		return s->up_open ? PHASE_WAIT_CONNACK : PHASE_DIAL;
	case SESSION_LIVE:
	case SESSION_HELD:
	case SESSION_DRAINING:
	case SESSION_RESTORING:
		return PHASE_LIVE;
	default:
		return PHASE_NONE;
	}
}

/* The relay's words for ends that a setting decides. */
static const char *
limit_of(const struct relay_ending *ending)
{
	if (ending->side != RELAY_SIDE_DEVICE) {
		return "";
	}
	return ending->reason == MQTT_RECEIVE_MAXIMUM_EXCEEDED &&
	                       strstr(ending->text, "denied publishes") != NULL ?
	               "limits.denied_inflight" :
	       ending->reason == MQTT_QUOTA_EXCEEDED &&
	                       strstr(ending->text, "unsubscribed") != NULL ?
	               "limits.subscriptions" :
	               "";
}

static void
take_ending(const struct session *s, struct diagnose_mqtt *m)
{
	struct relay_ending ending = relay_ending(s->relay);

	if (ending.text == NULL) {
		return;
	}
	m->ended = true;
	m->side = (enum diagnose_side)ending.side;
	m->reason = (uint8_t)ending.reason;
	m->goodbye = ending.side == RELAY_SIDE_DEVICE && ending.reason == MQTT_SUCCESS;
	COPY(m->why, span_str(ending.text));
	COPY(m->limit, span_str(limit_of(&ending)));
}

static void
take_broker(const struct session *s, struct diagnose_mqtt *m)
{
	struct broker_info info;

	broker_read(s->worker->shared->broker, &info);
	if (info.state == BROKER_AWAY) {
		COPY(m->broker, span_str(info.last_error != 0 ? err_text(info.last_error) :
		                                                "closed the connection"));
	}
}

static void
take_relay(const struct session *s, struct diagnose_evidence *e)
{
	struct diagnose_mqtt *m = &e->mqtt;
	struct relay_info info;

	m->phase = phase_of(s);
	m->first_byte = s->first_byte;
	if (s->relay == NULL) {
		return;
	}
	relay_info(s->relay, &info);
	take_ending(s, m);
	take_broker(s, m);
	COPY(m->client_id, info.device_client_id);
	m->level = info.level;
	m->keepalive = info.keep_alive;
	m->connack_sent = session_is_connected(s);
	m->after_connect = s->proved;
	e->app_in = info.bytes_up > 0 ? info.bytes_up : s->took_plain;
	e->app_out = info.bytes_down;
}

static void
take_denial(const struct session *s, struct diagnose_mqtt *m)
{
	struct relay_info info;

	relay_info(s->relay, &info);
	COPY(m->topic, info.last_denied);
	COPY(m->map, span_str(s->device->map->name));
	m->denied = s->state == SESSION_CONNECT || s->state == SESSION_DIAL ? DENIED_WILL :
	            s->denied_filter                                       ? DENIED_SUBSCRIBE :
	                                                                     DENIED_PUBLISH;
}

/* ---- all of it ------------------------------------------------------------------------ */

static void
take_times(const struct session *s, struct diagnose_evidence *e)
{
	int64_t seconds = clock_wall() - s->since;

	e->duration_ms = seconds < 0             ? 0 :
	                 seconds > INT32_MAX / 1000 ? INT32_MAX :
	                                           (uint32_t)seconds * 1000;
	e->open_ms = e->duration_ms;
	if (s->attempt != NULL) {
		e->duration_ms = (uint32_t)(loop_now(s->worker->loop) - s->attempt->accepted);
		e->handshake_ms = e->handshake_done ? s->attempt->handshake_ms : e->duration_ms;
		e->open_ms = e->duration_ms - e->handshake_ms;
	}
}

static void
gather_evidence(const struct session *s, enum diagnose_end end, struct diagnose_evidence *e)
{
	*e = (struct diagnose_evidence){ .end = end };
	COPY(e->address, span_str(s->address));
	take_tls(s, e);
	take_certificate(s, &e->certificate);
	take_presented(tls_presented(s->tls), &e->presented);
	take_relay(s, e);
	take_times(s, e);
	/* A peer that resets is there; its reset only did not confirm what came before. */
	if (end == END_TIMEOUT || (end == END_RESET && s->lost)) {
		e->unacknowledged = stream_unacknowledged(&s->down);
	}
}

static void
tell(const struct session *s, const char *what, const struct episode_news *news,
     const char *detail)
{
	const struct diagnose_entry *entry = diagnose_entry(news->verdict.cause);
	struct worker_refusal line = { .what = what, .device = s->identity,
		.address = s->address, .cause = entry->id, .reason = news->verdict.sentence,
		.remedy = news->verdict.remedy, .detail = detail, .count = news->count,
		.quiet = entry->class == CLASS_STRANGER || !news->tell };

	if (entry->class == CLASS_STRANGER) {
		line.what = "stranger";
	} else if (line.quiet) {
		line.what = "refused again";
	}
	/* Notices are in the lines on connecting and disconnecting. */
	if (entry->class != CLASS_NOTICE) {
		worker_log_refusal(s->worker, &line);
	}
}

/* For an operator who wants to see the handshake itself. */
static void
tell_messages(const struct session *s)
{
	const struct tls_evidence *from = tls_evidence(s->tls);
	char text[512] = "";
	size_t len = 0;

	for (unsigned i = 0; from != NULL && i < from->message_count && len < 480; i++) {
		const struct tls_message *m = &from->message[i];
		int n = snprintf(text + len, sizeof text - len, "%s%c%u@%u", i > 0 ? " " : "",
		                 m->sent ? '>' : '<', m->type, m->ms);

		len += n > 0 ? (size_t)n : 0;
	}
	log_debug(LOG_SESSION, "handshake messages", log_str("address", s->address),
	          log_int("port", s->port), log_str("messages", text));
}

static const char *
identity_or_none(const struct session *s)
{
	return s->identity != NULL ? s->identity : "";
}

/* The device's DISCONNECT, with nothing to say of it. */
static bool
went_well(const struct session *s)
{
	struct relay_ending ending;

	if (!session_is_connected(s)) {
		return false;
	}
	ending = relay_ending(s->relay);
	return ending.text != NULL && ending.side == RELAY_SIDE_DEVICE &&
	       ending.reason == MQTT_SUCCESS;
}

/* The plain words of whoever ended it. */
static const char *
detail_of(const struct session *s, const char *why)
{
	if (why != NULL || s->state != SESSION_HANDSHAKE) {
		return why;
	}
	return s->attempt->why[0] != '\0' && tls_failure(s->tls)->admit != TLS_ADMIT_YES ?
	               s->attempt->why :
	               tls_failure(s->tls)->text;
}

void
session_diagnose(struct session *s, const char *why)
{
	struct worker *w = s->worker;
	bool live = session_is_connected(s);
	struct diagnose_evidence e;
	struct episode_news news;

	if (went_well(s)) {
		session_prove(s);
		return;
	}
	gather_evidence(s, s->end != END_OPEN ? s->end : END_CLOSED, &e);
	if (s->relay != NULL && !s->denial_told) {
		take_denial(s, &e.mqtt);
	}
	if (e.mqtt.ended && e.mqtt.reason == MQTT_SESSION_TAKEN_OVER) {
		e.mqtt.takeovers = episodes_takeover(w->shared->episodes, s->identity, s->address,
		                                     &e.mqtt.takeover_addresses);
	}
	if (s->state == SESSION_HANDSHAKE) {
		tell_messages(s);
	}
	episodes_note(w->shared->episodes, identity_or_none(s), &e, &news);
	tell(s, live ? "device in trouble" : "device refused", &news, detail_of(s, why));
	if (!live && s->identity != NULL && news.verdict.cause != CAUSE_NOTHING) {
		sightings_note(w->shared->sightings, s->identity, s->address,
		               news.verdict.sentence);
	}
}

void
session_denied(struct session *s, bool filter)
{
	struct diagnose_evidence e;
	struct episode_news news;

	s->denied_filter = filter;
	gather_evidence(s, END_OPEN, &e);
	take_denial(s, &e.mqtt);
	s->denial_told = true;
	episodes_note(s->worker->shared->episodes, s->identity, &e, &news);
	tell(s, "device in trouble", &news, NULL);
}

void
session_connected(struct session *s)
{
	struct diagnose_evidence e;
	struct episode_news news;

	gather_evidence(s, END_OPEN, &e);
	s->cert_length = (uint16_t)e.certificate.length;
	if (episodes_warn(s->worker->shared->episodes, s->identity, &e, &news)) {
		tell(s, "device admitted with a warning", &news, NULL);
	}
	tls_forget_evidence(s->tls);
	free(s->attempt);
	s->attempt = NULL;
}

void
session_prove(struct session *s)
{
	if (!s->proved) {
		s->proved = true;
		episodes_success(s->worker->shared->episodes, s->address, s->identity,
		                 tls_presented(s->tls)->ca_fingerprint, s->cert_length);
	}
}

/* ---- random numbers ------------------------------------------------------------------- */

bool
session_random_fails(struct session *s)
{
	const struct tls_evidence *from = tls_evidence(s->tls);
	struct attempt *a = s->attempt;
	struct hello hello;

	if (a == NULL || from == NULL) {
		return false;
	}
	if (!a->random_asked && hello_read(buf_span(&from->start), &hello) == 0 &&
	    hello_is_bearssl(&hello)) {
		a->random_repeated = episodes_random(s->worker->shared->episodes, s->address,
		                                     hello.random);
	}
	a->random_asked = true; /* once: the next time it would meet itself */
	a->random_refused = a->random_repeated &&
	                    s->worker->conf->tls.repeated_random == CONF_RANDOM_REFUSE;
	if (a->random_refused) {
		snprintf(a->why, sizeof a->why, "its random numbers repeat, and "
		                                "tls.repeated_random refuses that");
	}
	return a->random_refused;
}

/* ---- not even accepted ---------------------------------------------------------------- */

void
session_over_limit(struct worker *w, const struct sockaddr *peer, const char *limit)
{
	const void *bytes = peer->sa_family == AF_INET6 ?
	                            (const void *)&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr :
	                            (const void *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr;
	struct diagnose_evidence e = { .end = END_CLOSED };
	struct episode_news news;
	struct worker_refusal line;

	if (inet_ntop(peer->sa_family, bytes, e.address, sizeof e.address) == NULL) {
		return;
	}
	COPY(e.mqtt.limit, span_str(limit));
	episodes_note(w->shared->episodes, "", &e, &news);
	line = (struct worker_refusal){ .what = "device refused", .address = e.address,
		.cause = diagnose_entry(news.verdict.cause)->id, .reason = news.verdict.sentence,
		.remedy = news.verdict.remedy, .count = news.count };
	if (news.tell) {
		worker_log_refusal(w, &line);
	}
}
