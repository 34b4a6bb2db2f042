/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handing out. What is taken is remembered in memory only, so that after a
 * crash it is offered again. Of each device everything up to its cursor was
 * taken; the devices that have more stand in `active`, and the first of them
 * goes to the end when it has given one message.
 */
#include <stdlib.h>
#include <string.h>

#include "spool/spool_int.h"

/* An answer that grows: messages, and behind them their bytes. */
struct answer {
	struct spool_message *message;
	size_t *offset; /* of the message's bytes: topic, properties, payload */
	uint8_t *bytes;
	size_t count, used, size;
};

static bool
append(struct answer *a, struct span bytes)
{
	if (a->size - a->used < bytes.len) {
		size_t size = a->size * 2 + bytes.len + 4096;
		uint8_t *more = realloc(a->bytes, size);

		if (more == NULL) {
			return false;
		}
		a->bytes = more;
		a->size = size;
	}
	if (bytes.len > 0) {
		memcpy(a->bytes + a->used, bytes.ptr, bytes.len);
		a->used += bytes.len;
	}
	return true;
}

static struct span
column(sqlite3_stmt *row, int at)
{
	const void *bytes = sqlite3_column_blob(row, at);

	return span_of(bytes, bytes != NULL ? (size_t)sqlite3_column_bytes(row, at) : 0);
}

static bool
copy_row(struct answer *a, sqlite3_stmt *row, const struct device *device)
{
	struct spool_message *m = &a->message[a->count];
	size_t start = a->used;
	struct span identity = span_of((const uint8_t *)device->identity, device->length);

	*m = (struct spool_message){
		.sequence = (uint64_t)sqlite3_column_int64(row, 0),
		.identity = identity, /* the lengths; where they are is set at the end */
		.topic = column(row, 7),
		.properties = column(row, 8),
		.payload = column(row, 9),
		.received = sqlite3_column_int64(row, 4),
		.expiry = (uint32_t)sqlite3_column_int64(row, 5),
		.qos = (uint8_t)sqlite3_column_int(row, 2),
		.retain = sqlite3_column_int(row, 6) != 0,
	};
	if (!append(a, m->identity) || !append(a, m->topic) || !append(a, m->properties) ||
	    !append(a, m->payload)) {
		a->used = start;
		return false;
	}
	a->offset[a->count++] = start;
	return true;
}

static void
place(struct span *span, const uint8_t **at)
{
	span->ptr = *at;
	*at += span->len;
}

/* The bytes do not move any more. */
static void
finish(struct answer *a)
{
	for (size_t i = 0; i < a->count; i++) {
		const uint8_t *at = a->bytes + a->offset[i];
		struct spool_message *m = &a->message[i];

		place(&m->identity, &at);
		place(&m->topic, &at);
		place(&m->properties, &at);
		place(&m->payload, &at);
	}
}

/* ---- one message ---------------------------------------------------------------------- */

/* Its removal has failed, and is tried again. */
static bool
being_removed(const struct spool *spool, uint64_t sequence)
{
	const struct list *node, *after;

	list_each(node, after, &spool->removing) {
		if (list_entry(node, struct taken, node)->sequence == sequence) {
			return true;
		}
	}
	return false;
}

/* Counted as taken, and remembered: for the uplink, or to be removed. */
static void
note_taken(struct spool *spool, struct device *device, sqlite3_stmt *row, struct taken *t,
           struct list *list)
{
	*t = (struct taken){
		.device = device,
		.sequence = (uint64_t)sqlite3_column_int64(row, 0),
		.size = (uint64_t)sqlite3_column_int64(row, 3),
		.light = sqlite3_column_int(row, 2) == 0,
		.why = REMOVE_EXPIRED,
	};
	index_touch(spool, device);
	device->now.taken++;
	device->now.light_messages -= t->light;
	device->now.light_bytes -= t->light ? t->size : 0;
	list_append(list, &t->node);
}

/* The next of that device: into the answer, or past it. False: stop. */
static bool
take_row(struct spool *spool, struct device *device, sqlite3_stmt *row, struct answer *a,
         int64_t now, struct list *taken)
{
	uint64_t sequence = (uint64_t)sqlite3_column_int64(row, 0);
	bool expired = sqlite3_column_int64(row, 1) <= now;
	size_t size = (size_t)sqlite3_column_int64(row, 3);
	struct taken *t;

	if (being_removed(spool, sequence)) {
		device->cursor = sequence;
		return true;
	}
	if (a->count > 0 && !expired && a->used + size > SPOOL_TAKE_BYTES) {
		return false;
	}
	t = malloc(sizeof *t);
	if (t == NULL || (!expired && !copy_row(a, row, device))) {
		free(t);
		spool->error = -ENOMEM;
		return false;
	}
	note_taken(spool, device, row, t, expired ? &spool->removing : taken);
	device->cursor = sequence;
	return true;
}

