/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl without its main(): lengths of time, fleet files, folders of requests. */
#include "unit/cmocka_all.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "gatewayctl/csr_plan.h"
#include "gatewayctl/duration.h"
#include "gatewayctl/fleet.h"

/* ---- lengths of time ---------------------------------------------------- */

static void
durations_need_a_unit(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds; /* -1: refused */
	} rows[] = {
		{ "90s", 90 }, { "30min", 1800 }, { "5m", 300 }, { "12h", 43200 },
		{ "30d", 2592000 }, { "2w", 1209600 }, { "1y", 31536000 }, { "0d", 0 },
		{ "1000y", DURATION_MAX }, { "1001y", -1 }, { "9999999999s", 9999999999 },
		{ "99999999999s", -1 }, { "9999999999y", -1 }, { "", -1 }, { "d", -1 },
		{ "30", -1 }, { "-1d", -1 }, { " 1d", -1 }, { "1 d", -1 }, { "1d ", -1 },
		{ "1.5d", -1 }, { "0x1d", -1 }, { "1month", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t got = -1;

		if (duration_parse(rows[i].text, &got) != (rows[i].seconds < 0 ? ERR_MALFORMED : 0) ||
		    got != rows[i].seconds) {
			fail_msg("%s: %lld", rows[i].text, (long long)got);
		}
	}
}

/* ---- reading ------------------------------------------------------------ */

/* Faults as "line sentence", one per line. */
static void
note_fault(void *owner, unsigned line, const char *sentence)
{
	fprintf(owner, "%u %s\n", line, sentence);
}

/* The faults, malloc'd; the fleet when there are none. */
static char *
read_text(struct span text, struct fleet *fleet)
{
	char *faults = NULL;
	size_t size;
	FILE *out = open_memstream(&faults, &size);
	int r = fleet_read(text, note_fault, out, fleet);

	fclose(out);
	assert_int_equal(r, size > 0 ? ERR_MALFORMED : 0);
	if (r != 0) {
		assert_int_equal(fleet->devices, 0);
	}
	return faults;
}

static void
a_good_file_is_read(void **state)
{
	static const char text[] = "# fleet\n"
	                           "version: 1\n"
	                           "devices:\n"
	                           "  - name: pump2\n"
	                           "    group: \"\"\n"
	                           "    state: revoked\n"
	                           "  - name: 007\n"
	                           "    labels: { floor: 2, 'room': \"yes\" }\n"
	                           "    fingerprint: "
	                           "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
	                           "  - { name: last, labels: {} }\n";
	struct fleet fleet;
	char *faults = read_text(span_str(text), &fleet);

	(void)state;
	assert_string_equal(faults, "");
	assert_int_equal(fleet.devices, 3);
	assert_string_equal(fleet.device[0].name, "007"); /* in order, and not a number */
	assert_int_equal(fleet.device[0].line, 7);
	assert_int_equal(fleet.device[0].state, -1);
	assert_null(fleet.device[0].group);
	assert_int_equal(fleet.device[0].labels, 2);
	assert_string_equal(fleet.device[0].label[0].value, "2");
	assert_true(fleet.device[1].has_labels);
	assert_int_equal(fleet.device[1].labels, 0);
	assert_string_equal(fleet.device[2].group, "");
	assert_int_equal(fleet.device[2].state, REG_REVOKED);
	assert_false(fleet.device[2].has_labels);
	fleet_clear(&fleet);
	free(faults);
}

#define HEAD "version: 1\ndevices:\n"

