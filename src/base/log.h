/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A log line is an event: a fixed message and typed key=value fields. Under
 * systemd the fields become journal fields, else one key=value line goes to
 * stderr. What peers supply is escaped by the sink, never by the caller.
 *
 *	log_info(LOG_SESSION, "device connected",
 *	         log_str("device", id), log_int("port", port));
 *
 * Levels: error needs a human, warning may, notice is start, stop and reload,
 * info is per connection, debug per packet. Keys are lower case ASCII words
 * joined by '_'. Any thread; a line is written whole.
 */
#ifndef GATEWAY_BASE_LOG_H
#define GATEWAY_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

#define LOG_AREA_LIST(X)                                             \
	X(MAIN, "main")                                              \
	X(CONF, "conf")                                              \
	X(PKI, "pki")                                                \
	X(REGISTER, "register")                                      \
	X(SPOOL, "spool")                                            \
	X(LOOP, "loop")                                              \
	X(TLS, "tls")                                                \
	X(UPSTREAM, "upstream")                                      \
	X(RELAY, "relay")                                            \
	X(SESSION, "session")                                        \
	X(CTL, "ctl")

enum log_area {
#define X(name, text) LOG_##name,
	LOG_AREA_LIST(X)
#undef X
	LOG_AREAS
};

struct log_field {
	const char *key; /* NULL ends the list */
	enum { LOG_FIELD_SPAN, LOG_FIELD_INT } kind;
	struct span text;
	int64_t number;
};

static inline struct log_field
log_span(const char *key, struct span text)
{
	return (struct log_field){ .key = key, .kind = LOG_FIELD_SPAN, .text = text };
}

static inline struct log_field
log_str(const char *key, const char *text)
{
	return log_span(key, span_str(text));
}

static inline struct log_field
log_int(const char *key, int64_t number)
{
	return (struct log_field){ .key = key, .kind = LOG_FIELD_INT, .number = number };
}

/* A sink gets every line that passes the level; fields end with key NULL. */
typedef void log_sink(void *owner, enum log_level level, enum log_area area,
                      const char *message, const struct log_field *fields);

/*
 * Choose the level and, when not NULL, the sink. The default sink is the
 * journal when stderr is connected to it, else stderr. Call before threads
 * start, or from the control thread (level only).
 */
void log_setup(enum log_level level, log_sink *sink, void *owner);
bool log_enabled(enum log_level level);

void log_emit(enum log_level level, enum log_area area, const char *message,
              const struct log_field *fields);

/*
 * The line that the stderr sink prints, without the newline, always
 * NUL-terminated; for tests and other sinks. Returns its length, cut to size.
 */
size_t log_format(char *line, size_t size, enum log_level level,
                  enum log_area area, const char *message,
                  const struct log_field *fields);

#define LOG_EMIT(level, area, message, ...)                                  \
	do {                                                                 \
		if (log_enabled(level)) {                                    \
			log_emit(level, area, message,                       \
			         (const struct log_field[]){ __VA_ARGS__ __VA_OPT__(,) { 0 } }); \
		}                                                            \
	} while (0)
#define log_error(area, message, ...)   LOG_EMIT(LOG_LEVEL_ERROR, area, message, __VA_ARGS__)
#define log_warning(area, message, ...) LOG_EMIT(LOG_LEVEL_WARNING, area, message, __VA_ARGS__)
#define log_notice(area, message, ...)  LOG_EMIT(LOG_LEVEL_NOTICE, area, message, __VA_ARGS__)
#define log_info(area, message, ...)    LOG_EMIT(LOG_LEVEL_INFO, area, message, __VA_ARGS__)
#define log_debug(area, message, ...)   LOG_EMIT(LOG_LEVEL_DEBUG, area, message, __VA_ARGS__)

#endif
