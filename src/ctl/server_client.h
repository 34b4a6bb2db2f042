/* SPDX-License-Identifier: BSD-2-Clause */
/* What server.c and server_stream.c share: the server and one client of it. */
#ifndef GATEWAY_CTL_SERVER_CLIENT_H
#define GATEWAY_CTL_SERVER_CLIENT_H

#include "base/buf.h"
#include "base/list.h"
#include "ctl/frame.h"
#include "ctl/server_int.h"

struct ctl_server {
	uv_pipe_t listener;
	struct ctl_path path;
	const struct ctl_command *commands;
	void *owner;
	struct ctl_limits limits;
	struct list clients;
	unsigned count;      /* of clients admitted and not closing */
	size_t queued;       /* bytes of answers not yet sent */
	bool closing, listener_closed;
	void (*done)(void *owner);
	void *done_owner;
	uint8_t chunk[FRAME_BODY_MAX]; /* what one read brings */
};

enum client_state { RECEIVING, RUNNING, STREAMING, ANSWERING, CLOSING };

struct client {
	struct list node;
	struct ctl_server *server;
	enum client_state state;
	uv_pipe_t pipe;
	uv_timer_t timer;
	unsigned handles; /* open: pipe and timer */
	bool counted; /* in server->count; one that came too many is not */
	bool reading;
	bool last;        /* close after the answer under way */
	struct ctl_peer peer;
	bool member; /* of the socket's group */
	struct ctl_request *request; /* while RUNNING or STREAMING */
	struct buf in, out;
	struct buf queue; /* events behind those under way in `out` */
	bool writing;     /* of events */
	uv_write_t write;
};

struct ctl_request {
	struct client *client; /* NULL: left, or the server is closing */
	struct ctl_peer peer;
	bool last; /* what was asked made no sense: close after the answer */
	void (*left)(void *owner); /* of a stream */
	void *owner;
};

/* server.c */
void ctl_client_close(struct client *client);
/* The deadline of its state has passed: said in the log, and closed. */
void ctl_client_late(uv_timer_t *timer);
/* { name: content } framed into `to`; the content is taken over. */
int ctl_client_frame(const struct ctl_server *server, const char *name, struct doc *content,
                     enum frame_type last, struct buf *to);
/* For uv_read_start(). */
void ctl_client_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *out);
void ctl_client_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *chunk);

/* server_stream.c: the last document of a stream; then the client is closed. */
void ctl_client_end_stream(struct client *client, const char *name, struct doc *content);

#endif
