/* SPDX-License-Identifier: BSD-2-Clause */
/* The handle: opening, statements, transactions, the generation. */
#include "register/reg_int.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define FILE_MODE 0660

const char *
reg_state_text(enum reg_state state)
{
	switch (state) {
#define X(name, text)                                                                              \
	case REG_##name:                                                                           \
		return text;
		REG_STATE_LIST(X)
#undef X
	}
	return "unknown";
}

int
reg_state_parse(const char *text)
{
#define X(name, its_text)                                                                          \
	if (strcmp(text, its_text) == 0) {                                                         \
		return REG_##name;                                                                 \
	}
	REG_STATE_LIST(X)
#undef X
	return -1;
}

/* ---- statements ------------------------------------------------------------------- */

int
reg_failed(struct reg *reg, int code)
{
	const char *sentence;

	switch (code & 0xff) {
	case SQLITE_FULL:
		sentence = "The disk is full.";
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		sentence = "The register is damaged, or the file is no register; restore it from a "
			   "backup.";
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		sentence = "Another program kept the register locked for too long.";
		break;
	case SQLITE_READONLY:
		sentence = "The register was opened for reading only, or may not be written.";
		break;
	default:
		snprintf(reg->error, sizeof reg->error, "The register failed: %s.",
			 reg->db != NULL ? sqlite3_errmsg(reg->db) : sqlite3_errstr(code));
		return ERR_DATABASE;
	}
	snprintf(reg->error, sizeof reg->error, "%s", sentence);
	return ERR_DATABASE;
}

const char *
reg_error(const struct reg *reg)
{
	return reg->error;
}

sqlite3_stmt *
reg_statement(struct reg *reg, enum reg_sql sql)
{
	static const char *const texts[REG_SQL_COUNT] = {
#define X(name, text) text,
		REG_SQL_LIST(X)
#undef X
	};
	int rc;

	if (reg->statements[sql] == NULL) {
		rc = sqlite3_prepare_v3(reg->db, texts[sql], -1, SQLITE_PREPARE_PERSISTENT,
					&reg->statements[sql], NULL);
		if (rc != SQLITE_OK) {
			(void)reg_failed(reg, rc);
			return NULL;
		}
	}
	return reg->statements[sql];
}

void
reg_done(sqlite3_stmt *statement)
{
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
}

/* Static for SQLite: every user steps and resets before the text goes away. */
void
reg_bind_text(sqlite3_stmt *statement, int at, struct span text)
{
	/* NULL would become an SQL NULL. A failure shows as one in the step. */
	(void)sqlite3_bind_text64(statement, at, text.len > 0 ? (const char *)text.ptr : "",
				  text.len, SQLITE_STATIC, SQLITE_UTF8);
}

void
reg_bind_string(sqlite3_stmt *statement, int at, const char *text)
{
	reg_bind_text(statement, at, span_str(text));
}

struct span
reg_column_text(sqlite3_stmt *statement, int at)
{
	const unsigned char *text = sqlite3_column_text(statement, at);

	return span_of(text, text != NULL ? (size_t)sqlite3_column_bytes(statement, at) : 0);
}

void
reg_column_copy(sqlite3_stmt *statement, int at, char *out, size_t size)
{
	struct span text = span_head(reg_column_text(statement, at), size - 1);

	if (text.len > 0) {
		memcpy(out, text.ptr, text.len);
	}
	out[text.len] = '\0';
}

int
reg_run(struct reg *reg, sqlite3_stmt *statement)
{
	int rc = sqlite3_step(statement);

	if (rc != SQLITE_DONE) {
		rc = reg_failed(reg, rc);
	} else {
		rc = sqlite3_changes(reg->db);
	}
	reg_done(statement);
	return rc;
}

/* ---- transactions ------------------------------------------------------------------- */

