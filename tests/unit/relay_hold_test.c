/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The relay through outages: a device, a broker that goes and comes at any
 * byte, and a store that is slow or full, all simulated and thrown together at
 * random. Whatever happens: what was acknowledged to the device is with the
 * broker or in the store, nothing is in the store twice, the order is kept, of
 * acknowledgements too, and nobody is closed without a reason.
 */
#include "unit/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "relay/relay_int.h"
#include "unit/relay_talk.h"

#define SEEDS 3000u
#define STEPS 1000u
#define MOST 1024u /* messages of one run */
#define KEPT 0x10000u /* in the numbers of those that a rule stores, live or not */

struct pending {
	uint32_t number, tag;
	size_t size;
};

struct sim {
	uint64_t seed;
	unsigned which;
	struct talker t;
	enum mqtt_version version;
	struct buf from_device, to_broker, to_relay, to_device;
	/* the broker */
	bool up, connected, connacked, refuses_subscribe, other_limits, had_session;
	bool subscribed[2];
	bool sent[256];
	uint16_t down_id;
	uint32_t log[MOST * 4];
	size_t logged;
	/* the store */
	struct pending pending[MOST];
	size_t pendings;
	uint32_t stored[MOST];
	size_t storeds;
	bool in_store[MOST], kept[MOST];
	bool store_fails, full;
	/* the device */
	uint32_t number, kept_number;
	bool qos_1[MOST];
	uint16_t packet_id;
	uint16_t owed_id[MOST];
	uint32_t owed_number[MOST]; /* 0: denied */
	size_t owed, answered;
	unsigned open_2;
	bool wants[2], asked, asked_on;
	unsigned asked_which;
	unsigned pings, pongs;
	bool pausing;
	bool max_1; /* CONNACK said so */
	const char *excuse;
};

static uint32_t
roll(struct sim *s, uint32_t sides)
{
	s->seed = s->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(s->seed >> 33) % sides;
}

static void
excuse(struct sim *s, const char *why)
{
	s->excuse = s->excuse != NULL ? s->excuse : why;
}

static void
put_bytes(struct buf *b, struct span bytes)
{
	assert_int_equal(buf_append(b, bytes), 0);
}

/* ---- the store ---------------------------------------------------------------------- */

static uint32_t
number_of(struct span payload)
{
	struct reader at = reader_of(payload);

	return read_u32(&at);
}

static int
store_put(void *owner, const struct relay_message *m)
{
	struct sim *s = owner;

	assert_true(span_eq_str(m->topic, number_of(m->payload) & KEPT ? "kept/dev" :
	                                                                 "home/dev/telemetry"));
	assert_in_range(s->pendings, 0, MOST - 1);
	assert_in_range(m->qos, 0, 1);
	assert_true((m->qos == 1) == (m->tag != 0));
	s->pending[s->pendings++] = (struct pending){ number_of(m->payload), m->tag, m->size };
	return 0;
}

static void take_output(struct sim *s);

static struct relay_out
out_of(struct sim *s)
{
	return (struct relay_out){ &s->t.device, &s->t.broker };
}

static void
commit_one(struct sim *s)
{
	struct relay_out out = out_of(s);
	struct pending p = s->pending[0];
	int status = s->store_fails && roll(s, 8) == 0 ? ERR_FULL : 0;

	memmove(&s->pending[0], &s->pending[1], --s->pendings * sizeof p);
	if (status == 0 && p.number & KEPT) {
		assert_false(s->kept[p.number & ~KEPT]);
		s->kept[p.number & ~KEPT] = true;
	} else if (status == 0) {
		assert_false(s->in_store[p.number]); /* never twice */
		s->in_store[p.number] = true;
		s->stored[s->storeds++] = p.number;
	} else {
		excuse(s, "the store was full");
		s->full = true;
	}
	(void)relay_stored(s->t.relay, p.tag, p.size, status, &out);
	take_output(s);
}

/* The uplink sends all that is stored, in order. */
static void
drain(struct sim *s)
{
	for (size_t i = 0; i < s->storeds; i++) {
		s->log[s->logged++] = s->stored[i];
	}
	s->storeds = 0;
}

/* ---- packets ------------------------------------------------------------------------- */

