/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/app.h"

#include <string.h>

#include "app/backoff.h"
#include "app/der.h"
#include "app/log.h"
#include "app/text.h"
#include "hal/sensor.h"
#include "hal/time.h"

#define KEY_SLOT 0
#define INFO_MAX 160

static struct atecc_info info;
static uint8_t public_key[64];
static char serial_text[19];
static uint32_t stock[8];
static unsigned in_stock;

static enum report
report_of(enum atecc_status status)
{
	if (status == ATECC_ABSENT) {
		return REPORT_CHIP_ABSENT;
	}
	return status == ATECC_UNLOCKED || status == ATECC_DATA_UNLOCKED ? REPORT_CHIP_UNLOCKED
	                                                                 : REPORT_CHIP_FAULT;
}

static void
complain_and_wait(enum atecc_status status, unsigned failures)
{
	status_report(report_of(status), atecc_status_text(status));
	upkeep_for(backoff_ms(failures, chip_random()));
}

static void
note_facts(void)
{
	struct report_facts *facts = status_facts();

	memcpy(facts->serial, info.serial, sizeof info.serial);
	facts->has_serial = true;
	facts->chip = (uint8_t)(info.config_locked | info.data_locked << 1);
	text_hex(serial_text, info.serial, sizeof info.serial);
}

/* An unlocked chip is locked only when its owner says so: it cannot be undone. */
static enum atecc_status
make_usable(bool consent)
{
	enum atecc_status status = atecc_start(&info);

	if (status != ATECC_OK) {
		return status;
	}
	note_facts();
	if (info.config_locked && info.data_locked) {
		return ATECC_OK;
	}
	if (!consent) {
		return ATECC_UNLOCKED;
	}
	log_line("the ATECC is being set up and locked, as its owner agreed");
	status = atecc_commission();
	if (status == ATECC_OK) {
		status = atecc_start(&info);
		note_facts();
	}
	return status;
}

/*
 * A slot without a key refuses with an execution error. It gets one only on a
 * board that has no certificate yet: a new key would make that worthless.
 */
static enum atecc_status
find_key(bool provisioned)
{
	enum atecc_status status = atecc_public_key(KEY_SLOT, public_key);

	if (status == ATECC_EXECUTION && !provisioned) {
		log_line("slot %d has no key: one is made", KEY_SLOT);
		status = atecc_generate_key(KEY_SLOT, public_key);
	}
	return status;
}

static enum atecc_status
make_request(struct report_facts *facts)
{
	uint8_t body[INFO_MAX], digest[32], signature[64];
	size_t n = csr_info(info.serial, public_key, body, sizeof body);
	enum atecc_status status = atecc_sha256(body, n, digest);

	if (status == ATECC_OK) {
		status = atecc_sign(KEY_SLOT, digest, signature);
	}
	if (status == ATECC_OK) {
		facts->csr_size = csr_finish(body, n, signature, facts->csr, sizeof facts->csr);
	}
	return status;
}

/*
 * The request stays in the report page for good: it is asked for again when
 * the certificate is renewed. Every signature is another one, so that which
 * is there already stays, if it was made for this key.
 */
static enum atecc_status
keep_request(void)
{
	struct report_facts *facts = status_facts();
	bool same = facts->has_key && facts->csr_size != 0 &&
	            memcmp(facts->public_key, public_key, sizeof public_key) == 0;

	memcpy(facts->public_key, public_key, sizeof public_key);
	facts->has_key = true;
	if (same) {
		return ATECC_OK;
	}
	facts->csr_size = 0;
	return make_request(facts);
}

void
chip_start(bool consent, bool provisioned)
{
	enum atecc_status status;
	unsigned failures = 0;

	/* Also an unlocked chip is asked again: it may have been a slip of the bus. */
	for (;;) {
		status = make_usable(consent);
		if (status == ATECC_OK) {
			status = find_key(provisioned);
		}
		if (status == ATECC_OK) {
			status = keep_request();
		}
		if (status == ATECC_OK) {
			break;
		}
		complain_and_wait(status, ++failures);
	}
	log_line("ATECC%s, serial %s", info.is_608 ? "608" : "508A", serial_text);
}

static void
log_request(const uint8_t *csr, size_t size)
{
	char line[65];

	log_raw("-----BEGIN CERTIFICATE REQUEST-----");
	for (size_t at = 0; at < size; at += 48) {
		text_base64(line, csr + at, size - at < 48 ? size - at : 48);
		log_raw(line);
	}
	log_raw("-----END CERTIFICATE REQUEST-----");
}

void
chip_request(void)
{
	if (status_current() == REPORT_SETTINGS_DAMAGED || status_current() == REPORT_KEY_MISMATCH) {
		status_save(); /* says more than "not provisioned" */
	} else {
		status_report(REPORT_NOT_PROVISIONED, NULL);
	}
	log_request(status_facts()->csr, status_facts()->csr_size);
	for (;;) {
		upkeep();
	}
}

const uint8_t *
chip_public_key(void)
{
	return public_key;
}

const char *
chip_serial(void)
{
	return serial_text;
}

/* Only times are chosen with it: a chip that is silent must not stop that. */
static void
restock(void)
{
	uint8_t serial[16];
	uint32_t x = time_ms() + 0x9E3779B9;

	if (atecc_random((uint8_t *)stock) != ATECC_OK) {
		board_serial(serial);
		for (unsigned i = 0; i < sizeof serial; i++) {
			x = (x ^ serial[i]) * 0x01000193;
		}
		for (unsigned i = 0; i < 8; i++) {
			x ^= x << 13;
			x ^= x >> 17;
			x ^= x << 5;
			stock[i] = x;
		}
	}
	in_stock = 8;
}

uint32_t
chip_random(void)
{
	if (in_stock == 0) {
		restock();
	}
	return stock[--in_stock];
}
