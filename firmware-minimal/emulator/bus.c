/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the register of an access and refuses what the data sheet does not list. */
#include "emulator/bus.h"

static const struct bus_device *
device_at(const struct bus_device *devices, uint32_t address)
{
	for (; devices->name != NULL; devices++) {
		if (address - devices->base < devices->size) {
			return devices;
		}
	}
	return NULL;
}

static bool
covers(const struct bus_register *r, unsigned offset)
{
	if (r->count == 0) {
		return r->offset == offset;
	}
	return offset >= r->offset && (offset - r->offset) % r->stride == 0 &&
	       (offset - r->offset) / r->stride < r->count;
}

static const struct bus_register *
register_at(const struct bus_device *device, unsigned offset)
{
	for (const struct bus_register *r = device->registers; r->name != NULL; r++) {
		if (covers(r, offset)) {
			return r;
		}
	}
	return NULL;
}

const struct bus_register *
bus_find(struct world *world, const struct bus_device *devices, const struct bus_device **device,
         uint32_t address, unsigned bytes, bool write, uint32_t value)
{
	const char *verb = write ? "write" : "read";
	const struct bus_device *d = device_at(devices, address);
	const struct bus_register *r;

	if (d == NULL) {
		world_violation(world, "%s of %u bits at 0x%08X, where there is nothing", verb,
		                bytes * 8, address);
		return NULL;
	}
	r = register_at(d, address - d->base);
	if (r == NULL) {
		world_violation(world, "%s of %u bits at 0x%08X: %s has no documented register at 0x%02X",
		                verb, bytes * 8, address, d->name, address - d->base);
		return NULL;
	}
	if ((r->widths & bytes) == 0) {
		world_violation(world, "%s of %s.%s with %u bits, which is not its width", verb,
		                d->name, r->name, bytes * 8);
		return NULL;
	}
	if ((r->access & (write ? BUS_W : BUS_R)) == 0) {
		world_violation(world, "%s of %s.%s, which is %s only", verb, d->name, r->name,
		                write ? "read" : "write");
		return NULL;
	}
	if (write && (value & ~r->allowed) != 0) {
		world_violation(world, "write of 0x%X to %s.%s sets reserved bits (0x%X)", value,
		                d->name, r->name, value & ~r->allowed);
		return NULL;
	}
	*device = d;
	return r;
}
