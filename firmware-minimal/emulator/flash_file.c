/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulator/flash_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emulator/soc.h"

#define ROW 256u

/* A whole blank file appears under the name at once, or not at all. */
static int
make_blank(const char *path)
{
	char temporary[4096];
	uint8_t blank[4096];
	int fd;
	int n = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);

	if (n < 0 || (size_t)n >= sizeof temporary || (fd = mkstemp(temporary)) < 0) {
		return -1;
	}
	memset(blank, 0xFF, sizeof blank);
	for (unsigned i = 0; i < SOC_FLASH_SIZE / sizeof blank; i++) {
		if (write(fd, blank, sizeof blank) != (ssize_t)sizeof blank) {
			close(fd);
			unlink(temporary);
			return -1;
		}
	}
	if (fsync(fd) != 0 || close(fd) != 0 || rename(temporary, path) != 0) {
		unlink(temporary);
		return -1;
	}
	return 0;
}

static uint8_t *
map(const char *path)
{
	struct stat st;
	void *flash;
	int fd;

	if (path == NULL) {
		flash = mmap(NULL, SOC_FLASH_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		             -1, 0);
		if (flash != MAP_FAILED) {
			memset(flash, 0xFF, SOC_FLASH_SIZE);
		}
		return flash == MAP_FAILED ? NULL : flash;
	}
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && make_blank(path) == 0) {
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (fd < 0) {
		return NULL;
	}
	if (fstat(fd, &st) != 0 || st.st_size != SOC_FLASH_SIZE) {
		close(fd);
		errno = EINVAL;
		return NULL;
	}
	flash = mmap(NULL, SOC_FLASH_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return flash == MAP_FAILED ? NULL : flash;
}

/* Rows are erased as far as the image reaches; the last one is filled up. */
static int
load_image(uint8_t *flash, const char *image, char *why, size_t size)
{
	FILE *f = fopen(image, "rb");
	uint8_t *buffer;
	size_t n;

	if (f == NULL) {
		snprintf(why, size, "%s: %s", image, strerror(errno));
		return -1;
	}
	buffer = malloc(SOC_FLASH_SIZE);
	n = buffer == NULL ? 0 : fread(buffer, 1, SOC_FLASH_SIZE, f);
	fclose(f);
	if (n < 8 || n > FLASH_SETTINGS - SOC_IMAGE_BASE) {
		snprintf(why, size, "%s: %zu bytes are no image; it has 8 to %u", image, n,
		         FLASH_SETTINGS - SOC_IMAGE_BASE);
		free(buffer);
		return -1;
	}
	memset(flash + SOC_IMAGE_BASE, 0xFF, (n + ROW - 1) / ROW * ROW);
	memcpy(flash + SOC_IMAGE_BASE, buffer, n);
	free(buffer);
	return 0;
}

uint8_t *
flash_file_open(const char *path, const char *image, char *why, size_t size)
{
	uint8_t *flash = map(path);

	if (flash == NULL) {
		snprintf(why, size, "%s: %s", path == NULL ? "flash" : path,
		         errno == EINVAL ? "not a flash file (262144 bytes)" : strerror(errno));
		return NULL;
	}
	if (image != NULL && load_image(flash, image, why, size) != 0) {
		flash_file_close(flash);
		return NULL;
	}
	return flash;
}

void
flash_file_close(uint8_t *flash)
{
	if (flash != NULL) {
		msync(flash, SOC_FLASH_SIZE, MS_SYNC);
		munmap(flash, SOC_FLASH_SIZE);
	}
}
