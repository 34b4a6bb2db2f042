/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/loop_help.h"

#include <fcntl.h>
#include <poll.h>

#include "upstream/upstream.h"

#define CROWD 200
#define BACKLOG 10 /* mosquitto's on a unix socket */

/* ---- a broker that only accepts --------------------------------------------------- */

struct acceptor {
	struct help_folder folder;
	int fd;
	int stop[2]; /* pipe; closing it ends the thread */
	pthread_t thread;
	bool runs;
	unsigned accepted;
};

static void *
accept_all(void *arg)
{
	struct acceptor *a = arg;
	struct pollfd poll_fd[2] = { { a->fd, POLLIN, 0 }, { a->stop[0], POLLIN, 0 } };
	int kept[4 * CROWD];

	while (poll(poll_fd, 2, -1) > 0 && poll_fd[1].revents == 0) {
		kept[a->accepted++] = accept(a->fd, NULL, NULL);
		sched_yield(); /* one at a time, never ahead of the dials */
	}
	for (unsigned i = 0; i < a->accepted; i++) {
		close(kept[i]);
	}
	return NULL;
}

static void
acceptor_listen(struct acceptor *a, int backlog)
{
	a->fd = help_listen_unix(a->folder.path, backlog);
}

static void
acceptor_start(struct acceptor *a)
{
	assert_int_equal(pipe(a->stop), 0);
	assert_int_equal(pthread_create(&a->thread, NULL, accept_all, a), 0);
	a->runs = true;
}

static void
acceptor_end(struct acceptor *a)
{
	if (a->runs) {
		close(a->stop[1]);
		pthread_join(a->thread, NULL);
		close(a->stop[0]);
	}
	if (a->fd > 0) {
		close(a->fd);
	}
	help_folder_remove(&a->folder);
}

/* ---- a worker with dials ---------------------------------------------------------- */

struct worker;

struct caller {
	struct worker *w;
	struct stream s;
	struct upstream_dial dial;
	unsigned done;
	int status;
};

struct worker {
	struct loop *loop;
	struct broker *broker;
	struct upstream *up;
	struct upstream_settings settings;
	struct loop_message begin;
	struct loop_timer timer;
	struct caller caller[CROWD];
	unsigned count, done, closed, most_pending;
	bool inside;
	void (*step)(struct worker *w, struct caller *c); /* in `done` */
	enum broker_state states[8];
	unsigned changes;
};

static void
up_gone(void *owner)
{
	struct worker *w = owner;

	loop_stop(w->loop);
}

static void
worker_end(struct worker *w)
{
	loop_timer_close(&w->timer, NULL);
	upstream_close(w->up, up_gone, w);
}

static void
caller_closed(void *owner)
{
	struct caller *c = owner;
	struct worker *w = c->w;

	if (++w->closed == w->count) {
		worker_end(w);
	}
}

static void
caller_ended(void *owner, int error)
{
	(void)owner;
	(void)error;
}

static void
caller_received(void *owner, struct span bytes)
{
	(void)owner;
	(void)bytes;
}

static const struct stream_calls caller_calls = {
	.received = caller_received,
	.ended = caller_ended,
	.closed = caller_closed,
};

static void
caller_done(void *owner, int status)
{
	struct caller *c = owner;
	struct worker *w = c->w;
	struct broker_info info;

	assert_false(w->inside);
	c->done++;
	c->status = status;
	w->done++;
	broker_read(w->broker, &info);
	if (info.pending > w->most_pending) {
		w->most_pending = info.pending;
	}
	w->step(w, c);
}

static void
call(struct worker *w, unsigned i)
{
	struct caller *c = &w->caller[i];

	c->w = w;
	stream_init(&c->s, w->loop, &caller_calls, c, 1, 0);
	w->inside = true;
	upstream_dial(w->up, &c->dial, &c->s, caller_done, c);
	w->inside = false;
}

static void
call_all(struct loop_message *message)
{
	struct worker *w = list_entry(message, struct worker, begin);

	for (unsigned i = 0; i < w->count; i++) {
		call(w, i);
	}
}

