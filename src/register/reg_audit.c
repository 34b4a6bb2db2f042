/* SPDX-License-Identifier: BSD-2-Clause */
/* Who changed what: written with the change, in its transaction. */
#include "register/reg_int.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"

#define PAGE_ROWS 64

int
reg_actor(struct reg *reg, unsigned uid, const char *user)
{
	reg->uid = uid;
	if (user != NULL && user[0] != '\0') {
		snprintf(reg->user, sizeof reg->user, "%.63s", user);
	} else {
		snprintf(reg->user, sizeof reg->user, "%u", uid);
	}
	reg->acting = true;
	return 0;
}

static int
write_entry(struct reg *reg, const char *action, struct span device, const char *detail)
{
	sqlite3_stmt *s = reg_statement(reg, REG_SQL_AUDIT);
	int rc;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	(void)sqlite3_bind_int64(s, 1, clock_wall());
	(void)sqlite3_bind_int64(s, 2, reg->uid);
	reg_bind_string(s, 3, reg->user);
	reg_bind_string(s, 4, action);
	reg_bind_text(s, 5, device);
	reg_bind_string(s, 6, detail);
	rc = reg_run(reg, s);
	return rc < 0 ? rc : 0;
}

int
reg_audit(struct reg *reg, const char *action, struct span device, const char *detail, ...)
{
	char text[sizeof((struct reg_audit *)0)->detail];
	va_list args;

	va_start(args, detail);
	vsnprintf(text, sizeof text, detail, args);
	va_end(args);
	return write_entry(reg, action, device, text);
}

int
reg_audit_note(struct reg *reg, const char *action, const char *device, const char *detail)
{
	int rc = reg_change_begin(reg);

	return rc != 0 ? rc :
	                 reg_write_end(reg, reg_audit(reg, action, span_str(device), "%s", detail));
}

/* ---- reading --------------------------------------------------------------------------- */

static void
read_entry(sqlite3_stmt *s, struct reg_audit *out)
{
	memset(out, 0, sizeof *out);
	out->id = sqlite3_column_int64(s, 0);
	out->at = sqlite3_column_int64(s, 1);
	out->uid = (unsigned)sqlite3_column_int64(s, 2);
	reg_column_copy(s, 3, out->user, sizeof out->user);
	reg_column_copy(s, 4, out->action, sizeof out->action);
	reg_column_copy(s, 5, out->device, sizeof out->device);
	reg_column_copy(s, 6, out->detail, sizeof out->detail);
}

/* The entries before that one: how many, or ERR_DATABASE. */
static int
read_page(struct reg *reg, const char *device, int64_t since, int64_t before,
          struct reg_audit *page)
{
	sqlite3_stmt *s = reg_statement(reg, device != NULL ? REG_SQL_AUDIT_PAGE_DEVICE :
	                                                      REG_SQL_AUDIT_PAGE);
	int rc, n = 0;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	(void)sqlite3_bind_int64(s, 1, before);
	(void)sqlite3_bind_int64(s, 2, since);
	(void)sqlite3_bind_int(s, 3, PAGE_ROWS);
	if (device != NULL) {
		reg_bind_string(s, 4, device);
	}
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && n < PAGE_ROWS) {
		read_entry(s, &page[n++]);
	}
	rc = rc == SQLITE_DONE || rc == SQLITE_ROW ? n : reg_failed(reg, rc);
	reg_done(s);
	return rc;
}

int
reg_audit_each(struct reg *reg, const char *device, int64_t since,
               int (*each)(void *owner, const struct reg_audit *entry), void *owner)
{
	struct reg_audit page[PAGE_ROWS]; /* 72 KiB */
	int64_t before = INT64_MAX;
	int n, rc = 0;

	do {
		n = read_page(reg, device, since, before, page);
		for (int i = 0; i < n && rc == 0; i++) {
			rc = each(owner, &page[i]);
		}
		if (n > 0) {
			before = page[n - 1].id;
		}
	} while (rc == 0 && n == PAGE_ROWS);
	return n < 0 ? n : rc;
}
