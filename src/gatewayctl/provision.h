/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gatewayctl provision: what it knows of a board, and how it gets at the
 * board's flash. The pages are those of firmware-minimal/provision/page.h.
 */
#ifndef GATEWAYCTL_PROVISION_H
#define GATEWAYCTL_PROVISION_H

#include "cli.h"
#include "pki/pki.h"
#include "provision/page.h"

#define PROVISION_WHY_SIZE 512
#define BOARD_FLASH_SIZE 262144

/* ---- provision_board.c: the flash, through bossac or in a file ---- */

/* Exactly one of them is set. */
struct board {
	const char *port;  /* serial port of the bootloader */
	const char *image; /* file with all of the flash */
};
/*
 * All: 0 or a negative code with a sentence in why, PROVISION_WHY_SIZE bytes.
 * A block is PAGE_SIZE_MAX bytes at an address that is a multiple of that;
 * nothing else is erased or written.
 */
int board_check(const struct board *board, char *why) MUST_CHECK;
int board_read(const struct board *board, uint32_t address, uint8_t *block, char *why) MUST_CHECK;
/* Written, read back and compared. */
int board_write(const struct board *board, uint32_t address, const uint8_t *block,
                char *why) MUST_CHECK;
/* Start the firmware. */
int board_reset(const struct board *board, char *why) MUST_CHECK;

/* ---- provision_bossac.c ---- */

/*
 * Run the program (found on the PATH), its output kept, with a limit of time.
 * It dies with us. argv ends with NULL.
 */
int bossac_run(const char *const *argv, char *why) MUST_CHECK;

/* ---- provision_report.c: what the board says ---- */

struct board_report {
	char serial[19];   /* of the crypto chip, hex; "" unknown */
	char firmware[33]; /* printable; "" unknown */
	bool has_chip, locked;
	unsigned state;    /* the last that went wrong, enum report of the firmware */
	struct span csr;   /* in the block */
};
/* block stays the caller's. 0, or a code and what to do now. */
int board_report_read(const uint8_t *block, struct board_report *out, char *why) MUST_CHECK;
/* The state in words; "" when all is well. */
const char *board_state_text(unsigned state);

/* ---- provision_settings.c: what the board is told ---- */

struct board_settings {
	const char *ssid;
	char passphrase[65]; /* "" for an open network; wiped by board_settings_clear() */
	const char *host;    /* NULL: the one of the certificate that a board finds most surely */
	unsigned port;       /* 0: that of the gateway's first listener */
	unsigned interval;   /* seconds; 0: the firmware's default */
	const char *publish_topic, *subscribe_topic; /* NULL: the firmware's defaults */
	bool ecdh_in_chip;
	struct pki_anchor anchor;
	struct pki_gateway_info *gateway;
};
/* The command line and the file of the passphrase: CLI_DONE, or an exit code after a sentence. */
int board_settings_options(struct cli *cli, struct board_settings *out) MUST_CHECK;
/* Our CA and the gateway's certificate, in the folder pki: can a board use them? */
int board_settings_trust(struct cli *cli, const char *pki, struct board_settings *s) MUST_CHECK;
void board_settings_clear(struct board_settings *s);
/* The settings page, padded as erased flash. ERR_LIMIT: it does not fit. */
int board_settings_page(const struct board_settings *s, const char *identity,
                        struct span certificate, int64_t now, uint32_t generation, uint8_t *block,
                        char *why) MUST_CHECK;
/* A page with nothing but the consent to lock the chip. */
void board_consent_page(uint32_t generation, uint8_t *block);

#endif
