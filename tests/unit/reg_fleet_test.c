/* SPDX-License-Identifier: BSD-2-Clause */
/* Strangers, revocation, the audit trail, and many changes at once. */
#include "unit/reg_help.h"

#include <sqlite3.h>

static int
enrol(struct reg *reg, const char *name, const char *key, const char *hash, bool replace)
{
	struct reg_device d = { .not_before = 1000, .not_after = 2000, .serial = "0A" };
	bool renewed;

	snprintf(d.name, sizeof d.name, "%s", name);
	snprintf(d.fingerprint, sizeof d.fingerprint, "%s", key);
	snprintf(d.certificate_hash, sizeof d.certificate_hash, "%s", hash);
	return reg_enrol(reg, &d, replace, &renewed);
}

static struct reg_device
found(struct reg *reg, const char *name)
{
	struct reg_device d = { .name = "" };

	assert_int_equal(reg_find(reg, span_str(name), &d), 0);
	return d;
}

/* ---- the audit trail ------------------------------------------------------------------- */

static int
join_audit(void *owner, const struct reg_audit *e)
{
	char *text = owner;
	size_t n = strlen(text);

	assert_true(e->id > 0 && e->at > 0);
	snprintf(text + n, 4096 - n, "%u %s %s [%s] %s\n", e->uid, e->user, e->action, e->device,
	         e->detail);
	return 0;
}

static void
assert_audit(struct reg *reg, const char *device, const char *expected)
{
	char text[4096] = "";

	assert_int_equal(reg_audit_each(reg, device, 0, join_audit, text), 0);
	assert_string_equal(text, expected);
}

static void
nothing_changes_without_an_actor(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_sighting seen = { .name = "x", .at = 5 };
	struct reg_subscription sub = { .filter = span_str("a") };
	struct reg_device out;
	char why[REG_WHY_SIZE];
	struct reg *reg;

	assert_int_equal(enrol(f->reg, "x", KEY_A, "h", false), 0);
	assert_int_equal(reg_open(f->file, REG_WRITE, &reg, why), 0);
	assert_int_equal(enrol(reg, "y", KEY_B, "i", false), ERR_DENIED);
	assert_non_null(strstr(reg_error(reg), "answers"));
	assert_int_equal(reg_revoke(reg, span_str("x"), "unspecified"), ERR_DENIED);
	assert_int_equal(reg_reinstate(reg, span_str("x")), ERR_DENIED);
	assert_int_equal(reg_revoke(reg, span_str("x"), "unspecified"), ERR_DENIED);
	assert_int_equal(reg_set_group(reg, span_str("x"), "g"), ERR_DENIED);
	assert_int_equal(reg_set_label(reg, span_str("x"), "a", "b"), ERR_DENIED);
	assert_int_equal(reg_remove(reg, span_str("x")), ERR_DENIED);
	assert_int_equal(reg_approve(reg, KEY_A, NULL, &out), ERR_DENIED);
	assert_int_equal(reg_audit_note(reg, "reload", NULL, ""), ERR_DENIED);
	assert_int_equal(reg_note_sightings(reg, &seen, 1), 0);
	assert_int_equal(reg_subscription_put(reg, span_str("dev"), span_str("c"), &sub), 0);
	reg_close(reg);
}

