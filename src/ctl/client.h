/* SPDX-License-Identifier: BSD-2-Clause */
/* The client side of the control socket, blocking, for gatewayctl. */
#ifndef GATEWAY_CTL_CLIENT_H
#define GATEWAY_CTL_CLIENT_H

#include "ctl/doc.h"

struct ctl_client;

/*
 * ERR_UNAVAILABLE: nobody listens (gatewayd is not running); -EACCES: not
 * allowed. why (256 bytes): a sentence with the remedy.
 */
int ctl_connect(const char *path, struct ctl_client **out, char *why) MUST_CHECK;
void ctl_disconnect(struct ctl_client *client);
/*
 * The whole sentence of the last refusal (why holds its first 255 bytes; that
 * of a refused reload has many lines). "" when the last call was no refusal.
 * Valid until the next call.
 */
const char *ctl_refusal(const struct ctl_client *client);
/*
 * Send a request { command: NAME, ... } (args is a map with further keys, may
 * be NULL, stays the caller's) and wait at most timeout_ms for the answer.
 * 0 and the document under "result"; the daemon's refusal comes back as its
 * code and sentence. ERR_TIMEOUT, ERR_VERSION, ERR_CLOSED.
 */
int ctl_call(struct ctl_client *client, const char *command, const struct doc *args,
             unsigned timeout_ms, struct doc **out, char *why) MUST_CHECK;

/* What to do with the events of a command that goes on. */
struct ctl_watch {
	/* The event stays the caller's. False ends the watching. */
	bool (*event)(void *owner, const struct doc *event);
	void *owner;
	int stop; /* a descriptor; when it can be read, the watching ends. -1: none */
};
/*
 * Send a request as above and wait for events without a limit of time. 0: the
 * daemon, the caller's function or the descriptor has ended it; the
 * connection is of no more use then. ERR_CLOSED: the daemon went away.
 */
int ctl_watch(struct ctl_client *client, const char *command, const struct doc *args,
              const struct ctl_watch *watch, char *why) MUST_CHECK;

#endif
