/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/backoff.h"

uint32_t
backoff_ms(unsigned failures, uint32_t random)
{
	uint32_t span = BACKOFF_FIRST_MS;

	for (; failures > 1 && span < BACKOFF_MOST_MS; failures--) {
		span *= 2;
	}
	if (span > BACKOFF_MOST_MS) {
		span = BACKOFF_MOST_MS;
	}
	return span / 2 + random % (span / 2 + 1);
}
