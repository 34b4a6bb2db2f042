/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients of the control socket: receive a request, run its command, send the
 * answer, and again. A client is in one state, every state but the command's
 * own running has a deadline, and reading pauses while an answer is made and
 * sent, so that nothing a client does makes the daemon hold more.
 */
#include "ctl/server_client.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "ctl/path.h"

const struct ctl_limits ctl_limits_default = {
	.clients = 32,
	.reserved = 8,
	.request_ms = 10000,
	.answer_ms = 30000,
	.stop_ms = 2000,
	.answer_size = 16u << 20,
	.answers_size = 64u << 20,
	.stream_size = 256u << 10,
	.peer = ctl_path_peer,
};

static void take_input(struct client *client);

/* ---- the end of a client, and of the server ----------------------------- */

static void
server_finish(struct ctl_server *server)
{
	void (*done)(void *owner) = server->done;
	void *owner = server->done_owner;

	if (!server->closing || !server->listener_closed || !list_empty(&server->clients)) {
		return;
	}
	free(server);
	if (done != NULL) {
		done(owner);
	}
}

static void
handle_closed(uv_handle_t *handle)
{
	struct client *client = handle->data;
	struct ctl_server *server = client->server;

	if (--client->handles > 0) {
		return;
	}
	list_remove(&client->node);
	buf_release(&client->in);
	buf_release(&client->out);
	buf_release(&client->queue);
	free(client);
	server_finish(server);
}

/* Its request has nobody to answer any more. */
static void
forsake(struct client *client)
{
	struct ctl_request *request = client->request;

	if (request == NULL) {
		return;
	}
	client->request = NULL;
	request->client = NULL;
	if (request->left != NULL) {
		request->left(request->owner);
		free(request);
	}
}

void
ctl_client_close(struct client *client)
{
	if (client->state == CLOSING) {
		return;
	}
	client->state = CLOSING;
	client->server->count -= client->counted;
	forsake(client);
	uv_close((uv_handle_t *)&client->pipe, handle_closed);
	uv_close((uv_handle_t *)&client->timer, handle_closed);
}

void
ctl_client_late(uv_timer_t *timer)
{
	struct client *client = timer->data;

	log_info(LOG_CTL, "control client was too slow", log_int("pid", client->peer.pid),
	         log_int("uid", client->peer.uid));
	ctl_client_close(client);
}

/* ---- answers ------------------------------------------------------------ */

static void
answer_sent(uv_write_t *write, int status)
{
	struct client *client = write->data;

	client->server->queued -= buf_len(&client->out);
	buf_release(&client->out);
	if (client->state == CLOSING) {
		return;
	}
	if (status < 0 || client->last || client->server->closing) {
		ctl_client_close(client);
		return;
	}
	client->state = RECEIVING;
	uv_timer_start(&client->timer, ctl_client_late, client->server->limits.request_ms, 0);
	take_input(client);
}

/* { name: content } framed into `to`. The content is taken over. */
int
ctl_client_frame(const struct ctl_server *server, const char *name, struct doc *content,
             enum frame_type last, struct buf *to)
{
	struct doc *answer = doc_map();
	struct buf text = { 0 };
	int r;

	if (answer == NULL) {
		doc_free(content);
		return -ENOMEM;
	}
	doc_set(answer, name, content);
	r = doc_write_yaml(answer, &text);
	doc_free(answer);
	if (r == 0 && (buf_len(&text) > server->limits.answer_size ||
	               buf_len(&text) > server->limits.answers_size - server->queued)) {
		r = ERR_LIMIT;
	}
	if (r == 0) {
		r = frame_write(to, last, buf_span(&text));
	}
	buf_release(&text);
	return r;
}

static struct doc *
make_error(int code, const char *sentence)
{
	struct doc *error = doc_map();

	doc_set_int(error, "code", code);
	doc_set_text(error, "sentence", sentence);
	return error;
}

static void
send_answer(struct client *client)
{
	struct ctl_server *server = client->server;
	struct span out = buf_span(&client->out);
	uv_buf_t bytes = uv_buf_init((char *)(uintptr_t)out.ptr, (unsigned)out.len);

	client->state = ANSWERING;
	client->write.data = client;
	server->queued += out.len;
	uv_timer_start(&client->timer, ctl_client_late, server->limits.answer_ms, 0);
	if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &bytes, 1, answer_sent) < 0) {
		server->queued -= out.len;
		ctl_client_close(client);
	}
}

/* ---- the end of a request ------------------------------------------------ */

