/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnose/first_bytes.h"

#include "base/cursor.h"

#define RECORD_MOST (16384 + 2048) /* RFC 5246 6.2.3 */

static const char *const kind_text[] = {
#define X(name, text) [FIRST_##name] = text,
	FIRST_BYTES_LIST(X)
#undef X
};

const char *
first_bytes_text(enum first_bytes kind)
{
	return (size_t)kind < sizeof kind_text / sizeof kind_text[0] ? kind_text[kind] :
	                                                               "an unknown protocol";
}

static bool
starts_with(struct span s, const char *text)
{
	return span_eq_str(span_head(s, strlen(text)), text);
}

/* The variable header of CONNECT begins with the protocol's name (3.1.2.1). */
static bool
is_mqtt(struct span start)
{
	struct reader r = reader_of(start);
	struct span name;

	if (read_u8(&r) != 0x10) {
		return false;
	}
	(void)read_varint(&r);
	name = read_block(&r);
	return !r.bad && (span_eq_str(name, "MQTT") || span_eq_str(name, "MQIsdp"));
}

/* A request line, not yet knowing whether it is well formed. */
static bool
is_http(struct span start)
{
	static const char *const methods[] = {
		"GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "DELETE ", "PATCH ", "TRACE ",
		"PRI * HTTP/2",
	};

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		if (starts_with(start, methods[i])) {
			return true;
		}
	}
	return false;
}

/* CLIENT-HELLO of SSL 2, which SSL 3 clients of old sent too (RFC 6101 E). */
static bool
is_ssl2(struct span start)
{
	struct reader r = reader_of(start);
	uint16_t length = read_u16(&r);
	uint8_t type = read_u8(&r);
	uint16_t version = read_u16(&r);

	return !r.bad && (length & 0x8000) != 0 && type == 1 &&
	       (version == 0x0002 || (version >= 0x0300 && version <= 0x0303));
}

/* Content type, version 3.x, length: as far as it is there. */
static bool
is_tls(struct span start)
{
	return start.len > 0 && start.ptr[0] >= 20 && start.ptr[0] <= 23 &&
	       (start.len < 2 || start.ptr[1] == 3) && (start.len < 3 || start.ptr[2] <= 4);
}

static enum first_bytes
tls_kind(struct span start)
{
	struct reader r = reader_of(start);
	uint8_t type = read_u8(&r);

	(void)read_u16(&r);
	if (read_u16(&r) > RECORD_MOST) {
		return FIRST_TLS_TOO_LONG;
	}
	return type == 20 ? FIRST_TLS_CIPHER :
	       type == 21 ? FIRST_TLS_ALERT :
	       type == 23 ? FIRST_TLS_DATA :
	                    FIRST_TLS;
}

enum first_bytes
first_bytes_kind(struct span start)
{
	if (start.len == 0) {
		return FIRST_NOTHING;
	}
	if (is_tls(start)) {
		return tls_kind(start);
	}
	return is_mqtt(start)                  ? FIRST_MQTT :
	       starts_with(start, "CONNECT ")  ? FIRST_PROXY :
	       is_http(start)                  ? FIRST_HTTP :
	       starts_with(start, "SSH-")      ? FIRST_SSH :
	       is_ssl2(start)                  ? FIRST_SSL2 :
	                                         FIRST_OTHER;
}
