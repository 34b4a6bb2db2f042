/* SPDX-License-Identifier: BSD-2-Clause */
/* Documents to JSON, by cJSON. */
#include "ctl/doc_int.h"

#include <cjson/cJSON.h>
#include <errno.h>

static cJSON *convert(const struct doc *doc);

static cJSON *
convert_entries(const struct doc *doc, cJSON *parent)
{
	for (size_t i = 0; parent != NULL && i < doc->count; i++) {
		cJSON *child = convert(doc->entry[i].value);
		cJSON_bool added = child != NULL &&
		                   (doc->kind == DOC_MAP ?
		                            cJSON_AddItemToObject(parent, doc->entry[i].key, child) :
		                            cJSON_AddItemToArray(parent, child));

		if (!added) {
			cJSON_Delete(child);
			cJSON_Delete(parent);
			return NULL;
		}
	}
	return parent;
}

static cJSON *
convert(const struct doc *doc)
{
	switch (doc->kind) {
	case DOC_MAP:
		return convert_entries(doc, cJSON_CreateObject());
	case DOC_LIST:
		return convert_entries(doc, cJSON_CreateArray());
	case DOC_STRING:
		return cJSON_CreateString(doc->text);
	case DOC_BOOL:
		return cJSON_CreateBool(doc->value);
	case DOC_INT:
		/* cJSON's numbers are doubles: past 2^53 they would lose digits. */
		return cJSON_CreateRaw(doc->text);
	default:
		return cJSON_CreateNull();
	}
}

/*
 * cJSON escapes what JSON demands. DEL and the C1 controls may stand in JSON
 * but not on a terminal; they occur inside strings only.
 */
static int
append_escaped(struct buf *out, const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\x7f\xc2");
		const uint8_t *at = (const uint8_t *)text + n;
		bool c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f;
		char escape[8];
		int r = buf_append(out, span_of(text, n));

		if (r == 0 && (at[0] == 0x7f || c1)) {
			snprintf(escape, sizeof escape, "\\u%04x", c1 ? at[1] : at[0]);
			r = buf_append(out, span_str(escape));
			n += c1 ? 2 : 1;
		} else if (r == 0 && at[0] != '\0') {
			r = buf_append(out, span_of(at, 1));
			n += 1;
		}
		if (r < 0) {
			return r;
		}
		text += n;
	}
	return buf_append(out, span_str("\n"));
}

static int
write_json(const struct doc *doc, bool lines, struct buf *out)
{
	cJSON *json = doc_failed(doc) ? NULL : convert(doc);
	char *text = json == NULL ? NULL : lines ? cJSON_Print(json) : cJSON_PrintUnformatted(json);
	int r = text != NULL ? append_escaped(out, text) : -ENOMEM;

	cJSON_free(text);
	cJSON_Delete(json);
	return r;
}

int
doc_write_json(const struct doc *doc, struct buf *out)
{
	return write_json(doc, true, out);
}

int
doc_write_json_line(const struct doc *doc, struct buf *out)
{
	return write_json(doc, false, out);
}
