/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing the files of a device: all texts first, then the files. */
#include "arduino_int.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"

#define OLD_MAX 65536 /* bytes of a file that is there already */
#define NAME_MAX_BYTES 255

enum file { SECRETS, ANCHORS, LIBRARY, REPORT, README, DER, FILES };

static const char *const file_names[FILES] = { "arduino_secrets.h",
					       "gateway_trust_anchors.h",
					       "BearSSLTrustAnchors.h",
					       "connection_report.h",
					       "README.txt",
					       "device.der" };

/* These say whose they are; the others are the same for all devices. */
static const bool of_device[FILES] = { [SECRETS] = true, [README] = true };

struct job {
	const struct arduino_input *in;
	const char *folder;
	const char *broker;
	struct pki_anchor anchor;
	struct arduino_kept kept;
	bool renew; /* the folder is that of this device already */
	char *text[FILES];
	size_t len[FILES];
};

static int __attribute__((format(printf, 3, 4))) fail(char *why, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, PKI_WHY_SIZE, format, arguments);
	va_end(arguments);
	return code;
}

/* ---- the name of the broker ------------------------------------------------------------ */

static bool
is_address(const char *name)
{
	uint8_t bytes[16];

	return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* The name that a board compares with: it matches "*." too, but connects to no such name. */
const char *
arduino_find_name(const struct pki_names *names, const char *broker)
{
	for (size_t i = 0; i < names->dns_count; i++) {
		if (names->dns[i][0] != '*' && strcasecmp(names->dns[i], broker) == 0) {
			return names->dns[i];
		}
	}
	return NULL;
}

/*
 * How surely a board on the local network finds that name; 0 not at all. The
 * radio module asks a name server and speaks IPv4 only: it knows no ".local",
 * and a name without a dot only where the router adds its own domain.
 */
static unsigned
rank(const char *name)
{
	const char *dot = strrchr(name, '.');
	struct in_addr v4;

	if (inet_pton(AF_INET, name, &v4) == 1) {
		return ntohl(v4.s_addr) >> 24 == 127 ? 1 : 4; /* loopback: for tries on one host */
	}
	if (name[0] == '*' || strcasecmp(name, "localhost") == 0 || is_address(name)) {
		return 0;
	}
	return dot == NULL ? 3 : strcasecmp(dot, ".local") == 0 ? 2 : 5;
}

const char *
arduino_best_name(const struct pki_names *names)
{
	const char *best = NULL;
	unsigned best_rank = 0;

	for (size_t i = 0; i < names->dns_count; i++) {
		if (rank(names->dns[i]) > best_rank) {
			best = names->dns[i];
			best_rank = rank(best);
		}
	}
	return best;
}

static int
choose_broker(struct job *job, char *why)
{
	const struct arduino_input *in = job->in;

	job->broker = in->broker != NULL ? arduino_find_name(in->names, in->broker) :
	                                    arduino_best_name(in->names);
	if (job->broker != NULL) {
		return 0;
	}
	if (in->broker == NULL) {
		return fail(why, ERR_NOT_FOUND,
			    "The gateway's certificate has no name that a board could connect to; "
			    "add one: gatewayctl certificate names add NAME.");
	}
	return fail(why, ERR_NOT_FOUND,
		    "\"%.80s\" is not in the gateway's certificate, so boards would refuse it; "
		    "add it: gatewayctl certificate names add %.80s.",
		    in->broker, in->broker);
}

static void
warn(const struct arduino_input *in, const char *sentence)
{
	if (in->warn != NULL) {
		in->warn(in->arg, sentence);
	}
}

static void
warn_all(const struct job *job)
{
	char sentence[512];

	if (is_address(job->broker)) {
		snprintf(sentence, sizeof sentence,
			 "The sketch will connect to the address %s: when that changes, every "
			 "board needs a new sketch. Give it to the sketch as a text, as in "
			 "arduino_secrets.h, and not as an IPAddress: then the name is checked.",
			 job->broker);
		warn(job->in, sentence);
	}
	if (job->anchor.curve == 0) {
		warn(job->in, "The CA has an RSA key: the board verifies it in software, which "
			      "costs 0.3 s (4096 bits: 1.3 s) at each connect.");
	} else if (job->anchor.curve != 23) {
		warn(job->in, "The key of the CA is not on P-256: the crypto chip cannot verify "
			      "it, and sketches that call setEccSlot() refuse the gateway.");
	}
}

/* ---- what is there already -------------------------------------------------------------- */

/* Its text with a NUL; NULL without an error code: there is no such file. */
static int
read_old(const char *file, char **text, char *why)
{
	struct stat st;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc = 0;
	char *old = NULL;
	ssize_t n = 0;

	*text = NULL;
	if (fd < 0) {
		rc = errno == ENOENT ? 0 : -errno;
		return rc == 0 ? 0 : fail(why, rc, "Cannot read %.150s: %s.", file, err_text(rc));
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (old = malloc(OLD_MAX + 1)) == NULL ||
	    (n = read(fd, old, OLD_MAX)) < 0) {
		rc = fail(why, ERR_EXISTS, "%.150s is in the way.", file);
	}
	close(fd);
	if (rc != 0 || n < 0) { /* the second for the compiler, which cannot see into fail() */
		free(old);
		return rc;
	}
	old[n] = '\0';
	*text = old;
	return 0;
}

/* The first line of the file that it would become. */
static bool
has_head(const char *old, const char *new, bool whole)
{
	const char *mark = strstr(new, ARDUINO_MARK);
	size_t len = strcspn(new, "\n");

	if (!whole && mark != NULL) {
		len = (size_t)(mark - new) + strlen(ARDUINO_MARK);
	}
	return strncmp(old, new, len) == 0;
}

/* The line that begins with that and a blank, up to its end. */
static void
keep_line(const char *old, const char *begin, char *line, size_t size)
{
	const char *at = old;
	size_t len = strlen(begin);

	while (at != NULL && (strncmp(at, begin, len) != 0 || !isblank((unsigned char)at[len]))) {
		at = strchr(at, '\n');
		at = at != NULL ? at + 1 : NULL;
	}
	len = at != NULL ? strcspn(at, "\r\n") : 0;
	/* A line that goes on in the next one is beyond us. */
	if (len > 0 && len < size && at[len - 1] != '\\') {
		memcpy(line, at, len);
		line[len] = '\0';
	}
}

static int
check_old(struct job *job, enum file i, char *why)
{
	char path[PATH_MAX], *old;
	int rc;

	if ((size_t)snprintf(path, sizeof path, "%s/%s", job->folder, file_names[i]) >=
	    sizeof path) {
		return fail(why, -ENAMETOOLONG, "The name of the folder is too long.");
	}
	rc = read_old(path, &old, why);
	if (rc != 0 || old == NULL) {
		return rc;
	}
	if (!has_head(old, job->text[i], false)) {
		rc = fail(why, ERR_EXISTS,
			  "%.120s is there already and was not made by gatewayctl; choose "
			  "another folder.",
			  path);
	} else if (of_device[i] && !has_head(old, job->text[i], true)) {
		rc = fail(why, ERR_EXISTS,
			  "%.120s belongs to another device; choose another folder.", path);
	} else if (i == SECRETS) {
		job->renew = true;
		keep_line(old, "#define SECRET_SSID", job->kept.ssid, sizeof job->kept.ssid);
		keep_line(old, "#define SECRET_PASS", job->kept.pass, sizeof job->kept.pass);
	}
	free(old);
	return rc;
}

static int
check_all(struct job *job, char *why)
{
	char path[PATH_MAX];
	int rc = 0;

	for (enum file i = 0; i < DER && rc == 0; i++) {
		rc = check_old(job, i, why);
	}
	/* device.der has no place for a mark: it goes with arduino_secrets.h. */
	if (rc == 0 && !job->renew) {
		snprintf(path, sizeof path, "%s/%s", job->folder, file_names[DER]);
		if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
			rc = fail(why, ERR_EXISTS,
				  "%.120s is there already; choose another folder.", path);
		}
	}
	return rc;
}

