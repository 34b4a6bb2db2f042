/* SPDX-License-Identifier: BSD-2-Clause */
/* Documents as tables and as records, by a description of the columns. */
#ifndef GATEWAYCTL_PRINT_H
#define GATEWAYCTL_PRINT_H

#include <stdio.h>

#include "ctl/doc.h"

enum print_as {
	PRINT_TEXT,
	PRINT_NUMBER, /* to the right */
	PRINT_BYTES,  /* "1.5 MiB", to the right */
	PRINT_DATE,   /* seconds since 1970 as "2026-11-23" */
	PRINT_DAY,    /* the same, but 0 is a date too: 1970-01-01 */
	PRINT_AGO,    /* "3 min ago" */
	PRINT_WHEN,   /* "2026-11-23 10:20 (3 min ago)" */
	PRINT_YES_NO,
};

struct column {
	const char *key;   /* in the row's map; NULL ends the list */
	const char *title;
	enum print_as as;
	bool optional;     /* left out of a record when the row has it not */
};

/*
 * A table whose rows come one by one: only their cells are kept, until the
 * width of each column is known.
 */
struct table;
struct table *table_new(const struct column *columns); /* NULL: out of memory */
void table_add(struct table *table, const struct doc *row);
/* Break the last column so that lines have at most that many columns; 0: do not. */
void table_wrap(struct table *table, size_t limit);
/* Print and free it. 0 or -ENOMEM (then nothing was printed). */
int table_print(struct table *table, FILE *out) MUST_CHECK;
void table_free(struct table *table); /* NULL is no fault */

/* A list of maps, one row each, under a line of titles. */
void print_table(FILE *out, const struct doc *rows, const struct column *columns);
/* One map, one "title  value" line per column, indented by that many blanks. */
void print_record(FILE *out, const struct doc *row, const struct column *columns, unsigned indent);
/* A value as one cell, escaped, malloc'd; "-" when there is none. */
char *print_cell(const struct doc *value, enum print_as as);

#endif
