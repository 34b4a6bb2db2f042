/* SPDX-License-Identifier: BSD-2-Clause */
/* What the register says of the devices. */
#include "doctor_int.h"

#include "base/clock.h"

struct census {
	int64_t now;
	unsigned enrolled, pending;
	struct doctor_names soon, over;
};

static int
count_device(void *owner, const struct reg_device *device)
{
	struct census *c = owner;

	c->enrolled += device->state == REG_ENROLLED;
	if (device->state != REG_ENROLLED || device->not_after == 0) {
		return 0;
	}
	if (device->not_after < c->now) {
		doctor_names_add(&c->over, device->name);
	} else if (device->not_after < c->now + DOCTOR_SOON) {
		doctor_names_add(&c->soon, device->name);
	}
	return 0;
}

static bool
take_census(struct doctor *d, struct census *c)
{
	int strangers = reg_stranger_count(d->reg);

	*c = (struct census){ .now = clock_wall(),
			      .pending = strangers > 0 ? (unsigned)strangers : 0 };
	if (strangers < 0 || reg_each(d->reg, count_device, c) != 0) {
		doctor_fault(d, "The register cannot be read. %s", reg_error(d->reg));
		return false;
	}
	return true;
}

void
doctor_devices_admission(struct doctor *d)
{
	struct census c;

	if (!take_census(d, &c)) {
		return;
	}
	if (d->conf->admission == CONF_ADMIT_ENROLLED && c.enrolled == 0) {
		doctor_warn(d, "No device is enrolled, and only enrolled ones are admitted.");
		doctor_remedy(d, "gatewayctl enroll --csr FILE");
	} else {
		doctor_ok(d, "%u enrolled, %u waiting for approval.", c.enrolled, c.pending);
	}
}

void
doctor_devices_dates(struct doctor *d)
{
	struct census c;

	if (!take_census(d, &c)) {
		return;
	}
	if (c.over.count > 0) {
		doctor_warn(d, "Certificates that have expired: %s.", doctor_names_text(&c.over));
		doctor_remedy(d, "Enrol these devices again, or remove them.");
	}
	if (c.soon.count > 0) {
		doctor_warn(d, "Certificates that expire within 30 days: %s.",
			    doctor_names_text(&c.soon));
		doctor_remedy(d, "Enrol these devices again with the same key.");
	}
	if (!d->said) {
		doctor_ok(d, "None expires within 30 days.");
	}
}
