/* SPDX-License-Identifier: BSD-2-Clause */
/* What the gateway's own session with the broker is called and tells. */
#include "conf/conf_int.h"

/* The variable that begins at the '$', or an empty span; *text goes behind it. */
static struct span
next_variable(struct span *text)
{
	const uint8_t *at = memmem(text->ptr, text->len, "${", 2), *end;
	struct span name = { 0 };

	if (at == NULL) {
		return name;
	}
	*text = span_of(at + 2, text->len - (size_t)(at + 2 - text->ptr));
	end = memchr(text->ptr, '}', text->len);
	if (end != NULL) {
		name = span_of(text->ptr, (size_t)(end - text->ptr));
		*text = span_of(end, text->len - name.len);
	}
	return name;
}

/* A good template that uses ${gateway} and, if allowed, ${identity}, and no other? */
static const char *
template_fault(const char *template, bool identity)
{
	struct span text = span_str(template), name;
	const char *why = NULL;

	if (topic_template_check(text, &why) != 0) {
		return why;
	}
	while ((name = next_variable(&text)).len > 0) {
		if (!span_eq_str(name, "gateway") && !(identity && span_eq_str(name, "identity"))) {
			return identity ? "may use ${gateway} and ${identity} only" :
			                  "may use ${gateway} only: it is the same for every device";
		}
	}
	return NULL;
}

static const char *
topic_fault(const char *template, bool identity)
{
	const char *why = template_fault(template, identity);

	if (why != NULL) {
		return why;
	}
	if (strpbrk(template, "+#") != NULL) {
		return "is published to: a topic has no wildcards";
	}
	if (template[0] == '$' && template[1] != '{') {
		return "must not begin with $: the broker keeps those topics for itself";
	}
	return NULL;
}

/*
 * How often does ${identity} stand in the template as a level, and how often
 * at all? Only as a level of its own can one '+' find every device.
 */
static const char *
presence_fault(const char *template)
{
	static const char identity[] = "${identity}";
	const size_t n = sizeof identity - 1;
	const char *why = topic_fault(template, true);
	unsigned levels = 0, all = 0;

	for (const char *at = template; (at = strstr(at, identity)) != NULL; at += n) {
		all++;
		levels += (at == template || at[-1] == '/') && (at[n] == '\0' || at[n] == '/');
	}
	if (why == NULL && (levels != 1 || all != 1)) {
		why = "must have ${identity} once, as a whole level: then a filter with + in its "
		      "place finds every device";
	}
	return why;
}

static void
check_topics(struct load *load)
{
	struct conf *conf = load->conf;
	const char *status = conf->uplink.status_topic, *presence = conf->uplink.presence_topic;
	const char *why;

	if (status[0] == '\0') {
		conf->uplink.status_topic = NULL;
	} else if ((why = topic_fault(status, false)) != NULL) {
		load_fault_at(load, load_given(load, "uplink.status_topic"), "uplink.status_topic",
		              "%s", why);
	}
	if (presence[0] == '\0') {
		conf->uplink.presence_topic = NULL;
	} else if ((why = presence_fault(presence)) != NULL) {
		load_fault_at(load, load_given(load, "uplink.presence_topic"),
		              "uplink.presence_topic", "%s", why);
	}
}

void
conf_check_uplink(struct load *load)
{
	const char *why = template_fault(load->conf->uplink.client_id, false);

	if (why != NULL) {
		load_fault_at(load, load_given(load, "uplink.client_id"), "uplink.client_id", "%s",
		              why);
	}
	check_topics(load);
}
