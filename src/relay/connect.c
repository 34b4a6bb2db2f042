/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CONNECT: who the device is comes from its certificate, not from here. The
 * client identifier is made from the template, user name and password are
 * ours, the will is checked like a publish.
 */
#include "relay/relay_int.h"

#include <errno.h>
#include <stdlib.h>

/* A CONNECT on its way, and what is changed in it. */
struct remake {
	struct mqtt_connect c;
	struct mqtt_edit edit[3], will_edit[1];
	size_t edits, will_edits;
	uint8_t *will; /* mapped will topic and response topic */
};

struct topic_vars
relay_vars(const struct relay *r, const struct topic_vars *base)
{
	struct topic_vars vars = *base;

	vars.client_id = r->device_id_len > 0 ? relay_device_id(r) : base->identity;
	return vars;
}

static bool
begins_as_5(struct span body)
{
	static const uint8_t five[CONNECT_VERSION_BYTES] = { 0, 4, 'M', 'Q', 'T', 'T', 5 };

	return span_eq(span_head(body, sizeof five), span_of(five, sizeof five));
}

int
connect_too_large(struct relay *r, struct span body, enum mqtt_reason reason, const char *text)
{
	if (!begins_as_5(body)) {
		return end_forbidden(r, &r->up, reason, text);
	}
	r->version = MQTT_5;
	relay_count(r, METRIC_MALFORMED_DEVICE);
	return end_refused(r, reason, text, NULL);
}

/* A CONNECT that cannot be read: MQTT 5 wants the reason said, 3.x silence. */
static int
refuse_unread(struct relay *r, int rc, const struct unit *u, const struct mqtt_connect *c,
              enum mqtt_reason reason)
{
	r->version = MQTT_3_1_1;
	if (rc == ERR_VERSION) {
		r->version = (uint8_t)c->version;
		return end_refused(r, MQTT_UNSUPPORTED_PROTOCOL_VERSION,
		                   "speaks a version of MQTT that is not supported", NULL);
	}
	if (begins_as_5(u->body)) {
		r->version = MQTT_5;
		relay_count(r, METRIC_MALFORMED_DEVICE);
		return end_refused(r, reason, "sent a malformed CONNECT", NULL);
	}
	r->version = 0;
	return end_malformed(r, &r->up, MQTT_CONNECT, reason);
}

static void
remember(struct relay *r, const struct mqtt_connect *c)
{
	const struct mqtt_props *props = &c->props;

	r->version = (uint8_t)c->version;
	r->clean_start = c->clean_start;
	r->keep_alive = c->keep_alive;
	r->has_will = c->has_will;
	r->will_2 = relay_is_5(r) && c->has_will && c->will_qos == 2;
	r->assigned = relay_is_5(r) && c->client_id.len == 0;
	r->quiet = mqtt_props_number(props, MQTT_PROP_REQUEST_PROBLEM_INFORMATION, 1) == 0;
	r->authenticates = mqtt_props_has(props, MQTT_PROP_AUTHENTICATION_METHOD);
	r->device_max = mqtt_props_number(props, MQTT_PROP_MAXIMUM_PACKET_SIZE, UINT32_MAX);
	r->session_expiry = relay_is_5(r) ?
	                            mqtt_props_number(props, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 0) :
	                    c->clean_start ? 0 :
	                                     UINT32_MAX;
}

/* The device's identifier and the upstream one, kept together. */
static int
keep_ids(struct relay *r, struct span device, struct span upstream)
{
	r->ids = malloc(device.len + upstream.len + 1);
	if (r->ids == NULL) {
		return -ENOMEM;
	}
	if (device.len > 0) {
		memcpy(r->ids, device.ptr, device.len);
	}
	memcpy(r->ids + device.len, upstream.ptr, upstream.len);
	r->device_id_len = (uint16_t)device.len;
	r->client_id_len = (uint16_t)upstream.len;
	return 0;
}

