/* SPDX-License-Identifier: BSD-2-Clause */
/* From libconfig's settings to the members of struct conf, by the table. */
#include <libconfig.h>

#include "base/utf8.h"
#include "conf/conf_int.h"

#define QUOTE_SIZE 48
#define RANGE_SIZE 160

static const char *
type_name(const config_setting_t *setting)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_GROUP:
		return "a group";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "a whole number";
	case CONFIG_TYPE_FLOAT:
		return "a floating-point number";
	case CONFIG_TYPE_STRING:
		return "a text";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_ARRAY:
		return "an array";
	default:
		return "a list";
	}
}

/* ---- single values ------------------------------------------------------------- */

static void
store_number(const struct schema_key *key, void *base, int64_t value)
{
	void *at = (char *)base + key->offset;

	switch (key->size) {
	case 1:
		*(uint8_t *)at = (uint8_t)value;
		break;
	case 2:
		*(uint16_t *)at = (uint16_t)value;
		break;
	case 8:
		*(uint64_t *)at = (uint64_t)value;
		break;
	default:
		*(uint32_t *)at = (uint32_t)value;
		break;
	}
}

static void
store_text(struct load *load, const struct schema_key *key, void *base, const char *text)
{
	*(char **)(void *)((char *)base + key->offset) = load_strdup(load, text);
}

static bool
take_number(struct load *load, const config_setting_t *setting, const struct schema_key *key,
            const char *shown, void *base)
{
	static const char *const counted[] = {
		[VALUE_PLAIN] = "", [VALUE_MS] = "; a bare number counts milliseconds",
		[VALUE_SECONDS] = "; a bare number counts seconds",
		[VALUE_BYTES] = "; a bare number counts bytes",
	};
	const char *text = config_setting_get_string(setting), *why;
	char quote[QUOTE_SIZE], range[RANGE_SIZE];
	int64_t value = 0;

	if (text != NULL && !value_parse(span_str(text), key->unit, &value, &why)) {
		load_fault_at(load, setting->line, shown, "\"%s\" is no such value: %s",
		              value_quote(text, quote, sizeof quote), why);
		return false;
	}
	if (text == NULL) {
		value = config_setting_get_int64(setting);
	}
	if ((value < key->min || value > key->max) && (key->zero == NULL || value != 0)) {
		load_fault_at(load, setting->line, shown, "%s is out of range, allowed is %s%s",
		              value_show(value, key->unit, quote),
		              schema_range(key, range, sizeof range), counted[key->unit]);
		return false;
	}
	store_number(key, base, value);
	return true;
}

static bool
take_word(struct load *load, const config_setting_t *setting, const struct schema_key *key,
          const char *shown, void *base)
{
	const char *text = config_setting_get_string(setting);
	char quote[QUOTE_SIZE], range[RANGE_SIZE];

	for (const struct schema_word *word = key->words; word->text != NULL; word++) {
		if (strcmp(word->text, text) == 0) {
			store_number(key, base, word->value);
			return true;
		}
	}
	load_fault_at(load, setting->line, shown, "\"%s\" is not known, allowed is %s",
	              value_quote(text, quote, sizeof quote),
	              schema_range(key, range, sizeof range));
	return false;
}

static bool
take_text(struct load *load, const config_setting_t *setting, const struct schema_key *key,
          const char *shown, void *base)
{
	const char *text = config_setting_get_string(setting);
	size_t n = strlen(text);
	char quote[QUOTE_SIZE];
	const char *why = NULL;

	if (n < (size_t)key->min) {
		why = "must not be empty";
	} else if (!utf8_valid_strict(span_str(text))) {
		why = "holds control characters, or is no UTF-8";
	} else if (key->type == SCHEMA_PATH && text[0] != '/') {
		why = "must be an absolute path, one that begins with /";
	} else if (key->type == SCHEMA_ADDRESS && !value_is_address(text)) {
		why = "must be a literal IPv4 or IPv6 address, not a name";
	}
	if (n > (size_t)key->max) {
		load_fault_at(load, setting->line, shown,
		              "is too long: %zu bytes, allowed are %lld", n,
		              (long long)key->max);
		return false;
	}
	if (why != NULL && key->type != SCHEMA_TEXT && n > 0) {
		load_fault_at(load, setting->line, shown, "\"%s\" %s",
		              value_quote(text, quote, sizeof quote), why);
	} else if (why != NULL) {
		load_fault_at(load, setting->line, shown, "%s", why);
	} else {
		store_text(load, key, base, text);
	}
	return why == NULL;
}

