/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of topic maps. */
#include <fnmatch.h>
#include <libconfig.h>

#include "conf/conf_int.h"

/* ---- parts of a map ---------------------------------------------------------------- */

void
parse_labels(struct load *load, const config_setting_t *group, const char *shown,
             struct conf_map *map)
{
	int n = config_setting_length(group);
	struct conf_label *label;

	if (n > schema_find("maps[].match.labels")->max) {
		load_fault_at(load, group->line, shown, "holds too many labels");
		return;
	}
	label = load_alloc(load, (size_t)n * sizeof *label);
	for (int i = 0; i < n && label != NULL; i++) {
		const config_setting_t *item = config_setting_get_elem(group, (unsigned)i);
		const char *value = config_setting_get_string(item);
		char key[KEY_SIZE];

		conf_key(key, sizeof key, "%s.%s", shown, config_setting_name(item));
		if (value == NULL || value[0] == '\0') {
			load_fault_at(load, item->line, key, "must be a text in quotes, not empty");
			continue;
		}
		map->match.label = label;
		label[map->match.label_count].name = load_strdup(load, config_setting_name(item));
		label[map->match.label_count++].value = load_strdup(load, value);
	}
}

/*
 * What is stored goes to the broker with QoS 1, and twice when the gateway
 * ends between the broker's acknowledgement and the removal: right for
 * QoS 1, wrong for QoS 2.
 */
static void
check_stored(struct load *load, const config_setting_t *item, const char *shown,
             struct topic_rule *rule)
{
	const config_setting_t *qos = config_setting_get_member(item, "qos");

	if (rule->delivery != TOPIC_DELIVERY_STORE || rule->max_qos < 2) {
		return;
	}
	if (qos != NULL) {
		load_fault_at(load, qos->line, shown,
		              "must be 0 or 1 with delivery = \"store\": \"exactly once\" cannot be "
		              "promised for a message that is stored and sent later");
	}
	rule->max_qos = 1;
}

void
parse_rules(struct load *load, const config_setting_t *list, const struct schema_key *key,
            const char *shown, struct conf_map *map)
{
	bool publish = key->offset == offsetof(struct conf_map, rules.publish);
	int n = config_setting_length(list);
	struct topic_rule *rule;

	if (!parse_is_list(load, list, key, shown)) {
		return;
	}
	rule = load_alloc(load, (size_t)n * sizeof *rule);
	for (int i = 0; i < n && rule != NULL && !load->no_memory; i++) {
		const config_setting_t *item = config_setting_get_elem(list, (unsigned)i);
		const char *file;
		char at[KEY_SIZE], prefix[KEY_SIZE];

		conf_key(prefix, sizeof prefix, "%s[].", key->path);
		conf_key(at, sizeof at, "%s[%d].", shown, i);
		rule[i].max_payload = UINT32_MAX;
		parse_defaults(load, prefix, &rule[i]);
		parse_group(load, item, prefix, at, &rule[i]);
		source_place(&load->source, item->line, &file, &rule[i].line);
		conf_key(at, sizeof at, "%s[%d].qos", shown, i);
		check_stored(load, item, at, &rule[i]);
	}
	if (rule != NULL && publish) {
		map->rules.publish = rule;
		map->rules.publish_count = (size_t)n;
	} else if (rule != NULL) {
		map->rules.subscribe = rule;
		map->rules.subscribe_count = (size_t)n;
	}
}

/* ---- checks of one map ------------------------------------------------------------- */

static bool
name_is_good(const char *name)
{
	return name[0] != '\0' && strlen(name) <= 64 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
	               strlen(name);
}

/* Does every bracket of the shell pattern have its end? */
static bool
pattern_is_good(const char *pattern)
{
	for (const char *p = pattern; *p != '\0'; p++) {
		if (*p == '\\') {
			if (*++p == '\0') {
				return false;
			}
		} else if (*p == '[') {
			p += p[1] == '!' || p[1] == '^';
			p += p[1] == ']';
			p = strchr(p + 1, ']');
			if (p == NULL) {
				return false;
			}
		}
	}
	return true;
}

/* What the topic module's report needs to find file and key of a rule. */
struct rule_check {
	struct load *load;
	const config_setting_t *setting;
	const struct conf_map *map;
	const char *shown; /* "maps[sensors]" */
};

