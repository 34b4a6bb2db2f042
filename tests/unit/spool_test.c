/* SPDX-License-Identifier: BSD-2-Clause */
/* The spool with a disk that works. */
#include "unit/spool_help.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static struct bench b;

static int
set_up(void **state)
{
	(void)state;
	alarm(HELP_LIMIT);
	bench_make(&b);
	bench_open(&b);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	if (b.loop != NULL) {
		bench_close(&b);
	}
	bench_remove(&b);
	return 0;
}

static void
reopen(void)
{
	bench_close(&b);
	bench_open(&b);
}

/* ---- content and order ---------------------------------------------------------------- */

static void
a_message_comes_back_whole(void **state)
{
	struct spool_put p = message_of("dev", "payload");
	struct got *got = calloc(1, sizeof *got);
	static const uint8_t properties[] = { 0x01, 0x01, 0x26, 0x00, 0x01, 'k', 0x00, 0x00 };

	(void)state;
	p.message.topic = span_str("home/dev/x");
	p.message.properties = span_of(properties, sizeof properties);
	p.message.retain = true;
	p.message.qos = 0;
	p.message.expiry = 100000;
	assert_int_equal(put_and_wait(&b, p), 0);
	reopen();
	take(&b, 10, got);
	assert_int_equal(got->count, 1);
	assert_string_equal(got->message[0].identity, "dev");
	assert_string_equal(got->message[0].topic, "home/dev/x");
	assert_string_equal(got->message[0].payload, "payload");
	assert_int_equal(got->message[0].properties, sizeof properties);
	assert_int_equal(got->message[0].received, p.message.received);
	assert_int_equal(got->message[0].expiry, 100000);
	assert_int_equal(got->message[0].qos, 0);
	assert_true(got->message[0].retain);
	free(got);
}

static void
devices_take_turns_each_in_order(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		char text[] = "a0";

		text[1] = (char)('0' + i);
		assert_int_equal(put(&b, "a", text), 0);
	}
	assert_int_equal(put(&b, "b", "b0"), 0);
	assert_int_equal(put(&b, "b", "b1"), 0);
	assert_int_equal(put(&b, "c", "c0"), 0);
	take_expect(&b, 4, "a0 b0 c0 a1");
	take_expect(&b, 100, "b1 a2 a3");
	take_expect(&b, 100, ""); /* all are taken */
	spool_untake(b.spool);
	done_expect(&b, 2, "a0 b0");
	spool_untake(b.spool);
	done_expect(&b, 100, "c0 a1 b1 a2 a3");
	wait_messages(&b, 0);
	assert_int_equal(totals(&b).delivered, 7);
	assert_int_equal(totals(&b).bytes, 0);
	assert_int_equal(totals(&b).devices, 0);
}

static void
what_was_not_done_is_offered_again_after_a_restart(void **state)
{
	struct got *got = calloc(1, sizeof *got);

	(void)state;
	assert_int_equal(put(&b, "a", "a0"), 0);
	assert_int_equal(put(&b, "a", "a1"), 0);
	assert_int_equal(put(&b, "a", "a2"), 0);
	take(&b, 2, got);
	spool_done(b.spool, got->message[1].sequence);
	wait_messages(&b, 2);
	reopen();
	assert_int_equal(totals(&b).messages, 2);
	assert_int_equal(totals(&b).devices, 1);
	assert_true(totals(&b).oldest > 0);
	take_expect(&b, 10, "a0 a2");
	assert_int_equal(put(&b, "a", "a3"), 0); /* behind them, whatever its number */
	take_expect(&b, 10, "a3");
	free(got);
}

/* Sequence numbers that were given back, and unknown ones. */
static void
late_answers_do_no_harm(void **state)
{
	struct got *got = calloc(1, sizeof *got);

	(void)state;
	assert_int_equal(put(&b, "a", "a0"), 0);
	take(&b, 2, got);
	spool_untake(b.spool);
	spool_done(b.spool, got->message[0].sequence);
	spool_done(b.spool, 999);
	spool_refused(b.spool, 999, 0x87);
	take_expect(&b, 10, "a0");
	assert_int_equal(spool_refused_by(b.spool, 0x87), 0);
	spool_refused(b.spool, got->message[0].sequence, 0x87);
	wait_messages(&b, 0);
	assert_int_equal(totals(&b).refused_broker, 1);
	assert_int_equal(spool_refused_by(b.spool, 0x87), 1);
	free(got);
}

