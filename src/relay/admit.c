/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices that come while the broker is away. A clean session starts empty,
 * with or without a broker: it is let in, and told no more than a broker will
 * certainly grant when it is back. A persistent one may have a session there
 * that nobody can know of now: it is refused, or let in to publish only, as a
 * session that ends with this connection.
 */
#include "relay/relay_int.h"

#include <stdlib.h>

static bool
clean(const struct relay *r)
{
	return r->clean_start && r->session_expiry == 0;
}

bool
relay_admissible(const struct relay *r)
{
	bool early = r->phase == RELAY_DIAL || r->phase == RELAY_WAIT_CONNACK;

	if (!early || !r->settings.hold || r->settings.spool.put == NULL || r->authenticates) {
		return false;
	}
	if (!clean(r) && !r->settings.publish_only) {
		return false;
	}
	/* The broker may have taken the CONNECT: then the will is its business, and is due. */
	if (r->has_will && r->phase == RELAY_WAIT_CONNACK) {
		return false;
	}
	return !r->will_2;
}

static void
add_number(struct mqtt_edit *edit, size_t *count, enum mqtt_property id, uint32_t number)
{
	edit[(*count)++] =
	        (struct mqtt_edit){ .id = id, .what = MQTT_EDIT_NUMBER, .number = number };
}

/* The largest packet: what is stored is held whole. */
static uint32_t
packet_max(const struct relay *r)
{
	const struct relay_limits *limits = &r->settings.limits;

	return limits->packet_size < limits->packet_memory ? limits->packet_size :
	                                                     limits->packet_memory;
}

/*
 * Maximum QoS 1, since QoS 2 needs a broker; no aliases; what mosquitto always
 * has (retained messages, wildcards, shared subscriptions, identifiers) is
 * left at its default. A broker that has less when it is back costs the device
 * its connection.
 */
static size_t
promise(struct relay *r, struct mqtt_edit *edit)
{
	size_t growth = topic_map_growth_up(r->map) + topic_map_shrink_down(r->map) + 6;
	size_t count = 0;

	r->told = (struct terms_told){ .receive = ADMIT_RECEIVE_MAXIMUM, .qos = 1, .retain = true,
		.wildcard = true, .ids = true, .shared = true,
		.packet = packet_max(r) + (uint32_t)growth };
	add_number(edit, &count, MQTT_PROP_RECEIVE_MAXIMUM, ADMIT_RECEIVE_MAXIMUM);
	add_number(edit, &count, MQTT_PROP_MAXIMUM_QOS, 1);
	add_number(edit, &count, MQTT_PROP_MAXIMUM_PACKET_SIZE, packet_max(r));
	if (r->session_expiry != 0) {
		add_number(edit, &count, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 0);
	}
	if (r->keep_alive_cut) {
		add_number(edit, &count, MQTT_PROP_SERVER_KEEP_ALIVE, r->keep_alive);
	}
	if (r->assigned) {
		edit[count++] = (struct mqtt_edit){ .id = MQTT_PROP_ASSIGNED_CLIENT_IDENTIFIER,
			.what = MQTT_EDIT_STRING, .text = r->settings.vars.identity };
	}
	return count;
}

static int
say_connack(struct relay *r)
{
	struct mqtt_connack a = { .code = 0 };
	struct mqtt_edit edit[6];
	size_t count = relay_is_5(r) ? promise(r, edit) : 0;
	size_t size = SMALL_ROOM + r->settings.vars.identity.len;
	struct writer w;
	int rc = out_room(r, &r->down, size);

	if (rc < 0) {
		return rc;
	}
	w = writer_of(batch_reserve(out_batch(r, &r->down), size), size);
	mqtt_write_connack(&w, (enum mqtt_version)r->version, &a, edit, count);
	return w.bad ? ERR_LIMIT : batch_commit(out_batch(r, &r->down), writer_len(&w));
}

enum relay_phase
relay_admit(struct relay *r, struct relay_out *out)
{
	size_t before = out->device->bytes;

	r->out = out;
	if (!relay_admissible(r) || say_connack(r) < 0) {
		relay_upstream_failed(r, out);
		return r->phase;
	}
	r->bytes_down += out->device->bytes - before;
	metric_add(r->settings.metrics, METRIC_BYTES_DOWN,
	           (int64_t)(out->device->bytes - before));
	r->admitted = true;
	r->limited = !clean(r);
	r->holdable = !r->limited;
	r->will_owed = r->has_will;
	buf_release(&r->down.held);
	r->phase = RELAY_HELD;
	return r->phase;
}

/* ---- the will ------------------------------------------------------------------------------- */

/*
 * The delay is left out: it ends with the session at the latest (3.1.3.2.2),
 * and all that are let in end with their connection. QoS 2 becomes 1, which is
 * what the store knows.
 */
static void
store_will(struct relay *r, const struct mqtt_connect *c)
{
	uint8_t qos = c->will_qos > 1 ? 1 : c->will_qos;
	struct mqtt_publish p = { .topic = c->will_topic, .props = c->will_props,
		.payload = (uint32_t)c->will_payload.len,
		.flags = (uint8_t)(qos << 1 | (c->will_retain ? MQTT_FLAG_RETAIN : 0)) };
	struct message *m = message_new(&p, (enum mqtt_version)r->version, c->will_topic, NULL, 0);

	if (m == NULL) {
		relay_count(r, METRIC_STORE_REFUSED);
		return;
	}
	message_fill(m, c->will_payload);
	message_store_unasked(r, m);
}

void
relay_closing(struct relay *r)
{
	struct span packet = buf_span(&r->connect);
	enum mqtt_reason reason;
	struct mqtt_connect c;
	struct mqtt_fixed fixed;

	if (!r->will_owed || r->settings.spool.put == NULL) {
		return;
	}
	r->will_owed = false;
	/* What we made ourselves, as it would have gone to the broker: topics are mapped. */
	if (mqtt_decode_fixed(packet, MQTT_FROM_CLIENT, 0, &fixed, &reason) == 0 &&
	    mqtt_decode_connect(span_skip(packet, fixed.size), &c, &reason) == 0 && c.has_will) {
		store_will(r, &c);
	}
}
