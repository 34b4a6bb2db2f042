/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of the codec and its fuzz target share: packets written as
 * text, and a walk through one packet that uses everything it decodes to.
 */
#ifndef TESTS_UNIT_MQTT_WALK_H
#define TESTS_UNIT_MQTT_WALK_H

#include "mqtt/mqtt.h"

/*
 * Bytes from text: pairs of hex digits, 'characters', <...> for a block behind
 * its two length bytes, {...} for one behind a variable byte integer. Spaces
 * are free. Aborts when the text makes no sense.
 */
size_t mqtt_bytes(const char *text, uint8_t *out, size_t size);

struct mqtt_walked {
	int rc;                  /* of the decoder that stopped, or 0 */
	enum mqtt_reason reason; /* 0 when no decoder set one */
	size_t size;             /* of the packet, when rc is 0 */
	const char *fault;       /* what the codec did wrong, NULL: nothing */
};

/*
 * Decode the first packet of `in`; when it is well formed, go through its
 * properties, filters and codes, write it again and compare. Every span
 * handed to the codec is a copy of exactly its size on the heap, so that the
 * address sanitizer sees any byte read beyond it.
 */
struct mqtt_walked mqtt_walk(struct span in, enum mqtt_sender sender, int version);

#endif
