/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one table of every key that the file may hold. A path is what stands in
 * messages and in the manual page; "[]" stands for "each element of the
 * list", and the offsets of such keys count from that element.
 */
#ifndef GATEWAY_CONF_SCHEMA_H
#define GATEWAY_CONF_SCHEMA_H

#include "conf/conf.h"
#include "conf/value.h"

enum schema_type {
	SCHEMA_TEXT,
	SCHEMA_PATH,    /* absolute */
	SCHEMA_ADDRESS, /* literal IP address */
	SCHEMA_NUMBER,  /* with a unit, any width */
	SCHEMA_BOOL,
	SCHEMA_WORD,    /* one of the words, kept as an enum or unsigned */
	SCHEMA_SOURCES, /* the following: see parse.c and maps.c */
	SCHEMA_LISTENERS,
	SCHEMA_MAPS,
	SCHEMA_LABELS,
	SCHEMA_RULES,
};

struct schema_word {
	const char *text; /* NULL ends the list */
	int value;
};

struct schema_key {
	const char *path;
	enum schema_type type;
	enum value_unit unit;
	size_t offset, size;  /* of the member */
	int64_t min, max;     /* numbers: value; texts: length in bytes */
	const char *zero;     /* 0 is allowed although below min, and means this */
	const char *fallback; /* default as one would write it; NULL: none, or derived */
	const char *derived;  /* what stands for the default in words */
	const struct schema_word *words;
	bool required;
	bool restart; /* a reload cannot change it */
	bool secret;  /* never shown */
	const char *help;
};

/* What a rule's max_payload says when there is none. */
#define SCHEMA_UNLIMITED "unlimited"

extern const struct schema_key conf_schema[];
extern const size_t conf_schema_count;

/* The key of that path, or NULL. */
const struct schema_key *schema_find(const char *path);
/* Is the path ("limits.", "maps[].") the beginning of a key? */
bool schema_is_group(const char *prefix);
/*
 * Does the key stand directly in the group of that prefix ("" is the file
 * itself)? Then its name, else NULL.
 */
const char *schema_name(const struct schema_key *key, const char *prefix);
/* The path of the key that somebody may have meant, or NULL. */
const char *schema_hint(const char *prefix, const char *name, char *path, size_t size);
/* "1 to 65535", "0 or 10s to 1d", "relay" or "store". Returns text. */
char *schema_range(const struct schema_key *key, char *text, size_t size);
/* The word of a value, or "?". */
const char *schema_word(const struct schema_word *words, int value);

#endif
