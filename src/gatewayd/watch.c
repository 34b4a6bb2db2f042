/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device's messages as they pass the broker, with both its names for the
 * topic: the device's map is compiled from what the register says of it, its
 * broker filters are subscribed to, and what comes is mapped back.
 */
#include "gatewayd/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "gatewayd/daemon.h"
#include "session/device.h"

#define FILTERS_MOST 256
#define TEXT_MOST 1024 /* bytes of a payload shown as text */
#define HEX_MOST 256   /* bytes shown in hex */

struct device_watch {
	struct daemon *daemon;
	struct ctl_request *request;
	struct uplink_watch *watch;
	struct topic_map *map;
	struct conf *conf; /* a reference: the map points into it */
	uint8_t topic[TOPIC_MAX];
	char identity[REG_NAME_MAX + 1];
};

static void
watch_free(void *owner)
{
	struct device_watch *w = owner;

	if (w->watch != NULL) {
		uplink_watch_remove(w->watch);
	}
	topic_map_free(w->map);
	conf_unref(&w->conf);
	free(w);
}

/* ---- one message --------------------------------------------------------------- */

/* No control characters but white space: fit for a terminal and for a reader. */
static bool
is_text(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];

		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
			return false;
		}
	}
	return utf8_valid(s);
}

static void
set_payload(struct doc *doc, struct span payload, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	/* What the uplink has cut may end within a character. */
	struct span whole = payload.len < length ? utf8_head(payload, payload.len) : payload;
	char hex[2 * HEX_MOST];
	size_t shown;

	if (is_text(whole)) {
		struct span head = utf8_head(whole, TEXT_MOST);

		shown = head.len;
		doc_set_text(doc, "encoding", "text");
		doc_set_string(doc, "payload", head);
	} else {
		shown = payload.len < HEX_MOST ? payload.len : HEX_MOST;
		for (size_t i = 0; i < shown; i++) {
			hex[2 * i] = digits[payload.ptr[i] >> 4];
			hex[2 * i + 1] = digits[payload.ptr[i] & 15];
		}
		doc_set_text(doc, "encoding", "hex");
		doc_set_string(doc, "payload", span_of(hex, 2 * shown));
	}
	doc_set_bool(doc, "cut", shown < length);
}

/* Which way it goes, and what the device calls the topic. */
static void
set_topics(struct device_watch *w, struct doc *doc, struct span topic)
{
	const struct topic_rule *rule;
	int up = topic_map_response_down(w->map, topic, w->topic, sizeof w->topic);
	struct doc *name = up >= 0 ? doc_string(span_of(w->topic, (size_t)up)) : NULL;
	int down = topic_map_deliver(w->map, topic, w->topic, sizeof w->topic, &rule);

	if (up < 0 && down >= 0) {
		name = doc_string(span_of(w->topic, (size_t)down));
	}
	doc_set_text(doc, "direction",
	             up >= 0 && down >= 0 ? "both" : up >= 0 ? "up" : down >= 0 ? "down" : "none");
	doc_set(doc, "device_topic", name != NULL ? name : doc_string(span_str("")));
	doc_set_string(doc, "broker_topic", topic);
}

static void
message(void *owner, struct span topic, struct span payload, size_t length, uint8_t qos,
        bool retain)
{
	struct device_watch *w = owner;
	struct doc *doc = doc_map();

	doc_set_int(doc, "at", clock_wall());
	doc_set_text(doc, "identity", w->identity);
	set_topics(w, doc, topic);
	doc_set_int(doc, "qos", qos);
	doc_set_bool(doc, "retain", retain);
	doc_set_int(doc, "size", (int64_t)length);
	set_payload(doc, payload, length);
	if (ctl_event(w->request, doc) != 0) {
		watch_free(w);
	}
}

/* ---- the device's map ---------------------------------------------------------- */

struct labels {
	struct {
		char *name, *value;
	} label[DEVICE_LABELS];
	unsigned count;
};

static int
take_label(void *owner, struct span name, struct span value)
{
	struct labels *l = owner;

	if (l->count == DEVICE_LABELS) {
		return ERR_LIMIT;
	}
	l->label[l->count].name = strndup((const char *)name.ptr, name.len);
	l->label[l->count].value = strndup((const char *)value.ptr, value.len);
	l->count++;
	return l->label[l->count - 1].name != NULL && l->label[l->count - 1].value != NULL ?
	               0 : -ENOMEM;
}

static void
labels_clear(struct labels *l)
{
	for (unsigned i = 0; i < l->count; i++) {
		free(l->label[i].name);
		free(l->label[i].value);
	}
	l->count = 0;
}

static struct span
find_label(void *owner, struct span name)
{
	const struct labels *l = owner;

	for (unsigned i = 0; i < l->count; i++) {
		if (span_eq_str(name, l->label[i].name)) {
			return span_str(l->label[i].value);
		}
	}
	return span_of(NULL, 0);
}