static int
take_client_id(struct relay *r, struct remake *m)
{
	struct span id = m->c.client_id;
	struct topic_vars vars = r->settings.vars;
	uint8_t upstream[CLIENT_ID_MAX];
	struct span which = { 0 };
	int rc;

	/* 3.1.1 3.1.3.1: no name, no session to come back to. 3.1: a name is a must. */
	if (id.len == 0 && (r->version == MQTT_3_1 ||
	                    (r->version == MQTT_3_1_1 && !m->c.clean_start))) {
		return end_refused(r, MQTT_CLIENT_IDENTIFIER_NOT_VALID,
		                   "sent an empty client identifier", NULL);
	}
	vars.client_id = id.len > 0 ? id : vars.identity;
	rc = topic_template_expand(span_str(r->settings.client_id), &vars, upstream,
	                           sizeof upstream, &which);
	if (rc < 0 && rc != ERR_FULL && !span_eq_str(which, "client_id")) {
		return end_refused(r, MQTT_NOT_AUTHORIZED,
		                   "has no value for the client identifier template", NULL);
	}
	if (rc <= 0) {
		return end_refused(r, MQTT_CLIENT_IDENTIFIER_NOT_VALID,
		                   "sent a client identifier that cannot be used upstream", NULL);
	}
	rc = keep_ids(r, id, span_of(upstream, (size_t)rc));
	m->c.client_id = relay_client_id(r);
	return rc;
}

static int
compile_map(struct relay *r)
{
	struct topic_vars vars = relay_vars(r, &r->settings.vars);
	char why[256] = "";
	int rc = topic_map_compile(r->settings.rules, &vars, &r->map, why, sizeof why);

	if (rc == 0 || rc == -ENOMEM) {
		return rc;
	}
	return end_refused(r, MQTT_NOT_AUTHORIZED,
	                   "has no topic rules: they cannot be expanded for it", why);
}

/* Keepalive 0 is the longest of all. */
static int
limit_keep_alive(struct relay *r, struct remake *m)
{
	uint16_t max = r->settings.limits.keepalive_max;

	if (max == 0 || (m->c.keep_alive > 0 && m->c.keep_alive <= max)) {
		return 0;
	}
	if (!relay_is_5(r)) {
		return end_refused(r, MQTT_CLIENT_IDENTIFIER_NOT_VALID,
		                   "asked for a longer keepalive than the limit", NULL);
	}
	m->c.keep_alive = max;
	r->keep_alive = max;
	r->keep_alive_cut = true;
	return 0;
}

static int
deny_will(struct relay *r, struct span topic, enum mqtt_reason reason, const char *text)
{
	relay_remember_denied(r, topic);
	relay_count(r, METRIC_PUBLISH_DENIED);
	r->denied++;
	return end_refused(r, reason, text, NULL);
}

static int
map_will_response(struct relay *r, struct remake *m)
{
	struct span topic = mqtt_props_string(&m->c.will_props, MQTT_PROP_RESPONSE_TOPIC);
	uint8_t *at = m->will + TOPIC_MAX;
	int n;

	if (!mqtt_props_has(&m->c.will_props, MQTT_PROP_RESPONSE_TOPIC)) {
		return 0;
	}
	n = topic_map_response_up(r->map, topic, at, TOPIC_MAX);
	if (n < 0) {
		return deny_will(r, topic, MQTT_NOT_AUTHORIZED,
		                 "has a will whose response topic is denied");
	}
	m->will_edit[m->will_edits++] = (struct mqtt_edit){
		.id = MQTT_PROP_RESPONSE_TOPIC,
		.what = MQTT_EDIT_STRING,
		.text = span_of(at, (size_t)n),
	};
	return 0;
}

