/* SPDX-License-Identifier: BSD-2-Clause */
/* What systemd wants to hear (sd_notify(3)); nothing happens without it. */
#ifndef GATEWAY_GATEWAYD_NOTIFY_H
#define GATEWAY_GATEWAYD_NOTIFY_H

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_watchdog(void);
/* What is under way may take so long: TimeoutStartSec and TimeoutStopSec wait. */
void notify_patience(unsigned seconds);

#endif
