/* SPDX-License-Identifier: BSD-2-Clause */
/* `watch` of one device's messages. */
#ifndef GATEWAY_GATEWAYD_WATCH_H
#define GATEWAY_GATEWAYD_WATCH_H

#include "ctl/server.h"

struct daemon;

void watch_device(struct daemon *d, struct ctl_request *request, const struct doc *args);

#endif
