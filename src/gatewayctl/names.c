/* SPDX-License-Identifier: BSD-2-Clause */
#include "names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"

#define NAME_SIZE 254 /* RFC 1035: 253 characters */

/* The one form of an IP literal (RFC 5952). False: it is none. */
static bool
normal_address(const char *text, char *out)
{
	struct in6_addr address;
	int family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;

	return inet_pton(family, text, &address) == 1 &&
	       inet_ntop(family, &address, out, INET6_ADDRSTRLEN) != NULL;
}

bool
names_is_address(const char *name)
{
	char text[INET6_ADDRSTRLEN];

	return normal_address(name, text);
}

/* Letters, digits and hyphens in labels of 1 to 63 (RFC 1123 2.1). */
static bool
is_host_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                              "0123456789-";
	size_t len = strlen(name);

	if (len == 0 || len >= NAME_SIZE) {
		return false;
	}
	for (;;) {
		size_t label = strspn(name, allowed);

		if (label == 0 || label > 63 || name[0] == '-' || name[label - 1] == '-') {
			return false;
		}
		name += label;
		if (*name == '\0') {
			return true;
		}
		if (*name++ != '.') {
			return false;
		}
	}
}

bool
names_contain(const struct names *names, const char *name)
{
	char normal[INET6_ADDRSTRLEN];

	if (normal_address(name, normal)) {
		name = normal;
	}
	for (unsigned i = 0; i < names->count; i++) {
		if (strcasecmp(names->list[i], name) == 0) {
			return true;
		}
	}
	return false;
}

int
names_add(struct names *names, const char *name)
{
	char normal[INET6_ADDRSTRLEN];

	if (normal_address(name, normal)) {
		name = normal;
	} else if (!is_host_name(name)) {
		return ERR_MALFORMED;
	}
	if (names_contain(names, name)) {
		return 0;
	}
	if (names->count == NAMES_MAX) {
		return ERR_LIMIT;
	}
	names->list[names->count] = strdup(name);
	if (names->list[names->count] == NULL) {
		return -ENOMEM;
	}
	names->count++;
	return 1;
}

/* A host may carry a name that no certificate can hold: skip it. */
static int
add_found(struct names *names, const char *name)
{
	int r = names_add(names, name);

	return r == ERR_MALFORMED ? 0 : r;
}

static int
add_host(struct names *names)
{
	const struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM };
	char host[NAME_SIZE] = "", local[NAME_SIZE + 8];
	struct addrinfo *info;
	int r;

	if (gethostname(host, sizeof host - 1) < 0) {
		return -errno;
	}
	r = add_found(names, host);
	if (r >= 0 && getaddrinfo(host, NULL, &hints, &info) == 0) {
		if (info->ai_canonname != NULL) {
			r = add_found(names, info->ai_canonname);
		}
		freeaddrinfo(info);
	}
	if (r >= 0) {
		/* What mDNS announces: the first label only. */
		snprintf(local, sizeof local, "%.*s.local", (int)strcspn(host, "."), host);
		r = add_found(names, local);
	}
	return r;
}

static int
add_addresses(struct names *names)
{
	struct ifaddrs *list;
	int r = 0;

	if (getifaddrs(&list) < 0) {
		return -errno;
	}
	for (const struct ifaddrs *i = list; i != NULL && r >= 0; i = i->ifa_next) {
		char text[INET6_ADDRSTRLEN];
		const void *address = NULL;
		int family = i->ifa_addr != NULL ? i->ifa_addr->sa_family : AF_UNSPEC;

		if (family == AF_INET) {
			address = &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
		} else if (family == AF_INET6) {
			const struct in6_addr *six =
			        &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;

			/* Link-local ones need a zone, which no client can name. */
			address = IN6_IS_ADDR_LINKLOCAL(six) ? NULL : six;
		}
		if (address != NULL && (i->ifa_flags & IFF_LOOPBACK) == 0 &&
		    inet_ntop(family, address, text, sizeof text) != NULL) {
			r = names_add(names, text);
		}
	}
	freeifaddrs(list);
	return r;
}

int
names_discover(struct names *names)
{
	static const char *const loopback[] = { "localhost", "127.0.0.1", "::1" };
	int r = add_host(names);

	if (r >= 0) {
		r = add_addresses(names);
	}
	for (size_t i = 0; i < sizeof loopback / sizeof loopback[0] && r >= 0; i++) {
		r = names_add(names, loopback[i]);
	}
	return r < 0 ? r : 0;
}

int
names_read(struct names *names, const char *file)
{
	char line[NAME_SIZE + 2];
	FILE *in = fopen(file, "re");
	int r = 0;

	if (in == NULL) {
		return errno == ENOENT ? 0 : -errno;
	}
	while (r >= 0 && fgets(line, sizeof line, in) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		r = names_add(names, line);
	}
	if (r >= 0 && ferror(in)) {
		r = -EIO;
	}
	fclose(in);
	return r < 0 ? r : 0;
}

int
names_write(const struct names *names, const char *file, char *why)
{
	struct buf text = { 0 };
	int r = 0;

	for (unsigned i = 0; i < names->count && r == 0; i++) {
		r = buf_append(&text, span_str(names->list[i]));
		if (r == 0) {
			r = buf_append(&text, span_str("\n"));
		}
	}
	if (r == 0) {
		r = pki_write_file(file, 0644, buf_span(&text), why);
	} else {
		snprintf(why, PKI_WHY_SIZE, "out of memory");
	}
	buf_release(&text);
	return r;
}

void
names_clear(struct names *names)
{
	for (unsigned i = 0; i < names->count; i++) {
		free(names->list[i]);
	}
	names->count = 0;
}