static void
every_change_leaves_a_word(void **state)
{
	struct reg_fixture *f = *state;

	assert_int_equal(enrol(f->reg, "x", KEY_A, "h1", false), 0);
	assert_int_equal(enrol(f->reg, "x", KEY_A, "h2", false), 0);
	assert_int_equal(reg_set_group(f->reg, span_str("x"), "g"), 0);
	assert_int_equal(reg_set_label(f->reg, span_str("x"), "room", "hall"), 0);
	assert_int_equal(reg_actor(f->reg, 0, NULL), 0);
	assert_int_equal(reg_set_label(f->reg, span_str("x"), "room", ""), 0);
	assert_int_equal(reg_revoke(f->reg, span_str("x"), "keyCompromise"), 0);
	assert_int_equal(reg_reinstate(f->reg, span_str("x")), 0);
	assert_int_equal(enrol(f->reg, "x", KEY_B, "h3", true), 0);
	assert_int_equal(reg_remove(f->reg, span_str("x")), 0);
	assert_int_equal(reg_audit_note(f->reg, "reload", NULL, "gateway.conf"), 0);
	/* What fails leaves none. */
	assert_int_equal(reg_remove(f->reg, span_str("x")), ERR_NOT_FOUND);
	assert_int_equal(reg_revoke(f->reg, span_str("x"), "keyCompromise"), ERR_NOT_FOUND);
	assert_audit(f->reg, "x",
	             "0 0 remove [x] \n"
	             "0 0 replace [x] key bbbbbbbbbbbbbbbb, certificate 0A\n"
	             "0 0 reinstate [x] \n"
	             "0 0 revoke [x] keyCompromise\n"
	             "0 0 label [x] room removed\n"
	             "1000 anna label [x] room=hall\n"
	             "1000 anna group [x] g\n"
	             "1000 anna renew [x] key aaaaaaaaaaaaaaaa, certificate 0A\n"
	             "1000 anna enroll [x] key aaaaaaaaaaaaaaaa, certificate 0A\n");
	assert_audit(f->reg, "y", "");
}

static int
count_audit(void *owner, const struct reg_audit *e)
{
	(void)e;
	return ++*(int *)owner == 100 ? 7 : 0;
}

static void
long_audits_come_in_pages(void **state)
{
	struct reg_fixture *f = *state;
	int n = 0;

	assert_int_equal(reg_begin(f->reg), 0);
	for (int i = 0; i < 150; i++) {
		assert_int_equal(reg_audit_note(f->reg, "reload", NULL, "again"), 0);
	}
	assert_int_equal(reg_commit(f->reg), 0);
	assert_int_equal(reg_audit_each(f->reg, NULL, 0, count_audit, &n), 7);
	n = 100;
	assert_int_equal(reg_audit_each(f->reg, NULL, 0, count_audit, &n), 0);
	assert_int_equal(n, 250);
	n = 0;
	assert_int_equal(reg_audit_each(f->reg, NULL, INT64_MAX, count_audit, &n), 0);
	assert_int_equal(n, 0);
}

/* ---- revocation ------------------------------------------------------------------------ */

static int
join_certificate(void *owner, const struct reg_certificate *c)
{
	char *text = owner;
	size_t n = strlen(text);

	assert_true((c->revoked_at > 0) == (c->revoked_reason[0] != '\0'));
	snprintf(text + n, 256 - n, "%s=%s ", c->hash, c->revoked_reason);
	return 0;
}

static void
assert_certificates(struct reg *reg, const char *expected)
{
	char text[256] = "";

	assert_int_equal(reg_certificate_each(reg, span_str(""), join_certificate, text), 0);
	assert_string_equal(text, expected);
}

static void
revocation_reaches_the_certificates(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_device d;

	assert_int_equal(enrol(f->reg, "x", KEY_A, "h1", false), 0);
	assert_int_equal(enrol(f->reg, "x", KEY_B, "h2", true), 0);
	assert_int_equal(enrol(f->reg, "y", KEY_A, "h3", false), 0);
	assert_certificates(f->reg, "h1=superseded h2= h3= ");
	assert_int_equal(reg_revoke(f->reg, span_str("x"), "because"), ERR_MALFORMED);
	assert_int_equal(reg_revoke(f->reg, span_str("x"), "removeFromCRL"), ERR_MALFORMED);
	assert_int_equal(reg_revoke(f->reg, span_str("x"), "cessationOfOperation"), 0);
	assert_certificates(f->reg, "h1=superseded h2=cessationOfOperation h3= ");
	d = found(f->reg, "x");
	assert_int_equal(d.state, REG_REVOKED);
	assert_string_equal(d.revoked_reason, "cessationOfOperation");
	assert_true(d.revoked_at > 0);
	assert_int_equal(reg_reinstate(f->reg, span_str("x")), 0);
	assert_certificates(f->reg, "h1=superseded h2= h3= ");
	d = found(f->reg, "x");
	assert_int_equal(d.state, REG_ENROLLED);
	assert_string_equal(d.revoked_reason, "");
	assert_int_equal(d.revoked_at, 0);
	assert_int_equal(reg_revoke(f->reg, span_str("x"), "unspecified"), 0);
	assert_string_equal(found(f->reg, "x").revoked_reason, "unspecified");
	/* A new certificate for the same key ends it too. */
	assert_int_equal(enrol(f->reg, "x", KEY_B, "h4", false), 0);
	assert_string_equal(found(f->reg, "x").revoked_reason, "");
	assert_certificates(f->reg, "h1=superseded h2=unspecified h3= h4= ");
}

