/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the settings page says, checked: a pure function of its bytes. Whoever
 * can write the flash can also replace the firmware, so this is no border of
 * security; it keeps a wrong page from becoming a riddle.
 */
#ifndef APP_SETTINGS_H
#define APP_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "provision/page.h"

#define SETTINGS_NAME_MAX 64
#define SETTINGS_TOPIC_MAX 64

enum settings_state {
	SETTINGS_NONE,     /* no page, or one that has nothing but the consent */
	SETTINGS_COMPLETE,
	SETTINGS_DAMAGED,
};

struct settings {
	bool consent; /* also when there is nothing else */
	char ssid[33], passphrase[65];
	char host[256];
	char name[SETTINGS_NAME_MAX + 1]; /* empty: the chip's serial number is to be used */
	char publish_topic[SETTINGS_TOPIC_MAX + 1], subscribe_topic[SETTINGS_TOPIC_MAX + 1];
	uint16_t port, interval; /* interval in seconds */
	uint32_t clock;          /* 0: not given */
	uint8_t qos;
	bool ecdh_in_chip, wait_for_time;
	/* These stay in the page. */
	const uint8_t *anchor_dn, *anchor_key, *certificate;
	size_t anchor_dn_size, certificate_size;
};

/*
 * memory: the page, PAGE_SIZE_MAX bytes. why: a sentence when damaged, else
 * NULL; constant text.
 */
enum settings_state settings_read(const uint8_t *memory, struct settings *out, const char **why);

#endif
