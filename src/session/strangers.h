/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Visits of strangers on their way to the register: collected without waiting
 * for the disk, written by the control thread. Whoever reaches the port can
 * send any number of certificates, so all of it is bounded: how many are held
 * until they are written, and how many new ones one address may bring.
 */
#ifndef GATEWAY_SESSION_STRANGERS_H
#define GATEWAY_SESSION_STRANGERS_H

#include "register/reg.h"
#include "session/budget.h"

/* Held until the next write: so many rows are written at once. */
#define STRANGERS_HELD 64
/* From one address (IPv6: one /64) in a minute. */
#define STRANGERS_PER_ADDRESS 10

struct strangers;

int strangers_new(struct strangers **out) MUST_CHECK;
void strangers_free(struct strangers *strangers);
/* Any thread. False: left out, and counted. */
bool strangers_note(struct strangers *strangers, const struct budget_key *from,
                    const struct reg_stranger *visit);
/* Control thread: write what came together. 0 or reg_note_strangers()'s. */
int strangers_write(struct strangers *strangers, struct reg *reg) MUST_CHECK;

#endif
