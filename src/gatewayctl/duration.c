/* SPDX-License-Identifier: BSD-2-Clause */
#include "duration.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	int64_t seconds;
} unit[] = {
	{ "s", 1 },     { "min", 60 },        { "m", 60 },         { "h", 3600 },
	{ "d", 86400 }, { "w", 7 * 86400LL }, { "y", 365 * 86400LL },
};

int
duration_parse(const char *text, int64_t *out)
{
	int64_t number = 0;
	size_t digits = strspn(text, "0123456789");

	/* Ten digits cannot overflow, and are more than anybody means. */
	if (digits == 0 || digits > 10) {
		return ERR_MALFORMED;
	}
	for (size_t i = 0; i < digits; i++) {
		number = number * 10 + (text[i] - '0');
	}
	for (size_t i = 0; i < sizeof unit / sizeof unit[0]; i++) {
		if (strcmp(text + digits, unit[i].name) == 0) {
			if (number > DURATION_MAX / unit[i].seconds) {
				return ERR_MALFORMED;
			}
			*out = number * unit[i].seconds;
			return 0;
		}
	}
	return ERR_MALFORMED;
}
