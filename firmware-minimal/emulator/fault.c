/* SPDX-License-Identifier: BSD-2-Clause */
/* Faults by name: NAME[=VALUE][:COUNT][@FROM_MS], see model.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/model.h"

struct active {
	const char *name; /* of the model's table */
	long value, count; /* count -1: for ever */
	uint64_t from_ns;
	struct active *next;
};

struct fault_set {
	struct world *world;
	struct active *first;
};

struct fault_set *
fault_set_new(struct world *world)
{
	struct fault_set *set = calloc(1, sizeof *set);

	if (set != NULL) {
		set->world = world;
	}
	return set;
}

void
fault_set_free(struct fault_set *set)
{
	while (set != NULL && set->first != NULL) {
		struct active *a = set->first;

		set->first = a->next;
		free(a);
	}
	free(set);
}

static const char *
known_name(const char *word, size_t size, const struct fault *const *known)
{
	for (; *known != NULL; known++) {
		for (const struct fault *f = *known; f->name != NULL; f++) {
			if (strlen(f->name) == size && memcmp(f->name, word, size) == 0) {
				return f->name;
			}
		}
	}
	return NULL;
}

/* A number behind that sign; true when the sign is not there or the number is good. */
static bool
number_after(const char **at, char sign, long *out)
{
	char *end;

	if (**at != sign) {
		return true;
	}
	errno = 0;
	*out = strtol(*at + 1, &end, 10);
	if (end == *at + 1 || errno != 0) {
		return false;
	}
	*at = end;
	return true;
}

int
fault_set_add(struct fault_set *set, const char *word, const struct fault *const *known,
              char *why, size_t size)
{
	size_t length = strcspn(word, "=:@");
	const char *at = word + length;
	const char *name = known_name(word, length, known);
	long value = 1;
	long count = -1;
	long from = 0;
	struct active *a;

	if (name == NULL) {
		snprintf(why, size, "there is no fault \"%.*s\"; --fault help lists them",
		         (int)length, word);
		return -EINVAL;
	}
	if (!number_after(&at, '=', &value) || !number_after(&at, ':', &count) ||
	    !number_after(&at, '@', &from) || *at != '\0' || count < -1 || from < 0) {
		snprintf(why, size, "\"%s\" is not NAME[=VALUE][:COUNT][@FROM_MS]", word);
		return -EINVAL;
	}
	a = calloc(1, sizeof *a);
	if (a == NULL) {
		snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	*a = (struct active){ name, value, count, (uint64_t)from * 1000000, set->first };
	set->first = a;
	return 0;
}

static struct active *
find(struct fault_set *set, const char *name)
{
	if (set == NULL) {
		return NULL;
	}
	for (struct active *a = set->first; a != NULL; a = a->next) {
		/* Most of a long list are over, or to come: they cost no comparison of names. */
		if (a->count != 0 && set->world->now_ns >= a->from_ns &&
		    strcmp(a->name, name) == 0) {
			return a;
		}
	}
	return NULL;
}

bool
fault_hits(struct fault_set *set, const char *name)
{
	struct active *a = find(set, name);

	if (a == NULL) {
		return false;
	}
	if (a->count > 0) {
		a->count--;
	}
	return true;
}

long
fault_value(struct fault_set *set, const char *name, long fallback)
{
	struct active *a = find(set, name);

	if (a == NULL) {
		return fallback;
	}
	if (a->count > 0) {
		a->count--;
	}
	return a->value;
}
