/* SPDX-License-Identifier: BSD-2-Clause */
/* The uplink against a broker that does what a test tells it, with a real spool. */
#include "unit/loop_help.h"

#include <poll.h>

#include "base/clock.h"
#include "mqtt/mqtt.h"
#include "uplink/uplink.h"

#define SEEN_MOST 4096
#define TICK 5 /* ms between two looks at the condition */

/* ---- the broker ---------------------------------------------------------------- */

/* What a PUBLISH is answered with: a reason code, or one of these. */
enum { CLOSE = 0x1000, SAY_NOTHING, DISCONNECT_WITH = 0x2000 };

struct seen {
	char topic[64], payload[64];
	uint32_t expiry; /* UINT32_MAX none */
	char content_type[32], user[32];
	bool retain;
	unsigned connection;
};

struct fake {
	struct help_folder folder;
	int listener;
	int stop[2]; /* a pipe; closing it ends the thread */
	pthread_t thread;
	pthread_mutex_t lock;
	bool mute;         /* no CONNACK yet */
	bool deaf;         /* no answer to questions and subscriptions */
	uint16_t receive_maximum;
	int (*answer)(struct fake *f, const struct seen *p, unsigned before);
	struct seen seen[SEEN_MOST];
	unsigned count, connections;
	const void *garbage; /* instead of, or behind the first CONNACK */
	size_t garbage_len;
	bool garbage_first, slowly;
	uint8_t in[65536];
	size_t len;
	uint8_t connect[512]; /* the last CONNECT */
	size_t connect_len;
};

static int
accept_all(struct fake *f, const struct seen *p, unsigned before)
{
	(void)f;
	(void)p;
	(void)before;
	return 0;
}

/* False: stop() was called, or the peer has gone. */
static bool
wait_for(const struct fake *f, int fd)
{
	struct pollfd at[2] = { { fd, POLLIN, 0 }, { f->stop[0], POLLIN, 0 } };

	return poll(at, 2, -1) > 0 && at[1].revents == 0;
}

static bool
stopped(const struct fake *f)
{
	struct pollfd at = { f->stop[0], POLLIN, 0 };

	return poll(&at, 1, 0) > 0;
}

static void
say(int fd, const void *bytes, size_t n)
{
	(void)!send(fd, bytes, n, MSG_NOSIGNAL);
}

static void
connack(const struct fake *f, int fd)
{
	const uint8_t packet[] = { 0x20, 6, 0, 0, 3, MQTT_PROP_RECEIVE_MAXIMUM,
		(uint8_t)(f->receive_maximum >> 8), (uint8_t)f->receive_maximum };

	if (f->connections == 1 && f->garbage != NULL && f->garbage_first) {
		say(fd, f->garbage, f->garbage_len);
		return;
	}
	for (size_t i = 0; f->slowly && i < sizeof packet; i++) {
		say(fd, packet + i, 1);
		poll(NULL, 0, TICK);
	}
	if (!f->slowly) {
		say(fd, packet, sizeof packet);
	}
	if (f->connections == 1 && f->garbage != NULL) {
		say(fd, f->garbage, f->garbage_len);
	}
}

static void
copy(char *to, size_t size, struct span s)
{
	snprintf(to, size, "%.*s", SPAN_ARG(s));
}

static void
note(struct seen *p, const struct mqtt_publish *publish, struct span payload)
{
	struct reader at = reader_of(publish->props.raw);
	struct mqtt_prop prop;

	*p = (struct seen){ .retain = (publish->flags & MQTT_FLAG_RETAIN) != 0 };
	copy(p->topic, sizeof p->topic, publish->topic);
	copy(p->payload, sizeof p->payload, payload);
	p->expiry = mqtt_props_number(&publish->props, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL,
	                              UINT32_MAX);
	copy(p->content_type, sizeof p->content_type,
	     mqtt_props_string(&publish->props, MQTT_PROP_CONTENT_TYPE));
	while (mqtt_props_next(&at, &prop)) {
		if (prop.id == MQTT_PROP_USER_PROPERTY) {
			snprintf(p->user, sizeof p->user, "%.*s=%.*s", SPAN_ARG(prop.text),
			         SPAN_ARG(prop.value));
		}
	}
}

/* How often that payload has come before. */
static unsigned
times(const struct fake *f, const char *payload)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->count; i++) {
		n += strcmp(f->seen[i].payload, payload) == 0;
	}
	return n;
}

