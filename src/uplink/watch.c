/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Subscriptions, each with its Subscription Identifier (MQTT 5 3.8.2.1.2), by
 * which a message is handed to those it is for, however filters overlap. A
 * broker that does not return them is helped out with the filters.
 */
#include <errno.h>
#include <stdlib.h>

#include "uplink/uplink_int.h"

#include "mqtt/mqtt.h"
#include "topic/topic.h"

#define ID_MOST 268435455u /* of a Variable Byte Integer */

int
watch_subscribe(struct uplink *u, const char *filter, int qos, int options, uint32_t id, int *mid)
{
	mosquitto_property *p = NULL;
	int rc = mosquitto_property_add_varint(&p, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, id);

	if (rc == MOSQ_ERR_SUCCESS) {
		rc = mosquitto_subscribe_v5(u->link->mosq, mid, filter, qos, options, p);
	}
	mosquitto_property_free_all(&p);
	return rc;
}

/* ---- subscriptions ------------------------------------------------------------- */

static struct subscription *
subscription_of(struct list *node)
{
	return list_entry(node, struct subscription, node);
}

static struct subscription *
subscription_take(struct uplink *u, const char *filter)
{
	struct subscription *s;
	struct list *at, *after;

	list_each(at, after, &u->subscriptions) {
		s = subscription_of(at);
		if (strcmp(s->filter, filter) == 0) {
			s->users++;
			return s;
		}
	}
	s = calloc(1, sizeof *s);
	if (s == NULL || (s->filter = strdup(filter)) == NULL) {
		free(s);
		return NULL;
	}
	s->users = 1;
	s->id = u->last_id;
	u->last_id = u->last_id < ID_MOST ? u->last_id + 1 : WATCH_ID;
	list_append(&u->subscriptions, &s->node);
	return s;
}

static void
subscription_free(struct subscription *s)
{
	list_remove(&s->node);
	free(s->filter);
	free(s);
}

/* One that is wanted and not asked for, or that nobody wants. */
static struct subscription *
next_due(struct uplink *u)
{
	struct list *at, *after;

	list_each(at, after, &u->subscriptions) {
		struct subscription *s = subscription_of(at);

		if (s->users == 0 || !s->asked) {
			return s;
		}
	}
	return NULL;
}

static void
subscription_pump(struct uplink *u, struct subscription *s)
{
	int rc = MOSQ_ERR_SUCCESS;

	if (s->users > 0) {
		s->asked = true;
		/* Not 2: the guard knows no half of a message. */
		rc = watch_subscribe(u, s->filter, 1, SUB_RETAIN_AS_PUBLISHED | SUB_RETAIN_NEVER,
		                     s->id, NULL);
	} else {
		if (s->asked) {
			rc = mosquitto_unsubscribe_v5(u->link->mosq, NULL, s->filter, NULL);
		}
		subscription_free(s);
	}
	session_settle(u, rc);
}

void
watch_pump(struct uplink *u)
{
	struct subscription *s;

	while (session_up(u) && (s = next_due(u)) != NULL) {
		subscription_pump(u, s);
	}
}

void
watch_lost(struct uplink *u)
{
	struct list *at, *after;

	list_each(at, after, &u->subscriptions) {
		struct subscription *s = subscription_of(at);

		s->asked = false;
		if (s->users == 0) {
			subscription_free(s);
		}
	}
}

/* ---- watches ------------------------------------------------------------------- */

static void
watch_drop(struct uplink_watch *w)
{
	for (size_t i = 0; i < w->count; i++) {
		if (w->sub[i] != NULL) {
			w->sub[i]->users--;
			w->sub[i] = NULL;
		}
	}
}

static void
watch_release(struct uplink_watch *w)
{
	list_remove(&w->node);
	free(w);
}

int
uplink_watch_add(struct uplink *u, const char *const *filter, size_t count,
                 void (*message)(void *owner, struct span topic, struct span payload,
                                 size_t length, uint8_t qos, bool retain),
                 void *owner, struct uplink_watch **out)
{
	struct uplink_watch *w = calloc(1, sizeof *w + count * sizeof w->sub[0]);

	if (w == NULL) {
		return -ENOMEM;
	}
	list_init(&w->node);
	w->uplink = u;
	w->message = message;
	w->owner = owner;
	w->count = count;
	for (size_t i = 0; i < count; i++) {
		w->sub[i] = subscription_take(u, filter[i]);
		if (w->sub[i] == NULL) {
			watch_drop(w);
			free(w);
			return -ENOMEM;
		}
	}
	list_append(&u->watches, &w->node);
	*out = w;
	uplink_pump(u);
	return 0;
}

void
uplink_watch_remove(struct uplink_watch *w)
{
	struct uplink *u = w->uplink;

	watch_drop(w);
	w->dead = true;
	if (!u->handing) {
		watch_release(w);
		uplink_pump(u);
	}
}

/* ---- messages ------------------------------------------------------------------ */

/* The filters match, or the identifier says so. */
static bool
is_for(const struct uplink_watch *w, uint32_t id, struct span topic)
{
	for (size_t i = 0; i < w->count; i++) {
		const struct subscription *s = w->sub[i];

		if (s != NULL && (id != 0 ? s->id == id :
		                            topic_matches(span_str(s->filter), topic))) {
			return true;
		}
	}
	return false;
}

static void
hand_out(struct uplink *u, const struct mosquitto_message *m, uint32_t id)
{
	struct span topic = span_str(m->topic);
	struct span payload = span_of(m->payload, (size_t)m->payloadlen);
	struct list *at, *after;

	if (id == 0 || id == SYS_ID) {
		sys_message(u, topic, payload);
	}
	if (id == 0 || id == SWEEP_ID) {
		sweep_message(u, topic, payload, m->retain);
	}
	list_each(at, after, &u->watches) {
		struct uplink_watch *w = list_entry(at, struct uplink_watch, node);

		if (!w->dead && is_for(w, id, topic)) {
			w->message(w->owner, topic, span_head(payload, WATCH_PAYLOAD),
			           payload.len, (uint8_t)m->qos, m->retain);
		}
	}
}

void
watch_message(struct uplink *u, const struct mosquitto_message *m, const mosquitto_property *p)
{
	struct list *at, *after;
	uint32_t id = 0;

	u->handing = true;
	p = mosquitto_property_read_varint(p, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, &id, false);
	do {
		hand_out(u, m, id);
		if (p != NULL) {
			p = mosquitto_property_read_varint(p, MQTT_PROP_SUBSCRIPTION_IDENTIFIER,
			                                   &id, true);
		}
	} while (p != NULL);
	u->handing = false;
	list_each(at, after, &u->watches) {
		struct uplink_watch *w = list_entry(at, struct uplink_watch, node);

		if (w->dead) {
			watch_release(w);
		}
	}
}

void
watch_free(struct uplink *u)
{
	struct list *node;

	while ((node = list_take(&u->watches)) != NULL) {
		free(list_entry(node, struct uplink_watch, node));
	}
	while ((node = list_take(&u->subscriptions)) != NULL) {
		subscription_free(subscription_of(node));
	}
}
