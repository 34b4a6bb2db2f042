/* SPDX-License-Identifier: BSD-2-Clause */
/* The snapshot as text: made once, then only compared and shown. */
#include <stdlib.h>

#include "conf/conf_int.h"

static void
add(struct load *load, const struct schema_key *schema_key, const char *key, const char *value)
{
	struct conf_box *box = load->box;

	if (key == NULL || value == NULL) {
		return; /* no_memory is set */
	}
	box->entry[box->entry_count++] = (struct conf_entry){
		.key = key,
		.value = value,
		.restart = schema_key->restart,
		.given = load_given(load, schema_key->path) != 0,
	};
}

/* ---- values ------------------------------------------------------------------------ */

static int64_t
number_of(const struct schema_key *key, const void *base)
{
	const void *at = (const char *)base + key->offset;

	return key->size == 1 ? *(const uint8_t *)at :
	       key->size == 2 ? *(const uint16_t *)at :
	       key->size == 8 ? (int64_t)*(const uint64_t *)at :
	                        *(const uint32_t *)at;
}

static const char *
text_of(const struct schema_key *key, const void *base)
{
	const char *text = *(char *const *)(const void *)((const char *)base + key->offset);

	return text != NULL ? text : "";
}

static void
add_scalar(struct load *load, const struct schema_key *key)
{
	const struct conf *conf = load->conf;
	char number[VALUE_TEXT_SIZE];

	switch (key->type) {
	case SCHEMA_NUMBER:
		add(load, key, key->path,
		    load_strdup(load, value_show(number_of(key, conf), key->unit, number)));
		break;
	case SCHEMA_BOOL:
		add(load, key, key->path,
		    *(const bool *)((const char *)conf + key->offset) ? "true" : "false");
		break;
	case SCHEMA_WORD:
		add(load, key, key->path, schema_word(key->words, (int)number_of(key, conf)));
		break;
	default:
		if (key->secret) {
			add(load, key, key->path, text_of(key, conf)[0] != '\0' ? "(hidden)" : "");
			load->box->entry[load->box->entry_count - 1].secret = text_of(key, conf);
		} else {
			add(load, key, key->path, text_of(key, conf));
		}
		break;
	}
}

static void
add_sources(struct load *load, const struct schema_key *key)
{
	const struct conf *conf = load->conf;
	const char *text = "";

	for (unsigned i = 0; i < conf->identity.source_count && text != NULL; i++) {
		text = load_printf(load, "%s%s%s", text, i > 0 ? ", " : "",
		                   schema_word(key->words, (int)conf->identity.source[i]));
	}
	add(load, key, key->path, text);
}

static void
add_listeners(struct load *load, const struct schema_key *key)
{
	for (size_t i = 0; i < load->conf->listener_count; i++) {
		const struct conf_listener *one = &load->conf->listener[i];
		bool six = strchr(one->address, ':') != NULL;

		add(load, key, load_printf(load, "listeners[%zu]", i),
		    load_printf(load, six ? "[%s]:%u" : "%s:%u", one->address, one->port));
	}
}

/* ---- maps ---------------------------------------------------------------------------- */

static const char *
match_text(struct load *load, const struct conf_match *match)
{
	const struct {
		const char *name, *value;
	} part[] = {
		{ "identity", match->identity },
		{ "group", match->group },
		{ "issuer", match->issuer },
	};
	const char *text = "";

	for (size_t i = 0; i < sizeof part / sizeof part[0] && text != NULL; i++) {
		if (part[i].value != NULL) {
			text = load_printf(load, "%s%s%s \"%s\"", text, text[0] != '\0' ? ", " : "",
			                   part[i].name, part[i].value);
		}
	}
	for (size_t i = 0; i < match->label_count && text != NULL; i++) {
		text = load_printf(load, "%s%slabel %s \"%s\"", text, text[0] != '\0' ? ", " : "",
		                   match->label[i].name, match->label[i].value);
	}
	return text != NULL && text[0] == '\0' ? "every device" : text;
}

/* "Home -> home/${identity}/telemetry, qos 1": options only where they are not the default. */
static const char *
rule_text(struct load *load, const struct topic_rule *rule, bool publish)
{
	char qos[16] = "", most[VALUE_TEXT_SIZE + 16] = "", number[VALUE_TEXT_SIZE];

	if (rule->max_qos != 2) {
		snprintf(qos, sizeof qos, ", qos %u", rule->max_qos);
	}
	if (rule->max_payload != UINT32_MAX) {
		snprintf(most, sizeof most, ", max_payload %s",
		         value_show(rule->max_payload, VALUE_BYTES, number));
	}
	return load_printf(load, "%s %s %s%s%s%s%s", rule->device, publish ? "->" : "<-",
	                   rule->broker, qos,
	                   rule->retain == TOPIC_RETAIN_CLEAR ? ", retain clear" : "", most,
	                   rule->delivery == TOPIC_DELIVERY_STORE ? ", delivery store" : "");
}

/* "devices hold, persistent refuse, store_bytes 1MiB, ...": as the keys are called. */
static const char *
outage_text(struct load *load, const struct conf_map *map)
{
	static const char prefix[] = "maps[].outage.";
	const char *text = "";

	for (size_t i = 0; i < conf_schema_count && text != NULL; i++) {
		const struct schema_key *key = &conf_schema[i];
		const char *name = schema_name(key, prefix);
		char number[VALUE_TEXT_SIZE];

		if (name != NULL) {
			text = load_printf(load, "%s%s%s %s", text, text[0] != '\0' ? ", " : "",
			                   name,
			                   key->type == SCHEMA_WORD ?
			                           schema_word(key->words, (int)number_of(key, map)) :
			                           value_show(number_of(key, map), key->unit, number));
		}
	}
	return text;
}

