/* SPDX-License-Identifier: BSD-2-Clause */
/* A register in a folder of its own, for one test. */
#ifndef TESTS_UNIT_REG_HELP_H
#define TESTS_UNIT_REG_HELP_H

#include "unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "register/reg.h"
#include "unit/folder_help.h"

#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct reg_fixture {
	char folder[64];
	char file[128];
	struct reg *reg;
};

/* Opened in the name of anna, user 1000, who may change devices. */
static inline int
reg_fixture_open(struct reg_fixture *f)
{
	char why[REG_WHY_SIZE];

	snprintf(f->folder, sizeof f->folder, "reg-test-XXXXXX");
	if (mkdtemp(f->folder) == NULL) {
		return -1;
	}
	snprintf(f->file, sizeof f->file, "%s/register.db", f->folder);
	if (reg_open(f->file, REG_CREATE, &f->reg, why) != 0) {
		return -1;
	}
	return reg_actor(f->reg, 1000, "anna");
}

static inline void
reg_fixture_close(struct reg_fixture *f)
{
	reg_close(f->reg);
	(void)folder_remove(f->folder);
}

/* The same as set-up and tear-down of a test that needs no more. */
static inline int
reg_fixture_set_up(void **state)
{
	return reg_fixture_open(*state = calloc(1, sizeof(struct reg_fixture)));
}

static inline int
reg_fixture_tear_down(void **state)
{
	reg_fixture_close(*state);
	free(*state);
	return 0;
}

#endif
