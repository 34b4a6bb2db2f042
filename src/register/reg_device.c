/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices, their certificates, and when they were seen. */
#include "register/reg_int.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

#define PAGE_ROWS 64 /* about 130 KiB */

static void
read_device(sqlite3_stmt *s, struct reg_device *out)
{
	char text[16];
	int state;

	memset(out, 0, sizeof *out);
	reg_column_copy(s, 0, out->name, sizeof out->name);
	reg_column_copy(s, 1, out->fingerprint, sizeof out->fingerprint);
	/* Nobody is admitted because of a word that we do not know. */
	reg_column_copy(s, 2, text, sizeof text);
	state = reg_state_parse(text);
	out->state = state >= 0 ? (enum reg_state)state : REG_REVOKED;
	reg_column_copy(s, 3, out->group, sizeof out->group);
	reg_column_copy(s, 4, out->serial, sizeof out->serial);
	reg_column_copy(s, 5, out->certificate_hash, sizeof out->certificate_hash);
	out->not_before = sqlite3_column_int64(s, 6);
	out->not_after = sqlite3_column_int64(s, 7);
	out->enrolled_at = sqlite3_column_int64(s, 8);
	out->first_seen = sqlite3_column_int64(s, 9);
	out->last_seen = sqlite3_column_int64(s, 10);
	reg_column_copy(s, 11, out->last_address, sizeof out->last_address);
	reg_column_copy(s, 12, out->last_failure, sizeof out->last_failure);
	out->last_failure_at = sqlite3_column_int64(s, 13);
	out->revoked_at = sqlite3_column_int64(s, 14);
	reg_column_copy(s, 15, out->revoked_reason, sizeof out->revoked_reason);
	out->approved = sqlite3_column_int(s, 16) == 1;
}

static int
find(struct reg *reg, enum reg_sql sql, struct span key, struct reg_device *out)
{
	sqlite3_stmt *s;
	int rc;

	if (key.len == 0 || key.len > REG_NAME_MAX) {
		return ERR_NOT_FOUND;
	}
	s = reg_statement(reg, sql);
	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_text(s, 1, key);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW) {
		read_device(s, out);
		rc = 0;
	} else {
		rc = rc == SQLITE_DONE ? ERR_NOT_FOUND : reg_failed(reg, rc);
	}
	reg_done(s);
	return rc;
}

int
reg_find(struct reg *reg, struct span name, struct reg_device *out)
{
	return find(reg, REG_SQL_FIND, name, out);
}

int
reg_find_fingerprint(struct reg *reg, const char *fingerprint, struct reg_device *out)
{
	return find(reg, REG_SQL_FIND_FINGERPRINT, span_str(fingerprint), out);
}

/* ---- enrolment ---------------------------------------------------------------------- */

static int
write_device(struct reg *reg, enum reg_sql sql, const struct reg_device *d)
{
	sqlite3_stmt *s = reg_statement(reg, sql);
	int rc;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_string(s, 1, d->name);
	reg_bind_string(s, 2, d->fingerprint);
	reg_bind_string(s, 3, d->group);
	reg_bind_string(s, 4, d->serial);
	reg_bind_string(s, 5, d->certificate_hash);
	(void)sqlite3_bind_int64(s, 6, d->not_before);
	(void)sqlite3_bind_int64(s, 7, d->not_after);
	(void)sqlite3_bind_int64(s, 8, d->enrolled_at > 0 ? d->enrolled_at : clock_wall());
	rc = reg_run(reg, s);
	return rc < 0 ? rc : 0;
}

static int
write_certificate(struct reg *reg, const struct reg_device *d)
{
	sqlite3_stmt *s;
	int rc;

	/* A key that was approved without a certificate of ours has none. */
	if (d->certificate_hash[0] == '\0') {
		return 0;
	}
	s = reg_statement(reg, REG_SQL_CERTIFICATE);
	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_string(s, 1, d->certificate_hash);
	reg_bind_string(s, 2, d->name);
	reg_bind_string(s, 3, d->serial);
	reg_bind_string(s, 4, d->fingerprint);
	(void)sqlite3_bind_int64(s, 5, d->not_before);
	(void)sqlite3_bind_int64(s, 6, d->not_after);
	(void)sqlite3_bind_int64(s, 7, clock_wall());
	rc = reg_run(reg, s);
	return rc < 0 ? rc : 0;
}

