/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/schema.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

static const struct schema_word admissions[] = {
	{ "enrolled", CONF_ADMIT_ENROLLED },
	{ "ca", CONF_ADMIT_CA },
	{ NULL, 0 },
};

static const struct schema_word random_policies[] = {
	{ "warn", CONF_RANDOM_WARN },
	{ "refuse", CONF_RANDOM_REFUSE },
	{ NULL, 0 },
};

static const struct schema_word crl_policies[] = {
	{ "refuse", CONF_CRL_REFUSE },
	{ "warn", CONF_CRL_WARN },
	{ NULL, 0 },
};

static const struct schema_word tls_versions[] = {
	{ "1.2", 12 },
	{ "1.3", 13 },
	{ NULL, 0 },
};

static const struct schema_word retains[] = {
	{ "keep", TOPIC_RETAIN_KEEP },
	{ "clear", TOPIC_RETAIN_CLEAR },
	{ NULL, 0 },
};

static const struct schema_word deliveries[] = {
	{ "relay", TOPIC_DELIVERY_RELAY },
	{ "store", TOPIC_DELIVERY_STORE },
	{ NULL, 0 },
};

static const struct schema_word outages[] = { /* conf_outage.hold */
	{ "hold", true },
	{ "refuse", false },
	{ NULL, 0 },
};

static const struct schema_word persistents[] = { /* conf_outage.publish_only */
	{ "refuse", false },
	{ "publish-only", true },
	{ NULL, 0 },
};

static const struct schema_word denials[] = {
	{ "drop", TOPIC_DENIAL_DROP },
	{ "close", TOPIC_DENIAL_CLOSE },
	{ NULL, 0 },
};

static const struct schema_word schema_sources[] = {
	{ "san_uri", CONF_SOURCE_SAN_URI },
	{ "san_dns", CONF_SOURCE_SAN_DNS },
	{ "cn", CONF_SOURCE_CN },
	{ "serial", CONF_SOURCE_SERIAL },
	{ "fingerprint", CONF_SOURCE_FINGERPRINT },
	{ NULL, 0 },
};

static const struct schema_word schema_log_levels[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "notice", LOG_LEVEL_NOTICE },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
	{ NULL, 0 },
};

#define AT(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define TEXT(most)       .type = SCHEMA_TEXT, .min = 1, .max = (most)
#define FILE_PATH        .type = SCHEMA_PATH, .min = 1, .max = 4095
#define SOCKET_PATH      .type = SCHEMA_PATH, .min = 1, .max = 107 /* sun_path */
#define ADDRESS          .type = SCHEMA_ADDRESS, .min = 1, .max = 45
#define NUMBER(in, least, most) \
	.type = SCHEMA_NUMBER, .unit = (in), .min = (least), .max = (most)
#define COUNT(least, most)      NUMBER(VALUE_PLAIN, least, most)
#define MS(least, most)         NUMBER(VALUE_MS, least, most)
#define SECONDS(least, most)    NUMBER(VALUE_SECONDS, least, most)
#define BYTES(least, most)      NUMBER(VALUE_BYTES, least, most)
#define WORDS(list)             .type = SCHEMA_WORD, .words = (list)

#define MINUTE 60000
#define DAY    (24 * 60 * MINUTE)
#define KIB    1024
#define MIB    1048576
#define GIB    ((int64_t)1 << 30)