static int
join_key(void *owner, const char *fingerprint)
{
	char *text = owner;
	size_t n = strlen(text);

	snprintf(text + n, 64 - n, "%.2s ", fingerprint);
	return 0;
}

static void
assert_revoked_since(struct reg *reg, uint64_t generation, const char *expected)
{
	char text[64] = "";

	assert_int_equal(reg_revoked_since(reg, generation, join_key, text), 0);
	assert_string_equal(text, expected);
}

static void
new_revocations_are_found_by_generation(void **state)
{
	struct reg_fixture *f = *state;
	uint64_t before, between;

	assert_int_equal(enrol(f->reg, "x", KEY_A, "h1", false), 0);
	assert_int_equal(enrol(f->reg, "x", KEY_B, "h2", true), 0);
	assert_int_equal(enrol(f->reg, "y", KEY_A, "", false), 0);
	before = reg_generation(f->reg);
	assert_revoked_since(f->reg, before, "");
	assert_int_equal(reg_revoke(f->reg, span_str("y"), "unspecified"), 0);
	between = reg_generation(f->reg);
	assert_true(between > before);
	assert_revoked_since(f->reg, before, "aa ");
	assert_revoked_since(f->reg, between, "");
	/* The key it had before, too; and when it comes back soon after. */
	assert_int_equal(reg_revoke(f->reg, span_str("x"), "unspecified"), 0);
	assert_int_equal(reg_reinstate(f->reg, span_str("x")), 0);
	assert_revoked_since(f->reg, between, "aa bb ");
	assert_revoked_since(f->reg, reg_generation(f->reg), "");
}

static int
join_expiring(void *owner, const char *name, int64_t not_after)
{
	char *text = owner;
	size_t n = strlen(text);

	snprintf(text + n, 64 - n, "%s=%d ", name, (int)not_after);
	return n > 8 ? 9 : 0;
}

static void
expiring_are_listed_first_to_end_first(void **state)
{
	static const struct {
		const char *name;
		int64_t not_after;
	} devices[] = { { "d", 400 }, { "a", 300 }, { "b", 200 }, { "c", 100 }, { "e", 0 } };
	struct reg_fixture *f = *state;
	char text[64] = "";

	for (size_t i = 0; i < 5; i++) {
		struct reg_device d = { .not_after = devices[i].not_after };
		bool renewed;

		snprintf(d.name, sizeof d.name, "%s", devices[i].name);
		assert_int_equal(reg_enrol(f->reg, &d, false, &renewed), 0);
	}
	assert_int_equal(reg_expiring_each(f->reg, 200, 400, join_expiring, text), 0);
	assert_string_equal(text, "b=200 a=300 ");
	assert_int_equal(reg_expiring_each(f->reg, 0, 1000, join_expiring, text), 9);
	text[0] = '\0';
	assert_int_equal(reg_revoke(f->reg, span_str("b"), "unspecified"), 0);
	assert_int_equal(reg_expiring_each(f->reg, 0, 400, join_expiring, text), 0);
	assert_string_equal(text, "c=100 a=300 ");
}

/* ---- strangers ------------------------------------------------------------------------- */

