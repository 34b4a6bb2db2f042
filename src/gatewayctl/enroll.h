/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One enrolment: certificate, register, files for the owner. The steps fill
 * `why` with a sentence when they fail, so that one of many can go wrong.
 */
#ifndef GATEWAYCTL_ENROLL_H
#define GATEWAYCTL_ENROLL_H

#include "cli.h"
#include "pki/pki.h"

#define ENROLL_DAYS 7300
#define ENROLL_DAYS_MAX 36500
#define ENROLL_REQUEST_MAX 65536 /* bytes of a request: real ones have a few hundred */

struct enrolment {
	struct cli *cli;
	struct reg *reg;
	char *pki;         /* STATE/pki */
	unsigned days, slot;
	const char *name;  /* NULL: that of the request */
	bool sketch;       /* write the files of a board too */
	struct pki_issued issued;
	char identity[REG_NAME_MAX + 1];
	bool renewed;
	bool sketch_written;
	char *folder, *certificate, *ca; /* written for the owner */
	char why[512];
};

/* Options that all forms share, and the register. An exit code after a sentence. */
int enroll_open(struct cli *cli, struct enrolment *e) MUST_CHECK;
void enroll_close(struct enrolment *e);
/* Forget one device before the next. */
void enroll_reset(struct enrolment *e);

/* The whole of a request. */
int enroll_read(const char *file, struct buf *out) MUST_CHECK;
int enroll_sign(struct enrolment *e, struct span request) MUST_CHECK;
int enroll_make_key(struct enrolment *e, const char *key_file) MUST_CHECK;
/* The name that gatewayd will find in the certificate. */
int enroll_find_identity(struct enrolment *e) MUST_CHECK;
int enroll_make_folder(struct enrolment *e, const char *parent, const char *folder) MUST_CHECK;
/* Keep a copy of the certificate and write the register, with group and labels. */
int enroll_register(struct enrolment *e) MUST_CHECK;
int enroll_write_files(struct enrolment *e) MUST_CHECK;

/* STATE/pki/issued/SERIAL.crt, malloc'd; NULL: out of memory. */
char *enroll_kept(const struct cli *cli, const char *serial);

int enroll_directory_run(struct cli *cli);

#endif