/* False: end the connection. */
static bool
on_publish(struct fake *f, int fd, const struct mqtt_fixed *fixed, struct span body)
{
	struct mqtt_publish publish;
	enum mqtt_reason reason;
	uint8_t packet[5] = { 0x40, 3 };
	struct seen p;
	int64_t head = mqtt_publish_head(body, fixed, MQTT_5);
	int answer;

	if (head <= 0 || mqtt_decode_publish(span_head(body, (size_t)head), fixed,
	                                     MQTT_FROM_CLIENT, MQTT_5, &publish, &reason) != 0) {
		abort();
	}
	note(&p, &publish, span_skip(body, (size_t)head));
	pthread_mutex_lock(&f->lock);
	p.connection = f->connections;
	answer = f->answer(f, &p, times(f, p.payload));
	if (f->count < SEEN_MOST) {
		f->seen[f->count++] = p;
	}
	pthread_mutex_unlock(&f->lock);
	if (answer == SAY_NOTHING) {
		return true;
	}
	if (answer >= DISCONNECT_WITH) {
		const uint8_t bye[] = { 0xe0, 2, (uint8_t)answer, 0 };

		say(fd, bye, sizeof bye);
		return false;
	}
	packet[2] = (uint8_t)(publish.packet_id >> 8);
	packet[3] = (uint8_t)publish.packet_id;
	packet[4] = (uint8_t)answer;
	if (answer < 0x100) {
		say(fd, packet, sizeof packet);
	}
	return answer < 0x100;
}

static bool
on_packet(struct fake *f, int fd, const struct mqtt_fixed *fixed, struct span body)
{
	uint8_t packet[6] = { 0, 4, 0, 0, 0, 0 };
	bool mute, deaf;

	pthread_mutex_lock(&f->lock);
	mute = f->mute;
	deaf = f->deaf;
	pthread_mutex_unlock(&f->lock);
	switch (fixed->type) {
	case MQTT_CONNECT:
		f->connect_len = body.len < sizeof f->connect ? body.len : sizeof f->connect;
		memcpy(f->connect, body.ptr, f->connect_len);
		while (mute && !stopped(f)) {
			poll(NULL, 0, TICK);
			pthread_mutex_lock(&f->lock);
			mute = f->mute;
			pthread_mutex_unlock(&f->lock);
		}
		connack(f, fd);
		return true;
	case MQTT_PUBLISH:
		return on_publish(f, fd, fixed, body);
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		packet[0] = fixed->type == MQTT_SUBSCRIBE ? 0x90 : 0xb0;
		packet[2] = body.ptr[0];
		packet[3] = body.ptr[1];
		if (!deaf) {
			say(fd, packet, sizeof packet);
		}
		return true;
	default:
		return fixed->type != MQTT_DISCONNECT;
	}
}

/* All whole packets that are there. False: end the connection. */
static bool
packets(struct fake *f, int fd)
{
	size_t used = 0;
	bool on = true;

	while (on) {
		struct span in = span_of(f->in + used, f->len - used);
		struct mqtt_fixed fixed;
		enum mqtt_reason reason;

		if (in.len == 0 || mqtt_decode_fixed(in, MQTT_FROM_CLIENT, MQTT_5, &fixed,
		                                     &reason) != 0 ||
		    in.len < (size_t)fixed.size + fixed.remaining) {
			break;
		}
		on = on_packet(f, fd, &fixed,
		               span_of(in.ptr + fixed.size, fixed.remaining));
		used += (size_t)fixed.size + fixed.remaining;
	}
	memmove(f->in, f->in + used, f->len - used);
	f->len -= used;
	return on;
}

static void
serve(struct fake *f, int fd)
{
	f->len = 0;
	while (wait_for(f, fd)) {
		ssize_t n = recv(fd, f->in + f->len, sizeof f->in - f->len, 0);

		if (n <= 0) {
			break;
		}
		f->len += (size_t)n;
		if (!packets(f, fd)) {
			break;
		}
	}
	close(fd);
}

static void *
fake_main(void *arg)
{
	struct fake *f = arg;

	while (wait_for(f, f->listener)) {
		int fd = accept(f->listener, NULL, NULL);

		pthread_mutex_lock(&f->lock);
		f->connections++;
		pthread_mutex_unlock(&f->lock);
		serve(f, fd);
	}
	return NULL;
}

/* ---- a test -------------------------------------------------------------------- */

struct scene {
	struct fake fake;
	struct loop *loop;
	struct broker *broker;
	struct spool *spool;
	struct uplink *uplink;
	struct uplink_settings settings;
	struct loop_timer tick;
	char file[64];
	struct spool_put put[256];
	unsigned puts;
	bool (*finished)(struct scene *s);
	unsigned stage;
	struct uplink_info info; /* of the end */
	struct spool_totals totals;
	struct loop_timer late; /* runs from the beginning of the close */
	bool was_late;
	uint64_t closing, closed, since; /* clock_ms() */
};

static unsigned kept; /* messages that are on the disk */

static void
scene_make(struct scene *s)
{
	char why[256];
	struct spool_settings settings = { .file = s->file, .bytes = 1 << 24 };

	alarm(HELP_LIMIT);
	memset(s, 0, sizeof *s);
	kept = 0;
	help_folder_make(&s->fake.folder);
	snprintf(s->file, sizeof s->file, "%s/spool.db", s->fake.folder.folder);
	s->fake.answer = accept_all;
	s->fake.receive_maximum = 1000;
	pthread_mutex_init(&s->fake.lock, NULL);
	s->loop = help_loop();
	assert_int_equal(broker_new(&s->broker), 0);
	assert_int_equal(spool_open(&settings, &s->spool, why, sizeof why), 0);
	s->settings = (struct uplink_settings){ .path = s->fake.folder.path,
		.client_id = "test", .username = "u", .retry_min = 1, .retry_max = 5,
		.response_timeout = 10000, .inflight = 20 };
}

