/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is here, as the broker is told: one retained message per device. The
 * table has an entry for each device that is present, and for each that has
 * gone until the broker has acknowledged that. Any thread changes `present`;
 * only the control thread takes entries away. One message per device is under
 * way at a time, so what came last is also what is retained.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "uplink/uplink_int.h"

#include "base/log.h"
#include "mqtt/mqtt.h"

#define VARIABLE "${identity}"
#define KEPT_MOST 65536 /* entries; above it those of devices that have gone are not kept */

/* ---- the table, under its lock ------------------------------------------------- */

static struct list *
bucket_of(struct presence *p, struct span identity)
{
	uint64_t h = p->seed;

	for (size_t i = 0; i < identity.len; i++) {
		h = (h ^ identity.ptr[i]) * 0x100000001b3ULL;
	}
	return &p->bucket[(h ^ h >> 29) % PRESENCE_BUCKETS];
}

static struct presence_entry *
find(struct presence *p, struct span identity)
{
	struct list *at, *after;

	list_each(at, after, bucket_of(p, identity)) {
		struct presence_entry *e = list_entry(at, struct presence_entry, bucket);

		if (span_eq_str(identity, e->identity)) {
			return e;
		}
	}
	return NULL;
}

static struct presence_entry *
add(struct presence *p, struct span identity)
{
	struct presence_entry *e = calloc(1, sizeof *e + identity.len + 1);

	if (e != NULL) {
		memcpy(e->identity, identity.ptr, identity.len);
		list_init(&e->due);
		list_append(bucket_of(p, identity), &e->bucket);
		p->count++;
	}
	return e;
}

static void
drop(struct presence *p, struct presence_entry *e)
{
	list_remove(&e->bucket);
	list_remove(&e->due);
	p->count--;
	free(e);
}

static void
make_due(struct presence *p, struct presence_entry *e)
{
	if (list_empty(&e->due)) {
		list_append(&p->due, &e->due);
	}
}

/* ---- news, from any thread ----------------------------------------------------- */

static void
woken(struct loop_message *message)
{
	struct presence *p = list_entry(message, struct presence, wake);
	struct uplink *u = list_entry(p, struct uplink, presence);

	pthread_mutex_lock(&p->lock);
	p->posted = false;
	pthread_mutex_unlock(&p->lock);
	uplink_pump(u);
}

void
uplink_presence(struct uplink *u, const char *identity, bool online)
{
	struct presence *p = &u->presence;
	struct presence_entry *e;
	bool post = false;

	pthread_mutex_lock(&p->lock);
	if (!p->closed) {
		e = find(p, span_str(identity));
		if (e == NULL && (online || p->count < KEPT_MOST)) {
			e = add(p, span_str(identity));
		}
		if (e != NULL) {
			e->present = online;
			make_due(p, e);
			post = !p->posted;
			p->posted = true;
		}
	}
	pthread_mutex_unlock(&p->lock);
	if (post) {
		loop_post(u->loop, &p->wake);
	}
}

/* ---- saying it ----------------------------------------------------------------- */

bool
presence_parts(const struct uplink *u, struct span *before, struct span *after)
{
	const char *template = u->settings.presence_topic;
	const char *at = template != NULL ? strstr(template, VARIABLE) : NULL;

	if (at == NULL) {
		return false;
	}
	*before = span_of(template, (size_t)(at - template));
	*after = span_str(at + sizeof VARIABLE - 1);
	return true;
}

/* The topic of that device, or NULL: too long, or nothing is to be said. */
static char *
topic_of(const struct uplink *u, const char *identity)
{
	struct span before, after;
	char *topic = NULL;
	int n;

	if (!presence_parts(u, &before, &after)) {
		return NULL;
	}
	n = asprintf(&topic, "%.*s%s%.*s", SPAN_ARG(before), identity, SPAN_ARG(after));
	if (n < 0 || n > UINT16_MAX) {
		free(n < 0 ? NULL : topic);
		return NULL;
	}
	return topic;
}

/*
 * The next entry about which something is to be said; it is taken off the
 * list. Entries that are as the broker has them are sorted out.
 */
