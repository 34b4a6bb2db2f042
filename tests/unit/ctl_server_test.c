/* SPDX-License-Identifier: BSD-2-Clause */
/* The control server with real sockets, and the client against it. */
#include "unit/cmocka_all.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/client.h"
#include "ctl/frame.h"
#include "ctl/server_int.h"

#define CALL_MS 5000
#define WAIT_MS 5000

/* ---- a daemon on its own thread ----------------------------------------- */

struct daemon {
	char folder[32], path[64];
	uv_loop_t loop;
	uv_async_t stop;
	pthread_t thread;
	struct ctl_server *server;
	struct ctl_request *kept; /* on the loop's thread */
	bool done;
	atomic_uint left; /* streams that their client closed */
	int event_rc;     /* of the last event that was sent */
};

static atomic_uint peer_uid;
static atomic_bool peer_member;

/* The seam: who is there is what the test says. */
static int
fake_peer(int fd, gid_t group, struct ctl_peer *out, bool *member)
{
	(void)fd;
	(void)group;
	*out = (struct ctl_peer){ .uid = peer_uid, .gid = 77, .pid = 4711 };
	*member = peer_member;
	return 0;
}

static void
run_echo(void *owner, struct ctl_request *request, const struct doc *args)
{
	struct doc *reply = doc_map();

	(void)owner;
	doc_set_text(reply, "text", doc_get_text(args, "text", ""));
	doc_set_int(reply, "pid", ctl_request_peer(request).pid);
	ctl_reply(request, reply);
}

static void
run_big(void *owner, struct ctl_request *request, const struct doc *args)
{
	size_t size = (size_t)doc_get_int(args, "size", 0);
	char *text = malloc(size + 1);

	(void)owner;
	assert_non_null(text);
	memset(text, 'x', size);
	text[size] = '\0';
	ctl_reply(request, doc_string(span_of(text, size)));
	free(text);
}