static void
put_done(struct spool_put *put, int status)
{
	(void)put;
	kept++;
	assert_int_equal(status, 0);
}

static void
put_message(struct scene *s, struct spool_message message)
{
	struct spool_put *put = &s->put[s->puts++];

	put->message = message;
	put->done = put_done;
	put->back = s->loop;
	assert_int_equal(spool_put(s->spool, put), 0);
}

/* The device is the payload's first letter. */
static void
put_text(struct scene *s, const char *payload)
{
	put_message(s, (struct spool_message){ .identity = span_of(payload, 1),
		.topic = span_str("t"), .payload = span_str(payload), .expiry = UINT32_MAX,
		.received = clock_wall() * 1000, .qos = 1 });
}

#define LATE 1000 /* ms of the loop's time, which a slow machine does not stretch */

static void
late(void *owner)
{
	struct scene *s = owner;

	s->was_late = true;
}

static void
closed(void *owner)
{
	struct scene *s = owner;

	s->closed = clock_ms();
	loop_timer_close(&s->late, NULL);
	spool_totals(s->spool, &s->totals);
	spool_close(s->spool);
	loop_stop(s->loop);
}

static void
tick(void *owner)
{
	struct scene *s = owner;
	bool finished;

	pthread_mutex_lock(&s->fake.lock);
	finished = s->finished(s);
	pthread_mutex_unlock(&s->fake.lock);
	if (!finished) {
		loop_timer_start(&s->tick, TICK);
		return;
	}
	uplink_info(s->uplink, &s->info);
	s->closing = clock_ms();
	loop_timer_close(&s->tick, NULL);
	loop_timer_start(&s->late, LATE);
	uplink_close(s->uplink, closed, s);
}

static void
scene_run(struct scene *s, bool (*finished)(struct scene *s))
{
	char text[128];

	s->finished = finished;
	s->fake.listener = help_listen_unix(s->fake.folder.path, 8);
	assert_int_equal(pipe(s->fake.stop), 0);
	assert_int_equal(pthread_create(&s->fake.thread, NULL, fake_main, &s->fake), 0);
	assert_int_equal(uplink_new(s->loop, s->broker, s->spool, &s->settings, &s->uplink), 0);
	assert_int_equal(loop_timer_init(s->loop, &s->tick, tick, s), 0);
	assert_int_equal(loop_timer_init(s->loop, &s->late, late, s), 0);
	loop_timer_start(&s->tick, TICK);
	uplink_start(s->uplink);
	help_run(s->loop);
	uplink_free(s->uplink);
	close(s->fake.stop[1]);
	pthread_join(s->fake.thread, NULL);
	close(s->fake.stop[0]);
	close(s->fake.listener);
	broker_free(s->broker);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const suffix[] = { "", "-wal", "-shm" };

		snprintf(text, sizeof text, "%s%s", s->file, suffix[i]);
		unlink(text);
	}
	help_folder_remove(&s->fake.folder);
}

static bool
spool_empty(struct scene *s)
{
	struct spool_totals totals;

	spool_totals(s->spool, &totals);
	return kept == s->puts && totals.messages == 0;
}

/* Of what the broker took, "x1 x2 x3" of that device. */
static void
expect_order(const struct fake *f, char device, const char *wanted)
{
	char got[1024] = "";

	for (unsigned i = 0; i < f->count; i++) {
		if (f->seen[i].payload[0] == device) {
			strcat(strcat(got, got[0] != '\0' ? " " : ""), f->seen[i].payload);
		}
	}
	assert_string_equal(got, wanted);
}

static struct scene *
new_scene(void)
{
	struct scene *s = malloc(sizeof *s);

	scene_make(s);
	return s;
}

/* ---- draining ------------------------------------------------------------------ */

static void
stored_messages_arrive_in_order(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	s->settings.inflight = 3;
	for (unsigned i = 0; i < 40; i++) {
		const char text[] = { i % 2 ? 'a' : 'b', (char)('A' + i / 2), '\0' };

		put_text(s, text);
	}
	scene_run(s, spool_empty);
	assert_int_equal(s->info.drained, 40);
	assert_int_equal(s->totals.delivered, 40);
	assert_int_equal(s->fake.connections, 1);
	expect_order(&s->fake, 'a', "aA aB aC aD aE aF aG aH aI aJ aK aL aM aN aO aP aQ aR aS aT");
	expect_order(&s->fake, 'b', "bA bB bC bD bE bF bG bH bI bJ bK bL bM bN bO bP bQ bR bS bT");
	free(s);
}

