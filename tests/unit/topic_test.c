/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "topic/topic.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static uint8_t out[TOPIC_MAX], scratch[TOPIC_MAX];

/* ---- filters ---------------------------------------------------------------------- */

static void
matching_follows_the_standard(void **state)
{
	static const struct {
		const char *filter, *name;
		bool yes;
	} rows[] = {
		{ "sport/tennis/player1/#", "sport/tennis/player1", true },
		{ "sport/tennis/player1/#", "sport/tennis/player1/ranking", true },
		{ "sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true },
		{ "sport/#", "sport", true },
		{ "sport/#", "sports", false },
		{ "#", "a", true },
		{ "#", "/", true },
		{ "sport/tennis/+", "sport/tennis/player1", true },
		{ "sport/tennis/+", "sport/tennis/player1/ranking", false },
		{ "sport/+", "sport", false },
		{ "sport/+", "sport/", true },
		{ "+/+", "/finance", true },
		{ "/+", "/finance", true },
		{ "+", "/finance", false },
		{ "#", "$SYS/x", false },
		{ "+/monitor/Clients", "$SYS/monitor/Clients", false },
		{ "$SYS/#", "$SYS/x", true },
		{ "$SYS/#", "$SYS", true },
		{ "$SYS/monitor/+", "$SYS/monitor/Clients", true },
		{ "a/+", "a/$b", true },
		{ "a//b", "a//b", true },
		{ "a/+/b", "a//b", true },
		{ "a/b", "a//b", false },
		{ "ACCOUNTS", "Accounts", false },
		{ "a", "a/", false },
		{ "#", "", false },
		{ "+", "", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (topic_matches(span_str(rows[i].filter), span_str(rows[i].name)) != rows[i].yes) {
			fail_msg("%s %s", rows[i].filter, rows[i].name);
		}
	}
}

static void
covering_is_exact(void **state)
{
	static const struct {
		const char *outer, *inner;
		bool yes;
	} rows[] = {
		{ "#", "a/b", true },
		{ "#", "+", true },
		{ "#", "$SYS/#", false },
		{ "+/#", "#", true }, /* no topic has no level */
		{ "/+/#", "/#", true },
		{ "a/+/#", "a/#", false }, /* "a" */
		{ "a/#", "a/+/#", true },
		{ "a/#", "a", true },
		{ "a/+", "a/#", false },
		{ "a/b", "a/+", false },
		{ "+/b", "a/b", true },
		{ "+/b", "$a/b", false },
		{ "$a/+", "$a/b", true },
		{ "a", "a/#", false },
		{ "a/b/c", "a/b", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (topic_covers(span_str(rows[i].outer), span_str(rows[i].inner)) != rows[i].yes) {
			fail_msg("%s %s", rows[i].outer, rows[i].inner);
		}
	}
}

static void
intersections_are_filters(void **state)
{
	static const struct {
		const char *a, *b, *common;
	} rows[] = {
		{ "a/#", "a", "a" },
		{ "a/#", "+/b", "a/b" },
		{ "#", "a/#", "a/#" },
		{ "+/#", "a/#", "a/#" },
		{ "+/b/#", "a/+/c", "a/b/c" },
		{ "a/+", "+/b", "a/b" },
		{ "+", "#", "+" },
		{ "#", "#", "#" },
		{ "a/#", "a/b/#", "a/b/#" },
		{ "a/#", "b/#", "" },
		{ "a/+", "a", "" },
		{ "a//b", "a/+/b", "a//b" },
		{ "/#", "+", "" }, /* only the empty topic */
		{ "/#", "+/x", "/x" },
		{ "#", "$SYS/#", "" },
		{ "+/x", "$SYS/x", "" },
		{ "$SYS/#", "$SYS/+", "$SYS/+" },
		{ "a/#", "a/$b", "a/$b" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows) * 2; i++) {
		struct span a = span_str(i % 2 != 0 ? rows[i / 2].a : rows[i / 2].b);
		struct span b = span_str(i % 2 != 0 ? rows[i / 2].b : rows[i / 2].a);
		struct span want = span_str(rows[i / 2].common);
		int r = topic_intersect(a, b, out, sizeof out);

		if (r < 0 || !span_eq(span_of(out, (size_t)r), want)) {
			fail_msg("%s %s: %d", rows[i / 2].a, rows[i / 2].b, r);
		}
		if (want.len > 0) {
			assert_int_equal(topic_intersect(a, b, out, want.len), want.len);
			assert_int_equal(topic_intersect(a, b, out, want.len - 1), ERR_FULL);
		}
	}
}

/* ---- templates --------------------------------------------------------------------- */

static void
hostile_values_are_not_safe(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool yes;
	} rows[] = {
		{ "0123a7", 6, true },
		{ "M\xc3\xbcller 7", 9, true },
		{ "..", 2, true }, /* a topic is no path */
		{ "", 0, false },
		{ "+", 1, false },
		{ "#", 1, false },
		{ "/", 1, false },
		{ "$", 1, false },
		{ "$SYS", 4, false },
		{ "a+", 2, false },
		{ "a/b", 3, false },
		{ "a#b", 3, false },
		{ "a$b", 3, false },
		{ "${cn}", 5, false },
		{ "a\0b", 3, false },
		{ "\0", 1, false },
		{ "a\nb", 3, false },
		{ "a\x1b[2J", 5, false },
		{ "a\x7f", 2, false },
		{ "a\xc2\x85", 3, false },     /* C1 */
		{ "a\xff", 2, false },
		{ "\xc0\xaf", 2, false },      /* overlong slash */
		{ "\xe0\x80\xa3", 3, false },  /* overlong # */
		{ "\xed\xa0\x80", 3, false },  /* surrogate */
		{ "\xc3", 1, false },          /* cut */
		{ "\xef\xbf\xbf", 3, false },  /* non-character */
	};
	uint8_t *big = malloc(65536);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (topic_value_safe(span_of(rows[i].bytes, rows[i].len)) != rows[i].yes) {
			fail_msg("row %zu", i);
		}
	}
	assert_non_null(big);
	memset(big, 'a', 65536);
	assert_true(topic_value_safe(span_of(big, 512)));
	assert_false(topic_value_safe(span_of(big, 513)));
	assert_false(topic_value_safe(span_of(big, 65536)));
	free(big);
}

static struct span
label(void *owner, struct span name)
{
	(void)owner;
	return span_eq_str(name, "room") ? span_str("kitchen") :
	       span_eq_str(name, "bad")  ? span_str("a/b") :
	                                   span_of(NULL, 0);
}

static void
templates_expand(void **state)
{
	static const struct {
		const char *text, *result, *which;
	} rows[] = {
		{ "plain/$x/#", "plain/$x/#", NULL },
		{ "home/${identity}/x", "home/dev1/x", NULL },
		{ "${identity}", "dev1", NULL },
		{ "dev-${identity}-${cn}", "dev-dev1-name", NULL },
		{ "a/${label.room}", "a/kitchen", NULL },
		{ "a/${label.bad}", NULL, "label.bad" },
		{ "a/${label.none}", NULL, "label.none" },
		{ "a/${san_uri}", NULL, "san_uri" },
		{ "a/${serial}", NULL, "serial" },
		{ "", "", NULL },
		{ "a$", "a$", NULL },
	};
	struct topic_vars vars = { .identity = span_str("dev1"),
		.cn = span_str("name"),
		.san_uri = span_str("urn:x/y"),
		.label = label };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct span which = span_of(NULL, 0), text = span_str(rows[i].text);
		const char *why = NULL;
		int r = topic_template_expand(text, &vars, out, sizeof out, &which);

		assert_int_equal(topic_template_check(text, &why), 0);
		if (rows[i].result == NULL) {
			assert_int_equal(r, ERR_UNSAFE);
			assert_true(span_eq_str(which, rows[i].which));
			continue;
		}
		assert_true(r >= 0 && span_eq_str(span_of(out, (size_t)r), rows[i].result));
		if (r > 0) {
			assert_int_equal(topic_template_expand(text, &vars, out, (size_t)r - 1, &which),
			                 ERR_FULL);
		}
	}
	vars.label = NULL;
	assert_int_equal(topic_template_expand(span_str("${label.room}"), &vars, out, sizeof out,
	                                       &(struct span){ 0 }),
	                 ERR_UNSAFE);
	assert_true(topic_template_uses(span_str("a/${cn}/${client_id}"), "client_id"));
	assert_false(topic_template_uses(span_str("a/client_id/${cn}"), "client_id"));
}

