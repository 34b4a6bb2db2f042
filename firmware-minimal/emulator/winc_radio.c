/* SPDX-License-Identifier: BSD-2-Clause */
/* Group 1 of the WINC1500 model: join, address, signal, time (sections 5, 8.5). */
#include "emulator/winc_int.h"

#include <string.h>

enum {
	GROUP = 1,
	JOIN_MS = 1500,
	DHCP_MS = 500,
	SYNC_MS = 3000,
	RSSI = -52,
	REASON_NO_AP = 1,
	REASON_AUTH = 3,
	REASON_ASSOCIATION = 4,
	REASON_BUSY = 5,
	DAY = 86400,
};

void
winc_radio_reset(struct winc_model *m)
{
	m->radio = (struct winc_radio){
		.join_ns = WINC_NEVER,
		.dhcp_ns = WINC_NEVER,
		.sync_ns = WINC_NEVER,
		.drop_ns = WINC_NEVER,
	};
}

static void
push_link(struct winc_model *m, uint8_t state, uint8_t reason)
{
	uint8_t p[4] = { state, reason, WINC_JUNK, WINC_JUNK };

	winc_host_push(m, GROUP, 44, p, sizeof p, 0);
	if (fault_hits(m->faults, "winc.double-link")) {
		winc_host_push(m, GROUP, 44, p, sizeof p, 0);
	}
}

static void
link_down(struct winc_model *m, uint8_t reason)
{
	m->radio.state = RADIO_IDLE;
	m->radio.join_ns = WINC_NEVER;
	m->radio.dhcp_ns = WINC_NEVER;
	m->radio.drop_ns = WINC_NEVER;
	winc_ip_reset(m);
	push_link(m, 0, reason);
}

void
winc_radio_drop(struct winc_model *m, uint64_t delay_ns)
{
	if (m->radio.drop_ns == WINC_NEVER) {
		m->radio.drop_ns = m->world->now_ns + delay_ns;
	}
}

/* With which reason a join will fail; 0 it will not. */
static uint8_t
join_failure(struct winc_model *m, const char *ssid, const char *passphrase, uint8_t security)
{
	bool open = m->config.passphrase[0] == '\0';

	if (fault_hits(m->faults, "winc.no-ap")) {
		return REASON_NO_AP;
	}
	if (fault_hits(m->faults, "winc.auth-fail")) {
		return REASON_AUTH;
	}
	if (fault_hits(m->faults, "winc.assoc-fail")) {
		return REASON_ASSOCIATION;
	}
	if (strcmp(ssid, m->config.ssid) != 0) {
		return REASON_NO_AP;
	}
	if (security != (open ? 1 : 2) ||
	    (!open && strcmp(passphrase, m->config.passphrase) != 0)) {
		return REASON_AUTH;
	}
	return 0;
}

static void
join(struct winc_model *m, const char *ssid, const char *passphrase, uint8_t security)
{
	if (m->radio.state == RADIO_JOINING) {
		push_link(m, 0, REASON_BUSY);
		return;
	}
	if (m->radio.state != RADIO_IDLE) {
		link_down(m, 0);
	}
	m->radio.state = RADIO_JOINING;
	m->radio.failure = join_failure(m, ssid, passphrase, security);
	m->radio.join_ns = fault_hits(m->faults, "winc.join-silent")
	                           ? WINC_NEVER
	                           : m->world->now_ns + WINC_MS(JOIN_MS);
	world_note(m->world, "winc: join ssid=%s security=%u", ssid, security);
}

static void
join_legacy(struct winc_model *m, const uint8_t *c, size_t n)
{
	char key[66] = { 0 }, ssid[34] = { 0 };

	if (n < 104) {
		world_violation(m->world, "winc: connect request of %zu bytes", n);
		return;
	}
	if (memchr(c, 0, 65) == NULL || memchr(c + 70, 0, 33) == NULL || c[70] == 0) {
		world_violation(m->world, "winc: connect without a terminated SSID or passphrase");
		return;
	}
	if (c[65] < 1 || c[65] > 4) {
		world_violation(m->world, "winc: connect with security %u", c[65]);
	}
	if (winc_get16(c + 68) != 255) {
		world_violation(m->world, "winc: connect on channel %u; its base depends on the "
		                          "firmware, so only 255 is safe",
		                winc_get16(c + 68));
	}
	memcpy(key, c, 65);
	memcpy(ssid, c + 70, 33);
	join(m, ssid, key, c[65]);
}

static void
join_new(struct winc_model *m, const uint8_t *c, size_t n)
{
	char key[66] = { 0 }, ssid[34] = { 0 };

	if (!m->profile->is_19_6) {
		return; /* swallowed without a word (Q16) */
	}
	if (n < 48 || c[4] == 0 || c[4] > 32 || (c[44] == 2 && n < 48 + 108)) {
		world_violation(m->world, "winc: new connect request of %zu bytes is malformed", n);
		return;
	}
	memcpy(ssid, c + 5, c[4]);
	if (c[44] == 2) {
		memcpy(key, c + 49, c[48] <= 64 ? c[48] : 0);
	}
	join(m, ssid, key, c[44]);
}