static struct reg_stranger
stranger(unsigned number, const char *name, bool self_signed, int64_t at)
{
	struct reg_stranger s = { .self_signed = self_signed, .last_at = at, .not_after = 9 };

	snprintf(s.fingerprint, sizeof s.fingerprint, "%08x%056x", number, number);
	snprintf(s.name, sizeof s.name, "%s", name);
	snprintf(s.subject, sizeof s.subject, "CN=%s", name);
	snprintf(s.issuer, sizeof s.issuer, "CN=%s", self_signed ? name : "CA");
	snprintf(s.address, sizeof s.address, "192.0.2.%u", number % 250);
	return s;
}

struct seen {
	unsigned count, self_signed;
	struct reg_stranger first;
	int64_t last_at;
};

static int
see_stranger(void *owner, const struct reg_stranger *s)
{
	struct seen *seen = owner;

	if (seen->count == 0) {
		seen->first = *s;
	} else {
		assert_true(s->last_at <= seen->last_at);
	}
	seen->last_at = s->last_at;
	seen->count++;
	seen->self_signed += s->self_signed;
	return 0;
}

static struct seen
look(struct reg *reg)
{
	struct seen seen = { .count = 0 };

	assert_int_equal(reg_stranger_each(reg, see_stranger, &seen), 0);
	assert_int_equal(reg_stranger_count(reg), seen.count);
	return seen;
}

static void
strangers_are_noted(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_stranger list[] = { stranger(1, "a", false, 100), stranger(2, "b", true, 200),
		                       stranger(1, "a2", true, 300), stranger(3, "c", true, 50) };
	uint64_t before = reg_generation(f->reg);
	struct seen seen;

	list[2].count = 5;
	list[3].fingerprint[10] = '\0'; /* of no key */
	assert_int_equal(reg_note_strangers(f->reg, list, 0), 0);
	assert_int_equal(reg_note_strangers(f->reg, list, 4), 0);
	assert_true(reg_generation(f->reg) == before);
	seen = look(f->reg);
	assert_int_equal(seen.count, 2);
	/* What a key says of itself changes nothing of what a CA says. */
	assert_string_equal(seen.first.name, "a");
	assert_string_equal(seen.first.subject, "CN=a");
	assert_string_equal(seen.first.address, "192.0.2.1");
	assert_false(seen.first.self_signed);
	assert_int_equal(seen.first.first_at, 100);
	assert_int_equal(seen.first.last_at, 300);
	assert_int_equal(seen.first.count, 6);
	assert_int_equal(seen.first.not_after, 9);
}

static void
a_ca_says_more_than_the_key_itself(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_stranger own = stranger(1, "boiler", true, 100),
	                    issued = stranger(1, "pump", false, 200);
	struct reg_device device;
	struct seen seen;

	assert_int_equal(reg_note_strangers(f->reg, &own, 1), 0);
	assert_int_equal(reg_note_strangers(f->reg, &issued, 1), 0);
	own.last_at = 300;
	assert_int_equal(reg_note_strangers(f->reg, &own, 1), 0);
	seen = look(f->reg);
	assert_int_equal(seen.count, 1);
	assert_false(seen.first.self_signed);
	assert_string_equal(seen.first.name, "pump");
	assert_int_equal(seen.first.last_at, 300);
	/* A device that came by its certificate can be locked out by its name. */
	assert_int_equal(reg_revoke(f->reg, span_str("boiler"), "unspecified"), ERR_NOT_FOUND);
	assert_int_equal(reg_revoke(f->reg, span_str("pump"), "unspecified"), 0);
	assert_int_equal(reg_find_fingerprint(f->reg, own.fingerprint, &device), 0);
	assert_string_equal(device.name, "pump");
	assert_int_equal(device.state, REG_REVOKED);
}