/* End the request, in either way; content is taken over. */
static void
finish(struct ctl_request *request, const char *name, struct doc *content)
{
	struct client *client = request->client;
	int r;

	if (client == NULL) {
		doc_free(content);
		free(request);
		return;
	}
	client->request = NULL;
	client->last = request->last;
	free(request);
	if (client->state == STREAMING) {
		ctl_client_end_stream(client, name, content);
		return;
	}
	r = ctl_client_frame(client->server, name, content, FRAME_END, &client->out);
	if (r < 0) {
		buf_release(&client->out);
		r = ctl_client_frame(client->server, "error",
		                 make_error(r, r == ERR_LIMIT ? "the answer is too large" :
		                                                "gatewayd is out of memory"),
		                 FRAME_END, &client->out);
	}
	if (r < 0) {
		ctl_client_close(client);
		return;
	}
	send_answer(client);
}

void
ctl_reply(struct ctl_request *request, struct doc *reply)
{
	finish(request, "result", reply);
}

void
ctl_refuse(struct ctl_request *request, int code, const char *sentence)
{
	finish(request, "error", make_error(code, sentence));
}

struct ctl_peer
ctl_request_peer(const struct ctl_request *request)
{
	return request->peer;
}

/* ---- requests ----------------------------------------------------------- */

static bool
privileged(const struct ctl_peer *peer)
{
	return peer->uid == 0 || peer->uid == geteuid();
}

static bool
allowed(const struct client *client, enum ctl_right right)
{
	switch (right) {
	case CTL_READ:
		return true;
	case CTL_WRITE:
		return privileged(&client->peer) || client->member;
	default:
		return privileged(&client->peer);
	}
}

static const struct ctl_command *
find_command(const struct ctl_server *server, const char *name)
{
	const struct ctl_command *command = server->commands;

	while (command->name != NULL && strcmp(command->name, name) != 0) {
		command++;
	}
	return command->name != NULL ? command : NULL;
}

static void
run(struct client *client, struct ctl_request *request, const struct doc *args)
{
	struct ctl_server *server = client->server;
	const char *name = doc_get_text(args, "command", "");
	const struct ctl_command *command = find_command(server, name);

	if (command == NULL) {
		ctl_refuse(request, ERR_NOT_FOUND,
		           "gatewayd does not know this command: is it older than gatewayctl?");
		return;
	}
	if (!allowed(client, command->right)) {
		log_notice(LOG_CTL, "control command refused", log_str("command", command->name),
		           log_int("pid", client->peer.pid), log_int("uid", client->peer.uid));
		ctl_refuse(request, -EACCES,
		           command->right == CTL_ROOT ?
		                   "not allowed: this command is for root" :
		                   "not allowed: this command is for root and members of the group "
		                   "of the control socket");
		return;
	}
	if (command->right != CTL_READ) {
		log_info(LOG_CTL, "control command", log_str("command", command->name),
		         log_int("pid", client->peer.pid), log_int("uid", client->peer.uid));
	}
	command->run(server->owner, request, args);
}

static struct ctl_request *
open_request(struct client *client)
{
	struct ctl_request *request = calloc(1, sizeof *request);

	if (request == NULL) {
		ctl_client_close(client);
		return NULL;
	}
	request->client = client;
	request->peer = client->peer;
	client->request = request;
	client->state = RUNNING;
	client->reading = false;
	uv_read_stop((uv_stream_t *)&client->pipe);
	uv_timer_stop(&client->timer);
	return request;
}

static void
take_request(struct client *client, const struct frame *frame)
{
	struct ctl_request *request = open_request(client);
	struct doc *args = NULL;
	char why[CTL_WHY_SIZE];
	int r;

	if (request == NULL) {
		return;
	}
	r = doc_parse_yaml(frame->body, &args, why);
	buf_consume(&client->in, frame->size);
	if (buf_len(&client->in) == 0) {
		buf_release(&client->in);
	}
	if (r == 0 && doc_kind(doc_get(args, "command")) != DOC_STRING) {
		r = ERR_MALFORMED;
		snprintf(why, sizeof why, "the request names no command");
	}
	if (r == 0) {
		run(client, request, args);
	} else {
		request->last = true;
		ctl_refuse(request, r, why);
	}
	doc_free(args);
}

void
ctl_client_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct client *client = handle->data;

	(void)suggested;
	*out = uv_buf_init((char *)client->server->chunk, sizeof client->server->chunk);
}

void
ctl_client_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *chunk)
{
	struct client *client = stream->data;

	if (n < 0 || (n > 0 && client->state == STREAMING) ||
	    (n > 0 && buf_append(&client->in, span_of(chunk->base, (size_t)n)) < 0)) {
		ctl_client_close(client);
		return;
	}
	if (n > 0) {
		take_input(client);
	}
}

/* Look at what has been received, or read on. */
static void
take_input(struct client *client)
{
	struct frame frame;
	int r = buf_len(&client->in) > 0 ? frame_read(buf_span(&client->in), &frame) : ERR_MORE;

	if (r == ERR_VERSION) {
		struct ctl_request *request = open_request(client);

		if (request != NULL) {
			request->last = true;
			ctl_refuse(request, ERR_VERSION, "this version of the control protocol is "
			                                 "not supported");
		}
	} else if (r == 0 && frame.type == FRAME_REQUEST) {
		take_request(client, &frame);
	} else if (r != ERR_MORE) {
		ctl_client_close(client);
	} else if (!client->reading) {
		client->reading = true;
		if (uv_read_start((uv_stream_t *)&client->pipe, ctl_client_chunk, ctl_client_bytes) < 0) {
			ctl_client_close(client);
		}
	}
}

