/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text into the caller's buffer. Knows %s, %c, %%, %u, %d, %x and the latter
 * three with l; widths only as %02x (a zero and one digit).
 */
#ifndef APP_TEXT_H
#define APP_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes written, always terminated; what does not fit is cut off. */
size_t text_format(char *out, size_t room, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
size_t text_vformat(char *out, size_t room, const char *format, va_list args)
        __attribute__((format(printf, 3, 0)));

/* Upper case, two digits a byte; room for 2 * n + 1. */
void text_hex(char *out, const uint8_t *data, size_t n);
/* Up to 48 bytes as base64 into room for 65. */
void text_base64(char *out, const uint8_t *data, size_t n);

#endif
