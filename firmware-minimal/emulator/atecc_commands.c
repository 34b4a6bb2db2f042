/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of the ATECC: which there are, how long they take, the small ones (sheet 2). */
#include <stdlib.h>
#include <string.h>

#include "emulator/atecc_int.h"

enum { OP_SIGN = 0x41, OP_VERIFY = 0x45 };

static void
do_info(struct atecc_model *m, const struct atecc_request *r)
{
	uint8_t answer[4];

	memcpy(answer, m->eeprom.config + 4, sizeof answer);
	if (atecc_is_608(m)) {
		answer[2] = 0x60;
		answer[3] = 0x02;
	}
	if (r->size != 0 || r->param1 > 1 || (r->param1 == 1 && r->param2 >= ATECC_SLOTS)) {
		/* Modes 2 and 3 exist; what they answer is not established. */
		atecc_answer_status(m, ANSWER_PARSE);
		return;
	}
	if (r->param1 == 1) {
		memset(answer, 0, sizeof answer);
		answer[0] = m->eeprom.has_key[r->param2];
	}
	atecc_answer(m, answer, sizeof answer);
}

static void
random_bytes(struct atecc_model *m, uint8_t out[32])
{
	for (unsigned i = 0; i < 32; i += 8) {
		uint64_t r = world_random(m->world);

		memcpy(out + i, &r, 8);
	}
	if (!atecc_config_locked(m)) {
		for (unsigned i = 0; i < 32; i++) {
			out[i] = i % 4 < 2 ? 0xFF : 0x00;
		}
	}
}

static void
do_random(struct atecc_model *m, const struct atecc_request *r)
{
	uint8_t out[32];

	if (r->param1 > 1 || r->param2 != 0 || r->size != 0) {
		atecc_answer_status(m, ANSWER_PARSE);
		return;
	}
	random_bytes(m, out);
	atecc_answer(m, out, sizeof out);
}

static void
digest_to(uint8_t out[32], const void *data, size_t n)
{
	unsigned size = 32;

	if (EVP_Digest(data, n, out, &size, EVP_sha256(), NULL) != 1) {
		abort();
	}
}

/* On a 508A the SHA engine works in TempKey, so the one destroys the other. */
static void
do_nonce(struct atecc_model *m, const struct atecc_request *r)
{
	uint8_t input[32 + 20 + 3];

	if (r->param2 != 0 || (r->param1 != 3 && r->param1 > 1) ||
	    r->size != (r->param1 == 3 ? 32 : 20)) {
		atecc_answer_status(m, ANSWER_PARSE);
		return;
	}
	m->sha_running = m->sha_running && atecc_is_608(m);
	m->tempkey_valid = true;
	m->tempkey_input = r->param1 == 3;
	if (r->param1 == 3) {
		memcpy(m->tempkey, r->data, 32);
		atecc_answer_status(m, ANSWER_SUCCESS);
		return;
	}
	random_bytes(m, input);
	memcpy(input + 32, r->data, 20);
	input[52] = 0x16;
	input[53] = r->param1;
	input[54] = 0;
	digest_to(m->tempkey, input, sizeof input);
	atecc_answer(m, input, 32);
}

static void
sha_start(struct atecc_model *m)
{
	if (EVP_DigestInit_ex(m->sha, EVP_sha256(), NULL) != 1) {
		abort();
	}
	m->sha_running = true;
	m->tempkey_valid = m->tempkey_valid && atecc_is_608(m);
	atecc_answer_status(m, ANSWER_SUCCESS);
}

static void
do_sha(struct atecc_model *m, const struct atecc_request *r)
{
	bool fits = r->param1 == 0 ? r->size == 0 && r->param2 == 0 :
	            r->param1 == 1 ? r->size == 64 && r->param2 == 64 :
	            r->param1 == 2 ? r->size <= 63 && r->param2 == r->size :
	                             false;
	uint8_t digest[32];

	if (!fits) {
		atecc_answer_status(m, ANSWER_PARSE);
	} else if (r->param1 == 0) {
		sha_start(m);
	} else if (!m->sha_running) {
		atecc_answer_status(m, ANSWER_EXECUTION);
	} else if (EVP_DigestUpdate(m->sha, r->data, r->size) != 1) {
		abort();
	} else if (r->param1 == 1) {
		atecc_answer_status(m, ANSWER_SUCCESS);
	} else {
		m->sha_running = false;
		if (EVP_DigestFinal_ex(m->sha, digest, NULL) != 1) {
			abort();
		}
		atecc_answer(m, digest, sizeof digest);
	}
}

