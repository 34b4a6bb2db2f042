/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PEM as people deliver it: copied out of a serial monitor, with time stamps,
 * blanks, line ends of another system and the conversation around it. What is
 * inside the lines is held to the letter.
 */
#include "pki/pki_int.h"

#include <ctype.h>

#include <openssl/evp.h>

#define BEGIN_MARK "-----BEGIN "
#define END_MARK "-----END "
#define MARK_TAIL "-----"

static struct span
trim(struct span line)
{
	while (line.len > 0 && isspace(line.ptr[0])) {
		line = span_skip(line, 1);
	}
	while (line.len > 0 && isspace(line.ptr[line.len - 1])) {
		line.len--;
	}
	return line;
}

/* Take the next line off the text; CR, LF and both end it. */
static struct span
next_line(struct span *text)
{
	static const char stamp[] = " -> "; /* "12:34:56.789 -> " (Arduino IDE) */
	struct span line;
	size_t n = 0;
	const uint8_t *at;

	while (n < text->len && text->ptr[n] != '\n' && text->ptr[n] != '\r') {
		n++;
	}
	line = span_head(*text, n);
	*text = span_skip(*text, n + 1);
	at = line.len > 0 ? memmem(line.ptr, line.len, stamp, 4) : NULL;
	if (at != NULL) {
		line = span_skip(line, (size_t)(at - line.ptr) + 4);
	}
	return trim(line);
}

/* The line is MARK KIND -----: its kind. An empty span: it is no such line. */
static struct span
mark_kind(struct span line, const char *mark)
{
	struct span m = span_str(mark), tail = span_str(MARK_TAIL);

	if (line.len <= m.len + tail.len || !span_eq(span_head(line, m.len), m) ||
	    !span_eq(span_skip(line, line.len - tail.len), tail)) {
		return span_of(NULL, 0);
	}
	return span_head(span_skip(line, m.len), line.len - m.len - tail.len);
}

/* "NEW CERTIFICATE REQUEST" is an older spelling of the same thing. */
static bool
is_kind(struct span found, const char *kind)
{
	struct span old = span_str("NEW ");

	return span_eq_str(found, kind) ||
	       (found.len > old.len && span_eq(span_head(found, old.len), old) &&
		span_eq_str(span_skip(found, old.len), kind));
}

/* Base64 without line ends into the buffer. */
static int
decode(struct span base64, struct buf *der)
{
	size_t pad = 0;
	uint8_t *at;
	int n, rc;

	if (base64.len == 0 || base64.len % 4 != 0) {
		return ERR_MALFORMED;
	}
	for (size_t i = 0; i < base64.len; i++) {
		if (base64.ptr[i] == '=') {
			pad++;
		} else if (pad > 0) {
			return ERR_MALFORMED;
		}
	}
	rc = buf_reserve(der, base64.len / 4 * 3, &at);
	if (rc != 0) {
		return rc;
	}
	n = EVP_DecodeBlock(at, base64.ptr, (int)base64.len);
	if (pad > 2 || n < (int)pad) {
		return ERR_MALFORMED;
	}
	/* EVP_DecodeBlock() counts the bytes of the padding as well. */
	buf_commit(der, (size_t)n - pad);
	return 0;
}

/* The lines up to the END line, joined. */
static int
join(struct span *text, const char *kind, struct buf *base64)
{
	while (text->len > 0) {
		struct span line = next_line(text);

		if (is_kind(mark_kind(line, END_MARK), kind)) {
			return 0;
		}
		if (line.len > 0) {
			int rc = buf_append(base64, line);

			if (rc != 0) {
				return rc;
			}
		}
	}
	return ERR_MORE;
}

static int
unwrap_block(struct span text, const char *kind, const char *what, struct buf *der, char *why)
{
	struct buf base64 = { 0 };
	int rc = join(&text, kind, &base64);

	if (rc == ERR_MORE) {
		rc = pki_fail(why, ERR_MALFORMED,
			      "%s is cut off: the line -----END %s----- is missing.", what, kind);
	} else if (rc == 0) {
		rc = decode(buf_span(&base64), der);
		if (rc != 0) {
			(void)pki_fail(why, rc,
				       "%s is damaged: the text between the BEGIN and END "
				       "lines is not base64.",
				       what);
		}
	}
	buf_release(&base64);
	return rc;
}

int
pki_unwrap(struct span text, const char *kind, const char *what, struct buf *der, char *why)
{
	struct span rest = text, other = span_of(NULL, 0);

	if (text.len == 0) {
		return pki_fail(why, ERR_MALFORMED, "%s is empty.", what);
	}
	if (text.len > PKI_INPUT_MAX) {
		return pki_fail(why, ERR_LIMIT, "%s is larger than %d bytes.", what, PKI_INPUT_MAX);
	}
	while (rest.len > 0) {
		struct span found = mark_kind(next_line(&rest), BEGIN_MARK);

		if (is_kind(found, kind)) {
			return unwrap_block(rest, kind, what, der, why);
		}
		other = other.len == 0 ? found : other;
	}
	if (other.len > 0) {
		bool request = is_kind(other, "CERTIFICATE REQUEST");

		return pki_fail(why, ERR_MALFORMED, "%s holds a %s where a %s is needed.", what,
				request                             ? "certificate request"
				: span_eq_str(other, "CERTIFICATE") ? "certificate"
								    : "key or something else",
				strcmp(kind, "CERTIFICATE") == 0 ? "certificate"
								 : "certificate request");
	}
	if (text.ptr[0] != 0x30 || text.len < 2 || (text.ptr[1] < 0x80 && isprint(text.ptr[1]))) {
		return pki_fail(why, ERR_MALFORMED,
				"%s holds no %s: the line -----BEGIN %s----- was not found.", what,
				strcmp(kind, "CERTIFICATE") == 0 ? "certificate"
								 : "certificate request",
				kind);
	}
	return buf_append(der, text);
}
