/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session with two hostile peers. The first byte sets the mode, then each
 * chunk is one byte (who sends, how many bytes) and its bytes. Whatever comes
 * out towards each side must be well formed: the relay never passes on what
 * it could not read, and never makes nonsense itself. Played again byte by
 * byte, the same must come out.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "relay/relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT(text) ((char[]){ text })
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define ANY UINT32_MAX

static struct topic_rule publish_rules[] = {
	{ .device = TEXT("Home"), .broker = TEXT("home/${identity}/t"), .max_qos = 2,
	  .max_payload = ANY },
	{ .device = TEXT("log/+"), .broker = TEXT("log/${identity}/+"), .max_qos = 1,
	  .max_payload = 4, .retain = TOPIC_RETAIN_CLEAR },
	{ .device = TEXT("a/#"), .broker = TEXT("a/#"), .max_qos = 2, .max_payload = ANY },
};

static struct topic_rule subscribe_rules[] = {
	{ .device = TEXT("in"), .broker = TEXT("home/${identity}/c"), .max_qos = 2 },
	{ .device = TEXT("all/#"), .broker = TEXT("b/#"), .max_qos = 1 },
	{ .device = TEXT("r/+"), .broker = TEXT("r/${identity}/+"), .max_qos = 2 },
};

static const struct topic_rules rules = {
	.publish = publish_rules,
	.publish_count = COUNT_OF(publish_rules),
	.subscribe = subscribe_rules,
	.subscribe_count = COUNT_OF(subscribe_rules),
};

/* What one side received. */
struct side {
	enum mqtt_sender sender; /* who speaks there */
	uint8_t *bytes;
	size_t len, size;
};

struct play {
	struct relay *relay;
	struct metrics metrics;
	struct side to_device, to_broker;
};

/* As a worker has them: one pair for all sessions. */
static struct batch device_batch, broker_batch;

static void
fault(const char *what)
{
	fprintf(stderr, "fault: %s\n", what);
	abort();
}

static void
collect(struct side *side, struct batch *b)
{
	for (unsigned i = 0; i < b->count; i++) {
		size_t n = b->piece[i].iov_len;

		if (side->len + n > side->size) {
			side->size = (side->len + n) * 2;
			side->bytes = realloc(side->bytes, side->size);
			if (side->bytes == NULL) {
				abort();
			}
		}
		memcpy(side->bytes + side->len, b->piece[i].iov_base, n);
		side->len += n;
	}
	batch_reset(b);
}

static int
decode_publish(struct span body, const struct mqtt_fixed *fixed, enum mqtt_sender sender,
               int version)
{
	struct mqtt_publish p;
	enum mqtt_reason reason;
	int64_t head = mqtt_publish_head(body, fixed, version);

	if (head < 0) {
		return (int)head;
	}
	if ((uint64_t)head > body.len) {
		return ERR_MORE;
	}
	return mqtt_decode_publish(span_head(body, (size_t)head), fixed, sender, version, &p,
	                           &reason);
}

static int
decode(struct span body, const struct mqtt_fixed *fixed, enum mqtt_sender sender, int version)
{
	enum mqtt_reason reason;
	union {
		struct mqtt_connect connect;
		struct mqtt_connack connack;
		struct mqtt_ack ack;
		struct mqtt_filters filters;
		struct mqtt_codes codes;
		struct mqtt_disconnect disconnect;
	} u;

	switch (fixed->type) {
	case MQTT_CONNECT:
		return mqtt_decode_connect(body, &u.connect, &reason);
	case MQTT_CONNACK:
		return mqtt_decode_connack(body, version, &u.connack, &reason);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return mqtt_decode_ack(fixed->type, body, sender, version, &u.ack, &reason);
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		return mqtt_decode_filters(fixed->type, body, version, &u.filters, &reason);
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		return mqtt_decode_codes(fixed->type, body, version, &u.codes, &reason);
	case MQTT_DISCONNECT:
	case MQTT_AUTH:
		return mqtt_decode_disconnect(fixed->type, body, sender, version, &u.disconnect,
		                              &reason);
	default:
		return body.len == 0 ? 0 : ERR_MALFORMED;
	}
}

/* Every packet is well formed; only a PUBLISH may be cut, by the end of the session. */
static void
check(const struct side *side, int version)
{
	struct span left = span_of(side->bytes, side->len);
	bool first = true;

	while (left.len > 0) {
		struct mqtt_fixed fixed;
		enum mqtt_reason reason;
		struct span body;
		int known = first && side->sender == MQTT_FROM_CLIENT ? 0 : version;
		int rc = mqtt_decode_fixed(left, side->sender, known, &fixed, &reason);

		if (rc < 0) {
			fault("fixed header");
		}
		body = span_skip(left, fixed.size);
		if (fixed.type == MQTT_PUBLISH) {
			rc = decode_publish(body, &fixed, side->sender, version);
		} else if (body.len < fixed.remaining) {
			fault("cut packet");
		} else {
			rc = decode(span_head(body, fixed.remaining), &fixed, side->sender,
			            version);
		}
		if (rc < 0) {
			fault("packet");
		}
		left = span_skip(left, mqtt_packet_size(fixed.remaining));
		first = false;
	}
}

