/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration, clock, folders and the register on this host. */
#include "doctor_int.h"

#include <errno.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/clock.h"
#include "text.h"

#define EARLIEST 1767225600 /* 2026-01-01: before this program was written */

/* ---- configuration -------------------------------------------------------------- */

static void
take_fault(void *owner, const char *file, int line, const char *key, const char *sentence,
	   bool warning)
{
	struct doctor *d = owner;
	char at[16] = "";

	if (line > 0) {
		snprintf(at, sizeof at, ":%d", line);
	}
	doctor_say(d, warning ? DOCTOR_WARNING : DOCTOR_FAULT, "%s%s: %s%s%s", file, at, key,
		   key[0] != '\0' ? ": " : "", sentence);
}

void
doctor_configuration(struct doctor *d)
{
	const char *file = d->cli->file != NULL ? d->cli->file : CONF_DEFAULT_FILE;
	int r;

	if (d->cli->conf != NULL) {
		doctor_ok(d, "%s is valid.", file);
	} else if (d->cli->file == NULL && access(file, F_OK) < 0 && errno == ENOENT) {
		r = conf_default(&d->cli->conf);
		doctor_say(d, r == 0 ? DOCTOR_OK : DOCTOR_FAULT,
			   "There is no %s: every key has its default.", file);
	} else {
		r = conf_load(file, false, take_fault, d, &d->cli->conf);
		if (r != 0 && d->count[DOCTOR_FAULT] == 0) {
			doctor_fault(d, "%s: %s.", file, err_text(r));
		} else if (r == 0 && !d->said) {
			doctor_ok(d, "%s is valid.", file);
		}
		if (r != 0) {
			d->cli->conf = NULL;
		}
	}
}

/* ---- clock ---------------------------------------------------------------------- */

struct newest {
	int64_t at;
	char name[REG_NAME_MAX + 1];
};

static int
take_newest(void *owner, const struct reg_device *device)
{
	struct newest *newest = owner;

	if (device->enrolled_at > newest->at) {
		newest->at = device->enrolled_at;
		snprintf(newest->name, sizeof newest->name, "%s", device->name);
	}
	return 0;
}

void
doctor_clock_time(struct doctor *d)
{
	struct newest newest = { .at = 0 };
	int64_t now = clock_wall();
	char text[TEXT_SIZE], then[TEXT_SIZE];

	text_time(now, text);
	if (d->reg != NULL && reg_each(d->reg, take_newest, &newest) != 0) {
		newest.at = 0;
	}
	if (now < EARLIEST) {
		doctor_fault(d,
			     "The clock of this host says %s, which cannot be: certificates are "
			     "refused as not yet valid.",
			     now > 0 ? text : "1970");
		doctor_remedy(
			d,
			"Set the clock, and keep it by a time server: timedatectl set-ntp true.");
	} else if (newest.at > now + 60) {
		doctor_fault(
			d,
			"The clock of this host says %s, but %s was enrolled at %s: it has gone "
			"back.",
			text, newest.name, text_time(newest.at, then));
		doctor_remedy(
			d,
			"Set the clock, and keep it by a time server: timedatectl set-ntp true.");
	} else {
		doctor_ok(d, "%s.", text);
	}
}

void
doctor_clock_sync(struct doctor *d)
{
	struct timex state = { .modes = 0 };
	int r = adjtimex(&state);

	if (r < 0) {
		doctor_skip(d, "The kernel does not tell whether the clock is kept right: %s.",
			    err_text(-errno));
	} else if (r == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
		doctor_warn(d, "No time server keeps the clock of this host right; validity of "
			       "certificates depends on it.");
		doctor_remedy(d,
			      "timedatectl set-ntp true (systemd-timesyncd), or install chrony.");
	} else {
		doctor_ok(d, "The clock is kept by a time server.");
	}
}

/* ---- folders -------------------------------------------------------------------- */

/* False after a finding: it is not there, or cannot be looked at. */
static bool
look(struct doctor *d, const char *path, bool folder, struct stat *st)
{
	if (stat(path, st) < 0) {
		if (errno == EACCES) {
			doctor_skip(d, "Not checked: you may not look at %s.", path);
			doctor_remedy(d, "Run the doctor as root.");
		} else {
			doctor_fault(d, "%s: %s.", path, err_text(-errno));
			doctor_remedy(d, "gatewayctl init makes it.");
		}
		return false;
	}
	if (folder && !S_ISDIR(st->st_mode)) {
		doctor_fault(d, "%s is not a folder.", path);
		return false;
	}
	return true;
}

void
doctor_files_state(struct doctor *d)
{
	const char *path = d->conf->gateway.state_directory;
	char mode[64];
	struct stat st;

	if (!look(d, path, true, &st)) {
		return;
	}
	doctor_mode_text(&st, mode);
	if ((st.st_mode & 02) != 0) {
		doctor_fault(d, "Everybody on this host can put files into %s (%s).", path, mode);
		doctor_remedy(d, "chmod 0750 %s", path);
	} else if (d->user_known && !doctor_user_may(&d->user, &st, 7)) {
		/* SQLite makes its journal beside the register. */
		doctor_fault(d, "The user %s of gatewayd cannot write into %s (%s).", d->user.name,
			     path, mode);
		doctor_remedy(d, "chown %s: %s && chmod 0750 %s", d->user.name, path, path);
	} else {
		doctor_ok(d, "%s (%s).", path, mode);
	}
}

void
doctor_files_pki(struct doctor *d)
{
	char path[4096], mode[64];
	struct stat st;

	doctor_state_path(d, "pki", path, sizeof path);
	if (!look(d, path, true, &st)) {
		return;
	}
	doctor_mode_text(&st, mode);
	if ((st.st_mode & 022) != 0) {
		doctor_fault(d,
			     "Others than its owner can replace keys and certificates in %s (%s).",
			     path, mode);
		doctor_remedy(d, "chmod 0750 %s", path);
	} else if (d->user_known && !doctor_user_may(&d->user, &st, 5)) {
		doctor_fault(d, "The user %s of gatewayd cannot look into %s (%s).", d->user.name,
			     path, mode);
		doctor_remedy(d, "chgrp gateway %s && chmod 0750 %s", path, path);
	} else {
		doctor_ok(d, "%s (%s).", path, mode);
	}
}

void
doctor_files_register(struct doctor *d)
{
	char path[4096], mode[64];
	struct stat st;

	doctor_state_path(d, "register.db", path, sizeof path);
	if (!look(d, path, false, &st)) {
		return;
	}
	doctor_mode_text(&st, mode);
	if (d->reg == NULL && d->reg_code == -EACCES) {
		doctor_skip(d, "Not opened: %s", d->reg_why);
		doctor_remedy(d, "Run the doctor as root.");
	} else if (d->reg == NULL) {
		doctor_fault(d, "%s", d->reg_why);
		doctor_remedy(d, d->reg_code == ERR_VERSION ? "Install the newer release again."
							    : "Put a copy of the register back, or "
							      "move it away and enrol anew.");
	} else if ((st.st_mode & 07) != 0) {
		doctor_fault(d, "Everybody on this host can reach the register %s (%s).", path,
			     mode);
		doctor_remedy(d, "chmod 0660 %s", path);
	} else if (d->user_known && !doctor_user_may(&d->user, &st, 6)) {
		doctor_fault(d, "The user %s of gatewayd cannot write the register %s (%s).",
			     d->user.name, path, mode);
		doctor_remedy(d, "chown %s: %s", d->user.name, path);
	} else {
		doctor_ok(d, "%s opens (%s).", path, mode);
	}
}
