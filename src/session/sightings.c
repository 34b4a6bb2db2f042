/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/sightings.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

#define LIST_FIRST 64
#define LIST_MOST 4096 /* about 3.5 MB for the second until they are written */

struct sightings {
	pthread_mutex_t mutex;
	struct reg_sighting *list;
	size_t count, room;
	size_t lost;
};

int
sightings_new(struct sightings **out)
{
	struct sightings *s = calloc(1, sizeof *s);

	if (s == NULL) {
		return -ENOMEM;
	}
	pthread_mutex_init(&s->mutex, NULL);
	*out = s;
	return 0;
}

void
sightings_free(struct sightings *s)
{
	if (s != NULL) {
		pthread_mutex_destroy(&s->mutex);
		free(s->list);
		free(s);
	}
}

/* Room for one more, or NULL. */
static struct reg_sighting *
next(struct sightings *s)
{
	size_t room = s->room > 0 ? s->room * 2 : LIST_FIRST;
	struct reg_sighting *list;

	if (s->count < s->room) {
		return &s->list[s->count++];
	}
	if (s->room >= LIST_MOST) {
		return NULL;
	}
	list = realloc(s->list, room * sizeof *list);
	if (list == NULL) {
		return NULL;
	}
	s->list = list;
	s->room = room;
	return &s->list[s->count++];
}

void
sightings_note(struct sightings *s, const char *name, const char *address, const char *failure)
{
	struct reg_sighting *one;

	pthread_mutex_lock(&s->mutex);
	one = next(s);
	if (one == NULL) {
		s->lost++;
	} else {
		snprintf(one->name, sizeof one->name, "%s", name);
		snprintf(one->address, sizeof one->address, "%s", address);
		snprintf(one->failure, sizeof one->failure, "%s", failure != NULL ? failure : "");
		one->at = clock_wall();
	}
	pthread_mutex_unlock(&s->mutex);
}

int
sightings_write(struct sightings *s, struct reg *reg)
{
	struct reg_sighting *list;
	size_t count, lost;
	int rc = 0;

	pthread_mutex_lock(&s->mutex);
	list = s->list;
	count = s->count;
	lost = s->lost;
	s->list = NULL;
	s->count = s->room = s->lost = 0;
	pthread_mutex_unlock(&s->mutex);

	if (lost > 0) {
		log_warning(LOG_REGISTER, "sightings of devices were dropped",
		            log_int("count", (int64_t)lost));
	}
	if (count > 0) {
		rc = reg_note_sightings(reg, list, count);
	}
	free(list);
	return rc;
}
