/* SPDX-License-Identifier: BSD-2-Clause */
/* What leaves the file: delivered, refused, expired, purged, or dropped to make room. */
#include <errno.h>
#include <stdlib.h>

#include "spool/spool_int.h"

#define SWEEP_ROWS 1000 /* of one device in one transaction */
#define PURGE_ROWS 2000 /* in one transaction */

/* ---- one message --------------------------------------------------------------------------- */

/* Take the message out of the counts. */
static void
uncount(struct spool *spool, struct device *device, uint64_t sequence, uint64_t size)
{
	struct tally *t = &device->now;

	index_touch(spool, device);
	t->messages--;
	t->bytes -= size;
	spool->messages--;
	spool->bytes -= size;
	if (t->first == sequence) {
		t->first = 0; /* looked up before the commit */
	}
}

/* True: it was there, and is gone. */
static bool
delete(struct spool *spool, uint64_t sequence)
{
	sqlite3_stmt *statement = disk_statement(spool, SQL_DELETE);
	bool gone;

	if (statement == NULL) {
		return false;
	}
	(void)sqlite3_bind_int64(statement, 1, (int64_t)sequence);
	gone = disk_step(spool, statement) == SQLITE_DONE && sqlite3_changes(spool->db) == 1;
	disk_reset(statement);
	return gone;
}

void
remove_finished(struct spool *spool)
{
	struct list *node, *after;

	list_each(node, after, &spool->removing) {
		struct taken *t = list_entry(node, struct taken, node);

		if (spool->error != 0) {
			return;
		}
		if (delete(spool, t->sequence)) {
			uncount(spool, t->device, t->sequence, t->size);
			t->device->now.taken--;
			spool->delta.delivered += t->why == REMOVE_DELIVERED;
			spool->delta.refused_broker += t->why == REMOVE_REFUSED;
			spool->delta.expired += t->why == REMOVE_EXPIRED;
		}
	}
}

struct row {
	uint64_t sequence, size;
	bool light;
};

/* Rows of one device by a bound statement, read before any is removed. */
static unsigned
read_rows(struct spool *spool, sqlite3_stmt *statement, struct row *row, unsigned most)
{
	unsigned n = 0;

	while (n < most && disk_step(spool, statement) == SQLITE_ROW) {
		row[n].sequence = (uint64_t)sqlite3_column_int64(statement, 0);
		row[n].size = (uint64_t)sqlite3_column_int64(statement, 1);
		row[n++].light = sqlite3_column_int(statement, 2) == 0;
	}
	disk_reset(statement);
	return n;
}

/* Rows that nobody has taken. */
static unsigned
remove_rows(struct spool *spool, struct device *device, enum statement which, int64_t bound,
            unsigned most)
{
	sqlite3_stmt *statement = disk_statement(spool, which);
	struct row *row = malloc(most * sizeof *row);
	unsigned n = 0;

	if (statement != NULL && row != NULL) {
		(void)sqlite3_bind_int64(statement, 1, device->now.id);
		(void)sqlite3_bind_int64(statement, 2, (int64_t)device->cursor);
		(void)sqlite3_bind_int64(statement, 3, bound);
		(void)sqlite3_bind_int64(statement, 4, most);
		n = read_rows(spool, statement, row, most);
	}
	for (unsigned i = 0; i < n && spool->error == 0; i++) {
		if (delete(spool, row[i].sequence)) {
			uncount(spool, device, row[i].sequence, row[i].size);
			device->now.light_messages -= row[i].light;
			device->now.light_bytes -= row[i].light ? row[i].size : 0;
		}
	}
	if (row == NULL) {
		spool->error = -ENOMEM;
	}
	free(row);
	return n;
}

