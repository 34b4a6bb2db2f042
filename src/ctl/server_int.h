/* SPDX-License-Identifier: BSD-2-Clause */
/* For server*.c and their tests: limits and the source of credentials. */
#ifndef GATEWAY_CTL_SERVER_INT_H
#define GATEWAY_CTL_SERVER_INT_H

#include "ctl/server.h"

struct ctl_limits {
	unsigned clients;     /* at once */
	unsigned reserved;    /* of these, for root and the daemon's own user only */
	unsigned request_ms;  /* from accept or the last answer to a whole request */
	unsigned answer_ms;   /* from the answer to its last byte taken by the client */
	unsigned stop_ms;     /* the same when the server closes: it must not wait for long */
	size_t answer_size;   /* of one answer, bytes */
	size_t answers_size;  /* of all answers not yet sent, bytes */
	size_t stream_size;   /* of the events that wait for one client, bytes */
	/* Who is at the other end; *member: of the group `group`. */
	int (*peer)(int fd, gid_t group, struct ctl_peer *out, bool *member);
};

extern const struct ctl_limits ctl_limits_default;

/* ctl_server_open() with other limits and on a bare libuv loop. */
int ctl_server_open_with(uv_loop_t *uv, const char *path, const struct ctl_command *commands,
                         void *owner, const struct ctl_limits *limits, struct ctl_server **out,
                         char *why) MUST_CHECK;

/* ---- server_path.c: the socket in the file system ----------------------- */

struct ctl_path {
	char *name;
	int lock;  /* held as long as the server lives */
	dev_t dev; /* of the socket that we made */
	ino_t ino;
	gid_t group;
};

/* Make and listen. 0 and the descriptor in *fd, or a failure with a sentence. */
int ctl_path_listen(struct ctl_path *path, const char *name, int backlog, int *fd,
                    char *why) MUST_CHECK;
/* Remove the socket, if it is still ours, and give up the lock. */
void ctl_path_release(struct ctl_path *path);
/* The default of ctl_limits.peer. */
int ctl_path_peer(int fd, gid_t group, struct ctl_peer *out, bool *member) MUST_CHECK;

#endif