static bool
take_sources(struct load *load, const config_setting_t *list, const struct schema_key *key,
             const char *shown, struct conf *conf)
{
	int n = config_setting_length(list);
	unsigned seen = 0;
	struct conf taken = { 0 };

	if (n < key->min || n > key->max) {
		load_fault_at(load, list->line, shown, "name %lld to %lld sources",
		              (long long)key->min, (long long)key->max);
		return false;
	}
	for (int i = 0; i < n; i++) {
		const config_setting_t *item = config_setting_get_elem(list, (unsigned)i);
		const struct schema_key word = { .words = key->words, .size = sizeof(int) };
		int source;

		if (config_setting_type(item) != CONFIG_TYPE_STRING) {
			load_fault_at(load, item->line, shown, "must hold texts, not %s",
			              type_name(item));
			return false;
		}
		if (!take_word(load, item, &word, shown, &source)) {
			return false;
		}
		if (seen & 1u << source) {
			load_fault_at(load, item->line, shown, "\"%s\" is named twice",
			              schema_word(key->words, source));
			return false;
		}
		seen |= 1u << source;
		taken.identity.source[taken.identity.source_count++] = (enum conf_source)source;
	}
	memcpy(conf->identity.source, taken.identity.source, sizeof conf->identity.source);
	conf->identity.source_count = taken.identity.source_count;
	return true;
}

/* ---- lists ------------------------------------------------------------------------ */

bool
parse_is_list(struct load *load, const config_setting_t *list, const struct schema_key *key,
              const char *shown)
{
	int n = config_setting_length(list);

	for (int i = 0; i < n; i++) {
		const config_setting_t *item = config_setting_get_elem(list, (unsigned)i);

		if (!config_setting_is_group(item)) {
			load_fault_at(load, item->line, shown,
			              "must hold groups in braces, not %s", type_name(item));
			return false;
		}
	}
	if (n > key->max || n < key->min) {
		load_fault_at(load, list->line, shown, "holds %d, allowed are %lld to %lld", n,
		              (long long)key->min, (long long)key->max);
		return false;
	}
	return true;
}

/* Report the required keys that the group lacks. */
static void
parse_required(struct load *load, const config_setting_t *group, const char *prefix,
               const char *shown)
{
	for (size_t i = 0; i < conf_schema_count; i++) {
		const char *name = schema_name(&conf_schema[i], prefix);
		char path[KEY_SIZE];

		if (name != NULL && conf_schema[i].required &&
		    config_setting_get_member(group, name) == NULL) {
			conf_key(path, sizeof path, "%s%s", shown, name);
			load_fault_at(load, group->line, path, "is missing");
		}
	}
}

static bool
take_listeners(struct load *load, const config_setting_t *list, const struct schema_key *key,
               struct conf *conf)
{
	int n = config_setting_length(list);
	struct conf_listener *listener;

	if (!parse_is_list(load, list, key, key->path)) {
		return false;
	}
	listener = load_alloc(load, (size_t)n * sizeof *listener);
	for (int i = 0; i < n && listener != NULL; i++) {
		const config_setting_t *item = config_setting_get_elem(list, (unsigned)i);
		const char *file;
		char shown[KEY_SIZE];

		parse_defaults(load, "listeners[].", &listener[i]);
		conf_key(shown, sizeof shown, "listeners[%d].", i);
		parse_group(load, item, "listeners[].", shown, &listener[i]);
		source_place(&load->source, item->line, &file, &listener[i].line);
	}
	conf->listener = listener;
	conf->listener_count = listener != NULL ? (size_t)n : 0;
	return true;
}

/* ---- the walk ----------------------------------------------------------------------- */

/* What the type of the key wants; NULL: the setting has it. */
static const char *
wants(const struct schema_key *key, const config_setting_t *setting)
{
	int type = config_setting_type(setting);

	switch (key->type) {
	case SCHEMA_TEXT:
	case SCHEMA_PATH:
	case SCHEMA_ADDRESS:
		return type == CONFIG_TYPE_STRING ? NULL : "a text in quotes";
	case SCHEMA_WORD:
		return type == CONFIG_TYPE_STRING ? NULL : "one of its words in quotes";
	case SCHEMA_NUMBER:
		if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64 ||
		    (type == CONFIG_TYPE_STRING && key->unit != VALUE_PLAIN)) {
			return NULL;
		}
		return key->unit == VALUE_PLAIN ? "a whole number" :
		                                  "a whole number, or a text such as "
		                                  "\"20s\" or \"64KiB\"";
	case SCHEMA_BOOL:
		return type == CONFIG_TYPE_BOOL ? NULL : "true or false";
	case SCHEMA_SOURCES:
		return type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST ?
		               NULL :
		               "an array of texts in [ ]";
	case SCHEMA_LABELS:
		return type == CONFIG_TYPE_GROUP ? NULL : "a group in { }";
	default:
		return type == CONFIG_TYPE_LIST ? NULL : "a list of groups in ( )";
	}
}

