/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/value.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

struct suffix {
	const char *text;
	int64_t factor;
};

/* Greatest first: value_show() takes the first that divides. */
static const struct suffix times[] = {
	{ "d", INT64_C(86400000) },
	{ "h", 3600000 },
	{ "min", 60000 },
	{ "s", 1000 },
	{ "ms", 1 },
	{ NULL, 0 },
};

static const struct suffix sizes[] = {
	{ "GiB", INT64_C(1) << 30 },
	{ "MiB", INT64_C(1) << 20 },
	{ "KiB", INT64_C(1) << 10 },
	{ "B", 1 },
	{ NULL, 0 },
};

static const struct suffix *
suffixes(enum value_unit unit)
{
	return unit == VALUE_BYTES ? sizes : unit == VALUE_PLAIN ? NULL : times;
}

/* Length of the digits; 0 when there are none or the number is too great. */
static size_t
digits(struct span text, int64_t *number)
{
	size_t n = 0;

	*number = 0;
	for (; n < text.len && text.ptr[n] >= '0' && text.ptr[n] <= '9'; n++) {
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, text.ptr[n] - '0', number)) {
			return 0;
		}
	}
	return n;
}

bool
value_parse(struct span text, enum value_unit unit, int64_t *out, const char **why)
{
	const struct suffix *suffix = suffixes(unit);
	int64_t number;
	size_t n = digits(text, &number);
	int64_t scale = unit == VALUE_SECONDS ? 1000 : 1;

	*why = unit == VALUE_BYTES ? "write a number and B, KiB, MiB or GiB" :
	       unit == VALUE_PLAIN ? "write a number" :
	                             "write a number and ms, s, min, h or d";
	if (n == 0) {
		return false;
	}
	text = span_skip(text, n);
	if (text.len == 0) {
		*out = number;
		return true;
	}
	if (text.ptr[0] == ' ') {
		text = span_skip(text, 1);
	}
	while (suffix != NULL && suffix->text != NULL && !span_eq_str(text, suffix->text)) {
		suffix++;
	}
	if (suffix == NULL || suffix->text == NULL ||
	    __builtin_mul_overflow(number, suffix->factor, &number)) {
		return false;
	}
	if (number % scale != 0) {
		*why = "only whole seconds count here";
		return false;
	}
	*out = number / scale;
	return true;
}

char *
value_show(int64_t value, enum value_unit unit, char *text)
{
	const struct suffix *suffix = suffixes(unit);

	if (unit == VALUE_SECONDS) {
		value *= 1000;
	}
	while (suffix != NULL && suffix->factor > 1 && value % suffix->factor != 0) {
		suffix++;
	}
	if (value == 0 || suffix == NULL || suffix->text == NULL || suffix->text[0] == 'B') {
		snprintf(text, VALUE_TEXT_SIZE, "%" PRId64, value);
	} else {
		snprintf(text, VALUE_TEXT_SIZE, "%" PRId64 "%s", value / suffix->factor,
		         suffix->text);
	}
	return text;
}

/* The address in 16 bytes, IPv4 as ::ffff:a.b.c.d. */
static bool
address_bytes(const char *text, uint8_t bytes[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (inet_pton(AF_INET6, text, bytes) == 1) {
		return true;
	}
	memcpy(bytes, mapped, sizeof mapped);
	return inet_pton(AF_INET, text, bytes + sizeof mapped) == 1;
}

bool
value_is_address(const char *text)
{
	uint8_t bytes[16];

	return address_bytes(text, bytes);
}

bool
value_is_loopback(const char *text)
{
	static const uint8_t six[16] = { [15] = 1 };
	static const uint8_t four[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 };
	uint8_t bytes[16];

	return address_bytes(text, bytes) && (memcmp(bytes, six, sizeof six) == 0 ||
	                                      memcmp(bytes, four, sizeof four) == 0);
}

bool
value_same_address(const char *a, const char *b)
{
	uint8_t x[16], y[16];

	return address_bytes(a, x) && address_bytes(b, y) && memcmp(x, y, sizeof x) == 0;
}

char *
value_quote(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (; text[n] != '\0' && n + 1 < size; n++) {
		out[n] = text[n] >= ' ' && text[n] < 0x7f ? text[n] : '?';
	}
	out[n] = '\0';
	if (text[n] != '\0' && size > 3) {
		memcpy(out + size - 4, "...", 4);
	}
	return out;
}
