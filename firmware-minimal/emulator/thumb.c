/* SPDX-License-Identifier: BSD-2-Clause */
#include "emulator/thumb.h"

static unsigned
bits_set(unsigned v)
{
	unsigned n = 0;

	for (; v != 0; v &= v - 1) {
		n++;
	}
	return n;
}

static struct thumb
one(enum thumb_kind kind, unsigned cycles)
{
	return (struct thumb){ (uint8_t)kind, (uint8_t)cycles, 2 };
}

static struct thumb
decode_32(uint16_t first, uint16_t second)
{
	struct thumb t = { THUMB_FAULT, 1, 4 };

	if ((first & 0xF800) == 0xF000 && (second & 0xD000) == 0xD000) {
		t.kind = THUMB_PLAIN;
		t.cycles = 3; /* BL */
	} else if ((first & 0xFFF0) == 0xF380 && (second & 0xFF00) == 0x8800) {
		t.kind = THUMB_MSR;
		t.cycles = 3;
	} else if (first == 0xF3EF && (second & 0xF000) == 0x8000) {
		t.kind = THUMB_MRS;
		t.cycles = 3;
	} else if (first == 0xF3BF && (second & 0xFF0F) == 0x8F0F &&
	           (second & 0xF0) >= 0x40 && (second & 0xF0) <= 0x60) {
		t.kind = THUMB_PLAIN;
		t.cycles = 3; /* DSB, DMB, ISB */
	}
	return t;
}

/* 0100 01xx: ADD, CMP, MOV with high registers, BX, BLX. */
static struct thumb
decode_high(uint16_t w)
{
	unsigned rd = (w >> 4 & 8) | (w & 7);
	unsigned op = w >> 8 & 3;

	if (op == 3) {
		return one(w & 0x80 ? THUMB_PLAIN : THUMB_RETURN, 2);
	}
	if (op != 1 && rd == 15) {
		return one(THUMB_PLAIN, 2);
	}
	return one(op != 1 && rd == 13 ? THUMB_STACK : THUMB_PLAIN, 1);
}

/* 1011: miscellaneous. */
static struct thumb
decode_misc(uint16_t w)
{
	if ((w & 0xFF00) == 0xB000) {
		return one(THUMB_STACK, 1);
	}
	if ((w & 0xFE00) == 0xB400) {
		return one(THUMB_STACK, 1 + bits_set(w & 0x1FF));
	}
	if ((w & 0xFE00) == 0xBC00) {
		return w & 0x100 ? one(THUMB_RETURN, 4 + bits_set(w & 0xFF))
		                 : one(THUMB_PLAIN, 1 + bits_set(w & 0xFF));
	}
	if ((w & 0xFFEF) == 0xB662) {
		return one(THUMB_CPS, 1);
	}
	if (w == 0xBF20 || w == 0xBF30) {
		return one(THUMB_WAIT, 2);
	}
	if ((w & 0xFF00) == 0xB200 || (w & 0xFF8F) == 0xBF00 ||
	    ((w & 0xFF00) == 0xBA00 && (w & 0xC0) != 0x80)) {
		return one(THUMB_PLAIN, 1);
	}
	return one(THUMB_FAULT, 1);
}

struct thumb
thumb_decode(uint16_t first, uint16_t second)
{
	switch (first >> 12) {
	case 0x4:
		if (first & 0x800) {
			return one(THUMB_PLAIN, 2); /* LDR literal */
		}
		return first & 0x400 ? decode_high(first) : one(THUMB_PLAIN, 1);
	case 0x5: case 0x6: case 0x7: case 0x8: case 0x9:
		return one(THUMB_PLAIN, 2);
	case 0xB:
		return decode_misc(first);
	case 0xC:
		return one(THUMB_PLAIN, 1 + bits_set(first & 0xFF));
	case 0xD:
		return (first >> 8 & 15) >= 14 ? one(THUMB_FAULT, 1) : one(THUMB_BRANCH, 1);
	case 0xE:
		return first & 0x800 ? decode_32(first, second) : one(THUMB_PLAIN, 2);
	case 0xF:
		return decode_32(first, second);
	default:
		return one(THUMB_PLAIN, 1);
	}
}
