/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#endif

#include "base/clock.h"
#include "base/utf8.h"

#define LINE_MAX_BYTES 2048
#define FIELDS_MAX 24

static _Atomic int current_level = LOG_LEVEL_INFO;
static log_sink *current_sink;
static void *current_owner;

static const char *const level_word[] = { "error", "warning", "notice", "info", "debug" };
static const char *const area_word[] = {
#define X(name, text) text,
	LOG_AREA_LIST(X)
#undef X
};

bool
log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

/* A line under construction; characters beyond the end are dropped. */
struct line {
	char *text;
	size_t size;
	size_t len;
};

static void
put(struct line *l, char c)
{
	if (l->len + 1 < l->size) {
		l->text[l->len++] = c;
	}
}

static void
put_word(struct line *l, const char *word)
{
	while (*word != '\0') {
		put(l, *word++);
	}
}

/* U+0080 to U+009F, two bytes: U+009B is to many terminals what ESC [ is. */
static bool
is_c1(struct span s, size_t i)
{
	return s.ptr[i] == 0xc2 && i + 1 < s.len && s.ptr[i + 1] < 0xa0;
}

/*
 * Text from a peer: quoted when it is not a plain word, with every control
 * character, quote and byte that is no UTF-8 as \xHH, so that one event can
 * never look like two.
 */
static void
put_text(struct line *l, struct span s)
{
	static const char hex[] = "0123456789abcdef";
	bool utf8 = utf8_valid(s);
	bool plain = utf8 && s.len > 0;

	for (size_t i = 0; i < s.len && plain; i++) {
		plain = s.ptr[i] > ' ' && s.ptr[i] != '"' && s.ptr[i] != '=' &&
		        s.ptr[i] != '\\' && s.ptr[i] != 0x7f && !is_c1(s, i);
	}
	if (!plain) {
		put(l, '"');
	}
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];

		if (c < ' ' || c == 0x7f || c == '"' || c == '\\' || (c >= 0x80 && !utf8) ||
		    is_c1(s, i) || (i > 0 && is_c1(s, i - 1))) {
			put(l, '\\');
			put(l, 'x');
			put(l, hex[c >> 4]);
			put(l, hex[c & 15]);
		} else {
			put(l, (char)c);
		}
	}
	if (!plain) {
		put(l, '"');
	}
}

size_t
log_format(char *text, size_t size, enum log_level level, enum log_area area,
           const char *message, const struct log_field *fields)
{
	struct line l = { .text = text, .size = size };

	put_word(&l, level_word[level]);
	put(&l, ' ');
	put_word(&l, area_word[area]);
	put_word(&l, ": ");
	put_word(&l, message);
	for (const struct log_field *f = fields; f->key != NULL; f++) {
		put(&l, ' ');
		put_word(&l, f->key);
		put(&l, '=');
		if (f->kind == LOG_FIELD_INT) {
			char number[24];

			snprintf(number, sizeof number, "%lld", (long long)f->number);
			put_word(&l, number);
		} else {
			put_text(&l, f->text);
		}
	}
	l.text[l.len] = '\0';
	return l.len;
}

static void
stderr_sink(enum log_level level, enum log_area area, const char *message,
            const struct log_field *fields)
{
	char text[LINE_MAX_BYTES + CLOCK_TEXT_SIZE + 1];
	size_t len;

	clock_text(clock_wall(), text);
	len = strlen(text);
	text[len++] = ' ';
	len += log_format(text + len, sizeof text - len, level, area, message, fields);
	text[len] = '\n'; /* in place of the NUL: one write, one line */
	if (write(STDERR_FILENO, text, len + 1) < 0) {
		return; /* nowhere left to say so */
	}
}

#ifdef HAVE_LIBSYSTEMD
static bool
stderr_is_journal(void)
{
	const char *where = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return where != NULL && sscanf(where, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
	       st.st_ino == inode;
}

static void
journal_sink(enum log_level level, enum log_area area, const char *message,
             const struct log_field *fields)
{
	static const int priority[] = { 3, 4, 5, 6, 7 }; /* syslog(3) */
	char text[LINE_MAX_BYTES], value[FIELDS_MAX][320];
	struct iovec iov[FIELDS_MAX + 2];
	char level_field[16];
	int n = 0;

	/* MESSAGE repeats the fields: it is all that most readers see. */
	memcpy(text, "MESSAGE=", 8);
	iov[n++] = (struct iovec){ text,
		8 + log_format(text + 8, sizeof text - 8, level, area, message, fields) };
	iov[n].iov_len = (size_t)snprintf(level_field, sizeof level_field,
	                                  "PRIORITY=%d", priority[level]);
	iov[n++].iov_base = level_field;
	for (int i = 0; fields[i].key != NULL && i < FIELDS_MAX; i++) {
		struct line l = { .text = value[i], .size = sizeof value[i] };

		put_word(&l, "GATEWAY_");
		for (const char *k = fields[i].key; *k != '\0'; k++) {
			put(&l, *k >= 'a' && *k <= 'z' ? (char)(*k - 'a' + 'A') : *k);
		}
		put(&l, '=');
		if (fields[i].kind == LOG_FIELD_INT) {
			char number[24];

			snprintf(number, sizeof number, "%lld", (long long)fields[i].number);
			put_word(&l, number);
		} else {
			for (size_t j = 0; j < fields[i].text.len; j++) {
				put(&l, (char)fields[i].text.ptr[j]);
			}
		}
		iov[n++] = (struct iovec){ value[i], l.len };
	}
	sd_journal_sendv(iov, n);
}
#endif

void
log_setup(enum log_level level, log_sink *sink, void *owner)
{
	atomic_store_explicit(&current_level, level, memory_order_relaxed);
	if (sink != NULL) {
		current_sink = sink;
		current_owner = owner;
	}
}

void
log_emit(enum log_level level, enum log_area area, const char *message,
         const struct log_field *fields)
{
	if (!log_enabled(level)) {
		return;
	}
	if (current_sink != NULL) {
		current_sink(current_owner, level, area, message, fields);
		return;
	}
#ifdef HAVE_LIBSYSTEMD
	if (stderr_is_journal()) {
		journal_sink(level, area, message, fields);
		return;
	}
#endif
	stderr_sink(level, area, message, fields);
}
