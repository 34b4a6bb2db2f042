/* SPDX-License-Identifier: BSD-2-Clause */
/* What the control socket can be asked. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "gatewayd/daemon.h"
#include "gatewayd/failures.h"
#include "gatewayd/spool_commands.h"

static void
out_of_memory(struct ctl_request *request)
{
	ctl_refuse(request, -ENOMEM, "no memory for the answer");
}

/* The argument "identity", bounded; false (and refused) when it is missing. */
static bool
identity_argument(struct ctl_request *request, const struct doc *args, char *identity)
{
	const char *text = doc_get_text(args, "identity", "");

	if (text[0] == '\0' || strlen(text) > REG_NAME_MAX) {
		ctl_refuse(request, -EINVAL, "the argument `identity` is missing or too long");
		return false;
	}
	snprintf(identity, REG_NAME_MAX + 1, "%s", text);
	return true;
}

void
daemon_audit(struct daemon *d, struct ctl_request *request, const char *action,
             const char *device, const char *detail)
{
	uid_t uid = ctl_request_peer(request).uid;
	/* The number only: asking for the name can wait for a directory server. */
	int rc = reg_actor(d->reg, uid, NULL);

	if (rc == 0) {
		rc = reg_audit_note(d->reg, action, device, detail);
	}
	if (rc != 0) {
		log_warning(LOG_REGISTER, "the audit could not be written", log_str("action", action),
		            log_str("reason", reg_error(d->reg)));
	}
}

/* Ask every worker about the device that the request names. */
static void
ask_identity(struct daemon *d, struct ctl_request *request, const struct doc *args,
             void (*run)(struct worker *worker, struct worker_call *call),
             void (*finish)(struct gather *gather))
{
	struct gather *g = gather_new(d, request);

	if (g == NULL) {
		out_of_memory(request);
	} else if (!identity_argument(request, args, g->identity)) {
		gather_free(g);
	} else {
		gather_start(g, run, finish);
	}
}

/* ---- status ------------------------------------------------------------------------- */

static struct doc *
listeners_doc(const struct daemon *d)
{
	struct doc *list = doc_list();

	for (size_t i = 0; i < d->boot->listener_count; i++) {
		struct doc *one = doc_map();

		doc_set_text(one, "address", d->boot->listener[i].address);
		doc_set_int(one, "port", d->port[i]);
		doc_add(list, one);
	}
	return list;
}

static struct doc *
metrics_doc(const struct daemon *d)
{
	struct doc *doc = doc_map();

	for (unsigned m = 0; m < METRIC_COUNT; m++) {
		doc_set_int(doc, metric_info[m].name, daemon_metric(d, m));
	}
	return doc;
}

int64_t
daemon_metric(const struct daemon *d, enum metric which)
{
	int64_t sum = 0;

	for (unsigned i = 0; i < d->worker_count; i++) {
		sum += metric_read(worker_metrics(d->worker[i]), which);
	}
	return sum;
}

static void
status(void *owner, struct ctl_request *request, const struct doc *args)
{
	struct daemon *d = owner;
	struct doc *doc = doc_map();
	int strangers = reg_stranger_count(d->reg);
	char file[4096];

	(void)args;
	snprintf(file, sizeof file, "%s/register.db", d->boot->gateway.state_directory);
	doc_set_text(doc, "version", PACKAGE_VERSION);
	doc_set_int(doc, "pid", getpid());
	doc_set_int(doc, "started", d->started);
	doc_set_int(doc, "reloaded", d->reloaded);
	doc_set_text(doc, "gateway", d->conf->gateway.name);
	doc_set_text(doc, "configuration", d->file);
	doc_set_text(doc, "admission", d->conf->admission == CONF_ADMIT_CA ? "ca" : "enrolled");
	doc_set_int(doc, "workers", d->worker_count);
	doc_set(doc, "listeners", listeners_doc(d));
	doc_set(doc, "broker", broker_doc(d));
	doc_set(doc, "spool", spool_totals_doc(d->shared.spool));
	doc_set_text(doc, "register", file);
	doc_set_int(doc, "strangers", strangers > 0 ? strangers : 0);
	doc_set_int(doc, "expiring", atomic_load(&d->expiring));
	doc_set(doc, "diagnosed", failures_counts(d));
	doc_set(doc, "metrics", metrics_doc(d));
	ctl_reply(request, doc);
}

