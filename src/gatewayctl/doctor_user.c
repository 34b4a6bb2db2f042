/* SPDX-License-Identifier: BSD-2-Clause */
/* Who gatewayd is, and what the modes of files let that user do. */
#include "doctor_int.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

static void
take_user(struct doctor *d, const struct passwd *pw)
{
	struct doctor_user *user = &d->user;

	snprintf(user->name, sizeof user->name, "%s", pw->pw_name);
	user->uid = pw->pw_uid;
	user->groups = (int)(sizeof user->group / sizeof user->group[0]);
	if (getgrouplist(pw->pw_name, pw->pw_gid, user->group, &user->groups) < 0) {
		user->group[0] = pw->pw_gid;
		user->groups = 1;
	}
	d->user_known = true;
}

/* The running daemon's user; else "gateway" of a packaged host; else ourselves. */
void
doctor_find_user(struct doctor *d)
{
	const struct passwd *pw = NULL;
	struct stat st;
	char path[64];

	if (d->status != NULL) {
		snprintf(path, sizeof path, "/proc/%d",
		         (int)doc_get_int(d->status, "pid", 0));
		pw = stat(path, &st) == 0 ? getpwuid(st.st_uid) : NULL;
	}
	if (pw == NULL) {
		pw = getpwnam("gateway");
	}
	if (pw == NULL) {
		pw = getpwuid(geteuid());
	}
	if (pw != NULL) {
		take_user(d, pw);
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
