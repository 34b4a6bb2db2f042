/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk for SQLite that fails when it is told to: a layer over the real one.
 * What was not synced is remembered, so that a power cut can take it back.
 */
#ifndef TESTS_UNIT_SPOOL_VFS_H
#define TESTS_UNIT_SPOOL_VFS_H

#include <stdbool.h>
#include <stdint.h>

/* From now on the default of SQLite, without faults. */
void vfs_install(void);
void vfs_remove(void);
/* How many writes, syncs and changes of size there were since the last call of this. */
unsigned vfs_operations(void);
/* Operation n from now (0: the next) fails with this code of SQLite; then all if `ever`. */
void vfs_fail(unsigned n, int code, bool ever);
/* No file may grow when all files together are that large; UINT64_MAX: no limit. */
void vfs_limit(uint64_t bytes);
uint64_t vfs_size(void); /* of all open files */
void vfs_heal(void);
/*
 * After the spool was closed: of what was not synced, in each file only the
 * first part stays, chosen by `seed` (0: none of it). Faults end.
 */
void vfs_power_cut(unsigned seed);

#endif