bool
remove_light(struct spool *spool, struct device *device)
{
	sqlite3_stmt *statement = disk_statement(spool, SQL_LIGHT);
	uint64_t sequence = 0, size = 0;

	if (statement == NULL) {
		return false;
	}
	(void)sqlite3_bind_int64(statement, 1, device->now.id);
	(void)sqlite3_bind_int64(statement, 2, (int64_t)device->cursor);
	if (disk_step(spool, statement) == SQLITE_ROW) {
		sequence = (uint64_t)sqlite3_column_int64(statement, 0);
		size = (uint64_t)sqlite3_column_int64(statement, 1);
	}
	disk_reset(statement);
	if (sequence == 0 || !delete(spool, sequence)) {
		return false;
	}
	uncount(spool, device, sequence, size);
	device->now.light_messages--;
	device->now.light_bytes -= size;
	device->now.dropped++;
	spool->delta.dropped++;
	return true;
}

/* ---- expiry ------------------------------------------------------------------------------ */

static void
sweep_device(struct spool *spool, struct device *device, int64_t now)
{
	unsigned n = remove_rows(spool, device, SQL_EXPIRED, now, SWEEP_ROWS);
	sqlite3_stmt *statement;

	spool->delta.expired += n;
	if (n == SWEEP_ROWS || spool->error != 0) {
		spool->sweep_again = spool->error == 0; /* else the next tick tries */
		return;
	}
	statement = disk_statement(spool, SQL_SOONEST);
	if (statement == NULL) {
		return;
	}
	(void)sqlite3_bind_int64(statement, 1, device->now.id);
	(void)sqlite3_bind_int64(statement, 2, (int64_t)device->cursor);
	index_touch(spool, device);
	if (disk_step(spool, statement) == SQLITE_ROW) {
		device->now.soonest = sqlite3_column_type(statement, 0) == SQLITE_NULL ?
		                              SPOOL_NEVER :
		                              sqlite3_column_int64(statement, 0);
	}
	disk_reset(statement);
}

static bool
due(const struct device *device, int64_t now)
{
	return device->now.messages > device->now.taken && device->now.soonest <= now;
}

void
remove_expired(struct spool *spool, int64_t now)
{
	struct list *node, *after;

	spool->sweep_again = false;
	list_each(node, after, &spool->active) {
		struct device *device = list_entry(node, struct device, active);

		if (spool->error == 0 && due(device, now)) {
			sweep_device(spool, device, now);
		}
	}
}

bool
remove_due(const struct spool *spool, int64_t now)
{
	const struct list *node, *after;

	list_each(node, after, &spool->active) {
		if (due(list_entry(node, struct device, active), now)) {
			return true;
		}
	}
	return false;
}

/* ---- purge -------------------------------------------------------------------------------- */

bool
remove_purged(struct spool *spool, int64_t *removed)
{
	struct spool_purge *p = spool->purge;
	struct list *node, *after;
	unsigned left = PURGE_ROWS;

	list_each(node, after, &spool->active) {
		struct device *device = list_entry(node, struct device, active);

		if (left == 0 || spool->error != 0) {
			return false;
		}
		if (p->identity == NULL || span_eq_str(span_of((const uint8_t *)device->identity,
		                                               device->length), p->identity)) {
			left -= remove_rows(spool, device, SQL_PURGE, (int64_t)p->until, left);
		}
		*removed = PURGE_ROWS - left;
	}
	return left > 0;
}

static void
purged(struct loop_message *message)
{
	struct spool_purge *p = container_of(message, struct spool_purge, posted);

	free(p->identity);
	p->identity = NULL;
	p->done(p, p->count);
}

void
remove_purge_settle(struct spool *spool, int error, int64_t removed, bool through)
{
	struct spool_purge *p = spool->purge;

	if (p == NULL) {
		return;
	}
	p->count = error != 0 ? error : p->count + removed;
	if (error != 0 || through) {
		spool->purge = p->next;
		if (spool->purge == NULL) {
			spool->purge_end = &spool->purge;
		}
		p->posted.run = purged;
		loop_post(p->back, &p->posted);
	}
}