static void
run_refuse(void *owner, struct ctl_request *request, const struct doc *args)
{
	char text[600];

	(void)owner;
	(void)args;
	memset(text, 'y', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	text[300] = '\n';
	ctl_refuse(request, ERR_CONF, text);
}

/* Answered by the next "release", or when the server closes. */
static void
run_keep(void *owner, struct ctl_request *request, const struct doc *args)
{
	struct daemon *d = owner;

	(void)args;
	assert_null(d->kept);
	d->kept = request;
}

static void
run_release(void *owner, struct ctl_request *request, const struct doc *args)
{
	struct daemon *d = owner;

	(void)args;
	if (d->kept != NULL) {
		ctl_reply(d->kept, doc_int(1));
		d->kept = NULL;
	}
	ctl_reply(request, doc_int(2));
}

static void
stream_left(void *owner)
{
	struct daemon *d = owner;

	atomic_fetch_add(&d->left, 1);
}

/* `events` events of `size` bytes; with `end` the answer behind them. */
static void
run_stream(void *owner, struct ctl_request *request, const struct doc *args)
{
	size_t size = (size_t)doc_get_int(args, "size", 1);
	char *text = malloc(size + 1);
	struct daemon *d = owner;

	assert_non_null(text);
	memset(text, 'e', size);
	d->event_rc = 0;
	if (ctl_stream(request, stream_left, d)) {
		for (int64_t n = doc_get_int(args, "events", 0); n > 0 && d->event_rc == 0; n--) {
			d->event_rc = ctl_event(request, doc_string(span_of(text, size)));
		}
		if (d->event_rc == 0 && doc_get_bool(args, "end", false)) {
			ctl_reply(request, doc_int(7));
		}
	}
	free(text);
}

static const struct ctl_command commands[] = {
	{ "stream", CTL_READ, run_stream },
	{ "echo", CTL_READ, run_echo },
	{ "big", CTL_READ, run_big },
	{ "refuse", CTL_READ, run_refuse },
	{ "keep", CTL_READ, run_keep },
	{ "release", CTL_READ, run_release },
	{ "change", CTL_WRITE, run_echo },
	{ "root", CTL_ROOT, run_echo },
	{ NULL },
};

static void
server_gone(void *owner)
{
	struct daemon *d = owner;

	d->done = true;
	if (d->kept != NULL) { /* too late for anyone, but allowed */
		ctl_reply(d->kept, doc_int(3));
		d->kept = NULL;
	}
	uv_close((uv_handle_t *)&d->stop, NULL);
}

static void
stop(uv_async_t *async)
{
	struct daemon *d = async->data;

	ctl_server_close(d->server, server_gone, d);
}

static void *
run_loop(void *owner)
{
	struct daemon *d = owner;

	uv_run(&d->loop, UV_RUN_DEFAULT);
	return NULL;
}

static void
daemon_start(struct daemon *d, const struct ctl_limits *limits)
{
	struct ctl_limits fast = limits != NULL ? *limits : ctl_limits_default;
	char why[256];

	*d = (struct daemon){ .folder = "/tmp/ctl-test-XXXXXX" };
	assert_non_null(mkdtemp(d->folder));
	snprintf(d->path, sizeof d->path, "%s/s", d->folder);
	fast.peer = fake_peer;
	peer_uid = geteuid();
	peer_member = false;
	assert_int_equal(uv_loop_init(&d->loop), 0);
	assert_int_equal(uv_async_init(&d->loop, &d->stop, stop), 0);
	d->stop.data = d;
	assert_int_equal(ctl_server_open_with(&d->loop, d->path, commands, d, &fast, &d->server,
	                                      why), 0);
	assert_int_equal(pthread_create(&d->thread, NULL, run_loop, d), 0);
}

static void
daemon_stop(struct daemon *d)
{
	char lock[80];

	uv_async_send(&d->stop);
	pthread_join(d->thread, NULL);
	assert_true(d->done);
	assert_int_equal(uv_loop_close(&d->loop), 0); /* no handle was left */
	assert_int_not_equal(access(d->path, F_OK), 0);
	snprintf(lock, sizeof lock, "%s.lock", d->path);
	unlink(lock);
	assert_int_equal(rmdir(d->folder), 0);
}

static struct ctl_client *
connect_client(const struct daemon *d)
{
	struct ctl_client *client = NULL;
	char why[256];

	assert_int_equal(ctl_connect(d->path, &client, why), 0);
	return client;
}

static int
call(struct ctl_client *client, const char *command, struct doc *args)
{
	struct doc *out = NULL;
	char why[256] = "";
	int r = ctl_call(client, command, args, CALL_MS, &out, why);

	doc_free(args);
	doc_free(out);
	assert_true(r == 0 || why[0] != '\0');
	return r;
}

static void
check_alive(const struct daemon *d)
{
	struct ctl_client *client = connect_client(d);

	assert_int_equal(call(client, "echo", NULL), 0);
	ctl_disconnect(client);
}

/* ---- raw sockets -------------------------------------------------------- */

static int
connect_raw(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static void
send_raw(int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

/* All that comes until the other end closes, which must happen. */
static size_t
read_to_end(int fd, char *out, size_t size)
{
	size_t len = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		n = recv(fd, out + len, size - 1 - len, 0);
		if (n <= 0) {
			out[len] = '\0';
			close(fd);
			return len;
		}
		len += (size_t)n;
	}
}

static struct buf
request_of(const char *yaml)
{
	struct buf out = { 0 };

	assert_int_equal(frame_write(&out, FRAME_REQUEST, span_str(yaml)), 0);
	return out;
}

/* ---- the server --------------------------------------------------------- */

static void
a_request_is_answered(void **state)
{
	struct daemon d;
	struct ctl_client *client;
	struct stat st;

	(void)state;
	daemon_start(&d, NULL);
	assert_int_equal(lstat(d.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	client = connect_client(&d);
	for (int i = 0; i < 3; i++) { /* one connection, several requests */
		struct doc *args = doc_map(), *out = NULL;
		char why[256];

		doc_set_text(args, "text", "no: 1\n");
		assert_int_equal(ctl_call(client, "echo", args, CALL_MS, &out, why), 0);
		assert_string_equal(doc_get_text(out, "text", ""), "no: 1\n");
		assert_int_equal(doc_get_int(out, "pid", 0), 4711);
		doc_free(args);
		doc_free(out);
	}
	ctl_disconnect(client);
	daemon_stop(&d);
}

static void
refusals_come_back_whole(void **state)
{
	struct daemon d;
	struct ctl_client *client;

	(void)state;
	daemon_start(&d, NULL);
	client = connect_client(&d);
	assert_int_equal(call(client, "refuse", NULL), ERR_CONF);
	assert_int_equal(strlen(ctl_refusal(client)), 599);
	assert_int_equal(ctl_refusal(client)[300], '\n');
	assert_int_equal(call(client, "nonsense", NULL), ERR_NOT_FOUND);
	assert_int_equal(call(client, "echo", NULL), 0);
	assert_string_equal(ctl_refusal(client), "");
	ctl_disconnect(client);
	daemon_stop(&d);
}

static void
rights_are_checked_for_each_command(void **state)
{
	static const struct {
		const char *command;
		bool own_uid, member;
		int result;
	} rows[] = {
		{ "echo", false, false, 0 },
		{ "change", false, false, -EACCES },
		{ "change", false, true, 0 },
		{ "change", true, false, 0 },
		{ "root", false, true, -EACCES },
		{ "root", true, false, 0 },
	};
	struct daemon d;

	(void)state;
	daemon_start(&d, NULL);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ctl_client *client;

		peer_uid = rows[i].own_uid ? geteuid() : 54321;
		peer_member = rows[i].member;
		client = connect_client(&d);
		assert_int_equal(call(client, rows[i].command, NULL), rows[i].result);
		ctl_disconnect(client);
	}
	daemon_stop(&d);
}

static void
bad_input_closes_that_client_only(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *answer; /* contained in what comes back; NULL: nothing comes */
	} rows[] = {
		{ "GET / HTTP/1.0\r\n\r\n", 18, NULL },
		{ "GW\x02\x01\0\0\0\0", 8, "version" },
		{ "GW\x01\x04\0\0\0\0", 8, NULL }, /* not a request */
		{ "GW\x01\x01\xff\xff\xff\xff", 8, NULL },
		{ "GW\x01\x01\0\0\0\0", 8, "no document" },
		{ "GW\x01\x01\0\0\0\x03[1]", 11, "names no command" },
		{ "GW\x01\x01\0\0\0\x0a" "command: 1", 18, "names no command" },
		{ "GW\x01\x01\0\0\0\x05{*a: ", 13, "sentence" },
	};
	struct daemon d;
	struct ctl_client *other;
	char answer[1024];

	(void)state;
	daemon_start(&d, NULL);
	other = connect_client(&d);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int fd = connect_raw(d.path);
		size_t n;

		send_raw(fd, rows[i].bytes, rows[i].len);
		n = read_to_end(fd, answer, sizeof answer);
		if (rows[i].answer == NULL) {
			assert_int_equal(n, 0);
		} else {
			assert_true(n > FRAME_HEADER);
			assert_non_null(strstr(answer + FRAME_HEADER, rows[i].answer));
		}
		assert_int_equal(call(other, "echo", NULL), 0);
	}
	ctl_disconnect(other);
	daemon_stop(&d);
}

static void
a_request_may_come_byte_by_byte(void **state)
{
	struct buf request = request_of("command: echo\ntext: slow\n");
	struct daemon d;
	char answer[1024];
	int fd;

	(void)state;
	daemon_start(&d, NULL);
	fd = connect_raw(d.path);
	for (size_t i = 0; i < buf_len(&request); i++) {
		send_raw(fd, buf_span(&request).ptr + i, 1);
	}
	shutdown(fd, SHUT_WR);
	assert_true(read_to_end(fd, answer, sizeof answer) > 0);
	assert_non_null(strstr(answer + FRAME_HEADER, "text: slow"));
	buf_release(&request);
	daemon_stop(&d);
}

/* Two requests in one write are answered one after the other. */
static void
requests_may_queue(void **state)
{
	struct buf request = request_of("command: echo\ntext: one\n");
	struct buf second = request_of("command: echo\ntext: two\n");
	struct daemon d;
	char answer[1024];
	const char *one;
	size_t n;
	int fd;

	(void)state;
	assert_int_equal(buf_append(&request, buf_span(&second)), 0);
	daemon_start(&d, NULL);
	fd = connect_raw(d.path);
	send_raw(fd, buf_span(&request).ptr, buf_len(&request));
	shutdown(fd, SHUT_WR);
	n = read_to_end(fd, answer, sizeof answer);
	one = memmem(answer, n, "text: one", 9);
	assert_non_null(one);
	assert_non_null(memmem(one, n - (size_t)(one - answer), "text: two", 9));
	buf_release(&request);
	buf_release(&second);
	daemon_stop(&d);
}

static void
half_a_request_meets_the_deadline(void **state)
{
	struct ctl_limits limits = ctl_limits_default;
	struct buf request = request_of("command: echo\n");
	struct daemon d;
	char answer[64];
	int half, silent;

	(void)state;
	limits.request_ms = 30;
	daemon_start(&d, &limits);
	silent = connect_raw(d.path);
	half = connect_raw(d.path);
	send_raw(half, buf_span(&request).ptr, buf_len(&request) - 1);
	assert_int_equal(read_to_end(half, answer, sizeof answer), 0);
	assert_int_equal(read_to_end(silent, answer, sizeof answer), 0);
	/* No further call here: on a busy machine it could meet the same deadline. */
	buf_release(&request);
	daemon_stop(&d);
}

static void
an_answer_not_taken_meets_the_deadline(void **state)
{
	struct ctl_limits limits = ctl_limits_default;
	struct buf request = request_of("command: big\nsize: 8000000\n");
	struct pollfd p = { .events = POLLRDHUP };
	struct daemon d;

	(void)state;
	limits.answer_ms = 30;
	daemon_start(&d, &limits);
	p.fd = connect_raw(d.path);
	send_raw(p.fd, buf_span(&request).ptr, buf_len(&request));
	assert_int_equal(poll(&p, 1, WAIT_MS), 1); /* closed, though we read nothing */
	close(p.fd);
	check_alive(&d);
	buf_release(&request);
	daemon_stop(&d);
}

/* The program ends when the server is closed: nobody may hold that up. */
static void
an_answer_not_taken_does_not_delay_the_end(void **state)
{
	struct ctl_limits limits = ctl_limits_default;
	struct buf request = request_of("command: big\nsize: 8000000\n");
	struct daemon d;
	uint64_t start;
	char first;
	int fd;

	(void)state;
	limits.answer_ms = 4 * WAIT_MS;
	limits.stop_ms = 30;
	daemon_start(&d, &limits);
	fd = connect_raw(d.path);
	send_raw(fd, buf_span(&request).ptr, buf_len(&request));
	assert_int_equal(read(fd, &first, 1), 1); /* now the answer is under way */
	start = uv_hrtime();
	daemon_stop(&d);
	assert_true(uv_hrtime() - start < WAIT_MS * UINT64_C(1000000));
	close(fd);
	buf_release(&request);
}

static void
long_answers_pass_and_too_long_ones_are_refused(void **state)
{
	struct ctl_limits limits = ctl_limits_default;
	struct daemon d;
	struct ctl_client *client;
	struct doc *args = doc_map(), *out = NULL;
	char why[256];

	(void)state;
	limits.answer_size = 1000000;
	daemon_start(&d, &limits);
	client = connect_client(&d);
	doc_set_int(args, "size", 900000);
	assert_int_equal(ctl_call(client, "big", args, CALL_MS, &out, why), 0);
	assert_int_equal(strlen(doc_text(out)), 900000);
	doc_free(out);
	doc_free(args);
	args = doc_map();
	doc_set_int(args, "size", 1000000);
	assert_int_equal(call(client, "big", args), ERR_LIMIT);
	ctl_disconnect(client);
	daemon_stop(&d);
}

/* The server learns of a client that left only in its next turn. */
static struct ctl_client *
connect_when_there_is_room(struct daemon *d)
{
	for (int tries = 0; tries < 5000; tries++) {
		struct ctl_client *client = connect_client(d);
		int rc = call(client, "echo", NULL);

		if (rc == 0) {
			return client;
		}
		assert_int_equal(rc, ERR_LIMIT);
		ctl_disconnect(client);
		usleep(1000);
	}
	fail_msg("the server did not notice that a client had left");
	return NULL;
}

static void
clients_are_limited_with_places_for_root(void **state)
{
	struct ctl_limits limits = ctl_limits_default;
	struct daemon d;
	struct ctl_client *client[4];

	(void)state;
	limits.clients = 3;
	limits.reserved = 1;
	daemon_start(&d, &limits);
	peer_uid = 54321;
	for (int i = 0; i < 2; i++) {
		client[i] = connect_client(&d);
		assert_int_equal(call(client[i], "echo", NULL), 0);
	}
	client[2] = connect_client(&d);
	assert_int_equal(call(client[2], "echo", NULL), ERR_LIMIT);
	ctl_disconnect(client[2]);
	peer_uid = 0;
	client[2] = connect_when_there_is_room(&d);
	client[3] = connect_client(&d);
	assert_int_equal(call(client[3], "echo", NULL), ERR_LIMIT);
	for (int i = 0; i < 4; i++) {
		ctl_disconnect(client[i]);
	}
	daemon_stop(&d);
}

static void
a_client_may_leave_before_its_answer(void **state)
{
	struct buf request = request_of("command: keep\n");
	struct daemon d;
	struct ctl_client *client;
	int fd;

	(void)state;
	daemon_start(&d, NULL);
	client = connect_client(&d);
	assert_int_equal(call(client, "echo", NULL), 0);
	fd = connect_raw(d.path);
	send_raw(fd, buf_span(&request).ptr, buf_len(&request));
	close(fd);
	assert_int_equal(call(client, "release", NULL), 0);
	assert_int_equal(call(client, "release", NULL), 0);
	check_alive(&d);
	ctl_disconnect(client);
	buf_release(&request);
	daemon_stop(&d); /* answers what is still kept */
}

static void
closing_with_an_open_request_is_fine(void **state)
{
	struct daemon d;
	struct ctl_client *client;
	struct doc *out = NULL;
	char why[256];

	(void)state;
	daemon_start(&d, NULL);
	client = connect_client(&d);
	assert_int_equal(ctl_call(client, "keep", NULL, 30, &out, why), ERR_TIMEOUT);
	assert_non_null(strstr(why, "in time"));
	check_alive(&d); /* so the request has arrived */
	daemon_stop(&d);
	ctl_disconnect(client);
}

/* ---- streams ------------------------------------------------------------- */

static void
wait_for_left(struct daemon *d)
{
	for (unsigned i = 0; atomic_load(&d->left) == 0; i++) {
		assert_true(i < WAIT_MS);
		check_alive(d); /* a round through the loop */
	}
}

static int
open_stream(const struct daemon *d, const char *yaml)
{
	struct buf request = request_of(yaml);
	int fd = connect_raw(d->path);

	send_raw(fd, buf_span(&request).ptr, buf_len(&request));
	buf_release(&request);
	return fd;
}

static void
events_come_in_order_and_end(void **state)
{
	struct daemon d;
	struct frame frame;
	char bytes[4096];
	struct span in;
	size_t len;

	(void)state;
	daemon_start(&d, NULL);
	len = read_to_end(open_stream(&d, "{command: stream, events: 3, size: 4, end: true}"), bytes,
	                  sizeof bytes);
	in = span_of(bytes, len);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(frame_read(in, &frame), 0);
		assert_int_equal(frame.type, FRAME_EVENT);
		assert_true(span_eq(span_head(frame.body, 12), span_str("result: eeee")));
		in = span_skip(in, frame.size);
	}
	assert_int_equal(frame_read(in, &frame), 0);
	assert_int_equal(frame.type, FRAME_END);
	assert_int_equal(frame.size, in.len);
	assert_int_equal(d.left, 0); /* the command ended it */
	daemon_stop(&d);
}

