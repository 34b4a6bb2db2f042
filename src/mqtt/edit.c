/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Property lists on their way through the gateway: a few properties change,
 * everything else is copied as it stands. Each step answers with its size and
 * writes only when it has a writer, so size and bytes cannot disagree.
 */
#include "mqtt/mqtt_int.h"

static const struct mqtt_edit *
edit_of(const struct mqtt_edit *edits, size_t count, enum mqtt_property id)
{
	for (size_t i = 0; i < count; i++) {
		if (edits[i].id == id) {
			return &edits[i];
		}
	}
	return NULL;
}

static size_t
put_span(struct writer *w, struct span s)
{
	if (w != NULL) {
		write_bytes(w, s);
	}
	return s.len;
}

static size_t
put_number(struct writer *w, enum mqtt_prop_type type, uint32_t n)
{
	uint8_t memory[4];
	struct writer made = writer_of(memory, sizeof memory);

	switch (type) {
	case MQTT_PROP_BYTE:
		made.bad = n > UINT8_MAX;
		write_u8(&made, (uint8_t)n);
		break;
	case MQTT_PROP_TWO:
		made.bad = n > UINT16_MAX;
		write_u16(&made, (uint16_t)n);
		break;
	case MQTT_PROP_FOUR:
		write_u32(&made, n);
		break;
	case MQTT_PROP_VARINT:
		write_varint(&made, n);
		break;
	default:
		made.bad = true; /* not of number type */
	}
	if (w != NULL && made.bad) {
		w->bad = true;
	}
	return put_span(w, writer_span(&made));
}

static size_t
put_string(struct writer *w, enum mqtt_prop_type type, struct span text)
{
	if (w != NULL) {
		if (type != MQTT_PROP_STRING && type != MQTT_PROP_BINARY) {
			w->bad = true;
		}
		write_block(w, text);
	}
	return 2 + text.len;
}

static size_t
put_edit(struct writer *w, const struct mqtt_edit *edit)
{
	enum mqtt_prop_type type = mqtt_prop_type(edit->id);

	if (edit->what == MQTT_EDIT_REMOVE) {
		return 0;
	}
	if (w != NULL) {
		write_u8(w, (uint8_t)edit->id);
	}
	return 1 + (edit->what == MQTT_EDIT_NUMBER ? put_number(w, type, edit->number) :
	                                             put_string(w, type, edit->text));
}

static size_t
put_list(struct writer *w, const struct mqtt_props *props, const struct mqtt_edit *edits,
         size_t count)
{
	struct reader at = reader_of(props->raw);
	struct mqtt_prop p;
	size_t size = 0;

	if (count == 0) {
		return put_span(w, props->raw);
	}
	while (mqtt_props_next(&at, &p)) {
		const struct mqtt_edit *edit = edit_of(edits, count, p.id);

		size += edit != NULL ? put_edit(w, edit) : put_span(w, p.raw);
	}
	for (size_t i = 0; i < count; i++) {
		if (!mqtt_props_has(props, edits[i].id) &&
		    edit_of(edits, i, edits[i].id) == NULL) {
			size += put_edit(w, &edits[i]);
		}
	}
	return size;
}

size_t
mqtt_props_edited_size(const struct mqtt_props *props, const struct mqtt_edit *edits, size_t count)
{
	size_t size = put_list(NULL, props, edits, count);

	return varint_size((uint32_t)size) + size;
}

void
mqtt_props_write(struct writer *w, const struct mqtt_props *props, const struct mqtt_edit *edits,
                 size_t count)
{
	size_t size = put_list(NULL, props, edits, count);

	if (size > VARINT_MAX) {
		w->bad = true;
		return;
	}
	write_varint(w, (uint32_t)size);
	put_list(w, props, edits, count);
}
