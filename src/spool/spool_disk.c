/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statements, transactions, and the upkeep of the file.
 *
 * A full disk must not keep messages from leaving: a removal needs room in
 * the WAL, and the WAL's pages need room in the file. So what a transaction
 * adds to the file is reserved there before it commits (disk_reserve()): a
 * checkpoint then never needs new blocks. And the WAL keeps some blocks
 * (schema.c reserves them, it is not made shorter than WAL_KEPT): after a
 * checkpoint the next transaction writes there from the beginning.
 */
#include <errno.h>

#include "base/log.h"
#include "spool/spool_int.h"

#define CHECKPOINT_FRAMES 1000 /* of 4 KiB: when the WAL is moved into the file */
#define FREE_KEPT 256          /* pages that stay for the next outage */
#define VACUUM_STEP "PRAGMA incremental_vacuum(64)" /* pages given back in one step */

/* SQLite's code to ours. */
static int
disk_code(struct spool *spool, int code)
{
	int system = spool->db != NULL ? sqlite3_system_errno(spool->db) : 0;

	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_IOERR:
		return system == ENOSPC || system == EDQUOT ? -ENOSPC : -EIO;
	default:
		return -EIO;
	}
}

sqlite3_stmt *
disk_statement(struct spool *spool, enum statement which)
{
	static const char *const texts[SQL_COUNT] = {
#define X(name, text) text,
		STATEMENTS(X)
#undef X
	};
	int code = SQLITE_OK;

	if (spool->statement[which] == NULL) {
		code = sqlite3_prepare_v3(spool->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
		                          &spool->statement[which], NULL);
	}
	if (code != SQLITE_OK) {
		spool->error = disk_code(spool, code);
	}
	return spool->statement[which];
}

void
disk_reset(sqlite3_stmt *statement)
{
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement); /* they point to memory that goes */
}

int
disk_step(struct spool *spool, sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);

	if (code != SQLITE_ROW && code != SQLITE_DONE) {
		spool->error = disk_code(spool, code);
		disk_reset(statement);
	}
	return code;
}

/* One that gives no row. */
static void
run(struct spool *spool, enum statement which)
{
	sqlite3_stmt *statement = disk_statement(spool, which);

	if (statement != NULL && disk_step(spool, statement) == SQLITE_DONE) {
		disk_reset(statement);
	}
}

static int64_t
number(struct spool *spool, enum statement which)
{
	sqlite3_stmt *statement = disk_statement(spool, which);
	int64_t value = 0;

	if (statement != NULL && disk_step(spool, statement) == SQLITE_ROW) {
		value = sqlite3_column_int64(statement, 0);
		disk_reset(statement);
	}
	return value;
}

/*
 * A removal that a power cut takes back is a message that is sent twice, which
 * QoS 1 permits; so it need not wait for the disk. In WAL mode the file stays
 * sound, and the next commit that is synced has it too.
 */
static void
choose_care(struct spool *spool, bool durable)
{
	if (durable != spool->durable) {
		int code = sqlite3_exec(spool->db, durable ? "PRAGMA synchronous = FULL" :
		                                             "PRAGMA synchronous = NORMAL",
		                        NULL, NULL, NULL);

		if (code == SQLITE_OK) {
			spool->durable = durable;
		} else {
			spool->error = disk_code(spool, code);
		}
	}
}

bool
disk_begin(struct spool *spool, bool durable)
{
	spool->error = 0;
	spool->delta = (struct counts){ 0 };
	spool->messages_before = spool->messages;
	spool->bytes_before = spool->bytes;
	choose_care(spool, durable);
	if (spool->error == 0) {
		run(spool, SQL_BEGIN);
	}
	return spool->error == 0;
}

int
disk_end(struct spool *spool)
{
	int error;

	if (spool->error == 0) {
		run(spool, SQL_COMMIT);
	}
	error = spool->error;
	if (error != 0) {
		/* Some failures have rolled back already. */
		if (sqlite3_get_autocommit(spool->db) == 0) {
			(void)sqlite3_exec(spool->db, "ROLLBACK", NULL, NULL, NULL);
		}
		index_revert(spool);
	}
	return error;
}

void
disk_reserve(struct spool *spool)
{
	int64_t pages, bytes;
	int code;

	if (spool->error != 0) {
		return;
	}
	pages = number(spool, SQL_PAGES);
	if (spool->error != 0 || pages <= spool->pages_reserved) {
		return;
	}
	bytes = pages * 4096;
	code = sqlite3_file_control(spool->db, "main", SQLITE_FCNTL_SIZE_HINT, &bytes);
	if (code == SQLITE_OK || code == SQLITE_NOTFOUND) {
		spool->pages_reserved = pages;
	} else {
		spool->error = disk_code(spool, code);
	}
}

static int
checkpoint(struct spool *spool, int mode)
{
	int frames = 0, moved = 0;
	int code = sqlite3_wal_checkpoint_v2(spool->db, NULL, mode, &frames, &moved);

	/* The file may have become shorter than what was reserved. */
	spool->pages_reserved = 0;
	if (code == SQLITE_OK && frames == moved) {
		spool->frames = 0;
	}
	return disk_code(spool, code);
}

void
disk_make_room(struct spool *spool)
{
	(void)checkpoint(spool, SQLITE_CHECKPOINT_RESTART);
}

static void
say(struct spool *spool, int error)
{
	if (error == -ENOSPC) {
		log_error(LOG_SPOOL, "the disk is full: messages of devices cannot be stored, and "
		                     "are not acknowledged; make room in the state directory");
	} else {
		log_error(LOG_SPOOL, "the spool cannot be written: messages of devices are not "
		                     "acknowledged; look at the disk",
		          log_str("error", err_text(error)),
		          log_str("sqlite", sqlite3_errmsg(spool->db)));
	}
}

void
disk_note(struct spool *spool, int error)
{
	if (error != 0 && !spool->failing) {
		say(spool, error);
	} else if (error == 0 && spool->failing) {
		log_notice(LOG_SPOOL, "the spool can be written again");
	}
	spool->failing = error != 0;
}

/* A step of giving free pages back; true: there is more to do. */
static bool
vacuum(struct spool *spool)
{
	int code;

	spool->error = 0;
	if (number(spool, SQL_FREE) <= FREE_KEPT || spool->error != 0) {
		return false;
	}
	code = sqlite3_exec(spool->db, VACUUM_STEP, NULL, NULL, NULL);
	if (code != SQLITE_OK) {
		return false;
	}
	return number(spool, SQL_FREE) > FREE_KEPT;
}

/*
 * Free pages are given back when nobody has asked for anything for a while,
 * a step at a time, so that whoever asks next waits for one step at most.
 */
void
disk_maintain(struct spool *spool, bool busy, bool quiet)
{
	bool was = spool->vacuum_now;

	spool->vacuum_now = !busy && (quiet || was) && spool->vacuum_later && vacuum(spool);
	if (busy) {
		spool->vacuum_later = true;
	} else if ((quiet || was) && !spool->vacuum_now) {
		spool->vacuum_later = false;
	}
	if (spool->frames >= CHECKPOINT_FRAMES || (was && !spool->vacuum_now && spool->frames > 0)) {
		(void)checkpoint(spool, SQLITE_CHECKPOINT_PASSIVE);
	}
}
