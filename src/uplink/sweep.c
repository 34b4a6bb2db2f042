/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Retained "online" of devices that are not here: left behind by a gateway
 * that crashed. After each connect the presence filter, with + for the
 * identity, is subscribed to; the broker sends what it has retained; who is
 * not in our table is told "offline". At most SWEEP_MOST are corrected in one
 * round, and rounds go on until one finds nobody: the broker's queue is
 * bounded, and it drops the rest without a word (QoS 0: 1000 messages behind
 * those in the socket; for QoS 1 max_queued_messages).
 *
 * A round ends when a sign of life was asked for and answered with no
 * retained message between the two: the broker sends in order.
 */
#include <limits.h>
#include <stdio.h>

#include "uplink/uplink_int.h"

#include "base/log.h"
#include "topic/topic.h"

#define QUEUE_OF_BROKER 1000 /* messages; what it may have dropped is worth a warning */

void
sweep_connected(struct uplink *u)
{
	struct span before, after;

	u->sweep = (struct sweep){ .phase = presence_parts(u, &before, &after) ? SWEEP_DUE :
	                                                                         SWEEP_IDLE };
}

static bool
filter_of(const struct uplink *u, char *filter, size_t size)
{
	struct span before, after;

	return presence_parts(u, &before, &after) &&
	       (size_t)snprintf(filter, size, "%.*s+%.*s", SPAN_ARG(before), SPAN_ARG(after)) <
	               size;
}

void
sweep_pump(struct uplink *u)
{
	struct sweep *s = &u->sweep;
	char filter[8192];
	int rc;

	if ((s->phase != SWEEP_DUE && s->phase != SWEEP_OVER) || !session_up(u)) {
		return;
	}
	if (!filter_of(u, filter, sizeof filter)) {
		s->phase = SWEEP_IDLE;
		return;
	}
	if (s->phase == SWEEP_OVER) {
		s->phase = s->strangers > 0 ? SWEEP_DUE : SWEEP_IDLE;
		rc = mosquitto_unsubscribe_v5(u->link->mosq, NULL, filter, NULL);
	} else {
		/*
		 * What we publish ourselves comes back without its retain flag
		 * and is told from what was retained by that.
		 */
		*s = (struct sweep){ .phase = SWEEP_ASKED };
		rc = watch_subscribe(u, filter, 0, 0, SWEEP_ID, &s->mid);
	}
	session_settle(u, rc);
}

void
sweep_granted(struct uplink *u, int mid)
{
	struct sweep *s = &u->sweep;

	if (s->phase == SWEEP_ASKED && s->mid == mid) {
		s->phase = SWEEP_LISTENING;
		/* A question that is open already tells nothing. */
		s->at_ask = UINT_MAX;
	}
}

void
sweep_message(struct uplink *u, struct span topic, struct span payload, bool retain)
{
	struct sweep *s = &u->sweep;
	struct span before, after, identity;

	if (!retain || (s->phase != SWEEP_ASKED && s->phase != SWEEP_LISTENING) ||
	    !presence_parts(u, &before, &after) ||
	    topic.len <= before.len + after.len || !span_eq(span_head(topic, before.len), before) ||
	    !span_eq(span_skip(topic, topic.len - after.len), after)) {
		return;
	}
	s->seen++;
	identity = span_of(topic.ptr + before.len, topic.len - before.len - after.len);
	if (!span_eq_str(payload, "online") || !topic_value_safe(identity)) {
		return;
	}
	if (s->strangers < SWEEP_MOST && presence_stranger(u, identity)) {
		s->strangers++;
	}
}

static void
round_over(struct uplink *u)
{
	struct sweep *s = &u->sweep;

	if (s->strangers > 0) {
		log_notice(LOG_UPSTREAM, "presence of devices that are not here is corrected",
		           log_int("devices", s->strangers));
	}
	if (s->seen >= QUEUE_OF_BROKER && s->strangers == 0) {
		log_info(LOG_UPSTREAM, "the broker may have left out some retained presence",
		         log_int("seen", s->seen));
	}
	s->phase = SWEEP_OVER;
}

void
sweep_alive(struct uplink *u)
{
	struct sweep *s = &u->sweep;

	if (s->phase == SWEEP_LISTENING && s->at_ask == s->seen) {
		round_over(u);
	}
}
