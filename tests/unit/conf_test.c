/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/conf_help.h"
#include "unit/folder_help.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* ---- faults ---------------------------------------------------------------------- */

struct row {
	const char *text, *want;
};

static const struct row faults[] = {
	/* unknown keys, with what may have been meant */
	{ "limits = { conections = 5; };",
	  "f:1: limits.conections: unknown key; did you mean limits.connections?\n" },
	{ "limit = { };", "f:1: limit: unknown key; did you mean limits?\n" },
	{ "port = 1;", "f:1: port: unknown key; did you mean listeners[].port?\n" },
	{ "zzzzzzz = 1;", "f:1: zzzzzzz: unknown key\n" },
	{ "listeners = ( { adress = \"::1\"; } );",
	  "f:1: listeners[0].adress: unknown key; did you mean listeners[].address?\n" },
	{ "admission = { x = 1; };",
	  "f:1: admission: must be one of its words in quotes, not a group\n" },
	{ "limits = 5;", "f:1: limits: must be a group in { }, not a whole number\n" },
	/* types */
	{ "limits = {\n connections = true; };",
	  "f:2: limits.connections: must be a whole number, not true or false\n" },
	{ "limits = { connections = \"many\"; };",
	  "f:1: limits.connections: must be a whole number, not a text\n" },
	{ "limits = { connect_timeout = 2.5; };",
	  "f:1: limits.connect_timeout: must be a whole number, or a text such as \"20s\" or "
	  "\"64KiB\", not a floating-point number\n" },
	{ "tls = { min_version = 1.3; };",
	  "f:1: tls.min_version: must be one of its words in quotes, not a floating-point number\n" },
	{ "identity = { issuer = 1; };",
	  "f:1: identity.issuer: must be true or false, not a whole number\n" },
	{ "gateway = { name = 5; };",
	  "f:1: gateway.name: must be a text in quotes, not a whole number\n" },
	{ "listeners = { port = 1; };",
	  "f:1: listeners: must be a list of groups in ( ), not a group\n" },
	{ "listeners = ( 8883 );",
	  "f:1: listeners: must hold groups in braces, not a whole number\n" },
	{ "identity = { sources = \"cn\"; };",
	  "f:1: identity.sources: must be an array of texts in [ ], not a text\n" },
	/* numbers */
	{ "limits = { connections = 0; };",
	  "f:1: limits.connections: 0 is out of range, allowed is 1 to 1000000\n" },
	{ "limits = { connections = -1; };",
	  "f:1: limits.connections: -1 is out of range, allowed is 1 to 1000000\n" },
	{ "limits = { connections = 4294967297; };", /* libconfig would make it 1 */
	  "f:1: limits.connections: 4294967297 is out of range, allowed is 1 to 1000000\n" },
	{ "limits = { connections = 0x100000001; };",
	  "f:1: limits.connections: 4294967297 is out of range, allowed is 1 to 1000000\n" },
	{ "\nlimits = { connections = 99999999999999999999999; };",
	  "f:2: the number is too long\n" },
	{ "\nlimits = { connections = 99999999999999999999999L; };",
	  "f:2: the number is too long\n" },
	{ "limits = { handshake_timeout = 20; };",
	  "f:1: limits.handshake_timeout: 20ms is out of range, allowed is 10s to 10min; a bare "
	  "number counts milliseconds\n" },
	{ "limits = { handshake_timeout = \"9s\"; };",
	  "f:1: limits.handshake_timeout: 9s is out of range, allowed is 10s to 10min; a bare "
	  "number counts milliseconds\n" },
	{ "limits = { idle_timeout = 1; };",
	  "f:1: limits.idle_timeout: 1ms is out of range, allowed is 0 or 10s to 7d; a bare number "
	  "counts milliseconds\n" },
	{ "limits = { idle_timeout = \"5 fortnights\"; };",
	  "f:1: limits.idle_timeout: \"5 fortnights\" is no such value: write a number and ms, s, "
	  "min, h or d\n" },
	{ "tls = { session_lifetime = \"90500ms\"; };",
	  "f:1: tls.session_lifetime: \"90500ms\" is no such value: only whole seconds count here\n" },
	{ "limits = { packet_memory = \"1KiB\"; };",
	  "f:1: limits.packet_memory: 1KiB is out of range, allowed is 4KiB to 16MiB; a bare number "
	  "counts bytes\n" },
	{ "limits = { packet_memory = \"99999999999999999GiB\"; };",
	  "f:1: limits.packet_memory: \"99999999999999999GiB\" is no such value: write a number and "
	  "B, KiB, MiB or GiB\n" },
	/* words and texts */
	{ "tls = { min_version = \"1.1\"; };",
	  "f:1: tls.min_version: \"1.1\" is not known, allowed is \"1.2\" or \"1.3\"\n" },
	{ "log = { level = \"loud\n\"; };",
	  "f:1: log.level: \"loud?\" is not known, allowed is \"error\", \"warning\", \"notice\", "
	  "\"info\" or \"debug\"\n" },
	{ "tls = { key = \"gateway.key\"; };",
	  "f:1: tls.key: \"gateway.key\" must be an absolute path, one that begins with /\n" },
	{ "tls = { key = \"\"; };", "f:1: tls.key: must not be empty\n" },
	{ "gateway = { name = \"a\\x01\"; };",
	  "f:1: gateway.name: holds control characters, or is no UTF-8\n" },
	{ "gateway = { name = \"a\\xff\"; };",
	  "f:1: gateway.name: holds control characters, or is no UTF-8\n" },
	{ "gateway = { name = \"a/b\"; };",
	  "f:1: gateway.name: cannot stand in a topic level: without + # / $ and control "
	  "characters\n" },
	{ "listeners = ( { address = \"localhost\"; } );",
	  "f:1: listeners[0].address: \"localhost\" must be a literal IPv4 or IPv6 address, not a "
	  "name\n" },
	/* sources */
	{ "identity = { sources = [ ]; };", "f:1: identity.sources: name 1 to 5 sources\n" },
	{ "identity = { sources = [ \"cn\",\n\"cn\" ]; };",
	  "f:2: identity.sources: \"cn\" is named twice\n" },
	{ "identity = { sources = [ \"ip\" ]; };",
	  "f:1: identity.sources: \"ip\" is not known, allowed is \"san_uri\", \"san_dns\", \"cn\", "
	  "\"serial\" or \"fingerprint\"\n" },
	{ "identity = { sources = ( 5 ); };",
	  "f:1: identity.sources: must hold texts, not a whole number\n" },
	/* several keys */
	{ "listeners = ( );", "f:1: listeners: holds 0, allowed are 1 to 16\n" },
	{ "listeners = ( { },\n { port = 8883; } );",
	  "f:2: listeners[1]: :: port 8883 is taken by listeners[0]\n" },
	{ "listeners = ( { },\n { address = \"127.0.0.1\"; } );",
	  "f:2: listeners[1]: 127.0.0.1 port 8883 is taken by listeners[0]\n" },
	{ "listeners = ( { address = \"::1\"; },\n { address = \"0:0::1\"; } );",
	  "f:2: listeners[1]: 0:0::1 port 8883 is taken by listeners[0]\n" },
	{ "metrics = { address = \"127.0.0.1\";\n port = 8883; };",
	  "f:2: metrics.port: 8883 is taken by listeners[0]\n" },
	{ "limits = { high_water = 65536;\n low_water = 65536; };",
	  "f:2: limits.low_water: must be less than limits.high_water (64KiB), is 64KiB\n" },
	{ "limits = {\n packet_size = \"8KiB\";\n packet_memory = \"16KiB\"; };",
	  "f:3: limits.packet_memory: must not be more than limits.packet_size (8KiB), is 16KiB\n" },
	{ "upstream = { retry_min = \"1min\"; };",
	  "f:1: upstream.retry_min: must not be more than upstream.retry_max (30s), is 1min\n" },
	{ "upstream = { retry_max = 100; };",
	  "f:1: upstream.retry_min: must not be more than upstream.retry_max (100ms), is 250ms\n" },
	{ "upstream = { path = \"/a\";\n address = \"::1\"; };",
	  "f:2: upstream.address: upstream.path is given too; choose one of them\n" },
	{ "upstream = { client_id = \"${client_id}\"; };",
	  "f:1: upstream.client_id: must use ${identity} or ${fingerprint}: no two devices may have "
	  "the same client identifier\n" },
	{ "upstream = { client_id = \"${identity}-${client_id}\"; };",
	  "f:1: upstream.client_id: needs a / between ${client_id} and what stands next to it: else "
	  "one device could say what makes the client identifier of another\n" },
	{ "upstream = { client_id = \"a/${client_id}${identity}/${group}\"; };",
	  "f:1: upstream.client_id: needs a / between ${client_id} and what stands next to it: else "
	  "one device could say what makes the client identifier of another\n" },
	{ "upstream = { response_timeout = 1999; };",
	  "f:1: upstream.response_timeout: 1999ms is out of range, allowed is 2s to 5min; a bare "
	  "number counts milliseconds\n" },
	{ "spool = { size = 1000000; };",
	  "f:1: spool.size: 1000000 is out of range, allowed is 1MiB to 1024GiB; a bare number "
	  "counts bytes\n" },
	{ "uplink = { inflight = 0; };",
	  "f:1: uplink.inflight: 0 is out of range, allowed is 1 to 1000\n" },
	{ "uplink = { username = \"\"; };", "f:1: uplink.username: must not be empty\n" },
	{ "uplink = { client_id = \"gw-${identity}\"; };",
	  "f:1: uplink.client_id: may use ${gateway} only: it is the same for every device\n" },
	{ "uplink = {\n status_topic = \"s/${identity}\"; };",
	  "f:2: uplink.status_topic: may use ${gateway} only: it is the same for every device\n" },
	{ "uplink = { status_topic = \"s/${gateway}/#\"; };",
	  "f:1: uplink.status_topic: is published to: a topic has no wildcards\n" },
	{ "uplink = { status_topic = \"$SYS/x\"; };",
	  "f:1: uplink.status_topic: must not begin with $: the broker keeps those topics for "
	  "itself\n" },
	{ "uplink = { presence_topic = \"p/${cn}\"; };",
	  "f:1: uplink.presence_topic: may use ${gateway} and ${identity} only\n" },
	{ "uplink = { presence_topic = \"p/+/${identity}\"; };",
	  "f:1: uplink.presence_topic: is published to: a topic has no wildcards\n" },
#define ONCE                                                                                   \
	"f:1: uplink.presence_topic: must have ${identity} once, as a whole level: then a filter " \
	"with + in its place finds every device\n"
	{ "uplink = { presence_topic = \"p/${gateway}\"; };", ONCE },
	{ "uplink = { presence_topic = \"p/x${identity}\"; };", ONCE },
	{ "uplink = { presence_topic = \"p/${identity}x/y\"; };", ONCE },
	{ "uplink = { presence_topic = \"${identity}/${identity}\"; };", ONCE },
	{ "uplink = { presence_topic = \"${identity}/x${identity}\"; };", ONCE },
	/* what libconfig finds, or would not */
	{ "a = 1;\nb = ;", "f:2: syntax error\n" },
	{ "log = { };\nlog = { };", "f:2: duplicate setting name\n" },
	{ "\n\n/* never closed", "f:3: the comment that begins here has no end\n" },
	{ "\nlog = { level = \"info; };\n\n", "f:2: the text that begins here has no closing quote\n" },
	{ "\nlog = { level = \"in\\x00fo\"; };", "f:2: a text cannot hold the character NUL\n" },
	{ "\n# \xff\n", "f:2: the file is no UTF-8 text, or holds the character NUL\n" },
	{ "\n@include \"other\"\n", "f:2: @include is not possible here\n" },
	{ "@include other\n", "f:1: write @include \"file\"\n" },
};

