/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/cmocka_all.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "session/presence.h"

#define THREADS 4
#define ROUNDS 5000

static char heard[256];

static void
note(void *owner, const char *identity, bool online)
{
	(void)owner;
	strcat(heard, online ? "+" : "-");
	strcat(heard, identity);
}

static struct presence_count *
fresh(void (*changed)(void *owner, const char *identity, bool online))
{
	struct presence_count *p = NULL;

	heard[0] = '\0';
	assert_int_equal(presence_count_new(changed, NULL, &p), 0);
	return p;
}

static void
the_first_and_the_last_are_told(void **state)
{
	struct presence_count *p = fresh(note);

	(void)state;
	assert_int_equal(presence_count_enter(p, "a"), 0);
	assert_int_equal(presence_count_enter(p, "a"), 0);
	assert_int_equal(presence_count_enter(p, "b"), 0);
	presence_count_leave(p, "a");
	assert_string_equal(heard, "+a+b");
	presence_count_leave(p, "a");
	presence_count_leave(p, "b");
	assert_string_equal(heard, "+a+b-a-b");
	presence_count_leave(p, "b"); /* nobody: nothing */
	assert_string_equal(heard, "+a+b-a-b");
	presence_count_free(p);
}

/* The broker ends the older one before the newer one is in. */
static void
a_takeover_is_not_told(void **state)
{
	struct presence_count *p = fresh(note);

	(void)state;
	assert_false(presence_count_join(p, "a"));
	assert_int_equal(presence_count_enter(p, "a"), 0);
	assert_true(presence_count_join(p, "a"));
	presence_count_leave(p, "a");
	assert_string_equal(heard, "+a");
	presence_count_leave(p, "a");
	assert_string_equal(heard, "+a-a");
	presence_count_free(p);
}

static void
what_is_left_is_freed(void **state)
{
	struct presence_count *p = fresh(note);

	(void)state;
	assert_int_equal(presence_count_enter(p, "a"), 0);
	presence_count_free(p);
	presence_count_free(NULL);
}

static bool here; /* as it was told last; the lock is the table's */
static bool doubled;

static void
follow(void *owner, const char *identity, bool online)
{
	(void)owner;
	(void)identity;
	doubled = doubled || here == online;
	here = online;
}

static void *
come_and_go(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (presence_count_enter(arg, "a") == 0) {
			presence_count_leave(arg, "a");
		}
	}
	return NULL;
}

/* From many threads the changes come in order, each once. */
static void
threads_agree(void **state)
{
	struct presence_count *p = fresh(follow);
	pthread_t thread[THREADS];

	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_create(&thread[i], NULL, come_and_go, p), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
	}
	assert_false(doubled);
	assert_false(here);
	presence_count_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_and_the_last_are_told),
		cmocka_unit_test(a_takeover_is_not_told),
		cmocka_unit_test(what_is_left_is_freed),
		cmocka_unit_test(threads_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
