/* SPDX-License-Identifier: BSD-2-Clause */
/* Loads a text and collects what is reported as "file:line: key: sentence" lines. */
#ifndef TESTS_UNIT_CONF_HELP_H
#define TESTS_UNIT_CONF_HELP_H

#include "unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "conf/conf_int.h"

struct reports {
	char *text;
	size_t size;
	FILE *out;
};

static inline void
reports_open(struct reports *r)
{
	r->out = open_memstream(&r->text, &r->size);
	assert_non_null(r->out);
}

static inline void
reports_expect(struct reports *r, const char *want)
{
	fclose(r->out);
	assert_string_equal(r->text, want);
	free(r->text);
}

/* NULL when the text has faults; `want` is every report, faults and warnings. */
static inline struct conf *
load_expect(const char *text, const char *want)
{
	struct conf *conf = NULL;
	struct reports r;
	int result;

	reports_open(&r);
	result = conf_load_text("f", span_str(text), conf_report_print, r.out, &conf);
	reports_expect(&r, want);
	assert_int_equal(result, conf != NULL ? 0 : ERR_CONF);
	return conf;
}

/* The text must have faults. */
static inline void
fault_expect(const char *text, const char *want)
{
	assert_null(load_expect(text, want));
}

static inline struct conf *
load_good(const char *text)
{
	struct conf *conf = load_expect(text, "");

	assert_non_null(conf);
	return conf;
}

#endif