static void
send_ack(const struct sim *s, struct buf *to, enum mqtt_type type, uint16_t id)
{
	uint8_t made[MQTT_ACK_MAX];
	struct writer w = writer_of(made, sizeof made);

	mqtt_write_ack(&w, type, s->version, id, 0);
	put_bytes(to, writer_span(&w));
}

static void
send_publish(const struct sim *s, struct buf *to, const char *topic, uint8_t qos, uint16_t id,
             uint32_t number, uint32_t more)
{
	uint8_t made[512];
	struct writer w = writer_of(made, sizeof made);
	struct mqtt_publish p = { .flags = (uint8_t)(qos << 1), .topic = span_str(topic),
		.packet_id = id, .payload = 4 + more };

	mqtt_write_publish(&w, &p, s->version, NULL, 0);
	write_u32(&w, number);
	for (uint32_t i = 0; i < more; i++) {
		write_u8(&w, (uint8_t)i);
	}
	assert_false(w.bad);
	put_bytes(to, writer_span(&w));
}

static void
send_codes(const struct sim *s, struct buf *to, enum mqtt_type type, uint16_t id, uint8_t code)
{
	uint8_t made[16];
	struct writer w = writer_of(made, sizeof made);
	struct mqtt_codes c = { .packet_id = id, .codes = span_of(&code, 1) };

	if (type == MQTT_UNSUBACK && s->version != MQTT_5) {
		c.codes.len = 0;
	}
	mqtt_write_codes(&w, type, s->version, &c);
	put_bytes(to, writer_span(&w));
}

/* A whole packet at the start, or false. */
static bool
next_packet(const struct sim *s, struct buf *b, enum mqtt_sender from, struct mqtt_fixed *f,
            struct span *body)
{
	enum mqtt_reason reason;
	struct span in = buf_span(b);
	int rc = mqtt_decode_fixed(in, from, s->version, f, &reason);

	if (rc == ERR_MORE || (rc == 0 && in.len < f->size + (size_t)f->remaining)) {
		return false;
	}
	assert_int_equal(rc, 0);
	*body = span_head(span_skip(in, f->size), f->remaining);
	return true;
}

/* ---- the broker ------------------------------------------------------------------------- */

static void
broker_connack(struct sim *s)
{
	uint8_t made[32];
	struct writer w = writer_of(made, sizeof made);
	struct mqtt_connack a = { .session_present = s->had_session };
	struct mqtt_edit edit = { .id = MQTT_PROP_RECEIVE_MAXIMUM, .what = MQTT_EDIT_NUMBER,
		.number = s->other_limits ? 3 : 20 };

	assert_false(s->connacked);
	s->connacked = true;
	if (s->had_session || (s->other_limits && s->version == MQTT_5)) {
		excuse(s, "the broker is another");
	}
	mqtt_write_connack(&w, s->version, &a, &edit, s->version == MQTT_5 ? 1 : 0);
	put_bytes(&s->to_relay, writer_span(&w));
}

static void
broker_publish(struct sim *s, const struct mqtt_fixed *f, struct span body)
{
	int64_t head = mqtt_publish_head(body, f, s->version);
	enum mqtt_reason reason;
	struct mqtt_publish p;

	assert_true(head > 0);
	assert_int_equal(mqtt_decode_publish(span_head(body, (size_t)head), f, MQTT_FROM_CLIENT,
	                                     s->version, &p, &reason), 0);
	assert_true(span_eq_str(p.topic, "home/dev/telemetry"));
	s->log[s->logged++] = number_of(span_skip(body, (size_t)head));
	assert_in_range(s->logged, 0, MOST * 4 - MOST);
	if (MQTT_FLAG_QOS(f->flags) > 0) {
		send_ack(s, &s->to_relay, MQTT_FLAG_QOS(f->flags) == 1 ? MQTT_PUBACK : MQTT_PUBREC,
		         p.packet_id);
	}
}

static unsigned
which_filter(struct span broker_filter)
{
	if (span_eq_str(broker_filter, "home/dev/command")) {
		return 0;
	}
	assert_true(span_eq_str(broker_filter, "broadcast/#"));
	return 1;
}

