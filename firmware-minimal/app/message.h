/* SPDX-License-Identifier: BSD-2-Clause */
/* The two messages of the application. */
#ifndef APP_MESSAGE_H
#define APP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* {"ID":"name","RN":7,"Temp":21.50}; Temp null when not known. 0: no room. */
size_t message_reading(char *out, size_t room, const char *name, uint32_t number,
                       bool known, int16_t centi);
/* "1..." or "ON": on. Anything else: off, as in the sketch. */
bool message_led(const uint8_t *payload, size_t n);

#endif