static void
flush(struct play *p)
{
	collect(&p->to_device, &device_batch);
	collect(&p->to_broker, &broker_batch);
}

/* In memory of exactly the size that is gone after the flush. */
static void
offer(struct play *p, bool device, struct span in)
{
	struct relay_out out = { &device_batch, &broker_batch };

	while (in.len > 0) {
		uint8_t *copy = malloc(in.len);
		size_t used = 0;
		int rc;

		if (copy == NULL) {
			abort();
		}
		memcpy(copy, in.ptr, in.len);
		rc = device ? relay_from_device(p->relay, span_of(copy, in.len), &used, &out) :
		              relay_from_broker(p->relay, span_of(copy, in.len), &used, &out);
		flush(p);
		free(copy);
		if (used > in.len || (rc == ERR_FULL && used == in.len)) {
			fault("used");
		}
		in = span_skip(in, used);
		if (rc != ERR_FULL) {
			return; /* what is not wanted is lost: these peers do not repeat */
		}
	}
}

static void
settle(struct play *p)
{
	struct relay_out out = { &device_batch, &broker_batch };

	if (relay_phase(p->relay) == RELAY_DIAL) {
		if (relay_upstream_open(p->relay, &out) != 0) {
			fault("open");
		}
		flush(p);
	}
}

static void
finish(struct play *p, unsigned mode)
{
	struct relay_out out = { &device_batch, &broker_batch };
	struct relay_info info;

	if ((mode & 4) != 0) {
		relay_upstream_ended(p->relay, (mode & 8) != 0, &out);
	} else {
		relay_end(p->relay, MQTT_SERVER_SHUTTING_DOWN, "is stopped", &out);
	}
	flush(p);
	relay_info(p->relay, &info);
	check(&p->to_device, info.version);
	check(&p->to_broker, info.version);
}

static void
start(struct play *p, unsigned mode)
{
	const struct relay_settings settings = {
		.rules = &rules,
		.vars = { .identity = span_str("dev") },
		.client_id = (mode & 1) != 0 ? "${identity}/${client_id}" : "${identity}",
		.username = span_str("dev"),
		.password = (mode & 2) != 0 ? "pw" : NULL,
		.limits = { .packet_size = 1 << 20, .packet_memory = 2048, .denied_inflight = 3,
		            .subscriptions = 4, .topic_aliases = 2,
		            .keepalive_max = (mode & 16) != 0 ? 60 : 0 },
		.metrics = &p->metrics,
	};
	size_t arena = relay_arena_size(&settings.limits);

	if (device_batch.arena == NULL && (batch_init(&device_batch, arena) != 0 ||
	                                   batch_init(&broker_batch, arena) != 0)) {
		abort();
	}
	if (relay_new(&settings, &p->relay) != 0) {
		abort();
	}
}

static void
stop(struct play *p)
{
	relay_free(p->relay);
	free(p->to_device.bytes);
	free(p->to_broker.bytes);
}

/* piece: bytes offered at once, at most. */
static void
play(struct play *p, unsigned mode, struct span in, size_t piece)
{
	*p = (struct play){
		.to_device = { .sender = MQTT_FROM_SERVER },
		.to_broker = { .sender = MQTT_FROM_CLIENT },
	};
	start(p, mode);
	while (in.len > 0) {
		bool device = (in.ptr[0] & 0x80) == 0;
		struct span chunk = span_head(span_skip(in, 1), in.ptr[0] & 0x7f);

		in = span_skip(in, 1 + chunk.len);
		for (; chunk.len > 0; chunk = span_skip(chunk, piece)) {
			offer(p, device, span_head(chunk, piece));
		}
		settle(p);
	}
	finish(p, mode);
}

static void
compare(const struct side *a, const struct side *b)
{
	if (!span_eq(span_of(a->bytes, a->len), span_of(b->bytes, b->len))) {
		fault("the output depends on how the input is cut");
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct play whole, cut;

	if (size > 0) {
		play(&whole, data[0], span_of(data + 1, size - 1), size);
		play(&cut, data[0], span_of(data + 1, size - 1), 1);
		compare(&whole.to_device, &cut.to_device);
		compare(&whole.to_broker, &cut.to_broker);
		stop(&whole);
		stop(&cut);
	}
	return 0;
}
