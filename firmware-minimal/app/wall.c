/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/wall.h"

#define BELIEVABLE (20u * 365 * 86400)
#define EARLIEST 1704067200u /* 2024-01-01 */

void
wall_start(struct wall *w, uint32_t floor, uint32_t now_ms)
{
	*w = (struct wall){ .now = floor, .own = floor, .floor = floor, .last_ms = now_ms };
}

/* 0, not known, stays so. */
static uint32_t
later(uint32_t unix_time, uint32_t seconds)
{
	if (unix_time == 0) {
		return 0;
	}
	return unix_time > UINT32_MAX - seconds ? UINT32_MAX : unix_time + seconds;
}

void
wall_tick(struct wall *w, uint32_t now_ms)
{
	uint32_t gone = now_ms - w->last_ms;
	uint32_t seconds = gone / 1000;

	w->last_ms = now_ms;
	w->rest_ms += gone % 1000;
	if (w->rest_ms >= 1000) {
		w->rest_ms -= 1000;
		seconds++;
	}
	w->now = later(w->now, seconds);
	w->own = later(w->own, seconds);
}

void
wall_network(struct wall *w, uint32_t unix_time)
{
	uint32_t floor = w->floor != 0 ? w->floor : EARLIEST;

	if (unix_time < floor || unix_time - floor > BELIEVABLE) {
		return;
	}
	w->from_network = true;
	w->now = unix_time > w->own ? unix_time : w->own;
}
