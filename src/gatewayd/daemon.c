/* SPDX-License-Identifier: BSD-2-Clause */
#include "gatewayd/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "gatewayd/failures.h"
#include "gatewayd/notify.h"

#define TICK_MS 500
/* Seconds for the spool: its index is read at the start, what waits is written at the end. */
#define SPOOL_OPENS 600
#define SPOOL_CLOSES 60

/* ---- gathers ------------------------------------------------------------------------ */

struct gather *
gather_new(struct daemon *d, struct ctl_request *request)
{
	struct gather *g = calloc(1, sizeof *g + d->worker_count * sizeof g->call[0]);

	if (g != NULL) {
		g->daemon = d;
		g->request = request;
		g->calls = d->worker_count;
	}
	return g;
}

void
gather_free(struct gather *g)
{
	if (g != NULL) {
		for (unsigned i = 0; i < g->calls; i++) {
			free(g->call[i].list.view);
			tls_context_unref(g->call[i].tls);
		}
		conf_unref(&g->conf);
		free(g);
	}
}

static void stop_if_idle(struct daemon *d);

void
daemon_answered(struct daemon *d)
{
	d->asking--;
	stop_if_idle(d);
}

static void
gather_answered(struct worker_call *call)
{
	struct gather *g = ((struct gather_call *)call)->gather;
	struct daemon *d = g->daemon;

	if (--g->waiting == 0) {
		g->finish(g);
		gather_free(g);
		daemon_answered(d);
	}
}

void
gather_start(struct gather *g, void (*run)(struct worker *worker, struct worker_call *call),
             void (*finish)(struct gather *gather))
{
	struct daemon *d = g->daemon;

	g->finish = finish;
	g->waiting = g->calls;
	d->asking++;
	for (unsigned i = 0; i < g->calls; i++) {
		g->call[i].gather = g;
		g->call[i].call.run = run;
		g->call[i].call.done = gather_answered;
		g->call[i].call.back = d->loop;
		worker_ask(d->worker[i], &g->call[i].call);
	}
}

/* ---- upkeep -------------------------------------------------------------------------- */

/* A worker that does not answer is stuck: systemd then restarts us. */
struct heartbeat {
	struct worker_call call;
	struct daemon *daemon;
};

static void
beat(struct worker *worker, struct worker_call *call)
{
	(void)worker;
	(void)call;
}

static void
beaten(struct worker_call *call)
{
	struct daemon *d = ((struct heartbeat *)call)->daemon;

	if (--d->heartbeats == 0) {
		notify_watchdog();
		stop_if_idle(d);
	}
}

static void
send_heartbeats(struct daemon *d)
{
	if (d->heartbeats > 0) {
		return;
	}
	d->heartbeats = d->worker_count;
	for (unsigned i = 0; i < d->worker_count; i++) {
		struct heartbeat *h = &d->heartbeat[i];

		h->daemon = d;
		h->call.run = beat;
		h->call.done = beaten;
		h->call.back = d->loop;
		worker_ask(d->worker[i], &h->call);
	}
}

static void
tick(void *owner)
{
	struct daemon *d = owner;

	upkeep_tick(d);
	failures_tick(d);
	broker_session_tick(d);
	send_heartbeats(d);
	loop_timer_start(&d->tick, TICK_MS);
}

/* ---- ending --------------------------------------------------------------------------- */

/*
 * Workers are told to stop only when they owe no answer any more, so that no
 * answer is lost on its way.
 */
static void
stop_if_idle(struct daemon *d)
{
	if (d->stopping && d->asking == 0 && d->heartbeats == 0 && d->ctl == NULL &&
	    d->uplink_closed) {
		for (unsigned i = 0; i < d->worker_count; i++) {
			worker_stop(d->worker[i]);
		}
		loop_stop(d->loop);
	}
}

static void
control_closed(void *owner)
{
	struct daemon *d = owner;

	d->ctl = NULL;
	stop_if_idle(d);
}

static void
uplink_closed(void *owner)
{
	struct daemon *d = owner;

	d->uplink_closed = true;
	stop_if_idle(d);
}