static void
broker_filters(struct sim *s, const struct mqtt_fixed *f, struct span body)
{
	bool on = f->type == MQTT_SUBSCRIBE;
	struct mqtt_filters list;
	struct mqtt_filter filter;
	enum mqtt_reason reason;

	assert_int_equal(mqtt_decode_filters(f->type, body, s->version, &list, &reason), 0);
	assert_int_equal(list.count, 1);
	assert_true(mqtt_filter_next(&list, f->type, &filter));
	if (on && s->refuses_subscribe) {
		excuse(s, "a subscription was refused");
		send_codes(s, &s->to_relay, MQTT_SUBACK, list.packet_id, 0x80);
		return;
	}
	s->subscribed[which_filter(filter.filter)] = on;
	send_codes(s, &s->to_relay, on ? MQTT_SUBACK : MQTT_UNSUBACK, list.packet_id,
	           on ? filter.options & 3 : 0);
}

static void
broker_packet(struct sim *s, const struct mqtt_fixed *f, struct span body)
{
	struct reader at = reader_of(body);
	uint16_t id;

	assert_true(s->connacked || f->type == MQTT_CONNECT);
	switch (f->type) {
	case MQTT_CONNECT:
		broker_connack(s);
		break;
	case MQTT_PUBLISH:
		broker_publish(s, f, body);
		break;
	case MQTT_PUBACK:
		id = read_u16(&at);
		assert_true(s->sent[id]); /* by this connection */
		s->sent[id] = false;
		break;
	case MQTT_PUBREL:
		send_ack(s, &s->to_relay, MQTT_PUBCOMP, read_u16(&at));
		break;
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		broker_filters(s, f, body);
		break;
	case MQTT_PINGREQ:
		put_bytes(&s->to_relay, span_of("\xd0\0", 2));
		break;
	default:
		fail();
	}
}

static void
broker_works(struct sim *s)
{
	struct mqtt_fixed f;
	struct span body;

	if (s->connected && next_packet(s, &s->to_broker, MQTT_FROM_CLIENT, &f, &body)) {
		broker_packet(s, &f, body);
		buf_consume(&s->to_broker, f.size + (size_t)f.remaining);
	}
}

static void
broker_sends(struct sim *s)
{
	uint8_t qos = (uint8_t)roll(s, 2);

	if (!s->connacked || !s->subscribed[0] || s->down_id > 200) {
		return;
	}
	if (qos == 1) {
		s->down_id++;
		s->sent[s->down_id] = true;
	}
	send_publish(s, &s->to_relay, "home/dev/command", qos, s->down_id, 0, roll(s, 30));
}

static void
broker_forgets(struct sim *s)
{
	buf_release(&s->to_broker);
	buf_release(&s->to_relay);
	memset(s->sent, 0, sizeof s->sent);
	memset(s->subscribed, 0, sizeof s->subscribed);
	s->down_id = 0;
	s->connected = s->connacked = false;
}

/* ---- the device -------------------------------------------------------------------------- */

static bool
safe(const struct sim *s, uint32_t number)
{
	for (size_t i = 0; i < s->logged; i++) {
		if (s->log[i] == number) {
			return true;
		}
	}
	return number == 0 || (number & KEPT ? s->kept[number & ~KEPT] : s->in_store[number]);
}

static void
device_packet(struct sim *s, const struct mqtt_fixed *f, struct span body)
{
	struct reader at = reader_of(body);
	uint16_t id;

	switch (f->type) {
	case MQTT_CONNACK:
		break;
	case MQTT_PUBACK:
		id = read_u16(&at);
		assert_true(s->answered < s->owed);
		assert_int_equal(id, s->owed_id[s->answered]); /* in order */
		assert_true(safe(s, s->owed_number[s->answered]));
		s->answered++;
		break;
	case MQTT_PUBREC:
		send_ack(s, &s->from_device, MQTT_PUBREL, read_u16(&at));
		break;
	case MQTT_PUBCOMP:
		s->open_2--;
		break;
	case MQTT_PUBLISH:
		if (MQTT_FLAG_QOS(f->flags) == 1) {
			(void)read_block(&at);
			send_ack(s, &s->from_device, MQTT_PUBACK, read_u16(&at));
		}
		break;
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		assert_true(s->asked);
		assert_int_equal(f->type == MQTT_SUBACK, s->asked_on);
		s->asked = false;
		id = body.ptr[body.len - 1];
		if (!s->asked_on || id < 0x80) { /* a refusal leaves what there was */
			s->wants[s->asked_which] = s->asked_on;
		}
		break;
	case MQTT_PINGRESP:
		s->pongs++;
		assert_true(s->pongs <= s->pings);
		break;
	case MQTT_DISCONNECT:
		assert_int_equal(s->version, MQTT_5);
		break;
	default:
		fail();
	}
}