static void
a_message_keeps_what_it_carries(void **state)
{
	static const uint8_t properties[] = { MQTT_PROP_CONTENT_TYPE, 0, 4, 'j', 's', 'o', 'n',
		MQTT_PROP_USER_PROPERTY, 0, 1, 'k', 0, 1, 'v',
		MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, 1 };
	struct scene *s = new_scene();
	const struct seen *p = s->fake.seen;

	(void)state;
	put_message(s, (struct spool_message){ .identity = span_str("d"), .topic = span_str("a/b"),
		.payload = span_str("first"), .properties = span_of(properties, sizeof properties),
		.received = (clock_wall() - 40) * 1000, .expiry = 100, .qos = 0, .retain = true });
	put_message(s, (struct spool_message){ .identity = span_str("d"), .topic = span_str("c"),
		.payload = span_str(""), .received = clock_wall() * 1000, .expiry = UINT32_MAX,
		.qos = 1 });
	/* Stored before the host knew the time. */
	put_message(s, (struct spool_message){ .identity = span_str("d"), .topic = span_str("e"),
		.payload = span_str("x"), .received = 5000, .expiry = 100, .qos = 1 });
	scene_run(s, spool_empty);
	assert_int_equal(s->fake.count, 3);
	assert_int_equal(p[2].expiry, 100);
	assert_string_equal(p[0].topic, "a/b");
	assert_string_equal(p[0].payload, "first");
	assert_string_equal(p[0].content_type, "json");
	assert_string_equal(p[0].user, "k=v");
	assert_in_range(p[0].expiry, 1, 60);
	assert_true(p[0].retain);
	assert_string_equal(p[1].topic, "c");
	assert_string_equal(p[1].payload, "");
	assert_int_equal(p[1].expiry, UINT32_MAX);
	assert_false(p[1].retain);
	free(s);
}

/* The broker's Receive Maximum is smaller than our window. */
static int
hold_two(struct fake *f, const struct seen *p, unsigned before)
{
	(void)p;
	(void)before;
	assert_true(f->count < 2);
	return SAY_NOTHING;
}

static bool
two_seen(struct scene *s)
{
	/* Two, and no third although there was time for one. */
	return kept == s->puts && s->fake.count == 2 && ++s->stage > 20;
}

static void
the_window_is_the_brokers(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	s->fake.receive_maximum = 2;
	s->fake.answer = hold_two;
	for (unsigned i = 0; i < 10; i++) {
		put_text(s, "x");
	}
	scene_run(s, two_seen);
	assert_int_equal(s->info.inflight, 2);
	assert_int_equal(s->totals.messages, 10);
	free(s);
}

static int
refuse_some(struct fake *f, const struct seen *p, unsigned before)
{
	(void)f;
	(void)before;
	return p->payload[1] == '2' ? MQTT_NOT_AUTHORIZED : p->payload[1] == '4' ?
	               MQTT_PAYLOAD_FORMAT_INVALID : MQTT_NO_MATCHING_SUBSCRIBERS;
}

static void
what_is_refused_for_good_goes(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	s->fake.answer = refuse_some;
	put_text(s, "a1");
	put_text(s, "a2");
	put_text(s, "a3");
	put_text(s, "a4");
	scene_run(s, spool_empty);
	expect_order(&s->fake, 'a', "a1 a2 a3 a4");
	assert_int_equal(s->totals.delivered, 2);
	assert_int_equal(s->totals.refused_broker, 2);
	free(s);
}

static int
deny_all(struct fake *f, const struct seen *p, unsigned before)
{
	(void)f;
	(void)p;
	(void)before;
	return MQTT_NOT_AUTHORIZED;
}

/* A line for the device, not for each message; and not for each device of a fleet. */
static void
what_is_refused_is_told_once(void **state)
{
	static const struct {
		unsigned devices, lines;
	} cases[] = { { 1, 1 }, { 2, 2 }, { 25, 10 } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct help_log log = { .message = "the broker does not take stored messages; they "
			                           "are dropped" };
		struct scene *s = new_scene();

		s->fake.answer = deny_all;
		for (unsigned n = 0; n < 100; n++) {
			const char text[] = { (char)('a' + n % cases[i].devices), '1', '\0' };

			put_text(s, text);
		}
		log_setup(LOG_LEVEL_INFO, help_log_sink, &log);
		scene_run(s, spool_empty);
		log_setup(LOG_LEVEL_ERROR, NULL, NULL);
		assert_int_equal(s->totals.refused_broker, 100);
		assert_int_equal(log.count, cases[i].lines);
		assert_non_null(strstr(log.field, "let the user of uplink.username write"));
		free(s);
	}
}

static int
quota_at_first(struct fake *f, const struct seen *p, unsigned before)
{
	(void)f;
	return p->payload[1] == '2' && before < 3 ? MQTT_QUOTA_EXCEEDED : 0;
}

