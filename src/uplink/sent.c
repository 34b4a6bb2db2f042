/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the broker owes a PUBACK for. Presence and spool share one window, no
 * larger than the broker's Receive Maximum: the library would queue what is
 * more, and its packet identifiers are a bare counter.
 */
#include <stdlib.h>

#include "uplink/uplink_int.h"

#include "base/log.h"
#include "mqtt/mqtt.h"

unsigned
sent_room(const struct uplink *u)
{
	unsigned most = u->settings.inflight;

	if (!session_up(u)) {
		return 0;
	}
	if (u->link->receive_maximum < most) {
		most = u->link->receive_maximum;
	}
	return u->outstanding < most ? most - u->outstanding : 0;
}

/*
 * QoS 1. `sent` is taken over when the answer is 0; otherwise what the
 * library said, and the connection may have to end for it.
 */
int
sent_publish(struct uplink *u, struct sent *sent, const char *topic, struct span payload,
             bool retain, const mosquitto_property *properties)
{
	int rc = mosquitto_publish_v5(u->link->mosq, &sent->mid, topic, (int)payload.len,
	                              payload.ptr, 1, retain, properties);

	if (rc == MOSQ_ERR_SUCCESS) {
		list_append(&u->sent, &sent->node);
		u->outstanding++;
		u->info.published++;
	}
	return rc;
}

static void
status_acked(struct uplink *u, int reason)
{
	u->status.inflight = false;
	if (reason >= 0x80) {
		log_warning(LOG_UPSTREAM, "the broker refused the gateway's status",
		            log_str("topic", u->settings.status_topic),
		            log_str("reason", mqtt_reason_text((uint8_t)reason)),
		            log_str("remedy", "let the user of uplink.username write to that "
		                              "topic"));
	}
}

void
sent_acked(struct uplink *u, int mid, int reason)
{
	struct list *at, *after;

	list_each(at, after, &u->sent) {
		struct sent *sent = list_entry(at, struct sent, node);

		if (sent->mid != mid) {
			continue;
		}
		list_remove(&sent->node);
		u->outstanding--;
		switch (sent->kind) {
		case SENT_STATUS:
			status_acked(u, reason);
			break;
		case SENT_PRESENCE:
			presence_acked(u, sent, reason);
			break;
		case SENT_SPOOL:
			drain_acked(u, sent, reason);
			break;
		}
		free(sent);
		return;
	}
}

void
sent_forget(struct uplink *u)
{
	struct list *node;

	while ((node = list_take(&u->sent)) != NULL) {
		free(list_entry(node, struct sent, node));
	}
	u->outstanding = 0;
}
