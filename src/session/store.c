/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/store.h"

struct load {
	int (*each)(void *owner, struct span filter, uint8_t options, uint32_t id);
	void *owner;
};

static int
load_one(void *owner, const struct reg_subscription *s)
{
	struct load *l = owner;

	return l->each(l->owner, s->filter, s->options, s->id);
}

static int
load(void *owner, struct span identity, struct span client_id,
     int (*each)(void *each_owner, struct span filter, uint8_t options, uint32_t id),
     void *each_owner)
{
	struct load l = { .each = each, .owner = each_owner };

	reg_subscription_touch(owner, identity, client_id);
	return reg_subscription_each(owner, client_id, load_one, &l);
}

static int
put(void *owner, struct span identity, struct span client_id, struct span filter, uint8_t options,
    uint32_t id)
{
	struct reg_subscription s = { .filter = filter, .options = options, .id = id };

	return reg_subscription_put(owner, identity, client_id, &s);
}

static int
take_out(void *owner, struct span client_id, struct span filter)
{
	return reg_subscription_remove(owner, client_id, filter);
}

static int
any(void *owner, const struct reg_subscription *s)
{
	(void)s;
	*(bool *)owner = true;
	return 1; /* one is enough */
}

/* Every clean session asks for this: look first, a look takes no lock. */
static int
clear(void *owner, struct span client_id)
{
	bool found = false;
	int rc = reg_subscription_each(owner, client_id, any, &found);

	return found ? reg_subscription_clear(owner, client_id) : rc;
}

static int
begin(void *owner)
{
	return reg_subscription_begin(owner);
}

static int
end(void *owner, int rc)
{
	if (rc < 0) {
		reg_rollback(owner);
		return rc;
	}
	return reg_commit(owner);
}

struct relay_store
store_of(struct reg *reg)
{
	return (struct relay_store){ .load = load, .put = put, .remove = take_out, .clear = clear,
		.begin = begin, .end = end, .owner = reg };
}
