/* SPDX-License-Identifier: BSD-2-Clause */
/* Why devices fail, as the control socket tells it: list, story, live. */
#include "gatewayd/failures.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/daemon.h"
#include "gatewayd/watch.h"

#define LIST_DEFAULT 100
#define LIST_MOST 1000
#define STORY_MOST 32

static void
out_of_memory(struct ctl_request *request)
{
	ctl_refuse(request, -ENOMEM, "no memory for the answer");
}

/* ---- one episode -------------------------------------------------------------------- */

static struct doc *
lines_doc(const char *text)
{
	struct doc *list = doc_list();

	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		doc_add(list, doc_string(span_of(text, n)));
		text += n + (text[n] == '\n');
	}
	return list;
}

static struct doc *
episode_doc(const struct episode *e)
{
	const struct diagnose_verdict *v = &e->verdict;
	struct doc *doc = doc_map();

	doc_set_int(doc, "first_at", e->first);
	doc_set_int(doc, "last_at", e->last);
	doc_set_int(doc, "count", e->count);
	doc_set_int(doc, "retry_ms", e->retry_ms);
	doc_set_text(doc, "address", e->address);
	doc_set_text(doc, "identity", e->identity);
	doc_set_text(doc, "name", e->name);
	doc_set_text(doc, "cause", diagnose_entry(v->cause)->id);
	doc_set_text(doc, "confidence", diagnose_confidence_text(v->confidence));
	doc_set_text(doc, "sentence", v->sentence);
	doc_set_text(doc, "remedy", v->remedy);
	doc_set_text(doc, "codes", v->codes != NULL ? v->codes : "");
	doc_set(doc, "decided_by", lines_doc(e->reasons));
	doc_set_bool(doc, "open", e->open);
	return doc;
}

/* ---- failures ------------------------------------------------------------------------- */

/* An optional text argument, NULL when it is not there. */
static const char *
text_argument(const struct doc *args, const char *name)
{
	const char *text = doc_get_text(args, name, "");

	return text[0] != '\0' ? text : NULL;
}

void
failures_command(void *owner, struct ctl_request *request, const struct doc *args)
{
	struct daemon *d = owner;
	int64_t limit = doc_get_int(args, "limit", LIST_DEFAULT);
	struct episode_filter filter = { .address = text_argument(args, "address"),
		.identity = text_argument(args, "identity"),
		.most = limit < 1 ? LIST_DEFAULT : limit > LIST_MOST ? LIST_MOST : (size_t)limit };
	struct doc *doc, *list;
	struct episode *e;
	size_t count;

	if (episodes_list(d->shared.episodes, &filter, &e, &count) != 0) {
		out_of_memory(request);
		return;
	}
	doc = doc_map();
	list = doc_list();
	for (size_t i = 0; i < count; i++) {
		doc_add(list, episode_doc(&e[i]));
	}
	free(e);
	doc_set(doc, "failures", list);
	ctl_reply(request, doc);
}

/* ---- diagnose --------------------------------------------------------------------------- */

struct story {
	struct history_episode list[STORY_MOST];
	size_t count;
};

/* What fails before a certificate is seen: it may be any board at that address. */
static bool
is_anonymous(enum diagnose_cause cause)
{
	switch (diagnose_entry(cause)->group) {
	case GROUP_NOT_TLS:
	case GROUP_HELLO:
	case GROUP_ALERT:
	case GROUP_SILENCE:
		return true;
	default:
		return false;
	}
}

static void
add_story(struct daemon *d, struct story *s, enum history_kind kind, const char *key,
          bool anonymous)
{
	struct history_episode *list;
	size_t count;

	if (episodes_story(d->shared.episodes, kind, key, &list, &count) != 0) {
		return;
	}
	for (size_t i = 0; i < count && s->count < STORY_MOST; i++) {
		if (!anonymous || is_anonymous(list[i].cause)) {
			s->list[s->count++] = list[i];
		}
	}
	free(list);
}

static int
oldest_first(const void *a, const void *b)
{
	const struct history_episode *x = a, *y = b;

	return x->last_ms < y->last_ms ? -1 : x->last_ms > y->last_ms;
}

static const char *
event_of(enum diagnose_cause cause)
{
	static const char *const words[] = { [CLASS_FAILURE] = "failed",
		[CLASS_STRANGER] = "stranger", [CLASS_WARNING] = "warning",
		[CLASS_NOTICE] = "ended" };

	return cause == CAUSE_NOTHING ? "connected" : words[diagnose_entry(cause)->class];
}

