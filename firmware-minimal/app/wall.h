/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What day it is: the date of provisioning, moved on by the milliseconds
 * since reset, and the network's time when that is later. A lying or confused
 * time server can move it forward only as long as it goes on lying, so that it
 * cannot shut the board out for good; and never to before our own count.
 */
#ifndef APP_WALL_H
#define APP_WALL_H

#include <stdbool.h>
#include <stdint.h>

struct wall {
	uint32_t now, own, floor; /* Unix time; own: without the network */
	uint32_t last_ms, rest_ms;
	bool from_network;
};

/* floor 0: no date is known. */
void wall_start(struct wall *w, uint32_t floor, uint32_t now_ms);
/* At least once in 49 days. */
void wall_tick(struct wall *w, uint32_t now_ms);
/* 0, before or decades after provisioning: ignored. */
void wall_network(struct wall *w, uint32_t unix_time);

#endif
