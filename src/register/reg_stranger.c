/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Strangers: a bounded list, since whoever reaches the port can make a
 * certificate. Two bounds, one per kind: making self-signed ones is free,
 * being issued one by a trusted CA is not.
 */
#include "register/reg_int.h"

#include <errno.h>
#include <stdlib.h>

#define PREFIX_LEAST 8

static void
read_stranger(sqlite3_stmt *s, struct reg_stranger *out)
{
	memset(out, 0, sizeof *out);
	reg_column_copy(s, 0, out->fingerprint, sizeof out->fingerprint);
	reg_column_copy(s, 1, out->name, sizeof out->name);
	reg_column_copy(s, 2, out->subject, sizeof out->subject);
	reg_column_copy(s, 3, out->issuer, sizeof out->issuer);
	reg_column_copy(s, 4, out->address, sizeof out->address);
	out->self_signed = sqlite3_column_int(s, 5) != 0;
	out->not_after = sqlite3_column_int64(s, 6);
	out->first_at = sqlite3_column_int64(s, 7);
	out->last_at = sqlite3_column_int64(s, 8);
	out->count = (uint64_t)sqlite3_column_int64(s, 9);
}

/* ---- visits ---------------------------------------------------------------------------- */

/* Write the visit; the rows changed. */
static int
write_stranger(struct reg *reg, enum reg_sql sql, const struct reg_stranger *v)
{
	sqlite3_stmt *s = reg_statement(reg, sql);

	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_string(s, 1, v->fingerprint);
	reg_bind_string(s, 2, v->name);
	reg_bind_string(s, 3, v->subject);
	reg_bind_string(s, 4, v->issuer);
	reg_bind_string(s, 5, v->address);
	(void)sqlite3_bind_int(s, 6, v->self_signed);
	(void)sqlite3_bind_int64(s, 7, v->not_after);
	(void)sqlite3_bind_int64(s, 8, v->last_at);
	(void)sqlite3_bind_int64(s, 9, v->count > 0 ? (int64_t)v->count : 1);
	return reg_run(reg, s);
}

/* One number of a statement; kind < 0: the statement has no parameter. */
static int
count(struct reg *reg, enum reg_sql sql, int kind)
{
	sqlite3_stmt *s = reg_statement(reg, sql);
	int rc;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	if (kind >= 0) {
		(void)sqlite3_bind_int(s, 1, kind);
	}
	rc = sqlite3_step(s);
	rc = rc == SQLITE_ROW ? sqlite3_column_int(s, 0) : reg_failed(reg, rc);
	reg_done(s);
	return rc;
}

/* Place for one more of that kind: 1, 0 when there is none, or ERR_DATABASE. */
static int
make_room(struct reg *reg, const struct reg_stranger *v)
{
	int rc = count(reg, REG_SQL_STRANGERS_OF_KIND, v->self_signed);
	sqlite3_stmt *s;

	if (rc < REG_STRANGERS_MAX) {
		return rc < 0 ? rc : 1;
	}
	s = reg_statement(reg, REG_SQL_STRANGER_OUT);
	if (s == NULL) {
		return ERR_DATABASE;
	}
	(void)sqlite3_bind_int(s, 1, v->self_signed);
	(void)sqlite3_bind_int64(s, 2, v->last_at - REG_STRANGER_KEPT);
	return reg_run(reg, s);
}

/* Run the statement for the key. */
static int
run_key(struct reg *reg, enum reg_sql sql, const char *fingerprint)
{
	sqlite3_stmt *s = reg_statement(reg, sql);
	int rc;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_string(s, 1, fingerprint);
	rc = reg_run(reg, s);
	return rc < 0 ? rc : 0;
}

/*
 * A key may show certificates of both kinds. What a CA says of it takes the
 * place of what it says of itself, and never the other way round: else it
 * would choose the name under which the issued one is let in, or could not be
 * revoked by the issued one's name.
 */
static int
note_one(struct reg *reg, const struct reg_stranger *v)
{
	int rc = 0;

	if (strlen(v->fingerprint) != 64) {
		return 0; /* no key has it */
	}
	if (!v->self_signed) {
		rc = run_key(reg, REG_SQL_STRANGER_VOUCHED, v->fingerprint);
	}
	if (rc < 0) {
		return rc;
	}
	rc = write_stranger(reg, REG_SQL_STRANGER_AGAIN, v);
	if (rc == 0) {
		rc = make_room(reg, v);
		rc = rc == 1 ? write_stranger(reg, REG_SQL_STRANGER_NEW, v) : rc;
	}
	return rc < 0 ? rc : 0;
}

int
reg_note_strangers(struct reg *reg, const struct reg_stranger *list, size_t n)
{
	int rc = n > 0 ? reg_write_begin(reg, false) : 0;

	if (rc != 0 || n == 0) {
		return rc;
	}
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = note_one(reg, &list[i]);
	}
	return reg_write_end(reg, rc);
}

int
reg_stranger_gone(struct reg *reg, const char *fingerprint)
{
	return run_key(reg, REG_SQL_STRANGER_GONE, fingerprint);
}

