/* SPDX-License-Identifier: BSD-2-Clause */
/* SUBSCRIBE and UNSUBSCRIBE (3.8, 3.10). */
#include "mqtt/mqtt_int.h"

/* Subscription options (3.8.3.1). */
#define OPTION_QOS 0x03u
#define OPTION_NO_LOCAL 0x04u
#define OPTION_RETAIN_HANDLING 0x30u
#define OPTION_RESERVED 0xc0u

static int
check_options(uint8_t options, bool shared, enum mqtt_version version, enum mqtt_reason *reason)
{
	if (version != MQTT_5) { /* 3.1.1 [MQTT-3-8.3-4] */
		return options <= 2 ? 0 : mqtt_malformed(reason);
	}
	if ((options & OPTION_RESERVED) != 0) {
		return mqtt_malformed(reason); /* [MQTT-3.8.3-5] */
	}
	if ((options & OPTION_QOS) == 3 ||
	    (options & OPTION_RETAIN_HANDLING) == OPTION_RETAIN_HANDLING ||
	    (shared && (options & OPTION_NO_LOCAL) != 0)) {
		return mqtt_protocol(reason); /* 3.8.3.1, [MQTT-3.8.3-4] */
	}
	return 0;
}

static bool
read_filter(struct reader *r, enum mqtt_type type, struct mqtt_filter *out)
{
	out->filter = read_block(r);
	out->options = type == MQTT_SUBSCRIBE ? read_u8(r) : 0;
	return !r->bad;
}

static int
check_filter(struct reader *r, enum mqtt_type type, enum mqtt_version version,
             enum mqtt_reason *reason)
{
	struct mqtt_filter f;
	struct span group, rest;
	int shared;

	if (!read_filter(r, type, &f) || !mqtt_topic_filter_valid(f.filter)) {
		return mqtt_malformed(reason);
	}
	/* Before 5 too: brokers share by the name alone. */
	shared = mqtt_split_shared(f.filter, &group, &rest);
	if (shared < 0) {
		return mqtt_malformed(reason);
	}
	return type == MQTT_SUBSCRIBE ? check_options(f.options, shared > 0, version, reason) : 0;
}

int
mqtt_decode_filters(enum mqtt_type type, struct span body, enum mqtt_version version,
                    struct mqtt_filters *out, enum mqtt_reason *reason)
{
	struct reader r = reader_of(body);
	struct mqtt_filters list = { .packet_id = read_u16(&r) };
	int rc = 0;

	if (version == MQTT_5) {
		rc = mqtt_read_props(&r, type, MQTT_FROM_CLIENT, &list.props, reason);
	}
	if (rc == 0 && r.bad) {
		rc = mqtt_malformed(reason);
	}
	list.list = r;
	while (rc == 0 && reader_left(&r) > 0) {
		rc = check_filter(&r, type, version, reason);
		list.count++;
	}
	if (rc != 0) {
		return rc;
	}
	if (list.packet_id == 0 || list.count == 0) {
		return mqtt_protocol(reason); /* [MQTT-2.2.1-3], [MQTT-3.8.3-2] */
	}
	*out = list;
	return 0;
}

bool
mqtt_filter_next(struct mqtt_filters *list, enum mqtt_type type, struct mqtt_filter *out)
{
	return reader_left(&list->list) > 0 && read_filter(&list->list, type, out);
}
