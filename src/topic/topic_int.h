/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of topic/ share: levels, a counting sink, inner steps. */
#ifndef GATEWAY_TOPIC_TOPIC_INT_H
#define GATEWAY_TOPIC_TOPIC_INT_H

#include "topic/topic.h"

/* ---- levels: the text between slashes, empty ones included (4.7.1.1) ----------- */

struct levels {
	struct span rest; /* what is not walked yet, when more */
	bool more;
};

static inline struct levels
levels_of(struct span text)
{
	return (struct levels){ .rest = text, .more = true };
}

/* The next level; false, and an empty one, past the last. */
static inline bool
level_next(struct levels *l, struct span *out)
{
	const uint8_t *slash;

	if (!l->more) {
		*out = span_of(NULL, 0);
		return false;
	}
	slash = l->rest.len > 0 ? memchr(l->rest.ptr, '/', l->rest.len) : NULL;
	if (slash == NULL) {
		*out = l->rest;
		l->more = false;
	} else {
		*out = span_of(l->rest.ptr, (size_t)(slash - l->rest.ptr));
		l->rest = span_skip(l->rest, out->len + 1);
	}
	return true;
}

static inline bool
level_is(struct span level, char c)
{
	return level.len == 1 && level.ptr[0] == (uint8_t)c;
}

size_t topic_levels(struct span text);

/* ---- sink: counts everything, keeps what fits ----------------------------------- */

struct sink {
	uint8_t *out;
	size_t size;
	size_t len; /* may be over size: then the text is not whole */
};

static inline void
sink_put(struct sink *s, struct span text)
{
	if (s->len <= s->size && text.len > 0 && text.len <= s->size - s->len) {
		memcpy(s->out + s->len, text.ptr, text.len);
	}
	s->len += text.len;
}

/* One more level, with the slash before it unless it is the first. */
static inline void
sink_level(struct sink *s, bool *first, struct span level)
{
	if (!*first) {
		sink_put(s, span_of("/", 1));
	}
	*first = false;
	sink_put(s, level);
}

/* ---- inner steps ------------------------------------------------------------------ */

/*
 * How a text begins. As configured, a first level "${identity}" is no `$`
 * level: its value never begins with one.
 */
enum topic_text { TOPIC_TEXT_EXPANDED, TOPIC_TEXT_TEMPLATE };

/* Is there a topic that both match? */
bool topic_overlaps(struct span a, struct span b, enum topic_text kind);
bool topic_covers_as(struct span outer, struct span inner, enum topic_text kind);

/*
 * Bind the wildcards of `from` to the levels of `what` (a topic that `from`
 * matches, or a filter that overlaps it) and put them in the places of the
 * wildcards of `to`. Length, ERR_DENIED, ERR_LIMIT, ERR_FULL.
 */
int topic_substitute(struct span from, struct span to, struct span what, uint8_t *out,
                     size_t size) MUST_CHECK;

/* The value of a variable by its name, empty when there is none. */
struct span topic_vars_get(const struct topic_vars *vars, struct span name);
/* Expand into a sink, so that the length can be asked first. 0 or ERR_UNSAFE. */
int topic_template_put(struct span text, const struct topic_vars *vars, struct sink *sink,
                       struct span *which) MUST_CHECK;
/* Is there a "${" in the text? */
bool topic_template_is(struct span text);

#endif
