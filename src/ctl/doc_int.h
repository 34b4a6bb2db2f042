/* SPDX-License-Identifier: BSD-2-Clause */
/* What a document is made of: for the doc_*.c files only. */
#ifndef GATEWAY_CTL_DOC_INT_H
#define GATEWAY_CTL_DOC_INT_H

#include "ctl/doc.h"

#define DOC_DEPTH_MAX 16   /* of a parsed document */
#define DOC_KEYS_MAX 1024  /* of one parsed map: keys are compared one by one */

struct doc_entry {
	char *key; /* NULL in a list */
	struct doc *value;
};

struct doc {
	enum doc_kind kind;
	bool failed;    /* memory was short here; see doc_failed() for the tree */
	bool value;     /* DOC_BOOL */
	int64_t number; /* DOC_INT */
	char *text;     /* every scalar: as text, NUL-terminated */
	size_t text_len;
	struct doc_entry *entry; /* DOC_LIST, DOC_MAP */
	size_t count, size;
};

struct doc *doc_null(void);

#endif
