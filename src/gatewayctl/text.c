/* SPDX-License-Identifier: BSD-2-Clause */
#include "text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/clock.h"
#include "base/utf8.h"

/* The character at the front; 0 bytes when it is not well formed. */
static size_t
decode(const char *text, uint32_t *code)
{
	static const uint8_t mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	size_t left = strnlen(text, 4);

	for (size_t n = 1; n <= left; n++) {
		if (utf8_valid(span_of(text, n))) {
			*code = (uint8_t)text[0] & mask[n];
			for (size_t i = 1; i < n; i++) {
				*code = *code << 6 | ((uint8_t)text[i] & 0x3f);
			}
			return n;
		}
	}
	*code = (uint8_t)text[0];
	return 0;
}

/* Controls, line and paragraph separators, marks that turn the direction. */
static bool
unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c || c == 0x200e ||
	       c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
	       c == 0xfeff;
}

/* Most texts are: then there is nothing to escape, and a byte is a column. */
static bool
is_plain(const char *text)
{
	while (*text >= 0x20 && *text < 0x7f) {
		text++;
	}
	return *text == '\0';
}

char *
text_escape(const char *text, int keep_lines)
{
	size_t size = 0;
	char *made = NULL;
	FILE *out;

	if (is_plain(text)) {
		return strdup(text);
	}
	out = open_memstream(&made, &size);
	if (out == NULL) {
		return NULL;
	}
	while (*text != '\0') {
		uint32_t code;
		size_t n = decode(text, &code);

		if (n == 0 || (n == 1 && unsafe(code) && !(keep_lines && code == '\n'))) {
			fprintf(out, "\\x%02x", (unsigned)code);
			n = 1;
		} else if (n > 1 && unsafe(code)) {
			fprintf(out, "\\u{%x}", (unsigned)code);
		} else {
			fwrite(text, 1, n, out);
		}
		text += n;
	}
	if (fclose(out) != 0) {
		free(made);
		return NULL;
	}
	return made;
}

size_t
text_width(const char *text)
{
	size_t width = 0;

	if (is_plain(text)) {
		return strlen(text);
	}
	while (*text != '\0') {
		uint32_t code;
		size_t n = decode(text, &code);
		int columns = wcwidth((wchar_t)code);

		width += columns >= 0 ? (size_t)columns : 1;
		text += n > 0 ? n : 1;
	}
	return width;
}

static char *
format_time(int64_t wall, bool clock, char *out)
{
	time_t when = (time_t)wall;
	struct tm tm;

	if (wall <= 0 || localtime_r(&when, &tm) == NULL ||
	    strftime(out, TEXT_SIZE, clock ? "%Y-%m-%d %H:%M" : "%Y-%m-%d", &tm) == 0) {
		strcpy(out, "-");
	}
	return out;
}

char *
text_time(int64_t wall, char *out)
{
	return format_time(wall, true, out);
}

char *
text_date(int64_t wall, char *out)
{
	return format_time(wall, false, out);
}

char *
text_ago(int64_t wall, char *out)
{
	static const struct {
		int64_t below, unit;
		const char *one, *many;
	} scale[] = {
		{ 120, 1, "s", "s" },
		{ 2 * 3600, 60, "min", "min" },
		{ 2 * 86400, 3600, "h", "h" },
		{ 730 * 86400LL, 86400, "day", "days" },
		{ INT64_MAX, 31556952, "year", "years" },
	};
	int64_t now = clock_wall();
	int64_t distance = wall > now ? wall - now : now - wall;
	size_t i = 0;

	if (wall <= 0) {
		return strcpy(out, "-");
	}
	if (distance < 2) {
		return strcpy(out, "now");
	}
	while (distance >= scale[i].below) {
		i++;
	}
	distance /= scale[i].unit;
	snprintf(out, TEXT_SIZE, "%s%" PRId64 " %s%s", wall > now ? "in " : "", distance,
	         distance == 1 ? scale[i].one : scale[i].many, wall > now ? "" : " ago");
	return out;
}

char *
text_bytes(int64_t bytes, char *out)
{
	static const char *const unit[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(out, TEXT_SIZE, "%" PRId64 " B", bytes > 0 ? bytes : 0);
		return out;
	}
	/* 1023.95 would be printed as 1024.0. */
	while (value >= 1023.95 && i + 1 < sizeof unit / sizeof unit[0]) {
		value /= 1024;
		i++;
	}
	snprintf(out, TEXT_SIZE, "%.1f %s", value, unit[i]);
	return out;
}