const struct schema_key conf_schema[] = {
	{ "gateway.name", TEXT(512), AT(struct conf, gateway.name),
	  .derived = "the host's name",
	  .help = "name of this gateway, ${gateway} in templates" },
	{ "gateway.workers", COUNT(0, 256), AT(struct conf, gateway.workers), .fallback = "0",
	  .restart = true, .help = "worker threads; 0: one per core" },
	{ "gateway.state_directory", FILE_PATH, AT(struct conf, gateway.state_directory),
	  .fallback = GATEWAY_STATEDIR, .restart = true,
	  .help = "folder of the register and of the keys and certificates" },
	{ "gateway.control_socket", SOCKET_PATH, AT(struct conf, gateway.control_socket),
	  .fallback = GATEWAY_RUNDIR "/control.sock", .restart = true,
	  .help = "where gatewayctl reaches the daemon" },

	{ "listeners", .type = SCHEMA_LISTENERS, AT(struct conf, listener),
	  .derived = "one, with the defaults below", .min = 1, .max = 16, .restart = true,
	  .help = "where devices connect" },
	{ "listeners[].address", ADDRESS, AT(struct conf_listener, address), .fallback = "::",
	  .restart = true, .help = "literal address; \"::\" takes IPv4 and IPv6" },
	{ "listeners[].port", COUNT(0, 65535), AT(struct conf_listener, port), .fallback = "8883",
	  .restart = true, .help = "TCP port; 0: any free one" },

	{ "tls.certificate", FILE_PATH, AT(struct conf, tls.certificate),
	  .derived = "pki/gateway.crt in the state directory",
	  .help = "the gateway's certificate, PEM" },
	{ "tls.key", FILE_PATH, AT(struct conf, tls.key),
	  .derived = "pki/gateway.key in the state directory",
	  .help = "its private key, PEM" },
	{ "tls.ca", FILE_PATH, AT(struct conf, tls.ca),
	  .derived = "pki/ca.crt in the state directory",
	  .help = "the certificate authorities whose devices are trusted, PEM" },
	{ "tls.crl", FILE_PATH, AT(struct conf, tls.crl), .derived = "none",
	  .help = "certificate revocation lists, PEM" },
	{ "tls.crl_policy", WORDS(crl_policies), AT(struct conf, tls.crl_policy),
	  .fallback = "refuse",
	  .help = "when a list is out of date: refuse the devices it is for, or warn" },
	{ "tls.min_version", WORDS(tls_versions), AT(struct conf, tls.min_version),
	  .fallback = "1.2", .help = "oldest TLS version that is spoken" },
	{ "tls.repeated_random", WORDS(random_policies), AT(struct conf, tls.repeated_random),
	  .fallback = "warn",
	  .help = "when a board has no working random source: warn, or refuse it" },
	{ "tls.session_cache", COUNT(0, 10000000), AT(struct conf, tls.session_cache),
	  .fallback = "20000", .restart = true,
	  .help = "TLS sessions kept for resumption; 0: none" },
	{ "tls.session_lifetime", SECONDS(60, 604800), AT(struct conf, tls.session_lifetime),
	  .fallback = "2h", .restart = true, .help = "how long a TLS session can be resumed" },

	{ "identity.sources", .type = SCHEMA_SOURCES, AT(struct conf, identity.source),
	  .min = 1, .max = CONF_SOURCES, .derived = "[ \"san_uri\", \"san_dns\", \"cn\" ]",
	  .words = schema_sources,
	  .help = "where the identity comes from; the first that a certificate has" },
	{ "identity.issuer", .type = SCHEMA_BOOL, AT(struct conf, identity.issuer),
	  .fallback = "false", .help = "put the issuer's name before the identity" },

	{ "admission", WORDS(admissions), AT(struct conf, admission), .fallback = "enrolled",
	  .help = "who may come in" },

	{ "upstream.path", SOCKET_PATH, AT(struct conf, upstream.path),
	  .derived = "/run/mqtt-upstream/broker.sock, unless upstream.address is given",
	  .help = "the broker's unix socket" },
	{ "upstream.address", ADDRESS, AT(struct conf, upstream.address), .derived = "none",
	  .help = "the broker's literal address, instead of the path" },
	{ "upstream.port", COUNT(1, 65535), AT(struct conf, upstream.port), .fallback = "1883",
	  .help = "the broker's TCP port" },
	{ "upstream.password", TEXT(65535), AT(struct conf, upstream.password), .derived = "none",
	  .secret = true, .help = "password sent to the broker for every device" },
	{ "upstream.client_id", TEXT(4096), AT(struct conf, upstream.client_id),
	  .fallback = "${identity}", .help = "template of the client identifier at the broker" },
	{ "upstream.connect_timeout", MS(100, 5 * MINUTE),
	  AT(struct conf, upstream.connect_timeout), .fallback = "5s", .help = "limit for the connection, and again for its CONNACK" },
	{ "upstream.retry_min", MS(10, 60 * MINUTE), AT(struct conf, upstream.retry_min),
	  .fallback = "250ms", .help = "first pause while the broker is away" },
	{ "upstream.retry_max", MS(10, 60 * MINUTE), AT(struct conf, upstream.retry_max),
	  .fallback = "30s", .help = "longest pause while the broker is away" },
	{ "upstream.pending", COUNT(1, 4096), AT(struct conf, upstream.pending),
	  .derived = "8 on a unix socket, 64 on TCP",
	  .help = "connections to the broker under way at once" },
	{ "upstream.response_timeout", MS(2000, 5 * MINUTE),
	  AT(struct conf, upstream.response_timeout), .fallback = "10s",
	  .help = "a broker that owes an answer for so long counts as away" },

	{ "uplink.client_id", TEXT(4096), AT(struct conf, uplink.client_id),
	  .fallback = "gateway-${gateway}",
	  .help = "client identifier of the gateway's own session, with ${gateway}" },
	{ "uplink.username", TEXT(512), AT(struct conf, uplink.username),
	  .fallback = "mqtt-gateway",
	  .help = "user name of it; no device may have that identity" },
	{ "uplink.status_topic", .type = SCHEMA_TEXT, .min = 0, .max = 4096,
	  AT(struct conf, uplink.status_topic), .fallback = "gateway/${gateway}/status",
	  .help = "where the gateway tells that it is there; \"\": nowhere" },
	{ "uplink.presence_topic", .type = SCHEMA_TEXT, .min = 0, .max = 4096,
	  AT(struct conf, uplink.presence_topic),
	  .fallback = "gateway/${gateway}/devices/${identity}/presence",
	  .help = "where it tells that a device is there; \"\": nowhere" },
	{ "uplink.inflight", COUNT(1, 1000), AT(struct conf, uplink.inflight), .fallback = "20",
	  .help = "stored messages sent at once and not yet acknowledged" },

	{ "spool.size", BYTES(1 * MIB, 1024 * GIB), AT(struct conf, spool.bytes),
	  .fallback = "256MiB", .help = "what is stored for all devices together" },

	{ "limits.connections", COUNT(1, 1000000), AT(struct conf, limits.connections),
	  .fallback = "10000", .help = "devices connected at once" },
	{ "limits.connections_per_address", COUNT(1, 1000000),
	  AT(struct conf, limits.connections_per_address), .fallback = "1000",
	  .help = "the same from one IPv4 address or IPv6 /64; many boards may share one NAT" },
	{ "limits.handshake_timeout", MS(10000, 10 * MINUTE),
	  AT(struct conf, limits.handshake_timeout), .fallback = "20s",
	  .help = "limit for the TLS handshake; a Cortex-M0+ needs seconds" },
	{ "limits.connect_timeout", MS(1000, 10 * MINUTE), AT(struct conf, limits.connect_timeout),
	  .fallback = "10s", .help = "limit from there to a whole CONNECT" },
	{ "limits.idle_timeout", MS(10000, 7 * DAY), AT(struct conf, limits.idle_timeout),
	  .zero = "never", .fallback = "10min",
	  .help = "silence allowed to a device whose keepalive is 0; 0: any" },
	{ "limits.keepalive_max", SECONDS(5, 65535), AT(struct conf, limits.keepalive_max),
	  .zero = "no limit", .fallback = "0", .help = "longest keepalive; 0: any" },
	{ "limits.packet_size", BYTES(4 * KIB, 268435455), AT(struct conf, limits.packet_size),
	  .fallback = "268435455", .help = "largest packet that a device may send" },
	{ "limits.packet_memory", BYTES(4 * KIB, 16 * MIB), AT(struct conf, limits.packet_memory),
	  .derived = "128KiB, or packet_size when that is less",
	  .help = "largest packet that is held whole, and largest head of a PUBLISH" },
	{ "limits.denied_inflight", COUNT(1, 65535), AT(struct conf, limits.denied_inflight),
	  .fallback = "100", .help = "denied QoS 1 and 2 publishes not yet finished, per device" },
	{ "limits.subscriptions", COUNT(1, 10000), AT(struct conf, limits.subscriptions),
	  .fallback = "1000", .help = "topic filters per device" },
	{ "limits.topic_aliases", COUNT(0, 65535), AT(struct conf, limits.topic_aliases),
	  .fallback = "10", .help = "topic aliases per device and direction; 0: none" },
	{ "limits.hold_memory", BYTES(1 * KIB, 16 * MIB), AT(struct conf, limits.hold_memory),
	  .fallback = "64KiB",
	  .help = "publishes kept per device until the broker has acknowledged them" },
	{ "limits.high_water", BYTES(4 * KIB, 64 * MIB), AT(struct conf, limits.high_water),
	  .fallback = "64KiB", .help = "bytes queued towards a slow side that pause the other" },
	{ "limits.low_water", BYTES(1 * KIB, 64 * MIB), AT(struct conf, limits.low_water),
	  .derived = "a quarter of high_water", .help = "bytes left at which it goes on" },

	{ "maps", .type = SCHEMA_MAPS, AT(struct conf, map), .min = 0, .max = 256,
	  .derived = "one map, \"default\": each device has devices/${identity}/# as its world",
	  .help = "topic maps; the first that matches a device is its map" },
	{ "maps[].name", TEXT(64), AT(struct conf_map, name), .required = true,
	  .help = "name for messages: letters, digits, - _ ." },
	{ "maps[].match.identity", TEXT(512), AT(struct conf_map, match.identity),
	  .derived = "any", .help = "shell pattern of the identity" },
	{ "maps[].match.group", TEXT(512), AT(struct conf_map, match.group),
	  .derived = "any", .help = "group in the register" },
	{ "maps[].match.issuer", TEXT(512), AT(struct conf_map, match.issuer),
	  .derived = "any", .help = "common name of the issuing authority" },
	{ "maps[].match.labels", .type = SCHEMA_LABELS, AT(struct conf_map, match.label),
	  .min = 0, .max = 64, .derived = "any", .help = "labels in the register, all of them" },
	{ "maps[].on_denial", WORDS(denials), AT(struct conf_map, rules.on_denial),
	  .fallback = "drop", .help = "a publish that no rule covers: drop it, or close" },
	{ "maps[].grace_days", COUNT(0, 3650), AT(struct conf_map, grace_days), .fallback = "0",
	  .help = "days that a device may still connect after its certificate's end" },
	{ "maps[].outage.devices", WORDS(outages), AT(struct conf_map, outage.hold),
	  .fallback = "hold", .help = "while the broker is away: hold the devices, or refuse them" },
	{ "maps[].outage.persistent", WORDS(persistents),
	  AT(struct conf_map, outage.publish_only), .fallback = "refuse",
	  .help = "persistent sessions that arrive then: refuse, or let them publish only" },
	{ "maps[].outage.store_bytes", BYTES(4 * KIB, 1024 * GIB),
	  AT(struct conf_map, outage.store_bytes), .zero = "no bound", .fallback = "1MiB",
	  .help = "what is stored for one device; 0: no bound of its own" },
	{ "maps[].outage.store_messages", COUNT(1, 100000000),
	  AT(struct conf_map, outage.store_messages), .zero = "no bound", .fallback = "10000",
	  .help = "messages stored for one device; 0: no bound of its own" },
	{ "maps[].outage.store_age", SECONDS(60, 315360000),
	  AT(struct conf_map, outage.store_age), .zero = "no bound", .fallback = "7d",
	  .help = "how long a stored message is kept; 0: for ever" },
	{ "maps[].publish", .type = SCHEMA_RULES, AT(struct conf_map, rules.publish),
	  .min = 0, .max = 256, .derived = "nothing may be published",
	  .help = "rules for what the device publishes" },
	{ "maps[].publish[].device", TEXT(TOPIC_MAX), AT(struct topic_rule, device),
	  .required = true, .help = "topic or filter on the device's side" },
	{ "maps[].publish[].broker", TEXT(TOPIC_MAX), AT(struct topic_rule, broker),
	  .required = true, .help = "topic or filter on the broker's side" },
	{ "maps[].publish[].qos", COUNT(0, 2), AT(struct topic_rule, max_qos), .fallback = "2",
	  .help = "highest QoS" },
	{ "maps[].publish[].retain", WORDS(retains), AT(struct topic_rule, retain),
	  .fallback = "keep", .help = "keep the retain flag, or clear it" },
	{ "maps[].publish[].max_payload", BYTES(0, 268435455), AT(struct topic_rule, max_payload),
	  .fallback = SCHEMA_UNLIMITED, .help = "largest payload" },
	{ "maps[].publish[].delivery", WORDS(deliveries), AT(struct topic_rule, delivery),
	  .fallback = "relay", .help = "relay; or store first, always" },
	{ "maps[].subscribe", .type = SCHEMA_RULES, AT(struct conf_map, rules.subscribe),
	  .min = 0, .max = 256, .derived = "nothing may be subscribed to",
	  .help = "rules for what the device gets" },
	{ "maps[].subscribe[].device", TEXT(TOPIC_MAX), AT(struct topic_rule, device),
	  .required = true, .help = "topic or filter on the device's side" },
	{ "maps[].subscribe[].broker", TEXT(TOPIC_MAX), AT(struct topic_rule, broker),
	  .required = true, .help = "topic or filter on the broker's side" },
	{ "maps[].subscribe[].qos", COUNT(0, 2), AT(struct topic_rule, max_qos), .fallback = "2",
	  .help = "highest QoS" },

	{ "metrics.address", ADDRESS, AT(struct conf, metrics.address),
	  .derived = "none: no metrics", .restart = true, .help = "literal address where Prometheus may ask" },
	{ "metrics.port", COUNT(1, 65535), AT(struct conf, metrics.port), .fallback = "9883",
	  .restart = true, .help = "TCP port for it" },

	{ "log.level", WORDS(schema_log_levels), AT(struct conf, log_level), .fallback = "info",
	  .help = "least important kind of line that is written" },
};

