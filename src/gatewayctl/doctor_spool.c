/* SPDX-License-Identifier: BSD-2-Clause */
/* What is stored for the broker: its file, the room for it, and how it goes. */
#include "doctor_int.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "text.h"

#define ROOM_LEAST (4 << 20) /* bytes; below it nothing can be stored soon */
#define OLD 3600             /* seconds, with the broker there */
#define NEARLY 80            /* percent of a bound */
#define BRIEF_MOST 3
#define RECENT 120           /* seconds since its state changed */

/* ---- the file ------------------------------------------------------------------- */

void
doctor_files_spool(struct doctor *d)
{
	char path[4096], mode[64];
	struct stat st;

	doctor_state_path(d, "spool.db", path, sizeof path);
	if (stat(path, &st) < 0 && lstat(path, &st) < 0) {
		doctor_skip(d, errno == ENOENT ? "Not checked: %s appears when gatewayd starts." :
						 "Not checked: you may not look at %s.", path);
		return;
	}
	doctor_mode_text(&st, mode);
	if (!S_ISREG(st.st_mode)) {
		doctor_fault(d, "%s is no plain file, nor leads to one.", path);
		doctor_remedy(d, "Move it away: gatewayd makes its own.");
	} else if ((st.st_mode & 077) != 0) {
		doctor_fault(d, "Others can read or change what devices have sent: %s (%s).", path,
			     mode);
		doctor_remedy(d, "chmod 0600 %s", path);
	} else if (d->user_known && !doctor_user_may(&d->user, &st, 6)) {
		doctor_fault(d, "The user %s of gatewayd cannot write %s (%s).", d->user.name, path,
			     mode);
		doctor_remedy(d, "chown %s: %s %s-wal", d->user.name, path, path);
	} else {
		doctor_ok(d, "%s (%s).", path, mode);
	}
}

void
doctor_spool_space(struct doctor *d)
{
	const char *folder = d->conf->gateway.state_directory;
	char path[4096], room[TEXT_SIZE], size[TEXT_SIZE];
	struct statvfs fs;
	struct stat st;
	uint64_t left, used;

	doctor_state_path(d, "spool.db", path, sizeof path);
	if (statvfs(folder, &fs) < 0) {
		doctor_skip(d, "Not checked: %s: %s.", folder, err_text(-errno));
		return;
	}
	used = stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	text_bytes((int64_t)left, room);
	text_bytes((int64_t)d->conf->spool.bytes, size);
	if (left < ROOM_LEAST) {
		doctor_fault(d, "The file system of %s is full: %s left. Devices get no "
				"acknowledgement while the broker is away.", folder, room);
		doctor_remedy(d, "Make room there.");
	} else if (left + used < d->conf->spool.bytes) {
		doctor_warn(d, "The file system of %s has %s left, less than spool.size = %s may "
			       "need.", folder, room, size);
		doctor_remedy(d, "Make room there, or set spool.size to what there is.");
	} else {
		doctor_ok(d, "%s left for at most %s.", room, size);
	}
}

/* Files that gatewayd has set aside at its start. */
void
doctor_spool_damaged(struct doctor *d)
{
	static const char prefix[] = "spool.db.damaged-";
	const char *folder = d->conf->gateway.state_directory;
	struct doctor_names names = { .count = 0 };
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	size_t n;

	if (dir == NULL) {
		doctor_skip(d, "Not checked: %s: %s.", folder, err_text(-errno));
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		n = strlen(entry->d_name);
		if (strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0 &&
		    (n < 4 || strcmp(entry->d_name + n - 4, "-wal") != 0)) {
			doctor_names_add(&names, entry->d_name);
		}
	}
	closedir(dir);
	if (names.count > 0) {
		doctor_warn(d, "gatewayd found the spool damaged and set it aside; messages that "
			       "were acknowledged to devices may be in it: %s in %s.",
			    doctor_names_text(&names), folder);
		doctor_remedy(d, "sqlite3 FILE .recover shows what can be saved; look at the disk "
				 "too, then move the file away.");
	} else {
		doctor_ok(d, "None was found damaged.");
	}
}

/* ---- how it goes ---------------------------------------------------------------- */

