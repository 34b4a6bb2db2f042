/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the ATECC driver: one command and its answer, and the frame around a
 * whole operation: wake, the commands of one unit, sleep, and the whole again
 * when the chip may have forgotten what the unit had told it.
 */
#ifndef DRIVERS_ATECC_LINK_H
#define DRIVERS_ATECC_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "drivers/atecc.h"

enum atecc_opcode {
	ATECC_OP_READ = 0x02,
	ATECC_OP_WRITE = 0x12,
	ATECC_OP_NONCE = 0x16,
	ATECC_OP_LOCK = 0x17,
	ATECC_OP_RANDOM = 0x1B,
	ATECC_OP_INFO = 0x30,
	ATECC_OP_GENKEY = 0x40,
	ATECC_OP_SIGN = 0x41,
	ATECC_OP_ECDH = 0x43,
	ATECC_OP_VERIFY = 0x45,
	ATECC_OP_SHA = 0x47,
};

struct atecc_command {
	uint8_t opcode, param1;
	uint16_t param2;
	const uint8_t *data[2]; /* sent one behind the other */
	size_t size[2];
	uint8_t *answer;        /* written only when the answer is whole */
	size_t want;            /* its size; 0: a status is all that is expected */
};

/* Only within a unit of atecc_operate(). Wakes the chip anew before its watchdog can end. */
enum atecc_status atecc_command(const struct atecc_command *command);
/*
 * The unit is run again from its first command after anything that may pass:
 * it must not rely on what an earlier run has achieved.
 */
enum atecc_status atecc_operate(enum atecc_status (*unit)(void *job), void *job);

uint16_t atecc_crc(uint16_t crc, const uint8_t *data, size_t n);
/* Units and parts of units that more than one file needs. */
enum atecc_status atecc_read(uint8_t param1, uint16_t address, uint8_t *out, size_t n);
enum atecc_status atecc_unit_config(void *config); /* uint8_t[128] */

#define ATECC_CONFIG_SIZE 128u
#define ATECC_LOCK_WORD 0x15u /* config bytes 84-87 */
#define ATECC_LOCK_VALUE 86u
#define ATECC_LOCK_CONFIG 87u
#define ATECC_IS_608(revision) (((revision)[2] & 0xF0u) == 0x60u)

#endif
