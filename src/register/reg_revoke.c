/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices that are locked out, and those whose certificate ends. */
#include "register/reg_int.h"

#include "base/clock.h"

/*
 * RFC 5280 5.3.1, but for removeFromCRL, which is no state of a certificate.
 */
static bool
is_reason(const char *reason)
{
	static const char *const reasons[] = {
		"unspecified",         "keyCompromise",   "cACompromise",
		"affiliationChanged",  "superseded",      "cessationOfOperation",
		"certificateHold",     "privilegeWithdrawn", "aACompromise",
	};

	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
		if (strcmp(reason, reasons[i]) == 0) {
			return true;
		}
	}
	return false;
}

/* A statement with a name, a time and perhaps a reason; the rows changed. */
static int
run_at(struct reg *reg, enum reg_sql sql, struct span name, int64_t at, const char *reason)
{
	sqlite3_stmt *s = reg_statement(reg, sql);

	if (s == NULL) {
		return ERR_DATABASE;
	}
	reg_bind_text(s, 1, name);
	if (at != 0) {
		(void)sqlite3_bind_int64(s, 2, at);
	}
	if (reason != NULL) {
		reg_bind_string(s, 3, reason);
	}
	return reg_run(reg, s);
}

static int
revoke(struct reg *reg, struct span name, const char *reason)
{
	int64_t now = clock_wall();
	struct reg_device known;
	int rc = run_at(reg, REG_SQL_REVOKE, name, now, reason);

	if (rc == 0) {
		/* Under admission = "ca" a device may work without being known here. */
		rc = run_at(reg, REG_SQL_REVOKE_STRANGER, name, 0, NULL);
		if (rc == 0) {
			return ERR_NOT_FOUND;
		}
		rc = rc < 0 ? rc : run_at(reg, REG_SQL_REVOKE, name, now, reason);
	}
	rc = rc < 0 ? rc : run_at(reg, REG_SQL_REVOKE_CERTIFICATES, name, now, reason);
	rc = rc < 0 ? rc : reg_find(reg, name, &known);
	rc = rc < 0 ? rc : reg_stranger_gone(reg, known.fingerprint);
	return rc < 0 ? rc : reg_audit(reg, "revoke", name, "%s", reason);
}

static int
reinstate(struct reg *reg, struct span name)
{
	int rc = run_at(reg, REG_SQL_REINSTATE, name, clock_wall(), NULL);

	if (rc == 0) {
		return ERR_NOT_FOUND;
	}
	rc = rc < 0 ? rc : run_at(reg, REG_SQL_REINSTATE_CERTIFICATES, name, 0, NULL);
	return rc < 0 ? rc : reg_audit(reg, "reinstate", name, "%s", "");
}

int
reg_revoke(struct reg *reg, struct span name, const char *reason)
{
	int rc;

	if (!is_reason(reason)) {
		return ERR_MALFORMED;
	}
	if (name.len == 0 || name.len > REG_NAME_MAX) {
		return ERR_NOT_FOUND;
	}
	rc = reg_change_begin(reg);
	return rc != 0 ? rc : reg_write_end(reg, revoke(reg, name, reason));
}

int
reg_reinstate(struct reg *reg, struct span name)
{
	int rc;

	if (name.len == 0 || name.len > REG_NAME_MAX) {
		return ERR_NOT_FOUND;
	}
	rc = reg_change_begin(reg);
	return rc != 0 ? rc : reg_write_end(reg, reinstate(reg, name));
}

/* ---- asking ---------------------------------------------------------------------------- */

int
reg_revoked_since(struct reg *reg, uint64_t generation,
                  int (*each)(void *owner, const char *fingerprint), void *owner)
{
	sqlite3_stmt *s = reg_statement(reg, REG_SQL_REVOKED_SINCE);
	char fingerprint[65];
	int step, rc = 0;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	(void)sqlite3_bind_int64(s, 1, (int64_t)generation);
	while (rc == 0 && (step = sqlite3_step(s)) != SQLITE_DONE) {
		if (step == SQLITE_ROW) {
			reg_column_copy(s, 0, fingerprint, sizeof fingerprint);
			rc = each(owner, fingerprint);
		} else {
			rc = reg_failed(reg, step);
		}
	}
	reg_done(s);
	return rc;
}

int
reg_expiring_each(struct reg *reg, int64_t from, int64_t before,
                  int (*each)(void *owner, const char *name, int64_t not_after), void *owner)
{
	sqlite3_stmt *s = reg_statement(reg, REG_SQL_EXPIRING);
	char name[REG_NAME_MAX + 1];
	int step, rc = 0;

	if (s == NULL) {
		return ERR_DATABASE;
	}
	(void)sqlite3_bind_int64(s, 1, from);
	(void)sqlite3_bind_int64(s, 2, before);
	while (rc == 0 && (step = sqlite3_step(s)) != SQLITE_DONE) {
		if (step == SQLITE_ROW) {
			reg_column_copy(s, 0, name, sizeof name);
			rc = each(owner, name, sqlite3_column_int64(s, 1));
		} else {
			rc = reg_failed(reg, step);
		}
	}
	reg_done(s);
	return rc;
}
