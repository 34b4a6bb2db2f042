/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration, OTP and data zone of the ATECC: layout, rights, locks (sheet 2.3-2.5, 2.12, 3). */
#include <string.h>

#include "emulator/atecc_int.h"

enum { ZONE_CONFIG, ZONE_OTP, ZONE_DATA };
enum {
	AT_OTP_MODE = 18,
	AT_SLOT_CONFIG = 20,
	AT_COUNTER = 52,
	AT_USER_EXTRA = 84,
	AT_SELECTOR = 85,
	AT_LOCK_VALUE = 86,
	AT_LOCK_CONFIG = 87,
	AT_SLOT_LOCKED = 88,
	AT_KEY_CONFIG = 96,
	LOCK_WORD = 21,
	COUNTER_MAX = 2097151,
	PADDING = 0xA5, /* of a block that reaches beyond the end of its slot: anything */
};

/* A fresh chip (3.4), from byte 16 on. */
static const uint8_t fresh[ATECC_CONFIG_BYTES - 16] = {
	0xC0, 0x00, 0x55, 0x00, 0x83, 0x20, 0x87, 0x20,
	0x8F, 0x20, 0xC4, 0x8F, 0x8F, 0x8F, 0x8F, 0x8F,
	0x9F, 0x8F, 0xAF, 0x8F, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0xAF, 0x8F, 0xFF, 0xFF, 0xFF, 0xFF,
	0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF,
	0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF,
	0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
	0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x55, 0x55,
	0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x33, 0x00, 0x33, 0x00, 0x33, 0x00, 0x1C, 0x00,
	0x1C, 0x00, 0x1C, 0x00, 0x1C, 0x00, 0x1C, 0x00,
	0x3C, 0x00, 0x3C, 0x00, 0x3C, 0x00, 0x3C, 0x00,
	0x3C, 0x00, 0x3C, 0x00, 0x3C, 0x00, 0x1C, 0x00,
};

void
atecc_factory(struct atecc_eeprom *e, const uint8_t serial[9], bool is_608)
{
	static const uint8_t revision_508[4] = { 0x00, 0x00, 0x50, 0x00 };
	static const uint8_t revision_608[4] = { 0x00, 0x00, 0x60, 0x02 };

	memset(e, 0, sizeof *e);
	memset(e->otp, 0xFF, sizeof e->otp);
	memset(e->slots, 0xFF, sizeof e->slots);
	memcpy(e->config, serial, 4);
	memcpy(e->config + 4, is_608 ? revision_608 : revision_508, 4);
	memcpy(e->config + 8, serial + 4, 5);
	e->config[13] = is_608 ? 0x01 : 0xC0;
	e->config[14] = is_608 ? 0x61 : 0x55;
	memcpy(e->config + 16, fresh, sizeof fresh);
	if (is_608) {
		e->config[AT_OTP_MODE] = 0;
		memset(e->config + 68, 0, 16);
	}
}

/* The seven bytes in which 3.5 differs from a fresh chip, and the locks. */
void
atecc_preset(struct atecc_eeprom *e)
{
	static const uint8_t change[][2] = { { 24, 0x87 }, { 26, 0x87 }, { 27, 0x2F }, { 28, 0x87 },
		                             { 29, 0x2F }, { 102, 0x33 }, { 104, 0x33 } };

	for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
		e->config[change[i][0]] = change[i][1];
	}
	e->config[AT_LOCK_VALUE] = 0;
	e->config[AT_LOCK_CONFIG] = 0;
}

