/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/reg_help.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "register/reg_int.h"

static char why[REG_WHY_SIZE];

/* Open as somebody who may change devices. */
static int
open_as_anna(const char *file, enum reg_mode mode, struct reg **out)
{
	int rc = reg_open(file, mode, out, (char[REG_WHY_SIZE]){ 0 });

	return rc != 0 ? rc : reg_actor(*out, 1000, "anna");
}

static struct reg_device
device(const char *name, const char *key)
{
	struct reg_device d = { .not_before = 1000, .not_after = 2000 };

	snprintf(d.name, sizeof d.name, "%s", name);
	snprintf(d.fingerprint, sizeof d.fingerprint, "%s", key);
	snprintf(d.serial, sizeof d.serial, "0A");
	snprintf(d.certificate_hash, sizeof d.certificate_hash, "%.32s%.32s", key, name);
	return d;
}

static void
enrol(struct reg *reg, const char *name, const char *key)
{
	struct reg_device d = device(name, key);
	bool renewed;

	assert_int_equal(reg_enrol(reg, &d, false, &renewed), 0);
}

static int
run_sql(const char *file, const char *sql)
{
	sqlite3 *db;
	int rc = sqlite3_open(file, &db);

	if (rc == SQLITE_OK) {
		rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	}
	sqlite3_close(db);
	return rc;
}

/* ---- opening --------------------------------------------------------------------- */

static void
file_is_made_0660_whatever_the_umask(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	struct reg_fixture *f = *state;
	mode_t old = umask(0077);
	char file[160];
	struct stat st;

	reg_close(f->reg);
	unlink(f->file);
	assert_int_equal(open_as_anna(f->file, REG_CREATE, &f->reg), 0);
	enrol(f->reg, "x", KEY_A);
	umask(old);
	for (size_t i = 0; i < 3; i++) {
		snprintf(file, sizeof file, "%s%s", f->file, ends[i]);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0660);
	}
}

static void
missing_file_is_a_sentence(void **state)
{
	struct reg *reg = NULL;

	(void)state;
	assert_int_equal(reg_open("nowhere/r.db", REG_READ, &reg, why), ERR_NOT_FOUND);
	assert_int_equal(reg_open("nowhere/r.db", REG_WRITE, &reg, why), ERR_NOT_FOUND);
	assert_string_equal(why, "nowhere/r.db: there is no register here.");
	assert_int_equal(reg_open("nowhere/r.db", REG_CREATE, &reg, why), -ENOENT);
	assert_null(reg);
}

static void
write_bytes_to(const char *file, const void *bytes, size_t len)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void
foreign_files_are_refused(void **state)
{
	struct reg_fixture *f = *state;
	struct reg *reg = NULL;
	char file[160], junk[8192];

	snprintf(file, sizeof file, "%s/other", f->folder);
	memset(junk, 'x', sizeof junk);
	write_bytes_to(file, junk, sizeof junk);
	assert_int_equal(reg_open(file, REG_WRITE, &reg, why), ERR_DATABASE);
	assert_non_null(strstr(why, "damaged"));
	unlink(file);
	assert_int_equal(run_sql(file, "CREATE TABLE t (x)"), SQLITE_OK);
	assert_int_equal(reg_open(file, REG_CREATE, &reg, why), ERR_DATABASE);
	assert_non_null(strstr(why, "another program"));
	unlink(file);
	assert_int_equal(
		run_sql(file, "PRAGMA application_id = 7; CREATE TABLE t (x); DROP TABLE t"),
		SQLITE_OK);
	assert_int_equal(reg_open(file, REG_CREATE, &reg, why), ERR_DATABASE);
	unlink(file);
	assert_null(reg);
}

