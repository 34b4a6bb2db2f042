/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Station: join, address, signal, time (section 5). The chip never joins
 * again by itself and may fall silent; every state has a deadline.
 */
#include "drivers/winc_int.h"

#include <string.h>

enum {
	OP_RSSI = 3,
	OP_RSSI_REPLY = 4,
	OP_TIME = 26,
	OP_TIME_REPLY = 27,
	OP_JOIN = 40, /* the old form: every firmware knows it (5.2) */
	OP_LEAVE = 43,
	OP_LINK = 44,
	OP_ADDRESS = 50,
	OP_CONFLICT = 52,
	OP_DHCP_FAILED = 61,

	SECURITY_OPEN = 1,
	SECURITY_PSK = 2,
	CHANNEL_ANY = 255, /* the base of the numbers differs by version (Q18) */
	JOIN_SIZE = 108,
	SSID_MAX = 32,
	PASSPHRASE_MIN = 8,
	PASSPHRASE_MAX = 63,
	KEY_DIGITS = 64,

	JOIN_MS = 30000,
	DHCP_MS = 30000,
	LEAVE_MS = 1000,     /* for the event that answers a disconnect */
	RSSI_EVERY_MS = 30000,
	RSSI_REPLY_MS = 2000,
	RSSI_MISSES = 3,
	RSSI_ZEROS = 3,
	TIME_FAST_MS = 2000, /* until it is known, for a minute */
	TIME_FAST_TRIES = 30,
	TIME_SLOW_MS = 60000,
	TIME_AGAIN_MS = 3600000,
	YEAR_MIN = 2024,     /* before this firmware was written: not a time */
	YEAR_MAX = 2099,
	BACK_OFF_MS = 10,
};

enum link {
	LINK_IDLE,
	LINK_JOINING,
	LINK_ADDRESSING,
	LINK_UP,
	LINK_DOWN,
};

static struct {
	enum link link;
	enum winc_status why; /* LINK_DOWN */
	struct deadline limit;
	bool associated; /* as far as we know, the chip is, or tries */
	bool leave_due;
	uint8_t ip[4];

	int8_t rssi;
	bool rssi_asked;
	uint8_t rssi_misses, rssi_zeros;
	uint32_t rssi_ms; /* when asked or answered last */

	uint32_t time, time_ms; /* Unix time at that millisecond; 0 unknown */
	uint32_t time_asked_ms;
	uint8_t time_tries;

	uint32_t refused_ms; /* no buffer then */
	bool refused;
} wifi;

void
winc_wifi_reset(bool lives_on)
{
	memset(&wifi, 0, sizeof wifi);
	wifi.associated = lives_on;
}

static bool
is_hex(const char *s)
{
	for (; *s != '\0'; s++) {
		if (!((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'f') ||
		      (*s >= 'A' && *s <= 'F'))) {
			return false;
		}
	}
	return true;
}

static size_t
bounded_length(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n] != '\0') {
		n++;
	}
	return n;
}

/* The driver's own word for what the link is now; sockets die with it. */
static void
link_down(enum winc_status why, bool leave)
{
	bool was_up = wifi.link == LINK_UP;

	wifi.link = LINK_DOWN;
	wifi.why = why;
	wifi.leave_due = leave;
	memset(wifi.ip, 0, sizeof wifi.ip);
	if (was_up) {
		winc_socket_link_lost();
	}
}

/* Leave what there is, so that the event of it is not taken for one of the next join. */
static enum winc_status
leave_first(void)
{
	struct deadline limit = deadline_in(LEAVE_MS);
	enum winc_status status = winc_hif_send_wait(GROUP_WIFI, OP_LEAVE, NULL, 0);

	wifi.leave_due = false;
	while (status == WINC_OK && wifi.associated && !deadline_over(&limit)) {
		time_wait_ms(1);
		status = winc_hif_poll();
	}
	return status;
}

static void
fill_join(uint8_t out[JOIN_SIZE], const char *ssid, size_t ssid_size, const char *passphrase,
          size_t passphrase_size)
{
	memset(out, 0, JOIN_SIZE);
	memcpy(out, passphrase, passphrase_size);
	out[65] = passphrase_size > 0 ? SECURITY_PSK : SECURITY_OPEN;
	put_le16(out + 68, CHANNEL_ANY);
	memcpy(out + 70, ssid, ssid_size);
	out[103] = 1; /* do not keep the passphrase in the chip's flash */
}

