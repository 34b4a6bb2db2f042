/* SPDX-License-Identifier: BSD-2-Clause */
/* Maps, what is shown of a snapshot, and the files that name every key. */
#include "unit/conf_help.h"

/* ---- maps -------------------------------------------------------------------------- */

static const char map_text[] =
	"maps = (\n"
	"{ name = \"cellar\"; match = { labels = { site = \"x\"; }; group = \"g\"; };\n"
	"  publish = ( { device = \"Home\"; broker = \"home/${identity}\"; qos = 1;\n"
	"    retain = \"clear\"; max_payload = \"1KiB\"; delivery = \"relay\"; } );\n"
	"  on_denial = \"close\"; },\n"
	"{ name = \"mkr\"; match = { identity = \"mkr-*\"; issuer = \"CA\"; };\n"
	"  subscribe = ( { device = \"in\"; broker = \"to/${identity}\"; qos = 0; } ); },\n"
	"{ name = \"rest\"; publish = ( { device = \"#\"; broker = \"d/${identity}/#\"; } ); }\n"
	");\n";

static void
maps_are_taken_whole(void **state)
{
	struct conf *conf = load_good(map_text);
	const struct topic_rule *rule = conf->map[0].rules.publish;

	(void)state;
	assert_int_equal(conf->map_count, 3);
	assert_string_equal(conf->map[0].match.group, "g");
	assert_int_equal(conf->map[0].match.label_count, 1);
	assert_string_equal(conf->map[0].match.label[0].name, "site");
	assert_string_equal(conf->map[0].match.label[0].value, "x");
	assert_int_equal(conf->map[0].rules.on_denial, TOPIC_DENIAL_CLOSE);
	assert_int_equal(conf->map[0].rules.subscribe_count, 0);
	assert_int_equal(rule->max_qos, 1);
	assert_int_equal(rule->retain, TOPIC_RETAIN_CLEAR);
	assert_int_equal(rule->max_payload, 1024);
	assert_int_equal(rule->line, 3);
	assert_int_equal(conf->map[1].line, 6);
	assert_int_equal(conf->map[1].rules.on_denial, TOPIC_DENIAL_DROP);
	assert_int_equal(conf->map[1].rules.subscribe[0].max_qos, 0);
	conf_unref(&conf);
}

static void
what_is_stored_has_qos_1_at_most(void **state)
{
	struct conf *conf = load_good(
		"maps = ( { name = \"m\"; publish = ("
		"{ device = \"a\"; broker = \"b\"; delivery = \"store\"; },"
		"{ device = \"c\"; broker = \"d\"; qos = 0; delivery = \"store\"; },"
		"{ device = \"e\"; broker = \"f\"; } ); } );");
	const struct topic_rule *rule = conf->map[0].rules.publish;

	(void)state;
	assert_int_equal(rule[0].delivery, TOPIC_DELIVERY_STORE);
	assert_int_equal(rule[0].max_qos, 1);
	assert_int_equal(rule[1].max_qos, 0);
	assert_int_equal(rule[2].max_qos, 2);
	conf_unref(&conf);
}

static struct span
label_of(void *owner, struct span name)
{
	return span_eq_str(name, "site") ? span_str(owner) : span_of(NULL, 0);
}

static void
the_first_map_that_matches_wins(void **state)
{
	static const struct {
		const char *identity, *group, *issuer, *site, *map;
	} rows[] = {
		{ "mkr-1", "g", "CA", "x", "cellar" }, /* the second would match too */
		{ "mkr-1", "g", "CA", "y", "mkr" },
		{ "mkr-1", "h", "CA", "x", "mkr" },
		{ "mkr-1", "", "Other", "", "rest" },
		{ "mkr", "", "CA", "", "rest" },
		{ "other", "g", "", "x", "cellar" },
		{ "other", "g", "", NULL, "rest" },
	};
	struct conf *conf = load_good(map_text);

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct conf_device device = {
			.identity = span_str(rows[i].identity),
			.group = span_str(rows[i].group),
			.issuer_cn = span_str(rows[i].issuer),
			.label = rows[i].site != NULL ? label_of : NULL,
			.label_owner = (void *)(uintptr_t)rows[i].site,
		};
		const struct conf_map *map = conf_map_find(conf, &device);

		assert_non_null(map);
		assert_string_equal(map->name, rows[i].map);
	}
	conf_unref(&conf);
}