/* The certificates of a key that was replaced are good no more. */
static int
supersede(struct reg *reg, const struct reg_device *d)
{
	sqlite3_stmt *s = reg_statement(reg, REG_SQL_SUPERSEDE);
	int rc;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_string(s, 1, d->name);
	reg_bind_string(s, 2, d->fingerprint);
	(void)sqlite3_bind_int64(s, 3, clock_wall());
	rc = reg_run(reg, s);
	return rc < 0 ? rc : 0;
}

int
reg_enrol_within(struct reg *reg, const struct reg_device *device, bool replace, bool *renewed,
		 bool *replaced)
{
	struct reg_device known;
	int rc = reg_find(reg, span_str(device->name), &known);
	bool had_key = rc == 0 && known.fingerprint[0] != '\0';

	if (rc != 0 && rc != ERR_NOT_FOUND) {
		return rc;
	}
	*replaced = had_key && strcmp(known.fingerprint, device->fingerprint) != 0;
	*renewed = had_key;
	if (*replaced && !replace) {
		return ERR_EXISTS;
	}
	rc = write_device(reg, rc == 0 ? REG_SQL_RENEW : REG_SQL_INSERT, device);
	if (rc == 0) {
		rc = write_certificate(reg, device);
	}
	if (rc == 0 && *replaced) {
		rc = supersede(reg, device);
	}
	return rc != 0 ? rc : reg_stranger_gone(reg, device->fingerprint);
}

static int
enrol(struct reg *reg, const struct reg_device *device, bool replace, bool *renewed)
{
	bool replaced;
	int rc = reg_enrol_within(reg, device, replace, renewed, &replaced);

	return rc != 0 ? rc :
	                 reg_audit(reg, replaced ? "replace" : *renewed ? "renew" : "enroll",
	                           span_str(device->name), "key %.16s, certificate %s%s%s",
	                           device->fingerprint,
	                           device->serial[0] != '\0' ? device->serial : "none",
	                           device->group[0] != '\0' ? ", group " : "", device->group);
}

int
reg_enrol(struct reg *reg, const struct reg_device *device, bool replace, bool *renewed)
{
	bool found = false;
	int rc;

	if (device->name[0] == '\0') {
		return ERR_UNSAFE;
	}
	rc = reg_change_begin(reg);
	if (rc == 0) {
		rc = reg_write_end(reg, enrol(reg, device, replace, &found));
	}
	if (rc == 0) {
		*renewed = found;
	}
	return rc;
}

/* ---- changes to one device -------------------------------------------------------------- */

static int
run_change(struct reg *reg, enum reg_sql sql, struct span name, const char *value)
{
	sqlite3_stmt *s = reg_statement(reg, sql);
	int rc;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_text(s, 1, name);
	if (value != NULL) {
		reg_bind_string(s, 2, value);
	}
	rc = reg_run(reg, s);
	return rc == 0 ? ERR_NOT_FOUND : rc < 0 ? rc : 0;
}

static int
change(struct reg *reg, enum reg_sql sql, const char *action, struct span name, const char *value)
{
	int rc;

	if (name.len == 0 || name.len > REG_NAME_MAX) {
		return ERR_NOT_FOUND;
	}
	if (value != NULL && strlen(value) > REG_NAME_MAX) {
		return ERR_LIMIT;
	}
	rc = reg_change_begin(reg);
	if (rc != 0) {
		return rc;
	}
	rc = run_change(reg, sql, name, value);
	if (rc == 0) {
		rc = reg_audit(reg, action, name, "%s", value != NULL ? value : "");
	}
	return reg_write_end(reg, rc);
}

int
reg_set_group(struct reg *reg, struct span name, const char *group)
{
	return change(reg, REG_SQL_SET_GROUP, "group", name, group);
}

