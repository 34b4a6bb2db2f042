/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What comes over the control socket: frames, and the YAML documents in them.
 * What was accepted must survive being written and read again.
 */
#include <stdlib.h>

#include "ctl/doc.h"
#include "ctl/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect(bool condition)
{
	if (!condition) {
		abort();
	}
}

static bool
same(const struct doc *a, const struct doc *b)
{
	if (doc_kind(a) != doc_kind(b) || doc_count(a) != doc_count(b) ||
	    strcmp(doc_text(a), doc_text(b)) != 0) {
		return false;
	}
	for (size_t i = 0; i < doc_count(a); i++) {
		if (strcmp(doc_key_at(a, i), doc_key_at(b, i)) != 0 ||
		    !same(doc_at(a, i), doc_at(b, i))) {
			return false;
		}
	}
	return true;
}

static void
document(struct span text)
{
	struct doc *doc = NULL, *back = NULL;
	struct buf yaml = { 0 }, json = { 0 };
	char why[256];

	if (doc_parse_yaml(text, &doc, why) < 0) {
		expect(doc == NULL && why[0] != '\0');
		return;
	}
	expect(doc_write_yaml(doc, &yaml) == 0);
	expect(doc_parse_yaml(buf_span(&yaml), &back, why) == 0);
	expect(same(doc, back));
	expect(doc_write_json(doc, &json) == 0);
	doc_free(doc);
	doc_free(back);
	buf_release(&yaml);
	buf_release(&json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct frame frame;

	document(in);
	while (in.len > 0 && frame_read(in, &frame) == 0) {
		expect(frame.size <= in.len && frame.body.len == frame.size - FRAME_HEADER);
		/* Each shorter piece wants more: nothing is taken before it is whole. */
		expect(frame.size == FRAME_HEADER ||
		       frame_read(span_head(in, frame.size - 1), &(struct frame){ .size = 0 }) ==
		               ERR_MORE);
		document(frame.body);
		in = span_skip(in, frame.size);
	}
	return 0;
}
