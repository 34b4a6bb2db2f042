/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream of packets: the first byte picks version and sender, the rest is
 * walked packet by packet. What is well formed must come out of the writers
 * as it went in.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit/mqtt_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t versions[] = { 0, MQTT_3_1, MQTT_3_1_1, MQTT_5 };
	struct span left = span_of(data, size);
	enum mqtt_sender sender;
	int version;

	if (size == 0) {
		return 0;
	}
	version = versions[data[0] & 3];
	sender = (data[0] & 4) != 0 ? MQTT_FROM_SERVER : MQTT_FROM_CLIENT;
	left = span_skip(left, 1);
	while (left.len > 0) {
		struct mqtt_walked k = mqtt_walk(left, sender, version);

		if (k.fault != NULL) {
			fprintf(stderr, "fault: %s\n", k.fault);
			abort();
		}
		if (k.rc != 0) {
			break;
		}
		left = span_skip(left, k.size);
	}
	return 0;
}
