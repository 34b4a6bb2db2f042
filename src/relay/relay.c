/* SPDX-License-Identifier: BSD-2-Clause */
/* Life of a relay, and which packet goes where. */
#include "relay/relay_int.h"

#include <errno.h>
#include <stdlib.h>

size_t
relay_arena_size(const struct relay_limits *limits)
{
	size_t memory = limits->packet_memory > HEAD_MIN ? limits->packet_memory : HEAD_MIN;

	/*
	 * A held packet, and all of the strings that may grow to their full
	 * length in it or lie behind it while it is made; identifiers of
	 * subscriptions; acknowledgements that fall due at once; what waited
	 * for the end of a payload.
	 */
	return 2 * memory + 6 * (size_t)TOPIC_MAX + 5 * (size_t)limits->subscriptions +
	       MQTT_ACK_MAX * (size_t)limits->denied_inflight + LATER_MAX + 8 * SMALL_ROOM;
}

int
relay_new(const struct relay_settings *settings, struct relay **out)
{
	struct relay *r = calloc(1, sizeof *r);

	if (r == NULL) {
		return -ENOMEM;
	}
	r->settings = *settings;
	r->phase = RELAY_WAIT_CONNECT;
	r->device_max = UINT32_MAX;
	r->broker_max = UINT32_MAX;
	list_init(&r->folds);
	list_init(&r->kept);
	*out = r;
	return 0;
}

static void
stream_free(struct stream *s)
{
	buf_release(&s->held);
	buf_release(&s->later);
}

void
relay_free(struct relay *r)
{
	if (r == NULL) {
		return;
	}
	message_free_all(r);
	stream_free(&r->up);
	stream_free(&r->down);
	buf_release(&r->connect);
	buf_release(&r->waiting);
	idset_clear(&r->up_2);
	idset_clear(&r->down_1);
	idset_clear(&r->down_2);
	acks_free(&r->acks);
	alias_clear(&r->alias_up);
	alias_clear(&r->alias_down);
	subscription_free_all(r);
	fold_free_all(r);
	topic_map_free(r->map);
	free(r->ids);
	free(r->last_denied);
	free(r);
}

enum relay_phase
relay_phase(const struct relay *r)
{
	return r->phase;
}

/*
 * DISCONNECT of the device. Its session may end with it (3.14.2.2.2); it may
 * not be made to last when CONNECT said otherwise.
 */
static int
disconnect_up(struct relay *r, const struct unit *u)
{
	struct mqtt_disconnect d;
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	uint32_t expiry;
	int rc = mqtt_decode_disconnect(MQTT_DISCONNECT, u->body, MQTT_FROM_CLIENT, r->version, &d,
	                                &reason);

	if (rc < 0) {
		return end_malformed(r, &r->up, MQTT_DISCONNECT, reason);
	}
	expiry = mqtt_props_number(&d.props, MQTT_PROP_SESSION_EXPIRY_INTERVAL, r->session_expiry);
	if (r->session_expiry == 0 && expiry != 0) {
		return end_forbidden(r, &r->up, MQTT_PROTOCOL_ERROR,
		                     "wanted to keep a session that was to end");
	}
	rc = out_unit(r, &r->up, u);
	if (rc < 0) {
		return rc;
	}
	if (expiry == 0 && r->session_expiry != 0 && subscription_store_clear(r) < 0) {
		return end_silent(r, RELAY_SIDE_GATEWAY, MQTT_IMPLEMENTATION_SPECIFIC,
		                  "could not forget the kept subscriptions");
	}
	return end_silent(r, RELAY_SIDE_DEVICE, MQTT_SUCCESS, "disconnected");
}

static int
auth(struct relay *r, struct stream *s, const struct unit *u)
{
	struct mqtt_disconnect d;
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	int rc = mqtt_decode_disconnect(MQTT_AUTH, u->body,
	                                s == &r->up ? MQTT_FROM_CLIENT : MQTT_FROM_SERVER,
	                                r->version, &d, &reason);

	if (rc < 0) {
		return end_malformed(r, s, MQTT_AUTH, reason);
	}
	if (!r->authenticates) { /* [MQTT-4.12.0-6], [MQTT-4.12.0-7] */
		return end_forbidden(r, s, MQTT_PROTOCOL_ERROR,
		                     "sent AUTH though CONNECT named no method");
	}
	rc = out_unit(r, s, u);
	if (rc == 0) {
		r->auth_turn = s == &r->down;
	}
	return rc;
}

static int
ping(struct relay *r, struct stream *s, const struct unit *u)
{
	if (u->fixed.remaining != 0) {
		return end_malformed(r, s, u->fixed.type, MQTT_MALFORMED_PACKET);
	}
	return out_unit(r, s, u);
}

/* Before CONNACK the device may only go on with the authentication. */
static int
unit_up_early(struct relay *r, const struct unit *u)
{
	if (u->fixed.type == MQTT_AUTH) {
		return auth(r, &r->up, u);
	}
	if (u->fixed.type == MQTT_DISCONNECT) {
		return disconnect_up(r, u);
	}
	return end_forbidden(r, &r->up, MQTT_PROTOCOL_ERROR,
	                     "sent something else than AUTH before CONNACK");
}

