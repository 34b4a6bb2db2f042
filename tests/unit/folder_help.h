/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a folder that a test made for itself, with all that is in it. */
#ifndef TESTS_UNIT_FOLDER_HELP_H
#define TESTS_UNIT_FOLDER_HELP_H

#include <ftw.h>
#include <stdio.h>

static inline int
folder_remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline int
folder_remove(const char *folder)
{
	return nftw(folder, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
