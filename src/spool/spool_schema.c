/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening: whose file it is, its version, what is in it.
 *
 * PRAGMA user_version says how many of the steps below a file has seen; a
 * step, once released, is never edited. The table of messages is written at
 * its end and, drained, emptied from its beginning. The index holds all that
 * the start, the bounds and the sweep need, so that none of them reads what
 * devices have sent.
 *
 * A whole check of a large file would keep devices waiting for minutes on a
 * slow disk: it is made up to CHECKED_SIZE. Beyond that the start reads the
 * whole index, SQLite checks each page that it uses, and what is found later
 * is answered as an error of the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool/spool_int.h"

#define BUSY_MS 2000
#define CHECKED_SIZE (16 << 20)
#define CHUNK_SIZE (1 << 20) /* by which the file grows */
#define WAL_KEPT (1 << 20)   /* blocks of the WAL that are there before they are needed */

static const char *const steps[] = {
	/* 1 */
	"CREATE TABLE device ("
	" id INTEGER PRIMARY KEY,"
	" identity TEXT NOT NULL UNIQUE"
	") STRICT;"
	"CREATE TABLE message ("
	" sequence INTEGER PRIMARY KEY,"
	" device INTEGER NOT NULL,"
	" until INTEGER NOT NULL," /* ms; it expires then */
	" qos INTEGER NOT NULL,"
	" size INTEGER NOT NULL," /* as it counts in the bounds */
	" received INTEGER NOT NULL,"
	" expiry INTEGER NOT NULL,"
	" retain INTEGER NOT NULL,"
	" topic BLOB NOT NULL,"
	" properties BLOB NOT NULL,"
	" payload BLOB NOT NULL"
	") STRICT;"
	"CREATE INDEX message_device ON message (device, sequence, until, qos, size);"
	"CREATE INDEX message_light ON message (device) WHERE qos = 0;",
};

#define LAYOUT ((int)(sizeof steps / sizeof steps[0]))

/* ---- sentences ---------------------------------------------------------------------- */

static int
fail(char *why, size_t size, int code, const char *file, const char *sentence)
{
	snprintf(why, size, "%s: %s", file, sentence);
	return code;
}

static int
fail_sql(struct spool *spool, char *why, size_t size, const char *file, int code)
{
	switch (code & 0xff) {
	case SQLITE_NOTADB:
		return fail(why, size, ERR_DATABASE, file,
		            "This is no spool, but another kind of file; move it away.");
	case SQLITE_CORRUPT:
		return fail(why, size, ERR_DATABASE, file,
		            "The spool is damaged. Move it away, together with its -wal file, and "
		            "gatewayd starts with an empty one; `sqlite3 FILE .recover` may save "
		            "messages from it.");
	case SQLITE_BUSY:
		return fail(why, size, ERR_DATABASE, file,
		            "Another program has the spool open; is another gatewayd running?");
	case SQLITE_FULL:
		return fail(why, size, -ENOSPC, file, "The disk is full.");
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return fail(why, size, -EACCES, file,
		            "The spool and its folder must be writable for the user of gatewayd.");
	default:
		snprintf(why, size, "%s: The spool cannot be used: %s.", file,
		         spool->db != NULL ? sqlite3_errmsg(spool->db) : sqlite3_errstr(code));
		return ERR_DATABASE;
	}
}

/* ---- the file ------------------------------------------------------------------------ */

static void
sync_folder(const char *file)
{
	char copy[PATH_MAX];
	int fd;

	snprintf(copy, sizeof copy, "%s", file);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
}

/* SQLite would make it with the umask's mode; what devices send is nobody else's. */
static int
make_file(const char *file, char *why, size_t size)
{
	int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int error = errno;

	if (fd >= 0) {
		close(fd); /* nobody has a lock on it yet */
		sync_folder(file);
		return 0;
	}
	if (error == EEXIST) {
		return 0;
	}
	snprintf(why, size, "%s: cannot be made: %s. Its folder must exist and be writable for the "
	                    "user of gatewayd.", file, err_text(-error));
	return -error;
}

/* A failure costs only the certainty that removals work on a full disk. */
static void
reserve_wal(const char *file)
{
	char path[PATH_MAX];
	int fd;

	if ((size_t)snprintf(path, sizeof path, "%s-wal", file) >= sizeof path) {
		return;
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, WAL_KEPT);
		close(fd);
	}
}

