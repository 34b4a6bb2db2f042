/* SPDX-License-Identifier: BSD-2-Clause */
/* What the workers share: budgets, newest sessions, sightings. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit/loop_help.h"

#include "session/budget.h"
#include "session/newest.h"
#include "session/sightings.h"
#include "session/store.h"

static struct sockaddr_storage
address(const char *text)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *in = (void *)&ss;
	struct sockaddr_in6 *in6 = (void *)&ss;

	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		in6->sin6_family = AF_INET6;
	}
	return ss;
}

static enum budget_verdict
take(struct budget *b, const char *text, struct budget_key *key)
{
	struct sockaddr_storage ss = address(text);

	return budget_take(b, (struct sockaddr *)&ss, key);
}

static void
budget_counts_addresses(void **state)
{
	struct budget_key key[4], spare;
	struct budget *b;

	(void)state;
	assert_int_equal(budget_new(&b), 0);
	budget_configure(b, 4, 2);
	assert_int_equal(take(b, "192.0.2.1", &key[0]), BUDGET_OK);
	/* The same host, as a socket that listens on "::" sees it. */
	assert_int_equal(take(b, "::ffff:192.0.2.1", &key[1]), BUDGET_OK);
	assert_int_equal(take(b, "192.0.2.1", &spare), BUDGET_ADDRESS);
	/* One /64 is one address. */
	assert_int_equal(take(b, "2001:db8::1", &key[2]), BUDGET_OK);
	assert_int_equal(take(b, "2001:db8::ffff:1", &key[3]), BUDGET_OK);
	assert_int_equal(take(b, "192.0.2.2", &spare), BUDGET_TOTAL);
	budget_give(b, &key[2]);
	assert_int_equal(take(b, "2001:db8:0:1::1", &key[2]), BUDGET_OK);
	budget_give(b, &key[0]);
	assert_int_equal(take(b, "2001:db8::5", &key[0]), BUDGET_OK);
	for (int i = 0; i < 4; i++) {
		budget_give(b, &key[i]);
	}
	budget_give(b, &key[0]); /* once too often changes nothing */
	assert_int_equal(budget_used(b), 0);
	budget_free(b);
}

/* Against a plain table, through growth and removals in random order. */
static void
budget_agrees_with_a_plain_table(void **state)
{
	enum { HOSTS = 700, HELD = 4000 };
	static unsigned count[HOSTS], host[HELD];
	static struct budget_key key[HELD];
	unsigned held = 0;
	struct budget *b;

	(void)state;
	assert_int_equal(budget_new(&b), 0);
	budget_configure(b, HELD, 9);
	srand(7);
	for (int round = 0; round < 60000; round++) {
		unsigned h = (unsigned)rand() % HOSTS, i;
		char text[32];

		if (rand() % 3 > 0) {
			enum budget_verdict want = held == HELD ? BUDGET_TOTAL :
			                           count[h] == 9 ? BUDGET_ADDRESS : BUDGET_OK;
			struct budget_key k;

			snprintf(text, sizeof text, "10.%u.%u.1", h / 250, h % 250);
			assert_int_equal(take(b, text, &k), want);
			if (want == BUDGET_OK) {
				count[h]++;
				host[held] = h;
				key[held++] = k;
			}
		} else if (held > 0) {
			i = (unsigned)rand() % held;
			budget_give(b, &key[i]);
			count[host[i]]--;
			key[i] = key[--held];
			host[i] = host[held];
		}
		assert_int_equal(budget_used(b), held);
	}
	budget_free(b);
}

static void
newest_tells_a_takeover(void **state)
{
	struct newest_entry first = { .loop = NULL }, second = first, other = first;
	struct newest *n;

	(void)state;
	assert_int_equal(newest_new(&n), 0);
	list_init(&first.node);
	list_init(&second.node);
	list_init(&other.node);
	assert_false(newest_superseded(n, &first));
	newest_enter(n, &first, span_str("board"));
	newest_enter(n, &other, span_str("boar"));
	assert_false(newest_superseded(n, &first));
	newest_enter(n, &second, span_str("board"));
	assert_true(newest_superseded(n, &first));
	assert_false(newest_superseded(n, &second));
	assert_false(newest_superseded(n, &other));
	newest_leave(n, &second);
	assert_false(newest_superseded(n, &first));
	newest_leave(n, &first);
	newest_leave(n, &first);
	newest_leave(n, &other);
	newest_free(n);
}

struct listener_of_news {
	struct newest_entry entry;
	struct newest *newest;
	unsigned heard;
};

static void
hear(struct loop_message *message)
{
	struct newest_entry *entry = list_entry(message, struct newest_entry, message);
	struct listener_of_news *l = list_entry(entry, struct listener_of_news, entry);

	newest_heard(l->newest, entry);
	l->heard++;
}

static struct loop *loop_of_news;

static void
end_of_news(struct loop_message *message)
{
	(void)message;
	loop_stop(loop_of_news);
}

