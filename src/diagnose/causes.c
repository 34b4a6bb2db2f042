/* SPDX-License-Identifier: BSD-2-Clause */
/* The table behind the causes; the page program links only this file. */
#include "diagnose/diagnose.h"

static const struct diagnose_entry entries[] = {
#define CAUSE(name, id_, group_, class_, confidence_, title_, sentence_, remedy_, codes_)        \
	[CAUSE_##name] = { .id = id_, .group = GROUP_##group_, .class = CLASS_##class_,           \
		.confidence = CONFIDENCE_##confidence_, .title = title_, .sentence = sentence_,   \
		.remedy = remedy_, .codes = codes_ },
#include "diagnose/causes.def"
#undef CAUSE
};

const struct diagnose_entry *
diagnose_entry(enum diagnose_cause cause)
{
	return &entries[(unsigned)cause < CAUSE_COUNT ? cause : CAUSE_UNEXPLAINED];
}

bool
diagnose_is_failure(enum diagnose_cause cause)
{
	return diagnose_entry(cause)->class == CLASS_FAILURE;
}

const char *
diagnose_group_text(enum diagnose_group group)
{
	static const char *const text[] = {
#define X(name, title) title,
		DIAGNOSE_GROUP_LIST(X)
#undef X
	};

	return (unsigned)group < GROUP_COUNT ? text[group] : "";
}

const char *
diagnose_confidence_text(enum diagnose_confidence confidence)
{
	return confidence == CONFIDENCE_HIGH ? "high" :
	       confidence == CONFIDENCE_LOW  ? "low" :
	                                       "medium";
}
