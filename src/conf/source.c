/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"
#include "conf/conf_int.h"

/* One file on its way into the source. */
struct scan {
	struct source *out;
	struct load *load;
	const char *file;
	unsigned line;
	unsigned depth;
	bool folder; /* can include: names count from the folder of `file` */
	bool fresh;  /* only blanks so far in this line */
	const uint8_t *at, *end;
};

static void scan_file(struct source *out, struct load *load, const char *file, unsigned depth,
                      const struct scan *from);

static void
put(struct scan *s, const void *bytes, size_t n)
{
	if (buf_append(&s->out->text, span_of(bytes, n)) != 0) {
		s->load->no_memory = true;
	}
}

/* Up to and without `to`, counting lines. */
static void
copy(struct scan *s, const uint8_t *to)
{
	put(s, s->at, (size_t)(to - s->at));
	for (; s->at < to; s->at++) {
		if (*s->at == '\n') {
			s->line++;
			s->out->line++;
		}
	}
}

/* What follows stands in s->file at s->line. */
static void
mark(struct scan *s)
{
	struct source *out = s->out;
	struct source_part *part =
		reallocarray(out->part, out->part_count + 1, sizeof *part);

	if (part == NULL) {
		s->load->no_memory = true;
		return;
	}
	out->part = part;
	out->part[out->part_count++] = (struct source_part){
		.first = out->line,
		.line = s->line,
		.file = s->file,
	};
}

static void
fault(struct scan *s, const char *sentence)
{
	load_fault(s->load, s->file, (int)s->line, "", "%s", sentence);
}

static bool
follows(const struct scan *s, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(s->end - s->at) >= n && memcmp(s->at, text, n) == 0;
}

static void
line_comment(struct scan *s)
{
	const uint8_t *to = memchr(s->at, '\n', (size_t)(s->end - s->at));

	copy(s, to != NULL ? to : s->end);
}

static void
block_comment(struct scan *s)
{
	const uint8_t *to = memmem(s->at + 2, (size_t)(s->end - s->at) - 2, "*/", 2);

	if (to == NULL) {
		fault(s, "the comment that begins here has no end");
	}
	copy(s, to != NULL ? to + 2 : s->end);
}

static void
string(struct scan *s)
{
	const uint8_t *p = s->at + 1;

	while (p < s->end && *p != '"') {
		size_t left = (size_t)(s->end - p);

		if (left >= 4 && memcmp(p, "\\x00", 4) == 0) {
			fault(s, "a text cannot hold the character NUL");
		}
		p += *p == '\\' && left > 1 ? 2 : 1;
	}
	if (p >= s->end) {
		fault(s, "the text that begins here has no closing quote");
	}
	copy(s, p < s->end ? p + 1 : s->end);
}

static bool
name_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '*';
}

static void
word(struct scan *s)
{
	const uint8_t *p = s->at;

	while (p < s->end && name_byte(*p)) {
		p++;
	}
	copy(s, p);
}

/*
 * libconfig cuts integers to 32 bits unless an L follows; longer ones get
 * theirs here, so that the range check sees the number that was written.
 */
static void
number(struct scan *s)
{
	const uint8_t *p = s->at + (*s->at == '-' || *s->at == '+');
	bool hex = s->end - p > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X');
	const uint8_t *first = p += hex ? 2 : 0;
	size_t n;

	while (p < s->end && ((*p >= '0' && *p <= '9') ||
	                      (hex && ((*p | 32) >= 'a' && (*p | 32) <= 'f')))) {
		p++;
	}
	n = (size_t)(p - first);
	copy(s, p);
	if (s->at < s->end && (name_byte(*s->at) || *s->at == '.')) {
		/* An L, or a floating-point number. */
		if (n > 15) {
			fault(s, "the number is too long");
		}
		while (s->at < s->end && (name_byte(*s->at) || *s->at == '.')) {
			copy(s, s->at + 1);
		}
	} else if (n > (hex ? 15 : 18)) {
		fault(s, "the number is too long");
	} else if (n > (hex ? 7 : 9)) {
		put(s, "L", 1);
	}
}

