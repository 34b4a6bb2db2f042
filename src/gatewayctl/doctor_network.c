/* SPDX-License-Identifier: BSD-2-Clause */
/* Where devices connect: is the port free or ours, does a firewall stand before it. */
#include "doctor_int.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- who has a port --------------------------------------------------------------- */

/* The inode of a socket that listens on that port; 0: none in this table. */
static unsigned long
listening_inode(const char *table, unsigned port)
{
	char line[512];
	unsigned long found = 0;
	FILE *in = fopen(table, "re");

	while (in != NULL && found == 0 && fgets(line, sizeof line, in) != NULL) {
		unsigned local, state;
		unsigned long inode;

		if (sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*d %*d %lu",
			   &local, &state, &inode) == 3 &&
		    local == port && state == 0x0a) {
			found = inode;
		}
	}
	if (in != NULL) {
		fclose(in);
	}
	return found;
}

static bool
process_has(const char *pid, const char *target)
{
	char folder[300], path[600], link[64];
	const struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(folder, sizeof folder, "/proc/%s/fd", pid);
	dir = opendir(folder);
	while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
		ssize_t n;

		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		n = readlink(path, link, sizeof link - 1);
		link[n > 0 ? n : 0] = '\0';
		found = strcmp(link, target) == 0;
	}
	if (dir != NULL) {
		closedir(dir);
	}
	return found;
}

/* "mosquitto, process 812", or "another program" when we may not see. */
static void
port_holder(unsigned port, char *text, size_t size)
{
	unsigned long inode = listening_inode("/proc/net/tcp", port);
	char target[64], path[300];
	const struct dirent *entry;
	DIR *dir;

	snprintf(text, size, "another program");
	inode = inode != 0 ? inode : listening_inode("/proc/net/tcp6", port);
	dir = inode != 0 ? opendir("/proc") : NULL;
	snprintf(target, sizeof target, "socket:[%lu]", inode);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    process_has(entry->d_name, target)) {
			char *name;

			snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
			name = doctor_read_text(path, 64);
			if (name != NULL) {
				name[strcspn(name, "\n")] = '\0';
			}
			snprintf(text, size, "%.32s, process %.16s", name != NULL ? name : "?",
				 entry->d_name);
			free(name);
			break;
		}
	}
	if (dir != NULL) {
		closedir(dir);
	}
}

/* ---- listeners ------------------------------------------------------------------ */

/* Could we listen there? 0 or a negative errno. Nobody notices. */
static int
try_bind(const struct conf_listener *listener)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(listener->port) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(listener->port) };
	bool is6 = strchr(listener->address, ':') != NULL;
	int fd, r = 0, on = 1;

	if (inet_pton(is6 ? AF_INET6 : AF_INET, listener->address,
		      is6 ? (void *)&six.sin6_addr : (void *)&four.sin_addr) != 1) {
		return -EINVAL;
	}
	fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return -errno;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    bind(fd, is6 ? (const struct sockaddr *)&six : (const struct sockaddr *)&four,
		 is6 ? sizeof six : sizeof four) < 0) {
		r = -errno;
	}
	close(fd);
	return r;
}

static bool
daemon_listens(const struct doctor *d, unsigned port)
{
	const struct doc *list = doc_get(d->status, "listeners");

	for (size_t i = 0; i < doc_count(list); i++) {
		if (doc_get_int(doc_at(list, i), "port", 0) == (int64_t)port) {
			return true;
		}
	}
	return false;
}

