/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/loop_help.h"

#include <signal.h>

/* ---- timers ----------------------------------------------------------------------- */

struct timers {
	struct loop *loop;
	struct loop_timer slow, quick, never;
	char trace[16];
	unsigned closed;
};

static void
timers_closed(void *owner)
{
	struct timers *t = owner;

	if (++t->closed == 3) {
		loop_stop(t->loop);
	}
}

static void
slow_fired(void *owner)
{
	struct timers *t = owner;

	strcat(t->trace, "s");
	loop_timer_close(&t->slow, timers_closed);
	loop_timer_close(&t->quick, timers_closed);
	loop_timer_close(&t->never, timers_closed);
	assert_int_equal(t->closed, 0);
}

static void
quick_fired(void *owner)
{
	struct timers *t = owner;

	strcat(t->trace, "q");
	assert_false(loop_timer_active(&t->quick));
	loop_timer_stop(&t->never);
}

static void
never_fired(void *owner)
{
	struct timers *t = owner;

	strcat(t->trace, "n");
}

static void
timers_fire_in_order(void **state)
{
	struct timers t = { .loop = help_loop() };

	(void)state;
	assert_int_equal(loop_timer_init(t.loop, &t.slow, slow_fired, &t), 0);
	assert_int_equal(loop_timer_init(t.loop, &t.quick, quick_fired, &t), 0);
	assert_int_equal(loop_timer_init(t.loop, &t.never, never_fired, &t), 0);
	loop_timer_start(&t.slow, 1);
	loop_timer_start(&t.slow, 40); /* started again: from now */
	loop_timer_start(&t.quick, 5);
	loop_timer_start(&t.never, 20);
	assert_true(loop_timer_active(&t.quick));
	help_run(t.loop);
	assert_string_equal(t.trace, "qs");
	assert_int_equal(t.closed, 3);
}

/* ---- work put off ----------------------------------------------------------------- */

struct work {
	struct loop *loop;
	struct loop_deferred item[8];
	struct loop_message mail;
	char trace[32];
	unsigned run;
};

static void
work_mail(struct loop_message *message)
{
	struct work *w = list_entry(message, struct work, mail);

	strcat(w->trace, "m");
}

static void
work_run(void *owner)
{
	struct work *w = owner;

	strcat(w->trace, "d");
	if (++w->run == 1) {
		loop_post(w->loop, &w->mail);
	} else if (w->run == 2) {
		loop_defer_cancel(&w->item[7]);
	} else if (w->run == 7) {
		assert_int_equal(loop_deferred_count(w->loop), 0);
		loop_stop(w->loop);
	}
}

static void
deferred_work_keeps_its_budget(void **state)
{
	struct work w = { .loop = help_loop() };

	(void)state;
	loop_defer_budget(w.loop, 3);
	w.mail.run = work_mail;
	for (int i = 0; i < 8; i++) {
		list_init(&w.item[i].node);
		w.item[i].run = work_run;
		w.item[i].owner = &w;
		loop_defer(w.loop, &w.item[i]);
		loop_defer(w.loop, &w.item[i]); /* once is enough */
	}
	assert_int_equal(loop_deferred_count(w.loop), 8);
	help_run(w.loop);
	/* Three a turn, input between the turns, one cancelled. */
	assert_string_equal(w.trace, "dddmdddd");
}

static void
soon_run(void *owner)
{
	struct work *w = owner;

	strcat(w->trace, "s");
	if (++w->run < 4) {
		loop_soon(w->loop, &w->item[0]);
	} else {
		loop_stop(w->loop);
	}
}

static void
mark_run(void *owner)
{
	strcat(((struct work *)owner)->trace, "d");
}

/* However long the queue is. */
static void
soon_is_not_behind_what_is_deferred(void **state)
{
	struct work w = { .loop = help_loop() };

	(void)state;
	loop_defer_budget(w.loop, 1);
	for (int i = 0; i < 8; i++) {
		list_init(&w.item[i].node);
		w.item[i].run = i == 0 ? soon_run : mark_run;
		w.item[i].owner = &w;
	}
	for (int i = 1; i < 8; i++) {
		loop_defer(w.loop, &w.item[i]);
	}
	loop_soon(w.loop, &w.item[0]);
	help_run(w.loop);
	assert_memory_equal(w.trace, "sdsdsds", 7);
}

/* Work that queues itself again gets one run per turn. */
static void
again_run(void *owner)
{
	struct work *w = owner;

	strcat(w->trace, "d");
	if (++w->run < 3) {
		loop_post(w->loop, &w->mail);
		loop_defer(w->loop, &w->item[0]);
	} else {
		loop_stop(w->loop);
	}
}

static void
deferred_work_may_queue_itself(void **state)
{
	struct work w = { .loop = help_loop(), .mail.run = work_mail };

	(void)state;
	loop_defer_budget(w.loop, 5);
	list_init(&w.item[0].node);
	w.item[0].run = again_run;
	w.item[0].owner = &w;
	loop_defer(w.loop, &w.item[0]);
	help_run(w.loop);
	assert_string_equal(w.trace, "dmdmd");
}

/* ---- mailbox ---------------------------------------------------------------------- */

#define SENDERS 4
#define LETTERS 5000

struct letter {
	struct loop_message message;
	struct sender *from;
	unsigned number;
};

