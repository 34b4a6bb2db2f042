/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Topic maps. The input is lines, each with a letter first: P and S a publish
 * and a subscribe rule (two filters with a tab between), I the identity, T a
 * topic, F a filter. Whatever is not valid is skipped, as the codec does.
 */
#include <stdlib.h>

#include "mqtt/mqtt.h"
#include "topic/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RULES = 6, TEXTS = 12, RULE_TEXT = 256 };

/* Not assert(): that is gone with NDEBUG. */
static void
require(bool holds)
{
	if (!holds) {
		abort();
	}
}

struct rule_list {
	struct topic_rule rule[RULES];
	char device[RULES][RULE_TEXT], broker[RULES][RULE_TEXT];
	size_t count;
};

struct text_list {
	struct span text[TEXTS];
	size_t count;
};

struct input {
	struct rule_list publish, subscribe;
	struct text_list topics, filters;
	struct topic_vars vars;
	struct topic_rules rules;
	struct topic_map *map;
};

static uint8_t made[TOPIC_MAX], back[TOPIC_MAX], scratch[TOPIC_MAX];

/* ---- reading ------------------------------------------------------------------------ */

static void
copy_text(char out[RULE_TEXT], struct span text)
{
	text = span_head(text, RULE_TEXT - 1);
	if (text.len > 0) {
		memcpy(out, text.ptr, text.len);
	}
	out[text.len] = '\0';
}

static void
add_rule(struct rule_list *list, struct span line)
{
	const uint8_t *tab = line.len > 0 ? memchr(line.ptr, '\t', line.len) : NULL;
	size_t i = list->count;
	struct span device;

	if (tab == NULL || i == RULES) {
		return;
	}
	device = span_of(line.ptr, (size_t)(tab - line.ptr));
	copy_text(list->device[i], device);
	copy_text(list->broker[i], span_skip(line, device.len + 1));
	list->rule[i] = (struct topic_rule){ .device = list->device[i],
		.broker = list->broker[i],
		.line = (int)i };
	list->count++;
}

static void
add_text(struct text_list *list, struct span text)
{
	if (list->count < TEXTS) {
		list->text[list->count++] = text;
	}
}

static bool
filter_valid(struct span filter)
{
	struct span group, rest;
	int r = mqtt_split_shared(filter, &group, &rest);

	return r == 0 ? mqtt_topic_filter_valid(filter) : r > 0 && mqtt_topic_filter_valid(rest);
}

static void
read_line(struct input *in, struct span line)
{
	struct span rest = span_skip(line, 1);

	switch (line.len > 0 ? line.ptr[0] : 0) {
	case 'P':
		add_rule(&in->publish, rest);
		break;
	case 'S':
		add_rule(&in->subscribe, rest);
		break;
	case 'I':
		in->vars.identity = rest;
		break;
	case 'T':
		if (mqtt_topic_name_valid(rest)) {
			add_text(&in->topics, rest);
		}
		break;
	case 'F':
		if (filter_valid(rest)) {
			add_text(&in->filters, rest);
		}
		break;
	default:
		break;
	}
}

static void
read_input(struct input *in, struct span data)
{
	while (data.len > 0) {
		const uint8_t *end = memchr(data.ptr, '\n', data.len);
		size_t n = end != NULL ? (size_t)(end - data.ptr) : data.len;

		read_line(in, span_head(data, n));
		data = span_skip(data, n + 1);
	}
	in->rules = (struct topic_rules){ .publish = in->publish.rule,
		.publish_count = in->publish.count,
		.subscribe = in->subscribe.rule,
		.subscribe_count = in->subscribe.count };
}

/* ---- what must hold -------------------------------------------------------------------- */

/* The filters of a rule, expanded. */
static void
sides(const struct input *in, bool publish, const struct topic_rule *rule, struct span *device,
      struct span *broker)
{
	const struct topic_rule *list = publish ? in->publish.rule : in->subscribe.rule;
	const struct topic_rule *same;

	require(topic_map_rule(in->map, publish, (size_t)(rule - list), device, broker, &same));
	require(same == rule);
}

static void
check_publish(const struct input *in, struct span topic)
{
	const struct topic_rule *rule = NULL;
	struct span device, broker, result;
	int r = topic_map_publish(in->map, topic, made, sizeof made, &rule);

	if (r < 0) {
		require(r == ERR_DENIED || r == ERR_LIMIT);
		return;
	}
	result = span_of(made, (size_t)r);
	sides(in, true, rule, &device, &broker);
	require(mqtt_topic_name_valid(result));
	require(topic_matches(device, topic) && topic_matches(broker, result));
	require(result.len <= topic.len + topic_map_growth_up(in->map));
	r = topic_map_response_down(in->map, result, back, sizeof back);
	require(r == ERR_LIMIT || (r >= 0 && span_eq(span_of(back, (size_t)r), topic)));
}

