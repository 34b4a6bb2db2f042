/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drivers/atecc.h without a chip: keys of OpenSSL in slots. Counts what it is
 * asked and fails when told to.
 */
#ifndef TESTS_FAKE_ATECC_H
#define TESTS_FAKE_ATECC_H

#include <openssl/evp.h>

#include "drivers/atecc.h"

#define FAKE_SLOTS 8

struct fake_atecc {
	unsigned randoms, keys_made, signatures, verifies, ecdhs;
	unsigned operations;             /* all of them */
	unsigned fail_at;                /* the n-th of them fails, counted from 1; 0 none */
	enum atecc_status fail_with;
	bool short_r, short_s;           /* sign until the number begins with a zero byte */
};
extern struct fake_atecc fake_atecc;

/* Counters and faults; the keys stay. */
void fake_atecc_reset(void);
/* Takes a reference of its own. */
void fake_atecc_set_key(unsigned slot, EVP_PKEY *key);
void fake_atecc_free(void);
/* P-256 point without the leading 4. */
void fake_atecc_point(EVP_PKEY *key, uint8_t point[64]);

#endif
