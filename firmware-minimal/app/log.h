/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines on the UART, each with the seconds since reset in front. */
#ifndef APP_LOG_H
#define APP_LOG_H

/* At most 179 characters; see app/text.h for what the format knows. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* As it is, for what others are to copy out of the log. */
void log_raw(const char *text);

#endif