static void
device_reads(struct sim *s)
{
	struct mqtt_fixed f;
	struct span body;

	while (next_packet(s, &s->to_device, MQTT_FROM_SERVER, &f, &body)) {
		device_packet(s, &f, body);
		buf_consume(&s->to_device, f.size + (size_t)f.remaining);
	}
}

static void
device_publishes(struct sim *s)
{
	bool two = !s->max_1 && roll(s, 400) == 0;
	uint8_t qos = (uint8_t)(two ? 2 : roll(s, 3) > 0);
	unsigned dice = qos < 2 ? roll(s, 8) : 2;
	const char *topic = dice == 0 && qos == 1 ? "no" : dice == 1 ? "kept" : "Home";
	uint32_t number = 0;

	if (s->number + s->kept_number + 1 >= MOST || s->owed + 1 >= MOST) {
		return;
	}
	s->packet_id = s->packet_id < 60000 ? s->packet_id + 1 : 1;
	if (topic[0] == 'k') {
		number = ++s->kept_number | KEPT;
	} else if (topic[0] == 'H') {
		number = ++s->number;
		s->qos_1[number] = qos == 1;
	}
	if (qos == 1) {
		s->owed_id[s->owed] = s->packet_id;
		s->owed_number[s->owed++] = number;
	}
	s->open_2 += qos == 2;
	send_publish(s, &s->from_device, topic, qos, qos > 0 ? s->packet_id : 0, number,
	             roll(s, 10) == 0 ? roll(s, 400) : roll(s, 20));
}

static void
device_subscribes(struct sim *s)
{
	static const char *const filter[] = { "inTopic", "all/#" };
	uint8_t made[64];
	struct writer w = writer_of(made, sizeof made);
	size_t len;

	if (s->asked) {
		return;
	}
	s->asked = true;
	s->asked_on = roll(s, 3) > 0;
	s->asked_which = roll(s, 2);
	len = 2 + (s->version == MQTT_5) + 2 + strlen(filter[s->asked_which]) + s->asked_on;
	mqtt_write_fixed(&w, s->asked_on ? MQTT_SUBSCRIBE : MQTT_UNSUBSCRIBE, 2, len);
	write_u16(&w, 61000);
	if (s->version == MQTT_5) {
		write_u8(&w, 0);
	}
	write_block(&w, span_str(filter[s->asked_which]));
	if (s->asked_on) {
		write_u8(&w, 1);
	}
	put_bytes(&s->from_device, writer_span(&w));
}

/* ---- between them -------------------------------------------------------------------------- */

static void
sink_to(struct talk_sink *sink, struct buf *to, bool really)
{
	if (really && sink->len > 0) {
		put_bytes(to, span_of(sink->bytes, sink->len));
	}
	sink->len = 0;
}

static void
batch_to(struct batch *b, struct buf *to, bool really)
{
	for (unsigned i = 0; really && i < b->count; i++) {
		put_bytes(to, span_of(b->piece[i].iov_base, b->piece[i].iov_len));
	}
	batch_reset(b);
}

static void
check_bounds(const struct sim *s)
{
	const struct relay *r = s->t.relay;

	assert_true(r->kept_bytes <= r->settings.limits.hold_memory);
	assert_true(r->storing <= STORES_HIGH + 64);
	assert_true(r->acks.count <= OWED_MAX);
	assert_true(r->waiting_count <= WAITING_MAX);
	if (r->ending.text != NULL && s->excuse == NULL) {
		fprintf(stderr, "seed %u, closed: %s\n", s->which, r->ending.text);
		fail();
	}
}

static void
take_output(struct sim *s)
{
	batch_to(&s->t.broker, &s->to_broker, s->connected);
	batch_to(&s->t.device, &s->to_device, true);
	sink_to(&s->t.to_broker, &s->to_broker, s->connected);
	sink_to(&s->t.to_device, &s->to_device, true);
	check_bounds(s);
	device_reads(s);
}

