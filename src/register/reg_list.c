/* SPDX-License-Identifier: BSD-2-Clause */
/* Labels of devices, and the subscriptions of persistent sessions. */
#include "register/reg_int.h"

#include "base/clock.h"
#include "base/cursor.h"

#define FILTER_MAX 65535 /* MQTT 1.5.4 */

/*
 * Rows are gathered before the first callback, so that it may use the handle:
 * texts as four bytes of length and the bytes.
 */
static int
gather_text(struct buf *rows, struct span text)
{
	uint8_t head[4];
	struct writer w = writer_of(head, sizeof head);
	int rc;

	write_u32(&w, (uint32_t)text.len);
	rc = buf_append(rows, writer_span(&w));
	return rc != 0 ? rc : buf_append(rows, text);
}

static struct span
take_text(struct reader *r)
{
	return read_bytes(r, read_u32(r));
}

/* Every row of a bound statement through row(). */
static int
gather(struct reg *reg, sqlite3_stmt *s, int (*row)(sqlite3_stmt *s, struct buf *rows),
       struct buf *rows)
{
	int step, rc = 0;

	while (rc == 0 && (step = sqlite3_step(s)) != SQLITE_DONE) {
		rc = step == SQLITE_ROW ? row(s, rows) : reg_failed(reg, step);
	}
	reg_done(s);
	return rc;
}

/* ---- labels ------------------------------------------------------------------------- */

static int
write_label(struct reg *reg, struct span name, const char *label, const char *value)
{
	bool removing = value[0] == '\0';
	sqlite3_stmt *s = reg_statement(reg, removing ? REG_SQL_REMOVE_LABEL : REG_SQL_SET_LABEL);
	struct reg_device device;
	int rc = reg_find(reg, name, &device);

	if (s == NULL || rc != 0) {
		return s == NULL ? ERR_DATABASE : rc;
	}
	reg_bind_text(s, 1, name);
	reg_bind_string(s, 2, label);
	if (!removing) {
		reg_bind_string(s, 3, value);
	}
	rc = reg_run(reg, s);
	if (rc < 0) {
		return rc;
	}
	return removing ? reg_audit(reg, "label", name, "%.200s removed", label) :
	                  reg_audit(reg, "label", name, "%.200s=%.200s", label, value);
}

int
reg_set_label(struct reg *reg, struct span name, const char *label, const char *value)
{
	int rc;

	if (label[0] == '\0' || strlen(label) > REG_NAME_MAX || strlen(value) > REG_NAME_MAX) {
		return ERR_LIMIT;
	}
	rc = reg_change_begin(reg);
	return rc != 0 ? rc : reg_write_end(reg, write_label(reg, name, label, value));
}

static int
gather_label(sqlite3_stmt *s, struct buf *rows)
{
	int rc = gather_text(rows, reg_column_text(s, 0));

	return rc != 0 ? rc : gather_text(rows, reg_column_text(s, 1));
}

int
reg_label_each(struct reg *reg, struct span name,
	       int (*each)(void *owner, struct span label, struct span value), void *owner)
{
	sqlite3_stmt *s = reg_statement(reg, REG_SQL_LABELS);
	struct buf rows = { 0 };
	struct reader r;
	int rc;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_text(s, 1, name);
	rc = gather(reg, s, gather_label, &rows);
	r = reader_of(span_of(rows.memory, buf_len(&rows)));
	while (rc == 0 && reader_left(&r) > 0) {
		struct span label = take_text(&r), value = take_text(&r);

		rc = each(owner, label, value);
	}
	buf_release(&rows);
	return rc;
}

/* ---- subscriptions --------------------------------------------------------------------- */

/* The client identifier and its owner; used now. */
static void
bind_subscriber(sqlite3_stmt *s, struct span owner, struct span client_id)
{
	reg_bind_text(s, 1, client_id);
	reg_bind_text(s, 2, owner);
	(void)sqlite3_bind_int64(s, 3, clock_wall());
	(void)sqlite3_bind_int64(s, 4, REG_USED_EVERY);
}

/* Within a transaction: it is used, and the ones over the bound go. */
static int
use(struct reg *reg, struct span owner, struct span client_id)
{
	sqlite3_stmt *s = reg_statement(reg, REG_SQL_SUBSCRIBER);
	int rc;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	bind_subscriber(s, owner, client_id);
	rc = reg_run(reg, s);
	if (rc <= 0) { /* nothing new */
		return rc;
	}
	s = reg_statement(reg, REG_SQL_SUBSCRIBERS_OUT);
	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_text(s, 1, client_id);
	reg_bind_text(s, 2, owner);
	(void)sqlite3_bind_int64(s, 3, REG_CLIENT_IDS_MAX - 1);
	rc = reg_run(reg, s);
	return rc < 0 ? rc : 0;
}

