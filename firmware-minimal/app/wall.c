/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/wall.h"

#define BELIEVABLE (20u * 365 * 86400)
#define EARLIEST 1704067200u /* 2024-01-01 */

void
wall_start(struct wall *w, uint32_t floor, uint32_t now_ms)
{
	*w = (struct wall){ .now = floor, .floor = floor, .last_ms = now_ms };
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
	if (w->now != 0) {
		w->now = w->now > UINT32_MAX - seconds ? UINT32_MAX : w->now + seconds;
	}
}

void
wall_network(struct wall *w, uint32_t unix_time)
{
	uint32_t floor = w->floor != 0 ? w->floor : EARLIEST;

	if (unix_time < floor || unix_time - floor > BELIEVABLE) {
		return;
	}
	w->from_network = true;
	if (unix_time > w->now) {
		w->now = unix_time;
	}
}
