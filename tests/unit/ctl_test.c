/* SPDX-License-Identifier: BSD-2-Clause */
/* Documents and frames: pure functions, fed with good and hostile input. */
#include "unit/cmocka_all.h"

#include <errno.h>
#include <stdlib.h>

#include "ctl/doc.h"
#include "ctl/frame.h"

static char why[256];

static struct doc *
parse(const char *text)
{
	struct doc *doc = NULL;

	assert_int_equal(doc_parse_yaml(span_str(text), &doc, why), 0);
	return doc;
}

static char *
text_of(struct buf *b)
{
	assert_int_equal(buf_append(b, span_of("", 1)), 0);
	return (char *)(uintptr_t)buf_span(b).ptr;
}

/* ---- documents ---------------------------------------------------------- */

static void
strings_survive_yaml(void **state)
{
	static const char *const rows[] = { "", "plain", "true", "Null", "~", "123", "-5", "0x10",
		"1e3", "1:20", "2026-11-23", "yes", "off", " lead", "trail ", "a: b", "- a", "# c",
		"a #b", "[x]", "{x}", "*a", "&a", "!t", "|", ">", "%TAG", "@x", "`x`", "'q'",
		"\"dq\"", "back\\slash", "line\nfeed", "\n\n", "tab\there", "\x01\x1b[31m", "\x7f",
		"\xc2\x9b", "\xc2\x85", "\xe2\x80\xa8", "\xef\xbb\xbf", "\xef\xbf\xbe", "gr\xc3\xbc\xc3\x9f",
		"\xf0\x9f\x9a\x80", "---", "...", "key: [", "a\\nb", "?", "? x", ":", "-", "=", "<<" };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct doc *doc = doc_map(), *list = doc_list(), *back = NULL;
		struct buf out = { 0 };

		doc_set_text(doc, "k", rows[i]);
		doc_set_text(doc, rows[i], "as a key");
		doc_add(list, doc_string(span_str(rows[i])));
		doc_set(doc, "list", list);
		assert_int_equal(doc_write_yaml(doc, &out), 0);
		assert_int_equal(doc_parse_yaml(buf_span(&out), &back, why), 0);
		assert_int_equal(doc_kind(doc_get(back, "k")), DOC_STRING);
		assert_string_equal(doc_get_text(back, "k", "?"), rows[i]);
		assert_string_equal(doc_key_at(back, 1), rows[i]);
		assert_string_equal(doc_text(doc_at(doc_get(back, "list"), 0)), rows[i]);
		doc_free(doc);
		doc_free(back);
		buf_release(&out);
	}
}

/* Longer than the 128 characters that libyaml writes as a simple key. */
static void
long_keys_survive_yaml(void **state)
{
	struct doc *doc = doc_map(), *back = NULL;
	struct buf out = { 0 };
	char key[2000];

	(void)state;
	memset(key, 'k', sizeof key - 1);
	key[sizeof key - 1] = '\0';
	doc_set_int(doc, key, 5);
	assert_int_equal(doc_write_yaml(doc, &out), 0);
	assert_int_equal(doc_parse_yaml(buf_span(&out), &back, why), 0);
	assert_int_equal(doc_get_int(back, key, 0), 5);
	doc_free(doc);
	doc_free(back);
	buf_release(&out);
}

static void
scalars_survive_yaml(void **state)
{
	struct doc *doc = doc_map(), *back = NULL;
	struct buf out = { 0 };

	(void)state;
	doc_set_int(doc, "least", INT64_MIN);
	doc_set_int(doc, "most", INT64_MAX);
	doc_set_bool(doc, "yes", true);
	doc_set_bool(doc, "no", false);
	doc_set(doc, "map", doc_map());
	doc_set(doc, "list", doc_list());
	assert_int_equal(doc_write_yaml(doc, &out), 0);
	assert_int_equal(doc_parse_yaml(buf_span(&out), &back, why), 0);
	assert_true(doc_get_int(back, "least", 0) == INT64_MIN);
	assert_true(doc_get_int(back, "most", 0) == INT64_MAX);
	assert_true(doc_get_bool(back, "yes", false));
	assert_false(doc_get_bool(back, "no", true));
	assert_int_equal(doc_kind(doc_get(back, "map")), DOC_MAP);
	assert_int_equal(doc_kind(doc_get(back, "list")), DOC_LIST);
	assert_int_equal(doc_count(back), 6);
	/* Of another kind, or not there: the caller's default. */
	assert_int_equal(doc_get_int(back, "yes", 7), 7);
	assert_string_equal(doc_get_text(back, "most", "d"), "d");
	assert_true(doc_get_bool(back, "none", true));
	doc_free(doc);
	doc_free(back);
	buf_release(&out);
}