/* ---- sessions ------------------------------------------------------------------------ */

static void
view_sessions(struct worker *worker, struct worker_call *call)
{
	struct gather_call *c = (struct gather_call *)call;
	const char *identity = c->gather->identity;

	c->rc = worker_view(worker, identity[0] != '\0' ? identity : NULL, &c->list);
}

static const char *
protocol_text(int version)
{
	return version == 3 ? "3.1" : version == 4 ? "3.1.1" : version == 5 ? "5.0" : "";
}

static struct doc *
session_doc(const struct session_view *v)
{
	struct doc *doc = doc_map();

	doc_set_text(doc, "identity", v->identity);
	doc_set_text(doc, "client_id", v->client_id);
	doc_set_text(doc, "device_client_id", v->device_client_id);
	doc_set_text(doc, "state", v->state);
	doc_set_text(doc, "address", v->address);
	doc_set_int(doc, "port", v->port);
	doc_set_int(doc, "since", v->since);
	doc_set_int(doc, "worker", v->worker);
	doc_set_text(doc, "protocol", protocol_text(v->version));
	doc_set_text(doc, "tls", v->tls);
	doc_set_text(doc, "cipher", v->cipher);
	doc_set_text(doc, "server_name", v->server_name);
	doc_set_bool(doc, "resumed", v->resumed);
	doc_set_text(doc, "fingerprint", v->fingerprint);
	doc_set_bool(doc, "grace", v->grace);
	doc_set_int(doc, "keep_alive", v->keep_alive);
	doc_set_bool(doc, "clean_start", v->clean_start);
	doc_set_int(doc, "publish_up", (int64_t)v->publish_up);
	doc_set_int(doc, "publish_down", (int64_t)v->publish_down);
	doc_set_int(doc, "bytes_up", (int64_t)v->bytes_up);
	doc_set_int(doc, "bytes_down", (int64_t)v->bytes_down);
	doc_set_int(doc, "denied", (int64_t)v->denied);
	doc_set_int(doc, "unmapped", (int64_t)v->unmapped);
	doc_set_text(doc, "last_denied", v->last_denied);
	doc_set_int(doc, "stored", (int64_t)v->stored);
	doc_set_int(doc, "subscriptions", (int64_t)v->subscriptions);
	doc_set_text(doc, "map", v->map);
	doc_set_text(doc, "group", v->group);
	doc_set_int(doc, "not_after", v->not_after);
	return doc;
}

static void
answer_sessions(struct gather *g)
{
	struct doc *doc = doc_map(), *list = doc_list();

	for (unsigned i = 0; i < g->calls; i++) {
		if (g->call[i].rc != 0) {
			doc_free(list);
			doc_free(doc);
			out_of_memory(g->request);
			return;
		}
		for (size_t j = 0; j < g->call[i].list.count; j++) {
			doc_add(list, session_doc(&g->call[i].list.view[j]));
		}
	}
	doc_set(doc, "sessions", list);
	ctl_reply(g->request, doc);
}

static void
sessions(void *owner, struct ctl_request *request, const struct doc *args)
{
	struct gather *g = gather_new(owner, request);

	if (g == NULL) {
		out_of_memory(request);
		return;
	}
	if (doc_get(args, "identity") != NULL && !identity_argument(request, args, g->identity)) {
		gather_free(g);
		return;
	}
	gather_start(g, view_sessions, answer_sessions);
}

/* ---- device ---------------------------------------------------------------------------- */

