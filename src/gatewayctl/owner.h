/* SPDX-License-Identifier: BSD-2-Clause */
/* Who a file of the gateway belongs to, and who may read it. */
#ifndef GATEWAYCTL_OWNER_H
#define GATEWAYCTL_OWNER_H

#include <sys/types.h>

#include "base/err.h"

/*
 * Owner and mode of a file or folder that is no symbolic link: who may write
 * to the folder around it could let such a link point at any file of the host.
 * 0, -ELOOP (a link, or neither file nor folder: nothing was changed), -ENOENT
 * or another negative errno.
 */
int owner_set(const char *path, uid_t uid, gid_t gid, mode_t mode) MUST_CHECK;

#endif