int
relay_unit_up(struct relay *r, const struct unit *u)
{
	int rc = u->held ? out_room(r, &r->up, u->bytes.len) : 0;

	if (rc < 0) {
		return rc;
	}
	if (r->phase == RELAY_WAIT_CONNECT) {
		return connect_take(r, u);
	}
	if (r->phase == RELAY_HELD) {
		return hold_unit_up(r, u);
	}
	if (r->phase != RELAY_LIVE) {
		return unit_up_early(r, u);
	}
	switch (u->fixed.type) {
	case MQTT_PUBLISH:
		return publish_up(r, u);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return acks_up(r, u);
	case MQTT_SUBSCRIBE:
		return subscribe_take(r, u);
	case MQTT_UNSUBSCRIBE:
		return unsubscribe_take(r, u);
	case MQTT_PINGREQ:
		rc = ping(r, &r->up, u);
		r->pings += rc == 0;
		return rc;
	case MQTT_DISCONNECT:
		return disconnect_up(r, u);
	case MQTT_AUTH:
		return auth(r, &r->up, u);
	case MQTT_CONNECT:
		return end_forbidden(r, &r->up, MQTT_PROTOCOL_ERROR, "sent a second CONNECT");
	default:
		return end_forbidden(r, &r->up, MQTT_PROTOCOL_ERROR,
		                     "sent a packet that only servers send");
	}
}

/* What the broker says of packets that the device sent; NULL: of other things. */
static const char *
complaint(uint8_t reason)
{
	switch (reason) {
	case MQTT_MALFORMED_PACKET:
		return "sent what the broker calls a malformed packet";
	case MQTT_PROTOCOL_ERROR:
		return "did what the broker calls a protocol error";
	case MQTT_RECEIVE_MAXIMUM_EXCEEDED:
		return "had more publishes unfinished than the broker takes";
	case MQTT_TOPIC_ALIAS_INVALID:
		return "used a topic alias that the broker does not take";
	case MQTT_PACKET_TOO_LARGE:
		return "sent a packet that is too large for the broker";
	default:
		return NULL;
	}
}

/* Another server is none of the device's business: this one is its gateway. */
static int
disconnect_down(struct relay *r, const struct unit *u)
{
	struct mqtt_disconnect d;
	struct mqtt_edit edit = { .id = MQTT_PROP_SERVER_REFERENCE, .what = MQTT_EDIT_REMOVE };
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	size_t size = u->bytes.len + SMALL_ROOM;
	struct writer w;
	int rc = mqtt_decode_disconnect(MQTT_DISCONNECT, u->body, MQTT_FROM_SERVER, r->version, &d,
	                                &reason);

	if (rc < 0) {
		return end_malformed(r, &r->down, MQTT_DISCONNECT, reason);
	}
	rc = out_room(r, &r->down, size);
	if (rc < 0) {
		return rc;
	}
	w = writer_of(batch_reserve(out_batch(r, &r->down), size), size);
	mqtt_write_disconnect_edited(&w, MQTT_DISCONNECT, &d, &edit, 1);
	rc = w.bad ? ERR_LIMIT : batch_commit(out_batch(r, &r->down), writer_len(&w));
	if (rc < 0) {
		return rc;
	}
	if (complaint(d.reason) != NULL) {
		return end_silent(r, RELAY_SIDE_DEVICE, d.reason, complaint(d.reason));
	}
	return end_silent(r, RELAY_SIDE_BROKER, d.reason, mqtt_reason_text(d.reason));
}

static int
unit_down_early(struct relay *r, const struct unit *u)
{
	if (u->fixed.type == MQTT_CONNACK) {
		return connack_take(r, u);
	}
	if (u->fixed.type == MQTT_AUTH) {
		return auth(r, &r->down, u);
	}
	return end_forbidden(r, &r->down, MQTT_PROTOCOL_ERROR,
	                     "sent something else before CONNACK");
}

int
relay_unit_down(struct relay *r, const struct unit *u)
{
	int rc = u->held ? out_room(r, &r->down, u->bytes.len) : 0;

	if (rc < 0) {
		return rc;
	}
	if (r->phase == RELAY_REOPENING && u->fixed.type == MQTT_CONNACK) {
		return restore_connack(r, u);
	}
	if (r->phase == RELAY_WAIT_CONNACK || r->phase == RELAY_REOPENING) {
		return unit_down_early(r, u);
	}
	switch (u->fixed.type) {
	case MQTT_PUBLISH:
		return publish_down(r, u);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return acks_down(r, u);
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		return fold_answer(r, u);
	case MQTT_PINGRESP:
		rc = ping(r, &r->down, u);
		r->pings -= rc == 0 && r->pings > 0;
		return rc;
	case MQTT_DISCONNECT:
		return disconnect_down(r, u);
	case MQTT_AUTH:
		return auth(r, &r->down, u);
	default:
		return end_forbidden(r, &r->down, MQTT_PROTOCOL_ERROR, "sent a second CONNACK");
	}
}

