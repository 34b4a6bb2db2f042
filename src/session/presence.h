/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many connections each device has in all workers together, so that its
 * first and its last one can be told. One for the process, any thread.
 */
#ifndef GATEWAY_SESSION_PRESENCE_H
#define GATEWAY_SESSION_PRESENCE_H

#include <stdbool.h>

#include "base/err.h"

struct presence_count;

/*
 * changed() runs on the thread of the session, in the order of the changes of
 * one device, with a lock held: it must be quick and not call back.
 */
int presence_count_new(void (*changed)(void *owner, const char *identity, bool online),
                       void *owner, struct presence_count **out) MUST_CHECK;
void presence_count_free(struct presence_count *presence);
/* The device has one connection more. -ENOMEM: not counted, so do not leave. */
int presence_count_enter(struct presence_count *presence, const char *identity) MUST_CHECK;
/*
 * The same for a connection that is only on its way, if the device is here
 * already: in a takeover the broker ends the older one first, and nobody is
 * to see the device gone in between. False: it is not here, nothing counted.
 */
bool presence_count_join(struct presence_count *presence, const char *identity);
void presence_count_leave(struct presence_count *presence, const char *identity);

#endif
