/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway's own faults, found before a device fails: a table of small
 * checks over configuration, certificates, host, daemon and broker. Nothing
 * is changed, and no command is run.
 */
#ifndef GATEWAYCTL_DOCTOR_H
#define GATEWAYCTL_DOCTOR_H

#include "cli.h"

/*
 * Run the checks whose identifier is `only` or begins with "only." (NULL: all). *out:
 *
 *	status: fault        the worst of all
 *	counts: { ok, warning, fault, skipped }
 *	checks: [ { id, title, status, sentence, remedy } ]
 *
 * remedy only where there is one. root: a folder in front of /etc, /run and
 * /usr, "" except in tests. 0, ERR_NOT_FOUND (no such check), -ENOMEM.
 */
int doctor_examine(struct cli *cli, const char *only, const char *root,
		   struct doc **out) MUST_CHECK;

#endif
