/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/frame.h"

static bool
known_type(uint8_t type)
{
	return type >= FRAME_REQUEST && type <= FRAME_END;
}

int
frame_read(struct span in, struct frame *out)
{
	static const uint8_t magic[2] = { 'G', 'W' };
	struct reader r = reader_of(in);
	uint32_t len;
	uint8_t type;

	/* Say no at the first byte that is wrong, not when all eight are there. */
	if (memcmp(in.ptr != NULL ? in.ptr : magic, magic, in.len < 2 ? in.len : 2) != 0) {
		return ERR_MALFORMED;
	}
	if (in.len > 2 && in.ptr[2] != FRAME_VERSION) {
		return ERR_VERSION;
	}
	if (in.len > 3 && !known_type(in.ptr[3])) {
		return ERR_MALFORMED;
	}
	if (in.len < FRAME_HEADER) {
		return ERR_MORE;
	}
	(void)read_bytes(&r, 3);
	type = read_u8(&r);
	len = read_u32(&r);
	if (len > FRAME_BODY_MAX) {
		return ERR_MALFORMED;
	}
	if (reader_left(&r) < len) {
		return ERR_MORE;
	}
	*out = (struct frame){ .type = type, .body = read_bytes(&r, len),
		.size = FRAME_HEADER + (size_t)len };
	return 0;
}

static int
append_frame(struct buf *out, enum frame_type type, struct span body)
{
	uint8_t *at;
	struct writer w;
	int r = buf_reserve(out, FRAME_HEADER + body.len, &at);

	if (r < 0) {
		return r;
	}
	w = writer_of(at, FRAME_HEADER + body.len);
	write_bytes(&w, span_of("GW", 2));
	write_u8(&w, FRAME_VERSION);
	write_u8(&w, (uint8_t)type);
	write_u32(&w, (uint32_t)body.len);
	write_bytes(&w, body);
	buf_commit(out, writer_len(&w));
	return 0;
}

int
frame_write(struct buf *out, enum frame_type last, struct span body)
{
	if (last == FRAME_REQUEST && body.len > FRAME_BODY_MAX) {
		return ERR_LIMIT; /* a request is one frame */
	}
	while (body.len > FRAME_BODY_MAX) {
		int r = append_frame(out, FRAME_PART, span_head(body, FRAME_BODY_MAX));

		if (r < 0) {
			return r;
		}
		body = span_skip(body, FRAME_BODY_MAX);
	}
	return append_frame(out, last, body);
}
