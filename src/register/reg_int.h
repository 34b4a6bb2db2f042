/* SPDX-License-Identifier: BSD-2-Clause */
/* Within register/: the handle and what its files share. */
#ifndef GATEWAY_REGISTER_REG_INT_H
#define GATEWAY_REGISTER_REG_INT_H

#include <sqlite3.h>

#include "base/buf.h"
#include "register/reg.h"

#define REG_APPLICATION_ID 0x6d6b7267 /* "mkrg" */
#define REG_BUSY_MS 5000
/*
 * Names that are only known because they were refused. A stranger with many
 * certificates must not fill the disk.
 */
#define REG_PENDING_MAX 1000

#define REG_DEVICE_COLUMNS                                                          \
	"name, fingerprint, state, groupname, serial, certificate_hash, not_before, " \
	"not_after, enrolled_at, first_seen, last_seen, last_address, last_failure, "  \
	"last_failure_at"

/* Every statement, prepared at its first use and kept. */
#define REG_SQL_LIST(X)                                                                         \
	X(DATA_VERSION, "PRAGMA data_version")                                                  \
	X(GENERATION, "SELECT value FROM meta WHERE key = 'generation'")                        \
	X(FIND, "SELECT " REG_DEVICE_COLUMNS " FROM device WHERE name = ?1")                    \
	X(FIND_FINGERPRINT,                                                                     \
	  "SELECT " REG_DEVICE_COLUMNS " FROM device"                                           \
	  " WHERE fingerprint = ?1 AND fingerprint <> ''"                                       \
	  " ORDER BY state = 'enrolled' DESC, enrolled_at DESC, name LIMIT 1")                  \
	X(PAGE, "SELECT " REG_DEVICE_COLUMNS " FROM device WHERE name > ?1 ORDER BY name"       \
	        " LIMIT ?2")                                                                    \
	X(INSERT,                                                                               \
	  "INSERT INTO device (name, fingerprint, state, groupname, serial, certificate_hash,"  \
	  " not_before, not_after, enrolled_at)"                                                \
	  " VALUES (?1, ?2, 'enrolled', ?3, ?4, ?5, ?6, ?7, ?8)")                               \
	X(RENEW,                                                                                \
	  "UPDATE device SET fingerprint = ?2, state = 'enrolled',"                             \
	  " groupname = CASE WHEN ?3 = '' THEN groupname ELSE ?3 END, serial = ?4,"             \
	  " certificate_hash = ?5, not_before = ?6, not_after = ?7,"                            \
	  " enrolled_at = CASE WHEN enrolled_at = 0 OR fingerprint <> ?2 THEN ?8"               \
	  " ELSE enrolled_at END, last_failure = '', last_failure_at = 0 WHERE name = ?1")      \
	X(CERTIFICATE,                                                                          \
	  "INSERT INTO certificate (hash, device, serial, fingerprint, not_before, not_after,"  \
	  " issued_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (hash) DO NOTHING")      \
	X(CERTIFICATES,                                                                         \
	  "SELECT hash, device, serial, fingerprint, not_before, not_after, issued_at"          \
	  " FROM certificate WHERE ?1 = '' OR device = ?1 ORDER BY issued_at, hash")            \
	X(SET_STATE, "UPDATE device SET state = ?2 WHERE name = ?1")                            \
	X(SET_GROUP, "UPDATE device SET groupname = ?2 WHERE name = ?1")                        \
	X(REMOVE, "DELETE FROM device WHERE name = ?1")                                         \
	X(SET_LABEL,                                                                            \
	  "INSERT INTO label (device, label, value)"                                            \
	  " SELECT id, ?2, ?3 FROM device WHERE name = ?1"                                      \
	  " ON CONFLICT (device, label) DO UPDATE SET value = excluded.value")                  \
	X(REMOVE_LABEL,                                                                         \
	  "DELETE FROM label WHERE label = ?2"                                                  \
	  " AND device = (SELECT id FROM device WHERE name = ?1)")                              \
	X(LABELS,                                                                               \
	  "SELECT label.label, label.value FROM label JOIN device ON device.id = label.device"  \
	  " WHERE device.name = ?1 ORDER BY label.label")                                       \
	X(SEEN,                                                                                 \
	  "UPDATE device SET first_seen = CASE WHEN first_seen = 0 THEN ?3 ELSE first_seen END," \
	  " last_seen = max(last_seen, ?3), last_address = ?2 WHERE name = ?1")                 \
	X(FAILED,                                                                               \
	  "UPDATE device SET first_seen = CASE WHEN first_seen = 0 THEN ?3 ELSE first_seen END," \
	  " last_failure = ?4, last_failure_at = ?3, last_address = ?2 WHERE name = ?1")        \
	X(SEEN_NEW,                                                                             \
	  "INSERT INTO device (name, state, last_address, first_seen, last_seen)"               \
	  " VALUES (?1, 'pending', ?2, ?3, ?3)")                                                \
	X(FAILED_NEW,                                                                           \
	  "INSERT INTO device (name, state, last_address, first_seen, last_failure,"            \
	  " last_failure_at) SELECT ?1, 'pending', ?2, ?3, ?4, ?3"                              \
	  " WHERE (SELECT count(*) FROM device WHERE state = 'pending') < ?5")                  \
	X(SUBSCRIBE,                                                                            \
	  "INSERT INTO subscription (client_id, filter, options, id) VALUES (?1, ?2, ?3, ?4)"   \
	  " ON CONFLICT (client_id, filter) DO UPDATE"                                          \
	  " SET options = excluded.options, id = excluded.id")                                  \
	X(UNSUBSCRIBE, "DELETE FROM subscription WHERE client_id = ?1 AND filter = ?2")         \
	X(UNSUBSCRIBE_ALL, "DELETE FROM subscription WHERE client_id = ?1")                     \
	X(SUBSCRIPTIONS,                                                                        \
	  "SELECT filter, options, id FROM subscription WHERE client_id = ?1 ORDER BY filter")

