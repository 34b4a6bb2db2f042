/* SPDX-License-Identifier: BSD-2-Clause */
/* The WINC1500 as a whole: start, stop, the poll that serves all layers, failure. */
#include "drivers/winc_int.h"

#include "hal/spi.h"

static enum winc_status health = WINC_CHIP; /* not started yet */

enum winc_status
winc_fail(enum winc_status why)
{
	if (health == WINC_OK) {
		health = why;
	}
	return health;
}

enum winc_status
winc_health(void)
{
	return health;
}

enum winc_status
winc_start(unsigned ladder)
{
	bool lives_on;
	enum winc_status status;

	/* Whatever was under way died with the old start (Q13). */
	winc_socket_reset(WINC_RESET);
	spi_init();
	status = winc_chip_start(ladder, &lives_on);
	winc_wifi_reset(lives_on);
	if (status == WINC_OK) {
		status = winc_hif_reset(lives_on);
	}
	health = status;
	return status;
}

void
winc_stop(void)
{
	winc_socket_reset(WINC_RESET);
	winc_wifi_reset(false);
	winc_chip_stop();
	health = WINC_CHIP;
}

enum winc_status
winc_poll(void)
{
	enum winc_status status = winc_hif_poll();

	if (status == WINC_OK) {
		status = winc_wifi_poll();
	}
	if (status == WINC_OK) {
		status = winc_socket_poll();
	}
	return status;
}

const char *
winc_status_text(enum winc_status status)
{
	static const char *const texts[] = {
		[WINC_OK] = "ok",
		[WINC_AGAIN] = "not yet",
		[WINC_BUS] = "the WiFi module does not follow the SPI protocol",
		[WINC_CHIP] = "the WiFi module is unknown, was reset, or did not boot",
		[WINC_FIRMWARE] = "the WiFi module's firmware is silent or too old",
		[WINC_NO_AP] = "no access point with that name",
		[WINC_AUTH] = "the access point refused the passphrase",
		[WINC_JOIN] = "the access point could not be joined",
		[WINC_DHCP] = "no address by DHCP",
		[WINC_LINK_LOST] = "the WiFi connection was lost",
		[WINC_DNS] = "the name could not be resolved",
		[WINC_REFUSED] = "the peer refused the connection or is unreachable",
		[WINC_CLOSED] = "the peer closed the connection",
		[WINC_RESET] = "the connection was reset",
		[WINC_TIMEOUT] = "no answer in time",
		[WINC_PARAMETER] = "wrong parameter",
	};

	return (unsigned)status < sizeof texts / sizeof texts[0] ? texts[status] : "unknown";
}
