/* SPDX-License-Identifier: BSD-2-Clause */
/* GenKey, Sign, Verify and ECDH of the ATECC: who may, then the arithmetic (sheet 2.7-2.10). */
#include <string.h>

#include "emulator/atecc_int.h"

enum {
	KEY_PRIVATE = 1 << 0,
	KEY_PUB_INFO = 1 << 1,
	KEY_TYPE = 7 << 2,
	KEY_TYPE_P256 = 4 << 2,
	SLOT_EXTERNAL_SIGN = 1 << 0,
	SLOT_ECDH = 1 << 2,
	SLOT_ECDH_TO_SLOT = 1 << 3,
	SLOT_GENKEY = 1 << 13,
};

static bool
is_ec_slot(const struct atecc_model *m, unsigned slot)
{
	return (atecc_key_config(m, slot) & (KEY_PRIVATE | KEY_TYPE)) ==
	       (KEY_PRIVATE | KEY_TYPE_P256);
}

static bool
may_create(const struct atecc_model *m, unsigned slot)
{
	return atecc_config_locked(m) && is_ec_slot(m, slot) && !atecc_slot_locked(m, slot) &&
	       (!atecc_data_locked(m) || (atecc_slot_config(m, slot) & SLOT_GENKEY) != 0);
}

static bool
may_show(const struct atecc_model *m, unsigned slot)
{
	return atecc_config_locked(m) && is_ec_slot(m, slot) && m->eeprom.has_key[slot] &&
	       (atecc_key_config(m, slot) & KEY_PUB_INFO) != 0;
}

/* The fault of #16: a chip whose data zone is open refuses to use its keys. */
static bool
fails_half_locked(const struct atecc_model *m)
{
	return !atecc_data_locked(m) && fault_hits(m->faults, "atecc.key-failure");
}

void
atecc_do_genkey(struct atecc_model *m, const struct atecc_request *r)
{
	unsigned slot = r->param2;
	uint8_t point[64];
	bool create = r->param1 == 0x04;

	if ((r->param1 != 0x00 && !create) || slot >= ATECC_SLOTS || r->size != 0) {
		atecc_answer_status(m, ANSWER_PARSE);
		return;
	}
	if (fails_half_locked(m) || !(create ? may_create(m, slot) : may_show(m, slot))) {
		atecc_answer_status(m, ANSWER_EXECUTION);
		return;
	}
	if (create) {
		atecc_random_scalar(m->world, m->eeprom.scalars[slot]);
		m->eeprom.has_key[slot] = 1;
		atecc_written(m);
	}
	if (atecc_public(m->eeprom.scalars[slot], point)) {
		atecc_answer(m, point, sizeof point);
	} else {
		atecc_answer_status(m, ANSWER_ECC_FAULT);
	}
}

/*
 * Whether a use empties TempKey is not established; the strict way is that it
 * does, and the fault is the other way.
 */
static bool
take_tempkey(struct atecc_model *m)
{
	bool valid = m->tempkey_valid && m->tempkey_input;

	if (!fault_hits(m->faults, "atecc.tempkey-kept")) {
		m->tempkey_valid = false;
	}
	return valid;
}

void
atecc_do_sign(struct atecc_model *m, const struct atecc_request *r)
{
	unsigned slot = r->param2;
	long wanted = fault_value(m->faults, "atecc.signature", 0);
	uint8_t signature[64];

	if (r->param1 != 0x80 || slot >= ATECC_SLOTS || r->size != 0) {
		atecc_answer_status(m, ANSWER_PARSE);
		return;
	}
	/* Not established for an open data zone; refused here. */
	if (fails_half_locked(m) || !atecc_data_locked(m) || !is_ec_slot(m, slot) ||
	    !m->eeprom.has_key[slot] || (atecc_slot_config(m, slot) & SLOT_EXTERNAL_SIGN) == 0 ||
	    !take_tempkey(m)) {
		atecc_answer_status(m, ANSWER_EXECUTION);
		return;
	}
	if (atecc_ecdsa_sign(m->world, m->eeprom.scalars[slot], m->tempkey, wanted, signature)) {
		atecc_answer(m, signature, sizeof signature);
	} else {
		atecc_answer_status(m, ANSWER_ECC_FAULT);
	}
}

void
atecc_do_verify(struct atecc_model *m, const struct atecc_request *r)
{
	int good;

	if (r->param1 != 0x02 || r->param2 != 0x0004 || r->size != 128) {
		atecc_answer_status(m, ANSWER_PARSE);
		return;
	}
	/* No key of the chip is in use: it works on one that is not locked at all, too. */
	if (!take_tempkey(m)) {
		atecc_answer_status(m, ANSWER_EXECUTION);
		return;
	}
	good = atecc_ecdsa_verify(m->tempkey, r->data, r->data + 64);
	if (fault_hits(m->faults, "atecc.miscompare")) {
		good = 0;
	}
	atecc_answer_status(m, good < 0  ? ANSWER_ECC_FAULT :
	                       good == 0 ? ANSWER_MISCOMPARE :
	                                   ANSWER_SUCCESS);
}

void
atecc_do_ecdh(struct atecc_model *m, const struct atecc_request *r)
{
	unsigned slot = r->param2;
	unsigned config = slot < ATECC_SLOTS ? atecc_slot_config(m, slot) : 0;
	uint8_t x[32];

	if (r->param1 != 0 || slot >= ATECC_SLOTS || r->size != 64) {
		atecc_answer_status(m, ANSWER_PARSE);
		return;
	}
	if (!atecc_data_locked(m) || !is_ec_slot(m, slot) || !m->eeprom.has_key[slot] ||
	    (config & SLOT_ECDH) == 0 || ((config & SLOT_ECDH_TO_SLOT) != 0 && slot % 2 != 0)) {
		atecc_answer_status(m, ANSWER_EXECUTION);
		return;
	}
	if (!atecc_shared_x(m->eeprom.scalars[slot], r->data, x)) {
		atecc_answer_status(m, ANSWER_ECC_FAULT);
	} else if ((config & SLOT_ECDH_TO_SLOT) != 0) {
		memcpy(m->eeprom.slots[slot | 1], x, sizeof x);
		atecc_written(m);
		atecc_answer_status(m, ANSWER_SUCCESS);
	} else {
		atecc_answer(m, x, sizeof x);
	}
}
