/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of a configuration with its @include lines already resolved, and a
 * list that leads from a line of it back to file and line.
 *
 * Why libconfig does not read the files itself: with the versions we support
 * an @include that names a folder ends the whole process (its scanner calls
 * exit()), relative names count from the working directory, an integer beyond
 * 32 bits is silently cut, and a text is silently cut at a NUL. All of that
 * is settled here, before it sees the text.
 */
#ifndef GATEWAY_CONF_SOURCE_H
#define GATEWAY_CONF_SOURCE_H

#include <stddef.h>

#include "base/buf.h"

struct load;

struct source {
	struct buf text; /* NUL-terminated once it is read */
	unsigned line;   /* lines in it so far */
	struct source_part {
		unsigned first; /* line in the text */
		unsigned line;  /* the same in the file */
		const char *file;
	} *part;
	size_t part_count;
	size_t read;  /* bytes read from files in total */
	unsigned nest; /* open brackets */
};

#define SOURCE_MAX      (8u << 20) /* bytes, all files */
#define SOURCE_INCLUDES 10         /* depth, as libconfig has it */
#define SOURCE_NEST     32

/* Faults are reported through `load`; nothing is returned. Then load->faults. */
void source_read_file(struct source *s, const char *file, struct load *load);
/* The same for a text in memory; it cannot include anything. */
void source_read_text(struct source *s, const char *name, struct span text, struct load *load);
/* File and line of a line of the text. */
void source_place(const struct source *s, unsigned line, const char **file, int *at);
void source_release(struct source *s);

#endif