static struct presence_entry *
take_due(struct uplink *u, bool *online)
{
	struct presence *p = &u->presence;
	struct presence_entry *found = NULL;
	struct list *node;

	pthread_mutex_lock(&p->lock);
	while (found == NULL && (node = list_take(&p->due)) != NULL) {
		struct presence_entry *e = list_entry(node, struct presence_entry, due);

		*online = e->present && u->state != UPLINK_LEAVING;
		if (e->inflight) {
			/* Its acknowledgement brings it back. */
			continue;
		}
		if (e->told != (*online ? TOLD_ONLINE : TOLD_OFFLINE)) {
			e->inflight = true;
			p->inflight++;
			found = e;
		} else if (!e->present) {
			drop(p, e);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return found;
}

/* What became of it: `told`, and whether it is to be said again. */
static void
settle(struct uplink *u, struct presence_entry *e, enum told told)
{
	struct presence *p = &u->presence;

	pthread_mutex_lock(&p->lock);
	e->inflight = false;
	p->inflight--;
	e->told = told;
	make_due(p, e);
	pthread_mutex_unlock(&p->lock);
}

static int
say(struct uplink *u, struct presence_entry *e, bool online)
{
	char *topic = topic_of(u, e->identity);
	struct sent *sent = topic != NULL ? calloc(1, sizeof *sent) : NULL;
	int rc = MOSQ_ERR_SUCCESS;

	if (sent != NULL) {
		sent->kind = SENT_PRESENCE;
		sent->who = e;
		sent->online = online;
		rc = sent_publish(u, sent, topic, span_str(online ? "online" : "offline"), true,
		                  NULL);
	}
	if (sent == NULL || rc != MOSQ_ERR_SUCCESS) {
		/* No topic, no memory: as if it had been said, until the next time. */
		free(sent);
		settle(u, e, online ? TOLD_ONLINE : TOLD_OFFLINE);
	}
	free(topic);
	return rc;
}

void
presence_pump(struct uplink *u)
{
	struct presence *p = &u->presence;
	struct presence_entry *e;
	bool online;

	/* At least half of the window stays the spool's. */
	while (sent_room(u) > 0 && p->inflight <= u->settings.inflight / 2 &&
	       (e = take_due(u, &online)) != NULL) {
		int rc = say(u, e, online);

		session_settle(u, rc);
	}
}

void
presence_acked(struct uplink *u, struct sent *sent, int reason)
{
	struct presence *p = &u->presence;

	if (reason >= 0x80 && !p->denied) {
		p->denied = true;
		log_warning(LOG_UPSTREAM, "the broker refused the presence of a device",
		            log_str("device", sent->who->identity),
		            log_str("reason", mqtt_reason_text((uint8_t)reason)),
		            log_str("remedy", "let the user of uplink.username write to "
		                              "uplink.presence_topic"));
	}
	settle(u, sent->who, sent->online ? TOLD_ONLINE : TOLD_OFFLINE);
}

/* ---- connection and goodbye ---------------------------------------------------- */

static void
all_due(struct presence *p)
{
	for (size_t i = 0; i < PRESENCE_BUCKETS; i++) {
		struct list *at, *after;

		list_each(at, after, &p->bucket[i]) {
			make_due(p, list_entry(at, struct presence_entry, bucket));
		}
	}
}

void
presence_connected(struct uplink *u)
{
	struct presence *p = &u->presence;

	p->denied = false;
	pthread_mutex_lock(&p->lock);
	all_due(p);
	pthread_mutex_unlock(&p->lock);
}

/* Nothing is known of what the broker has: it may have lost it. */
void
presence_lost(struct uplink *u)
{
	struct presence *p = &u->presence;

	pthread_mutex_lock(&p->lock);
	p->inflight = 0;
	for (size_t i = 0; i < PRESENCE_BUCKETS; i++) {
		struct list *at, *after;

		list_each(at, after, &p->bucket[i]) {
			struct presence_entry *e = list_entry(at, struct presence_entry, bucket);

			e->inflight = false;
			e->told = TOLD_UNKNOWN;
		}
	}
	pthread_mutex_unlock(&p->lock);
}

void
presence_farewell(struct uplink *u)
{
	presence_connected(u);
}

bool
presence_quiet(struct uplink *u)
{
	struct presence *p = &u->presence;
	bool quiet;

	pthread_mutex_lock(&p->lock);
	quiet = list_empty(&p->due) && p->inflight == 0;
	pthread_mutex_unlock(&p->lock);
	return quiet;
}

bool
presence_stranger(struct uplink *u, struct span identity)
{
	struct presence *p = &u->presence;
	struct presence_entry *e;
	bool stranger = false;

	pthread_mutex_lock(&p->lock);
	if (find(p, identity) == NULL) {
		/* With an entry it is right already, or due to be told. */
		stranger = true;
		e = add(p, identity);
		if (e != NULL) {
			e->told = TOLD_ONLINE;
			make_due(p, e);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return stranger;
}

/* ---- life ---------------------------------------------------------------------- */

int
presence_init(struct uplink *u)
{
	struct presence *p = &u->presence;

	if (getrandom(&p->seed, sizeof p->seed, 0) != sizeof p->seed) {
		return -EIO;
	}
	pthread_mutex_init(&p->lock, NULL);
	list_init(&p->due);
	for (size_t i = 0; i < PRESENCE_BUCKETS; i++) {
		list_init(&p->bucket[i]);
	}
	p->wake.run = woken;
	return 0;
}

void
presence_free(struct uplink *u)
{
	struct presence *p = &u->presence;

	for (size_t i = 0; i < PRESENCE_BUCKETS; i++) {
		struct list *node;

		while ((node = list_take(&p->bucket[i])) != NULL) {
			struct presence_entry *e = list_entry(node, struct presence_entry, bucket);

			list_remove(&e->due);
			free(e);
		}
	}
	pthread_mutex_destroy(&p->lock);
}
