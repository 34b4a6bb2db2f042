/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What day it is: the date of provisioning, moved on by the milliseconds
 * since reset and by network time. Never runs backwards, so that a lying or
 * confused time server cannot make an expired certificate valid again.
 */
#ifndef APP_WALL_H
#define APP_WALL_H

#include <stdbool.h>
#include <stdint.h>

struct wall {
	uint32_t now, floor; /* Unix time */
	uint32_t last_ms, rest_ms;
	bool from_network;
};

/* floor 0: no date is known. */
void wall_start(struct wall *w, uint32_t floor, uint32_t now_ms);
/* At least once in 49 days. */
void wall_tick(struct wall *w, uint32_t now_ms);
/* 0, earlier than now, or decades after provisioning: ignored. */
void wall_network(struct wall *w, uint32_t unix_time);

#endif
