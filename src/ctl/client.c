/* SPDX-License-Identifier: BSD-2-Clause */
/* One request after the other over a socket that never blocks for longer than asked. */
#include "ctl/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/frame.h"
#include "ctl/path.h"

#define ANSWER_MAX (64u << 20) /* bytes of one answer: more than any daemon sends */
#define CONNECT_SECONDS 5

struct ctl_client {
	int fd;
	struct buf in;
	char *refusal;
};

static int
say(char *why, int code, const char *sentence)
{
	snprintf(why, CTL_WHY_SIZE, "%s", sentence);
	return code;
}

static int
say_connect(char *why, int error, const char *path)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
	case ENOTDIR:
		snprintf(why, CTL_WHY_SIZE,
		         "gatewayd is not running: nobody listens at %.150s; start it with "
		         "`systemctl start gatewayd`",
		         path);
		return ERR_UNAVAILABLE;
	case EACCES:
	case EPERM:
		snprintf(why, CTL_WHY_SIZE,
		         "not allowed to open %.150s: run this as root or as a member of the "
		         "group gateway",
		         path);
		return -EACCES;
	case EAGAIN:
		snprintf(why, CTL_WHY_SIZE, "gatewayd does not take connections at %.150s", path);
		return ERR_TIMEOUT;
	default:
		snprintf(why, CTL_WHY_SIZE, "cannot connect to %.150s: %s", path,
		         err_text(-error));
		return -error;
	}
}

int
ctl_connect(const char *path, struct ctl_client **out, char *why)
{
	/* A full backlog makes connect() wait on unix sockets: bounded so. */
	const struct timeval limit = { .tv_sec = CONNECT_SECONDS };
	struct sockaddr_un address;
	struct ctl_client *client;
	int r = ctl_path_address(path, &address, why);

	if (r < 0) {
		return r;
	}
	client = calloc(1, sizeof *client);
	if (client == NULL) {
		return say(why, -ENOMEM, "out of memory");
	}
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0 ||
	    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ||
	    connect(client->fd, (const struct sockaddr *)&address, sizeof address) < 0) {
		r = say_connect(why, errno, path);
		ctl_disconnect(client);
		return r;
	}
	*out = client;
	return 0;
}

void
ctl_disconnect(struct ctl_client *client)
{
	if (client == NULL) {
		return;
	}
	if (client->fd >= 0) {
		close(client->fd);
	}
	buf_release(&client->in);
	free(client->refusal);
	free(client);
}

const char *
ctl_refusal(const struct ctl_client *client)
{
	return client->refusal != NULL ? client->refusal : "";
}

/* 0 when the socket is ready, ERR_TIMEOUT at the deadline (clock_ms()). */
static int
wait_for(int fd, short events, uint64_t deadline)
{
	for (;;) {
		uint64_t now = clock_ms();
		struct pollfd p = { .fd = fd, .events = events };
		int n = now < deadline ? poll(&p, 1, (int)(deadline - now)) : 0;

		if (n > 0) {
			return 0;
		}
		if (n == 0) {
			return ERR_TIMEOUT;
		}
		if (errno != EINTR) {
			return -errno;
		}
	}
}