static void
check_listener(struct doctor *d, const struct conf_listener *listener)
{
	char holder[128];
	int r;

	if (listener->port == 0 || daemon_listens(d, listener->port)) {
		doctor_ok(d, "gatewayd listens at %s port %u.", listener->address, listener->port);
		return;
	}
	r = try_bind(listener);
	if (r == -EADDRINUSE) {
		port_holder(listener->port, holder, sizeof holder);
		doctor_fault(d, "Port %u is taken by %s.", listener->port, holder);
		doctor_remedy(
			d,
			"Stop that program, or choose another port in listeners; Mosquitto's own "
			"TLS listener must go when the gateway takes its port.");
	} else if (r == -EADDRNOTAVAIL) {
		doctor_fault(d, "This host has no address %s.", listener->address);
		doctor_remedy(d, "Correct the address in listeners; \"::\" takes all.");
	} else if (r == -EACCES && listener->port < 1024) {
		doctor_warn(d, "Port %u is below 1024: only a process with a capability gets it.",
			    listener->port);
		doctor_remedy(d, "Use 8883, or give gatewayd CAP_NET_BIND_SERVICE.");
	} else if (r != 0) {
		doctor_warn(d, "%s port %u: %s.", listener->address, listener->port, err_text(r));
	} else if (d->status != NULL) {
		doctor_fault(d, "gatewayd runs, but does not listen at %s port %u.",
			     listener->address, listener->port);
		doctor_remedy(d,
			      "Listeners change with a restart only: systemctl restart gatewayd");
	} else {
		doctor_ok(d, "%s port %u is free for gatewayd.", listener->address, listener->port);
	}
}

void
doctor_network_ports(struct doctor *d)
{
	for (size_t i = 0; i < d->conf->listener_count; i++) {
		check_listener(d, &d->conf->listener[i]);
	}
}

void
doctor_network_reuseport(struct doctor *d)
{
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) {
		doctor_fault(d,
			     "The kernel does not let several workers share a port (SO_REUSEPORT): "
			     "%s.",
			     err_text(-errno));
		doctor_remedy(d, "Linux 3.9 or later is needed.");
	} else {
		doctor_ok(d, "Workers can share a port.");
	}
	if (fd >= 0) {
		close(fd);
	}
}

/* ---- firewall ------------------------------------------------------------------- */

static bool
text_has(const struct doctor *d, const char *file, const char *text)
{
	char path[4096];
	char *content;
	bool found;

	doctor_path(d, file, path, sizeof path);
	content = doctor_read_text(path, 256 * 1024);
	found = content != NULL && strstr(content, text) != NULL;
	free(content);
	return found;
}

static bool
is_there(const struct doctor *d, const char *file)
{
	char path[4096];

	doctor_path(d, file, path, sizeof path);
	return access(path, F_OK) == 0;
}

/* Which one is in use, by the traces that everybody may see. */
void
doctor_network_firewall(struct doctor *d)
{
	unsigned port = d->conf->listener_count > 0 && d->conf->listener[0].port > 0
				? d->conf->listener[0].port
				: 8883;
	char rule[64];

	snprintf(rule, sizeof rule, "--dport %u ", port);
	if (text_has(d, "/etc/ufw/ufw.conf", "ENABLED=yes")) {
		if (text_has(d, "/etc/ufw/user.rules", rule)) {
			doctor_ok(d, "ufw has a rule for port %u.", port);
			return;
		}
		doctor_warn(
			d,
			"The firewall ufw is in use; whether it lets devices reach port %u cannot "
			"be seen from here.",
			port);
		doctor_remedy(d, "ufw allow %u/tcp", port);
	} else if (is_there(d, "/run/firewalld") || is_there(d, "/run/firewalld.pid")) {
		doctor_warn(
			d,
			"The firewall firewalld is in use; whether it lets devices reach port %u "
			"cannot be seen from here.",
			port);
		doctor_remedy(d,
			      "firewall-cmd --permanent --add-port=%u/tcp && firewall-cmd --reload",
			      port);
	} else if (is_there(d, "/etc/systemd/system/sysinit.target.wants/nftables.service") &&
		   text_has(d, "/etc/nftables.conf", "hook input") &&
		   text_has(d, "/etc/nftables.conf", "drop")) {
		doctor_warn(
			d,
			"nftables filters what comes in; whether it lets devices reach port %u is "
			"for you to see.",
			port);
		doctor_remedy(d, "In the input chain of /etc/nftables.conf: tcp dport %u accept",
			      port);
	} else {
		doctor_ok(d, "No firewall of this host is known to be in use.");
	}
}