static void
large_messages_come_in_more_than_one_take(void **state)
{
	char *large = malloc(700001);

	(void)state;
	memset(large, 'x', 700000);
	large[700000] = '\0';
	for (int i = 0; i < 3; i++) {
		assert_int_equal(put(&b, "a", large), 0);
	}
	assert_int_equal(drain(&b, 10), 1);
	assert_int_equal(drain(&b, 10), 1);
	assert_int_equal(drain(&b, 10), 1);
	wait_messages(&b, 0);
	free(large);
}

/* ---- bounds ------------------------------------------------------------------------------ */

static int
put_bounded(const char *payload, uint8_t qos, struct spool_bounds bounds)
{
	struct spool_put p = message_of("a", payload);

	p.message.qos = qos;
	p.bounds = bounds;
	return put_and_wait(&b, p);
}

static void
qos_1_is_refused_when_the_device_is_full(void **state)
{
	const struct spool_bounds three = { .messages = 3 };
	const struct spool_bounds bytes = { .bytes = 4 * (SPOOL_OVERHEAD + 1 + 2) };

	(void)state;
	assert_int_equal(put_bounded("m0", 1, three), 0);
	assert_int_equal(put_bounded("m1", 1, three), 0);
	assert_int_equal(put_bounded("m2", 1, three), 0);
	assert_int_equal(put_bounded("m3", 1, three), ERR_FULL);
	assert_int_equal(put_bounded("m4", 0, three), ERR_FULL); /* no QoS 0 makes room */
	assert_int_equal(put_bounded("m5", 1, bytes), 0);
	assert_int_equal(put_bounded("m6", 1, bytes), ERR_FULL);
	assert_int_equal(put(&b, "other", "o0"), 0);
	assert_int_equal(totals(&b).refused_full, 3);
	done_expect(&b, 1, "m0");
	wait_messages(&b, 4);
	assert_int_equal(put_bounded("m7", 1, bytes), 0);
	take_expect(&b, 10, "o0 m1 m2 m5 m7");
}

static void
qos_0_pushes_out_the_oldest_qos_0(void **state)
{
	const struct spool_bounds four = { .messages = 4 };
	const struct spool_bounds bytes = { .bytes = 4 * (SPOOL_OVERHEAD + 1 + 2) };

	(void)state;
	assert_int_equal(put_bounded("q0", 1, four), 0);
	assert_int_equal(put_bounded("z1", 0, four), 0);
	assert_int_equal(put_bounded("q2", 1, four), 0);
	assert_int_equal(put_bounded("z3", 0, four), 0);
	assert_int_equal(put_bounded("z4", 0, four), 0); /* z1 goes */
	assert_int_equal(put_bounded("q5", 1, four), ERR_FULL); /* never for QoS 1 */
	assert_int_equal(put_bounded("z6", 0, bytes), 0); /* z3 goes */
	/* Too large even without them: none goes. */
	assert_int_equal(put_bounded("a text that is longer than all of the QoS 0 messages together"
	                             " can make room for, since theirs are very short; so it must be"
	                             " refused", 0, bytes), ERR_FULL);
	assert_int_equal(totals(&b).dropped, 2);
	take_expect(&b, 10, "q0 q2 z4 z6");
	/* What is on its way is not dropped. */
	assert_int_equal(put_bounded("z7", 0, four), ERR_FULL);
	spool_untake(b.spool);
	assert_int_equal(put_bounded("z8", 0, four), 0);
	take_expect(&b, 10, "q0 q2 z6 z8");
}

static void
the_whole_has_a_bound(void **state)
{
	(void)state;
	spool_configure(b.spool, 2 * (SPOOL_OVERHEAD + 3));
	assert_int_equal(put(&b, "a", "a0"), 0);
	assert_int_equal(put(&b, "b", "b0"), 0);
	assert_int_equal(put(&b, "c", "c0"), ERR_FULL);
	assert_int_equal(totals(&b).limit_bytes, 2 * (SPOOL_OVERHEAD + 3));
	spool_configure(b.spool, 1 << 20);
	assert_int_equal(put(&b, "c", "c0"), 0);
	/* c's refusal left nothing behind */
	assert_int_equal(totals(&b).messages, 3);
}

/* ---- expiry -------------------------------------------------------------------------------- */

