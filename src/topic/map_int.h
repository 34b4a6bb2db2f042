/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiled map: one allocation, a session keeps one. */
#ifndef GATEWAY_TOPIC_MAP_INT_H
#define GATEWAY_TOPIC_MAP_INT_H

#include "topic/topic_int.h"

/* A side without variables points into the configuration, others behind the rules. */
struct map_rule {
	const uint8_t *device, *broker;
	uint16_t device_len, broker_len;
};

struct topic_map {
	const struct topic_rules *rules;
	struct map_rule rule[]; /* publish rules, then subscribe rules, then the text */
};

static inline size_t
map_count(const struct topic_map *map)
{
	return map->rules->publish_count + map->rules->subscribe_count;
}

static inline struct span
map_device(const struct topic_map *map, size_t i)
{
	return span_of(map->rule[i].device, map->rule[i].device_len);
}

static inline struct span
map_broker(const struct topic_map *map, size_t i)
{
	return span_of(map->rule[i].broker, map->rule[i].broker_len);
}

/* The rule as configured; i counts through both lists. */
static inline const struct topic_rule *
map_configured(const struct topic_rules *rules, size_t i)
{
	return i < rules->publish_count ? &rules->publish[i] :
	                                  &rules->subscribe[i - rules->publish_count];
}

#endif