static void
json_keeps_digits_and_escapes(void **state)
{
	struct doc *doc = doc_map();
	struct buf out = { 0 };
	const char *text;

	(void)state;
	doc_set_int(doc, "n", 9007199254740993); /* 2^53 + 1: no double has it */
	doc_set_text(doc, "s", "\x1b[2J\x7f\xc2\x9b\xc2\xa9\"");
	assert_int_equal(doc_write_json(doc, &out), 0);
	text = text_of(&out);
	assert_non_null(strstr(text, "9007199254740993"));
	assert_non_null(strstr(text, "\\u001b[2J\\u007f\\u009b\xc2\xa9\\\""));
	assert_int_equal(text[strlen(text) - 1], '\n');
	doc_free(doc);
	buf_release(&out);
}

static void
strings_are_made_utf8(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} rows[] = {
		{ "ok", 2, "ok" },
		{ "a\xff" "b", 3, "a\xef\xbf\xbd" "b" },
		{ "a\0b", 3, "a\xef\xbf\xbd" "b" },
		{ "\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* surrogate */
		{ "\xc3", 1, "\xef\xbf\xbd" },
		{ "", 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct doc *doc = doc_string(span_of(rows[i].bytes, rows[i].len));

		assert_string_equal(doc_text(doc), rows[i].text);
		doc_free(doc);
	}
}

static void
a_failed_tree_says_so(void **state)
{
	struct doc *doc = doc_map(), *list = doc_list();
	struct buf out = { 0 };

	(void)state;
	doc_set(doc, "list", list);
	assert_false(doc_failed(doc));
	doc_add(list, NULL);
	assert_true(doc_failed(doc));
	assert_int_equal(doc_write_yaml(doc, &out), -ENOMEM);
	assert_int_equal(doc_write_json(doc, &out), -ENOMEM);
	doc_set_text(NULL, "key", "value"); /* allowed, and leaks nothing */
	assert_true(doc_failed(NULL));
	doc_free(doc);
	buf_release(&out);
}

static void
take_removes_a_value(void **state)
{
	struct doc *doc = parse("a: 1\nb: 2\nc: 3\n");
	struct doc *b = doc_take(doc, "b");

	(void)state;
	assert_int_equal(doc_number(b), 2);
	assert_int_equal(doc_count(doc), 2);
	assert_string_equal(doc_key_at(doc, 1), "c");
	assert_null(doc_take(doc, "b"));
	doc_free(b);
	doc_free(doc);
}

static void
plain_scalars_follow_the_json_schema(void **state)
{
	struct doc *doc;

	(void)state;
	doc = parse("a: null\nb:\nc: true\nd: True\ne: -12\nf: 012\ng: 1.5\nh: '12'\ni: ~\n");
	assert_int_equal(doc_kind(doc_get(doc, "a")), DOC_NULL);
	assert_int_equal(doc_kind(doc_get(doc, "b")), DOC_NULL);
	assert_int_equal(doc_kind(doc_get(doc, "c")), DOC_BOOL);
	assert_string_equal(doc_get_text(doc, "d", ""), "True");
	assert_int_equal(doc_get_int(doc, "e", 0), -12);
	assert_string_equal(doc_get_text(doc, "f", ""), "012");
	assert_string_equal(doc_get_text(doc, "g", ""), "1.5");
	assert_string_equal(doc_get_text(doc, "h", ""), "12");
	assert_string_equal(doc_get_text(doc, "i", ""), "~");
	doc_free(doc);
}

static void
hostile_yaml_is_refused(void **state)
{
	static const struct {
		const char *text, *sentence;
	} rows[] = {
		{ "", "no document" },
		{ "# only a comment\n", "no document" },
		{ "a: &x 1\nb: *x\n", "anchors" },
		{ "b: *x\n", "aliases" },
		{ "a: &l [x,x]\nb: &m [*l,*l]\n", "anchors" }, /* billion laughs */
		{ "a: !!str 1\n", "tags" },
		{ "a: ! x\n", "tags" },
		{ "a: !!map {}\n", "tags" },
		{ "%TAG ! tag:x,2000:\n---\na: 1\n", "directives" },
		{ "a: 1\na: 2\n", "line 2: a key stands twice" },
		{ "a: {b: 1, 'b': 2}\n", "twice" },
		{ "{[a]: 1}\n", "key must be a plain text" },
		{ "? {a: 1}\n: 1\n", "key must be a plain text" },
		{ "a: 9223372036854775808\n", "64 bits" },
		{ "a: -9223372036854775809\n", "64 bits" },
		{ "a: 1\n---\nb: 2\n", "more than one" },
		{ "a: \"x\\0y\"\n", "NUL" },
		{ "a: \xff\n", "not valid YAML" },
		{ "a: \x01\n", "not valid YAML" },
		{ "a: [1\n", "not valid YAML" },
		{ "a: \"x\n", "not valid YAML" },
		{ "\tb: 1", "not valid YAML" },
		{ "\xff\xfe" "a", "not valid YAML" },
		{ "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "too deeply" },
		{ "{a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: 1}}}}}}}}}}}}}}}}}",
		  "too deeply" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct doc *doc = NULL;

		assert_int_equal(doc_parse_yaml(span_str(rows[i].text), &doc, why), ERR_MALFORMED);
		assert_null(doc);
		if (strstr(why, rows[i].sentence) == NULL) {
			fail_msg("%s: %s", rows[i].text, why);
		}
	}
}

static void
sixteen_levels_are_fine(void **state)
{
	struct doc *doc = parse("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]");

	(void)state;
	doc_free(doc);
}

static void
keys_of_a_map_are_limited(void **state)
{
	struct buf text = { 0 };
	struct doc *doc = NULL;
	char line[16];

	(void)state;
	for (int i = 0; i <= 1024; i++) {
		snprintf(line, sizeof line, "k%d: 1\n", i);
		assert_int_equal(buf_append(&text, span_str(line)), 0);
		if (i == 1023) {
			assert_int_equal(doc_parse_yaml(buf_span(&text), &doc, why), 0);
			doc_free(doc);
			doc = NULL;
		}
	}
	assert_int_equal(doc_parse_yaml(buf_span(&text), &doc, why), ERR_MALFORMED);
	assert_non_null(strstr(why, "too many keys"));
	buf_release(&text);
}

/* ---- frames ------------------------------------------------------------- */

static void
frames_cut_anywhere_want_more(void **state)
{
	struct buf out = { 0 };
	struct frame frame;
	size_t len;

	(void)state;
	assert_int_equal(frame_write(&out, FRAME_REQUEST, span_str("command: status\n")), 0);
	len = buf_len(&out);
	assert_int_equal(len, FRAME_HEADER + 16);
	for (size_t i = 0; i < len; i++) {
		/* A copy of just that size, so that the sanitizer sees a read too far. */
		uint8_t *copy = malloc(i > 0 ? i : 1);

		assert_non_null(copy);
		memcpy(copy, buf_span(&out).ptr, i);
		assert_int_equal(frame_read(span_of(copy, i), &frame), ERR_MORE);
		free(copy);
	}
	assert_int_equal(frame_read(buf_span(&out), &frame), 0);
	assert_int_equal(frame.type, FRAME_REQUEST);
	assert_int_equal(frame.size, len);
	assert_true(span_eq_str(frame.body, "command: status\n"));
	buf_release(&out);
}

static void
bad_frames_are_refused_early(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int result;
	} rows[] = {
		{ "X", 1, ERR_MALFORMED },
		{ "GX", 2, ERR_MALFORMED },
		{ "GW\x02", 3, ERR_VERSION },
		{ "GW\0", 3, ERR_VERSION },
		{ "GW\x01\0", 4, ERR_MALFORMED },
		{ "GW\x01\x05", 4, ERR_MALFORMED },
		{ "GW\x01\x01\0\x01\0\x01", 8, ERR_MALFORMED }, /* 65,537 */
		{ "GW\x01\x01\xff\xff\xff\xff", 8, ERR_MALFORMED },
		{ "GW\x01\x01\0\x01\0\0", 8, ERR_MORE }, /* 65,536 */
		{ "GW\x01\x04\0\0\0\0", 8, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct frame frame;

		assert_int_equal(frame_read(span_of(rows[i].bytes, rows[i].len), &frame),
		                 rows[i].result);
	}
}

static void
long_documents_are_parted(void **state)
{
	static uint8_t body[2 * FRAME_BODY_MAX + 5];
	struct buf out = { 0 };
	struct frame frame;
	enum frame_type types[] = { FRAME_PART, FRAME_PART, FRAME_END };
	size_t total = 0;

	(void)state;
	assert_int_equal(frame_write(&out, FRAME_END, span_of(body, sizeof body)), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(frame_read(buf_span(&out), &frame), 0);
		assert_int_equal(frame.type, types[i]);
		total += frame.body.len;
		buf_consume(&out, frame.size);
	}
	assert_int_equal(total, sizeof body);
	assert_int_equal(buf_len(&out), 0);
	assert_int_equal(frame_write(&out, FRAME_REQUEST, span_of(body, sizeof body)), ERR_LIMIT);
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_survive_yaml),
		cmocka_unit_test(long_keys_survive_yaml),
		cmocka_unit_test(scalars_survive_yaml),
		cmocka_unit_test(json_keeps_digits_and_escapes),
		cmocka_unit_test(strings_are_made_utf8),
		cmocka_unit_test(a_failed_tree_says_so),
		cmocka_unit_test(take_removes_a_value),
		cmocka_unit_test(plain_scalars_follow_the_json_schema),
		cmocka_unit_test(hostile_yaml_is_refused),
		cmocka_unit_test(sixteen_levels_are_fine),
		cmocka_unit_test(keys_of_a_map_are_limited),
		cmocka_unit_test(frames_cut_anywhere_want_more),
		cmocka_unit_test(bad_frames_are_refused_early),
		cmocka_unit_test(long_documents_are_parted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