/* Bytes are counted by what goes to and comes from the device. */
static void
count_bytes(struct relay *r, uint64_t up, uint64_t down)
{
	metric_add(r->settings.metrics, METRIC_BYTES_UP, (int64_t)up);
	metric_add(r->settings.metrics, METRIC_BYTES_DOWN, (int64_t)down);
	r->bytes_up += up;
	r->bytes_down += down;
}

int
relay_from_device(struct relay *r, struct span in, size_t *used, struct relay_out *out)
{
	size_t before = out->device->bytes;
	int rc;

	r->out = out;
	rc = framer_run(r, &r->up, in, used);
	count_bytes(r, *used, out->device->bytes - before);
	return rc;
}

/* As framer_run() for what is to be sent because of an outage. */
static int
restore_more(struct relay *r)
{
	int rc = restore_pump(r);

	if (rc == ERR_LIMIT) {
		return end_session(r, RELAY_SIDE_GATEWAY, MQTT_PACKET_TOO_LARGE,
		                   "a subscription does not fit into the output");
	}
	if (rc < 0 && rc != ERR_FULL && rc != ERR_CLOSED) {
		(void)end_silent(r, RELAY_SIDE_GATEWAY, MQTT_UNSPECIFIED_ERROR,
		                 "ran out of memory");
	}
	return rc;
}

int
relay_from_broker(struct relay *r, struct span in, size_t *used, struct relay_out *out)
{
	size_t before = out->device->bytes;
	int rc;

	r->out = out;
	rc = framer_run(r, &r->down, in, used);
	if (rc == 0 && r->phase == RELAY_RESTORING) {
		rc = restore_more(r);
	}
	count_bytes(r, 0, out->device->bytes - before);
	return rc;
}

int
relay_upstream_open(struct relay *r, struct relay_out *out)
{
	int rc;

	r->out = out;
	if (r->phase == RELAY_HELD) {
		return restore_open(r);
	}
	if (r->phase != RELAY_DIAL) {
		return 0;
	}
	/* It is kept: without a CONNACK the device may still be let in. */
	rc = batch_copy(out->broker, buf_span(&r->connect));
	if (rc == 0) {
		r->phase = RELAY_WAIT_CONNACK;
	}
	return rc;
}

bool
relay_owed(const struct relay *r)
{
	/* Nobody answers a publish before its end. */
	uint32_t half = out_busy(&r->up) ? 1 : 0;

	return r->pings > 0 || r->acks.forwarded - r->acks.answered > half || r->fold_count > 0 ||
	       r->phase == RELAY_WAIT_CONNACK || r->phase == RELAY_REOPENING;
}

bool
relay_stored(struct relay *r, uint32_t tag, size_t size, int status, struct relay_out *out)
{
	size_t before = out->device->bytes;
	int rc = 0;

	r->out = out;
	r->storing--;
	r->storing_bytes -= size;
	if (status < 0) {
		relay_count(r, METRIC_STORE_REFUSED);
	}
	if (r->phase == RELAY_OVER) {
		return false;
	}
	if (tag != 0) {
		rc = acks_stored(r, tag, status < 0);
	}
	if (rc < 0 && rc != ERR_CLOSED) {
		(void)end_silent(r, RELAY_SIDE_GATEWAY, MQTT_UNSPECIFIED_ERROR,
		                 "ran out of memory");
	}
	count_bytes(r, 0, out->device->bytes - before);
	return r->phase != RELAY_OVER;
}

/* An ending from outside: what it says counts as bytes too. */
void
end_outside(struct relay *r, enum relay_side side, enum mqtt_reason reason, const char *text,
            struct relay_out *out)
{
	size_t before = out->device->bytes;

	r->out = out;
	(void)end_session(r, side, reason, text);
	count_bytes(r, 0, out->device->bytes - before);
}

void
relay_upstream_failed(struct relay *r, struct relay_out *out)
{
	if (r->phase == RELAY_DIAL || r->phase == RELAY_WAIT_CONNACK) {
		relay_count(r, METRIC_BROKER_UNAVAILABLE);
	}
	end_outside(r, RELAY_SIDE_BROKER, MQTT_SERVER_UNAVAILABLE, "is away", out);
}

void
relay_upstream_ended(struct relay *r, bool taken_over, struct relay_out *out)
{
	if (r->phase == RELAY_OVER) {
		return;
	}
	if (taken_over) {
		end_outside(r, RELAY_SIDE_DEVICE, MQTT_SESSION_TAKEN_OVER,
		            "connected again elsewhere", out);
		return;
	}
	relay_count(r, METRIC_UPSTREAM_LOST);
	if (r->phase == RELAY_WAIT_CONNACK) {
		end_outside(r, RELAY_SIDE_BROKER, MQTT_SERVER_UNAVAILABLE,
		            "closed the connection before CONNACK", out);
	} else {
		end_outside(r, RELAY_SIDE_BROKER, MQTT_SERVER_SHUTTING_DOWN,
		            "closed the connection", out);
	}
}

void
relay_end(struct relay *r, enum mqtt_reason reason, const char *text, struct relay_out *out)
{
	end_outside(r, RELAY_SIDE_GATEWAY, reason, text, out);
}