/* ---- the texts ------------------------------------------------------------------------------ */

static int
put(struct job *job, enum file i)
{
	FILE *out;

	free(job->text[i]);
	job->text[i] = NULL;
	out = open_memstream(&job->text[i], &job->len[i]);
	if (out == NULL) {
		return -ENOMEM;
	}
	switch (i) {
	case SECRETS:
		arduino_put_secrets(out, job->in, job->broker, &job->kept);
		break;
	case ANCHORS:
		arduino_put_anchors(out, &job->anchor);
		break;
	case LIBRARY:
		arduino_put_library(out, &job->anchor);
		break;
	case REPORT:
		arduino_put_report(out);
		break;
	case README:
		arduino_put_readme(out, job->in, job->broker);
		break;
	default:
		fwrite(job->in->issued->der, 1, job->in->issued->der_len, out);
		break;
	}
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

static int
put_all(struct job *job, char *why)
{
	int rc = 0;

	for (enum file i = 0; i < FILES && rc == 0; i++) {
		rc = put(job, i);
	}
	if (rc == 0) {
		rc = check_all(job, why);
		if (rc != 0) {
			return rc;
		}
		rc = put(job, SECRETS); /* with what was entered */
	}
	return rc == 0 ? 0 : fail(why, rc, "Cannot make the files: %s.", err_text(rc));
}

/* Who has hidden the password of the network keeps it hidden. */
static unsigned
mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? (st.st_mode & 0644) | 0600 : 0644;
}

static int
write_all(const struct job *job, char *why)
{
	int rc = 0;

	for (enum file i = 0; i < FILES && rc == 0; i++) {
		char path[PATH_MAX];

		if ((size_t)snprintf(path, sizeof path, "%s/%s", job->folder, file_names[i]) >=
		    sizeof path) {
			return fail(why, -ENAMETOOLONG, "The name of the folder is too long.");
		}
		rc = pki_write_file(path, mode_of(path), span_of(job->text[i], job->len[i]), why);
	}
	return rc;
}

static int
check_input(const struct arduino_input *in, char *why)
{
	struct span name = span_str(in->device);

	/* It stands in comments: a line break would end them. */
	if (name.len == 0 || name.len > NAME_MAX_BYTES || !utf8_valid_strict(name)) {
		return fail(why, ERR_UNSAFE, "The device's name cannot stand in a file.");
	}
	return 0;
}

int
arduino_write(const char *folder, const struct arduino_input *in, char *why)
{
	struct job job = { .in = in, .folder = folder };
	int rc = check_input(in, why);

	if (rc == 0) {
		rc = choose_broker(&job, why);
	}
	if (rc == 0) {
		rc = pki_anchor_read_file(in->ca_file, &job.anchor, why);
	}
	if (rc == 0) {
		rc = put_all(&job, why);
	}
	if (rc == 0) {
		warn_all(&job);
		rc = write_all(&job, why);
	}
	for (enum file i = 0; i < FILES; i++) {
		free(job.text[i]);
	}
	return rc;
}
