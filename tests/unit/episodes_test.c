/* SPDX-License-Identifier: BSD-2-Clause */
/* Episodes: repeats collapse, success ends them, strangers wash nobody out. */
#include "unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "session/episodes.h"

static struct episodes *all;

static int
make(void **state)
{
	(void)state;
	return episodes_new(&all);
}

static int
unmake(void **state)
{
	(void)state;
	episodes_free(all);
	return 0;
}

/* A device that presents no certificate; reason 199 of library 20. */
static struct episode_news
attempt(const char *address, const char *identity, int reason)
{
	struct diagnose_evidence e = { .hello_state = HELLO_READ, .end = END_CLOSED,
		.errors = { { 20, reason } }, .error_count = 1, .first = { 22, 3, 1 },
		.first_len = 3 };
	struct episode_news news;

	snprintf(e.address, sizeof e.address, "%s", address);
	snprintf(e.certificate.identity, sizeof e.certificate.identity, "%s", identity);
	episodes_note(all, identity, &e, &news);
	return news;
}

static size_t
list(const struct episode_filter *filter, struct episode *first)
{
	struct episode *e;
	size_t count;

	assert_int_equal(episodes_list(all, filter, &e, &count), 0);
	if (count > 0) {
		*first = e[0];
	}
	free(e);
	return count;
}

#define NO_CERTIFICATE 199
#define WRONG_KEY 123

static void
repeats_collapse(void **state)
{
	struct episode_filter any = { .most = 10 };
	struct episode e;
	unsigned told = 0;

	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		struct episode_news news = attempt("192.0.2.1", "", NO_CERTIFICATE);

		assert_int_equal(news.verdict.cause, CAUSE_NO_CERTIFICATE);
		assert_int_equal(news.count, i + 1);
		told += news.tell;
	}
	assert_int_equal(told, 4); /* the 1st, 2nd, 4th and 8th */
	assert_int_equal(list(&any, &e), 1);
	assert_int_equal(e.count, 9);
	assert_true(e.open);
	assert_true(e.reasons[0] != '\0');
	assert_int_equal(episodes_count(all, CAUSE_NO_CERTIFICATE), 9);
	/* Another cause, another device: episodes of their own, newest first. */
	assert_true(attempt("192.0.2.1", "pump", WRONG_KEY).tell);
	assert_true(attempt("192.0.2.1", "mill", WRONG_KEY).tell);
	assert_int_equal(list(&any, &e), 3);
	assert_string_equal(e.identity, "mill");
	any.identity = "pump";
	assert_int_equal(list(&any, &e), 1);
	assert_string_equal(e.identity, "pump");
	any = (struct episode_filter){ .most = 10, .after = e.serial };
	assert_int_equal(list(&any, &e), 1); /* mill came later */
}

/* The register quotes a name that a stranger gave itself. */
static void
words_of_the_register_are_clean(void **state)
{
	struct diagnose_evidence e = { .address = "192.0.2.7", .end = END_CLOSED,
		.admit = ADMIT_UNKNOWN, .certificate = { .present = true, .identity = "?" },
		.admit_why = "the certificate of \x1b[2J\xc2\x9b" "1m\xc3 is self-signed" };
	struct episode_news news;

	(void)state;
	episodes_note(all, "", &e, &news);
	assert_int_equal(news.verdict.cause, CAUSE_NOT_REGISTERED);
	assert_string_equal(news.verdict.sentence, "Device \"?\" is refused: the certificate of "
	                                           "?[2J??1m? is self-signed.");
}

static void
success_ends_them(void **state)
{
	struct episode_filter any = { .most = 10 };
	struct episode e;

	(void)state;
	attempt("192.0.2.1", "pump", WRONG_KEY);
	assert_int_equal(episodes_open(all), 1);
	episodes_success(all, "192.0.2.9", "mill", "", 500);
	assert_int_equal(episodes_open(all), 1);
	episodes_success(all, "192.0.2.1", "pump", "", 500);
	assert_int_equal(episodes_open(all), 0);
	assert_int_equal(list(&any, &e), 1);
	assert_false(e.open);
}

static void
strangers_wash_nobody_out(void **state)
{
	struct episode_filter pump = { .most = 10, .identity = "pump" };
	struct episode_filter fresh = { .most = 10, .identity = "fresh" };
	struct episode_filter any = { .most = 100000 };
	struct history_episode *story;
	struct episode e;
	size_t count;
	char address[32];

	(void)state;
	episodes_success(all, "192.0.2.1", "pump", "", 500);
	attempt("192.0.2.1", "pump", WRONG_KEY);
	attempt("192.0.2.2", "fresh", WRONG_KEY); /* proved, and never seen before */
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(address, sizeof address, "2001:db8::%x", i);
		attempt(address, "", NO_CERTIFICATE);
	}
	assert_int_equal(list(&pump, &e), 1);
	assert_int_equal(e.verdict.cause, CAUSE_WRONG_KEY);
	assert_int_equal(list(&fresh, &e), 1);
	assert_true(list(&any, &e) < 200);
	assert_int_equal(episodes_story(all, HISTORY_DEVICE, "pump", &story, &count), 0);
	assert_int_equal(count, 2);
	free(story);
	assert_int_equal(episodes_story(all, HISTORY_DEVICE, "nobody", &story, &count),
	                 ERR_NOT_FOUND);
}

static void
scans_are_counted_only(void **state)
{
	struct diagnose_evidence e = { .address = "192.0.2.7", .end = END_FIN };
	struct episode_filter any = { .most = 10 };
	struct episode_news news;
	struct episode first;

	(void)state;
	episodes_note(all, "", &e, &news);
	assert_int_equal(news.verdict.cause, CAUSE_NO_WORD);
	assert_false(news.tell);
	assert_int_equal(news.count, 0);
	assert_int_equal(list(&any, &first), 0);
	assert_int_equal(episodes_count(all, CAUSE_NO_WORD), 1);
}

static void
randoms_and_takeovers(void **state)
{
	uint8_t random[HELLO_RANDOM] = { 0, 0, 0, 0, 7 };
	unsigned addresses;

	(void)state;
	assert_false(episodes_random(all, "192.0.2.1", random));
	assert_false(episodes_random(all, "192.0.2.2", random));
	assert_true(episodes_random(all, "192.0.2.1", random));
	assert_int_equal(episodes_takeover(all, "pump", "192.0.2.1", &addresses), 1);
	assert_int_equal(episodes_takeover(all, "pump", "192.0.2.2", &addresses), 2);
	assert_int_equal(addresses, 2);
	assert_int_equal(episodes_takeover(all, "mill", "192.0.2.1", &addresses), 1);
	assert_int_equal(addresses, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(repeats_collapse, make, unmake),
		cmocka_unit_test_setup_teardown(words_of_the_register_are_clean, make, unmake),
		cmocka_unit_test_setup_teardown(success_ends_them, make, unmake),
		cmocka_unit_test_setup_teardown(strangers_wash_nobody_out, make, unmake),
		cmocka_unit_test_setup_teardown(scans_are_counted_only, make, unmake),
		cmocka_unit_test_setup_teardown(randoms_and_takeovers, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