/* ---- the schema ----------------------------------------------------------------------- */

static int
number(struct spool *spool, const char *sql, int64_t *out)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(spool->db, sql, -1, &statement, NULL);

	if (code == SQLITE_OK) {
		code = sqlite3_step(statement);
		if (code == SQLITE_ROW) {
			*out = sqlite3_column_int64(statement, 0);
			code = SQLITE_OK;
		}
	}
	sqlite3_finalize(statement);
	return code;
}

static int
exec(struct spool *spool, const char *sql)
{
	return sqlite3_exec(spool->db, sql, NULL, NULL, NULL);
}

static int
migrate(struct spool *spool, int64_t version)
{
	char sql[96];
	int code = exec(spool, "BEGIN EXCLUSIVE");

	for (int64_t i = version; i < LAYOUT && code == SQLITE_OK; i++) {
		code = exec(spool, steps[i]);
	}
	if (code == SQLITE_OK) {
		snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
		         SPOOL_APPLICATION_ID, LAYOUT);
		code = exec(spool, sql);
	}
	if (code == SQLITE_OK) {
		code = exec(spool, "COMMIT");
	}
	if (code != SQLITE_OK && sqlite3_get_autocommit(spool->db) == 0) {
		(void)exec(spool, "ROLLBACK");
	}
	return code;
}

/* Is it ours, or empty and so to be ours? */
static int
check_owner(struct spool *spool, const char *file, int64_t *version, char *why, size_t size)
{
	int64_t application = 0, tables = 0;
	int code = number(spool, "PRAGMA application_id", &application);

	if (code == SQLITE_OK) {
		code = number(spool, "PRAGMA user_version", version);
	}
	if (code == SQLITE_OK) {
		code = number(spool, "SELECT count(*) FROM sqlite_schema", &tables);
	}
	if (code != SQLITE_OK) {
		return fail_sql(spool, why, size, file, code);
	}
	if (application != SPOOL_APPLICATION_ID &&
	    (application != 0 || tables != 0 || *version != 0)) {
		return fail(why, size, ERR_DATABASE, file,
		            "This is the database of another program, not a spool; move it away.");
	}
	if (*version > LAYOUT || *version < 0) {
		snprintf(why, size,
		         "%s: made by a newer release (layout %d, this release knows %d). Install "
		         "that release again, or move the file away.",
		         file, (int)*version, LAYOUT);
		return ERR_VERSION;
	}
	return 0;
}

