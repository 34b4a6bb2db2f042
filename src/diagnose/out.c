/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnose/out.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/utf8.h"

struct out
out_of(char *text, size_t size)
{
	text[0] = '\0';
	return (struct out){ .text = text, .size = size, .len = 0 };
}

/* Cut at the end, never in the middle of a character. */
void
out_span(struct out *o, struct span s)
{
	size_t room = o->size - o->len - 1;

	if (s.len > room) {
		s = utf8_head(s, room);
	}
	if (s.len > 0) {
		memcpy(o->text + o->len, s.ptr, s.len);
		o->len += s.len;
	}
	o->text[o->len] = '\0';
}

void
out_text(struct out *o, const char *text)
{
	out_span(o, span_str(text));
}

void
out_format(struct out *o, const char *format, ...)
{
	char text[192];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	out_text(o, text);
}

/* A stranger's text: as it is when it is harmless, else byte by byte. */
void
out_foreign(struct out *o, const char *text, const char *otherwise)
{
	struct span s = span_str(text);

	if (s.len == 0) {
		out_text(o, otherwise);
	} else if (utf8_valid_strict(s)) {
		out_span(o, s);
	} else {
		for (size_t i = 0; i < s.len; i++) {
			char c = s.ptr[i] >= 0x20 && s.ptr[i] < 0x7f ? (char)s.ptr[i] : '?';

			out_span(o, span_of(&c, 1));
		}
	}
}

void
out_time(struct out *o, int64_t wall)
{
	char text[CLOCK_TEXT_SIZE];

	out_text(o, clock_text(wall, text));
}

void
out_ms(struct out *o, uint32_t ms)
{
	if (ms < 1000) {
		out_format(o, "%u ms", ms);
	} else {
		out_format(o, "%u s", ms / 1000 + (ms % 1000 >= 500));
	}
}
