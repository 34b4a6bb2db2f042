/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gatewayctl devices: the register joined with the live sessions. Each works
 * without the other, and says so.
 */
#include "run.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "device.h"
#include "print.h"

/* ---- what is known ------------------------------------------------------ */

static void
set_known(struct doc *doc, const struct reg_device *row)
{
	doc_set_text(doc, "identity", row->name);
	doc_set_text(doc, "register_state", reg_state_text(row->state));
	doc_set_text(doc, "group", row->group);
	doc_set_text(doc, "fingerprint", row->fingerprint);
	doc_set_text(doc, "serial", row->serial);
	doc_set_int(doc, "not_before", row->not_before);
	doc_set_int(doc, "not_after", row->not_after);
	doc_set_int(doc, "enrolled_at", row->enrolled_at);
	doc_set_int(doc, "first_seen", row->first_seen);
	doc_set_int(doc, "last_seen", row->last_seen);
	doc_set_text(doc, "last_address", row->last_address);
	doc_set_text(doc, "last_failure", row->last_failure);
	doc_set_int(doc, "last_failure_at", row->last_failure_at);
}

static struct doc *
copy_scalar(const struct doc *value)
{
	switch (doc_kind(value)) {
	case DOC_BOOL:
		return doc_bool(doc_text(value)[0] == 't');
	case DOC_INT:
		return doc_int(doc_number(value));
	default:
		return doc_string(span_str(doc_text(value)));
	}
}

/* All keys of a session but the identity, which its device has. */
static struct doc *
copy_session(const struct doc *session)
{
	struct doc *copy = doc_map();

	for (size_t i = 0; i < doc_count(session); i++) {
		const char *key = doc_key_at(session, i);
		enum doc_kind kind = doc_kind(doc_at(session, i));

		if (strcmp(key, "identity") != 0 && kind != DOC_MAP && kind != DOC_LIST) {
			doc_set(copy, key, copy_scalar(doc_at(session, i)));
		}
	}
	return copy;
}

/* The daemon's sessions in order of identity: there may be many of both. */
struct live {
	struct doc *answer; /* may be NULL */
	const struct doc **session;
	size_t count;
};

static const char *
identity_of(const struct doc *session)
{
	return doc_get_text(session, "identity", "");
}

static int
by_identity(const void *a, const void *b)
{
	return strcmp(identity_of(*(const struct doc *const *)a),
	              identity_of(*(const struct doc *const *)b));
}

static void
sort_live(struct live *live)
{
	const struct doc *all = doc_get(live->answer, "sessions");
	size_t n = doc_count(all);

	live->session = n > 0 ? calloc(n, sizeof *live->session) : NULL;
	live->count = live->session != NULL ? n : 0;
	for (size_t i = 0; i < live->count; i++) {
		live->session[i] = doc_at(all, i);
	}
	if (live->count > 0) {
		qsort(live->session, live->count, sizeof *live->session, by_identity);
	}
}

static void
free_live(struct live *live)
{
	free(live->session);
	doc_free(live->answer);
}

