/* SPDX-License-Identifier: BSD-2-Clause */
/* Streams against blocking sockets on threads of their own. */
#include "unit/loop_help.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

#define HIGH 65536
#define LOW 16384

/* ---- one end on the loop, the other on a thread ----------------------------------------- */

struct pair {
	struct loop *loop;
	struct stream s;
	struct listener *listener;
	struct loop_timer timer;
	struct loop_message mail;
	struct batch batch;
	struct help_folder folder;
	int listen_fd;
	uint16_t port;
	pthread_t thread;
	void *(*peer)(void *pair);
	sem_t go; /* the peer waits for it */
	/* what happened */
	uint8_t got[256];
	size_t got_len;
	size_t sent, total;
	size_t most_queued;
	unsigned received, ended, drained, closed, incoming;
	int error, status;
	bool inside, good;
	const struct stream_calls *calls;
	void (*connected)(struct pair *p);
};

static void
pair_closed(void *owner)
{
	struct pair *p = owner;

	assert_false(p->inside);
	p->closed++;
	loop_stop(p->loop);
}

static void
pair_ended(void *owner, int error)
{
	struct pair *p = owner;

	assert_false(p->inside);
	p->ended++;
	p->error = error;
	stream_close(&p->s);
}

static void
pair_received(void *owner, struct span bytes)
{
	struct pair *p = owner;
	size_t room = sizeof p->got - p->got_len;

	assert_false(p->inside);
	p->received++;
	bytes = span_head(bytes, room);
	memcpy(p->got + p->got_len, bytes.ptr, bytes.len);
	p->got_len += bytes.len;
}

static void
pair_connected(void *dialer, int status)
{
	struct pair *p = dialer;

	assert_false(p->inside);
	p->status = status;
	if (status < 0) {
		stream_close(&p->s);
	} else {
		p->connected(p);
	}
}

static void
pair_init(struct pair *p, const struct stream_calls *calls)
{
	p->loop = help_loop();
	p->calls = calls;
	sem_init(&p->go, 0, 0);
	stream_init(&p->s, p->loop, calls, p, HIGH, LOW);
}

static void
pair_dial(struct pair *p, bool local)
{
	if (local) {
		help_folder_make(&p->folder);
		p->listen_fd = help_listen_unix(p->folder.path, 1);
	} else {
		p->listen_fd = help_listen_tcp(&p->port, 1);
	}
	p->inside = true;
	assert_int_equal(local ? stream_dial_unix(&p->s, p->folder.path, pair_connected, p) :
	                         stream_dial_tcp(&p->s, "127.0.0.1", p->port, pair_connected, p),
	                 0);
	p->inside = false;
	assert_int_equal(pthread_create(&p->thread, NULL, p->peer, p), 0);
}

static void
pair_finish(struct pair *p, bool local)
{
	help_run(p->loop);
	pthread_join(p->thread, NULL);
	assert_int_equal(p->closed, 1);
	if (p->listen_fd > 0) {
		close(p->listen_fd);
	}
	if (local) {
		help_folder_remove(&p->folder);
	}
	sem_destroy(&p->go);
}

static void
both_kinds(void (*test)(bool local))
{
	test(false);
	test(true);
}

/* ---- echo ------------------------------------------------------------------------------- */

static void *
echo_peer(void *arg)
{
	struct pair *p = arg;
	int fd = accept(p->listen_fd, NULL, NULL);
	char bytes[100];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0) {
		if (send(fd, bytes, (size_t)n, MSG_NOSIGNAL) != n) {
			break;
		}
	}
	close(fd);
	return NULL;
}

static void
echo_connected(struct pair *p)
{
	char address[STREAM_ADDRESS_SIZE];
	uint16_t port;

	stream_peer(&p->s, address, &port);
	assert_string_equal(address, p->folder.path[0] != '\0' ? "local" : "127.0.0.1");
	assert_int_equal(port, p->port);
	assert_int_equal(batch_init(&p->batch, 16), 0);
	assert_int_equal(batch_ref(&p->batch, span_str("one ")), 0);
	assert_int_equal(batch_copy(&p->batch, span_str("two ")), 0);
	assert_int_equal(batch_ref(&p->batch, span_str("three")), 0);
	assert_int_equal(stream_read(&p->s, true), 0);
	p->inside = true;
	assert_int_equal(stream_send(&p->s, &p->batch), 0);
	p->inside = false;
	assert_int_equal(stream_queued(&p->s), 0);
	assert_null(p->s.queue.first); /* an idle stream holds none */
	batch_deinit(&p->batch);
}

