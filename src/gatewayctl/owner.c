/* SPDX-License-Identifier: BSD-2-Clause */
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int
set(int fd, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		return -errno;
	}
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		return -ELOOP;
	}
	/* Mode first: while the owner changes nobody may see more than after. */
	return fchmod(fd, mode) < 0 || fchown(fd, uid, gid) < 0 ? -errno : 0;
}

int
owner_set(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), r;

	if (fd < 0) {
		return -errno;
	}
	r = set(fd, uid, gid, mode);
	close(fd);
	return r;
}