static void
strangers_are_bounded_per_kind(void **state)
{
	struct reg_fixture *f = *state;
	unsigned count = REG_STRANGERS_MAX * 3;
	struct reg_stranger *list = calloc(count, sizeof *list), one;
	struct seen seen;

	one = stranger(1000000, "good", false, 10);
	assert_int_equal(reg_note_strangers(f->reg, &one, 1), 0);
	for (unsigned i = 0; i < count; i++) {
		list[i] = stranger(i, "bad", true, 1000 + i);
	}
	assert_int_equal(reg_note_strangers(f->reg, list, count), 0);
	free(list);
	seen = look(f->reg);
	assert_int_equal(seen.self_signed, REG_STRANGERS_MAX);
	assert_int_equal(seen.count, REG_STRANGERS_MAX + 1);
	/* Within an hour nobody is pushed out, then the oldest is. */
	one = stranger(2000000, "late", true, 1000 + 3600);
	assert_int_equal(reg_note_strangers(f->reg, &one, 1), 0);
	assert_int_equal(look(f->reg).first.last_at, 1000 + REG_STRANGERS_MAX - 1);
	one.last_at++;
	assert_int_equal(reg_note_strangers(f->reg, &one, 1), 0);
	seen = look(f->reg);
	assert_string_equal(seen.first.name, "late");
	assert_int_equal(seen.self_signed, REG_STRANGERS_MAX);
	/* One that is known is noted again in a full list. */
	one = stranger(7, "bad", true, 9000);
	assert_int_equal(reg_note_strangers(f->reg, &one, 1), 0);
	assert_int_equal(look(f->reg).first.last_at, 9000);
}

static void
approval_makes_a_device(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_stranger list[] = {
		stranger(0xabc, "a", false, 100), stranger(0xabcd, "b", true, 200),
		stranger(3, "", true, 50),
	};
	struct reg_device d;
	uint64_t before;

	/* Two that begin the same. */
	memcpy(list[1].fingerprint, list[0].fingerprint, 10);
	assert_int_equal(reg_note_strangers(f->reg, list, 3), 0);
	before = reg_generation(f->reg);
	assert_int_equal(reg_approve(f->reg, "00000abc", NULL, &d), ERR_AMBIGUOUS);
	assert_int_equal(reg_approve(f->reg, "00000ab", NULL, &d), ERR_NOT_FOUND); /* too short */
	assert_int_equal(reg_approve(f->reg, "ffffffff", NULL, &d), ERR_NOT_FOUND);
	assert_int_equal(reg_approve(f->reg, "0000000%", NULL, &d), ERR_NOT_FOUND);
	assert_int_equal(reg_approve(f->reg, list[2].fingerprint, NULL, &d), ERR_UNSAFE);
	assert_true(reg_generation(f->reg) == before);
	list[1].fingerprint[63] = 'D';
	assert_int_equal(reg_approve(f->reg, list[1].fingerprint, "cellar", &d), 0);
	assert_true(reg_generation(f->reg) > before);
	assert_string_equal(d.name, "cellar");
	assert_int_equal(d.state, REG_ENROLLED);
	assert_true(d.approved);
	assert_int_equal(d.not_after, 9);
	assert_int_equal(reg_approve(f->reg, "00000abc", NULL, &d), 0);
	assert_string_equal(d.name, "a");
	assert_false(d.approved); /* it has a certificate of a CA */
	assert_int_equal(look(f->reg).count, 1);
	assert_audit(f->reg, "a",
	             "1000 anna approve [a] key 00000abc000000000000000000000000000000000000000000000"
	             "00000000abc, from 192.0.2.248\n");
}