static void
a_watcher_may_leave(void **state)
{
	struct daemon d;

	(void)state;
	daemon_start(&d, NULL);
	close(open_stream(&d, "{command: stream, events: 2}"));
	wait_for_left(&d);
	daemon_stop(&d);
	assert_int_equal(d.left, 1);
}

static void
a_slow_watcher_is_let_go(void **state)
{
	static char bytes[1 << 20];
	struct ctl_limits limits = ctl_limits_default;
	struct daemon d;
	size_t len;

	(void)state;
	limits.stream_size = 8192;
	daemon_start(&d, &limits);
	len = read_to_end(open_stream(&d, "{command: stream, events: 1000, size: 4000}"), bytes,
	                  sizeof bytes);
	assert_int_equal(d.event_rc, ERR_LIMIT);
	assert_true(len < sizeof bytes - 1);
	assert_non_null(memmem(bytes, len, "events came faster than they were read", 38));
	assert_int_equal(d.left, 0);
	daemon_stop(&d);
}

static void
closing_ends_streams(void **state)
{
	struct daemon d;
	int fd;

	(void)state;
	daemon_start(&d, NULL);
	fd = open_stream(&d, "{command: stream, events: 1}");
	check_alive(&d);
	daemon_stop(&d);
	close(fd);
	assert_int_equal(d.left, 1);
}

