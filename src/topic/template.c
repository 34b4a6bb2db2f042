/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/topic_int.h"

#include "base/utf8.h"

#include <limits.h>

#define VALUE_MAX 512
#define LABEL_PREFIX "label."

static const struct {
	const char *name;
	size_t offset;
} variables[] = {
	{ "identity", offsetof(struct topic_vars, identity) },
	{ "cn", offsetof(struct topic_vars, cn) },
	{ "san_dns", offsetof(struct topic_vars, san_dns) },
	{ "san_uri", offsetof(struct topic_vars, san_uri) },
	{ "serial", offsetof(struct topic_vars, serial) },
	{ "fingerprint", offsetof(struct topic_vars, fingerprint) },
	{ "issuer_cn", offsetof(struct topic_vars, issuer_cn) },
	{ "group", offsetof(struct topic_vars, group) },
	{ "gateway", offsetof(struct topic_vars, gateway) },
	{ "client_id", offsetof(struct topic_vars, client_id) },
};

bool
topic_value_safe(struct span value)
{
	if (value.len == 0 || value.len > VALUE_MAX || !utf8_valid_strict(value)) {
		return false;
	}
	for (size_t i = 0; i < value.len; i++) {
		if (strchr("+#/$", value.ptr[i]) != NULL) {
			return false;
		}
	}
	return true;
}

/* Offset of the next "${", or the length of the text. */
static size_t
opening(struct span text)
{
	for (size_t i = 0; i + 1 < text.len; i++) {
		if (text.ptr[i] == '$' && text.ptr[i + 1] == '{') {
			return i;
		}
	}
	return text.len;
}

/*
 * Take the literal text before the next variable, and the variable. 1, 0 when
 * none follows the literal (the text is used up), ERR_MALFORMED when it is
 * not closed.
 */
static int
next_part(struct span *text, struct span *literal, struct span *name)
{
	size_t at = opening(*text);
	const uint8_t *close;

	*literal = span_head(*text, at);
	*name = span_skip(*text, at == text->len ? at : at + 2);
	if (at == text->len) {
		*text = *name;
		return 0;
	}
	close = name->len > 0 ? memchr(name->ptr, '}', name->len) : NULL;
	if (close == NULL) {
		return ERR_MALFORMED;
	}
	name->len = (size_t)(close - name->ptr);
	*text = span_skip(*text, at + 2 + name->len + 1);
	return 1;
}

static bool
label_name(struct span name, struct span *label)
{
	size_t n = strlen(LABEL_PREFIX);

	*label = span_skip(name, n);
	return span_eq_str(span_head(name, n), LABEL_PREFIX);
}

/* NULL when the variable may stand in a template. */
static const char *
name_fault(struct span name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                              "0123456789_.-";
	struct span label;

	if (label_name(name, &label)) {
		for (size_t i = 0; i < label.len; i++) {
			if (memchr(allowed, label.ptr[i], sizeof allowed - 1) == NULL) {
				return "a label name has letters, digits, _ . and - only";
			}
		}
		return label.len > 0 ? NULL : "a label without a name";
	}
	for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
		if (span_eq_str(name, variables[i].name)) {
			return NULL;
		}
	}
	return "an unknown variable";
}

int
topic_template_check(struct span text, const char **why)
{
	struct span literal, name;
	const char *fault;
	int r;

	while ((r = next_part(&text, &literal, &name)) > 0) {
		fault = name_fault(name);
		if (fault != NULL) {
			*why = fault;
			return ERR_CONF;
		}
	}
	if (r < 0) {
		*why = "a variable that is not closed";
		return ERR_CONF;
	}
	return 0;
}

bool
topic_template_is(struct span text)
{
	return opening(text) < text.len;
}

bool
topic_template_uses(struct span text, const char *wanted)
{
	struct span literal, name;

	while (next_part(&text, &literal, &name) > 0) {
		if (span_eq_str(name, wanted)) {
			return true;
		}
	}
	return false;
}

struct span
topic_vars_get(const struct topic_vars *vars, struct span name)
{
	struct span label;

	if (label_name(name, &label)) {
		return vars->label != NULL ? vars->label(vars->label_owner, label) :
		                             span_of(NULL, 0);
	}
	for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
		if (span_eq_str(name, variables[i].name)) {
			const void *field = (const char *)vars + variables[i].offset;

			return *(const struct span *)field;
		}
	}
	return span_of(NULL, 0);
}

int
topic_template_put(struct span text, const struct topic_vars *vars, struct sink *sink,
                   struct span *which)
{
	struct span literal, name, value;
	int r;

	while ((r = next_part(&text, &literal, &name)) > 0) {
		value = topic_vars_get(vars, name);
		if (!topic_value_safe(value)) {
			*which = name;
			return ERR_UNSAFE;
		}
		sink_put(sink, literal);
		sink_put(sink, value);
	}
	if (r < 0) {
		*which = name;
		return ERR_UNSAFE;
	}
	sink_put(sink, literal);
	return 0;
}

int
topic_template_expand(struct span text, const struct topic_vars *vars, uint8_t *out, size_t size,
                      struct span *which)
{
	struct sink s = { .out = out, .size = size };
	int r = topic_template_put(text, vars, &s, which);

	if (r < 0) {
		return r;
	}
	return s.len > size || s.len > INT_MAX ? ERR_FULL : (int)s.len;
}
