/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/spool_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fcntl.h>

/* A write or a change of size, and what was there before. */
struct undo {
	struct undo *older;
	sqlite3_int64 offset, size; /* size: of the file before */
	int length;
	unsigned char bytes[];
};

struct record { /* of one path; outlives the open file */
	char path[256];
	struct undo *undo;
	unsigned count;
	sqlite3_int64 size;
	bool open;
};

struct shim {
	sqlite3_file base;
	struct record *record; /* NULL: of no interest */
	sqlite3_file *real;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct record records[4];
static unsigned operations, fail_at;
static int fail_code;
static bool fail_ever, failed;
static uint64_t limit = UINT64_MAX;
static sqlite3_vfs shim_vfs;
static sqlite3_vfs *real_vfs;

/* ---- faults ----------------------------------------------------------------------------- */

/* Under the lock. */
static int
fault(void)
{
	unsigned n = operations++;

	if (fail_code == 0 || n < fail_at || (n > fail_at && !fail_ever)) {
		return SQLITE_OK;
	}
	failed = true;
	return fail_code;
}

static uint64_t
all_sizes(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < 4; i++) {
		sum += records[i].open ? (uint64_t)records[i].size : 0;
	}
	return sum;
}

static int
may_grow(const struct record *r, sqlite3_int64 size)
{
	uint64_t more = size > r->size ? (uint64_t)(size - r->size) : 0;

	return more > 0 && all_sizes() + more > limit ? SQLITE_FULL : SQLITE_OK;
}

static void
remember(struct shim *f, sqlite3_int64 offset, int length)
{
	struct undo *u = calloc(1, sizeof *u + (size_t)length);

	u->older = f->record->undo;
	u->offset = offset;
	u->size = f->record->size;
	u->length = length;
	if (length > 0) {
		(void)f->real->pMethods->xRead(f->real, u->bytes, length, offset);
	}
	f->record->undo = u;
	f->record->count++;
}

static void
forget(struct record *r)
{
	while (r->undo != NULL) {
		struct undo *older = r->undo->older;

		free(r->undo);
		r->undo = older;
	}
	r->count = 0;
}

/* ---- the file ------------------------------------------------------------------------------- */

static struct shim *
shim_of(sqlite3_file *file)
{
	return (struct shim *)(void *)file;
}

static int
shim_close(sqlite3_file *file)
{
	struct shim *f = shim_of(file);
	int code = f->real->pMethods != NULL ? f->real->pMethods->xClose(f->real) : SQLITE_OK;

	pthread_mutex_lock(&lock);
	if (f->record != NULL) {
		f->record->open = false;
	}
	pthread_mutex_unlock(&lock);
	free(f->real);
	return code;
}

static int
shim_read(sqlite3_file *file, void *out, int n, sqlite3_int64 offset)
{
	return shim_of(file)->real->pMethods->xRead(shim_of(file)->real, out, n, offset);
}

static int
shim_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 offset)
{
	struct shim *f = shim_of(file);
	int code;

	if (f->record == NULL) {
		return f->real->pMethods->xWrite(f->real, bytes, n, offset);
	}
	pthread_mutex_lock(&lock);
	code = fault();
	code = code == SQLITE_OK ? may_grow(f->record, offset + n) : code;
	if (code == SQLITE_OK) {
		remember(f, offset, n);
		code = f->real->pMethods->xWrite(f->real, bytes, n, offset);
		f->record->size = offset + n > f->record->size ? offset + n : f->record->size;
	}
	pthread_mutex_unlock(&lock);
	return code;
}

static int
shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct shim *f = shim_of(file);
	int code;

	if (f->record == NULL) {
		return f->real->pMethods->xTruncate(f->real, size);
	}
	pthread_mutex_lock(&lock);
	code = fault();
	if (code == SQLITE_OK) {
		sqlite3_int64 less = f->record->size - size;

		remember(f, size, less > 0 ? (int)less : 0);
		code = f->real->pMethods->xTruncate(f->real, size);
		f->record->size = size;
	}
	pthread_mutex_unlock(&lock);
	return code;
}

static int
shim_sync(sqlite3_file *file, int flags)
{
	struct shim *f = shim_of(file);
	int code = SQLITE_OK;

	(void)flags; /* the real one is not synced: only its content is of interest */
	pthread_mutex_lock(&lock);
	if (f->record != NULL) {
		code = fault();
		if (code == SQLITE_OK) {
			forget(f->record);
		}
	}
	pthread_mutex_unlock(&lock);
	return code == SQLITE_OK || code == SQLITE_FULL ? code : SQLITE_IOERR_FSYNC;
}

static int
shim_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return shim_of(file)->real->pMethods->xFileSize(shim_of(file)->real, size);
}

static int
shim_lock(sqlite3_file *file, int level)
{
	return shim_of(file)->real->pMethods->xLock(shim_of(file)->real, level);
}

static int
shim_unlock(sqlite3_file *file, int level)
{
	return shim_of(file)->real->pMethods->xUnlock(shim_of(file)->real, level);
}

static int
shim_reserved(sqlite3_file *file, int *out)
{
	return shim_of(file)->real->pMethods->xCheckReservedLock(shim_of(file)->real, out);
}

/* The blocks that the spool reserves count; they are made by a longer file. */
static int
size_hint(struct shim *f, sqlite3_int64 size)
{
	int code;

	pthread_mutex_lock(&lock);
	code = fault();
	code = code == SQLITE_OK ? may_grow(f->record, size) : code;
	if (code == SQLITE_OK && size > f->record->size) {
		remember(f, f->record->size, 0);
		code = f->real->pMethods->xTruncate(f->real, size);
		f->record->size = size;
	}
	pthread_mutex_unlock(&lock);
	return code;
}