int
reg_remove(struct reg *reg, struct span name)
{
	return change(reg, REG_SQL_REMOVE, "remove", name, NULL);
}

/* ---- lists ------------------------------------------------------------------------------- */

/* The devices after that name: how many, or ERR_DATABASE. */
static int
read_page(struct reg *reg, const char *after, struct reg_device *page)
{
	sqlite3_stmt *s = reg_statement(reg, REG_SQL_PAGE);
	int rc, n = 0;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_string(s, 1, after);
	(void)sqlite3_bind_int(s, 2, PAGE_ROWS);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && n < PAGE_ROWS) {
		read_device(s, &page[n++]);
	}
	rc = rc == SQLITE_DONE ? n : reg_failed(reg, rc);
	reg_done(s);
	return rc;
}

/*
 * By pages, so that each() runs outside of any transaction: it may use the
 * handle, and a slow reader does not keep the log from being emptied.
 */
int
reg_each(struct reg *reg, int (*each)(void *owner, const struct reg_device *device), void *owner)
{
	struct reg_device *page = calloc(PAGE_ROWS, sizeof *page);
	char after[REG_NAME_MAX + 1] = "";
	int n, rc = 0;

	if (page == NULL) {
		return -ENOMEM;
	}
	do {
		n = read_page(reg, after, page);
		for (int i = 0; i < n && rc == 0; i++) {
			rc = each(owner, &page[i]);
		}
		if (n > 0) {
			memcpy(after, page[n - 1].name, sizeof after);
		}
	} while (rc == 0 && n == PAGE_ROWS);
	free(page);
	return n < 0 ? n : rc;
}

static void
read_certificate(sqlite3_stmt *s, struct reg_certificate *out)
{
	memset(out, 0, sizeof *out);
	reg_column_copy(s, 0, out->hash, sizeof out->hash);
	reg_column_copy(s, 1, out->device, sizeof out->device);
	reg_column_copy(s, 2, out->serial, sizeof out->serial);
	reg_column_copy(s, 3, out->fingerprint, sizeof out->fingerprint);
	out->not_before = sqlite3_column_int64(s, 4);
	out->not_after = sqlite3_column_int64(s, 5);
	out->issued_at = sqlite3_column_int64(s, 6);
	out->revoked_at = sqlite3_column_int64(s, 7);
	reg_column_copy(s, 8, out->revoked_reason, sizeof out->revoked_reason);
}

int
reg_certificate_each(struct reg *reg, struct span device,
		     int (*each)(void *owner, const struct reg_certificate *certificate),
		     void *owner)
{
	sqlite3_stmt *s = reg_statement(reg, REG_SQL_CERTIFICATES);
	int step, rc = 0;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_text(s, 1, device);
	while (rc == 0 && (step = sqlite3_step(s)) != SQLITE_DONE) {
		struct reg_certificate certificate;

		if (step != SQLITE_ROW) {
			rc = reg_failed(reg, step);
			break;
		}
		read_certificate(s, &certificate);
		rc = each(owner, &certificate);
	}
	reg_done(s);
	return rc;
}

/* ---- sightings ------------------------------------------------------------------------------ */

static int
note_one(struct reg *reg, const struct reg_sighting *seen)
{
	bool failed = seen->failure[0] != '\0';
	sqlite3_stmt *s = reg_statement(reg, failed ? REG_SQL_FAILED : REG_SQL_SEEN);
	int rc;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_string(s, 1, seen->name);
	reg_bind_string(s, 2, seen->address);
	(void)sqlite3_bind_int64(s, 3, seen->at);
	if (failed) {
		reg_bind_string(s, 4, seen->failure);
	}
	rc = reg_run(reg, s);
	return rc < 0 ? rc : 0;
}

int
reg_note_sightings(struct reg *reg, const struct reg_sighting *list, size_t count)
{
	int rc = count > 0 ? reg_write_begin(reg, false) : 0;

	if (rc != 0 || count == 0) {
		return rc;
	}
	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = note_one(reg, &list[i]);
	}
	return reg_write_end(reg, rc);
}
