/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A new chip becomes a board's identity: three steps that cannot be taken
 * back (3.6). What has been done is read from the chip and from nowhere else,
 * so that a power loss at any point is completed by the next call.
 */
#include <string.h>

#include "drivers/atecc.h"
#include "drivers/atecc_link.h"

#define KEY_SLOT 0u
#define UNLOCKED 0x55u
#define LOCK_CONFIG_WITH_CRC 0x00u
#define LOCK_DATA_WITHOUT_CRC 0x81u /* the data zone cannot be read before */
#define FIRST_WORD 4u
#define WORDS 32u
#define SLOT_CONFIG 20u
#define KEY_CONFIG 96u
#define SLOT_BYTES 32u

/* Bytes 16 to 127 of the "TLS" preset (3.5); the lock word is a placeholder. */
static const uint8_t preset[ATECC_CONFIG_SIZE - 4 * FIRST_WORD] = {
	0xC0, 0x00, 0x55, 0x00,
	/* SlotConfig */
	0x83, 0x20, 0x87, 0x20, 0x87, 0x20, 0x87, 0x2F,
	0x87, 0x2F, 0x8F, 0x8F, 0x9F, 0x8F, 0xAF, 0x8F,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xAF, 0x8F,
	/* counters */
	0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00,
	0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00,
	/* LastKeyUse */
	0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
	0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
	/* locks, SlotLocked, X509format */
	0x00, 0x00, 0x55, 0x55, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	/* KeyConfig */
	0x33, 0x00, 0x33, 0x00, 0x33, 0x00, 0x33, 0x00,
	0x33, 0x00, 0x1C, 0x00, 0x1C, 0x00, 0x1C, 0x00,
	0x3C, 0x00, 0x3C, 0x00, 0x3C, 0x00, 0x3C, 0x00,
	0x3C, 0x00, 0x3C, 0x00, 0x3C, 0x00, 0x1C, 0x00,
};

/*
 * On a 608 some bytes have another meaning and must be 0 to behave as a 508A:
 * OTPmode and ChipMode (18, 19) and what was LastKeyUse (68 to 83).
 */
static uint8_t
wanted(const uint8_t *config, unsigned at)
{
	bool other_on_608 = at == 18 || at == 19 || (at >= 68 && at < 84);

	return other_on_608 && ATECC_IS_608(config + 4) ? 0 : preset[at - 4 * FIRST_WORD];
}

static bool
word_differs(const uint8_t *config, unsigned word, uint8_t out[4])
{
	bool differs = false;

	for (unsigned i = 0; i < 4; i++) {
		out[i] = wanted(config, 4 * word + i);
		differs = differs || out[i] != config[4 * word + i];
	}
	return differs;
}

static enum atecc_status
write_words(const uint8_t *config)
{
	enum atecc_status status = ATECC_OK;

	for (unsigned word = FIRST_WORD; word < WORDS && status == ATECC_OK; word++) {
		uint8_t data[4];

		if (word != ATECC_LOCK_WORD && word_differs(config, word, data)) {
			status = atecc_command(&(struct atecc_command){
			        .opcode = ATECC_OP_WRITE,
			        .param2 = (uint16_t)word,
			        .data = { data },
			        .size = { sizeof data },
			});
		}
	}
	return status;
}

static bool
all_written(const uint8_t *config)
{
	uint8_t data[4];

	for (unsigned word = FIRST_WORD; word < WORDS; word++) {
		if (word != ATECC_LOCK_WORD && word_differs(config, word, data)) {
			return false;
		}
	}
	return true;
}

static enum atecc_status
lock(uint8_t mode, uint16_t crc)
{
	return atecc_command(&(struct atecc_command){
	        .opcode = ATECC_OP_LOCK, .param1 = mode, .param2 = crc });
}

/*
 * The chip compares the CRC of what was read back with its own before it
 * locks, so that what gets locked is what was checked here.
 */
static enum atecc_status
unit_configure(void *job)
{
	uint8_t *config = job;
	enum atecc_status status = atecc_unit_config(config);

	if (status != ATECC_OK || config[ATECC_LOCK_CONFIG] == 0) {
		return status;
	}
	if (config[ATECC_LOCK_CONFIG] != UNLOCKED) {
		return ATECC_FOREIGN;
	}
	status = write_words(config);
	if (status == ATECC_OK) {
		status = atecc_unit_config(config);
	}
	if (status != ATECC_OK) {
		return status;
	}
	if (!all_written(config)) {
		return ATECC_EXECUTION;
	}
	return lock(LOCK_CONFIG_WITH_CRC, atecc_crc(0, config, ATECC_CONFIG_SIZE));
}

static enum atecc_status
unit_lock_data(void *job)
{
	uint8_t word[4];
	enum atecc_status status = atecc_read(0, ATECC_LOCK_WORD, word, sizeof word);

	(void)job;
	if (status != ATECC_OK || word[2] == 0) {
		return status;
	}
	return word[3] == 0 ? lock(LOCK_DATA_WITHOUT_CRC, 0) : ATECC_EXECUTION;
}

/* Are the rights of all slots those of the preset? Counters and the like may have moved on. */
static bool
is_ours(const uint8_t *config)
{
	const uint8_t *slots = preset + SLOT_CONFIG - 4 * FIRST_WORD;
	const uint8_t *keys = preset + KEY_CONFIG - 4 * FIRST_WORD;

	return memcmp(config + SLOT_CONFIG, slots, SLOT_BYTES) == 0 &&
	       memcmp(config + KEY_CONFIG, keys, SLOT_BYTES) == 0;
}

/*
 * Until the data zone is locked, somebody may have put a key of his own into
 * the slot: up to then it is made anew each time.
 */
static enum atecc_status
make_key(const uint8_t *config)
{
	uint8_t public_key[64];
	enum atecc_status status;

	if (config[ATECC_LOCK_VALUE] != 0) {
		status = is_ours(config) ? atecc_generate_key(KEY_SLOT, public_key) : ATECC_FOREIGN;
	} else {
		status = atecc_public_key(KEY_SLOT, public_key);
		if (status == ATECC_EXECUTION && is_ours(config)) {
			status = atecc_generate_key(KEY_SLOT, public_key);
		}
	}
	return status;
}

enum atecc_status
atecc_commission(void)
{
	uint8_t config[ATECC_CONFIG_SIZE];
	enum atecc_status status = atecc_operate(unit_configure, config);

	if (status == ATECC_OK) {
		status = atecc_read_config(config);
	}
	if (status == ATECC_OK && config[ATECC_LOCK_CONFIG] != 0) {
		status = ATECC_UNLOCKED;
	}
	if (status == ATECC_OK) {
		status = make_key(config);
	}
	if (status == ATECC_OK) {
		status = atecc_operate(unit_lock_data, NULL);
	}
	if (status == ATECC_OK) {
		status = atecc_read_config(config);
	}
	if (status == ATECC_OK && config[ATECC_LOCK_VALUE] != 0) {
		status = ATECC_DATA_UNLOCKED;
	}
	return status;
}
