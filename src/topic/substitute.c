/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From one side of a rule to the other. A topic is a filter without
 * wildcards, so one walk serves both.
 *
 * For filters the result is exact: it matches every image of a topic that
 * `what` and `from` match, and every topic that it matches comes from one of
 * those, with one exception that no filter can express: where the wildcard of
 * `from` is its first level and that of `to` is not, `to` also matches topics
 * ("x/$y" for "+" and "x/+", "x" for "#" and "x/#") that have no counterpart.
 * Those are denied when they come.
 */
#include "topic/topic_int.h"

struct binder {
	struct levels from, what;
	bool open; /* `what` is past its '#': every level is there, and none is told */
};

/* What the next wildcard of `from` is bound to; *none when to no level at all. */
static bool
bind_next(struct binder *b, struct span *bound, bool *none)
{
	struct span want, level;

	*none = false;
	while (level_next(&b->from, &want)) {
		if (level_is(want, '#')) {
			*none = !b->open && !b->what.more;
			*bound = b->open ? span_str("#") : b->what.rest;
			return true;
		}
		level = span_str("+");
		if (!b->open) {
			if (!level_next(&b->what, &level)) {
				return false;
			}
			if (level_is(level, '#')) {
				b->open = true;
				level = span_str("+");
			}
		}
		if (level_is(want, '+')) {
			*bound = level;
			return true;
		}
	}
	return false;
}

/* False when the sides do not fit together. */
static bool
fill(struct span to, struct binder *b, struct sink *s)
{
	struct levels l = levels_of(to);
	struct span level;
	bool first = true, none;

	while (level_next(&l, &level)) {
		if (level_is(level, '+') || level_is(level, '#')) {
			if (!bind_next(b, &level, &none)) {
				return false;
			}
			if (none) {
				break; /* "a/#" with nothing for the '#' is "a" */
			}
		}
		sink_level(s, &first, level);
	}
	return true;
}

int
topic_substitute(struct span from, struct span to, struct span what, uint8_t *out, size_t size)
{
	struct binder b = { .from = levels_of(from), .what = levels_of(what) };
	struct sink s = { .out = out, .size = size };

	if (!fill(to, &b, &s) || s.len == 0) {
		return ERR_DENIED;
	}
	if (s.len > TOPIC_MAX) {
		return ERR_LIMIT;
	}
	if (s.len > size) {
		return ERR_FULL;
	}
	/* "$SYS" and "$share" must not be made out of pieces. */
	if (!topic_covers(to, span_of(out, s.len))) {
		return ERR_DENIED;
	}
	return topic_levels(span_of(out, s.len)) > TOPIC_LEVELS ? ERR_LIMIT : (int)s.len;
}