static struct doc *
story_doc(const struct story *s)
{
	struct doc *list = doc_list();

	for (size_t i = 0; i < s->count; i++) {
		const struct history_episode *e = &s->list[i];
		struct doc *one = doc_map();

		doc_set_int(one, "at", e->last);
		doc_set_int(one, "first_at", e->first);
		doc_set_int(one, "count", e->count);
		doc_set_int(one, "retry_ms", e->retry_ms);
		doc_set_text(one, "event", event_of(e->cause));
		doc_set_text(one, "cause", diagnose_entry(e->cause)->id);
		doc_set_text(one, "sentence", e->sentence);
		doc_add(list, one);
	}
	return list;
}

/* The newest open episode; failures go before warnings. */
static void
find_open(struct daemon *d, const struct episode_filter *filter, bool anonymous,
          struct episode *best)
{
	struct episode *list;
	size_t count;

	if (episodes_list(d->shared.episodes, filter, &list, &count) != 0) {
		return;
	}
	for (size_t i = 0; i < count; i++) {
		bool fails = diagnose_is_failure(list[i].verdict.cause);
		bool had = best->serial != 0 && diagnose_is_failure(best->verdict.cause);

		if (list[i].open && (!anonymous || list[i].identity[0] == '\0') &&
		    (fails != had ? fails : list[i].serial > best->serial)) {
			*best = list[i];
		}
	}
	free(list);
}

static struct doc *
verdict_doc(struct daemon *d, const char *address, const char *identity, const struct story *s)
{
	struct episode_filter by_identity = { .identity = identity, .most = LIST_MOST };
	struct episode_filter by_address = { .address = address, .most = LIST_MOST };
	struct episode best = { .verdict = { .cause = CAUSE_NOTHING,
		.confidence = CONFIDENCE_HIGH, .codes = "" } };

	if (identity != NULL) {
		find_open(d, &by_identity, false, &best);
	}
	if (address != NULL) {
		find_open(d, &by_address, identity != NULL, &best);
	}
	if (best.serial == 0) {
		snprintf(best.verdict.sentence, sizeof best.verdict.sentence, "%s",
		         diagnose_entry(CAUSE_NOTHING)->title);
		if (s->count > 0) {
			const struct history_episode *last = &s->list[s->count - 1];

			best.first = last->first;
			best.last = last->last;
			best.count = last->count;
		}
		snprintf(best.address, sizeof best.address, "%s", address != NULL ? address : "");
		snprintf(best.identity, sizeof best.identity, "%s", identity != NULL ? identity : "");
	}
	return episode_doc(&best);
}

static void
count_sessions(struct worker *worker, struct worker_call *call)
{
	struct gather_call *c = (struct gather_call *)call;

	c->count = c->gather->by_address ? worker_sessions_from(worker, c->gather->identity) :
	                                   worker_sessions(worker, c->gather->identity);
}

static void
answer_diagnose(struct gather *g)
{
	unsigned count = 0;

	for (unsigned i = 0; i < g->calls; i++) {
		count += g->call[i].count;
	}
	if (count == 0 && doc_count(doc_get(g->doc, "story")) == 0) {
		ctl_refuse(g->request, ERR_NOT_FOUND,
		           "nothing was seen of it since the gateway started");
		doc_free(g->doc);
		return;
	}
	doc_set_bool(g->doc, "connected", count > 0);
	ctl_reply(g->request, g->doc);
}

/* The address that a device was last seen at, "" none. */
static void
last_address(struct daemon *d, const char *identity, char *address, size_t size)
{
	struct reg_device row;
	int rc = reg_find(d->reg, span_str(identity), &row);

	snprintf(address, size, "%s", rc == 0 ? row.last_address : "");
}

static struct doc *
diagnose_doc(struct daemon *d, const char *address, const char *identity)
{
	char last[64] = "";
	struct story s = { .count = 0 };
	struct doc *doc;

	if (identity != NULL) {
		add_story(d, &s, HISTORY_DEVICE, identity, false);
		last_address(d, identity, last, sizeof last);
	}
	if (last[0] != '\0' || address != NULL) {
		add_story(d, &s, HISTORY_ADDRESS, address != NULL ? address : last,
		          identity != NULL);
	}
	qsort(s.list, s.count, sizeof s.list[0], oldest_first);
	doc = doc_map();
	doc_set_text(doc, "subject", identity != NULL ? identity : address);
	doc_set(doc, "story", story_doc(&s));
	doc_set(doc, "verdict",
	        verdict_doc(d, address != NULL ? address : last[0] != '\0' ? last : NULL, identity,
	                    &s));
	return doc;
}