static void
put_old(const char *payload, int64_t age, uint32_t expiry, uint32_t bound, int want)
{
	struct spool_put p = message_of("a", payload);

	p.message.received -= age * 1000;
	p.message.expiry = expiry;
	p.bounds.age = bound;
	assert_int_equal(put_and_wait(&b, p), want);
}

static void
what_has_expired_is_not_delivered(void **state)
{
	(void)state;
	put_old("e0", 100, 50, 0, 0);
	put_old("k1", 100, 5000, 0, 0);
	put_old("e2", 100, UINT32_MAX, 60, 0);
	put_old("k3", 100, UINT32_MAX, 0, 0);
	put_old("e4", 100, 5000, 99, 0);
	take_expect(&b, 10, "k1 k3");
	wait_messages(&b, 2);
	assert_int_equal(totals(&b).expired, 3);
	reopen();
	take_expect(&b, 10, "k1 k3");
}

/* Nobody takes: the spool looks by itself. */
static void
what_expires_is_swept(void **state)
{
	(void)state;
	put_old("e0", 0, 1, 0, 0);
	put_old("k1", 0, UINT32_MAX, 0, 0);
	wait_messages(&b, 1);
	assert_int_equal(totals(&b).expired, 1);
	take_expect(&b, 10, "k1");
}

/* A board that does not know the time yet. */
static void
nothing_expires_that_was_received_in_1970(void **state)
{
	struct spool_put p = message_of("a", "early");

	(void)state;
	p.message.received = 5000;
	p.message.expiry = 100;
	p.bounds.age = 100;
	assert_int_equal(put_and_wait(&b, p), 0);
	take_expect(&b, 10, "early");
}

static void
what_has_expired_makes_room(void **state)
{
	struct spool_put p = message_of("a", "new");

	(void)state;
	put_old("e0", 100, 50, 0, 0);
	p.bounds.messages = 1;
	assert_int_equal(put_and_wait(&b, p), 0);
	take_expect(&b, 10, "new");
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct waited {
	struct spool_wait wait;
	sem_t done;
};

static void
wait_is_over(struct spool_wait *wait)
{
	sem_post(&((struct waited *)(void *)wait)->done);
}

static void
wait_start(struct waited *w, const char *identity)
{
	*w = (struct waited){ .wait = { .done = wait_is_over, .back = b.loop } };
	sem_init(&w->done, 0, 0);
	assert_int_equal(spool_wait(b.spool, span_str(identity), &w->wait), 0);
}

static bool
is_over(struct waited *w)
{
	return sem_trywait(&w->done) == 0;
}

static void
waiting_ends_with_the_messages_before_it(void **state)
{
	struct got *got = calloc(1, sizeof *got);
	struct waited none, w, again;

	(void)state;
	wait_start(&none, "a");
	sem_wait(&none.done);
	assert_int_equal(put(&b, "a", "a0"), 0);
	assert_int_equal(put(&b, "a", "a1"), 0);
	assert_true(spool_holds(b.spool, span_str("a")));
	assert_false(spool_holds(b.spool, span_str("b")));
	wait_start(&w, "a");
	assert_int_equal(put(&b, "a", "a2"), 0);
	wait_start(&again, "a");
	take(&b, 3, got);
	spool_done(b.spool, got->message[1].sequence);
	wait_messages(&b, 2);
	assert_false(is_over(&w));
	spool_done(b.spool, got->message[0].sequence);
	sem_wait(&w.done); /* a2 is still there */
	assert_false(is_over(&again));
	assert_true(spool_holds(b.spool, span_str("a")));
	assert_int_equal(purge(&b, "a"), 0); /* on its way: stays */
	spool_untake(b.spool);
	assert_int_equal(purge(&b, "a"), 1);
	sem_wait(&again.done);
	assert_false(spool_holds(b.spool, span_str("a")));
	free(got);
}

static void
waiting_can_be_cancelled(void **state)
{
	static struct waited w; /* there when the spool closes */
	struct waited other;

	(void)state;
	assert_int_equal(put(&b, "a", "a0"), 0);
	wait_start(&w, "a");
	wait_start(&other, "a");
	assert_true(spool_wait_cancel(b.spool, &w.wait));
	assert_true(spool_wait_cancel(b.spool, &other.wait));
	wait_start(&other, "a");
	done_expect(&b, 1, "a0");
	sem_wait(&other.done);
	assert_false(is_over(&w));
	assert_false(spool_wait_cancel(b.spool, &other.wait));
	/* One that nobody ends before the spool closes. */
	assert_int_equal(put(&b, "a", "a1"), 0);
	wait_start(&w, "a");
}

/* ---- purge and what is told ------------------------------------------------------------------ */

static void
purge_removes_what_is_kept(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		struct spool_put p = message_of(i < 6 ? "a" : "b", "x");

		p.message.qos = i % 2 == 0;
		assert_int_equal(put_and_wait(&b, p), 0);
	}
	assert_int_equal(totals(&b).messages, 10);
	assert_int_equal(purge(&b, "nobody"), 0);
	assert_int_equal(purge(&b, "a"), 6);
	assert_int_equal(purge(&b, "a"), 0);
	assert_int_equal(totals(&b).messages, 4);
	assert_int_equal(purge(&b, NULL), 4);
	assert_int_equal(totals(&b).purged, 10);
	assert_int_equal(totals(&b).bytes, 0);
}

