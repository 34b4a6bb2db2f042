/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/cmocka_all.h"

#include "unit/relay_talk.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit/mqtt_walk.h"

#define BYTES_MAX 8192

/* Rules hold writable text; at file scope a compound literal is static. */
#define TEXT(text) ((char[]){ text })

static struct topic_rule publish_rules[] = {
	{ .device = TEXT("Home"), .broker = TEXT("home/${identity}/telemetry"), .max_qos = 2,
	  .max_payload = UINT32_MAX },
	{ .device = TEXT("log/+"), .broker = TEXT("log/${identity}/+"), .max_qos = 2,
	  .max_payload = UINT32_MAX },
	{ .device = TEXT("q0"), .broker = TEXT("q0/${identity}"), .max_qos = 0,
	  .max_payload = UINT32_MAX },
	{ .device = TEXT("plain"), .broker = TEXT("plain/${identity}"), .max_qos = 2,
	  .max_payload = UINT32_MAX, .retain = TOPIC_RETAIN_CLEAR },
	{ .device = TEXT("tiny"), .broker = TEXT("tiny/${identity}"), .max_qos = 2,
	  .max_payload = 4 },
	{ .device = TEXT("kept"), .broker = TEXT("kept/${identity}"), .max_qos = 1,
	  .max_payload = UINT32_MAX, .delivery = TOPIC_DELIVERY_STORE },
	{ .device = TEXT("same"), .broker = TEXT("same"), .max_qos = 2, .max_payload = UINT32_MAX },
};

static struct topic_rule subscribe_rules[] = {
	{ .device = TEXT("inTopic"), .broker = TEXT("home/${identity}/command"), .max_qos = 2 },
	{ .device = TEXT("all/#"), .broker = TEXT("broadcast/#"), .max_qos = 1 },
	{ .device = TEXT("reply/+"), .broker = TEXT("reply/${identity}/+"), .max_qos = 2 },
};

static const struct topic_rules usual_rules = {
	.publish = publish_rules,
	.publish_count = COUNT_OF(publish_rules),
	.subscribe = subscribe_rules,
	.subscribe_count = COUNT_OF(subscribe_rules),
	.on_denial = TOPIC_DENIAL_DROP,
};

static const struct relay_limits usual_limits = {
	.packet_size = VARINT_MAX + 5,
	.packet_memory = 4096,
	.keepalive_max = 0,
	.denied_inflight = 4,
	.subscriptions = 8,
	.topic_aliases = 3,
	.hold_memory = 4096,
};

/* ---- store ------------------------------------------------------------------------ */

static void
note(struct talker *t, const char *what, struct span filter, int options)
{
	size_t at = strlen(t->store);

	snprintf(t->store + at, sizeof t->store - at, "%s %.*s %d;", what, SPAN_ARG(filter),
	         options);
}

