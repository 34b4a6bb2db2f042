/* SPDX-License-Identifier: BSD-2-Clause */
/* From the radio's start to a TCP connection with the gateway. */
#include "app/link_int.h"

#include "app/app.h"
#include "app/log.h"

enum link_state
link_radio(void)
{
	enum winc_status status;
	struct winc_version version;
	struct report_facts *facts = status_facts();

	net.radio_on = false;
	net.restart_radio = false;
	status = winc_start(net.ladder);
	if (status != WINC_OK) {
		return link_failed(REPORT_RADIO, winc_status_text(status), true);
	}
	net.radio_on = true;
	winc_version(&version);
	facts->wifi_firmware[0] = version.major;
	facts->wifi_firmware[1] = version.minor;
	facts->wifi_firmware[2] = version.patch;
	facts->has_wifi = true;
	log_line("WiFi module started, its firmware is %u.%u.%u", version.major, version.minor,
	         version.patch);
	return STATE_JOIN;
}

enum link_state
link_join_start(void)
{
	enum winc_status status = winc_link();

	if (status == WINC_OK) {
		return STATE_JOIN; /* it lives on */
	}
	log_line("joining \"%s\"", net.settings->ssid);
	status = winc_join(net.settings->ssid, net.settings->passphrase);
	return status == WINC_OK || status == WINC_AGAIN ? STATE_JOIN : link_failed_winc(status);
}

enum link_state
link_join(void)
{
	enum winc_status status = winc_link();
	uint8_t ip[4];

	if (status == WINC_AGAIN) {
		return STATE_JOIN;
	}
	if (status != WINC_OK) {
		return link_failed_winc(status);
	}
	winc_address(ip);
	log_line("address %u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
	return STATE_TIME;
}

/* Only at the first connection, and only when the settings want it or know no date. */
enum link_state
link_time(void)
{
	bool wanted = net.settings->wait_for_time || net.settings->clock == 0;

	wall_network(&net.wall, winc_time());
	if (!wanted || net.wall.from_network) {
		return STATE_RESOLVE;
	}
	if (deadline_over(&net.limit)) {
		log_line("no network time");
		return STATE_RESOLVE;
	}
	return STATE_TIME;
}

enum link_state
link_resolve(void)
{
	enum winc_status status = winc_resolve(net.settings->host, net.address);

	if (status == WINC_AGAIN) {
		return STATE_RESOLVE;
	}
	return status == WINC_OK ? STATE_CONNECT : link_failed_winc(status);
}

enum link_state
link_connect_start(void)
{
	enum winc_status status;

	log_line("connecting to %u.%u.%u.%u port %u", net.address[0], net.address[1],
	         net.address[2], net.address[3], net.settings->port);
	status = winc_connect(net.address, net.settings->port, &net.socket);
	if (status != WINC_OK && status != WINC_AGAIN) {
		net.socket = SOCKET_NONE;
		return link_failed_winc(status);
	}
	return STATE_CONNECT;
}

enum link_state
link_connecting(void)
{
	enum winc_status status = winc_socket(net.socket);

	if (status == WINC_AGAIN) {
		return STATE_CONNECT;
	}
	return status == WINC_OK ? STATE_HANDSHAKE : link_failed_winc(status);
}