struct many {
	struct spool_put put;
	sem_t *done;
};

static void
one_of_many(struct spool_put *p, int status)
{
	assert_int_equal(status, 0);
	sem_post(((struct many *)(void *)p)->done);
}

/* All asked before any is awaited: so they share transactions. */
static void
put_many(unsigned count, unsigned devices, size_t length)
{
	struct many *many = calloc(count, sizeof *many);
	char *payload = calloc(1, length + 1), identity[16];
	sem_t done;

	sem_init(&done, 0, 0);
	memset(payload, 'p', length);
	for (unsigned i = 0; i < count; i++) {
		snprintf(identity, sizeof identity, "dev%u", i % devices);
		many[i].put = message_of(identity, payload);
		many[i].put.done = one_of_many;
		many[i].put.back = b.loop;
		many[i].done = &done;
		assert_int_equal(spool_put(b.spool, &many[i].put), 0);
	}
	for (unsigned i = 0; i < count; i++) {
		sem_wait(&done);
	}
	sem_destroy(&done);
	free(many);
	free(payload);
}

static void
a_large_purge_goes_in_parts(void **state)
{
	(void)state;
	put_many(10001, 7, 20);
	assert_int_equal(totals(&b).messages, 10001);
	assert_int_equal(purge(&b, NULL), 10001);
	assert_int_equal(totals(&b).messages, 0);
	assert_int_equal(put(&b, "dev1", "x"), 0);
	take_expect(&b, 10, "x");
}

static void
add_device(void *owner, const struct spool_device *device)
{
	fprintf(owner, "%s %llu %llu %llu;", device->identity,
	        (unsigned long long)device->messages, (unsigned long long)device->bytes,
	        (unsigned long long)device->dropped);
}

static void
devices_are_listed(void **state)
{
	const struct spool_bounds one = { .messages = 1 };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(put_bounded("z0", 0, one), 0);
	assert_int_equal(put_bounded("z1", 0, one), 0);
	assert_int_equal(put(&b, "b", "b0"), 0);
	spool_each(b.spool, add_device, out);
	fclose(out);
	assert_string_equal(text, "a 1 67 1;b 1 67 0;");
	free(text);
}

static void
raise_flag(void *owner)
{
	sem_post(owner);
}

static void
the_watcher_is_told(void **state)
{
	sem_t ready;

	(void)state;
	sem_init(&ready, 0, 0);
	assert_int_equal(put(&b, "a", "a0"), 0);
	spool_watch(b.spool, b.loop, raise_flag, &ready); /* of what is there already */
	sem_wait(&ready);
	take_expect(&b, 5, "a0");
	assert_int_equal(put(&b, "a", "a1"), 0);
	sem_wait(&ready);
	take_expect(&b, 5, "a1");
	spool_untake(b.spool);
	sem_wait(&ready);
	take_expect(&b, 5, "a0 a1");
	bench_close(&b); /* nothing of the spool may run when it is gone */
	sem_destroy(&ready);
}

struct overtaken {
	struct spool_take take;
	struct loop_message start;
	sem_t done;
	size_t count;
};

static void
overtaken_done(struct spool_take *t, const struct spool_message *message, size_t count, int status)
{
	struct overtaken *o = (struct overtaken *)(void *)t;

	(void)message;
	(void)status;
	o->count = count;
	sem_post(&o->done);
}

static void
take_and_untake(struct loop_message *message)
{
	struct overtaken *o = list_entry(message, struct overtaken, start);

	spool_take(b.spool, &o->take);
	spool_untake(b.spool);
}