/* Once for all that are newer by the time it hears; never again when it is hushed. */
static void
newest_tells_the_older_ones(void **state)
{
	struct listener_of_news l[5] = { 0 };
	struct loop_message end = { .run = end_of_news };
	const char *const id[] = { "board", "boar", "board", "board", "board" };
	const unsigned heard[] = { 1, 0, 0, 1, 0 };
	struct newest *n;

	(void)state;
	loop_of_news = help_loop();
	assert_int_equal(newest_new(&n), 0);
	for (unsigned i = 0; i < 5; i++) {
		list_init(&l[i].entry.node);
		l[i].newest = n;
		l[i].entry.loop = loop_of_news;
		l[i].entry.message.run = hear;
	}
	for (unsigned i = 0; i < 5; i++) {
		newest_enter(n, &l[i].entry, span_str(id[i]));
		if (i == 2) {
			assert_false(newest_hush(n, &l[i].entry));
		}
	}
	assert_true(newest_hush(n, &l[0].entry));
	assert_false(newest_hush(n, &l[1].entry));
	loop_post(loop_of_news, &end);
	help_run(loop_of_news);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(l[i].heard, heard[i]);
		assert_false(newest_hush(n, &l[i].entry));
		newest_leave(n, &l[i].entry);
	}
	newest_free(n);
}

static void
sightings_reach_the_register(void **state)
{
	char folder[] = "/tmp/sightings-XXXXXX", file[64], why[REG_WHY_SIZE];
	struct reg_device device = { .name = "board", .state = REG_ENROLLED }, found;
	struct sightings *s;
	struct reg *reg;
	bool renewed;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/register.db", folder);
	assert_int_equal(reg_open(file, REG_CREATE, &reg, why), 0);
	assert_int_equal(reg_actor(reg, 0, "root"), 0);
	assert_int_equal(reg_enrol(reg, &device, false, &renewed), 0);
	assert_int_equal(sightings_new(&s), 0);
	sightings_note(s, "board", "192.0.2.7", "the certificate has expired");
	sightings_note(s, "board", "192.0.2.8", NULL);
	sightings_note(s, "stranger", "192.0.2.9", NULL);
	for (int i = 0; i < 10000; i++) { /* bounded, whatever comes */
		sightings_note(s, "flood", "192.0.2.10", "x");
	}
	assert_int_equal(sightings_write(s, reg), 0);
	assert_int_equal(reg_find(reg, span_str("board"), &found), 0);
	assert_string_equal(found.last_address, "192.0.2.8");
	assert_string_equal(found.last_failure, "the certificate has expired");
	assert_true(found.last_seen > 0);
	assert_int_equal(reg_find(reg, span_str("stranger"), &found), ERR_NOT_FOUND);
	sightings_free(s);
	reg_close(reg);
	unlink(file);
	rmdir(folder);
}

static int
count_filter(void *owner, struct span filter, uint8_t options, uint32_t id)
{
	(void)filter;
	(void)options;
	(void)id;
	++*(unsigned *)owner;
	return 0;
}

/* What the relay keeps is the device's: a bound for it, whatever client identifiers it takes. */
static void
the_store_keeps_per_device(void **state)
{
	char folder[] = "/tmp/store-XXXXXX", file[64], why[REG_WHY_SIZE], id[16];
	struct span dev = span_str("dev"), one = span_str("one");
	struct relay_store store;
	struct reg *reg;
	unsigned kept = 0;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/register.db", folder);
	assert_int_equal(reg_open(file, REG_CREATE, &reg, why), 0);
	store = store_of(reg);
	assert_int_equal(store.begin(store.owner), 0);
	assert_int_equal(store.put(store.owner, dev, one, span_str("a"), 1, 0), 0);
	assert_int_equal(store.end(store.owner, ERR_DATABASE), ERR_DATABASE);
	assert_int_equal(store.load(store.owner, dev, one, count_filter, &kept), 0);
	assert_int_equal(kept, 0);
	assert_int_equal(store.begin(store.owner), 0);
	for (int i = 0; i < 50; i++) {
		snprintf(id, sizeof id, "%d", i);
		assert_int_equal(store.put(store.owner, dev, span_str(id), span_str("a"), 1, 0), 0);
	}
	assert_int_equal(store.end(store.owner, 0), 0);
	for (int i = 0; i < 50; i++) {
		snprintf(id, sizeof id, "%d", i);
		assert_int_equal(store.load(store.owner, dev, span_str(id), count_filter, &kept),
		                 0);
	}
	assert_int_equal(kept, REG_CLIENT_IDS_MAX);
	reg_close(reg);
	unlink(file);
	rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(budget_counts_addresses),
		cmocka_unit_test(budget_agrees_with_a_plain_table),
		cmocka_unit_test(newest_tells_a_takeover),
		cmocka_unit_test(newest_tells_the_older_ones),
		cmocka_unit_test(sightings_reach_the_register),
		cmocka_unit_test(the_store_keeps_per_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