/* The file that an @include names: relative names count from this file's folder. */
static char *
include_name(struct scan *s, struct span name)
{
	const char *slash = strrchr(s->file, '/');

	if (name.ptr[0] == '/' || slash == NULL) {
		return load_printf(s->load, "%.*s", SPAN_ARG(name));
	}
	return load_printf(s->load, "%.*s%.*s", (int)(slash - s->file + 1), s->file,
	                   SPAN_ARG(name));
}

/* `@include "name"` at the start of a line, as libconfig has it. */
static void
include(struct scan *s)
{
	const uint8_t *name = s->at + strlen("@include"), *end;
	char *file;

	while (name < s->end && (*name == ' ' || *name == '\t')) {
		name++;
	}
	end = name < s->end ? memchr(name + 1, '"', (size_t)(s->end - name - 1)) : NULL;
	if (name >= s->end || *name != '"' || end == NULL || end == name + 1 ||
	    memchr(name, '\n', (size_t)(end - name)) != NULL) {
		fault(s, "write @include \"file\"");
		line_comment(s);
		return;
	}
	file = include_name(s, span_of(name + 1, (size_t)(end - name - 1)));
	if (file != NULL && !s->folder) {
		fault(s, "@include is not possible here");
	} else if (file != NULL) {
		scan_file(s->out, s->load, file, s->depth + 1, s);
	}
	s->at = end + 1;
	put(s, "\n", 1);
	s->out->line++;
	mark(s);
}

static void
bracket(struct scan *s)
{
	struct source *out = s->out;

	if (*s->at == '{' || *s->at == '(' || *s->at == '[') {
		if (++out->nest == SOURCE_NEST + 1) {
			fault(s, "brackets are nested too deeply");
		}
	} else if (out->nest > 0) {
		out->nest--;
	}
	copy(s, s->at + 1);
}

static void
token(struct scan *s)
{
	uint8_t c = *s->at;
	bool fresh = s->fresh;

	s->fresh = c == '\n' || (fresh && (c == ' ' || c == '\t'));
	if (c == '"') {
		string(s);
	} else if (c == '#' || follows(s, "//")) {
		line_comment(s);
	} else if (follows(s, "/*")) {
		block_comment(s);
	} else if (fresh && follows(s, "@include")) {
		include(s);
	} else if (memchr("{}()[]", c, 6) != NULL) {
		bracket(s);
	} else if ((c >= '0' && c <= '9') || c == '-' || c == '+') {
		number(s);
	} else if (name_byte(c)) {
		word(s);
	} else {
		copy(s, s->at + 1);
	}
}

/* Reports the line of the first byte that is not right. */
static bool
is_text(struct scan *s)
{
	struct span left = span_of(s->at, (size_t)(s->end - s->at));
	struct scan at = *s;

	if (utf8_valid_mqtt(left)) {
		return true;
	}
	while (left.len > 0) {
		const uint8_t *newline = memchr(left.ptr, '\n', left.len);
		size_t n = newline != NULL ? (size_t)(newline - left.ptr) + 1 : left.len;

		if (!utf8_valid_mqtt(span_head(left, n))) {
			break;
		}
		left = span_skip(left, n);
		at.line++;
	}
	fault(&at, "the file is no UTF-8 text, or holds the character NUL");
	return false;
}

static void
scan_text(struct scan *s)
{
	mark(s);
	if (!is_text(s)) {
		return;
	}
	if (s->end - s->at >= 3 && memcmp(s->at, "\xef\xbb\xbf", 3) == 0) {
		s->at += 3; /* a byte order mark: some editors write one */
	}
	while (s->at < s->end && !s->load->no_memory) {
		token(s);
	}
}

/* ---- files ---------------------------------------------------------------------- */

