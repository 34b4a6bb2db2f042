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

#define SWEEP_ROWS 1000 /* of one device in one transaction */
#define PURGE_ROWS 2000 /* in one transaction */

/* ---- counts -------------------------------------------------------------------------- */

void
write_uncount(struct spool *spool, struct device *device, uint64_t sequence, uint64_t size)
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

static void
count(struct spool *spool, struct device *device, const struct spool_put *put, uint64_t size,
      int64_t until)
{
	struct tally *t = &device->now;

	t->messages++;
	t->bytes += size;
	spool->messages++;
	spool->bytes += size;
	if (put->message.qos == 0) {
		t->light_messages++;
		t->light_bytes += size;
	}
	if (t->messages == 1) {
		t->first = put->message.sequence;
		t->oldest = put->message.received;
		t->soonest = SPOOL_NEVER;
	}
	t->soonest = until < t->soonest ? until : t->soonest;
	spool->delta.stored++;
}

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

/* ---- removing -------------------------------------------------------------------------- */

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

static void
remove_finished(struct spool *spool)
{
	struct list *node, *after;

	list_each(node, after, &spool->removing) {
		struct taken *t = list_entry(node, struct taken, node);

		if (spool->error != 0) {
			return;
		}
		if (delete(spool, t->sequence)) {
			write_uncount(spool, t->device, t->sequence, t->size);
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
			write_uncount(spool, device, row[i].sequence, row[i].size);
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

/* The disk is looked at only where the memory says that something has expired. */
static void
sweep(struct spool *spool, int64_t now)
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

static bool
anything_due(const struct spool *spool, int64_t now)
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

/* A part of the first one; true when it is through. */
static bool
purge(struct spool *spool, int64_t *removed)
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
	struct spool_purge *p = (struct spool_purge *)(void *)((char *)message -
	                                                       offsetof(struct spool_purge, posted));

	free(p->identity);
	p->identity = NULL;
	p->done(p, p->count);
}

static void
purge_settle(struct spool *spool, int error, int64_t removed, bool through)
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

/* ---- putting -------------------------------------------------------------------------------- */

static uint64_t
size_of(const struct spool_message *m)
{
	return (uint64_t)m->topic.len + m->payload.len + m->properties.len + SPOOL_OVERHEAD;
}

/*
 * A board without a clock of its own starts in 1970 and jumps when it is told
 * the time: what it stored before must not be too old at once.
 */
#define CLOCK_IS_SET INT64_C(1577836800000) /* 2020, ms */

static int64_t
until_of(const struct spool_put *put)
{
	const struct spool_message *m = &put->message;
	int64_t expiry = m->expiry != UINT32_MAX ? m->received + (int64_t)m->expiry * 1000 :
	                                           SPOOL_NEVER;
	int64_t age = put->bounds.age != 0 ? m->received + (int64_t)put->bounds.age * 1000 :
	                                     SPOOL_NEVER;

	if (m->received < CLOCK_IS_SET) {
		return SPOOL_NEVER;
	}
	return expiry < age ? expiry : age;
}

/* Would it fit if `messages` and `bytes` of that device had gone? */
static bool
fits(const struct spool *spool, const struct device *device, const struct spool_put *put,
     uint64_t limit, uint64_t messages, uint64_t bytes)
{
	uint64_t size = size_of(&put->message);

	return spool->bytes - bytes + size <= limit &&
	       (put->bounds.bytes == 0 || device->now.bytes - bytes + size <= put->bounds.bytes) &&
	       (put->bounds.messages == 0 || device->now.messages - messages < put->bounds.messages);
}

/* The oldest QoS 0 of that device that is not on its way. */
static bool
drop_light(struct spool *spool, struct device *device)
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
	write_uncount(spool, device, sequence, size);
	device->now.light_messages--;
	device->now.light_bytes -= size;
	device->now.dropped++;
	spool->delta.dropped++;
	return true;
}

static bool
make_room(struct spool *spool, struct device *device, const struct spool_put *put, uint64_t limit)
{
	if (put->message.qos == 0 && fits(spool, device, put, limit, device->now.light_messages,
	                                  device->now.light_bytes)) {
		while (!fits(spool, device, put, limit, 0, 0) && drop_light(spool, device)) {
		}
	}
	return fits(spool, device, put, limit, 0, 0);
}

/* The number of the device in the file. */
static void
name_device(struct spool *spool, struct device *device)
{
	sqlite3_stmt *statement = device->now.id == 0 ? disk_statement(spool, SQL_DEVICE) : NULL;

	if (statement == NULL) {
		return;
	}
	(void)sqlite3_bind_text64(statement, 1, device->identity, device->length, SQLITE_STATIC,
	                          SQLITE_UTF8);
	if (disk_step(spool, statement) == SQLITE_ROW) {
		device->now.id = sqlite3_column_int64(statement, 0);
	}
	disk_reset(statement);
}

static void
bind_blob(sqlite3_stmt *statement, int at, struct span bytes)
{
	/* NULL would become an SQL NULL. */
	(void)sqlite3_bind_blob64(statement, at, bytes.len > 0 ? (const void *)bytes.ptr : "",
	                          bytes.len, SQLITE_STATIC);
}

static void
insert(struct spool *spool, const struct device *device, const struct spool_put *put,
       uint64_t size, int64_t until)
{
	const struct spool_message *m = &put->message;
	sqlite3_stmt *statement = disk_statement(spool, SQL_INSERT);

	if (statement == NULL) {
		return;
	}
	(void)sqlite3_bind_int64(statement, 1, (int64_t)m->sequence);
	(void)sqlite3_bind_int64(statement, 2, device->now.id);
	(void)sqlite3_bind_int64(statement, 3, until);
	(void)sqlite3_bind_int64(statement, 4, m->qos);
	(void)sqlite3_bind_int64(statement, 5, (int64_t)size);
	(void)sqlite3_bind_int64(statement, 6, m->received);
	(void)sqlite3_bind_int64(statement, 7, m->expiry);
	(void)sqlite3_bind_int64(statement, 8, m->retain);
	bind_blob(statement, 9, m->topic);
	bind_blob(statement, 10, m->properties);
	bind_blob(statement, 11, m->payload);
	(void)disk_step(spool, statement);
	disk_reset(statement);
}

static void
store(struct spool *spool, struct spool_put *put, uint64_t limit)
{
	struct device *device = ((struct copy *)put->copy)->device;
	uint64_t size = size_of(&put->message);
	int64_t until = until_of(put);

	index_touch(spool, device);
	if (!make_room(spool, device, put, limit)) {
		put->status = ERR_FULL;
		spool->delta.refused_full++;
		return;
	}
	put->status = 0;
	name_device(spool, device);
	if (spool->error == 0) {
		insert(spool, device, put, size, until);
	}
	if (spool->error == 0) {
		count(spool, device, put, size, until);
	}
}

/* ---- the transaction ---------------------------------------------------------------------------- */

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
		sweep(spool, now);
	}
	if (spool->purge != NULL && spool->error == 0) {
		*through = purge(spool, removed);
		spool->delta.purged += (uint64_t)*removed;
	}
	for (; put != NULL && spool->error == 0; put = put->next) {
		store(spool, put, limit);
	}
	find_first(spool);
	disk_reserve(spool);
	return disk_end(spool);
}

static void
free_removed(struct spool *spool)
{
	struct list *node;

	while ((node = list_take(&spool->removing)) != NULL) {
		free(list_entry(node, struct taken, node));
	}
}

static void
put_done(struct loop_message *message)
{
	struct spool_put *put = (struct spool_put *)(void *)((char *)message -
	                                                     offsetof(struct spool_put, posted));

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
	    !anything_due(spool, now)) {
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
	purge_settle(spool, error, removed, through);
	if (error == 0) {
		free_removed(spool);
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
