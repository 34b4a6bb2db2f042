/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Topic maps: a device's own small world of topics on one side, the broker's
 * tree on the other, joined by rules that run in both directions.
 *
 * A rule pairs two topic filters with the same sequence of wildcards; the
 * n-th '+' corresponds to the n-th '+', '#' to '#'. So it is a bijection
 * between the topics that match the one filter and those that match the
 * other. Every result is checked against the rule's other filter by the
 * matching rules of MQTT 4.7 (a first level that begins with '$' is never
 * matched by a wildcard, an empty topic is none): what fails is denied. That
 * is what keeps "$SYS/..." and "$share/..." from being made out of pieces.
 *
 * Two steps: topic_rules_check() when the configuration is read, with
 * templates unexpanded; topic_map_compile() once per session, with them
 * expanded. Publishing and delivering allocate nothing. Any thread; a
 * compiled map belongs to one session.
 */
#ifndef GATEWAY_TOPIC_TOPIC_H
#define GATEWAY_TOPIC_TOPIC_H

#include "base/err.h"
#include "base/span.h"

#define TOPIC_MAX 65535   /* bytes of a topic name or filter (MQTT 1.5.4) */
#define TOPIC_LEVELS 201  /* mosquitto takes 200 slashes (lib/util_topic.c) */

/* ---- filters ---------------------------------------------------------------- */

/* Does the filter match the name (4.7)? Both valid. */
bool topic_matches(struct span filter, struct span name);
/*
 * Is every topic that `inner` matches matched by `outer`? Exact: no topic is
 * empty, so "+/#" covers "#".
 */
bool topic_covers(struct span outer, struct span inner);
/*
 * The filter that matches exactly the topics that both match. Length written
 * to `out` (size bytes), 0 when nothing is common, ERR_FULL.
 */
int topic_intersect(struct span a, struct span b, uint8_t *out, size_t size) MUST_CHECK;

/* ---- templates --------------------------------------------------------------- */

/*
 * The values that templates may use. An empty span means "this device has
 * none": a template that needs it cannot be expanded. ${label.NAME} asks the
 * callback (NULL: no labels).
 */
struct topic_vars {
	struct span identity, cn, san_dns, san_uri, serial, fingerprint, issuer_cn;
	struct span group, gateway, client_id;
	struct span (*label)(void *owner, struct span name);
	void *label_owner;
};

/*
 * May the value stand in a topic level? 1 to 512 bytes of UTF-8 without
 * control characters, without + # / and not with $ anywhere.
 */
bool topic_value_safe(struct span value);

/* Is every ${...} of the text known and closed? On failure *why (static). */
int topic_template_check(struct span text, const char **why) MUST_CHECK;
/* Does the text use that variable ("client_id")? */
bool topic_template_uses(struct span text, const char *name);
/*
 * Expand. Length, ERR_UNSAFE (a value is missing or not safe: *which names the
 * variable, a span into text), ERR_FULL.
 */
int topic_template_expand(struct span text, const struct topic_vars *vars, uint8_t *out,
                          size_t size, struct span *which) MUST_CHECK;

/* ---- rules as configured ------------------------------------------------------ */

enum topic_retain { TOPIC_RETAIN_KEEP, TOPIC_RETAIN_CLEAR };
enum topic_delivery { TOPIC_DELIVERY_RELAY, TOPIC_DELIVERY_STORE };
enum topic_denial { TOPIC_DENIAL_DROP, TOPIC_DENIAL_CLOSE };

struct topic_rule {
	char *device; /* filter or template, NUL-terminated, owned by the configuration */
	char *broker;
	uint8_t max_qos;          /* 0 to 2 */
	enum topic_retain retain; /* publish rules */
	uint32_t max_payload;     /* bytes; UINT32_MAX: no limit; publish rules */
	enum topic_delivery delivery; /* publish rules */
	int line;                 /* in the configuration file, for messages */
};

struct topic_rules {
	struct topic_rule *publish;
	size_t publish_count;
	struct topic_rule *subscribe;
	size_t subscribe_count;
	enum topic_denial on_denial;
};

