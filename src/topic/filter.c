/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Filters as sets of topics (4.7). Two facts that are easy to miss decide the
 * details: '#' also matches the parent level, and no topic is empty, so that
 * "#" is the same set as "+/#", and "/#" the same as "/+/#".
 */
#include "topic/topic_int.h"

#include <limits.h>

size_t
topic_levels(struct span text)
{
	struct levels l = levels_of(text);
	struct span level;
	size_t n = 0;

	while (level_next(&l, &level)) {
		n++;
	}
	return n;
}

static bool
begins_wild(struct span filter)
{
	return filter.len > 0 && (filter.ptr[0] == '+' || filter.ptr[0] == '#');
}

static bool
begins_dollar(struct span text, enum topic_text kind)
{
	if (text.len == 0 || text.ptr[0] != '$') {
		return false;
	}
	return kind == TOPIC_TEXT_EXPANDED || text.len < 2 || text.ptr[1] != '{';
}

bool
topic_matches(struct span filter, struct span name)
{
	struct levels f = levels_of(filter), n = levels_of(name);
	struct span want, level;

	if (name.len == 0 || (name.ptr[0] == '$' && begins_wild(filter))) {
		return false; /* 4.7.2 */
	}
	while (level_next(&f, &want)) {
		if (level_is(want, '#')) {
			return true;
		}
		if (!level_next(&n, &level)) {
			return false;
		}
		if (!level_is(want, '+') && !span_eq(want, level)) {
			return false;
		}
	}
	return !n.more;
}

/* Level by level; a topic of the inner filter may be as short as its levels say. */
static bool
covers_levels(struct levels outer, struct levels inner)
{
	struct span o, i;

	while (level_next(&outer, &o)) {
		if (level_is(o, '#')) {
			return true;
		}
		if (!level_next(&inner, &i) || level_is(i, '#')) {
			return false;
		}
		if (!level_is(o, '+') && (level_is(i, '+') || !span_eq(o, i))) {
			return false;
		}
	}
	return !inner.more;
}

bool
topic_covers_as(struct span outer, struct span inner, enum topic_text kind)
{
	if (begins_wild(outer) && begins_dollar(inner, kind)) {
		return false;
	}
	/* The parent level of these two would be the empty topic: there is none. */
	if (span_eq_str(inner, "#")) {
		inner = span_str("+/#");
	} else if (span_eq_str(inner, "/#")) {
		inner = span_str("/+/#");
	}
	return covers_levels(levels_of(outer), levels_of(inner));
}

bool
topic_covers(struct span outer, struct span inner)
{
	return topic_covers_as(outer, inner, TOPIC_TEXT_EXPANDED);
}

/* That level and all that follow. */
static void
put_tail(struct sink *s, bool *first, struct span level, const struct levels *after)
{
	sink_level(s, first, level);
	if (after->more) {
		sink_level(s, first, after->rest);
	}
}

/* False when nothing is common; the empty text means the same. */
static bool
intersect(struct span one, struct span other, enum topic_text kind, struct sink *s)
{
	struct levels a = levels_of(one), b = levels_of(other);
	bool first = true;

	if ((begins_wild(one) && begins_dollar(other, kind)) ||
	    (begins_wild(other) && begins_dollar(one, kind))) {
		return false;
	}
	for (;;) {
		struct span la, lb;
		bool more_a = level_next(&a, &la), more_b = level_next(&b, &lb);

		if (more_a && level_is(la, '#')) {
			if (more_b) {
				put_tail(s, &first, lb, &b);
			}
			return true;
		}
		if (more_b && level_is(lb, '#')) {
			if (more_a) {
				put_tail(s, &first, la, &a);
			}
			return true;
		}
		if (!more_a || !more_b) {
			return more_a == more_b;
		}
		if (!level_is(la, '+') && !level_is(lb, '+') && !span_eq(la, lb)) {
			return false;
		}
		sink_level(s, &first, level_is(la, '+') ? lb : la);
	}
}

int
topic_intersect(struct span a, struct span b, uint8_t *out, size_t size)
{
	struct sink s = { .out = out, .size = size };

	if (!intersect(a, b, TOPIC_TEXT_EXPANDED, &s)) {
		return 0;
	}
	return s.len > size || s.len > INT_MAX ? ERR_FULL : (int)s.len;
}

bool
topic_overlaps(struct span a, struct span b, enum topic_text kind)
{
	struct sink s = { .size = 0 };

	return intersect(a, b, kind, &s) && s.len > 0;
}
