/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/map_int.h"

#include "mqtt/mqtt.h"

/* A range of the compiled rules: one of the two lists. */
struct range {
	size_t from, to;
};

static struct range
publish_rules(const struct topic_map *map)
{
	return (struct range){ 0, map->rules->publish_count };
}

static struct range
subscribe_rules(const struct topic_map *map)
{
	return (struct range){ map->rules->publish_count, map_count(map) };
}

static int
forward(const struct topic_map *map, size_t i, struct span topic, uint8_t *out, size_t size)
{
	return topic_substitute(map_device(map, i), map_broker(map, i), topic, out, size);
}

static int
backward(const struct topic_map *map, size_t i, struct span topic, uint8_t *out, size_t size)
{
	return topic_substitute(map_broker(map, i), map_device(map, i), topic, out, size);
}

/* The first rule whose device side matches; range.to when none does. */
static size_t
by_device(const struct topic_map *map, struct range range, struct span topic)
{
	size_t i = range.from;

	while (i < range.to && !topic_matches(map_device(map, i), topic)) {
		i++;
	}
	return i;
}

/* The only rule whose broker side matches; range.to when none does. */
static size_t
by_broker(const struct topic_map *map, struct range range, struct span topic)
{
	size_t i = range.from;

	while (i < range.to && !topic_matches(map_broker(map, i), topic)) {
		i++;
	}
	return i;
}

int
topic_map_publish(const struct topic_map *map, struct span topic, uint8_t *out, size_t size,
                  const struct topic_rule **rule)
{
	struct range range = publish_rules(map);
	size_t i = by_device(map, range, topic);
	int r = i < range.to ? forward(map, i, topic, out, size) : ERR_DENIED;

	if (r >= 0) {
		*rule = map_configured(map->rules, i);
	}
	return r;
}

int
topic_map_deliver(const struct topic_map *map, struct span topic, uint8_t *out, size_t size,
                  const struct topic_rule **rule)
{
	struct range range = subscribe_rules(map);
	size_t i = by_broker(map, range, topic);
	int r = i < range.to ? backward(map, i, topic, out, size) : ERR_DENIED;

	if (r >= 0) {
		*rule = map_configured(map->rules, i);
	}
	return r;
}

int
topic_map_response_up(const struct topic_map *map, struct span topic, uint8_t *out, size_t size)
{
	struct range range = subscribe_rules(map);

	/* A subscription is the union of all rules, so the first that has an image serves. */
	for (range.from = by_device(map, range, topic); range.from < range.to;
	     range.from = by_device(map, range, topic)) {
		int r = forward(map, range.from, topic, out, size);

		if (r != ERR_DENIED) {
			return r;
		}
		range.from++;
	}
	return ERR_DENIED;
}

int
topic_map_response_down(const struct topic_map *map, struct span topic, uint8_t *out, size_t size)
{
	struct range range = publish_rules(map);
	size_t i = by_broker(map, range, topic);
	int r = i < range.to ? backward(map, i, topic, out, size) : ERR_DENIED;

	/* What the device publishes there must come back here, not go by an earlier rule. */
	if (r >= 0 && by_device(map, range, span_of(out, (size_t)r)) != i) {
		return ERR_DENIED;
	}
	return r;
}

struct subscription {
	struct span prefix; /* "$share/GROUP/", or empty */
	struct span filter;
	uint8_t *scratch;
	int (*each)(void *owner, struct span broker_filter, const struct topic_rule *rule);
	void *owner;
};

/* The whole broker filter by rule i, in scratch. Length, ERR_DENIED, ERR_LIMIT. */
static int
map_filter(const struct topic_map *map, size_t i, const struct subscription *s)
{
	uint8_t *at = s->scratch + s->prefix.len;
	int r;

	if (!topic_overlaps(map_device(map, i), s->filter, TOPIC_TEXT_EXPANDED)) {
		return ERR_DENIED;
	}
	r = forward(map, i, s->filter, at, TOPIC_MAX - s->prefix.len);
	if (r < 0) {
		return r == ERR_FULL ? ERR_LIMIT : r;
	}
	if (s->prefix.len > 0) {
		memcpy(s->scratch, s->prefix.ptr, s->prefix.len);
		r += (int)s->prefix.len;
	}
	return topic_levels(span_of(s->scratch, (size_t)r)) > TOPIC_LEVELS ? ERR_LIMIT : r;
}

/*
 * Results cannot be equal: each is covered by the broker side of its rule, and
 * those have nothing in common.
 */
static int
map_subscription(const struct topic_map *map, const struct subscription *s)
{
	struct range range = subscribe_rules(map);
	int count = 0;

	for (size_t i = range.from; i < range.to; i++) {
		int r = map_filter(map, i, s);

		if (r == ERR_DENIED) {
			continue;
		}
		if (r >= 0 && s->each != NULL) {
			r = s->each(s->owner, span_of(s->scratch, (size_t)r),
			            map_configured(map->rules, i));
		} else if (r >= 0) {
			r = 0;
		}
		if (r != 0) {
			return r;
		}
		count++;
	}
	return count > 0 ? count : ERR_DENIED;
}

int
topic_map_subscribe(const struct topic_map *map, struct span filter, uint8_t *scratch,
                    int (*each)(void *owner, struct span broker_filter,
                                const struct topic_rule *rule),
                    void *owner)
{
	struct subscription s = { .filter = filter, .scratch = scratch };
	struct span group;
	int r = mqtt_split_shared(filter, &group, &s.filter);

	if (r < 0 || filter.len > TOPIC_MAX) {
		return r < 0 ? ERR_MALFORMED : ERR_LIMIT;
	}
	s.filter = r > 0 ? s.filter : filter;
	s.prefix = span_head(filter, filter.len - s.filter.len);
	/* First in silence: nothing is handed out when one of them is too long. */
	r = map_subscription(map, &s);
	if (r < 0) {
		return r;
	}
	s.each = each;
	s.owner = owner;
	return map_subscription(map, &s);
}
