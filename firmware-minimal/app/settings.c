/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/settings.h"

#include <string.h>

#include "app/der.h"

#define PORT_DEFAULT 8883
#define INTERVAL_DEFAULT 5
#define CLOCK_EARLIEST 1704067200u /* 2024-01-01: no page was ever written before */

/* What is the matter with a record, in one place; NULL when nothing is. */
struct reading {
	const struct page *page;
	const char *why;
	unsigned found; /* of the records without which there is no connection */
};
#define REQUIRED 5

static bool
find(const struct reading *r, enum page_record type, const uint8_t **value, size_t *size)
{
	return r->why == NULL && page_find(r->page, type, value, size);
}

static bool
is_text(const uint8_t *value, size_t size)
{
	for (; size > 0; size--, value++) {
		if (*value < 0x20 || *value == 0x7F) {
			return false;
		}
	}
	return true;
}

/* out has room for most + 1. */
static bool
read_text(struct reading *r, enum page_record type, char *out, size_t least, size_t most,
          const char *complaint)
{
	const uint8_t *value;
	size_t size;

	if (!find(r, type, &value, &size)) {
		return false;
	}
	if (size < least || size > most || !is_text(value, size)) {
		r->why = complaint;
		return false;
	}
	memcpy(out, value, size);
	out[size] = '\0';
	return true;
}

static uint32_t
read_number(struct reading *r, enum page_record type, size_t width, uint32_t least, uint32_t most,
            uint32_t fallback, const char *complaint)
{
	const uint8_t *value;
	size_t size;
	uint32_t number = 0;

	if (!find(r, type, &value, &size)) {
		return fallback;
	}
	if (size == width) {
		for (size_t i = width; i > 0; i--) {
			number = number << 8 | value[i - 1];
		}
	}
	if (size != width || number < least || number > most) {
		r->why = complaint;
		return fallback;
	}
	return number;
}

static bool
is_hex(const char *text)
{
	for (; *text != '\0'; text++) {
		if (!((*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'f') ||
		      (*text >= 'A' && *text <= 'F'))) {
			return false;
		}
	}
	return true;
}

static void
read_wifi(struct reading *r, struct settings *out)
{
	size_t n;

	r->found += read_text(r, PAGE_WIFI_SSID, out->ssid, 1, 32, "the WiFi name is wrong");
	read_text(r, PAGE_WIFI_PASSPHRASE, out->passphrase, 0, 64, "the WiFi passphrase is wrong");
	n = strlen(out->passphrase);
	if (r->why == NULL && ((n > 0 && n < 8) || (n == 64 && !is_hex(out->passphrase)))) {
		r->why = "the WiFi passphrase is wrong";
	}
}

static void
read_gateway(struct reading *r, struct settings *out)
{
	r->found += read_text(r, PAGE_GATEWAY_HOST, out->host, 1, 255, "the gateway's name is wrong");
	if (strchr(out->host, ' ') != NULL) {
		r->why = "the gateway's name is wrong";
	}
	out->port = (uint16_t)read_number(r, PAGE_GATEWAY_PORT, 2, 1, 65535, PORT_DEFAULT,
	                                  "the gateway's port is wrong");
}

static void
read_trust(struct reading *r, struct settings *out)
{
	size_t size;
	uint8_t key[64];

	if (find(r, PAGE_ANCHOR_DN, &out->anchor_dn, &out->anchor_dn_size)) {
		r->found++;
		if (!der_is_sequence(out->anchor_dn, out->anchor_dn_size)) {
			r->why = "the CA's name is no DER";
		}
	}
	if (find(r, PAGE_ANCHOR_KEY, &out->anchor_key, &size)) {
		r->found++;
		if (size != 65 || out->anchor_key[0] != 4) {
			r->why = "the CA's key is no point of P-256";
		}
	}
	if (find(r, PAGE_CERTIFICATE, &out->certificate, &out->certificate_size)) {
		r->found++;
		if (!certificate_public_key(out->certificate, out->certificate_size, key)) {
			r->why = "the certificate is damaged or has no P-256 key";
		}
	}
}

static void
read_application(struct reading *r, struct settings *out)
{
	read_text(r, PAGE_DEVICE_NAME, out->name, 1, SETTINGS_NAME_MAX, "the device's name is wrong");
	read_text(r, PAGE_PUBLISH_TOPIC, out->publish_topic, 1, SETTINGS_TOPIC_MAX,
	          "the topic for readings is wrong");
	if (strchr(out->publish_topic, '+') != NULL || strchr(out->publish_topic, '#') != NULL) {
		r->why = "the topic for readings has a wildcard";
	}
	read_text(r, PAGE_SUBSCRIBE_TOPIC, out->subscribe_topic, 1, SETTINGS_TOPIC_MAX,
	          "the topic for commands is wrong");
	out->interval = (uint16_t)read_number(r, PAGE_INTERVAL, 2, 1, 65535, INTERVAL_DEFAULT,
	                                      "the interval is wrong");
	out->qos = (uint8_t)read_number(r, PAGE_QOS, 1, 0, 1, 1, "the quality of service is wrong");
	out->ecdh_in_chip = read_number(r, PAGE_ECDH, 1, 0, 1, 0, "the place of ECDH is wrong") == 1;
	out->wait_for_time =
		read_number(r, PAGE_SNTP, 1, 0, 1, 0, "the wait for network time is wrong") == 1;
	out->clock = read_number(r, PAGE_CLOCK, 4, CLOCK_EARLIEST, UINT32_MAX, 0,
	                         "the date is wrong");
}

enum settings_state
settings_read(const uint8_t *memory, struct settings *out, const char **why)
{
	struct page page;
	struct reading r = { &page, NULL, 0 };
	enum page_fault fault = page_open(PAGE_SETTINGS, memory, PAGE_SIZE_MAX, &page);

	memset(out, 0, sizeof *out);
	*why = NULL;
	if (fault == PAGE_EMPTY) {
		return SETTINGS_NONE;
	}
	if (fault != PAGE_GOOD) {
		*why = fault == PAGE_NEWER ? "written for a newer firmware" : "checksum or length";
		return SETTINGS_DAMAGED;
	}
	strcpy(out->publish_topic, "Home");
	strcpy(out->subscribe_topic, "inTopic");
	out->consent =
		read_number(&r, PAGE_CONSENT_LOCK, 1, 0, 1, 0, "the consent to lock is wrong") == 1;
	read_wifi(&r, out);
	read_gateway(&r, out);
	read_trust(&r, out);
	read_application(&r, out);
	if (r.why == NULL && r.found != 0 && r.found != REQUIRED) {
		r.why = "WiFi name, gateway, CA or certificate is missing";
	}
	*why = r.why;
	if (r.why != NULL) {
		return SETTINGS_DAMAGED;
	}
	return r.found == REQUIRED ? SETTINGS_COMPLETE : SETTINGS_NONE;
}
