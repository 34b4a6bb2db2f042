/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of loops, streams and upstream share. */
#ifndef TESTS_UNIT_LOOP_HELP_H
#define TESTS_UNIT_LOOP_HELP_H

#include "unit/cmocka_all.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "loop/loop.h"
#include "loop/stream.h"

#define HELP_LIMIT 60 /* seconds until a test that hangs is killed */

/* The lines that were logged, counted by their message. */
struct help_log {
	const char *message;
	const char *wanted; /* part of the last field's text, or NULL */
	unsigned count, found;
	char field[64]; /* the last field's text */
};

static inline void
help_log_sink(void *owner, enum log_level level, enum log_area area, const char *message,
              const struct log_field *fields)
{
	struct help_log *log = owner;

	(void)level;
	(void)area;
	if (log->message == NULL || strcmp(message, log->message) != 0) {
		return;
	}
	log->count++;
	for (; fields->key != NULL; fields++) {
		snprintf(log->field, sizeof log->field, "%.*s", SPAN_ARG(fields->text));
	}
	log->found += log->wanted != NULL && strstr(log->field, log->wanted) != NULL;
}

static inline struct loop *
help_loop(void)
{
	struct loop *loop = NULL;

	assert_int_equal(loop_new("test", &loop), 0);
	return loop;
}

/* Run until loop_stop(), then nothing may be left. */
static inline void
help_run(struct loop *loop)
{
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(loop_free(loop), 0);
}

/* A blocking TCP socket that listens on loopback. */
static inline int
help_listen_tcp(uint16_t *port, int backlog)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

static inline int
help_listen_unix(const char *path, int backlog)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_true(strlen(path) < sizeof at.sun_path);
	memcpy(at.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static inline int
help_connect(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static inline void
help_reset(int fd)
{
	struct linger reset = { .l_onoff = 1 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
	close(fd);
}

/* A folder of its own for sockets. */
struct help_folder {
	char folder[32];
	char path[48];
};

static inline void
help_folder_make(struct help_folder *f)
{
	strcpy(f->folder, "/tmp/loop-test-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof f->path, "%s/socket", f->folder);
}

static inline void
help_folder_remove(struct help_folder *f)
{
	unlink(f->path);
	rmdir(f->folder);
}

#endif