static void
look_at_device(struct worker *worker, struct worker_call *call)
{
	struct gather_call *c = (struct gather_call *)call;
	const char *identity = c->gather->identity;

	c->count = worker_sessions(worker, identity);
	if (c == &c->gather->call[0]) {
		c->admitted = worker_standing(worker, identity, c->words);
	}
}

static void
answer_device(struct gather *g)
{
	struct doc *doc = doc_map();
	unsigned count = 0;

	for (unsigned i = 0; i < g->calls; i++) {
		count += g->call[i].count;
	}
	doc_set_text(doc, "identity", g->identity);
	doc_set_int(doc, "sessions", count);
	doc_set_bool(doc, "admitted", g->call[0].admitted);
	doc_set_text(doc, "sentence", g->call[0].words);
	ctl_reply(g->request, doc);
}

/* What would happen to it now: how gatewayctl proves what it has done. */
static void
device(void *owner, struct ctl_request *request, const struct doc *args)
{
	ask_identity(owner, request, args, look_at_device, answer_device);
}

/* ---- disconnect ------------------------------------------------------------------------ */

static void
end_sessions(struct worker *worker, struct worker_call *call)
{
	struct gather_call *c = (struct gather_call *)call;

	c->count = worker_disconnect(worker, c->gather->identity);
}

static void
answer_disconnect(struct gather *g)
{
	struct doc *doc = doc_map();
	unsigned count = 0;

	for (unsigned i = 0; i < g->calls; i++) {
		count += g->call[i].count;
	}
	log_notice(LOG_CTL, "disconnect asked for", log_str("device", g->identity),
	           log_int("sessions", count), log_int("uid", ctl_request_peer(g->request).uid));
	if (count > 0) {
		daemon_audit(g->daemon, g->request, "disconnect", g->identity, "");
	}
	doc_set_int(doc, "disconnected", count);
	ctl_reply(g->request, doc);
}

static void
disconnect(void *owner, struct ctl_request *request, const struct doc *args)
{
	ask_identity(owner, request, args, end_sessions, answer_disconnect);
}

/* ---- reload ----------------------------------------------------------------------------- */

static void
reload(void *owner, struct ctl_request *request, const struct doc *args)
{
	(void)args;
	daemon_reload(owner, request);
}

/* ---- spool ------------------------------------------------------------------------------ */

static void
spool_command(void *owner, struct ctl_request *request, const struct doc *args)
{
	struct daemon *d = owner;

	spool_show(d->shared.spool, request, args);
}

static void
spool_purged(void *owner, struct ctl_request *request, const char *identity, int64_t count)
{
	struct daemon *d = owner;
	char detail[32];

	log_notice(LOG_CTL, "spool purge asked for",
	           log_str("device", identity != NULL ? identity : "(all)"),
	           log_int("messages", count), log_int("uid", ctl_request_peer(request).uid));
	if (count > 0) {
		snprintf(detail, sizeof detail, "%lld messages", (long long)count);
		daemon_audit(d, request, "spool-purge", identity, detail);
	}
	daemon_answered(d);
}

static void
spool_purge_command(void *owner, struct ctl_request *request, const struct doc *args)
{
	struct daemon *d = owner;

	if (spool_purge_start(d->shared.spool, d->loop, request, args, spool_purged, d)) {
		d->asking++;
	}
}

const struct ctl_command daemon_commands[] = {
	{ "status", CTL_READ, status },
	{ "sessions", CTL_READ, sessions },
	{ "device", CTL_READ, device },
	{ "disconnect", CTL_WRITE, disconnect },
	{ "reload", CTL_WRITE, reload },
	{ "spool", CTL_READ, spool_command },
	{ "spool-purge", CTL_WRITE, spool_purge_command },
	{ "failures", CTL_READ, failures_command },
	{ "diagnose", CTL_READ, diagnose_command },
	{ "watch", CTL_READ, watch_command },
	{ NULL, 0, NULL },
};