/* Where the table of devices and its indices begin. */
static int
root_pages(const char *file, int page[16])
{
	sqlite3_stmt *s;
	sqlite3 *db;
	int n = 0;

	assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
					    "SELECT rootpage FROM sqlite_schema"
					    " WHERE tbl_name = 'device' AND rootpage > 0",
					    -1, &s, NULL),
			 SQLITE_OK);
	while (sqlite3_step(s) == SQLITE_ROW && n < 16) {
		page[n++] = sqlite3_column_int(s, 0);
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
	return n;
}

static void
damage_within_is_a_sentence(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_device found;
	struct reg *reg;
	char junk[4096];
	int fd, page[16], pages;

	enrol(f->reg, "x", KEY_A);
	reg_close(f->reg);
	f->reg = NULL;
	pages = root_pages(f->file, page);
	/* The table of devices and what finds them; not the list of tables. */
	memset(junk, 0x5a, sizeof junk);
	fd = open(f->file, O_WRONLY);
	for (int i = 0; i < pages; i++) {
		assert_int_equal(pwrite(fd, junk, sizeof junk, (page[i] - 1) * 4096), sizeof junk);
	}
	close(fd);
	assert_int_equal(open_as_anna(f->file, REG_WRITE, &reg), 0);
	assert_int_equal(reg_find(reg, span_str("x"), &found), ERR_DATABASE);
	assert_non_null(strstr(reg_error(reg), "damaged"));
	assert_int_equal(reg_revoke(reg, span_str("x"), "unspecified"), ERR_DATABASE);
	reg_close(reg);
}

static void
empty_file_is_migrated(void **state)
{
	struct reg_fixture *f = *state;

	reg_close(f->reg);
	write_bytes_to(f->file, "", 0);
	assert_int_equal(open_as_anna(f->file, REG_WRITE, &f->reg), 0);
	enrol(f->reg, "x", KEY_A);
}

static void
newer_layout_is_refused(void **state)
{
	struct reg_fixture *f = *state;
	struct reg *reg = NULL;

	assert_int_equal(run_sql(f->file, "PRAGMA user_version = 99"), SQLITE_OK);
	assert_int_equal(reg_open(f->file, REG_WRITE, &reg, why), ERR_VERSION);
	assert_non_null(strstr(why, "newer release (layout 99"));
	assert_int_equal(reg_open(f->file, REG_READ, &reg, why), ERR_VERSION);
	assert_null(reg);
}

static void
reader_cannot_write(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_device found, d = device("y", KEY_B);
	struct reg_subscription s = { .filter = span_str("a") };
	struct reg *reg;
	bool renewed;

	enrol(f->reg, "x", KEY_A);
	assert_int_equal(open_as_anna(f->file, REG_READ, &reg), 0);
	assert_int_equal(reg_find(reg, span_str("x"), &found), 0);
	assert_int_equal(reg_enrol(reg, &d, false, &renewed), ERR_DATABASE);
	assert_non_null(strstr(reg_error(reg), "reading only"));
	assert_int_equal(reg_revoke(reg, span_str("x"), "unspecified"), ERR_DATABASE);
	assert_int_equal(reg_subscription_put(reg, span_str("dev"), span_str("c"), &s), ERR_DATABASE);
	assert_int_equal(reg_find(reg, span_str("x"), &found), 0);
	assert_int_equal(found.state, REG_ENROLLED);
	reg_close(reg);
}

/* ---- devices ---------------------------------------------------------------------- */

static void
states_have_names(void **state)
{
	(void)state;
	for (int i = REG_ENROLLED; i <= REG_REVOKED; i++) {
		assert_int_equal(reg_state_parse(reg_state_text((enum reg_state)i)), i);
	}
	assert_int_equal(reg_state_parse("Enrolled"), -1);
	assert_string_equal(reg_state_text((enum reg_state)77), "unknown");
}

