/* SPDX-License-Identifier: BSD-2-Clause */
/* The gateway's own session with the broker: settings, and what it tells. */
#include "gatewayd/broker.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "gatewayd/daemon.h"

#define TOPIC_SIZE 8192
#define IDENTITY "${identity}"

/* ---- settings ------------------------------------------------------------------ */

struct texts {
	char client_id[TOPIC_SIZE], status[TOPIC_SIZE], presence[TOPIC_SIZE];
};

/* Append what the template becomes; false when it does not fit or cannot be. */
static bool
expand(const struct conf *c, struct span template, char *to, size_t *len)
{
	const struct topic_vars vars = { .gateway = span_str(c->gateway.name) };
	struct span which;
	int n = topic_template_expand(template, &vars, (uint8_t *)to + *len,
	                              TOPIC_SIZE - 1 - *len, &which);

	if (n < 0) {
		return false;
	}
	*len += (size_t)n;
	to[*len] = '\0';
	return true;
}

static bool
expand_all(const struct conf *c, const char *template, char *to)
{
	size_t len = 0;

	return expand(c, span_str(template), to, &len);
}

/* All but ${identity}, which stays. */
static bool
expand_around(const struct conf *c, const char *template, char *to)
{
	const char *at = strstr(template, IDENTITY);
	size_t len = 0;

	if (at == NULL || !expand(c, span_of(template, (size_t)(at - template)), to, &len) ||
	    len + sizeof IDENTITY > TOPIC_SIZE) {
		return false;
	}
	memcpy(to + len, IDENTITY, sizeof IDENTITY);
	len += sizeof IDENTITY - 1;
	return expand(c, span_str(at + sizeof IDENTITY - 1), to, &len);
}

static int
settings_of(const struct conf *c, struct texts *t, struct uplink_settings *out)
{
	const char *status = c->uplink.status_topic, *presence = c->uplink.presence_topic;

	if (!expand_all(c, c->uplink.client_id, t->client_id) ||
	    (status != NULL && !expand_all(c, status, t->status)) ||
	    (presence != NULL && !expand_around(c, presence, t->presence))) {
		return ERR_UNSAFE;
	}
	*out = (struct uplink_settings){
		.path = c->upstream.path,
		.address = c->upstream.address,
		.port = c->upstream.port,
		.client_id = t->client_id,
		.username = c->uplink.username,
		.password = c->upstream.password,
		.retry_min = c->upstream.retry_min,
		.retry_max = c->upstream.retry_max,
		.response_timeout = c->upstream.response_timeout,
		.status_topic = status != NULL ? t->status : NULL,
		.presence_topic = presence != NULL ? t->presence : NULL,
		.inflight = c->uplink.inflight,
	};
	return 0;
}

/* ---- life ---------------------------------------------------------------------- */

static void
presence_changed(void *owner, const char *identity, bool online)
{
	uplink_presence(owner, identity, online);
}

int
broker_session_make(struct daemon *d)
{
	struct texts *t = malloc(sizeof *t);
	struct uplink_settings settings;
	int rc = t != NULL ? settings_of(d->conf, t, &settings) : -ENOMEM;

	if (rc == 0) {
		rc = uplink_new(d->loop, d->shared.broker, d->shared.spool, &settings, &d->uplink);
	}
	if (rc == 0) {
		rc = presence_count_new(presence_changed, d->uplink, &d->shared.presence);
	}
	free(t);
	return rc;
}

void
broker_session_reload(struct daemon *d)
{
	struct texts *t = malloc(sizeof *t);
	struct uplink_settings settings;
	int rc = t != NULL ? settings_of(d->conf, t, &settings) : -ENOMEM;

	if (rc == 0) {
		rc = uplink_configure(d->uplink, &settings);
	}
	if (rc != 0) {
		log_error(LOG_UPSTREAM, "the gateway's own session keeps its old settings",
		          log_str("reason", err_text(rc)));
	}
	free(t);
}

/* ---- facts --------------------------------------------------------------------- */

