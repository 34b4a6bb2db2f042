/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PUBLISH packets of the device that are held whole: those on their way to the
 * store, and copies of forwarded ones of QoS 1 until the broker acknowledges
 * them, so that they can go to the store when it is lost before that.
 */
#include "relay/relay_int.h"

#include <errno.h>
#include <stdlib.h>

#define EDITS_MAX 4u

/* What the store takes apart from the properties, or what ends with the connection. */
static size_t
store_edits(struct mqtt_edit *all, const struct mqtt_publish *p, const struct mqtt_edit *edit,
            size_t edits)
{
	static const enum mqtt_property gone[] = { MQTT_PROP_TOPIC_ALIAS,
		MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, MQTT_PROP_WILL_DELAY_INTERVAL };
	size_t n = 0;

	for (unsigned i = 0; i < sizeof gone / sizeof gone[0]; i++) {
		if (mqtt_props_has(&p->props, gone[i])) {
			all[n++] = (struct mqtt_edit){ .id = gone[i], .what = MQTT_EDIT_REMOVE };
		}
	}
	if (edits > 0) {
		all[n++] = edit[0];
	}
	return n;
}

static size_t
properties_size(const struct mqtt_publish *p, const struct mqtt_edit *edit, size_t edits)
{
	struct mqtt_edit all[EDITS_MAX];

	return mqtt_props_edited_size(&p->props, all, store_edits(all, p, edit, edits));
}

size_t
message_size(const struct mqtt_publish *p, struct span topic, const struct mqtt_edit *edit,
             size_t edits)
{
	return sizeof(struct message) + topic.len + properties_size(p, edit, edits) + p->payload;
}

struct message *
message_new(const struct mqtt_publish *p, enum mqtt_version version, struct span topic,
            const struct mqtt_edit *edit, size_t edits)
{
	size_t properties = version == MQTT_5 ? properties_size(p, edit, edits) : 0;
	struct message *m = malloc(sizeof *m + topic.len + properties + p->payload);
	struct mqtt_edit all[EDITS_MAX];
	struct reader at;
	struct writer w;

	if (m == NULL) {
		return NULL;
	}
	*m = (struct message){ .topic = (uint32_t)topic.len, .payload = p->payload,
		.packet_id = p->packet_id, .qos = (uint8_t)MQTT_FLAG_QOS(p->flags),
		.retain = (p->flags & MQTT_FLAG_RETAIN) != 0,
		.expiry = mqtt_props_number(&p->props, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL,
		                            UINT32_MAX) };
	list_init(&m->node);
	w = writer_of(m->bytes, topic.len + properties);
	write_bytes(&w, topic);
	if (properties > 0) {
		mqtt_props_write(&w, &p->props, all, store_edits(all, p, edit, edits));
		/* Only the list itself is wanted, without its length. */
		at = reader_of(span_of(m->bytes + topic.len, properties));
		m->properties = read_varint(&at);
		memmove(m->bytes + topic.len, at.at, m->properties);
	}
	return m;
}

void
message_fill(struct message *m, struct span bytes)
{
	uint32_t room = m->payload - m->filled;
	uint32_t n = bytes.len < room ? (uint32_t)bytes.len : room;

	if (n > 0) {
		memcpy(m->bytes + m->topic + m->properties + m->filled, bytes.ptr, n);
		m->filled += n;
	}
}

/* ---- to the store ------------------------------------------------------------------- */

static int
hand_over(struct relay *r, const struct message *m)
{
	const uint8_t *at = m->bytes;
	struct relay_message out = {
		.topic = span_of(at, m->topic),
		.properties = span_of(at + m->topic, m->properties),
		.payload = span_of(at + m->topic + m->properties, m->payload),
		.expiry = m->expiry,
		.qos = m->qos,
		.retain = m->retain,
		.tag = m->tag,
		.size = sizeof *m + m->topic + m->properties + m->payload,
	};
	int rc = r->settings.spool.put(r->settings.spool.owner, &out);

	if (rc == 0) {
		r->storing++;
		r->storing_bytes += out.size;
		r->stored++;
		relay_count(r, METRIC_PUBLISH_STORED);
	} else {
		relay_count(r, METRIC_STORE_REFUSED);
	}
	return rc;
}

int
message_store(struct relay *r, struct message *m)
{
	uint32_t tag;
	int rc = 0;

	if (m->qos > 0 && m->tag == 0) {
		m->tag = r->store_tag = r->store_tag < UINT32_MAX ? r->store_tag + 1 : 1;
		rc = acks_wait(r, m->packet_id, m->tag);
	}
	tag = m->tag;
	if (rc == 0 && hand_over(r, m) < 0 && tag != 0) {
		rc = acks_stored(r, tag, true);
	}
	free(m);
	return rc;
}

void
message_store_unasked(struct relay *r, struct message *m)
{
	(void)hand_over(r, m);
	free(m);
}

int
message_complete(struct relay *r, struct stream *s)
{
	struct message *m = s->into;

	s->into = NULL;
	return m->kept ? 0 : message_store(r, m);
}

/* ---- kept ---------------------------------------------------------------------------- */

static bool
keep_room(const struct relay *r, size_t size)
{
	return r->kept_bytes + size <= r->settings.limits.hold_memory &&
	       r->acks.forwarded - r->acks.answered < OWED_MAX / 2;
}

void
message_keep(struct relay *r, const struct mqtt_publish *p, struct span topic,
             const struct mqtt_edit *edit, size_t edits)
{
	size_t size = message_size(p, topic, edit, edits);
	struct message *m = NULL;

	if (topic.len > 0 && keep_room(r, size)) {
		m = message_new(p, (enum mqtt_version)r->version, topic, edit, edits);
	}
	if (m == NULL) {
		/* Until it is acknowledged the session cannot be held. */
		r->unkept = r->acks.forwarded;
		r->unkept_any = true;
		return;
	}
	m->number = r->acks.forwarded;
	m->kept = true;
	list_append(&r->kept, &m->node);
	r->kept_bytes += sizeof *m + m->topic + m->properties + m->payload;
	r->up.into = message_whole(m) ? NULL : m;
}

/* Out of the list; it is the caller's then. */
static void
release(struct relay *r, struct message *m)
{
	list_remove(&m->node);
	m->kept = false;
	r->kept_bytes -= sizeof *m + m->topic + m->properties + m->payload;
}

void
message_drop(struct relay *r, struct message *m)
{
	if (m->kept) {
		release(r, m);
	}
}

void
message_acknowledged(struct relay *r, uint16_t packet_id)
{
	struct list *node, *after;

	/* The first one: brokers acknowledge in order (4.6). */
	list_each (node, after, &r->kept) {
		struct message *m = list_entry(node, struct message, node);

		if (m->packet_id == packet_id) {
			release(r, m);
			if (r->up.into == m) {
				r->up.into = NULL; /* before its end: of a broker that lies */
			}
			free(m);
			return;
		}
	}
}

void
message_free_all(struct relay *r)
{
	struct list *node;

	if (r->up.into != NULL && !r->up.into->kept) {
		free(r->up.into);
	}
	r->up.into = NULL;
	while ((node = list_take(&r->kept)) != NULL) {
		free(list_entry(node, struct message, node));
	}
	r->kept_bytes = 0;
}