static void
faults_have_their_line(void **state)
{
	static const struct {
		const char *text, *fault; /* how the first one begins */
	} rows[] = {
		{ "", "1 the file is empty" },
		{ "# nothing\n", "1 the file is empty" },
		{ "version: 1\n", "1 the key devices is missing" },
		{ "devices: []\n", "1 the key version is missing" },
		{ "version: 2\ndevices: []\n", "1 version 2" },
		{ "version: [1]\ndevices: []\n", "1 version must be a text" },
		{ "version: 1\nversion: 1\ndevices: []\n", "2 the key version is there twice" },
		{ "- a\n", "1 the file must be a map" },
		{ "text\n", "1 the file must be a map" },
		{ HEAD, "2 devices must be a list" },
		{ HEAD "  a: b\n", "3 devices must be a list" },
		{ HEAD "  - a\n", "3 a device must be a map" },
		{ HEAD "  - [ a ]\n", "3 a device must be a map" },
		{ HEAD "  - group: x\n", "3 this device has no name" },
		{ HEAD "  - name:\n", "3 name has no value" },
		{ HEAD "  - name: ~\n", "3 name has no value" },
		{ HEAD "  - name: \"a\\0b\"\n", "3 name has a NUL" },
		{ HEAD "  - name: a/b\n", "3 the name a/b cannot" },
		{ HEAD "  - name: \"\"\n", "3 the name  cannot" },
		{ HEAD "  - name: a\n    name: b\n", "4 the key name is there twice" },
		{ HEAD "  - name: a\n    colour: x\n", "4 the key colour is not known" },
		{ HEAD "  - name: a\n    [x]: y\n", "4 a key must be a text" },
		{ HEAD "  - name: a\n    <<: { group: b }\n", "4 the key << is not known" },
		{ HEAD "  - name: a\n    group: b#c\n", "4 the group b#c" },
		{ HEAD "  - name: a\n    state: pending\n", "4 the state pending" },
		{ HEAD "  - name: a\n    fingerprint: 12\n", "4 the fingerprint must" },
		{ HEAD "  - name: a\n    labels: x\n", "4 labels must be a map" },
		{ HEAD "  - name: a\n    labels: { a.b: c }\n", "4 a.b=c is no label" },
		{ HEAD "  - name: a\n    labels: { a: \"\" }\n", "4 a= is no label" },
		{ HEAD "  - name: a\n    labels: { a: [1] }\n", "4 the value of a label must" },
		{ HEAD "  - name: a\n    labels: { \"a=b\": c }\n", "4 a=b=c is no label" },
		{ HEAD "  - name: a\n    labels: { a: 1, a: 2 }\n", "4 the label a is there twice" },
		{ HEAD "  - name: a\n  - name: b\n  - name: a\n", "5 the device a is on line 3" },
		{ HEAD "  - &x { name: a }\n", "3 anchors are not allowed" },
		{ HEAD "  - { name: a }\n  - *x\n", "4 aliases are not allowed" },
		{ HEAD "  - !!map { name: a }\n", "3 tags are not allowed" },
		{ HEAD "  - { name: a\n", "4 this is no YAML" },
		{ HEAD "  - name: \xff\xfe\n", "1 this is no YAML" },
		{ HEAD "  - name: a\n---\nb\n", "4 there is a second document" },
		{ "\t- x", "1 this is no YAML" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fleet fleet;
		char *faults = read_text(span_str(rows[i].text), &fleet);

		if (strncmp(faults, rows[i].fault, strlen(rows[i].fault)) != 0) {
			fail_msg("%s gives %s", rows[i].text, faults);
		}
		free(faults);
	}
}

/* Time grows with the square of the depth: it is given up early. */
static void
depth_is_bounded(void **state)
{
	static const char *const open[] = { "[", "{ a: " };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct buf text = { 0 };
		struct fleet fleet;
		char *faults;

		assert_int_equal(buf_append(&text, span_str("version: 1\ndevices: ")), 0);
		for (unsigned n = 0; n < 100; n++) {
			assert_int_equal(buf_append(&text, span_str(open[i])), 0);
		}
		faults = read_text(buf_span(&text), &fleet);
		assert_non_null(strstr(faults, "2 maps and lists are nested too deeply here"));
		assert_null(strstr(faults, "no YAML"));
		free(faults);
		buf_release(&text);
	}
}

static void
all_faults_are_told_at_once(void **state)
{
	struct fleet fleet;
	char *faults = read_text(span_str(HEAD "  - name: a+\n    colour: { deep: [ 1, { x: y } ] }\n"
	                                       "    group: fine\n  - state: asleep\n"), &fleet);
	size_t lines = 0;

	(void)state;
	for (const char *at = faults; *at != '\0'; at++) {
		lines += *at == '\n';
	}
	assert_int_equal(lines, 3);
	free(faults);
}

/* What nests deeply, or is large, ends with a fault and in short time. */
static void
hostile_files_end(void **state)
{
	struct buf text = { 0 };
	struct fleet fleet;
	char *faults;

	(void)state;
	assert_int_equal(buf_append(&text, span_str("version: ")), 0);
	for (int i = 0; i < 20000; i++) {
		assert_int_equal(buf_append(&text, span_str("[")), 0);
	}
	faults = read_text(buf_span(&text), &fleet);
	assert_true(strlen(faults) > 0);
	free(faults);
	buf_release(&text);
	assert_int_equal(buf_append(&text, span_str(HEAD "  - name: a\n    labels:\n")), 0);
	for (int i = 0; i < 20000; i++) {
		char line[32];

		snprintf(line, sizeof line, "      l%d: v\n", i);
		assert_int_equal(buf_append(&text, span_str(line)), 0);
	}
	faults = read_text(buf_span(&text), &fleet);
	assert_string_equal(faults, "261 a device may have at most 256 labels here\n");
	free(faults);
	buf_release(&text);
}

/* ---- the difference ----------------------------------------------------- */

