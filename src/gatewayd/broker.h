/* SPDX-License-Identifier: BSD-2-Clause */
/* The gateway's own session with the broker, as the daemon makes and shows it. */
#ifndef GATEWAY_GATEWAYD_BROKER_H
#define GATEWAY_GATEWAYD_BROKER_H

#include <stdatomic.h>
#include <stdio.h>

#include "ctl/doc.h"
#include "uplink/uplink.h"

struct daemon;

/* For the thread that serves metrics. */
struct broker_facts {
	_Atomic bool connected;
	_Atomic int64_t drained;
	_Atomic int64_t dropped;     /* by the broker; -1 unknown */
	_Atomic unsigned round_trip; /* microseconds; 0 unknown */
};

/* Makes daemon->uplink and shared.presence; not yet started. */
int broker_session_make(struct daemon *d) MUST_CHECK;
/* daemon->conf is another one now. */
void broker_session_reload(struct daemon *d);
void broker_session_tick(struct daemon *d);
/* Any thread. */
void broker_session_metrics(const struct daemon *d, FILE *text);
/* `broker` of the status. */
struct doc *broker_doc(const struct daemon *d);

#endif