static void
approval_takes_nothing_from_others(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_stranger s = stranger(1, "x", true, 100);
	struct reg_device d;

	assert_int_equal(enrol(f->reg, "x", KEY_A, "h", false), 0);
	assert_int_equal(reg_note_strangers(f->reg, &s, 1), 0);
	assert_int_equal(reg_approve(f->reg, s.fingerprint, NULL, &d), ERR_EXISTS);
	assert_string_equal(found(f->reg, "x").fingerprint, KEY_A);
	assert_int_equal(look(f->reg).count, 1);
	/* An enrolled key that comes with a certificate of its own making. */
	snprintf(s.fingerprint, sizeof s.fingerprint, "%s", KEY_A);
	snprintf(s.name, sizeof s.name, "other");
	assert_int_equal(reg_note_strangers(f->reg, &s, 1), 0);
	assert_int_equal(reg_approve(f->reg, KEY_A, "y", &d), ERR_EXISTS);
	assert_int_equal(reg_approve(f->reg, KEY_A, NULL, &d), 0);
	assert_string_equal(d.name, "x");
	assert_true(d.approved);
	assert_string_equal(d.certificate_hash, "h");
	/* Another key is another thing. */
	assert_int_equal(enrol(f->reg, "x", KEY_B, "h2", true), 0);
	assert_false(found(f->reg, "x").approved);
	/* Revoked stays revoked. */
	assert_int_equal(reg_revoke(f->reg, span_str("x"), "unspecified"), 0);
	snprintf(s.fingerprint, sizeof s.fingerprint, "%s", KEY_B);
	assert_int_equal(reg_note_strangers(f->reg, &s, 1), 0);
	assert_int_equal(reg_approve(f->reg, KEY_B, NULL, &d), ERR_EXISTS);
}

static void
strangers_of_a_ca_can_be_revoked(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_stranger list[] = { stranger(1, "x", false, 100), stranger(2, "y", true, 100) };
	struct reg_device d;

	assert_int_equal(reg_note_strangers(f->reg, list, 2), 0);
	assert_int_equal(reg_revoke(f->reg, span_str("x"), "keyCompromise"), 0);
	/* What a certificate of its own making says is nobody's name. */
	assert_int_equal(reg_revoke(f->reg, span_str("y"), "keyCompromise"), ERR_NOT_FOUND);
	d = found(f->reg, "x");
	assert_int_equal(d.state, REG_REVOKED);
	assert_string_equal(d.fingerprint, list[0].fingerprint);
	assert_string_equal(d.revoked_reason, "keyCompromise");
	assert_int_equal(look(f->reg).count, 1);
	assert_int_equal(reg_reinstate(f->reg, span_str("x")), 0);
	assert_true(found(f->reg, "x").enrolled_at > 0);
	/* Enrolled elsewhere: no stranger any more. */
	assert_int_equal(enrol(f->reg, "z", list[1].fingerprint, "h", false), 0);
	assert_int_equal(look(f->reg).count, 0);
}

/* ---- transactions ---------------------------------------------------------------------- */

static void
several_changes_are_one(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_device d;
	char why[REG_WHY_SIZE];
	struct reg *other;
	uint64_t before;

	assert_int_equal(reg_open(f->file, REG_READ, &other, why), 0);
	before = reg_generation(other);
	assert_int_equal(reg_begin(f->reg), 0);
	assert_int_equal(reg_begin(f->reg), ERR_PROTOCOL);
	assert_int_equal(enrol(f->reg, "x", KEY_A, "h", false), 0);
	/* A failure inside takes back only itself. */
	assert_int_equal(enrol(f->reg, "x", KEY_B, "i", false), ERR_EXISTS);
	assert_int_equal(reg_set_label(f->reg, span_str("nobody"), "a", "b"), ERR_NOT_FOUND);
	assert_int_equal(reg_set_group(f->reg, span_str("x"), "g"), 0);
	assert_int_equal(reg_find(other, span_str("x"), &d), ERR_NOT_FOUND);
	assert_true(reg_generation(other) == before);
	assert_int_equal(reg_commit(f->reg), 0);
	assert_int_equal(reg_commit(f->reg), ERR_PROTOCOL);
	assert_int_equal(reg_find(other, span_str("x"), &d), 0);
	assert_string_equal(d.group, "g");
	assert_true(reg_generation(other) > before);

	assert_int_equal(reg_begin(f->reg), 0);
	assert_int_equal(reg_remove(f->reg, span_str("x")), 0);
	reg_rollback(f->reg);
	reg_rollback(f->reg);
	assert_string_equal(found(f->reg, "x").group, "g");
	assert_audit(f->reg, "x",
	             "1000 anna group [x] g\n"
	             "1000 anna enroll [x] key aaaaaaaaaaaaaaaa, certificate 0A\n");
	/* Closing is no commit. */
	assert_int_equal(reg_begin(f->reg), 0);
	assert_int_equal(reg_remove(f->reg, span_str("x")), 0);
	reg_close(f->reg);
	f->reg = NULL;
	assert_int_equal(reg_find(other, span_str("x"), &d), 0);
	reg_close(other);
}