static int
shim_control(sqlite3_file *file, int op, void *argument)
{
	struct shim *f = shim_of(file);

	if (f->record != NULL && op == SQLITE_FCNTL_SIZE_HINT) {
		return size_hint(f, *(sqlite3_int64 *)argument);
	}
	if (op == SQLITE_FCNTL_CHUNK_SIZE) {
		return SQLITE_OK;
	}
	return f->real->pMethods->xFileControl(f->real, op, argument);
}

static int
shim_sector(sqlite3_file *file)
{
	(void)file;
	return 4096;
}

static int
shim_characteristics(sqlite3_file *file)
{
	(void)file;
	return 0;
}

static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = shim_close,
	.xRead = shim_read,
	.xWrite = shim_write,
	.xTruncate = shim_truncate,
	.xSync = shim_sync,
	.xFileSize = shim_size,
	.xLock = shim_lock,
	.xUnlock = shim_unlock,
	.xCheckReservedLock = shim_reserved,
	.xFileControl = shim_control,
	.xSectorSize = shim_sector,
	.xDeviceCharacteristics = shim_characteristics,
};

static struct record *
record_of(const char *path)
{
	struct record *free_one = NULL;

	for (size_t i = 0; i < 4; i++) {
		if (strcmp(records[i].path, path) == 0) {
			return &records[i];
		}
		if (free_one == NULL && records[i].path[0] == '\0') {
			free_one = &records[i];
		}
	}
	if (free_one != NULL) {
		strncpy(free_one->path, path, sizeof free_one->path - 1);
	}
	return free_one;
}

static int
shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	struct shim *f = shim_of(file);
	int code;

	(void)vfs;
	*f = (struct shim){ .real = calloc(1, (size_t)real_vfs->szOsFile) };
	code = real_vfs->xOpen(real_vfs, name, f->real, flags, out);
	if (code != SQLITE_OK) {
		free(f->real);
		return code;
	}
	f->base.pMethods = &methods;
	if (name != NULL && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) != 0) {
		pthread_mutex_lock(&lock);
		f->record = record_of(name);
		f->record->open = true;
		(void)f->real->pMethods->xFileSize(f->real, &f->record->size);
		pthread_mutex_unlock(&lock);
	}
	return SQLITE_OK;
}

/* A file that is removed before the cut is gone: SQLite syncs before. */
static int
shim_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	int code;

	(void)vfs;
	pthread_mutex_lock(&lock);
	code = fault();
	if (code == SQLITE_OK) {
		forget(record_of(name));
	}
	pthread_mutex_unlock(&lock);
	return code != SQLITE_OK ? code : real_vfs->xDelete(real_vfs, name, sync);
}

/* ---- for the tests ----------------------------------------------------------------------------- */

void
vfs_install(void)
{
	if (real_vfs == NULL) {
		real_vfs = sqlite3_vfs_find(NULL);
		shim_vfs = *real_vfs;
		shim_vfs.zName = "faults";
		shim_vfs.szOsFile = sizeof(struct shim);
		shim_vfs.pNext = NULL;
		shim_vfs.xOpen = shim_open;
		shim_vfs.xDelete = shim_delete;
	}
	memset(records, 0, sizeof records);
	vfs_heal();
	sqlite3_vfs_register(&shim_vfs, 1);
}

void
vfs_remove(void)
{
	for (size_t i = 0; i < 4; i++) {
		forget(&records[i]);
	}
	sqlite3_vfs_unregister(&shim_vfs);
	sqlite3_vfs_register(real_vfs, 1);
}

unsigned
vfs_operations(void)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = operations;
	operations = 0;
	pthread_mutex_unlock(&lock);
	return n;
}

void
vfs_fail(unsigned n, int code, bool ever)
{
	pthread_mutex_lock(&lock);
	operations = 0;
	fail_at = n;
	fail_code = code;
	fail_ever = ever;
	failed = false;
	pthread_mutex_unlock(&lock);
}

void
vfs_limit(uint64_t bytes)
{
	pthread_mutex_lock(&lock);
	limit = bytes;
	pthread_mutex_unlock(&lock);
}

uint64_t
vfs_size(void)
{
	uint64_t size;

	pthread_mutex_lock(&lock);
	size = all_sizes();
	pthread_mutex_unlock(&lock);
	return size;
}

void
vfs_heal(void)
{
	vfs_fail(0, 0, false);
	vfs_limit(UINT64_MAX);
}

static void
take_back(struct record *r, unsigned kept)
{
	int fd = open(r->path, O_RDWR);

	while (r->count > kept) {
		struct undo *u = r->undo;

		if (fd >= 0) {
			if (u->length > 0) {
				(void)!pwrite(fd, u->bytes, (size_t)u->length, u->offset);
			}
			(void)!ftruncate(fd, u->size);
		}
		r->undo = u->older;
		r->count--;
		free(u);
	}
	if (fd >= 0) {
		close(fd);
	}
	forget(r);
}

void
vfs_power_cut(unsigned seed)
{
	for (size_t i = 0; i < 4; i++) {
		unsigned kept = seed == 0 ? 0 : (seed * 2654435761u >> 7) % (records[i].count + 1);

		take_back(&records[i], kept);
		seed = seed == 0 ? 0 : seed * 1664525u + 1013904223u;
	}
	vfs_heal();
}