/* The first session that is not before that identity. */
static size_t
find_live(const struct live *live, const char *identity)
{
	size_t low = 0, high = live->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(identity_of(live->session[middle]), identity) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

/* The sessions of one identity, as a list. */
static struct doc *
sessions_of(const struct live *live, const char *identity)
{
	struct doc *list = doc_list();

	for (size_t i = find_live(live, identity);
	     i < live->count && strcmp(identity_of(live->session[i]), identity) == 0; i++) {
		doc_add(list, copy_session(live->session[i]));
	}
	return list;
}

/* One word: what the register says unless all is well, else what goes on. */
static const char *
overall_state(const struct doc *device)
{
	const struct doc *sessions = doc_get(device, "sessions");
	const char *state = doc_get_text(device, "register_state", "unregistered");

	if (doc_count(sessions) == 0 || strcmp(state, "revoked") == 0) {
		return state;
	}
	for (size_t i = 0; i < doc_count(sessions); i++) {
		if (strcmp(doc_get_text(doc_at(sessions, i), "state", ""), "live") == 0) {
			return "live";
		}
	}
	return doc_get_text(doc_at(sessions, 0), "state", state);
}

/* The daemon's answer, or none and a note: the register alone is of use too. */
static void
ask_sessions(struct cli *cli, const char *identity, struct live *live)
{
	struct doc *args = doc_map();
	char why[CLI_WHY_SIZE];
	int r;

	if (identity != NULL) {
		doc_set_text(args, "identity", identity);
	}
	*live = (struct live){ .count = 0 };
	r = cli_ask(cli, "sessions", args, &live->answer, why, NULL);
	doc_free(args);
	if (r < 0) {
		cli_note(cli, "%s; what is live is missing here", why);
	}
	sort_live(live);
}

/* ---- the list ----------------------------------------------------------- */

static const struct column columns[] = {
	{ "identity", "DEVICE" },
	{ "state", "STATE" },
	{ "address", "ADDRESS" },
	{ "since", "SINCE", PRINT_AGO },
	{ "protocol", "MQTT" },
	{ "tls", "TLS" },
	{ "cipher", "CIPHER" },
	{ "publish_up", "MSG UP", PRINT_NUMBER },
	{ "publish_down", "MSG DOWN", PRINT_NUMBER },
	{ "bytes_up", "UP", PRINT_BYTES },
	{ "bytes_down", "DOWN", PRINT_BYTES },
	{ "not_after", "EXPIRES", PRINT_DATE },
	{ "last_seen", "LAST SEEN", PRINT_AGO },
	{ NULL },
};

/* For a table only the cells are kept: a fleet may have 100,000 devices. */
struct listing {
	struct cli *cli;
	struct live live;
	struct doc *devices; /* yaml, json */
	struct table *table;
	bool only_live;
};

/* One row per session, or one for a device that has none. */
static void
add_rows(struct table *table, const struct doc *device)
{
	const struct doc *sessions = doc_get(device, "sessions");
	size_t n = doc_count(sessions) > 0 ? doc_count(sessions) : 1;

	for (size_t i = 0; i < n; i++) {
		const struct doc *session = doc_at(sessions, i);
		struct doc *row = session != NULL ? copy_session(session) : doc_map();
		struct doc *state = doc_take(row, "state");
		struct doc *end = doc_take(row, "not_after");

		doc_free(state);
		doc_free(end);
		doc_set_text(row, "identity", doc_get_text(device, "identity", ""));
		doc_set_text(row, "state", doc_get_text(device, "state", ""));
		doc_set_int(row, "not_after", doc_get_int(device, "not_after", 0));
		doc_set_int(row, "last_seen",
		            session != NULL ? clock_wall() : doc_get_int(device, "last_seen", 0));
		if (session == NULL) {
			doc_set_text(row, "address", doc_get_text(device, "last_address", ""));
		}
		table_add(table, row);
		doc_free(row);
	}
}

/* Takes the device over. */
static int
list_device(struct listing *l, struct doc *device)
{
	struct doc *sessions = sessions_of(&l->live, doc_get_text(device, "identity", ""));
	bool listed = !l->only_live || doc_count(sessions) > 0;

	doc_set(device, "sessions", sessions);
	doc_set_text(device, "state", overall_state(device));
	if (doc_failed(device)) {
		doc_free(device);
		return -ENOMEM;
	}
	if (listed && l->table == NULL) {
		doc_add(l->devices, device);
		return 0;
	}
	if (listed) {
		add_rows(l->table, device);
	}
	doc_free(device);
	return 0;
}

static int
list_known(void *owner, const struct reg_device *row)
{
	struct doc *device = doc_map();

	set_known(device, row);
	return list_device(owner, device);
}

/* Sessions of devices that the register has not (admission "ca"). */
static int
list_unregistered(struct listing *l, struct reg *reg)
{
	struct reg_device row;
	const char *last = NULL;
	int r = 0;

	for (size_t i = 0; i < l->live.count && r == 0; i++) {
		const struct doc *session = l->live.session[i];
		const char *identity = identity_of(session);

		if ((last == NULL || strcmp(last, identity) != 0) &&
		    reg_find(reg, span_str(identity), &row) == ERR_NOT_FOUND) {
			struct doc *device = doc_map();

			doc_set_text(device, "identity", identity);
			doc_set_int(device, "not_after", doc_get_int(session, "not_after", 0));
			r = list_device(l, device);
		}
		last = identity;
	}
	return r;
}

static int
finish(struct listing *l)
{
	struct doc *doc;

	if (l->table != NULL) {
		struct table *table = l->table;

		l->table = NULL;
		return table_print(table, l->cli->out) < 0 ? cli_fail_memory(l->cli) : CLI_DONE;
	}
	doc = doc_map();
	doc_set(doc, "devices", l->devices);
	l->devices = NULL;
	return cli_result(l->cli, doc, NULL);
}

static int
list(struct listing *l, struct reg *reg)
{
	int r;

	if (l->cli->format == CLI_TABLE) {
		l->table = table_new(columns);
	} else {
		l->devices = doc_list();
	}
	if (l->table == NULL && l->devices == NULL) {
		return cli_fail_memory(l->cli);
	}
	ask_sessions(l->cli, NULL, &l->live);
	r = reg_each(reg, list_known, l);
	r = r == 0 ? list_unregistered(l, reg) : r;
	free_live(&l->live);
	return r < 0 ? cli_fail_register(l->cli, reg, r, "the devices") : finish(l);
}

int
devices_run(struct cli *cli)
{
	struct listing l = { .cli = cli,
		.only_live = cli_option(cli, "live", 0) != NULL };
	struct reg *reg;
	int r;

	if (cli_option(cli, "pending", 0) != NULL) {
		return strangers_run(cli);
	}
	if (cli_option(cli, "expiring", 0) != NULL) {
		return expiring_run(cli);
	}
	r = cli_register(cli, REG_READ, &reg);
	if (r != 0) {
		return r;
	}
	r = list(&l, reg);
	table_free(l.table);
	doc_free(l.devices);
	reg_close(reg);
	return r;
}

/* ---- one device --------------------------------------------------------- */

static void
print_labels(FILE *out, const struct doc *labels)
{
	for (size_t i = 0; i < doc_count(labels); i++) {
		char *value = print_cell(doc_at(labels, i), PRINT_TEXT);

		fprintf(out, "%-18s  %s=%s\n", i == 0 ? "labels" : "", doc_key_at(labels, i),
		        value != NULL ? value : "");
		free(value);
	}
}

static void
print_device(FILE *out, const struct doc *doc)
{
	static const struct column known[] = {
		{ "identity", "device" },
		{ "state", "state" },
		{ "register_state", "in the register", PRINT_TEXT, true },
		{ "group", "group", PRINT_TEXT, true },
		{ "fingerprint", "key fingerprint", PRINT_TEXT, true },
		{ "serial", "certificate", PRINT_TEXT, true },
		{ "not_before", "valid from", PRINT_DATE, true },
		{ "not_after", "valid until", PRINT_WHEN, true },
		{ "enrolled_at", "enrolled", PRINT_WHEN, true },
		{ "first_seen", "first seen", PRINT_WHEN, true },
		{ "last_seen", "last seen", PRINT_WHEN, true },
		{ "last_address", "last address", PRINT_TEXT, true },
		{ "last_failure", "last failure", PRINT_TEXT, true },
		{ "last_failure_at", "failed at", PRINT_WHEN, true },
		{ "stored_filters", "kept subscriptions", PRINT_NUMBER, true },
		{ NULL },
	};
	static const struct column session[] = {
		{ "state", "state" },
		{ "client_id", "client id (broker)" },
		{ "device_client_id", "client id (device)" },
		{ "address", "address" },
		{ "port", "port", PRINT_TEXT },
		{ "since", "since", PRINT_WHEN },
		{ "worker", "worker", PRINT_TEXT },
		{ "protocol", "MQTT" },
		{ "tls", "TLS" },
		{ "cipher", "cipher" },
		{ "resumed", "resumed", PRINT_YES_NO },
		{ "keep_alive", "keepalive (s)", PRINT_TEXT },
		{ "clean_start", "clean session", PRINT_YES_NO },
		{ "map", "map" },
		{ "subscriptions", "subscriptions", PRINT_TEXT },
		{ "publish_up", "messages up", PRINT_TEXT },
		{ "stored", "messages stored", PRINT_TEXT },
		{ "publish_down", "messages down", PRINT_TEXT },
		{ "bytes_up", "bytes up", PRINT_BYTES },
		{ "bytes_down", "bytes down", PRINT_BYTES },
		{ "denied", "denied", PRINT_TEXT },
		{ "last_denied", "last denied" },
		{ "unmapped", "unmapped", PRINT_TEXT },
		{ NULL },
	};
	const struct doc *sessions = doc_get(doc, "sessions");

	print_record(out, doc, known, 0);
	print_labels(out, doc_get(doc, "labels"));
	for (size_t i = 0; i < doc_count(sessions); i++) {
		fputs("session\n", out);
		print_record(out, doc_at(sessions, i), session, 2);
	}
}

static int
count_filter(void *owner, const struct reg_subscription *s)
{
	(void)s;
	++*(int64_t *)owner;
	return 0;
}

static void
set_registered(struct doc *doc, struct reg *reg, const struct device *device)
{
	int64_t filters = 0;

	set_known(doc, &device->row);
	doc_set(doc, "labels", device_labels(device));
	if (reg_subscription_each(reg, span_str(device->row.name), count_filter, &filters) >= 0) {
		doc_set_int(doc, "stored_filters", filters);
	}
}

int
devices_show_run(struct cli *cli)
{
	const char *name = cli->word[0];
	struct device device = { .labels = 0 };
	struct doc *sessions, *doc;
	struct live live;
	struct reg *reg;
	int r = cli_register(cli, REG_READ, &reg);

	if (r != 0) {
		return r;
	}
	r = device_load(cli, reg, name, &device);
	ask_sessions(cli, name, &live);
	sessions = sessions_of(&live, name);
	free_live(&live);
	if (r < 0 && (r != ERR_NOT_FOUND || doc_count(sessions) == 0)) {
		r = r == ERR_NOT_FOUND ?
		            cli_fail(cli, r, "there is no device %s in the register", name) :
		            cli_fail(cli, r, "cannot read the register: %s", reg_error(reg));
		doc_free(sessions);
		reg_close(reg);
		return r;
	}
	doc = doc_map();
	if (r == 0) {
		set_registered(doc, reg, &device);
	} else {
		doc_set_text(doc, "identity", name);
	}
	doc_set(doc, "sessions", sessions);
	doc_set_text(doc, "state", overall_state(doc));
	device_clear(&device);
	reg_close(reg);
	return cli_result(cli, doc, print_device);
}
