/* SPDX-License-Identifier: BSD-2-Clause */
/* What others may know of a relay, and whether other rules would change it. */
#include "relay/relay_int.h"

#include <stdlib.h>

struct relay_ending
relay_ending(const struct relay *r)
{
	return r->ending;
}

void
relay_info(const struct relay *r, struct relay_info *out)
{
	*out = (struct relay_info){
		.version = r->version,
		.level = r->level,
		.device_client_id = relay_device_id(r),
		.client_id = relay_client_id(r),
		.clean_start = r->clean_start,
		.session_present = r->session_present,
		.keep_alive = r->keep_alive,
		.publish_up = r->publish_up,
		.publish_down = r->publish_down,
		.denied = r->denied,
		.unmapped = r->unmapped,
		.bytes_up = r->bytes_up,
		.bytes_down = r->bytes_down,
		.last_denied = span_of(r->last_denied, r->last_denied_len),
		.subscriptions = r->subscriptions.count,
		.stored = r->stored,
		.publish_only = r->limited,
		.persistent = !r->clean_start || r->session_expiry != 0,
	};
}

void
relay_remember_denied(struct relay *r, struct span topic)
{
	topic = span_head(topic, LAST_DENIED_MAX);
	if (r->last_denied == NULL) {
		r->last_denied = malloc(LAST_DENIED_MAX);
	}
	if (r->last_denied != NULL && topic.len > 0) {
		memcpy(r->last_denied, topic.ptr, topic.len);
		r->last_denied_len = (uint8_t)topic.len;
	}
}

const struct topic_map *
relay_map(const struct relay *r)
{
	return r->map;
}

bool
relay_rights_differ(const struct relay *r, const struct topic_rules *rules,
                    const struct topic_vars *vars)
{
	struct topic_vars all;
	struct topic_map *map;
	char why[256];
	bool differ;

	if (r->map == NULL) {
		return false;
	}
	all = relay_vars(r, vars);
	if (topic_map_compile(rules, &all, &map, why, sizeof why) < 0) {
		return true;
	}
	differ = !topic_map_equal(r->map, map) ||
	         rules->on_denial != r->settings.rules->on_denial;
	topic_map_free(map);
	return differ;
}