static void
each_fault_is_a_sentence(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		fault_expect(faults[i].text, faults[i].want);
	}
}

static void
all_faults_come_in_one_run(void **state)
{
	(void)state;
	fault_expect("gateway = {\n"
	             "	workers = 1000;\n"
	             "	nam = \"x\";\n"
	             "};\n"
	             "tls = { min_version = \"1.0\"; };\n"
	             "limits = { low_water = \"1MiB\"; connections = \"x\"; };\n"
	             "maps = ( { publish = ( { device = \"a\"; qos = 3; } ); } );\n",
	             "f:2: gateway.workers: 1000 is out of range, allowed is 0 to 256\n"
	             "f:3: gateway.nam: unknown key; did you mean gateway.name?\n"
	             "f:5: tls.min_version: \"1.0\" is not known, allowed is \"1.2\" or \"1.3\"\n"
	             "f:6: limits.connections: must be a whole number, not a text\n"
	             "f:7: maps[0].publish[0].qos: 3 is out of range, allowed is 0 to 2\n"
	             "f:7: maps[0].publish[0].broker: is missing\n"
	             "f:7: maps[0].name: is missing\n"
	             "f:6: limits.low_water: must be less than limits.high_water (64KiB), is "
	             "1MiB\n");
}

static void
what_has_no_effect_is_a_warning(void **state)
{
	static const struct row rows[] = {
		{ "upstream = { port = 1; };",
		  "f:1: upstream.port: warning: has no effect without upstream.address\n" },
		{ "upstream = { address = \"192.0.2.1\"; };",
		  "f:1: upstream.address: warning: 192.0.2.1 is another host: what devices send "
		  "goes there unencrypted\n" },
		{ "metrics = { address = \"0.0.0.0\"; };",
		  "f:1: metrics.address: warning: 0.0.0.0 is not loopback: whoever reaches it can "
		  "read the metrics\n" },
		{ "metrics = { port = 1; };",
		  "f:1: metrics.port: warning: has no effect without metrics.address\n" },
		{ "limits = { connections = 10;\n connections_per_address = 11; };",
		  "f:2: limits.connections_per_address: warning: has no effect: limits.connections "
		  "is 10\n" },
		{ "maps = ( );", "f:1: maps: warning: is empty: every device is refused\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct conf *conf = load_expect(rows[i].text, rows[i].want);

		assert_non_null(conf);
		conf_unref(&conf);
	}
}

/* ---- values ---------------------------------------------------------------------- */

static void
outage_defaults_are_the_documented_ones(void **state)
{
	struct conf *conf;

	(void)state;
	assert_int_equal(conf_default(&conf), 0);
	assert_int_equal(conf->upstream.response_timeout, 10000);
	assert_string_equal(conf->uplink.client_id, "gateway-${gateway}");
	assert_string_equal(conf->uplink.username, "mqtt-gateway");
	assert_string_equal(conf->uplink.status_topic, "gateway/${gateway}/status");
	assert_string_equal(conf->uplink.presence_topic,
	                    "gateway/${gateway}/devices/${identity}/presence");
	assert_int_equal(conf->uplink.inflight, 20);
	assert_int_equal(conf->spool.bytes, 256 << 20);
	assert_true(conf->map[0].outage.hold);
	assert_false(conf->map[0].outage.publish_only);
	assert_int_equal(conf->map[0].outage.store_bytes, 1 << 20);
	assert_int_equal(conf->map[0].outage.store_messages, 10000);
	assert_int_equal(conf->map[0].outage.store_age, 7 * 86400);
	conf_unref(&conf);
}

static void
outage_keys_are_taken(void **state)
{
	struct conf *conf = load_good(
		"upstream = { response_timeout = \"2s\"; };"
		"uplink = { status_topic = \"\"; presence_topic = \"\"; inflight = 1000; };"
		"spool = { size = \"8GiB\"; }; limits = { hold_memory = \"1MiB\"; };"
		"maps = ( { name = \"m\"; publish = ( { device = \"a\"; broker = \"b\"; } );"
		"outage = { devices = \"refuse\"; persistent = \"publish-only\"; "
		"store_bytes = 0; store_messages = 0; store_age = \"30d\"; }; } );");

	(void)state;
	assert_int_equal(conf->upstream.response_timeout, 2000);
	assert_null(conf->uplink.status_topic);
	assert_null(conf->uplink.presence_topic);
	assert_int_equal(conf->uplink.inflight, 1000);
	assert_true(conf->spool.bytes == (uint64_t)8 << 30);
	assert_int_equal(conf->limits.hold_memory, 1 << 20);
	assert_false(conf->map[0].outage.hold);
	assert_true(conf->map[0].outage.publish_only);
	assert_int_equal(conf->map[0].outage.store_bytes, 0);
	assert_int_equal(conf->map[0].outage.store_messages, 0);
	assert_int_equal(conf->map[0].outage.store_age, 30 * 86400);
	conf_unref(&conf);
}

static void
defaults_are_the_documented_ones(void **state)
{
	struct conf *conf;

	(void)state;
	assert_int_equal(conf_default(&conf), 0);
	assert_true(topic_value_safe(span_str(conf->gateway.name)));
	assert_int_equal(conf->gateway.workers, 0);
	assert_string_equal(conf->gateway.state_directory, GATEWAY_STATEDIR);
	assert_string_equal(conf->gateway.control_socket, GATEWAY_RUNDIR "/control.sock");
	assert_int_equal(conf->listener_count, 1);
	assert_string_equal(conf->listener[0].address, "::");
	assert_int_equal(conf->listener[0].port, 8883);
	assert_string_equal(conf->tls.certificate, GATEWAY_STATEDIR "/pki/gateway.crt");
	assert_string_equal(conf->tls.key, GATEWAY_STATEDIR "/pki/gateway.key");
	assert_string_equal(conf->tls.ca, GATEWAY_STATEDIR "/pki/ca.crt");
	assert_null(conf->tls.crl);
	assert_int_equal(conf->tls.min_version, 12);
	assert_int_equal(conf->tls.session_cache, 20000);
	assert_int_equal(conf->tls.session_lifetime, 7200);
	assert_int_equal(conf->identity.source_count, 3);
	assert_int_equal(conf->identity.source[2], CONF_SOURCE_CN);
	assert_false(conf->identity.issuer);
	assert_int_equal(conf->admission, CONF_ADMIT_ENROLLED);
	assert_string_equal(conf->upstream.path, "/run/mqtt-upstream/broker.sock");
	assert_null(conf->upstream.address);
	assert_null(conf->upstream.password);
	assert_string_equal(conf->upstream.client_id, "${identity}");
	assert_int_equal(conf->upstream.connect_timeout, 5000);
	assert_int_equal(conf->upstream.retry_min, 250);
	assert_int_equal(conf->upstream.retry_max, 30000);
	assert_int_equal(conf->upstream.pending, 8);
	assert_int_equal(conf->limits.connections, 10000);
	assert_int_equal(conf->limits.connections_per_address, 1000);
	assert_int_equal(conf->limits.handshake_timeout, 20000);
	assert_int_equal(conf->limits.connect_timeout, 10000);
	assert_int_equal(conf->limits.idle_timeout, 600000);
	assert_int_equal(conf->limits.keepalive_max, 0);
	assert_int_equal(conf->limits.packet_size, 268435455);
	assert_int_equal(conf->limits.packet_memory, 131072);
	assert_int_equal(conf->limits.denied_inflight, 100);
	assert_int_equal(conf->limits.subscriptions, 1000);
	assert_int_equal(conf->limits.topic_aliases, 10);
	assert_int_equal(conf->limits.high_water, 65536);
	assert_int_equal(conf->limits.low_water, 16384);
	assert_int_equal(conf->limits.hold_memory, 65536);
	assert_null(conf->metrics.address);
	assert_int_equal(conf->log_level, LOG_LEVEL_INFO);
	assert_int_equal(conf->map_count, 1);
	assert_string_equal(conf->map[0].name, "default");
	assert_string_equal(conf->map[0].rules.publish[0].device, "#");
	assert_string_equal(conf->map[0].rules.subscribe[0].broker, "devices/${identity}/#");
	assert_int_equal(conf->map[0].rules.publish[0].max_qos, 2);
	assert_int_equal(conf->map[0].rules.publish[0].max_payload, UINT32_MAX);
	assert_int_equal(topic_rules_check(&conf->map[0].rules, NULL, NULL), 0);
	conf_unref(&conf);
	assert_null(conf);
	conf_unref(&conf);
}

static void
defaults_follow_what_is_given(void **state)
{
	struct conf *conf = load_good("gateway = { state_directory = \"/s\"; };\n"
	                              "upstream = { address = \"127.0.0.1\";\n"
	                              "client_id = \"x${client_id}/${group}${identity}\"; };\n"
	                              "limits = { packet_size = \"8KiB\"; high_water = 8192; };");

	(void)state;
	assert_string_equal(conf->tls.key, "/s/pki/gateway.key");
	assert_null(conf->upstream.path);
	assert_int_equal(conf->upstream.port, 1883);
	assert_int_equal(conf->upstream.pending, 64);
	assert_int_equal(conf->limits.packet_memory, 8192);
	assert_int_equal(conf->limits.low_water, 2048);
	conf_unref(&conf);
}

static void
syntax_is_taken_as_people_write_it(void **state)
{
	struct conf *conf = load_good("\xef\xbb\xbf" "log : {\r\n level = \"de\"\r\n \"bug\"\r\n};\r\n"
	                              "limits = { connections = 0x10; subscriptions = 7L;\n"
	                              "packet_size = 0x00000FFFFF } // no newline");

	(void)state;
	assert_int_equal(conf->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(conf->limits.connections, 16);
	assert_int_equal(conf->limits.subscriptions, 7);
	assert_int_equal(conf->limits.packet_size, 0xfffff);
	conf_unref(&conf);
}

static void
units_are_understood_and_shown(void **state)
{
	static const struct {
		const char *text;
		enum value_unit unit;
		int64_t value;
		const char *shown;
	} rows[] = {
		{ "20s", VALUE_MS, 20000, "20s" },
		{ "20 s", VALUE_MS, 20000, "20s" },
		{ "500ms", VALUE_MS, 500, "500ms" },
		{ "5min", VALUE_MS, 300000, "5min" },
		{ "2h", VALUE_SECONDS, 7200, "2h" },
		{ "30d", VALUE_SECONDS, 2592000, "30d" },
		{ "90", VALUE_SECONDS, 90, "90s" },
		{ "0", VALUE_MS, 0, "0" },
		{ "256KiB", VALUE_BYTES, 262144, "256KiB" },
		{ "1MiB", VALUE_BYTES, 1048576, "1MiB" },
		{ "1000B", VALUE_BYTES, 1000, "1000" },
		{ "7", VALUE_PLAIN, 7, "7" },
	};
	static const char *const bad[] = { "", "s", "-5s", "5 ", "5  s", "5S", "1.5h", "5KiB", "0x5",
		"9223372036854775808", "9223372036854775807d" };
	char shown[VALUE_TEXT_SIZE];
	const char *why;
	int64_t value;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_true(value_parse(span_str(rows[i].text), rows[i].unit, &value, &why));
		assert_int_equal(value, rows[i].value);
		assert_string_equal(value_show(value, rows[i].unit, shown), rows[i].shown);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_false(value_parse(span_str(bad[i]), VALUE_MS, &value, &why));
	}
}

/* ---- the table itself --------------------------------------------------------------- */

static void
every_default_is_in_its_range(void **state)
{
	const char *why;
	int64_t value;

	(void)state;
	for (size_t i = 0; i < conf_schema_count; i++) {
		const struct schema_key *key = &conf_schema[i];

		assert_non_null(key->help);
		assert_ptr_equal(schema_find(key->path), key);
		/* Each key has a default in a form that one can show, or must be given. */
		assert_int_equal((key->fallback != NULL) + (key->derived != NULL) + key->required, 1);
		if (key->type == SCHEMA_NUMBER && key->fallback != NULL &&
		    strcmp(key->fallback, SCHEMA_UNLIMITED) != 0) {
			assert_true(value_parse(span_str(key->fallback), key->unit, &value, &why));
			assert_true((value >= key->min && value <= key->max) ||
			            (key->zero != NULL && value == 0));
			assert_true(key->max <= UINT32_MAX || key->size == 8);
		}
	}
}

static void
huge_and_hostile_texts_are_refused(void **state)
{
	size_t n = 1 << 20;
	char *text = malloc(n + 64);
	struct conf *conf;

	(void)state;
	assert_non_null(text);
	strcpy(text, "gateway = { name = \"");
	memset(text + strlen(text), 'x', n);
	strcpy(text + 19 + n, "\"; };");
	fault_expect(text, "f:1: gateway.name: is too long: 1048575 bytes, allowed are 512\n");
	memset(text, '(', n);
	memcpy(text, "maps = ", 7);
	text[n] = '\0';
	fault_expect(text, "f:1: brackets are nested too deeply\n");
	memset(text, 'k', n);
	strcpy(text + n, " = 1;");
	conf = NULL;
	assert_int_equal(conf_load_text("f", span_str(text), NULL, NULL, &conf), ERR_CONF);
	assert_int_equal(conf_load_text("f", span_of("a = 1;\0b = 2;", 13), NULL, NULL, &conf),
	                 ERR_CONF);
	assert_null(conf);
	free(text);
}

/* ---- files ------------------------------------------------------------------------ */

struct folder {
	char path[64];
};

static int
folder_make(void **state)
{
	struct folder *f = calloc(1, sizeof *f);

	strcpy(f->path, "/tmp/conf_test.XXXXXX");
	*state = f;
	return mkdtemp(f->path) != NULL ? 0 : -1;
}

static int
folder_drop(void **state)
{
	struct folder *f = *state;
	int rc = folder_remove(f->path);

	free(f);
	return rc;
}

static void
write_file(const struct folder *f, const char *name, const char *text)
{
	char path[128];
	FILE *out;

	snprintf(path, sizeof path, "%s/%s", f->path, name);
	out = fopen(path, "w");
	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

/* Load FOLDER/NAME; the folder's path is cut out of the reports. */
static struct conf *
load_file(const struct folder *f, const char *name, bool files, const char *want)
{
	struct conf *conf = NULL;
	struct reports r;
	char path[128], *at;
	size_t n = strlen(f->path);
	int result;

	snprintf(path, sizeof path, "%s/%s", f->path, name);
	reports_open(&r);
	result = conf_load(path, files, conf_report_print, r.out, &conf);
	assert_int_equal(result, conf != NULL ? 0 : ERR_CONF);
	fflush(r.out);
	while ((at = strstr(r.text, f->path)) != NULL) {
		memmove(at, at + n + 1, strlen(at + n + 1) + 1);
	}
	reports_expect(&r, want);
	return conf;
}

static void
included_lines_keep_file_and_line(void **state)
{
	struct folder *f = *state;
	struct conf *conf;

	write_file(f, "main", "# first\nlimits = {\n@include \"part\"\n subscriptions = 0; };\n");
	write_file(f, "part", "connections = 7;\nhigh_water = 1;");
	assert_null(load_file(f, "main", false,
	                      "part:2: limits.high_water: 1 is out of range, allowed is 4KiB to "
	                      "64MiB; a bare number counts bytes\n"
	                      "main:4: limits.subscriptions: 0 is out of range, allowed is 1 to "
	                      "10000\n"));
	write_file(f, "main", "limits = {\n@include \"part\"\n};\n");
	write_file(f, "part", "connections = 7;\n");
	conf = load_file(f, "main", false, "");
	assert_int_equal(conf->limits.connections, 7);
	conf_unref(&conf);
	write_file(f, "part", "\nconnections = ;\n");
	assert_null(load_file(f, "main", false, "part:2: syntax error\n"));
	write_file(f, "part", "@include \"main\"\n");
	assert_null(load_file(f, "main", false,
	                      "main:2: part cannot be included: files include each other too "
	                      "deeply\n"));
}

static void
rules_keep_their_file(void **state)
{
	struct folder *f = *state;

	write_file(f, "main", "\nmaps = (\n@include \"part\"\n);\n");
	write_file(f, "part", "{ name = \"m\"; publish = (\n"
	                      "{ device = \"a/+\"; broker = \"b\"; } ); }\n");
	assert_null(load_file(f, "main", false,
	                      "part:2: maps[m].publish[0]: \"a/+\" and \"b\" must have the same "
	                      "wildcards in the same order\n"));
}

static void
only_regular_files_are_read(void **state)
{
	struct folder *f = *state;
	char text[128];

	assert_null(load_file(f, "none", false,
	                      "none: cannot be read: No such file or directory\n"));
	assert_null(load_file(f, ".", false, ".: cannot be read: Is a directory\n"));
	write_file(f, "main", "@include \"/dev/zero\"\n");
	assert_null(load_file(f, "main", false,
	                      "main:1: /dev/zero cannot be included: not a regular file\n"));
	/* libconfig 1.5 would end the process here. */
	snprintf(text, sizeof text, "\n@include \"%s\"\n", f->path);
	write_file(f, "main", text);
	assert_int_equal(conf_load("/", false, NULL, NULL, NULL), ERR_CONF);
	assert_null(load_file(f, "main", false,
	                      "main:2: cannot be included: Is a directory\n"));
}

static void
named_files_must_be_there(void **state)
{
	struct folder *f = *state;
	char text[512];
	struct conf *conf;

	snprintf(text, sizeof text,
	         "gateway = { state_directory = \"%s\"; };\ntls = { certificate = \"%s/secret\";\n"
	         "key = \"%s/secret\";\nca = \"%s/secret\"; };\n"
	         "upstream = { password = \"hush\"; };\n",
	         f->path, f->path, f->path, f->path);
	write_file(f, "main", text);
	assert_null(load_file(f, "main", true,
	                      "main:2: tls.certificate: secret cannot be read: No such file or "
	                      "directory\n"
	                      "main:3: tls.key: secret cannot be read: No such file or directory\n"
	                      "main:4: tls.ca: secret cannot be read: No such file or directory\n"
	                      "main:5: upstream.password: warning: every user of this host can read "
	                      "this file\n"));
	write_file(f, "secret", "x");
	snprintf(text, sizeof text, "%s/main", f->path);
	assert_int_equal(chmod(text, 0600), 0);
	snprintf(text, sizeof text, "%s/secret", f->path);
	assert_int_equal(chmod(text, 0644), 0);
	conf = load_file(f, "main", true,
	                 "main:3: tls.key: warning: every user of this host can read secret\n");
	conf_unref(&conf);
	assert_int_equal(chmod(text, 0600), 0);
	conf = load_file(f, "main", true, "");
	conf_unref(&conf);
	snprintf(text, sizeof text, "gateway = { state_directory = \"%s\"; };\n", f->path);
	write_file(f, "main", text);
	assert_null(load_file(f, "main", true,
	                      "main: tls.certificate: pki/gateway.crt cannot be read: No such file or "
	                      "directory; `gatewayctl init` makes it\n"
	                      "main: tls.key: pki/gateway.key cannot be read: No such file or "
	                      "directory; `gatewayctl init` makes it\n"
	                      "main: tls.ca: pki/ca.crt cannot be read: No such file or directory; "
	                      "`gatewayctl init` makes it\n"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_is_a_sentence),
		cmocka_unit_test(all_faults_come_in_one_run),
		cmocka_unit_test(what_has_no_effect_is_a_warning),
		cmocka_unit_test(defaults_are_the_documented_ones),
		cmocka_unit_test(outage_defaults_are_the_documented_ones),
		cmocka_unit_test(outage_keys_are_taken),
		cmocka_unit_test(defaults_follow_what_is_given),
		cmocka_unit_test(syntax_is_taken_as_people_write_it),
		cmocka_unit_test(units_are_understood_and_shown),
		cmocka_unit_test(every_default_is_in_its_range),
		cmocka_unit_test(huge_and_hostile_texts_are_refused),
		cmocka_unit_test_setup_teardown(included_lines_keep_file_and_line, folder_make,
		                                folder_drop),
		cmocka_unit_test_setup_teardown(rules_keep_their_file, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(only_regular_files_are_read, folder_make,
		                                folder_drop),
		cmocka_unit_test_setup_teardown(named_files_must_be_there, folder_make, folder_drop),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
