/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl without its main(): text, tables, names, the command line, the table of commands. */
#include "unit/cmocka_all.h"
#include "unit/folder_help.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "gatewayctl/cli.h"
#include "gatewayctl/names.h"
#include "gatewayctl/owner.h"
#include "gatewayctl/print.h"
#include "gatewayctl/run.h"
#include "gatewayctl/text.h"

#define NOW 1795429200 /* 2026-11-23 10:20 UTC */

/* ---- text --------------------------------------------------------------- */

static void
terminals_are_safe(void **state)
{
	static const struct {
		const char *text, *shown;
		int keep_lines;
	} rows[] = {
		{ "plain gr\xc3\xbc\xc3\x9f", "plain gr\xc3\xbc\xc3\x9f", 0 },
		{ "\x1b[31mred", "\\x1b[31mred", 0 },
		{ "a\nb\r", "a\\x0ab\\x0d", 0 },
		{ "a\nb\r", "a\nb\\x0d", 1 },
		{ "\x7f", "\\x7f", 0 },
		{ "\xc2\x9b" "2J", "\\u{9b}2J", 0 },          /* CSI in one character */
		{ "\xe2\x80\xae" "txt", "\\u{202e}txt", 0 },  /* right to left */
		{ "\xe2\x80\xa8", "\\u{2028}", 1 },
		{ "\xff\xc3", "\\xff\\xc3", 0 },
		{ "", "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *shown = text_escape(rows[i].text, rows[i].keep_lines);

		assert_string_equal(shown, rows[i].shown);
		free(shown);
	}
}

static void
times_and_sizes_are_short(void **state)
{
	static const struct {
		int64_t wall;
		const char *text;
	} ago[] = {
		{ 0, "-" }, { NOW, "now" }, { NOW - 5, "5 s ago" }, { NOW - 119, "119 s ago" },
		{ NOW - 180, "3 min ago" }, { NOW - 7200, "2 h ago" }, { NOW - 172800, "2 days ago" },
		{ NOW + 86400 * 800, "in 2 years" },
	};
	static const struct {
		int64_t bytes;
		const char *text;
	} sizes[] = {
		{ 0, "0 B" }, { -5, "0 B" }, { 1023, "1023 B" }, { 1024, "1.0 KiB" },
		{ 1536, "1.5 KiB" }, { 1048575, "1.0 MiB" }, { 1048576, "1.0 MiB" },
		{ INT64_MAX, "8.0 EiB" },
	};
	char text[TEXT_SIZE];

	(void)state;
	clock_fake(0, NOW);
	for (size_t i = 0; i < sizeof ago / sizeof ago[0]; i++) {
		assert_string_equal(text_ago(ago[i].wall, text), ago[i].text);
	}
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		assert_string_equal(text_bytes(sizes[i].bytes, text), sizes[i].text);
	}
	assert_string_equal(text_time(NOW, text), "2026-11-23 10:20");
	assert_string_equal(text_date(NOW, text), "2026-11-23");
	assert_string_equal(text_time(INT64_MAX, text), "-");
	assert_string_equal(text_ago(INT64_MAX, text)[0] != '\0' ? "ok" : "", "ok");
	clock_real();
}

/* ---- tables ------------------------------------------------------------- */

static const struct column columns[] = {
	{ "name", "NAME" },
	{ "n", "N", PRINT_NUMBER },
	{ "live", "LIVE", PRINT_YES_NO },
	{ "end", "END", PRINT_DATE },
	{ NULL },
};

static struct doc *
make_row(const char *name, int64_t n)
{
	struct doc *row = doc_map();

	doc_set_text(row, "name", name);
	doc_set_int(row, "n", n);
	doc_set_bool(row, "live", n > 10);
	return row;
}

static void
columns_line_up_by_width(void **state)
{
	struct doc *rows = doc_list();
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	doc_add(rows, make_row("pump", 5));
	doc_add(rows, make_row("gr\xc3\xbc\xc3\x9f", 1234)); /* 4 columns in 6 bytes */
	doc_add(rows, make_row("\xe6\xb8\xa9\xe5\xba\xa6", 70)); /* 2 wide characters */
	doc_add(rows, make_row("e\x1bsc", 1));
	print_table(out, rows, columns);
	fclose(out);
	assert_string_equal(text, "NAME        N  LIVE  END\n"
	                          "pump        5  no    -\n"
	                          "gr\xc3\xbc\xc3\x9f     1234  yes   -\n"
	                          "\xe6\xb8\xa9\xe5\xba\xa6       70  yes   -\n"
	                          "e\\x1bsc     1  no    -\n");
	free(text);
	doc_free(rows);
}

