/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables and their versions. PRAGMA user_version says how many of the
 * steps below a file has seen; a step, once released, is never edited.
 */
#include "register/reg_int.h"

#include <stdio.h>

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)
#define WAL_TRIES 500
#define WAL_WAIT_MS 10

/*
 * Generation: raised by triggers, so that no path can forget it. What only
 * says when a device was seen is left out.
 *
 * A certificate stays in the list when its device is removed: it is still
 * valid, and a revocation list must be able to name it. So it has the name of
 * the device and no reference.
 */
#define RAISE "BEGIN UPDATE meta SET value = value + 1 WHERE key = 'generation'; END;"

static const char *const steps[] = {
	/* 1 */
	"CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL)"
	" STRICT, WITHOUT ROWID;"
	"INSERT INTO meta VALUES ('generation', 1);"
	"CREATE TABLE device ("
	" id INTEGER PRIMARY KEY,"
	" name TEXT NOT NULL UNIQUE"
	"  CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND " STRINGIFY(REG_NAME_MAX) "),"
	" fingerprint TEXT NOT NULL DEFAULT '',"
	" state TEXT NOT NULL CHECK (state IN ('pending', 'enrolled', 'revoked')),"
	" groupname TEXT NOT NULL DEFAULT '',"
	" serial TEXT NOT NULL DEFAULT '',"
	" certificate_hash TEXT NOT NULL DEFAULT '',"
	" not_before INTEGER NOT NULL DEFAULT 0,"
	" not_after INTEGER NOT NULL DEFAULT 0,"
	" enrolled_at INTEGER NOT NULL DEFAULT 0,"
	" first_seen INTEGER NOT NULL DEFAULT 0,"
	" last_seen INTEGER NOT NULL DEFAULT 0,"
	" last_address TEXT NOT NULL DEFAULT '',"
	" last_failure TEXT NOT NULL DEFAULT '',"
	" last_failure_at INTEGER NOT NULL DEFAULT 0"
	") STRICT;"
	"CREATE INDEX device_fingerprint ON device (fingerprint) WHERE fingerprint <> '';"
	"CREATE INDEX device_pending ON device (state) WHERE state = 'pending';"
	"CREATE TABLE certificate ("
	" hash TEXT NOT NULL PRIMARY KEY,"
	" device TEXT NOT NULL,"
	" serial TEXT NOT NULL,"
	" fingerprint TEXT NOT NULL,"
	" not_before INTEGER NOT NULL,"
	" not_after INTEGER NOT NULL,"
	" issued_at INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX certificate_device ON certificate (device);"
	"CREATE TABLE label ("
	" device INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,"
	" label TEXT NOT NULL,"
	" value TEXT NOT NULL,"
	" PRIMARY KEY (device, label)"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE subscription ("
	" client_id TEXT NOT NULL,"
	" filter TEXT NOT NULL,"
	" options INTEGER NOT NULL,"
	" id INTEGER NOT NULL,"
	" PRIMARY KEY (client_id, filter)"
	") STRICT, WITHOUT ROWID;"
	"CREATE TRIGGER device_inserted AFTER INSERT ON device"
	" WHEN NEW.state <> 'pending' " RAISE
	"CREATE TRIGGER device_updated AFTER UPDATE OF name, fingerprint, state, groupname,"
	" serial, certificate_hash, not_before, not_after ON device " RAISE
	"CREATE TRIGGER device_deleted AFTER DELETE ON device " RAISE
	"CREATE TRIGGER label_inserted AFTER INSERT ON label " RAISE
	"CREATE TRIGGER label_updated AFTER UPDATE ON label " RAISE
	"CREATE TRIGGER label_deleted AFTER DELETE ON label " RAISE,
	/*
	 * 2: who is only known because it came has a table of its own, so the
	 * state "pending" is used no more (a CHECK cannot be changed in place).
	 * revoked_generation: the one that the revocation made, so that the
	 * daemon finds what is new without trusting a clock.
	 */
	"DELETE FROM device WHERE state = 'pending';"
	"DROP INDEX device_pending;"
	"ALTER TABLE device ADD COLUMN revoked_at INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE device ADD COLUMN revoked_reason TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE device ADD COLUMN revoked_generation INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE device ADD COLUMN approved INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE certificate ADD COLUMN revoked_at INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE certificate ADD COLUMN revoked_reason TEXT NOT NULL DEFAULT '';"
	"UPDATE device SET revoked_at = CAST(strftime('%s', 'now') AS INTEGER),"
	" revoked_reason = 'unspecified' WHERE state = 'revoked';"
	"UPDATE certificate SET revoked_at = CAST(strftime('%s', 'now') AS INTEGER),"
	" revoked_reason = 'unspecified'"
	" WHERE device IN (SELECT name FROM device WHERE state = 'revoked');"
	"CREATE INDEX device_revoked ON device (revoked_generation) WHERE revoked_generation > 0;"
	"CREATE INDEX device_not_after ON device (not_after)"
	" WHERE state = 'enrolled' AND not_after > 0;"
	"CREATE TRIGGER device_approved AFTER UPDATE OF approved ON device " RAISE
	"CREATE TABLE stranger ("
	" fingerprint TEXT NOT NULL PRIMARY KEY CHECK (length(fingerprint) = 64),"
	" name TEXT NOT NULL,"
	" subject TEXT NOT NULL,"
	" issuer TEXT NOT NULL,"
	" address TEXT NOT NULL,"
	" self_signed INTEGER NOT NULL CHECK (self_signed IN (0, 1)),"
	" not_after INTEGER NOT NULL,"
	" first_at INTEGER NOT NULL,"
	" last_at INTEGER NOT NULL,"
	" count INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX stranger_kind ON stranger (self_signed, last_at);"
	"CREATE TABLE audit ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT," /* so that a row taken out leaves a gap */
	" at INTEGER NOT NULL,"
	" uid INTEGER NOT NULL,"
	" user TEXT NOT NULL,"
	" action TEXT NOT NULL,"
	" device TEXT NOT NULL,"
	" detail TEXT NOT NULL"
	") STRICT;"
	"CREATE INDEX audit_device ON audit (device, id) WHERE device <> '';",
	/*
	 * 3: whose the client identifiers of the subscriptions are, and when
	 * each was used last, so that there can be a bound for each device. Of
	 * those there are nobody knows; they belong to who uses them next.
	 */
	"CREATE TABLE subscriber ("
	" client_id TEXT NOT NULL PRIMARY KEY,"
	" owner TEXT NOT NULL,"
	" used_at INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX subscriber_owner ON subscriber (owner, used_at);"
	"INSERT INTO subscriber SELECT DISTINCT client_id, '',"
	" CAST(strftime('%s', 'now') AS INTEGER) FROM subscription;"
	"CREATE TRIGGER subscriber_deleted AFTER DELETE ON subscriber"
	" BEGIN DELETE FROM subscription WHERE client_id = OLD.client_id; END;",
};

#define LAYOUT ((int)(sizeof steps / sizeof steps[0]))

static int
run(struct reg *reg, const char *sql)
{
	int rc = sqlite3_exec(reg->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : reg_failed(reg, rc);
}

/* One number of a statement that is used only here. */
static int
number(struct reg *reg, const char *sql, int64_t *out)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(reg->db, sql, -1, &statement, NULL);

	if (rc == SQLITE_OK) {
		rc = sqlite3_step(statement);
		if (rc == SQLITE_ROW) {
			*out = sqlite3_column_int64(statement, 0);
			rc = SQLITE_OK;
		}
	}
	if (rc != SQLITE_OK) {
		rc = reg_failed(reg, rc);
	}
	sqlite3_finalize(statement);
	return rc;
}

/* Is the file ours, or empty and so to be ours? */
static int
check_owner(struct reg *reg, const char *file, int64_t *version, char *why)
{
	int64_t application = 0, tables = 0;
	int rc = number(reg, "PRAGMA application_id", &application);

	if (rc == 0) {
		rc = number(reg, "PRAGMA user_version", version);
	}
	if (rc == 0) {
		rc = number(reg, "SELECT count(*) FROM sqlite_schema", &tables);
	}
	if (rc != 0) {
		return rc;
	}
	if (application != REG_APPLICATION_ID &&
	    (application != 0 || tables != 0 || *version != 0)) {
		snprintf(reg->error, sizeof reg->error,
		         "This is the database of another program, not a register.");
		return ERR_DATABASE;
	}
	if (*version > LAYOUT) {
		snprintf(why, REG_WHY_SIZE,
		         "%.120s: made by a newer release (layout %d, this release knows %d).",
		         file, (int)*version, LAYOUT);
		return ERR_VERSION;
	}
	return 0;
}

/*
 * Switching to WAL needs the file for oneself and is refused at once, without
 * the busy timeout, while another handle does the same.
 */
static int
use_wal(struct reg *reg)
{
	int rc = SQLITE_BUSY;

	for (int i = 0; i < WAL_TRIES && (rc & 0xff) == SQLITE_BUSY; i++) {
		if (i > 0) {
			sqlite3_sleep(WAL_WAIT_MS);
		}
		rc = sqlite3_exec(reg->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
	}
	return rc == SQLITE_OK ? 0 : reg_failed(reg, rc);
}

static int
migrate(struct reg *reg)
{
	char text[64];
	int64_t version = 0;
	int rc = reg_write_begin(reg, true);

	if (rc != 0) {
		return rc;
	}
	/* Again, inside: somebody else may have been faster. */
	rc = number(reg, "PRAGMA user_version", &version);
	for (; rc == 0 && version < LAYOUT; version++) {
		rc = run(reg, steps[version]);
		snprintf(text, sizeof text, "PRAGMA user_version = %d", (int)version + 1);
		if (rc == 0) {
			rc = run(reg, text);
		}
	}
	snprintf(text, sizeof text, "PRAGMA application_id = %d", REG_APPLICATION_ID);
	if (rc == 0) {
		rc = run(reg, text);
	}
	return reg_write_end(reg, rc);
}

int
reg_schema_ensure(struct reg *reg, const char *file, char *why)
{
	int64_t version = 0;
	int rc = check_owner(reg, file, &version, why);

	if (rc != 0 || sqlite3_db_readonly(reg->db, "main") == 1) {
		if (rc == 0 && version < LAYOUT) {
			snprintf(why, REG_WHY_SIZE,
			         "%.120s: made by an older release, and you may not update it.",
			         file);
			rc = ERR_VERSION;
		}
		return rc;
	}
	rc = use_wal(reg);
	return rc == 0 && version < LAYOUT ? migrate(reg) : rc;
}