static void
relay_reads(struct sim *s, bool device)
{
	struct buf *b = device ? &s->from_device : &s->to_relay;
	struct relay_out out = out_of(s);
	size_t n = buf_len(b), used = 0;
	uint8_t *copy;
	int rc;

	if (n == 0 || (device && !relay_wants_device(s->t.relay)) || (!device && !s->connected)) {
		return;
	}
	if (s->open_2 > 0 && relay_phase(s->t.relay) != RELAY_LIVE) {
		excuse(s, "QoS 2 is under way");
	}
	n = roll(s, 3) == 0 ? n : 1 + roll(s, (uint32_t)n);
	copy = malloc(n);
	assert_non_null(copy);
	memcpy(copy, buf_span(b).ptr, n);
	do {
		size_t more = 0;

		rc = device ? relay_from_device(s->t.relay, span_of(copy + used, n - used), &more, &out) :
		              relay_from_broker(s->t.relay, span_of(copy + used, n - used), &more, &out);
		used += more;
		batch_to(&s->t.broker, &s->to_broker, s->connected);
		batch_to(&s->t.device, &s->to_device, true);
	} while (rc == ERR_FULL);
	buf_consume(b, used);
	free(copy);
	take_output(s);
}

static void
lose(struct sim *s)
{
	struct relay_out out = out_of(s);
	const struct relay *r = s->t.relay;

	if (!s->connected) {
		return;
	}
	if (s->open_2 > 0 || out_busy(&r->down)) {
		excuse(s, "lost in the middle of something");
	}
	if (r->circles + 1 >= CIRCLES_MAX) {
		excuse(s, "lost again and again over the same packet");
	}
	s->connected = false;
	s->pausing = false;
	(void)relay_upstream_lost(s->t.relay, &out);
	take_output(s);
	broker_forgets(s);
}

/* What the session does when the broker is back. */
static void
come_back(struct sim *s)
{
	struct relay_out out = out_of(s);

	if (!s->up || s->connected || relay_phase(s->t.relay) != RELAY_HELD) {
		return;
	}
	if (!s->pausing) {
		drain(s);
		s->pausing = relay_settled(s->t.relay);
		relay_pause(s->t.relay, s->pausing);
	}
	if (s->pausing && relay_idle(s->t.relay)) {
		drain(s);
		s->pausing = false;
		s->connected = relay_upstream_open(s->t.relay, &out) == 0;
		take_output(s);
	}
}

static void
connect_first(struct sim *s)
{
	const char *five = "\x10\x0f\0\4MQTT\5\2\0\x3c\0\0\2c1", *three = "\x10\x0e\0\4MQTT\4\2\0\x3c\0\2c1";
	struct relay_out out = out_of(s);

	put_bytes(&s->from_device, s->version == MQTT_5 ? span_of(five, 17) : span_of(three, 16));
	while (relay_phase(s->t.relay) == RELAY_WAIT_CONNECT) {
		relay_reads(s, true);
	}
	assert_int_equal(relay_phase(s->t.relay), RELAY_DIAL);
	s->up = roll(s, 4) > 0;
	if (!s->up) {
		assert_int_equal(relay_admit(s->t.relay, &out), RELAY_HELD);
		s->max_1 = s->version == MQTT_5;
		take_output(s);
		return;
	}
	s->connected = true;
	assert_int_equal(relay_upstream_open(s->t.relay, &out), 0);
	take_output(s);
	while (relay_phase(s->t.relay) != RELAY_LIVE) {
		broker_works(s);
		relay_reads(s, false);
	}
}

static void
start(struct sim *s, unsigned seed)
{
	static const struct scene plain = { .name = "hold", .talk = NULL };
	struct scene scene = plain;

	*s = (struct sim){ .which = seed, .seed = seed * UINT64_C(2654435761) + 1 };
	s->version = roll(s, 2) ? MQTT_5 : MQTT_3_1_1;
	s->store_fails = roll(s, 5) == 0;
	scene.limits.hold_memory = roll(s, 6) == 0 ? 400 : 65536;
	if (scene.limits.hold_memory == 400) {
		s->excuse = "little memory";
	}
	talk_start(&s->t, &scene);
	relay_free(s->t.relay);
	s->t.settings.hold = true;
	s->t.settings.spool = (struct relay_spool){ store_put, s };
	s->t.settings.store = (struct relay_store){ NULL };
	assert_int_equal(relay_new(&s->t.settings, &s->t.relay), 0);
	connect_first(s);
}