static void
later_is_offered_again(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	s->settings.inflight = 1;
	s->fake.answer = quota_at_first;
	put_text(s, "a1");
	put_text(s, "a2");
	put_text(s, "a3");
	scene_run(s, spool_empty);
	expect_order(&s->fake, 'a', "a1 a2 a2 a2 a2 a3");
	assert_int_equal(s->totals.delivered, 3);
	assert_int_equal(s->totals.refused_broker, 0);
	free(s);
}

static int
never_unspecified(struct fake *f, const struct seen *p, unsigned before)
{
	(void)f;
	(void)before;
	return p->payload[1] == '1' ? MQTT_UNSPECIFIED_ERROR : 0;
}

/* "Later" that is no quota ends some time. */
static void
later_is_not_for_ever(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	s->fake.answer = never_unspecified;
	put_text(s, "a1");
	put_text(s, "a2");
	scene_run(s, spool_empty);
	assert_int_equal(s->totals.delivered, 1);
	assert_int_equal(s->totals.refused_broker, 1);
	assert_in_range(times(&s->fake, "a1"), 2, 20);
	free(s);
}

/* ---- poison -------------------------------------------------------------------- */

static int
too_large(struct fake *f, const struct seen *p, unsigned before)
{
	(void)f;
	(void)before;
	return p->payload[1] == '3' ? DISCONNECT_WITH | MQTT_PACKET_TOO_LARGE : 0;
}

static int
close_without_a_word(struct fake *f, const struct seen *p, unsigned before)
{
	(void)f;
	(void)before;
	return p->payload[1] == '3' ? CLOSE : 0;
}

static void
poison(int (*answer)(struct fake *f, const struct seen *p, unsigned before), unsigned most)
{
	struct scene *s = new_scene();

	s->fake.answer = answer;
	for (unsigned i = 0; i < 6; i++) {
		const char text[] = { 'a', (char)('1' + i), '\0' };

		put_text(s, text);
	}
	scene_run(s, spool_empty);
	assert_int_equal(s->totals.refused_broker, 1);
	assert_int_equal(s->totals.delivered, 5);
	assert_in_range(times(&s->fake, "a3"), 2, most);
	for (const char *p = "12456"; *p != '\0'; p++) {
		const char text[] = { 'a', *p, '\0' };

		assert_in_range(times(&s->fake, text), 1, most);
	}
	assert_string_equal(s->fake.seen[s->fake.count - 1].payload, "a6");
	free(s);
}

static void
poison_with_a_reason_is_refused(void **state)
{
	(void)state;
	/* Its last words may be lost with the connection: then it takes more ends. */
	poison(too_large, 20);
}

static void
poison_without_a_reason_is_refused(void **state)
{
	(void)state;
	/* An end that a slow machine sees late does not count. */
	poison(close_without_a_word, 20);
}

static int
close_twice(struct fake *f, const struct seen *p, unsigned before)
{
	(void)f;
	return p->payload[1] == '3' && before < 2 ? CLOSE : 0;
}

/* A broker that crashes at that moment, and once more, is not for the message. */
static void
a_broker_that_crashes_loses_nothing(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	s->fake.answer = close_twice;
	for (unsigned i = 0; i < 6; i++) {
		const char text[] = { 'a', (char)('1' + i), '\0' };

		put_text(s, text);
	}
	scene_run(s, spool_empty);
	assert_int_equal(s->totals.refused_broker, 0);
	assert_int_equal(s->totals.delivered, 6);
	assert_true(s->info.connects >= 3);
	free(s);
}

/* ---- two gateways of one name -------------------------------------------------- */

static int
taken_over(struct fake *f, const struct seen *p, unsigned before)
{
	(void)f;
	(void)before;
	return strcmp(p->topic, "status") == 0 ? DISCONNECT_WITH | MQTT_SESSION_TAKEN_OVER : 0;
}

static int
closed_at_once(struct fake *f, const struct seen *p, unsigned before)
{
	(void)f;
	(void)before;
	return strcmp(p->topic, "status") == 0 ? CLOSE : 0;
}

static bool
four_connections(struct scene *s)
{
	return s->fake.connections >= 5;
}

/* Each takes the session of the other: with a reason, or (2.0.11) without one. */
static void
a_name_that_another_has_is_told(void **state)
{
	int (*const answer[])(struct fake *f, const struct seen *p, unsigned before) = {
		taken_over, closed_at_once };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct help_log log = { .message = "the gateway's own session with the broker is "
			                           "away", .wanted = "is another gateway running" };
		struct scene *s = new_scene();

		s->settings.status_topic = "status";
		s->fake.answer = answer[i];
		log_setup(LOG_LEVEL_INFO, help_log_sink, &log);
		scene_run(s, four_connections);
		log_setup(LOG_LEVEL_ERROR, NULL, NULL);
		assert_in_range(s->info.brief, 3, 100);
		assert_in_range(log.found, 1, 100);
		free(s);
	}
}

static bool
thirty_connections(struct scene *s)
{
	return s->fake.connections >= 30;
}

