/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text for people and terminals: what peers supplied is escaped, width is
 * counted in columns, numbers and times are short.
 */
#ifndef GATEWAYCTL_TEXT_H
#define GATEWAYCTL_TEXT_H

#include <stdint.h>
#include <stdio.h>

/*
 * The text with control characters, bidirectional overrides and bytes that
 * are no UTF-8 as \xNN or \u{NNNN}. malloc'd, NULL: out of memory.
 * keep_lines: line feeds stay.
 */
char *text_escape(const char *text, int keep_lines);
/* Columns on a terminal of an escaped text. */
size_t text_width(const char *text);

#define TEXT_SIZE 64
/* Each writes TEXT_SIZE bytes and returns them. 0 or less: "-". */
char *text_time(int64_t wall, char *out);  /* local "2026-11-23 10:20" */
char *text_date(int64_t wall, char *out);  /* "2026-11-23" */
char *text_ago(int64_t wall, char *out);   /* "3 min ago", "in 9 years" */
char *text_bytes(int64_t bytes, char *out); /* "1.5 MiB" */

#endif