void
broker_session_tick(struct daemon *d)
{
	struct uplink_info info;

	uplink_info(d->uplink, &info);
	atomic_store(&d->broker_facts.connected, info.connected);
	atomic_store(&d->broker_facts.drained, (int64_t)info.drained);
	atomic_store(&d->broker_facts.round_trip, info.round_trip);
	atomic_store(&d->broker_facts.dropped,
	             info.messages_dropped[0] != '\0' ? strtoll(info.messages_dropped, NULL, 10) :
	                                                -1);
}

static void
metric(FILE *text, const char *name, const char *kind, const char *help, const char *value)
{
	fprintf(text, "# HELP gateway_%s %s\n# TYPE gateway_%s %s\ngateway_%s %s\n", name, help,
	        name, kind, name, value);
}

void
broker_session_metrics(const struct daemon *d, FILE *text)
{
	int64_t dropped = atomic_load(&d->broker_facts.dropped);
	unsigned trip = atomic_load(&d->broker_facts.round_trip);
	char value[32];

	metric(text, "uplink_connected", "gauge",
	       "whether the gateway's own session with the broker is up and answered",
	       atomic_load(&d->broker_facts.connected) ? "1" : "0");
	snprintf(value, sizeof value, "%lld", (long long)atomic_load(&d->broker_facts.drained));
	metric(text, "uplink_drained_total", "counter",
	       "stored messages that the broker has acknowledged", value);
	if (trip != 0) {
		snprintf(value, sizeof value, "%u.%06u", trip / 1000000, trip % 1000000);
		metric(text, "uplink_round_trip_seconds", "gauge",
		       "how long the broker took for its last sign of life", value);
	}
	if (dropped >= 0) {
		snprintf(value, sizeof value, "%lld", (long long)dropped);
		metric(text, "broker_messages_dropped_total", "counter",
		       "messages that the broker says it has dropped", value);
	}
}

static struct doc *
session_doc(const struct daemon *d, const struct uplink_info *info)
{
	struct doc *doc = doc_map();

	doc_set_bool(doc, "connected", info->connected);
	doc_set_int(doc, "since", info->since);
	doc_set_text(doc, "last_error", info->last_error);
	doc_set_text(doc, "username", d->conf->uplink.username);
	doc_set_int(doc, "round_trip_us", info->round_trip);
	doc_set_int(doc, "inflight", info->inflight);
	doc_set_int(doc, "drained", (int64_t)info->drained);
	doc_set_int(doc, "published", (int64_t)info->published);
	doc_set_int(doc, "connects", (int64_t)info->connects);
	return doc;
}

static struct doc *
figures_doc(const struct uplink_info *info)
{
	struct doc *doc = doc_map();

	doc_set_text(doc, "version", info->version);
	doc_set_text(doc, "uptime", info->uptime);
	doc_set_text(doc, "clients_connected", info->clients_connected);
	doc_set_text(doc, "clients_total", info->clients_total);
	doc_set_text(doc, "messages_dropped", info->messages_dropped);
	doc_set_text(doc, "messages_stored", info->messages_stored);
	doc_set_text(doc, "heap", info->heap);
	doc_set_text(doc, "received_1min", info->received_1min);
	return doc;
}

struct doc *
broker_doc(const struct daemon *d)
{
	static const char *const state[] = { "unknown", "up", "away" };
	const struct conf *c = d->conf;
	struct doc *doc = doc_map();
	struct uplink_info session;
	struct broker_info info;
	char address[512];

	broker_read(d->shared.broker, &info);
	uplink_info(d->uplink, &session);
	if (c->upstream.path != NULL) {
		snprintf(address, sizeof address, "%s", c->upstream.path);
	} else {
		snprintf(address, sizeof address, "%s port %u", c->upstream.address,
		         c->upstream.port);
	}
	doc_set_text(doc, "state", state[info.state]);
	doc_set_bool(doc, "frozen", info.frozen);
	doc_set_int(doc, "since", info.since);
	doc_set_text(doc, "address", address);
	doc_set_text(doc, "last_error", info.last_error != 0 ? err_text(info.last_error) : "");
	doc_set_int(doc, "pending", info.pending);
	doc_set(doc, "session", session_doc(d, &session));
	doc_set(doc, "figures", figures_doc(&session));
	return doc;
}
