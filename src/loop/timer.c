/* SPDX-License-Identifier: BSD-2-Clause */
/* Timers and signals: thin, but nobody else closes a libuv handle. */
#include "loop/loop_int.h"

#include <assert.h>
#include <sys/random.h>

uint64_t
loop_jitter(uint64_t most)
{
	uint32_t dice = 0;

	(void)!getrandom(&dice, sizeof dice, GRND_NONBLOCK);
	return dice * (most + 1) >> 32;
}

static void
timer_fired(uv_timer_t *handle)
{
	struct loop_timer *timer = handle->data;

	timer->fired(timer->owner);
}

static void
timer_closed(uv_handle_t *handle)
{
	struct loop_timer *timer = handle->data;

	if (timer->closed != NULL) {
		timer->closed(timer->owner);
	}
}

int
loop_timer_init(struct loop *loop, struct loop_timer *timer, void (*fired)(void *owner),
                void *owner)
{
	assert(loop_mine(loop));
	*timer = (struct loop_timer){ .fired = fired, .owner = owner };
	timer->handle.data = timer;
	return uv_timer_init(&loop->uv, &timer->handle);
}

void
loop_timer_start(struct loop_timer *timer, uint64_t ms)
{
	/* It fails only when the timer is being closed; then it is not to fire. */
	(void)uv_timer_start(&timer->handle, timer_fired, ms, 0);
}

void
loop_timer_stop(struct loop_timer *timer)
{
	(void)uv_timer_stop(&timer->handle);
}

bool
loop_timer_active(const struct loop_timer *timer)
{
	return uv_is_active((const uv_handle_t *)&timer->handle) != 0;
}

void
loop_timer_close(struct loop_timer *timer, void (*closed)(void *owner))
{
	if (!uv_is_closing((uv_handle_t *)&timer->handle)) {
		timer->closed = closed;
		uv_close((uv_handle_t *)&timer->handle, timer_closed);
	}
}

static void
signal_caught(uv_signal_t *handle, int signum)
{
	struct loop_signal *s = handle->data;

	s->caught(s->owner, signum);
}

int
loop_signal_start(struct loop *loop, struct loop_signal *s, int signum,
                  void (*caught)(void *owner, int signum), void *owner)
{
	int rc;

	assert(loop_mine(loop));
	*s = (struct loop_signal){ .caught = caught, .owner = owner };
	rc = uv_signal_init(&loop->uv, &s->handle);
	if (rc < 0) {
		return rc;
	}
	s->handle.data = s;
	rc = uv_signal_start(&s->handle, signal_caught, signum);
	if (rc < 0) {
		loop_signal_close(s);
	}
	return rc;
}

void
loop_signal_close(struct loop_signal *s)
{
	if (!uv_is_closing((uv_handle_t *)&s->handle)) {
		uv_close((uv_handle_t *)&s->handle, NULL);
	}
}