/* ---- the path ----------------------------------------------------------- */

static void
a_live_daemon_is_not_replaced(void **state)
{
	struct daemon d;
	struct ctl_path path;
	char why[256], lock[80];
	int fd;

	(void)state;
	daemon_start(&d, NULL);
	assert_int_equal(ctl_path_listen(&path, d.path, 5, &fd, why), ERR_EXISTS);
	assert_non_null(strstr(why, "another gatewayd"));
	/* Also when somebody removed the lock. */
	snprintf(lock, sizeof lock, "%s.lock", d.path);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(ctl_path_listen(&path, d.path, 5, &fd, why), ERR_EXISTS);
	check_alive(&d);
	daemon_stop(&d);
}

static void
only_a_stale_socket_is_removed(void **state)
{
	char folder[] = "/tmp/ctl-test-XXXXXX", name[64], lock[80], why[256];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ctl_path path;
	FILE *file;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(name, sizeof name, "%s/s", folder);
	snprintf(lock, sizeof lock, "%s.lock", name);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd); /* as a daemon that was killed leaves it */
	assert_int_equal(ctl_path_listen(&path, name, 5, &fd, why), 0);
	ctl_path_release(&path);
	close(fd);
	assert_int_not_equal(access(name, F_OK), 0);

	file = fopen(name, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(ctl_path_listen(&path, name, 5, &fd, why), ERR_EXISTS);
	assert_non_null(strstr(why, "no socket"));
	assert_int_equal(access(name, F_OK), 0);
	unlink(name);
	unlink(lock);
	assert_int_equal(rmdir(folder), 0);
}

