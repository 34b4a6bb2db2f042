/* SPDX-License-Identifier: BSD-2-Clause */
/* One device of the register with its labels, and the map it gets. */
#ifndef GATEWAYCTL_DEVICE_H
#define GATEWAYCTL_DEVICE_H

#include "cli.h"

struct device {
	struct reg_device row;
	struct device_label {
		char *name, *value;
	} *label;
	size_t labels;
	struct pki_cert *ca; /* for the issuer's name; may be NULL */
};

/* 0, ERR_NOT_FOUND, ERR_DATABASE, -ENOMEM. */
int device_load(struct cli *cli, struct reg *reg, const char *name, struct device *out) MUST_CHECK;
/* The same without the CA's certificate: for work on many. */
int device_load_row(struct reg *reg, const char *name, struct device *out) MUST_CHECK;
void device_clear(struct device *device);
/* The map that the configuration gives it, or NULL. */
const struct conf_map *device_map(const struct cli *cli, struct device *device);
/* What its templates may use; client_id may be NULL: then as configured. */
void device_vars(const struct cli *cli, struct device *device, const char *client_id,
                 struct topic_vars *out);
/* { name: value, ... } */
struct doc *device_labels(const struct device *device);

#endif
