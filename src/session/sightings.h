/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What workers saw of devices (admitted, refused), on its way to the
 * register: collected without waiting for the disk, written in one
 * transaction by the control thread. Bounded: when it is full the oldest
 * news of other devices is kept and the new one is counted as lost.
 */
#ifndef GATEWAY_SESSION_SIGHTINGS_H
#define GATEWAY_SESSION_SIGHTINGS_H

#include "register/reg.h"

struct sightings;

int sightings_new(struct sightings **out) MUST_CHECK;
void sightings_free(struct sightings *sightings);
/* Any thread. failure: a sentence, or NULL when the device was admitted. */
void sightings_note(struct sightings *sightings, const char *name, const char *address,
                    const char *failure);
/* Control thread: write what came together. 0 or reg_note_sightings()'s. */
int sightings_write(struct sightings *sightings, struct reg *reg) MUST_CHECK;

#endif