static int
run_text(struct reg *reg, const char *sql)
{
	int rc = sqlite3_exec(reg->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : reg_failed(reg, rc);
}

void
reg_patience(struct reg *reg, unsigned ms)
{
	reg->hasty = true;
	reg->patience = (int)ms;
	(void)sqlite3_busy_timeout(reg->db, reg->patience);
}

/* IMMEDIATE waits for the other writer here; an upgrade later could not. */
static int
lock(struct reg *reg)
{
	bool sulking = reg->hasty && clock_ms() < reg->sulk_until;
	int code;

	if (sulking) {
		(void)sqlite3_busy_timeout(reg->db, 0);
	}
	code = sqlite3_exec(reg->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (sulking) {
		(void)sqlite3_busy_timeout(reg->db, reg->patience);
	} else if (code != SQLITE_OK) {
		reg->sulk_until = clock_ms() + REG_SULK_MS;
	}
	return code == SQLITE_OK ? 0 : reg_failed(reg, code);
}

/* BEGIN, with the right care for the disk. */
static int
begin(struct reg *reg, bool durable)
{
	int rc = 0;

	/*
	 * A device that was revoked must stay so after a power cut: FULL.
	 * Subscriptions and sightings use NORMAL, which in WAL mode keeps the
	 * file sound and may lose the last commits of a power cut, never of a
	 * crash. More would be wasted: the broker's own store of sessions,
	 * which they belong to, loses far more then.
	 */
	if (reg->durable != durable) {
		rc = run_text(reg, durable ? "PRAGMA synchronous = FULL"
					   : "PRAGMA synchronous = NORMAL");
		if (rc == 0) {
			reg->durable = durable;
		}
	}
	return rc != 0 ? rc : lock(reg);
}

static void
roll_back(struct reg *reg)
{
	/* Some failures have rolled back already; the sentence stays the first one. */
	if (sqlite3_get_autocommit(reg->db) == 0) {
		(void)sqlite3_exec(reg->db, "ROLLBACK", NULL, NULL, NULL);
	}
}

int
reg_write_begin(struct reg *reg, bool durable)
{
	return reg->outer ? run_text(reg, "SAVEPOINT part") : begin(reg, durable);
}

int
reg_write_end(struct reg *reg, int rc)
{
	if (!reg->outer) {
		if (rc == 0) {
			rc = run_text(reg, "COMMIT");
			reg->stale = true;
		}
		if (rc != 0) {
			roll_back(reg);
		}
	} else if (rc == 0) {
		rc = run_text(reg, "RELEASE part");
	} else if (sqlite3_get_autocommit(reg->db) == 0) {
		(void)sqlite3_exec(reg->db, "ROLLBACK TO part; RELEASE part", NULL, NULL, NULL);
	}
	return rc;
}

int
reg_change_begin(struct reg *reg)
{
	if (!reg->acting) {
		snprintf(reg->error, sizeof reg->error,
			 "Nobody was named who answers for the change.");
		return ERR_DENIED;
	}
	return reg_write_begin(reg, true);
}

static int
begin_outer(struct reg *reg, bool durable)
{
	int rc = reg->outer ? ERR_PROTOCOL : begin(reg, durable);

	reg->outer = reg->outer || rc == 0;
	return rc;
}

int
reg_begin(struct reg *reg)
{
	return begin_outer(reg, true);
}

int
reg_subscription_begin(struct reg *reg)
{
	return begin_outer(reg, false);
}

int
reg_commit(struct reg *reg)
{
	int rc = ERR_PROTOCOL;

	if (reg->outer) {
		reg->outer = false;
		reg->stale = true;
		/* A full disk may have rolled it all back before. */
		rc = run_text(reg, "COMMIT");
		if (rc != 0) {
			roll_back(reg);
		}
	}
	return rc;
}

void
reg_rollback(struct reg *reg)
{
	if (reg->outer) {
		reg->outer = false;
		reg->stale = true;
		roll_back(reg);
	}
}

static bool
read_number(struct reg *reg, enum reg_sql sql, int64_t *out)
{
	sqlite3_stmt *statement = reg_statement(reg, sql);
	bool row;

	if (statement == NULL) {
		return false;
	}
	row = sqlite3_step(statement) == SQLITE_ROW;
	if (row) {
		*out = sqlite3_column_int64(statement, 0);
	}
	reg_done(statement);
	return row;
}

uint64_t
reg_generation(struct reg *reg)
{
	int64_t version, generation;

	if (!read_number(reg, REG_SQL_DATA_VERSION, &version)) {
		return reg->generation;
	}
	/* In this order: a commit in between is then noticed at the next call. */
	if ((version != reg->data_version || reg->stale) &&
	    read_number(reg, REG_SQL_GENERATION, &generation)) {
		reg->generation = (uint64_t)generation;
		reg->data_version = version;
		reg->stale = false;
	}
	return reg->generation;
}

/* ---- opening ------------------------------------------------------------------------ */

static int
fail(char *why, int code, const char *file, const char *reason)
{
	snprintf(why, REG_WHY_SIZE, "%.100s: %.150s", file, reason);
	return code;
}

/*
 * An empty file with the mode and the owner of its folder; SQLite gives the
 * files beside it the same. It gets its name last and closed: closing any
 * descriptor of a database would drop the locks that this process holds.
 */
static int
make_file(const char *file, char *why)
{
	char temporary[PATH_MAX], copy[PATH_MAX];
	struct stat folder;
	int fd, rc;

	if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", file) >= sizeof temporary) {
		return fail(why, -ENAMETOOLONG, file, "the name is too long.");
	}
	snprintf(copy, sizeof copy, "%s", file);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		rc = -errno;
		return fail(why, rc, file,
			    "the register cannot be made in its folder (does it "
			    "exist, and may you write there?).");
	}
	/* Root makes it for the daemon; anybody else keeps his own. */
	if (stat(dirname(copy), &folder) != 0 ||
	    (geteuid() == 0 && fchown(fd, folder.st_uid, folder.st_gid) != 0) ||
	    fchmod(fd, FILE_MODE) != 0) {
		rc = -errno;
	} else {
		rc = 0;
	}
	close(fd);
	if (rc == 0 && link(temporary, file) != 0 && errno != EEXIST) {
		rc = -errno;
	}
	unlink(temporary);
	return rc == 0 ? 0 : fail(why, rc, file, err_text(rc));
}