struct sender {
	struct loop *loop;
	pthread_t thread;
	struct letter letter[LETTERS];
	unsigned next; /* the loop's thread */
	bool wrong;
};

static void
letter_run(struct loop_message *message)
{
	struct letter *l = list_entry(message, struct letter, message);

	if (l->number != l->from->next++ || !loop_here(l->from->loop)) {
		l->from->wrong = true;
	}
}

static void *
send_letters(void *arg)
{
	struct sender *s = arg;

	for (unsigned i = 0; i < LETTERS; i++) {
		s->letter[i] = (struct letter){ .message.run = letter_run, .from = s, .number = i };
		loop_post(s->loop, &s->letter[i].message);
	}
	return NULL;
}

static void
mail_keeps_the_order_of_each_sender(void **state)
{
	struct loop *loop = help_loop();
	struct sender *sender = calloc(SENDERS, sizeof *sender);

	(void)state;
	assert_non_null(sender);
	assert_int_equal(loop_start(loop), 0);
	assert_false(loop_here(loop));
	for (int i = 0; i < SENDERS; i++) {
		sender[i].loop = loop;
		assert_int_equal(pthread_create(&sender[i].thread, NULL, send_letters,
		                                &sender[i]), 0);
	}
	for (int i = 0; i < SENDERS; i++) {
		pthread_join(sender[i].thread, NULL);
	}
	loop_stop(loop); /* all that was posted before is run */
	loop_join(loop);
	for (int i = 0; i < SENDERS; i++) {
		assert_int_equal(sender[i].next, LETTERS);
		assert_false(sender[i].wrong);
	}
	assert_int_equal(loop_free(loop), 0);
	free(sender);
}

/* ---- the end ---------------------------------------------------------------------- */

static void
a_handle_left_open_is_named(void **state)
{
	static struct help_log log = { .message = "a handle was left open" };
	struct loop *loop = help_loop();
	struct loop_timer timer;

	(void)state;
	log_setup(LOG_LEVEL_INFO, help_log_sink, &log);
	assert_int_equal(loop_timer_init(loop, &timer, never_fired, NULL), 0);
	loop_stop(loop);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(loop_free(loop), -EBUSY);
	assert_int_equal(log.count, 1);
	assert_string_equal(log.field, "timer");
	loop_timer_close(&timer, NULL);
	assert_int_equal(loop_free(loop), 0);
	log.message = NULL; /* the sink stays */
}

struct caught {
	struct loop *loop;
	struct loop_signal signal;
	struct loop_message kick;
	int signum;
};

static void
on_signal(void *owner, int signum)
{
	struct caught *c = owner;

	c->signum = signum;
	loop_signal_close(&c->signal);
	loop_stop(c->loop);
}

static void
raise_it(struct loop_message *message)
{
	(void)message;
	raise(SIGUSR1);
}

static void
signals_arrive(void **state)
{
	struct caught c = { .loop = help_loop(), .kick.run = raise_it };

	(void)state;
	assert_int_equal(loop_signal_start(c.loop, &c.signal, SIGUSR1, on_signal, &c), 0);
	loop_post(c.loop, &c.kick);
	help_run(c.loop);
	assert_int_equal(c.signum, SIGUSR1);
}

/* ---- descriptors of a library ------------------------------------------------------ */

struct polled {
	struct loop *loop;
	struct loop_poll poll;
	int fd[2];
	unsigned reads, writes, closed;
};

static void
polled_closed(void *owner)
{
	struct polled *p = owner;

	p->closed++;
	loop_stop(p->loop);
}

/* Level triggered: what is not read is told again. The number may be reused at once. */
static void
polled_ready(void *owner, bool readable, bool writable)
{
	struct polled *p = owner;
	char byte;

	p->reads += readable;
	p->writes += writable;
	if (p->reads == 1 && readable) {
		loop_poll_want(&p->poll, true, false); /* as it is */
	} else if (p->reads == 2 && readable) {
		assert_int_equal(read(p->fd[0], &byte, 1), 1);
		loop_poll_want(&p->poll, false, true);
	} else if (writable) {
		int fd = p->fd[0];

		close(fd);
		loop_poll_close(&p->poll, polled_closed);
		loop_poll_close(&p->poll, NULL); /* once is enough */
		loop_poll_want(&p->poll, true, true); /* too late, and harmless */
	}
}

static void
a_descriptor_is_watched(void **state)
{
	struct polled p = { .loop = help_loop() };

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fd), 0);
	assert_int_equal(write(p.fd[1], "x", 1), 1);
	assert_int_equal(loop_poll_open(p.loop, &p.poll, p.fd[0], polled_ready, &p), 0);
	help_run(p.loop);
	assert_int_equal(p.reads, 2);
	assert_int_equal(p.writes, 1);
	assert_int_equal(p.closed, 1);
	close(p.fd[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_in_order),
		cmocka_unit_test(deferred_work_keeps_its_budget),
		cmocka_unit_test(deferred_work_may_queue_itself),
		cmocka_unit_test(soon_is_not_behind_what_is_deferred),
		cmocka_unit_test(mail_keeps_the_order_of_each_sender),
		cmocka_unit_test(a_handle_left_open_is_named),
		cmocka_unit_test(signals_arrive),
		cmocka_unit_test(a_descriptor_is_watched),
	};

	alarm(HELP_LIMIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
