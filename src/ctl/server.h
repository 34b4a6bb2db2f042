/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of the daemon, on the control thread's loop. The peer's
 * credentials are taken at accept and checked for each command. Bad input
 * closes that client and nothing else; slow clients meet a deadline; clients
 * are limited in number.
 */
#ifndef GATEWAY_CTL_SERVER_H
#define GATEWAY_CTL_SERVER_H

#include <sys/types.h>

#include "ctl/doc.h"
#include "loop/loop.h"

struct ctl_server;
struct ctl_request;

enum ctl_right {
	CTL_READ,  /* whoever may open the socket (mode 0660: the group) */
	CTL_WRITE, /* root, the daemon's own user, and members of the socket's group */
	CTL_ROOT,  /* root and the daemon's own user only */
};

struct ctl_command {
	const char *name;
	enum ctl_right right;
	/*
	 * Answer now or later, exactly once, with ctl_reply() or ctl_refuse();
	 * the request is gone afterwards. args is the whole request map.
	 */
	void (*run)(void *owner, struct ctl_request *request, const struct doc *args);
};

/*
 * The process must ignore SIGPIPE: a client may leave before its answer.
 *
 * Listens at path (0660, owner's group). Refuses when a live daemon answers
 * there, removes a stale socket (a lock file beside it, PATH.lock, settles the
 * race of two daemons). To be called before other threads run, because the
 * umask is the process's. Commands end with name NULL and must outlive
 * the server. why: 256 bytes.
 */
int ctl_server_open(struct loop *loop, const char *path, const struct ctl_command *commands,
                    void *owner, struct ctl_server **out, char *why) MUST_CHECK;
/*
 * Stops listening, ends the clients after what is queued; done(owner) later.
 * Requests that are still open then may be answered all the same.
 */
void ctl_server_close(struct ctl_server *server, void (*done)(void *owner), void *owner);

/* The reply is taken over. */
void ctl_reply(struct ctl_request *request, struct doc *reply);
/* code: enum err or negative errno; sentence: what a person reads. */
void ctl_refuse(struct ctl_request *request, int code, const char *sentence);

/*
 * Instead of the one answer, events until somebody ends it: false when the
 * client is gone already, and the request with it. The client ends it by
 * closing (or by sending anything): left(owner) runs once then, also when the
 * server closes, and the request is gone. ctl_reply() or ctl_refuse() end it
 * from this side; left() does not run then.
 */
bool ctl_stream(struct ctl_request *request, void (*left)(void *owner), void *owner);
/*
 * Send an event (taken over) to a streaming client. Negative: it reads too
 * slowly or memory is short, was told so and is let go; the request is gone,
 * and left() does not run.
 */
int ctl_event(struct ctl_request *request, struct doc *event) MUST_CHECK;

struct ctl_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
};
struct ctl_peer ctl_request_peer(const struct ctl_request *request);

#endif