/* The only element of the list that begins in that line; -1: none, or several. */
static int
rule_at(const struct topic_rule *rule, size_t count, int line)
{
	int found = -1;

	for (size_t i = 0; i < count; i++) {
		if (rule[i].line == line) {
			if (found >= 0) {
				return -1;
			}
			found = (int)i;
		}
	}
	return found;
}

static void
rule_fault(void *owner, int line, const char *sentence)
{
	struct rule_check *check = owner;
	const struct topic_rules *rules = &check->map->rules;
	int up = rule_at(rules->publish, rules->publish_count, line);
	int down = rule_at(rules->subscribe, rules->subscribe_count, line);
	const config_setting_t *list = NULL;
	const char *file = check->load->conf->file;
	char key[KEY_SIZE];
	int at;

	conf_key(key, sizeof key, "%s", check->shown);
	source_place(&check->load->source, check->setting->line, &file, &at);
	if ((up < 0) != (down < 0)) {
		const char *name = up >= 0 ? "publish" : "subscribe";
		int i = up >= 0 ? up : down;

		list = config_setting_get_member(check->setting, name);
		conf_key(key, sizeof key, "%s.%s[%d]", check->shown, name, i);
		source_place(&check->load->source,
		             config_setting_get_elem(list, (unsigned)i)->line, &file, &at);
	}
	load_fault(check->load, file, line, key, "%s", sentence);
}

/* Rules without one of their sides were reported already. */
static bool
rules_are_whole(const struct topic_rule *rule, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (rule[i].device == NULL || rule[i].broker == NULL) {
			return false;
		}
	}
	return true;
}

static void
check_map(struct load *load, const config_setting_t *setting, const struct conf_map *map,
          const char *shown)
{
	struct rule_check check = { load, setting, map, shown };
	char key[KEY_SIZE];

	if (map->name != NULL && !name_is_good(map->name)) {
		conf_key(key, sizeof key, "%s.name", shown);
		load_fault_at(load, config_setting_get_member(setting, "name")->line, key,
		              "must be 1 to 64 letters, digits, - _ or .");
	}
	if (map->match.identity != NULL && !pattern_is_good(map->match.identity)) {
		const config_setting_t *match = config_setting_get_member(setting, "match");

		conf_key(key, sizeof key, "%s.match.identity", shown);
		load_fault_at(load, config_setting_get_member(match, "identity")->line, key,
		              "is no shell pattern: a [ without ], or a \\ at the end");
	}
	if (rules_are_whole(map->rules.publish, map->rules.publish_count) &&
	    rules_are_whole(map->rules.subscribe, map->rules.subscribe_count)) {
		topic_rules_check(&map->rules, rule_fault, &check);
	}
	if (map->rules.publish_count == 0 && map->rules.subscribe_count == 0) {
		load_warn_at(load, setting->line, shown, "has no rule: its devices may do nothing");
	}
}

static bool
matches_all(const struct conf_match *match)
{
	return (match->identity == NULL || strcmp(match->identity, "*") == 0) &&
	       match->group == NULL && match->issuer == NULL && match->label_count == 0;
}

/* Names that repeat, and maps that no device can reach. */
static void
check_order(struct load *load, const config_setting_t *list, const struct conf_map *map, size_t n)
{
	const struct conf_map *all = NULL;
	char key[KEY_SIZE];

	for (size_t i = 0; i < n; i++) {
		unsigned line = config_setting_get_elem(list, (unsigned)i)->line;

		if (map[i].name == NULL) {
			continue;
		}
		conf_key(key, sizeof key, "maps[%zu].name", i);
		for (size_t j = 0; j < i; j++) {
			if (map[j].name != NULL && strcmp(map[j].name, map[i].name) == 0) {
				load_fault_at(load, line, key,
				              "\"%s\" is the name of the map in line %d too",
				              map[i].name, map[j].line);
				break;
			}
		}
		if (all != NULL) {
			conf_key(key, sizeof key, "maps[%s]", map[i].name);
			load_warn_at(load, line, key, "is never used: \"%s\" before it is for "
			             "every device", all->name);
		} else if (matches_all(&map[i].match)) {
			all = &map[i];
		}
	}
}