static void
civil(uint32_t time, uint8_t out[8])
{
	uint32_t days = time / DAY + 719468, rest = time % DAY;
	uint32_t era = days / 146097, of_era = days % 146097;
	uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint32_t day = of_era - (365 * year + year / 4 - year / 100);
	uint32_t month = (5 * day + 2) / 153;

	winc_put16(out, year + era * 400 + (month >= 10 ? 1 : 0));
	out[2] = (uint8_t)(month < 10 ? month + 3 : month - 9);
	out[3] = (uint8_t)(day - (153 * month + 2) / 5 + 1);
	out[4] = (uint8_t)(rest / 3600);
	out[5] = (uint8_t)(rest / 60 % 60);
	out[6] = (uint8_t)(rest % 60);
	out[7] = WINC_JUNK;
}

static void
push_time(struct winc_model *m)
{
	uint8_t p[8] = { 0 };
	uint32_t time = m->config.time + (uint32_t)(m->world->now_ns / 1000000000u);
	bool synchronised = m->config.time != 0 && m->world->now_ns >= m->radio.sync_ns;

	if (synchronised) {
		m->radio.time_replies++;
		time += fault_hits(m->faults, "winc.time-day-off") ? DAY : 0;
		if (m->radio.time_replies > 1 && fault_hits(m->faults, "winc.time-back")) {
			time -= 3 * DAY;
		}
		civil(time, p);
	}
	if (fault_hits(m->faults, "winc.time-zero-year")) {
		winc_put16(p, 0);
	} else if (synchronised && fault_hits(m->faults, "winc.time-1900")) {
		winc_put16(p, 1900);
	} else if (synchronised && fault_hits(m->faults, "winc.time-2036")) {
		/* The 32 bits of NTP start again on 2036-02-07 06:28:16. */
		static const uint8_t edge[8] = { 0xF4, 0x07, 2, 7, 6, 28, 16, WINC_JUNK };

		memcpy(p, edge, sizeof p);
	}
	winc_host_push(m, GROUP, 27, p, sizeof p, WINC_MS(2));
}

void
winc_radio_push_address(struct winc_model *m)
{
	size_t n = m->profile->dhcp_size;
	uint8_t p[24];
	uint8_t gateway[4];

	if (m->profile->is_19_6 && fault_hits(m->faults, "winc.dhcp-24")) {
		n = 24;
	}
	memcpy(gateway, m->config.ip, 4);
	gateway[3] = 1;
	memset(p, WINC_JUNK, sizeof p);
	memcpy(p, m->config.ip, 4);
	memcpy(p + 4, gateway, 4);
	memcpy(p + 8, gateway, 4);
	winc_put32(p + (n == 24 ? 16 : 12), 0x00FFFFFF);
	if (n >= 20) {
		winc_put32(p + n - 4, 86400);
	}
	winc_host_push(m, GROUP, 50, p, n, 0);
}

static void
push_info(struct winc_model *m)
{
	uint8_t p[48] = { 0 };

	if (m->radio.state >= RADIO_JOINED) {
		memcpy(p, m->config.ssid, strnlen(m->config.ssid, 32));
		p[33] = m->config.passphrase[0] != '\0' ? 2 : 1;
		memcpy(p + 34, m->config.ip, 4);
		p[44] = (uint8_t)RSSI;
	}
	winc_host_push(m, GROUP, 6, p, sizeof p, WINC_MS(1));
}

static void
push_scan_result(struct winc_model *m, uint8_t index)
{
	uint8_t p[44] = { index, (uint8_t)RSSI, 0, 6 };

	p[2] = m->config.passphrase[0] != '\0' ? 2 : 1;
	memcpy(p + 10, m->config.ssid, strnlen(m->config.ssid, 32));
	winc_host_push(m, GROUP, 19, p, sizeof p, WINC_MS(1));
}

static void
push_random(struct winc_model *m, const uint8_t *c, size_t n)
{
	uint8_t p[8 + 1588];
	size_t count = n >= 8 ? winc_get16(c + 4) : 0;

	if (n < 8 || count >= 1580) {
		world_violation(m->world, "winc: %zu random bytes asked for", count);
		return;
	}
	memcpy(p, c, 8);
	for (size_t i = 0; i < count; i++) {
		p[8 + i] = (uint8_t)world_random(m->world);
	}
	winc_host_push(m, GROUP, 32, p, 8 + count, WINC_MS(1));
}

static void
push_rssi(struct winc_model *m)
{
	uint8_t p[4] = { (uint8_t)RSSI, WINC_JUNK, WINC_JUNK, WINC_JUNK };

	if (m->radio.state < RADIO_JOINED || fault_hits(m->faults, "winc.rssi-zero")) {
		p[0] = 0;
	}
	winc_host_push(m, GROUP, 4, p, sizeof p, WINC_MS(1));
}