static int
check_content(struct spool *spool)
{
	int64_t pages = 0;
	int code = number(spool, "PRAGMA page_count", &pages);
	sqlite3_stmt *statement = NULL;

	if (code != SQLITE_OK || pages * 4096 > CHECKED_SIZE) {
		return code;
	}
	code = sqlite3_prepare_v2(spool->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
	if (code == SQLITE_OK) {
		code = sqlite3_step(statement);
	}
	if (code == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(statement, 0);

		code = text != NULL && strcmp(text, "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
	}
	sqlite3_finalize(statement);
	return code;
}

static int
count_frames(void *owner, sqlite3 *db, const char *name, int frames)
{
	struct spool *spool = owner;

	(void)db;
	(void)name;
	spool->frames = frames;
	return SQLITE_OK;
}

/* The file may have been put there by somebody else: its schema is not trusted. */
static int
configure(struct spool *spool)
{
	static const struct {
		int option, value;
	} options[] = {
		{ SQLITE_DBCONFIG_DEFENSIVE, 1 },   { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
		{ SQLITE_DBCONFIG_ENABLE_VIEW, 0 }, { SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 },
	};
	int code = sqlite3_busy_timeout(spool->db, BUSY_MS);

	for (size_t i = 0; i < sizeof options / sizeof options[0] && code == SQLITE_OK; i++) {
		code = sqlite3_db_config(spool->db, options[i].option, options[i].value, NULL);
	}
	spool->durable = true;
	if (code == SQLITE_OK) {
		/*
		 * Exclusive: what is counted in memory is true only while nobody
		 * else writes. auto_vacuum works on an empty file only, and
		 * before anything is in it.
		 */
		code = exec(spool, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL;"
		                   "PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON;"
		                   "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8192;"
		                   "PRAGMA journal_size_limit = 8388608;");
	}
	return code;
}

static int
use_wal(struct spool *spool)
{
	int chunk = CHUNK_SIZE;
	int code = exec(spool, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;"
	                       "BEGIN IMMEDIATE; COMMIT;");

	if (code == SQLITE_OK) {
		sqlite3_wal_hook(spool->db, count_frames, spool);
		(void)sqlite3_file_control(spool->db, "main", SQLITE_FCNTL_CHUNK_SIZE, &chunk);
	}
	return code;
}

int
schema_open(struct spool *spool, const char *file, char *why, size_t size)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
	            SQLITE_OPEN_EXRESCODE;
	int64_t version = 0;
	int rc = make_file(file, why, size), code;

	if (rc != 0) {
		return rc;
	}
	code = sqlite3_open_v2(file, &spool->db, flags, NULL);
	if (code == SQLITE_OK) {
		code = configure(spool);
	}
	if (code != SQLITE_OK) {
		return fail_sql(spool, why, size, file, code);
	}
	rc = check_owner(spool, file, &version, why, size);
	if (rc != 0) {
		return rc;
	}
	code = use_wal(spool);
	if (code == SQLITE_OK && version < LAYOUT) {
		code = migrate(spool, version);
	}
	if (code == SQLITE_OK) {
		code = check_content(spool);
	}
	if (code != SQLITE_OK) {
		return fail_sql(spool, why, size, file, code);
	}
	reserve_wal(file);
	return 0;
}

void
schema_close(struct spool *spool)
{
	for (size_t i = 0; i < SQL_COUNT; i++) {
		sqlite3_finalize(spool->statement[i]);
		spool->statement[i] = NULL;
	}
	sqlite3_close(spool->db);
	spool->db = NULL;
}

/* ---- what is in it ---------------------------------------------------------------------- */

/* One row: a device with its messages. */
static int
load_row(struct spool *spool, sqlite3_stmt *row)
{
	const char *identity = (const char *)sqlite3_column_text(row, 1);
	struct device *device;
	struct tally *t;

	if (identity == NULL) {
		return SQLITE_CORRUPT; /* messages of a device that is not in the table */
	}
	device = index_make(spool, span_of((const uint8_t *)identity,
	                                   (size_t)sqlite3_column_bytes(row, 1)));
	if (device == NULL) {
		return SQLITE_NOMEM;
	}
	t = &device->now;
	t->id = sqlite3_column_int64(row, 0);
	t->messages = (uint64_t)sqlite3_column_int64(row, 2);
	t->bytes = (uint64_t)sqlite3_column_int64(row, 3);
	t->first = (uint64_t)sqlite3_column_int64(row, 4);
	t->soonest = sqlite3_column_int64(row, 6);
	t->light_messages = (uint64_t)sqlite3_column_int64(row, 7);
	t->light_bytes = (uint64_t)sqlite3_column_int64(row, 8);
	t->oldest = sqlite3_column_int64(row, 9);
	device->shown = *t;
	device->asked = device->settled = (uint64_t)sqlite3_column_int64(row, 5);
	if (device->asked > spool->sequence) {
		spool->sequence = device->asked;
	}
	spool->messages += t->messages;
	spool->bytes += t->bytes;
	index_activate(spool, device);
	return SQLITE_OK;
}

int
schema_load(struct spool *spool, const char *file, char *why, size_t size)
{
	static const char sql[] =
		"SELECT g.*, (SELECT received FROM message WHERE sequence = g.first) FROM"
		" (SELECT device,"
		" (SELECT identity FROM device WHERE id = m.device),"
		" count(*), sum(size), min(sequence) AS first, max(sequence), min(until),"
		" sum(qos = 0), sum((qos = 0) * size)"
		" FROM message AS m INDEXED BY message_device GROUP BY device) AS g";
	sqlite3_stmt *row = NULL;
	/* Devices whose messages have gone: their numbers are not needed any more. */
	int code = exec(spool, "DELETE FROM device WHERE NOT EXISTS"
	                       " (SELECT 1 FROM message WHERE device = device.id)");

	if (code == SQLITE_FULL) {
		code = SQLITE_OK; /* that can wait */
	}
	if (code == SQLITE_OK) {
		code = sqlite3_prepare_v2(spool->db, sql, -1, &row, NULL);
	}
	while (code == SQLITE_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
		code = load_row(spool, row);
	}
	sqlite3_finalize(row);
	spool->shown_messages = spool->messages;
	spool->shown_bytes = spool->bytes;
	return code == SQLITE_DONE ? 0 : fail_sql(spool, why, size, file, code);
}