static void
names_are_data(void **state)
{
	struct reg_fixture *f = *state;
	char longest[REG_NAME_MAX + 1];
	const char *names[] = { "'; DROP TABLE device; --",
				"\"quoted\"",
				"K\xc3\xbc"
				"che %_*?",
				longest,
				"a b",
				"?1" };
	struct reg_device found;

	memset(longest, 'n', REG_NAME_MAX);
	longest[REG_NAME_MAX] = '\0';
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		enrol(f->reg, names[i], KEY_A);
		assert_int_equal(reg_find(f->reg, span_str(names[i]), &found), 0);
		assert_string_equal(found.name, names[i]);
		assert_int_equal(reg_find(f->reg, span_of(names[i], strlen(names[i]) - 1), &found),
				 ERR_NOT_FOUND);
	}
	assert_int_equal(reg_find(f->reg, span_of("a b\0c", 5), &found), ERR_NOT_FOUND);
	assert_int_equal(reg_find(f->reg, span_of(NULL, 0), &found), ERR_NOT_FOUND);
}

static void
enrolment_keeps_every_field(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_device d = device("board", KEY_A), found;
	bool renewed = true;

	snprintf(d.group, sizeof d.group, "sensors");
	d.enrolled_at = 500;
	assert_int_equal(reg_enrol(f->reg, &d, false, &renewed), 0);
	assert_false(renewed);
	assert_int_equal(reg_find(f->reg, span_str("board"), &found), 0);
	d.state = REG_ENROLLED;
	assert_memory_equal(&found, &d, sizeof d);
	assert_int_equal(reg_find_fingerprint(f->reg, KEY_A, &found), 0);
	assert_string_equal(found.name, "board");
	assert_int_equal(reg_find_fingerprint(f->reg, KEY_B, &found), ERR_NOT_FOUND);
	assert_int_equal(reg_find_fingerprint(f->reg, "", &found), ERR_NOT_FOUND);
}

static void
same_key_renews_another_needs_replace(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_device d = device("board", KEY_A), found;
	bool renewed = false;

	snprintf(d.group, sizeof d.group, "sensors");
	d.enrolled_at = 500;
	assert_int_equal(reg_enrol(f->reg, &d, false, &renewed), 0);
	assert_int_equal(reg_revoke(f->reg, span_str("board"), "unspecified"), 0);
	d.group[0] = '\0';
	d.not_after = 3000;
	d.enrolled_at = 900;
	d.certificate_hash[0] = 'c';
	assert_int_equal(reg_enrol(f->reg, &d, false, &renewed), 0);
	assert_true(renewed);
	assert_int_equal(reg_find(f->reg, span_str("board"), &found), 0);
	assert_int_equal(found.state, REG_ENROLLED);
	assert_int_equal(found.not_after, 3000);
	assert_int_equal(found.enrolled_at, 500);
	assert_string_equal(found.group, "sensors");

	snprintf(d.fingerprint, sizeof d.fingerprint, KEY_B);
	renewed = false;
	assert_int_equal(reg_enrol(f->reg, &d, false, &renewed), ERR_EXISTS);
	assert_int_equal(reg_find(f->reg, span_str("board"), &found), 0);
	assert_string_equal(found.fingerprint, KEY_A);
	assert_int_equal(reg_enrol(f->reg, &d, true, &renewed), 0);
	assert_true(renewed);
	assert_int_equal(reg_find(f->reg, span_str("board"), &found), 0);
	assert_string_equal(found.fingerprint, KEY_B);
	assert_int_equal(found.enrolled_at, 900);
	assert_int_equal(reg_find_fingerprint(f->reg, KEY_A, &found), ERR_NOT_FOUND);
	d.name[0] = '\0';
	assert_int_equal(reg_enrol(f->reg, &d, true, &renewed), ERR_UNSAFE);
}

static int
count_certificate(void *owner, const struct reg_certificate *c)
{
	assert_string_equal(c->device, "board");
	assert_int_equal(c->revoked_at, 0);
	assert_int_equal(strlen(c->hash), 37);
	++*(int *)owner;
	return 0;
}

