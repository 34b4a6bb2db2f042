/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main() for a fuzz target without a fuzz engine: every file of its corpus,
 * and a fixed number of seeded mutations of each, so that `make check` does
 * more than replay. The corpus is the arguments, or the folder
 * $TEST_SOURCES/fuzz/PROGRAM.in.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	EXIT_SETUP = 99, /* automake: the test could not be set up */
	MUTATIONS = 2000, /* of each file */
	FILE_MAX = 1 << 20,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
setup_failed(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(EXIT_SETUP);
}

/* In memory of exactly its size, so that an over-read is seen. */
static void
run_exact(const uint8_t *data, size_t size)
{
	uint8_t *memory = malloc(size > 0 ? size : 1);

	if (memory == NULL) {
		setup_failed("malloc");
	}
	memcpy(memory, data, size);
	LLVMFuzzerTestOneInput(memory, size);
	free(memory);
}

/* xorshift32: the same cases in every run. */
static uint32_t
next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Change, remove or insert a byte; the room is there. */
static size_t
mutate(uint8_t *data, size_t size, uint32_t *seed)
{
	size_t at = next_random(seed) % (size + 1);
	uint8_t byte = (uint8_t)(next_random(seed) >> 8);

	switch (next_random(seed) % 4) {
	case 0:
		if (at < size) {
			memmove(data + at, data + at + 1, size - at - 1);
			size--;
		}
		break;
	case 1:
		memmove(data + at + 1, data + at, size - at);
		data[at] = byte;
		size++;
		break;
	case 2:
		if (at < size) {
			data[at] ^= (uint8_t)(1u << (byte & 7));
		}
		break;
	default:
		if (at < size) {
			data[at] = byte;
		}
	}
	return size;
}

static void
run_file(const char *path)
{
	static uint8_t data[FILE_MAX], changed[FILE_MAX + 8];
	FILE *f = fopen(path, "rb");
	uint32_t seed = 0x66757a7a;
	size_t size;

	if (f == NULL) {
		setup_failed(path);
	}
	size = fread(data, 1, sizeof data, f);
	if (ferror(f) != 0) {
		setup_failed(path);
	}
	fclose(f);
	run_exact(data, size);
	for (unsigned n = 0; n < MUTATIONS; n++) {
		size_t len = size;

		memcpy(changed, data, size);
		for (uint32_t left = 1 + next_random(&seed) % 4; left > 0; left--) {
			len = mutate(changed, len, &seed);
		}
		run_exact(changed, len);
	}
}

static unsigned
run_folder(const char *program)
{
	const char *sources = getenv("TEST_SOURCES");
	const char *slash = strrchr(program, '/');
	char folder[PATH_MAX], path[PATH_MAX];
	unsigned count = 0;
	struct dirent *entry;
	DIR *d;

	snprintf(folder, sizeof folder, "%s/fuzz/%s.in", sources != NULL ? sources : "tests",
	         slash != NULL ? slash + 1 : program);
	d = opendir(folder);
	if (d == NULL) {
		setup_failed(folder);
	}
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.') {
			continue;
		}
		if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >=
		    sizeof path) {
			errno = ENAMETOOLONG;
			setup_failed(folder);
		}
		run_file(path);
		count++;
	}
	closedir(d);
	return count;
}

int
main(int argc, char **argv)
{
	unsigned count = 0;

	for (int i = 1; i < argc; i++) {
		run_file(argv[i]);
		count++;
	}
	if (argc == 1) {
		count = run_folder(argv[0]);
	}
	printf("%u files, %u mutations of each\n", count, (unsigned)MUTATIONS);
	return count > 0 ? EXIT_SUCCESS : EXIT_SETUP;
}
