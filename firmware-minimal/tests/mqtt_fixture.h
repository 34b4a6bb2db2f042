/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of mqtt/ share: one client, a clock, and steps that check themselves. */
#ifndef TESTS_MQTT_FIXTURE_H
#define TESTS_MQTT_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mqtt/mqtt_client_int.h"
#include "unit/cmocka_all.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
/* Bytes of a string literal without its terminator. */
#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

#define CONNECT "\x10\x0f\0\4MQTT\4\x02\0\x3c\0\3dev"
#define CONNACK "\x20\x02\0\0"
#define PINGREQ "\xc0\0"
#define PINGRESP "\xd0\0"

#define TEST(name) cmocka_unit_test_setup(name, setup)

extern struct mqtt_client client;
extern uint32_t now;
extern const struct mqtt_settings SETTINGS;

/* A client that is connected. */
int setup(void **state);
void connect_with(const struct mqtt_settings *settings);
void reconnect(void);

/* All that is to be sent, exactly; it is sent. */
void expect_output(const uint8_t *bytes, size_t size);
void expect_silence(void);
/* Bytes that are to be used up in one call. */
enum mqtt_event feed(const uint8_t *bytes, size_t size);

/* As a program does it: all events, in letters; what is to be sent, collected. */
struct record {
	char events[4096];
	size_t count;
	uint8_t out[16384];
	size_t out_size;
};

void drain(struct record *r);
void take(struct record *r, const uint8_t *bytes, size_t size);

/* A PUBLISH whose length takes three bytes; the size of the packet. */
size_t large_publish(uint8_t *to, uint8_t type, size_t topic, size_t payload);

#endif