static void
on_terminate(void *owner, int signum)
{
	struct daemon *d = owner;

	if (d->stopping) {
		return;
	}
	d->stopping = true;
	log_notice(LOG_MAIN, "stopping", log_int("signal", signum));
	notify_stopping();
	loop_timer_close(&d->tick, NULL);
	loop_signal_close(&d->hangup);
	loop_signal_close(&d->terminate);
	loop_signal_close(&d->interrupt);
	/*
	 * A second one, from a terminal's whole group or an impatient script, must
	 * not cost the wills that are still to be stored. Every wait is short.
	 */
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	ctl_server_close(d->ctl, control_closed, d);
	/* Devices are told of as gone before they are sent away. */
	uplink_close(d->uplink, uplink_closed, d);
}

static void
on_hangup(void *owner, int signum)
{
	(void)signum;
	daemon_reload(owner, NULL);
}

/* ---- beginning ------------------------------------------------------------------------- */

static int
fail(struct daemon *d, const char *what, const char *why)
{
	log_error(LOG_MAIN, what, log_str("reason", why));
	if (d->ctl != NULL) {
		/* No loop runs any more; what counts is that the socket's file goes. */
		ctl_server_close(d->ctl, NULL, NULL);
	}
	return EXIT_FAILURE;
}

static unsigned
cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 64 ? 64 : (unsigned)n;
}

static int
make_shared(struct daemon *d, char *why)
{
	const struct conf *c = d->conf;
	char file[4096];
	int rc;

	snprintf(file, sizeof file, "%s/register.db", c->gateway.state_directory);
	snprintf(why, PKI_WHY_SIZE, "no memory");
	rc = loop_new("control", &d->loop);
	if (rc == 0) {
		rc = broker_new(&d->shared.broker);
	}
	if (rc == 0) {
		rc = budget_new(&d->shared.budget);
	}
	if (rc == 0) {
		rc = newest_new(&d->shared.newest);
	}
	if (rc == 0) {
		rc = sightings_new(&d->shared.sightings);
	}
	if (rc == 0) {
		rc = strangers_new(&d->shared.strangers);
	}
	if (rc == 0) {
		rc = episodes_new(&d->shared.episodes);
	}
	if (rc == 0) {
		rc = tls_shared_new(c->tls.session_cache, c->tls.session_lifetime, &d->shared.tls);
	}
	if (rc == 0) {
		budget_configure(d->shared.budget, c->limits.connections,
		                 c->limits.connections_per_address);
		rc = reg_open(file, REG_CREATE, &d->reg, why);
	}
	if (rc == 0) {
		d->generation = reg_generation(d->reg);
	}
	return rc;
}

/*
 * A damaged spool must not keep every device out until somebody comes: it is
 * set aside, nothing of it is lost by that, and an empty one is begun. What a
 * person did (a newer file, one that we may not write) is left to a person.
 */
static int
open_spool(struct daemon *d, char *why)
{
	char file[4096], aside[4096];
	const struct spool_settings settings = { file, d->conf->spool.bytes };
	int rc, moved;

	snprintf(file, sizeof file, "%s/spool.db", d->conf->gateway.state_directory);
	notify_patience(SPOOL_OPENS);
	rc = spool_open(&settings, &d->shared.spool, why, PKI_WHY_SIZE);
	if (rc != ERR_MALFORMED) {
		return rc;
	}
	moved = spool_set_aside(file, aside, sizeof aside);
	if (moved != 0) {
		log_error(LOG_SPOOL, "the damaged spool cannot be set aside",
		          log_str("reason", err_text(moved)));
		return rc;
	}
	log_error(LOG_SPOOL, "the spool is damaged; it was set aside, and an empty one is begun",
	          log_str("reason", why), log_str("file", aside),
	          log_str("remedy", "look at the disk; `sqlite3 FILE .recover` may save messages "
	                            "from that file; then move it away"));
	return spool_open(&settings, &d->shared.spool, why, PKI_WHY_SIZE);
}

static int
make_workers(struct daemon *d, char *why)
{
	unsigned count = d->conf->gateway.workers > 0 ? d->conf->gateway.workers : cores();

	d->worker = calloc(count, sizeof *d->worker);
	d->heartbeat = calloc(count, sizeof *d->heartbeat);
	d->port = calloc(d->boot->listener_count + 1, sizeof *d->port);
	if (d->worker == NULL || d->heartbeat == NULL || d->port == NULL) {
		snprintf(why, PKI_WHY_SIZE, "no memory");
		return -ENOMEM;
	}
	for (unsigned i = 0; i < count; i++) {
		int rc = worker_new(i, &d->shared, d->conf, d->port, &d->worker[i], why);

		if (rc != 0) {
			return rc;
		}
		d->worker_count++;
	}
	for (unsigned i = 0; i < count; i++) {
		int rc = worker_start(d->worker[i]);

		if (rc != 0) {
			snprintf(why, PKI_WHY_SIZE, "no thread for a worker: %s", err_text(rc));
			return rc;
		}
	}
	return 0;
}

