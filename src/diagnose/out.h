/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A text of bounded size in the making: what does not fit is cut, never in
 * the middle of a character. Texts of strangers are made printable here, and
 * nowhere else. For this folder only.
 */
#ifndef GATEWAY_DIAGNOSE_OUT_H
#define GATEWAY_DIAGNOSE_OUT_H

#include "base/span.h"

struct out {
	char *text;
	size_t size, len; /* len < size, text[len] is the NUL */
};

/* size: at least 1. */
struct out out_of(char *text, size_t size);
void out_span(struct out *o, struct span s);
void out_text(struct out *o, const char *text);
/* At most 191 bytes at a time: for numbers. */
void out_format(struct out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A stranger's text; otherwise: what to say when it is empty. */
void out_foreign(struct out *o, const char *text, const char *otherwise);
/* "2026-01-31T23:59:59Z" */
void out_time(struct out *o, int64_t wall);
/* "800 ms", "5 s" */
void out_ms(struct out *o, uint32_t ms);

#endif