/* It comes and goes: once, not once per coming and going. */
static void
a_flapping_broker_is_told_once(void **state)
{
	static const struct {
		const char *message;
		unsigned most; /* what ended it, in some words, with two remedies */
	} lines[] = { { "the gateway's own session with the broker is up", 5 },
		{ "the gateway's own session with the broker is away", 10 } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct help_log log = { .message = lines[i].message };
		struct scene *s = new_scene();

		s->settings.status_topic = "status";
		s->fake.answer = closed_at_once;
		log_setup(LOG_LEVEL_INFO, help_log_sink, &log);
		scene_run(s, thirty_connections);
		log_setup(LOG_LEVEL_ERROR, NULL, NULL);
		assert_in_range(log.count, 1, lines[i].most);
		free(s);
	}
}

/* Somebody else has found the broker: the backoff, of ten minutes, is over. */
static bool
found_by_another(struct scene *s)
{
	struct uplink_info info;

	uplink_info(s->uplink, &info);
	if (s->stage == 0 && info.last_error[0] != '\0') {
		s->stage = 1;
		broker_alive(s->broker);
	}
	return info.connected;
}

static void
a_broker_that_is_back_is_not_left_waiting(void **state)
{
	static const uint8_t refusal[] = { 0x20, 3, 0, MQTT_SERVER_UNAVAILABLE, 0 };
	struct scene *s = new_scene();

	(void)state;
	s->settings.retry_min = s->settings.retry_max = 600000;
	s->fake.garbage = refusal;
	s->fake.garbage_len = sizeof refusal;
	s->fake.garbage_first = true;
	put_text(s, "a1");
	scene_run(s, found_by_another);
	assert_int_equal(s->info.connects, 1);
	assert_int_equal(s->fake.connections, 2);
	free(s);
}

/* ---- a broker that breaks the rules -------------------------------------------- */

static bool
second_connection(struct scene *s)
{
	struct uplink_info info;

	uplink_info(s->uplink, &info);
	return s->fake.connections >= 2 && info.connected;
}

#define BYTES(...) { __VA_ARGS__ }, sizeof (const uint8_t[]){ __VA_ARGS__ }

/* Each of these ends the connection, and nothing else. */
static void
garbage_ends_the_connection_only(void **state)
{
	static const struct {
		bool first; /* instead of CONNACK */
		uint8_t bytes[12];
		size_t n;
	} cases[] = {
		{ true, BYTES(0x20, 2, 0, 0) },               /* of 3.1.1 */
		{ true, BYTES(0x20, 5, 0, 0, 2, 0x7f, 0) },   /* no such property */
		{ true, BYTES(0xd0, 0) },                     /* PINGRESP before CONNACK */
		{ true, BYTES(0x90, 4, 0, 1, 0, 0) },         /* SUBACK before CONNACK */
		{ true, BYTES(0x00, 0) },
		{ true, BYTES(0x20, 0xff, 0xff, 0xff, 0xff, 0xff) },
		{ false, BYTES(0x20, 3, 0, 0, 0) },           /* a second one */
		{ false, BYTES(0x90, 3, 0, 1, 0) },           /* SUBACK without codes */
		{ false, BYTES(0x90, 5, 0, 1, 2, 0x7f, 0) },
		{ false, BYTES(0xb0, 3, 0, 1, 0) },           /* UNSUBACK without codes */
		{ false, BYTES(0x40, 2, 0x7f, 0x7f) },        /* PUBACK of nothing */
		{ false, BYTES(0x50, 2, 0, 1) },              /* PUBREC: we send no QoS 2 */
		{ false, BYTES(0x70, 2, 0, 1) },
		{ false, BYTES(0xe0, 4, 0, 2, 0x7f, 0) },     /* DISCONNECT, no such property */
		{ false, BYTES(0xf0, 2, 0x18, 0) },           /* AUTH */
		{ false, BYTES(0x30, 6, 0, 1, 't', 2, 0x7f, 0) },
		{ false, BYTES(0x30, 4, 0, 1, '#', 0) },      /* a wildcard in a topic */
		{ false, BYTES(0x30, 3, 0, 0, 0) },           /* no topic and no alias */
		{ false, BYTES(0x30, 6, 0, 0, 3, 0x23, 0, 1) }, /* an alias that we did not allow */
		{ false, BYTES(0x34, 6, 0, 1, 't', 0, 1, 0) }, /* QoS 2 */
		{ false, BYTES(0x32, 6, 0, 1, 't', 0, 0, 0) }, /* packet identifier 0 */
		{ false, BYTES(0x82, 6, 0, 1, 0, 0, 1, 't') }, /* a client's packet */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene *s = new_scene();

		s->fake.garbage = cases[i].bytes;
		s->fake.garbage_len = cases[i].n;
		s->fake.garbage_first = cases[i].first;
		scene_run(s, second_connection);
		free(s);
	}
}

