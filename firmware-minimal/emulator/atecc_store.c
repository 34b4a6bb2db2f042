/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The EEPROM as a file: 8 bytes of name, the memory, SHA-256 of both. It
 * holds the board's private key, as the chip does: mode 0600. It is replaced
 * as a whole, so that an emulator that is killed leaves the old or the new.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emulator/atecc_int.h"

static const char file_name[8] = "ATECCEE1";

struct image {
	char name[8];
	struct atecc_eeprom eeprom;
	uint8_t digest[32];
};

static bool
digest_of(const struct image *image, uint8_t digest[32])
{
	unsigned n = 32;

	return EVP_Digest(image, offsetof(struct image, digest), digest, &n, EVP_sha256(),
	                  NULL) == 1;
}

static int
complain(struct world *world, const char *file, int error)
{
	world_note(world, "atecc: %s: %s", file,
	           error == EBADMSG ? "is not the EEPROM of an ATECC, or is damaged" :
	                              strerror(error));
	return -error;
}

int
atecc_load(struct world *world, const char *file, struct atecc_eeprom *e)
{
	struct image image;
	uint8_t digest[32];
	FILE *f = fopen(file, "rbe");
	bool whole;

	if (f == NULL) {
		return errno == ENOENT ? -ENOENT : complain(world, file, errno);
	}
	whole = fread(&image, sizeof image, 1, f) == 1 && fgetc(f) == EOF;
	fclose(f);
	if (!whole || memcmp(image.name, file_name, sizeof file_name) != 0 ||
	    !digest_of(&image, digest) || memcmp(digest, image.digest, sizeof digest) != 0) {
		return complain(world, file, EBADMSG);
	}
	*e = image.eeprom;
	return 0;
}

static int
write_synced(const char *path, const struct image *image)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n;
	int error = 0;

	if (fd < 0) {
		return errno;
	}
	n = write(fd, image, sizeof *image);
	if (n < 0 || fsync(fd) < 0) {
		error = errno;
	} else if ((size_t)n != sizeof *image) {
		error = ENOSPC;
	}
	close(fd);
	return error;
}

static void
sync_folder_of(const char *file)
{
	char *copy = strdup(file);
	int fd = copy == NULL ? -1 : open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
	free(copy);
}

int
atecc_save(struct world *world, const char *file, const struct atecc_eeprom *e)
{
	struct image image = { .eeprom = *e };
	char path[4096];
	int error;

	memcpy(image.name, file_name, sizeof file_name);
	if (!digest_of(&image, image.digest) ||
	    (size_t)snprintf(path, sizeof path, "%s.new", file) >= sizeof path) {
		return complain(world, file, EINVAL);
	}
	error = write_synced(path, &image);
	if (error == 0 && rename(path, file) < 0) {
		error = errno;
	}
	if (error != 0) {
		(void)unlink(path);
		return complain(world, file, error);
	}
	sync_folder_of(file);
	return 0;
}
