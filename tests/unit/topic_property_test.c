/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random filters, rules and topics over a tiny alphabet, held against a model
 * that shares nothing with the code under test: topics are arrays of small
 * numbers, and sets of topics are found by trying every one of them.
 *
 * TOPIC_SEED=N repeats a run; the seed is printed when one fails.
 */
#include "unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "topic/topic.h"

enum { EMPTY, A, B, DOLLAR, WORDS, PLUS = WORDS, HASH, SYMBOLS };
enum { FILTER_DEPTH = 4, TOPIC_DEPTH = 5, ROUNDS = 60000, RULES = 3 };

static const char *const words[SYMBOLS] = { "", "a", "b", "$a", "+", "#" };

struct word_list {
	int n;
	int at[TOPIC_DEPTH + FILTER_DEPTH + 2];
};

/* ---- the model ------------------------------------------------------------------- */

static struct word_list all[2000];
static size_t all_count;
static uint64_t random_state, seed;

static unsigned
pick(unsigned n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % n;
}

/* Recursive on purpose: that is how 4.7 reads, and the code under test is not. */
static bool
model_rest(const struct word_list *f, int i, const struct word_list *t, int j)
{
	if (i == f->n) {
		return j == t->n;
	}
	if (f->at[i] == HASH) {
		return true;
	}
	return j < t->n && (f->at[i] == PLUS || f->at[i] == t->at[j]) &&
	       model_rest(f, i + 1, t, j + 1);
}

static bool
model_match(const struct word_list *f, const struct word_list *t)
{
	return !(t->at[0] == DOLLAR && f->at[0] >= WORDS) && model_rest(f, 0, t, 0);
}

static bool
is_topic(const struct word_list *t)
{
	return t->n > 0 && !(t->n == 1 && t->at[0] == EMPTY);
}

/* The image of a topic, by the text of the design; false when it has none. */
static bool
model_map(const struct word_list *from, const struct word_list *to, const struct word_list *t,
          struct word_list *out)
{
	int bound[FILTER_DEPTH], n = 0, tail = t->n;

	if (!model_match(from, t)) {
		return false;
	}
	for (int i = 0; i < from->n; i++) {
		if (from->at[i] == PLUS) {
			bound[n++] = t->at[i];
		} else if (from->at[i] == HASH) {
			tail = i;
		}
	}
	n = 0;
	out->n = 0;
	for (int i = 0; i < to->n; i++) {
		if (to->at[i] == HASH) {
			while (tail < t->n) {
				out->at[out->n++] = t->at[tail++];
			}
		} else {
			out->at[out->n++] = to->at[i] == PLUS ? bound[n++] : to->at[i];
		}
	}
	return is_topic(out) && model_match(to, out);
}

static void
enumerate(struct word_list *t, int depth)
{
	if (t->n > 0 && is_topic(t)) {
		all[all_count++] = *t;
	}
	for (int w = 0; w < WORDS && depth > 0; w++) {
		t->at[t->n++] = w;
		enumerate(t, depth - 1);
		t->n--;
	}
}

static struct span
text_of(const struct word_list *t, char *out)
{
	char *at = out;

	for (int i = 0; i < t->n; i++) {
		at += sprintf(at, "%s%s", i > 0 ? "/" : "", words[t->at[i]]);
	}
	*at = '\0';
	return span_str(out);
}

static struct word_list
words_of(struct span s)
{
	struct word_list t = { .n = 0 };
	size_t from = 0;

	for (size_t i = 0; i <= s.len; i++) {
		if (i < s.len && s.ptr[i] != '/') {
			continue;
		}
		for (int w = 0; w < SYMBOLS; w++) {
			if (span_eq_str(span_of(s.ptr + from, i - from), words[w])) {
				t.at[t.n] = w;
			}
		}
		t.n++;
		from = i + 1;
	}
	return t;
}

/* ---- what is drawn ------------------------------------------------------------------ */

