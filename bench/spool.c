/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast messages are stored with full synchronisation, and how fast they
 * go out when the broker takes them at once.
 *
 *     bench/spool FOLDER [MESSAGES [DEVICES [PAYLOAD]]]
 *
 * FOLDER must be on the disk that is to be measured; spool.db must not be there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "spool/spool.h"

struct one {
	struct spool_put put;
	double asked;
};

static struct bench {
	struct loop *loop;
	struct loop_timer start;
	struct spool *spool;
	unsigned count, devices, outstanding; /* per device */
	unsigned asked, answered, failed;
	char *payload;
	size_t length;
	double *latency;
	struct spool_take take;
	unsigned room, drained;
	struct loop_message again;
} b;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
by_size(const void *x, const void *y)
{
	double a = *(const double *)x, c = *(const double *)y;

	return (a > c) - (a < c);
}

/* ---- storing -------------------------------------------------------------------- */

static void stored(struct spool_put *put, int status);

static void
ask(struct one *one)
{
	char identity[24];

	snprintf(identity, sizeof identity, "device%u", b.asked++ % b.devices);
	one->asked = now();
	one->put = (struct spool_put){
		.message = { .identity = span_str(identity), .topic = span_str("home/device/telemetry"),
			.payload = span_of((uint8_t *)b.payload, b.length),
			.received = (int64_t)time(NULL) * 1000, .expiry = UINT32_MAX, .qos = 1 },
		.done = stored,
		.back = b.loop,
	};
	if (spool_put(b.spool, &one->put) != 0) {
		fputs("spool: no memory\n", stderr);
		exit(1);
	}
}

static void
stored(struct spool_put *put, int status)
{
	struct one *one = (struct one *)(void *)put;

	b.latency[b.answered++] = now() - one->asked;
	b.failed += status != 0;
	if (b.asked < b.count) {
		ask(one); /* the device got its acknowledgement and sends the next */
		return;
	}
	free(one);
	if (b.answered == b.count) {
		loop_stop(b.loop);
	}
}

static void
start_storing(void *owner)
{
	unsigned first = b.devices * b.outstanding;

	(void)owner;
	loop_timer_close(&b.start, NULL);
	for (unsigned i = 0; i < first && i < b.count; i++) {
		struct one *one = malloc(sizeof *one);

		if (one == NULL) {
			exit(1);
		}
		ask(one);
	}
}

/* ---- draining --------------------------------------------------------------------- */

static void
take_more(struct loop_message *message)
{
	(void)message;
	spool_take(b.spool, &b.take);
}

static void
taken(struct spool_take *take, const struct spool_message *message, size_t count, int status)
{
	(void)take;
	b.failed += status != 0;
	for (size_t i = 0; i < count; i++) {
		spool_done(b.spool, message[i].sequence);
	}
	b.drained += (unsigned)count;
	if (count == 0) {
		loop_stop(b.loop);
	} else {
		loop_post(b.loop, &b.again);
	}
}

static void
start_draining(void *owner)
{
	(void)owner;
	loop_timer_close(&b.start, NULL);
	b.take = (struct spool_take){ .room = b.room, .done = taken, .back = b.loop };
	b.again.run = take_more;
	spool_take(b.spool, &b.take);
}

/* ---- one measurement ------------------------------------------------------------------ */

/* Run until the loop is stopped; seconds. */
static double
run(const char *file, void (*start)(void *owner))
{
	const struct spool_settings settings = { file, (uint64_t)64 << 30 };
	char why[512];
	double begin, opened, end;

	begin = now();
	if (spool_open(&settings, &b.spool, why, sizeof why) != 0) {
		fprintf(stderr, "spool: %s\n", why);
		exit(1);
	}
	opened = now() - begin;
	if (opened > 0.1) {
		printf("  opened in %.2f s\n", opened);
	}
	if (loop_new("bench", &b.loop) != 0 || loop_timer_init(b.loop, &b.start, start, NULL) != 0) {
		exit(1);
	}
	loop_timer_start(&b.start, 0);
	begin = now();
	loop_run(b.loop);
	end = now();
	spool_close(b.spool);
	loop_free(b.loop);
	return end - begin;
}

static void
store(const char *file, unsigned outstanding)
{
	double seconds;

	b.asked = b.answered = 0;
	b.outstanding = outstanding;
	seconds = run(file, start_storing);
	qsort(b.latency, b.count, sizeof *b.latency, by_size);
	printf("store, %3u devices, %2u unacknowledged each %10.0f messages/s"
	       "   p50 %6.2f ms  p99 %6.2f ms\n",
	       b.devices, outstanding, b.count / seconds, b.latency[b.count / 2] * 1e3,
	       b.latency[b.count - 1 - b.count / 100] * 1e3);
}

static void
drain(const char *file, unsigned room)
{
	double seconds;

	b.room = room;
	b.drained = 0;
	seconds = run(file, start_draining);
	printf("drain, %4u at once                       %10.0f messages/s   (%u)\n", room,
	       b.drained / seconds, b.drained);
}

static unsigned
number(int argc, char **argv, int at, unsigned otherwise)
{
	return argc > at ? (unsigned)strtoul(argv[at], NULL, 10) : otherwise;
}

int
main(int argc, char **argv)
{
	char file[4096];

	b.count = number(argc, argv, 2, 50000);
	b.devices = number(argc, argv, 3, 100);
	b.length = number(argc, argv, 4, 100);
	if (argc < 2 || b.count < 100 || b.devices == 0) {
		fputs("usage: spool FOLDER [MESSAGES [DEVICES [PAYLOAD]]]\n", stderr);
		return 2;
	}
	snprintf(file, sizeof file, "%s/spool.db", argv[1]);
	if (access(file, F_OK) == 0) {
		fprintf(stderr, "spool: %s is there already\n", file);
		return 1;
	}
	b.payload = calloc(1, b.length + 1);
	b.latency = calloc(b.count, sizeof *b.latency);
	if (b.payload == NULL || b.latency == NULL) {
		return 1;
	}
	printf("%u messages, payload %zu bytes\n", b.count, b.length);
	store(file, 1);
	drain(file, 20);
	store(file, 20);
	drain(file, 200);
	free(b.payload);
	free(b.latency);
	unlink(file);
	return b.failed == 0 ? 0 : 1;
}