static void
changed(void *owner, enum broker_state state)
{
	struct worker *w = owner;

	if (w->changes < 8) {
		w->states[w->changes++] = state;
	}
}

static void
no_timer(void *owner)
{
	(void)owner;
}

static void
worker_init(struct worker *w, struct broker *broker, const char *path, unsigned count,
            void (*timer)(void *owner))
{
	w->loop = help_loop();
	w->broker = broker;
	w->count = count;
	if (w->settings.connect_timeout == 0) {
		w->settings.connect_timeout = 30000;
	}
	w->settings.path = path;
	w->settings.retry_min = 2;
	w->settings.retry_max = 20;
	if (w->settings.pending == 0) {
		w->settings.pending = 8;
	}
	assert_int_equal(upstream_new(w->loop, broker, &w->settings, &w->up), 0);
	assert_int_equal(loop_timer_init(w->loop, &w->timer, timer, w), 0);
	upstream_watch(w->up, changed, w);
	if (w->begin.run == NULL) {
		w->begin.run = call_all;
	}
	loop_post(w->loop, &w->begin);
}

static void
hang_up(struct worker *w, struct caller *c)
{
	(void)w;
	stream_close(&c->s);
}

static struct broker *
new_broker(void)
{
	struct broker *broker = NULL;

	assert_int_equal(broker_new(&broker), 0);
	return broker;
}

static void
broker_end(struct broker *broker)
{
	struct broker_info info;

	broker_read(broker, &info);
	assert_int_equal(info.pending, 0);
	broker_free(broker);
}

/* ---- pacing ----------------------------------------------------------------------- */

static struct acceptor *late_acceptor;

static void
start_late(void *owner)
{
	(void)owner;
	acceptor_start(late_acceptor);
}

static void
a_crowd_fits_a_small_backlog(void **state)
{
	struct acceptor a = { .fd = -1 };
	struct broker *broker = new_broker();
	struct worker *w = calloc(1, sizeof *w);
	struct broker_info info;

	(void)state;
	help_folder_make(&a.folder);
	acceptor_listen(&a, BACKLOG);
	late_acceptor = &a;
	w->step = hang_up;
	worker_init(w, broker, a.folder.path, CROWD, start_late);
	/* The backlog is full before anything is accepted. */
	loop_timer_start(&w->timer, 40);
	help_run(w->loop);
	assert_int_equal(w->done, CROWD);
	for (unsigned i = 0; i < CROWD; i++) {
		assert_int_equal(w->caller[i].done, 1);
		assert_int_equal(w->caller[i].status, 0);
	}
	assert_in_range(w->most_pending, 1, 8);
	broker_read(broker, &info);
	assert_int_equal(info.state, BROKER_UP);
	assert_int_equal(info.dials, CROWD + 1); /* and the probe at the start */
	assert_int_equal(info.failures, 0);
	acceptor_end(&a);
	free(w);
	broker_end(broker);
}

static void
two_workers_share_the_permits(void **state)
{
	struct acceptor a = { .fd = -1 };
	struct broker *broker = new_broker();
	struct worker *w = calloc(2, sizeof *w);

	(void)state;
	help_folder_make(&a.folder);
	acceptor_listen(&a, 2);
	acceptor_start(&a);
	for (int i = 0; i < 2; i++) {
		w[i].step = hang_up;
		w[i].settings.pending = 3;
		worker_init(&w[i], broker, a.folder.path, CROWD, no_timer);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(loop_start(w[i].loop), 0);
	}
	for (int i = 0; i < 2; i++) {
		loop_join(w[i].loop);
		assert_int_equal(loop_free(w[i].loop), 0);
		assert_int_equal(w[i].done, CROWD);
		assert_true(w[i].most_pending <= 3);
		for (unsigned k = 0; k < CROWD; k++) {
			assert_int_equal(w[i].caller[k].status, 0);
		}
	}
	acceptor_end(&a);
	free(w);
	broker_end(broker);
}

/* ---- away and back ---------------------------------------------------------------- */

