/* SPDX-License-Identifier: BSD-2-Clause */
/* Lengths of time as people write them: "90s", "30min", "12h", "30d", "2w", "1y". */
#ifndef GATEWAYCTL_DURATION_H
#define GATEWAYCTL_DURATION_H

#include <stdint.h>

#include "base/err.h"

#define DURATION_MAX (1000LL * 365 * 86400) /* a thousand years */

/* In seconds. ERR_MALFORMED: no unit, no number, or over DURATION_MAX. */
int duration_parse(const char *text, int64_t *out) MUST_CHECK;

#endif
