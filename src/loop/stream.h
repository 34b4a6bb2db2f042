/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Byte streams (TCP and unix sockets) on a loop. One system call per wake-up
 * and direction: reading uses one buffer per loop, lent to the reader for the
 * time of the callback; writing takes a batch and sends it with one writev,
 * and only what the kernel does not take is copied and kept.
 *
 * A stream is embedded in its owner and belongs to its loop's thread. After
 * stream_close() no callback but `closed` runs, and only in that callback may
 * the owner's memory go. `ended` runs at most once.
 */
#ifndef GATEWAY_LOOP_STREAM_H
#define GATEWAY_LOOP_STREAM_H

#include <netinet/in.h>

#include "base/chain.h"
#include "loop/loop.h"

struct stream;

struct stream_calls {
	/* Bytes arrived; they are lent until the callback returns. */
	void (*received)(void *owner, struct span bytes);
	/* End: 0 for FIN (EOF), else a negative errno (-ECONNRESET, ...), also
	 * for a failed write. The stream is still to be closed by the owner. */
	void (*ended)(void *owner, int error);
	/* The queue towards the peer fell to or below the low mark after it had
	 * been above the high mark. May be NULL. */
	void (*drained)(void *owner);
	/* The stream is gone. */
	void (*closed)(void *owner);
};

struct stream_linger;

/* All fields are the stream's own. */
struct stream {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	union { /* one at a time: dial, then write, at last shut down */
		uv_connect_t connect;
		uv_write_t write;
		uv_shutdown_t shutdown;
	} request;
	const struct stream_calls *calls;
	void *owner;
	struct loop *loop;
	void (*connected)(void *dialer, int status);
	void *dialer;
	struct loop_deferred soon;   /* what must not run inside a call */
	struct stream_linger *linger; /* while closing gently */
	struct chain queue;   /* what the kernel has not taken */
	size_t flying;        /* its first bytes, with libuv while `writing` */
	uint32_t high, low;   /* marks, bytes */
	int error;            /* of the first failed write */
	struct in6_addr peer; /* IPv4 as a mapped address */
	uint16_t peer_port;
	bool open;    /* libuv has a handle to close */
	bool linked;  /* connected: may read and write */
	bool local;   /* unix socket */
	bool reading, writing, above, ended, closing;
	bool fed;     /* this wake-up has filled the read buffer once */
	bool fin_in, fin_asked, fin_out; /* FIN came, is under way, is sent */
};

/* ---- making ------------------------------------------------------------------------ */

/*
 * Prepare the memory. Nothing is open yet; high and low are the water marks
 * in bytes. Calls and owner must stay valid until `closed`.
 */
void stream_init(struct stream *s, struct loop *loop, const struct stream_calls *calls,
                 void *owner, uint32_t high, uint32_t low);
/*
 * Dial. connected(dialer, status) runs later: 0 or a negative errno. Addresses
 * are literals; nothing is resolved. On a direct failure the code is returned
 * and no callback comes. A unix socket fails directly only (-EAGAIN: the
 * backlog is full), and the stream may then be dialled again; after any other
 * failure it can only be closed.
 */
int stream_dial_unix(struct stream *s, const char *path,
                     void (*connected)(void *dialer, int status), void *dialer) MUST_CHECK;
int stream_dial_tcp(struct stream *s, const char *address, uint16_t port,
                    void (*connected)(void *dialer, int status), void *dialer) MUST_CHECK;
/* `connected` will not run any more. The stream is to be closed. */
void stream_dial_forget(struct stream *s);

/* ---- using --------------------------------------------------------------------------- */

/*
 * Reading starts off; it may be switched at any time. After the end this does
 * nothing and returns 0. -ENOTCONN before the stream is open.
 */
int stream_read(struct stream *s, bool on);
/*
 * Send the pieces of a batch (the batch itself is left alone; its bytes need
 * not stay valid). 0, or a negative errno after which `ended` runs too, later,
 * unless it ran before. After `ended` with 0 (FIN) sending is still possible.
 */
int stream_send(struct stream *s, const struct batch *b) MUST_CHECK;
int stream_send_span(struct stream *s, struct span bytes) MUST_CHECK;
/* Bytes not yet taken by the kernel. */
size_t stream_queued(const struct stream *s);
/*
 * Bytes that the kernel took and the peer never confirmed, as far as it tells;
 * 0 for unix sockets.
 */
uint32_t stream_unacknowledged(const struct stream *s);
/* More than the high mark is queued: stop producing until `drained`. */
bool stream_above(const struct stream *s);

/* ---- ending --------------------------------------------------------------------------- */

/* Close at once; what is queued is lost. Also for a stream never opened. */
void stream_close(struct stream *s);
/*
 * Send what is queued, then FIN, then read and discard until the peer's FIN
 * or `ms` passed, then close: so that a last alert or CONNACK reaches a
 * client whose bytes we have not read (closing with unread bytes would reset
 * the connection). Only `closed` runs from now on.
 */
void stream_close_gently(struct stream *s, unsigned ms);
/* SO_LINGER 0 and close: for refused peers that shall cost nothing. */
void stream_abort(struct stream *s);

/* "192.0.2.1" or "2001:db8::1" of the peer ("local" for unix) and its port. */
#define STREAM_ADDRESS_SIZE 46
void stream_peer(const struct stream *s, char *address, uint16_t *port);

/* ---- listening -------------------------------------------------------------------------- */

struct listener;

struct listener_calls {
	/*
	 * A connection waits. Call stream_accept() in this callback, or it is
	 * closed. `peer` is the remote address, known before anything is spent;
	 * AF_INET6 only when it is no IPv4 address.
	 */
	void (*incoming)(void *owner, struct listener *listener, const struct sockaddr *peer);
	void (*closed)(void *owner);
};

/*
 * Listen with SO_REUSEPORT on a literal address ("::" takes IPv4 too) so that
 * each worker has a queue of its own; TCP_NODELAY is set on what is accepted.
 * port 0 picks one; *bound gets it. why: a sentence (256 bytes) on failure.
 */
int listener_open(struct loop *loop, const char *address, uint16_t port, unsigned backlog,
                  const struct listener_calls *calls, void *owner, struct listener **out,
                  uint16_t *bound, char *why) MUST_CHECK;
/*
 * Is the port free? SO_REUSEPORT would let a second process of the same user
 * in beside the first, and each would get a part of the connections. Asked
 * once, before the first listener_open(). why as there.
 */
int listener_probe(const char *address, uint16_t port, char *why) MUST_CHECK;
/*
 * Put the waiting connection into a stream made by stream_init(). On failure
 * the stream must still be closed.
 */
int stream_accept(struct listener *listener, struct stream *s) MUST_CHECK;
/* Frees the listener; `closed` (may be NULL) runs later. */
void listener_close(struct listener *listener);

#endif
