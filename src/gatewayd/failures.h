/* SPDX-License-Identifier: BSD-2-Clause */
/* The diagnosis on the control socket. Control thread only. */
#ifndef GATEWAY_GATEWAYD_FAILURES_H
#define GATEWAY_GATEWAYD_FAILURES_H

#include "ctl/server.h"

struct daemon;

/* Commands. */
void failures_command(void *owner, struct ctl_request *request, const struct doc *args);
void diagnose_command(void *owner, struct ctl_request *request, const struct doc *args);
void watch_command(void *owner, struct ctl_request *request, const struct doc *args);
/* Tell those who watch what is new. */
void failures_tick(struct daemon *d);
/* For `status`: how many, by kind and by cause. */
struct doc *failures_counts(const struct daemon *d);

#endif
