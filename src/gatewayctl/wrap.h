/* SPDX-License-Identifier: BSD-2-Clause */
/* Long sentences on a terminal: broken at blanks, to its width. */
#ifndef GATEWAYCTL_WRAP_H
#define GATEWAYCTL_WRAP_H

#include <stdio.h>

/* Columns of the terminal behind out; 0: it is none, lines are not broken. */
size_t wrap_columns(FILE *out);
/*
 * The text, escaped, and a line feed. Its first line starts at column at, where
 * the cursor is; further ones are indented so far. columns 0: one line.
 */
void wrap_text(FILE *out, const char *text, size_t at, size_t columns);

#endif