/* The will is a publish of the future: the same rights, checked now. */
static int
map_will(struct relay *r, struct remake *m)
{
	const struct topic_rule *rule = NULL;
	int n;

	if (!m->c.has_will) {
		return 0;
	}
	m->will = malloc(2 * (size_t)TOPIC_MAX);
	if (m->will == NULL) {
		return -ENOMEM;
	}
	n = topic_map_publish(r->map, m->c.will_topic, m->will, TOPIC_MAX, &rule);
	if (n < 0) {
		return deny_will(r, m->c.will_topic, MQTT_NOT_AUTHORIZED,
		                 "has a will whose topic is denied");
	}
	if (m->c.will_qos > rule->max_qos) {
		return deny_will(r, m->c.will_topic, MQTT_NOT_AUTHORIZED,
		                 "has a will over the QoS of its rule");
	}
	if (m->c.will_payload.len > rule->max_payload) {
		return deny_will(r, m->c.will_topic, MQTT_QUOTA_EXCEEDED,
		                 "has a will over the size of its rule");
	}
	if (rule->retain == TOPIC_RETAIN_CLEAR) {
		m->c.will_retain = false;
	}
	m->c.will_topic = span_of(m->will, (size_t)n);
	return map_will_response(r, m);
}

static void
edit_number(struct remake *m, enum mqtt_property id, uint32_t number)
{
	m->edit[m->edits++] = (struct mqtt_edit){
		.id = id, .what = MQTT_EDIT_NUMBER, .number = number
	};
}

/*
 * What the broker sends gets smaller on the way to the device, so it may send
 * more than the device takes. The true size is checked again on the way.
 */
static void
edit_properties(struct relay *r, struct remake *m)
{
	uint32_t aliases = mqtt_props_number(&m->c.props, MQTT_PROP_TOPIC_ALIAS_MAXIMUM, 0);
	unsigned limit = r->settings.limits.topic_aliases;
	uint64_t max;

	if (r->device_max < UINT32_MAX) {
		max = (uint64_t)r->device_max + topic_map_shrink_down(r->map) +
		      topic_map_growth_up(r->map) + 6;
		edit_number(m, MQTT_PROP_MAXIMUM_PACKET_SIZE,
		            max < UINT32_MAX ? (uint32_t)max : UINT32_MAX);
	}
	r->alias_down.max = (uint16_t)(aliases < limit ? aliases : limit);
	if (aliases > limit) {
		edit_number(m, MQTT_PROP_TOPIC_ALIAS_MAXIMUM, limit);
	}
}

static int
build(struct relay *r, struct remake *m)
{
	size_t size;
	uint8_t *at;
	struct writer w;
	int rc;

	m->c.has_username = true;
	m->c.username = r->settings.username;
	m->c.has_password = r->settings.password != NULL;
	m->c.password = span_str(r->settings.password);
	size = mqtt_connect_size(&m->c, m->edit, m->edits, m->will_edit, m->will_edits);
	rc = buf_reserve(&r->connect, size, &at);
	if (rc < 0) {
		return rc;
	}
	w = writer_of(at, size);
	mqtt_write_connect(&w, &m->c, m->edit, m->edits, m->will_edit, m->will_edits);
	if (w.bad) {
		return end_refused(r, MQTT_PACKET_TOO_LARGE, "sent a CONNECT that grows too large",
		                   NULL);
	}
	buf_commit(&r->connect, writer_len(&w));
	return 0;
}

static int
remake(struct relay *r, struct remake *m)
{
	int rc = limit_keep_alive(r, m);

	rc = rc < 0 ? rc : take_client_id(r, m);
	rc = rc < 0 ? rc : compile_map(r);
	rc = rc < 0 ? rc : map_will(r, m);
	if (rc == 0) {
		edit_properties(r, m);
		rc = build(r, m);
	}
	free(m->will);
	return rc;
}

/* The byte behind the protocol name (3.1.2.2), whatever it is. */
static uint8_t
level_of(struct span body)
{
	struct reader r = reader_of(body);

	(void)read_block(&r);
	return read_u8(&r);
}

int
connect_take(struct relay *r, const struct unit *u)
{
	struct remake m = { .edits = 0 };
	enum mqtt_reason reason = MQTT_MALFORMED_PACKET;
	int rc = mqtt_decode_connect(u->body, &m.c, &reason);

	r->level = level_of(u->body);
	if (rc < 0) {
		return refuse_unread(r, rc, u, &m.c, reason);
	}
	remember(r, &m.c);
	rc = remake(r, &m);
	if (rc == 0) {
		r->phase = RELAY_DIAL;
	}
	return rc;
}