/* A bound that has been reached, or soon is. */
static void
look_at_bounds(struct doctor *d, const struct doc *spool)
{
	int64_t bytes = doc_get_int(spool, "bytes", 0), limit = doc_get_int(spool, "limit", 0);
	int64_t full = doc_get_int(spool, "refused_full", 0);
	int64_t dropped = doc_get_int(spool, "dropped", 0);
	char have[TEXT_SIZE], most[TEXT_SIZE];

	if (limit > 0 && bytes > limit / 100 * NEARLY) {
		doctor_warn(d, "%s of %s are stored: soon nothing more is acknowledged.",
			    text_bytes(bytes, have), text_bytes(limit, most));
		doctor_remedy(d, "Bring the broker back, or raise spool.size.");
	}
	if (full > 0 || dropped > 0) {
		doctor_warn(d, "Since gatewayd started, a bound kept %" PRId64 " messages from "
			       "being stored, and %" PRId64 " of QoS 0 made room for newer ones.",
			    full, dropped);
		doctor_remedy(d, "gatewayctl spool shows of whom; spool.size and the map's outage "
				 "settings are the bounds.");
	}
}

void
doctor_spool_depth(struct doctor *d)
{
	const struct doc *spool = doc_get(d->status, "spool");
	const char *error = doc_get_text(spool, "last_error", "");
	int64_t messages = doc_get_int(spool, "messages", 0);
	int64_t oldest = doc_get_int(spool, "oldest", 0);
	int64_t refused = doc_get_int(spool, "refused_broker", 0);
	bool up = doc_get_bool(doc_get(doc_get(d->status, "broker"), "session"), "connected", false);
	char ago[TEXT_SIZE];

	if (spool == NULL) {
		doctor_skip(d, "Not checked: gatewayd is of another release.");
		return;
	}
	if (error[0] != '\0') {
		doctor_fault(d, "The spool cannot be written: %s. Devices get no acknowledgement "
				"while the broker is away.", error);
		doctor_remedy(d, "Make room in the state directory, or look at its disk.");
	}
	look_at_bounds(d, spool);
	if (refused > 0) {
		doctor_warn(d, "The broker has refused %" PRId64 " stored messages since gatewayd "
			       "started; they are lost.", refused);
		doctor_remedy(d, "gatewayctl spool shows the reasons, the log the devices.");
	}
	if (up && messages > 0 && oldest > 0 && clock_wall() - oldest > OLD) {
		doctor_warn(d, "The broker is there, and still the oldest message is stored since "
			       "%s.", text_ago(oldest, ago));
		doctor_remedy(d, "Look into the log of gatewayd and of the broker: it may answer "
				 "\"quota exceeded\".");
	}
	if (!d->said) {
		doctor_ok(d, "%" PRId64 " messages stored.", messages);
	}
}

/* ---- the gateway's own session -------------------------------------------------- */

static const char *
remedy_of(const char *error)
{
	if (strcmp(error, "not authorized") == 0 ||
	    strcmp(error, "bad user name or password") == 0) {
		return "Let the user of uplink.username in, with upstream.password if there is one, "
		       "and let it write to uplink.status_topic.";
	}
	if (strcmp(error, "session taken over") == 0) {
		return "Another client has the same uplink.client_id: give each gateway its own "
		       "gateway.name.";
	}
	return "The check broker.connection, and the broker's log, say more.";
}

void
doctor_broker_session(struct doctor *d)
{
	const struct doc *broker = doc_get(d->status, "broker");
	const struct doc *session = doc_get(broker, "session");
	const char *error = doc_get_text(session, "last_error", "");
	int64_t brief = doc_get_int(session, "brief", 0);

	if (session == NULL) {
		doctor_skip(d, "Not checked: gatewayd is of another release.");
	} else if (d->broker.made && d->broker.code != 0 && d->broker.code != -EACCES &&
		   d->broker.code != -EPERM) {
		/* Told already, perhaps before gatewayd has noticed. */
		doctor_skip(d, "Not checked: the broker cannot be reached.");
	} else if (brief >= BRIEF_MOST &&
		   clock_wall() - doc_get_int(session, "since", 0) < RECENT) {
		doctor_fault(d, "The gateway's own session with the broker ended %" PRId64
				" times in a row within seconds.", brief);
		doctor_remedy(d, "Is another gateway running with the same uplink.client_id? Give "
				 "each its own gateway.name. Else the broker's log says why.");
	} else if (strcmp(doc_get_text(broker, "state", ""), "away") == 0) {
		doctor_skip(d, "Not checked: the broker is away%s.",
			    doc_get_bool(broker, "frozen", false) ?
				    "; it takes connections and answers nothing" : "");
	} else if (!doc_get_bool(session, "connected", false) && error[0] == '\0') {
		doctor_warn(d, "The gateway's own session with the broker is being made.");
		doctor_remedy(d, "Ask again in a moment.");
	} else if (!doc_get_bool(session, "connected", false)) {
		doctor_fault(d, "The gateway has no session of its own with the broker: %s. What "
				"is stored stays, and nobody is told who is there.", error);
		doctor_remedy(d, "%s", remedy_of(error));
	} else {
		doctor_ok(d, "The gateway's own session is up as user %s.",
			  doc_get_text(session, "username", "?"));
	}
}