static void
a_take_that_was_overtaken_holds_nothing(void **state)
{
	struct overtaken o = { .take = { .room = 5, .done = overtaken_done, .back = b.loop },
		.start = { .run = take_and_untake } };

	(void)state;
	sem_init(&o.done, 0, 0);
	assert_int_equal(put(&b, "a", "a0"), 0);
	for (int i = 0; i < 20; i++) {
		o.count = 99;
		loop_post(b.loop, &o.start);
		sem_wait(&o.done);
		assert_int_equal(o.count, 0);
	}
	take_expect(&b, 5, "a0");
	sem_destroy(&o.done);
}

static void
freed(struct spool_put *p, int status)
{
	assert_int_equal(status, ERR_FULL); /* far over its bound */
	sem_post(((struct many *)(void *)p)->done);
}

/* More than the disk can take is refused at once, and later taken again. */
static void
the_queue_is_bounded(void **state)
{
	enum { MOST = 400 };
	struct many *many = calloc(MOST, sizeof *many);
	size_t length = 1 << 20;
	uint8_t *payload = calloc(1, length);
	unsigned asked = 0;
	int rc = 0;
	sem_t done;

	(void)state;
	sem_init(&done, 0, 0);
	for (unsigned i = 0; i < MOST && rc == 0; i++) {
		many[i].put = message_of("a", "");
		many[i].put.message.payload = span_of(payload, length);
		many[i].put.bounds.bytes = 1000;
		many[i].put.done = freed;
		many[i].put.back = b.loop;
		many[i].done = &done;
		rc = spool_put(b.spool, &many[i].put);
		asked += rc == 0;
	}
	assert_true(rc == 0 || (rc == -ENOMEM && asked >= 64));
	for (unsigned i = 0; i < asked; i++) {
		sem_wait(&done);
	}
	assert_int_equal(put(&b, "a", "a0"), 0);
	sem_destroy(&done);
	free(payload);
	free(many);
}

/* ---- many threads --------------------------------------------------------------------------------- */

#define THREADS 4
#define EACH 300

static void *
put_from_thread(void *owner)
{
	struct bench own = b; /* the spool is shared, the loop of answers too */
	char identity[16], payload[16];

	snprintf(identity, sizeof identity, "t%u", (unsigned)(uintptr_t)owner);
	for (unsigned i = 0; i < EACH; i++) {
		snprintf(payload, sizeof payload, "%u", i);
		if (put(&own, identity, payload) != 0) {
			return b.file; /* any: a put has failed */
		}
		(void)spool_holds(b.spool, span_str(identity));
	}
	return NULL;
}

static void
many_threads_put_while_one_drains(void **state)
{
	pthread_t thread[THREADS];
	unsigned next[THREADS] = { 0 }, total = 0;
	struct got *got = calloc(1, sizeof *got);

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_create(&thread[i], NULL, put_from_thread, (void *)i), 0);
	}
	while (total < THREADS * EACH) {
		take(&b, 20, got);
		for (size_t i = 0; i < got->count; i++) {
			unsigned who = (unsigned)(got->message[i].identity[1] - '0');

			assert_int_equal(strtoul(got->message[i].payload, NULL, 10), next[who]++);
			spool_done(b.spool, got->message[i].sequence);
		}
		total += (unsigned)got->count;
		(void)totals(&b);
	}
	for (uintptr_t i = 0; i < THREADS; i++) {
		void *said = NULL;

		pthread_join(thread[i], &said);
		assert_null(said);
	}
	wait_messages(&b, 0);
	assert_int_equal(totals(&b).stored, THREADS * EACH);
	assert_int_equal(totals(&b).delivered, THREADS * EACH);
	free(got);
}

/* ---- the file ---------------------------------------------------------------------------------------- */

static off_t
file_size(void)
{
	struct stat st;

	assert_int_equal(stat(b.file, &st), 0);
	return st.st_size;
}

static void
the_file_shrinks_again(void **state)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	off_t most;

	(void)state;
	for (int i = 0; i < 4; i++) {
		put_many(1000, 10, 4000);
	}
	most = file_size();
	assert_true(most > 12 << 20);
	while (drain(&b, 200) > 0) {
	}
	wait_messages(&b, 0);
	for (unsigned i = 0; file_size() > 4 << 20; i++) {
		assert_true(i < 6000);
		nanosleep(&pause, NULL);
	}
	assert_int_equal(put(&b, "a", "a0"), 0);
	take_expect(&b, 1, "a0");
}

