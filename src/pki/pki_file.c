/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of certificates and keys: read with a bound, written so that a crash
 * leaves the old file or the new one, never a part.
 */
#include "pki/pki_int.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/utf8.h"

int
pki_fail(char *why, int code, const char *format, ...)
{
	ERR_clear_error();
	if (why != NULL) {
		va_list arguments;
		int n;

		va_start(arguments, format);
		n = vsnprintf(why, PKI_WHY_SIZE, format, arguments);
		va_end(arguments);
		/* Do not end within a character when the sentence was cut. */
		if (n >= PKI_WHY_SIZE) {
			why[utf8_head(span_str(why), PKI_WHY_SIZE).len] = '\0';
		}
	}
	return code;
}

static int
fail_errno(char *why, const char *verb, const char *file)
{
	int error = errno;

	return pki_fail(why, -error, "Cannot %s %s: %s.", verb, file, err_text(-error));
}

void
pki_wipe(struct buf *b)
{
	if (b->memory != NULL) {
		OPENSSL_cleanse(b->memory, b->size);
	}
	buf_release(b);
}

/* ---- reading ------------------------------------------------------------------ */

/* room: bytes that are wanted at most, and one. */
static int
read_bounded(int fd, size_t room, struct buf *content)
{
	uint8_t *at;
	int rc = buf_reserve(content, room, &at);

	/* All in the first allocation: no copy of a key is left behind. */
	while (rc == 0 && buf_len(content) < room) {
		size_t have = buf_len(content);
		ssize_t n = read(fd, at + have, room - have);

		if (n == 0) {
			return 0;
		}
		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		if (n > 0) {
			buf_commit(content, (size_t)n);
		}
	}
	return rc != 0 ? rc : ERR_LIMIT;
}

int
pki_file_read(const char *file, struct buf *content, char *why)
{
	return pki_file_read_max(file, PKI_INPUT_MAX, content, why);
}

int
pki_file_read_max(const char *file, size_t max, struct buf *content, char *why)
{
	struct stat st;
	int rc, fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		return fail_errno(why, "read", file);
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return pki_fail(why, ERR_MALFORMED, "%s is not a file.", file);
	}
	/* A file that grows while it is read is as bad as one that is too large. */
	rc = (uint64_t)st.st_size > max ? ERR_LIMIT
					: read_bounded(fd, (size_t)st.st_size + 1, content);
	close(fd);
	if (rc == ERR_LIMIT) {
		rc = pki_fail(why, rc, "%s is larger than %zu bytes.", file, max);
	} else if (rc != 0) {
		rc = pki_fail(why, rc, "Cannot read %s: %s.", file, err_text(rc));
	}
	if (rc != 0) {
		pki_wipe(content);
	}
	return rc;
}

int
pki_x509_read(const char *file, X509 **out, char *why)
{
	struct buf text = { 0 }, der = { 0 };
	const unsigned char *at;
	X509 *x509 = NULL;
	int rc = pki_file_read(file, &text, why);

	if (rc == 0) {
		rc = pki_unwrap(buf_span(&text), "CERTIFICATE", file, &der, why);
	}
	if (rc == 0) {
		at = buf_span(&der).ptr;
		x509 = d2i_X509(NULL, &at, (long)buf_len(&der));
		if (x509 == NULL || at != der.memory + der.end) {
			X509_free(x509);
			rc = pki_fail(why, ERR_MALFORMED, "%s: the certificate is damaged.", file);
		} else {
			*out = x509;
		}
	}
	buf_release(&text);
	buf_release(&der);
	return rc;
}

int
pki_pem_each(struct span text, int (*next)(BIO *bio, void *owner), void *owner)
{
	BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
	int rc = bio != NULL ? 0 : -ENOMEM;

	while (rc == 0) {
		rc = next(bio, owner);
	}
	BIO_free(bio);
	if (rc == ERR_NOT_FOUND) {
		unsigned long last = ERR_peek_last_error();

		/* The end of the text is told by the same means as damage. */
		rc = ERR_GET_LIB(last) == ERR_LIB_PEM &&
				     ERR_GET_REASON(last) == PEM_R_NO_START_LINE ?
			     0 :
			     ERR_MALFORMED;
	}
	ERR_clear_error();
	return rc;
}

static int
next_certificate(BIO *bio, void *list)
{
	X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	if (x509 == NULL) {
		return ERR_NOT_FOUND;
	}
	if (sk_X509_push(list, x509) <= 0) {
		X509_free(x509);
		return -ENOMEM;
	}
	return 0;
}

/* DER, or a text that only our own reader understands: one certificate. */
static int
read_single(const char *file, STACK_OF(X509) * list, char *why)
{
	X509 *x509;
	int rc = pki_x509_read(file, &x509, why);

	if (rc == 0 && sk_X509_push(list, x509) <= 0) {
		X509_free(x509);
		rc = pki_fail(why, -ENOMEM, "Cannot read %s: %s.", file, err_text(-ENOMEM));
	}
	return rc;
}