static int
put(struct reg *reg, struct span client_id, const struct reg_subscription *sub)
{
	sqlite3_stmt *s = reg_statement(reg, REG_SQL_SUBSCRIBE);
	int rc;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_text(s, 1, client_id);
	reg_bind_text(s, 2, sub->filter);
	(void)sqlite3_bind_int(s, 3, sub->options);
	(void)sqlite3_bind_int64(s, 4, sub->id);
	rc = reg_run(reg, s);
	return rc < 0 ? rc : 0;
}

/* Changes of subscriptions do not wait for the disk: see begin() in reg.c. */
int
reg_subscription_put(struct reg *reg, struct span owner, struct span client_id,
		     const struct reg_subscription *sub)
{
	int rc;

	if (client_id.len > FILTER_MAX || sub->filter.len > FILTER_MAX) {
		return ERR_LIMIT;
	}
	rc = reg_write_begin(reg, false);
	if (rc != 0) {
		return rc;
	}
	rc = use(reg, owner, client_id);
	return reg_write_end(reg, rc != 0 ? rc : put(reg, client_id, sub));
}

static bool
lags(struct reg *reg, struct span owner, struct span client_id)
{
	sqlite3_stmt *s = reg_statement(reg, REG_SQL_SUBSCRIBER_LAGS);
	bool row;

	if (s == NULL) {
		return false;
	}
	bind_subscriber(s, owner, client_id);
	row = sqlite3_step(s) == SQLITE_ROW;
	reg_done(s);
	return row;
}

void
reg_subscription_touch(struct reg *reg, struct span owner, struct span client_id)
{
	if (lags(reg, owner, client_id) && reg_write_begin(reg, false) == 0) {
		(void)!reg_write_end(reg, use(reg, owner, client_id));
	}
}

/* A statement about one client identifier. */
static int
run_of(struct reg *reg, enum reg_sql sql, struct span client_id, struct span filter)
{
	sqlite3_stmt *s = reg_statement(reg, sql);
	int rc;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_text(s, 1, client_id);
	if (filter.ptr != NULL) {
		reg_bind_text(s, 2, filter);
	}
	rc = reg_run(reg, s);
	return rc < 0 ? rc : 0;
}

int
reg_subscription_remove(struct reg *reg, struct span client_id, struct span filter)
{
	int rc = reg_write_begin(reg, false);

	if (rc != 0) {
		return rc;
	}
	rc = run_of(reg, REG_SQL_UNSUBSCRIBE, client_id, filter);
	if (rc == 0) {
		rc = run_of(reg, REG_SQL_SUBSCRIBER_DONE, client_id, span_of(NULL, 0));
	}
	return reg_write_end(reg, rc);
}

int
reg_subscription_clear(struct reg *reg, struct span client_id)
{
	int rc = reg_write_begin(reg, false);

	if (rc != 0) {
		return rc;
	}
	return reg_write_end(reg, run_of(reg, REG_SQL_UNSUBSCRIBE_ALL, client_id,
					 span_of(NULL, 0)));
}

static int
gather_subscription(sqlite3_stmt *s, struct buf *rows)
{
	uint8_t numbers[5];
	struct writer w = writer_of(numbers, sizeof numbers);
	int rc = gather_text(rows, reg_column_text(s, 0));

	write_u8(&w, (uint8_t)sqlite3_column_int(s, 1));
	write_u32(&w, (uint32_t)sqlite3_column_int64(s, 2));
	return rc != 0 ? rc : buf_append(rows, writer_span(&w));
}

int
reg_subscription_each(struct reg *reg, struct span client_id,
		      int (*each)(void *owner, const struct reg_subscription *s), void *owner)
{
	sqlite3_stmt *s = reg_statement(reg, REG_SQL_SUBSCRIPTIONS);
	struct buf rows = { 0 };
	struct reader r;
	int rc;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_text(s, 1, client_id);
	rc = gather(reg, s, gather_subscription, &rows);
	r = reader_of(span_of(rows.memory, buf_len(&rows)));
	while (rc == 0 && reader_left(&r) > 0) {
		struct reg_subscription sub = { .filter = take_text(&r) };

		sub.options = read_u8(&r);
		sub.id = read_u32(&r);
		rc = each(owner, &sub);
	}
	buf_release(&rows);
	return rc;
}