static void
a_device_may_match_no_map(void **state)
{
	static const uint8_t nul[] = "mkr-\0";
	static uint8_t huge[70000];
	struct conf *conf = load_good("maps = ( { name = \"m\"; match = { identity = \"mkr-[0-9]*\"; };"
	                              " publish = ( { device = \"a\"; broker = \"b\"; } ); } );");
	struct conf_device device = { .identity = span_str("mkr-5") };

	(void)state;
	assert_non_null(conf_map_find(conf, &device));
	device.identity = span_str("mkr-x");
	assert_null(conf_map_find(conf, &device));
	device.identity = span_of(nul, sizeof nul);
	assert_null(conf_map_find(conf, &device));
	device.identity = span_of(huge, sizeof huge);
	assert_null(conf_map_find(conf, &device));
	device.identity = span_of(NULL, 0);
	assert_null(conf_map_find(conf, &device));
	conf_unref(&conf);
}

#define PUBLISH " publish = ( { device = \"a\"; broker = \"b\"; } ); "

static void
faults_of_maps_are_sentences(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "maps = ( { " PUBLISH " } );", "f:1: maps[0].name: is missing\n" },
		{ "maps = ( { name = \"a b\"; " PUBLISH " } );",
		  "f:1: maps[0].name: must be 1 to 64 letters, digits, - _ or .\n" },
		{ "maps = ( { name = \"m\"; match = { group = \"g\"; }; " PUBLISH " },\n"
		  "{ name = \"m\"; " PUBLISH " } );",
		  "f:2: maps[1].name: \"m\" is the name of the map in line 1 too\n" },
		{ "maps = ( { name = \"m\"; match = { identity = \"x[a\"; }; " PUBLISH " } );",
		  "f:1: maps[m].match.identity: is no shell pattern: a [ without ], or a \\ at the "
		  "end\n" },
		{ "maps = ( { name = \"m\"; match = { identity = \"\"; }; " PUBLISH " } );",
		  "f:1: maps[m].match.identity: must not be empty\n" },
		{ "maps = ( { name = \"m\"; match = { labels = { site = 5; }; }; " PUBLISH " } );",
		  "f:1: maps[m].match.labels.site: must be a text in quotes, not empty\n" },
		{ "maps = ( { name = \"m\"; match = \"x\"; " PUBLISH " } );",
		  "f:1: maps[m].match: must be a group in { }, not a text\n" },
		{ "maps = ( { name = \"m\"; match = { grup = \"x\"; }; " PUBLISH " } );",
		  "f:1: maps[m].match.grup: unknown key; did you mean maps[].match.group?\n" },
		{ "maps = ( { name = \"m\"; publish = ( { device = \"a\"; } ); } );",
		  "f:1: maps[m].publish[0].broker: is missing\n" },
		{ "maps = ( { name = \"m\"; publish = (\n{ device = \"a\"; broker = \"b\";\n"
		  "delivery = \"store\";\nqos = 2; } ); } );",
		  "f:4: maps[m].publish[0].qos: must be 0 or 1 with delivery = \"store\": \"exactly "
		  "once\" cannot be promised for a message that is stored and sent later\n" },
		{ "maps = ( { name = \"m\"; outage = { device = \"hold\"; }; " PUBLISH " } );",
		  "f:1: maps[m].outage.device: unknown key; did you mean maps[].outage.devices?\n" },
		{ "maps = ( { name = \"m\"; outage = { devices = \"keep\"; }; " PUBLISH " } );",
		  "f:1: maps[m].outage.devices: \"keep\" is not known, allowed is \"hold\" or "
		  "\"refuse\"\n" },
		{ "maps = ( { name = \"m\"; subscribe = ( { device = \"a\"; broker = \"b\"; retain = "
		  "\"keep\"; } ); } );",
		  "f:1: maps[m].subscribe[0].retain: unknown key; did you mean "
		  "maps[].publish[].retain?\n" },
		{ "maps = ( { name = \"m\"; on_denial = \"shrug\"; " PUBLISH " } );",
		  "f:1: maps[m].on_denial: \"shrug\" is not known, allowed is \"drop\" or "
		  "\"close\"\n" },
		{ "maps = (\n{ name = \"m\"; subscribe = (\n{ device = \"a\"; broker = \"b\"; },\n"
		  "{ device = \"a/#\"; broker = \"b/+\"; } ); } );",
		  "f:4: maps[m].subscribe[1]: \"a/#\" and \"b/+\" must have the same wildcards in the "
		  "same order\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fault_expect(rows[i].text, rows[i].want);
	}
}

