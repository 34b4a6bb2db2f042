/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reload: parse, check, make what the new configuration needs, and only then
 * swap. Anything wrong changes nothing, and is said where it was asked for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "gatewayd/daemon.h"
#include "gatewayd/notify.h"

/* ---- faults ------------------------------------------------------------------------- */

static void
collect_fault(void *owner, const char *file, int line, const char *key, const char *sentence,
              bool warning)
{
	FILE *text = owner;

	(void)warning;
	conf_report_print(text, file, line, key, sentence, warning);
	log_error(LOG_CONF, "fault in the configuration", log_str("file", file),
	          log_int("line", line), log_str("key", key), log_str("reason", sentence));
}

static void
refuse(struct daemon *d, struct ctl_request *request, int code, const char *sentence)
{
	log_error(LOG_MAIN, "reload refused, nothing was changed", log_str("reason", sentence));
	notify_ready();
	(void)d;
	if (request != NULL) {
		ctl_refuse(request, code, sentence);
	}
}

/* ---- the difference ------------------------------------------------------------------- */

static void
note_change(void *owner, const char *key, const char *before, const char *after,
            bool needs_restart)
{
	struct doc *change = doc_map();

	doc_set_text(change, "key", key);
	doc_set_text(change, "before", before);
	doc_set_text(change, "after", after);
	doc_set_bool(change, "needs_restart", needs_restart);
	doc_add(owner, change);
	log_notice(LOG_CONF, needs_restart ? "changed, takes effect after a restart" : "changed",
	           log_str("key", key), log_str("before", before), log_str("after", after));
}

/* ---- swapping -------------------------------------------------------------------------- */

static void
take_over(struct worker *worker, struct worker_call *call)
{
	struct gather_call *c = (struct gather_call *)call;

	c->count = worker_reconfigure(worker, c->gather->conf, c->tls);
	c->tls = NULL;
}

static void
swapped(struct gather *g)
{
	struct daemon *d = g->daemon;
	struct doc *reply = doc_map();
	unsigned ended = 0;

	d->reloaded = g->read_at;
	for (unsigned i = 0; i < g->calls; i++) {
		ended += g->call[i].count;
	}
	/* Until the last worker had the new CA, handshakes with the old one made sessions. */
	tls_shared_forget_all(d->shared.tls);
	log_notice(LOG_MAIN, "reloaded", log_str("configuration", d->file),
	           log_int("sessions_closed", ended));
	notify_ready();
	doc_set(reply, "changed", g->doc);
	doc_set_int(reply, "sessions_closed", ended);
	if (g->request != NULL) {
		daemon_audit(d, g->request, "reload", NULL, d->file);
		ctl_reply(g->request, reply);
	} else {
		doc_free(reply);
	}
}

/* A TLS context for every worker, so that nothing can fail after the swap began. */
static int
make_contexts(struct gather *g, char *why)
{
	struct tls_settings settings = worker_tls_settings(g->conf);

	for (unsigned i = 0; i < g->calls; i++) {
		int rc = worker_tls_context(g->daemon->worker[i], &settings, &g->call[i].tls, why);

		if (rc != 0) {
			return rc;
		}
	}
	return 0;
}

static void
swap(struct daemon *d, struct gather *g)
{
	struct conf *conf = g->conf;

	g->doc = doc_list();
	if (conf_diff(d->conf, conf, note_change, g->doc) == 0) {
		log_notice(LOG_CONF, "the configuration is the same; certificates were read again");
	}
	conf_unref(&d->conf);
	d->conf = conf_ref(conf);
	log_setup((enum log_level)conf->log_level, NULL, NULL);
	budget_configure(d->shared.budget, conf->limits.connections,
	                 conf->limits.connections_per_address);
	spool_configure(d->shared.spool, conf->spool.bytes);
	/* The CA may be another one: every session has to show its certificate again. */
	tls_shared_forget_all(d->shared.tls);
	upkeep_begin(d);
	broker_session_reload(d);
	gather_start(g, take_over, swapped);
}

/*
 * An empty file is a valid one, with every default; but one that was not empty
 * at start is far more likely caught in the middle of being saved.
 */
static bool
is_empty(const char *file)
{
	struct stat st;

	return stat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
}

void
daemon_reload(struct daemon *d, struct ctl_request *request)
{
	char why[PKI_WHY_SIZE] = "no memory";
	struct gather *g = gather_new(d, request);
	char *text = NULL;
	size_t len = 0;
	FILE *faults = open_memstream(&text, &len);
	int rc = ERR_CONF;

	notify_reloading();
	if (g == NULL || faults == NULL) {
		refuse(d, request, -ENOMEM, why);
	} else if (is_empty(d->file)) {
		refuse(d, request, rc, "the file is empty: is it being written just now?");
	} else {
		g->read_at = clock_wall();
		rc = conf_load(d->file, true, collect_fault, faults, &g->conf);
		fflush(faults);
		if (rc != 0) {
			refuse(d, request, rc, len > 0 ? text : err_text(rc));
		} else if ((rc = make_contexts(g, why)) != 0) {
			refuse(d, request, rc, why);
		}
	}
	if (faults != NULL) {
		fclose(faults);
	}
	free(text);
	if (rc == 0) {
		swap(d, g);
	} else {
		gather_free(g);
	}
}