static void
an_empty_table_has_its_titles(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	print_table(out, NULL, columns);
	fclose(out);
	assert_string_equal(text, "NAME  N  LIVE  END\n");
	free(text);
}

static void
a_record_leaves_out_what_is_optional(void **state)
{
	static const struct column record[] = {
		{ "name", "name" },
		{ "gone", "not there", PRINT_TEXT, true },
		{ "none", "also", PRINT_TEXT, false },
		{ NULL },
	};
	struct doc *row = make_row("pump", 1);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	print_record(out, row, record, 2);
	fclose(out);
	assert_string_equal(text, "  name       pump\n"
	                          "  also       -\n");
	free(text);
	doc_free(row);
}

/* ---- names -------------------------------------------------------------- */

static void
names_are_checked_and_merged(void **state)
{
	static const struct {
		const char *name;
		int result;
	} rows[] = {
		{ "Gateway.example", 1 },
		{ "gateway.EXAMPLE", 0 }, /* the same name */
		{ "192.0.2.7", 1 },
		{ "192.0.2.7", 0 },
		{ "2001:DB8:0:0::1", 1 },
		{ "2001:db8::1", 0 }, /* the same address */
		{ "::1", 1 },
		{ "a-b.c1", 1 },
		{ "", ERR_MALFORMED },
		{ ".", ERR_MALFORMED },
		{ "a..b", ERR_MALFORMED },
		{ "a.", ERR_MALFORMED },
		{ "-a", ERR_MALFORMED },
		{ "a-", ERR_MALFORMED },
		{ "a_b", ERR_MALFORMED },
		{ "a b", ERR_MALFORMED },
		{ "a\n", ERR_MALFORMED },
		{ "*.example", ERR_MALFORMED },
		{ "gr\xc3\xbc\xc3\x9f", ERR_MALFORMED },
		{ "fe80::1%eth0", ERR_MALFORMED },
	};
	struct names names = { .count = 0 };
	char label[66];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(names_add(&names, rows[i].name), rows[i].result);
	}
	assert_int_equal(names.count, 5);
	assert_string_equal(names.list[2], "2001:db8::1");
	assert_true(names_contain(&names, "2001:0db8::0001"));
	assert_false(names_contain(&names, "other"));
	memset(label, 'a', 64);
	label[64] = '\0';
	assert_int_equal(names_add(&names, label), ERR_MALFORMED);
	for (int i = 0; names.count < NAMES_MAX; i++) {
		snprintf(label, sizeof label, "host%d", i);
		assert_int_equal(names_add(&names, label), 1);
	}
	assert_int_equal(names_add(&names, "one-more"), ERR_LIMIT);
	names_clear(&names);
	assert_int_equal(names.count, 0);
}

static void
names_are_kept_in_a_file(void **state)
{
	char file[] = "/tmp/ctl-names-XXXXXX", why[256];
	struct names names = { .count = 0 }, back = { .count = 0 };
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(names_discover(&names), 0);
	assert_true(names_contain(&names, "localhost"));
	assert_true(names_contain(&names, "127.0.0.1"));
	assert_true(names_contain(&names, "::1"));
	assert_int_equal(names_write(&names, file, why), 0);
	assert_int_equal(names_read(&back, file), 0);
	assert_int_equal(back.count, names.count);
	names_clear(&back);
	close(fd);
	unlink(file);
	assert_int_equal(names_read(&back, file), 0); /* none is none */
	assert_int_equal(back.count, 0);
	names_clear(&names);
}

/* ---- the command line --------------------------------------------------- */

static int
parse_line(struct cli *cli, const char *const *words, FILE *err)
{
	int argc = 0;

	while (words[argc] != NULL) {
		argc++;
	}
	*cli = (struct cli){ .out = stdout, .err = err };
	return cli_parse(cli, argc, (char **)(uintptr_t)words);
}

