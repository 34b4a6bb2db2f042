/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UTF-8 as MQTT wants it (MQTT 5 1.5.4): well formed, no surrogates. Any
 * thread, no memory.
 */
#ifndef GATEWAY_BASE_UTF8_H
#define GATEWAY_BASE_UTF8_H

#include "base/span.h"

/* Well-formed UTF-8 (RFC 3629), surrogates and overlong forms refused. */
bool utf8_valid(struct span s);
/* The same, and without U+0000 [MQTT-1.5.4-2]. */
bool utf8_valid_mqtt(struct span s);
/*
 * The same, and without C0 and C1 control characters, DEL and the
 * non-characters, which MQTT 1.5.4 only advises against: for identities.
 */
bool utf8_valid_strict(struct span s);
/* The first n bytes (or all, when there are fewer), but no character that they cut. */
struct span utf8_head(struct span s, size_t n);

#endif