static void
certificates_outlive_the_device(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_device d = device("board", KEY_A);
	bool renewed;
	int n = 0;

	enrol(f->reg, "board", KEY_A);
	d.certificate_hash[0] = 'c';
	assert_int_equal(reg_enrol(f->reg, &d, false, &renewed), 0);
	assert_int_equal(reg_enrol(f->reg, &d, false, &renewed), 0); /* imported twice: once */
	assert_int_equal(reg_remove(f->reg, span_str("board")), 0);
	assert_int_equal(reg_certificate_each(f->reg, span_str("board"), count_certificate, &n), 0);
	assert_int_equal(reg_certificate_each(f->reg, span_str(""), count_certificate, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(reg_certificate_each(f->reg, span_str("other"), count_certificate, &n), 0);
	assert_int_equal(n, 4);
}

static void
changes_need_a_known_device(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_device found;
	char longer[REG_NAME_MAX + 2];

	memset(longer, 'g', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	enrol(f->reg, "x", KEY_A);
	assert_int_equal(reg_revoke(f->reg, span_str("y"), "unspecified"), ERR_NOT_FOUND);
	assert_int_equal(reg_set_group(f->reg, span_str("y"), "g"), ERR_NOT_FOUND);
	assert_int_equal(reg_remove(f->reg, span_str("y")), ERR_NOT_FOUND);
	assert_int_equal(reg_set_group(f->reg, span_str("x"), longer), ERR_LIMIT);
	assert_int_equal(reg_set_group(f->reg, span_str("x"), "g"), 0);
	assert_int_equal(reg_revoke(f->reg, span_str("x"), "unspecified"), 0);
	assert_int_equal(reg_find(f->reg, span_str("x"), &found), 0);
	assert_int_equal(found.state, REG_REVOKED);
	assert_string_equal(found.group, "g");
	assert_int_equal(reg_remove(f->reg, span_str("x")), 0);
	assert_int_equal(reg_find(f->reg, span_str("x"), &found), ERR_NOT_FOUND);
}

struct walk {
	struct reg *reg;
	char last[REG_NAME_MAX + 1];
	int count, stop_at;
};

static int
walk_one(void *owner, const struct reg_device *d)
{
	struct walk *w = owner;

	assert_true(strcmp(d->name, w->last) > 0);
	snprintf(w->last, sizeof w->last, "%s", d->name);
	/* The handle may be used, even to write. */
	if (w->count == 0) {
		assert_int_equal(reg_set_group(w->reg, span_str(d->name), "first"), 0);
	}
	return ++w->count == w->stop_at ? 42 : 0;
}

static void
each_is_in_order_and_stops(void **state)
{
	struct reg_fixture *f = *state;
	struct walk w = { .reg = f->reg };
	char name[16];

	assert_int_equal(reg_each(f->reg, walk_one, &w), 0);
	assert_int_equal(w.count, 0);
	assert_int_equal(reg_begin(f->reg), 0);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "d%03d", (i * 37) % 200);
		enrol(f->reg, name, KEY_A);
	}
	assert_int_equal(reg_commit(f->reg), 0);
	assert_int_equal(reg_each(f->reg, walk_one, &w), 0);
	assert_int_equal(w.count, 200);
	w = (struct walk){ .reg = f->reg, .stop_at = 70 };
	assert_int_equal(reg_each(f->reg, walk_one, &w), 42);
	assert_int_equal(w.count, 70);
}

/* ---- labels -------------------------------------------------------------------------- */

static int
join_label(void *owner, struct span label, struct span value)
{
	char *text = owner;
	size_t n = strlen(text);

	snprintf(text + n, 256 - n, "%.*s=%.*s ", SPAN_ARG(label), SPAN_ARG(value));
	return 0;
}

static void
assert_labels(struct reg *reg, const char *name, const char *expected)
{
	char text[256] = "";

	assert_int_equal(reg_label_each(reg, span_str(name), join_label, text), 0);
	assert_string_equal(text, expected);
}

static void
labels_are_set_changed_removed(void **state)
{
	struct reg_fixture *f = *state;

	enrol(f->reg, "x", KEY_A);
	enrol(f->reg, "y", KEY_B);
	assert_int_equal(reg_set_label(f->reg, span_str("x"), "room", "kitchen"), 0);
	assert_int_equal(reg_set_label(f->reg, span_str("x"), "floor", "1"), 0);
	assert_int_equal(reg_set_label(f->reg, span_str("y"), "room", "hall"), 0);
	assert_labels(f->reg, "x", "floor=1 room=kitchen ");
	assert_int_equal(reg_set_label(f->reg, span_str("x"), "room", "bath"), 0);
	assert_int_equal(reg_set_label(f->reg, span_str("x"), "floor", ""), 0);
	assert_int_equal(reg_set_label(f->reg, span_str("x"), "none", ""), 0);
	assert_labels(f->reg, "x", "room=bath ");
	assert_labels(f->reg, "y", "room=hall ");
	assert_int_equal(reg_set_label(f->reg, span_str("z"), "room", "hall"), ERR_NOT_FOUND);
	assert_int_equal(reg_set_label(f->reg, span_str("z"), "room", ""), ERR_NOT_FOUND);
	assert_int_equal(reg_set_label(f->reg, span_str("x"), "", "hall"), ERR_LIMIT);
	assert_int_equal(reg_remove(f->reg, span_str("x")), 0);
	enrol(f->reg, "x", KEY_A);
	assert_labels(f->reg, "x", ""); /* gone with the device */
}

/* ---- sightings ------------------------------------------------------------------------- */

static struct reg_sighting
sighting(const char *name, int64_t at, const char *failure)
{
	struct reg_sighting s = { .at = at };

	snprintf(s.name, sizeof s.name, "%s", name);
	snprintf(s.address, sizeof s.address, "192.0.2.%d", (int)at);
	snprintf(s.failure, sizeof s.failure, "%s", failure);
	return s;
}

static void
sightings_are_noted(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_sighting list[] = { sighting("x", 10, ""),
				       sighting("x", 20, "It is revoked."),
				       sighting("new", 30, "It is not in the register."),
				       sighting("guest", 40, ""),
				       sighting("", 50, "nobody"),
				       sighting("x", 5, "") };
	struct reg_device found;
	uint64_t before;

	enrol(f->reg, "x", KEY_A);
	before = reg_generation(f->reg);
	assert_int_equal(reg_note_sightings(f->reg, list, 0), 0);
	assert_int_equal(reg_note_sightings(f->reg, list, 6), 0);
	assert_true(reg_generation(f->reg) == before);
	assert_int_equal(reg_find(f->reg, span_str("x"), &found), 0);
	assert_int_equal(found.first_seen, 10);
	assert_int_equal(found.last_seen, 10); /* never back */
	assert_int_equal(found.last_failure_at, 20);
	assert_string_equal(found.last_failure, "It is revoked.");
	assert_string_equal(found.last_address, "192.0.2.5");
	assert_int_equal(found.state, REG_ENROLLED);
	/* Who is not known is a stranger, and has a list of its own. */
	assert_int_equal(reg_find(f->reg, span_str("new"), &found), ERR_NOT_FOUND);
	assert_int_equal(reg_find(f->reg, span_str("guest"), &found), ERR_NOT_FOUND);
}

/* ---- generation ------------------------------------------------------------------------- */

static void
other_handles_see_the_generation_change(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_sighting s = sighting("x", 10, "");
	struct reg_subscription sub = { .filter = span_str("a") };
	struct reg *other;
	uint64_t last, now;

	assert_int_equal(reg_open(f->file, REG_READ, &other, why), 0);
	last = reg_generation(other);
	assert_true(reg_generation(other) == last);
#define CHANGES(call)                                                                              \
	do {                                                                                       \
		assert_int_equal(call, 0);                                                         \
		now = reg_generation(other);                                                       \
		assert_true(now > last);                                                           \
		assert_true(reg_generation(f->reg) == now);                                        \
		last = now;                                                                        \
	} while (0)
#define KEEPS(call)                                                                                \
	do {                                                                                       \
		assert_int_equal(call, 0);                                                         \
		assert_true(reg_generation(other) == last);                                        \
	} while (0)
	enrol(f->reg, "x", KEY_A);
	CHANGES(0);
	CHANGES(reg_revoke(f->reg, span_str("x"), "unspecified"));
	CHANGES(reg_set_group(f->reg, span_str("x"), "g"));
	CHANGES(reg_set_label(f->reg, span_str("x"), "a", "b"));
	CHANGES(reg_set_label(f->reg, span_str("x"), "a", "c"));
	KEEPS(reg_note_sightings(f->reg, &s, 1));
	KEEPS(reg_subscription_put(f->reg, span_str("dev"), span_str("c"), &sub));
	CHANGES(reg_set_label(f->reg, span_str("x"), "a", ""));
	CHANGES(reg_remove(f->reg, span_str("x")));
	reg_close(other);
}

/* ---- subscriptions ------------------------------------------------------------------------ */

static int
join_subscription(void *owner, const struct reg_subscription *s)
{
	char *text = owner;
	size_t n = strlen(text);

	snprintf(text + n, 256 - n, "%.*s/%u/%u ", SPAN_ARG(s->filter), s->options, s->id);
	return 0;
}

static void
assert_subscriptions(struct reg *reg, const char *client, const char *expected)
{
	char text[256] = "";

	assert_int_equal(reg_subscription_each(reg, span_str(client), join_subscription, text), 0);
	assert_string_equal(text, expected);
}

static void
subscriptions_are_kept_per_client(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_subscription a = { span_str("a+"), 2, 0 },
				b = { span_str("b#"), 0x2e, 268435455 };

	assert_int_equal(reg_subscription_put(f->reg, span_str("dev"), span_str("c"), &b), 0);
	assert_int_equal(reg_subscription_put(f->reg, span_str("dev"), span_str("c"), &a), 0);
	assert_int_equal(reg_subscription_put(f->reg, span_str("dev"), span_str("d"), &a), 0);
	assert_subscriptions(f->reg, "c", "a+/2/0 b#/46/268435455 ");
	a.options = 1;
	a.id = 7;
	assert_int_equal(reg_subscription_put(f->reg, span_str("dev"), span_str("c"), &a), 0);
	assert_subscriptions(f->reg, "c", "a+/1/7 b#/46/268435455 ");
	assert_int_equal(reg_subscription_remove(f->reg, span_str("c"), span_str("b#")), 0);
	assert_int_equal(reg_subscription_remove(f->reg, span_str("c"), span_str("b#")), 0);
	assert_subscriptions(f->reg, "c", "a+/1/7 ");
	assert_int_equal(reg_subscription_clear(f->reg, span_str("c")), 0);
	assert_subscriptions(f->reg, "c", "");
	assert_subscriptions(f->reg, "d", "a+/2/0 ");
}

static void
subscription_may_be_as_long_as_mqtt_allows(void **state)
{
	struct reg_fixture *f = *state;
	uint8_t *filter = malloc(65536);
	struct reg_subscription s = { span_of(filter, 65535), 0, 0 };

	memset(filter, 'f', 65536);
	assert_int_equal(reg_subscription_put(f->reg, span_str("dev"), span_str("c"), &s), 0);
	assert_int_equal(reg_subscription_remove(f->reg, span_str("c"), s.filter), 0);
	assert_subscriptions(f->reg, "c", "");
	s.filter.len++;
	assert_int_equal(reg_subscription_put(f->reg, span_str("dev"), span_str("c"), &s), ERR_LIMIT);
	free(filter);
}

static void
put_as(struct reg *reg, const char *owner, int client, int64_t now)
{
	struct reg_subscription a = { span_str("a"), 1, 0 }, b = { span_str("b"), 1, 0 };
	char text[16];

	clock_fake(1, now);
	snprintf(text, sizeof text, "%d", client);
	assert_int_equal(reg_subscription_put(reg, span_str(owner), span_str(text), &a), 0);
	assert_int_equal(reg_subscription_put(reg, span_str(owner), span_str(text), &b), 0);
	clock_real();
}

/* One device must not fill the register with client identifiers of its own making. */
static void
client_ids_are_bounded_per_device(void **state)
{
	struct reg_fixture *f = *state;

	put_as(f->reg, "other", 1000, 1);
	for (int i = 0; i < REG_CLIENT_IDS_MAX; i++) {
		put_as(f->reg, "dev", i, 10000 + i);
	}
	assert_subscriptions(f->reg, "0", "a/1/0 b/1/0 ");
	clock_fake(1, 20000);
	reg_subscription_touch(f->reg, span_str("dev"), span_str("0"));
	reg_subscription_touch(f->reg, span_str("dev"), span_str("unheard of"));
	clock_real();
	for (int i = 0; i < 3; i++) { /* pushes out 1, 2 and 3, but not 0 */
		put_as(f->reg, "dev", 100 + i, 20001 + i);
	}
	assert_subscriptions(f->reg, "0", "a/1/0 b/1/0 ");
	assert_subscriptions(f->reg, "1", "");
	assert_subscriptions(f->reg, "3", "");
	assert_subscriptions(f->reg, "4", "a/1/0 b/1/0 ");
	assert_subscriptions(f->reg, "102", "a/1/0 b/1/0 ");
	assert_subscriptions(f->reg, "1000", "a/1/0 b/1/0 ");
	/* One that has nothing any more leaves its place to others. */
	assert_int_equal(reg_subscription_remove(f->reg, span_str("102"), span_str("a")), 0);
	assert_int_equal(reg_subscription_remove(f->reg, span_str("102"), span_str("b")), 0);
	put_as(f->reg, "dev", 200, 20010);
	assert_subscriptions(f->reg, "4", "a/1/0 b/1/0 ");
	/* What changes hands counts for its new owner. */
	put_as(f->reg, "dev", 1000, 20011);
	assert_subscriptions(f->reg, "4", "");
	assert_subscriptions(f->reg, "1000", "a/1/0 b/1/0 ");
}

static void
many_subscriptions_are_one_change(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_subscription a = { span_str("a"), 1, 0 }, b = { span_str("b"), 1, 0 };
	struct reg *other;

	assert_int_equal(open_as_anna(f->file, REG_READ, &other), 0);
	assert_int_equal(reg_subscription_begin(f->reg), 0);
	assert_int_equal(reg_subscription_begin(f->reg), ERR_PROTOCOL);
	assert_int_equal(reg_subscription_put(f->reg, span_str("dev"), span_str("c"), &a), 0);
	assert_int_equal(reg_subscription_put(f->reg, span_str("dev"), span_str("c"), &b), 0);
	assert_subscriptions(other, "c", "");
	assert_int_equal(reg_commit(f->reg), 0);
	assert_subscriptions(other, "c", "a/1/0 b/1/0 ");
	assert_int_equal(reg_subscription_begin(f->reg), 0);
	assert_int_equal(reg_subscription_remove(f->reg, span_str("c"), span_str("a")), 0);
	reg_rollback(f->reg);
	assert_subscriptions(f->reg, "c", "a/1/0 b/1/0 ");
	reg_close(other);
}

/* A long writer must not hold up a loop: see reg_patience(). */
static void
the_impatient_wait_once(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_subscription a = { span_str("a"), 1, 0 };
	uint64_t start = clock_ms();
	struct reg *other;

	assert_int_equal(open_as_anna(f->file, REG_WRITE, &other), 0);
	reg_patience(other, 10);
	assert_int_equal(reg_begin(f->reg), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(reg_subscription_put(other, span_str("dev"), span_str("c"), &a), ERR_DATABASE);
		assert_non_null(strstr(reg_error(other), "locked"));
	}
	assert_in_range(clock_ms() - start, 0, 900);
	assert_int_equal(reg_commit(f->reg), 0);
	assert_int_equal(reg_subscription_put(other, span_str("dev"), span_str("c"), &a), 0);
	reg_close(other);
}

/* ---- two handles at work --------------------------------------------------------------------- */

struct worker {
	const char *file;
	int number, failures, first_failure;
};

static void
note_result(struct worker *w, int rc)
{
	if (rc != 0) {
		w->failures++;
		w->first_failure = w->first_failure != 0 ? w->first_failure : rc;
	}
}

static void *
work(void *argument)
{
	struct worker *w = argument;
	struct reg_subscription sub = { .filter = span_str("a") };
	struct reg_device d, found;
	struct reg_sighting s;
	struct reg *reg;
	char name[32];
	bool renewed;

	/* Opened in the thread: both meet a file without tables. */
	if (open_as_anna(w->file, REG_CREATE, &reg) != 0) {
		note_result(w, ERR_DATABASE);
		return NULL;
	}
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "w%d-%d", w->number, i);
		d = device(name, KEY_A);
		s = sighting(name, i + 1, "");
		note_result(w, reg_enrol(reg, &d, false, &renewed));
		note_result(w, reg_find(reg, span_str(name), &found));
		note_result(w, reg_note_sightings(reg, &s, 1));
		note_result(w, reg_subscription_put(reg, span_str("dev"), span_str(name), &sub));
		note_result(w, reg_revoke(reg, span_str(name), "unspecified"));
		(void)reg_generation(reg);
	}
	reg_close(reg);
	return NULL;
}

