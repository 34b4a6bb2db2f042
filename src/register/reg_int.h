/* SPDX-License-Identifier: BSD-2-Clause */
/* Within register/: the handle and what its files share. */
#ifndef GATEWAY_REGISTER_REG_INT_H
#define GATEWAY_REGISTER_REG_INT_H

#include <sqlite3.h>

#include "base/buf.h"
#include "register/reg.h"

#define REG_APPLICATION_ID 0x6d6b7267 /* "mkrg" */
#define REG_BUSY_MS 5000
#define REG_SULK_MS 1000 /* see reg_patience() */
/* Seconds that a time of last use may lag: not every connect is to write. */
#define REG_USED_EVERY 600
/* A stranger seen within that time is not pushed out by others. */
#define REG_STRANGER_KEPT 3600

#define REG_DEVICE_COLUMNS                                                          \
	"name, fingerprint, state, groupname, serial, certificate_hash, not_before, " \
	"not_after, enrolled_at, first_seen, last_seen, last_address, last_failure, "  \
	"last_failure_at, revoked_at, revoked_reason, approved"

#define REG_STRANGER_COLUMNS                                                          \
	"fingerprint, name, subject, issuer, address, self_signed, not_after, first_at, " \
	"last_at, count"

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
	  " ELSE enrolled_at END, last_failure = '', last_failure_at = 0, revoked_at = 0,"      \
	  " revoked_reason = '', approved = CASE WHEN fingerprint = ?2 THEN approved ELSE 0 END" \
	  " WHERE name = ?1")                                                                   \
	X(SUPERSEDE,                                                                            \
	  "UPDATE certificate SET revoked_at = ?3, revoked_reason = 'superseded'"               \
	  " WHERE device = ?1 AND fingerprint <> ?2 AND revoked_at = 0")                        \
	X(CERTIFICATE,                                                                          \
	  "INSERT INTO certificate (hash, device, serial, fingerprint, not_before, not_after,"  \
	  " issued_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (hash) DO NOTHING")      \
	X(CERTIFICATES,                                                                         \
	  "SELECT hash, device, serial, fingerprint, not_before, not_after, issued_at,"         \
	  " revoked_at, revoked_reason FROM certificate WHERE ?1 = '' OR device = ?1 ORDER BY issued_at, hash")            \
	X(REVOKE,                                                                               \
	  "UPDATE device SET state = 'revoked', revoked_at = ?2, revoked_reason = ?3,"          \
	  " revoked_generation = (SELECT value FROM meta WHERE key = 'generation') + 1"         \
	  " WHERE name = ?1")                                                                   \
	X(REVOKE_CERTIFICATES,                                                                  \
	  "UPDATE certificate SET revoked_at = ?2, revoked_reason = ?3"                         \
	  " WHERE device = ?1 AND revoked_at = 0")                                              \
	X(REVOKE_STRANGER,                                                                      \
	  "INSERT INTO device (name, fingerprint, state, not_after, first_seen, last_address)"  \
	  " SELECT name, fingerprint, 'revoked', not_after, first_at, address FROM stranger"    \
	  " WHERE name = ?1 AND self_signed = 0 ORDER BY last_at DESC LIMIT 1")                 \
	X(REINSTATE,                                                                            \
	  "UPDATE device SET state = 'enrolled', revoked_at = 0, revoked_reason = '',"          \
	  " enrolled_at = CASE WHEN enrolled_at = 0 THEN ?2 ELSE enrolled_at END"               \
	  " WHERE name = ?1")                                                                   \
	X(REINSTATE_CERTIFICATES,                                                               \
	  "UPDATE certificate SET revoked_at = 0, revoked_reason = '' WHERE device = ?1"        \
	  " AND fingerprint = (SELECT fingerprint FROM device WHERE name = ?1)")                \
	X(REVOKED_SINCE,                                                                        \
	  "SELECT fingerprint FROM device WHERE revoked_generation > ?1 AND fingerprint <> ''"  \
	  " UNION SELECT certificate.fingerprint FROM device JOIN certificate"                  \
	  " ON certificate.device = device.name WHERE device.revoked_generation > ?1")          \
	X(EXPIRING,                                                                             \
	  "SELECT name, not_after FROM device WHERE state = 'enrolled' AND not_after > 0"       \
	  " AND not_after >= ?1 AND not_after < ?2 ORDER BY not_after, name")                   \
	X(APPROVE, "UPDATE device SET approved = 1 WHERE name = ?1")                            \
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
	X(STRANGER_AGAIN,                                                                       \
	  "UPDATE stranger SET name = CASE WHEN self_signed = ?6 THEN ?2 ELSE name END,"        \
	  " subject = CASE WHEN self_signed = ?6 THEN ?3 ELSE subject END,"                     \
	  " issuer = CASE WHEN self_signed = ?6 THEN ?4 ELSE issuer END,"                       \
	  " not_after = CASE WHEN self_signed = ?6 THEN ?7 ELSE not_after END,"                 \
	  " address = ?5, last_at = max(last_at, ?8), count = count + ?9"                       \
	  " WHERE fingerprint = ?1")                                                            \
	X(STRANGER_VOUCHED, "DELETE FROM stranger WHERE fingerprint = ?1 AND self_signed = 1")  \
	X(STRANGER_NEW,                                                                         \
	  "INSERT INTO stranger (fingerprint, name, subject, issuer, address, self_signed,"     \
	  " not_after, first_at, last_at, count) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)") \
	X(STRANGERS_OF_KIND, "SELECT count(*) FROM stranger WHERE self_signed = ?1")            \
	X(STRANGER_OUT,                                                                         \
	  "DELETE FROM stranger WHERE last_at < ?2 AND fingerprint ="                           \
	  " (SELECT fingerprint FROM stranger WHERE self_signed = ?1 ORDER BY last_at LIMIT 1)") \
	X(STRANGER_GONE, "DELETE FROM stranger WHERE fingerprint = ?1")                         \
	X(STRANGER_COUNT, "SELECT count(*) FROM stranger")                                      \
	X(STRANGER_FIND,                                                                        \
	  "SELECT " REG_STRANGER_COLUMNS " FROM stranger"                                       \
	  " WHERE substr(fingerprint, 1, length(?1)) = ?1 LIMIT 2")                             \
	X(STRANGERS, "SELECT " REG_STRANGER_COLUMNS " FROM stranger"                            \
	             " ORDER BY last_at DESC, fingerprint")                                     \
	X(AUDIT, "INSERT INTO audit (at, uid, user, action, device, detail)"                    \
	         " VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                                            \
	X(AUDIT_PAGE,                                                                           \
	  "SELECT id, at, uid, user, action, device, detail FROM audit WHERE id < ?1"           \
	  " AND at >= ?2 ORDER BY id DESC LIMIT ?3")                                            \
	X(AUDIT_PAGE_DEVICE,                                                                    \
	  "SELECT id, at, uid, user, action, device, detail FROM audit WHERE id < ?1"           \
	  " AND at >= ?2 AND device = ?4 ORDER BY id DESC LIMIT ?3")                            \
	X(SUBSCRIBE,                                                                            \
	  "INSERT INTO subscription (client_id, filter, options, id) VALUES (?1, ?2, ?3, ?4)"   \
	  " ON CONFLICT (client_id, filter) DO UPDATE"                                          \
	  " SET options = excluded.options, id = excluded.id")                                  \
	X(UNSUBSCRIBE, "DELETE FROM subscription WHERE client_id = ?1 AND filter = ?2")         \
	X(UNSUBSCRIBE_ALL, "DELETE FROM subscriber WHERE client_id = ?1") /* and a trigger */      \
	X(SUBSCRIBER,                                                                           \
	  "INSERT INTO subscriber (client_id, owner, used_at) VALUES (?1, ?2, ?3)"              \
	  " ON CONFLICT (client_id) DO UPDATE SET owner = excluded.owner,"                      \
	  " used_at = excluded.used_at WHERE owner <> excluded.owner"                           \
	  " OR abs(used_at - excluded.used_at) >= ?4")                                          \
	X(SUBSCRIBER_LAGS,                                                                      \
	  "SELECT 1 FROM subscriber WHERE client_id = ?1"                                       \
	  " AND (owner <> ?2 OR abs(used_at - ?3) >= ?4)")                                      \
	X(SUBSCRIBERS_OUT,                                                                      \
	  "DELETE FROM subscriber WHERE client_id IN (SELECT client_id FROM subscriber"         \
	  " WHERE owner = ?2 AND client_id <> ?1 ORDER BY used_at DESC LIMIT -1 OFFSET ?3)")    \
	X(SUBSCRIBER_DONE,                                                                      \
	  "DELETE FROM subscriber WHERE client_id = ?1"                                         \
	  " AND NOT EXISTS (SELECT 1 FROM subscription WHERE client_id = ?1)")                  \
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
	bool outer;   /* reg_begin() was called, and not yet its end */
	bool acting;  /* reg_actor() was called */
	unsigned uid;
	char user[64];
	int patience; /* ms to wait for another writer */
	bool hasty;   /* reg_patience() was called */
	uint64_t sulk_until; /* of clock_ms(): until then it does not wait at all */
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
 * A transaction that writes, or a part of the one that reg_begin() opened.
 * durable: on the disk at its end. rc: what happened in between; anything but
 * 0 rolls back. Returns rc, or the failure to commit.
 */
int reg_write_begin(struct reg *reg, bool durable) MUST_CHECK;
int reg_write_end(struct reg *reg, int rc) MUST_CHECK;
/* One that changes devices: durable, and only with somebody to answer for it. */
int reg_change_begin(struct reg *reg) MUST_CHECK;
/*
 * Within it: write down who did what. detail: printf-like, cut; returns 0 or
 * ERR_DATABASE.
 */
int reg_audit(struct reg *reg, const char *action, struct span device, const char *detail, ...)
        MUST_CHECK __attribute__((format(printf, 4, 5)));
/* Within it: no stranger has that key any more. */
int reg_stranger_gone(struct reg *reg, const char *fingerprint) MUST_CHECK;
/* reg_enrol() within a transaction, without a word in the audit. */
int reg_enrol_within(struct reg *reg, const struct reg_device *device, bool replace, bool *renewed,
                     bool *replaced) MUST_CHECK;

#endif