static struct word_list
draw_filter(void)
{
	struct word_list f = { .n = 0 };
	int n = 1 + (int)pick(FILTER_DEPTH);

	do {
		for (f.n = 0; f.n < n; f.n++) {
			f.at[f.n] = (int)pick(f.n + 1 == n ? SYMBOLS : HASH);
		}
	} while (!is_topic(&f));
	return f;
}

static struct word_list
draw_topic(void)
{
	return all[pick((unsigned)all_count)];
}

/* A filter with the wildcards of f, other words between them. */
static struct word_list
draw_partner(const struct word_list *f)
{
	struct word_list p;

	do {
		p.n = 0;
		for (int i = 0; i < f->n; i++) {
			if (pick(3) == 0 && p.n < FILTER_DEPTH) {
				p.at[p.n++] = (int)pick(WORDS);
			}
			if (f->at[i] >= WORDS) {
				p.at[p.n++] = f->at[i];
			}
		}
		if (pick(3) == 0 && (p.n == 0 || p.at[p.n - 1] != HASH) && p.n < FILTER_DEPTH) {
			p.at[p.n++] = (int)pick(WORDS);
		}
	} while (!is_topic(&p) || p.n > FILTER_DEPTH);
	return p;
}

struct drawn {
	struct word_list device[RULES], broker[RULES];
	char device_text[RULES][64], broker_text[RULES][64];
	struct topic_rule rule[RULES];
	struct topic_rules rules;
	struct topic_map *map;
};

static void
ignore_fault(void *owner, int line, const char *sentence)
{
	(void)owner;
	(void)line;
	assert_non_null(sentence);
}

/* Both lists the same rules; false when the check refuses them. */
static bool
draw_map(struct drawn *d)
{
	static const struct topic_vars none;
	size_t n = 1 + pick(RULES);
	char why[200];

	for (size_t i = 0; i < n; i++) {
		d->device[i] = draw_filter();
		d->broker[i] = draw_partner(&d->device[i]);
		(void)text_of(&d->device[i], d->device_text[i]);
		(void)text_of(&d->broker[i], d->broker_text[i]);
		d->rule[i] = (struct topic_rule){ .device = d->device_text[i],
			.broker = d->broker_text[i],
			.line = (int)i };
	}
	d->rules = (struct topic_rules){ .publish = d->rule,
		.publish_count = n,
		.subscribe = d->rule,
		.subscribe_count = n };
	if (topic_rules_check(&d->rules, ignore_fault, NULL) > 0) {
		return false;
	}
	assert_int_equal(topic_map_compile(&d->rules, &none, &d->map, why, sizeof why), 0);
	return true;
}

/* ---- properties ------------------------------------------------------------------------ */

static void
algebra_round(void)
{
	struct word_list f = draw_filter(), g = draw_filter(), common;
	char ft[64], gt[64], tt[64];
	struct span fs = text_of(&f, ft), gs = text_of(&g, gt);
	uint8_t out[128];
	int n = topic_intersect(fs, gs, out, sizeof out);
	bool covered = true;

	assert_true(n >= 0);
	common = words_of(span_of(out, (size_t)n));
	for (size_t i = 0; i < all_count; i++) {
		bool in_f = model_match(&f, &all[i]), in_g = model_match(&g, &all[i]);

		covered = covered && (in_f || !in_g);
		if (n > 0 ? model_match(&common, &all[i]) != (in_f && in_g) : in_f && in_g) {
			fail_msg("%s and %s give \"%.*s\", wrong for %s", ft, gt, n,
			         (const char *)out, text_of(&all[i], tt).ptr);
		}
	}
	if (topic_covers(fs, gs) != covered) {
		fail_msg("%s covers %s: not %d", ft, gt, !covered);
	}
	for (int i = 0; i < 20; i++) {
		struct word_list t = draw_topic();

		if (topic_matches(fs, text_of(&t, tt)) != model_match(&f, &t)) {
			fail_msg("%s matches %s: wrong", ft, tt);
		}
	}
}

static void
expect(int r, const uint8_t *out, const struct word_list *image, bool has, const char *what)
{
	char text[64];
	struct span want = text_of(image, text);

	if (has ? r < 0 || !span_eq(span_of(out, (size_t)r), want) : r != ERR_DENIED) {
		fail_msg("%s: %d \"%.*s\" where the model has \"%s\"", what, r, r > 0 ? r : 0,
		         (const char *)out, has ? text : "nothing");
	}
}

