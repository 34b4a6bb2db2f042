/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ATECC508A (and 608): key store and P-256 (fact sheet atecc508a). Each call
 * is one whole operation: wake, command, polled answer, idle or sleep, with
 * the retries of 5.3. Blocking, at most a few seconds, watchdog fed. Uses
 * hal/i2c.h and hal/time.h only. Numbers are big-endian as in X.509.
 */
#ifndef DRIVERS_ATECC_H
#define DRIVERS_ATECC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum atecc_status {
	ATECC_OK,
	ATECC_ABSENT,      /* no answer to wake */
	ATECC_BUS,         /* I2C line stuck, arbitration */
	ATECC_CRC,         /* answers damaged beyond retries */
	ATECC_TIMEOUT,     /* busy beyond any execution time */
	ATECC_SELF_TEST,   /* 0x07 */
	ATECC_PARSE,       /* 0x03: a parameter the chip does not take */
	ATECC_EXECUTION,   /* 0x0F beyond retries */
	ATECC_ECC_FAULT,   /* 0x05 */
	ATECC_MISCOMPARE,  /* 0x01: Verify says no */
	ATECC_UNLOCKED,    /* configuration not locked: random is a constant, keys are not usable */
	ATECC_DATA_UNLOCKED,
	ATECC_PARAMETER,
	ATECC_RESTARTED,   /* 0x11 or asleep in the middle of a command, again and again: supply? */
	ATECC_FOREIGN,     /* locked with another configuration: commissioning it would be wrong */
};
const char *atecc_status_text(enum atecc_status status);

struct atecc_info {
	uint8_t revision[4];
	uint8_t serial[9];
	bool is_608;
	bool config_locked, data_locked;
};
enum atecc_status atecc_start(struct atecc_info *out);
enum atecc_status atecc_random(uint8_t out[32]); /* ATECC_UNLOCKED for the constant */
enum atecc_status atecc_generate_key(unsigned slot, uint8_t public_key[64]); /* writes EEPROM */
/* How often the chip was told to make one, since start: it wears, whether its answer came or not. */
uint32_t atecc_keys_made(void);
enum atecc_status atecc_public_key(unsigned slot, uint8_t public_key[64]);
enum atecc_status atecc_sign(unsigned slot, const uint8_t digest[32], uint8_t signature[64]);
/* ATECC_OK or ATECC_MISCOMPARE; anything else is "could not be asked". */
enum atecc_status atecc_verify(const uint8_t digest[32], const uint8_t signature[64],
                               const uint8_t public_key[64]);
enum atecc_status atecc_ecdh(unsigned slot, const uint8_t peer[64], uint8_t secret[32]);
enum atecc_status atecc_sha256(const void *data, size_t n, uint8_t digest[32]);
/* 128 bytes, all of it. */
enum atecc_status atecc_read_config(uint8_t config[128]);
/*
 * The irreversible part, only with the owner's consent: writes the "TLS"
 * configuration (3.5) where it differs, reads it back, locks configuration,
 * makes a key in slot 0, locks data. Each step is skipped when it is done, so
 * that a power loss in between is completed by the next call; the key is made
 * anew until the data zone is locked.
 */
enum atecc_status atecc_commission(void);

#endif