static void
command_lines_are_parsed(void **state)
{
	static const struct {
		const char *words[10];
		int result;
		const char *command, *first;
	} rows[] = {
		{ { "g", "devices" }, CLI_DONE, "devices", NULL },
		{ { "g", "devices", "show", "x" }, CLI_DONE, "devices show", "x" },
		{ { "g", "-o", "json", "devices", "--live" }, CLI_DONE, "devices", NULL },
		{ { "g", "devices", "-ojson", "--live" }, CLI_DONE, "devices", NULL },
		{ { "g", "--output=json", "-c", "f", "status" }, CLI_DONE, "status", NULL },
		{ { "g", "revoke", "--", "-x" }, CLI_DONE, "revoke", "-x" },
		{ { "g", "enroll", "--csr", "-" }, CLI_DONE, "enroll", NULL },
		{ { "g", "--help" }, CLI_DONE, NULL, NULL },
		{ { "g", "revoke", "--help" }, CLI_DONE, "revoke", NULL },
		{ { "g", "revoke" }, CLI_USAGE, NULL, NULL },
		{ { "g", "revoke", "a", "b" }, CLI_USAGE, NULL, NULL },
		{ { "g", "status", "x" }, CLI_USAGE, NULL, NULL },
		{ { "g", "config" }, CLI_USAGE, NULL, NULL },
		{ { "g", "nothing" }, CLI_USAGE, NULL, NULL },
		{ { "g", "devices", "--nothing" }, CLI_USAGE, NULL, NULL },
		{ { "g", "devices", "--live=1" }, CLI_USAGE, NULL, NULL },
		{ { "g", "--live", "devices" }, CLI_USAGE, NULL, NULL },
		{ { "g", "-o" }, CLI_USAGE, NULL, NULL },
		{ { "g", "-o", "xml", "status" }, CLI_USAGE, NULL, NULL },
		{ { "g", "-hx", "status" }, CLI_USAGE, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *said = NULL;
		size_t size;
		FILE *err = open_memstream(&said, &size);
		struct cli cli;

		assert_int_equal(parse_line(&cli, rows[i].words, err), rows[i].result);
		fclose(err);
		/* A sentence when, and only when, something is wrong. */
		assert_int_equal(size > 0, rows[i].result != CLI_DONE);
		if (rows[i].command != NULL) {
			assert_string_equal(cli.command->name, rows[i].command);
		}
		if (rows[i].first != NULL) {
			assert_string_equal(cli.word[0], rows[i].first);
		}
		free(cli.option);
		free(cli.word);
		free(said);
	}
}

static void
options_may_be_repeated(void **state)
{
	static const char *const words[] = { "g", "enroll", "-l", "a=1", "--label=b=2",
		"--days", "30", NULL };
	struct cli cli;
	unsigned days = 7;

	(void)state;
	assert_int_equal(parse_line(&cli, words, stderr), CLI_DONE);
	assert_string_equal(cli_option(&cli, "label", 0), "a=1");
	assert_string_equal(cli_option(&cli, "label", 1), "b=2");
	assert_null(cli_option(&cli, "label", 2));
	assert_int_equal(cli_option_number(&cli, "days", 100, &days), 0);
	assert_int_equal(days, 30);
	assert_int_equal(cli_option_number(&cli, "days", 29, &days), ERR_MALFORMED);
	assert_int_equal(cli_option_number(&cli, "label", 29, &days), ERR_MALFORMED);
	assert_int_equal(cli_option_number(&cli, "out", 29, &days), 0);
	assert_int_equal(days, 30);
	free(cli.option);
	free(cli.word);
}

static void
labels_are_checked(void **state)
{
	(void)state;
	assert_true(label_valid("floor=2"));
	assert_true(label_valid("a-b_C9="));
	assert_true(label_valid("k=gr\xc3\xbc\xc3\x9f"));
	assert_false(label_valid("floor"));
	assert_false(label_valid("=2"));
	assert_false(label_valid("a b=2"));
	assert_false(label_valid("a.b=2"));
	assert_false(label_valid("a=b/c"));
	assert_false(label_valid("a=+"));
	assert_false(label_valid("a=$x"));
}

/* ---- commands without a daemon ------------------------------------------ */

struct place {
	char folder[32], conf[64];
};

/* Run a command line; the result in *out (the caller's), diagnostics swallowed. */
static int
run_line(const struct place *place, const char *const *words, char **out)
{
	const char *line[16] = { "gatewayctl", "-c", place->conf, "-o", "json" };
	char *said = NULL;
	size_t size, said_size;
	struct cli cli;
	FILE *err = open_memstream(&said, &said_size);
	int r;

	for (size_t i = 0; words[i] != NULL; i++) {
		line[5 + i] = words[i];
	}
	*out = NULL;
	r = parse_line(&cli, line, err);
	cli.out = open_memstream(out, &size);
	if (r == CLI_DONE) {
		r = cli.command->run(&cli);
	}
	fclose(cli.out);
	fclose(err);
	conf_unref(&cli.conf);
	free(cli.option);
	free(cli.word);
	free(said);
	return r;
}

static void
make_place(struct place *place)
{
	FILE *file;

	*place = (struct place){ .folder = "/tmp/ctl-test-XXXXXX" };
	assert_non_null(mkdtemp(place->folder));
	snprintf(place->conf, sizeof place->conf, "%s/g.conf", place->folder);
	file = fopen(place->conf, "w");
	assert_non_null(file);
	fprintf(file,
	        "gateway = { state_directory = \"%s/state\"; control_socket = \"%s/c\"; };\n"
	        "maps = ( { name = \"all\";\n"
	        "  publish = ( { device = \"Home\"; broker = \"home/${identity}/${label.floor}\"; } );\n"
	        "  subscribe = ( { device = \"in/#\"; broker = \"cmd/${identity}/#\"; } ); } );\n",
	        place->folder, place->folder);
	fclose(file);
}

/* In order; each result must hold the text. */
static void
a_device_is_enrolled_shown_and_revoked(void **state)
{
	struct place place;
	char key[64], folder[64];
	const struct {
		const char *words[11];
		int result;
		const char *holds;
	} rows[] = {
		{ { "devices" }, CLI_FAILED, "" }, /* no register yet */
		{ { "init", "--name", "gw.example" }, CLI_DONE, "\"made\"" },
		{ { "init" }, CLI_DONE, "\"gw.example\"" },
		{ { "init" }, CLI_DONE, "\"gateway\":\t\"there already\"" },
		{ { "init", "--name", "new.example" }, CLI_DONE, "for the names below" },
		{ { "init", "--name", "no name" }, CLI_FAILED, "" },
		{ { "enroll", "--name", "p1", "--key-out", key, "--out", folder, "-l", "floor=2" },
		  CLI_DONE, "\"identity\":\t\"p1\"" },
		{ { "enroll", "--name", "p1", "--key-out", key, "--out", folder }, CLI_FAILED, "" },
		{ { "enroll", "--name", "a/b", "--key-out", key }, CLI_USAGE, "" },
		{ { "devices" }, CLI_DONE, "\"state\":\t\"enrolled\"" },
		{ { "devices", "--live" }, CLI_DONE, "\"devices\":\t[]" },
		{ { "topics", "p1", "--publish", "Home" }, CLI_DONE, "\"home/p1/2\"" },
		{ { "topics", "p1", "--publish", "Other" }, CLI_DONE, "\"allowed\":\tfalse" },
		{ { "topics", "p1", "--publish", "+" }, CLI_DONE, "no valid topic name" },
		{ { "topics", "p1", "--subscribe", "#" }, CLI_DONE, "\"cmd/p1/#\"" },
		{ { "topics", "p2" }, CLI_FAILED, "" },
		{ { "label", "p1", "floor=3", "x=" }, CLI_DONE, "p1" },
		{ { "group", "p1", "pumps" }, CLI_DONE, "pumps" },
		{ { "revoke", "p1" }, CLI_DONE, "revoked" },
		{ { "devices", "show", "p1" }, CLI_DONE, "\"state\":\t\"revoked\"" },
		{ { "devices", "show", "p1" }, CLI_DONE, "\"floor\":\t\"3\"" },
		{ { "reinstate", "p1" }, CLI_DONE, "takes effect at its start" },
		{ { "audit", "p1" }, CLI_DONE, "\"reinstate\"" },
		{ { "renew", "p1", "--out", folder }, CLI_DONE, "\"not_after\"" },
		{ { "devices", "--expiring", "100y" }, CLI_DONE, "\"p1\"" },
		{ { "devices", "--expiring", "30" }, CLI_USAGE, "" },
		{ { "devices", "--pending" }, CLI_DONE, "\"strangers\":\t[]" },
		{ { "approve", "0123456789" }, CLI_FAILED, "" },
		{ { "approve", "x" }, CLI_USAGE, "" },
		{ { "certificate", "names", "add", "third.example" }, CLI_DONE, "\"third.example\"" },
		{ { "certificate", "names", "remove", "third.example" }, CLI_DONE, "takes effect" },
		{ { "certificate", "names" }, CLI_DONE, "\"gw.example\"" },
		{ { "certificate", "show" }, CLI_DONE, "\"names\"" },
		{ { "ca", "show" }, CLI_DONE, "\"signs\":\t\"yes\"" },
		{ { "crl", "export" }, CLI_DONE, "\"revoked\"" },
		{ { "crl", "show" }, CLI_FAILED, "" },
		{ { "fleet", "export" }, CLI_DONE, "\"version\":\t1" },
		{ { "devices", "remove", "p1" }, CLI_DONE, "removed" },
		{ { "revoke", "p1" }, CLI_FAILED, "" },
		{ { "status" }, CLI_NOT_RUNNING, "" },
		{ { "disconnect", "p1" }, CLI_NOT_RUNNING, "" },
		{ { "reload" }, CLI_NOT_RUNNING, "" },
		{ { "failures" }, CLI_NOT_RUNNING, "" },
		{ { "failures", "--limit", "0" }, CLI_USAGE, "" },
		{ { "diagnose", "p1" }, CLI_NOT_RUNNING, "" },
		{ { "watch", "--failures" }, CLI_NOT_RUNNING, "" },
		{ { "watch" }, CLI_USAGE, "" },
		{ { "config", "show" }, CLI_DONE, "gateway.state_directory" },
	};

	(void)state;
	make_place(&place);
	snprintf(folder, sizeof folder, "%s/p1", place.folder);
	snprintf(key, sizeof key, "%s/p1/device.key", place.folder);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *out;
		int r = run_line(&place, rows[i].words, &out);

		if (r != rows[i].result || strstr(out, rows[i].holds) == NULL) {
			fail_msg("%s (row %zu): %d, %s", rows[i].words[0], i, r, out);
		}
		free(out);
	}
	assert_int_equal(folder_remove(place.folder), 0);
}

