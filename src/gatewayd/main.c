/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>

int
main(void)
{
	puts("gatewayd " PACKAGE_VERSION);
	return 0;
}
