/* SPDX-License-Identifier: BSD-2-Clause */
/* Building and reading document trees. */
#include "ctl/doc_int.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/utf8.h"

static struct doc *
make(enum doc_kind kind)
{
	struct doc *doc = calloc(1, sizeof *doc);

	if (doc != NULL) {
		doc->kind = kind;
	}
	return doc;
}

static struct doc *
make_scalar(enum doc_kind kind, const char *text)
{
	struct doc *doc = make(kind);

	if (doc != NULL) {
		doc->text = strdup(text);
		doc->text_len = strlen(text);
		if (doc->text == NULL) {
			free(doc);
			return NULL;
		}
	}
	return doc;
}

struct doc *
doc_null(void)
{
	return make_scalar(DOC_NULL, "");
}

struct doc *
doc_map(void)
{
	return make(DOC_MAP);
}

struct doc *
doc_list(void)
{
	return make(DOC_LIST);
}

/* Length of a good sequence at the front, 0 when there is none. */
static size_t
sequence(struct span s)
{
	if (s.ptr[0] == 0) {
		return 0; /* the text is NUL-terminated: what follows would be lost */
	}
	for (size_t n = 1; n <= 4 && n <= s.len; n++) {
		if (utf8_valid(span_head(s, n))) {
			return n;
		}
	}
	return 0;
}

/* Copy with every byte that is not well formed, and NUL, as U+FFFD. */
static size_t
clean(struct span s, char *out)
{
	char *at = out;

	while (s.len > 0) {
		size_t n = sequence(s);

		if (n == 0) {
			memcpy(at, "\xef\xbf\xbd", 3);
			at += 3;
			n = 1;
		} else {
			memcpy(at, s.ptr, n);
			at += n;
		}
		s = span_skip(s, n);
	}
	*at = '\0';
	return (size_t)(at - out);
}

struct doc *
doc_string(struct span text)
{
	struct doc *doc = make(DOC_STRING);
	bool good = utf8_valid_mqtt(text);

	if (doc == NULL || text.len > SIZE_MAX / 3 - 1) {
		free(doc);
		return NULL;
	}
	doc->text = malloc(good ? text.len + 1 : 3 * text.len + 1);
	if (doc->text == NULL) {
		free(doc);
		return NULL;
	}
	doc->text_len = clean(text, doc->text);
	return doc;
}

struct doc *
doc_int(int64_t number)
{
	char text[24];
	struct doc *doc;

	snprintf(text, sizeof text, "%" PRId64, number);
	doc = make_scalar(DOC_INT, text);
	if (doc != NULL) {
		doc->number = number;
	}
	return doc;
}

struct doc *
doc_bool(bool value)
{
	struct doc *doc = make_scalar(DOC_BOOL, value ? "true" : "false");

	if (doc != NULL) {
		doc->value = value;
	}
	return doc;
}

void
doc_free(struct doc *doc)
{
	if (doc == NULL) {
		return;
	}
	for (size_t i = 0; i < doc->count; i++) {
		free(doc->entry[i].key);
		doc_free(doc->entry[i].value);
	}
	free(doc->entry);
	free(doc->text);
	free(doc);
}

static bool
make_room(struct doc *parent)
{
	size_t size = parent->size == 0 ? 8 : 2 * parent->size;
	struct doc_entry *entry;

	if (parent->count < parent->size) {
		return true;
	}
	entry = reallocarray(parent->entry, size, sizeof *entry);
	if (entry == NULL) {
		return false;
	}
	parent->entry = entry;
	parent->size = size;
	return true;
}

/* Takes key and child over; marks the parent when something is not right. */
static void
attach(struct doc *parent, enum doc_kind kind, char *key, struct doc *child)
{
	if (parent == NULL || parent->kind != kind || child == NULL ||
	    (kind == DOC_MAP && key == NULL) || !make_room(parent)) {
		if (parent != NULL) {
			parent->failed = true;
		}
		free(key);
		doc_free(child);
		return;
	}
	parent->entry[parent->count++] = (struct doc_entry){ .key = key, .value = child };
}

void
doc_set(struct doc *map, const char *key, struct doc *child)
{
	attach(map, DOC_MAP, strdup(key), child);
}

void
doc_add(struct doc *list, struct doc *child)
{
	attach(list, DOC_LIST, NULL, child);
}

void
doc_set_string(struct doc *map, const char *key, struct span text)
{
	doc_set(map, key, doc_string(text));
}

void
doc_set_text(struct doc *map, const char *key, const char *text)
{
	doc_set(map, key, doc_string(span_str(text)));
}

void
doc_set_int(struct doc *map, const char *key, int64_t number)
{
	doc_set(map, key, doc_int(number));
}

void
doc_set_bool(struct doc *map, const char *key, bool value)
{
	doc_set(map, key, doc_bool(value));
}

bool
doc_failed(const struct doc *doc)
{
	if (doc == NULL || doc->failed) {
		return true;
	}
	for (size_t i = 0; i < doc->count; i++) {
		if (doc_failed(doc->entry[i].value)) {
			return true;
		}
	}
	return false;
}

enum doc_kind
doc_kind(const struct doc *doc)
{
	return doc != NULL ? doc->kind : DOC_NULL;
}

const struct doc *
doc_get(const struct doc *map, const char *key)
{
	if (doc_kind(map) != DOC_MAP) {
		return NULL;
	}
	for (size_t i = 0; i < map->count; i++) {
		if (strcmp(map->entry[i].key, key) == 0) {
			return map->entry[i].value;
		}
	}
	return NULL;
}

struct doc *
doc_take(struct doc *map, const char *key)
{
	for (size_t i = 0; doc_kind(map) == DOC_MAP && i < map->count; i++) {
		if (strcmp(map->entry[i].key, key) == 0) {
			struct doc *value = map->entry[i].value;

			free(map->entry[i].key);
			map->count--;
			memmove(&map->entry[i], &map->entry[i + 1],
			        (map->count - i) * sizeof map->entry[0]);
			return value;
		}
	}
	return NULL;
}

const char *
doc_get_text(const struct doc *map, const char *key, const char *otherwise)
{
	const struct doc *doc = doc_get(map, key);

	return doc_kind(doc) == DOC_STRING ? doc->text : otherwise;
}

int64_t
doc_get_int(const struct doc *map, const char *key, int64_t otherwise)
{
	const struct doc *doc = doc_get(map, key);

	return doc_kind(doc) == DOC_INT ? doc->number : otherwise;
}

bool
doc_get_bool(const struct doc *map, const char *key, bool otherwise)
{
	const struct doc *doc = doc_get(map, key);

	return doc_kind(doc) == DOC_BOOL ? doc->value : otherwise;
}

size_t
doc_count(const struct doc *doc)
{
	return doc != NULL ? doc->count : 0;
}

const struct doc *
doc_at(const struct doc *doc, size_t index)
{
	return index < doc_count(doc) ? doc->entry[index].value : NULL;
}

const char *
doc_key_at(const struct doc *map, size_t index)
{
	return doc_kind(map) == DOC_MAP && index < map->count ? map->entry[index].key : "";
}

const char *
doc_text(const struct doc *scalar)
{
	return scalar != NULL && scalar->text != NULL ? scalar->text : "";
}

int64_t
doc_number(const struct doc *scalar)
{
	return doc_kind(scalar) == DOC_INT ? scalar->number : 0;
}
