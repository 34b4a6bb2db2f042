/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a verified certificate to a device: its identity, what the register
 * says of it, its group and labels, and the map that applies. Law 2: the
 * identity comes from the certificate only and is checked before it enters
 * any template.
 */
#ifndef GATEWAY_SESSION_DEVICE_H
#define GATEWAY_SESSION_DEVICE_H

#include "conf/conf.h"
#include "pki/pki.h"
#include "register/reg.h"
#include "tls/tls.h"

#define DEVICE_LABELS 64
#define DEVICE_WHY_SIZE 384

struct device_label {
	struct span name, value;
};

struct device {
	struct conf *conf;          /* a reference: `map` points into it */
	const struct conf_map *map;
	struct span identity;       /* NUL-terminated, behind the labels */
	struct span group;
	unsigned label_count;
	bool known;                 /* the register has it; else admission is "ca" */
	struct device_label label[];
};

/*
 * Decide on a certificate that passed X.509 checks, but perhaps for its end.
 * A key that the register knows decides the identity, whatever the
 * certificate says; then its name does. On TLS_ADMIT_YES and TLS_ADMIT_GRACE
 * *out is a new device; otherwise `why` (DEVICE_WHY_SIZE) gets a sentence and
 * `identity` (REG_NAME_MAX + 1) the name if there is one that somebody
 * vouches for, else "".
 */
enum tls_admit device_admit(struct conf *conf, struct reg *reg, const struct pki_cert *cert,
                            enum tls_trust trust, struct device **out, char *identity,
                            char *why);
/*
 * What the register should remember of one that it does not know. The address
 * and the time are the caller's to fill in.
 */
void device_stranger(const struct conf *conf, const struct pki_cert *cert, enum tls_trust trust,
                     struct reg_stranger *out);
void device_free(struct device *device); /* NULL is fine */

/*
 * The variables of its templates, without client_id. Spans point into device
 * and cert, which must outlive them.
 */
void device_vars(const struct device *device, const struct pki_cert *cert,
                 struct topic_vars *vars);

#endif
