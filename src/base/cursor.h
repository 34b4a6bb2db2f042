/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bounded cursors with a sticky error. A reader takes all its fields and
 * tests `bad` once at the end; a read that does not fit yields zero or an
 * empty span and sets `bad`, so nothing ever sees garbage. A writer that runs
 * out of room sets `bad` and writes nothing more. All length arithmetic on
 * untrusted data lives here. Integers are big-endian (MQTT 1.5.2, 1.5.3).
 */
#ifndef GATEWAY_BASE_CURSOR_H
#define GATEWAY_BASE_CURSOR_H

#include "base/span.h"

struct reader {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

static inline struct reader
reader_of(struct span s)
{
	/* NULL + 0 is undefined in C, and an empty span may have any pointer. */
	return (struct reader){ .at = s.ptr, .end = s.len > 0 ? s.ptr + s.len : s.ptr };
}

static inline size_t
reader_left(const struct reader *r)
{
	return (size_t)(r->end - r->at);
}

static inline struct span
read_bytes(struct reader *r, size_t n)
{
	struct span s;

	if (r->bad || reader_left(r) < n) {
		r->bad = true;
		return span_of(NULL, 0);
	}
	s = span_of(r->at, n);
	r->at += n;
	return s;
}

static inline struct span
read_rest(struct reader *r)
{
	return read_bytes(r, reader_left(r));
}

static inline uint8_t
read_u8(struct reader *r)
{
	struct span s = read_bytes(r, 1);

	return s.len == 1 ? s.ptr[0] : 0;
}

static inline uint16_t
read_u16(struct reader *r)
{
	struct span s = read_bytes(r, 2);

	return s.len == 2 ? (uint16_t)(s.ptr[0] << 8 | s.ptr[1]) : 0;
}

static inline uint32_t
read_u32(struct reader *r)
{
	struct span s = read_bytes(r, 4);

	return s.len == 4 ? (uint32_t)s.ptr[0] << 24 | (uint32_t)s.ptr[1] << 16 |
	                            (uint32_t)s.ptr[2] << 8 | s.ptr[3] :
	                    0;
}

/* Two length bytes and that many bytes (MQTT 1.5.4, 1.5.6). */
static inline struct span
read_block(struct reader *r)
{
	return read_bytes(r, read_u16(r));
}

/*
 * Variable Byte Integer (MQTT 5 1.5.5): at most four bytes. An encoding that
 * is longer than needed is malformed [MQTT-1.5.5-1].
 */
static inline uint32_t
read_varint(struct reader *r)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 4; i++) {
		uint8_t byte = read_u8(r);

		value |= (uint32_t)(byte & 0x7f) << (7 * i);
		if ((byte & 0x80) == 0) {
			if (i > 0 && byte == 0) {
				r->bad = true;
			}
			return r->bad ? 0 : value;
		}
	}
	r->bad = true;
	return 0;
}

struct writer {
	uint8_t *start;
	uint8_t *at;
	uint8_t *end;
	bool bad;
};

static inline struct writer
writer_of(void *memory, size_t size)
{
	uint8_t *p = memory;

	return (struct writer){ .start = p, .at = p, .end = p + size };
}

static inline size_t
writer_len(const struct writer *w)
{
	return (size_t)(w->at - w->start);
}

static inline struct span
writer_span(const struct writer *w)
{
	return span_of(w->start, writer_len(w));
}

static inline void
write_bytes(struct writer *w, struct span s)
{
	if (w->bad || (size_t)(w->end - w->at) < s.len) {
		w->bad = true;
		return;
	}
	if (s.len > 0) {
		memcpy(w->at, s.ptr, s.len);
		w->at += s.len;
	}
}

static inline void
write_u8(struct writer *w, uint8_t value)
{
	write_bytes(w, span_of(&value, 1));
}

static inline void
write_u16(struct writer *w, uint16_t value)
{
	uint8_t b[2] = { (uint8_t)(value >> 8), (uint8_t)value };

	write_bytes(w, span_of(b, sizeof b));
}

static inline void
write_u32(struct writer *w, uint32_t value)
{
	uint8_t b[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16),
		(uint8_t)(value >> 8), (uint8_t)value };

	write_bytes(w, span_of(b, sizeof b));
}

/* Two length bytes and the bytes; more than 65,535 sets `bad`. */
static inline void
write_block(struct writer *w, struct span s)
{
	if (s.len > UINT16_MAX) {
		w->bad = true;
		return;
	}
	write_u16(w, (uint16_t)s.len);
	write_bytes(w, s);
}

#define VARINT_MAX 268435455u /* MQTT 5 1.5.5 */

static inline size_t
varint_size(uint32_t value)
{
	return value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : 4;
}

static inline void
write_varint(struct writer *w, uint32_t value)
{
	if (value > VARINT_MAX) {
		w->bad = true;
		return;
	}
	do {
		uint8_t byte = value & 0x7f;

		value >>= 7;
		write_u8(w, value > 0 ? byte | 0x80 : byte);
	} while (value > 0);
}

#endif