static void
check_size(struct winc_model *m, uint8_t opcode, size_t n, size_t wanted)
{
	if (n != wanted) {
		world_violation(m->world, "winc: request 1/%u with %zu bytes instead of %zu",
				opcode, n, wanted);
	}
}

static void
small_request(struct winc_model *m, uint8_t opcode, const uint8_t *c, size_t n)
{
	static const uint8_t one_found[4] = { 1, 0, WINC_JUNK, WINC_JUNK };
	static const uint8_t no_default[4] = { (uint8_t)-20, WINC_JUNK, WINC_JUNK, WINC_JUNK };

	switch (opcode) {
	case 5:
		push_info(m);
		break;
	case 7:
		check_size(m, opcode, n, 48);
		break;
	case 16:
		check_size(m, opcode, n, 4);
		winc_host_push(m, GROUP, 17, one_found, sizeof one_found, WINC_MS(1200));
		break;
	case 18:
		check_size(m, opcode, n, 4);
		push_scan_result(m, n > 0 ? c[0] : 0);
		break;
	case 31:
		push_random(m, c, n);
		break;
	case 41:
		winc_host_push(m, GROUP, 42, no_default, sizeof no_default, WINC_MS(1));
		break;
	case 45:
		check_size(m, opcode, n, 4);
		if (n > 0 && c[0] != 0) {
			world_violation(m->world, "winc: power save mode %u is not modelled", c[0]);
		}
		break;
	default:
		break; /* what it does not know it ignores */
	}
}

void
winc_radio_request(struct winc_model *m, uint8_t opcode, const uint8_t *c, size_t n)
{
	switch (opcode) {
	case 3:
		check_size(m, opcode, n, 0);
		push_rssi(m);
		break;
	case 26:
		check_size(m, opcode, n, 0);
		push_time(m);
		break;
	case 40:
		join_legacy(m, c, n);
		break;
	case 43:
		check_size(m, opcode, n, 0);
		link_down(m, 0);
		break;
	case 59:
		join_new(m, c, n);
		break;
	default:
		small_request(m, opcode, c, n);
		break;
	}
}

static void
finish_join(struct winc_model *m)
{
	struct winc_radio *r = &m->radio;

	r->join_ns = WINC_NEVER;
	if (r->failure != 0) {
		r->state = RADIO_IDLE;
		push_link(m, 0, r->failure);
		return;
	}
	r->state = RADIO_JOINED;
	push_link(m, 1, 0);
	if (fault_hits(m->faults, "winc.drop-before-dhcp")) {
		winc_radio_drop(m, WINC_MS(100));
		return;
	}
	if (!fault_hits(m->faults, "winc.dhcp-silent")) {
		r->dhcp_ns = m->world->now_ns + WINC_MS(DHCP_MS);
	}
}

static void
finish_dhcp(struct winc_model *m)
{
	struct winc_radio *r = &m->radio;

	r->dhcp_ns = WINC_NEVER;
	if (fault_hits(m->faults, "winc.dhcp-fail")) {
		/* Before 19.6 nothing is said (5.5). */
		if (m->profile->is_19_6) {
			winc_host_push(m, GROUP, 61, NULL, 0, 0);
		}
		return;
	}
	r->state = RADIO_UP;
	r->ever_up = true;
	winc_radio_push_address(m);
	if (r->sync_ns == WINC_NEVER && !fault_hits(m->faults, "winc.time-never")) {
		r->sync_ns = m->world->now_ns +
		             WINC_MS(fault_value(m->faults, "winc.time-late", SYNC_MS));
	}
}

static void
check_sync(struct winc_model *m)
{
	if (m->profile->is_19_6 && m->radio.time_replies == 0 && m->config.time != 0 &&
	    m->world->now_ns >= m->radio.sync_ns) {
		push_time(m); /* unasked */
	}
}

void
winc_radio_advance(struct winc_model *m)
{
	struct winc_radio *r = &m->radio;
	uint64_t now = m->world->now_ns;

	if (!m->registers.running || m->host.hang != HANG_NO) {
		return;
	}
	if (now >= r->join_ns) {
		finish_join(m);
	}
	if (now >= r->dhcp_ns) {
		finish_dhcp(m);
	}
	check_sync(m);
	if (r->state == RADIO_UP && fault_hits(m->faults, "winc.drop")) {
		r->drop_ns = now;
	}
	if (r->state == RADIO_UP && fault_hits(m->faults, "winc.ip-conflict")) {
		winc_host_push(m, GROUP, 52, m->config.ip, 4, 0);
	}
	if (now >= r->drop_ns) {
		link_down(m, 0);
	}
}

uint64_t
winc_radio_next(const struct winc_model *m)
{
	const struct winc_radio *r = &m->radio;
	uint64_t next = r->join_ns;

	next = r->dhcp_ns < next ? r->dhcp_ns : next;
	next = r->drop_ns < next ? r->drop_ns : next;
	if (m->profile->is_19_6 && r->time_replies == 0 && m->config.time != 0) {
		next = r->sync_ns < next ? r->sync_ns : next;
	}
	return next;
}