static unsigned
u16(const uint8_t *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

bool
atecc_config_locked(const struct atecc_model *m)
{
	return m->eeprom.config[AT_LOCK_CONFIG] == 0 && !fault_hits(m->faults, "atecc.unlocked");
}

bool
atecc_data_locked(const struct atecc_model *m)
{
	return m->eeprom.config[AT_LOCK_VALUE] == 0 && atecc_config_locked(m);
}

bool
atecc_slot_locked(const struct atecc_model *m, unsigned slot)
{
	return (u16(m->eeprom.config + AT_SLOT_LOCKED) >> slot & 1) == 0;
}

unsigned
atecc_slot_config(const struct atecc_model *m, unsigned slot)
{
	return u16(m->eeprom.config + AT_SLOT_CONFIG + 2 * slot);
}

unsigned
atecc_key_config(const struct atecc_model *m, unsigned slot)
{
	return u16(m->eeprom.config + AT_KEY_CONFIG + 2 * slot);
}

static bool
is_private(const struct atecc_model *m, unsigned slot)
{
	return (atecc_key_config(m, slot) & 1) != 0;
}

static size_t
slot_size(unsigned slot)
{
	return slot < 8 ? 36 : slot == 8 ? 416 : 72;
}

void
atecc_written(struct atecc_model *m)
{
	m->dirty = true;
	for (size_t i = 0; i < sizeof m->eeprom.writes && ++m->eeprom.writes[i] == 0; i++) {
	}
}

/* ---- where a Read or a Write goes ---- */

struct place {
	unsigned zone, slot;
	uint8_t *base;        /* of the zone or slot */
	size_t room, at, size;
};

/* False: parse error. A whole block may reach beyond the end of a slot: "padded". */
static bool
find_place(struct atecc_model *m, const struct atecc_request *r, struct place *p)
{
	unsigned word = r->param2 & 7;
	unsigned block = r->param2 >> 3;

	p->zone = r->param1 & 3;
	p->size = (r->param1 & 0x80) != 0 ? 32 : 4;
	p->slot = 0;
	switch (p->zone) {
	case ZONE_CONFIG:
		p->base = m->eeprom.config;
		p->room = ATECC_CONFIG_BYTES;
		break;
	case ZONE_OTP:
		p->base = m->eeprom.otp;
		p->room = ATECC_OTP_BYTES;
		break;
	case ZONE_DATA:
		p->slot = block & 15;
		block = r->param2 >> 8;
		if ((r->param2 & 0x80) != 0) {
			return false;
		}
		p->base = m->eeprom.slots[p->slot];
		p->room = slot_size(p->slot);
		break;
	default:
		return false;
	}
	p->at = 32 * (size_t)block + 4 * word;
	if (p->size == 32 && word != 0) {
		/*
		 * The chip's maker expects such a Write to be taken at the end of a slot, and
		 * the bytes behind its end to be dropped. Elsewhere it is not established.
		 */
		return p->zone == ZONE_DATA && p->at < p->room && p->at + p->size > p->room;
	}
	return p->at < p->room && (p->size == 32 || p->at + 4 <= p->room);
}

static bool
may_read(const struct atecc_model *m, const struct place *p)
{
	return p->zone == ZONE_CONFIG ||
	       (atecc_data_locked(m) &&
	        (p->zone == ZONE_OTP || (atecc_slot_config(m, p->slot) & 0xC0) == 0));
}

void
atecc_do_read(struct atecc_model *m, const struct atecc_request *r)
{
	uint8_t data[32];
	struct place p;

	if ((r->param1 & ~0x83) != 0 || r->size != 0 || !find_place(m, r, &p) ||
	    (p.size == 32 && p.at % 32 != 0)) {
		atecc_answer_status(m, ANSWER_PARSE);
		return;
	}
	if (!may_read(m, &p)) {
		atecc_answer_status(m, ANSWER_EXECUTION);
		return;
	}
	memset(data, PADDING, sizeof data);
	memcpy(data, p.base + p.at, p.size < p.room - p.at ? p.size : p.room - p.at);
	if (p.zone == ZONE_CONFIG && !atecc_config_locked(m)) {
		/* Only the fault makes a difference here. */
		for (size_t at = AT_LOCK_VALUE; at <= AT_LOCK_CONFIG; at++) {
			if (at >= p.at && at < p.at + p.size &&
			    m->eeprom.config[AT_LOCK_CONFIG] == 0) {
				data[at - p.at] = 0x55;
			}
		}
	}
	atecc_answer(m, data, p.size);
}

static bool
may_write_config(const struct atecc_model *m, const struct place *p)
{
	if (atecc_config_locked(m) || p->at < 16) {
		return false;
	}
	return p->size == 4 ? p->at != 4 * LOCK_WORD : p->at == 32 || p->at == 96;
}

static bool
may_write_data(const struct atecc_model *m, const struct place *p)
{
	if (!atecc_config_locked(m) || atecc_slot_locked(m, p->slot) || is_private(m, p->slot)) {
		return false;
	}
	if (!atecc_data_locked(m)) {
		return p->size == 32;
	}
	return atecc_slot_config(m, p->slot) >> 12 == 0;
}

static bool
may_write_otp(const struct atecc_model *m, const struct place *p)
{
	if (!atecc_data_locked(m)) {
		return atecc_config_locked(m) && p->size == 32;
	}
	return m->eeprom.config[AT_OTP_MODE] == 0x55; /* consumption */
}

void
atecc_do_write(struct atecc_model *m, const struct atecc_request *r)
{
	struct place p;
	bool allowed;

	if ((r->param1 & 0x3C) != 0 || !find_place(m, r, &p) || r->size != p.size) {
		atecc_answer_status(m, ANSWER_PARSE);
		return;
	}
	allowed = p.zone == ZONE_CONFIG ? may_write_config(m, &p) :
	          p.zone == ZONE_DATA   ? may_write_data(m, &p) :
	                                  may_write_otp(m, &p);
	if (!allowed || (r->param1 & 0x40) != 0) {
		atecc_answer_status(m, ANSWER_EXECUTION);
		return;
	}
	if (fault_hits(m->faults, "atecc.write-ignored")) {
		atecc_answer_status(m, ANSWER_SUCCESS);
		return;
	}
	for (size_t i = 0; i < p.size && p.at + i < p.room; i++) {
		bool consume = p.zone == ZONE_OTP && atecc_data_locked(m);

		p.base[p.at + i] = consume ? p.base[p.at + i] & r->data[i] : r->data[i];
	}
	atecc_written(m);
	atecc_answer_status(m, ANSWER_SUCCESS);
}

/* ---- locks ---- */

/* All slots that are not private keys, then OTP. */
static uint16_t
data_crc(const struct atecc_model *m)
{
	uint8_t all[ATECC_SLOTS * ATECC_SLOT_BYTES + ATECC_OTP_BYTES];
	size_t n = 0;

	for (unsigned slot = 0; slot < ATECC_SLOTS; slot++) {
		if (!is_private(m, slot)) {
			memcpy(all + n, m->eeprom.slots[slot], slot_size(slot));
			n += slot_size(slot);
		}
	}
	memcpy(all + n, m->eeprom.otp, ATECC_OTP_BYTES);
	return atecc_model_crc(all, n + ATECC_OTP_BYTES);
}

static bool
lock_slot(struct atecc_model *m, const struct atecc_request *r)
{
	unsigned slot = r->param1 >> 2 & 15;

	if (!atecc_config_locked(m) || atecc_slot_locked(m, slot) ||
	    (atecc_key_config(m, slot) & 0x20) == 0) {
		return false;
	}
	m->eeprom.config[AT_SLOT_LOCKED + slot / 8] &= (uint8_t)~(1u << slot % 8);
	return true;
}

static bool
lock_zone(struct atecc_model *m, const struct atecc_request *r)
{
	bool unchecked = (r->param1 & 0x80) != 0;

	if ((r->param1 & 3) == ZONE_CONFIG) {
		if (atecc_config_locked(m) ||
		    (!unchecked &&
		     r->param2 != atecc_model_crc(m->eeprom.config, ATECC_CONFIG_BYTES))) {
			return false;
		}
		m->eeprom.config[AT_LOCK_CONFIG] = 0;
		return true;
	}
	if (!atecc_config_locked(m) || atecc_data_locked(m) ||
	    (!unchecked && r->param2 != data_crc(m))) {
		return false;
	}
	m->eeprom.config[AT_LOCK_VALUE] = 0;
	return true;
}

void
atecc_do_lock(struct atecc_model *m, const struct atecc_request *r)
{
	unsigned zone = r->param1 & 3;
	bool done;

	if (zone == 3 || (r->param1 & 0x40) != 0 || r->size != 0 ||
	    (r->param1 & (zone == 2 ? 0x80 : 0x3C)) != 0) {
		atecc_answer_status(m, ANSWER_PARSE);
		return;
	}
	done = zone == 2 ? lock_slot(m, r) : lock_zone(m, r);
	if (done) {
		atecc_written(m);
	}
	atecc_answer_status(m, done ? ANSWER_SUCCESS : ANSWER_EXECUTION);
}

/* ---- counters ---- */

static void
put_be16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void
counter_store(uint8_t p[8], uint32_t n)
{
	put_be16(p, (unsigned)(0xFFFFu >> n % 32));
	put_be16(p + 2, n < 16 ? 0xFFFFu : (unsigned)(0xFFFFu >> (n - 16) % 32));
	put_be16(p + 4, n / 32);
	put_be16(p + 6, n < 16 ? 0 : (n - 16) / 32);
}

static uint32_t
zeros(const uint8_t p[2])
{
	uint32_t n = 0;

	for (unsigned i = 0; i < 16; i++) {
		n += (p[i / 8] >> (7 - i % 8) & 1) == 0;
	}
	return n;
}

/* linA runs through 16 of each 32, linB through the other 16. */
static uint32_t
counter_load(const uint8_t p[8])
{
	uint32_t a = zeros(p);

	return ((uint32_t)p[4] << 8 | p[5]) * 32 + a + (a == 16 ? zeros(p + 2) : 0);
}

void
atecc_do_counter(struct atecc_model *m, const struct atecc_request *r)
{
	uint8_t answer[4];
	uint8_t *p = m->eeprom.config + AT_COUNTER + 8 * (r->param2 & 1);
	uint32_t n = counter_load(p);

	if (r->param1 > 1 || r->param2 > 1 || r->size != 0) {
		atecc_answer_status(m, ANSWER_PARSE);
		return;
	}
	if (r->param1 == 1 && (!atecc_config_locked(m) || n >= COUNTER_MAX)) {
		atecc_answer_status(m, ANSWER_EXECUTION);
		return;
	}
	if (r->param1 == 1) {
		counter_store(p, ++n);
		atecc_written(m);
	}
	for (unsigned i = 0; i < 4; i++) {
		answer[i] = (uint8_t)(n >> 8 * i);
	}
	atecc_answer(m, answer, sizeof answer);
}

/* Bytes 84 and 85, each once. */
void
atecc_do_update_extra(struct atecc_model *m, const struct atecc_request *r)
{
	uint8_t *byte = m->eeprom.config + (r->param1 == 0 ? AT_USER_EXTRA : AT_SELECTOR);

	if (r->param1 > 1 || r->param2 > 0xFF || r->size != 0) {
		atecc_answer_status(m, ANSWER_PARSE);
		return;
	}
	if (*byte != 0) {
		atecc_answer_status(m, ANSWER_EXECUTION);
		return;
	}
	*byte = (uint8_t)r->param2;
	atecc_written(m);
	atecc_answer_status(m, ANSWER_SUCCESS);
}