/* ---- older layouts ----------------------------------------------------------------------- */

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

/* Back to what layout 1 was, as far as step 2 looks at it. */
static const char layout_1[] =
        "DROP TRIGGER device_approved; DROP INDEX device_not_after; DROP INDEX device_revoked;"
        "DROP TABLE stranger; DROP TABLE audit; DROP TABLE subscriber;"
        "INSERT INTO subscription VALUES ('old', 'a', 1, 0);"
        "ALTER TABLE certificate DROP COLUMN revoked_at;"
        "ALTER TABLE certificate DROP COLUMN revoked_reason;"
        "ALTER TABLE device DROP COLUMN revoked_at;"
        "ALTER TABLE device DROP COLUMN revoked_reason;"
        "ALTER TABLE device DROP COLUMN revoked_generation;"
        "ALTER TABLE device DROP COLUMN approved;"
        "CREATE INDEX device_pending ON device (state) WHERE state = 'pending';"
        "INSERT INTO device (name, state) VALUES ('seen', 'pending');"
        "UPDATE device SET state = 'revoked' WHERE name = 'y';"
        "PRAGMA user_version = 1;";

static int
no_subscription(void *owner, const struct reg_subscription *s)
{
	(void)owner;
	fail_msg("%.*s is still there", SPAN_ARG(s->filter));
	return 1;
}

static void
layout_1_is_brought_up_to_date(void **state)
{
	struct reg_fixture *f = *state;
	struct reg_device d;
	char why[REG_WHY_SIZE];

	assert_int_equal(enrol(f->reg, "x", KEY_A, "h1", false), 0);
	assert_int_equal(enrol(f->reg, "y", KEY_B, "h2", false), 0);
	reg_close(f->reg);
	assert_int_equal(run_sql(f->file, layout_1), SQLITE_OK);
	assert_int_equal(reg_open(f->file, REG_WRITE, &f->reg, why), 0);
	assert_int_equal(reg_actor(f->reg, 1000, "anna"), 0);
	assert_int_equal(found(f->reg, "x").state, REG_ENROLLED);
	assert_int_equal(found(f->reg, "y").state, REG_REVOKED);
	assert_string_equal(found(f->reg, "y").revoked_reason, "unspecified");
	assert_int_equal(reg_find(f->reg, span_str("seen"), &d), ERR_NOT_FOUND);
	assert_certificates(f->reg, "h1= h2=unspecified ");
	assert_int_equal(reg_reinstate(f->reg, span_str("y")), 0);
	assert_int_equal(run_sql(f->file, "DELETE FROM subscriber WHERE client_id = 'old'"), SQLITE_OK);
	assert_int_equal(reg_subscription_each(f->reg, span_str("old"), no_subscription, NULL), 0);
}

#define WITH_FIXTURE(name) cmocka_unit_test_setup_teardown(name, reg_fixture_set_up, reg_fixture_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(nothing_changes_without_an_actor),
		WITH_FIXTURE(every_change_leaves_a_word),
		WITH_FIXTURE(long_audits_come_in_pages),
		WITH_FIXTURE(revocation_reaches_the_certificates),
		WITH_FIXTURE(new_revocations_are_found_by_generation),
		WITH_FIXTURE(expiring_are_listed_first_to_end_first),
		WITH_FIXTURE(strangers_are_noted),
		WITH_FIXTURE(a_ca_says_more_than_the_key_itself),
		WITH_FIXTURE(strangers_are_bounded_per_kind),
		WITH_FIXTURE(approval_makes_a_device),
		WITH_FIXTURE(approval_takes_nothing_from_others),
		WITH_FIXTURE(strangers_of_a_ca_can_be_revoked),
		WITH_FIXTURE(several_changes_are_one),
		WITH_FIXTURE(layout_1_is_brought_up_to_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