/* A regular file only: a pipe could block for ever, a device never end. */
static int
open_regular(const char *file, struct stat *st)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int result;

	if (fd < 0) {
		return -errno;
	}
	if (fstat(fd, st) != 0) {
		result = -errno;
	} else if (S_ISDIR(st->st_mode)) {
		result = -EISDIR;
	} else if (!S_ISREG(st->st_mode)) {
		result = -EINVAL;
	} else {
		return fd;
	}
	close(fd);
	return result;
}

static int
slurp(const char *file, size_t most, struct buf *out)
{
	struct stat st;
	int fd = open_regular(file, &st);
	ssize_t n = fd;

	while (n >= 0) {
		uint8_t *at;

		n = buf_reserve(out, 65536, &at);
		if (n != 0) {
			break;
		}
		n = read(fd, at, 65536);
		if (n <= 0) {
			n = n < 0 ? -errno : 0;
			break;
		}
		buf_commit(out, (size_t)n);
		if (buf_len(out) > most) {
			n = -EFBIG;
		}
	}
	if (fd >= 0) {
		close(fd);
	}
	return (int)n;
}

/* The line of the @include that led here, or the file itself when there is none. */
static void
read_fault(struct load *load, const char *file, const struct scan *from, const char *why)
{
	if (from == NULL) {
		load_fault(load, file, 0, "", "cannot be read: %s", why);
	} else {
		load_fault(load, from->file, (int)from->line, "", "%s cannot be included: %s", file,
		           why);
	}
}

static void
scan_file(struct source *out, struct load *load, const char *file, unsigned depth,
          const struct scan *from)
{
	struct buf bytes = { 0 };
	struct scan s = { .out = out, .load = load, .file = file, .line = 1, .depth = depth,
		.folder = true, .fresh = true };
	int result;

	if (depth > SOURCE_INCLUDES) {
		read_fault(load, file, from, "files include each other too deeply");
		return;
	}
	result = slurp(file, SOURCE_MAX - out->read, &bytes);
	if (result == -ENOMEM) {
		load->no_memory = true;
	} else if (result != 0) {
		read_fault(load, file, from, result == -EFBIG ? "too large" :
		                             result == -EINVAL ? "not a regular file" :
		                                                 err_text(result));
	} else if (buf_len(&bytes) > 0) {
		out->read += buf_len(&bytes);
		s.at = buf_span(&bytes).ptr;
		s.end = s.at + buf_len(&bytes);
		scan_text(&s);
	}
	if (bytes.memory != NULL) {
		explicit_bzero(bytes.memory, bytes.size); /* upstream.password */
	}
	buf_release(&bytes);
}

static void
finish(struct source *s, struct load *load)
{
	/* libconfig 1.5 calls a comment without a newline a syntax error. */
	if (buf_append(&s->text, span_of("\n", 2)) != 0) {
		load->no_memory = true;
	}
}

void
source_read_file(struct source *s, const char *file, struct load *load)
{
	s->line = 1;
	scan_file(s, load, file, 0, NULL);
	finish(s, load);
}

void
source_read_text(struct source *s, const char *name, struct span text, struct load *load)
{
	struct scan scan = { .out = s, .load = load, .file = name, .line = 1, .fresh = true };

	s->line = 1;
	if (text.len > SOURCE_MAX) {
		load_fault(load, name, 0, "", "cannot be read: too large");
	} else if (text.len > 0) {
		scan.at = text.ptr;
		scan.end = text.ptr + text.len;
		scan_text(&scan);
	}
	finish(s, load);
}

void
source_place(const struct source *s, unsigned line, const char **file, int *at)
{
	*at = 0;
	for (size_t i = s->part_count; i-- > 0;) {
		if (s->part[i].first <= line) {
			*file = s->part[i].file;
			*at = (int)(s->part[i].line + (line - s->part[i].first));
			return;
		}
	}
}

void
source_release(struct source *s)
{
	if (s->text.memory != NULL) {
		explicit_bzero(s->text.memory, s->text.size);
	}
	buf_release(&s->text);
	free(s->part);
	*s = (struct source){ 0 };
}