/* ---- arrivals ----------------------------------------------------------- */

/* Only memory can be short here: uv_pipe_init() and uv_timer_init() never fail. */
static struct client *
client_new(struct ctl_server *server)
{
	struct client *client = calloc(1, sizeof *client);

	if (client == NULL) {
		return NULL;
	}
	client->server = server;
	client->handles = 2;
	uv_pipe_init(server->listener.loop, &client->pipe, 0);
	uv_timer_init(server->listener.loop, &client->timer);
	client->pipe.data = client->timer.data = client;
	list_append(&server->clients, &client->node);
	return client;
}

static int
identify(struct client *client)
{
	const struct ctl_server *server = client->server;
	uv_os_fd_t fd;
	int r = uv_fileno((uv_handle_t *)&client->pipe, &fd);

	return r < 0 ? r : server->limits.peer(fd, server->path.group, &client->peer,
	                                       &client->member);
}

static void
refuse_surplus(struct client *client)
{
	struct ctl_request *request = open_request(client);

	log_warning(LOG_CTL, "too many control clients", log_int("pid", client->peer.pid),
	            log_int("uid", client->peer.uid));
	if (request != NULL) {
		request->last = true;
		ctl_refuse(request, ERR_LIMIT, "too many control clients at once: try again");
	}
}

static void
client_came(uv_stream_t *listener, int status)
{
	struct ctl_server *server = listener->data;
	const struct ctl_limits *limits = &server->limits;
	struct client *client = status < 0 ? NULL : client_new(server);
	unsigned most;

	if (client == NULL) {
		log_warning(LOG_CTL, "cannot accept a control client",
		            log_str("reason", err_text(status < 0 ? status : -ENOMEM)));
		return;
	}
	if (uv_accept(listener, (uv_stream_t *)&client->pipe) < 0 || identify(client) < 0) {
		ctl_client_close(client);
		return;
	}
	most = limits->clients - (privileged(&client->peer) ? 0 : limits->reserved);
	if (server->count >= most) {
		refuse_surplus(client);
		return;
	}
	client->counted = true;
	server->count++;
	uv_timer_start(&client->timer, ctl_client_late, limits->request_ms, 0);
	take_input(client);
}

/* ---- the server --------------------------------------------------------- */

static void
listener_closed(uv_handle_t *handle)
{
	struct ctl_server *server = handle->data;

	server->listener_closed = true;
	server_finish(server);
}

int
ctl_server_open_with(uv_loop_t *uv, const char *path, const struct ctl_command *commands,
                     void *owner, const struct ctl_limits *limits, struct ctl_server **out,
                     char *why)
{
	struct ctl_server *server = calloc(1, sizeof *server);
	int fd, r;

	if (server == NULL) {
		snprintf(why, CTL_WHY_SIZE, "out of memory");
		return -ENOMEM;
	}
	r = ctl_path_listen(&server->path, path, 64, &fd, why);
	if (r < 0) {
		free(server);
		return r;
	}
	server->commands = commands;
	server->owner = owner;
	server->limits = *limits;
	list_init(&server->clients);
	uv_pipe_init(uv, &server->listener, 0);
	server->listener.data = server;
	r = uv_pipe_open(&server->listener, fd);
	if (r < 0) {
		close(fd);
	} else {
		r = uv_listen((uv_stream_t *)&server->listener, 64, client_came);
	}
	if (r < 0) {
		snprintf(why, CTL_WHY_SIZE, "cannot listen at %.150s: %s", path, err_text(r));
		ctl_server_close(server, NULL, NULL);
		return r;
	}
	*out = server;
	return 0;
}

int
ctl_server_open(struct loop *loop, const char *path, const struct ctl_command *commands,
                void *owner, struct ctl_server **out, char *why)
{
	return ctl_server_open_with(loop_uv(loop), path, commands, owner, &ctl_limits_default, out,
	                            why);
}

void
ctl_server_close(struct ctl_server *server, void (*done)(void *owner), void *owner)
{
	struct list *node, *after;

	server->closing = true;
	server->done = done;
	server->done_owner = owner;
	ctl_path_release(&server->path);
	uv_close((uv_handle_t *)&server->listener, listener_closed);
	list_each(node, after, &server->clients) {
		struct client *client = list_entry(node, struct client, node);

		if (client->state != ANSWERING) {
			ctl_client_close(client);
		} else if (uv_timer_get_due_in(&client->timer) > server->limits.stop_ms) {
			uv_timer_start(&client->timer, ctl_client_late, server->limits.stop_ms, 0);
		}
	}
}
