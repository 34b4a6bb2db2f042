/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers with a unit, as people write them ("20s", "256KiB"), and back. One
 * parser for times and sizes, so that both behave alike. Pure, any thread.
 */
#ifndef GATEWAY_CONF_VALUE_H
#define GATEWAY_CONF_VALUE_H

#include "base/span.h"

enum value_unit {
	VALUE_PLAIN,
	VALUE_MS,      /* kept in milliseconds */
	VALUE_SECONDS, /* kept in seconds */
	VALUE_BYTES,
};

#define VALUE_TEXT_SIZE 32

/*
 * Digits and one suffix of the unit's kind: ms s min h d, or B KiB MiB GiB.
 * Without a suffix the number counts the unit that is kept. *why says what is
 * wrong (static text) when the result is false.
 */
bool value_parse(struct span text, enum value_unit unit, int64_t *out, const char **why);
/* The shortest such text, into text[VALUE_TEXT_SIZE]; returns text. */
char *value_show(int64_t value, enum value_unit unit, char *text);

/* Is it a literal IPv4 or IPv6 address? */
bool value_is_address(const char *text);
bool value_is_loopback(const char *text);
/* The same address, however it is written? Both literal. */
bool value_same_address(const char *a, const char *b);

/*
 * Up to `size` - 1 bytes of the text for a message: control characters and
 * bytes beyond ASCII become '?', what is too long ends in "...".
 */
char *value_quote(const char *text, char *out, size_t size);

#endif
