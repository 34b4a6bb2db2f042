/* SPDX-License-Identifier: BSD-2-Clause */
/* Documents to YAML, by libyaml's emitter. */
#include "ctl/doc_int.h"

#include <errno.h>
#include <limits.h>
#include <strings.h>
#include <yaml.h>

struct sink {
	yaml_emitter_t emitter;
	struct buf *out;
};

static int
take(void *data, unsigned char *bytes, size_t size)
{
	struct sink *sink = data;

	return buf_append(sink->out, span_of(bytes, size)) == 0;
}

/*
 * May the text stand without quotes? Only what no YAML reader, also one of
 * YAML 1.1, takes for a number, a date, a truth value or nothing.
 */
static bool
plain_text(const struct doc *doc)
{
	static const char *const words[] = { "true", "false", "yes", "no", "on", "off", "y",
		"n", "null" };
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                           "0123456789_-./@%$+,;()";
	char first = doc->text[0];

	if (!((first | 0x20) >= 'a' && (first | 0x20) <= 'z') && first != '/' && first != '_') {
		return false;
	}
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcasecmp(doc->text, words[i]) == 0) {
			return false;
		}
	}
	return strspn(doc->text, safe) == doc->text_len;
}

static int
emit_scalar(struct sink *sink, const char *text, size_t len, bool plain)
{
	yaml_event_t event;

	return len <= INT_MAX &&
	       yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)len,
	                                    plain, 1,
	                                    plain ? YAML_PLAIN_SCALAR_STYLE :
	                                            YAML_DOUBLE_QUOTED_SCALAR_STYLE) &&
	       yaml_emitter_emit(&sink->emitter, &event);
}

static int
emit_key(struct sink *sink, const char *key)
{
	const struct doc as_doc = { .text = (char *)(uintptr_t)key, .text_len = strlen(key) };

	return emit_scalar(sink, key, as_doc.text_len, plain_text(&as_doc));
}

static int emit(struct sink *sink, const struct doc *doc);

static int
emit_map(struct sink *sink, const struct doc *doc)
{
	yaml_event_t event;

	/* An empty map in block style would come out as nothing at all. */
	if (!yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
	                                         doc->count == 0 ? YAML_FLOW_MAPPING_STYLE :
	                                                           YAML_BLOCK_MAPPING_STYLE) ||
	    !yaml_emitter_emit(&sink->emitter, &event)) {
		return 0;
	}
	for (size_t i = 0; i < doc->count; i++) {
		if (!emit_key(sink, doc->entry[i].key) || !emit(sink, doc->entry[i].value)) {
			return 0;
		}
	}
	return yaml_mapping_end_event_initialize(&event) &&
	       yaml_emitter_emit(&sink->emitter, &event);
}

static int
emit_list(struct sink *sink, const struct doc *doc)
{
	yaml_event_t event;

	if (!yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
	                                          doc->count == 0 ? YAML_FLOW_SEQUENCE_STYLE :
	                                                            YAML_BLOCK_SEQUENCE_STYLE) ||
	    !yaml_emitter_emit(&sink->emitter, &event)) {
		return 0;
	}
	for (size_t i = 0; i < doc->count; i++) {
		if (!emit(sink, doc->entry[i].value)) {
			return 0;
		}
	}
	return yaml_sequence_end_event_initialize(&event) &&
	       yaml_emitter_emit(&sink->emitter, &event);
}

static int
emit(struct sink *sink, const struct doc *doc)
{
	switch (doc->kind) {
	case DOC_MAP:
		return emit_map(sink, doc);
	case DOC_LIST:
		return emit_list(sink, doc);
	case DOC_NULL:
		return emit_scalar(sink, "null", 4, true);
	case DOC_STRING:
		return emit_scalar(sink, doc->text, doc->text_len, plain_text(doc));
	default:
		return emit_scalar(sink, doc->text, doc->text_len, true);
	}
}

static int
emit_document(struct sink *sink, const struct doc *doc)
{
	yaml_event_t event;

	return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
	       yaml_emitter_emit(&sink->emitter, &event) &&
	       yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
	       yaml_emitter_emit(&sink->emitter, &event) && emit(sink, doc) &&
	       yaml_document_end_event_initialize(&event, 1) &&
	       yaml_emitter_emit(&sink->emitter, &event) &&
	       yaml_stream_end_event_initialize(&event) &&
	       yaml_emitter_emit(&sink->emitter, &event) && yaml_emitter_flush(&sink->emitter);
}

int
doc_write_yaml(const struct doc *doc, struct buf *out)
{
	struct sink sink = { .out = out };
	int done;

	if (doc_failed(doc) || !yaml_emitter_initialize(&sink.emitter)) {
		return -ENOMEM;
	}
	yaml_emitter_set_output(&sink.emitter, take, &sink);
	yaml_emitter_set_encoding(&sink.emitter, YAML_UTF8_ENCODING);
	yaml_emitter_set_unicode(&sink.emitter, 1);
	yaml_emitter_set_width(&sink.emitter, -1);
	done = emit_document(&sink, doc);
	yaml_emitter_delete(&sink.emitter);
	return done ? 0 : -ENOMEM;
}