static int
compile(struct device_watch *w, const struct reg_device *row, struct labels *labels,
        const struct pki_cert *ca, char *why, size_t size)
{
	struct span issuer = ca != NULL ? ca->cn : span_of(NULL, 0);
	const struct conf_device facts = { .identity = span_str(row->name),
		.group = span_str(row->group), .issuer_cn = issuer, .label = find_label,
		.label_owner = labels };
	const struct topic_vars vars = { .identity = facts.identity, .cn = facts.identity,
		.serial = span_str(row->serial), .fingerprint = span_str(row->fingerprint),
		.issuer_cn = issuer, .group = facts.group,
		.gateway = span_str(w->conf->gateway.name),
		.client_id = facts.identity, .label = find_label, .label_owner = labels };
	const struct conf_map *map = conf_map_find(w->conf, &facts);

	if (map == NULL) {
		snprintf(why, size, "no map of the configuration is for %s", row->name);
		return ERR_NOT_FOUND;
	}
	return topic_map_compile(&map->rules, &vars, &w->map, why, size);
}

/* A device that is not in the register has its identity and no more. */
static int
find_map(struct device_watch *w, char *why, size_t size)
{
	struct labels labels = { .count = 0 };
	struct pki_cert *ca = NULL;
	struct reg_device row;
	char unread[PKI_WHY_SIZE];
	int rc = reg_find(w->daemon->reg, span_str(w->identity), &row);

	snprintf(why, size, "the register cannot be read");
	if (rc == ERR_NOT_FOUND && w->conf->admission == CONF_ADMIT_CA) {
		row = (struct reg_device){ .group = "" };
		snprintf(row.name, sizeof row.name, "%s", w->identity);
		rc = 0;
	} else if (rc == ERR_NOT_FOUND) {
		snprintf(why, size, "there is no device %s in the register", w->identity);
	} else if (rc == 0) {
		rc = reg_label_each(w->daemon->reg, span_str(w->identity), take_label, &labels);
	}
	/* Without the CA's certificate only ${issuer_cn} is missing. */
	if (rc == 0 && pki_cert_read_file(w->conf->tls.ca, &ca, unread) != 0) {
		ca = NULL;
	}
	if (rc == 0) {
		rc = compile(w, &row, &labels, ca, why, size);
	}
	pki_cert_free(ca);
	labels_clear(&labels);
	return rc;
}

/* ---- its filters --------------------------------------------------------------- */

struct filters {
	struct span span[FILTERS_MOST];
	char *text[FILTERS_MOST];
	size_t count;
};

/* Not what another one covers: it would come twice. */
static void
add_filter(struct filters *f, struct span filter)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->count; i++) {
		if (topic_covers(f->span[i], filter)) {
			return;
		}
	}
	for (size_t i = 0; i < f->count; i++) {
		if (!topic_covers(filter, f->span[i])) {
			f->span[kept++] = f->span[i];
		}
	}
	f->count = kept;
	if (f->count < FILTERS_MOST) {
		f->span[f->count++] = filter;
	}
}

static void
collect(const struct topic_map *map, struct filters *f)
{
	const struct topic_rule *rule;
	struct span device, broker;

	f->count = 0;
	for (int publish = 0; publish < 2; publish++) {
		for (size_t i = 0; topic_map_rule(map, publish, i, &device, &broker, &rule); i++) {
			add_filter(f, broker);
		}
	}
}

static int
subscribe(struct device_watch *w)
{
	struct filters *f = malloc(sizeof *f);
	int rc = f != NULL ? 0 : -ENOMEM;
	size_t made = 0;

	if (f == NULL) {
		return rc;
	}
	collect(w->map, f);
	for (; made < f->count && rc == 0; made++) {
		f->text[made] = strndup((const char *)f->span[made].ptr, f->span[made].len);
		rc = f->text[made] != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0) {
		rc = uplink_watch_add(w->daemon->uplink, (const char *const *)f->text, f->count,
		                      message, w, &w->watch);
	}
	while (made > 0) {
		free(f->text[--made]);
	}
	free(f);
	return rc;
}

/* ---- the command --------------------------------------------------------------- */

static int
begin(struct device_watch *w, char *why, size_t size)
{
	struct uplink_info info;
	int rc;

	uplink_info(w->daemon->uplink, &info);
	if (!info.connected) {
		snprintf(why, size, "the gateway has no session with the broker now: %s",
		         info.last_error[0] != '\0' ? info.last_error : "it is being made");
		return ERR_UNAVAILABLE;
	}
	rc = find_map(w, why, size);
	if (rc == 0) {
		snprintf(why, size, "no memory");
		rc = subscribe(w);
	}
	return rc;
}

void
watch_device(struct daemon *d, struct ctl_request *request, const struct doc *args)
{
	const char *identity = doc_get_text(args, "identity", "");
	struct device_watch *w;
	char why[REG_NAME_MAX + 256];
	int rc;

	if (identity[0] == '\0' || strlen(identity) > REG_NAME_MAX) {
		ctl_refuse(request, -EINVAL, "the argument `identity` is missing or too long");
		return;
	}
	w = calloc(1, sizeof *w);
	if (w == NULL) {
		ctl_refuse(request, -ENOMEM, "no memory");
		return;
	}
	w->daemon = d;
	w->request = request;
	w->conf = conf_ref(d->conf);
	snprintf(w->identity, sizeof w->identity, "%s", identity);
	rc = begin(w, why, sizeof why);
	if (rc != 0) {
		watch_free(w);
		ctl_refuse(request, rc, why);
	} else if (!ctl_stream(request, watch_free, w)) {
		watch_free(w);
	}
}