static void
take(struct load *load, const config_setting_t *setting, const struct schema_key *key,
     const char *shown, void *base)
{
	const char *want = wants(key, setting);

	if (want != NULL) {
		load_fault_at(load, setting->line, shown, "must be %s, not %s", want,
		              type_name(setting));
		return;
	}
	switch (key->type) {
	case SCHEMA_TEXT:
	case SCHEMA_PATH:
	case SCHEMA_ADDRESS:
		take_text(load, setting, key, shown, base);
		break;
	case SCHEMA_NUMBER:
		take_number(load, setting, key, shown, base);
		break;
	case SCHEMA_BOOL:
		*(bool *)((char *)base + key->offset) = config_setting_get_bool(setting);
		break;
	case SCHEMA_WORD:
		take_word(load, setting, key, shown, base);
		break;
	case SCHEMA_SOURCES:
		take_sources(load, setting, key, shown, base);
		break;
	case SCHEMA_LISTENERS:
		take_listeners(load, setting, key, base);
		break;
	case SCHEMA_MAPS:
		parse_maps(load, setting);
		break;
	case SCHEMA_LABELS:
		parse_labels(load, setting, shown, base);
		break;
	case SCHEMA_RULES:
		parse_rules(load, setting, key, shown, base);
		break;
	}
}

static void
unknown(struct load *load, const config_setting_t *setting, const char *prefix, const char *shown)
{
	const char *name = config_setting_name(setting);
	char path[KEY_SIZE];
	const char *hint = schema_hint(prefix, name, path, sizeof path);

	if (hint != NULL) {
		load_fault_at(load, setting->line, shown, "unknown key; did you mean %s?", hint);
	} else {
		load_fault_at(load, setting->line, shown, "unknown key");
	}
}

static void
parse_member(struct load *load, const config_setting_t *setting, const char *prefix,
             const char *shown, void *base)
{
	const char *name = config_setting_name(setting);
	char path[KEY_SIZE], seen[KEY_SIZE], group[KEY_SIZE + 1];
	bool fits = (size_t)snprintf(path, sizeof path, "%s%s", prefix, name) < sizeof path;
	const struct schema_key *key = fits ? schema_find(path) : NULL;

	conf_key(seen, sizeof seen, "%s%s", shown, name);
	conf_key(group, sizeof group, "%s.", path);
	if (key != NULL) {
		if (base == load->conf) {
			load->given[key - conf_schema] = setting->line;
		}
		take(load, setting, key, seen, base);
	} else if (fits && schema_is_group(group) && !config_setting_is_group(setting)) {
		load_fault_at(load, setting->line, seen, "must be a group in { }, not %s",
		              type_name(setting));
	} else if (fits && schema_is_group(group)) {
		char inner[KEY_SIZE + 1];

		conf_key(inner, sizeof inner, "%s.", seen);
		parse_group(load, setting, group, inner, base);
	} else {
		unknown(load, setting, prefix, seen);
	}
}

void
parse_group(struct load *load, const config_setting_t *group, const char *prefix,
            const char *shown, void *base)
{
	int n = config_setting_length(group);

	for (int i = 0; i < n && !load->no_memory; i++) {
		const config_setting_t *member = config_setting_get_elem(group, (unsigned)i);

		parse_member(load, member, prefix, shown, base);
	}
	parse_required(load, group, prefix, shown);
}

/* ---- defaults ------------------------------------------------------------------------ */

static void
take_default(struct load *load, const struct schema_key *key, void *base)
{
	const char *why;
	int64_t value = 0;

	switch (key->type) {
	case SCHEMA_NUMBER:
		if (strcmp(key->fallback, SCHEMA_UNLIMITED) == 0) {
			value = UINT32_MAX;
		} else if (!value_parse(span_str(key->fallback), key->unit, &value, &why)) {
			load_fault(load, "", 0, key->path, "bad default: %s", why);
		}
		store_number(key, base, value);
		break;
	case SCHEMA_BOOL:
		*(bool *)((char *)base + key->offset) = strcmp(key->fallback, "true") == 0;
		break;
	case SCHEMA_WORD:
		for (const struct schema_word *word = key->words; word->text != NULL; word++) {
			if (strcmp(word->text, key->fallback) == 0) {
				store_number(key, base, word->value);
			}
		}
		break;
	default:
		store_text(load, key, base, key->fallback);
		break;
	}
}

void
parse_defaults(struct load *load, const char *prefix, void *base)
{
	size_t n = strlen(prefix);

	for (size_t i = 0; i < conf_schema_count; i++) {
		const struct schema_key *key = &conf_schema[i];

		/* Elements of lists get theirs when they are made. */
		if (key->fallback != NULL && strncmp(key->path, prefix, n) == 0 &&
		    strchr(key->path + n, '[') == NULL) {
			take_default(load, key, base);
		}
	}
}
