/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory of addresses and devices, alone and in a crowd. */
#include "unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "diagnose/history.h"

static const struct history_limits limits = {
	.known = 4, .returning = 4, .fresh = 8, .episodes = 3
};

static struct history *
make(void)
{
	struct history *h;

	assert_int_equal(history_new(&limits, 0x5eed, &h), 0);
	return h;
}

static struct history_time
at(uint64_t ms)
{
	return (struct history_time){ .ms = 1000000 + ms, .wall = 1700000000 + (int64_t)(ms / 1000) };
}

static void
failed(struct history *h, const char *key, uint64_t ms, enum diagnose_cause cause)
{
	struct diagnose_verdict v = { .cause = cause, .sentence = "It failed." };

	assert_int_equal(history_failure(h, HISTORY_ADDRESS, key, at(ms), &v), 0);
}

static void
succeed(struct history *h, const char *key, uint64_t ms)
{
	assert_int_equal(history_success(h, HISTORY_ADDRESS, key, at(ms), "ca1", 492), 0);
}

/* ---- a story ----------------------------------------------------------------------- */

struct told {
	unsigned count;
	struct history_episode episodes[8];
};

static void
hear(void *owner, enum history_kind kind, const char *key, const struct history_episode *episode)
{
	struct told *told = owner;

	(void)kind;
	assert_true(key[0] != '\0');
	assert_true(told->count < 8);
	told->episodes[told->count++] = *episode;
}

static void
test_episodes(void **state)
{
	struct history *h = make();
	struct told told = { .count = 0 };
	struct diagnose_before before;

	(void)state;
	succeed(h, "10.0.0.9", 0);
	for (unsigned i = 0; i < 100; i++) {
		failed(h, "10.0.0.9", 10000 + i * 5200, CAUSE_LOST_TIME);
	}
	assert_true(history_story(h, HISTORY_ADDRESS, "10.0.0.9", hear, &told));
	assert_false(history_story(h, HISTORY_DEVICE, "10.0.0.9", hear, &told));
	assert_int_equal(told.count, 2);
	assert_int_equal(told.episodes[0].cause, CAUSE_NOTHING);
	assert_int_equal(told.episodes[1].count, 100);
	assert_int_equal(told.episodes[1].retry_ms, 5200);
	assert_int_equal(told.episodes[1].first, at(10000).wall);
	assert_int_equal(told.episodes[1].last, at(10000 + 99 * 5200).wall);
	assert_string_equal(told.episodes[1].sentence, "It failed.");
	history_before(h, HISTORY_ADDRESS, "10.0.0.9", &before);
	assert_int_equal(before.failures, 100);
	assert_int_equal(before.retry_ms, 5200);
	assert_int_equal(before.last_success, at(0).wall);
	assert_int_equal(before.known_length, 492);
	assert_string_equal(before.ca_fingerprint, "ca1");
	succeed(h, "10.0.0.9", 700000);
	history_before(h, HISTORY_ADDRESS, "10.0.0.9", &before);
	assert_int_equal(before.failures, 0);
	history_before(h, HISTORY_ADDRESS, "10.0.0.8", &before);
	assert_int_equal(before.last_success, 0);
	history_free(h);
}

/* The cap holds, the oldest goes, order is that of the last event. */
static void
test_episode_cap(void **state)
{
	struct history *h = make();
	struct told told = { .count = 0 };

	(void)state;
	succeed(h, "a", 0);
	failed(h, "a", 1000, CAUSE_LOST_TIME);
	failed(h, "a", 2000, CAUSE_NAME_MISMATCH);
	failed(h, "a", 3000, CAUSE_LOST_TIME);
	failed(h, "a", 4000, CAUSE_EXPIRED);
	assert_true(history_story(h, HISTORY_ADDRESS, "a", hear, &told));
	assert_int_equal(told.count, 3);
	assert_int_equal(told.episodes[0].cause, CAUSE_NAME_MISMATCH);
	assert_int_equal(told.episodes[1].cause, CAUSE_LOST_TIME);
	assert_int_equal(told.episodes[1].count, 2);
	assert_int_equal(told.episodes[2].cause, CAUSE_EXPIRED);
	/* After hours of peace the same cause is a new story. */
	failed(h, "a", 4000 + 2 * 3600000, CAUSE_EXPIRED);
	told.count = 0;
	assert_true(history_story(h, HISTORY_ADDRESS, "a", hear, &told));
	assert_int_equal(told.count, 3);
	assert_int_equal(told.episodes[2].count, 1);
	assert_int_equal(told.episodes[1].cause, CAUSE_EXPIRED);
	history_free(h);
}

/* A long sentence is cut between characters: it is shown as UTF-8. */
static void
test_long_sentence(void **state)
{
	struct history *h = make();
	struct diagnose_verdict v = { .cause = CAUSE_EXPIRED, .sentence = "x" };
	struct told told = { .count = 0 };

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		strcat(v.sentence, "\xc3\xa9");
	}
	assert_int_equal(history_failure(h, HISTORY_DEVICE, "d", at(0), &v), 0);
	assert_true(history_story(h, HISTORY_DEVICE, "d", hear, &told));
	assert_true(utf8_valid_strict(span_str(told.episodes[0].sentence)));
	assert_int_equal(strlen(told.episodes[0].sentence), 383);
	history_free(h);
}

/* A scan is no failure of a device. */
static void
test_scans(void **state)
{
	struct history *h = make();
	struct diagnose_before before;

	(void)state;
	failed(h, "a", 0, CAUSE_NO_WORD);
	history_before(h, HISTORY_ADDRESS, "a", &before);
	assert_int_equal(before.failures, 0);
	assert_int_equal(before.last_failure, 0);
	history_free(h);
}

