/* SPDX-License-Identifier: BSD-2-Clause */
/* Mosquitto's own configuration, as Debian lays it out, when we may read it. */
#include "doctor_int.h"

#include <dirent.h>
#include <stdlib.h>

#define FILE_MAX (256 * 1024)

static bool
is_true(const char *value)
{
	return strcmp(value, "true") == 0;
}

/* "topic PATTERN in|both QOS LOCAL REMOTE": five words or more after the key. */
static bool
remaps(const char *value)
{
	unsigned words = 0;

	for (const char *at = value; *at != '\0'; at += strcspn(at, " \t")) {
		at += strspn(at, " \t");
		words += *at != '\0';
	}
	return words >= 4 && (strstr(value, " in ") != NULL || strstr(value, " both ") != NULL);
}

static void
take_line(const struct doctor *d, char *line, struct doctor_mosquitto *out)
{
	char *value;
	char where[200];

	line += strspn(line, " \t");
	line[strcspn(line, "\r\n")] = '\0';
	value = line + strcspn(line, " \t");
	if (*value != '\0') {
		*value++ = '\0';
		value += strspn(value, " \t");
	}
	if (strcmp(line, "persistence") == 0) {
		out->persistence = is_true(value);
	} else if (strcmp(line, "set_tcp_nodelay") == 0) {
		out->nodelay = is_true(value);
	} else if (strcmp(line, "topic") == 0) {
		out->bridge_remap = out->bridge_remap || remaps(value);
	} else if (strcmp(line, "listener") == 0) {
		if (d->conf->upstream.path != NULL) {
			snprintf(where, sizeof where, "0 %s", d->conf->upstream.path);
			out->ours = out->ours || strcmp(value, where) == 0;
		} else {
			out->ours = out->ours || atoi(value) == d->conf->upstream.port;
		}
	}
}

static bool
take_file(const struct doctor *d, const char *file, struct doctor_mosquitto *out)
{
	char *text = doctor_read_text(file, FILE_MAX), *save = NULL;

	if (text == NULL) {
		return false;
	}
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		take_line(d, line, out);
	}
	free(text);
	return true;
}

static int
is_conf(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

void
doctor_mosquitto_read(const struct doctor *d, struct doctor_mosquitto *out)
{
	char path[4096], file[4400];
	struct dirent **list = NULL;
	int n;

	*out = (struct doctor_mosquitto){ 0 };
	doctor_path(d, "/etc/mosquitto/mosquitto.conf", path, sizeof path);
	out->readable = take_file(d, path, out);
	doctor_path(d, "/etc/mosquitto/conf.d", path, sizeof path);
	n = scandir(path, &list, is_conf, alphasort);
	for (int i = 0; i < n; i++) {
		snprintf(file, sizeof file, "%s/%s", path, list[i]->d_name);
		out->readable = take_file(d, file, out) && out->readable;
		free(list[i]);
	}
	free(list);
}