static void
a_long_path_gets_a_sentence(void **state)
{
	char name[200] = "/tmp/", why[256] = "";
	struct ctl_client *client;
	struct ctl_path path;
	int fd;

	(void)state;
	memset(name + 5, 'p', 120);
	assert_int_equal(ctl_path_listen(&path, name, 5, &fd, why), -ENAMETOOLONG);
	assert_non_null(strstr(why, "107"));
	assert_int_equal(ctl_connect(name, &client, why), -ENAMETOOLONG);
	assert_int_equal(ctl_connect("", &client, why), -EINVAL);
}

static void
real_credentials_are_read(void **state)
{
	struct ctl_peer peer;
	bool member;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(ctl_path_peer(pair[0], getegid(), &peer, &member), 0);
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.pid, getpid());
	assert_true(member);
	assert_int_equal(ctl_path_peer(pair[0], 54321, &peer, &member), 0);
	assert_false(member);
	close(pair[0]);
	close(pair[1]);
}

/* ---- the client against what is no gatewayd ----------------------------- */

static void
nobody_listens(void **state)
{
	struct ctl_client *client;
	char why[256];

	(void)state;
	assert_int_equal(ctl_connect("/tmp/ctl-test-nobody/s", &client, why), ERR_UNAVAILABLE);
	assert_non_null(strstr(why, "not running"));
}

