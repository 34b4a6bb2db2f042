/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a change of the register has reached the running gateway: the
 * daemon is asked, not trusted to have noticed.
 */
#ifndef GATEWAYCTL_EFFECT_H
#define GATEWAYCTL_EFFECT_H

#include "cli.h"

/* Sessions that the device has now; -1: the daemon cannot be asked. */
int64_t effect_sessions(struct cli *cli, const char *identity);
/*
 * Ask for at most 2 s until the gateway admits the device, or refuses it and
 * has no session of it. Adds to the result: `gateway` (a sentence), and
 * `proved`. sessions: as it was before. CLI_DONE also when gatewayd is down;
 * CLI_FAILED after a note when it does not follow.
 */
int effect_prove(struct cli *cli, const char *identity, bool admitted, int64_t sessions,
                 struct doc *result) MUST_CHECK;

#endif
