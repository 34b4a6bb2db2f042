/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gatewayctl topics: the device's topics as configuration and register make
 * them, and what would happen to one. The daemon is not asked.
 */
#include "run.h"

#include <inttypes.h>
#include <stdlib.h>

#include "device.h"
#include "mqtt/mqtt.h"
#include "print.h"

#define WHY_SIZE 512

struct trial {
	struct cli *cli;
	const struct conf_map *map;
	struct topic_map *compiled;
	struct doc *doc;   /* the result */
	struct doc *found; /* broker filters of a subscription */
	uint8_t out[TOPIC_MAX];
};

/* Where the rule stands, "gateway.conf:12". */
static void
set_rule(struct trial *trial, struct doc *doc, const struct topic_rule *rule)
{
	const char *file = trial->cli->conf->file;
	char *at = NULL;

	doc_set_text(doc, "rule_device", rule->device);
	doc_set_text(doc, "rule_broker", rule->broker);
	doc_set_int(doc, "max_qos", rule->max_qos);
	if (asprintf(&at, "%s:%d", file != NULL ? file : "built in", rule->line) >= 0) {
		doc_set_text(doc, "rule", at);
		free(at);
	}
}

static struct doc *
list_rules(struct trial *trial, bool publish)
{
	struct doc *list = doc_list();
	struct span device, broker;
	const struct topic_rule *rule;

	for (size_t i = 0;
	     topic_map_rule(trial->compiled, publish, i, &device, &broker, &rule); i++) {
		struct doc *row = doc_map();

		doc_set_text(row, "direction", publish ? "publish" : "subscribe");
		doc_set_string(row, "device", device);
		doc_set_string(row, "broker", broker);
		doc_set_int(row, "max_qos", rule->max_qos);
		if (publish) {
			doc_set_text(row, "retain",
			             rule->retain == TOPIC_RETAIN_KEEP ? "keep" : "clear");
			doc_set_text(row, "delivery",
			             rule->delivery == TOPIC_DELIVERY_RELAY ? "relay" : "store");
			if (rule->max_payload != UINT32_MAX) {
				doc_set_int(row, "max_payload", rule->max_payload);
			}
		}
		doc_set_int(row, "line", rule->line);
		doc_add(list, row);
	}
	return list;
}

static void
print_rules(FILE *out, const struct doc *doc)
{
	static const struct column head[] = {
		{ "identity", "device" }, { "map", "map" }, { NULL }
	};
	static const struct column columns[] = {
		{ "direction", "DIRECTION" },
		{ "device", "DEVICE TOPIC" },
		{ "broker", "BROKER TOPIC" },
		{ "max_qos", "QOS", PRINT_NUMBER },
		{ "retain", "RETAIN" },
		{ "delivery", "DELIVERY" },
		{ "line", "LINE", PRINT_NUMBER },
		{ NULL },
	};
	static const char *const keys[] = { "publish", "subscribe" };

	print_record(out, doc, head, 0);
	for (size_t k = 0; k < 2; k++) {
		if (doc_count(doc_get(doc, keys[k])) > 0) {
			fputc('\n', out);
			print_table(out, doc_get(doc, keys[k]), columns);
		}
	}
}

static void
deny(struct trial *trial, const char *reason)
{
	doc_set_bool(trial->doc, "allowed", false);
	doc_set_text(trial->doc, "reason", reason);
}

static const char *
reason_of(int code)
{
	switch (code) {
	case ERR_DENIED:
		return "no rule covers it";
	case ERR_LIMIT:
		return "the topic would become too long for the broker";
	default:
		return err_text(code);
	}
}

static void
try_publish(struct trial *trial, const char *topic)
{
	const struct topic_rule *rule;
	int n;

	doc_set_text(trial->doc, "publish", topic);
	if (!mqtt_topic_name_valid(span_str(topic))) {
		deny(trial, "it is no valid topic name");
		return;
	}
	n = topic_map_publish(trial->compiled, span_str(topic), trial->out, sizeof trial->out,
	                      &rule);
	if (n < 0) {
		deny(trial, reason_of(n));
		return;
	}
	doc_set_bool(trial->doc, "allowed", true);
	doc_set_string(trial->doc, "broker", span_of(trial->out, (size_t)n));
	set_rule(trial, trial->doc, rule);
}