struct imposter {
	int listener;
	const char *bytes;
	size_t len;
};

static void *
imposter_run(void *owner)
{
	struct imposter *i = owner;
	char request[256];
	int fd = accept(i->listener, NULL, NULL);

	(void)!recv(fd, request, sizeof request, 0);
	if (i->len > 0) {
		(void)!send(fd, i->bytes, i->len, MSG_NOSIGNAL);
	}
	close(fd);
	return NULL;
}

static void
strange_answers_are_failures(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int result;
	} rows[] = {
		{ "", 0, ERR_CLOSED },
		{ "HTTP/1.0 400", 12, ERR_MALFORMED },
		{ "GW\x02\x04\0\0\0\0", 8, ERR_VERSION },
		{ "GW\x01\x04\0\0\0\x05" "ab", 10, ERR_CLOSED },
		{ "GW\x01\x01\0\0\0\0", 8, ERR_PROTOCOL },
		{ "GW\x01\x03\0\0\0\0", 8, ERR_PROTOCOL },
		{ "GW\x01\x04\0\0\0\x04x: 1", 12, ERR_PROTOCOL },
		{ "GW\x01\x04\0\0\0\x08" "error: 1", 16, ERR_PROTOCOL },
		{ "GW\x01\x04\0\0\0\x04*a: ", 12, ERR_MALFORMED },
		{ "GW\x01\x02\0\0\0\x04resuGW\x01\x04\0\0\0\x05lt: 1", 25, 0 },
	};
	char folder[] = "/tmp/ctl-test-XXXXXX", name[64];
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(name, sizeof name, "%s/s", folder);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct imposter imposter = { .bytes = rows[i].bytes, .len = rows[i].len };
		struct ctl_client *client;
		pthread_t thread;
		char why[256];

		imposter.listener = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(bind(imposter.listener, (struct sockaddr *)&address, sizeof address),
		                 0);
		assert_int_equal(listen(imposter.listener, 1), 0);
		assert_int_equal(pthread_create(&thread, NULL, imposter_run, &imposter), 0);
		assert_int_equal(ctl_connect(name, &client, why), 0);
		assert_int_equal(call(client, "status", NULL), rows[i].result);
		ctl_disconnect(client);
		pthread_join(thread, NULL);
		close(imposter.listener);
		unlink(name);
	}
	assert_int_equal(rmdir(folder), 0);
}

