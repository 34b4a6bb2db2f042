/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "session/session.h"
#include "session/store.h"

#define LISTEN_BACKLOG 1024
/* Handshake steps per turn: up to 1 ms of CPU each, which is what a fleet that
 * comes back at once delays a connected device by. */
#define HANDSHAKES_PER_TURN 1
#define RECHECK_PER_TURN 64
#define REFUSALS_PER_SECOND 10
/*
 * What a long writer (a large fleet file) may hold up the loop by, at most
 * once a second. Sessions that have to write just then are ended, and come
 * back.
 */
#define REGISTER_PATIENCE_MS 100

/* ---- making ------------------------------------------------------------------------ */

static void
incoming(void *owner, struct listener *listener, const struct sockaddr *peer)
{
	session_accept(owner, listener, peer);
}

static const struct listener_calls listener_calls = { .incoming = incoming };

static int
listen_all(struct worker *w, uint16_t *port, char *why)
{
	w->listener = calloc(w->conf->listener_count, sizeof *w->listener);
	if (w->listener == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < w->conf->listener_count; i++) {
		const struct conf_listener *l = &w->conf->listener[i];
		int rc = w->index == 0 ? listener_probe(l->address, l->port, why) : 0;

		if (rc == 0) {
			rc = listener_open(w->loop, l->address, l->port != 0 ? l->port : port[i],
			                   LISTEN_BACKLOG, &listener_calls, w, &w->listener[i],
			                   &port[i], why);
		}
		if (rc != 0) {
			return rc;
		}
		w->listener_count++;
	}
	return 0;
}

static struct upstream_settings
upstream_settings(const struct conf *conf)
{
	return (struct upstream_settings){ .path = conf->upstream.path,
		.address = conf->upstream.address, .port = conf->upstream.port,
		.connect_timeout = conf->upstream.connect_timeout,
		.retry_min = conf->upstream.retry_min, .retry_max = conf->upstream.retry_max,
		.pending = conf->upstream.pending };
}

struct tls_settings
worker_tls_settings(const struct conf *conf)
{
	return (struct tls_settings){ .certificate = conf->tls.certificate, .key = conf->tls.key,
		.ca = conf->tls.ca, .crl = conf->tls.crl,
		.crl_stale = conf->tls.crl_policy == CONF_CRL_WARN,
		.min_version = conf->tls.min_version };
}

/* What relay_arena_size() looks at. */
static struct relay_limits
arena_limits(const struct conf *conf)
{
	return (struct relay_limits){ .packet_memory = conf->limits.packet_memory,
		.denied_inflight = conf->limits.denied_inflight,
		.subscriptions = conf->limits.subscriptions };
}

static void recheck_some(void *owner);

static int
prepare(struct worker *w, uint16_t *port, char *why)
{
	const struct conf *conf = w->conf;
	struct tls_settings tls = worker_tls_settings(conf);
	struct relay_limits limits = arena_limits(conf);
	struct upstream_settings up = upstream_settings(conf);
	char name[16], file[4096];
	uint8_t *cipher;
	int rc;

	snprintf(name, sizeof name, "worker-%u", w->index);
	snprintf(file, sizeof file, "%s/register.db", conf->gateway.state_directory);
	snprintf(why, PKI_WHY_SIZE, "no memory");
	rc = loop_new(name, &w->loop);
	if (rc == 0) {
		rc = tls_context_new(&tls, w->shared->tls, &session_tls_calls, &w->tls, why);
	}
	if (rc == 0) {
		rc = reg_open(file, REG_CREATE, &w->reg, why);
	}
	if (rc == 0) {
		reg_patience(w->reg, REGISTER_PATIENCE_MS);
	}
	if (rc == 0) {
		rc = batch_init(&w->to_device, relay_arena_size(&limits));
	}
	if (rc == 0) {
		rc = batch_init(&w->to_broker, relay_arena_size(&limits));
	}
	if (rc == 0) {
		/* What one read becomes, at once: not by growing through smaller sizes. */
		rc = buf_reserve(&w->cipher, 2 * LOOP_READ_SIZE, &cipher);
	}
	if (rc == 0) {
		rc = upstream_new(w->loop, w->shared->broker, &up, &w->upstream);
	}
	if (rc == 0) {
		worker_outage_start(w);
		loop_defer_budget(w->loop, HANDSHAKES_PER_TURN);
		w->store = store_of(w->reg);
		rc = listen_all(w, port, why);
	}
	return rc;
}

int
worker_new(unsigned index, const struct worker_shared *shared, struct conf *conf, uint16_t *port,
           struct worker **out, char *why)
{
	struct worker *w = calloc(1, sizeof *w);
	int rc;

	if (w == NULL) {
		return -ENOMEM;
	}
	w->index = index;
	w->shared = shared;
	w->conf = conf_ref(conf);
	list_init(&w->sessions);
	w->recheck = (struct loop_deferred){ .run = recheck_some, .owner = w };
	list_init(&w->recheck.node);
	list_init(&w->reconfigured);
	worker_outage_init(w);
	rc = prepare(w, port, why);
	*out = w; /* worker_stop() and worker_free() take a half-made one, too */
	return rc;
}

