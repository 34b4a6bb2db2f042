/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Topic aliases (3.3.2.3.4) of one direction. They pass unchanged; the table
 * exists because a definition that was not forwarded must not leave the other
 * side with an older topic under that number.
 */
#include "relay/relay_int.h"

#include <errno.h>
#include <stdlib.h>

struct alias *
alias_get(const struct aliases *a, uint16_t number)
{
	return a->at == NULL || number == 0 || number > a->max ? NULL : a->at[number - 1];
}

int
alias_set(struct aliases *a, uint16_t number, struct terms terms, struct span topic)
{
	struct alias *made;

	if (a->at == NULL) {
		a->at = calloc(a->max, sizeof(struct alias *));
		if (a->at == NULL) {
			return -ENOMEM;
		}
	}
	made = malloc(sizeof *made + topic.len);
	if (made == NULL) {
		return -ENOMEM;
	}
	made->terms = terms;
	made->len = (uint16_t)topic.len;
	if (topic.len > 0) {
		memcpy(made->topic, topic.ptr, topic.len);
	}
	free(a->at[number - 1]);
	a->at[number - 1] = made;
	return 0;
}

void
alias_clear(struct aliases *a)
{
	for (unsigned i = 0; a->at != NULL && i < a->max; i++) {
		free(a->at[i]);
	}
	free(a->at);
	a->at = NULL;
}
