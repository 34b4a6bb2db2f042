/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors that belong to a library and are watched for it. */
#include "loop/loop_int.h"

#include <assert.h>

static void
polled(uv_poll_t *handle, int status, int events)
{
	struct loop_poll *poll = handle->data;

	/* An error shows when the library reads. */
	poll->ready(poll->owner, status < 0 || (events & UV_READABLE) != 0,
	            status >= 0 && (events & UV_WRITABLE) != 0);
}

static void
poll_closed(uv_handle_t *handle)
{
	struct loop_poll *poll = handle->data;

	if (poll->closed != NULL) {
		poll->closed(poll->owner);
	}
}

int
loop_poll_open(struct loop *loop, struct loop_poll *poll, int fd,
               void (*ready)(void *owner, bool readable, bool writable), void *owner)
{
	int rc;

	assert(loop_mine(loop));
	*poll = (struct loop_poll){ .ready = ready, .owner = owner };
	poll->handle.data = poll;
	rc = uv_poll_init(&loop->uv, &poll->handle, fd);
	if (rc == 0) {
		loop_poll_want(poll, true, false);
	}
	return rc;
}

void
loop_poll_want(struct loop_poll *poll, bool read, bool write)
{
	int events = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);

	if (uv_is_closing((uv_handle_t *)&poll->handle)) {
		return;
	}
	/* libuv takes the descriptor out of its set and puts it in again, whatever it asks for. */
	if (events == poll->events && uv_is_active((uv_handle_t *)&poll->handle)) {
		return;
	}
	poll->events = events;
	if (events != 0) {
		(void)uv_poll_start(&poll->handle, events, polled);
	} else {
		(void)uv_poll_stop(&poll->handle);
	}
}

void
loop_poll_close(struct loop_poll *poll, void (*closed)(void *owner))
{
	if (!uv_is_closing((uv_handle_t *)&poll->handle)) {
		poll->closed = closed;
		uv_close((uv_handle_t *)&poll->handle, poll_closed);
	}
}