const size_t conf_schema_count = sizeof conf_schema / sizeof conf_schema[0];

const struct schema_key *
schema_find(const char *path)
{
	for (size_t i = 0; i < conf_schema_count; i++) {
		if (strcmp(conf_schema[i].path, path) == 0) {
			return &conf_schema[i];
		}
	}
	return NULL;
}

bool
schema_is_group(const char *prefix)
{
	for (size_t i = 0; i < conf_schema_count; i++) {
		if (strncmp(conf_schema[i].path, prefix, strlen(prefix)) == 0) {
			return true;
		}
	}
	return false;
}

const char *
schema_name(const struct schema_key *key, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(key->path, prefix, n) != 0 || strpbrk(key->path + n, ".[") != NULL) {
		return NULL;
	}
	return key->path + n;
}

const char *
schema_word(const struct schema_word *words, int value)
{
	for (; words->text != NULL; words++) {
		if (words->value == value) {
			return words->text;
		}
	}
	return "?";
}

static void
words_range(const struct schema_word *words, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (; words->text != NULL && n < size; words++) {
		const char *join = n == 0 ? "" : words[1].text == NULL ? " or " : ", ";

		n += (size_t)snprintf(text + n, size - n, "%s\"%s\"", join, words->text);
	}
}

char *
schema_range(const struct schema_key *key, char *text, size_t size)
{
	char least[VALUE_TEXT_SIZE], most[VALUE_TEXT_SIZE];

	if (key->words != NULL) {
		words_range(key->words, text, size);
	} else if (key->type == SCHEMA_BOOL) {
		snprintf(text, size, "true or false");
	} else {
		snprintf(text, size, "%s%s to %s", key->zero != NULL ? "0 or " : "",
		         value_show(key->min, key->unit, least),
		         value_show(key->max, key->unit, most));
	}
	return text;
}