/* ---- a crowd ----------------------------------------------------------------------- */

static void
test_million_strangers(void **state)
{
	struct history *h = make();
	struct diagnose_before before;
	char key[32];

	(void)state;
	succeed(h, "board", 0);
	failed(h, "board", 5000, CAUSE_LOST_TIME);
	failed(h, "new board", 5000, CAUSE_LACKS_CA);
	failed(h, "new board", 10000, CAUSE_LACKS_CA);
	for (unsigned i = 0; i < 1000000; i++) {
		snprintf(key, sizeof key, "stranger %u", i);
		failed(h, key, 20000 + i, i % 2 == 0 ? CAUSE_NO_WORD : CAUSE_LACKS_CA);
		if (i % 1000 == 0) { /* a burst from one address is still one moment */
			failed(h, key, 20000 + i, CAUSE_LACKS_CA);
		}
	}
	assert_true(history_count(h) <= limits.known + limits.returning + limits.fresh);
	history_before(h, HISTORY_ADDRESS, "board", &before);
	assert_int_equal(before.failures, 1);
	assert_int_equal(before.last_success, at(0).wall);
	history_before(h, HISTORY_ADDRESS, "new board", &before);
	assert_int_equal(before.failures, 2);
	assert_int_equal(before.retry_ms, 5000);
	history_free(h);
}

/* Even strangers that come back displace only each other. */
static void
test_quotas(void **state)
{
	struct history *h = make();
	struct diagnose_before before;
	char key[32];

	(void)state;
	succeed(h, "board", 0);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(key, sizeof key, "stranger %u", i);
		failed(h, key, i * 3000, CAUSE_LACKS_CA);
		failed(h, key, i * 3000 + 2000, CAUSE_LACKS_CA);
	}
	history_before(h, HISTORY_ADDRESS, "board", &before);
	assert_int_equal(before.last_success, at(0).wall);
	assert_int_equal(history_count(h), 1 + limits.returning);
	/* More boards than the quota: the one unseen for longest goes. */
	for (unsigned i = 0; i < limits.known; i++) {
		snprintf(key, sizeof key, "board %u", i);
		succeed(h, key, 4000000 + i);
	}
	history_before(h, HISTORY_ADDRESS, "board", &before);
	assert_int_equal(before.last_success, 0);
	history_free(h);
}

static void
test_long_keys(void **state)
{
	struct history *h = make();
	struct diagnose_before before;
	char key[400];

	(void)state;
	memset(key, 'k', sizeof key - 1);
	key[sizeof key - 1] = '\0';
	failed(h, key, 0, CAUSE_LACKS_CA);
	failed(h, key, 1, CAUSE_LACKS_CA);
	assert_int_equal(history_count(h), 1);
	history_before(h, HISTORY_ADDRESS, key, &before);
	assert_int_equal(before.failures, 2);
	history_free(h);
}

/* ---- randoms, takeovers ------------------------------------------------------------ */

static int
random_of(struct history *h, const char *key, unsigned number)
{
	uint8_t bytes[HELLO_RANDOM] = { 0 };

	memcpy(bytes + 4, &number, sizeof number);
	return history_random(h, key, at(number), bytes);
}

static void
test_randoms(void **state)
{
	struct history *h = make();

	(void)state;
	for (unsigned i = 1; i < 1000; i++) {
		assert_int_equal(random_of(h, "a", i), 0);
		assert_int_equal(random_of(h, "a", i), 1);
	}
	/* The first after a reset, and the latest, are known; elsewhere they are news. */
	assert_int_equal(random_of(h, "a", 1), 1);
	assert_int_equal(random_of(h, "a", 999), 1);
	assert_int_equal(random_of(h, "a", 998), 1);
	assert_int_equal(random_of(h, "a", 500), 0);
	assert_int_equal(random_of(h, "b", 1), 0);
	history_free(h);
}

static void
test_takeovers(void **state)
{
	struct history *h = make();
	unsigned from;

	(void)state;
	assert_int_equal(history_takeover(h, "d", "a", at(0), &from), 1);
	assert_int_equal(history_takeover(h, "d", "a", at(10000), &from), 2);
	assert_int_equal(from, 1);
	assert_int_equal(history_takeover(h, "d", "b", at(20000), &from), 3);
	assert_int_equal(from, 2);
	assert_int_equal(history_takeover(h, "e", "b", at(20000), &from), 1);
	assert_int_equal(from, 1);
	assert_int_equal(history_takeover(h, "d", "b", at(65000), &from), 3);
	assert_int_equal(from, 2); /* the first of "a" is too long ago */
	assert_int_equal(history_takeover(h, "d", "b", at(75000), &from), 3);
	assert_int_equal(from, 1); /* and now the other */
	assert_int_equal(history_takeover(h, "d", "a", at(200000), &from), 1);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(history_takeover(h, "d", i % 3 == 0 ? "a" : "b", at(200000 + i), &from) <= 8);
		assert_true(from <= 2);
	}
	history_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_episodes),
		cmocka_unit_test(test_episode_cap),
		cmocka_unit_test(test_long_sentence),
		cmocka_unit_test(test_scans),
		cmocka_unit_test(test_million_strangers),
		cmocka_unit_test(test_quotas),
		cmocka_unit_test(test_long_keys),
		cmocka_unit_test(test_randoms),
		cmocka_unit_test(test_takeovers),
	};

	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