static int
check_file(const char *file, enum reg_mode mode, char *why)
{
	int need = mode == REG_READ ? R_OK : R_OK | W_OK;

	if (faccessat(AT_FDCWD, file, F_OK, AT_EACCESS) != 0) {
		if (errno == EACCES) {
			return fail(why, -EACCES, file, "you may not look into this folder.");
		}
		if (mode != REG_CREATE) {
			return fail(why, ERR_NOT_FOUND, file, "there is no register here.");
		}
		return make_file(file, why);
	}
	if (faccessat(AT_FDCWD, file, need, AT_EACCESS) != 0) {
		return fail(why, -EACCES, file,
			    mode == REG_READ ? "you may not read the register."
					     : "you may not write the register.");
	}
	return 0;
}

/* The file may have been made by somebody else: its schema is not trusted. */
static int
configure(struct reg *reg)
{
	static const struct {
		int option, value;
	} options[] = {
		{ SQLITE_DBCONFIG_DEFENSIVE, 1 },   { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
		{ SQLITE_DBCONFIG_ENABLE_FKEY, 1 }, { SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
		{ SQLITE_DBCONFIG_DQS_DDL, 0 },     { SQLITE_DBCONFIG_DQS_DML, 0 },
	};
	int rc = sqlite3_busy_timeout(reg->db, REG_BUSY_MS);

	for (size_t i = 0; i < sizeof options / sizeof options[0] && rc == SQLITE_OK; i++) {
		rc = sqlite3_db_config(reg->db, options[i].option, options[i].value, NULL);
	}
	if (rc != SQLITE_OK) {
		return reg_failed(reg, rc);
	}
	reg->durable = true;
	return run_text(reg, "PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON;"
			     "PRAGMA journal_size_limit = 4194304;");
}

static int
open_database(struct reg *reg, const char *file, enum reg_mode mode, char *why)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
		    SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(file, &reg->db, flags, NULL);

	if (rc != SQLITE_OK) {
		(void)reg_failed(reg, rc);
		return fail(why, ERR_DATABASE, file, reg->error);
	}
	rc = configure(reg);
	if (rc == 0) {
		rc = reg_schema_ensure(reg, file, why);
		if (rc != 0 && rc != ERR_DATABASE) {
			return rc;
		}
	}
	/* Also a reader opens for writing, since WAL needs its shared memory. */
	if (rc == 0 && mode == REG_READ) {
		rc = run_text(reg, "PRAGMA query_only = ON");
	}
	return rc == 0 ? 0 : fail(why, ERR_DATABASE, file, reg->error);
}

int
reg_open(const char *file, enum reg_mode mode, struct reg **out, char *why)
{
	struct reg *reg;
	int rc = check_file(file, mode, why);

	if (rc != 0) {
		return rc;
	}
	reg = calloc(1, sizeof *reg);
	if (reg == NULL) {
		return fail(why, -ENOMEM, file, "out of memory.");
	}
	reg->stale = true;
	rc = open_database(reg, file, mode, why);
	if (rc != 0) {
		reg_close(reg);
		return rc;
	}
	*out = reg;
	return 0;
}

void
reg_close(struct reg *reg)
{
	if (reg == NULL) {
		return;
	}
	reg_rollback(reg);
	for (size_t i = 0; i < REG_SQL_COUNT; i++) {
		sqlite3_finalize(reg->statements[i]);
	}
	sqlite3_close(reg->db);
	free(reg);
}
