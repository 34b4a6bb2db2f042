/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the model of the ATECC508A. Its parts: the bus with power, watchdog
 * and answer buffer (atecc_model.c); what a command does (atecc_commands.c,
 * atecc_keys.c); zones, locks and rights (atecc_zones.c); P-256 (atecc_p256.c);
 * the file of its EEPROM (atecc_store.c).
 */
#ifndef EMULATOR_ATECC_INT_H
#define EMULATOR_ATECC_INT_H

#include <openssl/evp.h>

#include "emulator/model.h"

enum {
	ATECC_SLOTS = 16,
	ATECC_SLOT_BYTES = 416, /* of the largest */
	ATECC_CONFIG_BYTES = 128,
	ATECC_OTP_BYTES = 64,
	ATECC_PACKET_MAX = 155,
	ATECC_ANSWER_MAX = 67,
};

enum atecc_answer_code {
	ANSWER_SUCCESS = 0x00,
	ANSWER_MISCOMPARE = 0x01,
	ANSWER_PARSE = 0x03,
	ANSWER_ECC_FAULT = 0x05,
	ANSWER_EXECUTION = 0x0F,
	ANSWER_AWAKE = 0x11,
	ANSWER_WATCHDOG = 0xEE,
	ANSWER_CRC = 0xFF,
};

/* All that survives a power loss. */
struct atecc_eeprom {
	uint8_t config[ATECC_CONFIG_BYTES], otp[ATECC_OTP_BYTES];
	uint8_t slots[ATECC_SLOTS][ATECC_SLOT_BYTES];
	uint8_t scalars[ATECC_SLOTS][32], has_key[ATECC_SLOTS];
	uint8_t writes[8]; /* how often it was written, little endian */
};

enum atecc_power { ATECC_ASLEEP, ATECC_IDLE, ATECC_AWAKE };

/* A command as it came, after its CRC was found good. */
struct atecc_request {
	uint8_t opcode, param1;
	uint16_t param2;
	const uint8_t *data;
	size_t size;
};

struct atecc_model {
	struct world *world;
	struct fault_set *faults;
	char *file;
	bool is_608;
	struct atecc_eeprom eeprom;
	bool dirty; /* the EEPROM is ahead of its file */

	enum atecc_power power;
	uint64_t ready_ns, watchdog_ns, slept_ns; /* awake and answering; runs out; fell asleep */
	uint64_t busy_ns;                         /* the command is done */

	uint8_t in[ATECC_PACKET_MAX + 1]; /* word address, then the group */
	size_t in_size;
	bool writing, partial;

	uint8_t out[ATECC_ANSWER_MAX];
	size_t out_size, out_at;
	size_t short_at; /* fault: 0xFF from here on */
	bool damaged;    /* fault: until it is read again from its start */

	uint8_t tempkey[32];
	bool tempkey_valid, tempkey_input; /* SourceFlag: 1 input */
	EVP_MD_CTX *sha;
	bool sha_running;
};

/* atecc_model.c */
uint16_t atecc_model_crc(const uint8_t *data, size_t n);
void atecc_answer(struct atecc_model *m, const void *data, size_t n);
void atecc_answer_status(struct atecc_model *m, uint8_t status);
bool atecc_is_608(const struct atecc_model *m);

/* atecc_commands.c: effect and answer of a request; the execution time in ns. */
uint64_t atecc_execute(struct atecc_model *m, const struct atecc_request *r);

/* atecc_keys.c: each answers. */
void atecc_do_genkey(struct atecc_model *m, const struct atecc_request *r);
void atecc_do_sign(struct atecc_model *m, const struct atecc_request *r);
void atecc_do_verify(struct atecc_model *m, const struct atecc_request *r);
void atecc_do_ecdh(struct atecc_model *m, const struct atecc_request *r);

/* atecc_zones.c */
void atecc_do_read(struct atecc_model *m, const struct atecc_request *r);
void atecc_do_write(struct atecc_model *m, const struct atecc_request *r);
void atecc_do_lock(struct atecc_model *m, const struct atecc_request *r);
void atecc_do_counter(struct atecc_model *m, const struct atecc_request *r);
void atecc_do_update_extra(struct atecc_model *m, const struct atecc_request *r);
bool atecc_config_locked(const struct atecc_model *m);
bool atecc_data_locked(const struct atecc_model *m);
bool atecc_slot_locked(const struct atecc_model *m, unsigned slot);
unsigned atecc_slot_config(const struct atecc_model *m, unsigned slot);
unsigned atecc_key_config(const struct atecc_model *m, unsigned slot);
void atecc_factory(struct atecc_eeprom *e, const uint8_t serial[9], bool is_608);
void atecc_preset(struct atecc_eeprom *e); /* locked, as section 3.5 leaves it */
void atecc_written(struct atecc_model *m);

/* atecc_p256.c; numbers are 32 bytes, points 64, all big-endian. */
void atecc_random_scalar(struct world *world, uint8_t scalar[32]);
bool atecc_public(const uint8_t scalar[32], uint8_t point[64]);
/* wanted: 0 any, 1 r begins with a zero byte, 2 both with the highest bit set, 3 s with a zero. */
bool atecc_ecdsa_sign(struct world *world, const uint8_t scalar[32], const uint8_t digest[32],
                      long wanted, uint8_t signature[64]);
/* 1 good, 0 bad, -1: that is no point of the curve */
int atecc_ecdsa_verify(const uint8_t digest[32], const uint8_t signature[64],
                       const uint8_t point[64]);
bool atecc_shared_x(const uint8_t scalar[32], const uint8_t point[64], uint8_t x[32]);

/* atecc_store.c: 0, -ENOENT, or another -errno after a note. */
int atecc_load(struct world *world, const char *file, struct atecc_eeprom *e);
int atecc_save(struct world *world, const char *file, const struct atecc_eeprom *e);

#endif
