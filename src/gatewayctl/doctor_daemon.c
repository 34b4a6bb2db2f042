/* SPDX-License-Identifier: BSD-2-Clause */
/* The running daemon: is it there, is it ours, is it up to date. */
#include "doctor_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "text.h"

#define FILES_BESIDES 64 /* listeners, register, control socket, workers */

void
doctor_daemon_running(struct doctor *d)
{
	char since[TEXT_SIZE];

	if (d->status != NULL) {
		doctor_ok(d, "gatewayd %s, process %d, since %s.",
			  doc_get_text(d->status, "version", "?"),
			  (int)doc_get_int(d->status, "pid", 0),
			  text_time(doc_get_int(d->status, "started", 0), since));
	} else if (d->daemon_code == -EACCES || d->daemon_code == -EPERM) {
		doctor_skip(d, "%s", d->daemon_why);
		doctor_remedy(d,
			      "Run the doctor as root, or join the group of the control socket.");
	} else {
		doctor_warn(d, "%s", d->daemon_why);
		doctor_remedy(d, "If it does not start: journalctl -u gatewayd");
	}
}

/* ---- its configuration ---------------------------------------------------------- */

/* Do both names lead to one file? */
static bool
same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool
is_newer(const char *file, int64_t than)
{
	struct stat st;

	return file != NULL && stat(file, &st) == 0 && (int64_t)st.st_mtime > than;
}

void
doctor_daemon_configuration(struct doctor *d)
{
	const char *own = d->cli->file != NULL ? d->cli->file : CONF_DEFAULT_FILE;
	const char *its = doc_get_text(d->status, "configuration", "");
	int64_t read_at = doc_get_int(d->status, "reloaded", doc_get_int(d->status, "started", 0));
	struct doctor_names names = { .count = 0 };

	if (its[0] == '/' && !same_file(its, own)) {
		doctor_warn(d, "gatewayd uses %s, the doctor looks at %s.", its, own);
		doctor_remedy(d, "gatewayctl -c %s doctor", its);
		return;
	}
	if (is_newer(own, read_at)) {
		doctor_names_add(&names, own);
	}
	if (d->conf != NULL) {
		const char *files[] = { d->conf->tls.certificate, d->conf->tls.key, d->conf->tls.ca,
					d->conf->tls.crl };

		for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
			if (is_newer(files[i], read_at)) {
				doctor_names_add(&names, files[i]);
			}
		}
	}
	if (names.count > 0) {
		doctor_warn(d,
			    "Changed since gatewayd started, and in force only if it was reloaded "
			    "meanwhile: %s.",
			    doctor_names_text(&names));
		doctor_remedy(d, "gatewayctl reload");
	} else {
		doctor_ok(d, "gatewayd uses %s as it is.", own);
	}
}

/* ---- control socket ------------------------------------------------------------- */

void
doctor_daemon_socket(struct doctor *d)
{
	const char *path =
		d->cli->socket != NULL ? d->cli->socket : d->conf->gateway.control_socket;
	char mode[64];
	struct stat st;

	if (stat(path, &st) < 0) {
		if (errno == ENOENT && d->status == NULL) {
			doctor_skip(d, "Not checked: %s appears with gatewayd.", path);
		} else {
			doctor_skip(d, "Not checked: %s: %s.", path, err_text(-errno));
		}
		return;
	}
	doctor_mode_text(&st, mode);
	if (!S_ISSOCK(st.st_mode)) {
		doctor_fault(d, "%s is in the way of the control socket.", path);
		doctor_remedy(d, "Move it away, or set gateway.control_socket.");
	} else if ((st.st_mode & 07) != 0) {
		doctor_fault(d, "Everybody on this host may command gatewayd: %s (%s).", path,
			     mode);
		doctor_remedy(d, "chmod 0660 %s, and find out who changed it.", path);
	} else {
		doctor_ok(d, "%s (%s).", path, mode);
	}
}

/* ---- limits --------------------------------------------------------------------- */

/* The soft limit of open files; 0: unknown, UINT64_MAX: unlimited. */
static uint64_t
open_files(int pid)
{
	static const char key[] = "Max open files";
	char path[64];
	char *text, *at;
	uint64_t limit = 0;

	snprintf(path, sizeof path, "/proc/%d/limits", pid);
	text = doctor_read_text(path, 8192);
	at = text != NULL ? strstr(text, key) : NULL;
	if (at != NULL) {
		at += sizeof key - 1;
		at += strspn(at, " ");
		limit = strncmp(at, "unlimited", 9) == 0 ? UINT64_MAX : strtoull(at, NULL, 10);
	}
	free(text);
	return limit;
}

void
doctor_daemon_limits(struct doctor *d)
{
	uint64_t need = (uint64_t)d->conf->limits.connections * 2 + FILES_BESIDES;
	uint64_t have = open_files((int)doc_get_int(d->status, "pid", 0));

	if (have == 0) {
		doctor_skip(d, "Not checked: the limits of gatewayd cannot be read.");
		doctor_remedy(d, "Run the doctor as root.");
	} else if (have < need) {
		doctor_warn(d,
			    "gatewayd may open %" PRIu64
			    " files; limits.connections = %u needs %" PRIu64
			    " (two sockets per device).",
			    have, d->conf->limits.connections, need);
		doctor_remedy(d, "systemctl edit gatewayd: [Service] LimitNOFILE=%" PRIu64, need);
	} else {
		doctor_ok(d, "Enough for %u devices.", d->conf->limits.connections);
	}
}
