/* SPDX-License-Identifier: BSD-2-Clause */
#include "relay/relay_int.h"

#include <errno.h>
#include <stdlib.h>

/* Where the identifier is, or belongs. */
static uint32_t
place(const struct idset *set, uint16_t id)
{
	uint32_t low = 0, high = set->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (set->id[middle] < id) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

bool
idset_has(const struct idset *set, uint16_t id)
{
	uint32_t at = place(set, id);

	return at < set->count && set->id[at] == id;
}

int
idset_add(struct idset *set, uint16_t id)
{
	uint32_t at = place(set, id);

	if (at < set->count && set->id[at] == id) {
		return 0;
	}
	if (set->count == set->size) {
		uint32_t size = set->size > 0 ? set->size * 2 : 8;
		uint16_t *grown = realloc(set->id, size * sizeof *grown);

		if (grown == NULL) {
			return -ENOMEM;
		}
		set->id = grown;
		set->size = size;
	}
	memmove(&set->id[at + 1], &set->id[at], (set->count - at) * sizeof set->id[0]);
	set->id[at] = id;
	set->count++;
	return 0;
}

bool
idset_remove(struct idset *set, uint16_t id)
{
	uint32_t at = place(set, id);

	if (at == set->count || set->id[at] != id) {
		return false;
	}
	set->count--;
	memmove(&set->id[at], &set->id[at + 1], (set->count - at) * sizeof set->id[0]);
	if (set->count == 0) {
		idset_clear(set);
	}
	return true;
}

void
idset_clear(struct idset *set)
{
	free(set->id);
	*set = (struct idset){ 0 };
}
