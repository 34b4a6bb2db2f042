/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The faults of a rule list that no device can change. Texts are compared as
 * configured: two levels with the same template are equal for every device,
 * a template and another text may or may not be. topic_map_compile() sees to
 * the latter, with the values at hand.
 */
#include "topic/topic_int.h"

#include <stdarg.h>
#include <stdio.h>

#include "mqtt/mqtt.h"

struct check {
	void (*report)(void *owner, int line, const char *sentence);
	void *owner;
	int faults;
};

static void __attribute__((format(printf, 3, 4)))
fault(struct check *c, int line, const char *format, ...)
{
	char sentence[512];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	c->report(c->owner, line, sentence);
	c->faults++;
}

/* What is wrong with one side; NULL when nothing is. */
static const char *
side_fault(struct span text)
{
	struct levels l = levels_of(text);
	struct span first;
	const char *why;

	if (topic_template_check(text, &why) < 0) {
		return why;
	}
	if (!mqtt_topic_filter_valid(text)) {
		return "not a valid topic filter";
	}
	if (topic_levels(text) > TOPIC_LEVELS) {
		return "more levels than the broker takes";
	}
	(void)level_next(&l, &first);
	if (span_eq_str(first, "$share")) {
		return "a rule cannot be shared: devices share by themselves, rules map what they ask";
	}
	/* "$${group}" could become "$share". */
	if (first.len > 0 && first.ptr[0] == '$' && !topic_template_is(span_head(first, 2)) &&
	    topic_template_is(first)) {
		return "a first level that begins with $ cannot hold a variable";
	}
	return NULL;
}

/* The next wildcard of a filter, 0 when there is none left. */
static char
next_wildcard(struct levels *l)
{
	struct span level;

	while (level_next(l, &level)) {
		if (level_is(level, '+') || level_is(level, '#')) {
			return (char)level.ptr[0];
		}
	}
	return 0;
}

static bool
same_wildcards(struct span a, struct span b)
{
	struct levels la = levels_of(a), lb = levels_of(b);
	char wa, wb;

	do {
		wa = next_wildcard(&la);
		wb = next_wildcard(&lb);
	} while (wa == wb && wa != 0);
	return wa == wb;
}

static bool
rule_sound(const struct topic_rule *rule)
{
	struct span device = span_str(rule->device), broker = span_str(rule->broker);

	return side_fault(device) == NULL && side_fault(broker) == NULL &&
	       same_wildcards(device, broker);
}

static void
check_rule(struct check *c, const struct topic_rule *rule)
{
	struct span device = span_str(rule->device), broker = span_str(rule->broker);
	const char *device_why = side_fault(device), *broker_why = side_fault(broker);

	if (device_why != NULL) {
		fault(c, rule->line, "device filter \"%.*s\": %s", SPAN_ARG(span_head(device, 128)),
		      device_why);
	}
	if (broker_why != NULL) {
		fault(c, rule->line, "broker filter \"%.*s\": %s", SPAN_ARG(span_head(broker, 128)),
		      broker_why);
	}
	if (device_why == NULL && broker_why == NULL && !same_wildcards(device, broker)) {
		fault(c, rule->line,
		      "\"%.*s\" and \"%.*s\" must have the same wildcards in the same order",
		      SPAN_ARG(span_head(device, 128)), SPAN_ARG(span_head(broker, 128)));
	}
}

static void
check_broker_sides(struct check *c, const struct topic_rule *earlier, const struct topic_rule *rule)
{
	struct span broker = span_str(rule->broker);

	if (topic_overlaps(span_str(earlier->broker), broker, TOPIC_TEXT_TEMPLATE) &&
	    rule_sound(earlier)) {
		fault(c, rule->line,
		      "broker filter \"%.*s\" overlaps that of line %d: "
		      "a topic of both could not be mapped back to the device",
		      SPAN_ARG(span_head(broker, 128)), earlier->line);
	}
}

/* Is the rule never reached, because an earlier one takes all its topics? */
static bool
shadowed(struct check *c, const struct topic_rule *earlier, const struct topic_rule *rule)
{
	struct span device = span_str(rule->device);

	if (!topic_covers_as(span_str(earlier->device), device, TOPIC_TEXT_TEMPLATE) ||
	    !rule_sound(earlier)) {
		return false;
	}
	fault(c, rule->line,
	      "device filter \"%.*s\" can never be reached: the rule of line %d takes all of it",
	      SPAN_ARG(span_head(device, 128)), earlier->line);
	return true;
}

static void
check_list(struct check *c, const struct topic_rule *list, size_t count, bool publish)
{
	for (size_t i = 0; i < count; i++) {
		bool reached = true;

		check_rule(c, &list[i]);
		if (!rule_sound(&list[i])) {
			continue;
		}
		for (size_t j = 0; j < i; j++) {
			check_broker_sides(c, &list[j], &list[i]);
			if (publish && reached) {
				reached = !shadowed(c, &list[j], &list[i]);
			}
		}
	}
}

int
topic_rules_check(const struct topic_rules *rules,
                  void (*report)(void *owner, int line, const char *sentence), void *owner)
{
	struct check c = { .report = report, .owner = owner };

	check_list(&c, rules->publish, rules->publish_count, true);
	check_list(&c, rules->subscribe, rules->subscribe_count, false);
	return c.faults;
}
