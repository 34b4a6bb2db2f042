/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/log.h"

#include <string.h>

#include "app/text.h"
#include "hal/time.h"
#include "hal/uart.h"

#define LINE 180

void
log_raw(const char *text)
{
	uart_write(text, strlen(text));
	uart_write("\r\n", 2);
}

void
log_line(const char *format, ...)
{
	char line[LINE];
	uint32_t ms = time_ms();
	size_t n = text_format(line, sizeof line, "%lu.%03lu ", (unsigned long)(ms / 1000),
	                       (unsigned long)(ms % 1000));
	va_list args;

	va_start(args, format);
	text_vformat(line + n, sizeof line - n, format, args);
	va_end(args);
	log_raw(line);
}