static void
handles_in_threads_do_not_fail_each_other(void **state)
{
	struct reg_fixture *f = *state;
	struct worker workers[3];
	pthread_t threads[3];
	struct walk w = { .reg = NULL };

	reg_close(f->reg);
	f->reg = NULL;
	unlink(f->file);
	for (int i = 0; i < 3; i++) {
		workers[i] = (struct worker){ .file = f->file, .number = i };
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(workers[i].first_failure, 0);
		assert_int_equal(workers[i].failures, 0);
	}
	assert_int_equal(open_as_anna(f->file, REG_WRITE, &f->reg), 0);
	w.reg = f->reg;
	assert_int_equal(reg_each(f->reg, walk_one, &w), 0);
	assert_int_equal(w.count, 120);
}

#define WITH_FIXTURE(name) cmocka_unit_test_setup_teardown(name, reg_fixture_set_up, reg_fixture_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(file_is_made_0660_whatever_the_umask),
		cmocka_unit_test(missing_file_is_a_sentence),
		WITH_FIXTURE(foreign_files_are_refused),
		WITH_FIXTURE(damage_within_is_a_sentence),
		WITH_FIXTURE(empty_file_is_migrated),
		WITH_FIXTURE(newer_layout_is_refused),
		WITH_FIXTURE(reader_cannot_write),
		cmocka_unit_test(states_have_names),
		WITH_FIXTURE(names_are_data),
		WITH_FIXTURE(enrolment_keeps_every_field),
		WITH_FIXTURE(same_key_renews_another_needs_replace),
		WITH_FIXTURE(certificates_outlive_the_device),
		WITH_FIXTURE(changes_need_a_known_device),
		WITH_FIXTURE(each_is_in_order_and_stops),
		WITH_FIXTURE(labels_are_set_changed_removed),
		WITH_FIXTURE(sightings_are_noted),
		WITH_FIXTURE(other_handles_see_the_generation_change),
		WITH_FIXTURE(subscriptions_are_kept_per_client),
		WITH_FIXTURE(subscription_may_be_as_long_as_mqtt_allows),
		WITH_FIXTURE(client_ids_are_bounded_per_device),
		WITH_FIXTURE(many_subscriptions_are_one_change),
		WITH_FIXTURE(the_impatient_wait_once),
		WITH_FIXTURE(handles_in_threads_do_not_fail_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