/* Forward by the first device side that matches, and the same way back. */
static void
publish_round(const struct drawn *d, const struct word_list *t)
{
	struct word_list image = { .n = 0 };
	const struct topic_rule *rule = NULL;
	uint8_t out[128], back[128];
	char text[64];
	struct span topic = text_of(t, text);
	size_t i = 0;
	bool has;
	int r, b;

	while (i < d->rules.publish_count && !model_match(&d->device[i], t)) {
		i++;
	}
	has = i < d->rules.publish_count && model_map(&d->device[i], &d->broker[i], t, &image);
	r = topic_map_publish(d->map, topic, out, sizeof out, &rule);
	expect(r, out, &image, has, "publish");
	if (r < 0) {
		return;
	}
	assert_ptr_equal(rule, &d->rule[i]);
	assert_true((size_t)r <= topic.len + topic_map_growth_up(d->map));
	assert_true((size_t)r + topic_map_growth_down(d->map) >= topic.len);
	b = topic_map_response_down(d->map, span_of(out, (size_t)r), back, sizeof back);
	assert_true(b >= 0 && span_eq(span_of(back, (size_t)b), topic));
	b = topic_map_deliver(d->map, span_of(out, (size_t)r), back, sizeof back, &rule);
	assert_true(b >= 0 && span_eq(span_of(back, (size_t)b), topic));
}

static void
deliver_round(const struct drawn *d, const struct word_list *t)
{
	struct word_list image = { .n = 0 };
	const struct topic_rule *rule = NULL;
	uint8_t out[128], again[128];
	char text[64];
	struct span topic = text_of(t, text), device;
	size_t i = 0;
	int r, b;

	while (i < d->rules.subscribe_count &&
	       !model_map(&d->broker[i], &d->device[i], t, &image)) {
		i++;
	}
	r = topic_map_deliver(d->map, topic, out, sizeof out, &rule);
	expect(r, out, &image, i < d->rules.subscribe_count, "deliver");
	if (r < 0) {
		return;
	}
	device = span_of(out, (size_t)r);
	assert_true(device.len <= topic.len + topic_map_growth_down(d->map));
	assert_true(device.len + topic_map_shrink_down(d->map) >= topic.len);
	/* Where the device listens for an answer, an answer comes back to it. */
	b = topic_map_response_up(d->map, device, again, sizeof again);
	assert_true(b >= 0);
	r = topic_map_deliver(d->map, span_of(again, (size_t)b), out + 64, 64, &rule);
	assert_true(r >= 0 && span_eq(span_of(out + 64, (size_t)r), device));
	/* If it may publish there at all, that goes where the message came from. */
	b = topic_map_response_down(d->map, topic, out + 64, 64);
	if (b >= 0) {
		r = topic_map_publish(d->map, span_of(out + 64, (size_t)b), again, sizeof again,
		                      &rule);
		assert_true(r >= 0 && span_eq(span_of(again, (size_t)r), topic));
	}
}

struct results {
	int n;
	struct word_list filter[RULES];
	size_t rule[RULES];
	const struct drawn *drawn;
};

static int
keep(void *owner, struct span filter, const struct topic_rule *rule)
{
	struct results *r = owner;

	assert_true(r->n < RULES);
	r->filter[r->n] = words_of(filter);
	r->rule[r->n++] = (size_t)(rule - r->drawn->rule);
	return 0;
}

/* Is there a rule whose result is to match this image, or one that does? */
static bool
result_matches(const struct results *r, size_t rule, const struct word_list *topic)
{
	for (int i = 0; i < r->n; i++) {
		if (r->rule[i] == rule) {
			return model_match(&r->filter[i], topic);
		}
	}
	return false;
}

/*
 * Every device topic in the filter whose image exists is subscribed at the
 * broker, and every broker topic subscribed is either such an image or, in
 * the one case that filters cannot express, has no device topic at all.
 */
