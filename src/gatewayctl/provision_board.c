/* SPDX-License-Identifier: BSD-2-Clause */
#include "provision.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int __attribute__((format(printf, 3, 4)))
fail(char *why, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, PROVISION_WHY_SIZE, format, args);
	va_end(args);
	return code;
}

/* ---- is it there? ---- */

static int
check_image(const char *file, char *why)
{
	struct stat st;

	if (stat(file, &st) < 0) {
		return fail(why, -errno, "cannot open %.300s: %s", file, err_text(-errno));
	}
	if (!S_ISREG(st.st_mode) || st.st_size != BOARD_FLASH_SIZE) {
		return fail(why, ERR_MALFORMED, "%.300s is not the whole flash of a board, a file "
		                                "of %d bytes", file, BOARD_FLASH_SIZE);
	}
	return 0;
}

/* bossac takes both /dev/ttyACM0 and ttyACM0. */
static int
check_port(const char *port, char *why)
{
	char path[300];

	snprintf(path, sizeof path, "%s%s", strchr(port, '/') != NULL ? "" : "/dev/", port);
	if (access(path, F_OK) < 0) {
		return fail(why, ERR_NOT_FOUND, "there is no port %.200s: plug the board in, "
		                                "double-tap its reset button (the LED fades in and "
		                                "out), and look for /dev/ttyACM*", path);
	}
	if (access(path, R_OK | W_OK) < 0) {
		return fail(why, -EACCES, "you may not use %.200s: `sudo usermod -aG dialout "
		                          "$USER`, then log in again", path);
	}
	return 0;
}

int
board_check(const struct board *board, char *why)
{
	return board->image != NULL ? check_image(board->image, why) : check_port(board->port, why);
}

/* ---- a file with the flash ---- */

static int
image_read(const char *file, uint32_t address, uint8_t *block, char *why)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? pread(fd, block, PAGE_SIZE_MAX, address) : -1;
	int r = n == PAGE_SIZE_MAX ? 0 : n < 0 ? -errno : -EIO;

	if (fd >= 0) {
		close(fd);
	}
	return r < 0 ? fail(why, r, "cannot read %.300s: %s", file, err_text(r)) : 0;
}

static int
image_write(const char *file, uint32_t address, const uint8_t *block, char *why)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? pwrite(fd, block, PAGE_SIZE_MAX, address) : -1;
	int r = n == PAGE_SIZE_MAX && fsync(fd) == 0 ? 0 : n < 0 ? -errno : -EIO;

	if (fd >= 0) {
		close(fd);
	}
	return r < 0 ? fail(why, r, "cannot write %.300s: %s", file, err_text(r)) : 0;
}

/* ---- bossac ---- */

/*
 * The file that bossac reads or writes: memory with a name, so that no
 * passphrase is ever on a disk, however this program ends.
 */
struct exchange {
	int fd;
	char path[32];
};

static int
exchange_open(struct exchange *x, char *why)
{
	x->fd = memfd_create("page", 0);
	if (x->fd < 0) {
		return fail(why, -errno, "no memory for a page: %s", err_text(-errno));
	}
	snprintf(x->path, sizeof x->path, "/proc/self/fd/%d", x->fd);
	return 0;
}

static int
bossac(const struct board *board, const char *const *actions, char *why)
{
	char port[320];
	const char *argv[8] = { "bossac", port, "-U" };
	size_t n = 3;

	snprintf(port, sizeof port, "--port=%s", board->port);
	while (*actions != NULL && n < 7) {
		argv[n++] = *actions++;
	}
	return bossac_run(argv, why);
}

static int
bossac_read(const struct board *board, uint32_t address, uint8_t *block, char *why)
{
	char offset[32];
	struct exchange x;
	int r = exchange_open(&x, why);

	if (r < 0) {
		return r;
	}
	snprintf(offset, sizeof offset, "--offset=0x%X", (unsigned)address);
	r = bossac(board, (const char *const[]){ offset, "--read=4096", x.path, NULL }, why);
	if (r == 0 && pread(x.fd, block, PAGE_SIZE_MAX, 0) != PAGE_SIZE_MAX) {
		r = fail(why, -EIO, "bossac gave less than a page; is it version 1.9?");
	}
	close(x.fd);
	return r;
}

/* Without -e: it erases the rows that it writes, and nothing else. */
static int
bossac_write(const struct board *board, uint32_t address, const uint8_t *block, char *why)
{
	char offset[32];
	struct exchange x;
	int r = exchange_open(&x, why);

	if (r < 0) {
		return r;
	}
	snprintf(offset, sizeof offset, "--offset=0x%X", (unsigned)address);
	if (pwrite(x.fd, block, PAGE_SIZE_MAX, 0) != PAGE_SIZE_MAX) {
		r = fail(why, -ENOMEM, "no memory for a page");
	} else {
		r = bossac(board, (const char *const[]){ offset, "-w", "-v", x.path, NULL }, why);
	}
	close(x.fd);
	return r;
}

/* ---- either ---- */

int
board_read(const struct board *board, uint32_t address, uint8_t *block, char *why)
{
	return board->image != NULL ? image_read(board->image, address, block, why) :
	                              bossac_read(board, address, block, why);
}

int
board_write(const struct board *board, uint32_t address, const uint8_t *block, char *why)
{
	uint8_t back[PAGE_SIZE_MAX];
	int r = board->image != NULL ? image_write(board->image, address, block, why) :
	                               bossac_write(board, address, block, why);

	r = r == 0 ? board_read(board, address, back, why) : r;
	if (r == 0 && memcmp(back, block, sizeof back) != 0) {
		r = fail(why, -EIO, "the flash does not hold what was written; run this command "
		                    "again, and if it stays so the board is worn out");
	}
	explicit_bzero(back, sizeof back);
	return r;
}

int
board_reset(const struct board *board, char *why)
{
	return board->image != NULL ? 0 : bossac(board, (const char *const[]){ "-R", NULL }, why);
}