static void
check_deliver(const struct input *in, struct span topic)
{
	const struct topic_rule *rule = NULL;
	struct span device, broker, result;
	int r = topic_map_deliver(in->map, topic, made, sizeof made, &rule);

	if (r < 0) {
		require(r == ERR_DENIED || r == ERR_LIMIT);
		return;
	}
	result = span_of(made, (size_t)r);
	sides(in, false, rule, &device, &broker);
	require(mqtt_topic_name_valid(result));
	require(topic_matches(broker, topic) && topic_matches(device, result));
	require(result.len <= topic.len + topic_map_growth_down(in->map));
	require(topic.len <= result.len + topic_map_shrink_down(in->map));
	r = topic_map_response_up(in->map, result, back, sizeof back);
	require(r == ERR_LIMIT || (r >= 0 && mqtt_topic_name_valid(span_of(back, (size_t)r))));
}

/* One filter and what came of it. */
struct subscription {
	const struct input *in;
	struct span filter; /* without $share */
	bool shared;
	bool covered[TEXTS]; /* which topics' images are subscribed */
};

static int
check_result(void *owner, struct span result, const struct topic_rule *rule)
{
	struct subscription *s = owner;
	struct span device, broker, group;
	int r = mqtt_split_shared(result, &group, &result);

	require(r == s->shared);
	require(mqtt_topic_filter_valid(result));
	sides(s->in, false, rule, &device, &broker);
	require(topic_covers(broker, result));
	for (size_t i = 0; i < s->in->topics.count; i++) {
		struct span topic = s->in->topics.text[i];
		const struct topic_rule *by;

		r = topic_map_deliver(s->in->map, topic, made, sizeof made, &by);
		if (r >= 0 && topic_matches(result, topic)) {
			require(by == rule && topic_matches(s->filter, span_of(made, (size_t)r)));
		}
		r = topic_map_response_up(s->in->map, topic, made, sizeof made);
		if (r >= 0 && topic_matches(result, span_of(made, (size_t)r))) {
			s->covered[i] = true;
		}
	}
	return 0;
}

static void
check_subscribe(const struct input *in, struct span filter)
{
	struct subscription s = { .in = in, .filter = filter };
	struct span group, rest;
	int r = mqtt_split_shared(filter, &group, &rest);

	if (r > 0) {
		s.shared = true;
		s.filter = rest;
	}
	r = topic_map_subscribe(in->map, filter, scratch, check_result, &s);
	require(r > 0 || r == ERR_DENIED || r == ERR_LIMIT);
	if (r == ERR_LIMIT) {
		return;
	}
	for (size_t i = 0; i < in->topics.count; i++) {
		/* A device topic of the filter that has an image is subscribed. */
		r = topic_map_response_up(in->map, in->topics.text[i], made, sizeof made);
		require(r < 0 || s.covered[i] == topic_matches(s.filter, in->topics.text[i]));
	}
}

static void
check_algebra(const struct text_list *topics, struct span a, struct span b)
{
	int r = topic_intersect(a, b, made, sizeof made);
	struct span common = span_of(made, r > 0 ? (size_t)r : 0);

	if (r == ERR_FULL) {
		return;
	}
	require(r == 0 || (mqtt_topic_filter_valid(common) && topic_covers(a, common) &&
	                   topic_covers(b, common)));
	for (size_t i = 0; i < topics->count; i++) {
		bool in_a = topic_matches(a, topics->text[i]);
		bool in_b = topic_matches(b, topics->text[i]);

		require((in_a && in_b) == (r > 0 && topic_matches(common, topics->text[i])));
		require(in_a || !in_b || !topic_covers(a, b));
	}
}

static void
ignore_fault(void *owner, int line, const char *sentence)
{
	(void)owner;
	require(line >= 0 && sentence[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { .map = NULL };
	char why[120] = "";

	read_input(&in, span_of(data, size));
	for (size_t i = 1; i < in.filters.count; i++) {
		if (in.filters.text[i].ptr[0] != '$' && in.filters.text[i - 1].ptr[0] != '$') {
			check_algebra(&in.topics, in.filters.text[i - 1], in.filters.text[i]);
		}
	}
	if (topic_rules_check(&in.rules, ignore_fault, NULL) > 0) {
		return 0;
	}
	if (topic_map_compile(&in.rules, &in.vars, &in.map, why, sizeof why) < 0) {
		require(why[0] != '\0' && memchr(why, '\0', sizeof why) != NULL);
		return 0;
	}
	for (size_t i = 0; i < in.topics.count; i++) {
		check_publish(&in, in.topics.text[i]);
		check_deliver(&in, in.topics.text[i]);
	}
	for (size_t i = 0; i < in.filters.count; i++) {
		check_subscribe(&in, in.filters.text[i]);
	}
	topic_map_free(in.map);
	return 0;
}
