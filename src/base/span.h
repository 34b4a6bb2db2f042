/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A span is a view of bytes that somebody else owns: never freed, never
 * NUL-terminated. A span with len 0 may have any ptr.
 */
#ifndef GATEWAY_BASE_SPAN_H
#define GATEWAY_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *ptr;
	size_t len;
};

static inline struct span
span_of(const void *ptr, size_t len)
{
	return (struct span){ .ptr = ptr, .len = len };
}

/* The characters of a C string, without its NUL. NULL gives an empty span. */
static inline struct span
span_str(const char *text)
{
	return span_of(text, text != NULL ? strlen(text) : 0);
}

static inline bool
span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool
span_eq_str(struct span a, const char *text)
{
	return span_eq(a, span_str(text));
}

/* What is left after the first n bytes (all of it gone when n > len). */
static inline struct span
span_skip(struct span s, size_t n)
{
	return n >= s.len ? span_of(NULL, 0) : span_of(s.ptr + n, s.len - n);
}

/* The first n bytes (or all, when there are fewer). */
static inline struct span
span_head(struct span s, size_t n)
{
	return span_of(s.ptr, n < s.len ? n : s.len);
}

/* printf("%.*s", SPAN_ARG(s)): only for text already known to be clean. */
#define SPAN_ARG(s) ((int)(s).len), ((const char *)(s).ptr)

#endif
