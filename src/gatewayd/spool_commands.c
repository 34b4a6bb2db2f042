/* SPDX-License-Identifier: BSD-2-Clause */
#include "gatewayd/spool_commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "register/reg.h"

/* ---- spool ---------------------------------------------------------------------------- */

/* The list is copied under the spool's lock, and made into a document behind it. */
struct line {
	char *identity;
	uint64_t messages, bytes, dropped;
	int64_t oldest;
};
struct lines {
	struct line *line;
	size_t count, room;
	const char *only; /* NULL: all */
	bool failed;
};

static void
add_line(void *owner, const struct spool_device *device)
{
	struct lines *l = owner;

	if (l->failed || (l->only != NULL && strcmp(l->only, device->identity) != 0)) {
		return;
	}
	if (l->count == l->room) {
		size_t room = l->room > 0 ? l->room * 2 : 64;
		struct line *more = realloc(l->line, room * sizeof *more);

		l->failed = more == NULL;
		if (l->failed) {
			return;
		}
		l->line = more;
		l->room = room;
	}
	l->line[l->count] = (struct line){ strdup(device->identity), device->messages,
		device->bytes, device->dropped, device->oldest };
	l->failed = l->line[l->count++].identity == NULL;
}

/* Who has most comes first. */
static int
by_bytes(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->bytes != y->bytes) {
		return x->bytes < y->bytes ? 1 : -1;
	}
	return strcmp(x->identity, y->identity);
}

static struct doc *
devices_doc(struct spool *spool, const char *only)
{
	struct lines l = { .only = only };
	struct doc *list = NULL;

	spool_each(spool, add_line, &l);
	if (!l.failed) {
		list = doc_list();
	}
	if (!l.failed && l.count > 1) {
		qsort(l.line, l.count, sizeof *l.line, by_bytes);
	}
	for (size_t i = 0; i < l.count; i++) {
		if (list != NULL) {
			struct doc *one = doc_map();

			doc_set_text(one, "identity", l.line[i].identity);
			doc_set_int(one, "messages", (int64_t)l.line[i].messages);
			doc_set_int(one, "bytes", (int64_t)l.line[i].bytes);
			doc_set_int(one, "oldest", l.line[i].oldest / 1000);
			doc_set_int(one, "dropped", (int64_t)l.line[i].dropped);
			doc_add(list, one);
		}
		free(l.line[i].identity);
	}
	free(l.line);
	return list;
}

struct doc *
spool_totals_doc(struct spool *spool)
{
	struct doc *doc = doc_map();
	struct spool_totals t;

	spool_totals(spool, &t);
	doc_set_int(doc, "messages", (int64_t)t.messages);
	doc_set_int(doc, "bytes", (int64_t)t.bytes);
	doc_set_int(doc, "limit", (int64_t)t.limit_bytes);
	doc_set_int(doc, "oldest", t.oldest / 1000);
	doc_set_int(doc, "stored", (int64_t)t.stored);
	doc_set_int(doc, "delivered", (int64_t)t.delivered);
	doc_set_int(doc, "expired", (int64_t)t.expired);
	doc_set_int(doc, "dropped", (int64_t)t.dropped);
	doc_set_int(doc, "refused_full", (int64_t)t.refused_full);
	doc_set_int(doc, "refused_broker", (int64_t)t.refused_broker);
	doc_set_int(doc, "purged", (int64_t)t.purged);
	doc_set_text(doc, "last_error", t.last_error != 0 ? err_text(t.last_error) : "");
	return doc;
}

/* An identity of a sane length, or NULL; false: the argument is not good. */
static bool
identity_argument(struct ctl_request *request, const struct doc *args, const char **identity)
{
	const struct doc *given = doc_get(args, "identity");

	*identity = given != NULL ? doc_text(given) : NULL;
	if (given != NULL && ((*identity)[0] == '\0' || strlen(*identity) > REG_NAME_MAX)) {
		ctl_refuse(request, -EINVAL, "the argument `identity` is empty or too long");
		return false;
	}
	return true;
}