enum winc_status
winc_join(const char *ssid, const char *passphrase)
{
	size_t ssid_size = bounded_length(ssid, SSID_MAX + 1);
	size_t size = bounded_length(passphrase, KEY_DIGITS + 1);
	uint8_t request[JOIN_SIZE];
	volatile uint8_t *wipe = request;
	enum winc_status status = winc_health();

	if (ssid_size == 0 || ssid_size > SSID_MAX || size > KEY_DIGITS ||
	    (size > 0 && size < PASSPHRASE_MIN) || (size > PASSPHRASE_MAX && !is_hex(passphrase))) {
		return WINC_PARAMETER;
	}
	if (wifi.link == LINK_UP) {
		link_down(WINC_LINK_LOST, true);
	}
	if (status == WINC_OK && (wifi.associated || wifi.leave_due)) {
		status = leave_first();
	}
	if (status != WINC_OK) {
		return status;
	}
	fill_join(request, ssid, ssid_size, passphrase, size);
	status = winc_hif_send_wait(GROUP_WIFI, OP_JOIN, request, sizeof request);
	for (size_t i = 0; i < sizeof request; i++) {
		wipe[i] = 0;
	}
	if (status == WINC_OK) {
		wifi.link = LINK_JOINING;
		wifi.associated = true;
		wifi.limit = deadline_in(JOIN_MS);
	}
	return status;
}

void
winc_leave(void)
{
	if (wifi.link != LINK_IDLE) {
		link_down(WINC_LINK_LOST, true);
	}
}

enum winc_status
winc_link(void)
{
	if (winc_health() != WINC_OK) {
		return winc_health();
	}
	switch (wifi.link) {
	case LINK_UP:
		return WINC_OK;
	case LINK_DOWN:
		return wifi.why;
	case LINK_IDLE:
		return WINC_LINK_LOST;
	default:
		return WINC_AGAIN;
	}
}

bool
winc_wifi_up(void)
{
	return wifi.link == LINK_UP;
}

void
winc_address(uint8_t ip[4])
{
	memcpy(ip, wifi.ip, 4);
}

int8_t
winc_rssi(void)
{
	return wifi.rssi;
}

static void
on_link(const struct hif_packet *p)
{
	static const uint8_t causes[] = { WINC_JOIN, WINC_NO_AP, WINC_JOIN, WINC_AUTH };
	uint8_t reason = p->control[1];

	if (p->size < 2 || p->control[0] > 1) {
		return; /* roamed or undefined: nothing to do */
	}
	if (p->control[0] == 1) {
		if (wifi.link == LINK_JOINING) {
			wifi.link = LINK_ADDRESSING;
			wifi.limit = deadline_in(DHCP_MS);
		}
		return;
	}
	/* "In progress" means that the chip still tries something: stop it. */
	wifi.associated = reason == 5;
	if (wifi.link == LINK_JOINING) {
		link_down(reason < sizeof causes ? causes[reason] : WINC_JOIN, reason == 5);
	} else if (wifi.link == LINK_ADDRESSING || wifi.link == LINK_UP) {
		link_down(WINC_LINK_LOST, false);
	}
}

static void
on_address(const struct hif_packet *p)
{
	static const uint8_t none[4];

	/* The layouts differ by version behind the gateway (5.5); the address is first in all. */
	if (p->size < 16 || memcmp(p->control, none, 4) == 0) {
		return;
	}
	if (wifi.link == LINK_UP && memcmp(wifi.ip, p->control, 4) != 0) {
		winc_socket_link_lost();
	}
	if (wifi.link == LINK_JOINING || wifi.link == LINK_ADDRESSING || wifi.link == LINK_UP) {
		if (wifi.link != LINK_UP) {
			wifi.rssi_ms = time_ms();
			wifi.rssi_asked = false;
			wifi.rssi_misses = 0;
			wifi.rssi_zeros = 0;
		}
		wifi.link = LINK_UP;
		memcpy(wifi.ip, p->control, 4);
	}
}

static void
on_rssi(const struct hif_packet *p)
{
	if (p->size < 1) {
		return;
	}
	wifi.rssi = (int8_t)p->control[0];
	wifi.rssi_asked = false;
	wifi.rssi_misses = 0;
	wifi.rssi_zeros = wifi.rssi == 0 ? wifi.rssi_zeros + 1 : 0;
	if (wifi.link == LINK_UP && wifi.rssi_zeros >= RSSI_ZEROS) {
		/* It says connected and hears nothing (Q6). */
		link_down(WINC_LINK_LOST, true);
	}
}