static void
call_none(struct loop_message *message)
{
	(void)message;
}

/* 0: finds nobody. 1: refused at once. Then the broker comes, 2: connects. */
static void
away_step(struct worker *w, struct caller *c)
{
	struct broker_info info;

	stream_close(&c->s);
	broker_read(w->broker, &info);
	if (c == &w->caller[0]) {
		assert_int_equal(info.state, BROKER_AWAY);
		call(w, 1);
	} else if (c == &w->caller[1]) {
		acceptor_listen(late_acceptor, BACKLOG);
	}
}

static void
away_changed(void *owner, enum broker_state state)
{
	struct worker *w = owner;

	changed(owner, state);
	if (state == BROKER_UP) {
		call(w, 2);
	}
}

static void
the_broker_goes_and_comes_back(void **state)
{
	static struct help_log log = { .message = "broker is back" };
	struct acceptor a = { .fd = -1 };
	struct broker *broker = new_broker();
	struct worker *w = calloc(1, sizeof *w);
	struct broker_info info;

	(void)state;
	log_setup(LOG_LEVEL_INFO, help_log_sink, &log);
	help_folder_make(&a.folder);
	late_acceptor = &a;
	w->step = away_step;
	w->begin.run = call_none;
	worker_init(w, broker, a.folder.path, 3, no_timer);
	upstream_watch(w->up, away_changed, w);
	call(w, 0); /* before the probe finds out */
	help_run(w->loop);
	assert_int_equal(w->caller[0].status, -ENOENT);
	assert_int_equal(w->caller[1].status, ERR_UNAVAILABLE);
	assert_int_equal(w->caller[2].status, 0);
	assert_int_equal(w->changes, 2);
	assert_int_equal(w->states[0], BROKER_AWAY);
	assert_int_equal(w->states[1], BROKER_UP);
	assert_int_equal(log.count, 1);
	broker_read(broker, &info);
	assert_int_equal(info.last_error, -ENOENT);
	acceptor_end(&a);
	free(w);
	broker_end(broker);
	log.message = NULL; /* the sink stays */
}

/* The prober leaves; the other worker takes over. */
static void
leave_when_away(void *owner, enum broker_state state)
{
	if (state == BROKER_AWAY) {
		worker_end(owner);
	}
}

static void
end_when_up(void *owner, enum broker_state state)
{
	if (state == BROKER_UP) {
		worker_end(owner);
	}
}

static void
another_worker_takes_over_the_probe(void **state)
{
	struct acceptor a = { .fd = -1 };
	struct broker *broker = new_broker();
	struct worker *w = calloc(2, sizeof *w);

	(void)state;
	help_folder_make(&a.folder);
	for (int i = 0; i < 2; i++) {
		w[i].begin.run = call_none;
		worker_init(&w[i], broker, a.folder.path, 0, no_timer);
		upstream_watch(w[i].up, i == 0 ? leave_when_away : end_when_up, &w[i]);
	}
	help_run(w[0].loop);
	acceptor_listen(&a, BACKLOG);
	help_run(w[1].loop);
	acceptor_end(&a);
	free(w);
	broker_end(broker);
}

/* ---- frozen ----------------------------------------------------------------------- */

static uint64_t dials_when_frozen;

/* 0: connects, then somebody finds the broker frozen. 1: is refused. */
static void
frozen_step(struct worker *w, struct caller *c)
{
	struct broker_info info;

	stream_close(&c->s);
	if (c == &w->caller[0]) {
		broker_frozen(w->broker);
		broker_frozen(w->broker);
	} else if (c == &w->caller[1]) {
		broker_read(w->broker, &info);
		assert_true(info.frozen);
		dials_when_frozen = info.dials;
		/* Many times longer than between two probes. */
		loop_timer_start(&w->timer, 100);
	}
}

static void
frozen_changed(void *owner, enum broker_state state)
{
	struct worker *w = owner;

	changed(owner, state);
	if (state == BROKER_AWAY) {
		call(w, 1);
	} else if (w->caller[1].done) {
		call(w, 2);
	}
}