static void
subscribe_round(const struct drawn *d)
{
	static uint8_t scratch[TOPIC_MAX];
	struct word_list f = draw_filter(), image;
	struct results results = { .drawn = d };
	char text[64];
	struct span filter = text_of(&f, text);
	int r = topic_map_subscribe(d->map, filter, scratch, keep, &results);

	assert_int_equal(r, results.n > 0 ? results.n : ERR_DENIED);
	for (size_t i = 0; i < d->rules.subscribe_count; i++) {
		bool any = false, listed = false;

		for (size_t t = 0; t < all_count; t++) {
			bool wanted = model_match(&f, &all[t]) &&
			              model_map(&d->device[i], &d->broker[i], &all[t], &image);

			any = any || wanted;
			if (wanted && !result_matches(&results, i, &image)) {
				fail_msg("%s is not subscribed for %s by %s <-> %s", text,
				         text_of(&all[t], (char[64]){ 0 }).ptr, d->device_text[i],
				         d->broker_text[i]);
			}
			if (result_matches(&results, i, &all[t]) &&
			    model_map(&d->broker[i], &d->device[i], &all[t], &image) &&
			    !model_match(&f, &image)) {
				fail_msg("%s gets %s by %s <-> %s", text,
				         text_of(&image, (char[64]){ 0 }).ptr, d->device_text[i],
				         d->broker_text[i]);
			}
		}
		for (int k = 0; k < results.n; k++) {
			listed = listed || results.rule[k] == i;
		}
		assert_int_equal(listed, any);
	}
}

static void
the_algebra_is_exact(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS / 4; i++) {
		algebra_round();
	}
}

static void
maps_agree_with_the_model(void **state)
{
	int maps = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct drawn d;

		if (!draw_map(&d)) {
			continue;
		}
		maps++;
		for (int i = 0; i < 20; i++) {
			struct word_list t = draw_topic();

			publish_round(&d, &t);
			t = draw_topic();
			deliver_round(&d, &t);
		}
		if (maps % 2 == 0) {
			subscribe_round(&d);
		}
		topic_map_free(d.map);
	}
	assert_true(maps > ROUNDS / 10);
}

/* The check refuses exactly the lists whose broker sides share a topic. */
static void
the_check_finds_what_is_ambiguous(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS / 6; round++) {
		struct word_list f = draw_filter(), g = draw_filter();
		struct word_list ff = draw_partner(&f), gg = draw_partner(&g);
		char text[4][64];
		struct topic_rule rule[2] = {
			{ .device = text[0], .broker = text[1], .line = 1 },
			{ .device = text[2], .broker = text[3], .line = 2 },
		};
		struct topic_rules rules = { .subscribe = rule, .subscribe_count = 2 };
		bool shared = false;

		(void)text_of(&ff, text[0]);
		(void)text_of(&f, text[1]);
		(void)text_of(&gg, text[2]);
		(void)text_of(&g, text[3]);
		for (size_t i = 0; i < all_count && !shared; i++) {
			shared = model_match(&f, &all[i]) && model_match(&g, &all[i]);
		}
		assert_int_equal(topic_rules_check(&rules, ignore_fault, NULL), shared ? 1 : 0);
	}
}

static int
prepare(void **state)
{
	const char *given = getenv("TOPIC_SEED");
	struct word_list t = { .n = 0 };

	(void)state;
	enumerate(&t, TOPIC_DEPTH);
	seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	random_state = seed;
	return 0;
}

/* Each test starts from the seed alone, so that one can be repeated by itself. */
static int
reseed(void **state)
{
	(void)state;
	random_state = seed;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_algebra_is_exact, reseed),
		cmocka_unit_test_setup(maps_agree_with_the_model, reseed),
		cmocka_unit_test_setup(the_check_finds_what_is_ambiguous, reseed),
	};
	int failed = cmocka_run_group_tests(tests, prepare, NULL);

	if (failed != 0) {
		fprintf(stderr, "TOPIC_SEED=%llu repeats this run\n", (unsigned long long)seed);
	}
	return failed;
}
