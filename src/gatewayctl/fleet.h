/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fleet files: what devices should be like, in YAML. Reading is strict and
 * says the line of every fault; comparing gives the changes.
 *
 *     version: 1
 *     devices:
 *       - name: pump1
 *         group: pumps         # "" none; left alone when not given
 *         labels: { floor: "2" } # exactly these; left alone when not given
 *         state: enrolled      # or revoked; left alone when not given
 *         fingerprint: 0123... # must be that of the register
 */
#ifndef GATEWAYCTL_FLEET_H
#define GATEWAYCTL_FLEET_H

#include "base/err.h"
#include "base/span.h"
#include "device.h"

#define FLEET_LABELS_MAX 256 /* of one device */

struct fleet_device {
	unsigned line;
	char *name, *group, *fingerprint; /* NULL: not given */
	int state;                        /* enum reg_state, -1: not given */
	bool has_labels;
	struct device_label *label;
	size_t labels;
};

struct fleet {
	struct fleet_device *device; /* in order of name */
	size_t devices;
};

/*
 * fault() is called for each, in no certain order; what a sentence quotes is
 * not escaped. ERR_MALFORMED: there was a fault (out is empty). -ENOMEM.
 */
int fleet_read(struct span text,
               void (*fault)(void *owner, unsigned line, const char *sentence), void *owner,
               struct fleet *out) MUST_CHECK;
void fleet_clear(struct fleet *fleet);

enum fleet_what { FLEET_GROUP, FLEET_STATE, FLEET_LABEL, FLEET_REMOVE };

struct fleet_change {
	enum fleet_what what;
	char *device, *label; /* label: for FLEET_LABEL */
	char *before, *after; /* "" none */
};

struct fleet_changes {
	struct fleet_change *list;
	size_t count, size;
};

/* What it takes to make `have` like `want`; added to the list. 0 or -ENOMEM. */
int fleet_diff(const struct fleet_device *want, const struct device *have,
               struct fleet_changes *out) MUST_CHECK;
int fleet_add_change(struct fleet_changes *changes, enum fleet_what what, const char *device,
                     const char *label, const char *before, const char *after) MUST_CHECK;
void fleet_changes_clear(struct fleet_changes *changes);

#endif