static void
still_frozen(void *owner)
{
	struct worker *w = owner;
	struct broker_info info;

	broker_read(w->broker, &info);
	assert_int_equal(info.state, BROKER_AWAY);
	assert_int_equal(info.dials, dials_when_frozen); /* nor was it probed */
	broker_alive(w->broker);
	broker_alive(w->broker);
}

static void
now_gone(void *owner)
{
	struct worker *w = owner;

	broker_gone(w->broker);
	broker_gone(w->broker);
}

static void
run_frozen(void (*end)(void *owner))
{
	struct acceptor a = { .fd = -1 };
	struct broker *broker = new_broker();
	struct worker *w = calloc(1, sizeof *w);
	struct broker_info info;

	help_folder_make(&a.folder);
	acceptor_listen(&a, BACKLOG);
	acceptor_start(&a);
	w->step = frozen_step;
	w->begin.run = call_none;
	worker_init(w, broker, a.folder.path, 3, end);
	upstream_watch(w->up, frozen_changed, w);
	call(w, 0);
	help_run(w->loop);
	assert_int_equal(w->caller[0].status, 0);
	assert_int_equal(w->caller[1].status, ERR_UNAVAILABLE);
	assert_int_equal(w->caller[2].status, 0);
	assert_int_equal(w->states[w->changes - 2], BROKER_AWAY);
	assert_int_equal(w->states[w->changes - 1], BROKER_UP);
	broker_read(broker, &info);
	assert_false(info.frozen);
	acceptor_end(&a);
	free(w);
	broker_end(broker);
}

static void
only_an_answer_ends_a_frozen_broker(void **state)
{
	(void)state;
	run_frozen(still_frozen);
}

static void
a_frozen_broker_that_goes_is_probed_again(void **state)
{
	(void)state;
	run_frozen(now_gone);
}

/* A dial of before connects afterwards: that is the kernel's doing. */
static void
freeze_at_once(struct loop_message *message)
{
	struct worker *w = list_entry(message, struct worker, begin);

	call(w, 0);
	broker_frozen(w->broker);
}

static void
a_late_connection_does_not_end_it(void **state)
{
	struct acceptor a = { .fd = -1 };
	struct broker *broker = new_broker();
	struct worker *w = calloc(1, sizeof *w);
	struct broker_info info;

	(void)state;
	help_folder_make(&a.folder);
	acceptor_listen(&a, BACKLOG);
	acceptor_start(&a);
	w->step = hang_up;
	w->begin.run = freeze_at_once;
	worker_init(w, broker, a.folder.path, 1, no_timer);
	help_run(w->loop);
	assert_int_equal(w->caller[0].done, 1);
	broker_read(broker, &info);
	assert_int_equal(info.state, BROKER_AWAY);
	assert_true(info.frozen);
	acceptor_end(&a);
	free(w);
	broker_end(broker);
}

/* ---- deadline and cancelling ------------------------------------------------------ */

/* A listener whose backlog is full for good. */
static void
fill_backlog(struct acceptor *a, int *fd, int count)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	memcpy(to.sun_path, a->folder.path, strlen(a->folder.path) + 1);
	for (int i = 0; i < count; i++) {
		fd[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(connect(fd[i], (struct sockaddr *)&to, sizeof to), 0);
	}
}

static void
a_full_backlog_meets_the_deadline(void **state)
{
	struct acceptor a = { .fd = -1 };
	struct broker *broker = new_broker();
	struct worker *w = calloc(1, sizeof *w);
	struct broker_info info;
	int fd[2];

	(void)state;
	help_folder_make(&a.folder);
	acceptor_listen(&a, 1);
	fill_backlog(&a, fd, 2);
	w->step = hang_up;
	w->settings.connect_timeout = 50;
	w->settings.pending = 2;
	worker_init(w, broker, a.folder.path, 5, no_timer);
	help_run(w->loop);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(w->caller[i].done, 1);
		assert_int_equal(w->caller[i].status, ERR_TIMEOUT);
	}
	broker_read(broker, &info);
	assert_int_equal(info.state, BROKER_UNKNOWN); /* busy is not away */
	close(fd[0]);
	close(fd[1]);
	acceptor_end(&a);
	free(w);
	broker_end(broker);
}