static int
store_load(void *owner, struct span identity, struct span client_id,
           int (*each)(void *each_owner, struct span filter, uint8_t options, uint32_t id),
           void *each_owner)
{
	struct talker *t = owner;

	assert_true(span_eq_str(identity, "dev"));
	note(t, "load", client_id, 0);
	for (size_t i = 0; t->kept != NULL && t->kept[i] != NULL; i++) {
		int rc = each(each_owner, span_str(t->kept[i]), 1, 0);

		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

static int
store_put(void *owner, struct span identity, struct span client_id, struct span filter,
          uint8_t options, uint32_t id)
{
	assert_true(span_eq_str(identity, "dev"));
	(void)client_id;
	(void)id;
	note(owner, "put", filter, options);
	return 0;
}

static int
store_remove(void *owner, struct span client_id, struct span filter)
{
	(void)client_id;
	note(owner, "remove", filter, 0);
	return 0;
}

static int
store_clear(void *owner, struct span client_id)
{
	note(owner, "clear", client_id, 0);
	return 0;
}

static int
store_begin(void *owner)
{
	note(owner, "begin", span_str(""), 0);
	return 0;
}

static int
store_end(void *owner, int rc)
{
	struct talker *t = owner;

	note(t, "end", span_str(""), rc);
	return t->store_fails ? ERR_DATABASE : rc;
}

/* ---- spool ------------------------------------------------------------------------ */

static int
spool_put(void *owner, const struct relay_message *m)
{
	struct talker *t = owner;
	size_t at = strlen(t->spooled);

	snprintf(t->spooled + at, sizeof t->spooled - at, "%u%s %.*s %.*s", m->qos,
	         m->retain ? "r" : "", SPAN_ARG(m->topic), SPAN_ARG(m->payload));
	at = strlen(t->spooled);
	if (m->expiry != UINT32_MAX) {
		snprintf(t->spooled + at, sizeof t->spooled - at, " expires %u", m->expiry);
		at = strlen(t->spooled);
	}
	for (size_t i = 0; i < m->properties.len; i++) {
		snprintf(t->spooled + at, sizeof t->spooled - at, "%s%02x", i == 0 ? " " : "",
		         m->properties.ptr[i]);
		at = strlen(t->spooled);
	}
	snprintf(t->spooled + at, sizeof t->spooled - at, ";");
	assert_in_range(t->givens, 0, 15);
	t->given[t->givens].tag = m->tag;
	t->given[t->givens++].size = m->size;
	return 0;
}

static void
spool_answers(struct talker *t, int status, struct relay_out *out)
{
	uint32_t tag = t->given[0].tag;
	size_t size = t->given[0].size;

	assert_in_range(t->givens, 1, 16);
	memmove(&t->given[0], &t->given[1], --t->givens * sizeof t->given[0]);
	(void)relay_stored(t->relay, tag, size, status, out);
}

/* ---- one relay -------------------------------------------------------------------- */

static void
limit_default(uint32_t *limit, uint32_t value)
{
	if (*limit == 0) {
		*limit = value;
	}
}

static struct relay_limits
limits_of(const struct scene *scene)
{
	struct relay_limits l = scene->limits;

	limit_default(&l.packet_size, usual_limits.packet_size);
	limit_default(&l.packet_memory, usual_limits.packet_memory);
	limit_default(&l.denied_inflight, usual_limits.denied_inflight);
	limit_default(&l.subscriptions, usual_limits.subscriptions);
	limit_default(&l.topic_aliases, usual_limits.topic_aliases);
	limit_default(&l.hold_memory, usual_limits.hold_memory);
	return l;
}

void
talk_start(struct talker *t, const struct scene *scene)
{
	size_t arena;

	*t = (struct talker){ .kept = scene->kept, .store_fails = scene->store_fails };
	t->settings = (struct relay_settings){
		.rules = scene->rules != NULL ? scene->rules : &usual_rules,
		.vars = { .identity = span_str("dev"), .gateway = span_str("dev") },
		.client_id = scene->client_id != NULL ? scene->client_id : "${identity}",
		.own_client_id = "gateway-${gateway}",
		.username = span_str("dev"),
		.password = scene->password,
		.limits = limits_of(scene),
		.store = { store_load, store_put, store_remove, store_clear, store_begin, store_end, t },
		.spool = { scene->hold ? spool_put : NULL, t },
		.hold = scene->hold,
		.publish_only = scene->publish_only,
		.metrics = &t->metrics,
	};
	arena = relay_arena_size(&t->settings.limits);
	assert_int_equal(batch_init(&t->device, arena), 0);
	assert_int_equal(batch_init(&t->broker, arena), 0);
	assert_int_equal(relay_new(&t->settings, &t->relay), 0);
}

void
talk_stop(struct talker *t)
{
	relay_free(t->relay);
	batch_deinit(&t->device);
	batch_deinit(&t->broker);
	free(t->to_device.bytes);
	free(t->to_broker.bytes);
}

void
talk_forget(struct talker *t)
{
	t->to_device.len = t->to_broker.len = 0;
}

static void
collect(struct talk_sink *sink, struct batch *b, unsigned from)
{
	for (unsigned i = from; i < b->count; i++) {
		size_t n = b->piece[i].iov_len;

		if (sink->len + n > sink->size) {
			sink->size = (sink->len + n) * 2;
			sink->bytes = realloc(sink->bytes, sink->size);
			assert_non_null(sink->bytes);
		}
		memcpy(sink->bytes + sink->len, b->piece[i].iov_base, n);
		sink->len += n;
	}
	batch_reset(b);
}

/* Fill a batch with something else, so that only so much is left. Returns the pieces taken. */
static unsigned
crowd(const struct talker *t, struct batch *b)
{
	if (t->pieces_left == 0) {
		return 0;
	}
	while (b->count < BATCH_PIECES - t->pieces_left) {
		b->piece[b->count++] = (struct iovec){ .iov_base = NULL, .iov_len = 0 };
	}
	b->arena_used = t->arena_left < b->arena_size ? b->arena_size - t->arena_left : 0;
	return b->count;
}

bool
talk_feed(struct talker *t, enum talk_kind from, struct span bytes)
{
	struct relay_out out = { &t->device, &t->broker };
	unsigned device = crowd(t, &t->device), broker = crowd(t, &t->broker);
	bool again = false;
	int rc = 0;

	while ((bytes.len > 0 || again) && rc == 0) {
		/* Memory of exactly the size, gone after the flush. */
		uint8_t *copy = malloc(bytes.len + (bytes.len == 0));
		struct span in = span_of(copy, bytes.len);
		size_t used = 0;

		assert_non_null(copy);
		if (bytes.len > 0) {
			memcpy(copy, bytes.ptr, bytes.len);
		}
		rc = from == DEVICE ? relay_from_device(t->relay, in, &used, &out) :
		                      relay_from_broker(t->relay, in, &used, &out);
		assert_in_range(used, 0, in.len);
		collect(&t->to_device, &t->device, device);
		collect(&t->to_broker, &t->broker, broker);
		device = broker = 0;
		free(copy);
		bytes = span_skip(bytes, used);
		again = rc == ERR_FULL;
		if (rc == ERR_FULL) {
			/* else nobody would call again */
			assert_true(bytes.len > 0 || relay_phase(t->relay) == RELAY_RESTORING);
			t->refused++;
			assert_in_range(t->refused, 0, 100000);
			rc = 0;
		} else if (rc == 0 && from == DEVICE && !relay_wants_device(t->relay)) {
			return bytes.len == 0;
		} else if (rc == 0) {
			assert_int_equal(bytes.len, 0);
		}
	}
	return rc == 0;
}

void
talk_do(struct talker *t, enum talk_kind what)
{
	struct relay_out out = { &t->device, &t->broker };

	switch (what) {
	case OPEN:
		(void)!relay_upstream_open(t->relay, &out);
		break;
	case LOST:
		(void)relay_upstream_lost(t->relay, &out);
		break;
	case ADMIT:
		(void)relay_admit(t->relay, &out);
		break;
	case STORED:
	case REFUSED:
		spool_answers(t, what == STORED ? 0 : ERR_FULL, &out);
		break;
	case CLOSING:
		relay_closing(t->relay);
		break;
	case FAIL:
		relay_upstream_failed(t->relay, &out);
		break;
	case GONE:
	case TAKEN:
		relay_upstream_ended(t->relay, what == TAKEN, &out);
		break;
	case END:
		relay_end(t->relay, MQTT_SERVER_SHUTTING_DOWN, "is stopped", &out);
		break;
	default:
		fail();
	}
	collect(&t->to_device, &t->device, 0);
	collect(&t->to_broker, &t->broker, 0);
}

/* ---- a scene ---------------------------------------------------------------------- */

static void
print_bytes(const char *what, const uint8_t *bytes, size_t len)
{
	fprintf(stderr, "  %s:", what);
	for (size_t i = 0; i < len; i++) {
		fprintf(stderr, bytes[i] > 32 && bytes[i] < 127 ? " %c" : " %02x", bytes[i]);
	}
	fprintf(stderr, "\n");
}

static void
check(const struct scene *scene, size_t step, const char *how, const char *side,
      const char *expected, const struct talk_sink *sink)
{
	static uint8_t bytes[BYTES_MAX];
	size_t len = expected != NULL ? mqtt_bytes(expected, bytes, sizeof bytes) : 0;

	if (len != sink->len || (len > 0 && memcmp(bytes, sink->bytes, len) != 0)) {
		fprintf(stderr, "%s, step %zu, %s, to the %s\n", scene->name, step, how, side);
		print_bytes("expected", bytes, len);
		print_bytes("got", sink->bytes, sink->len);
		fail();
	}
}

/* Cut each step's bytes after `cut`, or after every byte. */
static void
play_step(struct talker *t, const struct talk *step, size_t cut, bool each)
{
	uint8_t bytes[BYTES_MAX];
	struct span left;

	if (step->kind != DEVICE && step->kind != BROKER) {
		talk_do(t, step->kind);
		return;
	}
	left = span_of(bytes, mqtt_bytes(step->bytes, bytes, sizeof bytes));
	while (left.len > 0) {
		size_t n = each ? 1 : cut > 0 && cut < left.len ? cut : left.len;

		if (!talk_feed(t, step->kind, span_head(left, n))) {
			break;
		}
		left = span_skip(left, n);
		cut = 0;
	}
}

static void
check_end(const struct scene *scene, const struct talker *t)
{
	struct relay_ending ending = relay_ending(t->relay);

	if (scene->store != NULL) {
		assert_string_equal(t->store, scene->store);
	}
	if (scene->spooled != NULL) {
		assert_string_equal(t->spooled, scene->spooled);
	}
	if (scene->ending.text == NULL) {
		assert_null(ending.text);
		return;
	}
	assert_non_null(ending.text);
	assert_string_equal(ending.text, scene->ending.text);
	assert_int_equal(ending.side, scene->ending.side);
	assert_int_equal(ending.reason, scene->ending.reason);
	assert_int_equal(relay_phase(t->relay), RELAY_OVER);
}

static void
play(const struct scene *scene, size_t cut, bool each, unsigned pieces_left, size_t arena_left)
{
	struct talker t;
	char how[80];

	snprintf(how, sizeof how, "cut %zu%s, %u pieces and %zu bytes left", cut,
	         each ? " each" : "", pieces_left, arena_left);
	talk_start(&t, scene);
	t.pieces_left = pieces_left;
	t.arena_left = arena_left;
	for (size_t i = 0; scene->talk[i].kind != TALK_STOP; i++) {
		play_step(&t, &scene->talk[i], cut, each);
		check(scene, i, how, "broker", scene->talk[i].broker, &t.to_broker);
		check(scene, i, how, "device", scene->talk[i].device, &t.to_device);
		talk_forget(&t);
	}
	check_end(scene, &t);
	talk_stop(&t);
}

static size_t
longest(const struct scene *scene)
{
	uint8_t bytes[BYTES_MAX];
	size_t most = 0;

	for (size_t i = 0; scene->talk[i].kind != TALK_STOP; i++) {
		if (scene->talk[i].bytes != NULL) {
			size_t n = mqtt_bytes(scene->talk[i].bytes, bytes, sizeof bytes);

			most = n > most ? n : most;
		}
	}
	return most;
}

static void
play_in_all_ways(const struct scene *scene)
{
	static const size_t arena[] = { 0, 900, 1024, 1030, 1100, 2000, 70000 };
	size_t most = longest(scene);

	play(scene, 0, false, 0, 0);
	play(scene, 0, true, 0, 0);
	for (size_t cut = 1; cut < most && cut < 200; cut++) {
		play(scene, cut, false, 0, 0);
		play(scene, cut, false, 5, 1060);
	}
	for (unsigned pieces = 1; pieces < 9; pieces++) {
		for (size_t i = 0; i < COUNT_OF(arena); i++) {
			play(scene, 0, false, pieces, arena[i]);
			play(scene, 0, true, pieces, arena[i]);
		}
	}
}

void
talk_play_all(const struct scene *scenes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		play_in_all_ways(&scenes[i]);
	}
}
