/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/utf8.h"

enum { REFUSE_NUL = 1, REFUSE_CONTROL = 2 };

/* How long a sequence is that begins so, 0 when none does. */
static size_t
length_of(uint8_t first)
{
	return first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

/* Length of the sequence at p (left bytes remain), 0 when it is ill formed. */
static size_t
sequence(const uint8_t *p, size_t left, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = length_of(p[0]);
	uint32_t c;

	if (n == 0 || n > left) {
		return 0;
	}
	c = p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			return 0;
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
		return 0;
	}
	*code = c;
	return n;
}

static bool
control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) ||
	       (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
}

static bool
valid(struct span s, unsigned refuse)
{
	for (size_t i = 0; i < s.len;) {
		uint32_t code = s.ptr[i];
		size_t n = 1;

		if (code >= 0x80) {
			n = sequence(s.ptr + i, s.len - i, &code);
			if (n == 0) {
				return false;
			}
		}
		if ((code == 0 && (refuse & REFUSE_NUL) != 0) ||
		    ((refuse & REFUSE_CONTROL) != 0 && control(code))) {
			return false;
		}
		i += n;
	}
	return true;
}

bool
utf8_valid(struct span s)
{
	return valid(s, 0);
}

bool
utf8_valid_mqtt(struct span s)
{
	return valid(s, REFUSE_NUL);
}

bool
utf8_valid_strict(struct span s)
{
	return valid(s, REFUSE_NUL | REFUSE_CONTROL);
}

struct span
utf8_head(struct span s, size_t n)
{
	struct span head = span_head(s, n);

	/* Of a sequence that is cut at most three bytes are there. */
	for (size_t back = 1; back <= 3 && back <= head.len; back++) {
		uint8_t byte = head.ptr[head.len - back];

		if ((byte & 0xc0) != 0x80) {
			return length_of(byte) > back ? span_head(head, head.len - back) : head;
		}
	}
	return head;
}
