/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A strict reader of fleet files, from the events of libyaml: those have the
 * line, and aliases and tags can be refused before they do anything.
 *
 * A reader function finds the first event of its value in r->event, and
 * leaves the last one there. After r->stop there are no more events.
 */
#include "fleet.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include <yaml.h>

#include "run.h"
#include "topic/topic.h"

struct fleet_reader {
	yaml_parser_t parser;
	yaml_event_t event;
	unsigned depth; /* of open maps and lists */
	bool stop;
	int error; /* -ENOMEM */
	unsigned faults;
	void (*fault)(void *owner, unsigned line, const char *sentence);
	void *owner;
	struct fleet *fleet;
	bool version, devices; /* were there */
};

/* One key of a map. */
struct key_spec {
	const char *name;
	void (*read)(struct fleet_reader *r, void *into);
};

static void __attribute__((format(printf, 3, 4)))
fault_at(struct fleet_reader *r, size_t line, const char *format, ...)
{
	char sentence[512];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	r->faults++;
	r->fault(r->owner, (unsigned)line, sentence);
}

static size_t
line_of(const struct fleet_reader *r)
{
	return r->event.start_mark.line + 1;
}

/* ---- events ------------------------------------------------------------- */

static const char *
special(const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return "aliases";
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	default:
		break;
	}
	return anchor != NULL ? "anchors" : tag != NULL ? "tags" : NULL;
}

/* Deeper than any fleet file: libyaml takes ages for thousands of brackets. */
#define DEPTH_MAX 16

/* False: too deep. */
static bool
count_depth(struct fleet_reader *r)
{
	switch (r->event.type) {
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		r->depth++;
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		break;
	default:
		break;
	}
	return r->depth <= DEPTH_MAX;
}

static void
next(struct fleet_reader *r)
{
	const char *what;

	if (r->stop) {
		return;
	}
	yaml_event_delete(&r->event);
	if (!yaml_parser_parse(&r->parser, &r->event)) {
		r->stop = true;
		if (r->parser.error == YAML_MEMORY_ERROR) {
			r->error = -ENOMEM;
			return;
		}
		fault_at(r, r->parser.problem_mark.line + 1, "this is no YAML: %s",
		         r->parser.problem != NULL ? r->parser.problem : "not readable");
		return;
	}
	if (!count_depth(r)) {
		r->stop = true;
		fault_at(r, line_of(r), "maps and lists are nested too deeply here");
		return;
	}
	what = special(&r->event);
	if (what != NULL) {
		fault_at(r, line_of(r), "%s are not allowed here", what);
	}
}

static bool
at(const struct fleet_reader *r, yaml_event_type_t type)
{
	return !r->stop && r->event.type == type;
}

/* To the end of the value that starts here. */
static void
skip(struct fleet_reader *r)
{
	size_t depth = 0;

	while (!r->stop) {
		if (at(r, YAML_MAPPING_START_EVENT) || at(r, YAML_SEQUENCE_START_EVENT)) {
			depth++;
		} else if (at(r, YAML_MAPPING_END_EVENT) || at(r, YAML_SEQUENCE_END_EVENT)) {
			depth--;
		}
		if (depth == 0) {
			return;
		}
		next(r);
	}
}

/* ---- values ------------------------------------------------------------- */