static void
bad_templates_are_found(void **state)
{
	static const char *const rows[] = { "${", "a/${identity", "${}", "${Identity}", "${ cn}",
		"${label.}", "${label.a/b}", "${label.+}", "${label}", "${cn}/${nope}", "${${cn}}" };
	const char *why;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		why = NULL;
		if (topic_template_check(span_str(rows[i]), &why) == 0 || why == NULL) {
			fail_msg("%s", rows[i]);
		}
	}
}

/* ---- the check of a configuration --------------------------------------------------- */

struct faults {
	int count, line;
	char last[512];
};

static void
collect(void *owner, int line, const char *sentence)
{
	struct faults *f = owner;

	f->count++;
	f->line = line;
	snprintf(f->last, sizeof f->last, "%s", sentence);
}

static struct topic_rule
rule_of(const char *device, const char *broker, int line)
{
	return (struct topic_rule){ .device = (char *)(uintptr_t)device,
		.broker = (char *)(uintptr_t)broker,
		.max_qos = 2,
		.max_payload = UINT32_MAX,
		.line = line };
}

static void
single_rules_are_checked(void **state)
{
	static const struct {
		const char *device, *broker;
		int faults;
	} rows[] = {
		{ "Home", "home/${identity}/telemetry", 0 },
		{ "log/+", "log/${identity}/+", 0 },
		{ "#", "devices/${identity}/#", 0 },
		{ "sys/#", "$SYS/#", 0 },
		{ "$SYS/#", "$SYS/#", 0 },
		{ "a/+/b/#", "+/x/#", 0 },
		{ "dev-${cn}/a", "a", 0 },
		{ "a/+", "a/#", 1 },
		{ "a/+", "a", 1 },
		{ "a/+/#", "a/#", 1 },
		{ "a/+/+", "a/+", 1 },
		{ "", "a", 1 },
		{ NULL, "a", 1 },
		{ "a", NULL, 1 },
		{ "a/#/b", "a/#", 1 },
		{ "a+", "b+", 2 },
		{ "+", "${identity}+", 1 },
		{ "#", "dev${identity}#", 1 },
		{ "a", "${nope}", 1 },
		{ "a", "${identity", 1 },
		{ "a\xff", "b", 1 },
		{ "$share/g/a", "b", 1 },
		{ "a", "$share/g/a", 1 },
		{ "a", "$share", 1 },
		{ "a", "$${group}/g/a", 1 }, /* "$share" in pieces */
		{ "a", "$s${group}/g/a", 1 },
		{ "a", "x/$${group}", 0 },
		{ "a", "${group}$/x", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct topic_rule rule = rule_of(rows[i].device, rows[i].broker, 7);
		struct topic_rules rules = { .publish = &rule, .publish_count = 1 };
		struct faults f = { 0 };

		if (topic_rules_check(&rules, collect, &f) != rows[i].faults ||
		    f.count != rows[i].faults || (f.count > 0 && f.line != 7)) {
			fail_msg("%zu: %d faults, %s", i, f.count, f.last);
		}
	}
}

static void
a_rule_with_too_many_levels_is_refused(void **state)
{
	char text[2 * TOPIC_LEVELS + 2];
	struct topic_rule rule = rule_of("a", text, 1);
	struct topic_rules rules = { .subscribe = &rule, .subscribe_count = 1 };
	struct faults f = { 0 };

	(void)state;
	memset(text, '/', sizeof text);
	text[TOPIC_LEVELS - 1] = '\0';
	assert_int_equal(topic_rules_check(&rules, collect, &f), 0);
	text[TOPIC_LEVELS - 1] = '/';
	text[TOPIC_LEVELS] = '\0';
	assert_int_equal(topic_rules_check(&rules, collect, &f), 1);
}

static void
pairs_of_rules_are_checked(void **state)
{
	static const struct {
		const char *device[2], *broker[2];
		int publish, subscribe; /* faults as one list or the other */
	} rows[] = {
		{ { "a", "b" }, { "x", "y" }, 0, 0 },
		{ { "a", "b" }, { "x", "x" }, 1, 1 },
		{ { "a/#", "b/#" }, { "x/#", "x/y/#" }, 1, 1 },
		{ { "a/+", "b" }, { "x/+", "x/y" }, 1, 1 },
		{ { "a/+", "b" }, { "+", "$SYS" }, 0, 0 },
		/* for every device, for some, for none */
		{ { "a/+", "b" }, { "home/+/cmd", "home/${identity}/cmd" }, 1, 1 },
		{ { "a/+", "b" }, { "+/x", "${identity}/x" }, 1, 1 },
		{ { "a", "b" }, { "home/${cn}", "home/${cn}" }, 1, 1 },
		{ { "a", "b" }, { "home/${identity}/cmd", "home/all/cmd" }, 0, 0 },
		{ { "a", "b" }, { "home/${identity}/cmd", "home/${cn}/cmd" }, 0, 0 },
		{ { "a", "b" }, { "home/${cn}/x", "home/${cn}/y" }, 0, 0 },
		/* device sides: the first publish rule wins, unless nothing is left */
		{ { "a/b", "a/+" }, { "x", "y/+" }, 0, 0 },
		{ { "a/+", "a/b" }, { "x/+", "y" }, 1, 0 },
		{ { "a", "a" }, { "x", "y" }, 1, 0 },
		{ { "#", "${cn}/b" }, { "x/#", "y" }, 1, 0 },
		{ { "#", "$SYS/b" }, { "x/#", "y" }, 0, 0 },
		{ { "${cn}/+", "${cn}/b" }, { "x/+", "y" }, 1, 0 },
		/* a rule that is no good is only reported as such */
		{ { "a+", "a" }, { "x", "x" }, 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct topic_rule list[] = { rule_of(rows[i].device[0], rows[i].broker[0], 3),
			rule_of(rows[i].device[1], rows[i].broker[1], 4) };
		struct topic_rules up = { .publish = list, .publish_count = 2 };
		struct topic_rules down = { .subscribe = list, .subscribe_count = 2 };
		struct topic_rules apart = { .publish = list,
			.publish_count = 1,
			.subscribe = list + 1,
			.subscribe_count = 1 };
		struct faults f = { 0 };

		if (topic_rules_check(&up, collect, &f) != rows[i].publish ||
		    topic_rules_check(&down, collect, &f) != rows[i].subscribe) {
			fail_msg("%zu: %s", i, f.last);
		}
		if (rows[i].publish > 0 && strcmp(rows[i].device[0], "a+") != 0) {
			assert_non_null(strstr(f.last, "line 3"));
			assert_int_equal(f.line, 4);
			assert_int_equal(topic_rules_check(&apart, collect, &f), 0);
		}
	}
}

/* ---- compiled maps --------------------------------------------------------------------- */

static const struct topic_vars dev1 = {
	.identity = { (const uint8_t *)"dev1", 4 },
	.group = { (const uint8_t *)"g1", 2 },
};

static struct topic_map *
compile(const struct topic_rules *rules, const struct topic_vars *vars)
{
	struct topic_map *map = NULL;
	struct faults f = { 0 };
	char why[256] = "";

	if (topic_rules_check(rules, collect, &f) != 0) {
		fail_msg("%s", f.last);
	}
	if (topic_map_compile(rules, vars, &map, why, sizeof why) != 0) {
		fail_msg("%s", why);
	}
	return map;
}

static void
mapping_of_topics(void **state)
{
	static const struct {
		const char *device, *broker; /* the rule */
		const char *topic, *up;      /* forward; NULL denied */
		const char *from, *down;     /* backward */
	} rows[] = {
		{ "Home", "home/${identity}/t", "Home", "home/dev1/t", "home/dev1/t", "Home" },
		{ "Home", "home/${identity}/t", "home", NULL, "home/dev2/t", NULL },
		{ "log/+", "log/${identity}/+", "log/x", "log/dev1/x", "log/dev1/", "log/" },
		{ "log/+", "log/${identity}/+", "log/x/y", NULL, "log/dev1", NULL },
		{ "+/a/+/#", "x/+/+/y/#", "1/a/2/3/4", "x/1/2/y/3/4", "x/1/2/y", "1/a/2" },
		{ "a/#", "b/#", "a", "b", "b", "a" },
		{ "a/#", "b/#", "a/", "b/", "b//", "a//" },
		/* no topic is empty */
		{ "a/#", "#", "a", NULL, "b", "a/b" },
		{ "a/+", "+", "a/", NULL, "b", "a/b" },
		{ "#", "devices/x/#", "y", "devices/x/y", "devices/x", NULL },
		{ "#", "devices/x/#", "/", "devices/x//", "devices/x/", NULL },
		/* nor is one made to begin with $ */
		{ "x/#", "#", "x/$SYS/foo", NULL, "$SYS/foo", NULL },
		{ "x/#", "#", "x/$share/g/t", NULL, "x", "x/x" },
		{ "x/+/#", "+/#", "x/$share/g/t", NULL, "a/b", "x/a/b" },
		{ "x/+", "+", "x/$SYS", NULL, "a", "x/a" },
		{ "+", "x/+", "$a", NULL, "x/$a", NULL },
		{ "#", "devices/x/#", "$SYS/a", NULL, "devices/x/$SYS/a", NULL },
		{ "#", "x/#", "$share/g/t", NULL, "$share/g/x/t", NULL },
		{ "sys/#", "$SYS/#", "sys/a", "$SYS/a", "$SYS/b", "sys/b" },
		{ "x/+", "y/+", "x/$a", "y/$a", "y/$a", "x/$a" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct topic_rule rule = rule_of(rows[i].device, rows[i].broker, 1);
		struct topic_rules rules = { .publish = &rule,
			.publish_count = 1,
			.subscribe = &rule,
			.subscribe_count = 1 };
		struct topic_map *map = compile(&rules, &dev1);
		struct span topic = span_str(rows[i].topic), from = span_str(rows[i].from);
		struct span up = span_str(rows[i].up), down = span_str(rows[i].down);
		const struct topic_rule *hit = NULL;
		int r = topic_map_publish(map, topic, out, sizeof out, &hit);

		if (up.len == 0 ? r != ERR_DENIED : !span_eq(span_of(out, (size_t)r), up)) {
			fail_msg("%zu: %s up is %d", i, rows[i].topic, r);
		}
		if (up.len > 0) {
			assert_ptr_equal(hit, &rule);
			assert_int_equal(topic_map_publish(map, topic, out, up.len, &hit), up.len);
			assert_int_equal(topic_map_publish(map, topic, out, up.len - 1, &hit),
			                 ERR_FULL);
		}
		assert_int_equal(topic_map_response_up(map, topic, out, sizeof out), r);
		r = topic_map_deliver(map, from, out, sizeof out, &hit);
		if (down.len == 0 ? r != ERR_DENIED : !span_eq(span_of(out, (size_t)r), down)) {
			fail_msg("%zu: %s down is %d", i, rows[i].from, r);
		}
		assert_int_equal(topic_map_response_down(map, from, out, sizeof out), r);
		topic_map_free(map);
	}
}

static void
an_empty_map_denies_all(void **state)
{
	struct topic_rules rules = { 0 };
	struct topic_map *map = compile(&rules, &dev1);
	const struct topic_rule *rule;
	struct span s;

	(void)state;
	assert_int_equal(topic_map_publish(map, span_str("a"), out, sizeof out, &rule), ERR_DENIED);
	assert_int_equal(topic_map_deliver(map, span_str("a"), out, sizeof out, &rule), ERR_DENIED);
	assert_int_equal(topic_map_response_up(map, span_str("a"), out, sizeof out), ERR_DENIED);
	assert_int_equal(topic_map_response_down(map, span_str("a"), out, sizeof out), ERR_DENIED);
	assert_int_equal(topic_map_growth_up(map) + topic_map_growth_down(map), 0);
	assert_false(topic_map_rule(map, true, 0, &s, &s, &rule));
	topic_map_free(map);
	topic_map_free(NULL);
}

static void
the_first_publish_rule_wins(void **state)
{
	struct topic_rule list[] = { rule_of("a/b", "one", 1), rule_of("a/+", "two/+", 2) };
	struct topic_rules rules = { .publish = list, .publish_count = 2 };
	struct topic_map *map = compile(&rules, &dev1);
	const struct topic_rule *rule = NULL;

	(void)state;
	assert_int_equal(topic_map_publish(map, span_str("a/b"), out, sizeof out, &rule), 3);
	assert_ptr_equal(rule, &list[0]);
	assert_int_equal(topic_map_publish(map, span_str("a/c"), out, sizeof out, &rule), 5);
	assert_ptr_equal(rule, &list[1]);
	assert_int_equal(topic_map_response_down(map, span_str("two/c"), out, sizeof out), 3);
	/* "a/b" would go to "one" */
	assert_int_equal(topic_map_response_down(map, span_str("two/b"), out, sizeof out),
	                 ERR_DENIED);
	topic_map_free(map);
}

static void
long_topics_meet_the_limits(void **state)
{
	struct topic_rule rule = rule_of("#", "longer/#", 1);
	struct topic_rules rules = { .publish = &rule,
		.publish_count = 1,
		.subscribe = &rule,
		.subscribe_count = 1 };
	struct topic_map *map = compile(&rules, &dev1);
	const struct topic_rule *hit;
	uint8_t *topic = malloc(TOPIC_MAX);

	(void)state;
	assert_non_null(topic);
	memset(topic, 'a', TOPIC_MAX);
	assert_int_equal(topic_map_publish(map, span_of(topic, TOPIC_MAX - 7), out, TOPIC_MAX, &hit),
	                 TOPIC_MAX);
	assert_int_equal(topic_map_publish(map, span_of(topic, TOPIC_MAX - 6), out, TOPIC_MAX, &hit),
	                 ERR_LIMIT);
	assert_int_equal(topic_map_publish(map, span_of(topic, TOPIC_MAX), out, TOPIC_MAX, &hit),
	                 ERR_LIMIT);
	memset(topic, '/', TOPIC_MAX);
	/* n slashes are n + 1 levels, and the rule adds one */
	assert_int_equal(topic_map_publish(map, span_of(topic, TOPIC_LEVELS - 2), out, TOPIC_MAX,
	                                   &hit),
	                 TOPIC_LEVELS - 2 + 7);
	assert_int_equal(topic_map_publish(map, span_of(topic, TOPIC_LEVELS - 1), out, TOPIC_MAX,
	                                   &hit),
	                 ERR_LIMIT);
	assert_int_equal(topic_map_publish(map, span_of(topic, TOPIC_MAX - 7), out, TOPIC_MAX, &hit),
	                 ERR_LIMIT);
	free(topic);
	topic_map_free(map);
}

static void
growth_is_the_worst_case(void **state)
{
	struct topic_rule up[] = { rule_of("a/#", "#", 1), rule_of("b", "$x/123", 2) };
	struct topic_rule down[] = { rule_of("long/name/+", "x/+", 3),
		rule_of("#", "d/${identity}/#", 4) };
	struct topic_rules rules = { .publish = up,
		.publish_count = 2,
		.subscribe = down,
		.subscribe_count = 2 };
	struct topic_map *map = compile(&rules, &dev1);

	(void)state;
	assert_int_equal(topic_map_growth_up(map), 7); /* "d/dev1/" */
	assert_int_equal(topic_map_shrink_down(map), 7);
	assert_int_equal(topic_map_growth_down(map), 8); /* "long/name/" for "x/" */
	topic_map_free(map);
}

/* ---- subscriptions ---------------------------------------------------------------------- */

static int
append(void *owner, struct span filter, const struct topic_rule *rule)
{
	char *list = owner;
	size_t used = strlen(list);

	snprintf(list + used, 512 - used, "%s%.*s@%d", used > 0 ? " " : "", SPAN_ARG(filter),
	         rule->line);
	return 0;
}

static void
mapping_of_filters(void **state)
{
	static const struct {
		const char *filter, *results;
	} rows[] = {
		{ "#", "home/dev1/command@1 broadcast/#@2 $SYS/#@3 in/+@4 #@5" },
		{ "inTopic", "home/dev1/command@1" },
		{ "+", "home/dev1/command@1 broadcast@2 $SYS@3" },
		{ "all/#", "broadcast/#@2" },
		{ "all", "broadcast@2" },
		{ "all/+/x", "broadcast/+/x@2" },
		{ "all/+/#", "broadcast/+/#@2" },
		{ "+/x", "broadcast/x@2 $SYS/x@3 in/x@4 x@5" },
		{ "i/#", "in/+@4" },
		{ "i/", "in/@4" },
		{ "i", "" },
		{ "top", "" },
		{ "top/#", "#@5" },
		{ "top/+", "+@5" },
		{ "top/+/#", "+/#@5" },
		{ "top/", "" },
		{ "top/$SYS/#", "" },
		{ "top/$share/g/t", "" },
		{ "top/$share/#", "" },
		{ "sys/#", "$SYS/#@3" },
		{ "sys/x/+", "$SYS/x/+@3" },
		{ "$SYS/#", "" },
		{ "$SYS/x", "" },
		{ "nothing/#", "" },
		{ "$share/grp/all/x", "$share/grp/broadcast/x@2" },
		{ "$share/grp/i/#", "$share/grp/in/+@4" },
		{ "$share/grp/$SYS/#", "" },
		{ "$share/grp/$share/g/t", "" },
		{ "$share/grp/top/$share/g/t", "" },
	};
	struct topic_rule list[] = { rule_of("inTopic", "home/${identity}/command", 1),
		rule_of("all/#", "broadcast/#", 2), rule_of("sys/#", "$SYS/#", 3),
		rule_of("i/+", "in/+", 4) };
	struct topic_rule top = rule_of("top/#", "#", 5);
	struct topic_rules rules = { .subscribe = list, .subscribe_count = 4 };
	struct topic_rules wide = { .subscribe = &top, .subscribe_count = 1 };
	struct topic_map *map = compile(&rules, &dev1), *wide_map = compile(&wide, &dev1);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct span filter = span_str(rows[i].filter);
		char results[512] = "";
		const struct topic_map *maps[] = { map, wide_map };
		int sum = 0;

		for (size_t m = 0; m < 2; m++) {
			int r = topic_map_subscribe(maps[m], filter, scratch, append, results);

			assert_true(r > 0 || r == ERR_DENIED);
			sum += r > 0 ? r : 0;
		}
		assert_string_equal(results, rows[i].results);
		assert_int_equal(sum == 0, rows[i].results[0] == '\0');
	}
	assert_int_equal(topic_map_subscribe(map, span_str("$share/g"), scratch, append, NULL),
	                 ERR_MALFORMED);
	assert_int_equal(topic_map_subscribe(map, span_str("$share//x"), scratch, append, NULL),
	                 ERR_MALFORMED);
	topic_map_free(map);
	topic_map_free(wide_map);
}

static int
count_until(void *owner, struct span filter, const struct topic_rule *rule)
{
	int *left = owner;

	(void)filter;
	(void)rule;
	return --*left == 0 ? -77 : 0;
}

static void
a_long_filter_hands_out_nothing(void **state)
{
	struct topic_rule list[] = { rule_of("#", "#", 1), rule_of("a/#", "$longer/#", 2) };
	struct topic_rules rules = { .subscribe = list, .subscribe_count = 2 };
	struct topic_map *map = compile(&rules, &dev1);
	uint8_t *filter = malloc(TOPIC_MAX);
	int left = 100;

	(void)state;
	assert_non_null(filter);
	memset(filter, 'x', TOPIC_MAX);
	memcpy(filter, "a/", 2);
	assert_int_equal(topic_map_subscribe(map, span_of(filter, TOPIC_MAX), scratch, count_until,
	                                     &left),
	                 ERR_LIMIT);
	assert_int_equal(left, 100);
	memset(filter + 1, '/', TOPIC_LEVELS);
	assert_int_equal(topic_map_subscribe(map, span_of(filter, TOPIC_LEVELS + 1), scratch,
	                                     count_until, &left),
	                 ERR_LIMIT);
	assert_int_equal(topic_map_subscribe(map, span_of(filter, TOPIC_LEVELS), scratch,
	                                     count_until, &left),
	                 2);
	memmove(filter + 9, filter, TOPIC_LEVELS);
	memcpy(filter, "$share/g/", 9); /* two levels more */
	assert_int_equal(topic_map_subscribe(map, span_of(filter, TOPIC_LEVELS + 9), scratch,
	                                     count_until, &left),
	                 ERR_LIMIT);
	left = 1;
	assert_int_equal(topic_map_subscribe(map, span_str("#"), scratch, count_until, &left), -77);
	free(filter);
	topic_map_free(map);
}

/* ---- devices that mean no good ----------------------------------------------------------- */

static void
hostile_identities_get_no_map(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *shown;
	} rows[] = {
		{ "", 0, "has no ${identity}" },
		{ "+", 1, "\"+\"" },
		{ "#", 1, "\"#\"" },
		{ "a/../b", 6, "\"a/../b\"" },
		{ "$SYS", 4, "\"$SYS\"" },
		{ "a\0b", 3, "\"a\\x00b\"" },
		{ "a\"\n", 3, "\"a\\x22\\x0a\"" },
		{ "\xff\xfe", 2, "\"\\xff\\xfe\"" },
	};
	struct topic_rule rule = rule_of("#", "devices/${identity}/#", 12);
	struct topic_rules rules = { .subscribe = &rule, .subscribe_count = 1 };
	struct topic_vars vars = { 0 };
	struct topic_map *map = NULL;
	char why[256];
	uint8_t *big = malloc(65536);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		vars.identity = span_of(rows[i].bytes, rows[i].len);
		assert_int_equal(topic_map_compile(&rules, &vars, &map, why, sizeof why), ERR_UNSAFE);
		assert_non_null(strstr(why, "line 12"));
		assert_non_null(strstr(why, "${identity}"));
		if (strstr(why, rows[i].shown) == NULL) {
			fail_msg("%s: %s", rows[i].shown, why);
		}
	}
	assert_non_null(big);
	memset(big, 'a', 65536);
	vars.identity = span_of(big, 65536);
	assert_int_equal(topic_map_compile(&rules, &vars, &map, why, sizeof why), ERR_UNSAFE);
	assert_non_null(strstr(why, "aaa...\""));
	assert_int_equal(topic_map_compile(&rules, &vars, &map, why, 8), ERR_UNSAFE);
	assert_int_equal(strlen(why), 7);
	vars.identity = span_of(big, 512);
	assert_int_equal(topic_map_compile(&rules, &vars, &map, why, sizeof why), 0);
	topic_map_free(map);
	free(big);
}

