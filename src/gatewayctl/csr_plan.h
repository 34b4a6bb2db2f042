/* SPDX-License-Identifier: BSD-2-Clause */
/* Which requests of a folder need work: nothing is signed here. */
#ifndef GATEWAYCTL_CSR_PLAN_H
#define GATEWAYCTL_CSR_PLAN_H

#include "pki/pki.h"

enum csr_step { CSR_WORK, CSR_SKIP, CSR_FAIL };

struct csr_item {
	char *file; /* in the folder, with its path */
	char name[257];
	char fingerprint[PKI_FINGERPRINT_SIZE];
	enum csr_step step;
	char why[PKI_WHY_SIZE]; /* CSR_FAIL */
};

struct csr_plan {
	struct csr_item *item; /* in order of file name */
	size_t count;
};

/*
 * Every file *.csr, *.req, *.pem or *.der of the folder. by_file: the device
 * has the name of the file without its ending, not the one of the request.
 * is_done: has the device with that key all it can get? A negative errno when
 * the folder cannot be read.
 */
int csr_plan_make(const char *folder, bool by_file,
                  bool (*is_done)(void *owner, const char *name, const char *fingerprint),
                  void *owner, struct csr_plan *out) MUST_CHECK;
void csr_plan_clear(struct csr_plan *plan);

#endif