static bool
connected_once(struct scene *s)
{
	struct uplink_info info;

	uplink_info(s->uplink, &info);
	return info.connected && info.connects == 1 && info.round_trip > 0;
}

static void
a_packet_may_come_in_pieces(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	s->fake.slowly = true;
	s->settings.response_timeout = 1000;
	scene_run(s, connected_once);
	assert_int_equal(s->fake.connections, 1);
	free(s);
}

/* Longer than what is looked at: read in pieces, and what follows is found. */
static bool
long_one_passed(struct scene *s)
{
	struct uplink_info info;

	uplink_info(s->uplink, &info);
	return info.round_trip > 0 && info.version[0] != '\0';
}

static void
a_long_message_passes(void **state)
{
	static const char version[] = "$SYS/broker/version";
	struct scene *s = new_scene();
	const uint32_t payload = 300000, remaining = 2 + 1 + 1 + payload;
	uint8_t *bytes = calloc(1, payload + 100);
	struct writer w = writer_of(bytes, payload + 100);

	(void)state;
	mqtt_write_fixed(&w, MQTT_PUBLISH, 0, remaining);
	memcpy(w.at, "\0\1t", 4); /* topic, no properties */
	w.at += 4 + payload;
	mqtt_write_fixed(&w, MQTT_PUBLISH, 0, 2 + sizeof version - 1 + 1 + 1);
	w.at[1] = sizeof version - 1;
	memcpy(w.at + 2, version, sizeof version - 1);
	w.at += 2 + sizeof version - 1 + 1;
	*w.at++ = '7';
	s->fake.garbage = bytes;
	s->fake.garbage_len = (size_t)(w.at - bytes);
	s->settings.response_timeout = 1000;
	scene_run(s, long_one_passed);
	assert_int_equal(s->fake.connections, 1);
	assert_string_equal(s->info.version, "7");
	free(bytes);
	free(s);
}

/* ---- signs of life ------------------------------------------------------------- */

static bool
frozen_and_back(struct scene *s)
{
	struct broker_info info;

	broker_read(s->broker, &info);
	if (s->stage == 0 && info.frozen) {
		assert_int_equal(info.state, BROKER_AWAY);
		s->fake.mute = s->fake.deaf = false;
		s->stage = 1;
	}
	if (s->stage == 1 && info.state == BROKER_UP) {
		assert_false(info.frozen);
		return true;
	}
	return false;
}

static void
no_connack_is_a_frozen_broker(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	s->fake.mute = true;
	s->settings.response_timeout = 200;
	scene_run(s, frozen_and_back);
	/* The same connection: the broker's backlog is not filled with tries. */
	assert_int_equal(s->fake.connections, 1);
	free(s);
}

static bool
frozen(struct scene *s)
{
	struct broker_info info;

	broker_read(s->broker, &info);
	return info.frozen;
}

static void
no_answer_is_a_frozen_broker(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	s->fake.deaf = true;
	s->settings.response_timeout = 200;
	scene_run(s, frozen);
	assert_int_equal(s->info.connects, 1);
	assert_false(s->info.connected);
	/* No goodbye can reach it: closing does not wait for one. */
	assert_false(s->was_late);
	free(s);
}

static bool
asked_often(struct scene *s)
{
	struct uplink_info info;

	uplink_info(s->uplink, &info);
	s->since = s->since != 0 ? s->since : clock_ms();
	return info.round_trip > 0 && clock_ms() - s->since > 3500;
}

static void
a_broker_that_answers_is_not_frozen(void **state)
{
	struct scene *s = new_scene();
	struct help_log log = { .message = "broker is frozen: it takes connections and answers "
		                           "nothing" };

	(void)state;
	log_setup(LOG_LEVEL_INFO, help_log_sink, &log);
	/* Long enough for a fake broker that gets no time to run, and less than we look. */
	s->settings.response_timeout = 3000;
	scene_run(s, asked_often);
	assert_int_equal(log.count, 0);
	assert_true(s->info.connected);
	log_setup(LOG_LEVEL_ERROR, NULL, NULL);
	free(s);
}

/* ---- presence ------------------------------------------------------------------ */

static bool
flapped(struct scene *s)
{
	struct uplink_info info;

	uplink_info(s->uplink, &info);
	if (s->stage == 0 && info.connected) {
		for (unsigned i = 0; i < 10000; i++) {
			uplink_presence(s->uplink, "pump", i % 2 == 0);
		}
		uplink_presence(s->uplink, "pump", true);
		s->stage = 1;
	}
	return s->stage == 1 && times(&s->fake, "online") > 0;
}

static void
a_flapping_device_costs_one_publish(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	s->settings.presence_topic = "p/${identity}/x";
	scene_run(s, flapped);
	assert_int_equal(s->fake.count, 2); /* and the goodbye */
	assert_string_equal(s->fake.seen[0].topic, "p/pump/x");
	assert_string_equal(s->fake.seen[0].payload, "online");
	assert_string_equal(s->fake.seen[1].payload, "offline");
	assert_true(s->fake.seen[0].retain && s->fake.seen[1].retain);
	free(s);
}