int
pki_x509_read_all(const char *file, STACK_OF(X509) * *out, char *why)
{
	struct buf text = { 0 };
	STACK_OF(X509) * list;
	int rc = pki_file_read_max(file, PKI_BUNDLE_MAX, &text, why);

	if (rc != 0) {
		return rc;
	}
	list = sk_X509_new_null();
	rc = list != NULL ? pki_pem_each(buf_span(&text), next_certificate, list) : -ENOMEM;
	buf_release(&text);
	if (rc != 0) {
		rc = pki_fail(why, rc, "%s: a certificate is damaged (%s).", file, err_text(rc));
	} else if (sk_X509_num(list) == 0) {
		rc = read_single(file, list, why);
	}
	if (rc != 0) {
		sk_X509_pop_free(list, X509_free);
		return rc;
	}
	*out = list;
	return 0;
}

static int
no_passphrase(char *buffer, int size, int writing, void *asked)
{
	(void)buffer;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

int
pki_key_read(const char *file, EVP_PKEY **key, char *why)
{
	struct buf text = { 0 };
	bool asked = false;
	EVP_PKEY *found;
	BIO *bio;
	int rc = pki_file_read(file, &text, why);

	if (rc != 0) {
		return rc;
	}
	bio = BIO_new_mem_buf(buf_span(&text).ptr, (int)buf_len(&text));
	found = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked) : NULL;
	BIO_free(bio);
	pki_wipe(&text);
	if (found != NULL) {
		*key = found;
		return 0;
	}
	if (asked) {
		return pki_fail(why, ERR_MALFORMED,
				"%s is protected by a pass phrase, which is not supported. Make a "
				"copy without: (umask 077; openssl pkey -in %s -out plain.key)",
				file, file);
	}
	return pki_fail(why, ERR_MALFORMED, "%s holds no private key in PEM form.", file);
}

/* ---- writing ------------------------------------------------------------------ */

/* "FOLDER/FILE" into folder[PATH_MAX]: "FOLDER". */
static int
folder_of(const char *file, char *folder)
{
	char copy[PATH_MAX];

	if ((size_t)snprintf(copy, sizeof copy, "%s", file) >= sizeof copy) {
		errno = ENAMETOOLONG;
		return -1;
	}
	snprintf(folder, PATH_MAX, "%s", dirname(copy));
	return 0;
}

static int
sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0) {
		return -1;
	}
	rc = fsync(fd);
	close(fd);
	return rc;
}

/*
 * A file that replaces another keeps its owner and group; a new one that its
 * group may read takes the group of the folder. So root can renew the key of
 * a daemon that is not root. Who may not change the owner makes files that
 * are his own, and that is no failure. A link in that place, or a file that
 * appears where none is to be replaced, says nothing about owners.
 */
static void
set_owner(int fd, const char *file, const char *folder, unsigned mode, bool replace)
{
	struct stat old, parent;

	if (replace && lstat(file, &old) == 0 && S_ISREG(old.st_mode)) {
		if (fchown(fd, old.st_uid, old.st_gid) != 0 &&
		    fchown(fd, (uid_t)-1, old.st_gid) != 0) {
			return;
		}
	} else if ((mode & 070) != 0 && stat(folder, &parent) == 0) {
		if (fchown(fd, (uid_t)-1, parent.st_gid) != 0) {
			return;
		}
	}
}

static int
write_all(int fd, struct span content)
{
	while (content.len > 0) {
		ssize_t n = write(fd, content.ptr, content.len);

		if (n < 0 && errno != EINTR) {
			return -1;
		}
		content = span_skip(content, n > 0 ? (size_t)n : 0);
	}
	return 0;
}

/* The content under a temporary name, complete and on the disk. */
static int
write_temporary(char *temporary, const char *file, const char *folder, unsigned mode,
		struct span content, bool replace)
{
	int saved, fd = mkostemp(temporary, O_CLOEXEC); /* made with mode 0600 */

	if (fd < 0) {
		return -1;
	}
	set_owner(fd, file, folder, mode, replace);
	/* The mode after the owner: fchown() clears bits, and the umask has no say. */
	if (fchmod(fd, mode) == 0 && write_all(fd, content) == 0 && fsync(fd) == 0) {
		return close(fd);
	}
	saved = errno;
	close(fd);
	unlink(temporary);
	errno = saved;
	return -1;
}

static int
put_file(const char *file, unsigned mode, struct span content, bool replace, char *why)
{
	char temporary[PATH_MAX], folder[PATH_MAX];
	int rc, saved;

	if (folder_of(file, folder) != 0) {
		return fail_errno(why, "write", file);
	}
	if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", file) >= sizeof temporary) {
		errno = ENAMETOOLONG;
		return fail_errno(why, "write", file);
	}
	if (write_temporary(temporary, file, folder, mode, content, replace) != 0) {
		return fail_errno(why, "write", file);
	}
	/* link() is the rename that does not replace. */
	rc = replace ? rename(temporary, file) : link(temporary, file);
	saved = errno;
	if (!replace || rc != 0) {
		unlink(temporary);
	}
	errno = saved;
	if (rc != 0 && errno == EEXIST) {
		return pki_fail(why, ERR_EXISTS, "%s exists already.", file);
	}
	if (rc != 0 || sync_folder(folder) != 0) {
		return fail_errno(why, "write", file);
	}
	return 0;
}

int
pki_write_file(const char *file, unsigned mode, struct span content, char *why)
{
	return put_file(file, mode, content, true, why);
}

int
pki_file_create(const char *file, unsigned mode, struct span content, char *why)
{
	return put_file(file, mode, content, false, why);
}
