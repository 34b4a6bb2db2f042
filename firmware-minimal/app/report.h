/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What went wrong, as one number: the log says it in words, the LED blinks
 * it, and the board writes the last one into its report page. Documented in
 * README.md; never renumber.
 */
#ifndef APP_REPORT_H
#define APP_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum report {
	REPORT_NONE = 0,
	/* 1-9 settings and chip */
	REPORT_NOT_PROVISIONED = 1, /* no settings page: CSR waits in its page */
	REPORT_SETTINGS_DAMAGED = 2,
	REPORT_CHIP_ABSENT = 3,
	REPORT_CHIP_UNLOCKED = 4,
	REPORT_CHIP_FAULT = 5,
	REPORT_KEY_MISMATCH = 6,    /* the certificate is for another key than the chip's */
	/* 10-19 radio and network */
	REPORT_RADIO = 10,
	REPORT_NO_NETWORK = 11,
	REPORT_WRONG_PASSPHRASE = 12,
	REPORT_NO_ADDRESS = 13,
	REPORT_NAME_UNKNOWN = 14,
	REPORT_GATEWAY_REFUSED = 15,
	REPORT_GATEWAY_SILENT = 16,
	REPORT_LINK_LOST = 17,
	/* 20-39 TLS: tls/tls.h maps BearSSL's numbers (bearssl 11) */
	REPORT_TLS = 20,            /* + see tls.h */
	/* 40-49 MQTT */
	REPORT_MQTT = 40,           /* + CONNACK code 1..5 */
	REPORT_MQTT_PROTOCOL = 46,
	REPORT_MQTT_SILENT = 47,    /* PINGRESP, CONNACK, SUBACK or PUBACK missing */
	REPORT_WATCHDOG = 50,
	REPORT_HARD_FAULT = 51,
};

/* A sentence for the log. */
const char *report_text(enum report code);

/* What the LED does ms after a code began to be shown: on or off. */
bool report_blink(enum report code, uint32_t ms);

/* ---- the report page ---- */

#define REPORT_CSR_MAX 256
struct report_facts {
	enum report state;
	bool has_serial, has_key, has_wifi;
	uint8_t serial[9], public_key[64], wifi_firmware[3];
	uint8_t chip; /* bit 0 configuration locked, bit 1 data locked */
	uint8_t csr[REPORT_CSR_MAX];
	size_t csr_size; /* 0: none */
};

#define REPORT_PAGE_MAX 640

/*
 * Bytes of a page with these facts in out; 0 when the page that is there says
 * the same already, or when it does not fit.
 */
size_t report_page(const struct report_facts *facts, const uint8_t *present, uint8_t *out,
                   size_t room);
/*
 * What the present page knows, but its state: so that a report that comes
 * before the chip was asked does not wipe out what was known of it.
 */
void report_recall(struct report_facts *facts, const uint8_t *present);

/*
 * Flash wears: after a reset some writes are free, then one in six hours.
 * With at least 25,000 erasures that is 17 years of a code that flaps.
 */
#define REPORT_WRITES 4u
#define REPORT_REFILL_MS (6u * 3600 * 1000)
struct report_budget {
	unsigned left;
	uint32_t since;
};
void report_budget_start(struct report_budget *b, uint32_t now_ms);
bool report_budget_take(struct report_budget *b, uint32_t now_ms);

#endif