static int
close_the_first(struct fake *f, const struct seen *p, unsigned before)
{
	(void)p;
	(void)before;
	return f->connections == 1 && f->count == 2 ? CLOSE : 0;
}

static bool
told_again(struct scene *s)
{
	struct uplink_info info;

	uplink_info(s->uplink, &info);
	if (s->stage == 0) {
		uplink_presence(s->uplink, "a", true);
		uplink_presence(s->uplink, "b", true);
		uplink_presence(s->uplink, "c", false);
		s->stage = 1;
	}
	return info.connects == 2 && s->fake.count >= 7;
}

/* After each connect the whole truth, the status first. */
static void
a_new_connection_is_told_everything(void **state)
{
	struct scene *s = new_scene();
	unsigned second = 0, a = 0, b = 0;

	(void)state;
	s->fake.answer = close_the_first;
	s->settings.status_topic = "status";
	s->settings.presence_topic = "p/${identity}";
	scene_run(s, told_again);
	for (unsigned i = 0; i < s->fake.count; i++) {
		const struct seen *p = &s->fake.seen[i];

		if (p->connection != 2 || strcmp(p->payload, "online") != 0) {
			continue;
		}
		if (second++ == 0) {
			assert_string_equal(p->topic, "status");
		}
		a += strcmp(p->topic, "p/a") == 0;
		b += strcmp(p->topic, "p/b") == 0;
	}
	assert_int_equal(a, 1);
	assert_int_equal(b, 1);
	assert_string_equal(s->fake.seen[s->fake.count - 1].topic, "status");
	assert_string_equal(s->fake.seen[s->fake.count - 1].payload, "offline");
	free(s);
}

static int
never_ack(struct fake *f, const struct seen *p, unsigned before)
{
	(void)f;
	(void)p;
	(void)before;
	return SAY_NOTHING;
}

static bool
one_seen(struct scene *s)
{
	return s->fake.count > 0;
}

static void
a_goodbye_that_nobody_hears_is_short(void **state)
{
	struct scene *s = new_scene();

	(void)state;
	s->fake.answer = never_ack;
	s->settings.status_topic = "status";
	scene_run(s, one_seen);
	assert_true(s->closed - s->closing < 10000); /* 2 s, and a slow machine */
	free(s);
}

/* ---- settings ------------------------------------------------------------------ */

static void
names_are_not_looked_up(void **state)
{
	static const struct {
		const char *address;
		int rc;
	} cases[] = {
		{ "localhost", -EINVAL }, { "broker.example.org", -EINVAL }, { "", -EINVAL },
		{ NULL, -EINVAL }, { "127.0.0.1", 0 }, { "::1", 0 },
	};
	struct uplink_settings settings = { .client_id = "x", .port = 1, .inflight = 1 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct loop *loop = help_loop();
		struct broker *broker;
		struct uplink *uplink = NULL;

		assert_int_equal(broker_new(&broker), 0);
		settings.address = cases[i].address;
		assert_int_equal(uplink_new(loop, broker, NULL, &settings, &uplink), cases[i].rc);
		if (uplink != NULL) {
			uplink_close(uplink, NULL, NULL);
		}
		loop_stop(loop);
		help_run(loop);
		uplink_free(uplink);
		broker_free(broker);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stored_messages_arrive_in_order),
		cmocka_unit_test(a_message_keeps_what_it_carries),
		cmocka_unit_test(the_window_is_the_brokers),
		cmocka_unit_test(what_is_refused_for_good_goes),
		cmocka_unit_test(what_is_refused_is_told_once),
		cmocka_unit_test(later_is_offered_again),
		cmocka_unit_test(later_is_not_for_ever),
		cmocka_unit_test(poison_with_a_reason_is_refused),
		cmocka_unit_test(poison_without_a_reason_is_refused),
		cmocka_unit_test(a_broker_that_crashes_loses_nothing),
		cmocka_unit_test(a_name_that_another_has_is_told),
		cmocka_unit_test(a_flapping_broker_is_told_once),
		cmocka_unit_test(a_broker_that_is_back_is_not_left_waiting),
		cmocka_unit_test(garbage_ends_the_connection_only),
		cmocka_unit_test(a_packet_may_come_in_pieces),
		cmocka_unit_test(a_long_message_passes),
		cmocka_unit_test(no_connack_is_a_frozen_broker),
		cmocka_unit_test(no_answer_is_a_frozen_broker),
		cmocka_unit_test(a_broker_that_answers_is_not_frozen),
		cmocka_unit_test(a_flapping_device_costs_one_publish),
		cmocka_unit_test(a_new_connection_is_told_everything),
		cmocka_unit_test(a_goodbye_that_nobody_hears_is_short),
		cmocka_unit_test(names_are_not_looked_up),
	};

	log_setup(LOG_LEVEL_ERROR, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