void
diagnose_command(void *owner, struct ctl_request *request, const struct doc *args)
{
	const char *identity = text_argument(args, "identity");
	const char *address = identity == NULL ? text_argument(args, "address") : NULL;
	const char *subject = identity != NULL ? identity : address;
	struct gather *g;
	struct doc *doc;

	if (subject == NULL || strlen(subject) > REG_NAME_MAX) {
		ctl_refuse(request, -EINVAL, "`identity` or `address` is missing or too long");
		return;
	}
	doc = diagnose_doc(owner, address, identity);
	g = gather_new(owner, request);
	if (g == NULL) {
		doc_free(doc);
		out_of_memory(request);
		return;
	}
	snprintf(g->identity, sizeof g->identity, "%s", subject);
	g->by_address = identity == NULL;
	g->doc = doc;
	gather_start(g, count_sessions, answer_diagnose);
}

/* ---- watch --------------------------------------------------------------------------------- */

struct watcher {
	struct list node; /* in daemon->watchers */
	struct ctl_request *request;
	uint64_t serial;  /* of the last change that it was told */
};

static void
watcher_free(void *owner)
{
	struct watcher *w = owner;

	list_remove(&w->node);
	free(w);
}

void
watch_command(void *owner, struct ctl_request *request, const struct doc *args)
{
	struct daemon *d = owner;
	struct watcher *w;
	const char *what = doc_get_text(args, "what", "failures");

	if (strcmp(what, "device") == 0) {
		watch_device(d, request, args);
		return;
	}
	if (strcmp(what, "failures") != 0) {
		ctl_refuse(request, -EINVAL, "`failures` or `device` can be watched");
		return;
	}
	w = calloc(1, sizeof *w);
	if (w == NULL) {
		out_of_memory(request);
		return;
	}
	w->request = request;
	w->serial = episodes_serial(d->shared.episodes);
	list_append(&d->watchers, &w->node);
	if (!ctl_stream(request, watcher_free, w)) {
		watcher_free(w);
	}
}

/* Oldest first, as they came. */
static void
tell_watcher(struct daemon *d, struct watcher *w)
{
	struct episode_filter filter = { .after = w->serial, .most = LIST_MOST };
	struct episode *e;
	size_t count;

	if (episodes_list(d->shared.episodes, &filter, &e, &count) != 0) {
		return; /* it comes with the next tick */
	}
	for (; count > 0; count--) {
		if (ctl_event(w->request, episode_doc(&e[count - 1])) != 0) {
			watcher_free(w);
			break;
		}
		w->serial = e[count - 1].serial;
	}
	free(e);
}

void
failures_tick(struct daemon *d)
{
	struct list *at, *after;

	list_each(at, after, &d->watchers) {
		tell_watcher(d, list_entry(at, struct watcher, node));
	}
}

/* ---- counts ---------------------------------------------------------------------------------- */

struct doc *
failures_counts(const struct daemon *d)
{
	static const char *const words[] = { [CLASS_FAILURE] = "failures",
		[CLASS_STRANGER] = "strangers", [CLASS_WARNING] = "warnings",
		[CLASS_NOTICE] = "notices" };
	struct doc *doc = doc_map(), *causes = doc_map();
	int64_t sum[4] = { 0 };

	for (unsigned i = 0; i < CAUSE_COUNT; i++) {
		int64_t n = (int64_t)episodes_count(d->shared.episodes, i);

		sum[diagnose_entry(i)->class] += i != CAUSE_NOTHING ? n : 0;
		if (n > 0 && i != CAUSE_NOTHING) {
			doc_set_int(causes, diagnose_entry(i)->id, n);
		}
	}
	for (unsigned i = 0; i < 4; i++) {
		doc_set_int(doc, words[i], sum[i]);
	}
	doc_set_int(doc, "open", (int64_t)episodes_open(d->shared.episodes));
	doc_set(doc, "causes", causes);
	return doc;
}
