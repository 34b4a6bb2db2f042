/* SPDX-License-Identifier: BSD-2-Clause */
/* A request that a board in the field made, and other public values to check with. */
#ifndef TESTS_ATECC_EXAMPLE_H
#define TESTS_ATECC_EXAMPLE_H

#include <stdint.h>

#define EXAMPLE_X "68ea5a3f496e97277bd64e9b69abec517e21ad55795fc741fb3d17d9aab40210"
#define EXAMPLE_Y "0e8d0a40fe0d951003984d7a430fcef7a8849b1cb5ae4f62a0300907ad4f1c61"
#define EXAMPLE_R "41bc0ff52175d0ed5d5725ecacd86bfc72043ffa3663347237b6aa79261a4af4"
#define EXAMPLE_S "9a1fafacbeff7fa15f5b7ea78f8baecfadc0cb5fe3c69005e54e5665c090f964"
#define EXAMPLE_DIGEST "0ed8836b71ad9c367db03520c749448881760210b659bb51ed1d42ad044937f2"
/* The part that is signed: version, CN=mymkr, the key, no attributes. */
#define EXAMPLE_SIGNED \
	"30720201003010310e300c060355040313056d796d6b72" \
	"3059301306072a8648ce3d020106082a8648ce3d03010703420004" EXAMPLE_X EXAMPLE_Y "a000"

#define ECDH_PEER \
	"700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287" \
	"db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac"
#define ECDH_PRIVATE "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534"
#define ECDH_SECRET "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b"

/* Hex digits, with or without spaces. Bytes written. */
static inline size_t
from_hex(const char *hex, uint8_t *out)
{
	size_t digits = 0;

	for (; *hex != '\0'; hex++) {
		unsigned value = *hex >= 'a' ? (unsigned)(*hex - 'a' + 10) :
		                 *hex >= 'A' ? (unsigned)(*hex - 'A' + 10) :
		                               (unsigned)(*hex - '0');

		if (*hex == ' ') {
			continue;
		}
		out[digits / 2] = (uint8_t)(digits % 2 == 0 ? value << 4 : out[digits / 2] | value);
		digits++;
	}
	return digits / 2;
}

#endif