static void
maps_out_of_reach_are_a_warning(void **state)
{
	struct conf *conf = load_expect("maps = ( { name = \"a\"; " PUBLISH " },\n"
	                                "{ name = \"b\"; " PUBLISH " },\n"
	                                "{ name = \"c\"; } );",
	                                "f:3: maps[c]: warning: has no rule: its devices may do "
	                                "nothing\n"
	                                "f:2: maps[b]: warning: is never used: \"a\" before it is "
	                                "for every device\n"
	                                "f:3: maps[c]: warning: is never used: \"a\" before it is "
	                                "for every device\n");

	(void)state;
	conf_unref(&conf);
}

/* ---- show and difference --------------------------------------------------------------- */

static void
note_difference(void *owner, const char *key, const char *before, const char *after,
                bool needs_restart)
{
	fprintf(owner, "%s: %s => %s%s\n", key, before, after, needs_restart ? " (restart)" : "");
}

static void
diff_expect(const char *before, const char *after, int count, const char *want)
{
	struct conf *old = load_good(before), *new = load_good(after);
	struct reports r;

	reports_open(&r);
	assert_int_equal(conf_diff(old, new, note_difference, r.out), count);
	reports_expect(&r, want);
	conf_unref(&old);
	conf_unref(&new);
}

static void
differences_are_named(void **state)
{
	static const char moved[] =
		"maps = (\n"
		"{ name = \"mkr\"; match = { identity = \"mkr-*\"; };\n"
		"  subscribe = ( { device = \"in\"; broker = \"to/${identity}\"; qos = 0; } ); },\n"
		"{ name = \"rest\"; publish = ( { device = \"#\"; broker = \"e/${identity}/#\"; } ); }\n"
		");\n";

	(void)state;
	diff_expect(map_text, map_text, 0, "");
	diff_expect("log = { level = \"info\"; };", "", 0, "");
	diff_expect("limits = { handshake_timeout = 15000; };",
	            "gateway = { workers = 2; }; listeners = ( { port = 1; }, { port = 2; } );", 4,
	            "gateway.workers: 0 => 2 (restart)\n"
	            "listeners[0]: [::]:8883 => [::]:1 (restart)\n"
	            "limits.handshake_timeout: 15s => 20s\n"
	            "listeners[1]:  => [::]:2 (restart)\n");
	diff_expect("upstream = { password = \"a\"; };", "upstream = { password = \"b\"; };", 1,
	            "upstream.password: (hidden) => (hidden)\n");
	diff_expect("upstream = { password = \"a\"; };", "", 1, "upstream.password: (hidden) => \n");
	diff_expect(map_text, moved, 7,
	            "maps: cellar, mkr, rest => mkr, rest\n"
	            "maps[cellar].match: group \"g\", label site \"x\" => \n"
	            "maps[cellar].on_denial: close => \n"
	            "maps[cellar].outage: devices hold, persistent refuse, store_bytes 1MiB, "
	            "store_messages 10000, store_age 7d => \n"
	            "maps[cellar].publish[0]: Home -> home/${identity}, qos 1, retain clear, "
	            "max_payload 1KiB => \n"
	            "maps[mkr].match: identity \"mkr-*\", issuer \"CA\" => identity \"mkr-*\"\n"
	            "maps[rest].publish[0]: # -> d/${identity}/# => # -> e/${identity}/#\n");
}

static void
note_value(void *owner, const char *key, const char *value, bool is_default)
{
	fprintf(owner, "%s=%s%s\n", key, value, is_default ? "" : " *");
}

