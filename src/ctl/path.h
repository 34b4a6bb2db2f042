/* SPDX-License-Identifier: BSD-2-Clause */
/* The address of the control socket, for both sides. */
#ifndef GATEWAY_CTL_PATH_H
#define GATEWAY_CTL_PATH_H

#include <sys/un.h>

#include "base/err.h"

#define CTL_WHY_SIZE 256

/*
 * 0 or -ENAMETOOLONG, -EINVAL (empty), with a sentence: sun_path holds 107
 * bytes, and a longer path would silently name another file.
 */
int ctl_path_address(const char *path, struct sockaddr_un *out, char *why) MUST_CHECK;

#endif