static void
the_wal_is_bounded(void **state)
{
	char path[80];
	struct stat st;

	(void)state;
	snprintf(path, sizeof path, "%s-wal", b.file);
	for (int i = 0; i < 20; i++) {
		put_many(1000, 100, 1000);
		while (drain(&b, 250) > 0) {
		}
	}
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 24 << 20);
}

static void
the_file_is_for_its_user_only(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(b.file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
refuse_expect(int code, const char *part)
{
	char why[512] = "";
	struct spool *none = b.spool;

	assert_int_equal(bench_try_open(&b, why, sizeof why), code);
	assert_ptr_equal(b.spool, none);
	assert_non_null(strstr(why, b.file));
	if (strstr(why, part) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", why, part);
	}
}

static void
write_file(const char *text, size_t size)
{
	int fd = open(b.file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, size), (ssize_t)size);
	close(fd);
}

static void
run_sql(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(b.file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
what_is_no_spool_is_refused(void **state)
{
	char noise[8192];

	(void)state;
	refuse_expect(ERR_DATABASE, "another gatewayd");
	bench_close(&b);
	memset(noise, 'n', sizeof noise);
	write_file(noise, sizeof noise);
	refuse_expect(ERR_DATABASE, "no spool");
	unlink(b.file);
	run_sql("CREATE TABLE other (x)");
	refuse_expect(ERR_DATABASE, "another program");
	unlink(b.file);
	bench_open(&b);
	bench_close(&b);
	run_sql("PRAGMA user_version = 99");
	refuse_expect(ERR_VERSION, "newer release");
	run_sql("PRAGMA user_version = 1");
	bench_open(&b);
}

static void
a_damaged_file_is_refused(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	put_many(2000, 10, 100);
	bench_close(&b);
	assert_int_equal(stat(b.file, &st), 0);
	fd = open(b.file, O_WRONLY);
	for (off_t at = 8192; at < st.st_size; at += 4096) {
		assert_int_equal(pwrite(fd, "damaged damaged damaged", 23, at), 23);
	}
	close(fd);
	refuse_expect(ERR_DATABASE, "damaged");
}

static void
a_folder_that_is_not_there_is_told(void **state)
{
	char file[sizeof b.file];

	(void)state;
	bench_close(&b);
	memcpy(file, b.file, sizeof file);
	strcpy(b.file, "/nonexistent/spool.db");
	refuse_expect(-ENOENT, "cannot be made");
	memcpy(b.file, file, sizeof file);
}

/* Steps run in order from whatever version the file has; the empty file has 0. */
static void
an_old_layout_is_brought_up(void **state)
{
	(void)state;
	bench_close(&b);
	unlink(b.file);
	write_file("", 0);
	bench_open(&b);
	assert_int_equal(put(&b, "a", "a0"), 0);
	reopen(); /* a second time nothing is done */
	take_expect(&b, 5, "a0");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_message_comes_back_whole),
		TEST(devices_take_turns_each_in_order),
		TEST(what_was_not_done_is_offered_again_after_a_restart),
		TEST(late_answers_do_no_harm),
		TEST(large_messages_come_in_more_than_one_take),
		TEST(qos_1_is_refused_when_the_device_is_full),
		TEST(qos_0_pushes_out_the_oldest_qos_0),
		TEST(the_whole_has_a_bound),
		TEST(what_has_expired_is_not_delivered),
		TEST(what_expires_is_swept),
		TEST(nothing_expires_that_was_received_in_1970),
		TEST(what_has_expired_makes_room),
		TEST(waiting_ends_with_the_messages_before_it),
		TEST(waiting_can_be_cancelled),
		TEST(purge_removes_what_is_kept),
		TEST(a_large_purge_goes_in_parts),
		TEST(devices_are_listed),
		TEST(the_watcher_is_told),
		TEST(a_take_that_was_overtaken_holds_nothing),
		TEST(the_queue_is_bounded),
		TEST(many_threads_put_while_one_drains),
		TEST(the_file_shrinks_again),
		TEST(the_wal_is_bounded),
		TEST(the_file_is_for_its_user_only),
		TEST(what_is_no_spool_is_refused),
		TEST(a_damaged_file_is_refused),
		TEST(a_folder_that_is_not_there_is_told),
		TEST(an_old_layout_is_brought_up),
	};

	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
