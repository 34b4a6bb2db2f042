/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ECDH in the chip makes a key in it for each full handshake, and each key
 * wears its EEPROM, which is good for some 400,000. A peer that breaks off
 * each handshake, or forgets each session, must not wear it out in a year:
 * beyond a ration the handshakes compute in software.
 */
#ifndef APP_WEAR_H
#define APP_WEAR_H

#include <stdbool.h>
#include <stdint.h>

#define WEAR_BURST 16u
#define WEAR_EVERY_MS 1800000u /* one more: 48 a day, or 20 years */

struct wear {
	uint32_t since, counted;
	unsigned left;
};

/* crashed: this is not the first start, and the ones before may have used the ration up. */
void wear_start(struct wear *w, bool crashed, uint32_t now_ms);
/* May the next one be made in the chip? made: so many were, since the start. */
bool wear_allows(struct wear *w, uint32_t made, uint32_t now_ms);

#endif