static void
cancel(struct worker *w, unsigned i)
{
	upstream_cancel(&w->caller[i].dial);
	upstream_cancel(&w->caller[i].dial);
	stream_close(&w->caller[i].s);
}

static void
cancel_rest(void *owner)
{
	struct worker *w = owner;

	assert_int_equal(w->done, 0);
	cancel(w, 1); /* waits for a permit */
	cancel(w, 0); /* has it and finds the backlog full */
	cancel(w, 2); /* got the permit of the first */
}

static void
cancelled_dials_are_silent(void **state)
{
	struct acceptor a = { .fd = -1 };
	struct broker *broker = new_broker();
	struct worker *w = calloc(1, sizeof *w);
	int fd[2];

	(void)state;
	help_folder_make(&a.folder);
	acceptor_listen(&a, 1);
	fill_backlog(&a, fd, 2);
	w->settings.pending = 1;
	worker_init(w, broker, a.folder.path, 3, cancel_rest);
	loop_timer_start(&w->timer, 20);
	help_run(w->loop);
	assert_int_equal(w->done, 0);
	close(fd[0]);
	close(fd[1]);
	acceptor_end(&a);
	free(w);
	broker_end(broker);
}

/* Connected, not yet told (unix: at once); and over, not yet told. */
static void
call_and_cancel(struct loop_message *message)
{
	struct worker *w = list_entry(message, struct worker, begin);

	call(w, 0);
	call(w, 1);
	cancel(w, 1);
	cancel(w, 0);
}

static void
cancelling_at_once_is_silent(void **state)
{
	(void)state;
	for (int there = 0; there < 2; there++) {
		struct acceptor a = { .fd = -1 };
		struct broker *broker = new_broker();
		struct worker *w = calloc(1, sizeof *w);

		help_folder_make(&a.folder);
		if (there) {
			acceptor_listen(&a, BACKLOG);
		}
		w->begin.run = call_and_cancel;
		worker_init(w, broker, a.folder.path, 2, no_timer);
		help_run(w->loop);
		assert_int_equal(w->done, 0);
		acceptor_end(&a);
		free(w);
		broker_end(broker);
	}
}

/* ---- TCP -------------------------------------------------------------------------- */

static void
tcp_works_too(void **state)
{
	(void)state;
	for (int there = 0; there < 2; there++) {
		struct broker *broker = new_broker();
		struct worker *w = calloc(1, sizeof *w);
		struct broker_info info;
		int fd = help_listen_tcp(&w->settings.port, BACKLOG);

		if (!there) {
			close(fd);
		}
		w->step = hang_up;
		w->settings.address = "127.0.0.1";
		worker_init(w, broker, NULL, 1, no_timer);
		help_run(w->loop);
		broker_read(broker, &info);
		assert_int_equal(w->caller[0].status, there ? 0 : -ECONNREFUSED);
		assert_int_equal(info.state, there ? BROKER_UP : BROKER_AWAY);
		if (there) {
			close(fd);
		}
		free(w);
		broker_end(broker);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crowd_fits_a_small_backlog),
		cmocka_unit_test(two_workers_share_the_permits),
		cmocka_unit_test(the_broker_goes_and_comes_back),
		cmocka_unit_test(another_worker_takes_over_the_probe),
		cmocka_unit_test(only_an_answer_ends_a_frozen_broker),
		cmocka_unit_test(a_frozen_broker_that_goes_is_probed_again),
		cmocka_unit_test(a_late_connection_does_not_end_it),
		cmocka_unit_test(a_full_backlog_meets_the_deadline),
		cmocka_unit_test(cancelled_dials_are_silent),
		cmocka_unit_test(cancelling_at_once_is_silent),
		cmocka_unit_test(tcp_works_too),
	};

	alarm(HELP_LIMIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