/* A SAN URI has slashes: such a device is refused only where it would matter. */
static void
an_unsafe_value_that_is_not_used_does_not_matter(void **state)
{
	struct topic_rule rule = rule_of("a", "d/${identity}", 1);
	struct topic_rules rules = { .subscribe = &rule, .subscribe_count = 1 };
	struct topic_vars vars = dev1;
	struct topic_map *map;

	(void)state;
	vars.san_uri = span_str("spiffe://x/y");
	map = compile(&rules, &vars);
	topic_map_free(map);
}

static void
an_expanded_filter_can_be_too_long(void **state)
{
	static char text[13 * 200 + 1];
	struct topic_rule rule = rule_of("a", text, 5);
	struct topic_rules rules = { .publish = &rule, .publish_count = 1 };
	uint8_t value[512];
	struct topic_vars vars = { .identity = span_of(value, sizeof value) };
	struct topic_map *map;
	char why[100];

	(void)state;
	memset(value, 'v', sizeof value);
	for (size_t i = 0; i < 150; i++) {
		snprintf(text + i * 12, sizeof text - i * 12, "%s${identity}", i > 0 ? "/" : "x");
	}
	assert_int_equal(topic_map_compile(&rules, &vars, &map, why, sizeof why), ERR_UNSAFE);
	assert_non_null(strstr(why, "line 5"));
	vars.identity.len = 100;
	assert_int_equal(topic_map_compile(&rules, &vars, &map, why, sizeof why), 0);
	topic_map_free(map);
}