static void
add_rules(struct load *load, const struct schema_key *key, const char *map,
          const struct topic_rule *rule, size_t count, bool publish)
{
	for (size_t i = 0; i < count && !load->no_memory; i++) {
		add(load, key, load_printf(load, "maps[%s].%s[%zu]", map,
		                           publish ? "publish" : "subscribe", i),
		    rule_text(load, &rule[i], publish));
	}
}

static void
add_maps(struct load *load, const struct schema_key *key)
{
	const struct conf *conf = load->conf;
	const struct schema_key *denial = schema_find("maps[].on_denial");
	const char *names = "";

	for (size_t i = 0; i < conf->map_count && names != NULL; i++) {
		names = load_printf(load, "%s%s%s", names, i > 0 ? ", " : "", conf->map[i].name);
	}
	add(load, key, key->path, names); /* their order decides */
	for (size_t i = 0; i < conf->map_count && !load->no_memory; i++) {
		const struct conf_map *map = &conf->map[i];

		add(load, key, load_printf(load, "maps[%s].match", map->name),
		    match_text(load, &map->match));
		add(load, key, load_printf(load, "maps[%s].on_denial", map->name),
		    schema_word(denial->words, (int)map->rules.on_denial));
		add(load, key, load_printf(load, "maps[%s].outage", map->name),
		    outage_text(load, map));
		if (map->grace_days > 0) {
			add(load, key, load_printf(load, "maps[%s].grace_days", map->name),
			    load_printf(load, "%u", map->grace_days));
		}
		add_rules(load, key, map->name, map->rules.publish, map->rules.publish_count, true);
		add_rules(load, key, map->name, map->rules.subscribe, map->rules.subscribe_count,
		          false);
	}
}

/* ---- all of it ------------------------------------------------------------------------ */

static size_t
entries_needed(const struct conf *conf)
{
	size_t n = conf_schema_count + conf->listener_count;

	for (size_t i = 0; i < conf->map_count; i++) {
		n += 4 + conf->map[i].rules.publish_count + conf->map[i].rules.subscribe_count;
	}
	return n;
}

static int
by_key(const void *a, const void *b)
{
	const struct conf_entry *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

void
conf_show_build(struct load *load)
{
	struct conf_box *box = load->box;
	size_t n = entries_needed(load->conf);

	box->entry = load_alloc(load, n * sizeof *box->entry);
	box->sorted = load_alloc(load, n * sizeof *box->sorted);
	for (size_t i = 0; i < conf_schema_count && !load->no_memory; i++) {
		const struct schema_key *key = &conf_schema[i];

		if (strchr(key->path, '[') != NULL) {
			continue;
		}
		if (key->type == SCHEMA_SOURCES) {
			add_sources(load, key);
		} else if (key->type == SCHEMA_LISTENERS) {
			add_listeners(load, key);
		} else if (key->type == SCHEMA_MAPS) {
			add_maps(load, key);
		} else {
			add_scalar(load, key);
		}
	}
	if (load->no_memory) {
		return;
	}
	for (size_t i = 0; i < box->entry_count; i++) {
		box->sorted[i] = &box->entry[i];
	}
	qsort(box->sorted, box->entry_count, sizeof *box->sorted, by_key);
}

static const struct conf_box *
box_of(const struct conf *conf)
{
	return (const struct conf_box *)(const void *)conf;
}

static const struct conf_entry *
find(const struct conf_box *box, const struct conf_entry *key)
{
	const struct conf_entry **at = bsearch(&key, box->sorted, box->entry_count,
	                                       sizeof *box->sorted, by_key);

	return at != NULL ? *at : NULL;
}

static bool
same(const struct conf_entry *a, const struct conf_entry *b)
{
	return strcmp(a->value, b->value) == 0 &&
	       (a->secret == NULL || b->secret == NULL || strcmp(a->secret, b->secret) == 0);
}

int
conf_diff(const struct conf *old, const struct conf *new_conf,
          void (*each)(void *owner, const char *key, const char *before, const char *after,
                       bool needs_restart),
          void *owner)
{
	const struct conf_box *before = box_of(old), *after = box_of(new_conf);
	int count = 0;

	for (size_t i = 0; i < before->entry_count; i++) {
		const struct conf_entry *was = &before->entry[i];
		const struct conf_entry *is = find(after, was);

		if (is == NULL || !same(was, is)) {
			each(owner, was->key, was->value, is != NULL ? is->value : "",
			     was->restart);
			count++;
		}
	}
	for (size_t i = 0; i < after->entry_count; i++) {
		const struct conf_entry *is = &after->entry[i];

		if (find(before, is) == NULL) {
			each(owner, is->key, "", is->value, is->restart);
			count++;
		}
	}
	return count;
}

void
conf_each(const struct conf *conf,
          void (*each)(void *owner, const char *key, const char *value, bool is_default),
          void *owner)
{
	const struct conf_box *box = box_of(conf);

	for (size_t i = 0; i < box->entry_count; i++) {
		each(owner, box->entry[i].key, box->entry[i].value, !box->entry[i].given);
	}
}
