/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What changes the file: one transaction of all that waits. Removals come
 * first, so that they make room. When the disk is full, it is tried once more
 * with the WAL begun anew; when it fails then, its puts are answered with the
 * error, and the removals are tried alone.
 */
#include <errno.h>
#include <stdlib.h>

#include "spool/spool_int.h"

/* The oldest of each device that has lost its oldest. */
static void
find_first(struct spool *spool)
{
	for (struct device *d = spool->touched; d != NULL && spool->error == 0;
	     d = d->touched_next) {
		sqlite3_stmt *first;

		if (d->now.messages == 0) {
			d->now.first = 0;
			d->now.oldest = 0;
			continue;
		}
		first = d->now.first == 0 ? disk_statement(spool, SQL_FIRST) : NULL;
		if (first == NULL) {
			continue;
		}
		(void)sqlite3_bind_int64(first, 1, d->now.id);
		if (disk_step(spool, first) == SQLITE_ROW) {
			d->now.first = (uint64_t)sqlite3_column_int64(first, 0);
			d->now.oldest = sqlite3_column_int64(first, 1);
		}
		disk_reset(first);
	}
}

static int
transaction(struct spool *spool, struct spool_put *put, uint64_t limit, int64_t now,
            int64_t *removed, bool *through)
{
	*removed = 0;
	*through = false;
	if (!disk_begin(spool, put != NULL || spool->purge != NULL)) {
		return spool->error;
	}
	remove_finished(spool);
	if (spool->error == 0) {
		remove_expired(spool, now);
	}
	if (spool->purge != NULL && spool->error == 0) {
		*through = remove_purged(spool, removed);
		spool->delta.purged += (uint64_t)*removed;
	}
	for (; put != NULL && spool->error == 0; put = put->next) {
		store_message(spool, put, limit);
	}
	find_first(spool);
	disk_reserve(spool);
	return disk_end(spool);
}

static void
put_done(struct loop_message *message)
{
	struct spool_put *put = container_of(message, struct spool_put, posted);

	free(put->copy);
	put->copy = NULL;
	put->done(put, put->status);
}

static void
add_counts(struct spool *spool)
{
	struct counts *to = &spool->counts;
	const struct counts *from = &spool->delta;

	to->stored += from->stored;
	to->delivered += from->delivered;
	to->expired += from->expired;
	to->dropped += from->dropped;
	to->refused_full += from->refused_full;
	to->refused_broker += from->refused_broker;
	to->purged += from->purged;
}

/* Under the lock: decided. Before the settling, which may free the device. */
static void
settle_puts(struct spool *spool, struct spool_put *put, int error)
{
	for (; put != NULL; put = put->next) {
		struct device *device = ((struct copy *)put->copy)->device;

		index_touch(spool, device);
		device->settled = put->message.sequence;
		if (error != 0) {
			put->status = error;
		}
	}
}

static void
post_puts(struct spool_put *put)
{
	struct spool_put *next;

	for (; put != NULL; put = next) {
		next = put->next;
		put->posted.run = put_done;
		loop_post(put->back, &put->posted);
	}
}

static void
settle(struct spool *spool, struct spool_put *put, int error)
{
	pthread_mutex_lock(&spool->lock);
	settle_puts(spool, put, error);
	index_settle(spool);
	if (error == 0) {
		add_counts(spool);
	}
	spool->last_error = error;
	pthread_mutex_unlock(&spool->lock);
	post_puts(put);
}

void
write_batch(struct spool *spool, struct spool_put *put, uint64_t limit, int64_t now)
{
	int64_t removed = 0;
	bool through = false, puts = put != NULL;
	int error, first;

	if (put == NULL && list_empty(&spool->removing) && spool->purge == NULL &&
	    !remove_due(spool, now)) {
		return;
	}
	error = transaction(spool, put, limit, now, &removed, &through);
	if (error == -ENOSPC) {
		disk_make_room(spool);
		error = transaction(spool, put, limit, now, &removed, &through);
	}
	first = error;
	if (error != 0 && put != NULL) {
		settle(spool, put, error);
		put = NULL;
		disk_make_room(spool);
		error = transaction(spool, NULL, limit, now, &removed, &through);
	}
	remove_purge_settle(spool, error, removed, through);
	if (error == 0) {
		take_free(&spool->removing);
	}
	settle(spool, put, error);
	if (first != 0) {
		pthread_mutex_lock(&spool->lock);
		spool->last_error = first;
		pthread_mutex_unlock(&spool->lock);
	}
	/* On a full disk removals succeed while puts fail: that is one episode. */
	if (first != 0 || puts) {
		disk_note(spool, first);
	}
}