static void
a_device_named_all_is_ambiguous(void **state)
{
	struct topic_rule list[] = { rule_of("in", "home/${identity}/cmd", 3),
		rule_of("all", "home/all/cmd", 4) };
	struct topic_rules up = { .publish = list, .publish_count = 2 };
	struct topic_rules down = { .subscribe = list, .subscribe_count = 2 };
	struct topic_vars vars = { .identity = span_str("all") };
	struct topic_map *map = compile(&down, &dev1);
	char why[256];

	(void)state;
	topic_map_free(map);
	map = NULL;
	assert_int_equal(topic_map_compile(&down, &vars, &map, why, sizeof why), ERR_AMBIGUOUS);
	assert_non_null(strstr(why, "line 3"));
	assert_non_null(strstr(why, "line 4"));
	assert_int_equal(topic_map_compile(&up, &vars, &map, why, sizeof why), ERR_AMBIGUOUS);
	assert_null(map);
}

static void
maps_compare_by_rights(void **state)
{
	struct topic_rule a = rule_of("x", "d/${identity}", 1), b = rule_of("x", "d/dev1", 9);
	struct topic_rules ra = { .publish = &a, .publish_count = 1 };
	struct topic_rules rb = { .publish = &b, .publish_count = 1 };
	struct topic_map *ma = compile(&ra, &dev1), *mb = compile(&rb, &dev1);
	const struct topic_rule *rule = NULL;
	struct span device, broker;

	(void)state;
	assert_true(topic_map_equal(ma, mb)); /* lines do not count */
	assert_true(topic_map_rule(ma, true, 0, &device, &broker, &rule));
	assert_true(span_eq_str(device, "x") && span_eq_str(broker, "d/dev1") && rule == &a);
	assert_false(topic_map_rule(ma, true, 1, &device, &broker, &rule));
	assert_false(topic_map_rule(ma, false, 0, &device, &broker, &rule));
	b.max_qos = 1;
	assert_false(topic_map_equal(ma, mb));
	b = a;
	b.retain = TOPIC_RETAIN_CLEAR;
	assert_false(topic_map_equal(ma, mb));
	b = a;
	b.max_payload = 10;
	assert_false(topic_map_equal(ma, mb));
	b = a;
	b.delivery = TOPIC_DELIVERY_STORE;
	assert_false(topic_map_equal(ma, mb));
	b = a;
	rb.on_denial = TOPIC_DENIAL_CLOSE;
	assert_false(topic_map_equal(ma, mb));
	rb.on_denial = TOPIC_DENIAL_DROP;
	assert_true(topic_map_equal(ma, mb));
	topic_map_free(mb);
	rb = (struct topic_rules){ .subscribe = &b, .subscribe_count = 1 };
	mb = compile(&rb, &dev1);
	assert_false(topic_map_equal(ma, mb));
	topic_map_free(ma);
	topic_map_free(mb);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matching_follows_the_standard),
		cmocka_unit_test(covering_is_exact),
		cmocka_unit_test(intersections_are_filters),
		cmocka_unit_test(hostile_values_are_not_safe),
		cmocka_unit_test(templates_expand),
		cmocka_unit_test(bad_templates_are_found),
		cmocka_unit_test(single_rules_are_checked),
		cmocka_unit_test(a_rule_with_too_many_levels_is_refused),
		cmocka_unit_test(pairs_of_rules_are_checked),
		cmocka_unit_test(mapping_of_topics),
		cmocka_unit_test(an_empty_map_denies_all),
		cmocka_unit_test(the_first_publish_rule_wins),
		cmocka_unit_test(long_topics_meet_the_limits),
		cmocka_unit_test(growth_is_the_worst_case),
		cmocka_unit_test(mapping_of_filters),
		cmocka_unit_test(a_long_filter_hands_out_nothing),
		cmocka_unit_test(hostile_identities_get_no_map),
		cmocka_unit_test(an_unsafe_value_that_is_not_used_does_not_matter),
		cmocka_unit_test(an_expanded_filter_can_be_too_long),
		cmocka_unit_test(a_device_named_all_is_ambiguous),
		cmocka_unit_test(maps_compare_by_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