static int
send_all(int fd, struct span bytes, uint64_t deadline)
{
	while (bytes.len > 0) {
		ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		int r = 0;

		if (n >= 0) {
			bytes = span_skip(bytes, (size_t)n);
		} else if (errno == EAGAIN) {
			r = wait_for(fd, POLLOUT, deadline);
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return 0; /* the reason may stand in what the daemon has sent */
		} else if (errno != EINTR) {
			r = -errno;
		}
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

/* Read what is there into client->in. */
static int
take_bytes(struct ctl_client *client)
{
	uint8_t *at;
	ssize_t n;
	int r = buf_reserve(&client->in, FRAME_BODY_MAX, &at);

	if (r < 0) {
		return r;
	}
	n = recv(client->fd, at, FRAME_BODY_MAX, MSG_DONTWAIT);
	if (n > 0) {
		buf_commit(&client->in, (size_t)n);
		return 0;
	}
	if (n == 0 || errno == ECONNRESET) {
		return ERR_CLOSED;
	}
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static int
receive(struct ctl_client *client, uint64_t deadline)
{
	int r = wait_for(client->fd, POLLIN, deadline);

	return r < 0 ? r : take_bytes(client);
}

/* Collect the bodies up to the END frame. */
static int
receive_answer(struct ctl_client *client, uint64_t deadline, struct buf *body)
{
	struct frame frame = { .type = FRAME_PART };

	while (frame.type != FRAME_END) {
		int r = frame_read(buf_span(&client->in), &frame);

		if (r == ERR_MORE) {
			r = receive(client, deadline);
		} else if (r == 0 && (frame.type == FRAME_REQUEST || frame.type == FRAME_EVENT)) {
			r = ERR_PROTOCOL; /* not an answer to a single call */
		} else if (r == 0) {
			r = buf_len(body) + frame.body.len > ANSWER_MAX ?
			            ERR_LIMIT :
			            buf_append(body, frame.body);
			buf_consume(&client->in, frame.size);
		}
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int
write_request(const char *command, const struct doc *args, struct buf *out)
{
	struct doc *request = doc_map();
	struct buf text = { 0 };
	int r;

	doc_set_text(request, "command", command);
	r = doc_write_yaml(request, &text);
	doc_free(request);
	/* Two block maps in a row are one map: no copy of args is needed. */
	if (r == 0 && doc_count(args) > 0) {
		r = doc_write_yaml(args, &text);
	}
	if (r == 0) {
		r = frame_write(out, FRAME_REQUEST, buf_span(&text));
	}
	buf_release(&text);
	return r;
}

/* The document under "result", or the refusal under "error". */
static int
take_answer(struct ctl_client *client, struct span text, struct doc **out, char *why)
{
	struct doc *answer;
	const struct doc *error;
	int r = doc_parse_yaml(text, &answer, why);
	int64_t code;

	if (r < 0) {
		return r;
	}
	error = doc_get(answer, "error");
	if (error == NULL) {
		*out = answer;
		return 0;
	}
	code = doc_get_int(error, "code", 0);
	client->refusal = strdup(doc_get_text(error, "sentence", "refused without a reason"));
	snprintf(why, CTL_WHY_SIZE, "%s", ctl_refusal(client));
	doc_free(answer);
	return code < 0 && code > INT32_MIN ? (int)code : ERR_PROTOCOL;
}

static int
say_failure(char *why, int code)
{
	switch (code) {
	case ERR_TIMEOUT:
		return say(why, code, "gatewayd did not answer in time");
	case ERR_VERSION:
		return say(why, code, "gatewayd speaks another version of the control protocol: "
		                      "install gatewayd and gatewayctl of one release and restart");
	case ERR_CLOSED:
		return say(why, code, "gatewayd closed the connection without an answer");
	case ERR_LIMIT:
		return say(why, code, "the request or its answer is too large");
	case ERR_MALFORMED:
	case ERR_PROTOCOL:
		return say(why, code, "what answers there is not gatewayd");
	default:
		return say(why, code, err_text(code));
	}
}

/* Ask; what an earlier call was told is forgotten. */
static int
send_request(struct ctl_client *client, const char *command, const struct doc *args,
             uint64_t deadline)
{
	struct buf request = { 0 };
	int r = write_request(command, args, &request);

	free(client->refusal);
	client->refusal = NULL;
	if (r == 0) {
		r = send_all(client->fd, buf_span(&request), deadline);
	}
	buf_release(&request);
	return r;
}

int
ctl_call(struct ctl_client *client, const char *command, const struct doc *args,
         unsigned timeout_ms, struct doc **out, char *why)
{
	uint64_t deadline = clock_ms() + timeout_ms;
	struct buf body = { 0 };
	struct doc *answer = NULL;
	int r = send_request(client, command, args, deadline);

	if (r == 0) {
		r = receive_answer(client, deadline, &body);
	}
	r = r < 0 ? say_failure(why, r) : take_answer(client, buf_span(&body), &answer, why);
	buf_release(&body);
	if (r == 0) {
		*out = doc_take(answer, "result");
		doc_free(answer);
		r = *out != NULL ? 0 : say_failure(why, ERR_PROTOCOL);
	}
	return r;
}

/* ---- watching ----------------------------------------------------------- */

/* 1: the daemon has sent something; 0: the watching is to end. */
static int
wait_for_event(int fd, int stop)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = stop, .events = POLLIN } };
	int n;

	do {
		n = poll(p, 2, -1); /* a negative descriptor is left out */
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		return -errno;
	}
	return p[1].revents == 0;
}

/* One document, closed by EVENT or END. 1: more will come; 0: that is all. */
static int
take_event(struct ctl_client *client, enum frame_type last, struct span text,
           const struct ctl_watch *watch, char *why)
{
	struct doc *answer;
	const struct doc *event;
	bool more;
	int r;

	if (last == FRAME_END && text.len == 0) {
		return 0;
	}
	r = take_answer(client, text, &answer, why);
	if (r < 0) {
		return r;
	}
	event = doc_get(answer, "result");
	if (event == NULL) {
		doc_free(answer);
		return say_failure(why, ERR_PROTOCOL);
	}
	more = last == FRAME_EVENT && watch->event(watch->owner, event);
	doc_free(answer);
	return more;
}

/* The frames that are there. 1: more must come; 0: the watching is to end. */
static int
take_frames(struct ctl_client *client, struct buf *body, const struct ctl_watch *watch, char *why)
{
	struct frame frame;
	int r = 1;

	while (r > 0) {
		r = frame_read(buf_span(&client->in), &frame);
		if (r == ERR_MORE) {
			return 1;
		}
		if (r == 0 && frame.type == FRAME_REQUEST) {
			r = ERR_PROTOCOL;
		} else if (r == 0) {
			r = buf_len(body) + frame.body.len > ANSWER_MAX ?
			            ERR_LIMIT :
			            buf_append(body, frame.body);
			buf_consume(&client->in, frame.size);
		}
		if (r < 0) {
			return say_failure(why, r);
		}
		r = 1;
		if (frame.type != FRAME_PART) {
			r = take_event(client, frame.type, buf_span(body), watch, why);
			buf_consume(body, buf_len(body));
		}
	}
	return r;
}

int
ctl_watch(struct ctl_client *client, const char *command, const struct doc *args,
          const struct ctl_watch *watch, char *why)
{
	struct buf body = { 0 };
	int r = send_request(client, command, args, clock_ms() + CONNECT_SECONDS * 1000);
	bool more = r == 0;

	if (r < 0) {
		say_failure(why, r);
	}
	while (more) {
		r = wait_for_event(client->fd, watch->stop);
		if (r > 0) {
			r = take_bytes(client);
			r = r == 0 ? 1 : r;
		}
		if (r < 0) {
			say_failure(why, r);
		} else if (r > 0) {
			r = take_frames(client, &body, watch, why);
		}
		more = r > 0;
	}
	buf_release(&body);
	return r;
}
