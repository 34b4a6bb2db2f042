/* SPDX-License-Identifier: BSD-2-Clause */
/* Evidence to verdict, one row and more for each cause; and the table itself. */
#include "unit/cmocka_all.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

#include "base/utf8.h"
#include "diagnose/diagnose_int.h"
#include "unit/diagnose_hellos.h"

struct row {
	enum diagnose_cause cause;
	enum diagnose_confidence confidence;
	struct span hello;
	const char *says[2];
	struct diagnose_evidence evidence;
};

/* Rows start from a good gateway and say what is different. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#define NO_HELLO { NULL, 0 }
#define HELLO(name) { hello_##name, sizeof hello_##name }
#define ROW(cause_, confidence_, hello_, a_, b_, ...)                                            \
	{ .cause = CAUSE_##cause_, .confidence = CONFIDENCE_##confidence_, .hello = hello_,      \
	  .says = { a_, b_ },                                                                    \
	  .evidence = { .address = "192.0.2.7", .now = T_2024,                                   \
	                .presented.names = { "gateway.local", "10.0.0.2" },                      \
	                .presented.name_count = 2, .presented.subject = "CN=gateway.local",      \
	                .presented.ca_subject = "CN=Home CA",                                    \
	                .presented.ca_fingerprint = CA_NOW, .presented.key = "EC P-256",         \
	                .presented.not_after = T_2024 + 86400, __VA_ARGS__ } },
static const struct row rows[] = {
#include "unit/diagnose_rows.h"
};
#pragma GCC diagnostic pop

#define ROWS (sizeof rows / sizeof rows[0])

static void
judge(const struct row *row, struct diagnose_evidence *e, struct diagnose_verdict *v)
{
	*e = row->evidence;
	diagnose_take_start(e, row->hello);
	diagnose(e, v);
}

/* A word of the table that nobody filled in; "{ device ..." and "${identity}" are of a rule. */
static bool
has_open_word(const char *text)
{
	for (const char *at = strchr(text, '{'); at != NULL; at = strchr(at + 1, '{')) {
		if (at[1] != ' ' && (at == text || at[-1] != '$')) {
			return true;
		}
	}
	return false;
}

static void
clean(const char *text)
{
	assert_true(text[0] != '\0' && text[strlen(text) - 1] != ' ');
	assert_true(utf8_valid_strict(span_str(text)));
	assert_false(has_open_word(text));
	assert_null(strstr(text, "  "));
}

static bool
right(size_t index, const struct row *row)
{
	struct diagnose_evidence e;
	struct diagnose_verdict v;
	bool good;

	judge(row, &e, &v);
	good = v.cause == row->cause && v.confidence == row->confidence &&
	       strstr(v.sentence, row->says[0]) != NULL &&
	       strstr(v.sentence, row->says[1]) != NULL;
	if (!good) {
		print_message("row %zu: wanted %s, got %s: %s\n", index,
		              diagnose_entry(row->cause)->id, diagnose_entry(v.cause)->id,
		              v.sentence);
	}
	clean(v.sentence);
	clean(v.remedy);
	assert_true(v.decided_by != 0);
	return good;
}

static void
test_rows(void **state)
{
	bool had[CAUSE_COUNT] = { false }, wrong[CAUSE_COUNT] = { false };
	unsigned count = 0;

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		had[rows[i].cause] = true;
		if (!right(i, &rows[i])) {
			wrong[rows[i].cause] = true;
		}
	}
	for (unsigned c = 0; c < CAUSE_COUNT; c++) {
		if (!had[c]) {
			print_message("no row for %s\n", diagnose_entry(c)->id);
		}
		count += had[c] && !wrong[c];
	}
	printf("# diagnosed %u of %u causes\n", count, (unsigned)CAUSE_COUNT);
	assert_int_equal(count, CAUSE_COUNT);
}

/* ---- the table --------------------------------------------------------------------- */

static void
test_words_exist(void **state)
{
	(void)state;
	for (unsigned c = 0; c < CAUSE_COUNT; c++) {
		const char *texts[] = { diagnose_entry(c)->sentence, diagnose_entry(c)->remedy };

		for (unsigned i = 0; i < 2; i++) {
			for (const char *at = strchr(texts[i], '{'); at != NULL;
			     at = strchr(at + 1, '{')) {
				size_t len = strcspn(at, "}");

				assert_int_equal(at[len], '}');
				assert_true(words_known(span_of(at + 1, len - 1)));
			}
			assert_int_equal(texts[i][strlen(texts[i]) - 1] == '.' ||
			                         texts[i][strlen(texts[i]) - 1] == '}', 1);
		}
	}
}

static void
test_ids(void **state)
{
	(void)state;
	for (unsigned c = 0; c < CAUSE_COUNT; c++) {
		const char *id = diagnose_entry(c)->id;

		assert_int_equal(strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(id));
		for (unsigned other = 0; other < c; other++) {
			assert_string_not_equal(id, diagnose_entry(other)->id);
		}
	}
	assert_ptr_equal(diagnose_entry(CAUSE_COUNT), diagnose_entry(CAUSE_UNEXPLAINED));
	assert_false(diagnose_is_failure(CAUSE_NO_WORD));
	assert_false(diagnose_is_failure(CAUSE_HTTP));
	assert_true(diagnose_is_failure(CAUSE_LACKS_CA));
}

static void
test_openssl_numbers(void **state)
{
	(void)state;
#define X(name, number) assert_int_equal(name, number);
	OPENSSL_NUMBER_LIST(X)
#undef X
}

/* ---- precedence, variants ---------------------------------------------------------- */

