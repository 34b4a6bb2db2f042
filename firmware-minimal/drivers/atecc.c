/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/atecc.h"

#include <string.h>

#include "drivers/atecc_link.h"

#define SLOTS 16u
#define NONCE_PASS_THROUGH 0x03u
#define GENKEY_PUBLIC 0x00u
#define GENKEY_CREATE 0x04u
#define SIGN_EXTERNAL 0x80u
#define VERIFY_EXTERNAL 0x02u
#define VERIFY_P256 0x0004u
#define SHA_BLOCK 64u

const char *
atecc_status_text(enum atecc_status status)
{
	static const char *const text[] = {
		[ATECC_OK] = "good",
		[ATECC_ABSENT] = "the chip does not answer",
		[ATECC_BUS] = "an I2C line is stuck",
		[ATECC_CRC] = "its answers are damaged",
		[ATECC_TIMEOUT] = "it stays busy",
		[ATECC_SELF_TEST] = "its self-test failed",
		[ATECC_PARSE] = "it does not know that command",
		[ATECC_EXECUTION] = "it refused",
		[ATECC_ECC_FAULT] = "its arithmetic failed",
		[ATECC_MISCOMPARE] = "the signature is wrong",
		[ATECC_UNLOCKED] = "its configuration is not locked",
		[ATECC_DATA_UNLOCKED] = "its data zone is not locked",
		[ATECC_PARAMETER] = "wrong parameter",
		[ATECC_RESTARTED] = "it restarted in the middle (supply voltage?)",
		[ATECC_FOREIGN] = "it is locked with a configuration of somebody else",
	};

	return (unsigned)status < sizeof text / sizeof *text ? text[status] : "unknown";
}

/* ---- reading ---- */

enum atecc_status
atecc_read(uint8_t param1, uint16_t address, uint8_t *out, size_t n)
{
	return atecc_command(&(struct atecc_command){
	        .opcode = ATECC_OP_READ,
	        .param1 = param1,
	        .param2 = address,
	        .answer = out,
	        .want = n,
	});
}

enum atecc_status
atecc_unit_config(void *config)
{
	enum atecc_status status = ATECC_OK;

	for (unsigned block = 0; block < 4 && status == ATECC_OK; block++) {
		status = atecc_read(0x80, (uint16_t)(block << 3), (uint8_t *)config + 32 * block,
		                    32);
	}
	return status;
}

enum atecc_status
atecc_read_config(uint8_t config[128])
{
	return atecc_operate(atecc_unit_config, config);
}

static enum atecc_status
unit_locks(void *word)
{
	return atecc_read(0, ATECC_LOCK_WORD, word, 4);
}

/*
 * "It refused" has a better name when the chip is not locked. Both bytes are
 * 0x00 when locked; anything else is not.
 */
static enum atecc_status
explain(enum atecc_status status)
{
	uint8_t word[4];

	if (status != ATECC_EXECUTION || atecc_operate(unit_locks, word) != ATECC_OK) {
		return status;
	}
	return word[3] != 0 ? ATECC_UNLOCKED : word[2] != 0 ? ATECC_DATA_UNLOCKED : status;
}

static enum atecc_status
unit_start(void *job)
{
	struct atecc_info *info = job;
	uint8_t block[32];
	uint8_t word[4];
	enum atecc_status status = atecc_command(&(struct atecc_command){
	        .opcode = ATECC_OP_INFO, .answer = info->revision, .want = sizeof info->revision });

	if (status == ATECC_OK) {
		status = atecc_read(0x80, 0, block, sizeof block);
	}
	if (status == ATECC_OK) {
		status = unit_locks(word);
	}
	if (status != ATECC_OK) {
		return status;
	}
	memcpy(info->serial, block, 4);
	memcpy(info->serial + 4, block + 8, 5);
	info->is_608 = ATECC_IS_608(info->revision);
	info->data_locked = word[2] == 0;
	info->config_locked = word[3] == 0;
	return ATECC_OK;
}

enum atecc_status
atecc_start(struct atecc_info *out)
{
	struct atecc_info info;
	enum atecc_status status = atecc_operate(unit_start, &info);

	if (status == ATECC_OK) {
		*out = info;
	}
	return status;
}

/* ---- randomness and digests ---- */

static enum atecc_status
unit_random(void *out)
{
	return atecc_command(&(struct atecc_command){
	        .opcode = ATECC_OP_RANDOM, .answer = out, .want = 32 });
}

/* FF FF 00 00, eight times: what a chip that is not locked calls random. */
static bool
is_constant(const uint8_t random[32])
{
	uint8_t differs = 0;

	for (unsigned i = 0; i < 32; i++) {
		differs |= random[i] ^ ((i & 2) == 0 ? 0xFF : 0x00);
	}
	return differs == 0;
}

enum atecc_status
atecc_random(uint8_t out[32])
{
	enum atecc_status status = atecc_operate(unit_random, out);

	if (status == ATECC_OK && is_constant(out)) {
		status = ATECC_UNLOCKED;
	}
	if (status != ATECC_OK) {
		memset(out, 0, 32);
	}
	return status;
}

struct message {
	const uint8_t *data;
	size_t size;
	uint8_t *digest;
};

