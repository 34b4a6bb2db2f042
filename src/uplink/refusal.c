/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stored messages that the broker does not take. Each is counted by the spool;
 * the log gets one line when it begins for a device and a reason, and one for
 * each hour that it goes on. A fleet that is denied as a whole is told of by
 * some of its devices: so many lines in a minute, and how many were left out.
 */
#include "uplink/uplink_int.h"

#include "base/log.h"
#include "mqtt/mqtt.h"

#define AGAIN_MS 3600000 /* until the same is worth another line */
#define MINUTE_MS 60000
#define LINES_MOST 10 /* in a minute */

static const char *
remedy_of(int reason)
{
	switch (reason) {
	case MQTT_NOT_AUTHORIZED:
		return "let the user of uplink.username write to that topic in the broker's access "
		       "list";
	case MQTT_PACKET_TOO_LARGE:
		return "raise max_packet_size at the broker, or set max_payload in the map's rule";
	case MQTT_TOPIC_NAME_INVALID:
		return "look at the rule of the map that makes this topic";
	case MQTT_PAYLOAD_FORMAT_INVALID:
		return "the device says that its payload is text, and it is not: repair the device";
	case MQTT_RETAIN_NOT_SUPPORTED:
		return "set retain_available at the broker, or retain = \"clear\" in the map's rule";
	case MQTT_QOS_NOT_SUPPORTED:
		return "allow QoS 1 at the broker: max_qos";
	default:
		return "look into the broker's log";
	}
}

static uint64_t
key_of(const char *identity, int reason)
{
	uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)reason;

	for (; *identity != '\0'; identity++) {
		h = (h ^ (uint8_t)*identity) * 0x100000001b3u;
	}
	return h;
}

/* The episode of that key; or the place of the one that was quiet for longest. */
static struct refusal *
find(struct refusals *r, uint64_t key)
{
	struct refusal *oldest = &r->slot[0];

	for (size_t i = 0; i < REFUSALS; i++) {
		if (r->slot[i].count > 0 && r->slot[i].key == key) {
			return &r->slot[i];
		}
		if (r->slot[i].last < oldest->last) {
			oldest = &r->slot[i];
		}
	}
	*oldest = (struct refusal){ .key = key };
	return oldest;
}

/* May there be another line in this minute? */
static bool
may_say(struct refusals *r, uint64_t now)
{
	if (r->lines == 0 || now - r->minute >= MINUTE_MS) {
		r->minute = now;
		r->lines = 0;
	}
	return r->lines++ < LINES_MOST;
}

void
refusal_note(struct uplink *u, const char *identity, const char *topic, int reason,
             const char *text)
{
	struct refusals *r = &u->refusals;
	struct refusal *one = find(r, key_of(identity, reason));
	uint64_t now = loop_now(u->loop);

	one->last = now;
	one->count++;
	if ((one->count > 1 && now - one->said < AGAIN_MS) || !may_say(r, now)) {
		r->unsaid++;
		return;
	}
	one->said = now;
	log_warning(LOG_UPSTREAM, "the broker does not take stored messages; they are dropped",
	            log_str("device", identity), log_str("topic", topic),
	            log_str("reason", text != NULL ? text : mqtt_reason_text((uint8_t)reason)),
	            log_int("code", reason), log_int("unsaid", (int64_t)r->unsaid),
	            log_str("remedy", remedy_of(reason)));
	r->unsaid = 0;
}