/* ---- the nearest key ---------------------------------------------------------- */

#define NAME_MOST 40 /* longer names are no slip of the pen */

/* Edits that make a into b (Levenshtein); both up to NAME_MOST. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned row[NAME_MOST + 1];
	size_t n = strlen(b);

	for (unsigned j = 0; j <= n; j++) {
		row[j] = j;
	}
	for (unsigned i = 1; *a != '\0'; a++, i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			unsigned best = corner + (*a != b[j - 1]);

			corner = row[j];
			best = best < row[j] + 1 ? best : row[j] + 1;
			row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
		}
	}
	return row[n];
}

/* The part of the path that stands after the prefix, up to '.', '[' or the end. */
static bool
part_at(const char *path, const char *prefix, char *part)
{
	size_t n = strlen(prefix), len;

	if (strncmp(path, prefix, n) != 0) {
		return false;
	}
	len = strcspn(path + n, ".[");
	if (len == 0 || len > NAME_MOST) {
		return false;
	}
	memcpy(part, path + n, len);
	part[len] = '\0';
	return true;
}

const char *
schema_hint(const char *prefix, const char *name, char *path, size_t size)
{
	char part[NAME_MOST + 1];
	unsigned best;

	if (strlen(name) > NAME_MOST) {
		return NULL;
	}
	path[0] = '\0';
	best = strlen(name) < 5 ? 2 : 4; /* at most one or three edits */
	for (size_t i = 0; i < conf_schema_count; i++) {
		if (part_at(conf_schema[i].path, prefix, part) && distance(name, part) < best) {
			best = distance(name, part);
			snprintf(path, size, "%s%s", prefix, part);
		}
	}
	/* Right name, wrong place? */
	for (size_t i = 0; i < conf_schema_count && path[0] == '\0'; i++) {
		const char *dot = strrchr(conf_schema[i].path, '.');

		if (dot != NULL && strcmp(dot + 1, name) == 0) {
			snprintf(path, size, "%s", conf_schema[i].path);
		}
	}
	return path[0] != '\0' ? path : NULL;
}
