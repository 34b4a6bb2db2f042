/* SPDX-License-Identifier: BSD-2-Clause */
#include "gatewayd/notify.h"

#ifdef HAVE_LIBSYSTEMD
#include <time.h>

#include <systemd/sd-daemon.h>

void
notify_ready(void)
{
	sd_notify(0, "READY=1");
}

void
notify_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
	           (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void
notify_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

void
notify_watchdog(void)
{
	sd_notify(0, "WATCHDOG=1");
}

void
notify_patience(unsigned seconds)
{
	sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%u000000", seconds);
}
#else
void
notify_ready(void)
{
}

void
notify_reloading(void)
{
}

void
notify_stopping(void)
{
}

void
notify_watchdog(void)
{
}

void
notify_patience(unsigned seconds)
{
	(void)seconds;
}
#endif