/*
 * Find every fault of the rules that does not depend on a device: bad
 * filters, bad templates, different wildcards, two rules of one list whose
 * broker sides overlap for every device (the reverse would be ambiguous),
 * $share in a rule, a publish rule that an earlier one leaves no topic.
 * report() is called once per fault with the line and a sentence; the number
 * of faults is returned. Device sides may overlap.
 */
int topic_rules_check(const struct topic_rules *rules,
                      void (*report)(void *owner, int line, const char *sentence), void *owner);

/* ---- the compiled map ----------------------------------------------------------- */

struct topic_map;

/*
 * Expand and check the rules for one device. 0, -ENOMEM, ERR_UNSAFE or
 * ERR_AMBIGUOUS (two rules overlap with this device's values); with the last
 * two `why` (size bytes) gets a sentence that names rule, variable and value.
 * The rules have passed topic_rules_check() and must outlive the map, which
 * points into them. topic_map_free(NULL) is fine.
 */
int topic_map_compile(const struct topic_rules *rules, const struct topic_vars *vars,
                      struct topic_map **out, char *why, size_t size) MUST_CHECK;
void topic_map_free(struct topic_map *map);
/* Do both maps give the same rights? (After a reload.) */
bool topic_map_equal(const struct topic_map *a, const struct topic_map *b);
/* Expanded sides of a rule, for display: false when index is past the end. */
bool topic_map_rule(const struct topic_map *map, bool publish, size_t index, struct span *device,
                    struct span *broker, const struct topic_rule **rule);
/*
 * The most that mapping one topic can add to (or, `down`, a delivered topic
 * can add on the device's side) or take from its length, in bytes, >= 0. Over
 * both lists, since response topics run the other way through the other one.
 * Filters are another matter: "#" becomes as long as a broker side.
 */
size_t topic_map_growth_up(const struct topic_map *map);
size_t topic_map_growth_down(const struct topic_map *map);
/* How much shorter than its broker topic a device topic can be. */
size_t topic_map_shrink_down(const struct topic_map *map);

/*
 * Publish rules, device topic to broker topic: the first rule that matches.
 * Length written to out, *rule set; ERR_DENIED when no rule covers it or the
 * result is no valid topic, ERR_LIMIT when it would be over TOPIC_MAX or
 * TOPIC_LEVELS, ERR_FULL. `topic` is a valid topic name and not in `out`.
 */
int topic_map_publish(const struct topic_map *map, struct span topic, uint8_t *out, size_t size,
                      const struct topic_rule **rule) MUST_CHECK;
/* Subscribe rules, broker topic to device topic. As above; at most one rule fits. */
int topic_map_deliver(const struct topic_map *map, struct span topic, uint8_t *out, size_t size,
                      const struct topic_rule **rule) MUST_CHECK;
/* A response topic that the device names (it will listen there): subscribe rules forward. */
int topic_map_response_up(const struct topic_map *map, struct span topic, uint8_t *out,
                          size_t size) MUST_CHECK;
/*
 * A response topic that the device shall publish to: publish rules backward.
 * ERR_DENIED also when an earlier rule would take what the device publishes there.
 */
int topic_map_response_down(const struct topic_map *map, struct span topic, uint8_t *out,
                            size_t size) MUST_CHECK;
/*
 * Subscribe rules: call each() for map(filter INTERSECT rule.device) of every
 * rule with something in common, in rule order. No two results have a topic in
 * common, because no two broker sides have. A shared filter is mapped inside,
 * and each() gets the whole "$share/GROUP/..." text. each() returns 0 to go
 * on, else that value is returned. Returns how many there were, ERR_DENIED for
 * none, ERR_LIMIT when one would be too long (then none was handed out),
 * ERR_MALFORMED for a bad $share. `filter` is a valid (possibly shared) filter.
 * `scratch` is TOPIC_MAX bytes of the caller's, without the filter in it.
 *
 * What the results match is what filter and rules allow, no more and no less,
 * with one exception that no filter can express: with a rule like "+" and
 * "x/+", or "#" and "x/#", the broker's "x/$y" or "x" match but have no device
 * topic. topic_map_deliver() denies them: drop and count.
 */
int topic_map_subscribe(const struct topic_map *map, struct span filter, uint8_t *scratch,
                        int (*each)(void *owner, struct span broker_filter,
                                    const struct topic_rule *rule),
                        void *owner) MUST_CHECK;

#endif