static void
values_in_force_are_shown(void **state)
{
	struct conf *conf = load_good("gateway = { name = \"gw\"; };"
	                              "upstream = { password = \"hush\"; };"
	                              "identity = { issuer = true; };");
	struct reports r;

	(void)state;
	reports_open(&r);
	conf_each(conf, note_value, r.out);
	fflush(r.out);
	assert_non_null(strstr(r.text, "gateway.name=gw *\n"));
	assert_non_null(strstr(r.text, "gateway.workers=0\n"));
	assert_non_null(strstr(r.text, "listeners[0]=[::]:8883\n"));
	assert_non_null(strstr(r.text, "identity.sources=san_uri, san_dns, cn\n"));
	assert_non_null(strstr(r.text, "identity.issuer=true *\n"));
	assert_non_null(strstr(r.text, "upstream.password=(hidden) *\n"));
	assert_null(strstr(r.text, "hush"));
	assert_non_null(strstr(r.text, "limits.high_water=64KiB\n"));
	assert_non_null(strstr(r.text, "spool.size=256MiB\n"));
	assert_non_null(strstr(r.text, "upstream.response_timeout=10s\n"));
	assert_non_null(strstr(r.text, "uplink.status_topic=gateway/${gateway}/status\n"));
	assert_non_null(strstr(r.text, "maps[default].match=every device\n"));
	assert_non_null(strstr(r.text, "maps[default].subscribe[0]=# <- devices/${identity}/#\n"));
	fclose(r.out);
	free(r.text);
	conf_unref(&conf);
}

/* As many lines as a file can make: the table of lines has room for all. */
static void
many_maps_are_shown(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct conf *conf;
	struct reports r;

	(void)state;
	fprintf(out, "maps = (");
	for (int i = 0; i < 256; i++) {
		fprintf(out, "%s { name = \"m%d\"; match = { group = \"g%d\"; }; grace_days = 5;"
		             PUBLISH " }", i > 0 ? "," : "", i, i);
	}
	fprintf(out, ");");
	fclose(out);
	conf = load_good(text);
	reports_open(&r);
	conf_each(conf, note_value, r.out);
	fflush(r.out);
	assert_non_null(strstr(r.text, "maps[m255].grace_days=5 *\n"));
	fclose(r.out);
	free(r.text);
	free(text);
	conf_unref(&conf);
}

/* ---- the sample and the manual page -------------------------------------------------- */

static char *
read_source(const char *name)
{
	const char *sources = getenv("TEST_SOURCES");
	char path[4096];
	FILE *in;
	char *text = calloc(1, 1 << 20);

	snprintf(path, sizeof path, "%s/../%s", sources != NULL ? sources : "tests", name);
	in = fopen(path, "r");
	if (in == NULL) {
		print_message("%s cannot be opened: run by `make check`\n", path);
	}
	assert_non_null(in);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, in) > 0);
	fclose(in);
	return text;
}

static void
sample_loads_without_a_word(void **state)
{
	char *text = read_source("conf/gateway.conf");
	struct conf *conf = load_good(text);

	(void)state;
	assert_string_equal(conf->map[0].rules.publish[0].broker, "home/${identity}/telemetry");
	conf_unref(&conf);
	free(text);
}

