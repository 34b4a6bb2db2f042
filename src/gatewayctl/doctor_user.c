/* SPDX-License-Identifier: BSD-2-Clause */
/* Who gatewayd is, and what the modes of files let that user do. */
#include "doctor_int.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

#define GROUPS_MAX ((int)(sizeof((struct doctor_user *)0)->group / sizeof(gid_t)))

static void
take_account(struct doctor *d, const struct passwd *pw)
{
	struct doctor_user *user = &d->user;

	snprintf(user->name, sizeof user->name, "%s", pw->pw_name);
	user->uid = pw->pw_uid;
	user->groups = GROUPS_MAX;
	if (getgrouplist(pw->pw_name, pw->pw_gid, user->group, &user->groups) < 0) {
		user->group[0] = pw->pw_gid;
		user->groups = 1;
	}
	d->user_known = true;
}

/* The second number (the effective one) of "KEY:\t1\t2\t3\t4". */
static bool
status_id(const char *text, const char *key, unsigned *id)
{
	const char *at = strstr(text, key);

	return at != NULL && sscanf(at + strlen(key), "%*u %u", id) == 1;
}

/* A process may be in groups that its account is not: the unit gives them. */
static bool
take_process(struct doctor *d, int pid)
{
	struct doctor_user *user = &d->user;
	const struct passwd *pw;
	char path[64];
	char *text, *at, *end;
	unsigned uid, gid;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	text = doctor_read_text(path, 16384);
	if (text == NULL || !status_id(text, "\nUid:", &uid) || !status_id(text, "\nGid:", &gid)) {
		free(text);
		return false;
	}
	pw = getpwuid(uid);
	snprintf(user->name, sizeof user->name, "%s", pw != NULL ? pw->pw_name : "?");
	user->uid = uid;
	user->group[0] = gid;
	user->groups = 1;
	at = strstr(text, "\nGroups:");
	at = at != NULL ? at + strlen("\nGroups:") : NULL;
	while (at != NULL && user->groups < GROUPS_MAX) {
		at += strspn(at, " \t");
		gid = (unsigned)strtoul(at, &end, 10);
		if (end == at) {
			break;
		}
		user->group[user->groups++] = gid;
		at = end;
	}
	free(text);
	d->user_known = true;
	return true;
}

/*
 * The running daemon's user; else "gateway" of a packaged host; else whoever
 * owns the state directory.
 */
void
doctor_find_user(struct doctor *d)
{
	const struct passwd *pw;
	struct stat st;

	if (d->status != NULL && take_process(d, (int)doc_get_int(d->status, "pid", 0))) {
		return;
	}
	pw = getpwnam("gateway");
	if (pw == NULL && d->conf != NULL && stat(d->conf->gateway.state_directory, &st) == 0) {
		pw = getpwuid(st.st_uid);
	}
	if (pw != NULL) {
		take_account(d, pw);
	}
}

static bool
in_group(const struct doctor_user *user, gid_t gid)
{
	for (int i = 0; i < user->groups; i++) {
		if (user->group[i] == gid) {
			return true;
		}
	}
	return false;
}

bool
doctor_user_may(const struct doctor_user *user, const struct stat *st, unsigned bits)
{
	unsigned mode = st->st_mode;

	if (user->uid == 0) {
		return true;
	}
	if (user->uid == st->st_uid) {
		return (mode >> 6 & bits) == bits;
	}
	if (in_group(user, st->st_gid)) {
		return (mode >> 3 & bits) == bits;
	}
	return (mode & bits) == bits;
}

char *
doctor_mode_text(const struct stat *st, char *text)
{
	const struct passwd *pw = getpwuid(st->st_uid);
	const struct group *gr = getgrgid(st->st_gid);
	char uid[16], gid[16];

	snprintf(uid, sizeof uid, "%u", (unsigned)st->st_uid);
	snprintf(gid, sizeof gid, "%u", (unsigned)st->st_gid);
	snprintf(text, 64, "%04o %.24s:%.24s", (unsigned)st->st_mode & 07777,
		 pw != NULL ? pw->pw_name : uid, gr != NULL ? gr->gr_name : gid);
	return text;
}
