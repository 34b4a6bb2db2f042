/* SPDX-License-Identifier: BSD-2-Clause */
/* Clocks, percentiles, and what /proc tells of a server. */
#include "load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void
die(const char *format, ...)
{
	va_list args;

	fputs("load: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- percentiles ---------------------------------------------------------------------- */

void
sample_add(struct sample *sample, uint64_t ns)
{
	if (sample->count == sample->room) {
		sample->room = sample->room > 0 ? sample->room * 2 : 1024;
		sample->time = realloc(sample->time, sample->room * sizeof *sample->time);
		if (sample->time == NULL) {
			die("no memory");
		}
	}
	sample->time[sample->count++] = ns;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

double
sample_ms(struct sample *sample, double share)
{
	size_t at;

	if (sample->count == 0) {
		return 0;
	}
	qsort(sample->time, sample->count, sizeof *sample->time, compare);
	at = (size_t)(share * (double)(sample->count - 1) + 0.5);
	return (double)sample->time[at] / 1e6;
}

void
sample_free(struct sample *sample)
{
	free(sample->time);
	*sample = (struct sample){ 0 };
}

/* ---- processes ------------------------------------------------------------------------ */

/* utime and stime are fields 14 and 15; the name before them may hold anything. */
static double
cpu_of(const struct server *server)
{
	char path[64], line[1024];
	unsigned long user, system;
	const char *after;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)server->pid);
	file = fopen(path, "re");
	if (file == NULL || fgets(line, sizeof line, file) == NULL) {
		die("%s (process %d) is gone", server->name, (int)server->pid);
	}
	fclose(file);
	after = strrchr(line, ')');
	if (after == NULL || sscanf(after + 1,
	                            " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
	                            &user, &system) != 2) {
		die("%s cannot be understood", path);
	}
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static uint64_t
memory_of(const struct server *server)
{
	char path[64];
	unsigned long size, resident;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)server->pid);
	file = fopen(path, "re");
	if (file == NULL || fscanf(file, "%lu %lu", &size, &resident) != 2) {
		die("%s (process %d) is gone", server->name, (int)server->pid);
	}
	fclose(file);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void
servers_look(struct server *server, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		server[i].cpu = cpu_of(&server[i]);
		server[i].memory = memory_of(&server[i]);
	}
}