/* Counts the events, and ends at the one that says so. */
static bool
count_event(void *owner, const struct doc *event)
{
	int64_t *sum = owner;

	*sum += doc_get_int(event, "n", 1000);
	return !doc_get_bool(event, "last", false);
}

static void
watching_takes_event_after_event(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int result;
		int64_t sum; /* of the events */
	} rows[] = {
#define ONE "GW\x01\x03\0\0\0\x0e" "result: {n: 1}"
#define LAST "GW\x01\x03\0\0\0\x1a" "result: {n: 2, last: true}"
		{ ONE ONE, 44, ERR_CLOSED, 2 },
		{ ONE LAST ONE, 78, 0, 3 },
		{ ONE "GW\x01\x04\0\0\0\0" ONE, 52, 0, 1 },
		{ ONE "GW\x01\x04\0\0\0\x0a" "result: {}", 40, 0, 1 },
		{ "GW\x01\x02\0\0\0\x04" "resu" "GW\x01\x03\0\0\0\x0a" "lt: {n: 7}" ONE, 52, ERR_CLOSED,
		  8 },
		{ ONE "GW\x01\x04\0\0\0\x22" "error: {code: -13, sentence: \"no\"}", 64, -EACCES, 1 },
		{ ONE "GW\x01\x03\0\0\0\x04" "n: 1", 34, ERR_PROTOCOL, 1 },
		{ ONE "GW\x01\x01\0\0\0\0", 30, ERR_PROTOCOL, 1 },
		{ ONE "GW\x02", 25, ERR_VERSION, 1 },
		{ ONE "GW\x01", 25, ERR_CLOSED, 1 },
		{ ONE "HTTP/1.0 200", 34, ERR_MALFORMED, 1 },
#undef ONE
#undef LAST
	};
	char folder[] = "/tmp/ctl-test-XXXXXX", name[64];
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(name, sizeof name, "%s/s", folder);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct imposter imposter = { .bytes = rows[i].bytes, .len = rows[i].len };
		int64_t sum = 0;
		struct ctl_watch watch = { .event = count_event, .owner = &sum, .stop = -1 };
		struct ctl_client *client;
		pthread_t thread;
		char why[256] = "";
		int r;

		imposter.listener = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(bind(imposter.listener, (struct sockaddr *)&address, sizeof address),
		                 0);
		assert_int_equal(listen(imposter.listener, 1), 0);
		assert_int_equal(pthread_create(&thread, NULL, imposter_run, &imposter), 0);
		assert_int_equal(ctl_connect(name, &client, why), 0);
		r = ctl_watch(client, "watch", NULL, &watch, why);
		if (r != rows[i].result || sum != rows[i].sum || (r < 0 && why[0] == '\0')) {
			fail_msg("row %zu: %d, sum %d, %s", i, r, (int)sum, why);
		}
		ctl_disconnect(client);
		pthread_join(thread, NULL);
		close(imposter.listener);
		unlink(name);
	}
	assert_int_equal(rmdir(folder), 0);
}