static const struct row *
row_of(enum diagnose_cause cause)
{
	size_t i = 0;

	while (rows[i].cause != cause) {
		i++;
	}
	return &rows[i];
}

static void
test_notes(void **state)
{
	struct row row = *row_of(CAUSE_LACKS_CA);
	struct diagnose_evidence e;
	struct diagnose_verdict v;

	(void)state;
	judge(&row, &e, &v);
	assert_null(strstr(v.remedy, "setInsecure"));
	assert_null(strstr(v.remedy, "update the library"));
	row.hello = span_of(hello_arduino_nosni, sizeof hello_arduino_nosni);
	judge(&row, &e, &v);
	assert_non_null(strstr(v.remedy, "setInsecure"));
	row.hello = span_of(hello_arduino_old, sizeof hello_arduino_old);
	judge(&row, &e, &v);
	assert_non_null(strstr(v.remedy, "update the library"));
	assert_string_equal(v.codes, "errorCode() 62, state() -2");
}

/* Bytes that never arrived explain more than a name that was never read. */
static void
test_precedence(void **state)
{
	struct row row = *row_of(CAUSE_NAME_MISMATCH);
	struct diagnose_evidence e;
	struct diagnose_verdict v;

	(void)state;
	row.evidence.end = END_RESET;
	row.evidence.unacknowledged = 1;
	judge(&row, &e, &v);
	assert_int_equal(v.cause, CAUSE_NETWORK_LOST);
	row.evidence.unacknowledged = 0;
	row.evidence.before.last_success = 1;
	judge(&row, &e, &v);
	assert_int_equal(v.cause, CAUSE_NAME_MISMATCH);
	row.evidence.presented.name_count = DIAGNOSE_NAMES + 1;
	judge(&row, &e, &v);
	assert_int_not_equal(v.cause, CAUSE_NAME_MISMATCH);
}

static void
test_warning(void **state)
{
	struct row row = *row_of(CAUSE_LACKS_CA);
	struct diagnose_evidence e;
	struct diagnose_verdict v = { .cause = CAUSE_COUNT };

	(void)state;
	judge(&row, &e, &v);
	assert_false(diagnose_warning(&e, &v));
	e.before.random_repeated = true;
	assert_true(diagnose_warning(&e, &v));
	assert_int_equal(v.cause, CAUSE_NO_RANDOM);
}

/* What a stranger puts into its certificate stays a text. */
static void
test_foreign_text(void **state)
{
	struct row row = *row_of(CAUSE_FOREIGN_CA);
	struct diagnose_evidence e;
	struct diagnose_verdict v;
	char text[256];

	(void)state;
	strcpy(row.evidence.certificate.identity, "a\n\x1b[31m{device}\xff");
	memset(row.evidence.certificate.issuer, 'x', DIAGNOSE_NAME - 1);
	judge(&row, &e, &v);
	assert_non_null(strstr(v.sentence, "\"a??[31m{device}?\""));
	assert_true(utf8_valid_strict(span_str(v.sentence)));
	for (unsigned bit = 0; bit < BY_COUNT; bit++) {
		diagnose_by_text(&e, 1u << bit, text, sizeof text);
		assert_non_null(strchr(text, ':'));
	}
	diagnose_by_text(&e, BY_VERIFY, text, sizeof text);
	assert_string_equal(text, "certificate check: error 20 at depth 0");
	diagnose_by_text(&e, BY_VERIFY, text, 8);
	assert_string_equal(text, "certifi");
}

/* ---- the page ---------------------------------------------------------------------- */

static char *
read_page(void)
{
	FILE *f = fopen(PAGE_BUILT, "r");
	char *text = calloc(1, 1 << 18);

	if (f == NULL) {
		f = fopen(PAGE_SHIPPED, "r");
	}
	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 18) - 1, f) > 0);
	fclose(f);
	return text;
}

/* The letters only: filling and markup are the page's own. */
static void
letters(char *out, const char *in, size_t size)
{
	size_t n = 0;

	for (; *in != '\0' && n + 1 < size; in++) {
		if (*in == '{') { /* a word to fill in, written in another way */
			break;
		}
		if (isalnum((unsigned char)*in)) {
			out[n++] = *in;
		}
	}
	out[n] = '\0';
}

/* A page with another number of causes is stale. */
static void
test_page(void **state)
{
	char *page = read_page(), *flat = calloc(1, 1 << 18), part[1024], item[128];
	unsigned items = 0;

	(void)state;
	assert_non_null(flat);
	for (size_t i = 0, n = 0; page[i] != '\0'; i++) {
		if (isalnum((unsigned char)page[i])) {
			flat[n++] = page[i];
		}
	}
	for (unsigned c = 0; c < CAUSE_COUNT; c++) {
		const struct diagnose_entry *entry = diagnose_entry(c);

		snprintf(item, sizeof item, "\n.It Sy %s\n", entry->id);
		assert_non_null(strstr(page, item));
		letters(part, entry->title, sizeof part);
		assert_non_null(strstr(flat, part));
		letters(part, entry->sentence, sizeof part);
		assert_non_null(strstr(flat, part));
		letters(part, entry->remedy, sizeof part);
		assert_non_null(strstr(flat, part));
	}
	for (const char *at = strstr(page, "\n.It Sy "); at != NULL; at = strstr(at + 1, "\n.It Sy ")) {
		items++;
	}
	assert_int_equal(items, CAUSE_COUNT);
	free(page);
	free(flat);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_words_exist),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_openssl_numbers),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_warning),
		cmocka_unit_test(test_foreign_text),
		cmocka_unit_test(test_page),
	};

	return cmocka_run_group_tests_name("diagnose", tests, NULL, NULL);
}
