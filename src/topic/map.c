/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/map_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct compile {
	const struct topic_rules *rules;
	const struct topic_vars *vars;
	char *why;
	size_t why_size;
};

/* A peer's bytes as printable text; cut when long. */
static const char *
printable(struct span value, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.ptr[i];
		bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';

		if (n + 4 + sizeof "..." > size) {
			snprintf(out + n, size - n, "...");
			return out;
		}
		n += (size_t)snprintf(out + n, size - n, plain ? "%c" : "\\x%02x", c);
	}
	out[n] = '\0';
	return out;
}

static int
say_unsafe(const struct compile *c, int line, struct span name)
{
	struct span value = topic_vars_get(c->vars, name);
	char text[80];

	if (value.len == 0) {
		snprintf(c->why, c->why_size, "line %d: the device has no ${%.*s}", line,
		         SPAN_ARG(span_head(name, 64)));
	} else {
		snprintf(c->why, c->why_size,
		         "line %d: the value \"%s\" of ${%.*s} cannot stand in a topic", line,
		         printable(value, text, sizeof text), SPAN_ARG(span_head(name, 64)));
	}
	return ERR_UNSAFE;
}

static int
say_ambiguous(const struct compile *c, const struct topic_rule *a, const struct topic_rule *b)
{
	snprintf(c->why, c->why_size,
	         "line %d and line %d: the broker filters \"%.128s\" and \"%.128s\" overlap "
	         "with the values of this device",
	         a->line, b->line, a->broker, b->broker);
	return ERR_AMBIGUOUS;
}

/* Bytes of the expanded side; *room grows when they need a place of their own. */
static int
measure(const struct compile *c, const struct topic_rule *rule, const char *text, size_t *room)
{
	struct sink s = { .size = 0 };
	struct span which;

	if (topic_template_put(span_str(text), c->vars, &s, &which) < 0) {
		return say_unsafe(c, rule->line, which);
	}
	if (s.len > TOPIC_MAX) {
		snprintf(c->why, c->why_size,
		         "line %d: a filter is too long with the values of this device", rule->line);
		return ERR_UNSAFE;
	}
	if (topic_template_is(span_str(text))) {
		*room += s.len;
	}
	return 0;
}

/* The expanded side, written to *at when it has variables. Measured before. */
static struct span
place(const struct compile *c, const char *text, struct span *at)
{
	struct span source = span_str(text), which, made;
	uint8_t *out = (uint8_t *)(uintptr_t)at->ptr;
	int n;

	if (!topic_template_is(source)) {
		return source;
	}
	n = topic_template_expand(source, c->vars, out, at->len, &which);
	made = span_of(out, n > 0 ? (size_t)n : 0);
	*at = span_skip(*at, made.len);
	return made;
}

static void
place_rules(const struct compile *c, struct topic_map *map, struct span room)
{
	for (size_t i = 0; i < map_count(map); i++) {
		const struct topic_rule *rule = map_configured(c->rules, i);
		struct span device = place(c, rule->device, &room);
		struct span broker = place(c, rule->broker, &room);

		map->rule[i] = (struct map_rule){ .device = device.ptr,
			.broker = broker.ptr,
			.device_len = (uint16_t)device.len,
			.broker_len = (uint16_t)broker.len };
	}
}

/*
 * Do the broker sides of the rules from..to have a topic in common? Two sides
 * without variables were compared by topic_rules_check().
 */
static int
check_overlap(const struct compile *c, const struct topic_map *map, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		const struct topic_rule *a = map_configured(c->rules, i);
		bool expanded = map->rule[i].broker != (const uint8_t *)a->broker;

		for (size_t j = i + 1; j < to; j++) {
			const struct topic_rule *b = map_configured(c->rules, j);

			if (!expanded && map->rule[j].broker == (const uint8_t *)b->broker) {
				continue;
			}
			if (topic_overlaps(map_broker(map, i), map_broker(map, j),
			                   TOPIC_TEXT_EXPANDED)) {
				return say_ambiguous(c, a, b);
			}
		}
	}
	return 0;
}

int
topic_map_compile(const struct topic_rules *rules, const struct topic_vars *vars,
                  struct topic_map **out, char *why, size_t size)
{
	struct compile c = { .rules = rules, .vars = vars, .why = why, .why_size = size };
	size_t count = rules->publish_count + rules->subscribe_count, room = 0, head;
	struct topic_map *map;
	int r;

	for (size_t i = 0; i < count; i++) {
		const struct topic_rule *rule = map_configured(rules, i);

		r = measure(&c, rule, rule->device, &room);
		if (r == 0) {
			r = measure(&c, rule, rule->broker, &room);
		}
		if (r < 0) {
			return r;
		}
	}
	head = sizeof *map + count * sizeof map->rule[0];
	map = malloc(head + room);
	if (map == NULL) {
		return -ENOMEM;
	}
	map->rules = rules;
	place_rules(&c, map, span_of((uint8_t *)map + head, room));
	r = check_overlap(&c, map, 0, rules->publish_count);
	if (r == 0) {
		r = check_overlap(&c, map, rules->publish_count, count);
	}
	if (r < 0) {
		free(map);
		return r;
	}
	*out = map;
	return 0;
}

void
topic_map_free(struct topic_map *map)
{
	free(map);
}

static bool
same_options(const struct topic_rule *a, const struct topic_rule *b)
{
	return a->max_qos == b->max_qos && a->retain == b->retain &&
	       a->max_payload == b->max_payload && a->delivery == b->delivery;
}

bool
topic_map_equal(const struct topic_map *a, const struct topic_map *b)
{
	if (a->rules->publish_count != b->rules->publish_count ||
	    a->rules->subscribe_count != b->rules->subscribe_count ||
	    a->rules->on_denial != b->rules->on_denial) {
		return false;
	}
	for (size_t i = 0; i < map_count(a); i++) {
		if (!span_eq(map_device(a, i), map_device(b, i)) ||
		    !span_eq(map_broker(a, i), map_broker(b, i)) ||
		    !same_options(map_configured(a->rules, i), map_configured(b->rules, i))) {
			return false;
		}
	}
	return true;
}

bool
topic_map_rule(const struct topic_map *map, bool publish, size_t index, struct span *device,
               struct span *broker, const struct topic_rule **rule)
{
	const struct topic_rules *rules = map->rules;

	if (index >= (publish ? rules->publish_count : rules->subscribe_count)) {
		return false;
	}
	index += publish ? 0 : rules->publish_count;
	*device = map_device(map, index);
	*broker = map_broker(map, index);
	*rule = map_configured(rules, index);
	return true;
}

/*
 * Whatever the wildcards stand for is copied, so the difference of the two
 * sides is the same for every topic of a rule. (A '#' for no level drops its
 * slash on both sides; where one side has no slash to drop there is no topic.)
 */
static size_t
most_added(const struct topic_map *map, bool up)
{
	size_t most = 0;

	for (size_t i = 0; i < map_count(map); i++) {
		size_t from = up ? map->rule[i].device_len : map->rule[i].broker_len;
		size_t to = up ? map->rule[i].broker_len : map->rule[i].device_len;

		if (to > from && to - from > most) {
			most = to - from;
		}
	}
	return most;
}

size_t
topic_map_growth_up(const struct topic_map *map)
{
	return most_added(map, true);
}

size_t
topic_map_growth_down(const struct topic_map *map)
{
	return most_added(map, false);
}

size_t
topic_map_shrink_down(const struct topic_map *map)
{
	return most_added(map, true);
}
