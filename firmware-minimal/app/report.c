/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/report.h"

#include <string.h>

#include "provision/page.h"

#define SHORT_ON 200u
#define LONG_ON 1000u
#define GAP 300u
#define REST 2000u

struct sentence {
	uint8_t code;
	const char *text;
};

static const struct sentence sentences[] = {
	{ REPORT_NONE, "all is well" },
	{ REPORT_NOT_PROVISIONED, "not provisioned: the request waits in the report page" },
	{ REPORT_SETTINGS_DAMAGED, "the settings page is damaged" },
	{ REPORT_CHIP_ABSENT, "the ATECC does not answer" },
	{ REPORT_CHIP_UNLOCKED, "the ATECC is not locked, and there is no consent to lock it" },
	{ REPORT_CHIP_FAULT, "the ATECC does not do what it should" },
	{ REPORT_KEY_MISMATCH, "the certificate is for another key than the chip's" },
	{ REPORT_RADIO, "the WiFi module does not work" },
	{ REPORT_NO_NETWORK, "the WiFi network was not found, or cannot be joined" },
	{ REPORT_WRONG_PASSPHRASE, "the access point refuses the passphrase" },
	{ REPORT_NO_ADDRESS, "no address by DHCP" },
	{ REPORT_NAME_UNKNOWN, "the gateway's name is unknown to the name server" },
	{ REPORT_GATEWAY_REFUSED, "the gateway refuses TCP connections or cannot be reached" },
	{ REPORT_GATEWAY_SILENT, "the gateway does not answer" },
	{ REPORT_LINK_LOST, "the connection was lost" },
	{ REPORT_MQTT, "MQTT: refused" },
	{ REPORT_MQTT + 1, "MQTT: refused, protocol version" },
	{ REPORT_MQTT + 2, "MQTT: refused, client identifier" },
	{ REPORT_MQTT + 3, "MQTT: refused, server unavailable" },
	{ REPORT_MQTT + 4, "MQTT: refused, user name or password" },
	{ REPORT_MQTT + 5, "MQTT: refused, not authorised" },
	{ REPORT_MQTT_PROTOCOL, "MQTT: the gateway broke the protocol" },
	{ REPORT_MQTT_SILENT, "MQTT: an answer is missing" },
	{ REPORT_WATCHDOG, "the watchdog restarted the board" },
	{ REPORT_HARD_FAULT, "the firmware crashed and was restarted" },
};

const char *
report_text(enum report code)
{
	for (unsigned i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
		if (sentences[i].code == (uint8_t)code) {
			return sentences[i].text;
		}
	}
	return "TLS failed"; /* the log has BearSSL's number beside it */
}

/* Tens are long, ones are short: 14 is one long and four short. */
bool
report_blink(enum report code, uint32_t ms)
{
	uint32_t tens = (unsigned)code / 10;
	uint32_t ones = (unsigned)code % 10;
	uint32_t all = tens * (LONG_ON + GAP) + ones * (SHORT_ON + GAP) + REST;

	if (code == REPORT_NONE) {
		return false;
	}
	ms %= all;
	if (ms < tens * (LONG_ON + GAP)) {
		return ms % (LONG_ON + GAP) < LONG_ON;
	}
	ms -= tens * (LONG_ON + GAP);
	return ms < ones * (SHORT_ON + GAP) && ms % (SHORT_ON + GAP) < SHORT_ON;
}

static void
add_records(struct page_writer *w, const struct report_facts *f)
{
	uint8_t state = (uint8_t)f->state;

	page_add(w, PAGE_STATE, &state, 1);
	page_add(w, PAGE_FIRMWARE, FIRMWARE_VERSION, sizeof FIRMWARE_VERSION - 1);
	if (f->has_serial) {
		page_add(w, PAGE_SERIAL, f->serial, sizeof f->serial);
		page_add(w, PAGE_CHIP, &f->chip, 1);
	}
	if (f->has_key) {
		page_add(w, PAGE_PUBLIC_KEY, f->public_key, sizeof f->public_key);
	}
	if (f->csr_size != 0) {
		page_add(w, PAGE_CSR, f->csr, f->csr_size);
	}
	if (f->has_wifi) {
		page_add(w, PAGE_WIFI_FIRMWARE, f->wifi_firmware, sizeof f->wifi_firmware);
	}
}

size_t
report_page(const struct report_facts *facts, const uint8_t *present, uint8_t *out, size_t room)
{
	struct page old, new;
	struct page_writer w;
	bool have = page_open(PAGE_REPORT, present, PAGE_SIZE_MAX, &old) == PAGE_GOOD;
	size_t size;

	page_begin(&w, PAGE_REPORT, have ? old.generation + 1 : 1, out, room);
	add_records(&w, facts);
	size = page_end(&w);
	if (size == 0 || page_open(PAGE_REPORT, out, size, &new) != PAGE_GOOD) {
		return 0;
	}
	if (have && old.size == new.size && memcmp(old.records, new.records, new.size) == 0) {
		return 0;
	}
	return size;
}

static bool
recall(const struct page *page, enum page_record type, void *to, size_t size)
{
	const uint8_t *value;
	size_t has;

	if (!page_find(page, type, &value, &has) || has != size) {
		return false;
	}
	memcpy(to, value, size);
	return true;
}

void
report_recall(struct report_facts *facts, const uint8_t *present)
{
	struct page page;
	const uint8_t *csr;
	size_t size;

	memset(facts, 0, sizeof *facts);
	if (page_open(PAGE_REPORT, present, PAGE_SIZE_MAX, &page) != PAGE_GOOD) {
		return;
	}
	facts->has_serial = recall(&page, PAGE_SERIAL, facts->serial, sizeof facts->serial) &&
	                    recall(&page, PAGE_CHIP, &facts->chip, 1);
	facts->has_key =
		recall(&page, PAGE_PUBLIC_KEY, facts->public_key, sizeof facts->public_key);
	facts->has_wifi = recall(&page, PAGE_WIFI_FIRMWARE, facts->wifi_firmware,
	                         sizeof facts->wifi_firmware);
	if (facts->has_key && page_find(&page, PAGE_CSR, &csr, &size) && size <= sizeof facts->csr) {
		memcpy(facts->csr, csr, size);
		facts->csr_size = size;
	}
}

void
report_budget_start(struct report_budget *b, uint32_t now_ms)
{
	*b = (struct report_budget){ REPORT_WRITES, now_ms };
}

bool
report_budget_take(struct report_budget *b, uint32_t now_ms)
{
	if (now_ms - b->since >= REPORT_REFILL_MS) {
		b->since = now_ms;
		if (b->left < REPORT_WRITES) {
			b->left++;
		}
	}
	if (b->left == 0) {
		return false;
	}
	b->left--;
	return true;
}
