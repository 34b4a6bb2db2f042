/* SPDX-License-Identifier: BSD-2-Clause */
/* What a fleet file would change. */
#include "fleet.h"

#include <errno.h>
#include <stdlib.h>

static void
clear_change(struct fleet_change *change)
{
	free(change->device);
	free(change->label);
	free(change->before);
	free(change->after);
}

int
fleet_add_change(struct fleet_changes *changes, enum fleet_what what, const char *device,
                 const char *label, const char *before, const char *after)
{
	struct fleet_change one = { .what = what, .device = strdup(device),
		.label = strdup(label), .before = strdup(before), .after = strdup(after) };

	if (changes->count == changes->size) {
		size_t size = changes->size > 0 ? 2 * changes->size : 64;
		struct fleet_change *list = reallocarray(changes->list, size, sizeof *list);

		if (list == NULL) {
			clear_change(&one);
			return -ENOMEM;
		}
		changes->list = list;
		changes->size = size;
	}
	if (one.device == NULL || one.label == NULL || one.before == NULL || one.after == NULL) {
		clear_change(&one);
		return -ENOMEM;
	}
	changes->list[changes->count++] = one;
	return 0;
}

void
fleet_changes_clear(struct fleet_changes *changes)
{
	for (size_t i = 0; i < changes->count; i++) {
		clear_change(&changes->list[i]);
	}
	free(changes->list);
	*changes = (struct fleet_changes){ .count = 0 };
}

static const char *
find_label(const struct device_label *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i].name, name) == 0) {
			return list[i].value;
		}
	}
	return "";
}

static int
diff_labels(const struct fleet_device *want, const struct device *have,
            struct fleet_changes *out)
{
	int r = 0;

	for (size_t i = 0; i < have->labels && r == 0; i++) {
		const struct device_label *old = &have->label[i];

		if (find_label(want->label, want->labels, old->name)[0] == '\0') {
			r = fleet_add_change(out, FLEET_LABEL, want->name, old->name, old->value, "");
		}
	}
	for (size_t i = 0; i < want->labels && r == 0; i++) {
		const struct device_label *new = &want->label[i];
		const char *old = find_label(have->label, have->labels, new->name);

		if (strcmp(old, new->value) != 0) {
			r = fleet_add_change(out, FLEET_LABEL, want->name, new->name, old, new->value);
		}
	}
	return r;
}

int
fleet_diff(const struct fleet_device *want, const struct device *have, struct fleet_changes *out)
{
	int r = 0;

	if (want->group != NULL && strcmp(want->group, have->row.group) != 0) {
		r = fleet_add_change(out, FLEET_GROUP, want->name, "", have->row.group, want->group);
	}
	if (r == 0 && want->state >= 0 && want->state != (int)have->row.state) {
		r = fleet_add_change(out, FLEET_STATE, want->name, "",
		                     reg_state_text(have->row.state),
		                     reg_state_text((enum reg_state)want->state));
	}
	return r == 0 && want->has_labels ? diff_labels(want, have, out) : r;
}
