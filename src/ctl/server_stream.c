/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams of the control socket: a request that is answered with events as
 * they come, until either side has enough. What waits for a slow client is
 * bounded; then its stream ends.
 */
#include "ctl/server_client.h"

#include <stdlib.h>

#include "base/log.h"

static void send_events(struct client *client);

static void
events_sent(uv_write_t *write, int status)
{
	struct client *client = write->data;

	client->writing = false;
	client->server->queued -= buf_len(&client->out);
	buf_release(&client->out);
	if (client->state == CLOSING) {
		return;
	}
	if (status < 0 || (client->state == ANSWERING && buf_len(&client->queue) == 0)) {
		ctl_client_close(client);
		return;
	}
	uv_timer_stop(&client->timer);
	send_events(client);
}

/* Hand what waits to the kernel, unless it has something yet. */
static void
send_events(struct client *client)
{
	struct ctl_server *server = client->server;
	struct span out;
	uv_buf_t bytes;

	if (client->writing || buf_len(&client->queue) == 0) {
		return;
	}
	client->out = client->queue;
	client->queue = (struct buf){ 0 };
	out = buf_span(&client->out);
	bytes = uv_buf_init((char *)(uintptr_t)out.ptr, (unsigned)out.len);
	client->write.data = client;
	client->writing = true;
	server->queued += out.len;
	uv_timer_start(&client->timer, ctl_client_late, server->limits.answer_ms, 0);
	if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &bytes, 1, events_sent) < 0) {
		client->writing = false;
		server->queued -= out.len;
		/* Not here: the caller's left() would run inside its ctl_event(). */
		uv_timer_start(&client->timer, ctl_client_late, 0, 0);
	}
}

void
ctl_client_end_stream(struct client *client, const char *name, struct doc *content)
{
	client->state = ANSWERING;
	client->reading = false;
	uv_read_stop((uv_stream_t *)&client->pipe);
	if (ctl_client_frame(client->server, name, content, FRAME_END, &client->queue) < 0) {
		ctl_client_close(client);
		return;
	}
	send_events(client);
}

bool
ctl_stream(struct ctl_request *request, void (*left)(void *owner), void *owner)
{
	struct client *client = request->client;

	if (client == NULL) {
		free(request);
		return false;
	}
	request->left = left;
	request->owner = owner;
	client->state = STREAMING;
	client->reading = true;
	/* Only to notice when it closes. */
	if (uv_read_start((uv_stream_t *)&client->pipe, ctl_client_chunk, ctl_client_bytes) < 0) {
		request->left = NULL;
		ctl_client_close(client);
		free(request);
		return false;
	}
	return true;
}

int
ctl_event(struct ctl_request *request, struct doc *event)
{
	struct client *client = request->client;
	int r = ctl_client_frame(client->server, "result", event, FRAME_EVENT, &client->queue);

	if (r == 0 && buf_len(&client->queue) > client->server->limits.stream_size) {
		r = ERR_LIMIT;
	}
	if (r == 0) {
		send_events(client);
		return 0;
	}
	log_info(LOG_CTL, "control client was too slow for its events",
	         log_int("pid", client->peer.pid), log_int("uid", client->peer.uid));
	buf_release(&client->queue);
	ctl_refuse(request, r, r == ERR_LIMIT ? "events came faster than they were read" :
	                                        "gatewayd is out of memory");
	return r;
}