/* Milliseconds, the longest of the sheet's table 1.8. */
static const struct opcode {
	uint8_t code;
	const char *name;
	unsigned ms_508, ms_608;
	void (*run)(struct atecc_model *m, const struct atecc_request *r);
} opcodes[] = {
	{ 0x30, "Info", 2, 5, do_info },
	{ 0x1B, "Random", 23, 23, do_random },
	{ 0x02, "Read", 5, 5, atecc_do_read },
	{ 0x12, "Write", 26, 45, atecc_do_write },
	{ 0x17, "Lock", 32, 35, atecc_do_lock },
	{ 0x16, "Nonce", 29, 20, do_nonce },
	{ 0x40, "GenKey", 115, 115, atecc_do_genkey },
	{ OP_SIGN, "Sign", 60, 115, atecc_do_sign },
	{ OP_VERIFY, "Verify", 72, 105, atecc_do_verify },
	{ 0x43, "ECDH", 58, 75, atecc_do_ecdh },
	{ 0x47, "SHA", 9, 36, do_sha },
	{ 0x24, "Counter", 20, 25, atecc_do_counter },
	{ 0x20, "UpdateExtra", 10, 10, atecc_do_update_extra },
};

/* Real commands that nothing in this project has a use for. */
static const uint8_t not_modelled[] = { 0x46, 0x15, 0x08, 0x28, 0x1C, 0x11, 0x01,
	                                0x51, 0x56, 0x80, 0x77 };

static const struct opcode *
find_opcode(uint8_t code)
{
	for (size_t i = 0; i < sizeof opcodes / sizeof *opcodes; i++) {
		if (opcodes[i].code == code) {
			return &opcodes[i];
		}
	}
	return NULL;
}

static uint64_t
unknown(struct atecc_model *m, uint8_t code)
{
	if (memchr(not_modelled, code, sizeof not_modelled) != NULL) {
		world_violation(m->world, "atecc: command 0x%02X exists but is not modelled", code);
	}
	atecc_answer_status(m, ANSWER_PARSE);
	return 1000000;
}

/* Faults that take the place of a command; false: run it. */
static bool
refused_by_fault(struct atecc_model *m)
{
	static const struct {
		const char *name;
		uint8_t status;
	} faults[] = {
		{ "atecc.near-watchdog", ANSWER_WATCHDOG },
		{ "atecc.execution", ANSWER_EXECUTION },
		{ "atecc.ecc-fault", ANSWER_ECC_FAULT },
		{ "atecc.crc-command", ANSWER_CRC },
	};
	long status = fault_value(m->faults, "atecc.status", -1);

	for (size_t i = 0; status < 0 && i < sizeof faults / sizeof *faults; i++) {
		if (fault_hits(m->faults, faults[i].name)) {
			status = faults[i].status;
		}
	}
	if (status < 0) {
		return false;
	}
	atecc_answer_status(m, (uint8_t)status);
	return true;
}

uint64_t
atecc_execute(struct atecc_model *m, const struct atecc_request *r)
{
	const struct opcode *op = find_opcode(r->opcode);
	uint64_t percent;

	if (op == NULL) {
		return unknown(m, r->opcode);
	}
	world_note(m->world, "atecc: %s %02X %04X, %zu bytes", op->name, r->param1, r->param2,
	           r->size);
	if ((r->opcode == OP_SIGN || r->opcode == OP_VERIFY) &&
	    fault_hits(m->faults, "atecc.tempkey-lost")) {
		m->tempkey_valid = false;
	}
	if (!refused_by_fault(m)) {
		op->run(m, r);
	}
	percent = (uint64_t)fault_value(m->faults, "atecc.slow", 100);
	if (percent == 1) {
		percent = 140; /* without a value */
	}
	return (uint64_t)fault_value(m->faults, "atecc.busy", 0) * 1000000 +
	       (atecc_is_608(m) ? op->ms_608 : op->ms_508) * percent * 10000;
}