static void
only_what_differs_changes(void **state)
{
	struct device_label old[] = { { (char[]){ "floor" }, (char[]){ "1" } },
		                      { (char[]){ "room" }, (char[]){ "9" } },
		                      { (char[]){ "same" }, (char[]){ "x" } } };
	struct device_label new[] = { { (char[]){ "floor" }, (char[]){ "2" } },
		                      { (char[]){ "same" }, (char[]){ "x" } },
		                      { (char[]){ "site" }, (char[]){ "n" } } };
	struct device have = { .row = { .name = "a", .group = "g", .state = REG_ENROLLED },
		.label = old, .labels = 3 };
	struct fleet_device same = { .name = (char[]){ "a" }, .state = -1 };
	struct fleet_device want = { .name = (char[]){ "a" }, .group = (char[]){ "" },
		.state = REG_REVOKED, .has_labels = true, .label = new, .labels = 3 };
	static const struct {
		enum fleet_what what;
		const char *label, *before, *after;
	} rows[] = {
		{ FLEET_GROUP, "", "g", "" },
		{ FLEET_STATE, "", "enrolled", "revoked" },
		{ FLEET_LABEL, "room", "9", "" },
		{ FLEET_LABEL, "floor", "1", "2" },
		{ FLEET_LABEL, "site", "", "n" },
	};
	struct fleet_changes changes = { .count = 0 };

	(void)state;
	assert_int_equal(fleet_diff(&same, &have, &changes), 0);
	assert_int_equal(changes.count, 0);
	assert_int_equal(fleet_diff(&want, &have, &changes), 0);
	assert_int_equal(changes.count, sizeof rows / sizeof rows[0]);
	for (size_t i = 0; i < changes.count; i++) {
		assert_int_equal(changes.list[i].what, rows[i].what);
		assert_string_equal(changes.list[i].label, rows[i].label);
		assert_string_equal(changes.list[i].before, rows[i].before);
		assert_string_equal(changes.list[i].after, rows[i].after);
	}
	fleet_changes_clear(&changes);
}

/* ---- folders of requests ------------------------------------------------ */

/* The one that a crypto chip signed: see the integration tests. */
static const char request[] =
        "-----BEGIN CERTIFICATE REQUEST-----\n"
        "MIHKMHICAQAwEDEOMAwGA1UEAxMFbXlta3IwWTATBgcqhkjOPQIBBggqhkjOPQMB\n"
        "BwNCAARo6lo/SW6XJ3vWTptpq+xRfiGtVXlfx0H7PRfZqrQCEA6NCkD+DZUQA5hN\n"
        "ekMPzveohJscta5PYqAwCQetTxxhoAAwCgYIKoZIzj0EAwIDSAAwRQIgQbwP9SF1\n"
        "0O1dVyXsrNhr/HIEP/o2YzRyN7aqeSYaSvQCIQCaH6+svv9/oV9bfqePi67PrcDL\n"
        "X+PGkAXlTlZlwJD5ZA==\n"
        "-----END CERTIFICATE REQUEST-----\n";

static void
put(const char *folder, const char *name, const char *content)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(content, file);
	fclose(file);
}

static bool
known(void *owner, const char *name, const char *fingerprint)
{
	assert_int_equal(strlen(fingerprint), 64);
	return owner != NULL && strcmp(owner, name) == 0;
}

static void
requests_are_planned(void **state)
{
	static const char *const files[] = { "a.csr", "b.pem", "bad.req", ".hidden.csr", "x.txt" };
	char folder[] = "/tmp/ctl-plan-XXXXXX", path[128], done[] = "mymkr", by_name[] = "b";
	struct csr_plan plan;

	(void)state;
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		put(folder, files[i], i == 2 ? "garbage" : request);
	}
	assert_int_equal(csr_plan_make(folder, false, known, NULL, &plan), 0);
	assert_int_equal(plan.count, 3);
	assert_string_equal(plan.item[0].name, "mymkr");
	assert_int_equal(plan.item[0].step, CSR_WORK);
	assert_int_equal(plan.item[1].step, CSR_FAIL); /* the same name again */
	assert_non_null(strstr(plan.item[1].why, "a.csr"));
	assert_int_equal(plan.item[2].step, CSR_FAIL);
	csr_plan_clear(&plan);
	assert_int_equal(csr_plan_make(folder, false, known, done, &plan), 0);
	assert_int_equal(plan.item[0].step, CSR_SKIP);
	csr_plan_clear(&plan);
	assert_int_equal(csr_plan_make(folder, true, known, by_name, &plan), 0);
	assert_string_equal(plan.item[0].name, "a");
	assert_int_equal(plan.item[0].step, CSR_WORK);
	assert_int_equal(plan.item[1].step, CSR_SKIP);
	csr_plan_clear(&plan);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, files[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(folder), 0);
	assert_true(csr_plan_make(folder, false, known, NULL, &plan) < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_need_a_unit),
		cmocka_unit_test(a_good_file_is_read),
		cmocka_unit_test(faults_have_their_line),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(all_faults_are_told_at_once),
		cmocka_unit_test(hostile_files_end),
		cmocka_unit_test(only_what_differs_changes),
		cmocka_unit_test(requests_are_planned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
