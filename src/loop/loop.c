/* SPDX-License-Identifier: BSD-2-Clause */
#include "loop/loop_int.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

static _Thread_local const struct loop *current;
static pthread_once_t ignore_once = PTHREAD_ONCE_INIT;

/*
 * libuv writes with writev(), which raises SIGPIPE when the peer is gone; we
 * want EPIPE. There is no flag for it, so the whole process ignores it.
 */
static void
ignore_sigpipe(void)
{
	signal(SIGPIPE, SIG_IGN);
}

/* ---- mailbox ---------------------------------------------------------------------- */

/* All mail, oldest first; *stopping as it was at that moment. */
static struct loop_message *
mail_take(struct loop *loop, bool *stopping)
{
	struct loop_message *first;

	pthread_mutex_lock(&loop->lock);
	first = loop->first;
	loop->first = NULL;
	loop->last = &loop->first;
	*stopping = loop->stopping;
	pthread_mutex_unlock(&loop->lock);
	return first;
}

/* Run what has come by now. True when there was any. */
static bool
mail_run(struct loop *loop)
{
	bool stopping;
	struct loop_message *message = mail_take(loop, &stopping);
	bool any = message != NULL;

	while (message != NULL) {
		/* run() may send it again or free it. */
		struct loop_message *next = message->next;

		message->run(message);
		message = next;
	}
	if (stopping) {
		/* It goes on working, but no longer keeps the loop alive. */
		uv_unref((uv_handle_t *)&loop->wake);
	}
	return any;
}

static void
woken(uv_async_t *wake)
{
	(void)mail_run(wake->data);
}

void
loop_post(struct loop *loop, struct loop_message *message)
{
	message->next = NULL;
	pthread_mutex_lock(&loop->lock);
	*loop->last = message;
	loop->last = &message->next;
	pthread_mutex_unlock(&loop->lock);
	uv_async_send(&loop->wake);
}

void
loop_stop(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->stopping = true;
	pthread_mutex_unlock(&loop->lock);
	uv_async_send(&loop->wake);
}

/* ---- life ------------------------------------------------------------------------- */

int
loop_new(const char *name, struct loop **out)
{
	struct loop *loop = calloc(1, sizeof *loop);
	int rc;

	pthread_once(&ignore_once, ignore_sigpipe);
	if (loop == NULL) {
		return -ENOMEM;
	}
	rc = uv_loop_init(&loop->uv);
	if (rc < 0) {
		goto fail;
	}
	rc = uv_async_init(&loop->uv, &loop->wake, woken);
	if (rc < 0) {
		uv_loop_close(&loop->uv);
		goto fail;
	}
	loop->wake.data = loop;
	loop_turns_init(loop);
	snprintf(loop->name, sizeof loop->name, "%s", name);
	pthread_mutex_init(&loop->lock, NULL);
	loop->last = &loop->first;
	*out = loop;
	return 0;
fail:
	free(loop);
	return rc;
}

static bool
own_handle(const struct loop *loop, const uv_handle_t *handle)
{
	return handle == (const uv_handle_t *)&loop->wake ||
	       handle == (const uv_handle_t *)&loop->check ||
	       handle == (const uv_handle_t *)&loop->idle;
}

struct leftovers {
	const struct loop *loop;
	unsigned count;
};

static void
look_at(uv_handle_t *handle, void *arg)
{
	struct leftovers *left = arg;

	if (own_handle(left->loop, handle) || uv_is_closing(handle)) {
		return;
	}
	left->count++;
	log_error(LOG_LOOP, "a handle was left open",
	          log_str("loop", left->loop->name),
	          log_str("type", uv_handle_type_name(uv_handle_get_type(handle))));
}

int
loop_free(struct loop *loop)
{
	struct leftovers left = { .loop = loop };

	if (loop == NULL) {
		return 0;
	}
	assert(!atomic_load(&loop->running));
	/* First look, then run: the owner of a leftover may be gone already. */
	uv_walk(&loop->uv, look_at, &left);
	if (left.count > 0) {
		return -EBUSY;
	}
	loop_turns_close(loop);
	uv_close((uv_handle_t *)&loop->wake, NULL);
	while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0) {
		/* close callbacks may close more */
	}
	if (uv_loop_close(&loop->uv) < 0) {
		return -EBUSY;
	}
	pthread_mutex_destroy(&loop->lock);
	free(loop);
	return 0;
}

int
loop_run(struct loop *loop)
{
	const struct loop *outer = current;

	current = loop;
	atomic_store(&loop->running, true);
	do {
		uv_run(&loop->uv, UV_RUN_DEFAULT);
		/* Mail may have come after the last look. */
	} while (mail_run(loop));
	atomic_store(&loop->running, false);
	current = outer;
	return 0;
}

static void *
thread_main(void *arg)
{
	struct loop *loop = arg;

	pthread_setname_np(pthread_self(), loop->name);
	(void)loop_run(loop);
	return NULL;
}

int
loop_start(struct loop *loop)
{
	sigset_t all;
	sigset_t before;
	int rc;

	/* Signals are the control thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* Before the thread is there: from now on the loop is not the caller's. */
	atomic_store(&loop->running, true);
	rc = pthread_create(&loop->thread, NULL, thread_main, loop);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		atomic_store(&loop->running, false);
	}
	return -rc;
}

void
loop_join(struct loop *loop)
{
	pthread_join(loop->thread, NULL);
}

bool
loop_here(const struct loop *loop)
{
	return current == loop;
}

uv_loop_t *
loop_uv(struct loop *loop)
{
	return &loop->uv;
}

uint64_t
loop_now(struct loop *loop)
{
	return uv_now(&loop->uv);
}