void
spool_show(struct spool *spool, struct ctl_request *request, const struct doc *args)
{
	const char *only;
	struct doc *doc;

	if (identity_argument(request, args, &only)) {
		doc = spool_totals_doc(spool);
		doc_set(doc, "devices", devices_doc(spool, only));
		ctl_reply(request, doc);
	}
}

/* ---- spool-purge -------------------------------------------------------------------------- */

struct purge_request {
	struct spool_purge purge;
	struct ctl_request *request;
	void (*over)(void *owner, struct ctl_request *request, const char *identity, int64_t count);
	void *owner;
	char *identity; /* NULL: all */
};

static void
purge_over(struct spool_purge *purge, int64_t count)
{
	struct purge_request *p = (struct purge_request *)(void *)purge;

	p->over(p->owner, p->request, p->identity, count);
	if (count < 0) {
		ctl_refuse(p->request, (int)count, "the spool cannot be written; not all was removed");
	} else {
		struct doc *doc = doc_map();

		doc_set_int(doc, "purged", count);
		ctl_reply(p->request, doc);
	}
	free(p->identity);
	free(p);
}

bool
spool_purge_start(struct spool *spool, struct loop *back, struct ctl_request *request,
                  const struct doc *args,
                  void (*over)(void *owner, struct ctl_request *request, const char *identity,
                               int64_t count),
                  void *owner)
{
	const char *identity;
	struct purge_request *p;

	if (!identity_argument(request, args, &identity)) {
		return false;
	}
	if ((identity != NULL) == doc_get_bool(args, "all", false)) {
		ctl_refuse(request, -EINVAL, "one of the arguments `identity` and `all` is needed");
		return false;
	}
	p = calloc(1, sizeof *p);
	if (p != NULL) {
		p->purge.done = purge_over;
		p->purge.back = back;
		p->request = request;
		p->over = over;
		p->owner = owner;
		p->identity = identity != NULL ? strdup(identity) : NULL;
	}
	if (p == NULL || (identity != NULL && p->identity == NULL) ||
	    spool_purge(spool, identity, &p->purge) != 0) {
		free(p != NULL ? p->identity : NULL);
		free(p);
		ctl_refuse(request, -ENOMEM, "no memory for the request");
		return false;
	}
	return true;
}

/* ---- metrics ----------------------------------------------------------------------------------- */

static void
metric(FILE *text, const char *name, const char *kind, const char *help, int64_t value)
{
	fprintf(text, "# HELP gateway_spool_%s %s\n# TYPE gateway_spool_%s %s\n"
	              "gateway_spool_%s %lld\n",
	        name, help, name, kind, name, (long long)value);
}

void
spool_metrics(struct spool *spool, FILE *text)
{
	struct spool_totals t;
	int64_t age;

	spool_totals(spool, &t);
	age = t.oldest != 0 ? clock_wall() - t.oldest / 1000 : 0;
	metric(text, "messages", "gauge", "messages stored now", (int64_t)t.messages);
	metric(text, "bytes", "gauge", "their size as it counts for spool.size", (int64_t)t.bytes);
	metric(text, "limit_bytes", "gauge", "spool.size", (int64_t)t.limit_bytes);
	metric(text, "devices", "gauge", "devices that have messages stored", (int64_t)t.devices);
	metric(text, "oldest_age_seconds", "gauge", "age of the oldest message stored",
	       age > 0 ? age : 0);
	metric(text, "failing", "gauge", "whether the last write to the spool failed",
	       t.last_error != 0);
	metric(text, "stored_total", "counter", "messages stored", (int64_t)t.stored);
	metric(text, "delivered_total", "counter", "stored messages that the broker acknowledged",
	       (int64_t)t.delivered);
	metric(text, "expired_total", "counter", "stored messages that became too old",
	       (int64_t)t.expired);
	metric(text, "dropped_total", "counter", "stored messages of QoS 0 dropped for newer ones",
	       (int64_t)t.dropped);
	metric(text, "purged_total", "counter", "stored messages removed by hand", (int64_t)t.purged);
	metric(text, "refused_total", "counter", "messages not stored, because a bound was reached",
	       (int64_t)t.refused_full);
	metric(text, "broker_refused_total", "counter", "stored messages that the broker refused",
	       (int64_t)t.refused_broker);
}
