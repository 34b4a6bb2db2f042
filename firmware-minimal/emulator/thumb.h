/* SPDX-License-Identifier: BSD-2-Clause */
/* What the machine has to know of an instruction before it runs: its cost and its kind (samd21 6.2, 6.3). */
#ifndef EMULATOR_THUMB_H
#define EMULATOR_THUMB_H

#include <stdint.h>

enum thumb_kind {
	THUMB_UNKNOWN, /* not decoded yet */
	THUMB_PLAIN,
	THUMB_STACK,   /* changes SP */
	THUMB_BRANCH,  /* conditional: one cycle more when taken */
	THUMB_RETURN,  /* BX, or POP with PC: may carry EXC_RETURN */
	THUMB_CPS,
	THUMB_MSR,
	THUMB_MRS,
	THUMB_WAIT,    /* WFI, WFE */
	THUMB_FAULT,   /* UDF, BKPT, SVC, or nothing that ARMv6-M knows */
};

struct thumb {
	uint8_t kind, cycles, size;
};

/* second: the halfword after it, for the 32-bit ones. */
struct thumb thumb_decode(uint16_t first, uint16_t second);

#endif
