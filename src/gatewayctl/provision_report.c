/* SPDX-License-Identifier: BSD-2-Clause */
#include "provision.h"

enum { CHIP_CONFIG_LOCKED = 1, CHIP_DATA_LOCKED = 2 };

const char *
board_state_text(unsigned state)
{
	static const struct {
		unsigned first, last;
		const char *text;
	} states[] = {
		{ 2, 2, "its settings page is damaged" },
		{ 3, 3, "its crypto chip does not answer" },
		{ 5, 5, "its crypto chip fails" },
		{ 6, 6, "its certificate is for another key than that of its chip" },
		{ 10, 10, "its radio fails" },
		{ 11, 11, "it did not find the WiFi network" },
		{ 12, 12, "the WiFi passphrase was wrong" },
		{ 13, 13, "it got no address from the network" },
		{ 14, 14, "it could not find the address of the gateway's name" },
		{ 15, 15, "the gateway refused the connection" },
		{ 16, 16, "the gateway did not answer" },
		{ 17, 17, "it lost the network" },
		{ 20, 39, "the TLS handshake failed; see `gatewayctl failures`" },
		{ 40, 47, "MQTT failed; see `gatewayctl failures`" },
		{ 50, 51, "its firmware was restarted by a fault" },
	};

	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
		if (state >= states[i].first && state <= states[i].last) {
			return states[i].text;
		}
	}
	return "";
}

static int
no_page(enum page_fault fault, char *why)
{
	switch (fault) {
	case PAGE_EMPTY:
		snprintf(why, PROVISION_WHY_SIZE,
		         "the board has no report page: flash firmware-minimal, let it run for ten "
		         "seconds so that it writes one, double-tap its reset button and run this "
		         "command again");
		return ERR_NOT_FOUND;
	case PAGE_NEWER:
		snprintf(why, PROVISION_WHY_SIZE, "the firmware of the board is newer than this "
		                                  "gatewayctl: update the one or the other");
		return ERR_VERSION;
	default:
		snprintf(why, PROVISION_WHY_SIZE,
		         "the report page of the board is damaged, its power failed while it "
		         "wrote: reset it once, let it run for ten seconds, double-tap the reset "
		         "button and run this command again");
		return ERR_MALFORMED;
	}
}

static void
take_texts(const struct page *page, struct board_report *out)
{
	const uint8_t *value;
	size_t size;

	if (page_find(page, PAGE_SERIAL, &value, &size) && size == 9) {
		for (size_t i = 0; i < size; i++) {
			snprintf(out->serial + 2 * i, 3, "%02X", value[i]);
		}
	}
	if (page_find(page, PAGE_FIRMWARE, &value, &size) && size < sizeof out->firmware) {
		for (size_t i = 0; i < size; i++) {
			bool plain = value[i] > 0x20 && value[i] < 0x7F;

			out->firmware[i] = (char)(plain ? value[i] : '?');
		}
	}
}

int
board_report_read(const uint8_t *block, struct board_report *out, char *why)
{
	struct page page;
	const uint8_t *value;
	size_t size;
	enum page_fault fault = page_open(PAGE_REPORT, block, PAGE_SIZE_MAX, &page);

	*out = (struct board_report){ .state = 0 };
	if (fault != PAGE_GOOD) {
		return no_page(fault, why);
	}
	take_texts(&page, out);
	if (page_find(&page, PAGE_CHIP, &value, &size) && size == 1) {
		out->has_chip = true;
		out->locked = value[0] == (CHIP_CONFIG_LOCKED | CHIP_DATA_LOCKED);
	}
	if (page_find(&page, PAGE_STATE, &value, &size) && size == 1) {
		out->state = value[0];
	}
	if (page_find(&page, PAGE_CSR, &value, &size)) {
		out->csr = span_of(value, size);
	}
	return 0;
}
