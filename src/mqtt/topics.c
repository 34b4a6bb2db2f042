/* SPDX-License-Identifier: BSD-2-Clause */
/* Topic names and topic filters (4.7), shared subscriptions (4.8.2). */
#include "mqtt/mqtt_int.h"

static bool
length_valid(struct span s)
{
	return s.len >= 1 && s.len <= UINT16_MAX;
}

bool
mqtt_name_valid(struct span name, enum mqtt_sender sender)
{
	return length_valid(name) && memchr(name.ptr, '+', name.len) == NULL &&
	       memchr(name.ptr, '#', name.len) == NULL && mqtt_text_valid(name, sender);
}

bool
mqtt_topic_name_valid(struct span name)
{
	return mqtt_name_valid(name, MQTT_FROM_SERVER);
}

/* A wildcard fills its level [MQTT-4.7.1-2], and '#' is the last one [MQTT-4.7.1-1]. */
static bool
wildcards_valid(struct span filter)
{
	for (size_t i = 0; i < filter.len; i++) {
		bool first = i == 0 || filter.ptr[i - 1] == '/';
		bool end = i + 1 == filter.len;

		if (filter.ptr[i] == '+' && (!first || !(end || filter.ptr[i + 1] == '/'))) {
			return false;
		}
		if (filter.ptr[i] == '#' && (!first || !end)) {
			return false;
		}
	}
	return true;
}

bool
mqtt_topic_filter_valid(struct span filter)
{
	return length_valid(filter) && wildcards_valid(filter) &&
	       mqtt_text_valid(filter, MQTT_FROM_CLIENT);
}

int
mqtt_split_shared(struct span filter, struct span *group, struct span *rest)
{
	static const char prefix[] = "$share/";
	const size_t skip = sizeof prefix - 1;
	struct span name, tail;
	const uint8_t *slash;

	if (filter.len < skip || memcmp(filter.ptr, prefix, skip) != 0) {
		return 0;
	}
	name = span_of(filter.ptr + skip, filter.len - skip);
	slash = name.len > 0 ? memchr(name.ptr, '/', name.len) : NULL;
	if (slash == NULL) {
		return ERR_MALFORMED;
	}
	name.len = (size_t)(slash - name.ptr);
	tail = span_skip(filter, skip + name.len + 1);
	if (!mqtt_name_valid(name, MQTT_FROM_CLIENT) || !mqtt_topic_filter_valid(tail)) {
		return ERR_MALFORMED;
	}
	*group = name;
	*rest = tail;
	return 1;
}
