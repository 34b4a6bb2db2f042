/* SPDX-License-Identifier: BSD-2-Clause */
/* What the stream files of this folder share. */
#ifndef GATEWAY_LOOP_STREAM_INT_H
#define GATEWAY_LOOP_STREAM_INT_H

#include "loop/loop_int.h"
#include "loop/stream.h"

/* `ended` at most once: 0 or a negative errno. Not inside an owner's call. */
void stream_report(struct stream *s, int error);
/* A write failed: report it soon. */
void stream_fail(struct stream *s, int error);
/* While closing gently: do the next step that is possible. */
void stream_gentle_step(struct stream *s);
/* Keep the peer's address. */
void stream_set_peer(struct stream *s, const struct sockaddr *address);

/* An IPv4 address inside of IPv6 ("::ffff:192.0.2.1") becomes AF_INET. */
void stream_unmap(struct sockaddr_storage *address);

#endif
