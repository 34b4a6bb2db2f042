/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>

int
main(void)
{
	puts("gatewayctl " PACKAGE_VERSION);
	return 0;
}