enum reg_sql {
#define X(name, text) REG_SQL_##name,
	REG_SQL_LIST(X)
#undef X
	REG_SQL_COUNT
};

struct reg {
	sqlite3 *db;
	sqlite3_stmt *statements[REG_SQL_COUNT];
	bool durable; /* synchronous = FULL is set */
	bool stale;   /* this handle changed something: read the generation again */
	int64_t data_version;
	uint64_t generation;
	char error[REG_WHY_SIZE];
};

/* Make or update the tables; the handle is open. */
int reg_schema_ensure(struct reg *reg, const char *file, char *why) MUST_CHECK;

/* Keep the sentence for an SQLite result code; ERR_DATABASE. */
int reg_failed(struct reg *reg, int code);
/* The statement, ready to bind; NULL: reg_failed() was called. */
sqlite3_stmt *reg_statement(struct reg *reg, enum reg_sql sql);
/* After every use: no statement may hold a snapshot of the database. */
void reg_done(sqlite3_stmt *statement);
void reg_bind_text(sqlite3_stmt *statement, int at, struct span text);
void reg_bind_string(sqlite3_stmt *statement, int at, const char *text);
/* Valid until the statement goes on. */
struct span reg_column_text(sqlite3_stmt *statement, int at);
/* Into a fixed field, cut when the database holds something longer. */
void reg_column_copy(sqlite3_stmt *statement, int at, char *out, size_t size);
/* Run a bound statement that gives no rows; the number of rows changed, or ERR_DATABASE. */
int reg_run(struct reg *reg, sqlite3_stmt *statement) MUST_CHECK;

/*
 * A transaction that writes. durable: on the disk when it is committed.
 * rc: what happened in between; anything but 0 rolls back. Returns rc, or the
 * failure to commit.
 */
int reg_change_begin(struct reg *reg, bool durable) MUST_CHECK;
int reg_end(struct reg *reg, int rc) MUST_CHECK;

#endif
