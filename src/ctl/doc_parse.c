/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * YAML to documents: one pass over libyaml's events with a stack of bounded
 * depth. Whatever makes YAML dangerous or ambiguous (aliases, tags, several
 * documents, one key twice) is refused.
 */
#include "ctl/doc_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <yaml.h>

#define WHY_SIZE 256

struct parse {
	yaml_parser_t parser;
	struct doc *root;
	struct doc *stack[DOC_DEPTH_MAX]; /* open maps and lists, inside root */
	unsigned depth;
	char *key; /* of the map on top, when its value is awaited */
	bool done; /* the document ended */
	char *why;
};

static int
refuse(struct parse *p, const yaml_event_t *event, const char *sentence)
{
	snprintf(p->why, WHY_SIZE, "line %zu: %s", event->start_mark.line + 1, sentence);
	return ERR_MALFORMED;
}

static int
refuse_syntax(struct parse *p)
{
	if (p->parser.error == YAML_MEMORY_ERROR) {
		snprintf(p->why, WHY_SIZE, "out of memory");
		return -ENOMEM;
	}
	snprintf(p->why, WHY_SIZE, "line %zu: not valid YAML: %s",
	         p->parser.problem_mark.line + 1,
	         p->parser.problem != NULL ? p->parser.problem : "unreadable");
	return ERR_MALFORMED;
}

/* Put a value where the document has room for one; takes it over. */
static int
place(struct parse *p, struct doc *value)
{
	struct doc *top = p->depth > 0 ? p->stack[p->depth - 1] : NULL;

	if (value == NULL) {
		return -ENOMEM;
	}
	if (top == NULL) {
		p->root = value;
		return 0;
	}
	if (top->kind == DOC_MAP) {
		doc_set(top, p->key, value);
		free(p->key);
		p->key = NULL;
	} else {
		doc_add(top, value);
	}
	return top->failed ? -ENOMEM : 0;
}

static int
push(struct parse *p, const yaml_event_t *event, struct doc *container)
{
	struct doc *top = p->depth > 0 ? p->stack[p->depth - 1] : NULL;
	int r;

	if (p->depth == DOC_DEPTH_MAX || (top != NULL && top->kind == DOC_MAP && p->key == NULL)) {
		doc_free(container);
		return refuse(p, event, p->depth == DOC_DEPTH_MAX ?
		                                "nested too deeply" :
		                                "a key must be a plain text");
	}
	r = place(p, container);
	if (r == 0) {
		p->stack[p->depth++] = container;
	}
	return r;
}

/* -?(0|[1-9][0-9]*) of the JSON schema (YAML 1.2.2, 10.2). */
static bool
looks_int(const char *text)
{
	size_t digits;

	text += *text == '-';
	digits = strspn(text, "0123456789");
	return digits > 0 && text[digits] == '\0' && (text[0] != '0' || digits == 1);
}

static int
plain_scalar(struct parse *p, const yaml_event_t *event, const char *text, struct doc **out)
{
	if (text[0] == '\0' || strcmp(text, "null") == 0) {
		*out = doc_null();
	} else if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
		*out = doc_bool(text[0] == 't');
	} else if (looks_int(text)) {
		int64_t number;

		errno = 0;
		number = strtoimax(text, NULL, 10);
		if (errno != 0) {
			return refuse(p, event, "the number does not fit 64 bits; if it is a "
			                        "text, write it in quotes");
		}
		*out = doc_int(number);
	} else {
		*out = doc_string(span_str(text));
	}
	return 0;
}

static int
take_key(struct parse *p, const yaml_event_t *event, const struct doc *map, const char *text)
{
	if (doc_get(map, text) != NULL) {
		return refuse(p, event, "a key stands twice in one map");
	}
	if (map->count == DOC_KEYS_MAX) {
		return refuse(p, event, "too many keys in one map");
	}
	p->key = strdup(text);
	return p->key != NULL ? 0 : -ENOMEM;
}

static int
scalar(struct parse *p, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	const struct doc *top = p->depth > 0 ? p->stack[p->depth - 1] : NULL;
	struct doc *value = NULL;
	int r;

	if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL) {
		return refuse(p, event, "anchors and tags are not accepted");
	}
	if (strlen(text) != len) {
		return refuse(p, event, "a NUL character is not accepted");
	}
	if (top != NULL && top->kind == DOC_MAP && p->key == NULL) {
		return take_key(p, event, top, text);
	}
	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
		return place(p, doc_string(span_of(text, len)));
	}
	r = plain_scalar(p, event, text, &value);
	return r < 0 ? r : place(p, value);
}

static int
take_event(struct parse *p, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (p->done) {
			return refuse(p, event, "more than one document");
		}
		if (event->data.document_start.tag_directives.start !=
		    event->data.document_start.tag_directives.end) {
			return refuse(p, event, "directives are not accepted");
		}
		return 0;
	case YAML_DOCUMENT_END_EVENT:
		p->done = true;
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(p, event, "aliases are not accepted");
	case YAML_SCALAR_EVENT:
		return scalar(p, event);
	case YAML_MAPPING_START_EVENT:
		if (event->data.mapping_start.anchor != NULL ||
		    event->data.mapping_start.tag != NULL) {
			return refuse(p, event, "anchors and tags are not accepted");
		}
		return push(p, event, doc_map());
	case YAML_SEQUENCE_START_EVENT:
		if (event->data.sequence_start.anchor != NULL ||
		    event->data.sequence_start.tag != NULL) {
			return refuse(p, event, "anchors and tags are not accepted");
		}
		return push(p, event, doc_list());
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		p->depth--;
		return 0;
	default:
		return 0;
	}
}

static int
parse_events(struct parse *p)
{
	yaml_event_t event;
	bool more = true;
	int r = 0;

	while (more && r == 0) {
		if (!yaml_parser_parse(&p->parser, &event)) {
			return refuse_syntax(p);
		}
		r = take_event(p, &event);
		more = event.type != YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	if (r == 0 && p->root == NULL) {
		snprintf(p->why, WHY_SIZE, "line 1: there is no document");
		r = ERR_MALFORMED;
	}
	return r;
}

int
doc_parse_yaml(struct span text, struct doc **out, char *why)
{
	struct parse p = { .why = why };
	int r;

	snprintf(why, WHY_SIZE, "out of memory");
	if (!yaml_parser_initialize(&p.parser)) {
		return -ENOMEM;
	}
	yaml_parser_set_encoding(&p.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p.parser, text.len > 0 ? text.ptr : (const uint8_t *)"",
	                             text.len);
	r = parse_events(&p);
	yaml_parser_delete(&p.parser);
	free(p.key);
	if (r < 0) {
		doc_free(p.root);
		return r;
	}
	*out = p.root;
	return 0;
}
