/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths, small files and lists of names, for the checks. */
#include "doctor_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define NAMES_SHOWN 5

void
doctor_path(const struct doctor *d, const char *path, char *out, size_t size)
{
	snprintf(out, size, "%s%s", d->root, path);
}

void
doctor_state_path(const struct doctor *d, const char *name, char *out, size_t size)
{
	snprintf(out, size, "%s/%s", d->conf->gateway.state_directory, name);
}

char *
doctor_read_text(const char *file, size_t most)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = fd >= 0 ? malloc(most + 1) : NULL;
	size_t len = 0;
	ssize_t n = 1;

	while (text != NULL && len < most && n > 0) {
		n = read(fd, text + len, most - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0) {
		close(fd);
	}
	if (text != NULL && n < 0) {
		free(text);
		return NULL;
	}
	if (text != NULL) {
		text[len] = '\0';
	}
	return text;
}

void
doctor_names_add(struct doctor_names *names, const char *name)
{
	size_t used = strlen(names->text);

	names->count++;
	if (names->shown < NAMES_SHOWN && used + strlen(name) + 24 < sizeof names->text) {
		snprintf(names->text + used, sizeof names->text - used, "%s%s",
			 names->shown > 0 ? ", " : "", name);
		names->shown++;
	}
}

const char *
doctor_names_text(struct doctor_names *names)
{
	size_t used = strlen(names->text);

	if (names->count > names->shown) {
		snprintf(names->text + used, sizeof names->text - used, " and %u more",
			 names->count - names->shown);
		names->shown = names->count;
	}
	return names->text;
}
