/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int
ctl_path_address(const char *path, struct sockaddr_un *out, char *why)
{
	size_t len = strlen(path);

	if (len == 0) {
		snprintf(why, CTL_WHY_SIZE, "the path of the control socket is empty");
		return -EINVAL;
	}
	if (len >= sizeof out->sun_path) {
		snprintf(why, CTL_WHY_SIZE,
		         "the path of the control socket has %zu bytes, the system allows %zu: "
		         "choose a shorter gateway.control_socket",
		         len, sizeof out->sun_path - 1);
		return -ENAMETOOLONG;
	}
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(out->sun_path, path, len);
	return 0;
}
