/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/message.h"

#include "app/text.h"

/* The name as a JSON string; control characters do not get past the settings. */
static size_t
put_string(char *out, size_t room, const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n + 3 < room; text++) {
		if (*text == '"' || *text == '\\') {
			out[n++] = '\\';
		}
		out[n++] = *text;
	}
	out[n] = '\0';
	return *text == '\0' ? n : 0;
}

size_t
message_reading(char *out, size_t room, const char *name, uint32_t number, bool known,
                int16_t centi)
{
	char value[12] = "null";
	size_t n = text_format(out, room, "{\"ID\":\"");
	size_t tail;
	unsigned size = (unsigned)(centi < 0 ? -centi : centi);

	if (known) {
		text_format(value, sizeof value, "%s%u.%02u", centi < 0 ? "-" : "", size / 100,
		            size % 100);
	}
	tail = put_string(out + n, room - n, name);
	if (tail == 0) {
		return 0;
	}
	n += tail;
	n += text_format(out + n, room - n, "\",\"RN\":%lu,\"Temp\":%s}", (unsigned long)number,
	                 value);
	return n + 1 < room ? n : 0;
}

bool
message_led(const uint8_t *payload, size_t n)
{
	if (n > 0 && payload[0] == '1') {
		return true;
	}
	return n == 2 && (payload[0] | 0x20) == 'o' && (payload[1] | 0x20) == 'n';
}
