/* SPDX-License-Identifier: BSD-2-Clause */
/* What comes into the file: a message with its bounds, and the counts of it. */
#include "spool/spool_int.h"

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

static bool
make_room(struct spool *spool, struct device *device, const struct spool_put *put, uint64_t limit)
{
	if (put->message.qos == 0 && fits(spool, device, put, limit, device->now.light_messages,
	                                  device->now.light_bytes)) {
		while (!fits(spool, device, put, limit, 0, 0) && remove_light(spool, device)) {
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

void
store_message(struct spool *spool, struct spool_put *put, uint64_t limit)
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