int
worker_start(struct worker *w)
{
	return loop_start(w->loop);
}

const struct metrics *
worker_metrics(const struct worker *w)
{
	return &w->metrics;
}

int
worker_tls_context(struct worker *w, const struct tls_settings *settings,
                   struct tls_context **out, char *why)
{
	return tls_context_new(settings, w->shared->tls, &session_tls_calls, out, why);
}

/* ---- asking ------------------------------------------------------------------------ */

static void
call_back(struct loop_message *message)
{
	struct worker_call *call = (void *)((char *)message - offsetof(struct worker_call, message));

	call->done(call);
}

static void
call_answer(struct worker_call *call)
{
	call->message.run = call_back;
	loop_post(call->back, &call->message);
}

static void
call_run(struct loop_message *message)
{
	struct worker_call *call = (void *)((char *)message - offsetof(struct worker_call, message));

	call->run(call->worker, call);
	if (!call->later) {
		call_answer(call);
	}
}

void
worker_ask(struct worker *w, struct worker_call *call)
{
	call->worker = w;
	call->message.run = call_run;
	loop_post(w->loop, &call->message);
}

int
worker_view(struct worker *w, const char *identity, struct session_list *list)
{
	struct list *at, *after;

	list_each(at, after, &w->sessions) {
		struct session *s = session_of(at);
		const char *name = session_identity(s);

		if (identity != NULL && (name == NULL || strcmp(name, identity) != 0)) {
			continue;
		}
		if (list->count == list->room) {
			size_t room = list->room > 0 ? list->room * 2 : 16;
			struct session_view *view = realloc(list->view, room * sizeof *view);

			if (view == NULL) {
				return -ENOMEM;
			}
			list->view = view;
			list->room = room;
		}
		session_view(s, &list->view[list->count++]);
	}
	return 0;
}

unsigned
worker_sessions(struct worker *w, const char *identity)
{
	struct list *at, *after;
	unsigned count = 0;

	list_each(at, after, &w->sessions) {
		struct session *s = session_of(at);
		const char *name = session_identity(s);

		count += name != NULL && strcmp(name, identity) == 0 && !session_ending(s);
	}
	return count;
}

unsigned
worker_sessions_from(struct worker *w, const char *address)
{
	struct list *at, *after;
	unsigned count = 0;

	list_each(at, after, &w->sessions) {
		count += session_open_from(session_of(at), address);
	}
	return count;
}

bool
worker_standing(struct worker *w, const char *identity, char *words)
{
	struct reg_device row;
	int rc = reg_find(w->reg, span_str(identity), &row);

	if (rc == ERR_NOT_FOUND) {
		bool any = w->conf->admission == CONF_ADMIT_CA;

		snprintf(words, WORKER_STANDING_SIZE,
		         any ? "%s is not in the register; any certificate of a trusted CA is let in" :
		               "%s is not in the register and would be refused", identity);
		return any;
	}
	if (rc != 0) {
		snprintf(words, WORKER_STANDING_SIZE, "the register cannot be read: %s",
		         reg_error(w->reg));
		return false;
	}
	if (row.state == REG_REVOKED) {
		snprintf(words, WORKER_STANDING_SIZE,
		         "%.200s is revoked (%s) and is refused inside the TLS handshake", identity,
		         row.revoked_reason);
		return false;
	}
	snprintf(words, WORKER_STANDING_SIZE, "%.200s is enrolled and would be let in%s", identity,
	         row.approved ? ", also with its self-signed certificate" : "");
	return true;
}

unsigned
worker_disconnect(struct worker *w, const char *identity)
{
	struct list *at, *after;
	unsigned count = 0;

	list_each(at, after, &w->sessions) {
		struct session *s = session_of(at);
		const char *name = session_identity(s);

		if (name != NULL && strcmp(name, identity) == 0) {
			count += session_end(s, MQTT_ADMINISTRATIVE_ACTION,
			                     "disconnected by the operator");
		}
	}
	return count;
}

/* Larger packets may be allowed now; between wake-ups the batches are empty. */
static void
grow_batches(struct worker *w)
{
	struct relay_limits limits = arena_limits(w->conf);
	struct batch *batch[] = { &w->to_device, &w->to_broker };

	for (unsigned i = 0; i < 2; i++) {
		size_t size = relay_arena_size(&limits);
		struct batch larger;

		if (size > batch[i]->arena_size && batch_init(&larger, size) == 0) {
			batch_deinit(batch[i]);
			*batch[i] = larger;
		}
	}
}

void
worker_reconfigure(struct worker *w, struct conf *conf, struct tls_context *tls,
                   struct worker_call *call)
{
	struct upstream_settings up = upstream_settings(conf);