static void
echo_received(void *owner, struct span bytes)
{
	struct pair *p = owner;

	pair_received(owner, bytes);
	if (p->got_len == 13) {
		p->inside = true;
		stream_close(&p->s);
		stream_close(&p->s);
		p->inside = false;
	}
}

static void
echo_one(bool local)
{
	static const struct stream_calls calls = { echo_received, pair_ended, NULL, pair_closed };
	struct pair p = { .peer = echo_peer, .connected = echo_connected };

	pair_init(&p, &calls);
	pair_dial(&p, local);
	pair_finish(&p, local);
	assert_memory_equal(p.got, "one two three", 13);
	assert_int_equal(p.ended, 0);
}

static void
bytes_come_back(void **state)
{
	(void)state;
	both_kinds(echo_one);
}

/* ---- a lot, to a slow reader ------------------------------------------------------------ */

#define LOT (64u << 20)
#define CHUNK 24000

static uint8_t
pattern(size_t at)
{
	return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

static void *
check_peer(void *arg)
{
	struct pair *p = arg;
	int fd = accept(p->listen_fd, NULL, NULL);
	uint8_t *bytes = malloc(HIGH);
	size_t at = 0;
	ssize_t n;

	sem_wait(&p->go);
	p->good = true;
	while ((n = recv(fd, bytes, 1 + at % HIGH, 0)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			p->good = p->good && bytes[i] == pattern(at + (size_t)i);
		}
		at += (size_t)n;
	}
	p->good = p->good && at == p->total && n == 0;
	free(bytes);
	close(fd);
	return NULL;
}

/* Until the high mark, in batches of pieces; FIN after the last byte. */
static void
produce(struct pair *p)
{
	static uint8_t bytes[CHUNK];
	struct batch b = { .count = 0 };

	while (!stream_above(&p->s) && p->sent < p->total) {
		size_t n = p->total - p->sent < CHUNK ? p->total - p->sent : CHUNK;

		for (size_t i = 0; i < n; i++) {
			bytes[i] = pattern(p->sent + i);
		}
		b = (struct batch){ .count = 0 };
		assert_int_equal(batch_ref(&b, span_of(bytes + n / 2, n - n / 2)), 0);
		b.piece[1] = b.piece[0];
		b.piece[0] = (struct iovec){ .iov_base = bytes, .iov_len = n / 2 };
		b.count = 2;
		b.bytes = n;
		p->inside = true;
		assert_int_equal(stream_send(&p->s, &b), 0);
		p->inside = false;
		p->sent += n;
		if (stream_queued(&p->s) > p->most_queued) {
			p->most_queued = stream_queued(&p->s);
		}
	}
	if (p->sent == p->total) {
		stream_close_gently(&p->s, 30000);
	}
}

static void
small_buffer(struct stream *s)
{
	int size = 8192;
	uv_os_fd_t fd;

	assert_int_equal(uv_fileno(&s->uv.handle, &fd), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
}

static void
lot_connected(struct pair *p)
{
	small_buffer(&p->s);
	produce(p);
	sem_post(&p->go);
}

static void
lot_drained(void *owner)
{
	struct pair *p = owner;

	assert_false(p->inside);
	assert_false(stream_above(&p->s));
	assert_true(stream_queued(&p->s) <= LOW);
	p->drained++;
	produce(p);
}

static void
lot_one(bool local)
{
	static const struct stream_calls calls = { pair_received, pair_ended,
		lot_drained, pair_closed };
	struct pair p = { .peer = check_peer, .connected = lot_connected, .total = LOT };

	pair_init(&p, &calls);
	pair_dial(&p, local);
	pair_finish(&p, local);
	assert_true(p.good);
	assert_true(p.drained > 0);
	assert_in_range(p.most_queued, HIGH, HIGH + CHUNK);
	assert_int_equal(p.ended, 0);
}

static void
a_lot_arrives_whole(void **state)
{
	(void)state;
	both_kinds(lot_one);
}

/* `drained` once for each time above the mark. */
static void
once_connected(struct pair *p)
{
	static uint8_t bytes[4 * HIGH];

	for (size_t i = 0; i < sizeof bytes; i++) {
		bytes[i] = pattern(i);
	}
	small_buffer(&p->s);
	assert_int_equal(stream_send_span(&p->s, span_of(bytes, 1 << 17)), 0);
	assert_int_equal(stream_send_span(&p->s, span_of(bytes + (1 << 17), 1 << 17)), 0);
	assert_true(stream_above(&p->s));
	p->total = sizeof bytes;
	sem_post(&p->go);
}

static void
once_drained(void *owner)
{
	struct pair *p = owner;

	p->drained++;
	assert_int_equal(stream_send_span(&p->s, span_of(NULL, 0)), 0);
	assert_null(p->s.queue.first);
	stream_close_gently(&p->s, 30000);
}

static void
once_one(bool local)
{
	static const struct stream_calls calls = { pair_received, pair_ended,
		once_drained, pair_closed };
	struct pair p = { .peer = check_peer, .connected = once_connected };

	pair_init(&p, &calls);
	pair_dial(&p, local);
	pair_finish(&p, local);
	assert_true(p.good);
	assert_int_equal(p.drained, 1);
}

static void
drained_is_called_once(void **state)
{
	(void)state;
	both_kinds(once_one);
}

/* ---- the end ---------------------------------------------------------------------------- */

static void *
fin_peer(void *arg)
{
	struct pair *p = arg;

	close(accept(p->listen_fd, NULL, NULL));
	return NULL;
}

static void *
rst_peer(void *arg)
{
	struct pair *p = arg;
	int fd = accept(p->listen_fd, NULL, NULL);

	sem_wait(&p->go);
	help_reset(fd);
	return NULL;
}

static void
start_reading(struct pair *p)
{
	assert_int_equal(stream_read(&p->s, true), 0);
	assert_int_equal(stream_read(&p->s, true), 0);
	sem_post(&p->go);
}

static void
fin_one(bool local)
{
	static const struct stream_calls calls = { pair_received, pair_ended,
		NULL, pair_closed };
	struct pair p = { .peer = fin_peer, .connected = start_reading, .error = 1 };

	pair_init(&p, &calls);
	pair_dial(&p, local);
	pair_finish(&p, local);
	assert_int_equal(p.ended, 1);
	assert_int_equal(p.error, 0);
}

static void
fin_ends_it(void **state)
{
	(void)state;
	both_kinds(fin_one);
}

static void
rst_ends_it(void **state)
{
	static const struct stream_calls calls = { pair_received, pair_ended,
		NULL, pair_closed };
	struct pair p = { .peer = rst_peer, .connected = start_reading };

	(void)state;
	pair_init(&p, &calls);
	pair_dial(&p, false);
	pair_finish(&p, false);
	assert_int_equal(p.ended, 1);
	assert_int_equal(p.error, -ECONNRESET);
}

/* The peer is gone, nobody reads: the write finds out, `ended` comes later. */
static void
write_to_gone(struct loop_message *message)
{
	struct pair *p = list_entry(message, struct pair, mail);
	int rc;

	p->inside = true;
	rc = stream_send_span(&p->s, span_str("hello"));
	assert_true(rc == -ECONNRESET || rc == -EPIPE);
	assert_int_equal(stream_send_span(&p->s, span_str("hello")), rc);
	p->status = rc;
	assert_int_equal(stream_read(&p->s, true), 0); /* both sides will notice */
	p->inside = false;
}

static void
linger_connected(struct pair *p)
{
	/* Keep the loop alive until the message; go lets the peer reset. */
	loop_timer_start(&p->timer, 60000);
	sem_post(&p->go);
}

static void *
late_rst_peer(void *arg)
{
	struct pair *p = arg;
	int fd = accept(p->listen_fd, NULL, NULL);

	sem_wait(&p->go);
	help_reset(fd);
	loop_post(p->loop, &p->mail);
	return NULL;
}

static void
never(void *owner)
{
	(void)owner;
	fail();
}

static void
ended_once(void *owner, int error)
{
	struct pair *p = owner;

	assert_false(p->inside);
	p->ended++;
	p->error = error;
	loop_timer_close(&p->timer, NULL);
	assert_true(stream_send_span(&p->s, span_str("late")) < 0);
	stream_close(&p->s);
}

static void
failed_write_ends_it(void **state)
{
	static const struct stream_calls calls = { pair_received, ended_once, NULL, pair_closed };
	struct pair p = { .peer = late_rst_peer, .connected = linger_connected,
		.mail.run = write_to_gone };

	(void)state;
	pair_init(&p, &calls);
	assert_int_equal(loop_timer_init(p.loop, &p.timer, never, NULL), 0);
	pair_dial(&p, false);
	pair_finish(&p, false);
	assert_int_equal(p.ended, 1);
	assert_int_equal(p.error, p.status);
}

static void
close_now(struct pair *p)
{
	p->inside = true;
	stream_close(&p->s);
	p->inside = false;
	assert_true(stream_send_span(&p->s, span_str("x")) < 0);
}

static void
closing_in_connected(bool local)
{
	static const struct stream_calls calls = { pair_received, pair_ended,
		NULL, pair_closed };
	struct pair p = { .peer = fin_peer, .connected = close_now };

	pair_init(&p, &calls);
	pair_dial(&p, local);
	pair_finish(&p, local);
	assert_int_equal(p.ended, 0);
}

static void
drained_closes(void *owner)
{
	struct pair *p = owner;

	p->drained++;
	stream_close(&p->s);
}

static void
closing_in_drained(bool local)
{
	static const struct stream_calls calls = { pair_received, pair_ended,
		drained_closes, pair_closed };
	struct pair p = { .peer = check_peer, .connected = once_connected };

	pair_init(&p, &calls);
	pair_dial(&p, local);
	pair_finish(&p, local);
}

static void
closing_works_in_each_callback(void **state)
{
	/* In `received` and `ended` the other tests do. */
	(void)state;
	both_kinds(closing_in_connected);
	both_kinds(closing_in_drained);
}

/* What was queued when it is closed goes with it. */
static void
close_with_queue(struct pair *p)
{
	once_connected(p);
	close_now(p);
}

static void
closing_drops_the_queue(void **state)
{
	static const struct stream_calls calls = { pair_received, pair_ended,
		drained_closes, pair_closed };
	struct pair p = { .peer = check_peer, .connected = close_with_queue };

	(void)state;
	pair_init(&p, &calls);
	pair_dial(&p, false);
	pair_finish(&p, false);
	assert_false(p.good);
}

/* ---- dials that fail -------------------------------------------------------------------- */

static void
failed_dials_say_why(void **state)
{
	static const struct stream_calls calls = { pair_received, pair_ended,
		NULL, pair_closed };
	struct pair p = { 0 };
	char path[200];

	(void)state;
	memset(path, 'a', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	pair_init(&p, &calls);
	assert_int_equal(stream_dial_unix(&p.s, "/nonexistent/socket", pair_connected, &p),
	                 -ENOENT);
	assert_int_equal(stream_dial_unix(&p.s, path, pair_connected, &p),
	                 -ENAMETOOLONG);
	assert_int_equal(stream_dial_tcp(&p.s, "localhost", 1, pair_connected, &p), -EINVAL);
	assert_int_equal(stream_read(&p.s, true), -ENOTCONN);
	/* A port that nobody listens on. */
	close(help_listen_tcp(&p.port, 1));
	assert_int_equal(stream_dial_tcp(&p.s, "127.0.0.1", p.port, pair_connected, &p), 0);
	assert_int_equal(stream_dial_tcp(&p.s, "127.0.0.1", p.port, pair_connected, &p), -EISCONN);
	help_run(p.loop);
	assert_int_equal(p.status, -ECONNREFUSED);
	assert_int_equal(p.closed, 1);
	sem_destroy(&p.go);
}

static void
a_stream_never_opened_closes(void **state)
{
	static const struct stream_calls calls = { pair_received, pair_ended,
		NULL, pair_closed };
	struct pair p = { 0 };

	(void)state;
	pair_init(&p, &calls);
	p.inside = true;
	stream_close_gently(&p.s, 1000);
	p.inside = false;
	assert_int_equal(p.closed, 0);
	help_run(p.loop);
	assert_int_equal(p.closed, 1);
	sem_destroy(&p.go);
}

/* ---- accepted streams ------------------------------------------------------------------- */

static void
pair_incoming(void *owner, struct listener *listener, const struct sockaddr *peer)
{
	struct pair *p = owner;
	struct sockaddr_in from;
	char address[STREAM_ADDRESS_SIZE];
	uint16_t port;

	assert_int_equal(peer->sa_family, AF_INET);
	memcpy(&from, peer, sizeof from);
	assert_int_equal(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	p->incoming++;
	assert_int_equal(stream_accept(listener, &p->s), 0);
	stream_peer(&p->s, address, &port);
	assert_string_equal(address, "127.0.0.1");
	assert_int_equal(port, ntohs(from.sin_port));
	listener_close(listener);
	if (p->connected != NULL) {
		p->connected(p);
	}
}

static const struct listener_calls pair_listener = { .incoming = pair_incoming };

static void
pair_listen(struct pair *p, const char *address)
{
	char why[256];

	assert_int_equal(listener_open(p->loop, address, 0, 16, &pair_listener, p, &p->listener,
	                               &p->port, why), 0);
	assert_int_equal(pthread_create(&p->thread, NULL, p->peer, p), 0);
}

#define UNREAD 300000

/* Sends more than is read, then waits for the last words. */
static void *
talkative_peer(void *arg)
{
	struct pair *p = arg;
	int fd = help_connect(p->port);
	char *bytes = calloc(1, UNREAD);
	size_t at = 0;

	while (at < UNREAD) {
		ssize_t n = send(fd, bytes + at, UNREAD - at, MSG_NOSIGNAL);

		if (n <= 0) {
			break;
		}
		at += (size_t)n;
	}
	p->good = at == UNREAD && recv(fd, bytes, 3, MSG_WAITALL) == 3 &&
	          memcmp(bytes, "bye", 3) == 0 && recv(fd, bytes, 1, 0) == 0;
	free(bytes);
	close(fd);
	return NULL;
}

static void
say_bye(void *owner, struct span bytes)
{
	struct pair *p = owner;

	(void)bytes;
	p->received++;
	assert_int_equal(stream_read(&p->s, false), 0);
	assert_int_equal(stream_send_span(&p->s, span_str("bye")), 0);
	p->inside = true;
	stream_close_gently(&p->s, 30000);
	p->inside = false;
}

static void
the_last_words_arrive(void **state)
{
	static const struct stream_calls calls = { say_bye, pair_ended, NULL, pair_closed };
	static const char *const address[] = { "127.0.0.1", "::" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct pair p = { .peer = talkative_peer, .connected = start_reading };

		pair_init(&p, &calls);
		pair_listen(&p, address[i]);
		pair_finish(&p, false);
		assert_true(p.good);
		assert_int_equal(p.received, 1);
		assert_int_equal(p.ended, 0);
	}
}

/* A peer that never ends is not waited for. */
static void *
stubborn_peer(void *arg)
{
	struct pair *p = arg;
	int fd = help_connect(p->port);
	char byte;

	p->good = recv(fd, &byte, 1, 0) == 0;
	sem_wait(&p->go);
	close(fd);
	return NULL;
}

static void
stubborn_closed(void *owner)
{
	struct pair *p = owner;

	sem_post(&p->go);
	pair_closed(owner);
}

static void
close_gently_now(struct pair *p)
{
	stream_close_gently(&p->s, 20);
	stream_close_gently(&p->s, 60000);
}

static void
a_gentle_close_has_a_limit(void **state)
{
	static const struct stream_calls calls = { pair_received, pair_ended, NULL,
		stubborn_closed };
	struct pair p = { .peer = stubborn_peer, .connected = close_gently_now };

	(void)state;
	pair_init(&p, &calls);
	pair_listen(&p, "127.0.0.1");
	pair_finish(&p, false);
	assert_true(p.good);
}

static void *
refused_peer(void *arg)
{
	struct pair *p = arg;
	int fd = help_connect(p->port);
	char byte;

	p->good = recv(fd, &byte, 1, 0) < 0 && errno == ECONNRESET;
	close(fd);
	return NULL;
}

static void
abort_now(struct pair *p)
{
	stream_abort(&p->s);
}

static void
abort_resets(void **state)
{
	static const struct stream_calls calls = { pair_received, pair_ended,
		NULL, pair_closed };
	struct pair p = { .peer = refused_peer, .connected = abort_now };

	(void)state;
	pair_init(&p, &calls);
	pair_listen(&p, "127.0.0.1");
	pair_finish(&p, false);
	assert_true(p.good);
}

static void
a_bad_address_is_a_sentence(void **state)
{
	struct loop *loop = help_loop();
	struct listener *l = NULL;
	uint16_t port;
	char why[256];

	(void)state;
	assert_int_equal(listener_open(loop, "example.org", 1, 1, &pair_listener, NULL, &l, &port,
	                               why), -EINVAL);
	assert_non_null(strstr(why, "must be a literal"));
	assert_int_equal(listener_open(loop, "192.0.2.1", 1, 1, &pair_listener, NULL, &l, &port,
	                               why), -EADDRNOTAVAIL);
	assert_non_null(strstr(why, "no interface"));
	assert_int_equal(loop_free(loop), 0);
}

/* ---- refused connections, and none left to give ----------------------------------------- */

static void
not_taken(void *owner, struct listener *listener, const struct sockaddr *peer)
{
	struct pair *p = owner;

	(void)peer;
	if (++p->incoming == 3) {
		listener_close(listener);
	}
}

static void
listener_gone(void *owner)
{
	struct pair *p = owner;

	p->closed++;
	loop_stop(p->loop);
}

static void
what_is_not_taken_is_closed(void **state)
{
	static const struct listener_calls calls = { not_taken, listener_gone };
	struct pair p = { .loop = help_loop() };
	char why[256];
	char byte;
	int fd[3];

	(void)state;
	assert_int_equal(listener_open(p.loop, "127.0.0.1", 0, 16, &calls, &p, &p.listener,
	                               &p.port, why), 0);
	for (int i = 0; i < 3; i++) {
		fd[i] = help_connect(p.port);
	}
	help_run(p.loop);
	assert_int_equal(p.closed, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(recv(fd[i], &byte, 1, 0), 0);
		close(fd[i]);
	}
}

/* SO_REUSEPORT would let a second daemon in beside the first. */
static void
a_port_that_is_taken_is_a_sentence(void **state)
{
	static const struct listener_calls calls = { not_taken, listener_gone };
	struct pair p = { .loop = help_loop() };
	char why[256];

	(void)state;
	assert_int_equal(listener_open(p.loop, "127.0.0.1", 0, 1, &calls, &p, &p.listener,
	                               &p.port, why), 0);
	assert_int_equal(listener_probe("127.0.0.1", p.port, why), -EADDRINUSE);
	assert_non_null(strstr(why, "another program listens there"));
	listener_close(p.listener);
	help_run(p.loop);
	assert_int_equal(listener_probe("127.0.0.1", p.port, why), 0);
}

static rlim_t saved_limit;

static void
limit_files(rlim_t limit)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
	saved_limit = r.rlim_cur;
	r.rlim_cur = limit;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
}

static void
lift_limit(void *owner)
{
	struct pair *p = owner;

	assert_int_equal(p->incoming, 0);
	limit_files(saved_limit);
	loop_timer_close(&p->timer, NULL);
}

static void
no_descriptors_is_waited_out(void **state)
{
	static const struct listener_calls calls = { not_taken, listener_gone };
	static struct help_log log = { .message = "connections cannot be accepted for now" };
	struct pair p = { .loop = help_loop(), .incoming = 0 };
	char why[256];
	int fd[3];
	int lowest;

	(void)state;
	log_setup(LOG_LEVEL_INFO, help_log_sink, &log);
	assert_int_equal(listener_open(p.loop, "127.0.0.1", 0, 16, &calls, &p, &p.listener,
	                               &p.port, why), 0);
	for (int i = 0; i < 3; i++) {
		fd[i] = help_connect(p.port);
	}
	assert_int_equal(loop_timer_init(p.loop, &p.timer, lift_limit, &p), 0);
	loop_timer_start(&p.timer, 250); /* two pauses of the listener */
	lowest = dup(0);
	close(lowest);
	limit_files((rlim_t)lowest);
	help_run(p.loop);
	assert_int_equal(p.incoming, 3);
	assert_int_equal(log.count, 1); /* once, not per attempt */
	log.message = NULL; /* the sink stays */
	for (int i = 0; i < 3; i++) {
		close(fd[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_back),
		cmocka_unit_test(a_lot_arrives_whole),
		cmocka_unit_test(drained_is_called_once),
		cmocka_unit_test(fin_ends_it),
		cmocka_unit_test(rst_ends_it),
		cmocka_unit_test(failed_write_ends_it),
		cmocka_unit_test(closing_works_in_each_callback),
		cmocka_unit_test(closing_drops_the_queue),
		cmocka_unit_test(failed_dials_say_why),
		cmocka_unit_test(a_stream_never_opened_closes),
		cmocka_unit_test(the_last_words_arrive),
		cmocka_unit_test(a_gentle_close_has_a_limit),
		cmocka_unit_test(abort_resets),
		cmocka_unit_test(a_bad_address_is_a_sentence),
		cmocka_unit_test(a_port_that_is_taken_is_a_sentence),
		cmocka_unit_test(what_is_not_taken_is_closed),
		cmocka_unit_test(no_descriptors_is_waited_out),
	};

	alarm(HELP_LIMIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