static bool
is_null(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;

	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

/* The text of a scalar, malloc'd; NULL after a fault (or without memory). */
static char *
read_text(struct fleet_reader *r, const char *what)
{
	const char *text;
	char *copy;

	if (!at(r, YAML_SCALAR_EVENT)) {
		if (!r->stop) {
			fault_at(r, line_of(r), "%s must be a text", what);
			skip(r);
		}
		return NULL;
	}
	text = (const char *)r->event.data.scalar.value;
	if (is_null(&r->event) || strlen(text) != r->event.data.scalar.length) {
		fault_at(r, line_of(r), is_null(&r->event) ? "%s has no value (\"\" is the empty text)" :
		                                             "%s has a NUL character", what);
		return NULL;
	}
	copy = strdup(text);
	if (copy == NULL) {
		r->error = -ENOMEM;
		r->stop = true;
	}
	return copy;
}

/* What a key stands for, its name in *known; NULL after a fault. */
static const struct key_spec *
find_key(struct fleet_reader *r, const struct key_spec *keys, unsigned *seen)
{
	const char *name = at(r, YAML_SCALAR_EVENT) ? (const char *)r->event.data.scalar.value : NULL;

	for (unsigned i = 0; name != NULL && keys[i].name != NULL; i++) {
		if (strcmp(keys[i].name, name) == 0) {
			if ((*seen & 1u << i) != 0) {
				fault_at(r, line_of(r), "the key %s is there twice", name);
				return NULL;
			}
			*seen |= 1u << i;
			return &keys[i];
		}
	}
	if (name != NULL) {
		fault_at(r, line_of(r), "the key %.100s is not known", name);
	} else if (!r->stop) {
		fault_at(r, line_of(r), "a key must be a text");
	}
	return NULL;
}

static void
read_map(struct fleet_reader *r, const struct key_spec *keys, const char *what, void *into)
{
	unsigned seen = 0;

	if (!at(r, YAML_MAPPING_START_EVENT)) {
		if (!r->stop) {
			fault_at(r, line_of(r), "%s must be a map of keys and values", what);
			skip(r);
		}
		return;
	}
	for (next(r); !r->stop && !at(r, YAML_MAPPING_END_EVENT); next(r)) {
		const struct key_spec *key = find_key(r, keys, &seen);

		skip(r);
		next(r);
		if (key != NULL && !r->stop) {
			key->read(r, into);
		} else {
			skip(r);
		}
	}
}

/* ---- a device ----------------------------------------------------------- */

static void
read_name(struct fleet_reader *r, void *into)
{
	struct fleet_device *device = into;

	device->name = read_text(r, "name");
	if (device->name != NULL && !topic_value_safe(span_str(device->name))) {
		fault_at(r, line_of(r), "the name %.100s cannot stand in a topic: no + # / $, no "
		                        "control characters, at most 512 bytes", device->name);
	}
}

static void
read_group(struct fleet_reader *r, void *into)
{
	struct fleet_device *device = into;

	device->group = read_text(r, "group");
	if (device->group != NULL && device->group[0] != '\0' &&
	    !topic_value_safe(span_str(device->group))) {
		fault_at(r, line_of(r), "the group %.100s cannot stand in a topic", device->group);
	}
}

static void
read_state(struct fleet_reader *r, void *into)
{
	struct fleet_device *device = into;
	char *text = read_text(r, "state");

	if (text != NULL) {
		device->state = reg_state_parse(text);
		if (device->state < 0) {
			fault_at(r, line_of(r), "the state %.100s is neither enrolled nor revoked",
			         text);
		}
	}
	free(text);
}

static void
read_fingerprint(struct fleet_reader *r, void *into)
{
	struct fleet_device *device = into;

	device->fingerprint = read_text(r, "fingerprint");
	if (device->fingerprint != NULL && device->fingerprint[0] != '\0' &&
	    (strlen(device->fingerprint) != 64 ||
	     strspn(device->fingerprint, "0123456789abcdef") != 64)) {
		fault_at(r, line_of(r), "the fingerprint must have 64 digits 0-9 a-f");
	}
}

static void
check_label(struct fleet_reader *r, const struct fleet_device *device,
            const struct device_label *label, size_t line)
{
	char *both = NULL;

	if (asprintf(&both, "%s=%s", label->name, label->value) < 0) {
		r->error = -ENOMEM;
		r->stop = true;
		return;
	}
	if (strchr(label->name, '=') != NULL || label->value[0] == '\0' || !label_valid(both)) {
		fault_at(r, line, "%.200s is no label: the name of letters, digits, _ and -, the "
		                  "value not empty and without + # / $", both);
	}
	for (size_t i = 0; i < device->labels; i++) {
		if (strcmp(device->label[i].name, label->name) == 0) {
			fault_at(r, line, "the label %.100s is there twice", label->name);
		}
	}
	free(both);
}

static void
add_label(struct fleet_reader *r, struct fleet_device *device, struct device_label label)
{
	struct device_label *list =
	        reallocarray(device->label, device->labels + 1, sizeof *list);

	if (list == NULL) {
		free(label.name);
		free(label.value);
		r->error = -ENOMEM;
		r->stop = true;
		return;
	}
	device->label = list;
	list[device->labels++] = label;
}

static void
read_label(struct fleet_reader *r, struct fleet_device *device)
{
	size_t line = line_of(r);
	struct device_label label = { .name = read_text(r, "the name of a label") };

	next(r);
	label.value = r->stop ? NULL : read_text(r, "the value of a label");
	if (label.name == NULL || label.value == NULL) {
		free(label.name);
		free(label.value);
		return;
	}
	check_label(r, device, &label, line);
	add_label(r, device, label);
}

static void
read_labels(struct fleet_reader *r, void *into)
{
	struct fleet_device *device = into;

	device->has_labels = true;
	if (!at(r, YAML_MAPPING_START_EVENT)) {
		fault_at(r, line_of(r), "labels must be a map of names and values ({}: none)");
		skip(r);
		return;
	}
	for (next(r); !r->stop && !at(r, YAML_MAPPING_END_EVENT); next(r)) {
		if (device->labels < FLEET_LABELS_MAX) {
			read_label(r, device);
			continue;
		}
		if (device->labels == FLEET_LABELS_MAX) {
			fault_at(r, line_of(r), "a device may have at most %d labels here",
			         FLEET_LABELS_MAX);
			device->labels++; /* said once; taken back below */
		}
		skip(r);
		next(r);
		skip(r);
	}
	if (device->labels > FLEET_LABELS_MAX) {
		device->labels = FLEET_LABELS_MAX;
	}
}

/* ---- the file ----------------------------------------------------------- */

static void
clear_device(struct fleet_device *device)
{
	for (size_t i = 0; i < device->labels; i++) {
		free(device->label[i].name);
		free(device->label[i].value);
	}
	free(device->label);
	free(device->name);
	free(device->group);
	free(device->fingerprint);
}

static void
add_device(struct fleet_reader *r, struct fleet_device *device)
{
	struct fleet *fleet = r->fleet;

	/* Room grows by powers of two. */
	if ((fleet->devices & (fleet->devices - 1)) == 0) {
		size_t size = fleet->devices == 0 ? 1 : 2 * fleet->devices;
		struct fleet_device *list = reallocarray(fleet->device, size, sizeof *list);

		if (list == NULL) {
			r->error = -ENOMEM;
			r->stop = true;
			clear_device(device);
			return;
		}
		fleet->device = list;
	}
	fleet->device[fleet->devices++] = *device;
}

static void
read_device(struct fleet_reader *r)
{
	static const struct key_spec keys[] = {
		{ "name", read_name },
		{ "group", read_group },
		{ "labels", read_labels },
		{ "state", read_state },
		{ "fingerprint", read_fingerprint },
		{ NULL, NULL },
	};
	struct fleet_device device = { .line = (unsigned)line_of(r), .state = -1 };
	bool is_map = at(r, YAML_MAPPING_START_EVENT);
	unsigned before = r->faults;

	read_map(r, keys, "a device", &device);
	if (is_map && device.name == NULL && r->faults == before && !r->stop) {
		fault_at(r, device.line, "this device has no name");
	}
	if (device.name == NULL) {
		clear_device(&device);
	} else {
		add_device(r, &device);
	}
}

static void
read_devices(struct fleet_reader *r, void *into)
{
	(void)into;
	r->devices = true;
	if (!at(r, YAML_SEQUENCE_START_EVENT)) {
		fault_at(r, line_of(r), "devices must be a list ([]: none)");
		skip(r);
		return;
	}
	for (next(r); !r->stop && !at(r, YAML_SEQUENCE_END_EVENT); next(r)) {
		read_device(r);
	}
}

static void
read_version(struct fleet_reader *r, void *into)
{
	char *text = read_text(r, "version");

	(void)into;
	r->version = true;
	if (text != NULL && strcmp(text, "1") != 0) {
		fault_at(r, line_of(r), "version %.20s of fleet files is not known, only 1", text);
	}
	free(text);
}

static void
read_document(struct fleet_reader *r)
{
	static const struct key_spec keys[] = {
		{ "version", read_version },
		{ "devices", read_devices },
		{ NULL, NULL },
	};

	next(r); /* stream */
	next(r);
	if (!at(r, YAML_DOCUMENT_START_EVENT)) {
		if (!r->stop) {
			fault_at(r, 1, "the file is empty");
		}
		r->stop = true;
		return;
	}
	next(r);
	read_map(r, keys, "the file", NULL);
	next(r); /* end of the document */
	next(r);
	if (!r->stop && !at(r, YAML_STREAM_END_EVENT)) {
		fault_at(r, line_of(r), "there is a second document");
	}
	if (!r->stop && r->faults == 0 && (!r->version || !r->devices)) {
		fault_at(r, 1, "the key %s is missing", r->version ? "devices" : "version");
	}
}

static int
by_name(const void *a, const void *b)
{
	const struct fleet_device *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static void
find_twins(struct fleet_reader *r)
{
	struct fleet *fleet = r->fleet;

	if (fleet->devices > 0) {
		qsort(fleet->device, fleet->devices, sizeof *fleet->device, by_name);
	}
	for (size_t i = 1; i < fleet->devices; i++) {
		const struct fleet_device *one = &fleet->device[i];

		if (strcmp(one->name, one[-1].name) == 0) {
			fault_at(r, one->line, "the device %.100s is on line %u already", one->name,
			         one[-1].line);
		}
	}
}

int
fleet_read(struct span text, void (*fault)(void *owner, unsigned line, const char *sentence),
           void *owner, struct fleet *out)
{
	struct fleet_reader r = { .fault = fault, .owner = owner, .fleet = out };

	*out = (struct fleet){ .devices = 0 };
	if (!yaml_parser_initialize(&r.parser)) {
		return -ENOMEM;
	}
	yaml_parser_set_input_string(&r.parser, text.ptr, text.len);
	read_document(&r);
	yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	if (r.error == 0) {
		find_twins(&r);
	}
	if (r.error != 0 || r.faults > 0) {
		fleet_clear(out);
	}
	return r.error != 0 ? r.error : r.faults > 0 ? ERR_MALFORMED : 0;
}

void
fleet_clear(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->devices; i++) {
		clear_device(&fleet->device[i]);
	}
	free(fleet->device);
	*fleet = (struct fleet){ .devices = 0 };
}