/* A key that begins right after '#' is a default: uncomment those. */
static void
sample_shows_the_defaults(void **state)
{
	char *text = read_source("conf/gateway.conf");
	struct conf *conf, *plain;
	struct reports r;

	(void)state;
	for (char *p = text; (p = strchr(p, '#')) != NULL; p++) {
		if (p[1] >= 'a' && p[1] <= 'z' && strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_") > 2) {
			*p = ' ';
		}
	}
	for (char *p = text; (p = strstr(p, "maps = (")) != NULL;) {
		memset(p, ' ', (size_t)(strstr(p, "\n);") + 3 - p));
	}
	assert_int_equal(conf_load_text("f", span_str(text), NULL, NULL, &conf), 0);
	assert_int_equal(conf_default(&plain), 0);
	reports_open(&r);
	conf_diff(plain, conf, note_difference, r.out);
	fflush(r.out);
	/* The host's name, and paths when built for another prefix. */
	for (char *line = strtok(r.text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		if (strncmp(line, "gateway.name", 12) != 0 && strchr(line, '/') == NULL) {
			fail_msg("the sample shows another default: %s", line);
		}
	}
	fclose(r.out);
	free(r.text);
	conf_unref(&conf);
	conf_unref(&plain);
	free(text);
}

static const char *
last_part(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot != NULL ? dot + 1 : path;
}

/* From the group's line to the line that ends it. */
static bool
in_group(const char *text, const char *path)
{
	const char *name = last_part(path), *at = text, *end = NULL;
	char group[64];
	size_t n = strcspn(path, ".[");

	if (strchr(path, '.') != NULL || strchr(path, '[') != NULL) {
		snprintf(group, sizeof group, "%.*s = ", (int)n, path);
		at = strstr(text, group);
		if (at == NULL) {
			return false;
		}
		end = strstr(at, "\n\n");
	}
	snprintf(group, sizeof group, "%s = ", name);
	at = strstr(at, group);
	return at != NULL && (end == NULL || at < end);
}

/* What the manual page says below the key's name, from the table. */
static void
facts_of(const struct schema_key *key, char *out, size_t size)
{
	static const char *const types[] = {
		[SCHEMA_TEXT] = "Text", [SCHEMA_PATH] = "Absolute path", [SCHEMA_ADDRESS] = "IP address",
		[SCHEMA_NUMBER] = "Number", [SCHEMA_BOOL] = "Boolean", [SCHEMA_WORD] = "Word",
		[SCHEMA_SOURCES] = "Array of words", [SCHEMA_LISTENERS] = "List of groups",
		[SCHEMA_MAPS] = "List of groups", [SCHEMA_LABELS] = "Group of texts",
		[SCHEMA_RULES] = "List of groups",
	};
	static const char *const numbers[] = { "Number", "Time in milliseconds", "Time in seconds",
		"Size in bytes" };
	char range[160] = "", text[160];

	if (key->type == SCHEMA_NUMBER || key->type == SCHEMA_WORD || key->type == SCHEMA_SOURCES) {
		snprintf(range, sizeof range, ": %s", schema_range(key, text, sizeof text));
	}
	snprintf(out, size, "%s%s.\n%s%s.\n%s.\n",
	         key->type == SCHEMA_NUMBER ? numbers[key->unit] : types[key->type], range,
	         key->required ? "Must be given" : "Default: ",
	         key->fallback != NULL ? key->fallback : key->derived != NULL ? key->derived : "",
	         key->restart ? "Needs a restart" : "Reloadable");
}

static void
sample_and_manual_name_every_key(void **state)
{
	char *sample = read_source("conf/gateway.conf");
	char *manual = read_source("man/gateway.conf.5");
	char item[128], facts[512];

	(void)state;
	for (size_t i = 0; i < conf_schema_count; i++) {
		const struct schema_key *key = &conf_schema[i];
		const char *at, *next;

		if (!in_group(sample, key->path)) {
			fail_msg("conf/gateway.conf lacks %s", key->path);
		}
		snprintf(item, sizeof item, "\n.It Va %s\n", key->path);
		at = strstr(manual, item);
		if (at == NULL) {
			fail_msg("man/gateway.conf.5 lacks %s", key->path);
		}
		facts_of(key, facts, sizeof facts);
		at = strstr(at, facts);
		next = at != NULL ? strstr(strstr(manual, item) + 1, "\n.It Va ") : NULL;
		/* Paths depend on the prefix that was configured. */
		if (strchr(facts, '/') == NULL && (at == NULL || (next != NULL && at > next))) {
			fail_msg("man/gateway.conf.5 does not say of %s: %s", key->path, facts);
		}
	}
	free(sample);
	free(manual);
}

static void
a_snapshot_is_counted(void **state)
{
	struct conf *conf = load_good(""), *other = conf_ref(conf);

	(void)state;
	conf_unref(&conf);
	assert_null(conf);
	assert_int_equal(other->listener_count, 1);
	conf_unref(&other);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_are_taken_whole),
		cmocka_unit_test(what_is_stored_has_qos_1_at_most),
		cmocka_unit_test(many_maps_are_shown),
		cmocka_unit_test(the_first_map_that_matches_wins),
		cmocka_unit_test(a_device_may_match_no_map),
		cmocka_unit_test(faults_of_maps_are_sentences),
		cmocka_unit_test(maps_out_of_reach_are_a_warning),
		cmocka_unit_test(differences_are_named),
		cmocka_unit_test(values_in_force_are_shown),
		cmocka_unit_test(sample_loads_without_a_word),
		cmocka_unit_test(sample_shows_the_defaults),
		cmocka_unit_test(sample_and_manual_name_every_key),
		cmocka_unit_test(a_snapshot_is_counted),
	};

	return cmocka_run_group_tests_name("conf rules", tests, NULL, NULL);
}