static int
watch_signals(struct daemon *d)
{
	int rc = loop_signal_start(d->loop, &d->hangup, SIGHUP, on_hangup, d);

	if (rc == 0) {
		rc = loop_signal_start(d->loop, &d->terminate, SIGTERM, on_terminate, d);
	}
	if (rc == 0) {
		rc = loop_signal_start(d->loop, &d->interrupt, SIGINT, on_terminate, d);
	}
	if (rc == 0) {
		rc = loop_timer_init(d->loop, &d->tick, tick, d);
	}
	return rc;
}

static void
tell_ready(const struct daemon *d)
{
	for (size_t i = 0; i < d->boot->listener_count; i++) {
		log_notice(LOG_MAIN, "listening", log_str("address", d->boot->listener[i].address),
		           log_int("port", d->port[i]));
	}
	log_notice(LOG_MAIN, "ready", log_str("version", PACKAGE_VERSION),
	           log_str("configuration", d->file), log_int("workers", d->worker_count));
	notify_ready();
}

static void
release(struct daemon *d)
{
	metrics_http_close(d->metrics);
	for (unsigned i = 0; i < d->worker_count; i++) {
		worker_join(d->worker[i]);
	}
	if (sightings_write(d->shared.sightings, d->reg) != 0 ||
	    strangers_write(d->shared.strangers, d->reg) != 0) {
		log_warning(LOG_REGISTER, "the last sightings could not be written",
		            log_str("reason", reg_error(d->reg)));
	}
	notify_patience(SPOOL_CLOSES);
	spool_close(d->shared.spool);
	for (unsigned i = 0; i < d->worker_count; i++) {
		worker_free(d->worker[i]);
	}
	loop_free(d->loop);
	uplink_free(d->uplink);
	presence_count_free(d->shared.presence);
	reg_close(d->reg);
	tls_shared_free(d->shared.tls);
	strangers_free(d->shared.strangers);
	episodes_free(d->shared.episodes);
	sightings_free(d->shared.sightings);
	newest_free(d->shared.newest);
	budget_free(d->shared.budget);
	broker_free(d->shared.broker);
	free(d->worker);
	free(d->heartbeat);
	free(d->port);
	conf_unref(&d->conf);
	conf_unref(&d->boot);
}

int
daemon_run(struct daemon *d, const char *file)
{
	char why[512] = "no memory";

	d->file = file;
	d->started = d->reloaded = clock_wall();
	list_init(&d->watchers);
	if (conf_load(file, true, conf_report_print, stderr, &d->conf) != 0) {
		return fail(d, "the configuration is not valid", file);
	}
	d->boot = conf_ref(d->conf);
	log_setup((enum log_level)d->conf->log_level, NULL, NULL);
	if (make_shared(d, why) != 0) {
		return fail(d, "cannot start", why);
	}
	/* First of all that others can see: it tells whether we run already. */
	if (ctl_server_open(d->loop, d->conf->gateway.control_socket, daemon_commands, d, &d->ctl,
	                    why) != 0) {
		return fail(d, "cannot open the control socket", why);
	}
	if (open_spool(d, why) != 0 || broker_session_make(d) != 0 || make_workers(d, why) != 0) {
		return fail(d, "cannot start", why);
	}
	if (watch_signals(d) != 0) {
		return fail(d, "cannot start", "signals cannot be watched");
	}
	if (d->conf->metrics.address != NULL && metrics_http_open(d, &d->metrics, why) != 0) {
		return fail(d, "cannot serve metrics", why);
	}
	loop_timer_start(&d->tick, TICK_MS);
	upkeep_begin(d);
	uplink_start(d->uplink);
	tell_ready(d);
	loop_run(d->loop);
	release(d);
	log_notice(LOG_MAIN, "stopped");
	return EXIT_SUCCESS;
}
