/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/spool_help.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "unit/folder_help.h"

/* ---- the bench ----------------------------------------------------------------------- */

void
bench_make(struct bench *b)
{
	*b = (struct bench){ .limit = 64 << 20 };
	strcpy(b->folder, "/tmp/spool-test-XXXXXX");
	assert_non_null(mkdtemp(b->folder));
	snprintf(b->file, sizeof b->file, "%s/spool.db", b->folder);
}

int
bench_try_open(struct bench *b, char *why, size_t size)
{
	const struct spool_settings settings = { b->file, b->limit };

	return spool_open(&settings, &b->spool, why, size);
}

void
bench_open(struct bench *b)
{
	char why[512] = "";

	if (bench_try_open(b, why, sizeof why) != 0) {
		fail_msg("%s", why);
	}
	assert_int_equal(loop_new("answers", &b->loop), 0);
	assert_int_equal(loop_start(b->loop), 0);
}

void
bench_close(struct bench *b)
{
	spool_close(b->spool);
	b->spool = NULL;
	loop_stop(b->loop);
	loop_join(b->loop);
	assert_int_equal(loop_free(b->loop), 0);
	b->loop = NULL;
}

void
bench_remove(struct bench *b)
{
	assert_int_equal(folder_remove(b->folder), 0);
}

static void
copy_file(const char *from, const char *to)
{
	char buffer[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n;

	assert_true(out >= 0);
	while (in >= 0 && (n = read(in, buffer, sizeof buffer)) > 0) {
		assert_int_equal(write(out, buffer, (size_t)n), n);
	}
	close(out);
	if (in >= 0) {
		close(in);
	}
}

void
bench_copy(const struct bench *from, struct bench *to)
{
	char a[80], b[80];

	snprintf(a, sizeof a, "%s-wal", from->file);
	snprintf(b, sizeof b, "%s-wal", to->file);
	copy_file(from->file, to->file);
	copy_file(a, b);
}

/* ---- putting ----------------------------------------------------------------------------- */

struct waited_put {
	struct spool_put put;
	sem_t done;
	int status;
};

static void
put_is_done(struct spool_put *p, int status)
{
	struct waited_put *w = (struct waited_put *)(void *)p;

	w->status = status;
	sem_post(&w->done);
}

struct spool_put
message_of(const char *identity, const char *payload)
{
	return (struct spool_put){
		.message = { .identity = span_str(identity), .topic = span_str("t"),
			.payload = span_str(payload), .received = clock_wall() * 1000,
			.expiry = UINT32_MAX, .qos = 1 },
	};
}

int
put_and_wait(struct bench *b, struct spool_put p)
{
	struct waited_put w = { .put = p };

	w.put.done = put_is_done;
	w.put.back = b->loop;
	sem_init(&w.done, 0, 0);
	assert_int_equal(spool_put(b->spool, &w.put), 0);
	sem_wait(&w.done);
	sem_destroy(&w.done);
	return w.status;
}

int
put(struct bench *b, const char *identity, const char *payload)
{
	return put_and_wait(b, message_of(identity, payload));
}

/* ---- taking: on the loop, as the control thread does ------------------------------------------- */

struct waited_take {
	struct spool_take take;
	struct loop_message start;
	struct bench *b;
	struct got *got;
	sem_t done;
};

static void
copy_text(char *out, size_t size, struct span text)
{
	size_t n = text.len < size - 1 ? text.len : size - 1;

	if (n > 0) {
		memcpy(out, text.ptr, n);
	}
	out[n] = '\0';
}

static void
take_is_done(struct spool_take *t, const struct spool_message *message, size_t count, int status)
{
	struct waited_take *w = (struct waited_take *)(void *)t;

	w->got->count = count;
	w->got->status = status;
	for (size_t i = 0; i < count && i < 256; i++) {
		struct got_message *g = &w->got->message[i];

		copy_text(g->identity, sizeof g->identity, message[i].identity);
		copy_text(g->topic, sizeof g->topic, message[i].topic);
		copy_text(g->payload, sizeof g->payload, message[i].payload);
		g->length = message[i].payload.len;
		g->properties = message[i].properties.len;
		g->sequence = message[i].sequence;
		g->received = message[i].received;
		g->expiry = message[i].expiry;
		g->qos = message[i].qos;
		g->retain = message[i].retain;
	}
	sem_post(&w->done);
}

static void
start_take(struct loop_message *message)
{
	struct waited_take *w = list_entry(message, struct waited_take, start);

	spool_take(w->b->spool, &w->take);
}

void
take(struct bench *b, unsigned room, struct got *got)
{
	struct waited_take w = { .take = { .room = room, .done = take_is_done, .back = b->loop },
		.start = { .run = start_take }, .b = b, .got = got };

	sem_init(&w.done, 0, 0);
	loop_post(b->loop, &w.start);
	sem_wait(&w.done);
	sem_destroy(&w.done);
}

static void
payloads_of(const struct got *got, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < got->count && n < size; i++) {
		n += (size_t)snprintf(text + n, size - n, "%s%s", i > 0 ? " " : "",
		                      got->message[i].payload);
	}
}

void
take_expect(struct bench *b, unsigned room, const char *payloads)
{
	struct got *got = calloc(1, sizeof *got);
	char text[4096];

	take(b, room, got);
	payloads_of(got, text, sizeof text);
	assert_int_equal(got->status, 0);
	assert_string_equal(text, payloads);
	free(got);
}

void
done_expect(struct bench *b, unsigned room, const char *payloads)
{
	struct got *got = calloc(1, sizeof *got);
	char text[4096];

	take(b, room, got);
	payloads_of(got, text, sizeof text);
	assert_string_equal(text, payloads);
	for (size_t i = 0; i < got->count; i++) {
		spool_done(b->spool, got->message[i].sequence);
	}
	free(got);
}

size_t
drain(struct bench *b, unsigned room)
{
	struct got *got = calloc(1, sizeof *got);
	size_t count;

	take(b, room, got);
	for (size_t i = 0; i < got->count; i++) {
		spool_done(b->spool, got->message[i].sequence);
	}
	count = got->count;
	free(got);
	return count;
}

/* ---- others -------------------------------------------------------------------------------------- */

struct waited_purge {
	struct spool_purge purge;
	sem_t done;
	int64_t count;
};

static void
purge_is_done(struct spool_purge *p, int64_t count)
{
	struct waited_purge *w = (struct waited_purge *)(void *)p;

	w->count = count;
	sem_post(&w->done);
}

int64_t
purge(struct bench *b, const char *identity)
{
	struct waited_purge w = { .purge = { .done = purge_is_done, .back = b->loop } };

	sem_init(&w.done, 0, 0);
	assert_int_equal(spool_purge(b->spool, identity, &w.purge), 0);
	sem_wait(&w.done);
	sem_destroy(&w.done);
	return w.count;
}

struct spool_totals
totals(struct bench *b)
{
	struct spool_totals t;

	spool_totals(b->spool, &t);
	return t;
}

void
wait_messages(struct bench *b, uint64_t count)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (unsigned i = 0; totals(b).messages != count; i++) {
		if (i > 60000) {
			fail_msg("%llu messages are left, not %llu",
			         (unsigned long long)totals(b).messages, (unsigned long long)count);
		}
		nanosleep(&pause, NULL);
	}
}
