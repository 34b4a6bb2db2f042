/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/wear.h"

void
wear_start(struct wear *w, bool crashed, uint32_t now_ms)
{
	*w = (struct wear){ .since = now_ms, .left = crashed ? 0 : WEAR_BURST };
}

bool
wear_allows(struct wear *w, uint32_t made, uint32_t now_ms)
{
	uint32_t used = made - w->counted;
	uint32_t earned = (now_ms - w->since) / WEAR_EVERY_MS;

	w->counted = made;
	w->left -= used < w->left ? used : w->left;
	w->since += earned * WEAR_EVERY_MS;
	w->left = earned < WEAR_BURST - w->left ? w->left + earned : WEAR_BURST;
	return w->left > 0;
}
