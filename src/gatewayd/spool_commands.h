/* SPDX-License-Identifier: BSD-2-Clause */
/* The spool on the control socket and in the metrics. */
#ifndef GATEWAY_GATEWAYD_SPOOL_COMMANDS_H
#define GATEWAY_GATEWAYD_SPOOL_COMMANDS_H

#include <stdio.h>

#include "ctl/server.h"
#include "spool/spool.h"

/* What the spool has done and holds, without its devices. */
struct doc *spool_totals_doc(struct spool *spool);
/* `spool`: the totals and the devices, or the one that is named. Control thread. */
void spool_show(struct spool *spool, struct ctl_request *request, const struct doc *args);
/*
 * `spool-purge`. False: refused at once. True: over(owner, ...) runs once
 * later on `back`, before the answer; identity NULL: all. Control thread,
 * which `back` is the loop of.
 */
bool spool_purge_start(struct spool *spool, struct loop *back, struct ctl_request *request,
                       const struct doc *args,
                       void (*over)(void *owner, struct ctl_request *request,
                                    const char *identity, int64_t count),
                       void *owner);
/* Prometheus text. Any thread. */
void spool_metrics(struct spool *spool, FILE *text);

#endif