static enum atecc_status
sha(uint8_t mode, const uint8_t *data, size_t n, uint8_t *digest)
{
	return atecc_command(&(struct atecc_command){
	        .opcode = ATECC_OP_SHA,
	        .param1 = mode,
	        .param2 = (uint16_t)n,
	        .data = { data },
	        .size = { n },
	        .answer = digest,
	        .want = digest != NULL ? 32 : 0,
	});
}

static enum atecc_status
unit_sha(void *job)
{
	const struct message *m = job;
	enum atecc_status status = sha(0, NULL, 0, NULL);
	size_t at = 0;

	while (status == ATECC_OK && m->size - at >= SHA_BLOCK) {
		status = sha(1, m->data + at, SHA_BLOCK, NULL);
		at += SHA_BLOCK;
	}
	/* The end takes 63 bytes at most, so it is empty behind a full block. */
	return status != ATECC_OK ? status : sha(2, m->data + at, m->size - at, m->digest);
}

enum atecc_status
atecc_sha256(const void *data, size_t n, uint8_t digest[32])
{
	struct message m = { data, n, digest };

	return atecc_operate(unit_sha, &m);
}

/* ---- keys ---- */

struct key_job {
	uint8_t mode;
	uint16_t slot;
	const uint8_t *digest, *signature, *point;
	uint8_t *out;
};

static uint32_t keys_made;

uint32_t
atecc_keys_made(void)
{
	return keys_made;
}

/* Each try makes another key. */
static enum atecc_status
unit_genkey(void *job)
{
	const struct key_job *k = job;

	keys_made += k->mode == GENKEY_CREATE;
	return atecc_command(&(struct atecc_command){
	        .opcode = ATECC_OP_GENKEY,
	        .param1 = k->mode,
	        .param2 = k->slot,
	        .answer = k->out,
	        .want = 64,
	});
}

static enum atecc_status
on_slot(enum atecc_status (*unit)(void *job), unsigned slot, struct key_job *job)
{
	if (slot >= SLOTS) {
		return ATECC_PARAMETER;
	}
	job->slot = (uint16_t)slot;
	return explain(atecc_operate(unit, job));
}

enum atecc_status
atecc_generate_key(unsigned slot, uint8_t public_key[64])
{
	return on_slot(unit_genkey, slot,
	               &(struct key_job){ .mode = GENKEY_CREATE, .out = public_key });
}

enum atecc_status
atecc_public_key(unsigned slot, uint8_t public_key[64])
{
	return on_slot(unit_genkey, slot,
	               &(struct key_job){ .mode = GENKEY_PUBLIC, .out = public_key });
}

static enum atecc_status
load_digest(const uint8_t *digest)
{
	return atecc_command(&(struct atecc_command){
	        .opcode = ATECC_OP_NONCE,
	        .param1 = NONCE_PASS_THROUGH,
	        .data = { digest },
	        .size = { 32 },
	});
}

/* The digest lies in TempKey, which the chip may lose: both commands or none. */
static enum atecc_status
unit_sign(void *job)
{
	const struct key_job *k = job;
	enum atecc_status status = load_digest(k->digest);

	if (status != ATECC_OK) {
		return status;
	}
	return atecc_command(&(struct atecc_command){
	        .opcode = ATECC_OP_SIGN,
	        .param1 = SIGN_EXTERNAL,
	        .param2 = k->slot,
	        .answer = k->out,
	        .want = 64,
	});
}

enum atecc_status
atecc_sign(unsigned slot, const uint8_t digest[32], uint8_t signature[64])
{
	return on_slot(unit_sign, slot, &(struct key_job){ .digest = digest, .out = signature });
}

static enum atecc_status
unit_verify(void *job)
{
	const struct key_job *k = job;
	enum atecc_status status = load_digest(k->digest);

	if (status != ATECC_OK) {
		/* A status of Nonce is never an answer of Verify. */
		return status == ATECC_MISCOMPARE ? ATECC_EXECUTION : status;
	}
	return atecc_command(&(struct atecc_command){
	        .opcode = ATECC_OP_VERIFY,
	        .param1 = VERIFY_EXTERNAL,
	        .param2 = VERIFY_P256,
	        .data = { k->signature, k->point },
	        .size = { 64, 64 },
	});
}

enum atecc_status
atecc_verify(const uint8_t digest[32], const uint8_t signature[64], const uint8_t public_key[64])
{
	return explain(atecc_operate(unit_verify, &(struct key_job){ .digest = digest,
	                                                             .signature = signature,
	                                                             .point = public_key }));
}

static enum atecc_status
unit_ecdh(void *job)
{
	const struct key_job *k = job;

	return atecc_command(&(struct atecc_command){
	        .opcode = ATECC_OP_ECDH,
	        .param2 = k->slot,
	        .data = { k->point },
	        .size = { 64 },
	        .answer = k->out,
	        .want = 32,
	});
}

enum atecc_status
atecc_ecdh(unsigned slot, const uint8_t peer[64], uint8_t secret[32])
{
	return on_slot(unit_ecdh, slot, &(struct key_job){ .point = peer, .out = secret });
}
