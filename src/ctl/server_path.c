/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket in the file system: made without a moment in which it is
 * open to others, never taken from a daemon that lives.
 */
#include "ctl/server_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/path.h"

static int
say(char *why, int code, const char *what, const char *path)
{
	snprintf(why, CTL_WHY_SIZE, "%s %.150s: %s", what, path, err_text(code));
	return code;
}

static int
say_taken(char *why, const char *path)
{
	snprintf(why, CTL_WHY_SIZE, "another gatewayd is running: it answers at %.150s", path);
	return ERR_EXISTS;
}

/* The lock decides between two daemons that start at the same time. */
static int
take_lock(struct ctl_path *path, char *why)
{
	char *file;

	if (asprintf(&file, "%s.lock", path->name) < 0) {
		return -ENOMEM;
	}
	path->lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (path->lock < 0) {
		int r = say(why, -errno, "cannot open", file);

		free(file);
		return r;
	}
	free(file);
	if (flock(path->lock, LOCK_EX | LOCK_NB) < 0) {
		return errno == EWOULDBLOCK ? say_taken(why, path->name) :
		                              say(why, -errno, "cannot lock", path->name);
	}
	return 0;
}

/* 0: nobody listens and the path is free (a stale socket was removed). */
static int
clear_path(const char *name, const struct sockaddr_un *address, char *why)
{
	struct stat st;
	int fd, error;

	if (lstat(name, &st) < 0) {
		return errno == ENOENT ? 0 : say(why, -errno, "cannot look at", name);
	}
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(why, CTL_WHY_SIZE, "%.150s is there and is no socket: remove it", name);
		return ERR_EXISTS;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return say(why, -errno, "cannot make a socket for", name);
	}
	error = connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? errno : 0;
	close(fd);
	if (error == 0 || error == EAGAIN || error == EINPROGRESS) {
		return say_taken(why, name);
	}
	if (error != ECONNREFUSED) {
		return say(why, -error, "cannot tell whether a daemon listens at", name);
	}
	if (unlink(name) < 0 && errno != ENOENT) {
		return say(why, -errno, "cannot remove the stale socket", name);
	}
	return 0;
}

static int
bind_socket(struct ctl_path *path, const struct sockaddr_un *address, int backlog, int *out,
            char *why)
{
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int r;

	if (fd < 0) {
		return say(why, -errno, "cannot make a socket for", path->name);
	}
	mask = umask(0117); /* 0660 from the first moment */
	r = bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;
	umask(mask);
	if (r == 0 && lstat(path->name, &st) < 0) {
		r = -errno;
	}
	if (r == 0 && listen(fd, backlog) < 0) {
		r = -errno;
	}
	if (r < 0) {
		close(fd);
		return say(why, r, "cannot listen at", path->name);
	}
	path->dev = st.st_dev;
	path->ino = st.st_ino;
	path->group = st.st_gid;
	*out = fd;
	return 0;
}

int
ctl_path_listen(struct ctl_path *path, const char *name, int backlog, int *fd, char *why)
{
	struct sockaddr_un address;
	int r = ctl_path_address(name, &address, why);

	*path = (struct ctl_path){ .lock = -1 };
	if (r < 0) {
		return r;
	}
	path->name = strdup(name);
	if (path->name == NULL) {
		return say(why, -ENOMEM, "cannot listen at", name);
	}
	r = take_lock(path, why);
	if (r == 0) {
		r = clear_path(name, &address, why);
	}
	if (r == 0) {
		r = bind_socket(path, &address, backlog, fd, why);
	}
	if (r < 0) {
		ctl_path_release(path);
	}
	return r;
}

void
ctl_path_release(struct ctl_path *path)
{
	struct stat st;

	if (path->ino != 0 && lstat(path->name, &st) == 0 && st.st_dev == path->dev &&
	    st.st_ino == path->ino) {
		unlink(path->name);
	}
	if (path->lock >= 0) {
		close(path->lock);
	}
	free(path->name);
	*path = (struct ctl_path){ .lock = -1 };
}

/* Is the group among the peer's supplementary ones? */
static bool
in_groups(int fd, gid_t group)
{
	gid_t *list = NULL;
	socklen_t size = 0;
	bool found = false;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0 || errno != ERANGE) {
		return false;
	}
	list = malloc(size);
	if (list != NULL && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, list, &size) == 0) {
		for (size_t i = 0; i < size / sizeof *list; i++) {
			found = found || list[i] == group;
		}
	}
	free(list);
	return found;
}

int
ctl_path_peer(int fd, gid_t group, struct ctl_peer *out, bool *member)
{
	struct ucred cred;
	socklen_t size = sizeof cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0) {
		return -errno;
	}
	*out = (struct ctl_peer){ .uid = cred.uid, .gid = cred.gid, .pid = cred.pid };
	*member = cred.gid == group || in_groups(fd, group);
	return 0;
}