static int
take_filter(void *owner, struct span filter, const struct topic_rule *rule)
{
	struct trial *trial = owner;
	struct doc *row = doc_map();

	doc_set_string(row, "broker", filter);
	set_rule(trial, row, rule);
	doc_add(trial->found, row);
	return 0;
}

static void
try_subscribe(struct trial *trial, const char *filter)
{
	int n;

	doc_set_text(trial->doc, "subscribe", filter);
	if (!mqtt_topic_filter_valid(span_str(filter))) {
		deny(trial, "it is no valid topic filter");
		return;
	}
	trial->found = doc_list();
	n = topic_map_subscribe(trial->compiled, span_str(filter), trial->out, take_filter, trial);
	if (n < 0) {
		doc_free(trial->found);
		deny(trial, reason_of(n));
		return;
	}
	doc_set_bool(trial->doc, "allowed", true);
	doc_set(trial->doc, "filters", trial->found);
}

static void
print_trial(FILE *out, const struct doc *doc)
{
	static const struct column asked[] = {
		{ "identity", "device" },
		{ "map", "map" },
		{ "publish", "publishes to", PRINT_TEXT, true },
		{ "subscribe", "subscribes to", PRINT_TEXT, true },
		{ "allowed", "allowed", PRINT_YES_NO },
		{ "reason", "reason", PRINT_TEXT, true },
		{ "broker", "broker topic", PRINT_TEXT, true },
		{ "rule", "by the rule at", PRINT_TEXT, true },
		{ NULL },
	};
	static const struct column filter[] = {
		{ "broker", "BROKER FILTER" },
		{ "max_qos", "QOS", PRINT_NUMBER },
		{ "rule", "BY THE RULE AT" },
		{ NULL },
	};

	print_record(out, doc, asked, 0);
	if (doc_get(doc, "filters") != NULL) {
		fputc('\n', out);
		print_table(out, doc_get(doc, "filters"), filter);
	}
}

static int
answer(struct trial *trial, const char *name)
{
	const char *publish = cli_option(trial->cli, "publish", 0);
	const char *subscribe = cli_option(trial->cli, "subscribe", 0);

	trial->doc = doc_map();
	doc_set_text(trial->doc, "identity", name);
	doc_set_text(trial->doc, "map", trial->map->name);
	if (publish != NULL) {
		try_publish(trial, publish);
	} else if (subscribe != NULL) {
		try_subscribe(trial, subscribe);
	} else {
		doc_set(trial->doc, "publish", list_rules(trial, true));
		doc_set(trial->doc, "subscribe", list_rules(trial, false));
		return cli_result(trial->cli, trial->doc, print_rules);
	}
	return cli_result(trial->cli, trial->doc, print_trial);
}

static int
compile(struct trial *trial, struct device *device, const char *name)
{
	struct topic_vars vars;
	char why[WHY_SIZE];
	int r;

	trial->map = device_map(trial->cli, device);
	if (trial->map == NULL) {
		return cli_fail(trial->cli, ERR_NOT_FOUND,
		                "no map of the configuration is for %s (group \"%s\"): "
		                "it would be refused", name, device->row.group);
	}
	device_vars(trial->cli, device, cli_option(trial->cli, "client-id", 0), &vars);
	r = topic_map_compile(&trial->map->rules, &vars, &trial->compiled, why, sizeof why);
	return r < 0 ? cli_fail(trial->cli, r, "the map %s cannot be used for %s: %s",
	                        trial->map->name, name, why) :
	               CLI_DONE;
}

int
topics_run(struct cli *cli)
{
	const char *name = cli->word[0];
	struct trial *trial;
	struct device device;
	struct reg *reg;
	int r = cli_register(cli, REG_READ, &reg);
	int code;

	if (r != 0) {
		return r;
	}
	if (cli_option(cli, "publish", 0) != NULL && cli_option(cli, "subscribe", 0) != NULL) {
		reg_close(reg);
		cli_note(cli, "one of --publish and --subscribe, not both");
		return CLI_USAGE;
	}
	code = device_load(cli, reg, name, &device);
	reg_close(reg);
	if (code < 0) {
		return cli_fail(cli, code, "there is no device %s in the register", name);
	}
	trial = calloc(1, sizeof *trial);
	if (trial == NULL) {
		device_clear(&device);
		return cli_fail_memory(cli);
	}
	trial->cli = cli;
	r = compile(trial, &device, name);
	r = r == CLI_DONE ? answer(trial, name) : r;
	topic_map_free(trial->compiled);
	device_clear(&device);
	free(trial);
	return r;
}