	conf_unref(&w->conf);
	w->conf = conf_ref(conf);
	grow_batches(w);
	if (tls != NULL) {
		tls_context_unref(w->tls);
		w->tls = tls;
	}
	if (upstream_configure(w->upstream, &up) != 0) {
		log_error(LOG_UPSTREAM, "the upstream settings could not be taken over",
		          log_str("reason", "no memory"));
	}
	call->later = true;
	call->ended = 0;
	list_append(&w->reconfigured, &call->node);
	worker_recheck(w);
}

/* Every session was looked at. */
static void
recheck_done(struct worker *w)
{
	struct list *node;

	while ((node = list_take(&w->reconfigured)) != NULL) {
		call_answer(list_entry(node, struct worker_call, node));
	}
}

static void
recheck_some(void *owner)
{
	struct worker *w = owner;
	struct list *at, *after;
	unsigned ended = 0;

	for (unsigned i = 0; i < RECHECK_PER_TURN && w->recheck_at != &w->sessions; i++) {
		struct session *s = session_of(w->recheck_at);

		w->recheck_at = w->recheck_at->next;
		ended += session_recheck(s);
	}
	list_each (at, after, &w->reconfigured) {
		list_entry(at, struct worker_call, node)->ended += ended;
	}
	if (w->recheck_at != &w->sessions) {
		loop_soon(w->loop, &w->recheck);
	} else {
		recheck_done(w);
	}
}

void
worker_recheck(struct worker *w)
{
	w->recheck_at = w->sessions.next; /* a walk under way starts again */
	loop_soon(w->loop, &w->recheck);
}

/* ---- refusals ---------------------------------------------------------------------- */

void
worker_log_refusal(struct worker *w, const struct worker_refusal *r)
{
	uint64_t now = loop_now(w->loop);

	if (now - w->refusal_window >= 1000) {
		if (w->refusals_hidden > 0) {
			log_warning(LOG_SESSION, "more devices were refused",
			            log_int("count", w->refusals_hidden));
		}
		w->refusal_window = now;
		w->refusals_logged = w->refusals_hidden = 0;
	}
	if (r->quiet) {
		log_debug(LOG_SESSION, r->what, log_str("cause", r->cause),
		          log_str("device", r->device != NULL ? r->device : "-"),
		          log_str("address", r->address), log_str("reason", r->reason),
		          log_str("detail", r->detail != NULL ? r->detail : "-"));
		return;
	}
	if (w->refusals_logged == REFUSALS_PER_SECOND) {
		w->refusals_hidden++;
		return;
	}
	w->refusals_logged++;
	log_warning(LOG_SESSION, r->what, log_str("cause", r->cause),
	            log_str("device", r->device != NULL ? r->device : "-"),
	            log_str("address", r->address), log_int("count", r->count),
	            log_str("reason", r->reason), log_str("remedy", r->remedy),
	            log_str("detail", r->detail != NULL ? r->detail : "-"));
}

/* ---- ending ------------------------------------------------------------------------- */

static void
upstream_gone(void *owner)
{
	struct worker *w = owner;

	loop_stop(w->loop);
}

static void
end_when_empty(struct worker *w)
{
	if (w->stopping && w->session_count == 0 && w->stores == 0 && !w->upstream_closed) {
		w->upstream_closed = true;
		upstream_close(w->upstream, upstream_gone, w);
	}
}

void
worker_store_gone(struct worker *w)
{
	end_when_empty(w);
}

void
worker_session_gone(struct worker *w, struct list *node)
{
	if (w->recheck_at == node) {
		w->recheck_at = node->next;
	}
	if (w->frozen_at == node) {
		w->frozen_at = node->next;
	}
	list_remove(node);
	w->session_count--;
	end_when_empty(w);
}

static void
stop(struct loop_message *message)
{
	struct worker *w = (void *)((char *)message - offsetof(struct worker, stop));
	struct list *at, *after;

	w->stopping = true;
	for (size_t i = 0; i < w->listener_count; i++) {
		listener_close(w->listener[i]);
	}
	w->listener_count = 0;
	loop_soon_cancel(&w->recheck);
	recheck_done(w);
	loop_soon_cancel(&w->outage);
	list_each(at, after, &w->sessions) {
		session_end(session_of(at), MQTT_SERVER_SHUTTING_DOWN, "the gateway stops");
	}
	end_when_empty(w);
}

void
worker_stop(struct worker *w)
{
	w->stop.run = stop;
	loop_post(w->loop, &w->stop);
}

void
worker_join(struct worker *w)
{
	loop_join(w->loop);
}

void
worker_free(struct worker *w)
{
	if (w == NULL) {
		return;
	}
	if (w->loop != NULL && loop_free(w->loop) != 0) {
		return; /* logged; its handles still point into the worker */
	}
	tls_context_unref(w->tls);
	reg_close(w->reg);
	batch_deinit(&w->to_device);
	batch_deinit(&w->to_broker);
	buf_release(&w->cipher);
	free(w->listener);
	conf_unref(&w->conf);
	free(w);
}
