/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Documents: trees of maps, lists and scalars, the form in which gatewayd and
 * gatewayctl talk (YAML on the wire) and in which gatewayctl prints (table,
 * YAML, JSON). Not thread safe; a tree has one owner.
 *
 * Makers return NULL when memory is short; adding to or adding NULL is
 * allowed and marks the tree as failed, so a builder tests once at the end.
 */
#ifndef GATEWAY_CTL_DOC_H
#define GATEWAY_CTL_DOC_H

#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct doc;

enum doc_kind { DOC_NULL, DOC_BOOL, DOC_INT, DOC_STRING, DOC_LIST, DOC_MAP };

struct doc *doc_map(void);
struct doc *doc_list(void);
struct doc *doc_string(struct span text); /* bytes that are no UTF-8 become U+FFFD */
struct doc *doc_int(int64_t number);
struct doc *doc_bool(bool value);
void doc_free(struct doc *doc);

/* Add to a map (key copied, must be new) or list; the child is taken over. */
void doc_set(struct doc *map, const char *key, struct doc *child);
void doc_set_string(struct doc *map, const char *key, struct span text);
void doc_set_text(struct doc *map, const char *key, const char *text);
void doc_set_int(struct doc *map, const char *key, int64_t number);
void doc_set_bool(struct doc *map, const char *key, bool value);
void doc_add(struct doc *list, struct doc *child);
bool doc_failed(const struct doc *doc);

enum doc_kind doc_kind(const struct doc *doc); /* NULL counts as DOC_NULL */
const struct doc *doc_get(const struct doc *map, const char *key); /* NULL: none */
/* Take a value out of a map: the caller's now. NULL: there is none. */
struct doc *doc_take(struct doc *map, const char *key);
/* Text of a string scalar (NUL-terminated), or otherwise. */
const char *doc_get_text(const struct doc *map, const char *key, const char *otherwise);
int64_t doc_get_int(const struct doc *map, const char *key, int64_t otherwise);
bool doc_get_bool(const struct doc *map, const char *key, bool otherwise);
size_t doc_count(const struct doc *doc); /* entries of a map or list */
const struct doc *doc_at(const struct doc *doc, size_t index);
const char *doc_key_at(const struct doc *map, size_t index);
const char *doc_text(const struct doc *scalar); /* scalar as text, "" otherwise */
int64_t doc_number(const struct doc *scalar);

/* One YAML document (libyaml) at the end of the buffer. */
int doc_write_yaml(const struct doc *doc, struct buf *out) MUST_CHECK;
/* JSON (cJSON), indented, newline at the end. */
int doc_write_json(const struct doc *doc, struct buf *out) MUST_CHECK;
/* The same on one line, for streams. */
int doc_write_json_line(const struct doc *doc, struct buf *out) MUST_CHECK;
/*
 * Parse one YAML document: no anchors or aliases, no tags, depth at most 16,
 * no key twice; plain scalars become bool, int or null by the JSON schema.
 * ERR_MALFORMED with a sentence (256 bytes) that has the line.
 */
int doc_parse_yaml(struct span text, struct doc **out, char *why) MUST_CHECK;

#endif