static void
watching_ends_by_a_descriptor(void **state)
{
	struct daemon d;
	struct ctl_client *client;
	struct ctl_watch watch = { .event = count_event };
	char why[256] = "";
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	daemon_start(&d, NULL);
	client = connect_client(&d);
	assert_int_equal(write(ends[1], "", 1), 1);
	watch.stop = ends[0];
	assert_int_equal(ctl_watch(client, "keep", NULL, &watch, why), 0); /* nothing comes */
	ctl_disconnect(client);
	daemon_stop(&d);
	close(ends[0]);
	close(ends[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_answered),
		cmocka_unit_test(refusals_come_back_whole),
		cmocka_unit_test(rights_are_checked_for_each_command),
		cmocka_unit_test(bad_input_closes_that_client_only),
		cmocka_unit_test(a_request_may_come_byte_by_byte),
		cmocka_unit_test(requests_may_queue),
		cmocka_unit_test(half_a_request_meets_the_deadline),
		cmocka_unit_test(an_answer_not_taken_meets_the_deadline),
		cmocka_unit_test(an_answer_not_taken_does_not_delay_the_end),
		cmocka_unit_test(long_answers_pass_and_too_long_ones_are_refused),
		cmocka_unit_test(clients_are_limited_with_places_for_root),
		cmocka_unit_test(a_client_may_leave_before_its_answer),
		cmocka_unit_test(closing_with_an_open_request_is_fine),
		cmocka_unit_test(events_come_in_order_and_end),
		cmocka_unit_test(a_watcher_may_leave),
		cmocka_unit_test(a_slow_watcher_is_let_go),
		cmocka_unit_test(closing_ends_streams),
		cmocka_unit_test(a_live_daemon_is_not_replaced),
		cmocka_unit_test(only_a_stale_socket_is_removed),
		cmocka_unit_test(a_long_path_gets_a_sentence),
		cmocka_unit_test(real_credentials_are_read),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(strange_answers_are_failures),
		cmocka_unit_test(watching_takes_event_after_event),
		cmocka_unit_test(watching_ends_by_a_descriptor),
	};

	/* As the daemon does: a client may leave before its answer. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