/* ---- the list -------------------------------------------------------------------------- */

int
reg_stranger_count(struct reg *reg)
{
	return count(reg, REG_SQL_STRANGER_COUNT, -1);
}

int
reg_stranger_each(struct reg *reg, int (*each)(void *owner, const struct reg_stranger *s),
                  void *owner)
{
	struct reg_stranger *list = calloc((size_t)2 * REG_STRANGERS_MAX, sizeof *list);
	sqlite3_stmt *s = reg_statement(reg, REG_SQL_STRANGERS);
	int step = SQLITE_DONE, rc = 0;
	size_t n = 0;

	if (list == NULL || s == NULL) {
		free(list);
		return s == NULL ? ERR_DATABASE : -ENOMEM;
	}
	/* All of them first, so that each() may use the handle. */
	while (n < (size_t)2 * REG_STRANGERS_MAX && (step = sqlite3_step(s)) == SQLITE_ROW) {
		read_stranger(s, &list[n++]);
	}
	if (step != SQLITE_DONE && step != SQLITE_ROW) {
		rc = reg_failed(reg, step);
	}
	reg_done(s);
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = each(owner, &list[i]);
	}
	free(list);
	return rc;
}

/* ---- approval -------------------------------------------------------------------------- */

/* The one stranger whose fingerprint begins so. */
static int
find_stranger(struct reg *reg, const char *prefix, struct reg_stranger *out)
{
	sqlite3_stmt *s = reg_statement(reg, REG_SQL_STRANGER_FIND);
	char lower[65] = "";
	int rc, n = 0;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	if (strlen(prefix) < PREFIX_LEAST || strlen(prefix) > 64) {
		return ERR_NOT_FOUND;
	}
	for (size_t i = 0; prefix[i] != '\0'; i++) {
		lower[i] = prefix[i] >= 'A' && prefix[i] <= 'F' ? (char)(prefix[i] + 32) : prefix[i];
	}
	reg_bind_string(s, 1, lower);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && ++n == 1) {
		read_stranger(s, out);
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		rc = reg_failed(reg, rc);
	} else {
		rc = n == 0 ? ERR_NOT_FOUND : n > 1 ? ERR_AMBIGUOUS : 0;
	}
	reg_done(s);
	return rc;
}

static int
mark_approved(struct reg *reg, const char *name)
{
	sqlite3_stmt *s = reg_statement(reg, REG_SQL_APPROVE);
	int rc;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_string(s, 1, name);
	rc = reg_run(reg, s);
	return rc < 0 ? rc : 0;
}

/*
 * The device that the stranger becomes. One whose key is enrolled already
 * (it showed a self-signed certificate now) stays what it is.
 */
static int
take_in(struct reg *reg, const struct reg_stranger *stranger, const char *name)
{
	struct reg_device device = { .not_after = stranger->not_after }, known;
	bool renewed, replaced;
	int rc = reg_find_fingerprint(reg, stranger->fingerprint, &known);

	if (rc == 0) {
		if (known.state == REG_REVOKED || strcmp(known.name, name) != 0) {
			return ERR_EXISTS;
		}
		return reg_stranger_gone(reg, stranger->fingerprint);
	}
	if (rc == ERR_NOT_FOUND) {
		rc = reg_find(reg, span_str(name), &known);
	}
	if (rc == 0 && (known.state == REG_REVOKED || known.fingerprint[0] != '\0')) {
		return ERR_EXISTS;
	}
	if (rc != 0 && rc != ERR_NOT_FOUND) {
		return rc;
	}
	memcpy(device.name, name, strlen(name) + 1);
	memcpy(device.fingerprint, stranger->fingerprint, sizeof device.fingerprint);
	return reg_enrol_within(reg, &device, false, &renewed, &replaced);
}

static int
approve(struct reg *reg, const char *prefix, const char *name, struct reg_device *out)
{
	struct reg_stranger stranger;
	struct reg_device known;
	int rc = find_stranger(reg, prefix, &stranger);

	if (rc != 0) {
		return rc;
	}
	if (name == NULL) {
		/* A key that is known has a name. */
		rc = reg_find_fingerprint(reg, stranger.fingerprint, &known);
		name = rc == 0 ? known.name : stranger.name;
	}
	if (name[0] == '\0' || strlen(name) > REG_NAME_MAX) {
		return ERR_UNSAFE;
	}
	rc = take_in(reg, &stranger, name);
	if (rc == 0 && stranger.self_signed) {
		rc = mark_approved(reg, name);
	}
	if (rc == 0) {
		rc = reg_audit(reg, "approve", span_str(name), "key %s%s, from %s",
		               stranger.fingerprint, stranger.self_signed ? ", self-signed" : "",
		               stranger.address);
	}
	return rc != 0 ? rc : reg_find(reg, span_str(name), out);
}

int
reg_approve(struct reg *reg, const char *fingerprint, const char *name, struct reg_device *out)
{
	int rc = reg_change_begin(reg);

	return rc != 0 ? rc : reg_write_end(reg, approve(reg, fingerprint, name, out));
}
