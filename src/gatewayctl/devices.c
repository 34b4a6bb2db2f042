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

/* The sessions of one identity out of the daemon's list, as a list. */
static struct doc *
sessions_of(const struct doc *live, const char *identity)
{
	const struct doc *all = doc_get(live, "sessions");
	struct doc *list = doc_list();

	for (size_t i = 0; i < doc_count(all); i++) {
		if (strcmp(doc_get_text(doc_at(all, i), "identity", ""), identity) == 0) {
			doc_add(list, copy_session(doc_at(all, i)));
		}
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

/* The daemon's answer, or NULL and a note: the register alone is of use too. */
static struct doc *
ask_sessions(struct cli *cli, const char *identity)
{
	struct doc *args = doc_map(), *live = NULL;
	char why[CLI_WHY_SIZE];
	int r;

	if (identity != NULL) {
		doc_set_text(args, "identity", identity);
	}
	r = cli_ask(cli, "sessions", args, &live, why, NULL);
	doc_free(args);
	if (r < 0) {
		cli_note(cli, "%s; what is live is missing here", why);
	}
	return live;
}

/* ---- the list ----------------------------------------------------------- */

struct listing {
	struct cli *cli;
	struct doc *live;    /* may be NULL */
	struct doc *devices; /* what is printed */
	bool only_live;
};

/* Takes the device over. */
static void
list_device(struct listing *l, struct doc *device, struct doc *sessions)
{
	bool live = doc_count(sessions) > 0;

	doc_set(device, "sessions", sessions);
	doc_set_text(device, "state", overall_state(device));
	if (l->only_live && !live) {
		doc_free(device);
		return;
	}
	doc_add(l->devices, device);
}

static int
list_known(void *owner, const struct reg_device *row)
{
	struct listing *l = owner;
	struct doc *device = doc_map();

	if (device == NULL) {
		return -ENOMEM;
	}
	set_known(device, row);
	list_device(l, device, sessions_of(l->live, row->name));
	return 0;
}

static bool
is_listed(const struct listing *l, struct reg *reg, const char *identity)
{
	struct reg_device row;

	if (reg != NULL && reg_find(reg, span_str(identity), &row) == 0) {
		return true;
	}
	for (size_t i = 0; i < doc_count(l->devices); i++) {
		if (strcmp(doc_get_text(doc_at(l->devices, i), "identity", ""), identity) == 0) {
			return true;
		}
	}
	return false;
}

/* Sessions of devices that the register has not (admission "ca"). */
static void
list_unregistered(struct listing *l, struct reg *reg)
{
	const struct doc *all = doc_get(l->live, "sessions");

	for (size_t i = 0; i < doc_count(all); i++) {
		const char *identity = doc_get_text(doc_at(all, i), "identity", "");

		if (!is_listed(l, reg, identity)) {
			struct doc *device = doc_map();

			doc_set_text(device, "identity", identity);
			doc_set_int(device, "not_after",
			            doc_get_int(doc_at(all, i), "not_after", 0));
			list_device(l, device, sessions_of(l->live, identity));
		}
	}
}

/* One row per session, or one for a device that has none. */
static void
add_rows(struct doc *rows, const struct doc *device)
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
		doc_add(rows, row);
	}
}

static void
print_devices(FILE *out, const struct doc *doc)
{
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
	const struct doc *devices = doc_get(doc, "devices");
	struct doc *rows = doc_list();

	for (size_t i = 0; i < doc_count(devices); i++) {
		add_rows(rows, doc_at(devices, i));
	}
	print_table(out, rows, columns);
	doc_free(rows);
}

int
devices_run(struct cli *cli)
{
	struct listing l = { .cli = cli,
		.only_live = cli_option(cli, "live", 0) != NULL };
	struct doc *doc;
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
	l.live = ask_sessions(cli, NULL);
	l.devices = doc_list();
	r = reg_each(reg, list_known, &l);
	if (r == 0) {
		list_unregistered(&l, reg);
	}
	doc_free(l.live);
	if (r < 0) {
		r = cli_fail(cli, r, "cannot read the register: %s", reg_error(reg));
		doc_free(l.devices);
		reg_close(reg);
		return r;
	}
	reg_close(reg);
	doc = doc_map();
	if (doc == NULL) {
		doc_free(l.devices);
		return cli_fail_memory(cli);
	}
	doc_set(doc, "devices", l.devices);
	return cli_result(cli, doc, print_devices);
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
	static const struct column columns[] = {
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
		{ "publish_down", "messages down", PRINT_TEXT },
		{ "bytes_up", "bytes up", PRINT_BYTES },
		{ "bytes_down", "bytes down", PRINT_BYTES },
		{ "denied", "denied", PRINT_TEXT },
		{ "last_denied", "last denied" },
		{ "unmapped", "unmapped", PRINT_TEXT },
		{ NULL },
	};
	const struct doc *sessions = doc_get(doc, "sessions");

	print_record(out, doc, columns, 0);
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
	struct doc *live, *sessions, *doc;
	struct reg *reg;
	int r = cli_register(cli, REG_READ, &reg);

	if (r != 0) {
		return r;
	}
	r = device_load(cli, reg, name, &device);
	live = ask_sessions(cli, name);
	sessions = sessions_of(live, name);
	doc_free(live);
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