static bool
take_one(struct spool *spool, struct device *device, struct answer *a, int64_t now,
         struct list *taken)
{
	sqlite3_stmt *row = disk_statement(spool, SQL_NEXT);
	bool on = false;

	if (row == NULL) {
		return false;
	}
	(void)sqlite3_bind_int64(row, 1, device->now.id);
	(void)sqlite3_bind_int64(row, 2, (int64_t)device->cursor);
	switch (disk_step(spool, row)) {
	case SQLITE_ROW:
		on = take_row(spool, device, row, a, now, taken);
		break;
	case SQLITE_DONE:
		spool->error = -EIO; /* the index says that there is one */
		break;
	}
	disk_reset(row);
	return on;
}

static void
fill(struct spool *spool, struct answer *a, unsigned room, int64_t now, struct list *taken)
{
	struct list *node;

	while (a->count < room && (node = list_take(&spool->active)) != NULL) {
		struct device *device = list_entry(node, struct device, active);
		bool on = take_one(spool, device, a, now, taken);

		if (!on && spool->error != 0) {
			/* A damaged page must not stop the others. */
			index_activate(spool, device);
			return;
		}
		if (!on) {
			/* It is the first again next time. */
			node->next = spool->active.next;
			node->prev = &spool->active;
			node->next->prev = node;
			spool->active.next = node;
			return;
		}
		index_activate(spool, device); /* at the end */
	}
}

/* ---- the answer --------------------------------------------------------------------------- */

static void
answered(struct loop_message *message)
{
	struct spool_take *take = container_of(message, struct spool_take, posted);
	struct spool *spool = take->spool;
	struct spool_message *messages = take->message;
	void *memory = take->memory;
	bool stale;

	pthread_mutex_lock(&spool->lock);
	stale = take->epoch != spool->epoch || spool->closed;
	pthread_mutex_unlock(&spool->lock);
	spool_let_go(spool);
	take->message = NULL;
	take->memory = NULL;
	take->done(take, messages, stale ? 0 : take->count, take->status);
	free(messages);
	free(memory);
}

static void
post(struct spool_take *take, struct answer *a, int status)
{
	finish(a);
	free(a->offset);
	take->message = a->message;
	take->memory = a->bytes;
	take->count = a->count;
	take->status = status;
	take->posted.run = answered;
	loop_post(take->back, &take->posted);
}

/*
 * Under the lock the messages become taken. When spool_untake() was called
 * meanwhile, they are given back at once, and the answer will say so.
 */
static void
hand_over(struct spool *spool, const struct spool_take *take, struct list *taken)
{
	bool stale;

	pthread_mutex_lock(&spool->lock);
	stale = take->epoch != spool->epoch;
	if (!stale) {
		queue_move(&spool->taken, taken);
	}
	index_settle(spool);
	pthread_mutex_unlock(&spool->lock);
	if (stale) {
		take_back(spool, taken);
	}
	spool->take_failed = stale || spool->error != 0;
}

void
take_answer(struct spool *spool, struct spool_take *take, int64_t now)
{
	struct answer a = { 0 };
	struct list taken;

	list_init(&taken);
	spool->error = 0;
	a.message = calloc(take->room > 0 ? take->room : 1, sizeof *a.message);
	a.offset = calloc(take->room > 0 ? take->room : 1, sizeof *a.offset);
	if (a.message == NULL || a.offset == NULL) {
		spool->error = -ENOMEM;
	} else {
		fill(spool, &a, take->room, now, &taken);
	}
	hand_over(spool, take, &taken);
	post(take, &a, a.count > 0 ? 0 : spool->error);
}

/* ---- giving back ---------------------------------------------------------------------------- */

void
take_back(struct spool *spool, struct list *taken)
{
	struct list *node;

	while ((node = list_take(taken)) != NULL) {
		struct taken *t = list_entry(node, struct taken, node);
		struct device *device = t->device;

		index_touch(spool, device);
		device->now.taken--;
		device->now.light_messages += t->light;
		device->now.light_bytes += t->light ? t->size : 0;
		device->now.soonest = 0; /* not known: the next sweep looks */
		device->cursor = 0;
		index_activate(spool, device);
		free(t);
	}
	pthread_mutex_lock(&spool->lock);
	index_settle(spool);
	pthread_mutex_unlock(&spool->lock);
}

void
take_free(struct list *taken)
{
	struct list *node;

	while ((node = list_take(taken)) != NULL) {
		free(list_entry(node, struct taken, node));
	}
}