/* Days since 1970-01-01, proleptic Gregorian; the year starts in March. */
static uint32_t
days_since_1970(unsigned year, unsigned month, unsigned day)
{
	unsigned y = month <= 2 ? year - 1 : year;
	unsigned m = month <= 2 ? month + 9 : month - 3;

	return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static void
on_time(const struct hif_packet *p)
{
	const uint8_t *c = p->control;
	unsigned year = get_le16(c);

	if (p->size < 7 || year < YEAR_MIN || year > YEAR_MAX || c[2] < 1 || c[2] > 12 ||
	    c[3] < 1 || c[3] > 31 || c[4] > 23 || c[5] > 59 || c[6] > 60) {
		return;
	}
	wifi.time = days_since_1970(year, c[2], c[3]) * 86400 + c[4] * 3600u + c[5] * 60u + c[6];
	wifi.time_ms = time_ms();
}

uint32_t
winc_time(void)
{
	return wifi.time == 0 ? 0 : wifi.time + (time_ms() - wifi.time_ms) / 1000;
}

void
winc_wifi_packet(const struct hif_packet *p)
{
	switch (p->opcode) {
	case OP_LINK:
		on_link(p);
		break;
	case OP_ADDRESS:
		on_address(p);
		break;
	case OP_RSSI_REPLY:
		on_rssi(p);
		break;
	case OP_TIME_REPLY:
		on_time(p);
		break;
	case OP_DHCP_FAILED:
	case OP_CONFLICT:
		if (wifi.link == LINK_ADDRESSING || wifi.link == LINK_UP) {
			link_down(WINC_DHCP, true);
		}
		break;
	default:
		break; /* of no interest */
	}
}

static void
check_deadlines(void)
{
	if (wifi.link == LINK_JOINING && deadline_over(&wifi.limit)) {
		link_down(WINC_JOIN, true);
	} else if (wifi.link == LINK_ADDRESSING && deadline_over(&wifi.limit)) {
		link_down(WINC_DHCP, true);
	}
	if (wifi.rssi_asked && time_ms() - wifi.rssi_ms >= RSSI_REPLY_MS) {
		wifi.rssi_asked = false;
		wifi.rssi_misses++;
	}
}

static bool
time_is_due(void)
{
	uint32_t pause = wifi.time != 0                       ? TIME_AGAIN_MS
	                 : wifi.time_tries < TIME_FAST_TRIES ? TIME_FAST_MS
	                                                      : TIME_SLOW_MS;

	return wifi.time_tries == 0 || time_ms() - wifi.time_asked_ms >= pause;
}

/* At most one of the small requests that are due. */
static enum winc_status
housekeeping(void)
{
	enum winc_status status = WINC_OK;

	if (wifi.leave_due) {
		status = winc_hif_send(GROUP_WIFI, OP_LEAVE, NULL, 0, NULL, 0, 0);
		wifi.leave_due = status == WINC_AGAIN;
	} else if (wifi.link != LINK_UP) {
		return WINC_OK;
	} else if (!wifi.rssi_asked &&
	           (wifi.rssi_misses > 0 || time_ms() - wifi.rssi_ms >= RSSI_EVERY_MS)) {
		status = winc_hif_send(GROUP_WIFI, OP_RSSI, NULL, 0, NULL, 0, 0);
		if (status == WINC_OK) {
			wifi.rssi_asked = true;
			wifi.rssi_ms = time_ms();
		}
	} else if (time_is_due()) {
		/* No reply is awaited: some versions give none before they know the time. */
		status = winc_hif_send(GROUP_WIFI, OP_TIME, NULL, 0, NULL, 0, 0);
		if (status == WINC_OK) {
			wifi.time_asked_ms = time_ms();
			wifi.time_tries += wifi.time_tries < TIME_FAST_TRIES;
		}
	}
	return status;
}

enum winc_status
winc_wifi_poll(void)
{
	enum winc_status status;

	check_deadlines();
	if (wifi.rssi_misses >= RSSI_MISSES) {
		return winc_fail(WINC_FIRMWARE);
	}
	if (winc_hif_held() || (wifi.refused && time_ms() - wifi.refused_ms < BACK_OFF_MS)) {
		return WINC_OK;
	}
	status = housekeeping();
	wifi.refused = status == WINC_AGAIN;
	if (wifi.refused) {
		wifi.refused_ms = time_ms();
		return WINC_OK;
	}
	return status;
}
