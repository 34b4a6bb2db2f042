/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What went wrong, as one number: the log says it in words, the LED blinks
 * it, and the board writes the last one into its report page. Documented in
 * README.md; never renumber.
 */
#ifndef APP_REPORT_H
#define APP_REPORT_H

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

#endif
