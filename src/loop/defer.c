/* SPDX-License-Identifier: BSD-2-Clause */
#include "loop/loop_int.h"

#include <assert.h>

#define BUDGET 4

static void
nothing(uv_idle_t *idle)
{
	(void)idle;
}

/* What is queued meanwhile waits for the next turn. */
static void
run_soon(struct loop *loop)
{
	struct list now;
	struct list *node;

	list_init(&now);
	while ((node = list_take(&loop->soon)) != NULL) {
		list_append(&now, node);
	}
	while ((node = list_take(&now)) != NULL) {
		struct loop_deferred *work = list_entry(node, struct loop_deferred, node);

		work->run(work->owner);
	}
}

static void
run_deferred(struct loop *loop)
{
	size_t left = loop->deferred_count < loop->budget ? loop->deferred_count : loop->budget;
	struct list *node;

	while (left-- > 0 && (node = list_take(&loop->deferred)) != NULL) {
		struct loop_deferred *work = list_entry(node, struct loop_deferred, node);

		loop->deferred_count--;
		work->run(work->owner);
	}
}

/* The check phase: the sockets that were ready have been served. */
static void
turn(uv_check_t *check)
{
	struct loop *loop = check->data;

	run_soon(loop);
	run_deferred(loop);
	if (list_empty(&loop->soon) && list_empty(&loop->deferred)) {
		uv_idle_stop(&loop->idle);
	}
}

void
loop_turns_init(struct loop *loop)
{
	list_init(&loop->soon);
	list_init(&loop->deferred);
	loop->budget = BUDGET;
	uv_idle_init(&loop->uv, &loop->idle);
	uv_check_init(&loop->uv, &loop->check);
	loop->check.data = loop;
	uv_check_start(&loop->check, turn);
	uv_unref((uv_handle_t *)&loop->check);
}

void
loop_turns_close(struct loop *loop)
{
	uv_close((uv_handle_t *)&loop->idle, NULL);
	uv_close((uv_handle_t *)&loop->check, NULL);
}

void
loop_soon(struct loop *loop, struct loop_deferred *work)
{
	assert(loop_mine(loop));
	if (list_empty(&work->node)) {
		list_append(&loop->soon, &work->node);
		uv_idle_start(&loop->idle, nothing);
	}
}

void
loop_defer_budget(struct loop *loop, unsigned per_turn)
{
	loop->budget = per_turn > 0 ? per_turn : 1;
}

void
loop_defer(struct loop *loop, struct loop_deferred *work)
{
	assert(loop_mine(loop));
	if (list_empty(&work->node)) {
		work->loop = loop;
		list_append(&loop->deferred, &work->node);
		loop->deferred_count++;
		uv_idle_start(&loop->idle, nothing);
	}
}

void
loop_defer_cancel(struct loop_deferred *work)
{
	if (!list_empty(&work->node)) {
		list_remove(&work->node);
		work->loop->deferred_count--;
	}
}

size_t
loop_deferred_count(const struct loop *loop)
{
	return loop->deferred_count;
}
