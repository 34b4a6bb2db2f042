/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/text.h"

struct sink {
	char *at, *end; /* end: of the terminator */
};

static void
put(struct sink *s, char c)
{
	if (s->at < s->end) {
		*s->at++ = c;
	}
}

static void
put_number(struct sink *s, unsigned long value, unsigned base, unsigned width)
{
	char digits[3 * sizeof value];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	for (; width > n; width--) {
		put(s, '0');
	}
	while (n > 0) {
		put(s, digits[--n]);
	}
}

static void
put_signed(struct sink *s, long value, unsigned width)
{
	if (value < 0) {
		put(s, '-');
	}
	put_number(s, value < 0 ? 0ul - (unsigned long)value : (unsigned long)value, 10, width);
}

/* One conversion; format points behind the percent sign. Returns where it ends. */
static const char *
put_conversion(struct sink *s, const char *format, va_list *args)
{
	unsigned width = 0;
	bool is_long = false;

	if (format[0] == '0' && format[1] >= '1' && format[1] <= '9') {
		width = (unsigned)(format[1] - '0');
		format += 2;
	}
	if (*format == 'l') {
		is_long = true;
		format++;
	}
	switch (*format) {
	case 's':
		for (const char *text = va_arg(*args, const char *); *text != '\0'; text++) {
			put(s, *text);
		}
		break;
	case 'c':
		put(s, (char)va_arg(*args, int));
		break;
	case 'd':
		put_signed(s, is_long ? va_arg(*args, long) : va_arg(*args, int), width);
		break;
	case 'u':
	case 'x':
		put_number(s, is_long ? va_arg(*args, unsigned long) : va_arg(*args, unsigned),
		           *format == 'u' ? 10 : 16, width);
		break;
	default:
		put(s, *format);
	}
	return *format != '\0' ? format + 1 : format;
}

size_t
text_vformat(char *out, size_t room, const char *format, va_list args)
{
	struct sink s = { out, out + room - 1 };
	va_list copy; /* an array on some hosts, so not to be pointed at as a parameter */

	va_copy(copy, args);
	while (*format != '\0') {
		if (*format != '%') {
			put(&s, *format++);
		} else {
			format = put_conversion(&s, format + 1, &copy);
		}
	}
	va_end(copy);
	*s.at = '\0';
	return (size_t)(s.at - out);
}

size_t
text_format(char *out, size_t room, const char *format, ...)
{
	va_list args;
	size_t n;

	va_start(args, format);
	n = text_vformat(out, room, format, args);
	va_end(args);
	return n;
}

void
text_hex(char *out, const uint8_t *data, size_t n)
{
	for (; n > 0; n--, data++) {
		*out++ = "0123456789ABCDEF"[*data >> 4];
		*out++ = "0123456789ABCDEF"[*data & 0xF];
	}
	*out = '\0';
}

static char
base64_digit(uint32_t value)
{
	value &= 63;
	if (value < 52) {
		return (char)(value < 26 ? 'A' + value : 'a' + (value - 26));
	}
	return value < 62 ? (char)('0' + (value - 52)) : "+/"[value - 62];
}

void
text_base64(char *out, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t three = (uint32_t)data[i] << 16 | (uint32_t)(left > 1 ? data[i + 1] : 0) << 8 |
		                 (uint32_t)(left > 2 ? data[i + 2] : 0);

		*out++ = base64_digit(three >> 18);
		*out++ = base64_digit(three >> 12);
		*out++ = left > 1 ? base64_digit(three >> 6) : '=';
		*out++ = left > 2 ? base64_digit(three) : '=';
	}
	*out = '\0';
}