/* Root's `init` must not open a file to others that the daemon's user points it at. */
static void
no_link_is_followed_to_set_a_mode(void **state)
{
	char folder[] = "/tmp/ctl-test-XXXXXX", file[64], link[64], pipe[64];
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/file", folder);
	snprintf(link, sizeof link, "%s/link", folder);
	snprintf(pipe, sizeof pipe, "%s/pipe", folder);
	fclose(fopen(file, "w"));
	assert_int_equal(symlink(file, link), 0);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(chmod(file, 0600), 0);
	assert_int_equal(owner_set(link, getuid(), getgid(), 0644), -ELOOP);
	assert_int_equal(owner_set(pipe, getuid(), getgid(), 0644), -ELOOP);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(owner_set(file, getuid(), getgid(), 0644), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(owner_set(folder, getuid(), getgid(), 0750), 0);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(owner_set(file, getuid(), getgid(), 0644), -ENOENT);
	assert_int_equal(folder_remove(folder), 0);
}

/* ---- what is wrong ------------------------------------------------------ */

static void
the_last_column_is_broken_to_the_width(void **state)
{
	static const struct {
		size_t limit;
		const char *text;
	} rows[] = {
		{ 0, "NAME  CAUSE\np1    one two three four five six seven eight nine ten\n" },
		{ 47, "NAME  CAUSE\np1    one two three four five six seven eight\n"
		      "      nine ten\n" },
		{ 30, "NAME  CAUSE\np1    \n    one two three four five\n"
		      "    six seven eight nine ten\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		static const struct column two[] = { { "name", "NAME" }, { "cause", "CAUSE" },
							 { NULL } };
		struct doc *row = doc_map();
		struct table *table = table_new(two);
		char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		doc_set_text(row, "name", "p1");
		doc_set_text(row, "cause", "one two three four five six seven eight nine ten");
		table_add(table, row);
		table_wrap(table, rows[i].limit);
		assert_int_equal(table_print(table, out), 0);
		fclose(out);
		assert_string_equal(text, rows[i].text);
		free(text);
		doc_free(row);
	}
}

static void
a_word_is_an_address_or_a_name(void **state)
{
	static const struct {
		const char *word, *key;
	} rows[] = {
		{ "192.0.2.7", "address" }, { "2001:db8::7", "address" },
		{ "pump1", "identity" },    { "0123a5b1c2d3e4f501", "identity" },
		{ "1.2.3", "identity" },    { "", "identity" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct doc *args = doc_map();

		failures_subject(args, rows[i].word);
		assert_string_equal(doc_get_text(args, rows[i].key, "none"), rows[i].word);
		assert_int_equal(doc_count(args), 1);
		doc_free(args);
	}
}

/* ---- one table, told everywhere ----------------------------------------- */

static char *
read_source(const char *name)
{
	const char *tests = getenv("TEST_SOURCES");
	char path[512];
	char *text = calloc(1, 65536);
	FILE *file;

	snprintf(path, sizeof path, "%s/../%s", tests != NULL ? tests : "tests", name);
	file = fopen(path, "r");
	if (file == NULL) {
		free(text);
		return NULL;
	}
	assert_true(fread(text, 1, 65535, file) > 0);
	fclose(file);
	return text;
}

static void
check_options(const struct option_spec *list, const char *manual, const char *completion)
{
	for (; list != NULL && list->name != NULL; list++) {
		char text[64];

		snprintf(text, sizeof text, "--%s", list->name);
		if (strstr(completion, text) == NULL) {
			fail_msg("the completion lacks %s", text);
		}
		snprintf(text, sizeof text, "Fl Fl %s", list->name);
		if (strstr(manual, text) == NULL) {
			fail_msg("the manual lacks %s", text);
		}
	}
}

static void
manual_and_completion_name_everything(void **state)
{
	char *manual = read_source("man/gatewayctl.1");
	char *completion = read_source("completion/gatewayctl");

	(void)state;
	if (manual == NULL || completion == NULL) {
		free(manual);
		free(completion);
		skip();
	}
	for (const struct command *c = commands; c->name != NULL; c++) {
		char text[64];

		snprintf(text, sizeof text, "\"%s\"", c->name);
		if (strstr(completion, text) == NULL) {
			fail_msg("the completion lacks %s", text);
		}
		snprintf(text, sizeof text, "Ic %s", c->name);
		if (strstr(manual, text) == NULL) {
			fail_msg("the manual lacks %s", c->name);
		}
		check_options(c->options, manual, completion);
	}
	check_options(global_options, manual, completion);
	free(manual);
	free(completion);
}

static void
every_command_has_help_and_examples(void **state)
{
	(void)state;
	for (const struct command *c = commands; c->name != NULL; c++) {
		char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		help_command(c, out);
		fclose(out);
		assert_non_null(strstr(text, c->summary));
		assert_int_equal(strncmp(c->examples, "gatewayctl ", 11), 0);
		assert_int_equal(c->examples[strlen(c->examples) - 1], '\n');
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(terminals_are_safe),
		cmocka_unit_test(times_and_sizes_are_short),
		cmocka_unit_test(columns_line_up_by_width),
		cmocka_unit_test(an_empty_table_has_its_titles),
		cmocka_unit_test(a_record_leaves_out_what_is_optional),
		cmocka_unit_test(names_are_checked_and_merged),
		cmocka_unit_test(names_are_kept_in_a_file),
		cmocka_unit_test(command_lines_are_parsed),
		cmocka_unit_test(options_may_be_repeated),
		cmocka_unit_test(labels_are_checked),
		cmocka_unit_test(a_device_is_enrolled_shown_and_revoked),
		cmocka_unit_test(no_link_is_followed_to_set_a_mode),
		cmocka_unit_test(the_last_column_is_broken_to_the_width),
		cmocka_unit_test(a_word_is_an_address_or_a_name),
		cmocka_unit_test(manual_and_completion_name_everything),
		cmocka_unit_test(every_command_has_help_and_examples),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