/* ---- the list ------------------------------------------------------------------------ */

static void
parse_map(struct load *load, const config_setting_t *setting, int index, struct conf_map *map)
{
	char shown[KEY_SIZE], members[KEY_SIZE + 1];
	const config_setting_t *name = config_setting_get_member(setting, "name");
	const char *text = name != NULL ? config_setting_get_string(name) : NULL;
	const char *file;

	if (text != NULL && name_is_good(text)) {
		conf_key(shown, sizeof shown, "maps[%s]", text);
	} else {
		conf_key(shown, sizeof shown, "maps[%d]", index);
	}
	conf_key(members, sizeof members, "%s.", shown);
	source_place(&load->source, setting->line, &file, &map->line);
	parse_defaults(load, "maps[].", map);
	parse_group(load, setting, "maps[].", members, map);
	if (!load->no_memory) {
		check_map(load, setting, map, shown);
	}
}

void
parse_maps(struct load *load, const config_setting_t *list)
{
	const struct schema_key *key = schema_find("maps");
	int n = config_setting_length(list);
	struct conf_map *map;

	if (!parse_is_list(load, list, key, key->path)) {
		return;
	}
	map = load_alloc(load, (size_t)n * sizeof *map);
	for (int i = 0; i < n && map != NULL && !load->no_memory; i++) {
		parse_map(load, config_setting_get_elem(list, (unsigned)i), i, &map[i]);
	}
	if (map == NULL || load->no_memory) {
		return;
	}
	check_order(load, list, map, (size_t)n);
	if (n == 0) {
		load_warn_at(load, list->line, key->path, "is empty: every device is refused");
	}
	load->conf->map = map;
	load->conf->map_count = (size_t)n;
}

static struct topic_rule *
default_rule(struct load *load, const char *prefix)
{
	struct topic_rule *rule = load_alloc(load, sizeof *rule);

	if (rule != NULL) {
		rule->max_payload = UINT32_MAX;
		parse_defaults(load, prefix, rule);
		rule->device = load_strdup(load, "#");
		rule->broker = load_strdup(load, "devices/${identity}/#");
	}
	return rule;
}

/* Without `maps` each device has a subtree of its own, and works at once. */
void
conf_default_map(struct load *load)
{
	struct conf_map *map = load_alloc(load, sizeof *map);

	if (map == NULL) {
		return;
	}
	parse_defaults(load, "maps[].", map);
	map->name = load_strdup(load, "default");
	map->rules.publish = default_rule(load, "maps[].publish[].");
	map->rules.publish_count = 1;
	map->rules.subscribe = default_rule(load, "maps[].subscribe[].");
	map->rules.subscribe_count = 1;
	load->conf->map = map;
	load->conf->map_count = 1;
}

/* ---- which map ------------------------------------------------------------------------- */

static bool
same(const char *want, struct span have)
{
	return want == NULL || span_eq_str(have, want);
}

static bool
pattern_matches(const char *pattern, struct span identity)
{
	char text[2048]; /* identity and issuer are at most 512 bytes each */

	if (pattern == NULL) {
		return true;
	}
	if (identity.len == 0 || identity.len >= sizeof text ||
	    memchr(identity.ptr, '\0', identity.len) != NULL) {
		return false;
	}
	memcpy(text, identity.ptr, identity.len);
	text[identity.len] = '\0';
	return fnmatch(pattern, text, 0) == 0;
}

static bool
match_holds(const struct conf_match *match, const struct conf_device *device)
{
	for (size_t i = 0; i < match->label_count; i++) {
		if (device->label == NULL ||
		    !same(match->label[i].value,
		          device->label(device->label_owner, span_str(match->label[i].name)))) {
			return false;
		}
	}
	return same(match->group, device->group) && same(match->issuer, device->issuer_cn) &&
	       pattern_matches(match->identity, device->identity);
}

const struct conf_map *
conf_map_find(const struct conf *conf, const struct conf_device *device)
{
	for (size_t i = 0; i < conf->map_count; i++) {
		if (match_holds(&conf->map[i].match, device)) {
			return &conf->map[i];
		}
	}
	return NULL;
}