static void
step(struct sim *s)
{
	switch (roll(s, 32)) {
	case 0:
		s->up = false;
		lose(s);
		break;
	case 1:
		lose(s); /* and it is back at once */
		break;
	case 2:
	case 3:
		s->up = true;
		break;
	case 4:
		device_subscribes(s);
		break;
	case 5:
		s->pings++;
		put_bytes(&s->from_device, span_of("\xc0\0", 2));
		break;
	case 6:
	case 7:
		broker_sends(s);
		break;
	case 8:
		s->refuses_subscribe = roll(s, 300) == 0;
		s->other_limits = roll(s, 300) == 0;
		s->had_session = roll(s, 600) == 0;
		break;
	case 9:
	case 10:
	case 11:
	case 12:
		device_publishes(s);
		break;
	case 13:
	case 14:
		come_back(s);
		break;
	case 15:
	case 16:
	case 17:
		if (s->pendings > 0) {
			commit_one(s);
		}
		break;
	default:
		if (roll(s, 3) == 0) {
			broker_works(s);
		} else {
			relay_reads(s, roll(s, 2) == 0);
		}
	}
}

/* ---- at the end ---------------------------------------------------------------------------- */

/*
 * First occurrences rise, and of QoS 1 the last ones: what is sent again is
 * sent with all that came after it. (QoS 0 is never sent again; what a full
 * store refused the device has still to send.)
 */
static void
check_order(const struct sim *s)
{
	static bool seen[MOST];
	uint32_t last = 0;

	memset(seen, 0, sizeof seen);
	for (size_t i = 0; i < s->logged; i++) {
		if (!seen[s->log[i]]) {
			assert_true(s->log[i] > last);
			last = s->log[i];
			seen[last] = true;
		}
	}
	memset(seen, 0, sizeof seen);
	last = MOST;
	for (size_t i = s->logged; i > 0; i--) {
		if (!s->full && s->qos_1[s->log[i - 1]] && !seen[s->log[i - 1]]) {
			assert_true(s->log[i - 1] < last);
			last = s->log[i - 1];
			seen[last] = true;
		}
	}
}

static void
check_acknowledged(struct sim *s)
{
	drain(s);
	memset(s->in_store, 0, sizeof s->in_store);
	for (size_t i = 0; i < s->answered; i++) {
		assert_true(safe(s, s->owed_number[i]));
	}
}

/* With the broker there, everything comes to its end. */
static void
finish(struct sim *s)
{
	bool over = false;

	s->up = true;
	s->refuses_subscribe = s->other_limits = s->had_session = s->store_fails = false;
	for (unsigned i = 0; i < 20000 && !over; i++) {
		if (relay_phase(s->t.relay) == RELAY_OVER) {
			break;
		}
		while (s->pendings > 0) {
			commit_one(s);
		}
		come_back(s);
		broker_works(s);
		relay_reads(s, true);
		relay_reads(s, false);
		over = relay_phase(s->t.relay) == RELAY_LIVE && s->answered == s->owed &&
		       buf_len(&s->from_device) == 0 && buf_len(&s->to_broker) == 0 &&
		       buf_len(&s->to_relay) == 0 && s->pendings == 0;
	}
	if (s->excuse == NULL) {
		assert_true(over);
	}
	while (s->pendings > 0) {
		commit_one(s);
	}
	if (over) {
		assert_false(s->asked);
		assert_memory_equal(s->wants, s->subscribed, sizeof s->wants);
		assert_int_equal(s->pings, s->pongs);
	}
	check_acknowledged(s);
	check_order(s);
}

static void
stop(struct sim *s)
{
	buf_release(&s->from_device);
	buf_release(&s->to_broker);
	buf_release(&s->to_relay);
	buf_release(&s->to_device);
	talk_stop(&s->t);
}

static void
nothing_acknowledged_is_lost(void **state)
{
	static struct sim s;
	unsigned ends = 0;

	(void)state;
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		start(&s, seed);
		for (unsigned i = 0; i < STEPS && relay_phase(s.t.relay) != RELAY_OVER; i++) {
			step(&s);
		}
		finish(&s);
		ends += relay_phase(s.t.relay) == RELAY_LIVE;
		stop(&s);
	}
	assert_in_range(ends, SEEDS / 2, SEEDS); /* most are not closed early */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_acknowledged_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
