/* SPDX-License-Identifier: BSD-2-Clause */
/* The names and addresses that the gateway's certificate must hold. */
#ifndef GATEWAYCTL_NAMES_H
#define GATEWAYCTL_NAMES_H

#include <stdbool.h>

#include "pki/pki.h"

#define NAMES_MAX 64

struct names {
	char *list[NAMES_MAX]; /* host names and IP literals, in order, none twice */
	unsigned count;
};

/*
 * 1: added; 0: was there already (host names without regard to case, IP
 * addresses by value); ERR_MALFORMED: neither a host name nor an address,
 * ERR_LIMIT, -ENOMEM.
 */
int names_add(struct names *names, const char *name) MUST_CHECK;
/* Add host name, FQDN, NAME.local, localhost and every address. 0 or an error. */
int names_discover(struct names *names) MUST_CHECK;
/*
 * The names of the last certificate, one per line. Read: 0 also when there is
 * no such file. A line that is no name is an error.
 */
int names_read(struct names *names, const char *file) MUST_CHECK;
int names_write(const struct names *names, const char *file, char *why) MUST_CHECK;
bool names_contain(const struct names *names, const char *name);
bool names_is_address(const char *name);
void names_clear(struct names *names);

#endif
