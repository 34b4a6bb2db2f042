/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames of the control socket. See PROTOCOL.md in this folder.
 *
 *   byte 0-1  'G' 'W'
 *   byte 2    version, 1
 *   byte 3    type, enum frame_type
 *   byte 4-7  length of the body, big-endian, at most FRAME_BODY_MAX
 *
 * A request is one REQUEST frame. The answer is any number of PART frames and
 * one END frame, whose bodies joined are one YAML document; a long answer
 * (watching) sends several documents, each closed by an EVENT frame, and END
 * at last. Nothing else is sent.
 */
#ifndef GATEWAY_CTL_FRAME_H
#define GATEWAY_CTL_FRAME_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"

#define FRAME_VERSION 1
#define FRAME_HEADER 8
#define FRAME_BODY_MAX 65536

enum frame_type {
	FRAME_REQUEST = 1,
	FRAME_PART = 2,
	FRAME_EVENT = 3,
	FRAME_END = 4,
};

struct frame {
	enum frame_type type;
	struct span body;
	size_t size; /* of header and body */
};

/* 0, ERR_MORE, ERR_MALFORMED (magic, type, length), ERR_VERSION. */
int frame_read(struct span in, struct frame *out) MUST_CHECK;
/* Append a document as PART... and last (EVENT or END). */
int frame_write(struct buf *out, enum frame_type last, struct span body) MUST_CHECK;

#endif
